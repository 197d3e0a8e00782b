"""Grading: whose a notebook is, what of it runs, and that no answer gets points but for what it computes."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import textwrap
import zipfile
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch
from torch import nn

from classroom.grading import answers, report, run, wire
from classroom.grading.collect import collect
from classroom.grading.judge import Limits

ROOT = Path(__file__).parents[2]
NAMES = {"1.1": "min_pool2d", "1.7": "dark_pixels_left", "6.10": "step"}


def notebook(*cells: str) -> bytes:
    listed = [{"cell_type": "code", "source": textwrap.dedent(cell).strip(), "metadata": {}} for cell in cells]
    return json.dumps({"cells": listed, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def found(*cells: str, values: tuple[str, ...] = ("1.7",)) -> dict[str, answers.Found]:
    return answers.find(answers.cells_of(notebook(*cells)), NAMES, values)


def ran(one: answers.Found) -> object:
    space = {}
    for source, _ in one.program:
        exec(source, space)
    return eval(one.answer, space)


# ---- what of a notebook runs --------------------------------------------------------------------


def test_an_answer_gets_what_it_needs_and_nothing_else_runs():
    one = found(
        "import math as m\nimport no_such_package\nprint('demo')\nraise SystemExit",
        "HALF, OTHER = 0.5, [1]",
        "def helper(x):\n    return m.floor(x) + HALF",
        "helper = 7\nfor x in range(3): helper(x)",
        "def helper(x):\n    return m.floor(x) - HALF",
        """
        def min_pool2d(x):
            return helper(x) + late(x)
        print(1 / 0)
        check("1.1", min_pool2d)
        """,
        "def late(x):\n    return 10 * x",
    )["1.1"]
    text = "".join(source for source, _ in one.program)
    assert ran(one)(2.7) == 1.5 + 27
    assert "no_such_package" not in text and "print" not in text and "range(3)" not in text


def test_an_answer_is_found_by_number_wherever_it_stands_and_by_name_where_no_check_is_left():
    assert ran(found("def mine(x):\n    return 1", 'check("1.1", mine)')["1.1"])(0) == 1
    assert ran(found('check("1.1", lambda x: 2 * x)')["1.1"])(4) == 8
    assert ran(found("def min_pool2d(x):\n    return 3")["1.1"])(0) == 3
    assert ran(found("def step(x):\n    return 4\ncheck('6.10', step)")["6.10"])(0) == 4
    two = found("def min_pool2d(x):\n    return 1\ncheck('1.1', min_pool2d)", "def min_pool2d(x):\n    return 2", "x")
    assert ran(two["1.1"])(0) == 1, "what stands below an answer's cell is another attempt"
    assert set(found("print(1)")) == set()


def test_the_cell_of_a_value_may_count_in_a_loop():
    one = found(
        "total = 0\nfor n in range(5):\n    total += n\ndark_pixels_left = total\ncheck('1.7', dark_pixels_left)"
    )
    assert ran(one["1.7"]) == 10


def test_lines_for_jupyter_are_left_out_and_a_cell_that_is_no_python_says_why():
    assert ran(found("%matplotlib inline\n!pip list\ndef min_pool2d(x):\n    return 5\n\nmin_pool2d?")["1.1"])(0) == 5
    wrong = found("def min_pool2d(x)\n    return 5\n\n\ncheck('1.1', min_pool2d)")["1.1"]
    assert "in line 1" in wrong.problem


def test_lines_keep_their_numbers():
    one = found("print('first')\n\n\n@staticmethod\ndef min_pool2d(x):\n    return 5\n")["1.1"]
    assert one.program[0][0].split("\n")[3:] == ["@staticmethod", "def min_pool2d(x):", "    return 5"]


def test_two_copies_look_alike_whatever_their_names_and_comments():
    first, second, other = (
        found(cell)["1.1"].looks
        for cell in (
            'def min_pool2d(x, k):\n    """Mine."""\n    y = x + k\n    return y',
            "def min_pool2d(picture, size):\n    z = picture + size  # by hand\n    return z",
            "def min_pool2d(x, k):\n    y = x - k\n    return y",
        )
    )
    assert first == second != other


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b'{"cells": [', "no whole notebook"),
        (b"[1, 2]", "no cells"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_what_is_no_notebook_is_told(data, why):
    with pytest.raises(answers.Unreadable, match=why):
        answers.cells_of(data)


# ---- whose it is --------------------------------------------------------------------------------


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def test_students_are_known_by_moodle_folder_archive_or_file(tmp_path):
    names = {
        "Änne Müller_812_assignsubmission_file_/01_pooling.ipynb": "Änne Müller",
        "Bo_813_assignsubmission_file_01 pooling (2).ipynb": "Bo",
        "Cy/deep/er/x.ipynb": "Cy",
        "Dê Ä 01_pooling (1).ipynb": "Dê Ä",
        "Eve 01_pooling_b - Kopie.ipynb": "Eve",
    }
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    (tmp_path / "Fay.zip").write_bytes(archive(**{"homework/01.ipynb": b"{}"}))
    (tmp_path / "all.zip").write_bytes(archive(**{"Gö_9_assignsubmission_file_/a.ipynb": b"{}", "._x.ipynb": b""}))
    submissions, refused = collect(tmp_path)
    assert not refused
    assert sorted(one.student for one in submissions) == sorted([*names.values(), "Fay", "Gö"])


def test_nothing_leaves_an_archive_and_what_is_not_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("classroom.grading.collect.LARGEST", 1000)
    monkeypatch.setattr("classroom.grading.collect.LARGEST_TOGETHER", 5000)
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("../out.ipynb", b"{}")
        file.writestr("/root.ipynb", b"{}")
        file.writestr(link, b"/etc/passwd")
        file.writestr("large.ipynb", b"0" * 4000)
    (tmp_path / "Ann.zip").write_bytes(buffer.getvalue())
    (tmp_path / "Bob.zip").write_bytes(archive(**{f"{n}.ipynb": b"0" * 900 for n in range(9)}))
    (tmp_path / "Cat.zip").write_bytes(b"PK no archive")
    (tmp_path / "Dan.docx").write_bytes(b"")
    (tmp_path / "Eli.ipynb").symlink_to("/etc/passwd")
    submissions, refused = collect(tmp_path)
    assert {one.student for one in submissions} == {"Bob"}, "those of his that came before the limit"
    why = " | ".join(f"{one.name}: {one.why}" for one in refused)
    for words in (
        "../out.ipynb: its name leads out",
        "/root.ipynb: its name leads out",
        "link.ipynb: it is a link",
        "large.ipynb: it is larger",
        "Bob.zip: the archive unpacks to more",
        "Cat.zip: the archive is broken",
        "a .docx",
        "Eli.ipynb: it is a link",
    ):
        assert words in why


def test_a_name_is_no_formula_and_no_path():
    assert report._safe("=HYPERLINK()") == "'=HYPERLINK()" and report._plain("'=HYPERLINK()") == "=HYPERLINK()"
    assert "/" not in report._file_name("../../x") and report._file_name("A b") != report._file_name("A_b")


# ---- what comes over the wire -------------------------------------------------------------------


def sent(message: object) -> object:
    here, there = Pipe()
    wire.send(there, message)
    return wire.receive(here)


def test_values_tensors_and_layers_come_over_the_wire_as_they_are():
    layer = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    values = {"a": (1, 2.5, None, float("inf"), "ä"), "b": [torch.ones(2, 3, dtype=torch.float64), layer]}
    back = sent(wire.pack(values, []))
    assert back["a"] == values["a"]
    torch.testing.assert_close(back["b"][0], values["b"][0], rtol=0, atol=0)
    assert not back["b"][1].training and torch.equal(back["b"][1][0].weight, layer[0].weight)


def test_nothing_runs_that_comes_over_the_wire(tmp_path):
    class Bad:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    with pytest.raises(ValueError, match="it holds"):
        sent(Bad())
    assert not (tmp_path / "made").exists()
    here, there = Pipe()
    for data in (b"", b"=open('x')", b"=" + b"(" * 300, b"PK\x03\x04"):
        there.send_bytes(data)
        with pytest.raises(ValueError):
            wire.receive(here)


def test_the_system_refuses_what_an_answer_must_not_do(tmp_path):
    """Without Python's help: each wall that this system has holds, whatever happens to the audit hook."""
    (tmp_path / "own").mkdir()
    program = f"""
import os, socket
from classroom.grading import wall
there = wall.build({str(tmp_path / "own")!r}, {{"cpu": 5, "file": 1000, "memory": 2**28}})
def refused(do):
    try: do()
    except (OSError, MemoryError): return True
    return False
def grow():
    with open({str(tmp_path / "own" / "a")!r}, "wb") as file: file.write(bytes(2000))
def connect():
    socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=5)
held = {{
    "files": refused(lambda: open({str(tmp_path / "out")!r}, "w")) and refused(lambda: os.execv("/bin/true", ["true"])),
    "network": refused(connect), "memory": refused(lambda: bytearray(2**30)), "time": refused(grow),
}}
print([one for one in there if not held.get(one, True)], open({str(tmp_path / "own" / "b")!r}, "w").write("x"))
"""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(listening.getsockname()[1])}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout == "[] 1\n", done.stderr


# ---- twelve students ----------------------------------------------------------------------------

RIGHT = """
def min_pool2d(x, kernel_size):
    return -max_pool2d(-x, kernel_size)

check("1.1", min_pool2d)
"""
WIDTH = """
def safe_width(kernel_size, stride):
    {}
    return kernel_size + stride - 1

check("1.5", safe_width)
"""
IMPORTS = "import os, sys\nimport torch\nfrom torch.nn import functional\nfrom chapters_code.pooling import max_pool2d"

# Answers that try to get points, or to do harm; every other value of theirs is right.
ATTACKS = {
    "Endless": "while True: pass",
    "Sleeper": "__import__('time').sleep(60)",
    "Exit": "os._exit(0)",
    "Quit": "raise SystemExit",
    "Printer": "while True: print('x' * 10**6)",
    "Memory": "return torch.ones(2**34).sum().item()",
    "Patcher": "torch.isclose = lambda *a, **s: torch.tensor(True)\n    return 0",
    "Patcher right": "torch.isclose = lambda *a, **s: torch.tensor(True)",
    "Checker": "sys.modules['chapters_code.exercises.checking'].compare = None",
    "Code": "sys.modules['chapters_code.exercises.checking'].agree.__code__ = (lambda *a: None).__code__",
    "Frames": """f = sys._getframe()
    while f:
        for name in ("wanted", "trusted", "expected", "calls"):
            if name in f.f_locals: return f.f_locals["wanted"]
        f = f.f_back
    return 0""",
    "Writer": "open({outside!r}, 'w').write('x')",
    "Shell": "os.system('touch ' + {outside!r})",
    "Fork": "os.fork()",
    "Network": "__import__('socket').create_connection(('127.0.0.1', 9))",
    "Thread": "__import__('threading').Thread(target=print).start()",
    "Solution": "import chapters_code.exercises.solutions.pooling as a\n    return a.safe_width(kernel_size, stride)",
    "Reader": "open({solutions!r}).read()",
    "Catcher": "try: os.fork()\n    except BaseException: pass",
    "Ctypes": "__import__('ctypes').CDLL(None).getpid()",
    "Forger": """for f in range(3, 30):
        for words in (b"={{'ended': True}}", b"={{'graph': None, 'result': 1, 'given': [1, 1], 'gradients': []}}"):
            try: os.write(f, len(words).to_bytes(4, 'big') + words)
            except OSError: pass
    return 0""",
    "Pickler": """class Bad:
        def __reduce__(self): return os.mkdir, ({outside!r},)
    return Bad()""",
}


@pytest.mark.slow
def test_twelve_students_and_more_get_what_they_earned_and_no_attack_gets_points(tmp_path):
    """One test, since the grading takes half a minute, and tests may run far from each other."""
    rows, out, first, again = graded(tmp_path)
    earned(rows, out, first, again)
    no_attack_gets_points(rows)
    feedback_says_why_and_tells_no_seed(out)


def graded(tmp_path: Path) -> tuple:
    """Grade a folder as it comes from Moodle and by mail; return what was written, and the folder."""
    folder = tmp_path / "came in"
    outside = tmp_path / "outside"
    solutions = str(ROOT / "chapters_code" / "exercises" / "solutions" / "pooling.py")

    def store(name: str, *cells: str, data: bytes | None = None, time: float = 1e9) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(notebook(IMPORTS, *cells) if data is None else data)
        os.utime(path, (time, time))

    store("Änne Müller_812_assignsubmission_file_/01_pooling.ipynb", RIGHT, WIDTH.format("pass"))
    store("Änne Müller_812_assignsubmission_file_/old.ipynb", "def min_pool2d(x, kernel_size): return x", time=1e8)
    store("Bo.zip", data=archive(**{"h w/01 ä.ipynb": notebook(IMPORTS, RIGHT.replace("-max", "max"))}))
    stub = 'raise NotImplementedError("your turn")'
    store("Cy 01_pooling.ipynb", WIDTH.format(stub), "dark_pixels_left = ...\ncheck('1.7', dark_pixels_left)")
    older = 'STARS = "★"\ndef helper(a):\n    return -a\n\ncheck("1.9", helper)'
    own = "def min_pool2d(x, kernel_size):\n    return helper(max_pool2d(helper(x), kernel_size))"
    store("Dee/edition of last year.ipynb", "dark_pixels_left = 0", own, older, 'check("1.1", min_pool2d)')
    store(
        "Eva.ipynb",
        'why_the_mean_forgets_less = "Every pixel <b> has a share."\ncheck("1.8", why_the_mean_forgets_less)',
    )
    store("Fin.ipynb", data=b'{"cells": [')
    store("Gil.docx", data=b"word")
    store("Hal.ipynb", "print('nothing of the book')")
    store("Ida.ipynb", "def min_pool2d(x, kernel_size)\n    return 1\n\ncheck('1.1', min_pool2d)")
    closed = "def median_pool2d(x, kernel_size):\n    return max_pool2d(x, kernel_size)\n\ncheck('1.2', median_pool2d)"
    store("Jo.ipynb", closed, "dark_pixels_left = torch.tensor(0)\ncheck('1.7', dark_pixels_left)")
    for name, attack in ATTACKS.items():
        attack = attack.format(outside=str(outside), solutions=solutions)
        store(f"X {name}/n.ipynb", WIDTH.replace("{}", attack))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "classroom", "grade", str(folder), "--out", str(out), "--seed", "987654"]
    command += ["--seconds", "1", "--memory", "1", "--jobs", "2"]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert not outside.exists()
    (out / "points_by_hand.csv").write_text('student,exercise,points\nEva,1.8*,"0,5"\n', encoding="utf-8")
    store("Kim.ipynb", data=b"not a notebook")
    again = run.grade(folder, out, 987654, Limits(seconds=1.0, memory=2**30), quiet=True)
    report.write(again, out)
    with (out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    return rows, out, first.stdout, again


def earned(rows: dict, out: Path, first: str, again: run.Outcome) -> None:
    points = {name: {key: row[key] for key in ("1.1", "1.2", "1.5", "1.7", "1.8")} for name, row in rows.items()}
    none = dict.fromkeys(("1.1", "1.2", "1.5", "1.7", "1.8"), "0")
    assert points["Änne Müller"] == none | {"1.1": "1", "1.5": "3"}
    assert "older copy" in rows["Änne Müller"]["notes"] and "old.ipynb" in rows["Änne Müller"]["notes"]
    assert points["Bo"] == none and "The result is wrong" in rows["Bo"]["reasons"]
    assert points["Cy"] == none and "1.5: not answered; 1.6: not found; 1.7: not answered" in rows["Cy"]["reasons"]
    assert points["Dee"] == none | {"1.1": "1", "1.7": "1"}
    assert points["Ida"] == none and "in line 1" in rows["Ida"]["reasons"]
    assert points["Jo"] == none | {"1.7": "1"} and "without the book's max_pool2d" in rows["Jo"]["reasons"]
    # What a person gave is counted in the second run, in which nothing was graded anew.
    assert points["Eva"] == none | {"1.8": "0.5"}
    assert f"{len(rows)} notebooks graded, {len(rows)} of them now; 3 files" in first
    assert again.new == 0 and len(again.graded) == len(rows) and len(again.refused) == 4
    unread = (out / "not_read.csv").read_text(encoding="utf-8-sig")
    assert all(name in unread for name in ("Fin.ipynb", "Gil.docx", "Hal.ipynb", "Kim.ipynb"))


def no_attack_gets_points(rows: dict) -> None:
    for name in ATTACKS:
        row = rows[f"X {name}"]
        assert row["total"] == "0", name
        said = ("Your code", "The result is wrong:", "What your code returned")
        assert any(f"1.5: {words} " in row["reasons"] for words in said), name
    assert "stopped for its time" in rows["X Endless"]["notes"]


def feedback_says_why_and_tells_no_seed(out: Path) -> None:
    pages = {path.stem.rsplit("-", 1)[0]: path.read_text(encoding="utf-8") for path in (out / "feedback").iterdir()}
    assert "The smallest input that shows it" in pages["Bo"] and "Hint: " in pages["Bo"]
    assert "Every pixel &lt;b&gt; has a share." in pages["Eva"]
    assert not any("98765" in page for page in pages.values())
    assert "Every pixel &lt;b&gt;" in (out / "to_read.html").read_text(encoding="utf-8")

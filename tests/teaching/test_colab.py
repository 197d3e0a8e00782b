"""The set-up cell on a simulated Colab: it asks pip for what is missing, exactly that, and once.

Real pip and real packages are tried by tools/colab_trial.sh, which takes minutes and a network.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import notebooks

CELL = (Path(__file__).parents[2] / "tools" / "setup_cell.py").read_text(encoding="utf-8")
ADDRESS = "https://github.com/OWNER/REPO"
BOOK, D2L = f"git+{ADDRESS}", "d2l==0.17.0"

# Stands where Python looks for pip: notes what it is asked for and makes an empty package of that name.
PIP = """
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent.parent
with open(here / "calls.jsonl", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "PIP_FAILS" in os.environ:
    sys.exit("\\n".join(f"pip's line {number}" for number in range(1, 21)))
for name in sys.argv[4:]:
    (here / ("d2l.py" if name.startswith("d2l") else "chapters_code.py")).touch()
"""


class Machine:
    """A Python with no package but those put there, and with a pip that only takes notes."""

    def __init__(self, folder: Path, there: tuple[str, ...]):
        self.folder = folder
        for name in ("pip/__init__", "google/__init__", "google/colab", *there):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.py").touch()
        (folder / "pip" / "__main__.py").write_text(PIP)

    def run(self, address=ADDRESS, colab=True, then="", cell=CELL, **environment):
        """Run the cell in a fresh process on Colab or at home, and `then` some more code."""
        cell, count = re.subn('(?m)^REPOSITORY = ".*"$', f'REPOSITORY = "{address}"', cell)
        assert count == 1
        program = f"cell = {cell!r}\nexec(cell)\n{then}"
        # -S leaves site-packages out, where this book and d2l are installed.
        return subprocess.run(
            [sys.executable, "-S", "-c", "import google.colab\n" * colab + program],
            cwd=self.folder,
            env={"PYTHONPATH": str(self.folder), **environment},
            capture_output=True,
            text=True,
        )

    @property
    def calls(self) -> list[list[str]]:
        """What pip was asked for, call by call."""
        notes = self.folder / "calls.jsonl"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


@pytest.mark.parametrize(
    ("there", "asked", "said"),
    [
        ((), [BOOK, D2L], "installed chapters_code and d2l"),
        (("d2l",), [BOOK], "installed chapters_code;"),
        (("chapters_code",), [D2L], "installed d2l;"),
        (("chapters_code", "d2l"), None, "nothing to install"),
    ],
)
def test_only_what_is_missing_is_installed_and_without_dependencies(tmp_path, there, asked, said):
    machine = Machine(tmp_path, there)

    answer = machine.run()

    assert answer.returncode == 0, answer.stderr
    assert machine.calls == ([["install", "--quiet", "--no-deps", *asked]] if asked else [])
    assert answer.stdout.startswith("Set-up: ")
    assert said in answer.stdout
    assert answer.stdout.count("\n") == 1, "one line says it all"
    assert answer.stderr == ""


def test_a_second_run_installs_nothing_and_the_code_can_be_imported_at_once(tmp_path):
    machine = Machine(tmp_path, ())

    answer = machine.run(then="exec(cell)\nimport chapters_code, d2l")

    assert answer.returncode == 0, answer.stderr
    assert len(machine.calls) == 1
    assert answer.stdout.splitlines()[1] == "Set-up: all is here, nothing to install."


def test_without_an_address_the_cell_says_what_to_do_and_stops(tmp_path):
    """It raises, so that 'Run all' ends here and not at an import that says nothing."""
    machine = Machine(tmp_path, ())

    answer = machine.run(address="")

    assert answer.returncode == 1
    last = answer.stderr.splitlines()[-1]
    assert "does not find the book's code" in last and "keep_the_crack-….whl" in last and "run this cell again" in last
    assert machine.calls == []


WHEEL = "keep_the_crack-0.1.0-py3-none-any.whl"


@pytest.mark.parametrize("address", ["", ADDRESS])
@pytest.mark.parametrize("folder", [".", "drive/MyDrive", "drive/MyDrive/keep-the-crack"])
def test_the_wheel_that_somebody_put_there_goes_before_the_address(tmp_path, folder, address):
    machine = Machine(tmp_path, ("d2l",))
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / WHEEL).touch()

    answer = machine.run(address=address, then="exec(cell)")

    assert answer.returncode == 0, answer.stderr
    assert machine.calls == [["install", "--quiet", "--no-deps", str(Path(folder, WHEEL))]]
    assert answer.stdout.splitlines() == [
        "Set-up: installed chapters_code; Colab's own packages stay.",
        "Set-up: all is here, nothing to install.",
    ]


def test_a_chapter_that_does_not_import_d2l_does_not_ask_for_it(tmp_path):
    chapters = {path.stem: nbformat.read(path, as_version=4) for path in notebooks.paths()}
    asks = [name for name, notebook in chapters.items() if "d2l" in notebooks.setup_text(notebook, CELL)]
    assert asks == ["06_fcn"]

    machine = Machine(tmp_path, ())
    answer = machine.run(cell=notebooks.setup_text(chapters["01_pooling"], CELL))
    assert machine.calls == [["install", "--quiet", "--no-deps", BOOK]]
    assert "installed chapters_code;" in answer.stdout


def test_without_an_address_d2l_alone_is_still_fetched(tmp_path):
    machine = Machine(tmp_path, ("chapters_code",))

    assert machine.run(address="").returncode == 0
    assert machine.calls == [["install", "--quiet", "--no-deps", D2L]]


def test_when_pip_fails_its_last_words_are_shown(tmp_path):
    answer = Machine(tmp_path, ()).run(PIP_FAILS="1")

    assert answer.returncode == 1
    assert answer.stdout.splitlines() == [f"pip's line {number}" for number in range(13, 21)]
    assert "Run this cell again" in answer.stderr.splitlines()[-1]


@pytest.mark.parametrize("there", [("chapters_code",), ("chapters_code", "d2l")])
def test_at_home_the_cell_only_looks(tmp_path, there):
    """The line is stored in every notebook, so it never changes."""
    machine = Machine(tmp_path, there)

    answer = machine.run(colab=False)

    assert answer.stdout == "Set-up: the book's code is here, nothing to install.\n"
    assert machine.calls == []


def test_at_home_without_the_code_it_says_what_to_do(tmp_path):
    machine = Machine(tmp_path, ("d2l",))

    answer = machine.run(colab=False)

    assert answer.returncode == 1
    assert "make lab" in answer.stderr.splitlines()[-1]
    assert machine.calls == []

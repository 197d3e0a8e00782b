"""What SECURITY.md says: nothing is unpickled, downloads are what they should be, no shell, no script from data."""

import ast
import contextlib
import html
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from chapters_code.data.fetching import download
from chapters_code.data.fetching.download import WrongData, fetch
from chapters_code.data.fetching.sources import SOURCES, Archive
from chapters_code.weights import NETWORKS, _published
from chapters_code.widgets.moving import MovingFigure

ROOT = Path(__file__).parents[2]
# Our own programs.  Tests hold the attacks, so of them only torch.load is asked.
FOLDERS = ("book", "benchmarks", "chapters_code", "classroom", "experiments", "tools")

# Where a program runs what it has read, and why that is right.
RIGHT = {
    ("classroom/grading/child.py", "exec"): "a student's answer, in a process that is locked in",
    ("classroom/grading/child.py", "eval"): "the same",
    ("classroom/grading/wire.py", "torch.load"): "what the judge has sent to its own child; replies are read with care",
    ("tools/answer_mutants.py", "exec"): "our own solutions, spoilt",
}
NEVER = re.compile(
    r"(pickle|dill|marshal|shelve|joblib|cloudpickle)\.\w*(load|open)\w*|os\.(system|popen)|subprocess\.get(status)?output"
    r"|tempfile\.mktemp|shutil\.unpack_archive|ssl\._create_unverified_context|torch\.hub\.\w+|yaml\.(unsafe_)?load(_all)?"
    r"|eval|exec|compile_command"
)


def faults(source: str) -> list[tuple[str, int]]:
    """List the dangerous calls of a program: what is called, and in which line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called, given = ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords}
        careful = given.get("weights_only") == "True"
        dangerous = (
            (called in ("torch.load", "load_state_dict_from_url") and not careful)
            or NEVER.fullmatch(called)
            or given.get("shell", "False") != "False"
            or given.get("allow_pickle", "False") != "False"
            or given.get("verify", "True") == "False"
            or called.endswith((".extractall", ".extract"))
        )
        if dangerous:
            found.append((called, node.lineno))
    return found


def programs() -> dict[str, str]:
    """All of our own Python: modules, the chapters' cells, and what the pages show to be typed."""
    found = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[path.name] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for path in (ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))):
        blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        found[path.name] = "\n".join(blocks)
    return found


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "pickle.loads(data)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "os.system('ls')",
        "subprocess.run(line, shell=True)",
        "archive.extractall(folder)",
        "requests.get(url, verify=False)",
        "eval(text)",
    ],
)
def test_a_dangerous_call_is_noticed(source):
    assert faults(source)


def test_no_program_of_the_book_unpickles_uses_a_shell_or_runs_what_it_read():
    found = {(name, called) for name, source in programs().items() for called, _ in faults(source)}
    assert found == set(RIGHT)


def test_the_tests_read_weights_with_care_too():
    for path in sorted((ROOT / "tests").rglob("*.py")):
        called = [line for name, line in faults(path.read_text(encoding="utf-8")) if name == "torch.load"]
        assert called == [], path.name


# --- downloads ------------------------------------------------------------------------------------
def test_every_download_goes_over_https():
    archives = [archive for source in SOURCES.values() for archive in source.archives]
    assert all(archive.urls for archive in archives)
    urls = [url for archive in archives for url in archive.urls] + [_published(name)[0].url for name in NETWORKS]
    assert [url for url in urls if not url.startswith("https://")] == []


def test_a_checksum_is_asked_where_anybody_publishes_one():
    """VOC's archive; the weights have it in their names.  The other sets' makers publish none."""
    known = {name for name, source in SOURCES.items() if all(one.checksum for one in source.archives)}
    assert known == {"voc2012"}
    assert all(re.fullmatch(r".*-[0-9a-f]{8}\.pth", _published(name)[0].url) for name in NETWORKS)


def test_a_server_that_sends_on_to_plain_http_is_refused(tmp_path, monkeypatch):
    answer = SimpleNamespace(url="http://elsewhere/a.zip", status_code=200, headers={}, raise_for_status=lambda: None)
    monkeypatch.setattr(download.requests, "get", lambda *_, **__: contextlib.nullcontext(answer))
    with pytest.raises(WrongData, match="sends on to http://elsewhere/a.zip"):
        fetch(Archive("a.zip", ("https://here/a.zip",), 10), tmp_path, retries=0, pause=0)
    assert list(tmp_path.glob("*.zip")) == []


def test_archives_are_opened_by_modules_that_look_first():
    """At every name, before they write one: tests/data/test_unpack.py, tests/classroom/test_grade.py."""
    opened = {
        name for name, source in programs().items() if re.search(r"^import (zipfile|tarfile)$", source, re.MULTILINE)
    }
    assert opened == {
        "chapters_code/data/fetching/unpack.py",
        "chapters_code/train/checkpoints.py",  # only looks whether a checkpoint is whole
        "classroom/grading/collect.py",
        "tools/pack.py",  # only writes one
        "classroom/grading/wire.py",  # tensors from a student's process, with a limit on what they unpack to
    }


# --- the site -------------------------------------------------------------------------------------
def scripts() -> dict[str, str]:
    """The JavaScript that readers' browsers run, but for that of the theme."""
    paths = [*(ROOT / "chapters_code" / "widgets").glob("*.js"), *(ROOT / "book" / "_static").glob("*.js")]
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(paths)}


def test_no_script_of_ours_makes_code_from_data_or_sends_anything():
    """So a picture of the reader's own, in a figure, stays where it is."""
    forbidden = r"\beval\(|new Function|document\.write|insertAdjacentHTML"
    forbidden += r"|fetch\(|XMLHttpRequest|sendBeacon|WebSocket|EventSource"
    assert {name: re.findall(forbidden, text) for name, text in scripts().items() if re.search(forbidden, text)} == {}
    for name, text in scripts().items():
        for written in re.findall(r"\.(?:inner|outer)HTML\s*=\s*(.+)", text):
            assert re.fullmatch(r"""(['"`])[^$'"`]*(?:(?!\1)['"][^$'"`]*)*\1;""", written), f"{name}: {written}"


def test_what_a_figure_is_told_cannot_end_its_script():
    attack = '</script><img src=x onerror="alert(1)">'

    class Attacked(MovingFigure):
        _esm = "export default {}"
        description = attack

        def still(self):
            return "<svg/>"

        def state(self):
            return {"words": attack}

    page = Attacked().to_html()
    assert attack not in page
    assert html.escape(attack) in page and '"words": "\\u003c/script>' in page
    assert page.count("</script>") == 1

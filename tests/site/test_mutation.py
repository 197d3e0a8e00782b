"""The tool that plants faults: it finds them, finds none where there is none, and knows one again in another file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mutation

MODULE = '''"""Halves."""

__all__ = ["half"]


def half(x: int | None, *, up: bool = False) -> int:
    """Return the half."""
    if x is None:
        raise ValueError(f"there are {1 + 1} halves of nothing")
    return x // 2 + (x % 2 if up else 0)
'''
TEST = "from chapters_code.hwd import half\n\n\ndef test_half():\n    assert half(9) == 4\n"


def run(folder, test=TEST, conftest=""):
    (folder / "chapters_code").mkdir()
    (folder / "tests").mkdir()
    (folder / "chapters_code" / "__init__.py").touch()
    (folder / "chapters_code" / "hwd.py").write_text(MODULE)
    (folder / "tests" / "test_hwd.py").write_text(test)
    (folder / "tests" / "conftest.py").write_text(conftest)
    command = [sys.executable, mutation.__file__, "hwd", "--root", folder, "--share", "1", "--jobs", "2"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_a_fault_in_a_tested_line_is_killed_and_one_in_an_untested_survives(tmp_path):
    done = run(tmp_path)
    result = json.loads((tmp_path / "tests" / "mutation.json").read_text())["topics"]["hwd"]
    survivors = {(one["line"], one["became"]) for one in result["survivors"]}
    line = "return x // 2 + (x % 2 if up else 0)"
    assert done.returncode == 0, done.stderr
    assert survivors == {
        (line, "return x // 2 - (x % 2 if up else 0)"),
        (line, "return x // 2 + (x // 2 if up else 0)"),
        (line, "return x // 2 + (x % 3 if up else 0)"),
        (line, "return x // 2 + (x % 1 if up else 0)"),
    }
    # Killed: the other division, its 2 twice, both conditions negated, `is` turned, and False.
    assert len(result["drawn"].split()) == 13
    assert (tmp_path / "chapters_code" / "hwd.py").read_text() == MODULE


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"test": TEST.replace("4", "5")}, "red without a fault"),
        ({"conftest": "import chapters_code.hwd\n"}, "never imported"),  # it was, before the hook was there
    ],
)
def test_nothing_is_measured_where_tests_are_red_or_the_module_was_there_before(tmp_path, files, message):
    done = run(tmp_path, **files)
    assert done.returncode == 1 and message in done.stderr
    assert not (tmp_path / "tests" / "mutation.json").exists()


def test_a_mutant_is_known_wherever_its_function_lives(tmp_path):
    here, there = tmp_path / "here.py", tmp_path / "there.py"
    here.write_text(MODULE)
    there.write_text(f"LEAST = 3\n\n\n{MODULE.split('__all__')[1].split(']')[1]}\n\ndef other():\n    return 3\n")
    known, found = ({one["id"]: one["became"] for one, _ in mutation.mutants(path, 1)} for path in (here, there))
    assert len(known) == 13 and known.items() <= found.items()


@pytest.mark.slow
def test_the_sample_is_the_same_each_time_and_grows_with_its_share():
    path = Path(mutation.__file__)
    few, many = ([one["id"] for one, _ in mutation.mutants(path, share)] for share in (0.02, 0.2))
    assert 0 < len(few) < len(many) and set(few) <= set(many)


def test_killed_equivalent_and_open_are_counted():
    topics = [
        {"drawn": "a b c", "survivors": [{"id": "b", "equivalent": "why"}, {"id": "c"}]},
        {"drawn": "d", "survivors": []},
    ]
    assert mutation.counts(topics) == "2 of 4 killed, 1 equivalent, 1 open"
    assert mutation.counts(topics, {"c", "d"}) == "1 of 2 killed, 0 equivalent, 1 open"

"""What a teacher hands out: it comes from the chapters alone, and tells no answer and no seed."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from chapters_code import exercises
from classroom.__main__ import main
from classroom.chapters import chapters
from classroom.checks import grade
from classroom.grading.judge import Verdict

ROOT = Path(__file__).parents[2]
SEED = 70_777_007


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """All that is written for one chapter that has a second version."""
    out = tmp_path_factory.mktemp("made")
    assert main(["make", "--chapters", "1", "--out", str(out), "--seed", str(SEED)]) == 0
    return out


def sources(path: Path, kind: str = "code") -> list[str]:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def test_every_exercise_of_the_book_has_a_task_with_a_stub():
    tasks = [task for chapter in chapters() for task in chapter.tasks]
    assert [task.number for task in tasks] == list(exercises.numbers())
    for task in tasks:
        assert task.title and task.text and task.stars in (1, 2, 3)
        assert task.name in task.stub and "check(" not in task.stub and "](" not in task.text.replace("](http", "")
        compile(task.stub, "stub", "exec")
        compile(task.answer, "answer", "exec")


def test_a_chapter_is_named_by_number_word_or_both():
    assert [chapters((name,))[0].name for name in ("1", "01", "pooling", "01_pooling")] == ["01_pooling"] * 4
    with pytest.raises(ValueError, match="there is no chapter 'poling'; there are 00_pictures"):
        chapters(("poling",))


def test_a_value_is_worked_out_in_plain_lines():
    tasks = {task.number: task for chapter in chapters() for task in chapter.tasks}
    assert "def " not in tasks["1.7"].answer and "return" not in tasks["1.7"].answer
    for task in tasks.values():
        if task.kind not in ("code", "explain"):
            space: dict = {}
            exec(task.answer, space)
            assert exercises.grade(task.number, space[task.name]) is None, task.number


def test_students_get_stubs_without_outputs_solutions_or_seed(made):
    for name in ("01_pooling", "01_pooling_b"):
        path = made / "students" / f"{name}.ipynb"
        text = path.read_text(encoding="utf-8")
        notebook = nbformat.read(path, as_version=4)
        assert not any(cell.get("outputs") for cell in notebook.cells)
        assert "SOLUTION" not in text and "HIDDEN" not in text and str(SEED) not in text and "nbgrader" not in text
        assert text.count("your turn") == sum(cell.startswith("def ") for cell in sources(path))
    assert 'check(\\"1.1\\", min_pool2d)' in (made / "students" / "01_pooling.ipynb").read_text(encoding="utf-8")
    head = sources(made / "students" / "01_pooling.ipynb", "markdown")[0]
    assert head.startswith("# 01 · Pooling")
    tasks = chapters(("1",))[0].tasks
    assert f"{sum(one.minutes for one in tasks)} minutes; {sum(one.points for one in tasks)} points" in head


def test_solutions_pass_their_checks(made, capsys):
    """Cell by cell in one place, as in a notebook; the set-up cell is the chapter's own, and tested there."""
    for name in ("01_pooling", "01_pooling_b"):
        space: dict = {}
        for cell in sources(made / "solutions" / f"{name}.ipynb")[1:]:
            exec(cell, space)
    out = capsys.readouterr().out
    kinds = [task.kind for task in chapters(("1",))[0].tasks]
    assert out.count(": right.") == len(kinds) - kinds.count("explain") and "not yet" not in out
    assert out.count("only a person can read your") == kinds.count("explain") > 0


def test_an_assignment_has_points_hidden_tests_and_answers_for_a_person(made):
    notebook = nbformat.read(made / "source" / "01_pooling" / "01_pooling.ipynb", as_version=4)
    marks = {cell.id: cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata}
    tests = {name: one.points for name, one in marks.items() if name.startswith("test-")}
    tasks = [task for task in chapters(("1",))[0].tasks if task.kind != "explain"]
    assert tests == {f"test-{task.number.replace('.', '-')}": task.points for task in tasks}
    assert (tests["test-1-1"], tests["test-1-4"], tests["test-1-6"]) == (1, 3, 6)
    assert marks["exercise-1-8"].grade and marks["exercise-1-8"].solution and marks["exercise-1-8"].points == 1
    for cell in notebook.cells:
        if cell.id.startswith("test-"):
            visible, _, hidden = cell.source.partition("### BEGIN HIDDEN TESTS")
            assert str(SEED) in hidden and str(SEED) not in visible and "check(" in visible
    second = sources(made / "source" / "01_pooling_b" / "01_pooling_b.ipynb")[-1]
    assert "# Two examples." in second and "from classroom.checks import grade" in second


def test_second_versions_have_a_check_of_their_own():
    assert grade("1.1b", lambda x, k: x, 3).startswith("The result is wrong")
    with pytest.raises(ValueError, match="there is no second version '1.999b'"):
        grade("1.999b", None, 0)


def test_the_sheet_has_all_that_a_teacher_asks(made):
    sheet = (made / "sheets" / "01_pooling.md").read_text(encoding="utf-8")
    for words in (
        "| 1.6 The way back of the gradient | code | ★★★ | 30 | 6 |",
        f"1. {exercises.hints('1.1')[0]}",
        exercises.rubric("1.8")[0],
        "out[n, c, top + place // kernel_size, left + place % kernel_size] = gradient[n, c, i, j]",
        "* `functional.max_pool2d`: The result is wrong: the numbers differ",
        "* `4`: You said 4, and that is not what comes out. Hint 2.",
        "## 1.1b Where something is",
    ):
        assert words in sheet


def test_a_seed_is_drawn_once_and_kept(tmp_path, monkeypatch):
    seeds = []
    monkeypatch.setattr("classroom.__main__._make", lambda said, seed: seeds.append(seed) or 0)
    for more in ([], [], ["--seed", "5"], []):
        assert main(["make", "--out", str(tmp_path), *more]) == 0
    assert seeds[0] == seeds[1] != 5 and seeds[2:] == [5, 5]


def test_a_slip_gets_one_line(tmp_path, capsys):
    assert main(["grade", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.endswith("name the one that the students' notebooks are in\n")


# Several commands in one process: to import nbgrader takes longer than most of them.
_COMMANDS = """
import os
from nbgrader.apps.nbgraderapp import NbGraderApp
for command in os.environ["COMMANDS"].splitlines():
    NbGraderApp.clear_instance()
    try:
        NbGraderApp.launch_instance(command.split())
    except SystemExit as ended:
        print(command, ended.code)
"""


@pytest.mark.slow
def test_nbgrader_grades_what_was_made(tmp_path):
    """Generate, hand in (right, wrong and blank answers, an endless one, a broken file), autograde, export."""
    assert main(["make", "--chapters", "0", "--out", str(tmp_path), "--seed", str(SEED)]) == 0

    def nbgrader(*commands: str) -> None:
        environment = {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython"), "COMMANDS": "\n".join(commands)}
        command = [sys.executable, "-c", _COMMANDS]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr

    nbgrader("generate_assignment 00_pictures")
    path = tmp_path / "release" / "00_pictures" / "00_pictures.ipynb"
    released = path.read_text(encoding="utf-8")
    assert str(SEED) not in released and "HIDDEN" not in released and "SOLUTION" not in released
    code = [task for task in chapters(("0",))[0].tasks if task.kind == "code"]
    assert sum("your turn" in cell for cell in sources(path)) == len(code)

    answers = {task.name: task.answer for task in chapters(("0",))[0].tasks}
    del answers["same_padding"]
    answers["channels_first"] = "def channels_first(photo):\n    return photo.permute(2, 0, 1)"  # of the wrong dtype

    def hand_in(student: str, cells: str, given: dict[str, str]) -> Path:
        notebook = json.loads(released)
        notebook["cells"] = [cell for cell in notebook["cells"] if re.fullmatch(cells, cell["id"])]
        for cell in notebook["cells"]:
            name = next((name for name in given if f"def {name}(" in "".join(cell["source"])), None)
            cell["source"] = given[name] if name else cell["source"]
        path = tmp_path / "submitted" / student / "00_pictures" / "00_pictures.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return path

    hand_in("partly", "setup|imports|.*-0-[134]", answers)  # one wrong, one right, one blank
    # Without the imports, which may take longer than this loop is given.
    hand_in("endless", ".*-0-1", {"channels_first": "while True: pass"})
    hand_in("broken", "none", {}).write_text('{"cells": [')
    nbgrader(
        "autograde 00_pictures --student=partly",
        "autograde 00_pictures --student=endless --ExecutePreprocessor.timeout=3",
        "autograde 00_pictures --student=broken",
        "export --to grades.csv",
    )
    with (tmp_path / "grades.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["assignment"] == "00_pictures"]
    scores = {row["student_id"]: float(row["score"]) for row in rows}
    tests = {cell.id: cell.outputs for cell in graded(tmp_path, "partly") if cell.id.startswith("test-")}
    assert {name: scores[name] for name in ("partly", "endless", "broken")} == {"partly": 1, "endless": 0, "broken": 0}
    assert [any(one.output_type == "error" for one in outputs) for outputs in tests.values()] == [True, False, True]
    assert any(one.get("ename") == "CellTimeoutError" for cell in graded(tmp_path, "endless") for one in cell.outputs)


def graded(folder: Path, student: str) -> list:
    path = folder / "autograded" / student / "00_pictures" / "00_pictures.ipynb"
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_our_own_solutions_are_graded_at_the_end(monkeypatch, tmp_path, capsys):
    verdicts = {
        "1.1": Verdict("right"),
        "1.8": Verdict("words"),
        "1.2": Verdict("wrong", "The result is wrong.\nMore."),
    }
    seen = []

    def graded(folder, *_):
        seen.extend(path.name for path in folder.iterdir())
        return SimpleNamespace(graded=[SimpleNamespace(verdicts=verdicts)])

    monkeypatch.setattr("classroom.grading.run.grade", graded)
    words = ["make", "--check", "--chapters", "1", "--out", str(tmp_path), "--seed", str(SEED)]
    assert main(words) == 1
    said = capsys.readouterr()
    assert sorted(seen) == ["01_pooling.ipynb", "01_pooling_b.ipynb"]
    assert said.out.endswith("Our own solutions, graded as a student's are: 2 of 3 right.\n")
    assert said.err == "1.2: our own solution is wrong: The result is wrong.\n"
    del verdicts["1.2"]
    assert main(words) == 0

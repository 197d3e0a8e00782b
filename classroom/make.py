"""Write from the chapters what a teacher hands out, keeps, and grades with nbgrader."""

import json
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import torch
from nbformat import NotebookNode
from torch import Tensor

from chapters_code import exercises
from classroom.chapters import ROOT, Chapter, Task, chapters
from classroom.grading.run import DRAWS
from classroom.sheet import sheet

__all__ = ["make"]

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_BOOK = """Put your answer in place of the line with `raise`, or of the three dots, or between the quotes, and run the
cell. `check` says whether an answer is right; `hint("N.M")` helps. Of the book's functions an answer may use those
that its task names. Stars say how hard an exercise is: ★ is a few minutes, ★★ a quarter of an hour, ★★★ half an hour.
What is graded is the cell with the exercise, and the functions, imports and constants that it needs; leave its name
and the line with `check` as they are."""
_SECOND = """Put your answer in place of the line with `raise`, and run the cell, and the one below, which holds two
examples; your answer will be tried on many more. Of the book's functions an answer may use those that its task names.
What is graded is your function, and the functions, imports and constants that it needs; leave its name as it is."""


def make(out: Path, seed: int, only: tuple[str, ...] = ()) -> list[str]:
    """Write all notebooks and sheets; return the names of the assignments.

    Args:
        out: The folder: `students/`, `solutions/`, `sheets/`, and `source/` with `nbgrader_config.py` for nbgrader.
        seed: The teacher's: of what the hidden tests draw their inputs from.
        only: The chapters, see `classroom.chapters.chapters`.
    """
    made = []
    for chapter in chapters(only):
        for name, tasks in ((chapter.name, chapter.tasks), (f"{chapter.name}_b", chapter.variants())):
            if not tasks:
                continue
            examples = {task.number: _examples(task) for task in tasks if task.variant}
            _store(out / "students" / f"{name}.ipynb", _notebook(chapter, tasks, examples, solved=False))
            _store(out / "solutions" / f"{name}.ipynb", _notebook(chapter, tasks, examples, solved=True))
            _store(out / "source" / name / f"{name}.ipynb", _assignment(chapter, tasks, examples, seed))
            made.append(name)
        (out / "sheets").mkdir(parents=True, exist_ok=True)
        (out / "sheets" / f"{chapter.name}.md").write_text(sheet(chapter), encoding="utf-8")
    for path in (Path(__file__).parent / "sheets").glob("*.md"):  # exams and the project
        shutil.copy(path, out / "sheets")
    config = (Path(__file__).parent / "nbgrader_config.txt").read_text(encoding="utf-8")
    (out / "nbgrader_config.py").write_text(config.replace("ROOT_OF_THE_BOOK", repr(str(ROOT))), encoding="utf-8")
    _gradebook(out, made)
    return made


# ---- notebooks for students and teachers ----------------------------------------------------------


def _notebook(chapter: Chapter, tasks: Sequence[Task], examples: dict[str, str], *, solved: bool) -> NotebookNode:
    cells = _head(chapter, tasks)
    for task in tasks:
        cells.append(_said(task))
        answer = task.answer if solved else task.stub
        if not task.variant:
            answer += ("\n\n" if task.kind != "code" else "\n\n\n") + task.call
        cells.append(_code(f"exercise-{_id(task)}", answer))
        if examples.get(task.number):
            cells.append(_code(f"examples-{_id(task)}", examples[task.number]))
    return _whole(cells)


def _head(chapter: Chapter, tasks: Sequence[Task]) -> list[NotebookNode]:
    second = any(task.variant for task in tasks)
    minutes = sum(task.minutes for task in tasks)
    points = sum(task.points for task in tasks)
    title = f"# {chapter.title}: {'another set of exercises' if second else 'the exercises'}"
    text = f"{title}\n\n{_SECOND if second else _BOOK}\n\nAbout {minutes} minutes; {_points(points)}."
    cells = [nbformat.v4.new_markdown_cell(text, id="head")]
    cells.append(_code("setup", chapter.setup))
    cells.append(_code("imports", chapter.imports(tasks)))
    return cells


def _said(task: Task) -> NotebookNode:
    heading = f"## Exercise {task.number} {'★' * task.stars} {task.title}"
    text = f"{heading}\n\n{task.text}\n\n({_points(task.points)})"
    return nbformat.v4.new_markdown_cell(text, id=f"task-{_id(task)}")


def _points(count: int) -> str:
    return f"{count} point{'s' if count > 1 else ''}"


def _code(name: str, source: str, **metadata: Any) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, id=name, metadata=metadata)


def _id(task: Task) -> str:
    return task.number.replace(".", "-")


def _whole(cells: list[NotebookNode]) -> NotebookNode:
    return nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(_METADATA))


def _store(path: Path, notebook: NotebookNode) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


# ---- assignments for nbgrader ---------------------------------------------------------------------


def _assignment(chapter: Chapter, tasks: Sequence[Task], examples: dict[str, str], seed: int) -> NotebookNode:
    cells = _head(chapter, tasks)
    for cell in cells[1:]:
        cell.metadata["nbgrader"] = _marks(cell.id, locked=True)
    for task in tasks:
        said = _said(task)
        said.metadata["nbgrader"] = _marks(said.id, locked=True)
        by_hand = task.kind == "explain"
        marks = _marks(f"exercise-{_id(task)}", solution=True, grade=by_hand, points=task.points if by_hand else None)
        answer = f"### BEGIN SOLUTION\n{task.answer}\n### END SOLUTION"
        # What students get in its place: nbgrader's own line would not do for a value.
        cells += [said, _code(f"exercise-{_id(task)}", answer, nbgrader=marks, book={"stub": task.stub})]
        if by_hand:  # its output is the rubric, for who reads the answer
            cells.append(_code(f"rubric-{_id(task)}", task.call, nbgrader=_marks(f"rubric-{_id(task)}", locked=True)))
        else:
            marks = _marks(f"test-{_id(task)}", grade=True, locked=True, points=task.points)
            cells.append(_code(f"test-{_id(task)}", _test(task, examples.get(task.number), seed), nbgrader=marks))
    return _whole(cells)


def _marks(name: str, **settings: Any) -> dict:
    marks = {"grade": False, "solution": False, "locked": False, "task": False, "grade_id": name, "schema_version": 3}
    return marks | {key: value for key, value in settings.items() if value is not None}


def _test(task: Task, examples: str | None, seed: int) -> str:
    visible = examples or ("" if task.variant else task.call)
    module = "classroom.checks" if task.variant else "chapters_code.exercises"
    seeds = ", ".join(str(seed + k) for k in range(DRAWS))
    return f"""{visible}
### BEGIN HIDDEN TESTS
from {module} import grade

for one in ({seeds}):
    problem = grade("{task.number}", {task.name}, seed=one)
    assert problem is None, problem
### END HIDDEN TESTS"""


def _gradebook(out: Path, made: Sequence[str]) -> None:
    """Make nbgrader's gradebook, if nbgrader is there."""
    try:
        from nbgrader.api import Gradebook
    except ImportError:
        return
    # nbgrader calls a program of its environment by its bare name.
    os.environ["PATH"] = os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", "")))
    gradebook = Gradebook(f"sqlite:///{out.resolve() / 'gradebook.db'}")
    try:
        for name in made:
            gradebook.update_or_create_assignment(name)
    finally:
        gradebook.close()


# ---- examples for second versions -----------------------------------------------------------------


def _examples(task: Task) -> str:
    """Write the two smallest inputs of a check, and what is right for them, as code.

    The check itself is not for students: the book's package does not know it.
    """
    seen: list[str] = []

    def remembered(*arguments: Any, **settings: Any) -> Any:
        given = [_literal(one) for one in arguments] + [f"{name}={_literal(one)}" for name, one in settings.items()]
        result = task.variant.solution(*arguments, **settings)
        wanted = _literal(result)
        if "?" not in "".join((*given, wanted)) and len("".join((*given, wanted))) < 500:
            call = f"{task.name}({', '.join(given)})"
            same = (
                f"torch.testing.assert_close({call}, {wanted})" if "tensor" in wanted else f"assert {call} == {wanted}"
            )
            if same not in seen:
                seen.append(same)
        return result

    if task.kind != "code":
        return ""
    exercises._try(task.exercise, remembered, 1)
    return "\n".join(["# Two examples.", *seen[:2]]) if seen else ""


def _literal(value: Any) -> str:
    """Write a value as code; "?" if it is none of the plain ones."""
    if isinstance(value, Tensor):
        if value.numel() > 40 or (value.is_floating_point() and not value.isfinite().all()):
            return "?"
        return f"torch.tensor({value.tolist()}, dtype={value.dtype})"
    if type(value) in (tuple, list):
        inside = ", ".join(map(_literal, value))
        comma = "," if len(value) == 1 else ""
        return f"({inside}{comma})" if type(value) is tuple else f"[{inside}]"
    if isinstance(value, float) and not math.isfinite(value):
        return "?"
    return repr(value) if type(value) in (bool, int, float, str, type(None), torch.dtype) else "?"

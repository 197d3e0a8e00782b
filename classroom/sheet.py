"""A sheet for the teacher on the exercises of one chapter: points, hints, solutions, what usually goes wrong."""

import ast
import inspect
from dataclasses import replace
from functools import cache

from chapters_code import exercises
from chapters_code.exercises.checking import KINDS
from classroom.chapters import Chapter, Task

__all__ = ["sheet"]

_KINDS = {
    "numbers": "other wrong numbers",
    "gradient": "right values, and a wrong gradient",
    "shape": "a wrong shape",
    "dtype": "a wrong dtype",
    "type": "something of another type",
    "error": "a stop with an error",
    "time": "a loop without an end",
    "changed": "a changed input",
    "closed": "the use of something that is closed",
    "asked": "something else that was asked for",
}


def sheet(chapter: Chapter) -> str:
    """Return the sheet, in Markdown."""
    tasks = (*chapter.tasks, *chapter.variants())
    head = f"# {chapter.title}: for the teacher\n\n| exercise | asks for | stars | minutes | points |\n|{'---|' * 5}"
    rows = [f"| {t.number} {t.title} | {t.kind} | {'★' * t.stars} | {t.minutes} | {t.points} |" for t in tasks]
    return "\n".join([head, *rows]) + "\n\n" + "\n".join(map(_about, tasks))


def _about(task: Task) -> str:
    parts = [f"## {task.number} {task.title}", task.text]
    if task.exercise.hints:
        parts.append("**Hints**\n\n" + "\n".join(f"{n}. {one}" for n, one in enumerate(task.exercise.hints, 1)))
    if task.kind == "explain":
        parts.append(f"**Our answer.** {task.note}")
        points = "\n".join(f"* {one}" for one in exercises.rubric(task.number))
        parts.append(f"**A good answer says**\n\n{points}")
    else:
        parts.append(f"**Solution**\n\n```python\n{task.answer}\n```\n\n{task.note}")
    if wrong := _usual(task):
        parts.append("**What usually goes wrong**, and what the check says\n\n" + "\n".join(wrong))
    return "\n\n".join(parts) + "\n"


def _usual(task: Task) -> list[str]:
    """List the mistakes that an exercise knows, with the first line of what the check says of each."""
    written = _written(inspect.getmodule(task.exercise.check)).get(task.number, []) if task.exercise.check else []
    lines = []
    for place, (hint, how) in enumerate(task.exercise.mistakes):
        if isinstance(how, str) and task.kind == "code":
            what = _KINDS[how] if how in KINDS else f"“{how}”"
            lines.append(f"* {what}: hint {hint}")
            continue
        what = written[place] if place < len(written) else getattr(how, "__name__", repr(how))
        said = _said(task, how)
        lines.append(f"* `{what}`: {said} Hint {hint}." if said else f"* `{what}`: hint {hint}")
    return lines


def _said(task: Task, how: object) -> str:
    # Our own mistakes stand in the book's code, which is closed to answers.
    allows = (*task.exercise.allows, how) if callable(how) else task.exercise.allows
    wrong = exercises._try(replace(task.exercise, mistakes=(), allows=allows), how, 0)[0]
    return str(wrong).split("\n")[0].split(" Of the book you may use")[0] if wrong else ""


@cache
def _written(module: object) -> dict[str, list[str]]:
    """Return the mistakes of a module's exercises as they are written there."""
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Exercise":
            number = next((one.value for one in node.args if isinstance(one, ast.Constant)), None)
            listed = next((one.value for one in node.keywords if one.arg == "mistakes"), None)
            if isinstance(listed, ast.Tuple):
                found[number] = [ast.unparse(one.elts[1]) for one in listed.elts if isinstance(one, ast.Tuple)]
    return found

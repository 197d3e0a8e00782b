"""Exercises that answer back: `check` says right, or what is wrong and the next hint (all chapters).

    check("1.1", my_function)     tries your answer
    hint("1.1")                   one hint more
    solution("1.1")               our answer, and why it works

Each chapter's checks and hints are in the module of its name, its solutions in `solutions/`: their only home.  The
site folds them in under each exercise, and the tests run every one of them through its check.
"""

import inspect
import textwrap
from collections.abc import Callable
from types import ModuleType

import torch
from IPython.display import display

from chapters_code.exercises import pictures, pooling
from chapters_code.exercises.checking import Exercise, Wrong
from chapters_code.exercises.solutions import pictures as pictures_solutions
from chapters_code.exercises.solutions import pooling as pooling_solutions

__all__ = ["check", "grade", "hint", "numbers", "solution", "solution_note", "solution_source"]

_CHAPTERS = ((pictures, pictures_solutions), (pooling, pooling_solutions))
_EXERCISES: dict[str, tuple[Exercise, ModuleType]] = {
    exercise.number: (exercise, solutions) for chapter, solutions in _CHAPTERS for exercise in chapter.EXERCISES
}
# How many hints of each exercise this reader has seen.
_seen: dict[str, int] = {}


def numbers() -> tuple[str, ...]:
    """Give the numbers of all exercises, in the order of the book."""
    return tuple(_EXERCISES)


def grade(number: str, answer: Callable) -> str | None:
    """Try an answer; return None if it is right, and what is wrong with it if not.

    Raises:
        NotImplementedError: The answer is still the empty stub.
        ValueError: There is no exercise of that number, or the answer is not a function.
    """
    exercise = _find(number)
    if not callable(answer):
        raise ValueError(
            f"check({number!r}, ...) wants your function itself, got {type(answer).__name__}:"
            f" write check({number!r}, {exercise.name}), without calling it"
        )
    # Whatever is drawn here, the reader's own random numbers go on as if nothing had been checked.
    with torch.random.fork_rng(devices=[]):
        try:
            exercise.check(answer)
            # Once more, on inputs that no answer can have learnt by heart.
            torch.default_generator.seed()
            exercise.check(answer)
        except Wrong as wrong:
            return str(wrong)
    return None


def check(number: str, answer: Callable) -> None:
    """Try your answer on many inputs, and say that it is right, or what is wrong and the next hint.

    Args:
        number: The exercise, for example "1.1".
        answer: Your function.
    """
    try:
        problem = grade(number, answer)
    except NotImplementedError:
        print(f"Exercise {number} waits for you: replace the line with raise by your answer, then run the cell again.")
        print(f'Stuck? hint("{number}") gives a hint, solution("{number}") shows our answer.')
        return
    if problem is None:
        print(f"Exercise {number}: right. Your answer agrees with the trusted one on every input tried.")
        return
    print(f"Exercise {number}: not yet. {problem}\n")
    hint(number)


def hint(number: str) -> None:
    """Print the next hint; after the last one, say where the solution is."""
    hints = _find(number).hints
    seen = _seen.get(number, 0)
    if seen < len(hints):
        _seen[number] = seen + 1
        print(f"Hint {seen + 1} of {len(hints)}: {hints[seen]}")
    else:
        print(f'No hint is left. solution("{number}") shows our answer.')


def solution(number: str) -> None:
    """Show our answer and why it works."""
    source, note = solution_source(number), solution_note(number)
    display({"text/plain": f"{source}\n{note}", "text/markdown": f"```python\n{source}```\n\n{note}"}, raw=True)


def solution_source(number: str) -> str:
    """Give the code of our answer, with the imports it needs and without its explanation."""
    exercise, solutions = _EXERCISES[_find(number).number]
    function = getattr(solutions, exercise.name)
    text = textwrap.dedent(inspect.getsource(function))
    note = function.__doc__
    head, body = text.split(f'    """{note}"""\n', 1)
    return _imports(solutions, body) + head + body


def solution_note(number: str) -> str:
    """Give the paragraph that says why our answer works, in Markdown."""
    exercise, solutions = _EXERCISES[_find(number).number]
    return inspect.cleandoc(getattr(solutions, exercise.name).__doc__)


def _imports(module: ModuleType, body: str) -> str:
    """Pick the module's import lines whose names the code uses."""
    lines = [line for line in inspect.getsource(module).split("\n") if line.startswith(("import ", "from "))]
    used = [line for line in lines if any(f"{name.strip()}" in _words(body) for name in line.split("import ")[1].split(","))]
    return "\n".join(used) + "\n\n\n" if used else ""


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


def _find(number: str) -> Exercise:
    if number not in _EXERCISES:
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(_EXERCISES)}")
    return _EXERCISES[number][0]

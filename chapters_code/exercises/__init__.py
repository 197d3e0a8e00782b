"""Exercises that answer back: `check` says right, or what is wrong and the next hint (all chapters).

    check("1.1", my_function)     tries your answer
    hint("1.1")                   one hint more
    solution("1.1")               our answer, and why it works

Each chapter's checks and hints are in the module of its name, its solutions in `solutions/`: their only home.  The
site folds them in under each exercise, and the tests run every one of them through its check.
"""

import ast
import inspect
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import torch
from IPython.display import display

from chapters_code.exercises.checking import Exercise, Wrong, whole

__all__ = ["check", "grade", "hint", "numbers", "solution", "solution_note", "solution_source"]

# Each chapter's checks and hints are in NAME.py, its answers in solutions/NAME.py.
_NAMES = {module.name for module in iter_modules(__path__)} - {"checking", "solutions"}
_CHAPTERS = sorted(
    (import_module(f"{__name__}.{name}") for name in _NAMES),
    key=lambda chapter: int(chapter.EXERCISES[0].number.split(".")[0]),
)
_EXERCISES: dict[str, tuple[Exercise, ModuleType]] = {
    exercise.number: (exercise, import_module(f"{__name__}.solutions.{chapter.__name__.split('.')[-1]}"))
    for chapter in _CHAPTERS
    for exercise in chapter.EXERCISES
}
# How many hints of each exercise this reader has seen.
_seen: dict[str, int] = {}
# The code of the answer to each exercise that was last found wrong.
_failed: dict[str, object] = {}


def numbers() -> tuple[str, ...]:
    """Return the numbers of all exercises, in the order of the book."""
    return tuple(_EXERCISES)


def grade(number: str, answer: Callable, seed: int | None = None) -> str | None:
    """Try an answer; return None if it is right, and what is wrong with it if not.

    Args:
        number: The exercise, for example "1.1".
        answer: The function.
        seed: Draw the inputs from this seed only.  Without it they are drawn twice: from a seed that the reader's
            random numbers give, so that a page shows the same again, and from a new one, so that no answer can have
            learnt the results by heart.  What is wrong names its seed.

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
        for one in (whole(0, 10**6), torch.default_generator.seed() % 10**6) if seed is None else (seed,):
            torch.default_generator.manual_seed(one)
            try:
                exercise.check(answer)
            except Wrong as wrong:
                again = f"check({number!r}, {exercise.name}, seed={one})".replace("'", '"')
                return f"{wrong}\n\nThe inputs were drawn with seed {one}; {again} tries the same ones again."
    return None


def check(number: str, answer: Callable, seed: int | None = None) -> None:
    """Try your answer on many inputs, and say that it is right, or what is wrong and the next hint.

    Args:
        number: The exercise, for example "1.1".
        answer: Your function.
        seed: Try the inputs of one seed only, which the message of a wrong answer names.
    """
    try:
        problem = grade(number, answer, seed)
    except NotImplementedError:
        print(f"Exercise {number} waits for you: replace the line with raise by your answer, then run the cell again.")
        print(f'Stuck? hint("{number}") gives a hint, solution("{number}") shows our answer.')
        return
    if problem is None:
        print(f"Exercise {number}: right. Your answer agrees with the trusted one on every input tried.")
        return
    print(f"Exercise {number}: not yet. {problem}\n")
    if "the numbers differ" not in problem:  # a wrong dtype, a stop, a closed function: the reason says it all
        print(f'Stuck? hint("{number}") gives a hint.')
        return
    # Running the same answer again shows the same hint again, and uses up none.
    code = getattr(answer, "__code__", answer)
    if _failed.get(number) == code and number in _seen:
        _print_hint(number, _seen[number] - 1)
    else:
        hint(number)
    _failed[number] = code


def hint(number: str) -> None:
    """Print the next hint; after the last one, begin again."""
    place = _seen.get(number, 0) % len(_find(number).hints)
    _seen[number] = place + 1
    _print_hint(number, place)


def _print_hint(number: str, place: int) -> None:
    hints = _find(number).hints
    print(f"Hint {place + 1} of {len(hints)}: {hints[place]}")
    if place + 1 == len(hints):
        print(f'That was the last hint. solution("{number}") shows our answer.')


def solution(number: str) -> None:
    """Show our answer and why it works."""
    source, note = solution_source(number), solution_note(number)
    display({"text/plain": f"{source}\n{note}", "text/markdown": f"```python\n{source}```\n\n{note}"}, raw=True)


def solution_source(number: str) -> str:
    """Return the code of our answer, with the imports it needs and without its explanation."""
    function, solutions = _solution(number)
    source = inspect.getsource(function)
    # Cut by lines: from Python 3.13 on, __doc__ has lost the indentation that the source still has.
    explanation = ast.parse(source).body[0].body[0]
    lines = source.splitlines(keepends=True)
    code = "".join(lines[: explanation.lineno - 1] + lines[explanation.end_lineno :])
    return _imports_of(code, solutions) + code


def solution_note(number: str) -> str:
    """Return the paragraph that says why our answer works, in Markdown."""
    return inspect.getdoc(_solution(number)[0])


def _imports_of(code: str, module: ModuleType) -> str:
    """Pick from the module's import lines those that the code needs."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    needed = []
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name) in used]
            needed += [ast.unparse(node)] if node.names else []
    return "\n".join(needed) + "\n\n\n" if needed else ""


def _solution(number: str) -> tuple[Callable, ModuleType]:
    exercise = _find(number)
    solutions = _EXERCISES[number][1]
    function = getattr(solutions, exercise.name, None)
    if function is None or not function.__doc__:
        raise ValueError(
            f"exercise {number} needs a solution: a function {exercise.name} in {solutions.__name__},"
            " with a docstring, which is the explanation that readers see"
        )
    return function, solutions


def _find(number: str) -> Exercise:
    if number not in _EXERCISES:
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(_EXERCISES)}")
    return _EXERCISES[number][0]

"""Exercises that answer back: `check` says right, or what is wrong and the next hint (all chapters).

    check("1.1", my_function)     tries your answer: a function, a number, or some sentences
    hint("1.1")                   one hint more
    solution("1.1")               our answer, and why it works
    progress()                    what you have tried and done, and what is open next

There are two editions of the book.  The class edition comes without `solutions/`: there, `solution` says that the
teacher has it, and all else is the same.  It keeps no secret beyond that: a check must hold what is right, so whoever
reads the code of the checks finds it there.

A number without quotes, `hint(1.1)`, will do; but to Python 6.10 is 6.1.

Each chapter's checks and hints are in the module of its name, its solutions in `solutions/`: their only home.  The
site of the open edition folds them in under each exercise, and the tests run every one of them through its check.
"""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import torch
from IPython.display import display
from torch import Tensor

from chapters_code.exercises.checking import STUB, Answer, Exercise, Wrong, plain, whole
from chapters_code.exercises.progress import DRIVE, add, as_text, from_text, kept, note, place, short, table

__all__ = [
    "check",
    "edition",
    "grade",
    "hint",
    "hints",
    "kind",
    "numbers",
    "progress",
    "rubric",
    "solution",
    "solution_note",
    "solution_source",
]

# Each chapter's checks and hints are in NAME.py, its answers in solutions/NAME.py.
_NAMES = {module.name for module in iter_modules(__path__)} - {"checking", "progress", "solutions"}
_CHAPTERS = sorted(
    (import_module(f"{__name__}.{name}") for name in _NAMES),
    key=lambda chapter: int(chapter.EXERCISES[0].number.split(".")[0]),
)
# Each exercise, and the name of its chapter's modules.
_EXERCISES: dict[str, tuple[Exercise, str]] = {
    exercise.number: (exercise, chapter.__name__.split(".")[-1])
    for chapter in _CHAPTERS
    for exercise in chapter.EXERCISES
}
_NOT_HERE = "your teacher has the solution. This is the class edition of the book."
# How many hints of each exercise this reader has seen.
_seen: dict[str, int] = {}
# The code of the answer to each exercise that was last found wrong.
_failed: dict[str, object] = {}


def numbers() -> tuple[str, ...]:
    """Return the numbers of all exercises, in the order of the book."""
    return tuple(_EXERCISES)


def edition() -> str:
    """Return which edition of the book this is: "open", or "class", which comes without our solutions."""
    there = find_spec(f"{__name__}.solutions")
    # A folder that holds nothing but what is left of old runs is a package, too, but has no origin.
    return "open" if there is not None and there.origin is not None else "class"


def hints(number: str | float) -> tuple[str, ...]:
    """Return the hints of an exercise in order, from a nudge to almost the answer."""
    return _find(number).hints


def kind(number: str | float) -> str:
    """Return what an exercise asks for, one of `chapters_code.exercises.checking.TASKS`."""
    return _find(number).kind


def grade(number: str | float, answer: Any, seed: int | None = None) -> str | None:
    """Try an answer; return None if it is right, and what is wrong with it if not.

    Args:
        number: The exercise, for example "1.1".
        answer: The function; for an exercise that asks for a value (predict, compute, measure), the value.
        seed: Draw the inputs from this seed only.  Without it they are drawn twice: from a seed that the reader's
            random numbers give, so that a page shows the same again, and from a new one, so that no answer can have
            learnt the results by heart.  What is wrong names its seed.

    Raises:
        NotImplementedError: The answer is still the empty stub.
        ValueError: There is no exercise of that number, the answer is not a function where one is asked for, or it is
            in words, which a person must read: `rubric` says what to look for.
    """
    # Without its mistakes: nobody asks for the hint, and to look for it takes time.
    wrong = _try(replace(_find(number), mistakes=()), answer, seed)[0]
    return None if wrong is None else str(wrong)


def _try(exercise: Exercise, function: Any, seed: int | None) -> tuple[Wrong | None, str]:
    """Return what is wrong, if anything is, and what the answer printed on the first input."""
    number = exercise.number
    if exercise.check is None:
        raise ValueError(
            f"Exercise {number} is answered in words, which a person must read; rubric({number!r}) says how"
        )
    if exercise.kind != "code":
        return _try_value(exercise, function), ""
    if not callable(function):
        raise ValueError(
            f"check({number!r}, ...) wants your function itself, got {type(function).__name__}:"
            f" write check({number!r}, {exercise.name}), without calling it"
        )
    answer = Answer(function, exercise.allows, exercise.mistakes)
    # Whatever is drawn here, the reader's own random numbers go on as if nothing had been checked.
    with torch.random.fork_rng(devices=[]), _plain_settings():
        for one in (whole(0, 10**6), torch.default_generator.seed() % 10**6) if seed is None else (seed,):
            torch.default_generator.manual_seed(one)
            try:
                exercise.check(answer)
            except Wrong as wrong:
                again = f'check("{number}", {exercise.name}, seed={one})'
                note = f"The inputs were drawn with seed {one}; {again} tries the same ones again."
                return Wrong(f"{wrong}\n\n{note}", wrong.kind, wrong.hint), answer.printed
    return None, answer.printed


def _try_value(exercise: Exercise, value: Any) -> Wrong | None:
    """Return what is wrong with a value, if anything is, with the hint for a mistake that is known."""
    if value is ...:
        raise NotImplementedError(STUB)
    if callable(value) and not isinstance(value, Tensor):
        raise ValueError(
            f"check({exercise.number!r}, ...) wants a value, got a function: call it, and hand on what it returns"
        )
    with torch.random.fork_rng(devices=[]), _plain_settings():
        torch.default_generator.manual_seed(0)
        try:
            exercise.check(value)
        except Wrong as wrong:
            fits = (place for place, known in exercise.mistakes if plain(known) == plain(value))
            return Wrong(str(wrong), wrong.kind, next(fits, None))
    return None


@contextmanager
def _plain_settings() -> Iterator[None]:
    """Check as in a fresh notebook: on the CPU and in float32, whatever the reader has set as default."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        # A device that is set as default costs time in every call, so none is set where none is needed.
        with nullcontext() if torch.empty(0).device.type == "cpu" else torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


def check(number: str | float, answer: Any, seed: int | None = None) -> None:
    """Try your answer, and say that it is right, or what is wrong and the hint that fits; `progress` knows of it, too.

    Args:
        number: The exercise, for example "1.1".
        answer: Your function, which is tried on many inputs; or your value; or your sentences, a `str`.
        seed: Try the inputs of one seed only, which the message of a wrong answer names.
    """
    exercise = _find(number)
    _say_which(number, exercise)
    number = exercise.number
    if exercise.check is None:
        _read_yourself(exercise, answer)
        return
    try:
        problem, printed = _try(exercise, answer, seed)
    except NotImplementedError:
        stub = "raise" if exercise.kind == "code" else "..."
        print(f"Exercise {number} waits for you: put your answer in place of {stub}, and run the cell again.")
        _say_where_help_is(number)
        return
    note(number, done=problem is None)
    if problem is None:
        agrees = " Your answer agrees with the trusted one on every input tried." if exercise.kind == "code" else ""
        print(f"Exercise {number}: right.{agrees}")
        if printed:
            print(f"On the first input your code printed:\n{printed}")
        return
    print(f"Exercise {number}: not yet. {problem}\n")
    if problem.hint is not None:  # the mistake is known, and so is what helps
        _print_hint(exercise, problem.hint - 1)
    elif problem.kind not in ("numbers", "gradient"):  # a stop, a closed function: the reason says it all
        print(f'Stuck? hint("{number}") gives a hint.')
    else:
        # Running the same answer again shows the same hint again, and uses up none.
        code = getattr(answer, "__code__", answer)
        if _failed.get(number) == code and number in _seen:
            _print_hint(exercise, _seen[number] - 1)
        else:
            _next_hint(exercise)
        _failed[number] = code


def _read_yourself(exercise: Exercise, words: Any) -> None:
    """Show what a good answer says, to somebody who has written one."""
    number = exercise.number
    if not isinstance(words, str):
        raise ValueError(f"Exercise {number} is answered in words: a text in quotes, got {type(words).__name__}")
    if not words.strip():
        print(f"Exercise {number} waits for you: write your sentences between the quotes, and run the cell again.")
        _say_where_help_is(number)
        return
    note(number, done=True)
    count = len(words.split())
    if edition() == "class":
        print(f"Exercise {number}: only a person can read your {count} words. Your teacher knows what to look for.")
        return
    print(f"Exercise {number}: only a person can read your {count} words. Does your answer say this?")
    for point in rubric(number):
        print(f"  [ ] {point}")
    print(f'solution("{number}") shows how we say it.')


def _say_where_help_is(number: str) -> None:
    ours = f', solution("{number}") shows our answer' if edition() == "open" else ""
    print(f'Stuck? hint("{number}") gives a hint{ours}.')


def rubric(number: str | float) -> tuple[str, ...]:
    """Return what a good answer in words says, one point each.

    Raises:
        ValueError: There is no exercise of that number, or `check` can decide it; or this is the class edition.
    """
    exercise = _find(number)
    if exercise.check is not None:
        raise ValueError(f"check decides Exercise {exercise.number}; only answers in words have a rubric")
    return _solution(number)[0]()


def progress(*, save: str | Path | None = None, load: str | Path | None = None) -> None:
    """Show for each chapter how many exercises are done, how many only tried, and which are open next.

    It is kept on this computer, in a file of your own; on Colab in your Drive, if that is mounted, since Colab's own
    disk is emptied after the session.  The last line says where.  An answer in words counts as done when it is written.

    Args:
        save: Write it to this file, too, to take it along.
        load: Add what this file holds, which `save` or the first page of the site wrote.  Nothing is taken away.

    Raises:
        ValueError: What is to be loaded is no such file.
        OSError: There is no such file, or none can be written there.
    """
    if load is not None:
        text = Path(load).read_text(encoding="utf-8", errors="replace")
        loaded, before = from_text(text, Path(load).name), kept()
        done = [number for number, days in loaded.items() if "done" in days]
        new = sum("done" not in before.get(number, {}) for number in done)
        entries = add(loaded)
        print(f"Added {Path(load).name}: {len(loaded)} tried, {len(done)} done, {new} of them not done here before.\n")
    else:
        entries = kept()
    if save is not None:
        Path(save).write_text(as_text(entries), encoding="utf-8")
        done = [number for number, days in entries.items() if "done" in days]
        print(f"Saved in {Path(save).name}: {len(entries)} tried, {len(done)} done.\n")
    chapters = {}
    for number, (_, topic) in _EXERCISES.items():
        chapters.setdefault(f"{int(number.split('.')[0]):02} {topic}", []).append(number)
    print(table(entries, chapters))
    path = place()
    print(f"\nKept in {short(path)}." if path else "\nNot kept: BOOK_PROGRESS is off.")
    if path and "google.colab" in sys.modules and not path.is_relative_to(DRIVE):
        print('Colab empties its disk: mount your Drive, or take a file along with progress(save="progress.json").')


def hint(number: str | float) -> None:
    """Print the next hint; after the last one, begin again."""
    exercise = _find(number)
    _say_which(number, exercise)
    _next_hint(exercise)


def _next_hint(exercise: Exercise) -> None:
    place = _seen.get(exercise.number, 0) % len(exercise.hints)
    _seen[exercise.number] = place + 1
    _print_hint(exercise, place)


def _print_hint(exercise: Exercise, place: int) -> None:
    print(f"Hint {place + 1} of {len(exercise.hints)}: {exercise.hints[place]}")
    if place + 1 == len(exercise.hints):
        ours = f'solution("{exercise.number}") shows our answer.'
        print(f"That was the last hint. {ours if edition() == 'open' else 'Your teacher has the solution.'}")


def solution(number: str | float) -> None:
    """Show our answer and why it works; in the class edition, say who has it."""
    exercise = _find(number)
    _say_which(number, exercise)
    if edition() == "class":
        print(f"Exercise {exercise.number}: {_NOT_HERE}")
        return
    note = solution_note(number)
    if kind(number) == "explain":
        display({"text/plain": note, "text/markdown": note}, raw=True)
        return
    source = solution_source(number)
    display({"text/plain": f"{source}\n{note}", "text/markdown": f"```python\n{source}```\n\n{note}"}, raw=True)


def solution_source(number: str | float) -> str:
    """Return the code of our answer, with the imports it needs and without its explanation.

    Raises:
        ValueError: There is no exercise of that number; or this is the class edition.
    """
    function, solutions = _solution(number)
    source = inspect.getsource(function)
    # Cut by lines: from Python 3.13 on, __doc__ has lost the indentation that the source still has.
    explanation = ast.parse(source).body[0].body[0]
    lines = source.splitlines(keepends=True)
    code = "".join(lines[: explanation.lineno - 1] + lines[explanation.end_lineno :])
    return _imports_of(code, solutions) + code


def solution_note(number: str | float) -> str:
    """Return the paragraph that says why our answer works, in Markdown.

    Raises:
        ValueError: There is no exercise of that number; or this is the class edition.
    """
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


def _solution(number: str | float) -> tuple[Callable, ModuleType]:
    exercise = _find(number)
    if edition() == "class":
        raise ValueError(f"Exercise {exercise.number}: {_NOT_HERE}")
    solutions = import_module(f"{__name__}.solutions.{_EXERCISES[exercise.number][1]}")
    function = getattr(solutions, exercise.name, None)
    if function is None or not function.__doc__:
        raise ValueError(
            f"exercise {number} needs a solution: a function {exercise.name} in {solutions.__name__},"
            " with a docstring, which is the explanation that readers see"
        )
    return function, solutions


def _find(number: str | float) -> Exercise:
    """Return an exercise by its number: "1.1"; or 1.1, without quotes; or "1,1"."""
    known = str(number).strip().replace(",", ".")
    if isinstance(number, bool) or known not in _EXERCISES:
        raise ValueError(f"there is no exercise {number!r}; there are {', '.join(_EXERCISES)}")
    return _EXERCISES[known][0]


def _say_which(number: str | float, exercise: Exercise) -> None:
    """Say which one is meant where a number can be two: without quotes, 6.10 is 6.1."""
    if not isinstance(number, str) and f"{exercise.number}0" in _EXERCISES:
        print(f'(This is Exercise {exercise.number}. For the other one, write the number in quotes: "{number}0".)')

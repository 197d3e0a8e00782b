"""The checks of all exercises, second versions included, by their numbers."""

from dataclasses import replace
from typing import Any

from chapters_code import exercises
from chapters_code.exercises.checking import Exercise
from classroom.variants import variants

__all__ = ["exercise_of", "grade"]


def exercise_of(number: str) -> Exercise:
    """Return an exercise by its number, or the second version of one ("1.1b").

    Raises:
        ValueError: There is none of that number.
    """
    if not number.endswith("b"):
        return exercises._find(number)
    if number[:-1] not in variants():
        raise ValueError(f"there is no second version {number!r}; there are {', '.join(f'{n}b' for n in variants())}")
    return variants()[number[:-1]].exercise


def grade(number: str, answer: Any, seed: int) -> str | None:
    """Try an answer on the inputs of one seed; return None if it is right, and what is wrong with it if not.

    Raises:
        NotImplementedError: The answer is still the empty stub.
    """
    wrong = exercises._try(replace(exercise_of(number), mistakes=()), answer, seed)[0]
    return None if wrong is None else str(wrong)

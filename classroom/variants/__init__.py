"""A second version of every code exercise, for homework and exams: another operator, another law, the same idea.

Each chapter's are in the module of its name; nothing else of the book knows them, so no page, hint or solution gives
them away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from chapters_code.exercises.checking import Exercise

__all__ = ["Variant", "variants"]


@dataclass(frozen=True)
class Variant:
    """One task that is not in the book."""

    of: str  # the number of the exercise that it stands beside, "1.1"
    title: str
    task: str  # in Markdown, indented as the code around it; inspect.cleandoc gives what a student reads
    exercise: Exercise  # its number is "1.1b"; it needs no hints
    solution: Callable  # its docstring says why it works


@cache
def variants() -> dict[str, Variant]:
    """Return all variants by the number of the exercise that they stand beside, in the order of the book."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = [variant for module in modules for variant in module.VARIANTS]
    return {one.of: one for one in sorted(found, key=lambda one: tuple(map(int, one.of.split("."))))}

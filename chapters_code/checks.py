"""Checks of arguments that many modules share; each says what came, and what was wanted (all chapters)."""

import math
from collections.abc import Sequence
from numbers import Integral

__all__ = ["check_size", "check_whole"]


def check_whole(name: str, value: int, low: int, high: float = math.inf) -> int:
    """Return `value` as a Python integer, or say that it is no whole number from `low` to `high`.

    Raises:
        ValueError: It is not; the message names the argument.

    Example:
        >>> check_whole("seed", 3, 0)
        3
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= value <= high:
        span = f"of {low} or more" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {span}, got {value!r}")
    return int(value)


def check_size(size: tuple[int, int], least: int = 1, name: str = "size") -> tuple[int, int]:
    """Return `size` as two Python integers, height and width, or say what is wrong with it.

    Raises:
        ValueError: It is not a pair of whole numbers of `least` or more.
    """
    sides = tuple(size) if isinstance(size, Sequence) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and side >= least for side in sides):
        raise ValueError(f"{name} must be (height, width), two whole numbers of {least} or more, got {size!r}")
    return int(sides[0]), int(sides[1])

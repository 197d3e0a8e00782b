"""Chance that is the same on every machine, and the checks that all drawings share.

NumPy promises to keep the raw bits of PCG64; what `Generator` makes of them may change with a new version.  So the
drawings take the raw bits, and whole numbers only.
"""

from collections.abc import Callable, Sequence
from numbers import Integral

import numpy as np

__all__ = ["Dice", "check", "checked_size", "dice_of"]

Dice = Callable[..., int | np.ndarray]


def dice_of(*key: int) -> Dice:
    """Return a function that rolls whole numbers from `low` to `high`, both included.

    One key is one stream of chance.  The first number of a key says what is drawn with it (0 the ground of a road,
    1 its cracks, 2 a road of a set, 3 a scene, 4 the order of the classes, 5 a scene with one thing that stands out).
    """
    bits = np.random.PCG64(key)

    def roll(low: int, high: int, count: int | None = None) -> int | np.ndarray:
        if count is None:
            return low + bits.random_raw() % (high - low + 1)
        return low + (bits.random_raw(count) % np.uint64(high - low + 1)).astype(np.int64)

    return roll


def checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return `size` as two Python integers, or say what is wrong with it."""
    sides = tuple(size) if isinstance(size, Sequence) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and side >= 16 for side in sides):
        raise ValueError(f"size must be (height, width), two whole numbers of 16 or more, got {size!r}")
    return int(sides[0]), int(sides[1])


def check(name: str, value: int, low: int, high: float = float("inf")) -> None:
    """Raise a ValueError unless `value` is a whole number from `low` to `high`."""
    if not isinstance(value, Integral) or not low <= value <= high:
        span = f"of {low} or more" if high == float("inf") else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {span}, got {value!r}")

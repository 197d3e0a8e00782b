"""Chance that is the same on every machine.

NumPy promises to keep the raw bits of PCG64; what `Generator` makes of them may change with a new version.  So the
drawings take the raw bits, and whole numbers only.
"""

from collections.abc import Callable

import numpy as np

__all__ = ["Dice", "dice_of"]

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

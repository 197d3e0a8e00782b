"""Random numbers that are the same on every machine.

NumPy promises to keep the raw bits of PCG64; what `Generator` makes of them may change with a new version.  So the
drawings take the raw bits, and integers only.
"""

from collections.abc import Sequence
from typing import TypeVar, overload

import numpy as np

__all__ = ["Rng"]

Option = TypeVar("Option")


class Rng:
    """A stream of random integers, fixed by its key.

    Args:
        key: Integers.  The first says what is drawn with it (0 the ground of a road, 1 its cracks, 2 a road of a set,
            3 a scene, 4 the order of the classes, 5 a scene with one thing that stands out).
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(key)

    @overload
    def integers(self, low: int, high: int) -> int: ...

    @overload
    def integers(self, low: int, high: int, count: int) -> np.ndarray: ...

    def integers(self, low: int, high: int, count: int | None = None) -> int | np.ndarray:
        """Return an integer from `low` to `high`, both included; or `count` of them, int64 (count,)."""
        if count is None:
            return low + self._bits.random_raw() % (high - low + 1)
        return low + (self._bits.random_raw(count) % np.uint64(high - low + 1)).astype(np.int64)

    def choose(self, options: Sequence[Option]) -> Option:
        """Return one of the options."""
        return options[self.integers(0, len(options) - 1)]

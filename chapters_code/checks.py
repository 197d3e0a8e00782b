"""Checks of arguments that many modules share; each says what came, and what was wanted (all chapters)."""

import math
from collections.abc import Sequence
from numbers import Integral

from torch import Tensor

__all__ = ["check_pictures", "check_size", "check_whole"]


def check_pictures(x: Tensor) -> None:
    """Say what is wrong with `x`, if it is not a batch (N, C, H, W) or one picture (C, H, W); N alone may be 0.

    Raises:
        ValueError: It is no tensor, has another rank, or no pixels.
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"x must be a torch.Tensor, got {type(x).__name__}; torch.as_tensor(x) makes one")
    if x.dim() not in (3, 4):
        raise ValueError(
            f"x must have shape (N, C, H, W) or (C, H, W), got {tuple(x.shape)}; x[None] adds an axis in front"
        )
    if 0 in x.shape[-3:]:
        raise ValueError(f"only the batch may be empty: got shape {tuple(x.shape)}, which has no pixels")


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

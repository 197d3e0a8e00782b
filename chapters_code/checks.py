"""Checks of arguments that many modules share; each says what came, and what was wanted (all chapters)."""

import math
from collections.abc import Sequence
from numbers import Integral

from torch import Tensor

__all__ = ["check_bias", "check_fractions", "check_kernel", "check_pictures", "check_size", "check_whole"]


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


def check_fractions(x: Tensor) -> None:
    """Say that `x` cannot hold a weighted sum, if it is not of a floating-point dtype.

    Raises:
        ValueError: It is not; the message says how to convert it.
    """
    if not x.is_floating_point():
        raise ValueError(f"a weighted sum needs real numbers with fractions, got {x.dtype}; x.float() converts them")


def check_kernel(weight: Tensor, groups: int = 1, axes: str = "(C', C / groups, rows, columns)") -> None:
    """Say what is wrong with `weight`, if it is not a stack of kernels that can be split into `groups`.

    Raises:
        ValueError: It has another rank than `axes` names, no numbers or no fractions, or `groups` does not divide it.
    """
    if not isinstance(weight, Tensor) or weight.dim() != 4 or 0 in weight.shape or not weight.is_floating_point():
        got = f"{tuple(weight.shape)} of {weight.dtype}" if isinstance(weight, Tensor) else type(weight).__name__
        raise ValueError(f"weight must be a floating-point tensor {axes}, none of them 0, got {got}")
    if len(weight) % check_whole("groups", groups, 1):
        raise ValueError(f"groups must divide the {len(weight)} kernels of weight, got groups={groups}")


def check_bias(x: Tensor, weight: Tensor, bias: Tensor | None, out_channels: int) -> None:
    """Say what is wrong with `bias`, or that it, `x` and `weight` are not of one dtype.

    Raises:
        ValueError: The bias is neither None nor one number for each channel of the output, or the dtypes differ.
    """
    if bias is not None and (not isinstance(bias, Tensor) or tuple(bias.shape) != (out_channels,)):
        got = tuple(bias.shape) if isinstance(bias, Tensor) else type(bias).__name__
        raise ValueError(
            f"bias must be a tensor of shape ({out_channels},), one number for each channel of the output, got {got}"
        )
    dtypes = {one.dtype for one in (x, weight, bias) if one is not None}
    if len(dtypes) > 1:
        raise ValueError(f"x, weight and bias must have one dtype, got {sorted(map(str, dtypes))}: convert, x.float()")


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

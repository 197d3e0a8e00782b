"""Checks of arguments that many modules share; each says what came, and what was wanted (all chapters)."""

import math
from collections.abc import Collection, Iterable, Sequence
from numbers import Integral

from torch import Tensor

from chapters_code.tracing import is_open, is_proxy

__all__ = [
    "Size",
    "check_choice",
    "check_class_numbers",
    "check_convolution",
    "check_floating_point",
    "check_integer",
    "check_kernel",
    "check_odd",
    "check_one_device",
    "check_pair",
    "check_pictures",
    "check_positive",
    "check_rates",
    "check_shape",
    "check_share",
    "check_tensors",
    "python_integers",
]

Size = int | tuple[int, int]  # a setting for both sides, or one for the height and one for the width


# ---- settings ----------------------------------------------------------------------------------------


def check_integer(name: str, value: int, low: int, high: float = math.inf) -> int:
    """Return `value` as a Python integer, or say that it is no integer from `low` to `high`.

    A size that is open, as `tracing` says, comes back as it is.

    Raises:
        ValueError: It is not; the message names the argument.

    Example:
        >>> check_integer("seed", 3, 0)
        3
    """
    if is_open(value):
        return value
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= value <= high:
        span = f"of {low} or more" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"{name} must be an integer {span}, got {value!r}")
    return int(value)


def check_odd(name: str, value: int) -> int:
    """Return the size of a kernel that has a tap in its middle, or say that it is no odd integer above 0.

    Raises:
        ValueError: It is not.
    """
    if check_integer(name, value, 1) % 2 == 0:
        raise ValueError(
            f"{name} must be odd, so that a tap lies on the pixel itself, got {value}: take {value - 1} or {value + 1}"
        )
    return int(value)


def check_pair(name: str, value: Size, low: int = 1, single: bool = True) -> tuple[int, int]:
    """Return a setting for height and width as two Python integers: 3 becomes (3, 3), and (3, 5) stays as it is.

    Sizes that are open, as `tracing` says, come back as they are.

    Args:
        name: What the error calls it.
        value: An integer, or a pair (height, width).
        low: The smallest number that is allowed.
        single: Whether one number will do for both; False for the size of a picture, whose sides differ.

    Raises:
        ValueError: It is neither, or a number is below `low`.
    """
    if single and type(value) is int and value >= low:  # nearly always
        return value, value
    if is_proxy(value):
        return value
    alone = isinstance(value, Integral) or (is_open(value) and not isinstance(value, Sequence))
    both = (value, value) if single and alone else value
    if not isinstance(both, Sequence) or len(both) != 2 or not all(_is_size(one, low) for one in both):
        wanted = f"two integers of {low} or more"
        wanted = f"an integer of {low} or more, or two such as (3, 5)" if single else f"(height, width), {wanted}"
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    height, width = both
    return height if is_open(height) else int(height), width if is_open(width) else int(width)


def python_integers(value: Size | None) -> Size | None:
    """Return NumPy's integers, alone or in a pair, as Python's; anything else as it is, for a check to find.

    A layer keeps its settings so, since torch.compile and torch.fx take NumPy's numbers for tensors.

    Example:
        >>> import numpy as np
        >>> python_integers((np.int64(3), 5))
        (3, 5)
    """
    if isinstance(value, tuple):
        return tuple(map(python_integers, value))
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value


def _is_size(value: int, low: int) -> bool:
    if type(value) is int:
        return value >= low
    return is_open(value) or (isinstance(value, Integral) and not isinstance(value, bool) and value >= low)


def check_rates(rates: Iterable[int], least: int = 0) -> tuple[int, ...]:
    """Return dilation rates as Python integers, or say why they are none.

    Raises:
        ValueError: It is no list, it holds fewer than `least`, or a rate is no integer above 0.
    """
    try:
        checked = tuple(check_integer("each of the rates", rate, 1) for rate in rates)
    except TypeError:
        raise ValueError(f"rates must be a list such as (6, 12, 18), got {rates!r}; one rate is ({rates!r},)") from None
    if len(checked) < least:
        raise ValueError(f"rates must name {least} or more dilation rates, such as (6, 12, 18), got {rates!r}")
    return checked


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """Return `value`, or say that it is none of the words that `choices` holds.

    Raises:
        ValueError: It is none.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    return value


# ---- tensors -----------------------------------------------------------------------------------------


def check_shape(name: str, x: Tensor, ranks: Collection[int], wanted: str) -> None:
    """Say what is wrong with `x`, if it is no tensor with one of `ranks` numbers of axes.

    Raises:
        ValueError: It is not; the message says the shape that was `wanted`.
    """
    check_tensors(**{name: x})
    if not is_proxy(x) and x.dim() not in ranks:
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(x.shape)}; {name}[None] adds an axis in front")


def check_pictures(x: Tensor, name: str = "x", single: bool = True) -> None:
    """Say what is wrong with `x`, if it is not a batch (N, C, H, W) or one picture (C, H, W); N alone may be 0.

    Args:
        x: The pictures.
        name: What the error calls them.
        single: Whether one picture without N will do.

    Raises:
        ValueError: It is no tensor, has another rank, or no pixels.
    """
    check_shape(name, x, (3, 4) if single else (4,), "(N, C, H, W) or (C, H, W)" if single else "(N, C, H, W)")
    if is_proxy(x) or is_open(*x.shape[-3:]):
        return
    if 0 in x.shape[-3:]:
        raise ValueError(f"only the batch may be empty: got shape {tuple(x.shape)}, which has no pixels")


def check_floating_point(x: Tensor, name: str = "x") -> None:
    """Say that `x` cannot hold weighted sums and means, if its dtype is not a floating-point one.

    Raises:
        ValueError: It is not; the message says how to convert it.
    """
    if not is_proxy(x) and not x.is_floating_point():
        raise ValueError(
            f"{name} must be floating point, since means and weighted sums have fractions, got {x.dtype};"
            f" {name}.float() converts it"
        )


def check_kernel(weight: Tensor, groups: int = 1, wanted: str = "(C', C / groups, kH, kW)", rank: int = 4) -> None:
    """Say what is wrong with `weight`, if it is not a stack of kernels that can be split into `groups`.

    Raises:
        ValueError: It has not the axes that were `wanted`, no numbers or none in floating point, or `groups` does not
            divide it.
    """
    check_shape("weight", weight, (rank,), wanted)
    check_floating_point(weight, "weight")
    if is_proxy(weight) or is_open(*weight.shape):
        return
    if 0 in weight.shape:
        raise ValueError(f"weight must have shape {wanted}, none of them 0, got {tuple(weight.shape)}")
    if len(weight) % check_integer("groups", groups, 1):
        raise ValueError(f"groups must divide the {len(weight)} kernels of weight, got groups={groups}")


def check_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    groups: int = 1,
    *,
    axes: int = 2,
    transposed: bool = False,
) -> None:
    """Say what is wrong, if pictures, kernels and bias do not make a convolution together.

    Args:
        x: Pictures, as `check_pictures` wants them; signals (N, C, L) if `axes` is 1.
        weight: Kernels, (C', C / groups, kH, kW); (C', C / groups, K) if `axes` is 1.
        bias: (C',) or None.
        groups: Parts that the channels are split into.
        axes: 2 for pictures, 1 for signals.
        transposed: Whether `weight` is (C, C' / groups, kH, kW), as for a transposed convolution.

    Raises:
        ValueError: One of them is not as it should be, or channels, dtypes or devices differ.
    """
    if axes == 1:
        check_shape("x", x, (3,), "(N, C, L)")
    else:
        check_pictures(x)
    check_floating_point(x)
    ends = "(C, C' / groups" if transposed else "(C', C / groups"
    check_kernel(weight, groups, f"{ends}, K)" if axes == 1 else f"{ends}, kH, kW)", axes + 2)
    if is_open(*x.shape[-axes - 1 :], *weight.shape):
        return
    channels, out_channels = weight.shape[1] * groups, len(weight)
    if transposed:
        channels, out_channels = out_channels, channels
    if x.shape[-axes - 1] != channels:
        raise ValueError(
            f"x has {x.shape[-axes - 1]} channels, but weight {tuple(weight.shape)} with groups={groups} wants"
            f" {channels}; its axes are {ends}, ...)"
        )
    if bias is not None and (not isinstance(bias, Tensor) or tuple(bias.shape) != (out_channels,)):
        got = tuple(bias.shape) if isinstance(bias, Tensor) else type(bias).__name__
        raise ValueError(
            f"bias must be a tensor of shape ({out_channels},), one number for each channel of the output, got {got}"
        )
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and (other.dtype, other.device) != (x.dtype, x.device):
            raise ValueError(
                f"{name} must have the dtype and device of x, {x.dtype} on {x.device}, got {other.dtype} on"
                f" {other.device}; {name}.to(x) converts it"
            )


# ---- what is predicted, and the truth beside it --------------------------------------------------------


def check_tensors(**named: Tensor) -> None:
    """Say which of the named arguments is no tensor.

    Raises:
        ValueError: One is none; the message says how to make it one.
    """
    for name, value in named.items():
        if not isinstance(value, Tensor) and not is_proxy(value):
            came = type(value).__name__
            raise ValueError(f"{name} must be a torch.Tensor, got {came}; torch.as_tensor({name}) makes one")


def check_one_device(name: str, prediction: Tensor, target: Tensor) -> None:
    """Say that a prediction and its target do not lie on one device.

    Raises:
        ValueError: They do not; the message says how to move one.
    """
    if prediction.device != target.device:
        raise ValueError(
            f"the numbers of {name} are on {prediction.device} and the target on {target.device};"
            f" target.to({name}.device) will move one to the other"
        )


def check_class_numbers(
    name: str, numbers: Tensor, classes: int, ignore_index: int | None = None, hint: str = ""
) -> Tensor:
    """Return class numbers as int64, or say that they are none of 0..classes - 1, nor `ignore_index`.

    Raises:
        ValueError: The dtype is neither bool nor integer, or a number is not legal; the message ends with `hint`.
    """
    legal = f"class numbers 0..{classes - 1}"
    if ignore_index is not None:
        legal += f", or {ignore_index} for 'do not count'"
    if numbers.is_floating_point() or numbers.is_complex():
        raise ValueError(f"{name} must hold {legal}, bool or integer, got {numbers.dtype}{hint}")
    numbers = numbers.long()  # in int8, 255 would be -1
    illegal = (numbers < 0) | (numbers >= classes)
    if ignore_index is not None:
        illegal &= numbers != ignore_index
    if illegal.any():
        found = ", ".join(str(number) for number in numbers[illegal].unique()[:5].tolist())
        raise ValueError(f"{name} must hold {legal}; it holds {found}{hint}")
    return numbers


def check_positive(name: str, value: float, hint: str = "") -> None:
    """Say that `value` is no finite number above 0.

    Raises:
        ValueError: It is not; the message ends with `hint`.
    """
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {value!r}{hint}")


def check_share(name: str, value: float) -> None:
    """Say that `value` does not lie in [0, 1].

    Raises:
        ValueError: It does not.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}")

"""Output sizes: how many rows and columns each operator of the book returns (Chapter 00).

Every operator lays a window of `kernel_size` pixels on a row of `size` pixels and moves it on by `stride`.  Count
the positions, and you have the size of the output.  All functions speak one grammar:

    *_size(size, kernel_size, stride, padding, dilation, ...) -> size of the output

`size` is one side in pixels, or a pair (H, W).  So are the other arguments, as in `torch.nn`.  If all are single
numbers you get one back, and a pair (H', W') otherwise.  Sizes that are open while a network is traced or exported
(`tracing`) are computed with, and not asked whether they are legal.

Left out: asymmetric padding.  A layer that needs it pads first and then asks for the size.

Sources: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning"; the formulas are those of
the `torch.nn` documentation and are tested against PyTorch and PyWavelets on grids of settings.
"""

import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch

from chapters_code.checks import Size, check_choice, check_integer, check_pair
from chapters_code.tracing import is_open, lesser

__all__ = ["conv_size", "conv_transpose_size", "dwt_size", "interpolate_size", "pool_size"]

# How a picture may go on past its edge, in the words of PyWavelets.
_DWT_MODES = (
    "zero", "constant", "symmetric", "periodic", "smooth", "periodization", "reflect", "antisymmetric", "antireflect",
)  # fmt: skip


def conv_size(size: Size, kernel_size: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> Size:
    """Count the positions of a convolution's window: floor((size + 2·padding − reach) / stride) + 1.

    `reach` = dilation·(kernel_size − 1) + 1 is what the window covers, its holes included.

    Args:
        size: Side of the input in pixels, or (H, W).
        kernel_size: Taps per side.
        stride: Pixels from one position to the next.
        padding: Pixels added on *each* side.
        dilation: Pixels from one tap to the next.

    Returns:
        The side of the output, or (H', W').  Equals the shape that `torch.nn.functional.conv2d` returns.

    Raises:
        ValueError: A setting is not legal, or the window is larger than the padded input.

    Example:
        >>> conv_size((320, 480), 3, stride=2, padding=1)
        (160, 240)
    """
    return _each_side(_conv_side, size=size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)


def pool_size(
    size: Size,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Size:
    """Count the positions of a pooling window; as `conv_size`, with pooling's two extra rules.

    The stride is the kernel size unless you say otherwise.  With `ceil_mode` the division is rounded up: a last window
    may hang over the far edge, but only if it starts inside the picture or its near padding.

    Args:
        size: Side of the input in pixels, or (H, W).
        kernel_size: Side of the window.
        stride: Pixels from one window to the next; None means `kernel_size`.
        padding: Pixels added on each side; at most half of `kernel_size`.
        dilation: Pixels from one tap to the next.
        ceil_mode: Keep the last rows and columns, even if they do not fill a window.

    Returns:
        The side of the output, or (H', W').  Equals the shape that `torch.nn.functional.max_pool2d` returns.

    Raises:
        ValueError: A setting is not legal, or the window is larger than the padded input.

    Example:
        >>> pool_size(7, 2), pool_size(7, 2, ceil_mode=True)
        (3, 4)
    """

    def side(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> int:
        if padding > kernel_size // 2:
            raise ValueError(
                f"padding must be at most half of kernel_size, got padding {padding}, kernel_size {kernel_size}:"
                f" take padding {kernel_size // 2}, or a larger kernel_size"
            )
        return _conv_side(size, kernel_size, stride, padding, dilation, ceil_mode)

    stride = kernel_size if stride is None else stride
    return _each_side(side, size=size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)


def conv_transpose_size(
    size: Size,
    kernel_size: Size,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
) -> Size:
    """Turn `conv_size` round: (size − 1)·stride − 2·padding + reach + output_padding.

    Several input sizes shrink to the same output size, so the way back is not unique; `output_padding` chooses.
    The order of the arguments is that of `torch.nn.ConvTranspose2d`, without `groups` and `bias`.

    Args:
        size: Side of the input in pixels, or (H, W).
        kernel_size: Taps per side.
        stride: How many pixels of the output lie between two neighbours of the input.
        padding: Pixels *cut off* each side of the output.
        output_padding: Pixels added at the far side of the output; less than stride or dilation.
        dilation: Pixels from one tap to the next.

    Returns:
        The side of the output, or (H', W').  Equals the shape that `torch.nn.functional.conv_transpose2d` returns.

    Raises:
        ValueError: A setting is not legal, or nothing is left of the output.

    Example:
        >>> conv_transpose_size((10, 15), 64, stride=32, padding=16)
        (320, 480)
    """

    def side(size: int, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int) -> int:
        if output_padding >= max(stride, dilation):
            raise ValueError(
                f"output_padding must be smaller than stride or dilation, got output_padding {output_padding},"
                f" stride {stride}, dilation {dilation}"
            )
        result = (size - 1) * stride - 2 * padding + _reach(kernel_size, dilation) + output_padding
        if not is_open(result) and result < 1:
            raise ValueError(f"nothing is left: padding {padding} cuts away the whole output; take a smaller padding")
        return result

    return _each_side(
        side,
        size=size,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )


def dwt_size(size: Size, filter_length: int = 2, mode: str = "symmetric") -> Size:
    """Count the wavelet coefficients per band after one step: floor((size + filter_length − 1) / 2).

    For Haar (two taps) that is half the size, rounded up.

    Args:
        size: Side of the input in pixels, or (H, W).
        filter_length: Taps of the wavelet's filters: 2 for Haar, 4 for db2.  Even.
        mode: How the picture goes on past its edge.  "periodization" gives ceil(size / 2) for every filter; every
            other mode of PyWavelets gives the formula above.

    Returns:
        The side of each band, or (H', W').  Equals `pywt.dwt_coeff_len(size, filter_length, mode)`.

    Raises:
        ValueError: `size` or `filter_length` is not legal, or PyWavelets has no such mode.

    Example:
        >>> dwt_size((5, 8))
        (3, 4)
    """
    if check_integer("filter_length", filter_length, 2) % 2:
        raise ValueError(f"filter_length must be even, got {filter_length}: Haar has 2, db2 has 4")
    check_choice("mode", mode, _DWT_MODES)
    overlap = 1 if mode == "periodization" else filter_length - 1
    return _each_side(lambda size: (size + overlap) // 2, size=size)


def interpolate_size(size: Size, scale_factor: float) -> Size:
    """Count the pixels after resizing: floor(size · scale_factor).

    Args:
        size: Side of the input in pixels, or (H, W).
        scale_factor: How many times larger; 0.5 halves.

    Returns:
        The side of the output, or (H', W').  Equals the shape that `torch.nn.functional.interpolate` returns.

    Raises:
        ValueError: `scale_factor` is not a number above 0, or no pixel is left.

    Example:
        >>> interpolate_size((561, 728), 2)
        (1122, 1456)
    """
    if isinstance(scale_factor, bool) or not (isinstance(scale_factor, Real) and 0 < scale_factor < math.inf):
        raise ValueError(f"scale_factor must be one number above 0, such as 2 or 0.5, got {scale_factor!r}")

    def side(size: int) -> int:
        if is_open(size):
            return (
                (size * scale_factor).long() if isinstance(size, torch.Tensor) else torch.sym_int(size * scale_factor)
            )
        if size * scale_factor < 1:
            raise ValueError(f"no pixel is left of {size} at scale_factor {scale_factor}; take a larger one")
        return int(size * scale_factor)

    return _each_side(side, size=size)


def _each_side(side: Callable[..., int], **settings: Size) -> Size:
    """Check the settings, each one number or a pair, and ask `side` once for H and once for W."""
    pairs = {name: check_pair(name, given, 0 if "padding" in name else 1) for name, given in settings.items()}
    height, width = (side(**{name: both[i] for name, both in pairs.items()}) for i in (0, 1))
    return (height, width) if any(isinstance(given, Sequence) for given in settings.values()) else height


def _reach(kernel_size: int, dilation: int) -> int:
    return dilation * (kernel_size - 1) + 1


def _conv_side(size: int, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: bool = False) -> int:
    reach = _reach(kernel_size, dilation)
    room = size + 2 * padding - reach
    if ceil_mode:
        # Not −(−room // stride): where ONNX divides, it drops the fraction, of negative numbers, too.  Rounded up, a
        # window could start in the far padding and see no picture at all: PyTorch drops it.
        positions = lesser((room + stride - 1) // stride, (size + padding - 1) // stride) + 1
    else:
        positions = room // stride + 1
    if not is_open(positions) and positions < 1:
        raise ValueError(
            f"the window reaches {reach} pixels, but the padded input has only {size + 2 * padding}"
            f" (size {size} + 2 · padding {padding}): take a smaller kernel_size or dilation, or a larger input"
        )
    return positions

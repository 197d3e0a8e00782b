"""Dilated convolution, in one dimension by loops and in two dimensions in two ways (Chapter 03).

The taps of a kernel are pulled apart: with dilation 2 they read every second pixel.  So a kernel of 3 × 3 looks at
5 × 5 pixels, with nine weights still, and the picture keeps its size.  There are two ways to do it with a plain
convolution, and both give the same numbers:

    conv2d_zero_stuffed     put zeros between the taps of the kernel, and convolve the picture with that
    conv2d_polyphase        sample the picture instead: every d-th pixel is a small picture of its own

    x (N, C, H, W), weight (C', C / groups, kH, kW)  -->  (N, C', H', W')    H' and W' are those of `shapes.conv_size`

One picture (C, H, W) works too.  What the taps of several layers reach together, and what falls between them, is
counted by `footprint` and `count_holes`.  `dilation` is PyTorch's: 1 is a plain convolution.  Left out: padding other
than zeros, padding by name ("same"), and even kernels in `footprint`.

Sources: Holschneider et al. (1989) for the algorithme à trous; Yu and Koltun (2016) for dilation in segmentation;
Wang et al. (2018) for the holes that stacked layers leave.
"""

from collections.abc import Iterable
from math import gcd

from torch import Tensor
from torch.nn import functional

from chapters_code.checks import (
    Size,
    check_convolution,
    check_integer,
    check_kernel,
    check_odd,
    check_pair,
    check_rates,
)
from chapters_code.shapes import conv_size
from chapters_code.tracing import is_open, one_node

__all__ = [
    "conv1d_dilated_loops",
    "conv2d_polyphase",
    "conv2d_zero_stuffed",
    "count_holes",
    "dilate_kernel",
    "footprint",
]


def conv1d_dilated_loops(
    x: Tensor,
    weight: Tensor,
    dilation: int,
    *,
    stride: int = 1,
    padding: int = 0,
) -> Tensor:
    """Convolve signals with taps that stand apart: loops over places and over taps.

    Args:
        x: Signals, (N, C, L), floating point.
        weight: Kernels, (C', C, K): one row of K taps for each pair of channels.
        dilation: Pixels from one tap to the next; 1 is a plain convolution.
        stride: Pixels from one place to the next.
        padding: Zeros added at both ends.

    Returns:
        (N, C', L'), dtype and device of `x`; L' is that of `shapes.conv_size`.  Equals `torch.nn.functional.conv1d`.

    Raises:
        ValueError: Shapes or dtypes do not fit together, or a setting is not legal.

    Example:
        >>> import torch
        >>> conv1d_dilated_loops(torch.arange(5.0).reshape(1, 1, 5), torch.ones(1, 1, 2), dilation=3)
        tensor([[[3., 5.]]])
    """
    length = _length(x, weight, dilation, stride, padding)
    padded = functional.pad(x, (padding, padding))

    out = x.new_zeros(len(x), len(weight), length)
    for i in range(length):
        for k in range(weight.shape[-1]):
            # All channels of one pixel at once: (N, C) times (C, C').
            out[..., i] += padded[..., i * stride + k * dilation] @ weight[..., k].T
    return out


def dilate_kernel(weight: Tensor, dilation: Size) -> Tensor:
    """Put dilation − 1 zeros between the taps of a kernel, and none around them.

    Args:
        weight: Kernels, (C', C / groups, kH, kW), floating point.
        dilation: Pixels from one tap to the next, or (height, width).

    Returns:
        (C', C / groups, dilation·(kH − 1) + 1, dilation·(kW − 1) + 1), dtype and device of `weight`.

    Raises:
        ValueError: `weight` is no kernel, or `dilation` is not legal.

    Example:
        >>> import torch
        >>> dilate_kernel(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), (1, 3))
        tensor([[[[1., 0., 0., 2.],
                  [3., 0., 0., 4.]]]])
    """
    down, right = _steps(weight, dilation)
    rows, columns = weight.shape[-2:]
    reach = down * (rows - 1) + 1, right * (columns - 1) + 1
    out = weight.new_zeros(*weight.shape[:2], *reach)
    out[..., ::down, ::right] = weight
    return out


def conv2d_zero_stuffed(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    dilation: Size = 2,
    padding: Size = 0,
    *,
    stride: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve plainly, with zeros between the taps of the kernel.

    The zeros are multiplied, too: nine taps at dilation 6 become 13 × 13 = 169 products.

    Args:
        x: Pictures, (N, C, H, W) or (C, H, W), floating point.
        weight: Kernels, (C', C / groups, kH, kW).
        bias: What is added to each output channel, (C',), or None.
        dilation: Pixels from one tap to the next, or (height, width).
        padding: Zeros added on each side.
        stride: Pixels from one window to the next.
        groups: Parts that the channels are split into; each is convolved by itself.

    Returns:
        (N, C', H', W') or (C', H', W'), dtype and device of `x`.  Equals `torch.nn.functional.conv2d(dilation=...)` in
        values and gradients, as long as all pixels are finite: 0 times NaN or infinity is NaN, so here such a
        pixel spoils the places whose holes lie on it as well.

    Raises:
        ValueError: Shapes or dtypes do not fit together, or a setting is not legal.
    """
    _geometry(x, weight, bias, dilation, padding, stride, groups)
    stuffed = dilate_kernel(weight, dilation)
    return functional.conv2d(x, stuffed, bias, stride, padding, groups=groups)


def conv2d_polyphase(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    dilation: Size = 2,
    padding: Size = 0,
    *,
    stride: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Cut the picture into phases, convolve each, and interleave the results.

    With dilation d, a window never mixes pixels of different phases: phase (0, 1), say, is every d-th row from row 0
    on, and every d-th column from column 1 on.  A stride that shares a factor with d lands on some phases only, and
    no others are computed.

    Arguments, result and errors are as for `conv2d_zero_stuffed`; but what lies in a hole is not multiplied, so a NaN
    or an infinity there spoils nothing.
    """
    pairs = _geometry(x, weight, bias, dilation, padding, stride, groups)
    (height, width), (down, right), (above, left), (step_down, step_right) = pairs
    padded = functional.pad(x, (left, left, above, above))

    out = x.new_empty(*x.shape[:-3], weight.shape[0], height, width)
    # After so many outputs the windows stand on the same phase again,
    rows, columns = down // gcd(down, step_down), right // gcd(right, step_right)
    # and in that phase, which has every d-th pixel, they have moved on by so many.
    inner = rows * step_down // down, columns * step_right // right
    for i in _places(rows, height):
        for j in _places(columns, width):
            phase = padded[..., i * step_down :: down, j * step_right :: right]
            plain = functional.conv2d(phase, weight, bias, inner, groups=groups)
            out[..., i::rows, j::columns] = plain
    return out


def footprint(rates: Iterable[int], kernel_size: int = 3) -> tuple[int, ...]:
    """List the pixels of a row that one output pixel sees through a stack of layers.

    The layers have stride 1.  In two dimensions these are the rows and the columns: the output pixel depends on the
    pixels where such a row and such a column cross, and on no others.  Each layer carries every pixel reached so far to
    each of its taps; the order of the layers changes nothing.

    Args:
        rates: The dilation of each layer, 1 or more; none at all is no layer.
        kernel_size: Taps per side, odd, so that one of them lies on the pixel itself.

    Returns:
        The offsets in pixels, in order; 0 is the output pixel's own place.  The last minus the first, plus 1, is the
        side of the receptive field: 1 + (kernel_size − 1) · the sum of the rates.

    Raises:
        ValueError: A rate is no integer of 1 or more, or `kernel_size` is even or no integer.

    Example:
        >>> footprint((2, 2))
        (-4, -2, 0, 2, 4)
    """
    half = check_odd("kernel_size", kernel_size) // 2
    taps = range(-half, half + 1)
    reached = {0}
    for rate in check_rates(rates):
        reached = {place + rate * tap for place in reached for tap in taps}
    return tuple(sorted(reached))


def count_holes(rates: Iterable[int], kernel_size: int = 3) -> int:
    """Count the pixels of the square receptive field that no path touches.

    Args:
        rates: The dilation of each layer, as in `footprint`.
        kernel_size: Taps per side, odd.

    Returns:
        The number of pixels: the square of the field's side, minus the square of the number of offsets.

    Raises:
        ValueError: As in `footprint`.

    Example:
        >>> count_holes((2, 2, 2)), count_holes((1, 2, 5))
        (120, 0)
    """
    offsets = footprint(rates, kernel_size)
    return (offsets[-1] - offsets[0] + 1) ** 2 - len(offsets) ** 2


def _places(phases: int, size: int) -> range:
    """Count the phases that have a pixel in an output of this size; of one that is open, all of them."""
    return range(phases if is_open(size) else min(phases, size))


def _length(x: Tensor, weight: Tensor, dilation: int, stride: int, padding: int) -> int:
    """Check that all fits together, and return the length of the output, L'."""
    check_convolution(x, weight, axes=1)
    for name, value, low in (("dilation", dilation, 1), ("stride", stride, 1), ("padding", padding, 0)):
        check_integer(name, value, low)
    return conv_size(x.shape[-1], weight.shape[-1], stride, padding, dilation)


def _steps(weight: Tensor, dilation: Size) -> tuple[int, int]:
    """Check a kernel, and return the step from tap to tap, down and to the right."""
    check_kernel(weight)
    return check_pair("dilation", dilation)


def _geometry(
    x: Tensor, weight: Tensor, bias: Tensor | None, dilation: Size, padding: Size, stride: Size, groups: int
) -> tuple[tuple[int, int], ...]:
    """Check that all fits together; return output size, dilation, padding and stride, each (height, width)."""
    check_convolution(x, weight, bias, groups)
    size = conv_size(tuple(x.shape[-2:]), tuple(weight.shape[-2:]), stride, padding, dilation)
    return size, check_pair("dilation", dilation), check_pair("padding", padding, 0), check_pair("stride", stride)


# One node each where torch.fx writes a network down.
dilate_kernel, conv2d_zero_stuffed, conv2d_polyphase = map(
    one_node, (dilate_kernel, conv2d_zero_stuffed, conv2d_polyphase)
)
conv1d_dilated_loops = one_node(conv1d_dilated_loops, "torch.nn.functional.conv1d(..., dilation=...)")

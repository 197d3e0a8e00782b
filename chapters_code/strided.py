"""Strided convolution: shrinking that learns, and what it needs so as not to lose a crack by luck (Chapter 02).

A convolution multiplies each window by the same weights and adds up.  With a stride of 2 it takes every second window
only, and the picture shrinks.  What it takes, the weights decide; whether it depends on one pixel more or less, a blur.

    x (N, C, H, W), weight (C', C / groups, kH, kW)  --conv2d-->  (N, C', H', W')    as `shapes.conv_size` says
    x (N, C, H, W)  --space_to_depth(block)-->  (N, C · block², H / block, W / block)
    x (N, C, H, W)  --blur(stride)-->  (N, C, H / stride, W / stride), rounded up

As everywhere in deep learning, "convolution" does not turn the kernel round; the mathematical one does.  A single
picture (C, H, W) works too and comes back without N, as in PyTorch.  Left out: `padding="same"`, padding by other
numbers than zero, and complex numbers.

Sources: the definitions are those of `torch.nn.functional.conv2d` and `pixel_unshuffle`; Dumoulin and Visin (2016) for
convolution as a matrix; Zhang (2019) for the blur before the stride.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.checks import (
    Size,
    check_convolution,
    check_floating_point,
    check_integer,
    check_kernel,
    check_pair,
    check_pictures,
)
from chapters_code.outputs import device_of
from chapters_code.shapes import conv_size
from chapters_code.tracing import constant, fixed_integer, is_open, one_node

__all__ = [
    "BlurPool2d",
    "StridedConv2d",
    "as_pointwise",
    "binomial",
    "blur",
    "conv2d",
    "conv2d_loops",
    "conv2d_matrix",
    "shift_change",
    "space_to_depth",
]


def conv2d_loops(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Return the weighted sum of each window: one loop over rows, one over columns.

    Args:
        x: Pictures, (N, C, H, W) or (C, H, W), floating point.
        weight: (C', C / groups, kH, kW), of the dtype of `x`: for each channel of the output one kernel.
        bias: (C',), what each channel of the output starts from; None means 0.
        stride: Pixels from one window to the next, or (height, width).
        padding: Pixels of zeros added on each side.
        dilation: Pixels from one tap of the kernel to the next.
        groups: Into how many parts the channels are split; each part is convolved by itself.

    Returns:
        (N, C', H', W') or (C', H', W'), dtype and device of `x`.  Equals `torch.nn.functional.conv2d`.

    Raises:
        ValueError: Shapes or dtypes do not fit together, or a setting is not legal; the message says which.
    """
    windows = _windows_of(x, weight, bias, stride, padding, dilation, groups)
    # Each kernel as one line of numbers: (groups, C' / groups, numbers in a window).
    kernels = weight.unflatten(0, (groups, -1)).flatten(2)

    out = x.new_empty(*x.shape[:-3], len(weight), *windows.size)
    for i in range(windows.size[0]):
        for j in range(windows.size[1]):
            rows, columns = windows.place(i, j)
            window = windows.padded[..., rows, columns]
            # Each window as one line per group: (N, groups, numbers in a window).
            window = window.unflatten(-3, (groups, -1)).flatten(-3)
            # Every kernel of a group meets the same window: multiply, and add up.
            out[..., i, j] = (window.unsqueeze(-2) * kernels).sum(dim=-1).flatten(-2)
    return out if bias is None else out + bias[:, None, None]


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Return the weighted sum of each window, all windows at once.

    Arguments, result and errors are as for `conv2d_loops`.

    Example:
        >>> conv2d(torch.tensor([[[1.0, 5.0, 2.0]]]), torch.tensor([[[[-1.0, 1.0]]]]))  # right minus left
        tensor([[[ 4., -3.]]])
    """
    windows = _windows_of(x, weight, bias, stride, padding, dilation, groups).all()
    windows = windows.unflatten(-5, (groups, -1))
    kernels = weight.unflatten(0, (groups, -1))
    # g group, c channel in, o channel out; (h, w) which window, (i, j) where in it.
    out = torch.einsum("...gchwij,gocij->...gohw", windows, kernels).flatten(-4, -3)
    return out if bias is None else out + bias[:, None, None]


def conv2d_matrix(
    weight: Tensor,
    input_size: tuple[int, int],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Write a convolution as a matrix: a row per output, a column per input.

    For small pictures.  The matrix is nearly all zeros and as large as output times input: two channels of 100 × 100
    pixels and a stride of 1 make 400 million numbers.

    Args:
        weight: (C', C / groups, kH, kW), floating point.
        input_size: Height and width of the picture, (H, W).
        stride: As for `conv2d_loops`; so are the others.
        padding: Pixels of zeros added on each side.
        dilation: Pixels from one tap of the kernel to the next.
        groups: Into how many parts the channels are split.

    Returns:
        (C'·H'·W', C·H·W), dtype and device of `weight`.  For one picture (C, H, W), `matrix @ x.flatten()` is the
        flattened result of `torch.nn.functional.conv2d`.  The transposed matrix carries the gradient back, and is the
        transposed convolution of Chapter 05.

    Raises:
        ValueError: `weight` is no kernel, or a setting is not legal.

    Example:
        >>> conv2d_matrix(torch.tensor([[[[-1.0, 1.0]]]]), (1, 4))
        tensor([[-1.,  1.,  0.,  0.],
                [ 0., -1.,  1.,  0.],
                [ 0.,  0., -1.,  1.]])
    """
    check_kernel(weight, groups)
    height, width = check_pair("input_size", input_size, single=False)
    out_channels, channels = weight.shape[:2]
    blank = weight.new_zeros(groups * channels, height, width)
    windows = _windows_of(blank, weight, None, stride, padding, dilation, groups)

    # Each row of the matrix is a padded picture that is empty but for one kernel,
    # in the place of its window.
    matrix = weight.new_zeros(out_channels, *windows.size, *windows.padded.shape)
    for i in range(windows.size[0]):
        for j in range(windows.size[1]):
            rows, columns = windows.place(i, j)
            for k in range(out_channels):
                # The first of the channels that the kernel's group sees.
                first = k * groups // out_channels * channels
                matrix[k, i, j, first : first + channels, rows, columns] = weight[k]
    # What meets the padding meets zeros: these columns may go.
    above, left = check_pair("padding", padding, 0)
    matrix = matrix[..., above : above + height, left : left + width]
    return matrix.flatten(3).flatten(0, 2)


class StridedConv2d(nn.Sequential):
    """A convolution with a stride, then a ReLU: shrinks by `stride`, and learns how.

    Pads with (kernel_size - 1) // 2 zeros: (N, C, 64, 64) -> (N, C', 32, 32).  Odd kernels give H / stride, rounded
    up.  Even ones give (H - 2) // stride + 1, so with a stride of 2 an odd H is rounded down: 65 becomes 33 with
    3 × 3, and 32 with 2 × 2.  Equals `torch.nn.Conv2d` followed by `torch.nn.ReLU`.

    Args:
        in_channels: C.
        out_channels: C'.
        kernel_size: Taps per side; fewer than `stride` leave pixels that nothing looks at.
        stride: Pixels from one window to the next.
        relu: Whether to set what is negative to 0.

    Raises:
        ValueError: An argument is no integer above 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 2,
        relu: bool = True,
    ):
        settings = _checked(in_channels, out_channels, kernel_size, stride)
        convolution = nn.Conv2d(*settings, padding=(settings[2] - 1) // 2)
        super().__init__(convolution, *([nn.ReLU()] if relu else []))


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Move the pixels of each block into channels: smaller, and nothing is lost.

    Args:
        x: Pictures, (N, C, H, W) or (C, H, W), any dtype.  H and W are multiples of `block`.
        block: Side of a block in pixels.

    Returns:
        (N, C · block², H / block, W / block) or without N.  The channels of the output are in the order of PyTorch:
        channel c · block² + i · block + j is row i, column j of the blocks of channel c, `x[:, c, i::block, j::block]`.
        Equals `torch.nn.functional.pixel_unshuffle`.

    Raises:
        ValueError: `x` has another rank, or its sides are no multiples of `block`.

    Example:
        >>> space_to_depth(torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8]]]), 2).tolist()
        [[[1, 3]], [[2, 4]], [[5, 7]], [[6, 8]]]
    """
    _check_blocks(x, block)
    parts = [x[..., i::block, j::block] for i in range(block) for j in range(block)]
    return torch.stack(parts, dim=-3).flatten(-4, -3)


def as_pointwise(weight: Tensor) -> Tensor:
    """Rewrite a k × k kernel of stride k as a 1 × 1 kernel behind `space_to_depth`.

    Args:
        weight: (C', C, k, k).

    Returns:
        (C', C·k², 1, 1), the same numbers in the same order.  `conv2d(x, weight, stride=k)` equals
        `conv2d(space_to_depth(x, k), as_pointwise(weight))`.

    Raises:
        ValueError: `weight` is no square kernel.
    """
    _check_square(weight)
    return weight.flatten(1)[:, :, None, None]


def binomial(kernel_size: int) -> Tensor:
    """Return the weights of a blur along one axis: Pascal's triangle, with sum 1.

    Args:
        kernel_size: Taps; 1 does nothing, 2 is the mean of two, 3 is (1, 2, 1) / 4.

    Returns:
        (kernel_size,) float64.  Of a wave of `f` cycles per pixel it keeps `|cos(π·f)| ** (kernel_size - 1)`: all of a
        flat picture, nothing of the finest stripes.

    Raises:
        ValueError: `kernel_size` is no integer above 0.

    Example:
        >>> binomial(3)
        tensor([0.2500, 0.5000, 0.2500], dtype=torch.float64)
    """
    last = check_integer("kernel_size", kernel_size, 1) - 1
    return constant([math.comb(last, i) / 2**last for i in range(last + 1)])


def blur(x: Tensor, kernel_size: int = 3, stride: int = 1) -> Tensor:
    """Blur with binomial weights, and keep every `stride`-th pixel.

    Args:
        x: Pictures, (N, C, H, W) or (C, H, W), floating point.
        kernel_size: Taps per side: 1 keeps pixels as they are, and 2 with a stride of 2 is average pooling
            of even sides.
        stride: 1 blurs only; 2 halves the picture.

    Returns:
        (N, C, H / stride, W / stride), rounded up, or without N; dtype and device of `x`.  Beyond the edge the last
        pixel goes on, so a grey wall stays grey.  With stride 1 and an odd `kernel_size` it equals
        `scipy.ndimage.convolve1d(mode="nearest")` along both axes.  (Zhang's code mirrors the picture at the edge.)

    Raises:
        ValueError: `x` has another rank or is not floating point, or a setting is no integer above 0.

    Example:
        >>> blur(torch.tensor([[[0.0, 0.0, 4.0, 0.0, 0.0]]]))
        tensor([[[0., 1., 2., 1., 0.]]])
    """
    weights = binomial(kernel_size)
    return _blur(x, torch.outer(weights, weights), check_integer("stride", stride, 1))


class BlurPool2d(nn.Module):
    """`blur` as a layer that shrinks, (N, C, H, W) -> (N, C, H / stride, W / stride), rounded up.

    The filter is a buffer that is not saved: it moves with the layer, and nothing of it is learnt.  To shrink without
    luck, put it behind a convolution of stride 1 and its ReLU, or behind a max pooling of stride 1 (Zhang, 2019).

    Args:
        kernel_size: Taps of the blur per side.
        stride: Pixels from one that is kept to the next.

    Raises:
        ValueError: An argument is no integer above 0.
    """

    kernel: Tensor

    def __init__(self, kernel_size: int = 3, stride: int = 2):
        super().__init__()
        weights = binomial(kernel_size)
        self.kernel_size, self.stride = len(weights), check_integer("stride", stride, 1)
        self.register_buffer("kernel", torch.outer(weights, weights).to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return _blur(x, self.kernel, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


def shift_change(
    layer: Callable[[Tensor], Tensor],
    x: Tensor,
    pixels: int = 1,
) -> float:
    """Measure how much a layer's output changes when the picture moves across.

    The layer sees the picture twice: without its last columns, and without its first.  Of each channel only what
    differs from the channel's mean counts.

    Args:
        layer: A layer, or a function of one picture or batch.
        x: Pictures, (N, C, H, W) or (C, H, W), floating point, on any device.
        pixels: How far it moves.

    Returns:
        √(Σ (a − b)² / (Σ a² + Σ b²)), where a and b are the two outputs: 0 if nothing changes, 1 if the two are as
        different as two unrelated pictures, and more if one is rather the negative of the other.

    Raises:
        ValueError: The picture is too narrow to be moved, or both outputs are flat, so that there is no change to
            measure.

    Example:
        >>> stripes = torch.tensor([[[0.0, 1.0, 0.0, 1.0, 0.0]]])
        >>> round(shift_change(lambda x: x, stripes), 2), round(shift_change(lambda x: x, stripes, pixels=2), 2)
        (1.41, 0.0)
    """
    x = _movable(layer, x, pixels)
    outs = layer(x[..., :-pixels]), layer(x[..., pixels:])
    a, b = (out - out.mean(dim=(-2, -1), keepdim=True) for out in outs)
    contrast = a.square().sum() + b.square().sum()
    _check_contrast(contrast, outs, x.dtype)
    return math.sqrt((a - b).square().sum() / contrast)


def _checked(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> tuple[int, ...]:
    """Return the settings of a layer, each an integer above 0; what is not is refused by name."""
    names = ("in_channels", "out_channels", "kernel_size", "stride")
    values = (in_channels, out_channels, kernel_size, stride)
    return tuple(check_integer(name, value, 1) for name, value in zip(names, values, strict=True))


def _check_blocks(x: Tensor, block: int) -> None:
    """Say that pictures do not consist of whole blocks."""
    check_pictures(x)
    check_integer("block", block, 1)
    height, width = x.shape[-2:]
    if not is_open(height, width) and (height % block or width % block):
        raise ValueError(
            f"H and W must be multiples of block {block}, got H={height}, W={width}:"
            f" pad by {-height % block} rows and {-width % block} columns"
        )


def _check_square(weight: Tensor) -> None:
    """Say that a kernel has not as many rows as columns."""
    check_kernel(weight)
    if weight.shape[2] != weight.shape[3]:
        raise ValueError(f"weight must have as many rows as columns, got shape {tuple(weight.shape)}")


def _movable(layer: Callable[[Tensor], Tensor], x: Tensor, pixels: int) -> Tensor:
    """Return the pictures on the layer's device, or say why they cannot be moved and measured."""
    check_pictures(x)
    if check_integer("pixels", pixels, 1) >= x.shape[-1]:
        raise ValueError(f"a picture of {x.shape[-1]} columns cannot move by {pixels}: take a wider one")
    check_floating_point(x)
    if not x.numel() or x.isnan().any():
        raise ValueError("x must hold pictures without NaN, for a change of what is no number cannot be measured")
    return x.to(device_of(layer, x))


def _check_contrast(contrast: Tensor, outs: tuple[Tensor, Tensor], dtype: torch.dtype) -> None:
    """Say that two outputs are flat: of a flat one, only rounding is left, a few of its last digits."""
    dust = sum(out.square().sum() for out in outs) * (torch.finfo(dtype).eps * 8) ** 2
    if contrast <= dust:
        raise ValueError("both outputs are flat, so there is no change to measure: take a picture with something in it")


class _Windows(NamedTuple):
    """A padded picture, and where the windows lie in it: `taps` many, `dilation` apart, one every `stride` pixels."""

    padded: Tensor
    taps: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    size: tuple[int, int]  # how many windows there are, down and across

    def place(self, i: int, j: int) -> tuple[slice, slice]:
        """Return the rows and columns of the window for row i and column j of the output."""
        rows, columns = (
            slice(place * step, place * step + gap * taps, gap)
            for place, step, gap, taps in zip((i, j), self.stride, self.dilation, self.taps, strict=True)
        )
        return rows, columns

    def all(self) -> Tensor:
        """Cut all windows at once, (..., C, H', W', kH, kW)."""
        (rows, columns), (below, beside) = self.taps, self.dilation
        # Cut what a kernel reaches over, then take every tap.
        down = self.padded.unfold(-2, below * (rows - 1) + 1, self.stride[0])
        return down.unfold(-2, beside * (columns - 1) + 1, self.stride[1])[..., ::below, ::beside]


def _windows_of(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size, dilation: Size, groups: int
) -> _Windows:
    """Check that all fits together, and lay out the windows."""
    check_convolution(x, weight, bias, groups)
    taps = fixed_integer(weight.shape[2]), fixed_integer(weight.shape[3])
    size = conv_size(tuple(x.shape[-2:]), taps, stride, padding, dilation)
    above, left = check_pair("padding", padding, 0)
    padded = functional.pad(x, (left, left, above, above)) if above or left else x
    return _Windows(padded, taps, check_pair("stride", stride), check_pair("dilation", dilation), size)


def _blur(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    check_pictures(x)
    check_floating_point(x)
    taps, channels = fixed_integer(kernel.shape[0]), fixed_integer(x.shape[-3])
    before, after = (taps - 1) // 2, taps // 2
    padded = functional.pad(x, (before, after, before, after), mode="replicate")
    # One kernel for each channel by itself.
    return functional.conv2d(padded, kernel.to(x).expand(channels, 1, taps, taps), stride=stride, groups=channels)


# One node each where torch.fx writes a network down.
conv2d, conv2d_loops = one_node(conv2d), one_node(conv2d_loops, "conv2d")
conv2d_matrix = one_node(conv2d_matrix, "conv2d")
space_to_depth, as_pointwise, blur, _blur = map(one_node, (space_to_depth, as_pointwise, blur, _blur))

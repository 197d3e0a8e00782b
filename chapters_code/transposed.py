"""Transposed convolution: how a small map is painted back onto a large canvas (Chapter 05).

A convolution gathers: each number of its output is a weighted sum of a window.  The transposed convolution scatters:
each number of its input is multiplied by the whole kernel, and the product is added to a window of the output.  It is
no inverse.  It is the same matrix, turned over; and so it is also the way in which every convolution sends its
gradient back.

    x (N, C, H, W), weight (C, C' / groups, kH, kW)  --conv_transpose2d-->  (N, C', H', W')
    x (N, C, H, W)  --bilinear, scale s-->  (N, C, s · H, s · W)

The sizes are those of `shapes.conv_transpose_size`.  Three ways to compute it stand side by side: stamp by stamp, by
the matrix, and by zeros between the pixels with an ordinary convolution after them.  All equal
`torch.nn.functional.conv_transpose2d`.  A single picture (C, H, W) works too and comes back without N.

Sources: Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning"; Long, Shelhamer and Darrell
(2015) for the bilinear start; Odena, Dumoulin and Olah (2016), "Deconvolution and checkerboard artifacts".
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.checks import (
    Size,
    check_choice,
    check_convolution,
    check_floating_point,
    check_integer,
    check_kernel,
    check_pair,
    check_pictures,
)
from chapters_code.shapes import conv_size, conv_transpose_size
from chapters_code.strided import conv2d, conv2d_matrix
from chapters_code.tracing import fixed_integer, one_node

__all__ = [
    "RIMS",
    "UPSAMPLERS",
    "BilinearUpsample2d",
    "bilinear_conv_transpose",
    "bilinear_kernel",
    "conv_transpose2d_loops",
    "conv_transpose2d_matrix",
    "conv_transpose2d_zero_inserted",
    "interpolation_matrix",
    "overlap_count",
    "phase_sums",
]

RIMS = ("zero", "replicate")


# ---- three ways to the same numbers ------------------------------------------------------------------


def conv_transpose2d_loops(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Stamp the kernel onto a canvas, once for each pixel, as strongly as it says.

    The order of the arguments is PyTorch's.

    Args:
        x: Maps, (N, C, H, W) or (C, H, W), floating point.
        weight: (C, C' / groups, kH, kW), of the dtype of `x`: for each channel of the *input* one kernel.
        bias: (C',), what each channel of the output starts from; None means 0.
        stride: Pixels of the output from one stamp to the next, or (height, width).
        padding: Pixels *cut off* on each side of the canvas.
        output_padding: Pixels added at the far side; less than stride or dilation.
        groups: Into how many parts the channels are split; each part is stamped by itself.
        dilation: Pixels from one tap of the kernel to the next.

    Returns:
        (N, C', H', W') or (C', H', W'), dtype and device of `x`.  Equals `torch.nn.functional.conv_transpose2d`.

    Raises:
        ValueError: Shapes or dtypes do not fit together, or a setting is not legal; the message says which.
    """
    plan = _plan(x, weight, bias, stride, padding, output_padding, groups, dilation)
    # g: group, c: channel in, o: channel out, (i, j): tap
    kernels = weight.unflatten(0, (groups, -1))

    canvas = x.new_zeros(*x.shape[:-3], weight.shape[1] * groups, *plan.canvas)
    for i in range(x.shape[-2]):
        for j in range(x.shape[-1]):
            pixel = x[..., i, j].unflatten(-1, (groups, -1))
            stamp = torch.einsum("...gc,gcoij->...goij", pixel, kernels)
            rows, columns = plan.place(i, j)
            # Where stamps overlap, they add up.
            canvas[..., rows, columns] += stamp.flatten(-4, -3)
    rows, columns = plan.kept
    out = canvas[..., rows, columns]
    return out if bias is None else out + bias[:, None, None]


def conv_transpose2d_matrix(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Multiply by the matrix of a convolution, turned over.

    It is `strided.conv2d_matrix` of a convolution with the same settings, which goes the other way: from (C', H', W')
    to (C, H, W).  For small maps, as the matrix is nearly all zeros; and these are multiplied, too, so a NaN spoils the
    whole map.  Arguments, result and errors are those of
    `conv_transpose2d_loops`.
    """
    plan = _plan(x, weight, bias, stride, padding, output_padding, groups, dilation)
    matrix = conv2d_matrix(weight, plan.size, stride, padding, dilation, groups)
    matrix = _only_pixels(matrix, x, weight, plan)
    out = (x.flatten(-3) @ matrix).unflatten(-1, (-1, *plan.size))  # xᵀ M is (Mᵀ x)ᵀ
    return out if bias is None else out + bias[:, None, None]


def conv_transpose2d_zero_inserted(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Put stride − 1 zeros between the pixels, and convolve with the turned kernel.

    It is turned by half a turn.  Most products are with these zeros, so this is for understanding.  Arguments, result
    and errors are those of `conv_transpose2d_loops`.
    """
    plan = _plan(x, weight, bias, stride, padding, output_padding, groups, dilation)
    (down, across), (height, width) = plan.stride, x.shape[-2:]
    sides = (height - 1) * down + 1, (width - 1) * across + 1
    spread = x.new_zeros(*x.shape[:-2], *sides)
    spread[..., ::down, ::across] = x

    # So many zeros around it that a window begins wherever the kernel touches a pixel;
    # fewer than none cuts pixels off.
    above = plan.reach[0] - 1 - plan.padding[0]
    left = plan.reach[1] - 1 - plan.padding[1]
    below, right = above + plan.output_padding[0], left + plan.output_padding[1]
    spread = functional.pad(spread, (left, right, above, below))
    # Channels in and out change places, and the kernel's last tap comes first.
    turned = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
    return conv2d(spread, turned.flip(-2, -1), bias, dilation=dilation, groups=groups)


# ---- the checkerboard --------------------------------------------------------------------------------


def overlap_count(
    size: Size,
    kernel_size: Size,
    stride: Size,
    padding: Size = 0,
) -> Tensor:
    """Count how many stamps reach each pixel of the output.

    Args:
        size: Side of the input in pixels, or (H, W).
        kernel_size: Taps per side, or (height, width).
        stride: Pixels of the output from one stamp to the next.
        padding: Pixels cut off on each side.

    Returns:
        int64, (H', W').  Far from the rim all counts are alike if the stride divides the kernel size.

    Raises:
        ValueError: A setting is not legal, or nothing is left of the output.

    Example:
        >>> overlap_count((1, 4), (1, 3), 2)
        tensor([[1, 1, 2, 1, 2, 1, 2, 1, 1]])
    """
    sides, taps = check_pair("size", size), check_pair("kernel_size", kernel_size)
    flat, stamp = torch.ones(1, *sides), torch.ones(1, 1, *taps)
    return conv_transpose2d_loops(flat, stamp, None, stride, padding)[0].long()


def phase_sums(weight: Tensor, stride: Size) -> Tensor:
    """Add up the taps of each phase: what a map of ones comes out as, far inside.

    An output pixel sees every `stride`-th tap.  Which ones depends on its row and column modulo the stride, its phase.
    If the sums of all phases are alike, a flat map stays flat; if not, it comes out as a checkerboard, whose tiles are
    these numbers.

    Args:
        weight: (C, C', kH, kW), as for `conv_transpose2d_loops` with one group.
        stride: Pixels of the output from one stamp to the next, or (height, width).

    Returns:
        (C', sH, sW) for a stride of (sH, sW): the sum over the input's channels and over the taps of each phase; the
        phase of the kernel's first tap comes first.

    Raises:
        ValueError: `weight` has another rank, or the stride is not legal.

    Example:
        >>> phase_sums(torch.ones(1, 1, 1, 3), (1, 2))
        tensor([[[2., 1.]]])
    """
    check_kernel(weight, wanted="(C, C', kH, kW)")
    down, across = check_pair("stride", stride)
    sums = [
        weight[:, :, i::down, j::across].sum(dim=(0, 2, 3))  # every stride-th tap
        for i in range(down)
        for j in range(across)
    ]
    return torch.stack(sums, dim=-1).unflatten(-1, (down, across))


# ---- bilinear ----------------------------------------------------------------------------------------


def bilinear_kernel(in_channels: int, out_channels: int, kernel_size: Size) -> Tensor:
    """Make the kernel that enlarges each channel by itself, bilinearly.

    It is for a transposed convolution.

    It is a tent: 1 in the middle (for an odd side; an even one has no middle tap), and straight down to 0 one step
    outside.  To enlarge s times take stride s, kernel size 2·s − s % 2 and padding s // 2, as
    `bilinear_conv_transpose` does.

    Args:
        in_channels: C.
        out_channels: C'; the same, as each channel is enlarged into itself.
        kernel_size: Taps per side, or (height, width); any integer above 0.

    Returns:
        (C, C', kH, kW), of the default dtype: the tent where both channels are the same, and 0 elsewhere.

    Raises:
        ValueError: The numbers of channels differ, or an argument is no integer above 0.

    Example:
        >>> bilinear_kernel(1, 1, (1, 4))
        tensor([[[[0.2500, 0.7500, 0.7500, 0.2500]]]])
    """
    channels = _same_channels(in_channels, out_channels)
    rows, columns = (_tent(taps) for taps in check_pair("kernel_size", kernel_size))
    kernel = torch.zeros(channels, channels, len(rows), len(columns))
    kernel[range(channels), range(channels)] = torch.outer(rows, columns).to(kernel)
    return kernel


def bilinear_conv_transpose(channels: int, scale: int, groups: int = 1) -> nn.ConvTranspose2d:
    """Make a transposed convolution that enlarges `scale` times, starts as bilinear resizing, and learns from there.

    Args:
        channels: C, in and out.
        scale: How many times larger; an integer.
        groups: 1 gives every pair of channels a kernel, C² of them, which start as 0 but for C; `channels` gives each
            channel its own one, and no others.

    Shape:
        (N, C, H, W) gives (N, C, scale · H, scale · W).
    """
    check_integer("channels", channels, 1)
    kernel_size = 2 * check_integer("scale", scale, 1) - scale % 2
    layer = nn.ConvTranspose2d(channels, channels, kernel_size, scale, scale // 2, groups=groups, bias=False)
    tents = bilinear_kernel(channels // groups, channels // groups, kernel_size)
    with torch.no_grad():
        layer.weight.copy_(tents.repeat(groups, 1, 1, 1))
    return layer


def interpolation_matrix(
    size: int,
    scale: int,
    rim: str = "zero",
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Write bilinear enlargement of one side as a matrix.

    Pixel centres are at (i + 1/2): the middle of output pixel o lies at (o + 1/2) / scale − 1/2 of the input, between
    two of its pixels, and takes from each according to how near it is.

    Args:
        size: Pixels of the input.
        scale: How many times larger; an integer.
        rim: What lies outside. "zero": nothing, as for a transposed convolution; "replicate": the last pixel, again,
            as for `interpolate`.
        dtype: Of the matrix; None means the default one.

    Returns:
        (scale · size, size).  With "replicate" every row adds up to 1.

    Raises:
        ValueError: `rim` is unknown, or a number is no integer above 0.

    Example:
        >>> interpolation_matrix(2, 2), interpolation_matrix(2, 2, "replicate")
        (tensor([[0.7500, 0.0000],
                [0.7500, 0.2500],
                [0.2500, 0.7500],
                [0.0000, 0.7500]]), tensor([[1.0000, 0.0000],
                [0.7500, 0.2500],
                [0.2500, 0.7500],
                [0.0000, 1.0000]]))
    """
    _check_enlargement(size, scale, rim)
    pixels = torch.arange(scale * size, dtype=torch.float64)
    places = (pixels + 0.5) / scale - 0.5
    if rim == "replicate":
        places = places.clamp(min=0).clamp(max=size - 1)
    distances = (places[:, None] - torch.arange(size)).abs()
    matrix = (1 - distances).clamp(min=0)
    return matrix.to(dtype or torch.get_default_dtype())


class BilinearUpsample2d(nn.Module):
    """Enlarge `scale` times, bilinearly, by two matrix products: A · x · Bᵀ.

    Nothing is learnt.  With rim "zero" it equals `bilinear_conv_transpose` as that starts; with "replicate" it equals
    `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`.

    Args:
        scale: How many times larger; an integer.
        rim: "zero" or "replicate", see `interpolation_matrix`.

    Shape:
        (N, C, H, W) gives (N, C, scale · H, scale · W); so does (C, H, W).  A NaN or an infinite pixel spoils its whole
        map, since it is multiplied by zeros, too.

    Raises:
        ValueError: A setting is not legal, or what comes are no pictures in floating point.
    """

    def __init__(self, scale: int, rim: str = "zero") -> None:
        super().__init__()
        self.scale = check_integer("scale", scale, 1)
        self.rim = check_choice("rim", rim, RIMS)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures(x)
        check_floating_point(x)
        down, across = _interpolation_matrices(x, self.scale, self.rim)
        # Columns first: the smaller product, and the quicker one.
        return down @ (x @ across.T)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, rim={self.rim!r}"


# Ways for a network to enlarge its map, by name: what is learnt for C channels and a scale of s.
UPSAMPLERS: dict[str, Callable[[int, int], nn.Module]] = {
    "dense": bilinear_conv_transpose,  # C² kernels, as in "Dive into Deep Learning"
    "depthwise": lambda channels, scale: bilinear_conv_transpose(channels, scale, groups=channels),  # C kernels
    "fixed": lambda channels, scale: BilinearUpsample2d(scale),  # nothing, as in the paper's last layer
}


# ---- what the functions above share ------------------------------------------------------------------


class _Plan(NamedTuple):
    """Where the stamps lie; pairs are (height, width)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    output_padding: tuple[int, int]
    dilation: tuple[int, int]
    reach: tuple[int, int]  # of the kernel, its holes included
    size: tuple[int, int]  # of the output

    @property
    def canvas(self) -> tuple[int, int]:
        """The size of the output before the padding is cut off."""
        return tuple(side + 2 * cut for side, cut in zip(self.size, self.padding, strict=True))

    @property
    def kept(self) -> tuple[slice, slice]:
        """The rows and columns of the canvas that are the output."""
        return tuple(slice(cut, cut + side) for side, cut in zip(self.size, self.padding, strict=True))

    def place(self, i: int, j: int) -> tuple[slice, slice]:
        """Return the rows and columns of the canvas that pixel (i, j) of the input is stamped on."""
        return tuple(
            slice(at * step, at * step + reach, gap)
            for at, step, reach, gap in zip((i, j), self.stride, self.reach, self.dilation, strict=True)
        )


def _plan(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> _Plan:
    """Check that all fits together, and lay out the stamps."""
    check_convolution(x, weight, bias, groups, transposed=True)
    taps, gaps = tuple(map(fixed_integer, weight.shape[2:])), check_pair("dilation", dilation)
    size = conv_transpose_size(tuple(x.shape[-2:]), taps, stride, padding, output_padding, dilation)
    return _Plan(
        stride=check_pair("stride", stride),
        padding=check_pair("padding", padding, 0),
        output_padding=check_pair("output_padding", output_padding, 0),
        dilation=gaps,
        reach=tuple(gap * (count - 1) + 1 for gap, count in zip(gaps, taps, strict=True)),
        size=size,
    )


def _only_pixels(matrix: Tensor, x: Tensor, weight: Tensor, plan: _Plan) -> Tensor:
    """Keep the rows of a convolution's matrix whose window belongs to a pixel of `x`.

    With an output_padding of a stride or more the convolution has room for further windows; nothing comes from them.
    """
    places = conv_size(plan.size, tuple(weight.shape[2:]), plan.stride, plan.padding, plan.dilation)
    return matrix.unflatten(0, (len(weight), *places))[:, : x.shape[-2], : x.shape[-1]].flatten(0, 2)


def _same_channels(in_channels: int, out_channels: int) -> int:
    """Return the number of channels, or say that it differs between in and out."""
    check_integer("in_channels", in_channels, 1)
    if in_channels != check_integer("out_channels", out_channels, 1):
        raise ValueError(
            f"each channel is enlarged into itself, got in_channels={in_channels}, out_channels={out_channels}:"
            " change the number of channels by a 1 × 1 convolution before"
        )
    return int(in_channels)


def _check_enlargement(size: int, scale: int, rim: str) -> None:
    check_choice("rim", rim, RIMS)
    check_integer("size", size, 1)
    check_integer("scale", scale, 1)


def _interpolation_matrices(x: Tensor, scale: int, rim: str) -> tuple[Tensor, Tensor]:
    """Return the matrices that enlarge the height and the width of pictures, in their dtype and where they are."""
    down, across = (interpolation_matrix(side, scale, rim, x.dtype).to(x) for side in x.shape[-2:])
    return down, across


def _tent(taps: int) -> Tensor:
    """Return one side of the bilinear kernel, float64."""
    slope = (taps + 1) // 2
    return 1 - (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2).abs() / slope


# One node each where torch.fx writes a network down.
_interpolation_matrices, phase_sums = one_node(_interpolation_matrices), one_node(phase_sums)
conv_transpose2d_zero_inserted = one_node(conv_transpose2d_zero_inserted)
conv_transpose2d_loops = one_node(conv_transpose2d_loops, "conv_transpose2d_zero_inserted")
conv_transpose2d_matrix = one_node(conv_transpose2d_matrix, "conv_transpose2d_zero_inserted")

"""Max and average pooling, from two loops to one line (Chapter 01).

A window slides over the picture.  Of each window one number is kept: the largest, or the mean.  The loops say just
that and are what you read; the vectorised form cuts all windows at once and is what you run.

    x (N, C, H, W)  --max_pool2d-->  (N, C, H', W')        H' and W' are those of `shapes.pool_size`

A single picture (C, H, W) works too and comes back without N, as in PyTorch.  Left out: dilation, `return_indices`,
`divisor_override`, and `ceil_mode` in the loops; also PyTorch's choice of the pixel that gets the gradient in a window
with two NaN, or with nothing but −∞ and padding.

Sources: the definitions are those of `torch.nn.functional.max_pool2d` and `avg_pool2d`, which both forms equal in
values and in gradients; Boureau, Ponce and LeCun (2010) compare max and average pooling in theory and practice.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.checks import Size, check_floating_point, check_pair, check_pictures, python_integers
from chapters_code.shapes import pool_size
from chapters_code.tracing import is_open, not_negative, one_node

__all__ = ["AvgPool2d", "MaxPool2d", "avg_pool2d", "avg_pool2d_loops", "max_pool2d", "max_pool2d_loops", "windows"]


def max_pool2d_loops(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
) -> Tensor:
    """Keep the largest number of each window: one loop over rows, one over columns.

    Args:
        x: Pictures, (N, C, H, W) or (C, H, W), any real dtype.
        kernel_size: Side of the window in pixels, or (height, width).
        stride: Pixels from one window to the next, or (height, width); None means `kernel_size`.
        padding: Pixels added on each side, at most half the window.  They count as −∞, so they never win.

    Returns:
        (N, C, H', W') or (C, H', W'), dtype and device of `x`.  Equals `torch.nn.functional.max_pool2d`.  Where
        several pixels of a window share the maximum, the first one in reading order gets the gradient.

    Raises:
        ValueError: `x` has no pixels, another rank or a dtype without an order, or a setting is not legal.
    """
    geometry = _geometry(x, kernel_size, stride, padding)
    (rows, columns), (down, right), (height, width) = geometry
    padded = _pad(x, padding, fill=_lowest(x))

    out = x.new_empty(*x.shape[:-2], height, width)
    for i in range(height):
        for j in range(width):
            top, left = i * down, j * right
            window = padded[..., top : top + rows, left : left + columns]
            # At a tie amax() would share the gradient; max(dim) gives it to the first.
            out[..., i, j] = window.flatten(-2).max(dim=-1).values
    return out


def avg_pool2d_loops(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
) -> Tensor:
    """Keep the mean of each window: one loop over rows, one over columns.

    Arguments, result and errors are as for `max_pool2d_loops`, but `x` is floating point, since a mean has a fraction,
    and the padding is zeros, which count.  Equals `torch.nn.functional.avg_pool2d`.
    """
    geometry = _geometry(x, kernel_size, stride, padding, mean=True)
    (rows, columns), (down, right), (height, width) = geometry
    padded = _pad(x, padding, fill=0)

    out = x.new_empty(*x.shape[:-2], height, width)
    for i in range(height):
        for j in range(width):
            top, left = i * down, j * right
            window = padded[..., top : top + rows, left : left + columns]
            out[..., i, j] = window.mean(dim=(-2, -1))
    return out


def windows(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    fill: float = 0,
) -> Tensor:
    """Cut out all windows at once: the two loops, done by `Tensor.unfold`.

    Args:
        x: As for `max_pool2d_loops`.
        kernel_size: As there.
        stride: As there.
        padding: Pixels added on each side, at most half the window.
        ceil_mode: Let a last window hang over the far edge, as `shapes.pool_size` counts it.
        fill: What stands in pixels outside the picture.

    Returns:
        (N, C, H', W', pixels of a window), the pixels in reading order.  `windows(x, ...)[n, c, i, j]` is what the
        loops call `window`.

    Raises:
        ValueError: `x` has no pixels, another rank or no real numbers, or a setting is not legal.

    Example:
        >>> windows(torch.arange(6.0).reshape(1, 2, 3), kernel_size=2, stride=1)
        tensor([[[[0., 1., 3., 4.],
                  [1., 2., 4., 5.]]]])
    """
    geometry = _geometry(x, kernel_size, stride, padding, ceil_mode)
    return _cut(_pad(x, padding, fill), *geometry, fill, ceil_mode)


def max_pool2d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
) -> Tensor:
    """Keep the largest number of each window, all windows at once.

    Arguments, result and errors are as for `max_pool2d_loops`; `ceil_mode` keeps the last rows and columns, even if
    they do not fill a window.  Equals `torch.nn.functional.max_pool2d` in values and gradients.

    Example:
        >>> max_pool2d(torch.tensor([[[1.0, 5.0, 2.0, 0.0]]]), (1, 2))
        tensor([[[5., 2.]]])
    """
    all_windows = windows(x, kernel_size, stride, padding, ceil_mode, fill=_lowest(x))
    return all_windows.max(dim=-1).values


def avg_pool2d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Keep the mean of each window, all windows at once.

    Arguments, result and errors are as for `max_pool2d`, but `x` is floating point, since a mean has a fraction.
    `count_include_pad` counts the padding, zeros, as pixels of the window (PyTorch's default, which darkens the rim);
    without it only pixels of the picture are counted.  Equals `torch.nn.functional.avg_pool2d`.

    Example:
        >>> avg_pool2d(torch.tensor([[[1.0, 5.0, 2.0, 0.0]]]), (1, 2))
        tensor([[[3., 1.]]])
    """
    geometry = _geometry(x, kernel_size, stride, padding, ceil_mode, mean=True)
    # Means, not sums: four bright pixels of a float16 picture can add up to infinity.
    means = _cut(_pad(x, padding, fill=0), *geometry, 0, ceil_mode).mean(dim=-1)
    # What share of each window counts?  Pool a picture of ones;
    # what hangs over the far edge is never counted.
    ones = torch.ones_like(x[..., :1, :, :])
    ones = _pad(ones, padding, fill=float(count_include_pad))
    return means / _cut(ones, *geometry, 0, ceil_mode).mean(dim=-1)


class MaxPool2d(nn.Module):
    """`max_pool2d` as a layer, (N, C, H, W) -> (N, C, H', W'); same arguments, same errors."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, *, ceil_mode: bool = False):
        super().__init__()
        self.kernel_size, self.padding = python_integers(kernel_size), python_integers(padding)
        self.stride = self.kernel_size if stride is None else python_integers(stride)
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        return max_pool2d(x, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(nn.Module):
    """`avg_pool2d` as a layer, (N, C, H, W) -> (N, C, H', W'); same arguments, same errors."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__()
        self.kernel_size, self.padding = python_integers(kernel_size), python_integers(padding)
        self.stride = self.kernel_size if stride is None else python_integers(stride)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding},"
            f" ceil_mode={self.ceil_mode}, count_include_pad={self.count_include_pad}"
        )


def _geometry(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool = False,
    mean: bool = False,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return the size of the window, its step and the output size, (height, width)."""
    _need_pictures(x)
    kernel = check_pair("kernel_size", kernel_size)
    step = kernel if stride is None else check_pair("stride", stride)
    size = pool_size(tuple(x.shape[-2:]), kernel, step, padding, ceil_mode=ceil_mode)
    if mean:
        check_floating_point(x)
    return kernel, step, size


def _need_pictures(x: Tensor) -> None:
    check_pictures(x)
    if x.dtype == torch.bool or x.is_complex():
        cure = "x.abs() drops the phase" if x.is_complex() else "x.float() converts them to 0 and 1"
        raise ValueError(f"x must hold real numbers, got {x.dtype}; {cure}")


def _pad(x: Tensor, padding: Size, fill: float) -> Tensor:
    """Put a border round the pictures: `padding` pixels of the number `fill`."""
    above, left = check_pair("padding", padding, 0)
    if not (above or left):
        return x
    return functional.pad(x, (left, left, above, above), value=fill)


def _cut(
    padded: Tensor,
    kernel: tuple[int, int],
    step: tuple[int, int],
    out: tuple[int, int],
    fill: float,
    ceil_mode: bool,
) -> Tensor:
    """Cut `out` windows from a padded picture: (..., H', W', pixels of a window)."""
    if ceil_mode:  # The last window may hang over: add the rows and columns it lacks.
        below, right = (not_negative((out[i] - 1) * step[i] + kernel[i] - padded.shape[i - 2]) for i in (0, 1))
        if is_open(below, right) or below or right:
            padded = functional.pad(padded, (0, right, 0, below), value=fill)
    return padded.unfold(-2, kernel[0], step[0]).unfold(-2, kernel[1], step[1]).flatten(-2)


def _lowest(x: Tensor) -> float:
    """Return the number that never wins: −∞, or the smallest of an integer dtype."""
    _need_pictures(x)
    return float("-inf") if x.is_floating_point() else torch.iinfo(x.dtype).min


# One node each where torch.fx writes a network down.
windows, max_pool2d, avg_pool2d = one_node(windows), one_node(max_pool2d), one_node(avg_pool2d)
max_pool2d_loops, avg_pool2d_loops = one_node(max_pool2d_loops, "max_pool2d"), one_node(avg_pool2d_loops, "avg_pool2d")

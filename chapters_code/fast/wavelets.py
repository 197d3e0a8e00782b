"""The Haar transform by lifting, with a backward pass of its own (Chapter 07).

The plain form in `chapters_code.wavelets` adds four numbers four times, and passes over memory for each of its sixteen
sums, products and halves.  Here a pair of rows becomes mean and rest, and then each of these a pair of columns:

    mean = (upper + lower) / 2        rest = upper − mean = (upper − lower) / 2
    a, v = mean left ± mean right     h, d = rest left ± rest right

Six passes, straight into place, in one block of memory.  The transform is orthonormal, so its gradient is its inverse,
which is made in the same way; and it is linear, so nothing need be kept for that.

    x (..., C, H, W)  --haar_split-->  (..., 4, C, H/2, W/2), in the order a, h, v, d  --haar_join-->  x

Flattened, that is the (N, 4C, H/2, W/2) that convolutions take, without a copy.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import Function

from chapters_code import wavelets as plain
from chapters_code.tracing import is_open, is_recorded, one_node

__all__ = ["haar_dwt2", "haar_idwt2", "haar_join", "haar_split"]


def haar_dwt2(x: Tensor) -> plain.Bands:
    """Split a picture into averages and differences of its 2 × 2 blocks; `chapters_code.wavelets.haar_dwt2`, faster."""
    a, h, v, d = _four(x)
    return plain.Bands(a, h, v, d)


def haar_idwt2(bands: Sequence[Tensor], size: tuple[int, int] | None = None) -> Tensor:
    """Put a picture together from its bands; `chapters_code.wavelets.haar_idwt2`, faster."""
    a, h, v, d = plain.check_bands(bands)
    return plain.crop(_one(a, h, v, d), size)


def haar_split(x: Tensor) -> Tensor:
    """Split (..., C, H, W), H and W even, into (..., 4, C, H/2, W/2): the bands a, h, v, d.

    Raises:
        ValueError: A side is odd, or there are no channels' axis, rows or columns.
    """
    height, width = plain.check_picture(x).shape[-2:]
    if x.dim() < 3 or not is_open(height, width) and (height % 2 or width % 2):
        raise ValueError(
            f"x must be (..., C, H, W) with even H and W, got {tuple(x.shape)}; wavelets.even makes them even"
        )
    if _plain_is_better(x):
        return torch.stack(plain.haar_dwt2(x), dim=-4)
    return _Split.apply(x)


def haar_join(bands: Tensor) -> Tensor:
    """Put (..., 4, C, h, w) together to (..., C, 2h, 2w).

    Raises:
        ValueError: `bands` has another shape.
    """
    four = plain.check_picture(bands).shape[:-3][-1:]
    if not four or not is_open(*four) and four != (4,):
        raise ValueError(f"bands must be (..., 4, C, h, w), got {tuple(bands.shape)}")
    if _plain_is_better(bands):
        return plain.haar_idwt2(bands.unbind(-4))
    return _Join.apply(bands)


def _four(x: Tensor) -> Sequence[Tensor]:
    x = plain.even(plain.check_picture(x))
    return haar_split(x).unbind(-4) if x.dim() > 2 else haar_split(x[None])[:, 0].unbind(0)


def _one(*bands: Tensor) -> Tensor:
    return haar_join(torch.stack(bands, -4)) if bands[0].dim() > 2 else haar_join(torch.stack(bands)[:, None])[0]


def _plain_is_better(x: Tensor) -> bool:
    """A compiler joins the passes of the plain form by itself; on "meta" `receptive_field` follows its operations."""
    return is_recorded() or x.is_meta


class _Split(Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        *more, channels, height, width = x.shape
        mean = torch.lerp(x[..., 0::2, :], x[..., 1::2, :], 0.5)
        rest = x[..., 0::2, :] - mean
        bands = x.new_empty(*more, 4, channels, height // 2, width // 2)
        a, h, v, d = bands.unbind(-4)
        for half, sums, differences in ((mean, a, v), (rest, h, d)):
            torch.add(half[..., 0::2], half[..., 1::2], out=sums)
            torch.sub(half[..., 0::2], half[..., 1::2], out=differences)
        return bands

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Join.apply(gradient)

    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return _Split.apply(tangent)  # it is linear


class _Join(Function):
    @staticmethod
    def forward(ctx, bands: Tensor) -> Tensor:
        *more, _, channels, height, width = bands.shape
        x = bands.new_empty(*more, channels, 2 * height, 2 * width)
        mean = bands.new_empty(*more, channels, height, 2 * width)
        rest = torch.empty_like(mean)
        a, h, v, d = bands.unbind(-4)
        for half, sums, differences in ((mean, a, v), (rest, h, d)):
            torch.lerp(sums, differences, 0.5, out=half[..., 0::2])
            torch.sub(sums, half[..., 0::2], out=half[..., 1::2])
        torch.add(mean, rest, out=x[..., 0::2, :])
        torch.sub(mean, rest, out=x[..., 1::2, :])
        return x

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Split.apply(gradient)

    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return _Join.apply(tangent)


# One node each where torch.fx writes a network down.
_four, _one, haar_split, haar_join = map(one_node, (_four, _one, haar_split, haar_join))

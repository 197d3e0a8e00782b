"""A small U-Net, the host in which layers are compared (Chapter 07).

On the way down the picture is halved again and again and the channels grow; on the way up it is doubled, and the map
of the same size from the way down is laid beside it.  What halves the picture is an argument: a comparison of ways to
shrink changes that one argument and nothing else.

    x (N, C, H, W) --blocks and down--> (N, widths[-1], H/2^L, W/2^L) --doubling and blocks--> logits (N, K, H, W)

Differs from the paper: padded convolutions, so that the output has the input's size; resizing and a convolution
instead of a transposed convolution; normalisation; far fewer channels.

Source: Ronneberger, Fischer and Brox (2015), "U-Net: Convolutional Networks for Biomedical Image Segmentation".
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.layers import conv_norm_relu

__all__ = ["UNet", "max_pooling"]


def max_pooling(in_channels: int, out_channels: int) -> nn.Module:
    """Halve H and W by the largest of each 2 × 2 window; odd sides are rounded up.

    Raises:
        ValueError: `out_channels` differs from `in_channels`: pooling alone cannot change the channels.
    """
    if in_channels != out_channels:
        raise ValueError(
            f"max pooling keeps its channels, got in_channels={in_channels}, out_channels={out_channels}:"
            " put a 1 × 1 convolution beside it"
        )
    return nn.MaxPool2d(2, ceil_mode=True)


class UNet(nn.Module):
    """Segment pictures of any size with a U-Net.

    Args:
        in_channels: Channels of the picture.
        num_classes: Maps that come out: 1 for a yes-or-no question, else one per class.
        widths: Channels at each size, the full one first; each further one is half as large.
        down: Called with (in_channels, out_channels) for each halving; gives a layer that halves H and W, rounded up.
        norm: "batch", "group" (for batches of one or two pictures), or None.

    Shape:
        (N, in_channels, H, W) of floating point gives logits (N, num_classes, H, W), for H and W from 1 on.  In
        training with batch normalisation, the smallest map needs more than one value per channel.

    Raises:
        ValueError: `widths` has fewer than two entries, or `norm` is unknown.

    Example:
        >>> UNet(num_classes=2, widths=(8, 16))(torch.zeros(1, 3, 21, 30)).shape
        torch.Size([1, 2, 21, 30])
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1,
        widths: Sequence[int] = (16, 32, 64, 128),
        down: Callable[[int, int], nn.Module] = max_pooling,
        norm: str | None = "batch",
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"widths needs two entries or more, one per size of the picture, got {tuple(widths)}")
        self.stem = _block(in_channels, widths[0], norm)
        self.down = nn.ModuleList(down(width, width) for width in widths[:-1])
        self.left = nn.ModuleList(_block(*pair, norm) for pair in zip(widths, widths[1:], strict=False))
        # From the smallest map up: what came from below, and what was kept on the way down.
        self.right = nn.ModuleList(
            _block(below + kept, kept, norm) for below, kept in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        kept = []
        for down, block in zip(self.down, self.left, strict=True):
            kept.append(x)
            x = block(down(x))
        for block in self.right:
            beside = kept.pop()
            # To the size of the map beside it, and not "times two": odd sides were rounded up on the way down.
            x = functional.interpolate(x, size=beside.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, beside], dim=1))
        return self.head(x)


def _block(in_channels: int, out_channels: int, norm: str | None) -> nn.Sequential:
    """Two 3 × 3 convolutions, each with its normalisation and a ReLU."""
    first = conv_norm_relu(in_channels, out_channels, norm=norm)
    return nn.Sequential(*first, *conv_norm_relu(out_channels, out_channels, norm=norm))

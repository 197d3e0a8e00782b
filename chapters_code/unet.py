"""A small U-Net, the host in which layers are compared (Chapter 07).

On the way down the picture is halved again and again and the channels grow; on the way up it is doubled, and the map
of the same size from the way down is laid beside it.  What halves the picture is an argument: a comparison of ways to
shrink changes that one argument and nothing else.

    x (N, C, H, W) --blocks and down--> (N, widths[-1], H/2^L, W/2^L) --doubling and blocks--> logits (N, K, H, W)

Differs from the paper: padded convolutions, so that the output has the input's size; resizing and a convolution
instead of a transposed convolution; normalisation; far fewer channels.

Source: Ronneberger, Fischer and Brox (2015), "U-Net: Convolutional Networks for Biomedical Image Segmentation".
"""

import functools
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
        conv: Called with (in_channels, out_channels) for each convolution, two in a block; gives an `nn.Sequential`
            that keeps H and W, normalisation and ReLU included, so that `norm` has no say in it.  None makes 3 × 3
            convolutions, by `layers.conv_norm_relu`.
        skips: False lays nothing from the way down beside the way up: all that the network knows of the picture has
            gone through every `down`.

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
        conv: Callable[[int, int], nn.Sequential] | None = None,
        skips: bool = True,
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ValueError(f"widths needs two entries or more, one per size of the picture, got {tuple(widths)}")
        conv = functools.partial(conv_norm_relu, norm=norm) if conv is None else conv
        self.skips = skips
        self.stem = _block(in_channels, widths[0], conv)
        self.down = nn.ModuleList(down(width, width) for width in widths[:-1])
        self.left = nn.ModuleList(_block(*pair, conv) for pair in zip(widths, widths[1:], strict=False))
        # From the smallest map up: what came from below, and what was kept on the way down.
        self.right = nn.ModuleList(
            _block(below + kept if skips else below, kept, conv)
            for below, kept in zip(widths[:0:-1], widths[-2::-1], strict=True)
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
            x = block(torch.cat([x, beside], dim=1) if self.skips else x)
        return self.head(x)


def _block(in_channels: int, out_channels: int, conv: Callable[[int, int], nn.Sequential]) -> nn.Sequential:
    """Two convolutions, each with its normalisation and a ReLU."""
    return nn.Sequential(*conv(in_channels, out_channels), *conv(out_channels, out_channels))

"""The blocks that an RSU is held against: plain, residual, dense and inception (Chapter 09).

Each takes a map of any size and gives one of that size, from `in_channels` to `out_channels`, with `mid_channels`
inside, as `u2net.RSU` does.  So one can stand in the place of another, and what they cost and see can be compared.

    plain       x --> mid --> out
    residual    x --> F₁(x) --> mid --> out, + F₁(x)
    dense       x --> mid, then three times: all that is there so far --> mid; all of it --> out
    inception   x --> mid --> four dilations side by side, 1, 2, 4 and 8 --> out

Source: the paper of U²-Net compares such blocks in its figure 2 (Qin et al., 2020, arXiv 2005.09007, after ResNet,
DenseNet and GoogLeNet); the numbers of convolutions here are the book's own choice.
"""

import torch
from torch import Tensor, nn

from chapters_code import layers

__all__ = ["DenseBlock", "InceptionBlock", "PlainBlock", "ResidualBlock", "conv_norm_relu"]


def conv_norm_relu(in_channels: int, out_channels: int, dilation: int = 1) -> nn.Sequential:
    """Make a 3 × 3 convolution with batch normalisation and a ReLU, as `layers.conv_norm_relu` does, with a bias.

    The bias has no effect before a normalisation; it stands here because U²-Net's published checkpoints have it.
    """
    return layers.conv_norm_relu(in_channels, out_channels, dilation, bias=True)


class PlainBlock(nn.Sequential):
    """Two convolutions, one after the other.

    Shape:
        (N, in_channels, H, W) of floating point gives (N, out_channels, H, W); so do the other blocks.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__(conv_norm_relu(in_channels, mid_channels), conv_norm_relu(mid_channels, out_channels))


class ResidualBlock(nn.Module):
    """A convolution, and what two more add to it (He et al., 2016; in the form of an RSU, without its U)."""

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(in_channels, out_channels)
        self.inner = PlainBlock(out_channels, mid_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return self.inner(first) + first


class DenseBlock(nn.Module):
    """Each convolution takes all maps before it (Huang et al., 2017)."""

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(in_channels, mid_channels)
        self.grow = nn.ModuleList(conv_norm_relu(count * mid_channels, mid_channels) for count in (1, 2, 3))
        self.last = conv_norm_relu(4 * mid_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.grow:
            x = torch.cat([x, block(x)], dim=1)
        return self.last(x)


class InceptionBlock(nn.Module):
    """Four looks side by side, near to far (after Szegedy et al., 2015, with dilations in the place of sizes)."""

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(in_channels, mid_channels)
        self.looks = nn.ModuleList(conv_norm_relu(mid_channels, mid_channels, dilation) for dilation in (1, 2, 4, 8))
        self.last = conv_norm_relu(4 * mid_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(torch.cat([look(x) for look in self.looks], dim=1))

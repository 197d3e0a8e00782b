"""Six ways to halve a map, by name, so that a network can take each of them in turn (Chapter 07).

    x (N, C, H, W)  --DOWNSAMPLERS[name](C, C')-->  (N, C', H/2, W/2), rounded up

Each way mixes the channels once, and ends with batch normalisation and a ReLU.  So they differ in one thing: which
numbers of a 2 × 2 block, or of its surroundings, the mixing may see.

    max             the largest of the block               C · C' weights
    avg             the mean of the block                  C · C'
    strided3        3 × 3 around every second pixel        9 · C · C'
    strided2        all four, as a 2 × 2 convolution       4 · C · C'
    space_to_depth  all four, as channels                  4 · C · C'
    hwd             all four, as Haar bands                4 · C · C'

The last three can compute the same functions (`hwd`), so strided2 is the control: where HWD beats max pooling but not
strided2, it was not the wavelet that helped.
"""

from collections.abc import Callable

from torch import nn

from chapters_code.checks import check_integer
from chapters_code.hwd import EvenSides, HWDownsampling
from chapters_code.layers import conv_norm_relu

__all__ = ["DOWNSAMPLERS"]


def _max(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), *conv_norm_relu(in_channels, out_channels, kernel_size=1))


def _avg(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(EvenSides(), nn.AvgPool2d(2), *conv_norm_relu(in_channels, out_channels, kernel_size=1))


def _strided3(in_channels: int, out_channels: int) -> nn.Module:
    return conv_norm_relu(in_channels, out_channels, stride=2)


def _strided2(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(EvenSides(), *conv_norm_relu(in_channels, out_channels, kernel_size=2, stride=2))


def _space_to_depth(in_channels: int, out_channels: int) -> nn.Module:
    pixels = 4 * check_integer("in_channels", in_channels, 1)
    return nn.Sequential(EvenSides(), nn.PixelUnshuffle(2), *conv_norm_relu(pixels, out_channels, kernel_size=1))


# Called with (in_channels, out_channels).
DOWNSAMPLERS: dict[str, Callable[[int, int], nn.Module]] = {
    "max": _max,
    "avg": _avg,
    "strided3": _strided3,
    "strided2": _strided2,
    "space_to_depth": _space_to_depth,
    "hwd": HWDownsampling,
}

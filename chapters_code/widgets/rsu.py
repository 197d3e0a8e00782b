"""RSU builder: a residual U-block of any height, and what it costs and sees beside simpler blocks (Chapter 09).

The reader chooses the height, halving or dilation, the channels and the size of the map.  The block is drawn, each
convolution a box; a table holds it against a plain and a residual block with the same channels.

    height, dilated, channels  -->  parameters        and map (H, W)  -->  boxes, multiply-adds, middle pixel's field

Left out: time, which is not the same as multiply-adds, and the dense and the inception block.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from chapters_code.blocks import PlainBlock, ResidualBlock
from chapters_code.cost import cost
from chapters_code.notebook import COLOURS, INK, PAPER
from chapters_code.receptive_field import Fields
from chapters_code.u2net import RSU
from chapters_code.widgets.moving import Flag, Integer, MovingFigure, es_module

__all__ = ["Convolution", "RSUBuilder"]

_BLOCKS = {"plain": PlainBlock, "residual": ResidualBlock}  # beside the RSU
# The drawing, as in rsu.js: its width, a box, the steps between rows, and how far down the first row begins.
_WIDE, _BOX, _STEP, _TOP = 320, (134, 36), 52, 26


class Convolution(NamedTuple):
    """A 3 × 3 convolution of a block, and the size of the map that it reads and writes."""

    in_channels: int
    out_channels: int
    rate: int  # its dilation
    height: int
    width: int


class RSUBuilder(MovingFigure):
    """An RSU drawn box by box, beside a plain and a residual block with the same channels.

    Args:
        height: Of the RSU, 2 to 8.
        in_channels: Channels that come in, 1 to 1024.
        mid_channels: Channels inside, 1 to 512.
        out_channels: Channels that come out, 1 to 512.
        dilated: Keep the map's size and pull the kernels apart, as RSU-4F does.
        map_height: Rows of the map, 1 to 512.
        map_width: Columns of the map, 1 to 512.

    Raises:
        ValueError: A setting is none of these.

    Example:
        >>> figure = RSUBuilder(height=7)
        >>> figure.parameters["rsu"], figure.fields["rsu"]
        (206016, (480, 480))
    """

    _esm = es_module("rsu.js")

    # The height as in rsu.js.  More channels would not fit into a box; U²-Net has at most 1024, 256 and 512.
    height = Integer(2, 8)
    in_channels = Integer(1, 1024)
    mid_channels = Integer(1, 512)
    out_channels = Integer(1, 512)
    dilated = Flag()
    map_height = Integer(1, 512)
    map_width = Integer(1, 512)

    def __init__(
        self,
        height=5,
        in_channels=3,
        mid_channels=32,
        out_channels=64,
        dilated=False,
        map_height=288,
        map_width=288,
        **kwargs,
    ):
        super().__init__(
            height=height,
            in_channels=in_channels,
            mid_channels=mid_channels,
            out_channels=out_channels,
            dilated=dilated,
            map_height=map_height,
            map_width=map_width,
            **kwargs,
        )

    @property
    def convolutions(self) -> list[Convolution]:
        """The convolutions of the RSU in the order they run, first F₁, then the way down, then the way up."""
        return list(_convolutions(*self._settings))

    @property
    def parameters(self) -> dict[str, int]:
        """How many numbers each block learns, under the names "rsu", "plain" and "residual"."""
        return {name: counted.parameters for name, counted in _costs(*self._settings).items()}

    @property
    def multiply_adds(self) -> dict[str, int]:
        """Multiply-adds of each block for one map, as `cost.cost` counts them."""
        return {name: counted.multiply_adds for name, counted in _costs(*self._settings).items()}

    @property
    def fields(self) -> dict[str, tuple[int, int]]:
        """The middle pixel's receptive field in each block, (rows, columns), as if the map went on in all directions.

        In an RSU it depends a little on where the pixel lies in the blocks of 2 × 2 that become one.
        """
        # Six halvings at most, so the field repeats after 64 pixels, and a map of 64 × 64 does for all.
        pixel = self.map_height // 2 % 64, self.map_width // 2 % 64
        rsu = _field("rsu", self.height, self.dilated, pixel)
        return {"rsu": rsu} | {name: _field(name, 0, False, pixel) for name in _BLOCKS}

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        sizes = list(dict.fromkeys(_square(one.height, one.width) for one in self.convolutions))
        maps = f"on maps of {', '.join(sizes)}" if len(sizes) > 1 else "all on this size"
        rates = [one.rate for one in self.convolutions[1 : self.height + 1]]
        return (
            f"{self._name} with {self.in_channels} channels in, {self.mid_channels} inside and {self.out_channels} out,"
            f" on a map of {_square(self.map_height, self.map_width)}: {2 * self.height} convolutions one after the"
            f" other, {maps}, with dilations {', '.join(map(str, rates))} on the way down;"
            f" {self.parameters['rsu']:,} parameters, {self.multiply_adds['rsu']:,} multiply-adds, and a field of"
            f" {_square(*self.fields['rsu'])} for the middle pixel."
        )

    def still(self) -> str:
        """Draw the block as a U of boxes, as SVG text."""
        (wide, tall), height = _BOX, self.height
        right, bottom = _WIDE - wide - 1, _TOP + height * _STEP
        left_middle, right_middle = 1 + wide / 2, right + wide / 2
        # From the first box down to the last; along the bottom; up to the sum; and from each box to the one beside it.
        lines = [f"M{left_middle} 6V{bottom + tall / 2}H{right_middle}V6"]
        lines += [f"M{wide} {_TOP + row * _STEP + tall / 2}H{right_middle}" for row in range(height)]
        boxes = []
        for i, one in enumerate(self.convolutions):
            x, row = (1, i) if i < height else (right, 2 * height - i) if i > height else ((_WIDE - wide) / 2, height)
            y = _TOP + row * _STEP
            # Only the centre of the kernel falls on so small a map.
            alone = one.rate >= max(one.height, one.width)
            look = f'stroke="{COLOURS["vermillion"]}" stroke-dasharray="4 3"' if alone else f'stroke="{INK}"'
            rate = f", rate {one.rate}" * (one.rate > 1)
            boxes.append(
                f'<rect x="{x}" y="{y}" width="{wide}" height="{tall}" rx="4" fill="{PAPER}" {look}/>'
                f'<text x="{x + wide / 2}" y="{y + 15}" font-weight="600">{_square(one.height, one.width)}</text>'
                f'<text x="{x + wide / 2}" y="{y + 29}">{one.in_channels} → {one.out_channels}{rate}</text>'
            )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {bottom + tall + 4}" width="448"'
            f' height="{1.4 * (bottom + tall + 4):g}" font-family="sans-serif" font-size="12" text-anchor="middle"'
            f' fill="{INK}">'
            f'<rect width="100%" height="100%" fill="{PAPER}"/>'
            f'<path d="{"".join(lines)}" fill="none" stroke="{INK}"/>{"".join(boxes)}'
            f'<circle cx="{right_middle}" cy="{_TOP + tall / 2}" r="11" fill="{PAPER}" stroke="{INK}"/>'
            f'<text x="{right_middle}" y="{_TOP + tall / 2 + 4}">+</text></svg>'
        )

    @property
    def _name(self) -> str:
        return f"RSU-{self.height}{'F' * self.dilated}"

    @property
    def _settings(self) -> tuple:
        channels = self.in_channels, self.mid_channels, self.out_channels
        return self.height, channels, self.dilated, (self.map_height, self.map_width)


# All that is measured is kept: a description alone asks three times, and moving the figure back asks again.


def _blocks(height: int, channels: tuple[int, int, int], dilated: bool) -> dict[str, nn.Module]:
    with torch.device("meta"):  # without numbers: none are drawn, so the reader's chance numbers stay what they are
        blocks = {name: block(*channels) for name, block in _BLOCKS.items()}
        return {"rsu": RSU(height, *channels, dilated)} | blocks


@cache
def _convolutions(
    height: int, channels: tuple[int, int, int], dilated: bool, size: tuple[int, int]
) -> tuple[Convolution, ...]:
    found = []

    def note(layer: nn.Conv2d, inputs: tuple, out: torch.Tensor) -> None:
        found.append(Convolution(layer.in_channels, layer.out_channels, layer.dilation[0], *out.shape[-2:]))

    block = _blocks(height, channels, dilated)["rsu"].eval()
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    block(torch.zeros(1, channels[0], *size, device="meta"))
    return tuple(found)


@cache
def _costs(height: int, channels: tuple[int, int, int], dilated: bool, size: tuple[int, int]) -> dict:
    blocks = _blocks(height, channels, dilated)
    return {name: cost(block, 1, channels[0], *size) for name, block in blocks.items()}


@cache
def _fields(name: str, height: int, dilated: bool) -> Fields:
    """Record a block; the channels have no say in its fields, so one of each is enough."""
    with torch.random.fork_rng(devices=[]):
        block = RSU(height, 1, 1, 1, dilated) if name == "rsu" else _BLOCKS[name](1, 1, 1)
    return Fields(block, (64, 64))


@cache
def _field(name: str, height: int, dilated: bool, pixel: tuple[int, int]) -> tuple[int, int]:
    """Measure the field of a pixel."""
    return _fields(name, height, dilated).at(*pixel).size


def _square(height: int, width: int) -> str:
    return f"{height} × {width}"

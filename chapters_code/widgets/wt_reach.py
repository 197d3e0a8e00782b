"""WTConv reach: how far the levels of a WTConv look, and what one big kernel of the same reach costs (Chapter 08).

A pixel of a map is looked at from a WTConv: the kernel at full size stands around the pixel, the kernels of each level
around the block in which it lies.  Beside it stands one depthwise kernel as large as the field of the last level.

    levels, kernel_size  -->  reach, parameters        and map (H, W)  -->  multiply-adds        and pixel  -->  squares

Left out: strides, wavelets other than Haar, and time, which is not the same as multiply-adds.
"""

import torch

from chapters_code.cost import cost
from chapters_code.notebook import COLOURS, INK, PAPER
from chapters_code.widgets.moving import Integer, MovingFigure, es_module
from chapters_code.wtconv import WTConv2d

__all__ = ["WTReach"]

_MOST_LEVELS = 5  # as in wt_reach.js, and so are the kernels


class WTReach(MovingFigure):
    """The field of one pixel in a WTConv, level by level, beside one big kernel of the same reach.

    Args:
        levels: Steps of the transform, 1 to 5.
        kernel_size: Taps per side of all kernels of the WTConv: 3, 5, 7 or 9.
        height: Rows of the map, 1 to 512.
        width: Columns of the map, 1 to 512.
        row: Row of the pixel whose field is drawn, counted from 0; by default the middle one.
        column: Its column; by default the middle one.

    Raises:
        ValueError: A setting is none of these, or the pixel is not on the map.

    Example:
        >>> figure = WTReach(levels=2, kernel_size=5)
        >>> figure.reach, figure.parameters
        (20, (235, 401))
    """

    _esm = es_module("wt_reach.js")

    levels = Integer(1, _MOST_LEVELS)
    kernel_size = Integer(3, 9, step=2)
    height = Integer(1, 512)
    width = Integer(1, 512)
    row = Integer(0, 511)
    column = Integer(0, 511)

    def __init__(self, levels=2, kernel_size=5, height=40, width=60, row=None, column=None, **kwargs):
        super().__init__(levels=levels, kernel_size=kernel_size, height=height, width=width, row=0, column=0, **kwargs)
        self.row = self.height // 2 if row is None else row
        self.column = self.width // 2 if column is None else column
        if self.row >= self.height or self.column >= self.width:
            raise ValueError(
                f"the pixel must be on the map of {self.height} × {self.width}, got row={self.row},"
                f" column={self.column}; rows and columns count from 0"
            )

    @property
    def reach(self) -> int:
        """Side of the field of the last level, in pixels; `receptive_field` finds the same."""
        return self.kernel_size * 2**self.levels

    @property
    def squares(self) -> list[tuple[int, int, int]]:
        """List the fields of the kernel at full size and of each level, as (top row, left column, side).

        A square may lie partly beyond the map: there are zeros.
        """
        squares = []
        for block in (2**level for level in range(self.levels + 1)):
            before = self.kernel_size // 2 * block  # the kernel's middle stands on the block that holds the pixel
            top, left = (at // block * block - before for at in (self.row, self.column))
            squares.append((top, left, self.kernel_size * block))
        return squares

    @property
    def parameters(self) -> tuple[int, int]:
        """How many numbers a channel learns, in WTConv and in one depthwise kernel of the same reach, with a bias."""
        return self._counts(self.levels)

    @property
    def pays_from(self) -> int:
        """The smallest number of levels at which WTConv has fewer parameters than the one kernel."""
        counts = ((levels, *self._counts(levels)) for levels in range(1, _MOST_LEVELS + 1))
        return next(levels for levels, small, big in counts if small < big)

    @property
    def multiply_adds(self) -> tuple[int, int]:
        """Multiply-adds of WTConv and of the one kernel, for one channel of the map.

        All kernels count, those of the transform among them, four taps each; the scales and the sums of the levels do
        not.  `cost.cost` counts the steps as one reads them; `fast` does the same with fewer.
        """
        counted = cost(self._layer(self.levels), 1, 1, self.height, self.width)
        return counted.multiply_adds, self.reach**2 * self.height * self.width

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        top, left, reach = self.squares[-1]
        small, big = self.parameters
        return (
            f"A WTConv with {self.levels} level{'s' * (self.levels > 1)} of {self.kernel_size} × {self.kernel_size}"
            f" reaches {reach} × {reach} pixels with {small:,} parameters per channel, where one kernel has {big:,}:"
            f" for row {self.row}, column {self.column} of a map of {self.height} × {self.width} these are rows"
            f" {_signed(top)} to {_signed(top + reach - 1)}, columns {_signed(left)} to {_signed(left + reach - 1)}."
        )

    def still(self) -> str:
        """Draw the map, the field of each level on it and the pixel, as SVG text."""
        # Room for every place of the pixel, so that the still picture has the size of the one that moves.
        block, around = 2**self.levels, self.reach // 2
        tall, wide = (-(-side // block) * block + 2 * around for side in (self.height, self.width))
        line = wide / 560  # as wide as a pixel of the screen
        squares = [
            f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="{COLOURS["blue"]}"'
            f' fill-opacity="0.12" stroke="{COLOURS["blue"]}" stroke-width="{1.5 * line:g}"/>'
            for top, left, side in reversed(self.squares)
        ]
        spot = max(1.0, 0.012 * wide)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-around} {-around} {wide} {tall}"'
            f' width="560" height="{tall / line:g}">'
            f'<rect x="{-around}" y="{-around}" width="{wide}" height="{tall}" fill="{PAPER}"/>'
            f'<rect width="{self.width}" height="{self.height}" fill="none" stroke="{INK}"'
            f' stroke-width="{1.5 * line:g}"/>{"".join(squares)}'
            f'<rect x="{self.column + 0.5 - spot / 2:g}" y="{self.row + 0.5 - spot / 2:g}" width="{spot:g}"'
            f' height="{spot:g}" fill="{COLOURS["orange"]}" stroke="{INK}" stroke-width="{line:g}"/></svg>'
        )

    def _layer(self, levels: int) -> WTConv2d:
        with torch.device("meta"):  # without numbers: none are drawn, so the reader's chance numbers stay what they are
            return WTConv2d(1, 1, self.kernel_size, wt_levels=levels, fast=False)

    def _counts(self, levels: int) -> tuple[int, int]:
        small = sum(one.numel() for one in self._layer(levels).parameters())
        return small, (self.kernel_size * 2**levels) ** 2 + 1


def _signed(number: int) -> str:
    return f"{number}".replace("-", "−")

"""Footprint: which pixels a stack of dilated layers touches, and which fall through (Chapter 03).

The reader sets the rates of up to five layers; the figure draws the receptive field of one output pixel, its holes,
and a straight crack, one pixel wide, that is seen or not.

    rates, kernel_size  -->  offsets along one axis  -->  touched pixels: all rows and columns of these offsets

Left out: strides, different rates for rows and columns, and how often a pixel is touched.
"""

from chapters_code.dilated import footprint
from chapters_code.notebook import COLOURS, INK, PAPER
from chapters_code.widgets.moving import Choice, Integer, MovingFigure, Several, es_module

__all__ = ["Footprint"]

_FARTHEST = 8  # as in footprint.js


class Footprint(MovingFigure):
    """The receptive field of a stack of dilated layers, pixel by pixel.

    Args:
        rates: The dilation of each layer, one to five numbers from 1 to 8.
        kernel_size: Taps per side of every layer, 3 or 5.
        crack: How many pixels to the right of the output pixel a crack runs straight down, -8 to 8.

    Raises:
        ValueError: A setting is out of its range.

    Example:
        >>> Footprint((2, 2), crack=1).offsets
        (-4, -2, 0, 2, 4)
    """

    _esm = es_module("footprint.js")

    # The same limits as the controls of footprint.js.
    rates = Several(Integer(1, 8), "a list of one to five numbers, one for the rate of each layer", least=1, most=5)
    kernel_size = Choice(3, 5)
    crack = Integer(-_FARTHEST, _FARTHEST)

    def __init__(self, rates=(2, 2, 2), kernel_size=3, crack=1, **kwargs):
        super().__init__(rates=rates, kernel_size=kernel_size, crack=crack, **kwargs)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The touched pixels along one axis, those of `dilated.footprint`."""
        return footprint(self.rates, self.kernel_size)

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        layers = f"{len(self.rates)} layer{'s' if len(self.rates) > 1 else ''}"
        touched, side = len(self.offsets), self.offsets[-1] - self.offsets[0] + 1
        return (
            f"What one output pixel sees through {layers} of {self.kernel_size} × {self.kernel_size} at"
            f" rate{'s' if len(self.rates) > 1 else ''} {', '.join(map(str, self.rates))}: of {side} × {side} pixels"
            f" {touched**2} are touched and {side**2 - touched**2} missed."
        )

    def still(self) -> str:
        """Draw the field, its holes and the crack, as SVG text."""
        offsets, reach = self.offsets, self.offsets[-1]
        half = max(reach, _FARTHEST) + 1  # as in footprint.js
        side, corner = 2 * half + 1, -half - 0.5
        crack = f'<rect x="{self.crack - 0.2:g}" y="{corner}" width="0.4" height="{side}" fill="{COLOURS["orange"]}"/>'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{corner} {corner} {side} {side}"'
            f' width="420" height="420">'
            f'<rect x="{corner}" y="{corner}" width="100%" height="100%" fill="{PAPER}"/>'
            f'<rect x="{-reach - 0.5:g}" y="{-reach - 0.5:g}" width="{2 * reach + 1}" height="{2 * reach + 1}"'
            f' fill="{INK}" fill-opacity="0.12" stroke="{INK}" stroke-width="0.1"/>'
            f'<path d="{_squares(offsets, offsets)}" fill="{COLOURS["blue"]}"/>{crack}'
            f'<path d="{_squares([self.crack] if self.crack in offsets else [], offsets)}"'
            f' fill="{COLOURS["vermillion"]}"/>'
            f'<circle r="0.3" fill="#fff" stroke="{INK}" stroke-width="0.12"/></svg>'
        )


def _squares(columns, rows) -> str:
    """Write one square of a path for each crossing of a column and a row, with a thin gap between neighbours."""
    return "".join(f"M{x - 0.46:g} {y - 0.46:g}h.92v.92h-.92z" for y in rows for x in columns)

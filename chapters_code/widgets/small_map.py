"""Small map: which taps of a dilated 3 × 3 kernel still fall on the feature map (Chapter 04).

A kernel of nine taps, `rate` pixels apart, stands on one pixel of a map.  Taps outside the map read padding, zeros.
The reader moves the kernel, the rate and the edges of the map.

    map (H, W), rate, pixel  ->  nine taps, inside or outside        and the means over all pixels, `aspp.valid_taps`

Left out: strides, larger kernels, maps of more than 65 × 65.
"""

from chapters_code.aspp import ValidTaps, valid_taps
from chapters_code.notebook import COLOURS, INK, PAPER
from chapters_code.widgets.moving import Integer, MovingFigure, es_module

__all__ = ["SmallMap"]


class SmallMap(MovingFigure):
    """The nine taps of a 3 × 3 kernel at a dilation rate, on a map that may be too small for them.

    Args:
        height: Rows of the feature map, 1 to 65.
        width: Columns of the feature map, 1 to 65.
        rate: Pixels from one tap to the next, 1 to 36.
        row: The row on which the kernel's centre stands, counted from 0; by default the middle one.
        column: Its column; by default the middle one.

    Raises:
        ValueError: A setting is out of its range, or the centre is not on the map.

    Example:
        >>> SmallMap(height=10, width=15, rate=18).valid
        ValidTaps(mean=1.0, centre_only=1.0)
    """

    _esm = es_module("small_map.js")

    # The same limits as the sliders of small_map.js.
    height = Integer(1, 65)
    width = Integer(1, 65)
    rate = Integer(1, 36)
    row = Integer(0, 64)
    column = Integer(0, 64)

    def __init__(self, height=10, width=15, rate=6, row=None, column=None, **kwargs):
        super().__init__(height=height, width=width, rate=rate, row=0, column=0, **kwargs)
        self.row = self.height // 2 if row is None else row
        self.column = self.width // 2 if column is None else column
        if self.row >= self.height or self.column >= self.width:
            raise ValueError(
                f"the centre must be on the map of {self.height} × {self.width}, got row={self.row},"
                f" column={self.column}; rows and columns count from 0"
            )

    @property
    def taps(self) -> list[tuple[int, int, bool]]:
        """The nine taps in reading order, each as (row, column, whether it is on the map)."""
        return [
            (row, column, 0 <= row < self.height and 0 <= column < self.width)
            for row in (self.row - self.rate, self.row, self.row + self.rate)
            for column in (self.column - self.rate, self.column, self.column + self.rate)
        ]

    @property
    def valid(self) -> ValidTaps:
        """What `aspp.valid_taps` says of this map and rate."""
        return valid_taps((self.height, self.width), self.rate)

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        inside = sum(on_the_map for *_, on_the_map in self.taps)
        return (
            f"A 3 × 3 kernel at rate {self.rate} on a map of {self.height} × {self.width}:"
            f" at row {self.row}, column {self.column} {inside} of 9 taps are on the map,"
            f" on average {self.valid.mean:.2f}."
        )

    def still(self) -> str:
        """Draw the map and the nine taps around one of its pixels, as SVG text."""
        # Room for every place of the kernel, so that the still picture has the size of the one that moves.
        wide, tall = self.width + 2 * self.rate, self.height + 2 * self.rate
        unit = 560 / wide
        size = max(1.0, 9 / unit)  # a tap is never smaller than nine pixels
        drawn = []
        for row, column, inside in self.taps:
            x, y = column + 0.5 - size / 2, row + 0.5 - size / 2
            look = f'fill="{COLOURS["orange"]}" stroke="{INK}"'
            if not inside:
                look = f'fill="none" stroke="{COLOURS["vermillion"]}" stroke-dasharray="{size / 4:g}"'
            drawn.append(
                f'<rect x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}" {look} stroke-width="{1.5 / unit:g}"/>'
            )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-self.rate} {-self.rate} {wide} {tall}"'
            f' width="560" height="{unit * tall:g}">'
            f'<rect x="{-self.rate}" y="{-self.rate}" width="{wide}" height="{tall}" fill="{PAPER}"/>'
            f'<rect width="{self.width}" height="{self.height}" fill="{COLOURS["sky"]}" stroke="{INK}"'
            f' stroke-width="{1.5 / unit:g}"/>{"".join(drawn)}</svg>'
        )

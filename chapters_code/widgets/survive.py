"""Survive: a thin crack under five ways to shrink, moved pixel by pixel (Chapter 02).

The reader moves the crack over a small road; each output shows what is left of it, here and wherever else it may lie.

    road (8, 18): 0 is pavement, -1 a dark crack or 1 a bright one  --each way-->  output (4, 9), and its contrast

Numbers are brightness against the pavement, so the zeros of a convolution's padding are pavement, too.  Left out:
ReLU, channels, and roads with texture.
"""

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.notebook import INK, PAPER
from chapters_code.strided import blur
from chapters_code.widgets.moving import Choice, Integer, MovingFigure, es_module

__all__ = ["KERNELS", "Survive"]

_HEIGHT, _WIDTH = 8, 18
# The same choices as in survive.js: how many columns the crack has moved in each row; the 3 x 3 kernels.
_DRIFTS = {
    "straight": [0] * _HEIGHT,
    "slanted": [row // 2 - 2 for row in range(_HEIGHT)],
    "diagonal": [row - 4 for row in range(_HEIGHT)],
}
KERNELS = {
    "centre": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "mean": [[1 / 9] * 3] * 3,
    "edge": [[-1 / 8, -1 / 8, -1 / 8], [-1 / 8, 1, -1 / 8], [-1 / 8, -1 / 8, -1 / 8]],
}
_TAPS = ("top left", "top right", "bottom left", "bottom right")


class Survive(MovingFigure):
    """What five ways to shrink leave of a crack, wherever it lies.

    Args:
        place: How far the crack has moved to the right, 0 to 8 pixels.
        slope: "straight" down, "slanted" by one column in two rows, or "diagonal".
        width: Of the crack, 1 to 3 pixels.
        ink: "dark" or "bright".
        kernel: Of the 3 × 3 convolution: "centre" keeps the middle pixel, "mean" averages all nine, "edge" is the
            middle pixel minus the mean of its eight neighbours.
        tap: The pixel of each block that the 2 × 2 convolution keeps: "top left", "top right", "bottom left" or
            "bottom right".

    Raises:
        ValueError: A setting is none of these.

    Example:
        >>> Survive(place=1).contrasts["max pooling"]
        0.0
    """

    _esm = es_module("survive.js")

    place = Integer(0, 8)
    slope = Choice(*_DRIFTS)
    width = Integer(1, 3)
    ink = Choice("dark", "bright")
    kernel = Choice(*KERNELS)
    tap = Choice(*_TAPS)

    def __init__(self, place=4, slope="straight", width=1, ink="dark", kernel="centre", tap="top left", **kwargs):
        super().__init__(place=place, slope=slope, width=width, ink=ink, kernel=kernel, tap=tap, **kwargs)

    @property
    def road(self) -> Tensor:
        """The road with its crack, (8, 18) float64, with 0 for pavement and -1 or 1 for the crack."""
        road = torch.zeros(_HEIGHT, _WIDTH, dtype=torch.float64)
        for row, drift in enumerate(_DRIFTS[self.slope]):
            first = 4 + self.place + drift
            road[row, first : first + self.width] = -1 if self.ink == "dark" else 1
        return road

    @property
    def outputs(self) -> dict[str, Tensor]:
        """Shrink the road in five ways with PyTorch and the book's `blur`.

        Returns:
            The way's name -> (4, 9) float64.
        """
        x = self.road[None, None]
        kernel = torch.tensor(KERNELS[self.kernel], dtype=torch.float64)[None, None]
        tap = torch.zeros(4, dtype=torch.float64)
        tap[_TAPS.index(self.tap)] = 1
        outputs = {
            "max pooling": functional.max_pool2d(x, 2),
            "average pooling": functional.avg_pool2d(x, 2),
            "2 × 2, stride 2": functional.conv2d(x, tap.reshape(1, 1, 2, 2), stride=2),
            "3 × 3, stride 2": functional.conv2d(x, kernel, stride=2, padding=1),
            "blur, stride 2": blur(x, stride=2),
        }
        return {name: out[0, 0] for name, out in outputs.items()}

    @property
    def contrasts(self) -> dict[str, float]:
        """The strongest number of a row, averaged over the rows, for each output."""
        return {name: out.abs().amax(dim=1).mean().item() for name, out in self.outputs.items()}

    @property
    def totals(self) -> dict[str, float]:
        """The sum of a row, averaged over the rows, for each output; a crack's pixel is 1."""
        sign = -1 if self.ink == "dark" else 1
        return {name: sign * out.sum(dim=1).mean().item() for name, out in self.outputs.items()}

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        left = ", ".join(f"{name} {100 * contrast:.0f} %" for name, contrast in self.contrasts.items())
        return (
            f"A {self.slope} {self.ink} crack, {self.width} pixel{'s' * (self.width > 1)} wide, on a road of"
            f" {_HEIGHT} × {_WIDTH} pixels, and what is left of its contrast after shrinking in five ways: {left}."
        )

    def still(self) -> str:
        """Draw the road, and the five outputs under it, as SVG text."""
        # One unit is one pixel.  The outputs stand in two columns, as on a phone.
        drawn = [_board(1, 2, "the road", self.road)]
        for i, (name, out) in enumerate(self.outputs.items()):
            title = f"{name}: {100 * self.contrasts[name]:.0f} %"
            drawn.append(_board(1 + 11 * (i % 2), 13 + 7 * (i // 2), title, out))
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 22 32" width="440" height="640"'
            f' font-family="sans-serif" font-size="0.8"><rect width="22" height="32" rx="0.3" fill="{PAPER}"/>'
            f"{''.join(drawn)}</svg>"
        )


def _board(x: float, y: float, title: str, values: Tensor) -> str:
    """Draw a picture's pixels under its title, as dark and light as in survive.js."""
    height, width = values.shape
    cells = [
        f'<text x="{x:g}" y="{y - 0.5:g}" fill="{INK}">{title}</text>',
        f'<rect x="{x - 0.06:g}" y="{y - 0.06:g}" width="{width + 0.12:g}" height="{height + 0.12:g}"'
        f' fill="hsl(40, 6%, 46%)"/>',
    ]
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            lightness = round(62 + (44 if value < 0 else 35) * min(max(value, -1), 1))  # in percent; pavement is 62
            cells.append(
                f'<rect x="{x + j + 0.03:g}" y="{y + i + 0.03:g}" width="0.94" height="0.94"'
                f' fill="hsl(40, 6%, {lightness}%)"/>'
            )
    return "".join(cells)

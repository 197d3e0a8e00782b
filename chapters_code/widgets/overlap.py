"""Overlap: how the stamps of a transposed convolution meet, and the checkerboard that comes of it (Chapter 05).

A flat map of ones is enlarged.  Each of its pixels stamps the kernel onto the output; where stamps overlap, they add
up.  The reader chooses the kernel, its size and the stride, and looks at what meets at each tile of the pattern.

    ones (8, 10), kernel (k, k), stride s  -->  counts and answer (H', W')   and inside  -->  tiles (s, s), unevenness

Left out: padding, which only cuts the rim off; channels; kernels that are not square.
"""

import torch
from torch import Tensor

from chapters_code.notebook import COLOURS, INK, PAPER
from chapters_code.transposed import bilinear_kernel, conv_transpose2d_loops, overlap_count, phase_sums
from chapters_code.widgets.moving import Choice, Integer, MovingFigure, Several, es_module

__all__ = ["Overlap"]

# The same choices and limits as in overlap.js.
_MAP = (8, 10)  # large enough that the widest kernel at stride 1 has an inside
_LARGEST_STRIDE = 4


class Overlap(MovingFigure):
    """The answer of a transposed convolution to a flat map of ones: the overlaps, and the checkerboard.

    Args:
        kernel_size: Taps per side, 1 to 8.
        stride: Pixels of the output from one stamp to the next, 1 to 4.
        kernel: "ones", "bilinear" (the tent of `transposed.bilinear_kernel`), or "random": integers from 1 to 9.
        seed: Which random kernel, 1 to 99.
        tile: The tile of the pattern whose taps and pixels are marked, (row, column), both below `stride`.

    Raises:
        ValueError: A setting is none of these.

    Example:
        >>> Overlap(kernel_size=3, stride=2).tiles.tolist()
        [[4.0, 2.0], [2.0, 1.0]]
    """

    _esm = es_module("overlap.js")

    kernel_size = Integer(1, 8)
    stride = Integer(1, _LARGEST_STRIDE)
    kernel = Choice("ones", "bilinear", "random")
    seed = Integer(1, 99)
    tile = Several(Integer(0, _LARGEST_STRIDE - 1), "a row and a column such as (0, 1)", least=2, most=2)

    def __init__(self, kernel_size=3, stride=2, kernel="ones", seed=1, tile=(0, 0), **kwargs):
        super().__init__(kernel_size=kernel_size, stride=stride, kernel=kernel, seed=seed, tile=tile, **kwargs)
        if max(self.tile) >= self.stride:
            raise ValueError(
                f"stride {self.stride} has {self.stride} × {self.stride} tiles, counted from 0: got tile={tile!r}"
            )

    @property
    def weight(self) -> Tensor:
        """The kernel, (1, 1, kernel_size, kernel_size) float64."""
        size = self.kernel_size
        if self.kernel == "bilinear":
            return bilinear_kernel(1, 1, size).double()
        taps = [1] * size**2 if self.kernel == "ones" else _random_taps(self.seed, size**2)
        return torch.tensor(taps, dtype=torch.float64).reshape(1, 1, size, size)

    @property
    def counts(self) -> Tensor:
        """How many stamps reach each pixel of the output, int64 (H', W')."""
        return overlap_count(_MAP, self.kernel_size, self.stride)

    @property
    def answer(self) -> Tensor:
        """What the flat map of ones comes out as, float64 (H', W')."""
        return conv_transpose2d_loops(torch.ones(1, *_MAP, dtype=torch.float64), self.weight, stride=self.stride)[0]

    @property
    def tiles(self) -> Tensor:
        """The pattern that repeats inside, float64 (stride, stride), by `transposed.phase_sums`."""
        return phase_sums(self.weight, self.stride)[0]

    @property
    def unevenness(self) -> float:
        """How strong the pattern is, (largest tile − smallest tile) / mean; 0 means that flat stays flat."""
        return ((self.tiles.max() - self.tiles.min()) / self.tiles.mean()).item()

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        name = {"ones": "of ones", "bilinear": "with a bilinear tent", "random": "of random numbers"}[self.kernel]
        tiles = "; ".join(", ".join(f"{tile:.3g}" for tile in row) for row in self.tiles.tolist())
        return (
            f"A flat map of ones after a transposed convolution at stride {self.stride} with a kernel of"
            f" {self.kernel_size} × {self.kernel_size} {name}: the tiles inside are {tiles},"
            f" so the unevenness is {self.unevenness:.2f}."
        )

    def still(self) -> str:
        """Draw the stamps along one row, and the answer under them, as SVG text."""
        size, stride = self.kernel_size, self.stride
        levels = -(-size // stride)  # so many stamps overlap at most
        height, width = self.answer.shape
        stamps = [
            f'<rect x="{stride * i + 0.06:g}" y="{i % levels + 0.1:g}" width="{size - 0.12:g}" height="0.8"'
            f' fill="{COLOURS["blue"]}"/>'
            for i in range(_MAP[1])
        ]
        mean = self.tiles.mean().item()
        pixels = [
            f'<rect x="{j}" y="{levels + 0.5 + i:g}" width="1" height="1"'
            f' fill="hsl(40, 6%, {_lightness(value / mean)}%)"/>'
            for i, row in enumerate(self.answer.tolist())
            for j, value in enumerate(row)
        ]
        (top, bottom), (left, right) = (
            (max(0, size - stride), min((side - 1) * stride + size, side * stride)) for side in _MAP
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-0.5 -0.5 {width + 1} {levels + height + 1.5:g}"'
            f' width="480" height="{480 * (levels + height + 1.5) / (width + 1):.0f}" shape-rendering="crispEdges">'
            f'<rect x="-0.5" y="-0.5" width="100%" height="100%" fill="{PAPER}"/>{"".join(stamps)}{"".join(pixels)}'
            f'<rect x="{left}" y="{levels + 0.5 + top:g}" width="{right - left}" height="{bottom - top}" fill="none"'
            f' stroke="{INK}" stroke-width="0.2"/></svg>'
        )


def _random_taps(seed: int, count: int) -> list[int]:
    """Roll integers from 1 to 9 with a generator so small that JavaScript computes the same (Park and Miller)."""
    modulus = 2**31 - 1
    state, taps = 1_000_003 * seed % modulus, []  # spread, or neighbouring seeds would begin alike
    for _ in range(count):
        state = 16807 * state % modulus
        taps.append(1 + 9 * state // modulus)
    return taps


def _lightness(share: float) -> int:
    """Return the grey of a pixel in percent: 0 is dark, the mean of the tiles is 65, twice the mean is light."""
    return round(20 + 45 * min(share, 1) + 30 * min(max(share - 1, 0), 1))

"""Haar: a picture as the bands of its Haar transform; some are dropped or thinned out, and it is rebuilt (Chapter 07).

The reader chooses how many steps are taken, which bands are set to zero, and below which threshold a detail goes.

    picture (H, W)  --haar_dwt2, level times-->  bands  --drop, threshold-->  kept  --haar_idwt2-->  rebuilt (H, W)

The energy of a picture is the sum of its squares after its mean grey is taken away: the mean is most of it, says
nothing about the picture, and is in the averages alone.  The transform is orthonormal, so what the bands lose the
picture loses: the energy of the error is the same in both.

In the page, readers may also take a picture of their own.  It is scaled and cut there, stays in the browser, and
Python never sees it.  Left out: sides that do not halve four times, colour, other wavelets.
"""

import base64
import io
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from chapters_code.notebook import INK, PAPER
from chapters_code.wavelets import Bands, haar_dwt2, haar_idwt2
from chapters_code.widgets.moving import Choice, Integer, MovingFigure, Setting, Several, es_module, pack, unpack

__all__ = ["Haar", "Numbers"]

# The same limits as in haar.js.
_MOST_STEPS, _LARGEST_SIDE, _GAIN = 4, 256, 4
_UNIT = 2**_MOST_STEPS
_NAMES = [f"{letter}{step}" for step in range(1, _MOST_STEPS + 1) for letter in Bands._fields]


class Numbers(NamedTuple):
    """What is left of a picture's bands, and how far the rebuilt picture is from it."""

    nonzero: int  # numbers in the kept bands that are not 0
    total: int  # numbers in all bands, as many as pixels
    energy: float  # of the picture, its mean grey left out, as in all energies here; it is that of all bands
    kept: float  # of the kept bands
    error: float  # of rebuilt − picture
    rms: float  # root mean square of rebuilt − picture, the mean included, in grey levels of 255


class Haar(MovingFigure):
    """A picture's Haar bands, the picture rebuilt from those that are kept, and the energy of both.

    Args:
        picture: Grey (H, W) or (1, H, W), or RGB (3, H, W), uint8, a tensor or an array; both sides multiples of 16
            from 16 to 256.  None takes a photograph that scikit-image installs.
        level: Steps of the transform, 1 to 4.
        dropped: Bands to set to zero, by letter and step: "h1", "v1", "d1", "a1" to "a4".  Those that the level does
            not have wait until it has.
        threshold: For details, 0 to 100, in grey levels; averages stay as they are.
        rule: "hard" sets details below the threshold to 0, "soft" moves all towards 0 by the threshold; as
            `pywt.threshold`.

    Raises:
        ValueError: A setting is none of these.

    Example:
        >>> picture = torch.zeros(16, 16, dtype=torch.uint8)
        >>> picture[5] = 100  # one bright row
        >>> {name: band.abs().max().item() for name, band in Haar(picture).bands.items()}
        {'h1': 100.0, 'v1': 0.0, 'd1': 0.0, 'a1': 100.0}
    """

    _esm = es_module("haar.js")

    picture = Setting(lambda name, value: _stored(value))
    level = Integer(1, _MOST_STEPS)
    dropped = Several(Choice(*_NAMES), 'a list of bands such as ["h1", "v1"]', unique=True)
    threshold = Integer(0, 100)
    rule = Choice("hard", "soft")

    def __init__(self, picture=None, level=1, dropped=(), threshold=0, rule="hard", **kwargs):
        picture = _photograph() if picture is None else picture
        super().__init__(picture=picture, level=level, dropped=dropped, threshold=threshold, rule=rule, **kwargs)

    @property
    def pixels(self) -> Tensor:
        """The picture, (H, W) float64 from 0 to 255."""
        return torch.from_numpy(unpack("picture", self.picture).astype(np.float64))

    @property
    def bands(self) -> dict[str, Tensor]:
        """The bands by name, float64, from the first step's details "h1", "v1", "d1" to the last step's averages."""
        found, x = {}, self.pixels
        for step in range(1, self.level + 1):
            x, *details = haar_dwt2(x)
            found |= {f"{letter}{step}": band for letter, band in zip("hvd", details, strict=True)}
        return found | {f"a{self.level}": x}

    @property
    def kept(self) -> dict[str, Tensor]:
        """The same after the dropped bands are set to zero and the details have met the threshold."""
        return {name: self._thinned(name, band) for name, band in self.bands.items()}

    @property
    def rebuilt(self) -> Tensor:
        """The picture from what is kept, (H, W) float64; it may leave 0 to 255."""
        kept = self.kept
        x = kept[f"a{self.level}"]
        for step in range(self.level, 0, -1):
            x = haar_idwt2([x, *(kept[f"{letter}{step}"] for letter in "hvd")])
        return x

    @property
    def numbers(self) -> Numbers:
        """How much is kept, its energy, and the error; by orthonormality energy = kept + error, if the rule is hard."""
        pixels, kept, off = self.pixels, self.kept, self.rebuilt - self.pixels
        return Numbers(
            nonzero=sum(int(band.count_nonzero()) for band in kept.values()),
            total=pixels.numel(),
            energy=_energy(pixels),
            kept=sum(self._energies(kept).values()),
            error=_energy(off),
            rms=math.sqrt(off.square().sum().item() / off.numel()),
        )

    @property
    def energies(self) -> dict[str, float]:
        """The energy of each band before any is dropped; they add up to the picture's."""
        return self._energies(self.bands)

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio of the rebuilt picture in dB, against 255; infinite where nothing is changed."""
        rms = self.numbers.rms
        return 20 * math.log10(255 / rms) if rms else math.inf

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        found, bands = self.numbers, self.bands
        gone = [name for name in bands if name in self.dropped]
        changes = [f"without {', '.join(gone)}"] * bool(gone)
        changes += [f"with a {self.rule} threshold of {self.threshold}"] * bool(self.threshold)
        back = f"with a PSNR of {self.psnr:.1f} dB" if found.rms else "whole"
        return (
            f"A picture of {self.picture['height']} × {self.picture['width']} pixels as {len(bands)} Haar bands of"
            f" {self.level} step{'s' * (self.level > 1)}{''.join(f', {one}' for one in changes)}:"
            f" {100 * found.nonzero / found.total:.1f} % of the numbers are not 0, and the picture comes back {back}."
        )

    def still(self) -> str:
        """Draw the bands and, beside them, the rebuilt picture, as SVG text."""
        height, width = self.rebuilt.shape
        canvas, texts = torch.zeros(height, width, dtype=torch.float64), []
        for name, band in self.kept.items():
            letter, scale = name[0], 2 ** int(name[1])
            top, left = height // scale * (letter in "vd"), width // scale * (letter in "hd")
            shown = band / scale if letter == "a" else 128 + _GAIN * band / scale
            canvas[top : top + height // scale, left : left + width // scale] = shown
            texts.append(f'<text x="{left + 2}" y="{top + 10}">{name}</text>')
        images = "".join(
            f'<image x="{x}" y="14" width="{width}" height="{height}" href="data:image/bmp;base64,{_bmp(plane)}"/>'
            for x, plane in ((0, canvas), (width + 8, self.rebuilt))
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 -2 {2 * width + 16} {height + 20}"'
            f' width="{4 * width + 32}" height="{2 * height + 40}" font-family="sans-serif" font-size="10">'
            f'<rect x="-4" y="-2" width="100%" height="100%" fill="{PAPER}"/>'
            f'<g fill="{INK}"><text y="9">the bands</text><text x="{width + 8}" y="9">put together again</text></g>'
            f'{images}<g fill="#fff" stroke="#000" stroke-width="2" paint-order="stroke" font-size="8"'
            f' transform="translate(0 14)">{"".join(texts)}</g></svg>'
        )

    @staticmethod
    def _energies(bands: dict[str, Tensor]) -> dict[str, float]:
        # The mean grey is in the averages alone: what the details' numbers have in common is part of the picture.
        return {name: _energy(band) if name[0] == "a" else band.square().sum().item() for name, band in bands.items()}

    def _thinned(self, name: str, band: Tensor) -> Tensor:
        if name in self.dropped:
            return torch.zeros_like(band)
        if name[0] == "a":
            return band
        if self.rule == "hard":
            return torch.where(band.abs() < self.threshold, 0, band)
        return band.sign() * (band.abs() - self.threshold).clamp(min=0)


def _energy(x: Tensor) -> float:
    """Sum the squares, the mean left out.  Sums of halves of integers are exact; what is left rounds as in haar.js."""
    return x.square().sum().item() - x.sum().item() ** 2 / x.numel()


@lru_cache
def _photograph() -> np.ndarray:
    """Cut 384 × 384 pixels out of scikit-image's "camera" and halve them, (192, 192) uint8."""
    from skimage import data  # here: it takes a while, and only this picture needs it

    blocks = data.camera()[:384, 60:444].reshape(192, 2, 192, 2).astype(np.int64)
    return ((blocks.sum(axis=(1, 3)) + 2) // 4).astype(np.uint8)


def _stored(picture: ArrayLike | dict) -> dict:
    """Make of a picture what a page can hold: its greys, packed."""
    x = unpack("picture", picture) if isinstance(picture, dict) else np.asarray(picture)
    if x.dtype != np.uint8 or x.ndim not in (2, 3) or (x.ndim == 3 and len(x) not in (1, 3)):
        got = f"{x.dtype} of shape {x.shape}" if x.ndim else repr(picture)
        raise ValueError(f"picture must be uint8 of shape (H, W), (1, H, W) or (3, H, W), got {got}")
    if any(side % _UNIT or not _UNIT <= side <= _LARGEST_SIDE for side in x.shape[-2:]):
        height, width = (min(side - side % _UNIT, _LARGEST_SIDE) for side in x.shape[-2:])
        cure = f"picture[..., :{height}, :{width}] is" if height and width else "take a larger one, which is"
        raise ValueError(
            f"picture must have sides that are multiples of {_UNIT}, from {_UNIT} to {_LARGEST_SIDE}, so that each of"
            f" four steps halves them; got {x.shape[-2]} × {x.shape[-1]}: {cure} such a picture"
        )
    if x.ndim == 3:
        red, green, blue = x.astype(np.int64) if len(x) == 3 else x.astype(np.int64).repeat(3, axis=0)
        x = ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)  # integers, as in haar.js
    return pack(x)


def _bmp(plane: Tensor) -> str:
    """Write a plane of 0 (black) to 255 (white) as a BMP, in base64: without compression, so everywhere the same."""
    file = io.BytesIO()
    Image.fromarray(plane.round().clamp(0, 255).byte().numpy()).save(file, "BMP")
    return base64.b64encode(file.getvalue()).decode()

"""Where drawn things stand: a sky over a field, a street, the sea, a room.

kind --> ground float64 (3, H, W), grey levels, and the row of the horizon
"""

from typing import NamedTuple

import numpy as np

from chapters_code.data.synthetic.contours import ONE, disc, fill
from chapters_code.data.synthetic.rng import Rng
from chapters_code.data.synthetic.sketches import Colour
from chapters_code.data.synthetic.textures import clouds, cutting
from chapters_code.data.synthetic.things import Thing

__all__ = ["SCENES", "overlap", "paste", "scene", "shade", "soften"]


class Half(NamedTuple):
    """The upper or the lower part of a scene."""

    colours: tuple[Colour, ...]  # one of them is chosen
    texture: str  # a photograph, "boards", "waves" or "air"
    relief: int  # how far the texture stands out, in grey levels


_SKY = Half(((136, 180, 226), (176, 198, 216), (196, 204, 210), (230, 190, 160)), "air", 45)
_WALL = Half(((206, 196, 172), (164, 186, 190), (190, 158, 142), (150, 164, 140), (214, 214, 212)), "gravel", 4)
_BRICK = Half(((166, 112, 90), (150, 140, 128), (186, 160, 130)), "brick", 15)
_BOARDS = Half(((168, 122, 80), (122, 90, 66), (196, 164, 124)), "boards", 9)
_CARPET = Half(((140, 110, 104), (112, 122, 140), (160, 150, 130)), "grass", 6)
_GRASS = Half(((98, 132, 62), (122, 140, 70), (146, 138, 84)), "grass", 17)
_ROAD = Half(((124, 126, 130), (148, 144, 138)), "gravel", 14)
_WATER = Half(((58, 108, 142), (76, 128, 132), (96, 118, 136)), "waves", 12)

SCENES = {  # which halves may meet; the horizon lies between these percents of the height
    "air": ((_SKY,), (_SKY,), (100, 100)),
    "field": ((_SKY,), (_GRASS,), (28, 52)),
    "street": ((_SKY, _BRICK, _WALL), (_ROAD, _ROAD, _GRASS), (40, 60)),
    "sea": ((_SKY,), (_WATER,), (40, 60)),
    "room": ((_WALL, _WALL, _BRICK), (_BOARDS, _CARPET), (45, 68)),
}


def scene(kind: str, size: tuple[int, int], rng: Rng) -> tuple[np.ndarray, int]:
    """Draw an empty scene.

    Returns:
        The picture, float64 (3, H, W), in grey levels not yet cut off at 0 and 255, and the row of the horizon.
    """
    above, below, (least, most) = SCENES[kind]
    horizon = size[0] * rng.integers(least, most) // 100
    upper = _half(rng.choose(above), (horizon, size[1]), rng)
    lower = _half(rng.choose(below), (size[0] - horizon, size[1]), rng)
    light = 0.86 + 0.28 * clouds(rng, size, 3)  # no place is lit evenly
    return np.concatenate([upper, lower], axis=1) * light, horizon


def paste(picture: np.ndarray, thing: np.ndarray, mask: np.ndarray, place: tuple[int, int]) -> tuple[slice, slice]:
    """Put a thing (C, h, w) into a picture (C, H, W) where its mask (h, w) is true, its upper left corner at `place`.

    What would lie outside is cut off.

    Returns:
        The rows and the columns of the thing that are seen.
    """
    starts = [max(0, -first) for first in place]
    stops = [min(side, whole - first) for side, whole, first in zip(mask.shape, picture.shape[1:], place, strict=True)]
    seen = tuple(slice(start, max(start, stop)) for start, stop in zip(starts, stops, strict=True))
    rows, columns = (slice(part.start + first, part.stop + first) for part, first in zip(seen, place, strict=True))
    patch = picture[:, rows, columns]
    np.copyto(patch, thing[:, seen[0], seen[1]], where=mask[seen])
    return seen


def overlap(place: tuple[int, int], thing: Thing, other_place: tuple[int, int], other: Thing) -> int:
    """Say how much two things overlap, seen as boxes, in thousandths of the smaller one."""
    common = 1000
    for begin, side, other_begin, other_side in zip(
        place, thing.mask.shape, other_place, other.mask.shape, strict=True
    ):
        common *= max(0, min(begin + side, other_begin + other_side) - max(begin, other_begin))
    return common // min(thing.mask.size, other.mask.size)


def shade(picture: np.ndarray, shape: tuple[int, int], place: tuple[int, int]) -> None:
    """Darken the ground under a thing: without its shadow it would float."""
    height, width = 2 * max(2, shape[0] // 16), shape[1]
    row, column = place[0] + shape[0] - height // 2, place[1]
    oval = fill([disc((width * ONE // 2, height * ONE // 2), (width * ONE // 2, height * ONE // 2))], (height, width))
    rows, columns = (slice(max(0, at), max(0, at + side)) for at, side in ((row, height), (column, width)))
    patch = picture[:, rows, columns]
    patch *= np.where(oval[max(0, -row) :, max(0, -column) :][: patch.shape[1], : patch.shape[2]], 0.66, 1.0)


def soften(picture: np.ndarray) -> np.ndarray:
    """Blur a picture (3, H, W) as a lens does, a little: uint8.  Without it each edge would be a staircase."""
    soft = np.pad(np.clip(picture, 0, 255).astype(np.int16), ((0, 0), (1, 1), (1, 1)), mode="edge")
    soft = soft[:, :-2] + 2 * soft[:, 1:-1] + soft[:, 2:]
    soft = soft[..., :-2] + 2 * soft[..., 1:-1] + soft[..., 2:]
    return (soft >> 4).astype(np.uint8)


def _half(half: Half, size: tuple[int, int], rng: Rng) -> np.ndarray:
    """Fill a part of the picture, float64 (3, h, w)."""
    tone = np.add(rng.choose(half.colours), rng.integers(-14, 14, 3)).astype(float)
    relief = half.relief * _texture(half.texture, size, rng)
    tint = np.array((-1.0, 0.0, 1.0)) * rng.integers(-8, 8)
    return tone[:, None, None] + relief + tint[:, None, None]


def _texture(name: str, size: tuple[int, int], rng: Rng) -> np.ndarray:
    """A texture of mean 0 and spread about 1, (h, w)."""
    row = np.arange(size[0])[:, None]
    if name == "air":  # white clouds, and a paler sky towards the horizon
        return np.clip(4 * clouds(rng, size, 5) + clouds(rng, size, 14) - 2.6, 0, 1) + row / (size[0] + 1) - 0.5
    if name == "boards":
        board = row * 6 // max(1, size[0])
        shade = rng.integers(-100, 100, 6)[board] / 100
        return shade + cutting(rng, size, "grass", 4) * 0.5 - 3 * (board != (row + 2) * 6 // max(1, size[0]))
    if name == "waves":  # nearer ones are larger
        crest = np.floor(600 * row / (row + size[0] / 2 + 1) + 40 * clouds(rng, size, 9))
        return (crest % 24) / 8 - 1.5 + 0.4 * cutting(rng, size, "gravel", 3)
    if name == "brick" and rng.integers(0, 1):  # laid flat in the photograph, a wall when turned
        return cutting(rng, size[::-1], name, 2).T
    return cutting(rng, size, name, rng.choose((2, 3)))

"""Drawn scenes with the twenty classes of PASCAL VOC, each pixel's class known (Chapters 00 and 06).

A scene is a place (a street, a field, the sea, a room) with one to four things on it, each drawn from a sketch in a
few lines of text.  Nearer things hide parts of farther ones, some reach out of the picture, and a border of void
(255) lies around each, as it does in VOC.

    seed, index --> image uint8 (3, H, W) and mask int64 (H, W), values 0..20 and 255

One seed is one set, on every machine: the masks are made of integers alone.

Source for the balance: Everingham et al. (2010), and the images per class in the book's part of VOC2012.
"""

from functools import lru_cache
from math import isqrt

import numpy as np
import torch

from chapters_code.data.pairs import Pair
from chapters_code.data.pictures import VOID, voc_colours
from chapters_code.data.synthetic.drawn import Drawn
from chapters_code.data.synthetic.rng import Rng
from chapters_code.data.synthetic.scenes import overlap, paste, scene, shade, soften
from chapters_code.data.synthetic.sketches import SKETCHES
from chapters_code.data.synthetic.things import Thing, draw, sketch

__all__ = ["SyntheticVOC", "void_border"]

_PLACES = {  # where a class is met; a name that stands twice comes along twice as often
    "field": ("aeroplane", "bird", "cow", "dog", "horse", "sheep", "person"),
    "street": ("bicycle", "bus", "car", "car", "motorbike", "train", "person"),
    "sea": ("boat", "bird"),
    "air": ("aeroplane", "bird"),
    "room": ("bottle", "cat", "chair", "chair", "chair", "diningtable", "dog", "pottedplant", "sofa", "tvmonitor")
    + ("person", "bottle", "diningtable"),
}
_SIZES = ((375, 500),) * 4 + ((333, 500),) * 2 + ((500, 375), (500, 333))


class SyntheticVOC(Drawn):
    """Drawn scenes as a data set, with the interface of `VOCSegmentation`.

    Twenty scenes in a row hold each class at least once; as in VOC, people are in four scenes of ten, the other
    classes in one of twenty to one of nine, and three quarters of the counted pixels are background.  The
    arguments are those of `Drawn`; the usual sizes are those of VOC: mostly 375 x 500, some 333 x 500, one of four
    upright.

    Example:
        >>> scenes = SyntheticVOC(count=3, size=(96, 128))
        >>> scenes[0].image.shape, scenes.classes[15]
        (torch.Size([3, 96, 128]), 'person')
    """

    classes = ("background", *SKETCHES)
    stem, drawn = "scene", "scenes"
    palette = voc_colours(21)

    def read(self, index: int) -> Pair:
        """Draw scene `index`."""
        rng = Rng(3, self.seed, index)
        size = rng.choose(_SIZES)
        first = _deck(self.seed, index // len(SKETCHES))[index % len(SKETCHES)]
        return _draw_scene(first, self.size or size, rng)


@lru_cache(maxsize=16)
def _deck(seed: int, number: int) -> tuple[str, ...]:
    """Shuffle the twenty classes: who plays the main part in twenty scenes in a row."""
    rng, deck = Rng(4, seed, number), list(SKETCHES)
    for last in range(len(deck) - 1, 0, -1):
        other = rng.integers(0, last)
        deck[last], deck[other] = deck[other], deck[last]
    return tuple(deck)


def _draw_scene(first: str, size: tuple[int, int], rng: Rng) -> Pair:
    """Draw a scene with a thing of class `first`, and its company."""
    kinds = [kind for kind, company in _PLACES.items() if first in company]
    kind = rng.choose(kinds)
    picture, horizon = scene(kind, size, rng)
    things = np.zeros((1, *size), dtype=np.uint8)  # which thing is seen, 0 none
    classes = [0]
    for thing, place, name in _arrange(_cast(first, kind, size, rng), size, horizon, rng):
        if place[0] + thing.mask.shape[0] > horizon:
            shade(picture, thing.mask.shape, place)
        classes.append(1 + list(SKETCHES).index(name))
        paste(picture, thing.image, thing.mask, place)
        paste(things, np.full((1, *thing.mask.shape), len(classes) - 1, np.uint8), thing.mask, place)
    mask = np.array(classes, dtype=np.int64)[things[0]]
    mask[void_border(things[0])] = VOID
    return Pair(torch.from_numpy(soften(picture)), torch.from_numpy(mask))


def _cast(first: str, kind: str, size: tuple[int, int], rng: Rng) -> list[tuple[str, int]]:
    """Choose one to four things, and the height of each in pixels; `first` comes first."""
    left, top, right, bottom = sketch(first).box
    width, height = right - left, bottom - top
    # The main part fills this share of the picture, seen as a box, but is hardly ever taller or wider than it.
    area = size[0] * size[1] * rng.integers(14, 60) // 100
    main = min(isqrt(area * height // width), size[0] * 96 // 100, size[1] * 108 * height // (100 * width))
    cast, company = [(first, max(8, main))], _PLACES[kind]
    for _ in range(rng.choose((0, 0, 0, 1, 1, 1, 1, 2, 2, 3))):
        # Nobody walks on the water or in the air.
        others = (first, rng.choose(company), first if kind in ("sea", "air") else "person")
        name = others[rng.choose((0, 1, 1, 2, 2, 2))]
        # Real heights, but by their square root: at true scale a bottle beside a bus would be lost.
        tall = main * isqrt(10000 * sketch(name).tall // sketch(first).tall) * rng.integers(55, 90) // 10000
        cast.append((name, max(8, min(tall, size[0] * 9 // 10))))
    return cast


def _arrange(
    cast: list[tuple[str, int]], size: tuple[int, int], horizon: int, rng: Rng
) -> list[tuple[Thing, tuple[int, int], str]]:
    """Draw each thing and find its place, the row and column of its upper left corner; the farthest comes first."""
    placed = []
    for name, tall in cast:
        thing = draw(name, tall, rng)
        height, width = thing.mask.shape
        tries = []
        for _ in range(6):
            # Up to an eighth of a thing may reach out of the picture.
            column = rng.integers(min(-width // 8, size[1] - width), max(0, size[1] - width * 7 // 8))
            if name in ("aeroplane", "bird") and 2 * horizon > size[0]:
                row = rng.integers(-height // 8, max(0, horizon - height))
            else:  # it stands on the ground, between the horizon and the lower edge
                row = rng.integers(min(size[0], max(horizon + 2, height * 9 // 10)), size[0] + height // 12) - height
            hidden = sum(overlap((row, column), thing, place, other) for other, place, _ in placed)
            tries.append((hidden, row, column))
        placed.append((thing, min(tries)[1:], name))
    return sorted(placed, key=lambda part: part[1][0] + part[0].mask.shape[0])


def void_border(things: np.ndarray) -> np.ndarray:
    """Find the pixels near which two things, or a thing and the ground, meet: bool (H, W).

    The border is 5 pixels wide in a picture of 500, in smaller ones less, and never gone.
    """
    reach = max(1, max(things.shape) // 100)
    low = high = things
    for axis in (0, 1):
        low, high = _spread(low, reach, axis, np.minimum), _spread(high, reach, axis, np.maximum)
    return low != high


def _spread(field: np.ndarray, reach: int, axis: int, choose: np.ufunc) -> np.ndarray:
    """Take the least or the greatest of `reach` + 1 neighbours along an axis, about the middle."""
    padded = np.pad(field, [(reach // 2, reach - reach // 2) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
    side = field.shape[axis]
    best = field
    for shift in range(reach + 1):
        best = choose(best, padded.take(range(shift, shift + side), axis=axis))
    return best

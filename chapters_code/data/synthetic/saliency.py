"""Drawn scenes in which one thing stands out, each of its pixels known (Chapter 09).

It stands out by its colours, which are chosen as far as possible from the ground's; things in the ground's own
colours stand about, too, and they are not salient.  So neither shape nor colour alone tells, only contrast does, and
since the thing may be anywhere, neither does the middle of the picture.

    seed, index --> image uint8 (3, H, W) and mask int64 (H, W), 1 = salient
"""

from collections.abc import Callable, Sequence
from math import isqrt

import numpy as np
import torch

from chapters_code.data.pairs import Pair
from chapters_code.data.synthetic.drawn import Drawn
from chapters_code.data.synthetic.rng import Rng
from chapters_code.data.synthetic.scenes import SCENES, overlap, paste, scene, soften
from chapters_code.data.synthetic.sketches import Colour
from chapters_code.data.synthetic.things import Thing, draw, sketch

__all__ = ["SyntheticSaliency"]

# Full shapes only: whether a spoke of a wheel is salient, no two people agree.
_SOLID = ("aeroplane", "bird", "boat", "bottle", "bus", "car", "cat", "cow", "dog", "horse", "person", "pottedplant")
_SOLID += ("sheep", "sofa", "train", "tvmonitor")


class SyntheticSaliency(Drawn):
    """Scenes with one thing that stands out, in one of six scenes two, as a data set like `SaliencySegmentation`.

    The things cover 22 % of the picture on average, as in ECSSD.  The arguments are those of `Drawn`; the
    usual size is (300, 400).

    Example:
        >>> scenes = SyntheticSaliency(count=3, size=(60, 80))
        >>> scenes[2].mask.shape, scenes[2].mask.unique().tolist()
        (torch.Size([60, 80]), [0, 1])
    """

    classes = ("background", "salient")
    stem, drawn, usual_size = "salient", "salient things", (300, 400)

    def read(self, index: int) -> Pair:
        """Draw scene `index`."""
        rng = Rng(5, self.seed, index)
        picture, _ = scene(rng.choose(tuple(SCENES)), self.size, rng)
        ground = tuple(int(level) for level in np.floor(picture).astype(np.int64).sum(axis=(1, 2)) // picture[0].size)
        mask = np.zeros((1, *self.size), dtype=np.int64)
        for _ in range(rng.integers(0, 3)):
            thing = _thing(self.size, rng.integers(3, 14), rng, lambda colours: ground)
            paste(picture, thing.image, thing.mask, _place(thing, self.size, [], rng))
        placed = []
        shares = [rng.integers(16, 62), rng.integers(10, 22)]
        if rng.integers(0, 5) > 0:
            shares.pop()  # a second thing stands in one scene of six
        for share in shares:
            thing = _thing(self.size, share, rng, lambda colours: _farthest(colours, ground))
            place = _place(thing, self.size, placed, rng)
            placed.append((thing, place))
            paste(picture, thing.image, thing.mask, place)
            paste(mask, np.ones((1, *thing.mask.shape), np.int64), thing.mask, place)
        return Pair(torch.from_numpy(soften(picture)), torch.from_numpy(mask[0]))


def _thing(size: tuple[int, int], share: int, rng: Rng, choose: Callable[[Sequence[Colour]], Colour]) -> Thing:
    """Draw a thing whose box has `share` percent of the picture's area, unless it would not fit."""
    name = rng.choose(_SOLID)
    left, top, right, bottom = sketch(name).box
    width, height = right - left, bottom - top
    tall = isqrt(size[0] * size[1] * share * height // (100 * width))
    return draw(name, max(4, min(tall, size[0], size[1] * height // width)), rng, choose)


def _place(
    thing: Thing, size: tuple[int, int], placed: Sequence[tuple[Thing, tuple[int, int]]], rng: Rng
) -> tuple[int, int]:
    """Find an upper left corner, anywhere; a tenth of the thing may reach out of the picture."""
    tries = []
    for _ in range(6):
        place = tuple(
            rng.integers(min(-side // 10, whole - side), max(0, whole - side * 9 // 10))
            for side, whole in zip(thing.mask.shape, size, strict=True)
        )
        tries.append((sum(overlap(place, thing, at, other) for other, at in placed), place))
        if not placed:
            break
    return min(tries)[1]


def _farthest(colours: Sequence[Colour], ground: Colour) -> Colour:
    """Choose the colour that differs most from the ground's."""
    return max(colours, key=lambda colour: sum(abs(a - b) for a, b in zip(colour, ground, strict=True)))

"""From a sketch to a thing in pixels: a picture and a mask as large as it needs.

name, height --sketch, turn, lean, fill--> image int64 (3, h, w) and mask bool (h, w)
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from chapters_code.data.synthetic.contours import ONE, disc, fill, line, ring
from chapters_code.data.synthetic.rng import Rng
from chapters_code.data.synthetic.sketches import COLOURS, SKETCHES, Colour
from chapters_code.data.synthetic.textures import clouds, cutting

__all__ = ["Ink", "Sketch", "Thing", "draw", "sketch"]


class Ink(NamedTuple):
    """What a part is painted with."""

    texture: str
    colours: tuple[Colour, ...]  # one of them is chosen


class Sketch(NamedTuple):
    """A class's drawing, read from its text; lengths in sixteenths of a unit, so that thin strokes keep their width."""

    tall: int  # decimetres
    inks: tuple[Ink, ...]
    shapes: tuple[tuple[int, list[np.ndarray]], ...]  # the ink's number, and contours, int64 (n, 2)
    box: tuple[int, int, int, int]  # left, top, right, bottom


class Thing(NamedTuple):
    """A sketch in pixels, in its own small picture."""

    image: np.ndarray  # int64 (3, h, w), 0 to 255
    mask: np.ndarray  # bool (h, w)


@lru_cache
def sketch(name: str) -> Sketch:
    """Read the sketch of a class."""
    tall, inks, shapes = 0, {}, []
    for text in SKETCHES[name].splitlines():
        kind, rest = text.split(maxsplit=1)
        if kind == "tall":
            tall = int(rest)
        elif kind == "ink":
            for ink, texture, *colours in map(str.split, rest.split(";")):
                inks[ink] = Ink(texture, tuple(COLOURS[colour] for colour in colours))
        else:
            ink, rest = rest.split(maxsplit=1)
            shapes += [(list(inks).index(ink), contours) for contours in _shapes(kind, rest)]
    corners = np.concatenate([contour for _, contours in shapes for contour in contours])
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return Sketch(tall, tuple(inks.values()), tuple(shapes), (left, top, right, bottom))


def _shapes(kind: str, text: str) -> list[list[np.ndarray]]:
    """Return the shapes of one line of a sketch, each a list of contours."""
    if kind == "area":
        return [[_points(corners)] for corners in text.split(";")]
    measure, text = text.split(maxsplit=1)
    if kind == "line":
        strokes = [pairwise(_points(stroke)) for stroke in text.split(";")]
        return [[line(begin, end, int(measure) * ONE)] for stroke in strokes for begin, end in stroke]
    (radii,) = _points(measure)
    if kind == "disc":
        return [[disc(spot, radii)] for spot in _points(text)]
    width, text = text.split(maxsplit=1)
    return [ring(spot, radii, int(width) * ONE) for spot in _points(text)]


def _points(text: str) -> np.ndarray:
    """Return "x,y x,y ..." as int64 (n, 2), in sixteenths of a unit."""
    return np.array([point.split(",") for point in text.split()], dtype=np.int64) * ONE


def draw(name: str, height: int, rng: Rng, choose: Callable[[Sequence[Colour]], Colour] | None = None) -> Thing:
    """Draw a thing of class `name`, about `height` pixels tall, as large as it needs and no larger.

    It is turned to the left or the right, leans a little, and is a little wider or narrower than the last one.

    Args:
        name: One of `SKETCHES`.
        height: Of the whole thing, in pixels, 1 or more.
        rng: Where chance comes from.
        choose: Picks one of an ink's colours; else chance does.
    """
    tall, inks, shapes, (left, top, right, bottom) = sketch(name)
    # In 1/4096: across, down, and how far it leans.
    down = height * ONE * 4096 // (bottom - top)
    across = down * rng.integers(88, 112) // 100 * rng.choose((-1, 1))
    lean, slope = down * rng.integers(-8, 8) // 100, down * rng.integers(-4, 4) // 100
    turn = np.array([[across, slope], [lean, down]])
    turned = [(ink, [contour @ turn // 4096 for contour in contours]) for ink, contours in shapes]
    corners = np.concatenate([contour for _, contours in turned for contour in contours])
    origin = corners.min(axis=0) // ONE
    size = tuple(int(side) for side in (corners.max(axis=0) // ONE - origin + 1)[::-1])
    paint = np.zeros(size, dtype=np.uint8)  # the ink's number, from 1
    for ink, contours in turned:
        _stamp(paint, [contour - origin * ONE for contour in contours], ink + 1)
    return Thing(_colour(paint, inks, rng, choose), paint > 0)


def _stamp(paint: np.ndarray, contours: Sequence[np.ndarray], ink: int) -> None:
    """Paint one shape; only the rows and columns that it covers are looked at."""
    corners = np.concatenate(contours)
    first, last = corners.min(axis=0) // ONE, corners.max(axis=0) // ONE + 1
    patch = paint[first[1] : last[1], first[0] : last[0]]
    patch[fill([contour - first * ONE for contour in contours], patch.shape)] = ink


def _colour(paint: np.ndarray, inks: Sequence[Ink], rng: Rng, choose: Callable | None) -> np.ndarray:
    """Colour a thing: int64 (3, h, w).  Light falls from above, and where two inks meet there is a dark line."""
    height, width = paint.shape
    table, relief = np.zeros((3, len(inks) + 1)), np.zeros(paint.shape)
    for number, (texture, colours) in enumerate(inks, start=1):
        colour = choose(colours) if choose else rng.choose(colours)
        table[:, number] = np.add(colour, rng.integers(-10, 10, 3))
        grain = _grain(texture, rng, paint.shape)
        if grain is not None:
            relief = np.where(paint == number, grain, relief)
    relief = relief + 16 - 32 * np.arange(height)[:, None] / height
    contour = np.zeros(paint.shape, dtype=bool)
    contour[1:] |= paint[1:] != paint[:-1]
    contour[:, 1:] |= paint[:, 1:] != paint[:, :-1]
    light = np.where(contour, 0.7, 1.0)
    return np.clip(np.floor((table[:, paint] + relief) * light), 0, 255).astype(np.int64)


def _grain(texture: str, rng: Rng, size: tuple[int, int]) -> np.ndarray | None:
    """Return the grey levels that a texture adds, to be broadcast to (h, w); None for a plain one."""
    row, column = np.arange(size[0])[:, None], np.arange(size[1])
    match texture:
        case "plain":
            return None
        case "metal":  # bright above, dark below, and a band of gloss
            row = row * 100 // size[0]
            return 30 - row * 6 / 10 + 34 * ((row > 22) & (row < 34))
        case "glass":  # slanting reflections
            return ((row + column) * 9 // max(size)) % 3 * 22.0 - 22
        case "cloth":  # a weave, and soft folds
            return (row + column) % 2 * 8.0 - 4 + 36 * clouds(rng, size, 5) - 18
        case "checks":
            return (row * 12 // size[0] % 2 + column * 12 // size[0] % 2) * 52.0 - 20
        case "stripes":
            return ((2 * row + column) * 16 // max(size)) % 2 * 56.0 - 28
        case "patches":  # the black on a black-and-white cow
            return np.where(clouds(rng, size, 6) > 0.55, -190.0, 6.0)
        case "tabby":  # fur with dark, wavy bands
            bands = row * 90 / size[0] + 26 * clouds(rng, size, 4)
            return np.where(np.floor(bands / 5) % 2 == 1, -34.0, 8.0) + 9 * cutting(rng, size, "grass", 2)
        case "wood":  # grain that runs along
            along = row + np.floor(size[0] * clouds(rng, size, 2) / 4)
            return rng.integers(-16, 16, 2 * size[0]).astype(float)[along.astype(np.int64)]
        case "leaf":
            return 12 * cutting(rng, size, "grass", 1) + 40 * clouds(rng, size, 7) - 20
        case "wool":
            return 17 * cutting(rng, size, "gravel", 2) - 12
        case "fur":
            return 11 * cutting(rng, size, "grass", 2) + 24 * clouds(rng, size, 3) - 12
        case "screen":  # lines, as on a screen that shines
            return 30 - row % 3 * 12.0
    raise ValueError(f"no ink is made of {texture!r}")

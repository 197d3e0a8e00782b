"""Drawn roads with a crack whose every pixel is known (Chapters 00, 01 and 07).

The mask of a photograph is somebody's opinion.  Here the crack is painted, so the mask is the truth:
a pixel is crack if and only if it was painted.  The ground is a photograph of gravel that
scikit-image installs (CC0), shrunk until it looks like asphalt.  Nothing is downloaded.

    seed --> pavement (3, H, W) --crack--> image uint8 (3, H, W) and mask int64 (H, W)

One seed is one road, on every machine: chance comes from the raw bits of PCG64, which NumPy promises
to keep (what `Generator` makes of them may change), and the masks are made of integers alone.

Source: Bouchaud, Lapasset and Planès (1990), Europhys. Lett. 13, 73-79, for how rough a crack is.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from chapters_code.data.pictures import VOID

__all__ = ["DISTRACTORS", "SURFACES", "Road", "SyntheticCracks", "cracked_road"]

SURFACES = {  # mean red, green and blue; how far the stones stand out from it, in grey levels
    "asphalt": ((122, 126, 132), 7),
    "concrete": ((166, 163, 157), 5),
}
DISTRACTORS = ("shadow", "stain", "joint", "paint")

_RIM = 9  # pixels: the widest brush

Dice = Callable[..., int | np.ndarray]


class Road(NamedTuple):
    """A picture of a road, and the truth about it."""

    image: Tensor  # uint8 (3, H, W), RGB
    mask: Tensor  # int64 (H, W), 1 = crack, 0 = pavement


def cracked_road(
    size: tuple[int, int] = (96, 128),
    crack_width: int = 1,
    seed: int = 0,
    *,
    branches: int = 0,
    bright: bool = False,
    surface: str = "asphalt",
    distractors: Sequence[str] = ("shadow", "stain"),
) -> Road:
    """Draw a road with a crack from edge to edge, and say exactly where the crack is.

    Args:
        size: Height and width in pixels, each 16 or more.
        crack_width: Pixels across the brush that paints the crack, 0 to 9.  1 gives a chain of
            single pixels that touch by side or corner; from 3 on the crack narrows in places, by a
            third at most; sharp bends are a pixel wider.  0 leaves the crack out.
        seed: 0 or more.  It fixes the pavement and the way of the crack.
        branches: How many cracks leave the main one, each running out to a single pixel.
        bright: Paint the crack brighter than the road, as when sealed or chalked.
        surface: A name in `SURFACES`.
        distractors: Names in `DISTRACTORS`: drawn on the road, never in the mask.

    Returns:
        Image, uint8 (3, H, W), and mask, int64 (H, W), 1 = crack, 0 = pavement.  Against the same
        road with `crack_width=0`, each crack pixel is darker (`bright`: brighter) in all three
        channels, and every other pixel is equal.

    Raises:
        ValueError: An argument is out of its range; the message names it.
        ImportError: scikit-image is not installed; the message has the command.

    Example:
        >>> image, mask = cracked_road(size=(48, 64), crack_width=2, seed=7)
        >>> image.shape, mask.shape, mask.unique().tolist()
        (torch.Size([3, 48, 64]), torch.Size([48, 64]), [0, 1])
    """
    size = _checked_size(size)
    _check("crack_width", crack_width, 0, 9)
    _check("seed", seed, 0)
    _check("branches", branches, 0)
    if surface not in SURFACES:
        raise ValueError(f"surface must be one of {tuple(SURFACES)}, got {surface!r}")
    if not isinstance(distractors, (tuple, list)) or not set(distractors) <= set(DISTRACTORS):
        raise ValueError(f"distractors must be a tuple of names out of {DISTRACTORS}, got {distractors!r}")

    # Two streams of chance, so that no change of the crack can move a stone of the pavement.
    ground = _pavement(size, _dice(0, seed), surface, distractors)
    depth = _cracks(size, _dice(1, seed), crack_width, branches)
    goal = 255 if bright else 0
    image = ground + (goal - ground) * depth // 256
    return Road(torch.from_numpy(image.astype(np.uint8)), torch.from_numpy((depth > 0).astype(np.int64)))


# ---- the crack: integers only ------------------------------------------------------------------


def _cracks(size: tuple[int, int], dice: Dice, crack_width: int, branches: int) -> np.ndarray:
    """Paint the cracks: int64 (H, W), how dark each pixel is in 1/256, 0 where there is no crack."""
    canvas = np.zeros(np.add(size, 2 * _RIM), dtype=np.int64)  # with room for the brush at the edge
    picture = canvas[_RIM:-_RIM, _RIM:-_RIM]
    if crack_width == 0:
        return picture
    axis = dice(0, 1)  # 0: the main crack runs down, 1: it runs to the right
    along, across = size[axis], size[1 - axis]
    # It keeps inside the picture: both ends lie in the middle 40 %, and _rough adds less than 30 %.
    margin = -(-3 * across // 10)
    begin, end = dice(margin, across - 1 - margin, 2)
    main = _walk(dice, (0, begin)[:: 1 - 2 * axis], axis, along, (end - begin) // 2, min(size) // 8)
    _paint(canvas, dice, main, np.full(along, crack_width))
    for _ in range(branches):
        fork = main[dice(along // 5, along - along // 5)]
        length = dice(min(size) // 4, min(size) // 2)
        rise, heading = dice(-length // 2, length // 2), 2 * dice(0, 1) - 1
        branch = _walk(dice, fork, 1 - axis, length, rise, length // 8, heading)
        # It runs thin towards its tip, as real ones do.
        _paint(canvas, dice, branch, 1 + crack_width * np.arange(length)[::-1] * 2 // (3 * length))
    return picture


def _walk(
    dice: Dice, start: Sequence[int], axis: int, length: int, rise: int, amplitude: int, heading: int = 1
) -> np.ndarray:
    """Wander from `start` along `axis`: pixels (length, 2), each a row and a column."""
    ahead, aside = np.arange(length), [0]
    for target in (rise * ahead // length + _rough(dice, length, amplitude))[1:]:
        # One ahead and at most one aside: the chain has no gap, and is one pixel thick.
        aside.append(aside[-1] + max(-1, min(1, int(target) - aside[-1])))
    path = np.stack([heading * ahead, aside], axis=1)
    return np.asarray(start) + (path if axis == 0 else path[:, ::-1])


def _rough(dice: Dice, length: int, amplitude: int) -> np.ndarray:
    """Rough line by midpoint displacement: int64 (length,), from 0, within 7/3 of `amplitude`."""
    span, swing = 1 << max(1, (length - 1).bit_length()), 64 * amplitude  # in 1/64: small swings count too
    line = np.zeros(span + 1, dtype=np.int64)
    while span > 1:
        middle = np.arange(span // 2, len(line), span)
        line[middle] = (line[middle - span // 2] + line[middle + span // 2]) // 2
        line[middle] += dice(-swing, swing, len(middle))
        # Half the span, 2 ** -0.8 = 4/7 of the swing: fractures were measured to be as rough as that.
        span, swing = span // 2, swing * 4 // 7
    return line[:length] // 64


def _paint(canvas: np.ndarray, dice: Dice, path: np.ndarray, widths: np.ndarray) -> None:
    """Draw along `path` with a round brush `widths` pixels across; `canvas` has a rim of `_RIM`."""
    shades = 150 + 6 * widths + np.clip(_rough(dice, len(path), 32), -32, 32)
    widths = widths - np.minimum(np.abs(_rough(dice, len(path), 2)), widths // 3)
    for spot, width, shade in zip(path, widths, shades, strict=True):
        if (spot < 0).any() or (spot >= np.subtract(canvas.shape, 2 * _RIM)).any():
            break  # what has left the picture does not come back
        row, column = spot - width // 2 + _RIM
        patch = canvas[row : row + width, column : column + width]
        np.maximum(patch, _brush(width, shade), out=patch)


def _brush(width: int, shade: int) -> np.ndarray:
    """Return a disc (width, width) on 0: deep in the core, half lit at the rim."""
    off = 2 * np.arange(width) - (width - 1)  # from the middle, doubled: whole even if width is even
    square = off[:, None] ** 2 + off**2
    core = (width > 2) & (square <= (width - 2) * (width - 3))
    return np.where(square <= width * (width - 1), np.where(core, shade, shade * 4 // 5), 0)


# ---- the pavement: one operation at a time, each of which IEEE 754 fixes to the last bit ---------


def _pavement(size: tuple[int, int], dice: Dice, surface: str, distractors: Sequence[str]) -> np.ndarray:
    """Lay the road without its crack: int64 (3, H, W), 32 to 223, so that darker and brighter exist."""
    tone, grain = SURFACES[surface]
    # Scales that repeat at different lengths: the eye finds no pattern, even in a large road.
    stones, hues = (sum(_gravel(dice, size, shrink) for shrink in (3, 4, 5)) for _ in range(2))
    brightness, warmth = dice(-12, 12), dice(-6, 6)
    # Some stones are reddish, some bluish, as in a photograph; grey ones look like a drawing.
    tints = warmth + hues * (grain / 6)
    grey = brightness + stones * grain
    road = [level + grey + sign * tints for level, sign in zip(tone, (1, 0, -1), strict=True)]
    # All are placed, whichever are wanted: adding one leaves the rest of the road as it was.
    mark, edge, joint = (_from_line(dice, size) for _ in range(3))
    light, blot, fringe = (_clouds(dice, size, cells) for cells in (3, 3, 12))
    light = 0.88 + 0.24 * light  # no road is lit evenly
    if "shadow" in distractors:
        light = light * (1 - 0.35 * np.clip(edge * 12 / min(size), 0, 1))
    if "stain" in distractors:
        light = light * (1 - 0.3 * np.clip(5 * blot + 1.5 * fringe - 4, 0, 1))
    if "joint" in distractors:  # dark and thin like a crack, but straight
        light = light * np.where(np.abs(joint) < 1, 0.55, 1)
    if "paint" in distractors:  # a lane mark, worn off where the stones lie deep
        paint = np.clip(0.75 + 0.15 * stones, 0, 1) * (np.abs(mark) < min(size) / 16)
        road = [channel + paint * (190 - channel) for channel in road]
    return np.clip(np.floor(np.stack(road) * light), 32, 223).astype(np.int64)


def _from_line(dice: Dice, size: tuple[int, int]) -> np.ndarray:
    """Distance from a straight line through the middle third: (H, W), pixels, negative on one side."""
    row, column = (dice(side // 3, side - side // 3) for side in size)
    down, right = ((0, 5), (3, 4), (4, 3), (5, 0), (4, -3), (3, -4))[dice(0, 5)]  # all of length 5
    return (down * (np.arange(size[0])[:, None] - row) + right * (np.arange(size[1]) - column)) / 5


def _clouds(dice: Dice, size: tuple[int, int], cells: int) -> np.ndarray:
    """Soft patches: (H, W) in [0, 1], chance on a coarse grid, smoothly joined."""
    field = dice(0, 256, (cells + 1) ** 2).reshape(cells + 1, cells + 1) / 256
    for side in size:  # the rows grow to H; then, transposed, the columns to W
        place = np.arange(side) * cells / side
        before = place.astype(np.int64)
        part = (place - before)[:, None]
        part = part * part * (3 - 2 * part)  # no crease where two cells meet
        field = (field[before] * (1 - part) + field[before + 1] * part).T
    return field


def _gravel(dice: Dice, size: tuple[int, int], shrink: int) -> np.ndarray:
    """Cut (H, W) out of the gravel at a place of chance: mean 0, spread 1 over the whole photograph."""
    stones = _photograph("gravel", shrink)
    for axis, side in enumerate(size):
        first = dice(0, stones.shape[axis])
        stones = stones.take(np.arange(first, first + side), axis=axis, mode="wrap")
    return stones


@lru_cache
def _photograph(name: str, shrink: int) -> np.ndarray:
    """Read a photograph that scikit-image has installed, `shrink` times smaller, beside its mirror images."""
    package = find_spec("skimage")  # where it lies; importing it would take time and is not needed
    path = package and Path(package.submodule_search_locations[0], "data", f"{name}.png")
    if path is None or not path.is_file():
        raise ImportError(
            f"the road is drawn on {name}.png, a photograph that scikit-image installs, and it is missing; "
            'run: pip install "scikit-image>=0.24"'
        )
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"), dtype=np.int64)
    height, width = (side // shrink for side in grey.shape)
    blocks = grey[: height * shrink, : width * shrink].reshape(height, shrink, width, shrink).sum(axis=(1, 3))
    spread = np.sqrt((blocks * blocks).mean() - blocks.mean() ** 2)
    # A mirror at each side: whoever walks off one end comes in at the other without a seam.
    return np.pad((blocks - blocks.mean()) / spread, ((0, height), (0, width)), mode="symmetric")


# ---- chance and checks --------------------------------------------------------------------------


def _dice(*key: int) -> Dice:
    """Return a function that rolls whole numbers from `low` to `high`, both included."""
    bits = np.random.PCG64(key)

    def roll(low: int, high: int, count: int | None = None) -> int | np.ndarray:
        if count is None:
            return low + bits.random_raw() % (high - low + 1)
        return low + (bits.random_raw(count) % np.uint64(high - low + 1)).astype(np.int64)

    return roll


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return `size` as two Python integers, or say what is wrong with it."""
    sides = tuple(size) if isinstance(size, Sequence) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and side >= 16 for side in sides):
        raise ValueError(f"size must be (height, width), two whole numbers of 16 or more, got {size!r}")
    return int(sides[0]), int(sides[1])


def _check(name: str, value: int, low: int, high: float = float("inf")) -> None:
    """Raise a ValueError unless `value` is a whole number from `low` to `high`."""
    if not isinstance(value, Integral) or not low <= value <= high:
        span = f"of {low} or more" if high == float("inf") else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {span}, got {value!r}")


# ---- many roads ---------------------------------------------------------------------------------


class SyntheticCracks(Dataset):
    """Drawn cracked roads as a data set, with the interface of the real crack sets.

    Widths, branches, surfaces and distractors are mixed.  Road `i` depends on `seed` and `i` alone:
    not on the order in which roads are asked for, nor on the number of workers.

    Args:
        count: How many roads, 1 or more.
        size: Height and width of every road in pixels, each 16 or more.
        seed: 0 or more.  Another seed gives other roads: one for training, one for testing.
        crack_widths: The widths to choose from, each 0 to 9.

    Raises:
        ValueError: An argument is out of its range; the message names it.

    Example:
        >>> roads = SyntheticCracks(count=4, size=(48, 64))
        >>> len(roads), roads[3].image.shape
        (4, torch.Size([3, 48, 64]))
    """

    classes = ("pavement", "crack")
    palette = ((0, 0, 0), (255, 255, 255))
    ignore_index = VOID

    def __init__(
        self,
        count: int,
        size: tuple[int, int] = (96, 128),
        seed: int = 0,
        crack_widths: Sequence[int] = (1, 2, 3, 5),
    ) -> None:
        _check("count", count, 1)
        _check("seed", seed, 0)
        if not isinstance(crack_widths, Sequence) or len(crack_widths) == 0:
            raise ValueError(f"crack_widths must be a tuple of one width or more, got {crack_widths!r}")
        for width in crack_widths:
            _check("each of crack_widths", width, 0, 9)
        self.size, self.seed, self.crack_widths = _checked_size(size), seed, tuple(crack_widths)
        self.ids = tuple(f"road-{i:04d}" for i in range(count))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Road:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be from 0 to {len(self) - 1}, got {index}")
        dice = _dice(2, self.seed, index % len(self))
        return cracked_road(
            self.size,
            self.crack_widths[dice(0, len(self.crack_widths) - 1)],
            seed=dice(0, 2**62),
            branches=dice(0, 2),
            surface=tuple(SURFACES)[dice(0, len(SURFACES) - 1)],
            distractors=[name for name in DISTRACTORS if dice(0, 3) == 0],
        )

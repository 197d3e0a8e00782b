"""Drawn roads with a crack whose every pixel is known (Chapters 00, 01 and 07).

The mask of a photograph is somebody's opinion.  Here the crack is painted, so the mask is the truth:
a pixel is crack if and only if it was painted.  The ground is a photograph of gravel or brick that
scikit-image installs (CC0), shrunk until it looks like a road.  Nothing is downloaded.

    seed --> pavement (3, H, W) --crack--> image uint8 (3, H, W) and mask int64 (H, W)

One seed is one road, on every machine, and the masks are made of integers alone.

Source: Bouchaud, Lapasset and Planès (1990), Europhys. Lett. 13, 73-79, for how rough a crack is.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from chapters_code.checks import check_integer, check_pair
from chapters_code.data.pairs import Pair
from chapters_code.data.synthetic.drawn import Drawn
from chapters_code.data.synthetic.pavement import DISTRACTORS, SURFACES, pavement
from chapters_code.data.synthetic.rng import Rng

__all__ = ["SyntheticCracks", "cracked_road"]

_RIM = 9  # pixels: the widest brush


def cracked_road(
    size: tuple[int, int] = (96, 128),
    crack_width: int = 1,
    seed: int = 0,
    *,
    branches: int = 0,
    bright: bool = False,
    surface: str = "asphalt",
    distractors: Sequence[str] = ("shadow", "stain"),
) -> Pair:
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
    size = check_pair("size", size, 16, single=False)
    check_integer("crack_width", crack_width, 0, 9)
    check_integer("seed", seed, 0)
    check_integer("branches", branches, 0)
    if surface not in SURFACES:
        raise ValueError(f"surface must be one of {tuple(SURFACES)}, got {surface!r}")
    if not isinstance(distractors, (tuple, list)) or not set(distractors) <= set(DISTRACTORS):
        raise ValueError(f"distractors must be a tuple of names out of {DISTRACTORS}, got {distractors!r}")

    # Two streams of chance, so that no change of the crack can move a stone of the pavement.
    ground = pavement(size, Rng(0, seed), surface, distractors)
    depth = _cracks(size, Rng(1, seed), crack_width, branches)
    goal = 255 if bright else 0
    image = ground + (goal - ground) * depth // 256
    return Pair(torch.from_numpy(image.astype(np.uint8)), torch.from_numpy((depth > 0).astype(np.int64)))


# ---- the crack: integers only ------------------------------------------------------------------


def _cracks(size: tuple[int, int], rng: Rng, crack_width: int, branches: int) -> np.ndarray:
    """Paint the cracks: int64 (H, W), how dark each pixel is in 1/256, 0 where there is no crack."""
    canvas = np.zeros(np.add(size, 2 * _RIM), dtype=np.int64)  # with room for the brush at the edge
    picture = canvas[_RIM:-_RIM, _RIM:-_RIM]
    if crack_width == 0:
        return picture
    axis = rng.integers(0, 1)  # 0: the main crack runs down, 1: it runs to the right
    along, across = size[axis], size[1 - axis]
    # It keeps inside the picture: both ends lie in the middle 40 %, and _rough adds less than 30 %.
    margin = -(-3 * across // 10)
    begin, end = rng.integers(margin, across - 1 - margin, 2)
    start = (0, begin) if axis == 0 else (begin, 0)
    main = _walk(rng, start, axis, along, (end - begin) // 2, min(size) // 8)
    _paint(canvas, rng, main, np.full(along, crack_width))
    for _ in range(branches):
        fork = main[rng.integers(along // 5, along - along // 5)]
        length = rng.integers(min(size) // 4, min(size) // 2)
        rise, heading = rng.integers(-length // 2, length // 2), rng.choose((-1, 1))
        branch = _walk(rng, fork, 1 - axis, length, rise, length // 8, heading)
        # It runs thin towards its tip, as real ones do.
        _paint(canvas, rng, branch, 1 + crack_width * np.arange(length)[::-1] * 2 // (3 * length))
    return picture


def _walk(
    rng: Rng, start: Sequence[int], axis: int, length: int, rise: int, amplitude: int, heading: int = 1
) -> np.ndarray:
    """Wander from `start` along `axis`: pixels (length, 2), each a row and a column."""
    ahead, aside = np.arange(length), [0]
    for target in (rise * ahead // length + _rough(rng, length, amplitude))[1:]:
        # One ahead and at most one aside: the chain has no gap, and is one pixel thick.
        aside.append(aside[-1] + max(-1, min(1, int(target) - aside[-1])))
    path = np.stack([heading * ahead, aside], axis=1)
    return np.asarray(start) + (path if axis == 0 else path[:, ::-1])


def _rough(rng: Rng, length: int, amplitude: int) -> np.ndarray:
    """Rough line by midpoint displacement: int64 (length,), from 0, within 7/3 of `amplitude`."""
    span, swing = 1 << max(1, (length - 1).bit_length()), 64 * amplitude  # in 1/64: small swings count too
    line = np.zeros(span + 1, dtype=np.int64)
    while span > 1:
        middle = np.arange(span // 2, len(line), span)
        line[middle] = (line[middle - span // 2] + line[middle + span // 2]) // 2
        line[middle] += rng.integers(-swing, swing, len(middle))
        # Half the span, 2 ** -0.8 = 4/7 of the swing: fractures were measured to be as rough as that.
        span, swing = span // 2, swing * 4 // 7
    return line[:length] // 64


def _paint(canvas: np.ndarray, rng: Rng, path: np.ndarray, widths: np.ndarray) -> None:
    """Draw along `path` with a round brush `widths` pixels across; `canvas` has a rim of `_RIM`."""
    shades = 150 + 6 * widths + np.clip(_rough(rng, len(path), 32), -32, 32)
    widths = widths - np.minimum(np.abs(_rough(rng, len(path), 2)), widths // 3)
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


# ---- many roads ---------------------------------------------------------------------------------


class SyntheticCracks(Drawn):
    """Drawn cracked roads as a data set; widths, branches, surfaces and distractors are mixed.

    The arguments are those of `Drawn`, where the usual size is (96, 128), and these:

    Args:
        crack_widths: The widths to choose from, each 0 to 9.
        surfaces: The names of `SURFACES` to choose from.

    Raises:
        ValueError: An argument is out of its range; the message names it.

    Example:
        >>> roads = SyntheticCracks(count=4, size=(48, 64))
        >>> len(roads), roads[3].image.shape
        (4, torch.Size([3, 48, 64]))
    """

    classes = ("pavement", "crack")
    stem, drawn, usual_size = "road", "roads", (96, 128)

    def __init__(
        self,
        count: int,
        size: tuple[int, int] | None = None,
        seed: int = 0,
        crack_widths: Sequence[int] = (1, 2, 3, 5),
        transform: Callable | None = None,
        *,
        surfaces: Sequence[str] = ("asphalt", "concrete"),
    ) -> None:
        super().__init__(count, size, seed, transform)
        if not isinstance(crack_widths, Sequence) or len(crack_widths) == 0:
            raise ValueError(f"crack_widths must be a tuple of one width or more, got {crack_widths!r}")
        for width in crack_widths:
            check_integer("each of crack_widths", width, 0, 9)
        if not isinstance(surfaces, (tuple, list)) or not surfaces or not set(surfaces) <= set(SURFACES):
            raise ValueError(f"surfaces must be a tuple of names out of {tuple(SURFACES)}, got {surfaces!r}")
        self.crack_widths, self.surfaces = tuple(crack_widths), tuple(surfaces)

    def read(self, index: int) -> Pair:
        """Draw road `index`."""
        rng = Rng(2, self.seed, index)
        return cracked_road(
            self.size,
            rng.choose(self.crack_widths),
            seed=rng.integers(0, 2**62),
            branches=rng.integers(0, 2),
            surface=rng.choose(self.surfaces),
            distractors=[name for name in DISTRACTORS if rng.integers(0, 3) == 0],
        )

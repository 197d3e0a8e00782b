"""From points to pixels: fill polygons with integers only, so that a mask is the same on every machine.

[(x, y), ...] in sixteenths of a pixel  --fill-->  bool (H, W), true where the pixel's middle lies inside
"""

from collections.abc import Sequence
from math import cos, isqrt, pi, sin

import numpy as np

__all__ = ["ONE", "disc", "fill", "line", "ring"]

ONE = 16  # one pixel, in the units of the points

# Thirty-two points on a circle of radius 1024.  None lies near a half, so rounding gives the same on every machine.
_CIRCLE = np.array([(round(1024 * cos(pi * i / 16)), round(1024 * sin(pi * i / 16))) for i in range(32)], np.int64)


def fill(contours: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Fill closed contours by the even-odd rule: a contour within another is a hole.

    Args:
        contours: Each int64 (n, 2), corners x and y in sixteenths of a pixel; may reach beyond the picture.
        size: Height and width of the picture in pixels.

    Returns:
        bool (H, W).  A pixel is inside if a line from its middle to the left crosses the contours an odd number of
        times; a middle on the very edge belongs to the shape on its right, so that neighbours never share a pixel.
    """
    height, width = size
    start = np.concatenate(contours)
    end = np.concatenate([np.roll(contour, -1, axis=0) for contour in contours])
    x, y, (run, rise) = start[:, 0, None], start[:, 1, None], (end - start).T[..., None]
    middle = np.arange(height) * ONE + ONE // 2
    # An edge crosses the rows from its upper end to just above its lower one: no corner is counted twice.
    crossed = (np.minimum(y, y + rise) <= middle) & (middle < np.maximum(y, y + rise))
    where = x + (middle - y) * run // np.where(rise == 0, 1, rise)
    column = np.clip(-((ONE // 2 - where) // ONE), 0, width)
    row = np.broadcast_to(np.arange(height), crossed.shape)[crossed]
    crossings = np.bincount(row * (width + 1) + column[crossed], minlength=height * (width + 1))
    parity = crossings.astype(np.uint8).reshape(height, width + 1) & 1
    return np.bitwise_xor.accumulate(parity, axis=1)[:, :width].astype(bool)


def disc(middle: Sequence[int], radii: Sequence[int]) -> np.ndarray:
    """Return an ellipse as a contour, int64 (32, 2)."""
    return np.asarray(middle) + _CIRCLE * np.asarray(radii) // 1024


def ring(middle: Sequence[int], radii: Sequence[int], width: int) -> list[np.ndarray]:
    """Return an ellipse with a hole: the rim is `width` across and lies inside."""
    return [disc(middle, radii), disc(middle, np.asarray(radii) - width)]


def line(begin: Sequence[int], end: Sequence[int], width: int) -> np.ndarray:
    """Return a stroke as a contour, int64 (8, 2), a little longer at each end, so that strokes join at a corner."""
    along = np.subtract(end, begin)
    length = max(1, isqrt(int(along @ along)))
    ahead = along * width // (2 * length)
    aside, tip = np.array((-ahead[1], ahead[0])), ahead // 2
    # Eight corners: the ends are cut like those of a felt pen.
    corners = [(begin, -ahead, -aside // 2), (begin, -tip, -aside), (end, tip, -aside), (end, ahead, -aside // 2)]
    corners += [(end, ahead, aside // 2), (end, tip, aside), (begin, -tip, aside), (begin, -ahead, aside // 2)]
    return np.array([np.add(point, lengthwise) + sideways for point, lengthwise, sideways in corners], np.int64)

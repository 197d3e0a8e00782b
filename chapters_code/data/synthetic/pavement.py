"""The road without its crack: stones, light, shadows, stains, joints and lane marks.

seed --> pavement int64 (3, H, W), 32 to 223
"""

from collections.abc import Sequence

import numpy as np

from chapters_code.data.synthetic.rng import Rng
from chapters_code.data.synthetic.textures import clouds, cutting

__all__ = ["DISTRACTORS", "SURFACES", "pavement"]

SURFACES = {  # mean red, green and blue; how far the stones stand out, in grey levels; the photograph, how much smaller
    "asphalt": ((122, 126, 132), 7, "gravel", (3, 4, 5)),
    "concrete": ((166, 163, 157), 5, "gravel", (3, 4, 5)),
    "brick": ((146, 122, 110), 15, "brick", (2,)),
}
DISTRACTORS = ("shadow", "stain", "joint", "paint")


def pavement(size: tuple[int, int], rng: Rng, surface: str, distractors: Sequence[str]) -> np.ndarray:
    """Lay the road without its crack: int64 (3, H, W), 32 to 223, so that darker and brighter exist."""
    tone, grain, name, scales = SURFACES[surface]
    # Scales that repeat at different lengths: the eye finds no pattern, even in a large road.
    stones = sum(cutting(rng, size, name, shrink) for shrink in scales)
    hues = sum(cutting(rng, size, "gravel", shrink) for shrink in (3, 4, 5))
    brightness, warmth = rng.integers(-12, 12), rng.integers(-6, 6)
    # Some stones are reddish, some bluish, as in a photograph; grey ones look like a drawing.
    tints = warmth + hues * (min(grain, 7) / 6)
    grey = brightness + stones * grain
    road = [level + grey + sign * tints for level, sign in zip(tone, (1, 0, -1), strict=True)]
    # All are placed, whichever are wanted: adding one leaves the rest of the road as it was.
    mark, edge, joint = (_from_line(rng, size) for _ in range(3))
    light, blot, fringe = (clouds(rng, size, cells) for cells in (3, 3, 12))
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


def _from_line(rng: Rng, size: tuple[int, int]) -> np.ndarray:
    """Distance from a straight line through the middle third: (H, W), pixels, negative on one side."""
    row, column = (rng.integers(side // 3, side - side // 3) for side in size)
    down, right = rng.choose(((0, 5), (3, 4), (4, 3), (5, 0), (4, -3), (3, -4)))  # all of length 5
    return (down * (np.arange(size[0])[:, None] - row) + right * (np.arange(size[1]) - column)) / 5

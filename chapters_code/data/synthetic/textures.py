"""What drawn things are made of: photographs of gravel, grass and brick, and soft clouds.

The photographs are those that scikit-image installs (CC0).  Nothing is downloaded.  One operation at a time is done
with them, each of which IEEE 754 fixes to the last bit, so that a drawing is the same on every machine.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from chapters_code.data.synthetic.rng import Rng

__all__ = ["clouds", "cutting", "photograph"]


def clouds(rng: Rng, size: tuple[int, int], cells: int) -> np.ndarray:
    """Soft patches: (H, W) in [0, 1], chance on a coarse grid, smoothly joined."""
    field = rng.integers(0, 256, (cells + 1) ** 2).reshape(cells + 1, cells + 1) / 256
    for side in size:  # the rows grow to H; then, transposed, the columns to W
        place = np.arange(side) * cells / side
        before = place.astype(np.int64)
        part = (place - before)[:, None]
        part = part * part * (3 - 2 * part)  # no crease where two cells meet
        field = (field[before] * (1 - part) + field[before + 1] * part).T
    return field


def cutting(rng: Rng, size: tuple[int, int], name: str, shrink: int) -> np.ndarray:
    """Cut (H, W) out of a photograph at a place of chance: mean 0, spread 1 over the whole photograph."""
    picture = photograph(name, shrink)
    for axis, side in enumerate(size):
        first = rng.integers(0, picture.shape[axis])
        picture = picture.take(np.arange(first, first + side), axis=axis, mode="wrap")
    return picture


@lru_cache
def photograph(name: str, shrink: int) -> np.ndarray:
    """Read a photograph that scikit-image has installed, `shrink` times smaller, beside its mirror images.

    Raises:
        ImportError: scikit-image is not installed; the message has the command.
    """
    package = find_spec("skimage")  # where it lies; importing it would take time and is not needed
    path = package and Path(package.submodule_search_locations[0], "data", f"{name}.png")
    if path is None or not path.is_file():
        raise ImportError(
            f"the pictures are drawn on {name}.png, a photograph that scikit-image installs, and it is missing; "
            'run: pip install "scikit-image>=0.24"'
        )
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"), dtype=np.int64)
    height, width = (side // shrink for side in grey.shape)
    blocks = grey[: height * shrink, : width * shrink].reshape(height, shrink, width, shrink).sum(axis=(1, 3))
    spread = np.sqrt((blocks * blocks).mean() - blocks.mean() ** 2)
    # A mirror at each side: whoever walks off one end comes in at the other without a seam.
    return np.pad((blocks - blocks.mean()) / spread, ((0, height), (0, width)), mode="symmetric")

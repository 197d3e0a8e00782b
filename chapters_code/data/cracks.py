"""Photographs of cracked roads, with their masks (Chapters 01 and 07).

Real ones are used where the reader has them: a folder named by the environment variable BOOK_DATA, with
`crack/DeepCrack/` in it.  Elsewhere a drawn road takes their place, and says so.

Sources: DeepCrack, Liu et al., Neurocomputing 338 (2019) 139-153; for non-commercial research and teaching only.
"""

import os
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from chapters_code.data.pictures import read_mask, read_picture
from chapters_code.data.synthetic import cracked_road

__all__ = ["Photograph", "cracked_photograph"]


class Photograph(NamedTuple):
    """A picture of a road, its mask, and where they are from."""

    image: Tensor  # uint8 (3, H, W)
    mask: Tensor  # int64 (H, W), 1 = crack
    origin: str


def cracked_photograph(number: int = 0) -> Photograph:
    """Give one photograph of a cracked road, or a drawn road where there are no photographs.

    Args:
        number: Which one, counted in the order of the file names; after the last comes the first again.

    Raises:
        FileNotFoundError: BOOK_DATA is set, but there are no crack photographs in it.
    """
    named = os.environ.get("BOOK_DATA")
    if not named:
        road = cracked_road(size=(384, 544), crack_width=3, seed=number, branches=2)
        return Photograph(*road, origin="a drawn road (no photographs here; BOOK_DATA names no folder)")
    folder = Path(named) / "crack" / "DeepCrack" / "test"
    images = sorted(folder.glob("images/*.jpg"))
    if not images:
        raise FileNotFoundError(
            f"BOOK_DATA names {named}, but there are no photographs in {folder / 'images'}:"
            " put DeepCrack there, or unset BOOK_DATA to use a drawn road"
        )
    image = images[number % len(images)]
    mask = (read_mask(folder / "masks" / f"{image.stem}.png") > 127).long()
    return Photograph(read_picture(image), mask, origin=f"a photograph from DeepCrack, {image.name}")

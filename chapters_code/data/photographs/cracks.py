"""Photographs of cracked roads, with their masks (Chapters 01 and 07).

    CrackSegmentation("DeepCrack")[0]  -->  image uint8 (3, H, W), mask int64 (H, W), 1 = crack, 0 = pavement

A mask without a crack is a mask like any other.  For Chapter 01, which wants a single picture and no download, there
is `cracked_photograph`.  DeepCrack's training and test sets share ten photographs, as a reader of it reported;
`shared_photographs` finds such pairs.

Sources: DeepCrack, Liu et al., Neurocomputing 338 (2019) 139-153; CFD (CrackForest), Shi et al., IEEE T-ITS 17(12)
(2016) 3434-3445.  Both for non-commercial research and teaching only.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.data.fetching.find import cache_folder, own_folder
from chapters_code.data.folders import is_twin
from chapters_code.data.pairs import Segmentation
from chapters_code.data.photographs.photographs import Photographs
from chapters_code.data.synthetic import cracked_road

__all__ = ["CrackSegmentation", "Photograph", "cracked_photograph", "shared_photographs"]

# Grey levels by which two thumbnails of one photograph may differ.  Saved anew as a JPEG, even a poor one, photographs
# of DeepCrack move by 2 at most; two different ones of its training and test sets are 21 or more apart somewhere.
_ALIKE = 4


class CrackSegmentation(Photographs):
    """DeepCrack (300 photographs to train with, 237 to test) or CFD (89 and 29).

    The split of DeepCrack is the official one, in which ten photographs are said to stand on both sides
    (`shared_photographs`).  CFD has none: of its ids in order, every fourth is a test picture.

    Args:
        name: "DeepCrack" or "CFD".
        split: "train" or "test".
        root: As for `Photographs`: a folder with `images` and `masks` within `train` and `test`.
        transform: As for `Photographs`, and so are the errors.
    """

    classes = ("pavement", "crack")
    meaning = {0: 0, 255: 1}
    place, splits = "crack/", {"DeepCrack": ("train", "test"), "CFD": ("train", "test")}

    def __init__(
        self,
        name: str = "DeepCrack",
        split: str = "train",
        root: str | Path | None = None,
        transform: Callable | None = None,
    ) -> None:
        super().__init__(name, split, root, transform)


class Photograph(NamedTuple):
    """A picture of a road, its mask, and where they are from."""

    image: Tensor  # uint8 (3, H, W)
    mask: Tensor  # int64 (H, W), 1 = crack
    origin: str


def cracked_photograph(number: int = 0) -> Photograph:
    """Return one photograph of a cracked road, or a drawn road where there are no photographs; nothing is downloaded.

    Real ones are used where they are on this machine: `crack/DeepCrack/` in the folder that the environment variable
    BOOK_DATA names, or else an earlier download.  Elsewhere a drawn road takes their place, and says so.

    Args:
        number: Which one, counted in the order of the file names; after the last comes the first again.

    Raises:
        FileNotFoundError: BOOK_DATA is set, but there are no crack photographs in it, and none were downloaded before;
            or there is a folder for them without photographs.
    """
    own = own_folder()
    places = [folder / "crack" / "DeepCrack" for folder in (own, cache_folder()) if folder]
    root = next((place for place in places if place.is_dir()), places[0])
    if own is None and not root.is_dir():
        road = cracked_road(size=(384, 544), crack_width=3, seed=number, branches=2)
        return Photograph(*road, origin="a drawn road (no photographs here; BOOK_DATA names no folder)")
    if not any(root.glob("test/images/*.jpg")):
        named = f"BOOK_DATA names {own}, but there are" if own else "There are"
        raise FileNotFoundError(
            f"{named} no photographs in {root / 'test' / 'images'}: put DeepCrack there, or"
            f" {'unset BOOK_DATA' if own else 'remove that folder'} to use a drawn road"
        )
    photographs = CrackSegmentation("DeepCrack", "test", root)
    number %= len(photographs)
    source = photographs.origin if is_twin(root) else "a photograph from DeepCrack"
    return Photograph(*photographs[number], origin=f"{source}, {photographs.ids[number]}.jpg")


def shared_photographs(one: Segmentation, other: Segmentation) -> list[tuple[str, str]]:
    """Find photographs that stand in two sets, such as one to train with and one to test on.

    They are compared by what they show, and not by their names: each is shrunk to 16 × 16 means of its grey, and two
    are the same if none of these differs by more than 4 grey levels of 255.  So a photograph that was saved anew, or
    made smaller, is found, too; one that was turned, mirrored or cropped is not.

    Args:
        one: A set of photographs; all are read.
        other: Another one.

    Returns:
        The ids of each such pair, that in `one` first; in the order of `one`.
    """
    thumbnails = _thumbnails(other)
    found = []
    for name, thumbnail in zip(one.ids, _thumbnails(one), strict=True):
        apart = (thumbnails - thumbnail).abs().amax(dim=1)
        found += [(name, other.ids[place]) for place in (apart <= _ALIKE).nonzero().flatten().tolist()]
    return found


def _thumbnails(photographs: Segmentation) -> Tensor:
    """Shrink each to 16 × 16 means of its grey: (N, 256), 0 to 255."""
    greys = (image.float().mean(dim=0, keepdim=True) for image, _ in photographs)
    return torch.stack([functional.adaptive_avg_pool2d(grey, 16).flatten() for grey in greys])

"""Write a drawn data set to disk, in the layout of the real set, so that the same loader reads both.

    write_twin("voc2012", out)  -->  out/voc2012/JPEGImages/*.jpg, SegmentationClass/*.png, ImageSets/...

The file TWIN.txt in the folder says what it is, and so do the ids: nobody shall take drawings for photographs.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from chapters_code.checks import check_integer
from chapters_code.data.folders import TWIN_NOTE
from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.data.pictures import write_mask
from chapters_code.data.synthetic.cracks import SyntheticCracks
from chapters_code.data.synthetic.saliency import SyntheticSaliency
from chapters_code.data.synthetic.voc import SyntheticVOC

__all__ = ["TWINS", "write_twin"]


class Twin(NamedTuple):
    """How the twin of a real set is made."""

    draw: Callable[[int, int], Segmentation]  # from count and seed
    name: str  # the form of an id; pairs count from 1
    tested: Callable[[int, int], bool]  # from the pair's number and the count: is it for testing?


TWINS = {
    # No id is one of the real set's, so that neither lists nor digests can be taken for each other: those of VOC begin
    # with a year from 2007 on, a twin's with 0000.
    "voc2012": Twin(lambda n, seed: SyntheticVOC(n, seed=seed), "0000_{:06d}", lambda i, n: 2913 * i > 1464 * n),
    "crack/DeepCrack": Twin(
        lambda n, seed: SyntheticCracks(
            n, (384, 544), seed, (1, 3, 5, 7, 9, 9), surfaces=("asphalt", "concrete", "brick")
        ),
        "drawn_{:05d}",
        lambda i, n: 537 * i > 300 * n,
    ),
    "crack/CFD": Twin(
        lambda n, seed: SyntheticCracks(n, (320, 480), seed, (1, 3, 5, 7), surfaces=("asphalt",)),
        "drawn_{:03d}",
        lambda i, n: i % 4 == 0,
    ),
    "sod/ECSSD": Twin(lambda n, seed: SyntheticSaliency(n, seed=seed), "drawn_{:04d}", lambda i, n: False),
    "sod/DUTS": Twin(
        lambda n, seed: SyntheticSaliency(n, seed=seed), "drawn_{:08d}", lambda i, n: 15572 * i > 10553 * n
    ),
}


def write_twin(name: str, out: str | Path, count: int = 200, seed: int = 0) -> None:
    """Draw a data set and write it to the folder `out`/`name`, laid out as the real one.

    Images are JPEG of quality 95; masks are palette PNG for VOC, else grey PNG of 0 and 255.  The pairs are split as
    in the real set: 1464 to 1449 for VOC (training to validation), 300 to 237 for DeepCrack, 10553 to 5019 for DUTS
    (training to testing), every fourth of CFD for testing; ECSSD has no split.

    The set is written beside its place and moved there when it is whole, so a folder of that name is a finished one.
    (A run that is killed outright may leave a folder beside it, whose name begins with a dot; remove it.)
    If a finished twin with the same `count` and `seed` is there already, it is left as it is.

    Args:
        name: One of "voc2012", "crack/DeepCrack", "crack/CFD", "sod/ECSSD", "sod/DUTS".
        out: The folder of data sets; made if missing.
        count: How many pairs, 4 or more.
        seed: 0 or more.

    Raises:
        ValueError: An argument is out of its range; the message names it.
        FileExistsError: Something else is in that place; nothing of it is touched.
    """
    if name not in TWINS:
        raise ValueError(f"name must be one of {tuple(TWINS)}, got {name!r}")
    check_integer("count", count, 4)
    check_integer("seed", seed, 0)
    place, note = Path(out, name), _note(name, count, seed)
    if _is_there(place, note):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    # On the same disk as its place, so that it can be moved there in one step.
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as beside:
        folder = Path(beside, place.name)  # one deeper: the outer folder is closed to others
        _write(name, folder, count, seed)
        (folder / TWIN_NOTE).write_text(note, encoding="utf-8")
        try:
            os.replace(folder, place)
        except OSError:
            if not _is_there(place, note):  # else another process has written the same, a moment ago
                raise


def _note(name: str, count: int, seed: int) -> str:
    return (
        f"Synthetic twin of {name}: {count} pairs, seed {seed}.\n\n"
        f"These are drawings, not photographs.  They are laid out like {name}, so that programs written for it can be\n"
        "tried without a download.  A score on them says nothing about the real set.\n\n"
        f"Made by write_twin({name!r}, count={count}, seed={seed}) of the book Keep the Crack.\n"
        "The textures come from photographs of gravel, grass and brick that scikit-image installs (CC0).\n"
    )


def _is_there(place: Path, note: str) -> bool:
    """Say whether the finished twin is there; anything else in its place is an error."""
    if not place.exists():
        return False
    if (place / TWIN_NOTE).is_file() and (place / TWIN_NOTE).read_text(encoding="utf-8") == note:
        return True
    raise FileExistsError(f"{place} exists, and is not the twin that was asked for: remove it, or name another folder")


def _write(name: str, folder: Path, count: int, seed: int) -> None:
    twin, ids = TWINS[name], dict[bool, list[str]]({False: [], True: []})
    # On a screen there is a progress bar; in a notebook or a file it would only be noise.
    for number, pair in enumerate(tqdm(twin.draw(count, seed), desc=f"drawing {name}", disable=None), start=1):
        tested, stem = twin.tested(number, count), twin.name.format(number)
        ids[tested].append(stem)
        if name == "voc2012":
            image, mask = folder / "JPEGImages", folder / "SegmentationClass"
        else:
            split = folder if name == "sod/ECSSD" else folder / ("test" if tested else "train")
            image, mask = split / "images", split / "masks"
        image.mkdir(parents=True, exist_ok=True)
        mask.mkdir(exist_ok=True)
        _write_pair(pair, image / f"{stem}.jpg", mask / f"{stem}.png", coloured=name == "voc2012")
    if name == "voc2012":
        lists = folder / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True)
        for split, stems in {"train": ids[False], "val": ids[True], "trainval": ids[False] + ids[True]}.items():
            (lists / f"{split}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")


def _write_pair(pair: Pair, image: Path, mask: Path, coloured: bool) -> None:
    Image.fromarray(pair.image.permute(1, 2, 0).numpy()).save(image, quality=95)
    if coloured:
        write_mask(mask, pair.mask)
    else:
        Image.fromarray(pair.mask.numpy().astype(np.uint8) * 255).save(mask)

"""Salient objects: what a person looks at first in a photograph, cut out by hand (Chapter 09).

    SaliencySegmentation("ECSSD")[0]  -->  image uint8 (3, H, W), mask int64 (H, W), 1 = salient, 0 = background

Sources: ECSSD, Shi, Yan, Xu and Jia (2016), Hierarchical Image Saliency Detection on Extended CSSD; DUTS, Wang et
al. (2017), Learning to Detect Salient Objects with Image-Level Supervision.
"""

from collections.abc import Callable
from pathlib import Path

from chapters_code.data.fetching.find import locate
from chapters_code.data.pairs import FilePairs, ids_in_folders

__all__ = ["SaliencySegmentation"]

_SPLITS = {"ECSSD": ("train", "test", "all"), "DUTS": ("train", "test")}
_MEANING = {
    "ECSSD": {0: 0, 255: 1},
    # The masks of DUTS have soft edges: greys between 0 and 255.  The brighter half is salient.
    "DUTS": {grey: int(grey >= 128) for grey in range(256)},
}


class SaliencySegmentation(FilePairs):
    """ECSSD (1,000 pictures) or DUTS (10,553 to train with, 5,019 to test).

    DUTS has official splits.  ECSSD has none, since its authors only test on it: `split="all"` is their set.  For
    readers who want to train on something small, "train" and "test" are the book's own: of the ids in order, every
    fourth is a test picture.  A folder with fewer pictures is split by its own order, so compare `digest` before you
    compare scores.

    Args:
        name: "ECSSD" or "DUTS".
        split: "train", "test" or, for ECSSD, "all".
        root: The folder of the set: `images` and `masks`, for DUTS within `train` and `test`.
            None looks for one, and downloads it if need be (`data.find`).
        transform: Called with image and mask together, as for `Segmentation`.

    Raises:
        FileNotFoundError: A folder, a picture or a mask is missing; the message names it.
        ValueError: There is no such set or split, or the folder is empty.
    """

    classes = ("background", "salient")
    palette = ((0, 0, 0), (255, 255, 255))

    def __init__(
        self,
        name: str = "ECSSD",
        split: str = "train",
        root: str | Path | None = None,
        transform: Callable | None = None,
    ) -> None:
        if name not in _SPLITS:
            raise ValueError(f"name must be ECSSD or DUTS, got {name!r}")
        if split not in _SPLITS[name]:
            raise ValueError(f"the splits of {name} are {', '.join(_SPLITS[name])}; got {split!r}")
        folder, origin = locate(f"sod/{name}", root)
        if name == "DUTS":
            folder = folder / split
        images, masks = folder / "images", folder / "masks"
        ids = ids_in_folders(images, masks)
        if name == "ECSSD" and split != "all":
            ids = [name for place, name in enumerate(ids) if (place % 4 == 3) == (split == "test")]
        self.meaning = _MEANING[name]
        super().__init__(ids, images, masks, origin, transform)

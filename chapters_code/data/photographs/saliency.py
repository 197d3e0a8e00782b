"""Salient objects: what a person looks at first in a photograph, cut out by hand (Chapter 09).

    SaliencySegmentation("ECSSD")[0]  -->  image uint8 (3, H, W), mask int64 (H, W), 1 = salient, 0 = background

Sources: ECSSD, Shi, Yan, Xu and Jia (2016), Hierarchical Image Saliency Detection on Extended CSSD; DUTS, Wang et
al. (2017), Learning to Detect Salient Objects with Image-Level Supervision.
"""

from collections.abc import Callable
from pathlib import Path

from chapters_code.data.photographs.photographs import Photographs

__all__ = ["SaliencySegmentation"]

_MEANING = {
    "ECSSD": {0: 0, 255: 1},
    # The masks of DUTS have soft edges: greys between 0 and 255.  The brighter half is salient.
    "DUTS": {grey: int(grey >= 128) for grey in range(256)},
}


class SaliencySegmentation(Photographs):
    """ECSSD (1,000 pictures) or DUTS (10,553 to train with, 5,019 to test).

    DUTS has official splits.  ECSSD has none, since its authors only test on it: `split="all"` is their set.  For
    readers who want to train on something small, "train" and "test" are the book's own: of the ids in order, every
    fourth is a test picture.  A folder with fewer pictures is split by its own order, so compare `digest` before you
    compare scores.

    Args:
        name: "ECSSD" or "DUTS".
        split: "train", "test" or, for ECSSD, "all".
        root: As for `Photographs`: a folder with `images` and `masks`, for DUTS within `train` and `test`.
        transform: As for `Photographs`, and so are the errors.
    """

    classes = ("background", "salient")
    place, splits = "sod/", {"ECSSD": ("train", "test", "all"), "DUTS": ("train", "test")}

    def __init__(
        self,
        name: str = "ECSSD",
        split: str = "train",
        root: str | Path | None = None,
        transform: Callable | None = None,
    ) -> None:
        super().__init__(name, split, root, transform)
        self.meaning = _MEANING[name]

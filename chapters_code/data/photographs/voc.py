"""PASCAL VOC 2012: photographs of everyday life, 20 classes of things in them (Chapters 00 and 06).

Masks are palette PNGs.  Their numbers are read as they are stored, so that the border of void (255) around each
object stays void; a look-up by colour makes background of it.

    VOCSegmentation("train")[0]  -->  image uint8 (3, H, W), mask int64 (H, W) of 0 to 20, and 255 = do not count

Source: Everingham, Van Gool, Williams, Winn, Zisserman (2010), The PASCAL Visual Object Classes (VOC) Challenge.
"""

from collections.abc import Callable
from pathlib import Path

from chapters_code.data.fetching.find import locate
from chapters_code.data.pairs import FilePairs, ids_in_list
from chapters_code.data.pictures import VOID, palette

__all__ = ["VOCSegmentation"]


class VOCSegmentation(FilePairs):
    """The segmentation part of VOC 2012: 1,464 pictures to train with and 1,449 to validate, of many sizes.

    Args:
        split: "train", "val" or "trainval" (both), as the official lists have them.
        root: A folder laid out as VOC2012 is, with JPEGImages, SegmentationClass and ImageSets/Segmentation in it.
            None looks for one, and downloads it if need be (`data.find`).
        transform: Called with image and mask together, as for `Segmentation`.

    Raises:
        FileNotFoundError: The list, a picture or a mask is missing; the message names it.
        ValueError: There is no such split, or its list is empty or names a picture twice.
    """

    classes = (
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    )  # fmt: skip
    palette = tuple(map(tuple, palette()[:21].tolist()))
    meaning = {number: number for number in (*range(21), VOID)}

    def __init__(self, split: str = "train", root: str | Path | None = None, transform: Callable | None = None) -> None:
        if split not in ("train", "val", "trainval"):
            raise ValueError(f"split must be train, val or trainval, got {split!r}")
        folder, origin = locate("voc2012", root)
        ids = ids_in_list(folder / "ImageSets" / "Segmentation" / f"{split}.txt")
        super().__init__(ids, folder / "JPEGImages", folder / "SegmentationClass", origin, transform)

"""PASCAL VOC 2012: photographs of everyday life, 20 classes of things in them (Chapters 00 and 06).

Masks are palette PNGs.  Their numbers are read as they are stored, so that the border of void (255) around each
object stays void; a look-up by colour makes background of it.

    VOCSegmentation("train")[0]  -->  image uint8 (3, H, W), mask int64 (H, W) of 0 to 20, and 255 = do not count

Source: Everingham, Van Gool, Williams, Winn, Zisserman (2010), The PASCAL Visual Object Classes (VOC) Challenge.
"""

from collections.abc import Callable
from pathlib import Path

from chapters_code.data.photographs.photographs import Photographs
from chapters_code.data.pictures import VOID, voc_colours

__all__ = ["VOCSegmentation"]


class VOCSegmentation(Photographs):
    """The segmentation part of VOC 2012: 1,464 pictures to train with and 1,449 to validate, of many sizes.

    Args:
        split: "train", "val" or "trainval" (both), as the official lists have them.
        root: As for `Photographs`: a folder with JPEGImages, SegmentationClass and ImageSets/Segmentation in it.
        transform: As for `Photographs`, and so are the errors.
    """

    classes = (
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    )  # fmt: skip
    palette = voc_colours(21)
    meaning = {number: number for number in (*range(21), VOID)}

    splits = {"voc2012": ("train", "val", "trainval")}

    def __init__(self, split: str = "train", root: str | Path | None = None, transform: Callable | None = None) -> None:
        super().__init__("voc2012", split, root, transform)

"""The table of data sets: where each is from, under which terms, and where its files go (Chapters 06, 07 and 09).

One entry per set says all that `find` needs: the archives and their mirrors, the terms, what to expect inside, and
rules that turn a name in the archive into a name in the book's layout:

    VOCdevkit/VOC2012/JPEGImages/2007_000032.jpg  -->  JPEGImages/2007_000032.jpg

What no rule names is left in the archive.  All addresses are https: most sets have no checksum that somebody publishes,
and by plain http anybody on the way could put in other files.  The page on data sets says the same in words.
"""

from dataclasses import dataclass
from pathlib import Path

from chapters_code.data.folders import ids_in_folders, ids_in_list

__all__ = ["SOURCES", "Archive", "Source"]


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes:
        name: What it is called here; ends in ".zip" or ".tar".
        urls: The addresses that offer it, tried in this order.
        size: In bytes.  Exact where there is a checksum, else about right: for the question "is there room?".
        checksum: "sha256:..." as pooch writes it, or None where nobody publishes one.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    checksum: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set: what it is, how to get it, how to know that it is whole.

    Attributes:
        title: Its name in words.
        page: Where its makers describe it.
        archives: The files it comes in.
        terms: What one may do with it.
        citation: The work to cite.
        pairs: How many pairs each split holds; the split is a folder or a list, "" where there is none.
        labels: The values that may stand in a mask file.
        rules: (pattern, target): a member of an archive whose whole name matches is stored as the target says.
        unpacked: The most bytes that all targets together may take; what wants more is not this data set.
        images: The folder of a split's images.
        masks: The folder of a split's masks.
        lists: The file that lists a split's pairs, where there is one; elsewhere the folder is the list.
        test_every: Where there is no official split: pair 4, 8, 12, ... in order of the ids is for testing.
    """

    title: str
    page: str
    archives: tuple[Archive, ...]
    terms: str
    citation: str
    pairs: dict[str, int]
    rules: tuple[tuple[str, str], ...]
    unpacked: int
    labels: tuple[int, ...] = (0, 255)
    images: str = "{split}/images"
    masks: str = "{split}/masks"
    lists: str | None = None
    test_every: int | None = None

    def pairs_in(self, folder: Path, split: str) -> tuple[tuple[str, ...], Path, Path]:
        """Return the ids of a split in the set's folder, and its folders of images and of masks.

        Raises:
            FileNotFoundError: A folder or the list is missing.
            ValueError: A folder or the list is empty, or the list names a pair twice.
        """
        images, masks = (folder / place.format(split=split) for place in (self.images, self.masks))
        if self.lists:
            return ids_in_list(folder / self.lists.format(split=split)), images, masks
        return ids_in_folders(images, masks), images, masks


# A name from an archive becomes the name of a file here, so it may hold nothing but these.
_NAME = r"([\w-][\w. -]*)"


def _archive(name: str, size: int, *folders: str, checksum: str | None = None) -> Archive:
    """Say which folders of which servers offer a file under the name that it has here."""
    return Archive(name, tuple(f"{folder}/{name}" for folder in folders), size, checksum)


_CFD_COMMIT = "ed57c2d96754e6c7d105805cd29aeeb3a799f267"
_ECSSD = "https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/data/ECSSD"
_DUTS = "https://saliencydetection.net/duts/download"

SOURCES = {
    "voc2012": Source(
        title="PASCAL VOC 2012, segmentation",
        page="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        archives=(
            _archive(
                "VOCtrainval_11-May-2012.tar",
                1_999_639_040,
                # To this host its page's own address, http://host.robots.ox.ac.uk, redirects.
                "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012",
                "https://d2l-data.s3-accelerate.amazonaws.com",  # of the d2l book
                "https://dataset.bj.bcebos.com/voc",  # of PaddlePaddle
                # From torchvision's prototype of this set, and KerasCV's loader.  (torchvision's older loader gives
                # the MD5, 6cd6e144f989b92b3379bac3b3de84fd; this one is stronger.)
                checksum="sha256:e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
            ),
        ),
        terms="The photographs are from flickr, and flickr's terms of use apply to them"
        " (https://www.flickr.com/help/terms).",
        citation="Everingham, Van Gool, Williams, Winn and Zisserman, The PASCAL Visual Object Classes (VOC) challenge,"
        " International Journal of Computer Vision 88 (2010) 303-338",
        pairs={"train": 1464, "val": 1449},
        # The archive holds 17,125 photographs; only those with a mask are unpacked.
        rules=(
            (rf"VOCdevkit/VOC2012/JPEGImages/{_NAME}\.jpg", r"JPEGImages/\1.jpg"),
            (rf"VOCdevkit/VOC2012/SegmentationClass/{_NAME}\.png", r"SegmentationClass/\1.png"),
            (r"VOCdevkit/VOC2012/ImageSets/Segmentation/(train|val|trainval)\.txt", r"ImageSets/Segmentation/\1.txt"),
        ),
        unpacked=1_000_000_000,
        labels=(*range(21), 255),
        images="JPEGImages",
        masks="SegmentationClass",
        lists="ImageSets/Segmentation/{split}.txt",
    ),
    "crack/DeepCrack": Source(
        title="DeepCrack",
        page="https://github.com/yhlleo/DeepCrack",
        archives=(
            _archive(
                "DeepCrack.zip",
                67_708_808,
                "https://github.com/yhlleo/DeepCrack/raw/master/dataset",
                "https://raw.githubusercontent.com/yhlleo/DeepCrack/master/dataset",
            ),
        ),
        terms="Its use is restricted to non-commercial research and educational purposes.",
        citation="Liu, Yao, Lu, Xie and Li, DeepCrack: a deep hierarchical feature learning architecture for crack"
        " segmentation, Neurocomputing 338 (2019) 139-153",
        pairs={"train": 300, "test": 237},
        rules=(
            (rf"(?:DeepCrack/)?(train|test)_img/{_NAME}\.jpg", r"\1/images/\2.jpg"),
            (rf"(?:DeepCrack/)?(train|test)_lab/{_NAME}\.png", r"\1/masks/\2.png"),
        ),
        unpacked=400_000_000,
    ),
    "crack/CFD": Source(
        title="CrackForest (CFD)",
        page="https://github.com/cuilimeng/CrackForest-dataset",
        archives=(
            Archive(
                "CrackForest-dataset.zip",
                (
                    f"https://github.com/cuilimeng/CrackForest-dataset/archive/{_CFD_COMMIT}.zip",
                    f"https://codeload.github.com/cuilimeng/CrackForest-dataset/zip/{_CFD_COMMIT}",
                ),
                30_000_000,
                # GitHub packs such archives anew as it likes; the commit in the address stands for the content.
            ),
        ),
        terms="The dataset is made available for non-commercial research purposes only.",
        citation="Shi, Cui, Qi, Meng and Chen, Automatic road crack detection using random structured forests,"
        " IEEE Transactions on Intelligent Transportation Systems 17 (2016) 3434-3445",
        pairs={"train": 89, "test": 29},
        rules=(
            (r"CrackForest-dataset-\w+/image/(\d+)\.jpg", r"images/\1.jpg"),
            (r"CrackForest-dataset-\w+/groundTruth/(\d+)\.mat", r"masks/\1.png"),
        ),
        unpacked=200_000_000,
        test_every=4,
    ),
    "sod/ECSSD": Source(
        title="ECSSD",
        page="https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/dataset.html",
        archives=(
            _archive("images.zip", 68_000_000, _ECSSD),
            _archive("ground_truth_mask.zip", 2_000_000, _ECSSD),
        ),
        terms="We know of no written terms: ask its authors before you use it for anything but research and teaching.",
        citation="Shi, Yan, Xu and Jia, Hierarchical image saliency detection on extended CSSD,"
        " IEEE Transactions on Pattern Analysis and Machine Intelligence 38 (2016) 717-729",
        pairs={"": 1000},
        rules=((rf"images/{_NAME}\.jpg", r"images/\1.jpg"), (rf"ground_truth_mask/{_NAME}\.png", r"masks/\1.png")),
        unpacked=400_000_000,
        images="images",
        masks="masks",
    ),
    "sod/DUTS": Source(
        title="DUTS",
        page="http://saliencydetection.net/duts/",
        archives=(
            _archive("DUTS-TR.zip", 270_997_309, _DUTS),
            _archive("DUTS-TE.zip", 139_000_000, _DUTS),
        ),
        terms="Free for academic research, as its users report; we could not read the terms themselves: look at its"
        " page.",
        citation="Wang, Lu, Wang, Feng, Wang, Yin and Ruan, Learning to detect salient objects with image-level"
        " supervision, CVPR (2017) 136-145",
        pairs={"train": 10_553, "test": 5_019},
        # Masks are the PNG files.  An edition of before 2018 also held five masks as JPEG, and three PNGs of a wrong
        # size; it is refused for those, and the addresses above give the mended one.
        rules=(
            (rf"(?:DUTS-TR/)?DUTS-TR-Image/{_NAME}\.jpg", r"train/images/\1.jpg"),
            (rf"(?:DUTS-TR/)?DUTS-TR-Mask/{_NAME}\.png", r"train/masks/\1.png"),
            (rf"(?:DUTS-TE/)?DUTS-TE-Image/{_NAME}\.jpg", r"test/images/\1.jpg"),
            (rf"(?:DUTS-TE/)?DUTS-TE-Mask/{_NAME}\.png", r"test/masks/\1.png"),
        ),
        unpacked=1_500_000_000,
    ),
}

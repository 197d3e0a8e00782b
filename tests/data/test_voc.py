"""VOC 2012: numbers as stored, void kept; against a made tree, d2l, and the real images."""

import ast
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from chapters_code.data.photographs.voc import VOCSegmentation
from chapters_code.data.pictures import palette, write_mask

LISTS = {"train": ["2007_000032", "2008_000008"], "val": ["2007_000033"]}
LISTS["trainval"] = sorted(LISTS["train"] + LISTS["val"])


def a_mask(height: int = 30, width: int = 50) -> torch.Tensor:
    """All classes in stripes, with a border of void around each, as in the real masks."""
    mask = torch.zeros(height, width, dtype=torch.int64)
    for number in range(1, 21):
        mask[4:26, 2 * number + 4 : 2 * number + 6] = number
    mask[3], mask[26] = 255, 255
    return mask


@pytest.fixture
def tree(tmp_path):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for name, ids in LISTS.items():
        (tmp_path / "ImageSets" / "Segmentation" / f"{name}.txt").write_text("\n".join(ids) + "\n")
    for shade, name in enumerate(LISTS["trainval"]):
        Image.new("RGB", (50, 30), (40 * shade, 9, 9)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        write_mask(tmp_path / "SegmentationClass" / f"{name}.png", a_mask())
    return tmp_path


@pytest.fixture(scope="module")
def d2l():
    """What d2l says of VOC, and its way from colours to classes, out of its text: to import it takes many seconds."""
    folder = importlib.util.find_spec("d2l").submodule_search_locations[0]
    wanted = {"VOC_CLASSES", "VOC_COLORMAP", "voc_colormap2label", "voc_label_indices"}
    text = ast.parse((Path(folder) / "torch.py").read_text(encoding="utf-8"))
    text.body = [
        part
        for part in text.body
        if (isinstance(part, ast.FunctionDef) and part.name in wanted)
        or (isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) in wanted)
    ]
    assert len(text.body) == 4
    names = {"torch": torch}
    exec(compile(text, "d2l", "exec"), names)
    table = names["voc_colormap2label"]()

    def labels(path: Path) -> torch.Tensor:
        with Image.open(path) as mask:  # as d2l reads it: colours, no numbers
            colours = torch.from_numpy(np.array(mask.convert("RGB"))).permute(2, 0, 1)
        return names["voc_label_indices"](colours, table)

    return SimpleNamespace(labels=labels, classes=names["VOC_CLASSES"], colours=names["VOC_COLORMAP"])


# ---- the made tree ------------------------------------------------------------------------------


@pytest.mark.parametrize("split", LISTS)
def test_a_split_is_what_its_list_says(tree, split):
    dataset = VOCSegmentation(split, tree)
    assert dataset.ids == tuple(LISTS[split])
    for name, (image, mask) in zip(dataset.ids, dataset, strict=True):
        assert image.shape == (3, 30, 50)
        assert abs(int(image[0, 0, 0]) - 40 * LISTS["trainval"].index(name)) < 4
        assert torch.equal(mask, a_mask())


def test_there_are_21_classes_in_the_colours_of_the_challenge():
    assert len(VOCSegmentation.classes) == len(set(VOCSegmentation.classes)) == 21
    assert [VOCSegmentation.classes[k] for k in (0, 1, 8, 12, 15, 20)] == (
        ["background", "aeroplane", "cat", "dog", "person", "tvmonitor"]
    )
    assert VOCSegmentation.classes[1:] == tuple(sorted(VOCSegmentation.classes[1:]))
    assert VOCSegmentation.palette == tuple(map(tuple, palette()[:21].tolist()))
    assert VOCSegmentation.ignore_index == 255


@pytest.mark.parametrize("number", [21, 254])
def test_a_number_beyond_the_classes_is_named(tree, number):
    mask = a_mask()
    mask[7, 3] = number
    write_mask(tree / "SegmentationClass" / "2007_000033.png", mask)
    with pytest.raises(ValueError, match=rf"2007_000033\.png: 1 of 1500 .*class, {number}; known are 0 to 20, 255\."):
        VOCSegmentation("val", tree)[0]


def test_a_missing_picture_mask_or_list_is_named(tree):
    (tree / "SegmentationClass" / "2008_000008.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"2008_000008\.png is missing \(1 of 2"):
        VOCSegmentation("train", tree)
    (tree / "JPEGImages" / "2007_000033.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"2007_000033\.jpg is missing \(1 of 1"):
        VOCSegmentation("val", tree)
    (tree / "ImageSets" / "Segmentation" / "trainval.txt").write_text("")
    with pytest.raises(ValueError, match=r"trainval\.txt is empty"):
        VOCSegmentation("trainval", tree)
    (tree / "ImageSets" / "Segmentation" / "val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"val\.txt is missing"):
        VOCSegmentation("val", tree)


# ---- d2l ----------------------------------------------------------------------------------------


def void_becomes_background(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Fail unless the two differ in this alone: d2l has background wherever we have void."""
    void = ours == 255
    assert void.any()
    assert torch.equal(theirs[~void], ours[~void])
    assert (theirs[void] == 0).all()


def test_classes_and_colours_are_those_of_d2l(d2l):
    classes = tuple(name.replace(" ", "").replace("/", "") for name in d2l.classes)
    assert (classes, palette()[:21].tolist()) == (VOCSegmentation.classes, d2l.colours)


def test_the_colours_of_d2l_turn_void_into_background(tree, d2l):
    """Defect 2.1 of the sources: a look-up by colour that starts from zeros knows no void."""
    ours = VOCSegmentation("val", tree)[0].mask
    theirs = d2l.labels(tree / "SegmentationClass" / "2007_000033.png")

    void_becomes_background(ours, theirs)
    assert set(theirs.unique().tolist()) == set(range(21))
    assert torch.equal(theirs, a_mask().where(a_mask() != 255, 0))


def test_where_there_is_no_void_the_labels_are_those_of_d2l(tree, d2l):
    mask = a_mask()[4:26]
    path = tree / "SegmentationClass" / "2007_000033.png"
    write_mask(path, mask)
    Image.new("RGB", (50, 22)).save(tree / "JPEGImages" / "2007_000033.jpg")

    assert torch.equal(VOCSegmentation("val", tree)[0].mask, d2l.labels(path))


# ---- the real images ----------------------------------------------------------------------------

# Of how many images each class is a part, 1 to 20, as data/README.md counts them.
TRAIN = [13, 12, 17, 10, 16, 13, 14, 14, 24, 9, 18, 12, 17, 13, 83, 13, 11, 14, 12, 16]
VAL = [10, 10, 8, 8, 13, 11, 16, 15, 21, 10, 14, 19, 14, 13, 88, 20, 10, 16, 9, 16]


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(("split", "count", "images"), [("train", 207, TRAIN), ("val", 203, VAL)])
def test_every_real_pair_is_read_and_differs_from_d2l_in_void_alone(book_data, d2l, split, count, images):
    dataset = VOCSegmentation(split, book_data / "voc2012")
    assert len(dataset) == count
    seen = torch.zeros(256, dtype=torch.int64)
    for index, (image, mask) in enumerate(dataset):
        assert image.shape == (3, *mask.shape) and (3, *dataset.size_of(index)) == image.shape
        assert (image.dtype, mask.dtype) == (torch.uint8, torch.int64)
        seen[mask.unique()] += 1
        void_becomes_background(mask, d2l.labels(dataset.masks / f"{dataset.ids[index]}.png"))
    assert seen[1:21].tolist() == images
    assert seen[255] == count and seen[21:255].sum() == 0


@pytest.mark.real_data
def test_both_real_splits_together_are_trainval(book_data, monkeypatch):
    """Found by the name of the folder alone, as a reader finds it; and too small ones are dropped by their size."""
    monkeypatch.setenv("BOOK_DATA", str(book_data))
    train, val, both = map(VOCSegmentation, ("train", "val", "trainval"))
    assert len(both) == 410
    assert set(both.ids) == {*train.ids, *val.ids}

    large = both.drop_smaller((320, 480))
    assert len(large) + len(large.dropped) == 410
    sizes = {name: both.size_of(index) for index, name in enumerate(both.ids)}
    assert all(sizes[name][0] >= 320 and sizes[name][1] >= 480 for name in large.ids)
    assert all(sizes[name][0] < 320 or sizes[name][1] < 480 for name in large.dropped)
    batch = next(iter(DataLoader(large.subset(range(1)), batch_size=1)))
    assert batch.image.shape[:2] == (1, 3) and batch.mask.dtype == torch.int64

"""What the sets of photographs share: they are searched for by name, and what there is not is refused."""

from types import SimpleNamespace

import pytest
from PIL import Image

from chapters_code.data import CrackSegmentation, SaliencySegmentation, VOCSegmentation
from chapters_code.data.fetching import find

LAYOUTS = [  # set, arguments, place in a data folder, the folders of images and of masks
    (VOCSegmentation, ("val",), "voc2012", "JPEGImages", "SegmentationClass"),
    (CrackSegmentation, (), "crack/DeepCrack", "train/images", "train/masks"),
    (CrackSegmentation, ("CFD", "test"), "crack/CFD", "test/images", "test/masks"),
    (SaliencySegmentation, (), "sod/ECSSD", "images", "masks"),
    (SaliencySegmentation, ("DUTS", "test"), "sod/DUTS", "test/images", "test/masks"),
]


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout[2])
def layout(request, tmp_path):
    """A set of one pair, 7 x 5, all background."""
    *_, images, masks = request.param
    for folder, name, mode in ((images, "a.jpg", "RGB"), (masks, "a.png", "L")):
        (tmp_path / folder).mkdir(parents=True)
        Image.new(mode, (7, 5)).save(tmp_path / folder / name)
    if images == "JPEGImages":
        (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
        (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("a\n")
    return request.param


def test_without_a_folder_it_is_found(layout, tmp_path, monkeypatch):
    kind, arguments, place, *_ = layout
    found = {place: SimpleNamespace(path=tmp_path, origin="found")}
    monkeypatch.setattr(find, "find", found.__getitem__)
    dataset = kind(*arguments)
    assert (dataset.origin, dataset.ids, dataset[0].mask.shape) == ("found", ("a",), (5, 7))


def test_a_missing_half_and_a_missing_folder_are_named(layout, tmp_path):
    kind, arguments, _, images, masks = layout
    (tmp_path / masks / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{masks}.a\.png is missing \(1 of 1"):
        kind(*arguments, root=tmp_path)
    (tmp_path / images / "a.jpg").rename(tmp_path / "a.jpg")
    with pytest.raises((ValueError, FileNotFoundError), match=rf"{images} has no picture|{images}.a\.jpg is missing"):
        kind(*arguments, root=tmp_path)
    (tmp_path / images).rmdir()
    with pytest.raises(FileNotFoundError, match=f"no folder .*{images}"):
        kind(*arguments, root=tmp_path)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (VOCSegmentation, ("test",), "the splits of voc2012 are train, val, trainval; got 'test'"),
        (CrackSegmentation, ("deepcrack", "train"), "name must be DeepCrack or CFD, got 'deepcrack'"),
        (CrackSegmentation, ("CFD", "val"), "the splits of CFD are train, test; got 'val'"),
        (SaliencySegmentation, ("ECSD", "train"), "name must be ECSSD or DUTS, got 'ECSD'"),
        (SaliencySegmentation, ("DUTS", "all"), "splits of DUTS are train, test; got 'all'"),
        (SaliencySegmentation, ("ECSSD", "val"), "splits of ECSSD are train, test, all; got 'val'"),
    ],
)
def test_what_there_is_not_is_refused(tmp_path, kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(*arguments, root=tmp_path)

"""Salient objects: splits, what a grey in a mask means, and the real images."""

import numpy as np
import pytest
import torch
from PIL import Image

from chapters_code.data.photographs.saliency import SaliencySegmentation

IDS = [f"{number:04}" for number in range(1, 11)]


def written(folder, ids=IDS, greys=(0, 255)):
    """Write pairs of 12 x 20; the object is the left half."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    mask = np.full((12, 20), greys[0], np.uint8)
    mask[:, :10] = np.resize(greys[1:], (12, 10))
    for name in ids:
        Image.new("RGB", (20, 12), (90, 10, 10)).save(folder / "images" / f"{name}.jpg")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder


def test_a_pair_of_ecssd(tmp_path):
    dataset = SaliencySegmentation("ECSSD", "all", written(tmp_path))
    image, mask = dataset[3]
    assert image.shape == (3, 12, 20) and mask.dtype == torch.int64
    assert (mask[:, :10] == 1).all() and (mask[:, 10:] == 0).all()
    assert (dataset.classes, dataset.palette) == (("background", "salient"), ((0, 0, 0), (255, 255, 255)))


def test_every_fourth_of_ecssd_is_a_test_picture(tmp_path):
    """The book's own split; by hand, of ten ids."""
    root = written(tmp_path)
    ids = {split: SaliencySegmentation(split=split, root=root).ids for split in ("all", "train", "test")}
    assert ids["all"] == tuple(IDS)
    assert ids["test"] == ("0004", "0008")
    assert ids["train"] == tuple(name for name in IDS if name not in ids["test"])
    assert SaliencySegmentation(root=root).ids == ids["train"]


@pytest.mark.parametrize("grey", [2, 127, 128, 254])
def test_a_grey_in_ecssd_is_refused_by_name(tmp_path, grey):
    with pytest.raises(ValueError, match=rf"0001\.png: 120 of 240 .*class, {grey}; known are 0, 255"):
        SaliencySegmentation("ECSSD", "all", written(tmp_path, greys=(0, grey)))[0]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_greys_of_duts_are_parted_in_the_middle(tmp_path, split):
    written(tmp_path / "train", ["ILSVRC2012_test_00000004"], greys=(127, 128, 255, 200))
    written(tmp_path / "test", ["sun_aa", "n02"], greys=(1, 254))
    dataset = SaliencySegmentation("DUTS", split, tmp_path)
    assert dataset.ids == {"train": ("ILSVRC2012_test_00000004",), "test": ("n02", "sun_aa")}[split]
    for _, mask in dataset:
        assert (mask[:, :10] == 1).all() and (mask[:, 10:] == 0).all()


@pytest.mark.parametrize(("name", "split"), [("DUTS", "train"), ("ECSSD", "all")])
@pytest.mark.parametrize("coloured", [False, True])
def test_a_mask_of_0_and_1_is_not_silently_empty(tmp_path, name, split, coloured):
    """With greys parted in the middle every pixel of it would be background, also under a palette of two colours."""
    root = written(tmp_path / "train", ["a"], greys=(0, 1))
    if coloured:
        file = root / "masks" / "a.png"
        with Image.open(file) as mask:
            mask.load()
            mask.putpalette([0, 0, 0, 255, 255, 255])
            mask.save(file)
    dataset = SaliencySegmentation(name, split, tmp_path if name == "DUTS" else root)
    with pytest.raises(ValueError, match=r"a\.png: a mask of 0 and 255 was expected, .* 0 and 1 .*multiply by 255"):
        dataset[0]


def test_a_mask_of_nothing_is_still_one(tmp_path):
    written(tmp_path / "train", ["a"], greys=(0, 0))
    assert SaliencySegmentation("DUTS", "train", tmp_path)[0].mask.unique().tolist() == [0]


def test_two_sets_do_not_share_their_greys(tmp_path):
    """DUTS, made first, must not make ECSSD lenient."""
    written(tmp_path / "train", greys=(3, 200))
    SaliencySegmentation("DUTS", "train", tmp_path)
    with pytest.raises(ValueError, match="mean no class, 3, 200"):
        SaliencySegmentation("ECSSD", "all", tmp_path / "train")[0]


@pytest.mark.parametrize(("kind", "ending"), [("images", "jpg"), ("masks", "png")])
def test_half_a_pair_is_named_whichever_half_it_is(tmp_path, kind, ending):
    (written(tmp_path) / kind / f"0002.{ending}").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{kind}.0002\.{ending} is missing \(1 of 10"):
        SaliencySegmentation("ECSSD", "all", tmp_path)


@pytest.mark.slow
@pytest.mark.real_data
def test_every_real_pair_of_ecssd_is_read(book_data):
    """Counts and the mean salient share, 22 %, as data/README.md has them."""
    root = book_data / "sod" / "ECSSD"
    dataset = SaliencySegmentation("ECSSD", "all", root)
    train, test = (SaliencySegmentation("ECSSD", split, root) for split in ("train", "test"))
    assert (len(dataset), len(train), len(test)) == (250, 188, 62)
    assert sorted(train.ids + test.ids) == list(dataset.ids)
    shares = []
    for index, (image, mask) in enumerate(dataset):
        assert image.shape == (3, *mask.shape) == (3, *dataset.size_of(index)) and max(mask.shape) in (396, 400)
        assert mask.unique().tolist() == [0, 1]
        shares.append(mask.float().mean())
    assert abs(torch.stack(shares).mean() - 0.22) < 0.005

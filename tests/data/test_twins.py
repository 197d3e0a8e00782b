"""Twins on disk: the real sets' layout, masks that come back exactly, nothing half-written, nothing overwritten."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from chapters_code.data.pictures import palette, read_mask, read_picture
from chapters_code.data.synthetic import SyntheticCracks, SyntheticSaliency, SyntheticVOC, twin, write_twin
from chapters_code.data.synthetic.__main__ import main

COUNT = 9
DRAWN = {  # the same pairs, drawn here
    "voc2012": SyntheticVOC(COUNT, seed=3),
    "crack/DeepCrack": SyntheticCracks(
        COUNT, (384, 544), 3, (1, 3, 5, 7, 9, 9), surfaces=("asphalt", "concrete", "brick")
    ),
    "crack/CFD": SyntheticCracks(COUNT, (320, 480), 3, (1, 3, 5, 7), surfaces=("asphalt",)),
    "sod/ECSSD": SyntheticSaliency(COUNT, seed=3),
    "sod/DUTS": SyntheticSaliency(COUNT, seed=3),
}
SPLIT = {  # how many of nine are for testing, in the real proportion
    "voc2012": 5,  # 1449 of 2913
    "crack/DeepCrack": 4,  # 237 of 537
    "crack/CFD": 2,  # every fourth
    "sod/DUTS": 3,  # 5019 of 15572
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All five twins, with nine pairs each."""
    folder = tmp_path_factory.mktemp("data")
    for name in DRAWN:
        write_twin(name, folder, COUNT, seed=3)
    return folder


@pytest.fixture
def small(monkeypatch):
    """Stand small pictures in for the twin of VOC, where only the writing is of interest."""
    tiny = twin.TWINS["voc2012"]._replace(draw=lambda count, seed: SyntheticVOC(count, (16, 24), seed))
    monkeypatch.setitem(twin.TWINS, "voc2012", tiny)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def images_and_masks(root: Path, name: str) -> list[tuple[Path, Path]]:
    """List the pairs in the order of their numbers, whatever split they are in."""
    kinds = ("JPEGImages", "SegmentationClass") if name == "voc2012" else ("images", "masks")
    images, masks = (
        sorted((path for path in (root / name).rglob("*.*g") if path.parent.name == kind), key=lambda path: path.stem)
        for kind in kinds
    )
    assert [image.stem for image in images] == [mask.stem for mask in masks]
    assert all(image.parent.parent == mask.parent.parent for image, mask in zip(images, masks, strict=True))
    return list(zip(images, masks, strict=True))


# ---- what is written ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_masks_come_back_exactly_and_images_nearly(root, name):
    """PNG keeps every number; JPEG of quality 95 is off by a few grey levels on average."""
    pairs = images_and_masks(root, name)

    assert len(pairs) == COUNT
    for (image, mask), drawn in zip(pairs, DRAWN[name], strict=True):
        stored = read_mask(mask)
        assert torch.equal(stored if name == "voc2012" else stored // 255, drawn.mask)
        assert name == "voc2012" or set(stored.unique().tolist()) == {0, 255}
        difference = read_picture(image).float() - drawn.image.float()
        assert difference.abs().mean() < 6
        assert difference.mean().abs() < 1


@pytest.mark.parametrize("name", DRAWN)
def test_files_have_the_real_sets_formats(root, name):
    for image, mask in images_and_masks(root, name):
        with Image.open(image) as picture:
            assert (picture.format, picture.mode, image.suffix) == ("JPEG", "RGB", ".jpg")
            size = picture.size
        with Image.open(mask) as picture:
            assert (picture.format, picture.size, mask.suffix) == ("PNG", size, ".png")
            assert picture.mode == ("P" if name == "voc2012" else "L")
            if name == "voc2012":
                np.testing.assert_array_equal(np.reshape(picture.getpalette(), (256, 3)), palette().numpy())


def test_voc_has_its_three_lists(root):
    lists = {
        split: (root / "voc2012" / "ImageSets" / "Segmentation" / f"{split}.txt").read_text(encoding="utf-8")
        for split in ("train", "val", "trainval")
    }
    train, val, both = (text.splitlines() for text in lists.values())

    assert (len(train), len(val)) == (COUNT - SPLIT["voc2012"], SPLIT["voc2012"])
    assert sorted(train + val) == both == [f"0000_{number:06d}" for number in range(1, COUNT + 1)]
    assert [image.stem for image, _ in images_and_masks(root, "voc2012")] == both
    assert all(text.endswith("\n") for text in lists.values())


@pytest.mark.parametrize("name", [name for name in SPLIT if name != "voc2012"])
def test_the_split_has_the_real_proportion(root, name):
    tested = [image.stem for image, _ in images_and_masks(root, name) if image.parent.parent.name == "test"]

    assert len(tested) == SPLIT[name]
    assert {path.name for path in (root / name).iterdir()} == {"train", "test", "TWIN.txt"}
    if name == "crack/CFD":
        assert tested == ["drawn_004", "drawn_008"]


@pytest.mark.parametrize("name", twin.TWINS)
def test_no_id_is_one_of_the_real_set(name):
    """Digests are made of ids: with equal ids a score on drawings would be filed as one on photographs."""
    real = {
        "voc2012": r"20\d\d_\d{6}",
        "crack/DeepCrack": r"(IMG|7Q3A)?[\d-]+",
        "crack/CFD": r"\d{3}",
        "sod/ECSSD": r"\d{4}",
        "sod/DUTS": r"(ILSVRC\d+_\w+|n\d+_\d+|sun_\w+)",
    }[name]
    assert not re.fullmatch(real, twin.TWINS[name].name.format(7))


@pytest.mark.parametrize("name", DRAWN)
def test_a_note_says_what_it_is(root, name):
    note = (root / name / "TWIN.txt").read_text(encoding="utf-8")

    assert name != "sod/ECSSD" or {path.name for path in (root / name).iterdir()} == {"images", "masks", "TWIN.txt"}
    assert note.startswith(f"Synthetic twin of {name}: {COUNT} pairs, seed 3.")
    assert "not photographs" in note


@pytest.mark.parametrize("name", twin.TWINS)
def test_both_parts_of_a_split_hold_something(name):
    """Whatever the count, no list is empty."""
    for count in range(4, 60):
        tested = {twin.TWINS[name].tested(number, count) for number in range(1, count + 1)}
        assert tested == ({False} if name == "sod/ECSSD" else {False, True}), count


def test_the_twin_of_deepcrack_is_about_as_cracked(root):
    """2.9 % of its training pixels, 1.6 % of CFD's; with 1 to 9 pixels across, on three surfaces."""
    shares = {
        name: torch.stack([(read_mask(mask) > 0).float().mean() for _, mask in images_and_masks(root, name)]).mean()
        for name in ("crack/DeepCrack", "crack/CFD")
    }
    assert 0.012 < shares["crack/DeepCrack"] < 0.04
    assert 0.006 < shares["crack/CFD"] < 0.025


# ---- how it is written --------------------------------------------------------------------------


def test_written_twice_a_twin_is_the_same_byte_for_byte(small, tmp_path):
    write_twin("voc2012", tmp_path / "one", 5, seed=1)
    write_twin("voc2012", str(tmp_path / "two"), 5, seed=1)
    write_twin("voc2012", tmp_path / "other", 5, seed=2)

    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert tree(tmp_path / "one").keys() == tree(tmp_path / "other").keys()
    assert tree(tmp_path / "one") != tree(tmp_path / "other")


def test_a_finished_twin_is_left_as_it_is(small, tmp_path, monkeypatch):
    write_twin("voc2012", tmp_path, 5)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(twin, "_write", None)  # would fail if it were called
    write_twin("voc2012", tmp_path, 5)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("other", [{"count": 6}, {"count": 5, "seed": 1}])
def test_another_twin_is_not_overwritten(small, tmp_path, other):
    write_twin("voc2012", tmp_path, 5)
    before = tree(tmp_path)

    with pytest.raises(FileExistsError, match="voc2012 exists.* remove it, or name another folder"):
        write_twin("voc2012", tmp_path, **other)
    assert tree(tmp_path) == before


def test_a_real_set_is_not_overwritten(small, tmp_path):
    (tmp_path / "voc2012" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "voc2012" / "JPEGImages" / "2007_000032.jpg").write_bytes(b"a photograph")

    with pytest.raises(FileExistsError, match="voc2012 exists"):
        write_twin("voc2012", tmp_path, 5)
    assert tree(tmp_path) == {str(Path("voc2012", "JPEGImages", "2007_000032.jpg")): b"a photograph"}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError("no space left")])
def test_a_broken_off_writing_leaves_nothing(small, tmp_path, monkeypatch, stop):
    """Interrupted at the fourth pair: no folder that looks finished, and no rest beside it."""
    write_pair, written = twin._write_pair, []

    def tire(*args, **kwargs):
        if len(written) == 3:
            raise stop
        written.append(write_pair(*args, **kwargs))

    monkeypatch.setattr(twin, "_write_pair", tire)
    with pytest.raises(type(stop) if isinstance(stop, OSError) else stop):
        write_twin("voc2012", tmp_path, 5)
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(twin, "_write_pair", write_pair)
    write_twin("voc2012", tmp_path, 5)
    assert len(list((tmp_path / "voc2012" / "JPEGImages").iterdir())) == 5


def test_until_the_last_moment_nothing_is_in_its_place(small, tmp_path, monkeypatch):
    """A run that is killed cannot clean up; so what it leaves must not look finished."""
    seen = []
    replace = twin.os.replace

    def watch(source, target):
        seen.append((Path(target) == tmp_path / "voc2012", Path(target).exists(), (Path(source) / "TWIN.txt").exists()))
        replace(source, target)

    monkeypatch.setattr(twin.os, "replace", watch)
    write_twin("voc2012", tmp_path, 5)

    assert seen[-1] == (True, False, True)
    assert [path.name for path in tmp_path.iterdir()] == ["voc2012"]


def test_two_that_write_the_same_twin_do_not_spoil_each_other(small, tmp_path, monkeypatch):
    """While one writes, another finishes: the first leaves the finished one in place."""
    note = twin._write

    def overtaken(name, folder, count, seed):
        note(name, folder, count, seed)
        monkeypatch.setattr(twin, "_write", note)
        write_twin(name, tmp_path, count, seed)

    monkeypatch.setattr(twin, "_write", overtaken)
    write_twin("voc2012", tmp_path, 5)

    assert [path.name for path in tmp_path.iterdir()] == ["voc2012"]
    assert (tmp_path / "voc2012" / "TWIN.txt").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "voc"}, "name must be one of .*'voc2012', .* got 'voc'"),
        ({"name": "sod/ECSSD", "count": 3}, "count must be an integer of 4 or more, got 3"),
        ({"name": "crack/CFD", "seed": -1}, "seed.*got -1"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_twin(out=tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []


# ---- the command --------------------------------------------------------------------------------


def test_the_command_writes_a_twin(root, tmp_path, monkeypatch, capsys):
    """The file is run as `python -m` runs it."""
    words = f"voc --out {tmp_path / 'data'} -n {COUNT} --seed 3"
    monkeypatch.setattr(sys, "argv", ["synthetic", *words.split()])
    runpy.run_path(sys.modules[main.__module__].__file__, run_name="__main__")

    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{COUNT} pairs are in {tmp_path / 'data' / 'voc2012'}\n", "")
    assert tree(tmp_path / "data" / "voc2012") == tree(root / "voc2012")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("cracks", "crack/DeepCrack"), ("saliency", "sod/ECSSD"), ("sod/DUTS", "sod/DUTS"), ("voc2012", "voc2012")],
)
def test_short_names_stand_for_real_sets(tmp_path, monkeypatch, capsys, kind, name):
    asked = []
    monkeypatch.setattr("chapters_code.data.synthetic.__main__.write_twin", lambda *given: asked.append(given))
    main([kind, "--out", str(tmp_path)])

    assert asked == [(name, tmp_path, 200, 0)]
    assert str(tmp_path / name) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dogs", "--out", "here"], "invalid choice: 'dogs'.*--help shows how"),
        (["voc"], "--out.*--help shows how"),
        (["voc", "--out", "here", "-n", "many"], "-n: invalid int value: 'many'"),
        (["voc", "--out", "here", "-n", "3"], "count must be an integer of 4 or more, got 3"),
        (["voc", "--out", "here", "--seed", "-1"], "seed.*got -1"),
        (["voc", "--out", "taken"], "voc2012 exists.*remove it"),
    ],
)
def test_a_slip_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken" / "voc2012").mkdir(parents=True)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    said = capsys.readouterr().err

    assert stopped.value.code == 2
    assert said.count("\n") == 1
    assert re.search(message, said), said
    assert not (tmp_path / "here").exists()


def test_help_is_worth_reading(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    said = capsys.readouterr().out

    assert stopped.value.code == 0
    for word in ("voc", "cracks", "saliency", "--out", "--seed", "BOOK_DATA", "crack/DeepCrack", "never overwritten"):
        assert word in said

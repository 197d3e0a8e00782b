"""Archives of data sets: each official layout reads back, and whatever is strange is refused as a whole."""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chapters_code.data.fetching.download import WrongData
from chapters_code.data.fetching.sources import SOURCES, Source
from chapters_code.data.fetching.unpack import check, unpack
from chapters_code.data.pictures import read_mask
from mirror import drawn, made, mask, matlab, photo, tarred, write, zipped

DEEPCRACK = SOURCES["crack/DeepCrack"]


def unpacked(members: dict[str, bytes], folder: Path, source: Source = DEEPCRACK) -> Path:
    archives = write({"set.zip": zipped(members)}, folder / "archives")
    unpack(archives, source, folder / "set")
    return folder / "set"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ---- the official layouts -------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_each_official_layout_reads_back(tmp_path, name):
    """Images are the very files; masks are the very numbers; nothing else is taken out."""
    official = made(name)
    source = replace(SOURCES[name], pairs=official.pairs)

    unpack(write(official.archives, tmp_path / "archives"), source, tmp_path / "set")
    check(source, tmp_path / "set")

    found = files(tmp_path / "set")
    lists = {f"ImageSets/Segmentation/{split}.txt" for split in ("train", "val", "trainval")}
    assert found == set(official.images) | set(official.masks) | (lists if name == "voc2012" else set())
    for place, content in official.images.items():
        assert (tmp_path / "set" / place).read_bytes() == content
    for place, values in official.masks.items():
        assert read_mask(tmp_path / "set" / place).tolist() == values.tolist()


def test_the_labels_of_crackforest_by_hand(tmp_path):
    """2 and 4 are crack; 3, the pavement that cracks enclose, is not."""
    labels = np.array([[1, 2, 3], [4, 1, 2]])
    top = "CrackForest-dataset-ed57c2d"
    members = {f"{top}/image/004.jpg": photo(0, (2, 3)), f"{top}/groundTruth/004.mat": matlab(labels)}

    folder = unpacked(members, tmp_path, SOURCES["crack/CFD"])

    assert read_mask(folder / "train/masks/004.png").tolist() == [[0, 255, 0], [255, 0, 255]]


def test_every_fourth_pair_is_for_testing_whatever_the_numbers(tmp_path):
    numbers = ["002", "003", "005", "007", "011", "013", "017", "019", "023"]
    top = "CrackForest-dataset-ed57c2d"
    members = {f"{top}/image/{number}.jpg": photo(0) for number in numbers}
    members |= {f"{top}/groundTruth/{number}.mat": matlab(np.ones((6, 9))) for number in numbers}

    folder = unpacked(members, tmp_path, SOURCES["crack/CFD"])

    assert {path.stem for path in (folder / "test/images").iterdir()} == {"007", "019"}
    assert {path.stem for path in (folder / "test/masks").iterdir()} == {"007", "019"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no matlab", "no groundTruth"),
        (matlab(np.array([[1, 2], [5, 1]])), "grid of 1 to 4"),
        (matlab(np.array([[0, 1]])), "grid of 1 to 4"),
    ],
    ids=["damaged", "a label 5", "a label 0"],
)
def test_a_strange_ground_truth_is_refused_by_name(tmp_path, content, words):
    members = {"CrackForest-dataset-x/groundTruth/007.mat": content}

    with pytest.raises(WrongData, match=f"007.mat.*{words}"):
        unpacked(members, tmp_path, SOURCES["crack/CFD"])


# ---- masks ----------------------------------------------------------------------------------------


def test_a_mask_of_0_and_255_stays_the_very_file(tmp_path):
    content = mask(drawn(0, (0, 255)))

    folder = unpacked({"test_lab/a.png": content, "test_img/a.jpg": photo(0)}, tmp_path)

    assert (folder / "test/masks/a.png").read_bytes() == content


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_other_masks_are_cut_at_half(tmp_path, mode):
    """127 is background, 128 is crack."""
    values = np.array([[0, 127, 128], [255, 1, 254]], dtype=np.uint8)
    image, stored = Image.fromarray(values), io.BytesIO()
    (image.point(lambda value: 255 * (value > 127)) if mode == "1" else image).convert(mode).save(stored, "PNG")

    folder = unpacked({"test_lab/a.png": stored.getvalue(), "test_img/a.jpg": photo(0)}, tmp_path)

    assert read_mask(folder / "test/masks/a.png").tolist() == [[0, 0, 255], [255, 0, 255]]


def test_a_mask_of_four_bits_is_stored_with_eight(tmp_path):
    """0 and 15 mean black and white, and `read_mask` takes no such file."""
    head = struct.pack(">IIBBBBB", 4, 1, 4, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0\x0f\xf0")), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )

    folder = unpacked({"test_lab/a.png": content, "test_img/a.jpg": photo(0)}, tmp_path)

    assert read_mask(folder / "test/masks/a.png").tolist() == [[0, 255, 255, 0]]


@pytest.mark.parametrize(
    ("content", "words"),
    [(mask(drawn(0, (0, 1))), "values up to 1"), (b"\x89PNG\r\n\x1a\n", "damaged")],
    ids=["0 and 1", "damaged"],
)
def test_a_mask_that_would_be_misread_is_refused_by_name(tmp_path, content, words):
    """0 and 1 would all fall below half: an empty mask, silently."""
    with pytest.raises(WrongData, match=f"test_lab/a.png.*{words}"):
        unpacked({"test_lab/a.png": content}, tmp_path)


def test_an_empty_mask_is_a_mask(tmp_path):
    folder = unpacked({"test_lab/a.png": mask(np.zeros((6, 9))), "test_img/a.jpg": photo(0)}, tmp_path)

    assert read_mask(folder / "test/masks/a.png").sum() == 0


# ---- archives that mean harm ----------------------------------------------------------------------

OUTSIDE = ["../evil.jpg", "train_img/../../evil.jpg", "/evil.jpg", "C:/evil.jpg", "..\\evil.jpg", "\\\\host\\evil.jpg"]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_path_that_leads_outside_is_refused(tmp_path, name, pack):
    archive = "set.zip" if pack is zipped else "set.tar"
    archives = write({archive: pack({"train_img/a.jpg": photo(0), name: b"evil"})}, tmp_path / "archives")
    before = files(tmp_path)

    with pytest.raises(WrongData, match=f"{archive} is refused"):
        unpack(archives, DEEPCRACK, tmp_path / "a" / "b" / "set")

    assert files(tmp_path) == before


def with_link_in_zip() -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        link = zipfile.ZipInfo("train_img/a.jpg")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return stored.getvalue()


def with_special_in_tar(kind: bytes) -> bytes:
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w") as archive:
        info = tarfile.TarInfo("train_img/a.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return stored.getvalue()


SPECIAL = {
    "link.zip": with_link_in_zip(),
    "link.tar": with_special_in_tar(tarfile.SYMTYPE),
    "hard.tar": with_special_in_tar(tarfile.LNKTYPE),
    "device.tar": with_special_in_tar(tarfile.CHRTYPE),
    "pipe.tar": with_special_in_tar(tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_links_and_devices_are_refused(tmp_path, name):
    with pytest.raises(WrongData, match=f"{name} is refused.*train_img/a.jpg"):
        unpack(write({name: SPECIAL[name]}, tmp_path), DEEPCRACK, tmp_path / "set")

    assert not (tmp_path / "set").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """40 MB of nothing pack to 40 kB."""
    bomb = zipped({"train_lab/a.png": b"\0" * 40_000_000, "train_img/a.jpg": photo(0)})
    assert len(bomb) < 100_000

    with pytest.raises(WrongData, match="would take 400"):
        unpack(write({"set.zip": bomb}, tmp_path), replace(DEEPCRACK, unpacked=1_000_000), tmp_path / "set")

    assert not (tmp_path / "set").exists()


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path):
    content = b"\0" * 1_000_000
    bomb = zipped({"train_img/a.jpg": content, "train_lab/a.png": mask(drawn(0, (0, 255)))})
    bomb = bomb.replace(struct.pack("<I", len(content)), struct.pack("<I", 1000))

    with pytest.raises(WrongData, match=r"set.zip is damaged.*train_img/a.jpg"):
        unpack(write({"set.zip": bomb}, tmp_path), replace(DEEPCRACK, unpacked=10_000), tmp_path / "set")


def test_the_same_place_twice_is_refused(tmp_path):
    members = {"train_img/a.jpg": photo(0), "DeepCrack/train_img/a.jpg": photo(1)}

    with pytest.raises(WrongData, match="twice"):
        unpacked(members, tmp_path)


@pytest.mark.parametrize("name", ["voc2012", "crack/DeepCrack"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.7])  # what is not needed comes last
def test_an_archive_that_breaks_off_never_passes(tmp_path, name, share):
    """A tar that ends between two files looks whole to tarfile; then the check finds that pairs are missing."""
    official = made(name)
    source = replace(SOURCES[name], pairs=official.pairs)
    [(archive, whole)] = official.archives.items()
    archives = write({archive: whole[: int(share * len(whole.rstrip(b"\0")))]}, tmp_path)

    with pytest.raises(WrongData):
        unpack(archives, source, tmp_path / "set")
        check(source, tmp_path / "set")


def test_a_damaged_file_in_an_archive_is_named(tmp_path):
    members = {"train_img/a.jpg": photo(0, (60, 90)), "train_lab/a.png": mask(drawn(0, (0, 255)))}
    whole = bytearray(zipped(members))
    whole[1000] ^= 0xFF

    with pytest.raises(WrongData, match=r"set.zip is damaged at 'train_img/a.jpg'"):
        unpack(write({"set.zip": bytes(whole)}, tmp_path), DEEPCRACK, tmp_path / "set")


@pytest.mark.parametrize("name", ["set.zip", "set.tar"])
def test_a_page_is_no_archive(tmp_path, name):
    with pytest.raises(WrongData, match=name):
        unpack(write({name: b"<!DOCTYPE html>" * 100}, tmp_path), DEEPCRACK, tmp_path / "set")


def test_a_compressed_tar_is_not_opened(tmp_path):
    """To list it is to unpack it."""
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("train_img/a.jpg"))

    with pytest.raises(WrongData, match="set.tar"):
        unpack(write({"set.tar": stored.getvalue()}, tmp_path), DEEPCRACK, tmp_path / "set")


# ---- the check ------------------------------------------------------------------------------------


def whole_set(name: str, folder: Path) -> tuple[Source, Path]:
    official = made(name)
    source = replace(SOURCES[name], pairs=official.pairs)
    unpack(write(official.archives, folder / "archives"), source, folder / "set")
    return source, folder / "set"


FAULTS = {
    "an image is missing": (lambda at: (at / "train/images/11125-1.jpg").unlink(), "11125-1.jpg"),
    "a mask is missing": (lambda at: (at / "train/masks/11125-1.png").unlink(), "11125-1.png"),
    "a pair is missing": (
        lambda at: [(at / f"train/{place}").unlink() for place in ("images/11125-1.jpg", "masks/11125-1.png")],
        "train: 2 pairs were due, 1 are there",
    ),
    "a pair too many": (lambda at: (at / "test/images/b.jpg").write_bytes(photo(9)), "test: 1 pairs were due, 2"),
    "sizes differ": (
        lambda at: (at / "train/masks/11125-1.png").write_bytes(mask(drawn(0, (0, 255), (9, 6)))),
        "11125-1.jpg has 6 x 9 pixels, but its mask .*11125-1.png has 9 x 6",
    ),
    "a strange label": (
        lambda at: (at / "train/masks/11125-1.png").write_bytes(mask(drawn(0, (0, 7)))),
        "11125-1.png: .* no class, 7; known are 0, 255",
    ),
    "a picture breaks off": (
        lambda at: (at / "test/images/11215-5.jpg").write_bytes(photo(2, (60, 90))[:900]),
        "11215-5.jpg.*breaks off",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_names_what_is_wrong(tmp_path, fault):
    source, folder = whole_set("crack/DeepCrack", tmp_path)
    check(source, folder)
    spoil, words = FAULTS[fault]
    spoil(folder)

    with pytest.raises(WrongData, match=words):
        check(source, folder)


def test_a_list_rules_where_there_is_one(tmp_path):
    source, folder = whole_set("voc2012", tmp_path)
    listed = folder / "ImageSets/Segmentation/val.txt"
    listed.write_text("2007_000033\n2007_000034\n")
    with pytest.raises(WrongData, match="2007_000034.jpg"):
        check(source, folder)
    listed.write_text("2007_000033\n")
    with pytest.raises(WrongData, match="val: 2 pairs were due, 1 are there"):
        check(source, folder)
    listed.unlink()
    with pytest.raises(WrongData, match="val.txt is missing"):
        check(source, folder)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("voc2012", {"train": 207, "val": 203}),
        ("crack/DeepCrack", {"train": 300, "test": 60}),
        ("crack/CFD", {"train": 89, "test": 29}),
        ("sod/ECSSD", {"": 250}),
    ],
)
def test_the_check_knows_the_real_sets(book_data, name, pairs):
    """Parts of the official sets, whose image files were not changed: all their names and masks pass."""
    check(replace(SOURCES[name], pairs=pairs), book_data / name)

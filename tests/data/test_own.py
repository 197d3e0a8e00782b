"""Pictures of one's own: found by their names, parted as the folder says, and every fault told with its cure."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from chapters_code.data import Pairs, own_sets
from chapters_code.data.folders import ENDINGS
from chapters_code.data.layout import NoPictures
from chapters_code.data.pictures import palette


def photo(path: Path, size=(24, 40), shade=90) -> None:
    """Write a picture of one shade, without loss where the format can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    Image.new("RGB", size[::-1], (shade, shade, shade)).save(path, **options)


def mask(path: Path, numbers=(0, 255), size=(24, 40)) -> None:
    """Write a grey mask: stripes of `numbers` from the left, each four pixels wide, the rest is the first of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.full(size, numbers[0], np.uint8)
    for place, number in enumerate(numbers):
        drawn[:, 4 * place : 4 * place + 4] = number
    Image.fromarray(drawn).save(path)


def two_folders(root: Path, names="abcdef", picture=".JPG", drawn=".png", numbers=(0, 255)) -> Path:
    for shade, name in enumerate(names):
        photo(root / "images" / f"{name}{picture}", shade=10 * shade)
        mask(root / "masks" / f"{name}{drawn}", numbers)
    return root


def opened(root: Path, **options) -> tuple[Pairs, Pairs, str]:
    said: list[str] = []
    return *own_sets(root, say=said.append, **options), "\n".join(said)


# ---- what belongs together ---------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [*ENDINGS, *map(str.upper, ENDINGS)])
def test_pictures_of_every_ending_are_read_in_small_and_capital_letters(tmp_path, ending):
    two_folders(tmp_path, "ba", picture=ending)
    dataset = Pairs(tmp_path / "images", tmp_path / "masks")

    assert dataset.ids == ("a", "b")
    assert [round(image.float().mean().item()) for image, _ in dataset] == [10, 0]
    image, drawn = dataset[0]
    assert (image.shape, image.dtype, drawn.dtype) == ((3, 24, 40), torch.uint8, torch.int64)
    assert (drawn[:, 4:8] == 1).all() and drawn.sum() == 4 * 24
    assert dataset.size_of(1) == (24, 40)


@pytest.mark.parametrize("ending", [".png", ".PNG", ".bmp", ".tif", ".TIFF"])
def test_masks_of_every_ending_that_keeps_numbers_are_read(tmp_path, ending):
    two_folders(tmp_path, "a", drawn=ending, numbers=(0, 2, 255, 1))
    drawn = Pairs(tmp_path / "images", tmp_path / "masks", numbers=True)[0].mask
    assert drawn[5, ::4].tolist() == [0, 2, 255, 1, 0, 0, 0, 0, 0, 0]


def test_in_one_folder_a_mask_is_called_after_its_picture(tmp_path):
    for name, ending in (("DSC_2", ".jpeg"), ("DSC_1", ".JPG")):
        photo(tmp_path / f"{name}{ending}")
        mask(tmp_path / f"{name}_mask.png")
    dataset = Pairs(tmp_path)
    assert dataset.ids == ("DSC_1", "DSC_2")
    assert [path.name for path in dataset.files(0)] == ["DSC_1.JPG", "DSC_1_mask.png"]


def test_both_layouts_are_parted_alike(tmp_path):
    two_folders(tmp_path / "a")
    for kind, mark in (("images", ""), ("masks", "_mask")):
        (tmp_path / "b").mkdir(exist_ok=True)
        for file in (tmp_path / "a" / kind).iterdir():
            shutil.copy(file, tmp_path / "b" / f"{file.stem}{mark}{file.suffix}")
    for one, other in zip(opened(tmp_path / "a")[:2], opened(tmp_path / "b")[:2], strict=True):
        assert one.digest == other.digest
        assert all(torch.equal(mine.image, theirs.image) for mine, theirs in zip(one, other, strict=True))


def test_in_two_folders_a_mask_may_be_called_so_too(tmp_path):
    """Also beside a picture whose own name ends in "_mask"."""
    for name in ("wall", "my_mask"):
        photo(tmp_path / "images" / f"{name}.png")
    mask(tmp_path / "masks" / "wall_MASK.png")
    mask(tmp_path / "masks" / "my_mask.png")
    dataset = Pairs(tmp_path / "images", tmp_path / "masks")
    assert [tuple(path.name for path in dataset.files(index)) for index in range(2)] == [
        ("my_mask.png", "my_mask.png"),
        ("wall.png", "wall_MASK.png"),
    ]


def test_a_letter_stored_as_two_signs_is_the_same_letter(tmp_path):
    """As one computer stores "ü" and as another does."""
    photo(tmp_path / "images" / (unicodedata.normalize("NFD", "Straße süd") + ".jpg"))
    mask(tmp_path / "masks" / (unicodedata.normalize("NFC", "Straße süd") + ".png"))
    assert len(unicodedata.normalize("NFD", "ü")) == 2
    assert Pairs(tmp_path / "images", tmp_path / "masks").ids == ("Straße süd",)


def test_what_systems_leave_in_folders_is_passed_over(tmp_path):
    two_folders(tmp_path, "ab")
    for kind in ("images", "masks"):
        for rubbish in ("Thumbs.db", ".DS_Store", "._a.JPG", "._a.png", "desktop.ini", "notes.txt"):
            (tmp_path / kind / rubbish).write_bytes(b"\0\5\26\7")
    assert Pairs(tmp_path / "images", tmp_path / "masks").ids == ("a", "b")
    assert [len(part) for part in opened(tmp_path)[:2]] == [1, 1]


def test_some_pairs_may_be_named_and_others_may_then_be_incomplete(tmp_path):
    two_folders(tmp_path, "abc")
    (tmp_path / "masks" / "b.png").unlink()
    dataset = Pairs(tmp_path / "images", tmp_path / "masks", ids=("c", "a"))
    assert dataset.ids == ("c", "a")
    assert dataset[0].image.max() == 20


# ---- classes and numbers -----------------------------------------------------------------------------


def test_masks_of_yes_and_no_have_two_classes(tmp_path):
    two_folders(tmp_path, "a")
    folders = tmp_path / "images", tmp_path / "masks"
    assert Pairs(*folders).classes == ("background", "object")
    assert Pairs(*folders).palette == ((0, 0, 0), (255, 255, 255))
    named = Pairs(*folders, classes=["pavement", "crack"])
    assert named.classes == ("pavement", "crack")
    assert named[0].mask.unique().tolist() == [0, 1]


def test_masks_of_numbers_keep_them_and_void_stays_void(tmp_path):
    two_folders(tmp_path, "a", numbers=(0, 2, 1, 255))
    folders = tmp_path / "images", tmp_path / "masks"
    for dataset, classes in (
        (Pairs(*folders, numbers=True), ("background", "class 1", "class 2")),
        (Pairs(*folders, classes=("wall", "door", "window")), ("wall", "door", "window")),
    ):
        assert dataset.classes == classes
        assert dataset[0].mask[7, ::4].tolist() == [0, 2, 1, 255, 0, 0, 0, 0, 0, 0]
        assert dataset.palette == tuple(map(tuple, palette()[:3].tolist()))
        assert dataset.ignore_index == 255
    with Image.open(tmp_path / "masks" / "a.png") as grey:  # a palette does not change them, and two may be numbers too
        grey.load()
        grey.putpalette([9, 200, 60] * 256)
        grey.save(tmp_path / "masks" / "a.png")
    assert Pairs(*folders, numbers=True)[0].mask[7, ::4].tolist() == [0, 2, 1, 255, 0, 0, 0, 0, 0, 0]
    mask(tmp_path / "masks" / "a.png", (0, 1, 255))
    assert Pairs(*folders, classes=("wall", "door"), numbers=True)[0].mask.unique().tolist() == [0, 1, 255]


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [((0, 255), False), ((255, 255), False), ((0, 1), True), ((0, 1, 255), True), ((2, 1, 0), True)],
)
def test_the_masks_themselves_tell_which_kind_they_are(tmp_path, numbers, kind):
    train, validation, _ = opened(two_folders(tmp_path, "ab", numbers=numbers))
    classes = ["background", *(f"class {k}" for k in range(1, max(set(numbers) - {255}) + 1))] if kind else None
    for part in (train, validation):
        assert part.classes == (tuple(classes) if kind else ("background", "object"))


@pytest.mark.parametrize("given", [None, True])
@pytest.mark.parametrize("which", ["train", "val"])
def test_a_class_that_is_in_one_part_alone_is_a_class_of_both(tmp_path, given, which):
    for part in ("train", "val"):
        two_folders(tmp_path / part, "ab", numbers=(0, 1, 2) if part == which else (0, 1))
    for part in opened(tmp_path, numbers=given)[:2]:
        assert part.classes == ("background", "class 1", "class 2")


@pytest.mark.parametrize("content", ["wall\ndoor\r\n\n window \n", "\ufeffwall\ndoor\nwindow"])
def test_a_file_names_the_classes(tmp_path, content):
    two_folders(tmp_path, "ab", numbers=(0, 1))
    (tmp_path / "Classes.txt").write_bytes(content.encode())
    train, _, said = opened(tmp_path)
    assert train.classes == ("wall", "door", "window")
    assert "wall 90.0 %, door 10.0 %, window 0.0 %" in said


@pytest.mark.parametrize(
    ("numbers", "options", "said"),
    [
        ((0, 85, 170), {"numbers": True}, r"a\.png holds 85, and no mask holds 1: classes are numbered 0, 1, 2"),
        ((0, 1, 3, 255), {"numbers": True}, r"a\.png holds 3, and no mask holds 2: .* name every class.* classes\.txt"),
        ((0, 255), {"numbers": True}, "no number of a class above 0: nothing is marked"),
        ((0, 1), {"classes": ("a", "b", "c"), "numbers": False}, "0 and 255 have two classes, and these .* a, b, c;"),
        ((0, 1), {"classes": ("a",)}, r"from 2 to 255 names, .* got \('a',\)"),
        ((0, 1), {"classes": ("a", "a")}, r"each another one, got \('a', 'a'\)"),
        ((0, 1), {"classes": ("a", 1)}, r"must be names"),
    ],
)
def test_classes_that_do_not_fit_the_masks_are_refused(tmp_path, numbers, options, said):
    two_folders(tmp_path, "a", numbers=numbers)
    with pytest.raises(ValueError, match=said):
        Pairs(tmp_path / "images", tmp_path / "masks", **options)


def test_masks_of_0_and_255_with_three_names_are_not_taken_for_void(tmp_path):
    two_folders(tmp_path, "ab")
    with pytest.raises(ValueError, match="masks of 0 and 255 have two classes, and these are named: a, b, c"):
        opened(tmp_path, classes=("a", "b", "c"))


# ---- masks that are no masks: refused by name, with the cure ------------------------------------------


@pytest.mark.parametrize("coloured", [False, True])
def test_a_mask_of_0_and_1_is_to_be_multiplied_and_then_fits(tmp_path, coloured):
    """Also where a palette shows the 1 as white.  The cure is carried out as it stands in the message."""
    two_folders(tmp_path, "a", numbers=(0, 1))
    file = tmp_path / "masks" / "a.png"
    if coloured:
        with Image.open(file) as grey:
            grey.load()
            grey.putpalette([0, 0, 0, 255, 255, 255])
            grey.save(file)
    dataset = Pairs(tmp_path / "images", tmp_path / "masks")
    with pytest.raises(ValueError, match=r"a\.png: .*0 and 255 was expected.* holds 0 and 1.*multiply by 255") as fault:
        dataset[0]
    cure = str(fault.value).split("multiply by 255, ")[1].split(". If")[0]
    exec(cure, {"np": np, "Image": Image, "file": file})
    assert dataset[0].mask.sum() == 4 * 24


def test_a_grey_mask_is_refused_and_may_be_parted_in_the_middle(tmp_path):
    two_folders(tmp_path, "a", numbers=(0, 100, 200))
    dataset, file = Pairs(tmp_path / "images", tmp_path / "masks"), tmp_path / "masks" / "a.png"
    with pytest.raises(ValueError, match=r"a\.png: 192 of 960 .* no class, 100, 200; known are 0, 255.*fcn") as fault:
        dataset[0]
    exec(str(fault.value).split("in the middle, ")[1].split(". If")[0], {"Image": Image, "file": file})
    assert dataset[0].mask[3, ::4].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("numbers", [False, True])
def test_a_jpeg_keeps_no_numbers_and_is_refused_whatever_it_is_called(tmp_path, numbers):
    two_folders(tmp_path, "a", drawn=".jpg")
    (tmp_path / "masks" / "a.jpg").rename(tmp_path / "masks" / "a.png")
    dataset = Pairs(tmp_path / "images", tmp_path / "masks", classes=("a", "b"), numbers=numbers)
    with pytest.raises(ValueError, match=r"a\.png: the mask is a JPEG, .* between them\. Export it again, as PNG"):
        dataset[0]


@pytest.mark.parametrize(
    ("mode", "what"),
    [
        ("RGB", r"colours \(mode RGB\)"),
        ("RGBA", "colours"),
        ("LA", "colours"),
        ("1", "one bit|1 bits"),
        ("I;16", "more than 8 bits"),
        ("F", "fractions"),
    ],
)
@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_a_black_and_white_mask_stored_otherwise_is_refused_and_its_cure_mends_it(tmp_path, mode, what, ending):
    ending = ".tif" if mode == "F" else ending  # PNG has no fractions
    two_folders(tmp_path, "a")
    drawn = np.zeros((24, 40), np.uint8)
    drawn[:, 4:8] = 255
    image = Image.fromarray(drawn)
    image = Image.fromarray(drawn.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    (tmp_path / "masks" / "a.png").unlink()
    image.save(tmp_path / "masks" / f"a{ending}")
    dataset = Pairs(tmp_path / "images", tmp_path / "masks")

    with pytest.raises(ValueError, match=rf"a\{ending}: .*({what}).*convert\('L'\)") as fault:
        dataset[0]

    (line,) = [part for part in str(fault.value).replace(": ", ", ").split(", ") if part.startswith("Image.open")]
    cure = line.split(" makes ")[0].replace("'mask.png'", "file")
    exec(cure, {"Image": Image, "file": dataset.files(0)[1]})
    assert dataset[0].mask.sum() == 4 * 24


def test_a_number_beyond_the_named_classes_is_refused_and_the_cure_is_to_name_all(tmp_path):
    two_folders(tmp_path, "a", numbers=(0, 3))
    with pytest.raises(ValueError, match=r"no class, 3; known are 0 to 2, 255\. .*more than these 3"):
        Pairs(tmp_path / "images", tmp_path / "masks", classes=("a", "b", "c"))[0]


# ---- its name -----------------------------------------------------------------------------------------


def test_a_set_is_called_as_its_folder_and_the_path_is_told_to_nobody(tmp_path, monkeypatch):
    root = two_folders(tmp_path / "Straße 7")
    monkeypatch.chdir(root)
    for dataset in (
        Pairs(root / "images", root / "masks"),
        *own_sets(root, say=lambda line: None),
        *own_sets(Path("."), say=lambda line: None),
        *own_sets("images/..", say=lambda line: None),
    ):
        assert dataset.name == "Straße 7"
        assert dataset.origin == 'own pictures "Straße 7"'
        assert str(tmp_path) not in dataset.origin


def test_two_folders_that_lie_apart_are_called_as_the_pictures_or_as_the_reader_says(tmp_path):
    two_folders(tmp_path / "x", "a")
    (tmp_path / "x" / "masks").rename(tmp_path / "drawn")
    folders = tmp_path / "x" / "images", tmp_path / "drawn"
    assert Pairs(*folders).name == "images"
    assert Pairs(*folders, name="walls").origin == 'own pictures "walls"'


def test_drawn_twins_are_told_from_photographs_here_too(tmp_path):
    root = two_folders(tmp_path / "train").parent
    two_folders(tmp_path / "test")
    (root / "TWIN.txt").write_text("Synthetic twin")
    assert [part.origin.startswith("synthetic twin of own") for part in opened(root)[:2]] == [True, True]


# ---- what is for training, what for validation --------------------------------------------------------


def test_without_a_word_a_share_is_taken_always_the_same_and_it_is_said(tmp_path):
    two_folders(tmp_path, "abcdefghij")
    train, validation, said = opened(tmp_path)
    again = opened(tmp_path)

    assert (len(train), len(validation)) == (8, 2)
    assert sorted(train.ids + validation.ids) == list("abcdefghij")
    assert (again[0].ids, again[1].ids) == (train.ids, validation.ids)
    assert list(train.ids) == sorted(train.ids)
    assert "2 of 10 pairs taken by chance for validation (share 0.2, seed 0), " + ", ".join(validation.ids) in said
    assert "train.txt and val.txt" in said
    assert len({opened(tmp_path, seed=seed)[1].ids for seed in range(5)}) > 1
    assert len(opened(tmp_path, share=0.5)[1]) == 5


def test_a_picture_that_comes_later_moves_one_other_at_most(tmp_path):
    """By a shuffle it would move most; and so what was trained on would come into the validation."""
    two_folders(tmp_path, "bdfhjlnprt")
    before = opened(tmp_path, share=0.5)[1].ids
    for later in "amuz":
        two_folders(tmp_path, later)
        after = opened(tmp_path, share=0.5)[1].ids
        assert len(set(before) - set(after)) <= 1
        before = after


@pytest.mark.parametrize(("count", "share", "held_out"), [(2, 0.01, 1), (2, 0.99, 1), (3, 0.2, 1), (6, 0.25, 2)])
def test_at_least_one_pair_stays_on_each_side(tmp_path, count, share, held_out):
    train, validation, _ = opened(two_folders(tmp_path, "abcdef"[:count]), share=share)
    assert (len(train), len(validation)) == (count - held_out, held_out)


@pytest.mark.parametrize("names", [("train.txt", "val.txt"), ("Train.TXT", "test.txt")])
def test_lists_part_the_pairs_however_they_were_written(tmp_path, names):
    """With endings and folders, by an editor on Windows, and by PowerShell, which writes UTF-16."""
    two_folders(tmp_path, "abcdef")
    (tmp_path / names[0]).write_bytes(b"\xef\xbb\xbfc.JPG\r\nimages\\a.JPG\r\n\r\n")
    (tmp_path / names[1]).write_bytes("b\nmasks/f.png\n".encode("utf-16"))
    (tmp_path / "images" / "e.JPG").unlink()  # in no list: nobody asks for it
    train, validation, said = opened(tmp_path)
    assert (train.ids, validation.ids) == (("c", "a"), ("b", "f"))
    assert f"parted by the files {names[0]} and {names[1]}" in said


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "TEST")])
def test_folders_part_the_pairs(tmp_path, names):
    two_folders(tmp_path / names[0], "abc")
    for name in "ax":
        photo(tmp_path / names[1] / f"{name}.webp")
        mask(tmp_path / names[1] / f"{name}_mask.bmp")
    train, validation, said = opened(tmp_path)
    assert (train.ids, validation.ids) == (("a", "b", "c"), ("a", "x"))
    assert train.name == validation.name == tmp_path.name
    assert f"parted by the folders {names[0]} and {names[1]}" in said


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({"train.txt": "a\nb", "val.txt": "c\nb.JPG"}, r"train\.txt and val\.txt both name b \(1 in all\)"),
        ({"train.txt": "a"}, r"has train\.txt alone: write train\.txt and val\.txt, or neither"),
        ({"val.txt": "a"}, r"has val\.txt alone"),
        ({"train.txt": "a\nb", "val.txt": "DSC_9"}, r"DSC_9 is listed, and .*images has no such picture \(1 of 1"),
        ({"train.txt": "a\na.JPG", "val.txt": "b"}, "the list of pairs names a 2 times"),
        ({"train.txt": "", "val.txt": "b"}, r"train\.txt is empty"),
    ],
)
def test_lists_that_cannot_be_meant_so_are_refused(tmp_path, lists, said):
    two_folders(tmp_path, "abc")
    for name, content in lists.items():
        (tmp_path / name).write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        opened(tmp_path)


def test_one_pair_is_too_few_and_a_share_is_a_part(tmp_path):
    two_folders(tmp_path, "a")
    with pytest.raises(ValueError, match="one pair, and two are needed"):
        opened(tmp_path)
    for share in (0, 1, 20, -0.1):
        with pytest.raises(ValueError, match=f"share must be above 0 and below 1, got {share}"):
            opened(tmp_path, share=share)


# ---- what it says -------------------------------------------------------------------------------------


def test_it_says_how_many_how_large_and_which_share_each_class_has(tmp_path):
    """By hand: of 24 x 40 pixels 4 columns are class 1; of 10 x 20, 4 class 1 and 4 void."""
    two_folders(tmp_path, "a", numbers=(0, 1))
    photo(tmp_path / "images" / "b.png", (10, 20))
    mask(tmp_path / "masks" / "b.png", (0, 1, 255), (10, 20))
    said = Pairs(tmp_path / "images", tmp_path / "masks", classes=("wall", "door"), numbers=True).survey()
    pixels = 24 * 40 + 10 * 20
    door, void = 100 * (4 * 24 + 4 * 10) / pixels, 100 * 4 * 10 / pixels
    assert said == (
        f"2 pairs of 10 x 20 to 24 x 40 pixels; wall {100 - door - void:.1f} %, door {door:.1f} %, not counted"
        f" {void:.1f} %"
    )


def test_every_faulty_pair_is_named_at_once_and_before_the_training(tmp_path):
    two_folders(tmp_path, "abcdefgh")
    (tmp_path / "images" / "a.JPG").write_bytes(b"<html>")
    (tmp_path / "images" / "b.JPG").write_bytes((tmp_path / "images" / "c.JPG").read_bytes()[:-30])
    mask(tmp_path / "masks" / "d.png", size=(40, 24))
    mask(tmp_path / "masks" / "e.png", (0, 1))
    for name in "fgh":
        mask(tmp_path / "masks" / f"{name}.png", (0, 7))
    with pytest.raises(ValueError) as fault:
        Pairs(tmp_path / "images", tmp_path / "masks").survey()
    lines = str(fault.value).splitlines()
    assert lines[0] == "7 of 8 pairs cannot be used:" and lines[-1] == "  and 2 others"
    for line, words in zip(
        lines[1:-1],
        ("a.JPG: not a picture", "b.JPG: ", "d.png has 40 x 24", "e.png: a mask of 0 and 255", "mean no class, 7"),
        strict=True,
    ):
        assert words in line


# ---- folders that hold something else -----------------------------------------------------------------


def test_a_picture_alone_and_a_mask_alone_are_named(tmp_path):
    two_folders(tmp_path, "abcd")
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"images.b\.JPG has no mask \(1 of 4 pictures have none\): add"):
        opened(tmp_path)
    (tmp_path / "images" / "b.JPG").unlink()
    (tmp_path / "images" / "d.JPG").unlink()
    with pytest.raises(FileNotFoundError, match=r"masks.d\.png has no picture \(1 of 3 masks have none\)"):
        opened(tmp_path)


def test_letters_that_differ_in_size_alone_are_pointed_at(tmp_path):
    two_folders(tmp_path, ("DSC_1", "DSC_2"))
    (tmp_path / "masks" / "DSC_2.png").rename(tmp_path / "masks" / "dsc_2.png")
    with pytest.raises(FileNotFoundError, match=r"DSC_2\.JPG has no mask .*there is dsc_2\.png, so make the letters"):
        opened(tmp_path)


def test_names_that_do_not_belong_together_at_all_are_shown_side_by_side(tmp_path):
    two_folders(tmp_path, "abcde")
    for file in (tmp_path / "masks").iterdir():
        file.rename(file.with_stem(f"label-{file.stem}"))
    with pytest.raises(
        FileNotFoundError, match=r"pictures are a\.JPG, b\.JPG, c\.JPG and 2 more, masks label-a\.png, .*NAME_mask\.png"
    ):
        opened(tmp_path)


@pytest.mark.parametrize(("kind", "files"), [("images", "a.JPG and a.png"), ("masks", "a.bmp and a.png")])
def test_two_files_for_one_pair_are_named(tmp_path, kind, files):
    two_folders(tmp_path, "a")
    (tmp_path / kind / "a.png").touch()
    (tmp_path / kind / files.split(" ")[0]).touch()
    with pytest.raises(ValueError, match=f"{kind} has {files}, two files for one pair"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("there", "below", "said"),
    [
        ("", "", r"is empty; wanted are images/NAME\.jpg and masks/NAME\.png, or NAME\.jpg and NAME_mask"),
        (
            "IMG_1.HEIC IMG_2.HEIC",
            "",
            r"no pictures \(\.jpg, .*\), but IMG_1\.HEIC, IMG_2\.HEIC: save yours as",
        ),
        ("a.JPG b.JPG c.JPG d.JPG", "", r"holds 4 pictures \(a\.JPG, b\.JPG, c\.JPG and 1 more\) and no masks; wanted"),
        ("images/a.JPG masks/a.png", "images", r"holds one half of the pairs \(a\.JPG\): name the folder above it, .*"),
        (
            "p/24/images/a.jpg p/24/images/b.JPG p/24/masks/a.png .cache/a.jpg",
            "",
            r"no pictures itself; there are some in p.24.images \(2\), p.24.masks \(1\): name",
        ),
        ("images/.hidden masks/a.png", "", r"images is empty; wanted"),
        ("a_mask.png b_mask.png", "", r"holds masks alone \(a_mask\.png, b_mask\.png\)"),
    ],
)
def test_a_folder_without_pairs_says_what_is_there_and_what_was_wanted(tmp_path, there, below, said):
    for name in there.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(NoPictures, match=said):
        opened(tmp_path / below)


@pytest.mark.parametrize(("there", "lacking"), [("train", "val"), ("val", "train"), ("test", "train")])
def test_half_a_split_is_told_which_half_is_missing(tmp_path, there, lacking):
    two_folders(tmp_path / there)
    with pytest.raises(FileNotFoundError, match=f"has the folder {there} and no folder {lacking}: add it, or leave"):
        opened(tmp_path)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*mistyped"):
        opened(tmp_path / "mistyped")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match="there is no folder .*file"):
        Pairs(tmp_path / "file")


def test_no_pair_at_all_is_no_set(tmp_path):
    two_folders(tmp_path, "a")
    with pytest.raises(ValueError, match="ids names no pair"):
        Pairs(tmp_path / "images", tmp_path / "masks", ids=())

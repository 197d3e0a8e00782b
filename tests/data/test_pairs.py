"""Pairs of files: what fits together is read, and what does not is refused by the name of the file."""

import hashlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import ConcatDataset, random_split
from torchvision import transforms, tv_tensors
from torchvision.transforms import v2

from chapters_code.data.folders import ids_in_folders, ids_in_list
from chapters_code.data.loading import Preloaded, loader
from chapters_code.data.pairs import FilePairs, Pair, Segmentation, Subset
from chapters_code.data.pictures import decode_picture, read_head, read_picture, turn_upright
from grids import every


class Signs(FilePairs):
    """A set for these tests: in its mask files 7 means a sign, 0 the road and 255 nothing that counts."""

    classes = ("road", "sign")
    palette = ((0, 0, 0), (255, 255, 255))
    meaning = {0: 0, 7: 1, 255: 255}


class Numbers(Segmentation):
    """A set that is in no file: pair i is 20 + i high, 40 - i wide, and full of i."""

    classes = ("zero", "one")
    palette = ((0, 0, 0), (9, 9, 9))

    def read(self, index: int) -> Pair:
        size = (20 + index, 40 - index)
        return Pair(torch.full((3, *size), index, dtype=torch.uint8), torch.full(size, index))


def scene(height: int = 24, width: int = 40) -> tuple[Image.Image, Image.Image]:
    """A bright sign on a dark road, away from every line of symmetry, and its mask, with a rim of 255 below."""
    picture, mask = np.full((height, width, 3), 30, np.uint8), np.zeros((height, width), np.uint8)
    picture[:8, :16], mask[:8, :16] = 230, 7
    mask[-1] = 255
    return Image.fromarray(picture), Image.fromarray(mask)


def written(root: Path, name: str = "a", image: Image.Image | None = None, mask: Image.Image | None = None, **options):
    """Write a pair of files, the scene if nothing else is given, and return the folders."""
    folders = root / "images", root / "masks"
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    (image or scene()[0]).save(folders[0] / f"{name}.jpg", "JPEG", quality=95, **options)
    (mask or scene()[1]).save(folders[1] / f"{name}.png")
    return folders


def signs(root: Path, *ids: str) -> Signs:
    return Signs(ids or ("a",), root / "images", root / "masks", "made here")


def exif(orientation: int) -> Image.Exif:
    note = Image.Exif()
    note[0x0112] = orientation
    return note


# ---- what a pair is -----------------------------------------------------------------------------


def test_a_pair_is_read_as_pillow_sees_it_with_classes_for_the_numbers(tmp_path):
    written(tmp_path)
    image, mask = signs(tmp_path)[0]

    assert (image.dtype, mask.dtype) == (torch.uint8, torch.int64)
    assert image.shape == (3, 24, 40)
    with Image.open(tmp_path / "images" / "a.jpg") as stored:
        assert image.permute(1, 2, 0).tolist() == np.array(stored).tolist()
    expected = torch.zeros(24, 40, dtype=torch.int64)
    expected[:8, :16], expected[-1] = 1, 255
    assert torch.equal(mask, expected)


def test_a_set_is_counted_from_both_ends_and_ends_there():
    dataset = Numbers(("p", "q", "r"), "thin air")
    assert len(dataset) == 3
    assert [pair.mask[0, 0].item() for pair in dataset] == [0, 1, 2]
    assert dataset[-1].mask.shape == (22, 38)
    assert [dataset.size_of(index) for index in range(3)] == [(20, 40), (21, 39), (22, 38)]
    for index in (np.int64(1), torch.tensor(1), np.uint8(1)):
        assert dataset[index].mask[0, 0] == 1
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"from 0 to 2, got {index}"):
            dataset[index]


@pytest.mark.parametrize("index", [slice(0, 2), [0, 1], (0, 1), 1.5, "p", None, torch.tensor([0, 1])])
def test_several_pairs_at_once_are_a_subset(index):
    with pytest.raises(ValueError, match=r"one pair by an integer, .*several are dataset\.subset"):
        Numbers("pqr", "thin air")[index]


@pytest.mark.parametrize("indices", [1, [0.0], "pq", [True, False, True], torch.tensor([True, False, True]), [None]])
def test_a_subset_is_named_by_integers(indices):
    """A mask of True and False would silently be the pairs 1 and 0."""
    dataset = Numbers("pqr", "thin air")
    for legal in ([0, 2], torch.tensor([0, 2]), np.array([0, 2]), range(0, 3, 2), (torch.tensor(0), np.int64(-1))):
        assert dataset.subset(legal).ids == ("p", "r")

    with pytest.raises(ValueError, match=r"a list of integers, subset\(\[0, 2\]\), got"):
        dataset.subset(indices)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_picture_in_other_colours_becomes_red_green_and_blue(tmp_path, mode):
    written(tmp_path, image=scene()[0].convert(mode))
    image = signs(tmp_path)[0].image

    assert image.shape == (3, 24, 40)
    assert image[:, 3, 4].min() > 200 and image[:, 20, 30].max() < 60


def test_a_palette_does_not_change_what_a_mask_says_and_an_empty_one_is_a_mask(tmp_path):
    mask = scene()[1]
    mask.putpalette([200, 100, 50] * 256)
    written(tmp_path, mask=mask)
    assert signs(tmp_path)[0].mask.unique().tolist() == [0, 1, 255]
    written(tmp_path, mask=Image.new("L", (40, 24)))
    assert signs(tmp_path)[0].mask.unique().tolist() == [0]


# ---- files that are not there -------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "ending"), [("images", "jpg"), ("masks", "png")])
def test_a_pair_without_one_of_its_files_is_named_when_the_set_is_made(tmp_path, kind, ending):
    for name in "abcd":
        written(tmp_path, name)
    for name in "bd":
        (tmp_path / kind / f"{name}.{ending}").unlink()

    with pytest.raises(FileNotFoundError, match=rf"{kind}.b\.{ending} is missing \(2 of 4 files are"):
        signs(tmp_path, *"abcd")


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_missing_folder_is_named(tmp_path, kind):
    written(tmp_path)
    (tmp_path / kind).rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"no folder .*{kind}"):
        signs(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no folder .*{kind}"):
        ids_in_folders(tmp_path / "images", tmp_path / "masks")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_gives_its_lines_in_order(tmp_path, encoding):
    """The mark that Windows puts before it is no part of the first name."""
    (tmp_path / "train.txt").write_bytes("2008_000002\r\n\n  2007_000001 \nStraße".encode(encoding))
    assert ids_in_list(tmp_path / "train.txt") == ("2008_000002", "2007_000001", "Straße")


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (None, FileNotFoundError, "is missing"),
        (b"", ValueError, "is empty"),
        (b"\n \n", ValueError, "is empty"),
        ("Straße".encode("latin-1"), ValueError, "is no text in UTF-8 .*save it anew"),
        (b"b\na\nc\na\n", ValueError, "names a 2 times"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(tmp_path, content, error, said):
    if content is not None:
        (tmp_path / "train.txt").write_bytes(content)
    with pytest.raises(error, match=rf"train\.txt {said}"):
        ids_in_list(tmp_path / "train.txt")


def test_folders_are_listed_in_the_order_of_the_names_and_half_pairs_too(tmp_path):
    for name in ("b", "a-2", "a"):
        images, masks = written(tmp_path, name)
    (images / "c.jpg").touch()
    (masks / "d.png").touch()
    for rubbish in ("Thumbs.db", "._a.jpg", "list.txt"):
        (images / rubbish).touch()

    assert ids_in_folders(images, masks) == ("a", "a-2", "b", "c", "d")


@pytest.mark.parametrize(("kind", "ending"), [("images", "JPG"), ("images", "jpeg"), ("masks", "bmp")])
def test_a_file_that_is_there_under_another_ending_is_pointed_at(tmp_path, kind, ending):
    """Whoever has pictures of their own would look in vain for something to unpack."""
    written(tmp_path)
    (file,) = (tmp_path / kind).iterdir()
    file.rename(file.with_suffix(f".{ending}"))
    (tmp_path / kind / "a.txt").touch()
    with pytest.raises(FileNotFoundError, match=rf"is missing .*: there is a\.{ending}, and .*data\.Pairs") as fault:
        signs(tmp_path)
    assert "unpack" not in str(fault.value)


def test_files_may_have_names_of_their_own(tmp_path):
    written(tmp_path)
    (tmp_path / "images" / "a.jpg").rename(tmp_path / "photo.JPEG")
    (tmp_path / "masks" / "a.png").rename(tmp_path / "drawn.PNG")
    dataset = Signs(["a"], tmp_path, tmp_path, "made here", names=[("photo.JPEG", "drawn.PNG")])
    assert dataset.files(0) == (tmp_path / "photo.JPEG", tmp_path / "drawn.PNG")
    assert dataset[0].mask.unique().tolist() == [0, 1, 255]
    assert dataset.size_of(0) == (24, 40)
    with pytest.raises(FileNotFoundError, match=r"other\.PNG is missing \(1 of 1"):
        Signs(["a"], tmp_path, tmp_path, "made here", names=[("photo.JPEG", "other.PNG")])


def test_empty_folders_are_named(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    with pytest.raises(ValueError, match=r"images has no picture .*masks no mask"):
        ids_in_folders(tmp_path / "images", tmp_path / "masks")


# ---- files that do not fit ----------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [("images", "b.jpg"), ("masks", "b.png")])
def test_a_file_that_breaks_off_is_named_when_its_pair_is_asked_for(tmp_path, kind, name):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8))
    for one in "ab":
        written(tmp_path, one, noise)
    file = tmp_path / kind / name
    file.write_bytes(file.read_bytes()[:-30])
    dataset = signs(tmp_path, "a", "b")

    assert dataset[0].mask.shape == (24, 40)
    with pytest.raises(ValueError, match=rf"{kind}.{name}: .*breaks off"):
        dataset[1]


@pytest.mark.parametrize("size", [(40, 23), (39, 24), (24, 40), (20, 12)])
def test_a_mask_of_another_size_is_named_with_both_sizes(tmp_path, size):
    """(24, 40) is the picture's own size with its sides exchanged: without an EXIF note, it is another size."""
    written(tmp_path, mask=Image.new("L", size))
    with pytest.raises(ValueError, match=rf"a\.jpg has 24 x 40 pixels, .*a\.png has {size[1]} x {size[0]} "):
        signs(tmp_path)[0]


def test_a_number_that_means_no_class_is_named_and_counted(tmp_path):
    mask = scene()[1]
    for place, number in (((20, 12), 1), ((21, 12), 6), ((22, 12), 6), ((23, 12), 8), ((24, 12), 254)):
        mask.putpixel(place, number)
    written(tmp_path, mask=mask)
    with pytest.raises(ValueError, match=r"a\.png: 5 of 960 pixels .*class, 1, 6, 8, 254; known are 0, 7, 255\."):
        signs(tmp_path)[0]
    written(tmp_path, mask=Image.fromarray((np.arange(960) % 256).astype(np.uint8).reshape(24, 40)))
    with pytest.raises(ValueError, match=r"class, 1 to 6, 8 to 254; known"):
        signs(tmp_path)[0]


# ---- photographs that lie on their side ---------------------------------------------------------


def lying(picture: Image.Image, orientation: int) -> Image.Image:
    """Store a picture as a camera does that notes `orientation`: the turn that the note asks for, undone."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose, by its numbers
    return picture.transpose(Image.Transpose(undo[orientation])) if orientation in undo else picture


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_turning_upright_is_what_pillow_does(orientation):
    """Pillow carries out the note, and our own `lying` is undone by it."""
    stored = np.random.default_rng(1).integers(0, 256, (5, 7), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(stored).save(file, "PNG", exif=exif(orientation))
    with Image.open(file) as image:
        upright = np.array(ImageOps.exif_transpose(image))

    assert turn_upright(torch.from_numpy(stored), orientation if orientation in range(1, 9) else 1).tolist() == (
        upright.tolist()
    )
    assert np.array(lying(Image.fromarray(upright), orientation)).tolist() == stored.tolist()


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_the_head_tells_the_size_of_the_picture_as_it_is_read(tmp_path, orientation):
    written(tmp_path, exif=exif(orientation))
    head = read_head(tmp_path / "images" / "a.jpg")

    assert head.size == read_picture(tmp_path / "images" / "a.jpg").shape[1:]
    assert head.orientation == (orientation if orientation in range(1, 9) else 1)


def test_a_file_without_a_head_is_named(tmp_path):
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"page\.jpg: not a picture"):
        read_head(tmp_path / "page.jpg")
    with pytest.raises(FileNotFoundError, match=r"none\.jpg"):
        read_head(tmp_path / "none.jpg")


def test_a_head_that_breaks_off_is_named(tmp_path):
    """Cut anywhere: the size, or a ValueError with the name, and nothing else."""
    written(tmp_path, exif=exif(6))
    whole, refused = (tmp_path / "images" / "a.jpg").read_bytes(), 0
    for length in range(0, len(whole), 3):
        (tmp_path / "cut.jpg").write_bytes(whole[:length])
        try:
            assert read_head(tmp_path / "cut.jpg") == ((40, 24), 6)
        except ValueError as error:
            refused += "cut.jpg: " in str(error)
    assert 50 < refused < len(whole) / 3


def test_a_head_that_claims_too_much_is_named(tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"a\.jpg: .*far too large"):
        read_head(tmp_path / "images" / "a.jpg")


@pytest.mark.parametrize("drawn", ["upright", "lying"])
@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_a_mask_lies_on_its_picture_whichever_way_it_was_drawn(tmp_path, orientation, drawn):
    picture, mask = scene()
    written(
        tmp_path,
        image=lying(picture, orientation),
        mask=lying(mask, orientation) if drawn == "lying" else mask,
        exif=exif(orientation),
    )
    dataset = signs(tmp_path)
    image, mask = dataset[0]

    assert dataset.size_of(0) == mask.shape == image.shape[1:] == (24, 40)
    assert image[:, :7, :15].min() > 200 and (mask[:8, :16] == 1).all()
    assert image[:, mask != 1].float().mean() < 50
    assert (mask == 255).nonzero()[:, 0].unique().tolist() == [23]


@pytest.mark.parametrize(
    ("orientation", "size"), [(2, (24, 40)), (3, (24, 40)), (4, (24, 40)), *((turn, (32, 32)) for turn in range(2, 9))]
)
def test_where_the_size_does_not_tell_the_reader_is_asked(tmp_path, orientation, size):
    picture, mask = scene(*size)
    written(tmp_path, image=lying(picture, orientation), mask=mask, exif=exif(orientation))
    with pytest.raises(ValueError, match=rf"a\.jpg .*EXIF orientation {orientation}\).*a\.png .*without that note"):
        signs(tmp_path)[0]
    written(tmp_path, image=picture, mask=mask, exif=exif(1))  # an upright one asks nobody
    assert signs(tmp_path)[0].mask[:8, :16].unique().tolist() == [1]


def test_a_resolution_over_zero_beside_the_note_does_no_harm():
    """A camera's own slip, 72/0 dots per inch; Pillow 11.0 divided by it where it turned the picture."""
    turn, resolution = b"\x12\1\3\0\1\0\0\0\6\0\0\0", b"\x1a\1\5\0\1\0\0\0\x26\0\0\0"
    note = b"Exif\0\0II*\0\x08\0\0\0\2\0" + turn + resolution + b"\0\0\0\0H\0\0\0\0\0\0\0"
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "JPEG", exif=note)
    assert decode_picture(file.getvalue()).shape == (3, 8, 6)


# ---- sizes, parts, digest -----------------------------------------------------------------------


def test_the_size_is_read_from_the_head_alone(tmp_path):
    """Nothing but the first bytes of the file is there: it cannot have been decoded."""
    written(tmp_path)
    file = tmp_path / "images" / "a.jpg"
    file.write_bytes(file.read_bytes()[:700])
    assert signs(tmp_path).size_of(0) == (24, 40)


def test_small_pictures_are_dropped_and_named():
    """Both sides count: the first picture is not high enough for (21, 38), the last ones not wide enough."""
    dataset = Numbers("pqrst", "thin air", transform=v2.Identity())
    kept = dataset.drop_smaller((21, 38))

    assert kept.ids == ("q", "r")
    assert kept.dropped == ("p", "s", "t")
    assert dataset.dropped == () and len(dataset) == 5
    assert [pair.mask[0, 0].item() for pair in kept] == [1, 2]
    assert kept.size_of(1) == (22, 38)
    assert (kept.transform, kept.origin, kept.classes, kept.palette, kept.ignore_index) == (
        (dataset.transform, "thin air", dataset.classes, dataset.palette, 255)
    )
    again = dataset.drop_smaller((21, 30)).drop_smaller((20, 38))  # what was dropped before stays named
    assert (again.ids, again.dropped) == (kept.ids, kept.dropped)
    assert Numbers("pqr", "thin air").drop_smaller((20, 38)).dropped == ()


def test_a_crop_that_fits_nowhere_is_refused_with_the_largest_size():
    with pytest.raises(ValueError, match=r"none of the 3 pictures has 23 x 30 pixels .*largest has 22 x 38"):
        Numbers("pqr", "thin air").drop_smaller((23, 30))


@pytest.mark.parametrize("size", [320, (320,), (0, 5), (3.5, 4), "ab", (1, 2, 3)])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(ValueError, match=r"size must be \(height, width\), two integers"):
        Numbers("pqr", "thin air").drop_smaller(size)


def test_a_subset_has_its_pairs_in_the_order_wanted():
    part = Numbers("pqrst", "thin air").subset([3, -5, 1])

    assert isinstance(part, Subset) and isinstance(part, Segmentation)
    assert part.ids == ("s", "p", "q")
    assert [pair.mask[0, 0].item() for pair in part] == [3, 0, 1]
    assert [part.size_of(index) for index in range(3)] == [(23, 37), (20, 40), (21, 39)]
    assert part.read(2).mask[0, 0] == 1  # read, too, counts in the part
    assert part.subset([1]).ids == ("p",) and part.subset([1])[0].mask[0, 0] == 0
    with pytest.raises(IndexError):
        part.subset([3])


def test_the_digest_is_sha_256_of_the_ids_in_order():
    """Joined by line ends, as in a list file without the last one."""
    digest = Numbers("pq", "thin air").digest
    assert digest == hashlib.sha256(b"p\nq").hexdigest()
    assert digest == Numbers("pq", "elsewhere").digest
    others = [Numbers(ids, "thin air").digest for ids in ("qp", "p", ("pq",), "pqr")]
    assert len({digest, *others}) == 5


# ---- transforms and workers ---------------------------------------------------------------------


def test_a_transform_sees_what_is_image_and_what_is_mask(tmp_path):
    """Turned together; the light is changed in the image alone.  What comes out are plain tensors again."""
    written(tmp_path)
    dataset = signs(tmp_path)
    image, mask = dataset[0]
    dataset.transform = v2.Compose([v2.RandomHorizontalFlip(1), v2.RandomInvert(1)])
    turned = dataset[0]

    assert torch.equal(turned.image, 255 - image.flip(-1))
    assert torch.equal(turned.mask, mask.flip(-1))
    assert type(turned.image) is type(turned.mask) is Tensor
    assert torch.equal(dataset.read(0).image, image)


def kinds(image, mask):
    """Fail unless image and mask are marked as such."""
    assert type(image) is tv_tensors.Image and type(mask) is tv_tensors.Mask
    return image, mask


def test_a_function_of_ones_own_is_a_transform(tmp_path):
    written(tmp_path)
    dataset = Signs(["a"], tmp_path / "images", tmp_path / "masks", "made here", kinds)
    assert dataset[0].image.shape == (3, 24, 40)


def for_pictures_alone(image):
    return image


@every(
    transform=[
        transforms.ToTensor(),
        transforms.Compose([transforms.Resize(8)]),
        transforms.RandomCrop(8),
        for_pictures_alone,
        v2.Compose([transforms.ToTensor()]),
        lambda image, mask: image,
        lambda image, mask: None,
        lambda image, mask: (image, mask, mask),
        lambda image, mask: (image, mask.tolist()),
    ]
)
@every(entrance=["set", "loader"])
def test_a_transform_for_pictures_alone_is_refused_with_what_is_wanted(transform, entrance):
    dataset = Numbers("pqr", "thin air", transform if entrance == "set" else None)
    with pytest.raises(
        ValueError, match=r"(?s)a transform gets image and mask.*returns both.*torchvision\.transforms\.v2"
    ):
        dataset[0] if entrance == "set" else next(iter(loader(dataset, 1, transform)))


def test_what_fails_within_a_transform_keeps_its_own_words():
    def broken(image, mask):
        return image + "a", mask

    with pytest.raises(ValueError, match="unsupported operand") as fault:
        Numbers("pqr", "thin air", broken)[0]
    assert isinstance(fault.value.__cause__, TypeError)


@pytest.mark.parametrize(
    "join", [lambda whole: random_split(whole, [2, 1])[0], lambda whole: ConcatDataset([whole] * 2)]
)
def test_parts_of_other_kinds_are_refused_with_the_books_own(join):
    with pytest.raises(ValueError, match=r"got torch\.utils\.data\.dataset\.\w+: .*dataset\.subset\(indices\)"):
        Preloaded(join(Numbers("pqr", "thin air")))


def test_a_set_can_be_pickled(tmp_path):
    written(tmp_path)
    dataset = signs(tmp_path).drop_smaller((24, 40))
    again = pickle.loads(pickle.dumps(dataset))
    assert (again.ids, again.digest, again.origin) == (dataset.ids, dataset.digest, "made here")
    assert torch.equal(again[0].mask, dataset[0].mask)

"""Pictures and masks through files: what was written comes back, and what is damaged is named."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from chapters_code.data.pictures import VOID, colour_mask, decode_picture, palette, read_mask, read_picture, write_mask

# The 21 colours that the VOC development kit prints, and void.
PUBLISHED = """0 0 0, 128 0 0, 0 128 0, 128 128 0, 0 0 128, 128 0 128, 0 128 128, 128 128 128,
64 0 0, 192 0 0, 64 128 0, 192 128 0, 64 0 128, 192 0 128, 64 128 128, 192 128 128,
0 64 0, 128 64 0, 0 192 0, 128 192 0, 0 64 128"""


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stored = io.BytesIO()
    image.save(stored, kind, **options)
    return stored.getvalue()


def photo(height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def turned(orientation: int) -> Image.Exif:
    """Give the note "turn me" as a camera writes it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


# ---- the palette --------------------------------------------------------------------------------


def test_the_palette_is_the_published_one():
    colours = [[int(part) for part in colour.split()] for colour in PUBLISHED.split(",")]

    assert palette()[:21].tolist() == colours
    assert palette()[VOID].tolist() == [224, 224, 192]


def test_the_palette_gives_each_class_a_colour_of_its_own():
    assert palette().shape == (256, 3)
    assert palette().dtype == torch.uint8
    assert len(palette().unique(dim=0)) == 256


# ---- masks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (16, 16), (31, 8)])
def test_a_mask_comes_back_as_it_was(tmp_path, size):
    """All 256 numbers where there is room, void among them."""
    mask = torch.arange(size[0] * size[1]).reshape(size) % 256
    mask[0, 0] = VOID
    write_mask(tmp_path / "mask.png", mask)

    assert read_mask(tmp_path / "mask.png").dtype == torch.int64
    assert torch.equal(read_mask(tmp_path / "mask.png"), mask)
    assert torch.equal(read_mask(str(tmp_path / "mask.png")), mask)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.int64])
def test_a_mask_of_any_whole_dtype_can_be_written(tmp_path, dtype):
    mask = torch.tensor([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    write_mask(tmp_path / "mask.png", mask)

    assert torch.equal(read_mask(tmp_path / "mask.png"), mask.long())


def test_a_mask_that_is_a_view_is_written_as_seen(tmp_path):
    mask = torch.arange(12).reshape(3, 4).T[::2]
    write_mask(tmp_path / "mask.png", mask)

    assert torch.equal(read_mask(tmp_path / "mask.png"), mask)


def test_other_programs_see_the_class_numbers_and_the_colours(tmp_path):
    """Pillow alone, without our reader: a palette file, with void in cream-white."""
    write_mask(tmp_path / "mask.png", torch.tensor([[0, 1, 15], [255, 20, 0]]))

    with Image.open(tmp_path / "mask.png") as image:
        assert (image.mode, image.size) == ("P", (3, 2))
        assert np.array(image).tolist() == [[0, 1, 15], [255, 20, 0]]
        assert np.array(image.convert("RGB"))[1].tolist() == [[224, 224, 192], [0, 64, 128], [0, 0, 0]]


def test_a_voc_file_keeps_its_void_border(tmp_path):
    """Drawn as VOC's own: an object of class 15 inside a border of 255, other bytes in the palette."""
    numbers = np.zeros((6, 9), dtype=np.uint8)
    numbers[1:5, 2:8] = 255
    numbers[2:4, 3:7] = 15
    image = Image.fromarray(numbers)
    image.putpalette(bytes(range(256)) * 3)
    image.save(tmp_path / "voc.png")

    mask = read_mask(tmp_path / "voc.png")

    assert_close(mask, torch.from_numpy(numbers).long())
    assert {number: (mask == number).sum().item() for number in (0, 15, 255)} == {0: 30, 15: 8, 255: 16}


def test_a_grey_file_holds_class_numbers_too(tmp_path):
    Image.fromarray(np.array([[0, 3], [255, 1], [2, 2]], dtype=np.uint8)).save(tmp_path / "grey.png")

    assert read_mask(tmp_path / "grey.png").tolist() == [[0, 3], [255, 1], [2, 2]]


def png(depth: int, colour: int, row: bytes, width: int) -> bytes:
    """Write a PNG of one row by hand, since Pillow saves no grey of 2 or 4 bits; colour 0 is grey, 3 a palette."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    table = chunk(b"PLTE", bytes(range(12))) if colour == 3 else b""
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + table + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(("depth", "row"), [(1, b"\x50"), (2, b"\x11"), (4, b"\x01\x01")])
def test_grey_of_few_bits_is_refused_since_its_numbers_would_come_out_larger(tmp_path, depth, row):
    """Four pixels, 0 1 0 1: Pillow makes 255, 85 or 17 of the 1."""
    (tmp_path / "grey.png").write_bytes(png(depth, 0, row, 4))

    with pytest.raises(ValueError, match=rf"grey\.png: .*grey with {depth} bits.*save it with 8 bits"):
        read_mask(tmp_path / "grey.png")

    (tmp_path / "palette.png").write_bytes(png(depth, 3, row, 4))  # a palette is no quantity: nothing is stretched
    assert read_mask(tmp_path / "palette.png").tolist() == [[0, 1, 0, 1]]


def test_one_wrong_bit_anywhere_is_noticed(tmp_path):
    """Every bit of the file in turn: where the pixels are packed, one can move hundreds, all of them legal numbers."""
    numbers = np.random.default_rng(0).choice([0, 1, 15, 255], (6, 9)).astype(np.uint8)
    whole, path = encoded(Image.fromarray(numbers)), tmp_path / "mask.png"
    path.write_bytes(whole)
    assert read_mask(path).tolist() == numbers.tolist()

    for place, bit in np.ndindex(len(whole), 8):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        if len(whole) - place > 12 or 5 <= len(whole) - place <= 8:
            with pytest.raises(ValueError, match=r"mask\.png: .*(fetch it again|not a picture)"):
                read_mask(path)
        else:  # the length and the checksum of the end mark, which holds nothing
            assert read_mask(path).tolist() == numbers.tolist(), (place, bit)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_mask_that_was_converted_to_colours_is_refused_by_name(tmp_path, mode):
    Image.new(mode, (4, 3)).save(tmp_path / "spoilt.png")

    with pytest.raises(ValueError, match=rf"spoilt.png: a mask must store .* \(mode {mode}\).* original PNG"):
        read_mask(tmp_path / "spoilt.png")


def full_disk(image: Image.Image, file: Path, **options) -> None:
    """Stand in for Image.save: half of the file is written, then it fails."""
    file.write_bytes(b"half a picture")
    raise OSError("no space left")


def test_a_broken_off_writing_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_mask(tmp_path / "mask.png", torch.ones(2, 3, dtype=torch.int64))
    monkeypatch.setattr(Image.Image, "save", full_disk)

    with pytest.raises(OSError, match="no space left"):
        write_mask(tmp_path / "mask.png", torch.zeros(2, 3, dtype=torch.int64))

    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["mask.png"]
    assert torch.equal(read_mask(tmp_path / "mask.png"), torch.ones(2, 3, dtype=torch.int64))


def test_colours_are_those_of_the_palette():
    mask = torch.tensor([[0, 1, 255], [15, 0, 2]])
    shown = colour_mask(mask)

    assert shown.shape == (3, 2, 3)
    assert shown.dtype == torch.uint8
    for i, j in np.ndindex(2, 3):
        assert torch.equal(shown[:, i, j], palette()[mask[i, j]])


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32])
def test_colours_do_not_depend_on_the_dtype(dtype):
    """A uint8 or bool index means something else to PyTorch: a choice of rows, not their numbers."""
    mask = torch.tensor([[0, 1, 1], [1, 0, 1]])

    assert torch.equal(colour_mask(mask.to(dtype)), colour_mask(mask))


NO_MASK = [
    (torch.zeros(1, 4, 5, dtype=torch.int64), r"shape \(H, W\), got \(1, 4, 5\)"),
    (torch.zeros(5, dtype=torch.int64), r"shape \(H, W\), got \(5,\)"),
    (torch.zeros(4, 5), r"class numbers, got torch.float32; for probabilities take argmax"),
    (torch.zeros(4, 5, dtype=torch.cfloat), r"class numbers, got torch.complex64"),
    (torch.tensor([[0, 256, 3]]), r"0\.\.255, got 0\.\.256"),
    (torch.tensor([[0, -1, 3]]), r"0\.\.255, got -1\.\.3"),
    (np.zeros((4, 5), dtype=int), r"a tensor, got ndarray; torch.as_tensor\(mask\) makes one"),
    ([[0, 1]], r"a tensor, got list"),
]


@pytest.mark.parametrize(("mask", "message"), NO_MASK)
def test_what_is_no_mask_is_neither_shown_nor_written(tmp_path, mask, message):
    with pytest.raises(ValueError, match=message):
        colour_mask(mask)
    with pytest.raises(ValueError, match=message):
        write_mask(tmp_path / "mask.png", mask)
    assert list(tmp_path.iterdir()) == []


# ---- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 4), (5, 7), (8, 3)])
def test_a_picture_comes_back_channels_first(tmp_path, size):
    pixels = photo(*size)
    Image.fromarray(pixels).save(tmp_path / "photo.png")

    picture = read_picture(tmp_path / "photo.png")

    assert picture.shape == (3, *size)
    assert picture.dtype == torch.uint8
    assert picture.permute(1, 2, 0).is_contiguous()  # as in the file, so that nothing is copied
    for i, j in np.ndindex(size):
        assert picture[:, i, j].tolist() == pixels[i, j].tolist()
    assert torch.equal(decode_picture((tmp_path / "photo.png").read_bytes()), picture)


@pytest.mark.parametrize(("orientation", "quarters"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_the_turn_that_a_camera_wrote_down_is_carried_out(tmp_path, orientation, quarters):
    """`quarters` counts turns to the left, as the EXIF standard numbers them: 6 asks for one to the right."""
    pixels = photo()
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=turned(orientation))

    stored = torch.from_numpy(pixels).permute(2, 0, 1)

    assert torch.equal(read_picture(tmp_path / "turned.png"), stored.rot90(quarters, (1, 2)))


def test_a_turned_photograph_stands_upright(tmp_path):
    """A JPEG, sky above road, stored lying on its side by a camera that was held upright."""
    upright = np.zeros((40, 24, 3), dtype=np.uint8)
    upright[:20] = (90, 150, 240)
    lying = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "road.jpg", exif=turned(6), quality=95)

    picture = read_picture(tmp_path / "road.jpg")

    assert picture.shape == (3, 40, 24)
    assert picture[2, :16].min() > 200
    assert picture[2, 24:].max() < 50


def test_grey_becomes_three_equal_channels():
    grey = photo()[..., 0]
    for picture in (
        decode_picture(encoded(Image.fromarray(grey))),
        decode_picture(encoded(Image.fromarray(grey), "JPEG")),
    ):
        assert picture.shape == (3, 5, 7)
        assert torch.equal(picture[0], picture[1])
        assert torch.equal(picture[0], picture[2])
    assert torch.equal(decode_picture(encoded(Image.fromarray(grey)))[0], torch.from_numpy(grey))


def test_transparency_is_dropped_and_the_colours_stay():
    assert decode_picture(encoded(Image.new("RGBA", (4, 3), (7, 8, 9, 0))))[:, 2, 3].tolist() == [7, 8, 9]
    assert decode_picture(encoded(Image.new("LA", (4, 3), (7, 0))))[:, 2, 3].tolist() == [7, 7, 7]


def test_a_palette_picture_shows_its_colours():
    """With transparency in its palette, too, of which Pillow warns: a warning is an error in these tests."""
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    for options in ({}, {"transparency": bytes([0, 128, 255])}, {"transparency": 1}):
        picture = decode_picture(encoded(image, **options))

        assert picture[:, 0].T.tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]


def test_a_black_and_white_picture_uses_the_whole_range():
    assert decode_picture(encoded(Image.new("1", (4, 3), 1))).unique().tolist() == [255]


def test_sixteen_bits_of_grey_become_eight(tmp_path):
    """The upper ones, as Pillow takes them of 16-bit colours; turned upright as any other picture."""
    grey = np.arange(6, dtype=np.uint16).reshape(2, 3)
    lying = Image.Exif()
    lying[0x0112] = 6
    Image.fromarray(grey * 257).save(tmp_path / "deep.png", exif=lying)

    found = read_picture(tmp_path / "deep.png")
    assert found.shape == (3, 3, 2)
    assert all(torch.equal(one, torch.from_numpy(grey.T[:, ::-1].astype(np.uint8))) for one in found)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_numbers_without_a_white_are_refused(tmp_path, dtype):
    """Pillow would cut them off at 255: almost all white, and nobody is told."""
    Image.fromarray((np.arange(12).reshape(3, 4) * 5000).astype(dtype)).save(tmp_path / "deep.tiff")

    with pytest.raises(ValueError, match=r"deep.tiff: .* more than 8 bits .*mode [IF].* save it with 8 bits"):
        read_picture(tmp_path / "deep.tiff")


# ---- damaged files ------------------------------------------------------------------------------

DAMAGED = {
    "page.jpg": (b"<!DOCTYPE html><html><body>404</body></html>", "not a picture .* HTML page"),
    "empty.png": (b"", "not a picture .* empty file"),
    "cut.jpg": (encoded(Image.fromarray(photo(60, 80)), "JPEG")[:900], "damaged or breaks off .* fetch it again"),
    "cut.png": (encoded(Image.fromarray(photo(60, 80)))[:900], "damaged or breaks off .* fetch it again"),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("read", [read_picture, read_mask])
def test_a_damaged_file_is_named(tmp_path, name, read):
    content, message = DAMAGED[name]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        read(tmp_path / name)


@pytest.mark.parametrize("read", [read_picture, read_mask])
def test_a_missing_file_is_missing(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        read(tmp_path / "nowhere.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_no_damage_ends_in_a_foreign_error(kind):
    """Cut anywhere, or with a few bytes overwritten: a picture or ValueError, and nothing else."""
    generator = np.random.default_rng(3)
    whole = encoded(Image.fromarray(photo(6, 9)), kind)
    cut = [whole[:length] for length in range(0, len(whole), max(1, len(whole) // 60))]
    spoilt = [bytearray(whole) for _ in range(150)]
    for one in spoilt:
        one[:] = [generator.integers(256) if generator.random() < 0.02 else byte for byte in one]
    refused = 0
    for content in (*cut, *map(bytes, spoilt)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow may grumble; the question is what it raises
            try:
                assert decode_picture(content).shape[0] == 3
            except ValueError:
                refused += 1
    assert refused > 20


def test_a_picture_too_large_for_memory_is_refused(monkeypatch):
    """Pillow's own limit against files that claim billions of pixels; its error is no ValueError."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)

    with pytest.raises(ValueError, match="far too large"):
        decode_picture(encoded(Image.new("RGB", (9, 7))))

"""Pictures and masks, from file to tensor and back (Chapter 00).

A picture is three grids of brightness, uint8 (3, H, W), 0 to 255.  A mask is one grid of class numbers, int64 (H, W);
255 means "do not count" and is called void.  A mask file is a palette PNG: the file stores the class numbers
themselves, and a table says in which colour to *show* each.

    photo.jpg  --read_picture-->  uint8 (3, H, W)          mask.png  --read_mask-->  int64 (H, W)

Sources: the palette is that of the PASCAL VOC challenge (Everingham et al., 2010), built from the bits of the class
number.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor

from chapters_code.files import written_whole

__all__ = [
    "VOID",
    "Head",
    "bit_depth",
    "check_picture",
    "colour_mask",
    "decode_picture",
    "palette",
    "read_head",
    "read_mask",
    "read_picture",
    "turn_upright",
    "voc_colours",
    "write_mask",
    "write_picture",
]

VOID = 255

_PNG = b"\x89PNG\r\n\x1a\n"  # every PNG file begins so
_BLACK_AND_WHITE = (
    "If it is black and white only, Image.open(file).convert('L').save('mask.png') makes a mask of 0 and 255 of it"
)


class Head(NamedTuple):
    """What the first bytes of a picture file tell about it."""

    size: tuple[int, int]  # height and width in pixels, upright
    orientation: int  # how it is stored, 1 to 8 in EXIF's numbering; 1 = upright


def read_picture(path: str | Path) -> Tensor:
    """Read a picture file as uint8 (3, H, W), red, green, blue, upright.

    Grey pictures get three equal channels, of 16 bits the upper 8 are kept (65535 is white), transparency is dropped,
    and the turn that cameras write into the file (EXIF orientation) is carried out.  The numbers lie in memory as in
    the file, pixel by pixel (channels_last).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a picture or breaks off; the error names it.
    """
    try:
        return decode_picture(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def decode_picture(content: bytes) -> Tensor:
    """Turn the bytes of a picture file into uint8 (3, H, W); as `read_picture`, for bytes already in memory."""
    with _opened(content) as image:
        orientation = _orientation(image)  # now: what is made of the picture below has no notes
        if image.mode.startswith("I;16"):
            # White is 65535, in these formats as in 16-bit colours, of which Pillow keeps the upper 8 bits, too.
            image = Image.fromarray((np.array(image) >> 8).astype(np.uint8))
        if image.mode.startswith(("I", "F")):
            raise ValueError(
                f"the picture has more than 8 bits per colour (mode {image.mode}), and 0..255 cannot hold them:"
                " save it with 8 bits first"
            )
        image.info.pop("transparency", None)  # Pillow would warn before it drops that of a palette
        # To convert what is RGB already would only copy it, which takes a third as long as decoding it.
        pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
        picture = torch.from_numpy(pixels).permute(2, 0, 1)
    # Not by Pillow's exif_transpose, which writes the other notes anew: Pillow 11.0 fails at a resolution of 72/0.
    if orientation != 1:
        picture = turn_upright(picture, orientation).permute(1, 2, 0).contiguous().permute(2, 0, 1)
    return picture


def read_head(path: str | Path) -> Head:
    """Read a picture's size, as `read_picture` gives it, and its EXIF orientation; the pixels are not decoded.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a picture or breaks off at once; the error names it.
    """
    with open(path, "rb") as file:
        try:
            with _faults_in_words(), Image.open(file) as image:
                orientation = _orientation(image)
                width, height = image.size if orientation < 5 else image.size[::-1]
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return Head((height, width), orientation)


def turn_upright(x: Tensor, orientation: int) -> Tensor:
    """Turn (..., H, W), stored in one of EXIF's eight orientations, upright; from 5 on, H and W change places."""
    if orientation >= 5:
        x = x.mT
    # What is stored first was, by the standard, at the right, at the bottom, or both.
    sides = [side for side, stored in ((-1, (2, 3, 6, 7)), (-2, (3, 4, 7, 8))) if orientation in stored]
    return x.flip(sides).contiguous()


def read_mask(path: str | Path) -> Tensor:
    """Read a palette PNG as class numbers, int64 (H, W); void stays 255.

    The numbers are read as stored, not looked up by colour: a look-up silently turns every colour that it does not
    know, the void border first, into background.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a picture, is damaged, stores colours instead of numbers, grey with fewer or more
            than 8 bits, or is a JPEG, which keeps no numbers; the error names it.
    """
    try:
        content = Path(path).read_bytes()
        with _opened(content) as image:
            if image.format in ("JPEG", "MPO"):
                raise ValueError(
                    "the mask is a JPEG, which does not keep its numbers: edges come out in greys between them. Export"
                    " it again, as PNG; if it is black and white only,"
                    " Image.open(file).convert('L').point(lambda grey: 255 * (grey > 127)).save('mask.png') mends it"
                )
            depth = bit_depth(content)
            if image.mode in ("1", "L") and depth not in (None, 8):
                raise ValueError(
                    f"the mask is grey with {depth} bits to a pixel, and Pillow stretches such numbers to 0..255:"
                    f" save it with 8 bits, or as a palette PNG. {_BLACK_AND_WHITE}"
                )
            if image.mode not in ("P", "L"):
                what = {"1": "one bit to a pixel", "I": "more than 8 bits", "F": "fractions"}.get(
                    image.mode[0], "colours"
                )
                raise ValueError(
                    f"a mask must store class numbers (mode P or L), but this file stores {what} (mode {image.mode});"
                    f" it was probably converted on the way: take the original PNG. {_BLACK_AND_WHITE}"
                )
            return torch.from_numpy(np.array(image).astype(np.int64))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def bit_depth(content: bytes) -> int | None:
    """Return the bits of one number in a PNG file, 1 to 16; None for other kinds of file."""
    return content[24] if content.startswith(_PNG) and len(content) > 24 else None


def write_mask(path: str | Path, mask: Tensor) -> None:
    """Write class numbers, (H, W) in 0..255, as a palette PNG that any viewer shows in the VOC colours.

    Raises:
        ValueError: `mask` has another rank, holds fractions or numbers outside 0..255.
    """
    _check_mask(mask)
    image = Image.fromarray(mask.numpy(force=True).astype(np.uint8))
    image.putpalette(palette().numpy().tobytes())
    with written_whole(path) as unfinished:
        image.save(unfinished, format="PNG")


def write_picture(path: str | Path, image: Tensor) -> None:
    """Write a picture, uint8 (3, H, W), as a PNG, which loses nothing; all of it or nothing.

    Raises:
        ValueError: `image` is something else.
    """
    check_picture(image)
    with written_whole(path) as unfinished:
        Image.fromarray(image.permute(1, 2, 0).contiguous().numpy(force=True)).save(unfinished, format="PNG")


def check_picture(image: Tensor) -> None:
    """Say what is wrong with `image`, if it is no picture as `read_picture` gives it.

    Raises:
        ValueError: It is no tensor, has another shape or dtype, or no pixels.
    """
    shape = tuple(getattr(image, "shape", ()))
    if not isinstance(image, Tensor) or image.dtype != torch.uint8 or len(shape) != 3 or shape[0] != 3 or 0 in shape:
        came = f"{image.dtype} {shape}" if isinstance(image, Tensor) else type(image).__name__
        raise ValueError(
            f"a photograph is uint8 (3, H, W), 0 to 255, got {came}: read_picture gives such; where a network wants"
            " other numbers they are made of these, so give the bytes"
        )


def palette() -> Tensor:
    """Return the 256 colours of the VOC challenge, uint8 (256, 3): row k is the colour of class k.

    The bits of k are dealt out in turn to red, green and blue, the highest place first.  So near numbers get colours
    far apart, class 0 is black, and void (255) is the cream-white (224, 224, 192).
    """
    numbers = torch.arange(256)
    colours = torch.zeros(256, 3, dtype=torch.uint8)
    for place in range(8):
        for channel in range(3):
            bit = (numbers >> (3 * place + channel)) & 1
            colours[:, channel] |= (bit << (7 - place)).to(torch.uint8)
    return colours


def voc_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """Return the first `count` colours of `palette`, as integers."""
    return tuple(map(tuple, palette()[:count].tolist()))


def colour_mask(mask: Tensor) -> Tensor:
    """Show class numbers, (H, W) in 0..255, as a picture, uint8 (3, H, W), in the VOC colours.

    Raises:
        ValueError: `mask` has another rank, holds fractions or numbers outside 0..255.
    """
    _check_mask(mask)
    return palette().to(mask.device)[mask.long()].permute(2, 0, 1)


def _orientation(image: Image.Image) -> int:
    """Return how a picture is stored, 1 to 8 in EXIF's numbering; nonsense is taken for upright, as Pillow takes it."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _opened(content: bytes) -> Image.Image:
    """Open a picture and read all of it, so that a file that breaks off is noticed here and not later."""
    with _faults_in_words():
        if content.startswith(_PNG):
            # Reading the pixels passes over their checksum, and one wrong bit moves many.
            Image.open(io.BytesIO(content)).verify()
        image = Image.open(io.BytesIO(content))
        image.load()
    return image


@contextmanager
def _faults_in_words() -> Iterator[None]:
    """Make a ValueError that says what to do of whatever Pillow raises."""
    try:
        yield
    except UnidentifiedImageError:
        raise ValueError("not a picture that Pillow can read; is it an HTML page or an empty file?") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"the picture is damaged or far too large ({error}); fetch it again") from None
    except (OSError, SyntaxError, ValueError) as error:  # a wrong checksum is a SyntaxError to Pillow
        raise ValueError(f"the picture is damaged or breaks off ({error}); fetch it again") from None


def _check_mask(mask: Tensor) -> None:
    if not isinstance(mask, Tensor):
        raise ValueError(f"a mask is a tensor, got {type(mask).__name__}; torch.as_tensor(mask) makes one")
    if mask.dim() != 2:
        raise ValueError(f"a mask has shape (H, W), got {tuple(mask.shape)}")
    if mask.is_floating_point() or mask.is_complex():
        raise ValueError(f"a mask holds class numbers, got {mask.dtype}; for probabilities take argmax first")
    if mask.numel() and (mask.min() < 0 or mask.max() > VOID):
        raise ValueError(f"class numbers lie in 0..255, got {mask.min().item()}..{mask.max().item()}")

"""Answers laid over photographs, to be read in print and by colour-blind readers (Chapters 06, 07 and 09).

The photograph becomes grey and pale, so that the answer is the only thing with a colour.  Colour alone would not do:
each region has a border, and where there are several classes the name stands in it.

    photograph uint8 (3, H, W), labels (H, W)  --overlay-->  uint8 (3, H, W)
    photograph, answer, truth                  --verdict-->  hits, misses and false alarms in three colours
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image, ImageColor, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from chapters_code.colours import COLOURS
from chapters_code.data.pictures import check_picture
from chapters_code.metrics.cracks import dilate

__all__ = ["VERDICTS", "Answer", "class_colours", "flat", "overlay", "palette", "shares", "verdict"]

# For regions: strong ones first, and neighbours in this order differ in lightness, too.
_STRONG = tuple(COLOURS[name] for name in ("vermillion", "sky", "green", "yellow", "purple", "blue", "orange"))
# For more than seven classes, which no eye tells apart by colour alone: the same again, half as bright.
_TINTS = _STRONG + tuple("#" + "".join(f"{part // 2:02x}" for part in ImageColor.getrgb(one)) for one in _STRONG)
# In grey print: black, light, and between the two.
VERDICTS = {"hit": COLOURS["black"], "miss": COLOURS["orange"], "false alarm": COLOURS["blue"]}


@dataclass(frozen=True)
class Answer:
    """What a network says about a photograph."""

    image: Tensor  # the photograph, uint8 (3, H, W), upright
    labels: Tensor  # class numbers, int64 (H, W), rows of `classes`
    # float32 (H, W), 0 to 1: that a pixel is class 1; of several classes, that it is the likeliest.  None if not kept.
    probability: Tensor | None
    classes: tuple[str, ...]

    @cached_property
    def shares(self) -> dict[str, float]:
        """The classes that were found, each with its share of the pixels, 0 to 1, the largest first."""
        return shares(self.labels, self.classes)

    @cached_property
    def overlay(self) -> Tensor:
        """The answer laid over the photograph, uint8 (3, H, W)."""
        return overlay(self.image, self.labels, self.classes)


def shares(labels: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """Return the share of the pixels that each class has, 0 to 1, the largest first; what is nowhere is left out.

    Args:
        labels: Class numbers (H, W), rows of `classes`; 255 belongs to no class.
        classes: The name of each class.
    """
    counts = torch.bincount(labels.flatten().long(), minlength=256)[: len(classes)].tolist()
    found = {name: count / labels.numel() for name, count in zip(classes, counts, strict=True) if count}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def class_colours(labels: Tensor, classes: Sequence[str]) -> dict[str, str]:
    """Return the colour of each class that `overlay` shows: all that are there but class 0, the largest first."""
    return palette([name for name in shares(labels, classes) if name != classes[0]])


def palette(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name, in their order; after fourteen the colours come again."""
    return dict(zip(names, itertools.cycle(_TINTS), strict=False))


def flat(labels: Tensor, classes: Sequence[str], colours: Mapping[str, str]) -> Tensor:
    """Show class numbers (H, W) alone, uint8 (3, H, W): class 0 pale grey, the others coloured, 255 white."""
    picture = torch.full((3, *labels.shape), 225, dtype=torch.uint8)
    numbers = {number: colours[name] for number, name in enumerate(classes) if name in colours}
    for number, colour in (numbers | {255: "#ffffff"}).items():
        place = labels == number
        picture[:, place] = _ink(colour).byte().expand(3, int(place.sum()))
    return picture


def overlay(image: Tensor, labels: Tensor, classes: Sequence[str], colours: Mapping[str, str] | None = None) -> Tensor:
    """Lay an answer over its photograph; class 0, the background, stays without colour.

    Args:
        image: The photograph, uint8 (3, H, W).
        labels: Class numbers (H, W), rows of `classes`; 255 stays without colour, too.
        classes: The name of each class.  With more than two, names are written into the regions.
        colours: Name -> colour; by default as `class_colours` chooses.  For several photographs in the same colours.

    Returns:
        uint8 (3, H, W).  A region's inner border has its colour undiluted, and so has all of a thin thing.

    Raises:
        ValueError: `image` is no photograph, or `labels` has another size or a number without a class.
    """
    _need_pair(image, labels)
    unknown = labels[(labels < 0) | ((labels >= len(classes)) & (labels != 255))]
    if len(unknown):
        raise ValueError(
            f"labels holds {int(unknown[0])}, but there are {len(classes)} classes, 0 to {len(classes) - 1}"
        )
    picture = _pale(image)
    chosen = class_colours(labels, classes)
    names = chosen if colours is None else {name: colours[name] for name in chosen}
    thickness = max(1, min(labels.shape) // 300)  # of a border, in pixels: as wide in a small print as in a large one
    for name, colour in names.items():
        region = labels == classes.index(name)
        border = region & dilate(~region, thickness)
        ink = _ink(colour)
        picture[:, region] = 0.5 * picture[:, region] + 0.5 * ink
        picture[:, border] = ink.expand(3, int(border.sum()))
    result = picture.round().byte()
    return result if len(classes) <= 2 else _named(result, labels, classes, names)


def verdict(image: Tensor, answer: Tensor, truth: Tensor, tolerance: int = 0) -> Tensor:
    """Show where a yes-or-no answer is right, where it missed something, and where it saw something that is not there.

    Args:
        image: The photograph, uint8 (3, H, W).
        answer: Of each pixel (H, W), 1 or True where the network says yes.
        truth: The same of the mask; 255 is not judged.
        tolerance: Pixels: an answer this close to a true one is a hit, and what is this close to an answer is not
            missed, as in `metrics.crack_scores`.

    Returns:
        uint8 (3, H, W), in the colours of `VERDICTS`.

    Raises:
        ValueError: `image` is no photograph, or the sizes differ.
    """
    _need_pair(image, answer)
    _need_pair(image, truth)
    yes, true, judged = answer == 1, truth == 1, truth != 255
    near_true, near_yes = dilate(true, tolerance), dilate(yes, tolerance)
    picture = _pale(image)
    places = {"hit": yes & near_true, "miss": true & ~near_yes, "false alarm": yes & ~near_true}
    for name, place in places.items():
        place = place & judged
        picture[:, place] = _ink(VERDICTS[name]).expand(3, int(place.sum()))
    return picture.round().byte()


def _pale(image: Tensor) -> Tensor:
    """Return a photograph in grey with half its contrast, towards white; float32 (3, H, W), 0 to 255."""
    red, green, blue = image.float()
    grey = 0.299 * red + 0.587 * green + 0.114 * blue  # brightness as television has it (ITU-R BT.601)
    return (127.5 + grey / 2).expand(3, -1, -1).clone()


def _ink(colour: str) -> Tensor:
    return torch.tensor(ImageColor.getrgb(colour), dtype=torch.float32)[:, None]


def _named(picture: Tensor, labels: Tensor, classes: Sequence[str], names: dict[str, str]) -> Tensor:
    """Write the name of each class where its region is widest, or below another name.

    Left out are names that would cover more pixels than the class has.
    """
    height, width = labels.shape
    drawing = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    pen, size = ImageDraw.Draw(drawing), max(11, min(height, width) // 22)
    font = ImageFont.load_default(size)
    taken: list[tuple[int, int, int, int]] = []
    for name, colour in names.items():
        region = labels == classes.index(name)
        left, top, right, bottom = pen.textbbox((0, 0), name, font=font)
        room = size // 4
        wide, high = right - left + 2 * room, bottom - top + 2 * room
        if wide > width or high > height or wide * high > region.sum():
            continue
        row, column = _widest(region)
        x = min(max(column - wide // 2, 0), width - wide)
        y = min(max(row - high // 2, 0), height - high)
        for left_, top_, right_, bottom_ in sorted(taken, key=lambda box: box[1]):
            if x < right_ and left_ < x + wide and y < bottom_ and top_ < y + high:
                y = min(bottom_, height - high)
        taken.append((x, y, x + wide, y + high))
        pen.rectangle((x, y, x + wide - 1, y + high - 1), fill="white", outline=colour, width=max(1, size // 8))
        pen.text((x + room - left, y + room - top), name, fill="black", font=font)
    return torch.from_numpy(np.array(drawing)).permute(2, 0, 1)


def _widest(region: Tensor) -> tuple[int, int]:
    """Find the pixel of a region that is farthest from its border, on a grid of at most 128 cells a side."""
    height, width = region.shape
    cells = (min(height, 128), min(width, 128))
    inside = functional.adaptive_max_pool2d(region[None, None].float(), cells)
    while True:
        # Zeros around the picture, so that a region at the picture's edge has its middle away from it.
        less = 1 - functional.max_pool2d(functional.pad(1 - inside, (1, 1, 1, 1), value=1.0), 3, 1)
        if not less.any():
            break
        inside = less
    row = inside[0, 0].any(dim=1).nonzero().flatten().median()
    column = inside[0, 0, row].nonzero().flatten().median()
    return int((row.item() + 0.5) * height / cells[0]), int((column.item() + 0.5) * width / cells[1])


def _need_pair(image: Tensor, labels: Tensor) -> None:
    check_picture(image)
    size = tuple(image.shape[1:])
    if tuple(getattr(labels, "shape", ())) != size:
        raise ValueError(
            f"photograph and labels must have one size, got {size} and {tuple(getattr(labels, 'shape', ()))}"
        )

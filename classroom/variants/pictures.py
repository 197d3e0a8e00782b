"""Variants of Chapter 00."""

from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.data.pictures import VOID
from chapters_code.exercises.checking import Call, Exercise, compare, whole
from classroom.variants import Variant

__all__ = ["VARIANTS"]

_SIZES = ((1, 2), (2, 3), (5, 4), (7, 9))


def _check_camera_photo(answer):
    def trusted(x: Tensor) -> Tensor:
        numbers = np.rint(255 * np.moveaxis(x.double().numpy(), 0, -1))
        return torch.from_numpy(numbers.clip(0, 255).astype(np.uint8))

    def picture(size: tuple[int, int], low: int, high: int) -> Tensor:
        # Never half-way between two bytes, where one may round up or down.
        return (torch.randint(low, high, (3, *size)) + 0.8 * torch.rand(3, *size) - 0.4) / 255

    calls = [Call.of(picture(size, *span)) for size in _SIZES for span in ((1, 255), (-40, 300))]
    compare(answer, trusted, calls)


def camera_photo(x):
    """The way back, in the other order: first the range, then the bytes, then the axes. A byte cannot hold 256 or −1:
    it starts again at the other end, and white specks turn black. So clamp before the dtype is changed; and round, for
    changing it cuts fractions off.
    """
    return (255 * x).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def _check_class_greys(answer):
    def trusted(grey: Tensor, mask: Tensor, classes: int) -> Tensor:
        found = [[] for _ in range(classes)]
        for value, number in zip(grey.flatten().tolist(), mask.flatten().tolist(), strict=True):
            if number != VOID:
                found[number].append(value)
        return torch.tensor([sum(values) / max(1, len(values)) for values in found])

    masks = [torch.randint(0, highest, size) for size in _SIZES for highest in (3, 5)]
    masks += [torch.where(torch.rand(mask.shape) < 0.4, VOID, mask) for mask in masks]
    masks.append(torch.full((2, 3), VOID))
    # Some lie below 0, as in a picture that was normalised.
    calls = [Call.of(torch.randint(-9, 17, mask.shape) / 16, mask, classes) for mask in masks for classes in (5, 7)]
    compare(answer, trusted, calls)


def class_greys(grey, mask, classes):
    """A mask of the same size picks a class's pixels out of the picture. The void pixels belong to no class, so nobody
    picks them; and a class that is absent has the sum 0 and the count 0, and `max` saves it from 0 / 0.
    """
    greys = grey.new_zeros(classes)
    for number in range(classes):
        picked = grey[mask == number]
        greys[number] = picked.sum() / max(1, len(picked))
    return greys


def _check_pixels_behind(answer):
    def trusted(size: int, kernel_size: int, stride: int, padding: int) -> int:
        padded = torch.arange(size + 2 * padding)
        return len(padded) - 1 - int(padded.unfold(0, kernel_size, stride).max())

    small = product(range(1, 13), range(1, 6), range(1, 5), range(3))
    larger = [whole(20, 400) for _ in range(4)]
    settings = [*small, *((size, 2 + size % 9, 1 + size % 7, size % 5) for size in larger)]
    compare(answer, trusted, [Call.of(*one) for one in settings if one[0] + 2 * one[3] >= one[1]])


def pixels_behind(size, kernel_size, stride, padding):
    """The first window takes `kernel_size` pixels, and each further one a full stride of what is left. What remains of
    the division is behind the last window: 0 to stride − 1 pixels, and never any with stride 1.
    """
    return (size + 2 * padding - kernel_size) % stride


def _check_largest_dilation(answer):
    def trusted(size: int, kernel_size: int) -> int:
        row, kernel = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size)

        def fits(dilation: int) -> bool:
            try:
                return functional.conv1d(row, kernel, dilation=dilation).shape[-1] > 0
            except RuntimeError:  # the window is larger than the row
                return False

        return next(dilation for dilation in range(1, size + 1) if not fits(dilation + 1))

    pairs = [(size, kernel) for size in range(2, 16) for kernel in range(2, 8) if kernel <= size]
    compare(answer, trusted, [Call.of(*one) for one in (*pairs, (whole(20, 60), 3), (whole(20, 60), 5))])


def largest_dilation(size, kernel_size):
    """The window covers `dilation * (kernel_size - 1) + 1` pixels, and may cover the whole row: so `dilation` times
    `kernel_size - 1` may be `size - 1` at most. Rounding down gives the largest integer that may.
    """
    return (size - 1) // (kernel_size - 1)


def _check_move(answer):
    def trusted(picture: Tensor, mask: Tensor, down: int, right: int) -> tuple[Tensor, Tensor]:
        new_picture, new_mask = torch.zeros_like(picture), torch.full_like(mask, VOID)
        for i, j in product(*map(range, mask.shape)):
            if i >= down and j >= right:
                new_picture[:, i, j] = picture[:, i - down, j - right]
                new_mask[i, j] = mask[i - down, j - right]
        return new_picture, new_mask

    def call(size: tuple[int, int], *by: int, of: tuple = (torch.uint8, torch.int64)) -> Call:
        # Black pixels and void ones are among them: neither may be taken for what comes in.
        picture = torch.randint(0, 256, (3, *size)) * torch.randint(0, 2, size)
        mask = torch.tensor([0, 1, 7, 15, VOID])[torch.randint(0, 5, size)]
        # In float64 the numbers have more digits than float32 can hold.
        picture = picture.double() / 255 if of[0] == torch.float64 else picture.to(of[0])
        return Call.of(picture, mask.to(of[1]), *by)

    calls = [call((2, 3), 0, 0), call((2, 3), 1, 0), call((2, 3), 0, 2), call((5, 4), 2, 1), call((7, 9), 1, 6)]
    calls += [call((3, 5), 3, 1), call((3, 5), 1, 5), call((2, 4), 5, 7)]  # all of it moves out
    calls += [call((5, 4), 2, 1, of=of) for of in ((torch.float32, torch.uint8), (torch.float64, torch.int32))]
    compare(answer, trusted, calls)


def move(picture, mask, down, right):
    """Both are padded above and on the left and cut to the old size, by the same numbers, or the labels slip off their
    pixels. What comes in is black in the picture and *void* in the mask: with 0 there, a network would be taught that
    black means class 0.
    """
    height, width = mask.shape
    moved = functional.pad(picture, (right, 0, down, 0), value=0)[..., :height, :width]
    return moved, functional.pad(mask, (right, 0, down, 0), value=255)[:height, :width]


VARIANTS = (
    Variant(
        "0.1",
        "From network to camera",
        """
        `x` is `float32` (3, H, W), a picture as a network makes it: 0 is dark and 1 is bright, and some numbers lie a
        little below 0 or above 1. Write `camera_photo`, which returns it as a camera stores it: dtype `uint8`,
        (H, W, 3), from 0 to 255, rounded to the nearest integer. What lies below 0 becomes 0, and what lies above 1
        becomes 255.
        """,
        Exercise("0.1b", "camera_photo", _check_camera_photo, ()),
        camera_photo,
    ),
    Variant(
        "0.2",
        "How bright is what?",
        """
        `grey` (H, W) is a picture of dtype `float32`, and `mask` (H, W) holds its class numbers. Write `class_greys`,
        which returns a `float32` tensor with one number for each class 0 … `classes` − 1: the mean of `grey` over the
        pixels of that class. Void (255) belongs to no class. A class without pixels gets 0.
        """,
        Exercise("0.2b", "class_greys", _check_class_greys, ()),
        class_greys,
    ),
    Variant(
        "0.3",
        "What is left over",
        """
        A window of `kernel_size` pixels moves over a row of `size` pixels with `padding` on both sides, by `stride` at
        a time. Write `pixels_behind`, which returns how many pixels of the padded row lie behind the last window, as an
        `int`. Padding counts as pixels here. No loop, no layer: just a formula.
        """,
        Exercise("0.3b", "pixels_behind", _check_pixels_behind, ()),
        pixels_behind,
    ),
    Variant(
        "0.4",
        "As far apart as they can be",
        """
        A window has `kernel_size` taps, 2 or more, and the row has `size` pixels, at least as many. There is no
        padding. Write `largest_dilation`, which returns the largest dilation with which the window still fits into the
        row, as an `int`.
        """,
        Exercise("0.4b", "largest_dilation", _check_largest_dilation, ()),
        largest_dilation,
    ),
    Variant(
        "0.5",
        "Move both alike",
        """
        Networks are trained on pictures that are moved a little. Write `move`, which moves `picture` (3, H, W) *and*
        `mask` (H, W) by `down` rows and `right` columns, both 0 or more, and returns both, as large as before. What
        moves over the lower or the right edge is lost, and that may be all of it. What comes in at the other side is
        black in the picture. What is it in the mask, if the network must not learn anything from it? Keep both dtypes,
        whichever they are.
        """,
        Exercise("0.5b", "move", _check_move, ()),
        move,
    ),
)

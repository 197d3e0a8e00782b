"""Checks and hints of Chapter 00: pictures and masks as tensors, and sums with sizes."""

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.data.pictures import VOID
from chapters_code.data.synthetic import cracked_road
from chapters_code.exercises.checking import Call, Exercise, agree, compare

__all__ = ["EXERCISES"]

_SIZES = ((1, 2), (2, 3), (5, 4), (7, 9))


def _check_channels_first(answer: Callable) -> None:
    def trusted(photo: Tensor) -> Tensor:
        return torch.from_numpy(np.moveaxis(photo.numpy(), -1, 0).astype(np.float32) / np.float32(255))

    compare(answer, trusted, [Call.of(torch.randint(0, 256, (*size, 3), dtype=torch.uint8)) for size in _SIZES])


def _shares(mask: Tensor, classes: int) -> Tensor:
    counts = torch.bincount(mask[mask != VOID], minlength=classes)
    return counts / counts.sum()


def _check_class_shares(answer: Callable) -> None:
    def trusted(mask: Tensor, classes: int) -> Tensor:
        counts = [0] * classes
        for number in mask.flatten().tolist():
            if number != VOID:
                counts[number] += 1
        return torch.tensor(counts) / max(1, sum(counts))

    masks = [torch.randint(0, highest, size) for size in _SIZES for highest in (3, 5)]
    with_void = [torch.where(torch.rand(mask.shape) < 0.4, VOID, mask) for mask in masks]
    only_void = torch.full((2, 3), VOID)
    with_void += [only_void, only_void.index_fill(1, torch.tensor([1]), 2)[:1]]  # nothing counts; one pixel counts
    compare(answer, trusted, [Call.of(mask, classes) for mask in (*masks, *with_void) for classes in (5, 7)])


def _check_output_size(answer: Callable) -> None:
    def trusted(size: int, kernel_size: int, stride: int, padding: int) -> int:
        row, kernel = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size)
        return functional.conv1d(row, kernel, stride=stride, padding=padding).shape[-1]

    small = product(range(1, 13), range(1, 6), range(1, 5), range(3))
    # A few larger ones at random, so that a table of the small ones will not do.
    larger = [torch.randint(20, 400, ()).tolist() for _ in range(4)]
    settings = [*small, *((size, 2 + size % 9, 1 + size % 7, size % 5) for size in larger)]
    compare(answer, trusted, [Call.of(*one) for one in settings if one[0] + 2 * one[3] >= one[1]])


def _check_same_padding(answer: Callable) -> None:
    def trusted(kernel_size: int, dilation: int) -> int:
        row, kernel = torch.zeros(1, 1, 50), torch.zeros(1, 1, kernel_size)
        lengths = (functional.conv1d(row, kernel, padding=p, dilation=dilation).shape[-1] for p in range(50))
        return next(padding for padding, length in enumerate(lengths) if length == 50)

    compare(answer, trusted, [Call.of(*one) for one in product((1, 3, 5, 7, 9), range(1, 6))])


def _check_crop(answer: Callable) -> None:
    def trusted(picture: Tensor, mask: Tensor, top: int, left: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        new_picture = torch.zeros(3, height, width, dtype=picture.dtype)
        new_mask = mask.new_full((height, width), VOID)
        for i, j in product(range(height), range(width)):
            if top + i < mask.shape[0] and left + j < mask.shape[1]:
                new_picture[:, i, j] = picture[:, top + i, left + j]
                new_mask[i, j] = mask[top + i, left + j]
        return new_picture, new_mask

    def call(size: tuple[int, int], *box: int, of: tuple = (torch.uint8, torch.int64)) -> Call:
        # Black pixels and void ones are among them: neither may be taken for the outside.
        picture = torch.randint(0, 256, (3, *size)) * torch.randint(0, 2, size)
        mask = torch.tensor([0, 1, 7, 15, VOID])[torch.randint(0, 5, size)]
        picture = picture.double() / 255 if of[0].is_floating_point else picture
        return Call.of(picture.to(of[0]), mask.to(of[1]), *box)

    inside = [call((2, 3), 0, 1, 2, 1), call((5, 4), 2, 1, 3, 2), call((7, 9), 1, 3, 4, 6), call((4, 6), 0, 0, 4, 6)]
    over_the_edge = [
        call((2, 3), 1, 0, 2, 3),
        call((2, 3), 0, 2, 1, 3),
        call((5, 4), 3, 2, 4, 5),
        call((40, 30), 25, 7, 30, 31),
    ]
    # "Keep both dtypes", whichever they are.
    others = [call((5, 4), 3, 2, 4, 5, of=of) for of in ((torch.float32, torch.uint8), (torch.float64, torch.int32))]
    compare(answer, trusted, [*inside, *over_the_edge, *others])


def _check_percent_right(answer: object) -> None:
    road, broad = torch.zeros(100, 100), torch.zeros(100, 100)
    road[:, 50] = 1
    broad[:, 49:52] = 1
    agree(answer, tuple(int((said == road).sum()) / 100 for said in (torch.zeros(100, 100), broad)), within=0.01)


def _check_sizes_before(answer: object) -> None:
    def positions(size: int) -> int:
        row, kernel = torch.zeros(1, 1, size), torch.zeros(1, 1, 5)
        return functional.conv1d(row, kernel, stride=3, padding=1, dilation=2).shape[-1]

    fitting = [size for size in range(7, 100) if positions(size) == 10]
    agree(answer, (fitting[0], fitting[-1]))


@cache
def _found_and_true() -> tuple[float, float]:
    roads = [cracked_road(seed=number) for number in range(20)]
    crack = np.stack([road.mask.numpy() == 1 for road in roads])
    called = np.stack([road.image[1].numpy() < 70 for road in roads])
    both = (crack & called).sum()
    return 100 * both / crack.sum(), 100 * both / called.sum()


def _check_found_and_true(answer: object) -> None:
    agree(answer, _found_and_true(), within=1)


EXERCISES = (
    Exercise(
        "0.1",
        "channels_first",
        _check_channels_first,
        (
            "Two things change: the order of the axes, and the range of the numbers. Do them one after the other.",
            "Axes are moved by permute, which names them in their new order. reshape would cut the numbers up anew.",
            "photo.permute(2, 0, 1) has the right order. 255 must become 1.0, so divide by 255, in float32.",
        ),
        mistakes=(
            (2, lambda photo: photo.reshape(3, *photo.shape[:2]) / 255),
            (3, lambda photo: photo.permute(2, 0, 1).float()),
            (3, lambda photo: photo.permute(2, 0, 1) / 256),
            (2, "shape"),
            (3, "dtype"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "0.2",
        "class_shares",
        _check_class_shares,
        (
            "First throw the void pixels away: which condition keeps a pixel?",
            "torch.bincount counts integers. Which argument makes it list classes that do not occur?",
            "mask[mask != 255] keeps what counts, minlength=classes the zeros. What happens if all pixels are void?",
        ),
        mistakes=(
            (1, lambda mask, classes: torch.bincount(mask[mask != VOID], minlength=classes) / mask.numel()),
            (1, lambda mask, classes: _shares(mask.where(mask != VOID, 0), classes)),
            (3, _shares),
            (2, "shape"),
        ),
    ),
    Exercise(
        "0.3",
        "output_size",
        _check_output_size,
        (
            "The first window starts at the left edge of the padded row. How many pixels remain to its right?",
            "Each further window needs `stride` of those remaining pixels. A part of a stride gives no window.",
            "(size + 2 * padding - kernel_size) // stride counts the further windows. And the first one?",
        ),
        mistakes=(
            (3, lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride),
            (2, lambda size, kernel, stride, padding: -((kernel - size - 2 * padding) // stride) + 1),
            (1, lambda size, kernel, stride, padding: (size + padding - kernel) // stride + 1),
            (2, "type"),
        ),
    ),
    Exercise(
        "0.4",
        "same_padding",
        _check_same_padding,
        (
            "How many pixels does the window reach from its first tap to its last, when there are holes between them?",
            "With stride 1 the output loses reach - 1 pixels. Padding must give them back, half on each side.",
            "reach = dilation * (kernel_size - 1) + 1.",
        ),
        mistakes=(
            (1, lambda kernel, dilation: kernel // 2),
            (2, lambda kernel, dilation: dilation * (kernel - 1)),
            (3, lambda kernel, dilation: dilation * kernel // 2),
        ),
    ),
    Exercise(
        "0.5",
        "crop",
        _check_crop,
        (
            "Start with a box that lies inside the picture: the same two slices cut both tensors.",
            "Slices stop at the edge without complaint, so the pieces may be too small. How much is missing?",
            "functional.pad(piece, (0, missing_columns, 0, missing_rows), value=...) fills up; which value for which?",
        ),
        mistakes=(
            (2, "shape"),
            (3, "numbers"),
            (2, "error"),
        ),
    ),
    Exercise(
        "0.6",
        "percent_right",
        _check_percent_right,
        (
            "The second program misses no crack pixel. What does the mask say in the two columns beside the crack?",
            "Count the wrong pixels, for each program. A column has 100 of the 10,000 pixels.",
            "The first program is wrong in one column, which is 1 %. In how many columns is the second one wrong?",
        ),
        mistakes=((1, (99, 100)), (2, (1, 3)), (3, (99, 99)), (3, (0.99, 0.98))),
        kind="predict",
    ),
    Exercise(
        "0.7",
        "sizes_before",
        _check_sizes_before,
        (
            "How many pixels does the window cover from its first tap to its last, the holes between them included?",
            "Ten positions are the first one and nine steps. How many pixels do they cover in all? Some of these are"
            " padding, on both sides.",
            "That is the smallest size. Up to stride − 1 pixels more fill no further step, and rounding down drops"
            " them.",
        ),
        mistakes=((1, (30, 32)), (2, (37, 39)), (2, (35, 37)), (2, (36, 38)), (3, (34, 34)), (3, (34, 37))),
        kind="compute",
    ),
    Exercise(
        "0.8",
        "found_and_true",
        _check_found_and_true,
        (
            "A comparison gives True and False, and the sum of these counts the True ones. Count over all roads first,"
            " and divide at the end.",
            "Three counts are enough: pixels that are crack, pixels that are called crack, and pixels that are both.",
            "Both numbers are the last count, once as a share of the first and once as a share of the second. In"
            " percent.",
        ),
        mistakes=((3, (7, 89)), (3, (0.89, 0.07))),
        kind="measure",
    ),
    Exercise(
        "0.9",
        "why_not_the_mean",
        None,
        (
            "Take a block with two pixels of person and two of background. What is the mean, and which class is that?",
            "Which of the numbers in a block may stand in the smaller mask, so that no number is invented?",
        ),
        kind="explain",
    ),
)

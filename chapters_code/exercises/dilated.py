"""Checks and hints of Chapter 03: more ways to dilate, what a stack of layers sees, and what it misses."""

from collections.abc import Callable
from itertools import pairwise, product

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import dilated
from chapters_code.exercises.checking import Call, Exercise, agree, compare, digits, whole

__all__ = ["EXERCISES"]


def _rates(layers: int, largest: int) -> tuple[int, ...]:
    return tuple(torch.randint(1, largest + 1, (layers,)).tolist())


def _stacks(largest: int) -> list[tuple[int, ...]]:
    """Return stacks of rates: all small ones, and some that nobody can have learnt by heart."""
    small = [rates for layers in (1, 2, 3) for rates in product((1, 2, 3, 5), repeat=layers)]
    return [*small, *(_rates(2 + number % 4, largest) for number in range(12))]


def _check_field_size(answer: Callable) -> None:
    def trusted(rates: tuple[int, ...], kernel_size: int) -> int:
        offsets = dilated.footprint(rates, kernel_size)
        return offsets[-1] - offsets[0] + 1

    calls = [Call.of(rates, kernel_size) for rates in ((), *_stacks(30)) for kernel_size in (1, 3, 5)]
    compare(answer, trusted, calls)


def _check_space_to_batch(answer: Callable) -> None:
    def trusted(x: Tensor, rate: int) -> Tensor:
        height, width = (side // rate for side in x.shape[-2:])
        out = x.new_empty(rate, rate, len(x), x.shape[1], height, width)
        for i, j, n, row, column in product(range(rate), range(rate), range(len(x)), range(height), range(width)):
            out[i, j, n, :, row, column] = x[n, :, row * rate + i, column * rate + j]
        return out.flatten(0, 2)

    shapes = ((1, 1, 2, 2, 2), (1, 2, 4, 6, 2), (2, 1, 6, 2, 2), (2, 3, 6, 9, 3), (3, 2, 8, 4, 4), (2, 2, 3, 5, 1))
    calls = [Call.of(digits(*shape), rate) for *shape, rate in shapes]
    calls.append(Call.of(torch.randn(2, 2, 6, 12, dtype=torch.float64), 3))
    compare(answer, trusted, calls)


def _check_safe_crack_width(answer: Callable) -> None:
    def trusted(rates: tuple[int, ...]) -> int:
        seen = dilated.footprint(rates)
        field = range(seen[0], seen[-1] + 1)

        def safe(width: int) -> bool:
            places = (field[start : start + width] for start in range(len(field) - width + 1))
            return all(any(column in seen for column in crack) for crack in places)

        return next(width for width in range(1, len(field) + 1) if safe(width))

    compare(answer, trusted, [Call.of(rates) for rates in ((), *_stacks(9))])


def _check_conv2d_by_taps(answer: Callable) -> None:
    def trusted(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        return functional.conv2d(x, weight, dilation=dilation)

    calls = [
        Call.of(digits(*x, dtype=dtype), digits(*weight, dtype=dtype), dilation)
        for x, weight, dilation, dtype in (
            ((1, 1, 2, 3), (1, 1, 1, 2), 1, torch.float32),
            ((1, 1, 3, 5), (1, 1, 2, 2), 2, torch.float32),
            ((1, 2, 5, 7), (1, 2, 2, 3), 3, torch.float32),
            ((2, 1, 6, 5), (3, 1, 3, 2), 2, torch.float64),
            ((2, 3, 9, 8), (4, 3, 3, 3), 3, torch.float64),
        )
    ]
    calls.append(Call.of(*(torch.randn(1, 2, *size, dtype=torch.float64) for size in ((4, 5), (2, 3))), 2))
    compare(answer, trusted, calls, gradients=True, without=("conv",))


def _check_count_ways(answer: Callable) -> None:
    def trusted(rates: tuple[int, ...]) -> Tensor:
        # Each way is one choice of a tap in every layer: try them all.
        ways = [sum(choice) for choice in product(*((-rate, 0, rate) for rate in rates))]
        return torch.tensor([ways.count(offset) for offset in range(min(ways), max(ways) + 1)])

    compare(answer, trusted, [Call.of(rates) for rates in ((), *_stacks(12))])


def _check_without_holes(answer: Callable) -> None:
    def trusted(rates: tuple[int, ...], kernel_size: int) -> bool:
        return dilated.count_holes(rates, kernel_size) == 0

    # At random few stacks have no hole, so some are grown: each rate as large as it may be, or one larger.
    grown = []
    for extra, kernel_size in product((0, 0, 1), (3, 5)):
        rates = [1]
        for _ in range(3):
            rates.append(whole(1, 2 + (kernel_size - 1) * sum(rates)))
        rates[-1] = 1 + (kernel_size - 1) * sum(rates[:-1]) + extra
        order = torch.randperm(len(rates)).tolist()
        grown.append(Call.of(tuple(rates[place] for place in order), kernel_size))
    calls = [Call.of(rates, kernel_size) for rates in ((), *_stacks(12)) for kernel_size in (3, 5)]
    compare(answer, trusted, [*calls, *grown])


def _spread(rates: tuple[int, ...], side: int = 61) -> Tensor:
    """Return what plain means of nine pixels, `rate` apart, make of a single 1 in the middle."""
    x, mean = torch.zeros(1, 1, side, side, dtype=torch.float64), torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64)
    x[..., side // 2, side // 2] = 1
    for rate in rates:
        x = functional.conv2d(x, mean, padding=rate, dilation=rate)
    return x[0, 0]


def _check_holes_left(answer: object) -> None:
    field = _spread((3, 3, 3, 1))[20:41, 20:41]
    agree(answer, int((field == 0).sum()))


def _check_fourth_rate(answer: object) -> None:
    def field(rate: int) -> list[int]:
        """The pixels of a row that are seen: one choice of a tap in every layer, each choice in turn."""
        return sorted({sum(choice) for choice in product(*((-one, 0, one) for one in (1, 2, 5, rate)))})

    def size(rate: int) -> int:
        return field(rate)[-1] - field(rate)[0] + 1

    largest = max(rate for rate in range(1, 60) if len(field(rate)) == size(rate))
    agree(answer, (largest, size(largest)))


def _check_share_in_the_middle(answer: object) -> None:
    middle = slice(30 - 4, 30 + 5)
    agree(answer, tuple(100 * _spread(rates)[middle, middle].sum() for rates in ((1, 2, 5), (1,) * 8)), within=1)


EXERCISES = (
    Exercise(
        "3.1",
        "field_size",
        _check_field_size,
        (
            "With no layer at all, one output pixel sees one pixel. What does one layer add?",
            "A layer adds dilation · (kernel_size − 1), whatever came before it.",
            "Python's sum() adds up the rates, also those of an empty stack.",
        ),
        mistakes=(
            (1, lambda rates, kernel_size: (kernel_size - 1) * sum(rates)),
            (2, lambda rates, kernel_size: 1 + 2 * sum(rates)),
            (2, lambda rates, kernel_size: 1 + (kernel_size - 1) * max(rates)),
            (3, "error"),
        ),
    ),
    Exercise(
        "3.2",
        "space_to_batch",
        _check_space_to_batch,
        (
            "One phase is one slice: x[..., i::rate, j::rate]. How do you put several pictures into one batch?",
            "Collect the phases in a list, i in the outer loop and j in the inner one.",
            "torch.cat joins a list of batches along axis 0.",
        ),
        mistakes=(
            (2, lambda x, rate: torch.cat([x[..., i::rate, j::rate] for j in range(rate) for i in range(rate)])),
            (3, "type"),
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "3.3",
        "safe_crack_width",
        _check_safe_crack_width,
        (
            "Print footprint((1, 9)). Where would you hide a crack, and how wide may it be?",
            "Between two neighbours of the footprint lie the missed columns: one fewer than the step from one to the"
            " other.",
            "itertools.pairwise gives all pairs of neighbours. Which step is the largest?",
        ),
        allows=(dilated.footprint,),
        mistakes=(
            (2, lambda rates: max(b - a for a, b in pairwise(dilated.footprint(rates))) - 1),
            (1, max),
            (1, min),
            (3, "error"),
        ),
    ),
    Exercise(
        "3.4",
        "conv2d_by_taps",
        _check_conv2d_by_taps,
        (
            "What would the output be, if all taps of the kernel but one were zero?",
            "Tap (k, l) sees the picture from row k · dilation and column l · dilation on, as many pixels as the output"
            " has. It mixes the channels, and that is all.",
            'torch.einsum("oc,nchw->nohw", ...) mixes channels: for each output channel o, a sum over c.',
        ),
        mistakes=(
            (2, lambda x, weight, dilation: functional.conv2d(x, weight.flip(2, 3), dilation=dilation)),
            (2, "shape"),
            (3, "error"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "3.5",
        "count_ways",
        _check_count_ways,
        (
            "Without a layer there is one way, to the pixel itself. What does one layer of rate r make of a row of"
            " counts?",
            "Each pixel's count goes to three places: r to the left, the place itself, r to the right.",
            "The new row is longer by 2r. Add the old row into it three times, from place 0, r and 2r on.",
        ),
        allows=(dilated.footprint,),
        mistakes=(
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "3.6",
        "without_holes",
        _check_without_holes,
        (
            "The order of the layers changes nothing. Begin with the smallest rate: which one alone leaves no hole?",
            "Say the layers so far see a row of 7 pixels without a hole. The next layer lays copies of it, r apart."
            " Up to which r do the copies touch?",
            "Sort the rates; 1 + (kernel_size − 1) · (sum of the smaller ones) is what is seen so far.",
        ),
    ),
    Exercise(
        "3.7",
        "holes_left",
        _check_holes_left,
        (
            "The order of the layers changes nothing. So let the layer of rate 1 come first: which pixels of a row does"
            " it see?",
            "The others lay copies of these three pixels 3 apart. Do the copies touch?",
        ),
        mistakes=((1, 312), (2, 392), (2, 80)),
        kind="predict",
    ),
    Exercise(
        "3.8",
        "fourth_rate",
        _check_fourth_rate,
        (
            "How many pixels of a row do the rates 1, 2, 5 see? There is no hole among them.",
            "The fourth layer lays three copies of this row beside each other. How far apart may they be, so that they"
            " touch?",
            "The field is 1 + 2 · the sum of all rates, the new one among them.",
        ),
        mistakes=((1, (8, 33)), (2, (16, 49)), (2, (18, 53)), (3, (17, 34)), (3, (17, 17))),
        kind="compute",
    ),
    Exercise(
        "3.9",
        "share_in_the_middle",
        _check_share_in_the_middle,
        (
            "look takes (1, 1, H, W) in float64. Put the 1 in the middle of zeros that are large enough, 41 × 41 say.",
            "The middle 9 × 9 pixels reach from 4 before the middle to 4 behind it. A slice ends one before its second"
            " number.",
            "All numbers of the result add up to 1 if nothing fell off the rim. The share is the sum of the 81 numbers,"
            " in percent.",
        ),
        mistakes=((3, (28, 28)), (3, (0.4, 0.91))),
        kind="measure",
    ),
    Exercise(
        "3.10",
        "why_more_of_the_same_does_not_help",
        None,
        (
            "Count columns from the output pixel. In which columns do the taps of the first layer stand? And those of"
            " the next?",
            "If no weight of this output pixel is multiplied by the crack, what can training do about it?",
        ),
        kind="explain",
    ),
)

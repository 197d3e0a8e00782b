"""Checks and hints of Chapter 01: pooling of several kinds, what survives it, and its gradient."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import pooling
from chapters_code.exercises.checking import Call, Exercise, agree, all_pairs, compare, digits, whole

__all__ = ["EXERCISES"]

_SHAPES = ((1, 1, 2, 3), (1, 2, 5, 4), (2, 1, 3, 7), (2, 3, 7, 9))


def _pictures() -> list[Tensor]:
    """Draw pictures from tiny to small, never square only, in two precisions, with and without ties."""
    return [
        *(digits(*shape) for shape in _SHAPES),
        digits(1, 2, 6, 4, dtype=torch.float64),
        torch.randn(2, 3, 8, 11, dtype=torch.float64),
        # In eighths, so that another right way to compute it (255 - x, say) does not round.
        (8 * torch.randn(1, 4, 13, 6)).round() / 8,
    ]


def _in_half(dtype: torch.dtype) -> Tensor:
    return digits(1, 2, 4, 6, dtype=dtype)


def _fitting(pictures: Iterable[Tensor], kernels: Sequence[int]) -> list[tuple[Tensor, int]]:
    """Pair each picture with each kernel size that is not larger than it."""
    return [(x, kernel) for x in pictures for kernel in kernels if kernel <= min(x.shape[-2:])]


def _check_min_pool2d(answer: Callable) -> None:
    def trusted(x: Tensor, kernel_size: int) -> Tensor:
        return -functional.max_pool2d(-x, kernel_size)

    compare(answer, trusted, [Call.of(*one) for one in _fitting([*_pictures(), _in_half(torch.float16)], (1, 2, 3))])


def _check_median_pool2d(answer: Callable) -> None:
    def trusted(x: Tensor, kernel_size: int) -> Tensor:
        height, width = (side // kernel_size for side in x.shape[-2:])
        out = x.new_empty(*x.shape[:2], height, width)
        for n, c, i, j in product(*map(range, out.shape)):
            window = x[n, c, i * kernel_size : (i + 1) * kernel_size, j * kernel_size : (j + 1) * kernel_size]
            numbers = sorted(window.flatten().tolist())
            out[n, c, i, j] = numbers[(len(numbers) - 1) // 2]
        return out

    pictures = [*_pictures(), _in_half(torch.float16), _in_half(torch.bfloat16)]
    compare(answer, trusted, [Call.of(*one) for one in _fitting(pictures, (1, 2, 3))])


def _check_unpool_mean(answer: Callable) -> None:
    def trusted(pooled: Tensor, kernel_size: int) -> Tensor:
        return functional.interpolate(pooled, scale_factor=kernel_size, mode="nearest")

    compare(answer, trusted, [Call.of(x, kernel) for x in _pictures() for kernel in (1, 2, 3)])


def _check_max_pool1d_loops(answer: Callable) -> None:
    def trusted(x: Tensor, kernel_size: int, stride: int, padding: int) -> Tensor:
        return functional.max_pool1d(x, kernel_size, stride, padding)

    signals = (digits(1, 1, 4), digits(1, 2, 5), digits(2, 3, 8), torch.randn(2, 2, 11, dtype=torch.float64))
    # The smallest tie there is.
    signals += (torch.full((1, 1, 2), 5.0),)
    # All negative: the case that finds zeros used as padding.
    signals += (-1 - torch.rand(1, 1, 6), 1e30 * (-1 - torch.rand(1, 1, 7)), -digits(1, 1, 6, dtype=torch.bfloat16))
    settings = all_pairs(
        *(signals, (1, 2, 3, 4), (1, 2, 3), (0, 1, 2)),
        fits=lambda x, kernel, stride, padding: padding <= kernel // 2 and kernel <= x.shape[-1],
    )
    calls = [Call.of(*one) for one in settings]
    compare(answer, trusted, calls, gradients=True, without=("max_pool",))


def _check_safe_width(answer: Callable) -> None:
    def survives(width: int, start: int, kernel_size: int, stride: int) -> bool:
        row = torch.ones(1, 1, 80)
        row[..., start : start + width] = 0
        return bool((functional.max_pool1d(row, kernel_size, stride) == 0).any())

    def trusted(kernel_size: int, stride: int) -> int:
        # Try every width, and for each every place of the crack; the row is long enough that its ends do not matter.
        safe = (all(survives(width, start, kernel_size, stride) for start in range(30)) for width in range(1, 40))
        return next(width for width, yes in enumerate(safe, 1) if yes)

    # A few larger ones at random, so that a table of the small ones will not do.
    larger = [(whole(6, 16), whole(6, 16)) for _ in range(3)]
    compare(answer, trusted, [Call.of(*one) for one in (*product(range(1, 6), range(1, 6)), *larger)])


def _check_max_pool2d_gradient(answer: Callable) -> None:
    def trusted(x: Tensor, kernel_size: int, gradient: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(functional.max_pool2d(x, kernel_size), x, gradient)[0]

    # A road of one grey: every window is one large tie.
    pictures = (*_pictures(), torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 5, 4))
    calls = [
        Call.of(x, kernel, torch.randn(functional.max_pool2d(x, kernel).shape, dtype=x.dtype))
        for x, kernel in _fitting(pictures, (2, 3))
    ]
    compare(answer, trusted, calls, without=("max_pool",), autograd=False)


def _check_dark_pixels_left(answer: object) -> None:
    road = torch.ones(1, 1, 8, 8)
    road[..., 3] = 0
    agree(answer, int((functional.max_pool2d(road, 2) == 0).sum()))


def _check_darkest_of_each(answer: object) -> None:
    straight, slanted = torch.ones(1, 16, 16), torch.ones(1, 16, 16)
    straight[..., 3] = 0
    slanted[..., range(15), range(1, 16)] = 0
    for _ in range(3):
        straight, slanted = functional.avg_pool2d(straight, 2), functional.avg_pool2d(slanted, 2)
    agree(answer, (straight.min(), slanted.min()), within=1e-4)


def _check_brightness_of_noise(answer: object) -> None:
    noise, means = torch.randn(1, 1, 1024, 1024), []
    for _ in range(4):
        noise = functional.max_pool2d(noise, 2)
        means.append(noise.mean())
    agree(answer, (means[0], means[3]), within=0.05)


EXERCISES = (
    Exercise(
        "1.1",
        "min_pool2d",
        _check_min_pool2d,
        (
            "Max pooling keeps what is bright. What would make the crack the brightest thing in the picture?",
            "Turn the picture's brightness round, pool, and turn it back.",
            "The largest number of -x is the smallest number of x, with its sign turned.",
        ),
        allows=(
            pooling.max_pool2d,
            pooling.max_pool2d_loops,
            pooling.windows,
        ),
        mistakes=(
            (1, functional.max_pool2d),
            (3, lambda x, kernel_size: functional.max_pool2d(-x, kernel_size)),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "1.2",
        "median_pool2d",
        _check_median_pool2d,
        (
            "windows(x, kernel_size) has all pixels of a window on its last axis. What did max_pool2d do with it?",
            "Tensor.median takes dim, and of two middle numbers gives the lower, as wanted here.",
            "Like max(dim), it returns values and places.",
        ),
        allows=(pooling.windows,),
        mistakes=(
            (2, lambda x, kernel_size: pooling.windows(x, kernel_size).quantile(0.5, dim=-1)),
            (2, lambda x, kernel_size: -((-pooling.windows(x, kernel_size)).median(dim=-1).values)),
            (3, "type"),
            (1, "shape"),
            (1, "error"),
        ),
    ),
    Exercise(
        "1.3",
        "unpool_mean",
        _check_unpool_mean,
        (
            "Two numbers with mean 5 are 5 and 5, or 4 and 6, or 0 and 10. Which two have the smallest sum of squares?",
            "Every number must be repeated kernel_size times along H, and along W.",
            "Look up torch.repeat_interleave; it takes the axis as dim.",
        ),
        mistakes=(
            (1, lambda pooled, k: pooled.repeat_interleave(k, 2).repeat_interleave(k, 3) / k**2),
            (3, lambda pooled, k: pooled.repeat(1, 1, k, k)),
            (2, "shape"),
            (1, "numbers"),
        ),
    ),
    Exercise(
        "1.4",
        "max_pool1d_loops",
        _check_max_pool1d_loops,
        (
            "Take the loops of this chapter and drop the loop over rows. Do it without padding first.",
            "What must stand in the padding so that it can never win, even among negative numbers?",
            "For the gradient at a tie, window.max(dim=-1).values gives it all to the first pixel; amax shares it out.",
        ),
        mistakes=(
            (2, lambda x, k, stride, padding: functional.max_pool1d(functional.pad(x, (padding, padding)), k, stride)),
            (3, "gradient"),
            (1, "shape"),
        ),
    ),
    Exercise(
        "1.5",
        "safe_width",
        _check_safe_width,
        (
            "Dark survives if one whole window is dark. Draw ten pixels in a row, and windows of 2 on them.",
            "The unluckiest crack starts one pixel after a window's first pixel. Where does the next window start?",
            "From there it is stride - 1 pixels to the next window, and that one needs kernel_size dark pixels.",
        ),
        mistakes=(
            (1, lambda kernel_size, stride: kernel_size),
            (2, lambda kernel_size, stride: 2 * kernel_size - 1),
            (2, max),
            (3, lambda kernel_size, stride: kernel_size + stride),
        ),
    ),
    Exercise(
        "1.6",
        "max_pool2d_gradient",
        _check_max_pool2d_gradient,
        (
            "Start with zeros like x. Only one pixel of each window gets something: which one, and how much?",
            "argmax over a flattened window gives the first winner's place in reading order.",
            "place // kernel_size is its row in the window, place % kernel_size its column. Rows that no window reaches"
            " keep zero.",
        ),
        allows=(pooling.windows,),
        mistakes=(
            (2, "numbers"),
            (3, "shape"),
            (1, "changed"),
        ),
    ),
    Exercise(
        "1.7",
        "dark_pixels_left",
        _check_dark_pixels_left,
        (
            "Which columns does the window that holds column 3 have?",
            "Each of these windows holds two dark pixels and two bright ones. Max pooling keeps which of them?",
        ),
        mistakes=((2, 4), (1, 8), (2, 0.5), (2, 2)),
        kind="predict",
    ),
    Exercise(
        "1.8",
        "why_the_mean_forgets_less",
        None,
        (
            "Take one window of four pixels with one dark among them. Say what each kind of pooling returns for it.",
            "From which of the two results can you tell that something dark was there?",
        ),
        kind="explain",
    ),
    Exercise(
        "1.9",
        "darkest_of_each",
        _check_darkest_of_each,
        (
            "Three times 2 × 2 is the same as once 8 × 8, for means as for the largest numbers.",
            "A number of the small road is the share of 64 pixels that are bright. How many of the 64 are dark?",
            "Draw the slanted crack in the first block of 8 × 8. In which row does it leave the block?",
        ),
        mistakes=((1, (0.5, 0.75)), (1, (0.5, 0.5)), (2, (0.125, 7 / 64)), (3, (0.875, 0.875))),
        kind="compute",
    ),
    Exercise(
        "1.10",
        "brightness_of_noise",
        _check_brightness_of_noise,
        (
            "What one pooling gives is the input of the next. The brightness is the mean of all numbers.",
            "Each window hands on its brightest pixel and forgets the three others. Can the mean stay at 0?",
            "The pixels differ less after each pooling, so the brightest of four adds less each time.",
        ),
        mistakes=((2, (0, 0)), (3, (1, 4)), (3, (1.0, 1.0))),
        kind="measure",
    ),
)

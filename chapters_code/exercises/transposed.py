"""Checks and hints of Chapter 05: stamps, sizes that come back, tents, the way back, and flat maps that stay flat."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import transposed
from chapters_code.exercises.checking import Call, Exercise, agree, all_pairs, compare, digits, whole
from chapters_code.shapes import conv_size, conv_transpose_size
from chapters_code.strided import conv2d_matrix

__all__ = ["EXERCISES"]


def _check_stamp(answer: Callable) -> None:
    def trusted(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
        return functional.conv_transpose1d(x[None, None], kernel[None, None], stride=stride, padding=padding)[0, 0]

    calls = [
        Call.of(digits(size, dtype=dtype), digits(taps, dtype=dtype), stride, padding)
        for size, taps, stride, padding, dtype in all_pairs(
            *((1, 2, 3, 5), (1, 2, 3, 4), (1, 2, 3, 6), (0, 1, 2), (torch.float32, torch.float64)),
            fits=lambda size, taps, stride, padding, dtype: (size - 1) * stride + taps > 2 * padding,
        )
    ]
    calls.append(Call.of(torch.randn(4, dtype=torch.float64), torch.randn(3, dtype=torch.float64), 2, 1))
    compare(answer, trusted, calls, gradients=True, without=("conv",))


def _there_and_back(size: int, kernel_size: int, stride: int, padding: int, extra: int = 0) -> int | None:
    try:
        shrunk = conv_size(size, kernel_size, stride, padding)
        return conv_transpose_size(shrunk, kernel_size, stride, padding, extra)
    except ValueError:
        return None


def _check_padding_back(answer: Callable) -> None:
    def trusted(size: int, kernel_size: int, stride: int, padding: int) -> int:
        return next(
            extra for extra in range(stride) if _there_and_back(size, kernel_size, stride, padding, extra) == size
        )

    small = product((3, 4, 5, 6, 33, 34), (1, 2, 3, 4, 7), (1, 2, 3, 4), (0, 1, 3))
    larger = [(whole(40, 901), whole(1, 21), whole(5, 41), whole(0, 10)) for _ in range(10)]
    compare(answer, trusted, [Call.of(*one) for one in (*small, *larger) if _there_and_back(*one)])


def _check_stamps_on(answer: Callable) -> None:
    def trusted(place: int, size: int, kernel_size: int, stride: int) -> int:
        near = place // stride
        stamps = range(max(0, near - kernel_size), min(size, near + 1))
        return sum(stamp * stride <= place < stamp * stride + kernel_size for stamp in stamps)

    calls = [
        Call.of(place, size, kernel_size, stride)
        for size, kernel_size, stride in product((1, 2, 4), (1, 2, 3, 5, 6), (1, 2, 3, 4))
        for place in range((size - 1) * stride + kernel_size)
    ]
    # As long as no canvas can be.
    size = 10**15
    for stride, kernel_size in ((2, 3), (3, 8), (32, 64), (5, 3)):
        end = (size - 1) * stride + kernel_size
        calls += [Call.of(place, size, kernel_size, stride) for place in (whole(0, end), 1, end - 1)]
    compare(answer, trusted, calls, without=("conv",))


def _check_tent(answer: Callable) -> None:
    def trusted(taps: int) -> Tensor:
        return transposed.bilinear_kernel(1, 1, (1, taps))[0, 0, 0]

    sides = (*range(1, 10), whole(10, 71), 64, 63)
    compare(answer, trusted, [Call.of(taps) for taps in sides])


def _check_input_gradient(answer: Callable) -> None:
    def trusted(gradient: Tensor, weight: Tensor, size: tuple[int, int], stride: int, padding: int) -> Tensor:
        x = gradient.new_zeros(len(gradient), weight.shape[1], *size, requires_grad=True)
        return torch.autograd.grad(functional.conv2d(x, weight, None, stride, padding), x, gradient)[0]

    calls, kinds = [], ((1, 1, torch.float32), (3, 2, torch.float64))
    for size, side, stride, padding, kind in all_pairs(((3, 5), (6, 4), (7, 8)), (1, 2, 3), (1, 2, 3), (0, 1), kinds):
        out_channels, channels, dtype = kind
        draw = digits if dtype == torch.float32 else torch.randn
        gradient = draw(2, out_channels, *conv_size(size, side, stride, padding), dtype=dtype)
        weight = draw(out_channels, channels, side, side, dtype=dtype)
        calls.append(Call.of(gradient, weight, size, stride, padding))
    compare(answer, trusted, calls, autograd=False, without=("convolution_backward",))


def _check_shuffle_weight(answer: Callable) -> None:
    def trusted(channels: int, block: int) -> Tensor:
        weight = torch.zeros(channels * block**2, channels, block, block)
        for channel, i, j in product(range(channels), range(block), range(block)):
            weight[(channel * block + i) * block + j, channel, i, j] = 1
        return weight

    calls = [Call.of(*one) for one in (*product((1, 2, 3), (1, 2, 3)), (whole(4, 8), whole(2, 5)))]
    compare(answer, trusted, calls)


def _check_balance(answer: Callable) -> None:
    def trusted(weight: Tensor, stride: int) -> Tensor:
        balanced = weight.clone()
        for channel, i, j in product(range(weight.shape[1]), range(stride), range(stride)):
            taps = weight[:, channel, i::stride, j::stride]
            balanced[:, channel, i::stride, j::stride] = taps / taps.sum()
        return balanced

    calls = [
        Call.of(torch.randint(1, 10, (*channels, *taps)).to(dtype) / 8, stride)
        for channels, taps, stride, dtype in all_pairs(
            ((1, 1), (2, 1), (1, 3), (3, 2)), ((3, 3), (3, 4), (5, 3)), (1, 2, 3), (torch.float32, torch.float64)
        )
    ]
    compare(answer, trusted, calls)


def _check_there_and_back(answer: object) -> None:
    x, nine = torch.zeros(1, 1, 8, 12), torch.ones(1, 1, 3, 3)
    x[..., 4, 5] = 1
    back = functional.conv_transpose2d(functional.conv2d(x, nine, padding=1), nine, padding=1)
    agree(answer, (int(back.count_nonzero()), back[0, 0, 4, 5]))


def _check_five_doublings(answer: object) -> None:
    x, kernel = torch.zeros(1, 1, 10, 15), torch.zeros(1, 1, 3, 3)
    for _ in range(5):
        x = functional.conv_transpose2d(x, kernel, stride=2, padding=1)
    agree(answer, tuple(x.shape[2:]))


def _check_round_trips(answer: object) -> None:
    crack, left = torch.zeros(1, 1, 15, 21, dtype=torch.float64), []
    crack[..., 10] = 1
    for _ in range(10):
        crack = functional.avg_pool2d(functional.interpolate(crack, scale_factor=8, mode="bilinear"), 8)
        left.append(crack[0, 0, 7, 10].item())
    agree(answer, (left[0], left[-1]), within=0.005)


EXERCISES = (
    Exercise(
        "5.1",
        "stamp",
        _check_stamp,
        (
            "Make the canvas as large as it is before anything is cut off, and paint all stamps first.",
            "Stamp number i covers k pixels from i · stride on. And the canvas should have the dtype of x.",
            "Cut at the end: from number `padding` up to, but not including, number length − padding. With a padding of"
            " 0, a slice that ends at −padding is empty.",
        ),
        allows=(conv2d_matrix,),
        mistakes=(
            (3, "shape"),
            (2, "dtype"),
            (1, "numbers"),
        ),
    ),
    Exercise(
        "5.2",
        "padding_back",
        _check_padding_back,
        (
            "Try it with small numbers: which sizes shrink to 5? By how much do they differ from the smallest of them?",
            "The windows of the convolution need not end where the padded picture ends. What is left over is lost.",
            "size + 2 · padding − kernel_size is how far a window can travel; it moves in steps of stride.",
        ),
        allows=(
            conv_size,
            conv_transpose_size,
        ),
        mistakes=(
            (3, lambda size, kernel_size, stride, padding: (size - kernel_size) % stride),
            (3, lambda size, kernel_size, stride, padding: (size + padding - kernel_size) % stride),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "5.3",
        "stamps_on",
        _check_stamps_on,
        (
            "Stamp i covers kernel_size pixels, from i · stride on. For which i is `place` among them?",
            "The last stamp that starts early enough is place // stride, if there are that many stamps.",
            "The first one that reaches far enough is (place − kernel_size) // stride + 1, if that is not negative."
            " With a large stride it may come after the last one: then there is none.",
        ),
        mistakes=(
            (1, lambda place, size, kernel, stride: -(-kernel // stride)),
            (2, lambda place, size, kernel, stride: place // stride - max((place - kernel) // stride + 1, 0) + 1),
            (3, "numbers"),
            (1, "error"),
            (1, "time"),
        ),
    ),
    Exercise(
        "5.4",
        "tent",
        _check_tent,
        (
            "Where is the middle: for 3 taps, numbered from 0? And for 4?",
            "The middle is at (taps − 1) / 2 for both. How far from it does the tent reach the ground?",
            "It falls by 1 over (taps + 1) // 2 pixels. So: 1 minus the distance from the middle, divided by that.",
        ),
        mistakes=(
            (1, lambda taps: 1 - (torch.arange(taps) - taps // 2).abs() / ((taps + 1) // 2)),
            (3, lambda taps: 1 - (torch.arange(taps) - (taps - 1) / 2).abs() / max((taps - 1) / 2, 1)),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "5.5",
        "input_gradient",
        _check_input_gradient,
        (
            "The weights, the stride and the padding are those of the convolution. What is missing is the size.",
            "Without output_padding, how many rows come back? The stride may have left some over.",
            "For each side, what is left over is the remainder of (side + 2 · padding − kernel) divided by the stride.",
        ),
        allows=(conv2d_matrix,),
        mistakes=(
            (2, "shape"),
            (1, "error"),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "5.6",
        "shuffle_weight",
        _check_shuffle_weight,
        (
            "With a stride as large as the kernel the stamps lie side by side. What does one channel's stamp paint?",
            "One pixel of the block, in one channel of the output. Which one? Look at a small pixel_shuffle.",
            "What a linear layer does to a single 1 among zeros shows its weights. You may use pixel_shuffle.",
        ),
        mistakes=(
            (2, "numbers"),
            (1, "shape"),
        ),
    ),
    Exercise(
        "5.7",
        "balance",
        _check_balance,
        (
            "By which number must the taps of one phase be divided, so that they add up to 1?",
            "phase_sums gives these numbers, (C', stride, stride). The tap in row i, column j has the phase"
            " (i % stride, j % stride).",
            "Go through the phases: weight[:, :, i::stride, j::stride] are their taps. Or index the sums by all rows"
            " and columns modulo the stride, at once.",
        ),
        allows=(
            transposed.phase_sums,
            transposed.overlap_count,
        ),
        mistakes=(
            (2, "numbers"),
            (3, "error"),
        ),
    ),
    Exercise(
        "5.8",
        "there_and_back",
        _check_there_and_back,
        (
            "The first step gathers: which outputs have the bright pixel in their window?",
            "After it there is a square of ones. The second step scatters: every one of them stamps nine ones around"
            " itself.",
            "How far from the pixel is the farthest place that a stamp reaches? And how many stamps cover the pixel?",
        ),
        mistakes=(
            (1, (1, 1)),
            (2, (9, 1)),
            (2, (9, 9)),
            (3, (25, 1)),
            (3, (81, 9)),
        ),
        kind="predict",
    ),
    Exercise(
        "5.9",
        "five_doublings",
        _check_five_doublings,
        (
            "Put the settings into the formula of the size, for one layer and a side of n. What is left of it?",
            "Padding is cut off here, once on each side, and output_padding is 0.",
            "One layer makes 2n − 1 of n. Do it five times, to each side.",
        ),
        mistakes=(
            (1, (320, 480)),
            (2, (351, 511)),
            (3, (19, 29)),
            (2, (381, 541)),
        ),
        kind="compute",
    ),
    Exercise(
        "5.10",
        "round_trips",
        _check_round_trips,
        (
            "One round trip is two calls: BilinearUpsample2d(8, 'replicate'), then functional.avg_pool2d by 8.",
            "Each trip begins with what the trip before has left.",
            "Look at the neighbours, too: what the crack loses lies beside it, and a part of that comes back.",
        ),
        mistakes=(
            (1, (1, 1)),
            (2, (0.75, 0.75)),
            (3, (0.75, 0.056)),
        ),
        kind="measure",
    ),
    Exercise(
        "5.11",
        "why_even_counts_do_not_help",
        None,
        (
            "How many taps does each phase of the 4 × 4 kernel have, and what do they add up to?",
            "What in a layer says how many stamps meet at a pixel, and what says how strong they are together?",
        ),
        kind="explain",
    ),
)

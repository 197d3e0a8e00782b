"""Checks and hints of Chapter 02: sizes, kernels, blocks, cost, the matrix of a convolution, and luck."""

import math
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import strided
from chapters_code.exercises.checking import Call, Exercise, agree, compare, digits, whole
from chapters_code.shapes import conv_size

__all__ = ["EXERCISES"]


def _halves(total: int) -> tuple[int, int]:
    return total // 2, total - total // 2


def _padding(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
    wanted = -(-size // stride)
    # Try ever more padding: with enough of it, there are as many windows as you like.
    fitting = (
        total
        for total in range(kernel_size + stride)
        if size + total >= kernel_size and (size + total - kernel_size) // stride + 1 == wanted
    )
    return _halves(next(fitting))


def _check_padding_around(answer: Callable) -> None:
    # A few larger ones at random, so that a table of the small ones will not do.
    larger = [tuple(whole(low, low + 9) for low in (20, 6, 2)) for _ in range(6)]
    compare(answer, _padding, [Call.of(*one) for one in (*product(range(1, 9), range(1, 6), range(1, 5)), *larger)])


def _sobel(x: Tensor) -> Tensor:
    across = x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return functional.conv2d(x, torch.stack([across, across.T])[:, None])


def _check_sobel(answer: Callable) -> None:
    pictures = [digits(*shape) for shape in ((1, 1, 3, 3), (1, 1, 3, 5), (2, 1, 6, 4))]
    pictures += [digits(1, 1, 4, 5, dtype=torch.float64), torch.randn(3, 1, 5, 8, dtype=torch.float64)]
    compare(answer, _sobel, [Call.of(x) for x in pictures])


def _check_depth_to_space(answer: Callable) -> None:
    def trusted(x: Tensor, block: int) -> Tensor:
        return functional.pixel_shuffle(x, block)

    shapes = ((1, 4, 1, 1, 2), (1, 4, 1, 2, 2), (1, 4, 3, 2, 2), (2, 8, 2, 3, 2))
    shapes += ((1, 9, 2, 1, 3), (2, 18, 1, 2, 3), (1, 2, 3, 4, 1))
    calls = [
        Call.of(digits(*shape, dtype=dtype), block)
        for *shape, block in shapes
        for dtype in (torch.float32, torch.float64)
    ]
    calls.append(Call.of(torch.randn(1, 8, 2, 3, dtype=torch.float64), 2))
    compare(answer, trusted, calls, gradients=True, without=("pixel_shuffle",))


def _adds(layers: tuple, height: int, width: int, shrinks: bool = True, padded: bool = True) -> int:
    """Count multiply-adds, also as somebody would who forgets that sizes change, or the padding."""
    total = 0
    for in_channels, out_channels, kernel_size, stride, padding in layers:
        if shrinks:
            height, width = conv_size((height, width), kernel_size, stride, padding if padded else 0)
        total += in_channels * out_channels * kernel_size**2 * height * width
    return total


def _check_multiply_adds(answer: Callable) -> None:
    def trusted(layers: tuple, height: int, width: int) -> int:
        return _adds(layers, height, width)

    networks = (
        ((1, 1, 1, 1, 0),),
        ((2, 3, 1, 1, 0),),
        ((1, 2, 3, 1, 1),),
        ((1, 1, 2, 2, 0),),
        ((3, 4, 3, 2, 1), (4, 5, 1, 1, 0)),
        ((3, 16, 3, 1, 1), (16, 16, 3, 2, 1), (16, 32, 3, 2, 0)),
        ((1, whole(2, 9), 5, 3, 2),),
    )
    sizes = ((7, 10), (12, 9), (whole(8, 30), whole(8, 30)))
    compare(answer, trusted, [Call.of(layers, *size) for layers in networks for size in sizes])


def _nonzero(height: int, width: int, kernel_size: int, stride: int, padding: int) -> int:
    kernel = torch.ones(1, 1, kernel_size, kernel_size)
    return int(strided.conv2d_matrix(kernel, (height, width), stride, padding).count_nonzero())


def _check_nonzero_weights(answer: Callable) -> None:
    calls = [
        Call.of(height, width, kernel_size, stride, padding)
        for (height, width), kernel_size, stride, padding in product(
            ((1, 2), (2, 5), (4, 3), (7, 5)), (1, 2, 3, 4), (1, 2, 3), (0, 1, 2)
        )
        if kernel_size <= min(height, width) + 2 * padding
    ]
    height, width = (whole(8, 15) for _ in range(2))
    calls.append(Call.of(height, width, 5, 2, 2))
    compare(answer, _nonzero, calls)


def _check_is_steady(answer: Callable) -> None:
    def trusted(kernel: Tensor, stride: int) -> bool:
        # One row of the road, seen by the kernel's columns, with the crack in many places in turn.
        columns, length = kernel.sum(dim=0).double(), 60 * stride
        roads = torch.eye(length, dtype=torch.float64)[25 * stride : 35 * stride, None]
        totals = functional.conv1d(roads, columns[None, None], stride=stride).sum(dim=-1)
        return bool((totals == totals[0]).all())

    blurs = [torch.outer(row, row) for row in (torch.tensor([1.0, 1]), torch.tensor([1.0, 2, 1]), torch.ones(4))]
    # Steady through their columns and not through their rows, or the other way round.
    lopsided = torch.tensor([[1.0, 0, 0], [0, 3, 0], [1, 0, 1]])
    kernels = [torch.ones(1, 1), *blurs, torch.ones(3, 3), torch.ones(6, 6), lopsided, lopsided.T.contiguous()]
    kernels += [torch.zeros(3, 3), torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])]
    # Their columns add up to 0, so no road is ever seen: steady.
    kernels += [torch.tensor([[-1.0, -2], [1, 2]]), torch.tensor([[1.0, 0], [0, 1]])]
    kernels += [digits(size, size) / 8 for size in (2, 3, 4, 5)]
    for size, stride in ((4, 2), (5, 2), (5, 3), (6, 3), (7, 4)):
        kernels.append(_steady(size, stride))
    compare(answer, trusted, [Call.of(kernel, stride) for kernel in kernels for stride in (1, 2, 3, 4)])


def _steady(size: int, stride: int) -> Tensor:
    """Draw a kernel and mend its first columns, so that all columns a stride apart add up to the same."""
    kernel = digits(size, size) / 8
    for first in range(stride):
        kernel[0, first] += 1 - kernel[:, first::stride].sum()
    return kernel


def _folded(weight: Tensor) -> Tensor:
    row = strided.binomial(3).to(weight.dtype)
    blurs = torch.outer(row, row).expand(weight.shape[1], 1, 3, 3)
    # The full convolution of each kernel with the blur, which is its own mirror image.
    return functional.conv2d(weight, blurs, padding=2, groups=weight.shape[1])


def _check_fold_blur(answer: Callable) -> None:
    weights = [digits(*shape) for shape in ((1, 1, 1, 1), (1, 1, 2, 2), (1, 2, 3, 3), (2, 1, 3, 3), (3, 2, 2, 2))]
    weights += [torch.randn(2, 3, 4, 4, dtype=torch.float64), digits(2, 2, 1, 1, dtype=torch.float64)]
    compare(answer, _folded, [Call.of(weight) for weight in weights], gradients=True)


def _check_fence_from_two_places(answer: object) -> None:
    fence = (torch.arange(17) % 2).float().expand(16, 17)
    agree(answer, tuple(fence[::2, start::2].mean() for start in (0, 1)))


def _check_stripes_after(answer: object) -> None:
    stripes = torch.cos(2 * math.pi * 0.4 * torch.arange(40.0, dtype=torch.float64))
    # Forty pixels hold whole waves, so the stripes go on at the ends as if they met.
    blurred = (stripes.roll(1) + 2 * stripes + stripes.roll(-1)) / 4
    before, after = (torch.fft.rfft(row[::2]).abs() for row in (stripes, blurred))
    agree(answer, (before.argmax() / 20, after.max() / before.max()), within=0.005)


def _check_calm_of_two_poolings(answer: object) -> None:
    noise = torch.randn(20, 1, 96, 127)

    def change(pool: Callable) -> float:
        a, b = (one - one.mean() for one in (pool(noise[..., :-1]), pool(noise[..., 1:])))
        return math.sqrt((a - b).square().sum() / (a.square().sum() + b.square().sum()))

    pools = (lambda x: functional.max_pool2d(x, 2), lambda x: functional.max_pool2d(x, 3, 2, 1))
    agree(answer, tuple(map(change, pools)), within=0.02)


EXERCISES = (
    Exercise(
        "2.1",
        "padding_around",
        _check_padding_around,
        (
            "How many pixels do the windows cover, if there are as many of them as wanted?",
            "From the first window to the last it is one stride less than there are windows; the last one needs its"
            " whole width. Compare that with the size.",
            "A picture that is large enough needs no padding, so the number is never below 0. Half of it, rounded down,"
            " goes in front.",
        ),
        allows=(conv_size,),
        mistakes=(
            (3, lambda *one: _padding(*one)[::-1]),
            (3, lambda size, kernel, stride: _halves((-(-size // stride) - 1) * stride + kernel - size)),
            (1, lambda size, kernel, stride: _halves(kernel - 1)),
            (1, "type"),
        ),
    ),
    Exercise(
        "2.2",
        "sobel",
        _check_sobel,
        (
            "Two kernels of 3 × 3. What shape must a weight have that makes two channels from one?",
            "The kernel is laid on as it stands. For right minus left: +1, +2, +1 in its right column, -1, -2, -1 in"
            " its left one.",
            "The other kernel is the first one, with rows and columns swapped. x.new_tensor takes the dtype from x.",
        ),
        allows=(
            strided.conv2d,
            strided.conv2d_loops,
        ),
        mistakes=(
            (2, lambda x: -_sobel(x)),
            (3, lambda x: _sobel(x).flip(1)),
            (1, "shape"),
            (3, "error"),
            (3, "dtype"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "2.3",
        "depth_to_space",
        _check_depth_to_space,
        (
            "Channel c · block² + i · block + j of x belongs into row i, column j of the blocks of channel c.",
            "Start from an empty picture of the right size, and fill it, one place of the blocks at a time. With slices"
            " that have a step, each is one line.",
            "out[..., i::block, j::block] has the shape of x but for its channels: of those take every block²-th.",
        ),
        mistakes=(
            (
                1,
                lambda x, block: functional.pixel_shuffle(
                    x.unflatten(1, (-1, block, block)).transpose(2, 3).flatten(1, 3), block
                ),
            ),
            (1, lambda x, block: x.reshape(len(x), -1, x.shape[2] * block, x.shape[3] * block)),
            (2, "gradient"),
            (3, "shape"),
            (1, "numbers"),
        ),
    ),
    Exercise(
        "2.4",
        "multiply_adds",
        _check_multiply_adds,
        (
            "How many multiplications does one number of the output cost? And how many numbers has the output?",
            "The next layer sees the output of this one: change height and width as you go along.",
            "conv_size from chapters_code.shapes knows the sizes; remember the padding.",
        ),
        allows=(conv_size,),
        mistakes=(
            (2, lambda layers, height, width: _adds(layers, height, width, shrinks=False)),
            (3, lambda layers, height, width: _adds(layers, height, width, padded=False)),
            (1, lambda layers, height, width: 2 * _adds(layers, height, width)),
            (2, lambda layers, height, width: _adds(layers[:1], height, width)),
        ),
    ),
    Exercise(
        "2.5",
        "nonzero_weights",
        _check_nonzero_weights,
        (
            "Every tap of every window is one number of the matrix, unless the tap lies in the padding.",
            "Rows and columns have nothing to do with each other: count for one side of the picture, then for the"
            " other, and multiply.",
            "For one side: a window starts at i · stride - padding. Of its kernel_size places count those from 0 to"
            " below the size.",
        ),
        allows=(conv_size,),
        mistakes=(
            (1, lambda h, w, k, stride, padding: math.prod(conv_size((h, w), k, stride, padding)) * k * k),
            (2, lambda h, w, k, stride, padding: _nonzero(h, h, k, stride, padding)),
            (3, lambda h, w, k, stride, padding: _nonzero(h, w, k, stride, 0)),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "2.6",
        "is_steady",
        _check_is_steady,
        (
            "The crack runs straight down, so each row of the window meets it in the same column. What does a window"
            " give that has the crack in column j?",
            "Windows start every stride pixels. If one has the crack in its column j, which others see it, and where?",
            "The columns j, j + stride, j + 2 · stride and so on add up to one total. There are as many totals as the"
            " stride, even if the kernel is narrower than that.",
        ),
    ),
    Exercise(
        "2.7",
        "fold_blur",
        _check_fold_blur,
        (
            "The blur adds up nine outputs of the convolution, each with its weight. Each of them looks at a window"
            " one pixel further on.",
            "So the large kernel is nine copies of the small one, each moved by 0 to 2 pixels down and across, times a"
            " weight of the blur.",
            "Start from zeros of the right shape and add each copy into a slice. The weights of the blur are the outer"
            " product of binomial(3) with itself.",
        ),
        allows=(
            strided.binomial,
            strided.blur,
        ),
        mistakes=(
            (3, lambda weight: 16 * _folded(weight)),
            (2, lambda weight: _folded(weight.flip(2, 3))),
            (2, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "2.8",
        "fence_from_two_places",
        _check_fence_from_two_places,
        (
            "Which columns are kept: the even ones or the odd ones? And which of them are bright?",
            "The camera moves by one pixel, and the same columns of the *picture* are kept. Which columns of the fence"
            " are these now?",
        ),
        mistakes=((1, (0.5, 0.5)), (1, (1, 0)), (2, (0, 0)), (2, (0, 0.5))),
        kind="predict",
    ),
    Exercise(
        "2.9",
        "stripes_after",
        _check_stripes_after,
        (
            "The small picture has half as many pixels, so there are twice as many cycles in each. How many cycles per"
            " pixel can a picture show at most, and what becomes of more?",
            "Twice the frequency, if it is below 0.25; 1 − twice the frequency, above.",
            "The share that is kept is a power of the cosine. The power is one less than the number of taps.",
        ),
        mistakes=((1, (0.8, 0.095)), (2, (0.4, 0.095)), (3, (0.2, 0.31)), (3, (0.2, 0.03)), (2, (0.2, 0.65))),
        kind="compute",
    ),
    Exercise(
        "2.10",
        "calm_of_two_poolings",
        _check_calm_of_two_poolings,
        (
            "shift_change wants a layer, or a function of a picture, and the noise. A lambda makes one of max_pool2d"
            " with settings.",
            "The second pooling is ResNet's: kernel 3, stride 2, padding 1. Did you give all three?",
        ),
        mistakes=((2, (0.75, 0.75)), (1, (1, 1))),
        kind="measure",
    ),
    Exercise(
        "2.11",
        "why_blur_first",
        None,
        (
            "After the stride, stripes of 0.45 cycles per pixel have 0.1 cycles per small pixel. What else has?",
            "Compare the two rows of numbers after the stride. Could any layer treat one otherwise than the other?",
        ),
        kind="explain",
    ),
)

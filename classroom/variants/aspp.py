"""Variants of Chapter 04."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from chapters_code import aspp
from chapters_code.aspp import valid_taps
from chapters_code.exercises import aspp as original
from chapters_code.exercises.checking import Call, Exercise, compare, digits, whole
from classroom.variants import Variant

__all__ = ["VARIANTS"]


# ---- 4.1b -----------------------------------------------------------------------------------------


def _check_cross_level(answer):
    def trusted(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        across, down = functional.avg_pool2d(x, (1, width)), functional.avg_pool2d(x, (height, 1))
        return (across + down) / 2

    compare(answer, trusted, [Call.of(x) for x in original._maps()], gradients=True)


def cross_level(x):
    """A row's mean is one number per row, (N, C, H, 1), and a column's (N, C, 1, W). Added, both are spread: each pixel
    finds the mean of its own row and that of its own column. Such strips see a long way in two directions, as a crack
    lies, at the price of a mean.
    """
    return (x.mean(dim=3, keepdim=True) + x.mean(dim=2, keepdim=True)) / 2


# ---- 4.2b -----------------------------------------------------------------------------------------


def _check_strips(answer):
    def trusted(x: Tensor, weight: Tensor, rates: tuple[int, ...]) -> Tensor:
        total = 0
        for rate, tap in product(rates, range(3)):  # each tap is a 1 × 1 convolution of a picture that was moved
            moved = functional.pad(x, (rate, rate))[..., tap * rate : tap * rate + x.shape[-1]]
            total = total + functional.conv2d(moved, weight[..., tap : tap + 1])
        return total

    calls = [
        Call.of(x, digits(out_channels, x.shape[1], 1, 3, dtype=x.dtype), rates)
        for x in original._maps()
        for out_channels, rates in ((1, (1,)), (2, (2, 1)), (3, (6, 12, 18)), (2, (4, 1, 9, 2)))
    ]
    compare(answer, trusted, calls, gradients=True)


def strips(x, weight, rates):
    """The kernel has one row, so nothing is missing above and below; on the left and on the right `rate` pixels are.
    The answers are added, and not laid on each other: the next layer cannot tell any more which rate has said what.
    """
    return sum(functional.conv2d(x, weight, padding=(0, rate), dilation=(1, rate)) for rate in rates)


# ---- 4.3b -----------------------------------------------------------------------------------------


def _check_count_multiply_adds(answer):
    def trusted(in_channels: int, out_channels: int, rates: tuple[int, ...], height: int, width: int) -> int:
        with torch.device("meta"):
            layer, x = aspp.ASPP(in_channels, out_channels, rates), torch.empty(1, in_channels, height, width)
        with FlopCounterMode(display=False) as counter:
            layer(x)
        return counter.get_total_flops() // 2

    small = product((1, 3), (2,), ((1,), (6, 12), (6, 12, 18)), ((1, 2), (5, 4)))
    larger = [(whole(4, 40), whole(4, 40), tuple(range(1, whole(3, 8))), (whole(9, 30), 17)) for _ in range(2)]
    compare(answer, trusted, [Call.of(*one[:3], *one[3]) for one in (*small, *larger)])


def count_multiply_adds(in_channels, out_channels, rates, height, width):
    """A convolution multiplies each of its weights once for each pixel of its output. The branch of the mean has one
    pixel, all others have all of them. The work grows with the number of rates, and how large they are costs nothing.
    """
    mean = in_channels * out_channels
    branches = (1 + 9 * len(rates)) * in_channels * out_channels
    project = (len(rates) + 2) * out_channels * out_channels
    return mean + height * width * (branches + project)


# ---- 4.4b -----------------------------------------------------------------------------------------


def _check_lonely_pixels(answer):
    def trusted(height: int, width: int, rate: int) -> int:
        ones = torch.ones(1, 1, height, width)
        counts = functional.conv2d(ones, ones.new_ones(1, 1, 3, 3), padding=rate, dilation=rate)
        return int((counts == 1).sum())

    small = product((1, 2, 5, 8), (1, 3, 4), (1, 2, 3, 6))
    larger = [(*original._random_map(), rate) for rate in (1, 6, 18, 22, 36)]
    compare(answer, trusted, [Call.of(*one) for one in (*small, *larger)], without=("conv",))


def lonely_pixels(height, width, rate):
    """On one side of n pixels the tap before is outside at the first `rate` pixels, and the one after at the last
    `rate`. Both are outside where the two runs overlap: from n − rate on, up to rate − 1. A pixel is lonely if it is so
    in its row and in its column, so the two counts are multiplied.
    """
    rows, columns = (max(0, min(side, rate) - max(0, side - rate)) for side in (height, width))
    return rows * columns


# ---- 4.5b -----------------------------------------------------------------------------------------


def _check_fewest_rows(answer):
    def trusted(rate: int, least: float) -> int:
        rows = 1
        while original._taps(rows, 2 * rows, rate) < least * 2 * rows * rows:
            rows += 1
        return rows

    # Where the mean can equal `least` it is a number that binary fractions can hold.
    calls = [Call.of(*one) for one in (*product((1, 2, 4, 7, 12), (1.5, 2, 3, 5, 6.875)), (2, 8), (whole(5, 12), 7.5))]
    compare(answer, trusted, calls)


def fewest_rows(rate, least):
    """The mean grows, or stays, with the map, so the first map that has enough is the smallest. It is a matter of the
    quotient: at twice the rate the map must be twice as large.
    """
    rows = 1
    while valid_taps((rows, 2 * rows), rate).mean < least:
        rows += 1
    return rows


# ---- 4.6b -----------------------------------------------------------------------------------------


def _check_put_before(answer):
    def trusted(before: Tensor, before_bias: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        (out, middle), channels = weight.shape[:2], before.shape[1]
        composed, composed_bias = weight.new_zeros(out, channels, *weight.shape[2:]), bias.clone()
        for o, m in product(range(out), range(middle)):
            composed_bias[o] += before_bias[m] * weight[o, m].sum()
            for c in range(channels):
                composed[o, c] += before[m, c, 0, 0] * weight[o, m]
        return composed, composed_bias

    calls = []
    for (channels, middle, out), taps, dtype in product(
        ((1, 1, 1), (1, 2, 1), (2, 1, 3), (3, 2, 4)), ((1, 1), (1, 3), (3, 2)), (torch.float32, torch.float64)
    ):
        shapes = ((middle, channels, 1, 1), (middle,), (out, middle, *taps), (out,))
        # In float64 the numbers have more digits than float32 can hold.
        numbers = digits if dtype == torch.float32 else torch.randn
        calls.append(Call.of(*(numbers(*shape, dtype=dtype) for shape in shapes)))
    compare(answer, trusted, calls)


def put_before(before, before_bias, weight, bias):
    """Each tap of the new kernel is a sum over the middle channels, a product of two matrices. The first bias is the
    same at every pixel, so each tap of the second kernel meets it: it counts with the sum of all taps. With padding
    that would be wrong at the rim, where some taps meet 0 and not the bias.
    """
    composed = torch.einsum("omij,mc->ocij", weight, before[:, :, 0, 0])
    return composed, weight.sum(dim=(2, 3)) @ before_bias + bias


# ---- 4.7b -----------------------------------------------------------------------------------------


def _check_chosen_scales(answer):
    def trusted(x: Tensor, kernels: Tensor, rates: tuple[int, ...], choose: Tensor) -> Tensor:
        pictures = []
        for picture in x.split(1):
            mean = picture.mean(dim=(0, 2, 3))
            shares = torch.stack([(mean * one.flatten()).sum() for one in choose]).softmax(dim=0)
            maps = zip(shares, kernels, rates, strict=True)
            maps = [share * functional.conv2d(picture, one, padding=rate, dilation=rate) for share, one, rate in maps]
            pictures.append(sum(maps))
        return torch.cat(pictures)

    calls = []
    for shape, (out, rates) in product(((1, 1, 1, 2), (2, 1, 4, 2), (3, 2, 5, 7)), ((1, (1,)), (3, (2, 1, 6)))):
        # Single precision only where one scale has the whole share: 1, without rounding.
        for dtype in (torch.float32, torch.float64)[len(rates) > 1 :]:
            x, kernels = digits(*shape, dtype=dtype), digits(len(rates), out, shape[1], 3, 3, dtype=dtype)
            calls.append(Call.of(x, kernels, rates, digits(len(rates), shape[1], 1, 1, dtype=dtype) / 8))
    compare(answer, trusted, calls, gradients=True)


def chosen_scales(x, kernels, rates, choose):
    """The mean of the map says what kind of picture this is, and a 1 × 1 convolution makes of it one score for each
    rate. Softmax turns the scores of a picture into shares that add up to 1. A share is one number for a whole map, so
    each picture weighs its scales by itself; but it does not choose from place to place.
    """
    shares = functional.conv2d(x.mean(dim=(2, 3), keepdim=True), choose).softmax(dim=1)
    scales = [
        functional.conv2d(x, kernel, padding=rate, dilation=rate) for kernel, rate in zip(kernels, rates, strict=True)
    ]
    return (shares[:, :, None] * torch.stack(scales, dim=1)).sum(dim=1)


VARIANTS = (
    Variant(
        "4.1",
        "The row and the column, everywhere",
        """
        Write a branch that reads strips: for `x` (N, C, H, W) of floating point, return a map of the same shape. Each
        of its pixels is half the sum of two means: that of its row, over all columns, and that of its column, over all
        rows. The channels and the pictures stay apart. Keep the dtype, `float32` or `float64`; gradients must go
        through.
        """,
        Exercise("4.1b", "cross_level", _check_cross_level, ()),
        cross_level,
    ),
    Variant(
        "4.2",
        "Left and right, at many distances",
        """
        A kernel of one row and three columns, `weight` (O, C, 1, 3), looks at `x` (N, C, H, W) at each of the `rates`,
        a tuple of any length: at rate r its left and its right tap lie r pixels from the middle, and beyond the map all
        is 0. Each output keeps H and W. Return the *sum* of the outputs of all rates, (N, O, H, W). Keep the dtype;
        gradients must reach `x` and `weight`.
        """,
        Exercise("4.2b", "strips", _check_strips, ()),
        strips,
    ),
    Variant(
        "4.3",
        "How much work is it?",
        """
        How many multiply-adds do the convolutions of `ASPP(in_channels, out_channels, rates)` without normalisation
        need for one map of `height` × `width`? A multiply-add is a weight times a number, be it of the padding, and
        added up; leave the biases and the mean itself out. The 1 × 1 convolution of the branch of the mean works on one
        pixel. Return an `int`, without building the layer.
        """,
        Exercise("4.3b", "count_multiply_adds", _check_count_multiply_adds, ()),
        count_multiply_adds,
    ),
    Variant(
        "4.4",
        "Lonely pixels",
        """
        A 3 × 3 kernel at `rate` visits every pixel of a map of `height` × `width`. At how many of them is its centre
        the only tap on the map? Return an `int`, without a convolution and without the book's `valid_taps`. (Loops will
        do; a formula is nicer.)
        """,
        Exercise("4.4b", "lonely_pixels", _check_lonely_pixels, ()),
        lonely_pixels,
    ),
    Variant(
        "4.5",
        "The smallest useful map",
        """
        Choose a map for a rate. The map has twice as many columns as rows. Return the smallest number of rows (an
        `int`) at which, on average over the map, at least `least` of the nine taps of a 3 × 3 kernel at `rate` are on
        it. `least` is more than 1 and at most 8. You may use `valid_taps`.
        """,
        Exercise("4.5b", "fewest_rows", _check_fewest_rows, (), allows=(valid_taps,)),
        fewest_rows,
    ),
    Variant(
        "4.6",
        "Two in one, the other way round",
        """
        A 1 × 1 convolution with `before` (M, C, 1, 1) and `before_bias` (M,) is followed by a convolution with `weight`
        (O, M, h, w) and `bias` (O,), with nothing in between and without any padding. Return the weight (O, C, h, w)
        and the bias (O,) of the one convolution that does the same. Keep the dtype.
        """,
        Exercise("4.6b", "put_before", _check_put_before, ()),
        put_before,
    ),
    Variant(
        "4.7",
        "A picture chooses its scales",
        """
        Write a layer that weighs its scales anew for each picture. `x` is (N, C, H, W); `kernels` (R, O, C, 3, 3) holds
        one kernel for each of the R `rates`, a tuple. A kernel at its rate gives a map (N, O, H, W), with 0 beyond the
        map. `choose` (R, C, 1, 1) is a 1 × 1 convolution that reads the mean of each channel of `x` and gives R scores
        for each picture; softmax over the R scores makes shares of them. Return the sum of the R maps, each times its
        share: (N, O, H, W). All have the same floating-point dtype, and so has the result. The gradient must reach `x`
        and all the weights. Without the book's layer.
        """,
        Exercise("4.7b", "chosen_scales", _check_chosen_scales, ()),
        chosen_scales,
    ),
)

"""Variants of Chapter 03."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import dilated
from chapters_code.exercises import dilated as original
from chapters_code.exercises.checking import Call, Exercise, compare, digits, whole
from classroom.variants import Variant

__all__ = ["VARIANTS"]


def _check_layers_needed(answer):
    def trusted(side: int, kernel_size: int) -> int:
        layers, sees = 0, 1
        while sees < side:
            layers += 1
            offsets = dilated.footprint(tuple(2**layer for layer in range(layers)), kernel_size)
            sees = offsets[-1] - offsets[0] + 1
        return layers

    calls = [Call.of(side, kernel_size) for side in range(1, 34) for kernel_size in (3, 5)]
    larger = [Call.of(whole(60, 500), kernel_size) for kernel_size in (3, 5, 7)]
    compare(answer, trusted, [*calls, *larger])


def layers_needed(side, kernel_size):
    """One pixel is seen without a layer, and a layer of rate r adds (kernel_size − 1) · r. As the rates double, so
    does, about, the field: ten layers of 3 × 3 see 2047 pixels, where ten plain ones see 21.
    """
    layers, seen, rate = 0, 1, 1
    while seen < side:
        seen += (kernel_size - 1) * rate
        rate *= 2
        layers += 1
    return layers


def _check_batch_to_space(answer):
    def trusted(x: Tensor, rate: int) -> Tensor:
        pictures = len(x) // rate**2
        out = x.new_empty(pictures, x.shape[1], x.shape[2] * rate, x.shape[3] * rate)
        for i, j, n, row, column in product(range(rate), range(rate), *map(range, (pictures, *x.shape[2:]))):
            out[n, :, row * rate + i, column * rate + j] = x[(i * rate + j) * pictures + n, :, row, column]
        return out

    shapes = ((4, 1, 1, 1, 2), (4, 2, 2, 3, 2), (8, 1, 3, 1, 2), (18, 3, 2, 3, 3), (48, 2, 2, 1, 4), (2, 2, 3, 5, 1))
    calls = [Call.of(digits(*shape), rate) for *shape, rate in shapes]
    calls.append(Call.of(torch.randn(18, 2, 2, 4, dtype=torch.float64), 3))
    compare(answer, trusted, calls)


def batch_to_space(x, rate):
    """Cut the batch into its rate² phases, and lay each into its slice, the same as in `space_to_batch`, but on the
    other side of the equals sign. With it a dilated convolution is three steps: space to batch, *one* plain
    convolution, batch to space.
    """
    phases = x.chunk(rate**2)
    n, c, height, width = phases[0].shape
    out = x.new_empty(n, c, height * rate, width * rate)
    for i in range(rate):
        for j in range(rate):
            out[..., i::rate, j::rate] = phases[i * rate + j]
    return out


def _check_hidden_places(answer):
    def trusted(rates: tuple[int, ...], width: int) -> int:
        seen = set(dilated.footprint(rates))
        first, last = min(seen), max(seen)
        return sum(seen.isdisjoint(range(start, start + width)) for start in range(first, last - width + 2))

    stacks = ((), *original._stacks(9))
    compare(answer, trusted, [Call.of(rates, width) for rates in stacks for width in (1, 2, 4)])


def hidden_places(rates, width):
    """Between two neighbours of the footprint that are `step` apart lie step − 1 columns that nobody sees. A crack of
    `width` columns finds step − width places in such a gap, if it is narrow enough. The gaps have nothing to do with
    each other, so their numbers are added.
    """
    offsets = dilated.footprint(rates)
    return sum(max(0, after - before - width) for before, after in zip(offsets, offsets[1:], strict=False))


def _check_depthwise_by_taps(answer):
    def trusted(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        return functional.conv2d(x, weight, dilation=dilation, groups=x.shape[1])

    calls = [
        Call.of(digits(*x, dtype=dtype), digits(x[1], 1, *kernel, dtype=dtype), dilation)
        for x, kernel, dilation, dtype in (
            ((1, 1, 2, 3), (1, 2), 1, torch.float32),
            ((1, 2, 3, 5), (2, 2), 2, torch.float32),
            ((1, 2, 5, 7), (2, 3), 3, torch.float32),
            ((2, 3, 6, 5), (3, 2), 2, torch.float64),
            ((2, 4, 9, 8), (3, 3), 3, torch.float64),
        )
    ]
    calls.append(Call.of(*(torch.randn(shape, dtype=torch.float64) for shape in ((2, 3, 5, 6), (3, 1, 2, 3))), 2))
    compare(answer, trusted, calls, gradients=True, without=("conv",))


def depthwise_by_taps(x, weight, dilation):
    """One tap at a time, as in the plain convolution; but a tap of a depthwise one is a number for each channel, and
    mixes nothing. `weight[:, 0, k, j, None, None]` has the shape (C, 1, 1), so it is multiplied to each channel of the
    shifted picture.
    """
    rows, columns = weight.shape[-2:]
    height = x.shape[-2] - dilation * (rows - 1)
    width = x.shape[-1] - dilation * (columns - 1)
    out = 0
    for k in range(rows):
        for j in range(columns):
            top, left = k * dilation, j * dilation
            shifted = x[..., top : top + height, left : left + width]
            out = out + weight[:, 0, k, j, None, None] * shifted
    return out


def _check_count_ways_back(answer):
    def trusted(rates: tuple[int, ...]) -> Tensor:
        # Each way is one choice of a tap in every layer: try them all.
        ways = [sum(choice) for choice in product(*((0, rate) for rate in rates))]
        return torch.tensor([ways.count(back) for back in range(max(ways) + 1)])

    compare(answer, trusted, [Call.of(rates) for rates in ((), *original._stacks(12))])


def count_ways_back(rates):
    """Each layer lays two copies of the row on top of each other, `rate` apart. With rates 1, 2, 4, 8 each of 16
    numbers is reached in exactly one way, by the digits of its distance in the binary system; that is the stack of
    WaveNet, which makes sound.
    """
    ways = torch.ones(1, dtype=torch.int64)
    for rate in rates:
        longer = torch.zeros(len(ways) + rate, dtype=torch.int64)
        longer[: len(ways)] += ways
        longer[rate:] += ways
        ways = longer
    return ways


def _check_each_in_one_way(answer):
    def trusted(rates: tuple[int, ...], kernel_size: int) -> bool:
        half = kernel_size // 2
        ways = [sum(choice) for choice in product(*(range(-half * rate, half * rate + 1, rate) for rate in rates))]
        return len(set(ways)) == len(ways)

    # Rates 2, 3 have holes, and yet no pixel is reached twice: to ask for copies that do not overlap is not enough.
    stacks = ((), (2, 3), (3, 2), (1, 3, 9), (9, 1, 3), (1, 5), (2, 5, 10), *original._stacks(12))
    compare(answer, trusted, [Call.of(rates, kernel_size) for rates in stacks for kernel_size in (3, 5)])


def each_in_one_way(rates, kernel_size):
    """List where every way ends, and look whether any place is listed twice. A layer makes `kernel_size` ways of each.
    A rule as short as the one for holes there is not: rates 1, 3, 9 reach each pixel once since their copies lie side
    by side, and rates 2, 3 do so since their copies lie *between* each other.
    """
    half = kernel_size // 2
    ends = [0]
    for rate in rates:
        ends = [end + rate * tap for end in ends for tap in range(-half, half + 1)]
    return len(set(ends)) == len(ends)


VARIANTS = (
    Variant(
        "3.1",
        "How many layers",
        """
        The layers of a stack have the rates 1, 2, 4, 8 and so on, each twice the one before, and kernels of one odd
        `kernel_size`. Write `layers_needed`, which returns how many layers are needed, so that the receptive field is
        `side` pixels wide or wider, holes included: an `int`. A `side` of 1 needs none. Use the formula, not
        `footprint`.
        """,
        Exercise("3.1b", "layers_needed", _check_layers_needed, ()),
        layers_needed,
    ),
    Variant(
        "3.2",
        "Back from the batch",
        """
        Write *batch to space*, which undoes space to batch: from `x` (rate² · N, C, h, w) make (N, C, h · rate, w ·
        rate), given `rate`. In `x` first come the N pictures of phase (0, 0), then those of (0, 1), and so on, row by
        row. Call it `batch_to_space`. Keep the dtype.
        """,
        Exercise("3.2b", "batch_to_space", _check_batch_to_space, ()),
        batch_to_space,
    ),
    Variant(
        "3.3",
        "Places to hide",
        """
        A straight crack of `width` columns runs down through the receptive field of a stack of 3 × 3 layers with these
        `rates`. It lies in the field with all of its columns. Write `hidden_places`, which returns in how many places
        it can lie so that *none* of it is seen, an `int`. `footprint` may help.
        """,
        Exercise("3.3b", "hidden_places", _check_hidden_places, (), allows=(dilated.footprint,)),
        hidden_places,
    ),
    Variant(
        "3.4",
        "Tap by tap, each channel for itself",
        """
        A *depthwise* convolution has one kernel for each channel and mixes none: `groups` is the number of channels.
        Write `depthwise_by_taps`, the dilated depthwise convolution of `x` (N, C, H, W) with `weight` (C, 1, kH, kW) at
        `dilation`, without padding, and without any convolution: not PyTorch's, and none of the book's. Values, dtype
        and gradients must be PyTorch's.
        """,
        Exercise("3.4b", "depthwise_by_taps", _check_depthwise_by_taps, ()),
        depthwise_by_taps,
    ),
    Variant(
        "3.5",
        "In how many ways, looking back",
        """
        A network for sound may only look back: its kernels have two taps, one on the place itself and one `rate` places
        before it. Given the `rates` of a stack of such layers, which may be empty, write `count_ways_back`: the number
        of ways to each place that the output can see, from the place itself back to the one farthest away, with 0 for a
        place that is not reached. Return an int64 tensor.
        """,
        Exercise("3.5b", "count_ways_back", _check_count_ways_back, ()),
        count_ways_back,
    ),
    Variant(
        "3.6",
        "Each pixel once",
        """
        Along one axis, write `each_in_one_way`: return True if a stack of layers with these `rates` and this odd
        `kernel_size` reaches no pixel in more than one way, and False if it reaches one in two ways or more. There may
        be holes. An empty stack reaches one pixel, in one way. Do not use the book's functions. *Draw rates 2 and 3 on
        paper first.*
        """,
        Exercise("3.6b", "each_in_one_way", _check_each_in_one_way, ()),
        each_in_one_way,
    ),
)

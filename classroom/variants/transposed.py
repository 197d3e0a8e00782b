"""Variants of Chapter 05."""

import math
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.exercises.checking import Call, Exercise, all_pairs, compare, digits, whole
from chapters_code.shapes import conv_transpose_size
from chapters_code.transposed import overlap_count, phase_sums
from classroom.variants import Variant

__all__ = ["VARIANTS"]


# ---- 5.1b -----------------------------------------------------------------------------------------


def _check_stamp_with_holes(answer):
    def trusted(x: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
        return functional.conv_transpose1d(x[None, None], kernel[None, None], stride=stride, dilation=dilation)[0, 0]

    calls = [
        Call.of(digits(size, dtype=dtype), digits(taps, dtype=dtype), stride, dilation)
        for size, taps, stride, dilation, dtype in all_pairs(
            (1, 2, 3, 5), (1, 2, 3, 4), (1, 2, 3, 6), (1, 2, 3), (torch.float32, torch.float64)
        )
    ]
    calls.append(Call.of(torch.randn(4, dtype=torch.float64), torch.randn(3, dtype=torch.float64), 2, 2))
    compare(answer, trusted, calls, gradients=True, without=("conv",))


def stamp_with_holes(x, kernel, stride, dilation):
    """The last stamp begins at (n − 1) · stride and reaches over dilation · (k − 1) + 1 pixels. Within a stamp every
    `dilation`-th pixel is painted: that is a slice with a step.
    """
    reach = dilation * (len(kernel) - 1) + 1
    canvas = x.new_zeros((len(x) - 1) * stride + reach)
    for i, pixel in enumerate(x):
        canvas[i * stride : i * stride + reach : dilation] += pixel * kernel
    return canvas


# ---- 5.2b -----------------------------------------------------------------------------------------


def _check_exactly_larger(answer):
    def trusted(kernel_size: int, stride: int, dilation: int) -> tuple[int, int]:
        for extra, padding in product(range(stride), range(kernel_size * dilation)):
            try:
                size = conv_transpose_size(50, kernel_size, stride, padding, extra, dilation)
            except ValueError:
                continue
            if size == 50 * stride:
                return padding, extra
        raise AssertionError("no setting fits")

    grid = [*product(range(1, 9), (2, 3, 4), (1, 2, 3)), (64, 32, 1), (whole(20, 30), whole(9, 19), 1)]
    compare(answer, trusted, [Call.of(*one) for one in grid if one[2] * (one[0] - 1) + 1 >= one[1]])


def exactly_larger(kernel_size, stride, dilation):
    """The size is n · stride if reach − stride pixels are taken away again. Padding takes them away in pairs. If their
    number is odd, take one more, and give one back by `output_padding`.
    """
    surplus = dilation * (kernel_size - 1) + 1 - stride
    return (surplus + 1) // 2, surplus % 2


# ---- 5.3b -----------------------------------------------------------------------------------------


def _check_overlapped(answer):
    def counted(size: int, kernel_size: int, stride: int) -> int:
        canvas = [0] * ((size - 1) * stride + kernel_size)
        for i, j in product(range(size), range(kernel_size)):
            canvas[i * stride + j] += 1
        return sum(stamps >= 2 for stamps in canvas)

    def trusted(size: int, kernel_size: int, stride: int) -> int:
        few = kernel_size + 2
        if size <= few:
            return counted(size, kernel_size, stride)
        # From there on each further pixel of the map adds the same.
        step = counted(few, kernel_size, stride) - counted(few - 1, kernel_size, stride)
        return counted(few, kernel_size, stride) + (size - few) * step

    calls = [Call.of(*one) for one in product((1, 2, 3, 5), (1, 2, 3, 5, 6), (1, 2, 3, 4))]
    calls += [Call.of(10**15 + whole(0, 99), *one) for one in ((3, 2), (8, 3), (16, 8), (5, 5), (2, 7), (7, 1))]
    compare(answer, trusted, calls, without=("conv",))


def overlapped(size, kernel_size, stride):
    """Two neighbours share the last `kernel_size - stride` pixels of the first one, if that is more than 0. There are
    size − 1 pairs of neighbours, and their shares begin `stride` pixels apart. If a share is longer than that, it runs
    into the next one, and of each pair but the last only `stride` pixels are new.
    """
    share = kernel_size - stride
    if size < 2 or share <= 0:
        return 0
    return (size - 2) * min(stride, share) + share


# ---- 5.4b -----------------------------------------------------------------------------------------


def _check_bell(answer):
    def trusted(taps: int) -> Tensor:
        half, middle = (taps + 1) // 2, (taps - 1) / 2
        return torch.tensor([(1 + math.cos(math.pi * (tap - middle) / half)) / 2 for tap in range(taps)])

    compare(answer, trusted, [Call.of(taps) for taps in (*range(1, 10), whole(10, 71), 64, 63)])


def bell(taps):
    """As for the tent, the middle is at (taps − 1) / 2 and the ground is reached (taps + 1) // 2 pixels from it. A
    cosine that falls and one that rises add up to 1, too: so this kernel keeps a flat map flat, and has no edges.
    """
    distance = torch.arange(taps) - (taps - 1) / 2
    return (1 + torch.cos(math.pi * distance / ((taps + 1) // 2))) / 2


# ---- 5.5b -----------------------------------------------------------------------------------------


def _check_painted_gradients(answer):
    def trusted(gradient: Tensor, weight: Tensor, stride: int, padding: int) -> tuple[Tensor, Tensor]:
        travel = [side + 2 * padding - taps for side, taps in zip(gradient.shape[2:], weight.shape[2:], strict=True)]
        size, extra = [one // stride + 1 for one in travel], [one % stride for one in travel]
        x = gradient.new_zeros(len(gradient), len(weight), *size, requires_grad=True)
        bias = gradient.new_zeros(weight.shape[1], requires_grad=True)
        out = functional.conv_transpose2d(x, weight, bias, stride, padding, extra)
        return torch.autograd.grad(out, (x, bias), gradient)

    calls, kinds = [], ((1, 1, torch.float32), (3, 2, torch.float64))
    settings = all_pairs(((2, 3), (4, 2)), ((1, 2), (3, 3), (2, 4)), (1, 2, 3), (0, 1), (0, 1), kinds)
    for size, taps, stride, padding, extra, (channels, out, dtype) in settings:
        extra = min(extra, stride - 1)
        try:
            sides = conv_transpose_size(size, taps, stride, padding, extra)
        except ValueError:  # nothing would be left
            continue
        # In float64 the numbers have more digits than float32 can hold.
        numbers = digits if dtype == torch.float32 else torch.randn
        weight = numbers(channels, out, *taps, dtype=dtype)
        calls.append(Call.of(numbers(2, out, *sides, dtype=dtype), weight, stride, padding))
    compare(answer, trusted, calls, autograd=False, without=("convolution_backward",))


def painted_gradients(gradient, weight, stride, padding):
    """A pixel was painted onto a window, so its gradient is gathered from that window: a convolution with the same
    weights, stride and padding. A remainder that is smaller than the stride, from `output_padding`, makes no further
    window. The bias is added to every pixel of its channel, so it collects from all of them.
    """
    return functional.conv2d(gradient, weight, None, stride, padding), gradient.sum(dim=(0, 2, 3))


# ---- 5.6b -----------------------------------------------------------------------------------------


def _check_block_first_weight(answer):
    def trusted(channels: int, block: int) -> Tensor:
        weight = torch.zeros(channels * block**2, channels, block, block)
        for number, (i, j, channel) in enumerate(product(range(block), range(block), range(channels))):
            weight[number, channel, i, j] = 1
        return weight

    compare(answer, trusted, [Call.of(*one) for one in (*product((1, 2, 3), (1, 2, 3)), (whole(4, 8), whole(2, 5)))])


def block_first_weight(channels, block):
    """A layer that is linear shows its weights when it gets a single 1. So send all the channels, each as a picture of
    one pixel: row number n of the unit matrix is the picture in which only channel n is 1. Its 1 lands in one channel,
    one row and one column of the block.
    """
    single = torch.eye(channels * block**2)
    return single.unflatten(1, (block, block, channels)).movedim(-1, 1)


# ---- 5.7b -----------------------------------------------------------------------------------------


def _check_even_strength(answer):
    def trusted(weight: Tensor, stride: int) -> Tensor:
        even = weight.clone()
        for channel, i, j in product(range(weight.shape[1]), range(stride), range(stride)):
            taps = weight[:, channel, i::stride, j::stride]
            even[:, channel, i::stride, j::stride] = taps / taps.square().sum().sqrt()
        return even

    calls = []
    for channels, taps, stride, dtype in all_pairs(
        ((1, 1), (2, 1), (1, 3), (3, 2)), ((3, 3), (3, 4), (5, 3)), (1, 2, 3), (torch.float32, torch.float64)
    ):
        shape = (*channels, *taps)
        signs = 2 * torch.randint(0, 2, shape) - 1
        # In quarters, since weights need not be integers.
        calls.append(Call.of((signs * torch.randint(1, 37, shape) / 4).to(dtype), stride))
    compare(answer, trusted, calls)


def even_strength(weight, stride):
    """`phase_sums` of the squared weights gives the sum that is wanted, for each channel of the output and each phase.
    Indexing by rows and columns modulo the stride lays the sums out like the taps. Their roots are what the taps are
    divided by: noise then comes out equally strong at all phases, though a flat map need not stay flat.
    """
    rows, columns = (torch.arange(taps) % stride for taps in weight.shape[2:])
    strength = phase_sums(weight.square(), stride).sqrt()
    return weight / strength[:, rows[:, None], columns]


VARIANTS = (
    Variant(
        "5.1",
        "A stamp with holes",
        """
        Write the stamps in one dimension, with dilation and without padding: `x` (n,) and `kernel` (k,) of the same
        floating-point dtype, a `stride`, and a `dilation`, the distance of neighbouring taps on the canvas. Return the
        whole canvas, in their dtype. Gradients must go through. Without PyTorch's convolutions.
        """,
        Exercise("5.1b", "stamp_with_holes", _check_stamp_with_holes, ()),
        stamp_with_holes,
    ),
    Variant(
        "5.2",
        "Exactly so many times larger",
        """
        A transposed convolution with this `kernel_size`, `stride` (2 or more) and `dilation` shall make every map
        exactly `stride` times as large. Its reach, dilation · (kernel_size − 1) + 1, is not smaller than the stride.
        Return `(padding, output_padding)`, two `int`s, with the smallest output_padding that does it.
        `conv_transpose_size` may help.
        """,
        Exercise("5.2b", "exactly_larger", _check_exactly_larger, (), allows=(conv_transpose_size,)),
        exactly_larger,
    ),
    Variant(
        "5.3",
        "Painted twice",
        """
        In one dimension: `size` input pixels, `kernel_size`, `stride`, no padding. How many pixels of the canvas do two
        stamps or more reach? Return an `int`. It may be 0. Some of the maps have 10¹⁵ pixels, so count without
        painting.
        """,
        Exercise("5.3b", "overlapped", _check_overlapped, ()),
        overlapped,
    ),
    Variant(
        "5.4",
        "The bell",
        """
        Write one side of a smooth kernel, as a `float32` tensor of `taps` numbers, for odd and for even `taps`. As in
        the tent, the middle lies on a tap or between two, and the ground, 0, is reached (taps + 1) // 2 pixels from it;
        call that h. In between, a tap at the distance d from the middle is ½ + ½ cos(πd / h).
        """,
        Exercise("5.4b", "bell", _check_bell, ()),
        bell,
    ),
    Variant(
        "5.5",
        "The way back of a stamp",
        """
        A transposed convolution with `weight` (C, C', h, w), a bias, `stride` and `padding`, and perhaps an
        output_padding smaller than the stride, has made maps from `x` (N, C, H, W). Given the `gradient` of the loss by
        these maps, (N, C', H', W'), return two gradients: by `x`, (N, C, H, W), and by the bias, (C',). The bias is
        added at every pixel of the maps. Autograd is closed, PyTorch's convolutions are open. Keep the dtype.
        """,
        Exercise("5.5b", "painted_gradients", _check_painted_gradients, ()),
        painted_gradients,
    ),
    Variant(
        "5.6",
        "Depth to space, in another order",
        """
        TensorFlow has a layer like `functional.pixel_shuffle`, but its channels have another order: of `x` (N, block² ·
        channels, H, W) the second axis counts the rows of the block first, then its columns, then the `channels` of the
        output, the last one fastest. It is a transposed convolution with stride `block`. Return its weight for
        `conv_transpose2d(x, weight, stride=block)`: `float32`, (block² · channels, channels, block, block).
        """,
        Exercise("5.6b", "block_first_weight", _check_block_first_weight, ()),
        block_first_weight,
    ),
    Variant(
        "5.7",
        "Every phase equally strong",
        """
        Given a `weight` (C, C', kH, kW), without zeros but of both signs, and a `stride`, return a weight of the same
        shape whose phases are equally strong: in each channel of the output, divide the taps of each phase, over all
        channels of the input, by one positive number, so that their *squares* add up to 1. (The stride is no larger
        than rows or columns.) Keep the dtype; `phase_sums` and `overlap_count` may help.
        """,
        Exercise("5.7b", "even_strength", _check_even_strength, (), allows=(phase_sums, overlap_count)),
        even_strength,
    ),
)

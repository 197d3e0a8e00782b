"""Solutions of Chapter 02."""

import math

import torch

from chapters_code.pooling import max_pool2d
from chapters_code.shapes import conv_size
from chapters_code.strided import binomial, conv2d, shift_change


def padding_around(size, kernel_size, stride):
    """The windows cover one stride for each but the last, and the last one its width; what the picture lacks is
    padding. TensorFlow pads like this and calls it "SAME". For 3 × 3 with stride 2 and an even size that is (0, 1),
    while our layer pads (1, 1), so its windows start one pixel earlier. Weights that move from one to the other see a
    shifted picture.
    """
    windows = -(-size // stride)
    lacking = max(0, (windows - 1) * stride + kernel_size - size)
    return lacking // 2, lacking - lacking // 2


def sobel(x):
    """Two kernels make two channels, so the weight has the shape (2, 1, 3, 3). The kernel is not turned round, so its
    right column holds what is added. The second kernel is the first with rows and columns swapped. `new_tensor` takes
    the dtype of `x`: a `float32` weight would not do for a `float64` picture.
    """
    across = x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return conv2d(x, torch.stack([across, across.T])[:, None])


def depth_to_space(x, block):
    """The same slices as in `space_to_depth`, on the other side of the equals sign. Place (i, j) of the blocks takes
    every block²-th channel, from number `i · block + j` on.
    """
    pictures, channels, height, width = x.shape
    out = x.new_empty(pictures, channels // block**2, height * block, width * block)
    for i in range(block):
        for j in range(block):
            out[..., i::block, j::block] = x[:, i * block + j :: block**2]
    return out


def multiply_adds(layers, height, width):
    """Each number of an output is a sum of `in_channels · kernel_size²` products, and there are `out_channels · H' ·
    W'` such numbers. The sizes must be carried along: a stride early in a network makes *all* later layers cheap, which
    is the other reason why networks shrink.
    """
    total = 0
    for in_channels, out_channels, kernel_size, stride, padding in layers:
        height, width = conv_size((height, width), kernel_size, stride, padding)
        total += in_channels * out_channels * kernel_size**2 * height * width
    return total


def nonzero_weights(height, width, kernel_size, stride, padding):
    """Every tap that lies inside the picture puts its weight into the matrix; those in the padding put nothing. Whether
    a tap lies inside is decided for its row and its column separately, so the two counts are multiplied. Chapter 04
    counts the same way, and finds a layer that has one tap left of nine.
    """
    product = 1
    for size in (height, width):
        starts = range(-padding, size + padding - kernel_size + 1, stride)
        product *= sum(0 <= start + tap < size for start in starts for tap in range(kernel_size))
    return product


def is_steady(kernel, stride):
    """A straight crack meets each row of a window in the same column, so only the sums of the columns count. If one
    window has the crack in its column j, its neighbours have it in columns j + stride, j + 2 · stride and so on: the
    total is the sum of every stride-th column, from one of `stride` starts. The output is steady if these sums are
    equal. For the blurs with binomial weights and a stride of 2 they are, as in each row of Pascal's triangle.
    """
    columns = kernel.sum(dim=0)
    totals = [columns[first::stride].sum().item() for first in range(stride)]
    return all(total == totals[0] for total in totals)


def fold_blur(weight):
    """The blur is a weighted sum of nine outputs of the convolution, and each of them is the convolution moved by a
    pixel. So the large kernel is the same weighted sum of nine moved kernels. One layer in place of two, and no pixel
    is computed only to be left out; but a ReLU cannot stand between them any more.
    """
    rows, columns = weight.shape[2:]
    out = weight.new_zeros(*weight.shape[:2], rows + 2, columns + 2)
    blur = torch.outer(binomial(3), binomial(3)).to(weight)
    for i in range(3):
        for j in range(3):
            out[..., i : i + rows, j : j + columns] += blur[i, j] * weight
    return out


def fence_from_two_places():
    """0 and 1. Every second column is kept, and every second column is dark: from the first place all that is kept is
    dark, from the second all is bright. The stripes are gone without a trace, and the whole picture turns from black to
    white because the camera moved by one pixel. Average pooling gives an even 0.5 in both places.
    """
    fence = (torch.arange(17) % 2).float().expand(16, 17)
    here, moved = fence[:, :-1], fence[:, 1:]
    return here[::2, ::2].mean().item(), moved[::2, ::2].mean().item()


def stripes_after():
    """0.2 and about 0.095. Twice 0.4 would be 0.8 cycles per pixel, and no picture can show more than 0.5: the stripes
    come back as 1 − 0.8 = 0.2, five pixels from one to the next. Three taps keep cos(0.4 π)² of them, a tenth. They are
    false stripes all the same, and a tenth of a strong pattern may be as strong as a crack.
    """
    frequency, taps = 0.4, 3
    return 1 - 2 * frequency, math.cos(math.pi * frequency) ** (taps - 1)


def calm_of_two_poolings():
    """About 0.75 and 0.63: ResNet's pooling changes less, so it is calmer. When the camera moves by one pixel, a window
    of 3 still sees two of its three columns, and a window of 2 only one of its two. So the largest number stays the
    same more often. Nobody meant this as a blur. Blurring with (1, 2, 1) before the stride is calmer still (0.58): the
    largest of nine numbers can jump, and their weighted mean changes little by little.
    """
    noise = torch.randn(20, 1, 96, 127)
    ways = (lambda x: max_pool2d(x, 2), lambda x: max_pool2d(x, 3, stride=2, padding=1))
    return tuple(shift_change(way, noise) for way in ways)


def why_blur_first():
    """It is not even cheaper: a blur with a stride, too, computes only the pixels that are kept, with as many products
    for each. And it comes too late. After the stride, stripes of 0.45 cycles per pixel are the same numbers as coarse
    stripes of 0.05 cycles that were really there: both have 0.1 cycles per small pixel. A blur behind the stride sees
    only these numbers. It cannot weaken the false stripes and leave the true ones; stripes as coarse as that it hardly
    weakens at all. Before the stride the two still differ: the false ones are fine, and a blur takes most of them away
    before they can change their name.
    """
    return (
        "It is no cheaper: a blur with stride 2 computes only what is kept, a quarter of the pixels.",
        "A stride of 2 turns waves above 0.25 cycles per pixel into coarser ones.",
        "After the stride, false stripes and true ones are the same numbers: no layer behind it can tell them apart.",
        "Before the stride the fine waves can still be told by their frequency, and a blur weakens just these.",
    )

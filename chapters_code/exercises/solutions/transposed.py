"""Solutions of Chapter 05."""

import torch
from torch.nn import functional

from chapters_code.transposed import BilinearUpsample2d, phase_sums


def stamp(x, kernel, stride, padding):
    """First the whole canvas, then the cut. `new_zeros` gives the canvas the dtype of `x`. Padding takes pixels away
    here, since it belongs to the convolution that goes the other way: that one *adds* them, and they are no part of the
    picture.
    """
    canvas = x.new_zeros((len(x) - 1) * stride + len(kernel))
    for i, pixel in enumerate(x):
        canvas[i * stride : i * stride + len(kernel)] += pixel * kernel
    return canvas[padding : len(canvas) - padding]


def padding_back(size, kernel_size, stride, padding):
    """The window can travel `size + 2 · padding − kernel_size` pixels, in steps of the stride. The remainder is what it
    never sees, and what the way back does not know of. As a remainder it is smaller than the stride, so PyTorch accepts
    it.
    """
    return (size + 2 * padding - kernel_size) % stride


def stamps_on(place, size, kernel_size, stride):
    """The stamps that reach a pixel follow each other: count from the first to the last. Inside, where neither end of
    the map matters, their number goes back and forth between two neighbouring integers, unless the stride divides
    the kernel size. In two dimensions the counts of row and column are multiplied, which is how 1, 2 and 4 come about.
    """
    last = min(place // stride, size - 1)
    first = max((place - kernel_size) // stride + 1, 0)
    return max(last - first + 1, 0)


def tent(taps):
    """The middle is at (taps − 1) / 2, on a tap if their number is odd and between two if it is even. From there the
    tent falls by 1 over `(taps + 1) // 2` pixels, the scale that such a kernel is made for.
    """
    distance = (torch.arange(taps) - (taps - 1) / 2).abs()
    return 1 - distance / ((taps + 1) // 2)


def input_gradient(gradient, weight, size, stride, padding):
    """The same weights, stride and padding, in the other direction. Pixels that no window has seen get a gradient of 0:
    they lie at the far side, in the rows and columns that `output_padding` adds. This is what `backward()` does for
    every convolution.
    """
    extra = [(side + 2 * padding - taps) % stride for side, taps in zip(size, weight.shape[2:], strict=True)]
    return functional.conv_transpose2d(gradient, weight, None, stride, padding, extra)


def shuffle_weight(channels, block):
    """A single 1 in channel c, and 0 in all others: what comes out is the stamp of channel c. So send all of them, each
    as a picture of one pixel, and the results are the weights. It works for every layer that is linear. What you see:
    each stamp holds a single 1. With the same weights, `conv2d` goes the other way, `pixel_unshuffle`.
    """
    single = torch.eye(channels * block**2)[:, :, None, None]
    return functional.pixel_shuffle(single, block)


def balance(weight, stride):
    """Indexing by all rows and columns modulo the stride lays the sums out like the taps: each tap finds the sum of its
    own phase. The counts of a 3 × 3 kernel at stride 2 stay 1, 2 and 4, and yet a flat map stays flat. After a step of
    training the sums differ again, so this is a start, not a law; a layer could divide in every `forward`.
    """
    rows, columns = (torch.arange(taps) % stride for taps in weight.shape[2:])
    return weight / phase_sums(weight, stride)[:, rows[:, None], columns]


def there_and_back():
    """25 pixels, and 9 at the pixel itself. The convolution makes nine ones of the single one, since nine windows see
    it. Then each of the nine is stamped onto nine pixels: together 5 × 5, and the middle is covered by all of them. The
    size has come back; the picture is wider and brighter than it was. This layer is the transpose of a convolution, and
    no inverse.
    """
    x, nine = torch.zeros(1, 1, 8, 12), torch.ones(1, 1, 3, 3)
    x[..., 4, 5] = 1
    back = functional.conv_transpose2d(functional.conv2d(x, nine, padding=1), nine, padding=1)
    return int(back.count_nonzero()), back[0, 0, 4, 5].item()


def five_doublings():
    """(n − 1) · 2 − 2 · 1 + 3 = 2n − 1: one pixel less than twice as many, in each layer. The pixel that is missing is
    doubled, too, so five layers lose 1 + 2 + 4 + 8 + 16 = 31 of 320 rows, and as many columns. With `output_padding=1`
    each layer gives 2n; so does a kernel of 4 with this stride and padding.
    """
    height, width = 10, 15
    for _ in range(5):
        height, width = 2 * height - 1, 2 * width - 1
    return height, width


def round_trips():
    """Three quarters are left after one trip, and about a quarter after ten. To enlarge and to average are no inverses
    of each other: the tent gives each neighbour an eighth. After ten trips it is not 0.75¹⁰, which would be 0.06, since
    the neighbours give something back. But what is thin is spread over many cells: each way down and up again costs
    detail, also if no network is in between.
    """
    crack, left = torch.zeros(1, 1, 15, 21), []
    crack[..., 10] = 1
    for _ in range(10):
        crack = functional.avg_pool2d(BilinearUpsample2d(8, "replicate")(crack), 8)
        left.append(crack[0, 0, 7, 10].item())
    return left[0], left[-1]


def why_even_counts_do_not_help():
    """Stride 2 divides 4, so each pixel far inside gets four taps: the *counts* are equal. But which four depends on
    the row and the column modulo 2, its phase, and four random weights have another sum than four others. So a flat map
    comes out as four different numbers, over and over again. What the size does help with is that no phase is stronger
    in all channels. To begin without a pattern, start from a bilinear kernel, whose phase sums are equal; or resize
    first and convolve afterwards; or blur.
    """
    return (
        "4 × 4 at stride 2 makes the counts equal: every phase has four taps.",
        "A flat map stays flat only if the sums of the taps are equal for all phases, and random weights have other"
        " sums.",
        "A way out: a bilinear start, or resize and then convolve, or a blur afterwards.",
    )

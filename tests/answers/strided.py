"""Answers to the exercises of Chapter 02."""

import math
from itertools import product

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code.shapes import conv_size
from chapters_code.strided import binomial, blur, conv2d_loops, conv2d_matrix

# ---- 2.1 padding_around -------------------------------------------------------------------------


@right("2.1")
def adds_pixels_until_it_fits(size, kernel_size, stride):
    before = after = 0
    while (size + before + after - kernel_size) // stride + 1 < math.ceil(size / stride):
        if before == after:
            after += 1
        else:
            before += 1
    return before, after


@right("2.1")
def looks_at_the_remainder(size, kernel_size, stride):
    last = size % stride or stride  # of the picture, what the last window must at least cover
    lacking = max(kernel_size - last, 0)
    return [lacking // 2, (lacking + 1) // 2]


@wrong("2.1", "numbers differ")
def puts_the_extra_pixel_in_front(size, kernel_size, stride):
    return adds_pixels_until_it_fits(size, kernel_size, stride)[::-1]


@wrong("2.1", "numbers differ")
def pads_as_for_stride_one(size, kernel_size, stride):
    return (kernel_size - 1) // 2, kernel_size // 2


@wrong("2.1", "numbers differ")
def pads_both_sides_alike(size, kernel_size, stride):
    return (adds_pixels_until_it_fits(size, kernel_size, stride)[1],) * 2


@wrong("2.1", "numbers differ")
def cuts_where_nothing_is_lacking(size, kernel_size, stride):
    lacking = (math.ceil(size / stride) - 1) * stride + kernel_size - size
    return lacking // 2, lacking - lacking // 2


@wrong("2.1", "numbers differ")
def rounds_the_size_down(size, kernel_size, stride):
    lacking = max(0, (size // stride - 1) * stride + kernel_size - size)
    return lacking // 2, lacking - lacking // 2


@wrong("2.1", "2 values were wanted, you returned an int")
def returns_the_sum(size, kernel_size, stride):
    return sum(adds_pixels_until_it_fits(size, kernel_size, stride))


@wrong("2.1", "int was wanted, you returned a float")
def answers_with_halves(size, kernel_size, stride):
    return tuple(sum(adds_pixels_until_it_fits(size, kernel_size, stride)) / 2 for _ in range(2))


# ---- 2.2 sobel ----------------------------------------------------------------------------------

ACROSS = [[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]
DOWN = [[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]


@right("2.2")
def writes_both_kernels_down(x):
    return functional.conv2d(x, torch.tensor([[ACROSS], [DOWN]], dtype=x.dtype))


@right("2.2")
def cuts_and_subtracts(x):
    across, down = x[..., 2:] - x[..., :-2], x[..., 2:, :] - x[..., :-2, :]
    return torch.cat(
        [
            across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :],
            down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:],
        ],
        dim=1,
    )


@right("2.2")
def takes_the_loops(x):
    return conv2d_loops(x, x.new_tensor([[ACROSS], [DOWN]]))


@wrong("2.2", "numbers differ")
def turns_the_kernels_round(x):
    return functional.conv2d(x, x.new_tensor([[ACROSS], [DOWN]]).flip(-2, -1))


@wrong("2.2", "numbers differ")
def swaps_the_channels(x):
    return functional.conv2d(x, x.new_tensor([[DOWN], [ACROSS]]))


@wrong("2.2", "numbers differ")
def forgets_the_weight_two(x):
    return functional.conv2d(x, x.new_tensor([[ACROSS], [DOWN]]).sign())


@wrong("2.2", "numbers differ")
def takes_the_mean(x):
    return functional.conv2d(x, x.new_tensor([[ACROSS], [DOWN]]) / 8)


@wrong("2.2", "the shape is")
def pads(x):
    return functional.conv2d(x, x.new_tensor([[ACROSS], [DOWN]]), padding=1)


@wrong("2.2", "the shape is")
def adds_both_up(x):
    return functional.conv2d(x, x.new_tensor([[ACROSS]])) + functional.conv2d(x, x.new_tensor([[DOWN]]))


@wrong("2.2", "stopped with RuntimeError")
def keeps_the_weights_in_single_precision(x):
    return functional.conv2d(x, torch.tensor([[ACROSS], [DOWN]]))


@wrong("2.2", "dtype is torch.float32")
def computes_in_single_precision(x):
    return functional.conv2d(x.float(), torch.tensor([[ACROSS], [DOWN]]))


# ---- 2.3 depth_to_space -------------------------------------------------------------------------


@right("2.3")
def reshapes_and_permutes(x, block):
    n, channels, height, width = x.shape
    parts = x.reshape(n, channels // block**2, block, block, height, width)
    return parts.permute(0, 1, 4, 2, 5, 3).reshape(n, -1, height * block, width * block)


@right("2.3")
def asks_the_transposed_convolution(x, block):
    channels = x.shape[1] // block**2
    kernels = torch.eye(block**2, dtype=x.dtype).reshape(block**2, 1, block, block).repeat(channels, 1, 1, 1)
    return functional.conv_transpose2d(x, kernels, stride=block, groups=channels)


@wrong("2.3", "numbers differ")
def swaps_rows_and_columns_of_a_block(x, block):
    n, channels, height, width = x.shape
    parts = x.reshape(n, channels // block**2, block, block, height, width)
    return parts.permute(0, 1, 4, 3, 5, 2).reshape(n, -1, height * block, width * block)


@wrong("2.3", "numbers differ")
def takes_the_place_before_the_channel(x, block):
    """TensorFlow's order."""
    n, channels, height, width = x.shape
    parts = x.reshape(n, block, block, channels // block**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * block, width * block)


@wrong("2.3", "numbers differ")
def only_reshapes(x, block):
    n, channels, height, width = x.shape
    return x.reshape(n, channels // block**2, height * block, width * block)


@wrong("2.3", "the shape is")
def does_the_way_there(x, block):
    return functional.pixel_unshuffle(x.repeat(1, 1, block, block), block)


@wrong("2.3", "the shape is")
def knows_one_channel_only(x, block):
    return reshapes_and_permutes(x[:, : block**2], block)


@wrong("2.3", "the shape is")
def knows_blocks_of_two_only(x, block):
    return reshapes_and_permutes(x.repeat(1, 4, 1, 1), 2)


@wrong("2.3", "dtype is torch.float32")
def starts_from_empty(x, block):
    out = torch.empty(reshapes_and_permutes(x, block).shape)
    out[...] = reshapes_and_permutes(x, block)
    return out


@wrong("2.3", "The gradient is wrong: none comes back")
def goes_by_data(x, block):
    return reshapes_and_permutes(x.data, block)


@wrong("2.3", "PyTorch's own (pixel_shuffle")
def calls_the_function(x, block):
    return functional.pixel_shuffle(x, block)


@wrong("2.3", "PyTorch's own (pixel_shuffle")
def calls_the_layer(x, block):
    return nn.PixelShuffle(block)(x)


# ---- 2.4 multiply_adds --------------------------------------------------------------------------


@right("2.4")
def counts_by_a_run_on_nothing(layers, height, width):
    total, x = 0, torch.zeros(1, layers[0][0], height, width)
    for in_channels, out_channels, kernel_size, stride, padding in layers:
        layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)
        x = layer(x)
        total += layer.weight.numel() * x.shape[-2] * x.shape[-1]
    return total


@right("2.4")
def counts_from_the_first_layer_on(layers, height, width):
    if not layers:
        return 0
    (in_channels, out_channels, kernel_size, stride, padding), *rest = layers
    height = (height + 2 * padding - kernel_size) // stride + 1
    width = (width + 2 * padding - kernel_size) // stride + 1
    here = height * width * out_channels * in_channels * kernel_size * kernel_size
    return here + counts_from_the_first_layer_on(rest, height, width)


@wrong("2.4", "numbers differ")
def counts_the_pixels_of_the_input(layers, height, width):
    total = 0
    for in_channels, out_channels, kernel_size, stride, padding in layers:
        total += in_channels * out_channels * kernel_size**2 * height * width
        height, width = conv_size((height, width), kernel_size, stride, padding)
    return total


@wrong("2.4", "numbers differ")
def forgets_that_pictures_shrink(layers, height, width):
    total = 0
    for in_channels, out_channels, kernel_size, stride, padding in layers:
        rows, columns = conv_size((height, width), kernel_size, stride, padding)
        total += in_channels * out_channels * kernel_size**2 * rows * columns
    return total


@wrong("2.4", "numbers differ")
def forgets_the_padding(layers, height, width):
    return counts_from_the_first_layer_on([(*one[:4], 0) for one in layers], height, width)


@wrong("2.4", "numbers differ")
def counts_multiplications_and_additions(layers, height, width):
    return 2 * counts_from_the_first_layer_on(layers, height, width)


@wrong("2.4", "numbers differ")
def counts_one_side_of_the_kernel(layers, height, width):
    total = 0
    for in_channels, out_channels, kernel_size, stride, padding in layers:
        height, width = conv_size((height, width), kernel_size, stride, padding)
        total += in_channels * out_channels * kernel_size * height * width
    return total


@wrong("2.4", "numbers differ")
def forgets_the_channels_of_the_input(layers, height, width):
    total = 0
    for _, out_channels, kernel_size, stride, padding in layers:
        height, width = conv_size((height, width), kernel_size, stride, padding)
        total += out_channels * kernel_size**2 * height * width
    return total


@wrong("2.4", "numbers differ")
def counts_the_first_layer_only(layers, height, width):
    return counts_from_the_first_layer_on(layers[:1], height, width)


# ---- 2.5 nonzero_weights ------------------------------------------------------------------------


@right("2.5")
def convolves_ones_with_ones(height, width, kernel_size, stride, padding):
    """Each output then counts its own taps inside."""
    ones, kernel = torch.ones(1, 1, height, width), torch.ones(1, 1, kernel_size, kernel_size)
    return int(functional.conv2d(ones, kernel, stride=stride, padding=padding).sum())


@right("2.5")
def walks_over_every_tap(height, width, kernel_size, stride, padding):
    rows, columns = conv_size((height, width), kernel_size, stride, padding)
    count = 0
    for i, j, k, m in product(range(rows), range(columns), range(kernel_size), range(kernel_size)):
        inside_down = 0 <= i * stride - padding + k < height
        inside_across = 0 <= j * stride - padding + m < width
        count += inside_down and inside_across
    return count


@wrong("2.5", "numbers differ")
def forgets_that_taps_in_the_padding_are_gone(height, width, kernel_size, stride, padding):
    rows, columns = conv_size((height, width), kernel_size, stride, padding)
    return rows * columns * kernel_size**2


@wrong("2.5", "numbers differ")
def forgets_the_padding_altogether(height, width, kernel_size, stride, padding):
    if kernel_size > min(height, width):
        return 0
    return walks_over_every_tap(height, width, kernel_size, stride, 0)


@wrong("2.5", "numbers differ")
def forgets_the_stride(height, width, kernel_size, stride, padding):
    return walks_over_every_tap(height, width, kernel_size, 1, padding)


@wrong("2.5", "numbers differ")
def thinks_that_pictures_are_square(height, width, kernel_size, stride, padding):
    if kernel_size > height + 2 * padding:
        return 0
    return walks_over_every_tap(height, height, kernel_size, stride, padding)


@wrong("2.5", "numbers differ")
def counts_the_size_of_the_matrix(height, width, kernel_size, stride, padding):
    rows, columns = conv_size((height, width), kernel_size, stride, padding)
    return rows * columns * height * width


@wrong("2.5", "without the book's conv2d_matrix")
def builds_the_matrix(height, width, kernel_size, stride, padding):
    kernel = torch.ones(1, 1, kernel_size, kernel_size)
    return int(conv2d_matrix(kernel, (height, width), stride, padding).count_nonzero())


@wrong("2.5", "returned a Tensor")
def returns_a_tensor(height, width, kernel_size, stride, padding):
    return torch.tensor(convolves_ones_with_ones(height, width, kernel_size, stride, padding))


# ---- 2.6 is_steady ------------------------------------------------------------------------------


@right("2.6")
def moves_the_crack(kernel, stride):
    totals = []
    for place in range(20, 20 + stride):
        road = torch.zeros(1, 1, len(kernel), 60)
        road[..., place] = 1
        totals.append(functional.conv2d(road, kernel[None, None], stride=stride).sum().item())
    return len(set(totals)) == 1


@right("2.6")
def folds_the_columns(kernel, stride):
    columns = kernel.sum(dim=0)
    folded = functional.pad(columns, (0, -len(columns) % stride)).reshape(-1, stride).sum(dim=0)
    return bool((folded == folded[0]).all())


@wrong("2.6", "answers differ")
def adds_up_rows(kernel, stride):
    return folds_the_columns(kernel.T, stride)


@wrong("2.6", "answers differ")
def knows_stride_two_only(kernel, stride):
    return folds_the_columns(kernel, 2)


@wrong("2.6", "answers differ")
def forgets_the_starts_that_a_narrow_kernel_never_meets(kernel, stride):
    columns = kernel.sum(dim=0)
    return len({columns[first::stride].sum().item() for first in range(min(stride, len(columns)))}) == 1


@wrong("2.6", "answers differ")
def wants_every_column_the_same(kernel, stride):
    return len(set(kernel.sum(dim=0).tolist())) == 1


@wrong("2.6", "answers differ")
def wants_it_of_every_single_row(kernel, stride):
    return all(folds_the_columns(row[None], stride) for row in kernel)


@wrong("2.6", "answers differ")
def thinks_that_a_kernel_as_wide_as_the_stride_will_do(kernel, stride):
    return len(kernel) >= stride


@wrong("2.6", "returned a Tensor")
def returns_a_tensor_of_bool(kernel, stride):
    return torch.tensor(folds_the_columns(kernel, stride))


@wrong("2.6", "answers differ")
def always_says_no(kernel, stride):
    return False


# ---- 2.7 fold_blur ------------------------------------------------------------------------------


def blurs(weight):
    return torch.outer(binomial(3), binomial(3)).to(weight)


@right("2.7")
def pads_and_blurs_the_kernel(weight):
    """The kernel with zeros around is a picture like any other."""
    return blur(functional.pad(weight, (2, 2, 2, 2)))[..., 1:-1, 1:-1]


@right("2.7")
def transposes(weight):
    kernels = blurs(weight).expand(weight.shape[1], 1, 3, 3)
    return functional.conv_transpose2d(weight, kernels, groups=weight.shape[1])


@right("2.7")
def adds_rows_and_then_columns(weight):
    rows = functional.pad(weight, (0, 0, 2, 2))
    rows = (rows[..., :-2, :] + 2 * rows[..., 1:-1, :] + rows[..., 2:, :]) / 4
    both = functional.pad(rows, (2, 2))
    return (both[..., :-2] + 2 * both[..., 1:-1] + both[..., 2:]) / 4


@wrong("2.7", "numbers differ")
def blurs_without_zeros_around(weight):
    return blur(functional.pad(weight, (1, 1, 1, 1), mode="replicate"))


@wrong("2.7", "numbers differ")
def cuts_the_rim_off(weight):
    return functional.pad(blur(functional.pad(weight, (2, 2, 2, 2)))[..., 2:-2, 2:-2], (1, 1, 1, 1))


@wrong("2.7", "numbers differ")
def turns_the_kernel_round(weight):
    return transposes(weight.flip(-2, -1))


@wrong("2.7", "numbers differ")
def averages_instead(weight):
    kernels = torch.full_like(blurs(weight), 1 / 9).expand(weight.shape[1], 1, 3, 3)
    return functional.conv_transpose2d(weight, kernels, groups=weight.shape[1])


@wrong("2.7", "numbers differ")
def forgets_to_divide(weight):
    return 16 * transposes(weight)


@wrong("2.7", "the shape is")
def keeps_the_size(weight):
    return transposes(weight)[..., 1:-1, 1:-1]


@wrong("2.7", "The result is wrong")
def swaps_the_channels_of_the_weight(weight):
    return transposes(weight.transpose(0, 1))


@wrong("2.7", "dtype is torch.float32")
def folds_in_single_precision(weight):
    return transposes(weight.float())


@wrong("2.7", "The gradient is wrong: none comes back")
def detaches_the_weight(weight):
    return transposes(weight.detach())


@right("2.2")
def works_on_a_copy_without_history(x):
    return writes_both_kernels_down(x.detach())


@right("2.6")
def answers_with_numpys_bool(kernel, stride):
    columns = kernel.sum(dim=0).double().numpy()
    totals = np.array([columns[first::stride].sum() for first in range(stride)])
    return (totals == totals[0]).all()


# ---- 2.8 to 2.10: values ------------------------------------------------------------------------

right_values("2.8", (0, 1), [0.0, 1.0])
wrong_values("2.8", (0.5, 0.5), (1, 0), (0, 0), (0, 0.5), (1, 1))
wrong_values("2.8", 0, words="2 values were wanted")

right_values("2.9", (0.2, 0.0955), (0.2, math.cos(0.4 * math.pi) ** 2), (1 / 5, 0.1))
wrong_values("2.9", (0.8, 0.095), (0.4, 0.095), (0.2, 0.31), (0.2, 0.03), (0.2, 0.65), (0.1, 0.095), (0.095, 0.2))
wrong_values("2.9", 0.2, words="2 values were wanted")

right_values("2.10", (0.75, 0.63), (0.752, 0.629), np.array([0.75, 0.63]).tolist())
wrong_values("2.10", (0.75, 0.75), (1, 1), (0.63, 0.75), (0.75, 0.58), (0.71, 0.58))
wrong_values("2.10", 0.75, words="2 values were wanted")

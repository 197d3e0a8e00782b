"""Answers to the exercises of Chapter 05."""

import math

import torch
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code.strided import conv2d_matrix
from chapters_code.transposed import bilinear_kernel, conv_transpose2d_loops, overlap_count, phase_sums

# ---- 5.1 stamp ----------------------------------------------------------------------------------


@right("5.1")
def gathers_instead(x, kernel, stride, padding):
    length = (len(x) - 1) * stride + len(kernel)
    out = []
    for place in range(padding, length - padding):
        terms = [x[i] * kernel[place - i * stride] for i in range(len(x)) if 0 <= place - i * stride < len(kernel)]
        out.append(sum(terms, (x[0] + kernel[0]) * 0))
    return torch.stack(out)


@right("5.1")
def adds_padded_stamps(x, kernel, stride, padding):
    length = (len(x) - 1) * stride + len(kernel)
    stamps = [functional.pad(x[i] * kernel, (i * stride, length - i * stride - len(kernel))) for i in range(len(x))]
    return torch.stack(stamps).sum(0)[padding : length - padding]


@right("5.1")
def turns_a_matrix_over(x, kernel, stride, padding):
    length = (len(x) - 1) * stride + len(kernel)
    matrix = conv2d_matrix(kernel[None, None, None], (1, length), (1, stride))
    return (matrix.T @ x)[padding : length - padding]


def _all_stamps(x, kernel, stride):
    canvas = x.new_zeros((len(x) - 1) * stride + len(kernel))
    for i in range(len(x)):
        canvas[i * stride : i * stride + len(kernel)] += x[i] * kernel
    return canvas


@wrong("5.1", "the shape is")
def cuts_with_minus_zero(x, kernel, stride, padding):
    return _all_stamps(x, kernel, stride)[padding:-padding]


@wrong("5.1", "the shape is")
def cuts_one_side(x, kernel, stride, padding):
    return _all_stamps(x, kernel, stride)[padding:]


@wrong("5.1", "the shape is")
def pads_instead_of_cutting(x, kernel, stride, padding):
    return functional.pad(_all_stamps(x, kernel, stride), (padding, padding))


@wrong("5.1", "numbers differ")
def overwrites_where_stamps_meet(x, kernel, stride, padding):
    canvas = x.new_zeros((len(x) - 1) * stride + len(kernel))
    for i in range(len(x)):
        canvas[i * stride : i * stride + len(kernel)] = x[i] * kernel
    return canvas[padding : len(canvas) - padding]


@wrong("5.1", "numbers differ")
def turns_the_stamp_round(x, kernel, stride, padding):
    return gathers_instead(x, kernel.flip(0), stride, padding)


@wrong("5.1", "dtype is torch.float32")
def paints_in_single_precision(x, kernel, stride, padding):
    canvas = torch.zeros((len(x) - 1) * stride + len(kernel))
    for i in range(len(x)):
        canvas[i * stride : i * stride + len(kernel)] += x[i] * kernel
    return canvas[padding : len(canvas) - padding]


@wrong("5.1", "The gradient is wrong: none comes back")
def forgets_how_it_was_made(x, kernel, stride, padding):
    return gathers_instead(x.detach(), kernel.detach(), stride, padding)


@wrong("5.1", "build it yourself")
def asks_pytorch(x, kernel, stride, padding):
    return functional.conv_transpose1d(x[None, None], kernel[None, None], stride=stride, padding=padding)[0, 0]


# ---- 5.2 padding_back ---------------------------------------------------------------------------


@right("5.2")
def subtracts_what_came_back(size, kernel_size, stride, padding):
    shrunk = (size + 2 * padding - kernel_size) // stride + 1
    return size - ((shrunk - 1) * stride - 2 * padding + kernel_size)


@right("5.2")
def walks_with_the_window(size, kernel_size, stride, padding):
    end = kernel_size
    while end + stride <= size + 2 * padding:
        end += stride
    return size + 2 * padding - end


@wrong("5.2", "numbers differ")
def forgets_the_padding(size, kernel_size, stride, padding):
    return (size - kernel_size) % stride


@wrong("5.2", "numbers differ")
def forgets_the_kernel(size, kernel_size, stride, padding):
    return (size + 2 * padding) % stride


@wrong("5.2", "numbers differ")
def always_one_less_than_the_stride(size, kernel_size, stride, padding):
    return stride - 1


@wrong("5.2", "numbers differ")
def pads_once_only(size, kernel_size, stride, padding):
    return (size + padding - kernel_size) % stride


@wrong("5.2", "int was wanted, you returned a float")
def divides_with_a_fraction(size, kernel_size, stride, padding):
    return math.fmod(size + 2 * padding - kernel_size, stride)


# ---- 5.3 stamps_on ------------------------------------------------------------------------------


@right("5.3")
def tries_the_stamps_nearby(place, size, kernel_size, stride):
    first = max(0, place // stride - kernel_size)
    return sum(0 <= place - i * stride < kernel_size for i in range(first, min(size, place // stride + 1)))


@right("5.3")
def counts_taps(place, size, kernel_size, stride):
    """The tap t of some stamp lies on the pixel, if the rest is a whole number of strides."""
    return len([t for t in range(kernel_size) if (place - t) % stride == 0 and 0 <= (place - t) // stride < size])


@wrong("5.3", "numbers differ")
def looks_far_inside_only(place, size, kernel_size, stride):
    return len(range(place % stride, kernel_size, stride))


@wrong("5.3", "numbers differ")
def forgets_the_near_end(place, size, kernel_size, stride):
    return max(min(place // stride, size - 1) - (place - kernel_size) // stride, 0)


@wrong("5.3", "numbers differ")
def forgets_the_far_end(place, size, kernel_size, stride):
    return max(place // stride - max((place - kernel_size) // stride + 1, 0) + 1, 0)


@wrong("5.3", "numbers differ")
def divides_kernel_by_stride(place, size, kernel_size, stride):
    return math.ceil(kernel_size / stride)


@wrong("5.3", "numbers differ")
def goes_below_zero(place, size, kernel_size, stride):
    return min(place // stride, size - 1) - max((place - kernel_size) // stride + 1, 0)


@wrong("5.3", "build it yourself")
def has_them_counted(place, size, kernel_size, stride):
    return int(overlap_count((1, size), (1, kernel_size), (1, stride))[0, place])


# ---- 5.4 tent -----------------------------------------------------------------------------------


@right("5.4")
def goes_up_and_down(taps):
    scale = (taps + 1) // 2
    up = [(2 * i + 1 + taps % 2) / (2 * scale) for i in range(scale)]
    return torch.tensor(up + up[::-1][taps % 2 :])


@right("5.4")
def smears_a_box_by_a_box(taps):
    """A mean of `scale` pixels, of which each has been repeated `scale` times; for even taps in half pixels."""
    scale, fine = (taps + 1) // 2, 2 - taps % 2
    box = torch.ones(1, 1, fine * scale)
    smooth = functional.conv1d(box, box, padding=fine * scale - 1).flatten() / (fine * scale)
    return smooth[::fine]


@wrong("5.4", "numbers differ")
def puts_the_middle_on_a_tap(taps):
    return 1 - (torch.arange(taps) - taps // 2).abs() / ((taps + 1) // 2)


@wrong("5.4", "numbers differ")
def reaches_the_ground_on_the_last_tap(taps):
    return 1 - (torch.arange(taps) - (taps - 1) / 2).abs() / max((taps - 1) / 2, 1)


@wrong("5.4", "numbers differ")
def is_made_for_odd_sides(taps):
    return 1 - (torch.arange(taps) - (taps - 1) / 2).abs() / ((taps + 1) / 2)


@wrong("5.4", "numbers differ")
def adds_up_to_one(taps):
    tent = goes_up_and_down(taps)
    return tent / tent.sum()


@wrong("5.4", "dtype is torch.float64")
def answers_in_double_precision(taps):
    return goes_up_and_down(taps).double()


@wrong("5.4", "build it yourself")
def takes_the_books_kernel(taps):
    return bilinear_kernel(1, 1, (1, taps)).flatten()


# ---- 5.5 input_gradient -------------------------------------------------------------------------


@right("5.5")
def has_the_layer_choose(gradient, weight, size, stride, padding):
    layer = torch.nn.ConvTranspose2d(*weight.shape[:2], weight.shape[2], stride, padding, bias=False)
    layer.weight = torch.nn.Parameter(weight)
    return layer(gradient, output_size=size).detach()


@right("5.5")
def multiplies_by_the_transposed_matrix(gradient, weight, size, stride, padding):
    matrix = conv2d_matrix(weight, size, stride, padding)
    return (gradient.flatten(1) @ matrix).unflatten(1, (weight.shape[1], *size))


@wrong("5.5", "the shape is")
def forgets_what_is_left_over(gradient, weight, size, stride, padding):
    return functional.conv_transpose2d(gradient, weight, None, stride, padding)


@wrong("5.5", "numbers differ")
def resizes_in_front(gradient, weight, size, stride, padding):
    out = functional.conv_transpose2d(gradient, weight, None, stride, padding)
    return functional.pad(out, (size[1] - out.shape[3], 0, size[0] - out.shape[2], 0))


@wrong("5.5", "numbers differ")
def leaves_out_the_last_rows(gradient, weight, size, stride, padding):
    """With padding, part of the paint beside the canvas belongs to the picture: zeros will not do."""
    out = functional.conv_transpose2d(gradient, weight, None, stride, padding)
    return functional.pad(out, (0, size[1] - out.shape[3], 0, size[0] - out.shape[2]))


@wrong("5.5", "numbers differ")
def turns_the_kernel(gradient, weight, size, stride, padding):
    return has_the_layer_choose(gradient, weight.flip(-2, -1), size, stride, padding)


@wrong("5.5", "stopped with RuntimeError")
def swaps_the_channels(gradient, weight, size, stride, padding):
    extra = [(side + 2 * padding - weight.shape[2]) % stride for side in size]
    return functional.conv_transpose2d(gradient, weight.transpose(0, 1), None, stride, padding, extra)


@wrong("5.5", "without autograd (torch's grad)")
def asks_autograd(gradient, weight, size, stride, padding):
    x = gradient.new_zeros(len(gradient), weight.shape[1], *size, requires_grad=True)
    return torch.autograd.grad(functional.conv2d(x, weight, None, stride, padding), x, gradient)[0]


@wrong("5.5", "build it yourself")
def asks_pytorch_for_the_gradient(gradient, weight, size, stride, padding):
    shape = (len(gradient), weight.shape[1], *size)
    return torch.nn.grad.conv2d_input(shape, weight, gradient, stride, padding)


# ---- 5.6 shuffle_weight -------------------------------------------------------------------------


@right("5.6")
def sets_every_one(channels, block):
    weight = torch.zeros(channels * block**2, channels, block, block)
    for channel in range(channels):
        for place in range(block**2):
            weight[channel * block**2 + place, channel, place // block, place % block] = 1
    return weight


@right("5.6")
def multiplies_identities(channels, block):
    pixels = torch.eye(block**2).reshape(1, block**2, 1, block, block)
    return (torch.eye(channels).reshape(channels, 1, channels, 1, 1) * pixels).flatten(0, 1)


@wrong("5.6", "numbers differ")
def keeps_the_channels_together(channels, block):
    """The order of `space_to_depth` in Chapter 02."""
    weight = sets_every_one(channels, block)
    return weight.unflatten(0, (channels, -1)).transpose(0, 1).flatten(0, 1)


@wrong("5.6", "numbers differ")
def swaps_rows_and_columns(channels, block):
    return sets_every_one(channels, block).transpose(-2, -1).contiguous()


@wrong("5.6", "the shape is")
def takes_the_order_of_a_convolution(channels, block):
    return sets_every_one(channels, block).transpose(0, 1)


@wrong("5.6", "numbers differ")
def paints_the_whole_block(channels, block):
    return torch.eye(channels).repeat_interleave(block**2, 0)[:, :, None, None].repeat(1, 1, block, block)


@wrong("5.6", "dtype is torch.int64")
def answers_in_integers(channels, block):
    return sets_every_one(channels, block).long()


# ---- 5.7 balance --------------------------------------------------------------------------------


@right("5.7")
def goes_through_the_phases(weight, stride):
    out = weight.clone()
    for i in range(stride):
        for j in range(stride):
            out[:, :, i::stride, j::stride] /= weight[:, :, i::stride, j::stride].sum((0, 2, 3), keepdim=True)
    return out


@right("5.7")
def lays_the_sums_side_by_side(weight, stride):
    rows, columns = weight.shape[2:]
    sums = phase_sums(weight, stride).repeat(1, rows // stride + 1, columns // stride + 1)
    return weight / sums[:, :rows, :columns]


@wrong("5.7", "numbers differ")
def divides_by_the_whole_sum(weight, stride):
    return weight * stride**2 / weight.sum((0, 2, 3), keepdim=True)


@wrong("5.7", "numbers differ")
def forgets_that_channels_add_up(weight, stride):
    out = weight.clone()
    for i in range(stride):
        for j in range(stride):
            out[:, :, i::stride, j::stride] /= weight[:, :, i::stride, j::stride].sum((2, 3), keepdim=True)
    return out


@wrong("5.7", "numbers differ")
def mixes_the_channels_of_the_output(weight, stride):
    out = weight.clone()
    for i in range(stride):
        for j in range(stride):
            out[:, :, i::stride, j::stride] /= weight[:, :, i::stride, j::stride].sum()
    return out


@wrong("5.7", "numbers differ")
def swaps_row_and_column_phases(weight, stride):
    rows, columns = (torch.arange(taps) % stride for taps in weight.shape[2:])
    return weight / phase_sums(weight, stride)[:, columns[None, :], rows[:, None]]


@wrong("5.7", "numbers differ")
def divides_by_the_counts(weight, stride):
    rows, columns = (torch.arange(taps) % stride for taps in weight.shape[2:])
    counts = phase_sums(torch.ones_like(weight), stride)
    return weight / counts[:, rows[:, None], columns]


@wrong("5.7", "Your code changes ")
def divides_in_place(weight, stride):
    for i in range(stride):
        for j in range(stride):
            weight[:, :, i::stride, j::stride] /= weight[:, :, i::stride, j::stride].sum((0, 2, 3), keepdim=True)
    return weight


@wrong("5.1", "without the book's conv_transpose2d_loops")
def calls_the_books_loops(x, kernel, stride, padding):
    canvas = conv_transpose2d_loops(x[None, None], kernel[None, None, None], None, (1, stride), (0, padding))
    return canvas[0, 0]


@wrong("5.3", "stopped with")
def paints(place, size, kernel_size, stride):
    canvas = torch.zeros((size - 1) * stride + kernel_size)
    for i in range(size):
        canvas[i * stride : i * stride + kernel_size] += 1
    return int(canvas[place])


@wrong("5.5", "without autograd (torch's vjp)")
def asks_for_a_vector_jacobian_product(gradient, weight, size, stride, padding):
    x = gradient.new_zeros(len(gradient), weight.shape[1], *size)
    return torch.func.vjp(lambda x: functional.conv2d(x, weight, None, stride, padding), x)[1](gradient)[0]


# ---- 5.8 there_and_back -------------------------------------------------------------------------

right_values("5.8", (25, 9), (5 * 5, 3 * 3), [25, 9.0])
# It is undone; only the stamp of the pixel itself; only the first step; each stamp apart.
wrong_values("5.8", (1, 1), (9, 9), (9, 1), (81, 9), (25, 1))

# ---- 5.9 five_doublings -------------------------------------------------------------------------

right_values("5.9", (289, 449), (9 * 32 + 1, 14 * 32 + 1))
# Doubled; padding forgotten; one layer; padding added; rows and columns swapped.
wrong_values("5.9", (320, 480), (351, 511), (19, 29), (449, 289))
wrong_values("5.9", 289, words="2 values were wanted")

# ---- 5.10 round_trips ---------------------------------------------------------------------------

right_values("5.10", (0.75, 0.257), (0.75, 0.26), torch.tensor([0.75, 0.257]).tolist())
# Nothing is lost; it is lost once; nothing comes back from the neighbours; nine trips; bilinear on both sides.
wrong_values("5.10", (1, 1), (0.75, 0.75), (0.75, 0.75**10), (0.75, 0.27), (0.5625, 0.066))

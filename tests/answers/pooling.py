"""Answers to the exercises of Chapter 01."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import torch
from torch import nn
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code.exercises.solutions import pooling as solutions
from chapters_code.pooling import max_pool2d, max_pool2d_loops, windows
from chapters_code.strided import conv2d

# ---- 1.1 min_pool2d -----------------------------------------------------------------------------


@right("1.1")
def takes_the_minimum_of_each_window(x, kernel_size):
    return windows(x, kernel_size).min(dim=-1).values


@right("1.1")
def turns_brightness_round_in_pytorch(x, kernel_size):
    return functional.max_pool2d(x.neg(), kernel_size).neg()


@right("1.1")
def stacks_rows_of_minima(x, kernel_size):
    rows = []
    for i in range(0, x.shape[-2] - kernel_size + 1, kernel_size):
        row = [
            x[..., i : i + kernel_size, j : j + kernel_size].flatten(-2).min(dim=-1).values
            for j in range(0, x.shape[-1] - kernel_size + 1, kernel_size)
        ]
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=-2)


@wrong("1.1", "numbers differ")
def takes_the_maximum(x, kernel_size):
    return max_pool2d(x, kernel_size)


@wrong("1.1", "numbers differ")
def forgets_to_turn_back(x, kernel_size):
    return max_pool2d(-x, kernel_size)


@wrong("1.1", "numbers differ")
def thinks_that_pixels_are_never_negative(x, kernel_size):
    return max_pool2d(x.max() - x, kernel_size)


@right("1.1")
def shares_the_gradient_at_a_tie(x, kernel_size):
    return windows(x, kernel_size).amin(dim=-1)


@right("1.1")
def gives_a_tie_to_the_last_pixel(x, kernel_size):
    return windows(x, kernel_size).flip(-1).min(dim=-1).values


@right("1.1")
def cuts_the_gradient_with_item(x, kernel_size):
    out = torch.zeros_like(max_pool2d(x, kernel_size)).detach()
    for n, c, i, j in product(*map(range, out.shape)):
        top, left = i * kernel_size, j * kernel_size
        out[n, c, i, j] = x[n, c, top : top + kernel_size, left : left + kernel_size].min().item()
    return out


@wrong("1.1", "Your code changes ")
def turns_the_callers_picture_round(x, kernel_size):
    return -max_pool2d(x.neg_(), kernel_size)


@wrong("1.1", "the shape is")
def moves_by_one_pixel(x, kernel_size):
    return -max_pool2d(-x, kernel_size, 1)


@wrong("1.1", "the shape is")
def keeps_the_unfilled_windows(x, kernel_size):
    return -max_pool2d(-x, kernel_size, ceil_mode=True)


@wrong("1.1", "the shape is")
def works_for_one_kernel_only(x, kernel_size):
    return -max_pool2d(-x, 2)


@wrong("1.1", "the shape is")
def works_for_a_batch_of_one(x, kernel_size):
    return -max_pool2d(-x[0], kernel_size)[None]


@wrong("1.1", "dtype is torch.float32")
def works_in_single_precision(x, kernel_size):
    return -max_pool2d(-x.float(), kernel_size)


@wrong("1.1", "stopped with RuntimeError")
def works_for_squares_only(x, kernel_size):
    n, c, side, _ = x.shape
    blocks = x.reshape(n, c, side // kernel_size, kernel_size, side // kernel_size, kernel_size)
    return blocks.amin(dim=(3, 5))


@wrong("1.1", "returned nothing (is a return missing?)")
def forgets_to_return(x, kernel_size):
    -max_pool2d(-x, kernel_size)


@wrong("1.1", "returned a list")
def returns_a_list(x, kernel_size):
    return (-max_pool2d(-x, kernel_size)).tolist()


@right("1.1")
def works_in_another_thread(x, kernel_size):
    with ThreadPoolExecutor(1) as workers:
        return workers.submit(lambda: -max_pool2d(-x, kernel_size)).result()


@wrong("1.1", "without our solution")
def asks_the_solution_in_another_thread(x, kernel_size):
    with ThreadPoolExecutor(1) as workers:
        return workers.submit(solutions.min_pool2d, x, kernel_size).result()


@wrong("1.1", "without sys.setprofile")
def looks_away_while_it_asks_the_solution(x, kernel_size):
    watch = sys.getprofile()
    sys.setprofile(None)
    try:
        return solutions.min_pool2d(x, kernel_size)
    finally:
        sys.setprofile(watch)


@wrong("1.1", "without the book's conv2d. Of the book you may use max_pool2d,")
def convolves_first(x, kernel_size):
    return -max_pool2d(-conv2d(x, torch.eye(x.shape[1], dtype=x.dtype)[:, :, None, None]), kernel_size)


@wrong("1.1", "the layout is torch.sparse_coo, it should be torch.strided; .to_dense() makes")
def returns_a_sparse_tensor(x, kernel_size):
    return (-max_pool2d(-x, kernel_size)).to_sparse()


# ---- 1.2 median_pool2d --------------------------------------------------------------------------


@right("1.2")
def sorts_and_takes_the_lower_middle(x, kernel_size):
    ordered = windows(x, kernel_size).sort(dim=-1).values
    return ordered[..., (kernel_size**2 - 1) // 2]


@right("1.2")
def asks_for_the_kth_value_of_own_windows(x, kernel_size):
    cut = x.unfold(-2, kernel_size, kernel_size).unfold(-2, kernel_size, kernel_size).flatten(-2)
    return cut.kthvalue((kernel_size**2 + 1) // 2, dim=-1).values


@wrong("1.2", "numbers differ")
def takes_the_upper_middle(x, kernel_size):
    return windows(x, kernel_size).sort(dim=-1).values[..., kernel_size**2 // 2]


@wrong("1.2", "numbers differ")
def takes_the_mean_of_both_middles(x, kernel_size):
    return windows(x, kernel_size).quantile(0.5, dim=-1)


@wrong("1.2", "numbers differ")
def takes_the_mean(x, kernel_size):
    return windows(x, kernel_size).mean(dim=-1)


@wrong("1.2", "numbers differ")
def takes_the_median_of_row_medians(x, kernel_size):
    cut = windows(x, kernel_size).unflatten(-1, (kernel_size, kernel_size))
    return cut.median(dim=-1).values.median(dim=-1).values


@wrong("1.2", "you returned a median")
def forgets_that_there_are_places_too(x, kernel_size):
    return windows(x, kernel_size).median(dim=-1)


@wrong("1.2", "the shape is")
def takes_one_median_of_the_whole_picture(x, kernel_size):
    return windows(x, kernel_size).median()


@wrong("1.2", "the shape is")
def swaps_rows_and_columns(x, kernel_size):
    return windows(x.mT, kernel_size).median(dim=-1).values


@wrong("1.2", "dtype is torch.float64")
def works_in_double_precision(x, kernel_size):
    return windows(x.double(), kernel_size).median(dim=-1).values


@wrong("1.2", "stopped with RuntimeError")
def cuts_blocks_that_must_fit(x, kernel_size):
    n, c, height, width = x.shape
    blocks = x.reshape(n, c, height // kernel_size, kernel_size, width // kernel_size, kernel_size)
    return blocks.transpose(3, 4).flatten(4).median(dim=-1).values


# ---- 1.3 unpool_mean ----------------------------------------------------------------------------


@right("1.3")
def multiplies_with_a_block_of_ones(pooled, kernel_size):
    return torch.kron(pooled, pooled.new_ones(1, 1, kernel_size, kernel_size))


@right("1.3")
def expands_new_axes(pooled, kernel_size):
    n, c, height, width = pooled.shape
    blocks = pooled[..., None, :, None].expand(n, c, height, kernel_size, width, kernel_size)
    return blocks.reshape(n, c, height * kernel_size, width * kernel_size)


@right("1.3")
def looks_up_each_pixels_block(pooled, kernel_size):
    rows, columns = (torch.arange(side * kernel_size) // kernel_size for side in pooled.shape[-2:])
    return pooled[..., rows[:, None], columns]


@wrong("1.3", "numbers differ")
def lays_tiles(pooled, kernel_size):
    return pooled.repeat(1, 1, kernel_size, kernel_size)


@wrong("1.3", "numbers differ")
def shares_the_mean_out(pooled, kernel_size):
    return enlarged(pooled, kernel_size) / kernel_size**2


@wrong("1.3", "numbers differ")
def fills_the_corner_of_each_block_only(pooled, kernel_size):
    out = pooled.new_zeros(*pooled.shape[:2], *(side * kernel_size for side in pooled.shape[2:]))
    out[..., ::kernel_size, ::kernel_size] = pooled
    return out


@wrong("1.3", "the shape is")
def repeats_rows_only(pooled, kernel_size):
    return pooled.repeat_interleave(kernel_size, dim=-2)


@wrong("1.3", "the shape is")
def always_doubles(pooled, kernel_size):
    return enlarged(pooled, 2)


@wrong("1.3", "dtype is torch.float32")
def multiplies_in_single_precision(pooled, kernel_size):
    return torch.kron(pooled.float(), torch.ones(1, 1, kernel_size, kernel_size))


@right("1.3")
def interpolates(pooled, kernel_size):
    return functional.interpolate(pooled, scale_factor=kernel_size)


@right("1.3")
def asks_the_upsampling_layer(pooled, kernel_size):
    return nn.Upsample(scale_factor=kernel_size, mode="nearest")(pooled)


@right("1.3")
def interpolates_exactly(pooled, kernel_size):
    return functional.interpolate(pooled, scale_factor=kernel_size, mode="nearest-exact")


# ---- 1.4 max_pool1d_loops -----------------------------------------------------------------------


def padded_with(x, padding, value):
    return functional.pad(x, (padding, padding), value=value)


def loops(x, kernel_size, stride, padding, fill=float("-inf")):
    padded = padded_with(x, padding, fill)
    starts = range(0, padded.shape[-1] - kernel_size + 1, stride)
    return torch.stack([padded[..., i : i + kernel_size].max(dim=-1).values for i in starts], dim=-1)


@right("1.4")
def stacks_the_maxima(x, kernel_size, stride, padding):
    return loops(x, kernel_size, stride, padding)


@right("1.4")
def cuts_all_windows_at_once(x, kernel_size, stride, padding):
    return padded_with(x, padding, float("-inf")).unfold(-1, kernel_size, stride).max(dim=-1).values


@right("1.4")
def cuts_the_windows_at_the_edges_instead_of_padding(x, kernel_size, stride, padding):
    out = []
    for start in range(-padding, x.shape[-1] + padding - kernel_size + 1, stride):
        window = x[..., max(0, start) : start + kernel_size]
        out.append(window.gather(-1, window.argmax(dim=-1, keepdim=True)))
    return torch.cat(out, dim=-1)


@wrong("1.4", "The result is wrong: the numbers differ")
def pads_with_zeros(x, kernel_size, stride, padding):
    return loops(x, kernel_size, stride, padding, fill=0)


@wrong("1.4", "The result is wrong: the numbers differ")
def pads_with_a_number_that_seems_small(x, kernel_size, stride, padding):
    return loops(x, kernel_size, stride, padding, fill=-1e9)


@wrong("1.4", "the shape is")
def drops_the_last_window(x, kernel_size, stride, padding):
    return loops(x, kernel_size, stride, padding)[..., :-1]


@wrong("1.4", "the shape is")
def forgets_the_stride(x, kernel_size, stride, padding):
    return loops(x, kernel_size, 1, padding)


@wrong("1.4", "The result is wrong: the numbers differ")
def lets_windows_touch(x, kernel_size, stride, padding):
    padded = padded_with(x, padding, float("-inf"))
    places = range((padded.shape[-1] - kernel_size) // stride + 1)
    cut = [padded[..., min(i * kernel_size, padded.shape[-1] - 1) :][..., :kernel_size] for i in places]
    return torch.stack([window.max(dim=-1).values for window in cut], dim=-1)


@wrong("1.4", "The gradient is wrong: the numbers differ")
def shares_the_gradient_out(x, kernel_size, stride, padding):
    return padded_with(x, padding, float("-inf")).unfold(-1, kernel_size, stride).amax(dim=-1)


@wrong("1.4", "The gradient is wrong: the numbers differ")
def gives_the_gradient_to_the_last_winner(x, kernel_size, stride, padding):
    cut = padded_with(x, padding, float("-inf")).unfold(-1, kernel_size, stride)
    return cut.flip(-1).max(dim=-1).values


@wrong("1.4", "The gradient is wrong: none comes back")
def works_on_data(x, kernel_size, stride, padding):
    return loops(x.data, kernel_size, stride, padding)


@wrong("1.4", "dtype is torch.float32")
def starts_from_empty(x, kernel_size, stride, padding):
    result = loops(x, kernel_size, stride, padding)
    out = torch.empty(result.shape)
    out[...] = result
    return out


@wrong("1.4", "the shape is")
def keeps_the_first_signal_only(x, kernel_size, stride, padding):
    return loops(x[:1], kernel_size, stride, padding)


@wrong("1.4", "Your code changes ")
def lifts_the_callers_signal_above_zero(x, kernel_size, stride, padding):
    x.add_(1000)
    return loops(x, kernel_size, stride, padding, fill=0) - 1000


@wrong("1.4", "PyTorch's own (max_pool")
def calls_the_function(x, kernel_size, stride, padding):
    return functional.max_pool1d(x, kernel_size, stride, padding)


@wrong("1.4", "PyTorch's own (max_pool")
def calls_the_layer(x, kernel_size, stride, padding):
    return nn.MaxPool1d(kernel_size, stride, padding)(x)


@wrong("1.4", "PyTorch's own (max_pool")
def calls_the_operator(x, kernel_size, stride, padding):
    return torch.max_pool1d(x, [kernel_size], [stride], [padding])


@wrong("1.4", "PyTorch's own (max_pool")
def calls_the_two_dimensional_one(x, kernel_size, stride, padding):
    return functional.max_pool2d(x[:, :, None], (1, kernel_size), (1, stride), (0, padding))[:, :, 0]


@wrong("1.4", "PyTorch's own (max_pool")
def calls_the_one_that_returns_places(x, kernel_size, stride, padding):
    return torch.ops.aten.max_pool2d_with_indices(x, [1, kernel_size], [1, stride], [0, padding])[0]


@wrong("1.4", "PyTorch's own (adaptive_max_pool")
def calls_the_adaptive_one_on_each_window(x, kernel_size, stride, padding):
    cut = padded_with(x, padding, float("-inf")).unfold(-1, kernel_size, stride)
    return functional.adaptive_max_pool1d(cut.flatten(0, 1), 1).reshape(cut.shape[:-1])


@wrong("1.4", "without the book's max_pool2d")
def calls_the_book(x, kernel_size, stride, padding):
    return max_pool2d(x[:, :, None], (1, kernel_size), (1, stride), (0, padding))[:, :, 0]


@wrong("1.4", "without the book's max_pool2d")
def calls_the_loops_of_the_book(x, kernel_size, stride, padding):
    return max_pool2d_loops(x[:, :, None], (1, kernel_size), (1, stride), (0, padding))[:, :, 0]


# ---- 1.5 safe_width -----------------------------------------------------------------------------


@right("1.5")
def counts_in_another_order(kernel_size, stride):
    return kernel_size + stride - 1


@right("1.5")
def tries_every_place(kernel_size, stride):
    for width in range(1, kernel_size + stride + 1):
        crack_starts = range(stride)
        windows_start = range(0, 5 * (kernel_size + stride), stride)
        if all(
            any(crack <= start and start + kernel_size <= crack + width for start in windows_start)
            for crack in crack_starts
        ):
            return width


@wrong("1.5", "numbers differ")
def fills_a_window_if_it_is_lucky(kernel_size, stride):
    return kernel_size


@wrong("1.5", "numbers differ")
def thinks_that_windows_touch(kernel_size, stride):
    return 2 * kernel_size - 1


@wrong("1.5", "numbers differ")
def is_one_pixel_too_careful(kernel_size, stride):
    return kernel_size + stride


@wrong("1.5", "numbers differ")
def takes_the_larger_one(kernel_size, stride):
    return max(kernel_size, stride)


@wrong("1.5", "numbers differ")
def gives_the_answer_of_the_example(kernel_size, stride):
    return 3


@wrong("1.5", "returned a float")
def answers_with_a_fraction(kernel_size, stride):
    return (2 * kernel_size + 2 * stride - 2) / 2


# ---- 1.6 max_pool2d_gradient --------------------------------------------------------------------


@right("1.6")
def walks_over_every_window(x, kernel_size, gradient):
    out = torch.zeros_like(x)
    for n, c, i, j in product(*map(range, gradient.shape)):
        top, left = i * kernel_size, j * kernel_size
        place = x[n, c, top : top + kernel_size, left : left + kernel_size].argmax().item()
        out[n, c, top + place // kernel_size, left + place % kernel_size] = gradient[n, c, i, j]
    return out


@wrong("1.6", "without autograd (torch's run_backward)")
def starts_the_engine_of_autograd(x, kernel_size, gradient):
    with torch.enable_grad():
        pixels = x.clone().requires_grad_()
        pooled = windows(pixels, kernel_size).max(dim=-1).values
        engine = torch.autograd.Variable._execution_engine
        return engine.run_backward((pooled,), (gradient,), False, False, (pixels,), False, False)[0]


@wrong("1.6", "without autograd (torch's grad)")
def lets_autograd_do_it_for_the_windows_of_the_book(x, kernel_size, gradient):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(windows(x, kernel_size).max(dim=-1).values, x, gradient)[0]


@right("1.6")
def marks_the_winners_all_at_once(x, kernel_size, gradient):
    cut = windows(x, kernel_size)
    winners = functional.one_hot(cut.argmax(dim=-1), cut.shape[-1]) * gradient[..., None]
    n, c, height, width = gradient.shape
    blocks = winners.reshape(n, c, height, width, kernel_size, kernel_size).transpose(3, 4)
    out = torch.zeros_like(x)
    out[..., : height * kernel_size, : width * kernel_size] = blocks.flatten(4, 5).flatten(2, 3)
    return out


def enlarged(x, kernel_size):
    return x.repeat_interleave(kernel_size, dim=-2).repeat_interleave(kernel_size, dim=-1)


def filled_up(out, x):
    return functional.pad(out, (0, x.shape[-1] - out.shape[-1], 0, x.shape[-2] - out.shape[-2]))


def winners_of(x, kernel_size):
    largest = filled_up(enlarged(windows(x, kernel_size).amax(dim=-1), kernel_size), x)
    return (x == largest).to(x.dtype)


@wrong("1.6", "numbers differ")
def pays_every_winner_of_a_tie(x, kernel_size, gradient):
    return winners_of(x, kernel_size) * filled_up(enlarged(gradient, kernel_size), x)


@wrong("1.6", "numbers differ")
def shares_between_the_winners_of_a_tie(x, kernel_size, gradient):
    winners = winners_of(x, kernel_size)
    share = enlarged(functional.avg_pool2d(winners.to(x.dtype), kernel_size) * kernel_size**2, kernel_size)
    return winners * filled_up(enlarged(gradient, kernel_size) / share, x)


@wrong("1.6", "numbers differ")
def pays_the_last_winner_of_a_tie(x, kernel_size, gradient):
    height, width = (side * kernel_size for side in gradient.shape[-2:])
    turned = walks_over_every_window(x[..., :height, :width].flip(-2, -1), kernel_size, gradient.flip(-2, -1))
    return filled_up(turned.flip(-2, -1), x)


@wrong("1.6", "numbers differ")
def pays_one_to_each_winner(x, kernel_size, gradient):
    return walks_over_every_window(x, kernel_size, torch.ones_like(gradient))


@wrong("1.6", "numbers differ")
def pays_the_smallest_pixel(x, kernel_size, gradient):
    return walks_over_every_window(-x, kernel_size, gradient)


@wrong("1.6", "numbers differ")
def shares_as_a_mean_does(x, kernel_size, gradient):
    return filled_up(enlarged(gradient, kernel_size) / kernel_size**2, x)


@wrong("1.6", "the shape is")
def forgets_the_rows_that_no_window_reaches(x, kernel_size, gradient):
    height, width = (side * kernel_size for side in gradient.shape[-2:])
    return walks_over_every_window(x, kernel_size, gradient)[..., :height, :width]


@wrong("1.6", "dtype is torch.float32")
def starts_from_zeros_in_single_precision(x, kernel_size, gradient):
    return torch.zeros(x.shape) + walks_over_every_window(x, kernel_size, gradient).float()


@wrong("1.6", "Your code changes ")
def writes_into_the_callers_picture(x, kernel_size, gradient):
    return x.copy_(walks_over_every_window(x, kernel_size, gradient))


@wrong("1.6", "PyTorch's own (max_pool")
def asks_autograd_of_the_function(x, kernel_size, gradient):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(functional.max_pool2d(x, kernel_size), x, gradient)[0]


@wrong("1.6", "PyTorch's own (max_pool")
def asks_the_layer_for_the_places(x, kernel_size, gradient):
    _, places = nn.MaxPool2d(kernel_size, return_indices=True)(x)
    return functional.max_unpool2d(gradient, places, kernel_size, output_size=x.shape)


@wrong("1.6", "without the book's max_pool2d")
def asks_autograd_of_the_book(x, kernel_size, gradient):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(max_pool2d(x, kernel_size), x, gradient)[0]


# ---- answers that a reader tried to slip past the checks, or was refused for --------------------


@right("1.1")
def turns_brightness_round_at_255(x, kernel_size):
    return 255 - max_pool2d(255 - x, kernel_size)


@wrong("1.5", "numbers differ")
def is_right_up_to_five_only(kernel_size, stride):
    return kernel_size + stride - 1 if max(kernel_size, stride) <= 5 else 0


@wrong("1.2", "stopped with RuntimeError")
def fails_in_half_precision(x, kernel_size):
    return windows(x, kernel_size).quantile(0.5, dim=-1, interpolation="lower")


@wrong("1.6", "without autograd (torch's grad)")
def switches_autograd_on(x, kernel_size, gradient):
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        return torch.autograd.grad(windows(x, kernel_size).max(dim=-1).values, x, gradient)[0]


@wrong("1.6", "without autograd (torch's backward)")
def goes_back_from_a_sum(x, kernel_size, gradient):
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        (windows(x, kernel_size).max(dim=-1).values * gradient).sum().backward()
        return x.grad


@wrong("1.6", "without autograd (torch's vjp)")
def asks_for_a_vector_jacobian_product(x, kernel_size, gradient):
    return torch.func.vjp(lambda x: windows(x, kernel_size).max(dim=-1).values, x)[1](gradient)[0]


# ---- 1.7 dark_pixels_left -----------------------------------------------------------------------

right_values("1.7", 0, 0.0)
wrong_values("1.7", 4, 8, 1)
wrong_values("1.7", "none", True, [0], words="A number was wanted")


# ---- 1.9 and 1.10: values -----------------------------------------------------------------------

right_values("1.9", (56 / 64, 57 / 64), (0.875, 0.8906), torch.tensor([56, 57]).div(64).tolist())
wrong_values("1.9", (0.5, 0.75), (0.5, 0.5), (0.125, 7 / 64), (0.875, 0.875), (57 / 64, 56 / 64), (0, 0))
wrong_values("1.9", 0.875, words="2 values were wanted")

right_values("1.10", (1.03, 2.82), (1.0, 2.8), [torch.tensor(1.03), torch.tensor(2.82)])
wrong_values("1.10", (0, 0), (1, 4), (1.0, 1.0), (0, 2.82), (1.03, 2.34), (2.82, 1.03))
wrong_values("1.10", 1.03, words="2 values were wanted")

"""Answers to the exercises of Chapter 03."""

from itertools import product

import numpy as np
import torch
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code.dilated import conv2d_polyphase, count_holes, dilate_kernel, footprint

# ---- 3.1 field_size -----------------------------------------------------------------------------


@right("3.1")
def adds_layer_by_layer(rates, kernel_size):
    size = 1
    for rate in rates:
        size += rate * (kernel_size - 1)
    return size


@right("3.1")
def counts_both_sides(rates, kernel_size):
    return 1 + 2 * sum(rate * (kernel_size // 2) for rate in rates)


@wrong("3.1", "numbers differ")
def forgets_the_pixel_itself(rates, kernel_size):
    return (kernel_size - 1) * sum(rates)


@wrong("3.1", "numbers differ")
def multiplies_the_rates(rates, kernel_size):
    size = 1
    for rate in rates:
        size *= rate * (kernel_size - 1) + 1
    return size


@wrong("3.1", "numbers differ")
def knows_kernels_of_three_only(rates, kernel_size):
    return 1 + 2 * sum(rates)


@wrong("3.1", "numbers differ")
def looks_at_the_largest_rate(rates, kernel_size):
    return 1 + (kernel_size - 1) * max(rates, default=0)


@wrong("3.1", "numbers differ")
def counts_touched_pixels(rates, kernel_size):
    reached = {0}
    for rate in rates:
        reached = {x + rate * k for x in reached for k in range(-(kernel_size // 2), kernel_size // 2 + 1)}
    return len(reached)


@wrong("3.1", "stopped with IndexError")
def wants_a_first_layer(rates, kernel_size):
    return 1 + (kernel_size - 1) * (rates[0] + sum(rates[1:]))


@wrong("3.1", "without the book's footprint")
def counts_with_the_books_function(rates, kernel_size):
    offsets = footprint(rates, kernel_size)
    return offsets[-1] - offsets[0] + 1


# ---- 3.2 space_to_batch -------------------------------------------------------------------------


@right("3.2")
def cuts_and_turns_the_axes(x, rate):
    n, c, height, width = x.shape
    cut = x.reshape(n, c, height // rate, rate, width // rate, rate)
    return cut.permute(3, 5, 0, 1, 2, 4).reshape(rate * rate * n, c, height // rate, width // rate)


@right("3.2")
def lets_pytorch_shuffle_the_pixels(x, rate):
    n, c, height, width = x.shape
    channels = functional.pixel_unshuffle(x, rate).reshape(n, c, rate * rate, height // rate, width // rate)
    return channels.permute(2, 0, 1, 3, 4).flatten(0, 1)


@right("3.2")
def stacks_and_flattens(x, rate):
    phases = torch.stack([x[..., i::rate, j::rate] for i, j in product(range(rate), repeat=2)])
    return phases.flatten(0, 1)


@wrong("3.2", "numbers differ")
def goes_down_before_it_goes_right(x, rate):
    return torch.cat([x[..., i::rate, j::rate] for j in range(rate) for i in range(rate)])


@wrong("3.2", "numbers differ")
def cuts_tiles_instead_of_phases(x, rate):
    height, width = (side // rate for side in x.shape[-2:])
    tiles = [
        x[..., i * height : (i + 1) * height, j * width : (j + 1) * width] for i in range(rate) for j in range(rate)
    ]
    return torch.cat(tiles)


@wrong("3.2", "numbers differ")
def keeps_the_phases_of_a_picture_together(x, rate):
    return torch.cat([one[..., i::rate, j::rate] for one in x.split(1) for i in range(rate) for j in range(rate)])


@wrong("3.2", "the shape is")
def puts_the_phases_into_the_channels(x, rate):
    return functional.pixel_unshuffle(x, rate)


@wrong("3.2", "the shape is")
def keeps_the_first_phase_only(x, rate):
    return x[..., ::rate, ::rate]


@wrong("3.2", "the shape is")
def adds_an_axis(x, rate):
    return torch.stack([x[..., i::rate, j::rate] for i in range(rate) for j in range(rate)])


@wrong("3.2", "returned a list")
def forgets_to_join(x, rate):
    return [x[..., i::rate, j::rate] for i in range(rate) for j in range(rate)]


# ---- 3.3 safe_crack_width -----------------------------------------------------------------------


@right("3.3")
def tries_every_width(rates):
    seen = set(footprint(rates))
    width = 1
    while any(seen.isdisjoint(range(start, start + width)) for start in range(min(seen), max(seen) - width + 2)):
        width += 1
    return width


@right("3.3")
def counts_the_longest_row_of_misses(rates):
    seen = footprint(rates)
    row = longest = 0
    for column in range(seen[0], seen[-1] + 1):
        row = 0 if column in seen else row + 1
        longest = max(longest, row)
    return longest + 1


@wrong("3.3", "numbers differ")
def counts_the_missed_columns_between(rates):
    offsets = footprint(rates)
    return max([b - a - 1 for a, b in zip(offsets, offsets[1:], strict=False)], default=1)


@wrong("3.3", "numbers differ")
def takes_the_largest_rate(rates):
    return max(rates, default=1)


@wrong("3.3", "numbers differ")
def takes_the_smallest_rate(rates):
    return min(rates, default=1)


@wrong("3.3", "numbers differ")
def looks_next_to_the_pixel_alone(rates):
    offsets = footprint(rates)
    middle = len(offsets) // 2
    return offsets[middle + 1] - offsets[middle] if rates else 1


@wrong("3.3", "numbers differ")
def counts_all_holes_of_a_row(rates):
    offsets = footprint(rates)
    return offsets[-1] - offsets[0] + 2 - len(offsets)


@wrong("3.3", "stopped with ValueError")
def wants_at_least_one_layer(rates):
    offsets = footprint(rates)
    return max(b - a for a, b in zip(offsets, offsets[1:], strict=False))


# ---- 3.4 conv2d_by_taps -------------------------------------------------------------------------


def _taps(x, weight, dilation):
    """All taps with the piece of the picture that each one sees."""
    rows, columns = weight.shape[-2:]
    height, width = (side - dilation * (taps - 1) for side, taps in zip(x.shape[-2:], (rows, columns), strict=True))
    for k, j in product(range(rows), range(columns)):
        yield k, j, x[..., k * dilation : k * dilation + height, j * dilation : j * dilation + width]


@right("3.4")
def multiplies_matrices(x, weight, dilation):
    out = 0
    for k, j, piece in _taps(x, weight, dilation):
        out = out + (weight[..., k, j] @ piece.flatten(2)).unflatten(-1, piece.shape[-2:])
    return out


@right("3.4")
def lays_all_pieces_in_one_row(x, weight, dilation):
    pieces = torch.stack([piece for *_, piece in _taps(x, weight, dilation)], dim=2)
    return torch.einsum("nckhw,ock->nohw", pieces, weight.flatten(2))


@right("3.4")
def cuts_columns_with_unfold(x, weight, dilation):
    columns = functional.unfold(x, weight.shape[-2:], dilation)
    size = [side - dilation * (taps - 1) for side, taps in zip(x.shape[-2:], weight.shape[-2:], strict=True)]
    return (weight.flatten(1) @ columns).unflatten(-1, size)


@wrong("3.4", "without PyTorch's own (convolution)")
def asks_pytorch(x, weight, dilation):
    return functional.conv2d(x, weight, dilation=dilation)


@wrong("3.4", "without the book's dilate_kernel")
def stuffs_zeros(x, weight, dilation):
    return functional.conv2d(x, dilate_kernel(weight, dilation))


@wrong("3.4", "without the book's conv2d_polyphase")
def asks_the_book(x, weight, dilation):
    return conv2d_polyphase(x, weight, None, dilation)


@wrong("3.4", "numbers differ")
def turns_the_kernel_round(x, weight, dilation):
    return multiplies_matrices(x, weight.flip(-1, -2), dilation)


@wrong("3.4", "numbers differ")
def keeps_the_last_tap(x, weight, dilation):
    for k, j, piece in _taps(x, weight, dilation):
        out = torch.einsum("oc,nchw->nohw", weight[..., k, j], piece)
    return out


@wrong("3.4", "the shape is")
def forgets_to_dilate(x, weight, dilation):
    return multiplies_matrices(x, weight, 1)


@wrong("3.4", "stopped with")
def swaps_rows_and_columns(x, weight, dilation):
    rows, columns = weight.shape[-2:]
    height, width = x.shape[-2] - dilation * (columns - 1), x.shape[-1] - dilation * (rows - 1)
    out = 0
    for k, j in product(range(rows), range(columns)):
        piece = x[..., k * dilation : k * dilation + height, j * dilation : j * dilation + width]
        out = out + torch.einsum("oc,nchw->nohw", weight[..., k, j], piece)
    return out


@wrong("3.4", "the shape is")
def forgets_the_output_channels(x, weight, dilation):
    return sum(
        (weight[0, :, k, j, None, None] * piece).sum(1, keepdim=True) for k, j, piece in _taps(x, weight, dilation)
    )


# ---- 3.5 count_ways -----------------------------------------------------------------------------


@right("3.5")
def multiplies_polynomials(rates):
    ways = [1]
    for rate in rates:
        ways = [
            sum(ways[i - shift] for shift in (0, rate, 2 * rate) if 0 <= i - shift < len(ways))
            for i in range(len(ways) + 2 * rate)
        ]
    return torch.tensor(ways)


@right("3.5")
def convolves_with_dilated_ones(rates):
    row = torch.ones(1, 1, 1, dtype=torch.float64)
    for rate in rates:
        row = functional.conv1d(row, torch.ones(1, 1, 3, dtype=torch.float64), padding=2 * rate, dilation=rate)
    return row.flatten().long()


@right("3.5")
def asks_for_the_gradient(rates):
    with torch.enable_grad():
        x = torch.zeros(1, 1, 1 + 2 * sum(rates), dtype=torch.float64, requires_grad=True)
        y = x
        for rate in rates:
            y = functional.conv1d(y, torch.ones(1, 1, 3, dtype=torch.float64), dilation=rate)
        y.sum().backward()
    return x.grad.flatten().long()


@wrong("3.5", "the shape is")
def leaves_the_holes_out(rates):
    return torch.tensor([way for way in multiplies_polynomials(rates).tolist() if way])


@wrong("3.5", "numbers differ")
def says_only_where(rates):
    return (multiplies_polynomials(rates) > 0).long()


@wrong("3.5", "dtype is torch.float64")
def counts_in_fractions(rates):
    return multiplies_polynomials(rates).double()


@wrong("3.5", "dtype is torch.bool")
def says_yes_and_no(rates):
    return multiplies_polynomials(rates) > 0


@wrong("3.5", "returned a list")
def returns_a_list(rates):
    return multiplies_polynomials(rates).tolist()


@wrong("3.5", "numbers differ")
def adds_the_layers_up(rates):
    ways = torch.zeros(1 + 2 * sum(rates), dtype=torch.int64)
    middle = sum(rates)
    ways[middle] = 1
    for rate in rates:
        ways[middle - rate] += 1
        ways[middle + rate] += 1
    return ways


# ---- 3.6 without_holes --------------------------------------------------------------------------


@right("3.6")
def counts_what_is_reached(rates, kernel_size):
    reached = {0}
    for rate in rates:
        reached = {x + rate * k for x in reached for k in range(kernel_size)}
    return len(reached) == max(reached) + 1


@right("3.6")
def compares_each_with_the_smaller_ones(rates, kernel_size):
    ordered = sorted(rates)
    return all(rate <= 1 + (kernel_size - 1) * sum(ordered[:i]) for i, rate in enumerate(ordered))


@wrong("3.6", "answers differ")
def wants_a_plain_layer_and_no_more(rates, kernel_size):
    return not rates or 1 in rates


@wrong("3.6", "answers differ")
def trusts_the_common_factor(rates, kernel_size):
    divisor = 0
    for rate in rates:
        while rate:
            divisor, rate = rate, divisor % rate
    return divisor in (0, 1)


@wrong("3.6", "answers differ")
def takes_the_layers_as_they_come(rates, kernel_size):
    seen = 1
    for rate in rates:
        if rate > seen:
            return False
        seen += (kernel_size - 1) * rate
    return True


@wrong("3.6", "answers differ")
def compares_with_the_kernel(rates, kernel_size):
    """Almost the paper's rule for the layer below the last one."""
    return not rates or (min(rates) == 1 and max(rates) <= kernel_size)


@wrong("3.6", "answers differ")
def allows_one_pixel_too_many(rates, kernel_size):
    seen = 1
    for rate in sorted(rates):
        if rate > seen + 1:
            return False
        seen += (kernel_size - 1) * rate
    return True


@wrong("3.6", "answers differ")
def knows_small_kernels_only(rates, kernel_size):
    return compares_each_with_the_smaller_ones(rates, 3)


@wrong("3.6", "returned an int")
def returns_how_many_are_missing(rates, kernel_size):
    reached = {0}
    for rate in rates:
        reached = {x + rate * k for x in reached for k in range(kernel_size)}
    return max(reached) + 1 - len(reached)


@wrong("3.6", "without the book's count_holes")
def asks_the_book_for_the_holes(rates, kernel_size):
    return count_holes(rates, kernel_size) == 0


@right("3.2")
def copies_the_numbers_alone(x, rate):
    return torch.cat([x[..., i::rate, j::rate].detach() for i in range(rate) for j in range(rate)])


@right("3.6")
def answers_with_numpys_bool(rates, kernel_size):
    ordered = np.sort(np.array(rates, dtype=int))
    seen = 1 + (kernel_size - 1) * (np.cumsum(ordered) - ordered)
    return (ordered <= seen).all()


# ---- 3.7 to 3.9: values -------------------------------------------------------------------------

right_values("3.7", 0, 0.0)
wrong_values("3.7", 312, 392, 80, 1)
wrong_values("3.7", "none", words="A number was wanted")

right_values("3.8", (17, 51), [17, 51])
wrong_values("3.8", (8, 33), (16, 49), (18, 53), (17, 34), (17, 17), (51, 17))
wrong_values("3.8", 17, words="2 values were wanted")

right_values("3.9", (40, 91), (39.6, 90.7), tuple(torch.tensor([39.6, 90.7])))
wrong_values("3.9", (28, 28), (0.4, 0.91), (91, 40), (40, 40), (100, 100))
wrong_values("3.9", 40, words="2 values were wanted")

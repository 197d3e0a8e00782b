"""Solutions of Chapter 03."""

from itertools import pairwise

import torch
from torch.nn import functional

from chapters_code.dilated import count_holes, footprint


def field_size(rates, kernel_size):
    """One pixel, and each layer widens it by the reach of its kernel less one. With kernels of 3 and rates 1, 2, 4, 8
    the field doubles with every layer, and the weights only add up: 31 × 31 pixels for four times nine weights.
    """
    return 1 + (kernel_size - 1) * sum(rates)


def space_to_batch(x, rate):
    """Every phase is a slice, and a batch takes pictures of the same size. One plain convolution over this batch is a
    dilated convolution of `x`: the second way of the chapter, in one call.
    """
    phases = [x[..., i::rate, j::rate] for i in range(rate) for j in range(rate)]
    return torch.cat(phases)


def safe_crack_width(rates):
    """A crack hides between two neighbours of the footprint. If they are `step` pixels apart, `step - 1` columns
    between them are missed, so a crack of `step` columns is seen wherever it lies. Rates 2, 2, 2 lose one pixel, rates
    1, 9 lose six; without holes every step is 1, and so is the answer.
    """
    offsets = footprint(rates)
    return max((after - before for before, after in pairwise(offsets)), default=1)


def conv2d_by_taps(x, weight, dilation):
    """A third way: one tap at a time. A single tap is a 1 × 1 convolution of a shifted picture, and a convolution is
    the sum of its taps. Dilation only changes how far the pictures are shifted.
    """
    rows, columns = weight.shape[-2:]
    height = x.shape[-2] - dilation * (rows - 1)
    width = x.shape[-1] - dilation * (columns - 1)
    out = 0
    for k in range(rows):
        for j in range(columns):
            top, left = k * dilation, j * dilation
            shifted = x[..., top : top + height, left : left + width]
            out = out + torch.einsum("oc,nchw->nohw", weight[..., k, j], shifted)
    return out


def count_ways(rates):
    """Each layer lays three copies of the row on top of each other, `rate` apart. A zero is a hole. And even without
    holes the counts differ: with rates 1, 2, 5 seven of the 17 pixels are reached in one way and ten in two. Rates 1,
    3, 9 reach 27 pixels, each in exactly one way.
    """
    ways = torch.ones(1, dtype=torch.int64)
    for rate in rates:
        wider = torch.zeros(len(ways) + 2 * rate, dtype=torch.int64)
        for start in (0, rate, 2 * rate):
            wider[start : start + len(ways)] += ways
        ways = wider
    return ways


def without_holes(rates, kernel_size):
    """The order does not matter, so begin with the smallest rate. What the layers so far see is a row without holes;
    the next layer lays copies of it, `rate` apart, and they touch if the row is at least that long. If they do not,
    no later layer can help: its rate is larger still.
    """
    seen = 1
    for rate in sorted(rates):
        if rate > seen:
            return False
        seen += (kernel_size - 1) * rate
    return True


def holes_left():
    """None. Rates 3, 3, 3 touch every third pixel of a row, and one plain layer carries each of these to its two
    neighbours: there is nothing left between them. One layer mends all 312 holes, wherever it stands, for the order of
    the layers changes nothing. With rates of 4 it could not: one column in four would stay open.
    """
    return count_holes((3, 3, 3, 1))


def fourth_rate():
    """17 and 51. The rates 1, 2, 5 see 1 + 2 · 8 = 17 pixels of a row, without a hole, and copies of that row touch if
    they are 17 apart. With the new rate the field is 1 + 2 · 25 = 51. It is three times 17: the copies touch and
    nowhere overlap. Yet a rate this large is hardly a good choice where the picture is small.
    """
    seen = 1 + 2 * sum((1, 2, 5))
    return seen, 1 + 2 * sum((1, 2, 5, seen))


def share_in_the_middle():
    """About 40 and 91. The fields are the same, 17 × 17, and the middle 81 of the 289 pixels are 28 %. Through eight
    plain layers nearly all ways lead to the middle, so nine tenths of the output come from there. Through rates 1, 2, 5
    two fifths do: this stack uses the whole of its field. How far a stack *can* see and where it looks are two
    questions.
    """
    mean, shares = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64), []
    for rates in ((1, 2, 5), (1,) * 8):
        x = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
        x[..., 20, 20] = 1
        for rate in rates:
            x = functional.conv2d(x, mean, padding=rate, dilation=rate)
        shares.append(100 * x[..., 16:25, 16:25].sum().item())
    return tuple(shares)


def why_more_of_the_same_does_not_help():
    """Count columns from the output pixel. All taps of the first layer stand in even columns, and the next layer moves
    on from there by −2, 0 or 2: an even number again. So for this pixel a hundred layers see the even columns of a very
    large field, and a crack in an odd column meets no tap. Training changes weights, but no weight of this pixel is
    ever multiplied by the crack, so its output is the same with and without it. (The pixel beside it sees this crack,
    and misses those in the columns that this one sees.) One layer of rate 1 ends it: it leads from even to odd columns.
    """
    return (
        "An even number plus −2, 0 or 2 is even: layers of rate 2 never reach an odd column, however many there are.",
        "The field grows, but its size says only where the outermost taps stand.",
        "Training changes weights; what no weight of an output pixel is multiplied by cannot change this pixel.",
        "A layer of rate 1 mends it (or rates by the rule: none larger than the field of the smaller ones).",
    )

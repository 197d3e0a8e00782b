"""Solutions of Chapter 03."""

from itertools import pairwise

import torch

from chapters_code.dilated import footprint


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

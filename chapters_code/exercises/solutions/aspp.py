"""Solutions of Chapter 04."""

import torch
from torch.nn import functional

from chapters_code.aspp import valid_taps


def image_level(x):
    """The mean goes over rows and columns only. One pixel resized to H × W by bilinear interpolation is the same number
    everywhere, so `expand_as` will do, and it copies nothing. The way back is right, too: every pixel of the map hands
    its gradient to the one mean, which shares it out.
    """
    return x.mean(dim=(2, 3), keepdim=True).expand_as(x)


def pyramid(x, weight, rates):
    """One kernel, looked at from several distances. `padding=rate` keeps the size, since the outermost tap lies `rate`
    pixels from the centre. ASPP does the same with weights of its own for each rate.
    """
    scales = [functional.conv2d(x, weight, padding=rate, dilation=rate) for rate in rates]
    return torch.cat(scales, dim=1)


def count_parameters(in_channels, out_channels, rates):
    """Two 1 × 1 branches, one 3 × 3 branch for each rate, and a projection that reads them all. How *large* a rate is
    costs nothing: dilation moves the nine taps apart and adds none. For 512 → 256 channels and three rates that makes
    4,130,304.
    """
    one_by_one = in_channels * out_channels + out_channels
    three_by_three = 9 * in_channels * out_channels + out_channels
    project = (len(rates) + 2) * out_channels * out_channels + out_channels
    return 2 * one_by_one + len(rates) * three_by_three + project


def taps_inside(height, width, rate):
    """The centre tap is inside at every one of `size` positions of a side; the two others each at `size - rate`, or
    never. Rows and columns do not know of each other, so the counts are multiplied. Divided by `height * width` this is
    the mean of the table.
    """
    rows = height + 2 * max(0, height - rate)
    columns = width + 2 * max(0, width - rate)
    return rows * columns


def largest_rate(height, width, least):
    """The mean falls, or stays, as the rate grows, so the last rate that has enough is the one. From rate
    `max(height, width)` on only the centre is inside, and the search can stop there. For a map of 10 × 15 and four taps
    or more it is 5: rate 6, the smallest of DeepLab's three, is already too large.
    """
    rates = range(1, max(height, width) + 1)
    enough = [rate for rate in rates if valid_taps((height, width), rate).mean >= least]
    return max(enough, default=0)


def compose(weight, bias, project_weight, project_bias):
    """Two linear maps in a row are one. Each tap of the new kernel is a sum over the middle channels, a product of two
    matrices; the first bias goes through the projection like any other number. A ReLU in between would forbid it: that
    is what a ReLU is for.
    """
    project = project_weight[:, :, 0, 0]
    composed = torch.einsum("om,mcij->ocij", project, weight)
    return composed, project @ bias + project_bias


def aspp_by_hand(x, image, point, kernels, rates, join):
    """Each branch looks at the same `x` with weights of its own. The mean is one pixel, so its convolution is cheapest
    before it is spread over the map. `join` must find the branches in the order that it was learnt with: with the mean
    at the end it would read other maps. In the book's `ASPP` the mean is at the end, so `from_article` moves its
    columns, too.
    """
    mean = functional.conv2d(x.mean(dim=(2, 3), keepdim=True), image)
    branches = [mean.expand(-1, -1, *x.shape[2:]), functional.conv2d(x, point)]
    for kernel, rate in zip(kernels, rates, strict=True):
        branches.append(functional.conv2d(x, kernel, padding=rate, dilation=rate))
    return functional.conv2d(torch.cat(branches, dim=1), join)

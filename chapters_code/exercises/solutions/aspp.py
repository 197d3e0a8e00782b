"""Solutions of Chapter 04."""

import torch
from torch import nn
from torch.nn import functional

from chapters_code.aspp import ASPP, valid_taps


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


def branches_that_follow():
    """The 1 × 1 convolution sees one pixel at a time, so it follows. At rate 18 the 3 × 3 convolution sees no more than
    that: all its outer taps are on the padding, and on this map it *is* a 1 × 1. At rates 6 and 12 some taps still
    reach other pixels, and a shuffle brings other neighbours there. The mean does not change at all, and a map of one
    number looks the same however its pixels are moved. So the last two branches know nothing of neighbours, and nothing
    of shape.
    """
    x, order = torch.rand(1, 1, 10, 15), torch.randperm(150)
    nine = torch.ones(1, 1, 3, 3)

    def shuffled(maps):
        return maps.flatten(2)[..., order].unflatten(2, (10, 15))

    branches = [lambda x: functional.conv2d(x, nine[..., :1, :1])]
    branches += [lambda x, rate=rate: functional.conv2d(x, nine, padding=rate, dilation=rate) for rate in (6, 12, 18)]
    branches += [lambda x: x.mean(dim=(2, 3), keepdim=True).expand_as(x)]
    return tuple(torch.allclose(branch(shuffled(x)), shuffled(branch(x))) for branch in branches)


def taps_at_two_strides():
    """At stride 16 the map is 32 × 48, and the means of the two sides are (32 + 2 · 20) / 32 = 2.25 and (48 + 2 · 36) /
    48 = 2.5: together 5.625. At stride 32 the map is 16 × 24, and 1.5 · 2 = 3. The map has shrunk, the rate has not. At
    stride 32 a rate of 6 would reach as far in the picture, and see 5.625 again.
    """
    means = []
    for stride in (16, 32):
        rows, columns = 512 // stride, 768 // stride
        means.append((rows + 2 * (rows - 12)) / rows * (columns + 2 * (columns - 12)) / columns)
    return tuple(means)


def reach_of_one_pixel():
    """All 1681 pixels change, and without the branch of the mean it is 25: the centre, which all branches share, and
    eight taps for each of three rates. The mean is what makes every pixel depend on every other. Each depends on it
    only a little, but no margin around a tile is wide enough for it.
    """
    torch.manual_seed(4)
    aspp, x = ASPP(1, 1).double(), torch.zeros(1, 1, 41, 41).double()
    one = x.clone()
    one[..., 20, 20] = 1
    everywhere = int(((aspp(one) - aspp(x)).abs() > 1e-9).sum())
    nn.init.zeros_(aspp.pooled[0].weight)
    return everywhere, int(((aspp(one) - aspp(x)).abs() > 1e-9).sum())


def why_large_photographs_fail():
    """On a map of 10 × 15 all outer taps of rate 18 lie on the padding, and most of those of rate 12. What they are
    multiplied by is 0, so their gradient is 0, and they keep the random numbers that they began with; on maps of the
    same size nobody notices. On a map of 80 × 120 the same taps fall on features, and add noise to every pixel. She
    could have known: `valid_taps` says how many taps are on the map, and so does the share of the weights that get a
    gradient. The cure is to train with rates that fit the crop, such as (1, 2, 4), or on larger crops, or at a smaller
    output stride.
    """
    return (
        "On the small map the outer taps of the large rates meet only padding, which is 0.",
        "So their gradient is 0, and they keep their random first values.",
        "On the large map the same taps meet features, and bring random numbers into the result.",
        "A test beforehand (taps on the map, or weights with a gradient) and a cure: smaller rates, larger crops, or a"
        " smaller output stride.",
    )

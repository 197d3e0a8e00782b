"""Solutions of Chapter 01."""

from itertools import product

import torch
from torch.nn import functional

from chapters_code.pooling import max_pool2d, windows


def min_pool2d(x, kernel_size):
    """Turn dark into bright, keep the brightest, turn it back. One line, and the dark crack lives; now it is the bright
    spots that are lost.
    """
    return -max_pool2d(-x, kernel_size)


def median_pool2d(x, kernel_size):
    """All pixels of a window lie on the last axis, so a new kind of pooling is one word. The median forgets a single
    odd pixel. A crack is not single: in a window of 2 × 2 a straight one has two of four pixels, and the smaller of the
    two middle numbers is dark, so the crack lives. In 3 × 3 it has three of nine, and dies.
    """
    return windows(x, kernel_size).median(dim=-1).values


def unpool_mean(pooled, kernel_size):
    """If numbers have a given mean, the sum of their squares is smallest when all are equal: any difference between
    them only adds to it. So each pixel gets its block's mean. This is also the best guess of the true picture, as long
    as nothing else is known of its pixels.
    """
    rows = pooled.repeat_interleave(kernel_size, dim=-2)
    return rows.repeat_interleave(kernel_size, dim=-1)


def max_pool1d_loops(x, kernel_size, stride, padding):
    """One axis less, one loop less. The padding is −∞: with zeros, a window of negative numbers would be won by the
    padding.
    """
    padded = functional.pad(x, (padding, padding), value=float("-inf"))
    length = (padded.shape[-1] - kernel_size) // stride + 1
    out = x.new_empty(*x.shape[:-1], length)
    for i in range(length):
        window = padded[..., i * stride : i * stride + kernel_size]
        out[..., i] = window.max(dim=-1).values
    return out


def safe_width(kernel_size, stride):
    """A dark crack survives if it fills a whole window. In the unluckiest place it begins one pixel too late for a
    window; the next one starts `stride - 1` pixels further on and needs `kernel_size` dark pixels. For 2 × 2 pooling
    that makes 3 pixels, for ResNet's pooling (3, stride 2) it makes 4. A slanted crack must be wider still, since the
    window's rows must all be dark.
    """
    return stride - 1 + kernel_size


def max_pool2d_gradient(x, kernel_size, gradient):
    """Each window hands its gradient to one pixel, the winner, and the others learn nothing. `argmax` gives the first
    winner in reading order, and so does PyTorch.
    """
    out = torch.zeros_like(x)
    for n, c, i, j in product(*map(range, gradient.shape)):
        top, left = i * kernel_size, j * kernel_size
        window = x[n, c, top : top + kernel_size, left : left + kernel_size]
        place = int(window.argmax())
        out[n, c, top + place // kernel_size, left + place % kernel_size] = gradient[n, c, i, j]
    return out


def dark_pixels_left():
    """None. Each window that meets the crack holds two dark pixels and two bright ones, and max pooling keeps a bright
    one. A crack that is one pixel wide cannot fill a window of 2 × 2, wherever it lies.
    """
    road = torch.ones(1, 1, 8, 8)
    road[..., 3] = 0
    return int((functional.max_pool2d(road, 2) == 0).sum())


def why_the_mean_forgets_less():
    """The largest number of a window does not depend on the others at all: three bright pixels and a dark one give the
    same as four bright ones. So after max pooling nobody, and no later layer, can tell the two apart. Every pixel has a
    share in the mean: the same window gives a value a little darker than its neighbours. The crack is fainter, but it
    is there, and a later layer can make it stronger again.
    """
    return (
        "Max pooling gives the same for a window with one dark pixel and for one with none.",
        "In the mean every pixel has a share, so the crack leaves a trace, though a fainter one.",
        "What two inputs have in common after a layer, no later layer can tell apart.",
    )


def darkest_of_each():
    """56/64 = 0.875 and 57/64 = 0.890625. Three times 2 × 2 is once 8 × 8, so each small pixel is the mean of 64. The
    straight crack has 8 of them, wherever it lies, and each pooling halves it. The slanted one leaves its block one row
    early, in row 7, and its last pixel belongs to the block beside it. Nothing of it is lost; it is spread.
    """
    roads = torch.ones(2, 1, 16, 16)
    roads[0, :, :, 3] = 0
    for k in range(15):
        roads[1, :, k, k + 1] = 0
    straight, slanted = functional.avg_pool2d(roads, 8)
    return straight.min().item(), slanted.min().item()


def brightness_of_noise():
    """About 1.03 and 2.82, if the noise has mean 0 and spread 1. The brightest of four pixels lies above their mean,
    and four poolings take the brightest of 256. So max pooling turns noise into light: whatever a crack was made into
    must be brighter than that, or it drowns. Average pooling leaves the mean at 0, and halves the spread each time.
    """
    noise, means = torch.randn(1, 1, 1024, 1024), []
    for _ in range(4):
        noise = max_pool2d(noise, 2)
        means.append(noise.mean().item())
    return means[0], means[3]

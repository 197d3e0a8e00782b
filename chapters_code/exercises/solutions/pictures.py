"""Solutions of Chapter 00."""

import torch
from torch.nn import functional


def channels_first(photo):
    """`permute` moves whole axes, so every pixel keeps its place. `reshape` to the same shape would not complain, and
    would mix the colours of neighbouring pixels into stripes.
    """
    return photo.permute(2, 0, 1).to(torch.float32) / 255


def class_shares(mask, classes):
    """`mask[mask != 255]` is a flat list of the pixels that count. `minlength` gives absent classes their zero, and
    `clamp` saves a mask that is all void from 0 / 0.
    """
    counts = torch.bincount(mask[mask != 255], minlength=classes)
    return counts / counts.sum().clamp(min=1)


def output_size(size, kernel_size, stride, padding):
    """One window fits at the start. What is left of the padded row, `size + 2 * padding - kernel_size` pixels, gives
    one more for every full stride. `//` rounds down: a last window that would hang over does not count.
    """
    return (size + 2 * padding - kernel_size) // stride + 1


def same_padding(kernel_size, dilation):
    """With stride 1 the output has `size + 2 * padding - (reach - 1)` pixels, so padding must be half of `reach - 1`.
    For an odd kernel that is an integer: `dilation * (kernel_size - 1)` is even.
    """
    return dilation * (kernel_size - 1) // 2


def crop(picture, mask, top, left, height, width):
    """The same slices for both, or the labels slip off their pixels. What hangs over the edge is black in the picture
    and *void* in the mask: with 0 there, a network would be taught that black means class 0.
    """
    rows, columns = slice(top, top + height), slice(left, left + width)
    picture, mask = picture[:, rows, columns], mask[rows, columns]
    missing = (0, width - mask.shape[1], 0, height - mask.shape[0])
    return functional.pad(picture, missing, value=0), functional.pad(mask, missing, value=255)

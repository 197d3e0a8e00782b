"""Solutions of Chapter 00."""

import torch
from torch.nn import functional

from chapters_code.data.synthetic import cracked_road


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


def percent_right():
    """99 and 98. The second program is right on every crack pixel, and wrong on the two columns beside the crack; the
    first is wrong on one column only. Where the crack is thin, whoever counts right pixels prefers a program that finds
    nothing to one that finds all of it and paints a little too broadly.
    """
    road, broad = torch.zeros(100, 100), torch.zeros(100, 100)
    road[:, 50] = 1
    broad[:, 49:52] = 1
    nothing = torch.zeros_like(road)
    return tuple(100 * (said == road).double().mean().item() for said in (nothing, broad))


def sizes_before():
    """34 and 36. The reach is 2 · (5 − 1) + 1 = 9. Ten positions cover 9 · 3 + 9 = 36 pixels of the padded row, and two
    of them are padding: 34. One or two pixels more fill no further step of 3, so 35 and 36 give ten positions, too. A
    layer that must find the way back has to be told which of the three it was.
    """
    size, kernel_size, stride, padding, dilation = 10, 5, 3, 1, 2
    reach = dilation * (kernel_size - 1) + 1
    smallest = (size - 1) * stride + reach - 2 * padding
    return smallest, smallest + stride - 1


def found_and_true():
    """About 89 and 7. Nine of ten crack pixels are darker than 70; but so are many pixels in shadows and stains, and a
    road has far more of those. So of a hundred pixels that the program calls crack, seven are. On the same roads
    without shadows and stains (`distractors=()`) nearly all are. Brightness alone cannot tell a crack from a shadow: a
    network must look around each pixel.
    """
    crack, called, both = 0, 0, 0
    for number in range(20):
        image, mask = cracked_road(seed=number)
        dark = image[1] < 70
        crack += (mask == 1).sum().item()
        called += dark.sum().item()
        both += (dark & (mask == 1)).sum().item()
    return 100 * both / crack, 100 * both / called


def why_not_the_mean():
    """Class numbers are names, and a mean of names means nothing. Two pixels of person (15) and two of background (0)
    have the mean 7.5, which is rounded to 8: the network is taught that people have a border of *cat*. Void makes it
    worse: one 255 and three zeros are rounded to 64, which is no class at all, and is not void any more. So take *one*
    of the four numbers, the first, say. Then every number of the small mask was in the large one.
    """
    return (
        "Class numbers are names and not amounts; their mean is another class, or none.",
        "An example with numbers: 15 and 0, half of each, become 7.5, which is neither person nor background.",
        "Void is averaged as if it were a large amount, and what comes out counts.",
        "Take one of the four numbers as it is (the nearest pixel), so that no number is invented.",
    )

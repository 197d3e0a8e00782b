"""Variants of Chapter 02."""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code import strided
from chapters_code.cost import cost
from chapters_code.exercises.checking import Call, Exercise, compare, digits, whole
from chapters_code.shapes import conv_size
from classroom.variants import Variant

__all__ = ["VARIANTS"]


def _check_padding_to_the_end(answer):
    def trusted(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
        # Try ever more padding: what is left over behind the last window must be nothing.
        total = next(
            total
            for total in range(kernel_size + stride)
            if size + total >= kernel_size and (size + total - kernel_size) % stride == 0
        )
        return total - total // 2, total // 2

    larger = [tuple(whole(low, low + 9) for low in (20, 6, 2)) for _ in range(6)]
    calls = [Call.of(*one) for one in (*product(range(1, 9), range(1, 6), range(1, 5)), *larger)]
    compare(answer, trusted, calls)


def padding_to_the_end(size, kernel_size, stride):
    """A row that is smaller than one window lacks what the window has more. Any other needs what fills its last stride:
    Python's `%` is never below 0, so (kernel_size − size) % stride says it at once. The first number is half of that,
    rounded up.
    """
    lacking = kernel_size - size if size < kernel_size else (kernel_size - size) % stride
    return lacking - lacking // 2, lacking // 2


def _check_laplacians(answer):
    def trusted(x: Tensor) -> Tensor:
        sides = x.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
        around = x.new_tensor([[1, 1, 1], [1, -8, 1], [1, 1, 1]])
        return functional.conv2d(x, torch.stack([sides, around])[:, None])

    pictures = [digits(*shape) for shape in ((1, 1, 3, 3), (1, 1, 3, 5), (2, 1, 6, 4))]
    pictures += [digits(1, 1, 4, 5, dtype=torch.float64), torch.randn(3, 1, 5, 8, dtype=torch.float64)]
    compare(answer, trusted, [Call.of(x) for x in pictures])


def laplacians(x):
    """Two kernels make two channels, so the weight has the shape (2, 1, 3, 3). The weights of each add up to 0, so a
    flat road gives 0 whatever its grey is; and where a pixel is darker than those around it, the output is positive.
    `new_ones` takes the dtype of `x`.
    """
    around = x.new_ones(3, 3)
    around[1, 1] = -8
    sides = x.new_zeros(3, 3)
    sides[1], sides[:, 1], sides[1, 1] = 1, 1, -4
    return strided.conv2d(x, torch.stack([sides, around])[:, None])


def _check_blocks_from_channels(answer):
    def trusted(x: Tensor, block: int) -> Tensor:
        # In PyTorch's order the places of a block lie beside each other, here the channels of the picture do.
        return functional.pixel_shuffle(x.unflatten(1, (block**2, -1)).transpose(1, 2).flatten(1, 2), block)

    shapes = ((1, 4, 1, 1, 2), (1, 8, 1, 2, 2), (1, 4, 3, 2, 2), (2, 8, 2, 3, 2))
    shapes += ((1, 9, 2, 1, 3), (2, 18, 1, 2, 3), (1, 2, 3, 4, 1))
    calls = [
        Call.of(digits(*shape, dtype=dtype), block)
        for *shape, block in shapes
        for dtype in (torch.float32, torch.float64)
    ]
    calls.append(Call.of(torch.randn(2, 8, 3, 2, dtype=torch.float64), 2))
    compare(answer, trusted, calls, gradients=True, without=("pixel_shuffle",))


def blocks_from_channels(x, block):
    """Here the C channels of one place of the blocks lie beside each other, so place (i, j) takes C channels in a row,
    from number (i · block + j) · C on. With one channel the two orders are the same, which is how people mix them up:
    weights that move from TensorFlow to PyTorch must have their channels sorted anew.
    """
    pictures, channels, height, width = x.shape
    channels //= block**2
    out = x.new_empty(pictures, channels, height * block, width * block)
    for i in range(block):
        for j in range(block):
            first = (i * block + j) * channels
            out[..., i::block, j::block] = x[:, first : first + channels]
    return out


def _check_separable_multiply_adds(answer):
    def trusted(layers: tuple, height: int, width: int) -> int:
        steps = []
        for in_channels, out_channels, kernel_size, stride, padding in layers:
            steps.append(nn.Conv2d(in_channels, in_channels, kernel_size, stride, padding, groups=in_channels))
            steps.append(nn.Conv2d(in_channels, out_channels, 1))
        return cost(nn.Sequential(*steps), 1, layers[0][0], height, width).multiply_adds

    networks = (
        ((1, 1, 1, 1, 0),),
        ((2, 3, 1, 1, 0),),
        ((2, 3, 3, 1, 1),),
        ((3, 1, 2, 2, 0),),
        ((3, 4, 3, 2, 1), (4, 5, 1, 1, 0)),
        ((3, 16, 3, 1, 1), (16, 16, 3, 2, 1), (16, 32, 3, 2, 0)),
        ((2, whole(3, 9), 5, 3, 2),),
    )
    sizes = ((7, 10), (whole(8, 30), whole(8, 30)))
    compare(answer, trusted, [Call.of(layers, *size) for layers in networks for size in sizes])


def separable_multiply_adds(layers, height, width):
    """The first step has one kernel for each channel, and each number of its output is a sum of kernel_size² products.
    The second is a sum over channels and looks at no neighbour. Together that is kernel_size² + out_channels products
    for each channel and place, where the plain convolution has kernel_size² · out_channels: about a ninth, for kernels
    of 3 and many channels. Later layers see the smaller picture.
    """
    total = 0
    for in_channels, out_channels, kernel_size, stride, padding in layers:
        height, width = conv_size((height, width), kernel_size, stride, padding)
        total += in_channels * (kernel_size**2 + out_channels) * height * width
    return total


def _check_products_with_padding(answer):
    def trusted(height: int, width: int, kernel_size: int, stride: int, padding: int) -> int:
        # Pixels are 1 and padding is 0; each window in a column of its own.
        windows = functional.unfold(torch.ones(1, 1, height, width), kernel_size, padding=padding, stride=stride)
        return int((windows == 0).sum())

    calls = [
        Call.of(height, width, kernel_size, stride, padding)
        for (height, width), kernel_size, stride, padding in product(
            ((1, 2), (2, 5), (4, 3), (7, 5)), (1, 2, 3, 4), (1, 2, 3), (0, 1, 2)
        )
        if kernel_size <= min(height, width) + 2 * padding
    ]
    height, width = (whole(8, 15) for _ in range(2))
    calls.append(Call.of(height, width, 5, 2, 2))
    compare(answer, trusted, calls)


def products_with_padding(height, width, kernel_size, stride, padding):
    """A tap lies in the picture if its row *and* its column do, so what is inside can be counted for each side and
    multiplied. What lies in the padding cannot: it may be there by its row, by its column or by both. So count all
    products and take those inside away.
    """
    all_of_them, inside = 1, 1
    for size in (height, width):
        starts = range(-padding, size + padding - kernel_size + 1, stride)
        all_of_them *= len(starts) * kernel_size
        inside *= sum(0 <= start + tap < size for start in starts for tap in range(kernel_size))
    return all_of_them - inside


def _check_is_fair(answer):
    def trusted(kernel: Tensor, stride: int) -> bool:
        # The speck in stride × stride places in turn, far enough from the rim.
        places = list(product(range(10, 10 + stride), repeat=2))
        roads = torch.zeros(len(places), 1, 24, 24, dtype=torch.float64)
        for road, (i, j) in zip(roads, places, strict=True):
            road[0, i, j] = 1
        totals = functional.conv2d(roads, kernel.double()[None, None], stride=stride).sum(dim=(1, 2, 3))
        return bool((totals == totals[0]).all())

    blurs = [torch.outer(row, row) for row in (torch.tensor([1.0, 1]), torch.tensor([1.0, 2, 1]), torch.ones(4))]
    # Fair to straight cracks (the first to all, the last to those that run across, the others to those that run down),
    # and not to specks.
    kernels = [torch.eye(2), torch.tensor([[1.0, 1], [0, 0]]), torch.tensor([[1.0, 0, 0], [0, 3, 0], [1, 0, 1]])]
    kernels.append(torch.tensor([[1.0, 0], [1, 0]]))
    kernels += [torch.ones(1, 1), *blurs, torch.ones(3, 3), torch.ones(6, 6), torch.zeros(3, 3)]
    kernels += [digits(size, size) / 8 for size in (2, 3, 4, 5)]
    kernels += [_fair(size, stride) for size, stride in ((4, 2), (5, 2), (5, 3), (6, 3), (7, 4))]
    compare(answer, trusted, [Call.of(kernel, stride) for kernel in kernels for stride in (1, 2, 3, 4)])


def _fair(size: int, stride: int) -> Tensor:
    """Draw a kernel and mend its first weights, so that all weights a stride apart add up to the same."""
    kernel = digits(size, size) / 8
    for i, j in product(range(stride), repeat=2):
        kernel[i, j] += 1 - kernel[i::stride, j::stride].sum()
    return kernel


def is_fair(kernel, stride):
    """If one window has the speck under its weight (i, j), its neighbours have it a stride further on, down and across:
    the total is the sum of every stride-th weight of every stride-th row, from one of stride² starts. These sums must
    be equal. It is a harder demand than that for a straight crack, which adds a whole column up first.
    """
    starts = [(i, j) for i in range(stride) for j in range(stride)]
    totals = [kernel[i::stride, j::stride].sum().item() for i, j in starts]
    return all(total == totals[0] for total in totals)


def _check_fold_average(answer):
    def trusted(weight: Tensor) -> Tensor:
        quarters = weight.new_full((weight.shape[1], 1, 2, 2), 1 / 4)
        # The full convolution of each kernel with the window of the mean, which is its own mirror image.
        return functional.conv2d(weight, quarters, padding=1, groups=weight.shape[1])

    weights = [digits(*shape) for shape in ((1, 1, 1, 1), (1, 1, 2, 2), (1, 2, 3, 3), (2, 1, 3, 3), (3, 2, 2, 2))]
    weights += [torch.randn(2, 3, 4, 4, dtype=torch.float64), digits(2, 2, 1, 1, dtype=torch.float64)]
    compare(answer, trusted, [Call.of(weight) for weight in weights], gradients=True)


def fold_average(weight):
    """A mean of four outputs of the convolution is the convolution moved by 0 or 1 pixels down and across, four times,
    each with a weight of 1/4. So the large kernel is the mean of four moved kernels, one row and one column larger.
    """
    rows, columns = weight.shape[2:]
    out = weight.new_zeros(*weight.shape[:2], rows + 1, columns + 1)
    for i in range(2):
        for j in range(2):
            out[..., i : i + rows, j : j + columns] += weight / 4
    return out


VARIANTS = (
    Variant(
        "2.1",
        "Nothing is left over",
        """
        The last window shall end with the last pixel of the padded row, so that nothing is left over behind it. For one
        side of a picture, given `size`, `kernel_size` and `stride`, write `padding_to_the_end`, which returns the pair
        (before, after): the fewest pixels of padding for which there is at least one window and nothing is left over;
        (0, 0) if none is needed. If they are an odd number, the extra one goes *before*. All are `int`s.
        """,
        Exercise("2.1b", "padding_to_the_end", _check_padding_to_the_end, ()),
        padding_to_the_end,
    ),
    Variant(
        "2.2",
        "Darker than around, twice",
        """
        What stands out from its neighbours, in one convolution. For grey pictures `x` (N, 1, H, W), write `laplacians`,
        which returns (N, 2, H − 2, W − 2) in the dtype of `x`. Channel 0 is the sum of a pixel's four neighbours
        (above, below, left, right) less four times the pixel. Channel 1 is the sum of all eight neighbours less eight
        times the pixel. Of the book you may use `conv2d` and `conv2d_loops`.
        """,
        Exercise("2.2b", "laplacians", _check_laplacians, (), allows=(strided.conv2d, strided.conv2d_loops)),
        laplacians,
    ),
    Variant(
        "2.3",
        "TensorFlow's order",
        """
        TensorFlow's *depth to space* orders channels otherwise than PyTorch's: channel (i · block + j) · C + c of `x`
        belongs into row i, column j of the blocks of channel c. Write `blocks_from_channels`: `x` (N, block² · C, h, w)
        becomes (N, C, h · block, w · block), given `block`. Build it yourself, without PyTorch's `pixel_shuffle`. Keep
        the dtype; gradients must go through.
        """,
        Exercise("2.3b", "blocks_from_channels", _check_blocks_from_channels, ()),
        blocks_from_channels,
    ),
    Variant(
        "2.4",
        "In two cheap steps",
        """
        Small networks take each convolution in two steps. The first is *depthwise*, with as many groups as channels:
        one kernel for each channel, so the number of channels stays. The second is a 1 × 1 convolution, which makes the
        number of channels that is wanted. `layers` is a tuple of (in_channels, out_channels, kernel_size, stride,
        padding), where the last three belong to the first step; each layer takes what the one before gives. The first
        sees a picture of `height` × `width`. Write `separable_multiply_adds`: how many multiply-adds are done in all,
        for one picture, as an `int`. There is no dilation. `conv_size` may help.
        """,
        Exercise("2.4b", "separable_multiply_adds", _check_separable_multiply_adds, (), allows=(conv_size,)),
        separable_multiply_adds,
    ),
    Variant(
        "2.5",
        "Multiplied in vain",
        """
        A convolution of one channel of `height` × `width` pixels with a kernel of `kernel_size` × `kernel_size`
        weights, with `stride` and `padding`: each window multiplies all weights, also those that lie in the padding,
        where the number is 0. Write `products_with_padding`: how many products are such ones, in all windows together?
        Return an `int`, without running the convolution; `conv_size` may help.
        """,
        Exercise("2.5b", "products_with_padding", _check_products_with_padding, (), allows=(conv_size,)),
        products_with_padding,
    ),
    Variant(
        "2.6",
        "Fair to every pixel",
        """
        A large road is 0, but for one pixel, a speck, which is 1. A convolution with a square `kernel` (k, k), no
        padding and any `stride` shrinks the road. Write `is_fair`, which returns `True` if the total of the whole
        output is the same wherever the speck lies, and `False` if not. (Never mind the rim of the road. All weights are
        multiples of 1/8, so sums are exact.)
        """,
        Exercise("2.6b", "is_fair", _check_is_fair, ()),
        is_fair,
    ),
    Variant(
        "2.7",
        "A mean that costs nothing",
        """
        Without a ReLU between them, a convolution with stride 1 and average pooling in windows of 2 × 2, side by side,
        are *one* convolution with stride 2, with a larger kernel. Given `weight` (C', C, k, k), write `fold_average`,
        which returns the weight of that one, (C', C, k + 1, k + 1). There is no padding. Keep the dtype; gradients must
        go through.
        """,
        Exercise("2.7b", "fold_average", _check_fold_average, ()),
        fold_average,
    ),
)

"""Variants of Chapter 01."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import pooling
from chapters_code.exercises import pooling as original
from chapters_code.exercises.checking import Call, Exercise, all_pairs, compare, digits, whole
from classroom.variants import Variant

__all__ = ["VARIANTS"]


def _check_span_pool2d(answer):
    def trusted(x: Tensor, kernel_size: int) -> Tensor:
        return functional.max_pool2d(x, kernel_size) + functional.max_pool2d(-x, kernel_size)

    pictures = [digits(*shape) for shape in ((1, 1, 2, 3), (1, 2, 5, 4), (2, 1, 3, 7), (2, 3, 7, 9))]
    pictures += [digits(1, 2, 6, 4, dtype=torch.float64), digits(1, 2, 4, 6, dtype=torch.float16)]
    pictures.append(torch.randn(1, 2, 5, 7, dtype=torch.float64))
    calls = [Call.of(x, kernel) for x in pictures for kernel in (1, 2, 3) if kernel <= min(x.shape[-2:])]
    compare(answer, trusted, calls)


def span_pool2d(x, kernel_size):
    """The largest number of a window less its smallest, and the smallest of x is the largest of -x with its sign
    turned. A bright road has no span; a window that meets a crack has a large one, however thin the crack is.
    """
    return pooling.max_pool2d(x, kernel_size) + pooling.max_pool2d(-x, kernel_size)


def _check_second_pool2d(answer):
    def trusted(x: Tensor, kernel_size: int) -> Tensor:
        height, width = (side // kernel_size for side in x.shape[-2:])
        out = x.new_empty(*x.shape[:2], height, width)
        for n, c, i, j in product(*map(range, out.shape)):
            window = x[n, c, i * kernel_size : (i + 1) * kernel_size, j * kernel_size : (j + 1) * kernel_size]
            out[n, c, i, j] = sorted(window.flatten().tolist())[-2]
        return out

    pictures = [*original._pictures(), original._in_half(torch.float16), original._in_half(torch.bfloat16)]
    compare(answer, trusted, [Call.of(*one) for one in original._fitting(pictures, (2, 3))])


def second_pool2d(x, kernel_size):
    """All pixels of a window lie on the last axis; sorted, the last but one is the second. If the largest occurs twice,
    both come last. One bright speck in a window can be the largest number only, so it is lost; a bright crack has more
    than one pixel there, and lives.
    """
    return pooling.windows(x, kernel_size).sort(dim=-1).values[..., -2]


def _check_unpool_max(answer):
    def trusted(pooled: Tensor, kernel_size: int) -> Tensor:
        corner = pooled.new_zeros(1, 1, kernel_size, kernel_size)
        corner[..., 0, 0] = 1
        return torch.kron(pooled.contiguous(), corner)

    compare(answer, trusted, [Call.of(x.abs(), kernel) for x in original._pictures() for kernel in (1, 2, 3)])


def unpool_max(pooled, kernel_size):
    """One pixel of each block must have the block's largest number. The others may have anything from 0 up to it, and
    the sum is smallest when they have 0. Max pooling says nothing of them, so this is as right a guess as a picture of
    even blocks; the two are the darkest and the brightest of all that are possible.
    """
    n, c, height, width = pooled.shape
    out = pooled.new_zeros(n, c, height * kernel_size, width * kernel_size)
    out[..., ::kernel_size, ::kernel_size] = pooled
    return out


def _check_avg_pool1d_loops(answer):
    def trusted(x: Tensor, kernel_size: int, stride: int, padding: int) -> Tensor:
        return functional.avg_pool1d(x, kernel_size, stride, padding)

    signals = (digits(1, 1, 4), digits(1, 2, 5), digits(2, 3, 8), torch.randn(2, 2, 11, dtype=torch.float64))
    settings = all_pairs(
        *(signals, (1, 2, 3, 4), (1, 2, 3), (0, 1, 2)),
        fits=lambda x, kernel, stride, padding: padding <= kernel // 2 and kernel <= x.shape[-1],
    )
    compare(answer, trusted, [Call.of(*one) for one in settings], gradients=True, without=("avg_pool",))


def avg_pool1d_loops(x, kernel_size, stride, padding):
    """One axis less, one loop less. The padding is 0, and its zeros count: the sum is divided by the size of the
    window, wherever it lies. So each pixel of a window gets the same share of the gradient, and a pixel of several
    windows gets one from each.
    """
    padded = functional.pad(x, (padding, padding))
    length = (padded.shape[-1] - kernel_size) // stride + 1
    out = x.new_empty(*x.shape[:-1], length)
    for i in range(length):
        out[..., i] = padded[..., i * stride : i * stride + kernel_size].mean(dim=-1)
    return out


def _check_safe_bright_width(answer):
    def survives(width: int, start: int, kernel_size: int, stride: int) -> bool:
        row = torch.zeros(1, 1, 80)
        row[..., start : start + width] = 1
        return bool(functional.max_pool1d(row, kernel_size, stride).any())

    def trusted(kernel_size: int, stride: int) -> int:
        # As in the check of the original: every width, and for each every place of the crack.
        safe = (all(survives(width, start, kernel_size, stride) for start in range(30)) for width in range(1, 40))
        return next(width for width, yes in enumerate(safe, 1) if yes)

    larger = [(whole(2, 6), whole(6, 16)) for _ in range(3)]
    compare(answer, trusted, [Call.of(*one) for one in (*product(range(1, 6), range(1, 8)), *larger)])


def safe_bright_width(kernel_size, stride):
    """A bright crack survives as soon as one window sees a pixel of it. Where windows touch or overlap, every pixel is
    seen. With a larger stride, `stride - kernel_size` pixels lie between two windows, and a crack that is wider than
    this gap cannot hide in it.
    """
    return max(1, stride - kernel_size + 1)


def _check_max_pool1d_gradient(answer):
    def trusted(x: Tensor, kernel_size: int, stride: int, gradient: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(functional.max_pool1d(x, kernel_size, stride), x, gradient)[0]

    # A flat signal is one large tie; in the others a pixel may win in two windows.
    signals = (torch.ones(1, 1, 5), digits(1, 1, 4), digits(1, 2, 7), digits(2, 3, 9))
    signals += (digits(2, 1, 8, dtype=torch.float64), torch.randn(2, 2, 11, dtype=torch.float64))
    calls = []
    for x, kernel, stride in all_pairs(signals, (2, 3), (1, 2, 4)):
        shape = functional.max_pool1d(x, kernel, stride).shape
        # In float64 the gradient has more digits than float32 can hold.
        gradient = torch.randn(shape, dtype=x.dtype) if x.dtype == torch.float64 else digits(*shape)
        calls.append(Call.of(x, kernel, stride, gradient))
    compare(answer, trusted, calls, without=("max_pool",), autograd=False)


def max_pool1d_gradient(x, kernel_size, stride, gradient):
    """Each window hands its gradient to its winner, the first one at a tie, as `argmax` finds it. Windows that overlap
    may have the same winner, so their gradients are added; with `=` in place of `+=` the last window would wipe out
    what the others gave.
    """
    out = torch.zeros_like(x)
    for n, c, i in product(*map(range, gradient.shape)):
        start = i * stride
        place = int(x[n, c, start : start + kernel_size].argmax())
        out[n, c, start + place] += gradient[n, c, i]
    return out


VARIANTS = (
    Variant(
        "1.1",
        "Where something is",
        """
        Write `span_pool2d`: for each window of the floating-point picture `x` (N, C, H, W) the largest number less the
        smallest, in the dtype of `x`. The windows are `kernel_size` × `kernel_size` and lie side by side; what does
        not fill one falls away. Of the book you may use `max_pool2d`, `max_pool2d_loops` and `windows`.
        """,
        Exercise(
            "1.1b",
            "span_pool2d",
            _check_span_pool2d,
            (),
            allows=(pooling.max_pool2d, pooling.max_pool2d_loops, pooling.windows),
        ),
        span_pool2d,
    ),
    Variant(
        "1.2",
        "One speck is not enough",
        """
        A lamp in the picture makes single pixels far too bright. Write `second_pool2d`, which keeps the
        *second-largest* number of each window; if the largest occurs twice, it is the second, too. `x` is (N, C, H, W)
        of any floating-point dtype, and keeps it. The windows are `kernel_size` × `kernel_size`, with `kernel_size` 2
        or more, and lie side by side; what does not fill one falls away. Of the book you may use `windows`.
        """,
        Exercise("1.2b", "second_pool2d", _check_second_pool2d, (), allows=(pooling.windows,)),
        second_pool2d,
    ),
    Variant(
        "1.3",
        "The darkest picture",
        """
        You have only the largest numbers of the blocks, `pooled` (N, C, h, w), none of them below 0. Many pictures
        without negative numbers have these. Write `unpool_max`, which returns the one, (N, C, h · k, w · k) with k =
        `kernel_size`, whose pixels have the smallest sum; the largest number of a block stands in its upper left
        corner. Keep the dtype. Every way is right.
        """,
        Exercise("1.3b", "unpool_max", _check_unpool_max, ()),
        unpool_max,
    ),
    Variant(
        "1.4",
        "The mean, with one axis less",
        """
        Write `avg_pool1d_loops`, average pooling for signals `x` (N, C, L) with a loop, with `kernel_size`, `stride`
        and `padding`. The padding is 0, and its zeros count in the mean. Values and gradients must be PyTorch's, and so
        must the dtype. Without PyTorch's average pooling.
        """,
        Exercise("1.4b", "avg_pool1d_loops", _check_avg_pool1d_loops, ()),
        avg_pool1d_loops,
    ),
    Variant(
        "1.5",
        "How wide is safe for chalk?",
        """
        A line of chalk is a *bright* crack that runs straight down a dark road. It survives max pooling if some of it
        can be seen afterwards. Given `kernel_size` and `stride`, which may be larger than the kernel, write
        `safe_bright_width`: the smallest width in pixels, an `int`, that survives wherever such a line lies. The road
        is long; ignore its ends.
        """,
        Exercise("1.5b", "safe_bright_width", _check_safe_bright_width, ()),
        safe_bright_width,
    ),
    Variant(
        "1.6",
        "The way back, with windows that overlap",
        """
        Write `max_pool1d_gradient`, the backward pass of max pooling for signals, by hand, without autograd. Given are
        the input `x` (N, C, L), `kernel_size`, a `stride` that may be smaller or larger than that, and `gradient`, one
        number for each window. There is no padding. Return the gradient for each number of `x`. Ties go to the first
        one. The result has the dtype of `x`. PyTorch's max pooling is closed, and so is all of the book.
        """,
        Exercise("1.6b", "max_pool1d_gradient", _check_max_pool1d_gradient, ()),
        max_pool1d_gradient,
    ),
)

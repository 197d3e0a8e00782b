"""Variants of Chapter 01."""

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import pooling
from chapters_code.exercises.checking import Call, Exercise, compare, digits
from classroom.variants import Variant

__all__ = ["VARIANTS"]


def _check_span_pool2d(answer):
    def trusted(x: Tensor, kernel_size: int) -> Tensor:
        return functional.max_pool2d(x, kernel_size) + functional.max_pool2d(-x, kernel_size)

    pictures = [digits(*shape) for shape in ((1, 1, 2, 3), (1, 2, 5, 4), (2, 1, 3, 7), (2, 3, 7, 9))]
    pictures += [digits(1, 2, 6, 4, dtype=torch.float64), digits(1, 2, 4, 6, dtype=torch.float16)]
    calls = [Call.of(x, kernel) for x in pictures for kernel in (1, 2, 3) if kernel <= min(x.shape[-2:])]
    compare(answer, trusted, calls)


def span_pool2d(x, kernel_size):
    """The largest number of a window less its smallest, and the smallest of x is the largest of -x with its sign
    turned. A bright road has no span; a window that meets a crack has a large one, however thin the crack is.
    """
    return pooling.max_pool2d(x, kernel_size) + pooling.max_pool2d(-x, kernel_size)


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
)

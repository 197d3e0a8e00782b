"""What a size is while a network is traced, exported or compiled (all chapters with layers).

Then no picture is there, and a size is no Python integer, but a number that stays open: a tensor under
`torch.jit.trace`, a `torch.SymInt` under `torch.export`, a `torch.fx.Proxy` under `torch.fx`.  Whoever asks it "is it
odd?" gets the answer of the one picture that the network was traced with, and keeps that answer for all others.  So
layers compute with an open size, and ask it nothing.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Proxy
from torch.nn import functional

__all__ = [
    "constant",
    "cut_to",
    "fixed_integer",
    "is_open",
    "is_proxy",
    "is_recorded",
    "lesser",
    "not_negative",
    "odd",
    "one_node",
]


def is_proxy(*values: Any) -> bool:
    """Say whether one of the values stands for a tensor that only comes later, as in `torch.fx.symbolic_trace`."""
    return any(isinstance(value, Proxy) for value in values)


def is_open(*sizes: Any) -> bool:
    """Say whether one of the sizes is open: it may be another one when the traced or exported network runs.

    Under `torch.export.export(strict=True)` an open size cannot be told from an integer, so there all are open.

    Example:
        >>> is_open(3, 4)
        False
    """
    for size in sizes:
        if type(size) is int:  # nearly always
            continue
        if isinstance(size, (torch.SymInt, Proxy)) or (isinstance(size, Tensor) and torch.jit.is_tracing()):
            return True
    return torch.compiler.is_exporting() and torch.compiler.is_dynamo_compiling()


# What torch.autograd.Function asks, too, before it refuses to run.
_transforms_are_active = getattr(torch._C, "_are_functorch_transforms_active", lambda: False)


def is_recorded() -> bool:
    """Say whether a function with a backward pass of its own must not be called.

    A compiler and an exporter look into what is called, a trace that holds such a function cannot be saved, and
    `torch.func` (vmap, jvp, vjp, ...) knows nothing of it.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or _transforms_are_active()


def lesser(one: Any, other: Any) -> Any:
    """Return the smaller of two sizes, which may be open."""
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return one + (other - one).clamp(max=0)
    return torch.sym_min(one, other)


def not_negative(size: Any) -> Any:
    """Return a size, which may be open, or 0 where it is below."""
    return size.clamp(min=0) if isinstance(size, Tensor) else torch.sym_max(size, 0)


def odd(size: Any) -> Any:
    """Return 1 for an odd size and 0 for an even one; of one that is open, so that an exporter sees size + odd as even.

    Example:
        >>> odd(7), odd(8)
        (1, 0)
    """
    return 2 * ((size + 1) // 2) - size if is_open(size) else size % 2


def constant(numbers: Any) -> Tensor:
    """Return numbers as a tensor, float64; a trace keeps them, as it should, and need not warn of it."""
    if not torch.jit.is_tracing():
        return torch.tensor(numbers, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch.tensor(numbers, dtype=torch.float64)


def fixed_integer(size: Any) -> Any:
    """Return a size that may not be open, such as a number of channels, as it is in the picture of the trace."""
    if not isinstance(size, Tensor):
        return size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # it warns that the number is kept
        return int(size)


def one_node(function: Callable, instead: str = "") -> Callable:
    """Let `torch.fx` write a function down as one node of its graph, as it does with PyTorch's own functions.

    Args:
        function: Its first argument is the tensor.
        instead: For functions with a loop in Python: what to trace in their place, which returns the same.  A trace
            would keep the steps of the one picture that it was made with.

    Returns:
        The function, which is called as before.
    """

    @functools.wraps(function)
    def called(*arguments: Any, **settings: Any) -> Any:
        first = arguments[0] if arguments else next(iter(settings.values()), None)
        if isinstance(first, Proxy):
            return first.tracer.create_proxy("call_function", called, arguments, settings)
        if instead and (torch.jit.is_tracing() or is_open(*getattr(first, "shape", ()))):
            raise ValueError(
                f"{function.__name__} goes step by step in Python, and a trace would keep the steps of this one"
                f" picture: trace {instead}, which returns the same"
            )
        return function(*arguments, **settings)

    return called


@one_node
def cut_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Keep the first rows and columns of (..., H, W), as `x[..., :height, :width]` does.

    Args:
        x: The picture.
        size: (height, width), each at most that of `x`; both may be open.
    """
    height, width = size
    if is_open(height, width, *x.shape[-2:]):
        # A slice is left out where the picture of the trace has that size already: pad by less than nothing.
        return functional.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]))
    return x[..., :height, :width]

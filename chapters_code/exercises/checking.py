"""How an answer is checked: run it beside a trusted implementation, from the smallest input upwards.

A chapter's exercises call `compare` with the answer, the trusted function and a list of calls.  The first call where
the two part is the smallest one that shows the mistake, and that is what the student sees.  Whatever a check draws
comes from PyTorch's generator, which `grade` has seeded: the seed repeats it.
"""

import copy
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import combinations, product
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["STUB", "Asked", "Call", "Exercise", "Wrong", "all_pairs", "compare", "digits", "smallest_first", "whole"]

# What an unfinished answer raises: NotImplementedError(STUB).  PyTorch raises that error, too, for other reasons.
STUB = "your turn"
_NO_GRADIENT = "none comes back; build the answer from tensor operations on its input, without .item() or .detach()"
# Kept under a name of our own: an answer may have put another function in the place of torch.isclose.
_isclose = torch.isclose


class Wrong(Exception):
    """An answer is wrong, or not there yet; the text tells the student why."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: `check(answer)` returns None if the answer is right, and raises `Wrong` with the reason if not."""

    number: str
    name: str  # what the answer, and its solution, is called
    check: Callable[[Callable], None]
    hints: tuple[str, ...]  # from a nudge to almost the answer


@dataclass(frozen=True)
class Call:
    """One call of the answer: `answer(*arguments, **settings)`."""

    arguments: tuple
    settings: dict[str, Any]

    @classmethod
    def of(cls, *arguments: Any, **settings: Any) -> "Call":
        return cls(arguments, settings)

    def run(self, function: Callable) -> Any:
        """Call `function` with copies, so that nothing it does to its arguments reaches us."""
        return function(*map(_copy, self.arguments), **{name: _copy(value) for name, value in self.settings.items()})

    def described(self, function: Callable) -> str:
        """List the arguments under the names that `function` gives them."""
        bound = inspect.signature(function).bind(*self.arguments, **self.settings)
        return "\n".join(_line(name, value) for name, value in bound.arguments.items())


class Asked:
    """An answer, and what is asked of that which it gives: `ask(result, *arguments)`.

    For results that are not simply compared.  An error is still quoted with a line of the answer.
    """

    def __init__(self, answer: Callable, ask: Callable) -> None:
        self._answer, self._ask = answer, ask
        self.__code__ = getattr(answer, "__code__", None)

    def __call__(self, *arguments: object) -> object:
        return self._ask(self._answer(*arguments), *arguments)


def whole(low: int, high: int) -> int:
    """Draw an integer from `low` up to, not including, `high`."""
    return int(torch.randint(low, high, ()))


def digits(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw integers, half of them negative: easy to read in a failing case, with ties, and exact in any sum."""
    return torch.randint(-9, 10, shape).to(dtype)


def all_pairs(*axes: Iterable, fits: Callable[..., bool] = lambda *one: True) -> list[tuple]:
    """Choose a few of all combinations of `axes`: each two values that can stand together do so in one of them.

    A mistake that shows with one value, or with two together, is found as in the whole grid, in a tenth of the time.
    A mistake that needs three needs a call of its own.

    Args:
        axes: The values of each setting, the simplest first.
        fits: Whether a combination can be.
    """
    rows = [row for row in product(*axes) if fits(*row)]
    pairs = [set(combinations(enumerate(row), 2)) for row in rows]
    chosen, missing = [], set().union(*pairs)
    while missing:
        best = max(range(len(rows)), key=lambda i: len(pairs[i] & missing))
        chosen.append(rows[best])
        missing -= pairs[best]
    return chosen


def smallest_first(calls: Iterable[Call]) -> list[Call]:
    """Sort calls by how much there is to read in them."""

    def amount(call: Call) -> tuple[int, float]:
        values = [*call.arguments, *call.settings.values()]
        pixels = sum(value.numel() for value in values if isinstance(value, Tensor))
        return pixels, sum(abs(value) for value in values if isinstance(value, int | float))

    return sorted(calls, key=amount)


def compare(
    answer: Callable,
    trusted: Callable,
    calls: Sequence[Call],
    *,
    gradients: bool = False,
    without: Sequence[str] = (),
    closed: Sequence[Callable] = (),
    autograd: bool = True,
) -> None:
    """Raise `Wrong`, with the smallest call that shows it, unless `answer` equals `trusted` on every call.

    Args:
        answer: What the student wrote.
        trusted: The same computation by a library, or by slow and plain loops.
        calls: What both are called with.
        gradients: Compare the gradients with respect to all arguments that have one, too.
        without: Parts of the names of PyTorch operators that the answer must do without: "max_pool" closes
            adaptive_max_pool2d, too.
        closed: The book's own functions that the answer must do without.
        autograd: Whether the answer may let PyTorch work out a gradient.
    """
    calls = smallest_first(calls)
    # All values first: an answer whose values are wrong anywhere is not told to look at its gradient.
    for with_gradient in (False, True) if gradients else (False,):
        for call in calls:
            with torch.set_grad_enabled(autograd):
                given = _run(answer, trusted, call, with_gradient, _closed(without, closed))
            with torch.enable_grad():
                wanted = _value_and_gradient(trusted, call, with_gradient)
            for what, one, other in zip(("result", "gradient")[: len(wanted)], given, wanted, strict=True):
                _judge(what, one, other, call.described(trusted))


def _judge(what: str, one: Any, other: Any, call: str) -> None:
    """Raise `Wrong` if `one`, the student's, is not `other`."""
    problem = _NO_GRADIENT if what == "gradient" and one is None else _difference(one, other)
    if problem:
        more = " The values are right; only the gradient is not." if what == "gradient" else ""
        raise Wrong(
            f"The {what} is wrong: {problem}.{more}\n\nThe smallest input that shows it:\n{call}\n"
            f"{_line('yours', one)}\n{_line('expected', other)}"
        )


@contextmanager
def _closed(operators: Sequence[str], functions: Sequence[Callable]) -> Iterator[None]:
    """Refuse PyTorch's operators of these names and these functions, whatever name they are called by.

    This keeps honest readers honest.  Who wants to get round it (by another thread, say) can.
    """
    refusal = "This exercise asks you to build it yourself, without {}."

    class Guard(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), settings=None):
            name = function.overloadpacket.__name__
            if any(operator in name for operator in operators):
                raise Wrong(refusal.format(f"PyTorch's own ({name})"))
            return function(*arguments, **(settings or {}))

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in codes:
            raise Wrong(refusal.format(f"the book's {frame.f_code.co_name}"))

    # A notebook has names of its own for the book's functions; their code is the same under every name.
    codes = {function.__code__ for function in functions}
    before = sys.getprofile()
    if codes:
        sys.setprofile(watch)
    try:
        with Guard() if operators else nullcontext():
            yield
    finally:
        sys.setprofile(before)


def _run(answer: Callable, trusted: Callable, call: Call, gradients: bool, guard: AbstractContextManager) -> tuple:
    """Run the student's code, and turn whatever goes wrong in it into words."""
    inputs: list = []

    def watched(*arguments: Any, **settings: Any) -> Any:
        inputs.extend([*arguments, *settings.values()])
        with guard:
            return answer(*arguments, **settings)

    try:
        given = _value_and_gradient(watched, call, gradients)
    except Wrong:
        raise
    except Exception as error:
        if isinstance(error, NotImplementedError) and str(error) == STUB:
            raise
        raise Wrong(
            f"Your code stopped with {type(error).__name__}: {error}{_place(error, answer)}\n\n"
            f"The input that stopped it:\n{call.described(trusted)}"
        ) from error
    originals = [*call.arguments, *call.settings.values()]
    for now, then in zip(inputs, originals, strict=True):
        if _difference(now, then):
            what, cure = (
                ("network", "copy.deepcopy(features)") if isinstance(then, nn.Module) else ("picture", "x.clone()")
            )
            raise Wrong(
                f"Your code changes the {what} that it was given, so the caller's {what} is spoilt. Work on a copy:"
                f" {cure}.\n\nThe input that was changed:\n{call.described(trusted)}"
            )
    return given


def _place(error: Exception, answer: Callable) -> str:
    """Quote the last line of the student's own code on the way to the error."""
    code = getattr(answer, "__code__", None)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename
    ]
    return f"\nin line {frames[-1].lineno}:  {frames[-1].line}" if frames and frames[-1].line else ""


def _value_and_gradient(function: Callable, call: Call, gradients: bool) -> tuple:
    """Return the value and, where asked for, the gradient: a tuple of them if several arguments have one."""
    if not gradients:
        return (call.run(function),)
    arguments = [
        one.clone().requires_grad_() if isinstance(one, Tensor) and one.is_floating_point() else one
        for one in call.arguments
    ]
    inputs = [one for one in arguments if isinstance(one, Tensor) and one.requires_grad]
    # run() hands on clones, and the gradient flows back through the cloning.
    result = Call(tuple(arguments), call.settings).run(function)
    if not inputs:
        return (result,)
    if not isinstance(result, Tensor) or not result.requires_grad:
        return result, None
    # Weights that differ from pixel to pixel, so that a gradient in the wrong place cannot cancel out.
    weights = torch.arange(1, result.numel() + 1, dtype=result.dtype).reshape(result.shape)
    found = torch.autograd.grad(result, inputs, weights, allow_unused=True)
    if any(one is None for one in found):
        return result.detach(), None
    return result.detach(), found[0] if len(found) == 1 else found


def _difference(one: Any, other: Any) -> str | None:
    """Say in words how `one` differs from `other`, or return None."""
    if isinstance(other, tuple):
        if not isinstance(one, tuple | list) or len(one) != len(other):
            return f"{len(other)} values were wanted, you returned {_kind(one)}"
        problems = map(_difference, one, other)
        return next((f"value {i} of {len(other)}: {problem}" for i, problem in enumerate(problems, 1) if problem), None)
    # A subclass could bring its own idea of "equal", so only the plain type will do.
    if type(one) is not type(other):
        return f"{_kind(other)} was wanted, you returned {_kind(one)}"
    if isinstance(other, nn.Module):
        return None if _state(one) == _state(other) else "the network differs"
    if not isinstance(other, Tensor):
        return None if one == other else "the numbers differ"
    if one.shape != other.shape:
        return f"the shape is {tuple(one.shape)}, it should be {tuple(other.shape)}"
    if one.dtype != other.dtype:
        return f"the dtype is {one.dtype}, it should be {other.dtype}"
    if one.device != other.device:
        return f"the numbers lie on {one.device}, they should lie on {other.device}, where the input is"
    one, other = one.detach(), other.detach()
    different = (~_isclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True)).nonzero().tolist()
    if not different:
        return None
    place = tuple(different[0])
    return f"the numbers differ, first at {list(place)}: {one[place]:.6g} instead of {other[place]:.6g}"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (is a return missing?)"
    return f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}"


def _copy(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return copy.deepcopy(value)
    return value.clone() if isinstance(value, Tensor) else value


def _state(network: nn.Module) -> list:
    """Return all that a network is: the modes of its parts, and its numbers, byte for byte."""
    modes = [(name, module.training) for name, module in network.named_modules()]
    return modes + [(name, value.numpy(force=True).tobytes()) for name, value in network.state_dict().items()]


def _line(name: str, value: Any) -> str:
    """Write `name = value` with all rows of a tensor under each other."""
    if isinstance(value, tuple):
        return "\n".join(_line(f"{name}[{i}]", one) for i, one in enumerate(value))
    large = isinstance(value, Tensor) and value.numel() > 60
    text = f"a tensor of shape {tuple(value.shape)}, {value.dtype}" if large else str(value)
    start = f"    {name} = "
    return start + text.replace("\n", "\n" + " " * len(start))

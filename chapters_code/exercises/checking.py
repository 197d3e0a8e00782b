"""How an answer is checked: run it beside a trusted implementation, from the smallest input upwards.

A chapter's exercises call `compare` with the answer, the trusted function and a list of calls.  The first call where
the two part is the smallest one that shows the mistake, and that is what the student sees.  Whatever a check draws
comes from PyTorch's generator, which `grade` has seeded: the seed repeats it.

While an answer runs, the book is closed, but for what its exercise `allows`; what it prints is kept, to be shown once;
and if it does not end, it is stopped.
"""

import copy
import ctypes
import inspect
import io
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import combinations, product
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from chapters_code.tracing import one_node

__all__ = [
    *("KINDS", "LIMIT", "STUB", "TASKS", "Answer", "Asked", "Call", "Exercise", "Wrong"),
    *("agree", "all_pairs", "compare", "digits", "plain", "smallest_first", "whole"),
]

# The seconds that an answer may take for one input; for all inputs of a check together it has twelve times as long.
LIMIT = 10.0
# What an unfinished answer raises: NotImplementedError(STUB).  PyTorch raises that error, too, for other reasons.
STUB = "your turn"
_LAID_OTHERWISE = (
    "The numbers of this input lie column by column in memory, as permute leaves them; its rows and columns are as you"
    " see them."
)
_NO_GRADIENT = "none comes back; build the answer from tensor operations on its input, without .item() or .detach()"
# What can be wrong: the values; the way back; how the result looks; a stop; an input that was changed; a function that
# is closed; something else that was asked for.
KINDS = ("numbers", "gradient", "shape", "dtype", "type", "error", "time", "changed", "closed", "asked")
# What an exercise asks for: a function; a value, thought out before anything runs, worked out on paper, or measured by
# running something; or some sentences.
TASKS = ("code", "predict", "compute", "measure", "explain")
# Kept under names of our own: an answer may have put another function in the place of torch.isclose.
_isclose, _equal = torch.isclose, torch.equal


class Wrong(Exception):
    """An answer is wrong, or not there yet; the text tells the student why.

    Args:
        text: What is wrong.
        kind: One of `KINDS`.
        hint: The number of the hint that helps, counted from 1; None if no mistake was recognised.
    """

    def __init__(self, text: str, kind: str = "asked", hint: int | None = None) -> None:
        super().__init__(text)
        self.kind, self.hint = kind, hint


@dataclass(frozen=True)
class Exercise:
    """One exercise: `check(answer)` returns None if the answer is right, and raises `Wrong` with the reason if not.

    Its solution is a function called `name`: of a code exercise, what is asked for; where a value is asked for, one
    that takes nothing and returns it; and where words are asked for, one whose docstring is the answer in words and
    which returns what a good answer says, a tuple of points.
    """

    number: str
    name: str  # what the answer, and its solution, is called
    check: Callable[[Any], None] | None  # None: in words, which a person must read
    hints: tuple[str, ...]  # from a nudge to almost the answer
    # What an answer may use of the book: functions, classes with all their methods, whole modules.
    allows: tuple[Callable | ModuleType, ...] = ()
    # Mistakes that are recognised, and the number of the hint that helps: what computes the same wrong result, or a
    # kind of `Wrong`, or words of its first line; or, where a value is asked for, a wrong value.  The first that fits
    # counts.
    mistakes: tuple[tuple[int, Any], ...] = ()
    kind: str = "code"  # one of TASKS


@dataclass
class Answer:
    """A student's function, with what its exercise says of it."""

    function: Callable
    allows: tuple[Callable | ModuleType, ...] = ()
    mistakes: tuple[tuple[int, Callable | str], ...] = ()
    printed: str = field(default="", init=False)  # on the first input on which it printed something

    @classmethod
    def of(cls, answer: "Callable | Answer") -> "Answer":
        return answer if isinstance(answer, cls) else cls(answer)

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self.function(*arguments, **settings)


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
        return function(*_copy(self.arguments), **_copy(self.settings))

    def named(self, function: Callable) -> dict[str, Any]:
        """Return the arguments under the names that `function` gives them."""
        return inspect.signature(function).bind(*self.arguments, **self.settings).arguments

    def described(self, function: Callable) -> str:
        """List the arguments under the names that `function` gives them."""
        return "\n".join(_line(name, value) for name, value in self.named(function).items())


class _LaidOtherwise(Call):
    """A call whose tensors lie column by column in memory, as after .mT or a permute."""


@dataclass(frozen=True)
class Asked:
    """An answer, and what is asked of that which it returns: `ask(result, *arguments)`.

    For results that are not simply compared.  An error is still quoted with a line of the answer.
    """

    answer: Callable
    ask: Callable

    def __call__(self, *arguments: object) -> object:
        return self.ask(self.answer(*arguments), *arguments)


def plain(value: Any) -> Any:
    """Return a number of PyTorch or NumPy as one of Python, and tuples and lists of them as tuples."""
    if isinstance(value, tuple | list):
        return tuple(map(plain, value))
    one = isinstance(value, np.generic) or (isinstance(value, Tensor | np.ndarray) and value.ndim == 0)
    return value.item() if one else value


def agree(given: Any, wanted: Any, *, within: float = 0.0, among: Sequence[str] = ()) -> None:
    """Raise `Wrong` unless a value is the wanted one; what is wanted is not told.

    Args:
        given: What the reader says: a number, True or False, a word, or a tuple of them.
        wanted: What is right, worked out by the check.
        within: How far a floating-point number may be off.
        among: The words there are to choose from.
    """
    given, wanted = plain(given), plain(wanted)
    if isinstance(wanted, tuple):
        if not isinstance(given, tuple) or len(given) != len(wanted):
            raise Wrong(f"{len(wanted)} values were wanted, in brackets and with commas; you said {given!r}.", "type")
        for place, (one, other) in enumerate(zip(given, wanted, strict=True), 1):
            try:
                agree(one, other, within=within, among=among)
            except Wrong as wrong:
                raise Wrong(f"Value {place} of {len(wanted)}: {wrong}", wrong.kind) from None
        return
    if isinstance(wanted, str) and given not in among:
        raise Wrong(f"One of {', '.join(map(repr, among))} was wanted, you said {given!r}.", "type")
    if isinstance(wanted, bool) and not isinstance(given, bool):
        raise Wrong(f"True or False was wanted, you said {given!r}.", "type")
    if not isinstance(wanted, str | bool) and (isinstance(given, bool) or not isinstance(given, int | float)):
        raise Wrong(f"A number was wanted, you said {given!r}.", "type")
    right = given == wanted if isinstance(wanted, str | bool) else abs(given - wanted) <= within
    if not right:
        raise Wrong(f"You said {given!r}, and that is not what comes out.", "numbers")


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
    autograd: bool = True,
    rough: bool = False,
) -> None:
    """Raise `Wrong`, with the smallest call that shows it, unless `answer` equals `trusted` on every call.

    Args:
        answer: What the student wrote: an `Answer`, a plain function, or one of them in an `Asked`.
        trusted: The same computation by a library, or by slow and plain loops.
        calls: What both are called with.
        gradients: Compare the gradients with respect to all arguments that have one, too.
        without: Parts of the names of PyTorch operators that the answer must do without: "max_pool" closes
            adaptive_max_pool2d, too.
        autograd: Whether the answer may let PyTorch work out a gradient.
        rough: Whether six digits are enough of a float64 result, as where a right answer may count in float32.
    """
    calls = smallest_first(calls)
    # And the three largest that have rows and columns once more, with their numbers in another order in memory.
    calls += [_laid_otherwise(call) for call in calls if _has_rows(call.arguments)][-3:]
    with _Clock() as clock:
        student = _Student(answer, trusted, without, autograd, clock)
        # All values first: an answer whose values are wrong anywhere is not told to look at its gradient.
        for with_gradient in (False, True) if gradients else (False,):
            for place, call in enumerate(calls):
                try:
                    given = student.run(call, with_gradient)
                    with torch.enable_grad():
                        wanted = _value_and_gradient(trusted, call, with_gradient)
                    for what, one, other in zip(("result", "gradient")[: len(wanted)], given, wanted, strict=True):
                        _judge(what, one, other, call, trusted, rough)
                except Wrong as wrong:
                    if wrong.hint is None:
                        wrong.hint = student.hint(wrong, calls[place : place + 4])
                    if isinstance(call, _LaidOtherwise):
                        if wrong.kind == "error" and "view size is not compatible" in str(wrong):
                            continue  # PyTorch says so itself, and no number was wrong
                        wrong.args = (f"{wrong}\n\n{_LAID_OTHERWISE}",)
                    if said := student.said:
                        wrong.args = (f"{wrong}\n\nOn this input your code printed:\n{said}",)
                    raise


def _has_rows(value: Any) -> bool:
    """Whether there is a tensor that can lie in memory in more than one way."""
    if isinstance(value, tuple | list):
        return any(map(_has_rows, value))
    return isinstance(value, Tensor) and value.dim() >= 2 and min(value.shape[-2:]) > 1


def _laid_otherwise(value: Any) -> Any:
    """Return a call, or a value, with the same numbers in another order in memory."""
    if isinstance(value, Call):
        return _LaidOtherwise(_laid_otherwise(value.arguments), value.settings)
    if type(value) in (tuple, list):
        return type(value)(map(_laid_otherwise, value))
    return value.mT.contiguous().mT if _has_rows(value) and type(value) is Tensor else value


class _Student:
    """Runs the answer, and turns whatever goes wrong in it into words."""

    def __init__(
        self, answer: Callable, trusted: Callable, without: Sequence[str], autograd: bool, clock: "_Clock"
    ) -> None:
        self._written = Answer.of(answer.answer if isinstance(answer, Asked) else answer)
        guard = partial(_closed, without, _codes(self._written.allows), _open(self._written.allows), autograd)

        def guarded(*arguments: Any, **settings: Any) -> Any:
            with guard():
                return self._written.function(*arguments, **settings)

        self._within = (lambda one: replace(answer, answer=one)) if isinstance(answer, Asked) else lambda one: one
        self._answer, self._trusted = self._within(guarded), trusted
        self._autograd, self._clock = autograd, clock
        self.said = ""  # what the answer has printed in its last run

    def run(self, call: Call, gradients: bool = False) -> tuple:
        """Return the value, or the value and the gradient."""
        inputs: list = []

        def watched(*arguments: Any, **settings: Any) -> Any:
            inputs.extend([*arguments, *settings.values()])
            said = io.StringIO()
            try:
                with self._clock.running(), redirect_stdout(said):
                    return self._answer(*arguments, **settings)
            finally:
                self.said = _shortened(said.getvalue())
                self._written.printed = self._written.printed or self.said

        try:
            with torch.set_grad_enabled(self._autograd):
                given = _value_and_gradient(watched, call, gradients)
        except Wrong:
            raise
        except (_TooLong, SystemExit, Exception) as error:
            if isinstance(error, NotImplementedError) and str(error) == STUB:
                raise
            raise self._stopped(error, call) from error
        originals = [*call.arguments, *call.settings.values()]
        for place, (now, then) in enumerate(zip(inputs, originals, strict=True)):
            if _difference(now, then):
                names = call.named(self._trusted).items()
                name = [name for name, value in names for _ in _values_of(name, value, self._trusted)][place]
                raise Wrong(
                    f"Your code changes {name}, which it was given and which its caller still needs. Work on a copy:"
                    f" {_cure(name, then)}.\n\nThe input that was changed:\n{call.described(self._trusted)}",
                    "changed",
                )
        return given

    def hint(self, wrong: Wrong, calls: Sequence[Call]) -> int | None:
        """Return the number of the hint that fits this mistake, if it is one of those that are known."""
        made = [(hint, how) for hint, how in self._written.mistakes if callable(how)]
        if made and wrong.kind in ("numbers", "shape", "type"):
            said, results = self.said, []
            try:
                for call in calls:
                    results.append((call, self.run(call)[0]))
            except Wrong:
                pass
            self.said = said
            for hint, how in made:
                if results and all(_same(self._within(how), call, result) for call, result in results):
                    return hint
        first = str(wrong).split("\n")[0]
        named = [(hint, how) for hint, how in self._written.mistakes if isinstance(how, str)]
        return next((hint for hint, how in named if how == wrong.kind or (how not in KINDS and how in first)), None)

    def _stopped(self, error: BaseException, call: Call) -> Wrong:
        names = call.named(self._trusted)
        where = _place(error, self._written.function)
        shown = f"The input that stopped it:\n{call.described(self._trusted)}"
        if isinstance(error, _TooLong):
            return Wrong(
                f"Your code was stopped: it had run for more than {error}. Probably a loop never ends: does what"
                f" it waits for come about on this input?{where}\n\n{shown}",
                "time",
            )
        if where:
            got = f"\nIt was given {', '.join(_short(name, value) for name, value in names.items())}."
        else:  # it did not even begin
            got = f"\nYour function is called with {len(names)} arguments: ({', '.join(names)})."
        return Wrong(f"Your code stopped with {type(error).__name__}: {error}{where}{got}\n\n{shown}", "error")


def _same(function: Callable, call: Call, result: Any) -> bool:
    """Whether a known mistake makes this result of the call."""
    try:
        with torch.no_grad():
            return _difference(result, call.run(function)) is None
    except Exception:
        return False


def _judge(what: str, one: Any, other: Any, call: Call, trusted: Callable, rough: bool) -> None:
    """Raise `Wrong` if `one`, the student's, is not `other`; only then is the call written down, which takes time."""
    problem = (_gradient_problem if what == "gradient" else _difference)(one, other, rough)
    if problem:
        kind = "gradient" if what == "gradient" else _kind_of(problem)
        more = " The values are right; only the gradient is not." if what == "gradient" else ""
        both = "" if isinstance(other, nn.Module) else f"\n{_line('yours', one)}\n{_line('expected', other)}"
        shown = f"{call.described(trusted)}{both}"
        raise Wrong(f"The {what} is wrong: {problem}.{more}\n\nThe smallest input that shows it:\n{shown}", kind)


def _kind_of(problem: str) -> str:
    words = {"the shape is": "shape", "the dtype is": "dtype", "the layout is": "type", "you returned": "type"}
    return next((kind for word, kind in words.items() if word in problem), "numbers")


# ---- the book is closed ---------------------------------------------------------------------------

_BOOK = os.path.dirname(os.path.dirname(__file__)) + os.sep
_SOLUTIONS = os.path.join(os.path.dirname(__file__), "solutions") + os.sep
# All functions that are one node of a graph share this code: which of them is called, it does not say.
_ONE_NODE = one_node(len).__code__
# Who may set what watches: this file; and a thread that begins, where it is set to the same.
_SETS_PROFILE = (__file__, threading.__file__)


class _WithoutOperators(TorchDispatchMode):
    def __init__(self, operators: Sequence[str], refuse: Callable[[str], None]) -> None:
        super().__init__()
        self._operators, self._refuse = operators, refuse

    def __torch_dispatch__(self, function, types, arguments=(), settings=None):
        name = function.overloadpacket.__name__
        if any(operator in name for operator in self._operators):
            self._refuse(f"PyTorch's own ({name})")
        return function(*arguments, **(settings or {}))


@contextmanager
def _closed(operators: Sequence[str], allowed: frozenset[int], open_: str, autograd: bool) -> Iterator[None]:
    """Refuse PyTorch's operators of these names and all of the book but what is allowed, by whatever name it is called.

    What an allowed function calls is allowed, too, and so is what a module does while it is imported.  Threads that the
    answer starts are watched as well.  This keeps honest readers honest.  It can be got round, by a copy of our code,
    say.

    Args:
        operators: Parts of the names of operators.
        allowed: The ids of the code of the book that may be called.
        open_: The same in words, for the message.
        autograd: Whether PyTorch may be asked for a gradient.
    """
    refused: list[Wrong] = []
    gradients = frozenset() if autograd else _ways_to_a_gradient()

    def refuse(what: str) -> None:
        refused.append(Wrong(f"This exercise asks you to build it yourself, without {what}.{open_}", "closed"))
        raise refused[0]

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and argument is sys.setprofile and frame.f_code.co_filename not in _SETS_PROFILE:
            refuse("sys.setprofile, which the check needs itself")
        engine = event == "c_call" and gradients and getattr(argument, "__name__", "") == "run_backward"
        if engine and not _within(frame, allowed):
            refuse("autograd (torch's run_backward)")
        if event != "call":
            return
        code = _code(frame)
        if code.co_filename.startswith(_BOOK):
            if code.co_filename != __file__ and not _within(frame, allowed):
                refuse("our solution" if code.co_filename.startswith(_SOLUTIONS) else f"the book's {_called(code)}")
        elif id(code) in gradients and not _within(frame.f_back, allowed):
            refuse(f"autograd (torch's {code.co_name})")

    before, of_threads = sys.getprofile(), threading.getprofile()
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        with _WithoutOperators(operators, refuse) if operators else nullcontext():
            yield
    finally:
        sys.setprofile(before)
        threading.setprofile(of_threads)
        if refused:  # also where the answer has caught it, and gone on
            raise refused[0]


def _within(frame: FrameType | None, allowed: frozenset[int]) -> bool:
    """Whether the code that runs was called by something allowed, or runs since a module is imported."""
    while frame is not None and frame.f_code.co_filename != __file__:
        code = _code(frame)
        if id(code) in allowed or (code.co_name == "<module>" and code.co_filename.startswith(_BOOK)):
            return True
        frame = frame.f_back
    return False


def _code(frame: FrameType) -> CodeType:
    """Return the code that runs; of a function that is one node, its own, not what wraps them all."""
    if frame.f_code is not _ONE_NODE:
        return frame.f_code
    return getattr(frame.f_locals["function"], "__code__", _ONE_NODE)


def _called(code: CodeType) -> str:
    return getattr(code, "co_qualname", code.co_name).removesuffix(".__init__")


@cache
def _codes(allows: tuple) -> frozenset[int]:
    """Return the ids of all code that belongs to these functions, classes and modules; it lives as long as they do."""
    found: list[CodeType] = []
    for one in allows:
        if isinstance(one, ModuleType):
            members = [value for value in vars(one).values() if getattr(value, "__module__", "") == one.__name__]
            found += [code for member in members for code in _codes_of(member)]
        else:
            found += _codes_of(one)
    return frozenset(map(id, found))


def _codes_of(one: Any) -> list[CodeType]:
    if isinstance(one, type):
        values = [value for base in one.__mro__ if _of_the_book(base) for value in vars(base).values()]
        return [code for value in values for code in _codes_of(value)] if _of_the_book(one) else []
    if isinstance(one, property):
        one = one.fget
    codes = []
    while one is not None:  # a decorated function, and what it was made of
        codes += [one.__code__] if getattr(one, "__code__", _ONE_NODE) is not _ONE_NODE else []
        one = getattr(one, "__wrapped__", None) or getattr(one, "__func__", None)
    return codes


def _of_the_book(one: type) -> bool:
    return one.__module__.split(".")[0] == __name__.split(".")[0]


@cache
def _open(allows: tuple) -> str:
    names = [name for one in allows if not (name := one.__name__.split(".")[-1]).startswith("_")]
    return (
        f" Of the book you may use {' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}." if names else ""
    )


@cache
def _ways_to_a_gradient() -> frozenset[int]:
    transforms = ("vjp", "jvp", "grad", "grad_and_value", "jacrev", "jacfwd", "hessian", "linearize")
    functional = ("vjp", "jvp", "jacobian", "hessian", "vhp", "hvp")
    ways = [torch.autograd.grad, torch.autograd.backward, torch.autograd.forward_ad.make_dual]
    ways += [getattr(torch.func, name) for name in transforms if hasattr(torch.func, name)]
    ways += [getattr(torch.autograd.functional, name) for name in functional]
    return frozenset(id(code) for way in ways for code in _codes_of(way))


# ---- an answer that never ends --------------------------------------------------------------------


class _TooLong(BaseException):
    """Raised in the answer, wherever it is, when its time is over: no Exception, so that none is taken for it."""


class _Clock:
    """Stops an answer that takes longer than `LIMIT`.

    A thread of its own sleeps until the time is over, and then raises `_TooLong` in the thread that runs the answer.
    Signals would do it on Linux and macOS only, and only in the main thread.  An answer that catches the exception and
    goes on is sent it again.  The thread is gone when the check is.  One long call of C code (a sleep, a product of
    huge matrices) is not cut short; the exception is raised when it comes back.
    """

    def __init__(self) -> None:
        self._answers, self._lock, self._over = threading.get_ident(), threading.Lock(), threading.Event()
        self._end: float | None = None
        self._thrown = False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Clock":
        self._last = time.monotonic() + 12 * LIMIT
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the time of one run of the answer."""
        begun = time.monotonic()
        self._end = min(begun + LIMIT, self._last)
        try:
            try:
                yield
            finally:
                self._stop()
        except _TooLong as late:
            alone = self._last > begun + LIMIT
            late.args = (f"{LIMIT:g} seconds" if alone else f"{12 * LIMIT:g} seconds on all inputs together",)
            raise

    def _stop(self) -> None:
        while True:
            try:
                with self._lock:
                    self._end = None
                # What was thrown and has not arrived arrives here: an exception of this kind waits for a loop's end.
                for _ in range(100 if self._thrown else 0):
                    pass
                return
            except _TooLong:
                pass  # the answer was done at the same moment

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            with self._lock:
                if self._end is not None and time.monotonic() > self._end:
                    self._thrown = True
                    thread = ctypes.c_ulong(self._answers)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(_TooLong))


# ---- in words -------------------------------------------------------------------------------------


def _shortened(text: str) -> str:
    lines = text.splitlines()
    more = [f"... and {len(lines) - 10} lines more"] if len(lines) > 10 else []
    return "\n".join(f"    {line[:200]}" for line in lines[:10] + more)


def _place(error: BaseException, answer: Callable) -> str:
    """Quote the last line of the student's own code on the way to the error."""
    code = getattr(answer, "__code__", None)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename
    ]
    return f"\nin line {frames[-1].lineno}:  {frames[-1].line}" if frames and frames[-1].line else ""


def _values_of(name: str, value: Any, function: Callable) -> list:
    """Return the values of one parameter: several, if it is *args or **settings."""
    kind = inspect.signature(function).parameters[name].kind
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return list(value)
    return list(value.values()) if kind is inspect.Parameter.VAR_KEYWORD else [value]


def _cure(name: str, value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{name}.clone()"
    if isinstance(value, nn.Module):
        return f"copy.deepcopy({name})"
    if isinstance(value, tuple | list) and value and isinstance(value[0], Tensor):
        return f"[one.clone() for one in {name}]"
    return f"{type(value).__name__}({name})"


def _short(name: str, value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{name} of shape {tuple(value.shape)}, {value.dtype}"
    if isinstance(value, tuple) and value and isinstance(value[0], Tensor):
        return f"{name}, {len(value)} tensors"
    if isinstance(value, nn.Module):
        return f"{name}, {_kind(value)}"
    text = repr(value)
    return f"{name} = {text}" if len(text) < 60 else f"{name}, {_kind(value)}"


def _value_and_gradient(function: Callable, call: Call, gradients: bool) -> tuple:
    """Return the value and, where asked for, the gradient: a tuple of them if several arguments have one."""
    if not gradients:
        return (call.run(function),)
    inputs: list[Tensor] = []

    def learning(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(learning, value))
        if isinstance(value, Tensor) and value.is_floating_point():
            inputs.append(value.clone().requires_grad_())
            return inputs[-1]
        return value

    # run() hands on clones, and the gradient flows back through the cloning.
    result = Call(learning(call.arguments), call.settings).run(function)
    if not inputs:
        return (result,)
    if not isinstance(result, Tensor) or not result.requires_grad:
        return result, None
    # Weights that differ from pixel to pixel, so that a gradient in the wrong place cannot cancel out.
    weights = torch.arange(1, result.numel() + 1, dtype=result.dtype).reshape(result.shape)
    found = torch.autograd.grad(result, inputs, weights, allow_unused=True)
    return result.detach(), found[0] if len(found) == 1 else found


def _gradient_problem(one: Any, other: Any, rough: bool) -> str | None:
    """Say what is wrong with a gradient; none at all is as good as one of zeros, as in PyTorch."""
    if isinstance(other, tuple):
        parts = one if isinstance(one, tuple) else [None] * len(other)
        problems = [_gradient_problem(*pair, rough) for pair in zip(parts, other, strict=False)]
        if one is None and any(problems):
            return _NO_GRADIENT
        return next((f"value {i} of {len(other)}: {problem}" for i, problem in enumerate(problems, 1) if problem), None)
    if one is None or other is None:
        return None if other is None or not other.count_nonzero() else _NO_GRADIENT
    return _difference(one, other, rough)


def _difference(one: Any, other: Any, rough: bool = False) -> str | None:
    """Say in words how `one` differs from `other`, or return None."""
    if isinstance(other, tuple):
        if not isinstance(one, tuple | list) or len(one) != len(other):
            return f"{len(other)} values were wanted, you returned {_kind(one)}"
        problems = (_difference(*pair, rough) for pair in zip(one, other, strict=True))
        return next((f"value {i} of {len(other)}: {problem}" for i, problem in enumerate(problems, 1) if problem), None)
    if not isinstance(other, Tensor) and isinstance(one, np.generic) and type(one).__module__ == "numpy":
        one = one.item()  # NumPy's numbers are numbers
    if type(one) is nn.Parameter:
        one = one.detach()
    # A subclass could bring its own idea of "equal", so only the plain type will do.
    if type(one) is not type(other):
        return f"{_kind(other)} was wanted, you returned {_kind(one)}{_remedy(one, other)}"
    if isinstance(other, nn.Module):
        return _module_difference(one, other)
    if not isinstance(other, Tensor):
        what = "answers" if isinstance(other, bool | str) else "numbers"
        return None if one == other else f"the {what} differ: {one!r} instead of {other!r}"
    if one.shape != other.shape:
        return (
            f"the shape is {tuple(one.shape)}, it should be {tuple(other.shape)}{_about_axes(one.shape, other.shape)}"
        )
    if one.dtype != other.dtype:
        return (
            f"the dtype is {one.dtype}, it should be {other.dtype}; .to({other.dtype}) changes it, and x.new_zeros"
            " begins with the dtype of x"
        )
    if one.layout != other.layout:
        return f"the layout is {one.layout}, it should be {other.layout}; .to_dense() makes a plain tensor of it"
    if one.device != other.device:
        return f"the numbers lie on {one.device}, they should lie on {other.device}, where the input is"
    one, other = one.detach(), other.detach()
    if other.layout == torch.strided and _equal(one, other):
        return None
    # What is worked out in float64 has twice as many right digits.
    twice = other.dtype == torch.float64 and not rough
    for rtol, atol in ((1e-5, 1e-6), (1e-9, 1e-9)) if twice else ((1e-5, 1e-6),):
        different = (~_isclose(one, other, rtol=rtol, atol=atol, equal_nan=True)).nonzero().tolist()
        if different:
            place = tuple(different[0])
            where = f"the numbers differ, first at {list(place)}"
            if rtol == 1e-5:
                return f"{where}: {one[place]:.6g} instead of {other[place]:.6g}"
            return (
                f"{where}: {one[place]:.12g} instead of {other[place]:.12g}. The first digits are right: perhaps"
                " something in between is in float32, or a small part is left out"
            )
    return None


def _about_axes(one: torch.Size, other: torch.Size) -> str:
    if len(one) != len(other):
        return f" ({len(other)} axes were wanted, there are {len(one)})"
    if len(one) > 1 and (*one[:-2], one[-1], one[-2]) == tuple(other):
        return " (rows and columns have changed places)"
    wrong = [f"axis {i} has {a} and not {b}" for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return f" ({', '.join(wrong)})" if len(one) > 1 else ""


def _remedy(one: Any, other: Any) -> str:
    """Say how to make of `one` what is wanted."""
    name = type(one).__name__
    if isinstance(other, Tensor):
        if hasattr(one, "values") and hasattr(one, "indices"):
            return "; its numbers are .values"
        ways = {
            "ndarray": "torch.from_numpy makes one of it",
            "list": "torch.tensor makes one of numbers, torch.stack or torch.cat of tensors",
            "tuple": "torch.tensor makes one of numbers, torch.stack or torch.cat of tensors",
        }
        plain = "torch.tensor makes one of it" if isinstance(one, int | float) else ""
        return f"; {ways.get(name, plain)}" if ways.get(name, plain) else ""
    if isinstance(other, bool | int) and isinstance(one, Tensor) and one.numel() == 1:
        return f"; {type(other).__name__}(...) makes one of it"
    if type(other) is int and type(one) is float:
        return "; // divides integers, and rounds down"
    if type(other) is bool and type(one) is int:
        return "; a comparison gives one"
    return ""


def _module_difference(one: nn.Module, other: nn.Module) -> str | None:
    """Say where two networks differ: in their parts, their modes, their numbers, byte for byte."""
    mine, wanted = (dict(network.named_modules()) for network in (one, other))
    for name, module in wanted.items():
        if name not in mine:
            return f"the network differs: it lacks {name}"
        if mine[name].training != module.training:
            modes = [("evaluation", "training")[mode] for mode in (mine[name].training, module.training)]
            return f"the network differs: {name or 'it'} is in {modes[0]} mode, it should be in {modes[1]} mode"
    if extra := [name for name in mine if name not in wanted]:
        return f"the network differs: it has {extra[0]}, which should not be there"
    mine, wanted = one.state_dict(), other.state_dict()
    if names := set(mine) ^ set(wanted):
        name = min(names)
        return f"the network differs: it {'lacks' if name in wanted else 'should not have'} {name}"
    for name, value in wanted.items():
        if mine[name].shape != value.shape:
            return f"the network differs: {name} is {tuple(mine[name].shape)}, it should be {tuple(value.shape)}"
        if mine[name].numpy(force=True).tobytes() != value.numpy(force=True).tobytes():
            shown = ", ".join(f"{each.flatten()[0]:.4g}" for each in (mine[name], value))
            return f"the network differs: {name} has other numbers (yours, and what it should be, begin with {shown})"
    return None


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (is a return missing?)"
    name = type(value).__name__
    if isinstance(value, np.generic):
        return f"a NumPy {name}"
    many = f" of {len(value)}" if type(value) in (list, tuple) else ""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}{many}"


def _copy(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return copy.deepcopy(value)
    if type(value) in (tuple, list):
        return type(value)(map(_copy, value))
    if type(value) is dict:
        return {name: _copy(one) for name, one in value.items()}
    return value.clone() if isinstance(value, Tensor) else value


def _line(name: str, value: Any) -> str:
    """Write `name = value` with all rows of a tensor under each other."""
    if isinstance(value, tuple) and any(isinstance(one, Tensor | tuple) for one in value):
        return "\n".join(_line(f"{name}[{i}]", one) for i, one in enumerate(value))
    large = isinstance(value, Tensor) and value.numel() > 60
    plain = repr(value) if isinstance(value, str) and " " not in value else str(value)
    text = f"a tensor of shape {tuple(value.shape)}, {value.dtype}" if large else plain
    start = f"    {name} = "
    return start + text.replace("\n", "\n" + " " * len(start))

"""Judge answers: draw inputs, have them computed elsewhere, and compare here.

The check of an exercise is the book's own.  It is given a `Remote`, which looks like the student's function and hands
every call to the answer's own process.  What comes back is values, and what they are worth is decided here, where no
line of the student's code ever runs.  Gradients are asked for over the same wire.  That the book is closed can only be
watched where the answer runs, so there `checking._closed` is at work, and here it is not.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chapters_code import exercises
from chapters_code.exercises import checking
from chapters_code.exercises.checking import STUB, Exercise, Wrong
from classroom.checks import exercise_of
from classroom.grading import wire

__all__ = ["Limits", "Verdict", "judge", "server"]

_NOTE = "\n\nThe inputs were drawn with seed "


@dataclass(frozen=True)
class Limits:
    """What an answer may use."""

    seconds: float = 10.0  # for one call; for a whole exercise twelve times as long, as in the book's check
    memory: int = 2 * 2**30  # bytes beyond what PyTorch itself has
    output: int = 2**20  # characters printed
    file: int = 2**20  # bytes of one file

    def plain(self) -> dict:
        return {**asdict(self), "cpu": int(12 * self.seconds) + 2}


@dataclass
class Verdict:
    """What is said of one answer.

    `state` is "right", "wrong", "blank", "missing", "words" (a person must read them) or "not judged".
    """

    state: str
    reason: str = ""  # for the student
    kind: str = ""  # one of checking.KINDS
    hint: str = ""
    seed: int | None = None  # for the teacher: of the inputs that showed it
    words: str = ""  # what the student wrote, where words are asked for


def judge(number: str, program: Sequence, answer: str, seeds: Sequence[int], limits: Limits, server: str) -> Verdict:
    """Judge one answer.

    Args:
        number: The exercise.
        program: The definitions it needs, see `classroom.grading.answers`.
        answer: The expression that gives the answer, once they are run.
        seeds: The seeds of the inputs.
        limits: What the answer may use.
        server: The socket of the process that forks.
    """
    exercise = exercise_of(number)
    with tempfile.TemporaryDirectory(prefix="answer-", ignore_cleanup_errors=True) as folder, _quick():
        remote = Remote(exercise, limits)
        try:
            remote.begin(server, folder, program, answer)
            return _judged(exercise, remote, seeds)
        except Wrong as wrong:
            return _verdict(exercise, wrong)
        except NotImplementedError as error:
            if str(error) != STUB:
                raise
            return Verdict("blank", "not answered")
        finally:
            remote.kill()


def _judged(exercise: Exercise, remote: "Remote", seeds: Sequence[int]) -> Verdict:
    if exercise.kind == "code":
        with _guard_is_there(remote):
            for seed in seeds:
                wrong = exercises._try(exercise, remote, seed)[0]
                if wrong is not None:
                    return _verdict(exercise, wrong, seed)
    else:
        value = remote.value
        if isinstance(value, _odd("ellipsis")) or (isinstance(value, str) and not value.strip()):
            return Verdict("blank", "not answered")
        if exercise.check is None:
            if not isinstance(value, str):
                return Verdict("wrong", f"A text in quotes was wanted, there is a {type(value).__name__}.", "type")
            return Verdict("words", "a person reads this", words=value.strip())
        wrong = exercises._try(exercise, value, None)[0]
        if wrong is not None:
            return _verdict(exercise, wrong)
    remote.ask({"do": "end"})
    return Verdict("right")


def _verdict(exercise: Exercise, wrong: Wrong, seed: int | None = None) -> Verdict:
    # The note names the seed, which is the teacher's.
    text = str(wrong).split(_NOTE)[0]
    hint = exercise.hints[wrong.hint - 1] if wrong.hint and wrong.hint <= len(exercise.hints) else ""
    return Verdict("wrong", text[:6000], wrong.kind, hint, seed)


@contextlib.contextmanager
def _quick() -> Iterator[None]:
    """Let the child's clock be the only one: it is killed from here, and the check's own clock never rings."""
    before = checking.LIMIT
    checking.LIMIT = 10.0**6
    try:
        yield
    finally:
        checking.LIMIT = before


@contextlib.contextmanager
def _guard_is_there(remote: "Remote") -> Iterator[None]:
    """Tell the answer's process what is closed to it, instead of closing it here, where no answer runs."""
    before = checking._closed

    @contextlib.contextmanager
    def told(without: Sequence[str], allowed: frozenset, open_: str, autograd: bool) -> Iterator[None]:
        remote.rules = {"without": tuple(without), "autograd": autograd}
        try:
            yield
        finally:
            remote.rules = None

    checking._closed = told
    try:
        yield
    finally:
        checking._closed = before


class Remote:
    """The student's function, which runs in a process of its own."""

    def __init__(self, exercise: Exercise, limits: Limits) -> None:
        self._exercise, self._limits = exercise, limits
        self._connection: Connection | None = None
        self._pid: int | None = None
        self._end = monotonic() + 12 * limits.seconds
        self._known: tuple[type, ...] = ()
        self.rules: dict | None = None
        self.value: Any = None

    def begin(self, server: str, folder: str, program: Sequence, answer: str) -> None:
        """Start the process, and have the definitions run."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(server)
        self._connection = Connection(connection.detach())
        # Sent before any line of the student's code runs.
        self._pid = wire.receive(self._connection)["pid"]
        allows = tuple(one.__name__ if isinstance(one, ModuleType) else one for one in self._exercise.allows)
        task = {"program": program, "answer": answer, "kind": self._exercise.kind, "allows": allows}
        wire.send(self._connection, {**task, "folder": folder, "limits": self._limits.plain()})
        reply = self.ask(None)
        if "value" in reply:
            self.value = self._opened(reply["value"])

    def kill(self) -> None:
        """End the process, and all that it may have started."""
        if self._pid is not None:
            for end in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    end(self._pid, signal.SIGKILL)
        self._pid = None
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self._call(0, arguments, settings)

    def _call(self, function: int, arguments: tuple, settings: dict) -> Any:
        leaves: list[Tensor] = []

        def packed(value: Any) -> Any:
            if isinstance(value, Tensor) and value.requires_grad and type(value) is Tensor:
                leaves.append(value)
                return wire.Leaf(value.detach())
            return type(value)(map(packed, value)) if type(value) in (tuple, list) else value

        given = [*arguments, *settings.values()]
        message = {
            **{"do": "call", "function": function, "rules": self.rules, "autograd": torch.is_grad_enabled()},
            **{"arguments": packed(arguments), "settings": {name: packed(one) for name, one in settings.items()}},
            "gradients": [[weight.grad for weight in network.parameters()] for network in _networks(given)],
        }
        self._known = tuple({type(one) for one in given if type(one).__module__.startswith("chapters_code.")})
        reply = self.ask(message)
        try:
            result, changed = self._opened(reply["result"]), [self._opened(one) for one in reply["given"]]
            with torch.no_grad():
                for mine, theirs in zip(given, changed, strict=True):
                    _take_over(mine, theirs)
                for network, gradients in zip(_networks(given), reply["gradients"], strict=True):
                    for weight, gradient in zip(network.parameters(), gradients, strict=True):
                        weight.grad = gradient
            graph = reply["graph"]
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise Wrong(f"What your code returned could not be read ({type(error).__name__}).", "type") from error
        if isinstance(graph, int) and leaves and type(result) is Tensor and result.is_floating_point():
            return _Gradient.apply(self, graph, result, *leaves)
        return result

    def backward(self, graph: int, gradient: Tensor, leaves: Sequence[Tensor]) -> list[Tensor | None]:
        """Return the gradients of the leaves."""
        found = self.ask({"do": "backward", "graph": graph, "gradient": gradient})["found"]
        fits = isinstance(found, list) and len(found) == len(leaves)
        if not fits or any(
            one is not None and (type(one) is not Tensor or (one.shape, one.dtype) != (leaf.shape, leaf.dtype))
            for one, leaf in zip(found, leaves, strict=True)
        ):
            raise Wrong("The gradient that came back could not be read.", "type")
        return found

    def ask(self, message: dict | None) -> dict:
        """Send a message, wait for the reply, and raise what it says is wrong."""
        if self._connection is None:
            raise Wrong("Your code was stopped.", "time")
        try:
            if message is not None:
                wire.send(self._connection, message)
            alone = min(self._limits.seconds, self._end - monotonic())
            if not self._connection.poll(max(alone, 0)):
                self.kill()
                raise Wrong(
                    f"Your code was stopped: it had run for more than {self._limits.seconds:g} seconds"
                    f"{'' if alone == self._limits.seconds else ', on all inputs together'}. Probably a loop never"
                    " ends.",
                    "time",
                )
            reply = wire.receive(self._connection, self._known)
            if not isinstance(reply, dict):
                raise ValueError("no dict")
        except (EOFError, BrokenPipeError, ConnectionError) as error:
            self.kill()
            raise Wrong(
                "Your code ended the process that it ran in: by exit, by a crash, or because it took too much time or"
                " memory.",
                "error",
            ) from error
        except ValueError as error:
            raise Wrong(f"What your code returned could not be read: {error}", "type") from error
        if "wrong" in reply:
            raise Wrong(*map(str, reply["wrong"]))
        if "stub" in reply:
            raise NotImplementedError(STUB)
        if "stopped" in reply:
            name, text, place = map(str, reply["stopped"])
            raise type(name, (Exception,), {})(text + place)
        return reply

    def _opened(self, value: Any) -> Any:
        """Turn what came over the wire into what the answer meant."""
        if isinstance(value, wire.Handle):
            return lambda *arguments, **settings: self._call(value.number, arguments, settings)
        if isinstance(value, wire.Odd):
            return _odd(str(value.name))()
        if isinstance(value, wire.Named):
            if value.name.startswith("numpy."):
                return np.dtype(value.name.removeprefix("numpy.")).type(value.value)
            members = dict.fromkeys(value.has)
            return type(str(value.name), (tuple,), members)(self._opened(one) for one in value.value)
        if type(value) in (list, tuple):
            return type(value)(map(self._opened, value))
        if type(value) is dict:
            return {key: self._opened(one) for key, one in value.items()}
        return value


class _Gradient(torch.autograd.Function):
    """Passes a result through, and asks the answer's process for its gradient."""

    @staticmethod
    def forward(context: Any, remote: Remote, graph: int, result: Tensor, *leaves: Tensor) -> Tensor:
        context.remote, context.graph, context.leaves = remote, graph, leaves
        return result.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple:
        return None, None, None, *context.remote.backward(context.graph, gradient, context.leaves)


_ODD: dict[str, type] = {}


def _odd(name: str) -> type:
    """Return a type of this name: its objects stand for what was not sent, and a message can name them."""
    return _ODD.setdefault(name, type(name, (), {}))


def _networks(values: Any) -> Iterator[nn.Module]:
    for value in values:
        if isinstance(value, nn.Module):
            yield value
        elif type(value) in (tuple, list):
            yield from _networks(value)


def _take_over(mine: Any, theirs: Any) -> None:
    """Make of an argument what the answer has made of its copy; a check may look at it."""
    if isinstance(mine, nn.Module) and type(theirs) is type(mine):
        mine.__dict__.clear()
        mine.__dict__.update(theirs.__dict__)
    elif isinstance(mine, Tensor) and isinstance(theirs, Tensor):
        if (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
            mine.data = theirs
        elif not torch.equal(mine, theirs):
            mine.data.copy_(theirs)
    elif type(mine) is list and type(theirs) is list:
        mine[:] = theirs
    elif type(mine) is dict and type(theirs) is dict:
        mine.clear()
        mine.update(theirs)
    elif type(mine) is tuple and type(theirs) is tuple and len(mine) == len(theirs):
        for one, other in zip(mine, theirs, strict=True):
            _take_over(one, other)


# ---- the process that forks -----------------------------------------------------------------------


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start the process that forks for each answer, and yield the path of its socket."""
    root = Path(__file__).parents[2]
    folder = tempfile.mkdtemp(prefix="grade-")  # only this user may enter
    path = os.path.join(folder, "socket")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "classroom.grading.child", path]
    try:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=environment
        ) as process:  # to leave it closes its input, which ends it
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("the process that runs the answers did not start; its words stand above")
            yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)

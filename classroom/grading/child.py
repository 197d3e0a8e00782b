"""The process that an answer runs in, and the one that such processes are forked from.

    python -m classroom.grading.child SOCKET

imports PyTorch once, which takes seconds, and then forks for each connection.  In the new process

* an answer has limits: time (the judge kills it), CPU time, memory, the size of files, what it prints;
* it has no network and can write only into an empty folder, which is thrown away: the system sees to both where it
  can (`wall`), and an audit hook everywhere;
* the solutions are not there: `chapters_code.exercises` is an empty shell, and the hook refuses to read its files;
* there is nothing to win: it holds no expected value, no seed and no verdict.  The judge compares, elsewhere.

What an audit hook can do and what it cannot: Python tells it before a file is opened, a process started, a module
found, a socket made, and it can refuse.  It cannot be taken off again.  But it lives in the process that it watches.
Whoever writes to the memory of that process gets round it, and to keep ctypes shut makes this hard, not impossible.
What must not be forged is therefore not here; and what must not happen to the machine is for the system to refuse,
which is why there is `wall`, and why classroom/README.md speaks of containers.
"""

import _thread
import contextlib
import io
import linecache
import os
import select
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import chapters_code
from classroom.grading import wall, wire

_BOOK = Path(chapters_code.__file__).parent
# What an answer may well import, and what the arguments of exercises are made of.
_BEFOREHAND = ("numpy", "pywt", "torchvision", "torch.nn.functional", "chapters_code.wtconv", "chapters_code.u2net")
_BEFOREHAND += tuple(f"chapters_code.{path.stem}" for path in sorted(_BOOK.glob("[a-z]*.py")))
_BEFOREHAND = tuple(name for name in _BEFOREHAND if name not in ("chapters_code.figures", "chapters_code.notebook"))


# ---- the process that forks -----------------------------------------------------------------------


def serve(path: str) -> None:
    """Fork a process for each connection to the socket at `path`, until standard input is closed."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    checking = _shell_of_the_exercises()
    for name in _BEFOREHAND:
        with contextlib.suppress(ImportError):
            import_module(name)
    torch.set_num_threads(1)
    linecache.getlines(checking.__file__)  # a warning may quote it, and later it cannot be read
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        accepted, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            with contextlib.suppress(BaseException):
                _answer(Connection(accepted.detach()), checking)
            os._exit(0)
        accepted.close()


def _shell_of_the_exercises() -> types.ModuleType:
    """Put an empty package in the place of `chapters_code.exercises`, and return its one real module, `checking`."""
    name = "chapters_code.exercises"
    package = types.ModuleType(name)
    package.__path__ = [str(_BOOK / "exercises")]
    for function in ("check", "hint", "solution"):
        setattr(package, function, lambda *arguments, **settings: None)
    sys.modules[name] = chapters_code.exercises = package
    return import_module(f"{name}.checking")


# ---- the process of one answer --------------------------------------------------------------------


def _answer(connection: Connection, checking: types.ModuleType) -> None:
    wire.send(connection, {"pid": os.getpid()})  # so that the judge can end us, whatever happens
    task = wire.receive_trusted(connection)
    os.setsid()
    os.chdir(task["folder"])
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    wall.build(task["folder"], task["limits"])
    said = _Limited(task["limits"]["output"])
    sys.stdout = sys.stderr = said
    sys.stdin = io.StringIO()
    torch.manual_seed(0)
    runner = _Runner(checking, task)
    runner.watch()
    _reply(connection, runner.guarded(runner.load))
    while True:
        message = wire.receive_trusted(connection)
        _reply(connection, runner.guarded(lambda message=message: getattr(runner, message["do"])(message)))


def _reply(connection: Connection, reply: dict) -> None:
    try:
        wire.send(connection, reply)
    except Exception as error:  # something that pickle cannot write, such as a class of the answer's own
        text = f"What your code returned cannot be compared: it holds more than tensors and numbers ({error})."
        wire.send(connection, {"wrong": (text, "type")})


def _functions(checking: types.ModuleType) -> dict[str, tuple]:
    """Return the functions that an answer must leave as they are, with their code."""
    places = {"torch": torch, "functional": nn.functional, "Tensor": Tensor, "checking": checking}
    return {
        f"{place}.{name}": (value, getattr(value, "__code__", None))
        for place, one in places.items()
        for name, value in vars(one).items()
        if callable(value)
    }


class _Runner:
    """Holds the student's function, and does what the judge says."""

    def __init__(self, checking: types.ModuleType, task: dict) -> None:
        self._checking, self._task = checking, task
        # A module comes by its name.
        self._allows = tuple(import_module(one) if isinstance(one, str) else one for one in task["allows"])
        self._before = _functions(checking)
        self._refused: list[str] = []
        self._functions: list[Callable] = []
        self._graphs: list[tuple[Tensor, list[Tensor]]] = []
        self._files: set[str] = set()

    def guarded(self, work: Callable[[], dict]) -> dict:
        """Return what `work` returns, or say how it went wrong."""
        try:
            reply = work()
        except self._checking.Wrong as wrong:
            reply = {"wrong": (str(wrong), wrong.kind)}
        except BaseException as error:  # SystemExit, too, and what a student may invent
            if isinstance(error, NotImplementedError) and str(error) == self._checking.STUB:
                reply = {"stub": True}
            else:
                reply = {"stopped": (type(error).__name__, _text(error), self._place(error))}
        if self._refused:
            reply = {"wrong": (f"Your code {self._refused[0]}, which no exercise needs; it gets no points.", "closed")}
        return reply

    def watch(self) -> None:
        """Refuse, from now on, what no answer needs."""
        self._refused = _watch(self._task["folder"])

    def load(self) -> dict:
        """Run the definitions, and find the answer."""
        space: dict[str, Any] = {"__name__": "answer", "__builtins__": __builtins__}
        for number, (source, needed) in enumerate(self._task["program"]):
            file = f"<cell {number}>"
            self._files.add(file)
            linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
            try:
                exec(compile(source, file, "exec"), space)
            except BaseException:
                # A line of another cell which the answer may not need after all; if it does, its name is missing.
                if needed:
                    raise
        answer = eval(self._task["answer"], space)
        if self._task["kind"] != "code":
            return {"value": wire.pack(answer, self._functions)}
        if not callable(answer):
            return {"wrong": (f"A function was wanted, there is {type(answer).__name__}.", "type")}
        self._functions.append(answer)
        return {"ready": True}

    def call(self, message: dict) -> dict:
        """Call a function, with the book closed if it is the answer itself."""
        leaves: list[Tensor] = []

        def opened(value: Any) -> Any:
            if isinstance(value, wire.Leaf):
                leaves.append(value.tensor.requires_grad_())
                return leaves[-1].clone()  # so that it may be written to, as in a check
            if type(value) in (tuple, list):
                return type(value)(map(opened, value))
            return value

        arguments, settings = opened(message["arguments"]), {n: opened(v) for n, v in message["settings"].items()}
        given = [*arguments, *settings.values()]
        for network, gradients in zip(_networks(given), message["gradients"], strict=True):
            for weight, gradient in zip(network.parameters(), gradients, strict=True):
                weight.grad = gradient
        function = self._functions[message["function"]]
        guard = self._guard(message["rules"]) if message["rules"] else contextlib.nullcontext()
        with torch.set_grad_enabled(message["autograd"]), guard:
            result = function(*arguments, **settings)
        reply: dict[str, Any] = {"graph": None}
        if isinstance(result, Tensor) and result.requires_grad and leaves:
            self._graphs.append((result, leaves))
            reply["graph"] = len(self._graphs) - 1
        known = tuple({type(one) for one in given if type(one).__module__.startswith("chapters_code.")})
        reply["result"] = wire.pack(result, self._functions, known)
        reply["given"] = [wire.pack(one, self._functions, known) for one in given]
        reply["gradients"] = [[weight.grad for weight in network.parameters()] for network in _networks(given)]
        return reply

    def backward(self, message: dict) -> dict:
        """Return the gradient of a result that came from a call."""
        result, leaves = self._graphs[message["graph"]]
        found = torch.autograd.grad(result, leaves, message["gradient"], allow_unused=True, retain_graph=True)
        return {"found": [one if one is None else one.detach() for one in found]}

    def end(self, message: dict) -> dict:
        """Look, at the end, whether all is as it was."""
        now = _functions(self._checking)
        changed = next((name for name, before in self._before.items() if now.get(name) != before), None)
        if changed:
            raise self._checking.Wrong(f"Your code puts something else in the place of {changed}.", "closed")
        return {"ended": True}

    def _guard(self, rules: dict) -> contextlib.AbstractContextManager:
        """Close the book, but for what the exercise allows."""
        codes, open_ = self._checking._codes(self._allows), self._checking._open(self._allows)
        return self._checking._closed(rules["without"], codes, open_, rules["autograd"])

    def _place(self, error: BaseException) -> str:
        """Quote the last line of the student's own code on the way to the error."""
        file, number = None, 0
        step = error.__traceback__
        while step is not None:  # not by `traceback`, which reads the files of all frames, also of closed ones
            if step.tb_frame.f_code.co_filename in self._files:
                file, number = step.tb_frame.f_code.co_filename, step.tb_lineno
            step = step.tb_next
        line = linecache.getline(file, number).strip() if file else ""
        return f"\nin line {number}:  {line[:200]}" if line else ""


def _text(error: BaseException) -> str:
    try:
        return str(error)[:2000]
    except BaseException:  # whose words are themselves an error
        return ""


def _networks(values: Any) -> Iterator[nn.Module]:
    for value in values:
        if isinstance(value, nn.Module):
            yield value
        elif type(value) in (tuple, list):
            yield from _networks(value)


# ---- limits ---------------------------------------------------------------------------------------


class _Limited(io.TextIOBase):
    """Standard output that takes only so much."""

    def __init__(self, left: int) -> None:
        self._left = left

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._left -= len(text)
        if self._left < 0:
            raise RuntimeError("too much was printed")
        return len(text)


# What needs no exercise, by the names that Python's audit events have, and what is said of it.
_NEVER = {
    "starts another process": ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system"),
    "starts a program": ("subprocess.Popen", "pty.spawn", "os.startfile", "webbrowser.open"),
    "uses the network": ("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "poplib.", "imaplib.", "telnetlib."),
    "sends signals": ("os.kill", "os.killpg", "signal.pthread_kill"),
    "calls C by ctypes": ("ctypes.",),
    "searches the memory": ("gc.get_objects", "gc.get_referrers", "gc.get_referents"),
    "attaches to Python itself": ("sys.addaudithook", "sys._current_frames", "sys.remote_exec", "sys.settrace"),
}
# Events with paths among their arguments, all of which must lie in the folder of the answer.
_CHANGES = (
    *("os.chmod", "os.chown", "os.link", "os.symlink", "os.rename", "os.remove", "os.rmdir", "os.mkdir"),
    *("os.truncate", "os.utime", "os.chflags", "os.setxattr", "os.removexattr", "os.mkfifo", "os.mknod"),
)
_LOOKS = ("os.listdir", "os.scandir", "os.walk", "os.chdir", "glob.glob")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _watch(folder: str) -> list[str]:
    """Refuse, from now on, what no answer needs; return the list of what was tried."""
    refused: list[str] = []
    folder = os.path.realpath(folder)
    exercises = os.path.realpath(_BOOK / "exercises")
    roots = [folder, str(_BOOK), *sys.path, sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)]
    roots += ["/usr/share/zoneinfo", "/usr/lib", "/lib", "/dev/null", "/dev/urandom", "/etc/localtime"]
    # The folder of the book's root holds the tests with their answers, and perhaps the submissions: not as a whole.
    around = os.path.realpath(_BOOK.parent)
    roots = [os.path.realpath(root) for root in roots if root and os.path.realpath(root) != around]
    never = {event: what for what, events in _NEVER.items() for event in events}
    groups = tuple(event for event in never if event.endswith("."))

    def below(path: Any, places: list[str]) -> bool:
        path = os.path.realpath(os.fsdecode(path))
        return any(path == place or path.startswith(place + os.sep) for place in places)

    def refuse(what: str) -> None:
        refused.append(what)
        raise PermissionError(f"a graded answer {what}: refused")

    def named(arguments: tuple) -> list:
        return [one for one in arguments if isinstance(one, str | bytes | os.PathLike)]

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            if flags & _WRITES and not below(path, [folder, "/dev/null"]):
                refuse("writes a file outside its folder")
            if below(path, [exercises]) and not os.fsdecode(path).endswith(os.sep):
                refuse("reads the book's checks and solutions")
            if not below(path, roots) and os.path.exists(path):
                refuse("reads files that are none of its business")
        elif event == "import":
            name = arguments[0]
            if name.startswith(("chapters_code.exercises.", "classroom.", "answers.")):
                refuse("imports the book's checks and solutions")
        elif event in never or event.startswith(groups):
            refuse(never.get(event) or never[next(group for group in groups if event.startswith(group))])
        elif event in _CHANGES:
            if not all(below(path, [folder]) for path in named(arguments)):
                refuse("changes files outside its folder")
        elif event in _LOOKS:
            if not all(below(path, [*roots, around]) for path in named(arguments)):
                refuse("looks through folders")
        elif event == "object.__setattr__" and arguments[1] == "__code__":
            refuse("changes the code of a function")

    def no_thread(*_: Any, **__: Any) -> None:
        refuse("starts a thread")

    # Of threads an audit hook hears only in newer Pythons.
    for module in (_thread, threading):
        for name in ("start_new_thread", "start_new", "start_joinable_thread"):
            for spelt in (name, f"_{name}"):
                if hasattr(module, spelt):
                    setattr(module, spelt, no_thread)
    sys.addaudithook(hook)
    return refused


if __name__ == "__main__":
    serve(sys.argv[1])

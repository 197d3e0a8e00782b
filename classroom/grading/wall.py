"""What the system itself keeps an answer's process from; nothing that the process does later can lift it.

Limits of time, memory, files and processes are those of every Unix.  On Linux come a network of its own without a way
out, and Landlock: a process can give up, for good, to write outside a folder and to start programs.  Each of these is
there or not, by the system and its version; `build` says which were.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

__all__ = ["build"]

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_PARENT_DIES, _NO_NEW_PRIVILEGES = 1, 38  # of prctl
# Landlock, the same numbers on all machines.  Its rights are bits, of which each version knows more.
_CREATE_RULES, _ADD_RULE, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_KNOWN = {1: 13, 2: 14, 3: 15}  # version: how many rights there are


class _Rules(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("place", ctypes.c_int32)]


def build(folder: str, limits: dict) -> list[str]:
    """Set all limits; return the names of those walls that this system has.

    Args:
        folder: The only place that can be written to.
        limits: "cpu" in seconds, "file" and "memory" in bytes; the memory is beyond what the process has already.
    """
    _set(resource.RLIMIT_CPU, limits["cpu"])
    _set(resource.RLIMIT_FSIZE, limits["file"])
    _set(resource.RLIMIT_CORE, 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an OSError
    there = ["time"]
    statm = Path("/proc/self/statm")
    if statm.exists():  # on other systems the size so far is not known, and macOS keeps no such limit
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        _set(resource.RLIMIT_AS, now + limits["memory"])
        there.append("memory")
    if os.getuid() != 0:  # of root the system counts no processes
        _set(resource.RLIMIT_NPROC, 0)
        there.append("processes")
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PARENT_DIES, signal.SIGKILL, 0, 0, 0)  # whatever ends the grading ends this
        # Who is not root needs a user namespace to have a network namespace in.
        if libc.unshare(_NEW_NET | (0 if os.getuid() == 0 else _NEW_USER)) == 0:
            there.append("network")
        if _only_write_in(folder, libc):
            there.append("files")
    return there


def _set(what: int, limit: int) -> None:
    _, most = resource.getrlimit(what)
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(what, (limit, limit))


def _only_write_in(folder: str, libc: ctypes.CDLL) -> bool:
    """Give up to write outside a folder, and to start any program."""
    version = libc.syscall(_CREATE_RULES, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    everything = (1 << _KNOWN[min(version, 3)]) - 1
    handled = everything & ~(_READ_FILE | _READ_DIR)
    rules = _Rules(handled)
    made = libc.syscall(_CREATE_RULES, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0)
    if made < 0:
        return False
    for path, allowed in ((folder, handled & ~_EXECUTE), (os.devnull, _WRITE_FILE)):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        beneath = _Beneath(allowed, place)
        libc.syscall(_ADD_RULE, made, 1, ctypes.byref(beneath), 0)
        os.close(place)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    done = libc.syscall(_RESTRICT, made, 0) == 0
    os.close(made)
    return done

"""Where a data set is, wherever it has to come from (Chapters 06, 07 and 09).

    BOOK_DATA names a folder that has it  -->  that
    it was downloaded before              -->  that
    a mirror delivers it                  -->  downloaded, checked, and kept for the next time
    none of these                         -->  a synthetic twin is drawn, and a warning says so

Downloads are kept in the folder that BOOK_CACHE names, else where this system keeps such things.  With BOOK_OFFLINE=1
nothing is downloaded.

A twin takes the place of a set that cannot be *reached*.  A set that arrives damaged or as something else is an
error: you would want to know.
"""

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pooch
from filelock import FileLock, Timeout

from chapters_code.checks import check_choice
from chapters_code.data.fetching.download import Unreachable, WrongData, check_space, fetch
from chapters_code.data.fetching.sources import SOURCES, Source
from chapters_code.data.fetching.unpack import check, examine, unpack
from chapters_code.data.folders import is_twin

__all__ = ["Found", "TwinWarning", "alone", "at_hand", "cache_folder", "find", "locate", "may_download", "own_folder"]

# Why a set could not be downloaded, by its place.  Not tried again in this run of Python: every try may cost a minute.
_unreachable: dict[Path, str] = {}


class Found(NamedTuple):
    """A data set on this machine."""

    path: Path  # laid out as the page on data sets says
    origin: str  # in words, for the records of training runs; holds no path


class TwinWarning(UserWarning):
    """Drawn pictures stand in for photographs."""


# Said each time, not once for each line; appended, so that a filter of the reader's own comes first.
warnings.simplefilter("always", TwinWarning, append=True)


def find(name: str, download: bool | None = None) -> Found:
    """Return the folder of a data set: the reader's own, a download, or else a drawn twin.

    Args:
        name: "voc2012", "crack/DeepCrack", "crack/CFD", "sod/ECSSD" or "sod/DUTS".
        download: Whether the network may be used.  None: yes, unless BOOK_OFFLINE is set.

    Returns:
        The folder, and in words where its pictures are from.  A twin's origin begins with "synthetic twin of".

    Raises:
        ValueError: There is no such set, or what was downloaded is not that set (`WrongData`).
        FileNotFoundError: BOOK_DATA names something that is no folder.
        OSError: The disk is full, or would be.

    Warns:
        TwinWarning: The set could not be had, and a twin was drawn (the message says why, and the way by hand); or
            what lies in its place is a twin that somebody put there.
    """
    source = _source(name)
    own = own_folder()
    if own and (own / name).is_dir():
        return _found(own / name, source, "from the folder that BOOK_DATA names")
    place = cache_folder() / name
    download = may_download(download)
    if not place.is_dir() and download and place not in _unreachable:
        try:
            _obtain(name, source, place)
        except Unreachable as error:
            _unreachable[place] = str(error)
    if place.is_dir():
        return _found(place, source, f"downloaded; see {source.page}")
    reason = _unreachable.get(place, "") if download else "Nothing may be downloaded now (BOOK_OFFLINE)."
    if own:
        reason = f"BOOK_DATA names {own}, and there is no {own / name}.\n{reason}"
    _warn(f"{source.title} is not here: its synthetic twin is used, drawn pictures in its place.\n{reason}")
    return Found(_twin(name), f"synthetic twin of {source.title}")


def locate(name: str, root: str | Path | None) -> tuple[Path, str]:
    """Say where a data set lies, and in words where it comes from.

    Args:
        name: The set's place below a data folder, "voc2012" or "crack/DeepCrack".
        root: The set's own folder, taken as it is.  None searches, as `find` says.

    Returns:
        The folder, and the words; those about drawn pictures begin with "synthetic twin of".
    """
    if root is not None:
        # Not the path: the words go into records that other people read.
        drawn = "synthetic twin of " if is_twin(root) else ""
        return Path(root), f"{drawn}{name}, from a folder named by the reader"
    found = find(name)
    return Path(found.path), found.origin


def at_hand(name: str) -> bool:
    """Say whether the photographs of a set are on this machine, so that `find` gives them at once; nothing is fetched.

    Raises:
        ValueError: There is no such set.
        FileNotFoundError: BOOK_DATA names something that is no folder.
    """
    _source(name)
    places = (own_folder(), cache_folder())
    return any((place / name).is_dir() and not is_twin(place / name) for place in places if place)


def own_folder() -> Path | None:
    """Return the folder that BOOK_DATA names; None if it names none.

    Raises:
        FileNotFoundError: It names something that is no folder.
    """
    if not os.environ.get("BOOK_DATA"):
        return None
    own = Path(os.environ["BOOK_DATA"]).expanduser()
    if not own.is_dir():
        raise FileNotFoundError(f"BOOK_DATA names {own}, which is no folder: correct it, or unset BOOK_DATA")
    return own


def may_download(asked: bool | None) -> bool:
    """Say whether the network may be used: as `asked`, and if nothing is asked, unless BOOK_OFFLINE says no.

    Raises:
        ValueError: BOOK_OFFLINE is neither yes (1, true, yes, on) nor no (0, false, no, off, or nothing at all).
    """
    if asked is not None:
        return asked
    offline = os.environ.get("BOOK_OFFLINE", "")
    if offline.lower() in ("", "0", "false", "no", "off"):
        return True
    if offline.lower() in ("1", "true", "yes", "on"):
        return False
    raise ValueError(f"BOOK_OFFLINE must be 1 (never use the network) or 0, got {offline!r}: set it anew, or unset it")


def cache_folder() -> Path:
    """Return the folder of downloads: the one that BOOK_CACHE names, else the system's for such things."""
    return Path(os.environ.get("BOOK_CACHE") or pooch.os_cache("keep-the-crack")).expanduser()


def _source(name: str) -> Source:
    return SOURCES[check_choice("name", name, SOURCES)]


def _found(path: Path, source: Source, whence: str) -> Found:
    """Return a folder that was there, with the truth about whether its pictures are drawn."""
    if not is_twin(path):
        return Found(path, f"{source.title}, {whence}")
    _warn(f"{path} holds no photographs of {source.title}, but its synthetic twin: drawn pictures")
    return Found(path, f"synthetic twin of {source.title}, put in the place of the real set")


def _warn(message: str) -> None:
    """Warn at the reader's line: the nearest call from outside this package, whoever of us was called."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] == "chapters_code":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, TwinWarning, stacklevel=level)


def _obtain(name: str, source: Source, place: Path) -> None:
    """Download a set, unpack and check it aside, and move it into place in one step."""
    aside = cache_folder() / "downloads" / name  # on the same disk as `place`: else the move were a slow copy
    with alone(name):
        if place.is_dir():
            return  # another process was faster
        print(f"{source.title}: {source.terms}\nIf you use it, cite {source.citation}.", flush=True)
        fresh = aside / "unpacked"
        aside.mkdir(parents=True, exist_ok=True)
        there = sum(path.stat().st_size for path in aside.iterdir() if path.is_file())
        check_space(aside, sum(archive.size for archive in source.archives) - there)
        archives: list[Path] = []

        def verify(archive: Path) -> None:
            shutil.rmtree(fresh, ignore_errors=True)  # of the mirror before, or of a run that was killed
            together = [*archives, archive]
            if len(source.archives) > 1:
                examine(archive, source)
            if len(together) == len(source.archives):  # the last: now the pairs are complete
                unpack(together, source, fresh)
                check(source, fresh)

        try:
            for archive in source.archives:
                archives.append(fetch(archive, aside, verify))
        except WrongData:
            if fresh.exists():  # each archive is whole, but they do not fit together: any of them may be the wrong one
                for path in archives:
                    path.unlink()  # else every later try would take it again
            raise
        notes = (source.title, source.page, source.terms, source.citation)
        (fresh / "SOURCE.txt").write_text("\n".join(notes) + "\n", encoding="utf-8")
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(fresh, place)
        shutil.rmtree(aside)


def _twin(name: str) -> Path:
    """Return the twin's folder, drawn now if it was not before."""
    from chapters_code.data.synthetic import write_twin  # here: it brings the drawing tools, which most never need

    twins = cache_folder() / "twins"
    with alone(name):
        write_twin(name, twins, count=200, seed=0)  # leaves a finished one as it is
    return twins / name


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Let one process at a time obtain a set; the others wait, and find it ready."""
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    # The system frees the lock of a process that dies.  The file stays: to delete it would let two in at once.
    lock = FileLock(folder / f"{name.replace('/', '-')}.lock")
    try:
        held = lock.acquire(timeout=1)
    except Timeout:
        print(f"Another process is getting {name}; waiting for it ...", flush=True)
        held = lock.acquire()
    with held:
        yield

"""Which exercises a reader has tried and done, kept in one small file, from one day to the next.

`check` writes down that an exercise was tried, and when it was right; `progress` shows it.  Nothing leaves the
computer.  The file is

    Linux, and elsewhere    $XDG_DATA_HOME/keep-the-crack/progress.json, or ~/.local/share/keep-the-crack/progress.json
    macOS                   ~/Library/Application Support/keep-the-crack/progress.json
    Windows                 %APPDATA%/keep-the-crack/progress.json
    Colab                   keep-the-crack/progress.json in your Drive, if it is mounted: what is on Colab's own disk is
                            lost with the session.  `drive.mount("/content/drive")` of google.colab mounts it

or what the environment variable BOOK_PROGRESS names; with BOOK_PROGRESS=off nothing is kept.  Several notebooks may
write at the same time.  A file that cannot be read is put aside, and never stops a check.

The first page of the site reads and writes the same form:

    {"book": "Keep the Crack", "version": 1, "exercises": {"1.1": {"tried": "2026-03-01", "done": "2026-03-02"}}}
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from filelock import FileLock

from chapters_code.files import written_whole

__all__ = ["add", "as_text", "from_text", "kept", "merged", "note", "place", "table"]

BOOK, VERSION = "Keep the Crack", 1
DRIVE = Path("/content/drive/MyDrive")
# The seconds that a notebook waits for another one, which writes a small file.
PATIENCE = 5.0
# What has been said in this session, so that it is said once.
_said: set[str] = set()

# Number of an exercise -> "tried" and, if it is done, "done", each with the first day of it.
Entries = Mapping[str, Mapping[str, str]]


def place() -> Path | None:
    """Return the file that holds the reader's progress; None if none is to be kept."""
    named = os.environ.get("BOOK_PROGRESS", "")
    if named:
        return None if named == "off" else Path(named).expanduser()
    if DRIVE.is_dir():
        base = DRIVE
    elif sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home())
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "keep-the-crack" / "progress.json"


def note(number: str, done: bool) -> None:
    """Write down that an exercise was tried today, and whether the answer was right.

    The first day counts.  Where nothing can be written, that is said once, and nothing else happens.
    """
    today = date.today().isoformat()
    add({number: {"tried": today, "done": today} if done else {"tried": today}})


def kept() -> dict[str, dict[str, str]]:
    """Return the progress that is kept."""
    return add({})


def add(entries: Entries) -> dict[str, dict[str, str]]:
    """Write further progress to what is kept, and return all of it; never fails."""
    try:
        path = place()
        if path is None:
            return merged({}, entries)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Between reading and writing no other notebook may write.
        with FileLock(_lock_of(path), timeout=PATIENCE):
            before = _read(path)
            after = merged(before, entries)
            if after != before:
                with written_whole(path) as unfinished:
                    unfinished.write_text(as_text(after), encoding="utf-8")
            return after
    except (OSError, RuntimeError) as error:  # no room, no right, no home, no lock
        reason = f"{type(error).__name__}: {error}"
        if reason not in _said:
            _said.add(reason)
            print(f"(Your progress is not kept. {reason}. BOOK_PROGRESS=FILE names another place.)")
        return merged({}, entries)


def _lock_of(path: Path) -> Path:
    """Return the file that is locked: beside the other; for a Drive, which need not know locks, on Colab's own disk."""
    drive = path.is_relative_to(DRIVE)
    return Path(tempfile.gettempdir(), "keep-the-crack.lock") if drive else path.with_name(path.name + ".lock")


def _read(path: Path) -> dict[str, dict[str, str]]:
    """Read the file; put one aside that is broken."""
    try:
        return from_text(path.read_text(encoding="utf-8", errors="replace"), path.name)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        names = (path.with_name(f"{path.stem}.broken{i or ''}{path.suffix}") for i in range(10**6))
        aside = next(name for name in names if not name.exists())
        os.replace(path, aside)
        print(f"(Your progress begins anew: {error}. The old file is kept as {short(aside)}.)")
        return {}


def merged(one: Entries, other: Entries) -> dict[str, dict[str, str]]:
    """Return what either of them holds, in the order of the book; of two days, the first."""
    both = {}
    for number in sorted({*one, *other}, key=lambda number: tuple(map(int, number.split(".")))):
        parts = one.get(number, {}), other.get(number, {})
        days = {key: [part[key] for part in parts if key in part] for key in ("tried", "done")}
        both[number] = {key: min(found) for key, found in days.items() if found}
    return both


def as_text(entries: Entries) -> str:
    """Return what is written into a file."""
    return json.dumps({"book": BOOK, "version": VERSION, "exercises": entries}, indent=1) + "\n"


def from_text(text: str, name: str) -> dict[str, dict[str, str]]:
    """Read what `as_text` or the site wrote.

    Args:
        text: The text of the file.
        name: What the file is called, for messages.

    Raises:
        ValueError: It is not such a text; says where.
    """

    def wrong(what: str) -> ValueError:
        return ValueError(
            f"{name} is no file of this book's progress: {what}. progress(save=...) writes one, and so does the first"
            " page of the site"
        )

    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong(f"it is not JSON ({error})") from None
    if not isinstance(told, dict) or told.get("book") != BOOK:
        raise wrong(f'"book" should be "{BOOK}"')
    if told.get("version") != VERSION:
        raise wrong(f'"version" should be {VERSION}, and is {told.get("version")!r}')
    exercises = told.get("exercises")
    if not isinstance(exercises, dict):
        raise wrong('"exercises" should be numbers of exercises, each with its days')
    for number, days in exercises.items():
        if not re.fullmatch(r"\d{1,4}\.\d{1,4}", number, re.ASCII):
            raise wrong(f"{number!r} is no number of an exercise, such as 1.1")
        known = isinstance(days, dict) and "tried" in days and days.keys() <= {"tried", "done"}
        if not known or not all(map(_is_day, days.values())):
            raise wrong(f'{number} should have "tried" and, if it is done, "done", each with a day such as 2026-03-01')
    return merged({}, exercises)


def _is_day(day: object) -> bool:
    try:
        return isinstance(day, str) and date.fromisoformat(day).isoformat() == day
    except ValueError:
        return False


def table(entries: Entries, chapters: Mapping[str, Sequence[str]]) -> str:
    """Return a table with a line for each chapter: how many are done, only tried, there; and the next open ones.

    Args:
        entries: The progress.
        chapters: Name of a chapter -> the numbers of its exercises.
    """
    done = {number for number, days in entries.items() if "done" in days}

    def line(name: str, numbers: Sequence[str], open_: str) -> str:
        tried = sum(number in entries and number not in done for number in numbers)
        counts = f"{sum(number in done for number in numbers):>6}{tried:>7}{len(numbers):>6}"
        return f"{name:<15}{counts}   {open_}".rstrip()

    lines = [f"{'chapter':<15}{'done':>6}{'tried':>7}{'all':>6}   open next"]
    for name, numbers in chapters.items():
        still = [number for number in numbers if number not in done]
        lines.append(line(name, numbers, ", ".join(still[:3]) + (", ..." if len(still) > 3 else "")))
    everything = [number for numbers in chapters.values() for number in numbers]
    return "\n".join([*lines, line("all", everything, "")])


def short(path: Path) -> str:
    """Return a path as one types it, with ~ for the reader's home."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (RuntimeError, ValueError):
        return str(path)

"""Find the notebooks that came in, in folders and in archives, and whose they are.

Nothing is ever unpacked onto the disk, so no archive can write anywhere.  The student is

1. what Moodle writes before `_12345_assignsubmission_`, in the name of a folder or of a file;
2. else the first folder below the given one;
3. else, for an archive, its name;
4. else the file's name, without the chapter's (`Änne Müller 01_pooling (1).ipynb` is Änne Müller's).
"""

import io
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

__all__ = ["LARGEST", "Refused", "Submission", "collect"]

# Bytes of a notebook, bytes of all that is in an archive, its files, and how deep archives may lie in each other.
LARGEST, LARGEST_TOGETHER, MOST_FILES, DEEPEST = 25 * 2**20, 200 * 2**20, 2000, 2
_MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)(?:_(?P<rest>.*))?$")
_CHAPTER = re.compile(r"[\s_-]*\b\d\d_[a-z0-9]+(?:_b|_exercises|_student)?$")
_COPY = re.compile(r"[\s_-]*(?:\(\d+\)|copy(?:\s*\d*)?|Kopie(?:\s*\d*)?|-checkpoint)$", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """One notebook."""

    student: str
    moodle: str  # Moodle's number of the submission, or ""
    name: str  # where it lies, for people
    time: float  # when it was written, as far as the file or the archive says
    data: bytes


@dataclass(frozen=True)
class Refused:
    """Something that was not read."""

    name: str
    why: str
    student: str = ""


def collect(folder: Path) -> tuple[list[Submission], list[Refused]]:
    """Return all notebooks below a folder, and what could not be read.

    Raises:
        ValueError: There is no such folder, or it is empty.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: name the one that the students' notebooks are in")
    found: list[Submission] = []
    refused: list[Refused] = []
    for path in sorted(folder.rglob("*")):
        name = PurePosixPath(path.relative_to(folder).as_posix())
        if _hidden(name):
            continue
        if path.is_symlink():
            refused.append(Refused(str(name), "it is a link to another place, and was not followed"))
            continue
        if path.is_dir():
            continue
        try:
            if not path.is_file():
                raise ValueError("it is no plain file")
            if path.stat().st_size > LARGEST_TOGETHER:
                raise ValueError(f"it is larger than {LARGEST_TOGETHER >> 20} MB")
            for one in _from(name, path.read_bytes(), path.stat().st_mtime, DEEPEST):
                (found if isinstance(one, Submission) else refused).append(one)
        except (OSError, ValueError) as error:
            refused.append(Refused(_clean(str(name)), str(error), _student(name)[0]))
    if not found and not refused:
        raise ValueError(f"{folder} is empty: put the students' notebooks, or Moodle's archive, into it")
    return found, refused


def _from(name: PurePosixPath, data: bytes, time: float, depth: int) -> Iterator[Submission | Refused]:
    """Return what one file holds."""
    student, moodle = _student(name)
    kind = name.suffix.lower()
    if kind == ".ipynb":
        if len(data) > LARGEST:
            yield Refused(
                _clean(str(name)), f"it is larger than {LARGEST >> 20} MB: the outputs may be cleared", student
            )
        else:
            yield Submission(student, moodle, _clean(str(name)), time, data)
    elif kind == ".zip" and depth:
        yield from _from_archive(name, data, depth)
    elif kind == ".zip":
        yield Refused(_clean(str(name)), "an archive inside an archive inside an archive is not opened", student)
    else:
        wanted = "a notebook (.ipynb) or an archive (.zip) was wanted"
        yield Refused(_clean(str(name)), f"{wanted}, it is a {kind or 'file without an ending'}", student)


def _from_archive(name: PurePosixPath, data: bytes, depth: int) -> Iterator[Submission | Refused]:
    student = _student(name)[0]
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        yield Refused(_clean(str(name)), f"the archive is broken ({error})", student)
        return
    if len(members) > MOST_FILES:
        yield Refused(_clean(str(name)), f"the archive holds more than {MOST_FILES} files", student)
        return
    left = LARGEST_TOGETHER
    for member in members:
        inside = PurePosixPath(_decoded(member).replace("\\", "/"))
        if member.is_dir() or _hidden(inside):
            continue
        whole = name.with_suffix("") / inside
        if inside.is_absolute() or ".." in inside.parts or re.match(r"^[A-Za-z]:", str(inside)):
            yield Refused(_clean(f"{name}: {inside}"), "its name leads out of the archive; it was not read", student)
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            yield Refused(_clean(str(whole)), "it is a link, and was not followed", _student(whole)[0])
            continue
        try:
            with archive.open(member) as file:
                read = file.read(min(LARGEST, left) + 1)  # what the archive says of its sizes may be wrong
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError, ValueError) as error:
            yield Refused(_clean(str(whole)), f"it cannot be unpacked ({error})", _student(whole)[0])
            continue
        left -= len(read)
        if left < 0:
            yield Refused(_clean(str(name)), f"the archive unpacks to more than {LARGEST_TOGETHER >> 20} MB", student)
            return
        yield from _from(whole, read, _time(member), depth - 1)


def _student(name: PurePosixPath) -> tuple[str, str]:
    """Return whose a file is, and Moodle's number of it."""
    parts = [*name.parts[:-1], name.stem]
    for part in parts:
        if match := _MOODLE.match(part):
            return _clean(match["name"]), match["id"]
    if len(parts) > 1:
        return _clean(parts[0]), ""
    stem, before = _clean(parts[0]), None
    while stem != before:
        before = stem
        stem = _CHAPTER.sub("", _COPY.sub("", stem)).strip(" _-,")
    return stem or f"(no name) {_clean(name.name)}", ""


def _clean(text: str) -> str:
    """Return a name with its umlauts in one form (macOS writes them in another), without what no name holds."""
    text = unicodedata.normalize("NFC", text)
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _decoded(member: zipfile.ZipInfo) -> str:
    """Return the name of a file in an archive; some programs write UTF-8 and do not say so."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _time(member: zipfile.ZipInfo) -> float:
    try:
        return datetime(*member.date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _hidden(name: PurePosixPath) -> bool:
    """Whether it is something that a system or a program has left, and nobody has handed in."""
    left = ("Thumbs.db", "desktop.ini", "__MACOSX")
    return any((part.startswith(".") and part != "..") or part in left for part in name.parts)

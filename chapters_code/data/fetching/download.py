"""Files from the network: whole and as they should be, or not at all (Chapters 06, 07 and 09).

`fetch` gives pooch a downloader of our own.  It goes on where a download broke off, if the server still offers the
same file; it tries again after a pause; it takes no web page for an archive.  The mirrors are asked in turn.  Only a
file that is complete, and has the right checksum where there is one, gets its name; only one that the caller has
looked into keeps it.

    mirror --> NAME-xxxxxxxx.part --complete?--> pooch: checksum? --> NAME --verify--> done, or deleted

Two kinds of failure are kept apart, because the reader must do different things about them: `Unreachable` (nobody
delivered the file: try later, or without it) and `WrongData` (somebody delivered something else: look into it).
"""

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
from tqdm.auto import tqdm
from urllib3.exceptions import MaxRetryError

from chapters_code.data.fetching.sources import Archive

__all__ = ["Unreachable", "WrongData", "check_space", "fetch"]

_CHUNK = 1 << 15  # bytes; at most so much is lost when a connection breaks
_PAGE = "a web page instead of the file; is a log-in needed, or has the file moved?"


class Unreachable(ConnectionError):
    """Nobody delivered the file; the message lists what each mirror said."""


class WrongData(ValueError):
    """What came is not what was expected, and it was thrown away."""


def fetch(
    archive: Archive,
    folder: Path,
    verify: Callable[[Path], None] | None = None,
    *,
    timeout: tuple[float, float] = (10, 60),
    retries: int = 3,
    pause: float = 1,
) -> Path:
    """Download a file into a folder, from the first mirror that delivers it; a file that is there already is taken.

    Args:
        archive: What to download.
        folder: Where to; made if need be.  What a broken-off download left there is used.
        verify: Called with the file's path; raises `WrongData` if it is not the right file.  Then the file is deleted,
            and the next mirror is asked, unless the checksum was right: the others would deliver the same.
        timeout: Seconds to wait for a connection, and for the next bytes.
        retries: How often in a row a mirror may fail without a new byte before the next one is asked.
        pause: Seconds before a second try; twice as long before each further one.

    Returns:
        The file's path, `folder / archive.name`.

    Raises:
        Unreachable: No mirror delivered the file.
        WrongData: A mirror delivered a web page, a wrong size, a wrong checksum or what `verify` refuses, and no
            other the right file.
        OSError: The disk is full, or would be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, said, wrong = folder / archive.name, [], False
    if path.exists() and not archive.checksum:  # put there by hand, or left by a run that was cut short
        if not (fault := _fault(path, verify)):
            return path
        said, wrong = [f"{path} was something else, and is deleted: {fault}"], True
    for url in archive.urls:
        # Each mirror has its own unfinished file: two mirrors may hold different versions.
        stem = f"{archive.name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
        size = archive.size if archive.checksum else None
        download = _Resumable(folder / f"{stem}.part", size, timeout, retries, pause)
        try:
            _retrieve(url, archive, folder, download)
        except requests.RequestException as error:
            said.append(f"{url} {_judged(error)[0]}")
        except ValueError as error:  # ours, or pooch's about the checksum
            said.append(f"{url} delivered something else: {error}")
            wrong = True
        else:
            if not (fault := _fault(path, verify)):
                for leftover in folder.glob(f"{archive.name}-*.part*"):
                    leftover.unlink()
                return path
            said.append(f"{url} delivered something else: {fault}")
            wrong = True
            if archive.checksum:
                break
    kind = WrongData if wrong else Unreachable
    raise kind(
        "\n  ".join([f"{archive.name} could not be downloaded:", *said])
        + f"\nBy hand: get {archive.name} from one of these addresses, put it into {folder}, and run this again."
    )


def _fault(path: Path, verify: Callable[[Path], None] | None) -> WrongData | None:
    """Say what is wrong with a file, and delete it then: else every later try would take it again."""
    try:
        if verify:
            verify(path)
    except WrongData as error:
        path.unlink()
        return error
    return None


def check_space(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        OSError: `folder`'s disk has less than `needed` bytes free; errno is ENOSPC.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{needed / 1e9:.2f} GB are needed in {folder}, and {free / 1e9:.2f} GB are free:"
            " make room, or name a folder on another disk in BOOK_CACHE",
        )


def _retrieve(url: str, archive: Archive, folder: Path, download: "_Resumable") -> None:
    """Let pooch decide whether to download, check the checksum, and move the file into place."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # it would advise readers to edit our table
    try:
        pooch.retrieve(url, archive.checksum, fname=archive.name, path=folder, downloader=download)
    finally:
        logger.setLevel(level)


class _Broken(requests.RequestException):
    """A transfer that may be tried again; the message is for readers."""


@dataclass(frozen=True)
class _Resumable:
    """A downloader for pooch that keeps what it has, and asks only for the rest.

    Beside the unfinished file stands a note: how long the whole is, and the server's mark of this version of it
    (ETag, else date).  The rest is asked for on condition that the mark is still the same.
    """

    part: Path
    size: int | None
    timeout: tuple[float, float]
    retries: int
    pause: float

    @property
    def note(self) -> Path:
        return self.part.with_name(self.part.name + ".json")

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        furthest, failures = self._have(), 0
        while True:
            try:
                self._transfer(url)
                break
            except requests.RequestException as error:
                # A try that got further than all before it is no failure: a long download may break often.  One that
                # started anew and broke again is, or a server that cannot resume would keep us here for ever.
                failures = 0 if self._have() > furthest else failures + 1
                furthest = max(furthest, self._have())
                if failures >= self.retries or not _judged(error)[1]:
                    raise
                time.sleep(self.pause * 2 ** max(failures - 1, 0))
        os.replace(self.part, output_file)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _transfer(self, url: str) -> None:
        """Get the rest of the file, or all of it, in one request."""
        have, note = self._have(), self._read_note()
        if have and have == note["total"]:
            return  # complete; only the last step was missing
        headers = {"Accept-Encoding": "identity", "User-Agent": "keep-the-crack"}
        if have and note["mark"]:
            headers |= {"Range": f"bytes={have}-", "If-Range": note["mark"]}
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if answer.status_code == 416:  # what we have is longer than what is there now
                self._forget()
                raise _Broken("offers another version now")
            answer.raise_for_status()
            if url.startswith("https:") and not answer.url.startswith("https:"):
                raise ValueError(f"it sends on to {answer.url}, where anybody on the way could change the file")
            if answer.status_code not in (200, 206):
                raise _Broken(f"answered {answer.status_code} {answer.reason}")
            if "html" in answer.headers.get("Content-Type", "").lower():
                raise WrongData(_PAGE)
            start, total = self._agree(answer, have, note)
            if self.size and total not in (None, self.size):
                raise WrongData(f"{total} bytes, where {self.size} were due")
            check_space(self.part.parent, (total or self.size or 0) - start)
            self._save(answer, start, total)

    def _agree(self, answer: requests.Response, have: int, note: dict) -> tuple[int, int | None]:
        """Say at which byte the answer starts and how long the whole file is, or that it does not fit what we have."""
        mark = answer.headers.get("ETag", "")
        if not mark or mark.startswith("W/"):  # a weak ETag does not promise equal bytes
            mark = answer.headers.get("Last-Modified")
        if answer.status_code == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            if not found or [int(number) for number in found.groups()] != [have, note["total"]] or mark != note["mark"]:
                self._forget()
                raise _Broken("sent a part that does not fit the part that is here")
            return have, note["total"]
        # A whole file, asked for or not: start anew.  The note is written first, so that it is never about other bytes.
        length = answer.headers.get("Content-Length")
        total = int(length) if length is not None else None
        self._forget()
        self.note.write_text(json.dumps({"mark": mark, "total": total}), encoding="utf-8")
        return 0, total

    def _save(self, answer: requests.Response, start: int, total: int | None) -> None:
        limit = total or self.size
        arrived = start
        name = self.part.name.rpartition("-")[0]
        with (
            self.part.open("ab") as file,
            tqdm(desc=name, initial=start, total=limit, unit="B", unit_scale=True) as bar,
        ):
            for chunk in answer.iter_content(_CHUNK):
                if arrived == 0 and chunk.lstrip()[:1] == b"<":  # no archive begins so, whatever the server calls it
                    raise WrongData(_PAGE)
                arrived += len(chunk)
                if limit is not None and arrived > limit:
                    self._forget()
                    raise WrongData(f"more than the {limit} bytes that were due")
                file.write(chunk)
                bar.update(len(chunk))
        if arrived == 0:
            raise WrongData("an empty file")
        if limit is not None and arrived < limit:
            raise _Broken(f"broke off after {arrived} of {limit} bytes")

    def _read_note(self) -> dict:
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            return {"mark": note["mark"], "total": note["total"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {"mark": None, "total": None}  # no note, or half of one: nothing to go on with

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _judged(error: requests.RequestException) -> tuple[str, bool]:
    """Say for readers what requests says for programmers, and whether to ask the same server again.

    A server that stumbled is asked again; one that said no, or is not there, is not: the next mirror is the second try.
    """
    absent = isinstance(error, requests.ConnectionError) and error.args and isinstance(error.args[0], MaxRetryError)
    if isinstance(error, _Broken):
        return str(error), True
    if isinstance(error, requests.HTTPError):
        code = error.response.status_code
        return f"answered {code} {error.response.reason}", code >= 500 or code in (408, 429)
    if isinstance(error, requests.TooManyRedirects):
        return "redirects without end", False
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "did not answer in time", not absent
    if absent:
        return "cannot be reached", False
    return f"broke off ({type(error).__name__})", not isinstance(error, requests.exceptions.InvalidSchema)

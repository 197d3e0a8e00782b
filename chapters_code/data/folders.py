"""Folders of pictures: what is in them, which of it are pairs, and what to say where one is missing.

images/a.jpg  masks/a.png  --ids_in_folders-->  ("a",)          train.txt  --ids_in_list-->  ("a",)
"""

import codecs
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["ENDINGS", "TWIN_NOTE", "check_once", "ids_in_folders", "ids_in_list", "is_picture", "is_twin"]
__all__ += ["lines_of", "listing", "why_missing"]

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")  # of pictures, in small or capital letters
TWIN_NOTE = "TWIN.txt"  # lies in the folder of a drawn set, and in no other

# Said where pictures are there, but not under the names of the book's sets.
_OTHER_NAMES = (
    "the files of the book's own sets end in .jpg and .png, in small letters: rename it, or take data.Pairs, which is"
    " for pictures of your own and reads the usual endings"
)


def ids_in_list(path: Path) -> tuple[str, ...]:
    """Read the ids of a list file: one in a line, empty lines are skipped.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty, is no text, or names a pair twice.
    """
    cure = "it should list the pictures of this split, one in a line: unpack the set again, or write it"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {cure}")
    ids = lines_of(path)
    if not ids:
        raise ValueError(f"{path} is empty; {cure}")
    check_once(ids, path)
    return ids


def check_once(ids: Sequence[str], place: str | Path) -> None:
    """Say which id is there twice.

    Raises:
        ValueError: One is; the message says in which `place`, and how often.
    """
    name, times = Counter(ids).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{place} names {name} {times} times: a picture that counts twice spoils every score")


def lines_of(path: Path) -> tuple[str, ...]:
    """Return the lines of a text file, without empty ones and without spaces around.

    Editors on Windows write a mark of three bytes before UTF-8, and PowerShell writes UTF-16; neither is in the lines.

    Raises:
        ValueError: It is no text in UTF-8; the message names the file.
    """
    content = path.read_bytes()
    try:
        text = content.decode(
            "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error}): save it anew, with that encoding") from None
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def ids_in_folders(images: Path, masks: Path) -> tuple[str, ...]:
    """List the ids of all files `<id>.jpg` in `images` and `<id>.png` in `masks`, sorted.

    An id with one file of the two is listed, too: it is a pair with a hole in it, and has to be noticed.

    Raises:
        FileNotFoundError: A folder is missing.
        ValueError: Neither folder has such a file.
    """
    ids = {
        name.removesuffix(ending)
        for folder, ending in ((images, ".jpg"), (masks, ".png"))
        for name in listing(folder)
        if name.endswith(ending) and not name.startswith(".")
    }
    if not ids:
        others = list(filter(is_picture, listing(images)))
        raise ValueError(
            f"{images} has no picture (<id>.jpg), and {masks} no mask (<id>.png): "
            + (f"there is {others[0]}, and {_OTHER_NAMES}" if others else "unpack the set again")
        )
    return tuple(sorted(ids))


def is_picture(name: str) -> bool:
    """Say whether a file is a picture, by its ending; what is hidden (its name begins with a dot) is none."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def is_twin(folder: str | Path) -> bool:
    """Say whether the pictures of a set's folder were drawn, by the note that `write_twin` leaves there."""
    return Path(folder, TWIN_NOTE).is_file()


def why_missing(name: str, there: Iterable[str]) -> str:
    """Say why a file may be missing from a folder of which `there` is the listing, and what to do."""
    stem = name.rpartition(".")[0].casefold()
    near = sorted(other for other in filter(is_picture, there) if other.rpartition(".")[0].casefold() == stem)
    if near:
        return f"there is {near[0]}, and {_OTHER_NAMES}"
    return "a set of the book was not unpacked completely, unpack it again; in one of your own a file has no partner"


def listing(folder: Path) -> list[str]:
    """Return the names of the files and folders in `folder`, in alphabetical order.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"there is no folder {folder}: is the data set laid out as the book's data page says?"
        ) from None

"""How folders of your own pictures are laid out: which files are pairs, and which pairs are for what.

    images/a.JPG + masks/a.png, or a.JPG + a_mask.png in one folder         -->  Folders: the two files of "a"
    folders train and val; or train.txt and val.txt; or neither: by chance  -->  pairs to train with, pairs to validate

Whatever is laid out otherwise is an error that says what is there, what was wanted, and what to do.
"""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from chapters_code.data.folders import ENDINGS, check_once, ids_in_list, is_picture, listing

__all__ = ["Folders", "NoPictures", "Part", "counted", "find_child", "match_files", "name_of", "part_folder"]

_MARK = "_mask"  # what the name of a mask has behind that of its picture, if both lie in one folder
_LAYOUT = f"wanted are images/NAME.jpg and masks/NAME.png, or NAME.jpg and NAME{_MARK}.png in one folder"


class NoPictures(FileNotFoundError):
    """A folder holds no pairs of pictures and masks in any known layout; the message says what is there."""


class Part(NamedTuple):
    """Where the pairs of one purpose lie."""

    images: Path
    masks: Path
    ids: tuple[str, ...] | None = None  # None: all


class Folders(NamedTuple):
    """A folder of pictures and one of masks, or twice the same; and their files, each by the name of its pair."""

    images: Path
    masks: Path
    photos: dict[str, str]
    drawings: dict[str, str]

    def check_complete(self) -> tuple[str, ...]:
        """Return the names of all pairs in order.

        Raises:
            FileNotFoundError: A file stands alone.
        """
        if not self.photos.keys() & self.drawings.keys():
            raise FileNotFoundError(
                f"no mask in {self.masks} is called as a picture in {self.images}: pictures are"
                f" {_some(self.photos.values())}, masks {_some(self.drawings.values())}; {_LAYOUT}"
            )
        photos, masks = (self.images, self.photos, "picture"), (self.masks, self.drawings, "mask")
        for (folder, here, what), (_, there, partner) in ((photos, masks), (masks, photos)):
            if alone := sorted(here.keys() - there.keys()):
                near = [file for name, file in there.items() if name.casefold() == alone[0].casefold()]
                cure = f"add the {partner}, or take the {what} away"
                if near:
                    cure = f"there is {near[0]}, so make the letters alike"
                raise FileNotFoundError(
                    f"{folder / here[alone[0]]} has no {partner} ({len(alone)} of {len(here)} {what}s have none):"
                    f" {cure}"
                )
        return tuple(sorted(self.photos))

    def check_listed(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return `ids`, if each is there, and once.

        Raises:
            FileNotFoundError: A picture or a mask is not there.
            ValueError: There is no id, or one is there twice.
        """
        if not ids:
            raise ValueError("ids names no pair")
        check_once(ids, "the list of pairs")
        for folder, there, what in ((self.images, self.photos, "picture"), (self.masks, self.drawings, "mask")):
            if missing := [name for name in ids if name not in there]:
                raise FileNotFoundError(
                    f"{missing[0]} is listed, and {folder} has no such {what} ({len(missing)} of {len(ids)} are"
                    f" missing); it has {_some(there)}"
                )
        return tuple(ids)


def match_files(images: Path, masks: Path) -> Folders:
    """Find the files of pictures and of masks, each by the name of its pair.

    Raises:
        FileNotFoundError: There is no such folder.
        NoPictures: One holds none.
        ValueError: Two files have one name.
    """
    there = list(filter(is_picture, listing(images)))
    together = masks == images
    drawn = [name for name in there if _is_marked(name)] if together else list(filter(is_picture, listing(masks)))
    photos = _by_name(images, [name for name in there if not (together and name in drawn)], _stem)
    if together and drawn and not photos:
        raise NoPictures(f"{images} holds masks alone ({_some(drawn)}); {_LAYOUT}")
    if not photos or not drawn:
        found = _what_is_in(images, there) if together else _what_is_in(masks if photos else images, ())
        raise NoPictures(f"{found}; {_LAYOUT}")

    def owner(name: str) -> str:
        stem = _stem(name)
        return stem[: -len(_MARK)] if _is_marked(name) and (together or stem not in photos) else stem

    return Folders(images, masks, photos, _by_name(masks, drawn, owner))


def part_folder(folder: Path, share: float, seed: int) -> tuple[tuple[Part, Part], str]:
    """Find the pairs to train with and those to validate with; also say in words who parted them."""
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, got {share!r}")
    train, held_out = find_child(folder, "train"), find_child(folder, "val", "test")
    if train and held_out:
        return (_place(train), _place(held_out)), f"parted by the folders {train.name} and {held_out.name}"
    if train or held_out:
        one, other = (train.name, "val") if train else (held_out.name, "train")
        raise FileNotFoundError(
            f"{folder} has the folder {one} and no folder {other}: add it, or leave both out; {_LAYOUT}"
        )
    place = _place(folder)
    lists = [find_child(folder, *names, kind=Path.is_file) for names in (("train.txt",), ("val.txt", "test.txt"))]
    if all(lists):
        chosen = [tuple(map(_bare, ids_in_list(path))) for path in lists]
        if both := sorted(set(chosen[0]) & set(chosen[1])):
            raise ValueError(
                f"{lists[0]} and {lists[1].name} both name {both[0]} ({len(both)} in all): a picture that was trained"
                " on tells nothing in the validation"
            )
        words = f"parted by the files {lists[0].name} and {lists[1].name}"
    elif any(lists):
        one = next(filter(None, lists)).name
        raise FileNotFoundError(f"{folder} has {one} alone: write train.txt and val.txt, or neither")
    else:
        ids = match_files(*place[:2]).check_complete()
        if len(ids) < 2:
            raise ValueError(f"{folder} holds one pair, and two are needed: one to train with, one to validate with")
        count = min(max(round(share * len(ids)), 1), len(ids) - 1)
        # By a hash and not by a shuffle: what is added later changes the places of all in a shuffle.
        picked = sorted(ids, key=lambda one: hashlib.sha256(f"{seed} {one}".encode()).digest())[:count]
        chosen = [tuple(one for one in ids if (one in picked) == wanted) for wanted in (False, True)]
        words = (
            f"{count} of {counted(len(ids), 'pair')} taken by chance for validation (share {share:g}, seed {seed}),"
            f" {_some(chosen[1])}; to choose yourself, write train.txt and val.txt"
        )
    return tuple(place._replace(ids=ids) for ids in chosen), words


def find_child(folder: Path, *names: str, kind: Callable[[Path], bool] = Path.is_dir) -> Path | None:
    """Return the first of some folders (or files) that is in `folder`, in small or capital letters."""
    there = {name.lower(): folder / name for name in listing(folder)}
    return next((there[name] for name in names if name in there and kind(there[name])), None)


def name_of(images: Path, masks: Path) -> str:
    """Return the name of the folder that holds a set, without the path to it."""
    # Not resolve(): the reader's own name for the folder may be a link.
    images, masks = Path(os.path.abspath(images)), Path(os.path.abspath(masks))
    folder = images.parent if images != masks and images.parent == masks.parent else images
    return folder.name or "pictures"


def counted(number: int, what: str) -> str:
    """Return "1 pair" or "2 pairs"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _place(folder: Path) -> Part:
    """Find the pictures and masks in one folder."""
    images, masks = find_child(folder, "images"), find_child(folder, "masks")
    if images and masks:
        return Part(images, masks)
    there = list(filter(is_picture, listing(folder)))
    if any(map(_is_marked, there)):
        return Part(folder, folder)
    raise NoPictures(f"{_what_is_in(folder, there)}; {_LAYOUT}")


def _what_is_in(folder: Path, there: Sequence[str]) -> str:
    """Say what a folder without pairs holds instead, and where to look."""
    whole = Path(os.path.abspath(folder))
    if there and whole.name.lower() in ("images", "masks"):
        return f"{folder} holds one half of the pairs ({_some(there)}): name the folder above it, {whole.parent}"
    if there:
        return f"{folder} holds {counted(len(there), 'picture')} ({_some(there)}) and no masks"
    below = []
    for place, folders, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < 3 else []
        if count := sum(map(is_picture, files)):
            below.append(f"{os.path.relpath(place, folder)} ({count})")
    if below:
        return (
            f"{folder} holds no pictures itself; there are some in {_some(below)}: name the folder that holds the pairs"
        )
    files = [name for name in listing(folder) if not name.startswith(".")]
    if not files:
        return f"{folder} is empty"
    return f"{folder} holds no pictures ({', '.join(ENDINGS)}), but {_some(files)}: save yours as JPEG or PNG"


def _by_name(folder: Path, files: Sequence[str], name_of_pair: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in files:
        other = found.setdefault(name_of_pair(file), file)
        if other != file:
            raise ValueError(f"{folder} has {other} and {file}, two files for one pair: take one of them away")
    return found


def _is_marked(file: str) -> bool:
    return _stem(file).lower().endswith(_MARK)


def _stem(file: str) -> str:
    """Return a file's name without its ending.  An ü may be stored as one sign or as two; here it is one."""
    return unicodedata.normalize("NFC", file.rpartition(".")[0])


def _bare(line: str) -> str:
    """Return the name of a pair as a list has it: perhaps with folders before and an ending behind."""
    name = line.replace("\\", "/").rpartition("/")[2]
    return _stem(name) if is_picture(name) else unicodedata.normalize("NFC", name)


def _some(names: Iterable[str], most: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

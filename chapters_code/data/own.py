"""Pictures of your own, with masks that you have drawn (Chapters 06, 07 and 09).

They lie in two folders, or in one in which each mask is called after its picture:

    photos/images/DSC_1.JPG  photos/masks/DSC_1.png            photos/DSC_1.JPG  photos/DSC_1_mask.png

    own_sets("photos")                      -->  pairs to train with and pairs to validate with; it says what it found
    Pairs("photos/images", "photos/masks")  -->  all of them

A mask is of one of two kinds.  Yes or no: 0 and 255.  Or numbers of classes: 0, 1, 2 and so on, and 255 for what does
not count.
"""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from chapters_code.data.pairs import ENDINGS, FilePairs, ids_in_list, is_picture, is_twin, lines_of, listing
from chapters_code.data.pictures import VOID, palette, read_mask

__all__ = ["NoPictures", "Pairs", "own_sets"]

_MARK = "_mask"  # what the name of a mask has behind that of its picture, if both lie in one folder
_LAYOUT = f"wanted are images/NAME.jpg and masks/NAME.png, or NAME.jpg and NAME{_MARK}.png in one folder"


class NoPictures(FileNotFoundError):
    """A folder holds no pairs of pictures and masks in any known layout; the message says what is there."""


class Pairs(FilePairs):
    """Photographs with masks of your own, matched by their names.

    The files end in .jpg, .jpeg, .png, .bmp, .tif, .tiff or .webp, in small or capital letters.  A mask has the name of
    its picture, or that and "_mask": `DSC_1.png` or `DSC_1_mask.png` for `DSC_1.JPG`.

    Args:
        images: The folder of the pictures.
        masks: The folder of the masks.  None: they lie beside the pictures, and their names end in "_mask".
        classes: The name of each class, what is behind all others first.  None: "background" and "object"; or, if the
            masks hold numbers, "background", "class 1" and so on, as many as there are.
        numbers: True: the masks hold the numbers of the classes, 0, 1, 2 and so on, and 255 for what does not count.
            False: they hold 0 for no and 255 for yes.  None: True if more than two classes are named.
        ids: The names of the pairs to take, without an ending, in the order wanted.  None: all, in alphabetical order.
        name: What the set is called in records.  None: as the folder that holds it.
        transform: Called with image and mask together, as for `Segmentation`.

    Attributes:
        name: As above.

    Raises:
        FileNotFoundError: There is no such folder; or a picture has no mask, or a mask no picture.
        NoPictures: A folder holds none.
        ValueError: Two files have one name; the classes do not fit the masks; or `ids` names a pair twice.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> with TemporaryDirectory() as folder:
        ...     Image.new("RGB", (60, 40)).save(f"{folder}/wall.JPG", "JPEG")
        ...     Image.new("L", (60, 40), 255).save(f"{folder}/wall_mask.bmp")
        ...     walls = Pairs(folder, classes=("wall", "crack"))
        ...     print(walls.ids, walls.survey())
        ('wall',) 1 pair of 40 x 60 pixels; wall 0.0 %, crack 100.0 %
    """

    def __init__(
        self,
        images: str | Path,
        masks: str | Path | None = None,
        *,
        classes: Sequence[str] | None = None,
        numbers: bool | None = None,
        ids: Iterable[str] | None = None,
        name: str | None = None,
        transform: Callable | None = None,
    ) -> None:
        images = Path(images)
        masks = images if masks is None else Path(masks)
        photos, drawings = _matched(images, masks)
        ids = _all_paired(photos, drawings, images, masks) if ids is None else tuple(ids)
        _need_listed(ids, photos, drawings, images, masks)
        self.name = name or _name_of(images, masks)
        drawn = "synthetic twin of " * any(map(is_twin, (images, *images.absolute().parents[:2])))
        names = [(photos[one], drawings[one]) for one in ids]
        super().__init__(ids, images, masks, f'{drawn}own pictures "{self.name}"', transform, names)

        numbers = classes is not None and len(classes) > 2 if numbers is None else numbers
        if classes is None:
            classes = _classes_for(_numbers_in(map(self.files, range(len(self))))) if numbers else _YES_OR_NO
        self.classes = _checked(classes, numbers)
        count = len(self.classes)
        if numbers:
            self.palette = tuple(map(tuple, palette()[:count].tolist()))
            self.meaning = {number: number for number in (*range(count), VOID)}
            self.advice += f"; or name all classes, if there are more than these {count}"
        else:
            self.palette = ((0, 0, 0), (255, 255, 255))
            self.meaning = {0: 0, VOID: 1}
            self.advice += (
                "; or part the greys in the middle, Image.open(file).point(lambda grey: 255 * (grey > 127)).save(file)."
                " If the numbers are classes, take a recipe for classes, such as fcn"
            )

    def survey(self) -> str:
        """Read every pair once, and say in a sentence what there is: how many, sizes, the share of each class.

        Raises:
            ValueError: Some pairs cannot be read; the message names the first five with their faults.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # The bar is for sets that take long, and for people: none is drawn into a file.
            every = pool.map(self._looked_at, range(len(self)))
            found = list(tqdm(every, "reading", total=len(self), leave=False, delay=2, disable=None))
        if faults := [fault for fault in found if isinstance(fault, Exception)]:
            # The first in full, with its cure; the others in short, since they often have the same.
            others = [str(fault).replace(f"{self.images.parent}{os.sep}", "") for fault in faults[1:5]]
            lines = [str(faults[0]), *(shorten(fault, 160, placeholder=" ...") for fault in others)]
            lines += [f"and {len(faults) - 5} others"] * (len(faults) > 5)
            raise ValueError("\n  ".join([f"{len(faults)} of {_count(len(self), 'pair')} cannot be used:", *lines]))
        sizes = sorted({size for size, _ in found}, key=lambda size: (size[0] * size[1], size))
        shown = " to ".join(f"{height} x {width}" for height, width in (sizes[0], sizes[-1])[: len(sizes)])
        counts = sum(counts for _, counts in found)
        names = {**dict(enumerate(self.classes)), VOID: "not counted"}
        shares = [f"{names[k]} {100 * counts[k] / counts.sum():.1f} %" for k in names if k != VOID or counts[k]]
        return f"{_count(len(self), 'pair')} of {shown} pixels; {', '.join(shares)}"

    def _looked_at(self, index: int) -> tuple[tuple[int, int], np.ndarray] | Exception:
        """Return the size of a pair and how many of its pixels are of each class; or what is wrong with it."""
        try:
            mask = self.read(index).mask
        except (OSError, ValueError) as error:
            return error
        return tuple(mask.shape), np.bincount(mask.flatten().numpy(), minlength=VOID + 1)


def own_sets(
    folder: str | Path,
    *,
    classes: Sequence[str] | None = None,
    numbers: bool | None = None,
    share: float = 0.2,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> tuple[Pairs, Pairs]:
    """Open a folder of pictures of your own: those to train with, and those to validate with.

    Every pair is read once, so that a fault is found now and not in the middle of the training.  What is for validation
    is said by the folder itself: by subfolders `train` and `val` (or `test`), each laid out as below; or by the files
    `train.txt` and `val.txt` (or `test.txt`), which list names, one in a line.  Without them a share is taken by
    chance, and always the same: a pair that is added later moves few others to the other side.

    Args:
        folder: It holds the subfolders `images` and `masks`; or the pictures themselves, and for each `NAME.jpg` a mask
            `NAME_mask.png`.
        classes: As for `Pairs`.  None: the lines of `classes.txt` in the folder, if it is there; else as for `Pairs`.
        numbers: As for `Pairs`, but None looks into the masks: those of 0 and 255 alone say yes or no.
        share: The part that is taken for validation by chance, above 0 and below 1; at least one pair.
        seed: Another number takes others.
        say: Gets what was found, line by line.

    Raises:
        FileNotFoundError: There is no such folder, or a file is missing.
        NoPictures: The folder is laid out otherwise; the message says what was found in it.
        ValueError: Files do not fit together, or cannot be read; the message names them.
    """
    folder = Path(folder)
    parts, how = _parted(folder, share, seed)
    if classes is None and (named := _child(folder, "classes.txt", kind=Path.is_file)):
        classes = lines_of(named)
    if numbers is None or (numbers and classes is None):
        # Of both parts together: a class may be in one of them alone.
        every = [Pairs(*part[:2], ids=part.ids) for part in parts]
        there = _numbers_in(one.files(index) for one in every for index in range(len(one)))
        if numbers is None:
            numbers = not (VOID in there and set(there) <= {0, VOID})
        if numbers and classes is None:
            classes = _classes_for(there)
    name = _name_of(folder, folder)
    say(f'own pictures "{name}": {how}')
    sets = []
    for part, purpose in zip(parts, ("to train with", "to validate with"), strict=True):
        sets.append(Pairs(*part[:2], classes=classes, numbers=numbers, ids=part.ids, name=name))
        say(f"  {purpose}: {sets[-1].survey()}")
    return tuple(sets)


# ---- the layout of a folder --------------------------------------------------------------------------


class _Part(NamedTuple):
    """Where the pairs of one purpose lie."""

    images: Path
    masks: Path
    ids: tuple[str, ...] | None = None  # None: all


def _parted(folder: Path, share: float, seed: int) -> tuple[tuple[_Part, _Part], str]:
    """Find the pairs to train with and those to validate with; also say in words who parted them."""
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, got {share!r}")
    train, held_out = _child(folder, "train"), _child(folder, "val", "test")
    if train and held_out:
        return (_place(train), _place(held_out)), f"parted by the folders {train.name} and {held_out.name}"
    if train or held_out:
        one, other = (train.name, "val") if train else (held_out.name, "train")
        raise FileNotFoundError(
            f"{folder} has the folder {one} and no folder {other}: add it, or leave both out; {_LAYOUT}"
        )
    place = _place(folder)
    lists = [_child(folder, *names, kind=Path.is_file) for names in (("train.txt",), ("val.txt", "test.txt"))]
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
        ids = Pairs(*place[:2]).ids
        if len(ids) < 2:
            raise ValueError(f"{folder} holds one pair, and two are needed: one to train with, one to validate with")
        count = min(max(round(share * len(ids)), 1), len(ids) - 1)
        # By a hash and not by a shuffle: what is added later changes the places of all in a shuffle.
        order = sorted(ids, key=lambda one: hashlib.sha256(f"{seed} {one}".encode()).digest())
        picked = set(order[:count])
        chosen = [tuple(one for one in ids if (one in picked) == wanted) for wanted in (False, True)]
        words = (
            f"{count} of {_count(len(ids), 'pair')} taken by chance for validation (share {share:g}, seed {seed}),"
            f" {_some(chosen[1])}; to choose yourself, write train.txt and val.txt"
        )
    return tuple(place._replace(ids=ids) for ids in chosen), words


def _place(folder: Path) -> _Part:
    """Find the pictures and masks in one folder."""
    images, masks = _child(folder, "images"), _child(folder, "masks")
    if images and masks:
        return _Part(images, masks)
    there = list(filter(is_picture, listing(folder)))
    if any(_stem(name).lower().endswith(_MARK) for name in there):
        return _Part(folder, folder)
    raise NoPictures(f"{_what_is_in(folder, there)}; {_LAYOUT}")


def _what_is_in(folder: Path, there: Sequence[str]) -> str:
    """Say what a folder without pairs holds instead, and where to look."""
    place = Path(os.path.abspath(folder))
    if there and place.name.lower() in ("images", "masks"):
        return f"{folder} holds one half of the pairs ({_some(there)}): name the folder above it, {place.parent}"
    if there:
        return f"{folder} holds {_count(len(there), 'picture')} ({_some(there)}) and no masks"
    below = {}
    for place, folders, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < 3 else []
        if pictures := list(filter(is_picture, files)):
            below[os.path.relpath(place, folder)] = len(pictures)
    if below:
        found = _some([f"{place} ({count})" for place, count in below.items()])
        return f"{folder} holds no pictures itself; there are some in {found}: name the folder that holds the pairs"
    files = [name for name in listing(folder) if not name.startswith(".")]
    if not files:
        return f"{folder} is empty"
    return f"{folder} holds no pictures ({', '.join(ENDINGS)}), but {_some(files)}: save yours as JPEG or PNG"


def _child(folder: Path, *names: str, kind: Callable[[Path], bool] = Path.is_dir) -> Path | None:
    """Return the first of some folders (or files) that is in `folder`, in small or capital letters."""
    there = {name.lower(): folder / name for name in listing(folder)}
    return next((there[name] for name in names if name in there and kind(there[name])), None)


# ---- pictures and masks that belong together ---------------------------------------------------------


def _matched(images: Path, masks: Path) -> tuple[dict[str, str], dict[str, str]]:
    """List the files of pictures and of masks, each by the name of its pair."""
    there = list(filter(is_picture, listing(images)))
    if masks == images:
        drawn = [name for name in there if _stem(name).lower().endswith(_MARK)]
        photos = _by_name(images, [name for name in there if name not in drawn], _stem)
    else:
        photos, drawn = _by_name(images, there, _stem), list(filter(is_picture, listing(masks)))
    if not photos or not drawn:
        if masks == images:
            found = f"{images} holds masks alone ({_some(drawn)})" if drawn else _what_is_in(images, there)
        else:
            found = _what_is_in(masks if photos else images, ())
        raise NoPictures(f"{found}; {_LAYOUT}")

    def owner(name: str) -> str:
        stem = _stem(name)
        marked = stem.lower().endswith(_MARK) and (stem not in photos or masks == images)
        return stem[: -len(_MARK)] if marked else stem

    return photos, _by_name(masks, drawn, owner)


def _by_name(folder: Path, files: Sequence[str], name_of: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in files:
        name = name_of(file)
        if name in found:
            raise ValueError(f"{folder} has {found[name]} and {file}, two files for one pair: take one of them away")
        found[name] = file
    return found


def _all_paired(photos: dict[str, str], drawings: dict[str, str], images: Path, masks: Path) -> tuple[str, ...]:
    """Return the names of all pairs in order, if no file stands alone."""
    if not photos.keys() & drawings.keys():
        raise FileNotFoundError(
            f"no mask in {masks} is called as a picture in {images}: pictures are {_some(photos.values())}, masks"
            f" {_some(drawings.values())}; {_LAYOUT}"
        )
    for here, there, folder, what, lacks in (
        (photos, drawings, images, "picture", "mask"),
        (drawings, photos, masks, "mask", "picture"),
    ):
        alone = sorted(here.keys() - there.keys())
        if alone:
            near = [file for name, file in there.items() if name.casefold() == alone[0].casefold()]
            cure = f"add the {lacks}, or take the {what} away"
            if near:
                cure = f"there is {near[0]}, so make the letters alike"
            raise FileNotFoundError(
                f"{folder / here[alone[0]]} has no {lacks} ({len(alone)} of {len(here)} {what}s have none): {cure}"
            )
    return tuple(sorted(photos))


def _need_listed(
    ids: Sequence[str], photos: dict[str, str], drawings: dict[str, str], images: Path, masks: Path
) -> None:
    """Say which of the names wanted is there twice or not at all."""
    if not ids:
        raise ValueError("ids names no pair")
    (name, times), *_ = Counter(ids).most_common(1)
    if times > 1:
        raise ValueError(f"{name} is listed {times} times: a picture that counts twice spoils every score")
    for there, folder, what in ((photos, images, "picture"), (drawings, masks, "mask")):
        missing = [name for name in ids if name not in there]
        if missing:
            raise FileNotFoundError(
                f"{missing[0]} is listed, and {folder} has no such {what} ({len(missing)} of {len(ids)} are missing);"
                f" it has {_some(there)}"
            )


def _stem(file: str) -> str:
    """Return a file's name without its ending.  An ü may be stored as one sign or as two; here it is one."""
    return unicodedata.normalize("NFC", file.rpartition(".")[0])


def _bare(line: str) -> str:
    """Return the name of a pair as a list has it: perhaps with folders before and an ending behind."""
    name = line.replace("\\", "/").rpartition("/")[2]
    return _stem(name) if is_picture(name) else unicodedata.normalize("NFC", name)


def _name_of(images: Path, masks: Path) -> str:
    """Return the name of the folder that holds a set, without the path to it."""
    # Not resolve(): the reader's own name for the folder may be a link.
    images, masks = Path(os.path.abspath(images)), Path(os.path.abspath(masks))
    folder = images.parent if images != masks and images.parent == masks.parent else images
    return folder.name or "pictures"


# ---- classes -----------------------------------------------------------------------------------------

_YES_OR_NO = ("background", "object")


def _numbers_in(files: Iterable[tuple[Path, Path]]) -> dict[int, Path]:
    """Return every number that is in some mask, and the first mask that has it."""
    found: dict[int, Path] = {}
    drawings = [drawing for _, drawing in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for drawing, numbers in zip(drawings, pool.map(lambda one: read_mask(one).unique(), drawings), strict=True):
            for number in numbers.tolist():
                found.setdefault(number, drawing)
    return found


def _classes_for(found: dict[int, Path]) -> tuple[str, ...]:
    """Name as many classes as there are numbers in the masks."""
    numbers = sorted(set(found) - {VOID})
    if numbers == [0] or not numbers:
        raise ValueError("the masks hold no number of a class above 0: nothing is marked in them")
    for number, wanted in enumerate(range(numbers[-1] + 1)):
        if wanted not in numbers:
            after = next(other for other in numbers if other > number)
            raise ValueError(
                f"{found[after]} holds {after}, and no mask holds {wanted}: classes are numbered 0, 1, 2 and so on."
                " Give them such numbers; or name every class, also those that are nowhere, in classes.txt, one in a"
                " line"
            )
    return ("background", *(f"class {number}" for number in numbers[1:]))


def _checked(classes: Sequence[str], numbers: bool) -> tuple[str, ...]:
    classes = tuple(classes)
    if not all(isinstance(name, str) and name.strip() for name in classes) or len(set(classes)) < len(classes):
        raise ValueError(f"classes must be names, each another one, got {classes}")
    if not 2 <= len(classes) <= VOID:
        raise ValueError(f"classes must be from 2 to {VOID} names, that of the background first, got {classes}")
    if not numbers and len(classes) > 2:
        raise ValueError(
            f"masks of 0 and 255 have two classes, and these are named: {', '.join(classes)}; name two, or draw masks"
            " of class numbers and take a recipe for classes, such as fcn"
        )
    return classes


# ---- words -------------------------------------------------------------------------------------------


def _some(names: Iterable[str], most: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"

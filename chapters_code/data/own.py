"""Pictures of your own, with masks that you have drawn (Chapters 06, 07 and 09).

They lie in two folders, or in one in which each mask is called after its picture:

    photos/images/DSC_1.JPG  photos/masks/DSC_1.png            photos/DSC_1.JPG  photos/DSC_1_mask.png

    own_sets("photos")                      -->  pairs to train with and pairs to validate with; it says what it found
    Pairs("photos/images", "photos/masks")  -->  all of them

A mask is of one of two kinds.  Yes or no: 0 and 255.  Or numbers of classes: 0, 1, 2 and so on, and 255 for what does
not count.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import shorten

import numpy as np
from tqdm.auto import tqdm

from chapters_code.data.folders import is_twin, lines_of
from chapters_code.data.layout import counted, find_child, match_files, name_of, part_folder
from chapters_code.data.pairs import FilePairs
from chapters_code.data.pictures import VOID, read_mask, voc_colours

__all__ = ["Pairs", "own_sets"]


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
        there = match_files(images, masks)
        ids = there.check_complete() if ids is None else there.check_listed(tuple(ids))
        self.name = name or name_of(images, masks)
        drawn = "synthetic twin of " if any(map(is_twin, (images, *images.absolute().parents[:2]))) else ""
        names = [(there.photos[one], there.drawings[one]) for one in ids]
        super().__init__(ids, images, masks, f'{drawn}own pictures "{self.name}"', transform, names)

        numbers = classes is not None and len(classes) > 2 if numbers is None else numbers
        if classes is None:
            classes = _classes_for(_numbers_in(map(self.files, range(len(self))))) if numbers else _YES_OR_NO
        self.classes = _checked(classes, numbers)
        count = len(self.classes)
        if numbers:
            self.palette = voc_colours(count)
            self.meaning = {number: number for number in (*range(count), VOID)}
            self.advice += f"; or name all classes, if there are more than these {count}"
        else:
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
            if len(faults) > 5:
                lines.append(f"and {len(faults) - 5} others")
            raise ValueError("\n  ".join([f"{len(faults)} of {counted(len(self), 'pair')} cannot be used:", *lines]))
        sizes = sorted({size for size, _ in found}, key=lambda size: (size[0] * size[1], size))
        shown = " to ".join(f"{height} x {width}" for height, width in (sizes[0], sizes[-1])[: len(sizes)])
        counts = sum(counts for _, counts in found)
        names = {**dict(enumerate(self.classes)), VOID: "not counted"}
        shares = [f"{names[k]} {100 * counts[k] / counts.sum():.1f} %" for k in names if k != VOID or counts[k]]
        return f"{counted(len(self), 'pair')} of {shown} pixels; {', '.join(shares)}"

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
    parts, how = part_folder(folder, share, seed)
    if classes is None and (named := find_child(folder, "classes.txt", kind=Path.is_file)):
        classes = lines_of(named)
    if numbers is None or (numbers and classes is None):
        # Of both parts together: a class may be in one of them alone.
        every = [Pairs(*part[:2], ids=part.ids) for part in parts]
        there = _numbers_in(one.files(index) for one in every for index in range(len(one)))
        if numbers is None:
            numbers = not (VOID in there and set(there) <= {0, VOID})
        if numbers and classes is None:
            classes = _classes_for(there)
    name = name_of(folder, folder)
    say(f'own pictures "{name}": {how}')
    sets = []
    for part, purpose in zip(parts, ("to train with", "to validate with"), strict=True):
        sets.append(Pairs(*part[:2], classes=classes, numbers=numbers, ids=part.ids, name=name))
        say(f"  {purpose}: {sets[-1].survey()}")
    return tuple(sets)


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

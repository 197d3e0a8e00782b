"""What all data sets of the book share: numbered pairs of an image and a mask (Chapters 00, 06, 07 and 09).

Whatever the set, sample `i` is the same kind of thing, and its id says which one it is:

    dataset[i]  -->  Pair(image uint8 (3, H, W), mask int64 (H, W))          dataset.ids[i]  -->  "2007_000032"

Mask values are class numbers, rows of `classes`; 255 means "do not count".  A `transform` sees image and mask
together, so that a crop cuts both at the same place; any joint transform of `torchvision.transforms.v2` will do.

`Segmentation` is the interface; `FilePairs` fills it from a folder of photographs and a folder of masks, and refuses
whatever does not fit together, by the name of the file.  `data.own` is for pictures of your own.
"""

import hashlib
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from chapters_code.checks import check_pair
from chapters_code.data.folders import listing, why_missing
from chapters_code.data.pictures import VOID, read_head, read_mask, read_picture, turn_upright

__all__ = ["FilePairs", "Pair", "Segmentation", "Subset", "check_pairs", "transformed"]


class Pair(NamedTuple):
    """A picture and the truth about it."""

    image: Tensor  # uint8 (3, H, W), RGB
    mask: Tensor  # int64 (H, W), class numbers, 255 = do not count


class Segmentation(Dataset):
    """A data set of pairs; each set of the book is a subclass that says how pair `i` is read.

    Args:
        ids: The name of each pair, in order.
        origin: In words, where the pairs come from; it goes into the records of training runs.
        transform: Called with a `tv_tensors.Image` and a `tv_tensors.Mask`; gives both back, changed alike.

    Attributes:
        classes: The classes' names; class k is `classes[k]`.
        palette: The colour in which each class is shown, (red, green, blue).
        ignore_index: The mask value that is not counted, 255.
        dropped: The ids that `drop_smaller` left out.
    """

    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...] = ((0, 0, 0), (255, 255, 255))  # of the two classes of most sets
    ignore_index = VOID
    dropped: tuple[str, ...] = ()

    def __init__(self, ids: Sequence[str], origin: str, transform: Callable | None = None) -> None:
        self.ids = tuple(ids)
        self.origin = origin
        self.transform = transform

    def _take_after(self, whole: "Segmentation") -> None:
        """Have the classes of another set, and what it left out."""
        self.classes, self.palette, self.ignore_index = whole.classes, whole.palette, whole.ignore_index
        self.dropped = whole.dropped

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Pair:
        try:
            place = operator.index(index)
        except TypeError:
            raise ValueError(
                f"ask for one pair by an integer, dataset[3], got {index!r}; several are dataset.subset([3, 4])"
            ) from None
        if not -len(self) <= place < len(self):
            raise IndexError(f"index must be from 0 to {len(self) - 1}, got {place}")
        pair = self.read(place % len(self))
        return pair if self.transform is None else transformed(self.transform, *pair)

    def read(self, index: int) -> Pair:
        """Return pair `index`, 0 to len - 1, as it is stored, before any transform."""
        raise NotImplementedError

    def size_of(self, index: int) -> tuple[int, int]:
        """Return height and width of pair `index`, 0 to len - 1, in pixels, before any transform."""
        height, width = self.read(index).mask.shape
        return height, width

    @property
    def digest(self) -> str:
        """The SHA-256 of the ids in their order, as 64 hexadecimal digits.

        Equal for two sets that name the same pairs in the same order.  It says nothing of the pixels.
        """
        return hashlib.sha256("\n".join(self.ids).encode()).hexdigest()

    def subset(self, indices: Iterable[int]) -> "Subset":
        """Return the set of the pairs `indices` of this one, in that order."""
        return Subset(self, indices)

    def drop_smaller(self, size: tuple[int, int]) -> "Subset":
        """Return the set without the pictures from which no window of `size` can be cut.

        The other way to live with small pictures is to pad them: `transforms.random_crop` does so by itself.

        Args:
            size: Height and width of the window in pixels.

        Returns:
            The pairs at least as high and as wide, in their order; `dropped` has the ids of the others.

        Raises:
            ValueError: `size` is not two integers, or no picture is large enough.
        """
        height, width = check_pair("size", size, single=False)
        sizes = [self.size_of(index) for index in range(len(self))]
        large = [high >= height and wide >= width for high, wide in sizes]
        if not any(large):
            high, wide = max(sizes, key=math.prod)
            raise ValueError(
                f"none of the {len(self)} pictures has {height} x {width} pixels (height x width); the largest has"
                f" {high} x {wide}: take a smaller crop, or pad the pictures"
            )
        kept = self.subset(itertools.compress(range(len(self)), large))
        kept.dropped += tuple(name for name, is_large in zip(self.ids, large, strict=True) if not is_large)
        return kept


def transformed(transform: Callable, image: Tensor, mask: Tensor) -> Pair:
    """Carry a joint transform out on a pair.

    Args:
        transform: Called with a `tv_tensors.Image` and a `tv_tensors.Mask`; returns both, changed alike.
        image: (3, H, W).
        mask: (H, W).

    Raises:
        ValueError: The transform does not take the two, or does not return two tensors.
    """
    # Here and not above: torchvision takes longer to import than all the rest, and only transforms need it.
    from torchvision import tv_tensors

    wanted = (
        "a transform gets image and mask, transform(image, mask), and returns both, so that a crop cuts both at the"
        " same place: take one of torchvision.transforms.v2, or a function of two arguments"
    )
    try:
        result = transform(tv_tensors.Image(image), tv_tensors.Mask(mask))
    except TypeError as error:
        raise ValueError(f"the transform {transform} fails on image and mask ({error}); {wanted}") from error
    if not isinstance(result, tuple | list) or len(result) != 2 or not all(isinstance(one, Tensor) for one in result):
        kinds = [type(one).__name__ for one in (result if isinstance(result, tuple | list) else (result,))]
        raise ValueError(f"the transform {transform} returned {', '.join(kinds) or 'nothing'}; {wanted}")
    # Back to plain tensors: what follows is arithmetic, and a tensor that remembers its kind slows it down.
    return Pair(*(one.as_subclass(Tensor) for one in result))


def check_pairs(dataset: Segmentation, name: str = "dataset") -> None:
    """Say what is wrong with `dataset`, if it is not a set of the book's kind.

    Raises:
        ValueError: It is not a `Segmentation`; the message says how to take a part of one.
    """
    if not isinstance(dataset, Segmentation):
        kind = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
        raise ValueError(
            f"{name} must be a set of pairs with ids and classes (data.pairs.Segmentation), got {kind}: a part of a"
            " set is dataset.subset(indices), in place of random_split and torch's Subset; for pairs of several sets"
            " write a subclass of Segmentation"
        )


class Subset(Segmentation):
    """Some pairs of a data set, as a data set: like `torch.utils.data.Subset`, with ids, classes and the rest.

    Args:
        whole: The data set; its transform is taken over.
        indices: Which pairs, in the order wanted; from -len to len - 1.

    Raises:
        IndexError: `whole` has no such pair.
        ValueError: `indices` is no list of integers; a mask of True and False is none.
    """

    def __init__(self, whole: Segmentation, indices: Iterable[int]) -> None:
        indices = indices.tolist() if isinstance(indices, Tensor | np.ndarray) else indices
        try:
            given = list(indices)
            if any(isinstance(one, bool) for one in given):
                raise TypeError("True is no 1 here")
            self.whole, self.indices = whole, tuple(range(len(whole))[index] for index in given)
        except TypeError:
            raise ValueError(
                f"indices must be a list of integers, subset([0, 2]), got {indices!r}; of a mask of True and False take"
                " torch.as_tensor(mask).nonzero().flatten()"
            ) from None
        super().__init__([whole.ids[index] for index in self.indices], whole.origin, whole.transform)
        self._take_after(whole)

    def read(self, index: int) -> Pair:
        return self.whole.read(self.indices[index])

    def size_of(self, index: int) -> tuple[int, int]:
        return self.whole.size_of(self.indices[index])


class FilePairs(Segmentation):
    """Pairs in files: photographs in one folder, masks in another, or in the same.

    That each id has its two files is checked at once, from a listing of the folders; the files themselves are opened
    when their pair is asked for.

    Args:
        ids: The name of each pair, in order.
        images: The folder of the photographs.
        masks: The folder of the masks.
        origin: In words, where the pairs come from.
        transform: As for `Segmentation`.
        names: The two files of each pair, photograph and mask.  None: `<id>.jpg` and `<id>.png`, as in all sets of the
            book.

    Attributes:
        meaning: What a number in a mask file stands for: {number: class}.  Every other number is refused.
        advice: What to do about a mask with other numbers, in words.

    Raises:
        FileNotFoundError: A folder or a file is missing; the message names the first and counts the others.
    """

    meaning: Mapping[int, int]
    advice = "take the original PNG"

    def __init__(
        self,
        ids: Sequence[str],
        images: Path,
        masks: Path,
        origin: str,
        transform: Callable | None = None,
        names: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(ids, origin, transform)
        self.images, self.masks = Path(images), Path(masks)
        self.names = tuple((f"{name}.jpg", f"{name}.png") for name in self.ids) if names is None else tuple(names)
        for side, folder in enumerate((self.images, self.masks)):
            there = set(listing(folder))
            missing = [files[side] for files in self.names if files[side] not in there]
            if missing:
                raise FileNotFoundError(
                    f"{folder / missing[0]} is missing ({len(missing)} of {len(self)} files are, in {folder}):"
                    f" {why_missing(missing[0], there)}"
                )

    def files(self, index: int) -> tuple[Path, Path]:
        """Return the files of pair `index`, 0 to len - 1: the photograph and the mask."""
        photo, drawing = self.names[index]
        return self.images / photo, self.masks / drawing

    def read(self, index: int) -> Pair:
        """Read pair `index` from its two files.

        A camera may have stored the photograph lying on its side, with a note to turn it (EXIF orientation).  The
        picture comes upright, and a mask that was drawn on the lying picture is turned with it.

        Raises:
            ValueError: A file is damaged, the two differ in size, the mask holds a number that means nothing here, or
                nobody can tell whether the mask has to be turned; the message names the files.
        """
        photo, drawing = self.files(index)
        image, mask = read_picture(photo), self._classes(drawing)
        orientation = read_head(photo).orientation
        upright = image.shape[1:]
        stored = upright[::-1] if orientation >= 5 else upright  # 5 to 8 are the quarter turns
        if mask.shape not in (upright, stored):
            raise ValueError(
                f"{photo} has {upright[0]} x {upright[1]} pixels, but its mask {drawing} has"
                f" {mask.shape[0]} x {mask.shape[1]} (height x width): a mask has a number for each pixel of its"
                " picture; fetch both from the same place, or draw the mask on the picture as it is"
            )
        if orientation != 1 and stored == upright:
            raise ValueError(
                f"{photo} asks to be turned (EXIF orientation {orientation}), and its size does not tell whether its"
                f" mask {drawing} was drawn before or after: save the picture as the mask shows it, without that note"
            )
        return Pair(image, mask if mask.shape == upright else turn_upright(mask, orientation))

    def size_of(self, index: int) -> tuple[int, int]:
        return read_head(self.files(index)[0]).size

    def _classes(self, path: Path) -> Tensor:
        """Read a mask file and put the class in the place of each number."""
        numbers = read_mask(path).numpy()
        if self.meaning.get(VOID) == 1 and numbers.max(initial=0) == 1:
            # Yes is 255 here.  Where greys are parted in the middle, too, it would silently be a mask of nothing.
            raise ValueError(
                f"{path}: a mask of 0 and 255 was expected, and this one holds 0 and 1 (a palette may show the 1 as"
                " white): multiply by 255, Image.fromarray(255 * np.array(Image.open(file))).save(file). If the numbers"
                " are classes, take a recipe for classes, such as fcn"
            )
        table = np.full(256, -1, dtype=np.int64)
        table[list(self.meaning)] = list(self.meaning.values())
        # NumPy and not torch, which would share this little work out among threads, and wait for them.
        mask = table.take(numbers)
        if mask.size and mask.min() < 0:
            foreign = numbers[mask < 0]
            raise ValueError(
                f"{path}: {foreign.size} of {mask.size} pixels hold numbers that mean no class,"
                f" {_in_words(np.unique(foreign).tolist())}; known are {_in_words(sorted(self.meaning))}."
                f" The mask was probably resized or stored as a JPEG on the way: {self.advice}"
            )
        return torch.from_numpy(mask)


def _in_words(numbers: Sequence[int]) -> str:
    """Write numbers for a message: neighbours as a span, and not more than ten."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = [f"{first}" if first == last else f"{first} to {last}" for first, last in spans]
    return ", ".join(words[:10]) + (", ..." if len(words) > 10 else "")

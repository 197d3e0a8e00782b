"""What the sets of photographs share: where they are found, and how their folders are laid out."""

from collections.abc import Callable, Mapping
from pathlib import Path

from chapters_code.data.fetching.find import locate
from chapters_code.data.fetching.sources import SOURCES
from chapters_code.data.pairs import FilePairs

__all__ = ["Photographs"]


class Photographs(FilePairs):
    """A set in the table of `data.fetching.sources`; a subclass says which.

    A set without official splits is parted by the book: of the ids in order, every fourth is a test picture.

    Args:
        name: A name in `splits`.
        split: One of its splits.
        root: The folder of the set, laid out as the page on data sets says.  None looks for one, and downloads it if
            need be (`data.fetching.find`).
        transform: Called with image and mask together, as for `Segmentation`.

    Attributes:
        splits: The splits of each set, by its name.
        place: What stands before the name in the table.

    Raises:
        FileNotFoundError: A folder, a list, a picture or a mask is missing; the message names it.
        ValueError: There is no such set or split; or the folder or the list is empty, or the list names a picture
            twice.
    """

    splits: Mapping[str, tuple[str, ...]]
    place = ""

    def __init__(self, name: str, split: str, root: str | Path | None, transform: Callable | None) -> None:
        if name not in self.splits:
            raise ValueError(f"name must be {' or '.join(self.splits)}, got {name!r}")
        if split not in self.splits[name]:
            raise ValueError(f"the splits of {name} are {', '.join(self.splits[name])}; got {split!r}")
        source = SOURCES[self.place + name]
        folder, origin = locate(self.place + name, root)
        ids, images, masks = source.pairs_in(folder, split)
        if "" in source.pairs and split != "all":
            ids = [name for number, name in enumerate(ids, start=1) if (number % 4 == 0) == (split == "test")]
        super().__init__(ids, images, masks, origin, transform)

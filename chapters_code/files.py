"""Files that are whole or not there: what a program that is stopped leaves behind (all chapters).

Whoever reads a file must be able to trust that it is complete.  So it is written beside its place, under a name that
nobody reads, and moved there in one step when it is finished.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["written_whole"]


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; what was written there takes the place of `path` when the block ends well.

    If the block fails, `path` is as it was, and nothing is left beside it.  A process that is killed may leave the
    unfinished file, whose name ends in ".part"; the next one writes over it.

    Args:
        path: The file that is to be written; its folder exists.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with written_whole(Path(folder, "note.txt")) as unfinished:
        ...         _ = unfinished.write_text("done")
        ...     print([file.name for file in Path(folder).iterdir()])
        ['note.txt']
    """
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    try:
        yield unfinished
        # On the disk, not only on its way there, before what was there is given up.
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)

"""Archives of data sets: taken out safely, laid out as the book wants it, and checked (Chapters 06, 07 and 09).

No name in an archive becomes a path.  Each is compared with the rules of the set's table entry, and a rule says where
the file goes.  An archive with anything strange in it (a path that leads outside, a link, more than the set can hold)
is refused as a whole: then it is not the one that the authors packed.

    archives --unpack--> images and masks in the book's layout --check--> every pair was opened

Masks of cracks and salient objects end as PNG files with 0 and 255.  Masks of VOC stay as they are, class numbers.
"""

import io
import re
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from chapters_code.data.fetching.download import WrongData, check_space
from chapters_code.data.fetching.sources import Source
from chapters_code.data.pairs import FilePairs
from chapters_code.data.pictures import bit_depth

__all__ = ["check", "examine", "unpack"]

BINARY = (0, 255)

# What zipfile and tarfile raise when an archive is damaged; RuntimeError, when it asks for a password.
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError, UnicodeDecodeError)


class _Member(NamedTuple):
    """A file in an archive."""

    archive: str
    name: str
    size: int  # bytes, as the archive says
    open: Callable[[], BinaryIO]


def unpack(archives: Sequence[Path], source: Source, folder: Path) -> None:
    """Take a data set out of its archives.

    Args:
        archives: Zip or plain tar files.
        source: The data set's entry in the table.
        folder: Where its files go; made if need be.

    Raises:
        WrongData: An archive is damaged, holds a link or a path that leads outside, or wants more room than the set
            may take.  Files that were written before that stay in `folder`.
        OSError: The disk is full, or would be.
    """
    with ExitStack() as stack:
        members = [member for archive in archives for member in _members(archive, stack)]
        placed = _place(members, source)
        wanted = _room(placed, source)
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder, wanted)
        for target, member in tqdm(placed.items(), desc=f"unpacking {source.title}", unit=" files"):
            content = _content(member)
            if PurePosixPath(member.name).suffix == ".mat":
                content = _mask_from_matlab(content, member.name)
            elif target.endswith(".png") and source.labels == BINARY:
                content = _binary_mask(content, member.name)
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def examine(archive: Path, source: Source) -> None:
    """Read one archive of several through, for what can be told without the others.

    Raises:
        WrongData: It is damaged, or refused as by `unpack`; it holds nothing of the set; or it holds images or masks of
            a split, but too few.
    """
    with ExitStack() as stack:
        wanted = _wanted(_members(archive, stack), source)
        _room(wanted, source)
        if not wanted:
            raise WrongData(f"{archive.name} holds nothing of {source.title}")
        there = Counter(str(PurePosixPath(path).parent) for path in wanted)
        for split, count in source.pairs.items():
            for place in (source.images.format(split=split), source.masks.format(split=split)):
                if 0 < there[place] < count:
                    raise WrongData(f"{archive.name}: {count} files were due for {place}, {there[place]} are there")
        for member in tqdm(wanted.values(), desc=f"reading {archive.name}", unit=" files"):
            _content(member)


def check(source: Source, folder: Path) -> None:
    """Open every pair of an unpacked data set.

    Raises:
        WrongData: There are too few or too many pairs, a file of one is missing or cannot be read, image and mask
            differ in size, or a mask holds a value that it must not; the message names the file.
    """
    for split, count in source.pairs.items():
        try:
            ids, images, masks = source.pairs_in(folder, split)
            if len(ids) != count:
                raise WrongData(f"{split}: {count} pairs were due, {len(ids)} are there")
            pairs = FilePairs(ids, images, masks, source.title)
            pairs.meaning = {label: label for label in source.labels}
            for index in tqdm(range(count), desc=f"checking {source.title} {split}", unit=" pairs"):
                pairs.read(index)
        except (OSError, ValueError) as error:
            raise WrongData(f"{source.title}: {error}") from error


def _members(archive: Path, stack: ExitStack) -> list[_Member]:
    """List an archive's files, if it holds nothing but files and folders that stay inside."""
    try:
        if archive.suffix == ".zip":
            zipped = stack.enter_context(zipfile.ZipFile(archive))
            entries = [
                (info, info.filename, info.file_size, info.is_dir(), _is_plain(info)) for info in zipped.infolist()
            ]
            opener = zipped.open
        else:
            # TarFile, not tarfile.open: a compressed tar would be unpacked to be listed, and may grow without end.
            tarred = stack.enter_context(tarfile.TarFile(archive))
            entries = [(info, info.name, info.size, info.isdir(), info.isfile()) for info in tarred.getmembers()]
            opener = tarred.extractfile
    except _DAMAGED as error:
        raise WrongData(f"{archive.name} is no whole {archive.suffix} archive ({error})") from error
    members = []
    for info, name, size, is_folder, is_file in entries:
        name = name.replace("\\", "/")  # as some packers on Windows write it
        if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
            raise WrongData(f"{archive.name} is refused: it holds a path that leads outside, {name!r}")
        if not is_folder and not is_file:
            raise WrongData(f"{archive.name} is refused: {name!r} is a link or a device, not a file")
        if is_file and not is_folder:
            members.append(_Member(archive.name, name, size, partial(opener, info)))
    return members


def _is_plain(info: zipfile.ZipInfo) -> bool:
    # The upper half holds the Unix mode, where the packer ran on Unix; a link is a file with this mode.
    return stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)


def _wanted(members: Sequence[_Member], source: Source) -> dict[str, _Member]:
    """Pick the files that a rule names, by the place that it gives them."""
    placed: dict[str, _Member] = {}
    for member in members:
        for pattern, target in source.rules:
            match = re.fullmatch(pattern, member.name)
            if match:
                path = match.expand(target)
                if path in placed:
                    raise WrongData(f"{member.archive} is refused: it holds {member.name!r} twice")
                placed[path] = member
    return placed


def _room(placed: dict[str, _Member], source: Source) -> int:
    """Add up the bytes of the files, and refuse more than the set can have."""
    wanted = sum(member.size for member in placed.values())
    if wanted > source.unpacked:
        raise WrongData(f"{source.title} would take {wanted} bytes, where {source.unpacked} are the most expected")
    return wanted


def _place(members: Sequence[_Member], source: Source) -> dict[str, _Member]:
    """Say where each file goes that is wanted and has its partner, below the set's folder."""
    placed = _wanted(members, source)
    # A photograph without a mask is of no use here (17,125 come with VOC, 2,913 have one).
    masked = {_pair(path) for path in placed if path.endswith(".png")}
    placed = {path: member for path, member in placed.items() if not path.endswith(".jpg") or _pair(path) in masked}
    if source.test_every:
        ids = sorted({PurePosixPath(path).stem for path in placed})
        testing = set(ids[source.test_every - 1 :: source.test_every])
        placed = {
            f"{'test' if PurePosixPath(path).stem in testing else 'train'}/{path}": member
            for path, member in placed.items()
        }
    return placed


def _pair(path: str) -> tuple[PurePosixPath, str]:
    """Name what an image and its mask have in common: train/images/a.jpg, train/masks/a.png -> train, a."""
    return PurePosixPath(path).parent.parent, PurePosixPath(path).stem


def _content(member: _Member) -> bytes:
    try:
        with member.open() as file:
            content = file.read(member.size + 1)  # one more than promised, so that a lie shows
    except _DAMAGED as error:
        raise WrongData(f"{member.archive} is damaged at {member.name!r} ({error})") from error
    if len(content) != member.size:
        raise WrongData(f"{member.archive} is damaged: {member.name!r} has {len(content)} bytes, not {member.size}")
    return content


def _binary_mask(content: bytes, name: str) -> bytes:
    """Return a mask with 0 and 255 alone; one that is so already stays the very file."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            mask, mode = np.array(image.convert("L")), image.mode
    except (OSError, Image.DecompressionBombError) as error:
        raise WrongData(f"{name} is no picture, or damaged ({error})") from error
    if mode == "L" and bit_depth(content) == 8 and np.isin(mask, BINARY).all():
        return content
    if 0 < mask.max() < 128:
        raise WrongData(f"{name} holds values up to {mask.max()}; 255 was expected, and half of it as the threshold")
    return _png(mask > 127)


def _mask_from_matlab(content: bytes, name: str) -> bytes:
    """Turn CrackForest's ground truth into a mask.

    Labels 2 and 4 are crack.  Label 3 is pavement that cracks enclose: "everything but 1" would be wrong.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError("CrackForest's masks are Matlab files, and need SciPy: pip install scipy") from error
    try:
        labels = loadmat(io.BytesIO(content))["groundTruth"][0, 0]["Segmentation"]
    except Exception as error:  # of many kinds, depending on where the file is damaged
        raise WrongData(f"{name} holds no groundTruth.Segmentation, or is damaged ({error})") from error
    if labels.ndim != 2 or not np.isin(labels, (1, 2, 3, 4)).all():
        raise WrongData(f"{name}: labels are a grid of 1 to 4, got {np.unique(labels)[:9]} of shape {labels.shape}")
    return _png(np.isin(labels, (2, 4)))


def _png(mask: np.ndarray) -> bytes:
    stored = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stored, "PNG")
    return stored.getvalue()

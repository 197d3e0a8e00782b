"""A mirror on this machine that behaves as badly as a test wants, and small archives laid out as the official ones."""

import io
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

Answer = Callable[[BaseHTTPRequestHandler], None]


class Mirror:
    """A server on 127.0.0.1.

    `answers` says what each request gets, in order; the last answer is given again and again.  `asked` lists the
    headers of the requests.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append({"path": self.path, **self.headers})
                answer = mirror.answers.pop(0) if len(mirror.answers) > 1 else mirror.answers[0]
                # The client may hang up first; that is its right.
                try:
                    answer(self)
                    self.wfile.flush()
                except ConnectionError:
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def sends(
    content: bytes,
    *,
    tag: str | None = '"1"',
    date: str | None = None,
    ranges: str = "honest",
    stop: int | None = None,
    stall: float = 0,
    length: int | None | str = "true",
    kind: str = "application/octet-stream",
) -> Answer:
    """Answer with a file.

    Args:
        content: The file.
        tag: Its ETag.
        date: Its Last-Modified.
        ranges: What a request for a part gets: "honest" (the part, if it is still the same file), "ignored" (all),
            "forced" (the part, though it is another file now), or "misplaced" (a part that starts elsewhere).
        stop: Hang up after so many bytes of the body.
        stall: Before that, fall silent for so many seconds.
        length: The Content-Length to promise; None for none.
        kind: The Content-Type.
    """

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wanted, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        part = wanted and ranges != "ignored" and (ranges != "honest" or condition in (tag, date))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if part else 0
        if part and ranges == "misplaced":
            start -= 1
        body = content[start:]
        handler.send_response(206 if part else 200)
        handler.send_header("Content-Type", kind)
        if part:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if length is not None:
            handler.send_header("Content-Length", str(len(body) if length == "true" else length))
        for name, value in (("ETag", tag), ("Last-Modified", date)):
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[:stop])
        handler.wfile.flush()
        time.sleep(stall)

    return answer


def says(code: int, location: str | None = None) -> Answer:
    """Answer with a status alone."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def library(files: dict[str, bytes]) -> Answer:
    """Answer as an honest server that holds these files."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.removeprefix("/")
        (sends(files[name]) if name in files else says(404))(handler)

    return answer


# ---- archives -----------------------------------------------------------------------------------


def zipped(members: dict[str, bytes]) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stored.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stored.getvalue()


def photo(seed: int, size: tuple[int, int] = (6, 9)) -> bytes:
    """Give a JPEG, H x W, different for each seed."""
    stored = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stored, "JPEG")
    return stored.getvalue()


def mask(values: np.ndarray, palette: bool = False) -> bytes:
    stored = io.BytesIO()
    image = Image.fromarray(values.astype(np.uint8))
    if palette:
        image.putpalette([value for value in range(256) for _ in range(3)])
    image.save(stored, "PNG")
    return stored.getvalue()


def drawn(seed: int, values: tuple[int, ...], size: tuple[int, int] = (6, 9)) -> np.ndarray:
    return np.random.default_rng(100 + seed).choice(values, size).astype(np.uint8)


def matlab(labels: np.ndarray) -> bytes:
    """Give a .mat file as CrackForest's are: a struct groundTruth with the fields Segmentation and Boundaries."""
    from scipy.io import savemat

    stored = io.BytesIO()
    savemat(stored, {"groundTruth": {"Segmentation": labels.astype(np.uint16), "Boundaries": labels == 2}})
    return stored.getvalue()


class Made:
    """A data set of few pairs: the archives in the official layout, and what must come out of them."""

    def __init__(self) -> None:
        self.archives: dict[str, bytes] = {}
        self.pairs: dict[str, int] = {}
        self.images: dict[str, bytes] = {}  # by place in our layout
        self.masks: dict[str, np.ndarray] = {}


def made(name: str) -> Made:
    """Make a small copy of one of the sets."""
    return {
        "voc2012": _voc,
        "crack/DeepCrack": _deepcrack,
        "crack/CFD": _cfd,
        "sod/ECSSD": _ecssd,
        "sod/DUTS": _duts,
    }[name]()


def _voc() -> Made:
    here, top, inside = Made(), "VOCdevkit/VOC2012", {}
    lists = {"train": ["2007_000032", "2008_000008", "2011_003276"], "val": ["2007_000033", "2010_000002"]}
    for split, ids in (*lists.items(), ("trainval", sorted(sum(lists.values(), [])))):
        inside[f"{top}/ImageSets/Segmentation/{split}.txt"] = ("\n".join(ids) + "\n").encode()
    for seed, stem in enumerate(sum(lists.values(), [])):
        here.images[f"JPEGImages/{stem}.jpg"] = inside[f"{top}/JPEGImages/{stem}.jpg"] = photo(seed)
        values = here.masks[f"SegmentationClass/{stem}.png"] = drawn(seed, (0, 1, 15, 20, 255))
        inside[f"{top}/SegmentationClass/{stem}.png"] = mask(values, palette=True)
    # What the real archive holds besides, and we leave there.
    inside[f"{top}/JPEGImages/2012_004331.jpg"] = photo(77)
    inside[f"{top}/SegmentationObject/2007_000032.png"] = mask(drawn(78, (0, 1)))
    inside[f"{top}/Annotations/2007_000032.xml"] = b"<annotation/>"
    inside[f"{top}/ImageSets/Main/train.txt"] = b"2012_004331\n"
    here.archives = {"VOCtrainval_11-May-2012.tar": tarred(inside)}
    here.pairs = {split: len(ids) for split, ids in lists.items()}
    return here


def _deepcrack() -> Made:
    here, inside = (
        Made(),
        {"README.md": b"terms", "__MACOSX/train_img/._11125-1.jpg": b"\0", "train_img/.DS_Store": b""},
    )
    for seed, (split, stem) in enumerate((("train", "11125-1"), ("train", "7Q3A9060-16"), ("test", "11215-5"))):
        here.images[f"{split}/images/{stem}.jpg"] = inside[f"{split}_img/{stem}.jpg"] = photo(seed)
        values = here.masks[f"{split}/masks/{stem}.png"] = drawn(seed, (0, 255))
        inside[f"{split}_lab/{stem}.png"] = mask(values)
    here.archives, here.pairs = {"DeepCrack.zip": zipped(inside)}, {"train": 2, "test": 1}
    return here


def _cfd() -> Made:
    here, top = Made(), "CrackForest-dataset-ed57c2d96754e6c7d105805cd29aeeb3a799f267"
    inside = {f"{top}/README.md": b"terms", f"{top}/image/201.jpg": photo(201)}  # 201 has no ground truth
    for number in range(1, 10):
        stem, split = f"{number:03}", "test" if number in (4, 8) else "train"
        here.images[f"{split}/images/{stem}.jpg"] = inside[f"{top}/image/{stem}.jpg"] = photo(number)
        labels = drawn(number, (1, 2, 3, 4))
        here.masks[f"{split}/masks/{stem}.png"] = np.where((labels == 2) | (labels == 4), 255, 0).astype(np.uint8)
        inside[f"{top}/groundTruth/{stem}.mat"] = matlab(labels)
    here.archives, here.pairs = {"CrackForest-dataset.zip": zipped(inside)}, {"train": 7, "test": 2}
    return here


def _ecssd() -> Made:
    here, images, masks = Made(), {}, {}
    for seed, stem in enumerate(("0001", "0002", "0557")):
        here.images[f"images/{stem}.jpg"] = images[f"images/{stem}.jpg"] = photo(seed)
        values = here.masks[f"masks/{stem}.png"] = drawn(seed, (0, 255))
        masks[f"ground_truth_mask/{stem}.png"] = mask(values)
    here.archives = {"images.zip": zipped(images), "ground_truth_mask.zip": zipped(masks)}
    here.pairs = {"": 3}
    return here


def _duts() -> Made:
    here = Made()
    for short, split, stems in (
        ("TR", "train", ("ILSVRC2012_test_00000004", "n01532829_13482")),
        ("TE", "test", ("sun_abc",)),
    ):
        inside = {}
        for seed, stem in enumerate(stems):
            top = f"DUTS-{short}/DUTS-{short}"
            here.images[f"{split}/images/{stem}.jpg"] = inside[f"{top}-Image/{stem}.jpg"] = photo(seed)
            values = here.masks[f"{split}/masks/{stem}.png"] = drawn(seed, (0, 255))
            inside[f"{top}-Mask/{stem}.png"] = mask(values)
        here.archives[f"DUTS-{short}.zip"] = zipped(inside)
        here.pairs[split] = len(stems)
    return here


def write(archives: dict[str, bytes], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in archives.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in archives]

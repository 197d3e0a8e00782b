"""From a checkpoint to photographs: what a trained network sees in them (Chapters 06, 07 and 09).

    segment("street.jpg", "runs/fcn/checkpoint.pt").overlay          uint8 (3, H, W)
    python -m chapters_code.predict street.jpg --checkpoint runs/fcn/checkpoint.pt --out answers

`predict_tiled`, which both are built on, is in `tiles` and can be had from here, too.
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from numbers import Real
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from chapters_code.checks import Size, check_pair
from chapters_code.data.loading import Normalise
from chapters_code.data.pictures import check_picture, read_picture, write_mask, write_picture
from chapters_code.outputs import ask, device, device_of, evaluation_mode, need_function
from chapters_code.overlay import Answer
from chapters_code.tiles import predict_tiled, strips
from chapters_code.train.checkpoints import Trained, load_network

__all__ = ["Answer", "main", "predict_tiled", "segment"]

ALIGN = 32  # the total stride of the book's networks: the deepest halve five times
TILE = 1024  # pixels: some hundred megabytes for the book's networks
_ENDINGS = ("-labels.png", "-overlay.png")  # of what the command line writes


def segment(
    photo: str | Path | Tensor,
    checkpoint: str | Path | Trained,
    *,
    tile: Size | None = None,
    overlap: Size | None = None,
    threshold: float | None = None,
    progress: bool = False,
) -> Answer:
    """Ask a trained network what is in a photograph, of any size.

    The photograph is prepared as in the network's training, and goes through it in tiles that are joined by Hann's
    bell.  Of the logits only a row of tiles is ever held.  A network that was trained on pictures of one size (a recipe
    with `resize`, as U²-Net's) sees the whole photograph at that size instead.

    Args:
        photo: A file that Pillow reads, turned upright as its EXIF note says; or a picture, uint8 (3, H, W).
        checkpoint: What `train` left behind, `checkpoint.pt`; or, to read it once for many photographs, what
            `checkpoints.load_network` made of it.  The network computes on this machine's GPU if it has one; a loaded
            one stays where it is.
        tile: Side of a tile in pixels, or (height, width), multiples of 32; 1024 by default.
        overlap: Pixels that neighbours share, or (height, width); a quarter of a tile by default.
        threshold: For a yes-or-no question (cracks, salient things): the probability from which a pixel counts, 0.5 by
            default.  For classes: pixels whose class is less probable than this stay background; by default each gets
            its most probable class.
        progress: Show a bar that counts tiles.

    Raises:
        OSError: A file is missing or may not be read.
        ValueError: A file is no picture or no checkpoint, a setting is not legal, or the network's maps do not fit.
    """
    if not isinstance(photo, str | Path | Tensor):
        raise ValueError(
            f"photo must be a file or a tensor, got {type(photo).__name__}: of a NumPy array (H, W, 3) take"
            " torch.from_numpy(array).permute(2, 0, 1)"
        )
    if not isinstance(checkpoint, str | Path | Trained):
        raise ValueError(
            f"checkpoint must be a file or what checkpoints.load_network gave, got {type(checkpoint).__name__}:"
            " another network goes in by trained._replace(network=...)"
        )
    trained = checkpoint
    if not isinstance(checkpoint, Trained):
        trained = load_network(checkpoint)
        trained.network.to(device())
    _check(trained, tile, overlap, threshold)
    image = photo if isinstance(photo, Tensor) else read_picture(photo)
    check_picture(image)
    need_function(trained.network)
    labels, probability = torch.empty(image.shape[-2:], dtype=torch.int64), torch.empty(image.shape[-2:])
    for rows, maps in _logits_of(image, trained, tile, overlap, progress):
        labels[rows], probability[rows] = _decided(maps[0], trained, threshold)
    return Answer(image, labels, probability, trained.classes)


def _logits_of(
    image: Tensor, trained: Trained, tile: Size | None, overlap: Size | None, progress: bool
) -> Iterator[tuple[slice, Tensor]]:
    """Return the logits of a photograph, uint8 (3, H, W), strip by strip as `strips` does."""
    normalise, resize = Normalise(reuse=True), trained.recipe.resize
    if resize is not None:
        with evaluation_mode(trained.network), torch.inference_mode():
            pictures = normalise(image[None].to(device_of(trained.network, image)))
            yield slice(0, image.shape[1]), ask(trained.network, pictures, resize).float().cpu()
        return
    tile, overlap = _tiles(tile, overlap)

    # Bytes are cut, and each tile is normalised by itself: as floats the photograph would take four times the memory.
    def network(cut: Tensor) -> Tensor:
        return trained.network(normalise(cut.to(home)))

    home = device_of(trained.network, image)
    with evaluation_mode(trained.network):
        yield from strips(network, image[None], tile, overlap, (0, 0), (ALIGN, ALIGN), "hann", 1, progress)


def _tiles(tile: Size | None, overlap: Size | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return tile and overlap as pairs, the default in the place of None."""
    tile = check_pair("tile", TILE if tile is None else tile)
    return tile, tuple(side // 4 for side in tile) if overlap is None else check_pair("overlap", overlap, 0)


def _check(trained: Trained, tile: Size | None, overlap: Size | None, threshold: float | None) -> None:
    """Say what is wrong with the settings, before any photograph is read."""
    if threshold is not None and not (isinstance(threshold, Real) and 0 <= threshold <= 1):
        raise ValueError(f"threshold must be a probability, 0 to 1, got {threshold!r}")
    resize = trained.recipe.resize
    if resize is not None and (tile, overlap) != (None, None):
        raise ValueError(
            f"this network was trained on whole pictures of {resize[0]} × {resize[1]} pixels, and sees the"
            " photograph like that: leave tile and overlap out"
        )
    for side, shared in zip(*_tiles(tile, overlap), strict=True):
        if side % ALIGN:
            raise ValueError(f"tile must be a multiple of {ALIGN}, got {side}: take {-(-side // ALIGN) * ALIGN}")
        if shared > side - ALIGN:
            raise ValueError(
                f"overlap must be at least {ALIGN} smaller than tile, got overlap {shared} and tile {side}: take a"
                " smaller overlap or a larger tile"
            )


def _decided(maps: Tensor, trained: Trained, threshold: float | None) -> tuple[Tensor, Tensor]:
    """Make class numbers and probabilities, both (rows, W), of logits (K, rows, W)."""
    many = trained.recipe.task == "classes"
    if len(maps) != (len(trained.classes) if many else 1):
        raise ValueError(
            f"the network gives {len(maps)} maps, but a network for {trained.recipe.task}, {len(trained.classes)}"
            f" classes, gives {len(trained.classes) if many else 1}: is the checkpoint of another network?"
        )
    if maps.isnan().any():
        raise ValueError("the network answers with NaN: its training went wrong, take an earlier checkpoint")
    if not many:
        probability = maps[0].sigmoid()
        return (probability >= (0.5 if threshold is None else threshold)).long(), probability
    probability, labels = maps.softmax(0).max(0)
    return labels * (probability >= (threshold or 0)), probability


# ---- the command line --------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask a trained network about photographs from the shell; `--help` says how.  Return the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        photos = _named_apart(_photographs(asked.photos))
        trained = load_network(asked.checkpoint)
        trained.network.to(device())
        settings = {"tile": asked.tile, "overlap": asked.overlap, "threshold": asked.threshold}
        _check(trained, **settings)
        asked.out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return _failed(f"{asked.out} is or lies in a file, and the answers need a folder: name another one")
    except (ValueError, OSError) as error:
        return _failed(str(error))
    warnings.filterwarnings("ignore", module="PIL")  # what Pillow mutters about a file that it reads all the same
    print(f"{trained.name}: {len(photos)} photograph{'s' * (len(photos) != 1)}, answers in {asked.out}")
    bad = []
    for name, photo in photos.items():
        try:
            print(f"{photo.name}: {_answered(photo, name, trained, asked.out, **settings)}", flush=True)
        except (ValueError, OSError, MemoryError) as error:
            # One bad file does not stop the others.
            bad.append(photo)
            print(f"{photo.name}: NOT DONE. {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            return _failed("stopped; what is written is whole", 130)
    if bad:
        return _failed(f"{len(bad)} of {len(photos)} not done: {', '.join(map(str, bad))}")
    return 0


def _answered(photo: Path, name: str, trained: Trained, out: Path, **settings: object) -> str:
    """Write the label map and the overlay of a photograph, and say in words what was found."""
    labels, laid_over = (out / f"{name}{ending}" for ending in _ENDINGS)
    for path in (labels, laid_over):
        if path.exists():
            raise FileExistsError(f"{path} exists already: name another folder, or move it away")
    answer = segment(photo, trained, progress=sys.stderr.isatty(), **settings)
    write_picture(laid_over, answer.overlay)
    write_mask(labels, answer.labels)
    height, width = answer.labels.shape
    found = ", ".join(f"{one} {share:.1%}" for one, share in answer.shares.items() if share >= 0.0005)
    return f"{height} × {width} pixels; {found}"


def _photographs(named: Sequence[Path]) -> list[Path]:
    """List the files that were named, and the pictures in the folders that were named.

    Raises:
        FileNotFoundError: There is no such file or folder, or a folder holds no picture; answers of an earlier run do
            not count.
    """
    endings = Image.registered_extensions()
    found = []
    for path in named:
        if path.is_dir():
            inside = [one for one in sorted(path.iterdir()) if one.suffix.lower() in endings and one.is_file()]
            inside = [one for one in inside if not one.name.startswith(".") and not one.name.endswith(_ENDINGS)]
            if not inside:
                raise FileNotFoundError(f"the folder {path} holds no picture: name one that does, or the files")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"there is no file or folder {path}")
    return found


def _named_apart(photos: Sequence[Path]) -> dict[str, Path]:
    """Return each photograph a name for its answers: its own without the ending, or with it where two would be alike.

    Raises:
        ValueError: Two photographs of different folders have one name.
    """
    photos = list({photo.resolve(): photo for photo in photos}.values())  # each file once
    alike = Counter(photo.stem for photo in photos)
    found: dict[str, Path] = {}
    for photo in photos:
        name = photo.name if alike[photo.stem] > 1 else photo.stem
        if name in found:
            raise ValueError(f"{found[name]} and {photo} have one name, and so would their answers: run them apart")
        found[name] = photo
    return found


def _failed(message: str, status: int = 1) -> int:
    print(f"{_parser().prog}: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chapters_code.predict",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Ask a trained network what is in photographs of any size.",
        epilog="""for each photograph, NAME.jpg, it writes two pictures of the same size:
  NAME-labels.png    class numbers, a palette PNG: 0 is the background
  NAME-overlay.png   the answer over the photograph, to look at

where two photographs differ in their ending alone, it stays in the name

a photograph that cannot be read or answered is named at the end, and the exit status is 1""",
    )
    parser.add_argument(
        "photos", nargs="+", type=Path, metavar="PHOTO", help="files that Pillow reads, or folders of them"
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, metavar="FILE", help="checkpoint.pt of a run of chapters_code.train"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the answers")
    parser.add_argument("--tile", type=int, metavar="N", help=f"side of a tile, a multiple of 32 (default: {TILE})")
    parser.add_argument(
        "--overlap", type=int, metavar="N", help="pixels that tiles share (default: a quarter of a tile)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="0 to 1: from which probability on a pixel counts (default: 0.5; with classes the most probable one)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

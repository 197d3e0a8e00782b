"""Predict a picture of any size, tile by tile (Chapters 06 and 09).

A large picture does not fit on the GPU.  So it is cut into tiles that overlap, each tile goes through the network by
itself, and the maps are laid side by side again; where tiles overlap, their logits are averaged.

    image (N, C, H, W)  --tiles (b, C, h, w)-->  model  --logits (b, K, h, w)-->  logits of the whole (N, K, H, W)

Is the result the one of the whole picture?  Near an inner edge a tile sees padding where the picture goes on, so there
it is not.  But let each output pixel depend on nothing farther than r pixels away.  Then, away from its inner edges by
r or more, a tile sees all that matters, and its numbers *are* those of the whole picture.  `margin=r` uses only these,
and the whole map is exact, up to the rounding of sums: at the picture's own border a tile ends where the picture ends,
and is padded as the whole is.  Two things must hold:

* The network is the same everywhere.  One that halves the picture, in all by a factor s, treats even and odd places
  differently; it does the same for tiles that start at multiples of s, which is what `align=s` is for.
* It looks at neighbourhoods only.  Pooling over the whole picture (ASPP's image branch, squeeze-and-excite, instance
  norm) sees another picture in each tile; so does resizing to a given size, where sides are not multiples of s.

Where they do not hold, no margin helps, and overlap only hides the seams.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from chapters_code.checks import Size, check_choice, check_floating_point, check_integer, check_pair, check_pictures
from chapters_code.outputs import device_of, evaluation_mode, logits, need_function

__all__ = ["predict_tiled", "strips"]

_BYTES = 20  # no normalised number is larger, and the bytes of a picture are


def predict_tiled(
    model: Callable,
    image: Tensor,
    tile: Size,
    overlap: Size,
    *,
    window: str = "mean",
    margin: Size = 0,
    align: Size = 1,
    batch_size: int = 1,
    progress: bool = False,
) -> Tensor:
    """Return a network's logits for a whole picture, with only one batch of tiles on the device at a time.

    Tiles start at 0 and move on by tile − overlap, rounded down to a multiple of `align`.  The last one of each row and
    column ends at the picture's border; it starts on a multiple of `align`, too, and so may be larger by up to
    align − 1 pixels.  A side no longer than the tile is not cut.

    The model runs in evaluation mode and without gradients; afterwards each of its parts is in the mode it was in.

    Args:
        model: A network, or any function, that takes (b, C, h, w) and gives maps of the same h and w; of several
            outputs, `outputs.logits` chooses.  Tiles are brought to its weights.  A function shows none: it gets them
            where `image` is, and is called in the mode that it is in.
        image: Floating point, (N, C, H, W) or (C, H, W), prepared as in training, on any device.
        tile: Side of a tile in pixels, or (height, width); a multiple of `align`.
        overlap: Pixels that neighbours share at least, or (height, width).
        window: How tiles that overlap are averaged. "mean": all alike; "hann": by Hann's bell, so that a tile counts
            most at its middle and fades to its edges, and no seam is seen.
        margin: Pixels at a tile's inner edges that are not used, or (height, width); at most half of `overlap`.
        align: Tiles start at multiples of this, or (height, width): the network's total stride.
        batch_size: Tiles that go through the model at once.
        progress: Show a bar that counts tiles.

    Returns:
        (N, K, H, W), or (K, H, W) for a picture without N, on the CPU; float64 where the model gives that, else
        float32.  Memory beside it is bounded by the tile.  With a margin of at least the receptive field's radius it
        equals `logits(model(image))`, on the conditions that this module's head names.

    Raises:
        ValueError: The picture has another rank or dtype, no pixels, NaN or infinite values; a setting is not legal;
            the model cannot be called, or its maps have another size than its input.

    Warns:
        UserWarning: The picture holds numbers as large as bytes: it was probably not normalised.
    """
    need_function(model)
    check_pictures(image, "image")
    check_floating_point(image, "image")
    if not image.numel():
        raise ValueError(f"image must be one picture or more, got shape {tuple(image.shape)}")
    largest = max(abs(extreme.item()) for extreme in image.aminmax())  # a mask of it all would cost memory
    if not math.isfinite(largest):
        raise ValueError("image holds NaN or infinite values, which would spread over the map: mend it first")
    check_choice("window", window, ("mean", "hann"))
    check_integer("batch_size", batch_size, 1)
    if largest > _BYTES:
        warnings.warn(
            f"image holds numbers up to {largest:.0f}, as bytes are: the book's networks take what"
            " data.loading.Normalise makes of bytes, numbers around 0",
            stacklevel=2,
        )

    pictures = image if image.dim() == 4 else image[None]
    whole = None  # made when the first maps say how many channels there are, and of which dtype
    settings = (check_pair("tile", tile), check_pair("overlap", overlap, 0), check_pair("margin", margin, 0))
    for rows, maps in strips(model, pictures, *settings, check_pair("align", align), window, batch_size, progress):
        if whole is None:
            whole = maps.new_zeros(*maps.shape[:2], *pictures.shape[-2:])
        whole[..., rows, :] = maps
    return whole if image.dim() == 4 else whole[0]


class _Span(NamedTuple):
    """One tile along one side of the picture."""

    read: slice  # what the model sees, in pixels of the picture
    write: slice  # what is kept of it: `read` without the margins
    weight: Tensor  # float64, of the pixels in `write`; over all spans the weights of a pixel add up to 1

    @property
    def used(self) -> slice:
        """`write`, counted from the tile's own first pixel."""
        return slice(self.write.start - self.read.start, self.write.stop - self.read.start)


def _spans(size: int, tile: int, overlap: int, margin: int, align: int, window: str) -> list[_Span]:
    """Cut one side of `size` pixels into tiles; the arguments are those of `predict_tiled`, for this side."""
    if tile % align:
        raise ValueError(f"tile must be a multiple of align, got tile {tile}, align {align}")
    if overlap >= tile:
        raise ValueError(f"overlap must be smaller than tile, got overlap {overlap}, tile {tile}")
    if 2 * margin > overlap:
        raise ValueError(
            f"margin must be at most half of overlap, or gaps remain; got margin {margin}, overlap {overlap}:"
            f" take overlap {2 * margin} or more"
        )
    step = (tile - overlap) // align * align
    if not step:
        raise ValueError(
            f"tile − overlap must be at least align, got {tile} − {overlap} and align {align}:"
            " take a larger tile or a smaller overlap"
        )
    last = max(size - tile, 0) // align * align
    reads = [slice(start, start + tile) for start in range(0, last, step)] + [slice(last, size)]
    writes = [
        slice(read.start + (margin if read.start else 0), read.stop - (margin if read.stop < size else 0))
        for read in reads
    ]
    weights = [_window(write.stop - write.start, window) for write in writes]
    # A tile's weight is its row's times its column's, so each side can be made to add up to 1 by itself.
    total = torch.zeros(size, dtype=torch.float64)
    for write, weight in zip(writes, weights, strict=True):
        total[write] += weight
    return [
        _Span(read, write, weight / total[write]) for read, write, weight in zip(reads, writes, weights, strict=True)
    ]


def _window(length: int, window: str) -> Tensor:
    if window == "mean":
        return torch.ones(length, dtype=torch.float64)
    # Hann's bell, taken at the middle of each pixel: at the pixels' edges it would be 0 first and last.
    return torch.sin(torch.pi * (torch.arange(length, dtype=torch.float64) + 0.5) / length) ** 2


def strips(
    model: Callable,
    pictures: Tensor,
    tile: tuple[int, int],
    overlap: tuple[int, int],
    margin: tuple[int, int],
    align: tuple[int, int],
    window: str,
    batch_size: int,
    progress: bool,
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the map from the top down, strip by strip: rows, and their logits (N, K, rows, W), on the CPU.

    A strip comes as soon as no further tile adds to it.  So whoever makes class numbers of it never holds the logits
    of more than one row of tiles.  `pictures` is (N, C, H, W) of any dtype that the model takes.
    """
    settings = zip(pictures.shape[-2:], tile, overlap, margin, align, strict=True)
    rows, columns = (_spans(*setting, window) for setting in settings)
    places = list(itertools.product(range(len(pictures)), columns))
    device = device_of(model, pictures)
    with evaluation_mode(model), tqdm(total=len(places) * len(rows), unit="tile", disable=not progress) as bar:
        pending, top = None, 0  # what later tiles may add to, and its first row
        for number, row in enumerate(rows):
            grown = None
            for batch in _batches(places, batch_size):
                cut = torch.stack([pictures[n, :, row.read, column.read] for n, column in batch])
                maps = _run(model, cut.to(device))
                if grown is None:
                    grown = maps.new_zeros(len(pictures), maps.shape[1], row.write.stop - top, pictures.shape[-1])
                    if pending is not None:
                        grown[:, :, : pending.shape[2]] = pending
                for one, (n, column) in zip(maps, batch, strict=True):
                    weight = torch.outer(row.weight, column.weight).to(maps.dtype)
                    grown[n, :, row.write.start - top :, column.write] += weight * one[:, row.used, column.used]
                bar.update(len(batch))
            bottom = rows[number + 1].write.start if number + 1 < len(rows) else row.write.stop
            yield slice(top, bottom), grown[:, :, : bottom - top]
            pending, top = grown[:, :, bottom - top :], bottom


def _batches(places: list[tuple[int, _Span]], batch_size: int) -> Iterator[list[tuple[int, _Span]]]:
    """Yield the tiles of a row in batches of equal size: those of the last column may be wider than the others."""

    def width(place: tuple[int, _Span]) -> int:
        return place[1].read.stop - place[1].read.start

    for _, alike in itertools.groupby(sorted(places, key=width), key=width):
        while batch := list(itertools.islice(alike, batch_size)):
            yield batch


def _run(model: Callable, cut: Tensor) -> Tensor:
    """Return the logits of one batch of tiles on the CPU, float64 or float32."""
    with torch.inference_mode():
        maps = logits(model(cut))
        if maps.dim() != 4 or len(maps) != len(cut) or maps.shape[-2:] != cut.shape[-2:]:
            raise ValueError(
                f"the model must give maps (N, K, H, W) of its input's N, H and W, got {tuple(maps.shape)} for an input"
                f" {tuple(cut.shape)}: let it resize or crop its output"
            )
        return maps.to("cpu", torch.float64 if maps.dtype == torch.float64 else torch.float32)

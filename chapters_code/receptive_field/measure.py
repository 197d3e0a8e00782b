"""Follow the marks back to the picture, and measure where they come out."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from chapters_code.checks import check_integer, check_pair
from chapters_code.receptive_field.rules import rule_of
from chapters_code.receptive_field.tape import Network, Tape

__all__ = ["Field", "Fields", "chosen_pixel", "receptive_field", "receptive_field_of_stack"]

# A picture is surrounded by more picture until the field fits; one that does not fit into this has gone astray.
_LARGEST_SIDE = 4096
# What is halved five times, or strided as much in all, repeats after so many pixels; eight times, after so many.
_SHORTEST_PERIOD, _LONGEST_PERIOD = 32, 256


class Field(NamedTuple):
    """The receptive field of one output pixel; pairs are (rows, columns), in pixels of the input."""

    size: tuple[int, int]
    """Sides of the box around all touched pixels, as if the picture went on in all directions."""
    stride: tuple[float, float]
    """How far the box moves from one output pixel to the next."""
    start: tuple[int, int]
    """First row and column of the first output pixel's box; negative where it begins in the padding."""
    touched: Tensor
    """Bool, (H, W): the pixels of this very picture that can change the output pixel; none is missed."""


class Fields:
    """The receptive fields of a module: recorded once, walked back for as many output pixels as you like.

    The module counts as it is in evaluation mode, and is left as it was.  Of several outputs the first counts, of a
    dictionary the entry "out".  An output without H and W, such as a classifier's scores, counts as one pixel.

    Args:
        module: A layer, a network, or a function of one picture.
        input_size: Side of the picture in pixels, or (H, W).
        in_channels: Channels of the picture; None asks the module's first layer that says it, and takes 1 if none does.
        statistics: Count the means and variances that group, layer and instance norm take over the picture, which
            touch all of it; False takes them as given, as most published sizes do.

    Attributes:
        input_size: (H, W) of the picture.
        output_size: (H', W') of the output.

    Raises:
        ValueError: A setting is not legal, or the module cannot be copied or does not run on such a picture.

    Example:
        >>> fields = Fields(torch.nn.Conv2d(1, 1, 3, stride=2, padding=1), (6, 8))
        >>> fields.output_size
        (3, 4)
        >>> [fields.at(row, 0).touched.sum().item() for row in range(3)]
        [4, 6, 6]
    """

    def __init__(
        self,
        module: Callable[[Tensor], Any],
        input_size: int | tuple[int, int],
        *,
        in_channels: int | None = None,
        statistics: bool = True,
    ) -> None:
        self.input_size = check_pair("input_size", input_size)
        self._record = partial(Tape, Network(module, in_channels), statistics)
        self._tape = self._record(self.input_size)
        self.output_size = self._tape.out_size

    def at(self, row: int, column: int) -> Field:
        """Find the pixels that can change one pixel of the output.

        Returns:
            `touched` is that of this picture, with its borders.  `size`, `stride` and `start` are those of an unlimited
            picture.  A module that always uses the whole picture (global pooling, group norm) has none of its own:
            then they are those of this picture.  The same holds for one that runs on this size alone.  Where a network
            doubles what it has halved, `size` is that of the chosen pixel and `stride` the mean step.

        Raises:
            ValueError: The pixel is not in the output, the module calls an operator that has no rule in `RULES`, or the
                field does not fit into any picture that we try.
        """
        pixel = chosen_pixel((row, column), self.output_size)
        marks = _walk(self._tape, pixel)
        try:
            surroundings = self._surroundings
        except ValueError:
            if not marks.touched.all():
                raise
            surroundings = None
        if surroundings is None:
            return Field(marks.size, *self._moves_here, marks.touched)
        whole = _walk(surroundings.tape, _pair(surroundings.first + pixel))
        return Field(whole.size, surroundings.stride, surroundings.start, marks.touched)

    @cached_property
    def _moves_here(self) -> tuple[tuple[float, float], tuple[int, int]]:
        """Stride and start in this very picture."""
        last = _pair(np.array(self.output_size) - 1)
        near, far = (_walk(self._tape, pixel).begin for pixel in ((0, 0), last))
        return _step(far - near, last), _pair(near)

    @cached_property
    def _surroundings(self) -> "_Surroundings | None":
        """The picture with more picture around it; None if the module has no other numbers than here."""
        period = _SHORTEST_PERIOD
        found = self._surrounded(period)
        while found is not None and not found.steady and period < _LONGEST_PERIOD:
            period *= 2
            found = self._surrounded(period)
        return found

    def _surrounded(self, period: int) -> "_Surroundings | None":
        """Surround the picture by more picture, until no border cuts the fields of the pixels in the middle.

        Args:
            period: Sides are rounded up to a multiple of it, so that they can be halved five times, or more for a
                longer period, and doubling leads back to each size on the way.
        """
        block = -(-np.array(self.input_size) // period) * period
        try:
            once, twice = (self._record(_pair(times * block)) for times in (1, 2))
        except ValueError:
            return None  # it runs on pictures of the given size only
        count = np.subtract(twice.out_size, once.out_size)  # output pixels of a block
        if not count.all():
            return None  # its output has always the same size
        reduced = _walk(self._tape, (0, 0), self.output_size).reduced
        pixels = _pair(np.maximum(count, self.output_size))
        margin = max(block)  # of more picture, on each side
        while 2 * margin <= _LARGEST_SIDE:
            around = -(-margin // block)  # blocks before the one that is looked at
            tape, first = self._record(_pair((2 * around + 2) * block)), around * count
            # Where does this block begin to look, where the one behind it, and where the one before it?
            near = _walk(tape, _pair(first), pixels)
            if near.reduced > reduced:
                return None  # the more picture there is, the more it takes into one number
            far = near if near.cut else _walk(tape, _pair(first + count), pixels)
            if not far.cut:
                moved = far.begin - near.begin
                # On a way down that is longer than a block, it moves on now more, now less.
                steady = (moved == block).all() or (
                    moved == near.begin - _walk(tape, _pair(first - count), pixels).begin
                ).all()
                stride = _step(moved, count)
                return _Surroundings(tape, first, stride, _pair(np.rint(near.begin - first * stride)), bool(steady))
            margin *= 2
        raise ValueError(f"the field is cut even in a picture of {_LARGEST_SIDE} pixels; its size cannot be told")


class _Surroundings(NamedTuple):
    """A picture so large that no border cuts the fields in its middle."""

    tape: Tape
    first: np.ndarray  # the pixel of its output that was the output's first
    stride: tuple[float, float]
    start: tuple[int, int]
    steady: bool  # the fields move on as much from each block to the next


def receptive_field(
    module: Callable[[Tensor], Any],
    input_size: int | tuple[int, int],
    pixel: tuple[int, int] | None = None,
    *,
    in_channels: int | None = None,
    statistics: bool = True,
) -> Field:
    """Find the pixels that can change one pixel of a module's output.

    For many pixels of one module take `Fields`, which explains the other arguments and what comes out.

    Args:
        module: A layer, a network, or a function of one picture.
        input_size: Side of the picture in pixels, or (H, W).
        pixel: Row and column of the output pixel; None means the central one.
        in_channels: As in `Fields`.
        statistics: As in `Fields`.

    Returns:
        What `Fields(module, input_size).at(*pixel)` does.

    Raises:
        ValueError: As in `Fields`.

    Example:
        >>> field = receptive_field(torch.nn.Conv2d(1, 1, 3, stride=2, padding=1), (6, 8))
        >>> field.size, field.stride, field.start
        ((3, 3), (2, 2), (-1, -1))
    """
    fields = Fields(module, input_size, in_channels=in_channels, statistics=statistics)
    return fields.at(*chosen_pixel(pixel, fields.output_size))


def receptive_field_of_stack(layers: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Sum up the field of layers that stand one after the other: 1 + Σ dilation·(kernel_size − 1)·stride before.

    Args:
        layers: (kernel_size, stride, dilation) of each layer, the first one first.

    Returns:
        Size and stride of the field in pixels, along one axis.  Equals `receptive_field` of these layers.

    Raises:
        ValueError: A layer is not three integers of 1 or more.

    Example:
        >>> receptive_field_of_stack([(3, 1, 1), (3, 1, 2), (3, 1, 5)])
        (17, 1)
    """
    size = stride = 1
    for layer in layers:
        if not isinstance(layer, Sequence) or len(layer) != 3:
            raise ValueError(f"a layer is (kernel_size, stride, dilation), got {layer!r}")
        kernel, step, dilation = (check_integer("each number of a layer", number, 1) for number in layer)
        size += dilation * (kernel - 1) * stride
        stride *= step
    return size, stride


def chosen_pixel(pixel: tuple[int, int] | None, size: Sequence[int]) -> tuple[int, int]:
    """Return the central pixel if none is chosen, or check the one that is.

    Raises:
        ValueError: It is not in an output of this size.
    """
    row, column = (side // 2 for side in size) if pixel is None else check_pair("pixel", pixel, 0, single=False)
    if row >= size[0] or column >= size[1]:
        raise ValueError(f"pixel must lie in the output, which is {size[0]} × {size[1]} pixels, got {(row, column)}")
    return row, column


class _Marks(NamedTuple):
    """Where a walk came out."""

    touched: Tensor  # bool, (H, W)
    outside: bool  # the picture's border cut the field
    reduced: int  # pixels that went into one, at most

    def lines(self) -> list[list[int]]:
        """List the touched rows, and the touched columns."""
        return [self.touched.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0)]

    @property
    def begin(self) -> np.ndarray:
        """The first touched row and column; 0 if nothing is touched."""
        return np.array([lines[0] if lines else 0 for lines in self.lines()])

    @property
    def size(self) -> tuple[int, int]:
        """Sides of the box around all touched pixels."""
        return _pair(lines[-1] - lines[0] + 1 if lines else 0 for lines in self.lines())

    @property
    def cut(self) -> bool:
        """Whether the border may have cut the field."""
        return self.outside or any(bool(rim.any()) for rim in (self.touched[[0, -1]], self.touched[:, [0, -1]]))


def _walk(tape: Tape, first: tuple[int, int], block: tuple[int, int] = (1, 1)) -> _Marks:
    """Mark output pixels, in all channels, and follow the marks back to the picture.

    Args:
        tape: What was called.
        first: Row and column of the first pixel.
        block: How many rows and columns of them.
    """
    mask = torch.ones((1,) * tape.out.dim(), dtype=torch.bool)
    if tape.out.dim() == 4:
        mask = torch.zeros(1, 1, *tape.out_size, dtype=torch.bool)
        mask[..., first[0] : first[0] + block[0], first[1] : first[1] + block[1]] = True
    marks = {id(tape.out): mask}
    outside, reduced = False, 1
    for call in reversed(tape.calls):
        masks = [marks.pop(id(out), None) for out in call.outputs]
        if all(mask is None for mask in masks):
            continue
        call.outside, call.reduced = False, 1
        for tensor, mask in rule_of(call)(call, *masks):
            if id(tensor) in tape.alive:
                marks[id(tensor)] = marks[id(tensor)] | mask if id(tensor) in marks else mask
        outside, reduced = outside or call.outside, max(reduced, call.reduced)
    nothing = torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    touched = marks.get(id(tape.x), nothing).expand(tape.x.shape)[0].any(dim=0)
    return _Marks(touched, outside, reduced)


def _step(moved: np.ndarray, count: Sequence[int]) -> tuple[float, float]:
    """Say how far the box moves from pixel to pixel, if it moves so far in so many pixels; whole if it is."""
    steps = (moved / np.maximum(1, count)).tolist()
    return tuple(int(step) if step.is_integer() else step for step in steps)


def _pair(numbers: Iterable[float]) -> tuple[int, int]:
    """Return two integers as Python's integers."""
    return tuple(int(number) for number in numbers)

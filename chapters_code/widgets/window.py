"""Window: pooling and convolution, one window at a time, with the sum being done (Chapters 01 and 02).

A window slides over a small road; each window gives one number.  The reader sets the sizes, steps through the output
cell by cell, draws a crack of their own, and edits the kernel of a convolution.

    values (H, W)  --max, mean or weighted sum of each window-->  output (H', W')        in 1-D the first row alone

Left out: what a phone could not show, that is more than 10 x 10 numbers; dilation; `ceil_mode`; channels and bias.
"""

import statistics
from decimal import ROUND_HALF_UP, Decimal

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.notebook import COLOURS, INK, PAPER
from chapters_code.shapes import conv_size, pool_size
from chapters_code.widgets.moving import Choice, Integer, MovingFigure, Setting, es_module

__all__ = ["ROAD", "Window"]

# Pavement 7, a dark crack 1 that is one pixel wide, and one bright spot 9.
ROAD = (
    (7, 7, 1, 7, 7, 9, 7, 7),
    (7, 7, 1, 7, 7, 7, 7, 7),
    (7, 7, 7, 1, 7, 7, 7, 7),
    (7, 7, 7, 1, 7, 7, 7, 7),
    (7, 7, 7, 7, 1, 7, 7, 7),
    (7, 7, 7, 7, 1, 7, 7, 7),
)

_LARGEST_SIDE, _LARGEST_KERNEL = 10, 5  # as in window.js
_DARKER_THAN_AROUND = ((1 / 8, 1 / 8, 1 / 8), (1 / 8, -1, 1 / 8), (1 / 8, 1 / 8, 1 / 8))
_POOLS = {
    "max": (functional.max_pool1d, functional.max_pool2d),
    "average": (functional.avg_pool1d, functional.avg_pool2d),
}


class Window(MovingFigure):
    """Max or average pooling, or a convolution, of a small picture, step by step.

    Args:
        values: The picture, (H, W) up to 10 x 10, as lists, an array or a tensor; or one row alone, (W,).
            Numbers between -1000 and 1000, kept with four decimals.  By default a road with a crack.
        dimensions: 2, or 1 to take the first row alone.
        kernel_size: Side of the window in pixels, 1 to 5; by default the side of `kernel` for a convolution, else 2.
        stride: Pixels from one window to the next, 1 to 4.
        padding: Pixels added on each side, 0 to 2, for pooling at most half of `kernel_size`:
            −∞ for max, else 0.
        operation: "max", "average" or "convolution".
        kernel: Weights of the convolution, (k, k) with k from 1 to 5, as lists, an array or a tensor, or with
            `dimensions=1` one row alone, (k,).  Kept like `values`; by default how much darker a pixel is than its
            eight neighbours.
        step: The output cell that is shown, counted from 0 in reading order.
        pavement: The number that a tap makes of a crack; by default the median of `values`.
        crack: The number that a tap makes of any other pixel; by default the smallest of `values`.

    Raises:
        ValueError: A setting is out of its range, `values` is no picture, or no window fits.

    Example:
        >>> Window([[7, 1, 7, 7], [7, 1, 7, 9]]).output
        tensor([[7., 9.]], dtype=torch.float64)
    """

    _esm = es_module("window.js")

    # The same limits as the sliders of window.js.
    values = Setting(lambda name, value: _rows(value))
    dimensions = Integer(1, 2)
    kernel_size = Integer(1, 5)
    stride = Integer(1, 4)
    padding = Integer(0, 2)
    operation = Choice("max", "average", "convolution")
    kernel = Setting(lambda name, value: _rows(value, name, _LARGEST_KERNEL))
    step = Integer(0)
    pavement = Setting(lambda name, value: _number(name, value))
    crack = Setting(lambda name, value: _number(name, value))

    def __init__(
        self,
        values=None,
        dimensions=2,
        kernel_size=None,
        stride=2,
        padding=0,
        operation="max",
        kernel=None,
        step=0,
        pavement=None,
        crack=None,
        **kwargs,
    ):
        values = _rows(ROAD if values is None else values)
        flat = [number for row in values for number in row]
        pavement = statistics.median_low(flat) if pavement is None else _number("pavement", pavement)
        if crack is None:
            crack = min(flat) if min(flat) < pavement else pavement - 1
        weights = _rows(_DARKER_THAN_AROUND if kernel is None else kernel, "kernel", _LARGEST_KERNEL)
        if len(weights) != len(weights[0]) and not (len(weights) == dimensions == 1):
            raise ValueError(
                f"kernel must be square, got {len(weights)} x {len(weights[0])}: fill it with zeros"
                + " (one row alone is a kernel with dimensions=1)" * (len(weights) == 1)
            )
        if kernel_size is None:
            kernel_size = len(weights[0]) if operation == "convolution" else 2
        elif kernel is not None and kernel_size != len(weights[0]):
            raise ValueError(f"kernel has {len(weights[0])} columns, got kernel_size={kernel_size!r}: leave it out")
        super().__init__(
            values=values,
            dimensions=dimensions,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            operation=operation,
            kernel=weights,
            step=step,
            pavement=pavement,
            crack=crack,
            **kwargs,
        )
        steps = self.output.numel()
        if self.step >= steps:
            raise ValueError(f"step must be below the {steps} cells of the output, got step={self.step}")

    @property
    def output(self) -> Tensor:
        """Pool or convolve the picture with PyTorch, for comparing with what the figure shows.

        Returns:
            (H', W') float64, or (W',) with `dimensions=1`.  Equals `torch.nn.functional.max_pool2d`,
            `avg_pool2d` or `conv2d` (in 1-D `max_pool1d`, `avg_pool1d` or `conv1d`) with their defaults.

        Raises:
            ValueError: The reader has chosen settings with which no window fits.
        """
        x = torch.tensor(self.values, dtype=torch.float64)
        if self.dimensions == 1:
            x = x[0]
        size_of = conv_size if self.operation == "convolution" else pool_size
        size_of(min(x.shape), self.kernel_size, self.stride, self.padding)  # refuses what does not fit
        if self.operation == "convolution":
            convolve = functional.conv2d if self.dimensions == 2 else functional.conv1d
            return convolve(x[None, None], self.weights[None, None], None, self.stride, self.padding)[0, 0]
        pool = _POOLS[self.operation][self.dimensions - 1]
        return pool(x[None, None], self.kernel_size, self.stride, self.padding)[0, 0]

    @property
    def weights(self) -> Tensor:
        """The weights of the convolution, which are `kernel`, cut or filled with zeros to `kernel_size`.

        Returns:
            (k, k) float64, or (k,) with `dimensions=1`, of which `kernel`'s first row is used.
        """
        kernel, side = torch.tensor(self.kernel, dtype=torch.float64), self.kernel_size
        weights = functional.pad(kernel, (0, side, 0, side))[:side, :side]
        return weights if self.dimensions == 2 else weights[0]

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        picture = f"{len(self.values)} × {len(self.values[0])} numbers"
        if self.dimensions == 1:
            picture = f"a row of {len(self.values[0])} numbers"
        side = self.kernel_size
        window = f"{side} × {side}" if self.dimensions == 2 else f"{side}"
        if self.operation == "convolution":
            rows = torch.atleast_2d(self.weights).tolist()
            weights = "; ".join(", ".join(f"{one:.6g}".replace("-", "−") for one in row) for row in rows)
            name, window = "Convolution", f"{window} with the weights {weights}"
        else:
            name = f"{self.operation.capitalize()} pooling"
        return (
            f"{name} of {picture}, one window at a time: window {window}, stride {self.stride}, padding {self.padding}."
        )

    def still(self) -> str:
        """Draw input, kernel and output side by side, the window and its output cell in a frame, as SVG text."""
        rows = self.values[: 1 if self.dimensions == 1 else None]
        try:
            results = torch.atleast_2d(self.output).tolist()
        except ValueError:  # a reader's settings that fit no window: the input stands alone
            results = []
        # One unit is one cell.  Around the input there is room for a window that starts in the padding.
        left, top = self.padding + 0.5, self.padding + 1
        right = left + len(rows[0]) + left
        kernel, middle = [], right
        if results and self.operation == "convolution":
            kernel = torch.atleast_2d(self.weights).tolist()
            right += len(kernel[0]) + 0.5
        width = right + (len(results[0]) + 0.5 if results else 0)
        height = top + max(len(rows), len(kernel)) + left

        numbers = [number for row in self.values for number in row]
        decimals = max(2, *(len(str(number).partition(".")[2]) for number in numbers))
        low, high = min(*numbers, self.crack), max(*numbers, self.pavement)
        drawn = [_title(left, top - self.padding, "input"), _cells(left, top, rows, low, high, decimals)]
        if results:
            row, column = divmod(min(self.step, self.output.numel() - 1), len(results[0]))
            down, tall = row * self.stride - self.padding, self.kernel_size
            if self.dimensions == 1:
                down, tall = 0, 1
            if kernel:
                drawn += [_title(middle, top - self.padding, "kernel"), _grid(middle, top, kernel, 4)]
            drawn += [
                _title(right, top - self.padding, "output" if kernel else f"{self.operation} pooling"),
                _grid(right, top, results, 2) if kernel else _cells(right, top, results, low, high, decimals),
                _frame(left + column * self.stride - self.padding, top + down, self.kernel_size, tall),
                _frame(right + column, top + row, 1, 1),
            ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
            f' width="{40 * width:g}" height="{40 * height:g}" font-family="sans-serif" font-size="0.4">'
            f'<rect width="100%" height="100%" rx="0.2" fill="{PAPER}"/>{"".join(drawn)}</svg>'
        )


def _rows(values, name: str = "values", most: int = _LARGEST_SIDE) -> list[list[int | float]]:
    """Make a picture, or a kernel, of any nested numbers: equal rows, 1 to `most` each way."""
    rows = values.tolist() if hasattr(values, "tolist") else values
    try:
        rows = [list(row) for row in rows] if hasattr(rows[0], "__len__") else [list(rows)]
    except (TypeError, IndexError, KeyError):
        raise ValueError(f"{name} must be rows of numbers such as [[7, 1], [7, 9]], got {values!r}") from None
    sides = {len(row) for row in rows}
    if len(sides) > 1:
        raise ValueError(f"all rows of {name} must be equally long, got rows of {sorted(sides)} numbers")
    if not 1 <= len(rows) <= most or not 1 <= len(rows[0]) <= most:
        raise ValueError(
            f"{name} must have 1 to {most} rows and columns, got {len(rows)} x {len(rows[0])}:"
            f" cut a piece out, as in x[:{most}, :{most}]"
        )
    return [[_number(name, number) for number in row] for row in rows]


def _number(name: str, value) -> int | float:
    """Round to what the figure shows, so that the number seen is the number used."""
    try:
        number = round(float(value), 4)
    except (TypeError, ValueError):
        more = " (give one channel alone, as in x[0, 0])" if hasattr(value, "__len__") else ""
        raise ValueError(f"{name} must hold plain numbers, got {value!r}{more}") from None
    if not -1000 < number < 1000:  # also refuses NaN
        raise ValueError(f"{name} must lie between -1000 and 1000, got {value!r}: scale it first")
    return int(number) if number == int(number) else number


def _title(x: float, y: float, words: str) -> str:
    return f'<text x="{x:g}" y="{y - 0.3:g}" fill="{INK}">{words}</text>'


def _cells(x: float, y: float, rows: list[list[float]], low: float, high: float, decimals: int) -> str:
    """Draw a grid of pixels with their numbers; dark and light as in window.js."""
    drawn = []
    for i, row in enumerate(rows):
        for j, number in enumerate(row):
            share = min(max((number - low) / (high - low), 0), 1) if high > low else 1
            lightness = round(22 + 75 * share)  # in percent
            ink = "#000" if lightness > 46 else "#fff"
            # Decimal, since f"{0.125:.2f}" rounds to the even neighbour; JavaScript's toFixed rounds up.
            short = Decimal(number).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
            text = f"{float(short) + 0:.{decimals + 3}g}".replace("-", "−")
            drawn.append(
                f'<rect x="{x + j + 0.02:g}" y="{y + i + 0.02:g}" width="0.96" height="0.96" rx="0.06"'
                f' fill="hsl(40, 6%, {lightness}%)" stroke="{INK}" stroke-opacity="0.2" stroke-width="0.02"/>'
                f'<text x="{x + j + 0.5:g}" y="{y + i + 0.64:g}" text-anchor="middle"'
                f' font-size="{min(0.4, 1.4 / len(text)):.3g}" fill="{ink}">{text}</text>'
            )
    return "".join(drawn)


def _grid(x: float, y: float, rows: list[list[float]], decimals: int) -> str:
    """Draw numbers that are no brightness: their greys reach from the smallest to the largest."""
    numbers = [number for row in rows for number in row]
    return _cells(x, y, rows, min(numbers), max(numbers), decimals)


def _frame(x: float, y: float, width: float, height: float) -> str:
    """Draw a frame: orange on a dark line, so that it is seen on light cells and on dark ones."""
    shape = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="0.08" fill="none"'
    return (
        f'<rect {shape} stroke="{INK}" stroke-width="0.16"/>'
        f'<rect {shape} stroke="{COLOURS["orange"]}" stroke-width="0.09"/>'
    )

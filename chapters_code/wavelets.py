"""The wavelet transform in two dimensions: a picture as averages and differences, from which it comes back whole
(Chapters 07 and 08).

One step splits a picture into four of half the height and half the width.  `a` holds averages, h, v and d hold what
they leave out: differences down, across and along the diagonals.

    x (N, C, H, W)  --dwt2-->  Bands of a, h, v, d, each (N, C, H', W')  --idwt2-->  x

For Haar, the shortest wavelet, H' is H / 2, rounded up; for others `shapes.dwt_size` tells.  Steps can be repeated on
`a`: `wavedec2`.  Values, signs and order are those of PyWavelets.

A filter of more than two taps reaches over the picture's edge.  MODES says what it finds there.  PyWavelets has two
modes more, "smooth" and "antireflect": they go on with the slope at the edge, which one noisy pixel decides, and are
left out.

One wavelet does not come back to the last digits: "dmey", as `idwt2` says.

Any leading axes are allowed, so a single picture (C, H, W) or a plane (H, W) works, too.

Sources: Mallat (1989), "A theory for multiresolution signal decomposition: the wavelet representation"; Daubechies
(1992), "Ten Lectures on Wavelets", for the filters, which are read from PyWavelets (Lee et al., 2019).
"""

from collections.abc import Sequence
from typing import NamedTuple

import pywt
import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.checks import check_choice, check_floating_point, check_integer, check_pair
from chapters_code.tracing import constant, cut_to, fixed_integer, is_open, is_proxy, not_negative, odd, one_node

__all__ = [
    "MODES",
    "Bands",
    "Details",
    "check_bands",
    "check_picture",
    "crop",
    "dwt2",
    "even",
    "filters",
    "haar_dwt2",
    "haar_idwt2",
    "idwt2",
    "wavedec2",
    "waverec2",
]

MODES = ("zero", "constant", "symmetric", "reflect", "periodic", "antisymmetric", "periodization")


class Bands(NamedTuple):
    """A picture after one step, in the order of PyWavelets' `(a, (h, v, d))`; each (..., H', W')."""

    a: Tensor  # averages; for Haar, twice the mean of each 2 × 2 block
    h: Tensor  # upper minus lower: answers to horizontal edges
    v: Tensor  # left minus right: answers to vertical edges
    d: Tensor  # differences of differences: corners and diagonals


class Details(NamedTuple):
    """The three bands of a step that are not split again."""

    h: Tensor
    v: Tensor
    d: Tensor


# ---- Haar, by 2 × 2 blocks ---------------------------------------------------------------------------


def haar_dwt2(x: Tensor) -> Bands:
    """Split a picture into averages and differences of its 2 × 2 blocks.

    Args:
        x: (..., H, W), floating point.  The last row or column of an odd side is used twice.

    Returns:
        Four bands (..., ⌈H/2⌉, ⌈W/2⌉), dtype and device of `x`.  Equals `pywt.dwt2(x, "haar")`.

    Raises:
        ValueError: `x` has no rows and columns, or is not floating point.

    Example:
        >>> [band.item() for band in haar_dwt2(torch.tensor([[5.0, 3.0], [1.0, 1.0]]))]
        [5.0, 3.0, 1.0, 1.0]
    """
    x = even(check_picture(x))
    upper, lower = x[..., 0::2, :], x[..., 1::2, :]
    p, q, r, s = upper[..., 0::2], upper[..., 1::2], lower[..., 0::2], lower[..., 1::2]
    return Bands(
        a=(p + q + r + s) / 2,
        h=(p + q - r - s) / 2,
        v=(p - q + r - s) / 2,
        d=(p - q - r + s) / 2,
    )


def haar_idwt2(bands: Sequence[Tensor], size: tuple[int, int] | None = None) -> Tensor:
    """Put a picture together again from its four bands.

    Args:
        bands: a, h, v and d, of one shape (..., H', W').
        size: (H, W) of the picture, where a side was odd; None gives (2 · H', 2 · W').

    Returns:
        (..., H, W): what `haar_dwt2` had split, up to rounding.  Equals `pywt.idwt2(bands, "haar")`.

    Raises:
        ValueError: The bands are not four of one shape, or `size` does not belong to them.
    """
    a, h, v, d = check_bands(bands)
    upper = torch.stack([a + h + v + d, a + h - v - d], dim=-1).flatten(-2)  # p and q take turns
    lower = torch.stack([a - h + v - d, a - h - v + d], dim=-1).flatten(-2)
    x = torch.stack([upper, lower], dim=-2).flatten(-3, -2) / 2
    return crop(x, size)


# ---- any wavelet -------------------------------------------------------------------------------------


def dwt2(x: Tensor, wavelet: str = "haar", mode: str = "symmetric") -> Bands:
    """Split a picture into averages and differences by the filters of a wavelet.

    Args:
        x: (..., H, W), floating point.
        wavelet: A discrete wavelet as PyWavelets names it: "haar", "db2", "sym4", "bior2.2", ...
        mode: What lies beyond the edge, one of MODES.

    Returns:
        Four bands (..., H', W'), H' and W' as `shapes.dwt_size` says.  Equals `pywt.dwt2(x, wavelet, mode)`; PyWavelets
        refuses a side of one pixel with "reflect", which is repeated here.

    Raises:
        ValueError: PyWavelets has no such wavelet, the mode is none of MODES, or `x` is no picture in floating point.
    """
    taps = filters(wavelet).analysis
    check_choice("mode", mode, MODES)
    low, high = _analyse(check_picture(x), taps, mode)  # across
    (a, h), (v, d) = (_analyse(half.mT, taps, mode) for half in (low, high))  # down
    return Bands(a.mT, h.mT, v.mT, d.mT)


def idwt2(
    bands: Sequence[Tensor],
    wavelet: str = "haar",
    mode: str = "symmetric",
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Put a picture together again from its four bands.

    Args:
        bands: As for `haar_idwt2`.
        wavelet: The one that split it.
        mode: The one that split it; only whether it is "periodization" matters.
        size: As for `haar_idwt2`.

    Returns:
        (..., H, W): what `dwt2` had split, up to rounding; with "dmey" to 1 % of the largest number only, since its
        filters are cut off from endless ones (PyWavelets' answer is off by as much).  Equals
        `pywt.idwt2(bands, wavelet, mode)`.

    Raises:
        ValueError: The bands are not four of one shape, they are too small for the filters, `size` does not belong to
            them, or the wavelet or mode is unknown.
    """
    taps = filters(wavelet).synthesis
    check_choice("mode", mode, MODES)
    a, h, v, d = check_bands(bands)
    low = _synthesise(a.mT, h.mT, taps, mode).mT
    high = _synthesise(v.mT, d.mT, taps, mode).mT
    return crop(_synthesise(low, high, taps, mode), size)


def wavedec2(x: Tensor, wavelet: str = "haar", mode: str = "symmetric", level: int = 1) -> list[Tensor | Details]:
    """Repeat `dwt2` on the averages.

    Args:
        x: (..., H, W), floating point.
        wavelet: As for `dwt2`.
        mode: As for `dwt2`.
        level: How many steps, 1 or more.

    Returns:
        [a of the last step, Details of the last step, ..., Details of the first].  Equals
        `pywt.wavedec2(x, wavelet, mode, level)`.

    Raises:
        ValueError: As for `dwt2`, or `level` is no integer above 0.
    """
    details: list[Tensor | Details] = []
    for _ in range(check_integer("level", level, 1)):
        x, *rest = dwt2(x, wavelet, mode)
        details.append(Details(*rest))
    return [x, *reversed(details)]


def waverec2(
    coefficients: Sequence[Tensor | Sequence[Tensor]],
    wavelet: str = "haar",
    mode: str = "symmetric",
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Put a picture together again from all its steps; the way back of `wavedec2`.

    Args:
        coefficients: As `wavedec2` returns them.
        wavelet: As for `idwt2`.
        mode: As for `idwt2`.
        size: As for `haar_idwt2`.

    Returns:
        (..., H, W): what `wavedec2` had split, up to rounding, but for "dmey", as `idwt2` says.  Equals
        `pywt.waverec2(coefficients, wavelet, mode)`.

    Raises:
        ValueError: As for `idwt2`, or the coefficients are not such a list, or the sizes of its steps do not fit.
    """
    x, *steps = coefficients if isinstance(coefficients, Sequence) and coefficients else [None]
    known = isinstance(x, Tensor) or is_proxy(x)
    if not known or not all(isinstance(one, Sequence) and len(one) == 3 for one in steps):
        raise ValueError("coefficients must be [a, (h, v, d), ..., (h, v, d)], as wavedec2 returns them")
    for i, details in enumerate(steps):
        if i:  # What came from the step below may have one row or column too many: its own size was odd.
            x = crop(x, check_picture(details[0]).shape[-2:])
        x = idwt2([x, *details], wavelet, mode, size if i == len(steps) - 1 else None)
    return x if steps else crop(x, size)


class Filters(NamedTuple):
    """The filters of a wavelet, float64 (2, taps): low-pass and high-pass."""

    analysis: Tensor  # in the order in which they lie on the picture: PyWavelets' dec_lo and dec_hi turned round
    synthesis: Tensor  # PyWavelets' rec_lo and rec_hi


# Read once, as numbers: torch.compile cannot look into PyWavelets, and tensors that are kept would keep the device and
# the inference mode of the first call.
_TAPS = {name: pywt.Wavelet(name).filter_bank for name in pywt.wavelist(kind="discrete")}


def filters(wavelet: str) -> Filters:
    """Return the filters of a wavelet.

    Raises:
        ValueError: PyWavelets has no discrete wavelet of this name.

    Example:
        >>> filters("haar").analysis
        tensor([[ 0.7071,  0.7071],
                [ 0.7071, -0.7071]], dtype=torch.float64)
    """
    if not isinstance(wavelet, str) or wavelet not in _TAPS:
        raise ValueError(
            f'wavelet must be the name of a discrete wavelet, such as "haar", "db2" or "sym4", got {wavelet!r};'
            ' pywt.wavelist(kind="discrete") lists them'
        )
    dec_lo, dec_hi, rec_lo, rec_hi = _TAPS[wavelet]
    return Filters(constant([dec_lo[::-1], dec_hi[::-1]]), constant([rec_lo, rec_hi]))


# ---- one step along the last axis --------------------------------------------------------------------


def _analyse(x: Tensor, taps: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """Filter (..., n) with both filters and keep every second number: twice (..., n')."""
    reach = fixed_integer(taps.shape[1])
    if mode == "periodization":
        x = _even(x, -1)
        before, after = reach // 2 - 1, reach // 2 - 1
        mode = "periodic"
    else:
        before, after = reach - 2, reach - 2 + odd(x.shape[-1])
    x = _extended(x, before, after, mode)
    low, high = functional.conv1d(x.reshape(-1, 1, x.shape[-1]), taps[:, None].to(x), stride=2).unbind(1)
    return low.unflatten(0, x.shape[:-1]), high.unflatten(0, x.shape[:-1])


def _synthesise(low: Tensor, high: Tensor, taps: Tensor, mode: str) -> Tensor:
    """Turn `_analyse` round: (..., n') twice gives (..., n), n even."""
    reach, count = fixed_integer(taps.shape[1]), low.shape[-1]
    both = torch.stack([low, high], dim=-2)
    spread = functional.conv_transpose1d(both.reshape(-1, 2, count), taps[:, None].to(both), stride=2)[:, 0]
    spread = spread.unflatten(0, low.shape[:-1])
    if mode != "periodization":
        if not is_open(count) and 2 * count < reach:
            raise ValueError(
                f"bands of {count} along one side are too small for filters of {reach} taps: no pixel can be put"
                " together from them"
            )
        return spread[..., reach - 2 : 2 * count]
    # What reaches over one end comes in again at the other.
    full = 2 * count
    lap = torch.arange(spread.shape[-1], device=spread.device) - (reach // 2 - 1)
    return spread.new_zeros(*spread.shape[:-1], full).index_add(-1, lap % full, spread)


def _extended(x: Tensor, before: int, after: int, mode: str) -> Tensor:
    """Let (..., n) go on beyond both ends."""
    if mode == "zero":
        return functional.pad(x, (before, after))
    if not is_open(after) and not before and not after:
        return x
    n = x.shape[-1]
    place = torch.arange(-before, n + after, device=x.device)
    if mode == "constant":
        return x[..., place.clamp(min=0).clamp(max=n - 1)]
    if mode == "periodic":
        return x[..., place % n]
    if mode == "reflect":  # the last pixel is not repeated: 3 2 | 1 2 3 | 2 1
        place = place % (not_negative(2 * n - 3) + 1)  # of one pixel, 1
        return x[..., torch.minimum(place, 2 * n - 2 - place)]
    place = place % (2 * n)  # 2 1 | 1 2 3 | 3 2
    back = torch.minimum(place, 2 * n - 1 - place)
    if mode == "symmetric":
        return x[..., back]
    return x[..., back] * torch.where(place < n, 1, -1).to(x)  # antisymmetric


# ---- what the faster forms need, too -----------------------------------------------------------------


def check_picture(x: Tensor) -> Tensor:
    """Return `x`, or say why it is no picture (..., H, W) in floating point.

    Raises:
        ValueError: It is not; the message says what came.
    """
    if is_proxy(x):
        return x
    if not isinstance(x, Tensor) or x.dim() < 2 or (not is_open(*x.shape[-2:]) and 0 in x.shape[-2:]):
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x must be a tensor (..., H, W) with rows and columns, got {got}")
    check_floating_point(x)
    return x


def check_bands(bands: Sequence[Tensor]) -> list[Tensor]:
    """Return the bands a, h, v and d, or say why they are not four pictures of one shape.

    Raises:
        ValueError: They are not; the message says what came.
    """
    if is_proxy(bands) or is_proxy(*bands):
        return bands
    shapes = [tuple(band.shape) if isinstance(band, Tensor) else type(band).__name__ for band in bands]
    known = not any(is_open(*shape) for shape in shapes if isinstance(shape, tuple))
    if len(shapes) != 4 or (known and len(set(shapes)) > 1):
        raise ValueError(
            f"bands must be a, h, v and d, four tensors of one shape, got {shapes}; of PyWavelets' (a, (h, v, d)),"
            " Bands(a, h, v, d) makes them"
        )
    return [check_picture(band) for band in bands]


def even(x: Tensor) -> Tensor:
    """Use the last row or column of an odd side twice, so that H and W become even."""
    return _even(_even(x, -2), -1)


def _even(x: Tensor, axis: int) -> Tensor:
    size = x.shape[axis]
    if is_open(size):  # Whether it is odd, must not be asked: the answer would hold for all pictures.
        places = torch.arange(size + odd(size), device=x.device)
        return x.index_select(axis, places.clamp(max=size - 1))
    return torch.cat([x, x.narrow(axis, size - 1, 1)], dim=axis) if size % 2 else x


def crop(x: Tensor, size: tuple[int, int] | None) -> Tensor:
    """Leave out the last row or column of a picture (..., H, W) whose sides were odd before the transform.

    Args:
        x: The picture that was put together, its sides even.
        size: Height and width as they were; None leaves it as it is.

    Raises:
        ValueError: `size` is smaller by more than one, or larger.
    """
    if size is None:
        return x
    height, width = check_pair("size", size, single=False)
    for side, given in zip((height, width), x.shape[-2:], strict=True):
        if not is_open(side, given) and side not in (given - 1, given):
            raise ValueError(
                f"these bands make a picture of {tuple(x.shape[-2:])}, of which at most the last row and column can be"
                f" left out, got size={size}"
            )
    return cut_to(x, (height, width))


# One node each where torch.fx writes a network down.
even, crop, _analyse, _synthesise = map(one_node, (even, crop, _analyse, _synthesise))

"""Variants of Chapter 07."""

from itertools import product

import numpy as np
import pywt
import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import wavelets
from chapters_code.exercises import hwd as original
from chapters_code.exercises.checking import Call, Exercise, all_pairs, compare, digits, whole
from chapters_code.wavelets import haar_dwt2, haar_idwt2, wavedec2
from classroom.variants import Variant

__all__ = ["VARIANTS"]

_double = {"dtype": torch.float64}


# ---- 7.1b ---------------------------------------------------------------------------------------


def _check_back_from_rises(answer):
    def trusted(mean: Tensor, rise: Tensor) -> Tensor:
        x = mean.new_zeros(*mean.shape[:-1], 2 * mean.shape[-1])
        for i in range(mean.shape[-1]):
            x[..., 2 * i] = mean[..., i] - rise[..., i] / 2
            x[..., 2 * i + 1] = mean[..., i] + rise[..., i] / 2
        return x

    shapes = ((1,), (2,), (3,), (2, 3), (2, 3, 5))
    calls = [Call.of(digits(*shape, **_double), digits(*shape, **_double)) for shape in shapes]
    calls += [Call.of(torch.randn(*shape), torch.randn(*shape)) for shape in shapes]
    calls += [Call.of(digits(4, 3, dtype=torch.float16).mT, digits(3, 4, dtype=torch.float16))]
    calls += [Call.of(torch.randn(2, 3, **_double), torch.randn(2, 3, **_double))]  # not exact in float32
    compare(answer, trusted, calls)


def back_from_rises(mean, rise):
    """Half of the rise lies below the mean, and half above it. Stacked along a new last axis and flattened, the first
    and the second numbers of the pairs take turns.
    """
    return torch.stack([mean - rise / 2, mean + rise / 2], dim=-1).flatten(-2)


# ---- 7.2b ---------------------------------------------------------------------------------------


def _check_how_many_in_volume(answer):
    def trusted(depth: int, height: int, width: int, level: int) -> int:
        volume = torch.empty(depth, height, width, device="meta")  # it has a size, and no numbers
        numbers = 0
        for _ in range(level):
            volume = volume[::2, ::2, ::2]
            numbers += 7 * volume.numel()
        return numbers + volume.numel()

    sides = (1, 2, 3, 8, 33)
    calls = [Call.of(*one) for one in all_pairs(sides, sides, sides, (1, 2, 3))]
    calls += [Call.of(*(whole(50, 500) for _ in range(3)), level) for level in (2, whole(4, 7))]
    compare(answer, trusted, calls)


def how_many_in_volume(depth, height, width, level):
    """A block of 2 × 2 × 2 has eight numbers, so a step makes eight bands: seven stay, the eighth is split again. Each
    step rounds odd sides up, so a loop over the steps is needed.
    """
    numbers = 0
    for _ in range(level):
        depth, height, width = (depth + 1) // 2, (height + 1) // 2, (width + 1) // 2
        numbers += 7 * depth * height * width
    return numbers + depth * height * width


# ---- 7.3b ---------------------------------------------------------------------------------------


def _check_picture_of_signs(answer):
    def trusted(bands: Tensor) -> Tensor:
        blocks = torch.einsum("bp,nbchw->ncphw", original._haar_matrix().to(bands), bands.unflatten(1, (4, -1)))
        return functional.pixel_shuffle(blocks.flatten(1, 2), 2)

    shapes = ((1, 4, 1, 1), (1, 4, 1, 2), (1, 8, 1, 1), (2, 4, 2, 1), (2, 12, 3, 4))
    drawn = [draw(*shape) for shape in shapes for draw in (original._digits, torch.randn)]
    drawn += [digits(2, 8, 3, 2).mT, digits(1, 4, 2, 3, dtype=torch.float16)]
    drawn += [torch.randn(1, 20, 1, 2, **_double)]  # five channels: fours, and not fifths
    compare(answer, trusted, [Call.of(bands) for bands in drawn])


def picture_of_signs(bands):
    """Each number of a band goes to all four pixels of its block, with a sign that depends on row and column: h is
    taken away in the lower row, v in the right column, d where only one of the two is the case. Then all is halved.
    """
    a, h, v, d = bands.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1).chunk(4, dim=1)
    down, across = torch.ones_like(a), torch.ones_like(a)
    down[..., 1::2, :] = -1
    across[..., 1::2] = -1
    return (a + down * h + across * v + down * across * d) / 2


# ---- 7.4b ---------------------------------------------------------------------------------------


def _check_error_without_step(answer):
    def trusted(x: Tensor, step: int) -> Tensor:
        def means(side: int) -> Tensor:
            pooled = functional.avg_pool2d(x[None, None], side)
            return functional.interpolate(pooled, scale_factor=float(side), mode="nearest")

        return (means(2 ** (step - 1)) - means(2**step)).square().mean()

    sizes = [((2, 2), 1), ((2, 4), 1), ((6, 4), 1), ((4, 4), 2), ((4, 12), 2), ((8, 4), 2), ((16, 8), 3), ((8, 8), 3)]
    calls = [Call.of(draw(*size, **_double), step) for size, step in sizes for draw in (digits, torch.randn)]
    compare(answer, trusted, calls)


def error_without_step(x, step):
    """Each step keeps the energy, and the way back is linear, so the error has the energy of what was set to 0. Of the
    bands of all steps these are the h, v and d of the last one, which wavedec2 lists right behind its a. They are few
    numbers, but the mean is over all pixels.
    """
    _, details, *_ = wavedec2(x, level=step)
    return sum(band.square().sum() for band in details) / x.numel()


# ---- 7.5b ---------------------------------------------------------------------------------------


def _garrote(band: Tensor, threshold: float) -> Tensor:
    return torch.where(band.abs() > threshold, band - threshold**2 / band, 0)


def _check_garrote(answer):
    def trusted(x: Tensor, threshold: float) -> Tensor:
        return original._shrunk(x, threshold, _garrote)

    shapes = ((1, 2), (2, 3), (5, 4), (2, 3, 7, 6))
    calls = [Call.of(original._digits(*shape), one) for shape, one in product(shapes, (0.0, 0.5, 3.0))]
    calls += [Call.of(torch.randn(*shape), one) for shape, one in product(shapes, (0.25, 10.0))]
    compare(answer, trusted, calls)


def garrote(x, threshold):
    """Between the soft rule, which takes the threshold away from every detail, and the hard one, which leaves large
    details as they are: this one takes the less away the larger a detail is, and nothing jumps at the threshold. A
    detail of 0 would be divided by; torch.where leaves that result out.
    """
    a, *details = haar_dwt2(x)
    details = [torch.where(band.abs() > threshold, band - threshold**2 / band, 0) for band in details]
    return haar_idwt2([a, *details], tuple(x.shape[-2:]))


# ---- 7.6b ---------------------------------------------------------------------------------------


def _check_hwd_mix(answer):
    def trusted(kernel: Tensor) -> Tensor:
        bands = torch.einsum("bp,ocp->obc", original._haar_matrix().to(kernel), kernel.flatten(2))
        return bands.flatten(1)[:, :, None, None]

    shapes = ((1, 1), (1, 2), (2, 1), (3, 2), (5, 4))
    drawn = [draw(*shape, 2, 2) for shape in shapes for draw in (original._digits, torch.randn)]
    drawn += [digits(3, 2, 2, 2).mT, torch.randn(2, 3, 2, 2, **_double)]
    compare(answer, trusted, [Call.of(kernel) for kernel in drawn], gradients=True)


def hwd_mix(kernel):
    """The kernel of one output and one channel is a block of four weights, and how much of each band it asks for is
    what a Haar step makes of it: the matrix is orthonormal, so the way back is its transpose. The bands come first
    among the channels of the mix.
    """
    p, q, r, s = kernel.flatten(2).unbind(2)
    bands = (p + q + r + s, p + q - r - s, p - q + r - s, p - q - r + s)
    return torch.cat(bands, dim=1)[:, :, None, None] / 2


# ---- 7.7b ---------------------------------------------------------------------------------------


def _check_fold_norm_before(answer):
    def trusted(
        kernel: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        # What comes out for a black block is the bias; for a block with one bright pixel, that and one weight.
        taps = kernel[0].numel()
        blocks = torch.eye(taps, dtype=kernel.dtype).reshape(taps, *kernel.shape[1:])
        blocks = torch.cat([blocks, torch.zeros_like(blocks[:1])])
        normalised = functional.batch_norm(blocks, mean, var, weight, bias, eps=eps)
        out = functional.conv2d(normalised, kernel).flatten(1)
        return (out[:-1] - out[-1]).T.reshape(kernel.shape), out[-1]

    calls = []
    shapes = ((1, 1, 1, 2), (1, 2, 2, 1), (2, 1, 2, 2), (2, 2, 2, 3), (3, 4, 2, 2))
    for (out, given, rows, columns), eps in product(shapes, (1e-5, 0.5)):
        vectors = [torch.randn(given, **_double) for _ in range(3)]
        var = 0.1 + torch.rand(given, **_double)
        draw = digits if eps < 0.1 else torch.randn
        calls.append(Call.of(draw(out, given, rows, columns, **_double), *vectors, var, eps))
    compare(answer, trusted, calls)


def fold_norm_before(kernel, weight, bias, mean, var, eps):
    """The normalisation scales and shifts each channel that comes *in*, so the scale goes along the kernel's second
    axis. The shift is a picture of one grey for each channel: what the kernel makes of it is the sum of its weights
    times the shift, and that is the bias. With padding this is wrong at the rim, where zeros are not shifted.
    """
    scale = weight / (var + eps).sqrt()
    shift = bias - mean * scale
    return kernel * scale[:, None, None], (kernel * shift[:, None, None]).sum((1, 2, 3))


# ---- 7.8b ---------------------------------------------------------------------------------------


def _check_haar_matrix(answer):
    def trusted(level: int) -> Tensor:
        columns = [np.concatenate(pywt.wavedec(one, "haar", level=level)) for one in np.eye(2**level)]
        return torch.from_numpy(np.stack(columns, axis=1))

    compare(answer, trusted, [Call.of(level) for level in (1, 2, 3, 4, 5)])


def haar_matrix(level):
    """The matrix of one step less does its work on the sums of pairs: each of its weights is used for both numbers of a
    pair. The first step's differences are new, one for each pair, and come last. Everything is divided by √2, once for
    each step.
    """
    matrix = torch.ones(1, 1, dtype=torch.float64)
    total, difference = matrix.new_tensor([[1, 1]]), matrix.new_tensor([[1, -1]])
    for _ in range(level):
        new = torch.kron(torch.eye(len(matrix)).to(matrix), difference)
        matrix = torch.cat([torch.kron(matrix, total), new]) / 2**0.5
    return matrix


VARIANTS = (
    Variant(
        "7.1",
        "From means and rises",
        """
        A line has been cut into pairs. `mean` holds the mean of each pair, and `rise` its second number less its first,
        both floating point (..., n). Return the line, (..., 2n). Keep the dtype. No function of the book is needed.
        """,
        Exercise("7.1b", "back_from_rises", _check_back_from_rises, ()),
        back_from_rises,
    ),
    Variant(
        "7.2",
        "How many numbers has a volume?",
        """
        A volume (a scan of a body, say) of `depth` × `height` × `width` numbers takes `level` Haar steps, 1 or more. A
        step makes one average and seven differences of each block of 2 × 2 × 2, so eight bands of half the sides; odd
        sides are rounded up. Each further step splits the averages of the step before. How many numbers are there in
        all bands together? Return an `int`.
        """,
        Exercise("7.2b", "how_many_in_volume", _check_how_many_in_volume, ()),
        how_many_in_volume,
    ),
    Variant(
        "7.3",
        "Back by repeating",
        """
        `bands` holds the four Haar bands of a picture as HWD wants them, (N, 4C, H, W): all a, then all h, v, d. Return
        the picture, (N, C, 2H, 2W), without the book's transforms: repeat each number in its block of 2 × 2, and choose
        signs. Keep the dtype.
        """,
        Exercise("7.3b", "picture_of_signs", _check_picture_of_signs, ()),
        picture_of_signs,
    ),
    Variant(
        "7.4",
        "The price of a step",
        """
        `x` is a picture (H, W) in float64 that takes `step` Haar steps, 1 or more, each on the a of the step before; H
        and W are multiples of 2 to the power of `step`. The h, v and d of the *last* step are set to 0, those of the
        steps before stay, and the picture is put together again. Return the mean squared error, a float64 tensor of
        shape (). It can be had without putting anything together, and the book's inverse transforms are closed;
        `haar_dwt2`, `dwt2` and `wavedec2` are open.
        """,
        Exercise(
            "7.4b",
            "error_without_step",
            _check_error_without_step,
            (),
            allows=(wavelets.haar_dwt2, wavelets.dwt2, wavelets.wavedec2),
        ),
        error_without_step,
    ),
    Variant(
        "7.5",
        "A rule between soft and hard",
        """
        `x` is (..., H, W), any sides, floating point. Split it by one Haar step. Every number z of h, v and d whose
        size is larger than t, the `threshold`, becomes z − t² / z; all others of them become 0. Put the bands together,
        and return a tensor of the shape and the dtype of `x`. t is 0 or more. `haar_dwt2` and `haar_idwt2` are open.
        """,
        Exercise("7.5b", "garrote", _check_garrote, (), allows=(wavelets.haar_dwt2, wavelets.haar_idwt2)),
        garrote,
    ),
    Variant(
        "7.6",
        "A kernel is HWD",
        """
        `kernel`, (C', C, 2, 2), is that of a convolution with stride 2. Return the weight of the 1 × 1 convolution
        behind a Haar step that does the same, (C', 4C, 1, 1); its channels are all a, then all h, v and d. Keep the
        dtype; gradients must go through. Without the book's transforms and `as_mix`.
        """,
        Exercise("7.6b", "hwd_mix", _check_hwd_mix, ()),
        hwd_mix,
    ),
    Variant(
        "7.7",
        "The normalisation comes first",
        """
        A batch normalisation in evaluation mode, with `weight`, `bias`, running `mean` and `var`, each (C,), and `eps`,
        stands *before* a convolution with `kernel` (C', C, rows, columns), without bias and without padding. Return the
        kernel and the bias of the one convolution that does both: (C', C, rows, columns) and (C',). Keep the dtype.
        """,
        Exercise("7.7b", "fold_norm_before", _check_fold_norm_before, ()),
        fold_norm_before,
    ),
    Variant(
        "7.8",
        "All steps as one matrix",
        """
        A line of 2^level numbers takes `level` Haar steps (1 or more), each on the sums of the step before; sums and
        differences, first less second, are divided by √2. All that is left is one orthonormal matrix times the line.
        Return it, float64 (2^level, 2^level): its rows give the one sum of the last step, then the differences of the
        last step, of the one before, and so on, those of the first step at the end. Without the book's transforms.
        """,
        Exercise("7.8b", "haar_matrix", _check_haar_matrix, ()),
        haar_matrix,
    ),
)

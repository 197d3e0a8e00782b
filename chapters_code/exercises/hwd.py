"""Checks and hints of Chapter 07: Haar by hand and back, what a lost band costs, HWD as one convolution, fair tests."""

from collections.abc import Callable
from functools import partial
from itertools import product

import pywt
import torch
from torch import Tensor
from torch.nn import functional

from chapters_code import wavelets
from chapters_code.exercises.checking import Call, Exercise, agree, all_pairs, compare, digits, whole

__all__ = ["EXERCISES"]

_digits = partial(digits, dtype=torch.float64)


def _haar_matrix() -> Tensor:
    """The bands of a block p, q, r, s, one in a row: a, h, v and d."""
    signs = [[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]
    return torch.tensor(signs, dtype=torch.float64) / 2


def _check_back_1d(answer: Callable) -> None:
    def trusted(a: Tensor, d: Tensor) -> Tensor:
        x = a.new_zeros(*a.shape[:-1], 2 * a.shape[-1])
        for i in range(a.shape[-1]):
            x[..., 2 * i] = (a[..., i] + d[..., i]) / 2**0.5
            x[..., 2 * i + 1] = (a[..., i] - d[..., i]) / 2**0.5
        return x

    shapes = ((1,), (2,), (3,), (2, 3), (2, 3, 5))
    calls = [Call.of(_digits(*shape), _digits(*shape)) for shape in shapes]
    calls += [Call.of(torch.randn(*shape), torch.randn(*shape)) for shape in shapes]
    compare(answer, trusted, calls)


def _check_how_many(answer: Callable) -> None:
    def trusted(height: int, width: int, level: int) -> int:
        picture = torch.empty(height, width, device="meta")  # it has a size, and no numbers
        numbers = 0
        for _ in range(level):
            picture, *details = wavelets.haar_dwt2(picture)
            numbers += sum(band.numel() for band in details)
        return numbers + picture.numel()

    sides = (1, 2, 3, 8, 33)
    calls = [Call.of(*one) for one in all_pairs(sides, sides, (1, 2, 3))]
    calls += [Call.of(whole(50, 2000), whole(50, 2000), level) for level in (2, whole(4, 7))]
    compare(answer, trusted, calls)


def _bands(x: Tensor) -> Tensor:
    blocks = functional.unfold(x, 2, stride=2).unflatten(1, (x.shape[1], 4))
    bands = torch.einsum("bp,ncpl->nbcl", _haar_matrix().to(x), blocks)
    return bands.flatten(1, 2).unflatten(2, (x.shape[2] // 2, x.shape[3] // 2))


def _check_bands_of_signs(answer: Callable) -> None:
    shapes = ((1, 1, 2, 2), (1, 1, 2, 4), (1, 2, 2, 2), (2, 1, 4, 2), (2, 3, 6, 8))
    calls = [Call.of(draw(*shape)) for shape in shapes for draw in (_digits, torch.randn)]
    compare(answer, _bands, [*calls, Call.of(torch.randn(1, 2, 4, 6, dtype=torch.float64))])


def _lost(x: Tensor, lost: str) -> Tensor:
    whole = torch.tensor(0.0, dtype=torch.float64)
    for i, j in product(range(0, x.shape[0], 2), range(0, x.shape[1], 2)):
        block = x[i : i + 2, j : j + 2].flatten()
        bands = _haar_matrix() @ block
        bands[["ahvd".index(name) for name in lost]] = 0
        whole = whole + (_haar_matrix().T @ bands - block).square().sum()
    return whole / x.numel()


def _check_error_without(answer: Callable) -> None:
    names = ("a", "h", "v", "d", "hv", "dh", "vd", "hvd", "ahvd")
    shapes = ((2, 2), (2, 4), (6, 4), (8, 10))
    calls = [Call.of(_digits(*shape), lost) for shape, lost in product(shapes, names)]
    calls += [Call.of(torch.randn(6, 8, dtype=torch.float64), lost) for lost in names]
    compare(answer, _lost, calls)


def _shrunk(x: Tensor, threshold: float, shrink: Callable = functional.softshrink) -> Tensor:
    a, *details = wavelets.haar_dwt2(x)
    return wavelets.haar_idwt2([a, *(shrink(band, threshold) for band in details)], tuple(x.shape[-2:]))


def _check_denoise(answer: Callable) -> None:
    def trusted(x: Tensor, threshold: float) -> Tensor:
        return _shrunk(x, threshold)

    shapes = ((1, 2), (2, 3), (5, 4), (2, 3, 7, 6))
    calls = [Call.of(_digits(*shape), one) for shape, one in product(shapes, (0.0, 0.5, 3.0))]
    calls += [Call.of(torch.randn(*shape), one) for shape, one in product(shapes, (0.25, 10.0))]
    calls.append(Call.of(torch.randn(1, 4, 6, dtype=torch.float64), 0.25))
    compare(answer, trusted, calls, without=("softshrink", "hardshrink", "shrink"))


def _kernel(mix: Tensor) -> Tensor:
    bands = mix.flatten(1).unflatten(1, (4, -1))  # (C', band, C)
    return torch.einsum("obc,bp->ocp", bands, _haar_matrix().to(mix)).unflatten(2, (2, 2))


def _check_hwd_kernel(answer: Callable) -> None:
    shapes = ((1, 1), (1, 2), (2, 1), (3, 2), (5, 4), (1, 5))
    calls = [Call.of(draw(out, 4 * given, 1, 1)) for out, given in shapes for draw in (_digits, torch.randn)]
    calls.append(Call.of(torch.randn(2, 8, 1, 1, dtype=torch.float64)))
    compare(answer, _kernel, calls, gradients=True)


def _check_fold_norm(answer: Callable) -> None:
    def trusted(
        kernel: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        # What comes out for a black block is the bias; for a block with one bright pixel, that and one weight.
        taps = kernel[0].numel()
        blocks = torch.eye(taps, dtype=kernel.dtype).reshape(taps, *kernel.shape[1:])
        blocks = torch.cat([blocks, torch.zeros_like(blocks[:1])])
        out = functional.batch_norm(functional.conv2d(blocks, kernel), mean, var, weight, bias, eps=eps).flatten(1)
        return (out[:-1] - out[-1]).T.reshape(kernel.shape), out[-1]

    calls = []
    for (out, given, rows, columns), eps in product(((1, 1, 1, 2), (2, 1, 2, 2), (3, 2, 2, 2)), (1e-5, 0.5)):
        vectors = [torch.randn(out, dtype=torch.float64) for _ in range(3)]
        kernel = torch.randn(out, given, rows, columns, dtype=torch.float64)
        calls.append(Call.of(kernel, *vectors, 0.1 + torch.rand(out).double(), eps))
    compare(answer, trusted, calls)


def _check_last_bands(answer: Callable) -> None:
    def trusted(level: int) -> Tensor:
        side = 2**level
        pixels = torch.eye(side * side, dtype=torch.float64).reshape(-1, side, side)  # one bright pixel at a time
        averages, (h, v, d), *_ = wavelets.wavedec2(pixels, level=level)
        return torch.stack([averages, h, v, d]).reshape(4, 1, side, side)

    compare(answer, trusted, [Call.of(level) for level in (1, 2, 3, 4)])


def _check_edge_in_v(answer: object) -> None:
    def not_zero(bright: int) -> int:
        picture = torch.zeros(8, 8, dtype=torch.float64)
        picture[:, :bright] = 1
        _, (_, v, _) = pywt.dwt2(picture.numpy(), "haar")
        return int((abs(v) > 1e-9).sum())

    agree(answer, (not_zero(4), not_zero(5)))


def _check_crack_after_three_steps(answer: object) -> None:
    road = torch.full((8, 8), 10.0, dtype=torch.float64)
    road[:, 0] = 2
    a, (_, v, _), *_ = pywt.wavedec2(road.numpy(), "haar", level=3)
    agree(answer, (a.item(), v.item()), within=1e-3)


def _check_steps_alike(answer: object) -> None:
    gradients, matrix = torch.randn(20_000, 4, dtype=torch.float64), _haar_matrix()

    def alike(step: Callable[[Tensor], Tensor]) -> Tensor:
        turned_back = step(gradients @ matrix.T) @ matrix
        return functional.cosine_similarity(step(gradients), turned_back).mean()

    agree(answer, (alike(torch.neg), alike(lambda gradient: -gradient.sign())), within=0.02)


EXERCISES = (
    Exercise(
        "7.1",
        "back_1d",
        _check_back_1d,
        (
            "Two numbers p and q gave a = (p + q) / √2 and d = (p − q) / √2. What are a + d and a − d?",
            "So p and q are found by the same two sums, with the same division.",
            "All the p and all the q are two tensors of half the length. torch.stack along a new last axis and flatten"
            " let them take turns.",
        ),
        allows=(wavelets.filters,),
        mistakes=(
            (2, lambda a, d: torch.stack([a + d, a - d], -1).flatten(-2)),
            (2, lambda a, d: torch.stack([a + d, a - d], -1).flatten(-2) / 2),
            (3, lambda a, d: torch.cat([a + d, a - d], -1) / 2**0.5),
            (1, lambda a, d: torch.stack([a - d, a + d], -1).flatten(-2) / 2**0.5),
            (3, "shape"),
        ),
    ),
    Exercise(
        "7.2",
        "how_many",
        _check_how_many,
        (
            "One step makes four bands of equal size. How many rows has a band, if the picture has 7?",
            "Half, rounded up. Three of the bands stay as they are; the next step splits the fourth.",
            "A loop over the steps: make both sides smaller, and count three bands. At the end one band more.",
        ),
        allows=(
            wavelets.haar_dwt2,
            wavelets.dwt2,
            wavelets.wavedec2,
        ),
        mistakes=(
            (2, lambda height, width, level: height * width),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "7.3",
        "bands_of_signs",
        _check_bands_of_signs,
        (
            "Average pooling gives (p + q + r + s) / 4. By what must it be multiplied for a?",
            "h takes the pixels of the lower rows away. Turn their sign before you pool; no new pooling is needed.",
            "For v it is every second column, for d both. Work on a clone, or multiply by a row and a column of signs;"
            " then concatenate along the channels.",
        ),
        mistakes=(
            (1, lambda x: _bands(x) / 2),
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "7.4",
        "error_without",
        _check_error_without,
        (
            "The way back is linear: what the picture lacks is what the lost bands alone would have made.",
            "And the transform keeps the energy. So the energy of that lack is known before anything is rebuilt.",
            "Add up the squares of the lost bands, and divide by the number of pixels. getattr takes a band by its"
            " name.",
        ),
        allows=(
            wavelets.haar_dwt2,
            wavelets.dwt2,
            wavelets.wavedec2,
        ),
        mistakes=(
            (3, lambda x, lost: _lost(x, lost) * x.numel()),
            (3, lambda x, lost: 4 * _lost(x, lost)),
            (2, lambda x, lost: _lost(x, "".join(set("ahvd") - set(lost)))),
            (1, "numbers"),
        ),
    ),
    Exercise(
        "7.5",
        "denoise",
        _check_denoise,
        (
            "Split, shrink three of the four bands, put together: three lines. The sides may be odd.",
            "A detail of 5 and a threshold of 2 give 3, −5 gives −3, and 1 gives 0: only the size shrinks, the sign"
            " stays.",
            "Tensor.abs, Tensor.clamp and Tensor.sign do it. haar_idwt2 takes the size of the picture.",
        ),
        allows=(
            wavelets.haar_dwt2,
            wavelets.haar_idwt2,
        ),
        mistakes=(
            (2, lambda x, threshold: _shrunk(x, threshold, functional.hardshrink)),
            (1, lambda x, threshold: functional.softshrink(x, threshold)),
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "7.6",
        "hwd_kernel",
        _check_hwd_kernel,
        (
            "One weight w on the band h of a channel: by what is each of the four pixels multiplied in the end?",
            "By w/2, w/2, −w/2, −w/2. The other bands add theirs. So the kernel is a sum of four sign patterns.",
            "In mix the bands come first: channels 0 to C − 1 are a. Tensor.chunk cuts it into four; each is (C', C, 1,"
            " 1), and spreads over a pattern of 2 × 2.",
        ),
        mistakes=(
            (2, lambda mix: 2 * _kernel(mix)),
            (3, lambda mix: _kernel(mix.unflatten(1, (-1, 4)).transpose(1, 2).flatten(1, 2))),
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "7.7",
        "fold_norm",
        _check_fold_norm,
        (
            "Write the normalisation of one channel as scale · y + shift. What are the two numbers?",
            "The scale is weight / √(var + eps). The shift is what a y of 0 becomes.",
            "A convolution is linear: to scale what comes out is to scale the kernel. Each of its C' kernels has a"
            " scale of its own, so give the scale three axes more.",
        ),
        mistakes=(
            (2, "value 2 of 2: the numbers"),
            (3, "error"),
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "7.8",
        "last_bands",
        _check_last_bands,
        (
            "For one step the four kernels are the sign patterns, halved. Work the a of two steps out by hand: what"
            " happens to a pixel on its way?",
            "Each step halves, so every weight is ± 1 / 2^level, whatever the band. The last step takes the difference"
            " of two halves of the block.",
            "A column that is 1 in its upper half and −1 in its lower half; ones; and products of two such: torch.outer"
            " makes a kernel of them.",
        ),
        mistakes=(
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "7.9",
        "edge_in_v",
        _check_edge_in_v,
        (
            "Which columns make the first block of a row, which the second, and so on?",
            "v compares the two columns within a block. Does either edge lie within a block, or between two?",
            "v has 4 × 4 numbers: an edge from top to bottom goes through four blocks at most.",
        ),
        mistakes=((2, (4, 4)), (2, (4, 0)), (3, (0, 8)), (3, (8, 8))),
        kind="predict",
    ),
    Exercise(
        "7.10",
        "crack_after_three_steps",
        _check_crack_after_three_steps,
        (
            "Do the first step on a block with the crack and on one without it: 2, 10, 2, 10 and 10, 10, 10, 10.",
            "All rows are alike, so the a of the first step is four columns. Two of them make the blocks of the next"
            " step. Every step halves its sums.",
            "v is left minus right, so a dark crack on the left makes it negative.",
        ),
        mistakes=((2, (9, -1)), (2, (576, -64)), (2, (12, -8)), (2, (32, -8)), (3, (72, 8))),
        kind="compute",
    ),
    Exercise(
        "7.11",
        "steps_alike",
        _check_steps_alike,
        (
            "SGD's step is the gradient, turned round. What does Adam's first step keep of it? Tensor.sign says it.",
            "Two steps can be compared only on the same axes: as_kernel turns HWD's step back.",
            "flatten(1) makes each step a row of four numbers, and cosine_similarity takes two such tensors.",
        ),
        mistakes=((1, (1, 1)), (2, (0.5, 0.33))),
        kind="measure",
    ),
    Exercise(
        "7.12",
        "what_the_gain_shows",
        None,
        (
            "List all in which HWD differs from max pooling. Which of it has to do with a wavelet?",
            "Which layer has all of that list but the wavelet?",
            "And how far are two runs apart that are equal on paper?",
        ),
        kind="explain",
    ),
)

"""Checks and hints of Chapter 04: the branches of ASPP, what they cost, and how much of a kernel a small map uses."""

from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from chapters_code import aspp
from chapters_code.exercises.checking import Call, Exercise, agree, compare, digits, whole

__all__ = ["EXERCISES"]


def _maps() -> list[Tensor]:
    """Draw feature maps from tiny to small, never square only, in two precisions."""
    return [
        *(digits(*shape) for shape in ((1, 1, 1, 2), (1, 2, 2, 3), (2, 1, 4, 2), (2, 3, 5, 8))),
        digits(1, 2, 6, 4, dtype=torch.float64),
        torch.randn(3, 2, 7, 9, dtype=torch.float64),
    ]


def _taps(height: int, width: int, rate: int) -> int:
    """Count by convolution: ones on the map, zeros in the padding, ones as taps."""
    ones = torch.ones(1, 1, height, width, dtype=torch.float64)
    return int(functional.conv2d(ones, ones.new_ones(1, 1, 3, 3), padding=rate, dilation=rate).sum())


def _random_map() -> tuple[int, int]:
    """Draw a size that no table has."""
    return whole(10, 30), whole(30, 40)


def _check_image_level(answer: Callable) -> None:
    def trusted(x: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(x, 1) + torch.zeros_like(x)

    compare(answer, trusted, [Call.of(x) for x in _maps()], gradients=True)


def _pyramid(x: Tensor, weight: Tensor, rates: Sequence[int]) -> Tensor:
    return torch.cat([functional.conv2d(x, weight, padding=rate, dilation=rate) for rate in rates], dim=1)


def _check_pyramid(answer: Callable) -> None:
    calls = [
        Call.of(x, digits(out_channels, x.shape[1], 3, 3, dtype=x.dtype), rates)
        for x in _maps()
        for out_channels, rates in ((1, (1,)), (2, (2, 1)), (1, (1, 2, 3)), (3, (6, 12, 18)), (2, (4, 1, 9, 2)))
    ]
    compare(answer, _pyramid, calls, gradients=True)


def _parameters(given: int, out: int, rates: int, bias: int = 1, ones: int = 2) -> int:
    """Count as somebody would who forgets the biases, or one of the two 1 × 1 branches."""
    branches = (ones + 9 * rates) * given * out + (ones + rates) * out * bias
    return branches + (ones + rates) * out * out + out * bias


def _check_count_parameters(answer: Callable) -> None:
    def trusted(in_channels: int, out_channels: int, rates: tuple[int, ...]) -> int:
        return sum(one.numel() for one in aspp.ASPP(in_channels, out_channels, rates).parameters())

    larger = [(*map(int, torch.randint(3, 40, (2,))), tuple(range(1, whole(3, 8)))) for _ in range(3)]
    small = product((1, 2, 5), (1, 3), ((1,), (6, 12), (6, 12, 18)))
    compare(answer, trusted, [Call.of(*one) for one in (*small, *larger)])


def _check_taps_inside(answer: Callable) -> None:
    small = product((1, 2, 5), (1, 3, 4), (1, 2, 4, 6))
    larger = [(*_random_map(), rate) for rate in (1, 6, 18, 36)]
    compare(answer, _taps, [Call.of(*one) for one in (*small, *larger)], without=("conv",))


def _check_largest_rate(answer: Callable) -> None:
    def trusted(height: int, width: int, least: float) -> int:
        rates = range(1, max(height, width) + 1)
        return max((rate for rate in rates if _taps(height, width, rate) >= least * height * width), default=0)

    # Halves only: with them a mean that equals `least` is exactly equal, however it is computed.
    small = product((2, 5, 10), (3, 9, 15), (1.5, 2, 4, 6, 9))
    larger = [(*_random_map(), least) for least in (1.5, 3, 6.5)]
    larger += [(whole(60, 90), whole(90, 200), 1.5)]
    compare(answer, trusted, [Call.of(*one) for one in (*small, *larger)])


def _composed(weight: Tensor, project_weight: Tensor) -> Tensor:
    composed = weight.new_zeros(len(project_weight), *weight.shape[1:])
    for out, middle in product(*map(range, project_weight.shape[:2])):
        composed[out] += project_weight[out, middle, 0, 0] * weight[middle]
    return composed


def _check_compose(answer: Callable) -> None:
    def trusted(weight: Tensor, bias: Tensor, project_weight: Tensor, project_bias: Tensor) -> tuple[Tensor, Tensor]:
        composed_bias = project_bias.clone()
        for out, middle in product(*map(range, project_weight.shape[:2])):
            composed_bias[out] += project_weight[out, middle, 0, 0] * bias[middle]
        return _composed(weight, project_weight), composed_bias

    calls = []
    for (in_channels, middle, out), side, dtype in product(
        ((1, 1, 1), (1, 2, 1), (2, 1, 3), (3, 2, 4), (2, 3, 3)), (1, 3), (torch.float32, torch.float64)
    ):
        shapes = ((middle, in_channels, side, side), (middle,), (out, middle, 1, 1), (out,))
        draw = digits if dtype == torch.float32 else torch.randn
        calls.append(Call.of(*(draw(*shape, dtype=dtype) for shape in shapes)))
    compare(answer, trusted, calls)


def _aspp(x: Tensor, image: Tensor, point: Tensor, kernels: Tensor, rates: tuple[int, ...], join: Tensor) -> Tensor:
    # The book's layer puts the mean last.
    weights = {"pooled": image, "pointwise": point, "project": join.roll(-len(image), dims=1)}
    weights |= {f"dilated.{i}": kernel for i, kernel in enumerate(kernels)}
    given = {f"{name}.0.weight": weight for name, weight in weights.items()}
    given |= {f"{name}.0.bias": weight.new_zeros(len(weight)) for name, weight in weights.items()}
    return functional_call(aspp.ASPP(x.shape[1], len(image), rates), given, (x,))


def _check_aspp_by_hand(answer: Callable) -> None:
    # Single precision only where the mean over 2 or 8 pixels is exact, too: sums near zero leave no room for rounding.
    shapes = {(1, 1, 1, 2): torch.float32, (2, 1, 4, 2): torch.float32, (2, 3, 5, 7): torch.float64}
    calls = []
    settings = ((1, 1, (1,)), (2, 3, (2, 1)), (1, 2, (4, 1, 18, 2)))
    for (shape, dtype), (middle, out, rates) in product(shapes.items(), settings):
        points, taps = (middle, shape[1], 1, 1), (len(rates), middle, shape[1], 3, 3)
        x, image, point, kernels = (digits(*one, dtype=dtype) for one in (shape, points, points, taps))
        join = digits(out, (len(rates) + 2) * middle, 1, 1, dtype=dtype)
        calls.append(Call.of(x, image, point, kernels, rates, join))
    compare(answer, _aspp, calls, gradients=True)


def _check_branches_that_follow(answer: object) -> None:
    x, order = torch.randn(1, 2, 10, 15, dtype=torch.float64), torch.randperm(150)
    kernel, point = torch.randn(3, 2, 3, 3, dtype=torch.float64), torch.randn(3, 2, 1, 1, dtype=torch.float64)

    def shuffled(maps: Tensor) -> Tensor:
        return maps.flatten(2)[..., order].unflatten(2, (10, 15))

    branches = [lambda maps: functional.conv2d(maps, point)]
    branches += [lambda maps, rate=rate: _pyramid(maps, kernel, (rate,)) for rate in (6, 12, 18)]
    branches += [lambda maps: functional.adaptive_avg_pool2d(maps, 1).expand_as(maps)]
    agree(answer, tuple(torch.allclose(branch(shuffled(x)), shuffled(branch(x))) for branch in branches))


def _check_taps_at_two_strides(answer: object) -> None:
    maps = [(512 // stride, 768 // stride) for stride in (16, 32)]
    agree(answer, tuple(_taps(*size, 12) / (size[0] * size[1]) for size in maps), within=0.01)


def _check_reach_of_one_pixel(answer: object) -> None:
    # With ones as weights no sum can be zero by chance.
    x = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    x[..., 20, 20] = 1
    near = x + _pyramid(x, torch.ones(1, 1, 3, 3, dtype=torch.float64), (6, 12, 18)).sum(dim=1, keepdim=True)
    agree(answer, tuple(int(one.count_nonzero()) for one in (near + x.mean(), near)))


EXERCISES = (
    Exercise(
        "4.1",
        "image_level",
        _check_image_level,
        (
            "Which axes does the mean go over? The pictures of the batch, and the channels, stay apart.",
            "keepdim leaves (N, C, 1, 1). What makes a map of H × W from one pixel?",
            "Look up Tensor.expand_as: it repeats an axis of length 1 without copying it.",
        ),
        mistakes=(
            (2, "shape"),
            (1, "numbers"),
        ),
    ),
    Exercise(
        "4.2",
        "pyramid",
        _check_pyramid,
        (
            "Do it for one rate first: which padding keeps H and W?",
            "The outermost tap lies `rate` pixels away from the centre. That many pixels are missing at each edge.",
            "Collect the outputs in a list, one for each rate in the order given, and join them along the channels.",
        ),
        mistakes=(
            (3, lambda x, weight, rates: _pyramid(x, weight, sorted(rates))),
            (2, lambda x, weight, rates: _pyramid(x, weight, [1] * len(rates))),
            (2, "error"),
            (3, "shape"),
        ),
    ),
    Exercise(
        "4.3",
        "count_parameters",
        _check_count_parameters,
        (
            "A k × k convolution has k · k · in · out weights and out numbers as bias. How many of each are there?",
            "There are two 1 × 1 branches, one 3 × 3 branch per rate, and the projection. Does a rate cost parameters?",
            "The projection reads all branches, laid side by side: len(rates) + 2 times out_channels.",
        ),
        mistakes=(
            (1, lambda given, out, rates: _parameters(given, out, len(rates), bias=0)),
            (2, lambda given, out, rates: _parameters(given, out, 3)),
            (2, lambda given, out, rates: _parameters(given, out, len(rates), ones=1)),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "4.4",
        "taps_inside",
        _check_taps_inside,
        (
            "Take a row of `width` pixels and one tap, `rate` pixels to the right. For how many pixels is it inside?",
            "For width − rate of them, or none if the rate is larger. How many are that for all three taps of a row?",
            "A tap is inside if its row is and its column is. So count rows and columns apart, and multiply.",
        ),
        mistakes=(
            (2, lambda height, width, rate: (3 * height - 2 * rate) * (3 * width - 2 * rate)),
            (2, lambda height, width, rate: 9 * height * width),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "4.5",
        "largest_rate",
        _check_largest_rate,
        (
            "The book's valid_taps gives the mean for one rate. From which rate on is only the centre ever inside?",
            "The mean falls as the rate grows, so you may go through the rates in order.",
            "If not even rate 1 has enough, no rate is returned by a search. What does the task want then?",
        ),
        allows=(aspp.valid_taps,),
        mistakes=(
            (3, "error"),
            (3, "type"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "4.6",
        "compose",
        _check_compose,
        (
            "Write one output of the projection as a sum over the middle channels, and put the first convolution in.",
            "The new kernel of (out, in) is a sum over the middle channels: project[out, middle] · weight[middle, in].",
            "Such sums are torch.einsum's work. And what does the projection do to the first bias?",
        ),
        mistakes=(
            (3, lambda weight, bias, project, project_bias: (_composed(weight, project), project_bias)),
            (3, lambda weight, bias, project, project_bias: (_composed(weight, project), project[:, :, 0, 0] @ bias)),
            (2, "shape"),
            (1, "type"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "4.7",
        "aspp_by_hand",
        _check_aspp_by_hand,
        (
            "You have two parts already: the spread mean of 4.1, the pyramid of 4.2. Which weights does each part get?",
            "Kernel number i belongs to rate number i: zip walks through both. What the pyramid did with one kernel, do"
            " with each, at its own rate.",
            "Make a list of R + 2 maps of (N, O, H, W), with the mean in front, then the 1 × 1, then one for each rate."
            " Joined along the channels they are what `join` reads, and it is a 1 × 1 convolution like the others.",
        ),
        mistakes=(
            (3, lambda *given: _aspp(*given[:5], given[5].roll(len(given[1]), dims=1))),
            (2, lambda x, image, point, kernels, *more: _aspp(x, image, point, kernels[:1].expand_as(kernels), *more)),
            (2, lambda *given: _aspp(*given[:4], (1,) * len(given[4]), given[5])),
            (1, lambda x, image, point, *more: _aspp(x, point, image, *more)),
            (3, "error"),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "4.8",
        "branches_that_follow",
        _check_branches_that_follow,
        (
            "What does a branch read besides the pixel itself? If nothing, it does not mind where the pixel goes.",
            "How many taps of the kernel are on a map of 10 × 15 at each of the three rates, and at how many pixels?"
            " Look at the two tables below Figure 4.4.",
            "Does a sum mind the order of what is added up? And is a map that is the same everywhere changed by moving"
            " its pixels?",
        ),
        mistakes=(
            (2, (True, False, False, False, True)),
            (2, (True, False, True, True, True)),
            (3, (True, False, False, True, False)),
            (3, (True, False, False, False, False)),
            (1, (False, False, False, False, False)),
        ),
        kind="predict",
    ),
    Exercise(
        "4.9",
        "taps_at_two_strides",
        _check_taps_at_two_strides,
        (
            "The rate counts pixels of the map. How large is the map at stride 16, and at stride 32?",
            "One side of n pixels: the centre tap is inside n times, each of the two others n − 12 times. Divide by n.",
            "Rows and columns do not depend on each other, so their two means are multiplied.",
        ),
        mistakes=(
            (1, (5.625, 5.625)),
            (1, (9, 9)),
            (3, (5.625, 2.8125)),
            (3, (5.625, 1.40625)),
        ),
        kind="compute",
    ),
    Exercise(
        "4.10",
        "reach_of_one_pixel",
        _check_reach_of_one_pixel,
        (
            "Subtract the answer for the black map first: the biases are in both.",
            "Count with a small threshold, such as 1e-9, and not with one that you could see: a mean over 1681 pixels"
            " changes by little.",
            "Without the mean: one centre that all branches share, and then the outer taps of three kernels.",
        ),
        mistakes=(
            (2, (25, 25)),
            (3, (1681, 27)),
            (3, (1681, 1369)),
            (1, (1681, 1681)),
        ),
        kind="measure",
    ),
    Exercise(
        "4.11",
        "why_large_photographs_fail",
        None,
        (
            "How large is the map of a crop, and which taps of the three kernels are ever on it?",
            "What gradient does a weight get that has met only zeros? And what does it meet on a map of 80 × 120?",
        ),
        kind="explain",
    ),
)

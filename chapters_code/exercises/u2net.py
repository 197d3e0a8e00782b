"""Checks and hints of Chapter 09: the sizes, numbers and names in an RSU, its way and its shifts, a loss, F."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code import layers, u2net
from chapters_code.exercises.checking import Call, Exercise, agree, all_pairs, compare, whole
from chapters_code.metrics import max_f_measure

__all__ = ["EXERCISES"]


def _sizes(height: int, rows: int, columns: int) -> tuple[tuple[int, int], ...]:
    """Pool a map that has a size and no numbers, as an RSU does."""
    x = torch.empty(1, rows, columns, device="meta")
    sizes = [(rows, columns)]
    for _ in range(height - 2):
        x = functional.max_pool2d(x, 2, stride=2, ceil_mode=True)
        sizes.append(tuple(x.shape[-2:]))
    return (*sizes, sizes[-1])


def _convolutions(height: int, in_channels: int, mid_channels: int, out_channels: int) -> list[tuple[int, int, int]]:
    """List each convolution of an RSU: channels in and out, and how deep its map lies, 0 for the size of the input."""
    down = [(out_channels if depth == 0 else mid_channels, mid_channels, depth) for depth in range(height - 1)]
    bottom = [(mid_channels, mid_channels, height - 2)]
    up = [(2 * mid_channels, out_channels if depth == 0 else mid_channels, depth) for depth in range(height - 1)]
    return [(in_channels, out_channels, 0), *down, *bottom, *up]


def _floored(height: int, rows: int, columns: int) -> tuple[tuple[int, int], ...]:
    sizes = [(rows // 2**depth, columns // 2**depth) for depth in range(height - 1)]
    return (*sizes, sizes[-1])


def _check_map_sizes(answer: Callable) -> None:
    calls = [Call.of(*one) for one in product((2, 3, 4, 7), (1, 5, 33), (1, 8, 47))]
    calls += [Call.of(whole(2, 9), whole(1, 700), whole(1, 700)) for _ in range(6)]
    compare(answer, _sizes, calls)


def _learnt(height: int, *channels: int, bias: int = 1, norm: int = 2) -> int:
    """Count weights, biases, and the two numbers by which the normalisation scales and shifts each channel."""
    return sum(
        nn.Conv2d(given, wanted, 3, device="meta").weight.numel() + (bias + norm) * wanted
        for given, wanted, _ in _convolutions(height, *channels)
    )


def _check_parameters(answer: Callable) -> None:
    def trusted(height: int, in_channels: int, mid_channels: int, out_channels: int) -> int:
        return _learnt(height, in_channels, mid_channels, out_channels)

    channels = ((1, 1, 1), (1, 2, 3), (3, 1, 2), (2, 3, 1), (3, 16, 64), (64, 32, 128), (1024, 128, 256))
    calls = [Call.of(height, *one) for height, one in product((2, 3, 4, 7), channels)]
    calls += [Call.of(whole(2, 12), whole(1, 99), whole(1, 99), whole(1, 99)) for _ in range(6)]
    compare(answer, trusted, calls)


def _highest(side: int, least: int) -> int:
    height = 2
    while _sizes(height + 1, side, side)[-1][0] >= least:
        height += 1
    return height


def _check_highest(answer: Callable) -> None:
    def trusted(rows: int, columns: int, least: int) -> int:
        return _highest(min(rows, columns), least)

    sides = (2, 3, 4, 5, 9, 20, 33, 288, 320)
    calls = [Call.of(*one) for one in product(sides, sides, (2, 3, 5)) if min(one[:2]) >= one[2]]
    calls += [Call.of(whole(30, 900), whole(30, 900), whole(2, 30)) for _ in range(8)]
    compare(answer, trusted, calls)


def _work(height: int, channels: tuple[int, int, int], rows: int, columns: int) -> int:
    sizes = _sizes(height, rows, columns)
    return sum(
        sizes[depth][0] * sizes[depth][1] * nn.Conv2d(given, wanted, 3, device="meta").weight.numel()
        for given, wanted, depth in _convolutions(height, *channels)
    )


def _check_multiply_adds(answer: Callable) -> None:
    sizes = ((1, 1), (4, 6), (5, 3), (16, 24), (33, 47))
    some = ((1, 1, 1), (1, 2, 3), (3, 16, 64))
    calls = [Call.of(height, one, *size) for height, one, size in all_pairs((2, 3, 4, 7), some, sizes)]
    drawn = ((whole(2, 9), (whole(1, 50), whole(1, 50), whole(1, 50))) for _ in range(6))
    calls += [Call.of(*one, whole(1, 300), whole(1, 300)) for one in drawn]
    compare(answer, _work, calls)


def _settled_rsu(*settings: int) -> u2net.RSU:
    """An RSU in evaluation mode whose normalisations do something, so that none can be left out."""
    rsu = u2net.RSU(*settings).eval()
    for module in rsu.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.bias, 0.1, 0.5)
    return rsu


def _check_rsu_forward(answer: Callable) -> None:
    def trusted(rsu: u2net.RSU, x: Tensor) -> Tensor:
        return rsu(x)

    shapes = ((1, 1, 4, 6), (1, 1, 5, 3), (2, 1, 9, 14))
    calls = [
        Call.of(_settled_rsu(height, 1, 2, 3), torch.randn(*shape)) for shape, height in product(shapes, (2, 3, 5))
    ]
    calls.append(Call.of(_settled_rsu(4, 2, 1, 3), torch.randn(1, 2, 6, 9)))
    with torch.no_grad():
        compare(answer, trusted, calls, autograd=False)


def _bce(logits: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, target.to(logits))


def _check_stable_bce(answer: Callable) -> None:
    def pair(logits: Tensor) -> Call:
        return Call.of(logits, torch.randint(0, 2, logits.shape))

    # Each large one with both answers, the right and the wrong one.
    calls = [
        Call.of(torch.tensor([z]), torch.tensor([truth]))
        for z, truth in product((1.0, -2.0, 20.0, -20.0, 200.0, -200.0), (0, 1))
    ]
    calls += [pair(size * torch.randn(2, 3, 5)) for size in (1.0, 30.0)] + [pair(torch.randn(2, 1, 4, 3).double())]
    without = ("binary_cross_entropy", "soft_margin")
    compare(answer, _bce, calls, gradients=True, without=without)
    # At 0 the value alone: written with |z|, as in the chapter, the loss has a corner there that PyTorch gets wrong.
    compare(answer, _bce, [Call.of(torch.zeros(1), torch.tensor([truth])) for truth in (0, 1)], without=without)


def _official(name: str, first: int = 1, up: str = "d") -> str:
    """Translate a name; also as somebody would who counts from 0, or forgets the d."""
    part, *number, place, value = name.split(".")
    count = int(number[0]) + first if number else ""
    block = {"first": "rebnconvin", "down": f"rebnconv{count}", "up": f"rebnconv{count}{up}"}[part]
    return f"{block}.{ {'0': 'conv_s1', '1': 'bn_s1'}[place] }.{value}"


def _check_official_name(answer: Callable) -> None:
    def trusted(name: str) -> str:
        return _official(name)

    names = u2net.RSU(12, 1, 1, 1).state_dict()
    calls = [Call.of(name) for name in sorted(names, key=len)]
    compare(answer, trusted, calls)


def _f(chosen: Tensor, target: Tensor) -> Tensor:
    hits = (chosen & (target == 1)).sum().double()
    precision, recall = hits / chosen.sum(), hits / target.sum()
    return 1.3 * precision * recall / (0.3 * precision + recall) if hits > 0 else hits


def _best(prediction: Tensor, target: Tensor, ties: bool = True) -> Tensor:
    """Try every value as threshold; without ties, one pixel after the other in the order of their values."""
    order = prediction.flatten().argsort(descending=True)
    first = torch.zeros(prediction.numel(), dtype=torch.bool)
    found = [torch.zeros((), dtype=torch.float64)]
    for place in order:
        first[place] = True
        chosen = prediction >= prediction.flatten()[place] if ties else first.view_as(prediction)
        found.append(_f(chosen, target))
    return torch.stack(found).max()


def _check_max_f(answer: Callable) -> None:
    def trusted(prediction: Tensor, target: Tensor) -> Tensor:
        return _best(prediction, target)

    def drawn(*shape: int) -> Call:
        """Few values, so that many pixels tie; one pixel at least is object."""
        target = torch.randint(0, 2, shape)
        target[0, 0] = 1
        return Call.of(torch.randint(0, 5, shape).double() / 4, target)

    def written(prediction: list, target: list) -> Call:
        return Call.of(torch.tensor([prediction], dtype=torch.float64), torch.tensor([target]))

    calls = [
        written([0.5], [1]),
        written([0.0], [1]),
        written([0.5, 0.5], [1, 0]),
        written([0.5, 0.5], [0, 1]),
        written([0.9, 0.8], [0, 1]),
        written([0.1, 0.2, 0.9], [1, 1, 0]),
        written([0.3, 0.3 + 1e-9, 0.3 + 2e-9], [0, 1, 1]),
        written([0.9, 0.6, 0.3, 0.2, 0.1], [1, 0, 1, 0, 1]),
    ]
    calls += [drawn(*shape) for shape in ((2, 3), (4, 3), (6, 9))]
    # The object is the upper half, and the more certain one: to exchange rows and columns is a mistake.
    target = torch.tensor([[1] * 12] * 3 + [[0] * 12] * 3)
    calls.append(Call.of((torch.rand(6, 12, dtype=torch.float64) + target) / 2, target))
    compare(answer, trusted, calls, rough=True)  # 0.3 times a count is float32 to PyTorch


def _check_weights_that_work(answer: object) -> None:
    def working(rate: int) -> int:
        """Count the weights that some pixel of a map of 3 × 3 multiplies with another one."""
        kernel = torch.ones(1, 1, 3, 3, requires_grad=True)
        functional.conv2d(torch.ones(1, 1, 3, 3), kernel, padding=rate, dilation=rate).sum().backward()
        return int(kernel.grad.count_nonzero())

    agree(answer, tuple(map(working, (1, 2, 4, 8))))


def _check_two_f_measures(answer: object) -> None:
    def of_counts(chosen: int, right: int) -> float:
        """Score a map that says 1 to so many pixels of 1000, and 0 to the others; 90 are salient."""
        target = torch.zeros(1, 1000, dtype=torch.int64)
        target[:, :90] = 1
        chosen_map = torch.zeros(1, 1000)
        chosen_map[:, :right] = 1
        chosen_map[:, 90 : 90 + chosen - right] = 1
        return max_f_measure(chosen_map, target)

    agree(answer, (of_counts(50, 45), of_counts(162, 81)), within=0.006)


def _check_shift_that_is_kept(answer: object) -> None:
    torch.manual_seed(9)
    block = u2net.RSU(5, 1, 4, 4).eval().double()
    x = torch.randn(1, 1, 192, 192, dtype=torch.float64)
    with torch.no_grad():
        unmoved = block(x)
        apart = (
            (block(x.roll(step, -1)) - unmoved.roll(step, -1))[..., 88:104].abs().max().item() for step in range(1, 33)
        )
        agree(answer, next(step for step, difference in enumerate(apart, 1) if difference < 1e-9))


EXERCISES = (
    Exercise(
        "9.1",
        "map_sizes",
        _check_map_sizes,
        (
            "Between how many of the `height` convolutions on the way down is there a pooling? Not before the first,"
            " and not before the last.",
            "So there are `height` − 2 halvings, and a side that is odd is rounded up.",
            "Begin a list with the size of the input. Add a size for each halving, and the last one twice.",
        ),
        mistakes=(
            (3, "type"),
            (2, lambda height, rows, columns: _floored(height, rows, columns)),
            (1, "numbers"),
        ),
    ),
    Exercise(
        "9.2",
        "parameters",
        _check_parameters,
        (
            "A convolution of 3 × 3 from a to b channels has 9ab weights and b biases; the normalisation behind it has"
            " 2b numbers more.",
            "Write down the channels of all 2 · height convolutions, one below the other: the first one, down, bottom,"
            " up. Those on the way up take two maps.",
            "Only three of them have to do with other channels than mid: the first one and the two at the top. The rest"
            " comes in pairs, height − 2 of them, and the bottom once.",
        ),
        mistakes=(
            (1, lambda height, *channels: _learnt(height, *channels, norm=0)),
            (1, lambda height, *channels: _learnt(height, *channels, bias=0)),
            (1, lambda height, *channels: _learnt(height, *channels, norm=4)),
            (3, lambda height, *channels: _learnt(height + 1, *channels)),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "9.3",
        "highest",
        _check_highest,
        (
            "Try heights, beginning with 2. When is it too much?",
            "A height of 2 halves nothing. Each one more halves once more, and rounds up.",
            "Only the shorter side matters. Halve it for as long as what is left is not below `least`.",
        ),
        mistakes=(
            (3, lambda rows, columns, least: _highest(max(rows, columns), least)),
            (1, lambda rows, columns, least: _highest(min(rows, columns), least) + 1),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "9.4",
        "multiply_adds",
        _check_multiply_adds,
        (
            "A convolution of 3 × 3 from a to b channels does 9ab multiply-adds for each pixel that comes out.",
            "It is the sum of Exercise 9.2 without biases and norms, each term times the area of its map.",
            "The sizes are those of Exercise 9.1. Convolution `depth` on the way down and on the way up share a size;"
            " the bottom has that of the one above it.",
        ),
        mistakes=(
            (1, lambda height, channels, rows, columns: 2 * _work(height, channels, rows, columns)),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "9.5",
        "rsu_forward",
        _check_rsu_forward,
        (
            "Follow the cells of the chapter: rsu.first, rsu.down[0], halve, rsu.down[1], and so on. Keep each map.",
            "Do not halve before the last block on the way down: it is the bottom, and it stays at the size above.",
            "On the way up take the blocks in reverse. What came from below is resized to the kept map, the kept map"
            " comes second in the concatenation, and the first map is added at the end.",
        ),
        allows=(layers.conv_norm_relu,),
        mistakes=(
            (2, lambda rsu, x: rsu(x) - rsu.first(x)),
            (3, "numbers"),
            (2, "error"),
            (3, "shape"),
        ),
    ),
    Exercise(
        "9.6",
        "stable_bce",
        _check_stable_bce,
        (
            "With p = 1 / (1 + exp(−z)), write −log p and −log(1 − p) with z instead of p.",
            "They are log(1 + exp(−z)) and log(1 + exp(z)) = z + log(1 + exp(−z)). One of the two overflows; which, and"
            " when?",
            "log(1 + exp(z)) is the logarithm of a sum of two exponentials, of z and of 0, and torch.logaddexp can add"
            " such without overflow. What has to be taken away where the truth is 1?",
        ),
        mistakes=(
            (3, lambda logits, target: _bce(-logits, target)),
            (1, lambda logits, target: _bce(logits, target) * target.numel()),
            (2, "gradient"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "9.7",
        "official_name",
        _check_official_name,
        (
            "str.split cuts the name at its dots. What does each piece become?",
            "The pieces `first`, `down` and `up` decide the word; ours count from 0, theirs from 1; and `up` has a d"
            " behind the number.",
            "The next piece is 0 for the convolution, conv_s1, and 1 for the normalisation, bn_s1. Beware of doing it"
            " by str.replace: down.0.0 holds two zeros.",
        ),
        mistakes=(
            (2, lambda name: _official(name, first=0)),
            (2, lambda name: _official(name, up="")),
            (1, "error"),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "9.8",
        "max_f",
        _check_max_f,
        (
            "A threshold matters only when a pixel passes it: the values of the map are all the thresholds there are.",
            "Loop over them (torch.unique). For each, count the chosen pixels and the right ones among them; both"
            " precision and recall follow.",
            "If nothing chosen is right, F is 0 and not 0 / 0. Do not go through sorted *pixels*: equal ones pass"
            " together or not at all.",
        ),
        mistakes=(
            (3, lambda prediction, target: _best(prediction, target, ties=False)),
            (1, lambda prediction, target: _f(prediction >= 0.5, target)),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "9.9",
        "weights_that_work",
        _check_weights_that_work,
        (
            "A weight does nothing if its tap lies beyond the map for every pixel, and something if it lies on it for"
            " one.",
            "Put the kernel on a pixel in a corner, too. With rate 2, where lie its taps?",
            "The two pixels that are farthest from each other lie 2 steps apart. Which rates reach as far?",
        ),
        mistakes=((1, (9, 9, 9, 9)), (2, (9, 1, 1, 1)), (1, (4, 1, 1, 1)), (2, (4, 4, 1, 1)), (3, (9, 9, 9, 1))),
        kind="predict",
    ),
    Exercise(
        "9.10",
        "two_f_measures",
        _check_two_f_measures,
        (
            "P is a share of the chosen pixels, R one of the salient pixels. Write down both for each map; what do you"
            " see?",
            "In the formula β² = 0.3 stands beside P below the line, not beside R.",
            "The numerator is the same for both maps. Only the denominators differ: 0.3 of one number, and all of the"
            " other.",
        ),
        mistakes=((2, (0.64, 0.64)), (3, (0.56, 0.76)), (2, (0.84, 0.52)), (1, (0.7, 0.7))),
        kind="compute",
    ),
    Exercise(
        "9.11",
        "shift_that_is_kept",
        _check_shift_that_is_kept,
        (
            "Begin with a loop over the shifts from 1 to 32 that prints the largest difference of the sixteen columns.",
            "The windows of a pooling of 2 × 2 begin at even columns. Which numbers share a window after a shift by 1?"
            " And after one by 2?",
            "How often does an RSU-5 halve? Not five times. With each halving, a pixel of the small map stands for"
            " twice as many columns of `x`.",
        ),
        mistakes=((2, 1), (3, 2), (3, 4), (3, 16), (3, 32)),
        kind="measure",
    ),
    Exercise(
        "9.12",
        "what_the_sum_is_for",
        None,
        (
            "What must two maps have in common, so that they can be added?",
            "Put 0 in the place of the U in the formula of the block. Which block is left?",
            "What has been halved comes back coarse. Which of the two addends was never halved?",
        ),
        kind="explain",
    ),
)

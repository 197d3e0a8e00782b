"""Checks and hints of Chapter 08: reach and cost, one level by hand, folded scales, shifts, files, a gradient."""

import copy
from collections.abc import Callable
from functools import cache
from itertools import product

import pywt
import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code import wtconv
from chapters_code.exercises.checking import Asked, Call, Exercise, Wrong, agree, all_pairs, compare, digits, whole
from chapters_code.wavelets import haar_dwt2, haar_idwt2
from chapters_code.wtconv import WTConv2d

__all__ = ["EXERCISES"]


def _drawn(layer: nn.Module) -> nn.Module:
    """Return all that is learnt, scales included, random numbers that are not near 0."""
    for weight in layer.parameters():
        nn.init.uniform_(weight, 0.5, 1.5)
        weight.data *= torch.randint(0, 2, weight.shape) * 2 - 1
    return layer


def _need_wtconv(layer: object) -> WTConv2d:
    """Refuse what is no WTConv, or one that would not learn."""
    if not isinstance(layer, WTConv2d):
        given = "nothing (is a return missing?)" if layer is None else type(layer).__name__
        raise Wrong(f"A WTConv2d was wanted, there is {given}.")
    frozen = [name for name, weight in layer.named_parameters() if not weight.requires_grad]
    if frozen:
        raise Wrong(f"Your WTConv2d does not learn: {frozen[0]} has requires_grad=False, and it should be True.")
    return layer


def _check_seen_from(answer: Callable) -> None:
    def trusted(place: int, kernel_size: int, levels: int) -> tuple[int, int]:
        first = last = place
        for _ in range(levels):  # up to the block that holds the pixel
            first, last = first // 2, last // 2
        first, last = first - kernel_size // 2, last + kernel_size // 2
        for _ in range(levels):  # and down: a block becomes two
            first, last = 2 * first, 2 * last + 1
        return first, last

    small = product((0, 1, 2, 3, 7, 8, 40), (1, 3, 5), (1, 2, 3))
    larger = [(whole(100, 5000), 2 * whole(1, 6) + 1, whole(4, 7)) for _ in range(10)]
    compare(answer, trusted, [Call.of(*one) for one in (*small, *larger)])


@cache
def _learnt(channels: int, kernel_size: int, levels: int, bias: bool) -> int:
    with torch.device("meta"):
        layer = WTConv2d(channels, channels, kernel_size, bias=bias, wt_levels=levels)
    return sum(one.numel() for one in layer.parameters())


def _check_parameters(answer: Callable) -> None:
    def trusted(channels: int, kernel_size: int, levels: int, bias: bool) -> tuple[int, int]:
        side = kernel_size * 2**levels
        return _learnt(channels, kernel_size, levels, bias), channels * (side**2 + bias)

    small = all_pairs((1, 2, 3), (1, 3, 5), (1, 2, 3), (False, True))
    larger = [(whole(20, 300), 2 * whole(1, 6) + 1, whole(1, 6), bias) for bias in (False, True)]
    compare(answer, trusted, [Call.of(*one) for one in (*small, *larger)])


def _check_one_level(answer: Callable) -> None:
    def trusted(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        signs = torch.tensor([[[1, 1], [1, 1]], [[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]]])
        channels, taps = x.shape[1], (signs.to(x)[:, None] / 2).repeat(x.shape[1], 1, 1, 1)
        padded = functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        bands = functional.conv2d(padded, taps, stride=2, groups=channels)
        bands = functional.conv2d(bands, weight, padding=weight.shape[-1] // 2, groups=4 * channels) * scale
        joined = functional.conv_transpose2d(bands, taps, stride=2, groups=channels)
        return joined[..., : x.shape[2], : x.shape[3]]

    calls = [
        Call.of(
            torch.randn(n, channels, *size, dtype=torch.float64),
            torch.randn(4 * channels, 1, taps, taps, dtype=torch.float64),
            torch.randn(1, 4 * channels, 1, 1, dtype=torch.float64),
        )
        for (n, channels), size, taps in all_pairs(
            ((1, 1), (1, 2), (2, 3)), ((2, 4), (6, 4), (3, 5), (4, 7)), (1, 3, 5)
        )
    ]
    compare(answer, trusted, calls, gradients=True)


def _check_fold(answer: Callable) -> None:
    # In float64, and with small numbers: it must not matter in which order the answer multiplies.
    x = torch.randn(2, 3, 7, 10, dtype=torch.float64) / 10

    def output(layer: WTConv2d, channels: int) -> Tensor:
        with torch.no_grad():
            return copy.deepcopy(layer).double()(x[:, :channels]).float()  # the layer's own numbers are float32

    def scales(layer: WTConv2d) -> Tensor:
        found = [value.flatten() for name, value in layer.state_dict().items() if "scale" in name]
        return torch.cat(found) if found else torch.empty(0)

    def ask(folded: object, layer: WTConv2d) -> tuple[Tensor, Tensor]:
        return output(_need_wtconv(folded), layer.channels), scales(folded)

    def trusted(layer: WTConv2d) -> tuple[Tensor, Tensor]:
        return output(layer, layer.channels), torch.ones_like(scales(layer))

    calls = [
        Call.of(_drawn(WTConv2d(channels, channels, taps, stride, bias, levels)))
        for channels, taps, stride, bias, levels in all_pairs((1, 3), (1, 3), (1, 2), (False, True), (1, 2))
    ]
    compare(Asked(answer, ask), trusted, calls)


def _coarse(height: int, width: int) -> nn.Sequential:
    """Replace each block by its mean."""
    return nn.Sequential(nn.AvgPool2d((height, width)), nn.Upsample(scale_factor=(float(height), float(width))))


def _check_period(answer: Callable) -> None:
    def trusted(layer: nn.Module, largest: int) -> int:
        x = torch.zeros(1, 1, 4, 480, dtype=torch.float64)
        x[..., 240:252] = torch.randn(1, 1, 4, 12, dtype=torch.float64)
        with torch.no_grad():
            out = layer(x)
            return next(
                shift
                for shift in range(1, largest + 1)
                if torch.allclose(layer(x.roll(shift, 3)), out.roll(shift, 3), rtol=0, atol=1e-9)
            )

    def wavelets(levels: int) -> WTConv2d:
        return _drawn(WTConv2d(1, 1, 3, bias=False, wt_levels=levels, fast=False))

    layers = [
        (nn.Conv2d(1, 1, 3, padding=1, bias=False), 1),
        (_coarse(2, 1), 1),
        (_coarse(1, 2), 2),
        (wavelets(1), 2),
        (_coarse(2, 3), 3),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.ReLU(), _coarse(1, 5)), 5),
        (wavelets(2), 4),
        (nn.Sequential(wavelets(1), _coarse(1, 3)), 6),
        (nn.Sequential(wavelets(1), nn.ReLU(), wavelets(2)), 4),
        (wavelets(3), 8),
        (nn.Sequential(wavelets(1), _coarse(1, 5)), 10),
        (nn.Sequential(wavelets(2), _coarse(1, 3)), 12),
    ]
    calls = [Call.of(layer.double().requires_grad_(False), least + more) for layer, least in layers for more in (0, 3)]
    compare(answer, trusted, calls)


def _check_settings_of(answer: Callable) -> None:
    calls, right = [], {}
    for (channels, taps, bias, levels, wavelet), prefix in product(
        [
            (3, 5, True, 1, "db1"),
            (4, 3, False, 2, "db1"),
            (2, 7, True, 3, "db2"),
            (2, 3, False, 11, "db1"),  # a number with two digits, always
            (whole(5, 30), 2 * whole(2, 6) + 1, False, whole(4, 12), "db1"),
        ],
        ("", "features.1.conv."),
    ):
        layer = WTConv2d(channels, channels, taps, bias=bias, wt_levels=levels, wt_type=wavelet)
        shapes = {prefix + name: tuple(value.shape) for name, value in layer.state_dict().items()}
        if prefix:  # other layers beside it: one's name goes on where this one's does, one's ends as this one's
            other = WTConv2d(5, 5, 9, wt_levels=5).state_dict()
            # Once there is also one whose names have nothing in front.
            for beside in ("features.10.conv.", "old.features.1.conv.", *[""][: levels == 11]):
                shapes |= {beside + name: tuple(value.shape) for name, value in other.items()}
            shapes |= {"features.1.norm.bias": (5,), "features.1.norm.weight": (5,)}
        right[str(shapes), prefix] = (channels, taps, bias, levels, len(layer.wt_filter[0, 0]))
        calls.append(Call.of(shapes, prefix))

    def trusted(shapes: dict[str, tuple], prefix: str) -> tuple[int, int, bool, int, int]:
        return right[str(shapes), prefix]

    compare(answer, trusted, calls)


def _host(training: bool, old_training: bool) -> nn.Sequential:
    """Make a small network with depthwise convolutions of several kinds, whose mode may be another than its own."""
    block = nn.Sequential(nn.Conv2d(4, 4, 5, padding=2, groups=4), nn.ReLU())
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, 2, 1, groups=4, bias=False), block)
    network.train(training)
    for old in (network[1], block[0]):
        old.train(old_training)
    return network


def _memory(network: nn.Module) -> set[int]:
    return {value.untyped_storage().data_ptr() for value in (*network.parameters(), *network.buffers())}


def _check_swap_one(answer: Callable) -> None:
    def trusted(network: nn.Module, name: str, wt_levels: int) -> nn.Module:
        swapped = copy.deepcopy(network)
        old = network.get_submodule(name)
        new = WTConv2d(
            old.in_channels, old.out_channels, old.kernel_size[0], old.stride[0], old.bias is not None, wt_levels
        )
        new.base_conv.load_state_dict(old.state_dict())
        for convolution in new.wavelet_convs:
            nn.init.zeros_(convolution.weight)
        swapped.set_submodule(name, new.train(old.training))
        return swapped

    x = torch.randn(1, 1, 9, 14)

    def output(network: nn.Module) -> Tensor:
        with torch.no_grad():
            return network(x)

    def numbers(swapped: object, *_: object) -> object:
        if isinstance(swapped, nn.Module):
            swapped = copy.deepcopy(swapped)
            with torch.no_grad():
                for weight in swapped.parameters():
                    weight += 0.0  # −0 becomes 0
        return swapped

    def behaviour(swapped: nn.Module, network: nn.Module, name: str, wt_levels: int) -> Tensor:
        _need_wtconv(swapped.get_submodule(name))
        if _memory(swapped) & _memory(network):
            raise Wrong(
                "Your network has weights in the same memory as the one that was given: who trains one of them changes"
                " the other. Copy the whole network, and copy the old layer's numbers into the new one."
            )
        return output(swapped)

    def expected(network: nn.Module, name: str, wt_levels: int) -> Tensor:
        return output(trusted(network, name, wt_levels))

    settings = all_pairs((False, True), (False, True), ("1", "2.0"), (1, 2))
    calls = [Call.of(_host(*modes), name, levels) for *modes, name, levels in settings]
    compare(Asked(answer, numbers), trusted, calls)
    # The stride is not among the numbers that a layer holds: it shows in what comes out.
    compare(Asked(answer, behaviour), expected, calls)


def _check_weight_gradient(answer: Callable) -> None:
    def trusted(x: Tensor, gradient: Tensor, kernel_size: int) -> Tensor:
        weight = x.new_zeros(x.shape[1], 1, kernel_size, kernel_size, requires_grad=True)
        out = functional.conv2d(x, weight, padding=kernel_size // 2, groups=len(weight))
        return torch.autograd.grad(out, weight, gradient)[0]

    calls = [
        Call.of(*(digits(n, channels, *size, dtype=torch.float64) for _ in range(2)), taps)
        for (n, channels), size, taps in all_pairs(
            ((1, 1), (2, 1), (1, 3), (2, 3)), ((1, 2), (3, 5), (6, 4)), (1, 3, 5)
        )
    ]
    calls.append(Call.of(*torch.randn(2, 2, 3, 4, 5, dtype=torch.float64), 3))
    compare(answer, trusted, calls, autograd=False, without=("convolution_backward",))


def _check_one_bright_pixel(answer: object) -> None:
    picture = torch.zeros(16, 16, dtype=torch.float64)
    picture[5, 10] = 1
    averages, *details = pywt.wavedec2(picture.numpy(), "haar", level=2)
    out = pywt.waverec2([averages, *(tuple(0 * band for band in step) for step in details)], "haar")
    agree(answer, (int((out > 1e-9).sum()), out.max()), within=1e-4)


def _check_cheapest_reach(answer: object) -> None:
    far = [(kernel, levels) for kernel in (3, 5, 7) for levels in (4, 5, 6) if kernel * 2**levels >= 100]
    numbers, kernel, levels = min((_learnt(1, *one, True), *one) for one in far)
    agree(answer, (kernel, levels, numbers))


def _check_one_kernel_for_all(answer: object) -> None:
    # One kernel in all bands of a level is a convolution with dilation 2 of what is split there: of block means.
    kernels = torch.randn(3, 1, 1, 5, 5, dtype=torch.float64)
    speck = torch.zeros(1, 1, 8, 160, dtype=torch.float64)
    speck[..., 72:84] = torch.randn(8, 12)

    def layer(x: Tensor, levels: int) -> Tensor:
        out = torch.zeros_like(x)
        for level, kernel in enumerate(kernels[:levels]):
            means = functional.avg_pool2d(x, 2**level)
            coarse = functional.conv2d(means, kernel, padding=4, dilation=2)
            out += functional.interpolate(coarse, scale_factor=float(2**level), mode="nearest")
        return out

    def follows(levels: int, shift: int) -> bool:
        return torch.allclose(
            layer(speck.roll(shift, 3), levels), layer(speck, levels).roll(shift, 3), rtol=0, atol=1e-9
        )

    agree(answer, tuple(next(shift for shift in range(1, 9) if follows(levels, shift)) for levels in (1, 2, 3)))


EXERCISES = (
    Exercise(
        "8.1",
        "seen_from",
        _check_seen_from,
        (
            "In which block of 2 · 2 · … pixels does the pixel lie? Number the blocks from 0 on.",
            "The kernel's middle stands on that block, and half of its taps, rounded down, lie to the left of it.",
            "With block = 2 to the power of levels: the first block is place // block − kernel_size // 2. Where does"
            " it begin, in pixels? And how many pixels follow?",
        ),
        mistakes=(
            (2, lambda place, kernel, levels: (place - kernel // 2 * 2**levels, place + kernel // 2 * 2**levels)),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "8.2",
        "parameters",
        _check_parameters,
        (
            "Count for one channel, and multiply at the end.",
            "One channel has one kernel at full size, and four in each level. Each kernel has one scale. Who has a"
            " bias?",
            "The single kernel has as many rows as the last level reaches: kernel_size, doubled `levels` times. It has"
            " a bias if the layer has one.",
        ),
        mistakes=(
            (
                3,
                lambda channels, kernel, levels, bias: (
                    _learnt(channels, kernel, levels, bias),
                    channels * (kernel**2 + bias),
                ),
            ),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "8.3",
        "one_level",
        _check_one_level,
        (
            "haar_dwt2 gives four tensors (N, C, H', W'). The kernels want (N, 4C, H', W'), and in which order?",
            "a, h, v, d of the first channel, then of the second: stack them on a new axis behind the channels, and"
            " flatten the two. On the way back, unflatten and unbind.",
            "An odd side: the layer lets zeros follow, and haar_dwt2 would use the last row twice. So pad first, with"
            " functional.pad, and cut at the end.",
        ),
        allows=(
            haar_dwt2,
            haar_idwt2,
        ),
        mistakes=(
            (3, "shape"),
            (3, "error"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "8.4",
        "fold",
        _check_fold,
        (
            "A scale times a convolution is a convolution with scaled weights. Work on a copy of the layer.",
            "Kernels are (C, 1, k, k), and scales (1, C, 1, 1): the channel must come to the first place,"
            " scale.weight.transpose(0, 1).",
            "The bias is scaled, too; it is (C,). And do not forget to set the scales to 1.",
        ),
        allows=(WTConv2d, wtconv._check_filters),
        mistakes=(
            (1, "changed"),
            (2, "error"),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "8.5",
        "period",
        _check_period,
        (
            "Build a picture of zeros with some random numbers in the middle, so that no border is in play.",
            "For each shift, compare two things: the layer of the rolled picture, and the rolled output of the layer.",
            "x.roll(shift, 3) moves along columns. Take float64, as the layers do, and allow differences of 1e-9.",
        ),
        allows=(WTConv2d, wtconv._check_filters),
        mistakes=(
            (2, "numbers"),
            (2, "type"),
        ),
    ),
    Exercise(
        "8.6",
        "settings_of",
        _check_settings_of,
        (
            "Which of the names tells how many channels there are, and how large a kernel is?",
            "base_conv.weight is (C, 1, k, k), and wt_filter is (4C, 1, taps, taps). A bias is there or it is not.",
            "Levels: count the names that begin with the prefix and then wavelet_convs. All that begins otherwise"
            " belongs to other layers.",
        ),
        mistakes=(
            (1, "value 1 of 5"),
            (1, "value 2 of 5"),
            (2, "value 3 of 5"),
            (2, "value 5 of 5"),
            (1, "error"),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "8.7",
        "swap_one",
        _check_swap_one,
        (
            "network.get_submodule(name) gives the old layer. What must the new one have in common with it?",
            "Kernel size, stride, whether there is a bias, and the mode: network.eval() reaches only layers that are in"
            " it already. base_conv takes the old layer's state_dict.",
            "Zeros in the kernels of the bands, nn.init.zeros_; and set_submodule(name, new) puts it into the copy.",
        ),
        allows=(WTConv2d, wtconv._check_filters),
        mistakes=(
            (2, "mode"),
            (2, "base_conv"),
            (3, "wavelet_convs"),
            (1, "requires_grad"),
            (3, "error"),
            (2, "numbers"),
            (2, "shape"),
        ),
    ),
    Exercise(
        "8.8",
        "weight_gradient",
        _check_weight_gradient,
        (
            "One tap multiplies, at each place, the pixel that lies under it. Which sum is its gradient?",
            "Pixel times gradient, added over all places and pictures: the picture, convolved with the gradient as its"
            " kernel.",
            "The layer's padding is that of the picture here, too; k × k numbers come out. To have all pictures and"
            " channels in one call, make groups of them: N · C channels in a single picture, and then add over N.",
        ),
        mistakes=(
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "8.9",
        "one_bright_pixel",
        _check_one_bright_pixel,
        (
            "Where do the pixels of one number of a, on the second level, lie?",
            "On the way down a step halves the sum of four pixels; on the way up it halves what it hands to each of"
            " them.",
        ),
        mistakes=((1, (1, 1)), (1, (4, 0.25)), (2, (16, 0.25)), (2, (16, 1)), (1, (25, 0.04)), (1, (400, 0.0025))),
        kind="predict",
    ),
    Exercise(
        "8.10",
        "cheapest_reach",
        _check_cheapest_reach,
        (
            "For each of the three kernels: how often must it be doubled to reach 100 pixels? 96 are too few.",
            "Then count (1 + 4L) kernels with k² weights each, the scales and the bias, and compare.",
            "Each kernel has a scale, and the channel has one bias.",
        ),
        mistakes=(
            (1, (3, 5, 211)),
            (2, (7, 4, 851)),
            (2, (5, 5, 547)),
            (3, (3, 6, 225)),
            (3, (3, 6, 226)),
            (3, (3, 6, 250)),
        ),
        kind="compute",
    ),
    Exercise(
        "8.11",
        "one_kernel_for_all",
        _check_one_kernel_for_all,
        (
            "Build the layer, change the kernels of all its levels within torch.no_grad(), and only then ask for the"
            " errors, as the table of *Which shifts it follows* does.",
            "Are the kernels changed in every level? wavelet_convs holds one convolution for each, and its weight has"
            " one kernel for each band of each channel.",
            "The first level alone follows every shift; think of the second as standing on blocks of 2 × 2.",
        ),
        mistakes=((1, (2, 4, 8)), (2, (1, 4, 8)), (3, (1, 1, 1))),
        kind="measure",
    ),
    Exercise(
        "8.12",
        "why_not_every_shift",
        None,
        (
            "Take columns 0 to 3 in blocks of two, and move the picture by one column. Which pixels share a block now?",
            "If all four bands had the same kernel, would it matter which band holds what? (Exercise 8.11.)",
            "Around what does the dilated kernel stand, the pixel or a block? And which pixels lie between its taps?",
        ),
        kind="explain",
    ),
)

"""Variants of Chapter 08."""

import copy
import math
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code import wtconv
from chapters_code.exercises import wtconv as original
from chapters_code.exercises.checking import Asked, Call, Exercise, Wrong, all_pairs, compare, digits, whole
from chapters_code.wavelets import haar_dwt2, haar_idwt2
from chapters_code.wtconv import WTConv2d
from classroom.variants import Variant

__all__ = ["VARIANTS"]


# ---- 8.1b ---------------------------------------------------------------------------------------


def _check_seen_through(answer):
    def trusted(place: int, layers: tuple[tuple[int, int], ...]) -> tuple[int, int]:
        first = last = place
        for kernel_size, levels in layers[::-1]:
            for _ in range(levels):  # up to the blocks that hold the two
                first, last = first // 2, last // 2
            first, last = first - kernel_size // 2, last + kernel_size // 2
            for _ in range(levels):  # and down: a block becomes two
                first, last = 2 * first, 2 * last + 1
        return first, last

    one = (1, 3, 5), (1, 2, 3)
    kinds = [((3, 1),), *(pair for pair in product(product(*one), repeat=2)), ((3, 1), (1, 3), (5, 2))]
    calls = [Call.of(place, layers) for layers in kinds for place in (0, 3, 5, whole(50, 5000))]
    compare(answer, trusted, calls)


def seen_through(place, layers):
    """From the last layer back to the first. What a layer sees begins and ends with whole blocks, but these are blocks
    of *its* size. The layer before has others, so both ends are put into its blocks anew.
    """
    first = last = place
    for kernel_size, levels in reversed(layers):
        block = 2**levels
        first = (first // block - kernel_size // 2) * block
        last = (last // block + kernel_size // 2 + 1) * block - 1
    return first, last


# ---- 8.2b ---------------------------------------------------------------------------------------


def _check_products(answer):
    def trusted(height: int, width: int, kernel_size: int, levels: int) -> tuple[int, int]:
        with torch.device("meta"):  # shapes, and no numbers
            layer, x = WTConv2d(1, 1, kernel_size, wt_levels=levels, fast=False), torch.empty(1, 1, height, width)
            maps = [layer.base_conv(x)]
            for convolution in layer.wavelet_convs:
                bands = layer.split(x)
                maps.append(convolution(bands))
                x = bands[:, ::4]
        side = kernel_size * 2**levels
        return kernel_size**2 * sum(one.numel() for one in maps), side**2 * height * width

    sizes = (1, 2, 5, 8, 12)
    calls = [Call.of(*one) for one in all_pairs(sizes, sizes, (1, 3, 5), (1, 2, 3))]
    calls += [Call.of(whole(20, 300), whole(20, 300), 2 * whole(1, 4) + 1, levels) for levels in (4, 5)]
    compare(answer, trusted, calls)


def products(height, width, kernel_size, levels):
    """The base has k² products for each pixel. A level has four bands of a quarter of the pixels, so as many as the
    base, the next one a quarter of that, and so on: all levels together cost no more than 4/3 of the base. The dense
    kernel costs four times as much with each doubling.
    """
    side, pixels = kernel_size * 2**levels, height * width
    dense = pixels * side**2
    for _ in range(levels):
        height, width = (height + 1) // 2, (width + 1) // 2
        pixels += 4 * height * width
    return pixels * kernel_size**2, dense


# ---- 8.3b ---------------------------------------------------------------------------------------


def _check_details_level(answer):
    def trusted(x: Tensor, weight: Tensor) -> Tensor:
        layer = WTConv2d(x.shape[1], x.shape[1], 1, fast=False)
        bands = layer.split(x).unflatten(1, (-1, 4))
        details = functional.conv2d(bands[:, :, 1:].flatten(1, 2), weight, padding="same", groups=len(weight))
        bands = torch.cat([bands[:, :, :1], details.unflatten(1, (-1, 3))], dim=2)
        return layer.join(bands.flatten(1, 2))[..., : x.shape[2], : x.shape[3]]

    kinds = all_pairs(((1, 1), (1, 2), (2, 3)), ((2, 4), (6, 4), (3, 5), (4, 7)), (1, 3, 5))
    calls = [
        Call.of(torch.randn(n, channels, *size).double(), torch.randn(3 * channels, 1, taps, taps).double())
        for (n, channels), size, taps in kinds
    ]
    calls += [Call.of(digits(2, 2, 6, 5).mT, digits(6, 1, 3, 3))]
    compare(answer, trusted, calls, gradients=True)


def details_level(x, weight):
    """Zeros first, for `haar_dwt2` would use the last row twice. The averages wait aside; the three details of each
    channel lie behind each other, as their kernels do, and are taken apart again for the way back.
    """
    height, width = x.shape[2:]
    a, *details = haar_dwt2(functional.pad(x, (0, width % 2, 0, height % 2)))
    details = torch.stack(details, dim=2).flatten(1, 2)
    details = functional.conv2d(details, weight, padding=weight.shape[-1] // 2, groups=len(weight))
    return haar_idwt2([a, *details.unflatten(1, (-1, 3)).unbind(2)], size=(height, width))


# ---- 8.4b ---------------------------------------------------------------------------------------


def _check_deepen(answer):
    # In float64, and with small numbers, as for the original.
    x = torch.randn(2, 3, 7, 10, dtype=torch.float64) / 10

    def output(layer: WTConv2d, channels: int) -> Tensor:
        with torch.no_grad():
            return copy.deepcopy(layer).double()(x[:, :channels])

    def ask(deeper: object, layer: WTConv2d) -> tuple:
        original._need_wtconv(deeper)
        if original._memory(deeper) & original._memory(layer):
            raise Wrong("Your layer has weights in the same memory as the one that was given: copy the numbers.")
        last = deeper.wavelet_convs[-1].weight.detach().abs(), deeper.wavelet_scale[-1].weight.detach()
        return output(deeper, layer.channels), deeper.wt_levels, *last

    def trusted(layer: WTConv2d) -> tuple:
        taps = layer.base_conv.kernel_size
        last = torch.zeros(4 * layer.channels, 1, *taps), torch.full((1, 4 * layer.channels, 1, 1), 0.1)
        return output(layer, layer.channels), len(layer.wavelet_convs) + 1, *last

    calls = [
        Call.of(original._drawn(WTConv2d(channels, channels, taps, stride, bias, levels)))
        for channels, taps, stride, bias, levels in all_pairs((1, 3), (1, 3), (1, 2), (False, True), (1, 2))
    ]
    compare(Asked(answer, ask), trusted, calls)


def deepen(layer):
    """A level more is a layer of its own, since the levels are made when it is. All names that the old layer has are in
    the new one, so its numbers can be loaded, if those that are missing may be. With zeros in the new kernels nothing
    changes yet, and since their scale is 0.1 and not 0, they learn from the first step on.
    """
    convolution = layer.base_conv
    has_bias = convolution.bias is not None
    levels = layer.wt_levels + 1
    deeper = WTConv2d(layer.channels, layer.channels, convolution.kernel_size[0], layer.stride, has_bias, levels)
    deeper.load_state_dict(layer.state_dict(), strict=False)
    nn.init.zeros_(deeper.wavelet_convs[-1].weight)
    return deeper


# ---- 8.5b ---------------------------------------------------------------------------------------


def _check_period_of_halving(answer):
    def trusted(layer: nn.Module, largest: int) -> int:
        x = torch.zeros(1, 1, 8, 480, dtype=torch.float64)
        x[..., 240:252] = torch.randn(1, 1, 8, 12, dtype=torch.float64)
        with torch.no_grad():
            out = layer(x)
            return next(
                shift
                for shift in range(2, largest + 1, 2)
                if torch.allclose(layer(x.roll(shift, 3)), out.roll(shift // 2, 3), rtol=0, atol=1e-9)
            )

    def wavelets(levels: int, stride: int = 2) -> WTConv2d:
        return original._drawn(WTConv2d(1, 1, 3, stride, bias=False, wt_levels=levels, fast=False))

    def plain() -> nn.Conv2d:
        return nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False)

    negative = plain()  # with a ReLU behind it, a speck of positive numbers alone leaves nothing
    negative.weight.data.abs_().neg_()
    layers = [
        (plain(), 2),
        (wavelets(1), 2),
        (nn.Sequential(plain(), original._coarse(2, 1)), 2),
        (nn.Sequential(wavelets(1, 1), nn.ReLU(), wavelets(1)), 2),
        (nn.Sequential(plain(), original._coarse(1, 2)), 4),
        (wavelets(2), 4),
        (nn.Sequential(negative, nn.ReLU(), original._coarse(2, 3)), 6),
        (nn.Sequential(original._coarse(1, 3), wavelets(1)), 6),
        (wavelets(3), 8),
        (nn.Sequential(wavelets(1), original._coarse(1, 5)), 10),
        (nn.Sequential(wavelets(2), original._coarse(1, 3)), 12),
    ]
    calls = [Call.of(layer.double().requires_grad_(False), least + more) for layer, least in layers for more in (0, 3)]
    compare(answer, trusted, calls)


def period_of_halving(layer, largest):
    """A speck of random numbers far from any border. Moved by s columns before the layer, it should come out moved by
    s / 2, so only even shifts are asked. A stride of 2 behind the levels asks for no more than a shift by 2, which they
    ask for themselves; what comes behind the stride counts double.
    """
    x = torch.zeros(1, 1, 8, 480, dtype=torch.float64)
    x[..., 240:252] = torch.randn(8, 12, dtype=torch.float64)
    out = layer(x)
    for shift in range(2, largest + 1, 2):
        if (layer(x.roll(shift, 3)) - out.roll(shift // 2, 3)).abs().max() < 1e-9:
            return shift


# ---- 8.6b ---------------------------------------------------------------------------------------


def _check_reach_and_numbers(answer):
    calls, right = [], {}
    for (channels, taps, bias, levels), prefix in product(
        [
            (3, 5, True, 1),
            (4, 3, False, 2),
            (2, 7, True, 3),
            (2, 3, False, 11),  # a number with two digits, always
            (whole(5, 30), 2 * whole(2, 6) + 1, False, whole(4, 12)),
        ],
        ("", "features.1.conv."),
    ):
        layer = WTConv2d(channels, channels, taps, bias=bias, wt_levels=levels)
        shapes = {prefix + name: tuple(value.shape) for name, value in layer.state_dict().items()}
        if prefix:  # other layers beside it: one's name goes on where this one's does, one's ends as this one's
            other = WTConv2d(5, 5, 9, wt_levels=5).state_dict()
            for beside in ("features.10.conv.", "features.1.conv2.", "old.features.1.conv."):
                shapes |= {beside + name: tuple(value.shape) for name, value in other.items()}
            shapes |= {"features.1.norm.bias": (5,), "features.1.norm.weight": (5,)}
        right[str(shapes), prefix] = taps * 2**levels, sum(one.numel() for one in layer.parameters())
        calls.append(Call.of(shapes, prefix))

    def trusted(shapes: dict[str, tuple], prefix: str) -> tuple[int, int]:
        return right[str(shapes), prefix]

    compare(answer, trusted, calls)


def reach_and_numbers(shapes, prefix):
    """The kernel size stands in every kernel's shape, and the levels are counted by their names. All that the layer
    stores is learnt but two entries: the wavelet's filters, which never change.
    """
    mine = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    levels = sum(name.startswith("wavelet_convs.") for name in mine)
    numbers = sum(math.prod(shape) for name, shape in mine.items() if "filter" not in name)
    return mine["base_conv.weight"][-1] * 2**levels, numbers


# ---- 8.7b ---------------------------------------------------------------------------------------


def _host(training: bool, old_training: bool) -> nn.Sequential:
    """Make a small network with WTConvs of two kinds, whose mode may be another than its own."""
    first, second = WTConv2d(4, 4, 3, stride=2, bias=False), WTConv2d(4, 4, 5, wt_levels=2)
    block = nn.Sequential(original._drawn(second), nn.ReLU())
    network = nn.Sequential(nn.Conv2d(1, 4, 1), original._drawn(first), block).train(training)
    for old in (first, second):
        old.train(old_training)
    return network


def _check_swap_back(answer):
    def trusted(network: nn.Module, name: str) -> nn.Module:
        swapped = copy.deepcopy(network)
        old = network.get_submodule(name)
        base, scale = old.base_conv, old.base_scale.weight.detach().flatten()
        new = nn.Conv2d(
            *(old.channels, old.channels, base.kernel_size, old.stride),
            *(base.kernel_size[0] // 2, 1, old.channels, base.bias is not None),
        )
        new.weight.data = base.weight.detach() * scale[:, None, None, None]
        if base.bias is not None:
            new.bias.data = base.bias.detach() * scale
        swapped.set_submodule(name, new.train(old.training))
        return swapped

    x = torch.randn(1, 1, 9, 14)

    def output(network: nn.Module) -> Tensor:
        with torch.no_grad():
            return network(x)

    def behaviour(swapped: nn.Module, network: nn.Module, name: str) -> Tensor:
        new = swapped.get_submodule(name)
        if not isinstance(new, nn.Conv2d):
            raise Wrong(f"An nn.Conv2d was wanted as {name}, there is {type(new).__name__}.")
        if not all(weight.requires_grad for weight in new.parameters()):
            raise Wrong("Your convolution does not learn: its weights have requires_grad=False, it should be True.")
        if original._memory(swapped) & original._memory(network):
            raise Wrong("Your network has weights in the same memory as the one that was given: copy the numbers.")
        return output(swapped)

    def expected(network: nn.Module, name: str) -> Tensor:
        return output(trusted(network, name))

    settings = all_pairs((False, True), (False, True), ("1", "2.0"))
    calls = [Call.of(_host(*modes), name) for *modes, name in settings]
    compare(answer, trusted, calls)
    # Stride, padding and groups are not among the numbers that a layer holds: they show in what comes out.
    compare(Asked(answer, behaviour), expected, calls)


def swap_back(network, name):
    """What is left of the layer without its bands is the base and its scale, and a scaled convolution is a convolution
    with scaled weights and a scaled bias. The stride goes to the convolution: leaving pixels out is all that it does in
    either.
    """
    swapped = copy.deepcopy(network)
    old = swapped.get_submodule(name)
    base, scale, taps = old.base_conv, old.base_scale.weight.flatten(), old.base_conv.kernel_size[0]
    channels, has_bias = base.in_channels, base.bias is not None
    new = nn.Conv2d(channels, channels, taps, old.stride, taps // 2, groups=channels, bias=has_bias)
    with torch.no_grad():
        new.weight.copy_(base.weight * scale[:, None, None, None])
        if has_bias:
            new.bias.copy_(base.bias * scale)
    swapped.set_submodule(name, new.train(old.training))
    return swapped


# ---- 8.8b ---------------------------------------------------------------------------------------


def _check_dilated_gradient(answer):
    def trusted(x: Tensor, gradient: Tensor, kernel_size: int, dilation: int) -> Tensor:
        weight = x.new_zeros(x.shape[1], 1, kernel_size, kernel_size, requires_grad=True)
        padding = dilation * (kernel_size // 2)
        out = functional.conv2d(x, weight, padding=padding, dilation=dilation, groups=len(weight))
        return torch.autograd.grad(out, weight, gradient)[0]

    kinds = all_pairs(((1, 1), (2, 1), (1, 3), (2, 3)), ((1, 2), (3, 5), (7, 4)), (1, 3, 5), (1, 2, 3))
    calls = [
        Call.of(*(digits(n, channels, *size, dtype=dtype) for _ in range(2)), taps, dilation)
        for (n, channels), size, taps, dilation in kinds
        for dtype in (torch.float32, torch.float64)
    ]
    calls.append(Call.of(*(torch.randn(2, 3, 5, 6, dtype=torch.float64) for _ in range(2)), 3, 2))
    compare(answer, trusted, calls, autograd=False, without=("convolution_backward",))


def dilated_gradient(x, gradient, kernel_size, dilation):
    """Picture and gradient change places, and dilation and stride do, too: one tap further means `dilation` pixels
    further, so the gradient, which is the kernel now, moves on by `dilation` from one number of the result to the next.
    """
    channels = x.shape[1]
    kernels = gradient.flatten(0, 1)[:, None]
    padding = dilation * (kernel_size // 2)
    pictures = x.flatten(0, 1)[None]
    sums = functional.conv2d(pictures, kernels, stride=dilation, padding=padding, groups=len(kernels))
    return sums.unflatten(1, (-1, channels)).sum(1).transpose(0, 1)


VARIANTS = (
    Variant(
        "8.1",
        "What does it see through many?",
        """
        Haar WTConvs stand one behind the other. `layers` holds (kernel_size, levels) for each, the first one first;
        kernels are odd, and levels are 1 or more. Along one axis, and on a picture without end: which pixels of the
        picture does output pixel `place` (0 or more) of the *last* layer see? Return the first and the last, two
        `int`s. The first may be negative.
        """,
        Exercise("8.1b", "seen_through", _check_seen_through, ()),
        seen_through,
    ),
    Variant(
        "8.2",
        "How many products?",
        """
        A picture of `height` × `width` pixels and one channel goes through `WTConv2d(1, 1, kernel_size,
        wt_levels=levels)`. How many products do its *kernels* take, that of the base and those of all bands? Each tap
        at each place counts as one, also where it meets zeros; neither Haar's filters, nor scales, nor the bias count.
        In each step odd sides are rounded up. And how many products does one dense kernel take that reaches as far, for
        a map of `height` × `width`? Return two `int`s, without building a layer.
        """,
        Exercise("8.2b", "products", _check_products, ()),
        products,
    ),
    Variant(
        "8.3",
        "Filter the details alone",
        """
        Take `x` (N, C, H, W) apart by one Haar step, convolve its h, v and d, each with its own kernel, leave a as it
        is, and put all together; (N, C, H, W), whatever H and W. An odd side gets a row or column of zeros at its end
        first, as in WTConv. `weight` is (3C, 1, k, k) with k odd: the kernels for h, v, d of the first channel, then of
        the second, and so on; the bands keep their size, with zeros around them. Take `haar_dwt2` and `haar_idwt2`, but
        no part of the book's WTConv. Keep the dtype; gradients must be right.
        """,
        Exercise("8.3b", "details_level", _check_details_level, (), allows=(haar_dwt2, haar_idwt2)),
        details_level,
    ),
    Variant(
        "8.4",
        "One level more",
        """
        `layer` is a `WTConv2d` with Haar. Return another `WTConv2d`, in memory of its own, that computes the same and
        has one level more: the new level has the scales of a new layer, and zeros in its kernels. All its parameters
        can learn. The layer itself stays as it is.
        """,
        Exercise("8.4b", "deepen", _check_deepen, (), allows=(WTConv2d, wtconv._check_filters)),
        deepen,
    ),
    Variant(
        "8.5",
        "Which shifts does a halving layer follow?",
        """
        `layer` is made of `WTConv2d` and PyTorch's layers, one of them with stride 2. It takes pictures (1, 1, H, W) in
        float64, H a multiple of 8 and W of 240, and returns (1, 1, H/2, W/2). To follow a shift along a row by an even
        number s of columns is to give the same output, moved by s/2 columns, everywhere but at the rim. Return the
        smallest such s (an `int`) from 2 to `largest`; there is one. The layer has no bias, so zeros give zeros, and a
        speck spreads by 60 columns of the picture at most.
        """,
        Exercise("8.5b", "period_of_halving", _check_period_of_halving, (), allows=(WTConv2d, wtconv._check_filters)),
        period_of_halving,
    ),
    Variant(
        "8.6",
        "Reach and size of a stored layer",
        """
        `shapes` holds the names and shapes of all that a file of weights holds, such as
        `{"base_conv.weight": (3, 1, 5, 5), ...}`. The names of the WTConv in question, one with Haar, begin with
        `prefix`, which may be empty. Return how many pixels it reaches along one side, and how many of its numbers are
        *learnt*, two `int`s. The filters of the wavelet are not learnt.
        """,
        Exercise("8.6b", "reach_and_numbers", _check_reach_and_numbers, ()),
        reach_and_numbers,
    ),
    Variant(
        "8.7",
        "And back",
        """
        Return a copy of `network` in which an ordinary depthwise `nn.Conv2d` stands for the `WTConv2d` called `name`,
        such as `"2.0"`. It does what the layer does without its bands: same kernel size, stride and zeros around; its
        weights, and its bias if there is one, have the base's scale multiplied in. They can learn, and nothing shares
        memory with the old network, which stays as it is. The convolution is in the mode (training or not) of the layer
        whose place it takes.
        """,
        Exercise("8.7b", "swap_back", _check_swap_back, (), allows=(WTConv2d, wtconv._check_filters)),
        swap_back,
    ),
    Variant(
        "8.8",
        "Change places, with holes",
        """
        A depthwise convolution with `dilation` and padding dilation · (k // 2) has made a map of `x` (N, C, H, W), and
        from behind comes `gradient`, as large. Return the gradient of its kernels, (C, 1, k, k), where `kernel_size` is
        the odd k. Without autograd and without PyTorch's backward function; one call of `conv2d` is enough. Keep the
        dtype.
        """,
        Exercise("8.8b", "dilated_gradient", _check_dilated_gradient, ()),
        dilated_gradient,
    ),
)

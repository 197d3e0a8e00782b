"""Answers to the exercises of Chapter 08."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code.fast.wtconv import convolve_bands
from chapters_code.wavelets import haar_dwt2, haar_idwt2
from chapters_code.wtconv import WTConv2d, swap_depthwise

# ---- 8.1 seen_from ------------------------------------------------------------------------------


@right("8.1")
def walks_up_and_down(place, kernel_size, levels):
    if levels == 0:
        return place - kernel_size // 2, place + kernel_size // 2
    first, last = walks_up_and_down(place // 2, kernel_size, levels - 1)
    return 2 * first, 2 * last + 1


@right("8.1")
def clears_the_last_bits(place, kernel_size, levels):
    start, half = place >> levels << levels, kernel_size // 2 << levels
    return start - half, start + half + (1 << levels) - 1


@wrong("8.1", "numbers differ")
def stands_on_the_pixel(place, kernel_size, levels):
    half = kernel_size // 2 * 2**levels
    return place - half, place - half + kernel_size * 2**levels - 1


@wrong("8.1", "numbers differ")
def ends_one_too_far(place, kernel_size, levels):
    first, last = walks_up_and_down(place, kernel_size, levels)
    return first, last + 1


@wrong("8.1", "numbers differ")
def cuts_at_the_border(place, kernel_size, levels):
    first, last = walks_up_and_down(place, kernel_size, levels)
    return max(first, 0), last


@wrong("8.1", "numbers differ")
def makes_blocks_of_two_times_the_levels(place, kernel_size, levels):
    block = 2 * levels
    first = (place // block - kernel_size // 2) * block
    return first, first + kernel_size * block - 1


@wrong("8.1", "an int was wanted, you returned a float")
def divides_with_a_fraction(place, kernel_size, levels):
    first = math.floor(place / 2**levels - kernel_size // 2) * 2.0**levels
    return first, first + kernel_size * 2**levels - 1


# ---- 8.2 parameters -----------------------------------------------------------------------------


@wrong("8.2", "without the book's WTConv2d")
def builds_it(channels, kernel_size, levels, bias):
    layer = WTConv2d(channels, channels, kernel_size, bias=bias, wt_levels=levels)
    return sum(one.numel() for one in layer.parameters()), channels * ((kernel_size << levels) ** 2 + int(bias))


@right("8.2")
def adds_level_by_level(channels, kernel_size, levels, bias):
    layer = channels * (kernel_size**2 + 1 + bias)
    big = channels * kernel_size**2
    for _ in range(levels):
        layer += 4 * channels * (kernel_size**2 + 1)
        big *= 4
    return layer, big + channels * bias


@wrong("8.2", "numbers differ")
def counts_the_filters_too(channels, kernel_size, levels, bias):
    layer, big = adds_level_by_level(channels, kernel_size, levels, bias)
    return layer + 2 * 4 * channels * 4, big


@wrong("8.2", "numbers differ")
def counts_one_kernel_for_the_four_bands(channels, kernel_size, levels, bias):
    _, big = adds_level_by_level(channels, kernel_size, levels, bias)
    return channels * ((1 + levels) * (kernel_size**2 + 1) + bias), big


@wrong("8.2", "numbers differ")
def forgets_the_scales(channels, kernel_size, levels, bias):
    _, big = adds_level_by_level(channels, kernel_size, levels, bias)
    return channels * ((1 + 4 * levels) * kernel_size**2 + bias), big


@wrong("8.2", "numbers differ")
def forgets_the_base(channels, kernel_size, levels, bias):
    _, big = adds_level_by_level(channels, kernel_size, levels, bias)
    return channels * 4 * levels * (kernel_size**2 + 1) + channels * bias, big


@wrong("8.2", "numbers differ")
def gives_the_big_one_no_bias(channels, kernel_size, levels, bias):
    layer, big = adds_level_by_level(channels, kernel_size, levels, bias)
    return layer, big - channels * bias


@wrong("8.2", "numbers differ")
def mixes_the_channels(channels, kernel_size, levels, bias):
    layer, big = adds_level_by_level(channels, kernel_size, levels, bias)
    return layer, channels * big


# ---- 8.3 one_level ------------------------------------------------------------------------------


@right("8.3")
def goes_channel_by_channel(x, weight, scale):
    height, width = x.shape[2:]
    out = []
    for c in range(x.shape[1]):
        bands = haar_dwt2(functional.pad(x[:, c : c + 1], (0, width % 2, 0, height % 2)))
        done = []
        for b, band in enumerate(bands):
            kernel = weight[4 * c + b : 4 * c + b + 1]
            done.append(functional.conv2d(band, kernel, padding=kernel.shape[-1] // 2) * scale[0, 4 * c + b])
        out.append(haar_idwt2(done, size=(height, width)))
    return torch.cat(out, dim=1)


@right("8.3")
def sorts_the_kernels_by_band(x, weight, scale):
    n, channels, height, width = x.shape
    padded = functional.pad(x, (0, width % 2, 0, height % 2))
    kernels = (weight * scale.transpose(0, 1)).unflatten(0, (channels, 4)).unbind(1)
    bands = [
        functional.conv2d(band, kernel, padding=kernel.shape[-1] // 2, groups=channels)
        for band, kernel in zip(haar_dwt2(padded), kernels, strict=True)
    ]
    return haar_idwt2(bands)[..., :height, :width]


@wrong("8.3", "numbers differ")
def uses_the_last_row_twice(x, weight, scale):
    bands = torch.stack(haar_dwt2(x), dim=2).flatten(1, 2)
    bands = functional.conv2d(bands, weight, padding=weight.shape[-1] // 2, groups=len(weight)) * scale
    return haar_idwt2(bands.unflatten(1, (-1, 4)).unbind(2), size=x.shape[2:])


def _padded(x):
    return functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))


@wrong("8.3", "numbers differ")
def concatenates_the_bands(x, weight, scale):
    """The order of HWD: all a, then all h."""
    bands = torch.cat(haar_dwt2(_padded(x)), dim=1)
    bands = functional.conv2d(bands, weight, padding=weight.shape[-1] // 2, groups=len(weight)) * scale
    return haar_idwt2(bands.chunk(4, dim=1))[..., : x.shape[2], : x.shape[3]]


@wrong("8.3", "numbers differ")
def forgets_the_scale(x, weight, scale):
    return goes_channel_by_channel(x, weight, torch.ones_like(scale))


@wrong("8.3", "numbers differ")
def swaps_h_and_v(x, weight, scale):
    order = torch.tensor([0, 2, 1, 3])
    swapped = weight.unflatten(0, (-1, 4))[:, order].flatten(0, 1)
    return goes_channel_by_channel(x, swapped, scale.unflatten(1, (-1, 4))[:, :, order].flatten(1, 2))


@wrong("8.3", "the shape is")
def leaves_the_padding_on(x, weight, scale):
    return goes_channel_by_channel(_padded(x), weight, scale)


@wrong("8.3", "The gradient is wrong")
def keeps_the_scale_from_learning(x, weight, scale):
    return goes_channel_by_channel(x, weight, scale.detach() + 0 * scale)


@wrong("8.3", "build it yourself")
def asks_the_books_layer(x, weight, scale):
    return convolve_bands(x, [weight * scale.transpose(0, 1)])


# ---- 8.4 fold -----------------------------------------------------------------------------------


def _pairs(layer):
    return zip((layer.base_conv, *layer.wavelet_convs), (layer.base_scale, *layer.wavelet_scale), strict=True)


@right("8.4")
def writes_a_state(layer):
    state = layer.state_dict()
    new = {name: value.clone() for name, value in state.items()}
    for name in state:
        if "scale" in name:
            kernel = name.replace("wavelet_scale", "wavelet_convs").replace("base_scale", "base_conv")
            new[kernel] = state[kernel] * state[name].reshape(-1, 1, 1, 1)
            new[name] = torch.ones_like(state[name])
    if "base_conv.bias" in state:
        new["base_conv.bias"] = state["base_conv.bias"] * state["base_scale.weight"].reshape(-1)
    folded = copy.deepcopy(layer)
    folded.load_state_dict(new)
    return folded


@right("8.4")
def puts_new_parameters_in(layer):
    folded = copy.deepcopy(layer)
    for convolution, scale in _pairs(folded):
        factor = scale.weight.detach()
        convolution.weight = nn.Parameter(convolution.weight.detach() * factor[0, :, :, :, None])
        if convolution.bias is not None:
            convolution.bias = nn.Parameter(convolution.bias.detach() * factor[0, :, 0, 0])
        scale.weight = nn.Parameter(torch.ones_like(factor))
    return folded


@right("8.4")
def divides_by_the_inverse(layer):
    """The same product, rounded otherwise."""
    folded = copy.deepcopy(layer)
    with torch.no_grad():
        for convolution, scale in _pairs(folded):
            inverse = 1 / scale.weight.flatten()
            convolution.weight.copy_(convolution.weight / inverse[:, None, None, None])
            if convolution.bias is not None:
                convolution.bias.copy_(convolution.bias / inverse)
            scale.weight.copy_(scale.weight * inverse[:, None, None])
    return folded


@right("8.4")
def builds_a_new_one(layer):
    taps, bias = layer.base_conv.kernel_size[0], layer.base_conv.bias is not None
    folded = WTConv2d(layer.channels, layer.channels, taps, layer.stride, bias, layer.wt_levels)
    folded.load_state_dict(writes_a_state(layer).state_dict())
    return folded


def _folded(layer, bias=True, ones=True, levels=True):
    folded = copy.deepcopy(layer)
    with torch.no_grad():
        for i, (convolution, scale) in enumerate(_pairs(folded)):
            if i and not levels:
                continue
            convolution.weight.mul_(scale.weight.transpose(0, 1))
            if bias and convolution.bias is not None:
                convolution.bias.mul_(scale.weight.flatten())
            if ones:
                scale.weight.fill_(1)
    return folded


@wrong("8.4", "the numbers differ")
def forgets_the_bias(layer):
    return _folded(layer, bias=False)


@wrong("8.4", "the numbers differ")
def scales_twice(layer):
    return _folded(layer, ones=False)


@wrong("8.4", "the numbers differ")
def folds_the_base_alone(layer):
    return _folded(layer, levels=False)


@wrong("8.4", "the numbers differ")
def does_nothing(layer):
    return copy.deepcopy(layer)


@wrong("8.4", "the shape is")
def takes_another_stride(layer):
    folded = _folded(layer)
    folded.stride = 3 - layer.stride
    return folded


class Silent(WTConv2d):
    def forward(self, x):
        return 0 * super().forward(x)


@wrong("8.4", "the numbers differ")
def holds_the_right_numbers_and_says_nothing(layer):
    folded = _folded(layer)
    folded.__class__ = Silent
    return folded


@wrong("8.4", "does not learn: base_conv.weight")
def freezes_the_copy(layer):
    return _folded(layer).requires_grad_(False)


@wrong("8.4", "does not learn: base_scale.weight")
def freezes_the_scales(layer):
    """They are 1 now, but a copy that learns no scale is another layer."""
    folded = _folded(layer)
    for scale in (folded.base_scale, *folded.wavelet_scale):
        scale.requires_grad_(False)
    return folded


@wrong("8.4", "A WTConv2d was wanted, there is nothing")
def forgets_to_return_it(layer):
    _folded(layer)


@wrong("8.4", "Your code changes ")
def folds_in_place(layer):
    with torch.no_grad():
        for convolution, scale in _pairs(layer):
            convolution.weight.mul_(scale.weight.transpose(0, 1))
            if convolution.bias is not None:
                convolution.bias.mul_(scale.weight.flatten())
            scale.weight.fill_(1)
    return layer


@wrong("8.4", "stopped with RuntimeError")
def multiplies_without_turning(layer):
    folded = copy.deepcopy(layer)
    with torch.no_grad():
        for convolution, scale in _pairs(folded):
            convolution.weight.mul_(scale.weight)
    return folded


# ---- 8.5 period ---------------------------------------------------------------------------------


@right("8.5")
def moves_the_other_way(layer, largest):
    x = torch.zeros(1, 1, 6, 512, dtype=torch.float64)
    x[..., 200:210] = torch.rand(6, 10, dtype=torch.float64) - 0.5
    out = layer(x)
    same = [
        torch.allclose(layer(x.roll(-shift, -1)), out.roll(-shift, -1), rtol=0, atol=1e-10)
        for shift in range(1, largest + 1)
    ]
    return 1 + same.index(True)


@right("8.5")
def moves_a_window(layer, largest):
    """Cuts another part out of a longer row instead of rolling."""
    x = functional.pad(torch.randn(1, 1, 2, 9, dtype=torch.float64), (200, 280))
    out = layer(x)
    for shift in range(1, largest + 1):
        moved = layer(functional.pad(x, (shift, -shift)))
        if (moved[..., shift:] - out[..., :-shift]).abs().max() < 1e-9:
            return shift
    return None


def _smallest(layer, shifts, dim=3, atol=1e-9, size=(12, 480)):
    x = torch.zeros(1, 1, *size, dtype=torch.float64)
    x[..., 200:212] = torch.randn(size[0], 12, dtype=torch.float64)
    out = layer(x)
    for shift in shifts:
        if torch.allclose(layer(x.roll(shift, dim)), out.roll(shift, dim), rtol=0, atol=atol):
            return shift


@wrong("8.5", "numbers differ")
def tries_powers_of_two(layer, largest):
    return _smallest(layer, (1, 2, 4, 8)) or largest


@wrong("8.5", "numbers differ")
def tries_the_small_ones_and_eight(layer, largest):
    return _smallest(layer, (1, 2, 3, 4, 5, 6, 8)) or largest


@wrong("8.5", "numbers differ")
def moves_up_and_down(layer, largest):
    x = torch.zeros(1, 1, 480, 12, dtype=torch.float64)
    x[..., 200:212, :] = torch.randn(12, 12, dtype=torch.float64)
    out = layer(x)
    for shift in range(1, largest + 1):
        if torch.allclose(layer(x.roll(shift, 2)), out.roll(shift, 2), rtol=0, atol=1e-9):
            return shift
    return largest


@wrong("8.5", "numbers differ")
def allows_too_much(layer, largest):
    return _smallest(layer, range(1, largest + 1), atol=100.0)


@wrong("8.5", "numbers differ")
def does_not_move_the_output(layer, largest):
    x = torch.zeros(1, 1, 4, 480, dtype=torch.float64)
    x[..., 200:212] = torch.randn(4, 12, dtype=torch.float64)
    for shift in range(1, largest + 1):
        if torch.allclose(layer(x.roll(shift, 3)), layer(x), rtol=0, atol=1e-9):
            return shift
    return largest


@wrong("8.5", "numbers differ")
def tries_a_flat_picture(layer, largest):
    x = torch.zeros(1, 1, 4, 480, dtype=torch.float64)
    for shift in range(1, largest + 1):
        if torch.allclose(layer(x.roll(shift, 3)), layer(x).roll(shift, 3)):
            return shift


@wrong("8.5", "numbers differ")
def gives_the_largest_that_is_tried(layer, largest):
    return largest


@wrong("8.5", "stopped with RuntimeError")
def takes_single_precision(layer, largest):
    x = torch.randn(1, 1, 4, 480)
    return next(s for s in range(1, largest + 1) if torch.equal(layer(x.roll(s, 3)), layer(x).roll(s, 3)))


# ---- 8.6 settings_of ----------------------------------------------------------------------------


@right("8.6")
def asks_for_each_level(shapes, prefix):
    many, _, taps, _ = shapes[prefix + "wavelet_convs.0.weight"]
    levels = 1
    while f"{prefix}wavelet_scale.{levels}.weight" in shapes:
        levels += 1
    return many // 4, taps, prefix + "base_conv.bias" in shapes, levels, shapes[prefix + "iwt_filter"][2]


@right("8.6")
def counts_names(shapes, prefix):
    names = [name[len(prefix) :] for name in shapes if name[: len(prefix)] == prefix]
    has_bias = "base_conv.bias" in names
    levels = (len(names) - 4 - has_bias) // 2  # two filters, a kernel and a scale; two names for each level
    channels = shapes[prefix + "base_scale.weight"][1]
    return channels, shapes[prefix + "base_conv.weight"][-1], has_bias, levels, shapes[prefix + "wt_filter"][-1]


@wrong("8.6", "numbers differ")
def counts_all_levels_there_are(shapes, prefix):
    levels = sum("wavelet_convs." in name for name in shapes)
    right_ones = asks_for_each_level(shapes, prefix)
    return (*right_ones[:3], levels, right_ones[4])


@wrong("8.6", "numbers differ")
def looks_for_the_prefix_anywhere(shapes, prefix):
    levels = sum(prefix + "wavelet_convs." in name for name in shapes)
    right_ones = asks_for_each_level(shapes, prefix)
    return (*right_ones[:3], levels, right_ones[4])


@wrong("8.6", "numbers differ")
def cuts_at_the_prefix_anywhere(shapes, prefix):
    return asks_for_each_level({name[name.find(prefix) + len(prefix) :]: shapes[name] for name in shapes}, "")


@wrong("8.6", "numbers differ")
def takes_the_bands_for_channels(shapes, prefix):
    return (shapes[prefix + "wt_filter"][0], *asks_for_each_level(shapes, prefix)[1:])


@wrong("8.6", "answers differ")
def looks_for_any_bias(shapes, prefix):
    right_ones = asks_for_each_level(shapes, prefix)
    return (*right_ones[:2], any(name.endswith("bias") for name in shapes), *right_ones[3:])


@wrong("8.6", "numbers differ")
def reads_one_digit(shapes, prefix):
    """Level 10 comes before level 2 in the alphabet, and has two digits."""
    names = [name.removeprefix(prefix) for name in shapes if name.startswith(prefix + "wavelet_convs.")]
    right_ones = asks_for_each_level(shapes, prefix)
    return (*right_ones[:3], 2 + int(max(names)[14]), right_ones[4])


@wrong("8.6", "stopped with KeyError")
def forgets_the_prefix(shapes, prefix):
    return asks_for_each_level(shapes, "")


@wrong("8.6", "a bool was wanted, you returned an int")
def counts_the_biases(shapes, prefix):
    right_ones = asks_for_each_level(shapes, prefix)
    return (*right_ones[:2], int(right_ones[2]), *right_ones[3:])


# ---- 8.7 swap_one -------------------------------------------------------------------------------


def _like(old, wt_levels, stride=None, training=None):
    new = WTConv2d(
        old.in_channels,
        old.out_channels,
        old.kernel_size[0],
        old.stride[0] if stride is None else stride,
        old.bias is not None,
        wt_levels,
    )
    return new.train(old.training if training is None else training)


def _empty(new):
    for convolution in new.wavelet_convs:
        nn.init.zeros_(convolution.weight)
    return new


def _put(network, name, new):
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, new)
    return network


@right("8.7")
def sets_an_attribute(network, name, wt_levels):
    swapped = copy.deepcopy(network)
    old = swapped.get_submodule(name)
    new = _empty(_like(old, wt_levels))
    new.base_conv = copy.deepcopy(old)
    new.base_conv.stride = (1, 1)
    return _put(swapped, name, new)


@right("8.7")
def multiplies_by_zero(network, name, wt_levels):
    swapped = copy.deepcopy(network)
    old = swapped.get_submodule(name)
    new = _like(old, wt_levels)
    state = new.state_dict()
    state |= {f"base_conv.{part}": value for part, value in old.state_dict().items()}
    state |= {part: torch.zeros_like(value) for part, value in state.items() if part.startswith("wavelet_convs")}
    new.load_state_dict(state)
    return _put(swapped, name, new)


@right("8.7")
def multiplies_in_place(network, name, wt_levels):
    """Some of the zeros are −0."""
    swapped = copy.deepcopy(network)
    old = swapped.get_submodule(name)
    new = _like(old, wt_levels)
    with torch.no_grad():
        for convolution in new.wavelet_convs:
            convolution.weight *= 0
        new.base_conv.weight.copy_(old.weight)
        if old.bias is not None:
            new.base_conv.bias.copy_(old.bias)
    return _put(swapped, name, new)


def _right(network, name, wt_levels, **settings):
    swapped = copy.deepcopy(network)
    old = swapped.get_submodule(name)
    new = _empty(_like(old, wt_levels, **settings))
    new.base_conv.load_state_dict(old.state_dict())
    return _put(swapped, name, new)


@wrong("8.7", "the shape is")
def forgets_the_stride(network, name, wt_levels):
    return _right(network, name, wt_levels, stride=1)


@wrong("8.7", "the network differs")
def leaves_it_in_training_mode(network, name, wt_levels):
    return _right(network, name, wt_levels, training=True)


@wrong("8.7", "the network differs")
def takes_the_mode_of_the_network(network, name, wt_levels):
    return _right(network, name, wt_levels, training=network.training)


@wrong("8.7", "the same memory")
def lends_the_old_layer(network, name, wt_levels):
    swapped = copy.deepcopy(network)
    new = _empty(_like(swapped.get_submodule(name), wt_levels))
    new.base_conv = network.get_submodule(name)
    return _put(swapped, name, new)


@wrong("8.7", "the same memory")
def copies_the_list_alone(network, name, wt_levels):
    """The other layers of the copy are those of the network itself."""
    swapped = _right(network, name, wt_levels)
    swapped[0] = network[0]
    return swapped


@wrong("8.7", "does not learn")
def freezes_the_new_layer(network, name, wt_levels):
    swapped = _right(network, name, wt_levels)
    swapped.get_submodule(name).requires_grad_(False)
    return swapped


@wrong("8.7", "A WTConv2d was wanted, there is Module")
def builds_only_the_names(network, name, wt_levels):
    """The right numbers under the right names, and nothing that computes."""
    swapped = _right(network, name, wt_levels)
    new = swapped.get_submodule(name)
    names = nn.Module()
    for part, module in new.named_children():
        setattr(names, part, module)
    for part, buffer in new.named_buffers():
        names.register_buffer(part, buffer)
    return _put(swapped, name, names.train(new.training))


@wrong("8.7", "the network differs")
def starts_with_chance_numbers(network, name, wt_levels):
    swapped = copy.deepcopy(network)
    old = swapped.get_submodule(name)
    new = _like(old, wt_levels)
    new.base_conv.load_state_dict(old.state_dict())
    return _put(swapped, name, new)


@wrong("8.7", "the network differs")
def forgets_the_old_weights(network, name, wt_levels):
    swapped = copy.deepcopy(network)
    return _put(swapped, name, _empty(_like(swapped.get_submodule(name), wt_levels)))


@wrong("8.7", "the network differs")
def sets_the_scales_to_zero(network, name, wt_levels):
    """The same output, and a layer that never learns."""
    swapped = _right(network, name, wt_levels)
    for scale in swapped.get_submodule(name).wavelet_scale:
        nn.init.zeros_(scale.weight)
    return swapped


@wrong("8.7", "the network differs")
def takes_one_level(network, name, wt_levels):
    return _right(network, name, 1)


@wrong("8.7", "Your code changes ")
def swaps_in_place(network, name, wt_levels):
    old = network.get_submodule(name)
    new = _empty(_like(old, wt_levels))
    new.base_conv.load_state_dict(old.state_dict())
    return _put(network, name, new)


@wrong("8.7", "build it yourself")
def asks_the_book(network, name, wt_levels):
    return swap_depthwise(network, wt_levels)


# ---- 8.8 weight_gradient ------------------------------------------------------------------------


@right("8.8")
def goes_tap_by_tap(x, gradient, kernel_size):
    half, (height, width) = kernel_size // 2, x.shape[2:]
    padded = functional.pad(x, (half,) * 4)
    rows = []
    for i in range(kernel_size):
        seen = [padded[..., i : i + height, j : j + width] for j in range(kernel_size)]
        rows.append(torch.stack([(one * gradient).sum((0, 2, 3)) for one in seen], dim=-1))
    return torch.stack(rows, dim=1)[:, None]


@right("8.8")
def unfolds(x, gradient, kernel_size):
    n, channels = x.shape[:2]
    windows = functional.unfold(x, kernel_size, padding=kernel_size // 2).unflatten(1, (channels, -1))
    sums = (windows * gradient.flatten(2)[:, :, None]).sum((0, 3))
    return sums.reshape(channels, 1, kernel_size, kernel_size)


@wrong("8.8", "numbers differ")
def turns_the_gradient_round(x, gradient, kernel_size):
    return goes_tap_by_tap(x, gradient, kernel_size).flip(-2, -1)


@wrong("8.8", "the shape is")
def keeps_the_pictures_apart(x, gradient, kernel_size):
    kernels = gradient.flatten(0, 1)[:, None]
    sums = functional.conv2d(x.flatten(0, 1)[None], kernels, padding=kernel_size // 2, groups=len(kernels))
    return sums.transpose(0, 1)


@wrong("8.8", "numbers differ")
def takes_the_mean_of_the_pictures(x, gradient, kernel_size):
    return goes_tap_by_tap(x, gradient, kernel_size) / len(x)


@wrong("8.8", "numbers differ")
def lets_the_gradient_be_convolved(x, gradient, kernel_size):
    return goes_tap_by_tap(gradient, x, kernel_size)


@wrong("8.8", "without autograd (torch's grad)")
def asks_autograd(x, gradient, kernel_size):
    weight = x.new_zeros(x.shape[1], 1, kernel_size, kernel_size, requires_grad=True)
    out = functional.conv2d(x, weight, padding=kernel_size // 2, groups=len(weight))
    return torch.autograd.grad(out, weight, gradient)[0]


@wrong("8.8", "build it yourself")
def asks_pytorch(x, gradient, kernel_size):
    shape = (x.shape[1], 1, kernel_size, kernel_size)
    return torch.nn.grad.conv2d_weight(x, shape, gradient, padding=kernel_size // 2, groups=x.shape[1])


@right("8.2")
def is_a_sum_of_three(channels, kernel_size, levels, bias):
    taps, kernels = kernel_size * kernel_size, 4 * levels + 1
    return channels * (kernels * taps + kernels + bias), channels * (taps * 4**levels + bias)


@wrong("8.6", "numbers differ")
def reads_one_digit_only(shapes, prefix):
    channels, taps, bias, _, filters = counts_names(shapes, prefix)
    numbers = [int(name[len(prefix) + 14]) for name in shapes if name.startswith(prefix + "wavelet_convs.")]
    return channels, taps, bias, max(numbers) + 1, filters


@wrong("8.8", "without autograd (torch's vjp)")
def asks_for_a_vector_jacobian_product(x, gradient, kernel_size):
    weight = x.new_zeros(x.shape[1], 1, kernel_size, kernel_size)
    out = lambda weight: functional.conv2d(x, weight, padding=kernel_size // 2, groups=len(weight))  # noqa: E731
    return torch.func.vjp(out, weight)[1](gradient)[0]


# ---- 8.9 one_bright_pixel, 8.10 cheapest_reach, 8.11 one_kernel_for_all -------------------------

right_values("8.9", (16, 1 / 16), (16, 0.0625))
wrong_values("8.9", (1, 1), (4, 0.25), (16, 0.25), (16, 1), (25, 0.04), (400, 0.0025), (16, 0.125))
wrong_values("8.9", 16, "a block", words="2 values were wanted")

right_values("8.10", (3, 6, 251))
wrong_values("8.10", (3, 5, 211), (7, 4, 851), (5, 5, 547), (3, 6, 225), (3, 6, 226), (3, 6, 250), (3, 6, 10_001))
wrong_values("8.10", (3, 6), words="3 values were wanted")

right_values("8.11", (1, 2, 4), [1, 2, 4])
wrong_values("8.11", (2, 4, 8), (1, 1, 1), (1, 4, 8), (2, 2, 2), (1, 2, 8))
wrong_values("8.11", 1, words="3 values were wanted")

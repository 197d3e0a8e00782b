"""Solutions of Chapter 08."""

import copy

import torch
from torch import nn
from torch.nn import functional

from chapters_code.wavelets import haar_dwt2, haar_idwt2
from chapters_code.wtconv import WTConv2d


def seen_from(place, kernel_size, levels):
    """The kernel stands on the block that holds the pixel, not on the pixel. So all pixels of a block see the same
    field, and it moves on by a whole block at once. That is why the layer does not follow a shift by one pixel.
    """
    block = 2**levels
    first = (place // block - kernel_size // 2) * block
    return first, first + kernel_size * block - 1


def parameters(channels, kernel_size, levels, bias):
    """One kernel at full size and four in each level; one scale for each kernel; one bias for each channel. The reach
    doubles with a level, so the single kernel has four times as many taps, while the layer gets 4 (k² + 1) numbers
    more. For kernels of 3 and more it has fewer numbers from two levels on.
    """
    kernels = 1 + 4 * levels
    side = kernel_size * 2**levels
    return channels * (kernels * (kernel_size**2 + 1) + bias), channels * (side**2 + bias)


def one_level(x, weight, scale):
    """Padding with zeros comes first: `haar_dwt2` would use the last row twice. Stacked behind the channel's axis and
    flattened, the bands lie as the kernels do, and the way back undoes both steps.
    """
    height, width = x.shape[2:]
    bands = haar_dwt2(functional.pad(x, (0, width % 2, 0, height % 2)))
    bands = torch.stack(bands, dim=2).flatten(1, 2)
    bands = functional.conv2d(bands, weight, padding=weight.shape[-1] // 2, groups=len(weight)) * scale
    return haar_idwt2(bands.unflatten(1, (-1, 4)).unbind(2), size=(height, width))


def fold(layer):
    """A convolution is linear: it does not matter whether its result is scaled or its weights. Scaling some small
    kernels is less work than scaling four maps, and all the layer's `fast` form does differently here. While it learns,
    both must be kept, for the two together take other steps than their product would.
    """
    folded = copy.deepcopy(layer)
    with torch.no_grad():
        if folded.base_conv.bias is not None:
            folded.base_conv.bias.mul_(folded.base_scale.weight.flatten())
        for convolution, scale in zip(
            (folded.base_conv, *folded.wavelet_convs), (folded.base_scale, *folded.wavelet_scale), strict=True
        ):
            convolution.weight.mul_(scale.weight.transpose(0, 1))
            scale.weight.fill_(1)
    return folded


def period(layer, largest):
    """A speck of random numbers far from any border, moved before the layer and behind it. What is periodic in both
    directions of a stack has the least common multiple as its period: 2 and 3 give 6.
    """
    x = torch.zeros(1, 1, 4, 480, dtype=torch.float64)
    x[..., 240:252] = torch.randn(4, 12, dtype=torch.float64)
    out = layer(x)
    for shift in range(1, largest + 1):
        if (layer(x.roll(shift, 3)) - out.roll(shift, 3)).abs().max() < 1e-9:
            return shift


def settings_of(shapes, prefix):
    """Of the settings that change the output, all but two stand in the shapes. What is missing is the stride, which
    changes no weight; and the wavelet's name, of which the shapes know only how long its filters are. That is why a
    layer must be built with the right ones before weights are loaded, and why `WTConv2d` compares the stored filters
    with its own.
    """
    mine = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    channels, _, taps, _ = mine["base_conv.weight"]
    levels = sum(name.startswith("wavelet_convs.") for name in mine)
    return channels, taps, "base_conv.bias" in mine, levels, mine["wt_filter"][-1]


def swap_one(network, name, wt_levels):
    """With zeros in the kernels of the bands the network is the one it was, to the last bit of its weights, and the
    first step of training departs from there. The kernels do learn: their gradient has the scale in it, 0.1, and not
    their own value. Were the scales 0, too, nothing would ever move.
    """
    swapped = copy.deepcopy(network)
    old = swapped.get_submodule(name)
    has_bias = old.bias is not None
    new = WTConv2d(old.in_channels, old.out_channels, old.kernel_size[0], old.stride[0], has_bias, wt_levels)
    new.base_conv.load_state_dict(old.state_dict())
    for convolution in new.wavelet_convs:
        nn.init.zeros_(convolution.weight)
    swapped.set_submodule(name, new.train(old.training))
    return swapped


def weight_gradient(x, gradient, kernel_size):
    """Picture and gradient change places: the picture is convolved, and the gradient is the kernel, as large as the
    picture. With the layer's own padding it fits in k × k places. Each channel of each picture is a group of its own;
    what the pictures of the batch say is added up. `fast.wtconv.depthwise` does this.
    """
    channels = x.shape[1]
    kernels = gradient.flatten(0, 1)[:, None]
    sums = functional.conv2d(x.flatten(0, 1)[None], kernels, padding=kernel_size // 2, groups=len(kernels))
    return sums.unflatten(1, (-1, channels)).sum(1).transpose(0, 1)

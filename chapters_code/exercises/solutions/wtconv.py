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


def one_bright_pixel():
    """16 pixels of 1/16. Without the details a block of 4 × 4 is all that the layer knows: the pixel goes down to half
    and half again, and comes up, halved twice more, to every pixel of its block. It has become its block's mean, and
    where in the block it was, nobody can tell. The base, and h, v and d of both levels, are there to know it.
    """
    layer = WTConv2d(1, 1, 3, bias=False, wt_levels=2)
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    layer.wavelet_convs[1].weight.data[0, 0, 1, 1] = 1
    layer.wavelet_scale[1].weight.data.fill_(1)
    picture = torch.zeros(1, 1, 16, 16)
    picture[..., 5, 10] = 1
    with torch.no_grad():
        out = layer(picture)
    return int(out.count_nonzero()), out.max().item()


def cheapest_reach():
    """The smallest kernel with the most levels: 3 × 3 and six levels, 251 numbers for 192 × 192 pixels. Five levels
    reach 96 only. A level costs 4 (k² + 1) numbers and doubles the reach, whatever k is; a larger kernel costs as much
    more in *every* level. One dense kernel of 100 × 100 would have 10,001.
    """
    found = []
    for kernel_size in (3, 5, 7):
        levels = next(levels for levels in range(1, 10) if kernel_size * 2**levels >= 100)
        found.append(((1 + 4 * levels) * (kernel_size**2 + 1) + 1, kernel_size, levels))
    numbers, kernel_size, levels = min(found)
    return kernel_size, levels, numbers


def one_kernel_for_all():
    """1, 2 and 4: half of what random kernels give. With one kernel in all its bands a level is a convolution with
    dilation 2 of the map that it splits, and that follows every shift of *this map*. The first level splits the
    picture itself. The second splits the band a of the first, which stands on blocks of 2, and the third one on blocks
    of 4. So it is the halving before a level that cannot be undone, and not the one within it.
    """
    torch.manual_seed(8)
    speck = torch.zeros(1, 1, 96, 112, dtype=torch.float64)
    speck[..., 44:52, 48:60] = torch.randn(8, 12, dtype=torch.float64)
    found = []
    with torch.no_grad():
        for levels in (1, 2, 3):
            layer = WTConv2d(1, 1, 5, wt_levels=levels).double()
            for convolution in layer.wavelet_convs:
                convolution.weight[1:] = convolution.weight[0]
            out = layer(speck)
            errors = [(layer(speck.roll(shift, -1)) - out.roll(shift, -1)).abs().max() for shift in range(1, 9)]
            found.append(next(shift for shift, error in enumerate(errors, 1) if error < 1e-9))
    return tuple(found)


def why_not_every_shift():
    """WTConv takes its averages and differences over blocks of 2 × 2, and the blocks stand still: columns 0 and 1, 2
    and 3, and so on. Move the picture by one column, and other pixels share a block, so the bands hold other numbers,
    not the old ones in another place. Each band has a kernel of its own, so what has moved from one band into another
    is treated otherwise. (With one kernel for all four bands it would not matter: Exercise 8.11.) Moved by two, every
    pixel comes to the same place in the next block, and the bands move along by one. A dilated kernel stands around the
    pixel and not on a block, so it follows every shift. It pays with holes: of the pixels between its taps it sees
    none, where a tap of WTConv on a sees the mean of all four.
    """
    return (
        "WTConv's blocks stand still; after a shift by one pixel other pixels share a block, and the bands differ.",
        "The bands have unlike kernels, so it matters which band holds what; with one kernel for all it would not.",
        "After a shift by two pixels (2ᴸ for L levels) each pixel has the same place in another block, and all moves.",
        "A dilated kernel stands around the pixel itself, so it follows every shift.",
        "It pays with holes: it skips the pixels between its taps, and a tap on band a sees a mean of them all.",
    )

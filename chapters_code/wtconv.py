"""WTConv: small kernels with a large reach, by way of a wavelet transform (Chapter 08).

A 5 × 5 kernel on the averages of a picture reaches over 10 × 10 of its pixels; on the averages of the averages, over
20 × 20.  So each level of the transform doubles the reach, and adds the same few weights.

    x (N, C, H, W) --base: k × k per channel, scale-----------------------------------------> + --> (N, C, H, W)
    x --dwt--> bands (N, 4C, ...) --k × k per band, scale--> --from the last level up, idwt-->^
               a of the bands --dwt--> the next level

Source: Finder, Amoyal, Treister and Freifeld (2024), "Wavelet convolutions for large receptive fields", ECCV,
arXiv 2407.05848.  Written from the formulas; takes the weights of the authors' layer.  Differs from it for wavelets
longer than Haar: there each step adds so many zeros that every pixel comes back, where the authors' pads too few.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.checks import check_integer, check_odd, check_pictures
from chapters_code.fast.wtconv import convolve_bands, depthwise
from chapters_code.outputs import copied
from chapters_code.tracing import cut_to, fixed_integer, odd, one_node
from chapters_code.wavelets import filters

__all__ = ["WTConv2d", "swap_depthwise"]


class WTConv2d(nn.Module):
    """Convolve each channel by itself: at full size, and on the bands of `wt_levels` steps of a wavelet transform.

    Args:
        in_channels: C.
        out_channels: C', equal to C, as channels are not mixed.
        kernel_size: Taps per side, odd, of all its kernels.
        stride: Keep every `stride`-th row and column of the result; nothing is blurred before.
        bias: Whether the convolution at full size has one.
        wt_levels: How many steps, 1 or more.
        wt_type: The wavelet, a name of PyWavelets.  With "dmey" there and back is exact to 1 % only (`wavelets.idwt2`).
        fast: Compute Haar by `fast.wtconv`: the same numbers up to rounding.  False, and any other wavelet, computes
            step by step, as one reads it.

    Shape:
        (N, C, H, W) of floating point gives (N, C, H, W); with a stride, (N, C, ⌈H / stride⌉, ⌈W / stride⌉).

    The names of its parameters and buffers are those of the authors' layer, and its weights can be loaded.  The filters
    are buffers: they are stored and moved with the layer, and not trained.

    Raises:
        ValueError: The numbers of channels differ, the kernel size is even, or an argument is not legal.

    Example:
        >>> WTConv2d(64, 64, kernel_size=7)(torch.zeros(1, 64, 40, 40)).shape
        torch.Size([1, 64, 40, 40])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 5,
        stride: int = 1,
        bias: bool = True,
        wt_levels: int = 1,
        wt_type: str = "db1",
        fast: bool = True,
    ) -> None:
        super().__init__()
        channels = check_integer("in_channels", in_channels, 1)
        if out_channels != in_channels:
            raise ValueError(
                f"each channel is convolved by itself, so in_channels={in_channels} and out_channels={out_channels}"
                " must be equal: change their number by a 1 × 1 convolution after this layer"
            )
        kernel_size = check_odd("kernel_size", kernel_size)
        self.channels, self.stride = channels, check_integer("stride", stride, 1)
        self.wt_levels, self.wt_type = check_integer("wt_levels", wt_levels, 1), wt_type
        self.fast = fast and wt_type in ("haar", "db1")

        analysis, synthesis = filters(wt_type)
        self.register_buffer("wt_filter", _four(analysis).repeat(channels, 1, 1, 1))
        self.register_buffer("iwt_filter", _four(synthesis).repeat(channels, 1, 1, 1))
        self.base_conv = _depthwise(channels, kernel_size, bias)
        self.base_scale = Scale(channels, 1.0)
        self.wavelet_convs = nn.ModuleList(_depthwise(4 * channels, kernel_size, False) for _ in range(wt_levels))
        # At first the bands add a tenth: the layer starts close to an ordinary depthwise convolution.
        self.wavelet_scale = nn.ModuleList(Scale(4 * channels, 0.1) for _ in range(wt_levels))
        self.register_load_state_dict_pre_hook(_check_filters)

    def forward(self, x: Tensor) -> Tensor:
        pictures = _batch(x)
        out = self._at_once(pictures) if self.fast else self._step_by_step(pictures)
        return _as_it_came(out, x)[..., :: self.stride, :: self.stride]

    def _step_by_step(self, x: Tensor) -> Tensor:
        return self.base_scale(self.base_conv(x)) + self._by_bands(x)

    def _at_once(self, x: Tensor) -> Tensor:
        """Return the same, with the scales multiplied into the kernels."""
        base = self.base_scale.weight.transpose(0, 1)
        bias = None if self.base_conv.bias is None else self.base_conv.bias * base.flatten()
        scaled = [
            convolution.weight * scale.weight.transpose(0, 1)
            for convolution, scale in zip(self.wavelet_convs, self.wavelet_scale, strict=True)
        ]
        return depthwise(x, self.base_conv.weight * base, bias) + convolve_bands(x, scaled)

    def _by_bands(self, x: Tensor) -> Tensor:
        """Convolve the bands of all levels, and put them together again."""
        averages, levels = x, []
        for kernels, scale in zip(self.wavelet_convs, self.wavelet_scale, strict=True):
            bands = self.split(averages)
            levels.append((scale(kernels(bands)), averages.shape[-2:]))
            averages = bands[:, ::4]  # what is split again is not what was convolved
        below = 0
        for bands, size in reversed(levels):
            a, h, v, d = bands.unflatten(1, (-1, 4)).unbind(2)
            bands = torch.stack([a + below, h, v, d], dim=2).flatten(1, 2)
            below = cut_to(self.join(bands), size)
        return below

    def split(self, x: Tensor) -> Tensor:
        """Go one step of the transform: (N, C, H, W) to (N, 4C, H', W').

        The order is a, h, v, d of the first channel, then of the second, and so on.
        """
        reach = fixed_integer(self.wt_filter.shape[-1])
        height, width = x.shape[-2:]
        below, beside = reach - 2 + odd(height), reach - 2 + odd(width)
        x = functional.pad(x, (reach - 2, beside, reach - 2, below))
        return functional.conv2d(x, self.wt_filter.to(x), stride=2, groups=self.channels)

    def join(self, bands: Tensor) -> Tensor:
        """Turn `split` round: (N, 4C, H', W') to (N, C, H, W), H and W even."""
        reach = fixed_integer(self.iwt_filter.shape[-1])
        filters = self.iwt_filter.to(bands)
        return functional.conv_transpose2d(
            bands,
            filters,
            stride=2,
            padding=reach - 2,
            groups=self.channels,
        )


def swap_depthwise(
    network: nn.Module,
    wt_levels: int = 1,
    kernel_size: int | None = None,
) -> nn.Module:
    """Return a copy of a network with a `WTConv2d` for every depthwise convolution.

    Args:
        network: Such as torchvision's `mobilenet_v2()` or `convnext_tiny()`.  It stays as it is.
        wt_levels: Steps of the transform in each layer.
        kernel_size: Odd; by default that of the convolution in its place.  The paper takes 5 for ConvNeXt's 7.

    Returns:
        A network of the same shapes.  Where the kernel size stays, so do the weights: the convolution at full size
        begins with those of the one whose place it takes, and what the bands add begins random and small.

    Raises:
        ValueError: There is no depthwise convolution, or one that `WTConv2d` cannot stand for: it is dilated, or
            changes the size by more than its stride.
    """
    swapped = copied(network)
    layers: dict[nn.Conv2d, WTConv2d] = {}  # a layer in two places stays one layer
    for name, old in _depthwise_in(swapped):
        if old not in layers:
            layers[old] = _in_place_of(old, name, wt_levels, kernel_size)
        if not name:  # the network is this one convolution
            return layers[old]
        parent, _, last = name.rpartition(".")
        setattr(swapped.get_submodule(parent), last, layers[old])
    return swapped


def _depthwise_in(network: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    """List the depthwise convolutions outside of a `WTConv2d`, with their names, or say that there is none."""
    inside = {part for layer in network.modules() if isinstance(layer, WTConv2d) for part in layer.modules()}
    found = [
        (name, module)
        for name, module in network.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels > 1
        if module not in inside
    ]
    if not found:
        raise ValueError(
            f"{type(network).__name__} has no depthwise convolution to swap:"
            " no nn.Conv2d in it has groups = in_channels = out_channels > 1"
        )
    return found


def _in_place_of(old: nn.Conv2d, name: str, wt_levels: int, kernel_size: int | None) -> WTConv2d:
    """Make the layer that stands for a depthwise convolution, or say why there is none."""
    taps, step, named = old.kernel_size[0], old.stride[0], f"{name or 'the network'} is {old}"
    if old.kernel_size != (taps, taps) or old.stride != (step, step) or old.dilation != (1, 1):
        raise ValueError(f"{named}: WTConv2d can stand for square kernels and strides without dilation")
    if taps % 2 == 0 or old.padding not in ((taps // 2, taps // 2), "same") or old.padding_mode != "zeros":
        raise ValueError(f"{named}: WTConv2d needs an odd kernel and zeros, half a kernel of them around")
    size = taps if kernel_size is None else kernel_size
    new = WTConv2d(old.in_channels, old.out_channels, size, step, old.bias is not None, wt_levels)
    new.to(old.weight).train(old.training)
    if size == taps:
        new.base_conv.load_state_dict(old.state_dict())
    return new


class Scale(nn.Module):
    """Multiply each channel by a number that is learnt; `weight` is (1, C, 1, 1)."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, channels, 1, 1), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def _check_filters(layer: WTConv2d, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Refuse the weights of a layer with another wavelet: its filters are stored beside them."""
    for name in ("wt_filter", "iwt_filter"):
        theirs, ours = state.get(prefix + name), getattr(layer, name)
        if theirs is None:
            continue
        numbers = not (theirs.is_meta or ours.is_meta)  # a layer on "meta" waits for them
        if theirs.shape != ours.shape or (numbers and not torch.allclose(theirs.to(ours), ours, atol=1e-4)):
            raise ValueError(
                f"{prefix}{name} holds filters {tuple(theirs.shape)} of another wavelet than {layer.wt_type},"
                f" {tuple(ours.shape)}: make the layer with the wt_type and the channels that these weights had"
            )
    # Where it has a stride, a version of the authors' layer stores ones of its own for it.
    state.pop(f"{prefix}stride_filter", None)


def _batch(x: Tensor) -> Tensor:
    """Check pictures, and return one without N as a batch."""
    check_pictures(x)
    return x[None] if x.dim() == 3 else x


def _as_it_came(out: Tensor, x: Tensor) -> Tensor:
    """Take away the N that `_batch` has added."""
    return out[0] if x.dim() == 3 else out


def _depthwise(channels: int, kernel_size: int, bias: bool) -> nn.Conv2d:
    """One kernel for each channel; the size stays."""
    return nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, bias=bias)


def _four(taps: Tensor) -> Tensor:
    """Make the filters in two dimensions, (4, 1, taps, taps) in the order a, h, v, d, of those in one."""
    low, high = taps
    four = [torch.outer(down, across) for across in (low, high) for down in (low, high)]
    return torch.stack(four)[:, None].to(torch.get_default_dtype())


# One node each where torch.fx writes a network down.
_batch, _as_it_came = one_node(_batch), one_node(_as_it_came)

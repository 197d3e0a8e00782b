"""The bands of a WTConv layer, faster, for Haar; and depthwise convolutions that learn faster on a CPU (Chapter 08).

Three things make the difference, and none changes a number but in its last digits: the Haar steps are those of
`fast.wavelets`; the scales are multiplied into the kernels before, instead of into the maps after; and the gradient of
a depthwise kernel is computed as one depthwise convolution in which pictures and gradients change places.

Where the channels of a pixel lie beside each other (channels_last) and nothing is to be learnt, a fourth: sums and
differences are not halved at all.  What is too large by that is divided out of the kernels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from chapters_code.fast.wavelets import haar_join, haar_split
from chapters_code.tracing import cut_to, fixed_integer, is_open, is_recorded, odd, one_node

__all__ = ["convolve_bands", "depthwise"]


def convolve_bands(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Convolve the Haar bands of each level by themselves, and put them together again.

    Args:
        x: (N, C, H, W), floating point.
        weights: For each level, (4C, 1, k, k) with k odd: the kernels of a, h, v, d of the first channel, then of the
            second, and so on; scales multiplied in.

    Returns:
        (N, C, H, W).
    """
    if _channels_come_last(x, weights):
        # Each level doubles what it takes apart, and doubles it again when it puts it together.
        scaled = [_by_band(weight) / 4**level for level, weight in enumerate(weights, 1)]
        return _without_halving(x.movedim(1, -1), scaled).movedim(-1, 1)
    height, width = x.shape[-2:]
    if is_open(height, width) or height % 2 or width % 2:
        x = functional.pad(x, (0, odd(width), 0, odd(height)))
    bands = haar_split(x)
    first, *rest = weights
    convolved = depthwise(bands.flatten(1, 2), _by_band(first)).unflatten(1, (4, -1))
    if rest:
        below = convolve_bands(bands[:, 0], rest)
        convolved = torch.cat([convolved[:, :1] + below[:, None], convolved[:, 1:]], dim=1)
    return cut_to(haar_join(convolved), (height, width))


def _by_band(weight: Tensor) -> Tensor:
    """Sort kernels by band: those of a of all channels first."""
    return weight.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1)


def _channels_come_last(x: Tensor, weights: Sequence[Tensor]) -> bool:
    if is_recorded() or x.is_meta or x.dim() != 4 or x.is_contiguous():
        return False
    learning = torch.is_grad_enabled() and any(one.requires_grad for one in (x, *weights))
    return not learning and x.is_contiguous(memory_format=torch.channels_last)


def _without_halving(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Do as `convolve_bands`, with (N, H, W, C), kernels sorted by band, and sums and differences as they are."""
    height, width = x.shape[1:3]
    if height % 2 or width % 2:
        x = functional.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    upper, lower = x[:, 0::2], x[:, 1::2]
    bands = x.new_empty(len(x), upper.shape[1], upper.shape[2] // 2, 4, x.shape[3])
    a, h, v, d = bands.unbind(3)
    for half, sums, differences in ((upper + lower, a, v), (upper - lower, h, d)):
        torch.add(half[:, :, 0::2], half[:, :, 1::2], out=sums)
        torch.sub(half[:, :, 0::2], half[:, :, 1::2], out=differences)

    first, *rest = weights
    convolved = depthwise(bands.flatten(3).movedim(-1, 1), first).movedim(1, -1).unflatten(3, (4, -1))
    if rest:
        convolved[..., 0, :] += _without_halving(a, rest)

    a, h, v, d = convolved.unbind(3)
    x = convolved.new_empty(x.shape)
    upper, lower = convolved.new_empty(2, *x[:, 0::2].shape)
    for half, sums, differences in ((upper, a, v), (lower, h, d)):
        torch.add(sums, differences, out=half[:, :, 0::2])
        torch.sub(sums, differences, out=half[:, :, 1::2])
    torch.add(upper, lower, out=x[:, 0::2])
    torch.sub(upper, lower, out=x[:, 1::2])
    return x[:, :height, :width]


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve each channel with its own kernel; `conv2d(x, weight, bias, padding=k // 2, groups=C)`, k odd."""
    # For 3 × 3, and on a GPU, PyTorch's own gradient is as fast or faster.  The other form needs pictures in a batch;
    # their number is asked for last, since an exported network would keep it for ever.
    taps, channels = fixed_integer(weight.shape[-1]), fixed_integer(weight.shape[0])
    own = is_recorded() or not weight.requires_grad or taps < 5 or x.device.type != "cpu"
    if own or x.dim() != 4 or not len(x):
        return functional.conv2d(x, weight, bias, padding=taps // 2, groups=channels)
    out = _Depthwise.apply(x, weight)
    return out if bias is None else out + bias.to(out.dtype)[:, None, None]  # conv2d, too, rounds it under autocast


class _Depthwise(Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")  # under autocast, the backward pass is to round as the forward pass did
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def jvp(ctx, of_x: Tensor, of_weight: Tensor) -> Tensor:  # PyTorch gives zeros for what does not change
        x, weight = ctx.saved_tensors
        same = {"padding": weight.shape[-1] // 2, "groups": len(weight)}
        return functional.conv2d(of_x, weight, **same) + functional.conv2d(x, of_weight, **same)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        half, channels = weight.shape[-1] // 2, len(weight)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = functional.conv2d(gradient, weight.flip(-2, -1), padding=half, groups=channels)
        if ctx.needs_input_grad[1]:
            # Each picture's channel is convolved with its gradient as the kernel: k × k numbers come out.
            pictures, kernels = x.flatten(0, 1)[None], gradient.flatten(0, 1)[:, None]
            sums = functional.conv2d(pictures, kernels, padding=half, groups=kernels.shape[0])
            of_weight = sums.unflatten(1, (-1, channels)).sum(1).transpose(0, 1)
        return of_x, of_weight


# One node each where torch.fx writes a network down.
convolve_bands, depthwise = one_node(convolve_bands), one_node(depthwise)

"""HWD, Haar wavelet downsampling: halve a map without throwing a number away, then let the network choose (Chapter 07).

    x (N, C, H, W) --Haar--> a, h, v, d --concatenate--> (N, 4C, H/2, W/2) --1 × 1, norm, ReLU--> (N, C', H/2, W/2)

Odd sides are rounded up: their last row or column is used twice.

The Haar step is a fixed, orthonormal 4 × 4 matrix on each 2 × 2 block, and the 1 × 1 convolution is a matrix, too.
One after the other they are one matrix on the block: a 2 × 2 convolution with stride 2 (`as_kernel`), and every such
convolution is an HWD (`as_mix`).  So what HWD can compute, a strided 2 × 2 convolution can, with as many weights.

Source: Xu, Liao, Zhang, et al. (2023), "Haar wavelet downsampling: a simple but effective downsampling module for
semantic segmentation", Pattern Recognition 143.  Written from the formulas; differs in that no bias stands before the
normalisation, where it has no effect, and in odd sides, which the authors' code fills with zeros.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.checks import check_integer, check_pictures
from chapters_code.tracing import is_open, one_node
from chapters_code.wavelets import even, haar_dwt2, haar_idwt2

__all__ = ["EvenSides", "HWDownsampling", "as_kernel", "as_mix"]


class HWDownsampling(nn.Module):
    """Halve H and W by a Haar step, and mix the bands into C' channels.

    Args:
        in_channels: C.
        out_channels: C'.
        one_convolution: Compute Haar and 1 × 1 as the one convolution that they are: the same numbers up to rounding,
            the same weights, in half the time.  False computes them one after the other, as one reads them.

    Shape:
        (N, C, H, W) of floating point gives (N, C', H/2, W/2), rounded up.

    Raises:
        ValueError: A number of channels is no integer above 0, or what comes is no batch of pictures.

    Example:
        >>> HWDownsampling(3, 64)(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 64, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        one_convolution: bool = True,
    ) -> None:
        super().__init__()
        check_integer("in_channels", in_channels, 1)
        check_integer("out_channels", out_channels, 1)
        self.even = EvenSides()
        self.mix = nn.Conv2d(4 * in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.one_convolution = one_convolution

    def forward(self, x: Tensor) -> Tensor:
        x = self.even(x)
        if self.one_convolution:
            mixed = functional.conv2d(x, as_kernel(self.mix.weight), stride=2)
        else:
            mixed = self.mix(torch.cat(haar_dwt2(x), dim=1))
        return self.relu(self.norm(mixed))

    @torch.no_grad()
    def fuse(self) -> nn.Sequential:
        """Return the one convolution that computes the same in evaluation mode.

        The normalisation is included, so this is for inference.  It is a copy: later changes of this layer do not reach
        it.
        """
        # In evaluation mode the normalisation is a scale and a shift:
        # y = (x − mean) / √(var + eps) · weight + bias
        scale = self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()
        kernel = as_kernel(self.mix.weight) * scale[:, None, None, None]
        bias = self.norm.bias - self.norm.running_mean * scale
        # skip_init draws no weights: the random numbers of a run stay as they are.
        out_channels, in_channels = kernel.shape[:2]
        convolution = nn.utils.skip_init(nn.Conv2d, in_channels, out_channels, 2, stride=2)
        convolution.to(kernel).weight.copy_(kernel)
        convolution.bias.copy_(bias)
        fused = nn.Sequential(EvenSides(), convolution, nn.ReLU(inplace=True))
        return fused.train(self.training)


def as_kernel(mix: Tensor) -> Tensor:
    """Return the 2 × 2 kernel that does with stride 2 what Haar and a 1 × 1 mix do.

    Args:
        mix: Weight of the 1 × 1 convolution, (C', 4C, 1, 1); its channels are all a, then all h, v and d.

    Returns:
        (C', C, 2, 2), differentiable.  The change of basis is orthonormal: lengths and angles between weights stay.

    Raises:
        ValueError: `mix` has another shape.
    """
    _check_mix(mix)
    # The inverse of an orthonormal matrix is its transpose: each output's weights,
    # taken for a 1 × 1 map of bands, are put together to a 2 × 2 block.
    bands = mix.unflatten(1, (4, -1)).unbind(1)
    return haar_idwt2(bands)


def as_mix(kernel: Tensor) -> Tensor:
    """Return the 1 × 1 convolution that makes HWD of a 2 × 2 convolution with stride 2: the way back of `as_kernel`.

    Args:
        kernel: (C', C, 2, 2).

    Returns:
        (C', 4C, 1, 1), differentiable.

    Raises:
        ValueError: `kernel` has another shape.
    """
    if not is_open(*kernel.shape) and (kernel.dim() != 4 or kernel.shape[2:] != (2, 2)):
        raise ValueError(f"kernel must be that of a 2 × 2 convolution, (C', C, 2, 2), got {tuple(kernel.shape)}")
    return torch.cat(haar_dwt2(kernel), dim=1)


def _check_mix(mix: Tensor) -> None:
    """Say that `mix` is not the weight of an HWD's 1 × 1 convolution, if it is none."""
    if is_open(*mix.shape):
        return
    if mix.dim() != 4 or mix.shape[1] % 4 or mix.shape[2:] != (1, 1):
        raise ValueError(f"mix must be the weight of a 1 × 1 convolution, (C', 4C, 1, 1), got {tuple(mix.shape)}")


class EvenSides(nn.Module):
    """Use the last row or column of an odd side twice, so that halving rounds up: (N, C, H, W) gives even H and W.

    Raises:
        ValueError: What comes is no batch of pictures.
    """

    def forward(self, x: Tensor) -> Tensor:
        check_pictures(x)
        return even(x)


# One node each where torch.fx writes a network down.
as_kernel, as_mix = one_node(as_kernel), one_node(as_mix)

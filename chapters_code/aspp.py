"""ASPP, several scales at once: dilated convolutions side by side on one feature map (Chapter 04).

Atrous spatial pyramid pooling looks at every place of a map through windows of several widths, and at the mean of the
whole map, and mixes what they say.  Nothing shrinks: each branch gives a map of the input's size.

    x (N, C, H, W) ─┬─ 1 × 1 ───────────────────────┬─ concatenate ── project 1 × 1 ── (N, C', H, W)
                    ├─ 3 × 3 at each of the rates ──┤
                    └─ mean of the map ── 1 × 1 ────┘

The order of the branches is torchvision's; the article puts the mean first, and `ArticleASPP` keeps its order.  Left
out: rates that differ between height and width, kernels other than 3 × 3, and the depthwise separable branches of
DeepLabv3+.

Sources: Chen et al. (2017), "Rethinking Atrous Convolution for Semantic Image Segmentation"; `norm="batch"` equals
`torchvision.models.segmentation.deeplabv3.ASPP`, `norm=None` equals the article's layer.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.checks import (
    Size,
    check_floating_point,
    check_integer,
    check_odd,
    check_pair,
    check_pictures,
    check_rates,
)
from chapters_code.layers import conv_norm_relu
from chapters_code.tracing import is_open, is_proxy

__all__ = [
    "ASPP",
    "ArticleASPP",
    "LinearForm",
    "ValidTaps",
    "from_article",
    "from_torchvision",
    "linear_form",
    "valid_taps",
]


class ASPP(nn.Module):
    """Look at a feature map at several scales, and mix what is seen.

    Args:
        in_channels: Channels of the feature map.
        out_channels: Channels of each branch, and of the output.
        rates: Dilation rate of each 3 × 3 branch, in pixels of the feature map: one or more, in any order.
        norm: None, as in the article: convolutions with bias and nothing between them.  "batch", as in DeepLabv3:
            each convolution is followed by batch normalisation and ReLU, the last one by dropout (0.5) as well.
            "group": the same with group normalisation, which trains on one picture, too.

    Shape:
        (N, in_channels, H, W) of floating point gives (N, out_channels, H, W), for H and W from 1 on.  With "batch",
        training needs two pictures or more.

    Raises:
        ValueError: A setting is not legal.  When called: the input has another rank, other channels, no pixels or no
            floating point; or it is one picture, and batch normalisation is to train on it.

    Example:
        >>> ASPP(8, 4, rates=(1, 2))(torch.zeros(1, 8, 10, 15)).shape
        torch.Size([1, 4, 10, 15])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        rates: Iterable[int] = (6, 12, 18),
        norm: str | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = check_integer("in_channels", in_channels, 1)
        self.out_channels = check_integer("out_channels", out_channels, 1)
        self.rates = check_rates(rates, least=1)
        ends = in_channels, out_channels, norm
        self.pointwise = _layers(*ends)
        self.dilated = nn.ModuleList(_layers(*ends, rate) for rate in self.rates)
        self.pooled = _layers(*ends)
        # 1 × 1, the rates, the mean: counted, so any number of rates will do.
        self.project = _layers((len(self.rates) + 2) * out_channels, out_channels, norm)
        if norm is not None:
            self.project.append(nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        _need_map(x, self.in_channels, self.pooled)
        branches = [self.pointwise(x), *(branch(x) for branch in self.dilated)]
        mean = self.pooled(x.mean(dim=(2, 3), keepdim=True))
        # One pixel, resized bilinearly, is the same pixel everywhere.
        branches.append(mean.expand_as(branches[0]))
        return self.project(torch.cat(branches, dim=1))

    def extra_repr(self) -> str:
        return f"rates={self.rates}"


class ArticleASPP(nn.Module):
    """The source article's ASPP: five branches, the mean first, no normalisation.

    It is there to be compared with: `ASPP(in_channels, depth)` is the same function, given the weights by
    `from_article`, and takes other rates, too.

    Args:
        in_channels: Channels of the feature map.
        depth: Channels of each branch, and of the output.

    Shape:
        (N, in_channels, H, W) of floating point gives (N, depth, H, W), for H and W from 1 on.

    Raises:
        RuntimeError: When called: PyTorch's own answer to an input of another rank or of other channels.

    Example:
        >>> ArticleASPP(8, 4)(torch.zeros(1, 8, 10, 15)).shape
        torch.Size([1, 4, 10, 15])
    """

    def __init__(self, in_channels: int = 512, depth: int = 256) -> None:
        super().__init__()
        self.image = nn.Conv2d(in_channels, depth, 1)
        self.point = nn.Conv2d(in_channels, depth, 1)
        self.rate6 = nn.Conv2d(in_channels, depth, 3, padding=6, dilation=6)
        self.rate12 = nn.Conv2d(in_channels, depth, 3, padding=12, dilation=12)
        self.rate18 = nn.Conv2d(in_channels, depth, 3, padding=18, dilation=18)
        self.join = nn.Conv2d(5 * depth, depth, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.image(functional.adaptive_avg_pool2d(x, 1))
        mean = functional.interpolate(mean, size=x.shape[2:], mode="bilinear")
        branches = [mean, self.point(x), self.rate6(x), self.rate12(x), self.rate18(x)]
        return self.join(torch.cat(branches, dim=1))


def from_article(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of `ArticleASPP` to those of `ASPP`, and bring its projection into our order.

    Args:
        state_dict: What `state_dict()` of an `ArticleASPP` gives.

    Returns:
        The weights under our names, for `load_state_dict` of an `ASPP` of the same channels with rates 6, 12, 18.

    Raises:
        ValueError: The weights are not those of the article's layer.
    """
    names = {"image": "pooled.0", "point": "pointwise.0", "join": "project.0"}
    names |= {f"rate{rate}": f"dilated.{i}.0" for i, rate in enumerate((6, 12, 18))}
    if set(state_dict) != {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}:
        some = ", ".join(list(state_dict)[:3]) or "nothing"
        raise ValueError(
            f"these are not the weights of the article's ASPP, which are a weight and a bias for each of"
            f" {', '.join(names)}; got {some}: take state_dict() of an ArticleASPP"
        )
    renamed = {_renamed(name, names): tensor for name, tensor in state_dict.items()}
    # The mean comes first there and last here, so the projection's first `depth` inputs go to the end.
    weight = renamed["project.0.weight"]
    return renamed | {"project.0.weight": weight.roll(-len(weight), dims=1)}


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of torchvision's ASPP to those of `ASPP(..., norm="batch")`.

    Args:
        state_dict: What `state_dict()` of a `torchvision.models.segmentation.deeplabv3.ASPP` gives; in a whole
            DeepLabv3 that is `model.classifier[0].state_dict()`.

    Returns:
        The same tensors under our names, for `load_state_dict`.

    Raises:
        ValueError: The weights are not those of torchvision's ASPP.
    """
    try:
        last = max(int(name.split(".")[1]) for name in state_dict if name.startswith("convs."))
        if last < 2 or "project.0.weight" not in state_dict:
            raise ValueError
        names = {f"convs.{last}.{1 + i}": f"pooled.{i}" for i in (0, 1)} | {"convs.0": "pointwise"}
        names |= {f"convs.{i}": f"dilated.{i - 1}" for i in range(1, last)} | {"project": "project"}
        return {_renamed(name, names): tensor for name, tensor in state_dict.items()}
    except (ValueError, StopIteration):
        some = ", ".join(list(state_dict)[:3]) or "nothing"
        raise ValueError(
            f"these are not the weights of torchvision's ASPP, which start with convs.0.0.weight; got {some}:"
            " of a whole DeepLabv3 take model.classifier[0].state_dict()"
        ) from None


class ValidTaps(NamedTuple):
    """How much of a dilated kernel falls on the map."""

    mean: float  # taps inside the map, averaged over all positions
    centre_only: float  # share of the positions, 0 to 1, where no tap but the centre is inside


def valid_taps(map_size: Size, rate: int, kernel_size: int = 3) -> ValidTaps:
    """Count the taps of a dilated convolution that fall on the map, not on padding.

    A tap that is k pixels away from the centre, on either side, is inside at size − k positions of a side.  Rows and
    columns are independent, so what is counted for each side is multiplied.

    Args:
        map_size: Side of the feature map in pixels, or (H, W).
        rate: Dilation rate: pixels from one tap to the next.
        kernel_size: Taps per side, odd.  The padding keeps the size: rate · (kernel_size − 1) / 2.

    Returns:
        The mean, from 1 to kernel_size², and the share of positions where only the centre is inside.

    Raises:
        ValueError: An argument is not legal; an even kernel has no centre.

    Example:
        >>> valid_taps((10, 15), rate=18)
        ValidTaps(mean=1.0, centre_only=1.0)
    """
    sides = check_pair("map_size", map_size)
    rate = check_integer("rate", rate, 1)
    half = check_odd("kernel_size", kernel_size) // 2
    inside, lonely = 1, 1
    for size in sides:
        taps = range(-half, half + 1)
        inside *= sum(max(0, size - rate * abs(tap)) for tap in taps)
        # The nearest taps are both outside from size − rate on and up to rate − 1.
        lonely *= max(0, min(size, rate) - max(0, size - rate)) if half else size
    return ValidTaps(inside / math.prod(sides), lonely / math.prod(sides))


class LinearForm(NamedTuple):
    """An ASPP without normalisation as what it computes: one convolution, and a number for each picture."""

    weight: Tensor  # (C', C, K, K) with K = 2 · largest rate + 1: all branches but the mean, in one kernel
    pooled_weight: Tensor  # (C', C): what the mean of each channel adds, everywhere the same
    bias: Tensor  # (C',)


def linear_form(aspp: ASPP) -> LinearForm:
    """Multiply out the branches and the projection of an ASPP: one linear map.

    It is linear only without normalisation, since ReLUs come with one.

    With `size` = K // 2 and `mean` = `x.mean((2, 3))`, `aspp(x)` equals
    `conv2d(x, weight, padding=size) + (mean @ pooled_weight.T + bias)[:, :, None, None]`.

    Args:
        aspp: An ASPP with `norm=None`.  The kernel is large: take few channels, or small rates.

    Raises:
        ValueError: `aspp` has a normalisation, so a ReLU between the convolutions, and is not linear.
    """
    _need_linear(aspp)
    branches = [one[0] for one in (aspp.pointwise, *aspp.dilated, aspp.pooled)]
    project = aspp.project[0]
    # Each branch has columns of its own in the projection.
    shares = project.weight[:, :, 0, 0].chunk(len(branches), dim=1)
    pairs = list(zip(shares, branches, strict=True))
    weights = [torch.einsum("op,pcij->ocij", share, one.weight) for share, one in pairs]
    bias = project.bias + sum(share @ one.bias for share, one in pairs)

    middle = max(aspp.rates)
    side = 2 * middle + 1
    kernel = weights[0].new_zeros(aspp.out_channels, aspp.in_channels, side, side)
    for weight, branch in zip(weights[:-1], branches[:-1], strict=True):
        rate = branch.dilation[0]
        reach = rate * (branch.kernel_size[0] // 2)
        # Zeros between the taps: the dilated kernel as a plain one.
        taps = slice(middle - reach, middle + reach + 1, rate)
        kernel[:, :, taps, taps] += weight
    return LinearForm(kernel, weights[-1][:, :, 0, 0], bias)


def _need_map(x: Tensor, in_channels: int, pooled: nn.Sequential) -> None:
    check_pictures(x, single=False)
    check_floating_point(x)
    if is_proxy(x) or is_open(*x.shape[:2]):
        return
    if x.shape[1] != in_channels:
        raise ValueError(
            f"x must have the {in_channels} channels that this layer was made for, got {tuple(x.shape)}:"
            f" make it with in_channels={x.shape[1]}"
        )
    # Not SyncBatchNorm, which counts the pictures of all processes.
    if len(x) == 1 and any(isinstance(layer, nn.BatchNorm2d) and layer.training for layer in pooled):
        raise ValueError(
            "batch normalisation cannot train on one picture: the mean of the map is one number per channel, and one"
            ' number has no spread.  Use norm="group"; or two pictures or more in every batch, the last one, too'
            " (DataLoader(drop_last=True)); or freeze batch normalisation by .eval() on its layers"
        )


def _need_linear(aspp: ASPP) -> None:
    if not isinstance(aspp, ASPP):
        raise ValueError(f"linear_form wants an ASPP, got {type(aspp).__name__}")
    if len(aspp.project) > 1:
        raise ValueError("only ASPP(norm=None) is linear; with a normalisation come ReLUs, which are not")


def _layers(in_channels: int, out_channels: int, norm: str | None, rate: int | None = None) -> nn.Sequential:
    """Return a 1 × 1 convolution, or a 3 × 3 one at a rate; with a normalisation, a ReLU follows it."""
    kernel_size, dilation = (1, 1) if rate is None else (3, rate)
    layers = conv_norm_relu(in_channels, out_channels, dilation, kernel_size=kernel_size, norm=norm)
    return layers[:1] if norm is None else layers


def _renamed(name: str, names: dict[str, str]) -> str:
    """Replace the start of a name; the first of `names` that fits, wins."""
    start = next(start for start in names if name.startswith(f"{start}."))
    return names[start] + name.removeprefix(start)

"""U²-Net: a U of small U's, trained at every level (Chapter 09).

An RSU (residual U-block) is a small U-Net in the place of one convolution, added to its own input:

    x --first--> F₁(x) --down, down, ..., bottom, ..., up, up--> U(F₁(x)) + F₁(x)

U²-Net is a large U of eleven such blocks.  Six of them give a map each, and a 1 × 1 convolution makes one of the six:

    x (N, 3, H, W) --six encoders, five decoders--> six maps --enlarged--> (fused, side 1, ..., side 6), each H × W

Source: Qin, Zhang, Huang, et al. (2020), "U²-Net: going deeper with nested U-structure for salient object detection",
Pattern Recognition 106, arXiv 2005.09007.  Written from the paper's figure and table; the numbers of the published
checkpoints can be loaded.  Differs in that logits come out: the sigmoid belongs to the loss, where it cannot overflow.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from chapters_code.blocks import conv_norm_relu
from chapters_code.checks import check_integer, check_pictures
from chapters_code.outputs import copied
from chapters_code.weights import bare_weights

__all__ = ["RSU", "Stage", "U2Net", "load_official", "u2net", "u2netp"]


class RSU(nn.Module):
    """A U-Net of the given height, added to its own input.

    Args:
        height: How many convolutions lie above each other on the way down, the bottom one included; 2 or more.
        in_channels: Channels that come in.
        mid_channels: Channels inside the U; the fewer, the cheaper.
        out_channels: Channels that come out.
        dilated: Keep the size and pull the kernels apart, 1, 2, 4 and so on, instead of halving it.  For maps that are
            small already (the paper's RSU-4F).

    Shape:
        (N, in_channels, H, W) of floating point gives (N, out_channels, H, W), for H and W from 1 on.  In training, the
        smallest map needs more than one value per channel, because of the batch normalisation.

    Raises:
        ValueError: `height` is below 2, or a number of channels is no integer above 0.

    Example:
        >>> RSU(7, 3, 16, 64)(torch.zeros(1, 3, 33, 47)).shape
        torch.Size([1, 64, 33, 47])
    """

    def __init__(
        self,
        height: int,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        dilated: bool = False,
    ) -> None:
        super().__init__()
        self.dilated = dilated
        rates = _rates(height, dilated)
        mid = check_integer("mid_channels", mid_channels, 1)
        # Of each row, from the top: the channels in on the way down, out on the way up.
        rows = list(zip([out_channels] + [mid] * (height - 1), rates, strict=True))
        self.first = conv_norm_relu(in_channels, out_channels)
        self.down = nn.ModuleList(conv_norm_relu(c, mid, rate) for c, rate in rows)
        # The way up reads two maps in a row; the bottom has none beside it.
        self.up = nn.ModuleList(conv_norm_relu(2 * mid, c, rate) for c, rate in rows[:-1])

    def forward(self, x: Tensor) -> Tensor:
        check_pictures(x)
        first = x = self.first(x)
        kept = []
        for depth, block in enumerate(self.down):
            if 0 < depth < len(self.up) and not self.dilated:
                x = _halved(x)
            x = block(x)
            kept.append(x)
        x = kept.pop()
        for block in reversed(self.up):
            beside = kept.pop()
            x = block(torch.cat([_resized(x, beside), beside], dim=1))
        return x + first


class Stage(NamedTuple):
    """A line of the table that a U²-Net is built from: one RSU, but for the channels that come in."""

    height: int
    mid_channels: int
    out_channels: int
    dilated: bool = False


# On the way down, from the picture on; and on the way up, also from the picture on.
_LARGE = (
    (
        Stage(7, 32, 64),
        Stage(6, 32, 128),
        Stage(5, 64, 256),
        Stage(4, 128, 512),
        Stage(4, 256, 512, dilated=True),
        Stage(4, 256, 512, dilated=True),
    ),
    (
        Stage(7, 16, 64),
        Stage(6, 32, 64),
        Stage(5, 64, 128),
        Stage(4, 128, 256),
        Stage(4, 256, 512, dilated=True),
    ),
)
_SMALL = tuple(tuple(stage._replace(mid_channels=16, out_channels=64) for stage in side) for side in _LARGE)


class U2Net(nn.Module):
    """A U of RSU blocks that gives one map from each level, and one made of them all.

    Args:
        encoder: The blocks on the way down, from the picture on.
        decoder: The blocks on the way up, also from the picture on; one fewer.
        in_channels: Channels of the picture.
        num_classes: Channels of each map: 1 for a yes-or-no question.
        block: Called with (in_channels, mid_channels, out_channels) to make something else in the place of every RSU,
            such as `blocks.PlainBlock`; of a stage it takes the channels, and height and dilation fall away.

    Shape:
        (N, in_channels, H, W) of floating point gives a tuple of logits, each (N, num_classes, H, W): the fused map
        first, then a side map per block on the way up and one of the deepest, from the finest to the coarsest.  H and W
        from 1 on.  In training, the smallest map needs more than one value per channel: H or W above 32, or a batch of
        two.

    Raises:
        ValueError: The decoder has not one block fewer than the encoder, or a number is no integer above 0.
    """

    def __init__(
        self,
        encoder: Sequence[Stage],
        decoder: Sequence[Stage],
        in_channels: int = 3,
        num_classes: int = 1,
        block: Callable[[int, int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        _check_stages(encoder, decoder, num_classes)
        channels = [stage.out_channels for stage in encoder]
        make = _rsu if block is None else _in_its_place(block)
        self.encoder = nn.ModuleList(map(make, encoder, [in_channels, *channels]))
        below = [*(stage.out_channels for stage in decoder[1:]), channels[-1]]
        joined = [deeper + beside for deeper, beside in zip(below, channels, strict=False)]
        self.decoder = nn.ModuleList(map(make, decoder, joined))
        heads = [*(stage.out_channels for stage in decoder), channels[-1]]
        self.sides = nn.ModuleList(nn.Conv2d(c, num_classes, 3, padding=1) for c in heads)
        self.merge = nn.Conv2d(len(heads) * num_classes, num_classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        check_pictures(x)
        picture, kept = x, []
        for depth, block in enumerate(self.encoder):
            x = block(_halved(x) if depth else x)
            kept.append(x)
        maps = [x := kept.pop()]
        for block in reversed(self.decoder):
            beside = kept.pop()
            x = block(torch.cat([_resized(x, beside), beside], dim=1))
            maps.append(x)
        heads = zip(self.sides, reversed(maps), strict=True)
        sides = [_resized(head(one), picture) for head, one in heads]
        return self.merge(torch.cat(sides, dim=1)), *sides

    def fuse(self) -> "U2Net":
        """Return a copy for inference, in which each normalisation is part of the convolution before it."""
        fused = copied(self).eval()
        for module in list(fused.modules()):
            if isinstance(module, nn.Sequential) and not isinstance(module[1], nn.Identity):
                convolution, norm, _ = module
                module[0], module[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity().eval()
        return fused


def u2net(in_channels: int = 3, num_classes: int = 1) -> U2Net:
    """Build the paper's U²-Net: 44,009,869 parameters for pictures in colour and one map."""
    return U2Net(*_LARGE, in_channels, num_classes)


def u2netp(
    in_channels: int = 3, num_classes: int = 1, block: Callable[[int, int, int], nn.Module] | None = None
) -> U2Net:
    """Build the paper's small U²-Net†, 16 channels inside each block and 64 outside: 1,131,181 parameters.

    `block` puts something else in the place of every RSU, see `U2Net`.
    """
    return U2Net(*_SMALL, in_channels, num_classes, block)


def load_official(model: U2Net, state_dict: Mapping[str, Tensor]) -> U2Net:
    """Load a checkpoint of the authors, which names the parts in another way.

    Args:
        model: `u2net()` or `u2netp()`; loaded in place, all of it or nothing.
        state_dict: What `torch.load(path, weights_only=True)` gives for a published file; also wrapped, as
            `weights.bare_weights` says.  Files of old versions of PyTorch lack `num_batches_tracked`, which only counts
            the batches of training; without it the count begins anew.

    Returns:
        `model`.

    Raises:
        ValueError: The checkpoint is not of this network: a part is missing, unknown or of another shape.
    """
    theirs = bare_weights(state_dict)
    ours = {_official(name): name for name in model.state_dict()}
    missing, unknown = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unknown:
        raise ValueError(
            f"this is no checkpoint of a U²-Net of {len(model.encoder)} stages as the authors name its parts:"
            f" {len(missing)} are missing ({', '.join(missing[:3]) or 'none'}),"
            f" {len(unknown)} are unknown ({', '.join(unknown[:3]) or 'none'})"
        )
    sizes = {name: value.shape for name, value in model.state_dict().items()}
    for name, value in theirs.items():
        if value.shape != sizes[ours[name]]:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}, this network wants {tuple(sizes[ours[name]])}:"
                " load u2net.pth into u2net(), and u2netp.pth into u2netp()"
            )
    # A plain dictionary names no version, so PyTorch takes it for an old one, and counts batches from 0 where it must.
    model.load_state_dict({ours[name]: value for name, value in theirs.items()})
    return model


def _official(name: str) -> str:
    """Translate encoder.0.first.0.weight to stage1.rebnconvin.conv_s1.weight, and so on."""
    name = re.sub(r"^merge\.", "outconv.", name)
    name = re.sub(r"^sides\.(\d+)\.", lambda found: f"side{int(found[1]) + 1}.", name)
    name = re.sub(r"^encoder\.(\d+)\.", lambda found: f"stage{int(found[1]) + 1}.", name)
    name = re.sub(r"^decoder\.(\d+)\.", lambda found: f"stage{int(found[1]) + 1}d.", name)
    name = re.sub(r"\.first\.", ".rebnconvin.", name)
    name = re.sub(r"\.down\.(\d+)\.", lambda found: f".rebnconv{int(found[1]) + 1}.", name)
    name = re.sub(r"\.up\.(\d+)\.", lambda found: f".rebnconv{int(found[1]) + 1}d.", name)
    return name.replace(".0.", ".conv_s1.").replace(".1.", ".bn_s1.")


def _rates(height: int, dilated: bool) -> list[int]:
    """Say by how much each convolution on the way down is dilated, the bottom last.

    Where the size is halved, only the bottom looks wider: below it there is no room for one more halving.
    """
    check_integer("height", height, 2)
    return [2**depth for depth in range(height)] if dilated else [1] * (height - 1) + [2]


def _check_stages(encoder: Sequence[Stage], decoder: Sequence[Stage], num_classes: int) -> None:
    """Say what is wrong, if these stages do not make a U."""
    if len(decoder) != len(encoder) - 1 or not decoder:
        raise ValueError(
            "the deepest block has none beside it, so the decoder needs one block fewer than the encoder, and at"
            f" least one; got {len(encoder)} on the way down and {len(decoder)} on the way up"
        )
    check_integer("num_classes", num_classes, 1)


def _rsu(stage: Stage, in_channels: int) -> RSU:
    return RSU(stage.height, in_channels, stage.mid_channels, stage.out_channels, stage.dilated)


def _in_its_place(block: Callable[[int, int, int], nn.Module]) -> Callable[[Stage, int], nn.Module]:
    return lambda stage, in_channels: block(in_channels, stage.mid_channels, stage.out_channels)


def _halved(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 2, stride=2, ceil_mode=True)


def _resized(x: Tensor, beside: Tensor) -> Tensor:
    """Bring x to the size of another map."""
    return functional.interpolate(x, size=beside.shape[-2:], mode="bilinear", align_corners=False)

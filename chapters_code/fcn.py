"""FCN: a network that names what is in a picture, made to name it pixel by pixel (Chapter 06).

A classifier shrinks the picture 32 times, forgets what is left of *where* by one mean over the map, and gives one
answer.  Leave the mean out, and every cell of the small map can answer for its own part of the picture.

    x (N, 3, H, W)  --features-->  (N, C, h, w)  --1 × 1-->  (N, K, h, w)  --enlarge 32 times, crop-->  (N, K, H, W)

h and w are H/32 and W/32, rounded up.  The enlarged map reaches over the picture's far sides, and what lies beyond them
is cut off; so every size works.

That is FCN-32s: one answer for each 32 × 32 pixels.  FCN-16s and FCN-8s let finer maps of the same features speak, too:
double the scores, add those of the map that is twice as fine, and go on.

Source: Long, Shelhamer and Darrell (2015), "Fully convolutional networks for semantic segmentation"; with ResNet-18 in
place of VGG-16, as in "Dive into Deep Learning" (Zhang et al., 2023), but without a bias in the layers that enlarge:
the 1 × 1 convolutions before them have one.  Differs from the paper in that the skips are trained with the rest from
the first step, and not after it.
"""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pooch
from torch import Tensor, nn
from torchvision import models

from chapters_code.checks import check_choice, check_integer
from chapters_code.tracing import cut_to
from chapters_code.transposed import UPSAMPLERS
from chapters_code.weights import imagenet, read_weights

__all__ = ["BACKBONES", "FCN", "STRIDE", "Backbone", "resnet_features"]

STRIDE = 32  # by how much the backbones shrink a picture


class FCN(nn.Module):
    """Segment pictures of any size with a classifier's features.

    Args:
        num_classes: K, the background counted.
        backbone: "resnet18" or "mobilenet_v2".
        weights: What the features start from. None: random numbers.  "imagenet": weights trained on ImageNet, found or
            downloaded as `weights` says.  Else the path of a file: of the whole classifier as torchvision names
            its parts, or of its features alone.
        upsample: How the small map is enlarged, a name in `transposed.UPSAMPLERS`: "dense", K · K kernels that start
            bilinear and learn, as in "Dive into Deep Learning"; "depthwise", K of them; "fixed", bilinear for ever, as
            the paper has its last layer.
        stride: Pixels to a cell of the finest map that is scored: 32, 16 or 8, as in the paper's FCN-32s, FCN-16s and
            FCN-8s.  The scores of the finer maps start at 0, so that all three begin with what the coarsest says.

    Shape:
        (N, 3, H, W), normalised as for ImageNet, gives logits (N, K, H, W), for H and W from 1 on.  In training the
        smallest map needs more than one value per channel: a batch of one picture must be larger than 32 × 32.

    Raises:
        ValueError: An argument is unknown or not legal, or the weights are of another network.
        weights.NoWeights: The ImageNet weights could not be had.
        FileNotFoundError: There is no file of this name.
    """

    def __init__(
        self,
        num_classes: int = 21,
        backbone: str = "resnet18",
        weights: str | Path | None = None,
        upsample: str = "dense",
        stride: int = STRIDE,
    ) -> None:
        super().__init__()
        _check_settings(num_classes, backbone, weights, upsample, stride)
        make, channels, finer = BACKBONES[backbone]
        self.features = make()
        self.started_from = _start(self.features, backbone, weights)
        self.classifier = _scores(channels, num_classes, nn.init.xavier_uniform_)

        # The finer maps, from the coarsest on: where they come from, and their scores.
        rungs = [finer[one] for one in SKIPS if one >= stride]
        self.taps = tuple(name for name, _ in rungs)
        skips = [_scores(width, num_classes, nn.init.zeros_) for _, width in rungs]
        self.skips = nn.ModuleList(skips)
        enlarge = UPSAMPLERS[upsample]
        self.doublings = nn.ModuleList(enlarge(num_classes, 2) for _ in rungs)
        self.upsample = enlarge(num_classes, stride)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        finer = {}
        for name, part in self.features.named_children():
            x = part(x)
            if name in self.taps:
                finer[name] = x
        scores = self.classifier(x)
        ladder = zip(self.taps, self.skips, self.doublings, strict=True)
        for tap, skip, double in ladder:
            beside = skip(finer[tap])
            # Where a side was rounded up on the way down, the doubled one is too long.
            scores = cut_to(double(scores), beside.shape[-2:]) + beside
        return cut_to(self.upsample(scores), size)


def resnet_features() -> nn.Sequential:
    """Take ResNet-18 without its last two parts: the mean over the map, and the layer that names the picture.

    The parts keep their names, so that the classifier's weights fit.
    """
    parts = list(models.resnet18(weights=None).named_children())
    return nn.Sequential(OrderedDict(parts[:-2]))


def _mobilenet_features() -> nn.Sequential:
    return models.mobilenet_v2(weights=None).features


class Backbone(NamedTuple):
    """A classifier's features, and where its finer maps are to be had."""

    make: Callable[[], nn.Sequential]
    channels: int  # of the last map, of stride 32
    finer: dict[int, tuple[str, int]]  # stride -> the last part that has it, and its channels


SKIPS = (16, 8)  # the strides of the finer maps, from the coarsest on
BACKBONES = {
    "resnet18": Backbone(resnet_features, 512, {16: ("layer3", 256), 8: ("layer2", 128)}),
    "mobilenet_v2": Backbone(_mobilenet_features, 1280, {16: ("13", 96), 8: ("6", 32)}),
}


def _check_settings(num_classes: int, backbone: str, weights: str | Path | None, upsample: str, stride: int) -> None:
    """Say what is wrong with the arguments of an `FCN`."""
    check_integer("num_classes", num_classes, 1)
    check_choice("backbone", backbone, BACKBONES)
    check_choice("upsample", upsample, UPSAMPLERS)
    if weights is not None and not isinstance(weights, str | Path):
        raise ValueError(f'weights must be None, "imagenet" or the path of a file, got {weights!r}')
    if stride not in (STRIDE, *SKIPS):
        raise ValueError(f"stride must be one of {STRIDE}, {', '.join(map(str, SKIPS))}, got {stride!r}")


def _scores(channels: int, num_classes: int, start: Callable[[Tensor], Tensor]) -> nn.Conv2d:
    """Make the 1 × 1 convolution that scores a map; its weights start as `start` fills them, its bias as 0."""
    scores = nn.Conv2d(channels, num_classes, 1)
    start(scores.weight)
    nn.init.zeros_(scores.bias)
    return scores


def _start(features: nn.Module, backbone: str, weights: str | Path | None) -> str | None:
    """Load what the features start from; return the file and its hash, for the record of a training run."""
    if weights is None:
        return None
    path = imagenet(backbone) if weights == "imagenet" else Path(weights)
    _load(features, path, backbone)
    return f"{path.name}, SHA-256 {pooch.file_hash(str(path))}"


def _load(features: nn.Module, path: Path, backbone: str) -> None:
    """Put a classifier's weights, or its features' alone, into the features: all of them, and no others."""
    state = {name.removeprefix("features."): value for name, value in read_weights(path).items()}
    state = {name: value for name, value in state.items() if not name.startswith(("fc.", "classifier."))}
    try:
        features.load_state_dict(state)
    except RuntimeError as error:
        wrong = " ".join(str(error).split())[:300]
        raise ValueError(f"{path} does not hold the weights of {backbone}: {wrong} ...") from None

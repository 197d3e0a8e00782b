"""Is ASPP worth its price in a network, and do its rates have to fit the map (Chapter 04)?

    python -m experiments aspp --data DIR --out OUT

The plan, written before the first run.  MobileNetV2 with weights of ImageNet, its last halving taken out and what comes
after it dilated by 2: output stride 16, as in DeepLabv3.  On its last map of 320 channels stands a head of 96 channels,
then a 1 × 1 convolution to the 21 classes, enlarged bilinearly.  The part of Pascal VOC that the book has (207
photographs to train on, 203 to score), crops of 320 × 320, so maps of 20 × 20; 12 epochs, the settings of the recipe
fcn-mobilenet; five seeds.  What is compared is the head:

    none         one 1 × 1 convolution
    ones         ASPP with rates (1, 1, 1): no dilation.  As many weights and multiply-adds as all that follow
    fits         ASPP with rates (2, 4, 6): on 20 × 20 more than 5 of 9 taps are inside at each of them, on average
    paper        ASPP with rates (6, 12, 18), made for maps of 33 × 33 and more
    paper_again  the same with rates (18, 12, 6): the same function class, other first weights.  A control

Judged by `global_mean_iou`, seed by seed, by the 95 % interval of the mean difference: each arm against ones, by Holm's
rule over the four comparisons, and paper_again against paper; equal if the 90 % interval is inside ± 0.01.

Expected, before the first run:
    1. paper_again − paper: the interval holds 0.  If not, nothing else counts.
    2. ones is ahead of none: more weights, and a look at the surroundings.
    3. fits is ahead of ones by 0.005 to 0.03.
    4. paper is not ahead of fits: on a map of 20 × 20 rate 18 reads little but zeros.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.aspp import ASPP
from chapters_code.data.pairs import Segmentation
from chapters_code.fcn import FCN
from chapters_code.layers import conv_norm_relu
from chapters_code.train.recipes import Recipe, recipe
from experiments.overlap import overlaps
from experiments.work import Planned, Study, plan

RATES = {"ones": (1, 1, 1), "fits": (2, 4, 6), "paper": (6, 12, 18), "paper_again": (18, 12, 6)}
ARMS = ("none", *RATES)
MAPS, WIDTH = 320, 96  # channels of the last map, and of the head


def settings(arm: str) -> Recipe:
    """Write down one run."""
    return plan(
        recipe("fcn-mobilenet", "colab"),
        name=f"aspp-{arm.replace('_', '-')}",
        chapter="04 aspp",
        network_settings={"backbone": "mobilenet_v2", "weights": "imagenet", "head": arm},
        epochs=12,
        validate_every=1000,
    )


class Network(nn.Module):
    """MobileNetV2 at output stride 16 with a head; logits (N, 21, H, W) for pictures (N, 3, H, W)."""

    def __init__(self, head: nn.Module, weights: str | Path | None = "imagenet") -> None:
        super().__init__()
        whole = FCN(21, "mobilenet_v2", weights)
        self.started_from = whole.started_from
        self.features = whole.features[:-1]  # without the last 1 × 1 convolution, to 1280 channels
        for part in self.features[14:]:
            for layer in part.modules():
                if isinstance(layer, nn.Conv2d) and layer.groups > 1:
                    # Of the halving only the step goes; what comes after it then looks twice as wide.
                    rate = 1 if layer.stride == (2, 2) else 2
                    layer.stride, layer.dilation, layer.padding = (1, 1), (rate, rate), (rate, rate)
        self.head = head
        self.scores = nn.Conv2d(WIDTH, 21, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(self.head(self.features(x)))
        return functional.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=False)


def head(arm: str) -> nn.Module:
    """Make what is compared."""
    return conv_norm_relu(MAPS, WIDTH, kernel_size=1) if arm == "none" else ASPP(MAPS, WIDTH, RATES[arm], "batch")


def build(planned: Planned) -> nn.Module:
    """Make the network of a run; its first weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(planned.seed)
        return Network(head(planned.arm), planned.recipe.network_settings["weights"])


def more(model: nn.Module, planned: Planned, pairs: Segmentation, data: Path | None) -> dict[str, Any]:
    """Count what overlaps on each photograph."""
    return {"photographs": overlaps(model, pairs)}


STUDY = Study(
    name="aspp",
    planned=[Planned(arm, "VOC 2012", settings(arm), seed, 9.0) for seed in range(5) for arm in ARMS],
    build=build,
    more=more,
)

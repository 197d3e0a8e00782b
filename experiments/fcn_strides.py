"""FCN-32s, 16s and 8s by the same budget (Chapter 06).

    python -m experiments fcn_strides --data DIR --out OUT

The plan, written before the first run.  An earlier study (`experiments/fcn8s.py`) held FCN-8s against FCN-32s with
three seeds.  Here are all three of the paper, on the same MobileNetV2 with weights of ImageNet, five seeds, the
settings of the recipe fcn-mobilenet, crops of 320 × 320, but 12 epochs.  The earlier study trained for twice as long;
what it found of 32s and 8s is held against this one.

Judged by `global_mean_iou`, seed by seed, by the 95 % interval of the mean difference and Holm's rule over three
comparisons; equal if the 90 % interval is inside ± 0.01.  The earlier study trained for twice as
long; what it found of 32s and 8s (8s ahead, by how much three seeds could not say well) is held against this one.

Expected, before the first run (the paper's: 59.4, 62.4 and 62.7 %):
    1. 16s is ahead of 32s by 0.01 to 0.03.
    2. 8s and 16s are equal within 0.01.
    3. The order 32s, 16s, 8s is also that of the pixel accuracy.
"""

from pathlib import Path
from typing import Any

from torch import nn

from chapters_code.data.pairs import Segmentation
from chapters_code.train.recipes import Recipe, recipe
from experiments.overlap import overlaps
from experiments.work import Planned, Study, plan

STRIDES = {"FCN-32s": 32, "FCN-16s": 16, "FCN-8s": 8}


def settings(arm: str) -> Recipe:
    """Write down one run."""
    return plan(
        recipe("fcn-mobilenet", "colab"),
        name=f"strides-{arm.lower()}",
        network_settings={"backbone": "mobilenet_v2", "weights": "imagenet", "stride": STRIDES[arm]},
        epochs=12,
        validate_every=1000,
    )


def more(model: nn.Module, planned: Planned, pairs: Segmentation, data: Path | None) -> dict[str, Any]:
    """Count what overlaps on each photograph."""
    return {"photographs": overlaps(model, pairs)}


STUDY = Study(
    name="fcn-strides",
    planned=[Planned(arm, "VOC 2012", settings(arm), seed, 8.0) for seed in range(5) for arm in STRIDES],
    more=more,
)

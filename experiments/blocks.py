"""Is it the nest?  Blocks, depth, size, time and losses on saliency (Chapter 09).

    python -m experiments blocks --data DIR --out OUT

The plan, written before the first run.  An earlier study (`experiments/nest.py`) found U²-Net† ahead of a U-Net of as
many parameters on saliency, by 0.06 of `global_max_f`.  They differ in more than one thing, and each has its arm here.
ECSSD (188 photographs to train on, 62 to score), the settings of the recipe u2netp (tier colab), five seeds.

    rsu          U²-Net† by its seven losses: the runs of the earlier study
    fused        the same network by the loss of its fused map alone.  Is it the losses?
    unet         the earlier study's U-Net with as many parameters: its runs
    unet_deep    a U-Net of six sizes, so five halvings, as U²-Net† has, and as many parameters.  Is it the reach?
    unet_long    the earlier U-Net for twice as many epochs, which takes as long as U²-Net†.  Is it the time?
    plain, residual, dense, inception
                 U²-Net† with another block in the place of every RSU (the paper's PLN, RES, DSE, INC), with as many
                 channels inside and outside, by seven losses.  Is it the block?

Judged by `global_max_f`, seed by seed, each arm against rsu, by the 95 % interval of the mean difference and Holm's
rule over the eight comparisons; equal if the 90 % interval is inside ± 0.02.  Parameters and seconds stand beside.  No
arm is a twin of another, so there is no control here that must be 0.

Expected, before the first run:
    1. fused is behind rsu by less than 0.03: the losses explain less than half of the lead over unet.
    2. unet_deep is behind rsu by less than half of what unet is: what counts is to see the whole picture.
    3. unet_long makes up less than a third of what unet lacks: its scores had hardly changed at the end.
    4. plain, residual and dense are behind rsu by more than 0.02, inception by less: each of its blocks looks wide.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chapters_code.blocks import DenseBlock, InceptionBlock, PlainBlock, ResidualBlock
from chapters_code.data.pairs import Segmentation
from chapters_code.train.recipes import Recipe, build_network, recipe
from chapters_code.u2net import u2netp
from experiments.overlap import overlaps
from experiments.work import Planned, Study, plan

BLOCKS = {"plain": PlainBlock, "residual": ResidualBlock, "dense": DenseBlock, "inception": InceptionBlock}
MINUTES = {"rsu": 14, "fused": 14, "unet": 6, "unet_deep": 7, "unet_long": 12}
MINUTES |= {"plain": 7, "residual": 9, "dense": 10, "inception": 12}
DEEP = {"widths": (16, 28, 48, 72, 96, 136)}
EARLIER = {"rsu": "u2netp", "unet": "unet-saliency"}


def settings(arm: str) -> Recipe:
    """Write down one run."""
    if arm in EARLIER:
        return recipe(EARLIER[arm], "colab")
    ours = {"name": f"blocks-{arm.replace('_', '-')}", "validate_every": 1000}
    if arm == "unet_deep":
        return plan(recipe("unet-saliency", "colab"), network_settings=DEEP, **ours)
    if arm == "unet_long":
        return plan(recipe("unet-saliency", "colab"), epochs=2 * recipe("unet-saliency", "colab").epochs, **ours)
    return plan(recipe("u2netp", "colab"), network_settings={"shown": arm}, **ours)


class FusedAlone(nn.Module):
    """Shows the loss nothing but the fused map."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[0]


def build(planned: Planned) -> nn.Module:
    """Make the network of a run; its first weights depend on the seed alone."""
    if planned.arm == "fused":
        return FusedAlone(build_network(settings("rsu"), planned.seed))
    if planned.arm not in BLOCKS:
        return build_network(planned.recipe, planned.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(planned.seed)
        return u2netp(block=BLOCKS[planned.arm])


def more(model: nn.Module, planned: Planned, pairs: Segmentation, data: Path | None) -> dict[str, Any]:
    """Count what overlaps on each photograph."""
    return {"photographs": overlaps(model, pairs, planned.recipe.resize)}


STUDY = Study(
    name="blocks",
    planned=[Planned(arm, "ECSSD", settings(arm), seed, MINUTES[arm]) for seed in range(5) for arm in MINUTES],
    kept=("global_max_f", "per_image_mae", "per_image_s", "per_image_weighted_f"),
    build=build,
    more=more,
)

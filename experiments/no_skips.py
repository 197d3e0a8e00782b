"""Six ways to shrink in a network that gets nothing past them: no skips (Chapter 07).

    python -m experiments no_skips --data DIR --out OUT

The plan, written before the first run.  In the bake-off (`experiments/bake_off.py`) a U-Net lays what it saw at full
size beside the way up, so a detail that the downsampling loses is not lost to the network.  The network of the source
article has no such skips.  Here is the bake-off's network without them: whatever is known of the picture has gone
through three halvings.  The arms are `downsample.DOWNSAMPLERS`, and `hwd_as_strided2`: Haar downsampling whose first
weights are made from those of strided2 with the same seed, so that both are the same function at the start.  Settings
of the bake-off with SGD: two data sets, five seeds, one learning rate for all, 592 and 330 steps.

Judged by `ods_f1@2px`, seed by seed, each arm against strided2, by the 95 % interval of the mean difference; by Holm's
rule over the twelve comparisons.  Two arms are equal if the 90 % interval lies inside ± 0.01.  Recall of cracks 1 or 2
pixels wide (at a probability of 1/2, within 2 pixels) is judged in the same way.

Expected, before the first run:
    1. hwd_as_strided2 and space_to_depth differ from strided2 by rounding alone, which a training enlarges: the 95 %
       intervals hold 0, and the means lie inside ± 0.01.  These are the controls; if they fail, nothing else counts.
    2. All arms are below the bake-off's with skips, by more than 0.05 on CFD, whose cracks are thin.
    3. Arms that see all four pixels of a block (strided3, strided2, space_to_depth, hwd) find more of the cracks 1 or 2
       pixels wide than max and avg do, on CFD by more than 0.02 of recall.  With skips they did not.
    4. max is behind strided2 on CFD: a dark line loses against its bright neighbours in three maxima, as Chapter 01
       shows.  But features are learnt before the first maximum, which may turn dark into bright; so this may fail.
"""

from pathlib import Path
from typing import Any

from torch import nn

from chapters_code.data.pairs import Segmentation
from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.hwd import as_mix
from chapters_code.train.recipes import Recipe, build_network, recipe
from experiments import cracks
from experiments.work import Planned, Study, plan

ARMS = (*DOWNSAMPLERS, "hwd_as_strided2")
EPOCHS = {"DeepCrack": 16, "CFD": 30}
MINUTES = {"DeepCrack": 1.8, "CFD": 1.2}


def settings(arm: str, pictures: str) -> Recipe:
    """Write down one run."""
    down = "hwd" if arm == "hwd_as_strided2" else arm
    return plan(
        recipe("unet", "colab"),
        name=f"no-skips-{pictures.lower()}-{arm.replace('_', '-')}",
        network_settings={"widths": (8, 16, 32, 64), "down": down, "skips": False},
        data=cracks.SETS[pictures],
        crop=(160, 160),
        epochs=EPOCHS[pictures],
        optimizer="sgd",
        learning_rate=0.03,
        momentum=0.9,
        validate_every=1000,
    )


def build(planned: Planned) -> nn.Module:
    """Make the network of a run."""
    network = build_network(planned.recipe, planned.seed)
    if planned.arm == "hwd_as_strided2":
        start_as(network, build_network(settings("strided2", planned.pictures), planned.seed))
    return network


def start_as(ours: nn.Module, theirs: nn.Module) -> None:
    """Give a network with Haar downsampling the first weights of one with strided 2 × 2 convolutions.

    Then both are the same function, up to rounding: a 2 × 2 kernel is a sum of the four Haar filters, and `as_mix` says
    how much of each.
    """
    weights = {name: weight for name, weight in theirs.state_dict().items() if not name.startswith("down.")}
    ours.load_state_dict(ours.state_dict() | weights)
    for mine, other in zip(ours.down, theirs.down, strict=True):
        convolution = other[1]
        mine.mix.weight.data = as_mix(convolution.weight.data)


def more(model: nn.Module, planned: Planned, pairs: Segmentation, data: Path | None) -> dict[str, Any]:
    """Count what is found on each photograph and of cracks of each width."""
    return cracks.counts(model, pairs, cracks.kinds_of(Path(data, planned.recipe.data)))


STUDY = Study(
    name="no-skips",
    planned=[
        Planned(arm, pictures, settings(arm, pictures), seed, MINUTES[pictures])
        for seed in range(5)
        for pictures in EPOCHS
        for arm in ARMS
    ],
    kept=cracks.KEPT,
    build=build,
    more=more,
)

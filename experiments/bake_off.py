"""Train the same small network with each of six ways to shrink, on cracks, and write down what came out (Chapter 07).

    python -m experiments bake_off --data DIR --out OUT
    python -m experiments bake_off --data DIR --out OUT --tune      the runs that chose the learning rates

The plan, written before the first run.  What is compared: the layer that halves the map, in a U-Net with three halvings
(widths 8, 16, 32, 64); the arms are `downsample.DOWNSAMPLERS`.  Everything else is alike: pictures, their order and
crops for a seed, steps, loss, schedule.  Two optimisers, since HWD and a strided 2 × 2 convolution are the same
function, and from matching weights the same run under SGD, but not under AdamW.  Learning rates: one per optimiser for
all arms, chosen on pictures held back from DeepCrack's training set, with the arms max and strided2 alone, 720 steps
each (a run has 592 on DeepCrack, 330 on CFD).  Five seeds.  Two data sets.

Hypotheses, before the runs:
    1. hwd, space_to_depth and strided2 differ by no more than seeds do, under SGD and under AdamW.
    2. Arms that see all four pixels of a block find more of the cracks 1 or 2 pixels wide than max and avg do; of wide
       ones they do not.
    3. strided3 is at least as good as strided2: it has 2.25 times the weights in these layers, and overlapping windows.
    4. Differences between arms are smaller than those between the two data sets, and than what a tolerance of
       2 pixels adds.
"""

from pathlib import Path
from typing import Any

from torch import nn

from chapters_code.data import CrackSegmentation
from chapters_code.data.pairs import Segmentation
from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.records import runs
from chapters_code.train.evaluate import evaluate
from chapters_code.train.recipes import Recipe, recipe
from experiments import cracks
from experiments.cracks import SETS
from experiments.work import Planned, Study, kept, plan

SEEDS = range(5)
EPOCHS = {"DeepCrack": 16, "CFD": 30}
MINUTES = {"DeepCrack": 2.0, "CFD": 1.3}
TRIED = {"sgd": (0.01, 0.03, 0.1, 0.3), "adamw": (3e-4, 1e-3, 3e-3, 1e-2)}
LEARNING_RATES = {"sgd": 0.03, "adamw": 1e-3}
HELD_BACK = "DeepCrack, held back"


def settings(arm: str, optimizer: str, pictures: str) -> Recipe:
    """Write down one run."""
    return plan(
        recipe("unet", "colab"),
        name=f"bake-off-{pictures.lower()}-{arm}-{optimizer}",
        network_settings={"widths": (8, 16, 32, 64), "down": arm},
        data=SETS[pictures],
        crop=(160, 160),
        epochs=EPOCHS[pictures],
        optimizer=optimizer,
        learning_rate=LEARNING_RATES[optimizer],
        momentum=0.9 if optimizer == "sgd" else 0.0,
        validate_every=1000,
    )


def more(model: nn.Module, planned: Planned, pairs: Segmentation, data: Path | None) -> dict[str, Any]:
    """Score on the pictures of the other set, and count what is found on each photograph and of each width."""
    others = (name for name, where in SETS.items() if where != planned.recipe.data)
    transfer = {
        name: evaluate(model, CrackSegmentation(name, "test", Path(data, SETS[name])), "cracks").scores()
        for name in others
    }
    found = cracks.counts(model, pairs, cracks.kinds_of(Path(data, planned.recipe.data)))
    return {"transfer": {name: kept(scores, cracks.KEPT) for name, scores in transfer.items()}} | found


# ---- the runs that chose the learning rates ----------------------------------------------------------


def tried(arm: str, optimizer: str, rate: float) -> Recipe:
    """Write down one of them."""
    name = f"tune-{arm}-{optimizer}-{round(10000 * rate)}e-4"
    return plan(settings(arm, optimizer, "DeepCrack"), name=name, learning_rate=rate, epochs=24)


def without_held_back(planned: Planned, data: Path | None) -> tuple[Segmentation, Segmentation]:
    """Open DeepCrack's training pictures, every fifth of them held back to score on."""
    whole = CrackSegmentation("DeepCrack", "train", Path(data, SETS["DeepCrack"]))
    train = whole.subset(index for index in range(len(whole)) if index % 5)
    return train, whole.subset(range(0, len(whole), 5))


def tuned(out: Path) -> list[dict[str, Any]]:
    """Return what the learning rates scored, for the record of the study."""
    return [
        {
            "arm": record["recipe"]["network_settings"]["down"],
            "optimizer": record["recipe"]["optimizer"],
            "learning_rate": record["recipe"]["learning_rate"],
            "epochs": record["recipe"]["epochs"],
            "pictures": record["data"]["train"]["count"],
            "seed": record["seed"],
            "commit": record["commit"],
            "scores": kept(record["scores"], cracks.KEPT),
        }
        for record in map(runs.load, sorted(out.glob("tune-*/record.json")))
    ]


TUNING = Study(
    name="bake-off-tuning",
    planned=[
        Planned(arm, HELD_BACK, tried(arm, optimizer, rate), 0, 2.2)
        for optimizer, rates in TRIED.items()
        for rate in rates
        for arm in ("max", "strided2")
    ],
    kept=cracks.KEPT,
    pictures=without_held_back,
)
STUDY = Study(
    name="bake-off",
    planned=[
        Planned(arm, pictures, settings(arm, optimizer, pictures), seed, MINUTES[pictures])
        for seed in SEEDS
        for pictures in SETS
        for optimizer in LEARNING_RATES
        for arm in DOWNSAMPLERS
    ],
    kept=cracks.KEPT,
    more=more,
    tuned=tuned,
)

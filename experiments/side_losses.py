"""Do the side losses make the fused map better, and if so, why (Chapter 09)?

    python -m experiments side_losses --out OUT

The plan, written before the first run.  In Chapter 09 a small nest of three stages is trained once by all its maps and
once by its fused map alone, on drawn scenes.  Trained alone, side maps whose weight in `merge` begins below 0 say the
opposite of the truth, and the fused map was worse, with one seed.  Here are the same network and pictures (64 to train
on, 16 to score), with twelve seeds, for as long as in the chapter (8 epochs, 64 steps) and four times as long.

Arms, which differ in what the loss sees:
    all              the fused map and three side maps, each with a weight of 1
    fused            the fused map alone
    fused_positive   the same, the weights of `merge` kept above 0; they begin at the same distance from 0
    all_positive     all maps, the weights of `merge` kept above 0
    fused_four       the fused map's loss four times: a control.  Adam divides the size of a gradient away, so a larger
                     sum is not what the side losses add

Judged by `global_max_f` of the fused map, seed by seed, against `fused`: ahead if the 95 % interval of the mean
difference does not hold 0, by Holm's rule over the eight comparisons; equal if the 90 % interval is inside ± 0.02.

Expected, before the first run:
    1. fused_four − fused is 0 within ± 0.02, for both lengths.  If not, nothing else counts.
    2. After 8 epochs, all is ahead of fused by 0.02 to 0.06 (a first look with nine seeds: 0.040 ± 0.038), and so is
       fused_positive (0.034 ± 0.030).
    3. all_positive is not ahead of fused_positive by more than 0.01: what the side losses give after so few steps is a
       sign for each side map, and positive weights give it, too.
    4. After 32 epochs all is ahead of fused by less than half of what it was: there is time to turn a sign around, or
       to live with it.

Seen after the runs: the first look had all *behind* fused, by 0.040, and fused_positive ahead of all.  Its sign was
read the wrong way round when this was written.  The plan stays as it was, and Chapter 09 says so.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from chapters_code.data import SyntheticSaliency
from chapters_code.data.loading import Preloaded
from chapters_code.data.pairs import Segmentation
from chapters_code.train.evaluate import evaluate
from chapters_code.train.recipes import Recipe, build_network, recipe
from chapters_code.u2net import Stage, U2Net
from experiments.work import Planned, Study, plan

ARMS = ("all", "fused", "fused_positive", "all_positive", "fused_four")
EPOCHS = {"8 epochs": 8, "32 epochs": 32}
SEEDS = range(10, 22)  # not those of the first look


def settings(arm: str, pictures: str) -> Recipe:
    """Write down one run."""
    return plan(
        recipe("u2netp", "smoke"),
        name=f"side-losses-{EPOCHS[pictures]}-{arm.replace('_', '-')}",
        network="u2net.U2Net",
        network_settings={
            "encoder": (Stage(5, 8, 24), Stage(4, 8, 24), Stage(4, 8, 24, dilated=True)),
            "decoder": (Stage(5, 8, 24), Stage(4, 8, 24)),
        },
        resize=None,
        crop=(44, 56),
        batch_size=8,
        epochs=EPOCHS[pictures],
        learning_rate=6e-3,
        schedule="cosine",
        validate_every=1000,
    )


class Shown(nn.Module):
    """Shows the loss the fused map, one or several times, and nothing else of a network."""

    def __init__(self, network: U2Net, times: int) -> None:
        super().__init__()
        self.network, self.times = network, times

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.network(x)[0],) * self.times


class Positive(nn.Module):
    """Keeps a weight above 0: it is the softplus of what is trained."""

    def forward(self, trained: Tensor) -> Tensor:
        return functional.softplus(trained)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Begin at the weight's own distance from 0."""
        return weight.abs().clamp(min=1e-3).expm1().log()


def build(planned: Planned) -> nn.Module:
    """Make the network of a run."""
    network = build_network(planned.recipe, planned.seed)
    if planned.arm.endswith("positive"):
        parametrize.register_parametrization(network.merge, "weight", Positive())
    if planned.arm.startswith("fused"):
        return Shown(network, 4 if planned.arm == "fused_four" else 1)
    return network


def pictures(planned: Planned, data: object) -> tuple[Segmentation, Segmentation]:
    """Draw the chapter's scenes."""
    return Preloaded(SyntheticSaliency(64, size=(48, 64), seed=0)), Preloaded(
        SyntheticSaliency(16, size=(48, 64), seed=1)
    )


class Map(nn.Module):
    """One of the maps of a network, asked alone."""

    def __init__(self, network: U2Net, place: int) -> None:
        super().__init__()
        self.network, self.place = network, place

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[self.place]


def more(model: nn.Module, planned: Planned, pairs: Segmentation, data: object) -> dict[str, Any]:
    """Score each side map by itself, and write down the weights that fuse them, before and after."""
    network = model.network if isinstance(model, Shown) else model
    fresh = build(planned)
    fresh = fresh.network if isinstance(fresh, Shown) else fresh
    found = {}
    for place in range(1, 1 + len(network.sides)):
        scores = evaluate(Map(network, place), pairs, "saliency").scores()
        with torch.no_grad():
            before, after = (one.merge.weight.flatten()[place - 1].item() for one in (fresh, network))
        found[f"side {place}"] = {
            "global_max_f": round(scores["global_max_f"], 6),
            "per_image_mae": round(scores["per_image_mae"], 6),
            "weight before": round(before, 6),
            "weight after": round(after, 6),
        }
    return {"parts": found}


STUDY = Study(
    name="side-losses",
    planned=[
        Planned(arm, length, settings(arm, length), seed, 0.06 * EPOCHS[length])
        for seed in SEEDS
        for length in EPOCHS
        for arm in ARMS
    ],
    kept=("global_max_f", "per_image_mae", "per_image_s"),
    build=build,
    pictures=pictures,
    more=more,
)

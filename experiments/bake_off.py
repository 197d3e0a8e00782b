"""Train the same small network with each of six ways to shrink, on cracks, and write down what came out (Chapter 07).

    python -m experiments.bake_off tune --data DIR --out OUT       the runs that choose the learning rates, as a table
    python -m experiments.bake_off run --data DIR --out OUT        all runs that are not there yet
    python -m experiments.bake_off collect --out OUT               puts all of them together: OUT/bake-off.json

Each run uses one core, so start the same line once per core: a run that another process is at, or has done, is left to
it.

Each run has a record in OUT/NAME/record.json, as every training run of the book, and beside it OUT/NAME/more.json with
what only this comparison asks: scores on pictures of the other set (never trained on), and how much is found of cracks
of each width.

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

import argparse
import dataclasses
import functools
import json
import sys
from pathlib import Path

import torch

from chapters_code.data import CrackSegmentation
from chapters_code.data.loading import Normalise
from chapters_code.data.pairs import Segmentation
from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.files import written_whole
from chapters_code.metrics.cracks import dilate, local_width
from chapters_code.outputs import device_of, evaluation_mode
from chapters_code.records import runs, studies
from chapters_code.train import fit
from chapters_code.train.evaluate import evaluate
from chapters_code.train.recipes import Recipe, build_network, datasets, recipe
from experiments.work import claimed

SEEDS = range(5)
SETS = {"DeepCrack": "crack/DeepCrack", "CFD": "crack/CFD"}
TRIED = {"sgd": (0.01, 0.03, 0.1, 0.3), "adamw": (3e-4, 1e-3, 3e-3, 1e-2)}
LEARNING_RATES = {"sgd": 0.03, "adamw": 1e-3}
# Of all the scores of a run, those that the comparison looks at.
KEPT = (
    *(f"{kind}_f1@{pixels}px" for kind in ("ods", "global") for pixels in (0, 1, 2)),
    "global_iou",
    "global_precision@2px",
    "global_recall@2px",
)
WIDTHS = (2, 4, 8, 9)  # the upper ends of four classes of width, in pixels; 9 stands for 9 and more


def plan(arm: str, optimizer: str, pictures: str) -> Recipe:
    """Write down one run."""
    return dataclasses.replace(
        recipe("unet", "colab"),
        name=f"bake-off-{pictures.lower()}-{arm}-{optimizer}",
        network_settings={"widths": (8, 16, 32, 64), "down": arm},
        data=SETS[pictures],
        crop=(160, 160),
        epochs=16 if pictures == "DeepCrack" else 30,
        optimizer=optimizer,
        learning_rate=LEARNING_RATES[optimizer],
        momentum=0.9 if optimizer == "sgd" else 0.0,
        validate_every=1000,
    )


def tune(data: Path, out: Path) -> None:
    """Try learning rates on DeepCrack's training pictures, every fifth of them held back to score on."""
    whole = CrackSegmentation("DeepCrack", "train", data / SETS["DeepCrack"])
    train = whole.subset(index for index in range(len(whole)) if index % 5)
    held_back = whole.subset(range(0, len(whole), 5))
    torch.set_num_threads(1)
    for optimizer, rates in TRIED.items():
        for rate in rates:
            for arm in ("max", "strided2"):
                name = f"tune-{arm}-{optimizer}-{round(10000 * rate)}e-4"
                what = plan(arm, optimizer, "DeepCrack")
                what = dataclasses.replace(what, name=name, learning_rate=rate, epochs=24)
                if claimed(out / what.name):
                    fit(build_network(what), what, train, held_back, out / what.name, progress=False)
    for path in sorted(out.glob("tune-*/record.json")):
        scores = runs.load(path)["scores"]
        print(path.parent.name, *(f"{name} {scores[name]:.3f}" for name in ("ods_f1@0px", "ods_f1@2px")))


def run_all(data: Path, out: Path, pictures: list[str], seeds: list[int]) -> None:
    """Train what is not there yet, seed after seed, so that a study that is stopped is a smaller one of all arms."""
    for seed in seeds:
        for name in pictures:
            for optimizer in LEARNING_RATES:
                for arm in DOWNSAMPLERS:
                    run(plan(arm, optimizer, name), seed, data, out)


def run(what: Recipe, seed: int, data: Path, out: Path) -> None:
    """Train and score one network, unless it is done or another process is at it."""
    folder = out / f"{what.name}-seed{seed}"
    if not claimed(folder):
        return
    torch.set_num_threads(1)  # the sums come out alike, however many cores there are
    model = build_network(what, seed)
    train, validation = datasets(what, data)
    fit(model, what, train, validation, folder, seed=seed, progress=False)
    others = {name: CrackSegmentation(name, "test", data / where) for name, where in SETS.items()}
    more = {
        "transfer": {
            name: evaluate(model, pairs, "cracks").scores() for name, pairs in others.items() if SETS[name] != what.data
        },
        "by_width": found_by_width(model, validation, kinds_of(data / what.data)),
    }
    with written_whole(folder / "more.json") as unfinished:
        unfinished.write_text(json.dumps(more, indent=1) + "\n", encoding="utf-8")
    print(folder.name, flush=True)


@functools.cache
def kinds_of(data: Path) -> list[torch.Tensor]:
    """Say of each pixel of each test picture in which class of width it is; once per process, as it takes seconds."""
    pairs = CrackSegmentation(data.name, "test", data)
    classes = torch.tensor(WIDTHS)
    return [torch.bucketize(local_width(mask, WIDTHS[-1]), classes).byte() for _, mask in pairs]


@torch.inference_mode()
def found_by_width(model: torch.nn.Module, pairs: Segmentation, kinds: list[torch.Tensor]) -> dict[str, list[int]]:
    """Count true crack pixels by the width of their crack, and how many a prediction lies within 2 pixels of."""
    true, found = torch.zeros(len(WIDTHS), dtype=torch.int64), torch.zeros(len(WIDTHS), dtype=torch.int64)
    with evaluation_mode(model):
        for (image, mask), kind in zip(pairs, kinds, strict=True):
            pictures = Normalise()(image[None].to(device_of(model, image)))
            predicted = model(pictures)[0, 0].cpu() >= 0  # a probability of 1/2
            near = dilate(predicted.byte(), 2).bool()
            for i in range(len(WIDTHS)):
                here = (mask == 1) & (kind == i)
                true[i] += here.sum()
                found[i] += (here & near).sum()
    return {"up_to_pixels": list(WIDTHS), "true": true.tolist(), "found": found.tolist()}


def collect(out: Path) -> None:
    """Put all finished runs into one study, what they share once: OUT/bake-off.json."""
    found = [_read(path.parent) for path in out.glob("bake-off-*/more.json")]
    found.sort(key=_place)
    records = [record for record, _ in found]
    varied = ("name", "network_settings", "data", "epochs", "optimizer", "learning_rate", "momentum")
    study = {
        "format": 1,
        "name": "bake-off",
        "recipe": _only({json.dumps({k: v for k, v in r["recipe"].items() if k not in varied}) for r in records}),
        "pictures": {
            name: _only(
                {
                    json.dumps(
                        {
                            "epochs": record["recipe"]["epochs"],
                            "train": record["data"]["train"],
                            "test": record["data"]["validation"],
                            "baselines": {one: _kept(scores) for one, scores in record["baselines"].items()},
                        }
                    )
                    for record in records
                    if record["recipe"]["data"] == data
                }
            )
            for name, data in SETS.items()
        },
        "tuning": [
            {
                "arm": record["recipe"]["network_settings"]["down"],
                "optimizer": record["recipe"]["optimizer"],
                "learning_rate": record["recipe"]["learning_rate"],
                "epochs": record["recipe"]["epochs"],
                "pictures": record["data"]["train"]["count"],
                "seed": record["seed"],
                "commit": record["commit"],
                "scores": _kept(record["scores"]),
            }
            for record in map(runs.load, sorted(out.glob("tune-*/record.json")))
        ],
        "ran_on": _only({json.dumps(record["ran_on"]) for record in records}),
        "versions": _only({json.dumps(record["versions"]) for record in records}),
        "commits": sorted({record["commit"] for record in records}),
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "runs": [
            {
                "pictures": next(name for name, data in SETS.items() if data == record["recipe"]["data"]),
                "arm": record["recipe"]["network_settings"]["down"],
                "parameters": record["network"]["parameters"],
                "optimizer": record["recipe"]["optimizer"],
                "learning_rate": record["recipe"]["learning_rate"],
                "seed": record["seed"],
                "last_loss": record["epochs"][-1]["loss"],
                "scores": _kept(record["scores"]),
                "transfer": {name: _kept(scores) for name, scores in more["transfer"].items()},
                "by_width": more["by_width"],
                "finished": record["finished"],
            }
            for record, more in found
        ],
    }
    studies.save(study, out / "bake-off.json")
    print(f"{len(records)} runs in {out / 'bake-off.json'}")


def _read(folder: Path) -> tuple[dict, dict]:
    return runs.load(folder / "record.json"), json.loads((folder / "more.json").read_text(encoding="utf-8"))


def _place(found: tuple[dict, dict]) -> tuple:
    """Sort runs by pictures, arm in the order of `DOWNSAMPLERS`, optimiser and seed."""
    recipe = found[0]["recipe"]
    arm = list(DOWNSAMPLERS).index(recipe["network_settings"]["down"])
    return list(SETS.values()).index(recipe["data"]), arm, recipe["optimizer"] != "sgd", found[0]["seed"]


def _kept(scores: dict) -> dict:
    return {name: round(scores[name], 6) for name in KEPT}


def _only(texts: set[str]) -> dict:
    """Give what all runs share; runs that do not share it are not one study."""
    if len(texts) != 1:
        raise ValueError(f"these runs differ in what one study must share, or there is none: {sorted(texts)}")
    return json.loads(texts.pop())


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("tune", "run", "collect"))
    parser.add_argument("--data", type=Path, help="folder of data sets, laid out like BOOK_DATA")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    asked = parser.parse_args()
    if asked.what == "collect":
        collect(asked.out)
    elif asked.data is None:
        parser.error(f"{asked.what} needs --data")
    elif asked.what == "tune":
        tune(asked.data, asked.out)
    else:
        run_all(asked.data, asked.out, asked.sets, asked.seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command line of training: `python -m chapters_code.train RECIPE --out DIR`; `--help` says the rest."""

import argparse
import dataclasses
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from chapters_code.data.pairs import Segmentation
from chapters_code.records import runs
from chapters_code.train.evaluate import MAIN_SCORES
from chapters_code.train.hardware import keep_memory
from chapters_code.train.loop import fit, large_enough
from chapters_code.train.recipes import RECIPES, TIERS, Recipe, adapted, build_network, datasets, ready, recipe
from chapters_code.train.run import CHECKPOINT, RECORD

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train by a recipe from the shell; `--help` says how.  Gives the exit status."""
    asked = _parser().parse_args(arguments)
    keep_memory()
    first = os.environ.get("RANK", "0") == "0"  # of several processes, one speaks
    say = print if first else lambda *words: None
    try:
        plan = _changed(recipe(asked.recipe, asked.tier), asked)
        train_set, validation_set = datasets(plan, asked.data, say)
        plan = _filled(adapted(plan, train_set), train_set, say)
        _tell_of_large(plan, validation_set, say)
        model = build_network(plan, asked.seed)
        say(f"{plan.name}, tier {plan.tier}: {len(train_set)} training and {len(validation_set)} validation pictures")
        say(f"from {train_set.origin}")
        if asked.resume and not (asked.out / CHECKPOINT).exists():
            say(f"{asked.out} holds no checkpoint; starting anew")
        record = fit(model, plan, train_set, validation_set, asked.out, seed=asked.seed, resume=asked.resume)
    except (ValueError, OSError, FloatingPointError, ImportError) as error:
        if first:
            print(f"{_parser().prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if first and (asked.out / CHECKPOINT).exists():
            print("\nStopped. The same command with --resume goes on after the last full epoch.", file=sys.stderr)
        return 130
    say(f"{_time(record['seconds'])}; the record is {asked.out / RECORD}")
    count = record["data"]["validation"]["count"]
    say(f"scored on {count} other picture{'s' * (count != 1)} from {validation_set.origin}:")
    for name in MAIN_SCORES[plan.task]:
        score = record["scores"][name]
        others = ", ".join(f"{who} {runs.written(found.get(name))}" for who, found in record["baselines"].items())
        say(f"  {name:24} {runs.written(score)}   ({others})")
    return 0


def _changed(plan: Recipe, asked: argparse.Namespace) -> Recipe:
    """Return the recipe with the settings that were given on the command line."""
    given = {name: getattr(asked, name) for name in ("batch_size", "epochs", "crop", "learning_rate")}
    return dataclasses.replace(plan, **{name: value for name, value in given.items() if value is not None})


def _filled(plan: Recipe, train_set: Segmentation, say: Callable[[str], None]) -> Recipe:
    """Return the recipe with a batch that the pictures fill; each process needs as many of them as every other."""
    count, processes = len(large_enough(train_set, plan)), int(os.environ.get("WORLD_SIZE", "1"))
    if count >= plan.batch_size or count < processes:
        return plan
    smaller = count - count % processes
    say(f"{count} training pictures do not fill a batch of {plan.batch_size}: batches of {smaller} are taken")
    return dataclasses.replace(plan, batch_size=smaller)


def _tell_of_large(plan: Recipe, validation_set: Segmentation, say: Callable[[str], None]) -> None:
    """Say that pictures of one's own, straight from a camera, may take more memory than there is."""
    if plan.resize is None and plan.data.startswith("own/"):
        largest = max(math.prod(validation_set.size_of(index)) for index in range(len(validation_set)))
        if largest > 4_000_000:
            say(
                f"pictures of {largest / 1e6:.0f} million pixels are scored whole, which takes gigabytes of memory: if"
                " that is too much, make pictures and masks smaller"
            )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def _parser() -> argparse.ArgumentParser:
    recipes = "\n".join(
        f"  {name:8} {sizes['full'].network} on {sizes['full'].data}"
        + ("" if ready(sizes["full"]) else f" (comes with Chapter {sizes['full'].chapter})")
        for name, sizes in RECIPES.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m chapters_code.train",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a network of the book by one of its recipes.",
        epilog=f"""the first one to try:
  python -m chapters_code.train unet --out runs/first

on pictures of your own, with masks of 0 and 255:
  python -m chapters_code.train unet --tier colab --data MY_PICTURES --out runs/mine

recipes:
{recipes}

tiers:
  smoke    seconds on a CPU, on drawn pictures: does everything work?
  colab    real pictures; meant for ten minutes on one small GPU
  full     the settings of the source, where there is one

what it leaves in --out:
  checkpoint.pt   after every epoch: all that --resume needs
  record.json     at the end: settings, data, scores, conditions

several processes, on GPUs or CPUs:
  torchrun --nproc_per_node 2 -m chapters_code.train unet --out runs/two
  (accelerate launch --num_processes 2 does the same on GPUs;
  with --cpu it starts one process only)""",
    )
    parser.add_argument("recipe", metavar="RECIPE", choices=tuple(RECIPES), help="which network, see below")
    parser.add_argument("--tier", choices=TIERS, default="smoke", help="how large a run (default: smoke)")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with the data sets, laid out as the book's page on data says; or a folder of your own pictures:"
        " images/NAME.jpg and masks/NAME.png; without it: BOOK_DATA, an earlier download, a download, and if all that"
        " fails a drawn twin",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for checkpoint and record")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, if there is one")
    parser.add_argument(
        "--seed",
        type=_whole,
        default=0,
        metavar="N",
        help="fixes the first weights, the order and the crops: another number, another run (default: 0)",
    )
    settings = parser.add_argument_group("in place of the recipe's own settings (the record is then called -own)")
    settings.add_argument("--batch-size", type=_whole, metavar="N", help="pictures in one step, over all processes")
    settings.add_argument("--epochs", type=_whole, metavar="N", help="how often every picture is seen")
    settings.add_argument("--crop", type=_size, metavar="SIZE", help="the window: 256, or height x width: 240x320")
    settings.add_argument("--learning-rate", type=float, metavar="RATE", help="such as 1e-3")
    return parser


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"an integer from 0 to 2^63 - 1 is wanted, got {text!r}")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    sides = [_whole(side) for side in text.lower().replace("×", "x").split("x")]
    if len(sides) not in (1, 2):
        raise argparse.ArgumentTypeError(f"a size is one number, or two as in 240x320 (height x width), got {text!r}")
    return sides[0], sides[-1]


if __name__ == "__main__":
    sys.exit(main())

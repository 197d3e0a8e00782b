"""What the studies share: several processes that divide the runs among themselves, and a command line."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from chapters_code.records import runs
from chapters_code.train import fit
from chapters_code.train.evaluate import MAIN_SCORES
from chapters_code.train.recipes import build_network, datasets, recipe

__all__ = ["claimed", "main"]


def claimed(folder: Path) -> bool:
    """Make the folder of a run, if it is not there yet; else the run is done, or another process is at it."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


def main(plan: str, names: Sequence[str], seeds: Sequence[int]) -> None:
    """Train some recipes of the book, tier colab, seed after seed, and show the scores; start it once per core.

    Args:
        plan: The docstring of the study, for `--help`.
        names: The recipes that it compares.
        seeds: Of all runs; a study that is stopped is a smaller one of all its arms.
    """
    parser = argparse.ArgumentParser(description=plan, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets, laid out like BOOK_DATA")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs: OUT/NAME/record.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # the sums come out alike, however many cores there are
    for seed in seeds:
        for name in names:
            what = recipe(name, "colab")
            folder = asked.out / f"{name}-colab-seed{seed}"
            if claimed(folder):
                fit(build_network(what, seed), what, *datasets(what, asked.data), folder, seed=seed, progress=False)
                scores = runs.load(folder / "record.json")["scores"]
                print(folder.name, *(f"{one} {scores[one]:.3f}" for one in MAIN_SCORES[what.task]), flush=True)

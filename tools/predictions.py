"""Record what a trained network sees in the free photographs, for the book's pages.

    python tools/predictions.py runs/fcn/checkpoint.pt
    python tools/predictions.py runs/u2netp/checkpoint.pt --photographs rocket coffee chelsea

It writes small PNGs into chapters_code/records/predictions, which say which run and which weights they are from.  The
record of that run belongs into chapters_code/records/runs.  Saliency is kept as grey maps, all else as class numbers.
Of a network that gives several maps, each is recorded by itself: the fused one without a name, the others as side1,
side2 and so on.
"""

import argparse
import sys
from pathlib import Path

import torch

from chapters_code.data.loading import Normalise
from chapters_code.outputs import evaluation_mode
from chapters_code.predict import segment
from chapters_code.records import predictions
from chapters_code.train.checkpoints import load_network


def maps_of(network: torch.nn.Module) -> int:
    """Count the maps that a network gives."""
    with evaluation_mode(network), torch.inference_mode():
        given = network(Normalise()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)))
    return len(given) if isinstance(given, tuple | list) else 1


def main() -> int:
    """Record the predictions of a checkpoint; return the exit status."""
    parser = argparse.ArgumentParser(description="Record what a trained network sees in the free photographs.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--photographs", nargs="+", choices=predictions.PHOTOGRAPHS, default=list(predictions.PHOTOGRAPHS)
    )
    parser.add_argument("--out", type=Path, default=Path(predictions.__file__).with_suffix(""), metavar="DIR")
    asked = parser.parse_args()
    try:
        trained = load_network(asked.checkpoint)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    count, network = maps_of(trained.network), trained.network
    for name in asked.photographs:
        for number in range(count):
            one = trained
            if count > 1:
                one = trained._replace(network=lambda x, number=number: network(x)[number])
            answer = segment(predictions.photograph(name), one)
            part = f"side{number}" if number else ""
            soft = trained.recipe.task == "saliency"
            path = predictions.save(answer, trained.name, trained.digest, name, part, soft=soft, folder=asked.out)
            print(f"{path.name}: {path.stat().st_size / 1000:.1f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

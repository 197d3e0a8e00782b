"""What the studies on cracks ask of a trained network beside its scores: counts for each photograph and each width."""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from chapters_code.data import CrackSegmentation
from chapters_code.data.loading import Normalise
from chapters_code.data.pairs import Segmentation
from chapters_code.metrics.cracks import dilate, local_width
from chapters_code.outputs import device_of, evaluation_mode, logits

__all__ = ["KEPT", "SETS", "TOLERANCE", "WIDTHS", "changed", "counts", "f1", "kinds_of"]

SETS = {"DeepCrack": "crack/DeepCrack", "CFD": "crack/CFD"}
# Of all the scores of a run, those that a comparison looks at.
KEPT = (
    *(f"{kind}_f1@{pixels}px" for kind in ("ods", "global") for pixels in (0, 1, 2)),
    "global_iou",
    "global_precision@2px",
    "global_recall@2px",
)
WIDTHS = (2, 4, 8, 9)  # the upper ends of four classes of width, in pixels; 9 stands for 9 and more
TOLERANCE = 2  # pixels


@functools.cache
def kinds_of(data: Path) -> list[Tensor]:
    """Say of each pixel of each test picture in which class of width it is; once per process, as it takes seconds."""
    pairs = CrackSegmentation(data.name, "test", data)
    classes = torch.tensor(WIDTHS)
    return [torch.bucketize(local_width(mask, WIDTHS[-1]), classes).byte() for _, mask in pairs]


@torch.inference_mode()
def counts(
    model: nn.Module,
    pairs: Segmentation,
    kinds: list[Tensor] | None = None,
    change: Callable[[Tensor, int], Tensor] | None = None,
) -> dict[str, list]:
    """Count what a network finds at a probability of 1/2, with a tolerance of `TOLERANCE` pixels.

    Args:
        model: Gives logits (1, 1, H, W).
        pairs: Pictures with their masks.
        kinds: What `kinds_of` says of these pictures; None leaves out the counts by width.
        change: Called with a picture, uint8 (3, H, W), and its place in the set; gives the picture to look at.

    Returns:
        "photographs": for each picture [predicted, right, true, found], in pixels.  And with `kinds`, "by_width": true
        crack pixels by the width of their crack, and how many of them are found.
    """
    photographs, true_at, found_at = [], torch.zeros(len(WIDTHS)).long(), torch.zeros(len(WIDTHS)).long()
    with evaluation_mode(model):
        for place, (image, mask) in enumerate(pairs):
            image = image if change is None else change(image, place)
            pictures = Normalise()(image[None].to(device_of(model, image)))
            predicted = logits(model(pictures))[0, 0].float().cpu() >= 0  # a probability of 1/2
            true = mask == 1
            found = true & dilate(predicted.byte(), TOLERANCE).bool()
            right = predicted & dilate(true.byte(), TOLERANCE).bool()
            photographs.append([int(part.sum()) for part in (predicted, right, true, found)])
            for i in range(len(WIDTHS) if kinds else 0):
                true_at[i] += (true & (kinds[place] == i)).sum()
                found_at[i] += (found & (kinds[place] == i)).sum()
    by_width = {"up_to_pixels": list(WIDTHS), "true": true_at.tolist(), "found": found_at.tolist()}
    return {"photographs": photographs} | ({"by_width": by_width} if kinds else {})


def f1(photographs: list[list[int]]) -> float:
    """Return F1 of all photographs together, from their counts, as `metrics.cracks` defines it."""
    predicted, right, true, found = torch.tensor(photographs).sum(0).tolist()
    if not predicted or not true:
        return float(predicted == true)
    precision, recall = right / predicted, found / true
    return 2 * precision * recall / (precision + recall) if right or found else 0.0


def changed(model: nn.Module, pairs: Segmentation, changes: dict[str, Callable[[Tensor, int], Tensor]]) -> dict:
    """Score a network on the same pictures, changed in several ways: "global_f1@2px" for each of them."""
    return {
        name: {"global_f1@2px": round(f1(counts(model, pairs, change=change)["photographs"]), 6)}
        for name, change in changes.items()
    }

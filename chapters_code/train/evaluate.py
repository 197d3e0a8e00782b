"""Scoring a network on a data set, and what to hold the score against (all chapters with training).

A score says little alone: with 97 % of the pixels pavement, finding no crack at all is 97 % right.  So every run is
scored beside answers that need no training.

    evaluate(network, dataset, "cracks")  -->  a metric: .scores() is {"global_f1_...": ..., ...}
    baselines(dataset, "cracks")          -->  {"all background": {...}, "one threshold on darkness": {...}}
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from chapters_code.checks import check_choice
from chapters_code.data.loading import Normalise
from chapters_code.data.pairs import Segmentation, check_pairs
from chapters_code.metrics import ConfusionMatrix, CrackScores, SaliencyScores
from chapters_code.outputs import ask, device_of, evaluation_mode, need_function

__all__ = ["MAIN_SCORES", "TASKS", "baselines", "evaluate", "new_metric"]

# Of all the scores of a task, those to look at; the first one first.
MAIN_SCORES = {
    "classes": ("global_mean_iou", "global_pixel_accuracy", "per_image_mean_iou"),
    "cracks": ("ods_f1@0px", "ods_f1@2px", "global_f1@0px", "global_f1@2px", "global_iou"),
    "saliency": ("global_max_f", "per_image_mae", "per_image_s", "per_image_weighted_f"),
}
TASKS = tuple(MAIN_SCORES)


def new_metric(task: str, dataset: Segmentation) -> ConfusionMatrix | CrackScores | SaliencyScores:
    """Make the empty metric that a task is scored by.

    Raises:
        ValueError: `dataset` is no data set of the book's, or `task` no word of `TASKS`.
    """
    check_pairs(dataset)
    check_choice("task", task, TASKS)
    if task == "classes":
        return ConfusionMatrix(len(dataset.classes), ignore_index=dataset.ignore_index)
    if task == "cracks":
        return CrackScores()
    return SaliencyScores()


@torch.inference_mode()
def evaluate(
    model: Callable,
    dataset: Segmentation,
    task: str,
    *,
    resize: tuple[int, int] | None = None,
    indices: Iterable[int] | None = None,
) -> ConfusionMatrix | CrackScores | SaliencyScores:
    """Score a network on whole pictures, one after the other.

    Args:
        model: A network, or any function, that takes normalised pictures (1, 3, H, W), where its weights are, and gives
            logits (1, K, H, W); K = 1 unless `task` is "classes".  Of several outputs, `outputs.logits` chooses.
        dataset: Pairs without a transform.
        task: "classes", "cracks" or "saliency".
        resize: The network sees every picture at this size (H, W); its logits are resized back, and scored at the
            picture's own size.
        indices: Which pairs; all by default.  Processes that share the work take different ones, and add their
            metrics' states.

    Returns:
        The metric, fed with all pairs.

    Raises:
        ValueError: The model cannot be called or `dataset` is no data set of the book's; the logits have another number
            of channels than the task needs.
        FloatingPointError: They hold NaN.
    """
    need_function(model)
    check_pairs(dataset, "what evaluate scores")
    metric = new_metric(task, dataset)
    channels = len(dataset.classes) if task == "classes" else 1
    normalise = Normalise(reuse=True)
    with evaluation_mode(model):
        for index in range(len(dataset)) if indices is None else indices:
            image, mask = dataset[index]
            pictures = normalise(image[None].to(device_of(model, image)))
            maps = ask(model, pictures, resize).float()
            if maps.shape[1] != channels:
                raise ValueError(
                    f"for {task} a network gives logits (N, {channels}, H, W), this one gave {tuple(maps.shape)}"
                )
            if maps.isnan().any():
                raise FloatingPointError(
                    f"the network answers {dataset.ids[index]} with NaN: its training went wrong before this"
                )
            # Counted on the CPU, where 64-bit integers and fractions exist on every machine.
            answer = maps.argmax(1) if task == "classes" else maps.sigmoid()[:, 0]
            metric.update(answer.cpu(), mask[None])
    return metric


def baselines(dataset: Segmentation, task: str) -> dict[str, dict[str, float]]:
    """Score answers that need no training: what a network must beat before its score means anything.

    Returns:
        For "cracks": no crack anywhere; and one threshold on darkness (its "ods" is the best threshold there is, chosen
        on the very pictures that it is scored on: generous).  For "saliency": nothing anywhere; and "the middle is
        salient".  For "classes": background everywhere.

    Raises:
        ValueError: As for `new_metric`.
    """
    check_choice("task", task, TASKS)
    metrics = {name: new_metric(task, dataset) for name in _ANSWERS[task]}
    for index in range(len(dataset)):
        image, mask = dataset[index]
        for name, answer in _ANSWERS[task].items():
            metrics[name].update(answer(image)[None], mask[None])
    return {name: metric.scores() for name, metric in metrics.items()}


def _background(image: Tensor) -> Tensor:
    return torch.zeros(image.shape[-2:], dtype=torch.int64)


def _nothing(image: Tensor) -> Tensor:
    return torch.zeros(image.shape[-2:])


def _darkness(image: Tensor) -> Tensor:
    return 1 - image.float().mean(0) / 255


def _middle(image: Tensor) -> Tensor:
    """A hill of height 1 in the middle, a quarter of the picture wide (its standard deviation)."""
    rows, columns = (torch.linspace(-2, 2, side).square() for side in image.shape[-2:])
    return torch.exp(-(rows[:, None] + columns) / 2)


_ANSWERS: dict[str, dict[str, Callable[[Tensor], Tensor]]] = {
    "classes": {"all background": _background},
    "cracks": {"all background": _nothing, "one threshold on darkness": _darkness},
    "saliency": {"all background": _nothing, "the middle": _middle},
}

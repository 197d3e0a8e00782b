"""Losses: one number that says how wrong the logits are, and has a gradient (Chapters 06, 07 and 09).

Logits are what the last layer gives, any real numbers: softmax or sigmoid is part of the loss, where it can be taken
in a form that neither overflows nor loses digits.

    cross_entropy                                logits (N, K, H, W), K classes
    binary_cross_entropy, dice, focal            logits (N, 1, H, W) or (N, H, W), 1 = crack or salient
    deep_supervision                             several such maps, one of these losses

The target is int64 (N, H, W), on the device of the logits; pixels of value `ignore_index` count for nothing and get no
gradient.  A loss has the shape ().  If no pixel counts, it is 0, not NaN.  All is computed in float32 at least (float64
of float64 logits), whatever autocast has made of the logits.  What is not as described, an empty batch included, raises
a ValueError.

Sources: Lin et al. (2017) for focal loss; Milletari, Navab and Ahmadi (2016) for Dice, here with the probabilities
themselves in the denominator, not their squares; Lee et al. (2015) for deep supervision.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.checks import (
    check_class_numbers,
    check_floating_point,
    check_one_device,
    check_positive,
    check_share,
    check_tensors,
)

__all__ = ["LOSSES", "binary_cross_entropy", "counted", "cross_entropy", "deep_supervision", "dice", "focal"]


def cross_entropy(logits: Tensor, target: Tensor, ignore_index: int = 255) -> Tensor:
    """Take −log of the probability given to each pixel's true class, and the mean over the pixels that count.

    Args:
        logits: (N, K, H, W), floating point, K classes.
        target: Class numbers, int64 (N, H, W), 0..K-1 or `ignore_index`.
        ignore_index: The value of the target that is not counted.

    Returns:
        The loss.  Equals `torch.nn.functional.cross_entropy`, but is 0 with gradients 0 where that is NaN: if no pixel
        counts.

    Example:
        >>> cross_entropy(torch.zeros(1, 4, 2, 3), torch.zeros(1, 2, 3, dtype=torch.int64))  # log 4: a blind guess
        tensor(1.3863)
    """
    check_tensors(logits=logits, target=target)
    if logits.dim() != 4 or logits.shape[1] < 2:
        raise ValueError(
            f"logits must have shape (N, K, H, W) with K >= 2 classes, got {tuple(logits.shape)};"
            " for one map of crack or salient take binary_cross_entropy"
        )
    _check(logits, target, ignore_index, classes=logits.shape[1])
    logits = _precise(logits).masked_fill((target == ignore_index)[:, None], 0)  # as in `_binary`
    total = functional.cross_entropy(logits, target, ignore_index=ignore_index, reduction="sum")
    return total / counted(target, ignore_index).clamp(min=1)


def binary_cross_entropy(
    logits: Tensor, target: Tensor, ignore_index: int = 255, pos_weight: float | None = None
) -> Tensor:
    """Take −log of the probability given to the truth, crack or not, and the mean over the pixels that count.

    Args:
        logits: (N, 1, H, W) or (N, H, W), floating point.
        target: 0, 1 or `ignore_index`, int64 (N, H, W).
        ignore_index: The value of the target that is not counted.
        pos_weight: How many times a pixel of class 1 weighs; the mean still divides by the number of pixels.

    Returns:
        The loss.  Equals `torch.nn.functional.binary_cross_entropy_with_logits` over the pixels that count.
    """
    if pos_weight is not None:
        check_positive("pos_weight", pos_weight)
    logits, truth, counts = _binary(logits, target, ignore_index)
    weight = None if pos_weight is None else logits.new_tensor(pos_weight)
    total = functional.binary_cross_entropy_with_logits(logits, truth, counts, reduction="sum", pos_weight=weight)
    return total / counts.sum().clamp(min=1)


def dice(logits: Tensor, target: Tensor, ignore_index: int = 255, smooth: float = 1.0) -> Tensor:
    """Take 1 minus the Dice overlap of each image, and the mean over the images.

    With p the probabilities and t the truth, an image's overlap is (2·Σpt + smooth) / (Σp + Σt + smooth).  Background
    that is left alone adds nothing to it, so a few crack pixels are not drowned.  Logits, target and `ignore_index` are
    those of `binary_cross_entropy`; `smooth` is above 0, in pixels.

    Returns:
        The loss, in [0, 1].  An image without a crack has the loss 1 − smooth / (Σp + smooth): 0 if nothing is
        predicted, and near 1 soon after.  An image in which no pixel counts is left out of the mean.
    """
    check_positive("smooth", smooth, "; 0 would divide 0 by 0")
    logits, truth, counts = _binary(logits, target, ignore_index)
    probability = logits.sigmoid() * counts
    both = (probability * truth).sum((1, 2))
    overlap = (2 * both + smooth) / (probability.sum((1, 2)) + truth.sum((1, 2)) + smooth)
    seen = counts.sum((1, 2)).clamp(max=1)  # 0 for an image in which no pixel counts, else 1
    return ((1 - overlap) * seen).sum() / seen.sum().clamp(min=1)


def focal(
    logits: Tensor, target: Tensor, ignore_index: int = 255, gamma: float = 2.0, alpha: float | None = 0.25
) -> Tensor:
    """Take binary cross-entropy, but weigh each pixel by (1 − probability of the truth)^gamma: easy pixels fade.

    Logits, target and `ignore_index` are those of `binary_cross_entropy`.  `gamma` says how fast easy pixels fade, 0 or
    more; 0 is cross-entropy.  `alpha` is the weight of class 1, in [0, 1], and that of class 0 is 1 − alpha;
    None weighs both with 1.

    Returns:
        The mean over the pixels that count.  Equals `torchvision.ops.sigmoid_focal_loss(..., reduction="mean")` over
        those pixels.
    """
    if not 0 <= gamma < math.inf:
        raise ValueError(f"gamma must be a number of 0 or more, got {gamma!r}")
    if alpha is not None:
        check_share("alpha", alpha)
    logits, truth, counts = _binary(logits, target, ignore_index)
    # With the sign turned for class 0, sigmoid(margin) is the probability of the truth, and sigmoid(-margin) the rest.
    margin = logits * (2 * truth - 1)
    # A power by way of the logarithm: the power of a probability that has become 0 has no finite slope for gamma < 1.
    loss = -functional.logsigmoid(margin) * (gamma * functional.logsigmoid(-margin)).exp()
    if alpha is not None:
        loss = loss * (alpha * truth + (1 - alpha) * (1 - truth))
    return (loss * counts).sum() / counts.sum().clamp(min=1)


def deep_supervision(
    outputs: Sequence[Tensor],
    target: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Add up the loss of several maps of one network, each against the same target.

    Args:
        outputs: Logits, as `loss` takes them, each of the target's H and W (the network resizes, not the loss).
        target: int64 (N, H, W).
        loss: Called as `loss(output, target)`; one of `LOSSES`, or `functools.partial` of one with other settings.
        weights: One for each output; None weighs all with 1, as U²-Net does.

    Raises:
        ValueError: There are no outputs, one has another size, or the weights are not as many.
    """
    _check_outputs(outputs, target, weights)
    weights = [1.0] * len(outputs) if weights is None else weights
    return sum(weight * loss(output, target) for weight, output in zip(weights, outputs, strict=True))


def counted(target: Tensor, ignore_index: int = 255) -> Tensor:
    """Count the pixels of a target that are not `ignore_index`: int64, shape (), on the target's device."""
    return (target != ignore_index).sum()


LOSSES = {loss.__name__: loss for loss in (cross_entropy, binary_cross_entropy, dice, focal)}


def _binary(logits: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Check both, and return three maps (N, H, W) of one dtype: logits, truth (0 or 1), counts (0 where ignored)."""
    check_tensors(logits=logits, target=target)
    if logits.dim() == 4 and logits.shape[1] == 1:
        logits = logits[:, 0]
    if logits.dim() != 3:
        raise ValueError(
            f"logits must have shape (N, 1, H, W) or (N, H, W), got {tuple(logits.shape)};"
            " for K classes take cross_entropy"
        )
    _check(logits, target, ignore_index, classes=2)
    counts = target != ignore_index
    # To multiply by 0 would not do: an infinite logit that does not count would make NaN of the sum.
    logits = _precise(logits).masked_fill(~counts, 0)
    return logits, ((target == 1) & counts).to(logits.dtype), counts.to(logits.dtype)


def _precise(logits: Tensor) -> Tensor:
    """Return float32 for the half precisions: their sums over a picture have no digits left, or overflow."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _check(logits: Tensor, target: Tensor, ignore_index: int, classes: int) -> None:
    check_floating_point(logits, "logits")
    if target.dtype != torch.int64:
        raise ValueError(f"target must be int64, got {target.dtype}; target.long() makes it so")
    expected = (logits.shape[0], *logits.shape[-2:])
    if target.shape != expected or not target.numel():
        raise ValueError(
            f"target must have shape (N, H, W) = {expected} to fit logits {tuple(logits.shape)}, with at least one"
            f" pixel, got {tuple(target.shape)}"
        )
    check_one_device("logits", logits, target)
    # Looked at here, since a GPU answers a wrong class number by killing the whole process's CUDA context.
    check_class_numbers("target", target, classes, ignore_index)


def _check_outputs(outputs: Sequence[Tensor], target: Tensor, weights: Sequence[float] | None) -> None:
    if not isinstance(outputs, Sequence) or not outputs:
        came = "none" if isinstance(outputs, Sequence) else type(outputs).__name__
        raise ValueError(
            f"outputs must be a list or tuple of one or more maps, got {came}; one map goes in as [logits]"
        )
    if weights is not None and len(weights) != len(outputs):
        raise ValueError(f"there must be one weight for each output, got {len(weights)} for {len(outputs)} outputs")
    for number, output in enumerate(outputs):
        check_tensors(**{f"outputs[{number}]": output, "target": target})
        if output.shape[-2:] != target.shape[-2:]:
            raise ValueError(
                f"outputs[{number}] has shape {tuple(output.shape)}, the target {tuple(target.shape)}: H and W must be"
                " the same; let the network resize its maps to the size of its input"
            )

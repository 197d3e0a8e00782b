"""Scores for things one pixel wide: precision, recall and F1 with a tolerance (Chapters 07 and 10).

Who drew the truth drew a line by hand; one pixel to the left is no mistake.  So a predicted crack pixel is *right* if
a true one lies within `tolerance` pixels of it, and a true one is *found* if a predicted one lies within:

    precision = right / predicted        recall = found / true        F1 = 2 · precision · recall / (precision + recall)

Distance is Euclidean, from centre to centre.  "Within r of a crack" is the crack, grown by a disc of radius r, so
`dilate` is all that is needed.  A tolerance is part of the score: a number without it cannot be compared.

Networks give probabilities; where is the cut?  ODS takes the one threshold that is best for the whole set, OIS each
image's own best.  Both peek at the truth, so they say what a network could reach, not what it will.

Left out: the one-to-one matching of pixels and the interpolation between thresholds of the BSDS benchmark, where ODS
and OIS come from (Arbeláez et al., 2011).  Crack papers measure by distance.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from chapters_code.checks import check_class_numbers, check_integer, check_tensors
from chapters_code.metrics.frame import Streaming, as_batch, check_probabilities

__all__ = ["THRESHOLDS", "CrackScore", "CrackScores", "crack_scores", "dilate", "local_width"]

THRESHOLDS = tuple(percent / 100 for percent in range(1, 100))


class CrackScore(NamedTuple):
    """How well cracks were found; each number lies in [0, 1], 1 is best."""

    precision: float  # share of predicted pixels that are right
    recall: float  # share of true pixels that are found
    f1: float  # their harmonic mean
    iou: float  # intersection over union, pixel on pixel: it knows no tolerance


def dilate(maps: Tensor, radius: float) -> Tensor:
    """Replace each pixel by the largest value within `radius` of it: bright things grow by a disc.

    Args:
        maps: (..., H, W), any real dtype; of 0 and 1 it is the usual dilation of a mask.
        radius: In pixels, from centre to centre; any number >= 0.

    Returns:
        Shape, dtype and device of `maps`.  A mask is 1 exactly where
        `scipy.ndimage.distance_transform_edt(1 - mask) <= radius`, as long as it is not empty.

    Raises:
        ValueError: `radius` is negative or NaN, or `maps` is no tensor with rows and columns.

    Example:
        >>> dilate(torch.tensor([[0, 0, 0, 7, 0]]), radius=1)
        tensor([[0, 0, 7, 7, 7]])
    """
    check_tensors(maps=maps)
    if not radius >= 0:
        raise ValueError(f"a radius or tolerance is a number of pixels >= 0, got {radius!r}")
    if maps.dim() < 2 or not maps.numel():
        raise ValueError(f"maps must have shape (..., H, W) and at least one pixel, got {tuple(maps.shape)}")
    height, width = maps.shape[-2:]
    down, right = int(min(radius, height - 1)), int(min(radius, width - 1))
    lowest = maps.min().item()  # what stands outside must not win
    padded = functional.pad(maps, (right, right, down, down), value=lowest)

    largest = maps
    for i in range(-down, down + 1):
        for j in range(-right, right + 1):
            if math.sqrt(i * i + j * j) <= radius:
                shifted = padded[..., down + i : down + i + height, right + j : right + j + width]
                largest = torch.maximum(largest, shifted)
    return largest


def local_width(mask: Tensor, largest: int = 16) -> Tensor:
    """Measure how wide a crack is at each of its pixels: the side of the largest square inside it that holds the pixel.

    A square fits into a slanting crack less well than into a straight one: one of width w at 45° counts as about 0.7 w.

    Args:
        mask: 1 = crack, 0 = not, bool or integer, (N, H, W) or (H, W); what else it holds counts as no crack.
        largest: In pixels; wider places get this number.

    Returns:
        int64, shape of `mask`: 0 where there is no crack, else 1 to `largest`.

    Raises:
        ValueError: `mask` is no tensor of these, or `largest` is no integer above 0.

    Example:
        >>> local_width(torch.tensor([[0, 1, 1, 0, 1], [0, 1, 1, 0, 1]]))
        tensor([[0, 2, 2, 0, 1],
                [0, 2, 2, 0, 1]])
    """
    check_tensors(mask=mask)
    if mask.dim() not in (2, 3) or mask.is_floating_point():
        raise ValueError(f"mask must be (N, H, W) or (H, W), bool or integer, got {mask.dtype} {tuple(mask.shape)}")
    crack = (mask == 1).float().reshape(-1, 1, *mask.shape[-2:])
    width = (crack[:, 0]).long()
    for side in range(2, min(check_integer("largest", largest, 1), *mask.shape[-2:]) + 1):
        # Squares that lie in the crack as a whole, by their first pixel; then all pixels that they cover.
        squares = -_largest_within(-crack, side)
        covered = _largest_within(functional.pad(squares, [side - 1] * 4), side)[:, 0] > 0
        if not covered.any():
            break
        width[covered] = side
    return width.reshape(mask.shape)


def _largest_within(maps: Tensor, side: int) -> Tensor:
    """Return the largest number of each square; first of columns, then of rows, which is far quicker."""
    return functional.max_pool2d(functional.max_pool2d(maps, (side, 1), stride=1), (1, side), stride=1)


def crack_scores(pred: Tensor, target: Tensor, tolerance: float = 0, ignore_index: int = 255) -> CrackScore:
    """Score predicted cracks, pixels of all images counted together.

    If there is no crack, neither predicted nor true, all scores are 1; if only one of the two is empty, all are 0.

    Args:
        pred: 1 = crack and 0 = not, bool or integer, (N, 1, H, W), (N, H, W) or (H, W).
        target: The truth, (N, H, W) or (H, W), as `pred`; also `ignore_index`, where nothing counts and nothing
            matches.  A mask *file* stores crack as 255: divide by 255 first, or all cracks are ignored.
        tolerance: In pixels, any number >= 0; 0 is pixel on pixel.
        ignore_index: The value of the truth that is not counted.

    Raises:
        ValueError: One is no tensor, shapes or devices differ, a value is not legal, or `tolerance` is negative.

    Example:
        >>> line = torch.tensor([[0, 0, 1, 0, 0]]).expand(4, 5)
        >>> beside = line.roll(1, dims=1)
        >>> [crack_scores(beside, line, tolerance).f1 for tolerance in (0, 1)]
        [0.0, 1.0]
    """
    pred, target = as_batch(pred, target, "pred")
    hint = "; probability >= 0.5 makes it of probabilities, mask // 255 of what a file stores"
    pred = check_class_numbers("pred", pred, 2, hint=hint)
    counted, true = _truth(target, ignore_index)
    predicted = (pred == 1) & counted

    right = predicted & dilate(true.byte(), tolerance).bool()
    found = true & dilate(predicted.byte(), tolerance).bool()
    counts = torch.stack([part.sum() for part in (predicted, right, true, found, predicted & true)])
    return CrackScore(*(score.item() for score in _rates(counts.cpu())))


class CrackScores(Streaming):
    """Score crack probabilities over a data set: many thresholds and tolerances, batch after batch.

    A pixel is predicted as crack at threshold t if its probability is >= t.  Any batch size gives the same scores.  An
    image without a single counted pixel is left out.  Empty masks score as in `crack_scores`.

    Args:
        tolerances: In pixels, each >= 0.
        thresholds: In [0, 1], rising; 0.01, 0.02, ..., 0.99 if not given.
        threshold: The one of `thresholds` at which the `global_` and `per_image_` scores are taken: fixed before
            anyone saw the truth.
        ignore_index: The value of the truth that is not counted.

    Raises:
        ValueError: A setting is not legal.

    Example:
        >>> scores = CrackScores(tolerances=(0, 1))
        >>> scores.update(torch.tensor([[[0.1, 0.7, 0.4]]]), torch.tensor([[[0, 0, 1]]]))
        >>> f"{scores.scores()['ods_f1@0px']:.3f} at threshold {scores.scores()['ods_threshold@0px']}"
        '0.667 at threshold 0.11'
    """

    def __init__(
        self,
        tolerances: Sequence[float] = (0, 1, 2),
        thresholds: Sequence[float] = THRESHOLDS,
        threshold: float = 0.5,
        ignore_index: int = 255,
    ) -> None:
        self.tolerances, self.thresholds = tuple(tolerances), tuple(thresholds)
        self.threshold, self.ignore_index = threshold, ignore_index
        if not self.tolerances or not all(one >= 0 for one in self.tolerances):
            raise ValueError(f"tolerances must be one or more numbers of pixels >= 0, got {tolerances!r}")
        if len(set(self.tolerances)) < len(self.tolerances):
            raise ValueError(f"each of tolerances must be named once, got {tolerances!r}")
        inside = all(0 <= one <= 1 for one in self.thresholds)
        if not inside or not all(low < high for low, high in zip(self.thresholds, self.thresholds[1:], strict=False)):
            raise ValueError(f"thresholds must rise and lie in [0, 1], got {thresholds!r}")
        if threshold not in self.thresholds:
            raise ValueError(f"threshold must be one of thresholds, got {threshold!r} and {thresholds!r}")
        # For each tolerance the five counts and four scores of `_rates`, at each threshold and, in a last column, at
        # each image's own best threshold.
        sums = torch.zeros(len(self.tolerances), 9, len(self.thresholds) + 1, dtype=torch.float64)
        super().__init__("choice of tolerances or thresholds", _sums=sums)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count one batch.

        Args:
            prediction: Probabilities in [0, 1], floating point, (N, 1, H, W), (N, H, W) or (H, W); of a network's
                logits take `logits.sigmoid()`.
            target: 1 = crack, 0 = not, `ignore_index` = do not count; bool or integer, (N, H, W) or (H, W).

        Raises:
            ValueError: Something is not as above, NaN included; then none of the batch is counted.
        """
        prediction, target = as_batch(prediction, target)
        check_probabilities(prediction)
        counted, true = _truth(target, self.ignore_index)
        kept = counted.flatten(1).any(1)
        if not kept.any():
            return
        prediction, counted, true = prediction[kept], counted[kept], true[kept].int()

        # A pixel's level: at how many of the thresholds is it predicted?  Dilating levels is dilating the predictions
        # of all thresholds at once, and one histogram of levels counts for all of them: no loop over thresholds.
        # They are compared in the prediction's dtype, as in `prediction >= threshold`: 0.7 in float32 is not below 0.7.
        thresholds = torch.tensor(self.thresholds, dtype=prediction.dtype, device=prediction.device)
        levels = torch.bucketize(prediction.contiguous(), thresholds, right=True, out_int32=True) * counted

        number = len(self.thresholds)
        predicted, common = _survivors(levels, number), _survivors(levels * true, number)
        trues = true.sum((1, 2)).cpu()[:, None].expand(-1, number)
        sums = []
        for tolerance in self.tolerances:
            right = _survivors(levels * dilate(true, tolerance), number)
            found = _survivors(dilate(levels, tolerance) * true, number)
            counts = torch.stack([predicted, right, trues, found, common])
            best = _rates(counts).f1.argmax(1, keepdim=True)  # the lowest threshold at a tie
            counts = torch.cat([counts, counts.gather(2, best.expand(5, -1, -1))], dim=2)
            sums.append(torch.cat([counts, torch.stack(_rates(counts))]).sum(1))
        self._add(len(levels), _sums=torch.stack(sums))

    def curve(self, tolerance: float = 0, per_image: bool = False) -> CrackScore:
        """Return the scores at each threshold, for a plot of precision against recall.

        Args:
            tolerance: One of `tolerances`.
            per_image: Give the mean of the images' scores, not the score of all pixels together.

        Returns:
            A `CrackScore` of tensors, each float64 (number of thresholds,).

        Raises:
            ValueError: `tolerance` was not asked for at the start, or nothing has been counted.
        """
        if tolerance not in self.tolerances:
            raise ValueError(f"tolerance must be one of {self.tolerances}, got {tolerance!r}")
        return CrackScore(*(score[:-1] for score in self._scored(self.tolerances.index(tolerance), per_image)))

    def scores(self) -> dict[str, float]:
        """Return all scores by name.

        At the fixed threshold, for each tolerance r: `global_precision@{r}px`, `global_recall@{r}px`,
        `global_f1@{r}px` (pixels of all images together) and the same with `per_image_` (the mean of the images'
        scores).  `global_iou` and `per_image_iou` know no tolerance.

        At the best threshold: `ods_f1@{r}px`, `ods_precision@{r}px` and `ods_recall@{r}px` take the one at which
        the global F1 is largest, `ods_threshold@{r}px`, the lowest at a tie.  `ois_f1@{r}px` takes each image's own
        best and then counts all pixels together, as BSDS does; `ois_per_image_f1@{r}px` is the mean of those F1.

        Raises:
            ValueError: Nothing has been counted.
        """
        fixed = self.thresholds.index(self.threshold)
        named = {}
        for row, tolerance in enumerate(self.tolerances):
            end = f"@{tolerance:g}px"
            overall, per_image = self._scored(row, per_image=False), self._scored(row, per_image=True)
            best = overall.f1[:-1].argmax()
            for score in ("precision", "recall", "f1"):
                named[f"global_{score}{end}"] = getattr(overall, score)[fixed]
                named[f"per_image_{score}{end}"] = getattr(per_image, score)[fixed]
                named[f"ods_{score}{end}"] = getattr(overall, score)[best]
            named[f"ods_threshold{end}"] = self.thresholds[best]
            named[f"ois_f1{end}"] = overall.f1[-1]
            named[f"ois_per_image_f1{end}"] = per_image.f1[-1]
        # The same for every tolerance, so the last one's will do.
        named |= {"global_iou": overall.iou[fixed], "per_image_iou": per_image.iou[fixed]}
        return {name: float(score) for name, score in named.items()}

    def _scored(self, row: int, per_image: bool) -> CrackScore:
        """Return the scores at one tolerance, each (thresholds + 1,), last that at each image's own best threshold."""
        self._need_images()
        return CrackScore(*self._sums[row, 5:] / self._images) if per_image else _rates(self._sums[row, :5])


def _survivors(levels: Tensor, number: int) -> Tensor:
    """Count the pixels of each image that are predicted at each threshold: levels (N, H, W) -> int64 (N, number)."""
    # Image n's levels, 0..number, are moved to a range of their own, and one call counts them all.
    start = torch.arange(len(levels), device=levels.device)[:, None] * (number + 1)
    histogram = torch.bincount((levels.flatten(1) + start).flatten(), minlength=len(levels) * (number + 1)).cpu()
    # A pixel of level b is predicted at the b lowest thresholds: add up from above, and level 0 is never predicted.
    return histogram.reshape(len(levels), number + 1).flip(1).cumsum(1).flip(1)[:, 1:]


def _rates(counts: Tensor) -> CrackScore:
    """Score counts (5, ...): predicted, right, true, found, and predicted-and-true; each score is float64 (...)."""
    predicted, right, true, found, common = counts.double()
    empty = (predicted + true == 0).double()  # nothing there and nothing said: all is well
    precision = right / predicted.clamp(min=1) + empty
    recall = found / true.clamp(min=1) + empty
    f1 = 2 * precision * recall / (precision + recall).clamp(min=torch.finfo(torch.float64).tiny)
    iou = common / (predicted + true - common).clamp(min=1) + empty
    return CrackScore(precision, recall, f1, iou)


def _truth(target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Check the truth, and return two bool maps: which pixels count, and which of them are crack."""
    target = check_class_numbers("target", target, 2, ignore_index, "; 1 is crack, 0 is not")
    counted = target != ignore_index
    return counted, (target == 1) & counted

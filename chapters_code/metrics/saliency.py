"""Scores for saliency: how well a map of probabilities finds the object that stands out (Chapter 09).

A prediction says of every pixel how probable it is that the object is there, a float in [0, 1]; the target says where
it is, 1 or 0.  Five measures look at one picture each, from plain to subtle:

    prediction (H, W), target (H, W)  --mae, max_f_measure, s_measure, e_measure, weighted_f_measure-->  float

`SaliencyScores` scores a whole set, batch by batch.  A network that gives logits needs `torch.sigmoid` first.

Two habits of the field change the numbers, so they are named here.  *Thresholds*: there are 256 of them, k / 255, and
a pixel is predicted when its probability is >= the threshold, which is the same as rounding the map down to 8 bits.
*Stretching*: the authors of U²-Net and most evaluation programs stretch each map to [0, 1] before they score it.  We
score what the network said; `min_max`, or `SaliencyScores(normalise=True)`, stretches.

Pictures with an empty target, or with nothing but object, follow the authors' programs; each docstring says how.  Void
pixels (255) are refused: S, E and weighted F compare whole regions, and no one has defined them on pictures with holes.
All sums are done in float64 on the CPU, wherever the two lie.

Sources: each measure's paper stands in its docstring.  The tests compare all with PySODMetrics 1.6.2.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["SaliencyScores", "e_measure", "mae", "max_f_measure", "min_max", "s_measure", "weighted_f_measure"]

THRESHOLDS = 256
# The authors' programs add this to denominators.  It shows only on maps that are almost empty, but it shows.
_EPS = torch.finfo(torch.float64).eps


def mae(prediction: Tensor, target: Tensor) -> float:
    """Give the mean absolute error: how far the map lies from the truth, averaged over the pixels.

    Perazzi et al., "Saliency filters", CVPR 2012.  Empty and full targets need no rule.

    Args:
        prediction: Probabilities, (H, W), floating point, in [0, 1].
        target: The truth, (H, W), bool or whole numbers, 1 = object, 0 = background.

    Returns:
        A number in [0, 1]; 0 is perfect.

    Raises:
        ValueError: A shape, a dtype or a value is not as above.

    Example:
        >>> mae(torch.tensor([[0.75, 0.25]]), torch.tensor([[1, 0]]))
        0.25
    """
    prediction, target = _checked(prediction, target)
    return (prediction - target.double()).abs().mean().item()


def max_f_measure(prediction: Tensor, target: Tensor, beta2: float = 0.3) -> float:
    """Give the best F-measure that any of the 256 thresholds reaches on this picture.

    F = (1 + β²) · precision · recall / (β² · precision + recall).  With β² = 0.3, as in Achanta et al.,
    "Frequency-tuned salient region detection", CVPR 2009, precision counts for more than recall.

    Args:
        prediction: Probabilities, (H, W), floating point, in [0, 1].
        target: The truth, (H, W), bool or whole numbers, 1 = object, 0 = background.
        beta2: β², above 0.

    Returns:
        A number in [0, 1]; 1 is perfect.  An empty target gives 0, whatever was predicted; a full one gives 1, since
        the threshold 0 predicts every pixel.

    Raises:
        ValueError: A shape, a dtype or a value is not as above.
    """
    return _f_measure(*_precision_recall(*_checked(prediction, target)), beta2).max().item()


def s_measure(prediction: Tensor, target: Tensor, alpha: float = 0.5) -> float:
    """Give the structure measure: does the map have the object's parts in the object's places?

    S = α · S_object + (1 − α) · S_region, and 0 where that is negative.  Fan et al., "Structure-measure", ICCV 2017.

    * S_object: the map should be bright and even on the object, dark and even beside it.  Each side scores
      2m / (m² + 1 + s), with m and s the mean and the standard deviation of the map there (of 1 − map beside it); the
      two are weighted by their areas.
    * S_region: the object's centre of mass cuts the picture into four blocks.  Each is compared with the truth by
      structural similarity (means, variances, covariance), and weighted by its area.  Where neither map nor truth
      varies, a block counts 1; where only one does, 0.

    Args:
        prediction: Probabilities, (H, W), floating point, in [0, 1].
        target: The truth, (H, W), bool or whole numbers, 1 = object, 0 = background.
        alpha: The weight of S_object, in [0, 1].

    Returns:
        A number in [0, 1]; 1 is perfect.  With an empty target it is 1 − the map's mean, with a full one the mean.

    Raises:
        ValueError: A shape, a dtype or a value is not as above.
    """
    _check_alpha(alpha)
    prediction, target = _checked(prediction, target)
    share = target.double().mean().item()
    if share == 0:
        return 1 - prediction.mean().item()
    if share == 1:
        return prediction.mean().item()

    by_object = share * _evenness(prediction[target]) + (1 - share) * _evenness(1 - prediction[~target])

    # The block above and left of the centre of mass holds the centre's own row and column.
    rows, columns = target.nonzero(as_tuple=True)
    row, column = (int(place.double().mean().round()) + 1 for place in (rows, columns))
    by_region = 0.0
    for down in (slice(None, row), slice(row, None)):
        for right in (slice(None, column), slice(column, None)):
            block = prediction[down, right]
            # A centre in the last row or column leaves blocks without pixels, and they weigh nothing.
            if block.numel():
                by_region += block.numel() / prediction.numel() * _similarity(block, target[down, right].double())

    return max(0.0, alpha * by_object + (1 - alpha) * by_region)


def e_measure(prediction: Tensor, target: Tensor, kind: str = "max") -> float:
    """Give the enhanced-alignment measure: do the black-and-white map and the truth go up and down together?

    From both, the mean is taken away; p and t are what is left at a pixel.  Their alignment 2pt / (p² + t²) is 1 where
    they agree and −1 where they are opposite; (1 + alignment)² / 4 is summed over the pixels and divided by HW − 1.
    Fan et al., "Enhanced-alignment measure for binary foreground map evaluation", IJCAI 2018.

    The paper divides by HW.  The authors' program divides by HW − 1, and so do PySODMetrics and we: a perfect map
    scores HW / (HW − 1), a hair above 1.

    Args:
        prediction: Probabilities, (H, W), floating point, in [0, 1].
        target: The truth, (H, W), bool or whole numbers, 1 = object, 0 = background.
        kind: Where the map is cut into black and white. "max": at the best of the 256 thresholds, as in
            `max_f_measure`; "mean": at each of them, averaged; "adaptive": at twice the map's mean, at most 1.

    Returns:
        A number in [0, HW / (HW − 1)]; the largest is perfect.  With an empty target the sum is the number of pixels
        that are not predicted, with a full one that of those that are.

    Raises:
        ValueError: A shape, a dtype, a value or `kind` is not as above.
    """
    if kind not in ("max", "mean", "adaptive"):
        raise ValueError(f"kind must be max, mean or adaptive, got {kind!r}")
    prediction, target = _checked(prediction, target)
    if kind == "adaptive":
        return _adaptive_e(prediction, target)
    curve = _e_curve(prediction, target)
    return (curve.max() if kind == "max" else curve.mean()).item()


def weighted_f_measure(prediction: Tensor, target: Tensor, beta2: float = 1.0) -> float:
    """Give the F-measure in which errors count by where they lie; there is no threshold.

    Margolin, Zelnik-Manor and Tal, "How to evaluate foreground maps?", CVPR 2014.  Each pixel's error, how far
    the map lies from the truth, is changed twice.  A missed pixel of the object is forgiven in part if its neighbours
    were found: its error becomes the mean around it (7 × 7 Gaussian, σ = 5 pixels), if that is smaller; background
    next to the object lends this mean the error of the nearest object pixel.  A false alarm counts once at the object
    and up to twice far from it: 2 − 0.5^(distance / 5 pixels).  Recall and precision are then what
    the errors leave of the object.

    Args:
        prediction: Probabilities, (H, W), floating point, in [0, 1].
        target: The truth, (H, W), bool or whole numbers, 1 = object, 0 = background.
        beta2: β², above 0.

    Returns:
        A number in [0, 1]; 1 is perfect.  An empty target gives 0, whatever was predicted.

    Raises:
        ValueError: A shape, a dtype or a value is not as above.
        ImportError: SciPy is missing; the error says how to install it.
    """
    distance_transform = _distance_transform()
    _check_beta2(beta2)
    prediction, target = _checked(prediction, target)
    if not target.any():
        return 0.0

    error = (prediction - target.double()).abs()
    distance, nearest = distance_transform(~target.numpy(), return_indices=True)
    rows, columns = torch.from_numpy(nearest).long()
    # On the object a pixel is its own nearest one and keeps its error.
    around = functional.conv2d(error[rows, columns][None, None], _gaussian()[None, None], padding=3)[0, 0]
    forgiven = torch.where(target, torch.minimum(error, around), error)
    weighted = forgiven * torch.where(target, 1.0, 2 - 0.5 ** (torch.from_numpy(distance) / 5))

    found = (1 - weighted[target]).sum()
    recall = found / target.sum()
    precision = found / (found + weighted[~target].sum() + _EPS)
    return ((1 + beta2) * precision * recall / (beta2 * precision + recall + _EPS)).item()


def min_max(prediction: Tensor) -> Tensor:
    """Stretch a map so that its smallest number becomes 0 and its largest 1.

    This is the last step of U²-Net's prediction program, and it changes every score.  There a map of one value, such as
    all zeros, becomes 0 / 0 = NaN; here, as in PySODMetrics, it stays as it is.

    Args:
        prediction: One map, (H, W), floating point.

    Returns:
        A map of the same shape and dtype.

    Raises:
        ValueError: It is not one map; a batch must be stretched map by map.
    """
    if prediction.dim() != 2:
        raise ValueError(f"prediction must be one map, (H, W), got {tuple(prediction.shape)}; stretch map by map")
    lowest, highest = prediction.min(), prediction.max()
    return prediction if lowest == highest else (prediction - lowest) / (highest - lowest)


class SaliencyScores:
    """Scores of a whole set of pictures, gathered batch by batch; any batch size gives the same.

    `scores()` holds for each measure its mean over the pictures, as `per_image_...`.  Where a threshold is chosen, one
    may also choose it once for the set, and published tables do; these scores are called `global_...`:

    * `per_image_max_f`: each picture at its own best threshold, then the mean.
    * `global_max_f`: precision and recall are averaged over the pictures at each threshold, F is taken of the two
      means, and then the best threshold.  This is what the paper of U²-Net calls max F.
    * `global_max_mean_f`: F is averaged over the pictures at each threshold, then the best.  This is what PySODMetrics
      calls max F, and the smallest of the three.
    * `per_image_max_e` and `global_max_mean_e`: the same two choices for the E-measure.

    Args:
        beta2: β² of the F-measures with a threshold.
        alpha: The weight of S_object in the S-measure.
        normalise: Stretch each map with `min_max` first, as many published numbers do.
        weighted_f: Also the weighted F-measure, which needs SciPy and takes longer than all others together.
    """

    def __init__(
        self, beta2: float = 0.3, alpha: float = 0.5, normalise: bool = False, weighted_f: bool = True
    ) -> None:
        _check_beta2(beta2)
        _check_alpha(alpha)
        if weighted_f:
            _distance_transform()  # if SciPy is missing, say so now and not after an epoch
        self.beta2, self.alpha, self.normalise, self.weighted_f = beta2, alpha, normalise, weighted_f
        self.reset()

    def reset(self) -> None:
        """Forget every picture."""
        names = ["mae", "s", "max_f", "max_e", "mean_e", "adaptive_e", *["weighted_f"] * self.weighted_f]
        self.images = 0
        self._sums = dict.fromkeys(names, 0.0)
        self._curves = torch.zeros(4, THRESHOLDS, dtype=torch.float64)  # sums of precision, recall, F and E

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            prediction: Probabilities, (N, 1, H, W) or (N, H, W), floating point, in [0, 1].
            target: The truth, (N, H, W), bool or whole numbers, 1 = object, 0 = background.

        Raises:
            ValueError: A shape, a dtype or a value is not as above; then none of the batch is counted.
        """
        if prediction.dim() == 4 and prediction.shape[1] == 1:
            prediction = prediction.squeeze(1)
        if prediction.dim() != 3 or prediction.shape != target.shape:
            raise ValueError(
                "prediction must be (N, 1, H, W) or (N, H, W) and target (N, H, W), of the same N, H and W; got"
                f" {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        for one, truth in [_checked(*both) for both in zip(prediction, target, strict=True)]:
            self._count(min_max(one) if self.normalise else one, truth)

    def _count(self, prediction: Tensor, target: Tensor) -> None:
        precision, recall = _precision_recall(prediction, target)
        f_curve, e_curve = _f_measure(precision, recall, self.beta2), _e_curve(prediction, target)
        scores = {
            "mae": mae(prediction, target),
            "s": s_measure(prediction, target, self.alpha),
            "max_f": f_curve.max().item(),
            "max_e": e_curve.max().item(),
            "mean_e": e_curve.mean().item(),
            "adaptive_e": _adaptive_e(prediction, target),
        }
        if self.weighted_f:
            scores["weighted_f"] = weighted_f_measure(prediction, target)
        self.images += 1
        # Not in place: what was made under inference_mode may not be changed outside of it.
        self._curves = self._curves + torch.stack([precision, recall, f_curve, e_curve])
        for name, score in scores.items():
            self._sums[name] += score

    def scores(self) -> dict[str, float]:
        """Give all scores by name.

        Raises:
            ValueError: No picture was counted yet.
        """
        if not self.images:
            raise ValueError("there is no score without a picture: call update(prediction, target) first")
        precision, recall, f_curve, e_curve = self._curves / self.images
        return {f"per_image_{name}": total / self.images for name, total in self._sums.items()} | {
            "global_max_f": _f_measure(precision, recall, self.beta2).max().item(),
            "global_max_mean_f": f_curve.max().item(),
            "global_max_mean_e": e_curve.max().item(),
        }

    def state(self) -> Tensor:
        """Give all that was counted as one float64 vector; the vectors of two sets of pictures may be added."""
        counted = torch.tensor([self.images, *self._sums.values()], dtype=torch.float64)
        return torch.cat([counted, self._curves.flatten()])

    def load_state(self, state: Tensor) -> None:
        """Go on from a vector of `state`, or from a sum of several.

        Raises:
            ValueError: The vector has another length, so it was not made with these settings.
        """
        if state.shape != self.state().shape:
            raise ValueError(
                f"a state of these scores has shape {tuple(self.state().shape)}, got {tuple(state.shape)}:"
                " was it saved by other scores, or with another weighted_f?"
            )
        state = state.detach().cpu().double()
        images, *sums = state[: 1 + len(self._sums)].tolist()
        self.images = round(images)
        self._sums = dict(zip(self._sums, sums, strict=True))
        self._curves = state[1 + len(sums) :].reshape(4, THRESHOLDS).clone()


def _checked(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Give the map as float64 and the truth as bool, both on the CPU, or say what is wrong with them."""
    for name, value in (("prediction", prediction), ("target", target)):
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} must be a tensor, got {type(value).__name__}; torch.as_tensor(...) makes one")
        if value.dim() != 2 or not value.numel():
            raise ValueError(f"{name} must be one picture with pixels, (H, W), got {tuple(value.shape)}")
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must have the same size:"
            " resize the prediction, not the truth"
        )
    if not prediction.is_floating_point():
        raise ValueError(f"prediction must be floating point in [0, 1], got {prediction.dtype}; divide 8 bits by 255")
    if target.is_floating_point() or target.is_complex():
        raise ValueError(f"target must be bool or whole numbers, 0 and 1, got {target.dtype}")
    lowest, highest = prediction.min().item(), prediction.max().item()
    if not (lowest >= 0 and highest <= 1):  # NaN fails both
        raise ValueError(
            f"prediction must lie in [0, 1], got {lowest:g}..{highest:g}; if these are logits, use torch.sigmoid"
        )
    if not ((target == 0) | (target == 1)).all():
        values = target.unique().tolist()
        raise ValueError(f"target must hold 0 and 1 only, got {values[:8]}; void pixels (255) have no saliency score")
    # First to the CPU: not every device has float64.
    return prediction.detach().cpu().double(), target.cpu().bool()


def _check_beta2(beta2: float) -> None:
    if not beta2 > 0:
        raise ValueError(f"beta2 must be above 0, got {beta2}")


def _check_alpha(alpha: float) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")


def _hits(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Count at each threshold 0, 1/255 .. 1 the predicted pixels that are object, and all predicted ones; (256,) each.

    One histogram per side, summed from the top, does all thresholds at once.
    """
    level = (prediction * (THRESHOLDS - 1)).long()  # the highest threshold that the pixel reaches
    counts = torch.bincount((level + THRESHOLDS * target).flatten(), minlength=2 * THRESHOLDS)
    false, true = counts.reshape(2, THRESHOLDS).flip(1).cumsum(1).flip(1).double()
    return true, true + false


def _precision_recall(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Give precision and recall at each threshold, (256,) each; 0 where nothing was predicted or nothing is there."""
    true, predicted = _hits(prediction, target)
    return true / predicted.clamp(min=1), true / target.sum().clamp(min=1)


def _f_measure(precision: Tensor, recall: Tensor, beta2: float) -> Tensor:
    _check_beta2(beta2)
    both = (1 + beta2) * precision * recall
    return torch.where(both == 0, 0.0, both / (beta2 * precision + recall))


def _e_curve(prediction: Tensor, target: Tensor) -> Tensor:
    return _alignment(*_hits(prediction, target), target)


def _adaptive_e(prediction: Tensor, target: Tensor) -> float:
    chosen = prediction >= min(2 * prediction.mean().item(), 1.0)
    return _alignment((chosen & target).sum().double(), chosen.sum().double(), target).item()


def _alignment(true: Tensor, predicted: Tensor, target: Tensor) -> Tensor:
    """Give the E-measure of black-and-white maps by their counts, float64 of any one shape.

    A map and a truth of zeros and ones leave four kinds of pixels, and all pixels of a kind have the same alignment.
    """
    pixels, salient = target.numel(), target.sum().item()
    scale = max(pixels - 1, 1)  # one pixel alone: 0 / 0 in the authors' program
    if salient == 0:
        return (pixels - predicted) / scale
    if salient == pixels:
        return predicted / scale
    mean, truth_mean = predicted / pixels, salient / pixels
    total = 0
    for count, p, t in (
        (true, 1 - mean, 1 - truth_mean),
        (predicted - true, 1 - mean, -truth_mean),
        (salient - true, -mean, 1 - truth_mean),
        (pixels - salient - predicted + true, -mean, -truth_mean),
    ):
        total = total + count * (1 + 2 * p * t / (p**2 + t**2 + _EPS)) ** 2 / 4
    return total / scale


def _evenness(values: Tensor) -> float:
    """Give 2m / (m² + 1 + s): 1 if all values are 1, less if they are smaller or scatter."""
    mean = values.mean()
    spread = values.std(correction=min(1, len(values) - 1))  # a single value does not scatter
    return (2 * mean / (mean**2 + 1 + spread)).item()


def _similarity(block: Tensor, truth: Tensor) -> float:
    """Compare a block of the map with that of the truth: means, variances and covariance in one number in [−1, 1]."""
    mean, truth_mean = block.mean(), truth.mean()
    # Taken from the first pixel on, a block of one value has a variance of exactly 0.  Rounding would leave 1e-33, and
    # the last lines would then judge an even block by its dust.
    block, truth = block - block[0, 0], truth - truth[0, 0]
    block, truth = block - block.mean(), truth - truth.mean()
    degrees = max(block.numel() - 1, 1)
    covariance = (block * truth).sum() / degrees
    variances = ((block**2).sum() + (truth**2).sum()) / degrees

    above = 4 * mean * truth_mean * covariance
    below = (mean**2 + truth_mean**2) * variances
    if above == 0:
        return 1.0 if below == 0 else 0.0
    return (above / (below + _EPS)).item()


def _gaussian() -> Tensor:
    """Give the 7 × 7 Gaussian of σ = 5 pixels; the sum is 1."""
    weight = torch.exp(-(torch.arange(-3, 4, dtype=torch.float64) ** 2) / (2 * 5**2))
    weight = torch.outer(weight, weight)
    return weight / weight.sum()


def _distance_transform():
    try:
        from scipy.ndimage import distance_transform_edt
    except ImportError as error:
        raise ImportError(
            "the weighted F-measure needs SciPy; run: pip install scipy\n"
            "(or do without this one measure: SaliencyScores(weighted_f=False))"
        ) from error
    return distance_transform_edt

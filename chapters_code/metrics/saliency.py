"""Scores for saliency: how well a map of probabilities finds the object that stands out (Chapter 09).

A prediction says of every pixel how probable it is that the object is there, floating point in [0, 1]; the target says
where it is, bool or integer, 1 or 0.  Five measures look at one picture each, from plain to subtle:

    prediction (H, W), target (H, W)  --mae, max_f_measure, s_measure, e_measure, weighted_f_measure-->  float

Of a tensor or a setting that is not as it should be, each raises a ValueError.  `SaliencyScores` scores a whole set,
batch by batch.  A network that gives logits needs `torch.sigmoid` first.

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

from chapters_code.checks import check_choice, check_class_numbers, check_positive, check_share, check_tensors
from chapters_code.metrics.frame import Streaming, as_batch, check_probabilities

__all__ = ["SaliencyScores", "e_measure", "mae", "max_f_measure", "min_max", "s_measure", "weighted_f_measure"]

THRESHOLDS = 256
# The authors' programs add this to denominators.  It shows only on maps that are almost empty, but it shows.
_EPS = torch.finfo(torch.float64).eps


def mae(prediction: Tensor, target: Tensor) -> float:
    """Return the mean absolute error: how far the map lies from the truth, averaged over the pixels.

    Perazzi et al., "Saliency filters", CVPR 2012.  Empty and full targets need no rule.

    Args:
        prediction: Probabilities, (H, W), floating point, in [0, 1].
        target: The truth, (H, W), bool or integer, 1 = object, 0 = background.

    Returns:
        A number in [0, 1]; 0 is perfect.

    Raises:
        ValueError: A shape, a dtype or a value is not as above.

    Example:
        >>> mae(torch.tensor([[0.75, 0.25]]), torch.tensor([[1, 0]]))
        0.25
    """
    prediction, target = _picture(prediction, target)
    return (prediction - target.double()).abs().mean().item()


def max_f_measure(prediction: Tensor, target: Tensor, beta2: float = 0.3) -> float:
    """Return the best F-measure that any of the 256 thresholds reaches on this picture.

    F = (1 + β²) · precision · recall / (β² · precision + recall).  With β² = 0.3, as in Achanta et al.,
    "Frequency-tuned salient region detection", CVPR 2009, precision counts for more than recall.  Prediction and target
    are those of `mae`; `beta2` is β², above 0.

    Returns:
        A number in [0, 1]; 1 is perfect.  An empty target gives 0, whatever was predicted; a full one gives 1, since
        the threshold 0 predicts every pixel.
    """
    check_positive("beta2", beta2)
    return _f_measure(*_precision_recall(*_picture(prediction, target)), beta2).max().item()


def s_measure(prediction: Tensor, target: Tensor, alpha: float = 0.5) -> float:
    """Return the structure measure: does the map have the object's parts in the object's places?

    S = α · S_object + (1 − α) · S_region, and 0 where that is negative.  Fan et al., "Structure-measure", ICCV 2017.
    Prediction and target are those of `mae`; `alpha` is α, in [0, 1].

    * S_object: the map should be bright and even on the object, dark and even beside it.  Each side scores
      2m / (m² + 1 + s), with m and s the mean and the standard deviation of the map there (of 1 − map beside it); the
      two are weighted by their areas.
    * S_region: the object's centre of mass cuts the picture into four blocks.  Each is compared with the truth by
      structural similarity (means, variances, covariance), and weighted by its area.  Where neither map nor truth
      varies, a block counts 1; where only one does, 0.

    Returns:
        A number in [0, 1]; 1 is perfect.  With an empty target it is 1 − the map's mean, with a full one the mean.
    """
    check_share("alpha", alpha)
    prediction, target = _picture(prediction, target)
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
    """Return the enhanced-alignment measure: do the black-and-white map and the truth go up and down together?

    From both, the mean is taken away; p and t are what is left at a pixel.  Their alignment 2pt / (p² + t²) is 1 where
    they agree and −1 where they are opposite; (1 + alignment)² / 4 is summed over the pixels and divided by HW − 1.
    Fan et al., "Enhanced-alignment measure for binary foreground map evaluation", IJCAI 2018.

    The paper divides by HW.  The authors' program divides by HW − 1, and so do PySODMetrics and we: a perfect map
    scores HW / (HW − 1), a hair above 1.

    Prediction and target are those of `mae`.  `kind` says where the map is cut into black and white.  "max": at the
    best of the 256 thresholds, as in `max_f_measure`; "mean": at each of them, averaged; "adaptive": at twice the map's
    mean, at most 1.

    Returns:
        A number in [0, HW / (HW − 1)]; the largest is perfect.  With an empty target the sum is the number of pixels
        that are not predicted, with a full one that of those that are.
    """
    check_choice("kind", kind, ("max", "mean", "adaptive"))
    prediction, target = _picture(prediction, target)
    if kind == "adaptive":
        return _adaptive_e(prediction, target)
    curve = _e_curve(prediction, target)
    return (curve.max() if kind == "max" else curve.mean()).item()


def weighted_f_measure(prediction: Tensor, target: Tensor, beta2: float = 1.0) -> float:
    """Return the F-measure in which errors count by where they lie; there is no threshold.

    Margolin, Zelnik-Manor and Tal, "How to evaluate foreground maps?", CVPR 2014.  Each pixel's error, how far
    the map lies from the truth, is changed twice.  A missed pixel of the object is forgiven in part if its neighbours
    were found: its error becomes the mean around it (7 × 7 Gaussian, σ = 5 pixels), if that is smaller; background
    next to the object lends this mean the error of the nearest object pixel.  A false alarm counts once at the object
    and up to twice far from it: 2 − 0.5^(distance / 5 pixels).  Recall and precision are then what
    the errors leave of the object.  Prediction and target are those of `mae`; `beta2` is β², above 0.

    Returns:
        A number in [0, 1]; 1 is perfect.  An empty target gives 0, whatever was predicted.

    Raises:
        ImportError: SciPy is missing; the error says how to install it.
    """
    distance_transform = _distance_transform()
    check_positive("beta2", beta2)
    prediction, target = _picture(prediction, target)
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
    all zeros, becomes 0 / 0 = NaN; here, as in PySODMetrics, it stays as it is.  The map is (H, W), floating point; its
    shape and dtype stay.

    Raises:
        ValueError: It is not one map; a batch must be stretched map by map.
    """
    check_tensors(prediction=prediction)
    if prediction.dim() != 2:
        raise ValueError(f"prediction must be one map, (H, W), got {tuple(prediction.shape)}; stretch map by map")
    lowest, highest = prediction.min(), prediction.max()
    return prediction if lowest == highest else (prediction - lowest) / (highest - lowest)


class SaliencyScores(Streaming):
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
        check_positive("beta2", beta2)
        check_share("alpha", alpha)
        if weighted_f:
            _distance_transform()  # if SciPy is missing, say so now and not after an epoch
        self.beta2, self.alpha, self.normalise, self.weighted_f = beta2, alpha, normalise, weighted_f
        names = ("mae", "s", "max_f", "max_e", "mean_e", "adaptive_e")
        self._names = (*names, "weighted_f") if weighted_f else names
        measures = torch.zeros(len(self._names), dtype=torch.float64)
        curves = torch.zeros(4, THRESHOLDS, dtype=torch.float64)  # precision, recall, F and E
        super().__init__("weighted_f", _measures=measures, _curves=curves)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            prediction: Probabilities, (N, 1, H, W), (N, H, W) or (H, W), floating point, in [0, 1].
            target: The truth, (N, H, W) or (H, W), bool or integer, 1 = object, 0 = background.

        Raises:
            ValueError: Something is not as above; then none of the batch is counted.
        """
        for one, truth in zip(*_checked(prediction, target), strict=True):
            self._count(min_max(one) if self.normalise else one, truth)

    def _count(self, prediction: Tensor, target: Tensor) -> None:
        precision, recall = _precision_recall(prediction, target)
        f_curve, e_curve = _f_measure(precision, recall, self.beta2), _e_curve(prediction, target)
        measures = [
            mae(prediction, target),
            s_measure(prediction, target, self.alpha),
            f_curve.max(),
            e_curve.max(),
            e_curve.mean(),
            _adaptive_e(prediction, target),
        ]
        if self.weighted_f:
            measures.append(weighted_f_measure(prediction, target))
        curves = torch.stack([precision, recall, f_curve, e_curve])
        self._add(1, _measures=torch.tensor(measures, dtype=torch.float64), _curves=curves)

    def scores(self) -> dict[str, float]:
        """Return all scores by name.

        Raises:
            ValueError: No picture was counted yet.
        """
        self._need_images()
        means = (self._measures / self.images).tolist()
        precision, recall, f_curve, e_curve = self._curves / self.images
        return {f"per_image_{name}": mean for name, mean in zip(self._names, means, strict=True)} | {
            "global_max_f": _f_measure(precision, recall, self.beta2).max().item(),
            "global_max_mean_f": f_curve.max().item(),
            "global_max_mean_e": e_curve.max().item(),
        }


def _checked(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps as float64 and the truth as bool, both (N, H, W) on the CPU, or say what is wrong with them."""
    check_tensors(prediction=prediction, target=target)
    # First to the CPU: not every device has float64.
    prediction, target = as_batch(prediction.detach().cpu(), target.cpu())
    check_probabilities(prediction)
    hint = "; 1 is object, 0 is background, and pixels of void (255) have no saliency score"
    return prediction.double(), check_class_numbers("target", target, 2, hint=hint).bool()


def _picture(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return one map and its truth as `_checked` does, both (H, W)."""
    maps, truths = _checked(prediction, target)
    if prediction.dim() != 2:
        raise ValueError(
            f"prediction must be one picture, (H, W), got {tuple(prediction.shape)}; SaliencyScores takes batches"
        )
    return maps[0], truths[0]


def _hits(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Count at each threshold 0, 1/255 .. 1 the predicted pixels that are object, and all predicted ones; (256,) each.

    One histogram per side, summed from the top, does all thresholds at once.
    """
    level = (prediction * (THRESHOLDS - 1)).long()  # the highest threshold that the pixel reaches
    counts = torch.bincount((level + THRESHOLDS * target).flatten(), minlength=2 * THRESHOLDS)
    false, true = counts.reshape(2, THRESHOLDS).flip(1).cumsum(1).flip(1).double()
    return true, true + false


def _precision_recall(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return precision and recall at each threshold, (256,) each; 0 where nothing was predicted or nothing is there."""
    true, predicted = _hits(prediction, target)
    return true / predicted.clamp(min=1), true / target.sum().clamp(min=1)


def _f_measure(precision: Tensor, recall: Tensor, beta2: float) -> Tensor:
    both = (1 + beta2) * precision * recall
    return torch.where(both == 0, 0.0, both / (beta2 * precision + recall))


def _e_curve(prediction: Tensor, target: Tensor) -> Tensor:
    return _alignment(*_hits(prediction, target), target)


def _adaptive_e(prediction: Tensor, target: Tensor) -> float:
    chosen = prediction >= min(2 * prediction.mean().item(), 1.0)
    return _alignment((chosen & target).sum().double(), chosen.sum().double(), target).item()


def _alignment(true: Tensor, predicted: Tensor, target: Tensor) -> Tensor:
    """Return the E-measure of black-and-white maps by their counts, float64 of any one shape.

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
    """Return 2m / (m² + 1 + s): 1 if all values are 1, less if they are smaller or scatter."""
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
    """Return the 7 × 7 Gaussian of σ = 5 pixels; the sum is 1."""
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

"""Threshold: where probabilities of crack are cut, and how the scores take it (Chapter 10).

The reader moves the threshold and the tolerance, or answers nothing at all, and sees what is found, missed and a false
alarm, with every score beside that of an answer that is all background.

    probabilities (H, W)  --threshold-->  answer (H, W)  --tolerance, beside the mask-->  precision, recall, F1, ...

Where a crack takes one pixel of a hundred, pixel accuracy hardly moves while F1 goes from 0 to its best.  By default a
drawn road is judged by a simple detector, darkness: sums of integers, the same on every machine; nothing was
trained.
"""

import itertools
from functools import lru_cache

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike
from torch import Tensor

from chapters_code.data import SyntheticCracks
from chapters_code.metrics import ConfusionMatrix, CrackScores, crack_scores
from chapters_code.metrics.cracks import dilate
from chapters_code.notebook import COLOURS, INK, PAPER
from chapters_code.widgets.moving import Flag, Integer, MovingFigure, Number, Setting, es_module, pack, unpack

__all__ = ["TOLERANCES", "Threshold"]

TOLERANCES = (0, 1, 2)
_TOP, _VOID, _LARGEST_SIDE = 255, 255, 256
# The colours of threshold.js.
_KINDS = {
    "ground": "#f3f1ea",
    "found": COLOURS["blue"],
    "right": COLOURS["sky"],
    "missed": COLOURS["black"],
    "false alarm": COLOURS["vermillion"],
    "void": "#b0b0b0",
}


class Threshold(MovingFigure):
    """Probabilities of crack, the answer at a threshold, and the scores of that answer beside those of all background.

    Args:
        prediction: Probabilities in [0, 1], floating point (H, W), a tensor or an array, sides from 1 to 256; rounded
            to whole 255ths.  None, with `target` None, takes a drawn road and its darkness.
        target: The truth, bool or integer (H, W): 1 = crack, 0 = not, 255 = do not count.
        threshold: From 0 to 1, in whole hundredths.  A pixel is called crack if its probability is >= threshold.
        tolerance: 0, 1 or 2 pixels, for what is drawn and for the best threshold; the scores are given at all three.
        nothing: Answer background everywhere, whatever the threshold.

    Raises:
        ValueError: A setting is none of these, the maps differ in size, or no pixel counts.

    Example:
        >>> figure = Threshold(torch.tensor([[0.1, 0.9, 0.2, 0.1]]), torch.tensor([[0, 0, 1, 0]]), tolerance=1)
        >>> [figure.scores[name] for name in ("f1@0px", "f1@1px", "pixel_accuracy")]
        [0.0, 1.0, 0.5]
    """

    _esm = es_module("threshold.js")

    prediction = Setting(lambda name, value: _stored_levels(value))
    target = Setting(lambda name, value: _stored_truth(value))
    threshold = Number(0, 1, decimals=2)
    tolerance = Integer(TOLERANCES[0], TOLERANCES[-1])
    nothing = Flag()

    def __init__(self, prediction=None, target=None, threshold=0.5, tolerance=2, nothing=False, **kwargs):
        if (prediction is None) != (target is None):
            raise ValueError("prediction and target belong together: give both, or neither for the drawn road")
        if prediction is None:
            prediction, target = _road()
        super().__init__(
            prediction=prediction, target=target, threshold=threshold, tolerance=tolerance, nothing=nothing, **kwargs
        )

    @property
    def probabilities(self) -> Tensor:
        """The prediction, (H, W) float64, in whole 255ths."""
        return _unpacked("prediction", self.prediction).double() / _TOP

    @property
    def truth(self) -> Tensor:
        """The target, (H, W) int64, with 255 where nothing counts."""
        return _unpacked("target", self.target)

    @property
    def answer(self) -> Tensor:
        """What is called crack, (H, W) bool."""
        called = self.probabilities >= self.threshold
        return torch.zeros_like(called) if self.nothing else called

    @property
    def scores(self) -> dict[str, float]:
        """The scores of the answer.

        For r = 0, 1 and 2 `precision@{r}px`, `recall@{r}px` and `f1@{r}px`; `iou` and `pixel_accuracy` know no
        tolerance.
        """
        return _scored(self.answer, self.truth)

    @property
    def baseline(self) -> dict[str, float]:
        """The same scores of an answer that is all background."""
        return _scored(torch.zeros_like(self.answer), self.truth)

    @property
    def best_threshold(self) -> float:
        """The threshold from 0.01 to 0.99 at which F1 at the chosen tolerance is largest; the lowest at a tie."""
        scores = CrackScores(tolerances=(self.tolerance,))
        scores.update(self.probabilities, self.truth)
        return scores.scores()[f"ods_threshold@{self.tolerance}px"]

    @property
    def kinds(self) -> list[list[str]]:
        """What the answer makes of each pixel within the tolerance, as a key of the legend."""
        counted = self.truth != _VOID
        true, called = self.truth == 1, self.answer & counted
        near, reached = (dilate(one.byte(), self.tolerance).bool().numpy() for one in (true, called))
        counted, true, called = counted.numpy(), true.numpy(), called.numpy()
        kinds = np.full(counted.shape, "ground", dtype=object)
        kinds[called & near], kinds[called & ~near] = "right", "false alarm"
        kinds[true & reached], kinds[true & ~reached] = "found", "missed"
        kinds[~counted] = "void"
        return kinds.tolist()

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        here, nothing, best = self.scores, self.baseline, self.best_threshold
        top = _scored(self.probabilities >= best, self.truth)
        cut = "all called background" if self.nothing else f"called crack from {self.threshold:.2f} on"
        by_tolerance = ", ".join("{:.3f} at {} px".format(here[f"f1@{one}px"], one) for one in TOLERANCES)
        f1, accuracy = f"f1@{self.tolerance}px", "pixel_accuracy"
        return (
            f"Probabilities of crack on {self.prediction['height']} × {self.prediction['width']} pixels, {cut}:"
            f" F1 {by_tolerance}, IoU {here['iou']:.3f}, pixel accuracy {here[accuracy]:.3f}; from all background to"
            f" the best threshold for F1 at {self.tolerance} px, {best:.2f}, F1 goes from {nothing[f1]:.3f} to"
            f" {top[f1]:.3f} and pixel accuracy from {nothing[accuracy]:.3f} to {top[accuracy]:.3f}."
        )

    def still(self) -> str:
        """Draw what the answer makes of the mask, a legend, and the scores beside those of all background, as SVG."""
        height, width = self.prediction["height"], self.prediction["width"]
        side = 384 / max(height, width)  # pixels of the screen for one of the map
        tall = max(round(side * height) + 24, 320)
        here, nothing, kinds = self.scores, self.baseline, self.kinds
        end = ' text-anchor="end"'  # of numbers
        legend = [name for name in _KINDS if name != "ground" and any(name in row for row in kinds)]
        texts = [(23 + 22 * i, {420: name + ", beside the crack" * (name == "right")}) for i, name in enumerate(legend)]
        texts.append((150, {560: "here", 676: "all background"}))
        shown = [(f"{name}, {self.tolerance} px", f"{name}@{self.tolerance}px") for name in ("precision", "recall")]
        shown += [(f"F1, {one} px", f"f1@{one}px") for one in TOLERANCES]
        shown += [("IoU", "iou"), ("pixel accuracy", "pixel_accuracy")]
        texts += [
            (172 + 22 * i, {400: words, 560: f"{here[name]:.3f}", 676: f"{nothing[name]:.3f}"})
            for i, (words, name) in enumerate(shown)
        ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 688 {tall}" width="688" height="{tall}"'
            f' font-family="sans-serif" font-size="14"><rect width="688" height="{tall}" fill="{PAPER}"/>'
            f'<g transform="translate(6 12) scale({side:g})" fill="none" shape-rendering="crispEdges">'
            f'<rect width="{width}" height="{height}" fill="{_KINDS["ground"]}"/>{_runs(kinds)}</g>'
            + "".join(
                f'<rect x="400" y="{12 + 22 * i}" width="12" height="12" fill="{_KINDS[name]}" stroke="{INK}"/>'
                for i, name in enumerate(legend)
            )
            + "".join(
                f'<text x="{x}" y="{y}" fill="{INK}"{end * (x > 420)}>{words}</text>'
                for y, line in texts
                for x, words in line.items()
            )
            + "</svg>"
        )

    @traitlets.validate("prediction", "target")
    def _check_sizes(self, proposal) -> dict:
        name, stored = proposal["trait"].name, proposal["value"]
        other = self.target if name == "prediction" else self.prediction
        here, there = ("{height} × {width}".format_map(one) for one in (stored, other))
        if here != there:
            raise ValueError(
                f"prediction and target must be of one size, got a {name} of {here} pixels and the other of {there};"
                " for maps of another size make a new figure"
            )
        return stored


def _scored(answer: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the scores of an answer, bool (H, W), by the names of `Threshold.scores`."""
    scores = {}
    for tolerance in TOLERANCES:
        found = crack_scores(answer, truth, tolerance, _VOID)
        scores |= {f"{name}@{tolerance}px": getattr(found, name) for name in ("precision", "recall", "f1")}
    confusion = ConfusionMatrix(2, _VOID)
    confusion.update(answer.long(), truth)
    return scores | {"iou": found.iou, "pixel_accuracy": confusion.pixel_accuracy()}


# ---- the maps -------------------------------------------------------------------------------------------


@lru_cache
def _road() -> tuple[Tensor, Tensor]:
    """Draw a road of 96 × 128 pixels and judge it by its darkness: float64 (H, W), and the mask, int64 (H, W)."""
    image, mask = SyntheticCracks(1, seed=12)[0]
    return _darkness(image), mask


def _darkness(image: Tensor) -> Tensor:
    """Return how dark a picture, uint8 (3, H, W), is around each pixel, float64 (H, W).

    1 is its darkest place; 0 is all that is no darker than its median.
    """
    red, green, blue = image.numpy().astype(np.int64)
    grey = np.pad((299 * red + 587 * green + 114 * blue + 500) // 1000, 1, mode="edge")
    light = np.lib.stride_tricks.sliding_window_view(grey, (3, 3)).sum(axis=(2, 3))  # nine times the mean
    middle = np.sort(light, axis=None)[light.size // 2]
    levels = _TOP * (middle - light).clip(min=0) // (middle - light.min())
    return torch.from_numpy(levels) / _TOP


def _stored_levels(prediction: ArrayLike | Tensor | dict) -> dict:
    """Make of probabilities what a page can hold: a byte for each, packed."""
    if isinstance(prediction, dict):
        prediction = _unpacked("prediction", prediction).double() / _TOP
    x = _map("prediction", prediction)
    if not x.is_floating_point():
        raise ValueError(
            f"prediction must hold probabilities, floating point, got {x.dtype}; of a mask take mask.float()"
        )
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError(
            f"prediction must lie in [0, 1], it holds {x.min():g} to {x.max():g}; of logits take logits.sigmoid()"
        )
    return pack((x.double() * _TOP).round().byte().numpy())


def _stored_truth(target: ArrayLike | Tensor | dict) -> dict:
    """Make of a mask what a page can hold, as `_stored_levels`."""
    x = _map("target", _unpacked("target", target) if isinstance(target, dict) else target)
    values = x.unique().tolist()
    if x.is_floating_point() or not set(values) <= {0, 1, _VOID}:
        raise ValueError(f"target must hold 0, 1 and {_VOID}, bool or integer, got {x.dtype} with {values[:5]}")
    if values == [_VOID]:
        raise ValueError(
            f"target must have a pixel that counts, but all of it is {_VOID}; a mask file: mask // {_VOID}"
        )
    return pack(x.byte().numpy())


def _map(name: str, value: ArrayLike | Tensor) -> Tensor:
    """Return a map as a tensor, or say what is wrong with its size."""
    try:
        x = torch.as_tensor(value).detach().cpu()
    except (RuntimeError, TypeError, ValueError):
        raise ValueError(f"{name} must be a tensor or an array of shape (H, W), got {value!r}") from None
    if x.dim() != 2 or not all(1 <= side <= _LARGEST_SIDE for side in x.shape):
        raise ValueError(
            f"{name} must have shape (H, W), each side from 1 to {_LARGEST_SIDE}, got {tuple(x.shape)};"
            " of one picture of a batch take x[0, 0], of a large one a part"
        )
    return x


def _unpacked(name: str, packed: dict) -> Tensor:
    return torch.from_numpy(unpack(name, packed).astype(np.int64))


def _runs(kinds: list[list[str]]) -> str:
    """Draw all but the ground, as one path for each kind; neighbours in a row are one stroke."""
    paths = dict.fromkeys(_KINDS, "")
    for i, row in enumerate(kinds):
        start = 0
        for name, run in itertools.groupby(row):
            length = len(list(run))
            paths[name] += f"M{start} {i}.5h{length}"
            start += length
    return "".join(
        f'<path stroke="{_KINDS[name]}" d="{path}"/>' for name, path in paths.items() if path and name != "ground"
    )

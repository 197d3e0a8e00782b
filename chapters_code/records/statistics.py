"""Statistics of a comparison: how sure a few seeds can make us (Chapters 07 and 10).

    arm: one number per seed  --contrast, paired-->  one number per seed  --interval-->  mean ± half a 95 % interval

All arms have the same seeds in the same order, so two are compared seed by seed.  There are four questions, and a
function for each:

    is there a difference?              `difference`, `pooled`: an interval that does not reach 0
    is there none that matters?         `equivalent`: an interval within a margin
    which are left of many questions?   `holm`
    and on other photographs?           `bootstrap`

Sources: Student (1908) for t; Abramowitz and Stegun (1964), 26.7.3 and 26.7.4, for its distribution as a finite sum;
Schuirmann (1987) for the two one-sided tests; Holm (1979); Efron and Tibshirani (1993) for the bootstrap.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

__all__ = [
    "Equivalence",
    "Estimate",
    "Interval",
    "Percentiles",
    "averaged",
    "bootstrap",
    "contrast",
    "difference",
    "equivalent",
    "estimate",
    "holm",
    "interval",
    "p_value",
    "paired",
    "pooled",
    "pooled_estimate",
    "t_cdf",
    "t_quantile",
]

Key = TypeVar("Key", bound=Hashable)


class Interval(NamedTuple):
    """A mean, and how far the true one may lie from it, 95 times in 100."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half:.3f}"


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error, and by how many degrees of freedom the error is known."""

    mean: float
    error: float
    degrees: int

    def interval(self, level: float = 0.95) -> Interval:
        """Return the mean and half its interval: Student's factor times the standard error."""
        return Interval(self.mean, t_quantile((1 + level) / 2, self.degrees) * self.error)


class Equivalence(NamedTuple):
    """What two one-sided tests say about a difference; as a text, the verdict."""

    narrow: Interval  # the 90 % interval, which decides about "equal"
    wide: Interval  # the 95 % interval, which decides about "different"
    margin: float
    p: float  # the larger one of the two one-sided tests; below 0.05 exactly where `narrow` lies within the margin

    @property
    def verdict(self) -> str:
        """Return "equal within 0.01" (or whatever the margin is), "different" or "not decided".

        A difference may be there and yet be too small to matter.  Then it is called equal.
        """
        if abs(self.narrow.mean) + self.narrow.half < self.margin:
            return f"equal within {self.margin:g}"
        return "different" if abs(self.wide.mean) > self.wide.half else "not decided"

    def __str__(self) -> str:
        return self.verdict


class Percentiles(NamedTuple):
    """A value, and between which two 95 of 100 drawn ones lie; the interval need not be symmetric."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


# ---- Student's t ------------------------------------------------------------------------------------


def t_cdf(t: float, degrees: int) -> float:
    """Return the probability that Student's t is at most `t`.  Equals `scipy.stats.t.cdf` to 1e-13.

    For an integer number of degrees it is a finite sum of powers of a cosine.

    Raises:
        ValueError: There is not one degree of freedom or more.
    """
    if degrees < 1 or degrees != int(degrees):
        raise ValueError(f"degrees of freedom are an integer, 1 or more; got {degrees}")
    angle = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = total = (cosine if odd else 1.0) if degrees > 1 else 0.0
    for k in range(2 if odd else 1, degrees - 1, 2):
        term *= k / (k + 1) * cosine**2
        total += term
    within = 2 / math.pi * (angle + sine * total) if odd else sine * total  # of -t..t, with the sign of t
    return (1 + within) / 2


@cache
def t_quantile(probability: float, degrees: int) -> float:
    """Return the t below which Student's t lies with this probability.  Equals `scipy.stats.t.ppf`.

    Halves a range in which the quantile lies until no number is left in between.

    Raises:
        ValueError: The probability does not lie between 0 and 1, or there is not one degree of freedom or more.

    Example:
        >>> round(t_quantile(0.975, 4), 4)
        2.7764
    """
    if not 0 < probability < 1:
        raise ValueError(f"a probability here lies between 0 and 1, and is neither; got {probability}")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while t_cdf(high, degrees) < probability:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if t_cdf(middle, degrees) < probability else (low, middle)
    return high


# ---- one number per seed ----------------------------------------------------------------------------


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of a few numbers with its standard error, standard deviation / √n, of n − 1 degrees of freedom.

    Raises:
        ValueError: There are fewer than 2 numbers.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs 2 numbers or more, got {len(values)}; train with more seeds")
    return Estimate(fmean(values), stdev(values) / math.sqrt(len(values)), len(values) - 1)


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean of a few numbers and half its interval, by Student's t.

        half = t((1 + level) / 2, n − 1) · standard deviation / √n

    Raises:
        ValueError: There are fewer than 2 numbers, or `level` does not lie between 0 and 1.

    Example:
        >>> print(interval([0.80, 0.82, 0.84]))
        0.820 ± 0.050
    """
    return estimate(values).interval(level)


def p_value(found: Sequence[float] | Estimate) -> float:
    """Return how often a true mean of 0 would give one as far from 0 as this, or farther; in [0, 1].

    Of differences seed by seed it is the paired t test, `scipy.stats.ttest_rel`.  Numbers that are all alike give 0,
    and if all are 0, 1.

    Args:
        found: One number per seed, or what `pooled_estimate` gave.

    Raises:
        ValueError: There are fewer than 2 numbers.
    """
    found = found if isinstance(found, Estimate) else estimate(found)
    return 2 * t_cdf(-_errors(abs(found.mean), found.error), found.degrees)


def equivalent(found: Sequence[float] | Estimate, margin: float) -> Equivalence:
    """Ask whether a difference is too small to matter: two one-sided tests, each at 0.05.

    One asks whether it is larger than −margin, the other whether it is smaller than +margin.  Both say yes exactly
    where the 90 % interval lies within ± margin.  That an interval holds 0 does not yet show that two arms are equal.

    Args:
        found: Differences, one per seed; or what `pooled_estimate` gave.
        margin: The smallest difference that would matter, said before the runs.

    Raises:
        ValueError: `margin` is not larger than 0, or there are fewer than 2 numbers.

    Example:
        >>> print(equivalent([0.001, 0.002, -0.001, 0.000, 0.003], margin=0.01))
        equal within 0.01
    """
    if not margin > 0:
        raise ValueError(f"the margin is the smallest difference that matters, larger than 0; got {margin}")
    found = found if isinstance(found, Estimate) else estimate(found)
    p = t_cdf(-_errors(margin - abs(found.mean), found.error), found.degrees)
    return Equivalence(found.interval(0.90), found.interval(0.95), margin, p)


def _errors(distance: float, error: float) -> float:
    """Return a distance in standard errors; of no scatter at all, infinitely many or none."""
    return distance / error if error else math.copysign(math.inf, distance) if distance else 0.0


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Return p-values made larger, since many questions are asked at once: Holm's step-down.

    In rising order the smallest of n is multiplied by n, the next one by n − 1, and so on; none may be smaller than the
    one before it, and none is larger than 1.  If those up to 0.05 are called clear, then with a probability of 0.95 or
    more there is no false one among them, however the questions hang together.

    Args:
        p_values: Question -> p, of *all* questions that were asked, and not of the interesting ones alone.

    Raises:
        ValueError: A p-value does not lie in [0, 1].

    Example:
        >>> holm({"max": 0.01, "avg": 0.04, "hwd": 0.5})
        {'max': 0.03, 'avg': 0.08, 'hwd': 0.5}
    """
    if wrong := {key: p for key, p in p_values.items() if not 0 <= p <= 1}:
        raise ValueError(f"a p-value lies in [0, 1]; got {wrong}")
    adjusted, largest = {}, 0.0
    for place, key in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[key]))
        adjusted[key] = largest
    return {key: adjusted[key] for key in p_values}


# ---- arms against each other ------------------------------------------------------------------------


def contrast(of_arm: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> list[float]:
    """Return the sum of weight · arm, one number for each seed.

    What a seed does to all arms alike falls out, since the weights add up to 0.

    Args:
        of_arm: Arm -> one number per seed, as `studies.scores` gives them.
        weights: Arm -> its weight, such as {"hwd": 1, "strided2": -1 / 2, "space_to_depth": -1 / 2}.

    Raises:
        ValueError: There is no such arm, the arms have not as many seeds, or the weights do not add up to 0.

    Example:
        >>> contrast({"hwd": [0.75, 0.5], "max": [0.25, 0.5]}, {"hwd": 1, "max": -1})
        [0.5, 0.0]
    """
    _need_weights(of_arm, weights)
    rows = [[weight * value for value in of_arm[name]] for name, weight in weights.items()]
    return [sum(column) for column in zip(*rows, strict=True)]


def paired(of_arm: Mapping[str, Sequence[float]], arm: str, control: str | Sequence[str]) -> list[float]:
    """Return arm − control, one number for each seed.

    Args:
        of_arm: Arm -> one number per seed, as `studies.scores` gives them.
        arm: Its name.
        control: The name of another one; or several names, and their mean is the control.

    Raises:
        ValueError: There is no such arm, or they have not as many seeds.
    """
    return contrast(of_arm, _against(arm, control))


def difference(of_arm: Mapping[str, Sequence[float]], arm: str, control: str | Sequence[str]) -> Interval:
    """Compare two arms seed by seed: the mean of arm − control, with its 95 % interval.

    What a seed does to both alike falls out of the difference.  The scatter is that of these two arms alone: with 5
    seeds, 4 degrees of freedom.  `pooled` takes the scatter of all arms.

    Args:
        of_arm: Arm -> one number per seed, as `studies.scores` gives them.
        arm: Its name.
        control: The name of another one; or several names, and their mean is the control.

    Raises:
        ValueError: There is no such arm, or they have not as many seeds, 2 or more.
    """
    return interval(paired(of_arm, arm, control))


def pooled(of_arm: Mapping[str, Sequence[float]], arm: str, control: str | Sequence[str]) -> Interval:
    """Compare two arms as `difference` does, the scatter taken from all arms together.

        half = t(0.975, (arms − 1)(seeds − 1)) · √(2 · MS / seeds)

    MS is the residual mean square: what is left of the scores when the mean of each arm and that of each seed are taken
    out.  With 6 arms and 5 seeds it has 20 degrees of freedom, where one pair alone has 4, so the factor is 2.09 and
    not 2.78.  The price is one more assumption: that all arms scatter alike, and that no two of them share more than a
    seed does to all.  Show both intervals.

    Raises:
        ValueError: As `difference`; or any two arms have not as many seeds.
    """
    return pooled_estimate(of_arm, _against(arm, control)).interval()


def pooled_estimate(of_arm: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> Estimate:
    """Return the mean of a contrast, with the standard error √(MS · Σ weight² / seeds) of `pooled`.

    Args:
        of_arm: Arm -> one number per seed, of all arms; also of those that have no weight.
        weights: Arm -> its weight, as `contrast` takes them.

    Raises:
        ValueError: As `contrast`; or there are fewer than 2 seeds, or any two arms have not as many.
    """
    of_seed = contrast(of_arm, weights)
    _need_seeds(of_arm, of_arm)
    rows = torch.tensor(list(of_arm.values()), dtype=torch.float64)
    arms, seeds = rows.shape
    if seeds < 2:
        raise ValueError(f"an interval needs 2 seeds or more, got {seeds}; train with more seeds")
    residual = rows - rows.mean(0) - rows.mean(1, keepdim=True) + rows.mean()
    degrees = (arms - 1) * (seeds - 1)
    mean_square = residual.square().sum().item() / degrees
    return Estimate(fmean(of_seed), math.sqrt(mean_square * sum(w * w for w in weights.values()) / seeds), degrees)


def averaged(settings: Iterable[Sequence[float]]) -> list[float]:
    """Return the mean over settings, one number for each seed.

    The settings (picture sets, optimisers) are those that were run: an interval of the result speaks of other seeds,
    and not of other settings.  What a seed does in all settings alike stays in it, as it should.

    Args:
        settings: Of each setting, the differences or contrasts of the same seeds.

    Raises:
        ValueError: There is no setting, or they have not as many seeds.
    """
    settings = list(settings)
    if len({len(one) for one in settings}) != 1:
        raise ValueError(f"a mean needs one setting or more, all of the same seeds; got {settings}")
    return [fmean(column) for column in zip(*settings, strict=True)]


def _against(arm: str, control: str | Sequence[str]) -> dict[str, float]:
    """Return the weights of arm − control, or of arm − the mean of several controls."""
    controls = [control] if isinstance(control, str) else list(control)
    if not controls or arm in controls or len(set(controls)) < len(controls):
        raise ValueError(f"{arm} needs a control, one other arm or several; got {control!r}")
    return {arm: 1.0} | {name: -1 / len(controls) for name in controls}


def _need_weights(of_arm: Mapping[str, Sequence], weights: Mapping[str, float]) -> None:
    for name in weights:
        if name not in of_arm:
            raise ValueError(f"there is no arm {name!r}; there are: {', '.join(of_arm)}")
    if len(weights) < 2 or abs(sum(weights.values())) > 1e-9:
        raise ValueError(f"the weights of a contrast add up to 0, such as 1 and -1; got {dict(weights)}")
    _need_seeds(of_arm, weights)


def _need_seeds(of_arm: Mapping[str, Sequence], names: Iterable[str]) -> None:
    first, *others = names
    for other in others:
        if len(of_arm[first]) != len(of_arm[other]):
            raise ValueError(
                f"{first} has {len(of_arm[first])} seeds, {other} has {len(of_arm[other])}: only the same seeds can be"
                " compared"
            )


# ---- seeds and photographs --------------------------------------------------------------------------

DRAWS, SEED = 2000, 0


def bootstrap(
    of_arm: Mapping[str, Sequence[Sequence[Sequence]]],
    arm: str,
    control: str | Sequence[str],
    draws: int = DRAWS,
    seed: int = SEED,
) -> Percentiles:
    """Compare the F1, or the mean IoU, of two arms, with an interval that knows of other seeds *and* other photographs.

    Each draw takes as many seeds and as many photographs as there are, some twice and some not at all: the same ones
    for both arms, and the same photographs for all seeds.  The counts of the photographs are added up, and of the
    scores of the seeds the mean is taken.  The interval goes from the 2.5th to the 97.5th percentile of the draws.

    With few seeds it is too short: what the seeds add has √((seeds − 1) / seeds) of its true size, and about 1.96
    errors take the place of Student's 2.78 (5 seeds).  So read it beside `difference`, which knows of seeds alone.  If
    this one is longer, the photographs matter more than the seeds.

    Args:
        of_arm: Arm -> seed -> photograph -> its counts of pixels.  For F1 four numbers: predicted, right (of the
            predicted ones), true, found (of the true ones); `studies.scores` with `studies.photographs` gives them.
            For mean IoU three for each class: right, predicted, true; from `studies.overlaps`.
        arm: Its name.
        control: The name of another one; or several names, and their mean is the control.
        draws: How many.
        seed: Where the drawing starts; the same one gives the same interval.

    Returns:
        The difference of the mean score of all that is there, and the two ends.

    Raises:
        ValueError: There is no such arm, the arms have not the same seeds and photographs, a count is missing, or
            nothing is to be drawn.
    """
    weights = _against(arm, control)
    _need_weights(of_arm, weights)
    counts = _counts({name: of_arm[name] for name in weights})
    if draws < 1:
        raise ValueError(f"an interval needs 1 draw or more, and better 2000; got {draws}")
    score = _f1 if counts[arm].ndim == 3 else _mean_iou
    seeds, photographs = counts[arm].shape[:2]
    generator = torch.Generator().manual_seed(seed)
    of_seed = _times(draws, seeds, generator)
    of_photograph = _times(draws, photographs, generator)

    def drawn(times: Tensor, photograph_times: Tensor) -> Tensor:
        """Return the difference in each draw, (draws,)."""
        total = torch.zeros(len(times), dtype=torch.float64)
        for name, weight in weights.items():
            summed = torch.einsum("dp,sp...->ds...", photograph_times, counts[name])
            total += weight * (score(summed) * times).sum(1) / seeds
        return total

    everything = drawn(*(torch.ones(1, size, dtype=torch.float64) for size in (seeds, photographs)))
    ends = drawn(of_seed, of_photograph).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return Percentiles(everything.item(), *ends.tolist())


def _counts(of_arm: Mapping[str, Sequence[Sequence[Sequence]]]) -> dict[str, Tensor]:
    """Return the counts as float64 (seeds, photographs, 4) or (seeds, photographs, classes, 3), alike for all arms."""
    try:
        counts = {name: torch.tensor(runs, dtype=torch.float64) for name, runs in of_arm.items()}
        shapes = {name: tuple(one.shape) for name, one in counts.items()}
    except ValueError:  # the runs of an arm are not alike
        counts, shapes = {}, {name: tuple(sorted({len(run) for run in runs})) for name, runs in of_arm.items()}
    kinds = {(one.ndim, one.shape[-1]) for one in counts.values()}
    if len({one.shape for one in counts.values()}) != 1 or not kinds <= {(3, 4), (4, 3)}:
        raise ValueError(
            "every run needs the same photographs, and each of them four counts: predicted, right, true, found; or"
            f" three for each class: right, predicted, true; got {shapes}"
        )
    return counts


def _times(draws: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw `size` of `size` things, and return how many times each was drawn: float64 (draws, size)."""
    chosen = torch.randint(size, (draws, size), generator=generator)
    times = torch.zeros(draws, size, dtype=torch.float64)
    return times.scatter_add_(1, chosen, torch.ones_like(times))


def _f1(counts: Tensor) -> Tensor:
    """Return the F1 of counts (..., 4) as `metrics.CrackScores` does: 1 where nothing is there and nothing is said."""
    predicted, right, true, found = counts.unbind(-1)
    empty = (predicted + true == 0).double()
    precision, recall = right / predicted.clamp(min=1) + empty, found / true.clamp(min=1) + empty
    return 2 * precision * recall / (precision + recall).clamp(min=torch.finfo(torch.float64).tiny)


def _mean_iou(counts: Tensor) -> Tensor:
    """Return the mean IoU of counts (..., classes, 3) as `metrics.ConfusionMatrix` does: of the classes that occur."""
    right, predicted, true = counts.unbind(-1)
    return (right / (predicted + true - right)).nanmean(-1)

"""Variants of Chapter 10."""

import dataclasses
import math
from statistics import fmean

import torch
from scipy.stats import t as student
from torch import Tensor

from chapters_code.exercises import choosing as original
from chapters_code.exercises.checking import Asked, Call, Exercise, Wrong, compare, whole
from chapters_code.records import studies
from chapters_code.train import recipes
from chapters_code.train.recipes import RECIPES, Recipe, recipe
from classroom.variants import Variant

__all__ = ["VARIANTS"]


# ---- 10.1b: the other idle answer ---------------------------------------------------------------


def _check_scores_of_everything(answer):
    def trusted(mask: Tensor) -> tuple[Tensor, Tensor]:
        pixels = mask.flatten().tolist()
        pavement, crack = pixels.count(0), pixels.count(1)
        precision, recall = crack / (pavement + crack), 1.0
        of_crack, of_pavement = crack / (pavement + crack), 0 / pavement
        scores = 2 * precision * recall / (precision + recall), (of_crack + of_pavement) / 2
        return tuple(torch.tensor(score, dtype=torch.float64) for score in scores)

    shapes = ((1, 2), (1, 3), (2, 2), (2, 3), (5, 4), (12, 17))
    calls = [Call.of(original._mask(*shape, void=void)) for shape in shapes for void in (False, True)]
    compare(answer, trusted, calls)


def scores_of_everything(mask):
    """With `s` the share of crack, precision is `s` and recall 1, so F1 is 2s / (1 + s): almost nothing, but not 0. The
    IoU of the crack is `s`, too, and that of the pavement 0.
    """
    counted = mask[mask != 255]
    share = (counted == 1).double().mean()
    return 2 * share / (1 + share), share / 2


# ---- 10.2b: strangers ---------------------------------------------------------------------------


def _check_unpaired(answer):
    def trusted(ours: Tensor, theirs: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        def mean_and_error(values: list[float]) -> tuple[float, float]:
            """Return the mean and the square of its standard error."""
            mean = math.fsum(values) / len(values)
            return mean, math.fsum((one - mean) ** 2 for one in values) / (len(values) - 1) / len(values)

        (mean, error), (other, its_error) = (mean_and_error(one.tolist()) for one in (ours, theirs))
        both = mean - other, factor * math.sqrt(error + its_error)
        return tuple(torch.tensor(one, dtype=torch.float64) for one in both)

    calls = []
    for count, other in ((2, 2), (2, 3), (5, 3), (4, 9)):
        ours, theirs = (torch.randint(60, 90, (n,)).double() / 100 for n in (count, other))
        theirs[0] += 0.005  # so that the two arms never spread alike
        calls.append(Call.of(ours, theirs, round(float(student.ppf(0.975, count + other - 2)), 3)))
    compare(answer, trusted, calls)


def unpaired(ours, theirs, factor):
    """Nothing falls out of the difference, so both means bring their error: the squares add up."""
    error = ours.var() / len(ours) + theirs.var() / len(theirs)
    return ours.mean() - theirs.mean(), factor * error.sqrt()


# ---- 10.3b: each seed judges once ---------------------------------------------------------------


def _check_honest_winner(answer):
    def trusted(scores: Tensor) -> tuple[Tensor, Tensor]:
        rows = scores.tolist()
        seeds = range(len(rows[0]))
        judged = []
        for held in seeds:
            means = [fmean(row[seed] for seed in seeds if seed != held) for row in rows]
            judged.append(rows[means.index(max(means))][held])
        best = max(map(fmean, rows))
        return torch.tensor(best, dtype=torch.float64), torch.tensor(fmean(judged), dtype=torch.float64)

    calls = [Call.of(torch.tensor([[0.8, 0.7], [0.7, 0.9]], dtype=torch.float64))]
    while len(calls) < 8:
        arms, seeds = [(2, 2), (2, 3), (3, 4), (6, 5)][len(calls) % 4]
        scores = torch.randperm(997)[: arms * seeds].reshape(arms, seeds).double() / 997
        sums = torch.stack([scores.sum(1), *(scores.sum(1) - scores[:, held] for held in range(seeds))])
        best = sums.topk(2, dim=1).values
        if (best[:, 0] - best[:, 1]).min() > 1e-6:  # no two winners
            calls.append(Call.of(scores))
    compare(answer, trusted, calls)


def honest_winner(scores):
    """Each seed judges the arm that the others have chosen, so no number both chooses and judges. The first mean is the
    winner's as tables show it; the second says what choosing is worth on a seed that nobody has seen.
    """
    judged = []
    for held in range(scores.shape[1]):
        others = torch.cat([scores[:, :held], scores[:, held + 1 :]], dim=1)
        judged.append(scores[others.mean(dim=1).argmax(), held])
    return scores.mean(dim=1).max(), torch.stack(judged).mean()


# ---- 10.4b: some false alarms are allowed -------------------------------------------------------


def _check_discoveries(answer):
    def trusted(p: Tensor, level: float) -> Tensor:
        ordered = sorted(p.tolist())
        limit = -1.0
        for place, one in enumerate(ordered, 1):
            if one <= level * place / len(ordered):
                limit = one
        return torch.tensor([one <= limit for one in p.tolist()])

    def values(*numbers: float) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64)

    calls = [
        Call.of(values(0.03), 0.05),
        Call.of(values(0.06), 0.05),
        Call.of(values(0.05 + 5e-10), 0.05),  # above its limit, but not in float32
        Call.of(values(0.9, 0.125), 0.25),  # exactly at its limit, however that is worked out
        Call.of(values(0.04, 0.01), 0.05),
        Call.of(values(0.04, 0.03), 0.05),  # the smaller one is above its own limit, and clear all the same
        Call.of(values(0.2, 0.001, 0.02), 0.05),
        Call.of(values(0.049, 0.02, 0.03, 0.04), 0.05),  # the largest carries all the others
        Call.of(values(0.06, 0.001, 0.034, 0.03), 0.05),  # the third carries the second, and the fourth falls
        Call.of(values(0.9, 0.04, 0.8, 0.02), 0.05),
    ]
    for count in (5, 20):
        calls += [Call.of(torch.rand(count, dtype=torch.float64) ** 4, level) for level in (0.05, 0.2)]
    compare(answer, trusted, calls)


def discoveries(p, level):
    """Benjamini and Hochberg's rule looks for the *last* p that is below its limit, from the largest down; all smaller
    ones come with it. Of what it calls clear, a share of `level` is wrong on average, where Holm's rule keeps any
    single false alarm rare. So it finds more.
    """
    order = p.argsort()
    below = p[order] <= level * torch.arange(1, len(p) + 1, dtype=p.dtype) / len(p)
    last = int(below.nonzero().max()) if below.any() else -1
    clear = torch.zeros(len(p), dtype=torch.bool)
    clear[order[: last + 1]] = True
    return clear


# ---- 10.5b: few false alarms --------------------------------------------------------------------


def _check_recall_at_precision(answer):
    def trusted(probabilities: Tensor, truth: Tensor, new_probabilities: Tensor, new_truth: Tensor, least: float):
        pixels = list(zip(probabilities.flatten().tolist(), truth.flatten().tolist(), strict=True))
        for hundredths in range(1, 100):
            found = [true for one, true in pixels if one >= hundredths / 100]
            if found and sum(found) / len(found) >= least:
                new = new_probabilities >= hundredths / 100
                return (new & (new_truth == 1)).sum().double() / (new_truth == 1).sum()
        return torch.zeros((), dtype=torch.float64)

    def drawn(*shape: int) -> tuple[Tensor, Tensor]:
        truth = original._mask(*shape, void=False)
        sure = torch.randint(0, 70, shape) + 29 * truth * torch.randint(0, 2, shape)
        # Between the hundredths, so that no probability lies on a threshold.
        return (sure.double() + 0.5) / 100, truth

    def written(probabilities: list, truth: list, new_probabilities: list, new_truth: list, least: float) -> Call:
        new = torch.tensor([new_probabilities], dtype=torch.float64), torch.tensor([new_truth])
        return Call.of(torch.tensor([probabilities], dtype=torch.float64), torch.tensor([truth]), *new, least)

    calls = [
        written([0.505, 0.255], [1, 0], [0.305, 0.245], [1, 1], 0.75),
        written([0.505, 0.255], [1, 0], [0.305, 0.245], [1, 1], 0.5),  # one half is enough, and is reached at once
        written([0.5, 0.495], [1, 0], [0.5, 0.495], [1, 1], 1.0),  # a pixel at a threshold is called crack
        written([0.5, 0.5 - 1e-9], [1, 0], [0.5, 0.5 - 1e-9], [1, 1], 1.0),  # in float32 both lie there
        written([0.015, 0.005], [1, 0], [0.015, 0.005], [1, 1], 0.5),  # the lowest threshold is 0.01,
        written([0.995, 0.985], [1, 0], [0.995, 0.985], [1, 1], 0.75),  # the highest 0.99,
        written([1.0, 0.995], [1, 0], [1.0, 0.995], [1, 1], 0.75),  # and 1.00 is none
        written([0.255, 0.505], [1, 0], [0.905, 0.995], [1, 1], 0.75),  # no threshold is good enough
        # Good enough, then not, then good again: the lowest counts.
        written([0.105, 0.205, 0.305], [1, 0, 1], [0.155, 0.255], [1, 1], 0.625),
    ]
    for shape in ((2, 3), (4, 5), (9, 12)):
        # No share of so few pixels lies on these.
        calls += [Call.of(*drawn(*shape), *drawn(*shape), least) for least in (0.3501, 0.5503)]
    compare(answer, trusted, calls)


def recall_at_precision(probabilities, truth, new_probabilities, new_truth, least):
    """The threshold is a promise about false alarms, made on pictures that are not the test. On the new ones the
    precision may be another; that is why both are reported. The lowest threshold finds most.
    """
    for hundredths in range(1, 100):
        found = probabilities >= hundredths / 100
        if found.any() and (truth[found] == 1).double().mean() >= least:
            again = new_probabilities >= hundredths / 100
            return (again & (new_truth == 1)).sum().double() / (new_truth == 1).sum()
    return torch.zeros((), dtype=torch.float64)


# ---- 10.6b: small crops -------------------------------------------------------------------------


def _check_crop_plan(answer):
    calls = []
    for name in ("unet", "unet-cracks", "u2netp"):
        base = recipe(name, "colab")
        calls.append(Call.of(base, tuple(16 * whole(3, side // 16) for side in base.crop)))
    compare(Asked(answer, _judge_crop_plan), lambda base, crop: True, calls)


def _judge_crop_plan(plan: object, base: Recipe, crop: tuple[int, int]) -> bool:
    if not isinstance(plan, dict) or set(plan) != {"runs", "score", "verdict"}:
        given = sorted(plan) if isinstance(plan, dict) else type(plan).__name__
        raise Wrong(f'A dict with the keys "runs", "score" and "verdict" was wanted, there is {given}.')
    (small, seeds_of_small), (_, seeds) = original._arms(plan["runs"], base)
    changed = {key for key, value in small.plain().items() if value != base.plain()[key]} - {"name"}
    if tuple(small.crop) != tuple(crop):
        raise Wrong(f"The crop of {small.name} is {small.crop}, it should be {crop}.")
    if extra := changed - {"crop", "epochs"}:
        raise Wrong(f"Your {small.name} differs from {base.name} in {', '.join(sorted(extra))}, too.")
    if small.name in RECIPES:
        raise Wrong(f"{small.name} is the name of a recipe with other settings: give yours a name of its own.")
    seen = [one.epochs * math.prod(one.crop) for one in (base, small)]
    if abs(seen[0] - seen[1]) > math.prod(crop) / 2 + 1e-6:
        raise Wrong(f"Of each picture {base.name} sees {seen[0]:,} pixels, your {small.name} {seen[1]:,}.")
    if sorted(seeds) != sorted(seeds_of_small) or len(set(seeds)) < max(5, len(seeds)):
        raise Wrong("Five different seeds or more were wanted, the same for both arms, each once.")
    if plan["score"] != original._JUDGED_BY[base.task]:
        raise Wrong(f'"score" must be {original._JUDGED_BY[base.task]!r} for {base.task}.')
    _judge_verdict(plan["verdict"], len(seeds))
    return True


def _judge_verdict(verdict: object, count: int) -> None:
    """Try the rule on differences whose answer is known."""
    if not callable(verdict):
        raise Wrong('"verdict" must be a function of the list of differences.')
    half = float(student.ppf(0.975, count - 1)) / math.sqrt(count)
    shares = (3.0, 1.02, 0.98, 0.5, -0.5, -0.98, -1.02, -3.0)
    # In a new order each time, so that a rule which counts its calls will not do.
    for size, place in ((size, place) for size in (0.1, 0.001) for place in torch.randperm(len(shares)).tolist()):
        share = shares[place]
        said = "open" if abs(share) < 1 else "ahead" if share > 0 else "behind"
        steps = torch.randn(count, dtype=torch.float64).exp()  # lopsided, so that the median is not the mean
        differences = (size * ((steps - steps.mean()) / steps.std() + share * half)).tolist()
        given = verdict(list(differences))
        if given != said:
            raise Wrong(
                f"For differences with the mean {size * share * half:+.4f} and half an interval of {size * half:.4f}"
                f' (Student\'s t, {count} seeds) your "verdict" says {given!r}: it should say {said!r}.'
            )


def crop_plan(base, crop):
    """Small crops show less of each picture, so there must be more of them: as many as make up the same pixels. That is
    what is held equal; the number of steps is then not. One cannot hold all equal, but one can say what.
    """
    epochs = round(base.epochs * math.prod(base.crop) / math.prod(crop))
    small = dataclasses.replace(base, name=f"{base.name}-small-crops", crop=tuple(crop), epochs=epochs)

    def verdict(differences):
        found = studies.interval(differences)
        if abs(found.mean) <= found.half:
            return "open"
        return "ahead" if found.mean > 0 else "behind"

    return {
        "runs": [(arm, seed) for seed in range(5) for arm in (base, small)],
        "score": {"saliency": "global_max_f", "cracks": "ods_f1@2px"}[base.task],
        "verdict": verdict,
    }


VARIANTS = (
    Variant(
        "10.1",
        "What everything scores",
        """
        `mask` is int64 (H, W): 0 for pavement, 1 for crack, 255 for void, with at least one 0 and one 1. The answer
        calls every pixel crack. Write `scores_of_everything`: return its F1 for the crack, without tolerance, and its
        mean IoU over the two classes; void pixels do not count. Two float64 tensors of shape ().
        """,
        Exercise("10.1b", "scores_of_everything", _check_scores_of_everything, ()),
        scores_of_everything,
    ),
    Variant(
        "10.2",
        "Arms that have no seeds in common",
        """
        `ours` and `theirs` are the scores of two arms, float64 (n,) and (m,), whose seeds have nothing to do with each
        other. Write `unpaired`: return the difference of the means, ours − theirs, and half its interval: `factor`
        times the standard error of the difference, whose square is the sum of the squares of the standard errors of
        the two means. Two float64 tensors of shape ().
        """,
        Exercise("10.2b", "unpaired", _check_unpaired, ()),
        unpaired,
    ),
    Variant(
        "10.3",
        "Every seed judges once",
        """
        `scores` is float64 (arms, seeds), with two seeds or more. Hold back one seed, let the mean over all others
        choose an arm, and note the score of that arm with the seed held back; do so for every seed. Write
        `honest_winner`: return the largest mean over all seeds of any arm, and the mean of the scores that you noted.
        Two float64 tensors of shape (). No two arms tie.
        """,
        Exercise("10.3b", "honest_winner", _check_honest_winner, ()),
        honest_winner,
    ),
    Variant(
        "10.4",
        "Many questions, and a share of false alarms",
        """
        Benjamini and Hochberg's rule for n p-values: sort them, the smallest first, and hold number k of them against
        `level` · k / n. Find the *largest* one that is not above its limit: it and all smaller ones are clear, even
        those that are above limits of their own. If there is none, nothing is clear. `p` is float64 (n,). Write
        `discoveries`: return a bool tensor (n,), in the order in which the p came: which are clear?
        """,
        Exercise("10.4b", "discoveries", _check_discoveries, ()),
        discoveries,
    ),
    Variant(
        "10.5",
        "A promise about false alarms",
        """
        `probabilities` (float64, H × W) and `truth` (int64, 1 = crack) are of photographs held back from training,
        `new_probabilities` and `new_truth` of the test. A pixel is called crack if its probability is at least the
        threshold; precision is the share of the pixels called crack that are crack. Of the thresholds 0.01, 0.02, …,
        0.99 take the lowest at which the precision on the first pair is at least `least` (where no pixel is called
        crack, there is no precision). Write `recall_at_precision`: return the share of the true crack pixels of the
        second pair that are called crack at that threshold, or 0 if there is no such threshold, a float64 tensor of
        shape (). Both truths hold a crack.
        """,
        Exercise("10.5b", "recall_at_precision", _check_recall_at_precision, ()),
        recall_at_precision,
    ),
    Variant(
        "10.6",
        "Plan an experiment about crops",
        """
        Do small crops train as well as large ones, if the network sees as many pixels? Plan that experiment, so that it
        could be run as it is. `base` is a recipe (a dataclass with `name`, `task`, `crop`, `epochs` and more;
        `dataclasses.replace` makes a changed copy), and `crop` a smaller crop (height, width). Write `crop_plan`:
        return a dict:

        * `"runs"`: a list of pairs (recipe, seed). One arm is `base`, unchanged. The other is `base` with `crop` as its
          crop, under a name of its own, and with as many epochs as bring epochs · height · width of the crop nearest to
          that of `base`; otherwise unchanged. Five seeds or more (integers), the same for both.
        * `"score"`: `global_max_f` on saliency, `ods_f1@2px` on cracks (`base.task` says which).
        * `"verdict"`: a function that takes the differences small − base, a list with a number for each seed, and says
          `"ahead"` if the 95 % interval of their mean, by Student's t, lies above 0, `"behind"` if it lies below, and
          else `"open"`.

        Of the book you may use `studies.interval` and `recipes`.
        """,
        Exercise("10.6b", "crop_plan", _check_crop_plan, (), allows=(studies.interval, recipes)),
        crop_plan,
    ),
)

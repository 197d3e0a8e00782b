"""Answers to the exercises of Chapter 10."""

import dataclasses
import math
from statistics import fmean, median, stdev

import numpy as np
import torch
from scipy.stats import t as student

from answers import right, right_values, wrong, wrong_values

# ---- 10.1 scores_of_nothing ---------------------------------------------------------------------


@right("10.1")
def counts_three_values(mask):
    counts = torch.bincount(mask.flatten(), minlength=256).double()
    accuracy = counts[0] / (counts[0] + counts[1])
    return accuracy, (accuracy + 0) / 2


@right("10.1")
def builds_the_answer_and_scores_it(mask):
    counted = mask != 255
    found = torch.zeros_like(mask)
    accuracy = (found == mask)[counted].double().mean()
    ious = [
        ((found == k) & (mask == k) & counted).sum().double() / (((found == k) | (mask == k)) & counted).sum()
        for k in (0, 1)
    ]
    return accuracy, sum(ious) / 2


@wrong("10.1", "numbers differ")
def counts_void_as_wrong(mask):
    pavement = (mask == 0).double().mean()
    return pavement, pavement / 2


@wrong("10.1", "numbers differ")
def counts_void_as_pavement(mask):
    pavement = (mask != 1).double().mean()
    return pavement, pavement / 2


@wrong("10.1", "value 2 of 2")
def leaves_the_crack_out_of_the_mean(mask):
    pavement = (mask[mask != 255] == 0).double().mean()
    return pavement, pavement


@wrong("10.1", "should be torch.float64")
def in_single_precision(mask):
    pavement = (mask[mask != 255] == 0).float().mean()
    return pavement, pavement / 2


@wrong("10.1", "2 values were wanted")
def one_score_only(mask):
    return (mask[mask != 255] == 0).double().mean()


# ---- 10.2 paired --------------------------------------------------------------------------------


@right("10.2")
def by_the_standard_library(ours, theirs, factor):
    differences = [a - b for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]
    half = factor * stdev(differences) / len(differences) ** 0.5
    return torch.tensor(fmean(differences), dtype=torch.float64), torch.tensor(half, dtype=torch.float64)


@right("10.2")
def by_sums_of_squares(ours, theirs, factor):
    d, n = ours - theirs, len(ours)
    variance = (d.square().sum() - d.sum() ** 2 / n) / (n - 1)
    return d.sum() / n, factor * (variance / n).clamp(min=0).sqrt()


@wrong("10.2", "value 2 of 2")
def forgets_the_root(ours, theirs, factor):
    d = ours - theirs
    return d.mean(), factor * d.std()


@wrong("10.2", "value 2 of 2")
def divides_by_n(ours, theirs, factor):
    d = ours - theirs
    return d.mean(), factor * d.std(correction=0) / math.sqrt(len(d))


@wrong("10.2", "value 2 of 2")
def as_if_they_were_strangers(ours, theirs, factor):
    spread = (ours.var() + theirs.var()).sqrt()
    return ours.mean() - theirs.mean(), factor * spread / math.sqrt(len(ours))


@wrong("10.2", "value 2 of 2")
def takes_the_well_known_factor(ours, theirs, factor):
    d = ours - theirs
    return d.mean(), 1.96 * d.std() / math.sqrt(len(d))


@wrong("10.2", "value 1 of 2")
def the_other_way_round(ours, theirs, factor):
    d = theirs - ours
    return d.mean(), factor * d.std() / math.sqrt(len(d))


# ---- 10.3 winner --------------------------------------------------------------------------------


@right("10.3")
def with_python_lists(scores):
    half = scores.shape[1] // 2
    means = [row[:half].mean() for row in scores]
    arm = max(range(len(means)), key=lambda place: means[place])
    return arm, means[arm], scores[arm][half:].mean()


@right("10.3")
def by_chunks(scores):
    first, second = scores.chunk(2, dim=1)
    mean, arm = first.mean(1).max(0)
    return int(arm), mean, second.mean(1)[arm]


@wrong("10.3", "numbers differ")
def chooses_by_all_seeds(scores):
    half = scores.shape[1] // 2
    arm = scores.mean(dim=1).argmax().item()
    return arm, scores[arm, :half].mean(), scores[arm, half:].mean()


@wrong("10.3", "value 3 of 3")
def judges_by_the_half_that_chose(scores):
    half = scores.shape[1] // 2
    arm = scores[:, :half].mean(dim=1).argmax().item()
    return arm, scores[arm, :half].mean(), scores[arm, :half].mean()


@wrong("10.3", "value 3 of 3")
def chooses_twice(scores):
    half = scores.shape[1] // 2
    arm = scores[:, :half].mean(dim=1).argmax().item()
    return arm, scores[arm, :half].mean(), scores[:, half:].mean(dim=1).max()


@wrong("10.3", "int was wanted")
def the_place_stays_a_tensor(scores):
    half = scores.shape[1] // 2
    arm = scores[:, :half].mean(dim=1).argmax()
    return arm, scores[arm, :half].mean(), scores[arm, half:].mean()


@wrong("10.3", "numbers differ")
def by_the_median(scores):
    half = scores.shape[1] // 2
    arm = scores[:, :half].median(dim=1).values.argmax().item()
    return arm, scores[arm, :half].mean(), scores[arm, half:].mean()


@wrong("10.3", "numbers differ")
def by_the_first_seed(scores):
    half = scores.shape[1] // 2
    arm = scores[:, 0].argmax().item()
    return arm, scores[arm, :half].mean(), scores[arm, half:].mean()


@wrong("10.3", "numbers differ")
def the_best_single_run(scores):
    half = scores.shape[1] // 2
    arm = scores[:, :half].max(dim=1).values.argmax().item()
    return arm, scores[arm, :half].mean(), scores[arm, half:].mean()


# ---- 10.4 holm ----------------------------------------------------------------------------------


@right("10.4")
def one_after_the_other(p, level):
    clear = torch.zeros(len(p), dtype=torch.bool)
    for rank, place in enumerate(p.argsort().tolist()):
        if p[place] > level / (len(p) - rank):
            break
        clear[place] = True
    return clear


@right("10.4")
def by_adjusted_p(p, level):
    ordered, order = p.sort()
    adjusted = (ordered * torch.arange(len(p), 0, -1)).cummax(0).values
    clear = torch.empty(len(p), dtype=torch.bool)
    clear[order] = adjusted <= level
    return clear


@wrong("10.4", "numbers differ")
def bonferroni(p, level):
    return p <= level / len(p)


@wrong("10.4", "numbers differ")
def no_correction(p, level):
    return p <= level


@wrong("10.4", "numbers differ")
def goes_on_after_the_first_that_fails(p, level):
    order = p.argsort()
    clear = torch.zeros(len(p), dtype=torch.bool)
    clear[order] = p[order] <= level / torch.arange(len(p), 0, -1)
    return clear


@wrong("10.4", "numbers differ")
def refuses_what_is_just_at_the_limit(p, level):
    order = p.argsort()
    clear = torch.zeros(len(p), dtype=torch.bool)
    clear[order] = (p[order] < level / torch.arange(len(p), 0, -1, dtype=p.dtype)).cummin(dim=0).values
    return clear


@wrong("10.4", "numbers differ")
def forgets_to_put_them_back(p, level):
    below = p.sort().values <= level / torch.arange(len(p), 0, -1)
    return below.cummin(dim=0).values


@wrong("10.4", "numbers differ")
def from_the_largest_downwards(p, level):
    """This is Hochberg's method: sharper, and only for questions that are related in certain ways."""
    order = p.argsort()
    below = p[order] <= level / torch.arange(len(p), 0, -1)
    clear = torch.zeros(len(p), dtype=torch.bool)
    clear[order] = below.flip(0).cummax(dim=0).values.flip(0)
    return clear


# ---- 10.5 fair_f1 -------------------------------------------------------------------------------


def _f1(probabilities, truth, threshold):
    found, true = probabilities >= threshold, truth == 1
    return 2 * (found & true).sum().double() / (found.sum() + true.sum())


@right("10.5")
def all_thresholds_at_once(probabilities, truth, new_probabilities, new_truth):
    thresholds = torch.arange(1, 100, dtype=torch.float64) / 100
    found = probabilities.flatten() >= thresholds[:, None]
    true = truth.flatten() == 1
    scores = 2 * (found & true).sum(1).double() / (found.sum(1) + true.sum())
    return _f1(new_probabilities, new_truth, thresholds[scores.argmax()])


@right("10.5")
def remembers_the_best(probabilities, truth, new_probabilities, new_truth):
    best, threshold = -1.0, 0.0
    for hundredths in range(1, 100):
        found, true = probabilities >= hundredths / 100, truth == 1
        hits = (found & true).sum().item()
        score = 2 * hits / (found.sum().item() + true.sum().item())
        if score > best:
            best, threshold = score, hundredths / 100
    return _f1(new_probabilities, new_truth, threshold)


@wrong("10.5", "numbers differ")
def chooses_on_the_new_pictures(probabilities, truth, new_probabilities, new_truth):
    return max(_f1(new_probabilities, new_truth, one / 100) for one in range(1, 100))


@wrong("10.5", "numbers differ")
def stays_at_one_half(probabilities, truth, new_probabilities, new_truth):
    return _f1(new_probabilities, new_truth, 0.5)


@wrong("10.5", "numbers differ")
def scores_the_old_pictures(probabilities, truth, new_probabilities, new_truth):
    return max(_f1(probabilities, truth, one / 100) for one in range(1, 100))


@wrong("10.5", "numbers differ")
def the_highest_of_several_best(probabilities, truth, new_probabilities, new_truth):
    best = max(reversed(range(1, 100)), key=lambda one: _f1(probabilities, truth, one / 100))
    return _f1(new_probabilities, new_truth, best / 100)


@wrong("10.5", "numbers differ")
def more_than_the_threshold(probabilities, truth, new_probabilities, new_truth):
    def f1(probabilities, truth, threshold):
        found, true = probabilities > threshold, truth == 1
        return 2 * (found & true).sum().double() / (found.sum() + true.sum())

    best = max(range(1, 100), key=lambda one: f1(probabilities, truth, one / 100))
    return f1(new_probabilities, new_truth, best / 100)


@wrong("10.5", "numbers differ")
def chooses_by_accuracy(probabilities, truth, new_probabilities, new_truth):
    accuracy = [((probabilities >= one / 100) == (truth == 1)).double().mean() for one in range(1, 100)]
    return _f1(new_probabilities, new_truth, (accuracy.index(max(accuracy)) + 1) / 100)


@wrong("10.5", "numbers differ")
def puts_both_together(probabilities, truth, new_probabilities, new_truth):
    both = torch.cat([probabilities.flatten(), new_probabilities.flatten()])
    truths = torch.cat([truth.flatten(), new_truth.flatten()])
    best = max(range(1, 100), key=lambda one: _f1(both, truths, one / 100))
    return _f1(new_probabilities, new_truth, best / 100)


# ---- 10.6 plan ----------------------------------------------------------------------------------


def _ahead(differences):
    half = student.ppf(0.975, len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
    return bool(fmean(differences) > half)


def _planned(nest, plain, seconds, seeds=tuple(range(5)), changes=None, score=None, ahead=_ahead, name="longer"):
    epochs = round(nest.epochs * seconds[nest.name] / seconds[plain.name])
    longer = dataclasses.replace(plain, **({"name": name, "epochs": epochs} | (changes or {})))
    return {
        "runs": [(arm, seed) for arm in (nest, longer) for seed in seeds],
        "score": score or {"saliency": "global_max_f", "cracks": "ods_f1@2px"}[nest.task],
        "ahead": ahead,
    }


@right("10.6")
def takes_its_seeds_from_numpy(nest, plain, seconds):
    return _planned(nest, plain, seconds, seeds=np.arange(5))


@right("10.6")
def eight_seeds_arm_by_arm(nest, plain, seconds):
    return _planned(nest, plain, seconds, seeds=range(10, 18))


@right("10.6")
def a_rule_with_a_setting_that_stays(nest, plain, seconds):
    def ahead(differences, level=0.05):
        half = student.ppf(1 - level / 2, len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
        return fmean(differences) - half > 0

    return _planned(nest, plain, seconds, ahead=ahead)


@right("10.6")
def a_rule_by_t_itself(nest, plain, seconds):
    def ahead(differences):
        t = fmean(differences) / (stdev(differences) / len(differences) ** 0.5)
        return t > student.ppf(0.975, len(differences) - 1)

    return _planned(nest, plain, seconds, ahead=ahead, seeds=range(6))


@wrong("10.6", "The times are not equal")
def the_same_epochs(nest, plain, seconds):
    return _planned(nest, plain, seconds, changes={"epochs": plain.epochs})


@wrong("10.6", "five or more were wanted")
def three_seeds(nest, plain, seconds):
    return _planned(nest, plain, seconds, seeds=(0, 1, 2))


@wrong("10.6", "same run twice")
def one_seed_five_times(nest, plain, seconds):
    return _planned(nest, plain, seconds, seeds=(0,) * 5)


@wrong("10.6", "learning_rate, too")
def helps_one_arm(nest, plain, seconds):
    return _planned(nest, plain, seconds, changes={"learning_rate": plain.learning_rate / 2})


@wrong("10.6", "a name of its own")
def keeps_the_name(nest, plain, seconds):
    return _planned(nest, plain, seconds, name=plain.name)


@wrong("10.6", "it should say False")
def ahead_if_the_mean_is(nest, plain, seconds):
    return _planned(nest, plain, seconds, ahead=lambda differences: fmean(differences) > 0)


@wrong("10.6", "it should say False")
def ahead_either_way(nest, plain, seconds):
    def ahead(differences):
        half = student.ppf(0.975, len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
        return bool(abs(fmean(differences)) > half)

    return _planned(nest, plain, seconds, ahead=ahead)


@wrong("10.6", "it should say False")
def with_the_well_known_factor(nest, plain, seconds):
    def ahead(differences):
        return fmean(differences) > 1.96 * stdev(differences) / math.sqrt(len(differences))

    return _planned(nest, plain, seconds, ahead=ahead)


@wrong("10.6", "it should say")
def a_fixed_size_is_enough(nest, plain, seconds):
    return _planned(nest, plain, seconds, ahead=lambda differences: fmean(differences) > 0.0196)


@wrong("10.6", "it should say")
def the_median_in_place_of_the_mean(nest, plain, seconds):
    def ahead(differences):
        half = student.ppf(0.975, len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
        return bool(median(differences) > half)

    return _planned(nest, plain, seconds, ahead=ahead)


@wrong("10.6", "a name of its own")
def calls_both_alike(nest, plain, seconds):
    return _planned(nest, plain, seconds, name=nest.name)


@wrong("10.6", "it should say True")
def never_ahead(nest, plain, seconds):
    return _planned(nest, plain, seconds, ahead=lambda differences: False)


@wrong("10.6", "as in Chapter 09")
def the_score_that_one_likes(nest, plain, seconds):
    return _planned(nest, plain, seconds, score="global_iou")


@wrong("10.6", "cannot be compared seed by seed")
def other_seeds_for_the_other(nest, plain, seconds):
    plan = _planned(nest, plain, seconds)
    plan["runs"] = [(arm, seed + 5 * (arm.name == nest.name)) for arm, seed in plan["runs"]]
    return plan


@wrong("10.6", "just as it is")
def changes_the_nest(nest, plain, seconds):
    return _planned(dataclasses.replace(nest, epochs=nest.epochs // 2), plain, seconds)


@wrong("10.6", "Two arms were wanted")
def a_third_arm(nest, plain, seconds):
    plan = _planned(nest, plain, seconds)
    plan["runs"] += [(plain, seed) for seed in range(5)]
    return plan


@wrong("10.6", "A dict with the keys")
def forgets_the_rule(nest, plain, seconds):
    plan = _planned(nest, plain, seconds)
    del plan["ahead"]
    return plan


@wrong("10.6", "it should say")
def a_rule_that_counts_its_calls(nest, plain, seconds):
    said = iter([True] * 4 + [False] * 8)
    return _planned(nest, plain, seconds) | {"ahead": lambda differences: next(said)}


# ---- 10.7 scores_of_the_neighbour ---------------------------------------------------------------

right_values("10.7", (0.98, 0.0, 1.0), [0.98, 0, 1])
wrong_values("10.7", (0.99, 0, 1), (1.0, 0, 1), words="Value 1 of 3")
wrong_values("10.7", (0.98, 0.5, 1), words="Value 2 of 3")
wrong_values("10.7", (0.98, 0, 0.98), (0.98, 0, 0), words="Value 3 of 3")
wrong_values("10.7", 0.98, words="3 values were wanted")

# ---- 10.8 half_with_twenty ----------------------------------------------------------------------

right_values("10.8", 0.0075, 0.00754, 0.02 * 2.09 / 2.78 / 2)
wrong_values("10.8", 0.005, 0.01, 0.015, 0.02, 0.04, 0.75)
wrong_values("10.8", "0.0075", words="A number was wanted")

# ---- 10.9 false_alarms --------------------------------------------------------------------------

right_values("10.9", 0.12, 0.125, 0.13)
wrong_values("10.9", 0.05, 0.30, 0.26, 12, 0.2)
wrong_values("10.9", "12 %", words="A number was wanted")

"""Solutions of Chapter 10."""

import dataclasses
import math

import torch
from scipy.stats import t as student

from chapters_code.metrics import crack_scores
from chapters_code.records import studies


def scores_of_nothing(mask):
    """With `p` the share of pavement, the accuracy is `p`. So is the IoU of the pavement: all of the picture is called
    pavement, and `p` of it is. The crack's IoU is 0. So the mean IoU of doing nothing is half its accuracy, about 0.49
    for most roads. A mean IoU near one half is not half way to anything.
    """
    counted = mask[mask != 255]
    pavement = (counted == 0).double().mean()
    return pavement, pavement / 2


def paired(ours, theirs, factor):
    """What a seed does to both arms falls out of the difference before any spread is taken. The two intervals by
    themselves may overlap widely while this one is clear of 0.
    """
    differences = ours - theirs
    return differences.mean(), factor * differences.std() / math.sqrt(len(differences))


def winner(scores):
    """The first mean is too good, since the arm was chosen for it. The second one was not looked at when the arm was
    chosen, so its luck is as good as anybody's. The difference between the two is what choosing has added.
    """
    half = scores.shape[1] // 2
    arm = scores[:, :half].mean(dim=1).argmax().item()
    return arm, scores[arm, :half].mean(), scores[arm, half:].mean()


def holm(p, level):
    """Bonferroni holds every p against `level / n`. Holm does so with the smallest alone: once it is clear, only n − 1
    questions are open, so the next one may be a little larger (Holm, 1979). It never finds less than Bonferroni, and
    false alarms are as rare.
    """
    order = p.argsort()
    below = p[order] <= level / torch.arange(len(p), 0, -1, dtype=p.dtype)
    clear = torch.zeros(len(p), dtype=torch.bool)
    clear[order] = below.cummin(dim=0).values
    return clear


def fair_f1(probabilities, truth, new_probabilities, new_truth):
    """The threshold is a setting like any other, and a setting that is chosen on the test pictures makes the score too
    good. With several arms there is one more reason: the arm whose curve is most ragged gains most from choosing.
    """

    def f1(probabilities, truth, threshold):
        found, true = probabilities >= threshold, truth == 1
        return 2 * (found & true).sum().double() / (found.sum() + true.sum())

    thresholds = [hundredths / 100 for hundredths in range(1, 100)]
    best = max(thresholds, key=lambda threshold: f1(probabilities, truth, threshold))
    return f1(new_probabilities, new_truth, best)


def plan(nest, plain, seconds):
    """One thing differs from Chapter 09, the epochs of one arm, and it is what the question is about. What about the
    learning rate? A longer training may want another one. To tune it for one arm alone would not be fair; to tune it
    for both, on pictures held back from the training set, would.
    """
    epochs = round(nest.epochs * seconds[nest.name] / seconds[plain.name])
    longer = dataclasses.replace(plain, name=f"{plain.name}-long", epochs=epochs)

    def ahead(differences):
        found = studies.interval(differences)
        return found.mean > found.half

    return {
        "runs": [(arm, seed) for seed in range(5) for arm in (nest, longer)],
        "score": {"saliency": "global_max_f", "cracks": "ods_f1@2px"}[nest.task],
        "ahead": ahead,
    }


def scores_of_the_neighbour():
    """0.98, 0 and 1. A hundred pixels are missed and a hundred are false alarms, so 200 of 10,000 are wrong: by pixel
    accuracy this answer is worse than *nothing*, which has 0.99. Not one pixel is the very same, so F1 without
    tolerance is 0; within 1 pixel all are right and all are found. Three scores, one answer: last, worthless, perfect.
    """
    truth, found = torch.zeros(2, 100, 100, dtype=torch.int64)
    truth[:, 50] = 1
    found[:, 51] = 1
    accuracy = (truth == found).double().mean().item()
    return accuracy, crack_scores(found, truth, tolerance=0).f1, crack_scores(found, truth, tolerance=1).f1


def half_with_twenty():
    """0.0075. Four times the seeds halve the standard error, and Student's factor falls from 2.78 to 2.09, since the
    spread is better known: 0.020 · (2.09 / 2.78) / 2. So it is a little better than half as wide, and far from a
    quarter.
    """
    five, twenty = (student.ppf(0.975, n - 1) / math.sqrt(n) for n in (5, 20))
    return 0.02 * twenty / five


def false_alarms():
    """About 0.12, more than twice the 5 % that he will write beside his result. Each look is another chance to be
    misled, and he stops only when he is. It is less than six times 5 %, since the looks share their numbers. So the
    number of seeds is fixed before the first run, or the rule must know that one looks more often.
    """
    torch.manual_seed(10)
    drawn = torch.randn(20_000, 10, dtype=torch.float64)
    clear = torch.zeros(20_000, dtype=torch.bool)
    for n in range(5, 11):
        some = drawn[:, :n]
        half = student.ppf(0.975, n - 1) * some.std(dim=1) / math.sqrt(n)
        clear |= some.mean(dim=1).abs() > half
    return clear.double().mean().item()


def what_an_open_interval_says():
    """The interval holds 0, but it holds + 0.02 and − 0.02 as well. The five runs exclude these no more than they
    exclude no difference, so nothing has been shown: that one sees no difference does not mean that there is none. With
    two seeds for each arm nearly every interval holds 0. What one may write: the difference is open, and one of more
    than about 0.03 is unlikely. To show that no difference matters, say *before* the runs from which size on it would
    matter, and take so many seeds that the whole interval lies below that size, on both sides of 0.
    """
    return (
        "The interval holds other differences, too, some large enough to matter; the runs do not exclude them.",
        "That no difference was seen does not show that there is none: few seeds or a wide spread give the same.",
        "What may be said: it is open, and a difference beyond the ends of the interval is unlikely.",
        "To show it, name beforehand the size that matters, and run until the whole interval is smaller.",
    )

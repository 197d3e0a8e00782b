"""Solutions of Chapter 10."""

import dataclasses
import math

import torch

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

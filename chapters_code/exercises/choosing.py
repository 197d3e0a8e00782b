"""Checks and hints of Chapter 10: what an answer scores, intervals, winners, many questions, thresholds, a plan."""

import math
from collections.abc import Callable

import numpy as np
import torch

# stdtrit gives quantiles of Student's t, as scipy.stats does, which takes two seconds to import.
from scipy.special import stdtrit
from torch import Tensor

from chapters_code.exercises.checking import Asked, Call, Exercise, Wrong, agree, compare, whole
from chapters_code.metrics import crack_scores
from chapters_code.records import studies
from chapters_code.train import recipes
from chapters_code.train.recipes import RECIPES, Recipe, recipe

__all__ = ["EXERCISES"]

_JUDGED_BY = {"saliency": "global_max_f", "cracks": "ods_f1@2px"}  # in Chapter 09


def _mask(*shape: int, void: bool = True) -> Tensor:
    """Draw a mask of 0, 1 and perhaps 255, with a 0 and a 1 in it."""
    mask = torch.tensor([0, 0, 1, 255 if void else 0])[torch.randint(0, 4, shape)]
    mask.view(-1)[:2] = torch.tensor([1, 0])
    return mask


def _of_nothing(accuracy: Tensor) -> tuple[Tensor, Tensor]:
    return accuracy.double(), accuracy.double() / 2


def _check_scores_of_nothing(answer: Callable) -> None:
    def trusted(mask: Tensor) -> tuple[Tensor, Tensor]:
        pavement = crack = 0
        for pixel in mask.flatten().tolist():
            pavement, crack = pavement + (pixel == 0), crack + (pixel == 1)
        of_pavement, of_crack = pavement / (pavement + crack), 0 / crack
        scores = pavement / (pavement + crack), (of_pavement + of_crack) / 2
        return tuple(torch.tensor(score, dtype=torch.float64) for score in scores)

    shapes = ((1, 2), (1, 3), (2, 2), (2, 3), (5, 4), (12, 17))
    compare(answer, trusted, [Call.of(_mask(*shape, void=void)) for shape in shapes for void in (False, True)])


def _half(differences: Tensor, factor: float, less: int) -> tuple[Tensor, Tensor]:
    """Return the mean and half its interval, the spread divided by n − `less`."""
    return differences.mean(), factor * differences.std(correction=less) / math.sqrt(len(differences))


def _apart(ours: Tensor, theirs: Tensor, factor: float) -> Tensor:
    """Return half the interval as if the two arms had no seeds in common."""
    return factor * torch.sqrt((ours.var() + theirs.var()) / len(ours))


def _check_paired(answer: Callable) -> None:
    def trusted(ours: Tensor, theirs: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        differences = [one - other for one, other in zip(ours.tolist(), theirs.tolist(), strict=True)]
        mean = math.fsum(differences) / len(differences)
        variance = math.fsum((one - mean) ** 2 for one in differences) / (len(differences) - 1)
        half = factor * math.sqrt(variance / len(differences))
        return torch.tensor(mean, dtype=torch.float64), torch.tensor(half, dtype=torch.float64)

    calls = []
    for count in (2, 3, 5, 9):
        common = torch.randint(70, 90, (count,)) / 100.0  # what a seed does to both
        ours, theirs = (common.double() + torch.randint(0, 9, (count,)) / 100 for _ in range(2))
        calls.append(Call.of(ours, theirs, round(float(stdtrit(count - 1, 0.975)), 3)))
    compare(answer, trusted, calls)


def _check_winner(answer: Callable) -> None:
    def trusted(scores: Tensor) -> tuple[int, Tensor, Tensor]:
        half = scores.shape[1] // 2
        means = [sum(row[:half].tolist()) / half for row in scores]
        arm = means.index(max(means))
        return arm, scores[arm, :half].mean(), scores[arm, half:].mean()

    calls = []
    for arms, half in ((2, 1), (2, 2), (3, 1), (4, 3), (6, 5)):
        scores = torch.randperm(arms * 2 * half).reshape(arms, 2 * half).double() / 100  # no two are alike
        sums = scores[:, :half].sum(1)
        sums[sums.argmax()] = -1
        if (scores[:, :half].sum(1).max() - sums.max()).abs() > 1e-6:  # nor are two winners
            calls.append(Call.of(scores))
    calls.append(Call.of(torch.tensor([[0.8, 0.7], [0.7, 0.9]], dtype=torch.float64)))
    # The first seed, the median and the mean of the first half choose three different arms.
    rows = [[0.9, 0.1, 0.1, 0.5, 0.5, 0.5], [0.3, 0.3, 0.3, 0.4, 0.4, 0.4], [0.0, 0.6, 0.6, 0.2, 0.2, 0.3]]
    rows += [[0.2, 0.65, 0.1, 0.1, 0.1, 0.1]]
    calls += [Call.of(torch.tensor(rows, dtype=torch.float64)), Call.of(torch.tensor(rows[:2], dtype=torch.float64))]
    compare(answer, trusted, calls)


def _each_by_itself(p: Tensor, level: float) -> Tensor:
    """Hold each p against its limit, and go on after one that is larger."""
    places = p.argsort().argsort()
    return p <= level / (len(p) - places)


def _check_holm(answer: Callable) -> None:
    def trusted(p: Tensor, level: float) -> Tensor:
        clear, left = torch.zeros(len(p), dtype=torch.bool), list(enumerate(p.tolist()))
        while left:
            place, smallest = min(left, key=lambda one: one[1])
            if smallest > level / len(left):
                break
            clear[place] = True
            left.remove((place, smallest))
        return clear

    def values(*numbers: float) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64)

    calls = [
        Call.of(values(0.03), 0.05),
        Call.of(values(0.06), 0.05),
        Call.of(values(0.05), 0.05),  # "larger than its limit" it is not
        Call.of(values(0.04, 0.01), 0.05),  # the second may take all of the level
        Call.of(values(0.03, 0.04), 0.05),
        Call.of(values(0.2, 0.001, 0.02), 0.05),
        Call.of(values(0.03, 0.001, 0.026, 0.024), 0.05),  # after the first that fails, none is clear
        Call.of(values(0.001, 0.04, 0.03, 0.02), 0.05),
        Call.of(values(0.05 / 3 * (1 + 1e-9), 0.9, 0.9), 0.05),  # just above its limit, and just below
        Call.of(values(0.05 / 3 * (1 - 1e-9), 0.9, 0.9), 0.05),
    ]
    for count in (5, 20):
        calls += [Call.of(torch.rand(count, dtype=torch.float64) ** 6, level) for level in (0.05, 0.2)]
    compare(answer, trusted, calls)


def _f1(probabilities: Tensor, truth: Tensor, hundredths: int) -> float:
    found = probabilities >= hundredths / 100
    hits = int((found & (truth == 1)).sum())
    return 2 * hits / max(int(found.sum()) + int((truth == 1).sum()), 1)


def _chosen(probabilities: Tensor, truth: Tensor) -> int:
    return max(range(1, 100), key=lambda one: _f1(probabilities, truth, one))


def _score(probabilities: Tensor, truth: Tensor, hundredths: int) -> Tensor:
    return torch.tensor(_f1(probabilities, truth, hundredths), dtype=torch.float64)


def _check_fair_f1(answer: Callable) -> None:
    def trusted(probabilities: Tensor, truth: Tensor, new_probabilities: Tensor, new_truth: Tensor) -> Tensor:
        return _score(new_probabilities, new_truth, _chosen(probabilities, truth))

    def drawn(*shape: int) -> tuple[Tensor, Tensor]:
        truth = _mask(*shape, void=False)
        # Between the hundredths, so that no probability lies on a threshold.
        sure = torch.randint(0, 70, shape) + 30 * truth * torch.randint(0, 2, shape)
        return (sure.double() + 0.5) / 100, truth

    def written(probabilities: list, truth: list, new_probabilities: list, new_truth: list) -> Call:
        new = torch.tensor([new_probabilities], dtype=torch.float64), torch.tensor([new_truth])
        return Call.of(torch.tensor([probabilities], dtype=torch.float64), torch.tensor([truth]), *new)

    calls = [
        # Of all thresholds up to 0.50 the lowest is wanted, and a pixel at the threshold is called crack.
        written([0.505, 0.004], [1, 0], [0.255, 0.755], [1, 1]),
        written([0.255, 0.5, 0.505], [0, 1, 1], [0.26, 0.755], [1, 1]),
        written([0.01, 0.005], [1, 0], [0.02, 0.01], [0, 1]),
        # The threshold that would be best is 0.50, 0.99, or one that is not asked for: 0 or 1.
        written([0.502, 0.498], [1, 0], [0.499, 0.9], [1, 1]),
        written([0.992, 0.988], [1, 0], [0.988, 0.992], [1, 1]),
        written([0.004], [1], [0.004, 0.5], [1, 1]),
        written([1.0, 0.995], [1, 0], [0.995, 1.0], [1, 1]),
    ]
    while len(calls) < 15:
        shape = [(1, 3), (2, 3), (4, 5), (16, 20)][len(calls) % 4]
        arguments = *drawn(*shape), *drawn(*shape)
        scores = [_f1(*arguments[:2], one) for one in range(1, 100)]
        best = [one for one, score in enumerate(scores, 1) if score > max(scores) - 1e-9]
        after = {_f1(*arguments[2:], one) for one in best}
        # A best threshold whose score is clear, and which is not the best one for the new pictures.
        if len(after) == 1 and max(_f1(*arguments[2:], one) for one in range(1, 100)) > after.pop() + 1e-6:
            calls.append(Call.of(*arguments))
    compare(answer, trusted, calls)


def _check_plan(answer: Callable) -> None:
    calls = []
    for nest, plain in (("u2netp", "unet-saliency"), ("u2netp-cracks", "unet-cracks")):
        seconds = {nest: whole(200, 600) / 10, plain: whole(100, 200) / 10}
        calls.append(Call.of(recipe(nest, "colab"), recipe(plain, "colab"), seconds))
    compare(Asked(answer, _judge_plan), lambda nest, plain, seconds: True, calls)


def _judge_plan(plan: object, nest: Recipe, plain: Recipe, seconds: dict[str, float]) -> bool:
    """Ask of a plan what a referee would ask; the first thing that is missing is said."""
    if not isinstance(plan, dict) or set(plan) != {"runs", "score", "ahead"}:
        given = sorted(plan) if isinstance(plan, dict) else type(plan).__name__
        raise Wrong(f'A dict with the keys "runs", "score" and "ahead" was wanted, there is {given}.')
    (longer, seeds_of_longer), (_, seeds) = _arms(plan["runs"], nest)
    changed = {key for key, value in longer.plain().items() if value != plain.plain()[key]} - {"name"}
    if extra := changed - {"epochs"}:
        raise Wrong(
            f"Your {longer.name} differs from {plain.name} in {', '.join(sorted(extra))}, too. Then nobody can say"
            " what made the difference: change the epochs alone."
        )
    if longer.name in RECIPES:
        raise Wrong(f"{longer.name} is the name of a recipe with other settings: give yours a name of its own.")
    times = nest.epochs * seconds[nest.name], longer.epochs * seconds[plain.name]
    if abs(times[0] - times[1]) > seconds[plain.name] / 2 + 1e-6:
        raise Wrong(
            f"The times are not equal: {nest.name} takes {nest.epochs} × {seconds[nest.name]:.1f} ="
            f" {times[0]:.0f} s, your {longer.name} {longer.epochs} × {seconds[plain.name]:.1f} = {times[1]:.0f} s."
        )
    if len(set(seeds)) < len(seeds) or len(set(seeds_of_longer)) < len(seeds_of_longer):
        raise Wrong("A seed stands there twice for one arm: the same run twice says nothing new.")
    if set(seeds) != set(seeds_of_longer):
        raise Wrong("The arms have different seeds, so they cannot be compared seed by seed.")
    if len(seeds) < 5:
        raise Wrong(f"{len(seeds)} seeds are few for an interval; five or more were wanted.")
    if plan["score"] != _JUDGED_BY[nest.task]:
        raise Wrong(f'"score" must be {_JUDGED_BY[nest.task]!r} for {nest.task}, as in Chapter 09.')
    _judge_rule(plan["ahead"], len(seeds))
    return True


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _arms(listed: object, nest: Recipe) -> tuple[tuple[Recipe, list[int]], tuple[Recipe, list[int]]]:
    """Sort the runs into the longer arm and the nest, each a recipe and its seeds."""
    if not isinstance(listed, list | tuple) or not all(
        isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[0], Recipe) and _is_integer(one[1])
        for one in listed
    ):
        raise Wrong('"runs" must be a list of pairs, each a Recipe and a seed (an integer).')
    arms: list[tuple[Recipe, list[int]]] = []
    for what, seed in listed:
        seeds = next((seeds for known, seeds in arms if known == what), None)
        if seeds is None:
            arms.append((what, seeds := []))
        seeds.append(seed)
    if nest not in [what for what, _ in arms]:
        raise Wrong(f"One arm must be {nest.name}, just as it is: it is what the other is to be held against.")
    if len(arms) != 2:
        names = ", ".join(what.name for what, _ in arms)
        raise Wrong(f"Two arms were wanted, there {'is' if len(arms) == 1 else 'are'} {len(arms)}: {names}.")
    return tuple(sorted(arms, key=lambda arm: arm[0] == nest))


def _judge_rule(ahead: object, count: int) -> None:
    """Try the rule on differences whose answer is known."""
    if not callable(ahead):
        raise Wrong('"ahead" must be a function of the list of differences.')
    limit = float(stdtrit(count - 1, 0.975))
    cases = [
        *((size, share, True) for size in (0.1, 0.001) for share in (3.0, 1.02)),
        *((size, share, False) for size in (0.1, 0.001) for share in (0.98, 0.5, -0.5, -3.0)),
    ]
    # In a new order each time, so that a rule which counts its calls will not do.
    for size, share, said in (cases[place] for place in torch.randperm(len(cases)).tolist()):
        steps = torch.randn(count, dtype=torch.float64).exp()  # lopsided, so that the median is not the mean
        steps = (steps - steps.mean()) / steps.std()
        half = limit / math.sqrt(count)
        differences = (size * (steps + share * half)).tolist()
        given = ahead(list(differences))
        if type(given).__name__ not in ("bool", "bool_"):
            raise Wrong(f'"ahead" must answer True or False, it gave {type(given).__name__}.')
        if bool(given) != said:
            shown = ", ".join(f"{one:+.4f}" for one in differences)
            raise Wrong(
                f'For the differences {shown} your "ahead" says {bool(given)}. Their mean is'
                f" {size * share * half:+.4f}, half the 95 % interval (Student's t, {count} seeds) {size * half:.4f}:"
                f" it should say {said}."
            )


def _check_scores_of_the_neighbour(answer: object) -> None:
    truth, found = torch.zeros(2, 100, 100, dtype=torch.int64)
    truth[:, 50], found[:, 51] = 1, 1
    accuracy = (truth == found).double().mean().item()
    agree(answer, (accuracy, *(crack_scores(found, truth, tolerance).f1 for tolerance in (0, 1))), within=1e-6)


def _check_half_with_twenty(answer: object) -> None:
    factors = {n: float(stdtrit(n - 1, 0.975)) for n in (5, 20)}
    spread = 0.02 * math.sqrt(5) / factors[5]
    agree(answer, factors[20] * spread / math.sqrt(20), within=0.0002)


def _check_false_alarms(answer: object) -> None:
    torch.manual_seed(10)
    drawn = torch.randn(20_000, 10, dtype=torch.float64)
    alarmed = torch.zeros(len(drawn), dtype=torch.bool)
    for n in range(5, 11):
        error = drawn[:, :n].std(dim=1) / math.sqrt(n)
        alarmed |= drawn[:, :n].mean(dim=1).abs() > float(stdtrit(n - 1, 0.975)) * error
    # Far more than other random numbers would change it, and far less than a mistake does.
    agree(answer, alarmed.double().mean(), within=0.015)


EXERCISES = (
    Exercise(
        "10.1",
        "scores_of_nothing",
        _check_scores_of_nothing,
        (
            "Void pixels count for nothing: look at the others only.",
            "The IoU of the pavement: of all pixels that are pavement, or are called so, how many are both?",
            "The IoU of the crack is easy: nothing was found. And how is the mean related to the accuracy?",
        ),
        mistakes=(
            (1, lambda mask: _of_nothing((mask == 0).sum() / mask.numel())),
            (1, lambda mask: _of_nothing((mask != 1).sum() / mask.numel())),
            (3, "numbers"),
            (3, "type"),
            (3, "value 2 of 2: the numbers"),
        ),
    ),
    Exercise(
        "10.2",
        "paired",
        _check_paired,
        (
            "Begin with the differences, one for each seed; then forget the two arms.",
            "The spread of n numbers divides by n − 1, since their mean was taken from the same numbers.",
            "The mean of n numbers moves less than one of them: by the square root of n.",
        ),
        allows=(studies.interval,),
        mistakes=(
            (3, lambda ours, theirs, factor: ((ours - theirs).mean(), factor * (ours - theirs).std())),
            (2, lambda ours, theirs, factor: _half(ours - theirs, factor, 0)),
            (1, lambda ours, theirs, factor: (ours.mean() - theirs.mean(), _apart(ours, theirs, factor))),
            (1, lambda ours, theirs, factor: _half(theirs - ours, factor, 1)),
            (2, "value 2 of 2: the numbers"),
            (1, "value 1 of 2: the numbers"),
        ),
    ),
    Exercise(
        "10.3",
        "winner",
        _check_winner,
        (
            "Two halves with two tasks: the first one chooses, the second one judges.",
            "Take the mean over the first half of the columns, and the row where it is largest.",
            "The place must be an integer of Python: .item() makes one.",
        ),
        mistakes=(
            (3, "you returned"),
            (1, "value 3 of 3"),
            (3, "type"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "10.4",
        "holm",
        _check_holm,
        (
            "Go from the smallest p upwards, and count how many are still to come.",
            "The smallest of n is held against level / n, the next one against level / (n − 1), and so on.",
            "At the first that is larger than its limit all the rest fall, whatever they are. Then put the answers"
            " back into the order in which the p came.",
        ),
        mistakes=(
            (1, lambda p, level: p <= level / len(p)),
            (1, lambda p, level: p <= level),
            (2, lambda p, level: _each_by_itself(p, level)),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "10.5",
        "fair_f1",
        _check_fair_f1,
        (
            "Two steps: a threshold from the first pair, and a score from the second.",
            "F1 is twice the hits, divided by the pixels that were called crack and those that are.",
            "Write F1 as a function of a threshold, and let `max` go over the 99 of them with that function as key.",
        ),
        mistakes=(
            (1, lambda one, truth, new, new_truth: _score(new, new_truth, _chosen(new, new_truth))),
            (1, lambda one, truth, new, new_truth: _score(one, truth, _chosen(one, truth))),
            (1, lambda one, truth, new, new_truth: _score(new, new_truth, 50)),
            (3, "numbers"),
        ),
    ),
    Exercise(
        "10.6",
        "plan",
        _check_plan,
        (
            "`dataclasses.replace(plain, ...)` gives a recipe that differs in what you name, and in nothing else.",
            "The time of an arm is its epochs times the seconds of one epoch; solve for the epochs, and round.",
            "The rule is the one of Exercise 10.2: the mean, less half its interval, must lie above 0. Student's factor"
            " depends on how many differences there are; `studies.interval` knows it.",
        ),
        allows=(
            studies.interval,
            recipes,
        ),
        mistakes=((2, "error"),),
    ),
    Exercise(
        "10.7",
        "scores_of_the_neighbour",
        _check_scores_of_the_neighbour,
        (
            "Count the pixels that are wrong: some are missed, and some are false alarms.",
            "Without tolerance a predicted pixel is right only if the true one is the very same. How many are?",
            "Within 1 pixel: is there, for each predicted pixel, a true one beside it? And for each true one?",
        ),
        mistakes=((1, (0.99, 0.0, 1.0)), (1, (1.0, 0.0, 1.0)), (2, (0.98, 0.5, 1.0)), (3, (0.98, 0.0, 0.99))),
        kind="predict",
    ),
    Exercise(
        "10.8",
        "half_with_twenty",
        _check_half_with_twenty,
        (
            "Half an interval is factor · spread / √n. Which of the three stays?",
            "The factor falls, too, not only 1 / √n.",
            "Divide the two halves by each other: the spread falls out, and √(5/20) is a round number.",
        ),
        mistakes=((2, 0.01), (1, 0.005), (3, 0.015), (1, 0.02)),
        kind="compute",
    ),
    Exercise(
        "10.9",
        "false_alarms",
        _check_false_alarms,
        (
            "For each n from 5 to 10 look at the first n columns: mean, spread, factor, and whether the interval is"
            " clear of 0.",
            "A study counts once if any of its six looks is clear of 0. Keep one True or False for each row, and join"
            " them with |.",
            "The looks share their numbers, so they are not six unrelated questions.",
        ),
        mistakes=((2, 0.05), (3, 0.3), (3, 0.26)),
        kind="measure",
    ),
    Exercise(
        "10.10",
        "what_an_open_interval_says",
        None,
        (
            "Which other differences does the interval hold, beside 0?",
            "What would the same sentence say of two runs for each arm, and of an interval ten times as wide?",
            "To show that a difference is small, where must the whole interval lie, and what must be said before?",
        ),
        kind="explain",
    ),
)

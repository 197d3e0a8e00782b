"""Statistics of a comparison: against scipy.stats, against sums by hand, and against what must not change a result."""

import itertools
import math
import random
from statistics import fmean

import pytest
import torch
from scipy import stats

from chapters_code.metrics.classes import ConfusionMatrix
from chapters_code.metrics.cracks import CrackScores, dilate
from chapters_code.records import statistics, studies
from grids import every

# One number per seed, of three arms; whoever draws a row of scores like these gets intervals of about ± 0.01.
OF_ARM = {
    "max": [0.81, 0.79, 0.84, 0.80, 0.83],
    "hwd": [0.82, 0.81, 0.83, 0.82, 0.85],
    "avg": [0.78, 0.80, 0.82, 0.79, 0.80],
}


def ends(found):
    return found.mean - found.half, found.mean + found.half


def drawn_scores(arms=("max", "hwd", "avg"), seeds=5, spread=0.02):
    return {arm: [random.gauss(0.8, spread) for _ in range(seeds)] for arm in arms}


# ---- Student's t ------------------------------------------------------------------------------------


@every(degrees=[*range(1, 13), 19, 20, 39, 120], t=[-30.0, -2.5, -1e-3, 0.0, 0.7, 1.96, 12.7, 1e4])
def test_student_s_t_is_scipy_s(degrees, t):
    assert statistics.t_cdf(t, degrees) == pytest.approx(
        stats.t.cdf(t, degrees), abs=1e-13
    )  # which is off by 1e-14 itself


@every(degrees=[*range(1, 13), 20, 120], probability=[0.001, 0.05, 0.3, 0.5, 0.9, 0.95, 0.975, 0.9995])
def test_its_quantile_is_scipy_s(degrees, probability):
    expected = stats.t.ppf(probability, degrees)
    assert statistics.t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_its_ends():
    for degrees in (1, 2, 20):
        assert statistics.t_cdf(math.inf, degrees) == 1 and statistics.t_cdf(-math.inf, degrees) == 0
    # The factors that tables print.
    factors = [round(statistics.t_quantile(0.975, degrees), 3) for degrees in (1, 2, 4, 9, 20)]
    assert factors == [12.706, 4.303, 2.776, 2.262, 2.086]


def test_what_has_no_distribution_is_refused():
    for degrees in (0, -3, 2.5):
        with pytest.raises(ValueError, match=f"an integer, 1 or more; got {degrees}"):
            statistics.t_cdf(1.0, degrees)
    for probability in (0, 1, 1.2, math.nan):
        with pytest.raises(ValueError, match=f"between 0 and 1, and is neither; got {probability}"):
            statistics.t_quantile(probability, 4)


# ---- the interval of one row ------------------------------------------------------------------------


@every(count=[2, 3, 5, 10, 11, 40], level=[0.5, 0.9, 0.95, 0.99])
def test_an_interval_is_student_s(count, level):
    values = [random.gauss(0.8, 0.02) for _ in range(count)]
    expected = stats.t.interval(level, count - 1, loc=fmean(values), scale=stats.sem(values))
    assert ends(statistics.interval(values, level)) == pytest.approx(expected, rel=1e-9)
    assert statistics.interval(values) == statistics.interval(values, 0.95)


def test_an_interval_by_hand():
    # mean 2, standard deviation 1, standard error 1 / √3, and 4.30265 of those
    assert statistics.interval([1, 2, 3]) == pytest.approx((2, 4.30265 / math.sqrt(3)), rel=1e-5)
    assert str(statistics.Interval(0.5, 0.0125)) == "0.500 ± 0.013"


def test_95_of_100_intervals_hold_the_true_mean():
    random.seed(7)
    held = [
        abs((found := statistics.interval([random.gauss(3, 2) for _ in range(5)])).mean - 3) <= found.half
        for _ in range(4000)
    ]
    assert sum(held) / len(held) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_an_interval_needs_two_numbers(values):
    for function in (statistics.interval, statistics.estimate, statistics.p_value):
        with pytest.raises(ValueError, match=f"2 numbers or more, got {len(values)}"):
            function(values)


def test_a_p_value_is_that_of_the_paired_t_test():
    for seeds in (2, 3, 5, 12):
        scores = drawn_scores(seeds=seeds)
        found = statistics.p_value(statistics.paired(scores, "hwd", "max"))
        assert found == pytest.approx(stats.ttest_rel(scores["hwd"], scores["max"]).pvalue, rel=1e-8)


def test_numbers_that_are_all_alike_are_certain():
    assert statistics.p_value([0.25, 0.25, 0.25]) == 0
    assert statistics.p_value([0.0, 0.0]) == 1
    assert str(statistics.equivalent([0.25, 0.25], 0.5)) == "equal within 0.5"
    assert str(statistics.equivalent([0.25, 0.25], 0.125)) == "different"
    assert [statistics.equivalent([0.25, 0.25], margin).p for margin in (0.125, 0.25, 0.5)] == [1, 0.5, 0]
    assert str(statistics.equivalent([0.0, 0.0], 0.125)) == "equal within 0.125"


# ---- arms against each other ------------------------------------------------------------------------


def test_a_difference_is_paired():
    # Seeds differ much, the arms always by about 0.01: of unpaired numbers one could not say so.
    of_arm = {"hwd": [0.511, 0.709, 0.910], "max": [0.5, 0.7, 0.9]}
    found = statistics.difference(of_arm, "hwd", "max")
    expected = stats.ttest_rel(of_arm["hwd"], of_arm["max"]).confidence_interval(0.95)
    assert found.mean == pytest.approx(0.01)
    assert ends(found) == pytest.approx(tuple(expected), abs=1e-9)
    assert statistics.difference(of_arm, "max", "hwd").mean == pytest.approx(-0.01)


def test_differences_are_given_seed_by_seed_too():
    of_arm = {"hwd": [0.5, 0.75], "max": [0.25, 1.0], "avg": [0.75, 0.0]}
    assert statistics.paired(of_arm, "hwd", "max") == [0.25, -0.25]
    assert statistics.paired(of_arm, "max", "hwd") == [-0.25, 0.25]
    # Of several controls, their mean.
    assert statistics.paired(of_arm, "hwd", ("max", "avg")) == [0.0, 0.25]
    assert statistics.paired(of_arm, "hwd", ["max"]) == [0.25, -0.25]


def test_a_contrast_by_hand():
    of_arm = {"hwd": [0.5, 0.75], "max": [0.25, 1.0], "avg": [0.75, 0.0]}
    assert statistics.contrast(of_arm, {"hwd": 1, "max": -0.5, "avg": -0.5}) == [0.0, 0.25]
    assert statistics.contrast(of_arm, {"max": 2, "avg": -2}) == [-1.0, 2.0]


def test_pooled_is_the_residual_of_a_two_way_layout():
    """By hand: rows 0, 4, 2 and 2, 2, 5; means of rows 2 and 3, of columns 1, 3 and 3.5, of all 2.5."""
    of_arm = {"max": [0, 4, 2], "hwd": [2, 2, 5]}
    residuals = [0 - 2 - 1 + 2.5, 4 - 2 - 3 + 2.5, 2 - 2 - 3.5 + 2.5]  # of max; those of hwd are their negatives
    mean_square = 2 * sum(one * one for one in residuals) / 2  # (2 − 1)(3 − 1) degrees of freedom
    found = statistics.pooled(of_arm, "hwd", "max")
    assert found.mean == 1
    assert found.half == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 * mean_square / 3))


@every(arms=[2, 3, 6], seeds=[2, 5, 8])
def test_pooled_is_what_least_squares_leaves(arms, seeds):
    """The same by regression on indicators of arms and seeds, with scipy's and numpy's own sums alone."""
    names = [f"arm {i}" for i in range(arms)]
    scores = drawn_scores(names, seeds)
    values = torch.tensor(list(scores.values()), dtype=torch.float64).flatten()
    arm, seed = torch.arange(arms).repeat_interleave(seeds), torch.arange(seeds).repeat(arms)
    design = torch.cat(
        [torch.nn.functional.one_hot(arm, arms), torch.nn.functional.one_hot(seed, seeds)[:, 1:]], 1
    ).double()
    left = values - design @ torch.linalg.lstsq(design, values[:, None], driver="gelsd").solution[:, 0]
    degrees = arms * seeds - design.shape[1]
    half = stats.t.ppf(0.975, degrees) * math.sqrt(2 * left.square().sum().item() / degrees / seeds)

    found = statistics.pooled(scores, names[1], names[0])

    assert degrees == (arms - 1) * (seeds - 1)
    assert found.half == pytest.approx(half, rel=1e-9)
    assert found.mean == pytest.approx(fmean(scores[names[1]]) - fmean(scores[names[0]]))


def test_of_two_arms_alone_pooled_is_the_difference():
    two = {name: OF_ARM[name] for name in ("max", "hwd")}
    assert statistics.pooled(two, "hwd", "max") == pytest.approx(statistics.difference(two, "hwd", "max"))
    assert statistics.pooled(OF_ARM, "hwd", "max") != pytest.approx(statistics.difference(two, "hwd", "max"))


def test_a_contrast_has_the_error_of_its_weights():
    one = statistics.pooled_estimate(OF_ARM, {"hwd": 1, "max": -1})
    mean = statistics.pooled_estimate(OF_ARM, {"hwd": 1, "max": -0.5, "avg": -0.5})
    assert mean.error / one.error == pytest.approx(math.sqrt(1.5 / 2))
    assert (one.degrees, mean.degrees) == (8, 8)
    assert mean.mean == pytest.approx(fmean(statistics.contrast(OF_ARM, {"hwd": 1, "max": -0.5, "avg": -0.5})))
    assert statistics.pooled(OF_ARM, "hwd", ("max", "avg")) == pytest.approx(mean.interval())
    assert statistics.p_value(one) == pytest.approx(2 * stats.t.sf(abs(one.mean) / one.error, 8))


def test_95_of_100_pooled_intervals_hold_the_true_difference():
    def held():
        shift = [random.gauss(0, 0.1) for _ in range(4)]
        of_arm = {arm: [random.gauss(one, 0.01) for one in shift] for arm in "abcd"}
        found = statistics.pooled(of_arm, "a", "b")
        return abs(found.mean) <= found.half

    random.seed(3)
    assert sum(held() for _ in range(2000)) / 2000 == pytest.approx(0.95, abs=0.016)


SUMS = {
    "difference": lambda of_arm: statistics.difference(of_arm, "hwd", "max"),
    "pooled": lambda of_arm: statistics.pooled(of_arm, "hwd", "max"),
    "several controls": lambda of_arm: statistics.pooled(of_arm, "hwd", ("avg", "max")),
    "contrast": lambda of_arm: statistics.contrast(of_arm, {"avg": 0.5, "hwd": 0.5, "max": -1}),
    "equivalent": lambda of_arm: statistics.equivalent(statistics.paired(of_arm, "hwd", "max"), 0.01).narrow,
}


@pytest.mark.parametrize("name", SUMS)
def test_what_a_seed_does_to_all_arms_changes_nothing(name):
    shifts = (0.3, -0.2, 0.0, 0.1, 0.7)
    moved = {arm: [value + one for value, one in zip(row, shifts, strict=True)] for arm, row in OF_ARM.items()}
    assert SUMS[name](moved) == pytest.approx(SUMS[name](OF_ARM))
    one = OF_ARM | {"hwd": [0.83, *OF_ARM["hwd"][1:]]}  # but what one does to one arm does
    assert SUMS[name](one) != pytest.approx(SUMS[name](OF_ARM))


@pytest.mark.parametrize("name", SUMS)
def test_the_order_of_arms_and_of_seeds_changes_nothing(name):
    for order in itertools.permutations(OF_ARM):
        assert SUMS[name]({arm: OF_ARM[arm] for arm in order}) == pytest.approx(SUMS[name](OF_ARM))
    if name != "contrast":  # which has one number for each of them
        assert SUMS[name]({arm: row[::-1] for arm, row in OF_ARM.items()}) == pytest.approx(SUMS[name](OF_ARM))


def test_arms_that_cannot_be_compared_are_refused():
    for function in (statistics.difference, statistics.paired, statistics.pooled):
        with pytest.raises(ValueError, match="no arm 'avg'; there are: max, hwd"):
            function({"max": [1, 2], "hwd": [1, 2]}, "avg", "max")
        with pytest.raises(ValueError, match="hwd has 3 seeds, max has 2"):
            function({"max": [1, 2], "hwd": [1, 2, 3]}, "hwd", "max")
        for control in ("hwd", (), ("max", "max"), ("max", "hwd")):
            with pytest.raises(ValueError, match="hwd needs a control, one other arm or several"):
                function(OF_ARM, "hwd", control)
    for weights in ({"hwd": 1}, {"hwd": 1, "max": -0.5}, {}):
        with pytest.raises(ValueError, match="add up to 0"):
            statistics.contrast(OF_ARM, weights)
    # An arm that is not asked about takes part in what is pooled.
    with pytest.raises(ValueError, match="max has 5 seeds, lost has 4"):
        statistics.pooled(OF_ARM | {"lost": [0.8] * 4}, "hwd", "max")
    for seeds in (0, 1):
        with pytest.raises(ValueError, match=f"2 seeds or more, got {seeds}"):
            statistics.pooled({arm: row[:seeds] for arm, row in OF_ARM.items()}, "hwd", "max")


def test_a_mean_over_settings_is_taken_seed_by_seed():
    assert statistics.averaged([[1, 2, 6], [3, 4, 0]]) == [2, 3, 3]
    assert statistics.averaged(iter([[0.5, 0.25]])) == [0.5, 0.25]
    for settings in ([], [[1, 2], [1, 2, 3]]):
        with pytest.raises(ValueError, match="one setting or more, all of the same seeds"):
            statistics.averaged(settings)


# ---- equal, or many questions -----------------------------------------------------------------------


def test_two_one_sided_tests_are_scipy_s():
    for margin in (0.005, 0.02, 0.05):
        for _ in range(20):
            values = [random.gauss(0.004, 0.02) for _ in range(5)]
            above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
            below = stats.ttest_1samp(values, margin, alternative="less").pvalue
            found = statistics.equivalent(values, margin)
            assert found.p == pytest.approx(max(above, below), rel=1e-8)
            assert (str(found) == f"equal within {margin}") == (max(above, below) < 0.05)
            assert found.narrow == statistics.interval(values, 0.9) and found.wide == statistics.interval(values)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.001, -0.001, 0.002, 0.0, -0.002], "equal within 0.01"),
        ([0.002, 0.003, 0.002, 0.003, 0.002], "equal within 0.01"),  # clear of 0, and too small to matter
        ([0.05, 0.06, 0.05, 0.06, 0.05], "different"),
        ([-0.05, -0.06, -0.05, -0.06, -0.05], "different"),
        ([0.008, 0.011, 0.010, 0.009, 0.008], "different"),
        ([0.05, -0.06, 0.05, -0.06, 0.05], "not decided"),
        ([0.0, 0.0, 0.0, 0.0, 0.03], "not decided"),
        ([-0.0032, 0.0084, 0.02, 0.0316, 0.0432], "not decided"),  # the 90 % interval is clear of 0, that of 95 % not
    ],
)
def test_a_verdict_is_one_of_three(values, verdict):
    assert str(statistics.equivalent(values, 0.01)) == statistics.equivalent(values, 0.01).verdict == verdict
    negative = [-value for value in values]
    assert str(statistics.equivalent(negative, 0.01)) == verdict


def test_equality_can_be_asked_of_a_pooled_estimate():
    found = statistics.pooled_estimate(OF_ARM, {"hwd": 1, "max": -1})
    asked = statistics.equivalent(found, 0.05)
    assert (asked.narrow, asked.wide) == (found.interval(0.9), found.interval(0.95))
    assert asked.p == pytest.approx(stats.t.sf((0.05 - abs(found.mean)) / found.error, 8))


def test_a_margin_is_larger_than_0():
    for margin in (0, -0.01, math.nan):
        with pytest.raises(ValueError, match="larger than 0; got"):
            statistics.equivalent([0.1, 0.2], margin)


def test_holm_by_hand():
    # In order: 4 · 0.01, 3 · 0.013 (no less than the one before), 2 · 0.03, 1 · 0.5
    asked = {"a": 0.03, "b": 0.01, "c": 0.5, "d": 0.013}
    assert statistics.holm(asked) == pytest.approx({"a": 0.06, "b": 0.04, "c": 0.5, "d": 0.04})
    assert list(statistics.holm(asked)) == list(asked)
    assert statistics.holm({1: 0.7, 2: 0.9}) == {1: 1.0, 2: 1.0}
    assert statistics.holm({}) == {}
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]; got {'b': 1.5}"):
        statistics.holm({"a": 0.5, "b": 1.5})


def test_holm_is_the_closed_form_of_bonferroni():
    """A question is clear if every family that it belongs to has one below 0.05 / its size."""
    for size in (1, 2, 5):
        for _ in range(20):
            p_values = {i: random.choice((0.01, random.random() ** 3)) for i in range(size)}  # with ties
            families = [f for n in range(1, size + 1) for f in itertools.combinations(p_values, n)]
            expected = {
                i: max(min(1.0, len(f) * min(p_values[j] for j in f)) for f in families if i in f) for i in p_values
            }
            assert statistics.holm(p_values) == pytest.approx(expected)


# ---- seeds and photographs --------------------------------------------------------------------------


def drawn_counts(seeds=5, photographs=12, lead=0.0, spread=0.1):
    """Counts of a run for each seed; photographs differ much, and in all runs alike."""
    size = torch.randint(200, 2000, (photographs,))
    hard = torch.rand(photographs) * 0.4 + 0.4 + lead
    share = (hard + spread * torch.randn(seeds, photographs)).clamp(0.05, 0.95)
    right = (size * share).long()
    return torch.stack([size.expand_as(right), right, size.expand_as(right), right], -1).tolist()


def f1(run):
    predicted, right, true, found = map(sum, zip(*run, strict=True))
    precision, recall = right / predicted, found / true
    return 2 * precision * recall / (precision + recall)


def test_the_value_is_the_difference_of_the_mean_f1():
    of_arm = {"hwd": drawn_counts(), "max": drawn_counts(), "avg": drawn_counts()}
    of_arm["hwd"][0][0][0] += 500  # more predicted than true
    means = {arm: fmean(map(f1, runs)) for arm, runs in of_arm.items()}
    assert statistics.bootstrap(of_arm, "hwd", "max").value == pytest.approx(means["hwd"] - means["max"])
    both = statistics.bootstrap(of_arm, "hwd", ("max", "avg")).value
    assert both == pytest.approx(means["hwd"] - (means["max"] + means["avg"]) / 2)


def by_loops(of_arm, one, other, score):
    """The two ends of 50 draws from seed 9, added up photograph by photograph."""
    ours, theirs = of_arm[one], of_arm[other]
    sizes, generator = (len(ours), len(ours[0])), torch.Generator().manual_seed(9)
    seeds, photographs = (torch.randint(size, (50, size), generator=generator).tolist() for size in sizes)
    drawn = [
        fmean(score([ours[s][p] for p in chosen]) - score([theirs[s][p] for p in chosen]) for s in seeds_of)
        for seeds_of, chosen in zip(seeds, photographs, strict=True)
    ]
    return torch.tensor(drawn, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()


def test_its_draws_are_those_of_two_loops():
    """The same draws, added up photograph by photograph."""
    of_arm = {"hwd": drawn_counts(3, 4), "max": drawn_counts(3, 4)}
    assert statistics.bootstrap(of_arm, "hwd", "max", 50, 9)[1:] == pytest.approx(by_loops(of_arm, "hwd", "max", f1))


def test_a_draw_takes_the_same_seeds_and_photographs_for_both_arms():
    """Where an arm is the same as the other, every draw gives 0; unpaired ones would scatter."""
    runs = drawn_counts()
    assert statistics.bootstrap({"a": runs, "b": runs}, "a", "b") == (0, 0, 0)


def test_seeds_alone_and_photographs_alone_give_the_error_that_is_known():
    # One photograph: the seeds' own scatter, √((n − 1) / n) of its standard error, 1.96 times either way.
    torch.manual_seed(2)
    of_arm = {"a": drawn_counts(40, 1), "b": drawn_counts(40, 1)}
    values = [f1(one) - f1(other) for one, other in zip(of_arm["a"], of_arm["b"], strict=True)]
    found = statistics.bootstrap(of_arm, "a", "b", 20_000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * stats.sem(values) * math.sqrt(39 / 40), rel=0.05)
    # One seed repeated: photographs alone are left, and the interval does not shrink to nothing.
    one_run = {arm: runs[:1] * 5 for arm, runs in {"a": drawn_counts(), "b": drawn_counts(lead=0.02)}.items()}
    assert statistics.difference({arm: list(map(f1, runs)) for arm, runs in one_run.items()}, "a", "b").half < 1e-12
    found = statistics.bootstrap(one_run, "a", "b")
    assert found.high - found.low > 0.01


def test_a_drawing_is_repeated_by_its_seed_and_disturbs_no_other():
    of_arm = {"a": drawn_counts(), "b": drawn_counts()}
    before = torch.get_rng_state()
    one = statistics.bootstrap(of_arm, "a", "b")
    assert torch.equal(torch.get_rng_state(), before)
    assert statistics.bootstrap(of_arm, "a", "b") == one == statistics.bootstrap(of_arm, "a", "b", 2000, 0)
    assert statistics.bootstrap(of_arm, "a", "b", seed=1) != one
    other = statistics.bootstrap(of_arm, "b", "a")
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert one.low < one.value < one.high
    assert str(statistics.Percentiles(0.01, -0.0025, 0.02)) == "+0.010 (-0.003 to +0.020)"


def test_f1_is_that_of_the_crack_scores():
    """Of photographs together, within 2 pixels; and to say nothing where nothing is, is no failure."""
    metric, counts = CrackScores(tolerances=(2,), thresholds=(0.5,)), []
    for share in (0.97, 0.995, 0.9):
        prediction, truth = (torch.rand(2, 20, 30) > share).long()
        metric.update(prediction[None, None].double(), truth[None])
        right = (prediction * dilate(truth[None], 2)[0]).sum()
        found = (truth * dilate(prediction[None], 2)[0]).sum()
        counts.append([int(one) for one in (prediction.sum(), right, truth.sum(), found)])
    nothing, wrong = [[[0, 0, 0, 0]]], [[[5, 0, 0, 0]]]
    assert 0.1 < metric.scores()["global_f1@2px"] < 0.9
    found = statistics.bootstrap({"ours": [counts], "wrong": [[[5, 0, 0, 0]] * 3]}, "ours", "wrong", 10)
    assert found.value == pytest.approx(metric.scores()["global_f1@2px"])
    assert statistics.bootstrap({"nothing": nothing, "wrong": wrong}, "nothing", "wrong", 10) == (1, 1, 1)


def test_counts_that_do_not_fit_are_refused():
    runs = drawn_counts(2, 3)
    three_counts = [[one[:3] for one in run] for run in runs]
    one_is_short = [[*runs[0][:2], runs[0][2][:3]], runs[1]]
    fewer, uneven = [run[:2] for run in runs], [runs[0], runs[1][:2]]
    pairs = [(runs, fewer), *((one, bad) for bad in (three_counts, one_is_short, uneven) for one in (runs, bad))]
    for one, bad in pairs:
        with pytest.raises(ValueError, match="the same photographs, and each of them four counts"):
            statistics.bootstrap({"a": one, "b": bad}, "a", "b")
    with pytest.raises(ValueError, match="a has 2 seeds, b has 1"):
        statistics.bootstrap({"a": runs, "b": runs[:1]}, "a", "b")
    with pytest.raises(ValueError, match="1 draw or more, and better 2000; got 0"):
        statistics.bootstrap({"a": runs, "b": runs}, "a", "b", draws=0)
    with pytest.raises(ValueError, match="no arm 'c'"):
        statistics.bootstrap({"a": runs, "b": runs}, "a", "c")


def test_the_mean_iou_is_that_of_the_confusion_matrix_and_drawn_in_two_loops():
    """Of four classes one occurs in one photograph only, and one nowhere: it never counts."""
    truth = torch.randint(3, (5, 6, 8))
    truth[1:][truth[1:] == 2] = 0

    def run(share):
        said = torch.where(torch.rand(truth.shape) < share, truth, torch.randint(2, truth.shape))
        matrix = ConfusionMatrix(4)
        matrix.update(said, truth)
        counts = [
            [[int(part.sum()) for part in ((s == k) & (t == k), s == k, t == k)] for k in range(4)]
            for s, t in zip(said, truth, strict=True)
        ]
        return counts, matrix.mean_iou()

    good, bad = ([run(share) for _ in range(3)] for share in (0.8, 0.3))
    of_arm = {"good": [counts for counts, _ in good], "bad": [counts for counts, _ in bad]}
    expected = fmean(score for _, score in good) - fmean(score for _, score in bad)
    assert statistics.bootstrap(of_arm, "good", "bad", 10).value == pytest.approx(expected)

    def mean_iou(photographs):
        of_class = [[sum(one[k][n] for one in photographs) for n in range(3)] for k in range(4)]
        return fmean(right / (said + true - right) for right, said, true in of_class if said + true)

    ends = by_loops(of_arm, "good", "bad", mean_iou)
    assert statistics.bootstrap(of_arm, "good", "bad", 50, 9)[1:] == pytest.approx(ends)


def test_the_classes_of_a_photograph_that_are_not_named_have_no_pixels():
    run = {"arm": "a", "seed": 0, "photographs": [[0, 5, 7, 6, 2, 1, 1, 3], [1, 4, 4, 4]]}
    assert studies.overlaps(run, 3) == [[[5, 7, 6], [0, 0, 0], [1, 1, 3]], [[0, 0, 0], [4, 4, 4], [0, 0, 0]]]
    for row in ([0, 5, 7], [3, 1, 1, 1]):
        with pytest.raises(ValueError, match="four numbers for each class, 0 to 2, that occurs"):
            studies.overlaps(run | {"photographs": [row]}, 3)
    with pytest.raises(ValueError, match="keeps no counts"):
        studies.overlaps({"arm": "a", "seed": 0}, 3)


# ---- studies offer the same -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Interval", "difference", "interval", "paired", "pooled"])
def test_studies_offer_what_every_comparison_asks(name):
    assert getattr(studies, name) is getattr(statistics, name)

"""The saliency measures against PySODMetrics, against sums by hand, and against the laws of their formulas."""

import sys

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from chapters_code.metrics import saliency
from chapters_code.metrics.saliency import (
    SaliencyScores,
    e_measure,
    mae,
    max_f_measure,
    min_max,
    s_measure,
    weighted_f_measure,
)
from grids import every

try:
    import py_sod_metrics
except ModuleNotFoundError:  # requirements.txt says why
    if sys.version_info < (3, 14):
        raise
    pytest.skip("pysodmetrics is left out on Python 3.14", allow_module_level=True)

ALL = (mae, max_f_measure, s_measure, e_measure, weighted_f_measure)


def blob(height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw an ellipse off the centre, and a soft, noisy, slightly shifted guess of it; few pixels are 0 or 1."""
    draw = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    row, column = (0.3 + 0.4 * torch.rand(2, generator=draw)).tolist()
    target = ((y - row) / 0.2) ** 2 + ((x - column) / 0.3) ** 2 < 1
    away = (((y - row - 0.05) / 0.2) ** 2 + ((x - column + 0.04) / 0.3) ** 2).double()
    noise = torch.randn(height, width, generator=draw, dtype=torch.float64)
    return torch.sigmoid(4 * (1 - away) + noise), target.long()


def noise(height: int, width: int, seed: int = 0, share: float = 0.4) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    prediction = torch.rand(height, width, generator=draw, dtype=torch.float64)
    return prediction, (torch.rand(height, width, generator=draw) < share).long()


def pictures() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    soft, target = blob(40, 61)
    corner = torch.zeros(24, 30, dtype=torch.int64)
    corner[0, 0] = 1
    stripes = torch.zeros(15, 22, dtype=torch.int64)
    stripes[:, ::4] = 1
    dots = torch.zeros(200, 150, dtype=torch.int64)
    dots[20, 120] = dots[170, 30] = 1  # so little, in so large a picture, that the epsilon of S shows
    zeros, ones = torch.zeros_like(target), torch.ones_like(target)
    return {
        "random, wide": noise(13, 29),
        "random, tall": noise(31, 8, seed=1),
        "random, sparse": noise(50, 37, seed=2, share=0.01),
        "blob": (soft, target),
        "blob, tall": blob(67, 32, seed=3),
        "blob, 8 bits": ((soft * 255).floor() / 255, target),
        "blob, black and white": ((soft > 0.5).double(), target),
        "almost black": (soft * 1e-4, target),
        "inverted": (1 - soft, target),
        "perfect": (target.double(), target),
        "all wrong": (1 - target.double(), target),
        "black": (zeros.double(), target),
        "white": (ones.double(), target),
        "empty target": (soft, zeros),
        "full target": (soft, ones),
        "empty and black": (zeros.double(), zeros),
        "full and white": (ones.double(), ones),
        "one pixel in the corner": (noise(24, 30, seed=4)[0], corner),
        "two dots": (1e-4 * noise(200, 150, seed=8)[0] + 0.9 * dots, dots),
        "stripes": (noise(15, 22, seed=5)[0], stripes),
        "as large as a photograph": blob(300, 400, seed=7),
        "as large, tall": blob(400, 267, seed=7),
    }


def theirs(prediction: torch.Tensor, target: torch.Tensor, beta2: float = 0.3, alpha: float = 0.5) -> dict:
    """Score one picture with PySODMetrics."""
    with pytest.warns(UserWarning, match="FmeasureV2"):
        f_measure = py_sod_metrics.Fmeasure(beta=beta2)
    measures = {
        "mae": py_sod_metrics.MAE(),
        "f": f_measure,
        "s": py_sod_metrics.Smeasure(alpha=alpha),
        "e": py_sod_metrics.Emeasure(),
        "weighted": py_sod_metrics.WeightedFmeasure(),
    }
    for measure in measures.values():
        measure.step(prediction.numpy(), target.bool().numpy(), normalize=False)
    return {name: measure.get_results() for name, measure in measures.items()}


def close(ours: float, expected: float, atol: float = 1e-9) -> None:
    assert isinstance(ours, float)
    assert_close(ours, float(expected), rtol=0, atol=atol)


# ---- the reference library ----------------------------------------------------------------------


@pytest.mark.slow
@every(name=pictures())
def test_every_measure_is_that_of_pysodmetrics(name):
    prediction, target = pictures()[name]
    reference = theirs(prediction, target)

    close(mae(prediction, target), reference["mae"]["mae"])
    close(max_f_measure(prediction, target), reference["f"]["fm"]["curve"].max())
    close(s_measure(prediction, target), reference["s"]["sm"])
    close(weighted_f_measure(prediction, target), reference["weighted"]["wfm"])
    close(e_measure(prediction, target), reference["e"]["em"]["curve"].max())
    close(e_measure(prediction, target, kind="mean"), reference["e"]["em"]["curve"].mean())
    close(e_measure(prediction, target, kind="adaptive"), reference["e"]["em"]["adp"])


@every(("beta2", "alpha"), [(1.0, 0.0), (0.5, 1.0), (2.0, 0.8)])
def test_the_weights_are_those_of_pysodmetrics(beta2, alpha):
    prediction, target = blob(33, 52, seed=6)
    reference = theirs(prediction, target, beta2, alpha)
    close(max_f_measure(prediction, target, beta2=beta2), reference["f"]["fm"]["curve"].max())
    close(s_measure(prediction, target, alpha=alpha), reference["s"]["sm"])
    weighted = py_sod_metrics.WeightedFmeasure(beta=beta2)
    weighted.step(prediction.numpy(), target.bool().numpy(), normalize=False)
    close(weighted_f_measure(prediction, target, beta2=beta2), weighted.get_results()["wfm"])


def test_precision_and_recall_at_each_threshold_are_those_of_pysodmetrics():
    prediction, target = blob(40, 61)
    both = saliency._precision_recall(prediction, target.bool())
    for ours, name in zip(both, "pr", strict=True):
        # Theirs run from the highest threshold down.
        assert_close(ours.flip(0), torch.from_numpy(theirs(prediction, target)["f"]["pr"][name]))


@every(normalise=[False, True])
def test_a_set_is_scored_as_pysodmetrics_scores_it(normalise):
    """Stretched, theirs reads 8-bit maps, so ours gets the same 8 bits, divided by 255."""
    scores = SaliencyScores(normalise=normalise)
    with pytest.warns(UserWarning, match="FmeasureV2"):
        f_measure = py_sod_metrics.Fmeasure()
    others = [f_measure, py_sod_metrics.MAE(), py_sod_metrics.Smeasure(), py_sod_metrics.Emeasure()]
    others.append(py_sod_metrics.WeightedFmeasure())
    for seed, size in enumerate([(30, 41), (52, 33), (20, 20), (25, 60)]):
        prediction, target = blob(*size, seed=seed)
        bits = (0.1 * 255 + 0.6 * 255 * prediction).to(torch.uint8)  # 25 .. 178: stretching matters
        scores.update((bits.double() / 255)[None], target[None])
        for other in others:
            if normalise:
                other.step(bits.numpy(), target.numpy().astype(np.uint8) * 255)
            else:
                other.step(bits.numpy() / 255, target.bool().numpy(), normalize=False)

    f, error, s, e, weighted = (other.get_results() for other in others)
    precision, recall = f["pr"]["p"], f["pr"]["r"]
    expected = {
        "per_image_mae": error["mae"],
        "per_image_s": s["sm"],
        "per_image_weighted_f": weighted["wfm"],
        "per_image_max_f": np.mean([curve.max() for curve in f_measure.changeable_fms]),
        "per_image_max_e": np.mean([curve.max() for curve in others[3].changeable_ems]),
        "per_image_mean_e": e["em"]["curve"].mean(),
        "per_image_adaptive_e": e["em"]["adp"],
        "global_max_f": (1.3 * precision * recall / (0.3 * precision + recall + 1e-300)).max(),
        "global_max_mean_f": f["fm"]["curve"].max(),
        "global_max_mean_e": e["em"]["curve"].max(),
    }
    ours = scores.scores()
    assert set(ours) == set(expected)
    for name, value in expected.items():
        close(ours[name], value)


@pytest.mark.slow
@pytest.mark.real_data
def test_on_the_true_masks_of_ecssd_all_agree(book_data):
    """Real masks, at their own sizes; the maps are blurred and noisy copies of them."""
    from PIL import Image

    paths = sorted((book_data / "sod" / "ECSSD" / "masks").glob("*.png"))[::25]
    assert len(paths) == 10
    for path in paths:
        target = torch.from_numpy(np.array(Image.open(path).convert("L")) > 127).long()
        blurred = torch.nn.functional.avg_pool2d(target[None].double(), 31, 1, 15)[0]
        prediction = (0.8 * blurred + 0.2 * noise(*target.shape)[0]).clamp(0, 1)
        reference = theirs(prediction, target)
        close(max_f_measure(prediction, target), reference["f"]["fm"]["curve"].max())
        close(s_measure(prediction, target), reference["s"]["sm"])
        close(e_measure(prediction, target), reference["e"]["em"]["curve"].max())
        close(weighted_f_measure(prediction, target), reference["weighted"]["wfm"])


# ---- where the reference and we part, and why ---------------------------------------------------


@every(grey=[0.1, 0.3, 0.7])
def test_an_even_map_is_even_whatever_its_grey(grey):
    """PySODMetrics 1.6.2 judges an even block by the rounding of its mean: the last is 1 for 0.3, 0 for 0.1."""
    target = torch.zeros(8, 12, dtype=torch.int64)
    target[0], target[:, 0] = 1, 1
    # 19 pixels; their centre (28 / 19, 66 / 19) rounds to (1, 3): blocks of 2 × 4, 2 × 8, 6 × 4 and 6 × 8 pixels.  The
    # map is even everywhere, and of the truth the last block alone is: it counts 1, the others 0.
    share = 19 / 96
    by_object = share * 2 * grey / (grey**2 + 1) + (1 - share) * 2 * (1 - grey) / ((1 - grey) ** 2 + 1)
    ours = s_measure(torch.full((8, 12), grey, dtype=torch.float64), target)
    close(ours, 0.5 * by_object + 0.5 * 48 / 96)


def test_an_object_on_the_last_row_has_a_score():
    """Two of the four blocks are empty there; PySODMetrics 1.6.2 gives NaN."""
    target = torch.zeros(7, 9, dtype=torch.int64)
    target[6, 2:5] = 1
    close(s_measure(target.double(), target), 1.0)
    assert 0 < s_measure(noise(7, 9)[0], target) < 1


def test_a_single_pixel_has_a_score():
    """HW − 1 is 0 there."""
    for measure in ALL:
        assert np.isfinite(measure(torch.tensor([[0.25]]), torch.tensor([[1]])))


# ---- sums by hand --------------------------------------------------------------------------------

TARGET = torch.tensor([[1, 1, 0], [0, 0, 0]])
GUESS = torch.tensor([[0.9, 0.4, 0.6], [0.0, 0.1, 0.0]], dtype=torch.float64)


def test_mae_by_hand():
    close(mae(GUESS, TARGET), (0.1 + 0.6 + 0.6 + 0.1) / 6)


def test_max_f_by_hand():
    """Above 0.6: one of one right, one of two found.  Above 0.1: two of three right, both found.  The second wins."""
    first, second = (
        1.3 * precision * recall / (0.3 * precision + recall) for precision, recall in [(1, 0.5), (2 / 3, 1)]
    )
    assert first > second
    close(max_f_measure(GUESS, TARGET), first)
    close(max_f_measure(GUESS, TARGET, beta2=4.0), 5 * (2 / 3) / (4 * 2 / 3 + 1))


def test_a_probability_on_a_threshold_reaches_it():
    """The probability k / 255 is predicted at the threshold k / 255 and not at the next, in float32 and float64."""
    for dtype in (torch.float32, torch.float64):
        prediction = (torch.arange(256, dtype=dtype) / 255).reshape(16, 16)
        true, predicted = saliency._hits(*saliency._checked(prediction, torch.ones(16, 16, dtype=torch.bool)))
        assert predicted.tolist() == list(range(256, 0, -1))
        assert torch.equal(true, predicted)


def test_s_by_hand():
    """The centre of mass (0, 0.5) rounds to (0, 0): blocks of 1, 2, 1 and 2 pixels."""
    inside, outside = np.array([0.9, 0.4]), 1 - np.array([0.6, 0.0, 0.1, 0.0])
    by_object = sum(
        share * 2 * side.mean() / (side.mean() ** 2 + 1 + side.std(ddof=1))
        for share, side in [(1 / 3, inside), (2 / 3, outside)]
    )
    # (0.9 | 1): both even: 1.  (0.4, 0.6 | 1, 0): covariance −0.1, variances 0.02 and 0.5.  (0 | 0): both even: 1.
    # (0.1, 0 | 0, 0): the map varies, the truth does not: 0.
    upper_right = 4 * 0.5 * 0.5 * -0.1 / ((0.25 + 0.25) * 0.52)
    by_region = (1 + 2 * upper_right + 1 + 0) / 6
    close(s_measure(GUESS, TARGET), 0.5 * by_object + 0.5 * by_region)
    close(s_measure(GUESS, TARGET, alpha=0.2), 0.2 * by_object + 0.8 * by_region)


def test_e_by_hand():
    """As the paper writes it, pixel by pixel, on each map that a threshold leaves."""

    def e(*chosen: int) -> float:
        p, t = np.array(chosen) - np.mean(chosen), TARGET.flatten().numpy() - 1 / 3
        return ((1 + 2 * p * t / (p**2 + t**2)) ** 2 / 4).sum() / 5

    adaptive = e(1, 0, 0, 0, 0, 0)  # twice the mean is 2/3
    maps = [adaptive, e(1, 0, 1, 0, 0, 0), e(1, 1, 1, 0, 0, 0), e(1, 1, 1, 0, 1, 0), e(1, 1, 1, 1, 1, 1)]
    # Thresholds up to 0 leave all, then 25 (up to 0.1 · 255), 77 (up to 102), 51 (up to 153), 76 (up to 229), 26 none.
    steps = [76, 51, 77, 25, 1]
    none = 0.25 * 6 / 5  # nothing chosen: p is 0, and so is the alignment

    close(e_measure(GUESS, TARGET, kind="adaptive"), adaptive)
    close(e_measure(GUESS, TARGET), max(maps))
    close(e_measure(GUESS, TARGET, kind="mean"), (np.dot(steps, maps) + 26 * none) / 256)


def test_weighted_f_by_hand():
    """One object pixel, one false alarm at distance 5: it counts 2 − 1/2 times."""
    target, prediction = torch.zeros(1, 9, dtype=torch.int64), torch.zeros(1, 9)
    target[0, 2], prediction[0, 2], prediction[0, 7] = 1, 1, 0.5
    precision = 1 / (1 + 0.5 * 1.5)
    close(weighted_f_measure(prediction, target), 2 * precision / (precision + 1))


def test_a_missed_pixel_among_found_ones_is_forgiven_in_part():
    """By hand: the hole's error 1 becomes the Gaussian's middle weight, all its neighbours being right."""
    target, prediction = torch.ones(9, 11, dtype=torch.int64), torch.ones(9, 11, dtype=torch.float64)
    prediction[4, 5] = 0
    middle = 1 / np.exp(-(np.add.outer(np.arange(-3, 4) ** 2, np.arange(-3, 4) ** 2)) / 50).sum()
    recall = 1 - middle / 99  # the neighbours' own error is 0 and stays 0
    close(weighted_f_measure(prediction, target), 2 * recall / (recall + 1))


@every(
    ("measure", "empty", "full"),
    [
        (mae, 0.25, 0.75),
        (max_f_measure, 0, 1),
        (s_measure, 0.75, 0.25),
        (e_measure, 6 / 5, 6 / 5),  # at a threshold above, and below, the map's grey
        (weighted_f_measure, 0, None),
    ],
)
def test_an_empty_and_a_full_target_follow_their_rules(measure, empty, full):
    grey = torch.full((2, 3), 0.25)
    close(measure(grey, torch.zeros(2, 3, dtype=torch.bool)), empty)
    if full is not None:
        close(measure(grey, torch.ones(2, 3, dtype=torch.bool)), full)


# ---- laws ----------------------------------------------------------------------------------------


def test_the_truth_itself_is_perfect():
    _, target = blob(30, 47)
    best = {mae: 0.0, e_measure: target.numel() / (target.numel() - 1)}
    for measure in ALL:
        close(measure(target.double(), target), best.get(measure, 1.0))


@every(measure=ALL)
def test_a_picture_turned_upside_down_has_the_same_score(measure):
    """Not so for S in general: its centre of mass is rounded.  Here it lies on a pixel of an odd picture's middle."""
    target = torch.zeros(15, 21, dtype=torch.int64)
    target[4:11, 6:15] = 1
    prediction = noise(15, 21)[0]
    if measure is s_measure:
        prediction = (prediction + prediction.flip(0)) / 2  # the block above holds the middle row
    close(measure(prediction.flip(0), target.flip(0)), measure(prediction, target))


@every(measure=ALL, dtype=[torch.bool, torch.uint8, torch.int32])
def test_the_dtype_of_the_truth_does_not_matter(measure, dtype):
    prediction, target = blob(20, 31)
    assert measure(prediction.float(), target.to(dtype)) == measure(prediction.float(), target)


def test_max_f_and_e_see_only_eight_bits():
    prediction, target = blob(20, 31)
    rounded = (prediction * 255).floor() / 255
    assert max_f_measure(rounded, target) == max_f_measure(prediction, target)
    assert e_measure(rounded, target) == e_measure(prediction, target)
    assert mae(rounded, target) != mae(prediction, target)


def test_one_threshold_for_all_is_never_better_than_one_for_each():
    """And F of the means is at least the mean of F, since F is concave."""
    scores = SaliencyScores(weighted_f=False)
    for seed in range(5):
        prediction, target = blob(25, 38, seed=seed)
        scores.update((prediction ** (seed + 1))[None], target[None])
    ours = scores.scores()
    assert ours["per_image_max_f"] > ours["global_max_mean_f"]
    assert ours["global_max_f"] > ours["global_max_mean_f"]
    assert ours["per_image_max_e"] > ours["global_max_mean_e"] > ours["per_image_mean_e"]


def test_a_score_needs_no_gradient_and_leaves_the_map_alone():
    prediction, target = blob(20, 31)
    before = prediction.clone()
    for measure in ALL:
        measure(prediction.requires_grad_(), target)
    assert torch.equal(prediction.detach(), before)


# ---- min_max -------------------------------------------------------------------------------------


def test_min_max_stretches_to_0_and_1():
    assert_close(min_max(torch.tensor([[0.25, 0.5, 0.75]])), torch.tensor([[0.0, 0.5, 1.0]]))


@every(grey=[0.0, 0.3, 1.0])
def test_a_map_of_one_value_stays_as_it_is(grey):
    even = torch.full((4, 6), grey)
    assert torch.equal(min_max(even), even)
    scores = SaliencyScores(normalise=True)
    scores.update(even[None], torch.zeros(1, 4, 6, dtype=torch.int64))
    assert all(np.isfinite(value) for value in scores.scores().values())


def test_each_map_is_stretched_by_itself():
    prediction, target = blob(20, 31)
    scores = SaliencyScores(normalise=True)
    scores.update(torch.stack([prediction, 0.2 + 0.3 * prediction]), torch.stack([target, target]))
    close(scores.scores()["per_image_mae"], mae(min_max(prediction), target))


# ---- a whole set ---------------------------------------------------------------------------------


def test_scores_per_image_are_the_mean_of_each_images_own():
    pairs = [blob(22, 35, seed) for seed in range(5)]
    scores = SaliencyScores()
    scores.update(*(torch.stack(part) for part in zip(*pairs, strict=True)))
    for name, measure in zip(("mae", "max_f", "s", "max_e", "weighted_f"), ALL, strict=True):
        close(scores.scores()[f"per_image_{name}"], np.mean([measure(*pair) for pair in pairs]))


# ---- errors --------------------------------------------------------------------------------------

GREY, TRUTH = torch.full((4, 6), 0.5), torch.ones(4, 6, dtype=torch.int64)


@every(measure=ALL)
@every(
    ("prediction", "target", "said"),
    [
        (GREY[None], TRUTH[None], r"prediction must be one picture.*\(1, 4, 6\); SaliencyScores takes batches"),
        (GREY, TRUTH[None], r"one size.*\(4, 6\) and \(1, 4, 6\)"),
        (GREY[:0], TRUTH[:0], r"at least one pixel.*\(0, 6\)"),
        (GREY, TRUTH.T, r"one size.*\(4, 6\) and \(6, 4\); .*resize what was predicted"),
        ((GREY * 255).byte(), TRUTH, "prediction must hold .*floating point, got torch.uint8"),
        (GREY, TRUTH.float(), "target must hold .*, bool or integer, got torch.float32"),
        (GREY * 3, TRUTH, r"prediction must .*\[0, 1\]; it holds 1.5 to 1.5; of logits take logits.sigmoid\(\)"),
        (GREY - 1, TRUTH, "prediction must .*; it holds -0.5 to -0.5"),
        (GREY * float("nan"), TRUTH, "prediction must .*; it holds NaN"),
        (GREY, TRUTH * 255, "target must .*; it holds 255; 1 is object, .* void .* no saliency score"),
        (GREY, TRUTH * -1, "target must .*; it holds -1"),
    ],
)
def test_bad_input_is_refused_by_name(measure, prediction, target, said):
    with pytest.raises(ValueError, match=said):
        measure(prediction, target)


@every(
    ("call", "said"),
    [
        (lambda: max_f_measure(GREY, TRUTH, beta2=0), "beta2 must be a number above 0, got 0"),
        (lambda: weighted_f_measure(GREY, TRUTH, beta2=-1), "beta2 must be a number above 0, got -1"),
        (lambda: s_measure(GREY, TRUTH, alpha=1.5), r"alpha must lie in \[0, 1\], got 1.5"),
        (lambda: e_measure(GREY, TRUTH, kind="best"), "kind must be one of max, mean, adaptive, got 'best'"),
        (lambda: min_max(GREY[None]), r"prediction must be one map.*\(1, 4, 6\)"),
        (lambda: SaliencyScores(beta2=float("nan")), "beta2 must be a number above 0, got nan"),
        (lambda: SaliencyScores(alpha=-0.1), r"alpha must lie in \[0, 1\], got -0.1"),
    ],
)
def test_a_setting_that_is_not_legal_is_refused_by_name(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_without_scipy_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    for call in (lambda: weighted_f_measure(GREY, TRUTH), SaliencyScores):
        with pytest.raises(ImportError, match="pip install scipy"):
            call()
    scores = SaliencyScores(weighted_f=False)
    scores.update(GREY[None], TRUTH[None])
    assert scores.scores()["per_image_mae"] == 0.5

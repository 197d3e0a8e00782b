"""Crack scores against scipy's distance transform, scikit-learn, torchmetrics, and loops over every threshold."""

import itertools
import math

import numpy as np
import pytest
import torch
import torchmetrics.classification as theirs
from scipy import ndimage
from sklearn import metrics as sklearn
from torch.testing import assert_close

from chapters_code.data.pictures import VOID, read_mask
from chapters_code.metrics import CrackScore, CrackScores, crack_scores
from chapters_code.metrics.cracks import THRESHOLDS, dilate, local_width
from grids import every

TOLERANCES = (0, 1, 1.5, 2, 3)


def cracks(images: int = 5, size: tuple[int, int] = (13, 19), seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return probabilities, with many ties, and thin cracks with some void; no crack in picture 1, void alone in 2."""
    generator = torch.Generator().manual_seed(seed)
    target = (torch.rand(images, *size, generator=generator) < 0.08).long()
    near = dilate(target, 1) * torch.rand(target.shape, generator=generator)
    noise = torch.rand(target.shape, generator=generator)
    probability = ((0.5 * near + 0.4 * noise) * 20).round() / 20
    target[1] = 0
    target[torch.rand(target.shape, generator=generator) < 0.1] = VOID
    target[2] = VOID
    return probability, target


def slow_counts(pred: np.ndarray, target: np.ndarray, tolerance: float) -> np.ndarray:
    """Predicted, right, true and found of one picture, by distance to the nearest pixel of the other mask."""
    true = target == 1
    pred = pred.astype(bool) & (target != VOID)
    far = np.full(pred.shape, np.inf)
    to_true = ndimage.distance_transform_edt(~true) if true.any() else far
    to_pred = ndimage.distance_transform_edt(~pred) if pred.any() else far
    return np.array(
        [pred.sum(), (pred & (to_true <= tolerance)).sum(), true.sum(), (true & (to_pred <= tolerance)).sum()]
    )


def slow_rates(counts: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1, as the words of the docstring say."""
    predicted, right, true, found = map(int, counts)
    if not predicted and not true:
        return 1.0, 1.0, 1.0
    if not predicted or not true or not right:
        return (0.0 if not right else right / predicted, 0.0 if not found else found / true, 0.0)
    precision, recall = right / predicted, found / true
    return precision, recall, 2 * precision * recall / (precision + recall)


# ---- dilation: a disc, and nothing but a disc ---------------------------------------------------


@every(radius=[0, 0.9, 1, math.sqrt(2), 1.5, 2, math.sqrt(5), math.sqrt(13), 5, 7.07, 40, math.inf])
@every(size=[(12, 17), (1, 9), (9, 1), (5, 3)])
def test_a_grown_mask_is_what_lies_within_that_distance(radius, size):
    mask = torch.rand(size, generator=torch.Generator().manual_seed(2)) < 0.06
    mask[-1, 0] = True

    near = torch.from_numpy(ndimage.distance_transform_edt(~mask.numpy()) <= radius)

    assert dilate(mask.byte(), radius).bool().equal(near)
    assert dilate(mask, radius).equal(near)


@every(radius=[1, 2, 2.5, 4])
def test_a_grown_map_is_scipys_grey_dilation(radius):
    """Numbers below 0, too: outside the picture there is nothing that could win."""
    maps = torch.randn(2, 11, 8, generator=torch.Generator().manual_seed(3)) - 5
    reach = int(radius)
    i, j = np.mgrid[-reach : reach + 1, -reach : reach + 1]

    expected = [
        ndimage.maximum_filter(one, footprint=i**2 + j**2 <= radius**2, mode="constant", cval=-np.inf)
        for one in maps.numpy()
    ]

    assert_close(dilate(maps, radius), torch.from_numpy(np.stack(expected)), rtol=0, atol=0)


def width_by_hand(mask, largest):
    """Lay squares of every size everywhere."""
    height, width = mask.shape
    found = (mask == 1).long()
    for side, i, j in itertools.product(range(2, largest + 1), range(height), range(width)):
        square = mask[i : i + side, j : j + side]
        if square.shape == (side, side) and (square == 1).all():
            found[i : i + side, j : j + side].clamp_(min=side)
    return found


@every(size=[(1, 1), (1, 9), (7, 12), (20, 13)], largest=[1, 3, 16])
def test_the_local_width_is_that_of_the_largest_square(size, largest):
    torch.manual_seed(sum(size))
    for share in (0.5, 0.8, 0.95, 1.1):
        mask = (torch.rand(size) < share).long()
        mask[torch.rand(size) < 0.05] = 255  # void is no crack
        assert_close(local_width(mask, largest), width_by_hand(mask, largest))
        assert_close(local_width((mask == 1)[None], largest)[0], width_by_hand(mask, largest))


def test_local_widths_by_hand():
    """A straight crack of 3 pixels with an arm of 1; a slanting one of 1 is 1 wide."""
    mask = torch.zeros(6, 9, dtype=torch.uint8)
    mask[:, 2:5] = 1
    mask[2, 5:] = 1
    width = local_width(mask)
    assert (width[:, 2:5] == 3).all() and (width[2, 5:] == 1).all() and not width[0, 5:].any()
    assert_close(local_width(torch.eye(5, dtype=torch.int64)), torch.eye(5, dtype=torch.int64))


def test_dilation_keeps_the_dtype_and_leaves_its_input_alone():
    for dtype in (torch.uint8, torch.int32, torch.int64, torch.float16, torch.float64, torch.bool):
        maps = (torch.rand(6, 4, generator=torch.Generator().manual_seed(4)) * 2).to(dtype)
        before = maps.clone()

        assert dilate(maps, 2).dtype == dtype
        assert maps.equal(before)


# ---- one cut ------------------------------------------------------------------------------------


@every(tolerance=[*TOLERANCES, math.sqrt(2), 100])
def test_crack_scores_are_those_of_the_distance_transform(tolerance):
    probability, target = cracks()
    pred = probability >= 0.3

    for one in range(len(pred)):
        ours = crack_scores(pred[one], target[one], tolerance)
        assert ours[:3] == pytest.approx(slow_rates(slow_counts(pred[one].numpy(), target[one].numpy(), tolerance)))

    total = sum(slow_counts(p.numpy(), t.numpy(), tolerance) for p, t in zip(pred, target, strict=True))
    assert crack_scores(pred, target, tolerance)[:3] == pytest.approx(slow_rates(total))


def test_without_tolerance_they_are_those_of_scikit_learn_and_torchmetrics():
    probability, target = cracks()
    pred, seen = (probability >= 0.3).long(), target != VOID

    ours = crack_scores(pred, target, tolerance=0)

    expected = sklearn.precision_recall_fscore_support(target[seen], pred[seen], average="binary")[:3]
    assert ours == pytest.approx((*expected, sklearn.jaccard_score(target[seen], pred[seen])))
    assert ours.f1 == pytest.approx(theirs.BinaryF1Score(ignore_index=VOID)(pred, target).item(), abs=1e-6)
    assert ours.iou == pytest.approx(theirs.BinaryJaccardIndex(ignore_index=VOID)(pred, target).item(), abs=1e-6)


LINE = torch.tensor([[0, 1, 0], [0, 1, 0], [0, 1, 0]])
CORNER = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 1, 0]])


@every(
    ("tolerance", "precision", "recall"),
    [
        (0, 1 / 2, 1 / 3),  # only the lowest pixel lies on the line
        (1, 1, 1),  # one to the left is right; the middle pixel is found from below
        (0.99, 1 / 2, 1 / 3),
    ],
)
def test_nine_pixels_by_hand(tolerance, precision, recall):
    f1 = 2 * precision * recall / (precision + recall)

    assert crack_scores(CORNER, LINE, tolerance) == pytest.approx((precision, recall, f1, 1 / 4))


def test_a_diagonal_neighbour_is_further_than_one_pixel():
    here, there = torch.zeros(4, 5, dtype=torch.int64), torch.zeros(4, 5, dtype=torch.int64)
    here[1, 1] = there[2, 2] = 1

    assert crack_scores(here, there, 1).f1 == 0
    assert crack_scores(here, there, math.sqrt(2)).f1 == 1


@every(tolerance=[0, 2])
def test_empty_masks_have_scores_too(tolerance):
    nothing = torch.zeros_like(LINE)

    assert crack_scores(nothing, nothing, tolerance) == (1, 1, 1, 1)
    assert crack_scores(LINE, nothing, tolerance) == (0, 0, 0, 0)
    assert crack_scores(nothing, LINE, tolerance) == (0, 0, 0, 0)


def test_ignored_pixels_neither_count_nor_match():
    """The crack is predicted one pixel beside itself, but there the truth is void."""
    target = torch.tensor([[0, 1, VOID, 0, 0]])
    pred = torch.tensor([[0, 0, 1, 0, 0]])

    assert crack_scores(pred, target, tolerance=1) == (0, 0, 0, 0)
    assert crack_scores(pred | 1, torch.where(target == 0, VOID, target), tolerance=1) == (1, 1, 1, 1)
    assert crack_scores(pred, target.clamp(max=1), ignore_index=1) == (1, 1, 1, 1), "even 1 may mean do not count"


@every(dtype=[torch.bool, torch.uint8, torch.int8, torch.int32])
def test_masks_may_have_any_whole_dtype(dtype):
    pred, target = CORNER.to(dtype), LINE.to(dtype)

    assert crack_scores(pred, target, 1) == crack_scores(CORNER, LINE, 1)
    assert crack_scores(pred[None, None], target[None], 1) == crack_scores(CORNER, LINE, 1)
    assert streamed(pred.float()[None], target[None]).scores() == streamed(CORNER.float()[None], LINE[None]).scores()


def test_turning_prediction_and_truth_round_turns_precision_and_recall_round():
    probability, target = cracks()
    pred, target = (probability > 0.3).long(), (target == 1).long()

    there, back = crack_scores(pred, target, 1), crack_scores(target, pred, 1)

    assert (there.precision, there.recall, there.f1, there.iou) == (back.recall, back.precision, back.f1, back.iou)


def test_more_tolerance_never_lowers_a_score():
    probability, target = cracks()
    scores = [crack_scores(probability > 0.3, target, tolerance) for tolerance in (0, 1, 1.5, 2, 3, 10)]

    for strict, lax in zip(scores, scores[1:], strict=False):
        assert lax.precision >= strict.precision and lax.recall >= strict.recall and lax.f1 >= strict.f1
        assert lax.iou == strict.iou
    assert scores[-1].f1 > scores[1].f1 > scores[0].f1


@pytest.mark.real_data
def test_a_crack_drawn_two_pixels_beside_itself_is_forgiven_at_two_pixels(book_data):
    """The same prediction, three scores: a number without its tolerance says nothing."""
    path = book_data / "crack" / "CFD" / "test" / "masks" / "004.png"
    mask = read_mask(path) // 255
    beside = mask.roll(2, dims=1)

    strict, one, two = (crack_scores(beside, mask, tolerance).f1 for tolerance in (0, 1, 2))

    assert strict < 0.75 < 0.9 < one < 0.95 < 0.99 < two


# ---- many thresholds ----------------------------------------------------------------------------


def streamed(probability: torch.Tensor, target: torch.Tensor, size: int = 99, **settings) -> CrackScores:
    scores = CrackScores(**settings)
    for some in zip(probability.split(size), target.split(size), strict=True):
        scores.update(*some)
    return scores


def slow_scores(probability: torch.Tensor, target: torch.Tensor, tolerance: float, thresholds) -> dict[str, float]:
    """Cut at each threshold, compare every picture by distances, and only then ask which threshold is best."""
    pictures = [pair for pair in zip(probability.numpy(), target.numpy(), strict=True) if (pair[1] != VOID).any()]
    # [threshold][picture] -> four counts
    counts = np.array([[slow_counts(p >= np.float32(t), y, tolerance) for p, y in pictures] for t in thresholds])
    rates = np.array([[slow_rates(one) for one in row] for row in counts])
    overall = np.array([slow_rates(row.sum(0)) for row in counts])
    middle, best = thresholds.index(0.5), overall[:, 2].argmax()
    own = rates[:, :, 2].argmax(0)
    ois = slow_rates(sum(counts[cut, picture] for picture, cut in enumerate(own)))
    expected = {"ods_threshold": thresholds[best], "ois_f1": ois[2], "ois_per_image_f1": rates[:, :, 2].max(0).mean()}
    for place, name in enumerate(("precision", "recall", "f1")):
        expected[f"global_{name}"] = overall[middle, place]
        expected[f"per_image_{name}"] = rates[middle, :, place].mean()
        expected[f"ods_{name}"] = overall[best, place]
    return {f"{name}@{tolerance:g}px": score for name, score in expected.items()}


@every(seed=[0, 1])
@every(thresholds=[THRESHOLDS, (0, 0.25, 0.5, 0.7, 1)])
def test_scores_are_those_of_loops_over_thresholds(thresholds, seed):
    probability, target = cracks(seed=seed)

    ours = streamed(probability, target, tolerances=TOLERANCES, thresholds=thresholds).scores()

    iou = {name: ours.pop(name) for name in ("global_iou", "per_image_iou")}
    expected = {}
    for tolerance in TOLERANCES:
        expected |= slow_scores(probability, target, tolerance, thresholds)
    assert ours == pytest.approx(expected, rel=1e-12)
    seen = [0, 1, 3, 4]
    each = [crack_scores(probability[one] >= 0.5, target[one]).iou for one in seen]
    assert iou["per_image_iou"] == pytest.approx(np.mean(each))
    assert iou["global_iou"] == pytest.approx(crack_scores(probability >= 0.5, target).iou)


def test_the_curve_is_crack_scores_at_each_threshold():
    probability, target = cracks()
    scores = streamed(probability, target)

    curve, mean = scores.curve(2), scores.curve(2, per_image=True)

    for place, threshold in enumerate(THRESHOLDS):
        pred = probability >= threshold
        assert [part[place].item() for part in curve] == pytest.approx(crack_scores(pred, target, 2))
        each = [crack_scores(pred[one], target[one], 2) for one in (0, 1, 3, 4)]
        assert [part[place].item() for part in mean] == pytest.approx(np.mean(each, axis=0))
    assert isinstance(curve, CrackScore) and curve.f1.shape == (99,)


def test_global_f1_and_iou_are_those_of_torchmetrics():
    probability, target = cracks()
    settings = {"ignore_index": VOID, "threshold": 0.5}

    # At a probability of just 0.5 torchmetrics says no and we say yes; nothing else is between 0.5 and 0.5001.
    ours = streamed(probability, target, thresholds=(0.5, 0.5001), threshold=0.5001).scores()

    for name, reference in (("global_f1@0px", theirs.BinaryF1Score), ("global_iou", theirs.BinaryJaccardIndex)):
        assert ours[name] == pytest.approx(reference(**settings)(probability, target).item(), abs=1e-6)


def test_one_threshold_for_all_and_one_for_each_by_hand():
    """Picture a is best cut at 0.3, picture b at 0.8, where its false pixel falls away."""
    a = (torch.tensor([[[0.3, 0.3, 0.0, 0.0]]]), torch.tensor([[[1, 1, 0, 0]]]))
    b = (torch.tensor([[[0.8, 0.0, 0.0, 0.7]]]), torch.tensor([[[1, 0, 0, 0]]]))
    scores = CrackScores(tolerances=(0,), thresholds=(0.3, 0.5, 0.8))
    scores.update(*a)
    scores.update(*b)

    named = scores.scores()

    # At 0.3: 4 predicted, 3 of them right, 3 true.  At 0.5: 2, 1 and 3.  At 0.8: 1, 1 and 3.
    assert (named["ods_threshold@0px"], named["ods_f1@0px"]) == (0.3, pytest.approx(6 / 7))
    assert (named["ods_precision@0px"], named["ods_recall@0px"]) == (3 / 4, 1)
    assert named["ois_f1@0px"] == named["ois_per_image_f1@0px"] == 1
    assert named["global_f1@0px"] == pytest.approx(2 / 5)
    assert named["per_image_f1@0px"] == pytest.approx((0 + 2 / 3) / 2)
    assert named["global_iou"] == pytest.approx(1 / 4)
    assert named["per_image_iou"] == pytest.approx((0 + 1 / 2) / 2)


def test_ois_counts_pixels_and_its_mean_counts_pictures():
    """A large crack found, a small one missed: of 10 true pixels 9 are found; of 2 pictures, one."""
    probability = torch.zeros(2, 1, 9)
    probability[0] = 1
    target = torch.ones(2, 1, 9, dtype=torch.int64)
    target[1, 0, 1:] = 0

    named = streamed(probability, target, tolerances=(0,)).scores()

    assert named["ois_f1@0px"] == pytest.approx(2 * 0.9 / 1.9)
    assert named["ois_per_image_f1@0px"] == 0.5


@every(dtype=[torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_probability_equal_to_the_threshold_is_a_crack(dtype):
    """Compared in the prediction's own dtype: 0.7 in float32 is 0.69999999, and it must not fall below 0.7."""
    for threshold in (0.1, 0.3, 0.5, 0.7, 0.99):
        probability, crack = torch.full((1, 2, 3), threshold, dtype=dtype), torch.ones(1, 2, 3, dtype=torch.int64)
        assert (probability >= threshold).all()
        for one, recall in ((probability, 1), (probability * 0.99, 0)):
            scores = streamed(one, crack, thresholds=(threshold,), threshold=threshold).scores()
            assert scores["global_recall@0px"] == recall, threshold


def test_no_crack_and_none_predicted_is_perfect_and_never_nan():
    nothing = streamed(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.int64)).scores()
    alarm = streamed(torch.ones(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.int64)).scores()
    missed = streamed(torch.zeros(2, 3, 4), torch.ones(2, 3, 4, dtype=torch.int64)).scores()

    for scores, expected in ((nothing, 1), (alarm, 0), (missed, 0)):
        assert {score for name, score in scores.items() if "threshold" not in name} == {expected}


# ---- errors -------------------------------------------------------------------------------------

ZEROS = torch.zeros(2, 3, 4, dtype=torch.int64)


@every(
    ("function", "arguments", "said"),
    [
        (dilate, (ZEROS, -0.001), "radius or tolerance is a number of pixels >= 0, got -0.001"),
        (dilate, (ZEROS, math.nan), "tolerance is a number of pixels >= 0, got nan"),
        (dilate, (ZEROS[0, 0], 1), r"\(\.\.\., H, W\) and at least one pixel, got \(4,\)"),
        (dilate, (ZEROS[:, :, :0], 1), r"at least one pixel, got \(2, 3, 0\)"),
        (local_width, (ZEROS.float(),), "mask must be .* bool or integer, got torch.float32"),
        (local_width, (ZEROS[0, 0],), r"mask must be .*got torch.int64 \(4,\)"),
        (local_width, (ZEROS, 0), "largest must be an integer of 1 or more, got 0"),
        (crack_scores, (ZEROS, ZEROS, -1), "tolerance is a number of pixels >= 0, got -1"),
        (
            crack_scores,
            (ZEROS.float(), ZEROS),
            r"pred must hold class numbers 0\.\.1, .* got torch.float32; .* >= 0.5",
        ),
        (crack_scores, (ZEROS + 255, ZEROS), r"pred must hold class numbers 0\.\.1; it holds 255; .*mask // 255"),
        (crack_scores, (ZEROS - 1, ZEROS), "pred must hold .*; it holds -1"),
        (
            crack_scores,
            (ZEROS, ZEROS + 2),
            "target must hold .* or 255 .* it holds 2; 1 is crack, 0 is not",
        ),
        (crack_scores, (ZEROS, ZEROS.to(torch.int8) - 1), "target must hold .*; it holds -1"),  # not 255 in eight bits
        (crack_scores, (ZEROS, ZEROS.float()), "target must hold .*, bool or integer, got torch.float32"),
        (crack_scores, (ZEROS, ZEROS[0]), r"pred and target must be .* one size.*\(2, 3, 4\) and \(3, 4\)"),
        (crack_scores, (ZEROS[:0], ZEROS[:0]), "at least one pixel"),
        (crack_scores, (ZEROS[None], ZEROS[None]), r"\(1, 2, 3, 4\)"),
        (crack_scores, (ZEROS.to("meta"), ZEROS), "numbers of pred are on meta and the target on cpu"),
        (CrackScores().curve, (3,), r"tolerance must be one of \(0, 1, 2\), got 3"),
    ],
)
def test_what_cannot_be_grown_measured_or_scored_is_refused(function, arguments, said):
    with pytest.raises(ValueError, match=said):
        function(*arguments)


@every(
    ("settings", "said"),
    [
        ({"tolerances": ()}, "tolerances must be one or more"),
        ({"tolerances": (0, -1)}, r"tolerances .* got \(0, -1\)"),
        ({"tolerances": (math.nan,)}, "tolerances .* got .nan,"),
        ({"tolerances": (1, 2, 1)}, r"tolerances must be named once, got \(1, 2, 1\)"),
        ({"thresholds": (0.5, 0.4)}, "thresholds must rise"),
        ({"thresholds": (0.5, 0.5)}, "thresholds must rise"),
        ({"thresholds": (0.5, 1.1)}, r"lie in \[0, 1\]"),
        ({"thresholds": (-0.1, 0.5)}, r"lie in \[0, 1\]"),
        ({"threshold": 0.505}, "threshold must be one of thresholds, got 0.505"),
        ({"thresholds": ()}, "threshold must be one of thresholds"),
    ],
)
def test_bad_settings_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        CrackScores(**settings)

"""The figure *Threshold*: its maps, its scores, and in a real browser the numbers, which are Python's."""

import itertools
import re
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.testing import assert_close

from browsing import at_widths, call, canvas_of, in_module, plain, smallest, table_of
from chapters_code.data import SyntheticCracks
from chapters_code.metrics import ConfusionMatrix, CrackScores, crack_scores
from chapters_code.widgets.moving import es_module
from chapters_code.widgets.threshold import TOLERANCES, Threshold

SCORES = [*(f"{name}@{one}px" for one in TOLERANCES for name in ("precision", "recall", "f1")), "iou", "pixel_accuracy"]


def maps(height=11, width=17, void=True, seed=1):
    """A noisy prediction with 0, 1 and fifths in it (which hundredths are equal to), and a mask of lines."""
    dice = np.random.default_rng(seed)
    target = np.zeros((height, width), np.int64)
    target[height // 2], target[: height // 3, width // 4] = 1, 1
    prediction = 0.6 * dice.random((height, width)) + 0.4 * np.roll(target, 1, axis=0)
    prediction[dice.random((height, width)) < 0.2] = 0.2
    prediction.flat[:4] = 0, 1, 0.4, 0.6
    if void:
        target[:, -3:], target[-2] = 255, 255
    return torch.from_numpy(prediction), torch.from_numpy(target)


EMPTY = torch.zeros(6, 9, dtype=torch.int64)
VOIDED = torch.tensor([[255, 1, 0], [255, 0, 255]])
MAPS = {
    "noise": maps(void=False),
    "noise and void": maps(),
    "tall": maps(23, 6, seed=2),
    "one row": (torch.tensor([[0.1, 0.9, 0.2, 0.1, 1.0]]), torch.tensor([[0, 0, 1, 0, 255]])),
    "one pixel": (torch.tensor([[0.5]]), torch.tensor([[1]])),
    "no crack in the mask": (maps(6, 9)[0], EMPTY),
    "no crack in either": (torch.zeros(6, 9), EMPTY),
    "prediction of zeros": (torch.zeros(6, 9), EMPTY + 1),
    "sure of all": (torch.ones(6, 9), maps(6, 9)[1]),
    "crack beside void": (torch.tensor([[1.0, 0.3, 0.8], [1.0, 0.0, 0.9]]), VOIDED),
}
SETTINGS = [(0, 0), (0.01, 1), (0.2, 2), (0.21, 0), (0.4, 1), (0.5, 2), (0.6, 0), (0.61, 1), (0.99, 2), (1, 0), (1, 2)]

# ---- as Python holds it -------------------------------------------------------------------------


def test_the_road_is_judged_by_its_darkness():
    """Against SciPy: nine times the mean of the grey, from the median (0) down to the darkest (1)."""
    image, mask = SyntheticCracks(1, seed=12)[0]
    figure = Threshold()
    grey = np.floor(np.tensordot([0.299, 0.587, 0.114], image.numpy(), 1) + 0.5 + 1e-9)
    light = ndimage.correlate(grey, np.ones((3, 3)), mode="nearest")
    middle = np.sort(light.flat)[light.size // 2]
    levels = np.floor(255 * np.maximum(middle - light, 0) / (middle - light.min()))

    assert torch.equal(figure.truth, mask) and mask.shape == (96, 128)
    assert torch.equal(figure.probabilities * 255, torch.from_numpy(levels))
    assert levels.max() == 255 and 0.48 < (levels == 0).mean() < 0.55


def test_pixel_accuracy_hardly_moves_where_f1_goes_from_nothing_to_its_best():
    """The lesson: here it even falls a little."""
    best = Threshold(threshold=Threshold().best_threshold)

    assert best.baseline["f1@2px"] == 0 and best.scores["f1@2px"] > 0.8
    assert -0.01 < best.scores["pixel_accuracy"] - best.baseline["pixel_accuracy"] < 0
    assert best.scores["f1@0px"] < 0.5 < 0.7 < best.scores["f1@1px"] < best.scores["f1@2px"]


def test_the_scores_by_hand():
    """Crack at column 2; called: 1 (one off), 4 (two off), 6 (void).  Precision 0/2, 1/2, 2/2; recall 0, 1, 1."""
    figure = Threshold(
        torch.tensor([[0.0, 0.5, 0.4, 0.0, 0.7, 0.0, 0.9]]), torch.tensor([[0, 0, 1, 0, 0, 0, 255]]), 0.5
    )

    assert [figure.scores[f"precision@{one}px"] for one in TOLERANCES] == [0, 0.5, 1]
    assert [figure.scores[f"recall@{one}px"] for one in TOLERANCES] == [0, 1, 1]
    assert [figure.scores[f"f1@{one}px"] for one in TOLERANCES] == [0, 2 / 3, 1]
    assert figure.scores["iou"] == 0 and figure.scores["pixel_accuracy"] == 3 / 6
    assert figure.baseline["pixel_accuracy"] == 5 / 6 and set(figure.baseline.values()) == {0, 5 / 6}
    assert figure.kinds == [["ground", "right", "found", "ground", "right", "ground", "void"]]
    figure.tolerance = 1
    assert figure.kinds == [["ground", "right", "found", "ground", "false alarm", "ground", "void"]]
    figure.tolerance = 0
    assert figure.kinds == [["ground", "false alarm", "missed", "ground", "false alarm", "ground", "void"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
def test_the_scores_are_those_of_the_metrics(name):
    prediction, target = MAPS[name]
    for threshold, tolerance in SETTINGS:
        figure = Threshold(prediction, target, threshold, tolerance)
        answer = (prediction.double() * 255).round() / 255 >= threshold
        confusion = ConfusionMatrix(2)
        confusion.update(answer.long(), target)

        assert list(figure.scores) == SCORES
        assert torch.equal(figure.answer, answer)
        for one in TOLERANCES:
            found = crack_scores(answer, target, one)
            assert [figure.scores[f"{kind}@{one}px"] for kind in ("precision", "recall", "f1")] == list(found[:3])
            assert figure.scores["iou"] == found.iou
        assert figure.scores["pixel_accuracy"] == confusion.pixel_accuracy()


@pytest.mark.parametrize("name", MAPS)
def test_the_kinds_make_precision_and_recall(name):
    """By SciPy's distances: `right` and `found` are what lies within the tolerance."""
    for threshold, tolerance in SETTINGS:
        figure = Threshold(*MAPS[name], threshold, tolerance)
        counted = (figure.truth != 255).numpy()
        true, called = (figure.truth == 1).numpy(), figure.answer.numpy() & counted
        kinds = np.array(figure.kinds)
        near, reached = (
            ndimage.distance_transform_edt(~one) <= tolerance if one.any() else one for one in (true, called)
        )

        expected = {"found": true & reached, "missed": true & ~reached, "right": called & near & ~true,
                    "false alarm": called & ~near, "void": ~counted}  # fmt: skip
        for kind, where in expected.items():
            assert ((kinds == kind) == where).all(), kind
        count = Counter(kinds.flat)
        if true.any():
            assert figure.scores[f"recall@{tolerance}px"] == count["found"] / true.sum()
        if called.any():
            right = called.sum() - count["false alarm"]
            assert figure.scores[f"precision@{tolerance}px"] == right / called.sum()


def test_a_higher_threshold_calls_less_and_a_wider_tolerance_forgives_more():
    for low, high in itertools.pairwise(range(0, 101, 5)):
        below, above = (Threshold(*MAPS["noise and void"], one / 100) for one in (low, high))

        assert (below.answer | ~above.answer).all()
        for one, wider in itertools.pairwise(TOLERANCES):
            assert above.scores[f"recall@{one}px"] <= below.scores[f"recall@{one}px"]
            assert below.scores[f"precision@{one}px"] <= below.scores[f"precision@{wider}px"]


@pytest.mark.parametrize("name", MAPS)
def test_to_answer_nothing_is_the_baseline(name):
    figure = Threshold(*MAPS[name], threshold=0, nothing=True)
    counted = figure.truth != 255

    assert not figure.answer.any() and figure.scores == figure.baseline
    assert figure.baseline["pixel_accuracy"] == (figure.truth[counted] == 0).double().mean().item()
    assert {figure.baseline[one] for one in SCORES[:-1]} == {float(not (figure.truth == 1).any())}
    assert Threshold(*MAPS[name], threshold=0).answer.all()


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_the_best_threshold_is_the_lowest_of_the_best(name, tolerance):
    prediction, target = MAPS[name]
    f1 = {
        percent / 100: Threshold(prediction, target, percent / 100).scores[f"f1@{tolerance}px"]
        for percent in range(1, 100)
    }

    best = Threshold(prediction, target, tolerance=tolerance).best_threshold
    assert best == min(one for one in f1 if f1[one] == max(f1.values()))


def test_probabilities_are_kept_in_255ths():
    """0.5 is 127.5 of them, and rounds to the even 128."""
    figure = Threshold(torch.tensor([[0.5, 0.2, 0.0009, 1.0]]), torch.tensor([[1, 0, 255, 0]]))

    assert (figure.probabilities * 255).tolist() == [[128, 51, 0, 255]]
    assert figure.answer.tolist() == [[True, False, False, True]]
    assert figure.truth.tolist() == [[1, 0, 255, 0]]


@pytest.mark.parametrize(
    "kind",
    [lambda x: x, lambda x: x.numpy(), lambda x: x.float().requires_grad_() if x.is_floating_point() else x.byte()],
)
def test_tensors_and_arrays_are_maps(kind):
    prediction, target = MAPS["noise and void"]
    figure = Threshold(kind(prediction), kind(target))

    assert_close(figure.probabilities, prediction, rtol=0, atol=0.51 / 255)
    assert torch.equal(figure.truth, target)
    assert torch.equal(Threshold(prediction, target == 1).truth, (target == 1).long())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": -0.01}, "threshold must be a number from 0 to 1, got -0.01"),
        ({"threshold": 1.01}, "threshold must be a number from 0 to 1, got 1.01"),
        ({"threshold": float("nan")}, "threshold must be .* got nan"),
        ({"threshold": "0.5"}, "threshold must be .* got '0.5'"),
        ({"threshold": True}, "threshold must be .* got True"),
        ({"threshold": 0.123}, "threshold must have at most 2 decimals, got 0.123: take 0.12"),
        ({"tolerance": 3}, "tolerance must be an integer from 0 to 2, got 3"),
        ({"tolerance": 0.5}, "tolerance must be .* got 0.5"),
        ({"nothing": 1}, "nothing must be True or False, got 1"),
        ({"target": EMPTY}, "prediction and target belong together: give both, or neither"),
        ({"prediction": torch.zeros(6, 9)}, "give both, or neither"),
        ({"prediction": [[None]], "target": EMPTY}, r"prediction must be a tensor or an array .* got \[\[None\]\]"),
        ({"prediction": EMPTY, "target": EMPTY}, r"floating point, got torch.int64; of a mask take mask.float\(\)"),
        ({"prediction": EMPTY - 1.5, "target": EMPTY}, r"it holds -1.5 to -1.5; of logits take logits.sigmoid\(\)"),
        ({"prediction": EMPTY + 1.01, "target": EMPTY}, r"lie in \[0, 1\], it holds 1.01 to 1.01"),
        ({"prediction": EMPTY * np.nan, "target": EMPTY}, "it holds nan to nan"),
        ({"prediction": torch.zeros(1, 6, 9), "target": EMPTY}, r"prediction must .* got \(1, 6, 9\).* take x\[0, 0\]"),
        ({"prediction": torch.zeros(6, 257), "target": EMPTY}, r"from 1 to 256, got \(6, 257\)"),
        ({"prediction": torch.zeros(0, 9), "target": EMPTY}, r"from 1 to 256, got \(0, 9\)"),
        ({"prediction": torch.zeros(6, 9), "target": EMPTY[0]}, r"target must have shape \(H, W\).*got \(9,\)"),
        (
            {"prediction": torch.zeros(6, 9), "target": EMPTY + 2},
            r"target must hold 0, 1 and 255.*torch.int64 with \[2\]",
        ),
        ({"prediction": torch.zeros(6, 9), "target": EMPTY.float()}, "bool or integer, got torch.float32"),
        ({"prediction": torch.zeros(6, 9), "target": EMPTY + 255}, "all of it is 255; a mask file: mask // 255"),
        (
            {"prediction": torch.zeros(9, 6), "target": EMPTY},
            "of one size, got a .* of 9 × 6 .* of 6 × 9|6 × 9 .* 9 × 6",
        ),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        Threshold(**settings)


def test_a_setting_can_be_changed_and_a_bad_one_changes_nothing():
    prediction, target = MAPS["tall"]
    figure = Threshold(prediction, target, threshold=0.3)
    figure.prediction, figure.target = 1 - prediction, (target == 0).long()
    for name, value in (("prediction", torch.zeros(6, 9)), ("target", EMPTY), ("threshold", 7), ("tolerance", "2"),
                        ("nothing", 0)):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            setattr(figure, name, value)

    assert_close(figure.probabilities, 1 - prediction, rtol=0, atol=0.51 / 255)
    assert torch.equal(figure.truth, (target == 0).long())
    assert (figure.threshold, figure.tolerance, figure.nothing) == (0.3, 2, False)
    assert torch.equal(Threshold(figure.prediction, figure.target).answer, figure.probabilities >= 0.5)


def test_the_page_is_small():
    assert len(Threshold().to_html()) < 80_000


@pytest.mark.parametrize("name", ["noise and void", "tall", "one pixel"])
def test_the_still_picture_has_every_pixel_and_the_scores(name):
    """Read back from the strokes."""
    figure = Threshold(*MAPS[name], threshold=0.3, tolerance=1)
    drawing = ElementTree.fromstring(figure.still())
    space = "{http://www.w3.org/2000/svg}"
    colours = {"#0072b2": "found", "#56b4e9": "right", "#000000": "missed", "#d55e00": "false alarm", "#b0b0b0": "void"}
    drawn = [["ground"] * len(row) for row in figure.kinds]
    for path in drawing.iter(f"{space}path"):
        for column, row, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", path.get("d")):
            for j in range(int(column), int(column) + int(length)):
                drawn[int(row)][j] = colours[path.get("stroke")]

    assert drawn == figure.kinds
    texts = [one.text.split(",")[0] for one in drawing.iter(f"{space}text")]
    kinds = [one for one in colours.values() if one in itertools.chain(*figure.kinds)]
    assert texts[: len(kinds) + 2] == [*kinds, "here", "all background"]
    shown = ["precision@1px", "recall@1px", "f1@0px", "f1@1px", "f1@2px", "iou", "pixel_accuracy"]
    numbers = [[f"{scores[one]:.3f}" for scores in (figure.scores, figure.baseline)] for one in shown]
    assert texts[len(kinds) + 2 :][1::3] == [here for here, _ in numbers]
    assert texts[len(kinds) + 2 :][2::3] == [nothing for _, nothing in numbers]


def test_the_description_tells_the_lesson():
    figure, best = Threshold(threshold=0.3, tolerance=1), Threshold(threshold=Threshold(tolerance=1).best_threshold)

    assert figure.description == (
        "Probabilities of crack on 96 × 128 pixels, called crack from 0.30 on:"
        f" F1 {figure.scores['f1@0px']:.3f} at 0 px, {figure.scores['f1@1px']:.3f} at 1 px,"
        f" {figure.scores['f1@2px']:.3f} at 2 px, IoU {figure.scores['iou']:.3f}, pixel accuracy"
        f" {figure.scores['pixel_accuracy']:.3f}; from all background to the best threshold for F1 at 1 px,"
        f" {best.threshold:.2f}, F1 goes from 0.000 to {best.scores['f1@1px']:.3f} and pixel accuracy from"
        f" {figure.baseline['pixel_accuracy']:.3f} to {best.scores['pixel_accuracy']:.3f}."
    )
    assert "pixels, all called background: F1 0.000 at 0 px" in Threshold(nothing=True).description


# ---- in a browser -------------------------------------------------------------------------------


def computed(page, figure, *changes):
    """Let the browser compute everything: the curve and the best thresholds, and the rest at each setting."""
    script = """(f, [state, changes]) => {
        const work = f.prepare(state), curve = f.sweep(work);
        const settings = changes.map((one) => {
            const now = {...state, ...one}, level = f.levelOf(now);
            return {scores: f.scoresOf(work, level), kinds: f.kindsOf(work, level, now.tolerance),
                said: f.sentences(work, curve, now)};
        });
        return {curve, best: [0, 1, 2].map((one) => f.bestOf(curve, one)), settings};
    }"""
    return in_module(page, "threshold.js", script, [figure.state(), changes])


@pytest.mark.browser
@pytest.mark.parametrize("name", [*MAPS, "the road"])
def test_every_number_is_pythons(blank, name):
    """To the last bit: scores and kinds of each setting, and of an answer of nothing."""
    both = MAPS.get(name, (None, None))
    settings = [{"threshold": threshold, "tolerance": tolerance} for threshold, tolerance in SETTINGS]
    settings = [*(settings if name != "the road" else settings[1::3]), {"nothing": True}]
    found = computed(blank, Threshold(*both), *settings)["settings"]

    for setting, theirs in zip(settings, found, strict=True):
        figure = Threshold(*both, **setting)
        assert theirs["scores"] == figure.scores
        assert theirs["kinds"] == list(itertools.chain(*figure.kinds))


@pytest.mark.browser
@pytest.mark.parametrize("name", [*MAPS, "the road"])
def test_the_curves_and_their_best_are_pythons(blank, name):
    figure = Threshold(*MAPS.get(name, (None, None)))
    theirs = computed(blank, figure)
    thresholds = [percent / 100 for percent in range(101)]
    expected = CrackScores(TOLERANCES, thresholds)
    expected.update(figure.probabilities, figure.truth)
    counted = figure.truth != 255

    def curve(score):
        return [one[score] for one in theirs["curve"]]

    for tolerance in TOLERANCES:
        for score in ("precision", "recall", "f1"):
            assert curve(f"{score}@{tolerance}px") == getattr(expected.curve(tolerance), score).tolist()
    assert curve("iou") == expected.curve(0).iou.tolist()
    right = [(figure.probabilities >= one) == (figure.truth == 1) for one in thresholds]
    assert curve("pixel_accuracy") == [one[counted].double().mean().item() for one in right]
    best = [Threshold(figure.prediction, figure.target, tolerance=one).best_threshold for one in TOLERANCES]
    assert theirs["best"] == best


@pytest.mark.browser
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_a_map_grows_by_a_disc(blank, radius):
    """Against SciPy's grey dilation."""
    values = np.random.default_rng(radius).integers(-1, 256, (7, 12))
    around = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
    (found,) = call(
        blank, "threshold.js", "dilate", [[{"height": 7, "width": 12, "values": values.ravel().tolist()}, radius]]
    )
    expected = ndimage.grey_dilation(values, footprint=around, mode="constant", cval=-1)

    assert found == {"height": 7, "width": 12, "values": expected.ravel().tolist()}


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "settings", "fractions"),
    [
        ("the road", {"threshold": 0.6}, "precision = right / predicted = {right} / {called} = {precision}; recall ="
         " found / true = {found} / {true} = {recall}."),
        ("noise and void", {"threshold": 0.3, "tolerance": 0}, "precision = right / predicted = {right} / {called} ="
         " {precision}; recall = found / true = {found} / {true} = {recall}."),
        ("noise", {"nothing": True, "tolerance": 1}, "precision = right / predicted = 0 / 0, which counts as 0; recall"
         " = found / true = 0 / {true} = 0.000."),
        ("no crack in either", {"threshold": 0.5}, "precision = right / predicted = 0 / 0, which counts as 1; recall ="
         " found / true = 0 / 0, which counts as 1."),
        ("no crack in the mask", {"threshold": 0.2, "tolerance": 1}, "precision = right / predicted = 0 / {called} ="
         " 0.000; recall = found / true = 0 / 0, which counts as 0."),
    ],
)  # fmt: skip
def test_the_sentences_are_true(blank, name, settings, fractions):
    figure = Threshold(*MAPS.get(name, (None, None)), **settings)
    (found,) = computed(blank, figure, {})["settings"]
    here, nothing, tolerance = figure.scores, figure.baseline, figure.tolerance
    top = Threshold(figure.prediction, figure.target, figure.best_threshold, tolerance)
    count, f1 = Counter(itertools.chain(*figure.kinds)), f"f1@{tolerance}px"
    called = (figure.answer & (figure.truth != 255)).sum().item()

    assert [plain(one) for one in found["said"]] == [
        f"F1 at {tolerance} px {here[f1]:.3f}, pixel accuracy {here['pixel_accuracy']:.3f}. All background:"
        f" {nothing[f1]:.3f} and {nothing['pixel_accuracy']:.3f}.",
        f"At {tolerance} px: "
        + fractions.format(
            right=called - count["false alarm"],
            called=called,
            precision=f"{here[f'precision@{tolerance}px']:.3f}",
            found=count["found"],
            true=count["found"] + count["missed"],
            recall=f"{here[f'recall@{tolerance}px']:.3f}",
        ),
        f"From all background to the best threshold for F1 at {tolerance} px, {figure.best_threshold:.2f}: F1 goes from"
        f" {nothing[f1]:.3f} to {top.scores[f1]:.3f}, pixel accuracy from {nothing['pixel_accuracy']:.3f} to"
        f" {top.scores['pixel_accuracy']:.3f}.",
    ]


def written_by(figure):
    """What Python would write there; JavaScript rounds a tie, such as 0.3125, up."""
    rows = [[f"{name}@{one}px" for one in TOLERANCES] for name in ("precision", "recall", "f1")]
    rows += [["iou"], ["pixel_accuracy"]]
    numbers = [[*(figure.scores[name] for name in row), figure.baseline[row[0]]] for row in rows]
    return [[f"{number + 1e-12:.3f}" for number in row] for row in numbers]


@pytest.mark.browser
def test_the_boards_are_painted_with_what_they_name(open_page):
    figure = Threshold(*MAPS["noise and void"], 0.3, 1)
    page = open_page(figure)
    colours = {"ground": "#aeb4ba", "found": "#0072b2", "right": "#d4ecff", "missed": "#000000",
               "false alarm": "#d55e00", "void": "#b0b0b0"}  # fmt: skip
    levels = (figure.probabilities * 255).long().tolist()

    assert canvas_of(page, 0) == [[f"#{one:02x}{one:02x}{one:02x}" for one in row] for row in levels]
    assert canvas_of(page, 1) == [[colours[one] for one in row] for row in figure.kinds]
    swatches = page.locator(".legend i:visible")
    painted = swatches.evaluate_all("(nodes) => nodes.map((one) => getComputedStyle(one).backgroundColor)")
    assert ["#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", one)) for one in painted] == [
        *list(colours.values())[1:]
    ]
    assert page.locator(".legend span:visible").all_inner_texts() == [
        "found", "right, beside the crack", "missed", "false alarm", "void"
    ]  # fmt: skip


@pytest.mark.browser
def test_the_plot_has_the_curves_and_what_is_chosen(open_page):
    """Read back from the drawing: x from 30 to 262, y from 168 (0) to 8 (1)."""
    figure = Threshold(*MAPS["noise"], 0.3, 1)
    page = open_page(figure)
    drawing = page.locator(".lower div > svg")

    def points(name):
        pairs = re.findall(r"[ML]([\d.]+) ([\d.]+)", drawing.locator(f"path.{name}").get_attribute("d"))
        return torch.tensor([[(float(x) - 30) / 232, (168 - float(y)) / 160] for x, y in pairs], dtype=torch.float64)

    def dots():
        circles = drawing.locator("circle").evaluate_all(
            "(all) => all.map((one) => ['class', 'cx', 'cy'].map((name) => one.getAttribute(name)))"
        )
        return [(name, float(x), pytest.approx((168 - float(y)) / 160)) for name, x, y in circles]

    expected = CrackScores((1,), [percent / 100 for percent in range(101)])
    expected.update(figure.probabilities, figure.truth)
    thresholds = torch.arange(101, dtype=torch.float64) / 100
    for name, scores in (("f1", expected.curve(1).f1), ("iou", expected.curve(1).iou)):
        assert_close(points(name), torch.stack([thresholds, scores], 1), rtol=0, atol=1e-9)
    accuracy = [Threshold(*MAPS["noise"], one / 100).scores["pixel_accuracy"] for one in range(0, 101, 20)]
    assert points("pixel_accuracy")[::20, 1].tolist() == pytest.approx(accuracy)

    def dots_of(x, scores):
        return [(name, pytest.approx(x), scores[key]) for name, key in
                (("f1", "f1@1px"), ("iou", "iou"), ("pixel_accuracy", "pixel_accuracy"))]  # fmt: skip

    nothing = dots_of(302, figure.baseline)
    assert dots() == nothing + dots_of(30 + 0.3 * 232, figure.scores)
    page.get_by_role("button", name="answer nothing").click()
    assert dots() == nothing + nothing
    assert drawing.locator("path.chosen").get_attribute("d") == "M302 8V168"
    assert page.locator(".key").inner_text().split("\n")[0].startswith("F1 at 1\u00a0px")


@pytest.mark.browser
def test_the_page_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page says what Python computes."""
    setting = {"threshold": 0.5, "tolerance": 2, "nothing": False}
    page = open_page(Threshold(*MAPS["noise and void"]))

    def agree(**changes):
        setting.update(changes)
        figure = Threshold(*MAPS["noise and void"], **setting)
        told = plain(page.locator(".told").inner_text())
        assert table_of(page) == written_by(figure)
        assert told.startswith(f"F1 at {figure.tolerance} px {figure.scores[f'f1@{figure.tolerance}px']:.3f}, pixel")
        words = "not used" if figure.nothing else f"{figure.threshold:.2f}"
        assert page.locator(".slider b").inner_text() == words
        assert page.get_by_role("slider").get_attribute("aria-valuetext") == words
        assert page.get_by_role("slider").input_value() == f"{figure.threshold:g}"
        pressed = page.get_by_role("button", name="answer nothing").get_attribute("aria-pressed")
        assert pressed == str(figure.nothing).lower()
        assert page.locator("thead .now").all_inner_texts() == [f"{figure.tolerance}\u00a0px"]
        assert page.locator("tbody .now").count() == 3
        called = "all called background" if figure.nothing else f"called crack from {figure.threshold:.2f} on"
        name = f"{called}; tolerance {figure.tolerance}\u00a0px"
        assert page.get_by_role("img", name=name).count() == 1
        assert page.locator(".legend span").filter(has_text="right").is_visible() == (figure.tolerance > 0)
        lesson = page.locator(".figure > p").last.inner_text()
        assert f", {figure.best_threshold:.2f}: F1 goes from" in lesson

    def press(name, key, role):
        page.get_by_role(role, name=name).press(key)

    agree()
    press("threshold", "ArrowLeft", "slider")
    agree(threshold=0.49)
    press("threshold", "Home", "slider")
    agree(threshold=0)
    press("threshold", "End", "slider")
    agree(threshold=1)
    press("2", "ArrowLeft", "radio")
    agree(tolerance=1)
    press("best for F1", "Enter", "button")
    agree(threshold=Threshold(*MAPS["noise and void"], tolerance=1).best_threshold)
    press("answer nothing", "Space", "button")
    agree(nothing=True)
    press("1", "ArrowLeft", "radio")
    agree(tolerance=0)
    page.get_by_role("button", name="answer nothing").press("Enter")
    agree(nothing=False)
    page.get_by_role("button", name="answer nothing").press("Enter")
    press("threshold", "Home", "slider")
    agree(threshold=0, nothing=False)
    page.get_by_role("button", name="answer nothing").press("Enter")
    press("best for F1", "Enter", "button")
    agree(threshold=Threshold(*MAPS["noise and void"], tolerance=0).best_threshold)


@pytest.mark.browser
def test_maps_that_a_kernel_changes_are_counted_anew(blank):
    """As a model with a kernel behind it would: `prediction` changes, then `target`; then the figure is closed."""
    states = [Threshold(*MAPS[name], 0.3).state() for name in ("noise", "noise and void")]
    states[1]["prediction"] = Threshold(1 - MAPS["noise"][0], MAPS["noise"][1]).prediction
    seen = blank.evaluate(
        """async ([module, [state, other]]) => {
            const url = URL.createObjectURL(new Blob([module], {type: "text/javascript"}));
            const {default: figure} = await import(url);
            const listeners = {}, el = document.createElement("div"), seen = [];
            const model = {
                get: (name) => state[name],
                on: (event, listener) => { listeners[event] = listener; },
                off: (event) => { delete listeners[event]; },
            };
            const close = figure.render({ model, el });
            for (const name of ["prediction", "target"]) {
                state[name] = other[name];
                listeners["change:" + name]();
                const rows = [...el.firstChild.shadowRoot.querySelectorAll("tbody tr")];
                seen.push(rows.map((row) => [...row.querySelectorAll("td")].map((one) => one.textContent)));
            }
            close();
            return [seen, Object.keys(listeners)];
        }""",
        [es_module("threshold.js"), states],
    )
    prediction, target = 1 - MAPS["noise"][0], MAPS["noise"][1]
    figures = [Threshold(prediction, target, 0.3), Threshold(prediction, MAPS["noise and void"][1], 0.3)]

    assert seen == [[written_by(one) for one in figures], []]


@pytest.mark.browser
def test_two_on_a_page_have_a_state_each(open_page):
    figures = [Threshold(*MAPS["tall"]), Threshold(*MAPS["noise"], tolerance=1), Threshold(*MAPS["tall"])]
    page = open_page(*figures)
    page.get_by_role("slider").nth(2).press("End")

    assert page.locator(".slider b").all_inner_texts() == ["0.50", "0.50", "1.00"]
    figures[2].threshold = 1
    assert table_of(page) == [row for figure in figures for row in written_by(figure)]


# ---- for everyone -------------------------------------------------------------------------------


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_room_for_a_finger(open_page):
    page = open_page(Threshold(), Threshold(torch.full((200, 8), 0.5), torch.ones(200, 8, dtype=torch.bool)))

    assert page.get_by_role("group", name="Threshold, tolerance and scores").count() == 2
    for width in at_widths(page):
        for one in [*page.get_by_role("table").all(), *page.locator("canvas").all(), *page.locator(".key").all()]:
            box = one.bounding_box()
            assert box["x"] + box["width"] <= width - 15 and box["height"] <= 450
        assert smallest(page, "slider", 2)["height"] >= 32
        for role, count in (("button", 6), ("radio", 6)):
            assert min(smallest(page, role, count).values()) >= 32

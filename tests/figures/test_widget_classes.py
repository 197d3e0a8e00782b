"""The figure *Threshold and class*: its street, its scores, and in a real browser the numbers, which are Python's."""

import itertools
from xml.etree import ElementTree

import pytest
import torch
from torch.testing import assert_close

from browsing import at_widths, canvas_of, in_module, plain, smallest, table_of
from chapters_code.widgets.classes import CLASSES, VOID, ThresholdAndClass

THRESHOLDS = [0, 1, 10, 27, 28, 30, 50, 60, 75, 96, 97, 98, 100]
VOIDS = ["left out", "background"]

# ---- as Python holds it -------------------------------------------------------------------------


def test_the_street_is_mostly_background_as_voc_is():
    """72 of 100 cells that count, and each class is somewhere; percentages are shared out to the last one."""
    figure = ThresholdAndClass()
    truth, scores = torch.tensor(figure.truth), torch.tensor(figure.scores)

    assert truth.shape == (24, 36) and scores.shape == (4, 24, 36)
    assert truth.unique().tolist() == [0, 1, 2, 3, VOID]
    assert 0.70 < (truth == 0).sum() / (truth != VOID).sum() < 0.76
    assert (scores.sum(0) == 100).all() and scores.min() >= 0 and scores[1:].max() < 100


def test_no_object_touches_the_background():
    """Void lies between, as in VOC."""
    truth = torch.tensor(ThresholdAndClass().truth)
    for one, other in ((truth[1:], truth[:-1]), (truth[:, 1:], truth[:, :-1])):
        seen = {tuple(sorted(pair)) for pair in zip(one.flatten().tolist(), other.flatten().tolist(), strict=True)}
        assert all(low == high or high == VOID for low, high in seen)


def test_the_answer_by_hand():
    """Row 17, column 3 is sure to be a car by so many percent; the threshold is reached by being equal to it."""
    percent = ThresholdAndClass().scores[1][17][3]

    assert percent == max(ThresholdAndClass().scores[k][17][3] for k in range(4))
    assert ThresholdAndClass(percent).answer[17, 3] == 1
    assert ThresholdAndClass(percent + 1).answer[17, 3] == 0


def test_a_threshold_of_a_half_is_the_largest_of_all_where_an_object_is_named():
    """What has a half or more of the percent has the most; below that background may have more, and is not asked."""
    named = ThresholdAndClass(51).answer
    largest = torch.tensor(ThresholdAndClass().scores).argmax(0)

    assert_close(named[named > 0], largest[named > 0])
    assert (ThresholdAndClass(0).answer > 0).all()


@pytest.mark.parametrize("void", VOIDS)
def test_at_the_top_only_background_is_left(void):
    """The scores are those of the baseline: pixel accuracy still looks good, and mean IoU is a quarter of it."""
    top = ThresholdAndClass(100, void=void)
    middle = ThresholdAndClass(50, void=void).confusion

    assert (top.answer == 0).all()
    assert top.confusion.scores() == middle.baseline()
    assert_close(top.confusion.mean_iou(), top.confusion.pixel_accuracy() / 4)
    assert middle.pixel_accuracy() - top.confusion.pixel_accuracy() < 0.2
    assert middle.mean_iou() > 2.4 * top.confusion.mean_iou()


def test_void_counted_as_background_is_more_background():
    left_out, counted = (ThresholdAndClass(void=void).confusion for void in VOIDS)

    assert counted.matrix.sum() == 24 * 36
    assert_close(counted.matrix[1:], left_out.matrix[1:])
    assert (counted.matrix[0] >= left_out.matrix[0]).all()


@pytest.mark.parametrize(("shown", "void"), [*itertools.product(CLASSES, VOIDS)])
def test_found_missed_and_invented_make_the_iou(shown, void):
    figure, number = ThresholdAndClass(40, shown, void), CLASSES.index(shown)
    kinds = list(itertools.chain(*figure.found))
    both, missed, invented = (kinds.count(kind) for kind in ("both", "missed", "invented"))

    assert both / (both + missed + invented) == figure.confusion.class_iou()[number]
    assert both + missed == figure.confusion.matrix[number].sum()
    assert kinds.count("void") == (figure.target == VOID).sum()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": -1}, "threshold must be an integer from 0 to 100, got -1"),
        ({"threshold": 101}, "threshold must be an integer from 0 to 100, got 101"),
        ({"threshold": 0.5}, "threshold must be .* got 0.5"),
        ({"shown": "cat"}, "shown must be one of background, car, person, bird; got 'cat'"),
        ({"shown": 1}, "shown must be one of .* got 1"),
        ({"void": True}, "void must be one of left out, background; got True"),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        ThresholdAndClass(**settings)


def test_the_still_picture_has_every_cell_and_the_scores():
    """Read back from the rectangles, the third board is the answer."""
    figure = ThresholdAndClass(30, "person")
    drawing = ElementTree.fromstring(figure.still())
    space = "{http://www.w3.org/2000/svg}"
    cells = {}
    for one in drawing.iter(f"{space}rect"):
        x, y = float(one.get("x", 0)), float(one.get("y", 0))
        for row, column in itertools.product(range(int(one.get("height"))), range(int(one.get("width")))):
            cells[y + row, x + column] = one.get("fill")
    drawn = [[cells[31 + row, 1 + column] for column in range(36)] for row in range(24)]
    colours = ["#3c434c", "#56b4e9", "#e69f00", "#cc79a7"]

    assert drawn == [[colours[one] for one in row] for row in figure.answer.tolist()]
    texts = [text.text for text in drawing.iter(f"{space}text")]
    assert texts[:4] == [
        "the truth",
        "sure of person, in percent",
        "the answer, from 30 % on",
        "person: found, missed, invented",
    ]
    confusion = figure.confusion
    assert texts[4].startswith(f"pixel accuracy {100 * confusion.pixel_accuracy():.0f} %, ")
    assert f"mean IoU {confusion.mean_iou():.2f}, IoU of person {confusion.class_iou()[2]:.2f};" in figure.description


# ---- in a browser -------------------------------------------------------------------------------


def call(page, state, *settings):
    """Let the browser compute everything, once per setting; the state's street is handed over once."""
    script = """(f, [state, settings]) => settings.map((one) => {
        const now = {...state, ...one};
        const target = f.targetOf(now), answer = f.answerOf(now), matrix = f.confusion(target, answer);
        return {target, answer, matrix, found: f.foundOf(now), said: f.sentences(now),
            tallies: matrix.map((_, i) => f.tally(matrix, i)), ...f.score(matrix)};
    })"""
    return in_module(page, "classes.js", script, [state, settings])


@pytest.mark.browser
@pytest.mark.parametrize("void", VOIDS)
def test_every_number_is_pythons(blank, void):
    """Integers exactly; the mean of four up to its rounding."""
    settings = [
        {"threshold": threshold, "shown": shown, "void": void}
        for threshold, shown in itertools.product(THRESHOLDS, CLASSES)
    ]

    for one, theirs in zip(settings, call(blank, ThresholdAndClass().state(), *settings), strict=True):
        figure = ThresholdAndClass(**one)
        confusion = figure.confusion
        assert theirs["target"] == figure.target.tolist()
        assert theirs["answer"] == figure.answer.tolist()
        assert theirs["matrix"] == confusion.matrix.tolist()
        assert theirs["found"] == figure.found
        assert theirs["accuracy"] == confusion.pixel_accuracy()
        assert [tally["iou"] for tally in theirs["tallies"]] == confusion.class_iou().tolist()
        assert theirs["meanIou"] == pytest.approx(confusion.mean_iou(), abs=1e-15)


@pytest.mark.browser
@pytest.mark.parametrize(("threshold", "void"), [*itertools.product([0, 50, 100], VOIDS)])
def test_the_sentences_are_true(blank, threshold, void):
    figure = ThresholdAndClass(threshold, "person", void)
    (theirs,) = call(blank, figure.state(), {})
    scores, of_class = (plain(text) for text in theirs["said"])
    confusion, baseline = figure.confusion, figure.confusion.baseline()
    kinds = list(itertools.chain(*figure.found))
    both, missed, invented = (kinds.count(kind) for kind in ("both", "missed", "invented"))

    assert scores == (
        f"Pixel accuracy {100 * confusion.pixel_accuracy():.0f} %, mean IoU {confusion.mean_iou():.2f}."
        f" Background everywhere: {100 * baseline['global_pixel_accuracy']:.0f} % and"
        f" {baseline['global_mean_iou']:.2f}."
    )
    assert of_class == (
        f"person: found {both}, missed {missed}, invented {invented};"
        f" IoU = {both} / ({both} + {missed} + {invented}) = {confusion.class_iou()[2]:.2f}"
    )


@pytest.mark.browser
def test_the_boards_are_painted_with_what_they_name(open_page):
    figure = ThresholdAndClass(30, "person")
    page = open_page(figure)
    colours = {0: "#3c434c", 1: "#56b4e9", 2: "#e69f00", 3: "#cc79a7", VOID: "#e0e0c0"}
    kinds = {
        "neither": "#aeb4ba",
        "both": "#0072b2",
        "missed": "#f0e442",
        "invented": "#d55e00",
        "void": "#e0e0c0",
    }

    assert canvas_of(page, 0) == [[colours[one] for one in row] for row in figure.truth]
    assert canvas_of(page, 2) == [[colours[one] for one in row] for row in figure.answer.tolist()]
    assert canvas_of(page, 3) == [[kinds[one] for one in row] for row in figure.found]
    green = [[int(one[3:5], 16) for one in row] for row in canvas_of(page, 1)]
    lightness = dict(zip(itertools.chain(*figure.scores[2]), itertools.chain(*green), strict=True))
    assert [lightness[percent] for percent in sorted(lightness)] == sorted(lightness.values())
    assert len(set(lightness.values())) > 40  # grey levels, of 53 percentages
    titles = [plain(text) for text in page.locator(".boards p").all_inner_texts()]
    assert titles == [
        "the truth",
        "sure of person (white: 100 %)",
        "the answer, from 30 % on",
        "person: found, missed, invented",
    ]
    assert page.get_by_role("img", name="the truth").count() == 1

    edges = page.locator("tbody td").evaluate_all("(cells) => cells.map((one) => one.style.getPropertyValue('--kind'))")
    missed, both, invented = kinds["missed"], kinds["both"], kinds["invented"]
    rows = [["", "", invented, "", ""]] * 2 + [[missed, missed, both, missed, ""], ["", "", invented, "", ""]]
    assert edges == list(itertools.chain(*rows))


@pytest.mark.browser
def test_the_page_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page says what Python computes."""
    page = open_page(ThresholdAndClass())
    settings = {"threshold": 50, "shown": "car", "void": "left out"}

    def agree(**changes):
        settings.update(changes)
        figure = ThresholdAndClass(**settings)
        ious = figure.confusion.class_iou().tolist()
        assert table_of(page) == [
            [*map(str, counts), f"{iou:.2f}"]
            for counts, iou in zip(figure.confusion.matrix.tolist(), ious, strict=True)
        ]
        said = page.locator(".told").inner_text()
        assert f"mean IoU {figure.confusion.mean_iou():.2f}." in said and f"\n{figure.shown}: found " in said
        marked = page.locator("tbody th.now, thead th.now").all_inner_texts()
        assert marked == [figure.shown] * 2
        assert page.locator("td.kind").count() == 7

    def press(name, key, role="slider"):
        page.get_by_role(role, name=name, exact=True).press(key)

    agree()
    press("threshold, in percent", "ArrowLeft")
    agree(threshold=49)
    press("threshold, in percent", "Home")
    agree(threshold=0)
    press("threshold, in percent", "End")
    agree(threshold=100)
    press("car", "ArrowRight", role="radio")
    agree(shown="person")
    press("left out", "ArrowRight", role="radio")
    agree(void="background")
    press("threshold, in percent", "PageDown")
    agree(threshold=90)
    page.get_by_role("radio", name="background", exact=True).check()
    agree(shown="background")


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_room_for_a_finger(open_page):
    page = open_page(ThresholdAndClass(), ThresholdAndClass(0, "background", "background"))

    assert page.get_by_role("group", name="Threshold and class").count() == 2
    for width in at_widths(page):
        for one in page.get_by_role("table").all():
            box = one.bounding_box()
            assert box["x"] + box["width"] <= width - 15
        assert smallest(page, "slider", 2)["height"] >= 32
        assert min(smallest(page, "radio", 12).values()) >= 30


@pytest.mark.browser
def test_two_on_a_page_have_a_state_each(open_page):
    page = open_page(ThresholdAndClass(), ThresholdAndClass(), ThresholdAndClass(80))
    page.get_by_role("slider").nth(1).press("ArrowRight")
    page.get_by_role("radio", name="bird").nth(1).check()

    assert page.locator(".slider b").all_inner_texts() == ["50", "51", "80"]
    assert page.locator("tbody th.now").all_inner_texts() == ["car", "bird", "car"]

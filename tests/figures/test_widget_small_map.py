"""The figure *ASPP on a small map*: its settings, and in a real browser the numbers, which are Python's."""

import itertools
from xml.etree import ElementTree

import pytest

from browsing import at_widths, call, plain, smallest
from chapters_code.aspp import valid_taps
from chapters_code.widgets.small_map import SmallMap

SIZES = [(1, 1), (1, 9), (10, 15), (20, 30), (33, 33), (40, 60), (65, 65)]
RATES = [1, 2, 5, 6, 9, 12, 18, 24, 33, 36]

# ---- as Python holds it -------------------------------------------------------------------------


def test_the_taps_by_hand():
    """Row 4 of 10, column 7 of 15, rate 6: rows −2, 4, 10 and columns 1, 7, 13."""
    figure = SmallMap(10, 15, 6, row=4, column=7)

    assert [tap for tap in figure.taps if tap[2]] == [(4, 1, True), (4, 7, True), (4, 13, True)]
    assert figure.taps[0] == (-2, 1, False) and figure.taps[8] == (10, 13, False)


@pytest.mark.parametrize("size", [(1, 9), (10, 15), (7, 4)])
@pytest.mark.parametrize("rate", [1, 3, 6, 12])
def test_over_all_pixels_the_taps_make_the_mean(size, rate):
    height, width = size
    counts = [
        sum(inside for *_, inside in SmallMap(height, width, rate, row, column).taps)
        for row, column in itertools.product(range(height), range(width))
    ]

    assert SmallMap(height, width, rate).valid == valid_taps(size, rate)
    assert sum(counts) / len(counts) == valid_taps(size, rate).mean
    assert counts.count(1) / len(counts) == valid_taps(size, rate).centre_only


def test_the_kernel_starts_in_the_middle():
    figure = SmallMap(7, 4)

    assert figure.state() == {"height": 7, "width": 4, "rate": 6, "row": 3, "column": 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 0}, "height must be an integer from 1 to 65, got 0"),
        ({"width": 66}, "width must be an integer from 1 to 65, got 66"),
        ({"height": 2.5}, "height must be .* got 2.5"),
        ({"rate": 0}, "rate must be an integer from 1 to 36, got 0"),
        ({"rate": "6"}, "rate must be .* got '6'"),
        ({"row": -1}, "row must be an integer from 0 to 64, got -1"),
        ({"row": 10}, "must be on the map of 10 × 15, got row=10, column=7; .* count from 0"),
        ({"column": 15}, "must be on the map of 10 × 15, got row=5, column=15"),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        SmallMap(**settings)


def test_the_still_picture_has_the_map_and_nine_taps():
    figure = SmallMap(10, 15, 6, row=4, column=7)
    _, ground, *taps = list(ElementTree.fromstring(figure.still()))

    assert (ground.get("width"), ground.get("height")) == ("15", "10")
    assert [tap.get("fill") != "none" for tap in taps] == [inside for *_, inside in figure.taps]
    assert figure.description == (
        "A 3 × 3 kernel at rate 6 on a map of 10 × 15: at row 4, column 7 3 of 9 taps are on the map, on average 3.96."
    )


# ---- in a browser -------------------------------------------------------------------------------


def told(page):
    """What the figure says, with plain spaces."""
    return [plain(text) for text in page.locator(".told > *").all_inner_texts()]


@pytest.mark.browser
def test_valid_taps_are_pythons(blank):
    """The same sums on the same integers, so exactly the same."""
    cases = [(*size, rate) for size, rate in itertools.product(SIZES, RATES)]

    for (height, width, rate), found in zip(cases, call(blank, "small_map.js", "validTaps", cases), strict=True):
        expected = valid_taps((height, width), rate)
        assert (found["mean"], found["centreOnly"]) == tuple(expected), (height, width, rate)


@pytest.mark.browser
def test_the_taps_are_pythons(blank):
    figures = [
        SmallMap(height, width, rate, row, column)
        for (height, width), rate in itertools.product(SIZES, RATES)
        for row, column in {(0, 0), (height // 2, width // 3), (height - 1, width - 1)}
    ]

    for figure, found in zip(
        figures, call(blank, "small_map.js", "tapsAt", [[one.state()] for one in figures]), strict=True
    ):
        assert [tuple(tap) for tap in found] == figure.taps


@pytest.mark.browser
def test_the_stretches_say_what_each_pixel_has(blank):
    """What is drawn: along one side, one to three taps, from the first pixel to the last without a gap."""
    cases = [(size, rate) for size in (1, 2, 9, 10, 15, 65) for rate in RATES]
    for (size, rate), found in zip(cases, call(blank, "small_map.js", "stretches", cases), strict=True):
        drawn = [taps for start, end, taps in found for _ in range(start, end)]

        assert drawn == [sum(0 <= at + tap < size for tap in (-rate, 0, rate)) for at in range(size)]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("settings", "here", "overall"),
    [
        (
            (10, 15, 6, 4, 7),
            "3 of 9 taps are on the map.",
            "3.96 of 9 on average. Nowhere does the centre stand",
        ),
        ((10, 15, 12, 5, 7), "1 of 9 taps is on the map, the centre. Here the 3 × 3 is a 1 × 1.", "At 60 % of the"),
        ((10, 15, 18, 0, 0), "1 of 9 taps is on the map", "1.00 of 9 on average. Everywhere only the centre is on it"),
        ((65, 65, 33, 32, 32), "1 of 9 taps is on", "At 1 % of the pixels"),
        ((1, 65, 33, 0, 32), "1 of 9", "At 2 % of the pixels"),
    ],
)
def test_the_sentences_are_true(blank, settings, here, overall):
    (found,) = call(blank, "small_map.js", "sentences", [[SmallMap(*settings).state()]])
    said = [plain(text) for text in found]

    assert here in said[0] and overall in said[1]


@pytest.mark.browser
def test_the_page_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page says what Python computes."""
    page = open_page(SmallMap())
    state = SmallMap().state()

    def agree(**changes):
        state.update(changes)
        figure = SmallMap(**state)
        inside = sum(inside for *_, inside in figure.taps)
        here, overall = told(page)
        assert here.startswith(f"Row {figure.row}, column {figure.column}: {inside} of 9 taps ")
        assert overall.startswith(f"Over the whole map: {figure.valid.mean:.2f} of 9 on average.")
        assert page.locator(".tap.in").count() == inside and page.locator(".tap").count() == 9

    def press(name, key, role="slider"):
        page.get_by_role(role, name=name, exact=True).press(key)

    agree()
    press("rate", "ArrowRight")
    agree(rate=7)
    press("row", "End")
    agree(row=9)
    press("height", "ArrowLeft")
    agree(height=9, row=8)  # the kernel stays on the map
    press("column", "Home")
    agree(column=0)
    press("width", "Home")
    agree(width=1)
    press("rate", "End")
    agree(rate=36)
    page.get_by_role("radio", name="33 × 33").check()
    agree(height=33, width=33, row=16, column=16)
    press("rate 18: 3.64", "Enter", role="button")
    agree(rate=18)


@pytest.mark.browser
@pytest.mark.parametrize("way", ["click", "tap"])
def test_the_kernel_moves_to_where_the_reader_points(open_page, way):
    """Also on the largest map; the padding around it leads to the nearest pixel."""
    page = open_page(SmallMap(20, 30, 6), has_touch=True)
    ground = page.locator("rect.map").bounding_box()
    point = {"click": page.mouse.click, "tap": page.touchscreen.tap}[way]

    point(ground["x"] + ground["width"] * 25.5 / 30, ground["y"] + ground["height"] * 3.5 / 20)
    assert told(page)[0].startswith("Row 3, column 25: 4 of 9")
    point(ground["x"] - 8, ground["y"] + ground["height"] + 8)
    assert told(page)[0].startswith("Row 19, column 0: 4 of 9")


@pytest.mark.browser
def test_the_table_below_has_the_means_of_this_map(open_page):
    page = open_page(SmallMap(20, 30, 12))
    buttons = page.locator(".rates button")

    assert [text.split()[-1] for text in buttons.all_inner_texts()] == ["6.24", "3.96", "2.16", "1.40"]
    assert [one.get_attribute("aria-pressed") for one in buttons.all()] == ["false", "true", "false", "false"]


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_a_name_and_room_for_a_finger(open_page):
    page = open_page(SmallMap(65, 65, 36), SmallMap(1, 65, 1))

    assert page.get_by_role("group", name="A dilated kernel on a small map").count() == 2
    for name in ("rate", "height", "width", "row", "column"):
        assert page.get_by_role("slider", name=name, exact=True).count() == 2
    for _ in at_widths(page):
        assert smallest(page, "slider", 10)["height"] >= 32
        for role, count in (("button", 10), ("radio", 10)):
            assert min(smallest(page, role, count).values()) >= 30


@pytest.mark.browser
def test_two_on_a_page_have_a_state_each(open_page):
    page = open_page(SmallMap(), SmallMap(), SmallMap(rate=18))
    page.get_by_role("slider", name="rate").nth(1).press("ArrowRight")

    rates = page.locator(".slider b").all_inner_texts()[::5]
    assert rates == ["6", "7", "18"]

"""The figure Footprint: the browser counts what Python counts, and its pixels are where they should be."""

import itertools
import random
import re
from xml.etree import ElementTree

import pytest

from browsing import at_widths, call, smallest
from chapters_code.dilated import count_holes, footprint
from chapters_code.widgets.footprint import Footprint

# All stacks of up to two layers, and many deeper ones, with both kernels.
DEEP = [[random.Random(seed).randint(1, 8) for _ in range(3 + seed % 3)] for seed in range(200)]
STACKS = [list(one) for layers in (1, 2) for one in itertools.product(range(1, 9), repeat=layers)] + DEEP
STATES = [
    {"rates": rates, "kernel_size": kernel, "crack": place % 17 - 8}
    for place, (rates, kernel) in enumerate(itertools.product(STACKS, (3, 5)))
]


def squares(path):
    """Read the middles of the squares that a path draws: a set of (column, row)."""
    corners = re.findall(r"M(\S+) ([^h]+)h", path)
    middles = [(round(float(x) + 0.46, 6), round(float(y) + 0.46, 6)) for x, y in corners]
    assert len(set(middles)) == len(middles)
    return set(middles)


# ---- in Python ----------------------------------------------------------------------------------


def test_the_figure_knows_what_the_module_counts():
    assert Footprint((1, 2, 5)).offsets == footprint((1, 2, 5))
    assert Footprint([4], kernel_size=5).offsets == (-8, -4, 0, 4, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rates": ()}, r"rates must be a list of one to five numbers, one for the rate of each layer, got \(\)"),
        ({"rates": (1,) * 6}, r"one to five numbers.*got \(1, 1, 1, 1, 1, 1\)"),
        ({"rates": 2}, "got 2"),
        ({"rates": (1, 0)}, "each of rates must be an integer from 1 to 8, got 0"),
        ({"rates": (1, 9)}, "each of rates must be an integer from 1 to 8, got 9"),
        ({"rates": (1.5,)}, "each of rates must be an integer from 1 to 8, got 1.5"),
        ({"kernel_size": 4}, "kernel_size must be one of 3, 5; got 4"),
        ({"kernel_size": "3"}, "kernel_size must be one of 3, 5; got '3'"),
        ({"crack": 9}, "crack must be an integer from -8 to 8, got 9"),
        ({"crack": None}, "crack must be an integer from -8 to 8, got None"),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        Footprint(**settings)


def test_the_description_counts_in_words():
    assert Footprint().description == (
        "What one output pixel sees through 3 layers of 3 × 3 at rates 2, 2, 2:"
        " of 13 × 13 pixels 49 are touched and 120 missed."
    )
    assert "through 1 layer of 5 × 5 at rate 1: of 5 × 5 pixels 25" in Footprint((1,), kernel_size=5).description


@pytest.mark.parametrize(("rates", "crack", "seen"), [((2, 3), 1, 9), ((2, 2, 2), 1, 0), ((1,), 7, 0), ((4, 1), -5, 9)])
def test_the_still_picture_shows_every_pixel_that_is_touched(rates, crack, seen):
    svg = ElementTree.fromstring(Footprint(rates, crack=crack).still())
    touched, on_crack = (squares(path.get("d")) for path in svg.iter("{http://www.w3.org/2000/svg}path"))

    assert touched == set(itertools.product(footprint(rates), repeat=2))
    assert on_crack == {(x, y) for x, y in touched if x == crack} and len(on_crack) == seen


# ---- in the browser -----------------------------------------------------------------------------


@pytest.mark.browser
def test_all_settings_give_pythons_numbers(blank):
    counted = zip(
        STATES,
        call(blank, "footprint.js", "footprint", [[one] for one in STATES]),
        call(blank, "footprint.js", "count", [[one] for one in STATES]),
        strict=True,
    )
    for state, offsets, numbers in counted:
        wanted = footprint(state["rates"], state["kernel_size"])
        side = wanted[-1] - wanted[0] + 1

        assert tuple(offsets) == wanted
        assert numbers == {
            "side": side,
            "touched": len(wanted) ** 2,
            "holes": count_holes(state["rates"], state["kernel_size"]),
        }


@pytest.mark.browser
def test_what_is_said_of_the_crack_is_true(blank):
    for state, text in zip(STATES, call(blank, "footprint.js", "crackText", [[one] for one in STATES]), strict=True):
        offsets = footprint(state["rates"], state["kernel_size"])
        numbers = re.search(r": (\d+) of its (\d+) pixels", text)

        assert ("outside" in text) == (abs(state["crack"]) > offsets[-1]) == (numbers is None)
        assert ("falls through" in text) == ("outside" not in text and state["crack"] not in offsets)
        if numbers:
            seen = len(offsets) if state["crack"] in offsets else 0
            assert (int(numbers[1]), int(numbers[2])) == (seen, 2 * offsets[-1] + 1)


@pytest.mark.browser
def test_the_crack_in_words(blank):
    states = [{"rates": [2, 2, 2], "kernel_size": 3, "crack": crack} for crack in (1, -2, 0, 7)]

    assert call(blank, "footprint.js", "crackText", [[one] for one in states]) == [
        "The crack, 1 pixel to the right: 0 of its 13 pixels in the field are seen. It falls through the holes.",
        "The crack, 2 pixels to the left: 7 of its 13 pixels in the field are seen.",
        "The crack, through the output pixel: 7 of its 13 pixels in the field are seen.",
        "The crack, 7 pixels to the right, lies outside the field.",
    ]


def shown(page):
    """Read the figure: the squares that are touched, those on the crack, and the words."""
    paths = [page.locator(f"svg .{name}").get_attribute("d") for name in ("touched", "seen")]
    return *map(squares, paths), " ".join(page.locator(".told > *").all_inner_texts())


@pytest.mark.browser
def test_the_picture_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page shows what Python counts."""
    page = open_page(Footprint())
    state = {"rates": [2, 2, 2], "kernel_size": 3, "crack": 1}

    def agree(**changes):
        state.update(changes)
        offsets = footprint(state["rates"], state["kernel_size"])
        side, pixels = 2 * offsets[-1] + 1, set(itertools.product(offsets, repeat=2))
        touched, seen, words = shown(page)
        assert touched == pixels
        assert seen == {(x, y) for x, y in pixels if x == state["crack"]}
        holes = count_holes(state["rates"], state["kernel_size"])
        assert words.startswith(
            f"Field {side} × {side} = {side**2} pixels {len(pixels)} touched, {holes} missed The crack"
        )
        assert page.locator("svg").get_attribute("aria-label").startswith(f"Field {side} × {side}")
        assert float(page.locator("svg .field").get_attribute("width")) == side

    def press(name, *keys):
        for key in keys:
            page.get_by_role("slider", name=name, exact=True).press(key)

    agree()
    press("rate of layer 1", "ArrowLeft")
    agree(rates=[1, 2, 2])
    press("rate of layer 3", "ArrowRight", "ArrowRight", "ArrowRight")
    agree(rates=[1, 2, 5])
    press("crack's column", "Home")
    agree(crack=-8)
    press("layers", "ArrowLeft")
    agree(rates=[1, 2])
    assert page.get_by_role("slider").count() == 4  # the rate of a layer that is not there is not shown
    press("layers", "End")
    agree(rates=[1, 2, 5, 1, 1])  # a layer that comes back has its rate again
    page.get_by_role("radio", name="3 × 3").press("ArrowRight")
    agree(kernel_size=5)
    page.get_by_role("button", name="rates 2, 2, 2").press("Enter")
    agree(rates=[2, 2, 2])
    page.get_by_role("button", name="rates 1, 2, 5").click()
    agree(rates=[1, 2, 5])
    page.get_by_role("button", name="Reset").press("Enter")
    agree(rates=[2, 2, 2], kernel_size=3, crack=1)
    press("layers", "End")
    agree(rates=[2, 2, 2, 1, 1])


@pytest.mark.browser
def test_the_crack_stands_in_its_column(open_page):
    """In the picture: the line's middle is that of the squares on it, and the output pixel is in the middle."""
    page = open_page(Footprint(crack=-4))
    middle = {
        name: (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for name in ("crack", "seen", "own", "field")
        for box in [page.locator(f"svg .{name}").bounding_box()]
    }

    assert middle["crack"][0] == pytest.approx(middle["seen"][0], abs=1)
    assert middle["own"] == pytest.approx(middle["field"], abs=1)
    unit = page.locator("svg .field").bounding_box()["width"] / 13
    assert middle["own"][0] - middle["crack"][0] == pytest.approx(4 * unit, abs=1.5)


@pytest.mark.browser
def test_the_crack_is_dragged_and_goes_where_a_finger_taps(open_page):
    """It follows pixel by pixel, stops where its slider stops, and the picture keeps its scale meanwhile."""
    page = open_page(Footprint((1,), crack=0), has_touch=True)
    box = page.locator(".picture").bounding_box()
    slider = page.get_by_role("slider", name="crack's column")

    def point(column):
        return box["x"] + box["width"] * (column + 9.5) / 19, box["y"] + 0.3 * box["height"]

    page.mouse.move(*point(-3))
    assert slider.input_value() == "0"  # not yet held
    page.mouse.down()
    seen = []
    for column in (-3, -4, 1, 9.4, 2):
        page.mouse.move(*point(column))
        seen.append((slider.input_value(), page.locator("svg .crack").get_attribute("x")))
    assert seen == [(str(one), str(one - 0.2)) for one in (-3, -4, 1, 8, 2)]
    assert "2 pixels to the right, lies outside the field" in shown(page)[2]
    page.mouse.up()
    page.mouse.move(*point(-7))
    assert slider.input_value() == "2"
    page.touchscreen.tap(*point(-5))
    assert slider.input_value() == "-5"
    assert page.locator(".picture").evaluate("node => getComputedStyle(node).touchAction") == "pan-y"


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_a_name_and_room_for_a_finger(open_page):
    page = open_page(Footprint((8,) * 5, kernel_size=5, crack=-8), Footprint((1,)))

    assert page.get_by_role("group", name="What a stack of dilated layers sees").count() == 2
    names = ["layers", *(f"rate of layer {i}" for i in range(1, 6)), "crack's column"]
    for _ in at_widths(page):
        assert all(page.get_by_role("slider", name=name, exact=True).first.is_visible() for name in names)
        for role, count in (("slider", 10), ("radio", 4), ("button", 6)):
            assert smallest(page, role, count)["height"] >= 32


@pytest.mark.browser
def test_the_same_figure_twice_has_two_states(open_page):
    page = open_page(Footprint(), Footprint())
    page.get_by_role("button", name="rates 1, 2, 5").nth(1).click()

    assert page.locator(".told strong").all_inner_texts() == ["49 touched, 120 missed", "289 touched, 0 missed"]

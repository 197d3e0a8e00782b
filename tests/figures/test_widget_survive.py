"""Does the crack survive?  The figure as Python holds it, and as a browser shows it."""

import itertools
import re
from decimal import ROUND_HALF_UP, Decimal

import pytest
import torch
from test_widgets import picture_of, words_of
from torch.testing import assert_close

from browsing import at_widths, call, smallest
from chapters_code.strided import BlurPool2d, conv2d
from chapters_code.widgets.survive import KERNELS, Survive

SLOPES, INKS, TAPS = (
    ("straight", "slanted", "diagonal"),
    ("dark", "bright"),
    ("top left", "top right", "bottom left", "bottom right"),
)
WAYS = ["max pooling", "average pooling", "2 × 2, stride 2", "3 × 3, stride 2", "blur, stride 2"]
# Every road under every kernel and every tap; these two do not meddle with each other.
EVERYTHING = [
    {"place": place, "slope": slope, "width": width, "ink": ink, "kernel": kernel, "tap": tap}
    for place, slope, width, ink in itertools.product(range(9), SLOPES, (1, 2, 3), INKS)
    for kernel, tap in zip(itertools.cycle(KERNELS), TAPS, strict=False)
]


# ---- in Python ----------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("width", [1, 2, 3])
def test_every_row_of_the_road_has_its_crack_wherever_it_lies(slope, width):
    for place in range(9):
        road = Survive(place=place, slope=slope, width=width).road

        assert road.shape == (8, 18)
        assert (road == -1).sum(dim=1).tolist() == [width] * 8
    assert torch.equal(road[:, 1:].abs(), Survive(place=7, slope=slope, width=width).road[:, :-1].abs())


def test_the_slopes_by_hand():
    """The first column of the crack in each row, at place 4."""
    columns = {slope: Survive(slope=slope).road.argmin(dim=1).tolist() for slope in SLOPES}

    assert columns == {
        "straight": [8] * 8,
        "slanted": [6, 6, 7, 7, 8, 8, 9, 9],
        "diagonal": [4, 5, 6, 7, 8, 9, 10, 11],
    }


def test_what_is_left_by_hand():
    """At place 4 the crack is in column 8, the first of a block; at place 5 in column 9."""
    even, odd = Survive(place=4).contrasts, Survive(place=5).contrasts

    assert list(even) == list(odd) == WAYS
    assert list(even.values()) == [0, 0.5, 1, 1, 0.5]
    assert list(odd.values()) == [0, 0.5, 0, 0, 0.25]
    assert Survive(ink="bright", place=5).contrasts["max pooling"] == 1


def test_contrast_and_total_by_hand():
    """A kernel of means: its strongest number is the same in all places, and its total is not; the blur the other way.

    The first row of the output has a row of zeros in its windows: (2/9 + 3 · 3/9) / 4 = 11/36.
    """
    places = [Survive(place=place, kernel="mean") for place in range(9)]

    means = [(one.contrasts["3 × 3, stride 2"], one.totals["3 × 3, stride 2"]) for one in places]
    assert means == [pytest.approx((11 / 36, share * 11 / 36)) for share in (1, 2, 1, 2, 1, 2, 1, 2, 1)]
    blurred = [(one.contrasts["blur, stride 2"], one.totals["blur, stride 2"]) for one in places]
    assert blurred == [(share, 0.5) for share in (0.5, 0.25, 0.5, 0.25, 0.5, 0.25, 0.5, 0.25, 0.5)]
    for ink in ("dark", "bright"):
        assert Survive(ink=ink, width=3).totals["average pooling"] == 1.5


@pytest.mark.parametrize("kernel", KERNELS)
def test_totals_are_the_sums_of_even_and_of_odd_columns(kernel):
    """The test by eye of the text, for rows without padding in their windows."""
    weights = torch.tensor(KERNELS[kernel], dtype=torch.float64).sum(dim=0)
    for place in range(9):
        figure = Survive(place=place, kernel=kernel)
        total = -figure.outputs["3 × 3, stride 2"][1:].sum(dim=1)
        assert_close(total, (weights[1] if place % 2 == 0 else weights[::2].sum()).expand(3))


def test_the_outputs_are_those_of_the_books_own_layers():
    figure = Survive(place=3, slope="slanted", width=2, kernel="edge")
    x, kernel = figure.road[None, None], torch.tensor(KERNELS["edge"], dtype=torch.float64)[None, None]

    assert_close(figure.outputs["3 × 3, stride 2"], conv2d(x, kernel, stride=2, padding=1)[0, 0])
    assert_close(figure.outputs["blur, stride 2"], BlurPool2d().double()(x)[0, 0])
    for i, tap in enumerate(TAPS):
        out = Survive(place=3, slope="slanted", width=2, tap=tap).outputs["2 × 2, stride 2"]
        assert torch.equal(out, x[0, 0, i // 2 :: 2, i % 2 :: 2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"place": 9}, "place must be an integer from 0 to 8, got 9"),
        ({"place": -1}, "place must be an integer from 0 to 8, got -1"),
        ({"place": 1.5}, "got 1.5"),
        ({"width": 0}, "width must be an integer from 1 to 3, got 0"),
        ({"width": "2"}, "got '2'"),
        ({"slope": "steep"}, "slope must be one of straight, slanted, diagonal; got 'steep'"),
        ({"ink": None}, "ink must be one of dark, bright; got None"),
        ({"kernel": "sobel"}, "kernel must be one of centre, mean, edge; got 'sobel'"),
        ({"tap": 0}, "tap must be one of top left, top right, bottom left, bottom right; got 0"),
    ],
)
def test_bad_settings_are_refused_with_the_choices(settings, message):
    with pytest.raises(ValueError, match=message):
        Survive(**settings)


def test_the_sentence_says_what_is_left():
    assert Survive(place=5, width=2).description == (
        "A straight dark crack, 2 pixels wide, on a road of 8 × 18 pixels, and what is left of its contrast after"
        " shrinking in five ways: max pooling 0 %, average pooling 50 %, 2 × 2, stride 2 100 %,"
        " 3 × 3, stride 2 100 %, blur, stride 2 75 %."
    )


def test_the_still_picture_shows_the_road_and_five_outputs():
    svg = picture_of(Survive(slope="diagonal", place=1))
    pixels = [rect for rect in svg.iter() if rect.get("width") == "0.94"]

    assert words_of(svg) == [
        "the road",
        *(f"{way}: {left} %" for way, left in zip(WAYS, (0, 25, 0, 0, 27), strict=True)),
    ]
    assert len(pixels) == 8 * 18 + 5 * 4 * 9
    assert (
        sum(pixel.get("fill").endswith(" 18%)") for pixel in pixels) == 8
    )  # black: the crack itself, and nowhere else


# ---- in the browser -----------------------------------------------------------------------------


def shown(page):
    """Read what stands under each output: contrast and total, and for each whether it is luck."""
    texts = [page.locator(f".output > {tag}").all_inner_texts() for tag in ("strong", "span")]
    return list(zip(*(one[which::2] for which in (0, 1) for one in texts), strict=True))


def expected(**settings):
    """The same, by Python."""
    here = Survive(**settings)
    everywhere = [Survive(**settings | {"place": place}) for place in range(9)]
    lines = []
    for way in WAYS:
        left = here.contrasts[way]
        contrast = "contrast gone" if left < 0.005 else f"contrast {percent(left)}"
        texts = (
            contrast,
            [percent(one.contrasts[way]) for one in everywhere],
            f"total {hundredths(here.totals[way])}",
            [hundredths(one.totals[way]) for one in everywhere],
        )
        lines.append(tuple(text if isinstance(text, str) else luck(text) for text in texts))
    return lines  # fmt: skip


def luck(texts):
    """What is said of numbers in all places, in the order of their size."""
    numbers = sorted(set(texts), key=lambda text: float(text.split()[0].replace("−", "-")))
    return "the same in all places" if len(numbers) == 1 else f"luck: {numbers[0]} to {numbers[-1]}"


def hundredths(number):
    """As JavaScript's toFixed(2), with a true minus and no negative nought."""
    short = float(Decimal(number).quantize(Decimal("0.01"), ROUND_HALF_UP)) + 0
    return f"{short:.2f}".replace("-", "−")


def percent(share):
    return f"{int(100 * share + 0.5 + 1e-9)} %"  # as JavaScript rounds: halves go up


def grey_of(page, board, row, column, columns):
    return page.locator(board).locator("span").nth(row * columns + column).evaluate("node => node.style.background")


@pytest.mark.browser
def test_all_settings_give_torchs_numbers(blank):
    """All roads, all outputs, all contrasts and totals."""
    figures = [Survive(**state) for state in EVERYTHING]

    roads, outputs, contrasts, totals = (
        call(blank, "survive.js", name, [[one] for one in EVERYTHING])
        for name in ("road", "shrink", "contrasts", "totals")
    )

    for figure, road, output, contrast, total in zip(figures, roads, outputs, contrasts, totals, strict=True):
        assert road == figure.road.tolist()
        assert list(output) == WAYS
        for way, wanted in figure.outputs.items():
            assert_close(torch.tensor(output[way], dtype=torch.float64), wanted, rtol=0, atol=1e-12)
        assert contrast == pytest.approx(figure.contrasts, abs=1e-12)
        assert total == pytest.approx(figure.totals, abs=1e-12)


@pytest.mark.browser
def test_the_page_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page shows what Python computes."""
    page = open_page(Survive())
    state = {}

    def agree(**changes):
        state.update(changes)
        assert shown(page) == expected(**state)

    agree()
    for place in (5, 6):
        page.get_by_role("slider", name="place").press("ArrowRight")
        agree(place=place)
    page.get_by_role("slider", name="place").press("Home")
    agree(place=0)
    page.get_by_role("slider", name="width").press("ArrowRight")
    agree(width=2)
    page.get_by_role("radio", name="straight").press("ArrowRight")
    agree(slope="slanted")
    page.get_by_role("radio", name="dark").press("ArrowRight")
    agree(ink="bright")
    page.get_by_role("radio", name="centre").press("ArrowLeft")
    agree(kernel="edge")
    page.get_by_role("radio", name="top left").press("ArrowDown")
    agree(tap="top right")


@pytest.mark.browser
def test_the_crack_is_dragged_with_the_mouse(open_page):
    """It follows pixel by pixel, stays under the pointer on a diagonal, and stops where the road ends."""
    page = open_page(Survive(slope="diagonal", width=2))
    box = page.locator(".road").bounding_box()
    place = page.get_by_role("slider", name="place")

    def point(row, column):
        return box["x"] + box["width"] * (column + 0.5) / 18, box["y"] + box["height"] * (row + 0.5) / 8

    page.mouse.move(*point(6, 9))
    page.mouse.down()
    assert place.input_value() == "3"  # column 9 of row 6 is 4 + 3 + (6 - 4)
    page.mouse.move(*point(6, 10))
    assert place.input_value() == "4"
    page.mouse.move(*point(2, 10))
    assert place.input_value() == "8"
    assert shown(page) == expected(slope="diagonal", width=2, place=8)
    page.mouse.move(*point(2, 0))
    assert place.input_value() == "0"
    page.mouse.up()
    page.mouse.move(*point(2, 8))  # no longer held
    assert place.input_value() == "0"


@pytest.mark.browser
def test_the_crack_goes_where_a_finger_taps(open_page):
    page = open_page(Survive(place=0), has_touch=True)
    box = page.locator(".road").bounding_box()

    page.touchscreen.tap(box["x"] + box["width"] * 9.5 / 18, box["y"] + box["height"] / 2)

    assert page.get_by_role("slider", name="place").input_value() == "5"
    assert page.locator(".road").evaluate("node => getComputedStyle(node).touchAction") == "pan-y"  # a page can scroll


@pytest.mark.browser
def test_dark_is_dark_and_pavement_is_grey(open_page):
    page = open_page(Survive(), style="html { background: #121212 }")

    greys = [grey_of(page, ".road", 3, column, 18) for column in (7, 8, 9)]
    assert greys[0] == greys[2] != greys[1]
    red = [int(re.search(r"\d+", grey)[0]) for grey in greys]
    assert red[1] < 60 < 120 < red[0]
    assert page.locator(".output.gone p").all_inner_texts() == ["max pooling"]

    # A dark crack stands out from the grey around it, and that from a dark page and from a light one.
    def luminance(colour):
        shares = [int(one) / 255 for one in re.findall(r"\d+", colour)[:3]]
        linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one, other):
        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    around = page.locator(".road").evaluate("node => getComputedStyle(node).backgroundColor")
    crack = page.locator(".road span").nth(3 * 18 + 8).evaluate("node => getComputedStyle(node).backgroundColor")
    assert min(contrast(around, one) for one in (crack, "rgb(18, 18, 18)", "rgb(255, 255, 255)")) >= 2.9
    assert page.locator(".road").evaluate("node => getComputedStyle(node).paddingTop") == "1px"


@pytest.mark.browser
def test_what_changes_is_said_and_every_part_has_a_name(open_page):
    page = open_page(Survive())
    told = page.locator("[aria-live=polite]")

    page.get_by_role("slider", name="place").press("ArrowRight")
    assert told.text_content() == (
        "Place 5. Left of the contrast: max pooling 0 %, total 0.00; average pooling 50 %, total 0.50;"
        " 2 × 2, stride 2 0 %, total 0.00; 3 × 3, stride 2 0 %, total 0.00; blur, stride 2 25 %, total 0.50."
    )
    names = page.get_by_role("img").evaluate_all("all => all.map((one) => one.ariaLabel)")
    assert names == [
        "The road, 8 × 18 pixels, with the crack at place 5",
        "max pooling: 0 % of the contrast is left",
        "average pooling: 50 % of the contrast is left",
        "2 × 2, stride 2: 0 % of the contrast is left",
        "3 × 3, stride 2: 0 % of the contrast is left",
        "blur, stride 2: 25 % of the contrast is left",
    ]
    assert page.get_by_role("group", name="Does the crack survive?").count() == 1


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_room_for_a_finger(open_page):
    page = open_page(Survive(kernel="mean"))

    for _ in at_widths(page):
        first, second = (page.locator(".output").nth(i).bounding_box() for i in (0, 1))
        assert first["y"] == second["y"]  # two side by side, also on a phone
        for role, count in (("slider", 2), ("radio", 12)):
            assert smallest(page, role, count)["height"] >= 32


@pytest.mark.browser
def test_two_figures_on_a_page_have_their_own_state(open_page):
    page = open_page(Survive(), Survive())
    page.get_by_role("slider", name="place").nth(1).press("End")

    assert [one.input_value() for one in page.get_by_role("slider", name="place").all()] == ["4", "8"]

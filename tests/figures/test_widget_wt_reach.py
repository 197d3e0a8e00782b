"""The figure *WTConv reach*: its settings, and in a real browser the numbers, which are Python's."""

import itertools
import re
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from browsing import at_widths, call, plain, smallest, table_of
from chapters_code.receptive_field import receptive_field
from chapters_code.widgets.wt_reach import WTReach
from chapters_code.wtconv import WTConv2d

SETTINGS = list(itertools.product(range(1, 6), (3, 5, 7, 9)))
SIZES = [(1, 1), (1, 9), (7, 7), (13, 21), (40, 60), (512, 300)]

# ---- as Python holds it -------------------------------------------------------------------------


def on_map(square, height, width):
    """The pixels of a square that are on a map, bool (height, width)."""
    top, left, side = square
    rows, columns = torch.arange(height), torch.arange(width)
    return ((rows >= top) & (rows < top + side))[:, None] & ((columns >= left) & (columns < left + side))


@pytest.mark.parametrize(("levels", "kernel_size"), [(1, 3), (1, 7), (2, 3), (2, 5), (3, 3)])
@pytest.mark.parametrize("size", [(20, 29), (5, 11)])
def test_the_last_square_is_what_gradients_reach_at_every_place(levels, kernel_size, size):
    """Also on a map that the field does not fit into, with odd sides."""
    torch.manual_seed(3)
    layer = WTConv2d(1, 1, kernel_size, wt_levels=levels).double()
    for weight in layer.parameters():
        nn.init.uniform_(weight, 0.5, 1)
    rows, columns = range(0, size[0], 3), range(size[1] // 2, min(size[1], size[1] // 2 + 2**levels))
    places = list(itertools.product(rows, columns))
    x = torch.randn(len(places), 1, *size, dtype=torch.float64, requires_grad=True)
    out = layer(x)
    (gradient,) = torch.autograd.grad(sum(out[i, 0, row, column] for i, (row, column) in enumerate(places)), x)

    for place, reached in zip(places, gradient[:, 0] != 0, strict=True):
        figure = WTReach(levels, kernel_size, *size, *place)
        assert torch.equal(reached, on_map(figure.squares[-1], *size)), place
        assert figure.reach == figure.squares[-1][2]


@pytest.mark.parametrize(
    ("levels", "kernel_size", "size", "place"), [(1, 5, (20, 23), (7, 12)), (2, 3, (19, 26), None)]
)
def test_the_last_square_is_the_receptive_field(levels, kernel_size, size, place):
    figure = WTReach(levels, kernel_size, *size, *(place or ()))
    field = receptive_field(WTConv2d(1, 1, kernel_size, wt_levels=levels), size, place)

    assert field.size == (figure.reach, figure.reach)
    assert torch.equal(field.touched, on_map(figure.squares[-1], *size))


@pytest.mark.parametrize(("levels", "kernel_size"), SETTINGS)
def test_squares_lie_in_each_other_and_move_by_blocks(levels, kernel_size):
    """The first is the kernel around the pixel; the last is the same for a block, and the next block's is beside it."""
    block = 2**levels
    figures = [WTReach(levels, kernel_size, 200, 200, at, 63) for at in (block, 2 * block - 1, 2 * block)]
    here, same, moved = (figure.squares for figure in figures)

    assert here[0] == (block - kernel_size // 2, 63 - kernel_size // 2, kernel_size)
    assert here[-1] == same[-1] and moved[-1] == (here[-1][0] + block, *here[-1][1:])
    assert [side for *_, side in here] == [kernel_size * 2**level for level in range(levels + 1)]
    for inner, outer in itertools.pairwise(here):
        for start, around in zip(inner[:2], outer[:2], strict=True):
            assert around <= start and start + inner[2] <= around + outer[2]


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [((1, 5), (131, 101)), ((2, 5), (235, 401)), ((3, 5), (339, 1601)), ((1, 3), (51, 37)), ((5, 9), (1723, 82945))],
)
def test_parameters_by_hand(settings, parameters):
    """For 5 × 5 the published 131, 235 and 339; the one kernel has a bias, too.  Both are real layers' counts."""
    figure = WTReach(*settings)
    big = nn.Conv2d(1, 1, figure.reach)

    assert figure.parameters == parameters
    assert sum(one.numel() for one in big.parameters()) == parameters[1]


@pytest.mark.parametrize("kernel_size", [3, 5, 7, 9])
def test_it_pays_from_two_levels_on(kernel_size):
    saves = {levels: small < big for levels in range(1, 6) for small, big in [WTReach(levels, kernel_size).parameters]}

    assert WTReach(kernel_size=kernel_size).pays_from == 2
    assert saves == {1: False, 2: True, 3: True, 4: True, 5: True}


def test_multiply_adds_are_the_papers_and_a_sum_by_hand():
    """Finder et al. count 17.9 million for three levels on 512 × 512; 7 × 13 has bands of 4 × 7 and 2 × 4."""
    assert WTReach(3, 5, 512, 512).multiply_adds == (17_907_712, 1600 * 512 * 512)
    assert WTReach(2, 3, 7, 13).multiply_adds == (
        9 * 7 * 13 + (4 * 7 + 2 * 4) * 4 * (4 + 9 + 4),
        12 * 12 * 7 * 13,
    )


def test_asking_for_numbers_leaves_chance_as_it_was():
    before = torch.get_rng_state()
    figure = WTReach()

    assert figure.parameters and figure.multiply_adds and figure.description and figure.pays_from
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": 0}, "levels must be an integer from 1 to 5, got 0"),
        ({"levels": 6}, "levels must be .* got 6"),
        ({"levels": 1.5}, "levels must be .* got 1.5"),
        ({"kernel_size": 4}, "kernel_size must be one of 3, 5, 7, 9; got 4"),
        ({"kernel_size": 11}, "kernel_size must be an integer from 3 to 9, got 11"),
        ({"kernel_size": "5"}, "kernel_size must be an integer from 3 to 9, got '5'"),
        ({"height": 0}, "height must be an integer from 1 to 512, got 0"),
        ({"width": 513}, "width must be an integer from 1 to 512, got 513"),
        ({"row": -1}, "row must be an integer from 0 to 511, got -1"),
        ({"row": 40}, "must be on the map of 40 × 60, got row=40, column=30; .* count from 0"),
        ({"column": 60}, "must be on the map of 40 × 60, got row=20, column=60"),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        WTReach(**settings)


def test_the_state_is_that_of_wt_reach_js():
    assert WTReach().state() == {
        "column": 30, "height": 40, "kernel_size": 5, "levels": 2, "row": 20, "width": 60,
    }  # fmt: skip


def test_the_still_picture_has_the_map_the_squares_and_the_pixel():
    """The last square lies lowest, so that the ones within are seen."""
    figure = WTReach(row=2, column=59)
    _, ground, drawn, *squares, spot = [one.attrib for one in ElementTree.fromstring(figure.still()).iter()]
    numbers = [tuple(int(one[name]) for name in ("y", "x", "width")) for one in squares]

    assert (drawn["width"], drawn["height"]) == ("60", "40")
    assert numbers == figure.squares[::-1] == [(-8, 48, 20), (-2, 54, 10), (0, 57, 5)]
    assert all(one["width"] == one["height"] for one in squares)
    assert (float(spot["x"]), float(spot["y"])) == (59, 2)
    # Room for the field of the last pixel, and for the one kernel around it.
    assert (ground["x"], ground["y"], ground["width"], ground["height"]) == ("-10", "-10", "80", "60")
    assert figure.description == (
        "A WTConv with 2 levels of 5 × 5 reaches 20 × 20 pixels with 235 parameters per channel, where one kernel has"
        " 401: for row 2, column 59 of a map of 40 × 60 these are rows −8 to 11, columns 48 to 67."
    )


# ---- in a browser -------------------------------------------------------------------------------


def states(*sizes):
    """Figures on a grid of all settings; the pixel is in a corner, or not in the middle."""
    return [
        WTReach(levels, kernel_size, height, width, row, column)
        for (levels, kernel_size), (height, width) in itertools.product(SETTINGS, sizes)
        for row, column in {(0, 0), (height // 2, width // 3), (height - 1, width - 1)}
    ]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("squaresOf", lambda figure: [list(one) for one in figure.squares]),
        ("reachOf", lambda figure: figure.reach),
        ("parametersOf", lambda figure: list(figure.parameters)),
    ],
)
def test_numbers_are_pythons(blank, function, expected):
    """Integers, so exactly."""
    figures = states(*SIZES)
    found = call(blank, "wt_reach.js", function, [[one.state()] for one in figures])

    assert found == [expected(one) for one in figures]


@pytest.mark.browser
def test_multiply_adds_are_pythons(blank):
    figures = [WTReach(levels, size, *SIZES[i % 6]) for i, (levels, size) in enumerate(SETTINGS)]
    found = call(blank, "wt_reach.js", "multiplyAddsOf", [[one.state()] for one in figures])

    assert found == [list(one.multiply_adds) for one in figures]
    assert call(blank, "wt_reach.js", "paysFrom", [[size] for size in (3, 5, 7, 9)]) == [
        WTReach(kernel_size=size).pays_from for size in (3, 5, 7, 9)
    ]


@pytest.mark.browser
def test_the_pixels_on_the_map_are_counted(blank):
    figures = states((1, 9), (13, 21), (40, 60))
    cases = [(list(square), figure.state()) for figure in figures for square in figure.squares[::2]]

    for (square, state), found in zip(cases, call(blank, "wt_reach.js", "onMap", cases), strict=True):
        assert found == int(on_map(square, state["height"], state["width"]).sum()), (square, state)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            (),
            [
                "2 levels of 5 × 5: 235 parameters. One kernel of 20 × 20: 401.",
                "WTConv saves 166 per channel; it pays from 2 levels on.",
                "Row 20, column 30 sees rows 12 to 31, columns 20 to 39, as does all of its block of 4 × 4; in the next"
                " block the field has moved by 4.",
            ],
        ),
        (
            (1, 5, 13, 21, 0, 20),
            [
                "1 level of 5 × 5: 131 parameters. One kernel of 10 × 10: 101.",
                "WTConv does not pay yet: 30 more per channel. It pays from 2 levels on.",
                "Row 0, column 20 sees rows −4 to 5, columns 16 to 25, as does all of its block of 2 × 2; in the next"
                " block the field has moved by 2. Of its 100 pixels, 30 are on the map.",
            ],
        ),
        (
            (5, 9, 7, 7),
            [
                "5 levels of 9 × 9: 1,723 parameters. One kernel of 288 × 288: 82,945.",
                "WTConv saves 81,222 per channel; it pays from 2 levels on.",
                "Row 3, column 3 sees rows −128 to 159, columns −128 to 159, as does all of its block of 32 × 32; in"
                " the next block the field has moved by 32. Of its 82,944 pixels, 49 are on the map.",
            ],
        ),
    ],
)
def test_the_sentences_are_true(blank, settings, said):
    (found,) = call(blank, "wt_reach.js", "sentences", [[WTReach(*settings).state()]])

    assert [plain(one) for one in found] == said


def millions(count):
    return f"{count:,}" if count < 1e6 else f"{count / 1e6:,.1f} million".replace(".0 ", " ")


@pytest.mark.browser
def test_the_page_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page says what Python computes."""
    page = open_page(WTReach())
    state = WTReach().state()

    def agree(**changes):
        state.update(changes)
        figure = WTReach(**state)
        top, left, reach = figure.squares[-1]
        parameters, work = table_of(page)[::2]
        assert parameters == [f"{one:,}" for one in figure.parameters]
        assert work == [millions(one) for one in figure.multiply_adds]
        assert plain(page.locator("thead th").last.inner_text()) == f"one kernel of {reach} × {reach}"
        seen = page.locator(".told span").last.inner_text().replace("−", "-")
        assert seen.startswith(
            f"Row {figure.row}, column {figure.column} sees rows {top} to {top + reach - 1},"
            f" columns {left} to {left + reach - 1}, as"
        )
        assert page.locator(".square").count() == figure.levels + 1

    def press(name, key, role="slider"):
        page.get_by_role(role, name=name, exact=True).press(key)

    agree()
    press("levels", "ArrowRight")
    agree(levels=3)
    press("row", "End")
    agree(row=39)
    press("column", "ArrowLeft")
    agree(column=29)
    press("5 × 5", "ArrowRight", role="radio")
    agree(kernel_size=7)
    press("40 × 60", "ArrowRight", role="radio")
    agree(height=28, width=28, row=14, column=14)
    press("28 × 28", "ArrowRight", role="radio")
    agree(height=13, width=21, row=6, column=10)
    press("row", "End")
    agree(row=12)
    press("levels", "End")
    agree(levels=5)
    press("levels", "Home")
    agree(levels=1)


@pytest.mark.browser
@pytest.mark.parametrize("way", ["click", "tap"])
def test_the_pixel_moves_to_where_the_reader_points(open_page, way):
    """What lies around the map leads to its nearest pixel."""
    page = open_page(WTReach(3, 5, 13, 21), has_touch=True)
    ground = page.locator("rect.edge").bounding_box()
    point = {"click": page.mouse.click, "tap": page.touchscreen.tap}[way]

    def told():
        return page.locator(".told span").last.inner_text()

    point(ground["x"] + ground["width"] * 17.5 / 21, ground["y"] + ground["height"] * 2.5 / 13)
    assert told().startswith("Row 2, column 17 sees rows −16 to 23, columns 0 to 39")
    point(ground["x"] - 8, ground["y"] + ground["height"] + 8)
    assert told().startswith("Row 12, column 0 sees")


@pytest.mark.browser
def test_the_drawing_is_in_its_place_and_does_not_jump(open_page):
    """Squares and block stand on the grid, the one kernel around the pixel; the view stays when the pixel moves."""
    page = open_page(WTReach(2, 5, 13, 21, 6, 9))

    def boxes(name):
        names = ("y", "x", "width", "height")
        return [[float(one.get_attribute(side)) for side in names] for one in page.locator(f".map rect.{name}").all()]

    view = page.locator(".map").get_attribute("viewBox")
    assert boxes("square") == [[-4, 0, 20, 20], [2, 4, 10, 10], [4, 7, 5, 5]]
    assert boxes("block") == [[4, 8, 4, 4]] and boxes("big") == [[-4, -1, 20, 20]] and boxes("spot") == [[6, 9, 1, 1]]
    page.get_by_role("slider", name="row").press("End")
    assert boxes("square")[0] == [4, 0, 20, 20] and boxes("big") == [[2, -1, 20, 20]]
    assert page.locator(".map").get_attribute("viewBox") == view == "-10 -10 44 36"


@pytest.mark.browser
@pytest.mark.parametrize(("levels", "kernel_size"), [(1, 5), (4, 3)])
def test_the_plot_shows_the_counts_on_logarithmic_axes(open_page, levels, kernel_size):
    """Read back from the places of the tick numbers; the grey begins between one level and two."""
    page = open_page(WTReach(levels, kernel_size))

    def places(selector, name):
        return [float(one.get_attribute(name)) for one in page.locator(f".plot {selector}").all()]

    def read(place, ticks, at):
        first, second = torch.tensor(ticks[:2]).log()
        return float((first + (place - at[0]) / (at[1] - at[0]) * (second - first)).exp())

    def numbers(selector):
        texts = page.locator(f".plot {selector}").all_text_contents()
        return [float(one.replace(",", "")) for one in texts if re.fullmatch("[0-9,]+", one)]

    reaches, counts = (numbers("text.below"), places("text.below", "x")), (numbers("text.up"), places("text.up", "y"))
    assert reaches[0] == [10, 20, 50, 100, 200] and counts[0] == [100, 1000, 10000, 100000]
    figures = [WTReach(one, kernel_size) for one in range(1, 6)]
    for which, name in enumerate(("small", "large")):
        assert [read(x, *reaches) for x in places(f"circle.{name}", "cx")] == pytest.approx(
            [one.reach for one in figures], rel=1e-3
        )
        assert [read(y, *counts) for y in places(f"circle.{name}", "cy")] == pytest.approx(
            [one.parameters[which] for one in figures], rel=1e-3
        )
        chosen = page.locator(f".plot circle.{name}").evaluate_all("all => all.map((one) => one.matches('.chosen'))")
        assert chosen == [one.levels == levels for one in figures]
    (grey,) = places("rect.pays", "x")
    assert figures[0].reach < read(grey, *reaches) < figures[1].reach


@pytest.mark.browser
def test_the_smaller_number_stands_out_and_per_pixel_is_a_share(open_page):
    """One level of 5 × 5 has more parameters than the one kernel, and still fewer multiply-adds."""
    page = open_page(WTReach(1))
    bold = "all => all.map((one) => Number(getComputedStyle(one).fontWeight) >= 600)"

    assert page.locator("tbody td").evaluate_all(bold) == [False, True, True, False, True, False]
    assert table_of(page)[1] == ["58", "100"]  # 25 + 25 + 8


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_a_name_and_room_for_a_finger(open_page):
    page = open_page(WTReach(), WTReach(5, 9, 512, 512), WTReach(1, 3, 1, 9))

    assert page.get_by_role("group", name="Reach and cost of a WTConv").count() == 3
    for name in ("levels", "row", "column"):
        assert page.get_by_role("slider", name=name, exact=True).count() == 3
    beyond = """(all) => all.filter((one) => {
        const box = one.getBoundingClientRect(), plot = one.parentNode.getBoundingClientRect();
        return box.left < plot.left || box.right > plot.right;
    }).map((one) => one.textContent)"""
    for _ in at_widths(page):
        for table in page.locator("table").all():
            box, cell = table.bounding_box(), table.locator("xpath=..").bounding_box()
            assert box["width"] <= cell["width"]
        assert smallest(page, "slider", 9)["height"] >= 32
        assert min(smallest(page, "radio", 30).values()) >= 30
        assert page.locator(".plot text").count() > 30
        assert page.locator(".plot text").evaluate_all(beyond) == []


@pytest.mark.browser
def test_two_on_a_page_have_a_state_each(open_page):
    page = open_page(WTReach(), WTReach(), WTReach(4))
    page.get_by_role("slider", name="levels").nth(1).press("End")

    assert page.locator(".slider b").all_inner_texts()[::3] == ["2", "5", "4"]
    assert page.locator("input[type=radio]:checked").count() == 6  # the groups of one figure are not another's

"""The figure *Overlap*: its settings, and in a real browser the numbers, which are Python's."""

import itertools
import re
from xml.etree import ElementTree

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from browsing import at_widths, call, smallest
from chapters_code.widgets.overlap import Overlap

KERNELS = ("ones", "bilinear", "random")
SETTINGS = list(itertools.product(range(1, 9), range(1, 5), KERNELS))
# Python's tents are float32, JavaScript's are double; sums of up to 64 taps of at most 1.
CLOSE = {"rtol": 0, "atol": 1e-5}

# ---- as Python holds it -------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("size", "stride"), [(1, 4), (2, 3), (3, 2), (4, 2), (5, 3), (8, 1), (8, 4)])
def test_answer_and_counts_are_pytorchs(size, stride, kernel):
    figure, flat = Overlap(size, stride, kernel), torch.ones(1, 1, 8, 10, dtype=torch.float64)

    assert_close(figure.answer, functional.conv_transpose2d(flat, figure.weight, stride=stride)[0, 0])
    counts = functional.conv_transpose2d(flat, torch.ones_like(figure.weight), stride=stride)[0, 0]
    assert torch.equal(figure.counts, counts.long())


@pytest.mark.parametrize(("size", "stride", "kernel"), SETTINGS)
def test_every_kernel_has_an_inside_and_it_is_made_of_the_tiles(size, stride, kernel):
    """The largest kernel at stride 1 leaves the fewest pixels whose stamps are all there, and still some."""
    figure = Overlap(size, stride, kernel)
    answer = figure.answer
    rows, columns = (
        torch.arange(size - 1, min(side, end * stride)) for side, end in zip(answer.shape, (8, 10), strict=True)
    )

    assert len(rows) and len(columns)
    expected = figure.tiles[(rows % stride)[:, None], columns % stride]
    assert_close(answer[rows[:, None], columns], expected, **CLOSE)


@pytest.mark.parametrize(
    ("settings", "tiles", "unevenness"),
    [
        ((3, 2), [[4, 2], [2, 1]], 3 / 2.25),
        ((4, 2), [[4, 4], [4, 4]], 0),
        ((1, 2), [[1, 0], [0, 0]], 4),
        ((5, 1), [[25]], 0),
        ((4, 2, "bilinear"), [[1, 1], [1, 1]], 0),
        ((3, 2, "bilinear"), [[1, 1], [1, 1]], 0),  # the tent's half steps: 1/2 + 1/2, and 1
        ((2, 2, "bilinear"), [[0.25, 0.25], [0.25, 0.25]], 0),
        ((3, 3, "bilinear"), [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]], 0.75 * 9 / 4),
    ],
)
def test_tiles_and_unevenness_by_hand(settings, tiles, unevenness):
    figure = Overlap(*settings)

    assert figure.tiles.tolist() == tiles
    assert figure.unevenness == pytest.approx(unevenness)


def test_random_kernels_have_integers_from_1_to_9_and_differ():
    kernels = [Overlap(8, 1, "random", seed).weight.long().flatten().tolist() for seed in range(1, 100)]

    assert {tap for kernel in kernels for tap in kernel} == set(range(1, 10))
    assert len({tuple(kernel[:9]) for kernel in kernels}) == 99  # also as kernels of 3 × 3
    assert len({kernel[0] for kernel in kernels[:9]}) > 4  # neighbours do not begin alike
    # Seed 1 by hand: 16807 · 1000003 = 16807050421; less 7 · (2^31 − 1) is 1774664892; times 9 / 2^31 is 7.4.
    assert kernels[0][0] == 1 + 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be an integer from 1 to 8, got 0"),
        ({"kernel_size": 9}, "kernel_size must be .* got 9"),
        ({"kernel_size": 2.5}, "kernel_size must be .* got 2.5"),
        ({"stride": 5}, "stride must be an integer from 1 to 4, got 5"),
        ({"stride": "2"}, "stride must be .* got '2'"),
        ({"seed": 0}, "seed must be an integer from 1 to 99, got 0"),
        ({"kernel": "tent"}, "kernel must be one of ones, bilinear, random; got 'tent'"),
        ({"tile": 1}, r"tile must be a row and a column such as \(0, 1\), got 1"),
        ({"tile": (0, 1, 2)}, "tile must be a row and a column"),
        ({"tile": (-1, 0)}, "each of tile must be an integer from 0 to 3, got -1"),
        ({"tile": (0, 2)}, r"stride 2 has 2 × 2 tiles, counted from 0: got tile=\(0, 2\)"),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        Overlap(**settings)


def test_the_state_is_that_of_overlap_js():
    assert Overlap().state() == {"kernel": "ones", "kernel_size": 3, "seed": 1, "stride": 2, "tile": [0, 0]}


def test_the_still_picture_has_stamps_pixels_and_a_frame():
    """Kernel 3, stride 2: 17 × 21 pixels; all that is less than a kernel from the edge is rim: 1 row, 1 column."""
    figure = Overlap()
    _, ground, *rest = [one.attrib for one in ElementTree.fromstring(figure.still()).iter()]
    stamps, pixels, frame = rest[:10], rest[10:-1], rest[-1]

    assert len(pixels) == 17 * 21
    assert [float(one["x"]) for one in stamps] == pytest.approx([2 * i + 0.06 for i in range(10)])
    assert [frame[name] for name in ("x", "y", "width", "height")] == ["1", "3.5", "19", "15"]
    greys = [re.search(r"(\d+)%\)", one["fill"])[1] for one in pixels]
    assert greys[:3] == ["40", "40", "60"]  # 1, 1 and 2 beside a mean of 2.25: 20 + 45 · 4/9 = 40, 20 + 45 · 8/9 = 60
    assert figure.description == (
        "A flat map of ones after a transposed convolution at stride 2 with a kernel of 3 × 3 of ones: the tiles inside"
        " are 4, 2; 2, 1, so the unevenness is 1.33."
    )


# ---- in a browser -------------------------------------------------------------------------------


def tile_names(page):
    return [one.get_attribute("aria-label") for one in page.locator(".tiles button").all()]


def pressed(page):
    (name,) = [one.get_attribute("aria-label") for one in page.locator(".tiles [aria-pressed='true']").all()]
    return name.split(":")[0]


@pytest.mark.browser
def test_random_taps_are_pythons(blank):
    seeds = range(1, 100)
    found = call(blank, "overlap.js", "randomTaps", [(seed, 64) for seed in seeds])

    assert found == [Overlap(8, 1, "random", seed).weight.long().flatten().tolist() for seed in seeds]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("weightOf", lambda figure: figure.weight[0, 0]),
        ("answerOf", lambda figure: figure.answer),
        ("tilesOf", lambda figure: figure.tiles),
        ("unevennessOf", lambda figure: torch.tensor(figure.unevenness)),
    ],
)
def test_numbers_are_pythons(blank, function, expected):
    figures = [Overlap(size, stride, kernel, seed=1 + 3 * size + stride) for size, stride, kernel in SETTINGS]

    for figure, found in zip(
        figures, call(blank, "overlap.js", function, [[one.state()] for one in figures]), strict=True
    ):
        assert_close(torch.tensor(found).double(), expected(figure).double(), **CLOSE, msg=str(figure.state()))


@pytest.mark.browser
def test_the_taps_of_a_tile_add_up_to_it_and_are_as_many_as_the_stamps(blank):
    figures = [
        Overlap(size, stride, "random", tile=tile)
        for size, stride in itertools.product(range(1, 9), range(1, 5))
        for tile in {(0, 0), (0, stride - 1), (stride // 2, 0)}
    ]

    for figure, taps in zip(
        figures, call(blank, "overlap.js", "tapsAt", [[one.state()] for one in figures]), strict=True
    ):
        row, column = figure.tile
        assert sum(figure.weight[0, 0, i, j].item() for i, j in taps) == figure.tiles[row, column]
        assert len(taps) == Overlap(figure.kernel_size, figure.stride).tiles[row, column]


@pytest.mark.browser
def test_the_frame_holds_the_pixels_whose_stamps_are_all_there(blank):
    """Within it the counts repeat, by the stride; one row or column farther out a stamp is missing."""
    cases = list(itertools.product(range(1, 9), range(1, 5)))
    states = [Overlap(size, stride).state() for size, stride in cases]
    rows = call(blank, "overlap.js", "insideOf", [(state, 8) for state in states])
    columns = call(blank, "overlap.js", "insideOf", [(state, 10) for state in states])

    for (size, stride), (top, bottom), (left, right) in zip(cases, rows, columns, strict=True):
        figure = Overlap(size, stride)
        counts = figure.counts
        i, j = (torch.arange(side) % stride for side in counts.shape)
        full = counts == figure.tiles[i[:, None], j]
        inside = torch.zeros_like(full)
        inside[top:bottom, left:right] = True
        assert torch.equal(full, inside), (size, stride)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (
            Overlap(3, 2, tile=(0, 1)),
            [
                "Unevenness 1.33: a flat map comes out as a checkerboard.",
                "Inside: smallest 1, largest 4, mean 2.25. Unevenness is (largest − smallest) / mean."
                " With all ones, the answer counts the stamps.",
                "Tile row 0, column 1: 2 taps meet there, and add up to 2.",
            ],
        ),
        (
            Overlap(5, 3, "bilinear"),
            [
                "Unevenness 0.00: a flat map stays flat.",
                "Inside: 1 everywhere.",
                "Tile row 0, column 0: 4 taps meet there, and add up to 1.",
            ],
        ),
        (
            Overlap(1, 2, tile=(1, 1)),
            [
                "Unevenness 4.00: the kernel is smaller than the stride, and some pixels get nothing.",
                "Inside: smallest 0, largest 1, mean 0.25. Unevenness is (largest − smallest) / mean."
                " With all ones, the answer counts the stamps.",
                "Tile row 1, column 1: no tap falls there.",
            ],
        ),
        (
            Overlap(2, 2, "bilinear"),
            [
                "Unevenness 0.00: a flat map stays flat.",
                "Inside: 0.25 everywhere.",
                "Tile row 0, column 0: 1 tap falls there: 0.25.",
            ],
        ),
    ],
)
def test_the_sentences_are_true(blank, figure, said):
    assert call(blank, "overlap.js", "sentences", [[figure.state()]]) == [said]


@pytest.mark.browser
def test_the_page_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page says what Python computes."""
    page = open_page(Overlap())
    state = Overlap().state()

    def agree(**changes):
        state.update(changes)
        figure = Overlap(**state)
        assert page.locator(".told strong").inner_text().startswith(f"Unevenness {figure.unevenness:.2f}:")
        shown = [float(text) for text in page.locator(".tiles button").all_inner_texts()]
        assert_close(torch.tensor(shown).double(), figure.tiles.flatten(), rtol=0, atol=0.00501)
        assert pressed(page) == f"tile row {figure.tile[0]}, column {figure.tile[1]}"
        assert page.locator(".pixel").count() == figure.answer.numel()
        assert page.get_by_role("slider", name="seed").count() == (figure.kernel == "random")

    def press(name, key, role="slider"):
        page.get_by_role(role, name=name, exact=True).press(key)

    agree()
    press("kernel size", "ArrowRight")
    agree(kernel_size=4)
    press("stride", "End")
    agree(stride=4)
    press("tile row 0, column 0: 1", "End", role="button")
    agree(tile=[3, 3])
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    agree(tile=[2, 2])
    press("stride", "ArrowLeft")
    agree(stride=3)
    press("stride", "ArrowLeft")
    agree(stride=2, tile=[1, 1])  # the tile stays one of the stride's
    press("all ones", "ArrowRight", role="radio")
    agree(kernel="bilinear")
    press("bilinear", "ArrowRight", role="radio")
    agree(kernel="random")
    press("seed", "ArrowRight")
    agree(seed=2)
    press("stride", "Home")
    agree(stride=1, tile=[0, 0])
    press("kernel size", "End")
    agree(kernel_size=8)


@pytest.mark.browser
@pytest.mark.parametrize("way", ["click", "tap"])
def test_the_reader_points_at_a_tile_or_at_a_pixel(open_page, way):
    """A pixel of the map leads to its tile; beside the map nothing happens."""
    page = open_page(Overlap(4, 3), has_touch=True)
    point = {"click": page.mouse.click, "tap": page.touchscreen.tap}[way]
    pixels = page.locator(".pixel")
    box = pixels.nth(7 * 31 + 11).bounding_box()  # row 7, column 11 of 25 × 31

    getattr(page.get_by_role("button", name=re.compile("^tile row 0, column 1")), way)()
    assert pressed(page) == "tile row 0, column 1"
    point(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert pressed(page) == "tile row 1, column 2"
    stamp = page.locator(".stamp").first.bounding_box()
    point(stamp["x"] + 3, stamp["y"] + 2)
    assert pressed(page) == "tile row 1, column 2"


@pytest.mark.browser
def test_dots_mark_the_pixels_and_the_taps_of_the_tile(open_page):
    """Kernel 5, stride 2, tile (0, 1): taps in rows 0, 2, 4 and columns 1, 3; pixels in even rows and odd columns."""
    page = open_page(Overlap(5, 2, tile=(0, 1)))
    on_map, on_kernel = page.locator(".map .dot"), page.locator(".side .dot")

    places = on_kernel.evaluate_all("all => all.map((one) => ['cy', 'cx'].map((name) => one.getAttribute(name)))")
    assert [[int(float(at)) for at in place] for place in places] == [[i, j] for i in (0, 2, 4) for j in (1, 3)]
    assert on_map.count() == 10 * 11  # of 19 rows and 23 columns
    centre = on_map.first.bounding_box()
    pixel = page.locator(".pixel").nth(1).bounding_box()
    assert pixel["x"] < centre["x"] + centre["width"] / 2 < pixel["x"] + pixel["width"]
    assert pixel["y"] < centre["y"] + centre["height"] / 2 < pixel["y"] + pixel["height"]


@pytest.mark.browser
def test_equal_numbers_have_equal_greys(open_page):
    """In the frame a tile's pixels look as the tile; a flat answer has one grey."""
    uneven, flat = open_page(Overlap(3, 2)), open_page(Overlap(4, 2, "bilinear"))
    fills = "all => all.map((one) => getComputedStyle(one).fill)"
    tiles = uneven.locator(".tiles button").evaluate_all(
        "all => all.map((one) => getComputedStyle(one).backgroundColor)"
    )
    pixels = uneven.locator(".pixel").evaluate_all(fills)
    inside = flat.locator(".pixel").evaluate_all(fills)

    assert len(set(tiles)) == 3
    assert all(pixels[21 * i + j] == tiles[2 * (i % 2) + j % 2] for i in range(1, 16) for j in range(1, 20))
    assert len({inside[22 * i + j] for i in range(2, 16) for j in range(2, 20)}) == 1


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_a_name_and_room_for_a_finger(open_page):
    page = open_page(Overlap(8, 4, "bilinear"), Overlap(8, 1, "random"), Overlap(1, 4))

    assert page.get_by_role("group", name="Overlapping stamps of a transposed convolution").count() == 3
    assert page.locator(".tiles [tabindex='0']").count() == 3  # Tab passes each figure's tiles in one step
    for name, count in (("kernel size", 3), ("stride", 3), ("seed", 1)):
        assert page.get_by_role("slider", name=name, exact=True).count() == count
    for _ in at_widths(page):
        assert smallest(page, "slider", 7)["height"] >= 32
        for role, count in (("button", 16 + 1 + 16 + 3), ("radio", 9)):
            assert min(smallest(page, role, count).values()) >= 32
        wide = """(all) => all.filter((one) => {
            const svg = one.parentNode, room = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
            return one.getBoundingClientRect().width > room + 0.5;
        }).map((one) => one.textContent)"""
        assert page.locator("text.tap").count() == 64 + 64 + 1
        assert page.locator("text.tap").evaluate_all(wide) == []


@pytest.mark.browser
def test_two_on_a_page_have_a_state_each(open_page):
    page = open_page(Overlap(), Overlap(), Overlap(4, 2))
    page.get_by_role("slider", name="kernel size").nth(1).press("End")

    assert page.locator(".slider b").all_inner_texts()[::3] == ["3", "8", "4"]
    assert tile_names(page)[4] == "tile row 0, column 0: 16"

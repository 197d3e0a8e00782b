"""The figures that move, in a real browser: their numbers are Python's, and a page needs nothing else."""

import itertools
import json
import random
import re

import pytest
import torch
from torch.testing import assert_close

from browsing import at_widths, call, in_module, page_of, plain, smallest
from chapters_code.shapes import conv_size, pool_size
from chapters_code.widgets import Window

pytestmark = pytest.mark.browser

SHAPES = [(1, 4), (3, 3), (3, 8), (5, 4), (6, 8), (10, 7)]
OPERATIONS = ("max", "average", "convolution")
SETTINGS = list(itertools.product((1, 2), OPERATIONS, range(1, 6), range(1, 5), range(3)))


def picture(shape):
    """Numbers with one decimal, some below zero."""
    numbers = random.Random(str(shape))
    return [[numbers.randint(-99, 99) / 10 for _ in range(shape[1])] for _ in range(shape[0])]


def fits(shape, dimensions, operation, kernel_size, stride, padding):
    size_of = conv_size if operation == "convolution" else pool_size
    try:
        size_of(shape if dimensions == 2 else shape[1], kernel_size, stride, padding)
    except ValueError:
        return False
    return True


def numbers_in(text):
    """Read the numbers of a sentence."""
    return [float(found.replace("−", "-")) for found in re.findall(r"[-−]?\d+(?:\.\d+)?", text)]


def output_of(page):
    """Read what stands in the output cells."""
    return page.locator(".grid").nth(1).locator("button").all_inner_texts()


@pytest.mark.parametrize("shape", SHAPES)
def test_all_settings_give_torchs_numbers(blank, shape):
    """And those that no window fits are refused, exactly those.  Kernels of 1 to 5, cut or filled up by others."""
    values, kernels = picture(shape), [picture((side, side)) for side in range(1, 6)]
    names = ("dimensions", "operation", "kernel_size", "stride", "padding")
    states = [
        dict(zip(names, setting, strict=True)) | {"values": values, "kernel": kernels[i % 5]}
        for i, setting in enumerate(SETTINGS)
    ]

    problems = call(blank, "window.js", "problem", [[state] for state in states])
    legal = [state for state, problem in zip(states, problems, strict=True) if problem is None]

    assert legal == [state for state in states if fits(shape, *(state[name] for name in names))]
    for state, ours in zip(legal, call(blank, "window.js", "pool", [[state] for state in legal]), strict=True):
        figure = Window()
        for name in ("values", "kernel", *names):
            setattr(figure, name, state[name])
        expected = torch.atleast_2d(figure.output)
        # A sum of 25 numbers in another order: the last bits may differ.
        assert_close(torch.tensor(ours, dtype=torch.float64), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "max(7, 7, 7, 7) = 7"),
        ({"step": 1, "operation": "average"}, "(1 + 7 + 1 + 7) / 4 = 4"),
        ({"kernel_size": 3, "padding": 1}, "max(−∞, −∞, −∞, −∞, 7, 7, −∞, 7, 7) = 7"),
        ({"kernel_size": 3, "padding": 1, "operation": "average", "dimensions": 1}, "(0 + 7 + 7) / 3 ≈ 4.67"),
        ({"values": [[-1, 0.5], [-0.5, 0]], "operation": "average"}, "((−1) + 0.5 + (−0.5) + 0) / 4 = −0.25"),
        (
            {"values": [[7, 1, 0.5]], "operation": "convolution", "kernel": [0.5, 0, -2], "dimensions": 1},
            "7·0.5 + 0.5·(−2) = 2.5",
        ),
        (
            {"values": [[-3, 1]], "operation": "convolution", "kernel": [[0.0625, 0], [0, 2]], "padding": 1},
            "0·0.0625 + (−3)·2 = −6",
        ),
        ({"operation": "convolution", "kernel": [[0]]}, "0 = 0"),
        (
            {"values": [[0.8964, 0.1], [0.25, 0]], "operation": "average"},
            "(0.8964 + 0.1 + 0.25 + 0) / 4 = 0.3116",
        ),
    ],
)
def test_the_sum_is_written_as_one_would(blank, settings, text):
    figure = Window(**settings)

    assert plain(call(blank, "window.js", "sumText", [[figure.state(), figure.step]])[0]) == text


def test_every_sum_comes_out_as_it_says(blank):
    """The law: doing the written sum by hand gives the number after the equals sign."""
    for operation, padding in itertools.product(("max", "average"), (0, 1)):
        figure = Window(picture((5, 6)), kernel_size=3, stride=1, padding=padding, operation=operation)
        steps = range(figure.output.numel())
        for text in call(blank, "window.js", "sumText", [[figure.state(), step] for step in steps]):
            terms, result = re.split("[=≈]", text)
            terms = numbers_in(terms.replace("−∞", ""))
            by_hand = max(terms) if operation == "max" else sum(terms[:-1]) / terms[-1]
            assert numbers_in(result)[0] == pytest.approx(by_hand, abs=0.00501)
    figure = Window(picture((5, 6)), kernel=picture((3, 3)), stride=1, padding=2, operation="convolution")
    steps = range(figure.output.numel())
    for text in call(blank, "window.js", "sumText", [[figure.state(), step] for step in steps]):
        products, result = re.split("[=≈]", text)
        by_hand = sum(a * b for a, b in (numbers_in(product) for product in products.split(" + ")))
        assert numbers_in(result)[0] == pytest.approx(by_hand, abs=0.00501)


def test_the_output_size_is_put_in_numbers(blank):
    side = {"name": "height", "size": 6, "kernel": 3, "stride": 2, "padding": 1}

    assert call(blank, "window.js", "sizeText", [[side]]) == ["output height = floor((6 + 2·1 − 3) / 2) + 1 = 3"]


def test_numbers_on_the_page_follow_the_keyboard(open_page):
    """Every control by keys alone; after each, the page shows what Python computes."""
    page = open_page(Window(operation="average"))
    state = {"operation": "average"}

    def agree(**changes):
        state.update(changes)
        expected = Window(**state).output
        page.locator(".grid button[tabindex='0']").nth(1).press("End")
        shown = [numbers_in(text)[0] for text in output_of(page)]
        assert_close(torch.tensor(shown).double(), expected.flatten(), rtol=0, atol=0.00501)

    agree()
    page.get_by_role("slider", name="kernel size").press("ArrowRight")
    agree(kernel_size=3)
    page.get_by_role("slider", name="stride").press("ArrowLeft")
    agree(stride=1)
    page.get_by_role("slider", name="padding").press("ArrowRight")
    agree(padding=1)
    page.get_by_role("slider", name="height").press("ArrowLeft")
    agree(values=[list(row) for row in Window().values[:5]], pavement=7, crack=1)
    page.get_by_role("radio", name="average").press("ArrowLeft")
    agree(operation="max")
    page.get_by_role("radio", name="2-D").press("ArrowRight")
    agree(dimensions=1)
    assert page.get_by_role("slider", name="height").count() == 0  # a row has none


def test_the_kernel_is_edited_by_keys_and_taken_by_a_button(open_page):
    """After each change, the page shows what Python computes; what is no number waits for one."""
    page = open_page(Window(operation="convolution", stride=1), has_touch=True)
    state = {"operation": "convolution", "stride": 1}
    field = {place: page.get_by_label(f"weight row {place[0]}, column {place[1]}") for place in [(0, 1), (1, 1)]}
    kernel = [[1 / 8] * 3, [1 / 8, -1, 1 / 8], [1 / 8] * 3]

    def agree(weights, **changes):
        state.update(changes)
        figure = Window(**state, kernel=weights)
        page.locator(".grid button[tabindex='0']").nth(1).press("End")
        shown = [numbers_in(text)[0] for text in output_of(page)]
        assert_close(torch.tensor(shown).double(), figure.output.flatten(), rtol=0, atol=0.00501)
        fields = [float(one.input_value()) for one in page.get_by_role("spinbutton").all()]
        assert fields == figure.weights.flatten().tolist()

    agree(kernel)
    field[1, 1].press("ArrowUp")  # one more
    kernel[1][1] = 0
    agree(kernel)
    field[0, 1].fill("-2.5")
    kernel[0][1] = -2.5
    agree(kernel)
    for wrong in ("", "-", "1000", "1e4"):
        field[0, 1].fill("")
        field[0, 1].press_sequentially(wrong)
        if wrong in ("", "-", "1000"):
            assert field[0, 1].get_attribute("aria-invalid") == "true"
        field[0, 1].blur()  # what was there comes back
        kernel[0][1] = {"1000": 100, "1e4": 1}.get(wrong, kernel[0][1])  # what was typed so far
        agree(kernel)
        assert field[0, 1].get_attribute("aria-invalid") == "false"
    page.get_by_role("slider", name="kernel size").press("ArrowRight")
    agree([[*row, 0] for row in kernel] + [[0] * 4])
    page.get_by_role("slider", name="kernel size").press("Home")
    agree([[kernel[0][0]]])
    page.get_by_role("button", name="left minus right").tap()
    agree([[0, 0, 0], [1, 0, -1], [0, 0, 0]])
    pressed = page.locator(".kernels [aria-pressed='true']")
    assert pressed.all_inner_texts() == ["left minus right"]
    page.get_by_role("radio", name="2-D").press("ArrowRight")
    page.get_by_role("button", name="blur").press("Enter")
    agree([1 / 4, 1 / 2, 1 / 4], dimensions=1)
    page.get_by_role("radio", name="convolution").press("ArrowLeft")
    assert page.get_by_role("radio", name="average").is_checked()
    assert page.get_by_role("spinbutton").count() == 0 and not page.locator(".editor").is_visible()


def test_the_kernels_by_name_do_what_they_say(blank):
    """On the road: the middle of each window; a mean; how much darker than the eight around; left − right."""
    x = torch.tensor(Window().values).double()
    script = "({KERNELS, flatten}) => [KERNELS, Object.values(KERNELS).map(flatten)]"
    kernels = in_module(blank, "window.js", script, None)
    outputs = {
        name: Window(operation="convolution", kernel=kernel, stride=1).output for name, kernel in kernels[0].items()
    }
    inside, windows = x[1:-1, 1:-1], x.unfold(0, 3, 1).unfold(1, 3, 1)
    around = (windows.sum(dim=(2, 3)) - inside) / 8

    assert_close(outputs.pop("keep the middle"), inside)
    assert_close(outputs.pop("darker than around"), around - inside)
    assert_close(outputs.pop("left minus right"), x[1:-1, :-2] - x[1:-1, 2:])
    binomial = torch.tensor([1, 2, 1]).double() / 4
    assert_close(outputs.pop("blur"), (windows * binomial * binomial[:, None]).sum(dim=(2, 3)))
    assert not outputs
    for kernel, (row,) in zip(kernels[0].values(), kernels[1], strict=True):
        # Where all rows are equal, its form for a row gives the same.
        flat = [list(Window().values[0])] * 3
        deep = Window(flat, operation="convolution", kernel=kernel, stride=1).output[0]
        assert_close(Window(flat, operation="convolution", kernel=row, stride=1, dimensions=1).output, deep)


def test_a_field_that_is_typed_into_keeps_what_is_typed(open_page):
    """Numbers on their way, as 0. and 0.50; a figure that wrote its own 0 there could not be typed into."""
    page = open_page(Window(operation="convolution"))
    field = page.get_by_label("weight row 0, column 0")

    field.fill("")
    for key in "0.50":
        page.keyboard.press(key)
    assert field.input_value() == "0.50"
    assert plain(page.locator(".sum strong").inner_text()).startswith("7·0.5 + ")


def test_all_that_was_drawn_and_played_is_undone_by_reset(open_page):
    """Also a crack in a column that a narrower picture has hidden."""
    page = open_page(Window())
    before = page.locator(".grid").first.inner_text()
    reset = page.get_by_role("button", name="Reset")

    page.get_by_role("button", name=re.compile("^row 0, column 7")).press("Enter")
    page.get_by_role("slider", name="width").press("Home")
    page.get_by_role("button", name="Play", exact=True).press("Enter")
    reset.press("Enter")

    assert page.locator(".grid").first.inner_text() == before
    assert page.locator(".sum span").inner_text().startswith("Step 1 of 12")
    assert page.get_by_role("button", name="Play", exact=True).count() == 1
    assert reset.get_attribute("aria-disabled") == "true"
    page.get_by_role("slider", name="width").press("End")
    page.get_by_role("slider", name="width").press("ArrowLeft")
    page.get_by_role("slider", name="width").press("ArrowLeft")
    assert page.locator(".grid").first.inner_text() == before


def test_a_picture_that_was_cut_gets_its_crack_back(open_page):
    page = open_page(Window())
    pixels = page.locator(".grid").first.locator("button")
    before = pixels.all_inner_texts()

    page.get_by_role("slider", name="width").press("Home")
    assert pixels.count() == 6
    for _ in range(7):
        page.get_by_role("slider", name="width").press("ArrowRight")

    assert pixels.all_inner_texts() == before


@pytest.mark.parametrize("way", ["click", "tap", "key"])
def test_a_crack_is_drawn_and_mended(open_page, way):
    """By mouse, finger and keyboard; the sum that is shown follows at once."""
    page = open_page(Window(operation="average"), has_touch=True)
    pixel = page.get_by_role("button", name=re.compile("^row 1, column 0"))
    act = {"click": pixel.click, "tap": pixel.tap, "key": lambda: pixel.press("Enter")}[way]

    act()
    assert pixel.inner_text() == "1"
    assert plain(page.locator(".sum strong").inner_text()) == "(7 + 7 + 1 + 7) / 4 = 5.5"
    act()
    assert pixel.inner_text() == "7"


def test_arrow_keys_walk_over_the_pixels_and_space_draws(open_page):
    page = open_page(Window())
    page.locator(".grid").first.locator("button[tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft", "Space"):
        page.keyboard.press(key)

    pixel = page.get_by_role("button", name="row 1, column 1: 1, crack")
    assert pixel.evaluate("node => node === node.getRootNode().activeElement")
    page.get_by_role("button", name=re.compile("^row 4, column 0")).click()
    page.keyboard.press("ArrowRight")  # goes on from where the mouse was
    pixel = page.get_by_role("button", name=re.compile("^row 4, column 1"))
    assert pixel.evaluate("node => node === node.getRootNode().activeElement")


def test_keys_for_the_figure_do_not_turn_the_page(open_page):
    """Some themes go to the next chapter on an arrow key; shortcuts such as Ctrl+K still reach the page."""
    page = open_page(Window())
    page.evaluate("() => { window.heard = []; document.onkeydown = (event) => heard.push(event.key); }")

    for key in ("ArrowRight", "Control+k"):
        page.get_by_role("button", name="Next", exact=True).press(key)

    assert page.evaluate("heard") == ["Control", "k"]


def test_steps_by_button_by_key_and_by_tap(open_page):
    """Cells after the step are still empty."""
    page = open_page(Window(), has_touch=True)
    where = page.locator(".sum span")
    press = {name: page.get_by_role("button", name=name, exact=True) for name in ("First", "Back", "Next", "Last")}

    assert where.inner_text() == "Step 1 of 12: row 0, column 0"
    assert press["Back"].get_attribute("aria-disabled") == press["First"].get_attribute("aria-disabled") == "true"
    press["Back"].press("Enter")  # there is nothing before the first
    press["Next"].tap()
    press["Next"].press("ArrowDown")
    assert where.inner_text() == "Step 6 of 12: row 1, column 1"
    assert [bool(text) for text in output_of(page)] == [True] * 6 + [False] * 6
    press["Back"].click()
    assert where.inner_text().startswith("Step 5 of 12")
    page.get_by_role("button", name="output row 2, column 3: not done yet").tap()
    assert press["Next"].get_attribute("aria-disabled") == press["Last"].get_attribute("aria-disabled") == "true"
    press["Next"].press("Enter")  # nor after the last
    assert where.inner_text().startswith("Step 12 of 12")
    press["First"].click()
    assert where.inner_text().startswith("Step 1 of 12")
    press["Last"].tap()
    assert where.inner_text() == "Step 12 of 12: row 2, column 3"
    assert all(output_of(page))


def test_play_runs_to_the_end_and_can_pause(open_page):
    page = open_page(Window(kernel_size=3, stride=3), reduced_motion="reduce")
    play = page.get_by_role("button", name="Play", exact=True)
    frame = page.locator(".frame").first

    play.click()
    pause = page.get_by_role("button", name="Pause", exact=True)
    assert page.locator(".sum").get_attribute("aria-live") == "off"
    pause.click()
    assert page.locator(".sum span").inner_text().startswith("Step 2 of 4")
    play.click()
    play.wait_for()  # it stands on Play again when all is done
    assert page.locator(".sum span").inner_text().startswith("Step 4 of 4")
    assert page.locator(".sum").get_attribute("aria-live") == "polite"
    assert frame.evaluate("node => getComputedStyle(node).transitionProperty") == "none"


def test_the_frame_covers_the_window(open_page):
    """Step 4, at three windows a row, is row 1, column 1: it covers pixels (1, 1) to (3, 3), counted from 0."""
    figure = Window([[7] * 6 for _ in range(5)], kernel_size=3, stride=2, padding=1, step=4)
    page = open_page(figure, reduced_motion="reduce")
    frame, first, last = (
        page.locator(".frame").first.bounding_box(),
        page.get_by_role("button", name=re.compile("^row 1, column 1")).bounding_box(),
        page.get_by_role("button", name=re.compile("^row 3, column 3")).bounding_box(),
    )

    assert frame["x"] == pytest.approx(first["x"], abs=1.5)
    assert frame["y"] == pytest.approx(first["y"], abs=1.5)
    assert frame["x"] + frame["width"] == pytest.approx(last["x"] + last["width"], abs=1.5)
    assert frame["y"] + frame["height"] == pytest.approx(last["y"] + last["height"], abs=1.5)


@pytest.mark.parametrize(
    ("kernel_size", "rows", "columns"),
    [
        (2, {2, 5}, {2, 5}),  # the window leaps over one row and one column in three
        (3, set(), {6, 7}),  # too little is left for a third window across
    ],
)
def test_pixels_that_no_window_reaches_are_hatched(open_page, kernel_size, rows, columns):
    """Stride 3 over 6 x 8 pixels."""
    page = open_page(Window(kernel_size=kernel_size, stride=3))
    names = [cell.get_attribute("aria-label") for cell in page.locator("button.missed").all()]

    places = {tuple(map(int, numbers_in(name)[:2])) for name in names}
    assert places == {(y, x) for y in range(6) for x in range(8) if y in rows or x in columns}
    assert all(name.endswith("no window reaches it") for name in names)
    assert "Hatched: no window reaches these." in page.locator(".sizes").inner_text()


def test_settings_that_fit_no_window_say_what_to_do(open_page):
    """The same settings are an error in Python; here nothing crashes and no number is left on the page."""
    page = open_page(Window())
    kernel, padding = (page.get_by_role("slider", name=name) for name in ("kernel size", "padding"))
    told = page.locator(".sum.problem strong")

    padding.press("End")
    assert told.inner_text() == (
        "Padding 2 is more than half of kernel size 2, which PyTorch refuses."
        " Choose padding 1, or a larger kernel size."
    )
    assert output_of(page) == [] and page.locator(".frame:visible").count() == 0
    assert page.get_by_role("button", name="Next", exact=True).is_disabled()

    padding.press("Home")
    kernel.press("End")
    page.get_by_role("slider", name="height").press("Home")
    assert told.inner_text() == (
        "Kernel size 5 is larger than the padded height, 1 + 2·0 = 1. Choose kernel size 1, or a larger height."
    )

    kernel.press("Home")
    assert told.count() == 0 and len(output_of(page)) == 4


def test_every_control_has_a_name_and_room_for_a_finger(open_page):
    page = open_page(Window(), viewport={"width": 320, "height": 600})

    assert page.get_by_role("group", name="Pooling, one window at a time").count() == 1
    for role, names in (
        ("slider", ("height", "width", "kernel size", "stride", "padding")),
        ("radio", ("2-D", "1-D", "max", "average")),
    ):
        assert all(page.get_by_role(role, name=name, exact=True).count() == 1 for name in names)
        assert smallest(page, role, len(names))["height"] >= 32
    assert min(smallest(page, "button", 48 + 12 + 6).values()) >= 32
    assert page.locator("[tabindex='0']").count() == 2  # Tab passes each grid in one step


def test_nothing_overflows(open_page):
    """The widest there is: 10 x 10 with padding 2, long numbers."""
    values = [[-99.9] * 10 for _ in range(10)]
    figures = (
        Window(), Window(values, kernel_size=5, stride=1, padding=2, operation="average"),
        Window(values, dimensions=1, kernel_size=4, stride=1, padding=2),
        Window(values, kernel=[[-0.125] * 5] * 5, stride=1, padding=2, operation="convolution"))  # fmt: skip
    page = open_page(*figures)

    for _ in at_widths(page):
        texts = page.locator(".cell").evaluate_all("all => all.map(node => [node.scrollWidth, node.clientWidth])")
        assert all(text <= room + 1 for text, room in texts)


def test_the_same_figure_twice_and_another_one(open_page):
    """Each has its own state."""
    page = open_page(Window(), Window(), Window(step=3))
    page.get_by_role("button", name="Next", exact=True).nth(1).click()

    steps = [numbers_in(text)[0] for text in page.locator(".sum span").all_inner_texts()]
    assert steps == [1, 2, 4]


def test_each_figure_is_started_once(open_page):
    """The script stands on the page twice; a second start would throw away what the reader did."""

    class Counting(Window):
        _esm = """export default { render({ el }) {
            globalThis.starts = (globalThis.starts ?? 0) + 1;
            el.className = "figure";
        } };"""

    page = open_page(Counting(), Counting())
    page.wait_for_timeout(100)

    assert page.evaluate("starts") == 2


def test_if_the_module_fails_the_still_picture_stays(lend_page, tmp_path):
    """An old browser, a broken file: the reader is left with the picture, not with a hole."""

    class Broken(Window):
        _esm = "export default { render() { throw new Error('broken'); } };"

    path = tmp_path / "page.html"
    path.write_text(page_of(Broken()), encoding="utf-8")
    page = lend_page()
    with page.expect_event("pageerror"):
        page.goto(path.as_uri())

    assert page.get_by_role("img").is_visible()


def test_the_style_of_the_page_does_not_reach_in(open_page):
    """Themes restyle buttons, labels and legends; the figure looks the same everywhere."""
    loud = "button, label, legend, span, p, fieldset { font-size: 40px !important; float: left; margin: 30px }"
    sizes = []
    for style in ("", loud):
        page = open_page(Window(), style=style)
        sizes.append(json.dumps(page.locator(".figure").bounding_box()))

    assert sizes[0] == sizes[1]

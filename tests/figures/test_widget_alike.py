"""What all figures that move do alike: settings, what a page stores, and a page that is there for everyone."""

import importlib
import io
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from test_widgets import module_of

from browsing import addresses_in, at_widths, still_of, text_colours
from chapters_code.widgets.moving import Choice, Flag, Integer, Number, Several, pack, unpack

# Of each figure: its module, how some are made, and where it writes.
FIGURES = {
    "Window": ("window", ["kernel_size=3, padding=1, step=4", "operation='average'",
                          "operation='convolution', kernel=[[0, 1], [-1, 0.5]], stride=1"],
               [".caption", ".slider", ".sum strong", ".button", "span.empty"]),
    "Survive": ("survive", ["place=1", "slope='diagonal', ink='bright', width=2"],
                [".named p", ".title", ".slider", ".output > strong", ".output > span"]),
    "Footprint": ("footprint", ["(1, 4), crack=-3", "(1, 2, 5), kernel_size=5"],
                  [".slider", ".told strong", ".button", ".key span"]),
    "SmallMap": ("small_map", ["rate=12", "65, 65, 24"],
                 [".caption", ".slider", ".told strong", ".rates button", "text.count"]),
    "Overlap": ("overlap", ["5, 3, 'bilinear'", "5, 2, 'random', seed=7", "4, 3, tile=(2, 1)"],
                [".caption", ".slider", ".told strong", ".told span"]),
    "ThresholdAndClass": ("classes", ["30, 'bird'", "0, 'background'"],
                          [".named p", ".slider", ".boards p", ".legend", ".told strong", "caption", "th", "td.kind",
                           "td.kind.now"]),
    "Haar": ("haar", ["level=2, dropped=('h1',), threshold=7", "level=4, dropped=['h1', 'a4'], threshold=9"],
             [".caption", ".slider", ".told p", ".bands button", ".own p", ".file"]),
    "WTReach": ("wt_reach", ["3, 7, 13, 21", "5, 3, 80, 120", "1, 9, 7, 7"],
                [".named p", ".caption", ".slider", ".told strong", "td", "tbody th"]),
    "RSUBuilder": ("rsu", ["3, 2, 3, 4, True, 13, 21", "7, map_height=20, map_width=31"],
                   [".named p", ".caption", ".slider", ".told strong", "td", "tbody th"]),
    "Threshold": ("threshold", ["threshold=0.6, tolerance=1", "[[0.9, 0.1]], [[1, 255]], nothing=True, tolerance=0"],
                  [".named p", ".slider", ".boards p", ".legend", ".told p", "caption", "th", "td", "td.now", ".key",
                   ".figure > p:last-child"]),
}  # fmt: skip
OF_COLOUR = ["color-contrast", "link-in-text-block"]
COLOURS = {"light": ("rgb(20, 20, 20)", "#fff"), "dark": ("rgb(206, 214, 221)", "#121212")}


def make(name, settings):
    """Make a figure from its settings as one writes them."""
    module = importlib.import_module(f"chapters_code.widgets.{FIGURES[name][0]}")
    return eval(f"{name}({settings})", vars(module))


@pytest.fixture(scope="module", params=FIGURES)
def figures(request):
    """Some figures of a kind."""
    return [make(request.param, settings) for settings in FIGURES[request.param][1]]


# ---- as Python holds them -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere():
    """What is stored for all figures if another process makes them: no counter, no address, no hash seed."""
    lines = [f"from chapters_code.widgets.{module} import {name}" for name, (module, *_) in FIGURES.items()]
    made = {name: [f"{name}({one}).to_html()" for one in settings] for name, (_, settings, _) in FIGURES.items()}
    stored = ", ".join(f"{name!r}: [{', '.join(all_)}]" for name, all_ in made.items())
    code = "\n".join(["import json", *lines, f"print(json.dumps({{{stored}}}))"])
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


@pytest.mark.slow
def test_equal_states_give_equal_bytes_and_others_another_place_on_the_page(figures, elsewhere):
    """Also in another process: the stored output is compared."""
    stored = [one.to_html() for one in figures]

    assert stored == elsewhere[type(figures[0]).__name__]
    keys = [re.search('data-figure="([^"]+)"', html)[1] for html in stored]
    assert len(set(keys)) == len(figures)


def test_a_page_holds_all_that_it_needs_and_no_other_host(figures):
    for figure in figures:
        assert module_of(figure.to_html()) == figure._esm
        assert not addresses_in(figure)
        assert json.loads(json.dumps(figure.state())) == figure.state()
        assert list(figure.state()) == sorted(figure.state())
        assert ElementTree.fromstring(figure.still()).tag == "{http://www.w3.org/2000/svg}svg"


def test_what_is_none_is_refused_by_every_setting_and_changes_nothing(figures):
    for figure in figures:
        before = figure.state()
        for name in before.keys() - {"truth", "scores"}:  # these two are never set
            for wrong, said in ((None, "None"), (object, "<class 'object'>")):
                with pytest.raises(ValueError, match=f"^{name} must .*{said}"):
                    setattr(figure, name, wrong)
        assert figure.state() == before


def test_true_is_no_number_and_an_integer_of_numpy_or_torch_is_one(figures):
    for figure in figures:
        for name, kind in figure.traits(state=True).items():
            if not isinstance(kind, Integer | Number):
                continue
            with pytest.raises(ValueError, match=f"^{name} must be an? .*(number|integer) .*got True$"):
                setattr(figure, name, True)
            if isinstance(kind, Integer):
                value = getattr(figure, name)
                for integer in (np.int64(value), np.int16(value), torch.tensor(value)):
                    kept = kind.check(name, integer)
                    assert kept == value and type(kept) is int


@pytest.mark.parametrize(
    ("kind", "came", "message"),
    [
        (Integer(3, 9, step=2), 4, "x must be one of 3, 5, 7, 9; got 4"),
        (Integer(3, 9, step=2), 5.0, "x must be an integer from 3 to 9, got 5.0"),
        (Integer(0), -1, "x must be an integer of 0 or more, got -1"),
        (Number(-1, 0.5, decimals=1), 0.25, "x must have at most 1 decimals, got 0.25: take 0.2"),
        (Number(-1, 0.5, decimals=1), float("nan"), "x must be a number from -1 to 0.5, got nan"),
        (Flag(), 0, "x must be True or False, got 0"),
        (Choice(3, 5), np.array([3, 5]), r"x must be one of 3, 5; got array\(\[3, 5\]\)"),
        (Choice("dark", "bright"), torch.tensor([1, 2]), r"x must be one of dark, bright; got tensor\(\[1, 2\]\)"),
        (Several(Integer(1, 8), "a few numbers", most=2), [1, 2, 3], r"x must be a few numbers, got \[1, 2, 3\]"),
        (Several(Integer(1, 8), "a few numbers"), [1, None], "each of x must be an integer from 1 to 8, got None"),
        (Several(Integer(1, 8), "a few numbers"), {1, 2}, "x must be a few numbers, got {1, 2}"),
    ],
)
def test_a_setting_says_what_came_and_what_was_wanted(kind, came, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        kind.check("x", came)


def test_settings_keep_what_they_take_as_plain_json():
    assert Number(-1, 0.5, decimals=1).check("x", np.float64(-0.3)) == -0.3
    assert type(Choice(3, 5).check("x", np.int64(5))) is int and Choice(3, 5).check("x", 5.0) == 5
    assert Several(Integer(1, 8), "numbers").check("x", (2, np.int64(1), 2)) == [2, 1, 2]
    assert Several(Integer(1, 8), "numbers", unique=True).check("x", {2, 1}) == [1, 2]
    assert Several(Integer(1, 8), "numbers", unique=True).check("x", [2, 1, 2]) == [1, 2]


def test_a_map_is_packed_and_unpacked_and_what_is_none_is_said():
    plane = np.arange(6, dtype=np.uint8).reshape(2, 3)

    assert (unpack("x", json.loads(json.dumps(pack(plane)))) == plane).all()
    for wrong in (
        {},
        {"bytes": 3},
        {"bytes": "AAAA", "height": 2, "width": 2},
        {"bytes": "A", "height": 1, "width": 1},
    ):
        with pytest.raises(ValueError, match="^x must be a map as a figure keeps it, or an array; got {"):
            unpack("x", wrong)


# ---- in a browser -------------------------------------------------------------------------------


@pytest.mark.browser
def test_text_takes_the_colour_of_the_page_and_axe_finds_nothing(open_page, figures):
    """No colour, name or role that keeps anyone out; names and roles are the same in the dark."""
    page = open_page(*figures)
    for theme, (colour, ground) in COLOURS.items():
        page.evaluate(
            "(look) => { document.documentElement.style.cssText = look; }",
            f"color: {colour}; background: {ground}; color-scheme: {theme}",
        )
        rules = {"runOnly": {"type": "rule", "values": OF_COLOUR}} if theme == "dark" else {}
        found = Axe().run(page, None, {"resultTypes": ["violations"], "preload": False, **rules}).response["violations"]

        assert [(theme, one["id"], one["nodes"][0]["html"][:160]) for one in found] == []
        assert set(text_colours(page, FIGURES[type(figures[0]).__name__][2])) == {colour}
        drawn = page.locator("svg text:not(.tap)").evaluate_all("all => all.map((one) => getComputedStyle(one).fill)")
        assert set(drawn) <= {colour}


# What a figure is to the reader: what stands in its fields; its text and pictures; what is read aloud.
LOOK = """() => {
    const root = document.querySelector("[data-lm-suppress-shortcuts]").shadowRoot.querySelector(".figure");
    const fields = [...root.querySelectorAll("input")].map((one) => [one.value, one.checked, one.max]);
    const canvases = [...root.querySelectorAll("canvas")].map((one) => one.toDataURL());
    const aloud = [...root.querySelectorAll("[aria-live]")].map((one) => one.textContent).join(" ");
    const html = root.innerHTML.replace(/ aria-(disabled|pressed)="[^"]*"| class=""| style=""/g, "");
    return [JSON.stringify(fields), html + canvases, aloud];
}"""


@pytest.mark.browser
def test_every_control_does_something_says_so_and_reset_undoes_it(open_page, figures):
    """By keys alone.  One control at a time, then Reset: all is as it was, and Reset has nothing more to do."""
    page = open_page(figures[0])
    reset = page.get_by_role("button", name="Reset")
    started = page.evaluate(LOOK)
    assert reset.get_attribute("aria-disabled") == "true"

    def press(control, key):
        name = control.evaluate("node => node.ariaLabel || node.closest('label')?.innerText || node.innerText")
        control.press(key)
        fields, picture, aloud = page.evaluate(LOOK)
        assert [fields, picture] != started[:2], f"{name} does nothing"
        assert (picture == started[1]) or aloud != started[2], f"{name} changes the picture without a word"
        reset.press("Enter")
        assert page.evaluate(LOOK) == started, f"Reset does not undo {name}"

    for slider in page.get_by_role("slider").all():
        press(slider, "End" if slider.input_value() == slider.get_attribute("min") else "Home")
    for radio in page.get_by_role("radio", checked=False).all():
        press(radio, "Space")
    for name in page.get_by_role("button").evaluate_all(
        "all => all.filter((one) => one.matches('button:not([aria-disabled=true], [aria-pressed=true], .cell)'))"
        ".map((one) => one.ariaLabel || one.textContent)"
    ):
        if name != "Play":
            press(page.get_by_role("button", name=name, exact=True), "Enter")
    assert reset.evaluate("node => node === node.getRootNode().activeElement")  # it keeps the focus
    assert reset.get_attribute("aria-disabled") == "true"


@pytest.mark.browser
def test_every_target_has_24_pixels_on_a_phone(open_page, figures):
    page = open_page(figures[0])
    for _ in at_widths(page, (390, 1280)):
        boxes = page.locator("button, input, label.button").evaluate_all(
            "all => all.map((one) => [one.ariaLabel || one.innerText, one.getBoundingClientRect()])"
            ".filter(([, {width}]) => width).map(([name, {width, height}]) => [name, width, height])"
        )
        assert boxes and [one for one in boxes if min(one[1:]) < 24] == []


@pytest.mark.browser
def test_no_white_slab_on_a_dark_page(open_page, figures):
    """Less than a third of a figure is lighter than 90 %; a photograph may be."""
    page = open_page(figures[0], style="html { color: #ced6dd; background: #14181e; color-scheme: dark }")
    image = Image.open(io.BytesIO(page.locator(".figure").screenshot()))
    white = (np.asarray(image.convert("L")) > 229).mean()

    assert white < 0.04


@pytest.mark.browser
def test_without_javascript_the_still_picture_stands(open_page, figures):
    assert still_of(open_page, figures[0])["height"] > 100

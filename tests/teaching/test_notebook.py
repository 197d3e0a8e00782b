"""The notebook's helpers: seeds repeat, shown source is the module's own, pictures carry words."""

import ast
import base64
import colorsys
import importlib
import inspect
import io
import random
import re
import sys
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import matplotlib
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from PIL import Image
from traitlets.config import Config

from chapters_code import figures, notebook, overlay, pooling, shapes
from chapters_code.notebook import COLOURS, INK, PAPER, STYLE, seed, show, show_source
from chapters_code.predict import Answer

ROOT = Path(__file__).parents[2]
ALT = "Two roads side by side; the crack is missing on the right one."


@pytest.fixture
def displayed(monkeypatch):
    """Collect what is displayed, as (bundle of formats, metadata)."""
    seen: list[tuple] = []

    def display(data, metadata=None, **options):
        seen.append((data, metadata))

    monkeypatch.setattr(notebook, "display", display)
    monkeypatch.setattr(figures, "display", display)
    return seen


def png(displayed) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(displayed[-1][0]["image/png"])))


# ---- seeds, device, versions --------------------------------------------------------------------


def test_a_seed_repeats_all_three_kinds_of_random_numbers():
    def draw():
        return random.random(), np.random.rand(3).tolist(), torch.rand(3).tolist()

    seed(3)
    first = draw()
    between = draw()
    seed(3)

    assert draw() == first
    assert all(one != other for one, other in zip(first, between, strict=True))
    seed(4)
    assert all(one != other for one, other in zip(first, draw(), strict=True))


def test_the_device_can_compute():
    assert torch.ones(2, device=notebook.device()).sum().item() == 2


def test_a_gpu_is_chosen_when_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert notebook.device() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert notebook.device() == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert notebook.device() == torch.device("cuda")


def test_versions_are_those_that_run_in_lines_that_fit_a_telephone(capsys):
    notebook.versions()
    text = capsys.readouterr().out

    assert max(map(len, text.splitlines())) <= 60
    for part in (
        sys.version.split()[0],
        f"numpy {np.__version__}",
        f"torch {torch.__version__.split('+')[0]}",
    ):
        assert part in text
    assert "device: " in text


# ---- shown source -------------------------------------------------------------------------------

SHOWN = [
    pooling.max_pool2d_loops,
    pooling.MaxPool2d,
    pooling.AvgPool2d.forward,
    shapes.pool_size,
    notebook.show,
]


def shown(displayed, *args, **kwargs) -> str:
    """Give the text below the line that names the file."""
    show_source(*args, **kwargs)
    return displayed[-1][0]["text/plain"].split("\n", 1)[1]


@pytest.mark.parametrize("thing", SHOWN)
def test_shown_source_is_the_text_of_the_module(displayed, thing):
    text = shown(displayed, thing)

    assert text == inspect.cleandoc("\n" + inspect.getsource(thing))
    assert text.startswith(("def ", "class "))


def test_shown_source_names_its_file_and_is_coloured_where_that_works(displayed):
    show_source(pooling.max_pool2d)
    bundle, _ = displayed[0]

    assert set(bundle) == {"text/plain", "text/markdown"}
    assert bundle["text/plain"].startswith("# chapters_code/pooling.py\ndef max_pool2d(")
    assert bundle["text/markdown"] == f"```python\n{bundle['text/plain']}\n```"


def test_shown_source_is_what_the_module_holds_now(displayed, tmp_path, monkeypatch):
    """After an edit and a reload the new text is shown, not one that was kept from before."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "a_small_module.py"
    for body in ("return x", "# More lines than before.\n    return x + 1"):
        file.write_text(f"def step(x):\n    {body}\n")
        importlib.invalidate_caches()
        sys.modules.pop("a_small_module", None)
        module = importlib.import_module("a_small_module")

        assert shown(displayed, module.step) == f"def step(x):\n    {body}"


def without_docstrings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


@pytest.mark.parametrize("thing", SHOWN)
def test_brief_source_is_the_same_code(displayed, thing):
    full, brief = shown(displayed, thing), shown(displayed, thing, brief=True)

    assert without_docstrings(brief) == without_docstrings(full)
    for line in brief.split("\n"):
        assert line in full.split("\n") or line.removesuffix('"""') in full.split("\n")


@pytest.mark.parametrize("thing", [pooling.max_pool2d_loops, shapes.pool_size, notebook.show])
def test_brief_source_keeps_the_first_line_of_a_docstring(displayed, thing):
    text = shown(displayed, thing, brief=True)
    (function,) = ast.parse(text).body

    assert ast.get_docstring(function) == inspect.getdoc(thing).split("\n")[0]
    assert "Args:" not in text
    assert "Args:" in shown(displayed, thing)


LONG = '''class Road:
    """First.

    More.
    """

    def crack(self):
        """Second.

        More.
        """
        return 1

    def plain(self):
        """Third."""
        return 2
'''
BRIEF = '''class Road:
    """First."""

    def crack(self):
        """Second."""
        return 1

    def plain(self):
        """Third."""
        return 2'''


def test_brief_source_cuts_every_docstring_of_a_class(displayed, tmp_path, monkeypatch):
    """One docstring above the other: cutting the first must not shift the second."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "documented.py").write_text(LONG)

    assert shown(displayed, importlib.import_module("documented").Road, brief=True) == BRIEF


# ---- pictures with words ------------------------------------------------------------------------


def test_a_figure_carries_its_description_and_its_size(displayed):
    """Half the stored size is shown: twice the pixels, for sharp screens."""
    show(Figure(figsize=(4, 2.5)), ALT)
    bundle, metadata = displayed[0]

    assert bundle["text/plain"] == ALT
    assert metadata == {"image/png": {"alt": ALT, "width": 400, "height": 250, "panels": []}}
    assert png(displayed).size == (800, 500)


def rims(displayed) -> list[tuple[str, str]]:
    """Return for each box that keeps its colours the colour right inside its upper left corner, and right outside."""
    picture = png(displayed).convert("RGB")
    found = []
    for left, top, width, height in displayed[-1][1]["image/png"]["panels"]:
        assert 0 < width < 100 and 0 < height < 100
        x, y = left / 100 * picture.width, top / 100 * picture.height
        inside, outside = (picture.getpixel((round(x + step), round(y + step))) for step in (4, -4))
        found.append(tuple("#" + bytes(colour).hex() for colour in (inside, outside)))
    return found


def test_a_figure_names_the_places_of_its_photographs(displayed):
    """On a dark page all else is turned dark."""
    red = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 30, 40)
    figures.pictures({"road": red, "twin": red[:, :20]}, ALT, columns=1)
    assert rims(displayed) == [("#ff0000", PAPER)] * 2

    answer = Answer((255 * red).byte(), torch.ones(30, 40, dtype=torch.int64), None, ("ground", "crack"))
    figures.answers({"road": answer}, ALT)
    (photo, *_, legend) = rims(displayed)
    assert len(rims(displayed)) == 4 and photo == ("#ff0000", PAPER)
    assert legend[0] == overlay.palette(["crack"])["crack"] and legend[1] == PAPER

    figures.curves({"a": ([1, 2], [1, 2]), "b": ([1, 2], [2, 1])}, ALT, x_label="x", y_label="y")
    assert rims(displayed) == []


def test_the_bar_that_explains_the_colours_of_a_picture_keeps_them_too(displayed):
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4, 2.5))
        axes = figure.subplots()
        figure.colorbar(axes.imshow([[0, 1]]))
    show(figure, ALT)

    assert len(rims(displayed)) == 2


def test_a_figure_holds_no_word_about_the_machine_that_drew_it(displayed):
    """Matplotlib would write its version into each file, and the same figure differ between machines."""
    show(Figure(figsize=(4, 2.5)), ALT)

    assert "Software" not in png(displayed).info


@pytest.mark.parametrize("alt", ["", "   ", "a plot", "  short words  "])
def test_a_figure_without_description_is_refused(displayed, alt):
    with pytest.raises(ValueError, match="alt must describe the picture in a sentence"):
        show(Figure(), alt)
    with pytest.raises(TypeError, match="alt"):
        show(Figure())
    assert displayed == []


def brightness(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the well-known grey that just fails


def test_words_can_be_read_on_the_paper():
    """WCAG's stricter level, AAA, asks for 7."""
    assert contrast(INK, PAPER) >= 7
    for name in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"):
        assert STYLE[name] == INK
    assert STYLE["axes.facecolor"] == STYLE["figure.facecolor"] == PAPER


def test_the_first_curves_can_be_seen_on_the_paper():
    """WCAG asks 3 of a line."""
    first_four = [contrast(colour, PAPER) for colour in COLOURS.values()][:4]

    assert min(first_four) >= 3


def on_a_dark_page(colour: str) -> str:
    """Compute what the site's filter makes of a colour, as the standard on filters (W3C) defines them."""
    style = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    amount = float(re.search(r"filter: invert\(([\d.]+)\) hue-rotate\(180deg\);", style)[1])
    red, green, blue = (amount + (1 - 2 * amount) * int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    grey = 0.213 * red + 0.715 * green + 0.072 * blue
    # Half a turn of the hue puts each colour to the other side of its grey.
    return "#" + bytes(round(255 * min(max(2 * grey - part, 0), 1)) for part in (red, green, blue)).hex()


def test_figures_on_a_dark_page_have_its_ground_and_can_be_read():
    """The card is the page, nearly; words and the first curves stand out as on paper, and keep their hues."""
    style = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    page = re.search(r'data-theme="dark".*?--paper: (#\w{6});', style, re.DOTALL)[1]
    ground = on_a_dark_page(PAPER)

    assert all(abs(int(ground[i : i + 2], 16) - int(page[i : i + 2], 16)) <= 2 for i in (1, 3, 5))
    assert contrast(on_a_dark_page(INK), page) >= 7
    assert min(contrast(on_a_dark_page(colour), page) for colour in list(COLOURS.values())[:4]) >= 3
    for name, colour in list(COLOURS.items())[:3]:
        hues = [
            colorsys.rgb_to_hsv(*(int(one[i : i + 2], 16) for i in (1, 3, 5)))[0]
            for one in (colour, on_a_dark_page(colour))
        ]
        assert abs(hues[0] - hues[1]) < 0.06, name


def test_no_two_curves_have_the_same_colour():
    assert len(COLOURS) == 8
    assert [line["color"] for line in STYLE["axes.prop_cycle"]] == list(COLOURS.values())
    for one, other in combinations(COLOURS.values(), 2):
        apart = sum((int(one[i : i + 2], 16) - int(other[i : i + 2], 16)) ** 2 for i in (1, 3, 5)) ** 0.5
        assert apart > 60, (one, other)


# ---- plots that chapters share ------------------------------------------------------------------

ROAD = torch.full((3, 5, 7), 128, dtype=torch.uint8)


def test_pictures_are_shown_and_nothing_is_returned(displayed):
    """A cell may end with the call: None leaves no output of its own, which nbval would compare."""
    panels = {"colour": ROAD, "grey": torch.rand(5, 7), "one channel": torch.rand(1, 40, 30).double()}

    assert figures.pictures(panels, ALT) is None
    assert len(displayed) == 1
    assert displayed[0][1]["image/png"]["alt"] == ALT


def colours_at(displayed, x: float, y: float) -> tuple:
    image = png(displayed).convert("RGB")
    return image.getpixel((round(x * image.width), round(y * image.height)))


def test_a_picture_is_not_upside_down_or_mirrored(displayed):
    """Red in the top left corner, blue in the bottom right one."""
    road = torch.zeros(3, 30, 40)
    road[0, :15, :20] = 1
    road[2, 15:, 20:] = 1
    figures.pictures({"road": road}, ALT)

    assert colours_at(displayed, 0.25, 0.35) == (255, 0, 0)
    assert colours_at(displayed, 0.75, 0.75) == (0, 0, 255)
    assert colours_at(displayed, 0.75, 0.35) == colours_at(displayed, 0.25, 0.75) == (0, 0, 0)


@pytest.mark.parametrize(
    ("options", "grey"),
    [({}, 64), ({"span": (0, 0.5)}, 128), ({"span": (-1, 1)}, 159), ({"span": (0, 0.2)}, 255)],
)
def test_black_and_white_stand_for_the_span(displayed, options, grey):
    """By hand: a quarter of 0..1 is grey 64, half of 0..0.5 is 128, and so on; grey and colour alike."""
    for picture in (torch.full((30, 40), 0.25), torch.full((3, 30, 40), 0.25)):
        figures.pictures({"road": picture}, ALT, **options)

        assert colours_at(displayed, 0.5, 0.5)[0] == pytest.approx(grey, abs=1)


def test_numbers_grid_and_rows_are_drawn(displayed):
    small = {name: torch.rand(2, 3) for name in "abcde"}
    figures.pictures(small, ALT)
    plain = png(displayed)
    figures.pictures(small, ALT, numbers=True, grid={"a": 2})

    assert png(displayed).size == plain.size
    assert png(displayed).tobytes() != plain.tobytes()
    figures.pictures(small, ALT, columns=1)
    assert png(displayed).height > 3 * plain.height / 2


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (torch.zeros(2, 3, 5, 7), r"'road' is a Tensor \(2, 3, 5, 7\); take one out of a batch: x\[0\]"),
        (torch.zeros(4, 5, 7), r"'road' is a Tensor \(4, 5, 7\)"),
        (torch.zeros(5, 7, 3), r"'road' is a Tensor \(5, 7, 3\)"),
        (torch.zeros(5), r"'road' is a Tensor \(5,\)"),
        (torch.zeros(()), r"'road' is a Tensor \(\)"),
        (np.zeros((5, 7)), r"'road' is a ndarray \(5, 7\)"),
        ([[0, 1]], r"'road' is a list"),
        (torch.zeros(3, 0, 7), r"'road' has no pixels"),
    ],
)
def test_what_is_no_picture_is_refused(displayed, picture, message):
    with pytest.raises(ValueError, match=message):
        figures.pictures({"fine": ROAD, "road": picture}, ALT)
    assert displayed == []


def test_no_picture_at_all_is_refused(displayed):
    with pytest.raises(ValueError, match="panels is empty"):
        figures.pictures({}, ALT)
    with pytest.raises(ValueError, match="numbers are for grey pictures"):
        figures.pictures({"road": ROAD}, ALT, numbers=True)
    with pytest.raises(ValueError, match="alt must describe"):
        figures.pictures({"road": ROAD}, "road")


@pytest.mark.parametrize("log", [False, True])
def test_curves_are_shown_and_nothing_is_returned(displayed, log):
    lines = {name: ([1, 2, 4], [1.0, number, 9.0]) for number, name in enumerate("abcdefgh", start=1)}

    assert figures.curves(lines, ALT, x_label="pixels", y_label="seconds", log=log) is None
    assert displayed[0][1]["image/png"]["alt"] == ALT


def test_no_curve_is_left_out_in_silence(displayed):
    """There are eight markers; a ninth curve would have none, and be skipped."""
    nine = {str(number): ([1, 2], [1, number]) for number in range(9)}

    with pytest.raises(ValueError, match="at most 8 curves stay apart, got 9"):
        figures.curves(nine, ALT, x_label="pixels", y_label="seconds")


def test_a_place_without_a_picture_stays_empty(monkeypatch):
    """Three pictures in two columns leave one place over."""
    drawn = []
    monkeypatch.setattr(figures, "show", lambda figure, alt: drawn.append(figure))
    figures.pictures({name: torch.rand(5, 7) for name in "abc"}, ALT, columns=2)

    assert [axes.axison for axes in drawn[0].axes] == [True, True, True, False]


def test_integers_that_are_no_mask_are_not_shown_as_white():
    with pytest.raises(ValueError, match=r"integers 0\.\.200 do not lie in 0\.\.1.*span"):
        figures.pictures({"classes": torch.tensor([[0, 200]])}, ALT)
    with pytest.raises(ValueError, match="complex64"):
        figures.pictures({"waves": torch.zeros(2, 3, dtype=torch.complex64)}, ALT)


# ---- explore ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shell():
    """An IPython of our own: only there is anything captured that a function displays."""
    config = Config()
    config.HistoryManager.enabled = False
    yield InteractiveShell.instance(config=config)
    InteractiveShell.clear_instance()


class Explored:
    """`explore`, started with a function that writes down how it was called, prints, and shows a picture."""

    def __init__(self, monkeypatch):
        self.boxes: list[ipywidgets.VBox] = []
        self.stills: list[dict] = []  # what stands below the sliders, and is stored
        monkeypatch.setattr(figures, "display", self.display)
        self.calls: list[tuple] = []
        self.error: Exception | None = None
        figures.explore(self.draw, ROAD, size=(1, 5), bright=[True, False])
        self.size, self.bright, self.upload, self.problem, self.result = self.boxes[0].children

    def display(self, thing, raw=False, metadata=None, display_id=None):
        """Take a box; or a bundle, and return its handle."""
        if not raw:
            assert not self.stills, "the sliders come first"
            self.boxes.append(thing)
            return None
        assert display_id is True
        self.stills.append(thing)
        place = len(self.stills) - 1

        def update(bundle, raw):
            self.stills[place] = bundle

        return SimpleNamespace(update=update)

    def draw(self, picture, size, bright):
        self.calls.append((picture, size, bright))
        if self.error:
            raise self.error
        if size > picture.shape[-2]:
            raise ValueError(f"the window is too large for {picture.shape[-2]} rows")
        print(f"size < {size}")
        figures.pictures({"road": picture}, f'A road of {picture.shape[-1]} columns, called "road".')

    def choose(self, new) -> None:
        """Tell the observers of the button what ipywidgets would tell them."""
        self.upload.notify_change({"name": "value", "old": (), "new": new, "owner": self.upload, "type": "change"})


@pytest.fixture
def explored(shell, monkeypatch):
    return Explored(monkeypatch)


def upload_of(content: bytes, version: int):
    """Give the value of a FileUpload as ipywidgets 7 (Colab) or 8 hands it on."""
    if version == 7:
        return {"mine.png": {"metadata": {"name": "mine.png", "type": "image/png"}, "content": content}}
    return ({"name": "mine.png", "type": "image/png", "size": len(content), "content": memoryview(content)},)


def own_picture() -> bytes:
    stored = io.BytesIO()
    Image.new("RGB", (9, 4), (1, 2, 3)).save(stored, "PNG")
    return stored.getvalue()


def test_explore_starts_with_the_books_picture(explored):
    """Once, and what the function prints and shows stands on the page with its description."""
    assert explored.calls == [(ROAD, explored.size.value, True)]
    assert 1 <= explored.size.value <= 5
    picture, text = explored.stills
    assert picture["image/png"] and picture["text/plain"] == 'A road of 7 columns, called "road".'
    assert text == {"text/plain": f"size < {explored.size.value}\n"}
    assert explored.result.value == ""


def test_explore_puts_the_new_picture_in_the_place_of_the_stored_one(explored):
    explored.size.value = 5

    assert explored.stills == [{"text/plain": ""}] * 2
    assert "<pre>size &lt; 5\n</pre>" in explored.result.value
    assert 'alt="A road of 7 columns, called &quot;road&quot;."' in explored.result.value


@pytest.mark.parametrize(
    ("error", "said"),
    [(RuntimeError("out of memory"), "RuntimeError: out of memory"), (ValueError("too small"), "too small")],
)
def test_explore_shows_an_error_and_takes_the_picture_away(explored, error, said):
    """At the first move of a slider, and later; a setting that works brings the picture back."""
    for size in (5, 4):
        explored.error = error
        explored.size.value = size
        assert (explored.problem.value, explored.result.value) == (said, "")
        assert explored.stills == [{"text/plain": ""}] * 2
        explored.error = None
        explored.size.value = 1
        assert explored.problem.value == "" and "size &lt; 1" in explored.result.value


def test_explore_lets_an_error_out_while_the_cell_still_runs(shell, monkeypatch):
    monkeypatch.setattr(figures, "display", lambda *_, **__: pytest.fail("nothing is shown"))

    with pytest.raises(ZeroDivisionError):
        figures.explore(lambda picture, size: 1 / 0, ROAD, size=(1, 5))


def test_explore_names_its_controls(explored):
    assert [explored.size.description, explored.bright.description] == ["size", "bright"]
    assert isinstance(explored.size, ipywidgets.IntSlider)


def test_explore_calls_again_when_a_control_moves(explored):
    for size in (1, 5, 2):
        explored.size.value = size

        assert explored.calls[-1] == (ROAD, size, True)
        assert f"size &lt; {size}" in explored.result.value
    explored.bright.value = False
    assert explored.calls[-1] == (ROAD, 2, False)


@pytest.mark.parametrize("version", [7, 8])
def test_explore_takes_the_readers_picture(explored, version):
    explored.choose(upload_of(own_picture(), version))
    picture, *_ = explored.calls[-1]

    assert picture.shape == (3, 4, 9)
    assert picture[:, 0, 0].tolist() == [1, 2, 3]
    assert explored.problem.value == ""
    assert "A road of 9 columns" in explored.result.value
    # And keeps it when a slider moves.
    explored.size.value = 5
    assert explored.calls[-1][0] is picture


@pytest.mark.parametrize("version", [7, 8])
def test_explore_names_a_damaged_file_and_keeps_the_picture(explored, version):
    explored.choose(upload_of(b"<html>no picture</html>", version))

    assert "not a picture" in explored.problem.value
    assert len(explored.calls) == 1
    explored.size.value = 4
    assert explored.calls[-1][0] is ROAD
    explored.choose(upload_of(own_picture(), version))
    assert explored.problem.value == ""
    assert explored.calls[-1][0].shape == (3, 4, 9)


def test_explore_says_when_a_setting_does_not_fit_the_readers_picture(explored):
    """A small picture under a large window: the reason is shown, and goes when the setting fits again."""
    explored.choose(upload_of(own_picture(), 8))
    explored.size.value = 5
    assert explored.problem.value == "the window is too large for 4 rows"
    explored.size.value = 2
    assert explored.problem.value == ""
    assert "size &lt; 2" in explored.result.value


@pytest.mark.parametrize("nothing", [{}, ()])
def test_explore_does_nothing_when_the_choice_is_withdrawn(explored, nothing):
    explored.choose(nothing)

    assert len(explored.calls) == 1


def test_explore_works_with_the_installed_ipywidgets(explored):
    """The real button, as far as Python goes: its value is set, and the observers hear of it."""
    if ipywidgets.__version__ < "8":
        pytest.skip("the value of ipywidgets 7 is set by the browser alone")
    explored.upload.value = ({**upload_of(own_picture(), 8)[0], "last_modified": datetime.now(UTC)},)

    assert explored.calls[-1][0].shape == (3, 4, 9)


# ---- where runs are kept -------------------------------------------------------------------------


def test_a_run_is_kept_where_the_reader_says_else_in_a_mounted_drive_else_here(monkeypatch, tmp_path):
    monkeypatch.delenv("BOOK_RUNS", raising=False)
    mounted: list[bool] = [False]
    is_dir = notebook.Path.is_dir
    monkeypatch.setattr(notebook.Path, "is_dir", lambda path: mounted[0] if "MyDrive" in path.parts else is_dir(path))
    assert notebook.run_folder("fcn").as_posix() == "runs/fcn"
    mounted[0] = True
    assert notebook.run_folder("fcn").as_posix() == "/content/drive/MyDrive/keep-the-crack/runs/fcn"
    monkeypatch.setenv("BOOK_RUNS", str(tmp_path))
    assert notebook.run_folder("fcn") == tmp_path / "fcn"


# ---- what a network says about photographs -------------------------------------------------------


def an_answer(height: int = 30, width: int = 40) -> Answer:
    labels = torch.zeros(height, width, dtype=torch.int64)
    labels[5:20, 5:20], labels[22:, 30:] = 2, 1
    return Answer(torch.zeros(3, height, width, dtype=torch.uint8), labels, None, ("background", "cup", "spoon"))


def panels_of(figure) -> list[tuple[str, torch.Tensor]]:
    return [(axes.get_title(), axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_an_answer_is_shown_with_its_photograph_both_in_one_and_the_truth(drawn):
    """One colour for a class in all panels and in the legend; the class of most pixels comes first."""
    answer = an_answer()
    figures.answers({"a table": answer, "again": answer}, truths={"a table": answer.labels})
    ((figure, alt),) = drawn

    shown = panels_of(figure)
    assert [title for title, _ in shown] == ["a table", "answer", "both", "truth", "again", "answer", "both"]
    assert np.array_equal(shown[1][1], shown[3][1]) and np.array_equal(shown[2][1], shown[6][1])
    legend = figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["spoon", "cup"]
    first = np.round(np.array(legend.get_patches()[0].get_facecolor()[:3]) * 255)
    assert np.array_equal(first, shown[1][1][10, 10])
    assert alt.startswith("A photograph, the network's answer, and both in one. a table: background 7")
    assert "spoon 18.8%" in alt and "cup 6.7%" in alt


def test_the_words_for_an_answer_do_not_say_that_nothing_is_there(drawn):
    answer = an_answer(60, 80)
    answer.labels[:] = 0
    answer.labels[0, :5], answer.labels[1, 0] = 1, 2  # 5 and 1 of 4800 pixels
    figures.answers({"a table": answer})
    assert "cup 0.1%, spoon under 0.1%" in drawn[0][1]


def test_an_answer_without_things_has_no_legend_and_a_truth_without_an_answer_is_refused(drawn):
    answer = an_answer()
    figures.answers({"empty": answer.__class__(answer.image, answer.labels * 0, None, answer.classes)}, alt="Nothing.")
    assert not drawn[0][0].legends and drawn[0][1] == "Nothing."
    for rows, truths, said in (
        ({}, None, "there is nothing to show"),
        (answer, None, "there is nothing to show: give titles with answers"),
        ({"a": answer}, {"b": answer.labels}, "each truth needs an answer of the same title"),
        (
            {"a": answer},
            {"a": answer.labels[:20]},
            r"the truth of 'a' must be .* \(30, 40\); got torch.int64 \(20, 40\)",
        ),
        ({"a": answer}, {"a": answer.labels.float()}, "must be class numbers"),
    ):
        with pytest.raises(ValueError, match=said):
            figures.answers(rows, truths=truths)


def test_networks_with_other_classes_share_a_figure(drawn):
    answer = an_answer()
    cracks = Answer(answer.image, (answer.labels > 0).long(), None, ("pavement", "crack"))
    figures.answers({"a table": answer, "a road": cracks})
    assert [text.get_text() for text in drawn[0][0].legends[0].get_texts()] == ["crack", "spoon", "cup"]

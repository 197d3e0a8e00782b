"""The figures that move, as Python holds them: settings, errors, and the HTML that a page stores."""

import base64
import json
import re
from xml.etree import ElementTree

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.widgets import MovingFigure, Window
from chapters_code.widgets.window import ROAD

SETTINGS = {"kernel_size": 3, "stride": 2, "padding": 1, "step": 4}


def module_of(html):
    """Give the JavaScript that a page starts."""
    return base64.b64decode(re.search('data:text/javascript;base64,([^"]+)', html)[1]).decode()


def picture_of(figure):
    """Parse the still picture that a page shows first."""
    text = base64.b64decode(re.search('data:image/svg[+]xml;base64,([^"]+)', figure.to_html())[1])
    return ElementTree.fromstring(text)


def words_of(svg):
    return [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("operation", ["max", "average", "convolution"])
@pytest.mark.parametrize("shape", [(3, 5), (6, 4), (10, 7)])
def test_output_equals_torch(shape, operation):
    """In 1-D the first row alone is pooled, or convolved with the kernel's first row."""
    x = torch.randint(-50, 50, shape).double() / 10
    for settings in ({"kernel_size": 2, "stride": 1}, {"kernel_size": 3, "stride": 2, "padding": 1}):
        kernel = torch.randint(-50, 50, (settings["kernel_size"],) * 2).double() / 10
        both = {
            "max": (functional.max_pool1d, functional.max_pool2d),
            "average": (functional.avg_pool1d, functional.avg_pool2d),
            "convolution": (
                lambda x, kernel_size, k=kernel, **more: functional.conv1d(x, k[None, None, 0], **more),
                lambda x, kernel_size, k=kernel, **more: functional.conv2d(x, k[None, None], **more),
            ),
        }
        pool1d, pool2d = both[operation]  # fmt: skip
        settings |= {"kernel": kernel} if operation == "convolution" else {}
        figure = Window(x, operation=operation, **settings)
        row = Window(x, operation=operation, dimensions=1, **settings)

        settings.pop("kernel", None)
        assert_close(figure.output, pool2d(x[None, None], **settings)[0, 0])
        assert_close(row.output, pool1d(x[None, :1], **settings)[0, 0])


def test_the_road_by_hand():
    """The maximum keeps nothing of the crack, the mean keeps (1 + 7 + 1 + 7) / 4 = 4; the 9 stays in both."""
    rows = ROAD[:2]

    assert Window(rows).output.tolist() == [[7, 7, 9, 7]]
    assert Window(rows, operation="average").output.tolist() == [[7, 4, 7.5, 7]]


def test_a_convolution_by_hand():
    """How much darker than around: on the crack (6 · 7 + 2 · 1) / 8 − 1 = 4.5."""
    figure = Window(operation="convolution", stride=1)

    assert figure.kernel_size == 3
    assert figure.output[0].tolist() == [-1.5, 4.5, -2.25, -0.5, 0.25, 0.25]
    assert figure.output[1, 2] == (6 * 7 + 2) / 8 - 1


def test_a_kernel_is_cut_or_filled_with_zeros_when_its_size_changes():
    figure = Window(operation="convolution", kernel=[[1, 2], [3, 4]])
    figure.kernel_size = 3
    assert figure.weights.tolist() == [[1, 2, 0], [3, 4, 0], [0, 0, 0]]
    figure.kernel_size = 1
    assert figure.weights.tolist() == [[1]]
    figure.dimensions, figure.kernel_size = 1, 2
    assert figure.weights.tolist() == [1, 2]
    assert Window(dimensions=1, operation="convolution", kernel=[1, 0, -1]).output.tolist() == [6, -6, 0]


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor, lambda rows: torch.tensor(rows).numpy()])
def test_any_nested_numbers_are_a_picture(kind):
    figure = Window(kind([[1.0, 0.1, 2.0], [3.0, -4.5, 5.0]]))

    assert figure.values == [[1, 0.1, 2], [3, -4.5, 5]]
    assert json.dumps(figure.values) == "[[1, 0.1, 2], [3, -4.5, 5]]"  # float32's 0.1 is 0.10000000149


def test_one_row_alone_is_a_picture():
    assert Window([4, 1, 6], dimensions=1).values == [[4, 1, 6]]


def test_paint_is_taken_from_the_picture():
    """The median is pavement, the smallest number is crack; they differ even if the picture has one grey."""
    figure, flat = Window([[0.5, 0.5, 0.1], [0.5, 0.9, 0.5]]), Window([[3, 3], [3, 3]])

    assert (figure.pavement, figure.crack) == (0.5, 0.1)
    assert flat.pavement == 3 and flat.crack != 3
    assert Window(pavement=8, crack=0).state()["crack"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be an integer from 1 to 5, got 0"),
        ({"kernel_size": 2.5}, "kernel_size must be an integer from 1 to 5, got 2.5"),
        ({"stride": 5}, "stride must be an integer from 1 to 4, got 5"),
        ({"padding": -1}, "padding must be an integer from 0 to 2, got -1"),
        ({"dimensions": 3}, "dimensions must be an integer from 1 to 2"),
        ({"operation": "mean"}, "operation must be one of max, average, convolution; got 'mean'"),
        ({"kernel": [[1, 2, 3], [4, 5, 6]]}, "kernel must be square, got 2 x 3: fill it with zeros"),
        ({"kernel": [1, 2, 3]}, r"got 1 x 3: fill it with zeros \(one row alone is a kernel with dimensions=1\)"),
        ({"kernel": torch.zeros(6, 6)}, r"kernel must have 1 to 5 rows and columns, got 6 x 6: cut a piece"),
        ({"kernel": "sobel"}, "kernel must hold plain numbers, got 's'"),
        ({"kernel": [[1, 2], [3]]}, "all rows of kernel must be equally long"),
        ({"kernel": [[1000]]}, "kernel must lie between -1000 and 1000, got 1000"),
        ({"kernel": [[1, 2], [3, 4]], "kernel_size": 3}, "kernel has 2 columns, got kernel_size=3: leave it out"),
        ({"step": -1}, "step must be an integer of 0 or more, got -1"),
        ({"step": 12}, "step must be below the 12 cells of the output, got step=12"),
        ({"kernel_size": 3, "padding": 2}, "padding must be at most half"),
        ({"values": [[1, 2, 3]]}, "take a smaller kernel_size"),
        ({"values": [[1, 2], [3]]}, r"equally long, got rows of \[1, 2\] numbers"),
        ({"values": []}, "rows of numbers such as"),
        ({"values": [[]]}, "1 to 10 rows and columns, got 1 x 0"),
        ({"values": 7}, "rows of numbers such as"),
        ({"values": "road"}, "plain numbers, got 'r'"),
        ({"values": torch.zeros(11, 4)}, r"1 to 10 rows and columns, got 11 x 4: cut a piece"),
        ({"values": torch.zeros(3, 4, 4)}, r"one channel alone, as in x\[0, 0\]"),
        ({"values": [[1, float("nan")]]}, "between -1000 and 1000, got nan"),
        ({"values": [[1, 1000]]}, "got 1000: scale it first"),
        ({"crack": "dark"}, "crack must hold plain numbers, got 'dark'"),
        ({"pavement": "light"}, "pavement must hold plain numbers, got 'light'"),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        Window(**settings)


def test_settings_that_fit_no_window_can_be_reached_as_by_the_sliders():
    """The figure says what is wrong, `output` is refused, and the still picture shows the input alone."""
    figure = Window(ROAD[:3])
    figure.kernel_size = 5

    with pytest.raises(ValueError, match="smaller kernel_size"):
        _ = figure.output
    assert len(words_of(picture_of(figure))) == 1 + 3 * 8


def test_the_bundle_carries_the_page_and_a_sentence():
    figure = Window(**SETTINGS)
    data, _ = figure._repr_mimebundle_()

    assert data["text/html"] == figure.to_html()
    assert data["text/plain"] == figure.description
    assert figure.description == (
        "Max pooling of 6 × 8 numbers, one window at a time: window 3 × 3, stride 2, padding 1."
    )
    assert "application/vnd.jupyter.widget-view+json" in data
    assert repr(figure) == f"<Window: {figure.description}>"
    assert Window(operation="convolution", kernel=[[0, 1], [-1, 0.5]]).description == (
        "Convolution of 6 × 8 numbers, one window at a time:"
        " window 2 × 2 with the weights 0, 1; −1, 0.5, stride 2, padding 0."
    )


def test_the_page_starts_from_the_same_state_as_jupyter():
    figure = Window()

    assert figure.get_state(["values", "step"]) == {"values": [list(row) for row in ROAD], "step": 0}


def test_state_cannot_end_the_script():
    """A figure may hold any text; HTML must not read it."""

    class Note(Window):
        def state(self):
            return super().state() | {"note": "</script><b>"}

    html = Note().to_html()

    assert html.count("</script>") == 1 and "\\u003c/script>" in html


def test_the_still_picture_shows_input_and_output():
    figure = Window([[1, -2, 3], [4, 5.25, 6]], kernel_size=2, stride=1, operation="average")

    assert words_of(picture_of(figure)) == [
        "input", "1", "−2", "3", "4", "5.25", "6", "average pooling", "2.06", "3.06"]  # fmt: skip
    figure.operation, figure.kernel = "convolution", [[1, 0], [0, -0.125]]
    assert words_of(picture_of(figure))[7:] == [
        "kernel", "1", "0", "0", "−0.125", "output", "0.34", "−2.75"]  # fmt: skip


@pytest.mark.parametrize(("sum_of_16", "text"), [(2, "0.13"), (-2, "−0.13"), (-0.01, "0")])
def test_the_still_picture_rounds_as_javascript_does(sum_of_16, text):
    """2 / 16 = 0.125 lies half way: toFixed goes up, Python's own formatting goes to the even digit."""
    values = [[0] * 4 for _ in range(4)]
    values[0][0] = sum_of_16

    assert words_of(picture_of(Window(values, kernel_size=4, operation="average")))[-1] == text


def test_the_frame_stands_on_the_window():
    """Step 4, at three windows a row, is row 1, column 1; with stride 2 and padding 1 it starts at (1, 1)."""
    svg = picture_of(Window([[7] * 6 for _ in range(5)], **SETTINGS))
    cells = [rect for rect in svg.iter() if rect.get("width") == "0.96"]
    first, frame = cells[0], [rect for rect in svg.iter() if rect.get("stroke") == "#e69f00"][0]

    assert float(frame.get("x")) - float(first.get("x")) == pytest.approx(1, abs=0.03)
    assert float(frame.get("y")) - float(first.get("y")) == pytest.approx(1, abs=0.03)
    assert (frame.get("width"), frame.get("height")) == ("3", "3")


def test_a_figure_without_words_or_picture_is_refused():
    for missing in ("description", "still"):
        with pytest.raises(NotImplementedError, match="MovingFigure needs a"):
            value = getattr(MovingFigure, missing)
            value.fget(MovingFigure()) if isinstance(value, property) else value(MovingFigure())

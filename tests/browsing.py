"""What the tests of figures in a browser share; their fixtures `open_page` and `blank` are in conftest."""

import json
import re
import subprocess
import sys

from chapters_code.widgets.moving import es_module


def page_of(*figures, style=""):
    """Write a page as small as it gets around some figures."""
    body = "".join(figure.to_html() for figure in figures)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Try</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>body {{ margin: 16px }} {style}</style><main><h1>Try</h1>{body}</main></html>"
    )


def in_module(page, module, script, argument):
    """Run `script`, a function of a figure's module and an argument, in the browser.

    Both ways as one text, since thousands of numbers take Playwright seconds; Infinity and NaN survive, too.
    """
    text = page.evaluate(
        """async ([code, script, argument]) => {
            const url = URL.createObjectURL(new Blob([code], {type: "text/javascript"}));
            const found = eval(script)(await import(url), eval(`(${argument})`));
            URL.revokeObjectURL(url);
            const odd = (number) => typeof number === "number" && !Number.isFinite(number);
            return JSON.stringify(found, (_, value) => (odd(value) ? `number ${value}` : value));
        }""",
        [es_module(module), script, json.dumps(argument)],
    )
    return json.loads(re.sub('"number (-?Infinity|NaN)"', r"\1", text))


def call(page, module, function, cases):
    """Call a plain function of a figure's module in the browser, once per case (a list of arguments)."""
    return in_module(page, module, f"(module, cases) => cases.map((one) => module.{function}(...one))", cases)


def still_of(open_page, figure):
    """Open a figure where no JavaScript runs, and give the box of its still picture, which must stand alone."""
    page = open_page(figure, java_script_enabled=False, viewport={"width": 320, "height": 600})
    image = page.get_by_role("img", name=figure.description)

    assert image.is_visible() and 0 < image.bounding_box()["width"] <= 288
    assert page.locator(".figure").count() == 0
    return image.bounding_box()


def text_colours(page, names):
    """Give the colours in which the first figure of a page writes what these selectors name."""
    return page.evaluate(
        """(names) => {
            const root = document.querySelector("main [data-lm-suppress-shortcuts]").shadowRoot;
            return names.map((name) => getComputedStyle(root.querySelector(name)).color);
        }""",
        names,
    )


def html_from_another_process(figure, made):
    """Give what a figure is stored as, if it is made by `made` (as Python writes it) where nothing was made before."""
    code = f"from {type(figure).__module__} import {type(figure).__name__}; print(end={made}.to_html())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode()


def addresses_in(figure):
    """Find addresses in a figure's module and still picture, but for the name of the SVG format: nobody asks that."""
    texts = [text.replace("http://www.w3.org/2000/svg", "") for text in (figure._esm, figure.still())]
    return [found for text in texts for found in re.findall(r"https?:|//[a-z]+\.", text)]


def at_widths(page, widths=(300, 320, 390, 800)):
    """Make a page as wide as phones are, and a desk, one after the other; at none of them it may overflow."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        yield width


def smallest(page, role, count):
    """Give the least width and the least height of all controls of a role; so many there must be."""
    measure = "all => all.map((one) => one.getBoundingClientRect()).map(({width, height}) => [width, height])"
    widths, heights = zip(*page.get_by_role(role).evaluate_all(measure), strict=True)
    assert len(widths) == count
    return {"width": min(widths), "height": min(heights)}


def plain(text):
    """Turn the spaces that hold a line together into plain ones."""
    return text.replace("\u00a0", " ")


def table_of(page):
    """Give the numbers of the tables as the reader sees them, row by row, without the names of the rows."""
    return [[plain(one) for one in row.locator("td").all_inner_texts()] for row in page.locator("tbody tr").all()]


def canvas_of(page, which=0):
    """Read what a canvas shows, rows of #rrggbb; it must be opaque."""
    height, width, data = page.locator("canvas").nth(which).evaluate(
        """(canvas) => {
            // From a copy: Chromium complains of a canvas that is often read.
            const copy = Object.assign(document.createElement("canvas"), {height: canvas.height, width: canvas.width});
            const brush = copy.getContext("2d", {willReadFrequently: true});
            brush.drawImage(canvas, 0, 0);
            const {data} = brush.getImageData(0, 0, canvas.width, canvas.height);
            return [canvas.height, canvas.width, Array.from(data, (one) => one.toString(16).padStart(2, "0")).join("")];
        }"""
    )  # fmt: skip
    assert set(bytes.fromhex(data)[3::4]) == {255}
    pixels = [f"#{data[at : at + 6]}" for at in range(0, len(data), 8)]
    return [pixels[row * width : (row + 1) * width] for row in range(height)]

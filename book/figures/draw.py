"""Draw the title page's picture, one road halved in two ways: `python book/figures/draw.py` writes crack.svg, and
road.svg, the same for the README.

The picture is computed, so that it cannot promise what pooling does not do: in every block of 2 x 2 pixels
the brightest survives above (max pooling) and the darkest below (min pooling).  Colours are classes which
book.css fills; so the drawing follows the page from light to dark.  road.svg stands alone: it has the colours of the
light page in it, and paper behind it, since nobody knows the page that it will stand on.
"""

import re
from collections.abc import Callable
from pathlib import Path

SIDE = 16  # pixels of the road, both ways
CELL = 13  # drawing units per pixel, with a gap of one between pixels
CRACK, MARKING = 0, 9  # brightness; the asphalt lies between
# The column of the crack in each row, from the top down.
CRACK_COLUMNS = (5, 5, 6, 7, 7, 6, 5, 4, 4, 5, 6, 7, 8, 8, 9, 9)


def road() -> list[list[int]]:
    """Return 16 x 16 brightness values: asphalt in three greys, a marking 2 wide, a crack 1 wide."""
    rows = [[4 + (5 * i + 3 * j + i * j) % 3 for j in range(SIDE)] for i in range(SIDE)]
    for i, column in enumerate(CRACK_COLUMNS):
        if i % 6 < 4:
            rows[i][12:14] = [MARKING, MARKING]
        rows[i][column] = CRACK
    return rows


def pool(rows: list[list[int]], keep: Callable) -> list[list[int]]:
    """Halve a picture: `keep` (max or min) chooses one of the four values in each block of 2 x 2."""
    return [
        [keep(*upper[j : j + 2], *lower[j : j + 2]) for j in range(0, len(upper), 2)]
        for upper, lower in zip(rows[0::2], rows[1::2], strict=True)
    ]


def squares(rows: list[list[int]], left: int, top: int) -> list[str]:
    """Return one <rect> per pixel; its class names what the pixel shows."""
    names = {CRACK: "crack", 4: "asphalt-1", 5: "asphalt-2", 6: "asphalt-3", MARKING: "marking"}
    size = f'width="{CELL - 1}" height="{CELL - 1}" rx="1.5"'
    return [
        f'<rect class="{names[value]}" x="{left + j * CELL}" y="{top + i * CELL}" {size}/>'
        for i, row in enumerate(rows)
        for j, value in enumerate(row)
    ]


def drawing(css: str = "") -> str:
    """Return the whole picture as the text of an SVG file; with the text of book.css, one that stands alone."""
    whole = road()
    side, half, line = SIDE * CELL, SIDE * CELL // 2, 20
    # The halved pictures stand beside the road, one above the other, each with a line of words below.
    right, low = side + 84, half + 2 * line
    top, middle = (low + half - side) // 2, (side + right) // 2
    title = (
        f"A road of {SIDE} by {SIDE} pixels with a crack one pixel wide, halved twice. Where the brightest "
        "of four pixels is kept, the crack is gone. Where the darkest is kept, the crack stays."
    )
    words = [
        (middle, half // 2 - 12, "operator", "max"),
        (middle, low + half // 2 - 12, "operator", "min"),
        (half, top + side + line, "caption", f"a road, {SIDE} × {SIDE} pixels"),
        (right + half // 2, half + line, "caption", "crack gone"),
        (right + half // 2, low + half + line, "caption kept", "crack kept"),
    ]
    arrows = [
        f'<path class="arrow" d="M{side + 14} {y} H{right - 14} m-7 -6 l7 6 l-7 6"/>'
        for y in (half // 2, low + half // 2)
    ]
    width, height = right + half + 4, low + half + line + 12
    box = f'"-12 -16 {width + 24} {height + 24}" width="{width + 24}"' if css else f'"0 -4 {width} {height}"'
    return "\n".join(
        [
            '<svg class="crack-drawing" xmlns="http://www.w3.org/2000/svg" role="img"',
            f'     viewBox={box} aria-labelledby="crack-title">',
            f'<title id="crack-title">{title}</title>',
            *(styled(css) if css else ()),
            *squares(whole, 0, top),
            *squares(pool(whole, max), right, 0),
            *squares(pool(whole, min), right, low),
            *arrows,
            *(f'<text class="{name}" x="{x}" y="{y}">{text}</text>' for x, y, name, text in words),
            "</svg>\n",
        ]
    )


def styled(css: str) -> list[str]:
    """Return what makes the picture stand alone: the light page's colours, out of the text of book.css, and paper."""
    colours = dict(re.findall(r"(--[\w-]+): (#\w+);", css.partition("}")[0]))
    rules = [rule.replace(".crack-drawing ", "") for rule in re.findall(r"^\.crack-drawing .*\}$", css, re.MULTILINE)]
    style = "\n".join(rules).replace("var(--pst-font-family-monospace)", "monospace")
    style = re.sub(r"var\((--[\w-]+)\)", lambda name: colours[name[1]], style)
    paper = f'<rect x="-12" y="-16" width="100%" height="100%" rx="8" fill="{colours["--paper"]}"/>'
    return [f"<style>\ntext {{ font-family: sans-serif; }}\n{style}\n</style>", paper]


if __name__ == "__main__":
    here = Path(__file__).parent
    css = (here.parent / "_static" / "book.css").read_text(encoding="utf-8")
    (here / "crack.svg").write_text(drawing(), encoding="utf-8")
    (here / "road.svg").write_text(drawing(css), encoding="utf-8")

"""The PDF: two small pages of a site, printed and joined as the book is."""

import re
from pathlib import Path

import pypdf
import pytest
from PIL import Image

import pdf

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "book" / "_static"
LONG = "long_name_of_a_function(" + ", ".join(f"argument_{i}" for i in range(30)) + ")"
PARTS = [("", ["book/index"]), ("Shrink", ["notebooks/01_one"])]

FIRST = """
<section id="first"><h1>The first page<a class="headerlink" href="#first">#</a></h1>
<p><a href="../notebooks/01_one.html#below">To below</a> <a href="https://example.org/x">Out</a>
<a href="api/none.html">The reference</a></p></section>
"""
SECOND = f"""
<section id="one"><h1>01 · Öne²</h1>
<div class="cell"><div class="cell_input"><div class="highlight"><pre>{LONG}
{"x = 1<br>" * 60}</pre></div></div></div>
<div class="pst-scrollable-table-container"><table class="table">
<tr>{"<td>averylongwordinacell</td>" * 12}</tr></table></div>
<section id="below"><h2>Below</h2><p style="height: 120mm">Half a page. <a href="../book/index.html">Back</a></p>
<div class="cell"><div class="cell_output"><img alt="A figure" loading="lazy" src="../figure.png"></div></div>
<p class="figure-caption">Figure 1.1. Its words.</p></section>
<section><h2>Exercises</h2><section id="exercise"><h3>Exercise 1.1 ★ Do it</h3><p class="exercise-kind"></p>
<details class="hint"><summary>Hint 1 of 1</summary><p>Think twice.</p></details>
<details class="solution"><summary>Solution 1.1</summary><p>The answer is two.</p></details></section></section>
</section>
"""
PAGE = """<!DOCTYPE html><html lang="en" data-theme="dark"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="../style.css"></head>
<body><script>window.formulas = Promise.resolve();</script><article class="bd-article">{body}</article></body></html>"""


def positions(page):
    """The left edge and the text of each piece of a page, in points."""
    found = []
    page.extract_text(visitor_text=lambda text, at, move, font, size: found.append((at, move, text)))
    return [(move[4] * at[0] + at[4], text) for at, move, text in found if text.strip()]


@pytest.fixture(scope="module")
def printed(browser, tmp_path_factory):
    """The PDF of two pages, and where it lies."""
    site = tmp_path_factory.mktemp("a [new] site")
    (site / "book").mkdir()
    (site / "notebooks").mkdir()
    style = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("book.css", "print.css"))
    (site / "style.css").write_text(style, encoding="utf-8")
    Image.new("RGB", (600, 900), "red").save(site / "figure.png")
    (site / "book" / "index.html").write_text(PAGE.format(title="First", body=FIRST), encoding="utf-8")
    (site / "notebooks" / "01_one.html").write_text(PAGE.format(title="Second", body=SECOND), encoding="utf-8")
    target = site / "made" / "book.pdf"
    count = pdf.print_pages(browser, site, target, "open", PARTS)
    reader = pypdf.PdfReader(target)
    assert count == len(reader.pages)
    return reader


def links(reader):
    """Each link: page it stands on, and where it leads, (page, top) or an address."""
    numbers = {page.indirect_reference.idnum: i for i, page in enumerate(reader.pages)}
    for i, page in enumerate(reader.pages):
        for link in page.get("/Annots", ()):
            link = link.get_object()
            if "/Dest" in link:
                place = link["/Dest"]
                yield i, (numbers[list.__getitem__(place, 0).idnum], float(place[3]))
            else:
                yield i, link["/A"]["/URI"]


def page_with(reader, words):
    """The numbers, from 0, of the pages that have these words."""
    return [i for i, page in enumerate(reader.pages) if words in page.extract_text()]


@pytest.mark.browser
def test_links_lead_to_their_places_and_those_out_of_the_book_stay(printed):
    (below,) = page_with(printed, "Half a page.")
    (first,) = page_with(printed, "To below")
    found = list(links(printed))

    assert (first, "https://example.org/x") in found
    assert [place[0] for i, place in found if i == first and place != "https://example.org/x"] == [below]
    assert first in [place[0] for i, place in found if i == below]
    assert {place for _, place in found if isinstance(place, str)} == {"https://example.org/x"}


@pytest.mark.browser
def test_bookmarks_are_parts_chapters_and_sections(printed):
    def titles(outline):
        return [titles(one) if isinstance(one, list) else one.title for one in outline]

    sections = ["Below", "Exercises", "Hints and solutions"]
    assert titles(printed.outline) == ["The first page", "Shrink", ["01 · Öne²", sections]]
    below = printed.outline[2][1][0]
    assert [printed.get_destination_page_number(below)] == page_with(printed, "Half a page.")


@pytest.mark.browser
def test_the_numbers_in_the_contents_are_those_on_the_pages(printed):
    """The front has roman numbers, and so have its labels."""
    (contents,) = page_with(printed, "Contents\n")
    lines = printed.pages[contents].extract_text().split("\n")
    labels = printed.page_labels

    assert labels[contents] == "ii"
    for title in ("The first page", "Below", "Hints and solutions"):
        (line,) = (one for one in lines if one.startswith(title))
        number = line.removeprefix(title).strip()
        page = labels.index(number)
        text = printed.pages[page].extract_text()
        assert title in text
        assert re.search(rf"\b{number}(?!\d)", text)  # at its foot


@pytest.mark.browser
def test_solutions_are_at_the_end(printed):
    text = "\n".join(page.extract_text() for page in printed.pages)

    assert text.index("Figure 1.1.") < text.index("Hints and a solution: at the end") < text.index("Think twice.")
    assert text.count("The answer is two.") == 1


@pytest.mark.browser
def test_nothing_is_cut_and_a_figure_keeps_its_words(printed):
    """Long code goes on below; a figure that does not fit goes to the next page in one piece."""
    for page in printed.pages:
        assert tuple(map(round, page.mediabox[2:])) == (595, 842)
        assert all(x < 595 - 50 for x, _ in positions(page))
    text = "".join(page.extract_text() for page in printed.pages).replace("\n", "")
    assert "argument_29)" in text
    figures = [i for i, page in enumerate(printed.pages) if len(page.images)]
    assert figures == page_with(printed, "Figure 1.1.") and len(figures) == 1


@pytest.mark.browser
def test_it_says_what_it_is_and_is_tagged(printed):
    root = printed.root_object

    assert (printed.metadata.title, printed.metadata.author) == ("Keep the Crack", "The authors of Keep the Crack")
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    tree = root["/StructTreeRoot"]
    assert [one.get_object()["/S"] for one in tree["/K"]["/K"]] == ["/Part"] * 3
    numbers = [page["/StructParents"] for page in printed.pages]
    numbers += [link.get_object()["/StructParent"] for page in printed.pages for link in page.get("/Annots", ())]
    table = tree["/ParentTree"]["/Nums"]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(table[::2]) and len(set(table[::2])) == len(table) // 2


def test_every_page_of_the_book_but_the_reference_is_printed():
    names = [name for _, names in pdf.contents() for name in names]

    assert names[0] == "book/index" and len(set(names)) == len(names)
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == {
        name.removeprefix("notebooks/") for name in names if name.startswith("notebooks/")
    }
    assert "book/teaching/03_dilated" in names and "book/bibliography" in names
    assert not any("api" in name for name in names)


def test_a_book_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    target = tmp_path / "book.pdf"
    target.write_text("old")
    monkeypatch.setattr(pdf.PdfWriter, "write", lambda self, file: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pdf.write(pdf.PdfWriter(), target)

    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["book.pdf"]

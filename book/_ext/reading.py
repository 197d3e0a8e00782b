"""What a page of the site does for a reader who is in a hurry, on a telephone, or in the dark.

    `## Deeper: TITLE`               ->  folded, with its heading to press; a link to a place inside opens it
    `**Figure 3.1.** What to see.`   ->  the caption of the figure above it
    `bibliography.md#KEY`            ->  the entry of that key; one that is not there is a warning
    tables with many words           ->  on a telephone, each row is a block, the head's words before its cells

Pages and notebooks stay as they are: all of this is done to what Sphinx has read.
"""

import html
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

TABLE = re.compile(r"<table class=\"([^\"]*)\">(.*?)</table>", re.DOTALL)
CELL = re.compile(r"<(t[hd])([^>]*)>(.*?)</\1>", re.DOTALL)
# As many letters as the narrowest telephone has beside each other; what stands around a cell counts as so many, and
# words of that many letters together break.
ROOM, AROUND, BREAKS = 34, 2, 14

CAPTION = re.compile(r"Figure \d+\.\d+\.")
BIBLIOGRAPHY = "book/bibliography"


def fold_deeper(app: Sphinx, doctree: nodes.document) -> None:
    """Fold each section called "Deeper: ...", without JavaScript; its heading is what the reader presses."""
    for section in doctree.findall(nodes.section):
        if (section[0].rawsource or section[0].astext()).startswith("Deeper:"):  # what is written, translated or not
            title, *content = section.children
            parts = ['<details class="deeper"><summary>', title, "</summary>", *content, "</details>"]
            section[:] = [nodes.raw("", part, format="html") if isinstance(part, str) else part for part in parts]


def mark_captions(app: Sphinx, doctree: nodes.document) -> None:
    """Mark each paragraph of a chapter that begins with a figure's number in bold type as a caption."""
    if not app.env.docname.startswith("notebooks/"):  # a page for teachers only names figures
        return
    for paragraph in doctree.findall(nodes.paragraph):
        first = next((part for part in paragraph if part.astext()), None)
        number = re.match(r"\*\*(.*?)\*\*", paragraph.rawsource)  # what is written, translated or not
        number = number[1] if number else first.astext() if first else ""
        if isinstance(first, nodes.strong) and CAPTION.fullmatch(number):
            paragraph["classes"].append("figure-caption")


def anchor_citations(app: Sphinx, env: BuildEnvironment) -> None:
    """Tell MyST, which knows the headings of a page, of the entries of the bibliography, too."""
    anchors = env.metadata[BIBLIOGRAPHY]
    entries = {one.key: (0, one.citation_id, one.key) for one in env.get_domain("cite").citations}
    anchors["myst_slugs"] = anchors.get("myst_slugs", {}) | entries


def stack_tables(app: Sphinx, name: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Prepare the tables of a page that are too wide for a telephone."""
    if "<table" in context.get("body", ""):
        context["body"] = TABLE.sub(lambda table: stacked(table[0]), context["body"])


def stacked(table: str) -> str:
    """Return a table whose cells name their columns, if it is too wide for a telephone; else as it was.

    What a table is to a screen reader is said aloud: browsers forget it when a row is shown as a block.
    """
    head, end, body = table.partition("</thead>")
    heads = [plain(words) for _, _, words in CELL.findall(head)]
    rows = [CELL.findall(row) for row in body.split("</tr>") if "<td" in row or "<th" in row]
    if not end or any(len(row) != len(heads) for row in rows):
        return table
    columns = zip(heads, *([plain(words) for _, _, words in row] for row in rows), strict=True)
    if sum(map(room, columns)) <= ROOM:
        return table
    labels = iter([label for _ in rows for label in heads])

    def cell(match: re.Match) -> str:
        role = "rowheader" if match[1] == "th" else "cell"
        label = html.escape(next(labels), quote=True)
        return f'<{match[1]}{match[2]} role="{role}" data-label="{label}">{match[3]}</{match[1]}>'

    head = CELL.sub(r'<\1\2 role="columnheader">\3</\1>', head).replace('class="', 'role="table" class="stacked ', 1)
    table = head + end + CELL.sub(cell, body)
    table = re.sub("<(thead|tbody)", r'<\1 role="rowgroup"', table)
    return table.replace("<tr", '<tr role="row"')


def plain(words: str) -> str:
    """Return the words of a piece of HTML."""
    words = html.unescape(re.sub("<[^>]*>", "", words))
    return re.sub(r"\\[()]", "", " ".join(words.split()))


def room(column: tuple[str, ...]) -> int:
    """Say how many letters wide a column must be: its longest word, and more if it has many."""
    longest = max((len(word) for text in column for word in text.split()), default=0)
    return max(longest, min(max(map(len, column)), BREAKS)) + AROUND


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it to Sphinx."""
    # After Sphinx's own listeners, which make the table of contents and expect a section's title in the first place.
    app.connect("doctree-read", fold_deeper, priority=800)
    app.connect("doctree-read", mark_captions)
    app.connect("html-page-context", stack_tables)
    app.connect("env-updated", anchor_citations, priority=700)  # after bibtex, which finds the entries
    return {"parallel_read_safe": True, "parallel_write_safe": True}

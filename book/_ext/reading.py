"""What a page of the site does for a reader who is in a hurry, on a telephone, or in the dark.

    `## Deeper: TITLE`               ->  folded, with its heading to press; a link to a place inside opens it
    `**Figure 3.1.** What to see.`   ->  the caption of the figure above it
    `bibliography.md#KEY`            ->  the entry of that key; one that is not there is a warning

Pages and notebooks stay as they are: all of this is done to what Sphinx has read.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

CAPTION = re.compile(r"Figure \d+\.\d+\.")
BIBLIOGRAPHY = "book/bibliography"


def fold_deeper(app: Sphinx, doctree: nodes.document) -> None:
    """Fold each section called "Deeper: ...", without JavaScript; its heading is what the reader presses."""
    for section in doctree.findall(nodes.section):
        if section[0].astext().startswith("Deeper:"):
            title, *content = section.children
            parts = ['<details class="deeper"><summary>', title, "</summary>", *content, "</details>"]
            section[:] = [nodes.raw("", part, format="html") if isinstance(part, str) else part for part in parts]


def mark_captions(app: Sphinx, doctree: nodes.document) -> None:
    """Mark each paragraph that begins with a figure's number in bold type as a caption."""
    for paragraph in doctree.findall(nodes.paragraph):
        first = next((part for part in paragraph if part.astext()), None)
        if isinstance(first, nodes.strong) and CAPTION.fullmatch(first.astext()):
            paragraph["classes"].append("figure-caption")


def anchor_citations(app: Sphinx, env: BuildEnvironment) -> None:
    """Tell MyST, which knows the headings of a page, of the entries of the bibliography, too."""
    anchors = env.metadata[BIBLIOGRAPHY]
    entries = {one.key: (0, one.citation_id, one.key) for one in env.get_domain("cite").citations}
    anchors["myst_slugs"] = anchors.get("myst_slugs", {}) | entries


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it to Sphinx."""
    # After Sphinx's own listeners, which make the table of contents and expect a section's title in the first place.
    app.connect("doctree-read", fold_deeper, priority=800)
    app.connect("doctree-read", mark_captions)
    app.connect("env-updated", anchor_citations, priority=700)  # after bibtex, which finds the entries
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Let the search find each term of the glossary, in English and in Chinese, on the site of either language.

    a row of the table in book/notation.md   ->  an entry of the search index for each of its words: in each chapter,
                                                 the first section that sets one of them in bold type; and that page

So who types 空洞卷积 is led to the place in Chapter 03 where the book explains dilated convolution.  Chapters that set
the first word of a row in bold type come first; those with a word beside it, such as "rate", come after all others.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

GLOSSARY = Path(__file__).parents[1] / "notation.md"


def rows(text: str) -> list[tuple[list[str], list[str]]]:
    """Return the English and the Chinese words of each row of the glossary.

    Args:
        text: The page.
    """
    table = text.partition("## Words")[2]
    found = re.findall(r"^\| ([^|]+) \| ([^|]*[\u4e00-\u9fff²][^|]*) \| [^|]+ \|$", table, re.MULTILINE)
    return [(pieces(english), pieces(chinese)) for english, chinese in found if english != "English"]


def pieces(cell: str) -> list[str]:
    """Return the words of a cell: "RSU (residual U-block)" has two, "空洞卷积（膨胀卷积），膨胀率" has three."""
    parts = [part.strip() for part in re.split("[,;()（），；、]", cell)]
    # Not "95 %", and not the "a gradient" that may be clipped.
    return [part for part in parts if re.match(r"[^\W\d]", part) and not part.startswith("a ")]


def plain(words: str) -> str:
    """Return words as they are compared: in small letters, in the singular, without whose rule it is."""
    words = re.sub("('s rule| wavelet)$", "", words.strip().casefold())
    return words if words.endswith("ss") else words.removesuffix("s")


def find_terms(app: Sphinx, doctree: nodes.document) -> None:
    """Keep with the pages what the search shall have of this one: words, the anchor of a section, "main" or ""."""
    docname = app.env.docname
    if not docname.startswith("notebooks/") and docname != "book/notation":
        return
    app.env.note_dependency(GLOSSARY)
    table, found = rows(GLOSSARY.read_text(encoding="utf-8")), []
    if docname == "book/notation":
        found = [(word, "", "") for row in table for words in row for word in words]
    places = {}
    for strong in doctree.findall(nodes.strong):
        places.setdefault(plain(strong.astext()), strong)
    for english, chinese in table:
        there = [word for word in (*english, *chinese) if plain(word) in places]
        if there:
            main = "main" if there[0] in (english[0], chinese[0]) else ""
            found += [(word, section_of(places[plain(there[0])]), main) for word in (*english, *chinese)]
    terms_of(app.env)[docname] = found


def terms_of(env: BuildEnvironment) -> dict[str, list[tuple[str, str, str]]]:
    """Return what is kept of all pages."""
    if not hasattr(env, "glossary_terms"):
        env.glossary_terms = {}
    return env.glossary_terms


def merge_terms(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    """Take over what another process has read."""
    terms_of(env).update({name: found for name, found in terms_of(other).items() if name in docnames})


def forget_terms(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget a page that is read anew, or gone."""
    terms_of(env).pop(docname, None)


def enter_terms(app: Sphinx) -> list:
    """Put the terms of all pages into the index of the search, before it is written.

    Sphinx would take them from the pages that it writes, and lose those of all others in a build that goes on.
    """
    index = getattr(app.builder, "indexer", None)
    if index is not None:
        index._index_entries.clear()
        index._index_entries.update({name: sorted(set(found)) for name, found in sorted(terms_of(app.env).items())})
    return []


def section_of(node: nodes.Node) -> str:
    """Return the anchor of the section that a node is in; the title of a page has none."""
    while node is not None and not isinstance(node, nodes.section):
        node = node.parent
    return node["ids"][0] if node is not None and isinstance(node.parent, nodes.section) else ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it to Sphinx."""
    app.connect("doctree-read", find_terms)
    app.connect("env-merge-info", merge_terms)
    app.connect("env-purge-doc", forget_terms)
    app.connect("html-collect-pages", enter_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""What a site in another language needs beside Sphinx's own translation of the pages (book/locale, tools/website.py).

    names of parts        ->  translated as the title page is; Sphinx does not know those that _toc.yml gives
    the site's own words  ->  `_("...")` in these extensions, `say("...")` in the scripts, and those in the drawing on
                              the first page: the catalogue `site`
    what is not translated ->  marked as English, for screen readers and for the reader's own fonts
    search in Chinese     ->  by pairs of letters, which needs no dictionary

Pages in English have their Chinese words marked as such, and nothing else of this.  The link from a page to itself in
the other language is made by tools/website.py, which knows whether that one is there.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.locale import get_translation
from sphinx.locale import init as init_locale
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform

_ = get_translation("site")

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
LETTER = re.compile(r"[^\W\d_]")
HAN_OR_OTHER = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]+|[^\\W\u3400-\u4dbf\u4e00-\u9fff]+")

# Settings in _config.yml that readers see; those within html_theme_options come first.
SETTINGS = ("search_bar_text", "nb_code_prompt_show", "nb_code_prompt_hide")

# What a drawing says, to all readers and to those who cannot see it.
DRAWN = re.compile("(<(?:text|title)[^>]*>)([^<]+)(</)")

# What is in no language, or has no place for an attribute.
SILENT = (nodes.raw, nodes.comment, nodes.target, nodes.Invisible, addnodes.toctree, addnodes.index)


class SearchChinese(SearchEnglish):
    """Search in Chinese pages with English in them: words of letters as in English, and pairs of Chinese letters.

    Sphinx's own search finds Chinese words only with jieba, a dictionary of 19 MB, and splits what the reader types at
    spaces alone: 空洞卷积, which the dictionary takes apart, would be looked for in one piece.  Pairs of letters that
    follow each other are made here and in the browser alike.
    """

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = """
var splitQuery = (query) => (query.match(/\\p{Script=Han}+|[\\p{Letter}\\p{Number}_]+/gu) ?? []).flatMap((word) => (
  word.match(/\\p{Script=Han}+|\\P{Script=Han}+/gu).flatMap((part) => (
    /\\p{Script=Han}{2}/u.test(part) ? [...part].slice(1).map((letter, i) => [...part][i] + letter) : [part]
  ))
));
"""

    def split(self, input: str) -> list[str]:
        words = []
        for part in HAN_OR_OTHER.findall(input):
            pairs = [part[i : i + 2] for i in range(len(part) - 1)] if HAN.match(part) else []
            words += pairs or [part]
        return words


class KnowIncluded(SphinxTransform):
    """Let the cells of a table that a page includes be translated with the page.

    MyST does not say where they come from, and Sphinx takes them for words of its own.  The map of the book is such a
    table; its links begin at the book's folder in README.md, and at the page's folder in a translation.
    """

    default_priority = 5  # before Sphinx looks for messages

    def apply(self, **options: object) -> None:
        up = "../" * self.env.docname.count("/")
        for cell in self.document.findall(nodes.entry):
            for words in cell.findall(nodes.paragraph):
                if not words.source:
                    words.source = self.document["source"]
                    words.rawsource = words.rawsource.replace("](notebooks/", f"]({up}notebooks/")


def translate_settings(app: Sphinx, config: Config) -> None:
    """Say what readers see of the settings in their language, and give the scripts their words."""
    options = config.html_theme_options
    for name in SETTINGS:
        if name in options:
            options[name] = str(_(options[name]))
        elif name in config:
            setattr(config, name, str(_(config[name])))


def add_words(app: Sphinx, config: Config) -> None:
    """Give the scripts the site's own words, as a script that goes before them."""
    if config.language == "en":
        return
    catalogue, _found = init_locale(config.locale_dirs, config.language, "site", "words")
    words = {text: said for text, said in getattr(catalogue, "_catalog", {}).items() if text}
    script = Path(app.doctreedir).parent / "words" / "words.js"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"window.siteWords = {json.dumps(words, ensure_ascii=False)};\n", encoding="utf-8")
    config.html_static_path = [*config.html_static_path, str(script.parent)]
    app.add_js_file(script.name, priority=100)


def keep_outputs(app: Sphinx) -> None:
    """Keep what notebooks show beside what was read of them, and not within the site of another language."""
    if hasattr(app.env, "mystnb_config"):
        folder = Path(app.doctreedir).parent / "jupyter_execute"
        app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=str(folder))


def translate_drawings(app: Sphinx, doctree: nodes.document) -> None:
    """Translate the words in the drawings of a page."""
    for raw in doctree.findall(nodes.raw):
        if "<svg " in raw.astext():
            said = DRAWN.sub(lambda match: match[1] + str(_(match[2])) + match[3], raw.astext())
            raw[:] = [nodes.Text(said)]


def translate_parts(app: Sphinx, doctree: nodes.document) -> None:
    """Translate the names of the parts of the book."""
    toctrees = [one for one in doctree.findall(addnodes.toctree) if one.get("caption")]
    if not toctrees or app.config.language == "en":
        return
    catalogue, _found = init_locale(app.config.locale_dirs, app.config.language, app.env.docname)
    for toctree in toctrees:
        toctree["caption"] = catalogue.gettext(toctree["rawcaption"])


def mark_languages(app: Sphinx, doctree: nodes.document) -> None:
    """Say of each part of a page that is in another language than the page which one that is.

    docutils makes an attribute `lang` of a class that begins so.
    """
    if app.config.language == "en":
        for node in doctree.findall(nodes.entry):
            if HAN.search(node.astext()):
                node["classes"].append("language-zh-CN")
    else:
        mark_english(doctree)


def mark_english(node: nodes.Element) -> None:
    """Mark the outermost parts of a page in which nothing is Chinese."""
    for child in node.children:
        if isinstance(child, SILENT) or not isinstance(child, nodes.Element):
            continue
        if not has_words(child):
            continue
        if not is_chinese(child):
            child["classes"].append("language-en")
        elif not child.get("translated"):
            mark_english(child)


def has_words(node: nodes.Element) -> bool:
    """Say whether a node holds more than numbers, signs and names from code, which are in no language."""
    texts = (one.astext() for one in node.findall(nodes.Text) if not isinstance(one.parent, nodes.literal))
    return any(LETTER.search(text) for text in texts)


def is_chinese(node: nodes.Element) -> bool:
    """Say whether anything in a node is translated, or Chinese from the first."""
    return any(one.get("translated") for one in node.findall(nodes.Element)) or bool(HAN.search(node.astext()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it to Sphinx."""
    for folder in app.config.locale_dirs:
        app.add_message_catalog("site", folder)
    if app.config.language.startswith("zh"):
        app.add_search_language(SearchChinese)
    app.add_transform(KnowIncluded)
    app.connect("config-inited", translate_settings)
    app.connect("config-inited", add_words)
    app.connect("builder-inited", keep_outputs, priority=600)  # after myst-nb
    app.connect("doctree-read", translate_drawings)
    app.connect("doctree-read", translate_parts, priority=100)  # before Sphinx makes the table of contents
    app.connect("doctree-read", mark_languages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

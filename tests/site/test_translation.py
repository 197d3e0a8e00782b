"""The book in Chinese: the catalogues fit the pages, nothing in them is stale or broken, and what is promised is there.

What a reader sees of it in the browser is tested in test_site.py.
"""

import gettext
import html
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
from babel.messages.catalog import Catalog, Message
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

import translation
import website

ROOT = Path(__file__).parents[2]
HOME = translation.LOCALE / "zh_CN" / "LC_MESSAGES"
CATALOGUES = sorted(HOME.rglob("*.po"))
PAGES = {path.relative_to(HOME).with_suffix("").as_posix() for path in CATALOGUES}
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))

# The least share of a page that is in Chinese: room for a few paragraphs that were changed by somebody without Chinese.
SHARES = {"site": 0.95, "book/index": 0.9, "book/notation": 0.95, "book/setup": 0.85}
# The same for what we promise of each chapter: title, head, What to remember.
CHAPTER_SHARE = 0.85


@pytest.fixture(scope="module")
def wanted(tmp_path_factory) -> dict[str, list[str]]:
    """The messages of each page, as Sphinx finds them."""
    folder = tmp_path_factory.mktemp("templates")
    command = [sys.executable, str(ROOT / "tools" / "translation.py"), "--templates", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {
        path.relative_to(folder).with_suffix("").as_posix(): [one.id for one in translation.load(path) if one.id]
        for path in sorted(folder.rglob("*.pot"))
    }


def promised(name: str) -> list[str]:
    """Return what stands at the beginning and at the end of a chapter, as messages are written."""
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    end = next(cell.source for cell in cells if "## What to remember" in cell.source)
    blocks = [cells[0].source, end[end.index("## What to remember") :]]
    parts = [part for block in blocks for part in re.split(r"\n\n|\n(?=\* )", block)]
    return [" ".join(re.sub(r"^(#+|\*) ", "", part).split()) for part in parts if part.strip()]


# --- the catalogues ---


@pytest.mark.slow
def test_no_translation_is_stale(wanted):
    """`make translations` shows where; then mend it, or say `tools/translation.py --drop`."""
    print(translation.report(wanted))  # what is translated; pytest shows it with a failure, or with -rP
    found = {page: translation.stale(translation.catalogue(page), wanted.get(page, [])) for page in sorted(PAGES)}

    assert {page: messages for page, messages in found.items() if messages} == {}


@pytest.mark.slow
@pytest.mark.parametrize("page", SHARES)
def test_what_is_promised_of_a_page_is_translated(wanted, page):
    done, all_of_it = translation.share(
        wanted[page], translation.translations(translation.catalogue(page)), translation.terms()
    )

    assert all_of_it > 30
    assert done >= SHARES[page] * all_of_it, f"{page}: {done} of {all_of_it} messages are translated"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_title_head_and_what_to_remember_of_each_chapter_are_translated(name):
    said = translation.translations(translation.catalogue(f"notebooks/{name}"))
    lacking = [message for message in promised(name) if message not in said]

    assert len(promised(name)) > 9
    assert len(lacking) <= (1 - CHAPTER_SHARE) * len(promised(name)), lacking


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_translation_keeps_code_links_roles_and_numbers(page):
    said = translation.translations(translation.catalogue(page))
    found = {message: translation.faults(message, text) for message, text in said.items()}

    assert {message: faults for message, faults in found.items() if faults} == {}
    assert [text for text in said.values() if not re.search("[\u4e00-\u9fff]|ASPP|FCN|HWD|WTConv|U²-Net", text)] == []


def test_catalogues_are_stored_as_the_command_stores_them():
    """Without dates, places, and what is not translated: else each run would change them all."""
    for path in CATALOGUES:
        assert translation.as_text(translation.load(path)) == path.read_text(encoding="utf-8"), path
        assert all(one.string for one in translation.load(path) if one.id), path


def test_one_thing_has_one_name():
    """That of the glossary, and not another one that is in use for it."""
    other = ("步长", "掩膜", "反卷积", "膨胀卷积", "扩张卷积", "扩张率", "主干网络", "感知野", "查准率", "查全率")
    found = {
        (path.name, word)
        for path in CATALOGUES
        for text in translation.translations(path).values()
        for word in other
        if word in text
    }

    assert found == set()


# --- the command ---


@pytest.mark.parametrize(
    ("message", "text", "fault"),
    [
        ("Say `make book`.", "输入 `make books`。", "lacks the code `make book`"),
        ("See [the map](index.md).", "见[路线](setup.md)。", "lacks the link ](index.md)"),
        ("As {cite:p}`luo2016` says.", "如 {cite:p}`luo2017` 所说。", "lacks the role {cite:p}`luo2016`"),
        ("{done} of {all}", "共 {all} 题", "lacks the value {done}"),
        ("[Begin](a.md){.start}", "[开始](a.md)", "lacks the mark for the style {.start}"),
        ("About $x^2$.", "关于 $x^3$。", "lacks the formula $x^2$"),
        ("Takes 25 minutes.", "需要 35 分钟。", "lacks the number 25"),
        ("Nothing.", "没有 `x`。", "has the code `x`"),
    ],
)
def test_what_a_translation_lacks_is_named(message, text, fault):
    assert fault in "; ".join(translation.faults(message, text))
    assert translation.faults(message, message) == []


def test_the_words_of_a_link_may_be_translated():
    assert translation.faults("{doc}`The page <data>` of 1.5", "{doc}`数据页 <data>`，1.5") == []


def catalogue_of(**said: str) -> Catalog:
    """A catalogue with these messages; a `_` in the name stands for a space."""
    entries = Catalog()
    for message, text in said.items():
        entries[message.replace("_", " ")] = Message(message.replace("_", " "), text)
    return entries


def test_a_changed_message_keeps_its_translation_as_a_doubtful_one():
    old = catalogue_of(The_crack_is_gone="裂缝不见了", Pooling="池化", A_window="窗口")
    new = translation.update(old, ["The crack is not gone", "Pooling", "Something else"])

    assert [one.id for one in new if one.id] == ["The crack is not gone", "Pooling"]
    (changed,) = (one for one in new if one.fuzzy and one.id)
    assert (changed.string, changed.previous_id) == ("裂缝不见了", ["The crack is gone"])
    assert list(new.obsolete) == ["A window"]
    text = translation.as_text(new)
    for line in ("#, fuzzy", '#| msgid "The crack is gone"', '#~ msgid "A window"'):
        assert line in text.splitlines()


def test_what_is_stale_is_seen_and_can_be_dropped(tmp_path):
    path, now = tmp_path / "page.po", ["The crack is not gone", "Pooling"]
    old = catalogue_of(The_crack_is_gone="裂缝不见了", Pooling="池化", A_window="窗口")
    translation.write(path, old)
    assert translation.stale(path, now) == ["The crack is gone", "A window"]  # before the command has been run

    translation.write(path, translation.update(translation.load(path), now))
    assert translation.stale(path, now) == ["The crack is not gone", "A window"]
    assert translation.translations(path) == {"Pooling": "池化"}
    again = path.read_text(encoding="utf-8")
    translation.write(path, translation.update(translation.load(path), now))
    assert path.read_text(encoding="utf-8") == again

    translation.write(path, translation.update(translation.load(path), now, drop=True))
    assert translation.stale(path, now) == []
    assert translation.translations(path) == {"Pooling": "池化"}
    translation.write(path, translation.update(translation.load(path), [], drop=True))
    assert not path.exists()


def test_what_is_open_is_put_in_on_demand_and_taken_out_again(tmp_path):
    path, now = tmp_path / "page.po", ["Pooling", "A window has `x`.", "`x`", "stride", "卷积"]
    opened = translation.update(catalogue_of(Pooling="池化"), now, opened=True)

    assert [one.id for one in opened if one.id] == ["Pooling", "A window has `x`."]
    translation.write(path, opened)
    assert translation.share(now, translation.translations(path), {"stride"}) == (1, 2)
    translation.write(path, translation.update(translation.load(path), now))
    assert [one.id for one in translation.load(path) if one.id] == ["Pooling"]


# --- what the build makes of it ---


def test_what_is_doubtful_or_gone_is_not_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(website, "ROOT", tmp_path)
    path = tmp_path / "book" / "locale" / "zh_CN" / "LC_MESSAGES" / "book" / "page.po"
    entries = catalogue_of(Pooling="池化", A_window="窗口")
    entries["A window"].flags.add("fuzzy")
    translation.write(path, entries)
    website.compile_catalogues("zh_CN", tmp_path / "made")
    compiled = tmp_path / "made" / "zh_CN" / "LC_MESSAGES" / "book" / "page.mo"
    with compiled.open("rb") as file:
        said = gettext.GNUTranslations(file)
    assert (said.gettext("Pooling"), said.gettext("A window")) == ("池化", "A window")

    path.unlink()
    website.compile_catalogues("zh_CN", tmp_path / "made")
    assert not compiled.exists()


def test_the_link_to_the_other_language_is_there_when_that_one_is(tmp_path):
    """From each page to the same page; none where that was not built, or has gone."""
    room = "<p><!-- languages --><!-- end of languages --></p>"
    for name in ("book/index", "book/api/one", "search", "only"):
        for home in (tmp_path, tmp_path / "zh_CN"):
            if name != "only" or home == tmp_path:
                (home / f"{name}.html").parent.mkdir(parents=True, exist_ok=True)
                (home / f"{name}.html").write_text(room)

    def links() -> dict[str, list[str]]:
        pages = sorted(tmp_path.rglob("*.html"))
        return {
            page.relative_to(tmp_path).with_suffix("").as_posix(): re.findall(
                '<a class="language" href="(.*?)" hreflang="(.*?)" lang="(.*?)">(.*?)</a>', page.read_text("utf-8")
            )
            for page in pages
        }

    for _ in range(2):
        website.link_languages(tmp_path)
        chinese, english = ("zh-CN", "zh-CN", "中文"), ("en", "en", "English")
        assert links() == {
            "book/index": [("../zh_CN/book/index.html", *chinese)],
            "book/api/one": [("../../zh_CN/book/api/one.html", *chinese)],
            "search": [("zh_CN/search.html", *chinese)],
            "only": [],
            "zh_CN/book/index": [("../../book/index.html", *english)],
            "zh_CN/book/api/one": [("../../../book/api/one.html", *english)],
            "zh_CN/search": [("../search.html", *english)],
        }
    for page in (tmp_path / "zh_CN").rglob("*.html"):
        page.unlink()
    website.link_languages(tmp_path)
    assert all(page.read_text() == room for page in tmp_path.rglob("*.html"))


def test_a_site_within_another_one_that_has_gone_is_built_from_nothing(tmp_path, monkeypatch):
    def sphinx(html: Path, home: Path, language: str) -> int:
        (html / "book").mkdir(parents=True, exist_ok=True)
        (html / "book" / "index.html").write_text("<!-- languages --><!-- end of languages -->")
        (home / ".doctrees").mkdir(parents=True, exist_ok=True)
        return 0

    monkeypatch.setattr(website, "run_sphinx", sphinx)
    assert [website.build(tmp_path, language=language) for language in ("en", "zh_CN")] == [0, 0]
    root, read = tmp_path / "_build" / "html", tmp_path / "_build" / "zh_CN" / ".doctrees" / "kept"
    assert "zh_CN/book" in (root / "book" / "index.html").read_text(encoding="utf-8")
    read.touch()
    assert website.build(tmp_path, language="zh_CN") == 0 and read.exists()

    monkeypatch.setattr(website, "made_with", lambda: "other")
    assert website.build(tmp_path) == 0
    assert not (root / "zh_CN").exists() and "zh_CN" not in (root / "book" / "index.html").read_text(encoding="utf-8")
    monkeypatch.undo()
    monkeypatch.setattr(website, "run_sphinx", sphinx)
    assert website.build(tmp_path, language="zh_CN") == 0
    assert (root / "zh_CN" / "book" / "index.html").exists() and not read.exists()


PAGE = """\
# Cracks

One pixel wide, by {doc}`roads`.

| one |
| --- |
| Deeper |

## Deeper: far below

Not translated.
"""


@pytest.fixture
def small_book(tmp_path, monkeypatch):
    """Build a book of three pages in Chinese, with what each page says; the argument is what the catalogue says."""
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    source = tmp_path / "book"
    source.mkdir()
    texts = {
        "conf.py": "extensions = ['myst_parser', 'sphinxcontrib.bibtex', 'languages', 'reading', 'uptodate']\n"
        "html_theme, html_sidebars = 'basic', {'**': ['globaltoc.html']}\n"
        f"language, locale_dirs = 'zh_CN', [{str(tmp_path / 'made')!r}]\n"
        "gettext_compact, gettext_auto_build, bibtex_bibfiles = False, False, []\n",
        "index.md": "# Book\n\n```{toctree}\n:caption: Shrink\ncracks\nroads\n```\n",
        "cracks.md": PAGE,
        "roads.md": "# Roads\n\nSee {doc}`cracks`.\n",
    }
    for name, text in texts.items():
        (source / name).write_text(text, encoding="utf-8")

    def build(out: str, **said: dict[str, str]) -> dict[str, str]:
        (source / "locale").mkdir(exist_ok=True)
        monkeypatch.setattr(website, "ROOT", tmp_path)
        for page in ("index", "cracks", "roads"):
            path = source / "locale" / "zh_CN" / "LC_MESSAGES" / f"{page}.po"
            entries = Catalog()
            for message, text in said.get(page, {}).items():
                entries[message] = Message(message, text)
            translation.write(path, entries)
        website.compile_catalogues("zh_CN", tmp_path / "made")
        # As in a process of its own: both keep what they have read.
        monkeypatch.setattr("sphinx.locale.translators", {})
        monkeypatch.setattr(gettext, "_translations", {})
        with docutils_namespace(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Sphinx's own making
            folders = source, source, tmp_path / out, tmp_path / f"{out}-read"
            Sphinx(*folders, "html", status=None, warning=sys.stderr).build()
        return {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / out).glob("*.html")}

    return build


def test_a_changed_catalogue_gives_changed_pages(small_book, capfd):
    """The page itself, and those that quote its title; as a build from nothing would."""
    first = {"cracks": {"Cracks": "裂缝", "One pixel wide, by {doc}`roads`.": "一个像素宽，见{doc}`roads`。"}}
    small_book("site", **first)
    steps = [
        {"cracks": {"Cracks": "缝隙"}},
        {
            "cracks": {"Cracks": "缝隙"},
            "index": {"Shrink": "缩小"},
            "roads": {"See {doc}`cracks`.": "见 {doc}`cracks`"},
        },
        {},
    ]
    for i, said in enumerate(steps):
        changed, new = small_book("site", **said), small_book(f"new-{i}", **said)
        assert changed == new
        for text in (text for page in said.values() for text in page.values() if "{" not in text):
            assert text in changed["cracks"] and text in changed["roads"] or text == "缩小"
    assert capfd.readouterr().err == ""


def test_what_is_not_translated_is_english_and_says_so(small_book, capfd):
    said = {"cracks": {"Cracks": "裂缝", "One pixel wide, by {doc}`roads`.": "一个像素宽，见{doc}`roads`。"}}
    pages = small_book("site", index={"Shrink": "缩小"}, **said)

    page = html.unescape(pages["cracks"])
    assert '<html lang="zh-CN"' in page
    assert re.search(r"<h1>裂缝<", page) and re.search(r'<p>一个像素宽，见<a [^>]*href="roads.html"', page)
    assert re.search(r'<section [^>]*lang="en"[^>]*>\s*<details class="deeper"><summary><h2>Deeper: far below', page)
    assert re.search(r'<table [^>]*lang="en"', page)
    assert "缩小" in pages["index"] and "Shrink" not in pages["index"]
    assert capfd.readouterr().err == ""


def test_a_deeper_section_is_folded_in_translation_too(small_book):
    page = small_book("site", cracks={"Deeper: far below": "深入：远在下面"})["cracks"]

    assert re.search(r'<details class="deeper"><summary><h2>深入：远在下面', html.unescape(page))


# --- search ---


@pytest.fixture(scope="module")
def languages():
    """The extension."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import languages
    finally:
        sys.path.remove(str(ROOT / "book" / "_ext"))
    return languages


TEXTS = {
    "空洞卷积": ["空洞", "洞卷", "卷积"],
    "用 U²-Net 做3层卷积。": ["用", "U²", "Net", "做", "3", "层卷", "卷积"],
    "max_pool2d，层": ["max_pool2d", "层"],
    "A plain one": ["A", "plain", "one"],
    "": [],
}


def test_chinese_is_split_into_pairs(languages):
    for text, words in TEXTS.items():
        assert languages.SearchChinese({}).split(text) == words


@pytest.mark.browser
def test_the_browser_splits_as_the_index_does(blank, languages):
    code = languages.SearchChinese.js_splitter_code
    found = blank.evaluate(f"(texts) => {{ {code}; return texts.map(splitQuery); }}", list(TEXTS))

    assert found == list(TEXTS.values())


def test_each_row_of_the_glossary_can_be_looked_up_in_both_languages():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import glossary
    finally:
        sys.path.remove(str(ROOT / "book" / "_ext"))
    rows = glossary.rows(glossary.GLOSSARY.read_text(encoding="utf-8"))

    assert len(rows) == len(translation.terms()) - 2 > 140  # without the head and the line below it
    assert all(english and chinese for english, chinese in rows)
    assert (["dilated convolution", "dilation", "rate"], ["空洞卷积", "膨胀卷积", "膨胀率"]) in rows
    assert [glossary.plain(word) for word in ("Rates", "Holm's rule", "Haar wavelet", "loss")] == [
        *("rate", "holm", "haar", "loss")
    ]


def test_a_variable_of_the_system_chooses_no_language():
    """Many systems have LANGUAGE in their environment; only `make book LANGUAGE=zh_CN` is meant."""
    for arguments, environment, ends in (
        ((), {"LANGUAGE": "en_US:en"}, '--edition "open" '),
        (("LANGUAGE=zh_CN",), {}, '--language "zh_CN"'),
    ):
        command = ["make", "--no-print-directory", "--dry-run", "book", *arguments]
        said = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True).stdout
        assert said.splitlines()[-1].endswith(ends)

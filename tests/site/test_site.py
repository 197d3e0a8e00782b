"""The website as a reader meets it: built once, then opened in Chromium from a server and from the disk.

Every request to another host is stopped and written down.  The site must not notice.
"""

import ast
import collections
import filecmp
import functools
import gzip
import html as html_of
import html.parser
import http.server
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
import yaml
from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe
from docutils import nodes
from docutils.utils import new_document
from filelock import FileLock
from markdown_it import MarkdownIt
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace
from sphinx.util.matching import Matcher

import website
from chapters_code import exercises
from chapters_code.exercises.progress import from_text, merged

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
SCHEMES = ("http", "file")
# A desktop, a telephone, and the narrowest screen that WCAG asks for.
WIDTHS = (1280, 390, 320)
# What a page may weigh in KB: its HTML as it is; all that a telephone is sent before anything is touched, compressed as
# hosts of pages do; the same for the title page.
HTML_LIMIT, LIMIT, TITLE_LIMIT = 300, 900, 400
COMPRESSED = (".html", ".js", ".css", ".svg")
# The pages of the Chinese site that a browser visits; the others differ from these and from the English ones in words.
IN_CHINESE = [
    *("book/index", "book/setup", "book/notation", "notebooks/01_pooling", "notebooks/07_hwd", "book/api/pooling"),
    "search",
]
# What axe-core finds, and we leave.  docutils marks each entry of a bibliography as doc-biblioentry; in the
# standard (DPUB-ARIA 1.0) this is a kind of list item, and axe-core does not count it as one.
NOT_OURS = {'aria-required-children: <div role="list" class="citation-list">'}


# --- the site, and what a browser finds on its pages ---


@pytest.fixture(scope="session")
def build(tmp_path_factory) -> subprocess.CompletedProcess:
    """Run tools/website.py once for all workers, into a folder with a space and brackets in its name."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out, record = shared / "the [new] site", shared / "site.json"
    with FileLock(shared / "site.lock"):
        if not record.exists():
            command = [sys.executable, str(ROOT / "tools" / "website.py"), "--out", str(out), "--language", "all"]
            run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
            record.write_text(json.dumps([run.returncode, run.stdout, run.stderr]), encoding="utf-8")
    returncode, stdout, stderr = json.loads(record.read_text(encoding="utf-8"))
    return subprocess.CompletedProcess(out, returncode, stdout, stderr)


@pytest.fixture(scope="session")
def site(build) -> Path:
    """The built site's folder."""
    if build.returncode:
        pytest.fail("there is no site; test_it_builds_without_a_warning says why", pytrace=False)
    return build.args / "_build" / "html"


@pytest.fixture(scope="session")
def server(site) -> Iterator[str]:
    """The address of the site, served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


@pytest.fixture(scope="session")
def address(site, server) -> Callable[[str, str], str]:
    """Give a page's address: `address("file", "book/index")`."""
    return lambda scheme, page: f"{server if scheme == 'http' else site.as_uri()}/{page}.html"


@pytest.fixture
def open_page(lend_page, address):
    """Open a page of the site; what goes wrong there is collected in `page.trouble`."""
    with ExitStack() as watches:

        def open_it(scheme: str, name: str, query: str = "", **options):
            options = {"viewport": {"width": WIDTHS[0], "height": 900}, "reduced_motion": "reduce"} | options
            page = lend_page(**options)
            page.trouble = watches.enter_context(watched(page, address("http", ""))).trouble
            page.goto(address(scheme, name) + query)
            return page

        yield open_it


@dataclass
class Traffic:
    """What a page asked for, and what went wrong on it."""

    trouble: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)


@contextmanager
def watched(page, home: str) -> Iterator[Traffic]:
    """Stop requests to other hosts, and note what a page asks for and all that goes wrong on it."""
    traffic = Traffic()
    note = traffic.trouble.append
    home = home.removesuffix("/.html")

    def is_foreign(url: str) -> bool:
        return not url.startswith((home, "file:", "data:", "blob:"))

    def stop(route):
        note(f"asked another host: {route.request.url}")
        route.abort()

    def failed(request):
        # ERR_ABORTED: the reader went on to the next page before this one was all there.
        if request.failure != "net::ERR_ABORTED":
            note(f"request failed: {request.url} {request.failure}")

    listeners = {
        "requestfinished": lambda request: traffic.sent.add(request.url.partition("?")[0]),
        "requestfailed": failed,
        "response": lambda answer: answer.status >= 400 and note(f"{answer.status}: {answer.url}"),
        "console": lambda message: message.type == "error" and note(f"console: {message.text}"),
        "pageerror": lambda error: note(f"page error: {error}"),
    }
    page.route(is_foreign, stop)
    for event, listener in listeners.items():
        page.on(event, listener)
    yield traffic
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    page.unroute_all()


@dataclass
class Visit:
    """What a browser found on one page."""

    facts: dict
    traffic: Traffic
    screens: dict[int, dict] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)


FACTS = """async () => {
  await window.formulas;
  await document.fonts.ready;
  // Not innerText, which leaves out what is folded.
  const said = [...document.querySelectorAll("article :is(p, li, dd, td, th, h2, h3)")];
  const text = said.map(e => e.textContent).join(" ");
  return {
    title: document.title,
    headings: [...document.querySelectorAll("h1")].filter(h => h.checkVisibility()).map(h => h.innerText),
    pictures: [...document.images].map(i => ({
      src: i.src, alt: i.getAttribute("alt"), decorative: Boolean(i.closest("a.navbar-brand, .panels")),
    })),
    formulas: document.querySelectorAll(".math").length,
    typeset: document.querySelectorAll(".math mjx-container mjx-assistive-mml math").length,
    raw: text.includes("\\\\(") || text.includes("\\\\["),
    blocks: document.querySelectorAll("article div.highlight > pre").length,
    copyButtons: document.querySelectorAll("article div.highlight > button.copybtn").length,
    next: document.querySelector("a.right-next")?.href,
    previous: document.querySelector("a.left-prev")?.href,
    download: document.querySelector("a.btn-download-source-button")?.href,
    icons: [...document.querySelectorAll("i")].filter(i => i.checkVisibility() && !i.offsetWidth).map(i => i.className),
    jumping: [...document.images].filter(i => i.loading === "lazy" && !i.src.endsWith(".svg")
      && !(i.getAttribute("width") && i.getAttribute("height"))).map(i => i.src),
  };
}"""


# After that, all that is folded is looked at, too.
UNFOLD = "document.querySelectorAll('article details').forEach((fold) => { fold.open = true; })"


SCREEN = """() => ({
  overflow: document.scrollingElement.scrollWidth - innerWidth,
  stretched: [...document.images].filter(i => i.checkVisibility() && i.naturalWidth > 0
    && Math.abs(i.height * i.naturalWidth / i.naturalHeight - i.width) > 4).map(i => i.src),
  // Formulas may scroll; figures that move look after themselves.
  cut: [...document.querySelectorAll("article :is(pre, .output, .pst-scrollable-table-container)")].filter(e =>
    e.checkVisibility() && !e.closest("[data-figure]") && e.scrollWidth > e.clientWidth + 1)
    .map(e => `${e.scrollWidth} > ${e.clientWidth}: ${e.innerText.slice(0, 60)}`),
})"""


@pytest.fixture(scope="module")
def visits(browser, site, address) -> dict[tuple[str, str], Visit]:
    """Visit every page twice: from the server on a wide screen, from the disk on a telephone."""
    pages = sorted(path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html"))
    # The root page only leads on to the title page; a test below follows it.
    pages = [page for page in pages if page != "index" and not page.startswith("_static/")]
    # The pages with sources differ in their code alone; two stand for all.
    sources = [page for page in pages if page.startswith("_modules/chapters_code")]
    pages = [page for page in pages if page not in sources[2:]]
    chinese = {f"zh_CN/{name}" for name in IN_CHINESE}
    assert chinese <= set(pages)
    pages = [page for page in pages if page in chinese or not page.startswith("zh_CN/")]
    found = {}
    looks = collections.defaultdict(set)
    for scheme in SCHEMES:
        # One page goes from address to address: a new one for each takes Chromium five times as long.
        page = browser.new_page(reduced_motion="reduce")
        for name in pages:
            found[scheme, name] = visit(page, address(scheme, name), address("http", ""), scheme == "http", looks)
        page.context.close()
    return found


def visit(page, url: str, home: str, desk: bool, looks: dict[str, set[str]]) -> Visit:
    """Open one page, note its facts, and ask axe-core.

    At a desk everything is looked at, on every width; in the hand, what only small screens have: boxes that
    scroll, and must be reached by keys.  `looks` has those of texts on earlier pages.
    """
    page.set_viewport_size({"width": WIDTHS[0] if desk else WIDTHS[1], "height": 844})
    with watched(page, home) as traffic:
        page.goto(url)
        # Before anything is touched: this is what a telephone is sent.
        found = Visit(page.evaluate(FACTS), Traffic(traffic.trouble, set(traffic.sent)))
        look_at(page, found, desk, looks)
    return found


def look_at(page, found: Visit, desk: bool, looks: dict[str, set[str]]) -> None:
    """Open what is folded, and measure the page that is open."""
    url = page.url
    page.evaluate(UNFOLD)
    if desk and "/_modules/" in url and not url.endswith("/_modules/index.html"):
        # These pages differ in their code alone, at which axe-core would not look; the first one stands for all.
        found.screens[WIDTHS[0]] = page.evaluate(SCREEN)
    elif desk:
        # Nothing but colours depends on the theme.
        if mark_texts(page, "dark", looks["dark"]):
            found.violations["dark"] = violations(page, runOnly=["color-contrast"])
        mark_texts(page, "light", looks["light"])
        found.violations["light"] = violations(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            found.screens[width] = page.evaluate(SCREEN)
    else:
        found.violations["small"] = violations(page, runOnly=["scrollable-region-focusable"])
        found.facts["alive"] = start_figures(page)


def start_figures(page) -> tuple[int, int]:
    """Scroll to each figure that moves, and wait until it does; return how many there are, and how many moved."""
    places = page.locator("[data-figure]").all()
    for place in places:
        place.scroll_into_view_if_needed()
        place.locator(".figure").first.wait_for(state="attached", timeout=10_000)
    return len(places), page.locator("[data-figure] .figure").count()


AXE = Axe(AXE_SCRIPT + "axe.configure({ rules: [{ id: 'color-contrast', selector: '[data-sample]' }] });")


# Mark the first of all texts that look alike (colour, what is behind, size, weight); return the looks that are new.
SAMPLE = """(seen) => {
  const around = (element) => {
    let opacity = 1;
    for (; element; element = element.parentElement) {
      const style = getComputedStyle(element);
      opacity *= style.opacity;
      const picture = style.backgroundImage, colour = style.backgroundColor;
      if (picture !== "none" || !/, 0\\)$|transparent/.test(colour)) return [opacity, picture, colour];
    }
    return [opacity];
  };
  const known = new Set(seen), fresh = [];
  for (const element of document.querySelectorAll("body *")) {
    element.removeAttribute("data-sample");
    if (![...element.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const look = [style.color, ...around(element), style.fontSize, style.fontWeight].join("|");
    if (known.has(look)) continue;
    known.add(look);
    fresh.push(look);
    element.setAttribute("data-sample", "");
  }
  return fresh;
}"""


def mark_texts(page, theme: str, seen: set[str]) -> set[str]:
    """Mark for axe-core one text of each look that the site has not shown: a page has thousands, in few colours."""
    page.evaluate(f"document.documentElement.dataset.theme = {theme!r}")
    new = set(page.evaluate(SAMPLE, list(seen)))
    seen |= new
    return new


def violations(page, **options) -> list[str]:
    """Return what axe-core finds serious or critical on a page, as `rule: element`."""
    # preload would ask for the style sheets again, by wrong addresses.
    options = {"resultTypes": ["violations"], "preload": False} | options
    found = [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in AXE.run(page, None, options).response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    return [fault for fault in found if fault not in NOT_OURS]


def toc_files() -> list[str]:
    """Return the pages of the table of contents in order, the title page first."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]]
    for chapter in (chapter for part in toc["parts"] for chapter in part["chapters"]):
        files.append(chapter["file"])
        for section in chapter.get("sections", []):
            found = sorted(ROOT.glob(f"{section['glob']}.md"))
            files += [path.relative_to(ROOT).with_suffix("").as_posix() for path in found]
    return files


def faults(visits, judge: Callable[[Visit], object]) -> dict:
    """Return what `judge` has against each page, without the pages it has nothing against."""
    return {key: fault for key, visit in visits.items() if (fault := judge(visit))}


# --- the build ---


def test_it_builds_without_a_warning(build):
    """And the command says where the site is."""
    if build.returncode or build.stderr:
        pytest.fail(build.stderr, pytrace=False)
    assert f"The site: {build.args / '_build' / 'html' / 'index.html'}" in build.stdout
    assert f"The site in zh_CN: {build.args / '_build' / 'html' / 'zh_CN' / 'index.html'}" in build.stdout


def test_only_what_is_in_the_table_of_contents_is_a_page(site):
    """Whatever the book's folder is called: Jupyter Book itself takes a `[` in its path for a pattern."""
    taken = Matcher(website.pages())

    assert all(taken(f"{name}.md") for name in toc_files())
    assert not any(taken(name) for name in ("README.md", "CONTRIBUTING.md", "notebooks/notes.md", "experiments/x.md"))
    assert not list(site.glob("*ing.html"))


def test_hosts_of_pages_leave_no_folder_out(site):
    """GitHub Pages drops _static and _images unless it finds this file."""
    assert (site / ".nojekyll").is_file()


def test_the_toc_names_every_notebook():
    """A chapter that no page leads to is not in the book."""
    chapters = [name for name in toc_files() if name.startswith("notebooks/")]

    assert chapters == [f"notebooks/{name}" for name in NOTEBOOKS]


def test_the_reference_has_every_module_and_what_it_offers(site):
    """Each class and function, in the section of the module that defines it; of some packages the outside only."""
    text = "".join(path.read_text(encoding="utf-8") for path in (site / "book" / "api").glob("*.html"))
    described = set(re.findall(r'id="(?:module-)?(chapters_code[\w.]*)"', text))
    package, wanted = ROOT / "chapters_code", set()
    for path in sorted(package.rglob("*.py")):
        name = ".".join(("chapters_code", *path.relative_to(package).with_suffix("").parts)).removesuffix(".__init__")
        if re.search(r"\._|\.exercises\.|\.data\.synthetic\.|^chapters_code$", name):
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        defined = {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assigned = [node for node in body if isinstance(node, ast.Assign)]
        offers = [ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == "__all__"]
        wanted |= {name, *(f"{name}.{public}" for public in defined.intersection(*offers) if public[0] != "_")}

    assert wanted - described == set()
    assert len(wanted) > 300


class Loaded(html.parser.HTMLParser):
    """Collects the addresses of all that a page loads, and not those that it only links to."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        loads = tag == "link" and re.search("stylesheet|icon|load|fetch|connect", attributes.get("rel", ""))
        names = ["src", "srcset", "data", "poster", *(["href"] if loads else [])]
        self.addresses += [attributes[name] for name in names if attributes.get(name)]


def test_no_page_loads_from_another_host(site):
    """What stands in the files; the browser tests below see only what runs today."""
    foreign = {}
    for path in site.rglob("*.html"):
        page = Loaded()
        page.feed(path.read_text(encoding="utf-8"))
        foreign[path] = [address for address in page.addresses if re.match("(https?:)?//", address)]
    for path in site.rglob("*.css"):
        named = re.findall(r"""(?:@import|url\()[\s"']*((?:https?:)?//[^"')]*)""", path.read_text("utf-8"))
        foreign[path] = named

    assert not {path.name: addresses for path, addresses in foreign.items() if addresses}


def test_no_page_is_long(site):
    """Counted as it lies on the disk: a browser reads all of it before the page stands still."""
    sizes = {path.relative_to(site).as_posix(): path.stat().st_size // 1024 for path in site.rglob("*.html")}

    assert {name: size for name, size in sizes.items() if size > HTML_LIMIT} == {}


def test_no_page_runs_a_script_that_stands_in_an_attribute(site):
    """But for two buttons of the theme, whose words are always the same."""
    found = set()
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"<\w[^<>]*\s(on\w+=\"[^\"]*\")", text)) | set(re.findall(r"\"javascript:[^\"]*", text))
    assert found <= {'onclick="toggleFullScreen()"', 'onclick="window.print()"'}


def test_the_drawing_is_what_pooling_does():
    """The title page's picture is the one that its script computes, and the script pools as it says."""
    draw = load(ROOT / "book" / "figures" / "draw.py")

    assert (ROOT / "book" / "figures" / "crack.svg").read_text(encoding="utf-8") == draw.drawing()
    css = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    alone = (ROOT / "book" / "figures" / "road.svg").read_text(encoding="utf-8")
    assert alone == draw.drawing(css)
    assert "var(" not in alone and "#e2590f" in alone
    assert not any(draw.CRACK in row for row in draw.pool(draw.road(), max))
    assert all(draw.CRACK in row for row in draw.pool(draw.road(), min))


def load(path: Path):
    """Import a Python file that is not in a package, and leave nothing beside it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


# --- the extension: what is missing becomes a warning, and a warning stops the build ---


@pytest.fixture(scope="module")
def extension():
    return load(ROOT / "book" / "_ext" / "keepthecrack.py")


@pytest.mark.parametrize(
    ("source", "words"),
    [('check("99.9", answer)', "exercise 99.9 has no solution"), ("print(1)", "has no check")],
)
def test_an_exercise_without_solution_is_a_warning(extension, caplog, source, words):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["exercise"]})

    assert extension.solution_cells(cell, "notebooks/99_none", {}) == []
    assert words in caplog.text


def test_a_hint_is_shown_as_it_would_be_printed(extension):
    """What is Markdown elsewhere is not in a hint, but for `code`."""
    said = "a * b_c * d, x[..., i::2](y) <p> $1$ 1. 2 ** 3\n# {0} ~ \\ | &amp;"
    shown = MarkdownIt().render(extension.as_markdown(f"{said} `x[*]`"))

    assert html_of.unescape(shown) == f"<p>{said} <code>x[*]</code></p>\n"


def test_a_picture_without_alt_text_is_a_warning(extension, caplog):
    """Two PNGs in one cell, the second without a description."""
    document = new_document("page")
    document += nodes.container(cell_metadata={"figure_alts": ["A road", ""], "figure_panels": [None, None]})
    for name in ("one.png", "two.png"):
        document[0] += nodes.container("", nodes.image(uri=name), mime_type="image/png")

    extension.describe_figures(None, document)

    assert [image.get("alt") for image in document.findall(nodes.image)] == ["A road", ""]
    assert caplog.text.count("a picture has no alt text") == 1


# --- what is folded, captions, citations: a book of two pages stands for all ---


CHAPTER = """\
# One chapter

**Afterwards you can** see. ([Deeper](#deeper-far-below), [its middle](#in-the-middle),
[Luo and others (2016)](../book/bibliography.md#luo2016))

![a road](road.png)

**Figure 1.1.** What to see, with a **word in bold**.

**Figures** are not captions, and **Figure 1.2** is none, either.

## Deeper: far below

First words inside.

### In the middle

Words in the middle.

<div data-figure="one" style="height: 9px"></div>

## Exercises

Words after it.
"""


@pytest.fixture(scope="module")
def little_book(tmp_path_factory):
    """Build a book of a chapter and a bibliography, with our extension, style and script; return the site and what was
    said.
    """
    ours = ROOT / "book"

    def build(name: str, chapter: str) -> tuple[Path, str]:
        source = tmp_path_factory.mktemp(name)
        (source / "book").mkdir()
        (source / "notebooks").mkdir()
        texts = {
            "conf.py": "extensions = ['myst_parser', 'sphinxcontrib.bibtex', 'reading']\n"
            f"html_theme, html_static_path = 'basic', [{str(ours / '_static')!r}]\n"
            "html_css_files, html_js_files = ['book.css'], ['book.js']\n"
            f"bibtex_bibfiles, bibtex_cite_id = [{str(ours / 'references.bib')!r}], '{{key}}'\n"
            "myst_heading_anchors, html_permalinks_icon = 3, '#'\n"
            "html_context = {'default_mode': 'light'}\n",
            "index.md": "# Book\n\n```{toctree}\nnotebooks/one\nbook/bibliography\n```\n",
            "book/bibliography.md": "# Bibliography\n\n```{bibliography}\n:all:\n```\n",
            "notebooks/one.md": chapter,
        }
        for file, text in texts.items():
            (source / file).write_text(text, encoding="utf-8")
        Image.new("L", (9, 4)).save(source / "notebooks" / "road.png")
        said = io.StringIO()
        sys.path.insert(0, str(ours / "_ext"))
        try:
            with docutils_namespace(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Sphinx's own making
                Sphinx(source, source, source / "site", source / "read", "html", status=None, warning=said).build()
        finally:
            sys.path.remove(str(ours / "_ext"))
        return source / "site", said.getvalue()

    return build


@pytest.fixture(scope="module")
def chapter_with_folds(little_book) -> str:
    """The address of that chapter, on the disk."""
    site, said = little_book("folds", CHAPTER)
    assert said == ""
    return (site / "notebooks" / "one.html").as_uri()


def test_a_citation_leads_to_its_entry_and_one_without_entry_is_a_warning(little_book):
    site, said = little_book("cited", CHAPTER + "\n[Nobody (1999)](../book/bibliography.md#nobody1999)\n")
    chapter = (site / "notebooks" / "one.html").read_text(encoding="utf-8")

    assert 'href="../book/bibliography.html#luo2016"' in chapter
    assert re.search(r'id="luo2016".{0,300}Understanding', (site / "book" / "bibliography.html").read_text(), re.DOTALL)
    assert said.count("WARNING") == 1 and "nobody1999" in said and "one.md" in said


def test_every_entry_of_the_bibliography_has_its_key_as_its_address(site):
    page = (site / "book" / "bibliography.html").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+{(\w+),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)

    assert len(keys) > 30
    assert [key for key in keys if f'id="{key}"' not in page] == []


@pytest.mark.browser
def test_only_a_paragraph_that_begins_with_a_figures_number_is_a_caption(lend_page, chapter_with_folds):
    page = lend_page()
    page.goto(chapter_with_folds)

    assert page.locator("p.figure-caption").all_inner_texts() == ["Figure 1.1. What to see, with a word in bold."]


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_deeper_section_is_folded_and_a_press_on_its_heading_opens_it(browser, chapter_with_folds, script):
    """It is closed at first, its heading is seen and in the table of contents, and what follows it is not inside."""
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    page.goto(chapter_with_folds)
    inside = page.get_by_text("Words in the middle.")

    assert page.locator("h1, h2").all_inner_texts()[-2:] == ["Deeper: far below", "Exercises"]
    assert page.locator("article, .body").get_by_role("heading", name="Deeper: far below").is_visible()
    assert page.locator(".sphinxsidebar a[href='#deeper-far-below']").count() == 1
    assert page.get_by_text("Words after it.").is_visible()
    assert not inside.is_visible()
    page.locator("details.deeper > summary").click(position={"x": 5, "y": 20})
    assert inside.is_visible()
    page.emulate_media(media="print")
    assert page.locator("h1").count() == 1
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("anchor", ["deeper-far-below", "in-the-middle"])
def test_a_link_opens_what_is_folded(lend_page, chapter_with_folds, anchor):
    """From another page, from this one, and once more when the reader has closed it."""
    page = lend_page(viewport={"width": 800, "height": 300})
    fold = page.locator("details.deeper")

    with watched(page, chapter_with_folds) as traffic:
        page.goto(f"{chapter_with_folds}#{anchor}")
        assert fold.get_attribute("open") is not None
        for _ in range(2):
            fold.evaluate("fold => { fold.open = false; }")
            page.locator(f".body p a[href='#{anchor}']").click()
            page.wait_for_function("document.querySelector('details.deeper').open")
            place = page.locator(f"#{anchor} :is(h2, h3)").first.bounding_box()
            assert -1 <= place["y"] <= 200
    assert not traffic.trouble


@pytest.mark.browser
def test_what_is_folded_is_printed_and_its_figures_wait_until_it_is_opened(browser, chapter_with_folds):
    page = browser.new_page()
    page.goto(chapter_with_folds)
    # Even where the fold is in view.
    page.evaluate("window.come = 0; inView([document.querySelector('[data-figure]')]).then(() => { come += 1; }); 0")
    page.locator("details.deeper").scroll_into_view_if_needed()
    page.wait_for_timeout(100)
    assert page.evaluate("come") == 0
    page.locator("details.deeper > summary").click(position={"x": 5, "y": 20})
    page.wait_for_function("come == 1")

    page.locator("details.deeper").evaluate("fold => { fold.open = false; }")
    page.emulate_media(media="print")
    assert page.get_by_text("Words in the middle.").bounding_box()["height"] > 10
    page.close()


# --- tables on a telephone, figures in the dark ---


@pytest.fixture(scope="module")
def reading():
    return load(ROOT / "book" / "_ext" / "reading.py")


def table(*rows):
    """A table as Sphinx writes it; the first row is its head."""
    head, *body = rows
    heads = "".join(f"<th><p>{words}</p></th>" for words in head)
    rows = "".join("<tr>" + "".join(f"<td><p>{words}</p></td>" for words in row) + "</tr>" for row in body)
    return f'<table class="table">\n<thead>\n<tr>{heads}</tr>\n</thead>\n<tbody>\n{rows}\n</tbody>\n</table>'


def test_each_cell_of_a_wide_table_names_its_column(reading):
    wide = reading.stacked(table(("a & b", "<em>its</em> topics", ""), ("1", "x " * 99, "y"), ("2", "z", "word" * 9)))

    labels = re.findall(r'<td role="cell" data-label="([^"]*)">', wide.replace("&amp;", "&"))
    assert labels == ["a & b", "its topics", ""] * 2
    assert wide.startswith('<table role="table" class="stacked table">')
    roles = {role: wide.count(f'role="{role}"') for role in ("rowgroup", "row", "columnheader", "cell")}
    assert roles == {"rowgroup": 2, "row": 3, "columnheader": 3, "cell": 6}


@pytest.mark.parametrize(
    "narrow",
    [
        table(("rate", "reach", "holes"), ("1", "3", "0"), ("2", "7", "24")),
        table(("word", "what it means here"), ("window", "long words " * 20)),
        table(("a" * 30, "b" * 30), ("only one cell, as it is spread over both",)),
        '<table class="table"><tr><td>' + "no head " * 20 + "</td></tr></table>",
    ],
)
def test_a_table_that_fits_a_telephone_stays_as_it_is(reading, narrow):
    assert reading.stacked(narrow) == narrow


def test_a_drawn_figure_says_where_its_photographs_are(extension):
    """And is there twice on the page, the second time silent; one without photographs is there once."""
    for panels, style in ([[10, 20, 30.5, 40]], True), ([], False):
        document = new_document("page")
        document += nodes.image(uri="road.png", alt="A road")
        extension.prepare_for_the_dark(document[0], panels)
        begin, image, end = document.children

        assert (image["uri"], image["alt"], end.astext()) == ("road.png", "A road", "</span>")
        line = "0% 0%, 10% 20%, 40.5% 20%, 40.5% 60%, 10% 60%, 10% 20%, 0% 0%"
        style_of = f' style="--panels: polygon({line})"' if style else ""
        assert begin.astext() == f'<span class="drawn"{style_of}>'
        context = {"body": f'{begin.astext()}<a href="x">\n<img alt="A road" src="road.png" />\n</a></span>'}
        extension.repeat_drawn(None, "page", "page.html", context, None)
        assert context["body"].count("<img") == 1 + style
        assert context["body"].count('alt="A road"') == 1
        assert context["body"].count('<img alt="" class="panels" src="road.png" />') == style


# --- a build in steps is as good as one from nothing ---


def small_book(folder: Path) -> None:
    """Write a book of three pages: one quotes another's title, one shows a file."""
    texts = {
        "conf.py": "extensions = ['uptodate']\nhtml_theme = 'basic'\n",
        "index.rst": "Book\n====\n\n.. toctree::\n\n   a\n   b\n",
        "a.rst": "Cracks\n======\n\n.. literalinclude:: shown.txt\n",
        "b.rst": "Roads\n=====\n\nAs in :doc:`a`.\n",
        "shown.txt": "one pixel wide\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def pages_of(out: Path) -> dict[str, str]:
    """Return all pages of a small site."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(out.glob("*.html"))}


@pytest.mark.parametrize(
    ("file", "before", "after", "rewritten"),
    [
        ("shown.txt", "one pixel", "two pixels", {"a.html"}),
        ("b.rst", "As in", "See", {"b.html"}),
        # A title stands on the page, in the list of chapters, in the other page's text and in its `previous`.
        ("a.rst", "Cracks", "Clefts", {"a.html", "b.html", "index.html"}),
        ("index.rst", "   a\n   b", "   b\n   a", {"a.html", "b.html", "index.html"}),
    ],
)
def test_after_a_change_the_pages_are_those_of_a_new_build(tmp_path, monkeypatch, file, before, after, rewritten):
    """Also when the changed file is not newer than the page, as a restored or copied one may be."""
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    source = tmp_path / "book"
    source.mkdir()
    small_book(source)

    def build(out: str) -> None:
        with docutils_namespace(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Sphinx's own making
            app = Sphinx(source, source, tmp_path / out, tmp_path / f"{out}-read", "html", status=None, warning=None)
            app.build()

    build("site")
    old = pages_of(tmp_path / "site")
    changed, time = source / file, (source / file).stat()
    assert before in changed.read_text(encoding="utf-8")
    changed.write_text(changed.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    os.utime(changed, ns=(time.st_atime_ns, time.st_mtime_ns))
    build("site")
    build("new")

    new = pages_of(tmp_path / "site")
    assert new == pages_of(tmp_path / "new")
    assert {name for name in new if new[name] != old[name]} & {"a.html", "b.html", "index.html"} == rewritten


def test_what_all_pages_are_made_with_has_one_number(tmp_path, monkeypatch):
    """It changes with a style, a setting, the extension, a new page or module; with a page's own text it does not."""
    monkeypatch.setattr(website, "ROOT", tmp_path)
    for name in ("_config.yml", "_toc.yml", "tools/website.py", "book/_static/book.css", "book/setup.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old", encoding="utf-8")
    seen = [website.made_with()]

    for name in ("_config.yml", "_toc.yml", "tools/website.py", "book/_static/book.css"):
        (tmp_path / name).write_text("new", encoding="utf-8")
        seen.append(website.made_with())
    for name in ("book/new.md", "notebooks/00_new.ipynb", "chapters_code/new.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old", encoding="utf-8")
        seen.append(website.made_with())
    (tmp_path / "book" / "new.md").unlink()
    seen.append(website.made_with())
    assert len(set(seen)) == len(seen)

    for name in ("book/setup.md", "notebooks/00_new.ipynb", "chapters_code/new.py"):
        (tmp_path / name).write_text("new", encoding="utf-8")
    assert website.made_with() == seen[-1]


def test_after_a_failed_build_all_is_built_from_nothing(tmp_path, monkeypatch):
    """Else the warning about a page that is not read again would be lost; a whole site is kept as it is."""
    monkeypatch.setattr(website, "run_sphinx", lambda html, *_: html.mkdir(parents=True, exist_ok=True) or status)
    page = tmp_path / "_build" / "html" / "page.html"

    status = 0
    assert website.build(tmp_path) == 0
    page.write_text("kept", encoding="utf-8")
    assert website.build(tmp_path) == 0 and page.exists()
    status = 1
    assert website.build(tmp_path) == 1
    assert website.build(tmp_path) == 1 and not page.exists()


# --- every page ---


@pytest.mark.browser
def test_pages_ask_no_other_host_and_report_no_error(visits):
    """Nothing asked elsewhere, nothing missing, nothing on the console; from a server and from the disk."""
    assert not faults(visits, lambda visit: visit.traffic.trouble)


def weight(site: Path, visit: Visit) -> int:
    """Return the KB that a telephone is sent for a page before its reader touches anything."""
    total = 0
    for url in visit.traffic.sent:
        if url.startswith("file:"):
            path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
            total += len(gzip.compress(path.read_bytes(), 6)) if path.suffix in COMPRESSED else path.stat().st_size
    return total // 1024


@pytest.mark.browser
def test_a_telephone_is_sent_little(site, visits):
    """Pictures that are far down are not counted, since they are fetched when the reader comes near."""
    weights = {name: weight(site, visit) for (scheme, name), visit in visits.items() if scheme == "file"}

    assert 50 < weights["book/index"] <= TITLE_LIMIT
    assert {name: kilobytes for name, kilobytes in weights.items() if kilobytes > LIMIT} == {}


@pytest.mark.browser
def test_figures_that_move_do_so_when_they_come_into_view(visits):
    """From the disk, where a page may load no module and fetch no file."""
    assert not faults(visits, lambda visit: len(set(visit.facts.get("alive", ()))) > 1 and visit.facts["alive"])
    assert any(visit.facts.get("alive", (0,))[0] for visit in visits.values())


@pytest.mark.browser
def test_every_icon_is_drawn_and_no_picture_jumps(visits):
    """A character that the font of icons lacks has no width; a picture's place is kept before it is there."""
    assert not faults(visits, lambda visit: visit.facts["icons"] or visit.facts["jumping"])


@pytest.mark.browser
def test_every_page_has_a_title_and_one_heading(visits):
    assert not faults(visits, lambda visit: not visit.facts["title"] or len(visit.facts["headings"]) != 1)


@pytest.mark.browser
def test_every_picture_has_alt_text(visits):
    """A file name is no description; the logo beside the book's name is decoration and stays silent."""

    def undescribed(visit):
        return [
            picture
            for picture in visit.facts["pictures"]
            if picture["alt"] is None
            or (not picture["decorative"] and not re.search(r"\w+ \w+", picture["alt"]))
            or re.search(r"\.(png|svg|jpe?g)$", picture["alt"])
        ]

    assert not faults(visits, undescribed)
    assert any("_images" in str(visit.facts["pictures"]) for visit in visits.values())


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_every_screen(visits, width):
    """No page is wider than the screen, no picture is pressed to fit, and no code, output or table is cut off."""

    def misfit(visit):
        screen = visit.screens.get(width, {})
        return any(screen.values()) and screen

    assert not faults(visits, misfit)


@pytest.mark.browser
def test_mathematics_is_typeset(visits):
    """Each formula is drawn, and is there as MathML for screen readers; no TeX is left to be seen."""

    def untypeset(visit):
        return (visit.facts["raw"] or visit.facts["formulas"] != visit.facts["typeset"]) and visit.facts

    assert not faults(visits, untypeset)
    assert any(visit.facts["formulas"] for visit in visits.values())


@pytest.mark.browser
def test_every_code_block_has_a_copy_button(visits):
    def uncopied(visit):
        return visit.facts["blocks"] != visit.facts["copyButtons"] and visit.facts

    assert not faults(visits, uncopied)


@pytest.mark.browser
@pytest.mark.parametrize("look", ["light", "dark", "small"])
def test_pages_are_accessible(visits, look):
    """axe-core finds nothing serious: in neither theme, on no screen."""
    assert not faults(visits, lambda visit: visit.violations.get(look))


# --- what a reader does ---


@pytest.mark.browser
def test_the_promise_fits_in_one_screen(open_page):
    page = open_page("file", "book/index")

    for part in (".lead", ".crack-drawing", "a.start >> nth=0", "a.start >> nth=1"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, part


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
def test_next_leads_through_the_whole_book(visits, address, scheme):
    """`next` leads through every page of the table of contents, and `previous` back."""
    files = toc_files()
    facts = [visits[scheme, name].facts for name in files]
    addresses = [address(scheme, name) for name in files]

    assert [fact.get("next") for fact in facts] == [*addresses[1:], None]
    assert [fact.get("previous") for fact in facts] == [None, *addresses[:-1]]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_root_page_leads_to_the_title_page_and_on(open_page, scheme):
    page = open_page(scheme, "index")
    page.wait_for_url("**/book/index.html")
    page.locator("a.right-next").click()
    page.wait_for_url(f"**/{toc_files()[1]}.html")

    assert not page.trouble


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
def test_search_finds_a_word(open_page, scheme):
    page = open_page(scheme, "search", "?q=pooling")
    page.locator("ul.search a[href*='notebooks/01_pooling']").first.wait_for(timeout=5000)

    assert not page.trouble


# --- in Chinese ---


@pytest.mark.browser
@pytest.mark.parametrize("home", ["", "zh_CN/"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_search_finds_a_chapter_by_its_chinese_word(open_page, scheme, home):
    """On the site of either language, the place that explains it comes first."""
    for word, place in (("空洞卷积", "03_dilated"), ("转置卷积", "05_transposed"), ("哈尔小波", "07_hwd")):
        page = open_page(scheme, f"{home}search", f"?q={word}")
        first = page.locator("ul.search a").first
        first.wait_for(timeout=5000)
        assert f"notebooks/{place}.html" in first.get_attribute("href"), word
        page.locator("ul.search a[href*='book/notation']").first.wait_for(timeout=5000)
        first.click()
        page.wait_for_url(f"**/{home}notebooks/{place}.html*")
        assert not page.trouble


@pytest.mark.browser
def test_search_finds_chinese_text_by_a_part_of_a_sentence(open_page):
    """Without a dictionary; and English words as before."""
    for words, place in (("细的暗裂缝", "01_pooling"), ("checkerboard", "05_transposed")):
        page = open_page("file", "zh_CN/search", f"?q={words}")
        page.locator(f"ul.search a[href*='notebooks/{place}']").first.wait_for(timeout=5000)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_page_leads_to_itself_in_the_other_language(open_page, scheme):
    """There and back: a page of the book, a chapter, a page of the reference, one with code."""
    for name in ("book/setup", "notebooks/03_dilated", "book/api/pooling", "_modules/chapters_code/pooling"):
        page = open_page(scheme, name)
        assert page.locator("html").get_attribute("lang") == "en"
        there = page.get_by_role("link", name="中文", exact=True)
        assert there.get_attribute("lang") == "zh-CN"
        there.click()
        page.wait_for_url(f"**/html/zh_CN/{name}.html" if scheme == "file" else f"**/zh_CN/{name}.html")
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        page.get_by_role("link", name="English", exact=True).click()
        page.wait_for_url(lambda url: "zh_CN" not in url)
        assert page.url.endswith(f"/{name}.html")
        assert not page.trouble


@pytest.mark.browser
def test_a_chinese_page_speaks_chinese_and_says_what_is_english(open_page):
    """The page, the theme, the drawing, what the scripts write; what has no translation is marked, the glossary too."""
    page = open_page("file", "zh_CN/book/index")
    assert page.locator("h1").first.inner_text().startswith("留住裂缝")
    assert page.locator(".bd-sidebar-primary .caption-text").all_inner_texts()[:3] == ["从这里开始", "缩小", "看得更远"]
    assert page.locator(".crack-drawing text").all_text_contents()[-1] == "裂缝留住"
    assert page.locator(".count").inner_text() == f"本设备上已完成 0 题，共 {len(exercises.numbers())} 题"
    assert page.locator("article :is(h2, p, li, td, th)[lang=en]").count() == 0
    page = open_page("file", "zh_CN/notebooks/01_pooling")
    assert page.locator("h2").last.inner_text().startswith("要点")
    assert page.get_by_role("checkbox", name="已完成 习题 1.2").count() == 1
    assert page.locator("section[lang=en] h2").count() > 5 and page.locator("[lang=en] h1").count() == 0
    for home, lang in (("", "zh-CN"), ("zh_CN/", "en")):
        page = open_page("file", f"{home}book/notation")
        row = page.locator("tr", has_text="dilated convolution; dilation, rate")
        marked = row.locator(f"td[lang='{lang}'], td [lang='{lang}']").all_inner_texts()
        assert marked == ["空洞卷积（膨胀卷积），膨胀率" if lang == "zh-CN" else "dilated convolution; dilation, rate"]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_theme_switches_and_stays(open_page, scheme):
    """Dark after one or two presses, dark on the next page too; figures are dark there, and photographs stay."""
    page = open_page(scheme, f"notebooks/{NOTEBOOKS[0]}", color_scheme="light")
    button = page.locator("button.theme-switch-button:visible")
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") != "dark":
            button.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"

    page.reload()

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(27, 25, 23)"
    drawn = page.locator(".drawn:has(.panels)").first
    drawn.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelector('.drawn:has(.panels)').querySelectorAll('img')].every(i => i.width)"
    )
    styles = "all => all.map((one) => [getComputedStyle(one).filter, getComputedStyle(one).clipPath.slice(0, 8)])"
    images = drawn.locator("img").evaluate_all(styles)
    assert images == [["invert(0.915) hue-rotate(180deg)", "none"], ["none", "polygon("]]
    box = drawn.bounding_box()
    with Image.open(io.BytesIO(page.screenshot())) as seen:
        ground = seen.convert("RGB").getpixel((round(box["x"]) + 3, round(box["y"]) + 3))
    assert all(abs(one - other) <= 4 for one, other in zip(ground, (27, 25, 23), strict=True))


@pytest.mark.browser
def test_the_download_is_the_notebook_of_the_repository(site, visits, address):
    """No solution in it: readers and Colab get the file as it was committed."""
    home = address("http", "").removesuffix(".html")
    for name in NOTEBOOKS:
        file = site / visits["http", f"notebooks/{name}"].facts["download"].removeprefix(home)

        assert file.name == f"{name}.ipynb"
        # By its bytes, but not with ==, on which pytest would explain the difference for half an hour.
        assert filecmp.cmp(file, ROOT / "notebooks" / file.name, shallow=False), file.name


def exercise_numbers(name: str) -> list[str]:
    """Return the numbers of a notebook's exercises, in order."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    return [number for source in cells for number in re.findall(r'check\(\s*"([\d.]+)"', source)]


def plain_text(text: str) -> str:
    """A text with quotes and dots as they are typed, since pages have typographic ones, and without marks of code."""
    typed = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "–": "--", "`": ""})
    return " ".join(text.translate(typed).split())


# What stands between an exercise and whatever comes next: titles of folds.
BELOW = """cell => {
  const titles = [];
  for (let next = cell.nextElementSibling; next?.matches("details"); next = next.nextElementSibling) {
    titles.push(next.querySelector("summary").innerText.trim());
  }
  return titles;
}"""


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_hints_and_solution_are_folded_right_under_their_exercise(open_page, name, script):
    """Closed at first; a press opens one; what is inside is the one home's text and code.  Without JavaScript too."""
    page = open_page("file", f"notebooks/{name}", java_script_enabled=script)
    numbers = exercise_numbers(name)
    cells = page.locator("div.cell.tag_exercise")
    hints = {number: exercises.hints(number) for number in numbers}
    titles = {
        number: [
            *(f"Hint {i} of {len(hints[number])}" for i in range(1, 1 + len(hints[number]))),
            "A good answer" if exercises.kind(number) == "explain" else f"Solution {number}",
        ]
        for number in numbers
    }
    assert numbers and all(hints.values())
    found = cells.evaluate_all(f"cells => cells.map({BELOW})")
    assert dict(zip(numbers, found, strict=True)) == titles
    assert not page.locator("details[open]:is(.hint, .solution)").count()
    inside = page.locator("details.hint > p").evaluate_all("all => all.map((one) => one.textContent)")
    wanted = [hint for number in numbers for hint in hints[number]]
    assert [plain_text(text) for text in inside] == [plain_text(text) for text in wanted]

    hint = page.locator("details.hint").last
    assert not hint.locator("p").is_visible()
    hint.locator("summary").click()
    assert hint.locator("p").is_visible()
    solution = page.locator("details.solution").last
    inside = solution.locator("pre, ul").first
    assert not inside.is_visible()
    solution.locator("summary").click()
    assert inside.is_visible()
    words = [number for number in numbers if exercises.kind(number) == "explain"]
    codes = page.locator("details.solution pre").evaluate_all("all => all.map((one) => one.textContent.trim())")
    assert codes == [exercises.solution_source(number).strip() for number in numbers if number not in words]
    # What a good answer says, point by point, and nothing that looks like code.
    points = page.locator("details.solution li").evaluate_all("all => all.map((one) => one.textContent)")
    assert [*map(plain_text, points)] == [plain_text(point) for number in words for point in exercises.rubric(number)]

    # Under each heading stand the kind and, for who has JavaScript, a box to tick, which says whose it is.
    lines = page.locator("h3 + .exercise-kind")
    kinds = [f"{exercises.kind(number).capitalize()}, " for number in numbers]
    assert [said[: len(kind)] for said, kind in zip(lines.all_inner_texts(), kinds, strict=True)] == kinds
    labels = lines.locator("label")
    names = [f"Done with Exercise {number}" for number in numbers] if script else []
    assert [" ".join(label.split()) for label in labels.all_text_contents()] == names
    heights = labels.evaluate_all("all => all.map((one) => one.getBoundingClientRect().height)")
    assert all(height >= 24 for height in heights)


@pytest.mark.browser
def test_a_solution_is_printed_and_can_be_copied(open_page):
    name = NOTEBOOKS[-1]
    page = open_page("http", f"notebooks/{name}", permissions=["clipboard-read", "clipboard-write"])
    solution = page.locator("details.solution").first

    page.emulate_media(media="print")
    assert solution.locator("pre").bounding_box()["height"] > 20

    page.emulate_media(media="screen")
    solution.locator("summary").click()
    solution.locator("div.highlight").hover()
    solution.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == exercises.solution_source(exercise_numbers(name)[0]).strip()


# --- what is done ---


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_marked_as_done_stays_and_is_counted(open_page, scheme):
    """By the keyboard; after a reload; in another page that is open; and it can be taken back."""
    page = open_page(scheme, "notebooks/01_pooling")
    box = page.get_by_role("checkbox", name="Done with Exercise 1.2")
    box.focus()
    page.keyboard.press("Space")
    page.reload()
    assert box.is_checked() and page.locator("[data-exercise] :checked").count() == 1

    first = page.context.new_page()
    first.goto(page.url.replace("notebooks/01_pooling", "book/index"))
    count = first.locator(".progress-here .count")
    assert count.inner_text() == f"1 of {len(exercises.numbers())} exercises done on this device"
    first.locator(".progress-here a").click()
    first.wait_for_url("**/book/api/exercises.html#chapters_code.exercises.progress")
    assert first.locator("[id='chapters_code.exercises.progress']").is_visible()
    first.go_back()
    page.get_by_role("checkbox", name="Done with Exercise 1.7").check()
    first.wait_for_function("document.querySelector('.count').textContent.startsWith('2 of')")
    box.uncheck()
    page.reload()
    assert not box.is_checked()
    first.close()
    assert not page.trouble


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
def test_progress_goes_from_the_site_to_a_notebook_and_back(open_page, scheme, tmp_path, monkeypatch, capsys):
    """The file is the same for both; what is there already stays."""
    monkeypatch.setenv("BOOK_PROGRESS", str(tmp_path / "kept.json"))
    page = open_page(scheme, "notebooks/01_pooling")
    page.get_by_role("checkbox", name="Done with Exercise 1.2").check()
    page.goto(page.url.replace("notebooks/01_pooling", "book/index"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "progress.json"
    download.value.save_as(tmp_path / "site.json")

    exercises.check("1.7", 0)
    exercises.progress(load=tmp_path / "site.json", save=tmp_path / "both.json")
    out = capsys.readouterr().out
    assert "Added site.json: 1 tried, 1 done, 1 of them not done here before.\n" in out
    assert "Saved in both.json: 2 tried, 2 done.\n" in out
    assert json.loads((tmp_path / "both.json").read_text())["exercises"].keys() == {"1.2", "1.7"}

    page.evaluate("localStorage.clear()")
    page.reload()
    choose = page.locator(".progress-here input[type=file]")
    choose.set_input_files(tmp_path / "both.json")
    page.get_by_text("Added both.json: 2 tried, 2 done.").wait_for()
    assert page.locator(".count").inner_text().startswith("2 of ")
    # A second time, and a file of something else: nothing is lost.
    (tmp_path / "letter.json").write_text('{"book": "Moby Dick"}')
    choose.set_input_files(tmp_path / "letter.json")
    page.get_by_text("letter.json cannot be used: it is not of this book.").wait_for()
    assert page.locator(".count").inner_text().startswith("2 of ")
    assert not page.trouble


# What no browser may take for progress: one rule, in Python and in JavaScript.
NO_PROGRESS = [
    "{",
    "null",
    '{"book": "Keep the Crack", "version": 2, "exercises": {}}',
    '{"book": "Keep the Crack", "version": 1, "exercises": ["1.1"]}',
    '{"book": "Keep the Crack", "version": 1, "exercises": {"one": {"tried": "2026-03-01"}}}',
    '{"book": "Keep the Crack", "version": 1, "exercises": {"1.1": null}}',
    '{"book": "Keep the Crack", "version": 1, "exercises": {"1.1": {"done": "2026-03-01"}}}',
    '{"book": "Keep the Crack", "version": 1, "exercises": {"1.1": {"tried": "2026-02-30"}}}',
    '{"book": "Keep the Crack", "version": 1, "exercises": {"1.1": {"tried": "2026-03-01", "marks": "6"}}}',
]


@pytest.mark.browser
def test_the_site_and_a_notebook_refuse_the_same_files_and_merge_alike(open_page):
    page = open_page("file", "book/index")
    refused = page.evaluate(
        "all => all.map((text) => { try { progressIn(text); return false; } catch { return true; } })", NO_PROGRESS
    )
    assert refused == [True] * len(NO_PROGRESS)
    for text in NO_PROGRESS:
        with pytest.raises(ValueError, match="is no file of this book's progress"):
            from_text(text, "it")

    one = {"1.1": {"tried": "2026-03-01"}, "1.10": {"tried": "2026-03-05", "done": "2026-03-05"}}
    other = {"1.10": {"tried": "2026-03-02", "done": "2026-03-09"}, "0.1": {"tried": "2026-03-01"}}
    assert page.evaluate("([one, other]) => mergedProgress(one, other)", [one, other]) == merged(one, other)


@pytest.mark.browser
def test_where_a_browser_keeps_nothing_there_is_no_box_and_no_error(browser, address):
    """As with cookies forbidden: to ask for the storage at all is an error there."""
    context = browser.new_context()
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('closed', 'SecurityError'); }})"
    )
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error.stack or str(error)))
    for name in ("notebooks/01_pooling", "book/index"):
        page.goto(address("file", name))
        page.wait_for_load_state("load")
        assert not page.get_by_role("checkbox", name="Done").count()
        assert not page.locator(".progress-here").is_visible() if name == "book/index" else True
    # The theme's own scripts keep the colours there, and may complain.
    assert not [error for error in errors if "book.js" in error]
    context.close()


@pytest.mark.browser
def test_buttons_of_the_repository_follow_its_address(open_page):
    """Without an address there is no button that leads nowhere; with one, each is there."""
    address = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    page = open_page("file", f"notebooks/{NOTEBOOKS[0]}")
    count = {
        button: page.locator(f"a[href*='{button}']").count()
        for button in ("colab.research.google.com", "/issues/new", "/edit/", "/blob/")
    }
    assert page.locator(".btn-source-repository-button").count() == bool(address), address
    assert count["/issues/new"] == count["/edit/"] == bool(address)
    assert count["colab.research.google.com"] == address.startswith("https://github.com/")

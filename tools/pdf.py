"""Print the book into one PDF: `python tools/pdf.py [--edition class] [--out DIR]`.

The site is built first (tools/website.py); Chromium prints its pages in the order of the table of contents, and pypdf
joins them into `_build/pdf/keep-the-crack.pdf`, or `_build/class/pdf/keep-the-crack.pdf` for the class edition.  How a
page looks on paper is said in book/_static/print.css, which also serves readers who print a page themselves.

    each page is printed once    ->  its first number is known, since those before it are printed
    title page and contents      ->  printed last, with the true numbers; their own are i, ii, iii
    figures that move            ->  their still pictures
    hints, solutions, answers    ->  at the end of the chapter, with a link from the exercise
    links between pages          ->  lead to the place in the PDF; to what is not in it, they are plain words
    bookmarks                    ->  parts, chapters, sections

The API reference is left out: it is looked up and not read, and would take as many pages as the chapters.
"""

import argparse
import html
import io
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright import sync_api
from pypdf import PdfReader, PdfWriter
from pypdf.constants import PageLabelStyle
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    Fit,
    FloatObject,
    NameObject,
    NumberObject,
    TextStringObject,
)

import website
from chapters_code import __version__
from chapters_code.files import written_whole
from edition import home

ROOT = Path(__file__).resolve().parent.parent
TITLE = "Keep the Crack"
LEFT_OUT = re.compile("book/api")
INSIDE = "https://book.invalid/"  # links between pages, until they are known to be in the PDF

# No figure starts to move: none comes into view.
STILL = "window.IntersectionObserver = class { observe() {} unobserve() {} disconnect() {} };"

# What is done to a page before it is printed.  Returns its headings: level, words, and the id to go to.
PREPARE = """async ({home, pages, name, wanted, inside, style}) => {
  await window.formulas;
  document.documentElement.dataset.theme = "light";
  const article = document.querySelector("article.bd-article");
  article.querySelectorAll(".headerlink, script, noscript").forEach((one) => one.remove());
  document.querySelectorAll("details").forEach((one) => { one.open = true; });

  // Hints, solutions and the answers of quizzes go to the end of the chapter.
  const last = document.createElement("section");
  const heading = (level, text) => Object.assign(document.createElement(level), {textContent: text});
  const moved = (from, words) => {
    const to = last.appendChild(heading("h3", words));
    to.id = "solutions-" + last.childElementCount;
    const line = Object.assign(document.createElement("p"), {className: "look-up"});
    line.append(Object.assign(document.createElement("a"), {textContent: from.says}));
    line.firstChild.setAttribute("href", "#" + to.id);
    from.place.append(line);
    last.append(...from.parts);
  };
  for (const place of article.querySelectorAll(".exercise-kind")) {
    const section = place.closest("section");
    const parts = [...section.querySelectorAll("details.hint, details.solution")];
    if (!parts.length) continue;
    const says = parts.some((one) => one.matches(".solution")) ? "Hints and a solution" : "Hints";
    const number = section.querySelector("h2, h3").textContent.match(/Exercise [0-9.]+/)[0];
    moved({place: section, parts, says: says + ": at the end of the chapter"}, number);
  }
  article.querySelectorAll(".quiz").forEach((quiz) => {
    const parts = [...quiz.querySelectorAll(".quiz-answers")];
    parts.forEach((one) => { one.hidden = false; });
    if (parts.length) moved({place: quiz, parts, says: "Answers: at the end of the chapter"},
      "Answers to the questions");
  });
  if (last.childElementCount) {
    const both = last.querySelector(".solution") ? "Hints and solutions" : "Hints and answers";
    last.prepend(heading("h2", both));
    last.className = "solutions";
    article.append(last);
  }

  // A link goes to the heading: the section around it may begin on the page before.
  for (const section of article.querySelectorAll("section[id]")) {
    const first = section.querySelector("h1, h2, h3, h4");
    if (!first || first.closest("section") !== section) continue;
    first.id = section.id;
    section.removeAttribute("id");
  }
  const headings = [...article.querySelectorAll("h1, h2")].map((one, i) => {
    one.id ||= "heading-" + i;
    return [Number(one.localName[1]), one.textContent.trim().replace(/\\s+/g, " "), one.id];
  });

  for (const link of document.querySelectorAll("a[href]")) {
    const [address, id] = link.href.split("#");
    if (!address.startsWith(home)) continue;
    const page = decodeURIComponent(address.slice(home.length)).replace(/[.]html$/, "");
    if (page === name && id) link.setAttribute("href", "#" + id);
    else if (pages.includes(page)) link.href = inside + page + (id ? "#" + id : "");
    else if (!address.startsWith("http")) link.removeAttribute("href");
  }
  // Chromium notes the places of those ids alone that a link on the same page leads to.
  for (const id of [...wanted, ...headings.map((one) => one[2])]) {
    const link = Object.assign(document.createElement("a"), {hidden: true});
    link.setAttribute("href", "#" + id);
    article.append(link);
  }

  const pictures = [...article.querySelectorAll("img")];
  pictures.forEach((one) => { one.loading = "eager"; });
  await Promise.all(pictures.map((one) => one.decode().catch(() => { throw new Error("no picture: " + one.src); })));
  await document.fonts.ready;

  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  return headings;
}"""

# The head and the foot of a page.
MARGINS = """
@page {{
  @top-left {{ color: #625b52; content: {name}; font: 8.5pt sans-serif; }}
  @bottom-right {{ color: #26231f; content: counter(page{kind}); font: 9pt sans-serif; }}
  @bottom-left {{ color: #625b52; content: "Keep the Crack"; font: 8.5pt sans-serif; }}
}}
{more}
html {{ counter-reset: page {before}; }}
"""


@dataclass
class Printed:
    """A page of the site as a PDF."""

    name: str
    reader: PdfReader
    headings: list
    first: int  # the number of its first page
    places: dict = field(default_factory=dict)  # id -> (number of the page from 0, left, top)


def contents() -> list[tuple[str, list[str]]]:
    """Return the parts of the book, each with the names of its pages, in the order of the table of contents."""
    from sphinx_external_toc.api import GlobItem
    from sphinx_external_toc.parsing import parse_toc_yaml

    toc = parse_toc_yaml(ROOT / "_toc.yml")
    files = sorted(path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "book").rglob("*.md"))

    def below(name: str) -> list[str]:
        found = [name]
        for tree in toc[name].subtrees if name in toc else ():
            for item in tree.items:
                if isinstance(item, GlobItem):
                    found += [file for file in files if Path(file).match(str(item))]
                else:
                    found += below(str(item))
        return found

    parts = [("", [toc.root.docname])]
    for tree in toc.root.subtrees:
        names = [name for item in tree.items for name in below(str(item)) if not LEFT_OUT.match(name)]
        parts.append((tree.caption or "", names))
    return parts


def wanted_ids(site: Path, names: Iterable[str]) -> dict[str, set[str]]:
    """Return for each page the ids on it that other pages link to."""
    found = {name: set() for name in names}
    for name in found:
        page = site / f"{name}.html"
        for address in re.findall(r'<a [^>]*href="([^"#:]*#[^"]+)"', page.read_text(encoding="utf-8")):
            file, _, anchor = html.unescape(address).partition("#")
            other = Path(os.path.relpath(page.parent / file, site)).with_suffix("").as_posix()
            if other in found and other != name:
                found[other].add(anchor)
    return found


def chromium_path() -> str | None:
    """Return the Chromium that BOOK_CHROMIUM names, else one of the PATH; None for Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("BOOK_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def chromium():
    """Start the Chromium of BOOK_CHROMIUM, of the PATH, or Playwright's own."""
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium_path())
        except sync_api.Error as error:
            reason = str(error).splitlines()[0]
            raise RuntimeError(f"no Chromium starts ({reason}): install one, or name it in BOOK_CHROMIUM") from None
        yield browser
        browser.close()


class Press:
    """Prints pages of a built site.

    Args:
        browser: A Chromium.
        site: The folder of the site.
        names: The pages that are in the PDF.
    """

    def __init__(self, browser: sync_api.Browser, site: Path, names: list[str]):
        self.site, self.names, self.wanted = site, names, wanted_ids(site, names)
        self.context = browser.new_context(color_scheme="light", reduced_motion="reduce")
        self.context.add_init_script(STILL)

    def print(self, name: str, before: int, front: str = "") -> Printed:
        """Print one page of the site.

        Args:
            name: Such as "notebooks/01_pooling".
            before: How many pages have been printed before it.
            front: What stands on it in the place of its article; then its numbers are roman ones.
        """
        page = self.context.new_page()
        page.goto((self.site / f"{name}.html").as_uri())
        if front:
            page.evaluate("text => { document.querySelector('article.bd-article').innerHTML = text; }", front)
        title = page.locator("article h1").first.evaluate("one => one.firstChild.textContent")
        margins = MARGINS.format(
            name=f'"{"Contents" if front else title.strip()}"',
            kind=", lower-roman" if front else "",
            before=before,
            more="@page :first { @top-left { content: none } @bottom-left { content: none } "
            "@bottom-right { content: none } }"
            if front
            else "",
        )
        headings = page.evaluate(
            PREPARE,
            {
                "home": f"{self.site.as_uri()}/",
                "pages": self.names,
                "name": name,
                "wanted": [] if front else sorted(self.wanted[name]),
                "inside": INSIDE,
                "style": margins,
            },
        )
        data = page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        page.close()
        reader = PdfReader(io.BytesIO(data))
        printed = Printed(name, reader, headings, before + 1)
        numbers = {page.indirect_reference.idnum: number for number, page in enumerate(reader.pages)}
        for anchor, place in reader.named_destinations.items():
            where = (numbers[place.page.idnum], float(place.left or 0), float(place.top or 0))
            printed.places[anchor.removeprefix("/")] = where
        return printed


def front_matter(parts: list, printed: dict[str, Printed], edition: str) -> str:
    """Return the title page and the contents, as HTML."""
    crack = (ROOT / "book" / "figures" / "crack.svg").read_text(encoding="utf-8")
    lines = []
    for caption, names in parts:
        if caption:
            lines.append(f'<p class="part">{html.escape(caption)}</p>')
        for name in names:
            one = printed[name]
            for level, words, anchor in one.headings:
                number = one.first + one.places[anchor][0]
                address = f"{INSIDE}{name}#{anchor}"
                lines.append(
                    f'<p class="level-{level}"><a href="{address}">{html.escape(words)}</a>'
                    f'<span class="leader"></span><span class="number">{number}</span></p>'
                )
    kind, folded = "", "hints and solutions"
    if edition == "class":
        kind, folded = "Class edition, without solutions. ", "hints"
    return (
        f'<div class="title-page"><h1>{TITLE}</h1><p class="lead">How segmentation networks shrink an image, what they '
        f"lose, and how they get it back.</p>{crack}<p>The authors of {TITLE}</p><p>{kind}Version {__version__}. "
        "Words and figures are under CC BY 4.0, code is under the MIT licence.</p><p>This is the book as its website "
        f"has it, on paper: figures that move stand still, {folded} are at the end of each chapter. The "
        'reference of the code is on the website alone.</p></div><div class="contents"><h2>Contents</h2>'
        + "\n".join(lines)
        + "</div>"
    )


def join(parts: list, front: Printed, printed: dict[str, Printed], target: Path) -> int:
    """Join all that is printed, and write it; return how many pages it has."""
    writer = PdfWriter()
    starts = {}
    for one in (front, *printed.values()):
        starts[id(one)] = len(writer.pages)
        writer.append(one.reader, import_outline=False)
        add_tags(writer, one.reader, starts[id(one)])

    def destination(one: Printed, anchor: str) -> ArrayObject:
        page, left, top = one.places[anchor] if anchor else (0, 0.0, 842.0)
        return ArrayObject(
            [
                writer.pages[starts[id(one)] + page].indirect_reference,
                NameObject("/XYZ"),
                FloatObject(left),
                FloatObject(top),
                NumberObject(0),
            ]
        )

    for one in (front, *printed.values()):
        for number in range(len(one.reader.pages)):
            for link in writer.pages[starts[id(one)] + number].get("/Annots", ()):
                link = link.get_object()
                inside = str(link.get("/Dest", "")).removeprefix("/")
                address = link["/A"].get("/URI", "") if "/A" in link else ""
                if inside:
                    link[NameObject("/Dest")] = destination(one, inside)
                elif address.startswith(INSIDE):
                    name, _, anchor = address.removeprefix(INSIDE).partition("#")
                    if anchor and anchor not in printed[name].places:
                        raise RuntimeError(f"{one.name} links to {name}#{anchor}, which is not there")
                    del link["/A"]
                    link[NameObject("/Dest")] = destination(printed[name], anchor)

    for name in ("/Dests", "/Names"):
        writer.root_object.pop(NameObject(name), None)
    for caption, names in parts:
        part = None
        for name in names:
            one = printed[name]
            above = None
            for _, words, anchor in one.headings:
                page, left, top = one.places[anchor]
                page += starts[id(one)]
                fit = Fit.xyz(left, top, 0)
                if caption and part is None:
                    part = writer.add_outline_item(title=caption, page_number=page, fit=fit)
                item = writer.add_outline_item(
                    title=words, page_number=page, parent=above or part, fit=fit, is_open=False
                )
                above = above or item
    writer.set_page_label(0, len(front.reader.pages) - 1, PageLabelStyle.LOWERCASE_ROMAN)
    writer.set_page_label(len(front.reader.pages), len(writer.pages) - 1, PageLabelStyle.DECIMAL)
    writer.add_metadata({"/Title": TITLE, "/Author": f"The authors of {TITLE}"})
    root = writer.root_object
    root[NameObject("/Lang")] = TextStringObject("en")
    root[NameObject("/ViewerPreferences")] = DictionaryObject({NameObject("/DisplayDocTitle"): BooleanObject(True)})
    writer.page_mode = "/UseOutlines"
    writer.compress_identical_objects()
    write(writer, target)
    return len(writer.pages)


def write(writer: PdfWriter, target: Path) -> None:
    """Write a PDF, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as unfinished, unfinished.open("wb") as file:
        writer.write(file)


def add_tags(writer: PdfWriter, reader: PdfReader, first: int) -> None:
    """Say of what has been appended what it is (headings, paragraphs, figures with their words), as Chromium says it.

    pypdf leaves this out when it joins.  Each marked page and link has a number, from which a table leads to its place
    in a tree; here the trees become branches of one, and the numbers go on where those of the pages before end.

    Args:
        writer: To whom the pages have been appended.
        reader: Of whom.
        first: Where they begin.
    """
    said = reader.root_object.get("/StructTreeRoot")
    if said is None:
        return
    said = said.get_object()
    # Heads of columns are also called by names, which several pages would share; what they are heads of is said twice.
    elements = [said["/K"].get_object()]
    while elements:
        element = elements.pop()
        element.pop("/ID", None)
        for attributes in as_list(element.get("/A", ())):
            attributes.pop("/Headers", None)
        inside = [one.get_object() for one in as_list(element.get("/K", ()))]
        elements += [one for one in inside if isinstance(one, DictionaryObject) and "/S" in one]

    root = writer.root_object
    if "/StructTreeRoot" not in root:
        numbers = DictionaryObject({NameObject("/Nums"): ArrayObject()})
        tree = {"/Type": NameObject("/StructTreeRoot"), "/ParentTree": numbers}
        tree["/ParentTreeNextKey"] = NumberObject(0)
        book = {"/Type": NameObject("/StructElem"), "/S": NameObject("/Document"), "/K": ArrayObject()}
        book = DictionaryObject({NameObject(key): value for key, value in book.items()})
        tree["/K"] = writer._add_object(book)
        tree = DictionaryObject({NameObject(key): value for key, value in tree.items()})
        root[NameObject("/StructTreeRoot")] = writer._add_object(tree)
        book[NameObject("/P")] = root.raw_get("/StructTreeRoot")
        root[NameObject("/MarkInfo")] = DictionaryObject({NameObject("/Marked"): BooleanObject(True)})
    tree = root["/StructTreeRoot"].get_object()
    begin = int(tree["/ParentTreeNextKey"])
    copy = said.clone(writer)
    branch = copy["/K"].get_object()
    branch[NameObject("/S")] = NameObject("/Part")
    branch[NameObject("/P")] = tree.raw_get("/K")
    tree["/K"].get_object()["/K"].append(copy.raw_get("/K"))
    table = copy["/ParentTree"].get_object()["/Nums"]
    for i in range(0, len(table), 2):
        tree["/ParentTree"]["/Nums"].append(NumberObject(begin + int(table[i])))
        tree["/ParentTree"]["/Nums"].append(list.__getitem__(table, i + 1))
    tree[NameObject("/ParentTreeNextKey")] = NumberObject(begin + int(said["/ParentTreeNextKey"]))
    for number, printed in enumerate(reader.pages, start=first):
        page = writer.pages[number]
        if "/StructParents" in printed:  # pypdf has left the number out, too
            page[NameObject("/StructParents")] = NumberObject(begin + int(printed["/StructParents"]))
        for link in page.get("/Annots", ()):
            link = link.get_object()
            if "/StructParent" in link:
                link[NameObject("/StructParent")] = NumberObject(begin + int(link["/StructParent"]))


def as_list(value: object) -> list:
    """Return what may stand alone or in an array, in a list."""
    value = value.get_object() if hasattr(value, "get_object") else value
    return (
        [one.get_object() if hasattr(one, "get_object") else one for one in value]
        if isinstance(value, list | tuple)
        else [value]
    )


def print_book(site: Path, target: Path, edition: str) -> int:
    """Print all pages of a built site into one PDF, whole or not at all; return how many pages it has."""
    with chromium() as browser:
        return print_pages(browser, site, target, edition, contents())


def print_pages(browser: sync_api.Browser, site: Path, target: Path, edition: str, parts: list) -> int:
    """Do so for these parts of the book: each a title and the names of its pages."""
    names = [name for _, names in parts for name in names]
    press = Press(browser, site, names)
    printed, before = {}, 0
    for name in names:
        printed[name] = press.print(name, before)
        before += len(printed[name].reader.pages)
    front = press.print(names[0], 0, front_matter(parts, printed, edition))
    press.context.close()
    return join(parts, front, printed, target)


def main() -> int:
    """Build the site and print it; return 0 if all is well."""
    parser = argparse.ArgumentParser(description="Print the book into one PDF.")
    parser.add_argument("--edition", choices=("open", "class"), default="open", help="class: without solutions")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder for _build (default: the repository)")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    if website.build(out, arguments.edition):
        return 1
    start = time.perf_counter()
    target = home(out, arguments.edition) / "pdf" / "keep-the-crack.pdf"
    try:
        pages = print_book(home(out, arguments.edition) / "html", target, arguments.edition)
    except (OSError, RuntimeError, sync_api.Error) as error:
        print(f"The book was not printed: {error}", file=sys.stderr)
        return 1
    size = target.stat().st_size / 1e6
    print(f"The PDF: {target} ({pages} pages, {size:.1f} MB, {time.perf_counter() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

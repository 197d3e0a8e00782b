"""Make a deck of slides of each chapter: `python tools/slides.py [--only WORD] [--out DIR]`.

The decks go to `_build/slides`, one page for each, which opens from the disk and asks no other host.  What is on the
slides is taken from the chapter by rule:

    title             ->  the title, and what one can do afterwards
    section           ->  its heading, its first sentence, each sentence with bold type, a formula
    figure            ->  with its caption; what moves on the site moves here, too
    section without   ->  its first table, or its first short piece of code
    exercises         ->  their titles
    questions         ->  one slide each, and one with the answer
    what to remember  ->  as it stands

*Deeper* sections are left out.  A cell with the tag `slide` is shown as it is, wherever it stands, and one with the
tag `skip` is not.  The whole text of a section is in the speaker's notes (press S).

nbconvert writes the slides, reveal.js shows them (sphinx-revealjs brings its files), MathJax draws formulas.
"""

import argparse
import base64
import html
import re
import shutil
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import notebooks

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_build" / "slides"
LOOKS = ROOT / "book" / "_slides"
REVEAL = ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js", "LICENSE")

# What fits a slide in letters that the last row reads: lines of code, of code with what it prints, of a table; words.
CODE_LINES, SHOWN_LINES, TABLE_LINES = 12, 15, 11
WORDS, CAPTION_WORDS, TABLE_WORDS = 75, 40, 120
TALL = 0.6  # a figure that is higher than so many times its width has its caption beside it
FIGURES = ("moving", "figure", "tall figure")
HIDDEN = {"setup", "remove-cell", "hide-cell", "remove-input", "hide-input"}

CAPTION = re.compile(r"\*\*Figure \d+\.\d+\.\*\* ")
FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)
ATOM = re.compile(r"\*\*.+?\*\*|`[^`]*`|\$[^$]*\$")  # a dot inside ends no sentence
LEANING = re.compile(r"(And|It|Its|So|Such|That|The (first|second)|These|They|This|Those)\b")
SENTENCE_END = re.compile(r"""[.!?]["”*)]*(?=\s+["“*(\[]*[A-Z0-9\0])""")


@dataclass
class Shown:
    """A cell that gets a slide: a figure with its caption, a table, or code."""

    kind: str
    cell: NotebookNode
    caption: str = ""


@dataclass
class Section:
    """What stands between two headings of a chapter: texts, and what is shown between them."""

    title: str
    parts: list[str | Shown] = field(default_factory=list)


# --- what a chapter has -----------------------------------------------------------------------------
def sections(notebook: NotebookNode) -> list[Section]:
    """Return the sections of a chapter: its head, the core, the exercises, what to remember; deeper ones are empty."""
    found = []
    for part, cell, piece in notebooks.parts(notebook):
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown" and re.match("##? ", piece):
            title, _, piece = piece.partition("\n")
            found.append(Section(title.lstrip("# ")))
        if "skip" in tags or (part == "deeper" and "slide" not in tags):
            continue
        if "slide" in tags:
            found[-1].parts.append(Shown("slide", cell))
        elif cell.cell_type == "code":
            kind = kind_of(cell)
            if kind and part == "core":
                found[-1].parts.append(Shown(kind, cell))
        else:
            caption, _, rest = piece.partition("\n\n") if CAPTION.match(piece) else ("", "", piece)
            if caption:
                figure = next(one for one in reversed(found[-1].parts) if isinstance(one, Shown))
                figure.caption = " ".join(caption.split())
            found[-1].parts.append(rest)
    return found


def kind_of(cell: NotebookNode) -> str:
    """Say what a cell shows: "moving", "figure", "tall figure", "table", "listing", "code", or "" if it is no slide."""
    tags = set(cell.metadata.get("tags", []))
    if tags & {"setup", "remove-cell"} or "explore(" in cell.source:
        return ""
    data = [output.get("data", {}) for output in cell.outputs]
    if any("data-figure" in one.get("text/html", "") for one in data):
        return "moving"
    for one in data:
        if "image/png" in one:
            width, height = struct.unpack(">II", base64.b64decode(one["image/png"])[16:24])
            return "tall figure" if height > TALL * width else "figure"
    if table_of(cell):
        return "table"
    texts = [one["text/markdown"].strip() for one in data if "text/markdown" in one]
    if texts:  # a listing is what `show_source` shows
        listing = len(texts) == 1 and texts[0].startswith("```python") and texts[0].endswith("```")
        return "listing" if listing and len(texts[0].splitlines()) <= CODE_LINES + 2 else ""
    if tags & HIDDEN:
        return ""
    code = len(cell.source.splitlines())
    printed = sum(len(output.get("text", "").splitlines()) for output in cell.outputs)
    return "code" if code <= CODE_LINES and printed > 0 and code + printed <= SHOWN_LINES else ""


def table_of(cell: NotebookNode) -> str:
    """Return the first table that a code cell shows and that fits a slide, or ""."""
    for output in cell.outputs:
        text = output.get("data", {}).get("text/markdown", "").strip()
        if text.startswith("|") and len(text.splitlines()) <= TABLE_LINES and count(text) <= TABLE_WORDS:
            return unlinked(text)
    return ""


# --- words ------------------------------------------------------------------------------------------
def plain(text: str) -> str:
    """Return Markdown without what a slide has no use for: folds, code, tables, boxes, formulas, links."""
    text = re.sub(r"<details>.*?</details>|^```.*?^```|^\|.*?$|^:.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    return unlinked(re.sub(r"\s*\([^()]*\[Deeper\]\([^)]*\)[^()]*\)", "", FORMULA.sub("", text)))


def unlinked(text: str) -> str:
    """Return Markdown without its links to other pages of the book."""
    return re.sub(r"\[([^\]]*)\]\((?!http)[^)]*\)", r"\1", text)


def count(*texts: str) -> int:
    """Return the number of words."""
    return sum(len(text.split()) for text in texts)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs and the entries of lists, each in one line."""
    text = re.sub(r"^\s*(?:[*>-]|\d+\.) ", "\n\n", plain(text), flags=re.MULTILINE)
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if block.strip()]
    return [re.sub(r"(?<=\d) × (?=\d)", "\u00a0×\u00a0", block) for block in blocks]  # a size holds together


def sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph."""
    atoms = ATOM.findall(paragraph)
    masked = ATOM.sub("\0", paragraph)
    ends = [0, *(match.end() for match in SENTENCE_END.finditer(masked)), len(masked)]
    kept = iter(atoms)
    cut = [masked[start:end].strip() for start, end in zip(ends, ends[1:], strict=False)]
    return [re.sub("\0", lambda _: next(kept), one) for one in cut if one]


def key_sentences(text: str) -> list[str]:
    """Return the sentences with words in bold type; with one that leans on the sentence before, that one, too."""
    found = []
    for paragraph in paragraphs(text):
        said, taken = sentences(paragraph), -1
        for i, one in enumerate(said):
            if "**" not in one:
                continue
            if LEANING.match(one) and taken < i - 1:
                found.append(f"{said[i - 1]} {one}")
            elif LEANING.match(one) and found and taken == i - 1 >= 0:
                found[-1] += f" {one}"
            else:
                found.append(one)
            taken = i
    return found


def chunks(texts: list[str], room: int) -> list[list[str]]:
    """Deal texts out, in their order, into as few parts as it takes, and as even ones.

    No part has more words than `room`, but for one of a single text.
    """
    fewest = len(filled(texts, room))
    return next(parts for words in range(1, room + 1) if len(parts := filled(texts, words)) <= fewest)


def filled(texts: list[str], room: int) -> list[list[str]]:
    """Deal texts out, each part as full as it may be."""
    parts = []
    for text in texts:
        if parts and count(*parts[-1], text) <= room:
            parts[-1].append(text)
        else:
            parts.append([text])
    return parts


# --- slides -----------------------------------------------------------------------------------------
def words(kind: str, text: str, slide_type: str = "slide") -> NotebookNode:
    """Return a cell with words; a slide begins with it, unless `slide_type` is "-"."""
    return new_markdown_cell(text, metadata={"kind": kind, "slideshow": {"slide_type": slide_type}})


def bullets(texts: list[str]) -> str:
    """Return a list."""
    return "".join(f"\n* {text}" for text in texts)


def section_slides(section: Section) -> Iterator[NotebookNode]:
    """Give the slides of a section: what it is about; what is shown; what follows from it.

    Words go onto the slide of what is shown if there is room; what follows comes there when the speaker goes on.
    """
    shown = [part for part in section.parts if isinstance(part, Shown)]
    figures = [one for one in shown if one.kind in (*FIGURES, "slide")]
    tables = [one for one in shown if one.kind == "table"]
    chosen = figures or tables[:1] or shown[:1]

    texts = [part for part in section.parts if isinstance(part, str)]
    at = section.parts.index(chosen[0]) if chosen else len(section.parts)
    before = "\n\n".join(part for part in section.parts[:at] if isinstance(part, str))
    after = "\n\n".join(part for part in section.parts[at:] if isinstance(part, str))
    lead = next(iter(sentences(next(iter(paragraphs(before or after)), ""))), "")
    formula, last_formula = (next(iter(FORMULA.findall(text)), "") for text in (before, after))
    keys, conclusions = ([one for one in key_sentences(text) if one != lead] for text in (before, after))
    if any(lead in one for one in keys + conclusions):
        lead = ""  # it is said below
    if not chosen and not keys:
        lead = " ".join(next(iter(filled(sentences(next(iter(paragraphs(before)), "")), CAPTION_WORDS)), []))

    title = f"## {section.title}\n\n"
    notes = words("", "\n\n".join(texts), "notes")
    used = 0
    if chosen and not formula and not (keys and chosen[0].kind in FIGURES) and room(chosen[0]) >= count(lead, *keys):
        used = count(lead, *keys) if len(chosen) == 1 else 0
        title += f"{lead}\n{bullets(keys)}"
    else:
        opening = next(iter(filled(keys, WORDS - count(lead))), [])
        yield words("", f"{title}{lead}\n\n{formula}\n{bullets(opening)}")
        yield from [notes] if texts else []
        for part in chunks(keys[len(opening) :], WORDS):
            yield words("", title + bullets(part))
        title, texts = f"### {section.title}", []
    for one in chosen:
        yield from shown_slides(title, one)
        yield from [notes] if texts else []
        title, texts = f"### {section.title}", []
    if not conclusions and not last_formula:
        return
    if chosen and not last_formula and count(*conclusions) <= room(chosen[-1]) - used:
        yield words("conclusion", bullets(conclusions), "fragment")
        return
    for part in chunks(conclusions, WORDS) or [[]]:
        yield words("", f"## {section.title}\n\n{last_formula}\n{bullets(part)}")
        last_formula = ""


def room(shown: Shown) -> int:
    """Return how many words have room beside what is shown: fewer than fit, since a slide is not a page."""
    if shown.kind in FIGURES:
        return {"figure": 20, "tall figure": 25, "moving": 15}[shown.kind]
    text = table_of(shown.cell) or shown.cell.source
    if shown.kind == "listing":
        text = "".join(output.get("data", {}).get("text/markdown", "") for output in shown.cell.outputs)
    lines = len(text.splitlines()) + sum(len(output.get("text", "").splitlines()) for output in shown.cell.outputs)
    return 0 if shown.kind == "slide" else 8 * max(0, (520 - 30 * lines) // 45)


def shown_slides(heading: str, shown: Shown) -> Iterator[NotebookNode]:
    """Give the slide of one cell, below a heading."""
    cell = shown.cell
    if cell.cell_type == "markdown":
        yield words("", cell.source)
        return
    yield words("heading", heading)
    if shown.kind == "table":
        yield words("table", table_of(cell), "-")
        return
    outputs = cell.outputs
    if "figure" in shown.kind:
        outputs = [output for output in outputs if "image/png" in output.get("data", {})][:1]
    metadata = {"kind": shown.kind, "slideshow": {"slide_type": "-"}}
    if shown.kind in (*FIGURES, "listing"):
        metadata["transient"] = {"remove_source": True}
    yield new_code_cell(cell.source, outputs=outputs, metadata=metadata)
    said = [one for text in paragraphs(shown.caption) for one in sentences(text) if not one.startswith("(")]
    said = next(iter(filled(said, CAPTION_WORDS)), [])
    if said:
        yield words("caption", " ".join(said), "-")


def question_slides(name: str) -> Iterator[NotebookNode]:
    """Give two slides for each question after a chapter: the question, and the same with the answer."""
    from quizzes import QUIZZES, read

    path = QUIZZES / f"{name}.yml"
    questions = read(path) if path.is_file() else []
    for number, question in enumerate(questions, start=1):
        head = f"### Quiz, question {number} of {len(questions)}"
        asked, answered = [], []
        for choice in question["choices"]:
            says, why = (" ".join(str(choice[key]).split()) for key in ("says", "why"))
            asked.append(f"1. {says}")
            verdict = '<b class="right">Right.</b>' if "right" in choice else "<b>Wrong.</b>"
            answered.append(f"1. {says}<br>{verdict} {why}")
        for choices, kind in ((asked, "question"), (answered, "question answer")):
            yield words("heading", head)
            yield words(kind, "\n".join([question["ask"].strip(), "", *choices]), "-")


def slides(path: Path) -> NotebookNode:
    """Return the deck of a chapter, as a notebook with the metadata that nbconvert makes slides of."""
    head, *rest = sections(nbformat.read(path, as_version=4))
    (promise,) = (one for one in paragraphs(str(head.parts[0])) if one.startswith("**Afterwards you can**"))
    cells = [words("title", f"# {head.title}\n\n{promise}")]
    for section in rest:
        if section.title == "Exercises":
            text = "\n".join(part for part in section.parts if isinstance(part, str))
            titles = re.findall(r"^### Exercise (.*)", plain(text), re.MULTILINE)
            cells.append(words("exercises", f"## Exercises\n{bullets(titles)}"))
            cells += question_slides(path.stem)
        elif section.title == "What to remember":
            text = "\n".join(part for part in section.parts if isinstance(part, str))
            said = [one for one in paragraphs(text) if not one.startswith("**Next")]
            for part in chunks(said, WORDS):
                cells.append(words("", f"## What to remember\n{bullets(part)}"))
        elif section.parts:
            cells += section_slides(section)
    for number, cell in enumerate(cells):
        cell["id"] = f"slide-{number}"  # instead of a random one
    return new_notebook(cells=cells, metadata={"title": head.title})


# --- files ------------------------------------------------------------------------------------------
def write(path: Path, out: Path) -> Path:
    """Write the deck of a chapter into a folder, in which `copy_files` has put what all decks share."""
    from nbconvert import SlidesExporter

    exporter = SlidesExporter(template_name=LOOKS.name, extra_template_basedirs=[str(LOOKS.parent)])
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    page, _ = exporter.from_notebook_node(slides(path))
    target = out / f"{path.stem}.html"
    target.write_text(page, encoding="utf-8")
    return target


def copy_files(out: Path) -> None:
    """Copy what all decks share: reveal.js, MathJax, the colours of code, our style and script."""
    from lightpages import copy_mathjax
    from pygments.formatters import HtmlFormatter

    package = find_spec("sphinx_revealjs")
    if package is None:
        raise SystemExit("reveal.js is missing; `pip install sphinx-revealjs` brings it")
    home = Path(package.origin).parent / "_static" / "revealjs"
    (out / "reveal").mkdir(parents=True, exist_ok=True)
    for file in REVEAL:
        shutil.copyfile(home / file, out / "reveal" / Path(file).name)
    copy_mathjax(out / "mathjax")
    style = HtmlFormatter(style="a11y-high-contrast-light").get_style_defs(".highlight")
    (out / "code.css").write_text(style, encoding="utf-8")
    for file in ("slides.css", "slides.js"):
        shutil.copyfile(LOOKS / file, out / file)


def main() -> int:
    """Write the decks, and a page that lists them."""
    parser = argparse.ArgumentParser(description="Make a deck of slides of each chapter.")
    parser.add_argument("--only", default="", metavar="WORD", help="chapters whose file's name has it")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the decks (default: _build/slides)")
    arguments = parser.parse_args()
    paths = [path for path in notebooks.paths() if arguments.only in path.stem]
    if not paths:
        print(f"No chapter has {arguments.only!r} in its name.", file=sys.stderr)
        return 1
    copy_files(arguments.out)
    for path in paths:
        print(write(path, arguments.out))
    decks = sorted(arguments.out.glob("[0-9]*.html"))
    links = "\n".join(f'<li><a href="{deck.name}">{html.escape(deck.stem)}</a></li>' for deck in decks)
    (arguments.out / "index.html").write_text(
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>Slides</title>\n<ul>\n{links}\n</ul></html>\n',
        encoding="utf-8",
    )
    return 0


sys.path.insert(0, str(ROOT / "book" / "_ext"))  # questions and MathJax are read as the site reads them

if __name__ == "__main__":
    sys.exit(main())

"""The pages against each other: what one says of terms, photographs, GPUs, sizes and versions, the others say, too."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from torchvision.models import mobilenet_v2, resnet18

from chapters_code.records import runs, studies

ROOT = Path(__file__).parents[2]
CHAPTERS = {path.stem[:2]: nbformat.read(path, as_version=4) for path in sorted(ROOT.glob("notebooks/*.ipynb"))}
chapters = pytest.mark.parametrize("number", CHAPTERS)


def page(name: str) -> str:
    """Return the text of a page of `book/`."""
    return (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")


def rows(text: str, width: int) -> list[list[str]]:
    """Return the cells of all rows of tables of this width, without heads and rules."""
    found = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in found]
    return [row for row in cells if len(row) == width and not set(row[0]) <= {"-", ":"}]


def words(number: str) -> str:
    """Return all that a chapter says, without its code."""
    return "\n\n".join(cell.source for cell in CHAPTERS[number].cells if cell.cell_type == "markdown")


def code(number: str) -> str:
    return "\n".join(cell.source for cell in CHAPTERS[number].cells if cell.cell_type == "code")


# ---- terms ----------------------------------------------------------------------------------------

# Bold type that stresses a word and names no term.  A phrase that is none, either, has a word of `SENTENCE` in it, or a
# digit or a mark, or more than three words.
STRESS = {
    "advice", "arm", "back", "batches", "believe", "blind", "borrowed", "change places", "context", "cut off",
    "doubles the rates", "effective", "equal", "even", "few numbers", "few pictures", "four", "garbled sizes",
    "halve", "horizontal", "linear formula", "measured", "middle", "needs", "never learn", "next", "no more",
    "not", "nothing", "odd", "one block", "one", "opposite", "picture", "prior knowledge", "proved", "random",
    "rotated", "rotation", "seed by seed", "several inputs", "share ten photographs", "shifts", "shrink",
    "size back", "smaller picture", "speed", "start flat", "step", "straight and faint", "stretches", "takes",
    "theorem", "thin things", "train", "untrained", "very large field", "void becomes background", "winding",
}  # fmt: skip
SENTENCE = {
    "a", "after", "afterwards", "all", "an", "and", "any", "are", "as", "by", "each", "every", "from", "in", "is",
    "its", "of", "on", "that", "the", "these", "to", "what", "which", "with", "without",
}  # fmt: skip
# The other way round: words that a chapter need not set in bold type, and that a reader looks up.
LOOKED_UP = (
    "bias", "canvas", "dropout", "head", "margin", "momentum", "ReLU", "seed", "sigmoid", "softmax", "tap", "twin",
)  # fmt: skip
TERMS = [row[0] for row in rows(page("notation").partition("## Words")[2], 3) if row[0] != "English"]


def known() -> set[str]:
    """Return each term in the forms in which it may be met: RSU (residual U-block) in two, precision, recall in two."""
    parts = {part.strip(" )").casefold() for term in TERMS for part in re.split(r"[,;(]", term)}
    parts |= {re.sub("'s rule$| wavelet$", "", part) for part in parts}
    return parts | {f"{part}s" for part in parts}


def bold(text: str) -> set[str]:
    """Return what a text sets in bold type and might be a term: up to three words, without a mark or a digit."""
    body = re.sub(r"^(#|\|).*$", "", text, flags=re.MULTILINE)
    found = {phrase.strip().casefold() for phrase in re.findall(r"\*\*([^*]+?)\*\*", body)}
    plain = {phrase.removesuffix("'s") for phrase in found if re.fullmatch(r"[a-z²†'-]{2,}( [a-z²†-]+){0,2}", phrase)}
    return {phrase for phrase in plain if not SENTENCE & set(phrase.split())}


def missing(text: str, terms: set[str]) -> set[str]:
    """Return the bold phrases that are neither a term nor a word of stress."""
    return bold(text) - STRESS - terms


@chapters
def test_the_notation_page_holds_every_term_that_a_chapter_sets_in_bold_type(number):
    lacking = missing(words(number), known())
    assert not lacking, f"write them into book/notation.md, or, if they are no terms, into STRESS: {sorted(lacking)}"


@pytest.mark.parametrize("term", LOOKED_UP)
def test_the_notation_page_holds_what_readers_look_up(term):
    assert term.casefold() in known()


def test_a_term_that_lacks_is_found():
    assert missing("The **frobnication** of a **kernel** is **not** **A sentence.**", known()) == {"frobnication"}


def test_terms_are_in_order_and_none_is_there_twice():
    assert sorted(TERMS, key=str.casefold) == TERMS
    assert len(set(map(str.casefold, TERMS))) == len(TERMS) > 130


# ---- photographs, weights, hardware, versions ------------------------------------------------------


def test_the_data_page_names_the_chapters_that_use_a_set():
    """A chapter that shows a recorded run on it or reads its photographs, and Chapter 10, which has all runs."""
    used = {}
    for name in runs.names():
        recipe = runs.load(name)["recipe"]
        used.setdefault(recipe["data"], set()).update({recipe["chapter"][:2], "10"})
    for pictures in studies.load("bake-off")["pictures"]:
        used.setdefault(f"crack/{pictures}", set()).update({"07", "10"})
    for number in CHAPTERS:
        for loader, name in (("cracked_photograph(", "crack/DeepCrack"), ("VOCSegmentation(", "voc2012")):
            if loader in code(number):
                used[name].add(number)

    said = {row[0].strip("`"): set(re.findall(r"\b\d\d\b", row[3])) for row in rows(page("data"), 4)}
    assert {name: said[name] for name in used} == used
    assert said["sod/DUTS"] == set()


def test_the_data_page_has_the_terms_of_every_photograph_that_a_page_shows():
    shown = set()
    for number in CHAPTERS:
        shown |= set(re.findall(r"\bphotographs\.(\w+)\(\)", code(number)))
    shown |= {path.stem.split("-")[-1] for path in ROOT.glob("chapters_code/records/predictions/fcn-*.png")}
    listed = set(re.findall(r"`(\w+)`", page("data").partition("## Photographs that the pages show")[2]))
    assert shown <= listed


@pytest.mark.parametrize(("name", "network"), [("ResNet-18", resnet18), ("MobileNetV2", mobilenet_v2)])
def test_a_file_of_weights_is_as_large_as_its_numbers(name, network):
    """In millions of bytes, names and a few more bytes included."""
    numbers = sum(one.numel() * one.element_size() for one in network().state_dict().values()) / 1e6
    (size,) = [row[2] for row in rows(page("data"), 3) if row[0] == name]
    assert int(size.removesuffix(" MB")) == round(numbers)


def test_a_download_that_a_chapter_announces_has_the_size_of_the_data_page():
    sizes = {row[2] for row in rows(page("data"), 3) if row[2].endswith(" MB")}
    for number in CHAPTERS:
        for found in re.findall(r"server\s+\((\d+ MB)\)", words(number)):
            assert found in sizes, f"Chapter {number} says {found}"


@chapters
def test_chapters_and_set_up_say_the_same_of_gpus(number):
    assert "No GPU" in CHAPTERS[number].cells[0].source
    assert "No chapter needs a GPU" in page("setup")


def test_the_pages_were_run_with_one_version_of_each_package():
    shown = {}
    for number in CHAPTERS:
        printed = json.dumps([cell.get("outputs", []) for cell in CHAPTERS[number].cells])
        for package, version in re.findall(r"\b(Python|numpy|matplotlib|torch|torchvision) (\d+\.\d+[\w.]*)", printed):
            shown.setdefault(package, {}).setdefault(version, []).append(number)
    del shown["torch"]  # records name the one that they were made with
    assert {package for package, versions in shown.items() if len(versions) > 1} == set(), shown


@pytest.mark.parametrize("path", ["README.md", "book/setup.md"])
def test_it_is_said_how_to_get_the_folder_before_a_command_is_typed_in_it(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert 0 < text.index("git clone") < text.index("make lab")
    assert "ZIP" in text

"""The class edition, as a student gets it: no solution, wherever one looks; and all else works."""

import html
import json
import os
import re
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import chapters_code
import edition
from chapters_code import exercises

ROOT = Path(__file__).parents[2]
NUMBERS = exercises.numbers()


def telling(source: str) -> list[str]:
    """The lines of a solution that would give it away: those that call something."""
    lines = [line.strip().removeprefix("return ") for line in source.splitlines()]
    return [line for line in lines if re.search(r"[a-z]\w*\(", line) and not line.startswith("def ")]


def flat(text: str) -> str:
    """A text with one space where there are several, quotes and dots as they are typed, and no mark of `code`."""
    typed = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "–": "--", "`": ""})
    return " ".join(text.translate(typed).split())


def strings(value: object) -> list[str]:
    """All texts in what a JSON file holds; a list of lines is one text."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in strings(one)]
    if isinstance(value, list):
        lines = all(isinstance(one, str) for one in value)
        return ["".join(value)] if lines else [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []


def said(path: Path) -> str:
    """What a file of the site says to whoever looks into it: a page without its tags, a notebook's cells, a script."""
    text = path.read_text(encoding="utf-8", errors="ignore")
    if path.suffix == ".html":
        return flat(html.unescape(re.sub(r"<[^>]*>", "", text)))
    if path.suffix == ".ipynb":
        return flat("\n".join(strings(json.loads(text)["cells"])))
    return flat(text.replace("\\n", "\n").replace('\\"', '"'))


def leaks(folder: Path, secrets: dict[str, str]) -> list[str]:
    """Where in a folder a secret can be read: `file: whose`.

    Args:
        folder: The folder.
        secrets: Text -> whose solution it is of.
    """
    # To look for each of a thousand texts in each file takes long: first for its words, which are quickly looked up.
    words = {secret: set(re.findall(r"\w+", secret)) for secret in secrets}
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix not in (".woff", ".woff2", ".png", ".webp")):
        if path.is_file():
            text = said(path)
            there = set(re.findall(r"\w+", text))
            hit = [secret for secret, parts in words.items() if parts <= there and secret in text]
            found += [f"{path.relative_to(folder)}: {secrets[secret]}: {secret}" for secret in hit]
    return found


def points(number: str) -> tuple[str, ...]:
    """What a good answer in words says."""
    return exercises.rubric(number) if exercises.kind(number) == "explain" else ()


@cache
def secrets() -> dict[str, str]:
    """What must not be seen: telling lines of the solutions, how their explanations begin, and what good answers say.

    A line that stands in the book for all to see, in a chapter or in its code outside of the exercises, is none.
    """
    shown = [said(path) for path in (ROOT / "notebooks").glob("*.ipynb")]
    package = ROOT / "chapters_code"
    shown += [said(path) for path in package.rglob("*.py") if "exercises" not in path.relative_to(package).parts]
    lines, notes = {}, {}
    for number in NUMBERS:
        # Of the first 60 characters, in whole words, what stands between the marks of Markdown, which no page shows.
        for text in (exercises.solution_note(number), *points(number)):
            begins = re.split(r"[*$]", re.match(r".{0,60}(?!\w)", flat(text))[0])
            notes[max(begins, key=len).strip()] = number
        source = "" if exercises.kind(number) == "explain" else exercises.solution_source(number)
        lines |= {flat(line): number for line in telling(source)}
    return {line: number for line, number in lines.items() if not any(line in text for text in shown)} | notes


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """The folder into which the class edition was built, site and wheel."""
    out = tmp_path_factory.mktemp("class edition")
    # In English alone: there are no solutions that could be translated.
    for tool, *arguments in (("website.py", "--language", "en"), ("edition.py", "wheel")):
        command = [sys.executable, str(ROOT / "tools" / tool), *arguments, "--edition", "class", "--out", str(out)]
        run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        assert run.returncode == 0, run.stdout + run.stderr
        assert str(out / "_build" / "class") in run.stdout
    return out / "_build" / "class"


@pytest.fixture(scope="module")
def wheel(out) -> Path:
    (wheel,) = (out / "wheel").iterdir()
    return wheel


# --- what is looked for ---


def test_a_solution_would_be_found_wherever_it_stands(tmp_path):
    """On a page, coloured and escaped; in a notebook; in a script."""
    line, note = 'out["a"] = (rows > 0).sum(dim=-1)', "It's one line."
    kept = {line: "1.1", note: "1.2"}
    files = {
        "page.html": '<pre>out[<span class="s2">&quot;a&quot;</span>] = (rows &gt; <b>0</b>).sum(dim=-1)</pre>',
        "note.html": "<p>It’s one\n line.</p>",
        "_sources/a.ipynb": json.dumps({"cells": [{"source": ["x\n", f"    return {line}"]}]}),
        "searchindex.js": json.dumps({"titles": [line]}),
        "clean.html": "<pre>out = rows.sum()</pre>",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    assert {found.partition(":")[0] for found in leaks(tmp_path, kept)} == files.keys() - {"clean.html"}


@pytest.mark.slow
def test_nearly_all_of_each_solution_is_looked_for():
    """What a chapter shows itself is left out; of most solutions enough is left."""
    kept = secrets()
    lines = [number for secret, number in kept.items() if re.search(r"[a-z]\w*\(", secret)]
    code = [number for number in NUMBERS if exercises.kind(number) == "code"]

    assert set(kept.values()) == set(NUMBERS)
    assert len(set(lines) & set(code)) > 0.9 * len([n for n in code if telling(exercises.solution_source(n))])
    assert min(len(secret) for secret in kept) > 5


@pytest.mark.slow
def test_each_of_them_would_be_found_on_a_page_that_showed_it(tmp_path):
    """As the pages of the open edition do."""
    for number in NUMBERS:
        listed = "".join(f"* {point}\n" for point in points(number))
        source = "" if listed else f"```python\n{exercises.solution_source(number)}```"
        page = MarkdownIt().render(f"{exercises.solution_note(number)}\n\n{source}\n\n{listed}")
        (tmp_path / f"{number}.html").write_text(page, encoding="utf-8")

    found = {line.split(": ", 2)[2] for line in leaks(tmp_path, secrets())}
    assert secrets().keys() - found == set()


# --- the site ---


@pytest.mark.slow
def test_no_file_of_the_site_holds_a_solution(out):
    site, kept = out / "html", secrets()

    assert leaks(site, kept) == []
    assert not [path for path in out.rglob("*solutions*") if "exercises" in path.parts]
    pages = [
        path for path in site.rglob("*.html") if "_modules" not in path.parts
    ]  # there, code says when it offers one
    text = "".join(path.read_text(encoding="utf-8") for path in pages)
    for never in ("details.solution", 'class="solution', "A good answer", "shows our answer"):
        assert never not in text
    assert len(re.findall('<details class="hint">', text)) == sum(len(exercises.hints(number)) for number in NUMBERS)


@pytest.mark.slow
def test_each_page_of_the_site_says_that_it_is_the_class_edition(out):
    pages = [path for path in (out / "html").rglob("*.html") if "_static" not in path.parts]
    pages = [path for path in pages if path != out / "html" / "index.html"]

    line = "Class edition: your teacher has the solutions."
    assert [path for path in pages if line not in path.read_text(encoding="utf-8")] == []
    assert len(pages) > 40


# --- the folder ---


@pytest.mark.slow
def test_the_folder_has_no_solution_no_test_no_address_and_no_trace(out):
    """A teacher may publish it: it is the book, and what is left out is not in it anywhere."""
    files = [path.relative_to(out / "source").as_posix() for path in (out / "source").rglob("*") if path.is_file()]

    assert {name.partition("/")[0] for name in files} == {*edition.FOLDERS, *edition.FILES}
    assert not [name for name in files if re.search(r"/solutions/|answers|variants|__pycache__|\.ipynb_", name)]
    config = (out / "source" / "_config.yml").read_text(encoding="utf-8")
    assert 'url: ""' in config and 'colab_url: ""' in config
    source = (out / "source" / "chapters_code" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{chapters_code.__version__}+class"' in source


@pytest.mark.slow
def test_a_newer_edition_takes_the_place_of_the_older_and_what_is_the_teachers_stays(out):
    (out / "source" / ".git").mkdir()
    (out / "source" / "book" / "old.md").touch()
    edition.write_tree(out / "source")
    left = [(out / "source" / name).exists() for name in (".git", "book/old.md", "book/index.md")]

    assert left == [True, False, True]
    assert not [path for path in out.iterdir() if path.name.startswith(".source")]


def test_an_offer_in_other_words_is_refused_and_named():
    with pytest.raises(ValueError, match=r"01, cell 3 offers a solution.*'See solution\(\"1.1\"\).'.*OFFERS"):
        edition._without_offers('One.\nSee solution("1.1").\nTwo.', "01, cell 3")
    offered = 'Stuck? hint("1.1") gives a hint, solution("1.1") shows our answer.\nNext.'
    assert edition._without_offers(offered, "") == 'Stuck? hint("1.1") gives a hint.\nNext.'
    assert edition._without_offers("The solution of the system, and solutions of others.", "").startswith("The sol")


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    """A slip must not delete somebody's work, least of all the book with its solutions."""
    (tmp_path / "letter.txt").write_text("mine")
    for folder in (tmp_path, ROOT):
        with pytest.raises(ValueError, match="name a new folder"):
            edition.write_tree(folder)
    assert (tmp_path / "letter.txt").exists()


# --- the wheel ---


@pytest.mark.slow
def test_the_wheel_holds_the_package_without_its_solutions(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "chapters_code").rglob("*") if path.is_file()}
    package = {name for name in package if "/solutions/" not in name and "__pycache__" not in name}

    assert wheel.name.startswith(f"keep_the_crack-{chapters_code.__version__}+class-")
    assert {name for name in names if "dist-info" not in name} == package


STUDENT = """
import chapters_code
from chapters_code import exercises
from chapters_code.exercises import check, hint, solution
from chapters_code.pooling import max_pool2d

print(chapters_code.__file__)
check("1.1", lambda x, kernel_size: -max_pool2d(-x, kernel_size))
check("1.1", max_pool2d)
check("1.8", "Every pixel has a share.")
solution("1.1")
try:
    exercises.rubric("1.8")
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_the_wheel_checks_answers_and_has_no_solution(wheel, tmp_path):
    """Unpacked as pip would, and run where nothing else of the book is."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "BOOK_PROGRESS": "off"}
    run = subprocess.run([sys.executable, "-c", STUDENT], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    where, right, wrong, *rest = run.stdout.splitlines()

    assert where == str(tmp_path / "site" / "chapters_code" / "__init__.py")
    assert right == "Exercise 1.1: right. Your answer agrees with the trusted one on every input tried."
    assert wrong.startswith("Exercise 1.1: not yet.")
    assert rest[-3:] == [
        "Exercise 1.8: only a person can read your 5 words. Your teacher knows what to look for.",
        "Exercise 1.1: your teacher has the solution. This is the class edition of the book.",
        "Exercise 1.8: your teacher has the solution. This is the class edition of the book.",
    ]

"""The README, the front door: its picture, its map, and every command in it.

Its Python runs in tests/site/test_frame.py.  Of its commands those run here that take seconds; `make` is asked whether
it knows the others, which take minutes; and `git clone` needs an address.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from PIL import Image

import notebooks
import repository

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = README.partition("<!-- the map of the book")[2].partition("<!-- end of the map -->")[0]


def rows() -> list[list[str]]:
    """The map, row by row: part, chapter, module, minutes, what the reader can do then."""
    lines = [line.strip("|").split("|") for line in MAP.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines]


def commands() -> list[str]:
    """The commands that readers are asked to type, without what is said behind them."""
    blocks = re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [line.partition("  #")[0].strip() for line in "".join(blocks).splitlines()]


# --- the picture ----------------------------------------------------------------------------------
def test_the_picture_is_our_own_and_says_in_words_what_it_shows():
    ((alt, place),) = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", README)
    drawing = ElementTree.parse(ROOT / place)
    title = drawing.find("{http://www.w3.org/2000/svg}title").text
    assert alt == title.replace("a crack one pixel wide", "a dark crack one pixel wide")
    assert "crack is gone" in alt and "crack stays" in alt


# --- the map --------------------------------------------------------------------------------------
def test_the_map_has_every_chapter_in_order():
    head, line, *chapters = rows()
    assert head == ["Part", "Chapter", "Module", "Minutes", "You end up able to"]
    linked = [re.match(r"(\d\d) \[[^\]]+\]\(notebooks/(\d\d_\w+)\.ipynb\)", row[1]).groups() for row in chapters]
    assert [name for _, name in linked] == [path.stem for path in notebooks.paths()]
    assert all(name.startswith(number) for number, name in linked)
    assert all(row[4] for row in chapters)


def test_the_module_of_a_chapter_is_one_that_it_imports():
    for row, path in zip(rows()[2:], notebooks.paths(), strict=True):
        module = row[2].strip("`")
        home = ROOT / "chapters_code" / module
        assert home.is_dir() or home.with_suffix(".py").is_file()
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        assert re.search(rf"from chapters_code(\.{module}\b| import .*\b{module}\b)", code), path.name


def test_the_minutes_of_the_map_are_those_of_the_chapters():
    """`make notebooks` writes both."""
    for row, path in zip(rows()[2:], notebooks.paths(), strict=True):
        taken = notebooks.minutes(nbformat.read(path, as_version=4))
        assert row[3] == f"{taken['core']} + {taken['exercises']}", path.name
    assert "Minutes: to read the chapter + to do its exercises." in MAP


def test_minutes_are_written_into_the_row_of_their_chapter_alone():
    text = "| | 01 [Pooling](notebooks/01_pooling.ipynb) | `pooling` | 5 + 5 | more |\n"
    other = "| | 02 [Strided](notebooks/02_strided.ipynb) | `strided` | 5 + 5 | more |\n"
    taken = {"core": 40, "deeper": 20, "exercises": 95}
    assert notebooks.with_minutes(text + other, "01_pooling", taken) == text.replace("5 + 5", "40 + 95") + other
    assert notebooks.with_minutes(text, "03_dilated", taken) == text


@pytest.mark.parametrize(
    ("url", "colab"),
    [
        ("https://github.com/OWNER/REPO", "https://colab.research.google.com/github/OWNER/REPO/blob/main/notebooks/"),
        ("https://gitlab.com/group/repo", ""),  # Colab opens nothing but GitHub
        ("file:///books/crack", ""),
        ("", ""),
    ],
)
def test_the_map_opens_chapters_in_colab_where_there_is_an_address(url, colab):
    for text in (README, repository.with_colab(README, "https://github.com/a/b")):
        shown = repository.with_colab(text, url)
        found = re.findall(r" · \[Colab\]\((.*?)(\w+\.ipynb)\)", shown)
        assert found == ([(colab, path.name) for path in notebooks.paths()] if colab else [])
        assert repository.with_colab(shown, url) == shown
    assert repository.with_colab(README, repository.current()) == README


# --- the commands ---------------------------------------------------------------------------------
def test_make_knows_the_targets_of_the_readme():
    """They take minutes, so make only says what it would do."""
    wanted = [shlex.split(line) for line in commands() if line.startswith("make ")]
    assert {"book", "lab", "test"} <= {words[1] for words in wanted}
    for words in wanted:
        answer = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True)
        assert answer.returncode == 0 and answer.stdout, f"{words}: {answer.stderr}"


def test_the_readme_has_no_command_that_nobody_tries():
    rest = [line for line in commands() if not line.startswith("make ")]
    assert rest == [
        "git clone ADDRESS keep-the-crack",
        "cd keep-the-crack",
        ".venv/bin/python -m chapters_code.train unet --out runs/first",
        ".venv/bin/python -m chapters_code.predict PHOTOS --checkpoint runs/first/checkpoint.pt --out answers",
    ]


@pytest.mark.slow
def test_the_readme_s_training_and_its_answers_run(tmp_path):
    (tmp_path / "PHOTOS").mkdir()
    Image.linear_gradient("L").resize((70, 50)).convert("RGB").save(tmp_path / "PHOTOS" / "road.jpg")
    for line in commands():
        if line.startswith(".venv/bin/python"):
            words = [sys.executable, *shlex.split(line)[1:]]
            answer = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
            assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "runs" / "first" / "record.json").is_file()
    assert [path.suffix for path in (tmp_path / "answers").iterdir() if path.stem.startswith("road")]

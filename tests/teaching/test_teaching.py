"""The teaching pages name what there is: figures, exercises, minutes, and the figures that move."""

import json
import re
from pathlib import Path

import pytest
import yaml

from chapters_code import exercises

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = {path.stem: path for path in sorted((ROOT / "book" / "teaching").glob("*.md"))}
INDEX = ROOT / "book" / "teaching.md"
HEADINGS = ("Objectives", "Plans", "On the board", "Misconceptions to listen for", "To discuss")
WORDS = 900


def cells(chapter: Path) -> list[dict]:
    return json.loads(chapter.read_text(encoding="utf-8"))["cells"]


def moving_figures(chapter: Path) -> list[str]:
    """The numbers of a chapter's figures that move: the captions that follow them, and that every reader sees."""
    found, waiting = [], False
    for cell in cells(chapter):
        shown = [part for output in cell.get("outputs", ()) for part in output.get("data", {}).get("text/html", "")]
        waiting = waiting or "data-figure" in "".join(shown)
        caption = re.match(r"\*\*Figure (\d+\.\d+)\.\*\*", "".join(cell["source"]))
        if waiting and caption:
            found, waiting = [*found, caption[1]], False
    return found


def numbers_after(word: str, text: str) -> set[str]:
    """All numbers in "Figure 1.3", "Figures 1.1 and 1.2", "Exercises 2.1, 2.2 and 2.3"."""
    lists = re.findall(rf"\b{word}s? (\d+\.\d+(?:(?:, | and | to )\d+\.\d+)*)", text)
    return {number for one in lists for number in re.findall(r"\d+\.\d+", one)}


def section(text: str, heading: str) -> str:
    """What stands below a heading that begins so, up to the next of its rank."""
    return re.search(rf"^## {heading}.*?$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def test_every_chapter_has_a_page_and_the_contents_name_them_all():
    assert list(PAGES) == [chapter.stem for chapter in CHAPTERS]
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    files = [one for part in parts for one in part["chapters"]]
    assert {"file": "book/teaching", "sections": [{"glob": "book/teaching/*"}]} in files


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_page_has_its_parts_in_order_and_is_short(chapter):
    text = PAGES[chapter.stem].read_text(encoding="utf-8")
    title = re.match(r"# Teaching (\d\d) · ", text)
    assert title and title[1] == chapter.stem[:2]
    assert text.count(f"```{{takes}} {chapter.stem}\n") == 1, "needs and minutes come from the chapter itself"
    places = [text.find(f"\n## {heading}\n") for heading in HEADINGS]
    assert -1 not in places and places == sorted(places)
    assert len(text.split()) <= WORDS
    for bullet in re.findall(r"^\* .*$", section(text, "Objectives"), re.MULTILINE):
        assert bullet.startswith("* **"), f"an objective begins with what students can be seen to do: {bullet}"
    assert 5 <= len(re.findall(r"^\* \*\*“", section(text, "Misconceptions"), re.MULTILINE)) <= 9
    questions = re.findall(r"^\* .*?(?=^\* |\Z)", section(text, "To discuss"), re.MULTILINE | re.DOTALL)
    assert len(questions) >= 4 and all(re.match(r"\* .*[?.]\* \S", one, re.DOTALL) for one in questions)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_the_minutes_of_a_plan_add_up(chapter):
    plans = section(PAGES[chapter.stem].read_text(encoding="utf-8"), "Plans")
    for length in (45, 90):
        plan = re.search(rf"^### {length} minutes\n(.*?)(?=^### |\Z)", plans, re.MULTILINE | re.DOTALL)[1]
        minutes = [int(one) for one in re.findall(r"^\| (\d+) \|", plan, re.MULTILINE)]
        assert sum(minutes) == length and min(minutes) >= 3, minutes


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_figures_and_exercises_and_sections_exist(chapter):
    text = PAGES[chapter.stem].read_text(encoding="utf-8")
    told = "\n".join("".join(cell["source"]) for cell in cells(chapter) if cell["cell_type"] == "markdown")
    assert numbers_after("Figure", text) <= set(re.findall(r"^\*\*Figure (\d+\.\d+)\.\*\*", told, re.MULTILINE))
    assert numbers_after("Exercise", text) <= set(exercises.numbers())
    mistakes = set(re.findall(r"[(, ](\d+\.\d+)[,)]", section(text, "Misconceptions").replace("mIoU", "")))
    own = {number for number in mistakes if number.split(".")[0] == str(int(chapter.stem[:2]))}
    assert own and own <= set(exercises.numbers())
    headings = set(re.findall(r"^##+ (.*)$", told, re.MULTILINE))
    for place in re.findall(r"\| \*([^*|]+)\* \|", section(text, "Plans")):
        assert any(heading.startswith(place) for heading in headings), place


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_questions_come_before_every_figure_that_moves(chapter):
    text, moving = PAGES[chapter.stem].read_text(encoding="utf-8"), moving_figures(chapter)
    asked = section(text, "Questions before the pictures" if not moving else "Before the figure")
    assert re.findall(r"^\*\*Figure (\d+\.\d+)\.\*\*", asked, re.MULTILINE) == moving
    assert asked.count("**After:**") >= max(1, len(moving))


def test_what_a_chapter_needs_and_takes_comes_from_its_head(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import teaching

    for chapter in CHAPTERS:
        head = "".join(cells(chapter)[0]["source"])
        said = teaching.head_of(chapter.stem)
        minutes = re.search(r"\*\*Takes\*\* about \d+ minutes[^;]*; the exercises about \d+\.", head)
        assert minutes[0] in said and "**Needs**" in said
        for target in re.findall(r"\]\(([^)#]+)", said):
            assert (ROOT / "book" / "teaching" / target).resolve().exists(), target
    with pytest.raises(ValueError, match="there is no chapter '99_none'; write {takes} and the name of a notebook"):
        teaching.head_of("99_none")


def test_the_index_names_commands_chapters_and_exercises_that_exist():
    text = INDEX.read_text(encoding="utf-8")
    assert len(re.findall(r"^\d+\. ", section(text, "Set the book on Monday"), re.MULTILINE)) == 10
    assert set(re.findall(r"Exercise (\d+\.\d+)", text)) <= set(exercises.numbers())
    for tool in re.findall(r"python (tools/\w+\.py)", text):
        assert (ROOT / tool).exists()
    for licence in ("LICENSE", "LICENSE-TEXT", "requirements.txt"):
        assert licence in text and (ROOT / licence).exists()
    wanted = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    assert f"torch older than {wanted}?" in text

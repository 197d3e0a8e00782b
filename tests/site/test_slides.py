"""The slides: what is taken from a chapter, and whether the last row can read it."""

import base64
import io
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import slides

ROOT = Path(__file__).parents[2]
# A chapter with pictures, a figure that moves, and questions.
CHAPTER = ROOT / "notebooks" / "01_pooling.ipynb"


# --- what is taken ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("paragraph", "wanted"),
    [
        ("One. Two! Is it 2.5? Yes.", ["One.", "Two!", "Is it 2.5?", "Yes."]),
        ("Call `x.a. B()`, $a. B$. Then **it. Stays**.", ["Call `x.a. B()`, $a. B$.", "Then **it. Stays**."]),
        ('He said: "It is." (So it was.) And on', ['He said: "It is."', "(So it was.)", "And on"]),
        ("**A claim.** With its reason. More.", ["**A claim.** With its reason.", "More."]),
        ("", []),
    ],
)
def test_a_paragraph_is_cut_into_sentences(paragraph, wanted):
    assert slides.sentences(paragraph) == wanted


def test_sentences_with_bold_type_are_taken_and_one_that_leans_brings_the_one_before():
    text = "First. Cut it. This is **pooling**. It has a **stride**.\n\nNo word.\n\n* One.\n* A **window** is small."

    assert slides.key_sentences(text) == ["Cut it. This is **pooling**. It has a **stride**.", "A **window** is small."]


def test_words_are_without_what_a_slide_has_no_use_for():
    text = (
        "A [link](../book/a.md#b), 3\n× 3 ([Deeper](#deeper-x)).\n<details><summary>No</summary>\n\nNo\n</details>\n"
        "```python\nno = 1\n```\n| no | no |\n:::{tip}\n:class: no\n$$no$$\n[there](https://example.org)"
    )

    assert slides.paragraphs(text) == ["A link, 3\u00a0×\u00a03.", "[there](https://example.org)"]


@pytest.mark.parametrize(("room", "parts"), [(100, [7]), (20, [4, 3]), (6, [2, 2, 2, 1]), (2, [1] * 7)])
def test_words_are_dealt_out_in_their_order(room, parts):
    texts = [f"one two {number}" for number in range(7)]
    dealt = list(slides.chunks(texts, room))

    assert [len(part) for part in dealt] == parts
    assert [text for part in dealt for text in part] == texts


def picture(width, height):
    """An output with a PNG of this size."""
    stored = io.BytesIO()
    Image.new("L", (width, height)).save(stored, "png")
    return new_output("display_data", {"image/png": base64.b64encode(stored.getvalue()).decode()})


def printed(lines):
    """An output of so many lines."""
    return new_output("stream", name="stdout", text="1\n" * lines)


def markdown(text):
    """An output in Markdown."""
    return new_output("display_data", {"text/markdown": text})


@pytest.mark.parametrize(
    ("kind", "lines", "output", "tags"),
    [
        ("figure", 40, picture(100, 50), ["hide-input"]),
        ("tall figure", 40, picture(100, 61), []),
        ("", 1, picture(100, 50), ["remove-cell"]),
        ("moving", 1, new_output("display_data", {"text/html": "<div data-figure='x'></div>"}), []),
        ("table", 30, markdown("| a |\n| --- |\n| 1 |"), []),
        ("", 1, markdown("| a |\n| --- |\n" + "| 1 |\n" * 10), []),
        ("", 1, markdown("| " + "word " * 121 + "|\n| --- |"), []),
        ("listing", 1, markdown("```python\n" + "x\n" * 12 + "```"), []),
        ("", 1, markdown("```python\n" + "x\n" * 13 + "```"), []),
        ("code", 12, printed(3), []),
        ("", 13, printed(1), []),
        ("", 12, printed(4), []),
        ("", 2, printed(0), []),
        ("", 2, printed(1), ["hide-input"]),
    ],
)
def test_a_cell_is_shown_if_it_can_be_read(kind, lines, output, tags):
    cell = new_code_cell("x = 1\n" * lines, outputs=[output], metadata={"tags": tags})

    assert slides.kind_of(cell) == kind


def deck(tmp_path, *cells):
    """The texts of the slides of a small chapter, without notes; code is written as [code]."""
    head = new_markdown_cell("# 09 · A chapter\n\n**Afterwards you can** read.\n\n**Takes** an hour.")
    path = tmp_path / "09_none.ipynb"
    slides.nbformat.write(new_notebook(cells=[head, *cells]), path)
    found = []
    for cell in slides.slides(path).cells:
        kind = cell.metadata.slideshow.slide_type
        if kind == "slide":
            found.append([])
        if kind != "notes":
            found[-1].append(cell.source if cell.cell_type == "markdown" else f"[{cell.source}]")
    return [" ".join(" ".join(slide).split()) for slide in found]


def test_a_deck_has_a_title_sections_exercises_and_what_to_remember(tmp_path):
    """Deeper sections are left out."""
    found = deck(
        tmp_path,
        new_markdown_cell("## First\n\nWhat it is. More. A **word** is said.\n\n$$x$$\n\nMore words."),
        new_code_cell("long\n" * 20, outputs=[printed(1)]),
        new_code_cell("print(1)", outputs=[printed(1)]),
        new_markdown_cell("It **follows**.\n\n## Deeper: not here\n\nNo **word**."),
        new_markdown_cell("## Exercises\n\nWrite.\n\n### Exercise 9.1 ★ One\n\nDo."),
        new_markdown_cell("## What to remember\n\n* This.\n* That.\n\n**Next:** more."),
    )

    assert found == [
        "# 09 · A chapter **Afterwards you can** read.",
        "## First What it is. $$x$$ * A **word** is said.",
        "### First [print(1)] * It **follows**.",
        "## Exercises * 9.1 ★ One",
        "## What to remember * This. * That.",
    ]


def test_a_figure_has_its_caption_and_a_section_without_one_its_code(tmp_path):
    found = deck(
        tmp_path,
        new_markdown_cell("## Look\n\nSee this."),
        new_code_cell("draw()", outputs=[picture(100, 50)]),
        new_markdown_cell("**Figure 9.1.** What to see. (Not this.)\n\nAfter it."),
        new_code_cell("print(1)", outputs=[printed(1)]),
    )

    assert found[1:] == ["## Look See this. [draw()] **Figure 9.1.** What to see."]


def test_tags_put_a_cell_on_a_slide_and_take_one_away(tmp_path):
    found = deck(
        tmp_path,
        new_markdown_cell("## Look\n\nSee this."),
        new_code_cell("draw()", outputs=[picture(100, 50)], metadata={"tags": ["skip"]}),
        new_markdown_cell("## Deeper: far"),
        new_code_cell("deep()", outputs=[printed(9)], metadata={"tags": ["slide"]}),
        new_markdown_cell("As *it* stands.", metadata={"tags": ["slide"]}),
    )

    assert found[1:] == ["## Look See this.", "## Deeper: far [deep()]", "As *it* stands."]


# --- one deck, in a browser -------------------------------------------------------------------------
@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The deck of one chapter, with the files that all share."""
    out = tmp_path_factory.mktemp("slides")
    slides.copy_files(out)
    return slides.write(CHAPTER, out)


@pytest.fixture
def page(lend_page, made):
    """The deck, opened from the disk; it may ask for nothing else, and nothing may go wrong."""
    page, wrong = lend_page(viewport={"width": 1280, "height": 720}), []
    listeners = {
        "request": lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url),
        "requestfailed": lambda request: wrong.append(request.url),
        "pageerror": lambda error: wrong.append(str(error)),
        "console": lambda message: message.type == "error" and wrong.append(message.text),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto(made.as_uri())
    page.wait_for_function("window.deck?.isReady()")
    yield page
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    assert not wrong


# What a reader in the last row needs to know of each slide: the smallest letters, and where the words end.
LOOK = """async () => {
  const found = [];
  for (let i = 0; i < deck.getTotalSlides(); i += 1) {
    deck.slide(i, 0, Infinity);
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const slide = deck.getCurrentSlide();
    const words = [...slide.querySelectorAll("p, li, td, th, pre, h2, h3")].filter((one) =>
      one.checkVisibility() && !one.closest("aside, .moving"));
    const boxes = [...words, ...slide.querySelectorAll(":scope img")].map((one) => one.getBoundingClientRect());
    found.push({
      says: slide.innerText.slice(0, 80),
      letters: Math.min(...words.map((one) => parseFloat(getComputedStyle(one).fontSize))),
      right: Math.max(...boxes.map((box) => box.right)),
      bottom: Math.max(...boxes.map((box) => box.bottom)),
      lines: Math.max(0, ...[...slide.querySelectorAll(".highlight")].map((one) =>
        one.innerText.trim().split("\\n").length)),
      raw: words.some((one) => /\\$|\\*\\*|\\]\\(/.test(one.matches("pre") ? "" : one.innerText)),
      pictures: [...slide.querySelectorAll("img")].map((one) => one.alt.length),
    });
  }
  return found;
}"""


@pytest.mark.browser
@pytest.mark.slow
def test_every_slide_can_be_read_from_the_last_row(page):
    found = page.evaluate(LOOK)

    assert len(found) > 20
    bad = [
        one
        for one in found
        if one["letters"] < 21 or one["right"] > 1240 or one["bottom"] > 690 or one["lines"] > 12 or one["raw"]
    ]
    assert not bad
    alts = [alt for one in found for alt in one["pictures"]]
    assert len(alts) >= 4 and min(alts) > 20


@pytest.mark.browser
@pytest.mark.slow
def test_a_figure_moves_on_its_slide_and_its_letters_are_not_smaller_than_on_the_page(page):
    number = page.locator(".slides > section").evaluate_all(
        "all => all.findIndex((one) => one.querySelector('[data-figure]'))"
    )
    page.evaluate(f"deck.slide({number})")
    figure = page.locator("section.present section.present [data-figure]")
    step = figure.get_by_text("Step 1 of 12")
    step.wait_for()
    figure.get_by_role("button", name="Next").click()
    figure.get_by_text("Step 2 of 12").wait_for()

    assert float(figure.evaluate("one => getComputedStyle(one).zoom")) >= 1


@pytest.mark.browser
@pytest.mark.slow
def test_arrows_lead_through_the_deck_and_the_speaker_has_notes(page):
    assert page.evaluate("deck.getIndices().h") == 0
    page.keyboard.press("ArrowRight")
    assert page.evaluate("deck.getIndices().h") == 1
    assert "pavement" in page.evaluate("deck.getSlideNotes().toLowerCase()")
    assert page.evaluate("deck.hasPlugin('notes')")

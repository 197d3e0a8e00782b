"""The questions after a chapter, as a reader meets them: with keys, with a finger, without JavaScript."""

import io
import sys
import warnings
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

BOOK = Path(__file__).parents[2] / "book"

TWO = r"""
- ask: "How large is $7 \\div 2$, *rounded down*?"
  choices:
    - says: $4$
      why: This rounds up.
    - says: "`3`"
      right: true
      why: Three windows *fit*.
    - says: 3.5
      why: Half a pixel "there is not".
- ask: |
    What does it print?

    ```python
    print(1)
    ```
  choices:
    - {says: 1, why: It is what stands there., right: true}
    - {says: "`<b>`", why: It is a number & no word.}
    - {says: nothing, why: It prints.}
    - {says: an error, why: It runs.}
"""
CHAPTER = """\
# A chapter

## Quiz

```{quiz} one
```

## What to remember

Words after it.
"""


def build(source: Path, text: str) -> tuple[Path, str]:
    """Build a book of one page in `source`, with our extension, styles and scripts; return the page and what was said.

    Args:
        source: A folder; what is left there of the last build is used.
        text: What stands in the file with the questions.
    """
    quizzes = source / "quizzes"
    quizzes.mkdir(exist_ok=True)
    (quizzes / "one.yml").write_text(text, encoding="utf-8")
    if not (source / "conf.py").exists():
        (source / "index.md").write_text(CHAPTER, encoding="utf-8")
        (source / "conf.py").write_text(
            "extensions = ['myst_parser', 'quizzes', 'uptodate']\n"
            "html_theme, myst_enable_extensions, exclude_patterns = 'basic', ['dollarmath'], ['quizzes']\n"
            f"html_static_path = [{str(BOOK / '_static')!r}]\n"
            "html_css_files, html_js_files = ['book.css', 'quiz.css'], ['book.js', 'quiz.js']\n",
            encoding="utf-8",
        )
    said = io.StringIO()
    sys.path.insert(0, str(BOOK / "_ext"))
    try:
        import quizzes as extension

        with pytest.MonkeyPatch.context() as patch, docutils_namespace(), warnings.catch_warnings():
            patch.setattr(extension, "QUIZZES", quizzes)
            warnings.simplefilter("ignore")  # of Sphinx's own making
            Sphinx(source, source, source / "site", source / "read", "html", status=None, warning=said).build()
    finally:
        sys.path.remove(str(BOOK / "_ext"))
    return source / "site" / "index.html", said.getvalue()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The page with two questions, on the disk."""
    path, said = build(tmp_path_factory.mktemp("quiz"), TWO)
    assert said == ""
    return path.as_uri()


@pytest.fixture
def page(lend_page, address):
    """The page, opened; nothing may go wrong on it."""
    page, wrong = lend_page(viewport={"width": 900, "height": 900}), []

    def listener(error):
        wrong.append(error)

    page.on("pageerror", listener)
    page.goto(address)
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    yield page
    page.remove_listener("pageerror", listener)
    assert not wrong


def verdicts(page) -> list[str | None]:
    """Return what each choice of the page is marked as."""
    return page.locator(".quiz-choices > li").evaluate_all("all => all.map((one) => one.dataset.verdict ?? null)")


def score(page) -> str:
    """Return the line below the questions."""
    return page.locator(".quiz-score > p").inner_text()


@pytest.mark.browser
def test_a_choice_is_judged_at_once_and_why_is_said(page):
    """After a wrong one the reader chooses again; after the right one all are explained, and the choices rest."""
    first, whys = page.locator("fieldset").first, page.locator("fieldset").first.locator(".quiz-why")
    assert verdicts(page) == [None] * 7 and whys.all_inner_texts() == [""] * 3
    assert not page.locator("details.quiz-answers").first.is_visible()

    first.get_by_role("radio").nth(2).click()
    assert whys.all_inner_texts() == ["", "", "Wrong. Half a pixel “there is not”."]
    assert verdicts(page)[:3] == [None, None, "wrong"]
    first.get_by_text("3", exact=True).click()
    assert whys.all_inner_texts()[:2] == ["Wrong. This rounds up.", "Right. Three windows fit."]
    assert verdicts(page) == ["wrong", "right", "wrong", *[None] * 4]
    assert [radio.is_disabled() for radio in first.get_by_role("radio").all()] == [True, False, True]
    assert score(page) == "0 of 2 right at the first choice, 1 to go."

    page.get_by_role("radio", name="1", exact=True).click()
    assert score(page) == "1 of 2 right at the first choice."


@pytest.mark.browser
def test_keys_are_enough(page):
    """Arrows walk past a choice without taking it; Enter or Space takes it; the focus is seen."""
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.type") != "radio":
        page.keyboard.press("Tab")
    assert page.locator("label:has(:focus)").evaluate("one => getComputedStyle(one).outlineWidth") == "2px"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert verdicts(page) == [None] * 7
    page.keyboard.press("Enter")
    assert verdicts(page)[:3] == [None, None, "wrong"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    assert verdicts(page)[:3] == ["wrong", "right", "wrong"]

    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert verdicts(page)[3:] == ["right", "wrong", "wrong", "wrong"]
    assert score(page) == "1 of 2 right at the first choice."
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Try again"


@pytest.mark.browser
def test_try_again_makes_all_as_it_was(page):
    before = page.locator(".quiz").inner_html()
    again = page.get_by_role("button", name="Try again")
    assert again.is_disabled()
    for _ in range(2):
        for i in (0, 1, 5, 3):  # a wrong choice and the right one, twice
            page.locator("label").nth(i).click()
        assert score(page) == "0 of 2 right at the first choice."
        again.click()
        assert page.locator(".quiz").inner_html() == before
        assert page.locator("input:checked").count() == 0
        assert page.evaluate("document.activeElement === document.querySelector('input')")


@pytest.mark.browser
def test_a_screen_reader_is_told_the_verdict(page):
    """The places are there before their words are; each question has a name and its choices have theirs."""
    live = page.locator("[aria-live=polite]")
    assert live.count() == 7 + 1
    names = page.get_by_role("group").evaluate_all("all => all.map((one) => one.querySelector('legend').innerText)")
    assert len(names) == 2 and names[1] == "What does it print?"
    assert page.get_by_role("radio").count() == 7
    page.locator("label").nth(1).click()
    assert live.nth(1).inner_text() == "Right. Three windows fit."


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_telephone(page, theme):
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    page.evaluate("document.body.style.background = 'var(--paper)'; document.body.style.color = 'var(--ink)'; 0")
    for which in (0, 1):  # before a choice, after a wrong one and the right one
        found = Axe().run(page, ".quiz", {"resultTypes": ["violations"], "preload": False}).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        if which == 0:
            page.locator("label").nth(0).click()
            page.locator("label").nth(1).click()
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.locator(".quiz").evaluate("one => one.scrollWidth - one.clientWidth") == 0
    assert min(one.bounding_box()["height"] for one in page.locator("label").all()) >= 32


@pytest.mark.browser
def test_without_javascript_the_answers_are_in_folds(lend_page, address):
    page = lend_page(java_script_enabled=False)
    page.goto(address)
    folds = page.locator("details.quiz-answers")

    assert folds.count() == 2 and page.locator(".quiz-score, .quiz-why").count() == 0
    assert not folds.first.locator("ol").is_visible()
    folds.first.locator("summary").click()
    said = [" ".join(text.split()) for text in folds.first.locator("li").all_inner_texts()]
    assert said == ["Wrong. This rounds up.", "Right. Three windows fit.", "Wrong. Half a pixel “there is not”."]
    assert [page.locator("fieldset").nth(i).get_by_role("radio").count() for i in (0, 1)] == [3, 4]
    assert page.locator("label").nth(4).inner_text().strip().endswith("<b>")


def test_texts_are_markdown_with_formulas(address):
    """And no element has a handler of its own."""
    html = Path(address.removeprefix("file://")).read_text(encoding="utf-8")

    assert r'<span class="math notranslate nohighlight">\(7 \div 2\)</span>, <em>rounded down</em>?' in html
    assert "<code" in html.partition("This rounds up")[0].partition("<legend>")[2]
    assert 'class="highlight"' in html
    assert " onclick=" not in html and " onchange=" not in html


@pytest.mark.parametrize(
    ("text", "words"),
    [("- ask: a: b", "one.yml is no YAML"), ("- ask: a", "question 1: `choices` must be a list")],
)
def test_a_file_with_a_fault_is_a_warning_of_the_page(tmp_path, text, words):
    _, said = build(tmp_path, text)
    assert "index.md" in said and words in said


def test_a_changed_question_is_on_the_page_after_the_next_build(tmp_path):
    assert "It prints." in build(tmp_path, TWO)[0].read_text(encoding="utf-8")
    page, said = build(tmp_path, TWO.replace("It prints.", "It does print."))

    assert "It does print." in page.read_text(encoding="utf-8") and said == ""

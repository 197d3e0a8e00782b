"""The questions after each chapter, on the page that readers test themselves on.

    book/quizzes/01_pooling.yml   ->  a section `## Quiz` in notebooks/01_pooling, before `## What to remember`
    the directive {quiz} NAME     ->  the questions of that file, as plain HTML

Without JavaScript, the answers are folded below each question; book/_static/quiz.js makes the page judge each choice.
book/quizzes/README.md says how questions are written.  A file that is written in another way is a warning, and the
book is built with warnings as errors.  Notebooks are changed in memory, after Sphinx has read them.
"""

import re
from pathlib import Path

import nbformat
import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.locale import get_translation
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

_ = get_translation("site")
logger = logging.getLogger(__name__)

QUIZZES = Path(__file__).parents[1] / "quizzes"

BEFORE = re.compile(r"^## What to remember", re.MULTILINE)
SECTION = """\
## {title}

{words}

```{{quiz}} {name}
```
"""
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")

CHOICES = (3, 4)
KEYS = {"question": {"ask", "computed", "choices"}, "choice": {"says", "why", "value", "right"}}


def read(path: Path) -> list[dict]:
    """Read the questions of a chapter.

    Args:
        path: A YAML file.

    Returns:
        One dict for each question, with `ask`, `choices` and perhaps `computed`.

    Raises:
        ValueError: The file is no YAML, or its questions are not as book/quizzes/README.md says; the message names
            every fault.
    """
    try:
        questions = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is no YAML (is a text with `: ` or `#` in quotes?): {error}") from None
    if not isinstance(questions, list) or not questions:
        raise ValueError(f"{path.name} must be a list of questions, each of which begins with `- ask:`")
    found = [f"question {i}: {fault}" for i, one in enumerate(questions, start=1) for fault in faults(one)]
    if found:
        raise ValueError(f"{path.name} is not written as book/quizzes/README.md says; " + "; ".join(found))
    return questions


def faults(question: object) -> list[str]:
    """Say what is wrong with the form of one question."""
    if not isinstance(question, dict):
        return [f"it must have `ask` and `choices`, got {question!r}"]
    found = unknown("question", question)
    found += [fault for key in ("ask", "computed") if key in question for fault in no_text(key, question[key])]
    if "ask" not in question:
        found.append("it lacks `ask`")
    choices = question.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        return [*found, f"`choices` must be a list, each with `says` and `why`, got {choices!r}"]
    if len(choices) not in CHOICES:
        found.append(f"it has {len(choices)} choices and must have {' or '.join(map(str, CHOICES))}")
    for number, choice in enumerate(choices, start=1):
        of_choice = unknown("choice", choice)
        of_choice += [f"it lacks `{key}`" for key in ("says", "why") if key not in choice]
        of_choice += [fault for key in ("says", "why") if key in choice for fault in no_text(key, choice[key])]
        if choice.get("right", True) is not True:
            of_choice.append(f"`right` is true or is left out, got {choice['right']!r}")
        found += [f"choice {number}: {fault}" for fault in of_choice]
    right = sum("right" in choice for choice in choices)
    if right != 1:
        found.append(f"{right} choices have `right: true`, and one must")
    said = [str(choice.get("says")).strip() for choice in choices]
    if len(set(said)) < len(said):
        found.append("two choices say the same")
    return found


def unknown(kind: str, given: dict) -> list[str]:
    """Name the keys that a question or a choice must not have."""
    return [f"a {kind} has no `{key}`; it has {', '.join(sorted(KEYS[kind]))}" for key in given.keys() - KEYS[kind]]


def no_text(key: str, given: object) -> list[str]:
    """Say so if a value is no text; a number is one."""
    if isinstance(given, str) and given.strip() or isinstance(given, int | float) and not isinstance(given, bool):
        return []
    return [f"`{key}` must be a text, got {given!r}; put it in quotes"]


def add_section(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the section with the questions into a chapter that has some.

    Args:
        app: The running build.
        docname: Page name without its suffix, such as `notebooks/01_pooling`.
        source: A list of one string, the file's text; changed in place, as Sphinx wants it.
    """
    path = quiz_of(docname)
    if not app.env.doc2path(docname).endswith(".ipynb") or not path.is_file():
        return
    app.env.note_dependency(path)
    try:
        count = len(read(path))
    except ValueError as error:
        logger.warning("%s", error, location=docname)
        return
    notebook = nbformat.reads(source[0], as_version=4)
    said = _("{count} questions, to see what has stayed. For each choice that is wrong, the page has the reason.")
    words = said.format(count=str(_(NUMBERS[count])) if count < len(NUMBERS) else count)
    notebook.cells = with_section(notebook.cells, SECTION.format(name=path.stem, title=_("Quiz"), words=words))
    source[0] = nbformat.writes(notebook)


def quiz_of(docname: str) -> Path:
    """Return the file in which the questions of a page would be."""
    return QUIZZES / f"{docname.rpartition('/')[2]}.yml"


def with_section(cells: list[nbformat.NotebookNode], section: str) -> list[nbformat.NotebookNode]:
    """Return the cells of a chapter with a section before `## What to remember`, or at the end if that is not there."""
    quiz = nbformat.v4.new_markdown_cell(section)
    for i, cell in enumerate(cells):
        place = BEFORE.search(cell.source) if cell.cell_type == "markdown" else None
        if place:
            parts = (cell.source[: place.start()].strip(), cell.source[place.start() :])
            before, after = (nbformat.from_dict({**cell, "source": part}) for part in parts)
            return [*cells[:i], *([before] if before.source else []), quiz, after, *cells[i + 1 :]]
    return [*cells, quiz]


class QuizDirective(SphinxDirective):
    """Put the questions of a file in book/quizzes on a page; the file's name without its suffix is the argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = QUIZZES / f"{self.arguments[0]}.yml"
        self.env.note_dependency(path)
        try:
            questions = read(path)
        except (OSError, ValueError) as error:
            raise self.error(f"quiz: {error}") from None
        asked = [node for i, one in enumerate(questions, start=1) for node in self.question(i, one)]
        return tagged('div class="quiz"', *asked)

    def question(self, number: int, question: dict) -> list[nodes.Node]:
        """Return one question: what it asks, the choices, and the answers in a fold."""
        # Browsers would keep the choice of the last visit, without its verdict.
        radio = nodes.raw("", f'<input type="radio" name="quiz-{number}" autocomplete="off">', format="html")
        choices, answers = [], []
        for choice in question["choices"]:
            choices += tagged("li", *tagged("label", radio.deepcopy(), *in_line(self.parsed(choice["says"]))))
            kind, verdict = ("right", _("Right.")) if "right" in choice else ("wrong", _("Wrong."))
            why = in_line(self.parsed(choice["why"]))
            answers += tagged(f'li class="{kind}"', nodes.strong("", str(verdict)), nodes.Text(" "), *why)
        ask, *more = self.parsed(question["ask"])
        return tagged(
            "fieldset",
            *tagged("legend", *in_line([ask])),
            *more,
            *tagged('ol class="quiz-choices"', *choices),
            *tagged(
                'details class="quiz-answers"',
                *tagged("summary", nodes.inline("", _("Answer {number}").format(number=number))),
                *tagged('ol type="A"', *answers),
            ),
        )

    def parsed(self, text: str | float) -> list[nodes.Node]:
        """Return the blocks that a text has as Markdown."""
        parent = nodes.Element()
        lines = StringList(str(text).strip().splitlines(), self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset, parent)
        return parent.children


def in_line(blocks: list[nodes.Node]) -> list[nodes.Node]:
    """Return what is in a lone paragraph, within a line; other blocks as they are."""
    if len(blocks) == 1 and isinstance(blocks[0], nodes.paragraph):
        return [nodes.inline("", "", *blocks[0].children)]
    return blocks


def tagged(tag: str, *content: nodes.Node) -> list[nodes.Node]:
    """Return nodes between the two ends of an element of HTML; `tag` is its name, with what else its beginning has."""
    begin, end = (nodes.raw("", text, format="html") for text in (f"<{tag}>", f"</{tag.split()[0]}>"))
    return [begin, *content, end]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it to Sphinx."""
    app.connect("source-read", add_section)
    app.add_directive("quiz", QuizDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

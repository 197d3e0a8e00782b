"""What Keep the Crack adds to Jupyter Book while the site is built; no file of the book is changed by it.

    exercise        ->  below its heading a line that says its kind, with a place for the mark "done" (book.js)
    exercise cell   ->  its hints and its solution, each folded, in a new cell right below it; in the class edition,
                        which has no solutions, the hints alone, and a line in the footer of each page
    figure          ->  the alt text that Python stored beside it, on the page's <img>
    `hide-cell`     ->  folded, and called what it is: the imports
    `{runs} NAME`   ->  the scores of recorded training runs, and what they were run on
    `{progress}`    ->  how many exercises the reader has marked as done (book.js)

Notebooks are changed in memory, after Sphinx has read them.  The file that a reader downloads is the one in
the repository, without solutions.

A solution or a description that is missing is a warning, and the book is built with warnings as errors.
"""

import hashlib
import re
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.locale import get_translation
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

_ = get_translation("site")
logger = logging.getLogger(__name__)

EXERCISES = Path(__file__).parents[2] / "chapters_code" / "exercises"
DRAWN = re.compile(r'(<span class="drawn" style=[^>]*>\s*(?:<a [^>]*>\s*)?)(<img [^>]*>)')
EXERCISE = re.compile(r"Exercise (\d+\.\d+)\b")
KIND = re.compile(r"[A-Z][a-z]+, \d+ minutes\.")
CHECK_CALL = re.compile(r"""\bcheck\(\s*["']([\w.]+)["']""")

# `{dropdown}` becomes <details>, which opens without JavaScript.  Long fences, as a solution may hold one.
SOLUTION = """\
::::::{{dropdown}} {title}
:class-container: solution
:name: solution-{anchor}

{note}

`````python
{source}
`````
::::::
"""

# For an exercise that asks for words.
GOOD_ANSWER = """\
::::::{{dropdown}} {title}
:class-container: solution
:name: solution-{anchor}

{note}

{says}

{points}
::::::
"""

# Plain HTML: there are some hundreds of them.  Blank lines, so that Markdown is read inside.
HINT = """\
<details class="hint"><summary>{title}</summary>

{text}

</details>
"""


def prepare_notebook(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put solutions below exercises, and alt texts where `describe_figures` finds them.

    Args:
        app: The running build.
        docname: Page name without its suffix, such as `notebooks/01_pooling`.
        source: A list of one string, the file's text; changed in place, as Sphinx wants it.
    """
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook = nbformat.reads(source[0], as_version=4)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code":
            cell.metadata["figure_alts"] = figure_alts(cell)
            cell.metadata["figure_panels"] = figure_panels(cell)
        if "hide-cell" in cell.metadata.get("tags", []):
            # What is written on its fold.
            cell.metadata["mystnb"] = dict.fromkeys(
                ("code_prompt_show", "code_prompt_hide"), str(_("Imports and versions"))
            )
        if "exercise" in cell.metadata.get("tags", []):
            cells.extend(solution_cells(cell, docname, app.env.solutions))
    notebook.cells = cells
    source[0] = nbformat.writes(notebook)

    for path in EXERCISES.rglob("*.py"):
        app.env.note_dependency(path)


def find_solutions(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Read the solutions of all exercises, when one has changed since the last build.

    They are kept with the pages, since importing the exercises, and PyTorch with them, takes longer than a page.
    """
    texts = [path.read_bytes() for path in sorted(EXERCISES.rglob("*.py"))]
    digest = hashlib.sha256(b"".join(texts)).hexdigest()
    if getattr(env, "solutions", {}).get("digest") == digest:
        return
    from chapters_code import exercises

    env.solutions = {"digest": digest}
    for number in exercises.numbers():
        try:
            solution = ""
            if exercises.edition() == "open":
                solution = solution_of(number)
            env.solutions[number] = exercises.hints(number), solution
        except ValueError as error:
            logger.warning("exercise %s has no solution: %s", number, error)


def solution_of(number: str) -> str:
    """Return the fold of an exercise's solution, in Markdown."""
    from chapters_code import exercises

    anchor, note = number.replace(".", "-"), exercises.solution_note(number).strip()
    if exercises.kind(number) == "explain":
        points = "\n".join(f"* {as_markdown(point)}" for point in exercises.rubric(number))
        title, says = _("A good answer"), _("What a good answer says:")
        return GOOD_ANSWER.format(anchor=anchor, note=note, points=points, title=title, says=says)
    title, source = _("Solution {number}").format(number=number), exercises.solution_source(number).strip()
    return SOLUTION.format(title=title, anchor=anchor, note=note, source=source)


def say_which_edition(app: Sphinx, config: Config) -> None:
    """Let the footer of each page say the version, and that this is the class edition, if it is."""
    from chapters_code import __version__

    version = _("Version {number}").format(number=__version__)
    footer = f"<p>{version}</p>"
    if not (EXERCISES / "solutions" / "__init__.py").is_file():
        line = _("Class edition: your teacher has the solutions.")
        footer += f'<p class="class-edition">{line}</p>'
    config.html_theme_options["extra_footer"] = footer


def figure_alts(cell: nbformat.NotebookNode) -> list[str]:
    """Return the alt text of each PNG that a code cell shows, in order; an empty text where there is none."""
    return [told.get("alt", "") for told in _told_of_figures(cell)]


def figure_panels(cell: nbformat.NotebookNode) -> list[list | None]:
    """Return for each PNG that a code cell shows the boxes that keep their colours; None if it was not drawn by us."""
    return [told.get("panels") for told in _told_of_figures(cell)]


def _told_of_figures(cell: nbformat.NotebookNode) -> list[dict]:
    """Return what Python stored beside each PNG that a code cell shows, in order."""
    return [
        output.get("metadata", {}).get("image/png", {})
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def solution_cells(
    cell: nbformat.NotebookNode, docname: str, solutions: dict[str, tuple[tuple[str, ...], str]]
) -> list[nbformat.NotebookNode]:
    """Return one Markdown cell with folded hints and solution for each `check("1.1", ...)` in an exercise cell.

    Args:
        cell: The exercise.
        docname: The page that it is on, for warnings.
        solutions: Number -> hints, and the fold of the solution, as `find_solutions` leaves them.
    """
    numbers = CHECK_CALL.findall(cell.source)
    if not numbers:
        logger.warning('an exercise cell has no check("number", ...) call', location=docname)
    cells = []
    for number in numbers:
        if number not in solutions:
            logger.warning("exercise %s has no solution in %s", number, EXERCISES / "solutions", location=docname)
            continue
        hints, solution = solutions[number]
        title = _("Hint {place} of {count}")
        texts = [
            HINT.format(title=title.format(place=place, count=len(hints)), text=as_markdown(hint))
            for place, hint in enumerate(hints, start=1)
        ]
        cells.append(nbformat.v4.new_markdown_cell("\n".join([*texts, solution])))
    return cells


def as_markdown(text: str) -> str:
    """Return Markdown that shows a text as it would be printed, but for `code`, which is shown as such."""
    parts = re.split("(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([!-/:-@[-^`{-~])", r"\\\1", part) for part in parts)


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give notebook figures their alt text and what a dark page needs, and warn about every picture without alt."""
    for cell in doctree.findall(lambda node: "cell_metadata" in getattr(node, "attributes", ())):
        # One output may hold several formats of one figure; the alt text belongs to its PNG.  A cell whose
        # outputs are hidden has alt texts and no PNG, hence not strict.
        pngs = [node for node in cell.findall(nodes.container) if node.get("mime_type") == "image/png"]
        told = cell["cell_metadata"]
        for png, alt, panels in zip(pngs, told.get("figure_alts", []), told.get("figure_panels", []), strict=False):
            for image in list(png.findall(nodes.image)):
                image["alt"] = alt
                if panels is not None:
                    prepare_for_the_dark(image, panels)

    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            # Left alone, Sphinx would read the file's name to a blind reader.
            logger.warning(
                "a picture has no alt text: give a notebook's figure one in the output's metadata, "
                "and a page's picture one as ![alt text](file)",
                location=image,
            )


def prepare_for_the_dark(image: nodes.image, panels: list[list[float]]) -> None:
    """Put a drawn figure into an element that says which of its boxes keep their colours on a dark page.

    Args:
        image: The figure, on its page.
        panels: Boxes (left, top, width, height) in percent of it.
    """
    # One line around all boxes: from a corner of the figure to each of them, around it, and back.
    corners = [(0, 0)]
    for left, top, width, height in panels:
        right, bottom = round(left + width, 2), round(top + height, 2)
        corners += [(left, top), (right, top), (right, bottom), (left, bottom), (left, top), (0, 0)]
    line = ", ".join(f"{x}% {y}%" for x, y in corners)
    style = f' style="--panels: polygon({line})"' if panels else ""
    begin, end = (nodes.raw("", text, format="html") for text in (f'<span class="drawn"{style}>', "</span>"))
    image.replace_self([begin, image.deepcopy(), end])


def repeat_drawn(app: Sphinx, name: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Put a second copy above each drawn figure with photographs in it: book.css shows these alone, on a dark page."""
    context["body"] = DRAWN.sub(with_panels, context.get("body", ""))


def with_panels(drawn: re.Match) -> str:
    """Return the beginning of a drawn figure, its picture once more behind the first, silent for screen readers."""
    above = re.sub('alt="[^"]*"', 'alt="" class="panels"', drawn[2])
    return drawn[1] + drawn[2] + above


def mark_exercises(app: Sphinx, doctree: nodes.document) -> None:
    """Make the line below the heading of each exercise one that book.js finds; where there is none, an empty one."""
    for section in list(doctree.findall(nodes.section)):
        # What is written, be it translated or not.
        if not (exercise := EXERCISE.match(section[0].rawsource or section[0].astext())):
            continue
        line = section[1] if len(section) > 1 else None
        is_kind = isinstance(line, nodes.paragraph) and KIND.fullmatch((line.rawsource or line.astext()).strip("*"))
        kind = line.astext() if is_kind else ""
        place = f'<p class="exercise-kind" data-exercise="{exercise[1]}"><span>{kind}</span></p>'
        section[1 : 2 if kind else 1] = [nodes.raw("", place, format="html")]


class ProgressDirective(SphinxDirective):
    """A place where book.js says how many exercises are done; without JavaScript nothing is seen of it."""

    def run(self) -> list[nodes.Node]:
        for path in EXERCISES.glob("*.py"):
            self.env.note_dependency(path)
        # All that is kept of the solutions, under "digest" a number for their text.
        numbers = " ".join(number for number in self.env.solutions if number != "digest")
        place = f'<div class="progress-here" data-exercises="{numbers}" hidden></div>'
        return [nodes.raw("", place, format="html")]


class RunsDirective(SphinxDirective):
    """Put recorded runs on a page, so that no number of theirs is typed.

    The names of the records, as `runs.load` takes them, are its argument; `scores` says which columns the table has.
    Below the table stands a line for each run: the data, the hardware, the time.
    """

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"scores": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        from chapters_code.records import runs

        try:
            records = [runs.load(name) for name in self.arguments[0].split()]
            text = runs.table(records, self.options["scores"].split())
        except (KeyError, OSError, ValueError) as error:
            raise self.error(f"runs: {error}") from None
        for name in self.arguments[0].split():
            self.env.note_dependency(Path(runs.__file__).with_suffix("") / f"{name}.json")
        self.env.note_dependency(runs.__file__)
        lines = [*text.splitlines(), "", *(f"* {runs.conditions(record)}" for record in records)]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.content_offset, node)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it to Sphinx."""
    app.connect("config-inited", say_which_edition)
    app.connect("env-before-read-docs", find_solutions)
    app.connect("source-read", prepare_notebook)
    app.connect("doctree-read", describe_figures)
    app.connect("doctree-read", mark_exercises)
    app.connect("html-page-context", repeat_drawn)
    app.add_directive("progress", ProgressDirective)
    app.add_directive("runs", RunsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

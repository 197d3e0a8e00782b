"""What Keep the Crack adds to Jupyter Book while the site is built; no file of the book is changed by it.

    exercise cell   ->  its solution, folded, in a new cell right below it
    figure          ->  the alt text that Python stored beside it, on the page's <img>
    docstring       ->  its diagrams as they are typed, without what only Python says
    `{runs} NAME`   ->  the scores of recorded training runs, and what they were run on
    mathematics     ->  MathJax from the package sphinx-mathjax-offline, only the files that pages ask for

Notebooks are changed in memory, after Sphinx has read them.  The file that a reader downloads is the one in
the repository, without solutions.

A solution or a description that is missing is a warning, and the book is built with warnings as errors.
"""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from chapters_code import exercises
from chapters_code.records import runs

logger = logging.getLogger(__name__)

CHECK_CALL = re.compile(r"""\bcheck\(\s*["']([\w.]+)["']""")

# The script with every TeX extension inside, and its fonts: 1.7 of the package's 24 MB.
MATHJAX_FILES = ("tex-chtml-full.js", "output/chtml/fonts/woff-v2/*.woff")

# `{dropdown}` becomes <details>, which opens without JavaScript.  Long fences, as a solution may hold one.
SOLUTION = """\
::::::{{dropdown}} Solution {number}
:class-container: solution
:name: solution-{anchor}

{note}

`````python
{source}
`````
::::::
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
        if "exercise" in cell.metadata.get("tags", []):
            cells.extend(solution_cells(cell, docname))
    notebook.cells = cells
    source[0] = nbformat.writes(notebook)

    # A changed solution makes its page out of date, also in a build without --all.
    for path in Path(exercises.__file__).parent.rglob("*.py"):
        app.env.note_dependency(path)


def figure_alts(cell: nbformat.NotebookNode) -> list[str]:
    """Return the alt text of each PNG that a code cell shows, in order; an empty text where there is none."""
    return [
        output.get("metadata", {}).get("image/png", {}).get("alt", "")
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def solution_cells(cell: nbformat.NotebookNode, docname: str) -> list[nbformat.NotebookNode]:
    """Return one Markdown cell with a folded solution for each `check("1.1", ...)` in an exercise cell."""
    numbers = CHECK_CALL.findall(cell.source)
    if not numbers:
        logger.warning('an exercise cell has no check("number", ...) call', location=docname)
    cells = []
    for number in numbers:
        try:
            source, note = exercises.solution_source(number), exercises.solution_note(number)
        except (AttributeError, LookupError, ValueError) as error:
            logger.warning("exercise %s has no solution: %s", number, error, location=docname)
            continue
        text = SOLUTION.format(number=number, anchor=number.replace(".", "-"), note=note.strip(), source=source.strip())
        cells.append(nbformat.v4.new_markdown_cell(text))
    return cells


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give notebook figures their alt text, and warn about every picture that has none."""
    for cell in doctree.findall(lambda node: "cell_metadata" in getattr(node, "attributes", ())):
        # One output may hold several formats of one figure; the alt text belongs to its PNG.  A cell whose
        # outputs are hidden has alt texts and no PNG, hence not strict.
        pngs = [node for node in cell.findall(nodes.container) if node.get("mime_type") == "image/png"]
        for png, alt in zip(pngs, cell["cell_metadata"].get("figure_alts", []), strict=False):
            for image in png.findall(nodes.image):
                image["alt"] = alt

    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            # Left alone, Sphinx would read the file's name to a blind reader.
            logger.warning(
                "a picture has no alt text: give a notebook's figure one in the output's metadata, "
                "and a page's picture one as ![alt text](file)",
                location=image,
            )


class RunsDirective(SphinxDirective):
    """Put recorded runs on a page, so that no number of theirs is typed.

    The names of the records, as `runs.load` takes them, are its argument; `scores` says which columns the table has.
    Below the table stands a line for each run: the data, the hardware, the time.
    """

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"scores": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        try:
            records = [runs.load(name) for name in self.arguments[0].split()]
            text = runs.table(records, self.options["scores"].split())
        except (KeyError, OSError, ValueError) as error:
            raise self.error(f"runs: {error}") from None
        for name in self.arguments[0].split():
            self.env.note_dependency(Path(runs.__file__).with_suffix("") / f"{name}.json")
        lines = [*text.splitlines(), "", *(f"* {runs.conditions(record)}" for record in records)]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.content_offset, node)
        return node.children


def keep_diagrams(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Show the indented blocks of a module's docstring as they are typed, character for character."""
    if what != "module":
        return
    for i in reversed(range(2, len(lines))):
        begins = lines[i].startswith(" ") and not lines[i - 1] and not lines[i - 2].startswith(" ")
        if begins:
            lines[i:i] = [".. code-block:: text", ""]


def skip_tuple_fields(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of a NamedTuple, of which Python says only "Alias for field number 0"."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy the few files of MathJax that pages ask for into the site, when the build went well."""
    if exception or app.builder.format != "html":
        return
    package = find_spec("sphinx-mathjax-offline")
    if package is None:
        raise ExtensionError("MathJax is missing; `pip install sphinx-mathjax-offline` brings it")
    home = Path(package.origin).parent / "static" / "mathjax"
    for pattern in MATHJAX_FILES:
        for path in home.glob(pattern):
            target = Path(app.outdir, "_static", "mathjax", path.relative_to(home))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it to Sphinx."""
    app.connect("source-read", prepare_notebook)
    app.connect("doctree-read", describe_figures)
    app.connect("autodoc-process-docstring", keep_diagrams)
    app.connect("autodoc-skip-member", skip_tuple_fields)
    app.connect("build-finished", copy_mathjax)
    app.add_directive("runs", RunsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

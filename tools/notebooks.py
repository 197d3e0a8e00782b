"""Run the chapters' notebooks anew and store them in one normal form: `make notebooks`.

    python tools/notebooks.py                      run all, in order
    python tools/notebooks.py --only 01_pooling    run one
    python tools/notebooks.py --check              run none; name those that are not in normal form
    python tools/notebooks.py --form               run none; store them in normal form, with the outputs that they have

What is stored is what the site shows and what the tests compare.  So it must not depend on who ran it, when
or where: no times, no widget state, no traceback, no path of this machine.  A notebook is written whole or
not at all.  The set-up cell is put into every notebook from its only home, setup_cell.py, the minutes in its head
and in the README's map are counted anew, and under the heading of each exercise stands what it asks for and how long it
takes.
"""

import argparse
import copy
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SETUP_CELL = ROOT / "tools" / "setup_cell.py"
README = ROOT / "README.md"

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SETUP_TAGS = ["setup", "remove-cell"]
EXTRA = re.compile(r'packages\["(\w+)"\] = ')  # its lines that are for some chapters only
KEPT_CELL_METADATA = {"mystnb", "tags"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# Home folders, temporary folders, Colab's folder, Windows drives; and this book's folder, wherever it lies.
ABSOLUTE_PATH = re.compile(
    rf"(?<![\w.:/])/(?:home|Users|root|tmp|var|opt|mnt|private|content)/[\w.-]+|\b[A-Z]:\\+\w+|{re.escape(str(ROOT))}"
)
CELL_SECONDS = 600

# How long a chapter takes.  CONTRIBUTING.md says the rule in words.
WORDS_A_MINUTE = 130
LINE, FIGURE, MOVING_FIGURE = 5 / 60, 1, 3
STARS = {"★": 5, "★★": 15, "★★★": 30}
UNSEEN_CODE = {"setup", "remove-cell", "remove-input", "hide-cell", "hide-input"}
EXERCISE = re.compile(r"^### Exercise (\d+\.\d+) (★+)(?!★)", re.MULTILINE)
TAKES = re.compile(r"\*\*Takes\*\* about \w+ minutes(?:, and \w+ for what is \*Deeper\*)?; the exercises about \w+\.")


def paths(only: str | None = None, folder: Path = NOTEBOOKS) -> list[Path]:
    """List the notebooks in the book's order, or just those whose name holds `only`.

    Raises:
        ValueError: There is none, or none of that name.
    """
    there = sorted(folder.glob("*.ipynb"))
    wanted = [path for path in there if only is None or only in path.name]
    if not wanted:
        names = ", ".join(path.stem for path in there) or "nothing"
        raise ValueError(f"there is no notebook {only or ''} in {folder.name}/, which holds {names}")
    return wanted


def put_setup_cell(notebook: NotebookNode, text: str) -> None:
    """Put the set-up cell in place of the old one, or before the first code."""
    setup = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    if not setup:
        code = [place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        setup = [nbformat.v4.new_code_cell(id="setup")]
        notebook.cells.insert(code[0] if code else len(notebook.cells), setup[0])
    setup[0].source = setup_text(notebook, text)
    setup[0].metadata = NotebookNode(tags=SETUP_TAGS)


def setup_text(notebook: NotebookNode, text: str) -> str:
    """Return the set-up cell's text for a chapter: it asks only for the packages that the chapter imports."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")

    def kept(line: str) -> bool:
        extra = EXTRA.match(line)
        return not extra or re.search(rf"^\s*(?:from|import) {extra[1]}\b", code, re.MULTILINE) is not None

    return "\n".join(filter(kept, text.strip().splitlines()))


def normalised(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with today's set-up cell and without what depends on the machine.

    Raises:
        ValueError: An output holds an absolute path, or an exercise is none of the book's or has too many stars.
    """
    notebook = copy.deepcopy(notebook)
    put_setup_cell(notebook, SETUP_CELL.read_text(encoding="utf-8"))
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    for place, cell in enumerate(notebook.cells):
        cell.metadata = NotebookNode((key, cell.metadata[key]) for key in KEPT_CELL_METADATA & set(cell.metadata))
        if cell.cell_type != "code":
            continue
        kept = [output for output in cell.outputs if not _only_live(output)]
        cell.outputs = _merged(_normalised_output(output, cell.execution_count) for output in kept)
        for path in filter(None, map(absolute_path, cell.outputs)):
            raise ValueError(
                f"cell {place} prints an absolute path ({path}), which is another one on every machine;"
                " print the file's name, or its place below the book's folder"
            )
    put_minutes(notebook)
    put_kinds(notebook)
    return notebook


def parts(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode, str]]:
    """Go through a chapter: which part it is ("core", "deeper" or "exercises"), the cell, and what of its text.

    A Markdown cell with a heading in its middle comes in pieces.  What follows the exercises is core again.
    """
    part = "core"
    for cell in notebook.cells:
        pieces = [cell.source] if cell.cell_type == "code" else re.split(r"^(?=## )", cell.source, flags=re.MULTILINE)
        for piece in filter(None, pieces):
            if cell.cell_type != "code" and piece.startswith("## "):
                deeper, exercises = piece.startswith("## Deeper:"), piece.startswith("## Exercises")
                part = "deeper" if deeper else "exercises" if exercises else "core"
            yield part, cell, piece


def count_words(text: str) -> int:
    """Count the words of Markdown, without the addresses of links and the names of HTML's elements."""
    text = re.sub(r"\]\([^)]*\)|<[^>]*>", " ", text)
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def minutes(notebook: NotebookNode) -> dict[str, int]:
    """Say how many minutes the parts of a chapter take: "core", "deeper", "exercises", to the next five.

    Reading goes by words, lines of code and figures; exercises go by their stars alone.
    """
    taken = {"core": 0.0, "deeper": 0.0, "exercises": 0.0}
    for part, cell, text in parts(notebook):
        if part == "exercises":
            taken[part] += sum(STARS.get(stars, 0) for _, stars in EXERCISE.findall(text))
        elif cell.cell_type == "markdown":
            taken[part] += count_words(text) / WORDS_A_MINUTE
        elif cell.cell_type == "code":
            tags = set(cell.metadata.get("tags", []))
            if not tags & UNSEEN_CODE:
                taken[part] += LINE * _lines(text)
            if not tags & {"remove-cell", "remove-output", "hide-cell"}:
                taken[part] += sum(_minutes_of(output) for output in cell.outputs)
    return {part: 5 * max(round(time / 5), time > 0) for part, time in taken.items()}


def _minutes_of(output: NotebookNode) -> float:
    """Say how long one looks at what a cell shows; printed lines belong to the text around them."""
    data = output.get("data", {})
    if "data-figure" in data.get("text/html", ""):
        return MOVING_FIGURE
    if "image/png" in data:
        return FIGURE
    source = data.get("text/markdown", "")
    return LINE * (_lines(source) - 2) if source.startswith("```python") else 0


def _lines(text: str) -> int:
    return sum(bool(line.strip()) for line in text.splitlines())


def put_minutes(notebook: NotebookNode) -> None:
    """Write how long a chapter takes into the sentence of its head that says so, if there is one."""
    taken = minutes(notebook)
    deeper = f", and {taken['deeper']} for what is *Deeper*" if taken["deeper"] else ""
    said = f"**Takes** about {taken['core']} minutes{deeper}; the exercises about {taken['exercises']}."
    for cell in notebook.cells[:1]:
        cell.source = TAKES.sub(said, cell.source)


def with_minutes(text: str, name: str, taken: dict[str, int]) -> str:
    """Return the README's text with a chapter's minutes in its row of the map, if it has one."""
    row = re.compile(rf"^(\|.*\(notebooks/{name}\.ipynb\).*\| )\d+ \+ \d+( \|.*)$", re.MULTILINE)
    return row.sub(rf"\g<1>{taken['core']} + {taken['exercises']}\g<2>", text)


def put_kinds(notebook: NotebookNode) -> None:
    """Write under the heading of each exercise what it asks for and how long it takes: `*Code, 15 minutes.*`.

    Raises:
        ValueError: There is no such exercise in the book, or no such number of stars.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "markdown" and EXERCISE.search(cell.source)]
    if not cells:
        return
    # Here, since the exercises bring PyTorch with them.
    from chapters_code.exercises import kind
    from chapters_code.exercises.checking import TASKS

    # What an author writes, `*Predict.*` at the beginning of the task, and what stood here before.
    line = rf"\*(?:{'|'.join(map(str.capitalize, TASKS))})(?:, \d+ minutes)?\.\*\s*"
    heading = re.compile(rf"{EXERCISE.pattern}(.*)\s*(?:{line})?", re.MULTILINE)

    def with_line(match: re.Match) -> str:
        number, stars, title = match.groups()
        if stars not in STARS:
            raise ValueError(f"Exercise {number} has {stars}, and there are {', '.join(STARS)}")
        said = f"*{kind(number).capitalize()}, {STARS[stars]} minutes.*"
        return f"### Exercise {number} {stars}{title.rstrip()}\n\n{said}\n\n"

    for cell in cells:
        cell.source = heading.sub(with_line, cell.source).rstrip("\n")


def as_text(notebook: NotebookNode) -> str:
    """Write a notebook as the text that is stored: indented by 1, keys sorted, one newline at the end."""
    return nbformat.writes(notebook, version=4, indent=1, sort_keys=True).rstrip("\n") + "\n"


def absolute_path(output: NotebookNode) -> str | None:
    """Return the first absolute path in what a cell printed or showed; pictures are not searched."""
    texts = [output.get("text", ""), output.get("evalue", "")]
    texts += [text for kind, text in output.get("data", {}).items() if not kind.startswith("image/")]
    found = next(filter(None, (ABSOLUTE_PATH.search(str(text)) for text in texts)), None)
    return found and found.group()


def execute(notebook: NotebookNode, folder: Path = NOTEBOOKS) -> None:
    """Run all cells in a fresh kernel that works in `folder`; the outputs are put into the notebook.

    Raises:
        RuntimeError: A cell failed, took too long, or brought the kernel down; says which.
    """
    place = 0

    def note(cell: NotebookNode, cell_index: int) -> None:
        nonlocal place
        place = cell_index

    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],  # or each start warns that it runs over TCP
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        on_cell_start=note,
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        first = notebook.cells[place].source.partition("\n")[0]
        trace = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip()
        raise RuntimeError(f"cell {place} ({first}) failed: {trace.splitlines()[-1]}\n\n{trace}") from error


def head(notebook: NotebookNode) -> str:
    """Return the text of a chapter's first cell."""
    return notebook.cells[0].source


def store(path: Path, text: str) -> None:
    """Replace a file in one step: an interruption leaves the old text or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def _only_live(output: NotebookNode) -> bool:
    """Tell whether an output is a widget that brings nothing for readers without a kernel but its type's name."""
    return WIDGET_VIEW in output.get("data", {}) and "text/html" not in output.data


def _normalised_output(output: NotebookNode, count: int | None) -> NotebookNode:
    if output.output_type == "error":
        # The frames of a traceback name files of this machine; the last line says what a reader needs.
        output.traceback = [f"{output.ename}: {output.evalue}"]
    if output.output_type == "execute_result":
        output.execution_count = count
    if "data" in output:
        # A view is the number of a live widget in a kernel that is gone; its text or HTML stays.
        output.data.pop(WIDGET_VIEW, None)
    return output


def _merged(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Join what one stream printed in a row: how it is cut into pieces is a matter of chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if before and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


def main() -> int:
    """Run or check the notebooks; return 0 if all is well."""
    parser = argparse.ArgumentParser(description="Run the notebooks anew and store them in normal form.")
    parser.add_argument("--only", metavar="NAME", help="one notebook, for example 01_pooling")
    idle = parser.add_mutually_exclusive_group()
    idle.add_argument("--check", action="store_true", help="run nothing; name those not in normal form")
    idle.add_argument("--form", action="store_true", help="run nothing; store all in normal form")
    arguments = parser.parse_args()
    # This tree's chapters_code, whichever copy is installed.
    sys.path.insert(0, str(ROOT))
    # No picture of a data set may be stored, so the notebooks see none: the drawn ones take their place.
    os.environ.pop("BOOK_DATA", None)
    downloads = tempfile.TemporaryDirectory()  # empty, and gone at the end
    os.environ["BOOK_CACHE"] = downloads.name
    os.environ["BOOK_OFFLINE"] = "1"
    os.environ["BOOK_PROGRESS"] = "off"  # to store the book is not to do its exercises
    failed = 0
    for path in paths(arguments.only):
        print(path.relative_to(ROOT), end=" ... ", flush=True)
        try:
            notebook = nbformat.read(path, as_version=4)
            put_setup_cell(notebook, SETUP_CELL.read_text(encoding="utf-8"))
            if not (arguments.check or arguments.form):
                execute(notebook)
            text = as_text(normalised(notebook))
        except (RuntimeError, ValueError) as error:
            print(f"not stored.\n{path.name}, {error}", file=sys.stderr)
            return 1
        same = text == path.read_text(encoding="utf-8")
        if not arguments.check:
            store(path, text)
            print("unchanged" if same else "stored")
            if README.is_file():
                before = README.read_text(encoding="utf-8")
                after = with_minutes(before, path.stem, minutes(nbformat.reads(text, as_version=4)))
                if after != before:
                    store(README, after)
        else:
            failed += not same
            stale = head(notebook) != head(nbformat.reads(text, as_version=4))
            print("in normal form" if same else "not in normal form: say `make notebooks`, or use --form", end="")
            print(" (the minutes in its head are no longer true)" if stale else "")
    return int(failed > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        sys.exit(str(error))

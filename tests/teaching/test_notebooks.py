"""The rules that every chapter's notebook keeps; that its outputs are true, nbval holds in the same run.

Each rule is a function from a notebook to a list of faults in words.  The second half plants each fault once.
"""

import ast
import re
import sys
from collections.abc import Iterator
from itertools import pairwise

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import by_hand
import notebooks
from chapters_code import exercises

TAGS = {
    "setup",  # fetches the book's code on Colab; the same everywhere
    "exercise",  # an empty answer and its check; the site folds the solution in behind it
    "hide-cell",  # the imports; the site folds them and says so
    "remove-cell",  # these five: what the site leaves out or folds
    "remove-input",
    "remove-output",
    "hide-input",
    "hide-output",
    "nbval-ignore-output",  # times, versions, sliders: true, but never the same twice
    "raises-exception",  # the error is the lesson
}
# What Colab has, or the set-up cell brings; more would have to be installed there.
PACKAGES = {
    "chapters_code", "d2l",
    "IPython", "PIL", "ipywidgets", "matplotlib", "numpy", "pywt", "scipy", "skimage", "torch", "torchvision",
}  # fmt: skip


# --- the rules ------------------------------------------------------------------------------------
def code(notebook) -> list:
    """The code cells in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def name(cell) -> str:
    """A cell by its number and first line, for messages."""
    return f"cell [{cell.execution_count}] {cell.source.partition(chr(10))[0]!r}"


def order_faults(notebook) -> list[str]:
    """Executed from the top to the bottom, once, in a fresh kernel."""
    counts = [cell.execution_count for cell in code(notebook)]
    return [] if counts == list(range(1, len(counts) + 1)) else [f"executed in the order {counts}"]


def setup_faults(notebook) -> list[str]:
    """The first code is the set-up cell of tools/setup_cell.py, and there is no other."""
    cells = code(notebook)
    wanted = notebooks.setup_text(notebook, notebooks.SETUP_CELL.read_text(encoding="utf-8"))
    faults = [f"{name(cell)} is a second set-up cell" for cell in cells[1:] if "setup" in tags(cell)]
    if not cells or tags(cells[0]) != notebooks.SETUP_TAGS or cells[0].source != wanted:
        faults.append("the first code cell is not the set-up cell of tools/setup_cell.py: `make notebooks`")
    return faults


def metadata_faults(notebook) -> list[str]:
    """The kernel is `python3`, no widget state is stored, tags are known."""
    faults = []
    if notebook.metadata != notebooks.METADATA:
        faults.append(f"metadata of the notebook: {dict(notebook.metadata)}")
    for cell in notebook.cells:
        faults += [f"{name(cell)} has an unknown tag: {tag}" for tag in tags(cell) if tag not in TAGS]
    for cell in code(notebook):
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        faults += [f"{name(cell)} stores {kind}" for kind in sorted(kinds) if "widget" in kind]
    return faults


def path_faults(notebook) -> list[str]:
    """No absolute path, neither printed nor written."""
    faults = [
        f"{cell.source[:60]!r} names {found.group()}"
        for cell in notebook.cells
        if (found := notebooks.ABSOLUTE_PATH.search(cell.source))
    ]
    for cell in code(notebook):
        faults += [f"{name(cell)} prints {path}" for path in map(notebooks.absolute_path, cell.outputs) if path]
    return faults


PROOF = re.compile(r"\d|\bTrue\b|\bFalse\b")


def figure_faults(notebook) -> list[str]:
    """Every figure is a PNG, has alt text, and in its cell or the next a number, a True or an assertion.

    Pictures are not compared; what stands beside them is.
    """
    faults, unproved, age = [], None, 0
    for cell in code(notebook):
        if explores(cell):  # its picture changes with the sliders
            continue
        if unproved and (age := age + 1) > 1:
            faults.append(f"{unproved} has no number beside it in the next cell")
            unproved = None
        for output in cell.outputs:
            kinds = output.get("data", {})
            if others := {kind for kind in kinds if kind.startswith("image/")} - {"image/png"}:
                faults.append(f"{name(cell)} stores {others}; only PNG is the same on every machine")
            if "image/png" in kinds:
                if unproved:
                    faults.append(f"{unproved} has no number beside it before the next figure")
                unproved, age = name(cell), 0
                if len(output.metadata.get("image/png", {}).get("alt", "").strip()) < 15:
                    faults.append(f"{name(cell)} shows a figure without alt text: show(figure, alt=...)")
            elif PROOF.search(output.get("text", "")) or (
                # Source code that is shown has digits, too, and proves nothing.
                "text/markdown" not in kinds and PROOF.search(str(kinds.get("text/plain", "")))
            ):
                unproved = None
        if re.search(r"^\s*assert", cell.source, re.MULTILINE):
            unproved = None
    return faults + ([f"{unproved} has no number beside it"] if unproved else [])


def warning_faults(notebook) -> list[str]:
    """Nothing is stored that was said on stderr: warnings hold paths, and readers wonder."""
    return [
        f"{name(cell)} warns: {output.text[:80]!r}"
        for cell in code(notebook)
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]


def import_faults(notebook) -> list[str]:
    """Chapters import public names, one by one, from packages that Colab has too."""
    faults = []
    for cell in code(notebook):
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell.source))):
            if isinstance(node, ast.Import):
                modules, names = [alias.name for alias in node.names], []
            elif isinstance(node, ast.ImportFrom):
                modules, names = (
                    ["." * node.level + (node.module or "")],
                    [alias.name for alias in node.names],
                )
            else:
                continue
            for module in modules:
                if module.partition(".")[0] not in PACKAGES | sys.stdlib_module_names:
                    faults.append(f"{name(cell)} imports {module}, which is not among the book's packages")
            parts = ".".join([*modules, *names]).split(".")
            if "*" in names or any(part.startswith("_") and part != "__future__" for part in parts):
                faults.append(f"{name(cell)} imports * or a private name")
    return faults


def hand_faults(notebook) -> list[str]:
    """A trained network is not called by hand, but handed to one that brings the picture to its device."""
    reader = by_hand.Reader()
    return [
        f"{name(cell)} calls a trained network by hand, {call}: leave it to predict_tiled, segment or evaluate"
        for cell in code(notebook)
        for call in reader.calls_by_hand(TransformerManager().transform_cell(cell.source))
    ]


def checks(cell) -> Iterator[tuple[str, int]]:
    """The exercises that a cell checks, and with how many answers."""
    for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell.source))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check" and node.args:
            yield getattr(node.args[0], "value", None), len(node.args) - 1


def exercise_faults(notebook, chapter: int) -> list[str]:
    """Every exercise cell checks one exercise of its chapter, and nothing else checks any."""
    faults = []
    for cell in code(notebook):
        found = list(checks(cell))
        if "exercise" not in tags(cell):
            faults += [f"{name(cell)} checks {number} and lacks the tag exercise" for number, _ in found]
        elif len(found) != 1 or found[0][1] != 1:
            faults.append(f'{name(cell)} is an exercise and must hold one check("N.M", answer), has {found}')
        elif found[0][0] not in exercises.numbers() or not found[0][0].startswith(f"{chapter}."):
            faults.append(f"{name(cell)} checks {found[0][0]}, which is no exercise of chapter {chapter}")
    return faults


# --- how a chapter is laid out ----------------------------------------------------------------------
CORE_WORDS, CORE_CELLS, WIDTH = 2800, 60, 88
CAPTION = re.compile(r"\*\*Figure (\d+)\.(\d+)\.\*\* \S")
HEAD = (
    r"# \d\d · ",
    r"\*\*Afterwards you can\*\* \S",
    r"\*\*Needs\*\* \S",
    notebooks.TAKES.pattern + r" .*\bGPU\b",
    r"\*\*In a hurry\?\*\* Read ",
)


def explores(cell) -> bool:
    """Whether a cell has sliders for a live kernel."""
    return "explore(" in cell.source


def is_figure(output) -> bool:
    """Whether an output is a picture, or a figure that moves."""
    data = output.get("data", {})
    return "image/png" in data or "data-figure" in data.get("text/html", "")


def head_faults(notebook) -> list[str]:
    """The first cell has the title, what one can do afterwards, needs, how long it takes, and a way for the hurried."""
    places = [re.search(part, notebook.cells[0].source) for part in HEAD]
    faults = [f"the head lacks {part}" for part, place in zip(HEAD, places, strict=True) if not place]
    starts = [place.start() for place in places if place]
    return faults + (["the parts of the head are in another order"] if starts != sorted(starts) else [])


def length_faults(notebook) -> list[str]:
    """What stands before the first Deeper section, or the exercises, can be read at one sitting."""
    words, cells = 0, set()
    for part, cell, text in notebooks.parts(notebook):
        if part != "core":
            break
        cells.add(cell.id)
        words += notebooks.count_words(text) if cell.cell_type == "markdown" else 0
    faults = [f"the core has {words} words of text, and {CORE_WORDS} are the most"] if words > CORE_WORDS else []
    return faults + ([f"the core has {len(cells)} cells, {CORE_CELLS} are the most"] if len(cells) > CORE_CELLS else [])


def part_faults(notebook) -> list[str]:
    """First the core, then what is deeper, then the exercises, then what to remember."""
    order = [part for part, _, _ in notebooks.parts(notebook)]
    order = [part for part, before in zip(order, [None, *order], strict=False) if part != before]
    wanted = ["core", *(["deeper"] if "deeper" in order else []), "exercises", "core"]
    return [] if order in (wanted, wanted[:-1]) else [f"the parts come in the order {order}"]


def caption_faults(notebook) -> list[str]:
    """After each figure comes its caption, and no other paragraph is one; the numbers run through the chapter.

    What sliders show may do without: it changes with them.
    """
    chapter, faults, number = int(notebook.cells[0].source[2:4]), [], 0
    for cell, before in zip(notebook.cells, [None, *notebook.cells], strict=False):
        shown = before is not None and before.cell_type == "code" and "remove-output" not in tags(before)
        figure = shown and any(map(is_figure, before.outputs))
        caption = CAPTION.match(cell.source) if cell.cell_type == "markdown" else None
        if figure and not caption and not explores(before):
            faults.append(f"{name(before)} has no caption in the next cell")
        if caption and not figure:
            faults.append(f"the caption {caption.group()!r} follows no figure")
        if caption:
            number += 1
            if (int(caption[1]), int(caption[2])) != (chapter, number):
                faults.append(f"{caption.group()!r} is figure {chapter}.{number}")
    return faults + [
        f"the caption {line!r} stands inside a cell"
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in re.findall(r"^\*\*Figure \d+\.\d+\.\*\*.*", cell.source, re.MULTILINE)[
            bool(CAPTION.match(cell.source)) :
        ]
    ]


def fold_faults(notebook) -> list[str]:
    """One cell imports the book, says the versions, and is folded; what sliders show first is not left out."""
    faults = []
    for cell in code(notebook):
        last = cell.source.rstrip().rpartition("\n")[2]
        if "hide-cell" in tags(cell) and (last != "versions()" or "nbval-ignore-output" not in tags(cell)):
            faults.append(f"{name(cell)} is folded, and must end with versions() and have the tag nbval-ignore-output")
        if "hide-cell" not in tags(cell) and "versions()" in cell.source:
            faults.append(f"{name(cell)} says the versions and is not folded")
        if explores(cell) and "remove-output" in tags(cell):
            faults.append(f"{name(cell)} hides what its sliders show first: take the tag remove-output away")
    folded = sum("hide-cell" in tags(cell) for cell in code(notebook))
    return faults + ([] if folded == 1 else [f"{folded} cells are folded, the imports alone should be"])


def width_faults(notebook) -> list[str]:
    """Nothing that is printed or listed is wider than a column of the site."""
    faults = []
    for cell in code(notebook):
        # What `check` says is prose, and goes on below.
        for output in () if "exercise" in tags(cell) else cell.outputs:
            data = output.get("data", {})
            text = output.get("text", "")
            if not is_figure(output) and "text/html" not in data:
                is_table = "text/markdown" in data and not data["text/markdown"].startswith("```")
                text += "" if is_table else str(data.get("text/plain", ""))
            faults += [
                f"{name(cell)} shows {len(line)} characters: {line}" for line in text.split("\n") if len(line) > WIDTH
            ]
    return faults


RULES = [
    head_faults,
    length_faults,
    part_faults,
    caption_faults,
    fold_faults,
    width_faults,
    order_faults,
    setup_faults,
    metadata_faults,
    path_faults,
    figure_faults,
    warning_faults,
    import_faults,
    hand_faults,
]

# --- the book keeps them --------------------------------------------------------------------------
PATHS = notebooks.paths()  # fails when there is none


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_chapter_keeps_the_rule(path, rule):
    assert rule(read(path)) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_chapter_is_named_by_its_number_and_topic_and_its_exercises_are_its_own(path):
    assert re.fullmatch(r"\d\d_[a-z0-9]+", path.stem)
    assert exercise_faults(read(path), int(path.stem[:2])) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_chapter_is_stored_in_normal_form(path):
    stored = path.read_text(encoding="utf-8")
    assert stored == notebooks.as_text(notebooks.normalised(read(path))), "say `make notebooks`"


def test_every_exercise_stands_in_one_chapter_in_order_and_has_a_solution():
    found = [number for path in PATHS for cell in code(read(path)) for number, _ in checks(cell)]

    assert tuple(found) == exercises.numbers()
    for number in found:
        assert ast.parse(exercises.solution_source(number)).body, f"the solution of {number} is empty"


# --- every fault is found -------------------------------------------------------------------------
GOOD_HEAD = """# 01 · Title

**Afterwards you can** see. **Needs** eyes.
**Takes** about 5 minutes; the exercises about 0. No GPU.

**In a hurry?** Read it."""


def chapter(*cells, count=True, head="# Title"):
    """A notebook in order that begins with the set-up cell."""
    text = notebooks.setup_text(new_notebook(cells=list(cells)), notebooks.SETUP_CELL.read_text(encoding="utf-8"))
    setup = new_code_cell(text)
    setup.metadata = {"tags": list(notebooks.SETUP_TAGS)}
    cells = [new_markdown_cell(head), setup, *cells]
    notebook = new_notebook(cells=cells, metadata=notebooks.METADATA)
    for number, cell in enumerate(code(notebook), start=1):
        cell.execution_count = number if count else 1
    return notebook


def cell(source="x = 1", *outputs, tagged=()):
    """A code cell with outputs and tags."""
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tagged)} if tagged else {})


def figure(alt="A road with a crack from left to right", kind="image/png"):
    """The output that a picture leaves."""
    return new_output("display_data", {kind: "iVBOR", "text/plain": alt}, metadata={kind: {"alt": alt}})


def printed(text, name="stdout"):
    """The output that print leaves."""
    return new_output("stream", name=name, text=text)


def moving():
    """The output that a figure that moves leaves."""
    return new_output("execute_result", {"text/html": "<div data-figure='one'></div>", "text/plain": "a figure"})


def shown(lines):
    """The output that `show_source` leaves."""
    return new_output("display_data", {"text/markdown": f"```python\n{lines}\n```", "text/plain": lines})


def imports():
    """The cell that imports the book."""
    return cell("import torch\nversions()", tagged=["hide-cell", "nbval-ignore-output"])


def text(source):
    """A Markdown cell."""
    return new_markdown_cell(source)


def test_a_good_chapter_has_no_fault():
    good = chapter(
        imports(),
        cell("import torch\nfrom chapters_code.pooling import max_pool2d", printed("3 cracks")),
        cell("show(a)", figure()),
        text("**Figure 1.1.** A road.\n\nMore."),
        cell("%timeit -n 1 -r 1 1\na.sum()", printed("7" * 88)),
        cell("explore(f, x)", figure(), tagged=["nbval-ignore-output"]),
        text("## Deeper: more\n\n**Figures** move."),
        cell("Window()", moving()),
        text("**Figure 1.2.** Another road."),
        text("## Deeper: still more"),
        cell("show(b)\nshow(c)", figure(), printed("2"), figure()),
        text("**Figure 1.3.** Two roads."),
        cell("    \nassert b.sum() > 0"),
        text("## Exercises"),
        cell("check('1.1', f)", printed("prose " * 99), tagged=["exercise"]),
        text("## What to remember"),
        head=GOOD_HEAD,
    )
    assert [rule(good) for rule in RULES] == [[]] * len(RULES)
    assert exercise_faults(good, 1) == []


@pytest.mark.parametrize(
    ("rule", "fault", "said"),
    [
        (head_faults, chapter(head=GOOD_HEAD.replace("Needs", "Wants")), "the head lacks"),
        (head_faults, chapter(head=GOOD_HEAD.replace("5 minutes", "an hour")), "Takes"),
        (head_faults, chapter(head=GOOD_HEAD.replace("GPU", "haste")), "GPU"),
        (head_faults, chapter(head="**In a hurry?** Read it.\n" + GOOD_HEAD), "another order"),
        (length_faults, chapter(text("word " * 2800), text("## Exercises")), "2801 words"),
        (
            length_faults,
            chapter(*(text("a") for _ in range(30)), *(cell() for _ in range(29)), text("## Deeper: b")),
            "61 cells",
        ),
        (part_faults, chapter(text("## Exercises"), text("## Deeper: b")), "the order"),
        (part_faults, chapter(text("## Deeper: b"), text("## More"), text("## Exercises")), "the order"),
        (part_faults, chapter(text("## Deeper: b")), "the order"),
        (caption_faults, chapter(cell("show(a)", figure()), text("More."), head=GOOD_HEAD), "no caption"),
        (caption_faults, chapter(cell("Window()", moving()), cell(), head=GOOD_HEAD), "no caption"),
        (caption_faults, chapter(text("**Figure 1.1.** A road."), head=GOOD_HEAD), "no figure"),
        (
            caption_faults,
            chapter(cell("show(a)", figure()), text("**Figure 1.2.** A road."), head=GOOD_HEAD),
            "is figure 1.1",
        ),
        (
            caption_faults,
            chapter(cell("show(a)", figure()), text("**Figure 1.1.** A.\n\n**Figure 1.2.** B."), head=GOOD_HEAD),
            "inside a cell",
        ),
        (fold_faults, chapter(cell("import os\nversions()")), "not folded"),
        (fold_faults, chapter(cell("versions()\nimport os", tagged=["hide-cell"])), "must end"),
        (fold_faults, chapter(imports(), imports()), "2 cells"),
        (fold_faults, chapter(cell("explore(f, x)", tagged=["remove-output"])), "remove-output"),
        (width_faults, chapter(cell("x", printed("7" * 89))), "89 characters"),
        (width_faults, chapter(cell("show_source(f)", shown("7\n" + "7" * 89))), "89 characters"),
        (order_faults, chapter(cell(), count=False), "in the order"),
        (setup_faults, new_notebook(cells=[cell()]), "not the set-up cell"),
        (setup_faults, chapter(cell(tagged=["setup"])), "second set-up cell"),
        (
            metadata_faults,
            new_notebook(metadata={"kernelspec": {"name": "book", "display_name": "b"}}),
            "book",
        ),
        (metadata_faults, new_notebook(metadata=notebooks.METADATA | {"widgets": {}}), "widgets"),
        (metadata_faults, chapter(cell(tagged=["skip"])), "unknown tag: skip"),
        (
            metadata_faults,
            chapter(cell("", new_output("display_data", {notebooks.WIDGET_VIEW: {}}))),
            "stores",
        ),
        (path_faults, chapter(cell("open('/home/ada/x')")), "/home/ada"),
        (path_faults, chapter(cell("x", printed("at /Users/ada/book"))), "/Users/ada"),
        (path_faults, chapter(cell("x", new_output("execute_result", {"text/html": "C:\\Users"}))), "C:"),
        (path_faults, chapter(cell("x", printed(f"{notebooks.ROOT}/x"))), "prints"),
        (
            figure_faults,
            chapter(cell("show(a)", figure(alt="a road")), cell("x", printed("1"))),
            "without alt",
        ),
        (figure_faults, chapter(cell("show(a)", figure()), cell("x", printed("no figure"))), "no number"),
        (figure_faults, chapter(cell("a", figure()), cell("b", figure()), cell("x", printed("1"))), "before"),
        (figure_faults, chapter(cell("a", figure(kind="image/svg+xml"))), "only PNG"),
        (warning_faults, chapter(cell("x", printed("UserWarning: old", name="stderr"))), "warns"),
        (import_faults, chapter(cell("from torch import *")), "imports *"),
        (import_faults, chapter(cell("from chapters_code.pooling import _windows")), "private"),
        (import_faults, chapter(cell("def f():\n    import pandas")), "imports pandas"),
        (import_faults, chapter(cell("from .pooling import x")), "imports .pooling"),
        (lambda book: exercise_faults(book, 1), chapter(cell("check('1.1', f)")), "lacks the tag"),
        (lambda book: exercise_faults(book, 1), chapter(cell("f = 1", tagged=["exercise"])), "must hold one"),
        (lambda book: exercise_faults(book, 1), chapter(cell("check('1.1')", tagged=["exercise"])), "one"),
        (
            lambda book: exercise_faults(book, 1),
            chapter(cell("check('1.99', f)", tagged=["exercise"])),
            "1.99",
        ),
        (lambda book: exercise_faults(book, 1), chapter(cell("check('0.1', f)", tagged=["exercise"])), "0.1"),
    ],
)
def test_a_planted_fault_is_found(rule, fault, said):
    assert any(said in line for line in rule(fault)), rule(fault)


# --- how long a chapter takes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "minutes"),
    [
        ([], (5, 0, 0)),  # the title is read, too
        ([new_markdown_cell("word " * 1298)], (10, 0, 0)),
        ([new_markdown_cell("[word](https://a/b) - **and**\n" * 649)], (10, 0, 0)),
        ([new_markdown_cell("word " * 1628)], (15, 0, 0)),  # 12.5 would be even, and this is more
        ([cell("x = 1\n\n" * 120)], (10, 0, 0)),
        ([cell("x = 1\n" * 120, tagged=["hide-cell"])], (5, 0, 0)),
        ([cell("show_source(f)", shown("x = 1\n" * 119))], (10, 0, 0)),
        ([cell("print(1)", printed("x = 1\n" * 500))], (5, 0, 0)),
        ([cell("show(a)", *[figure()] * 10)], (10, 0, 0)),
        ([cell("Window()", *[moving()] * 5)], (15, 0, 0)),
        ([new_markdown_cell("## Deeper: more\n\n" + "word " * 1297)], (5, 10, 0)),
        ([new_markdown_cell("word\n\n## Deeper: more\n\nword"), cell("show(a)", *[figure()] * 10)], (5, 10, 0)),
        (
            [
                new_markdown_cell("## Exercises\n\n" + "word " * 999 + "\n\n### Exercise 1.1 ★ One"),
                cell("x = 1\n" * 500, *[figure()] * 10),
                new_markdown_cell("### Exercise 1.2 ★★★ Two\n\n### Exercise 1.3 ★★ Three"),
                new_markdown_cell("## What to remember\n\n" + "word " * 1294),
            ],
            (10, 0, 50),
        ),
    ],
)
def test_minutes_follow_the_rule(cells, minutes):
    """By hand, from 130 words a minute, 12 lines a minute, 1 for a figure, 3 for one that moves, and the stars."""
    assert tuple(notebooks.minutes(chapter(*cells)).values()) == minutes


TIMED = "# 01 · Title\n\n**Takes** about {}; the exercises about {}. No GPU. **In a hurry?** Read."


@pytest.mark.parametrize(
    ("cells", "minutes"),
    [
        ([new_markdown_cell("## Exercises\n\n### Exercise 1.1 ★★ One")], ("5 minutes", "15")),
        ([new_markdown_cell("## Deeper: more\n\nword")], ("5 minutes, and 5 for what is *Deeper*", "0")),
    ],
)
def test_the_minutes_in_a_chapters_head_are_put_right_when_it_is_stored(cells, minutes):
    for old in (("45 minutes, and 30 for what is *Deeper*", "90"), ("N minutes", "K"), minutes):
        book = chapter(*cells)
        book.cells[0].source = TIMED.format(*old)

        assert notebooks.normalised(book).cells[0].source == TIMED.format(*minutes)
    book.cells[0].source = "# 01 · Title\n\n**Takes** an hour, and as long for the exercises."
    assert notebooks.normalised(book).cells[0].source == book.cells[0].source


# --- what an exercise asks for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("### Exercise 1.1 ★ One\n\nWrite it.", "### Exercise 1.1 ★ One\n\n*Code, 5 minutes.*\n\nWrite it."),
        ("### Exercise 1.7 ★★ A\n\n*Predict.* A road.", "### Exercise 1.7 ★★ A\n\n*Predict, 15 minutes.*\n\nA road."),
        # An older line, of another kind and with other minutes; no blank line; a kind that the text begins with.
        (
            "### Exercise 1.8 ★★★ A\n*Code, 5 minutes.*\nSay.",
            "### Exercise 1.8 ★★★ A\n\n*Explain, 30 minutes.*\n\nSay.",
        ),
        ("### Exercise 1.1 ★ One\n\n*Careful.* Go.", "### Exercise 1.1 ★ One\n\n*Code, 5 minutes.*\n\n*Careful.* Go."),
        ("### Exercise 1.1 ★ Only a heading", "### Exercise 1.1 ★ Only a heading\n\n*Code, 5 minutes.*"),
        (
            "## Exercises\n\nHow.\n\n### Exercise 1.1 ★ One\n\nA.\n\n### Exercise 1.7 ★ Two\n\n*Predict.*\nB.",
            "## Exercises\n\nHow.\n\n### Exercise 1.1 ★ One\n\n*Code, 5 minutes.*\n\nA.\n\n"
            "### Exercise 1.7 ★ Two\n\n*Predict, 5 minutes.*\n\nB.",
        ),
        ("## Exercises\n\n*Code.* Without a heading.", "## Exercises\n\n*Code.* Without a heading."),
    ],
)
def test_under_its_heading_stands_what_an_exercise_asks_for_and_how_long_it_takes(written, stored):
    """By its kind and its stars; and a second time changes nothing."""
    for source in (written, stored):
        assert notebooks.normalised(chapter(text(source))).cells[-1].source == stored


@pytest.mark.parametrize(
    ("heading", "said"), [("1.99 ★ One", "there is no exercise '1.99'"), ("1.1 ★★★★ One", "has ★★★★, and there are ★")]
)
def test_a_heading_of_no_exercise_is_not_stored(heading, said):
    with pytest.raises(ValueError, match=said):
        notebooks.normalised(chapter(text(f"### Exercise {heading}")))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_heading_above_an_exercise_has_its_number(path):
    """From which the line below it is made."""
    cells = read(path).cells
    for before, cell in pairwise(cells):
        if "exercise" in tags(cell):
            heading = notebooks.EXERCISE.findall(before.source)[-1:]
            assert [number for number, _ in heading] == [number for number, _ in checks(cell)]


FIT = "network = FCN()\nrecord = fit(network, plan, learnt, unseen, out)"
ANSWER = "def answer(net, x):\n    return net.eval()(x)"
TRAINED = "def trained(net):\n    with folder() as out:\n        return fit(net, plan, learnt, unseen, out)"


@pytest.mark.parametrize(
    "cells",
    [
        ["network = FCN()\nnetwork(x)", FIT],  # before it was trained
        ["%timeit -n 1 -r 1 network(x)", FIT],
        [FIT, "network = FCN()", "network(x)"],  # another one
        [FIT, "twin = FCN()\ntwin(x)"],
        ["a, b = FCN(), FCN()\nfit(a)", "b(x)"],
        ["a = FCN()\nbefore = deepcopy(a)\nfit(a)\nbefore(x)"],
        ["for seed in range(3):\n    a = FCN(seed)\n    a(x)\n    fit(a)"],
        [ANSWER, FIT, "answer(FCN(), x)"],
        [TRAINED, "a, b = FCN(), FCN()\ntrained(a)", "b(x)"],
        [FIT, "maps = predict_tiled(network.eval(), x, 64, 0)", "maps.argmax(1)\nevaluate(network, unseen, 'classes')"],
        [FIT, "evaluate(lambda x: network(x)[1], unseen, 'saliency')"],  # evaluate brings the picture
        ["loaded = load_network(path)", "segment(x, loaded._replace(network=lambda x: loaded.network(x)[1]))"],
        ["class OneOf(nn.Module):\n    def forward(self, x):\n        return self.inner(x)", FIT, "OneOf(network, 1)"],
        [FIT, "sum(one.numel() for one in network.parameters())\nnetwork.load_state_dict(state).to('cpu')"],
        [FIT, "weights = network.merge.weight.flatten().sum(0)"],
        ["def twice(function, x):\n    return function(function(x))", FIT, "twice(torch.relu, x)"],
    ],
)
def test_networks_that_are_not_trained_or_not_called_by_hand_pass(cells):
    assert hand_faults(chapter(*map(cell, cells))) == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([FIT, "y = network(x)"], "network(x)"),
        ([FIT, "x = 1", "with torch.inference_mode():\n    y = network(x)[0].argmax(0)"], "network(x)"),
        ([FIT, "maps = network.eval()(Normalise()(image[None]))"], "network.eval()(Normalise()"),
        ([FIT, "network.forward(x)"], "network.forward(x)"),
        ([FIT, "network.features(x)"], "network.features(x)"),
        (["loaded = load_network(path)", "loaded.network(x)"], "loaded.network(x)"),
        ([FIT, "def answer(picture):\n    return network(picture)"], "network(picture)"),
        (["def answer(picture):\n    return network(picture)", FIT, "answer(photo)"], "network(picture)"),
        ([ANSWER, FIT, "answer(network, photo)"], "net.eval()(x)"),
        ([ANSWER, FIT, "def shown(net):\n    return answer(net, x)", "shown(net=network)"], "net.eval()(x)"),
        ([TRAINED, "a = FCN()\ntrained(a)", "a(x)"], "a(x)"),
        (["a, b = FCN(), FCN()\nfit(Alone(b))", "b(x)"], "b(x)"),
        (["fit(model=(network := FCN()), recipe=plan)", "network(x)"], "network(x)"),
        (["a = FCN()\nfor epoch in range(2):\n    a(x)\n    train.fit(a)"], "a(x)"),
        ([FIT, "fused = network.fuse()", "fused(x)"], "fused(x)"),
        ([FIT, "same = network", "same(x)"], "same(x)"),
        ([FIT, "copied = copy.deepcopy(network)\ncopied(x)"], "copied(x)"),
        ([FIT, "both = {'new': FCN()}\nboth['old'] = network", "both['old'](x)"], "both['old'](x)"),
        ([FIT, "both = {'a': FCN(), 'b': network}", "for name, one in both.items():\n    one(x)"], "one(x)"),
        ([FIT, "[one(x) for one in (network, FCN())]"], "one(x)"),
        ([FIT, "first = lambda x: network(x)[0]\nfirst(x)"], "network(x)"),
        ([FIT, "explore(lambda picture: pictures({'a': network(picture)}), photo)"], "network(picture)"),
    ],
)
def test_a_trained_network_that_is_called_by_hand_is_found(cells, said):
    (fault,) = hand_faults(chapter(*map(cell, cells)))
    assert said in fault

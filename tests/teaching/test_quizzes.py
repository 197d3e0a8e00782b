"""The questions after each chapter: their form, their number, and that the computed answer is the right one."""

import ast
import collections
import importlib
import math
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from docutils import nodes
from IPython.core.inputtransformer2 import TransformerManager
from torch import nn
from torch.nn import functional

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
QUIZZES = ROOT / "book" / "quizzes"
COUNT = 5


@pytest.fixture(scope="module")
def quizzes():
    """The extension that puts the questions on the site; it is no package's module."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        return importlib.import_module("quizzes")
    finally:
        sys.path.pop(0)


# --- the chapters' own questions --------------------------------------------------------------------
def imports(notebook) -> list[ast.stmt]:
    """Return the imports of a chapter but for those of the set-up cell, and of what only draws."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
            found += ast.parse(TransformerManager().transform_cell(cell.source)).body
    only_draws = ("matplotlib", "skimage", "IPython", "d2l")
    return [
        node
        for node in found
        if isinstance(node, ast.Import | ast.ImportFrom) and not ast.unparse(node).split()[1].startswith(only_draws)
    ]


def scope(notebook) -> dict:
    """Return all names that an expression may use: what the chapter imports, and what its modules offer."""
    names = {}
    modules = [node.module for node in imports(notebook) if isinstance(node, ast.ImportFrom)]
    for module in [module for module in modules if module.startswith("chapters_code.")]:
        exec(f"from {module} import *", names)
    exec(compile(ast.Module(imports(notebook), []), "imports", "exec"), names)
    return names | {"torch": torch, "functional": functional, "nn": nn, "np": np, "math": math}


def literal(text: object) -> object:
    """Return what is written as a Python literal; other text is itself."""
    try:
        return ast.literal_eval(text) if isinstance(text, str) else text
    except (SyntaxError, ValueError):
        return text


def plain(value: object) -> object:
    """Return a value without the kinds of lists and numbers that differ in name alone."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def same(one: object, other: object) -> bool:
    """Whether two plain values are equal, decimal numbers but for rounding; true is not 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other)]
    if all(numbers):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-7)
    return type(one) is type(other) and one == other


def wrong_values(question: dict, names: dict) -> list[str]:
    """Say which choices' values do not go with what is computed."""
    try:
        computed = plain(eval(question["computed"], dict(names)))
    except Exception as error:
        return [f"`{question['computed']}` fails: {error!r}"]
    return [
        f"computed is {computed!r}, and {'the right' if 'right' in choice else 'a wrong'} choice is {value!r}"
        for choice in question["choices"]
        for value in [plain(literal(choice.get("value", choice["says"])))]
        if same(computed, value) != ("right" in choice)
    ]


def test_every_chapter_has_five_questions(quizzes):
    have = {path.stem: len(quizzes.read(path)) for path in sorted(QUIZZES.glob("*.yml"))}
    assert have == {path.stem: COUNT for path in NOTEBOOKS}, f"each chapter has {COUNT}, in book/quizzes/CHAPTER.yml"


def test_the_computed_answer_is_the_right_one_and_no_other(quizzes):
    found, computed = [], 0
    for path in NOTEBOOKS:
        if not (QUIZZES / f"{path.stem}.yml").is_file():
            continue  # the test above says so
        names = scope(nbformat.read(path, as_version=4))
        for number, question in enumerate(quizzes.read(QUIZZES / f"{path.stem}.yml"), start=1):
            if "computed" in question:
                computed += 1
                torch.manual_seed(0)
                found += [f"{path.stem}, question {number}: {fault}" for fault in wrong_values(question, names)]
            elif any("value" in choice for choice in question["choices"]):
                found.append(f"{path.stem}, question {number}: it has values, and nothing is `computed`")
    assert not found, "\n".join(found)
    assert computed >= 1


def test_the_right_choice_is_now_here_now_there(quizzes):
    """In no chapter at one place alone, and over the book nowhere in more than half of the questions."""
    places = {
        path.stem: [["right" in choice for choice in one["choices"]].index(True) for one in quizzes.read(path)]
        for path in sorted(QUIZZES.glob("*.yml"))
    }
    alike = [name for name, found in places.items() if len(found) > 1 and len(set(found)) < 2]
    assert not alike, f"the right choice is always at the same place: {alike}"
    counts = collections.Counter(place for found in places.values() for place in found)
    if counts.total() > 2 * COUNT:
        assert max(counts.values()) <= counts.total() / 2, counts


def test_a_question_without_a_right_value_is_found():
    choices = [
        {"says": "3 × 4", "value": "(3, 4)", "right": True},
        {"says": "12"},
        {"says": "(3.0000001, 4)"},
        {"says": "words"},
    ]

    def found(computed):
        return [fault.rpartition(" is ")[2] for fault in wrong_values({"computed": computed, "choices": choices}, {})]

    assert found("[3, 4]") == ["[3.0000001, 4]"]
    assert found("6 * 2") == ["[3, 4]", "12"]
    assert found("True") == ["[3, 4]"]
    assert "ZeroDivisionError" in wrong_values({"computed": "1 / 0", "choices": choices}, {})[0]


@pytest.mark.parametrize(("one", "other", "alike"), [
    (torch.tensor([1.0, 2.0]), (1, 2), True),
    (torch.Size([3, 4]), [3, 4], True),
    (np.float32(0.1), 0.1, True),
    (0.1, 0.1001, False),
    (True, 1, False),
    ("max", "max", True),
    ("1", 1, False),
])  # fmt: skip
def test_values_are_compared_by_what_they_are(one, other, alike):
    assert same(plain(one), plain(other)) is alike


# --- the form ---------------------------------------------------------------------------------------
def choices(*right):
    """Three choices, of which these are right."""
    return [{"says": str(i), "why": "so"} | ({"right": True} if i in right else {}) for i in range(3)]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("a text", "must have `ask` and `choices`, got 'a text'"),
        ({"choices": choices(0)}, "lacks `ask`"),
        ({"ask": " ", "choices": choices(0)}, "`ask` must be a text, got ' '; put it in quotes"),
        ({"ask": {"How": "large"}, "choices": choices(0)}, "`ask` must be a text, got {'How': 'large'}"),
        ({"ask": "?", "computes": "1", "choices": choices(0)}, "a question has no `computes`; it has ask, choices"),
        ({"ask": "?", "computed": True, "choices": choices(0)}, "`computed` must be a text, got True"),
        ({"ask": "?", "choices": "yes"}, "`choices` must be a list, each with `says` and `why`, got 'yes'"),
        ({"ask": "?"}, "`choices` must be a list, each with `says` and `why`, got None"),
        ({"ask": "?", "choices": choices(0)[:2]}, "has 2 choices and must have 3 or 4"),
        ({"ask": "?", "choices": [*choices(0), {"says": "x"}]}, "choice 4: it lacks `why`"),
        ({"ask": "?", "choices": [*choices(0), {"says": False, "why": "x"}]}, "choice 4: `says` must be a text"),
        ({"ask": "?", "choices": [*choices(0), {"says": "x", "why": "x", "true": 1}]}, "a choice has no `true`"),
        ({"ask": "?", "choices": [*choices(0), {"says": "x", "why": "x", "right": False}]}, "true or is left out"),
        ({"ask": "?", "choices": choices()}, "0 choices have `right: true`, and one must"),
        ({"ask": "?", "choices": choices(0, 2)}, "2 choices have `right: true`, and one must"),
        ({"ask": "?", "choices": [*choices(0), {"says": 1, "why": "x"}]}, "two choices say the same"),
    ],
)
def test_what_is_wrong_with_a_question_is_said(quizzes, question, words):
    assert any(words in fault for fault in quizzes.faults(question)), quizzes.faults(question)


def test_a_good_question_has_no_fault(quizzes):
    assert quizzes.faults({"ask": "How many?", "computed": "1 + 1", "choices": choices(1)}) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- ask: what: this", "is no YAML"),
        ("ask: what\nchoices: []", "must be a list of questions"),
        ("", "must be a list of questions"),
        ("- ask: one\n- ask: two", "question 1: `choices` must be a list.*question 2: `choices` must be a list"),
    ],
)
def test_a_file_that_is_written_in_another_way_is_refused(quizzes, tmp_path, text, words):
    path = tmp_path / "09_none.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"09_none.yml .*{words}"):
        quizzes.read(path)


# --- the place on the page --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        (["## What to remember\n\n* It."], ["the exercises", "## Quiz", "## What to remember\n\n* It."]),
        (
            ["Go on.\n\n## What to remember\n\n* It.", "see"],
            ["the exercises", "Go on.", "## Quiz", "## What to remember\n\n* It.", "see"],
        ),
        (["the end"], ["the exercises", "the end", "## Quiz"]),
    ],
)
def test_the_quiz_comes_before_what_to_remember(quizzes, last, wanted):
    cells = [nbformat.v4.new_markdown_cell(text) for text in ("the exercises", *last)]

    assert [cell.source for cell in quizzes.with_section(cells, "## Quiz")] == wanted


def test_what_is_in_a_lone_paragraph_may_stand_in_a_line(quizzes):
    paragraph, block = nodes.paragraph("", "", nodes.Text("words")), nodes.literal_block("", "x = 1")

    assert [node.astext() for node in quizzes.in_line([paragraph])] == ["words"]
    assert isinstance(quizzes.in_line([paragraph])[0], nodes.inline)
    assert quizzes.in_line([paragraph.deepcopy(), block])[1] is block

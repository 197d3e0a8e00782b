"""The checks of the exercises: right answers pass, wrong ones are refused for the reason that is theirs."""

import ast
import importlib
import inspect
import json
import math
import re
import sys
import threading
import time
from dataclasses import replace
from functools import cache
from itertools import pairwise, permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import answers
from chapters_code import exercises, pooling
from chapters_code.exercises import (
    check,
    checking,
    grade,
    hint,
    hints,
    rubric,
    solution,
    solution_note,
    solution_source,
)
from chapters_code.exercises.checking import Answer, Call, Wrong, agree, all_pairs, compare, smallest_first, whole
from chapters_code.pooling import max_pool2d, windows
from said import unnamed, unsaid

NUMBERS = exercises.numbers()
CODE, VALUES, WORDS = (
    tuple(number for number in NUMBERS if exercises.kind(number) in kinds)
    for kinds in (("code",), ("predict", "compute", "measure"), ("explain",))
)
NOTEBOOKS = Path(exercises.__file__).parents[2] / "notebooks"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Every test starts with the same random numbers, as a reader who has seen no hint."""
    monkeypatch.setattr(exercises, "_seen", {})
    monkeypatch.setattr(exercises, "_failed", {})
    torch.manual_seed(0)


@cache
def book_answer(number: str):
    """What the page shows, in a place of its own: the solutions themselves are closed."""
    space = {}
    exec(compile(solution_source(number), "solution", "exec"), space)
    function = space[exercises._find(number).name]
    return function() if number in VALUES else function


def min_pool2d(x, kernel_size):
    return -max_pool2d(-x, kernel_size)


# ---- right and wrong answers --------------------------------------------------------------------


def test_there_are_enough_answers_of_both_kinds():
    assert set(answers.RIGHT) | set(answers.WRONG) <= set(NUMBERS), "answers to exercises that do not exist"
    few = [n for n in CODE if len(answers.RIGHT.get(n, ())) < 2 or len(answers.WRONG.get(n, ())) < 4]
    few += [n for n in VALUES if len(answers.RIGHT.get(n, ())) < 1 or len(answers.WRONG.get(n, ())) < 3]
    assert not few, f"write 2 right and 4 wrong answers, or more, to {few} in tests/answers/"


@pytest.mark.parametrize("number", [*CODE, *VALUES])
def test_a_solution_stands_on_its_own_and_is_right(number):
    """What the page shows is all that a reader needs to paste: imports and code, without the explanation.

    On two draws, as every answer here, of which one is new every time this test runs.
    """
    assert number in VALUES or book_answer(number).__doc__ is None
    assert grade(number, book_answer(number)) is None


@pytest.mark.parametrize("number", [*CODE, *VALUES])
def test_other_right_answers_are_right(number):
    for answer in answers.RIGHT[number]:
        assert grade(number, answer) is None, answer


@pytest.mark.slow
@pytest.mark.parametrize("number", [*CODE, *VALUES])
def test_wrong_answers_are_refused_for_their_own_reason(number):
    """Whatever is drawn: a check that finds a mistake only now and then has not found it."""
    for answer, words in answers.WRONG[number]:
        for seed in range(3 if number in CODE else 1):  # a value is judged whatever is drawn
            assert words in (grade(number, answer, seed) or "nothing was found"), (answer, seed)


@pytest.mark.slow
def test_no_answer_of_another_exercise_is_right():
    """Only those that can be called with the same number of arguments: the others stop with a TypeError."""
    takes = {number: len(inspect.signature(book_answer(number)).parameters) for number in CODE}
    for number, other in permutations(CODE, 2):
        if takes[number] == takes[other]:
            assert grade(number, book_answer(other)) is not None, (number, other)


# ---- what the student reads ---------------------------------------------------------------------


def test_the_empty_stub_waits(capsys):
    def stub(*arguments):
        raise NotImplementedError("your turn")

    for number in NUMBERS:
        check(number, stub if number in CODE else "" if number in WORDS else ...)
        out = capsys.readouterr().out

        place = "put your answer in place of" if number not in WORDS else "write your sentences between the quotes"
        assert out.startswith(f"Exercise {number} waits for you: {place}")
        assert f'hint("{number}")' in out
        assert exercises._seen == {}, f"{number}: waiting must not cost a hint"


def test_a_not_implemented_error_of_another_kind_is_a_mistake(capsys):
    """PyTorch raises the same error where an operator has no code for a dtype."""

    def answer(x, kernel_size):
        return functional.max_pool2d(x.cfloat(), kernel_size)

    check("1.1", answer)
    out = capsys.readouterr().out

    assert "waits" not in out
    assert "stopped with NotImplementedError" in out


def test_a_right_answer_is_told_so(capsys):
    check("1.1", min_pool2d)

    assert capsys.readouterr().out == (
        "Exercise 1.1: right. Your answer agrees with the trusted one on every input tried.\n"
    )


def test_a_wrong_answer_gets_the_reason_and_one_hint(capsys):
    """The same answer run again shows the same hint again; another wrong answer gets the next."""
    first, second, *_ = hints("2.6")
    no, yes = lambda kernel, stride: False, lambda kernel, stride: True
    for answer, number, text in ((no, 1, first), (no, 1, first), (yes, 2, second)):
        expected = f"Hint {number} of 3: {text}"
        check("2.6", answer)
        out = capsys.readouterr().out

        assert out.startswith("Exercise 2.6: not yet. The result is wrong: the answers differ: ")
        assert re.search(r"The inputs were drawn with seed (\d+); check\(.2.6., is_steady, seed=\1\) tries", out)
        assert out.endswith(f"{expected}\n")
        assert out.count("Hint") == 1


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (max_pool2d, 1),
        (lambda x, k: max_pool2d(-x, k), 3),
        (lambda x, k: -max_pool2d(-x, k) + 1, 2),
    ],
)
def test_a_mistake_that_is_known_gets_the_hint_that_helps(capsys, answer, number):
    """Whatever was seen before; and the order of `hint` stays what it was."""
    for _ in range(2):
        check("1.1", answer)
        assert f"Hint {number} of 3: {hints('1.1')[number - 1]}" in capsys.readouterr().out
    hint("1.1")
    assert capsys.readouterr().out.startswith("Hint 1 of 3")


@pytest.mark.parametrize(
    ("number", "answer", "hint_number"),
    [
        ("1.2", lambda x, k: windows(x, k).median(dim=-1), 3),  # values and places
        ("1.4", lambda x, k, s, p: windows_1d(x, k, s, p).amax(-1), 3),  # the gradient at a tie
        ("3.1", lambda rates, k: 1 + (k - 1) * max(rates) if rates[0] else 0, 3),  # stops where there is no layer
        ("0.1", lambda photo: photo.permute(2, 0, 1) // 255, 3),  # the dtype
        ("0.2", lambda mask, classes: torch.bincount(mask[mask != 255]) / 1, 2),  # the shape
        ("8.6", lambda shapes, prefix: (3, 5, "yes", 1, 2), 2),  # the third of the values
    ],
)
def test_every_kind_of_mistake_can_name_its_hint(capsys, number, answer, hint_number):
    check(number, answer)
    assert f"Hint {hint_number} of 3: {hints(number)[hint_number - 1]}" in capsys.readouterr().out


def windows_1d(x, kernel_size, stride, padding):
    return functional.pad(x, (padding, padding), value=float("-inf")).unfold(-1, kernel_size, stride)


def test_every_mistake_of_every_exercise_names_a_hint_that_there_is():
    for number in NUMBERS:
        exercise = exercises._find(number)
        for place, how in exercise.mistakes:
            assert 1 <= place <= len(exercise.hints), number
            assert (
                number in VALUES
                or callable(how)
                or how in checking.KINDS
                or "value" in how
                or number in ("8.7", "10.3")
            ), (number, how)


@pytest.mark.slow
def test_what_computes_a_known_mistake_is_wrong_and_is_known_by_it():
    """As an answer it would be refused, and the hint is that of the first mistake that computes the same."""
    for number in NUMBERS:
        exercise = exercises._find(number)
        for place, how in exercise.mistakes:
            if number in VALUES:
                wrong, _ = exercises._try(exercise, how, None)
                assert wrong is not None and wrong.hint == place, (number, how)
            elif callable(how):
                # All of the book is open here: a mistake may be written with its functions.
                opened = replace(exercise, allows=(*exercise.allows, *modules_of(exercise)))
                wrong, _ = exercises._try(opened, lambda *given, how=how: how(*given), 0)
                assert wrong is not None, (number, inspect.getsource(how))
                if wrong.kind not in ("error", "closed"):
                    assert wrong.hint is not None, (number, str(wrong))


def modules_of(exercise):
    """The modules that the check of an exercise can see."""
    seen = sys.modules[exercise.check.__module__]
    return [seen, *(one for one in vars(seen).values() if inspect.ismodule(one) and "chapters_code" in one.__name__)]


def test_hints_come_in_order_and_then_begin_again(capsys):
    """Those of one exercise do not use up those of the next."""
    for number in NUMBERS:
        texts = hints(number)
        for _ in range(len(texts) + 1):
            hint(number)
        lines = capsys.readouterr().out.splitlines()

        expected = [f"Hint {i} of {len(texts)}: {text}" for i, text in enumerate(texts, start=1)]
        assert lines[:-2] == expected
        assert lines[-2:] == [f'That was the last hint. solution("{number}") shows our answer.', expected[0]]


def test_no_hint_gives_a_line_of_the_solution_away():
    """A `return` counts by what it returns; lines that only close or name something give nothing away."""
    for number in NUMBERS:
        lines = [line.strip().removeprefix("return ") for line in solution_source(number).splitlines()]
        telling = [line for line in lines if re.search(r"[a-z]\w*\(", line) and not line.startswith("def ")]
        for text in exercises._find(number).hints:
            assert [line for line in telling if line in text] == [], number


@pytest.mark.parametrize(("written", "meant"), [(0.1, "0.1"), ("1,1", "1.1"), (" 1.1 ", "1.1"), (10.2, "10.2")])
def test_a_number_may_stand_without_quotes(capsys, written, meant):
    hint(written)
    assert capsys.readouterr().out == f"Hint 1 of {len(hints(meant))}: {hints(meant)[0]}\n"
    assert solution_source(written) == solution_source(meant)
    assert grade(written, book_answer(meant)) is None


def test_a_number_that_can_be_two_says_which_it_is(capsys):
    """To Python 6.10 is 6.1."""
    hint(6.10)
    out = capsys.readouterr().out
    assert out.startswith('(This is Exercise 6.1. For the other one, write the number in quotes: "6.10".)\nHint 1')
    check(6.10, book_answer("6.10"))
    assert capsys.readouterr().out.startswith("(This is Exercise 6.1.")
    hint("6.10")
    assert hints("6.10")[0] in capsys.readouterr().out


@pytest.mark.parametrize("call", [check, grade])
@pytest.mark.parametrize("number", ["99.9", "", 99.9, 1, True, None])
def test_an_unknown_number_lists_what_there_is(call, number):
    with pytest.raises(ValueError, match=re.escape(f"there is no exercise {number!r}; there are 0.1, 0.2")):
        call(number, min_pool2d)


def test_all_doors_know_the_numbers():
    for door in (hint, solution, solution_note, solution_source):
        with pytest.raises(ValueError, match="there is no exercise '99.9'"):
            door("99.9")


@pytest.mark.parametrize("result", [torch.zeros(2, 3), 3, None])
def test_a_result_in_the_place_of_the_function_is_explained(result):
    with pytest.raises(ValueError, match=r"check\(.1.1., min_pool2d\), without calling it"):
        check("1.1", result)


def test_a_students_error_is_quoted_with_its_line_and_the_input():
    def answer(x, kernel_size):
        lost = x.reshape(-1)
        return lost[10**9]  # the line at fault

    problem = grade("1.1", answer)

    assert "Your code stopped with IndexError: index 1000000000 is out of bounds" in problem
    line = inspect.getsourcelines(answer)[1] + 2
    assert f"in line {line}:  return lost[10**9]  # the line at fault" in problem
    assert "It was given x of shape (1, 1, 2, 3), torch.float32, kernel_size = 1." in problem
    assert "The input that stopped it:\n    x = tensor(" in problem
    assert "kernel_size = 1" in problem


def test_an_error_deep_in_pytorch_is_quoted_with_the_students_line():
    def answer(x, kernel_size):
        return functional.max_pool2d(x, -kernel_size)

    assert "return functional.max_pool2d(x, -kernel_size)" in grade("1.1", answer)


def test_too_few_arguments_are_an_error_of_the_student():
    problem = grade("1.1", lambda x: x)

    assert "stopped with TypeError" in problem
    assert "Your function is called with 2 arguments: (x, kernel_size)." in problem


def shown_input(problem: str) -> torch.Tensor:
    """Read the picture out of a message."""
    text = re.search(r" x = (tensor\(.*?\))\n    kernel_size", problem, re.DOTALL).group(1)
    return eval(text, {"tensor": torch.tensor, "torch": torch})


def test_the_message_shows_an_input_that_really_fails():
    problem = grade("1.1", max_pool2d)
    x = shown_input(problem)
    kernel = int(re.search(r"kernel_size = (\d)", problem).group(1))
    yours, expected = max_pool2d(x, kernel), min_pool2d(x, kernel)

    assert not torch.equal(yours, expected)
    flat = re.sub(r"\s+", "", problem)
    assert re.sub(r"\s+", "", f"yours={yours}") in flat
    assert re.sub(r"\s+", "", f"expected={expected}") in flat


@pytest.mark.parametrize(("axis", "least"), [(0, 2), (1, 2), (2, 5), (3, 1), (3, 4), (3, 5)])
def test_the_message_shows_the_smallest_input_that_fails(axis, least):
    """A fault that needs two pictures, two channels, five rows or a certain width: nothing smaller has it."""
    tried = []

    def faulty(x, kernel_size):
        return min_pool2d(x, kernel_size) + (x.shape[axis] >= least)

    def watched(x, kernel_size):
        tried.append(x.shape)
        return min_pool2d(x, kernel_size)

    shown = shown_input(grade("1.1", faulty))
    assert grade("1.1", watched) is None

    assert shown.numel() == min(shape.numel() for shape in tried if shape[axis] >= least)


def test_compare_tries_the_smallest_call_first():
    """The list may come in any order; what is shown is the least to read, and then the smallest setting."""
    calls = [Call.of(torch.ones(1, n), k) for n in (5, 2, 9, 4, 3) for k in (3, 1, 2)]
    ordered = [(call.arguments[0].shape[1], call.arguments[1]) for call in smallest_first(calls)]

    assert ordered == [(n, k) for n in (2, 3, 4, 5, 9) for k in (1, 2, 3)]
    with pytest.raises(
        Wrong, match=r"smallest input that shows it:\n    x = tensor\(\[\[1., 1., 1., 1.\]\]\)\n    k = 2"
    ):
        compare(lambda x, k: x + (x.numel() >= 4 and k >= 2), lambda x, k: x, calls)


def test_long_tensors_are_named_by_shape_and_not_printed():
    with pytest.raises(Wrong, match=r"x = a tensor of shape \(9, 8\), torch.float32"):
        compare(lambda x: x + 1, lambda x: x, [Call.of(torch.zeros(9, 8))])


def test_compare_hands_settings_on_by_name_and_judges_each_value_of_a_pair():
    calls = [Call.of(torch.arange(6.0).reshape(2, 3), axis=axis) for axis in (0, 1)]

    def trusted(x, axis):
        return x.sum(axis), x.shape[axis]

    compare(lambda x, axis: [x.sum(axis), x.shape[axis]], trusted, calls)
    with pytest.raises(Wrong, match=r"(?s)the numbers differ.*\n    axis = 1\n    yours\[0\]"):
        compare(lambda x, axis: (x.sum(axis), 2), trusted, calls)


def test_in_the_class_edition_nothing_offers_a_solution_and_nothing_returns_one(monkeypatch, capsys):
    """As if the package of the solutions were not there; tests/site/test_edition.py leaves it out in truth."""
    monkeypatch.setattr(exercises, "find_spec", lambda name: None)
    check("1.1", max_pool2d)
    for _ in hints("1.1"):
        hint("1.1")
    for number, answer in (("1.7", ...), ("1.7", 4), ("1.8", ""), ("1.8", "A dark pixel has a share.")):
        check(number, answer)
    out = capsys.readouterr().out

    assert 'Stuck? hint("1.7") gives a hint.\n' in out and 'Stuck? hint("1.8") gives a hint.\n' in out
    assert out.count("That was the last hint. Your teacher has the solution.\n") == 2
    assert out.endswith("only a person can read your 6 words. Your teacher knows what to look for.\n")
    assert "solution(" not in out
    solution("1.1")
    here = "Exercise 1.1: your teacher has the solution. This is the class edition of the book."
    assert capsys.readouterr().out == f"{here}\n"
    for door, number in ((solution_source, "1.1"), (solution_note, "1.1"), (rubric, "1.8")):
        with pytest.raises(ValueError, match=f"Exercise {number}: your teacher has the solution"):
            door(number)
    with pytest.raises(ValueError, match="there is no exercise '99.9'"):
        solution("99.9")


def test_an_input_is_tried_once_more_with_its_numbers_in_another_order_in_memory():
    """A photograph after `permute` lies so.  PyTorch's own refusal of a view is no wrong number, and is let pass."""
    calls = [Call.of(torch.arange(6.0).reshape(2, 3)), Call.of((torch.arange(12.0).reshape(4, 3), torch.ones(2)))]
    read = lambda x: x.as_strided(x.shape, (x.shape[1], 1)) + 0  # noqa: E731
    with pytest.raises(Wrong, match=r"(?s)numbers differ, first at \[0, 1\].*lie column by column in memory"):
        compare(read, lambda x: x, calls[:1])
    with pytest.raises(Wrong, match="lie column by column in memory"):
        compare(lambda pair: read(pair[0]), lambda pair: pair[0], calls[1:])
    compare(lambda x: x.view(-1), lambda x: x.flatten(), calls[:1])
    with pytest.raises(Wrong, match=r"(?s)numbers differ.*smallest input that shows it:\n    x = tensor") as raised:
        compare(lambda x: x + 1, lambda x: x, calls[:1])
    assert "memory" not in str(raised.value)


def test_a_result_in_float64_is_compared_to_its_last_digits():
    calls = [Call.of(torch.rand(3, dtype=torch.float64))]
    through_float32 = lambda x: x.float().double()  # noqa: E731
    with pytest.raises(Wrong, match="numbers differ, first at .*The first digits are right: perhaps something in"):
        compare(through_float32, lambda x: x, calls)
    with pytest.raises(Wrong, match="value 2 of 2: .*The first digits are right"):
        compare(lambda x: (x, through_float32(x)), lambda x: (x, x), calls)
    compare(through_float32, lambda x: x, calls, rough=True)
    with pytest.raises(Wrong, match="the numbers differ"):
        compare(lambda x: x + 1e-3, lambda x: x, calls, rough=True)


# ---- solutions ----------------------------------------------------------------------------------


def test_a_solution_is_explained_and_imports_nothing_that_it_does_not_use():
    for number in (*CODE, *VALUES):
        tree, note = ast.parse(solution_source(number)), solution_note(number)
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for line in tree.body[:-1]:
            assert isinstance(line, ast.Import | ast.ImportFrom)
            assert used & {alias.asname or alias.name for alias in line.names}, (number, ast.unparse(line))
        assert len(note) > 80 and note == inspect.cleandoc(note) and note.rstrip().endswith((".", "`")), number


def test_a_solution_is_shown_as_code_and_as_text(monkeypatch):
    seen = []
    monkeypatch.setattr(exercises, "display", lambda bundle, raw: seen.append(bundle))
    solution("1.1")

    source, note = solution_source("1.1"), solution_note("1.1")
    assert seen == [{"text/plain": f"{source}\n{note}", "text/markdown": f"```python\n{source}```\n\n{note}"}]


def test_numbers_are_those_of_the_book_in_order():
    places = [tuple(map(int, number.split("."))) for number in NUMBERS]
    assert places == sorted(set(places))
    chapters = {chapter for chapter, _ in places}
    for chapter in chapters:
        kinds = [exercises.kind(number) for number in NUMBERS if number.split(".")[0] == str(chapter)]
        assert len(kinds) >= 9 and set(kinds) == set(checking.TASKS), f"chapter {chapter}: nine, of all kinds"
    assert len(NUMBERS) >= 110
    assert len(chapters) == len(exercises._CHAPTERS)


# ---- values, and words ---------------------------------------------------------------------------


def test_a_value_is_judged_and_the_right_one_is_not_told():
    assert grade("1.7", book_answer("1.7")) is None
    for value in (np.float32(0), torch.tensor(0)):
        assert grade("1.7", value) is None, "a number of NumPy or PyTorch is a number"
    assert grade("1.7", 3) == "You said 3, and that is not what comes out."
    for value in ("0", True, None, (0,)):
        assert grade("1.7", value) == f"A number was wanted, you said {value!r}."
    with pytest.raises(ValueError, match=r"check\('1.7', ...\) wants a value, got a function: call it"):
        grade("1.7", lambda: 0)


def test_a_known_wrong_value_gets_the_hint_that_helps(capsys):
    for place, value in exercises._find("1.7").mistakes:
        check("1.7", value)
        assert f"Hint {place} of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "wanted", "more", "words"),
    [
        ((1, 2), (1, 3), {}, "Value 2 of 2: You said 2, and that is not what comes out."),
        (1, (1, 3), {}, "2 values were wanted, in brackets and with commas; you said 1."),
        (1.2, 1.0, {"within": 0.1}, "You said 1.2,"),
        (math.nan, 1.0, {"within": 0.1}, "You said nan,"),
        (1, True, {}, "True or False was wanted, you said 1."),
        (False, True, {}, "You said False,"),
        ("big", "max", {"among": ("max", "mean")}, "One of 'max', 'mean' was wanted, you said 'big'."),
        ("mean", "max", {"among": ("max", "mean")}, "You said 'mean',"),
    ],
)
def test_agree_says_what_is_wrong_with_a_value(given, wanted, more, words):
    with pytest.raises(Wrong) as raised:
        agree(given, wanted, **more)
    assert str(raised.value).startswith(words)


def test_agree_takes_lists_and_numbers_that_are_close_enough():
    agree([1, True, "max"], (1, True, "max"), among=("max",))
    agree(torch.tensor(0.95), 1, within=0.06)


def test_an_answer_in_words_is_read_by_a_person(capsys):
    for number in WORDS:
        check(number, "Each window keeps a mixture, so something of the crack stays.")
        out = capsys.readouterr().out
        assert out.startswith(f"Exercise {number}: only a person can read your 11 words.")
        assert all(f"[ ] {point}" in out for point in rubric(number))
        assert 2 <= len(rubric(number)) <= 5 and len(solution_note(number)) > 80
        with pytest.raises(ValueError, match="in words, which a person must read"):
            grade(number, "words")
        with pytest.raises(ValueError, match="a text in quotes, got int"):
            check(number, 3)
    with pytest.raises(ValueError, match="check decides Exercise 1.1"):
        rubric("1.1")


# ---- answers that try to be believed ------------------------------------------------------------


class Liar(torch.Tensor):
    """A tensor that calls itself equal to everything."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function.__name__ in ("allclose", "equal", "eq", "__eq__", "isclose"):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})

    __eq__ = __ne__ = lambda self, other: True
    __hash__ = None


class Number(int):
    """A number that calls itself equal to everything."""

    __eq__ = lambda self, other: True  # noqa: E731
    __hash__ = None


def test_a_tensor_that_claims_to_be_equal_is_not_believed():
    def answer(x, kernel_size):
        return max_pool2d(x, kernel_size).as_subclass(Liar)

    assert "a Tensor was wanted, you returned a Liar" in grade("1.1", answer)
    assert "a Tensor was wanted, you returned a Liar" in grade("0.2", lambda mask, classes: Liar(classes))


@pytest.mark.parametrize("number", ["0.3", "0.4", "1.5"])
def test_a_number_that_claims_to_be_equal_is_not_believed(number):
    assert "an int was wanted, you returned a Number" in grade(number, lambda *settings: Number(0))
    assert "an int was wanted, you returned a bool" in grade(number, lambda *settings: True)
    assert "an int was wanted, you returned a Tensor; int(...) makes one" in grade(number, lambda *_: torch.tensor(0))
    assert "an int was wanted, you returned a float; // divides integers" in grade(number, lambda *_: 0.5)


def test_numpys_numbers_are_numbers():
    for mine, wanted in ((np.int64(3), 3), (np.bool_(True), True), (np.float64(0.5), 0.5), (np.uint8(7), 7)):
        compare(lambda x, mine=mine: mine, lambda x, wanted=wanted: wanted, [Call.of(1)])
    with pytest.raises(Wrong, match="a bool was wanted, you returned a NumPy int64|you returned an int"):
        compare(lambda x: np.int64(1), lambda x: True, [Call.of(1)])
    with pytest.raises(Wrong, match="a Tensor was wanted, you returned a NumPy float64"):
        compare(lambda x: np.float64(1), lambda x: torch.ones(()), [Call.of(1)])


@pytest.mark.parametrize(
    ("mine", "wanted", "words"),
    [
        ([1, 2, 3], (1, 2), "2 values were wanted, you returned a list of 3"),
        (None, (1, 2), "2 values were wanted, you returned nothing (is a return missing?)"),
        ([torch.ones(2)], torch.ones(2), "returned a list of 1; torch.tensor makes one of numbers, torch.stack or"),
        (np.ones(2), torch.ones(2), "returned a ndarray; torch.from_numpy makes one of it"),
        (torch.ones(2, 1).max(0), torch.ones(1), "its numbers are .values"),
        (torch.ones(2, 3), torch.ones(3, 2), "it should be (3, 2) (rows and columns have changed places)"),
        (torch.ones(2, 3, 4), torch.ones(2, 5, 4), "it should be (2, 5, 4) (axis 1 has 3 and not 5)"),
        (torch.ones(2), torch.ones(2, 1), "it should be (2, 1) (2 axes were wanted, there are 1)"),
        (torch.ones(2).double(), torch.ones(2), "it should be torch.float32; .to(torch.float32) changes it"),
        (1, True, "a bool was wanted, you returned an int; a comparison gives one"),
    ],
)
def test_a_result_of_the_wrong_kind_is_told_what_helps(mine, wanted, words):
    with pytest.raises(Wrong, match=re.escape(words)):
        compare(lambda x: mine, lambda x: wanted, [Call.of(1)])


def test_a_parameter_is_a_tensor():
    compare(lambda x: torch.nn.Parameter(x), lambda x: x, [Call.of(torch.ones(2))])


@pytest.mark.parametrize("name", ["allclose", "equal", "isclose", "eq"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_replaced_comparison_changes_nothing(monkeypatch, name, inside):
    """In a cell before, or only while the answer runs."""
    monkeypatch.setattr(torch, name, getattr(torch, name))  # put back at the end of this test

    def answer(x, kernel_size):
        setattr(torch, name, lambda *args, **kwargs: True)
        return max_pool2d(x, kernel_size)

    if not inside:
        monkeypatch.setattr(torch, name, lambda *args, **kwargs: True)
    assert "numbers differ" in grade("1.1", answer if inside else max_pool2d)


def test_an_answer_learnt_by_heart_for_one_seed_is_refused():
    """With the inputs of one seed known, a table could hold all results: hence the second draw."""
    table = {}

    def key(x, kernel_size):
        return x.detach().double().numpy().tobytes(), tuple(x.shape), x.dtype, kernel_size

    def learning(x, kernel_size):
        result = table[key(x, kernel_size)] = windows(x, kernel_size).median(dim=-1).values
        return result

    torch.manual_seed(5)
    assert grade("1.2", learning) is None
    learnt = dict(table)
    torch.manual_seed(5)

    assert "stopped with KeyError" in grade("1.2", lambda x, k: learnt[key(x, k)].clone())


def test_a_cache_that_looks_only_at_the_shape_is_refused():
    cache = {}

    def answer(x, kernel_size):
        return cache.setdefault((x.shape, x.dtype, kernel_size), windows(x, kernel_size).median(dim=-1).values)

    assert grade("1.2", answer) is not None


def test_an_answer_that_is_right_only_once_is_refused():
    calls = []

    def answer(kernel_size, stride):
        calls.append(1)
        return kernel_size + stride - 1 + (len(calls) > 20)

    assert "numbers differ" in grade("1.5", answer)


def test_an_answer_that_sets_the_seed_gains_nothing():
    def answer(x, kernel_size):
        torch.manual_seed(0)
        return torch.randint(-9, 10, windows(x, kernel_size).shape[:-1]).to(x.dtype)

    assert grade("1.2", answer) is not None


def test_a_check_leaves_the_readers_random_numbers_alone():
    """Right, wrong or still a stub: the cells below draw what they would have drawn."""

    def stub(x, kernel_size):
        raise NotImplementedError("your turn")

    torch.manual_seed(3)
    expected = torch.rand(4)
    for answer in (min_pool2d, max_pool2d, stub):
        torch.manual_seed(3)
        check("1.1", answer)

        assert torch.equal(torch.rand(4), expected)


def test_the_same_wrong_answer_gets_the_same_message_after_the_same_seed():
    """So that a page may show one: its stored output must repeat."""
    problems = set()
    for _ in range(2):
        torch.manual_seed(1)
        problems.add(grade("1.1", max_pool2d))

    assert len(problems) == 1


def test_the_seed_in_the_message_repeats_the_check():
    """Also of a mistake that only the second draw shows, which is new every time."""
    known = set()

    def learning(x, kernel_size):
        known.add((kernel_size, x.sum().item()))
        return min_pool2d(x, kernel_size)

    def lucky(x, kernel_size):
        return min_pool2d(x, kernel_size) + ((kernel_size, x.sum().item()) not in known)

    torch.manual_seed(4)
    seed = whole(0, 10**6)  # as `grade` will draw it
    assert grade("1.1", learning, seed) is None
    torch.manual_seed(4)
    problem = grade("1.1", lucky)

    new = int(re.search(r"seed=(\d+)", problem).group(1))
    assert new != seed
    assert grade("1.1", lucky, new) == problem
    assert grade("1.1", lucky, seed) is None


def test_every_two_settings_meet_in_a_few_combinations():
    axes = (1, 2, 3, 4), "abc", (False, True), (1, 2, 4)

    def fits(one, letter, flag, last):
        return not (flag and last == 4) and last <= one

    rows, everything = all_pairs(*axes, fits=fits), [row for row in product(*axes) if fits(*row)]
    assert rows[0] == (1, "a", False, 1) and set(rows) < set(everything) and len(rows) <= 16 < len(everything)
    for i, j in permutations(range(4), 2):
        assert {(row[i], row[j]) for row in rows} == {(row[i], row[j]) for row in everything}
    assert all_pairs((1, 2), fits=lambda one: one > 2) == []


def test_gradients_are_checked_even_where_the_notebook_switched_them_off():
    with torch.no_grad():
        assert grade("1.4", book_answer("1.4")) is None
        assert "The gradient is wrong" in grade("1.4", lambda *given: windows_1d(*given).amax(dim=-1))


def test_a_changed_input_is_seen_though_the_result_is_right():
    def answer(x, kernel_size):
        result = min_pool2d(x, kernel_size)
        x[..., 0, 0] = 5.5
        return result

    problem = grade("1.1", answer)

    assert "Your code changes x, which it was given and which its caller still needs" in problem
    assert "Work on a copy: x.clone()." in problem
    assert "The input that was changed:\n    x = tensor(" in problem
    assert "5.5" not in problem


@pytest.mark.parametrize(
    ("given", "change", "cure"),
    [
        ({"a": 1}, lambda one: one.pop("a"), "dict(one)"),
        ([1, 2], lambda one: one.pop(), "list(one)"),
        ((torch.ones(2), torch.ones(3)), lambda one: one[1].zero_(), "[one.clone() for one in one]"),
        (torch.nn.Linear(1, 1), lambda one: one.eval(), "copy.deepcopy(one)"),
    ],
)
def test_a_changed_input_is_named_whatever_it_is(given, change, cure):
    def trusted(one):
        return 0

    def answer(one):
        change(one)
        return 0

    with pytest.raises(Wrong, match=re.escape("Your code changes one, which it was given and which its caller")) as e:
        compare(answer, trusted, [Call.of(given)])
    assert f"Work on a copy: {cure}." in str(e.value)
    compare(lambda one: 0, trusted, [Call.of(given)])  # the caller's own has stayed as it was


def test_a_network_that_differs_is_told_where():
    def network():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.ReLU()))

    def judged(change):
        mine = network()
        changed = change(mine)
        with pytest.raises(Wrong) as e:
            compare(lambda x: mine if changed is None else changed, lambda x: network(), [Call.of(1)])
        assert "Linear(" not in str(e.value), "two networks that look alike say nothing"
        return str(e.value)

    compare(lambda x: network(), lambda x: network(), [Call.of(1)])
    assert "1.0 is in evaluation mode, it should be in training mode" in judged(lambda one: one[1][0].eval() and None)
    assert "0.weight has other numbers" in judged(lambda one: torch.nn.init.zeros_(one[0].weight) is None or None)
    assert "it lacks 1.0" in judged(lambda one: torch.nn.Sequential(one[0], torch.nn.Sequential()))
    assert "it has 2, which should not be there" in judged(lambda one: one.append(torch.nn.ReLU()))


def test_the_trusted_side_never_sees_what_the_answer_did_to_its_input():
    """Each side has its own copy: a picture set to zero makes the wrong result no righter."""

    def answer(x, kernel_size):
        x.zero_()
        return max_pool2d(x, kernel_size)

    assert grade("1.1", answer) is not None


def test_the_raise_of_a_stub_hides_no_later_mistake():
    """Answers that are half finished wait; those that return something are judged."""
    assert grade("1.1", lambda x, k: None) is not None

    def half_finished(x, kernel_size):
        if kernel_size > 1:
            raise NotImplementedError("your turn")
        return x.clone()

    with pytest.raises(NotImplementedError, match=checking.STUB):
        grade("1.1", half_finished)


def test_the_closed_operators_are_open_again_afterwards():
    x = torch.rand(1, 1, 4, 6)
    for answer in (lambda *args: functional.max_pool1d(*args), book_answer("1.4")):
        grade("1.4", answer)

        assert torch.equal(functional.max_pool2d(x, 2), max_pool2d(x, 2))


def test_a_caught_refusal_is_no_way_through():
    def answer(x, kernel_size, stride, padding):
        try:
            return functional.max_pool1d(x, kernel_size, stride, padding)
        except Exception:
            return max_pool2d(x[:, :, None], (1, kernel_size), (1, stride), (0, padding))[:, :, 0]

    assert "without PyTorch's own (max_pool" in grade("1.4", answer)


def test_all_of_the_book_is_closed_but_what_is_allowed():
    """A function, a class with what it calls, a module; the message says what is open."""
    call = [Call.of(torch.rand(1, 1, 4, 6))]
    pooled = lambda x: max_pool2d(x, 2)  # noqa: E731
    layer = lambda x: pooling.MaxPool2d(2)(x)  # noqa: E731
    for one, allows in ((pooled, (pooling.max_pool2d,)), (layer, (pooling.MaxPool2d,)), (layer, (pooling,))):
        compare(Answer(one, allows), pooled, call)
    with pytest.raises(Wrong, match="without the book's max_pool2d.$"):
        compare(pooled, pooled, call)
    with pytest.raises(Wrong, match="without the book's max_pool2d. Of the book you may use windows and AvgPool2d.$"):
        compare(Answer(pooled, (windows, pooling.AvgPool2d)), pooled, call)
    with pytest.raises(Wrong, match="without the book's MaxPool2d"):
        compare(Answer(layer, (pooling.max_pool2d,)), pooled, call)


def test_the_book_may_be_imported_by_an_answer():
    """What a module does while it is imported is not the answer's doing."""

    def answer(x):
        importlib.reload(interesting)
        return x

    interesting = importlib.import_module("chapters_code.colours")
    compare(answer, lambda x: x, [Call.of(torch.ones(2))])


@pytest.mark.parametrize("number", CODE)
def test_the_solution_itself_is_no_answer(number):
    function, _ = exercises._solution(number)

    assert "without our solution" in grade(number, function)


# ---- answers that print, or never end -----------------------------------------------------------


def test_what_an_answer_prints_is_shown_once(capsys):
    """With the input that goes wrong, or, if it is right, with the first."""

    def right(kernel_size, stride):
        print("kernel", kernel_size, "stride", stride)
        return kernel_size + stride - 1

    check("1.5", right)
    out = capsys.readouterr().out
    assert out.startswith("Exercise 1.5: right.") and out.count("kernel") == 1
    assert out.endswith("On the first input your code printed:\n    kernel 1 stride 1\n")

    check("1.5", lambda kernel_size, stride: right(kernel_size, stride) + (kernel_size > 2))
    out = capsys.readouterr().out
    assert out.startswith("Exercise 1.5: not yet. The result is wrong")
    assert out.count("kernel 3 stride 1") == out.count("stride 1") == 1
    assert "On this input your code printed:\n    kernel 3 stride 1\n" in out


def test_a_flood_of_lines_is_cut(capsys):
    def answer(kernel_size, stride):
        for i in range(1000):
            print(i)
        return -1

    check("1.5", answer)
    assert "\n    9\n    ... and 990 lines more\n" in capsys.readouterr().out


def never(kernel_size, stride):
    while kernel_size != stride + 0.5:
        kernel_size += 1


def never_and_catches(kernel_size, stride):
    while True:
        try:
            kernel_size += 1
        except BaseException:
            stride += 1


def never_and_calls(kernel_size, stride):
    while True:
        str(kernel_size)


@pytest.mark.parametrize("answer", [never, never_and_catches, never_and_calls])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_answer_that_never_ends_is_stopped_and_told_so(monkeypatch, answer, elsewhere):
    """In the main thread, as in a notebook, or in another; by no signal, so on Windows, too."""
    monkeypatch.setattr(checking, "LIMIT", 0.3)
    problems = []
    before = threading.active_count()
    if elsewhere:
        thread = threading.Thread(target=lambda: problems.append(grade("1.5", answer)))
        thread.start()
        thread.join()
    else:
        problems.append(grade("1.5", answer))

    assert problems[0].startswith("Your code was stopped: it had run for more than 0.3 seconds. Probably a loop")
    assert re.search(r"in line \d+:  (while|try|kernel_size|except|stride|str)", problems[0])
    assert threading.active_count() == before, "a thread that goes on would eat the processor"
    assert grade("1.5", book_answer("1.5")) is None


def right_after(seconds):
    """A right answer to 1.5 that takes so long for each input."""

    def answer(kernel_size, stride):
        time.sleep(seconds)
        return kernel_size + stride - 1

    return answer


def test_an_answer_that_ends_late_is_not_hit_afterwards(monkeypatch):
    """One long call of C cannot be cut short; when it comes back, nothing is left to hit the next cell."""
    monkeypatch.setattr(checking, "LIMIT", 0.3)

    assert "was stopped" in grade("1.5", right_after(0.7))
    for _ in range(10**5):
        pass


def test_a_reader_who_stops_the_cell_is_obeyed_and_exit_is_a_mistake():
    before = threading.active_count()

    def interrupted(kernel_size, stride):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade("1.5", interrupted)
    assert threading.active_count() == before and sys.getprofile() is None
    assert "Your code stopped with SystemExit" in grade("1.5", lambda kernel_size, stride: sys.exit())


def test_an_answer_that_is_slow_each_time_is_stopped_in_the_end(monkeypatch):
    monkeypatch.setattr(checking, "LIMIT", 0.1)

    assert "it had run for more than 1.2 seconds on all inputs together" in grade("1.5", right_after(0.09))


def test_a_check_goes_by_float32_whatever_the_reader_has_set():
    torch.set_default_dtype(torch.float64)
    try:
        for number in ("0.2", "1.3", "4.1", "9.6"):
            assert grade(number, book_answer(number)) is None
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_no_gradient_is_as_good_as_one_of_zeros():
    x = Call.of(torch.ones(2), torch.zeros(2))
    compare(lambda x, y: x * 2, lambda x, y: x * 2 + 0 * y, [x], gradients=True)
    compare(lambda x, y: torch.zeros(2), lambda x, y: x * 0 + 0 * y, [x], gradients=True)


@cache
def tasks():
    """The text of each exercise: what stands between its heading and its stub."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for before, cell in pairwise(cells):
            if number := re.search(r'check\("([\d.]+)"', "".join(cell["source"])):
                text = "".join(before["source"])
                found[number.group(1)] = text[text.index("### Exercise ") :]
    return found


def test_what_is_allowed_stands_in_the_task():
    for number in NUMBERS:
        missing = unnamed(tasks()[number], exercises._find(number).allows)
        assert missing == [], f"{number} may use {missing}, and its task does not say so"


@pytest.mark.slow
@pytest.mark.parametrize("number", CODE)
def test_what_a_check_asks_for_stands_in_the_task(number):
    """A right answer may look otherwise; and where a gradient, a dtype or an integer is wanted, the task says so."""
    assert unsaid(tasks()[number], book_answer(number), lambda answer: grade(number, answer, 0)) == []


def test_a_traced_call_is_seen_too():
    """The guard sits below Python: whoever calls, the operator is refused."""
    graph = torch.fx.symbolic_trace(lambda x: torch.max_pool1d(x, 2))

    assert "PyTorch's own (max_pool" in grade("1.4", lambda x, k, s, p: graph(x))


# ---- what a wrong answer is told first ----------------------------------------------------------


def test_values_are_judged_before_gradients():
    """One number for the whole batch is right where N = C = 1; that must not pass for a slip in the gradient."""

    def one_number_for_all(x, kernel_size, stride, padding):
        padded = functional.pad(x, (padding, padding), value=float("-inf"))
        out = x.new_empty(*x.shape[:-1], (padded.shape[-1] - kernel_size) // stride + 1)
        for i in range(out.shape[-1]):
            out[..., i] = padded[..., i * stride : i * stride + kernel_size].max()
        return out

    assert grade("1.4", one_number_for_all).startswith("The result is wrong: the numbers differ")


def test_a_reason_that_says_it_all_uses_up_no_hint(capsys):
    check("1.1", lambda x, kernel_size: -max_pool2d(-x, kernel_size).double())
    out = capsys.readouterr().out

    assert "dtype" in out and "Hint" not in out
    assert out.endswith('Stuck? hint("1.1") gives a hint.\n')
    hint("1.1")
    assert capsys.readouterr().out.startswith("Hint 1 of 3")


def test_one_of_two_values_is_named():
    problem = grade("0.5", lambda picture, mask, *box: (torch.zeros(3, *box[2:]), torch.full(box[2:], 255)))

    assert "value 1 of 2: the dtype is torch.float32, it should be torch.uint8" in problem


def test_gradients_of_all_arguments_are_compared():
    """A convolution must hand a gradient to its weight, too."""

    def trusted(x, weight):
        return functional.conv1d(x, weight)

    call = Call.of(torch.randn(1, 1, 5), torch.randn(1, 1, 3))
    compare(lambda x, weight: functional.conv1d(x, weight), trusted, [call], gradients=True)
    with pytest.raises(Wrong, match="gradient is wrong: value 2 of 2: none comes back"):
        compare(lambda x, weight: functional.conv1d(x, weight.detach()), trusted, [call], gradients=True)
    with pytest.raises(Wrong, match="gradient is wrong: value 2 of 2"):
        halved = lambda x, weight: functional.conv1d(x, weight.detach() / 2 + weight / 2)  # noqa: E731
        compare(halved, trusted, [call], gradients=True)


def test_a_solution_without_an_explanation_is_named(monkeypatch):
    monkeypatch.setattr(exercises._solution("1.1")[0], "__doc__", None)
    with pytest.raises(ValueError, match="exercise 1.1 needs a solution: a function min_pool2d.*with a docstring"):
        solution_source("1.1")

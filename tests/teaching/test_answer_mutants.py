"""The tool that spoils solutions: what it plants, what it finds, and that the checks refuse a sample of it."""

import hashlib
import os
import re
import sys
from dataclasses import replace
from functools import cache
from itertools import groupby

import pytest
import torch

import answer_mutants
from answer_mutants import ALIVE, KILLED, Mutant, Task
from chapters_code.exercises import checking
from chapters_code.exercises.checking import Call, Exercise, compare

CHAPTERS = {
    chapter: list(numbers) for chapter, numbers in groupby(answer_mutants.tasks(), lambda number: number.split(".")[0])
}


def digest(mutant):
    return hashlib.sha256(f"{mutant.of} {mutant.fault}".encode()).hexdigest()


@cache
def in_the_text(number):
    return list(answer_mutants.in_the_text(answer_mutants.tasks()[number]))


def sample(chapter):
    """One mutant of each kind: of those in the text, from all exercises; of those around it, from one of them."""
    numbers = CHAPTERS[chapter]
    drawn = min(numbers, key=lambda number: hashlib.sha256(number.encode()).hexdigest())
    found = [mutant for number in numbers for mutant in in_the_text(number)]
    found += answer_mutants.around(answer_mutants.tasks()[drawn])
    known = answer_mutants.reasons()
    found = [mutant for mutant in found if mutant.fault not in known.get(mutant.of, {})]
    return list({mutant.kind: mutant for mutant in sorted(found, key=digest)}.values())


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_checks_refuse_a_sample_of_mutants(monkeypatch, chapter):
    """All of them are judged by `python tools/answer_mutants.py`."""
    monkeypatch.setattr(checking, "LIMIT", 1.0)
    drawn = sample(chapter)
    assert len(drawn) >= 10
    alive = [(one.of, one.kind, one.fault) for one in drawn if answer_mutants.judge(one) == ALIVE]
    assert alive == [], "found right: mend the check, or write into tests/answer_mutants.json why no check could tell"


def test_what_is_called_equivalent_is_a_mutant_and_has_a_reason():
    for number, faults in answer_mutants.reasons().items():
        assert number in answer_mutants.tasks()
        known = {mutant.fault for mutant in in_the_text(number)}
        assert [fault for fault in faults if " → " in fault and fault not in known] == [], number
        assert all(len(reason) > 10 for reason in faults.values()), number


def task(text, check, **more):
    return Task(Exercise("1.1", "f", check, ()), text, {"torch": torch} | more)


def faults(text):
    return {mutant.fault.split(" → ")[1] for mutant in answer_mutants.in_the_text(task(text, None))}


@pytest.mark.parametrize(
    ("line", "became"),
    [
        ("return x + 2 * y", "return x - 2 * y | return x + 2 / y | return x + y | return 2 * y | return x + 3 * y"),
        ("return x.mean(dim=-1)", "return x.mean(dim=-2) | return x.mean() | return x | return -x.mean(dim=-1)"),
        ("return x.shape[2]", "return x.shape[3] | return x.shape[1]"),
        ("return x[1:y]", "return x[2:y] | return x[1:y + 1] | return x[1:y - 1] | return x[:y] | return x[1:]"),
        ("return x <= y", "return x < y | return x > y"),
        ("return (x // y, y)", "return (x / y, y) | return (y // x, y) | return (-(-x // y), y) | return (y, x // y)"),
        ("return max(x, y)", "return min(x, y) | return max(x) | return x | return -max(x, y)"),
        ("return torch.cat([x, y], dim=True)", "return torch.cat([x, y]) | return torch.cat([y, x], dim=True)"),
    ],
)
def test_the_faults_in_a_line(line, became):
    assert set(became.split(" | ")) <= faults(f"def f(x, y):\n    {line}")


def test_an_axis_counted_from_the_other_end_is_no_fault():
    assert "return x.flip(2)" not in faults("def f(x):\n    return x.flip(-2)")


def test_heights_and_widths_are_exchanged_where_both_are_known():
    found = faults("def f(height, width):\n    return height * 3 + width")
    assert {"return width * 3 + width", "return height * 3 + height"} <= found


def hole(answer):
    """A check with holes: one small picture, square, a batch of one, in float32."""
    compare(answer, lambda x: -x.sum(dim=-1), [Call.of(torch.arange(4.0).reshape(1, 1, 2, 2))], gradients=True)


def test_a_hole_in_a_check_is_found(monkeypatch):
    spoiled = task("def f(x):\n    return -x.sum(dim=-1)", hole)
    monkeypatch.setattr(answer_mutants, "tasks", lambda: {"1.1": spoiled})
    found = answer_mutants.mutants(spoiled)
    alive = {(mutant.kind, mutant.fault) for mutant in found if answer_mutants.judge(mutant) == ALIVE}
    assert alive == {
        ("square only", "x: cut to a square"),
        ("the first only", "x: the first on axis 0 for all"),
        ("the first only", "x: the first on axis 1 for all"),
    }
    killed = {mutant.kind for mutant in found} - {kind for kind, _ in alive}
    assert {"axis", "sign", "memory", "gradient", "input changed"} <= killed


@pytest.mark.slow
def test_one_that_never_ends_or_stops_the_process_costs_little(monkeypatch):
    """In a process of its own, as the tool does it."""
    spoiled = task("def f(x):\n    return -x.sum(dim=-1)", hole, os=os)
    monkeypatch.setattr(answer_mutants, "tasks", lambda: {"1.1": spoiled})
    monkeypatch.setattr(checking, "LIMIT", 0.3)
    monkeypatch.setattr(answer_mutants, "LIMIT", 0.3)
    monkeypatch.setattr(answer_mutants.gc, "freeze", lambda: None)
    texts = {
        "never ends": "def f(x):\n    while True:\n        pass",
        "kills itself": "def f(x):\n    os.kill(os.getpid(), 9)",
        "is right": spoiled.text,
    }
    found = [
        Mutant("1.1", "loop", name, lambda text=text: replace(spoiled, text=text).build())
        for name, text in texts.items()
    ]
    became = answer_mutants.run(found, jobs=2, seeds=1)
    assert {mutant.fault: status for mutant, status in became.items()} == {
        "never ends": KILLED,
        "kills itself": KILLED,
        "is right": ALIVE,
    }


@pytest.mark.slow
def test_the_command_prints_a_table_and_what_is_left(monkeypatch, capsys):
    spoiled = task("def f(x):\n    return -x.sum(dim=-1)", hole)
    monkeypatch.setattr(answer_mutants, "tasks", lambda: {"1.1": spoiled})
    monkeypatch.setattr(answer_mutants.gc, "freeze", lambda: None)
    first = "x: the first on axis 0 for all"
    reasons = {"1.1": {first: "so be it", "x: rounded": "wrong", "y: rounded": "gone"}}
    monkeypatch.setattr(answer_mutants, "reasons", lambda: reasons)
    monkeypatch.setattr(sys, "argv", ["answer_mutants.py", "1", "--jobs", "2"])
    assert answer_mutants.main() == 1
    table, holes, dead, gone = capsys.readouterr().out.split("\n\n")
    assert re.search(r"^kind +all +killed +equivalent +open$", table, re.MULTILINE)
    assert re.search(r"^the first only +2 +0 +1 +1$", table, re.MULTILINE)
    assert "1.1  [square only]  x: cut to a square" in holes and first not in holes
    assert dead.endswith("1.1  [values]  x: rounded") and gone.endswith("1.1  y: rounded\n")
    monkeypatch.setattr(sys, "argv", ["answer_mutants.py", "99"])
    with pytest.raises(SystemExit):
        answer_mutants.main()
    assert "no exercise that asks for code fits; there are 1.1" in capsys.readouterr().err

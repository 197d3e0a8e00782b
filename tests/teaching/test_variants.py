"""The variants: each asks for something else than the exercise it stands beside, says so, and has a right solution."""

import ast
import inspect
import re

import pytest

import answer_mutants
from chapters_code import exercises
from classroom.variants import variants
from said import unnamed, unsaid

VARIANTS = variants()
CODE = [number for number in exercises.numbers() if exercises.kind(number) == "code"]
each = pytest.mark.parametrize("number", VARIANTS)


def task_of(number):
    return answer_mutants.tasks()[number]


def test_every_exercise_that_asks_for_code_has_one():
    assert list(VARIANTS) == CODE
    names = [one.exercise.name for one in VARIANTS.values()]
    assert len(set(names)) == len(names) and not set(names) & {exercises._find(number).name for number in CODE}


@each
def test_a_variant_is_whole(number):
    variant = VARIANTS[number]
    task = inspect.cleandoc(variant.task)
    assert variant.exercise.number == f"{variant.of}b" and variant.exercise.kind == "code"
    assert variant.title
    assert variant.solution.__name__ == variant.exercise.name and len(inspect.getdoc(variant.solution)) > 80
    assert unnamed(task, variant.exercise.allows) == []
    given = list(inspect.signature(variant.solution).parameters)
    assert [name for name in given if not re.search(rf"\b{name}\b", task)] == [], "a task names what an answer is given"
    ast.parse(task_of(f"{number}b").text)


@each
def test_its_solution_is_right_whatever_is_drawn_and_no_other_is(number):
    original, variant = task_of(number), task_of(f"{number}b")
    for seed in range(4):
        assert variant.problem(variant.build(), seed) is None
        assert variant.problem(original.build(), seed) is not None, "the answer from the book is right here, too"
        assert original.problem(variant.build(), seed) is not None, "who has solved this one has solved the book's"


@each
def test_what_its_check_asks_for_stands_in_its_task(number):
    variant = task_of(f"{number}b")
    task = inspect.cleandoc(VARIANTS[number].task)
    assert unsaid(task, variant.build(), lambda answer: variant.problem(answer, 0)) == []

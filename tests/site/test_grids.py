"""A loop inside one test says as much as a case of its own."""

import pytest
import torch

from grids import every


def test_every_combination_is_run_from_the_same_random_numbers():
    run = []

    @every(("one", "two"), [(1, 2), (3, 4)], letter="ab")
    def test(letter, fixture, one, two):
        run.append((letter, fixture, one, two, torch.rand(()).item()))

    test(fixture="f")
    assert [case[:-1] for case in run] == [("a", "f", 1, 2), ("b", "f", 1, 2), ("a", "f", 3, 4), ("b", "f", 3, 4)]
    assert len({case[-1] for case in run}) == 1


def test_the_case_that_fails_is_named():
    @every(letter="ab", value=iter([1, 2, 3]))
    def test(letter, value):
        with pytest.raises(ZeroDivisionError):
            1 / (value - 3 if letter == "b" else 0)

    with pytest.raises(AssertionError, match="^letter = 'b', value = 1: DID NOT RAISE") as caught:
        test()
    assert isinstance(caught.value.__cause__, pytest.fail.Exception), "the traceback of the case itself is shown, too"


@every(value=[1])
def test_what_is_left_of_the_arguments_is_a_fixture(tmp_path, value):
    assert tmp_path.is_dir() and value == 1

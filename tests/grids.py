"""Tests that run through many cases as one: pytest needs longer to list a thousand than most need to run."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import pytest
import torch


def every(names: Sequence[str] = (), values: Iterable[tuple] = ((),), /, **axes: Iterable) -> Callable:
    """Run a test with every combination of these values, as one test, where `pytest.mark.parametrize` makes many.

    The error of the case that fails begins with the case.  All cases start with the same random numbers, so that one
    of them fails by itself as it does among the others.  They share their fixtures.

    Args:
        names: Arguments of the test that go together, such as ("stride", "padding").
        values: Their values, a tuple for each case.
        axes: The values of each other argument.
    """
    rows = product(values, *axes.values())
    cases = [dict(zip((*names, *axes), (*value, *rest), strict=True)) for value, *rest in rows]

    def decorate(test: Callable) -> Callable:
        signature = inspect.signature(test)

        @functools.wraps(test)
        def run(**fixtures: object) -> None:
            start = torch.get_rng_state()
            for case in cases:
                torch.set_rng_state(start)
                try:
                    test(**fixtures, **case)
                except (Exception, pytest.fail.Exception) as error:
                    described = ", ".join(f"{name} = {value!r}" for name, value in case.items())
                    raise AssertionError(f"{described}: {error}") from error

        # pytest asks the signature which fixtures a test wants.
        left = [one for one in signature.parameters.values() if one.name not in (*names, *axes)]
        run.__signature__ = signature.replace(parameters=left)
        return run

    return decorate

"""Tests that run through many cases as one: pytest needs longer to list a thousand than most need to run."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence

import pytest
import torch


class CaseFailed(AssertionError):
    """One case of a test failed: which one, and why."""


def _described(case: dict[str, object]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in case.items())


def every(names: str | Sequence[str], values: Iterable) -> Callable[[Callable], Callable]:
    """Run a test with each of these values, as `pytest.mark.parametrize` does, but in a loop inside one test.

    The error of the case that fails begins with the case.  All cases start with the same random numbers, so that one
    of them fails by itself as it does among the others.  They share their fixtures.

    Args:
        names: The argument of the test, or several: ("wavelet", "size").
        values: Its values; a tuple for each case if there are several arguments.
    """
    names, values = (names,) if isinstance(names, str) else tuple(names), list(values)

    def decorate(test: Callable) -> Callable:
        signature = inspect.signature(test)

        @functools.wraps(test)
        def run(**fixtures: object) -> None:
            start = torch.get_rng_state()
            for value in values:
                case = dict(zip(names, value if len(names) > 1 else (value,), strict=True))
                torch.set_rng_state(start)
                try:
                    test(**fixtures, **case)
                except CaseFailed as error:  # of an `every` inside this one
                    raise CaseFailed(f"{_described(case)}, {error}") from error.__cause__
                except (Exception, pytest.fail.Exception) as error:
                    raise CaseFailed(f"{_described(case)}: {error}") from error

        # pytest asks the signature which fixtures a test wants.
        left = [one for one in signature.parameters.values() if one.name not in names]
        run.__signature__ = signature.replace(parameters=left)
        return run

    return decorate

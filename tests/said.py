"""Whether a task says what its check asks for: shared by the exercises and their variants."""

import re
from collections.abc import Callable

import numpy as np
import torch


def unnamed(task: str, allows: tuple) -> list[str]:
    """Return what an answer may use of the book, and its task does not name."""
    names = [one.__name__.split(".")[-1] for one in allows]
    return [name for name in names if name not in task and not name.startswith("_")]


def unsaid(task: str, ours: Callable, problem: Callable[[Callable], str | None]) -> list[str]:
    """Return what a check asks for and its task does not say; and what it says of a right answer that looks otherwise.

    Args:
        task: What students read.
        ours: The solution.
        problem: What the check says of an answer, None if it is right.
    """
    results = []

    def otherwise(*given):
        result = ours(*given)
        results.extend(result if type(result) in (tuple, list) else [result])
        return disguised(result)

    def without_gradient(*given):
        result = ours(*given)
        return result.detach() if type(result) is torch.Tensor else result

    refused = problem(otherwise)
    wanted = {
        "that an integer is wanted": (int, r"\bint(s|eger)?\b"),
        "that True or False is wanted": (bool, "True"),
        "which dtype is wanted": (torch.Tensor, r"dtype|float32|float64|int64|bool tensor"),
    }
    missing = [refused] if refused else []
    for what, (kind, words) in wanted.items():
        if any(type(one) is kind for one in results) and not re.search(words, task):
            missing.append(what)
    if "gradient is wrong" in (problem(without_gradient) or "") and "radient" not in task:
        missing.append("that gradients must go through")
    return missing


def disguised(value):
    """The same result as another right answer would return it: lists, NumPy's numbers, another layout in memory."""
    if type(value) is tuple:
        return [disguised(one) for one in value]
    if type(value) in (int, bool):
        return np.int64(value) if type(value) is int else np.bool_(value)
    if type(value) is torch.Tensor and value.dim() > 1:
        return value.mT.contiguous().mT
    return value

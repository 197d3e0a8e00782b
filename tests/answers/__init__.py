"""Answers to the exercises as students write them, right and wrong: what the checks are tested with.

`@right("1.1")` marks an answer that must pass.  `@wrong("1.1", "words")` marks one that must be refused, in a
message that holds these words.  The function's name says what is special about the answer.

Where a value is asked for, `right_values("1.7", ...)` and `wrong_values("1.7", ..., words="...")` list some.
"""

from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

RIGHT: dict[str, list] = defaultdict(list)
WRONG: dict[str, list[tuple]] = defaultdict(list)


def right(number: str) -> Callable[[Callable], Callable]:
    def mark(answer: Callable) -> Callable:
        RIGHT[number].append(answer)
        return answer

    return mark


def wrong(number: str, words: str) -> Callable[[Callable], Callable]:
    def mark(answer: Callable) -> Callable:
        WRONG[number].append((answer, words))
        return answer

    return mark


def right_values(number: str, *values: object) -> None:
    RIGHT[number] += values


def wrong_values(number: str, *values: object, words: str = "is not what comes out") -> None:
    WRONG[number] += [(value, words) for value in values]


# One module for each chapter; each fills in its own.
for _path in sorted(Path(__file__).parent.glob("[!_]*.py")):
    import_module(f"{__name__}.{_path.stem}")

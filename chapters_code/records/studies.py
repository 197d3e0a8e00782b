"""Studies: many runs that differ in a few settings, put together so that they can be compared (Chapters 07 and 10).

    study  --scores-->  arm: one number per seed  --interval, difference-->  mean ± half a 95 % interval

An *arm* is one of the things compared.  All arms have the same seeds, so that two can be compared seed by seed.  The
files lie in the folder `studies` beside this one, are checked against a schema (see `records.shelf`), and hold what
`experiments/` has collected; none is typed.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from chapters_code.records.shelf import Shelf

__all__ = ["Interval", "conditions", "difference", "interval", "load", "names", "paired", "save", "scores", "table"]

Study = dict[str, Any]

_SHELF = Shelf(Path(__file__).with_suffix(""), "study")  # the folder of this name
names, load, save = _SHELF.names, _SHELF.load, _SHELF.save

# Student's t: a mean of n normal numbers lies within _T[n] standard errors of the true one 95 times in 100.
_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


class Interval(NamedTuple):
    """A mean, and how far the true one may lie from it, 95 times in 100."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half:.3f}"


def scores(study: Study, score: str | Callable[[dict], float], **settings: str) -> dict[str, list[float]]:
    """Return one number of each run, arm by arm, the seeds of each in the same order.

    Args:
        study: What `load` gave.
        score: Name of a score, such as "ods_f1@2px"; or a function that takes a run and gives a number.
        settings: Which runs: their pictures, optimizer and so on, such as pictures="DeepCrack", optimizer="sgd".

    Raises:
        ValueError: No run has these settings, a run has no such score, or the runs cannot be compared: an arm has a
            seed twice, or lacks one that another has.
    """
    chosen = [run for run in study["runs"] if all(run.get(name) == value for name, value in settings.items())]
    if not chosen:
        raise ValueError(f"the study {study['name']} has no run with {settings}; the first one is {study['runs'][0]}")
    of_arm: dict[str, dict[int, float]] = {}
    for run in chosen:
        if isinstance(score, str) and score not in run["scores"]:
            raise ValueError(f"a run has no score {score!r}; it has: {', '.join(run['scores'])}")
        values = of_arm.setdefault(run["arm"], {})
        if run["seed"] in values:
            raise ValueError(
                f"{run['arm']} has seed {run['seed']} twice: say which runs you mean, such as optimizer='sgd'"
            )
        values[run["seed"]] = run["scores"][score] if isinstance(score, str) else score(run)
    seeds = sorted(set().union(*of_arm.values()))
    for arm, values in of_arm.items():
        if missing := set(seeds) - set(values):
            raise ValueError(f"{arm} lacks seed {min(missing)}, so it cannot be compared with the others")
    return {arm: [values[seed] for seed in seeds] for arm, values in of_arm.items()}


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of a few numbers and half its 95 % interval, by Student's t.

    Raises:
        ValueError: There are fewer than 2 or more than 10 numbers.

    Example:
        >>> print(interval([0.80, 0.82, 0.84]))
        0.820 ± 0.050
    """
    if len(values) not in _T:
        raise ValueError(f"an interval needs 2 to 10 numbers, got {len(values)}")
    return Interval(fmean(values), _T[len(values)] * stdev(values) / len(values) ** 0.5)


def difference(of_arm: Mapping[str, Sequence[float]], arm: str, control: str) -> Interval:
    """Compare two arms seed by seed: the mean of arm − control, with its interval.

    What a seed does to both alike falls out of the difference.

    Raises:
        ValueError: There is no such arm, or the two have not as many seeds, 2 to 10.
    """
    return interval(paired(of_arm, arm, control))


def paired(of_arm: Mapping[str, Sequence[float]], arm: str, control: str) -> list[float]:
    """Return arm − control, one number for each seed.

    Raises:
        ValueError: There is no such arm, or the two have not as many seeds.
    """
    for name in (arm, control):
        if name not in of_arm:
            raise ValueError(f"there is no arm {name!r}; there are: {', '.join(of_arm)}")
    ours, theirs = of_arm[arm], of_arm[control]
    if len(ours) != len(theirs):
        raise ValueError(
            f"{arm} has {len(ours)} seeds, {control} has {len(theirs)}: only the same seeds can be compared"
        )
    return [one - other for one, other in zip(ours, theirs, strict=True)]


def table(columns: Mapping[str, Mapping[str, Sequence[float] | str]], first: str = "arm") -> str:
    """Set arms below each other, as a Markdown table.

    Args:
        columns: Title -> arm -> the numbers of its seeds, of which mean and interval are written, or a text.
        first: The title of the first column, which names the arms.

    Raises:
        ValueError: There is no column, or the columns have not the same arms.
    """
    arms = list(next(iter(columns.values()), ()))
    if not arms or any(set(column) != set(arms) for column in columns.values()):
        raise ValueError(f"a table needs one column or more, of the same arms; got {dict(columns)}")
    rows = [(first, *columns), ("---",) * (1 + len(columns))]
    for arm in arms:
        cells = (column[arm] for column in columns.values())
        texts = (cell if isinstance(cell, str) else str(interval(cell)) for cell in cells)
        # Spaces that do not break: a mean and its interval stay on one line.
        rows.append((arm, *(text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}") for text in texts)))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def conditions(study: Study) -> str:
    """Say in a few sentences what the runs were run on: the data, the hardware, the time."""
    recipe, places = study["recipe"], study["ran_on"]
    pictures = "; ".join(
        f"{name}, {one['epochs']} epochs of {one['train']['count']} pictures, scored on {one['test']['count']} others"
        for name, one in study["pictures"].items()
    )
    seeds = {run["seed"] for run in study["runs"]}
    return (
        f"{len(study['runs'])} runs, {len(seeds)} seeds: {pictures}. Crops of {' × '.join(map(str, recipe['crop']))},"
        f" {recipe['batch_size']} at a time. Each run on one thread of"
        f" {' or '.join(dict.fromkeys(place['device'] for place in places))},"
        f" {' or '.join(dict.fromkeys(place['precision'] for place in places))}, torch"
        f" {' or '.join(dict.fromkeys(place['versions']['torch'] for place in places))};"
        f" {study['seconds'] / 3600:.1f} hours of training in all, up to"
        f" {max(run['finished'] for run in study['runs'])[:10]}."
    )

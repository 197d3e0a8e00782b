"""Studies: many runs that differ in a few settings, put together so that they can be compared (Chapters 07 and 10).

    study  --scores-->  arm: one number per seed  --interval, difference-->  mean ± half a 95 % interval

An *arm* is one of the things compared.  All arms have the same seeds, so that two can be compared seed by seed.  The
files lie in the folder `studies` beside this one, are checked against a schema (see `records.shelf`), and hold what
`experiments/` has collected; none is typed.  What the numbers allow us to say is worked out in `records.statistics`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chapters_code.records.shelf import Shelf
from chapters_code.records.statistics import Interval, difference, equivalent, interval, paired, pooled

# The sums that every comparison asks for are offered here, too; their home, and that of all others, is `statistics`.
__all__ = [
    "Interval",
    "against",
    "conditions",
    "difference",
    "interval",
    "load",
    "names",
    "overlaps",
    "paired",
    "photographs",
    "pooled",
    "recall_of_width",
    "save",
    "scores",
    "table",
]

Study = dict[str, Any]

_SHELF = Shelf(Path(__file__).with_suffix(""), "study")  # the folder of this name
names, load, save = _SHELF.names, _SHELF.load, _SHELF.save


def scores(study: Study, score: str | Callable[[dict], Any], **settings: str) -> dict[str, list[Any]]:
    """Return one number of each run, arm by arm, the seeds of each in the same order.

    Args:
        study: What `load` gave.
        score: Name of a score, such as "ods_f1@2px"; or a function that takes a run and gives a number, as
            `lambda run: studies.recall_of_width(run, 2)` does; or `studies.photographs`.
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


def recall_of_width(run: dict[str, Any], up_to: int) -> float:
    """Return the share of the crack pixels of one width that a run has found, in [0, 1].

    Args:
        run: One of a study.
        up_to: The upper end of the class of widths, in pixels: 2, 4 (for 3 and 4), 8 (5 to 8), or 9 (9 and more).

    Raises:
        ValueError: There is no such class, or no pixel in it.
    """
    ends, true, found = (run["by_width"][name] for name in ("up_to_pixels", "true", "found"))
    if up_to not in ends:
        raise ValueError(f"the widths are counted up to {', '.join(map(str, ends))} pixels; got {up_to}")
    place = ends.index(up_to)
    if not true[place]:
        raise ValueError(f"no crack pixel is of the width up to {up_to}, so no share of them can be found")
    return found[place] / true[place]


def photographs(run: dict[str, Any]) -> list[list[int]]:
    """Return the counts of each test photograph: predicted, right, true, found; `statistics.bootstrap` takes them.

    Raises:
        ValueError: The run was made before studies kept them.
    """
    if "photographs" not in run:
        raise ValueError(f"the run of {run['arm']} with seed {run['seed']} keeps no counts of each photograph")
    return run["photographs"]


def overlaps(run: dict[str, Any], classes: int) -> list[list[list[int]]]:
    """Return the counts of each test photograph, class by class: right, predicted, true; for `statistics.bootstrap`.

    Args:
        run: One of a study of classes.  It names only the classes that a photograph shows or is said to show.
        classes: How many there are.

    Raises:
        ValueError: The run keeps no such counts, or there are fewer classes.
    """
    found = []
    for row in photographs(run):
        if len(row) % 4 or not set(row[::4]) <= set(range(classes)):
            raise ValueError(
                f"a photograph needs four numbers for each class, 0 to {classes - 1}, that occurs; got {row}"
            )
        known = {number: list(counts) for number, *counts in zip(*(row[k::4] for k in range(4)), strict=True)}
        found.append([known.get(number, [0, 0, 0]) for number in range(classes)])
    return found


def against(
    of_arm: Mapping[str, Sequence[float]], control: str, same: str, margin: float = 0.01
) -> dict[str, dict[str, str]]:
    """Hold all arms against a control, in columns for `table`: above all others the one that must give 0.

    The first row is `same`, of which we know that it equals the control.  If it is called different, then no other row
    can be trusted either.  The p-values of many rows are held against each other by `statistics.holm`.

    Args:
        of_arm: Arm -> one number per seed, as `scores` gives them.
        control: The arm that is taken from all others.
        same: Another one, whose true difference from it is 0.
        margin: The smallest difference that would matter.

    Returns:
        Three columns: the difference seed by seed, the same with the scatter of all arms (`pooled`), and whether it is
        "equal within 0.01", "different" or "not decided" (by the first one's scatter).

    Raises:
        ValueError: There is no such arm, `same` is the control, or `margin` is not larger than 0.
    """
    rows = {same: f"{same} (must be 0)"} | {arm: arm for arm in of_arm if arm not in (same, control)}
    return {
        f"minus {control}": {row: _signed(difference(of_arm, arm, control)) for arm, row in rows.items()},
        "scatter of all arms": {row: _signed(pooled(of_arm, arm, control)) for arm, row in rows.items()},
        "verdict": {row: str(equivalent(paired(of_arm, arm, control), margin)) for arm, row in rows.items()},
    }


def _signed(found: Interval) -> str:
    return f"{round(found.mean, 3) + 0:+.3f} ± {found.half:.3f}"  # + 0: what rounds to 0 has no sign of its own


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

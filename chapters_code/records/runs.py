"""Records of finished training runs: what was trained, on what, how, and what came out (all chapters with training).

Numbers on the book's pages are read from these records; none is typed.  A record is one small JSON file.  It is written
when a run has finished, in one piece, and checked both when it is written and when it is read (see `records.shelf`).

    a run  --save-->  record.json  --load-->  the same, as a dictionary  --table-->  lines to read

The records of the book's own runs lie in the folder `runs` beside this file.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chapters_code.records.shelf import Shelf

__all__ = ["Record", "conditions", "load", "names", "save", "table", "written"]

Record = dict[str, Any]

_SHELF = Shelf(Path(__file__).with_suffix(""), "record")  # the folder of this name
names, load, save = _SHELF.names, _SHELF.load, _SHELF.save


def table(records: Iterable[Record], scores: Iterable[str]) -> str:
    """Set runs side by side, a line each, as a Markdown table; the all-background baseline stands first.

    Args:
        records: What `load` gave; all scored on the same pictures.
        scores: Names of scores, such as "global_f1"; each becomes a column.

    Raises:
        ValueError: There is no record, the runs were scored on different pictures, or a run has no such score.
    """
    records, scores = list(records), list(scores)
    if not records:
        raise ValueError("a table needs one record or more")
    if len({record["data"]["validation"]["digest"] for record in records}) > 1:
        raise ValueError("these runs were scored on different pictures; their scores do not belong into one table")
    rows = [(name, *(found.get(score) for score in scores)) for name, found in records[0]["baselines"].items()]
    for record in records:
        if missing := [score for score in scores if score not in record["scores"]]:
            raise ValueError(f"{record['name']} has no {missing[0]}; it has: {', '.join(record['scores'])}")
        rows.append((record["name"], *(record["scores"][score] for score in scores)))
    lines = [("run", *scores), ("---",) * (1 + len(scores)), *rows]
    return "\n".join("| " + " | ".join(map(written, line)) + " |" for line in lines)


def conditions(record: Record) -> str:
    """Say in a sentence what a run was run on: the data, the hardware, the time."""
    train, validation = record["data"]["train"], record["data"]["validation"]
    place, recipe = record["ran_on"], record["recipe"]
    return (
        f"`{record['name']}`: {len(record['epochs'])} epochs on {train['count']} pictures, scored on"
        f" {validation['count']} others ({train['origin']}); {record['network']['parameters']:,} parameters;"
        f" {record['seconds'] / 60:.1f} minutes with {place['threads']} thread{'s' * (place['threads'] != 1)}"
        f" on {place['device']}, {place['precision']}, torch {record['versions']['torch']};"
        f" recipe {recipe['name']}, tier {recipe['tier']}, seed {record['seed']}; {record['finished'][:10]}."
    )


def written(value: Any) -> str:
    """Write a score for readers: three digits, and a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)

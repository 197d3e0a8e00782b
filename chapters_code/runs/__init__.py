"""Records of finished training runs: what was trained, on what, how, and what came out (all chapters with training).

Numbers on the book's pages are read from these records; none is typed.  A record is one small JSON file.  It is written
when a run has finished, in one piece, and checked against `schema.json` both when it is written and when it is read.

    a run  --save-->  record.json  --load-->  the same, as a dictionary  --table-->  lines to read

The records of the book's own runs lie beside this file.
"""

import json
import math
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema

from chapters_code.files import written_whole

__all__ = ["Record", "commit", "conditions", "load", "names", "save", "table", "written"]

Record = dict[str, Any]

_HERE = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Name the book's own records, in alphabetical order."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.json") if path.stem != "schema"))


def load(name: str | Path) -> Record:
    """Read a record.

    Args:
        name: One of `names()`, or the path of a record's file.

    Raises:
        FileNotFoundError: There is no such record; the message lists those there are.
        ValueError: The file is not a record; the message says what is wrong with it.
    """
    path = _HERE / f"{name}.json" if str(name) in names() else Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"no record {str(name)!r}; the book has: {', '.join(names()) or 'none yet'}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a record: it is not JSON ({error})") from None
    _check(record, str(path))
    return record


def save(record: Record, path: str | Path) -> None:
    """Write a record of a finished run, all of it or nothing.

    Raises:
        ValueError: Something is missing or of the wrong kind, or a number is not finite; nothing is written.
    """
    _check(record, "the record")
    with written_whole(path) as unfinished:
        unfinished.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


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


def commit() -> str:
    """Name the state of the book's code: its git commit, with a "+" if something was changed since.

    Of what is changed only the code counts, new files with it; records do not.  Installed without git, the version
    number stands in its place.
    """
    git = ["git", "-C", str(_HERE.parent)]
    try:
        known = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True).returncode == 0
        if known:
            number = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
            state = [*git, "status", "--porcelain", "--", ".", ":!runs/*.json"]
            changed = subprocess.run(state, capture_output=True, text=True, check=True).stdout
            return number.strip() + "+" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        pass
    try:
        return f"version {metadata.version('keep-the-crack')}"
    except metadata.PackageNotFoundError:  # the bare files
        return "version unknown"


@lru_cache
def _schema() -> dict[str, Any]:
    return json.loads((_HERE / "schema.json").read_text(encoding="utf-8"))


def _check(record: Any, name: str) -> None:
    try:
        jsonschema.validate(record, _schema())
    except jsonschema.ValidationError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise ValueError(f"{name} is not a record of a run: at {place}, {error.message}") from None
    if bad := _not_finite(record):
        raise ValueError(f"{name} is not a record of a finished run: {bad} is not a finite number")


def _not_finite(thing: Any, place: str = "") -> str:
    """Name the first number that is NaN or infinite; JSON has no such numbers."""
    if isinstance(thing, float) and not math.isfinite(thing):
        return place
    parts = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    return next(filter(None, (_not_finite(part, f"{place}/{key}".lstrip("/")) for key, part in parts)), "")


def written(value: Any) -> str:
    """Write a score for readers: three digits, and a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)

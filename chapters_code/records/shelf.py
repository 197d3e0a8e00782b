"""A shelf of records: one small JSON file each, checked against a schema when it is written and when it is read."""

import json
import math
from functools import cached_property
from pathlib import Path
from typing import Any

from chapters_code.files import written_whole

__all__ = ["Shelf"]


class Shelf:
    """The book's own records of one kind, and what holds for a record of that kind wherever it lies.

    Args:
        folder: Has the records, and `schema.json`.
        kind: What one is called in messages: "record", "study".
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind

    def names(self) -> tuple[str, ...]:
        """Name the book's own, in alphabetical order."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.json") if path.stem != "schema"))

    def load(self, name: str | Path) -> dict[str, Any]:
        """Read one.

        Args:
            name: One of `names()`, or the path of a file.

        Raises:
            FileNotFoundError: There is none of this name; the message lists those there are.
            ValueError: The file is of another kind; the message says what is wrong with it.
        """
        path = self.folder / f"{name}.json" if str(name) in self.names() else Path(name)
        if not path.is_file():
            there = ", ".join(self.names()) or "none yet"
            raise FileNotFoundError(f"no {self.kind} {str(name)!r}; the book has: {there}")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not a {self.kind}: it is not JSON ({error})") from None
        self._check(found, str(path))
        return found

    def save(self, record: dict[str, Any], path: str | Path) -> None:
        """Write one, all of it or nothing.

        Raises:
            ValueError: Something is missing or of the wrong kind, or a number is not finite; nothing is written.
        """
        self._check(record, f"the {self.kind}")
        with written_whole(path) as unfinished:
            unfinished.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @cached_property
    def _schema(self) -> dict[str, Any]:
        return json.loads((self.folder / "schema.json").read_text(encoding="utf-8"))

    def _check(self, record: Any, name: str) -> None:
        import jsonschema  # here: beside JupyterLab it takes two seconds to import, and most chapters read no record

        try:
            jsonschema.validate(record, self._schema)
        except jsonschema.ValidationError as error:
            place = "/".join(map(str, error.absolute_path)) or "its top"
            raise ValueError(f"{name} is not a {self.kind}: at {place}, {error.message}") from None
        if bad := _not_finite(record):
            raise ValueError(f"{name} is not a {self.kind}: {bad} is not a finite number")


def _not_finite(thing: Any, place: str = "") -> str:
    """Name the first number that is NaN or infinite, if there is one; JSON has no such numbers."""
    if isinstance(thing, float) and not math.isfinite(thing):
        return place
    parts = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    return next(filter(None, (_not_finite(part, f"{place}/{key}".lstrip("/")) for key, part in parts)), "")

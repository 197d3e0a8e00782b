"""Write what was found: grades.csv, a page of feedback for each student, what a person must read, what was not read."""

import csv
import hashlib
import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from chapters_code import exercises
from chapters_code.files import written_whole
from classroom.chapters import Task
from classroom.grading.answers import cells_of, find
from classroom.grading.judge import Verdict
from classroom.grading.run import Graded, Outcome

__all__ = ["write"]

_STATES = {
    "right": "right",
    "wrong": "not right",
    "blank": "not answered",
    "missing": "not found",
    "words": "read by a person",
    "not judged": "not judged",
}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 17px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; }
pre { font: 14px/1.45 ui-monospace, monospace; overflow-x: auto; padding: .7rem .9rem; border-radius: .4rem;
  background: color-mix(in srgb, CanvasText 7%, Canvas); white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left; }
blockquote { margin: .5rem 0 1.2rem; padding-left: 1rem; border-left: 3px solid; white-space: pre-wrap; }
"""


def write(outcome: Outcome, out: Path) -> None:
    """Write all reports into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    students: dict[str, list[Graded]] = defaultdict(list)
    for unit in outcome.graded:
        students[unit.student].append(unit)
    by_hand = _by_hand(outcome, out / "points_by_hand.csv")
    alike = _alike(outcome)
    _grades(outcome, students, by_hand, alike, out / "grades.csv")
    _table(out / "not_read.csv", ["file", "student", "why"], [[o.name, o.student, o.why] for o in outcome.refused])
    folder = out / "feedback"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.html"):
        old.unlink()
    for student, units in students.items():
        path = folder / f"{_file_name(student)}.html"
        path.write_text(_page(student, units, outcome.tasks, by_hand), encoding="utf-8")
    (out / "to_read.html").write_text(_to_read(outcome), encoding="utf-8")


def points_of(task: Task, verdict: Verdict, student: str, by_hand: dict[tuple[str, str], str]) -> float | None:
    """Return the points for one answer; None if a person has not yet given them."""
    given = by_hand.get((student, task.number), "").strip().replace(",", ".")
    if given:
        try:
            return float(given)
        except ValueError:
            raise ValueError(
                f"points_by_hand.csv says {given!r} for {student}, {task.number}: a number was wanted"
            ) from None
    if verdict.state in ("words", "not judged"):
        return None
    return float(task.points) if verdict.state == "right" else 0.0


def _grades(outcome: Outcome, students: dict, by_hand: dict, alike: dict, path: Path) -> None:
    numbers = list(outcome.tasks)
    head = ["student", *numbers, "total", "of", "still to read", "reasons", "notes", "files"]
    rows = []
    for student, units in students.items():
        verdicts = {number: verdict for unit in units for number, verdict in unit.verdicts.items()}
        points = {n: points_of(outcome.tasks[n], v, student, by_hand) for n, v in verdicts.items()}
        open_ = [n for n, one in points.items() if one is None]
        reasons = [f"{n}: {_short(v)}" for n, v in verdicts.items() if v.state not in ("right", "words")]
        notes = [f"older copy, not graded: {name}" for unit in units for name in unit.older]
        notes += [f"{n}: {', '.join(who)}" for n, who in alike.get(student, {}).items()]
        notes += [f"{n}: stopped for its time; on a busy machine, try again" for n, v in verdicts.items() if _late(v)]
        rows.append(
            [
                student,
                *("" if points.get(n) is None else f"{points[n]:g}" for n in numbers),
                f"{sum(one for one in points.values() if one is not None):g}",
                f"{sum(outcome.tasks[n].points for n in verdicts):g}",
                " ".join(open_),
                "; ".join(reasons),
                "; ".join(notes),
                "; ".join(unit.submission.name for unit in units),
            ]
        )
    _table(path, head, rows)


def _late(verdict: Verdict) -> bool:
    return verdict.state == "wrong" and verdict.kind == "time"


def _short(verdict: Verdict) -> str:
    if verdict.state != "wrong":
        return _STATES[verdict.state] + (f" ({verdict.reason})" if verdict.state == "not judged" else "")
    seed = "" if verdict.seed is None else f" (seed {verdict.seed})"
    return verdict.reason.split("\n")[0][:200] + seed


def _by_hand(outcome: Outcome, path: Path) -> dict[tuple[str, str], str]:
    """Read the points that a person has given, and write the list anew; nothing that was given is lost."""
    given: dict[tuple[str, str], str] = {}
    if path.exists():
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        # A spreadsheet of a language that has decimal commas writes semicolons.
        rows = csv.reader(text.splitlines(), delimiter=";" if text.split("\n")[0].count(";") > 1 else ",")
        for row in list(rows)[1:]:
            if len(row) >= 3:
                given[_plain(row[0]), row[1].removesuffix("*")] = row[2]
    listed = {
        (unit.student, number)
        for unit in outcome.graded
        for number, verdict in unit.verdicts.items()
        if verdict.state in ("words", "not judged")
    }
    order = {number: place for place, number in enumerate(outcome.tasks)}
    keys = sorted({*listed, *given}, key=lambda key: (key[0].casefold(), order.get(key[1], 999), key[1]))
    # The star keeps a spreadsheet from taking 1.10 for 1.1.
    rows = []
    for student, number in keys:
        most = str(outcome.tasks[number].points) if number in outcome.tasks else ""
        rows.append([student, f"{number}*", given.get((student, number), ""), most])
    _table(path, ["student", "exercise", "points", "of"], rows)
    return given


def _alike(outcome: Outcome) -> dict[str, dict[str, list[str]]]:
    """Say whose code is the same but for names and comments, and which is the book's own; a person must judge it.

    A very short answer has few ways to be written, so only what has some length is named.
    """
    ours = {}
    for number, task in outcome.tasks.items():
        if task.kind == "code":
            source = f"{task.answer}\n\ncheck('{number}', {task.name})"
            found = find(cells_of(_notebook(source)), {number: task.name})
            ours[number] = found[number].looks
    who: dict[tuple[str, str], list[str]] = defaultdict(list)
    for unit in outcome.graded:
        for number, looks in unit.looks.items():
            if outcome.tasks[number].kind == "code" and unit.verdicts[number].state in ("right", "wrong"):
                who[number, looks].append(unit.student)
    said: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for (number, looks), names in who.items():
        if len(looks) < 900:
            continue
        for name in names:
            others = [f"the same code as {one}" for one in names if one != name]
            others += ["the book's own solution"] if looks == ours.get(number) else []
            if others:
                said[name][number] = others
    return said


def _notebook(source: str) -> bytes:
    return json.dumps({"cells": [{"cell_type": "code", "source": source}]}).encode()


def _page(student: str, units: Sequence[Graded], tasks: dict[str, Task], by_hand: dict) -> str:
    total, most, rows, parts = 0.0, 0, [], []
    for unit in units:
        for number, verdict in unit.verdicts.items():
            task = tasks[number]
            points = points_of(task, verdict, student, by_hand)
            total, most = total + (points or 0), most + task.points
            state = _STATES[verdict.state]
            shown = "–" if points is None else f"{points:g}"
            title = f"{number} {html.escape(task.title)}"
            rows.append(f"<tr><td>{title}</td><td>{state}</td><td>{shown} of {task.points}</td></tr>")
            if verdict.state == "wrong":
                hint = f"<p>Hint: {html.escape(verdict.hint)}</p>" if verdict.hint else ""
                parts.append(f"<h2>{title}</h2><pre>{html.escape(verdict.reason)}</pre>{hint}")
            elif verdict.state == "missing":
                parts.append(f"<h2>{title}</h2><p>No cell with <code>{html.escape(task.call)}</code> was found.</p>")
            elif verdict.state == "words":
                points_ = "".join(f"<li>{html.escape(one)}</li>" for one in _rubric(task))
                words = html.escape(verdict.words)
                parts.append(f"<h2>{title}</h2><blockquote>{words}</blockquote>A good answer says:<ul>{points_}</ul>")
    files = ", ".join(html.escape(unit.submission.name) for unit in units)
    table = f"<table><tr><th>Exercise</th><th>Result</th><th>Points</th></tr>{''.join(rows)}</table>"
    body = f"<h1>{html.escape(student)}</h1><p>{files}</p>{table}<p><strong>{total:g} of {most}</strong></p>"
    return _html(f"Feedback for {student}", body + "".join(parts))


def _to_read(outcome: Outcome) -> str:
    parts = ["<h1>Answers in words</h1><p>Points go into points_by_hand.csv; then grade once more.</p>"]
    for number, task in outcome.tasks.items():
        if task.kind != "explain":
            continue
        points = "".join(f"<li>{html.escape(one)}</li>" for one in _rubric(task))
        parts.append(f"<h2>{number} {html.escape(task.title)} ({task.points})</h2><ul>{points}</ul>")
        for unit in outcome.graded:
            verdict = unit.verdicts.get(number)
            if verdict and verdict.state == "words":
                words = html.escape(verdict.words)
                parts.append(f"<p>{html.escape(unit.student)}</p><blockquote>{words}</blockquote>")
    return _html("Answers in words", "".join(parts))


def _rubric(task: Task) -> tuple[str, ...]:
    return exercises.rubric(task.number)


def _html(title: str, body: str) -> str:
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
    )
    return f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{body}</body></html>\n'


def _file_name(student: str) -> str:
    """Return a name that every system can store, and that no other student has."""
    plain = re.sub(r"[^\w.-]+", "_", student).strip("._") or "student"
    return plain[:80] + ("" if plain == student else "-" + hashlib.sha256(student.encode()).hexdigest()[:6])


def _table(path: Path, head: list[str], rows: Iterable[list[str]]) -> None:
    """Write a table that spreadsheets read, umlauts and all."""
    with written_whole(path) as unfinished, unfinished.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([head, *([_safe(one) for one in row] for row in rows)])


def _safe(text: str) -> str:
    """Keep a spreadsheet from taking a name or a message for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def _plain(text: str) -> str:
    return text[1:] if text[:2] in ("'=", "'+", "'-", "'@") else text

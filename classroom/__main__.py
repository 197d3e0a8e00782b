"""The classroom's commands.

python -m classroom make [--seed N] [--out FOLDER] [--chapters 01_pooling,2] [--check]
python -m classroom grade FOLDER [--seed N] [--out FOLDER] [--seconds S] [--jobs N]
"""

import argparse
import os
import secrets
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(words: list[str] | None = None) -> int:
    """Do what was said; return 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m classroom", description="What a teacher needs beside the book.")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write notebooks for students, solutions, and assignments for nbgrader")
    make.add_argument("--check", action="store_true", help="then grade our own solutions, all of which must be right")
    make.add_argument("--chapters", default="", help="which, with commas: 01_pooling, pooling or 1; all without it")
    grade = commands.add_parser("grade", help="grade notebooks as they came from Moodle or by mail")
    grade.add_argument("folder", type=Path, help="where the notebooks and archives are")
    grade.add_argument("--seconds", type=float, default=10.0, help="for one call of an answer")
    grade.add_argument("--memory", type=float, default=2.0, help="gigabytes for an answer")
    grade.add_argument("--jobs", type=int, help="how many answers run at once; as many as there are cores, without it")
    for one, folder in ((make, "classroom"), (grade, "grades")):
        one.add_argument("--out", type=Path, default=ROOT / "_build" / folder, help="where to write")
        one.add_argument("--seed", type=int, help="of the hidden inputs; without it, one is drawn and kept in seed.txt")
    said = parser.parse_args(words)
    said.out = said.out.expanduser()  # no shell does it inside quotes
    try:
        said.out.mkdir(parents=True, exist_ok=True)
        seed = _seed(said.seed, said.out / "seed.txt")
        return _make(said, seed) if said.command == "make" else _grade(said, seed)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


def _seed(given: int | None, path: Path) -> int:
    """Return the teacher's seed; none that is written in a book could be a secret."""
    if given is None and path.exists():
        return int(path.read_text().strip())
    seed = secrets.randbelow(10**9) if given is None else given
    path.write_text(f"{seed}\n")
    return seed


def _make(said: argparse.Namespace, seed: int) -> int:
    from classroom.make import make

    made = make(said.out, seed, tuple(filter(None, said.chapters.replace(" ", "").split(","))))
    print(f"{', '.join(made)}: written into {said.out}")
    return _check(said.out / "solutions", seed) if said.check else 0


def _check(solutions: Path, seed: int) -> int:
    """Grade the notebooks of solutions as if a student had handed them in."""
    from classroom.grading import run
    from classroom.grading.judge import Limits

    if not hasattr(os, "fork"):
        print("Our solutions were not graded: that needs Linux or macOS.")
        return 0
    with tempfile.TemporaryDirectory() as results:
        outcome = run.grade(solutions, Path(results), seed, Limits())
    verdicts = {number: verdict for unit in outcome.graded for number, verdict in unit.verdicts.items()}
    wrong = {number: verdict for number, verdict in verdicts.items() if verdict.state not in ("right", "words")}
    for number, verdict in wrong.items():
        print(f"{number}: our own solution is {verdict.state}: {verdict.reason.splitlines()[0]}", file=sys.stderr)
    print(f"Our own solutions, graded as a student's are: {len(verdicts) - len(wrong)} of {len(verdicts)} right.")
    return 1 if wrong else 0


def _grade(said: argparse.Namespace, seed: int) -> int:
    from classroom.grading import report, run
    from classroom.grading.judge import Limits

    if hasattr(os, "getuid") and os.getuid() == 0:
        print("You are root, whose processes the system does not count: better grade as another user.", file=sys.stderr)
    limits = Limits(seconds=said.seconds, memory=int(said.memory * 2**30))
    outcome = run.grade(said.folder.expanduser(), said.out, seed, limits, said.jobs)
    report.write(outcome, said.out)
    print(f"{len(outcome.graded)} notebooks graded, {outcome.new} of them now; {len(outcome.refused)} files not read.")
    print(f"grades.csv, feedback/, to_read.html and not_read.csv are in {said.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

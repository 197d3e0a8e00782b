"""Grade all submissions of a folder, on all cores; what was graded before is kept."""

import hashlib
import json
import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm import tqdm

from classroom.chapters import ROOT, Task, chapters
from classroom.grading import answers
from classroom.grading.answers import Found, Unreadable
from classroom.grading.collect import Refused, Submission, collect
from classroom.grading.judge import Limits, Verdict, judge, server

__all__ = ["Graded", "Outcome", "grade"]

# How often inputs are drawn for one answer.
DRAWS = 2


@dataclass
class Graded:
    """One notebook of one student, and what became of its answers."""

    student: str
    group: str  # "01_pooling", of second versions "01_pooling_b"
    submission: Submission
    older: list[str] = field(default_factory=list)  # other notebooks of the same student, which were not graded
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    looks: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """All that a report is made of."""

    graded: list[Graded]
    refused: list[Refused]
    tasks: dict[str, Task]  # of the groups that came in, by number
    new: int  # how many were graded now, and not before


def grade(folder: Path, out: Path, seed: int, limits: Limits, jobs: int | None = None, quiet: bool = False) -> Outcome:
    """Grade what lies in a folder.

    Args:
        folder: Where the students' notebooks are.
        out: Where results are kept, in `results/`.
        seed: The teacher's: of what the inputs are drawn from.
        limits: What an answer may use.
        jobs: How many answers run at once; as many as there are cores, without it.
        quiet: Show no progress bar.

    Raises:
        ValueError: There is nothing to grade in the folder, or this system cannot do it.
    """
    if not hasattr(os, "fork"):
        raise ValueError("grading needs Linux or macOS, where a process can be limited; on Windows, use WSL or Docker")
    submissions, refused = collect(folder)
    inside = out.resolve()
    submissions = [one for one in submissions if inside not in (folder / one.name).resolve().parents]
    refused = [one for one in refused if inside not in (folder / one.name).resolve().parents]
    groups = {group: tasks for chapter in chapters() for group, tasks in _groups(chapter)}
    tasks = {task.number: task for listed in groups.values() for task in listed}
    units, more = _units(submissions, groups, tasks)
    refused += more
    kept = out / "results"
    kept.mkdir(parents=True, exist_ok=True)
    mark = _fingerprint(seed, limits)
    waiting: dict[Path, list[Graded]] = defaultdict(list)
    work: dict[Path, list[tuple[str, Found | None]]] = {}
    for unit, found in units:
        key = hashlib.sha256(f"{mark} {unit.group} ".encode() + unit.submission.data).hexdigest()[:24]
        path = kept / f"{key}.json"
        unit.looks = {number: one.looks for number, one in found.items() if one and one.looks}
        waiting[path].append(unit)
        if not path.exists():
            work[path] = list(found.items())
    seeds = [seed + k for k in range(DRAWS)]
    for path, verdicts in _results(work, seeds, limits, jobs, quiet):
        text = json.dumps({number: asdict(one) for number, one in verdicts.items()}, ensure_ascii=False, indent=1)
        path.with_suffix(".new").write_text(text, encoding="utf-8")
        os.replace(path.with_suffix(".new"), path)  # whole or not at all, if somebody stops us
    for path, alike in waiting.items():
        verdicts = {number: Verdict(**one) for number, one in json.loads(path.read_text(encoding="utf-8")).items()}
        for unit in alike:
            unit.verdicts = verdicts
    graded = sorted((unit for unit, _ in units), key=lambda unit: (unit.student.casefold(), unit.group))
    came = {unit.group for unit in graded}
    shown = {task.number: task for group, listed in groups.items() if group in came for task in listed}
    return Outcome(graded, refused, shown, len(work))


def _groups(chapter) -> Iterator[tuple[str, tuple[Task, ...]]]:
    yield chapter.name, chapter.tasks
    yield f"{chapter.name}_b", chapter.variants()


def _units(
    submissions: Iterable[Submission], groups: dict[str, tuple[Task, ...]], tasks: dict[str, Task]
) -> tuple[list[tuple[Graded, dict[str, Found | None]]], list[Refused]]:
    """Sort notebooks by students and chapters, and choose the newest of each."""
    refused: list[Refused] = []
    by_student: dict[tuple[str, str], list[tuple[Submission, dict]]] = defaultdict(list)
    for one in submissions:
        try:
            cells = answers.cells_of(one.data)
        except Unreadable as error:
            refused.append(Refused(one.name, str(error), one.student))
            continue
        numbered = {number for cell in cells for number, _ in answers.checked(cell)} & set(tasks)
        held = {}
        for group, listed in groups.items():
            # A name alone may mean an exercise of another chapter: two have `parameters`.  So names count beside a
            # number of their chapter, or where there is no number at all.
            if not numbered or numbered & {task.number for task in listed}:
                values = [task.number for task in listed if task.kind != "code"]
                if found := answers.find(cells, {task.number: task.name for task in listed}, values):
                    held[group] = {task.number: found.get(task.number) for task in listed}
        if not numbered and held:
            most = max(held, key=lambda group: sum(one is not None for one in held[group].values()))
            held = {most: held[most]}
        if not held:
            refused.append(Refused(one.name, "it holds no exercise of the book", one.student))
        for group, found in held.items():
            by_student[one.student, group].append((one, found))
    units = []
    for (student, group), copies in by_student.items():
        # Two numbers of Moodle are two people, who have the same name.
        people = {one.moodle for one, _ in copies if one.moodle}
        for moodle in sorted(people) if len(people) > 1 else [None]:
            own = [copy for copy in copies if moodle is None or copy[0].moodle in (moodle, "")]
            own.sort(key=lambda copy: (copy[0].time, copy[0].name))
            newest, found = own[-1]
            name = student if moodle is None else f"{student} ({moodle})"
            units.append((Graded(name, group, newest, [copy[0].name for copy in own[:-1]]), found))
    return units, refused


def _results(
    work: dict[Path, list], seeds: list[int], limits: Limits, jobs: int | None, quiet: bool
) -> Iterator[tuple[Path, dict[str, Verdict]]]:
    """Judge notebook by notebook, in any order."""
    if not work:
        return
    with server() as path, tqdm(total=len(work), unit="notebook", disable=quiet, file=sys.stderr) as bar:
        left = dict(work)
        count = jobs or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else jobs or os.cpu_count()
        while left:
            with _pool(count) as pool:
                futures = {pool.submit(_judged, found, seeds, limits, path): one for one, found in left.items()}
                try:
                    for future in as_completed(futures):
                        result = future.result()
                        yield futures[future], result
                        del left[futures[future]]
                        bar.update()
                    continue
                except BrokenProcessPool:
                    pass
            if count == 1:  # one after the other, and this one has brought down the process that judges
                first, found = next(iter(left.items()))
                lost = Verdict("not judged", "The process that judges ended; a person must look at this notebook.")
                yield first, {number: lost for number, _ in found}
                del left[first]
                bar.update()
            count = 1


@contextmanager
def _pool(count: int) -> Iterator[ProcessPoolExecutor]:
    context = get_context("forkserver")
    context.set_forkserver_preload(["classroom.grading.judge"])  # PyTorch is imported once for all
    with ProcessPoolExecutor(count, context, _begin) as pool:
        yield pool


def _begin() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Validating sparse")  # which is what we want


def _judged(found: list[tuple[str, Found | None]], seeds: list[int], limits: Limits, path: str) -> dict[str, Verdict]:
    """Judge the answers of one notebook."""
    verdicts = {}
    for number, one in found:
        if one is None:
            verdicts[number] = Verdict("missing", "no cell with this exercise was found")
        elif one.problem:
            verdicts[number] = Verdict("wrong", one.problem, "error")
        else:
            try:
                verdicts[number] = judge(number, one.program, one.answer, seeds, limits, path)
            except Exception as error:  # our fault, and no reason to leave out the others
                verdicts[number] = Verdict("not judged", f"The check itself failed: {type(error).__name__}: {error}")
    return verdicts


def _fingerprint(seed: int, limits: Limits) -> str:
    """Return a mark of all that a verdict depends on, besides the notebook."""
    files = [*(ROOT / "chapters_code").rglob("*.py"), *(ROOT / "classroom").rglob("*.py")]
    hashed = hashlib.sha256(f"{seed} {limits} {DRAWS} {torch.__version__}".encode())
    for path in sorted(files):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()

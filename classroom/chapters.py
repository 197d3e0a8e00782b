"""The exercises of the chapters, as their notebooks hold them: title, stars, task, stub."""

import ast
import inspect
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chapters_code import exercises
from chapters_code.exercises.checking import Exercise
from classroom.variants import Variant, variants

__all__ = ["MINUTES", "POINTS", "Chapter", "Task", "chapters"]

ROOT = Path(__file__).resolve().parents[1]
# By the number of stars.  The minutes are those that a chapter's head counts with.
POINTS, MINUTES = {1: 1, 2: 3, 3: 6}, {1: 5, 2: 15, 3: 30}
_HEADING = re.compile(r"^### Exercise (?P<number>\d+\.\d+) (?P<stars>★+) (?P<title>.+)$", re.MULTILINE)
_AFTER = re.compile(r"\s*\(after \[[^\]]*\]\([^)]*\)\)")
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:)[^)]*\)")
_ALWAYS = {"torch", "nn", "functional", "math", "product", "check", "hint", "solution"}


@dataclass(frozen=True)
class Task:
    """One exercise as a student meets it."""

    number: str  # "1.1", of a second version "1.1b"
    title: str
    stars: int
    text: str  # Markdown, without the heading
    stub: str  # code, without the call of check
    exercise: Exercise
    variant: Variant | None = None

    @property
    def name(self) -> str:
        return self.exercise.name

    @property
    def kind(self) -> str:
        return self.exercise.kind

    @property
    def points(self) -> int:
        return POINTS[self.stars]

    @property
    def minutes(self) -> int:
        return MINUTES[self.stars]

    @property
    def call(self) -> str:
        """The call that checks the answer."""
        return f'check("{self.number}", {self.name})'

    @property
    def note(self) -> str:
        """Why our answer is right, in Markdown."""
        if self.variant:
            return inspect.getdoc(self.variant.solution)
        return exercises.solution_note(self.number)

    @property
    def answer(self) -> str:
        """Our answer as code that a student could have written."""
        if self.kind == "explain":
            raw = "r" if "\\" in self.note else ""
            return f'{self.name} = {raw}"""\n{self.note}\n"""'
        source = _source(self.variant) if self.variant else exercises.solution_source(self.number)
        return source.strip() if self.kind == "code" else _as_value(source, self.name)


@dataclass(frozen=True)
class Chapter:
    """A chapter: its exercises, and the imports that they need."""

    name: str  # "01_pooling"
    title: str  # "01 · Pooling: the crack that disappears"
    setup: str  # the code of the cell that fetches what is missing
    all_imports: str
    tasks: tuple[Task, ...]

    def imports(self, tasks: Iterable[Task]) -> str:
        """Return those of its imports that some tasks name, and what every answer may want."""
        said = " ".join(" ".join(re.findall(r"`([^`]*)`", task.text)) + f" {task.stub}" for task in tasks)
        words = set(re.findall(r"\w+", said)) | _ALWAYS
        kept = []
        for node in ast.parse(self.all_imports).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [alias for alias in node.names if (alias.asname or alias.name.split(".")[0]) in words]
                kept += [ast.unparse(node)] if node.names else []
        ours = [line for line in kept if "chapters_code" in line]
        return "\n".join([line for line in kept if line not in ours] + [""] + ours).strip()

    def variants(self) -> tuple[Task, ...]:
        """Return second versions of its exercises, as far as there are some."""
        found = [(task, variants()[task.number]) for task in self.tasks if task.number in variants()]
        return tuple(
            Task(
                *(variant.exercise.number, variant.title, task.stars, inspect.cleandoc(variant.task)),
                *(_stub(variant), variant.exercise, variant),
            )
            for task, variant in found
        )


@cache
def chapters(only: tuple[str, ...] = ()) -> tuple[Chapter, ...]:
    """Return the chapters in order, or those that are named: "01_pooling", "pooling" or "1".

    Raises:
        ValueError: There is no chapter of that name, or a notebook and the exercises do not fit each other.
    """
    paths = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    chosen = [path for path in paths if not only or any(_is_meant(one, path.stem) for one in only)]
    missing = [one for one in only if not any(_is_meant(one, path.stem) for path in paths)]
    if missing:
        raise ValueError(f"there is no chapter {missing[0]!r}; there are {', '.join(path.stem for path in paths)}")
    return tuple(map(_read, chosen))


def _is_meant(said: str, stem: str) -> bool:
    number, word = stem.split("_", 1)
    return said in (stem, word, number) or (said.isdigit() and int(said) == int(number))


def _read(path: Path) -> Chapter:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [(cell, "".join(cell["source"])) for cell in notebook["cells"]]
    code = [(cell["metadata"].get("tags", ()), source) for cell, source in cells if cell["cell_type"] == "code"]
    setup = next(source for tags, source in code if "setup" in tags)
    imports = next(source for tags, source in code if "hide-cell" in tags)
    tasks, said = [], None
    for cell, source in cells:
        if cell["cell_type"] == "markdown":
            said = source
        elif "exercise" in cell["metadata"].get("tags", ()):
            tasks.append(_task(path.stem, said, source))
    return Chapter(path.stem, cells[0][1].split("\n")[0].removeprefix("# "), setup, imports, tuple(tasks))


def _task(chapter: str, said: str | None, code: str) -> Task:
    heading = said and _HEADING.search(said)
    number = re.search(r'check\("([\d.]+)"', code)
    if not heading or not number or heading["number"] != number[1]:
        raise ValueError(f"{chapter}: above the cell {code[:60]!r} stands no heading `### Exercise N.M ★ TITLE`")
    exercise = exercises._find(number[1])
    stub = code[: code.rindex("check(")].strip()
    title = _LINK.sub(r"\1", _AFTER.sub("", heading["title"])).strip()
    text = _LINK.sub(r"\1", said[heading.end() :].strip())
    return Task(number[1], title, len(heading["stars"]), text, stub, exercise)


def _as_value(source: str, name: str) -> str:
    """Turn a function that takes nothing and returns a value into the lines that set it."""
    tree = ast.parse(source)
    function = tree.body[-1]
    last = function.body[-1]
    returns = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
    lines = source.splitlines()
    if returns != [last]:
        return f"{source.strip()}\n\n\n{name} = {name}()"
    head = "\n".join(lines[: function.lineno - 1]).strip()
    body = inspect.cleandoc("\n" + "\n".join(lines[function.body[0].lineno - 1 : last.lineno - 1]))
    return "\n".join(filter(None, (head + "\n" if head else "", body, f"{name} = {ast.unparse(last.value)}")))


def _source(variant: Variant) -> str:
    """Return the code of a second version's solution, with the imports it needs and without its explanation."""
    source = inspect.getsource(variant.solution)
    explanation = ast.parse(source).body[0].body[0]
    lines = source.splitlines(keepends=True)
    code = "".join(lines[: explanation.lineno - 1] + lines[explanation.end_lineno :])
    return exercises._imports_of(code, inspect.getmodule(variant.solution)) + code


def _stub(variant: Variant) -> str:
    if variant.exercise.kind != "code":
        return f"{variant.exercise.name} = ..."
    signature = ", ".join(inspect.signature(variant.solution).parameters)
    return f'def {variant.exercise.name}({signature}):\n    raise NotImplementedError("your turn")'

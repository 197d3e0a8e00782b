"""Find the answers in a student's notebook, and what of the notebook each of them needs.

An answer is found by its exercise, wherever it stands: by the number in `check("1.1", ...)`, and where no such call is
left, by the name that the exercise asks for.  Of two the last one counts.

Of the rest of the notebook an answer gets what it needs by name: imports, functions, classes and assignments, of the
cells above it and, where they have none, below it.  All else (loops, prints, whole trainings) is never run.  Where a
value is asked for, the statements of its own cell are run, too.
"""

import ast
import dis
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType

__all__ = ["Found", "Unreadable", "cells_of", "checked", "find"]

_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
_LOADS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
_SHOWS = ("check", "display", "grade", "hint", "print", "progress", "rubric", "show_source", "solution")
_CHECK = re.compile(r"""\b(?:check|grade)\(\s*["']?(\d+[.,]\d+b?)""")


class Unreadable(Exception):
    """A file is no notebook; the text says why."""


@dataclass
class Cell:
    """A code cell: its text, and its syntax tree, unless it does not parse."""

    source: str
    tree: ast.Module | None = None
    problem: str = ""  # what does not parse
    names: dict[int, set[str]] = field(default_factory=dict)  # what each statement binds


@dataclass
class Found:
    """An answer: what to run before, and the expression that gives it."""

    program: list[tuple[str, bool]]  # texts of cells, and whether an error in one is the answer's own
    answer: str
    problem: str = ""  # why it cannot be run
    looks: str = ""  # what the code does, without its names and comments: equal for two copies


def cells_of(data: bytes) -> list[Cell]:
    """Return the code cells of a notebook of any version.

    Raises:
        Unreadable: It is none.
    """
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unreadable("it is not a text in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no whole notebook ({error})" if data.strip() else "it is empty") from error
    try:
        cells = notebook.get("cells")
        if cells is None:  # of before 2015
            cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        code = [cell for cell in cells if cell.get("cell_type") == "code"]
        return [_parsed("".join(cell.get("source", cell.get("input", "")))) for cell in code]
    except (AttributeError, KeyError, TypeError) as error:
        raise Unreadable("it is JSON, but no notebook: it has no cells") from error


def _parsed(source: str) -> Cell:
    source = source.replace("\r\n", "\n")
    # Lines for Jupyter, not for Python; one that is inside a text is only blanked if the cell does not parse with it.
    plain = re.sub(r"^[ \t]*(?:[%!?].*|[\w.]+\?{1,2}[ \t]*)$", "", source, flags=re.MULTILINE)
    problem = ""
    for text in dict.fromkeys((source, plain)):
        try:
            tree = ast.parse(text)
            compile(text, "cell", "exec")  # also finds a `return` that stands outside a function
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            problem = f"{getattr(error, 'msg', error)}{line}"
        else:
            return Cell(text, tree, names={place: set(_bound(one)) for place, one in enumerate(tree.body)})
    return Cell(source, None, problem)


def find(cells: list[Cell], names: dict[str, str], values: Iterable[str] = ()) -> dict[str, Found]:
    """Return the answers that a notebook holds, by the number of their exercise.

    Args:
        cells: Its code cells.
        names: What the answer to each exercise is called, by its number.
        values: The numbers of those exercises that ask for a value or for words.
    """
    found: dict[str, Found] = {}
    values = frozenset(values)
    for place, cell in enumerate(cells):
        for number, expression in checked(cell):
            if number in names:
                found[number] = _program(cells, place, expression or names[number], number in values)
    for number, name in names.items():
        if number not in found:
            made = re.compile(rf"^(?:def {name}\b|{name}\s*=[^=])", re.MULTILINE)
            places = [place for place, cell in enumerate(cells) if made.search(cell.source)]
            if places:
                found[number] = _program(cells, places[-1], name, number in values)
    return found


def checked(cell: Cell) -> Iterator[tuple[str, str]]:
    """Go through the calls of `check`: the number, and the expression that is checked."""
    if cell.tree is None:
        yield from ((match[1].replace(",", "."), "") for match in _CHECK.finditer(cell.source))
        return
    for node in ast.walk(cell.tree):
        called = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", ""))
        if called in ("check", "grade") and node.args and isinstance(node.args[0], ast.Constant):
            number = str(node.args[0].value).strip().replace(",", ".")
            yield number, ast.unparse(node.args[1]) if len(node.args) > 1 else ""


def _only_shows(statement: ast.stmt) -> bool:
    """Whether a statement does nothing for an answer: a name, a text, a call of check, hint or print."""
    if not isinstance(statement, ast.Expr):
        return False
    called = getattr(statement.value, "func", None)
    return not isinstance(statement.value, ast.Call) or getattr(called, "id", "") in _SHOWS


def _program(cells: list[Cell], place: int, answer: str, value: bool) -> Found:
    own = cells[place]
    if own.tree is None:
        return Found([], answer, f"The cell is not Python: {own.problem}.")
    chosen: dict[int, set[int]] = {place: set()}
    if value:  # a loop that counts, a call that changes a layer; but none that only shows something
        chosen[place] = {i for i, one in enumerate(own.tree.body) if not _only_shows(one)}
    wanted = [*_needed(compile(answer, "answer", "eval"))]
    wanted += [name for i in chosen[place] for name in _needed(_code(own.tree.body[i]))]
    seen: set[str] = set()
    above, below = range(place + 1), range(place + 1, len(cells))
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        hits = [(c, i) for c in above for i in _binding(cells[c], name)]
        hits = hits or [(c, i) for c in below for i in _binding(cells[c], name)][:1]
        for c, i in hits:
            if i not in chosen.setdefault(c, set()):
                chosen[c].add(i)
                wanted += _needed(_code(cells[c].tree.body[i]))
    order = sorted(chosen, key=lambda c: (c > place, c))
    # What stands below was found by name only, so it must be there before the answer's own cell runs.
    order = [c for c in order if c > place] + [c for c in order if c <= place]
    program = [(_only(cells[c], chosen[c]), c == place) for c in order]
    return Found(program, answer, looks=_looks(own, chosen[place], answer))


def _binding(cell: Cell, name: str) -> list[int]:
    """Return the places of the statements of a cell that give this name its meaning."""
    if cell.tree is None:
        return []
    return [
        i
        for i, bound in cell.names.items()
        if isinstance(cell.tree.body[i], _DEFINES) and (name in bound or "*" in bound)
    ]


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).split(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _code(statement: ast.stmt) -> CodeType:
    return compile(ast.Module([statement], []), "cell", "exec", dont_inherit=True)


def _needed(code: CodeType) -> set[str]:
    """Return the global names that some code asks for, in its functions, too."""
    names = {one.argval for one in dis.get_instructions(code) if one.opname in _LOADS}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            names |= _needed(inner)
    return names


def _only(cell: Cell, chosen: set[int]) -> str:
    """Return the text of a cell with all but some statements blank, so that lines keep their numbers."""
    lines = cell.source.split("\n")
    kept = [False] * (len(lines) + 1)
    for i in chosen:
        statement = cell.tree.body[i]
        first = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", ()))])
        kept[first : statement.end_lineno + 1] = [True] * (statement.end_lineno + 1 - first)
    text = "\n".join(line if keep else "" for line, keep in zip(lines, kept[1:], strict=True))
    others = {one.lineno for i, one in enumerate(cell.tree.body) if i not in chosen}
    if others & {line for line, keep in enumerate(kept) if keep}:  # several statements in one line
        return "\n".join(ast.unparse(cell.tree.body[i]) for i in sorted(chosen))
    return text


def _looks(cell: Cell, chosen: set[int], answer: str) -> str:
    """Return what the code does, without names of its own, comments and explanations: equal for two copies."""
    body = [cell.tree.body[i] for i in sorted(chosen)]
    body = [one for one in body if not isinstance(one, ast.Import | ast.ImportFrom)]
    names: dict[str, str] = {}
    tree = ast.parse(ast.unparse(ast.Module(body, [])) + f"\n({answer})")
    bound = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    bound |= {one.arg for one in ast.walk(tree) if isinstance(one, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.arg):
            node.annotation = None
            node.arg = names.setdefault(node.arg, f"name{len(names)}")
        elif isinstance(node, ast.Name) and node.id in bound:
            node.id = names.setdefault(node.id, f"name{len(names)}")
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)

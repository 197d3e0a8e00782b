"""Measure the bite of the exercises' checks: spoil the solutions, one fault at a time, and have each one graded.

    python tools/answer_mutants.py            all exercises that ask for code, and all their variants
    python tools/answer_mutants.py 3.4 5      Exercise 3.4 and what else begins so (its variant, 3.4b), and Chapter 5
    python tools/answer_mutants.py --seeds 3  with the inputs of three seeds, each of which must find the fault

A fault (a mutant) is one of two kinds.  In the text of the solution an axis is exchanged, a number is off by one, a
sign, a term or an argument is lost; or the whole solution is put into a wrapper that makes it right for square pictures
only, for the first of a batch, in float32, without the gradient, and so on.

Each is graded in a process of its own, with little time: one that never ends, or eats the memory, costs as little as
another.  A mutant that is found right is a hole in the check: mend it.  If it computes the same as the solution on all
that the task allows, write the reason into tests/answer_mutants.json; it then counts as equivalent.
"""

import argparse
import ast
import copy
import gc
import inspect
import json
import math
import os
import resource
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from chapters_code import exercises  # noqa: E402
from chapters_code.exercises import checking  # noqa: E402
from classroom.variants import variants  # noqa: E402

EQUIVALENT = ROOT / "tests" / "answer_mutants.json"
LIMIT = 1.5  # seconds for one input
ALIVE, KILLED, BROKEN = 0, 1, 2  # what became of a mutant: found right, found wrong, or the check itself stopped


@dataclass(frozen=True)
class Mutant:
    """A solution with one fault."""

    of: str  # the exercise, "1.1", or the variant, "1.1b"
    kind: str
    fault: str  # "line → what became of it", or what the wrapper does
    make: Callable[[], Callable]


@dataclass(frozen=True)
class Task:
    """An exercise that asks for code, or a variant of one, with its solution."""

    exercise: checking.Exercise
    text: str  # the function without its docstring
    names: dict[str, Any]  # what it finds around it

    def build(self, text: str | None = None) -> Callable:
        """Return the solution, or the function of another text."""
        space = dict(self.names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a mutant may call a number
            code = compile(text or self.text, f"<answer {self.exercise.number}>", "exec")
        exec(code, space)
        return space[self.exercise.name]

    def problem(self, answer: Callable, seed: int) -> str | None:
        """Return what the check says of an answer, None if it is right."""
        wrong, _ = exercises._try(replace(self.exercise, mistakes=()), answer, seed)
        return None if wrong is None else str(wrong)


@cache
def tasks() -> dict[str, Task]:
    """Return all that is asked for in code, by number: each exercise, and behind it its variant."""
    found = {}
    for number in exercises.numbers():
        if exercises.kind(number) == "code":
            found[number] = _task(exercises._find(number), exercises._solution(number)[0])
        if number in variants():
            variant = variants()[number]
            found[variant.exercise.number] = _task(variant.exercise, variant.solution)
    return found


def _task(exercise: checking.Exercise, solution: Callable) -> Task:
    definition = ast.parse(inspect.getsource(solution)).body[0]
    definition.body = definition.body[1:]
    return Task(exercise, ast.unparse(definition), dict(vars(import_module(solution.__module__))))


# ---- faults in the text ---------------------------------------------------------------------------

AXES = {0: 1, 1: 0, 2: 3, 3: 2, -1: -2, -2: -1}
TAKES_AXIS = "permute transpose flatten unflatten movedim unbind sum mean amax max min cat stack flip roll"
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
TURNED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq, ast.GtE, ast.LtE),
    ast.NotEq: (ast.Eq, ast.Lt, ast.Gt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
}
# Names that are taken for each other, in both directions.
EXCHANGED = "height/width rows/columns row/column top/left i/j down/across lower/right k/j"
OPPOSITE = "max/min any/all argmax/argmin amax/amin sum/mean zeros/ones zeros_like/ones_like new_zeros/new_ones"
OPPOSITE += " cummin/cummax maximum/minimum train/eval pixel_shuffle/pixel_unshuffle repeat/tile"


# Functions whose first two arguments may change places.
EITHER_WAY = "max min maximum minimum logaddexp transpose"


def _partners(pairs: str) -> dict[str, str]:
    both = [pair.split("/") for pair in pairs.split()]
    return dict([*both, *(pair[::-1] for pair in both)])


EXCHANGED, OPPOSITE = _partners(EXCHANGED), _partners(OPPOSITE)


def in_the_text(task: Task) -> Iterator[Mutant]:
    """Return the mutants whose text differs in one place."""
    tree = ast.parse(task.text)
    before, seen, alike = ast.unparse(tree), {ast.unparse(tree)}, Counter()
    for node, above, put in list(_places(tree.body[0])):
        for kind, new in _changes(node, above, tree.body[0]):
            put(new)
            text = ast.unparse(tree)
            put(node)
            if text in seen:
                continue
            seen.add(text)
            fault = _what_changed(before, text)
            alike[fault] += 1
            fault += f" ({alike[fault]})" if alike[fault] > 1 else ""
            yield Mutant(task.exercise.number, kind, fault, partial(task.build, text))


def _places(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, tuple, Callable]]:
    """Walk through the body: each node, those above it, the nearest first, and how to put another in its place."""
    waiting = [(one, (function,), partial(function.body.__setitem__, i)) for i, one in enumerate(function.body)]
    while waiting:
        node, above, put = waiting.pop(0)
        yield node, above, put
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "op", "ops", "annotation", "decorator_list"):
                continue
            if isinstance(value, list):
                put_one = [partial(value.__setitem__, i) for i in range(len(value))]
                inside = [*zip(value, put_one, strict=True)]
            else:
                inside = [(value, partial(setattr, node, name))]
            waiting += [(one, (node, *above), put_it) for one, put_it in inside if isinstance(one, ast.AST)]


def _what_changed(before: str, after: str) -> str:
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return " → ".join(" | ".join(line.strip() for line in lines) or "(nothing)" for lines in (old, new))


def _changes(node: ast.AST, above: tuple, function: ast.FunctionDef) -> Iterator[tuple[str, ast.AST]]:
    """Return what may stand in the place of a node, each with the kind of the fault."""
    parent = above[0]
    if isinstance(node, ast.Constant):
        yield from _of_a_constant(node, above)
    elif isinstance(node, ast.UnaryOp):
        if not isinstance(node.operand, ast.Constant) or not _is_axis(above):
            yield "sign", node.operand
        elif -node.operand.value in AXES:  # axis 2 in the place of −2 would be no fault
            yield "axis", ast.parse(str(AXES[-node.operand.value])).body[0].value
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        known = {one.id for one in ast.walk(function) if isinstance(one, ast.Name)}
        if EXCHANGED.get(node.id) in known:
            yield "height for width", ast.Name(EXCHANGED[node.id], ast.Load())
        if node.id in OPPOSITE and isinstance(parent, ast.Call):
            yield "opposite", ast.Name(OPPOSITE[node.id], ast.Load())
        if isinstance(parent, ast.Slice):
            yield from (("off by one", _one_off(node, how)) for how in (ast.Add(), ast.Sub()))
    elif isinstance(node, ast.Attribute) and node.attr in OPPOSITE and isinstance(parent, ast.Call):
        yield "opposite", ast.Attribute(node.value, OPPOSITE[node.attr], node.ctx)
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and not isinstance(node.elts[0], ast.Constant):
        yield "height for width", ast.Tuple(node.elts[::-1], node.ctx)
    elif isinstance(node, ast.List) and len({ast.unparse(one) for one in node.elts}) > 1:
        yield "order", ast.List(node.elts[::-1], node.ctx)
    elif isinstance(node, ast.BinOp):
        yield from _of_arithmetic(node)
        if isinstance(parent, ast.Slice):
            yield from (("off by one", _one_off(node, how)) for how in (ast.Add(), ast.Sub()))
    elif isinstance(node, ast.Compare):
        for other in TURNED.get(type(node.ops[0]), ()):
            yield "comparison", ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield "comparison", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield from (("dropped", one) for one in node.values)
    elif isinstance(node, ast.IfExp):
        yield from (("comparison", one) for one in (node.body, node.orelse))
    elif isinstance(node, ast.Slice):
        for name in ("lower", "upper", "step"):
            if getattr(node, name):
                yield "dropped", ast.Slice(**{**dict(ast.iter_fields(node)), name: None})
    elif isinstance(node, ast.Call):
        yield from _of_a_call(node)
    elif isinstance(node, ast.comprehension):
        yield from (("comparison", ast.comprehension(node.target, node.iter, [], 0)) for _ in node.ifs[:1])
        if isinstance(parent, ast.ListComp):
            yield "order", ast.comprehension(node.target, _backwards(node.iter), node.ifs, 0)
    elif isinstance(node, ast.stmt):
        yield from _of_a_statement(node, function)


def _of_a_constant(node: ast.Constant, above: tuple) -> Iterator[tuple[str, ast.AST]]:
    value = node.value
    if isinstance(value, bool):
        if not (isinstance(above[0], ast.keyword) and above[0].arg == "strict"):
            yield "comparison", ast.Constant(not value)
    elif isinstance(value, int):
        negative = isinstance(above[0], ast.UnaryOp)
        if not negative and value in AXES and _is_axis(above):
            yield "axis", ast.Constant(AXES[value])
        yield from (("off by one", ast.Constant(other)) for other in (value + 1, value - 1) if other >= 0)
        if value == 0 and not negative:
            yield "off by one", ast.UnaryOp(ast.USub(), ast.Constant(1))
    elif isinstance(value, float):
        yield "a number", ast.Constant(2 * value)
    elif isinstance(value, str) and not isinstance(above[0], ast.JoinedStr):
        yield "a word", ast.Constant(value + "_")


def _is_axis(above: tuple) -> bool:
    """Whether a number is that of an axis: x.shape[2], x.mean(dim=(2, 3)), x.flip(-1)."""
    if isinstance(above[0], ast.Tuple):
        above = above[1:]
    parent = above[0]
    if isinstance(parent, ast.keyword):
        return parent.arg in ("dim", "dims", "axis")
    if isinstance(parent, ast.Subscript):
        return isinstance(parent.value, ast.Attribute) and parent.value.attr == "shape"
    return isinstance(parent, ast.Call) and getattr(parent.func, "attr", "?") in TAKES_AXIS.split()


def _of_arithmetic(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    left, op, right = node.left, node.op, node.right
    if type(op) in ARITHMETIC:
        yield "+ for −, * for /", ast.BinOp(left, ARITHMETIC[type(op)](), right)
    yield "dropped", left
    if isinstance(op, ast.Add | ast.Mult | ast.MatMult | ast.BitAnd | ast.BitOr | ast.Sub):
        yield "dropped", right
    if isinstance(op, ast.FloorDiv):  # rounded up
        yield "off by one", ast.UnaryOp(ast.USub(), ast.BinOp(ast.UnaryOp(ast.USub(), left), op, right))
    if not isinstance(op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
        yield "order", ast.BinOp(right, op, left)


def _of_a_call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    function, given, named = node.func, node.args, node.keywords
    for i in range(len(given) - 1 if ast.unparse(function).split(".")[-1] not in EITHER_WAY.split() else 0):
        yield "order", ast.Call(function, [*given[:i], given[i + 1], given[i], *given[i + 2 :]], named)
    if len(given) > 1:
        yield "argument", ast.Call(function, given[:-1], named)
    for i, one in enumerate(named):
        if one.arg == "strict":
            continue
        others = [*named[:i], *named[i + 1 :]]
        yield "argument", ast.Call(function, given, others)
        for value in (0, 1):
            yield "argument", ast.Call(function, given, [*others, ast.keyword(one.arg, ast.Constant(value))])
    if isinstance(function, ast.Attribute) and not _is_module(function.value):
        yield "dropped", function.value
    elif given and not isinstance(given[0], ast.Starred | ast.GeneratorExp):
        yield "dropped", given[0]
    if isinstance(function, ast.Name) and function.id == "range":
        for i, one in enumerate(given):
            for how in (ast.Add(), ast.Sub()):
                yield "off by one", ast.Call(function, [*given[:i], _one_off(one, how), *given[i + 1 :]], named)


def _is_module(node: ast.AST) -> bool:
    return ast.unparse(node).split(".")[0] in ("torch", "functional", "nn", "math", "copy", "dataclasses", "studies")


def _one_off(node: ast.AST, how: ast.operator) -> ast.AST:
    return ast.BinOp(node, how, ast.Constant(1))


def _backwards(node: ast.AST) -> ast.AST:
    everything = ast.Call(ast.Name("list", ast.Load()), [node], [])
    turn = ast.Slice(step=ast.UnaryOp(ast.USub(), ast.Constant(1)))
    return ast.Subscript(everything, turn, ast.Load())


def _of_a_statement(node: ast.stmt, function: ast.FunctionDef) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Return) and isinstance(node.value, ast.BinOp | ast.Call | ast.Name | ast.Subscript):
        yield "sign", ast.Return(ast.UnaryOp(ast.USub(), node.value))
    if isinstance(node, ast.AugAssign):
        yield "+ for −, * for /", ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
        yield "dropped", ast.Assign([node.target], node.value, lineno=1)
    if isinstance(node, ast.If | ast.While):
        for value in (True, False)[isinstance(node, ast.While) :]:
            yield "comparison", type(node)(ast.Constant(value), node.body, node.orelse)
    if isinstance(node, ast.For):
        yield "loop", ast.For(node.target, node.iter, [*node.body, ast.Break()], node.orelse, lineno=1)
    if isinstance(node, ast.Expr | ast.AugAssign | ast.For | ast.If) or (
        isinstance(node, ast.Assign) and _known_otherwise(node, function)
    ):
        yield "statement", ast.Pass()


def _known_otherwise(node: ast.Assign, function: ast.FunctionDef) -> bool:
    """Whether all that a line sets has a value without it, too."""
    names = {one.id for target in node.targets for one in ast.walk(target) if _stored(one)}
    set_there = [one.id for one in ast.walk(function) if _stored(one)] + [one.arg for one in function.args.args]
    return all(set_there.count(name) > 1 for name in names)


def _stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


# ---- faults around the whole ----------------------------------------------------------------------


@dataclass
class Given:
    """What one argument was, over all calls of a check."""

    values: list
    gradient: bool = False

    @property
    def first(self) -> Any:
        return self.values[0]

    @property
    def axes(self) -> int:
        return max((one.dim() for one in self.values if isinstance(one, Tensor)), default=-1)


def seen_by(task: Task) -> tuple[dict[str, Given], list]:
    """Return all that the check of a task gives its answer, by the names of the arguments, and what comes back."""
    solution, given, results = task.build(), {}, []

    def watching(*arguments: Any, **settings: Any) -> Any:
        for name, value in inspect.signature(solution).bind(*arguments, **settings).arguments.items():
            one = given.setdefault(name, Given([]))
            one.values.append(value)
            one.gradient |= isinstance(value, Tensor) and value.requires_grad
        results.append(solution(*arguments, **settings))
        return results[-1]

    if problem := task.problem(watching, 0):
        raise ValueError(f"the solution of {task.exercise.number} is refused: {problem}")
    return given, results


def around(task: Task) -> Iterator[Mutant]:
    """Return the mutants that are the whole solution in a wrapper."""
    given, results = seen_by(task)
    changes = [(*fault, "before") for fault in _to_arguments(given)]
    changes += [(*fault, "after") for fault in _to_the_result(given, results)]
    for kind, fault, change, when in changes:
        make = partial(_wrapped, task, change, when)
        yield Mutant(task.exercise.number, kind, fault, make)


def _wrapped(task: Task, change: Callable, when: str) -> Callable:
    solution = task.build()
    signature = inspect.signature(solution)

    def mutant(*arguments: Any, **settings: Any) -> Any:
        bound = signature.bind(*arguments, **settings)
        if when == "before":
            change(bound.arguments)
            return solution(*bound.args, **bound.kwargs)
        return change(solution(*arguments, **settings), bound.arguments)

    return mutant


def _replaced(name: str, how: Callable) -> Callable:
    def change(arguments: dict[str, Any]) -> None:
        arguments[name] = how(arguments[name])

    return change


def _to_arguments(given: dict[str, Given]) -> Iterator[tuple[str, str, Callable]]:
    """Return kind, words and change: what a wrapper does to the arguments before the solution sees them."""
    for name, one in given.items():
        if one.axes >= 2:
            yield "memory", f"{name}: read in the order of the memory", _replaced(name, _as_if_contiguous)
            yield "square only", f"{name}: cut to a square", _replaced(name, _cut_square)
        for axis in range(max(0, one.axes - 2)):
            yield "the first only", f"{name}: the first on axis {axis} for all", _replaced(name, _first(axis))
        if one.axes >= 0 and one.first.is_floating_point():
            yield "values", f"{name}: without sign", _replaced(name, Tensor.abs)
            yield "values", f"{name}: rounded", _replaced(name, Tensor.round)
        if one.gradient:
            yield "gradient", f"{name}: detached", _replaced(name, Tensor.detach)
            yield "gradient", f"{name}: half of it detached", _replaced(name, lambda x: x / 2 + x.detach() / 2)
        if isinstance(one.first, int | float | str | bool) or (
            isinstance(one.first, tuple | list) and not isinstance(one.first[0] if one.first else 0, Tensor | tuple)
        ):
            yield "argument ignored", f"{name}: always the first", _replaced(name, lambda _, value=one.first: value)
        if isinstance(one.first, int | float) and not isinstance(one.first, bool):
            for value in (0, 1, 2):
                yield "argument ignored", f"{name}: always {value}", _replaced(name, lambda _, value=value: value)
        if isinstance(one.first, tuple | list) and any(len(value) > 1 for value in one.values):
            yield "the first only", f"{name}: without its last", _replaced(name, lambda value: value[:-1] or value)
            yield "order", f"{name}: backwards", _replaced(name, lambda value: value[::-1])
    for one, other in EXCHANGED.items():
        if one in given and other in given:

            def change(arguments: dict[str, Any], one: str = one, other: str = other) -> None:
                arguments[one] = arguments[other]

            yield "square only", f"{other} in the place of {one}", change
    if any(_not_float32(value) for one in given.values() for value in one.values):
        yield "float32 only", "arguments in float32", _all_in_float32


def _not_float32(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float32


def _as_if_contiguous(x: Any) -> Any:
    if not isinstance(x, Tensor) or x.dim() < 2:
        return x
    steps = [math.prod(x.shape[i + 1 :]) for i in range(x.dim())]
    return x.as_strided(x.shape, steps)


def _cut_square(x: Any) -> Any:
    if not isinstance(x, Tensor) or x.dim() < 2:
        return x
    side = min(x.shape[-2:])
    return x[..., :side, :side]


def _first(axis: int) -> Callable:
    def change(x: Any) -> Any:
        one = isinstance(x, Tensor) and axis < x.dim() - 2 and x.shape[axis] > 0
        return x.narrow(axis, 0, 1).expand_as(x).clone() if one else x

    return change


def _all_in_float32(arguments: dict[str, Any]) -> None:
    for name, value in arguments.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            arguments[name] = value.float()


def _to_the_result(given: dict[str, Given], results: list) -> Iterator[tuple[str, str, Callable]]:
    """Return kind, words and change: what a wrapper does to the result, and to the arguments after it was made."""
    parts = [part for one in results for part in (one if isinstance(one, tuple | list) else [one])]
    numbers = [part for part in parts if isinstance(part, Tensor) and part.is_floating_point()]
    maps = [part for part in parts if isinstance(part, Tensor) and part.dim() >= 2]
    if any(map(_not_float32, numbers)):
        yield "float32 only", "worked out in float32", _each(_through_float32)
        yield "float32 only", "the result in float32", _each(_in_float32)
    if numbers:
        yield "values", "a thousandth too much", _each(lambda one: one * 1.001 if isinstance(one, Tensor) else one)
        yield "values", "one number is off", _each(_last_off)
    if maps:
        yield "square only", "turned round where it is no square", _each(_turned)
    if any(isinstance(part, int) for part in parts):
        yield "type", "a float for an int, an int for a bool", _each(_other_type)
    if any(one.gradient for one in given.values()):
        yield "gradient", "none comes back", _each(lambda one: one.detach() if isinstance(one, Tensor) else one)
    for name, one in given.items():
        if isinstance(one.first, Tensor | nn.Module | list | dict):
            yield "input changed", f"{name} is changed", partial(_spoiled, name)


def _each(how: Callable) -> Callable:
    def change(result: Any, _: dict) -> Any:
        return type(result)(map(how, result)) if type(result) in (tuple, list) else how(result)

    return change


def _through_float32(one: Any) -> Any:
    return one.float().to(one.dtype) if isinstance(one, Tensor) and one.dtype == torch.float64 else one


def _in_float32(one: Any) -> Any:
    return one.float() if isinstance(one, Tensor) else one


def _last_off(one: Any) -> Any:
    if not isinstance(one, Tensor) or not one.numel():
        return one
    off = torch.zeros(one.numel(), dtype=one.dtype)
    off[-1] = 1
    return one + off.reshape(one.shape)


def _turned(one: Any) -> Any:
    return one.mT if isinstance(one, Tensor) and one.dim() >= 2 else one


def _other_type(one: Any) -> Any:
    return int(one) if isinstance(one, bool) else float(one) if isinstance(one, int) else one


def _spoiled(name: str, result: Any, arguments: dict[str, Any]) -> Any:
    result, value = copy.deepcopy(result), arguments[name]
    with torch.no_grad():
        if isinstance(value, Tensor):
            value.data.copy_(torch.ones_like(value) if value.dtype == torch.bool else value + 1)
        elif isinstance(value, nn.Module):
            value.train(not value.training)
        else:
            value.clear()
    return result


# ---- all of them ----------------------------------------------------------------------------------


def mutants(task: Task) -> list[Mutant]:
    """Return all mutants of a task."""
    return [*in_the_text(task), *around(task)]


def judge(mutant: Mutant, seeds: int = 1) -> int:
    """Have a mutant graded: ALIVE if it is right with one of the seeds, else KILLED."""
    for seed in range(seeds):
        if tasks()[mutant.of].problem(mutant.make(), seed) is None:
            return ALIVE
    return KILLED


def reasons() -> dict[str, dict[str, str]]:
    """Return why a mutant is as good as the solution, by its exercise and its fault."""
    return json.loads(EQUIVALENT.read_text(encoding="utf-8")) if EQUIVALENT.exists() else {}


def start(mutant: Mutant, seeds: int) -> int:
    """Judge a mutant in a forked process; return its number.  Its status is what became of the mutant."""
    if pid := os.fork():
        return pid
    status = BROKEN
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        # For what the check cannot stop, one long call of C: the process ends, and the mutant counts as killed.
        seconds = int(20 + seeds * 12 * LIMIT)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 2))
        resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
        signal.alarm(10 * seconds)
        status = judge(mutant, seeds)
    finally:
        os._exit(status)


def run(found: list[Mutant], jobs: int, seeds: int) -> dict[Mutant, int]:
    """Judge all mutants, some at a time; return what became of each."""
    checking.LIMIT = LIMIT
    torch.set_num_threads(1)
    gc.freeze()  # what is there by now is shared by the forked processes
    waiting, running, became = found[::-1], {}, {}
    while waiting or running:
        if waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[start(mutant, seeds)] = mutant
        else:
            pid, status = os.wait()
            code = os.waitstatus_to_exitcode(status)
            became[running.pop(pid)] = KILLED if code < 0 else code
    return became


def main() -> int:
    """Judge what is asked for, print a table and the survivors; return 1 if one of them has no reason to live."""
    parser = argparse.ArgumentParser(description="Spoil the solutions, and count how many the checks refuse.")
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="3.4, 3.4b, or 3 for a chapter; none means all")
    parser.add_argument("--seeds", type=int, default=1, help="how many draws of the inputs must each find the fault")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    wanted = [number for number in tasks() if not asked.numbers or any(_asked(number, one) for one in asked.numbers)]
    if not wanted:
        parser.error(f"no exercise that asks for code fits; there are {', '.join(tasks())}")
    found = [mutant for number in wanted for mutant in mutants(tasks()[number])]
    became = run(found, asked.jobs, asked.seeds)
    known = reasons()
    equivalent = {one for one in found if one.fault in known.get(one.of, {})}

    print(f"{'kind':<20}{'all':>6}{'killed':>8}{'equivalent':>12}{'open':>6}")
    for kind in [*sorted({one.kind for one in found}), "all"]:
        some = [one for one in found if kind in (one.kind, "all")]
        killed = sum(became[one] != ALIVE for one in some)
        same = sum(became[one] == ALIVE and one in equivalent for one in some)
        print(f"{kind:<20}{len(some):>6}{killed:>8}{same:>12}{len(some) - killed - same:>6}")
    print(f"{killed / max(1, len(found) - same):.1%} of those that are not equivalent were killed")
    holes = [one for one in found if became[one] == ALIVE and one not in equivalent]
    broken = [one for one in found if became[one] not in (ALIVE, KILLED)]
    dead = [one for one in equivalent if became[one] != ALIVE]
    there = {(one.of, one.fault) for one in found}
    gone = [(of, fault) for of in wanted for fault in known.get(of, {}) if (of, fault) not in there]
    for title, some in (
        ("Found right, a hole in the check or equivalent:", holes),
        ("The check itself stopped:", broken),
        ("Called equivalent, and yet refused:", dead),
    ):
        if some:
            print(f"\n{title}", *(f"{one.of}  [{one.kind}]  {one.fault}" for one in some), sep="\n")
    if gone:
        print("\nCalled equivalent, and no mutant any more:", *map("  ".join, gone), sep="\n")
    return 1 if holes or broken or dead or gone else 0


def _asked(number: str, one: str) -> bool:
    return number.removesuffix("b") == one or number == one or number.split(".")[0] == one


if __name__ == "__main__":
    sys.exit(main())

"""Reads a notebook's code without running it, and finds the places where a trained network is called by hand.

`train.fit` trains on whatever device there is.  So after it, and with what a checkpoint holds, a picture is not given
to the network itself, but to one of the functions that bring the picture to where the network is: `BRINGERS`.

The code is followed in order, as Python would run it, but with things in place of values: a thing is the call that made
it, or a function of the notebook.  A function is followed where it is called, with what it is given there.
"""

import ast
from collections.abc import Iterable

from torch import Tensor, nn

# They take a network, or a lambda with one in it, and bring the pictures; `_replace` makes what `segment` takes.
BRINGERS = {
    "_replace", "effective_receptive_field", "evaluate", "predict_tiled", "receptive_field", "segment", "shift_change"
}  # fmt: skip
# What comes out of these is a copy: trained if what went in was, and no longer the same thing.
COPIES = {"deepcopy", "fuse"}
# What comes out of these holds what went in; so does an object of a class.
KEEPERS = {"compile", "dict", "enumerate", "iter", "list", "next", "reversed", "script", "trace", "tuple", "zip"}
# What may be asked of a network without showing it a picture.
METHODS = {*dir(nn.Module), *dir(Tensor), *dir(dict), *dir(list)} - {"forward"}


class Reader:
    """What is known of a notebook after the cells so far."""

    def __init__(self) -> None:
        self.names: dict[str, set] = {}  # the things that a name may stand for
        self.trained: set = set()
        self.found: dict[str, None] = {}
        self.entered: list[ast.AST] = []  # the functions that are being followed
        self.returned: set = set()

    def calls_by_hand(self, code: str) -> list[str]:
        """Follow one more cell, and list the calls of trained networks that it makes, each once."""
        self.found = {}
        self.run(ast.parse(code))
        return list(self.found)

    def run(self, node: ast.AST) -> None:
        """Follow a statement, or any other node that has no value."""
        match node:
            case ast.FunctionDef():
                self.names[node.name] = {node}
                trained = set(self.trained)
                self.enter(node)  # readers may call it, even if no cell does
                self.trained = trained
            case ast.ClassDef():
                self.names[node.name] = set()  # what is in it is the network's own affair
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    self.names[(alias.asname or alias.name).partition(".")[0]] = set()
            case ast.Assign():
                value = self.value(node.value)
                for target in node.targets:
                    self.bind(target, node.value, value)
            case ast.AugAssign():
                self.names[ast.unparse(node.target)] = self.value(node.target) | self.value(node.value)
            case ast.Return():
                self.returned = self.returned | self.value(node.value)
            case ast.For() | ast.While():
                for _ in range(2):  # what the end of the loop trains, its beginning meets
                    if isinstance(node, ast.For):
                        self.bind(node.target, node.iter, self.value(node.iter))
                    for child in ast.iter_child_nodes(node):
                        self.run(child)
            case ast.withitem() if node.optional_vars:
                self.bind(node.optional_vars, node.context_expr, self.value(node.context_expr))
            case ast.expr():
                self.value(node)
            case _:
                for child in ast.iter_child_nodes(node):
                    self.run(child)

    def bind(self, target: ast.expr, source: ast.expr, value: set) -> None:
        """Give names to what was computed; several names to several things, if they stand there one by one."""
        match target, source:
            case ast.Name(), _:
                self.names[target.id] = value
            case ((ast.Tuple() | ast.List()), (ast.Tuple() | ast.List())) if len(target.elts) == len(source.elts):
                values = [self.value(one) for one in source.elts]
                for one, other, found in zip(target.elts, source.elts, values, strict=True):
                    self.bind(one, other, found)
            case ((ast.Tuple() | ast.List()), _):
                for one in target.elts:
                    self.bind(one, source, value)
            case ast.Starred(), _:
                self.bind(target.value, source, value)
            case ((ast.Subscript() | ast.Attribute()), _):  # networks["a"] = ...: it holds one thing more
                while not isinstance(target, ast.Name | ast.Call):
                    target = target.value
                if isinstance(target, ast.Name):
                    self.names[target.id] = self.names.get(target.id, set()) | value

    def value(self, node: ast.AST | None) -> set:
        """Follow an expression, and return the things that its value is, or holds."""
        match node:
            case None:
                return set()
            case ast.Name():
                return self.names.get(node.id, set())
            case ast.Lambda():
                return {node}
            case ast.Call():
                return self.call(node)
            case ast.NamedExpr():
                value = self.value(node.value)
                self.bind(node.target, node.value, value)
                return value
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                outside = dict(self.names)
                for part in node.generators:
                    self.bind(part.target, part.iter, self.value(part.iter))
                    self.all_of(part.ifs)
                held = self.all_of([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
                self.names = outside
                return held
            case _:
                return self.all_of(ast.iter_child_nodes(node))

    def all_of(self, nodes: Iterable[ast.AST]) -> set:
        """Follow several expressions, and return the things of all."""
        return set().union(*map(self.value, nodes))

    def call(self, node: ast.Call) -> set:
        """Follow a call."""
        given = [*node.args, *(word.value for word in node.keywords)]
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in BRINGERS:
            self.all_of(one for one in given if not isinstance(one, ast.Lambda))
            return set()
        called, held = self.value(node.func), [self.value(one) for one in given]
        if name == "fit":
            self.trained |= next((self.value(word.value) for word in node.keywords if word.arg == "model"), held[0])
            return set()
        functions = {one for one in called if isinstance(one, ast.FunctionDef | ast.Lambda)}
        if functions:
            return set().union(*(self.enter(one, node) for one in functions))
        # A method that gets nothing is shown no picture.
        asks = isinstance(node.func, ast.Attribute) and (not given or name in METHODS)
        if called & self.trained and not asks:
            self.found[ast.unparse(node)] = None
        for one in set().union(*held):
            if isinstance(one, ast.FunctionDef | ast.Lambda):  # whoever is handed a function may call it
                self.enter(one)
        if name in COPIES or not called:
            self.trained.discard(node)  # it is made anew
        if name == "load_network":
            self.trained.add(node)
        if name in COPIES:
            self.trained |= {node} if (called | set().union(*held)) & self.trained else set()
            return {node}
        if name[:1].isupper() or name in KEEPERS:
            return {node}.union(*held)
        return called or {node}

    def enter(self, function: ast.FunctionDef | ast.Lambda, call: ast.Call | None = None) -> set:
        """Follow a function of the notebook, with the things that a call gives it."""
        if function in self.entered:
            return set()
        outside, before, self.returned = self.names, self.returned, set()
        parameters = [one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        inside = dict.fromkeys(parameters, set())
        if call:
            inside |= dict(zip(parameters, map(self.value, call.args), strict=False))
            inside |= {word.arg: self.value(word.value) for word in call.keywords if word.arg}
        self.names = outside | inside
        self.entered.append(function)
        if isinstance(function, ast.Lambda):
            self.returned = self.value(function.body)
        else:
            for statement in function.body:
                self.run(statement)
        self.entered.pop()
        value, self.names, self.returned = self.returned, outside, before
        return value

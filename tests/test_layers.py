"""Imports run one way: a lower layer never imports a higher one, and a layer never imports itself.

The layers are those of the book's plan.  A module is placed by its name in LAYERS; a sub-package is one unit.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "chapters_code"
LAYERS = {
    "below": {"checks", "colours", "files", "outputs"},
    "ground": {"shapes", "receptive_field", "metrics", "losses", "notebook", "data"},
    "operators": {"pooling", "strided", "dilated", "wavelets", "tiles", "overlay"},
    "operators on operators": {"transposed", "fast"},
    "blocks": {"aspp", "blocks", "hwd", "wtconv"},
    "networks": {"unet", "fcn", "u2net", "downsample"},
    "running": {"recipes", "runs", "studies"},
    "checkpoints": {"checkpoints"},
    "scoring": {"evaluate", "predict"},
    "training": {"train", "records"},
    "teaching": {"figures", "widgets", "exercises"},
}
HEIGHT = {unit: height for height, units in enumerate(LAYERS.values()) for unit in units}


def units_imported(text: str, module: tuple[str, ...], package: bool = False) -> Iterator[str]:
    """Name the units of chapters_code that a module imports, anywhere in its text.

    Args:
        text: The module's source.
        module: Its dotted name in parts, ("chapters_code", "data", "synthetic").
        package: The text is an __init__.py, from which one dot is the package itself.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(module[: len(module) + package - node.level]) if node.level else []
            base += node.module.split(".") if node.module else []
            # `from chapters_code import pooling` names the unit after the word import.
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        yield from (name[1] for name in names if name[0] == "chapters_code" and len(name) > 1)


def faults(text: str, module: tuple[str, ...], package: bool = False) -> list[str]:
    """Say which imports of a module run the wrong way."""
    here = module[1]
    wrong = []
    for unit in units_imported(text, module, package):
        if unit not in HEIGHT:
            wrong.append(f"{unit} has no layer: add it to LAYERS in tests/test_layers.py, or import it by its module")
        elif unit != here and HEIGHT[unit] >= HEIGHT[here]:
            wrong.append(
                f"{here} (layer {HEIGHT[here]}) imports {unit} (layer {HEIGHT[unit]}), which is not lower;"
                " what both need belongs in a lower layer"
            )
    return wrong


MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.parent != PACKAGE or path.name != "__init__.py"
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_what_is_lower(name):
    module = tuple(name.split("."))
    assert module[1] in HEIGHT, f"{name} has no layer: add {module[1]} to LAYERS in tests/test_layers.py"

    if package := module[-1] == "__init__":
        module = module[:-1]
    assert faults(MODULES[name].read_text(encoding="utf-8"), module, package) == []


def test_the_package_itself_imports_nothing_of_its_own():
    """`import chapters_code` stays cheap, and no unit can reach another through it."""
    assert list(units_imported((PACKAGE / "__init__.py").read_text(encoding="utf-8"), ("chapters_code",), True)) == []


@pytest.mark.parametrize(
    ("text", "module", "said"),
    [
        ("import chapters_code.figures", "chapters_code.pooling", "pooling (layer 2) imports figures"),
        ("from chapters_code import train", "chapters_code.fcn", "fcn (layer 5) imports train"),
        (
            "from chapters_code.strided import x",
            "chapters_code.pooling",
            "strided (layer 2), which is not lower",
        ),
        ("from .hwd import HWDownsampling", "chapters_code.wtconv", "wtconv (layer 4) imports hwd"),
        ("from .. import exercises", "chapters_code.data.voc", "data (layer 1) imports exercises"),
        ("from ..pooling import x", "chapters_code.data.voc", "data (layer 1) imports pooling"),
        (
            "def f():\n    from chapters_code import u2net",
            "chapters_code.aspp",
            "aspp (layer 4) imports u2net",
        ),
        ("import chapters_code.helpers", "chapters_code.aspp", "helpers has no layer"),
    ],
)
def test_the_wrong_way_is_noticed(text, module, said):
    (fault,) = faults(text, tuple(module.split(".")))
    assert said in fault


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("import torch\nfrom pathlib import Path\nfrom torch import nn as train", "chapters_code.pooling"),
        ("from chapters_code.shapes import conv_size", "chapters_code.pooling"),
        ("from .checking import Exercise\nfrom ..pooling import x", "chapters_code.exercises.pooling"),
    ],
)
def test_the_right_way_passes(text, module):
    assert faults(text, tuple(module.split("."))) == []

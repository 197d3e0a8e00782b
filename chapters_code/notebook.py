"""What every chapter's notebook needs: a seed, a device, shown source code, and pictures with words (all chapters).

Plots are drawn on an opaque card of light paper, so that they read the same on a white page, on a dark one and on
Colab.  Beside them is stored where photographs and other data stand on the card: on a dark page, the site turns the
card dark and leaves these as they are.  Every picture comes with `alt`, a sentence for those who cannot see it; it is
stored in the notebook, too, and the site puts it on the page.

Left out: anything about one chapter's topic; plots that chapters share are in figures.py.
"""

import ast
import base64
import inspect
import io
import os
import random
import sys
import textwrap
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from IPython.display import display
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chapters_code.colours import COLOURS
from chapters_code.outputs import device

__all__ = ["COLOURS", "INK", "PAPER", "STYLE", "device", "run_folder", "seed", "show", "show_source", "versions"]

PAPER, INK = "#fbfaf6", "#2b2b2b"
STYLE: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": PAPER,
    "axes.labelcolor": INK,
    "axes.prop_cycle": matplotlib.cycler(color=list(COLOURS.values())),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.facecolor": PAPER,
    "font.size": 10,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "lines.linewidth": 2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
# On screen a figure is 100 px per inch; twice as many are stored, for sharp phones.
_SCREEN_DPI, _STORED_DPI = 100, 200


def seed(number: int) -> None:
    """Start all random numbers (Python, NumPy, PyTorch) from `number`, so that a rerun gives the same ones."""
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def run_folder(name: str) -> Path:
    """Say where a notebook keeps a training run, so that it can go on after an interruption.

    That is the folder `name` in the one that the environment variable BOOK_RUNS names; else, on Colab with a mounted
    Drive, in `keep-the-crack/runs` there, since all else on Colab is lost when its machine is; else in `runs`, beside
    the notebook.

    Args:
        name: Of the run, such as "fcn"; another name, another run.
    """
    drive = Path("/content/drive/MyDrive")
    here = drive / "keep-the-crack" / "runs" if drive.is_dir() else Path("runs")
    return Path(os.environ.get("BOOK_RUNS") or here).expanduser() / name


def versions() -> None:
    """Print what the numbers below were computed with, in two short lines."""
    numpy, torch_, vision, plots = map(metadata.version, ("numpy", "torch", "torchvision", "matplotlib"))
    print(f"Python {sys.version.split()[0]} · numpy {numpy} · matplotlib {plots}")
    print(f"torch {torch_} · torchvision {vision} · device: {device().type}")


def show_source(thing: Callable | type, brief: bool = False) -> None:
    """Show the text of a function or class as it stands in the book's code.

    The page can thus not differ from the code: when the text changes, the stored output no longer matches.

    Args:
        thing: A function or class of `chapters_code`.
        brief: Keep only the first line of each docstring, when the lesson is in the code.
    """
    text = textwrap.dedent(inspect.getsource(thing))
    if brief:
        text = _with_brief_docstrings(text)
    text = f"# {thing.__module__.replace('.', '/')}.py\n{text.rstrip()}"
    # Front ends that know Markdown colour the code; the others, and the tests, take the plain text.
    display({"text/plain": text, "text/markdown": f"```python\n{text}\n```"}, raw=True)


def show(figure: Figure, alt: str) -> None:
    """Show a matplotlib figure together with its description.

    Args:
        figure: What was drawn; best made under `with matplotlib.rc_context(STYLE)`.
        alt: What the picture shows, in a sentence, for readers who cannot see it.

    Raises:
        ValueError: `alt` says too little.
    """
    if len(alt.strip()) < 15:
        raise ValueError(f"alt must describe the picture in a sentence, for those who cannot see it; got {alt!r}")
    stored = io.BytesIO()
    figure.set_dpi(_STORED_DPI)  # and not for storing alone, as `_panels` looks where things were drawn
    figure.savefig(stored, format="png", dpi=_STORED_DPI, facecolor=PAPER, metadata={"Software": None})
    width, height = (round(inches * _SCREEN_DPI) for inches in figure.get_size_inches())
    display(
        {"image/png": base64.b64encode(stored.getvalue()).decode(), "text/plain": alt},
        raw=True,
        metadata={"image/png": {"alt": alt, "width": width, "height": height, "panels": _panels(figure)}},
    )


def _panels(figure: Figure) -> list[list[float]]:
    """Return where a figure that was drawn has colours that must stay: boxes (left, top, width, height) in percent.

    These are the axes that hold a picture, the bars that say what its colours mean, and the patches of a legend.
    """
    pictured = [axes for axes in figure.axes if axes.images]
    bars = [axes for axes in figure.axes if any(isinstance(one, QuadMesh) for one in axes.collections)]
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    handles = [handle for legend in legends if legend for handle in legend.legend_handles]
    patches = [handle.get_window_extent() for handle in handles if pictured and isinstance(handle, Patch)]
    full = figure.bbox
    return [
        [
            round(100 * float(share), 2)
            for share in (
                box.x0 / full.width,
                1 - box.y1 / full.height,
                box.width / full.width,
                box.height / full.height,
            )
        ]
        for box in (*(axes.get_window_extent() for axes in dict.fromkeys(pictured + bars)), *patches)
    ]


def _with_brief_docstrings(text: str) -> str:
    """Cut every docstring of a piece of code down to its first line."""
    lines = text.split("\n")
    documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, documented) and ast.get_docstring(node)]
    # From the end, so that the line numbers of those before stay true.
    for node in sorted(nodes, key=lambda node: node.lineno, reverse=True):
        first, last = node.body[0].lineno, node.body[0].end_lineno
        if last > first:
            lines[first - 1 : last] = [lines[first - 1] + '"""']
    return "\n".join(lines)

"""The frame of every figure that moves: one JavaScript module, with a kernel and without (all chapters).

A figure's numbers are computed in its JavaScript, so nothing on the page waits for Python.

    with a kernel (JupyterLab, Colab):  anywidget shows the module and keeps Python's state up to date
    without (the site, a saved page):   the text/html output starts the same module from inside the page
    without JavaScript:                 a still picture with a description, drawn here from the same state

The page asks no other host and needs no RequireJS and no widget manager.  The same state gives the same
bytes, so nbval can compare the stored output.

What the JavaScript reads or sets is a `Setting` of the figure.  Each kind of setting keeps plain JSON and refuses what
is none, None included, with a ValueError that says what came, what was wanted and what to do; then nothing is changed.

Sources: the contract of the JavaScript module is anywidget's (https://anywidget.dev).
"""

import base64
import contextlib
import hashlib
import html
import json
import math
import operator
from collections.abc import Callable
from numbers import Real
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from chapters_code.checks import check_integer

__all__ = ["Choice", "Flag", "MovingFigure", "Number", "Several", "Setting", "Integer", "es_module", "pack", "unpack"]

_HERE = Path(__file__).parent

# `model` stands in for Jupyter's, which needs a kernel; it has the names that anywidget promises to `render`.
_PAGE = """\
<div data-figure="{key}"><img alt="{description}" src="data:image/svg+xml;base64,{still}" \
style="max-width: 100%; height: auto"></div>
<script type="module">
// The same figure may stand on a page twice: take all that nobody has started yet.
const places = [...document.querySelectorAll('[data-figure="{key}"]:not([data-started])')];
places.forEach((place) => {{ place.dataset.started = "yes"; }});
const {{ default: figure }} = await import("data:text/javascript;base64,{module}");
for (const place of places) {{
  const state = {state};
  const listeners = {{}};
  const model = {{
    get: (name) => state[name],
    set(name, value) {{
      state[name] = value;
      (listeners["change:" + name] ?? []).forEach((listener) => listener());
    }},
    on: (event, listener) => {{ (listeners[event] ??= []).push(listener); }},
    off(event, listener) {{ listeners[event] = (listeners[event] ?? []).filter((one) => one !== listener); }},
    save_changes() {{}},
  }};
  const el = document.createElement("div");
  await figure.render({{ model, el }});
  place.replaceChildren(el); // only now: whatever fails before, the still picture stays
}}
</script>
"""


def es_module(name: str) -> str:
    """Join the shared helpers and one figure's code into a single ES module.

    One module without imports can be started from anywhere: by anywidget, and from inside a saved page.

    Args:
        name: The figure's file in this folder, for example "window.js".  It exports `default {render}`.
    """
    return "\n".join((_HERE / part).read_text(encoding="utf-8") for part in ("common.js", name))


class Setting(traitlets.TraitType):
    """A value that a figure's JavaScript reads or sets.

    Args:
        check: Takes the setting's name and what came; returns what is stored, plain JSON, or raises a ValueError.
            The subclasses bring a `check` of their own.
    """

    def __init__(self, check: Callable | None = None):
        super().__init__()
        self.tag(sync=True, state=True)
        if check is not None:
            self.check = check

    def validate(self, obj, value):
        """Return what is stored for `value`; traitlets calls this whenever the setting is set."""
        return self.check(self.name, value)


class Integer(Setting):
    """An integer from `low` to `high` in steps of `step`, of Python, NumPy or PyTorch; True and False are none."""

    def __init__(self, low: int, high: float = math.inf, step: int = 1):
        super().__init__()
        self.low, self.high, self.step = low, high, step

    def check(self, name: str, value) -> int:
        """Return `value` as a Python integer, or say what was wanted."""
        if not isinstance(value, bool):
            with contextlib.suppress(TypeError):  # what is no integer is refused below
                value = operator.index(value)
        number = check_integer(name, value, self.low, self.high)
        if (number - self.low) % self.step:
            there = ", ".join(map(str, range(self.low, self.high + 1, self.step)))
            raise ValueError(f"{name} must be one of {there}; got {number}")
        return number


class Number(Setting):
    """A number from `low` to `high` with at most so many decimals."""

    def __init__(self, low: float, high: float, decimals: int):
        super().__init__()
        self.low, self.high, self.decimals = low, high, decimals

    def check(self, name: str, value) -> float:
        """Return `value` as a Python float, or say what was wanted."""
        if not isinstance(value, Real) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise ValueError(f"{name} must be a number from {self.low} to {self.high}, got {value!r}")
        rounded = round(float(value), self.decimals)
        if float(value) != rounded:
            raise ValueError(f"{name} must have at most {self.decimals} decimals, got {value!r}: take {rounded}")
        return float(value)


class Flag(Setting):
    """True or False, and no number."""

    def check(self, name: str, value) -> bool:
        """Return `value`, or say what was wanted."""
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")
        return value


class Choice(Setting):
    """One of a few values."""

    def __init__(self, *choices):
        super().__init__()
        self.choices = choices

    def check(self, name: str, value):
        """Return the choice that equals `value`, or say which there are."""
        try:
            return self.choices[self.choices.index(value)]
        except (ValueError, RuntimeError):  # arrays and tensors of several numbers equal nothing and say so
            raise ValueError(f"{name} must be one of {', '.join(map(str, self.choices))}; got {value!r}") from None


class Several(Setting):
    """A list, or a tuple, of values of one kind.

    Args:
        kind: The setting that checks each of them.
        wanted: What the list is, in the words of the error.
        least: The fewest values.
        most: The most values.
        unique: Keep each value once, in order; then a set will do, too.
    """

    def __init__(self, kind: Setting, wanted: str, least: int = 0, most: float = math.inf, unique: bool = False):
        super().__init__()
        self.kind, self.wanted, self.least, self.most, self.unique = kind, wanted, least, most, unique

    def check(self, name: str, value) -> list:
        """Return the values as a list, or say what was wanted."""
        if not isinstance(value, (list, tuple, set) if self.unique else (list, tuple)) or (
            not self.least <= len(value) <= self.most
        ):
            raise ValueError(f"{name} must be {self.wanted}, got {value!r}")
        values = [self.kind.check(f"each of {name}", one) for one in value]
        return sorted(set(values)) if self.unique else values


class MovingFigure(anywidget.AnyWidget):
    """A figure that moves; the base of all of them.

    A subclass gives `_esm = es_module("its.js")`, `description`, `still()`, and a `Setting` for every value that its
    JavaScript reads or sets.
    """

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence, for readers who cannot see it."""
        raise NotImplementedError(f"{type(self).__name__} needs a description, one sentence")

    def still(self) -> str:
        """Draw the figure as it stands, as the text of an SVG document with its own background."""
        raise NotImplementedError(f"{type(self).__name__} needs a still picture, the text of an SVG")

    def state(self) -> dict:
        """Return what the JavaScript starts from: trait name -> value, in alphabetical order."""
        return {name: getattr(self, name) for name in sorted(self.trait_names(state=True))}

    def to_html(self) -> str:
        """Write the figure as a piece of HTML that is alive on any page, also from a file on disk.

        Returns:
            HTML with everything inside: still picture, JavaScript and state.  Equal states give equal bytes.
        """
        # A "<" inside a <script> could end it early; JSON may write it as an escape.
        state = json.dumps(self.state(), sort_keys=True).replace("<", "\\u003c")
        name = type(self).__name__
        return _PAGE.format(
            # Not a number that counts up: a rerun of one cell must give the same page.
            key=f"{name.lower()}-{hashlib.sha256((name + state).encode()).hexdigest()[:12]}",
            description=html.escape(self.description),
            # An <img>, not inline SVG: viewers that clean HTML they do not trust (JupyterLab before a cell is
            # run, code hosts) keep the first whole and leave of the second a row of loose numbers.
            still=_base64(self.still().encode()),
            module=_base64(self._esm.encode()),
            state=state,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.description}>"

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return data | {"text/plain": self.description, "text/html": self.to_html()}, metadata


def pack(plane: np.ndarray) -> dict:
    """Return a map of bytes, (H, W), as a page can hold it: its height, its width, and the bytes in base64."""
    return {"bytes": _base64(plane.tobytes()), "height": plane.shape[0], "width": plane.shape[1]}


def unpack(name: str, packed: dict) -> np.ndarray:
    """Turn `pack` round, uint8 (H, W).

    Raises:
        ValueError: It is none; the message names the setting.
    """
    try:
        values = np.frombuffer(base64.b64decode(packed["bytes"]), np.uint8)
        return values.reshape(packed["height"], packed["width"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{name} must be a map as a figure keeps it, or an array; got {packed!r}") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

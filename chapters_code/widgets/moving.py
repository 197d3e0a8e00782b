"""The frame of every figure that moves: one JavaScript module, with a kernel and without (all chapters).

A figure's numbers are computed in its JavaScript, so nothing on the page waits for Python.

    with a kernel (JupyterLab, Colab):  anywidget shows the module and keeps Python's state up to date
    without (the site, a saved page):   the text/html output starts the same module from inside the page
    without JavaScript:                 a still picture with a description, drawn here from the same state

The page asks no other host and needs no RequireJS and no widget manager.  The same state gives the same
bytes, so nbval can compare the stored output.

Sources: the contract of the JavaScript module is anywidget's (https://anywidget.dev).
"""

import base64
import hashlib
import html
import json
from pathlib import Path

import anywidget

__all__ = ["MovingFigure", "es_module"]

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


class MovingFigure(anywidget.AnyWidget):
    """A figure that moves; the base of all of them.

    A subclass gives `_esm = es_module("its.js")`, `description`, `still()`, and tags every trait that its
    JavaScript reads or sets with `sync=True, state=True`.  Their values must be plain JSON.
    """

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence, for readers who cannot see it."""
        raise NotImplementedError(f"{type(self).__name__} needs a description, one sentence")

    def still(self) -> str:
        """Draw the figure as it stands, as the text of an SVG document with its own background."""
        raise NotImplementedError(f"{type(self).__name__} needs a still picture, the text of an SVG")

    def state(self) -> dict:
        """Give what the JavaScript starts from: trait name -> value, in alphabetical order."""
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
            still=_base64(self.still()),
            module=_base64(self._esm),
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


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

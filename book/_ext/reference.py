"""The API reference, made from the package itself: no list of modules is kept by hand.

    each module or package right inside chapters_code  ->  a page book/api/NAME.md, with all that is inside it
    `{modules}` on a page                               ->  a list of these pages, each with its first sentence

The pages are written before Sphinx looks for them; git does not see them.
"""

import ast
import importlib
import pkgutil
import shutil
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

import chapters_code

# Packages of which one is to know the outside only: what they offer is in their __init__.py.
FACES = ("chapters_code.exercises", "chapters_code.data.synthetic")

BLOCK = """\
{marks} {title}

```{{eval-rst}}
.. automodule:: {name}
   :members:
{option}
```
"""


def modules(package: str = "chapters_code") -> Iterator[tuple[str, bool]]:
    """Name the modules of the package in alphabetical order, and say of each whether others are inside it.

    What is inside one of `FACES` is left out, and so is what is run and not imported.
    """
    folder = Path(chapters_code.__file__).parent.joinpath(*package.split(".")[1:])
    for module in sorted(pkgutil.iter_modules([str(folder)]), key=lambda module: module.name):
        name = f"{package}.{module.name}"
        if module.name.startswith("_"):
            continue
        yield name, module.ispkg
        if module.ispkg and name not in FACES:
            yield from modules(name)


def path_of(name: str, package: bool) -> Path:
    """Return the file of a module."""
    path = Path(chapters_code.__file__).parent.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if package else path.with_suffix(".py")


def pages() -> dict[str, str]:
    """Return the pages of the reference: file name -> text."""
    texts = {".gitignore": "*\n"}
    for name, package in modules():
        _, page, *inner = name.split(".")
        # A package repeats what is defined inside it; it is described there.
        option = "   :ignore-module-all:" if package and name not in FACES else ""
        block = BLOCK.format(marks="##" if inner else "#", title=".".join((page, *inner)), name=name, option=option)
        texts[f"{page}.md"] = texts.get(f"{page}.md", "") + block + "\n"
    return texts


def write_pages(folder: Path) -> None:
    """Write the pages of the reference into a folder, and remove those of modules that are no longer there."""
    texts = pages()
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


class ModulesDirective(SphinxDirective):
    """List the pages of the reference, each with the first sentence of its module."""

    def run(self) -> list[nodes.Node]:
        lines = []
        for name, package in modules():
            if name.count(".") == 1:
                path = path_of(name, package)
                self.env.note_dependency(path)
                first = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).partition("\n\n")[0]
                lines.append(f"* [{name.split('.')[1]}](api/{name.split('.')[1]}.md): {' '.join(first.split())}")
        node = nodes.container()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.content_offset, node)
        return node.children


def depend_on_package(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let a page of the reference depend on the whole package: docstrings may be put together from several modules."""
    if docname.startswith("book/api/"):
        for path in Path(chapters_code.__file__).parent.rglob("*.py"):
            app.env.note_dependency(path)


def before_reading(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Import the package once, before Sphinx forks; and remove the pages with the modules' sources.

    They may be out of date, and Sphinx would go by times of change.
    """
    if any(docname.startswith("book/api/") for docname in docnames):
        for name, _ in modules():
            importlib.import_module(name)
        shutil.rmtree(Path(app.outdir, "_modules"), ignore_errors=True)


def keep_sources(app: Sphinx, env: BuildEnvironment) -> None:
    """Leave the pages with the sources alone when they are there; to look for changes, Sphinx imports the package."""
    if Path(app.outdir, "_modules").is_dir():
        for listener in list(app.events.listeners["html-collect-pages"]):
            if listener.handler.__module__ == "sphinx.ext.viewcode":
                app.disconnect(listener.id)


def keep_diagrams(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Show the indented blocks of a module's docstring as they are typed, character for character."""
    if what != "module":
        return
    for i in reversed(range(2, len(lines))):
        begins = lines[i].startswith(" ") and not lines[i - 1] and not lines[i - 2].startswith(" ")
        if begins:
            lines[i:i] = [".. code-block:: text", ""]


def skip_tuple_fields(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of a NamedTuple, of which Python says only "Alias for field number 0"."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages, and connect the rest to Sphinx."""
    write_pages(Path(app.srcdir, "book", "api"))
    app.add_directive("modules", ModulesDirective)
    app.connect("source-read", depend_on_package)
    app.connect("env-before-read-docs", before_reading)
    app.connect("env-updated", keep_sources, priority=950)  # after uptodate, which removes what is out of date
    app.connect("autodoc-process-docstring", keep_diagrams)
    app.connect("autodoc-skip-member", skip_tuple_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

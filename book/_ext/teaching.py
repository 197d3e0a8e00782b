"""What the teaching pages take from the chapters, so that it is typed once.

`{takes} NN_topic`   ->  the chapter's own lines on what it needs, and how many minutes it takes
"""

import json
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def head_of(name: str) -> str:
    """Return the paragraphs **Needs** and **Takes** of a chapter, with links as they are from book/teaching.

    Args:
        name: The notebook's, such as `01_pooling`.

    Raises:
        ValueError: There is no such chapter, or its head has not both of them.
    """
    path = NOTEBOOKS / f"{name}.ipynb"
    if not path.exists():
        raise ValueError(
            f"there is no chapter {name!r}; write {{takes}} and the name of a notebook, such as 01_pooling"
        )
    head = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    found = re.findall(r"^\*\*(?:Needs|Takes)\*\*.*?(?=\n\n|\Z)", head, re.MULTILINE | re.DOTALL)
    if len(found) != 2:
        raise ValueError(f"the first cell of {path.name} should say what it needs and takes, it says {head[:80]!r}")
    here = f"The [chapter](../../notebooks/{name}.ipynb):"
    text = "\n\n".join(found).replace("](../book/", "](../")
    return f"{here}\n\n" + re.sub(r"\]\((?=\d\d_)", "](../../notebooks/", text)


class TakesDirective(SphinxDirective):
    """Put on a page what a chapter needs, and how long it takes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            text = head_of(self.arguments[0])
        except ValueError as error:
            raise self.error(f"takes: {error}") from None
        self.env.note_dependency(NOTEBOOKS / f"{self.arguments[0]}.ipynb")
        node = nodes.container()
        self.state.nested_parse(StringList(text.splitlines(), self.get_source_info()[0]), self.content_offset, node)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect it to Sphinx."""
    app.add_directive("takes", TakesDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

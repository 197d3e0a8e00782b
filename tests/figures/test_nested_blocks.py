"""The drawing of a nest: every block is there, with its size, and as many small rows as it is high."""

import pytest
from matplotlib.patches import FancyBboxPatch

from chapters_code import figures

NEST = {
    "En1": ("RSU-5", (3, 8, 24), (48, 64)),
    "En2": ("RSU-4", (24, 8, 24), (24, 32)),
    "En3": ("RSU-4F", (24, 8, 24), (12, 16)),
    "De2": ("RSU-4", (48, 8, 24), (24, 32)),
    "De1": ("RSU-5", (48, 8, 24), (48, 64)),
}


def test_every_block_is_drawn_with_its_size_and_every_level_has_its_map(drawn):
    figures.nested_blocks(NEST, alt="five blocks")
    ((figure, alt),) = drawn
    (axes,) = figure.axes
    said = {text.get_text() for text in axes.texts}
    assert alt == "five blocks"
    assert {"En1 RSU-5", "En3 RSU-4F", "De2 RSU-4", "48×64×24", "12×16×24", "side 1", "side 2", "side 3"} <= said
    assert sum(isinstance(patch, FancyBboxPatch) for patch in axes.patches) == 5
    # A bar at the bottom of each small U, and two at each row above.
    assert len(axes.lines) == 2 * 9 + 2 * 7 + 7
    widths = [line.get_xdata()[1] - line.get_xdata()[0] for line in axes.lines]
    assert sorted(widths)[-1] == pytest.approx(1.0), "a dilated U does not narrow"


def test_what_is_no_u_is_not_drawn(drawn):
    for names in (("En1",), ("En1", "En2"), ("En1", "En2", "De2"), ()):
        with pytest.raises(ValueError, match="a U has En1, En2"):
            figures.nested_blocks(dict.fromkeys(names, NEST["En1"]), alt="")
    assert not drawn

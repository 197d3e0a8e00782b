"""Plots that the chapters share: pictures side by side, curves, sliders for a live kernel (all chapters).

Every function draws, shows and returns None, so that a cell can end with it.  `alt` is the description for readers who
cannot see the plot.
"""

import html
import math
from collections import Counter
from collections.abc import Callable, Iterable

import ipywidgets
import matplotlib
import torch
from IPython.display import DisplayHandle, display
from IPython.utils.capture import CapturedIO, RichOutput, capture_output
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from chapters_code import overlay
from chapters_code.data.pictures import decode_picture
from chapters_code.notebook import COLOURS, INK, PAPER, STYLE, show
from chapters_code.overlay import Answer
from chapters_code.records.runs import Record
from chapters_code.records.statistics import Interval, interval

__all__ = ["answers", "curves", "differences", "explore", "intervals", "learning_curves", "nested_blocks", "pictures"]

# Bytes are shown from 0 to 255; a mask of few classes as 0 and 1.
_WHOLE = (torch.uint8, torch.bool, torch.int64)
# Up to this many pixels a side, single pixels matter: they get coordinates.
_FEW = 24
# As many as there are colours.
_MARKERS = "os^Dvp*x"


def pictures(
    panels: dict[str, Tensor],
    alt: str,
    *,
    numbers: bool = False,
    grid: dict[str, int] | None = None,
    span: tuple[float, float] | None = None,
    columns: int | None = None,
) -> None:
    """Show pictures side by side, each under its title.

    Args:
        panels: Title -> picture: (H, W) or (1, H, W) in grey, (3, H, W) in colour; uint8 in 0..255, floating point in
            0..1, or a mask of 0 and 1.
        alt: What the panels show, in a sentence.
        numbers: Write each pixel's value into it; for small grey pictures.
        grid: Title -> side of a window: lines on that panel show which pixels share a window.
        span: What black and white stand for; by default 0 and 255 for uint8, 0 and 1 otherwise.
        columns: Panels per row; by default up to three, and four stand two by two.

    Raises:
        ValueError: A panel is not a picture, or there is none; `numbers` with a picture in colour.
    """
    if not panels:
        raise ValueError("there is no picture to show: panels is empty")
    for title, picture in panels.items():
        _need_picture(title, picture)
        if numbers and picture.dim() == 3 and picture.shape[0] == 3:
            raise ValueError(f"numbers are for grey pictures, but {title!r} has colours; show one channel: x[0]")
    columns = columns or (2 if len(panels) == 4 else min(3, len(panels)))  # four in a row are small on a telephone
    rows = math.ceil(len(panels) / columns)
    # Pictures of a few pixels need no more room than their numbers do.
    few = all(max(picture.shape[-2:]) <= _FEW for picture in panels.values())
    side = min(7.6 / columns, 2.9) if few else 7.6 / columns
    tallest = max(picture.shape[-2] / picture.shape[-1] for picture in panels.values())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(columns * side, rows * (side * min(tallest, 1.6) + 0.45)))
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for one, (title, picture) in zip(axes, panels.items(), strict=False):
            _draw(one, picture, span, numbers, (grid or {}).get(title))
            one.set_title(title)
        for empty in axes[len(panels) :]:
            empty.axis("off")
    show(figure, alt)


def answers(rows: dict[str, Answer], alt: str | None = None, *, truths: dict[str, Tensor] | None = None) -> None:
    """Show what a network says about photographs: the photograph, the answer, and both in one, with a legend.

    Args:
        rows: Title -> what `predict.segment` gave; each gets a row.
        alt: What the rows show, in a sentence; by default the classes that were found, with their shares.
        truths: Title -> the mask, class numbers (H, W), for those rows that have one; it gets a column of its own.

    Raises:
        ValueError: There is nothing to show; or a truth has no row, or does not fit its picture.
    """
    truths = truths or {}
    if not isinstance(rows, dict) or not rows:
        raise ValueError(f'there is nothing to show: give titles with answers, {{"a cat": answer}}; got {rows!r}')
    if not truths.keys() <= rows.keys():
        raise ValueError(f"each truth needs an answer of the same title; got {list(rows)} and {list(truths)}")
    for name, truth in truths.items():
        if truth.is_floating_point() or truth.shape != rows[name].labels.shape:
            raise ValueError(
                f"the truth of {name!r} must be class numbers of its picture's size, {tuple(rows[name].labels.shape)};"
                f" got {truth.dtype} {tuple(truth.shape)}"
            )
    # One colour for a class in all rows; what fills most pixels is named first.
    together: Counter[str] = Counter()
    for name, answer in rows.items():
        for labels in (answer.labels, truths.get(name, answer.labels)):
            together.update(overlay.shares(labels, answer.classes))
    backgrounds = {answer.classes[0] for answer in rows.values()}
    shown = [name for name, _ in together.most_common() if name not in backgrounds]
    colours = overlay.palette(shown)
    columns = 3 + bool(truths)
    side = 7.6 / columns
    heights = [side * min(answer.image.shape[-2] / answer.image.shape[-1], 1.6) for answer in rows.values()]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.6, sum(heights) + 0.3 * len(rows) + 0.35 * math.ceil(len(shown) / 5)))
        grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
        for line, (title, answer) in zip(grid, rows.items(), strict=True):
            flat = overlay.flat(answer.labels, answer.classes, colours)
            panels = {title: answer.image, "answer": flat}
            panels["both"] = overlay.overlay(answer.image, answer.labels, answer.classes, colours)
            if title in truths:
                panels["truth"] = overlay.flat(truths[title], answer.classes, colours)
            for axes, (name, picture) in zip(line, panels.items(), strict=False):
                axes.imshow(picture.permute(1, 2, 0).numpy())
                axes.set(title=name, xticks=[], yticks=[])
                axes.spines[:].set_visible(True)
            for empty in line[len(panels) :]:
                empty.axis("off")
        if shown:
            patches = [Patch(facecolor=colours[name], edgecolor=INK, label=name) for name in shown]
            figure.legend(handles=patches, loc="outside lower center", ncols=min(5, len(shown)), frameon=False)
    show(figure, alt or _in_words(rows))


def _in_words(rows: dict[str, Answer]) -> str:
    """Say what was found in each photograph, for those who cannot see it."""
    said = (
        f"{title}: " + ", ".join(f"{name} {_percent(share)}" for name, share in answer.shares.items())
        for title, answer in rows.items()
    )
    return "A photograph, the network's answer, and both in one. " + "; ".join(said) + "."


def _percent(share: float) -> str:
    """Say a share in words that call nothing 0 that is there."""
    return f"{share:.1%}" if share >= 0.0005 else "under 0.1%"


def curves(
    lines: dict[str, tuple[list[float], list[float]]],
    alt: str,
    *,
    x_label: str,
    y_label: str,
    log: bool = False,
) -> None:
    """Plot one or more curves with named axes, marked by shape as well as by colour.

    Args:
        lines: Name -> (positions along x, heights along y).
        alt: What the curves show, in a sentence.
        x_label: What x is, with its unit.
        y_label: What y is, with its unit.
        log: Logarithmic axes, so that "ten times more" is the same step everywhere.

    Raises:
        ValueError: There are more curves than a reader can tell apart.
    """
    if len(lines) > len(_MARKERS):
        raise ValueError(f"at most {len(_MARKERS)} curves stay apart, got {len(lines)}; draw two plots")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6))
        axes = figure.subplots()
        for marker, (name, (x, y)) in zip(_MARKERS, lines.items(), strict=False):
            axes.plot(x, y, marker=marker, label=name)
        if log:
            axes.set(xscale="log", yscale="log")
        elif all(isinstance(position, int) for x, _ in lines.values() for position in x):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(alpha=0.25)
        if len(lines) > 1:
            axes.legend(frameon=False)
    show(figure, alt)


def learning_curves(records: Iterable[Record], score: str, alt: str) -> None:
    """Show how recorded runs went: the loss of every epoch, and a score beside what needs no training.

    Runs that differ in the seed alone have one colour, and one line in the legend.

    Args:
        records: What `runs.load` gave.
        score: A score that all runs have, such as "ods_f1@2px".
        alt: How the curves go, in a sentence.

    Raises:
        ValueError: There is no run or there are more kinds than can be told apart, or a run has no such score.
    """
    records = list(records)
    kinds: dict[str, list[Record]] = {}
    for record in records:
        kinds.setdefault(record["name"].rsplit("-seed", 1)[0], []).append(record)
        if record["scores"].get(score) is None:
            known = ", ".join(name for name, value in record["scores"].items() if value is not None)
            raise ValueError(f"{record['name']} has no score {score!r}; it has: {known}")
    if not 1 <= len(kinds) <= len(_MARKERS):
        raise ValueError(f"one to {len(_MARKERS)} kinds of runs can be shown, got {len(kinds)}")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 6))
        above, below = figure.subplots(2, 1, sharex=True)  # side by side they would be too small on a phone
        for marker, (kind, alike) in zip(_MARKERS, kinds.items(), strict=False):
            colour = None  # the first run of a kind takes the next one, and the others take after it
            for record in alike:
                losses = [epoch["loss"] for epoch in record["epochs"]]
                (line,) = above.plot([epoch["epoch"] for epoch in record["epochs"]], losses, color=colour)
                colour = line.get_color()
                scored = [epoch for epoch in record["epochs"] if epoch.get("scores", {}).get(score) is not None]
                values = [epoch["scores"][score] for epoch in scored]
                name = record["name"] if len(alike) == 1 else f"{kind}, {len(alike)} seeds"
                places = [epoch["epoch"] for epoch in scored]
                below.plot(places, values, color=colour, marker=marker, label=name if record is alike[0] else None)
        # The same for all, if they were scored on the same pictures; each is drawn once.
        levels = {(name, found[score]) for record in records for name, found in record["baselines"].items()}
        for line, (name, level) in zip(("--", ":", "-."), sorted(levels), strict=False):
            below.axhline(level, color=INK, linestyle=line, linewidth=1.2, label=name)
        above.set(ylabel="training loss")
        below.set(xlabel="epoch", ylabel=score.replace("_", " "))
        for axes in (above, below):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.25)
        below.legend(frameon=False)
    show(figure, alt)


def intervals(panels: dict[str, dict[str, dict[str, list[float]]]], alt: str, *, x_label: str) -> None:
    """Show the numbers of several seeds, each as a small mark, and beside them their mean with its 95 % interval.

    Args:
        panels: Title -> group, such as an optimiser -> arm -> the numbers of its seeds, as `studies.scores` gives them.
            All panels have the same groups and arms.  The panels stand below each other.
        alt: What the panels show, in a sentence.
        x_label: What the numbers are, with their unit.

    Raises:
        ValueError: There is nothing to show, the panels have not the same groups and arms, or there are more groups
            than can be told apart.
    """
    shapes = {(tuple(groups), *map(tuple, groups.values())) for groups in panels.values()}
    groups, *arms = shapes.pop() if len(shapes) == 1 else ((),)
    if not 1 <= len(groups) <= len(_MARKERS) or len(set(arms)) != 1 or not arms[0]:
        raise ValueError(f"all panels need the same groups, 1 to {len(_MARKERS)}, and all groups the same arms")
    names = arms[0]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, len(panels) * (0.9 + 0.22 * len(names) * (1 + len(groups)))))
        places = list(figure.subplots(len(panels), 1, squeeze=False).flat)
        for axes, (title, groups) in zip(places, panels.items(), strict=True):
            for i, (marker, (group, of_arm)) in enumerate(zip(_MARKERS, groups.items(), strict=False)):
                # The groups of an arm stand below each other, the arm's name at the middle of them.
                rows = [row + (i + 1) / (1 + len(groups)) - 0.5 for row in range(len(names))]
                means, halves = zip(*(interval(of_arm[name]) for name in names), strict=True)
                bars = axes.errorbar(means, rows, xerr=halves, fmt=marker, capsize=3, label=group)
                for row, name in zip(rows, names, strict=True):
                    one_seed = {"color": bars[0].get_color(), "markersize": 3, "alpha": 0.55}
                    axes.plot(of_arm[name], [row + 0.14] * len(of_arm[name]), "o", **one_seed)
            axes.set(title=title, xlabel=x_label, yticks=range(len(names)), yticklabels=names)
            axes.invert_yaxis()
            axes.grid(alpha=0.25, axis="x")
        if len(groups) > 1:  # one legend for all, below the last
            places[-1].legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=len(groups))
    show(figure, alt)


def differences(
    panels: dict[str, dict[str, list[float]]],
    alt: str,
    *,
    x_label: str,
    same: str | None = None,
    control: str | None = None,
    pooled: dict[str, dict[str, Interval]] | None = None,
    margin: float | None = None,
    columns: int = 1,
) -> None:
    """Show a forest plot: what some arms have more or less than a control, with 95 % intervals and a line at 0.

    The thick bar of an arm knows the scatter of its own differences alone.  Its mean is filled if this bar does not
    reach 0, else it is hollow.  Below it lie a thin bar, by the scatter of all arms, and a small mark for each seed.

    Args:
        panels: Title, such as a data set -> arm -> its differences, one for each seed, as `studies.paired` gives them.
            All panels have the same arms.
        alt: What the panels show, in a sentence.
        x_label: What the numbers are: which score, minus that of which control.
        same: The arm whose true difference is 0.  It stands first and has a mark of its own.  Without a `margin`, its
            interval is drawn as a band through all rows of its panel.
        control: The control's name, for a line below the label that says on which side an arm is better.
        pooled: Title -> arm -> what `studies.pooled` gives; the thin bars.
        margin: Differences that are smaller do not matter; drawn as a band from −margin to +margin.
        columns: Panels in a row.  With one, the plot is narrow enough for a telephone.

    Raises:
        ValueError: There is nothing to show, the panels have not the same arms, none of them is `same`, or `margin` is
            not larger than 0.
    """
    arms = {tuple(of_arm) for of_arm in panels.values()}
    names = arms.pop() if len(arms) == 1 else ()
    if not names or (same is not None and same not in names):
        raise ValueError(f"all panels need the same arms, one or more, with {same!r} among them; got {panels}")
    if pooled is not None and {key: set(of_arm) for key, of_arm in pooled.items()} != dict.fromkeys(panels, set(names)):
        raise ValueError(f"what is pooled needs the same arms and panels, {list(panels)} of {names}; got {pooled}")
    if margin is not None and not margin > 0:
        raise ValueError(f"the margin is the smallest difference that matters, larger than 0; got {margin}")
    names = sorted(names, key=lambda name: name != same)
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(STYLE):
        size = (5.2 if columns == 1 else 7.6, rows * (0.5 + 0.36 * len(names)) + 0.9)
        figure = Figure(figsize=size)
        places = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
        for axes, (title, of_arm) in zip(places, panels.items(), strict=False):
            if margin is not None:
                axes.axvspan(-margin, margin, color=INK, alpha=0.14, linewidth=0)
            axes.axvline(0, color=INK, linewidth=1)
            for row, name in enumerate(names):
                mean, half = interval(of_arm[name])
                colour, mark = (COLOURS["vermillion"], "D") if name == same else (COLOURS["blue"], "o")
                if name == same and margin is None:
                    axes.axvspan(mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
                inside = colour if abs(mean) > half else PAPER
                axes.errorbar(
                    [mean], [row], xerr=[half], fmt=mark, color=colour, markerfacecolor=inside, elinewidth=3.5
                )
                if pooled is not None:
                    middle, side = pooled[title][name]
                    thin = {"color": colour, "linewidth": 1, "markersize": 4, "marker": "|"}
                    axes.plot([middle - side, middle + side], [row + 0.17] * 2, **thin)
                axes.plot(of_arm[name], [row + 0.38] * len(of_arm[name]), "|", color=colour, markersize=7)
            axes.set(title=title, yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
            axes.grid(alpha=0.25, axis="x")
        for axes in places[len(panels) - columns : len(panels)]:
            axes.set_xlabel(x_label + (f"\nbetter than {control} →" if control else ""))
        for empty in places[len(panels) :]:
            empty.axis("off")
        if pooled is not None or margin is not None:
            keys = [Line2D([], [], color=INK, linewidth=3.5, label="95 %, by these two arms")]
            if pooled is not None:
                keys.append(Line2D([], [], color=INK, linewidth=1, label="95 %, by the scatter of all arms"))
            if margin is not None:  # a line, since patches keep their colours on a dark page, and the band does not
                keys.append(Line2D([], [], color=INK, alpha=0.14, linewidth=9, label=f"less than {margin:g} apart"))
            figure.legend(handles=keys, loc="outside lower center", ncols=1 if columns == 1 else 3, frameon=False)
    show(figure, alt)


def nested_blocks(blocks: dict[str, tuple[str, tuple[int, ...], tuple[int, int]]], alt: str) -> None:
    """Draw a U of blocks, each with the small U inside it, and the map that comes out at every level.

    Args:
        blocks: Name, "En1", "En2", ... on the way down and "De1", ... on the way up, one fewer -> kind, such as "RSU-7"
            or "RSU-4F"; channels, of which the last come out; height and width of what comes out.
        alt: What the figure shows, in a sentence.

    Raises:
        ValueError: The names are not those of a U.
    """
    down = sum(name.startswith("En") for name in blocks)
    ends = {f"En{level}" for level in range(1, down + 1)} | {f"De{level}" for level in range(1, down)}
    if down < 2 or set(blocks) != ends:
        raise ValueError(f"a U has En1, En2, ... and De1, ..., one fewer; got {', '.join(blocks) or 'none'}")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 0.95 * down - 0.1))
        axes = figure.subplots()

        def arrow(to: tuple[float, float], begin: tuple[float, float]) -> None:
            axes.annotate("", to, begin, arrowprops={"arrowstyle": "->", "color": INK})

        for name, (kind, channels, size) in blocks.items():
            level, falling = int(name[2:]), name.startswith("En")
            y = down - level
            _draw_block(axes, (4.4 if not falling else 2.2 if level == down else 0, y), name, kind, channels, size)
            if falling and level < down - 1:
                arrow((1.75, y - 0.2), (1.75, y))
            if not falling:
                arrow((4.4, y + 0.4), (3.5, y + 0.4))
                if level > 1:
                    arrow((6.15, y + 1), (6.15, y + 0.8))
            if not falling or level == down:
                arrow((8.45, y + 0.4), (7.9 if not falling else 5.7, y + 0.4))
                axes.text(8.5, y + 0.4, f"side {level}", va="center", size=10)
        arrow((2.9, 0.8), (1.75, 1))
        arrow((6.15, 1), (5, 0.8))
        axes.text(5, down + 0.05, "side maps, enlarged → one fused map", ha="center", size=10)
        axes.set(xlim=(-0.1, 10), ylim=(-0.1, down + 0.3))
        axes.axis("off")
    show(figure, alt)


def _draw_block(
    axes: Axes, corner: tuple[float, float], name: str, kind: str, channels: tuple[int, ...], size: tuple[int, int]
) -> None:
    """Draw a block as a box: what it is, what comes out of it, and the U inside."""
    x, y = corner
    colour = COLOURS["blue" if name.startswith("En") else "vermillion"]
    axes.add_patch(FancyBboxPatch((x, y), 3.5, 0.78, boxstyle="round,pad=0.02", fc="none", ec=colour))
    axes.text(x + 1.24, y + 0.55, f"{name} {kind}", va="center", size=10.5, weight="bold")
    axes.text(x + 1.24, y + 0.22, f"{size[0]}×{size[1]}×{channels[-1]}", va="center", size=9.5)
    rows = int(kind.removesuffix("F").split("-")[1])
    for depth in range(rows):
        # A row for each depth; one that is dilated does not narrow.
        half = 0.5 if kind.endswith("F") else 0.5 * (1 - depth / (rows + 1))
        height = y + 0.68 - 0.56 * depth / (rows - 1)
        bottom = depth == rows - 1
        for left in (-half,) if bottom else (-half, half - 0.14):
            start = x + 0.58 + left
            axes.plot([start, start + (2 * half if bottom else 0.14)], [height] * 2, color=colour, linewidth=2.5)


def explore(function: Callable, picture: Tensor, **controls: tuple | list | bool) -> None:
    """Call `function(picture, **settings)` again each time a slider moves or another picture is chosen.

    Needs a live kernel (Jupyter or Colab).  What it shows first is stored with the notebook, for readers without one.
    A button takes a picture of your own; it is seen only by the machine that runs the kernel.

    Args:
        function: Draws or prints something.
        picture: What to start with, uint8 (3, H, W).
        controls: For each setting what `ipywidgets.interact` understands: (lowest, highest), a list of choices, or a
            bool.

    Raises:
        Exception: Whatever `function` raises at first, but a ValueError.  That, and all that it raises later, is shown
            in place of the picture.
    """
    chosen = picture
    sliders = {name: ipywidgets.interactive.widget_from_abbrev(control) for name, control in controls.items()}
    upload = ipywidgets.FileUpload(accept="image/*", multiple=False, description="Your picture")
    problem, result = ipywidgets.Label(), ipywidgets.HTML()
    stills: list[DisplayHandle] = []

    def call() -> CapturedIO:
        with capture_output(stderr=False) as captured:
            function(chosen, **{name: slider.value for name, slider in sliders.items()})
        return captured

    def redraw(_: object = None) -> None:
        while stills:  # from now on, the picture stands right below the sliders
            stills.pop().update({"text/plain": ""}, raw=True)
        problem.value = result.value = ""
        try:
            captured = call()
        except Exception as error:  # Jupyter shows nobody what is raised while a slider moves
            problem.value = _in_short(error)
        else:
            result.value = "".join(map(_as_html, captured.outputs)) + f"<pre>{html.escape(captured.stdout)}</pre>"

    def take(change: dict) -> None:
        nonlocal chosen
        # ipywidgets 7 (Colab) gives {name: file}, ipywidgets 8 a tuple of files.
        files = list(change["new"].values()) if isinstance(change["new"], dict) else list(change["new"])
        if not files:
            return
        try:
            chosen = decode_picture(bytes(files[-1]["content"]))
        except Exception as error:
            problem.value = _in_short(error)
            return
        redraw()

    upload.observe(take, names="value")
    for name, slider in sliders.items():
        slider.description = name
        slider.observe(redraw, names="value")
    bundles: list[tuple[dict, dict]] = []
    try:
        captured = call()
        bundles = [(output.data, output.metadata or {}) for output in captured.outputs]
        bundles += [({"text/plain": captured.stdout}, {})] * bool(captured.stdout)
    except ValueError as error:  # a setting that this picture is too small for, say
        problem.value = _in_short(error)
    display(ipywidgets.VBox([*sliders.values(), upload, problem, result]))
    stills += [display(data, raw=True, metadata=metadata, display_id=True) for data, metadata in bundles]


def _in_short(error: Exception) -> str:
    """Return what an error says; of those that are not meant for readers, their kind, too."""
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _as_html(output: RichOutput) -> str:
    """Turn what `notebook.show` displayed into HTML: an Output widget would not do, nbclient waits for it for ever."""
    if "image/png" not in output.data:
        return f"<pre>{html.escape(output.data.get('text/plain', ''))}</pre>"
    alt = html.escape(output.metadata["image/png"]["alt"], quote=True)
    return f'<img src="data:image/png;base64,{output.data["image/png"]}" alt="{alt}" style="max-width: 100%">'


def _need_picture(title: str, picture: Tensor) -> None:
    shape = tuple(getattr(picture, "shape", ()))
    if not isinstance(picture, Tensor) or not (len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))):
        raise ValueError(
            f"a picture is a tensor (H, W), (1, H, W) or (3, H, W), but {title!r} is"
            f" a {type(picture).__name__} {shape}; take one out of a batch: x[0]"
        )
    if not (picture.is_floating_point() or picture.dtype in _WHOLE):
        raise ValueError(f"{title!r} holds {picture.dtype}, which has no black and white; convert it, x.float()")
    if 0 in shape:
        raise ValueError(f"there is nothing to show: {title!r} has no pixels, its shape is {shape}")


def _draw(axes: Axes, picture: Tensor, span: tuple[float, float] | None, numbers: bool, grid: int | None) -> None:
    if picture.dim() == 3 and picture.shape[0] == 1:
        picture = picture[0]
    values = picture.detach().cpu()
    low, high = span or ((0, 255) if values.dtype == torch.uint8 else (0, 1))
    if values.dtype == torch.int64 and not (low <= values.min() and values.max() <= high):
        raise ValueError(
            f"integers {values.min()}..{values.max()} do not lie in {low}..{high}: give span=(black, white),"
            " or show classes by data.pictures.colour_mask"
        )
    if values.dim() == 3:
        values = ((values.double() - low) / (high - low)).clamp(0, 1).permute(1, 2, 0)
    height, width = values.shape[:2]
    axes.imshow(values.numpy(), vmin=low, vmax=high)
    axes.spines[:].set_visible(True)
    if max(height, width) <= _FEW:
        step = 1 if max(height, width) <= 12 else 4
        axes.set(xticks=range(0, width, step), yticks=range(0, height, step))
        axes.tick_params(length=0, labelsize=7)
        # Faint lines around the pixels, or an all-white picture would be one white square.
        axes.set_xticks([x - 0.5 for x in range(1, width)], minor=True)
        axes.set_yticks([y - 0.5 for y in range(1, height)], minor=True)
        axes.tick_params(which="minor", length=0)
        axes.grid(which="minor", color=INK, alpha=0.2, linewidth=0.6)
    else:
        axes.set(xticks=[], yticks=[], xlabel=f"{height} × {width} pixels")
    if grid:
        for x in range(grid, width, grid):
            axes.axvline(x - 0.5, color=COLOURS["orange"], linewidth=1.2)
        for y in range(grid, height, grid):
            axes.axhline(y - 0.5, color=COLOURS["orange"], linewidth=1.2)
    if numbers:
        for i in range(height):
            for j in range(width):
                value = values[i, j].item()
                ink = PAPER if (value - low) / (high - low) < 0.5 else INK
                axes.text(j, i, f"{value:.4g}", ha="center", va="center", color=ink, fontsize=8)

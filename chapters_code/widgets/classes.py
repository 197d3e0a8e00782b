"""Threshold and class: what a network may say, and how its answer is scored (Chapter 06).

A network has shared out every cell of a small street among four classes, in percent.  The reader decides how sure it
must be before it names an object, and sees how two scores take it: pixel accuracy, which the background carries, and
the mean IoU, in which each class counts alike.

    percent (4, 24, 36)  --threshold-->  answer (24, 36)  --beside the truth-->  confusion matrix, IoU, pixel accuracy

Street and percentages are drawn by arithmetic, so that they are the same on every machine; no network was trained.
"""

import itertools

import torch
import traitlets
from torch import Tensor

from chapters_code.metrics import ConfusionMatrix
from chapters_code.notebook import COLOURS, INK, PAPER
from chapters_code.widgets.moving import Choice, Integer, MovingFigure, es_module

__all__ = ["CLASSES", "ThresholdAndClass"]

CLASSES = ("background", "car", "person", "bird")
VOID = 255
_HEIGHT, _WIDTH = 24, 36
# The colours of classes.js.  VOC's border is of this cream, too.
_COLOURS = {0: "#3c434c", 1: COLOURS["sky"], 2: COLOURS["orange"], 3: COLOURS["purple"], VOID: "#e0e0c0"}
_FOUND = {
    "neither": "#aeb4ba",
    "both": COLOURS["blue"],
    "missed": COLOURS["yellow"],
    "invented": COLOURS["vermillion"],
    "void": "#e0e0c0",
}

# ---- the street and the network's percentages -----------------------------------------------------------


def _draw_truth() -> list[list[int]]:
    """Return the street: class numbers, and void one cell wide or so along the outline of each object."""
    body, cabin = _box(17, 10, 3.6, 8.2), _box(12.5, 10, 3.2, 4.2)
    torso, head = _oval(15.5, 27, 6.5, 3.2), _oval(6.5, 27, 2.7, 2.7)
    objects = [torch.minimum(body, cabin), torch.minimum(torso, head), _oval(4, 13, 1.9, 3.4)]
    truth = torch.zeros(_HEIGHT, _WIDTH, dtype=torch.int64)
    for number, depth in enumerate(objects, start=1):
        truth[depth < 0.5] = VOID
        truth[depth < -0.4] = number
    return truth.tolist()


def _draw_scores() -> list[list[list[int]]]:
    """Return what the network says: it sees blocks of 2 × 2 cells, and neither sharply nor always rightly."""
    car = 0.5 - _box(16, 9, 4.6, 7.6) / 4  # the cabin is too flat for it
    person = 0.5 - torch.minimum(_oval(14, 27, 7.6, 3.4), _oval(16, 16, 4, 2.4) + 0.9) / 4.5  # and so is the car's end
    bird = 0.28 - _oval(5, 14, 1.6, 3) / 9
    ghost = 0.3 - _oval(7, 4, 3, 2.4) / 6  # a lamp that might be a person
    shares = torch.stack([car, torch.maximum(person, ghost), bird])[:, ::2, ::2]
    shares = shares.repeat_interleave(2, 1).repeat_interleave(2, 2).clamp(0.01, 0.95)
    shares = shares / (shares.sum(0) / 0.97).clamp(min=1)
    objects = (100 * shares).long()
    return torch.cat([100 - objects.sum(0, keepdim=True), objects]).tolist()


def _box(row: float, column: float, height: float, width: float) -> Tensor:
    """Return how far each cell is outside of a box, in cells; less than 0 inside.  Height and width are halved ones."""
    rows, columns = _places()
    return torch.maximum((rows - row).abs() - height, (columns - column).abs() - width)


def _oval(row: float, column: float, height: float, width: float) -> Tensor:
    """Return about how far each cell is outside of an ellipse."""
    rows, columns = _places()
    return ((((rows - row) / height) ** 2 + ((columns - column) / width) ** 2).sqrt() - 1) * min(height, width)


def _places() -> tuple[Tensor, Tensor]:
    """Return the middle of each row and of each column, float64."""
    return (
        torch.arange(_HEIGHT, dtype=torch.float64)[:, None] + 0.5,
        torch.arange(_WIDTH, dtype=torch.float64) + 0.5,
    )


# ---- the figure -----------------------------------------------------------------------------------------


class ThresholdAndClass(MovingFigure):
    """A network's percentages for four classes, its answer at a threshold, and the scores of that answer.

    Args:
        threshold: How sure the network must be of an object before it names it, in whole percent, 0 to 100.  Of the
            objects the surest is named; where none is sure enough, the answer is background.
        shown: The class that is looked at, one of `CLASSES`.
        void: What becomes of the border around the objects, whose truth is unknown: "left out" of all counts, as in the
            VOC challenge, or counted as "background".

    Raises:
        ValueError: A setting is none of these.

    Example:
        >>> figure = ThresholdAndClass(threshold=100)  # never sure enough
        >>> round(figure.confusion.pixel_accuracy(), 2), round(figure.confusion.mean_iou(), 2)
        (0.72, 0.18)
    """

    _esm = es_module("classes.js")

    threshold = Integer(0, 100)
    shown = Choice(*CLASSES)
    void = Choice("left out", "background")
    # Drawn here alone; the JavaScript is given them.
    truth = traitlets.List(_draw_truth(), read_only=True).tag(sync=True, state=True)
    scores = traitlets.List(_draw_scores(), read_only=True).tag(sync=True, state=True)

    def __init__(self, threshold=50, shown="car", void="left out", **kwargs):
        super().__init__(threshold=threshold, shown=shown, void=void, **kwargs)

    @property
    def target(self) -> Tensor:
        """The truth as it is counted, int64 (24, 36); 255 is left out."""
        truth = torch.tensor(self.truth)
        return truth if self.void == "left out" else truth.where(truth != VOID, 0)

    @property
    def answer(self) -> Tensor:
        """The class named in each cell, int64 (24, 36)."""
        sure, surest = torch.tensor(self.scores)[1:].max(dim=0)
        return torch.where(sure >= self.threshold, surest + 1, 0)

    @property
    def confusion(self) -> ConfusionMatrix:
        """The answer counted against the truth; its `baseline()` is an answer of background alone."""
        confusion = ConfusionMatrix(len(CLASSES), VOID)
        confusion.update(self.answer, self.target)
        return confusion

    @property
    def found(self) -> list[list[str]]:
        """What the answer makes of the class that is shown, as a key of the legend for each cell."""
        number, target, answer = CLASSES.index(self.shown), self.target, self.answer
        kind = (target == number) * 2 + (answer == number)
        kind[target == VOID] = 4
        names = ("neither", "invented", "missed", "both", "void")
        return [[names[one] for one in row] for row in kind.tolist()]

    @property
    def description(self) -> str:
        """What the figure shows, in one sentence."""
        confusion, number = self.confusion, CLASSES.index(self.shown)
        baseline = confusion.baseline()
        return (
            f"A street of 24 × 36 cells with a car, a person and a bird, and the answer of a network that names an"
            f" object where it is sure by {self.threshold} % or more: pixel accuracy"
            f" {100 * confusion.pixel_accuracy():.0f} %, mean IoU {confusion.mean_iou():.2f}, IoU of {self.shown}"
            f" {confusion.class_iou()[number]:.2f}; for background everywhere"
            f" {100 * baseline['global_pixel_accuracy']:.0f} % and {baseline['global_mean_iou']:.2f}."
        )

    def still(self) -> str:
        """Draw truth, percentages, answer and what it makes of the shown class, with the scores, as SVG text."""
        # One unit is one cell.
        percent = self.scores[CLASSES.index(self.shown)]
        boards = {
            "the truth": [[_COLOURS[one] for one in row] for row in self.target.tolist()],
            f"sure of {self.shown}, in percent": [[_lightness(one) for one in row] for row in percent],
            f"the answer, from {self.threshold} % on": [[_COLOURS[one] for one in row] for row in self.answer.tolist()],
            f"{self.shown}: found, missed, invented": [[_FOUND[one] for one in row] for row in self.found],
        }
        drawn = [
            _board(1 + 38 * (i % 2), 3 + 28 * (i // 2), title, colours)
            for i, (title, colours) in enumerate(boards.items())
        ]
        confusion, baseline = self.confusion, self.confusion.baseline()
        lines = (
            f"pixel accuracy {100 * confusion.pixel_accuracy():.0f} %,"
            f" background everywhere {100 * baseline['global_pixel_accuracy']:.0f} %",
            f"mean IoU {confusion.mean_iou():.2f}, background everywhere {baseline['global_mean_iou']:.2f}",
        )
        said = [f'<text x="1" y="{58 + 2.6 * i:g}" fill="{INK}">{line}</text>' for i, line in enumerate(lines)]
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 76 63" width="608" height="504"'
            ' font-family="sans-serif" font-size="1.9" shape-rendering="crispEdges">'
            f'<rect width="76" height="63" rx="1" fill="{PAPER}"/>'
            f"{''.join(drawn)}{''.join(said)}</svg>"
        )


def _lightness(percent: int) -> str:
    """Return the grey of a percentage, as in classes.js."""
    return f"hsl(210, 8%, {round(12 + 0.84 * percent)}%)"


def _board(x: float, y: float, title: str, colours: list[list[str]]) -> str:
    """Draw cells under their title; neighbours of one colour are one rectangle, and most are the ground."""
    ground = colours[0][0]
    drawn = [
        f'<text x="{x:g}" y="{y - 0.8:g}" fill="{INK}">{title}</text>'
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" fill="{ground}"/>'
    ]
    for i, row in enumerate(colours):
        start = 0
        for colour, run in itertools.groupby(row):
            length = len(list(run))
            if colour != ground:
                drawn.append(f'<rect x="{x + start:g}" y="{y + i:g}" width="{length}" height="1" fill="{colour}"/>')
            start += length
    return "".join(drawn)

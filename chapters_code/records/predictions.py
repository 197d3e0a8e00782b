"""Recorded predictions: what the book's trained networks see in free photographs (Chapters 06 and 09).

A checkpoint is too large for the book; what it says about a photograph is a small PNG.  Each file lies beside this one
and names the record of the run and the SHA-256 of the weights that it is from.  `tools/predictions.py` makes them.

    class numbers    a palette PNG, as large as the photograph
    probabilities    a grey PNG, 0 black to 255 white, a small copy: maps whose edges are soft lose nothing by that

Photographs are those that scikit-image installs and that anybody may show, and a road that the book draws.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from chapters_code.data.pictures import palette, read_mask
from chapters_code.data.synthetic import cracked_road
from chapters_code.files import written_whole
from chapters_code.overlay import Answer

__all__ = ["PHOTOGRAPHS", "Prediction", "load", "names", "photograph", "save"]

# Name in skimage.data -> what it shows, and who gave it away (as scikit-image's own documentation says).
PHOTOGRAPHS = {
    "chelsea": "a cat (Stéfan van der Walt, CC0)",
    "astronaut": "the astronaut Eileen Collins (NASA, public domain)",
    "coffee": "a cup of coffee (Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0)",
    "rocket": "a rocket on its launch pad at night (SpaceX, public domain)",
    "road": "a cracked road, drawn by `data.synthetic.cracked_road`",
}
ROAD: dict[str, Any] = {"size": (240, 336), "crack_width": 2, "branches": 2, "seed": 11}
_HERE = Path(__file__).with_suffix("")  # the folder of this name
_LONGEST = 160  # pixels of a grey map's longer side


class Prediction(NamedTuple):
    """What a recorded run saw in a photograph."""

    values: Tensor  # class numbers, int64 (H, W); or probabilities of class 1, float32 (h, w)
    record: str  # the name of the run, for `runs.load`
    weights: str  # the SHA-256 of the weights, as `checkpoints.Trained.digest`
    photograph: str  # a name of PHOTOGRAPHS
    classes: tuple[str, ...]

    @property
    def answer(self) -> Answer:
        """What `predict.segment` gave, but for the probabilities, which are not kept beside class numbers.

        Raises:
            ValueError: It is a small map of probabilities.
        """
        if self.values.is_floating_point():
            raise ValueError(f"{self.record} on {self.photograph} is a map of probabilities: show its values")
        return Answer(photograph(self.photograph), self.values, None, self.classes)


def photograph(name: str) -> Tensor:
    """Return a photograph that scikit-image installs, or the drawn road; uint8 (3, H, W).

    Raises:
        ValueError: It is none of PHOTOGRAPHS.
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(f"the photographs are {', '.join(PHOTOGRAPHS)}; got {name!r}")
    if name == "road":
        return cracked_road(**ROAD)[0]
    from skimage import data  # here: only pages need it, and the package does not

    return torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)


def names() -> tuple[str, ...]:
    """Name the book's recorded predictions, in alphabetical order."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.png")))


def load(record: str, photograph: str, part: str = "") -> Prediction:
    """Read a recorded prediction.

    Args:
        record: The name of a run, such as "fcn-mobilenet-colab-seed0".
        photograph: One of PHOTOGRAPHS.
        part: Of a network that gives several maps, the name of one, such as "side3".

    Raises:
        FileNotFoundError: There is no such prediction; the message lists those there are.
    """
    path = _HERE / f"{_stem(record, photograph, part)}.png"
    if not path.is_file():
        raise FileNotFoundError(f"no prediction {path.stem!r}; the book has: {', '.join(names()) or 'none yet'}")
    with Image.open(path) as image:
        grey, notes = image.mode == "L", dict(image.text)
        values = torch.from_numpy(np.array(image)).float() / 255 if grey else read_mask(path)
    return Prediction(
        values, notes["record"], notes["weights"], notes["photograph"], tuple(notes["classes"].split(","))
    )


def save(
    answer: Answer,
    record: str,
    weights: str,
    photograph: str,
    part: str = "",
    *,
    soft: bool = False,
    folder: Path = _HERE,
) -> Path:
    """Write what a network said about a photograph, all of it or nothing; return the file.

    Args:
        answer: What `predict.segment` gave.
        record: The name of the run.
        weights: The SHA-256 of its weights.
        photograph: One of PHOTOGRAPHS.
        part: Of a network that gives several maps, a name for this one.
        soft: Keep the probabilities, as a small grey map, in place of the class numbers.
        folder: Where to.

    Raises:
        ValueError: It is none of PHOTOGRAPHS: the book shows no other.
    """
    if photograph not in PHOTOGRAPHS:
        raise ValueError(f"the photographs are {', '.join(PHOTOGRAPHS)}; got {photograph!r}")
    if not soft:
        image = Image.fromarray(answer.labels.numpy().astype(np.uint8))
        image.putpalette(palette().numpy().tobytes())
    else:
        image = Image.fromarray((answer.probability * 255).round().byte().numpy())
        image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BOX)
    notes = PngImagePlugin.PngInfo()
    texts = {"record": record, "weights": weights, "photograph": photograph, "classes": ",".join(answer.classes)}
    for key, value in texts.items():
        notes.add_text(key, value)
    path = Path(folder) / f"{_stem(record, photograph, part)}.png"
    with written_whole(path) as unfinished:
        image.save(unfinished, format="PNG", optimize=True, pnginfo=notes)
    return path


def _stem(record: str, photograph: str, part: str) -> str:
    return "-".join(filter(None, (record, photograph, part)))

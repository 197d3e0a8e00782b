"""The training runs of the book, written down in full: one recipe per network, in three sizes (Chapters 06 to 09).

A recipe is a list of settings and nothing else.  `train.fit` follows it, a record keeps it, and its hash tells whether
two runs followed the same one.

    recipe("unet", "smoke")  -->  Recipe(...)  --datasets, network-->  what `train.fit` needs

Tiers: *smoke* is for tests and for reading, seconds on a CPU, on drawn data.  *colab* is meant for ten minutes on one
small GPU.  *full* has the settings of the source, where there is one.

Sources: FCN, the chapter of "Dive into Deep Learning" on fully convolutional networks (Zhang et al., 2023).  U²-Net,
Qin et al. (2020), arXiv 2005.09007, section 4.
"""

import dataclasses
import hashlib
import importlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chapters_code.checks import check_choice, check_integer, check_pair
from chapters_code.data import (
    CrackSegmentation,
    Pairs,
    SaliencySegmentation,
    SyntheticCracks,
    SyntheticSaliency,
    SyntheticVOC,
    VOCSegmentation,
    own_sets,
)
from chapters_code.data.layout import NoPictures
from chapters_code.data.loading import Preloaded
from chapters_code.data.pairs import Segmentation
from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.train.evaluate import TASKS
from chapters_code.train.losses import LOSSES

__all__ = [
    "OPTIMIZERS",
    "RECIPES",
    "SCHEDULES",
    "TIERS",
    "Recipe",
    "adapted",
    "build_network",
    "datasets",
    "ready",
    "recipe",
]

TIERS = ("smoke", "colab", "full")
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
# The part of the learning rate that is left, when a part of all steps is done.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "poly": lambda done: (1 - done) ** 0.9,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
# The words that a recipe may use; each has its one home where its meaning is.
_KNOWN = {
    "tier": TIERS,
    "task": TASKS,
    "smaller": ("pad", "drop"),
    "optimizer": tuple(OPTIMIZERS),
    "schedule": tuple(SCHEDULES),
    "losses": tuple(LOSSES),
    "precision": ("float32", "bfloat16"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of one training run.  Lengths in pixels; a crop is (height, width).

    Raises:
        ValueError: A setting is not one of the known words, or a number is out of its range.
    """

    name: str
    tier: str
    chapter: str
    network: str  # module and class in chapters_code, "unet.UNet"
    network_settings: dict[str, Any] = field(default_factory=dict)
    task: str  # how it is scored: "classes", "cracks" or "saliency"
    data: str  # "voc2012", "crack/DeepCrack", ..., or "synthetic/cracks", ..., or "own/NAME"
    train_split: str = "train"
    validation_split: str = "test"
    crop: tuple[int, int]
    resize: tuple[int, int] | None = None  # every picture to this size before the crop
    smaller: str = "pad"  # pictures smaller than the crop: "pad" them or "drop" them
    flip: bool = True  # left and right exchanged, for one picture in two
    batch_size: int  # over all processes together
    epochs: int
    optimizer: str  # "sgd", "adam" or "adamw"
    learning_rate: float
    momentum: float = 0.0  # "sgd" only
    weight_decay: float = 0.0
    schedule: str = "constant"  # or "poly" (power 0.9), "cosine"; both end at 0
    losses: tuple[str, ...]  # names in losses.LOSSES; their values are added
    clip: float | None = None  # the longest gradient that is allowed, as a 2-norm
    precision: str = "float32"  # "bfloat16": convolutions in 16 bits where the hardware has them
    validate_every: int = 1  # epochs

    def __post_init__(self) -> None:
        for name, known in _KNOWN.items():
            given = getattr(self, name)
            words = given if name == "losses" else (given,)
            if not isinstance(words, tuple) or not words or not set(words) <= set(known):
                raise ValueError(f"{name} must be of {', '.join(known)}; got {given!r}")
        if not re.fullmatch("[a-z0-9][a-z0-9_-]*", self.name):
            raise ValueError(
                f"name must be of small letters, digits, - and _, since files are called so; got {self.name!r}"
            )
        if not re.fullmatch(r"\w+\.\w+", self.network):
            raise ValueError(
                f'network must be a module and a class or function in it, like "unet.UNet", got {self.network!r}'
            )
        check_pair("crop", self.crop, single=False)
        if self.resize is not None:
            check_pair("resize", self.resize, single=False)
            if any(side > whole for side, whole in zip(self.crop, self.resize, strict=True)):
                raise ValueError(
                    f"crop must fit into resize, the size to which every picture is brought first, got a crop of"
                    f" {self.crop[0]} x {self.crop[1]} and {self.resize[0]} x {self.resize[1]}: what lies outside would"
                    " be void"
                )
        for name in ("batch_size", "epochs", "validate_every"):
            check_integer(name, getattr(self, name), 1)
        for name, may_be_zero in {
            "learning_rate": False,
            "momentum": True,
            "weight_decay": True,
            "clip": False,
        }.items():
            value = getattr(self, name)
            if name == "clip" and value is None:
                continue
            if not isinstance(value, Real) or not (0 < value < math.inf or (may_be_zero and value == 0)):
                raise ValueError(
                    f"{name} must be a number {'of 0 or more' if may_be_zero else 'above 0'}, got {value!r}"
                )
            object.__setattr__(self, name, float(value))  # 1 and 1.0 are the same recipe

    def digest(self) -> str:
        """Return the SHA-256 of all settings: equal for two runs that followed the same recipe."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()

    def plain(self) -> dict[str, Any]:
        """Return all settings as JSON would give them back: lists in place of tuples."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


# ---- the recipes ------------------------------------------------------------------------------------


def _sizes(full: Recipe, *, colab: dict[str, Any], smoke: dict[str, Any]) -> dict[str, Recipe]:
    """Write a recipe down in its three tiers: the full one, and in what the smaller ones differ from it."""
    changes = {"smoke": smoke, "colab": colab, "full": {}}
    return {tier: dataclasses.replace(full, tier=tier, **changes[tier]) for tier in TIERS}


def _like(base: dict[str, Recipe], name: str, **changes: Any) -> dict[str, Recipe]:
    """Write down a recipe by its differences from another one: those of all tiers, and those of one, by its name."""
    for_one = {tier: changes.pop(tier, {}) for tier in TIERS}
    return {tier: dataclasses.replace(base[tier], name=name, **changes | for_one[tier]) for tier in TIERS}


_UNET = _sizes(
    Recipe(
        name="unet",
        tier="full",
        chapter="07 hwd",
        network="unet.UNet",
        task="cracks",
        data="crack/DeepCrack",
        crop=(320, 320),
        batch_size=8,
        epochs=120,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=1e-4,
        schedule="cosine",
        # Cross-entropy alone is content with "no crack" for a while: 97 % of the pixels are pavement.
        losses=("binary_cross_entropy", "dice"),
        clip=1.0,
        validate_every=10,
    ),
    colab={"crop": (256, 256), "epochs": 36, "precision": "bfloat16", "validate_every": 6},
    smoke={
        "data": "synthetic/cracks",
        "network_settings": {"widths": (8, 16, 32)},
        "crop": (64, 96),
        "epochs": 8,
        "learning_rate": 5e-3,
        "validate_every": 2,
    },
)

_FCN = _sizes(
    Recipe(
        name="fcn",
        tier="full",
        chapter="06 fcn",
        network="fcn.FCN",
        network_settings={"weights": "imagenet"},
        task="classes",
        data="voc2012",
        validation_split="val",
        crop=(320, 480),
        smaller="drop",
        flip=False,
        batch_size=32,
        epochs=5,
        optimizer="sgd",
        # The source takes 1e-3 on the *sum* over the 32 pictures of a batch.  The loss here is their mean: a gradient
        # 32 times smaller, so a rate 32 times larger, and a weight decay 32 times smaller beside it.
        learning_rate=1e-3 * 32,
        weight_decay=1e-3 / 32,
        losses=("cross_entropy",),
    ),
    colab={},  # the source's own run should fit into ten minutes
    smoke={
        "data": "synthetic/voc",
        "network_settings": {},
        "crop": (96, 128),
        "batch_size": 8,
        "epochs": 2,
        "learning_rate": 1e-3 * 8,
        "weight_decay": 1e-3 / 8,
    },
)

# For some hundred pictures: smaller crops and batches, so more steps, which grow shorter.
_FCN_MOBILENET = _like(
    _FCN,
    "fcn-mobilenet",
    network_settings={"backbone": "mobilenet_v2", "weights": "imagenet"},
    smaller="pad",
    flip=True,
    batch_size=8,
    learning_rate=1e-2,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="poly",
    full={"crop": (320, 320), "epochs": 24, "validate_every": 6},
    colab={"crop": (320, 320), "epochs": 24, "validate_every": 6, "precision": "bfloat16"},
    smoke={"network_settings": {"backbone": "mobilenet_v2", "weights": None}, "validate_every": 2},
)
# The paper's main result; its plan is experiments/fcn8s.py.
_FCN_8S = _like(
    _FCN_MOBILENET,
    "fcn-8s-mobilenet",
    network_settings={"backbone": "mobilenet_v2", "weights": "imagenet", "stride": 8},
    smoke={"network_settings": {"backbone": "mobilenet_v2", "weights": None, "stride": 8}},
)
# The source's network, which begins with nothing.
_FCN_SCRATCH = _like(_FCN_MOBILENET, "fcn-scratch", network_settings={"backbone": "resnet18", "weights": None})

_U2NET = _sizes(
    Recipe(
        name="u2net",
        tier="full",
        chapter="09 u2net",
        network="u2net.u2net",
        task="saliency",
        data="sod/DUTS",
        resize=(320, 320),
        crop=(288, 288),
        batch_size=12,
        epochs=683,  # the 600,000 steps of the source: 10,553 pictures are 879 batches of 12
        optimizer="adam",
        learning_rate=1e-3,
        losses=("binary_cross_entropy",),
        validate_every=10,
    ),
    colab={"data": "sod/ECSSD", "epochs": 20, "precision": "bfloat16"},
    smoke={
        "network": "u2net.u2netp",
        "data": "synthetic/saliency",
        "resize": (72, 72),
        "crop": (64, 64),
        "batch_size": 4,
        "epochs": 2,
        "validate_every": 1,
    },
)
_U2NETP = _like(
    _U2NET,
    "u2netp",
    network="u2net.u2netp",
    schedule="cosine",
    full={"data": "sod/ECSSD", "epochs": 120, "validate_every": 20},
    colab={"resize": (176, 176), "crop": (160, 160), "epochs": 30},
)

# Beside U²-Net†, for Chapter 09: a plain U-Net as large, on saliency and on cracks; the plan is experiments/nest.py.
_AS_LARGE = {"widths": (24, 48, 96, 192)}
_SMALL = {"network_settings": {"widths": (8, 16, 32)}}

_UNET_SALIENCY = _like(_U2NETP, "unet-saliency", network="unet.UNet", network_settings=_AS_LARGE, smoke=_SMALL)
_U2NETP_CRACKS = _like(
    _UNET,
    "u2netp-cracks",
    chapter="09 u2net",
    network="u2net.u2netp",
    network_settings={},
    colab={"crop": (160, 160), "epochs": 16, "learning_rate": 1e-3, "validate_every": 8},
)
_UNET_CRACKS = _like(_U2NETP_CRACKS, "unet-cracks", network="unet.UNet", network_settings=_AS_LARGE, smoke=_SMALL)

RECIPES: dict[str, dict[str, Recipe]] = {
    sizes["full"].name: sizes
    for sizes in (
        _UNET,
        _FCN,
        _FCN_MOBILENET,
        _FCN_8S,
        _FCN_SCRATCH,
        _U2NET,
        _U2NETP,
        _UNET_SALIENCY,
        _U2NETP_CRACKS,
        _UNET_CRACKS,
    )
}


def recipe(name: str, tier: str) -> Recipe:
    """Return the recipe of a network in one of the sizes smoke, colab and full.

    Raises:
        ValueError: There is no such recipe or tier; the message lists them.
    """
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; there are: {', '.join(RECIPES)}")
    if tier not in TIERS:
        raise ValueError(f"there is no tier {tier!r}; there are: {', '.join(TIERS)}")
    return RECIPES[name][tier]


def ready(recipe: Recipe) -> bool:
    """Say whether the network of a recipe is in this version of the book: a recipe is older than its chapter."""
    return importlib.util.find_spec(f"chapters_code.{recipe.network.split('.')[0]}") is not None


def build_network(recipe: Recipe, seed: int = 0) -> nn.Module:
    """Make the network of a recipe; its first weights depend on `seed` alone.

    Raises:
        ValueError: This version of the book does not have the network yet.
    """
    if not ready(recipe):
        raise ValueError(
            f"the recipe {recipe.name} trains chapters_code.{recipe.network}, which comes with Chapter"
            f" {recipe.chapter} and is not in this version of the book"
        )
    module, name = recipe.network.split(".")
    make: Callable[..., nn.Module] = getattr(importlib.import_module(f"chapters_code.{module}"), name)
    settings = dict(recipe.network_settings)
    if "down" in settings:  # a recipe is text, so it names the layer that shrinks
        settings["down"] = _downsampler(settings["down"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(**settings)


def _downsampler(name: str) -> Callable[[int, int], nn.Module]:
    return DOWNSAMPLERS[check_choice("down", name, DOWNSAMPLERS)]


# ---- the data of a recipe ---------------------------------------------------------------------------

# The drawn sets: enough pictures for some steps, small enough for seconds.  Another seed gives the validation.
_DRAWN = {
    "synthetic/voc": (SyntheticVOC, (112, 144)),
    "synthetic/cracks": (SyntheticCracks, (80, 112)),
    "synthetic/saliency": (SyntheticSaliency, (96, 112)),
}
_DRAWN_TRAIN, _DRAWN_VALIDATION = 32, 8


def datasets(
    recipe: Recipe, root: str | Path | None = None, say: Callable[[str], None] = print
) -> tuple[Segmentation, Segmentation]:
    """Open the training and validation pictures of a recipe, or those of one's own.

    Args:
        recipe: Says which set and which splits.
        root: A folder laid out like BOOK_DATA, with the recipe's set in it; or one with pictures of one's own, as
            `data.own.own_sets` takes it, and then train by `adapted(recipe, train_set)`.  None looks for the set as
            the data page says: BOOK_DATA, an earlier download, a download; drawn sets need no folder.
        say: Gets what was found in a folder of one's own, line by line.

    Raises:
        ValueError: The recipe names an unknown set, or pictures of one's own do not fit together.
        FileNotFoundError: `root` holds neither the set nor pictures of one's own.
    """
    if root is not None and not Path(root, recipe.data).is_dir():
        try:
            # Cracks and salient things are a question of yes or no; for classes the masks tell.
            return own_sets(root, numbers=None if recipe.task == "classes" else False, say=say)
        except NoPictures as error:
            lacking = (
                f"the tier {recipe.tier} of {recipe.name} draws its pictures, or trains on yours: leave the folder out,"
                " take another tier, or name a folder with your own"
                if recipe.data in _DRAWN
                else f"{Path(root, recipe.data)} is not there, which the recipe {recipe.name} trains on"
            )
            raise FileNotFoundError(f"{lacking}. As pictures of your own: {error}") from error
    if recipe.data in _DRAWN:
        draw, size = _DRAWN[recipe.data]
        # Kept in memory: they would be drawn anew in every epoch.
        return Preloaded(draw(_DRAWN_TRAIN, size=size, seed=0)), Preloaded(draw(_DRAWN_VALIDATION, size=size, seed=1))
    return tuple(_opened(recipe.data, split, root) for split in (recipe.train_split, recipe.validation_split))


def adapted(recipe: Recipe, train_set: Segmentation) -> Recipe:
    """Return a recipe as it is for pictures of one's own: with their name, and a network for their classes.

    Args:
        recipe: Any of the book's, for the task that the masks are drawn for.
        train_set: What `datasets` or `own_sets` returned.  For the book's own sets the recipe stays as it is.
    """
    if not isinstance(train_set, Pairs):
        return recipe
    count = {"num_classes": len(train_set.classes)} if recipe.task == "classes" else {}
    return dataclasses.replace(
        recipe,
        data=f"own/{train_set.name}",
        train_split="train",
        validation_split="val",
        network_settings=recipe.network_settings | count,
    )


def _opened(name: str, split: str, root: str | Path | None) -> Segmentation:
    folder = None if root is None else Path(root, name)
    if name == "voc2012":
        return VOCSegmentation(split, root=folder)
    kind, _, member = name.partition("/")
    if kind == "crack":
        return CrackSegmentation(member, split, root=folder)
    if kind == "sod":
        return SaliencySegmentation(member, split, root=folder)
    raise ValueError(
        f"there is no data set {name!r}; a recipe names voc2012, crack/..., sod/... or synthetic/..., and for own/..."
        " the folder of the pictures has to be named"
    )

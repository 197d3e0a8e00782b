"""Does WTConv make a network look at shapes more than at textures (Chapter 08)?

    python -m experiments shape_texture --out OUT

The plan, written before the first run.  The paper of WTConv finds that networks with it decide more by shape and less
by texture (a shape bias 8 to 12 points higher).  Here the two are set against each other in drawn scenes, where the
answer is known.  Four shapes (disc, square, triangle, cross) of equal area, turned as chance will have it, and four
textures (stripes, checks, dots, noise) of equal mean and contrast.  In the scenes to train on, each shape has a texture
of its own, so both say which class it is.  In the scenes of the test each shape has one of the *other* textures.

The networks are those of `experiments/wtconv.py`, with five classes: dw5, wt1, wt2, wt3, dw15, dw21.  256 scenes of
96 × 128 to train on, 64 to score with both cues, 64 where they contradict each other; AdamW, 12 epochs, five seeds.

Of each thing of the contradicting scenes, count the pixels that are called its shape's class and those called its
texture's; the larger number decides.  *Shape bias* is the share of things decided by shape, among those where either
has a pixel at all.  Judged seed by seed against dw5, by the 95 % interval of the mean difference and Holm's rule over
five comparisons.

Expected, before the first run:
    1. All arms reach a mean IoU above 0.8 where both cues agree.  An arm that does not cannot be judged.
    2. dw5 decides mostly by texture: a shape bias below 0.4, since a texture is seen in a few pixels.
    3. wt3 is ahead of dw5 by more than 0.05, and wt1 by less than wt3.
    4. dw21 is ahead of dw5 as well: if it is reach that helps, it does not matter where it comes from.
"""

from typing import Any

import torch
from torch import Tensor, nn

from chapters_code.data.loading import Normalise, Preloaded
from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.outputs import evaluation_mode
from chapters_code.train.recipes import Recipe, recipe
from experiments import wtconv
from experiments.work import Planned, Study, plan

ARMS = tuple(wtconv.KERNELS)
SHAPES = ("disc", "square", "triangle", "cross")
SIZE = (96, 128)
RADIUS = (20, 30)  # of a disc of a thing's area, in pixels


def settings(arm: str) -> Recipe:
    """Write down one run."""
    return plan(
        recipe("unet", "colab"),
        name=f"shape-texture-{arm}",
        chapter="08 wtconv",
        network_settings={"widths": (8, 16, 32, 64), "num_classes": 5, "conv": arm},
        task="classes",
        data="drawn/shapes",
        crop=SIZE,
        epochs=12,
        learning_rate=3e-3,
        losses=("cross_entropy",),
        validate_every=1000,
    )


class Scenes(Segmentation):
    """Scenes with one or two things; `agree` says whether each shape has its own texture or one of the others.

    Args:
        count: How many.
        seed: Another one draws other scenes.
        agree: Class k has texture k; else one of the other three.
    """

    classes = ("background", *SHAPES)
    palette = ((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167))

    def __init__(self, count: int, seed: int, agree: bool = True) -> None:
        kind = "agree" if agree else "contradict"
        super().__init__([f"{kind}-{seed}-{number}" for number in range(count)], f"drawn, shapes and textures {kind}")
        self.seed, self.agree = seed, agree

    def read(self, index: int) -> Pair:
        image, things, classes, _ = self.drawn(index)
        return Pair(image, torch.tensor([0, *classes])[things])

    def drawn(self, index: int) -> tuple[Tensor, Tensor, list[int], list[int]]:
        """Return a scene: image, which thing is where (0 none, 1, 2), and of each thing its class and its texture's."""
        chance = torch.Generator().manual_seed(100_003 * self.seed + index + 50_000_017 * self.agree)
        rows, columns = torch.meshgrid(*(torch.arange(side).float() for side in SIZE), indexing="ij")
        grey = 128 + 12 * (rows / 40 + _number(chance, 0, 6)).sin() * (columns / 40 + _number(chance, 0, 6)).cos()
        grey = grey + 6 * torch.randn(SIZE, generator=chance)
        things, classes, textures = torch.zeros(SIZE, dtype=torch.int64), [], []
        for number in range(1, 2 + int(torch.randint(2, (), generator=chance))):
            shape = int(torch.randint(4, (), generator=chance))
            other = (shape + 1 + int(torch.randint(3, (), generator=chance))) % 4
            here = _placed(SHAPES[shape], rows, columns, chance)
            for _ in range(20):  # a shape that is hidden cannot be seen
                if (here & (things > 0)).sum() < here.sum() / 20:
                    break
                here = _placed(SHAPES[shape], rows, columns, chance)
            texture = shape if self.agree else other
            grey = torch.where(here, 128 + 45 * _grain(texture, rows, columns, chance), grey)
            things[here] = number
            classes.append(1 + shape)
            textures.append(1 + texture)
        image = grey.round().clamp(0, 255).byte().expand(3, -1, -1).contiguous()
        return image, things, classes, textures


def _number(chance: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=chance).item()


def _cos(angle: float) -> float:
    return torch.tensor(angle).cos().item()


def _sin(angle: float) -> float:
    return torch.tensor(angle).sin().item()


def _placed(shape: str, rows: Tensor, columns: Tensor, chance: torch.Generator) -> Tensor:
    """Lay a shape into the scene, turned, larger or smaller, at a place of chance: bool (H, W)."""
    radius, angle = _number(chance, *RADIUS), _number(chance, 0, 6.3)
    y, x = (place - _number(chance, 24, side - 24) for place, side in zip((rows, columns), SIZE, strict=True))
    turned = (y * _cos(angle) - x * _sin(angle)) / radius, (y * _sin(angle) + x * _cos(angle)) / radius
    return _inside(shape, *turned)


def _inside(shape: str, y: Tensor, x: Tensor) -> Tensor:
    """Say which places lie inside a shape of area π around 0: bool, shape of `y`."""
    if shape == "disc":
        return y.square() + x.square() < 1
    if shape == "square":
        return torch.maximum(y.abs(), x.abs()) < torch.pi**0.5 / 2
    if shape == "triangle":  # equilateral: its area is 3 √3 times the square of the circle inside
        inner = (torch.pi / (3 * 3**0.5)) ** 0.5
        return torch.maximum(y, x.abs() * 3**0.5 / 2 - y / 2) < inner
    arm = (torch.pi / 20) ** 0.5  # a cross of five squares, each 2 arms wide
    low, high = torch.minimum(y.abs(), x.abs()), torch.maximum(y.abs(), x.abs())
    return (low < arm) & (high < 3 * arm)


def _grain(texture: int, rows: Tensor, columns: Tensor, chance: torch.Generator) -> Tensor:
    """Make a texture of mean 0 and standard deviation 1, turned and shifted by chance: (H, W)."""
    angle = _number(chance, 0, 6.3)
    u = (rows * _cos(angle) + columns * _sin(angle)) * (2 * torch.pi / 6) + _number(chance, 0, 6)
    v = (columns * _cos(angle) - rows * _sin(angle)) * (2 * torch.pi / 6) + _number(chance, 0, 6)
    if texture == 3:
        return torch.randn(rows.shape, generator=chance)
    wave = (u.sin(), u.sin().sign() * v.sin().sign(), torch.maximum(u.sin(), v.sin()))[texture]
    return (wave - wave.mean()) / wave.std()


def build(planned: Planned) -> nn.Module:
    """Make the network of a run; its first weights depend on the seed alone."""
    return wtconv.network(planned.arm, planned.seed, planned.recipe.network_settings["widths"], num_classes=5)


def pictures(planned: Planned, data: object) -> tuple[Segmentation, Segmentation]:
    """Draw the scenes where both cues agree."""
    return Preloaded(Scenes(256, seed=0)), Preloaded(Scenes(64, seed=1))


@torch.inference_mode()
def votes(model: nn.Module, scenes: Scenes) -> list[list[int]]:
    """Count, thing by thing, the pixels that are called its shape's class, and those called its texture's."""
    found = []
    with evaluation_mode(model):
        for index in range(len(scenes)):
            image, things, classes, textures = scenes.drawn(index)
            said = model(Normalise()(image[None])).float()[0].argmax(0)
            for number, (shape, texture) in enumerate(zip(classes, textures, strict=True), start=1):
                here = said[things == number]
                found.append([int((here == shape).sum()), int((here == texture).sum())])
    return found


def bias(counted: list[list[int]]) -> dict[str, float]:
    """Return the share of things decided by shape, and the share that is decided at all."""
    shape, texture = torch.tensor(counted).T
    decided = shape + texture > 0
    by_shape = (shape[decided] > texture[decided]).double().mean().item() if decided.any() else 0.0
    return {"shape_bias": round(by_shape, 6), "decided": round(decided.double().mean().item(), 6)}


def more(model: nn.Module, planned: Planned, pairs: Segmentation, data: object) -> dict[str, Any]:
    """Set shape against texture."""
    return {"changed": {"contradict": bias(votes(model, Scenes(64, seed=2, agree=False)))}}


STUDY = Study(
    name="shape-texture",
    planned=[Planned(arm, "drawn", settings(arm), seed, 2.5) for seed in range(5) for arm in ARMS],
    kept=("global_mean_iou", "global_pixel_accuracy"),
    build=build,
    pictures=pictures,
    more=more,
)

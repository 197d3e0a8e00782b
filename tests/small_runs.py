"""What the tests of training share: a plan of some steps, pictures made for it, the smallest network, and a record."""

import dataclasses

import torch
from torch import nn

from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.train.recipes import recipe

PLAN = dataclasses.replace(
    recipe("unet", "smoke"),
    network_settings={},
    crop=(12, 16),
    flip=False,
    batch_size=4,
    epochs=3,
    optimizer="sgd",
    learning_rate=0.5,
    weight_decay=0.0,
    schedule="constant",
    losses=("binary_cross_entropy",),
    clip=None,
    validate_every=1,
)


class Made(Segmentation):
    """Pictures of one size whose mask is where they are bright, some of it void."""

    classes = ("dark", "bright")
    palette = ((0, 0, 0), (255, 255, 255))

    def __init__(self, count=8, size=(12, 16), seed=0, void=True):
        super().__init__([f"made-{seed}-{number}" for number in range(count)], "made")
        chance = torch.Generator().manual_seed(seed)
        self.pairs = []
        for _ in range(count):
            mask = (torch.rand(size, generator=chance) > 0.6).long()
            image = (mask * 120 + torch.randint(0, 100, (3, *size), generator=chance)).byte()
            if void:  # not the same share everywhere
                mask = mask.masked_fill(torch.rand(size, generator=chance) < torch.rand(1, generator=chance), 255)
            self.pairs.append(Pair(image, mask))

    def read(self, index):
        return self.pairs[index]


def one_by_one():
    """The smallest network: each pixel by itself."""
    torch.manual_seed(0)
    return nn.Conv2d(3, 1, 1)


DIGEST = "0" * 64
PICTURES = {"origin": "drawn roads", "count": 4, "digest": DIGEST}
RECORD = {
    "format": 1,
    "name": "unet-smoke-seed0",
    "recipe": {"name": "unet", "tier": "smoke", "network": "unet.UNet", "data": "synthetic/cracks"},
    "recipe_digest": DIGEST,
    "network": {"name": "unet.UNet", "parameters": 100},
    "data": {"train": PICTURES, "validation": PICTURES},
    "seed": 0,
    "epochs": [{"epoch": 1, "loss": 0.5, "learning_rate": 0.1, "seconds": 2.0, "scores": {"f1": 0.25}}],
    "scores": {"f1": 0.25, "iou": None},
    "baselines": {"all background": {"f1": 0.0}},
    "ran_on": {"device": "a CPU, 2 cores", "processes": 1, "threads": 2, "precision": "float32"},
    "versions": {"torch": "2.15.0"},
    "finished": "2026-11-20T10:00:00Z",
    "seconds": 2.0,
    "commit": "abc",
}

"""Wavelet convolution in a network: its reach against large kernels, and what it does under noise (Chapter 08).

    python -m experiments wtconv --data DIR --out OUT

The plan, written before the first run.  The network is the bake-off's small U-Net with max pooling; below full size
each of its 3 × 3 convolutions is a depthwise one with a 1 × 1 mix after it.  Full size stays as it is.  What is
compared is the depthwise layer:

    dw5              kernels of 5 × 5: what WTConv begins with
    wt1, wt2, wt3    WTConv, kernels of 5 × 5, with one to three levels: they reach over 10, 20 and 40 pixels of their
                     map
    dw15             15 × 15: about as many weights per channel as wt2 (225 and 235)
    dw21             21 × 21: the reach of wt2, with 441 weights per channel

DeepCrack and CFD, AdamW at the bake-off's rate (nothing is tuned for WTConv), crops of 128, 16 and 30 epochs, five
seeds.  Large kernels are computed by a Fourier transform in float32, which gives the same numbers up to rounding.

After the training the same networks see the same test pictures with noise (a standard deviation of 10 and of 25 grey
levels), blur (a Gaussian of 1 and of 2 pixels) and JPEG (quality 30 and 10), which none has seen in training.

Judged by `ods_f1@2px`, under a change by `global_f1@2px`, seed by seed against dw5, by the 95 % interval of the mean
difference and Holm's rule over the arms of a set; equal if the 90 % interval is inside ± 0.01.

Expected, before the first run:
    1. On DeepCrack wt2 and wt3 are ahead of dw5 by less than 0.02: its cracks are wide, and a U-Net sees far already,
       by way of its halvings.  On CFD all arms are equal within 0.01.
    2. wt2 is equal to dw15 and to dw21 within 0.01.
    3. Under noise and blur wt3 loses less against the clean pictures than dw5 does, by more than 0.02 at the stronger
       of both (the paper finds its networks more robust); under JPEG there is no difference.
    4. dw21 loses as little as wt2: if it is reach that helps, it does not matter where it comes from.
"""

import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from chapters_code.data.pairs import Segmentation
from chapters_code.layers import conv_norm_relu
from chapters_code.train.recipes import Recipe, recipe
from chapters_code.unet import UNet
from chapters_code.wtconv import swap_depthwise
from experiments import cracks
from experiments.work import Planned, Study, plan

KERNELS = {"dw5": 5, "wt1": 5, "wt2": 5, "wt3": 5, "dw15": 15, "dw21": 21}
EPOCHS = {"DeepCrack": 16, "CFD": 30}
MINUTES = {"DeepCrack": 4.0, "CFD": 2.5}


def settings(arm: str, pictures: str) -> Recipe:
    """Write down one run."""
    return plan(
        recipe("unet", "colab"),
        name=f"wtconv-{pictures.lower()}-{arm}",
        chapter="08 wtconv",
        network_settings={"widths": (8, 16, 32, 64), "conv": arm},
        data=cracks.SETS[pictures],
        crop=(128, 128),
        epochs=EPOCHS[pictures],
        learning_rate=1e-3,
        validate_every=1000,
    )


class LargeDepthwise(nn.Conv2d):
    """A depthwise convolution with as many zeros around as keep H and W, computed by a Fourier transform.

    The product of two transforms is a convolution of whole pictures, so the time does not grow with the kernel.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        half = self.kernel_size[0] // 2
        height, width = x.shape[-2:]
        size = (height + 2 * half, width + 2 * half)
        with torch.autocast(x.device.type, enabled=False):
            pictures = torch.fft.rfft2(x.float(), s=size)
            # A layer's kernel is laid on the picture as it is; a convolution of mathematics turns it round.
            kernels = torch.fft.rfft2(self.weight[:, 0].float().flip(-2, -1), s=size)
            whole = torch.fft.irfft2(pictures * kernels, s=size)
        return whole[..., half : half + height, half : half + width] + self.bias[:, None, None]


def separable(kernel_size: int, full: int, in_channels: int, out_channels: int) -> nn.Sequential:
    """Make a convolution of the network: plain at full size, which has `full` channels, else depthwise and a mix."""
    if out_channels == full:
        return conv_norm_relu(in_channels, out_channels)
    if kernel_size > 5:
        depthwise = LargeDepthwise(in_channels, kernel_size)
    else:
        depthwise = nn.Conv2d(in_channels, in_channels, kernel_size, padding=kernel_size // 2, groups=in_channels)
    return nn.Sequential(depthwise, *conv_norm_relu(in_channels, out_channels, kernel_size=1))


def network(arm: str, seed: int, widths: Sequence[int], num_classes: int = 1) -> nn.Module:
    """Make the network of an arm; its first weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        conv = functools.partial(separable, KERNELS[arm], widths[0])
        made = UNet(num_classes=num_classes, widths=widths, conv=conv)
        return swap_depthwise(made, wt_levels=int(arm[2:])) if arm.startswith("wt") else made


def build(planned: Planned) -> nn.Module:
    """Make the network of a run."""
    return network(planned.arm, planned.seed, planned.recipe.network_settings["widths"])


def noise(deviation: float, image: Tensor, place: int) -> Tensor:
    """Add Gaussian noise, the same to a picture of each network."""
    chance = torch.Generator().manual_seed(place)
    return (image + deviation * torch.randn(image.shape, generator=chance)).round().clamp(0, 255).byte()


def blur(deviation: float, image: Tensor, place: int) -> Tensor:
    """Blur by a Gaussian, with as many taps as reach over three deviations on each side."""
    return gaussian_blur(image, [2 * int(3 * deviation) + 1] * 2, [deviation] * 2)


def jpeg(quality: int, image: Tensor, place: int) -> Tensor:
    """Store as JPEG and read again."""
    stored = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(stored, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(stored))).permute(2, 0, 1)


CHANGES = {
    "noise 10": functools.partial(noise, 10.0),
    "noise 25": functools.partial(noise, 25.0),
    "blur 1": functools.partial(blur, 1.0),
    "blur 2": functools.partial(blur, 2.0),
    "JPEG 30": functools.partial(jpeg, 30),
    "JPEG 10": functools.partial(jpeg, 10),
}


def more(model: nn.Module, planned: Planned, pairs: Segmentation, data: Path | None) -> dict[str, Any]:
    """Count what is found on each photograph and of cracks of each width, and what is found under each change."""
    found = cracks.counts(model, pairs, cracks.kinds_of(Path(data, planned.recipe.data)))
    return found | {"changed": cracks.changed(model, pairs, CHANGES)}


STUDY = Study(
    name="wtconv",
    planned=[
        Planned(arm, pictures, settings(arm, pictures), seed, MINUTES[pictures])
        for seed in range(5)
        for pictures in EPOCHS
        for arm in KERNELS
    ],
    kept=cracks.KEPT,
    build=build,
    more=more,
)

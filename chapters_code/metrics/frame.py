"""What the metrics of a whole data set share: sums that batches and processes add to, and the checks of a batch."""

import math

import torch
from torch import Tensor

from chapters_code.checks import check_one_device, check_tensors

__all__ = ["Streaming", "as_batch", "check_probabilities"]


class Streaming:
    """Sums over the images of a data set, which come in batches of any size; no image is kept.

    A metric names its sums at the start, and counts a batch with `_add`.

    Args:
        settings: What the size of the state depends on, for the error of `load_state`.
        zeros: The name of each sum, and what it is before the first image.  Each becomes an attribute.
    """

    def __init__(self, settings: str, **zeros: Tensor) -> None:
        self._settings, self._zeros = settings, zeros
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._images = 0
        for name, zeros in self._zeros.items():
            setattr(self, name, zeros.clone())

    @property
    def images(self) -> int:
        """How many images were counted."""
        return self._images

    def state(self) -> Tensor:
        """Return all sums and the number of images as one float64 vector; those of different images may be added."""
        sums = [getattr(self, name).flatten() for name in self._zeros]
        return torch.cat([*sums, torch.tensor([self._images])]).double()

    def load_state(self, state: Tensor) -> None:
        """Take the place of what `state` describes: a vector of `state()`, or the sum of several.

        Raises:
            ValueError: It is no tensor, or has another size, so it belongs to other settings.
        """
        check_tensors(state=state)
        sizes = [zeros.numel() for zeros in self._zeros.values()]
        if state.shape != (sum(sizes) + 1,):
            raise ValueError(
                f"the state of this {type(self).__name__} has {sum(sizes) + 1} numbers, got shape"
                f" {tuple(state.shape)}; was it saved with another {self._settings}?"
            )
        *sums, images = state.detach().cpu().double().split([*sizes, 1])
        for (name, zeros), values in zip(self._zeros.items(), sums, strict=True):
            values = values if zeros.is_floating_point() else values.round()
            setattr(self, name, values.reshape(zeros.shape).to(zeros.dtype, copy=True))
        self._images = round(images.item())

    def _add(self, images: int, **sums: Tensor) -> None:
        for name, more in sums.items():
            # Not in place: what was made under inference_mode may not be changed outside of it.
            setattr(self, name, getattr(self, name) + more)
        self._images += images

    def _need_images(self) -> None:
        if not self._images:
            raise ValueError("no pixel has been counted yet, so there is nothing to score: call update(...) first")


def as_batch(prediction: Tensor, target: Tensor, name: str = "prediction") -> tuple[Tensor, Tensor]:
    """Return predicted maps, (N, 1, H, W), (N, H, W) or (H, W), and their truth as (N, H, W), if they fit together.

    Raises:
        ValueError: One is no tensor, sizes or devices differ, or there is no pixel; `name` is that of the prediction.
    """
    check_tensors(**{name: prediction, "target": target})
    maps = prediction[:, 0] if prediction.dim() == 4 and prediction.shape[1] == 1 else prediction
    if maps.shape != target.shape or target.dim() not in (2, 3) or not target.numel():
        raise ValueError(
            f"{name} and target must be maps of one size, (N, H, W) or (H, W), with at least one pixel; got"
            f" {tuple(prediction.shape)} and {tuple(target.shape)}; where sizes differ, resize what was predicted"
        )
    check_one_device(name, prediction, target)
    size = target.shape[-2:]
    return maps.reshape(-1, *size), target.reshape(-1, *size)


def check_probabilities(prediction: Tensor) -> None:
    """Say that a prediction, of one pixel or more, holds something else than probabilities.

    Raises:
        ValueError: It is not floating point, or leaves [0, 1], or holds NaN.
    """
    if not prediction.is_floating_point():
        raise ValueError(
            f"prediction must hold probabilities in [0, 1], floating point, got {prediction.dtype};"
            " of a mask of 0 and 1 take mask.float(), and divide 8 bits by 255"
        )
    lowest, highest = prediction.min().item(), prediction.max().item()
    if not (lowest >= 0 and highest <= 1):  # NaN fails both
        found = "NaN" if math.isnan(lowest) else f"{lowest:g} to {highest:g}"
        raise ValueError(
            f"prediction must hold probabilities in [0, 1]; it holds {found}; of logits take logits.sigmoid()"
        )

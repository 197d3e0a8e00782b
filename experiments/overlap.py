"""What the studies on classes and on saliency ask of a trained network: for each photograph, how much overlaps."""

import torch
from torch import nn

from chapters_code.data.loading import Normalise
from chapters_code.data.pairs import Segmentation
from chapters_code.outputs import ask, device_of, evaluation_mode

__all__ = ["overlaps"]


@torch.inference_mode()
def overlaps(model: nn.Module, pairs: Segmentation, resize: tuple[int, int] | None = None) -> list[list[int]]:
    """Count on each photograph, class by class, what the network says and what is true; void counts for nothing.

    Args:
        model: Gives logits (1, K, H, W); with K = 1, class 1 is where they are 0 or more.
        pairs: Pictures with their masks.
        resize: The network sees every picture at this size (H, W), as `train.evaluate` does.

    Returns:
        For each picture one list, four integers for each class that is there or is said to be: the class, pixels where
        both agree on it, pixels predicted, pixels true.
    """
    found = []
    with evaluation_mode(model):
        for image, mask in pairs:
            maps = ask(model, Normalise()(image[None].to(device_of(model, image))), resize).float().cpu()
            predicted = maps[0].argmax(0) if maps.shape[1] > 1 else (maps[0, 0] >= 0).long()
            counted = mask != pairs.ignore_index
            predicted, true = predicted[counted], mask[counted]
            row = []
            for number in torch.cat([predicted, true]).unique().tolist():
                said, is_there = predicted == number, true == number
                row += [number, *(int(part.sum()) for part in (said & is_there, said, is_there))]
            found.append(row)
    return found

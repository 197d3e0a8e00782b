"""Which of a network's outputs counts (all chapters with networks)."""

from typing import Any

from torch import Tensor

__all__ = ["logits"]


def logits(output: Any) -> Tensor:
    """Choose the map that counts from what a network returns.

    Args:
        output: A tensor; a tuple or list, whose first entry counts (U²-Net: the fused map comes before the side maps);
            or a dictionary, whose entry "out" counts (torchvision's networks).

    Raises:
        ValueError: It is something else.

    Example:
        >>> logits([Tensor(1, 21, 4, 6), Tensor(1, 21, 8, 12)]).shape
        torch.Size([1, 21, 4, 6])
    """
    chosen = output
    if isinstance(output, dict):
        chosen = output.get("out")
    elif isinstance(output, tuple | list) and output:
        chosen = output[0]
    if not isinstance(chosen, Tensor):
        came = f"a dict with {sorted(map(str, output))}" if isinstance(output, dict) else type(output).__name__
        raise ValueError(
            "a model must return a tensor, a tuple or list that starts with one, or a dict with one as 'out'; got"
            f" {came}"
        )
    return chosen

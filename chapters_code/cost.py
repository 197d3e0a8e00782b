"""What a layer costs: the numbers it learns, and how often it multiplies (Chapters 02, 04, 08 and 09).

cost(layer, 1, 3, 64, 64)  -->  Cost(parameters, multiply_adds)
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from chapters_code.outputs import copied

__all__ = ["Cost", "cost"]


class Cost(NamedTuple):
    """What a layer costs."""

    parameters: int  # numbers that are learnt and stored
    multiply_adds: int  # one multiplication and one addition count as one


def cost(module: nn.Module, *shape: int) -> Cost:
    """Count what a layer or a network learns, and how much it multiplies for an input of a shape.

    Nothing is computed: PyTorch's own counter follows the shapes.  Only convolutions and matrix products count;
    comparing (max pooling), adding (average pooling) and what is done to each number by itself (ReLU) do not.

    Args:
        module: Any layer or network; it is left as it is.
        shape: Of its input, for example 1, 3, 64, 64.

    Returns:
        Parameters, and multiply-adds of one run forwards.

    Raises:
        ValueError: The module fits no input of this shape, or cannot be copied.

    Example:
        >>> cost(nn.Conv2d(3, 64, 3, stride=2, padding=1), 1, 3, 64, 64)
        Cost(parameters=1792, multiply_adds=1769472)
    """
    # On the device "meta" tensors have a shape and no numbers; a copy, for batch norm must not learn from this.
    phantom = copied(module).to("meta").eval()
    dtype = next((one.dtype for one in phantom.parameters()), torch.get_default_dtype())
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            phantom(torch.zeros(shape, dtype=dtype, device="meta"))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{type(module).__name__} takes no input of shape {shape}: {error}") from error
    # What PyTorch counts are operations, two to a multiply-add.
    return Cost(sum(one.numel() for one in module.parameters()), counter.get_total_flops() // 2)

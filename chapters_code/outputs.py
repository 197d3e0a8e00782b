"""How a network is asked: where it computes, in which mode, which output counts (all chapters with networks).

Whoever is handed a network and a picture brings the picture to the network, never the other way round.  A network may
be any function of a picture: a module, a scripted or exported program, a lambda that picks one of several maps.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.tracing import is_proxy

__all__ = ["ask", "copied", "device", "device_of", "evaluation_mode", "logits", "need_function"]


def device() -> torch.device:
    """Choose where to compute: a CUDA GPU if there is one, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def device_of(model: Callable, otherwise: Tensor) -> torch.device:
    """Say where a model computes; one without a weight, or a plain function, computes where `otherwise` is."""
    weights = chain(model.parameters(), model.buffers()) if isinstance(model, nn.Module) else ()
    return next(iter(weights), otherwise).device


@contextmanager
def evaluation_mode(model: Callable) -> Iterator[None]:
    """Switch a model to evaluation, within; afterwards each of its parts is in the mode it was in.

    A plain function and an exported program stay as they are: the one hides its network, the other has one mode only.
    """
    parts = model.modules() if isinstance(model, nn.Module) else ()
    modes = [(part, part.training) for part in parts if hasattr(part, "training")]  # a frozen script has no mode
    if modes:
        try:
            model.eval()
        except NotImplementedError:  # an exported program
            modes = []
    try:
        yield
    finally:
        # Not model.train(): a layer that was frozen in evaluation mode would be thawed.
        for part, training in modes:
            part.training = training


def ask(model: Callable, pictures: Tensor, resize: tuple[int, int] | None = None) -> Tensor:
    """Return the logits (N, K, H, W) of pictures (N, C, H, W) that lie where the model computes.

    Args:
        model: A network, or any function of a batch; of several outputs, `logits` chooses.
        pictures: Prepared as in training.
        resize: The network sees every picture at this size, and its logits are resized back; as in its training.
    """
    if resize is None:
        return logits(model(pictures))
    maps = logits(model(functional.interpolate(pictures, resize, mode="bilinear", antialias=True)))
    return functional.interpolate(maps.float(), pictures.shape[-2:], mode="bilinear")


def copied(module: nn.Module) -> nn.Module:
    """Copy a module, in the mode that it is in.

    Raises:
        ValueError: It is scripted or traced, or it holds something that cannot be copied.
    """
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise ValueError(
            f"{type(module).__name__} is scripted or traced and hides its calls: take what it was made from"
        )
    # `torch.nn.utils.weight_norm` leaves the weight that it computed last on the layer, and a computed tensor cannot be
    # copied.  Its numbers can; the next forward pass computes it anew.
    attributes = [one for part in module.modules() for one in vars(part).values() if isinstance(one, Tensor)]
    numbers = {id(one): one.detach().clone() for one in attributes if not one.is_leaf}
    try:
        return copy.deepcopy(module, numbers)
    except (RuntimeError, TypeError, copy.Error) as error:
        raise ValueError(
            f"{type(module).__name__} cannot be copied, and the module itself must stay as it is: {error}"
        ) from error


def need_function(model: Any) -> None:
    """Say what to take in place of a model that cannot be called, such as its weights.

    Raises:
        ValueError: It cannot.
    """
    if not callable(model):
        raise ValueError(
            f"model must be a network or a function of a batch of pictures, got {type(model).__name__}: of a"
            " checkpoint take checkpoints.load_network(path).network; for weights alone network.load_state_dict"
        )


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
    if not isinstance(chosen, Tensor) and not is_proxy(chosen):
        came = f"a dict with {sorted(map(str, output))}" if isinstance(output, dict) else type(output).__name__
        raise ValueError(
            "a model must return a tensor, a tuple or list that starts with one, or a dict with one as 'out'; got"
            f" {came}"
        )
    return chosen

"""What was called: the operations of one forward pass, in order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from chapters_code.checks import check_integer
from chapters_code.outputs import copied, logits

__all__ = ["Call", "Network", "Tape"]

# Operators that ask a tensor for its shape and not for its numbers: what they make depends on nothing.
_SHAPE_ONLY = {
    f"aten.{name}"
    for name in ("empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like")
}


@dataclass(eq=False)
class Call:
    """One operation on the tape, as a rule sees it; `call["stride"]` is a setting by PyTorch's name, default or not."""

    operator: Any
    """PyTorch's operator; `name` is its name, such as "aten.convolution"."""
    settings: dict[str, Any]
    """All that it was called with."""
    outputs: list[Any]
    """What came out."""
    place: str
    """The module that called it, such as "layer1.0.conv1 (Conv2d)"."""
    tape: "Tape"
    """Where it is written."""
    outside: bool = False
    """A rule sets it when a marked pixel looked beyond the picture's border."""
    reduced: int = 1
    """A rule sets it to the number of pixels that went into one, if that may depend on the picture's size."""

    def __getitem__(self, setting: str) -> Any:
        return self.settings[setting]

    @property
    def name(self) -> str:
        return str(self.operator.overloadpacket)

    @property
    def statistics(self) -> bool:
        """Whether the means that a normalisation takes count."""
        return self.tape.statistics

    def live(self) -> list[Tensor]:
        """List the inputs that depend on the picture, in order."""
        return [one for one in tree_leaves(self.settings) if isinstance(one, Tensor) and id(one) in self.tape.alive]

    def taps(self) -> Tensor:
        """Say which taps of a convolution's kernel count, bool (rows, columns)."""
        weight = self["weight"]
        if not self.tape.knows(weight):  # learned
            return torch.ones(weight.shape[-2:], dtype=torch.bool)
        return (self.tape.value(weight) != 0).any(dim=(0, 1))


class Network:
    """A copy of a module whose weights have shapes and no numbers, so that running it costs nothing.

    Args:
        module: A layer, a network, or a function of one picture.
        in_channels: Channels of the picture; None asks the first layer that says it, and takes 1 if none does.

    Raises:
        ValueError: `module` is nothing to call, cannot be copied or is scripted.
    """

    def __init__(self, module: Callable, in_channels: int | None) -> None:
        if not callable(module):
            raise ValueError(f"module must be a torch.nn.Module or a function of one picture, got {module!r}")
        self.name = getattr(module, "__name__", type(module).__name__)
        self.module = module
        self.places = [self.name]  # where in the module we are
        self.weights: dict[str, Tensor] = {}
        self.fixed: dict[int, Tensor] = {}  # the numbers of the buffers, by their shapes' id
        if isinstance(module, nn.Module):
            self.module = copied(module).eval().to("meta", torch.float32)
            self.weights = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
            buffers = zip(self.module.buffers(), module.buffers(), strict=True)
            self.fixed = {id(shape): buffer.to("cpu", torch.float32) for shape, buffer in buffers}
            for name, part in self.module.named_modules():
                self._watch(part, f"{name} ({type(part).__name__})" if name else type(part).__name__)
        self.in_channels = self._channels() if in_channels is None else check_integer("in_channels", in_channels, 1)

    def __call__(self, weights: dict[str, Tensor], x: Tensor) -> Any:
        return torch.func.functional_call(self.module, weights, x) if weights else self.module(x)

    def _watch(self, part: nn.Module, place: str) -> None:
        """Let the last of `places` be the part that runs."""

        def enter(*_: Any) -> None:
            self.places.append(place)

        def leave(*_: Any) -> None:
            self.places.pop()

        part.register_forward_pre_hook(enter)
        part.register_forward_hook(leave)

    def _channels(self) -> int:
        """Ask the layers, in order, how many channels they want."""
        for layer in self.module.modules() if isinstance(self.module, nn.Module) else ():
            for name in ("in_channels", "num_features", "num_channels"):
                if isinstance(getattr(layer, name, None), int):
                    return getattr(layer, name)
        return 1


class Tape(TorchDispatchMode):
    """The operations of one forward pass that depend on the picture, in order.

    Args:
        network: What runs.
        statistics: Whether the means that a normalisation takes count.
        size: (H, W) of the picture.

    Raises:
        ValueError: The network does not run on such a picture, or its output does not depend on it.
    """

    def __init__(self, network: Network, statistics: bool, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.statistics = network, statistics
        self.calls: list[Call] = []  # they keep their tensors, so that no two ever share an id
        self.computed: dict[int, Call] = {}  # what does not depend on the picture: from which call it came
        self.values = dict(network.fixed)
        self.chance = torch.Generator().manual_seed(0)
        self.x = torch.empty(1, network.in_channels, *size, dtype=torch.float32, device="meta")
        self.alive = {id(self.x)}  # what depends on the picture
        try:
            with torch.no_grad(), self:
                # functionalize() turns what is written in place (x.relu_(), out[i] = y) into new tensors; it does so
                # for the weights, too, when they are arguments.
                self.out = logits(torch.func.functionalize(network)(network.weights, self.x))
        except (AssertionError, RuntimeError, TypeError, ValueError, IndexError) as error:
            raise ValueError(
                f"{network.name} does not run on a picture of shape {tuple(self.x.shape)} (in_channels="
                f"{network.in_channels}; the engine gives shapes only, no numbers), at {network.places[-1]}: {error}"
            ) from error
        finally:
            del network.places[1:]
        if id(self.out) not in self.alive:
            raise ValueError(f"the output of {network.name} does not depend on the picture")
        self.out_size = tuple(self.out.shape[-2:]) if self.out.dim() == 4 else (1, 1)

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator._schema.is_mutable:
            raise ValueError(f"{operator} writes into a tensor in a way that cannot be followed")
        out = operator(*args, **(kwargs or {}))
        settings = {one.name: one.default_value for one in operator._schema.arguments}
        settings |= dict(zip(settings, args, strict=False)) | (kwargs or {})
        call = Call(operator, settings, tree_leaves(out), self.network.places[-1], self)
        tensors = [id(one) for one in call.outputs if isinstance(one, Tensor)]
        if call.live() and call.name not in _SHAPE_ONLY:
            self.alive.update(tensors)
            self.calls.append(call)
        else:
            self.computed |= dict.fromkeys(tensors, call)
        return out

    def knows(self, tensor: Tensor) -> bool:
        """Say whether a weight's zeros can be known: it is fixed, or was computed on the way, and not from x."""
        return id(tensor) in self.values or id(tensor) in self.computed

    def value(self, tensor: Tensor) -> Tensor:
        """Compute a weight with its zeros; learned numbers stand in as any numbers above 0."""
        if not self.knows(tensor):
            # Not all the same, so that no difference of two vanishes.
            self.values[id(tensor)] = 1 + torch.rand(tensor.shape, generator=self.chance, dtype=torch.float32)
        elif id(tensor) not in self.values:
            call = self.computed[id(tensor)]
            settings = tree_map(lambda one: self.value(one) if isinstance(one, Tensor) else one, call.settings)
            if "device" in settings:
                settings["device"] = torch.device("cpu")
            numbers = tree_leaves(call.operator(**settings))
            self.values |= {id(one): number for one, number in zip(call.outputs, numbers, strict=True)}
        return self.values[id(tensor)]

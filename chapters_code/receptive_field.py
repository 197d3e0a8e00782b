"""Receptive fields: which pixels of the picture can change one pixel of the output (Chapter 03).

For a stack of convolutions and pooling layers a sum gives the answer, `receptive_field_of_stack`.  For any other
network we follow its forward pass from the end to the start:

1. *Write down.*  The network runs once on a picture without numbers (PyTorch's "meta" device: shapes only, no work),
   and every operation is written on a tape.  So branches, skip connections, `torch.cat` and sizes that are computed
   on the way need no special care: the tape holds what was really called.
2. *Walk back.*  Mark one pixel of the output.  Each operation, from the last to the first, has a rule that says which
   of its input's pixels the marked ones looked at.  Where two ways meet, the marks of both are kept.
3. *Measure.*  The marked pixels of the picture are the answer.  Size, stride and start of their box are measured on
   a picture so large that no border cuts it.

    mask (1, C', H', W') of an operation's output  --rule-->  mask (1, C, H, W) of its input

Marks are kept per channel, too, as grouped convolutions and `space_to_depth` need it; an axis of length 1 in a mask
means "all alike".  `RULES` holds the rules by the name of PyTorch's operator.

*Can* change: a learned weight counts, whatever its value is just now; a fixed tap of a convolution (a buffer) counts
unless it is zero in all channels.  `effective_receptive_field` asks the other question: how much does each pixel change
it, with these very weights?

Left out: convolutions in 1-D and 3-D, circular padding, forward passes that look at the numbers.

Sources: Araujo, Norris and Sim (2019), "Computing Receptive Fields of Convolutional Neural Networks", for the sums and
the published sizes; Luo, Li, Urtasun and Zemel (2016) for the effective field.
"""

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from chapters_code.checks import check_size, check_whole
from chapters_code.outputs import device_of, logits

__all__ = [
    "RULES",
    "Call",
    "Field",
    "effective_radius",
    "effective_receptive_field",
    "receptive_field",
    "receptive_field_of_stack",
]

# A picture is surrounded by more picture until the field fits; one that does not fit into this has gone astray.
_LARGEST_SIDE = 4096
# What is halved eight times, or strided as much in all, repeats after so many pixels.
_LONGEST_PERIOD = 256


class Field(NamedTuple):
    """The receptive field of one output pixel; pairs are (rows, columns), in pixels of the input."""

    size: tuple[int, int]
    """Sides of the box around all touched pixels, as if the picture went on in all directions."""
    stride: tuple[float, float]
    """How far the box moves from one output pixel to the next."""
    start: tuple[int, int]
    """First row and column of the first output pixel's box; negative where it begins in the padding."""
    touched: Tensor
    """Bool, (H, W): the pixels of this very picture that can change the output pixel; none is missed."""


def receptive_field(
    module: Callable[[Tensor], Any],
    input_size: int | tuple[int, int],
    pixel: tuple[int, int] | None = None,
    *,
    in_channels: int | None = None,
    statistics: bool = True,
) -> Field:
    """Find the pixels that can change one pixel of a module's output.

    The module counts as it is in evaluation mode, and is left as it was.  Of several outputs the first counts, of a
    dictionary the entry "out".  An output without H and W, such as a classifier's scores, counts as one pixel.

    Args:
        module: A layer, a network, or a function of one picture.
        input_size: Side of the picture in pixels, or (H, W).
        pixel: Row and column of the output pixel; None means the central one.
        in_channels: Channels of the picture; None asks the module's first layer that says it, and takes 1 if none does.
        statistics: Count the means and variances that group, layer and instance norm take over the picture, which
            touch all of it; False takes them as given, as most published sizes do.

    Returns:
        `touched` is that of this picture, with its borders.  `size`, `stride` and `start` are those of an unlimited
        picture.  A module that always uses the whole picture (global pooling, group norm) has none of its own:
        then they are those of this picture.  The same holds for one that runs on this size alone.  Where a network
        doubles what it has halved, `size` is that of the chosen pixel and `stride` the mean step.

    Raises:
        ValueError: A setting is not legal, the module does not run on such a picture, or it calls an operator that has
            no rule in `RULES`.

    Example:
        >>> field = receptive_field(nn.Conv2d(1, 1, 3, stride=2, padding=1), (6, 8))
        >>> field.size, field.stride, field.start
        ((3, 3), (2, 2), (-1, -1))
    """
    size = check_size((input_size, input_size) if isinstance(input_size, int) else input_size, name="input_size")
    record = partial(_Tape, _Shapes(module, in_channels), statistics)
    tape = record(size)
    row, column = _pixel(pixel, tape.out_size)
    marks = tape.walk((row, column))
    numbers = _numbers_of_an_unlimited_picture(record, size, (row, column), marks.reduced)
    return Field(*(numbers or _numbers_of_this_picture(tape, marks)), marks.touched)


def receptive_field_of_stack(layers: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Sum up the field of layers that stand one after the other: 1 + Σ dilation·(kernel_size − 1)·stride before.

    Args:
        layers: (kernel_size, stride, dilation) of each layer, the first one first.

    Returns:
        Size and stride of the field in pixels, along one axis.  Equals `receptive_field` of these layers.

    Raises:
        ValueError: A layer is not three whole numbers of 1 or more.

    Example:
        >>> receptive_field_of_stack([(3, 1, 1), (3, 1, 2), (3, 1, 5)])
        (17, 1)
    """
    size = stride = 1
    for layer in layers:
        if not isinstance(layer, Sequence) or len(layer) != 3:
            raise ValueError(f"a layer is (kernel_size, stride, dilation), got {layer!r}")
        kernel, step, dilation = (check_whole("each number of a layer", number, 1) for number in layer)
        size += dilation * (kernel - 1) * stride
        stride *= step
    return size, stride


def effective_receptive_field(
    module: nn.Module, inputs: Tensor, pixel: tuple[int, int] | None = None, *, channel: int | None = None
) -> Tensor:
    """Measure how much each pixel of the picture changes one pixel of the output, with the weights as they are.

    The gradient of the output pixel (the sum of its channels) with respect to each input pixel, its magnitude summed
    over the input's channels and averaged over the pictures: Luo et al. (2016).  The module counts as it is in
    evaluation mode, and is left as it was.

    Args:
        module: A network that gives maps (N, C', H', W'); of several, the first, or the entry "out".
        inputs: Pictures, (N, C, H, W), floating point, on any device: random ones for the network by itself,
            photographs for its use.
        pixel: Row and column of the output pixel; None means the central one.
        channel: The output's channel, such as a class; None means the sum of all.

    Returns:
        (H, W), dtype and device of `inputs`: shares that add up to 1.  All zero if nothing changes the output (every
        ReLU on the way is off).

    Raises:
        ValueError: `inputs` or the output is not as above, or the pixel or the channel is not in the output.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() != 4 or not inputs.is_floating_point() or not inputs.numel():
        came = f"{inputs.dtype} {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
        raise ValueError(f"inputs must be pictures (N, C, H, W) of floating point, at least one; got {came}")
    network = copy.deepcopy(module).eval().requires_grad_(False)
    x = inputs.detach().clone().requires_grad_()
    with torch.enable_grad():
        maps = logits(network(x.to(device_of(network, x))))
        if maps.dim() != 4:
            raise ValueError(f"the module must give maps (N, C, H, W), got {tuple(maps.shape)}")
        row, column = _pixel(pixel, maps.shape[-2:])
        if channel is not None and not 0 <= channel < maps.shape[1]:
            raise ValueError(f"channel must be from 0 to {maps.shape[1] - 1}, got {channel}")
        chosen = maps[:, slice(None) if channel is None else channel, row, column]
        # Each picture of the batch changes only its own maps, so one call gives the gradients of all.
        (gradient,) = torch.autograd.grad(chosen.sum(), x)
    shares = gradient.abs().sum(dim=1).mean(dim=0)
    return shares / shares.sum().clamp_min(torch.finfo(shares.dtype).tiny)


def effective_radius(shares: Tensor, share: float = 0.9545) -> float:
    """Give the radius of the circle, round the centre of gravity, that holds a share of an effective field.

    Args:
        shares: (H, W), none negative: what `effective_receptive_field` returns.
        share: How much of it, in (0, 1].  95.45 % is two standard deviations on one axis; the
            circle that holds as much of a round bell has 2.49.

    Returns:
        The radius in pixels: half the width in which the network really looks.

    Raises:
        ValueError: `shares` is not as above or all zero, or `share` is not in (0, 1].

    Example:
        >>> effective_radius(torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]))
        1.0
    """
    if shares.dim() != 2 or not (shares >= 0).all() or not shares.isfinite().all() or not shares.sum() > 0:
        raise ValueError("shares must be (H, W), without NaN or negative numbers, and not all zero")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    shares = shares.detach().cpu().double()  # not every device has float64
    weights = shares / shares.sum()
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in shares.shape)
    row, column = (weights.sum(1) * rows).sum(), (weights.sum(0) * columns).sum()
    distance = torch.hypot(rows[:, None] - row, columns[None, :] - column).flatten()
    near_to_far = distance.argsort()
    held = weights.flatten()[near_to_far].cumsum(0)
    # The last sum is 1 up to rounding, so that a share of 1 needs a little slack.
    return distance[near_to_far][int((held < share - 1e-12).sum())].item()


# ---- 1. write down ------------------------------------------------------------------------------


class Call:
    """One operation on the tape, as its rule sees it: `call["stride"]` is the setting that PyTorch names so.

    Attributes:
        name: The operator, such as "aten.convolution".
        place: The module that called it, such as "layer1.0.conv1".
        statistics: Whether the means that a normalisation takes count.
        outside: A rule sets it when a marked pixel looked beyond the picture's border.
        reduced: A rule sets it to the number of pixels that went into one, if that may depend on the picture's size.
    """

    def __init__(self, operator: Any, settings: dict[str, Any], outputs: list[Any], place: str, tape: "_Tape") -> None:
        self.operator, self.settings, self.outputs, self.place, self.tape = operator, settings, outputs, place, tape
        self.name = str(operator.overloadpacket)
        self.statistics, self.outside, self.reduced = tape.statistics, False, 1

    def __getitem__(self, setting: str) -> Any:
        return self.settings[setting]

    def live(self) -> list[Tensor]:
        """List the inputs that depend on the picture, in order."""
        return [one for one in tree_leaves(self.settings) if isinstance(one, Tensor) and id(one) in self.tape.alive]

    def taps(self) -> Tensor:
        """Say which taps of a convolution's kernel count, bool (rows, columns)."""
        weight = self["weight"]
        if not self.tape.knows(weight):  # learned
            return torch.ones(weight.shape[-2:], dtype=torch.bool)
        return (self.tape.value(weight) != 0).any(dim=0).any(dim=0)


class _Shapes:
    """A copy of a module whose weights have shapes and no numbers, so that running it costs nothing."""

    def __init__(self, module: Callable, in_channels: int | None) -> None:
        if not callable(module):
            raise ValueError(f"module must be a torch.nn.Module or a function of one picture, got {module!r}")
        self.places = [getattr(module, "__name__", type(module).__name__)]  # where in the module we are
        self.module = module
        self.weights: dict[str, Tensor] = {}
        self.fixed: dict[int, Tensor] = {}  # the numbers of the buffers, by their shapes' id
        if isinstance(module, nn.Module):
            self.module = copy.deepcopy(module).eval().to("meta", torch.float32)
            self.weights = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
            buffers = zip(self.module.buffers(), module.buffers(), strict=True)
            self.fixed = {id(shape): buffer.to("cpu", torch.float32) for shape, buffer in buffers}
            for name, part in self.module.named_modules():
                place = f"{name} ({type(part).__name__})" if name else type(part).__name__
                part.register_forward_pre_hook(lambda *_, place=place: self.places.append(place))
                part.register_forward_hook(lambda *_: self.places.pop() and None)  # None leaves the output as it is
        self.in_channels = self._channels() if in_channels is None else check_whole("in_channels", in_channels, 1)

    def __call__(self, weights: dict[str, Tensor], x: Tensor) -> Any:
        return torch.func.functional_call(self.module, weights, x) if weights else self.module(x)

    def _channels(self) -> int:
        """Ask the layers, in order, how many channels they want."""
        for layer in self.module.modules() if isinstance(self.module, nn.Module) else ():
            for name in ("in_channels", "num_features", "num_channels"):
                if isinstance(getattr(layer, name, None), int):
                    return getattr(layer, name)
        return 1


class _Tape(TorchDispatchMode):
    """Every operation of one forward pass, in order."""

    def __init__(self, network: _Shapes, statistics: bool, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.statistics = network, statistics
        self.calls: list[Call] = []
        self.made: dict[int, Call] = {}  # by the tensor that came out
        self.values = dict(network.fixed)
        self.chance = torch.Generator().manual_seed(0)
        self.x = torch.empty(1, network.in_channels, *size, device="meta")
        self.alive = {id(self.x)}  # what depends on the picture
        outermost = network.places[0]
        try:
            with torch.no_grad(), self:
                # functionalize() turns what is written in place (x.relu_(), out[i] = y) into new tensors; it does so
                # for the weights, too, when they are arguments.
                self.out = logits(torch.func.functionalize(network)(network.weights, self.x))
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
            raise ValueError(
                f"{outermost} does not run on a picture of shape {tuple(self.x.shape)} (in_channels="
                f"{network.in_channels}; the engine gives shapes only, no numbers), at {network.places[-1]}: {error}"
            ) from error
        finally:
            del network.places[1:]
        if id(self.out) not in self.alive:
            raise ValueError(f"the output of {outermost} does not depend on the picture")
        self.out_size = tuple(self.out.shape[-2:]) if self.out.dim() == 4 else (1, 1)

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator._schema.is_mutable:
            raise ValueError(f"{operator} writes into a tensor in a way that cannot be followed")
        out = operator(*args, **(kwargs or {}))
        names = operator._schema.arguments
        settings = {one.name: one.default_value for one in names}
        settings |= dict(zip(settings, args, strict=False)) | (kwargs or {})
        call = Call(
            operator, settings, [out] if isinstance(out, Tensor) else list(out or ()), self.network.places[-1], self
        )
        tensors = [one for one in call.outputs if isinstance(one, Tensor)]
        self.made |= {id(one): call for one in tensors}
        # An operator that only asks a tensor for its shape makes a new one that depends on nothing.
        if call.live() and call.name not in _SHAPE_ONLY:
            self.alive |= {id(one) for one in tensors}
        self.calls.append(call)  # keeps the tensors, so that no two ever share an id
        return out

    def knows(self, tensor: Tensor) -> bool:
        """Say whether a weight's zeros can be known: it is fixed, or was computed on the way, and not from x."""
        return id(tensor) in self.values or (id(tensor) in self.made and id(tensor) not in self.alive)

    def value(self, tensor: Tensor) -> Tensor:
        """Compute a weight with its zeros; learned numbers stand in as any numbers above 0."""
        if id(tensor) not in self.values:
            if self.knows(tensor):
                call = self.made[id(tensor)]
                settings = tree_map(lambda one: self.value(one) if isinstance(one, Tensor) else one, call.settings)
                settings |= {"device": torch.device("cpu")} if "device" in settings else {}
                out = call.operator(**settings)
                out = [out] if isinstance(out, Tensor) else out
                self.values |= {id(one): number for one, number in zip(call.outputs, out, strict=True)}
            else:
                # Not all the same, so that no difference of two vanishes.
                self.values[id(tensor)] = torch.rand(tensor.shape, generator=self.chance) + 1
        return self.values[id(tensor)]

    def walk(self, first: tuple[int, int], block: tuple[int, int] = (1, 1)) -> "_Marks":
        """Mark output pixels, in all channels, and follow the marks back to the picture.

        Args:
            first: Row and column of the first one.
            block: How many rows and columns of them.
        """
        mask = torch.ones((1,) * self.out.dim(), dtype=torch.bool)
        if self.out.dim() == 4:
            mask = torch.zeros(1, 1, *self.out_size, dtype=torch.bool)
            mask[..., first[0] : first[0] + block[0], first[1] : first[1] + block[1]] = True
        marks = {id(self.out): mask}
        outside, reduced = False, 1
        for call in reversed(self.calls):
            masks = [marks.pop(id(out), None) for out in call.outputs]
            if call.name in _SHAPE_ONLY or all(mask is None for mask in masks):
                continue
            call.outside, call.reduced = False, 1
            for tensor, mask in _rule(call)(call, *masks):
                if id(tensor) in self.alive:
                    marks[id(tensor)] = marks[id(tensor)] | mask if id(tensor) in marks else mask
            outside, reduced = outside or call.outside, max(reduced, call.reduced)
        nothing = torch.zeros(1, 1, 1, 1, dtype=torch.bool)
        touched = marks.get(id(self.x), nothing).expand(self.x.shape)[0].any(dim=0)
        return _Marks(touched, outside, reduced)


class _Marks(NamedTuple):
    """Where a walk came out."""

    touched: Tensor  # bool, (H, W)
    outside: bool  # the picture's border cut the field
    reduced: int  # pixels that went into one, at most

    def box(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the first touched row and column, and the ones after the last; all 0 if nothing is touched."""
        rows, columns = (self.touched.any(dim=axis).nonzero().flatten().tolist() or [0, -1] for axis in (1, 0))
        return (rows[0], columns[0]), (rows[-1] + 1, columns[-1] + 1)

    def size(self) -> tuple[int, int]:
        begin, end = self.box()
        return end[0] - begin[0], end[1] - begin[1]

    def cut(self) -> bool:
        """Say whether the border may have cut the field."""
        rim = [self.touched[[0, -1]], self.touched[:, [0, -1]]]
        return self.outside or any(bool(edge.any()) for edge in rim)


def _pixel(pixel: tuple[int, int] | None, size: Sequence[int]) -> tuple[int, int]:
    """Take the central pixel if none is chosen, and check the one that is."""
    row, column = (side // 2 for side in size) if pixel is None else check_size(pixel, 0, "pixel")
    if row >= size[0] or column >= size[1]:
        raise ValueError(f"pixel must lie in the output, which is {size[0]} × {size[1]} pixels, got {(row, column)}")
    return row, column


# ---- 2. walk back: the rules --------------------------------------------------------------------

Rule = Callable[..., Iterator[tuple[Tensor, Tensor]]]

RULES: dict[str, Rule] = {}
"""How to walk back through an operator, by its name, such as "aten.convolution".

A rule is a generator `rule(call, *masks)`.  `call` is a `Call`; `masks` has one bool mask per output of the operator,
of the output's shape or with axes of length 1 where all is alike, or None for an output that no marked pixel used.  It
yields (input tensor, mask of its marked pixels) for each input that depends on the picture.
"""

# Operators that ask a tensor for its shape and not for its numbers.
_SHAPE_ONLY = {
    f"aten.{name}"
    for name in ("empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like")
}


def _rule(call: Call) -> Rule:
    if call.name in RULES:
        return RULES[call.name]
    if torch.Tag.pointwise in call.operator.tags:  # PyTorch itself says so
        return _pointwise
    raise ValueError(
        f"{call.place} calls {call.name}, for which there is no rule: set receptive_field.RULES[{call.name!r}] to a"
        " function (call, *masks) that yields (input, mask of the pixels it looks at)"
    )


def _for(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES.update({f"aten.{name}": rule for name in names})
        return rule

    return register


@_for(
    "_prelu_kernel", "_to_copy", "alias", "clone", "detach", "hardswish", "log_sigmoid_forward", "native_dropout",
)  # fmt: skip
def _pointwise(call: Call, mask: Tensor, *others: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Each pixel looks at the pixel in its own place; an input that was broadcast, at all its copies."""
    for tensor in call.live():
        yield tensor, _unbroadcast(mask, tensor)


@_for("convolution")
def _convolution(call: Call, mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each output pixel looks at its window, in all channels of its group."""
    x, weight, groups = call["input"], call["weight"], call["groups"]
    if weight.dim() != 4:
        raise ValueError(f"{call.place} is a convolution in {weight.dim() - 2}-D; only 2-D is followed")
    if mask.shape[1] > 1:
        mask = mask.unflatten(1, (groups, -1)).any(dim=2)
        mask = mask.repeat_interleave(x.shape[1] // groups, dim=1) if groups > 1 else mask
    slide = _slide_transposed if call["transposed"] else _slide
    yield x, slide(call, mask, x, call.taps(), call["stride"], call["padding"], call["dilation"])
    yield weight, torch.ones(1, 1, 1, 1, dtype=torch.bool)  # used if the weights are computed from the picture


@_for("max_pool2d_with_indices", "avg_pool2d")
def _pool(call: Call, *masks: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Each output pixel looks at its window, in its own channel; so does the place of a maximum."""
    kernel = _two(call["kernel_size"])
    stride, padding = _two(call["stride"] or kernel), _two(call["padding"])
    dilation = _two(call.settings.get("dilation", 1))
    yield call["self"], _slide(call, _any(masks), call["self"], torch.ones(*kernel), stride, padding, dilation)


@_for(
    "_adaptive_avg_pool2d",
    "_upsample_bicubic2d_aa",
    "_upsample_bilinear2d_aa",
    "_upsample_nearest_exact2d",
    "adaptive_max_pool2d",
    "upsample_bicubic2d",
    "upsample_bilinear2d",
    "upsample_nearest2d",
)
def _resize(call: Call, *masks: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Ask the operator itself, one axis at a time: which single pixels, one by one, change which pixels of a line?"""
    x = call["self"] if "self" in call.settings else call["input"]
    rows, columns = _line(call, x.shape[-2], -2), _line(call, x.shape[-1], -1)
    touched = (rows @ _any(masks).float() @ columns.mT) > 0
    yield x, touched
    call.outside = bool(touched[..., [0, -1], :].any() or touched[..., [0, -1]].any())
    if "adaptive" in call.name:
        call.reduced = int(rows.sum(0).max() * columns.sum(0).max())


@_for("col2im")
def _fold(call: Call, mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """A pixel is the sum of all windows that cover it."""
    mask = mask.expand(call.outputs[0].shape).float()
    x, kernel, settings = call["self"], call["kernel_size"], [call[name] for name in ("dilation", "padding", "stride")]
    yield x, nn.functional.unfold(mask, kernel, *settings) > 0


@_for("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "logsumexp", "prod", "linalg_vector_norm")
def _reduction(call: Call, *masks: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """One number out of many: it looked at all of them."""
    (x,) = call.live()
    axes = call.settings.get("dim")
    axes = range(x.dim()) if axes is None or axes == [] else [axes] if isinstance(axes, int) else axes
    axes = sorted(axis % x.dim() for axis in axes) if x.dim() else []
    mask = _any(masks)
    if not call.settings.get("keepdim", False):
        for axis in axes:
            mask = mask.unsqueeze(axis)
    call.reduced = math.prod(x.shape[axis] for axis in axes)
    yield x, mask


@_for("_softmax", "_log_softmax")
def _softmax(call: Call, mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each number is divided by a sum along one axis."""
    (x,) = call.live()
    call.reduced = x.shape[call["dim"]]
    yield x, mask.any(dim=call["dim"], keepdim=True)


@_for("mm", "bmm", "addmm", "baddbmm")
def _matrix_product(call: Call, mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """A number looks at its whole row on the left, and at its whole column on the right."""
    *added, left, right = (one for one in call.settings.values() if isinstance(one, Tensor))
    call.reduced = left.shape[-1]
    yield left, mask.any(dim=-1, keepdim=True)
    yield right, mask.any(dim=-2, keepdim=True)
    for one in added:
        yield one, _unbroadcast(mask, one)


@_for("native_batch_norm", "_native_batch_norm_legit", "native_group_norm", "native_layer_norm")
def _normalisation(call: Call, mask: Tensor, *saved: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Each pixel looks at its own place, and at all that its mean was taken over."""
    x = call["input"]
    if call.statistics and call.name == "aten.native_group_norm":
        mask = mask.expand(x.shape).unflatten(1, (call["group"], -1))
        call.reduced = math.prod(mask.shape[2:])
        within = mask.any(dim=2, keepdim=True).any(dim=3, keepdim=True).any(dim=4, keepdim=True)
        mask = within.expand(-1, -1, mask.shape[2], -1, -1).flatten(1, 2)
    elif call.statistics and call.name == "aten.native_layer_norm":
        axes = range(x.dim() - len(call["normalized_shape"]), x.dim())
        call.reduced = math.prod(x.shape[axis] for axis in axes)
        for axis in axes:
            mask = mask.any(dim=axis, keepdim=True)
    elif call.statistics and call.settings.get("training", True):
        call.reduced = x.numel() // x.shape[1]
        for axis in (0, *range(2, x.dim())):
            mask = mask.any(dim=axis, keepdim=True)
    yield x, mask


@_for("cat")
def _cat(call: Call, mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut the mask into the pieces that were put together."""
    axis, begin = call["dim"], 0
    for tensor in call["tensors"]:
        side = tensor.shape[axis]
        yield tensor, mask if mask.shape[axis] == 1 else mask.narrow(axis, begin, side)
        begin += side


@_for("constant_pad_nd")
def _pad(call: Call, mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut the padding off again."""
    x = call["self"]
    padded = len(call["pad"]) // 2
    mask = mask.expand(*mask.shape[:-padded], *call.outputs[0].shape[-padded:])
    inner = nn.functional.pad(mask, [-side for side in call["pad"]])
    call.outside = bool(inner.sum() < mask.sum())
    yield x, inner


@_for(
    "_unsafe_view", "channel_shuffle", "copy", "diagonal", "expand", "flip", "im2col", "permute",
    "pixel_shuffle", "pixel_unshuffle", "reflection_pad2d", "repeat", "replication_pad2d", "roll", "select",
    "select_scatter", "slice", "slice_scatter", "split", "split_with_sizes", "squeeze", "stack", "t", "transpose",
    "unbind", "unfold", "unsqueeze", "view",
)  # fmt: skip
def _movement(call: Call, *masks: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Numbers are only moved, or left out: number the places, move the numbers, and see where they have come from."""
    live = {id(one): one for one in call.live()}
    ends = dict(zip(live, itertools.accumulate(one.numel() for one in live.values()), strict=True))

    def numbered(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        # float64, as not every operator takes integers; exact up to 2^53.  0 stands for what is not from the picture.
        if id(one) not in live:
            return torch.zeros(one.shape, dtype=torch.float64)
        end = ends[id(one)]
        return torch.arange(end - one.numel() + 1, end + 1, dtype=torch.float64).reshape(one.shape)

    moved = call.operator(**tree_map(numbered, call.settings))
    marked = torch.zeros(max(ends.values()) + 1, dtype=torch.bool)
    for places, mask in zip([moved] if isinstance(moved, Tensor) else moved, masks, strict=True):
        if mask is not None:
            marked[places[mask.expand(places.shape)].long()] = True
    call.outside = bool(marked[0]) and call.name == "aten.im2col"
    for which, end in ends.items():
        tensor = live[which]
        yield tensor, marked[end - tensor.numel() + 1 : end + 1].reshape(tensor.shape)


def _slide(
    call: Call, mask: Tensor, x: Tensor, taps: Tensor, stride: Sequence, padding: Sequence, dilation: Sequence
) -> Tensor:
    """Mark what the windows of the marked pixels looked at: each tap copies the mask to where it was."""
    size, out = x.shape[-2:], call.outputs[0].shape[-2:]
    mask = mask.expand(*mask.shape[:-2], *out)
    # As large as the padded input, or as far as the last window reaches (with ceil_mode it may hang over).
    reach = [(out[i] - 1) * stride[i] + dilation[i] * (taps.shape[i] - 1) + 1 for i in (0, 1)]
    looked = mask.new_zeros(*mask.shape[:-2], *(max(reach[i], size[i] + 2 * padding[i]) for i in (0, 1)))
    for tap in taps.nonzero().tolist():
        looked[_places(tap, out, stride, dilation)] |= mask
    inner = looked[..., padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]
    call.outside = looked.shape != inner.shape and bool(inner.sum() < looked.sum())
    return inner


def _slide_transposed(
    call: Call, mask: Tensor, x: Tensor, taps: Tensor, stride: Sequence, padding: Sequence, dilation: Sequence
) -> Tensor:
    """The same picture turned round: an input pixel is looked at if one of its taps writes into a marked pixel."""
    size, out = x.shape[-2:], call.outputs[0].shape[-2:]
    mask = mask.expand(*mask.shape[:-2], *out)
    # Some pixels more on each side: would they be looked at, too, if the picture went on?
    more = [-(-(dilation[i] * (taps.shape[i] - 1) + padding[i]) // stride[i]) + 1 for i in (0, 1)]
    inputs = [size[i] + 2 * more[i] for i in (0, 1)]
    before = [more[i] * stride[i] + padding[i] for i in (0, 1)]
    reach = [(inputs[i] - 1) * stride[i] + dilation[i] * (taps.shape[i] - 1) + 1 for i in (0, 1)]
    written = mask.new_zeros(*mask.shape[:-2], *(max(reach[i], before[i] + out[i]) for i in (0, 1)))
    written[..., before[0] : before[0] + out[0], before[1] : before[1] + out[1]] = mask
    looked = mask.new_zeros(*mask.shape[:-2], *inputs)
    for tap in taps.nonzero().tolist():
        looked |= written[_places(tap, inputs, stride, dilation)]
    inner = looked[..., more[0] : more[0] + size[0], more[1] : more[1] + size[1]]
    call.outside = bool(inner.sum() < looked.sum())
    return inner


def _places(tap: list[int], count: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple:
    """Say where one tap is in all windows."""
    first = [tap[i] * dilation[i] for i in (0, 1)]
    return (..., *(slice(first[i], first[i] + (count[i] - 1) * stride[i] + 1, stride[i]) for i in (0, 1)))


def _line(call: Call, side: int, axis: int) -> Tensor:
    """Send one bright pixel after the other through a resizing operator: (side of the input, side of the output)."""
    lines = torch.eye(side, dtype=torch.float64)
    lines = lines[:, None, :, None] if axis == -2 else lines[:, None, None, :]
    settings = dict(call.settings)
    settings["self" if "self" in settings else "input"] = lines
    output_size = [1, 1]
    output_size[axis] = call.outputs[0].shape[axis]
    settings["output_size"] = output_size
    other = "scales_w" if axis == -2 else "scales_h"
    if other in settings:
        settings[other] = None
    out = call.operator(**settings)
    out = out if isinstance(out, Tensor) else out[0]
    # A weight of 1e-16 is a zero that was rounded.
    return (out.abs().flatten(1) > 1e-9).float()


def _two(setting: int | Sequence[int]) -> list[int]:
    """PyTorch's operators take one number, a list of one, or a list of two."""
    both = [setting] if isinstance(setting, int) else list(setting)
    return both * 2 if len(both) == 1 else both


def _unbroadcast(mask: Tensor, tensor: Tensor) -> Tensor:
    """Bring a mask to the shape of an input that was broadcast."""
    while mask.dim() > tensor.dim():
        mask = mask.any(dim=0)
    for axis in range(-mask.dim(), 0):
        if tensor.shape[axis] == 1:
            mask = mask.any(dim=axis, keepdim=True)
    return mask


def _any(masks: Sequence[Tensor | None]) -> Tensor:
    first, *others = [mask for mask in masks if mask is not None]
    for mask in others:
        first = first | mask
    return first


# ---- 3. size, stride and start -------------------------------------------------------------------


def _numbers_of_an_unlimited_picture(
    record: Callable[[tuple[int, int]], _Tape],
    size: tuple[int, int],
    pixel: tuple[int, int],
    reduced: int,
    period: int = 32,
) -> tuple | None:
    """Surround the picture by more picture, until no border cuts the field; None if the module always uses all."""
    # Sides that can be halved five times, or more for a longer period, so that doubling leads back to each size on
    # the way.
    block = [-(-side // period) * period for side in size]
    try:
        once, twice = (record((times * block[0], times * block[1])).out_size for times in (1, 2))
    except ValueError:
        return None  # it runs on pictures of the given size only
    count = (twice[0] - once[0], twice[1] - once[1])  # output pixels of a block
    if 0 in count:
        return None  # its output has always the same size
    margin = max(block)  # of more picture, on each side
    while 2 * margin <= _LARGEST_SIDE:
        around = [-(-margin // side) for side in block]  # blocks before the one that is looked at
        tape = record(tuple((2 * around[i] + 2) * block[i] for i in (0, 1)))
        first = (around[0] * count[0], around[1] * count[1])
        marks = tape.walk((first[0] + pixel[0], first[1] + pixel[1]))
        if marks.reduced > reduced:
            return None  # the more picture there is, the more it takes into one number
        if not marks.cut():
            # Two neighbouring blocks: where the one begins to look, and where the other does.
            near, far = (tape.walk((first[0] + k * count[0], first[1] + k * count[1]), count) for k in (0, 1))
            if not (near.cut() or far.cut()):
                moved = tuple(far.box()[0][i] - near.box()[0][i] for i in (0, 1))
                if moved != tuple(block) and period < _LONGEST_PERIOD:
                    before = tape.walk((first[0] - count[0], first[1] - count[1]), count)
                    if moved != tuple(near.box()[0][i] - before.box()[0][i] for i in (0, 1)):
                        # The way down is longer than a block: it moves on now more, now less.
                        return _numbers_of_an_unlimited_picture(record, size, pixel, reduced, 2 * period)
                stride = _step(near.box()[0], far.box()[0], count)
                return marks.size(), stride, tuple(round(near.box()[0][i] - first[i] * stride[i]) for i in (0, 1))
        margin *= 2
    if marks.touched.all():
        return None
    raise ValueError(f"the field is cut even in a picture of {_LARGEST_SIDE} pixels; its size cannot be told")


def _numbers_of_this_picture(tape: _Tape, marks: _Marks) -> tuple:
    near, last = tape.walk((0, 0)).box()[0], tuple(side - 1 for side in tape.out_size)
    return marks.size(), _step(near, tape.walk(last).box()[0], last), near


def _step(near: tuple[int, int], far: tuple[int, int], count: tuple[int, int]) -> tuple[float, float]:
    steps = [(far[i] - near[i]) / max(1, count[i]) for i in (0, 1)]
    return tuple(int(step) if step.is_integer() else step for step in steps)

"""Walk back: for each operator, which pixels of its input did the marked pixels of its output look at?

    mask (1, C', H', W') of an operation's output  --rule-->  mask (1, C, H, W) of its input

Marks are kept per channel, too, as grouped convolutions and `space_to_depth` need it; an axis of length 1 in a mask
means "all alike".
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map

from chapters_code.receptive_field.tape import Call

__all__ = ["RULES", "rule_of"]

Marked = Iterator[tuple[Tensor, Tensor]]
Rule = Callable[..., Marked]

RULES: dict[str, Rule] = {}
"""How to walk back through an operator, by its name, such as "aten.convolution".

A rule is a generator `rule(call, *masks)`.  `call` is a `Call`; `masks` has one bool mask per output of the operator,
of the output's shape or with axes of length 1 where all is alike, or None for an output that no marked pixel used.  It
yields (input tensor, mask of its marked pixels) for each input that depends on the picture.
"""


def rule_of(call: Call) -> Rule:
    """Find the rule for an operation.

    Raises:
        ValueError: There is none; the message says how to add it.
    """
    if call.name in RULES:
        return RULES[call.name]
    if torch.Tag.pointwise in call.operator.tags:  # PyTorch itself says so
        return _pointwise
    raise ValueError(
        f"{call.place} calls {call.name}, for which there is no rule: set receptive_field.RULES[{call.name!r}] to a"
        " function (call, *masks) that yields (input, mask of the pixels it looks at)"
    )


def _for(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule into `RULES` for the operators of these names."""

    def enter(rule: Rule) -> Rule:
        RULES.update({f"aten.{name}": rule for name in names})
        return rule

    return enter


@_for(
    "_prelu_kernel", "_to_copy", "alias", "clone", "detach", "hardswish", "log_sigmoid_forward", "native_dropout",
)  # fmt: skip
def _pointwise(call: Call, mask: Tensor, *others: Tensor | None) -> Marked:
    """Each pixel looks at the pixel in its own place; an input that was broadcast, at all its copies."""
    for tensor in call.live():
        yield tensor, _unbroadcast(mask, tensor)


# ---- windows -------------------------------------------------------------------------------------


@_for("convolution")
def _convolution(call: Call, mask: Tensor) -> Marked:
    """Each output pixel looks at its window, in all channels of its group."""
    x, weight, groups = call["input"], call["weight"], call["groups"]
    if weight.dim() != 4:
        raise ValueError(f"{call.place} is a convolution in {weight.dim() - 2}-D; only 2-D is followed")
    if mask.shape[1] > 1:
        mask = mask.unflatten(1, (groups, -1)).any(dim=2)
    if mask.shape[1] > 1:  # of several groups each has its own mask; one stands for all channels
        mask = mask.repeat_interleave(x.shape[1] // groups, dim=1)
    slide = _slide_transposed if call["transposed"] else _slide
    yield x, slide(call, mask, x, call.taps(), call["stride"], call["padding"], call["dilation"])
    yield weight, torch.ones(1, 1, 1, 1, dtype=torch.bool)  # used if the weights are computed from the picture


@_for("max_pool2d_with_indices", "avg_pool2d")
def _pool(call: Call, *masks: Tensor | None) -> Marked:
    """Each output pixel looks at its window, in its own channel; so does the place of a maximum."""
    kernel, padding = _two(call["kernel_size"]), _two(call["padding"])
    stride, dilation = _two(call["stride"] or kernel), _two(call.settings.get("dilation", 1))
    yield call["self"], _slide(call, _any(masks), call["self"], torch.ones(kernel), stride, padding, dilation)


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
    return _inside(call, looked, padding, size)


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
    return _inside(call, looked, more, size)


def _places(tap: list[int], count: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple:
    """Say where one tap is in all windows."""
    first = [tap[i] * dilation[i] for i in (0, 1)]
    return (..., *(slice(first[i], first[i] + (count[i] - 1) * stride[i] + 1, stride[i]) for i in (0, 1)))


def _inside(call: Call, looked: Tensor, before: Sequence[int], size: Sequence[int]) -> Tensor:
    """Cut off what lies before and behind the picture, and say on the call whether there were marks."""
    inner = looked[..., before[0] : before[0] + size[0], before[1] : before[1] + size[1]]
    call.outside = inner.shape != looked.shape and bool(inner.count_nonzero() < looked.count_nonzero())
    return inner


@_for("col2im")
def _fold(call: Call, mask: Tensor) -> Marked:
    """A pixel is the sum of all windows that cover it."""
    mask = mask.expand(call.outputs[0].shape).float()
    settings = {name: call[name] for name in ("kernel_size", "dilation", "padding", "stride")}
    yield call["self"], functional.unfold(mask, **settings) > 0


@_for(
    "_adaptive_avg_pool2d", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa", "_upsample_nearest_exact2d",
    "adaptive_max_pool2d", "upsample_bicubic2d", "upsample_bilinear2d", "upsample_nearest2d",
)  # fmt: skip
def _resize(call: Call, *masks: Tensor | None) -> Marked:
    """Ask the operator itself, one axis at a time: which single pixels, one by one, change which pixels of a line?"""
    rows, columns = _line(call, -2), _line(call, -1)
    looked = (rows @ _any(masks).float() @ columns.mT) > 0
    call.outside = bool(looked[..., [0, -1], :].any() or looked[..., [0, -1]].any())
    if "adaptive" in call.name:
        call.reduced = int(rows.sum(0).max() * columns.sum(0).max())
    (x,) = call.live()
    yield x, looked


def _line(call: Call, axis: int) -> Tensor:
    """Send one bright pixel after the other through a resizing operator: (side of the input, side of the output)."""
    other, others_scale = (-1, "scales_w") if axis == -2 else (-2, "scales_h")
    settings, output_size = dict(call.settings), [1, 1]
    output_size[axis] = call.outputs[0].shape[axis]
    name = "self" if "self" in settings else "input"
    lines = torch.eye(settings[name].shape[axis], dtype=torch.float64)
    settings |= {name: lines[:, None].unsqueeze(other), "output_size": output_size}
    if others_scale in settings:
        settings[others_scale] = None
    out = tree_leaves(call.operator(**settings))[0]
    # A weight of 1e-16 is a zero that was rounded.
    return (out.abs().flatten(1) > 1e-9).float()


# ---- many numbers into one -----------------------------------------------------------------------


@_for("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "logsumexp", "prod", "linalg_vector_norm")
def _reduction(call: Call, *masks: Tensor | None) -> Marked:
    """One number out of many: it looked at all of them."""
    (x,) = call.live()
    axes = call.settings.get("dim")
    if isinstance(axes, int):
        axes = [axes]
    # No axes means all of them; a single number has none.
    axes = sorted(axis % x.dim() for axis in axes or range(x.dim())) if x.dim() else []
    mask = _any(masks)
    if not call.settings.get("keepdim", False):
        for axis in axes:
            mask = mask.unsqueeze(axis)
    call.reduced = math.prod(x.shape[axis] for axis in axes)
    yield x, mask


@_for("_softmax", "_log_softmax")
def _softmax(call: Call, mask: Tensor) -> Marked:
    """Each number is divided by a sum along one axis."""
    (x,) = call.live()
    call.reduced = x.shape[call["dim"]]
    yield x, mask.any(dim=call["dim"], keepdim=True)


@_for("mm", "bmm", "addmm", "baddbmm")
def _matrix_product(call: Call, mask: Tensor) -> Marked:
    """A number looks at its whole row on the left, and at its whole column on the right."""
    *added, left, right = (one for one in call.settings.values() if isinstance(one, Tensor))
    call.reduced = left.shape[-1]
    yield left, mask.any(dim=-1, keepdim=True)
    yield right, mask.any(dim=-2, keepdim=True)
    for one in added:
        yield one, _unbroadcast(mask, one)


@_for("native_batch_norm", "_native_batch_norm_legit", "native_group_norm", "native_layer_norm")
def _normalisation(call: Call, mask: Tensor, *saved: Tensor | None) -> Marked:
    """Each pixel looks at its own place, and at all that its mean was taken over."""
    x, per_group = call["input"], 1
    if not call.statistics:
        axes = []
    elif call.name == "aten.native_layer_norm":
        axes = range(x.dim() - len(call["normalized_shape"]), x.dim())
    elif call.name == "aten.native_group_norm":
        # One mean for all channels of a group.
        per_group = x.shape[1] // call["group"]
        mask = mask.expand(-1, x.shape[1], *mask.shape[2:]).unflatten(1, (-1, per_group)).any(dim=2)
        mask = mask.repeat_interleave(per_group, dim=1)
        axes = range(2, x.dim())
    else:
        axes = [0, *range(2, x.dim())] if call.settings.get("training", True) else []
    call.reduced = per_group * math.prod(x.shape[axis] for axis in axes)
    yield x, mask.any(dim=tuple(axes), keepdim=True) if axes else mask


# ---- numbers that are only moved -----------------------------------------------------------------


@_for("cat")
def _cat(call: Call, mask: Tensor) -> Marked:
    """Cut the mask into the pieces that were put together."""
    axis, begin = call["dim"], 0
    for tensor in call["tensors"]:
        side = tensor.shape[axis]
        yield tensor, mask if mask.shape[axis] == 1 else mask.narrow(axis, begin, side)
        begin += side


@_for("constant_pad_nd")
def _pad(call: Call, mask: Tensor) -> Marked:
    """Cut the padding off again."""
    padded = len(call["pad"]) // 2
    mask = mask.expand(*mask.shape[:-padded], *call.outputs[0].shape[-padded:])
    inner = functional.pad(mask, [-side for side in call["pad"]])
    call.outside = bool(inner.count_nonzero() < mask.count_nonzero())
    yield call["self"], inner


@_for(
    "_unsafe_view", "channel_shuffle", "copy", "diagonal", "expand", "flip", "im2col", "permute",
    "pixel_shuffle", "pixel_unshuffle", "reflection_pad2d", "repeat", "replication_pad2d", "roll", "select",
    "select_scatter", "slice", "slice_scatter", "split", "split_with_sizes", "squeeze", "stack", "t", "transpose",
    "unbind", "unfold", "unsqueeze", "view",
)  # fmt: skip
def _movement(call: Call, *masks: Tensor | None) -> Marked:
    """Number the places, move the numbers, and see where they have come from."""
    inputs = list({id(one): one for one in call.live()}.values())  # each once
    lengths = [one.numel() for one in inputs]
    # From 1 on, as 0 stands for what is not from the picture.  float64, as not every operator takes integers; exact up
    # to 2^53.
    places = torch.arange(1, 1 + sum(lengths), dtype=torch.float64).split(lengths)
    numbered = {id(one): place.reshape(one.shape) for one, place in zip(inputs, places, strict=True)}

    def number(one: Any) -> Any:
        if isinstance(one, Tensor):
            return numbered[id(one)] if id(one) in numbered else torch.zeros(one.shape, dtype=torch.float64)
        return one

    moved = tree_leaves(call.operator(**tree_map(number, call.settings)))
    marked = torch.zeros(1 + sum(lengths), dtype=torch.bool)
    for come_from, mask in zip(moved, masks, strict=True):
        if mask is not None:
            marked[come_from[mask.expand(come_from.shape)].long()] = True
    call.outside = call.name == "aten.im2col" and bool(marked[0])
    for tensor, piece in zip(inputs, marked[1:].split(lengths), strict=True):
        yield tensor, piece.reshape(tensor.shape)


# ---- masks ---------------------------------------------------------------------------------------


def _two(setting: int | Sequence[int]) -> list[int]:
    """PyTorch's operators take one number, a list of one, or a list of two."""
    both = [setting] if isinstance(setting, int) else list(setting)
    return both * 2 if len(both) == 1 else both


def _any(masks: Sequence[Tensor | None]) -> Tensor:
    """Join the masks of several outputs that come from the same pixels."""
    return reduce(torch.logical_or, [mask for mask in masks if mask is not None])


def _unbroadcast(mask: Tensor, tensor: Tensor) -> Tensor:
    """Bring a mask to the shape of an input that was broadcast."""
    while mask.dim() > tensor.dim():
        mask = mask.any(dim=0)
    for axis in range(-mask.dim(), 0):
        if tensor.shape[axis] == 1:
            mask = mask.any(dim=axis, keepdim=True)
    return mask

"""Variants of Chapter 09."""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code import u2net
from chapters_code.exercises import u2net as original
from chapters_code.exercises.checking import Call, Exercise, all_pairs, compare, whole
from classroom.variants import Variant

__all__ = ["VARIANTS"]


# ---- 9.1b: windows of three ---------------------------------------------------------------------


def _check_thirds(answer):
    def trusted(height: int, rows: int, columns: int) -> tuple[tuple[int, int], ...]:
        x = torch.empty(1, rows, columns, device="meta")
        sizes = [(rows, columns)]
        for _ in range(height - 2):
            x = functional.max_pool2d(x, 3, stride=3, ceil_mode=True)
            sizes.append(tuple(x.shape[-2:]))
        return (*sizes, sizes[-1])

    calls = [Call.of(*one) for one in product((2, 3, 4, 7), (1, 5, 33), (1, 8, 47))]
    calls += [Call.of(whole(2, 9), whole(1, 700), whole(1, 700)) for _ in range(6)]
    compare(answer, trusted, calls)


def thirds(height, rows, columns):
    """There are height − 2 poolings, and each divides by three, rounded up; the bottom keeps the size above it."""
    sizes = [(rows, columns)]
    for _ in range(height - 2):
        rows, columns = (rows + 2) // 3, (columns + 2) // 3
        sizes.append((rows, columns))
    return [*sizes, sizes[-1]]


# ---- 9.2b: a block that adds --------------------------------------------------------------------


def _check_parameters_of_adding(answer):
    def trusted(height: int, in_channels: int, mid_channels: int, out_channels: int) -> int:
        down = [out_channels, *[mid_channels] * (height - 1)]
        pairs = [(in_channels, out_channels), *((given, mid_channels) for given in down)]
        pairs += [(mid_channels, wanted) for wanted in down[:-1]]
        parts = nn.ModuleList()
        for given, wanted in pairs:
            parts.append(nn.Conv2d(given, wanted, 3, bias=False, device="meta"))
            parts.append(nn.BatchNorm2d(wanted, device="meta"))
        return sum(one.numel() for one in parts.parameters())

    channels = ((1, 1, 1), (1, 2, 3), (3, 1, 2), (2, 3, 1), (3, 16, 64), (64, 32, 128), (1024, 128, 256))
    calls = [Call.of(height, *one) for height, one in product((2, 3, 4, 7), channels)]
    calls += [Call.of(whole(2, 12), whole(1, 99), whole(1, 99), whole(1, 99)) for _ in range(6)]
    compare(answer, trusted, calls)


def parameters_of_adding(height, in_channels, mid_channels, out_channels):
    """A convolution from a to b channels now has 9ab weights, and 2b numbers of its normalisation. On the way up each
    one reads mid channels, for adding leaves as many as there were. A step of height costs 18 mid² + 4 mid.
    """

    def one(given, wanted):
        return 9 * given * wanted + 2 * wanted

    outside = one(in_channels, out_channels) + one(out_channels, mid_channels) + one(mid_channels, out_channels)
    return outside + (2 * height - 3) * one(mid_channels, mid_channels)


# ---- 9.3b: the other way round ------------------------------------------------------------------


def _check_smallest_side(answer):
    def trusted(height: int, least: int) -> int:
        side = least
        while original._sizes(height, side, side)[-1][0] < least:
            side += 1
        return side

    calls = [Call.of(height, least) for height, least in product((2, 3, 4, 5, 7), (2, 3, 5))]
    calls += [Call.of(whole(2, 7), whole(2, 9)) for _ in range(6)]
    compare(answer, trusted, calls)


def smallest_side(height, least):
    """Halved k times and rounded up, a side is at least `least` if the side before was more than 2^k · (least − 1)."""
    return 2 ** (height - 2) * (least - 1) + 1


# ---- 9.4b: memory -------------------------------------------------------------------------------


def _check_numbers_kept(answer):
    def trusted(height: int, channels: tuple[int, int, int], rows: int, columns: int) -> int:
        sizes = original._sizes(height, rows, columns)
        return sum(
            wanted * sizes[depth][0] * sizes[depth][1] for _, wanted, depth in original._convolutions(height, *channels)
        )

    sizes = ((1, 1), (4, 6), (5, 3), (16, 24), (33, 47))
    calls = [Call.of(*one[:2], *one[2]) for one in all_pairs((2, 3, 4, 7), ((1, 1, 1), (1, 2, 3), (3, 16, 64)), sizes)]
    drawn = ((whole(2, 9), (whole(1, 50), whole(1, 50), whole(1, 50))) for _ in range(6))
    calls += [Call.of(*one, whole(1, 300), whole(1, 300)) for one in drawn]
    compare(answer, trusted, calls)


def numbers_kept(height, channels, rows, columns):
    """At the top there are three results: first and up[0] with `out` channels, down[0] with `mid`. Each map below has
    two of `mid` channels, and the bottom is one more on the smallest. So most of the memory is at the top, too.
    """
    _, mid, out = channels
    total = rows * columns * (2 * out + mid)
    for _ in range(height - 2):
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        total += 2 * mid * rows * columns
    return total + mid * rows * columns


# ---- 9.5b: the large U --------------------------------------------------------------------------


def _settled_nest(in_channels: int, *outs: int) -> u2net.U2Net:
    """A small U²-Net of two or more stages, in evaluation mode, with kernels and normalisations that do something."""
    encoder = [u2net.Stage(2 + (depth == 0), 2, out) for depth, out in enumerate(outs)]
    decoder = [u2net.Stage(2, 2, out + 1) for out in outs[:-1]]
    nest = u2net.U2Net(encoder, decoder, in_channels, num_classes=2).eval()
    for module in nest.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.bias, 0.1, 0.5)
    return nest


def _check_nest_forward(answer):
    def trusted(nest: u2net.U2Net, x: Tensor) -> tuple[Tensor, ...]:
        return nest(x)

    some = (((1, 1, 4, 6), (2, 3)), ((1, 1, 5, 3), (3, 2, 4)), ((2, 3, 9, 14), (3, 2, 4)))
    calls = [Call.of(_settled_nest(shape[1], *outs), torch.randn(*shape)) for shape, outs in some]
    with torch.no_grad():
        compare(answer, trusted, calls, autograd=False)


def nest_forward(nest, x):
    """The large U is walked as a small one is, with a block in the place of each convolution; and each map on the way
    up, the lowest included, also goes to a head.
    """
    picture, kept = x, []
    for depth, block in enumerate(nest.encoder):
        x = block(functional.max_pool2d(x, 2, ceil_mode=True) if depth else x)
        kept.append(x)
    maps = [kept.pop()]
    for block in reversed(nest.decoder):
        beside = kept.pop()
        below = functional.interpolate(maps[0], size=beside.shape[-2:], mode="bilinear")
        maps.insert(0, block(torch.cat([below, beside], dim=1)))
    sides = [
        functional.interpolate(head(one), size=picture.shape[-2:], mode="bilinear")
        for head, one in zip(nest.sides, maps, strict=True)
    ]
    return (nest.merge(torch.cat(sides, dim=1)), *sides)


# ---- 9.6b: rare pixels --------------------------------------------------------------------------


def _check_weighted_bce(answer):
    def trusted(logits: Tensor, target: Tensor, weight: float) -> Tensor:
        heavy = torch.tensor(weight, dtype=logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits, target.to(logits), pos_weight=heavy)

    calls = [
        Call.of(torch.tensor([z]), torch.tensor([truth]), weight)
        for z, truth, weight in product((1.0, -2.0, 20.0, -20.0, 200.0, -200.0), (0, 1), (1.0, 3.5))
    ]
    drawn = [size * torch.randn(2, 3, 5) for size in (1.0, 30.0)]
    # Three of them, since one number may happen to be one of float32.
    drawn += [torch.randn(2, 3, 4, 2).double() for _ in range(3)]
    calls += [Call.of(one, torch.randint(0, 2, one.shape), 10.0) for one in drawn]
    compare(answer, trusted, calls, gradients=True, without=("binary_cross_entropy", "soft_margin"))


def weighted_bce(logits, target, weight):
    """−log p is log(1 + exp(−z)), and −log(1 − p) is log(1 + exp(z)); logaddexp works out both without overflow. The
    weight stands before the first one alone.
    """
    zeros = torch.zeros_like(logits)
    missed, alarm = torch.logaddexp(-logits, zeros), torch.logaddexp(logits, zeros)
    return (weight * target * missed + (1 - target) * alarm).mean()


# ---- 9.7b: back again ---------------------------------------------------------------------------


def _check_our_name(answer):
    ours = {original._official(name): name for name in u2net.RSU(12, 1, 1, 1).state_dict()}

    def trusted(name: str) -> str:
        return ours[name]

    compare(answer, trusted, [Call.of(name) for name in sorted(ours, key=len)])


def our_name(name):
    """The word is the same for down and up, so the d behind the number decides; and theirs count from 1."""
    block, layer, value = name.split(".")
    place = {"conv_s1": "0", "bn_s1": "1"}[layer]
    if block == "rebnconvin":
        return f"first.{place}.{value}"
    number = block.removeprefix("rebnconv")
    part = "up" if number.endswith("d") else "down"
    return f"{part}.{int(number.removesuffix('d')) - 1}.{place}.{value}"


# ---- 9.8b: another score ------------------------------------------------------------------------


def _check_max_iou(answer):
    def trusted(prediction: Tensor, target: Tensor) -> Tensor:
        pixels = list(zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True))
        found = []
        for threshold, _ in pixels:
            hits = sum(value >= threshold and true == 1 for value, true in pixels)
            either = sum(value >= threshold or true == 1 for value, true in pixels)
            found.append(hits / either)
        return torch.tensor(max(found), dtype=torch.float64)

    def drawn(*shape: int) -> Call:
        """Few values, so that many pixels tie, larger on the object; one pixel at least is object."""
        target = torch.randint(0, 2, shape)
        target[0, 0] = 1
        return Call.of((torch.randint(0, 3, shape) + 2 * target).double() / 4, target)

    def written(prediction: list, target: list) -> Call:
        return Call.of(torch.tensor([prediction], dtype=torch.float64), torch.tensor([target]))

    calls = [
        written([0.5], [1]),
        written([0.0], [1]),
        written([0.5, 0.5], [1, 0]),
        written([0.5, 0.5], [0, 1]),
        written([0.9, 0.8], [0, 1]),
        written([0.1, 0.2, 0.9], [1, 1, 0]),
        written([0.3, 0.3 + 1e-9, 0.3 + 2e-9], [0, 1, 1]),
        written([0.9, 0.6, 0.3, 0.2, 0.1], [1, 0, 1, 0, 1]),
    ]
    compare(answer, trusted, [*calls, *(drawn(*shape) for shape in ((2, 3), (4, 3), (6, 9)))])


def max_iou(prediction, target):
    """Between two neighbouring values no pixel changes sides, so the values of the map are all the thresholds there
    are. The union is what is chosen, and what is salient, less what is both.
    """
    best = torch.zeros((), dtype=torch.float64)
    for threshold in prediction.unique():
        chosen = prediction >= threshold
        hits = (chosen & (target == 1)).sum().double()
        best = torch.maximum(best, hits / (chosen.sum() + (target == 1).sum() - hits))
    return best


VARIANTS = (
    Variant(
        "9.1",
        "Windows of three",
        """
        Somebody builds an RSU of `height` (2 or more) whose poolings take windows of 3 × 3 side by side, in the place
        of 2 × 2; what does not fill a window at the end is a window, too (`ceil_mode`). It pools as often and in the
        same places as an RSU of the book. Write `thirds`: for a map of `rows` × `columns` return the sizes of the maps
        of `down[0]`, `down[1]` and so on, the bottom included, a list of `height` pairs (rows, columns) of integers
        (`int`).
        """,
        Exercise("9.1b", "thirds", _check_thirds, ()),
        thirds,
    ),
    Variant(
        "9.2",
        "A block that adds",
        """
        Somebody builds an RSU of `height` (2 or more), with `in_channels`, `mid_channels` and `out_channels`, that is
        smaller in two ways. Its convolutions have no bias, since a normalisation follows each of them. And on the way
        up the lower map and the one beside it are *added*, not concatenated. All else is as in the book: kernels of 3 ×
        3, `height` convolutions down, `height` − 1 up, and the first one. Write `parameters_of_adding`: how many
        parameters has it? Count the weights of all convolutions and both numbers of each normalisation. Return an
        `int`, without building one.
        """,
        Exercise("9.2b", "parameters_of_adding", _check_parameters_of_adding, ()),
        parameters_of_adding,
    ),
    Variant(
        "9.3",
        "How large must the map be?",
        """
        An RSU of `height` (2 or more, with halvings, odd sides rounded up) gets a square map. Write `smallest_side`:
        return the smallest side, an `int`, for which even its smallest map still has sides of at least `least`, which
        is 2 or more.
        """,
        Exercise("9.3b", "smallest_side", _check_smallest_side, ()),
        smallest_side,
    ),
    Variant(
        "9.4",
        "What must be kept",
        """
        For the way back, training keeps the result of every convolution. Write `numbers_kept`: how many numbers are
        the results of all convolutions of an RSU of `height` together, for one map of `rows` × `columns`, of any size?
        Odd sides are rounded up when they are halved; `channels` is the tuple (in, mid, out). Only the results of the
        2 · `height` convolutions count. Return an `int`, without building an RSU.
        """,
        Exercise("9.4b", "numbers_kept", _check_numbers_kept, ()),
        numbers_kept,
    ),
    Variant(
        "9.5",
        "The way through U²-Net",
        """
        `nest` is a `U2Net` of two or more stages, in evaluation mode, and `x` a batch of pictures. Write
        `nest_forward`: return what it gives, the fused map and then the side maps from the finest to the coarsest, a
        tuple in the dtype of `x`, without calling the network itself. You may call its parts: `encoder` and `decoder`
        are lists of blocks from the picture on, `sides` a list of heads, one for each block of the decoder and the last
        for the lowest block, and `merge` makes one map of all side maps in that order. Before each block of the encoder
        but the first the map is halved (max pooling, odd sides rounded up). A block of the decoder reads the map from
        below, brought to the size of the map beside it, and then that map. Side maps have the size of the picture.
        All resizing is bilinear, without aligned corners. Of the book you may use `RSU`.
        """,
        Exercise("9.5b", "nest_forward", _check_nest_forward, (), allows=(u2net.RSU,)),
        nest_forward,
    ),
    Variant(
        "9.6",
        "A missed crack counts more",
        """
        `logits`, floating point of any shape, `target` of the same shape, int64, 0 or 1, and a number `weight` above 0.
        Write `weighted_bce`: the mean of `weight` · (−log p) where the truth is 1 and of −log(1 − p) where it is 0,
        with p the sigmoid of the logit. Divide by the number of all values. Return a tensor of shape () with the dtype
        of `logits`. It must be right for logits of ± 200, and so must its gradient (no logit is 0). Without PyTorch's
        own binary cross-entropy and the book's.
        """,
        Exercise("9.6b", "weighted_bce", _check_weighted_bce, ()),
        weighted_bce,
    ),
    Variant(
        "9.7",
        "Our names",
        """
        `name` is a name that the authors of U²-Net give to a part of an RSU, such as "rebnconvin.conv_s1.weight",
        "rebnconv1.bn_s1.running_mean" or "rebnconv5d.conv_s1.bias". Write `our_name`: return the book's name for it:
        "first.0.weight", "down.0.1.running_mean", "up.4.0.bias". Heights may have two digits.
        """,
        Exercise("9.7b", "our_name", _check_our_name, ()),
        our_name,
    ),
    Variant(
        "9.8",
        "Max IoU, exactly",
        """
        `prediction` is one map, float64 (H, W) in 0 … 1, and `target` int64 (H, W), 1 for at least one pixel. A pixel
        is chosen if its probability is at least the threshold. Write `max_iou`: return the largest IoU that *any*
        threshold reaches, as a float64 tensor of shape (): the pixels that are chosen and salient, divided by those
        that are chosen or salient. Mind that many pixels may have the same value. Without the book's functions.
        """,
        Exercise("9.8b", "max_iou", _check_max_iou, ()),
        max_iou,
    ),
)

"""Answers to the exercises of Chapter 09."""

import math
import re

import torch
from torch import nn
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code.cost import cost
from chapters_code.layers import conv_norm_relu
from chapters_code.metrics import max_f_measure
from chapters_code.u2net import RSU

# ---- 9.1 map_sizes ------------------------------------------------------------------------------


@right("9.1")
def rounds_up_from_the_start(height, rows, columns):
    powers = [2 ** min(depth, height - 2) for depth in range(height)]
    return tuple((math.ceil(rows / power), math.ceil(columns / power)) for power in powers)


@right("9.1")
def pools_a_map(height, rows, columns):
    x = torch.zeros(1, 1, rows, columns)
    sizes = []
    for depth in range(height):
        x = functional.max_pool2d(x, 2, ceil_mode=True) if 0 < depth < height - 1 else x
        sizes.append(list(x.shape[-2:]))
    return sizes


@wrong("9.1", "numbers differ")
def rounds_down(height, rows, columns):
    powers = [2 ** min(depth, height - 2) for depth in range(height)]
    return [(max(1, rows // power), max(1, columns // power)) for power in powers]


@wrong("9.1", "numbers differ")
def halves_before_the_bottom_too(height, rows, columns):
    return [(math.ceil(rows / 2**depth), math.ceil(columns / 2**depth)) for depth in range(height)]


@wrong("9.1", "values were wanted")
def forgets_the_bottom(height, rows, columns):
    return rounds_up_from_the_start(height, rows, columns)[:-1]


@wrong("9.1", "numbers differ")
def swaps_rows_and_columns(height, rows, columns):
    return rounds_up_from_the_start(height, columns, rows)


@wrong("9.1", "numbers differ")
def goes_up_instead_of_down(height, rows, columns):
    return rounds_up_from_the_start(height, rows, columns)[::-1]


# ---- 9.2 parameters -----------------------------------------------------------------------------


def counted(pairs):
    return sum(9 * given * wanted + 3 * wanted for given, wanted in pairs)


def channel_pairs(height, into, mid, out):
    down = [(out, mid)] + [(mid, mid)] * (height - 1)
    up = [(2 * mid, mid)] * (height - 2) + [(2 * mid, out)]
    return [(into, out), *down, *up]


@right("9.2")
def lists_all_of_them(height, in_channels, mid_channels, out_channels):
    return counted(channel_pairs(height, in_channels, mid_channels, out_channels))


@right("9.2")
def is_a_polynomial(height, in_channels, mid_channels, out_channels):
    m, o = mid_channels, out_channels
    return 9 * in_channels * o + 27 * m * o + 6 * o + 9 * m * m + 6 * m + (height - 2) * (27 * m * m + 6 * m)


@wrong("9.2", "numbers differ")
def forgets_the_norm(height, in_channels, mid_channels, out_channels):
    pairs = channel_pairs(height, in_channels, mid_channels, out_channels)
    return sum(9 * given * wanted + wanted for given, wanted in pairs)


@wrong("9.2", "numbers differ")
def forgets_the_bias(height, in_channels, mid_channels, out_channels):
    pairs = channel_pairs(height, in_channels, mid_channels, out_channels)
    return sum(9 * given * wanted + 2 * wanted for given, wanted in pairs)


@wrong("9.2", "numbers differ")
def counts_running_means(height, in_channels, mid_channels, out_channels):
    pairs = channel_pairs(height, in_channels, mid_channels, out_channels)
    return sum(9 * given * wanted + 5 * wanted for given, wanted in pairs)


@wrong("9.2", "numbers differ")
def concatenates_nothing(height, in_channels, mid_channels, out_channels):
    pairs = channel_pairs(height, in_channels, mid_channels, out_channels)
    return counted([(min(given, mid_channels), wanted) if given == 2 * mid_channels else (given, wanted)
                    for given, wanted in pairs])  # fmt: skip


@wrong("9.2", "numbers differ")
def has_one_step_too_many(height, in_channels, mid_channels, out_channels):
    return lists_all_of_them(height + 1, in_channels, mid_channels, out_channels)


@wrong("9.2", "without the book's RSU")
def builds_it(height, in_channels, mid_channels, out_channels):
    return sum(one.numel() for one in RSU(height, in_channels, mid_channels, out_channels).parameters())


# ---- 9.3 highest --------------------------------------------------------------------------------


@right("9.3")
def tries_heights(rows, columns, least):
    return max(
        height for height in range(2, 30) if math.ceil(min(rows, columns) / 2 ** (height - 2)) >= least
    )  # fmt: skip


@right("9.3")
def takes_a_logarithm(rows, columns, least):
    """ceil(side / 2^k) >= least is side / 2^k > least − 1; bit_length is the logarithm without rounding."""
    return 2 + ((min(rows, columns) - 1) // (least - 1)).bit_length() - 1


@wrong("9.3", "numbers differ")
def rounds_the_sides_down(rows, columns, least):
    return max(height for height in range(2, 30) if (min(rows, columns) >> (height - 2)) >= least)


@wrong("9.3", "numbers differ")
def looks_at_the_longer_side(rows, columns, least):
    return tries_heights(max(rows, columns), max(rows, columns), least)


@wrong("9.3", "numbers differ")
def takes_the_height_above(rows, columns, least):
    return tries_heights(rows, columns, least) + 1


@wrong("9.3", "numbers differ")
def wants_more_than_least(rows, columns, least):
    return tries_heights(rows, columns, least + 1) if min(rows, columns) > least else 2


@wrong("9.3", "numbers differ")
def counts_halvings(rows, columns, least):
    return tries_heights(rows, columns, least) - 2


# ---- 9.4 multiply_adds --------------------------------------------------------------------------


def areas(height, rows, columns):
    return [math.ceil(rows / 2**depth) * math.ceil(columns / 2**depth) for depth in range(height - 1)]


@right("9.4")
def sums_over_convolutions(height, channels, rows, columns):
    area = areas(height, rows, columns)
    places = [0, *range(height - 1), height - 2, *reversed(range(height - 1))]
    pairs = channel_pairs(height, *channels)
    return sum(9 * given * wanted * area[place] for (given, wanted), place in zip(pairs, places, strict=True))


@right("9.4")
def sums_over_depths(height, channels, rows, columns):
    into, mid, out = channels
    top, *below = areas(height, rows, columns)
    lowest = below[-1] if below else top
    return 9 * (top * out * (into + 3 * mid) + mid * mid * (3 * sum(below) + lowest))


@wrong("9.4", "numbers differ")
def does_not_halve(height, channels, rows, columns):
    return rows * columns * sum(9 * given * wanted for given, wanted in channel_pairs(height, *channels))


@wrong("9.4", "numbers differ")
def rounds_areas_down(height, channels, rows, columns):
    into, mid, out = channels
    below = [(rows >> depth) * (columns >> depth) for depth in range(1, height - 1)]
    lowest = below[-1] if below else rows * columns
    return 9 * (rows * columns * out * (into + 3 * mid) + mid * mid * (3 * sum(below) + lowest))


@wrong("9.4", "numbers differ")
def counts_operations(height, channels, rows, columns):
    return 2 * sums_over_depths(height, channels, rows, columns)


@wrong("9.4", "numbers differ")
def quarters_the_area(height, channels, rows, columns):
    into, mid, out = channels
    below = [rows * columns // 4**depth for depth in range(1, height - 1)]
    lowest = below[-1] if below else rows * columns
    return 9 * (rows * columns * out * (into + 3 * mid) + mid * mid * (3 * sum(below) + lowest))


@wrong("9.4", "numbers differ")
def adds_the_biases(height, channels, rows, columns):
    return sums_over_depths(height, channels, rows, columns) + rows * columns * channels[2]


@wrong("9.4", "without the book's")
def asks_cost(height, channels, rows, columns):
    return cost(RSU(height, *channels), 1, channels[0], rows, columns).multiply_adds


# ---- 9.5 rsu_forward ----------------------------------------------------------------------------


def halved(x):
    return functional.max_pool2d(x, 2, ceil_mode=True)


def resized(x, beside, **settings):
    return functional.interpolate(x, beside.shape[-2:], mode="bilinear", **settings)


@right("9.5")
def goes_down_by_recursion(rsu, x):
    def below(x, depth):
        kept = rsu.down[depth](x)
        if depth == len(rsu.up) - 1:
            up = rsu.down[-1](kept)
        else:
            up = resized(below(halved(kept), depth + 1), kept)
        return rsu.up[depth](torch.cat([up, kept], 1))

    first = rsu.first(x)
    return below(first, 0) + first


@right("9.5")
def keeps_a_dictionary(rsu, x):
    first = rsu.first(x)
    kept = {0: rsu.down[0](first)}
    for depth in range(1, len(rsu.up)):
        kept[depth] = rsu.down[depth](halved(kept[depth - 1]))
    x = rsu.down[len(rsu.up)](kept[len(rsu.up) - 1])
    for depth in range(len(rsu.up) - 1, -1, -1):
        x = rsu.up[depth](torch.cat([resized(x, kept[depth]), kept[depth]], 1))
    return first + x


def with_a_fault(fault):
    def forward(rsu, x):
        x = first = rsu.first(x)
        kept = []
        for depth, block in enumerate(rsu.down):
            last = len(rsu.down) - (1 if fault != "bottom" else 0)
            x = block(halved(x) if 0 < depth < last else x)
            kept.append(x)
        x = kept.pop()
        for block in reversed(rsu.up):
            beside = kept.pop()
            large = resized(x, beside, align_corners=fault == "corners")
            pair = [beside, large] if fault == "order" else [large, beside]
            x = block(torch.cat(pair, 1))
        return x if fault == "residual" else x + first

    return forward


@wrong("9.5", "numbers differ")
def aligns_the_corners(rsu, x):
    return with_a_fault("corners")(rsu, x)


@wrong("9.5", "numbers differ")
def concatenates_the_other_way(rsu, x):
    return with_a_fault("order")(rsu, x)


@wrong("9.5", "numbers differ")
def forgets_the_sum(rsu, x):
    return with_a_fault("residual")(rsu, x)


@wrong("9.5", "numbers differ")
def halves_before_the_bottom(rsu, x):
    return with_a_fault("bottom")(rsu, x)


@wrong("9.5", "numbers differ")
def adds_the_input(rsu, x):
    return with_a_fault("residual")(rsu, x) + x


@wrong("9.5", "without the book's RSU.forward")
def calls_the_module(rsu, x):
    return rsu(x)


# ---- 9.6 stable_bce -----------------------------------------------------------------------------


@right("9.6")
def takes_softplus(logits, target):
    return (functional.softplus(logits) - logits * target).mean()


@right("9.6")
def turns_the_sign(logits, target):
    margin = torch.where(target == 1, logits, -logits)
    return torch.logaddexp(torch.zeros_like(margin), -margin).mean()


@wrong("9.6", "numbers differ")
def takes_the_sigmoid_first(logits, target):
    p = logits.sigmoid()
    return -torch.where(target == 1, p.log(), (1 - p).log()).mean()


@wrong("9.6", "numbers differ")
def adds_a_small_number(logits, target):
    p = logits.sigmoid()
    return -torch.where(target == 1, (p + 1e-7).log(), (1 - p + 1e-7).log()).mean()


@wrong("9.6", "numbers differ")
def lets_the_exponential_overflow(logits, target):
    return (logits.exp().log1p() - logits * target).mean()


@wrong("9.6", "numbers differ")
def adds_up(logits, target):
    return (functional.softplus(logits) - logits * target).sum()


@wrong("9.6", "numbers differ")
def swaps_the_classes(logits, target):
    return takes_softplus(logits, 1 - target)


@wrong("9.6", "none comes back")
def loses_the_gradient(logits, target):
    return takes_softplus(logits.detach(), target)


@right("9.6")
def has_a_corner_at_0(logits, target):
    rest = torch.log1p(torch.exp(-logits.abs()))
    return (logits.clamp(min=0) - logits * target + rest).mean()


@wrong("9.6", "PyTorch's own")
def calls_pytorch(logits, target):
    return nn.BCEWithLogitsLoss()(logits, target.to(logits))


# ---- 9.7 official_name --------------------------------------------------------------------------


@right("9.7")
def finds_by_patterns(name):
    name = re.sub(r"^first\.", "rebnconvin.", name)
    name = re.sub(r"^down\.(\d+)\.", lambda found: f"rebnconv{int(found[1]) + 1}.", name)
    name = re.sub(r"^up\.(\d+)\.", lambda found: f"rebnconv{int(found[1]) + 1}d.", name)
    return re.sub(r"\.1\.(?=\D)", ".bn_s1.", re.sub(r"\.0\.(?=\D)", ".conv_s1.", name))


@right("9.7")
def reads_from_the_right(name):
    front, place, value = name.rsplit(".", 2)
    word, _, number = front.partition(".")
    layer = ("conv_s1", "bn_s1")[int(place)]
    if word == "first":
        return f"rebnconvin.{layer}.{value}"
    return f"rebnconv{int(number) + 1}{'d' * (word == 'up')}.{layer}.{value}"


def translated(name, start=1, tail="d", layers=("conv_s1", "bn_s1"), first="rebnconvin"):
    front, place, value = name.rsplit(".", 2)
    word, _, number = front.partition(".")
    layer = layers[int(place)]
    if word == "first":
        return f"{first}.{layer}.{value}"
    return f"rebnconv{int(number) + start}{tail * (word == 'up')}.{layer}.{value}"


@wrong("9.7", "answers differ")
def counts_from_0(name):
    return translated(name, start=0)


@wrong("9.7", "answers differ")
def forgets_the_d(name):
    return translated(name, tail="")


@wrong("9.7", "answers differ")
def swaps_the_layers(name):
    return translated(name, layers=("bn_s1", "conv_s1"))


@wrong("9.7", "answers differ")
def leaves_the_first_as_it_is(name):
    return translated(name, first="first")


@wrong("9.7", "answers differ")
def replaces_every_zero(name):
    """down.0.0.weight holds two of them."""
    return translated(name).replace("rebnconv1.", "rebnconvconv_s1.")


@wrong("9.7", "answers differ")
def reads_one_digit_only(name):
    return translated(re.sub(r"\.\d(\d)\.", r".\1.", name))


# ---- 9.8 max_f ----------------------------------------------------------------------------------


def f_of(chosen, target):
    hits = (chosen & (target == 1)).sum().double()
    if not hits:
        return hits
    precision, recall = hits / chosen.sum(), hits / target.sum()
    return 1.3 * precision * recall / (0.3 * precision + recall)


@right("9.8")
def counts_all_at_once(prediction, target):
    chosen = prediction.flatten() >= prediction.flatten()[:, None]
    hits = (chosen & (target.flatten() == 1)).sum(1).double()
    return (1.3 * hits / (0.3 * target.sum() + chosen.sum(1))).max()


@right("9.8")
def sorts_and_cuts_between_groups(prediction, target):
    values, order = prediction.flatten().sort(descending=True)
    hits = target.flatten()[order].cumsum(0).double()
    chosen = torch.arange(1, len(values) + 1)
    ends = torch.cat([values[1:] < values[:-1], torch.tensor([True])])
    return (1.3 * hits / (0.3 * target.sum() + chosen))[ends].max()


@wrong("9.8", "numbers differ")
def goes_through_ties(prediction, target):
    order = prediction.flatten().argsort(descending=True, stable=True)
    hits = target.flatten()[order].cumsum(0).double()
    return (1.3 * hits / (0.3 * target.sum() + torch.arange(1, len(order) + 1))).max()


@wrong("9.8", "numbers differ")
def cuts_at_one_half(prediction, target):
    return f_of(prediction >= 0.5, target)


@wrong("9.8", "numbers differ")
def wants_to_be_above_the_threshold(prediction, target):
    return torch.stack([f_of(prediction > one, target) for one in prediction.unique()]).max()


@wrong("9.8", "numbers differ")
def weighs_both_alike(prediction, target):
    chosen = prediction.flatten() >= prediction.flatten()[:, None]
    hits = (chosen & (target.flatten() == 1)).sum(1).double()
    return (2 * hits / (target.sum() + chosen.sum(1))).max()


@wrong("9.8", "numbers differ")
def divides_0_by_0(prediction, target):
    scores = []
    for threshold in prediction.unique():
        chosen = prediction >= threshold
        hits = (chosen & (target == 1)).sum().double()
        precision, recall = hits / chosen.sum(), hits / target.sum()
        scores.append(1.3 * precision * recall / (0.3 * precision + recall))
    return torch.stack(scores).max()


@wrong("9.8", "numbers differ")
def rounds_to_eight_bits(prediction, target):
    levels = (prediction * 255).long()
    return torch.stack([f_of(levels >= one, target) for one in range(256)]).max()


@wrong("9.8", "without the book's max_f_measure")
def asks_the_book(prediction, target):
    return torch.tensor(max_f_measure(prediction, target), dtype=torch.float64)


@wrong("9.8", "numbers differ")
def on_a_fine_grid(prediction, target):
    chosen = prediction.flatten() >= torch.linspace(0, 1, 20001, dtype=torch.float64)[:, None]
    hits = (chosen & (target.flatten() == 1)).sum(1).double()
    precision, recall = hits / chosen.sum(1), hits / target.sum()
    return (1.3 * precision * recall / (0.3 * precision + recall)).nan_to_num(0).max()


@wrong("9.2", "without the book's conv_norm_relu")
def builds_its_parts(height, in_channels, mid_channels, out_channels):
    parts = [conv_norm_relu(in_channels, out_channels, 3)]
    return sum(one.numel() for part in parts for one in part.parameters())


@wrong("9.6", "numbers differ")
def is_zero_at_zero(logits, target):
    return torch.where(logits == 0, 0 * logits, takes_softplus(logits, target)).mean()


# ---- 9.9 weights_that_work ----------------------------------------------------------------------

right_values("9.9", (9, 9, 1, 1), [9, 9, 1, 1])
wrong_values("9.9", (9, 9, 9, 9), (9, 1, 1, 1), (4, 4, 1, 1), (1, 1, 1, 1), words="Value ")
wrong_values("9.9", (9, 9, 1), 9, words="4 values were wanted")

# ---- 9.10 two_f_measures ------------------------------------------------------------------------

right_values("9.10", (0.76, 0.56), (0.585 / 0.77, 0.585 / 1.05), (0.7597, 0.557))
wrong_values("9.10", (0.56, 0.76), (0.64, 0.64), (0.84, 0.52), (0.9, 0.5), words="Value 1 of 2")
wrong_values("9.10", (0.76, 0.64), (0.76, 0.76), words="Value 2 of 2")
wrong_values("9.10", 0.76, ("76 %", "56 %"), words="wanted")

# ---- 9.11 shift_that_is_kept --------------------------------------------------------------------

right_values("9.11", 8, 8.0)
wrong_values("9.11", 1, 2, 4, 16, 32)
wrong_values("9.11", "never", [8], words="A number was wanted")

"""Solutions of Chapter 09."""

import torch
from torch.nn import functional

from chapters_code.metrics import max_f_measure
from chapters_code.u2net import RSU


def map_sizes(height, rows, columns):
    """The first convolution works at the size of the input, and the bottom at the size of the one above it, so the size
    is halved `height` − 2 times. With `ceil_mode` an odd side is rounded up, and a side of 1 stays 1 for ever.
    """
    sizes = [(rows, columns)]
    for _ in range(height - 2):
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        sizes.append((rows, columns))
    return [*sizes, sizes[-1]]


def parameters(height, in_channels, mid_channels, out_channels):
    """Of the 2 · `height` convolutions only three have to do with the channels outside. With each step of height there
    is one more on the way down, from mid to mid, and one more on the way up, from 2 · mid to mid: 27 mid² weights, and
    6 mid for biases and norms. So the parameters grow along a straight line.
    """

    def one(given, wanted):
        return 9 * given * wanted + 3 * wanted

    outside = one(in_channels, out_channels) + one(out_channels, mid_channels) + one(2 * mid_channels, out_channels)
    step = one(mid_channels, mid_channels) + one(2 * mid_channels, mid_channels)
    return outside + one(mid_channels, mid_channels) + (height - 2) * step


def highest(rows, columns, least):
    """Each halving takes one step of height, until the shorter side would fall below the limit. At 320 × 320 an RSU-7
    ends at 10 × 10; in the fifth stage of U²-Net, at 20 × 20, it would end at 1 × 1. That is why the paper's blocks
    become lower from stage to stage, and then stop halving.
    """
    side, height = (min(rows, columns) + 1) // 2, 2
    while side >= max(least, 2):  # a side of 1 stays 1 for ever
        side, height = (side + 1) // 2, height + 1
    return height


def multiply_adds(height, channels, rows, columns):
    """With even sides, a step of height costs nothing: the bottom, 9 mid² a pixel, gives way to three convolutions,
    9 + 9 + 18 = 36 mid² a pixel, on a quarter of the pixels. Only where a side is odd, and rounded up, is it a little
    more.
    """
    into, mid, out = channels
    total = rows * columns * 9 * (into * out + out * mid + 2 * mid * out)
    for _ in range(height - 2):
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        total += rows * columns * 9 * (mid * mid + 2 * mid * mid)
    return total + rows * columns * 9 * mid * mid


def rsu_forward(rsu, x):
    """Down with a halving before each block but the first and the last, and up with the kept map beside: it is a U-Net.
    To enlarge a map to its own size changes nothing, so the lowest step up needs no exception.
    """
    x = first = rsu.first(x)
    kept = []
    for depth, block in enumerate(rsu.down):
        if 0 < depth < len(rsu.down) - 1:
            x = functional.max_pool2d(x, 2, ceil_mode=True)
        x = block(x)
        kept.append(x)
    x = kept.pop()
    for block in reversed(rsu.up):
        beside = kept.pop()
        x = functional.interpolate(x, size=beside.shape[-2:], mode="bilinear")
        x = block(torch.cat([x, beside], dim=1))
    return x + first


def stable_bce(logits, target):
    """−log(1 − p) is log(1 + exp(z)) = log(exp(0) + exp(z)), and −log p is the same less z. `logaddexp` pulls the
    larger of the two exponents out, so that nothing overflows: max(z, 0) + log(1 + exp(−|z|)). Written out with `clamp`
    and `abs` the value is the same, but at z = 0, where each of the two has a corner, PyTorch's slope is wrong. The
    true one is p − t everywhere.
    """
    return (torch.logaddexp(logits, torch.zeros_like(logits)) - logits * target).mean()


def official_name(name):
    """Both name the same parts: ours by lists that count from 0, theirs by attributes that count from 1, with a d for
    the decoder. `load_official` does this for all stages at once.
    """
    part, *number, place, value = name.split(".")
    count = "".join(str(int(one) + 1) for one in number)
    block = {"first": "rebnconvin", "down": "rebnconv" + count, "up": "rebnconv" + count + "d"}[part]
    layer = {"0": "conv_s1", "1": "bn_s1"}[place]
    return f"{block}.{layer}.{value}"


def max_f(prediction, target):
    """Between two neighbouring values of the map no pixel changes sides, so there is one threshold to try for each
    value. The book's `max_f_measure` takes 256 fixed ones instead, as the field does, and rounds the map to 8 bits by
    it. Note that the best threshold is chosen with the truth in hand: max F is a generous score.
    """
    best = torch.zeros((), dtype=torch.float64)
    for threshold in prediction.unique():
        chosen = prediction >= threshold
        hits = (chosen & (target == 1)).sum().double()
        precision, recall = hits / chosen.sum(), hits / target.sum()
        if hits > 0:
            best = torch.maximum(best, 1.3 * precision * recall / (0.3 * precision + recall))
    return best


def weights_that_work():
    """Nine, nine, one and one. With rate 2 the middle pixel of a 3 × 3 map has nothing but its own tap, but a pixel in
    a corner reads the three other corners, and one at a side the side across: so each weight has work somewhere. Rates
    4 and 8 reach beyond the map from everywhere, and what they leave is a 1 × 1 convolution.
    """
    found = []
    for rate in (1, 2, 4, 8):
        kernel = torch.ones(1, 1, 3, 3, requires_grad=True)
        x = torch.ones(1, 1, 3, 3)
        functional.conv2d(x, kernel, padding=rate, dilation=rate).sum().backward()
        found.append(int(kernel.grad.count_nonzero()))
    return tuple(found)


def two_f_measures():
    """0.76 and 0.56. The first map has P = 0.9 and R = 0.5, the second P = 0.5 and R = 0.9: F1 would call them equal.
    Above the line stands 1.3 · 0.45 for both. Below it, 0.3 · 0.9 + 0.5 = 0.77 for the first, 0.3 · 0.5 + 0.9 = 1.05
    for the second. So a careful map beats a generous one: with β² = 0.3 precision counts for more.
    """
    target = torch.zeros(1, 1000, dtype=torch.int64)
    target[:, :90] = 1
    careful, generous = torch.zeros(1, 1000), torch.zeros(1, 1000)
    careful[:, :45] = 1
    careful[:, 90:95] = 1
    generous[:, :81] = 1
    generous[:, 90:171] = 1
    return max_f_measure(careful, target), max_f_measure(generous, target)


def shift_that_is_kept():
    """Eight. An RSU-5 halves three times, so one pixel of its smallest map stands for 2 · 2 · 2 pixels of `x`. Shifted
    by 8, the numbers of each pooling window fill the next window, and all maps move along by whole pixels: the smallest
    one by 1. After a shorter shift the windows of at least one pooling hold other numbers together, and so they have
    other largest ones. The convolutions follow every shift of the map that they get, so they do not matter.
    """
    torch.manual_seed(9)
    rsu = RSU(5, 1, 4, 4).eval().double()
    x = torch.randn(1, 1, 192, 192, dtype=torch.float64)
    with torch.no_grad():
        unmoved = rsu(x)
        for step in range(1, 33):
            difference = rsu(x.roll(step, -1)) - unmoved.roll(step, -1)
            if difference[..., 88:104].abs().max() < 1e-9:
                return step


def what_the_sum_is_for():
    """Two maps can be added if they have as many channels. The input may have others than the output; $F_1(x)$ always
    has the output's. Where the two are as many, $x$ could be added as well, and the block would be a residual one; but
    then a U that says 0 would leave no convolution at all. So one rule does for every block: $F_1(x)$. If the U says 0,
    $F_1(x)$ is left: an ordinary convolution with its normalisation and its ReLU, at the full size. So the block never
    has less to give than one convolution, and the U must learn only what is to be added to it: what one knows from
    looking far. It need not bring the fine detail once more through its coarse maps, since $F_1(x)$ was never halved.
    And the gradient, too, has a short way round the U.
    """
    return (
        "The input may have other channels than the output; the first map has the output's, so the two can be added.",
        "If the U says 0, one ordinary convolution at full size is left; with x in its place none would be.",
        "The U need only learn what has to be added; the fine detail comes past it.",
    )

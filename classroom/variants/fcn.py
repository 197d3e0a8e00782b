"""Variants of Chapter 06."""

import copy
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.data.pictures import VOID
from chapters_code.exercises import fcn as original
from chapters_code.exercises.checking import Call, Exercise, all_pairs, compare, digits, whole
from chapters_code.metrics import ConfusionMatrix
from chapters_code.shapes import conv_size
from chapters_code.train import losses
from chapters_code.transposed import BilinearUpsample2d, bilinear_conv_transpose, bilinear_kernel
from classroom.variants import Variant

__all__ = ["VARIANTS"]


# ---- 6.1b -----------------------------------------------------------------------------------------


def _check_cut_off(answer):
    def trusted(height: int, width: int, halvings: int) -> tuple[int, int]:
        rows, columns = height, width
        for _ in range(halvings):
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        for _ in range(halvings):
            rows, columns = 2 * rows, 2 * columns
        return rows - height, columns - width

    sides = (1, 31, 32, 33, 65, 481, whole(2, 2000))
    compare(answer, trusted, [Call.of(*one) for one in product(sides, sides, (0, 1, 3, 5))])


def cut_off(height, width, halvings):
    """The map covers the picture with cells of 2 ** halvings pixels. What hangs over is what is missing to the next
    multiple, and the remainder of a negative number is just that.
    """
    cell = 2**halvings
    return -height % cell, -width % cell


# ---- 6.2b -----------------------------------------------------------------------------------------


def _check_price_in_miou(answer):
    def trusted(masks: Tensor) -> Tensor:
        found = []
        for pixels in (masks[masks != VOID].tolist(), masks.masked_fill(masks == VOID, 0).flatten().tolist()):
            found.append(pixels.count(0) / len(pixels) / len({0, *pixels}))
        return torch.tensor(found, dtype=torch.float64)

    shapes = ((1, 1, 2), (1, 2, 3), (2, 1, 3), (1, 5, 4), (3, 4, 6), (2, 9, 7))
    drawn = [original._masks(*shape, classes=classes) for shape in shapes for classes in (1, 3, 21)]
    drawn += [1 + torch.randint(0, 3, shape) for shape in shapes]  # no background at all
    compare(answer, trusted, [Call.of(masks) for masks in drawn if (masks != VOID).any()])


def price_in_miou(masks):
    """Background has an intersection, the pixels that are background, over a union of all that count. Every other class
    that occurs has 0 and pulls the mean down. So it is the share of background, divided by the number of classes.
    """
    scores = []
    for truth in (masks[masks != 255], masks.masked_fill(masks == 255, 0)):
        classes = len(set(truth.unique().tolist()) | {0})
        scores.append((truth == 0).double().mean() / classes)
    return torch.stack(scores)


# ---- 6.3b -----------------------------------------------------------------------------------------


def _check_crack_loss(answer):
    def trusted(logits: Tensor, target: Tensor) -> Tensor:
        counts = target != VOID
        return functional.binary_cross_entropy_with_logits(logits[:, 0][counts], target[counts].double())

    calls = []
    for (n, height, width), void in product(((1, 1, 2), (1, 2, 3), (2, 3, 2), (3, 4, 7)), (0.0, 0.4)):
        target = original._masks(n, height, width, classes=2, void=void)
        target[0, 0, 0] = 1  # so that one pixel counts
        logits = torch.randn(n, 1, height, width, dtype=torch.float64) * 3
        calls += [Call.of(logits * size, target) for size in (1, 1000)]  # with the second one, exp overflows
    without = ("binary_cross_entropy", "cross_entropy", "nll_loss", "soft_margin")
    compare(answer, trusted, calls, gradients=True, without=without)


def crack_loss(logits, target):
    """The probability of *crack* is sigmoid(z), that of *no crack* sigmoid(−z): so turn the sign of the logit where
    there is no crack, and take −log sigmoid of it, which `logsigmoid` computes without overflow. Void pixels are left
    out before the mean, so they get no gradient and no share in it.
    """
    counts = target != 255
    signs = 2 * target[counts] - 1
    return -functional.logsigmoid(logits[:, 0][counts] * signs).mean()


# ---- 6.4b -----------------------------------------------------------------------------------------


def _check_weighted_iou(answer):
    def trusted(matrix: Tensor) -> Tensor:
        classes, total = range(len(matrix)), 0.0
        for k in classes:
            true = sum(int(matrix[k, p]) for p in classes)
            either = true + sum(int(matrix[t, k]) for t in classes if t != k)
            total += true * int(matrix[k, k]) / either if either else 0
        return torch.tensor(total / int(matrix.sum()), dtype=torch.float64)

    calls = []
    for classes in (2, 2, 3, 4, 6, 21):
        matrix = torch.randint(0, 9, (classes, classes))
        matrix[0, 0] = 50
        gone, only_said, only_true = (matrix.clone() for _ in range(3))
        gone[1], gone[:, 1] = 0, 0  # a class that is nowhere
        only_said[1], only_true[:, 1] = 0, 0  # one that is said and never true, and one that is true and never said
        calls += [Call.of(one) for one in (matrix, gone, only_said, only_true)]
    compare(answer, trusted, calls)


def weighted_iou(matrix):
    """The weights are the shares of the true pixels, so they add up to 1. A class that is nowhere has the weight 0; but
    its IoU is 0 / 0, and 0 times NaN is NaN, so it must be made a number first. A class that is only said weighs
    nothing: this score does not see it in its own row, only in the unions of the others.
    """
    right, true = matrix.diagonal().double(), matrix.sum(1)
    ious = right / (true + matrix.sum(0) - right)
    return (ious.nan_to_num(0) * true / true.sum()).sum()


# ---- 6.5b -----------------------------------------------------------------------------------------


def _check_channels_last_kernel(answer):
    def trusted(weight: Tensor, height: int, width: int) -> Tensor:
        channels = weight.shape[1] // (height * width)
        kernel = weight.new_zeros(len(weight), channels, height, width)
        for place, (row, column, channel) in enumerate(product(range(height), range(width), range(channels))):
            kernel[:, channel, row, column] = weight[:, place]
        return kernel

    calls = []
    for (classes, channels), (height, width), dtype in all_pairs(
        ((1, 1), (2, 1), (1, 3), (4, 2)), ((1, 1), (1, 2), (2, 3), (3, 2), (7, 7)), (torch.float32, torch.float64)
    ):
        calls.append(Call.of(torch.randn(classes, channels * height * width, dtype=dtype), height, width))
    calls.append(Call.of(digits(2, 2 * 3 * 4), 3, 4))  # three different sides, and more than one channel
    compare(answer, trusted, calls, gradients=True)


def channels_last_kernel(weight, height, width):
    """The numbers come row by row, column by column, and the channels of a pixel lie next to each other. So unflatten
    in this order, and then move the channels to where PyTorch wants them. To unflatten as (C, height, width) would give
    the right shape and mix up all places.
    """
    return weight.unflatten(1, (height, width, -1)).movedim(-1, 1)


# ---- 6.6b -----------------------------------------------------------------------------------------


def _check_even_starts(answer):
    def trusted(size: int, tile: int, overlap: int) -> tuple[int, ...]:
        count = 1
        while count * tile - (count - 1) * overlap < size:
            count += 1
        return tuple(int(np.floor(i * (size - tile) / (count - 1))) if i else 0 for i in range(count))

    calls = []
    for tile, overlap in ((3, 1), (5, 4), (4, 0), (8, 3), (96, 32), (64, 1)):
        sizes = (1, tile - 1, tile, tile + 1, 2 * tile - overlap, 2 * tile - overlap + 1, 3 * tile + 1)
        calls += [Call.of(size, tile, overlap) for size in (*sizes, whole(tile, 5 * tile))]
    compare(answer, trusted, calls)


def even_starts(size, tile, overlap):
    """Together n tiles that share `overlap` pixels cover n · (tile − overlap) + overlap. So n is the quotient of
    size − overlap and tile − overlap, rounded up, and 1 at least. The last start is size − tile; the others divide the
    way there into n − 1 steps. None of them is longer than tile − overlap, also where it was rounded.
    """
    count = max(1, -(-(size - overlap) // (tile - overlap)))
    return [i * (size - tile) // (count - 1) for i in range(count)] if count > 1 else [0]


# ---- 6.7b -----------------------------------------------------------------------------------------


def _check_side_by_side(answer):
    def trusted(maps: tuple[Tensor, ...], weights: tuple[Tensor, ...]) -> Tensor:
        rows, columns = maps[0].shape[2:]
        total = 0
        for i, scores in enumerate(map(functional.conv2d, maps, weights)):
            scale, classes = 2**i, scores.shape[1]
            kernel = bilinear_kernel(classes, classes, 2 * scale - scale % 2).to(scores)
            larger = functional.conv_transpose2d(scores, kernel, stride=scale, padding=scale // 2)
            total = total + larger[..., :rows, :columns]
        return total / len(maps)

    calls = []
    for steps, (height, width) in product((1, 2, 3, 4), ((2, 3), (7, 6), (whole(5, 9), whole(10, 15)))):
        n, classes, maps = 1 + height % 2, whole(1, 4), []
        for _ in range(steps):  # the next one has sides half as long, rounded up
            maps.append(torch.randn(n, whole(1, 4), height, width, dtype=torch.float64))
            height, width = (height + 1) // 2, (width + 1) // 2
        weights = [torch.randn(classes, one.shape[1], 1, 1, dtype=torch.float64) for one in maps]
        calls.append(Call.of(tuple(maps), tuple(weights)))
    compare(answer, trusted, calls, gradients=True)


def side_by_side(maps, weights):
    """Map number i has cells of 2 ** i cells of the finest map, so it is enlarged so many times, in one step, and cut
    off at the far sides. The ladder climbs in many small steps, and lets each rung correct what comes from below; here
    all maps have the same say.
    """
    height, width = maps[0].shape[-2:]
    scores = map(functional.conv2d, maps, weights)
    larger = [BilinearUpsample2d(2**i)(one)[..., :height, :width] for i, one in enumerate(scores)]
    return sum(larger) / len(maps)


# ---- 6.8b -----------------------------------------------------------------------------------------


def _check_nearest_labels(answer):
    def trusted(picture: Tensor, colours: Tensor, limit: int) -> Tensor:
        labels = []
        for pixel in picture.flatten(1).T.tolist():
            apart = [sum(abs(a - b) for a, b in zip(pixel, colour, strict=True)) for colour in colours.tolist()]
            labels.append(apart.index(min(apart)) if min(apart) <= limit else VOID)
        return torch.tensor(labels).reshape(picture.shape[1:])

    levels = torch.tensor([0, 64, 128, 255], dtype=torch.uint8)
    table = torch.cartesian_prod(levels, levels, levels)
    calls = []
    for classes, (height, width), limit in product((1, 2, 21), ((1, 2), (4, 3), (9, 12)), (0, 30, 64, 765)):
        colours = table[torch.randperm(64)[:classes]]
        known = colours[torch.randint(0, classes, (height, width))].permute(2, 0, 1)
        # Up to 64 steps away in each channel: often just as near to another colour.
        steps = torch.tensor([0, 0, 1, -1, 30, 31, -32, 64])[torch.randint(0, 8, (3, height, width))]
        moved = known.long() + steps
        calls += [Call.of(one.byte().contiguous(), colours, limit) for one in (known, moved.clamp(0, 255))]
    compare(answer, trusted, calls)


def nearest_labels(picture, colours, limit):
    """All distances at once: (K, 3, H, W), summed over the channels. Bytes cannot be negative, 3 − 5 would be 254, so
    they become integers first. `min` returns the first of equal distances, and where even the nearest colour is too
    far, the pixel is void.
    """
    apart = (picture.int() - colours.int()[:, :, None, None]).abs().sum(dim=1)
    nearest = apart.min(dim=0)
    return nearest.indices.where(nearest.values <= limit, 255)


# ---- 6.9b -----------------------------------------------------------------------------------------


def _check_shift_pair(answer):
    def trusted(image: Tensor, mask: Tensor, down: int, right: int, turns: int) -> tuple[Tensor, Tensor]:
        new_image, new_mask = torch.zeros_like(image), torch.full_like(mask, VOID)
        height, width = mask.shape
        for i, j in product(range(height), range(width)):
            row, column = i - down, j - right
            if 0 <= row < height and 0 <= column < width:
                new_image[:, i, j], new_mask[i, j] = image[:, row, column], mask[row, column]
        turned = (np.rot90(one.numpy(), turns, (-2, -1)).copy() for one in (new_image, new_mask))
        return tuple(map(torch.from_numpy, turned))

    calls = []
    for height, width in ((1, 2), (2, 3), (5, 4), (7, 9)):
        # Black pixels, and pixels of background and of void, are among them: none may be taken for the outside.
        image = torch.randint(1, 256, (3, height, width), dtype=torch.uint8)
        image *= torch.randint(0, 3, (height, width)) > 0
        mask = torch.tensor([0, 1, 7, 15, VOID])[torch.randint(0, 5, (height, width))]
        moves = [(0, 0), (height - 1, 1 - width), (height // 2, width // 2), (0, width // 2)]
        moves += [(whole(1 - height, height), whole(1 - width, width))]
        calls += [Call.of(image, mask, *move, turns) for move, turns in product(moves, range(4))]
    compare(answer, trusted, calls)


def shift_pair(image, mask, down, right, turns):
    """`functional.pad` adds on one side, and cuts off on the other where its number is negative. The frame is the same
    for both, its filling is not. Turned are both after it, over their last two axes, so that the channels stay.
    """
    frame = (right, -right, down, -down)
    image, mask = functional.pad(image, frame, value=0), functional.pad(mask, frame, value=255)
    return torch.rot90(image, turns, (-2, -1)), torch.rot90(mask, turns, (-2, -1))


# ---- 6.10b ----------------------------------------------------------------------------------------


def _check_accumulated_step(answer):
    def trusted(model: nn.Module, batches: tuple, learning_rate: float) -> Tensor:
        model.train().zero_grad()
        logs = []
        for images, masks in batches:
            counts = masks != VOID
            logs.append(model(images).log_softmax(dim=1).movedim(1, -1)[counts].gather(1, masks[counts][:, None]))
        loss = -torch.cat(logs).mean()
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight -= learning_rate * gradient
        return loss.detach()

    def lead(step, model: nn.Module, batches: tuple, learning_rate: float, old_gradient: float | None) -> tuple:
        """Return what two steps leave: both losses, all numbers of the network, and its gradients."""
        model = copy.deepcopy(model)  # a step changes it, and `compare` takes that for a fault
        for weight in model.parameters():
            if weight.requires_grad and old_gradient is not None:
                weight.grad = torch.full_like(weight, old_gradient)
        found = [step(model, batches, learning_rate) for _ in range(2)]
        found = [torch.as_tensor(one).detach().double() if isinstance(one, float | Tensor) else one for one in found]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in model.parameters()]
        return (*found, *model.state_dict().values(), *gradients)

    plain = nn.Sequential(nn.Conv2d(3, 2, 1)).double()
    deeper = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 3, 1)).double()
    frozen = copy.deepcopy(deeper).eval()
    frozen[0].requires_grad_(False)
    calls = []
    for model, sizes in ((plain, ((1, 1, 2),)), (deeper, ((2, 2, 3), (1, 4, 3))), (frozen, ((1, 3, 2),) * 3)):
        for void, rate, old_gradient in ((0, 0.5, None), (0.4, 2.0, 5.0)):
            batches = []
            for n, height, width in sizes:
                masks = torch.randint(0, model[-1].out_channels, (n, height, width))
                masks[torch.rand(masks.shape) < void] = VOID
                masks[0, 0, 0] = 1
                batches.append((torch.randn(n, 3, height, width, dtype=torch.float64), masks))
            calls.append(Call.of(model, tuple(batches), rate, old_gradient))
    compare(original._Led(answer, lead), partial(lead, trusted), calls)


def accumulated_step(model, batches, learning_rate):
    """`backward` adds to the gradients that lie there, and here that is what we want: after the last batch they hold
    the sum. But a sum of means is not the mean of all: so each batch's losses are added up and divided by the number of
    pixels that count in *all* batches. Memory holds one batch at a time. Only batch normalisation notices, since it
    sees small batches.
    """
    counted = sum((masks != 255).sum() for _, masks in batches)
    model.train()
    model.zero_grad()
    total = 0
    for images, masks in batches:
        loss = functional.cross_entropy(model(images), masks, ignore_index=255, reduction="sum") / counted
        loss.backward()
        total = total + loss.detach()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= learning_rate * weight.grad
    model.zero_grad()
    return total


VARIANTS = (
    Variant(
        "6.1",
        "How much hangs over?",
        """
        A network halves a picture of `height` × `width` pixels `halvings` times; each halving gives half a side,
        rounded up. Then its map is enlarged by the same factor, and what hangs over at the far sides is cut off. How
        many rows and how many columns are cut off? Return two `int`s; `conv_size` may help.
        """,
        Exercise("6.1b", "cut_off", _check_cut_off, (), allows=(conv_size,)),
        cut_off,
    ),
    Variant(
        "6.2",
        "The price of nothing, in mIoU",
        """
        `masks` are class numbers, int64 (N, H, W), with void 255. The answer is background, 0, everywhere. Return two
        mean IoUs as a float64 tensor of shape (2,): void left out; and void counted as background. The mean goes over
        the classes that are in the masks or in the answer; void is no class. All pixels are counted together. Not every
        pixel is void. `ConfusionMatrix` may help.
        """,
        Exercise("6.2b", "price_in_miou", _check_price_in_miou, (), allows=(ConfusionMatrix,)),
        price_in_miou,
    ),
    Variant(
        "6.3",
        "The loss of a crack",
        """
        Two classes need one logit: `logits` (N, 1, H, W) in float64, and the probability of *crack* is its sigmoid.
        `target`, int64 (N, H, W), is 1 for crack, 0 for none, 255 for void; at least one pixel counts. Return the mean,
        over the pixels that count, of minus log of the probability of what is true, a float64 tensor of shape (). Large
        logits must not overflow, and gradients must be right. Without PyTorch's cross-entropies (binary ones, too),
        `nll_loss` and soft margin losses, and without the book's.
        """,
        Exercise("6.3b", "crack_loss", _check_crack_loss, ()),
        crack_loss,
    ),
    Variant(
        "6.4",
        "Every pixel counts alike",
        """
        `matrix` is a confusion matrix, int64 (K, K), rows are the truth. Return the IoU of the classes, weighted: each
        class by its share of the true pixels. A float64 tensor of shape (). A class that is neither in the truth nor in
        the answer must do no harm.
        """,
        Exercise("6.4b", "weighted_iou", _check_weighted_iou, ()),
        weighted_iou,
    ),
    Variant(
        "6.5",
        "A linear layer from another library",
        """
        In TensorFlow the channels of a map come last. There a map of `height` × `width` × C was *flattened*, row by
        row, in each row pixel by pixel, and of each pixel channel by channel; a linear layer with `weight` (K, `height`
        · `width` · C) reads it. Return the kernel of PyTorch's convolution that does the same on a map of C × `height`
        × `width`: (K, C, `height`, `width`). Keep the dtype; gradients must go through.
        """,
        Exercise("6.5b", "channels_last_kernel", _check_channels_last_kernel, ()),
        channels_last_kernel,
    ),
    Variant(
        "6.6",
        "Tiles at equal distances",
        """
        One side of a picture has `size` pixels. Lay tiles of `tile` pixels on it that share at least `overlap`, as few
        as possible, and spread them evenly: if there are n of them, tile number i, counted from 0, begins at i · (size
        − tile) / (n − 1), rounded down. Return the list of their starts, `int`s. A side no longer than a tile has the
        one start 0. `overlap` is smaller than `tile`, and may be 0.
        """,
        Exercise("6.6b", "even_starts", _check_even_starts, ()),
        even_starts,
    ),
    Variant(
        "6.7",
        "Side by side, without a ladder",
        """
        `maps` is a tuple from the *finest* to the coarsest, float64 (N, C_i, h_i, w_i); each has half the rows and
        columns of the one before, rounded up. `weights` is a tuple of the 1 × 1 convolutions that score them, (K, C_i,
        1, 1), without bias. Score each map. Enlarge the scores of map number i (the finest is 0) 2 ** i times, in *one*
        step, and cut off at the far sides what the finest map does not have. All enlarging is bilinear, with nothing
        (zeros) around the map, as in `BilinearUpsample2d`, which you may use, and `bilinear_kernel` and
        `bilinear_conv_transpose`. Return the mean of all these scores, (N, K, h_0, w_0). Gradients must reach all maps
        and all weights.
        """,
        Exercise(
            "6.7b",
            "side_by_side",
            _check_side_by_side,
            (),
            allows=(BilinearUpsample2d, bilinear_kernel, bilinear_conv_transpose),
        ),
        side_by_side,
    ),
    Variant(
        "6.8",
        "From blurred colours to class numbers",
        """
        Somebody has stored coloured masks as JPEG, so that their colours are no longer exact. `picture` is uint8 (3, H,
        W); `colours` is the table, uint8 (K, 3), with K less than 255: row k is the colour of class k. Two colours are
        as far apart as the sum of the absolute differences of their three channels. Return class numbers, int64 (H, W):
        each pixel gets the class of the nearest colour, of equally near ones the smallest number; and void, 255, if
        even that one is farther away than `limit`, an integer.
        """,
        Exercise("6.8b", "nearest_labels", _check_nearest_labels, ()),
        nearest_labels,
    ),
    Variant(
        "6.9",
        "Move and turn a pair",
        """
        Move `image`, uint8 (3, H, W), *and* `mask`, int64 (H, W), by `down` rows and `right` columns. Both may be
        negative, which is up and left; each is smaller than H or W, so that a part of the picture stays. The size
        stays the same. What comes in from outside is 0 in the image and void, 255, in the mask; inside nothing is
        changed. Then turn both by `turns` quarter turns (0 to 3) counter-clockwise, as they are looked at. Return
        both with their dtypes; after one or three turns H and W have changed places.
        """,
        Exercise("6.9b", "shift_pair", _check_shift_pair, ()),
        shift_pair,
    ),
    Variant(
        "6.10",
        "One step, several batches",
        """
        A batch that does not fit into memory is split. `batches` is a tuple of pairs (images, masks): images (n, 3, H,
        W), masks int64 (n, H, W) with void 255; sizes and n may differ from pair to pair, and in each at least one
        pixel counts. Make *one* step of plain SGD with all of them, for any `model` that gives logits (n, K, H, W), in
        `model` itself. It runs once for each pair, in the order given, in training mode, whatever mode it comes in. The
        loss is the cross-entropy, its mean over all pixels of *all* pairs that count. Each weight becomes itself minus
        `learning_rate` times its gradient; a frozen weight (its `requires_grad` is False) stays as it is.

        A gradient that lies in the weights before must not count; and none may lie there afterwards: `grad` is None or
        0. So a second call is a second step. Images and masks stay as they are. Return the loss, from before the
        weights changed, as a `float` or a tensor of shape (). Any loss and any optimiser of PyTorch and any of the
        book's `losses` may be used.
        """,
        Exercise("6.10b", "accumulated_step", _check_accumulated_step, (), allows=(losses,)),
        accumulated_step,
    ),
)

"""Checks and hints of Chapter 06: sizes, scores and the loss, a classifier as a convolution, tiles, FCN-8s."""

from collections import OrderedDict
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code import losses
from chapters_code.data.pictures import VOID
from chapters_code.exercises.checking import Call, Exercise, compare, whole
from chapters_code.metrics import ConfusionMatrix
from chapters_code.transposed import bilinear_kernel

__all__ = ["EXERCISES"]


def _masks(*shape: int, classes: int = 3, void: float = 0.2) -> Tensor:
    """Draw class numbers, half of them background, and some void."""
    masks = torch.randint(0, classes, shape) * torch.randint(0, 2, shape)
    return masks.masked_fill(torch.rand(shape) < void, VOID)


def _check_small_map(answer: Callable) -> None:
    def trusted(height: int, width: int) -> tuple[int, int]:
        for _ in range(5):  # five layers of stride 2, each of which gives one more than half of an odd side
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width

    sides = (1, 31, 32, 33, 63, 65, 320, 481, whole(2, 2000), whole(2, 2000))
    compare(answer, trusted, [Call.of(*one) for one in product(sides, sides)])


def _check_nothing_learnt(answer: Callable) -> None:
    def trusted(masks: Tensor) -> Tensor:
        pairs = [(pixel == 0, pixel == VOID) for pixel in masks.flatten().tolist()]
        background, void = (sum(kind) for kind in zip(*pairs, strict=True))
        scores = (background / (len(pairs) - void), (background + void) / len(pairs))
        return torch.tensor(scores, dtype=torch.float64)

    shapes = ((1, 1, 2), (1, 2, 3), (2, 1, 3), (1, 5, 4), (3, 4, 6), (2, 9, 7))
    drawn = [_masks(*shape, classes=classes) for shape in shapes for classes in (1, 3, 21)]
    full = [masks.masked_fill(masks == VOID, 1) for masks in drawn]
    compare(answer, trusted, [Call.of(masks) for masks in (*full, *drawn) if (masks != VOID).any()])


def _check_pixel_loss(answer: Callable) -> None:
    def trusted(logits: Tensor, target: Tensor) -> Tensor:
        # Not the book's: that one is closed while the answer runs, and an answer may have replaced it.
        total = functional.cross_entropy(logits, target, ignore_index=VOID, reduction="sum")
        return total / (target != VOID).sum().clamp(min=1)

    calls = []
    for (n, classes, height, width), void in product(
        ((1, 2, 1, 2), (1, 3, 2, 3), (2, 4, 3, 2), (3, 5, 4, 7)), (0.0, 0.3, 1.0)
    ):
        logits = torch.randn(n, classes, height, width, dtype=torch.float64) * 3
        calls.append(Call.of(logits, _masks(n, height, width, classes=classes, void=void)))
    # So large that the exponential overflows; without void, and with some.
    for call, other in zip(calls[3:5], (0, VOID), strict=True):
        logits, target = call.arguments
        target = target.clone()
        target[0, 0, 0], target[0, 1, 1] = 1, other
        calls.append(Call.of(logits * 1000, target))
    closed = (losses.cross_entropy,)
    compare(answer, trusted, calls, gradients=True, without=("nll_loss", "cross_entropy"), closed=closed)


def _check_mean_iou(answer: Callable) -> None:
    def trusted(matrix: Tensor) -> Tensor:
        classes = range(len(matrix))
        found = []
        for k in classes:
            either = sum(int(matrix[k, p]) for p in classes) + sum(int(matrix[t, k]) for t in classes if t != k)
            if either:
                found.append(int(matrix[k, k]) / either)
        return torch.tensor(sum(found) / len(found), dtype=torch.float64)

    calls = []
    for classes in (2, 2, 3, 3, 4, 6, 21):
        matrix = torch.randint(0, 9, (classes, classes))
        matrix[0, 0] = 50
        calls.append(Call.of(matrix))
        gone = matrix.clone()
        gone[1], gone[:, 1] = 0, 0  # a class that is nowhere
        only_said, only_true = matrix.clone(), matrix.clone()
        only_said[1] = 0  # one that is said, and never true
        only_true[:, 1] = 0
        calls += [Call.of(one) for one in (gone, only_said, only_true)]
    methods = (ConfusionMatrix.mean_iou, ConfusionMatrix.class_iou)
    compare(answer, trusted, calls, closed=methods)


def _check_as_convolution(answer: Callable) -> None:
    def trusted(weight: Tensor, height: int, width: int) -> Tensor:
        classes, numbers = weight.shape
        kernel = weight.new_zeros(classes, numbers // (height * width), height, width)
        for place in range(numbers):  # a map is flattened channel by channel, and in each row by row
            channel, inside = divmod(place, height * width)
            kernel[:, channel, inside // width, inside % width] = weight[:, place]
        return kernel

    calls = []
    for (classes, channels), (height, width), dtype in product(
        ((1, 1), (2, 1), (1, 3), (4, 2)), ((1, 1), (1, 2), (2, 3), (3, 2), (7, 7)), (torch.float32, torch.float64)
    ):
        calls.append(Call.of(torch.randn(classes, channels * height * width, dtype=dtype), height, width))
    compare(answer, trusted, calls, gradients=True)


def _check_tile_starts(answer: Callable) -> None:
    def trusted(size: int, tile: int, overlap: int, align: int) -> tuple[int, ...]:
        step = tile - overlap
        while step % align:
            step -= 1
        last = max(size - tile, 0)
        while last % align:
            last -= 1
        starts, start = [], 0
        while start < last:
            starts.append(start)
            start += step
        return (*starts, last)

    calls = []
    for align, tile, overlap in ((1, 3, 1), (1, 5, 4), (2, 4, 2), (2, 8, 3), (32, 96, 32), (32, 576, 530), (8, 64, 1)):
        sizes = (1, tile - 1, tile, tile + 1, tile + align, 2 * tile, 2 * tile + align - 1, 3 * tile + 1)
        calls += [Call.of(size, tile, overlap, align) for size in (*sizes, whole(tile, 5 * tile))]
    compare(answer, trusted, calls)


def _small_features() -> nn.Sequential:
    """Make a network whose parts have ResNet-18's names and strides, and hardly any channels."""

    def halve(channels: int, more: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(channels, more, 3, stride=2, padding=1), nn.Tanh())

    parts = {"conv1": halve(3, 2), "maxpool": nn.MaxPool2d(3, 2, 1), "layer1": nn.Conv2d(2, 2, 3, padding=1)}
    parts |= {"layer2": halve(2, 3), "layer3": halve(3, 4), "layer4": halve(4, 5)}
    return nn.Sequential(OrderedDict(parts)).double()


def _check_fcn_8s(answer: Callable) -> None:
    def enlarge(maps: Tensor, scale: int, like: Tensor) -> Tensor:
        channels = maps.shape[1]
        kernel = bilinear_kernel(channels, channels, 2 * scale).to(maps)
        larger = functional.conv_transpose2d(maps, kernel, stride=scale, padding=scale // 2)
        return larger[..., : like.shape[-2], : like.shape[-1]]

    def trusted(x: Tensor, features: nn.Sequential, weight2: Tensor, weight3: Tensor, weight4: Tensor) -> Tensor:
        maps, seen = x, {}
        for name, part in features.named_children():
            maps = seen[name] = part(maps)
        scores = functional.conv2d(seen["layer4"], weight4)
        for name, weight in (("layer3", weight3), ("layer2", weight2)):
            scores = enlarge(scores, 2, seen[name]) + functional.conv2d(seen[name], weight)
        return enlarge(scores, 8, x)

    calls = []
    for shape, classes in (((1, 3, 2, 3), 1), ((1, 3, 32, 64), 2), ((2, 3, 33, 47), 3), ((1, 3, 70, 40), 2)):
        features = _small_features()
        x = torch.randn(*shape, dtype=torch.float64) * 3
        weights = [torch.randn(classes, channels, 1, 1, dtype=torch.float64) for channels in (3, 4, 5)]
        calls.append(Call.of(x, features, *weights))
        # As the paper begins: the skips say nothing yet.
        calls.append(Call.of(x, features, weights[0] * 0, weights[1] * 0, weights[2]))
    compare(answer, trusted, calls, gradients=True)


EXERCISES = (
    Exercise(
        "6.1",
        "small_map",
        _check_small_map,
        (
            "Five layers have a stride of 2. What does each make of 8 pixels, and of 9?",
            "Half, rounded up. Rounding up five times is the same as once, at the end.",
            "Python's // rounds down. Which number, added before, makes it round up? Or turn the sign, twice.",
        ),
    ),
    Exercise(
        "6.2",
        "nothing_learnt",
        _check_nothing_learnt,
        (
            "Which pixels are right, if the answer is 0 everywhere, and how many are counted?",
            "In the first score a void pixel is neither right nor counted. In the second it is both.",
            "Count the zeros and the 255s with ==, and divide as float64. torch.stack makes one tensor of two numbers.",
        ),
    ),
    Exercise(
        "6.3",
        "pixel_loss",
        _check_pixel_loss,
        (
            "For one pixel: minus the logit of the true class, plus the logarithm of the sum of exp over all logits.",
            "torch.logsumexp does the second part without overflow. For the first, Tensor.gather picks one channel per"
            " pixel; but it cannot pick channel 255, so give void pixels a class that exists, and drop them later.",
            "Set the loss of void pixels to 0, add all up, and divide by the number of the others, or by 1 if there"
            " are none.",
        ),
    ),
    Exercise(
        "6.4",
        "mean_iou",
        _check_mean_iou,
        (
            "Row k counts what is k in truth, column k what was said to be k. What is on the diagonal lies in both.",
            "The union: the row's sum and the column's sum, but the diagonal was counted twice.",
            "A union of 0 gives 0 / 0. Leave these classes out before you take the mean; nanmean does, too.",
        ),
    ),
    Exercise(
        "6.5",
        "as_convolution",
        _check_as_convolution,
        (
            "A linear layer multiplies all numbers of the flattened map by weights and adds up. So does a kernel that"
            " is as large as the map.",
            "Not one number changes; only the shape does. How does flatten lay out (C, height, width)?",
            "Give the second axis back its three: Tensor.reshape or Tensor.unflatten, with -1 for the channels.",
        ),
    ),
    Exercise(
        "6.6",
        "tile_starts",
        _check_tile_starts,
        (
            "Draw a side of 10 pixels and tiles of 4 that share 2: where do they begin, and where does the last one?",
            "The last one begins at size − tile, or at 0. It and the step are rounded down to multiples of align.",
            "Python's range leaves its end out. So what it gives from 0 to the last start lacks just that one.",
        ),
    ),
    Exercise(
        "6.7",
        "fcn_8s",
        _check_fcn_8s,
        (
            "Run the parts one after another, as nn.Sequential does, and keep three of the maps: named_children() says"
            " each part's name.",
            "Begin at the coarsest: score it, enlarge the scores twice, cut off what is too much, add the scores of the"
            " next finer map. Then the same again.",
            "At last enlarge 8 times and crop to the picture. BilinearUpsample2d(2) and (8) do the enlarging.",
        ),
    ),
)

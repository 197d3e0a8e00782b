"""Solutions of Chapter 06."""

import torch
from torch.nn import functional

from chapters_code.transposed import BilinearUpsample2d


def small_map(height, width):
    """Each of the five layers gives half a side, rounded up. To round up once, at the end, gives the same: the map has
    as many cells as it takes to cover the picture with cells of 32 pixels. So the enlarged map is never too small, and
    FCN can always crop.
    """
    return (height + 31) // 32, (width + 31) // 32


def nothing_learnt(masks):
    """The right ones are the background, and in the second score the border, too: there it *is* background. The second
    number is never the smaller one. On VOC it is larger by one to two hundredths, and no network has learnt anything.
    """
    background, void = (masks == 0).sum().double(), (masks == 255).sum().double()
    total = masks.numel()
    return torch.stack([background / (total - void), (background + void) / total])


def pixel_loss(logits, target):
    """`logsumexp` takes the largest logit out before it takes the exponential, so nothing overflows. Void pixels get
    class 0, so that there is something to pick, and then the loss 0. They also get no gradient: `where` lets none
    through. The 1 in `clamp` is for a batch of void alone, whose loss is 0 / 1.
    """
    counts = target != 255
    picked = logits.gather(1, target.where(counts, 0)[:, None])[:, 0]
    losses = logits.logsumexp(dim=1) - picked
    return losses.where(counts, 0).sum() / counts.sum().clamp(min=1)


def mean_iou(matrix):
    """Intersection over union, class by class, for all at once. A class that is neither there nor said has 0 / 0, which
    is NaN, and `nanmean` leaves it out: the score speaks of the classes that this picture is about. A class that is
    said and is not there has 0, and pulls the mean down, as it should.
    """
    right = matrix.diagonal().double()
    return (right / (matrix.sum(0) + matrix.sum(1) - right)).nanmean()


def as_convolution(weight, height, width):
    """Not one number changes. `flatten` lays a map out channel by channel and row by row, and `unflatten` reads the
    weights in the same order. For ResNet, whose mean leaves a map of 1 × 1, that is the 1 × 1 convolution of this
    chapter; for VGG-16, which flattens 7 × 7, it is how the paper made the first FCN.
    """
    return weight.unflatten(1, (-1, height, width))


def tile_starts(size, tile, overlap, align):
    """Tiles begin every `tile - overlap` pixels, and the last one where it just reaches the end; both rounded down to
    what the network's stride allows. Where the last one was rounded down, `predict_tiled` makes it so much longer. A
    side no longer than the tile has one start, 0.
    """
    step = (tile - overlap) // align * align
    last = max(size - tile, 0) // align * align
    return [*range(0, last, step), last]


def fcn_8s(x, features, weight2, weight3, weight4):
    """The finer maps have more places and know less; the coarser ones know more. So what the scores of `layer4` say in
    cells of 32 pixels, those of `layer3` correct in cells of 16, and those of `layer2` in cells of 8. The paper starts
    the skips at 0: then nothing is lost at first, and their gradient is not 0, so they learn.
    """
    maps, current = {}, x
    for name, part in features.named_children():
        maps[name] = current = part(current)
    scores = functional.conv2d(maps["layer4"], weight4)
    for name, weight in (("layer3", weight3), ("layer2", weight2)):
        finer = functional.conv2d(maps[name], weight)
        scores = BilinearUpsample2d(2)(scores)[..., : finer.shape[-2], : finer.shape[-1]] + finer
    return BilinearUpsample2d(8)(scores)[..., : x.shape[-2], : x.shape[-1]]

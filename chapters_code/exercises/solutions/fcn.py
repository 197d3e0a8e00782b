"""Solutions of Chapter 06."""

import torch
from torch.nn import functional

from chapters_code.data import SyntheticVOC
from chapters_code.metrics import ConfusionMatrix
from chapters_code.train.losses import cross_entropy
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


def ladder(maps, weights, scale, size):
    """The finer maps have more places and know less; the coarser ones know more. So the coarsest begins, and each rung
    corrects it at twice as many places. A side that was rounded up on the way down is one too long when it is doubled,
    and that one lies at the far end. With `layer4` alone, and a scale of 32, this is FCN-32s; with `layer3` and 16
    FCN-16s; with `layer2` and 8 FCN-8s. Nothing stops you from going on to `layer1`.
    """
    scores = functional.conv2d(maps[0], weights[0])
    for finer, weight in zip(maps[1:], weights[1:], strict=True):
        height, width = finer.shape[-2:]
        scores = BilinearUpsample2d(2)(scores)[..., :height, :width] + functional.conv2d(finer, weight)
    return BilinearUpsample2d(scale)(scores)[..., : size[0], : size[1]]


def labels_from_colours(picture, colours):
    """All is void until a row of the table claims it, so what no row claims stays void. A table of zeros with a place
    for each of the 256³ colours, as in the source, does it the other way round: there every colour that nobody thought
    of, such as the border of the objects, is background.
    """
    labels = torch.full(picture.shape[1:], 255)
    for number, colour in enumerate(colours):
        labels[(picture == colour[:, None, None]).all(dim=0)] = number
    return labels


def crop_pair(image, mask, top, left, height, width, mirror):
    """`functional.pad` adds what is missing on a side, and cuts off where a number is negative; so one line serves all
    four sides, inside and outside. The frame is the same for both, and its filling is not: black is a colour, and
    nobody knows what is there, so the mask says void. A random crop is this one with `top`, `left` and `mirror` drawn
    *once* for the pair.
    """
    rows, columns = mask.shape
    frame = (-left, left + width - columns, -top, top + height - rows)
    image, mask = functional.pad(image, frame, value=0), functional.pad(mask, frame, value=255)
    return (image.flip(-1), mask.flip(-1)) if mirror else (image, mask)


def step(model, images, masks, learning_rate):
    """This is all of training; the rest of `fit` repeats it and keeps books. `backward` *adds* to the gradients that
    lie there, so old ones go first. In training mode, batch normalisation uses this batch, and remembers it. `no_grad`
    keeps PyTorch from recording the change as part of the next gradient, and `detach` lets it forget this one. Where
    all pixels count, it equals the source's step with a rate N times smaller: there the losses of N pictures are added
    up.
    """
    model.train()
    model.zero_grad()
    loss = cross_entropy(model(images), masks)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= learning_rate * weight.grad
    model.zero_grad()
    return loss.detach()


def what_notices():
    """The class never changes: neither changes which logit is the largest. So no score that counts classes notices,
    accuracy and mIoU alike. The loss notices the factor: a network whose logits are ten times larger is surer of
    itself, and pays more for each mistake. The summand it does not notice, since softmax looks only at differences. A
    loss can fall while the score stays, and the other way round.
    """
    logits, target = torch.randn(2, 4, 3, 5).double(), torch.randint(0, 4, (2, 3, 5))
    changes = []
    for other in (10 * logits, logits + 10):
        changes.append(not torch.equal(other.argmax(1), logits.argmax(1)))
        losses = [functional.cross_entropy(one, target) for one in (logits, other)]
        changes.append(not torch.isclose(*losses))
    return tuple(changes)


def two_scores():
    """Right are 5 pixels of crack and 85 of road: 0.9. The crack's union is 10 + 10 − 5 = 15, so its IoU is ⅓, and the
    road's is 85 / 95. Their mean is 0.614. *Road everywhere* has the same pixel accuracy of 0.9, and a mean IoU of
    0.45. Only the second score sees that half of the crack was found.
    """
    both, crack, said = 5, 10, 10
    road_right = 100 - (crack + said - both)
    iou_crack, iou_road = both / (crack + said - both), road_right / (100 - both)
    return (both + road_right) / 100, (iou_crack + iou_road) / 2


def best_of_a_grid():
    """About 0.59 and 0.87: so much has an answer that is right in the middle of every cell, and is made of squares. In
    an mIoU of 0.6 there may be no mistake about *what* at all, only about *where*. (Scores that are enlarged smoothly
    can draw better outlines than squares; but they, too, have one set of scores for each cell.) So before you blame a
    network, ask what its grid allows.
    """
    truth = torch.stack([scene.mask for scene in SyntheticVOC(20, size=(192, 256), seed=6)])
    scores = []
    for cell in (32, 8):
        middles = truth[:, cell // 2 :: cell, cell // 2 :: cell]
        answer = middles.where(middles != 255, 0).repeat_interleave(cell, 1).repeat_interleave(cell, 2)
        counts = ConfusionMatrix(21)
        counts.update(answer, truth)
        scores.append(counts.mean_iou())
    return tuple(scores)


def why_no_margin_helps():
    """The theorem needs a network whose every output depends on nothing farther away than some number of pixels. The
    branch of the mean depends on all pixels of what it is given: in each tile it sees another picture, and gives
    another number, in the middle of the tile as well as at its edge. So no margin makes the tiles equal to the whole.
    Leave that branch out, and the theorem holds again; but the margin must be wider. On a map of stride 32 a tap at
    rate 6 lies 192 pixels away, and so much farther does every cell look.
    """
    return (
        "A margin helps only if each output depends on pixels up to a certain distance, and on no others.",
        "The mean of the map depends on the whole tile, so it differs from tile to tile at every pixel.",
        "Without that branch the theorem holds again, with a margin that is wider by the largest rate times the"
        " stride.",
    )

"""Checks and hints of Chapter 06: sizes, scores, the loss, tiles, skips, colours, crops, a step of training."""

import copy
from collections.abc import Callable
from functools import cache, partial
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.data.pictures import VOID, palette
from chapters_code.data.synthetic import SyntheticVOC
from chapters_code.exercises.checking import Asked, Call, Exercise, agree, all_pairs, compare, whole
from chapters_code.metrics import ConfusionMatrix
from chapters_code.shapes import conv_size
from chapters_code.train import losses
from chapters_code.transposed import BilinearUpsample2d, bilinear_conv_transpose, bilinear_kernel

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


def _summed(logits: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(logits, target, ignore_index=VOID, reduction="sum")


def _check_pixel_loss(answer: Callable) -> None:
    def trusted(logits: Tensor, target: Tensor) -> Tensor:
        # Not the book's: that one is closed while the answer runs, and an answer may have replaced it.
        return _summed(logits, target) / (target != VOID).sum().clamp(min=1)

    def ask(loss: object, logits: Tensor, target: Tensor) -> object:
        """Where no pixel counts any 0 will do, with a gradient or without."""
        if (target != VOID).any():
            return loss
        if isinstance(loss, Tensor) and loss.shape == ():
            return loss.double()
        return torch.tensor(loss, dtype=torch.float64) if type(loss) in (int, float) else loss

    calls = []
    for (n, classes, height, width), void in product(
        ((1, 2, 1, 2), (1, 3, 2, 3), (2, 4, 3, 2), (3, 5, 4, 7)), (0.0, 0.3, 1.0)
    ):
        logits = torch.randn(n, classes, height, width, dtype=torch.float64) * 3
        calls.append(Call.of(logits, _masks(n, height, width, classes=classes, void=void)))
    # One pixel counts.
    alone = torch.tensor([[[VOID, 1], [VOID, VOID]]])
    calls.append(Call.of(torch.randn(1, 3, 2, 2, dtype=torch.float64), alone))
    # So large that the exponential overflows; without void, and with some.
    for call, other in zip(calls[3:5], (0, VOID), strict=True):
        logits, target = call.arguments
        target = target.clone()
        target[0, 0, 0], target[0, 1, 1] = 1, other
        calls.append(Call.of(logits * 1000, target))
    compare(Asked(answer, ask), trusted, calls, gradients=True, without=("nll_loss", "cross_entropy"))


def _ious(matrix: Tensor) -> Tensor:
    right = matrix.diagonal().double()
    return right / (matrix.sum(0) + matrix.sum(1) - right)


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
    compare(answer, trusted, calls)


def _check_as_convolution(answer: Callable) -> None:
    def trusted(weight: Tensor, height: int, width: int) -> Tensor:
        classes, numbers = weight.shape
        kernel = weight.new_zeros(classes, numbers // (height * width), height, width)
        for place in range(numbers):  # a map is flattened channel by channel, and in each row by row
            channel, inside = divmod(place, height * width)
            kernel[:, channel, inside // width, inside % width] = weight[:, place]
        return kernel

    calls = []
    for (classes, channels), (height, width), dtype in all_pairs(
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


def _check_ladder(answer: Callable) -> None:
    def enlarge(scores: Tensor, scale: int, size: tuple[int, ...]) -> Tensor:
        channels = scores.shape[1]
        kernel = bilinear_kernel(channels, channels, 2 * scale - scale % 2).to(scores)
        larger = functional.conv_transpose2d(scores, kernel, stride=scale, padding=scale // 2)
        return larger[..., : size[0], : size[1]]

    def trusted(maps: tuple[Tensor, ...], weights: tuple[Tensor, ...], scale: int, size: tuple[int, int]) -> Tensor:
        scores, *finer = map(functional.conv2d, maps, weights)
        for beside in finer:
            scores = enlarge(scores, 2, beside.shape[2:]) + beside
        return enlarge(scores, scale, size)

    calls = []
    finest = (((2, 3), 8), ((4, 5), 1), ((7, 6), 2), ((whole(5, 9), whole(10, 15)), 4))
    for steps, ((height, width), scale) in product((1, 2, 3, whole(4, 7)), finest):
        size = (scale * height - whole(0, scale), scale * width - whole(0, scale))
        n, classes, maps = 1 + height % 2, whole(1, 4), []
        for _ in range(steps):  # from the finest map on: the next one has sides half as long, rounded up
            maps.insert(0, torch.randn(n, whole(1, 4), height, width, dtype=torch.float64))
            height, width = (height + 1) // 2, (width + 1) // 2
        weights = [torch.randn(classes, one.shape[1], 1, 1, dtype=torch.float64) for one in maps]
        calls.append(Call.of(tuple(maps), tuple(weights), scale, size))
    compare(answer, trusted, calls, gradients=True)


def _check_labels_from_colours(answer: Callable) -> None:
    def trusted(picture: Tensor, colours: Tensor) -> Tensor:
        classes = {tuple(colour): number for number, colour in enumerate(colours.tolist())}
        pixels = [classes.get(tuple(pixel), VOID) for pixel in picture.flatten(1).T.tolist()]
        return torch.tensor(pixels).reshape(picture.shape[1:])

    def table(classes: int) -> Tensor:
        """Draw colours of few different levels: many share channels, or are one step apart."""
        levels = torch.tensor([0, 1, 64, 127, 128, 255], dtype=torch.uint8)
        return torch.cartesian_prod(levels, levels, levels)[torch.randperm(216)[:classes]]

    calls = []
    for colours in (palette()[:1], palette()[:2], palette()[:21], palette()[1:21], table(120)):
        for height, width in ((1, 2), (4, 3), (25, 30)):
            known = colours[torch.randint(0, len(colours), (height, width))]
            near = known + torch.tensor([0, 0, 1], dtype=torch.uint8)  # 255 becomes 0
            mirrored = known.flip(-1)
            void = palette()[VOID].expand(height, width, 3)
            kinds = torch.stack([known, known, table(1).expand_as(known), near, mirrored, void])
            kind = torch.randint(0, len(kinds), (height, width))
            mixed = kinds[kind, torch.arange(height)[:, None], torch.arange(width)]
            calls += [Call.of(one.permute(2, 0, 1).contiguous(), colours) for one in (known, mixed, void)]
    compare(answer, trusted, calls)


def _check_crop_pair(answer: Callable) -> None:
    def trusted(
        image: Tensor, mask: Tensor, top: int, left: int, height: int, width: int, mirror: bool
    ) -> tuple[Tensor, Tensor]:
        new_image, new_mask = image.new_zeros(3, height, width), mask.new_full((height, width), VOID)
        for i, j in product(range(height), range(width)):
            row, column = top + i, left + (width - 1 - j if mirror else j)
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
                new_image[:, i, j], new_mask[i, j] = image[:, row, column], mask[row, column]
        return new_image, new_mask

    calls = []
    for height, width in ((1, 2), (2, 3), (5, 4), (7, 9), (12, 10)):
        # Black pixels, and pixels of background and of void, are among them: none may be taken for the outside.
        image = torch.randint(1, 256, (3, height, width), dtype=torch.uint8)
        image *= torch.randint(0, 3, (height, width)) > 0
        mask = torch.tensor([0, 1, 7, 15, VOID])[torch.randint(0, 5, (height, width))]
        windows = [
            (0, 0, height, width),
            (height // 2, width // 2, height - height // 2, width - width // 2),  # to the last row and column
            (height // 3, width // 3, max(1, height // 3), max(1, width // 2)),
            (-1, -2, height + 1, width + 2),  # over one corner
            (height - 1, width - 1, 3, 2),  # over the other one: one pixel is left
            (-2, -1, height + 5, width + 3),  # on all sides
            (whole(1 - height, height), whole(1 - width, width), height, width),
        ]
        calls += [Call.of(image, mask, *window, mirror) for window in windows for mirror in (False, True)]
    compare(answer, trusted, calls)


class _Led(Asked):
    """An answer that a function of ours calls, since it is to change what it is given: `ask(answer, *arguments)`."""

    def __call__(self, *arguments: object) -> object:
        return self.ask(self.answer, *arguments)


def _check_step(answer: Callable) -> None:
    def trusted(model: nn.Module, images: Tensor, masks: Tensor, learning_rate: float) -> Tensor:
        model.zero_grad()
        counts = masks != VOID
        # Not the book's loss, nor PyTorch's: an answer may have replaced them.
        logs = model.train()(images).log_softmax(dim=1).movedim(1, -1)[counts]
        loss = -logs.gather(1, masks[counts][:, None]).mean()
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight -= learning_rate * gradient
        return loss

    def loss(returned: object, model: nn.Module) -> object:
        if isinstance(returned, Tensor):
            return returned.detach().double()
        return torch.tensor(returned, dtype=torch.float64) if isinstance(returned, float) else returned

    def numbers(returned: object, model: nn.Module) -> tuple[Tensor, ...]:
        return tuple(model.state_dict().values())

    def gradients(returned: object, model: nn.Module) -> tuple[Tensor, ...]:
        return tuple(torch.zeros_like(one) if one.grad is None else one.grad for one in model.parameters())

    looks = {
        (1, "the loss that comes back"): loss,
        (1, "model.state_dict(), after the step"): numbers,
        (1, "the gradients, after the step"): gradients,
        (2, "model.state_dict(), after both steps"): numbers,
    }

    def lead(
        step: Callable,
        model: nn.Module,
        images: Tensor,
        masks: Tensor,
        learning_rate: float,
        old_gradient: float | None,
        steps: int,
        compared: str,
    ) -> object:
        model = copy.deepcopy(model)  # a step changes it, and `compare` takes that for a fault
        for weight in model.parameters():
            if weight.requires_grad and old_gradient is not None:  # set here, since a copied weight has no gradient
                weight.grad = torch.full_like(weight, old_gradient)
        for _ in range(steps):
            returned = step(model, images, masks, learning_rate)
        return looks[steps, compared](returned, model)

    plain = nn.Sequential(nn.Conv2d(3, 2, 1))
    deeper = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 3, 1))
    frozen = copy.deepcopy(deeper).eval()
    frozen[0].requires_grad_(False)
    calls = []
    for model, (n, height, width) in ((plain, (1, 1, 2)), (deeper, (3, 2, 3)), (frozen, (3, 3, 2))):
        images = torch.randn(n, 3, height, width, dtype=torch.float64)
        masks = torch.randint(0, model[-1].out_channels, (n, height, width))
        bordered = masks.masked_fill(torch.rand(masks.shape) < 0.3, VOID)
        bordered[0] = VOID  # one pixel of the first picture counts: the mean over pixels is not that over pictures
        bordered[0, 0, 0] = 1
        for more, look in product(((masks, 0.5, None), (bordered, 2.0, 5.0)), looks):
            calls.append(Call.of(model.double(), images, *more, *look))
    compare(_Led(answer, lead), partial(lead, trusted), calls)


def _check_what_notices(answer: object) -> None:
    logits, target = torch.randn(2, 4, 3, 5, dtype=torch.float64), torch.randint(0, 4, (2, 3, 5))

    def changed(other: Tensor) -> tuple[bool, bool]:
        same_loss = torch.isclose(*(functional.cross_entropy(one, target) for one in (logits, other)))
        return not torch.equal(logits.argmax(1), other.argmax(1)), not same_loss

    agree(answer, (*changed(10 * logits), *changed(logits + 10)))


def _check_two_scores(answer: object) -> None:
    truth, said = set(range(10)), set(range(5, 15))
    road, said_road = set(range(100)) - truth, set(range(100)) - said
    ious = [len(one & other) / len(one | other) for one, other in ((truth, said), (road, said_road))]
    agree(answer, ((len(truth & said) + len(road & said_road)) / 100, sum(ious) / 2), within=0.002)


@cache
def _grid_miou(cell: int) -> float:
    """Score the answer that gives `cell` × `cell` pixels the class of their middle."""
    truth = torch.stack([scene.mask for scene in SyntheticVOC(20, size=(192, 256), seed=6)])
    rows, columns = (torch.arange(side) // cell * cell + cell // 2 for side in truth.shape[1:])
    said = truth[:, rows[:, None], columns]
    said, true = said.masked_fill(said == VOID, 0)[truth != VOID], truth[truth != VOID]
    return _ious(torch.bincount(21 * true + said, minlength=441).reshape(21, 21)).nanmean().item()


def _check_best_of_a_grid(answer: object) -> None:
    agree(answer, (_grid_miou(32), _grid_miou(8)), within=0.01)


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
        allows=(conv_size,),
        mistakes=(
            (2, lambda height, width: (height // 32, width // 32)),
            (3, lambda height, width: (height // 32 + 1, width // 32 + 1)),
            (1, "numbers"),
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
        allows=(ConfusionMatrix,),
        mistakes=(
            (2, "numbers"),
            (3, "dtype"),
            (3, "type"),
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
        mistakes=(
            (3, lambda logits, target: _summed(logits, target) / target.numel()),
            (3, _summed),
            (3, lambda logits, target: _summed(logits, target) / (target != VOID).sum()),
            (2, "error"),
            (2, "gradient"),
            (2, "numbers"),
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
        mistakes=(
            (2, lambda matrix: (matrix.diagonal().double() / (matrix.sum(0) + matrix.sum(1))).nanmean()),
            (3, lambda matrix: _ious(matrix).mean()),
            (3, lambda matrix: _ious(matrix).nan_to_num(0).mean()),
            (3, lambda matrix: _ious(matrix).nan_to_num(1).mean()),
            (1, "numbers"),
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
        mistakes=(
            (3, "shape"),
            (2, "numbers"),
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
        mistakes=(
            (3, "type"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "6.7",
        "ladder",
        _check_ladder,
        (
            "Begin with the coarsest map alone: score it with functional.conv2d, enlarge the scores, cut them off. That"
            " is FCN-32s. Which steps come in between if there is a second map?",
            "One rung: BilinearUpsample2d(2) of the scores, cut off to the sides of the next map, plus the scores of"
            " that map. The rungs are a loop over all maps but the first.",
            "Cut off at the far sides, [..., :rows, :columns], and never resize. The last enlarging is another one, by"
            " `scale` and to `size`, behind the loop.",
        ),
        allows=(
            BilinearUpsample2d,
            bilinear_kernel,
            bilinear_conv_transpose,
        ),
        mistakes=(
            (3, "shape"),
            (3, "error"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "6.8",
        "labels_from_colours",
        _check_labels_from_colours,
        (
            "Begin with a map in which every pixel is void. Who gets another number then, and who keeps this one?",
            "A pixel has a colour if all three channels agree, not if one of them does. Take one row of the table at a"
            " time. Which shape must three numbers have, to be compared with (3, H, W)?",
            "row[:, None, None] is (3, 1, 1). all(dim=0) makes one map of True and False of the three; it can be the"
            " index at which the number of the row is written.",
        ),
        allows=(palette,),
        mistakes=(
            (3, "shape"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "6.9",
        "crop_pair",
        _check_crop_pair,
        (
            "Draw a picture of 3 × 4 pixels and a window that begins at row −1, column 2. Which of its pixels lie"
            " outside? In a slice, −1 would be the last row.",
            "So pad first, or cut and then pad: 0 around the image, 255 around the mask. functional.pad takes (left,"
            " right, top, bottom), and cuts off where a number is negative.",
            "On the left −left columns are missing, on the right left + width − W; the same with rows. At the end"
            " flip(-1) mirrors; what is done to the one must be done to the other.",
        ),
        mistakes=(
            (2, "value 1 of 2: the numbers"),
            (2, "value 2 of 2: the numbers"),
            (2, "shape"),
            (1, "error"),
            (2, "numbers"),
        ),
    ),
    Exercise(
        "6.10",
        "step",
        _check_step,
        (
            "In this order: training mode, old gradients away, forward pass, loss, backward, new weights. Then"
            " gradients away again.",
            "A loss that leaves 255 out is in the book, and PyTorch's has ignore_index. Change the weights in place and"
            " under torch.no_grad(): weight = weight − … only gives the name to another tensor.",
            "A frozen weight has the gradient None, and is left alone. torch.optim.SGD knows that. Gradients go away by"
            " zero_grad, of the network or of the optimiser. Return the loss you have; do not run the network again.",
        ),
        allows=(losses,),
        mistakes=(
            (2, "changed"),
            (1, "numbers"),
        ),
    ),
    Exercise(
        "6.11",
        "what_notices",
        _check_what_notices,
        (
            "The class that is named is the largest of a pixel's logits. Which of the two changes their order?",
            "What do ten times larger logits do to the largest probability, and so to the price of a wrong answer?",
            "Softmax divides exp of each logit by the sum of all. What becomes of it if all logits grow by the same?",
        ),
        mistakes=(
            (1, (True, True, True, True)),
            (1, (True, True, False, False)),
            (2, (False, False, False, False)),
            (3, (False, True, False, True)),
            (3, (False, False, False, True)),
        ),
        kind="predict",
    ),
    Exercise(
        "6.12",
        "two_scores",
        _check_two_scores,
        (
            "First a table of two rows and two columns: how many of the 90 pixels of road are called road?",
            "IoU divides by the pixels that are crack in the truth *or* in the answer. How many are that?",
            "There are two classes, and the road has an IoU, too. The mean goes over both.",
        ),
        mistakes=(
            (1, (0.95, 0.614)),
            (2, (0.9, 0.5)),
            (2, (0.9, 0.722)),
            (3, (0.9, 0.333)),
        ),
        kind="compute",
    ),
    Exercise(
        "6.13",
        "best_of_a_grid",
        _check_best_of_a_grid,
        (
            "Cell i covers rows 32 · i to 32 · i + 31; the one that is asked for is 32 · i + 16. A slice with a step"
            " takes all of them at once.",
            "Tensor.repeat_interleave fills the cells again, once along the rows and once along the columns.",
            "An answer cannot be void: put 0 where a middle is 255. The truth keeps its void, and ConfusionMatrix"
            " leaves it out.",
        ),
        mistakes=(
            (3, (1, 1)),
            (1, (0.034, 0.034)),
        ),
        kind="measure",
    ),
    Exercise(
        "6.14",
        "why_no_margin_helps",
        None,
        (
            "On which pixels of its tile does each branch of ASPP depend?",
            "What does the theorem ask of the network, and which branch does not keep it? The others do, and look how"
            " far?",
        ),
        kind="explain",
    ),
)

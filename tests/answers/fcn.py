"""Answers to the exercises of Chapter 06."""

import math

import torch
from torch.nn import functional

from answers import right, wrong
from chapters_code.losses import cross_entropy
from chapters_code.metrics import ConfusionMatrix
from chapters_code.shapes import conv_size
from chapters_code.transposed import BilinearUpsample2d, bilinear_conv_transpose

# ---- 6.1 small_map ------------------------------------------------------------------------------


@right("6.1")
def turns_the_sign_twice(height, width):
    return -(-height // 32), -(-width // 32)


@right("6.1")
def asks_each_layer(height, width):
    for kernel, padding in ((7, 3), (3, 1), (3, 1), (3, 1), (3, 1)):
        height, width = conv_size((height, width), kernel, 2, padding)
    return height, width


@right("6.1")
def rounds_up_in_fractions(height, width):
    return math.ceil(height / 32), math.ceil(width / 32)


@wrong("6.1", "numbers differ")
def rounds_down(height, width):
    return height // 32, width // 32


@wrong("6.1", "numbers differ")
def rounds_to_the_nearest(height, width):
    return max(1, round(height / 32)), max(1, round(width / 32))


@wrong("6.1", "numbers differ")
def always_adds_one(height, width):
    return height // 32 + 1, width // 32 + 1


@wrong("6.1", "numbers differ")
def swaps_the_sides(height, width):
    return -(-width // 32), -(-height // 32)


@wrong("6.1", "numbers differ")
def forgets_a_layer(height, width):
    return -(-height // 16), -(-width // 16)


@wrong("6.1", "a float")
def leaves_fractions(height, width):
    return height / 32, width / 32


# ---- 6.2 nothing_learnt -------------------------------------------------------------------------


@right("6.2")
def takes_means(masks):
    counted = masks[masks != 255]
    return torch.stack([(counted == 0).double().mean(), ((masks == 0) | (masks == 255)).double().mean()])


@right("6.2")
def asks_the_metric(masks):
    scores = []
    for truth in (masks, masks.masked_fill(masks == 255, 0)):
        counts = ConfusionMatrix(21)
        counts.update(torch.zeros_like(truth), truth)
        scores.append(counts.pixel_accuracy())
    return torch.tensor(scores, dtype=torch.float64)


@wrong("6.2", "numbers differ")
def never_counts_void(masks):
    return takes_means(masks)[:1].repeat(2)


@wrong("6.2", "numbers differ")
def changes_their_places(masks):
    return takes_means(masks).flip(0)


@wrong("6.2", "numbers differ")
def divides_by_all_pixels(masks):
    return torch.stack([(masks == 0).double().mean(), takes_means(masks)[1]])


@wrong("6.2", "numbers differ")
def calls_void_wrong(masks):
    return torch.stack([takes_means(masks)[0], (masks == 0).double().mean()])


@wrong("6.2", "dtype is torch.float32")
def has_single_precision(masks):
    return takes_means(masks).float()


@wrong("6.2", "numbers differ")
def takes_the_mean_of_the_pictures(masks):
    """Pictures with much void weigh too much; right for one picture."""
    scores = torch.stack([takes_means(mask[None]) for mask in masks])
    return scores.nanmean(0)


# ---- 6.3 pixel_loss -----------------------------------------------------------------------------


@right("6.3")
def picks_by_one_hot(logits, target):
    counts = (target != 255).to(logits)
    truth = functional.one_hot(target.clamp(max=logits.shape[1] - 1), logits.shape[1]).permute(0, 3, 1, 2)
    losses = -(truth * logits.log_softmax(1)).sum(1)
    return (losses * counts).sum() / counts.sum().clamp(min=1)


@right("6.3")
def picks_the_pixels_that_count(logits, target):
    pixels = logits.movedim(1, -1)[target != 255]
    truth = target[target != 255]
    losses = -pixels.log_softmax(-1)[torch.arange(len(truth)), truth]
    return losses.sum() / max(1, len(truth))


@wrong("6.3", "PyTorch's own")
def calls_pytorch(logits, target):
    return functional.cross_entropy(logits, target, ignore_index=255)


@wrong("6.3", "without the book's cross_entropy")
def calls_the_book(logits, target):
    return cross_entropy(logits, target)


@wrong("6.3", "numbers differ")
def takes_void_for_background(logits, target):
    return picks_by_one_hot(logits, target.masked_fill(target == 255, 0))


@wrong("6.3", "numbers differ")
def divides_by_all(logits, target):
    return picks_by_one_hot(logits, target) * (target != 255).sum().clamp(min=1) / target.numel()


@wrong("6.3", "numbers differ")
def is_nan_where_nothing_counts(logits, target):
    pixels = logits.movedim(1, -1)[target != 255]
    truth = target[target != 255]
    return -pixels.log_softmax(-1)[torch.arange(len(truth)), truth].mean()


@wrong("6.3", "numbers differ")
def overflows(logits, target):
    counts = target != 255
    picked = logits.gather(1, target.where(counts, 0)[:, None])[:, 0]
    return (logits.exp().sum(1).log() - picked).where(counts, 0).sum() / counts.sum().clamp(min=1)


@wrong("6.3", "stopped with")
def picks_channel_255(logits, target):
    return -logits.log_softmax(1).gather(1, target[:, None]).mean()


@wrong("6.3", "The gradient is wrong")
def forgets_the_gradient_of_the_sum(logits, target):
    counts = target != 255
    picked = logits.gather(1, target.where(counts, 0)[:, None])[:, 0]
    return (logits.detach().logsumexp(1) - picked).where(counts, 0).sum() / counts.sum().clamp(min=1)


@wrong("6.3", "numbers differ")
def adds_up_only(logits, target):
    return picks_by_one_hot(logits, target) * (target != 255).sum()


# ---- 6.4 mean_iou -------------------------------------------------------------------------------


@right("6.4")
def leaves_empty_classes_out(matrix):
    right_ones = matrix.diagonal()
    union = matrix.sum(0) + matrix.sum(1) - right_ones
    return (right_ones[union > 0].double() / union[union > 0]).mean()


@right("6.4")
def loops_over_the_classes(matrix):
    found = []
    for k in range(len(matrix)):
        union = (matrix[k].sum() + matrix[:, k].sum() - matrix[k, k]).item()
        found += [matrix[k, k].item() / union] if union else []
    return torch.tensor(found, dtype=torch.float64).mean()


@wrong("6.4", "numbers differ")
def counts_the_diagonal_twice(matrix):
    right_ones = matrix.diagonal().double()
    return (right_ones / (matrix.sum(0) + matrix.sum(1))).nanmean()


@wrong("6.4", "numbers differ")
def gives_empty_classes_0(matrix):
    right_ones = matrix.diagonal().double()
    return (right_ones / (matrix.sum(0) + matrix.sum(1) - right_ones)).nan_to_num(0).mean()


@wrong("6.4", "numbers differ")
def gives_empty_classes_1(matrix):
    right_ones = matrix.diagonal().double()
    return (right_ones / (matrix.sum(0) + matrix.sum(1) - right_ones)).nan_to_num(1).mean()


@wrong("6.4", "numbers differ")
def is_nan_with_an_empty_class(matrix):
    right_ones = matrix.diagonal().double()
    return (right_ones / (matrix.sum(0) + matrix.sum(1) - right_ones)).mean()


@wrong("6.4", "numbers differ")
def takes_the_mean_accuracy(matrix):
    return (matrix.diagonal().double() / matrix.sum(1)).nanmean()


@wrong("6.4", "numbers differ")
def forgets_the_background(matrix):
    right_ones = matrix.diagonal().double()
    return (right_ones / (matrix.sum(0) + matrix.sum(1) - right_ones))[1:].nanmean()


@wrong("6.4", "dtype is torch.float32")
def divides_in_single_precision(matrix):
    return leaves_empty_classes_out(matrix).float()


@wrong("6.4", "without the book's")
def asks_the_book(matrix):
    counts = ConfusionMatrix(len(matrix))
    counts.matrix, counts._images = matrix, 1
    return torch.tensor(counts.mean_iou(), dtype=torch.float64)


# ---- 6.5 as_convolution -------------------------------------------------------------------------


@right("6.5")
def reshapes(weight, height, width):
    return weight.reshape(len(weight), weight.shape[1] // (height * width), height, width)


@right("6.5")
def cuts_and_stacks(weight, height, width):
    rows = torch.stack(weight.split(width, dim=1), dim=1)
    return torch.stack(rows.split(height, dim=1), dim=1)


@wrong("6.5", "the shape is")
def swaps_height_and_width(weight, height, width):
    return weight.reshape(len(weight), -1, width, height)


@wrong("6.5", "numbers differ")
def turns_the_map(weight, height, width):
    return weight.reshape(len(weight), -1, width, height).mT


@wrong("6.5", "numbers differ")
def puts_the_channels_last(weight, height, width):
    return weight.reshape(len(weight), height, width, -1).permute(0, 3, 1, 2)


@wrong("6.5", "the shape is")
def makes_it_1_by_1(weight, height, width):
    return weight[:, :, None, None]


@wrong("6.5", "numbers differ")
def turns_the_kernel_round(weight, height, width):
    return reshapes(weight, height, width).flip(-2, -1)


@wrong("6.5", "none comes back")
def cuts_the_gradient(weight, height, width):
    return reshapes(weight.detach(), height, width)


# ---- 6.6 tile_starts ----------------------------------------------------------------------------


@right("6.6")
def walks(size, tile, overlap, align):
    starts, last = [0], max(size - tile, 0) // align * align
    while starts[-1] < last:
        starts.append(min(starts[-1] + (tile - overlap) // align * align, last))
    return starts


@right("6.6")
def counts_first(size, tile, overlap, align):
    step, last = (tile - overlap) // align * align, max(size - tile, 0) // align * align
    return tuple(min(number * step, last) for number in range(-(-last // step) + 1))


@wrong("6.6", "the numbers differ")
def lets_the_last_one_hang_over(size, tile, overlap, align):
    step, last = (tile - overlap) // align * align, max(size - tile, 0) // align * align
    return [number * step for number in range(-(-last // step) + 1)]


@wrong("6.6", "values were wanted")
def forgets_the_last(size, tile, overlap, align):
    return list(range(0, max(size - tile, 0) // align * align, (tile - overlap) // align * align))


@wrong("6.6", "values were wanted")
def does_not_align(size, tile, overlap, align):
    return walks(size, tile, overlap, 1)


@wrong("6.6", "values were wanted")
def aligns_the_step_alone(size, tile, overlap, align):
    return [*range(0, max(size - tile, 0), (tile - overlap) // align * align), max(size - tile, 0)]


@wrong("6.6", "values were wanted")
def begins_a_tile_in_every_step_of_the_picture(size, tile, overlap, align):
    return list(range(0, size, (tile - overlap) // align * align))


@wrong("6.6", "numbers differ")
def starts_before_the_picture(size, tile, overlap, align):
    return walks(size, tile, overlap, align) if size >= tile else [size - tile]


# ---- 6.7 fcn_8s ---------------------------------------------------------------------------------


def three_maps(x, features):
    """Run the parts and keep what layer2, layer3 and layer4 give."""
    seen = {}
    for name, part in features.named_children():
        seen[name] = x = part(x)
    return seen["layer2"], seen["layer3"], seen["layer4"]


def cropped(maps, like):
    return maps[..., : like.shape[-2], : like.shape[-1]]


@right("6.7")
def uses_transposed_convolutions(x, features, weight2, weight3, weight4):
    second, third, fourth = three_maps(x, features)
    double, eight = (bilinear_conv_transpose(len(weight4), scale).to(x) for scale in (2, 8))
    scores = functional.conv2d(fourth, weight4)
    scores = cropped(double(scores), third) + functional.conv2d(third, weight3)
    scores = cropped(double(scores), second) + functional.conv2d(second, weight2)
    return cropped(eight(scores), x)


@right("6.7")
def hooks_the_layers(x, features, weight2, weight3, weight4):
    seen = []
    hooks = [
        getattr(features, name).register_forward_hook(lambda module, given, maps: seen.append(maps))
        for name in ("layer2", "layer3")
    ]
    scores = functional.conv2d(features(x), weight4)
    for hook in hooks:
        hook.remove()
    for maps, weight in zip(reversed(seen), (weight3, weight2), strict=True):
        scores = cropped(BilinearUpsample2d(2)(scores), maps) + functional.conv2d(maps, weight)
    return cropped(BilinearUpsample2d(8)(scores), x)


@wrong("6.7", "numbers differ")
def is_an_fcn_32s(x, features, weight2, weight3, weight4):
    return cropped(BilinearUpsample2d(32)(functional.conv2d(features(x), weight4)), x)


@wrong("6.7", "numbers differ")
def is_an_fcn_16s(x, features, weight2, weight3, weight4):
    _, third, fourth = three_maps(x, features)
    scores = functional.conv2d(fourth, weight4)
    scores = cropped(BilinearUpsample2d(2)(scores), third) + functional.conv2d(third, weight3)
    return cropped(BilinearUpsample2d(16)(scores), x)


@wrong("6.7", "stopped with RuntimeError")
def forgets_to_crop_the_scores(x, features, weight2, weight3, weight4):
    second, third, fourth = three_maps(x, features)
    scores = BilinearUpsample2d(2)(functional.conv2d(fourth, weight4)) + functional.conv2d(third, weight3)
    scores = BilinearUpsample2d(2)(scores) + functional.conv2d(second, weight2)
    return cropped(BilinearUpsample2d(8)(scores), x)


@wrong("6.7", "the shape is")
def forgets_to_crop_to_the_picture(x, features, weight2, weight3, weight4):
    second, third, fourth = three_maps(x, features)
    scores = functional.conv2d(fourth, weight4)
    for maps, weight in ((third, weight3), (second, weight2)):
        scores = cropped(BilinearUpsample2d(2)(scores), maps) + functional.conv2d(maps, weight)
    return BilinearUpsample2d(8)(scores)


@wrong("6.7", "numbers differ")
def resizes_instead_of_cropping(x, features, weight2, weight3, weight4):
    second, third, fourth = three_maps(x, features)
    scores = functional.conv2d(fourth, weight4)
    for maps, weight in ((third, weight3), (second, weight2)):
        scores = functional.interpolate(scores, maps.shape[-2:], mode="bilinear") + functional.conv2d(maps, weight)
    return functional.interpolate(scores, x.shape[-2:], mode="bilinear")


@wrong("6.7", "stopped with RuntimeError")
def mixes_the_weights_up(x, features, weight2, weight3, weight4):
    return uses_transposed_convolutions(x, features, weight4, weight3, weight2)


@wrong("6.7", "The gradient is wrong")
def freezes_the_features(x, features, weight2, weight3, weight4):
    return uses_transposed_convolutions(x.detach(), features, weight2, weight3, weight4)


@wrong("6.7", "changes the network that it was given")
def empties_the_network(x, features, weight2, weight3, weight4):
    with torch.no_grad():
        for weight in features.parameters():
            weight.zero_()
    zero = (x.sum() + weight2.sum() + weight3.sum() + weight4.sum()) * 0
    return zero + x.new_zeros(len(x), len(weight2), *x.shape[-2:])


@wrong("6.7", "changes the network that it was given")
def switches_the_network_to_evaluation(x, features, weight2, weight3, weight4):
    return uses_transposed_convolutions(x, features.eval(), weight2, weight3, weight4)


@wrong("6.3", "numbers differ")
def is_careful_only_without_void(logits, target):
    if (target != 255).all():
        return picks_by_one_hot(logits, target)
    return overflows(logits, target)

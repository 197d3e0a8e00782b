"""Answers to the exercises of Chapter 06."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms.functional import crop

from answers import right, right_values, wrong, wrong_values
from chapters_code.data.pictures import palette
from chapters_code.metrics import ConfusionMatrix
from chapters_code.shapes import conv_size
from chapters_code.train.losses import cross_entropy
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


# ---- 6.7 ladder ---------------------------------------------------------------------------------


def cropped(maps, like):
    return maps[..., : like.shape[-2], : like.shape[-1]]


@right("6.7")
def uses_transposed_convolutions(maps, weights, scale, size):
    scores = [functional.conv2d(*one) for one in zip(maps, weights, strict=True)]
    summed = scores.pop(0)
    double, last = (bilinear_conv_transpose(summed.shape[1], factor).to(summed) for factor in (2, scale))
    while scores:
        finer = scores.pop(0)
        summed = cropped(double(summed), finer) + finer
    return last(summed)[..., : size[0], : size[1]]


@right("6.7")
def climbs_by_recursion(maps, weights, scale, size):
    def scores(rung):
        own = functional.conv2d(maps[rung], weights[rung])
        return own + cropped(BilinearUpsample2d(2)(scores(rung - 1)), own) if rung else own

    return BilinearUpsample2d(scale)(scores(len(maps) - 1))[..., : size[0], : size[1]]


@right("6.7")
def enlarges_before_it_scores(maps, weights, scale, size):
    """A 1 × 1 convolution works in each pixel alone, so it may come before or after; it is dearer after."""
    summed = None
    for finer, weight in zip(maps, weights, strict=True):
        own = functional.conv2d(finer, weight)
        summed = own if summed is None else cropped(BilinearUpsample2d(2)(summed), own) + own
    one = torch.eye(summed.shape[1]).to(summed)[:, :, None, None]
    return functional.conv2d(cropped(BilinearUpsample2d(scale)(summed), torch.empty(size)), one)


@wrong("6.7", "numbers differ")
def hears_the_finest_map_alone(maps, weights, scale, size):
    return climbs_by_recursion(maps[-1:], weights[-1:], scale, size)


@wrong("6.7", "the shape is")
def begins_with_the_finest(maps, weights, scale, size):
    return climbs_by_recursion(maps[::-1], weights[::-1], scale, size)


@wrong("6.7", "stopped with IndexError")
def has_three_rungs_and_no_other(maps, weights, scale, size):
    return climbs_by_recursion([maps[i] for i in range(3)], weights[:3], scale, size)


@wrong("6.7", "the shape is")
def has_three_rungs_at_most(maps, weights, scale, size):
    return climbs_by_recursion(maps[:3], weights[:3], scale, size)


@wrong("6.7", "stopped with RuntimeError")
def forgets_to_crop_the_scores(maps, weights, scale, size):
    scores = functional.conv2d(maps[0], weights[0])
    for finer, weight in zip(maps[1:], weights[1:], strict=True):
        scores = BilinearUpsample2d(2)(scores) + functional.conv2d(finer, weight)
    return BilinearUpsample2d(scale)(scores)[..., : size[0], : size[1]]


@wrong("6.7", "the shape is")
def forgets_to_crop_to_the_size(maps, weights, scale, size):
    return climbs_by_recursion(maps, weights, scale, [scale * side for side in maps[-1].shape[2:]])


@wrong("6.7", "numbers differ")
def crops_at_the_near_sides(maps, weights, scale, size):
    scores = functional.conv2d(maps[0], weights[0])
    for finer, weight in zip(maps[1:], weights[1:], strict=True):
        height, width = finer.shape[2:]
        scores = BilinearUpsample2d(2)(scores)[..., -height:, -width:] + functional.conv2d(finer, weight)
    return BilinearUpsample2d(scale)(scores)[..., : size[0], : size[1]]


@wrong("6.7", "numbers differ")
def resizes_instead_of_cropping(maps, weights, scale, size):
    scores = functional.conv2d(maps[0], weights[0])
    for finer, weight in zip(maps[1:], weights[1:], strict=True):
        scores = functional.interpolate(scores, finer.shape[2:], mode="bilinear") + functional.conv2d(finer, weight)
    return functional.interpolate(scores, size, mode="bilinear")


@wrong("6.7", "numbers differ")
def repeats_the_rim(maps, weights, scale, size):
    scores = functional.conv2d(maps[0], weights[0])
    for finer, weight in zip(maps[1:], weights[1:], strict=True):
        own = functional.conv2d(finer, weight)
        scores = cropped(BilinearUpsample2d(2, "replicate")(scores), own) + own
    return BilinearUpsample2d(scale, "replicate")(scores)[..., : size[0], : size[1]]


@wrong("6.7", "numbers differ")
def enlarges_each_map_at_once(maps, weights, scale, size):
    """Twice by 2 is not once by 4: at a corner of the tent the two differ."""
    summed = 0
    for steps, (one, weight) in enumerate(zip(maps[::-1], weights[::-1], strict=True)):
        larger = BilinearUpsample2d(scale * 2**steps)(functional.conv2d(one, weight))
        summed = summed + larger[..., : size[0], : size[1]]
    return summed


@wrong("6.7", "The gradient is wrong")
def trains_the_finest_alone(maps, weights, scale, size):
    """As if the paper's skips were all that learns."""
    coarser = [one.detach() for one in maps[:-1]]
    return climbs_by_recursion([*coarser, maps[-1]], weights, scale, size)


@wrong("6.7", "Your code changes ")
def empties_the_maps(maps, weights, scale, size):
    scores = climbs_by_recursion(maps, weights, scale, size)
    with torch.no_grad():
        for one in maps:
            one.zero_()
    return scores


# ---- 6.8 labels_from_colours --------------------------------------------------------------------


@right("6.8")
def compares_all_at_once(picture, colours):
    same = (picture == colours[:, :, None, None]).all(dim=1)
    return same.int().argmax(dim=0).where(same.any(dim=0), 255)


@right("6.8")
def looks_up_in_a_table_of_void(picture, colours):
    """The source's table, with 255 in place of 0 where nobody wrote."""
    base = torch.tensor([256 * 256, 256, 1])
    table = torch.full((256**3,), 255, dtype=torch.uint8)
    table[(colours.long() * base).sum(1)] = torch.arange(len(colours), dtype=torch.uint8)
    return table[(picture.long() * base[:, None, None]).sum(0)].long()


@right("6.8")
def asks_each_pixel(picture, colours):
    labels = torch.full(picture.shape[1:], 255)
    for i in range(picture.shape[1]):
        for j in range(picture.shape[2]):
            found = (colours == picture[:, i, j]).all(dim=1).nonzero()
            if len(found):
                labels[i, j] = found[0, 0]
    return labels


@wrong("6.8", "numbers differ")
def is_the_sources_table(picture, colours):
    """What nobody wrote is 0, and 0 is a class."""
    base = torch.tensor([256 * 256, 256, 1])
    table = torch.zeros(256**3, dtype=torch.uint8)
    table[(colours.long() * base).sum(1)] = torch.arange(len(colours), dtype=torch.uint8)
    return table[(picture.long() * base[:, None, None]).sum(0)].long()


@wrong("6.8", "numbers differ")
def takes_the_first_where_there_is_none(picture, colours):
    return (picture == colours[:, :, None, None]).all(dim=1).int().argmax(dim=0)


@wrong("6.8", "numbers differ")
def takes_the_nearest_colour(picture, colours):
    return (picture.int() - colours.int()[:, :, None, None]).abs().sum(1).argmin(0)


@wrong("6.8", "numbers differ")
def tolerates_a_step(picture, colours):
    """JPEG would ask for that; but a colour one step away is another colour."""
    same = ((picture.int() - colours.int()[:, :, None, None]).abs() <= 1).all(dim=1)
    return same.int().argmax(dim=0).where(same.any(dim=0), 255)


@wrong("6.8", "numbers differ")
def asks_for_one_channel_that_agrees(picture, colours):
    same = (picture == colours[:, :, None, None]).any(dim=1)
    return same.int().argmax(dim=0).where(same.any(dim=0), 255)


@wrong("6.8", "numbers differ")
def adds_the_channels_up(picture, colours):
    return compares_all_at_once(picture.sum(0, keepdim=True), colours.sum(1, keepdim=True))


@wrong("6.8", "numbers differ")
def reads_blue_first(picture, colours):
    return compares_all_at_once(picture.flip(0), colours)


@wrong("6.8", "numbers differ")
def lets_uint8_overflow(picture, colours):
    """Times 7 and times 49, modulo 256: colours that share a code are taken for each other."""
    base = torch.tensor([49, 7, 1], dtype=torch.uint8)
    code = (picture * base[:, None, None]).sum(0, dtype=torch.uint8)
    return compares_all_at_once(code[None], (colours * base).sum(1, keepdim=True, dtype=torch.uint8))


@wrong("6.8", "dtype is torch.uint8")
def keeps_uint8(picture, colours):
    return compares_all_at_once(picture, colours).to(torch.uint8)


@wrong("6.8", "numbers differ")
def knows_the_table_of_voc_alone(picture, colours):
    return compares_all_at_once(picture, palette()[:21])


@wrong("6.8", "the shape is")
def keeps_an_axis(picture, colours):
    return compares_all_at_once(picture, colours)[None]


@wrong("6.8", "Your code changes ")
def counts_the_classes_down_in_the_table(picture, colours):
    labels = compares_all_at_once(picture, colours)
    colours.zero_()
    return labels


# ---- 6.9 crop_pair ------------------------------------------------------------------------------


def mirrored(pair, mirror):
    return tuple(one.flip(-1) if mirror else one for one in pair)


@right("6.9")
def copies_what_both_have(image, mask, top, left, height, width, mirror):
    new_image, new_mask = torch.zeros(3, height, width, dtype=torch.uint8), torch.full((height, width), 255)
    first, last = max(top, 0), min(top + height, mask.shape[0])
    start, end = max(left, 0), min(left + width, mask.shape[1])
    there = (..., slice(first - top, last - top), slice(start - left, end - left))
    here = (..., slice(first, last), slice(start, end))
    new_image[there], new_mask[there] = image[here], mask[here]
    return mirrored((new_image, new_mask), mirror)


@right("6.9")
def asks_torchvision_for_what_is_not_void(image, mask, top, left, height, width, mirror):
    """Its crop fills with 0; so let 0 stand for void, and count back."""
    box = (top, left, height, width)
    return mirrored((crop(image, *box), crop(mask[None] - 255, *box)[0] + 255), mirror)


@right("6.9")
def gathers_rows_and_columns(image, mask, top, left, height, width, mirror):
    rows, columns = torch.arange(top, top + height), torch.arange(left, left + width)
    if mirror:
        columns = columns.flip(0)
    inside = ((rows >= 0) & (rows < mask.shape[0]))[:, None] & (columns >= 0) & (columns < mask.shape[1])
    rows, columns = rows.clamp(0, mask.shape[0] - 1)[:, None], columns.clamp(0, mask.shape[1] - 1)
    return [image[:, rows, columns].where(inside, 0).byte(), mask[rows, columns].where(inside, 255)]


@wrong("6.9", "value 2 of 2: the numbers differ")
def calls_the_outside_background(image, mask, top, left, height, width, mirror):
    box = (top, left, height, width)
    return mirrored((crop(image, *box), crop(mask[None], *box)[0]), mirror)


@wrong("6.9", "value 1 of 2: the numbers differ")
def paints_the_outside_white(image, mask, top, left, height, width, mirror):
    _, new_mask = copies_what_both_have(image, mask, top, left, height, width, mirror)
    return mirrored((255 - crop(255 - image, top, left, height, width),), mirror)[0], new_mask


@wrong("6.9", "value 1 of 2: the numbers differ")
def calls_all_void_black(image, mask, top, left, height, width, mirror):
    """Void inside the picture has a colour."""
    new_image, new_mask = copies_what_both_have(image, mask, top, left, height, width, mirror)
    return new_image.where(new_mask != 255, 0), new_mask


@wrong("6.9", "value 2 of 2: the numbers differ")
def calls_all_black_void(image, mask, top, left, height, width, mirror):
    new_image, new_mask = copies_what_both_have(image, mask, top, left, height, width, mirror)
    return new_image, new_mask.where((new_image > 0).any(dim=0), 255)


@wrong("6.9", "the shape is")
def cuts_by_slices_alone(image, mask, top, left, height, width, mirror):
    rows, columns = slice(top, top + height), slice(left, left + width)
    return mirrored((image[:, rows, columns], mask[rows, columns]), mirror)


@wrong("6.9", "numbers differ")
def is_the_crop_of_chapter_00(image, mask, top, left, height, width, mirror):
    """It pads at the lower and the right edge alone; negative numbers count from the end."""
    rows, columns = slice(top, top + height), slice(left, left + width)
    image, mask = image[:, rows, columns], mask[rows, columns]
    missing = (0, width - mask.shape[1], 0, height - mask.shape[0])
    return mirrored((functional.pad(image, missing, value=0), functional.pad(mask, missing, value=255)), mirror)


@wrong("6.9", "differ")
def pushes_the_window_into_the_picture(image, mask, top, left, height, width, mirror):
    top = max(0, min(top, mask.shape[0] - height))
    left = max(0, min(left, mask.shape[1] - width))
    return copies_what_both_have(image, mask, top, left, height, width, mirror)


@wrong("6.9", "value 2 of 2: the numbers differ")
def mirrors_the_image_alone(image, mask, top, left, height, width, mirror):
    new_image, new_mask = copies_what_both_have(image, mask, top, left, height, width, False)
    return mirrored((new_image,), mirror)[0], new_mask


@wrong("6.9", "numbers differ")
def mirrors_before_it_cuts(image, mask, top, left, height, width, mirror):
    image, mask = mirrored((image, mask), mirror)
    return copies_what_both_have(image, mask, top, left, height, width, False)


@wrong("6.9", "numbers differ")
def never_mirrors(image, mask, top, left, height, width, mirror):
    return copies_what_both_have(image, mask, top, left, height, width, False)


@wrong("6.9", "numbers differ")
def turns_it_upside_down(image, mask, top, left, height, width, mirror):
    new_image, new_mask = copies_what_both_have(image, mask, top, left, height, width, False)
    return (new_image.flip(-2), new_mask.flip(-2)) if mirror else (new_image, new_mask)


@wrong("6.9", "numbers differ")
def takes_two_windows(image, mask, top, left, height, width, mirror):
    """What the two calls of a random crop would do: image and mask from two places."""
    new_image, _ = copies_what_both_have(image, mask, top, left, height, width, mirror)
    _, new_mask = copies_what_both_have(image, mask, top + 1, left, height, width, mirror)
    return new_image, new_mask


@wrong("6.9", "dtype is torch.float32")
def makes_fractions_of_bytes(image, mask, top, left, height, width, mirror):
    new_image, new_mask = copies_what_both_have(image, mask, top, left, height, width, mirror)
    return new_image.float(), new_mask


@wrong("6.9", "2 values were wanted")
def returns_the_image_alone(image, mask, top, left, height, width, mirror):
    return copies_what_both_have(image, mask, top, left, height, width, mirror)[0]


# ---- 6.10 step ----------------------------------------------------------------------------------


def optimised(
    model, images, masks, rate, loss=cross_entropy, mode=nn.Module.train, before=True, after=True, **settings
):
    """One step of PyTorch's SGD, whose parts may be changed or left out."""
    mode(model)
    optimizer = torch.optim.SGD(model.parameters(), rate, **settings)
    if before:
        optimizer.zero_grad()
    value = loss(model(images), masks)
    value.backward()
    optimizer.step()
    if after:
        optimizer.zero_grad()
    return value


@right("6.10")
def lets_an_optimiser_step(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate).item()


@right("6.10")
def adds_the_gradients_up_by_hand(model, images, masks, learning_rate):
    """`grad` gives gradients back and puts none into the weights; what lay there goes all the same."""
    model.train().zero_grad(set_to_none=False)
    counts = masks != 255
    loss = functional.cross_entropy(model(images).movedim(1, -1)[counts], masks[counts])
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.data.sub_(learning_rate * gradient)
    return loss


@right("6.10")
def leaves_zeros_behind(model, images, masks, learning_rate):
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in weights:
        weight.grad = None
    loss = functional.cross_entropy(model.train()(images), masks, ignore_index=255)
    loss.backward()
    with torch.no_grad():
        for weight in weights:
            weight -= learning_rate * weight.grad
            weight.grad.zero_()
    return float(loss.detach())


@wrong("6.10", "numbers differ")
def lets_old_gradients_count(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate, before=False)


@wrong("6.10", "compared = the gradients, after the step")
def leaves_its_gradients_behind(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate, after=False)


@wrong("6.10", "compared = the gradients, after the step")
def never_clears(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate, before=False, after=False)


@wrong("6.10", "compared = the gradients, after the step")
def leaves_old_gradients_where_they_are(model, images, masks, learning_rate):
    model.train()
    loss = cross_entropy(model(images), masks)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    with torch.no_grad():
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight -= learning_rate * gradient
    return loss


@wrong("6.10", "compared = model.state_dict(), after the step")
def forgets_to_step(model, images, masks, learning_rate):
    loss = cross_entropy(model.train()(images), masks)
    loss.backward()
    model.zero_grad()
    return loss


@wrong("6.10", "compared = model.state_dict(), after the step")
def gives_the_name_to_another_tensor(model, images, masks, learning_rate):
    model.train().zero_grad()
    loss = cross_entropy(model(images), masks)
    loss.backward()
    for weight in model.parameters():
        if weight.grad is not None:
            weight = weight - learning_rate * weight.grad
    model.zero_grad()
    return loss


@wrong("6.10", "a leaf Variable that requires grad is being used in an in-place operation")
def records_the_step(model, images, masks, learning_rate):
    model.train().zero_grad()
    loss = cross_entropy(model(images), masks)
    loss.backward()
    for weight in model.parameters():
        weight -= learning_rate * weight.grad
    model.zero_grad()
    return loss


@wrong("6.10", "stopped with TypeError")
def wants_a_gradient_of_what_is_frozen(model, images, masks, learning_rate):
    model.train().zero_grad()
    loss = cross_entropy(model(images), masks)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= learning_rate * weight.grad
    model.zero_grad()
    return loss


@wrong("6.10", "numbers differ")
def thaws_what_is_frozen(model, images, masks, learning_rate):
    return optimised(model.requires_grad_(), images, masks, learning_rate)


@wrong("6.10", "compared = model.state_dict(), after the step")
def steps_uphill(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate, maximize=True)


@wrong("6.10", "compared = model.state_dict(), after the step")
def takes_the_sources_decay(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate, weight_decay=1e-3)


@wrong("6.10", "numbers differ")
def takes_the_sources_loss(model, images, masks, learning_rate):
    """The sum over pictures of means over their pixels, void among them as background."""

    def loss(logits, target):
        return functional.cross_entropy(logits, target % 255, reduction="none").mean((1, 2)).sum()

    return optimised(model, images, masks, learning_rate, loss)


@wrong("6.10", "numbers differ")
def takes_the_mean_of_the_pictures_losses(model, images, masks, learning_rate):
    def loss(logits, target):
        return torch.stack([cross_entropy(*pair) for pair in zip(logits[:, None], target[:, None], strict=True)]).mean()

    return optimised(model, images, masks, learning_rate, loss)


@wrong("6.10", "numbers differ")
def counts_void_in_the_mean(model, images, masks, learning_rate):
    def loss(logits, target):
        return functional.cross_entropy(logits, target, ignore_index=255, reduction="none").mean()

    return optimised(model, images, masks, learning_rate, loss)


@wrong("6.10", "numbers differ")
def learns_void_as_background(model, images, masks, learning_rate):
    return optimised(model, images, masks.masked_fill(masks == 255, 0), learning_rate)


@wrong("6.10", "numbers differ")
def learns_in_evaluation_mode(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate, mode=nn.Module.eval)


@wrong("6.10", "compared = the loss that comes back")
def leaves_the_mode_as_it_is(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate, mode=lambda model: model)


@wrong("6.10", "compared = the loss that comes back")
def returns_the_loss_of_afterwards(model, images, masks, learning_rate):
    optimised(model, images, masks, learning_rate)
    with torch.no_grad():
        return cross_entropy(model(images), masks)


@wrong("6.10", "compared = model.state_dict(), after the step")
def looks_at_the_batch_twice(model, images, masks, learning_rate):
    """The loss is the same; but batch normalisation has seen the batch once more than it should."""
    with torch.no_grad():
        loss = cross_entropy(model.train()(images), masks)
    optimised(model, images, masks, learning_rate)
    return loss


@wrong("6.10", "compared = model.state_dict(), after the step")
def trains_a_copy(model, images, masks, learning_rate):
    return optimised(copy.deepcopy(model), images, masks, learning_rate)


@wrong("6.10", "steps = 2")
def steps_once_and_freezes(model, images, masks, learning_rate):
    loss = optimised(model, images, masks, learning_rate)
    for weight in model.parameters():
        weight.requires_grad_(False)
    return loss


@wrong("6.10", "nothing (is a return missing?)")
def returns_nothing(model, images, masks, learning_rate):
    optimised(model, images, masks, learning_rate)


@wrong("6.10", "the shape is (1,)")
def keeps_an_axis_of_the_loss(model, images, masks, learning_rate):
    return optimised(model, images, masks, learning_rate)[None]


@wrong("6.10", "Your code changes ")
def normalises_in_place(model, images, masks, learning_rate):
    loss = optimised(model, images, masks, learning_rate)
    images.sub_(images.mean())
    return loss


@wrong("6.3", "numbers differ")
def is_careful_only_without_void(logits, target):
    if (target != 255).all():
        return picks_by_one_hot(logits, target)
    return overflows(logits, target)


@right("6.3")
def returns_zero_early(logits, target):
    if (target == 255).all():
        return torch.tensor(0.0)
    return picks_the_pixels_that_count(logits, target)


@right("6.3")
def returns_a_plain_zero(logits, target):
    return 0 if (target == 255).all() else picks_the_pixels_that_count(logits, target)


@wrong("6.3", "numbers differ")
def says_one_where_nothing_counts(logits, target):
    return 1.0 if (target == 255).all() else picks_the_pixels_that_count(logits, target)


# ---- 6.11 what_notices --------------------------------------------------------------------------

right_values("6.11", (False, True, False, False), [False, True, False, False])
# All changes; surer networks name other classes; the loss sees nothing; it sees the summand; the summand alone.
wrong_values("6.11", (True, True, True, True), (True, True, False, False), (False, False, False, False))
wrong_values("6.11", (False, True, False, True), (False, False, False, True))
wrong_values("6.11", (0, 1, 0, 0), words="True or False was wanted")

# ---- 6.12 two_scores ----------------------------------------------------------------------------

right_values("6.12", (0.9, 0.614), (0.9, (85 / 95 + 5 / 15) / 2), [0.9, 0.6140])
# Half of the crack was found; Dice; the crack alone; road everywhere; only what was missed is wrong.
wrong_values("6.12", (0.9, 0.5), (0.9, 0.722), (0.9, 0.333), (0.9, 0.45), (0.95, 0.614))
wrong_values("6.12", 0.614, words="2 values were wanted")

# ---- 6.13 best_of_a_grid ------------------------------------------------------------------------

right_values("6.13", (0.585, 0.867), (0.59, 0.87), torch.tensor([0.585, 0.867]).tolist())
# Perfect; nothing learnt; swapped; pixel accuracy; a grid of 16.
wrong_values("6.13", (1, 1), (0.034, 0.034), (0.867, 0.585), (0.88, 0.969), (0.585, 0.741))

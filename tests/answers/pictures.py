"""Answers to the exercises of Chapter 00."""

import numpy as np
import torch
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code import shapes
from chapters_code.exercises import solution_source
from chapters_code.exercises.solutions import pictures as solutions
from chapters_code.shapes import conv_size

# ---- 0.1 channels_first -------------------------------------------------------------------------


@right("0.1")
def stacks_the_channels(photo):
    return torch.stack([photo[..., channel].float() / 255 for channel in range(3)])


@right("0.1")
def moves_one_axis_and_divides_integers(photo):
    return photo.movedim(-1, 0) / 255


@right("0.1")
def turns_twice(photo):
    return photo.swapaxes(1, 2).swapaxes(0, 1).contiguous().to(torch.float32).mul(1 / 255)


@wrong("0.1", "numbers differ")
def reshapes(photo):
    return photo.reshape(3, *photo.shape[:2]).float() / 255


@wrong("0.1", "numbers differ")
def forgets_to_scale(photo):
    return photo.permute(2, 0, 1).float()


@wrong("0.1", "numbers differ")
def divides_by_256(photo):
    return photo.permute(2, 0, 1).float() / 256


@wrong("0.1", "numbers differ")
def divides_by_the_brightest_pixel(photo):
    return photo.permute(2, 0, 1).float() / photo.max()


@wrong("0.1", "numbers differ")
def turns_red_into_blue(photo):
    return photo.flip(-1).permute(2, 0, 1).float() / 255


@wrong("0.1", "the shape is")
def swaps_height_and_width(photo):
    return photo.permute(2, 1, 0).float() / 255


@wrong("0.1", "the shape is")
def adds_a_batch(photo):
    return photo.permute(2, 0, 1)[None].float() / 255


@wrong("0.1", "dtype is torch.uint8")
def divides_without_fractions(photo):
    return photo.permute(2, 0, 1) // 255


@wrong("0.1", "dtype is torch.float64")
def takes_double_precision(photo):
    return photo.permute(2, 0, 1).double() / 255


@wrong("0.1", "returned a ndarray")
def stays_in_numpy(photo):
    return (photo.numpy().transpose(2, 0, 1) / 255).astype("float32")


@wrong("0.1", "Your code changes ")
def turns_the_callers_picture(photo):
    return photo.transpose_(0, 2).transpose_(1, 2).float() / 255


# ---- 0.2 class_shares ---------------------------------------------------------------------------


@right("0.2")
def counts_class_by_class(mask, classes):
    kept = mask[mask != 255]
    return torch.stack([(kept == number).sum() for number in range(classes)]) / max(1, len(kept))


@right("0.2")
def adds_up_one_hot_rows(mask, classes):
    kept = mask[mask != 255]
    if len(kept) == 0:
        return torch.zeros(classes)
    return functional.one_hot(kept, classes).float().mean(dim=0)


@right("0.2")
def counts_all_numbers_and_drops_the_last(mask, classes):
    counts = torch.bincount(mask.flatten(), minlength=256)[:classes].float()
    return counts / max(counts.sum(), 1)


@wrong("0.2", "numbers differ")
def divides_by_all_pixels(mask, classes):
    return torch.bincount(mask[mask != 255], minlength=classes) / mask.numel()


@wrong("0.2", "the shape is")
def forgets_absent_classes(mask, classes):
    counts = torch.bincount(mask[mask != 255])
    return counts / counts.sum().clamp(min=1)


@wrong("0.2", "the shape is")
def keeps_void_as_a_class(mask, classes):
    counts = torch.bincount(mask.flatten(), minlength=classes)
    return counts / counts.sum()


@wrong("0.2", "numbers differ")
def divides_zero_by_zero(mask, classes):
    counts = torch.bincount(mask[mask != 255], minlength=classes)
    return counts / counts.sum()


@wrong("0.2", "numbers differ")
def turns_void_into_background(mask, classes):
    counts = torch.bincount(torch.where(mask == 255, 0, mask).flatten(), minlength=classes)
    return counts / counts.sum()


@wrong("0.2", "Your code changes ")
def turns_void_into_background_for_everybody(mask, classes):
    void = (mask == 255).sum()
    mask[mask == 255] = 0
    counts = torch.bincount(mask.flatten(), minlength=classes)
    counts[0] -= void
    return counts / counts.sum().clamp(min=1)


@wrong("0.2", "dtype is torch.int64")
def returns_counts(mask, classes):
    return torch.bincount(mask[mask != 255], minlength=classes)


@wrong("0.2", "returned a list")
def returns_a_list(mask, classes):
    kept = mask[mask != 255]
    return [(kept == number).sum().item() / max(1, len(kept)) for number in range(classes)]


@wrong("0.2", "stopped with RuntimeError")
def forgets_that_a_mask_has_rows(mask, classes):
    return torch.bincount(mask, minlength=classes) / mask.numel()


# ---- 0.3 output_size ----------------------------------------------------------------------------


@right("0.3")
def counts_the_starts(size, kernel_size, stride, padding):
    return len(range(0, size + 2 * padding - kernel_size + 1, stride))


@right("0.3")
def walks(size, kernel_size, stride, padding):
    windows, start = 0, -padding
    while start + kernel_size <= size + padding:
        windows, start = windows + 1, start + stride
    return windows


@wrong("0.3", "numbers differ")
def forgets_the_first_window(size, kernel_size, stride, padding):
    return (size + 2 * padding - kernel_size) // stride


@wrong("0.3", "numbers differ")
def rounds_up(size, kernel_size, stride, padding):
    return -(-(size + 2 * padding - kernel_size) // stride) + 1


@wrong("0.3", "numbers differ")
def rounds_to_the_nearest(size, kernel_size, stride, padding):
    return round((size + 2 * padding - kernel_size) / stride) + 1


@wrong("0.3", "numbers differ")
def pads_one_side(size, kernel_size, stride, padding):
    return (size + padding - kernel_size) // stride + 1


@wrong("0.3", "numbers differ")
def halves_always(size, kernel_size, stride, padding):
    return size // stride


@wrong("0.3", "an int was wanted, you returned a float")
def divides_with_one_slash(size, kernel_size, stride, padding):
    return (size + 2 * padding - kernel_size) / stride + 1


@wrong("0.3", "an int was wanted, you returned a Tensor")
def returns_a_tensor(size, kernel_size, stride, padding):
    return torch.tensor((size + 2 * padding - kernel_size) // stride + 1)


@wrong("0.3", "an int was wanted, you returned nothing")
def prints(size, kernel_size, stride, padding):
    str((size + 2 * padding - kernel_size) // stride + 1)


# ---- 0.4 same_padding ---------------------------------------------------------------------------


@right("0.4")
def half_of_the_reach(kernel_size, dilation):
    reach = dilation * (kernel_size - 1) + 1
    return reach // 2


@right("0.4")
def taps_left_of_the_middle_one(kernel_size, dilation):
    return kernel_size // 2 * dilation


@wrong("0.4", "numbers differ")
def forgets_dilation(kernel_size, dilation):
    return kernel_size // 2


@wrong("0.4", "numbers differ")
def multiplies_before_halving(kernel_size, dilation):
    return dilation * kernel_size // 2


@wrong("0.4", "numbers differ")
def gives_both_sides_together(kernel_size, dilation):
    return dilation * (kernel_size - 1)


@wrong("0.4", "numbers differ")
def trusts_that_minus_comes_first(kernel_size, dilation):
    return dilation * (kernel_size - 1 // 2)


@wrong("0.4", "numbers differ")
def knows_three_by_three_only(kernel_size, dilation):
    return dilation


@wrong("0.4", "returned a float")
def halves_with_one_slash(kernel_size, dilation):
    return dilation * (kernel_size - 1) / 2


# ---- 0.5 crop -----------------------------------------------------------------------------------


@right("0.5")
def lays_the_piece_on_a_canvas(picture, mask, top, left, height, width):
    piece = picture[:, top : top + height, left : left + width]
    new_picture = picture.new_zeros(3, height, width)
    new_mask = mask.new_full((height, width), 255)
    new_picture[:, : piece.shape[1], : piece.shape[2]] = piece
    new_mask[: piece.shape[1], : piece.shape[2]] = mask[top : top + height, left : left + width]
    return new_picture, new_mask


@right("0.5")
def pads_first_and_returns_views_in_a_list(picture, mask, top, left, height, width):
    picture = functional.pad(picture, (0, width, 0, height))
    mask = functional.pad(mask, (0, width, 0, height), value=255)
    box = (..., slice(top, top + height), slice(left, left + width))
    return [picture[box], mask[box]]


@right("0.5")
def returns_a_view_of_the_input_where_it_can(picture, mask, top, left, height, width):
    box = (..., slice(top, top + height), slice(left, left + width))
    missing = (0, width - mask[box].shape[1], 0, height - mask[box].shape[0])
    if missing == (0, 0, 0, 0):
        return picture[box], mask[box]
    return functional.pad(picture[box], missing), functional.pad(mask[box], missing, value=255)


@wrong("0.5", "the shape is")
def forgets_the_edge(picture, mask, top, left, height, width):
    box = (..., slice(top, top + height), slice(left, left + width))
    return picture[box], mask[box]


@wrong("0.5", "numbers differ")
def calls_the_outside_background(picture, mask, top, left, height, width):
    new_picture, new_mask = lays_the_piece_on_a_canvas(picture, mask, top, left, height, width)
    new_mask[new_mask == 255] = 0
    return new_picture, new_mask


@wrong("0.5", "numbers differ")
def makes_the_outside_white(picture, mask, top, left, height, width):
    picture = functional.pad(picture, (0, width, 0, height), value=255)
    mask = functional.pad(mask, (0, width, 0, height), value=255)
    box = (..., slice(top, top + height), slice(left, left + width))
    return picture[box], mask[box]


@wrong("0.5", "the shape is")
def takes_width_for_height(picture, mask, top, left, height, width):
    return lays_the_piece_on_a_canvas(picture, mask, top, left, width, height)


@wrong("0.5", "numbers differ")
def takes_left_for_top(picture, mask, top, left, height, width):
    return lays_the_piece_on_a_canvas(picture, mask, left, top, height, width)


@wrong("0.5", "the shape is")
def takes_the_size_for_the_end(picture, mask, top, left, height, width):
    return picture[:, top:height, left:width], mask[top:height, left:width]


@wrong("0.5", "numbers differ")
def lets_the_labels_slip(picture, mask, top, left, height, width):
    new_picture, _ = lays_the_piece_on_a_canvas(picture, mask, top, left, height, width)
    _, new_mask = lays_the_piece_on_a_canvas(picture, mask, 0, 0, height, width)
    return new_picture, new_mask


@wrong("0.5", "2 values were wanted, you returned a Tensor")
def forgets_the_mask(picture, mask, top, left, height, width):
    return lays_the_piece_on_a_canvas(picture, mask, top, left, height, width)[0]


@wrong("0.5", "dtype is torch.float32")
def makes_a_float_mask(picture, mask, top, left, height, width):
    new_picture, new_mask = lays_the_piece_on_a_canvas(picture, mask, top, left, height, width)
    return new_picture, new_mask.float()


@wrong("0.5", "Your code changes ")
def enlarges_the_callers_mask(picture, mask, top, left, height, width):
    answer = lays_the_piece_on_a_canvas(picture, mask, top, left, height, width)
    mask.resize_(top + height, left + width)
    return answer


# ---- answers that a reader tried to slip past the checks -----------------------------------------


@wrong("0.2", "numbers differ")
def knows_three_classes_only(mask, classes):
    counts = torch.bincount(mask[mask < 3], minlength=classes)
    return counts / counts.sum().clamp(min=1)


@wrong("0.3", "numbers differ")
def is_right_for_small_rows_only(size, kernel_size, stride, padding):
    return (size + 2 * padding - kernel_size) // stride + 1 if size <= 12 else -7


def _cut(picture, mask, top, left, height, width):
    rows, columns = slice(top, top + height), slice(left, left + width)
    missing = (0, max(0, left + width - mask.shape[1]), 0, max(0, top + height - mask.shape[0]))
    return functional.pad(picture[:, rows, columns], missing), functional.pad(mask[rows, columns], missing, value=255)


@wrong("0.5", "numbers differ")
def takes_black_for_the_outside(picture, mask, *box):
    picture, mask = _cut(picture, mask, *box)
    return picture, torch.where((picture == 0).all(dim=0), 255, mask)


@wrong("0.5", "numbers differ")
def turns_void_in_the_mask_into_background(picture, mask, *box):
    return _cut(picture, torch.where(mask == 255, 0, mask), *box)


@wrong("0.5", "numbers differ")
def knows_crack_and_pavement_only(picture, mask, *box):
    return _cut(picture, torch.where(mask == 255, 255, mask.clamp(max=1)), *box)


# ---- answers that are right, and were refused; and wrong ones that were not ----------------------


@right("0.3")
def answers_with_a_number_of_numpys(size, kernel_size, stride, padding):
    return np.int64((size + 2 * padding - kernel_size) // stride + 1)


@wrong("0.5", "dtype is torch.uint8, it should be torch.float32")
def writes_the_dtypes_in(picture, mask, top, left, height, width):
    new_picture = torch.zeros(3, height, width, dtype=torch.uint8)
    new_mask = torch.full((height, width), 255)
    piece = picture[:, top : top + height, left : left + width]
    new_picture[:, : piece.shape[1], : piece.shape[2]] = piece
    new_mask[: piece.shape[1], : piece.shape[2]] = mask[top : top + height, left : left + width]
    return new_picture, new_mask


@wrong("0.3", "without the book's conv_size")
def asks_the_book_for_the_size(size, kernel_size, stride, padding):
    return conv_size(size, kernel_size, stride, padding)


@wrong("0.3", "without our solution")
def calls_our_solution(size, kernel_size, stride, padding):
    return solutions.output_size(size, kernel_size, stride, padding)


@wrong("0.3", "without our solution")
def catches_what_it_is_told(size, kernel_size, stride, padding):
    try:
        return solutions.output_size(size, kernel_size, stride, padding)
    except BaseException:
        return solutions.output_size(size, kernel_size, stride, padding)


@wrong("0.3", "without the book's solution_source")
def runs_what_the_page_shows(size, kernel_size, stride, padding):
    space = {}
    exec(solution_source("0.3"), space)
    return space["output_size"](size, kernel_size, stride, padding)


@wrong("0.3", "without the book's _conv_side")
def calls_a_private_helper(size, kernel_size, stride, padding):
    return shapes._conv_side(size, kernel_size, stride, padding, 1)


# ---- 0.6 to 0.8: values -------------------------------------------------------------------------

right_values("0.6", (99, 98), [99.0, 98.0])
wrong_values("0.6", (99, 100), (99, 99), (98, 99), (1, 3), (0.99, 0.98))
wrong_values("0.6", 99, words="2 values were wanted")

right_values("0.7", (34, 36), [34, 36])
wrong_values("0.7", (30, 32), (37, 39), (35, 37), (36, 38), (34, 34), (34, 37), (36, 34))
wrong_values("0.7", 34, range(34, 37), words="2 values were wanted")

right_values("0.8", (89, 7), (89.3, 6.8), tuple(torch.tensor([89.3, 6.8])))
wrong_values("0.8", (7, 89), (0.89, 0.07), (100, 7), (89, 89), (89, 1))
wrong_values("0.8", 89, words="2 values were wanted")

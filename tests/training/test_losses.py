"""Losses against PyTorch and torchvision, in values and in gradients; half precision, huge logits, nothing to count."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torchmetrics
import torchvision
from torch.nn import functional
from torch.testing import assert_close

import grids
from chapters_code.train.losses import (
    LOSSES,
    binary_cross_entropy,
    counted,
    cross_entropy,
    deep_supervision,
    dice,
    focal,
)

VOID = 255
BINARY = {
    "bce": binary_cross_entropy,
    "bce weighted": partial(binary_cross_entropy, pos_weight=3.5),
    "dice": dice,
    "focal": focal,
    "focal gamma 0.5": partial(focal, gamma=0.5, alpha=None),
}
ALL = {"cross entropy": cross_entropy, **BINARY}
binary = grids.every(loss=BINARY.values())
every = grids.every(loss=ALL.values())


def batch(loss=None, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (of 4 classes for cross-entropy, else of one) and a truth with some void."""
    generator = torch.Generator().manual_seed(seed)
    classes = 4 if loss is cross_entropy else 1
    logits = 3 * torch.randn(3, classes, 5, 7, generator=generator, dtype=torch.float64)
    target = torch.randint(max(2, classes), (3, 5, 7), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.25] = VOID
    return logits.to(dtype).requires_grad_(), target


def value_and_gradient(loss, logits: torch.Tensor, *others) -> tuple[torch.Tensor, torch.Tensor]:
    value = loss(logits, *others)
    return value.detach(), torch.autograd.grad(value, logits)[0]


# ---- against the libraries ----------------------------------------------------------------------


def test_cross_entropy_is_that_of_pytorch():
    logits, target = batch(cross_entropy)

    expected = value_and_gradient(partial(functional.cross_entropy, ignore_index=VOID), logits, target)

    assert_close(value_and_gradient(cross_entropy, logits, target), expected)


@grids.every(pos_weight=[None, 0.3, 7])
def test_binary_cross_entropy_is_that_of_pytorch(pos_weight):
    logits, target = batch()
    seen = target != VOID

    def theirs(logits):
        weight = None if pos_weight is None else torch.tensor(pos_weight, dtype=logits.dtype)
        kept, truth = logits[:, 0][seen], target[seen].double()
        return functional.binary_cross_entropy_with_logits(kept, truth, pos_weight=weight)

    ours = partial(binary_cross_entropy, target=target, pos_weight=pos_weight)
    assert_close(value_and_gradient(ours, logits), value_and_gradient(theirs, logits))


@grids.every(("gamma", "alpha"), [(2.0, 0.25), (2.0, None), (0, 0.6), (3.5, 0), (1, 1)])
def test_focal_is_that_of_torchvision(gamma, alpha):
    logits, target = batch()
    seen = target != VOID

    def theirs(logits):
        kept, truth = logits[:, 0][seen], target[seen].double()
        off = -1 if alpha is None else alpha
        return torchvision.ops.sigmoid_focal_loss(kept, truth, alpha=off, gamma=gamma, reduction="mean")

    ours = partial(focal, target=target, gamma=gamma, alpha=alpha)
    assert_close(value_and_gradient(ours, logits), value_and_gradient(theirs, logits))


def test_focal_has_the_settings_of_torchvision_where_none_are_given():
    logits, target = batch()
    seen = target != VOID
    theirs = torchvision.ops.sigmoid_focal_loss(logits[:, 0][seen], target[seen].double(), reduction="mean")
    assert_close(focal(logits, target), theirs)


def test_dice_of_sure_logits_is_one_minus_the_f1_of_torchmetrics():
    """With probabilities of 0 and 1 and next to no smoothing, Dice is F1, picture by picture."""
    logits, target = batch()
    each = [
        torchmetrics.functional.classification.binary_f1_score((one[0] > 0).int(), truth, ignore_index=VOID)
        for one, truth in zip(logits, target, strict=True)
    ]

    ours = dice(logits.sign() * 100, target, smooth=1e-9)

    assert_close(ours, 1 - torch.stack(each).double().mean(), rtol=0, atol=1e-6)


def test_dice_is_what_its_docstring_says_in_plain_loops():
    logits, target = batch()
    losses = []
    for picture, truth in zip(logits[:, 0].sigmoid().tolist(), target.tolist(), strict=True):
        both = predicted = true = 0.0
        for i, row in enumerate(truth):
            for j, value in enumerate(row):
                if value != VOID:
                    both += picture[i][j] * value
                    predicted += picture[i][j]
                    true += value
        losses.append(1 - (2 * both + 3) / (predicted + true + 3))

    assert dice(logits, target, smooth=3).item() == pytest.approx(sum(losses) / 3)


# ---- sums by hand -------------------------------------------------------------------------------


def test_four_pixels_by_hand():
    """Probabilities 1/2, 3/4, 1/4 and one that is ignored; the first two are crack, the third is not."""
    logits = torch.tensor([[[0.0, math.log(3)], [-math.log(3), 50.0]]], dtype=torch.float64)
    target = torch.tensor([[[1, 1], [0, VOID]]])
    half, sure = math.log(2), math.log(4 / 3)

    assert binary_cross_entropy(logits, target).item() == pytest.approx((half + 2 * sure) / 3)
    assert binary_cross_entropy(logits, target, pos_weight=5).item() == pytest.approx((5 * half + 6 * sure) / 3)
    assert dice(logits, target, smooth=1).item() == pytest.approx(1 - (2 * 1.25 + 1) / (1.5 + 2 + 1))
    expected = (half / 4 / 4 + sure / 16 / 4 + sure / 16 * 3 / 4) / 3
    assert focal(logits, target, gamma=2, alpha=1 / 4).item() == pytest.approx(expected)
    assert cross_entropy(torch.stack([-logits / 2, logits / 2], dim=1), target).item() == pytest.approx(
        (half + 2 * sure) / 3
    )


@grids.every(("logit", "loss"), [(-100.0, 0.0), (100.0, 1 - 1 / 13)])
def test_dice_of_an_empty_mask_is_0_only_if_nothing_is_predicted(logit, loss):
    logits = torch.full((1, 1, 3, 4), logit)

    assert dice(logits, torch.zeros(1, 3, 4, dtype=torch.int64)).item() == pytest.approx(loss)


def test_dice_gives_each_image_one_vote():
    """A large crack found and a small one missed: one half, however many pixels each has."""
    target = torch.zeros(2, 6, 8, dtype=torch.int64)
    target[0] = 1
    target[1, 0, 0] = 1
    logits = torch.full((2, 1, 6, 8), -100.0)
    logits[0] = 100

    assert dice(logits, target, smooth=1e-6).item() == pytest.approx(0.5, abs=1e-5)


# ---- laws ---------------------------------------------------------------------------------------


@every
def test_gradients_are_those_of_finite_differences(loss):
    logits, target = batch(loss)

    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)


@every
@grids.every(held=[-7.5, math.inf, -math.inf, math.nan])
def test_ignored_pixels_count_for_nothing_whatever_they_hold(loss, held):
    """0 times infinity is NaN: to multiply the void away is not enough."""
    logits, target = batch(loss)
    ignored = (target == VOID)[:, None].expand_as(logits)
    spoilt = logits.detach().masked_fill(ignored, held).requires_grad_()

    value, gradient = value_and_gradient(loss, logits, target)

    assert_close(value_and_gradient(loss, spoilt, target), (value, gradient), rtol=0, atol=0)
    assert gradient[ignored].eq(0).all()
    assert gradient[~ignored].ne(0).all()


@every
def test_if_no_pixel_counts_the_loss_is_0_and_so_are_its_gradients(loss):
    logits, target = batch(loss)

    value, gradient = value_and_gradient(loss, logits, torch.full_like(target, VOID))

    assert value == 0
    assert gradient.eq(0).all()


@every
def test_an_image_in_which_no_pixel_counts_changes_nothing(loss):
    logits, target = batch(loss)
    target[1] = VOID

    assert_close(loss(logits, target), loss(logits[[0, 2]], target[[0, 2]]))


@pytest.mark.parametrize("loss", [loss for name, loss in ALL.items() if name != "dice"])
def test_a_pixel_alone_says_what_it_says_twice(loss):
    logits, target = batch(loss)[0][1:2, :, 2:3, 3:4], torch.ones(1, 1, 1, dtype=torch.int64)

    assert_close(loss(logits, target), loss(logits.repeat(1, 1, 1, 2), target.repeat(1, 1, 2)))


@every
def test_another_number_may_mean_do_not_count_even_that_of_class_1(loss):
    logits, target = batch(loss)
    minus, ones = target.where(target != VOID, -100), target.where(target != VOID, 1)

    assert_close(loss(logits, minus, ignore_index=-100), loss(logits, target))
    assert_close(loss(logits, ones, ignore_index=1), loss(logits, target.where(target != 1, VOID)))


@every
def test_huge_logits_give_finite_losses_and_gradients(loss):
    """Right and wrong by ±10,000, in float32: the forms in which sigmoid comes first give infinity or NaN here."""
    logits, target = batch(loss)
    for scale in (1e4, -1e4):
        huge = (logits.detach().sign() * scale).float().requires_grad_()
        value, gradient = value_and_gradient(loss, huge, target)
        assert value.isfinite()
        assert gradient.isfinite().all()
    if loss is not dice:
        assert max(loss(logits.detach().sign() * scale, target) for scale in (1e4, -1e4)) > 100


@every
@grids.every(dtype=[torch.float16, torch.bfloat16])
def test_half_precision_logits_are_summed_in_float32(loss, dtype):
    """Large enough for a sum over the picture to overflow float16, and for one in bfloat16 to stand still."""
    logits, target = (part.repeat_interleave(60, -1).repeat_interleave(40, -2) for part in batch(loss, dtype))

    value = loss(logits.detach(), target)

    assert value.dtype == torch.float32
    assert_close(value, loss(logits.detach().double(), target).float(), rtol=1e-5, atol=0)


@every
@grids.every(dtype=[torch.float16, torch.bfloat16])
def test_autocast_changes_nothing(loss, dtype):
    logits, target = batch(loss, dtype)

    with torch.autocast("cpu", dtype=dtype):
        inside, gradient = value_and_gradient(loss, logits, target)

    assert inside.dtype == torch.float32
    assert gradient.dtype == dtype and gradient.isfinite().all()
    assert_close(inside, loss(logits, target).detach())


@binary
def test_a_channel_of_one_may_be_there_or_not(loss):
    logits, target = batch(loss)

    assert_close(loss(logits[:, 0], target), loss(logits, target), rtol=0, atol=0)


def test_two_classes_and_one_map_say_the_same():
    logits, target = batch()

    assert_close(
        cross_entropy(torch.cat([torch.zeros_like(logits), logits], dim=1), target),
        binary_cross_entropy(logits, target),
    )


def test_means_weighted_by_counted_are_the_mean_of_all():
    """So two processes that saw different numbers of pixels agree with one that saw them all."""
    logits, target = batch(cross_entropy)
    parts = [(logits[:1], target[:1]), (logits[1:], target[1:])]

    total = sum(counted(truth) * cross_entropy(some, truth) for some, truth in parts) / counted(target)

    assert_close(total, cross_entropy(logits, target))
    assert counted(target).shape == ()
    assert counted(target) == sum(value != VOID for value in target.flatten().tolist())
    assert counted(target, ignore_index=1) == (target != 1).sum()


def test_the_losses_are_found_by_name():
    assert set(LOSSES) == {"cross_entropy", "binary_cross_entropy", "dice", "focal"}
    assert all(loss.__name__ == name for name, loss in LOSSES.items())


# ---- deep supervision ---------------------------------------------------------------------------


@grids.every(weights=[None, [1, 0.5, 0.25]])
def test_deep_supervision_adds_the_losses_up(weights):
    outputs = [batch(seed=seed)[0] for seed in (0, 1, 2)]
    _, target = batch()

    value = deep_supervision(outputs, target, dice, weights)

    expected = sum(weight * dice(output, target) for weight, output in zip(weights or [1, 1, 1], outputs, strict=True))
    assert_close(value, expected)
    assert all(gradient.any() for gradient in torch.autograd.grad(value, outputs))


def test_deep_supervision_takes_a_loss_with_settings():
    logits, target = batch()

    assert_close(
        deep_supervision((logits,), target, partial(focal, gamma=1)),
        focal(logits, target, gamma=1),
    )


@grids.every(
    ("outputs", "weights", "said"),
    [
        ([], None, "list or tuple of one or more maps, got none"),
        (torch.zeros(2, 1, 3, 4), None, r"got Tensor; one map goes in as \[logits\]"),
        (np.zeros((2, 1, 3, 4)), None, r"got ndarray; one map goes in as \[logits\]"),
        ([np.zeros((2, 1, 3, 4))], None, r"outputs\[0\] must be a torch.Tensor, got ndarray"),
        ([torch.zeros(2, 1, 3, 4)] * 2, [1.0], "one weight for each output, got 1 for 2 outputs"),
        ([torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 2, 2)], None, r"outputs\[1\] has shape \(2, 1, 2, 2\)"),
    ],
)
def test_deep_supervision_refuses_what_does_not_fit(outputs, weights, said):
    with pytest.raises(ValueError, match=said):
        deep_supervision(outputs, torch.zeros(2, 3, 4, dtype=torch.int64), binary_cross_entropy, weights)


# ---- errors -------------------------------------------------------------------------------------

TARGET = torch.zeros(2, 3, 4, dtype=torch.int64)


@binary
@grids.every(
    ("logits", "target", "said"),
    [
        (torch.zeros(2, 2, 3, 4), TARGET, r"\(N, 1, H, W\) or \(N, H, W\), got \(2, 2, 3, 4\).*take cross_entropy"),
        (torch.zeros(3, 4), TARGET[0], r"got \(3, 4\)"),
        (torch.zeros(2, 1, 3, 4), TARGET[:, None], r"\(N, H, W\) = \(2, 3, 4\) .* got \(2, 1, 3, 4\)"),
        (torch.zeros(2, 1, 4, 3), TARGET, r"= \(2, 4, 3\) .* got \(2, 3, 4\)"),
        (torch.zeros(1, 1, 3, 4), TARGET, r"= \(1, 3, 4\) .* got \(2, 3, 4\)"),
        (torch.zeros(0, 1, 3, 4), TARGET[:0], "at least one pixel"),
        (torch.zeros(2, 1, 3, 4).long(), TARGET, "logits must be floating point, .* got torch.int64"),
        (torch.zeros(2, 1, 3, 4), TARGET.float(), r"target must be int64, got torch.float32; target.long\(\)"),
        (torch.zeros(2, 1, 3, 4), TARGET.bool(), "target must be int64, got torch.bool"),
        (torch.zeros(2, 1, 3, 4), TARGET + 2, r"class numbers 0\.\.1, or 255 .* it holds 2"),
        (torch.zeros(2, 1, 3, 4), TARGET - 1, "it holds -1"),
        (torch.zeros(2, 1, 3, 4), TARGET + 256, "it holds 256"),
        (np.zeros((2, 1, 3, 4)), TARGET, "logits must be a torch.Tensor, got ndarray"),
        (torch.zeros(2, 1, 3, 4), TARGET.numpy(), r"target must be .* got ndarray; torch.as_tensor\(target\)"),
    ],
)
def test_binary_losses_refuse_what_does_not_fit(loss, logits, target, said):
    with pytest.raises(ValueError, match=said):
        loss(logits, target)


@grids.every(
    ("logits", "target", "said"),
    [
        (torch.zeros(2, 1, 3, 4), TARGET, r"K >= 2 classes, got \(2, 1, 3, 4\);.* take binary_cross_entropy"),
        (torch.zeros(2, 3, 4), TARGET, r"got \(2, 3, 4\)"),
        (torch.zeros(2, 5, 4, 3), TARGET, r"= \(2, 4, 3\) .* got \(2, 3, 4\)"),
        (torch.zeros(0, 5, 3, 4), TARGET[:0], "at least one pixel"),
        (torch.zeros(2, 5, 3, 4).int(), TARGET, "logits must be floating point"),
        (torch.zeros(2, 5, 3, 4), TARGET.byte(), "target must be int64, got torch.uint8"),
        (torch.zeros(2, 5, 3, 4), TARGET + 5, r"class numbers 0\.\.4, or 255 .* it holds 5"),
        (torch.zeros(2, 5, 3, 4), TARGET - 100, "it holds -100"),
        (np.zeros((2, 5, 3, 4)), TARGET, "logits must be a torch.Tensor, got ndarray"),
        (torch.zeros(2, 5, 3, 4), TARGET.numpy(), "target must be a torch.Tensor, got ndarray"),
    ],
)
def test_cross_entropy_refuses_what_does_not_fit(logits, target, said):
    with pytest.raises(ValueError, match=said):
        cross_entropy(logits, target)


@grids.every(
    ("loss", "said"),
    [
        (partial(binary_cross_entropy, pos_weight=0), "pos_weight must be a number above 0, got 0"),
        (partial(binary_cross_entropy, pos_weight=math.inf), "pos_weight .* got inf"),
        (partial(dice, smooth=0), "smooth must be a number above 0, got 0; 0 would divide 0 by 0"),
        (partial(dice, smooth=math.nan), "smooth .* got nan"),
        (partial(focal, gamma=-1), "gamma must be a number of 0 or more, got -1"),
        (partial(focal, gamma=math.inf), "gamma .* got inf"),
        (partial(focal, alpha=1.5), r"alpha must lie in \[0, 1\], got 1.5"),
        (partial(focal, alpha=-1), "alpha .* got -1"),
    ],
)
def test_bad_settings_are_refused(loss, said):
    with pytest.raises(ValueError, match=said):
        loss(torch.zeros(2, 1, 3, 4), TARGET)

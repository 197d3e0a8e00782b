"""The shared checks: what passes comes back as Python's own integers, what does not is named."""

import numpy as np
import pytest
import torch

from chapters_code.checks import (
    check_choice,
    check_class_numbers,
    check_convolution,
    check_floating_point,
    check_integer,
    check_odd,
    check_one_device,
    check_pair,
    check_pictures,
    check_positive,
    check_rates,
    check_share,
)


def refused(message, check, *arguments, **settings):
    """Demand that a check refuses its arguments with this message, from its start on."""
    with pytest.raises(ValueError, match=f"^{message}"):
        check(*arguments, **settings)


# ---- settings -----------------------------------------------------------------------------------


def test_integers_pass():
    for value in (0, 7, np.int64(7), np.uint8(200)):
        passed = check_integer("count", value, 0)
        assert passed == value
        assert type(passed) is int


def test_what_is_no_integer_in_the_span_is_named():
    for value in (-1, 10, 2.0, "3", None, True, float("nan"), torch.tensor(3)):
        refused("width must be an integer from 0 to 9, got ", check_integer, "width", value, 0, 9)
    refused("count must be an integer of 4 or more, got 3$", check_integer, "count", 3, 4)


def test_odd_numbers_pass_and_even_ones_are_told_their_neighbours():
    assert [check_odd("taps", value) for value in (1, np.int64(3))] == [1, 3]
    refused("taps must be odd, so that a tap lies on the pixel itself, got 4: take 3 or 5$", check_odd, "taps", 4)
    for value in (0, -1, 1.5, True, (3, 3)):
        refused("taps must be an integer of 1 or more, got ", check_odd, "taps", value)


def test_a_number_is_repeated_and_a_pair_stays():
    for given, both in {3: (3, 3), np.int64(3): (3, 3), (3, 5): (3, 5), (np.int64(3), 5): (3, 5)}.items():
        assert check_pair("size", given) == both
    assert check_pair("size", [3, 5]) == check_pair("size", torch.zeros(3, 5).shape, single=False) == (3, 5)
    assert check_pair("padding", 0, 0) == (0, 0)
    assert all(type(side) is int for side in check_pair("size", (np.int64(3), np.uint8(5)), single=False))


NO_PAIRS = [True, 2.0, "2", "ab", None, (1, 2, 3), (1,), (), (1, 2.0), (True, 2), (0, 5), (5, -1), torch.tensor(2)]


@pytest.mark.parametrize("value", NO_PAIRS)
def test_what_is_no_pair_is_named_and_shown(value):
    """A bool is an integer to Python, and a mistake here; PyTorch refuses it, too."""
    refused(r"taps must be an integer of 1 or more, or two such as \(3, 5\), got ", check_pair, "taps", value)
    refused(r"crop must be \(height, width\), two integers of 1 or more, got ", check_pair, "crop", value, single=False)


def test_a_pair_has_a_least_and_a_picture_has_two_sides():
    refused(r"size must be an integer of 16 or more, .* got \(16, 15\)", check_pair, "size", (16, 15), 16)
    refused("padding must be an integer of 0 or more, or two .* got -1", check_pair, "padding", -1, 0)
    refused(r"size must be \(height, width\), .* got 5", check_pair, "size", 5, single=False)


def test_rates_may_be_any_list_and_are_named_one_by_one():
    assert check_rates([6, 12]) == check_rates(rate for rate in (6, np.int64(12))) == (6, 12)
    assert check_rates(()) == ()
    refused(r"rates must name 1 or more dilation rates, .* got \[\]", check_rates, [], least=1)
    refused(r"rates must be a list such as \(6, 12, 18\), got 6; one rate is \(6,\)", check_rates, 6)
    for rates in ((6, 0), (-1,), (1.5,), "12", (True,)):
        refused("each of the rates must be an integer of 1 or more, got ", check_rates, rates)


def test_a_word_is_one_of_those_that_there_are():
    assert check_choice("mode", "zero", ("zero", "reflect")) == "zero"
    for word in ("mirror", None, ["zero"]):
        refused("mode must be one of zero, reflect, got ", check_choice, "mode", word, ("zero", "reflect"))


# ---- tensors ------------------------------------------------------------------------------------


def test_pictures_have_three_or_four_axes_and_pixels():
    for shape in ((1, 2, 5, 7), (2, 5, 7), (0, 2, 5, 7)):
        check_pictures(torch.zeros(shape))
    refused(r"photo must have shape .* got \(5, 7\); photo\[None\] adds", check_pictures, torch.zeros(5, 7), "photo")
    refused(r"x must have shape \(N, C, H, W\), got \(2, 5, 7\)", check_pictures, torch.zeros(2, 5, 7), single=False)
    refused(r"x must be a torch.Tensor, got ndarray; torch.as_tensor\(x\)", check_pictures, np.zeros((2, 5, 7)))
    for shape in ((0, 5, 7), (1, 0, 5, 7), (1, 2, 0, 7), (2, 5, 0)):
        refused("only the batch may be empty: got shape ", check_pictures, torch.zeros(shape))


def test_only_floating_point_holds_means_and_weighted_sums():
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        check_floating_point(torch.ones(2, 3, dtype=dtype))
    for dtype in (torch.uint8, torch.int64, torch.bool, torch.complex64):
        message = rf"mask must be floating point, .* got {dtype}; mask.float\(\) converts it"
        refused(message, check_floating_point, torch.ones(2, 3, dtype=dtype), "mask")


X, W = torch.zeros(2, 4, 5, 7), torch.zeros(6, 4, 3, 2)


def test_what_makes_a_convolution_passes():
    check_convolution(X, W)
    check_convolution(X[0], W, torch.zeros(6))
    check_convolution(X, W[:, :2], torch.zeros(6), 2)
    check_convolution(X[..., 0], W[..., 0], axes=1)
    check_convolution(torch.zeros(6, 5, 7), W, torch.zeros(8), 2, transposed=True)


def test_what_makes_no_convolution_is_named():
    refused(r"weight must have shape \(C', C / groups, kH, kW\), got \(4, 3, 2\)", check_convolution, X, W[0])
    refused(r"weight must have shape \(C, C' / groups, kH, kW\), got", check_convolution, X, W[0], transposed=True)
    refused(r"weight must have shape .*, none of them 0, got \(6, 4, 3, 0\)", check_convolution, X, W[..., :0])
    refused(r"weight must be floating point, .*; weight.float\(\)", check_convolution, X, W.long())
    refused("groups must divide the 6 kernels of weight, got groups=4", check_convolution, X, W, None, 4)
    refused(r"x has 4 channels, but weight \(6, 4, 3, 2\) with groups=2 wants 8", check_convolution, X, W, None, 2)
    refused("x has 4 channels, .* wants 2", check_convolution, X, W[:, :2])
    refused(r"x has 4 channels, .* wants 6; its axes are \(C, C'", check_convolution, X, W, transposed=True)
    refused(r"x must have shape \(N, C, L\), got \(2, 4, 5, 7\)", check_convolution, X, W[..., 0], axes=1)
    refused(r"weight must have shape \(C', C / groups, K\)", check_convolution, X[..., 0], W, axes=1)
    refused(r"bias must be a tensor of shape \(6,\), .* got \(4,\)", check_convolution, X, W, torch.zeros(4))
    refused(r"bias must be a tensor of shape \(6,\), .* got float", check_convolution, X, W, 1.0)
    refused(r"weight must have the dtype and device of x, .*; weight.to\(x\)", check_convolution, X.double(), W)
    refused(
        "bias must have the dtype .* on cpu, got torch.float32 on meta",
        check_convolution,
        X,
        W,
        torch.zeros(6, device="meta"),
    )


# ---- what is predicted, and the truth beside it -------------------------------------------------


N = torch.zeros(4, dtype=torch.int64)


def test_class_numbers_pass_with_the_one_that_is_not_counted():
    numbers = torch.tensor([0, 2, 1, 255], dtype=torch.uint8)
    assert check_class_numbers("target", numbers, 3, 255).tolist() == [0, 2, 1, 255]
    assert check_class_numbers("target", numbers[:3].bool(), 2).dtype == torch.int64


def test_numbers_of_no_class_are_named_with_the_legal_ones():
    for bad in (3, -1):
        refused(rf"target must hold class numbers 0\.\.2; it holds {bad}$", check_class_numbers, "target", N + bad, 3)
    legal = r"target must hold class numbers 0\.\.2, or 255 for 'do not count'"
    refused(f"{legal}; it holds 254!$", check_class_numbers, "target", N + 254, 3, 255, "!")
    refused(f"{legal}, bool or integer, got torch.float32", check_class_numbers, "target", N.float(), 3, 255)


def test_two_devices_are_named():
    check_one_device("logits", N, N)
    for one, other in ((N, N.to("meta")), (N.to("meta"), N)):
        refused("the numbers of logits are on .*logits.device", check_one_device, "logits", one, other)


def test_numbers_above_zero_and_shares_pass_and_others_are_shown():
    for value in (1e-9, 3):
        check_positive("beta2", value)
    for value in (0, -0.5, float("inf"), float("nan")):
        refused(f"beta2 must be a number above 0, got {value}$", check_positive, "beta2", value)
    for value in (0, 0.5, 1):
        check_share("alpha", value)
    for value in (-0.1, 1.1, float("nan")):
        refused(rf"alpha must lie in \[0, 1\], got {value}$", check_share, "alpha", value)

"""Dilated convolution in all its forms: equal to PyTorch's, and its footprint equal to what the gradient says."""

import random
from itertools import combinations_with_replacement, permutations, product

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.dilated import (
    conv1d_dilated_loops,
    conv2d_polyphase,
    conv2d_zero_stuffed,
    count_holes,
    dilate_kernel,
    footprint,
)
from grids import every

BOTH = (conv2d_zero_stuffed, conv2d_polyphase)
NAN, INF = float("nan"), float("inf")
# Kernel, dilation, padding, stride: each side by itself, strides that share a factor with the dilation or do not, taps
# that stand farther apart than the picture is wide.
SETTINGS = [
    ((3, 3), 1, 0, 1),
    ((3, 3), 2, 2, 1),
    ((3, 3), 3, 3, 2),
    ((3, 3), 2, 2, 2),
    ((3, 3), 4, 4, 6),
    ((2, 3), (1, 4), (0, 3), (2, 1)),
    ((3, 1), (3, 2), (3, 0), (1, 3)),
    ((1, 1), 5, 0, (2, 3)),
    ((4, 2), (2, 6), (1, 0), (4, 3)),
    ((3, 3), 18, 18, 1),
]
SIZES = [(9, 12), (7, 8), (10, 7)]


def case(size, kernel, groups=1, bias=True, dtype=torch.float64):
    """Draw a picture, a kernel and a bias: integers, so that sums are exact in any order."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randint(-4, 5, shape, generator=generator).to(dtype)

    return draw(2, 6, *size), draw(4, 6 // groups, *kernel), draw(4) if bias else None


def theirs(x, weight, bias=None, dilation=2, padding=0, stride=1, groups=1):
    return functional.conv2d(x, weight, bias, stride, padding, dilation, groups)


def value_and_gradients(function, inputs, **settings):
    """Return the value, and the gradients when each output pixel pulls with another strength."""
    inputs = [one.clone().requires_grad_() for one in inputs if one is not None]
    out = function(*inputs, **settings)
    pull = torch.arange(1, out.numel() + 1, dtype=out.dtype).reshape(out.shape)
    return out.detach(), *torch.autograd.grad(out, inputs, pull)


def assert_same(ours, inputs, reference=theirs, **settings):
    """Integers below 2**53: not even the last bit may differ."""
    of_ours, of_theirs = (value_and_gradients(one, inputs, **settings) for one in (ours, reference))
    shapes = [tuple(one.shape) for one in inputs if one is not None]
    assert_close(of_ours, of_theirs, rtol=0, atol=0, msg=lambda said: f"{ours.__name__}, {shapes}, {settings}: {said}")


# ---- the reference library ----------------------------------------------------------------------


@pytest.mark.parametrize("ours", BOTH)
def test_values_and_gradients_are_those_of_pytorch(ours):
    """Of the picture, of the kernel and of the bias; with and without groups."""
    for (kernel, dilation, padding, stride), size, (groups, bias) in product(SETTINGS, SIZES, ((1, True), (2, False))):
        inputs = case(size, kernel, groups, bias)
        settings = {"dilation": dilation, "padding": padding, "stride": stride, "groups": groups}
        try:
            theirs(*inputs, **settings)
        except RuntimeError:  # the window does not fit
            with pytest.raises(ValueError, match="the window reaches"):
                ours(*inputs, **settings)
        else:
            assert_same(ours, inputs, **settings)


def test_random_settings_agree_with_pytorch():
    """A sweep through what nobody thought of: 300 settings with a fixed seed."""
    draw = random.Random(3).randint
    done = 0
    while done < 300:
        kernel, size = (draw(1, 4), draw(1, 4)), (draw(1, 13), draw(1, 13))
        dilation, padding, stride = ((draw(1, 5), draw(1, 5)), (draw(0, 5), draw(0, 5)), (draw(1, 6), draw(1, 6)))
        if any(size[i] + 2 * padding[i] < dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)):
            continue
        done += 1
        groups = draw(1, 2)
        for ours in BOTH:
            settings = {"dilation": dilation, "padding": padding, "stride": stride, "groups": groups}
            assert_same(ours, case(size, kernel, groups, bool(draw(0, 1))), **settings)


@pytest.mark.parametrize("ours", BOTH)
def test_groups_are_those_of_pytorch(ours):
    """With 6 groups it is depthwise: one channel each, two kernels for each channel."""
    x, _, _ = case((8, 11), (3, 3))
    for groups in (1, 2, 6):
        weight, bias = torch.randn(12, 6 // groups, 3, 3).double().round(), torch.arange(12.0).double()
        assert_same(ours, (x, weight, bias), dilation=2, padding=2, groups=groups)


def test_the_loops_in_one_dimension_are_pytorchs():
    for shape, (stride, padding), dilation in product([(1, 1, 11), (2, 3, 14)], [(1, 0), (2, 3), (3, 5)], [1, 2, 3, 5]):
        inputs = torch.randint(-4, 5, shape).double(), torch.randint(-4, 5, (4, shape[1], 3)).double()
        settings = {"dilation": dilation, "stride": stride, "padding": padding}
        assert_same(conv1d_dilated_loops, inputs, functional.conv1d, **settings)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ours", BOTH)
def test_every_floating_dtype_stays_what_it_is(ours, dtype):
    """Random numbers: 6 · 9 products are added in another order.  `assert_close` knows each dtype's last bit."""
    x, weight = torch.randn(2, 6, 9, 12).to(dtype), torch.randn(4, 6, 3, 3).to(dtype)

    assert ours(x, weight).dtype == dtype
    limits = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.1}
    assert_close(ours(x, weight), theirs(x, weight), rtol=limits[dtype], atol=limits[dtype])


@pytest.mark.parametrize("ours", BOTH)
def test_one_picture_without_batch_comes_back_without_batch(ours):
    x, weight, bias = case((8, 11), (3, 2))

    assert_same(ours, (x[0], weight, bias), dilation=2, padding=2, stride=3)
    assert ours(x[0], weight).dim() == 3


@pytest.mark.parametrize("ours", BOTH)
def test_an_empty_batch_stays_empty(ours):
    x, weight, bias = case((8, 11), (3, 3))

    assert ours(x[:0], weight, bias).shape == theirs(x[:0], weight, bias).shape == (0, 4, 4, 7)
    assert conv1d_dilated_loops(x[:0, :, 0], weight[..., 0], 2).shape == (0, 4, 7)


@pytest.mark.parametrize("ours", BOTH)
def test_the_layout_in_memory_does_not_matter(ours):
    x, weight, bias = case((8, 12), (3, 3))
    for other in (x.contiguous(memory_format=torch.channels_last), x.mT, x[..., ::2, 1:]):
        assert not other.is_contiguous()
        assert_same(ours, (other, weight, bias), dilation=2, padding=2, stride=2)


def test_nan_and_infinity_spread_as_in_pytorch_where_the_picture_is_sampled():
    """Only the taps touch a pixel.  The zeros of a stuffed kernel touch it, too: see the next test."""
    x, weight, bias = case((11, 12), (3, 3))
    x[0, 1, 2, 3], x[0, 2, 3, 4], x[1, 0, 5, 5], x[1, 4, 10, 0] = NAN, NAN, INF, -INF
    for dilation, padding, stride in ((2, 2, 1), (3, 0, 2), ((2, 4), (1, 4), 2)):
        out = conv2d_polyphase(x, weight, bias, dilation, padding, stride=stride)
        assert_close(out, theirs(x, weight, bias, dilation, padding, stride), equal_nan=True)
        assert out.isnan().any()


def test_a_nan_in_a_hole_spoils_the_zero_stuffed_form():
    """By hand: the hole of two taps at dilation 2.  0 · NaN = NaN, as the docstring says."""
    x, weight = torch.tensor([[[[1.0, NAN, 3.0]]]]), torch.ones(1, 1, 1, 2)

    assert conv2d_polyphase(x, weight).item() == theirs(x, weight).item() == 4
    assert conv2d_zero_stuffed(x, weight).isnan().all()


@pytest.mark.parametrize("ours", BOTH)
def test_what_is_given_is_left_as_it_was(ours):
    x, weight, bias = case((8, 11), (3, 3))
    before = x.clone(), weight.clone(), bias.clone()

    ours(x, weight, bias, 2, 2).add_(1)

    for one, other in zip((x, weight, bias), before, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("ours", BOTH)
def test_the_second_derivative_is_right_too(ours):
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 2, 2, dtype=torch.float64, requires_grad=True)

    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *both: ours(*both, None, 2, 1, stride=2), (x, weight))


# ---- by hand ------------------------------------------------------------------------------------


def test_the_sources_two_rows():
    """Kernel 3 on a row of six: plain with padding 1, and dilated by 2 with padding 2; both keep the length."""
    x, weight = torch.tensor([[[1.0, 2, 3, 4, 5, 6]]]), torch.tensor([[[1.0, 10, 100]]])

    assert conv1d_dilated_loops(x, weight, 1, padding=1).tolist() == [[[210, 321, 432, 543, 654, 65]]]
    assert conv1d_dilated_loops(x, weight, 2, padding=2).tolist() == [[[310, 420, 531, 642, 53, 64]]]


def test_zeros_stand_between_the_taps_and_not_around_them():
    kernel = torch.arange(1.0, 7).reshape(1, 1, 2, 3)

    assert dilate_kernel(kernel, (2, 1)).tolist() == [[[[1, 2, 3], [0, 0, 0], [4, 5, 6]]]]
    assert dilate_kernel(kernel, (1, 2)).tolist() == [[[[1, 0, 2, 0, 3], [4, 0, 5, 0, 6]]]]
    assert torch.equal(dilate_kernel(kernel, 1), kernel)


def test_a_dilated_kernel_carries_the_gradient_to_its_taps():
    for dilation in (1, 2, 3, (2, 5)):
        kernel = torch.randn(2, 3, 3, 2, requires_grad=True)
        dilate_kernel(kernel, dilation).square().sum().backward()
        assert_close(kernel.grad, 2 * kernel.detach())


def test_the_source_counts_zeros_and_pytorch_counts_steps():
    """The source's 1-D picture says rate 2 and its 2-D caption says rate 1, for the same kernel: one zero between."""
    for steps, zeros in ((1, 0), (2, 1), (3, 2), (6, 5)):
        row = dilate_kernel(torch.ones(1, 1, 1, 2), steps).flatten().tolist()

        assert row == [1, *[0] * zeros, 1]
        picture = torch.arange(float(zeros + 2)).reshape(1, 1, 1, -1)
        assert functional.conv2d(picture, torch.ones(1, 1, 1, 2), dilation=steps).item() == zeros + 1


def test_the_footprint_of_the_chapter():
    """Three layers of rate 2 see every second pixel of 13; rates 1, 2, 5 see all of 17."""
    assert footprint((2, 2, 2)) == (-6, -4, -2, 0, 2, 4, 6)
    assert count_holes((2, 2, 2)) == 13**2 - 7**2
    assert footprint((1, 2, 5)) == tuple(range(-8, 9))
    assert count_holes((1, 2, 5)) == 0
    # By hand: -9 -7 -5 and so on round -9, 0 and 9, each with 1 on both sides.
    assert footprint((1, 9)) == (-10, -9, -8, -1, 0, 1, 8, 9, 10)
    assert count_holes((1, 9)) == 21**2 - 9**2


def test_no_layer_sees_the_pixel_itself():
    assert footprint(()) == footprint((3, 4), kernel_size=1) == (0,)
    assert count_holes(()) == 0


def test_the_numbers_of_wang_and_others():
    """Their examples of hybrid dilated convolution: rates 1, 2, 3 have no hole, 2, 4, 8 have a common factor."""
    assert count_holes((1, 2, 3)) == count_holes((1, 2, 3, 1, 2, 3)) == 0
    assert all(offset % 2 == 0 for offset in footprint((2, 4, 8)))
    assert count_holes((1, 2, 9)) > 0


# ---- laws ---------------------------------------------------------------------------------------


def test_the_footprint_is_where_the_gradient_is_not_zero():
    """Kernels of ones: nothing cancels, so every touched pixel has a gradient of 1 or more."""
    stacks = [(2, 2, 2), (1, 2, 5), (3,), (4, 1), (2, 4, 8), (1, 3, 9), (6, 6)]
    for rates, kernel_size in product(stacks, (1, 3, 5)):
        reach = sum(rates) * (kernel_size // 2)
        x = torch.zeros(1, 1, 2 * reach + 5, 2 * reach + 3, dtype=torch.float64, requires_grad=True)
        y, ones = x, torch.ones(1, 1, kernel_size, kernel_size, dtype=torch.float64)
        for rate in rates:
            y = conv2d_polyphase(y, ones, None, rate, rate * (kernel_size // 2))
        y[0, 0, reach + 2, reach + 1].backward()

        offsets = footprint(rates, kernel_size)
        wanted = {(reach + 2 + i, reach + 1 + j) for i in offsets for j in offsets}
        assert set(map(tuple, x.grad[0, 0].nonzero().tolist())) == wanted, (rates, kernel_size)
        assert count_holes(rates, kernel_size) == (2 * reach + 1) ** 2 - len(wanted), (rates, kernel_size)


def test_the_order_of_the_layers_does_not_matter():
    for rates in ((1, 2, 5), (2, 3, 7), (4, 4, 1)):
        assert len({footprint(order) for order in permutations(rates)}) == 1, rates


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_no_rate_may_be_larger_than_what_the_smaller_ones_see(kernel_size):
    """The chapter's rule, for all sets of up to three rates from 1 to 12: no hole if and only if it holds."""
    for count in (1, 2, 3):
        for rates in product(range(1, 13), repeat=count):
            ordered = sorted(rates)
            rule = all(rate <= 1 + (kernel_size - 1) * sum(ordered[:i]) for i, rate in enumerate(ordered))

            assert (count_holes(rates, kernel_size) == 0) == rule, rates


def test_the_rule_of_wang_and_others_is_exact_for_stacks_that_rise_from_1():
    """Their formula needs both conditions that they set beside it: alone, it passes 2, 2, 2 and refuses 1, 5, 2."""

    def passes(rates):
        largest = rates[-1]
        for rate in rates[-2:0:-1]:
            largest = max(largest - 2 * rate, largest - 2 * (largest - rate), rate)
        return largest <= 3

    for layers in (1, 2, 3):
        for rest in combinations_with_replacement(range(1, 13), layers):
            assert passes((1, *rest)) == (count_holes((1, *rest)) == 0), rest
    assert passes((2, 2, 2)) and count_holes((2, 2, 2))
    assert not passes((1, 5, 2)) and not count_holes((1, 5, 2))


def test_the_middle_of_a_field_moves_with_the_dilation_unless_the_padding_does():
    """A published tool for receptive fields holds that dilation does not affect where the first field starts."""

    def seen(dilation, padding):
        x = torch.zeros(1, 1, 15, requires_grad=True)
        conv1d_dilated_loops(x, torch.ones(1, 1, 3), dilation, padding=padding)[..., 3].backward()
        return x.grad.flatten().nonzero().flatten().tolist()

    assert [seen(dilation, 1)[1] for dilation in (1, 2, 3)] == [3, 4, 5]
    assert [seen(dilation, dilation)[1] for dilation in (1, 2, 3)] == [3, 3, 3]


def test_neighbours_that_see_no_common_pixel():
    """Gridding: with rates 2, 2, 2 a pixel and its neighbour look at two different pictures."""
    seen = set(footprint((2, 2, 2)))

    assert seen.isdisjoint({place + 1 for place in seen})
    assert not set(footprint((1, 2, 5))).isdisjoint({place + 1 for place in footprint((1, 2, 5))})


def test_a_crack_in_the_holes_changes_nothing_at_all():
    """A straight crack, one pixel wide, in an odd column; every second output column is equal to the last bit."""
    road = torch.rand(1, 1, 20, 31)
    cracked = road.clone()
    cracked[..., 15] = 0
    weight = torch.randn(1, 1, 3, 3)

    def look(x):
        for _ in range(3):
            x = functional.relu(conv2d_polyphase(x, weight, None, 2, 2))
        return x

    same = (look(road) == look(cracked)).all(dim=-2).flatten()
    assert same[0::2].all() and not same[11:20:2].all()


@pytest.mark.parametrize("ours", BOTH)
def test_a_shifted_picture_gives_a_shifted_result(ours):
    """No stride, so every shift will do: unlike a strided layer, nothing depends on where the grid begins."""
    x, weight, bias = case((12, 15), (3, 3))

    assert_close(ours(x[..., 1:, 3:], weight, bias, 2), ours(x, weight, bias, 2)[..., 1:, 3:])


def test_dilation_of_a_product_is_dilation_twice():
    kernel = torch.randn(1, 2, 3, 4)

    assert torch.equal(dilate_kernel(dilate_kernel(kernel, 2), 3), dilate_kernel(kernel, 6))


def test_every_phase_is_a_plain_convolution():
    """The heart of the second way: what stands on phase (1, 0) depends on phase (1, 0) alone."""
    x, weight, _ = case((9, 12), (3, 3))

    assert_close(conv2d_polyphase(x, weight)[..., 1::2, 0::2], functional.conv2d(x[..., 1::2, 0::2], weight))


def test_a_stride_that_is_the_dilation_needs_one_phase_only(monkeypatch):
    """Dilation 4, stride 4: one convolution on a sixteenth of the picture."""
    calls = []
    plain = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", lambda x, *rest, **more: calls.append(x.shape) or plain(x, *rest, **more))
    x, weight, _ = case((16, 20), (3, 3))

    conv2d_polyphase(x, weight, None, 4, 0, stride=4)

    assert calls == [(2, 6, 4, 5)]


# ---- bad input ----------------------------------------------------------------------------------

X, W = torch.zeros(1, 2, 5, 7), torch.zeros(3, 2, 3, 3)
REFUSED = {
    "list": (X.tolist(), W, {}, r"x must be a torch.Tensor, got list; torch.as_tensor\(x\) makes one"),
    "rank 5": (X[None], W, {}, r"\(N, C, H, W\) or \(C, H, W\), got \(1, 1, 2, 5, 7\)"),
    "weight of rank 3": (X, W[0], {}, r"weight must have shape \(C', C / groups, kH, kW\), got \(2, 3, 3\)"),
    "integers": (X.long(), W.long(), {}, r"x must be floating point, .* got torch.int64; x.float\(\)"),
    "another dtype": (X, W.double(), {}, r"dtype and device of x, torch.float32 on cpu, got torch.float64"),
    "channels": (X[:, :1], W, {}, r"x has 1 channels, but weight \(3, 2, 3, 3\) with groups=1 wants 2"),
    "groups that do not fit": (X, W[:, :1], {"groups": 2}, r"groups must divide the 3 kernels of weight"),
    "bias too long": (X, W, {"bias": torch.zeros(4)}, r"bias must be a tensor of shape \(3,\), .* got \(4,\)"),
    "dilation 0": (X, W, {"dilation": (1, 0)}, r"dilation must be .* 1 or more, .* got \(1, 0\)"),
    "dilation a fraction": (X, W, {"dilation": 1.5}, r"dilation must be .* or more, or two .* got 1.5"),
    "stride 0": (X, W, {"stride": 0, "dilation": 1}, r"stride must be .* 1 or more, .* got 0"),
    "padding negative": (X, W, {"padding": -1, "dilation": 1}, r"padding must be .* 0 or more, .* got -1"),
    "padding by name": (X, W, {"padding": "same"}, r"padding must be .* or more, or two .* got 'same'"),
    "window too large": (X, W, {"dilation": 3}, r"reaches 7 pixels, but .* only 5 .*smaller kernel_size or dilation"),
    "no rows": (X[:, :, :0], W, {"padding": 3}, r"only the batch may be empty: got shape \(1, 2, 0, 7\)"),
}


@every(case=REFUSED, ours=BOTH)
def test_bad_input_is_named(ours, case):
    x, weight, settings, message = REFUSED[case]

    with pytest.raises(ValueError, match=message):
        ours(x, weight, **settings)


@pytest.mark.parametrize(
    ("x", "weight", "settings", "message"),
    [
        (X[0], W[0], {}, r"x has 5 channels, but weight \(2, 3, 3\) with groups=1 wants 3"),
        (X, W[0], {}, r"x must have shape \(N, C, L\), got \(1, 2, 5, 7\)"),
        (X[0], W, {}, r"weight must have shape \(C', C / groups, K\), got \(3, 2, 3, 3\)"),
        (X[0].long(), W[0].long(), {}, r"floating point"),
        (X[:, :, 0], W[..., 0], {"dilation": 0}, r"dilation must be an integer of 1 or more, got 0"),
        (X[:, :, 0], W[..., 0], {"dilation": (1, 2)}, r"dilation must be an integer of 1 or more, got \(1, 2\)"),
        (X[:, :, 0], W[..., 0], {"stride": 0}, r"stride must be an integer of 1 or more, got 0"),
        (X[:, :, 0], W[..., 0], {"padding": -1}, r"padding must be an integer of 0 or more, got -1"),
        (X[:, :, 0], W[..., 0], {"dilation": 4}, r"reaches 9 pixels, but the padded input has only 7"),
    ],
)
def test_the_loops_name_bad_input(x, weight, settings, message):
    with pytest.raises(ValueError, match=message):
        conv1d_dilated_loops(x, weight, **({"dilation": 1} | settings))


@pytest.mark.parametrize(
    ("rates", "kernel_size", "message"),
    [
        ((1, 0), 3, "each of the rates must be an integer of 1 or more, got 0"),
        ((1, -2), 3, "each of the rates must be an integer of 1 or more, got -2"),
        ((1.5,), 3, "each of the rates must be an integer of 1 or more, got 1.5"),
        (2, 3, r"rates must be a list such as \(6, 12, 18\), got 2; one rate is \(2,\)"),
        ("125", 3, "each of the rates must be an integer of 1 or more, got '1'"),
        ((1, 2), 4, "kernel_size must be odd, so that a tap lies on the pixel itself, got 4: take 3 or 5"),
        ((1, 2), 0, "kernel_size must be an integer of 1 or more, got 0"),
        ((1, 2), (3, 3), r"kernel_size must be an integer of 1 or more, got \(3, 3\)"),
    ],
)
def test_bad_rates_are_named(rates, kernel_size, message):
    for count in (footprint, count_holes):
        with pytest.raises(ValueError, match=message):
            count(rates, kernel_size)


def test_a_kernel_that_is_none_is_named():
    with pytest.raises(ValueError, match=r"weight must have shape \(C', C / groups, kH, kW\), got \(3, 3\)"):
        dilate_kernel(torch.ones(3, 3), 2)
    with pytest.raises(ValueError, match="dilation must be .* 1 or more, or .* got 0"):
        dilate_kernel(W, 0)
    with pytest.raises(ValueError, match="none of them 0"):
        dilate_kernel(W[..., :0, :], 2)

"""Transposed convolution three times, the checkerboard, and bilinear kernels: against PyTorch, laws and paper."""

import math
import random
import re
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.shapes import conv_size, conv_transpose_size
from chapters_code.strided import conv2d_matrix
from chapters_code.transposed import (
    RIMS,
    UPSAMPLERS,
    BilinearUpsample2d,
    bilinear_conv_transpose,
    bilinear_kernel,
    conv_transpose2d_loops,
    conv_transpose2d_matrix,
    conv_transpose2d_zero_inserted,
    interpolation_matrix,
    overlap_count,
    phase_sums,
)
from gradients import gradients
from grids import every

INF, NAN = float("inf"), float("nan")
WAYS = (conv_transpose2d_loops, conv_transpose2d_matrix, conv_transpose2d_zero_inserted)
# Sums of a few dozen products in another order than PyTorch's; in double precision the last bits may differ.
EXACT = {"rtol": 0, "atol": 1e-10}
# Kernel, then stride, padding, output_padding, groups, dilation; each side by itself.
SETTINGS = [
    ((1, 1), 1, 0, 0, 1, 1),
    ((3, 3), 2, 1, 1, 1, 1),
    ((4, 4), 2, 1, 0, 2, 1),
    ((2, 2), 3, 0, (0, 2), 1, 1),  # the kernel is smaller than the stride: holes
    ((2, 3), (1, 2), (0, 2), (0, 1), 4, 1),
    ((3, 2), (3, 1), (1, 0), (2, 1), 2, (1, 2)),
    ((2, 2), 1, 0, (2, 1), 4, (3, 2)),  # output_padding of a stride and more
    ((3, 4), (2, 3), (4, 3), (2, 2), 1, (3, 2)),
    ((3, 3), 1, 2, 0, 2, 1),  # all that hangs over is cut off
    ((1, 1), 2, 1, 0, 1, 1),  # what is cut off is more than the kernel
]
SIZES = [(4, 7), (5, 4), (3, 6)]


def case(kernel, groups, size=(5, 7), dtype=torch.float64, batch=2, channels=4, each=2):
    """Draw maps, weights and a bias that fit together; `each` is C' / groups."""
    x = torch.randn(batch, channels, *size, dtype=torch.float64).to(dtype)
    weight = torch.randn(channels, each, *kernel, dtype=torch.float64).to(dtype)
    return x, weight, torch.randn(each * groups, dtype=torch.float64).to(dtype)


def assert_same(ours, tensors, *settings, **close):
    """Demand PyTorch's values and gradients, and name the case where they are not the same."""
    both = (ours, functional.conv_transpose2d)
    found, wanted = ((f(*tensors, *settings), gradients(f, tensors, *settings)) for f in both)
    case = [tuple(one.shape) for one in tensors], settings
    assert_close(found, wanted, **(close or EXACT), msg=lambda said: f"{case}: {said}")


# ---- three ways: the reference library ----------------------------------------------------------


@pytest.mark.parametrize("ours", WAYS)
def test_values_and_gradients_are_those_of_pytorch(ours):
    """By the map, by the weights and by the bias."""
    for size, (kernel, *rest) in product(SIZES, SETTINGS):
        x, weight, bias = case(kernel, rest[3], size)
        assert_same(ours, (x, weight, bias), *rest)
        assert_close(ours(x, weight, None, *rest), functional.conv_transpose2d(x, weight, None, *rest), **EXACT)


def test_random_settings_agree_with_pytorch():
    """A sweep through what nobody thought of, an empty batch among it: 200 settings with a fixed seed."""
    draw = random.Random(5).randint
    tried = 0
    for _ in range(200):
        size, kernel = (draw(1, 6), draw(1, 6)), (draw(1, 4), draw(1, 4))
        stride, dilation, padding = (draw(1, 4), draw(1, 4)), (draw(1, 3), draw(1, 3)), (draw(0, 4), draw(0, 4))
        output_padding = tuple(draw(0, max(stride[i], dilation[i]) - 1) for i in (0, 1))
        groups = draw(1, 3)
        sides = [
            (size[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + 1 + output_padding[i]
            for i in (0, 1)
        ]
        if min(sides) < 1:
            continue
        tensors = case(kernel, groups, size, batch=draw(0, 2), channels=groups * draw(1, 2), each=draw(1, 2))
        settings = (stride, padding, output_padding, groups, dilation)

        expected = functional.conv_transpose2d(*tensors, *settings)
        for ours in WAYS:
            assert_close(ours(*tensors, *settings), expected, **EXACT, msg=f"{ours.__name__} {size} {settings}")
        tried += 1
    assert tried > 120


@pytest.mark.parametrize(
    ("dtype", "close"),
    [
        (torch.float32, {"rtol": 1e-5, "atol": 1e-5}),
        # The terms of a sum are rounded to 8 and 11 bits; up to 16 of them, in another order, differ by some last bits.
        (torch.bfloat16, {"rtol": 0.03, "atol": 0.2}),
        (torch.float16, {"rtol": 0.005, "atol": 0.03}),
    ],
)
@pytest.mark.parametrize("ours", WAYS)
def test_every_floating_dtype_stays_what_it_is(ours, dtype, close):
    tensors = case((3, 3), 1, dtype=dtype)

    assert ours(*tensors, 2, 1).dtype == dtype
    assert_same(ours, tensors, 2, 1, **close)


@pytest.mark.parametrize("ours", WAYS)
def test_a_single_picture_and_an_empty_batch(ours):
    for kernel, *rest in SETTINGS:
        x, weight, bias = case(kernel, rest[3])
        expected = functional.conv_transpose2d(x, weight, bias, *rest)
        assert_close(ours(x[1], weight, bias, *rest), expected[1], **EXACT)
        assert ours(x[:0], weight, bias, *rest).shape == (0, *expected.shape[1:]), (kernel, rest)


@pytest.mark.slow
@pytest.mark.parametrize("ours", WAYS)
def test_gradients_are_those_of_finite_differences(ours):
    tensors = [one.requires_grad_() for one in case((3, 2), 2, (3, 4), channels=2, each=1)]

    assert torch.autograd.gradcheck(lambda *given: ours(*given, (2, 3), (1, 0), (1, 2), 2, (2, 1)), tensors)


@pytest.mark.parametrize("ours", WAYS)
def test_maps_that_lie_otherwise_in_memory_are_the_same(ours):
    """And nobody writes into what came."""
    x, weight, bias = case((3, 2), 1)
    kept = x.clone(), weight.clone()
    expected = ours(x, weight, bias, 2, 1, 1)
    turned = x.transpose(-1, -2).contiguous().transpose(-1, -2)

    assert_close(ours(turned, weight.contiguous(memory_format=torch.channels_last), bias, 2, 1, 1), expected, **EXACT)
    assert torch.equal(x, kept[0]) and torch.equal(weight, kept[1])
    constant = x[:1, :, :, :1].expand(2, -1, -1, 6)
    assert_close(ours(constant, weight), ours(constant.contiguous(), weight), **EXACT)


@pytest.mark.parametrize("ours", [conv_transpose2d_loops, conv_transpose2d_zero_inserted])
def test_nan_and_infinity_spread_as_in_pytorch(ours):
    """Over the pixels that the stamp reaches, and no others; also where the tap is 0."""
    for (kernel, *rest), bad in product(SETTINGS[1:7], (NAN, INF)):
        x, weight, bias = case(kernel, rest[3])
        x[0, 1, 2, 3] = bad
        weight[1, 0, 0, 0] = 0
        expected = functional.conv_transpose2d(x, weight, bias, *rest)
        assert not expected.isfinite().all()
        assert_close(ours(x, weight, bias, *rest), expected, equal_nan=True, **EXACT)


# ---- three ways: by hand ------------------------------------------------------------------------


@pytest.mark.parametrize("ours", WAYS)
def test_stamps_by_hand(ours):
    """Two pixels, 1 and 10, stamp 1 2 3 two pixels apart: 1 2 3 + 0 0 10 20 30; in the middle 3 + 10."""
    x, weight = torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[[1.0, 2.0, 3.0]]]])

    assert ours(x, weight, stride=2).tolist() == [[[1, 2, 13, 20, 30]]]
    assert ours(x, weight, torch.tensor([0.5]), 2, (0, 1)).tolist() == [[[2.5, 13.5, 20.5]]]
    assert ours(x, weight, None, 2, (0, 1), (0, 1)).tolist() == [[[2, 13, 20, 30]]]  # what padding cut comes back
    assert ours(x, weight, dilation=2).tolist() == [[[1, 10, 2, 20, 3, 30]]]
    # One pixel more than the canvas has: nothing was stamped there.
    assert ours(x, weight, None, 2, 0, (0, 1)).tolist() == [[[1, 2, 13, 20, 30, 0]]]


@pytest.mark.parametrize("ours", WAYS)
def test_rows_and_columns_by_hand(ours):
    """One pixel of 2: the stamp is the kernel, doubled, and not mirrored."""
    weight = torch.tensor([[[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]])

    assert ours(torch.full((1, 1, 1, 1), 2.0), weight).tolist() == [[[[2, 4], [6, 8], [10, 12]]]]


@pytest.mark.parametrize("ours", WAYS)
def test_channels_and_groups_by_hand(ours):
    """Weight (C, C' / groups): channel c of the input feeds the outputs of its group."""
    x, weight = torch.tensor([1.0, 10.0]).reshape(2, 1, 1), torch.tensor([[1.0, 2.0], [3.0, 4.0]])[..., None, None]

    assert ours(x, weight).flatten().tolist() == [1 * 1 + 10 * 3, 1 * 2 + 10 * 4]
    assert ours(x, weight, groups=2).flatten().tolist() == [1, 2, 30, 40]


# ---- three ways: laws ---------------------------------------------------------------------------


def way_there(settings, size=(9, 12)):
    """Draw x, weight and y of a convolution x -> y, and the output_padding that leads back to x's size."""
    kernel, stride, padding, groups, dilation = settings
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    weight = torch.randn(6, 4 // groups, *kernel, dtype=torch.float64)
    y = torch.randn_like(functional.conv2d(x, weight, None, stride, padding, dilation, groups))
    back = conv_transpose_size(tuple(y.shape[2:]), kernel, stride, padding, 0, dilation)
    return x, weight, y, tuple(size[i] - back[i] for i in (0, 1))


THERE = [
    ((3, 3), 1, 1, 1, 1),
    ((3, 3), 2, 1, 1, 1),
    ((2, 4), (3, 2), (0, 2), 2, 1),
    ((3, 2), (4, 5), 1, 2, (2, 3)),
    ((1, 1), 3, 0, 2, 1),
]


@pytest.mark.parametrize("ours", WAYS)
def test_it_is_the_adjoint_of_convolution_and_how_that_sends_its_gradient_back(ours):
    """⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩, whatever x and y are."""
    for settings in THERE:
        x, weight, y, output_padding = way_there(settings)
        _, stride, padding, groups, dilation = settings
        x.requires_grad_()

        there = functional.conv2d(x, weight, None, stride, padding, dilation, groups)
        back = ours(y, weight, None, stride, padding, output_padding, groups, dilation)
        assert_close((there * y).sum(), (x * back).sum(), **EXACT)
        there.backward(y)
        assert_close(back, x.grad, **EXACT)


def test_it_is_the_matrix_turned_over():
    """3 × 4 to 6 × 9: M of the convolution 6 × 9 -> 3 × 4, and Mᵀ on the way back."""
    x, weight = torch.randn(1, 2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 2, 3, dtype=torch.float64)
    matrix = conv2d_matrix(weight, (6, 9), 2)

    out = functional.conv_transpose2d(x, weight, None, 2)
    assert matrix.shape == (2 * 3 * 4, 3 * 6 * 9)
    assert_close(matrix.T @ x.flatten(), out.flatten(), **EXACT)


@pytest.mark.parametrize("ours", WAYS)
def test_it_is_linear(ours):
    (x, weight, _), (y, *_) = case((3, 4), 2), case((3, 4), 2)
    settings = (None, 2, 1, 1, 2)

    mixed = ours(2 * x - 3 * y, weight, *settings)
    assert_close(mixed, 2 * ours(x, weight, *settings) - 3 * ours(y, weight, *settings), **EXACT)


def test_it_is_no_inverse():
    """One pixel there and back with the same kernel: its neighbours are lit, too."""
    x = functional.pad(torch.ones(1, 1, 1, 1, dtype=torch.float64), (3, 3, 3, 3))
    weight = torch.ones(1, 1, 3, 3, dtype=torch.float64)

    back = conv_transpose2d_loops(functional.conv2d(x, weight), weight)
    assert back[0, 0, 3].tolist() == [0, 3, 6, 9, 6, 3, 0]


@pytest.mark.parametrize("ours", WAYS)
def test_sizes_are_those_of_the_formula(ours):
    """And the convolution of the same settings leads back to the size it came from."""
    for kernel, stride, padding, output_padding, _, dilation in SETTINGS:
        x, weight, _ = case(kernel, 1, (5, 8), batch=1)
        out = ours(x, weight, None, stride, padding, output_padding, 1, dilation)
        assert tuple(out.shape[2:]) == conv_transpose_size((5, 8), kernel, stride, padding, output_padding, dilation)
        if max(kernel) > 1 and output_padding in (0, 1):
            assert conv_size(tuple(out.shape[2:]), kernel, stride, padding, dilation) == (5, 8)


# ---- three ways: errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], torch.ones(1, 1, 2, 2)), r"x must be a torch.Tensor, got list; torch.as_tensor\(x\) makes one"),
        ((torch.ones(3, 4), torch.ones(1, 1, 2, 2)), r"x must have shape .* got \(3, 4\); x\[None\] adds"),
        ((torch.ones(1, 1, 0, 4), torch.ones(1, 1, 2, 2)), r"only the batch may be empty: got shape \(1, 1, 0, 4\)"),
        ((torch.ones(1, 3, 4).long(), torch.ones(1, 1, 2, 2)), r"got torch.int64; x.float\(\) converts"),
        ((torch.ones(1, 3, 4), torch.ones(2, 2)), r"shape \(C, C' / groups, kH, kW\), got \(2, 2\)"),
        ((torch.ones(1, 3, 4), [1.0]), "weight must be a torch.Tensor, got list"),
        (
            (torch.ones(3, 4, 4), torch.ones(2, 3, 2, 2)),
            r"x has 3 channels, but weight \(2, 3, 2, 2\) with groups=1 wants 2; its axes are \(C, C' / groups, ...\)",
        ),
        (
            (torch.ones(3, 4, 4), torch.ones(3, 2, 2, 2), None, 1, 0, 0, 2),
            "groups must divide the 3 kernels .* groups=2",
        ),
        ((torch.ones(2, 4, 4), torch.ones(2, 1, 2, 2), None, 1, 0, 0, 0), "groups must be .* 1 or more, got 0"),
        (
            (torch.ones(2, 4, 4), torch.ones(2, 3, 2, 2), torch.ones(3), 1, 0, 0, 2),
            r"bias must be a tensor of shape \(6,\), .* got \(3,\)",
        ),
        ((torch.ones(2, 4, 4), torch.ones(2, 3, 2, 2), 1.0), r"bias must be .* got float"),
        (
            (torch.ones(1, 4, 4), torch.ones(1, 1, 2, 2).double()),
            r"weight must have the dtype and device of x, torch.float32 on cpu, got torch.float64",
        ),
        (
            (torch.ones(1, 4, 4), torch.ones(1, 1, 2, 2), None, 0),
            "stride must be .* 1 or more, or .* got 0",
        ),
        (
            (torch.ones(1, 4, 4), torch.ones(1, 1, 2, 2), None, 2.0),
            "stride must be .* or more, or two .* got 2.0",
        ),
        (
            (torch.ones(1, 4, 4), torch.ones(1, 1, 2, 2), None, 1, -1),
            "padding must be .* 0 or more, or .* got -1",
        ),
        ((torch.ones(1, 4, 4), torch.ones(1, 1, 2, 2), None, 1, (0, 3)), "nothing is left: padding 3 cuts away"),
        (
            (torch.ones(1, 4, 4), torch.ones(1, 1, 2, 2), None, (3, 2), 0, 2),
            "output_padding must be smaller than stride or dilation, got output_padding 2, stride 2, dilation 1",
        ),
        (
            (torch.ones(1, 4, 4), torch.ones(1, 1, 2, 2), None, 1, 0, 0, 1, 0),
            "dilation must be .* 1 or more, or .* got 0",
        ),
    ],
)
def test_bad_input_is_refused_with_the_cure(arguments, message):
    for ours in WAYS:
        with pytest.raises(ValueError, match=message):
            ours(*arguments)


# ---- the checkerboard ---------------------------------------------------------------------------


def test_counts_by_hand():
    """Kernel 3, stride 2: every second pixel is reached twice; kernel 4 twice everywhere, but at the rim."""
    assert overlap_count((1, 4), (1, 3), 2).tolist() == [[1, 1, 2, 1, 2, 1, 2, 1, 1]]
    assert overlap_count((1, 3), (1, 4), 2).tolist() == [[1, 1, 2, 2, 2, 2, 1, 1]]
    assert overlap_count((1, 3), (1, 4), 2, (0, 1)).tolist() == [[1, 2, 2, 2, 2, 1]]
    assert overlap_count((2, 3), 1, 2).tolist() == [[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1]]
    assert overlap_count(2, 3, 2).tolist() == [
        [1, 1, 2, 1, 1], [1, 1, 2, 1, 1], [2, 2, 4, 2, 2], [1, 1, 2, 1, 1], [1, 1, 2, 1, 1],
    ]  # fmt: skip


def test_counts_are_pytorchs_and_the_windows_of_a_convolution():
    """A pixel is reached by as many stamps as windows of the convolution look at it: its gradient, for ones."""
    for size, kernel, stride in product([(5, 7), (6, 4)], [(1, 1), (2, 3), (4, 2), (5, 6)], [1, 2, (3, 1)]):
        counts = overlap_count(size, kernel, stride)
        back = torch.zeros(1, 1, *counts.shape, requires_grad=True)
        functional.conv2d(back, torch.ones(1, 1, *kernel), stride=stride).sum().backward()

        assert counts.dtype == torch.int64
        assert torch.equal(counts, back.grad[0, 0].long()), (size, kernel, stride)
        assert counts.sum() == math.prod(size) * math.prod(kernel), (size, kernel, stride)


def test_counts_are_even_inside_just_if_the_stride_divides_the_kernel():
    for kernel_size, stride in product(range(1, 9), [1, 2, 3, 4]):
        inside = overlap_count((20, 21), kernel_size, stride)[kernel_size:-kernel_size, kernel_size:-kernel_size]
        assert (len(inside.unique()) == 1) == (kernel_size % stride == 0), (kernel_size, stride)


def test_phase_sums_are_what_a_flat_map_comes_out_as_inside():
    """The phase of the first tap first; the pattern repeats."""
    for kernel, (down, across) in product([(1, 1), (3, 2), (4, 5)], [(1, 1), (2, 2), (3, 3), (2, 4), (5, 1)]):
        weight = torch.randn(3, 2, *kernel, dtype=torch.float64)
        flat = torch.ones(1, 3, 7, 8, dtype=torch.float64)
        out = functional.conv_transpose2d(flat, weight, stride=(down, across))[0, :, : 7 * down, : 8 * across]
        sums = phase_sums(weight, (down, across))

        assert sums.shape == (2, down, across) and sums.dtype == torch.float64
        expected = sums.repeat(1, 8, 9)[:, : out.shape[1], : out.shape[2]]
        inside = (..., slice(kernel[0] - 1, None), slice(kernel[1] - 1, None))
        assert_close(out[inside], expected[inside], **EXACT)


def test_random_kernels_of_all_sizes_have_the_same_share_of_checkerboard():
    """1 − 1/s² on average, also where the phases are not equally strong: kernel 3 at stride 2, say."""
    for stride, kernel in product((2, 3), (3, 4, 5, 6)):
        sums = phase_sums(torch.randn(1, 20_000, kernel, kernel), stride)
        share = sums.var(dim=(-2, -1), correction=0).mean() / sums.square().mean()
        assert abs(share - (1 - 1 / stride**2)) < 0.01, (stride, kernel)


@pytest.mark.parametrize(("kernel", "taps"), [(3, [4, 2, 2, 1]), (4, [4] * 4), (5, [9, 6, 6, 4]), (6, [9] * 4)])
def test_phases_of_random_kernels_are_as_strong_as_their_taps_are_many(kernel, taps):
    """At stride 2: their mean squares, and so, after a ReLU, their means over many channels, as √taps."""
    sums = phase_sums(torch.randn(1, 20_000, kernel, kernel), 2).flatten(1)

    assert phase_sums(torch.ones(1, 1, kernel, kernel), 2).flatten().tolist() == taps
    assert_close(sums.square().mean(0), torch.tensor(taps) * 1.0, rtol=0.06, atol=0)
    bright = sums.relu().mean(0)
    assert abs(bright.max() / bright.min() - math.sqrt(max(taps) / min(taps))) < 0.06


def test_phase_sums_by_hand():
    """Stride 2 over 1 2 3 and 4 5 6: the corners 1 + 3, the middle 2, and so below."""
    weight = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])

    assert phase_sums(weight, 2).tolist() == [[[4, 2], [10, 5]]]
    assert phase_sums(weight, (1, 4)).tolist() == [[[5, 7, 9, 0]]]
    assert phase_sums(torch.cat([weight, 10 * weight]), 1).tolist() == [[[21 * 11]]]


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (overlap_count, (0, 3, 2), "size must be .* 1 or more, or .* got 0"),
        (overlap_count, ((4, 5, 6), 3, 2), r"size must be .* or more, or two .* got \(4, 5, 6\)"),
        (overlap_count, (4, 0, 2), "kernel_size must be .* 1 or more, or .* got 0"),
        (overlap_count, (4, 3, 0), "stride must be .* 1 or more, or .* got 0"),
        (overlap_count, (4, 3, 2, -1), "padding must be .* 0 or more, or .* got -1"),
        (overlap_count, (1, 3, 2, 2), "nothing is left: padding 2 .* take a smaller padding"),
        (phase_sums, (torch.ones(3, 3), 2), r"weight must have shape \(C, C', kH, kW\), got \(3, 3\)"),
        (phase_sums, (torch.ones(1, 1, 3, 3), 0), "stride must be .* 1 or more, or .* got 0"),
        (phase_sums, (torch.ones(1, 1, 3, 3).long(), 2), "got torch.int64"),
    ],
)
def test_bad_settings_of_the_checkerboard(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


# ---- bilinear kernels ---------------------------------------------------------------------------


def source_kernel(size):
    """The formula as Long et al. and d2l have it, one tap after the other: factor and centre."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    side = [1 - abs(i - centre) / factor for i in range(size)]
    return [[row * column for column in side] for row in side]


def test_the_tent_is_that_of_the_source():
    for size in range(1, 10):
        kernel = bilinear_kernel(2, 2, size)
        assert kernel.dtype == torch.get_default_dtype()
        assert_close(kernel[0, 0], torch.tensor(source_kernel(size)))
        assert torch.equal(kernel[1, 1], kernel[0, 0])
        assert not kernel[0, 1].any() and not kernel[1, 0].any()
        assert torch.equal(kernel, kernel.flip(-1)) and torch.equal(kernel, kernel.mT)


def test_tents_by_hand():
    assert bilinear_kernel(1, 1, (1, 3)).flatten().tolist() == [0.5, 1, 0.5]
    assert bilinear_kernel(1, 1, (4, 1)).flatten().tolist() == [0.25, 0.75, 0.75, 0.25]
    assert bilinear_kernel(1, 1, (2, 3))[0, 0].tolist() == [[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]]
    assert bilinear_kernel(3, 3, 1).flatten().tolist() == torch.eye(3).flatten().tolist()


def test_the_tents_of_one_scale_add_up_to_one_everywhere():
    """Partition of unity: a flat map stays flat, and as bright as it was."""
    for scale in range(1, 9):
        size = 2 * scale - scale % 2
        assert_close(phase_sums(bilinear_kernel(1, 1, size), scale), torch.ones(1, scale, scale))


def test_a_tent_is_flat_just_if_its_slope_fits_the_stride():
    """From the top down to 0 in m whole strides: the sum is m, in each direction.

    At stride 2 every even tent is flat, too: its two phases are each other's mirror image.
    """
    for size, stride in product(range(1, 12), range(1, 6)):
        sums, slope = phase_sums(bilinear_kernel(1, 1, size), stride), (size + 1) // 2
        if slope % stride == 0 or (stride == 2 and size % 2 == 0):
            assert_close(sums, torch.full_like(sums, (slope / stride) ** 2))
        else:
            assert (sums.max() - sums.min()) / sums.mean() > 0.1, (size, stride)


def test_it_follows_the_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        assert bilinear_kernel(1, 1, 5).dtype == torch.float64
        assert abs(bilinear_kernel(1, 1, 5)[0, 0, 2, 1].item() - 2 / 3) < 1e-15  # not rounded to float32 on the way
    finally:
        torch.set_default_dtype(torch.float32)


@every(scale=range(1, 8), groups=[1, 3])
def test_the_layer_is_interpolate_inside(groups, scale):
    """The rim, where the kernel hangs over, is as wide as half the scale; there it is darker."""
    x = torch.rand(2, 3, 6, 5, dtype=torch.float64) + 1
    layer = bilinear_conv_transpose(3, scale, groups).double()
    out = layer(x)
    expected = functional.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    rim = scale // 2

    assert out.shape == expected.shape
    inner = (..., slice(rim, 6 * scale - rim), slice(rim, 5 * scale - rim))
    assert_close(out[inner], expected[inner], rtol=0, atol=1e-6)  # the layer's weights were rounded to float32
    dark = torch.ones_like(out, dtype=torch.bool)
    dark[inner] = False
    assert (out[dark] < expected[dark]).all() and dark.any() == (scale > 1)


def test_the_rim_by_hand():
    """Scale 2: a corner gets 3/4 · 3/4 of what it should, an edge 3/4."""
    out = bilinear_conv_transpose(1, 2)(torch.ones(1, 1, 3, 4))[0, 0]

    assert out[0, 0].item() == 0.5625 and out[0, 3].item() == out[3, 0].item() == 0.75 and out[2, 4].item() == 1


def test_groups_are_the_same_map_with_fewer_weights():
    """The source's head: 21 × 21 kernels of 64 × 64, of which 21 are not zero."""
    dense, depthwise = bilinear_conv_transpose(21, 4), bilinear_conv_transpose(21, 4, groups=21)
    x = torch.randn(1, 21, 5, 3)

    assert (dense.weight.shape, depthwise.weight.shape) == ((21, 21, 8, 8), (21, 1, 8, 8))
    assert int(dense.weight.detach().flatten(2).any(-1).sum()) == 21
    assert_close(dense(x), depthwise(x))
    assert bilinear_conv_transpose(6, 3, groups=2).weight.shape == (6, 3, 5, 5)
    assert_close(bilinear_conv_transpose(6, 3, groups=2)(x[:, :6]), bilinear_conv_transpose(6, 3)(x[:, :6]))


def test_the_layer_of_the_source():
    """64 × 64 taps, stride 32, padding 16: 10 × 15 to 320 × 480.  It learns, and has no bias."""
    layer = bilinear_conv_transpose(1, 32)

    assert (layer.kernel_size, layer.stride, layer.padding) == ((64, 64), (32, 32), (16, 16))
    assert layer(torch.zeros(1, 1, 10, 15)).shape == (1, 1, 320, 480)
    assert layer.weight.requires_grad and layer.bias is None


@every(
    ("function", "arguments", "message"),
    [
        (bilinear_kernel, (3, 4, 4), "got in_channels=3, out_channels=4: change the number of channels by a 1 × 1"),
        (bilinear_kernel, (0, 0, 4), "in_channels must be an integer of 1 or more, got 0"),
        (bilinear_kernel, (1, True, 4), "out_channels must be .* got True"),
        (bilinear_kernel, (1, 1, 0), "kernel_size must be .* 1 or more, or .* got 0"),
        (bilinear_kernel, (1, 1, 2.5), "kernel_size must be .* or more, or two .* got 2.5"),
        (bilinear_conv_transpose, (0, 2), "channels must be .* 1 or more, got 0"),
        (bilinear_conv_transpose, (3, 0), "scale must be an integer of 1 or more, got 0"),
        (bilinear_conv_transpose, (3, 1.5), "scale must be .* got 1.5"),
        (bilinear_conv_transpose, (3, 2, 2), "divisible by groups"),
        (interpolation_matrix, (0, 2), "size must be an integer of 1 or more, got 0"),
        (interpolation_matrix, (4, 0), "scale must be an integer of 1 or more, got 0"),
        (interpolation_matrix, (4, 2, "mirror"), "rim must be one of zero, replicate, got 'mirror'"),
        (BilinearUpsample2d, (0,), "scale must be an integer of 1 or more, got 0"),
        (BilinearUpsample2d, (2.0,), "scale must be .* got 2.0"),
        (BilinearUpsample2d, (2, None), "rim must be one of zero, replicate, got None"),
    ],
)
def test_bad_settings_of_bilinear(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


# ---- two matrix products ------------------------------------------------------------------------


def test_the_matrix_by_hand():
    """Scale 3: centres at −1/3, 0, 1/3, 2/3, ... of the input."""
    third, two = 1 / 3, 2 / 3
    zero = [[two, 0], [1, 0], [two, third], [third, two], [0, 1], [0, two]]

    assert_close(interpolation_matrix(2, 3), torch.tensor(zero))
    zero[0][0] = zero[5][1] = 1
    assert_close(interpolation_matrix(2, 3, "replicate"), torch.tensor(zero))
    assert torch.equal(interpolation_matrix(5, 1), torch.eye(5))
    assert interpolation_matrix(1, 4, "replicate").tolist() == [[1]] * 4


def test_rows_of_the_matrix():
    """Shares of one or two neighbours; they add up to 1, but for "zero" at the rim."""
    for size, scale, rim in product([1, 2, 7], range(1, 8), RIMS):
        matrix = interpolation_matrix(size, scale, rim)
        assert matrix.shape == (scale * size, size) and (matrix >= 0).all(), (size, scale, rim)
        assert (matrix > 0).sum(dim=1).max() <= 2, (size, scale, rim)
        assert_close(matrix, matrix.flip(0, 1))

        outside = scale // 2 if rim == "zero" else 0
        ramp = torch.tensor([0.5 + (o + 0.5) / scale for o in range(outside)])  # 1 minus the way to the first centre
        inside = torch.ones(len(matrix) - 2 * outside)
        assert_close(matrix.sum(dim=1), torch.cat([ramp, inside, ramp.flip(0)]))


def test_with_a_replicated_rim_it_is_interpolate_everywhere():
    for size, scale in product([(1, 1), (1, 6), (5, 4), (7, 12)], range(1, 8)):
        x = torch.randn(2, 3, *size, dtype=torch.float64)
        expected = functional.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
        # The matrix is made in float32 by default; its shares are a few roundings of it away.
        assert_close(BilinearUpsample2d(scale, "replicate")(x), expected, rtol=0, atol=1e-5)


def test_with_a_zero_rim_it_is_the_transposed_convolution_everywhere():
    for size, scale in product([(1, 1), (5, 4), (3, 8)], range(1, 8)):
        x = torch.randn(2, 3, *size)
        assert_close(BilinearUpsample2d(scale)(x), bilinear_conv_transpose(3, scale)(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("rim", RIMS)
def test_gradients_of_the_module(rim):
    """Those of finite differences, and of interpolate where it is the same."""
    layer, x = BilinearUpsample2d(3, rim), torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    pull = torch.randn(1, 2, 9, 12, dtype=torch.float64)

    assert torch.autograd.gradcheck(layer, x)
    if rim == "replicate":
        expected = functional.interpolate(x, scale_factor=3, mode="bilinear", align_corners=False)
        ours, theirs = (torch.autograd.grad(out, x, pull)[0] for out in (layer(x), expected))
        assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_the_module_takes_one_picture_and_learns_nothing():
    layer, x = BilinearUpsample2d(2, "replicate"), torch.rand(2, 3, 4, 5)

    assert torch.equal(layer(x[1]), layer(x)[1])
    assert layer.state_dict() == {} and not list(layer.parameters())
    assert str(layer) == "BilinearUpsample2d(scale=2, rim='replicate')"
    with pytest.raises(ValueError, match=re.escape("x must have shape (N, C, H, W) or (C, H, W), got (4, 5)")):
        layer(x[0, 0])
    with pytest.raises(ValueError, match=re.escape("got torch.uint8; x.float() converts")):
        layer(x.byte())


def test_a_flat_map_stays_flat_just_with_a_replicated_rim():
    flat = torch.ones(1, 1, 3, 4)

    assert_close(BilinearUpsample2d(5, "replicate")(flat), torch.ones(1, 1, 15, 20))
    assert BilinearUpsample2d(5)(flat).min().item() == pytest.approx(0.6**2)  # the corner, 2/5 outside on both sides


def test_upsamplers_are_alike_at_the_start_and_differ_in_what_they_learn():
    """By name; C² kernels, C kernels, none."""
    x, learnt = torch.randn(1, 4, 3, 5), {}
    made = {name: make(4, 3) for name, make in UPSAMPLERS.items()}
    for name, layer in made.items():
        assert isinstance(layer, nn.Module)
        assert_close(layer(x), made["dense"](x), rtol=0, atol=1e-5)
        learnt[name] = sum(weight.numel() for weight in layer.parameters())

    assert learnt == {"dense": 16 * 25, "depthwise": 4 * 25, "fixed": 0}

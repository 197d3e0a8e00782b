"""Convolution three times, space-to-depth, and the blur before the stride: against PyTorch, SciPy and paper."""

import math
import random
from itertools import product

import pytest
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from chapters_code.strided import (
    BlurPool2d,
    StridedConv2d,
    as_pointwise,
    binomial,
    blur,
    conv2d,
    conv2d_loops,
    conv2d_matrix,
    shift_change,
    space_to_depth,
)
from gradients import gradients

INF, NAN = float("inf"), float("nan")
BOTH = (conv2d, conv2d_loops)
# Sums of a few dozen products in another order than PyTorch's; in double precision the last bits may differ.
EXACT = {"rtol": 0, "atol": 1e-10}
# Kernel, then stride, padding, dilation, groups; each side by itself.
SETTINGS = [
    ((1, 1), 1, 0, 1, 1),
    ((3, 3), 2, 1, 1, 1),
    ((2, 2), 2, 0, 1, 2),
    ((2, 3), (1, 2), (2, 0), 1, 4),
    ((3, 2), (3, 1), (0, 3), (1, 2), 2),
    ((2, 2), 1, 0, (3, 2), 4),
]
SIZES = [(4, 7), (5, 4), (6, 9)]


def case(kernel, groups, size=(5, 7), dtype=torch.float64, batch=2, channels=4, kernels=8):
    """Draw a picture, weights and a bias that fit together."""
    x = torch.randn(batch, channels, *size, dtype=torch.float64).to(dtype)
    weight = torch.randn(kernels, channels // groups, *kernel, dtype=torch.float64).to(dtype)
    return x, weight, torch.randn(kernels, dtype=torch.float64).to(dtype)


def assert_same(ours, tensors, *settings, **close):
    """Demand PyTorch's values and gradients, and name the case where they are not the same."""
    found, wanted = ((f(*tensors, *settings), gradients(f, tensors, *settings)) for f in (ours, functional.conv2d))
    case = [tuple(one.shape) for one in tensors], settings
    assert_close(found, wanted, **(close or EXACT), msg=lambda said: f"{case}: {said}")


# ---- convolution: the reference library ---------------------------------------------------------


@pytest.mark.parametrize("ours", BOTH)
def test_values_and_gradients_are_those_of_pytorch(ours):
    """By the picture, by the weights and by the bias."""
    for size, (kernel, *rest) in product(SIZES, SETTINGS):
        x, weight, bias = case(kernel, rest[-1], size)
        assert_same(ours, (x, weight, bias), *rest)
        assert_close(ours(x, weight, None, *rest), functional.conv2d(x, weight, None, *rest), **EXACT)


@pytest.mark.slow
def test_random_settings_agree_with_pytorch():
    """A sweep through what nobody thought of, an empty batch among it: 300 settings with a fixed seed."""
    draw = random.Random(7).randint
    for _ in range(300):
        size, kernel, dilation = (
            (draw(1, 10), draw(1, 10)),
            (draw(1, 4), draw(1, 4)),
            (draw(1, 3), draw(1, 3)),
        )
        padding, stride, groups = (draw(0, 4), draw(0, 4)), (draw(1, 4), draw(1, 4)), draw(1, 3)
        if any(size[i] + 2 * padding[i] < dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)):
            continue
        channels, kernels = groups * draw(1, 2), groups * draw(1, 3)
        tensors = case(kernel, groups, size, batch=draw(0, 2), channels=channels, kernels=kernels)
        settings = (stride, padding, dilation, groups)

        assert_same(conv2d, tensors, *settings)
        assert_close(conv2d_loops(*tensors, *settings), conv2d(*tensors, *settings), **EXACT)


@pytest.mark.parametrize(
    ("dtype", "close"),
    [
        (torch.float32, {"rtol": 1e-5, "atol": 1e-5}),
        # The terms of a sum are rounded to 8 and 11 bits; 36 of them, in another order, differ by a few last bits.
        (torch.bfloat16, {"rtol": 0.03, "atol": 0.1}),
        (torch.float16, {"rtol": 0.005, "atol": 0.02}),
    ],
)
@pytest.mark.parametrize("ours", BOTH)
def test_every_floating_dtype_stays_what_it_is(ours, dtype, close):
    tensors = case((3, 3), 1, dtype=dtype)

    assert ours(*tensors, 2, 1).dtype == dtype
    assert_same(ours, tensors, 2, 1, **close)


@pytest.mark.parametrize("ours", BOTH)
def test_one_picture_without_batch_comes_back_without_batch(ours):
    x, weight, bias = case((3, 2), 2)

    assert_close(ours(x[0], weight, bias, 2, 1, 1, 2), functional.conv2d(x[0], weight, bias, 2, 1, 1, 2), **EXACT)


@pytest.mark.parametrize("ours", BOTH)
def test_the_layout_in_memory_does_not_matter(ours):
    x, weight, bias = case((3, 2), 1, size=(5, 5), batch=4)
    for other in (x.contiguous(memory_format=torch.channels_last), x.mT, x.transpose(0, 1), x[:1].expand(4, 4, 5, 5)):
        assert not other.is_contiguous()
        assert_close(ours(other, weight, bias, 2, 1), functional.conv2d(other, weight, bias, 2, 1), **EXACT)


@pytest.mark.parametrize("ours", BOTH)
def test_nan_and_infinity_spread_as_in_pytorch(ours):
    x, weight, bias = case((3, 3), 2, size=(7, 8))
    for value, i, j in ((NAN, 0, 0), (INF, 3, 4), (-INF, 6, 1), (NAN, 5, 7)):
        x[:, 1, i, j] = value
    out = ours(x, weight, bias, 2, 1, 1, 2)

    assert_close(out, functional.conv2d(x, weight, bias, 2, 1, 1, 2), equal_nan=True)
    assert out[:, :4].isnan().any() and out[:, 4:].isfinite().all()  # the other group never saw them


@pytest.mark.parametrize("ours", BOTH)
def test_the_gradient_is_the_slope(ours):
    x, weight, bias = (one.requires_grad_() for one in case((2, 3), 2, size=(4, 5), batch=1, kernels=2))

    assert torch.autograd.gradcheck(lambda *tensors: ours(*tensors, (2, 1), 1, 1, 2), (x, weight, bias))


@pytest.mark.parametrize("ours", BOTH)
def test_what_is_given_is_left_as_it_was(ours):
    tensors = case((3, 3), 1)
    before = [one.clone() for one in tensors]
    ours(*tensors, 1, 1).add_(1)

    assert all(map(torch.equal, tensors, before))
    assert ours(tensors[0], torch.eye(4, dtype=torch.float64)[..., None, None]).data_ptr() != tensors[0].data_ptr()


# ---- convolution: by hand, and its laws ---------------------------------------------------------


@pytest.mark.parametrize("ours", BOTH)
def test_the_kernel_is_laid_on_as_it_stands(ours):
    """By hand: 1·1 + 2·2 + 3·4 + 4·5 = 37, then 47.  Turned round, as mathematicians do, it would be 23."""
    x = torch.tensor([[[1.0, 2, 3], [4, 5, 6]]])
    kernel = torch.tensor([[[[1.0, 2], [3, 4]]]])

    assert ours(x, kernel).tolist() == [[[37, 47]]]
    assert ours(x, kernel, torch.tensor([0.5]), stride=2, padding=1).tolist() == [[[4.5, 18.5], [8.5, 17.5]]]


@pytest.mark.parametrize("ours", BOTH)
def test_groups_keep_channels_apart(ours):
    """By hand: the second half of the kernels sees the second half of the channels."""
    x = torch.tensor([1.0, 10, 100, 1000])[:, None, None]
    weight = torch.tensor([[1.0, 2], [3, 4]])[..., None, None]

    assert ours(x, weight, groups=2).flatten().tolist() == [21, 4300]


@pytest.mark.parametrize("ours", BOTH)
def test_a_shift_by_the_stride_shifts_the_output_by_one(ours):
    x, weight, bias = case((2, 3), 1, size=(8, 11))

    whole = ours(x, weight, bias, (2, 3))
    assert_close(ours(x[..., 2:, 3:], weight, bias, (2, 3)), whole[..., 1:, 1:], **EXACT)


@pytest.mark.parametrize("ours", BOTH)
def test_dilation_takes_every_second_tap_of_a_larger_kernel(ours):
    x, weight, _ = case((2, 3), 1)
    stuffed = weight.new_zeros(8, 4, 3, 5)
    stuffed[..., ::2, ::2] = weight

    assert_close(ours(x, weight, dilation=2), ours(x, stuffed), **EXACT)


@pytest.mark.parametrize("ours", BOTH)
def test_rows_and_columns_play_the_same_part(ours):
    x, weight, bias = case((3, 2), 1)
    there, back = ours(x.mT, weight.mT, bias, (1, 2), (0, 1), (2, 1)), ours(x, weight, bias, (2, 1), (1, 0), (1, 2))

    assert_close(there, back.mT, **EXACT)


# ---- the matrix ---------------------------------------------------------------------------------


def test_the_matrix_is_the_convolution_and_its_transpose_the_gradient():
    for size, (kernel, *rest) in product(SIZES, SETTINGS):
        x, weight, _ = case(kernel, rest[-1], size, batch=1)
        matrix = conv2d_matrix(weight, size, *rest)
        x.requires_grad_()
        out = functional.conv2d(x, weight, None, *rest)
        pull = torch.randn_like(out)
        (gradient,) = torch.autograd.grad(out, x, pull)

        assert matrix.shape == (out.numel(), x.numel()), (size, kernel, rest)
        assert_close(matrix @ x.detach().flatten(), out.detach().flatten(), **EXACT)
        assert_close(matrix.T @ pull.flatten(), gradient.flatten(), **EXACT)


def test_the_matrix_by_hand():
    """Two rows of three pixels, a kernel of two rows: the second row of the matrix is the first, moved by one."""
    weight = torch.tensor([[[[1.0, 2], [3, 4]]]])

    assert conv2d_matrix(weight, (2, 3)).tolist() == [[1, 2, 0, 3, 4, 0], [0, 1, 2, 0, 3, 4]]
    # With padding, three of four weights meet zeros in the corner.
    assert conv2d_matrix(weight, (2, 3), stride=3, padding=1).tolist() == [[4, 0, 0, 0, 0, 0], [0, 0, 3, 0, 0, 0]]


@pytest.mark.slow
def test_the_matrix_hands_gradients_on_to_the_weights():
    x, weight, _ = case((2, 3), 2, size=(4, 5), batch=1)

    def by_matrix(weight):
        return conv2d_matrix(weight, (4, 5), 2, 1, groups=2) @ x.flatten()

    assert torch.autograd.gradcheck(by_matrix, weight.requires_grad_())


def test_the_matrix_has_the_dtype_of_the_weights():
    assert conv2d_matrix(torch.ones(1, 1, 2, 2, dtype=torch.float16), (3, 4)).dtype == torch.float16


# ---- the strided layer --------------------------------------------------------------------------


def test_the_layer_of_the_article():
    """Its example: (1, 3, 64, 64) becomes (1, 64, 32, 32), by 3 × 3 with stride 2 and padding 1."""
    x = torch.randn(1, 3, 64, 64)
    layer, bare = StridedConv2d(3, 64), StridedConv2d(3, 64, relu=False)
    bare.load_state_dict(layer.state_dict())
    weight, bias = layer[0].weight, layer[0].bias

    assert layer(x).shape == (1, 64, 32, 32)
    assert_close(bare(x), functional.conv2d(x, weight, bias, stride=2, padding=1))
    assert_close(layer(x), functional.relu(bare(x)))
    assert bare(x).min() < 0 == layer(x).min()
    assert list(layer.state_dict()) == ["0.weight", "0.bias"]


def test_even_sides_are_halved_by_every_kernel():
    """Of odd sides odd kernels keep the last pixel, and even ones drop it."""
    for kernel_size in (1, 2, 3, 4, 5):
        layer = StridedConv2d(2, 5, kernel_size)
        assert layer(torch.zeros(3, 2, 6, 10)).shape == (3, 5, 3, 5)
        assert layer(torch.zeros(3, 2, 5, 9)).shape == (3, 5, *((3, 5) if kernel_size % 2 else (2, 4)))


def test_the_layer_takes_one_picture_no_picture_and_channels_last():
    layer, x = StridedConv2d(2, 5), torch.randn(3, 2, 6, 9)

    assert layer(x[0]).shape == (5, 3, 5)
    assert layer(x[:0]).shape == (0, 5, 3, 5)
    assert_close(layer(x.contiguous(memory_format=torch.channels_last)), layer(x))


def test_the_layer_names_what_it_cannot_use():
    for name, value in product(["in_channels", "out_channels", "kernel_size", "stride"], [0, 1.5, (3, 3)]):
        with pytest.raises(ValueError, match=f"{name} must be an integer of 1 or more, got "):
            StridedConv2d(**{"in_channels": 3, "out_channels": 4, name: value})


# ---- space-to-depth -----------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 2, 3])
def test_space_to_depth_is_that_of_pytorch(block):
    x = torch.randn(2, 3, 2 * block, 3 * block, dtype=torch.float64).requires_grad_()
    ours, theirs = space_to_depth(x, block), functional.pixel_unshuffle(x, block)

    assert torch.equal(ours, theirs)
    pull = torch.randn_like(ours)
    assert torch.equal(torch.autograd.grad(ours, x, pull)[0], torch.autograd.grad(theirs, x, pull)[0])
    assert torch.equal(functional.pixel_shuffle(ours, block), x)  # nothing is lost
    assert torch.equal(space_to_depth(x[0], block), ours[0])
    assert space_to_depth(x[:0], block).shape == (0, 3 * block**2, 2, 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.int64, torch.float16])
def test_space_to_depth_moves_numbers_of_any_kind(dtype):
    x = torch.randint(0, 2, (1, 2, 4, 6)).to(dtype)

    assert torch.equal(space_to_depth(x, 2), functional.pixel_unshuffle(x, 2))


def test_the_order_of_the_channels_by_hand():
    """Channel c · 4 + i · 2 + j is row i, column j of each block of channel c."""
    x = torch.arange(16).reshape(2, 2, 4)

    assert space_to_depth(x, 2)[:, 0, 0].tolist() == [0, 1, 4, 5, 8, 9, 12, 13]
    assert torch.equal(space_to_depth(x, 2)[4 + 2 + 1], x[1, 1::2, 1::2])


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_a_convolution_of_side_by_side_blocks_is_space_to_depth_and_one_by_one(kernel):
    """Values and gradients."""
    tensors = case((kernel, kernel), 1, size=(2 * kernel, 3 * kernel))

    def in_two_steps(x, weight, bias):
        return functional.conv2d(space_to_depth(x, kernel), as_pointwise(weight), bias)

    assert_same(lambda *tensors: in_two_steps(*tensors[:3]), tensors, kernel)


def test_with_four_kernels_per_channel_two_by_two_loses_nothing():
    weight = torch.randn(8, 2, 2, 2, dtype=torch.float64)
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    matrix = conv2d_matrix(weight, (4, 6), stride=2)

    back = torch.linalg.solve(matrix, conv2d(x, weight, stride=2).flatten())

    assert_close(back, x.flatten(), rtol=0, atol=1e-8)  # a random matrix may be ill-conditioned


@pytest.mark.parametrize(
    ("x", "block", "message"),
    [
        (torch.zeros(1, 1, 4, 5), 2, "multiples of block 2, got H=4, W=5: pad by 0 rows and 1 columns"),
        (torch.zeros(1, 1, 7, 6), 3, "got H=7, W=6: pad by 2 rows and 0 columns"),
        (torch.zeros(4, 4), 2, r"shape \(N, C, H, W\) or \(C, H, W\), got \(4, 4\)"),
        (torch.zeros(1, 1, 4, 4), 0, "block must be an integer of 1 or more, got 0"),
        (torch.zeros(1, 1, 4, 4), 2.0, "block must be an integer of 1 or more, got 2.0"),
        ([[1, 2], [3, 4]], 2, "x must be a torch.Tensor, got list"),
    ],
)
def test_blocks_that_do_not_fit_are_named(x, block, message):
    with pytest.raises(ValueError, match=message):
        space_to_depth(x, block)


def test_only_square_kernels_are_pointwise():
    with pytest.raises(ValueError, match=r"as many rows as columns, got shape \(1, 1, 2, 3\)"):
        as_pointwise(torch.zeros(1, 1, 2, 3))


# ---- blur ---------------------------------------------------------------------------------------


def test_a_blur_is_that_of_scipy():
    """Also where the kernel is larger than the picture."""
    for kernel_size, size in product([1, 3, 5, 7], [(5, 8), (1, 3), (2, 2)]):
        x = torch.randn(2, 3, *size, dtype=torch.float64)
        expected = x.numpy()
        for axis in (-2, -1):
            expected = ndimage.convolve1d(expected, binomial(kernel_size).numpy(), axis=axis, mode="nearest")
        assert_close(blur(x, kernel_size), torch.from_numpy(expected), **EXACT)


def test_a_blur_with_a_stride_keeps_every_so_many_pixels_of_a_blur():
    x = torch.randn(2, 3, 7, 10, dtype=torch.float64)
    for kernel_size, stride in product([1, 2, 3, 4, 5], [1, 2, 3]):
        blurred = blur(x, kernel_size, stride)
        assert_close(blurred, blur(x, kernel_size)[..., ::stride, ::stride], **EXACT)
        assert_close(BlurPool2d(kernel_size, stride).double()(x), blurred, rtol=0, atol=1e-6)


def test_two_taps_are_average_pooling_and_one_is_a_bare_stride():
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)

    assert_close(blur(x, 2, stride=2), functional.avg_pool2d(x, 2), **EXACT)
    assert torch.equal(blur(x, 1, stride=2), x[..., ::2, ::2])


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_a_wave_is_damped_by_a_power_of_the_cosine(kernel_size):
    """And the finest one is wiped out, unless there is one tap alone."""
    for frequency in (0, 0.1, 0.25, 0.45, 0.5):
        # Even kernels look half a pixel ahead; the size of a complex wave does not mind.
        phase = 2 * math.pi * frequency * torch.arange(40, dtype=torch.float64)
        waves = torch.stack([phase.cos(), phase.sin()])[:, None].expand(2, 12, 40)
        real, imaginary = blur(waves, kernel_size)[:, 5, 10:30]
        kept = torch.complex(real, imaginary).abs()

        wanted = abs(math.cos(math.pi * frequency)) ** (kernel_size - 1)
        assert_close(kept, torch.full_like(kept, wanted), **EXACT)


def test_fine_stripes_come_back_as_coarse_ones_unless_they_are_blurred():
    """0.45 cycles per pixel become 1 − 2 · 0.45 = 0.1, in full strength; with a blur of 3 taps cos² of it is left."""
    stripes = torch.cos(2 * math.pi * 0.45 * torch.arange(80, dtype=torch.float64)).expand(1, 6, 80)
    coarse = torch.cos(2 * math.pi * 0.1 * torch.arange(40, dtype=torch.float64)).expand(1, 3, 40)

    assert_close(stripes[..., ::2, ::2], coarse)
    left = math.cos(0.45 * math.pi) ** 2
    assert_close(blur(stripes, 3, stride=2)[..., 1:-1], left * coarse[..., 1:-1], **EXACT)


@pytest.mark.parametrize(("kernel_size", "steady"), [(1, False), (2, True), (3, True), (4, True), (5, True)])
def test_the_total_of_a_crack_does_not_depend_on_its_place(kernel_size, steady):
    totals = set()
    for place in range(8, 14):
        road = torch.zeros(1, 6, 24)
        road[..., place] = 1
        totals.add(round(blur(road, kernel_size, stride=2)[0, 1].sum().item(), 6))

    assert totals == ({0.5} if steady else {0, 1})


def test_a_grey_wall_stays_grey_to_the_rim():
    wall = torch.full((2, 3, 5, 7), 0.7)

    for kernel_size in (1, 2, 3, 4, 5):
        assert_close(BlurPool2d(kernel_size)(wall), torch.full((2, 3, 3, 4), 0.7))


def test_the_gradient_of_a_blur_is_its_slope():
    x = torch.randn(1, 2, 3, 5, dtype=torch.float64).requires_grad_()

    assert torch.autograd.gradcheck(lambda x: blur(x, 3, stride=2), x)
    assert torch.autograd.gradcheck(BlurPool2d(4).double(), x)


def test_the_blur_layer_has_nothing_to_learn_or_to_save_and_moves_along():
    layer = BlurPool2d()

    assert list(layer.parameters()) == [] and len(layer.state_dict()) == 0
    assert layer.double().kernel.dtype == torch.float64
    assert layer.to("meta").kernel.is_meta
    assert repr(BlurPool2d(5, 3)) == "BlurPool2d(kernel_size=5, stride=3)"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_blur_keeps_the_dtype_whatever_the_layer_is(dtype):
    x = torch.randn(1, 2, 5, 6).to(dtype)

    # Nine products of powers of two and one rounding at the end: a last bit of the dtype.
    assert_close(blur(x), blur(x.double()).to(dtype))
    assert BlurPool2d()(x).dtype == dtype
    assert BlurPool2d()(x[:0]).shape == (0, 2, 3, 3) and blur(x[0]).shape == (2, 5, 6)


def test_nan_spreads_in_a_blur_as_far_as_the_kernel():
    x = torch.zeros(1, 2, 6, 8)
    x[0, 0, 2, 3] = NAN

    found = blur(x).isnan()
    assert found[0, 0, 1:4, 2:5].all() and found.sum() == 9


@pytest.mark.parametrize(
    ("x", "settings", "message"),
    [
        (torch.zeros(1, 1, 4, 4), {"kernel_size": 0}, "kernel_size must be an integer of 1 or more, got 0"),
        (torch.zeros(1, 1, 4, 4), {"stride": 0}, "stride must be an integer of 1 or more, got 0"),
        (torch.zeros(4, 4), {}, r"got \(4, 4\)"),
        (torch.zeros(1, 1, 0, 4), {}, "has no pixels"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), {}, r"torch.uint8; x.float\(\) converts"),
    ],
)
def test_a_blur_names_what_it_cannot_use(x, settings, message):
    for make in (blur, lambda x, **settings: BlurPool2d(**settings)(x)):
        with pytest.raises(ValueError, match=message):
            make(x, **settings)


def test_the_operators_of_the_book_multiply_as_often_as_those_of_pytorch():
    """The loops multiply without a matrix product, so PyTorch's counter does not see them; the other form it does."""
    for kernel, *rest in SETTINGS:
        x, weight, bias = case(kernel, rest[-1])
        counts = []
        for function in (functional.conv2d, conv2d, conv2d_loops):
            with FlopCounterMode(display=False) as counter:
                function(x, weight, bias, *rest)
            counts.append(counter.get_total_flops())
        assert counts == [counts[0], counts[0], 0], (kernel, rest)


# ---- how much luck is in it ---------------------------------------------------------------------


def test_the_ends_of_the_scale():
    """Nothing changes: 0.  Its negative: √2."""
    stripes = torch.tensor([0.0, 1]).repeat(5).expand(1, 4, 10)

    assert shift_change(lambda x: x, stripes, pixels=2) == 0
    assert shift_change(lambda x: x, stripes) == pytest.approx(math.sqrt(2), abs=0.05)  # 9 columns: not quite half each


@pytest.mark.parametrize(("kernel_size", "alike"), [(1, 0), (2, 1 / 2), (3, 2 / 3), (5, 4 / 5)])
def test_on_noise_the_change_is_known(kernel_size, alike):
    """√(1 − r), r the correlation of neighbours after the blur; 60,000 outputs leave a spread of about 0.005."""
    noise = torch.randn(4, 1, 200, 601, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    found = shift_change(lambda x: blur(x, kernel_size, stride=2), noise)
    assert found == pytest.approx(math.sqrt(1 - alike), abs=0.02)


def test_brightness_and_contrast_do_not_count():
    x = torch.rand(2, 3, 8, 11, dtype=torch.float64)
    change = shift_change(lambda x: x[..., ::2], x)

    assert shift_change(lambda x: 5 - 3 * x[..., ::2], x) == pytest.approx(change)
    per_channel = torch.tensor([0.0, 10, -20], dtype=torch.float64)[:, None, None]
    assert shift_change(lambda x: x[..., ::2] + per_channel, x) == pytest.approx(change)


def test_a_billionth_of_contrast_is_enough():
    x = torch.rand(2, 3, 8, 11, dtype=torch.float64)
    assert shift_change(lambda x: x, 1 + 1e-9 * x) == pytest.approx(shift_change(lambda x: x, x), rel=1e-4)


def test_a_blur_before_the_stride_makes_random_layers_calmer():
    """Zhang's order, convolution, ReLU, blur, stride, against convolution with stride, ReLU: for every draw."""
    torch.manual_seed(0)
    noise = torch.randn(2, 3, 40, 61)
    for _ in range(10):
        layer = StridedConv2d(3, 8).requires_grad_(False)
        dense = nn.Conv2d(3, 8, 3, padding=1).requires_grad_(False)
        dense.load_state_dict(layer[0].state_dict())

        calm = shift_change(nn.Sequential(dense, nn.ReLU(), BlurPool2d()), noise)
        assert calm < 0.8 * shift_change(layer, noise)


@pytest.mark.parametrize(
    ("x", "pixels", "message"),
    [
        (torch.rand(1, 4, 3), 3, "a picture of 3 columns cannot move by 3"),
        (torch.rand(1, 4, 3), 0, "pixels must be an integer of 1 or more, got 0"),
        (torch.ones(1, 4, 3), 1, "both outputs are flat"),
        (torch.rand(4, 3), 1, r"got \(4, 3\)"),
    ],
)
def test_what_cannot_be_measured_is_named(x, pixels, message):
    with pytest.raises(ValueError, match=message):
        shift_change(lambda x: x, x, pixels)


# ---- bad input ----------------------------------------------------------------------------------

X, W, B = torch.zeros(2, 4, 5, 6), torch.zeros(6, 4, 3, 3), torch.zeros(6)
REFUSED = {
    "rank": ((X[0, 0], W), {}, r"got \(5, 6\); x\[None\] adds an axis"),
    "list": (([1.0], W), {}, "x must be a torch.Tensor, got list"),
    "rank of weight": (
        (X, W[0]),
        {},
        r"weight must have shape \(C', C / groups, kH, kW\), got \(4, 3, 3\); weight\[None\] adds",
    ),
    "no weight": ((X, None), {}, "weight must be a torch.Tensor, got NoneType"),
    "channels": (
        (X[:, :3], W),
        {},
        r"x has 3 channels, but weight \(6, 4, 3, 3\) with groups=1 wants 4; its axes are \(C', C / groups, ...\)",
    ),
    "groups and channels": ((X, W), {"groups": 2}, r"x has 4 channels, .* wants 8"),
    "groups and kernels": ((X, W[:5, :2]), {"groups": 2}, "groups must divide the 5 kernels of weight, got groups=2"),
    "no groups": ((X, W), {"groups": 0}, "groups must be an integer of 1 or more, got 0"),
    "bias": ((X, W, B[:5]), {}, r"bias must be a tensor of shape \(6,\), one number for each channel .*, got \(5,\)"),
    "dtypes": (
        (X.double(), W),
        {},
        r"weight must have the dtype and device of x, torch.float64 on cpu, got torch.float32.*; weight.to\(x\)",
    ),
    "dtype of bias": ((X, W, B.double()), {}, "bias must have the dtype .* x, torch.float32 on cpu, got torch.float64"),
    "stride 0": ((X, W), {"stride": 0}, "stride must be .* 1 or more, or .* got 0"),
    "negative stride": (
        (X, W),
        {"stride": (1, -1)},
        r"stride must be .* 1 or more, or .* got \(1, -1\)",
    ),
    "float stride": ((X, W), {"stride": 1.5}, "stride must be an integer of . or more, or two"),
    "negative padding": ((X, W), {"padding": -1}, "padding must be .* 0 or more, or .* got -1"),
    "dilation 0": ((X, W), {"dilation": 0}, "dilation must be .* 1 or more, or .* got 0"),
    "too small": ((X, W), {"dilation": 3}, "reaches 7 pixels, but the padded input has only 5"),
    "no pixels": ((X[..., :0], W), {}, r"only the batch may be empty: got shape \(2, 4, 5, 0\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_named(case):
    """Whatever is refused here, PyTorch refuses, too."""
    tensors, settings, message = REFUSED[case]
    for ours in BOTH:
        with pytest.raises(ValueError, match=message):
            ours(*tensors, **settings)
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        functional.conv2d(*tensors, **settings)


def test_what_pytorch_would_take_and_is_left_out_is_named():
    for dtype in (torch.uint8, torch.int64, torch.bool, torch.complex64):
        with pytest.raises(ValueError, match=rf"x must be floating point, .* got {dtype}; x.float\(\) converts it"):
            conv2d(torch.ones(1, 1, 3, 4, dtype=dtype), torch.ones(1, 1, 2, 2))
    with pytest.raises(ValueError, match="padding must be .* or more, or two .* got 'same'"):
        conv2d(X, W, padding="same")


@pytest.mark.parametrize(
    ("weight", "size", "settings", "message"),
    [
        (W[0], (5, 6), {}, "weight must have shape"),
        (W.long(), (5, 6), {}, "weight must be floating point, .* got torch.int64"),
        (W, (5,), {}, r"input_size must be \(height, width\)"),
        (W, 5, {}, r"input_size must be \(height, width\)"),
        (W, (5, 0), {}, "integers of 1 or more"),
        (W, (2, 6), {}, "reaches 3 pixels, but the padded input has only 2"),
        (W, (5, 6), {"stride": 0}, "stride must be .* 1 or more, or "),
        (W, (5, 6), {"groups": 4}, "groups must divide the 6 kernels"),
    ],
)
def test_a_matrix_that_does_not_exist_is_named(weight, size, settings, message):
    with pytest.raises(ValueError, match=message):
        conv2d_matrix(weight, size, **settings)


def test_a_blur_kernel_without_taps_is_named():
    for kernel_size in (0, -3, 2.5):
        with pytest.raises(ValueError, match="kernel_size must be an integer of 1 or more"):
            binomial(kernel_size)


def test_a_flat_picture_has_no_change_to_measure_whatever_its_grey():
    """Rounding leaves a dust of contrast; calm as dust is not calm."""
    for grey in (0.1, 0.3, 0.7, 130 / 255):
        with pytest.raises(ValueError, match="both outputs are flat"):
            shift_change(lambda x: blur(x, 3, stride=2), torch.full((1, 3, 20, 33), grey))


def test_the_change_of_what_is_no_number_is_refused():
    for x in (torch.zeros(0, 1, 4, 6), torch.full((1, 1, 4, 6), NAN)):
        with pytest.raises(ValueError, match="pictures without NaN"):
            shift_change(lambda x: x, x)

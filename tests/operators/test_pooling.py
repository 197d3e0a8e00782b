"""Pooling three times: the loops, the vectorised form and PyTorch must agree, in values and in gradients."""

import inspect
import random
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.pooling import (
    AvgPool2d,
    MaxPool2d,
    avg_pool2d,
    avg_pool2d_loops,
    max_pool2d,
    max_pool2d_loops,
    windows,
)
from grids import every

INF, NAN = float("inf"), float("nan")
MAX, AVG = (max_pool2d, max_pool2d_loops), (avg_pool2d, avg_pool2d_loops)
THEIRS = dict.fromkeys(MAX, functional.max_pool2d) | dict.fromkeys(AVG, functional.avg_pool2d)
# (kernel_size, stride, padding): overlapping, touching and with gaps; each side by itself.
SETTINGS = [
    (1, None, 0),
    (2, None, 0),
    (2, 1, 1),
    (3, 2, 1),
    (2, 3, 0),
    ((2, 3), None, 0),
    ((3, 1), (1, 2), (1, 0)),
    ((4, 2), (3, 1), (2, 1)),
]
SIZES = [(4, 7), (5, 4), (6, 9)]
PUBLISHED = torch.tensor(
    [
        [[0.3939, 0.8964, 0.3681], [0.5134, 0.3780, 0.0047], [0.0681, 0.0989, 0.5962]],
        [[0.7954, 0.4811, 0.3329], [0.8804, 0.3986, 0.3561], [0.2797, 0.3672, 0.6508]],
        [[0.6309, 0.1340, 0.0564], [0.3101, 0.9927, 0.5554], [0.0947, 0.2305, 0.8299]],
    ]
)


def picture(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Draw small integers, half of them negative: many ties, and zeros as padding would win."""
    return torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def gradient(function, x: torch.Tensor, *args, **kwargs) -> torch.Tensor:
    """Return the gradient when each output pixel pulls with another strength, so no two places look alike."""
    x = x.clone().requires_grad_()
    out = function(x, *args, **kwargs)
    pull = torch.arange(1, out.numel() + 1, dtype=out.dtype).reshape(out.shape)
    return torch.autograd.grad(out, x, pull)[0]


def assert_same(ours, theirs, x, *args, **kwargs):
    """Demand equal values and gradients, and name the settings where they are not."""
    found, wanted = ((f(x, *args, **kwargs), gradient(f, x, *args, **kwargs)) for f in (ours, theirs))
    case = f"{ours.__name__} of {tuple(x.shape)}, {args}, {kwargs}"
    assert_close(found, wanted, equal_nan=True, msg=lambda said: f"{case}: {said}")


# ---- the reference library ----------------------------------------------------------------------


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_values_and_gradients_are_those_of_pytorch(ours):
    """On pictures full of ties and on pictures without any."""
    for size, settings in product(SIZES, SETTINGS):
        assert_same(ours, THEIRS[ours], picture(2, 3, *size), *settings)
        assert_same(ours, THEIRS[ours], torch.randn(2, 3, *size, dtype=torch.float64), *settings)


def test_ceil_mode_is_that_of_pytorch():
    for size, settings in product(SIZES, [*SETTINGS, (2, 2, 1), (3, 3, 0), ((5, 2), 4, (2, 1))]):
        x = picture(2, 3, *size)
        assert_same(max_pool2d, functional.max_pool2d, x, *settings, ceil_mode=True)
        for counted in (True, False):
            options = {"ceil_mode": True, "count_include_pad": counted}
            assert_same(avg_pool2d, functional.avg_pool2d, x, *settings, **options)


def test_the_mean_without_padding_is_that_of_pytorch():
    for size, settings in product(SIZES, SETTINGS):
        assert_same(avg_pool2d, functional.avg_pool2d, picture(2, 3, *size), *settings, count_include_pad=False)


@pytest.mark.slow
def test_random_settings_agree_with_pytorch():
    """A sweep through what nobody thought of: 300 settings with a fixed seed."""
    draw = random.Random(7).randint
    for _ in range(300):
        size, kernel = (draw(1, 12), draw(1, 12)), (draw(1, 5), draw(1, 5))
        padding = (draw(0, kernel[0] // 2), draw(0, kernel[1] // 2))
        if any(size[i] + 2 * padding[i] < kernel[i] for i in (0, 1)):
            continue
        settings = (kernel, (draw(1, 4), draw(1, 4)), padding)
        x, ceil, counted = picture(draw(0, 2), draw(1, 3), *size), bool(draw(0, 1)), bool(draw(0, 1))

        assert_same(max_pool2d, functional.max_pool2d, x, *settings, ceil_mode=ceil)
        options = {"ceil_mode": ceil, "count_include_pad": counted}
        assert_same(avg_pool2d, functional.avg_pool2d, x, *settings, **options)
        assert_close(max_pool2d_loops(x, *settings), max_pool2d(x, *settings))
        assert_close(avg_pool2d_loops(x, *settings), avg_pool2d(x, *settings))


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_every_floating_dtype_stays_what_it_is(ours):
    """`assert_close` knows each dtype's last bit.

    The windows do not overlap: a gradient that is a sum depends, in half precision, on the order of adding.
    """
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        x = torch.randn(2, 3, 5, 7).to(dtype)
        assert ours(x, 3, padding=1).dtype == dtype
        assert_same(ours, THEIRS[ours], x, 3, None, 1)


@pytest.mark.parametrize("ours", MAX)
def test_the_maximum_of_integers_needs_no_floating_point(ours):
    """Padding must lose against the smallest number that there is."""
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        x = picture(2, 3, 5, 7, dtype=dtype)
        x[0] = torch.iinfo(dtype).min
        assert_close(ours(x, 3, 2, 1), functional.max_pool2d(x, 3, 2, 1))


@pytest.mark.parametrize("ours", AVG)
def test_the_mean_of_the_brightest_half_precision_pixels_is_not_infinite(ours):
    """Four pixels of 60000 add up to more than float16 can hold; their mean does not."""
    x = torch.full((1, 1, 4, 6), 60000.0, dtype=torch.float16)

    assert_close(ours(x, 2), functional.avg_pool2d(x, 2))
    assert ours(x, 2).isfinite().all()


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_one_picture_without_batch_comes_back_without_batch(ours):
    assert_same(ours, THEIRS[ours], picture(3, 5, 8), (2, 3), 1, 1)
    assert ours(picture(3, 5, 8), 2).shape == (3, 2, 4)


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_an_empty_batch_stays_empty(ours):
    assert_same(ours, THEIRS[ours], torch.zeros(0, 3, 5, 8), 2, 1, 1)
    assert ours(torch.zeros(0, 3, 5, 8), 2).shape == (0, 3, 2, 4)


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_the_layout_in_memory_does_not_matter(ours):
    x = picture(2, 3, 6, 9)
    channels_last = x.contiguous(memory_format=torch.channels_last)
    for other in (channels_last, x.mT, x[..., ::2, 1:], x.transpose(0, 1)):
        assert not other.is_contiguous()
        assert_same(ours, THEIRS[ours], other, (2, 3), 2, 1)


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_a_repeated_picture_of_stride_zero_is_read_and_not_written(ours):
    x = picture(1, 1, 5, 7).expand(2, 3, 5, 7)

    assert_close(ours(x, 2), THEIRS[ours](x, 2))


@every(ours=[*MAX, *AVG], settings=[(2, None, 0), (3, 2, 1), ((2, 3), 1, (1, 0))])
def test_nan_and_infinity_spread_as_in_pytorch(ours, settings):
    """Values only: which of two NaN in a window gets the gradient is left out, as the module says."""
    x = torch.randn(2, 3, 7, 8)
    for value, i, j in ((NAN, 0, 0), (INF, 3, 4), (-INF, 6, 1), (-INF, 3, 3), (NAN, 5, 7)):
        x[:, 1, i, j] = value
    x[1, 2] = -INF

    assert_close(ours(x, *settings), THEIRS[ours](x, *settings), equal_nan=True)
    assert ours(x, *settings).isnan().any()


@pytest.mark.parametrize("ours", [*MAX, *AVG])
@pytest.mark.parametrize("settings", [(2, None, 0), ((3, 2), (2, 1), (1, 0))])
def test_the_gradient_is_the_slope(ours, settings):
    """Finite differences in double precision; no ties here, where a maximum has no slope."""
    x = torch.randperm(60).double().reshape(1, 2, 5, 6).requires_grad_()

    assert torch.autograd.gradcheck(lambda x: ours(x, *settings), x)


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_the_picture_is_left_as_it_was(ours):
    x = picture(1, 2, 5, 7)
    before = x.clone()

    ours(x, 2, 1, 1).add_(1)

    assert_close(x, before)


def test_pooling_with_windows_of_one_pixel_hands_out_a_copy():
    """A result that shared its memory with the picture would change with it."""
    x = picture(1, 2, 5, 7)
    for ours in (*MAX, *AVG):
        assert ours(x, 1).data_ptr() != x.data_ptr()


# ---- by hand ------------------------------------------------------------------------------------


def test_the_printed_maxima_of_the_source_article():
    """The article's 3 × 3 example, kernel 3, stride 1; the maxima are pixels, so they are exact."""
    for ours in MAX:
        assert torch.equal(ours(PUBLISHED[None], 3, 1).flatten(), torch.tensor([0.8964, 0.8804, 0.9927]))


def test_the_printed_means_of_the_source_article():
    """Printed with four digits, so half a unit of the last one is the tolerance."""
    for ours in AVG:
        means = ours(PUBLISHED[None], 3, 1).flatten()

        assert_close(means, torch.tensor([0.3686, 0.5047, 0.4261]), rtol=0, atol=0.5e-4)


def test_windows_lie_in_reading_order():
    """By hand: a 2 × 3 picture has two windows of 2 × 2."""
    x = torch.tensor([[[1.0, 2, 3], [4, 5, 6]]])

    assert windows(x, 2, 1).tolist() == [[[[1, 2, 4, 5], [2, 3, 5, 6]]]]
    # The fill stands before the picture and behind it; with ceil_mode a last window hangs over.
    assert windows(x, (1, 2), padding=(0, 1), fill=9).tolist() == [[[[9, 1], [2, 3]], [[9, 4], [5, 6]]]]
    assert windows(x, (1, 2), ceil_mode=True, fill=9).tolist() == [[[[1, 2], [3, 9]], [[4, 5], [6, 9]]]]


def test_windows_are_those_of_unfold():
    """`functional.unfold` cuts the same windows, zeros as padding, and lists them in one row."""
    x = torch.randn(2, 3, 6, 9)
    for kernel, stride, padding in SETTINGS:
        ours = windows(x, kernel, stride, padding)
        columns = functional.unfold(x, kernel, 1, padding, kernel if stride is None else stride)
        down, across, inside = ours.shape[-3:]
        assert_close(ours, columns.reshape(2, 3, inside, down, across).movedim(2, -1))


def test_a_thin_dark_crack_dies_and_a_bright_one_lives():
    """The chapter's question: one pixel wide, in every place that it can have."""
    for place in range(6):
        dark, bright = torch.ones(1, 4, 6), torch.zeros(1, 4, 6)
        dark[..., place], bright[..., place] = 0, 1

        assert max_pool2d(dark, 2).min() == 1
        assert max_pool2d(bright, 2)[0, :, place // 2].tolist() == [1, 1]
        assert avg_pool2d(dark, 2)[0, :, place // 2].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("ours", MAX)
def test_at_a_tie_the_first_pixel_in_reading_order_gets_the_gradient(ours):
    """By hand.  Reading order: 7 at (0, 1) comes before 7 at (1, 0)."""
    x = torch.tensor([[[1.0, 7, 2], [7, 3, 7]]])

    assert gradient(ours, x, (2, 3)).tolist() == [[[0, 1, 0], [0, 0, 0]]]


@pytest.mark.parametrize("ours", MAX)
def test_in_a_grey_window_the_first_pixel_gets_it_all(ours):
    """Nine equal pixels; `amax` would give each a ninth."""
    assert gradient(ours, torch.full((1, 3, 3), 0.5), 3).tolist() == [[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]


@pytest.mark.parametrize("ours", MAX)
def test_padding_takes_no_gradient(ours):
    """A corner window is three quarters padding; the one real pixel wins, however dark."""
    x = torch.full((1, 2, 3), -1e30)

    assert gradient(ours, x, 2, 2, 1).sum() == sum(range(1, 5))


def test_the_mean_shares_the_gradient_out():
    for ours in AVG:
        assert gradient(ours, torch.rand(1, 2, 4), 2).tolist() == [[[0.25, 0.25, 0.5, 0.5]] * 2]


def test_who_counts_in_the_corner():
    """By hand: a corner window of 2 × 2 with padding 1 holds one pixel of 8, and three of padding."""
    x = torch.full((1, 2, 4), 8.0)

    assert avg_pool2d(x, 2, 2, 1)[0, 0].tolist() == [2, 4, 2]
    assert avg_pool2d(x, 2, 2, 1, count_include_pad=False)[0, 0].tolist() == [8, 8, 8]


# ---- laws ---------------------------------------------------------------------------------------


def test_the_largest_of_minus_x_is_minus_the_smallest_and_the_mean_is_linear():
    x, y = torch.randn(2, 2, 3, 6, 9, dtype=torch.float64)
    for settings in SETTINGS:
        assert_close(max_pool2d(-x, *settings), -windows(x, *settings, fill=INF).amin(dim=-1))
        mixed = avg_pool2d(2 * x - 3 * y, *settings)
        assert_close(mixed, 2 * avg_pool2d(x, *settings) - 3 * avg_pool2d(y, *settings))


def test_a_grey_wall_stays_grey():
    """Unless the padding counts, which darkens the rim."""
    wall = torch.full((1, 2, 6, 9), 0.7)
    for settings, ceil_mode in product(SETTINGS, (False, True)):
        assert_close(max_pool2d(wall, *settings, ceil_mode=ceil_mode).unique(), torch.tensor([0.7]))
        pooled = avg_pool2d(wall, *settings, ceil_mode=ceil_mode, count_include_pad=False)
        assert_close(pooled, torch.full_like(pooled, 0.7))


def test_one_window_over_the_whole_picture_is_the_global_mean():
    x = torch.randn(2, 3, 5, 8)

    assert_close(avg_pool2d(x, (5, 8)), functional.adaptive_avg_pool2d(x, 1))
    assert_close(max_pool2d(x, (5, 8)), functional.adaptive_max_pool2d(x, 1))


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_pooling_by_two_twice_is_pooling_by_four(ours):
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)

    assert_close(ours(ours(x, 2), 2), ours(x, 4))


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_a_shift_by_the_stride_shifts_the_output_by_one(ours):
    x = torch.randn(1, 2, 9, 14)

    assert_close(ours(x[..., 2:, 3:], 3, (2, 3)), ours(x, 3, (2, 3))[..., 1:, 1:])


@pytest.mark.parametrize("ours", [*MAX, *AVG])
def test_rows_and_columns_play_the_same_part(ours):
    x = torch.randn(1, 2, 6, 9)

    assert_close(ours(x.mT, (3, 2), (1, 2), (0, 1)), ours(x, (2, 3), (2, 1), (1, 0)).mT)


# ---- the layers ---------------------------------------------------------------------------------


@every(ceil_mode=[False, True], settings=SETTINGS)
def test_the_layers_equal_those_of_pytorch(settings, ceil_mode):
    x = torch.randn(2, 3, 6, 9)

    assert_close(MaxPool2d(*settings, ceil_mode=ceil_mode)(x), nn.MaxPool2d(*settings, ceil_mode=ceil_mode)(x))
    for counted in (True, False):
        options = {"ceil_mode": ceil_mode, "count_include_pad": counted}
        assert_close(AvgPool2d(*settings, **options)(x), nn.AvgPool2d(*settings, **options)(x))


def test_the_layers_have_nothing_to_learn_or_to_save():
    for layer in (MaxPool2d(2), AvgPool2d(2)):
        assert len(layer.state_dict()) == 0
        assert list(layer.parameters()) == []


def test_the_layers_say_how_they_are_set():
    assert repr(MaxPool2d((2, 3), 1)) == "MaxPool2d(kernel_size=(2, 3), stride=1, padding=0, ceil_mode=False)"
    assert repr(AvgPool2d(3, padding=1, count_include_pad=False)) == (
        "AvgPool2d(kernel_size=3, stride=3, padding=1, ceil_mode=False, count_include_pad=False)"
    )


def test_a_layer_names_its_arguments_as_its_function_does():
    for layer, function in ((MaxPool2d, max_pool2d), (AvgPool2d, avg_pool2d)):
        of_the_layer = list(inspect.signature(layer).parameters.values())
        assert of_the_layer == list(inspect.signature(function).parameters.values())[1:]


# ---- bad input: PyTorch's result, or an error that names what came and what to do ----------------

X = torch.zeros(1, 2, 5, 7)
REFUSED = {
    "kernel 0": (X, {"kernel_size": 0}, r"kernel_size must be .* 1 or more, or .* got 0"),
    "kernel negative": (
        X,
        {"kernel_size": (2, -1)},
        r"kernel_size must be .* 1 or more, or .* got \(2, -1\)",
    ),
    "kernel too large": (X, {"kernel_size": 6}, r"reaches 6 pixels, .* only 5 .*take a smaller kernel_size"),
    "padding over half": (X, {"kernel_size": 3, "padding": 2}, r"half .* got padding 2, kernel_size 3"),
    "padding negative": (
        X,
        {"kernel_size": 3, "padding": -1},
        r"padding must be .* 0 or more, or .* got -1",
    ),
    "stride 0": (X, {"kernel_size": 2, "stride": 0}, r"stride must be .* 1 or more, or .* got 0"),
    "stride negative": (X, {"kernel_size": 2, "stride": (1, -1)}, r"stride must be .* got \(1, -1\)"),
    "rank 2": (X[0, 0], {"kernel_size": 2}, r"\(C, H, W\), got \(5, 7\); x\[None\] adds an axis"),
    "zero channels": (torch.zeros(1, 0, 5, 7), {"kernel_size": 2}, r"only the batch .* \(1, 0, 5, 7\)"),
    "zero height": (torch.zeros(1, 2, 0, 7), {"kernel_size": 2}, r"only the batch .* \(1, 2, 0, 7\)"),
    "no channels, no batch": (torch.zeros(0, 5, 7), {"kernel_size": 2}, r"only the batch .* \(0, 5, 7\)"),
    "bool": (X.bool(), {"kernel_size": 2}, r"real numbers, got torch.bool; x.float\(\) converts"),
    "complex": (X.cfloat(), {"kernel_size": 2}, r"real numbers, got torch.complex64"),
    "list": ([[[1.0, 2.0]]], {"kernel_size": 1}, r"a torch.Tensor, got list; torch.as_tensor\(x\) makes one"),
    "array": (X.numpy(), {"kernel_size": 2}, r"a torch.Tensor, got ndarray; torch.as_tensor\(x\) makes one"),
    "nothing": (None, {"kernel_size": 2}, r"a torch.Tensor, got NoneType"),
    "float kernel": (X, {"kernel_size": 2.0}, r"kernel_size must be .* or more, or two .* got 2.0"),
    "bool kernel": (X, {"kernel_size": True}, r"kernel_size must be .* or more, or two .* got True"),
    "three numbers": (X, {"kernel_size": (2, 2, 2)}, r"kernel_size must be .* got \(2, 2, 2\)"),
    "float stride": (X, {"kernel_size": 2, "stride": 1.0}, r"stride must be an integer .* got 1.0"),
    "float padding": (X, {"kernel_size": 2, "padding": 0.5}, r"padding must be an integer .* got 0.5"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_named(case):
    """By functions and layers alike; and whatever is refused here, PyTorch refuses, too."""
    x, settings, message = REFUSED[case]
    for ours in (*MAX, *AVG):
        with pytest.raises(ValueError, match=message):
            ours(x, **settings)
        with pytest.raises((RuntimeError, TypeError, IndexError)):
            THEIRS[ours](x, **settings)
    for layer in (MaxPool2d, AvgPool2d):
        with pytest.raises(ValueError, match=message):
            layer(**settings)(x)


@pytest.mark.parametrize("ours", AVG)
def test_the_mean_of_integers_is_refused(ours):
    """PyTorch has no mean for most of them, and for int64 it cuts the fraction off: see the next test."""
    for dtype in (torch.uint8, torch.int32, torch.int64):
        x = torch.tensor([[[1, 1], [1, 4]]], dtype=dtype)
        with pytest.raises(ValueError, match=rf"x must be floating point, .* got {dtype}; x.float\(\) converts it"):
            ours(x, 2)
        assert ours(x.float(), 2).item() == 1.75


def test_pytorch_still_cuts_the_fraction_off_int64():
    """The reason for the refusal; should PyTorch change its mind, the error's text must change, too."""
    assert functional.avg_pool2d(torch.tensor([[[1, 1], [1, 4]]]), 2).item() == 1
    for dtype in (torch.uint8, torch.int32):
        with pytest.raises(NotImplementedError):
            functional.avg_pool2d(torch.ones(1, 2, 2, dtype=dtype), 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_bad_shapes_with_bad_settings_never_end_in_a_foreign_error(dtype):
    """PyTorch's result, or ValueError where it has none: nothing else may come out."""
    shapes = [(1, 1, 1, 1), (2, 1, 1, 5), (3, 4, 2), (0, 2, 3, 4), (1, 1, 0, 3), (4, 4)]
    settings = product(shapes, (0, 1, 2, 3), (None, 0, 1, 2), (0, 1, 2), (False, True))
    for shape, kernel, stride, padding, ceil in settings:
        x = torch.ones(shape, dtype=dtype)
        try:
            wanted = functional.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
        except (RuntimeError, IndexError):
            with pytest.raises(ValueError):
                max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
        else:
            assert_close(max_pool2d(x, kernel, stride, padding, ceil_mode=ceil), wanted)


def test_the_layers_have_the_attributes_of_pytorchs():
    for ours, theirs in (
        (MaxPool2d((2, 3), padding=(1, 0)), nn.MaxPool2d((2, 3), padding=(1, 0))),
        (AvgPool2d(3, 2, count_include_pad=False), nn.AvgPool2d(3, 2, count_include_pad=False)),
    ):
        for name in ("kernel_size", "stride", "padding", "ceil_mode"):
            assert getattr(ours, name) == getattr(theirs, name)
    assert ours.count_include_pad is False

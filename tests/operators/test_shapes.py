"""Output sizes against PyTorch and PyWavelets: their number, and ValueError where they refuse."""

from collections.abc import Callable, Iterable
from itertools import product

import numpy as np
import pytest
import pywt
import torch
from torch.nn import functional

from chapters_code.shapes import conv_size, conv_transpose_size, dwt_size, interpolate_size, pool_size
from grids import every

SIZES = [(1, 6), (5, 3), (4, 7)]
# Legal and illegal numbers together: agreement includes what is refused.
KERNELS = [0, 1, 2, 3, (2, 5), (6, 1)]
STRIDES = [-1, 0, 1, 2, (3, 1)]
PADDINGS = [-1, 0, 1, (2, 0), (1, 3)]
DILATIONS = [0, 1, 2, (1, 3)]


def zeros(size: tuple[int, int]) -> torch.Tensor:
    # Not on the meta device: there, PyTorch 2.15 lets kernel_size 0 and negative padding pass.
    return torch.zeros(1, 1, *size)


def kernel(size) -> torch.Tensor:
    return zeros(size if isinstance(size, tuple) else (size, size))


def outcome(function: Callable, refusal: type[Exception], *args, **kwargs):
    """Give the size, or "refused"; any other error is a failure of the test."""
    try:
        result = function(*args, **kwargs)
    except refusal:
        return "refused"
    return tuple(result.shape[-2:]) if isinstance(result, torch.Tensor) else result


def disagreements(ours: Callable, theirs: Callable, settings: Iterable[tuple]) -> list[tuple]:
    """List (setting, ours, PyTorch's) wherever the two part; both kinds of answer must occur."""
    pairs = [(one, outcome(ours, ValueError, *one), outcome(theirs, RuntimeError, *one)) for one in settings]
    refused = sum(wanted == "refused" for _, _, wanted in pairs)
    assert 0 < refused < len(pairs), "this grid tests only one side of the agreement"
    return [one for one in pairs if one[1] != one[2]]


# ---- the reference library ----------------------------------------------------------------------


def test_conv_size_is_that_of_pytorch():
    def theirs(size, kernel_size, stride, padding, dilation):
        return functional.conv2d(zeros(size), kernel(kernel_size), None, stride, padding, dilation)

    assert disagreements(conv_size, theirs, product(SIZES, KERNELS, STRIDES, PADDINGS, DILATIONS)) == []


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pool_size_is_that_of_max_pooling(ceil_mode):
    def ours(size, kernel_size, stride, padding, dilation):
        return pool_size(size, kernel_size, stride, padding, dilation, ceil_mode)

    def theirs(size, kernel_size, stride, padding, dilation):
        return functional.max_pool2d(zeros(size), kernel_size, stride, padding, dilation, ceil_mode)

    kernels, strides = [-1, *KERNELS], [None, 3, *STRIDES]
    assert disagreements(ours, theirs, product(SIZES, kernels, strides, PADDINGS, DILATIONS)) == []


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pool_size_is_that_of_average_pooling(ceil_mode):
    def ours(size, kernel_size, stride, padding):
        return pool_size(size, kernel_size, stride, padding, ceil_mode=ceil_mode)

    def theirs(size, kernel_size, stride, padding):
        return functional.avg_pool2d(zeros(size), kernel_size, stride, padding, ceil_mode)

    sizes, strides = [*SIZES, (9, 10)], [None, 3, 5, *STRIDES]
    assert disagreements(ours, theirs, product(sizes, [-1, 4, *KERNELS], strides, PADDINGS)) == []


def test_conv_transpose_size_is_that_of_pytorch():
    def theirs(size, kernel_size, stride, padding, output_padding, dilation):
        x, weight = zeros(size), kernel(kernel_size)
        return functional.conv_transpose2d(x, weight, None, stride, padding, output_padding, 1, dilation)

    output_paddings = [-1, 0, 1, (2, 0)]
    grid = product(SIZES, KERNELS, STRIDES, PADDINGS, output_paddings, DILATIONS)
    assert disagreements(conv_transpose_size, theirs, grid) == []


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_interpolate_size_is_that_of_pytorch(mode):
    """Fractions included: 100 · 0.29 is a hair below 29 in floating point, and both must say 28."""

    def theirs(size, scale_factor):
        return functional.interpolate(zeros(size), scale_factor=scale_factor, mode=mode)

    generator = np.random.default_rng(0)
    factors = [-1, 0, 0.1, 1 / 3, 0.5, 0.7, 1, 1.1, 2, 2.3, *generator.uniform(0.05, 4, 60).tolist()]
    grid = [*product([*SIZES, (11, 20)], factors), ((100, 7), 0.29), ((1, 1), float("nan"))]
    assert disagreements(interpolate_size, theirs, grid) == []


@pytest.mark.parametrize("mode", pywt.Modes.modes)
def test_dwt_size_is_that_of_pywavelets(mode):
    """For every discrete wavelet that PyWavelets knows; `mode` decides how the edge is continued."""
    lengths = {pywt.Wavelet(name).dec_len for name in pywt.wavelist(kind="discrete")}
    for side, length in product((1, 2, 3, 7, 8, 33), sorted(lengths)):
        assert dwt_size(side, length, mode) == pywt.dwt_coeff_len(side, length, mode), (side, length)


@pytest.mark.parametrize("size", [(5, 8), (6, 4), (13, 7)])
@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior2.2"])
def test_dwt_size_is_the_shape_of_a_real_transform(size, wavelet):
    for mode in ("symmetric", "periodization", "zero"):
        average, _ = pywt.dwt2(np.zeros(size), wavelet, mode)

        assert dwt_size(size, pywt.Wavelet(wavelet).dec_len, mode) == average.shape


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-3, 4)])
def test_a_picture_without_pixels_is_refused_everywhere(size):
    operators = {
        conv_size: (1,),
        pool_size: (1,),
        conv_transpose_size: (1,),
        dwt_size: (),
        interpolate_size: (2,),
    }
    for function, settings in operators.items():
        with pytest.raises(ValueError, match="size must be .* 1 or more, or "):
            function(size, *settings)


# ---- sums by hand -------------------------------------------------------------------------------


def test_sums_from_the_sources():
    """Numbers that the five source articles print."""
    assert pool_size(3, 3, stride=1) == 1  # 3 × 3 channels, one window
    assert conv_size(64, 3, stride=2, padding=1) == 32  # the strided block, 64 × 64 → 32 × 32
    assert conv_transpose_size((10, 15), 64, stride=32, padding=16) == (320, 480)  # FCN's last layer
    assert conv_transpose_size((561, 728), 4, stride=2, padding=1) == (1122, 1456)  # a photograph doubled
    assert interpolate_size((561, 728), 2) == (1122, 1456)


def test_a_ceil_window_must_start_in_the_picture():
    """By hand: 5 pixels, padding 1, windows of 2 every 3 start at −1 and 2; the next, at 5, is outside."""
    assert pool_size(5, 2, stride=3, padding=1) == 2
    assert pool_size(5, 2, stride=3, padding=1, ceil_mode=True) == 2
    # With 6 pixels the third window starts on the last pixel, and stays.
    assert pool_size(6, 2, stride=3, padding=1, ceil_mode=True) == 3


# ---- laws ---------------------------------------------------------------------------------------


def test_transposed_convolution_can_undo_every_convolution_size():
    """What the stride rounds away comes back as output_padding."""
    for size, kernel_size, stride, padding in product(range(3, 20), (1, 2, 3, 5), (1, 2, 3), (0, 1)):
        if size + 2 * padding < kernel_size:
            continue
        small = conv_size(size, kernel_size, stride, padding)
        lost = (size + 2 * padding - kernel_size) % stride

        assert conv_transpose_size(small, kernel_size, stride, padding, lost) == size


def test_haar_halves_as_two_by_two_pooling_with_ceil_mode():
    for size in range(1, 50):
        assert dwt_size(size) == pool_size(size, 2, ceil_mode=True) == -(-size // 2)


# ---- one number or two --------------------------------------------------------------------------

ONE_SIDE = [
    (conv_size, (3,), 7),
    (pool_size, (2,), 4),
    (conv_transpose_size, (3,), 11),
    (dwt_size, (), 5),
    (interpolate_size, (2,), 18),
]


@pytest.mark.parametrize(("function", "settings", "result"), ONE_SIDE)
def test_a_number_gives_a_number_and_a_pair_gives_a_pair(function, settings, result):
    assert function(9, *settings) == result
    assert type(function(9, *settings)) is int
    assert function((9, 9), *settings) == (result, result)
    assert function([9, 9], *settings) == (result, result)
    assert function(torch.zeros(1, 9, 9).shape[-2:], *settings) == (result, result)


def test_a_pair_among_the_settings_makes_two_sides_of_one():
    assert conv_size(9, (3, 5)) == (7, 5)
    assert pool_size(9, 3, stride=(3, 1)) == (3, 7)


# ---- the errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["size", "kernel_size", "stride", "padding", "dilation"])
def test_the_error_names_the_setting(name):
    settings = {"size": (9, 8), "kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1} | {name: 1.5}
    for function in (conv_size, conv_transpose_size, pool_size):
        with pytest.raises(ValueError, match=f"^{name} must be .* or more, or two .* got 1.5"):
            function(**settings)


REFUSALS = [
    (conv_size, (9, 3, 0), {}, r"stride must be .* 1 or more, or .* got 0"),
    (conv_size, (9, 3, (1, -2)), {}, r"stride must be .* 1 or more, or .* got \(1, -2\)"),
    (conv_size, (9, 3, 1, -1), {}, r"padding must be .* 0 or more, or .* got -1"),
    (conv_size, (4, 7, 1, 1), {}, r"7 pixels.*only 6 \(size 4 \+ 2 · padding 1\).*smaller kernel_size"),
    (conv_size, (6, 4), {"dilation": 2}, r"7 pixels, but the padded input has only 6.*or a larger"),
    (conv_size, ((9, 4), 5), {}, r"size 4"),
    (pool_size, (9, 3), {"padding": 2}, r"at most half of kernel_size, got padding 2, kernel_size 3.*take padding 1"),
    (conv_transpose_size, (9, 3, 2), {"output_padding": 2}, r"smaller than .* got output_padding 2"),
    (conv_transpose_size, (9, 3, 2), {"output_padding": -1}, r"output_padding must be .* 0 or more, or .* got -1"),
    (conv_transpose_size, (2, 2), {"padding": 2}, r"padding 2 cuts away .*; take a smaller"),
    (dwt_size, (9, 3), {}, r"filter_length must be even, got 3: Haar has 2"),
    (dwt_size, (9, 0), {}, r"filter_length .* got 0"),
    (dwt_size, (9, 2.0), {}, r"filter_length .* got 2.0"),
    (dwt_size, (9, "haar"), {}, r"filter_length .* got 'haar'"),
    (dwt_size, (9, (2, 4)), {}, r"filter_length .* got \(2, 4\)"),
    (dwt_size, (9, 4, "periodisation"), {}, r"mode must be one of .*periodization.* got 'periodisation'"),
    (interpolate_size, (9, 0), {}, r"scale_factor must be one number above 0, such as 2 or 0.5, got 0"),
    (interpolate_size, (9, -2.0), {}, r"scale_factor .* got -2.0"),
    (interpolate_size, (9, float("inf")), {}, r"scale_factor .* got inf"),
    (interpolate_size, (9, "2"), {}, r"scale_factor .* got '2'"),
    (interpolate_size, (9, (2, 3)), {}, r"scale_factor .* got \(2, 3\)"),
    (interpolate_size, ((9, 3), 0.3), {}, r"no pixel is left of 3 at scale_factor 0.3; take a larger one"),
]


@every(("function", "args", "kwargs", "message"), REFUSALS)
def test_the_error_says_what_came_and_what_to_do(function, args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        function(*args, **kwargs)


def test_one_pair_among_the_settings_gives_a_pair_even_if_both_sides_agree():
    assert conv_size(7, (3, 4), stride=3) == (2, 2)
    assert pool_size(7, 2, stride=(2, 2)) == (3, 3)
    assert conv_transpose_size(3, 2, stride=2, output_padding=(1, 1)) == (7, 7)
    assert conv_size(7, 3, stride=3) == 2

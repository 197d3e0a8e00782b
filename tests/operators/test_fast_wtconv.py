"""The faster bands of WTConv are the plain ones, and the faster depthwise convolution is PyTorch's: gradients, too."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.fast import wtconv as fast
from chapters_code.fast.wtconv import convolve_bands, depthwise
from chapters_code.receptive_field import receptive_field
from chapters_code.wtconv import WTConv2d

SIZES = [(8, 12), (7, 10), (5, 9), (1, 4), (1, 1)]


@pytest.fixture(autouse=True)
def _seed():
    """The same numbers on every run: some laws say "by so much", which chance numbers could miss."""
    torch.manual_seed(1)


def drawn(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


def folded(layer):
    """The kernels of each level with their scales multiplied in."""
    return [
        convolution.weight * scale.weight.transpose(0, 1)
        for convolution, scale in zip(layer.wavelet_convs, layer.wavelet_scale, strict=True)
    ]


def bands_of(layer, x):
    """What the plain layer adds to its convolution at full size."""
    return layer(x) - layer.base_scale(layer.base_conv(x))


def both_ways(function, given):
    """Return the output, its gradients when each number pulls with another strength, and gradients of those."""
    given = [one.clone().requires_grad_() for one in given]
    out = function(*given)
    pull = torch.linspace(-1, 2, max(out.numel(), 1), dtype=out.dtype)[: out.numel()].reshape(out.shape)
    first = torch.autograd.grad((out * pull).sum() + out.pow(2).sum(), given, create_graph=True)
    second = torch.autograd.grad(sum(one.pow(2).sum() for one in first), given)
    return out, first, second


def layer_of(channels=3, kernel_size=5, levels=1):
    # The filters in double precision: a layer built in float32 has stored them so.
    torch.set_default_dtype(torch.float64)
    try:
        layer = WTConv2d(channels, channels, kernel_size, wt_levels=levels)
    finally:
        torch.set_default_dtype(torch.float32)
    for scale in layer.wavelet_scale:
        nn.init.uniform_(scale.weight, 0.2, 2)
    return layer


def fast_bands(layer, x):
    return convolve_bands(x, folded(layer))


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_bands_are_those_of_the_plain_layer(kernel_size):
    """Values, gradients by picture, kernels and scales, and gradients of gradients."""
    for levels, size in product([1, 2, 3], SIZES):
        layer, x = layer_of(3, kernel_size, levels), drawn(2, 3, *size).requires_grad_()
        learnt = [x, *(weight for name, weight in layer.named_parameters() if "wavelet" in name)]
        results = []
        for function in (fast_bands, bands_of):
            out = function(layer, x)
            first = torch.autograd.grad(out.pow(2).sum(), learnt, create_graph=True)
            second = torch.autograd.grad(sum(one.pow(2).sum() for one in first), learnt)
            results.append((out, first, second))

        assert results[0][0].shape == x.shape and results[0][0].any(), (levels, size)
        # Relative: gradients of gradients are of sixth degree, and grow to thousands.
        assert_close(results[0], results[1], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_differ_by_their_rounding(dtype):
    """A convolution and four sums each way, for two levels, of numbers up to 10."""
    layer, x = layer_of(levels=2), drawn(2, 3, 7, 10, dtype=dtype)
    out = convolve_bands(x, [weight.detach().to(dtype) for weight in folded(layer)])

    assert out.dtype == dtype
    assert_close(out.double(), bands_of(layer, x.double()).detach(), rtol=0, atol=12 * 10 * torch.finfo(dtype).eps)


def test_the_layout_in_memory_does_not_matter_and_nothing_is_written_into():
    layer, x = layer_of(levels=2), drawn(2, 3, 9, 6)
    kept, expected = x.clone(), bands_of(layer, x)
    kernels = folded(layer)
    for other in (
        x.contiguous(memory_format=torch.channels_last),
        x.mT.contiguous().mT,
        torch.stack([x, x], -1)[..., 1],
    ):
        assert_close(convolve_bands(other, kernels), expected)
    laid = [kernel.to(memory_format=torch.channels_last) for kernel in kernels]
    assert_close(convolve_bands(x, laid), expected)
    assert torch.equal(x, kept)
    assert_close(kernels, folded(layer), rtol=0, atol=0)


def test_an_empty_batch_gives_an_empty_batch():
    layer = layer_of(levels=2)
    assert convolve_bands(drawn(0, 3, 7, 6), folded(layer)).shape == (0, 3, 7, 6)
    convolve_bands(drawn(0, 3, 7, 6), folded(layer)).sum().backward()
    assert not layer.wavelet_convs[0].weight.grad.any()


def test_receptive_fields_are_followed_through_it():
    """The plain layer's convolution at full size lies within."""
    layer = WTConv2d(1, 1, 5, wt_levels=2)
    plain = receptive_field(layer, (52, 64), (21, 30))
    fast_one = receptive_field(lambda x: convolve_bands(x, folded(layer)), (52, 64), (21, 30), in_channels=1)

    assert fast_one.size == plain.size == (20, 20)
    assert torch.equal(fast_one.touched, plain.touched)


# ---- depthwise convolution ----------------------------------------------------------------------


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_depthwise_is_pytorchs_convolution(kernel_size):
    def theirs(x, weight, bias=None):
        return functional.conv2d(x, weight, bias, padding=kernel_size // 2, groups=4)

    for batch, bias, size in product([1, 3], [[drawn(4)], []], SIZES):
        given = [drawn(batch, 4, *size), drawn(4, 1, kernel_size, kernel_size), *bias]
        assert_close(both_ways(depthwise, given), both_ways(theirs, given), rtol=1e-8, atol=1e-8)


def test_gradients_are_slopes():
    x, weight = drawn(2, 2, 4, 3).requires_grad_(), drawn(2, 1, 5, 5).requires_grad_()
    assert torch.autograd.gradcheck(depthwise, (x, weight)) and torch.autograd.gradgradcheck(depthwise, (x, weight))


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")  # PyTorch's own
def test_forwards_it_is_the_product_rule():
    x, weight = drawn(2, 3, 6, 8).requires_grad_(), drawn(3, 1, 5, 5).requires_grad_()
    of_x, of_weight = drawn(2, 3, 6, 8), drawn(3, 1, 5, 5)
    by_x, by_weight = (functional.conv2d(*pair, padding=2, groups=3) for pair in ((of_x, weight), (x, of_weight)))
    with forward_ad.dual_level():
        both = forward_ad.make_dual(x, of_x), forward_ad.make_dual(weight, of_weight)
        for given, expected in ((both, by_x + by_weight), ((both[0], weight), by_x), ((x, both[1]), by_weight)):
            assert_close(forward_ad.unpack_dual(depthwise(*given)).tangent, expected)


def test_a_gradient_that_nobody_asks_for_is_not_computed():
    x, weight = drawn(2, 3, 6, 8), drawn(3, 1, 5, 5).requires_grad_()
    depthwise(x, weight).sum().backward()
    assert x.grad is None and weight.grad.any()

    (of_x,) = torch.autograd.grad(depthwise(x.requires_grad_(), weight.detach()).sum(), [x])
    with torch.no_grad():
        assert not depthwise(x, weight).requires_grad
    assert of_x.any()


def test_the_faster_gradient_is_taken_where_it_is_faster_only(monkeypatch):
    """Kernels of five and more that learn, in a batch, on a CPU."""
    calls = []
    true = fast._Depthwise.apply
    monkeypatch.setattr(fast._Depthwise, "apply", lambda *given: calls.append(given) or true(*given))
    learns, rests = drawn(3, 1, 5, 5).requires_grad_(), drawn(3, 1, 5, 5)
    for x, weight in (
        (drawn(2, 3, 6, 8), rests),
        (drawn(2, 3, 6, 8), drawn(3, 1, 3, 3).requires_grad_()),
        (drawn(3, 6, 8), learns),
    ):
        depthwise(x, weight)
    assert not calls
    depthwise(drawn(2, 3, 6, 8), learns)
    assert len(calls) == 1


def test_one_picture_without_batch_and_an_empty_batch():
    weight = drawn(3, 1, 5, 5).requires_grad_()
    for x in (drawn(3, 6, 8), drawn(0, 3, 6, 8)):
        out = depthwise(x, weight)
        expected = functional.conv2d(x, weight, padding=2, groups=3)
        assert_close(out, expected)
        assert_close(torch.autograd.grad(out.sum(), weight), torch.autograd.grad(expected.sum(), weight))


def test_layouts_and_gradients_that_are_one_number():
    x, weight = drawn(2, 3, 6, 8), drawn(3, 1, 5, 5)
    for format in (torch.contiguous_format, torch.channels_last):
        ours, theirs = (one.clone().to(memory_format=format).requires_grad_() for one in (weight, weight))
        depthwise(x.to(memory_format=format), ours).sum().backward()
        functional.conv2d(x, theirs, padding=2, groups=3).sum().backward()
        assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_autocast_mixes_no_dtypes(kernel_size, dtype):
    """The backward pass runs outside of autocast, and has to remember it."""
    layer, x = WTConv2d(3, 3, kernel_size, wt_levels=2), drawn(2, 3, 7, 10, dtype=torch.float32).requires_grad_()
    results = []
    for function in (fast_bands, bands_of):
        with torch.autocast("cpu", dtype=dtype):
            out = function(layer, x)
        weights = [convolution.weight for convolution in layer.wavelet_convs]
        results.append((out.float(), *torch.autograd.grad(out.float().sum(), [x, *weights])))
    assert {gradient.dtype for gradient in results[0][1:]} == {torch.float32}
    for ours, theirs in zip(*results, strict=True):
        assert_close(
            ours, theirs, rtol=0, atol=12 * torch.finfo(dtype).eps * float(theirs.detach().abs().max().clamp_min(1))
        )


@pytest.mark.slow
@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
def test_the_compiler_takes_it_as_one_graph(size):
    torch.compiler.reset()
    layer, x = layer_of(levels=2), drawn(2, 3, *size)
    compiled = torch.compile(lambda x: convolve_bands(x, folded(layer)), backend="aot_eager", fullgraph=True)
    out, expected = compiled(x), bands_of(layer, x)
    weight = layer.wavelet_convs[1].weight

    assert_close(out, expected)
    assert_close(torch.autograd.grad(out.pow(2).sum(), weight), torch.autograd.grad(expected.pow(2).sum(), weight))


# ---- channels last --------------------------------------------------------------------------------


def test_with_channels_last_and_nothing_to_learn_the_numbers_are_the_same(monkeypatch):
    went = []
    halving = fast._without_halving
    monkeypatch.setattr(fast, "_without_halving", lambda *given: went.append(1) or halving(*given))
    for size, levels, kernel_size in product(SIZES, [1, 2, 3], [1, 3, 5]):
        layer = layer_of(3, kernel_size, levels)
        weights = [one.detach() for one in folded(layer)]
        x = drawn(2, 3, *size)
        expected = convolve_bands(x, weights)
        went.clear()
        last = x.contiguous(memory_format=torch.channels_last)

        assert_close(convolve_bands(last, weights), expected, rtol=0, atol=1e-12)
        # A map of one pixel is stored alike in both ways.
        assert bool(went) == (size != (1, 1)), (size, levels, kernel_size)
        with torch.inference_mode():
            assert_close(layer(last), layer(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_channels_last_keeps_the_dtype_and_the_layout(dtype):
    layer = WTConv2d(4, 4, wt_levels=2).to(dtype).requires_grad_(False)
    x = drawn(2, 4, 12, 18, dtype=dtype).contiguous(memory_format=torch.channels_last)
    found = layer(x)
    assert found.dtype == dtype and found.is_contiguous(memory_format=torch.channels_last)
    assert_close(found, layer(x.contiguous()), rtol=0, atol=0.05 if dtype != torch.float32 else 1e-5)


def test_what_is_learnt_from_channels_last_is_the_same():
    layer, x = layer_of(3, 5, 2), drawn(2, 3, 9, 14)
    results = []
    for given in (x.clone(), x.contiguous(memory_format=torch.channels_last)):
        given.requires_grad_()
        results.append(torch.autograd.grad(layer(given).pow(2).sum(), [given, *layer.parameters()]))
    assert_close(results[0], results[1], rtol=0, atol=1e-11)


def test_channels_last_leaves_its_input_alone():
    x = drawn(2, 3, 8, 12).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    convolve_bands(x, [one.detach() for one in folded(layer_of(3, 5, 3))])
    assert torch.equal(x, before)

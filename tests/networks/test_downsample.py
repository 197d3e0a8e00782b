"""Six ways to halve a map: shapes, weights, and what tells them apart."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.hwd import as_kernel
from chapters_code.strided import as_pointwise
from chapters_code.unet import UNet
from grids import every

NAMES = ("max", "avg", "strided3", "strided2", "space_to_depth", "hwd")
# Weights of the mixing for one pair of channels, as the module's table says.
WEIGHTS = {"max": 1, "avg": 1, "strided3": 9, "strided2": 4, "space_to_depth": 4, "hwd": 4}


@pytest.fixture(autouse=True)
def _seed():
    """The same numbers on every run: some laws say "by so much", which chance numbers could miss."""
    torch.manual_seed(1)


def mixing(layer):
    (convolution,) = (one for one in layer.modules() if isinstance(one, nn.Conv2d))
    return convolution


def test_there_are_six():
    assert tuple(DOWNSAMPLERS) == NAMES


@every(size=[(8, 6), (7, 12), (5, 5), (1, 9), (1, 1)], name=NAMES)
def test_each_halves_and_rounds_up(name, size):
    out = DOWNSAMPLERS[name](3, 7).eval()(torch.randn(2, 3, *size))

    assert out.shape == (2, 7, (size[0] + 1) // 2, (size[1] + 1) // 2)
    assert (out >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_counted_as_the_table_says(name):
    """The mixing, and two numbers for each channel that is normalised; no bias that would have no effect."""
    layer = DOWNSAMPLERS[name](3, 7)

    assert mixing(layer).weight.numel() == WEIGHTS[name] * 3 * 7 and mixing(layer).bias is None
    assert sum(weight.numel() for weight in layer.parameters()) == WEIGHTS[name] * 3 * 7 + 2 * 7
    kinds = [type(one) for one in layer.modules() if isinstance(one, nn.Conv2d | nn.BatchNorm2d | nn.ReLU)]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_the_last_three_are_one_function_given_matched_weights(size, training):
    """Values and gradients; space-to-depth orders its channels as `strided.as_pointwise` does."""
    strided, unshuffled, hwd = (DOWNSAMPLERS[name](3, 7).double().train(training) for name in NAMES[3:])
    with torch.no_grad():
        kernel = as_kernel(mixing(hwd).weight)
        mixing(strided).weight.copy_(kernel)
        mixing(unshuffled).weight.copy_(as_pointwise(kernel))
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    results = []
    for layer in (strided, unshuffled, hwd):
        given = x.clone().requires_grad_()
        out = layer(given)
        out.pow(2).sum().backward()
        results.append((out.detach(), given.grad))

    assert results[0][0].any()
    assert_close(results[1], results[0])
    assert_close(results[2], results[0])


@every(size=[(8, 6), (7, 5)], name=NAMES)
def test_a_constant_map_stays_constant(name, size):
    """Also where the last row or column of an odd side stands alone; a padded 3 × 3 sees its zeros at the rim."""
    layer = DOWNSAMPLERS[name](3, 7).double().eval()
    out = layer(torch.full((1, 3, *size), 2.0, dtype=torch.float64))
    if name == "strided3":
        assert out.std((2, 3)).max() > 0.01
        out = out[..., 1:-1, 1:-1] if size[0] % 2 else out[..., 1:, 1:]

    assert out.any()
    assert_close(out, out[..., :1, :1].expand_as(out))


@pytest.mark.parametrize(("name", "expected"), [("max", [6, 5]), ("avg", [3, 4.5])])
def test_the_largest_and_the_mean_by_hand(name, expected):
    """1 2 over 3 6, and a column of 5 and 4 that is left over; the mixing hands on what it gets."""
    layer = DOWNSAMPLERS[name](1, 1).eval()
    mixing(layer).weight.data.fill_(1)
    out = layer(torch.tensor([[[[1.0, 2, 5], [3, 6, 4]]]]))

    assert_close(out.flatten(), torch.tensor([float(n) for n in expected]), rtol=1e-4, atol=0)  # 1e-5 in the norm


def seen(name, size=(6, 8), at=(1, 2)):
    """Find the pixels that one output number hears of, by its gradient."""
    torch.manual_seed(0)
    layer = DOWNSAMPLERS[name](1, 4).eval()
    x = torch.rand(1, 1, *size, requires_grad=True)
    mixing(layer).weight.data.abs_()  # so that no ReLU is shut
    layer(x)[0, :, at[0], at[1]].sum().backward()
    return {tuple(pixel) for pixel in x.grad[0, 0].nonzero().tolist()}


def test_each_hears_of_the_pixels_that_the_table_names():
    """Output (1, 2) of a 6 × 8 map stands for rows 2, 3 and columns 4, 5."""
    block = {(i, j) for i in (2, 3) for j in (4, 5)}

    assert seen("max") < block and len(seen("max")) == 1
    for name in ("avg", "strided2", "space_to_depth", "hwd"):
        assert seen(name) == block, name
    assert seen("strided3") == {(i, j) for i in (1, 2, 3) for j in (3, 4, 5)}


@pytest.mark.parametrize("name", NAMES)
def test_wrong_channels_are_refused_in_words(name):
    for wrong in (0, -2, 2.5, None, True):
        for argument, channels in (("in", (wrong, 4)), ("out", (3, wrong))):
            with pytest.raises(ValueError, match=f"{argument}_channels must be an integer of 1 or more, got {wrong}"):
                DOWNSAMPLERS[name](*channels)
    layer = DOWNSAMPLERS[name](3, 4).eval()
    for channels in (2, 12):
        with pytest.raises((ValueError, RuntimeError), match="channels"):
            layer(torch.randn(1, channels, 6, 8))


@pytest.mark.parametrize("name", NAMES)
def test_a_unet_takes_each_as_it_is(name):
    """At any size, in training and after it, and every weight learns."""
    net = UNet(num_classes=2, widths=(4, 6, 8), down=DOWNSAMPLERS[name])
    out = net(torch.randn(2, 3, 21, 30))
    out.square().sum().backward()

    assert out.shape == (2, 2, 21, 30)
    assert all(weight.grad is not None and weight.grad.any() for weight in net.down.parameters())
    assert net.eval()(torch.randn(1, 3, 9, 13)).shape == (1, 2, 9, 13)

"""ASPP against torchvision's, the article's and itself multiplied out; taps counted by formula and by convolution."""

import math
import warnings
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torchvision.models.segmentation import deeplabv3

from chapters_code.aspp import ASPP, ArticleASPP, from_article, from_torchvision, linear_form, valid_taps
from grids import every

RATES = [(6, 12, 18), (1,), (3, 2), (1, 2, 4, 8, 16)]
# FACTS C-3: mean valid taps at rates 6, 12, 18, 24; share of the positions with the centre alone.
TABLE = {
    (10, 15): ((3.96, 0), (1.40, 0.60), (1.00, 1), (1.00, 1)),
    (20, 30): ((6.24, 0), (3.96, 0), (2.16, 0.16), (1.40, 0.60)),
    (33, 33): ((6.95, 0), (5.17, 0), (3.64, 0.01), (2.39, 0.21)),
    (40, 60): ((7.56, 0), (6.24, 0), (5.04, 0), (3.96, 0)),
    (65, 65): ((7.93, 0), (6.92, 0), (5.98, 0), (5.11, 0)),
}


@pytest.fixture(autouse=True)
def the_same_random_numbers():
    """Or once in some hundred runs two random numbers would lie too close to each other."""
    torch.manual_seed(0)


def theirs_and_ours(in_channels=7, out_channels=5, rates=(6, 12, 18)):
    """Return torchvision's ASPP with weights and statistics that hide nothing, and ours with the same."""
    theirs = deeplabv3.ASPP(in_channels, rates, out_channels)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 2)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor)
        elif isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.5)
    ours = ASPP(in_channels, out_channels, rates, norm="batch")
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    return theirs, ours


def count_by_convolution(size, rate, kernel_size=3):
    """Lay ones on the map and zeros around it; the taps are ones, so each output counts those that are inside."""
    ones = torch.ones(1, 1, *size, dtype=torch.float64)
    taps = ones.new_ones(1, 1, kernel_size, kernel_size)
    return functional.conv2d(ones, taps, padding=rate * (kernel_size // 2), dilation=rate)[0, 0]


# ---- the reference library ----------------------------------------------------------------------


@pytest.mark.parametrize("rates", RATES)
def test_with_batch_norm_it_is_torchvisions(rates):
    """Evaluation mode, float32: within 1e-6 of the largest number, some units of its last place."""
    theirs, ours = (aspp.eval() for aspp in theirs_and_ours(rates=rates))
    for size in ((10, 15), (7, 4), (1, 1), (1, 6)):
        x = torch.randn(2, 7, *size)
        expected = theirs(x)
        assert_close(ours(x), expected, rtol=0, atol=1e-6 * expected.abs().max().item())


@pytest.mark.parametrize("rates", RATES)
def test_in_double_precision_values_and_gradients_are_torchvisions(rates):
    """In training mode, so with the statistics of the batch; without the dropout, which is chance."""
    theirs, ours = theirs_and_ours(rates=rates)
    outputs, inputs = [], []
    for model in (theirs, ours):
        model.double().train()
        model.project[3].eval()
        x = torch.linspace(-1, 2, 3 * 7 * 6 * 9, dtype=torch.float64).cos().reshape(3, 7, 6, 9).requires_grad_()
        out = model(x)
        (out * torch.arange(out.numel()).reshape(out.shape)).sum().backward()
        outputs.append(out)
        inputs.append(x)

    # The gradients pass four normalisations and are as large as 1e3, hence the relative tolerance.
    assert_close(outputs[1], outputs[0], rtol=0, atol=1e-10)
    assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-9, atol=1e-9)
    gradients = from_torchvision({name: one.grad for name, one in theirs.named_parameters()})
    assert set(gradients) == {name for name, _ in ours.named_parameters()}
    for name, one in ours.named_parameters():
        assert_close(one.grad, gradients[name], rtol=1e-9, atol=1e-8)
    for (_, one), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        assert_close(one, other)


def test_the_dropout_is_torchvisions():
    """With the same random numbers, the same half is dropped."""
    theirs, ours = theirs_and_ours()
    x = torch.randn(2, 7, 5, 8)
    torch.manual_seed(3)
    expected = theirs.train()(x)
    torch.manual_seed(3)

    assert_close(ours.train()(x), expected, rtol=1e-5, atol=1e-5)
    assert (expected == 0).float().mean() > 0.4


def test_a_whole_deeplab_gives_its_head():
    model = deeplabv3.DeepLabHead(8, 3, atrous_rates=(2, 4))
    ours = ASPP(8, 256, (2, 4), norm="batch")
    ours.load_state_dict(from_torchvision(model[0].state_dict()))
    x = torch.randn(1, 8, 6, 9)

    assert_close(ours.eval()(x), model.eval()[0](x))


def test_nan_spreads_as_in_torchvision():
    """Through the mean it reaches the whole picture, and no other picture."""
    theirs, ours = theirs_and_ours()
    x = torch.randn(2, 7, 5, 8)
    x[0, 2, 3, 4] = torch.nan

    expected = theirs.eval()(x)
    assert_close(ours.eval()(x), expected, equal_nan=True)
    assert expected[0].isnan().all() and not expected[1].isnan().any()


@pytest.mark.parametrize(("rates", "count"), [((6, 12, 18), 4_130_304), ((6,), 2 * 131_328 + 1_179_904 + 196_864)])
def test_the_parameters_of_the_article(rates, count):
    """By hand: 1 × 1 branches 512 · 256 + 256, a 3 × 3 branch 9 · 512 · 256 + 256, the projection."""
    assert sum(one.numel() for one in ASPP(512, rates=rates).parameters()) == count


def test_bilinear_resizing_of_one_pixel_is_a_copy():
    """Why `expand` is enough, whatever align_corners says; resizing rounds the last bit here and there."""
    pixel = torch.randn(2, 3, 1, 1)
    for align_corners in (False, True):
        resized = functional.interpolate(pixel, size=(5, 8), mode="bilinear", align_corners=align_corners)
        assert_close(resized, pixel.expand(-1, -1, 5, 8), rtol=2e-7, atol=0)


def test_the_deprecated_function_of_the_article_gave_the_same():
    """`upsample` warns today; what it computes is `interpolate`."""
    x = torch.randn(2, 3, 4, 7)
    with pytest.warns(UserWarning, match="upsample.*deprecated"):
        old = functional.upsample(x, size=(9, 11), mode="bilinear")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new = functional.interpolate(x, size=(9, 11), mode="bilinear", align_corners=False)

    assert torch.equal(old, new)


# ---- the article's layer ------------------------------------------------------------------------


def test_without_normalisation_it_is_the_article_s():
    """Values and gradients, by the map and by every weight; the map is large enough for the taps of all rates."""
    theirs, ours = ArticleASPP(5, 3).double(), ASPP(5, 3).double()
    ours.load_state_dict(from_article(theirs.state_dict()))
    x = torch.randn(2, 5, 19, 25, dtype=torch.float64)
    pull = torch.randn(2, 3, 19, 25, dtype=torch.float64)
    outputs, inputs = [], []
    for layer in (theirs, ours):
        inputs.append(x.clone().requires_grad_())
        outputs.append(layer(inputs[-1]))
        outputs[-1].backward(pull)

    assert_close(outputs[1], outputs[0])
    assert_close(inputs[1].grad, inputs[0].grad)
    gradients = from_article({name: one.grad for name, one in theirs.named_parameters()})
    assert {name for name, _ in ours.named_parameters()} == set(gradients)
    for name, one in ours.named_parameters():
        assert_close(one.grad, gradients[name])


def test_the_article_lays_the_mean_first_and_then_the_rates():
    """By hand: one bright pixel in a corner, weights of 1, no bias, and a projection that shows one branch."""
    x = torch.zeros(1, 1, 19, 22)
    x[0, 0, 0, 0] = 19 * 22
    layer = ArticleASPP(1, 1)
    for one in layer.parameters():
        nn.init.ones_(one) if one.dim() > 1 else nn.init.zeros_(one)
    seen = []
    for branch in range(5):
        layer.join.weight.data = torch.eye(5)[branch].reshape(1, 5, 1, 1)
        seen.append(layer(x)[0, 0])

    assert_close(seen[0], torch.ones(19, 22))
    for bright, rate in zip(seen[1:], (0, 6, 12, 18), strict=True):
        places = {(i, j) for i in (0, rate) for j in (0, rate)}
        assert set(map(tuple, bright.nonzero().tolist())) == places


def test_the_article_s_layer_goes_from_512_to_256():
    with torch.device("meta"):
        layer = ArticleASPP()
        assert layer(torch.empty(1, 512, 10, 15)).shape == (1, 256, 10, 15)
    assert sum(one.numel() for one in layer.parameters()) == 4_130_304


@pytest.mark.parametrize("shape", [(5, 4, 6), (1, 4, 4, 6), (1, 5, 4, 6, 3)])
def test_the_article_s_layer_refuses_as_pytorch_does(shape):
    with pytest.raises(RuntimeError):
        ArticleASPP(5, 3)(torch.zeros(shape))


# ---- by hand ------------------------------------------------------------------------------------


def test_the_branches_stand_in_order_and_see_what_they_should():
    """One channel, weights of 1, no bias: each branch alone can be added up on paper."""
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    seen = []
    for branch in range(4):
        aspp = ASPP(1, 1, rates=(1, 2))
        for one in aspp.parameters():
            nn.init.ones_(one) if one.dim() > 1 else nn.init.zeros_(one)
        aspp.project[0].weight.data = torch.eye(4)[branch].reshape(1, 4, 1, 1)
        seen.append(aspp(x)[0, 0])

    assert seen[0].tolist() == x[0, 0].tolist()
    assert seen[1][1].tolist() == [27, 45, 54, 39]  # rows 0 to 2, the columns beside: 0+1+4+5+8+9 = 27
    assert seen[2][0].tolist() == [20, 24, 20, 24]  # rows 0 and 2, columns 0 and 2: 0+2+8+10 = 20
    assert seen[3].unique().tolist() == [5.5]


@pytest.mark.parametrize("size", TABLE)
def test_the_table_of_valid_taps(size):
    for rate, expected in zip((6, 12, 18, 24), TABLE[size], strict=True):
        assert tuple(valid_taps(size, rate)) == pytest.approx(expected, abs=0.00501)


def test_one_number_is_a_square_map():
    assert valid_taps(33, 12) == valid_taps((33, 33), 12)


# ---- laws ---------------------------------------------------------------------------------------


def test_taps_are_those_that_a_convolution_counts():
    """Integers, so exactly."""
    sizes, rates = [(1, 1), (1, 9), (4, 7), (10, 15), (20, 30), (33, 33)], [1, 2, 3, 5, 6, 9, 12, 18, 24, 40]
    for size, rate, kernel_size in product(sizes, rates, [1, 3, 5, 7]):
        counted = count_by_convolution(size, rate, kernel_size)
        expected = counted.sum().item() / counted.numel(), (counted == 1).double().mean().item()
        assert tuple(valid_taps(size, rate, kernel_size)) == expected, (size, rate, kernel_size)


def test_a_larger_rate_never_sees_more():
    means = [valid_taps((10, 15), rate).mean for rate in range(1, 20)]

    assert means == sorted(means, reverse=True)
    assert means[13] > 1 == means[14] == means[18]  # rate 14 still sees a pixel of a row of 15, rate 15 none


@pytest.mark.parametrize(("size", "same"), [((10, 15), True), ((33, 33), False)])
def test_rate_18_on_a_map_of_10_by_15_is_a_1_by_1(size, same):
    """With the eight outer taps set to zero nothing changes there; on 33 × 33 it does."""
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    aspp = ASPP(6, 4, rates=(18,)).double()
    before = aspp(x)
    weight = aspp.dilated[0][0].weight
    with torch.no_grad():
        weight.copy_(functional.pad(weight[..., 1:2, 1:2], (1, 1, 1, 1)))
    difference = (aspp(x) - before).abs().max()

    assert difference < 1e-12 if same else difference > 0.01


def test_taps_on_padding_alone_learn_nothing():
    """Their gradient is exactly zero, so they keep the numbers they were born with."""
    aspp = ASPP(3, 4, rates=(6, 18))
    aspp(torch.randn(2, 3, 10, 15)).square().sum().backward()
    moved = [(layers[0].weight.grad != 0).any(dim=0).any(dim=0) for layers in aspp.dilated]

    assert moved[0].all()
    assert moved[1].tolist() == [[False] * 3, [False, True, False], [False] * 3]


@pytest.mark.parametrize("rates", RATES[1:])
def test_without_normalisation_it_is_linear(rates):
    """Superposition: with the bias taken away, mixing inputs mixes outputs in the same way."""
    aspp = ASPP(5, 4, rates).double()
    x, y = torch.randn(2, 2, 5, 9, 7, dtype=torch.float64)
    bias = aspp(torch.zeros_like(x))

    mixed = aspp(2 * x - 3 * y) - bias
    assert_close(mixed, 2 * (aspp(x) - bias) - 3 * (aspp(y) - bias), rtol=0, atol=1e-10)


def test_with_normalisation_it_is_not_linear():
    aspp = ASPP(5, 4, (1, 2), norm="group").double().eval()
    x = torch.randn(2, 5, 9, 7, dtype=torch.float64)

    assert (aspp(x) + aspp(-x) - 2 * aspp(torch.zeros_like(x))).abs().max() > 0.01


@pytest.mark.parametrize("rates", RATES)
def test_multiplied_out_it_is_one_convolution(rates):
    """Values and gradients, on a map smaller than the kernel and on a larger one."""
    aspp = ASPP(5, 4, rates).double()
    weight, pooled_weight, bias = linear_form(aspp)
    assert weight.shape[-1] == 2 * max(rates) + 1
    # The centre is shared by all, and each rate brings eight taps of its own.
    assert (weight != 0).any(dim=0).any(dim=0).sum() == 1 + 8 * len(rates)
    for size in ((4, 9), (21, 13)):
        x = torch.randn(2, 5, *size, dtype=torch.float64, requires_grad=True)
        from_mean = x.mean(dim=(2, 3)) @ pooled_weight.T + bias
        composed = functional.conv2d(x, weight, padding=max(rates)) + from_mean[:, :, None, None]

        assert_close(composed, aspp(x), rtol=0, atol=1e-10)
        pull = torch.randn_like(composed)
        gradients = [torch.autograd.grad(out, x, pull, retain_graph=True)[0] for out in (composed, aspp(x))]
        assert_close(*gradients, rtol=0, atol=1e-10)


def test_the_order_of_the_rates_only_names_the_branches():
    """Swap two branches and the projection's columns: the same function."""
    aspp, turned = ASPP(3, 2, (1, 4)), ASPP(3, 2, (4, 1))
    weights = aspp.state_dict()
    swapped = {name.replace("dilated.0", "x").replace("dilated.1", "dilated.0").replace("x", "dilated.1"): one
               for name, one in weights.items()}  # fmt: skip
    parts = weights["project.0.weight"].split(2, dim=1)
    swapped["project.0.weight"] = torch.cat([parts[0], parts[2], parts[1], parts[3]], dim=1)
    turned.load_state_dict(swapped)
    x = torch.randn(1, 3, 8, 5)

    assert_close(turned(x), aspp(x))


@pytest.mark.parametrize("norm", [None, "group"])
def test_pictures_of_a_batch_do_not_know_of_each_other(norm):
    aspp = ASPP(6, 8, (1, 3), norm).eval()
    x = torch.randn(3, 6, 5, 9)

    assert_close(aspp(x), torch.cat([aspp(one) for one in x.split(1)]))


# ---- one picture, or none -----------------------------------------------------------------------


def test_of_two_pictures_batch_norm_keeps_which_has_more_unless_they_hardly_differ():
    """±d / √(d² + 4 eps) for a difference of d: ±1, or ±0.71 where d is twice the root of eps, 0.0063."""
    pooled = ASPP(1, 1, (1,), norm="batch").double().pooled
    torch.nn.init.ones_(pooled[0].weight)
    for difference in (10.0, 0.1, 0.00632, 0.0001):
        pair = torch.tensor([difference, 0.0], dtype=torch.float64).reshape(2, 1, 1, 1)
        found = pooled[1](pooled[0](pair)).flatten()
        wanted = difference / math.sqrt(difference**2 + 4e-5)
        assert_close(found, torch.tensor([wanted, -wanted], dtype=torch.float64))
    assert abs(found[0]) < 0.02


def test_batch_norm_cannot_train_on_one_picture_and_says_why():
    aspp = ASPP(4, 6, (1, 2), norm="batch")
    message = r'one picture: .* no spread\.  Use norm="group"; .*drop_last=True.*freeze'

    with pytest.raises(ValueError, match=message):
        aspp(torch.randn(1, 4, 5, 8))
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):  # PyTorch's own words
        deeplabv3.ASPP(4, (1, 2), 6)(torch.randn(1, 4, 5, 8))


def test_the_cures_for_one_picture_work():
    x = torch.randn(1, 4, 5, 8)
    frozen = ASPP(4, 6, (1, 2), norm="batch")
    for layer in frozen.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    for aspp in (frozen, ASPP(4, 6, (1, 2), norm="group"), ASPP(4, 6, (1, 2))):
        aspp(x).sum().backward()

        assert all(one.grad is not None and one.grad.isfinite().all() for one in aspp.parameters())
    assert ASPP(4, 6, (1, 2), norm="batch").eval()(x).shape == (1, 6, 5, 8)
    assert ASPP(4, 6, (1, 2), norm="batch")(x.expand(2, -1, -1, -1)).shape == (2, 6, 5, 8)


def test_of_two_pictures_the_pooled_branch_learns_only_which_has_more():
    """Two numbers minus their mean, divided by their spread, are +1 and −1, if they are not nearly equal."""
    pooled = ASPP(4, 6, (1, 2), norm="batch").pooled
    x = 100 * torch.randn(2, 4, 1, 1)

    assert_close(pooled[:2](x).abs(), torch.ones(2, 6, 1, 1), rtol=0, atol=1e-2)


@pytest.mark.parametrize("channels", [3, 5, 6, 8, 12, 16, 24, 40, 256])
def test_group_norm_has_enough_channels_in_a_group(channels):
    """A group of one channel would turn the mean of the map into 0, one of two into +1 and -1."""
    layers = ASPP(3, channels, (1,), norm="group").pooled

    assert layers[1].num_groups == {3: 1, 5: 1, 6: 1, 8: 1, 12: 1, 16: 2, 24: 2, 40: 4, 256: 8}[channels]
    numbers = layers[:2](torch.randn(50, 3, 1, 1)).abs()
    assert (numbers - 1).abs().mean() > 0.1, "what comes out still depends on the picture"


@pytest.mark.parametrize("norm", [None, "batch", "group"])
def test_an_empty_batch_stays_empty(norm):
    assert ASPP(4, 6, (1, 2), norm).eval()(torch.zeros(0, 4, 5, 8)).shape == (0, 6, 5, 8)


# ---- as a layer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [None, "batch", "group"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (10, 15)])
def test_the_map_keeps_its_size_and_everything_learns(norm, size):
    aspp = ASPP(4, 6, (6, 1), norm)
    out = aspp(torch.randn(2, 4, *size))
    out.square().sum().backward()

    assert out.shape == (2, 6, *size)
    assert all(one.grad is not None for one in aspp.parameters())


@pytest.mark.parametrize("norm", [None, "batch", "group"])
def test_it_is_saved_and_loaded_and_keeps_dtype_and_layout(norm):
    aspp, other = ASPP(4, 6, (1, 2), norm).eval(), ASPP(4, 6, (1, 2), norm).eval()
    other.load_state_dict(aspp.state_dict())
    x = torch.randn(2, 4, 5, 8)
    expected = aspp(x)

    assert torch.equal(other(x), expected)
    assert_close(other.double()(x.double()).float(), expected)
    assert other(x.double()).dtype == torch.float64
    assert_close(aspp.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last)), expected)


def test_any_list_of_rates_will_do():
    assert ASPP(2, 3, [4]).rates == (4,)
    assert ASPP(2, 3, range(1, 6))(torch.zeros(1, 2, 4, 5)).shape == (1, 3, 4, 5)
    assert [layers[0].dilation for layers in ASPP(2, 3, (9, 1)).dilated] == [(9, 9), (1, 1)]
    assert repr(ASPP(2, 3, (9, 1))).startswith("ASPP(\n  rates=(9, 1)\n")


# ---- bad input ----------------------------------------------------------------------------------


@every(
    ("settings", "message"),
    [
        ({"rates": ()}, r"must name 1 or more dilation rates, such as \(6, 12, 18\), got \(\)"),
        ({"rates": 6}, r"must be a list .* got 6; one rate is \(6,\)"),
        ({"rates": (6, 0)}, "each of the rates must be an integer of 1 or more, got 0"),
        ({"in_channels": 0}, "in_channels must be an integer of 1 or more, got 0"),
        ({"out_channels": 2.0}, "out_channels must be an integer of 1 or more, got 2.0"),
        ({"norm": "layer"}, 'norm must be "batch", "group" or None, got \'layer\''),
        ({"norm": "group", "out_channels": 1}, "needs 3 channels or more"),
        ({"norm": "group", "out_channels": 2}, "needs 3 channels or more"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ASPP(**{"in_channels": 4, "out_channels": 6, **settings})


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(4, 5, 8), r"\(N, C, H, W\), got \(4, 5, 8\); x\[None\]"),
        (torch.zeros(1, 2, 4, 5, 8), r"\(N, C, H, W\), got \(1, 2, 4, 5, 8\)"),
        (torch.zeros(2, 3, 5, 8), r"the 4 channels .* got \(2, 3, 5, 8\): make it with in_channels=3"),
        (torch.zeros(2, 4, 0, 8), r"only the batch may be empty: got shape \(2, 4, 0, 8\)"),
        (torch.zeros(2, 4, 5, 8, dtype=torch.uint8), r"x must be floating point, .* got torch.uint8; x.float\(\)"),
        ([[1.0]], r"must be a torch.Tensor, got list"),
    ],
)
def test_bad_input_is_named(x, message):
    for norm in (None, "batch", "group"):
        with pytest.raises(ValueError, match=message):
            ASPP(4, 6, (1, 2), norm).eval()(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((10, 15), 0), "rate must be an integer of 1 or more, got 0"),
        (((10, 15), 1.5), "rate must be .* got 1.5"),
        (((10, 0), 1), r"map_size must be an integer of 1 or more, or .* got \(10, 0\)"),
        (((1, 2, 3), 1), r"map_size must be .* got \(1, 2, 3\)"),
        (((10, 15), 1, 4), "kernel_size must be odd, so that a tap lies on the pixel itself, got 4: take 3 or 5"),
        (((10, 15), 1, 0), "kernel_size must be .* got 0"),
    ],
)
def test_taps_of_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        valid_taps(*arguments)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_only_the_plain_aspp_is_multiplied_out(norm):
    with pytest.raises(ValueError, match=r"only ASPP\(norm=None\) is linear"):
        linear_form(ASPP(3, 4, (1, 2), norm))


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"classifier.0.convs.0.0.weight": torch.zeros(1)},
        {"convs.one.weight": torch.zeros(1)},
        {"convs.0.0.weight": torch.zeros(1), "head.weight": torch.zeros(1)},
        ASPP(3, 4, norm="batch").state_dict(),
    ],
)
def test_weights_of_something_else_are_refused(weights):
    with pytest.raises(ValueError, match=r"not the weights of torchvision's ASPP.*take model.classifier\[0\]"):
        from_torchvision(weights)


def test_a_part_of_torchvision_s_weights_is_refused():
    with pytest.raises(ValueError, match="not the weights of torchvision's ASPP"):
        from_torchvision({"convs.0.0.weight": torch.zeros(4, 3, 1, 1)})


@pytest.mark.parametrize(
    "weights",
    [
        {},
        ASPP(3, 4).state_dict(),
        {name: one for name, one in ArticleASPP(3, 4).state_dict().items() if name != "join.bias"},
        ArticleASPP(3, 4).state_dict() | {"rate24.weight": torch.zeros(4, 3, 3, 3)},
    ],
)
def test_what_are_not_the_article_s_weights_is_refused(weights):
    with pytest.raises(ValueError, match=r"not the weights of the article's ASPP.*image, point, .* of an ArticleASPP"):
        from_article(weights)


def test_only_an_aspp_has_a_linear_form():
    with pytest.raises(ValueError, match="wants an ASPP, got Conv2d"):
        linear_form(nn.Conv2d(1, 1, 1))

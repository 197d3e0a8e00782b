"""WTConv against the authors' layer written out, against PyWavelets inside, and its laws: reach, cost, shifts."""

import copy
from itertools import product

import pytest
import pywt
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torchvision import models
from torchvision.models.convnext import CNBlockConfig

from chapters_code.receptive_field import Fields, receptive_field
from chapters_code.wtconv import WTConv2d, swap_depthwise


@pytest.fixture(autouse=True)
def _seed():
    """The same numbers on every run: some laws say "by so much", which chance numbers could miss."""
    torch.manual_seed(1)


class Times(nn.Module):
    def __init__(self, channels, start):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, channels, 1, 1), start))


class Official(nn.Module):
    """The authors' layer from its description, plainly; with their names, and with their padding.

    Both ways pad by half a filter less one, and an odd side by one zero more.  For Haar that is right.
    """

    def __init__(self, channels, kernel_size=5, stride=1, bias=True, wt_levels=1, wt_type="db1"):
        super().__init__()
        self.channels, self.stride, self.levels = channels, stride, wt_levels
        bank = pywt.Wavelet(wt_type)
        for name, low, high in (
            ("wt_filter", bank.dec_lo[::-1], bank.dec_hi[::-1]),
            ("iwt_filter", bank.rec_lo, bank.rec_hi),
        ):
            low, high = torch.tensor(low), torch.tensor(high)
            # a: low both ways; h: low across, high down; v: high across, low down; d: high both ways.
            four = [low[:, None] * low, high[:, None] * low, low[:, None] * high, high[:, None] * high]
            filters = torch.stack(four)[:, None].repeat(channels, 1, 1, 1)
            self.register_parameter(name, nn.Parameter(filters, requires_grad=False))
        half, many = kernel_size // 2, 4 * channels
        self.base_conv = nn.Conv2d(channels, channels, kernel_size, padding=half, groups=channels, bias=bias)
        self.base_scale = Times(channels, 1.0)
        self.wavelet_convs = nn.ModuleList(
            nn.Conv2d(many, many, kernel_size, padding=half, groups=many, bias=False) for _ in range(wt_levels)
        )
        self.wavelet_scale = nn.ModuleList(Times(many, 0.1) for _ in range(wt_levels))

    def forward(self, x):
        out = self.base_conv(x) * self.base_scale.weight + self.level(x, 0)
        return out[..., :: self.stride, :: self.stride]

    def level(self, x, i):
        n, c, height, width = x.shape
        pad = self.wt_filter.shape[-1] // 2 - 1
        padded = functional.pad(x, (0, width % 2, 0, height % 2))
        bands = functional.conv2d(padded, self.wt_filter, stride=2, padding=pad, groups=c)
        out = (self.wavelet_convs[i](bands) * self.wavelet_scale[i].weight).unflatten(1, (c, 4)).clone()
        if i + 1 < self.levels:
            out[:, :, 0] += self.level(bands.unflatten(1, (c, 4))[:, :, 0], i + 1)
        x = functional.conv_transpose2d(out.flatten(1, 2), self.iwt_filter, stride=2, padding=pad, groups=c)
        return x[..., :height, :width]


def drawn(layer):
    """Give all that is learnt other values than those it starts with."""
    for weight in layer.parameters():
        if weight.requires_grad:
            nn.init.normal_(weight)
    return layer


def only_bands(channels=2, kernel_size=3, **settings):
    """A layer whose kernels are 1 in the middle and 0 elsewhere, without the convolution at full size."""
    # A layer that is built in float32 has rounded its filters, as the authors' has.
    torch.set_default_dtype(torch.float64)
    try:
        return _identity(WTConv2d(channels, channels, kernel_size, bias=False, **settings))
    finally:
        torch.set_default_dtype(torch.float32)


def _identity(layer):
    nn.init.zeros_(layer.base_conv.weight)
    for convolution, scale in zip(layer.wavelet_convs, layer.wavelet_scale, strict=True):
        nn.init.zeros_(convolution.weight)
        middle = convolution.weight.shape[-1] // 2
        convolution.weight.data[..., middle, middle] = 1
        nn.init.ones_(scale.weight)
    return layer


# ---- the authors' layer -------------------------------------------------------------------------


def test_the_names_are_those_of_the_authors_layer():
    names = {
        *("wt_filter", "iwt_filter", "base_conv.weight", "base_conv.bias", "base_scale.weight"),
        *("wavelet_convs.0.weight", "wavelet_convs.1.weight", "wavelet_scale.0.weight", "wavelet_scale.1.weight"),
    }
    state = WTConv2d(3, 3, 7, wt_levels=2).state_dict()

    assert set(state) == names
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["wt_filter"] == shapes["iwt_filter"] == (12, 1, 2, 2)
    assert shapes["base_scale.weight"] == (1, 3, 1, 1) and shapes["wavelet_scale.1.weight"] == (1, 12, 1, 1)
    assert shapes["base_conv.weight"] == (3, 1, 7, 7) and shapes["wavelet_convs.1.weight"] == (12, 1, 7, 7)
    assert {value.dtype for value in state.values()} == {torch.float32}


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("fast", [False, True])
def test_it_gives_the_authors_output_from_the_authors_state_dict(fast, levels):
    """Values and gradients by the picture; to 1e-5 in float32, which is added in another order.

    The fast way has exact halves where the authors' stored filters are products of two rounded square roots.
    """
    sizes = [(16, 24), (13, 22), (5, 7), (1, 4)]
    for size, stride, (kernel_size, bias) in product(sizes, [1, 2, 3], [(3, True), (5, False)]):
        official = drawn(Official(3, kernel_size, stride, bias, levels))
        ours = WTConv2d(3, 3, kernel_size, stride, bias, levels, fast=fast)
        ours.load_state_dict(official.state_dict(), strict=True)
        official.load_state_dict(ours.state_dict(), strict=True)
        x, results = torch.randn(2, 3, *size), []
        for layer in (ours.double(), official.double()):
            given = x.double().requires_grad_()
            out = layer(given)
            results.append((out, *torch.autograd.grad(out.sum(), [given])))

        assert results[0][0].shape == (2, 3, -(-size[0] // stride), -(-size[1] // stride)), (size, stride)
        largest = max(float(one.detach().abs().max()) for one in results[1])
        assert_close(*results, rtol=0, atol=1e-6 * largest if fast else 1e-9)
        near = 1e-5 * float(results[1][0].detach().abs().max())
        assert_close(ours.float()(x), official.float()(x), rtol=1e-5, atol=near)


@pytest.mark.parametrize("levels", [1, 3])
def test_gradients_by_each_weight_are_those_of_the_authors_layer(levels):
    official, ours = drawn(Official(2, 5, wt_levels=levels)).double(), WTConv2d(2, 2, wt_levels=levels).double()
    ours.load_state_dict(official.state_dict())
    x = torch.randn(2, 2, 9, 14, dtype=torch.float64)
    for layer in (ours, official):
        layer(x).pow(2).sum().backward()
    expected = {name: weight.grad for name, weight in official.named_parameters() if weight.requires_grad}

    for name, weight in ours.named_parameters():
        assert_close(weight.grad, expected[name], rtol=0, atol=1e-6 * float(expected[name].abs().max()), msg=name)


def test_the_layer_starts_as_the_authors_do():
    layer = WTConv2d(3, 3, wt_levels=2)

    assert (layer.base_scale.weight == 1).all() and all((one.weight == 0.1).all() for one in layer.wavelet_scale)
    assert {one.kernel_size for one in (layer.base_conv, *layer.wavelet_convs)} == {(5, 5)}
    assert WTConv2d(64, 64, kernel_size=7)(torch.randn(1, 64, 40, 40)).shape == (1, 64, 40, 40)


# ---- the transform inside -----------------------------------------------------------------------


@pytest.mark.parametrize("wavelet", ["db1", "db2", "sym4", "bior2.2", "rbio3.1"])
def test_split_is_pywavelets_and_join_turns_it_round(wavelet):
    """With zeros around, channel by channel: a, h, v, d of the first, then of the second."""
    layer = only_bands(wt_type=wavelet)
    for size in ((8, 12), (7, 13), (1, 5)):
        x = torch.randn(2, 2, *size, dtype=torch.float64)
        a, (h, v, d) = pywt.dwt2(x.numpy(), wavelet, "zero")
        expected = torch.stack([torch.from_numpy(band) for band in (a, h, v, d)], dim=2).flatten(1, 2)

        bands = layer.split(x)
        assert_close(bands, expected, rtol=0, atol=1e-10)
        assert_close(layer.join(bands)[..., : size[0], : size[1]], x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("wavelet", ["db1", "db2", "sym4", "bior2.2"])
@pytest.mark.filterwarnings("ignore:Level value of")  # PyWavelets: the filters are long for the picture; it goes on
def test_with_identity_kernels_the_output_is_a_sum_of_known_parts(wavelet):
    """The picture itself, and for each further level the picture without the details of the levels before."""
    for size in ((16, 24), (13, 21)):
        x = torch.randn(1, 2, *size, dtype=torch.float64)
        expected = x.clone()
        for levels in (1, 2, 3):
            assert_close(only_bands(wt_levels=levels, wt_type=wavelet)(x), expected, rtol=0, atol=1e-10)
            a, *details = pywt.wavedec2(x.numpy(), wavelet, "zero", levels)
            zeros = [tuple(0 * band for band in three) for three in details]
            expected += torch.from_numpy(pywt.waverec2([a, *zeros], wavelet, "zero"))[..., : size[0], : size[1]]


@pytest.mark.parametrize("wavelet", ["db2", "sym4", "bior2.2"])
def test_the_authors_padding_loses_pixels_with_longer_wavelets(wavelet):
    """Its rim does not come back; ours does.  In the middle both are right."""
    x = torch.randn(1, 2, 24, 30)
    official = _identity(Official(2, 3, bias=False, wt_type=wavelet))
    ours = _identity(WTConv2d(2, 2, 3, bias=False, wt_type=wavelet))

    assert_close(ours(x), x, rtol=0, atol=1e-5)
    lost = (official(x) - x).abs()
    assert lost.max() > 0.1 and lost[..., 8:-8, 8:-8].max() < 1e-5
    assert_close(_identity(Official(2, 3, bias=False))(x), x, rtol=0, atol=1e-5)  # Haar


# ---- what is learnt, and what it costs ----------------------------------------------------------


def test_filters_are_buffers_and_no_optimiser_moves_them():
    layer = drawn(WTConv2d(2, 2, wt_levels=2))
    assert {name for name, _ in layer.named_buffers()} == {"wt_filter", "iwt_filter"}
    assert not any("filter" in name for name, _ in layer.named_parameters())
    filters = [buffer.clone() for buffer in layer.buffers()]
    before = [weight.clone() for weight in layer.parameters()]
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        layer(torch.randn(2, 2, 8, 6)).pow(2).mean().backward()
        optimiser.step()

    assert all(map(torch.equal, layer.buffers(), filters))
    assert not any(map(torch.equal, layer.parameters(), before))
    assert all(buffer.dtype == torch.float64 for buffer in layer.double().buffers())


@pytest.mark.parametrize(("levels", "published"), [(1, 131), (2, 235), (3, 339)])
def test_parameters_per_channel(levels, published):
    """By hand: 25 weights, a bias, a scale; and for each level four times 25 weights and a scale."""
    count = sum(weight.numel() for weight in WTConv2d(6, 6, 5, wt_levels=levels).parameters()) // 6

    assert count == published == 25 + 1 + 1 + levels * 4 * (25 + 1)
    # One kernel of the same reach: cheaper at one level, dearer from two on.
    assert (count < (5 * 2**levels) ** 2) == (levels >= 2)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_receptive_field_is_the_kernel_on_the_coarsest_band(levels, kernel_size):
    """2^L · k, for k = 5 the published 10, 20 and 40; it begins where a block of 2^L begins."""
    fields, block = Fields(WTConv2d(1, 1, kernel_size, wt_levels=levels), (96, 104)), 2**levels
    for pixel in ((40, 47), (41, 51)):
        field = fields.at(*pixel)
        assert field.size == (block * kernel_size, block * kernel_size)
        rows, columns = (field.touched.any(axis).nonzero().flatten() for axis in (1, 0))
        for touched, at in ((rows, pixel[0]), (columns, pixel[1])):
            first = at // block * block - kernel_size // 2 * block
            assert touched.tolist() == list(range(first, first + block * kernel_size))


def test_gradients_reach_just_as_far():
    """The same field, seen in numbers and not in rules."""
    layer = drawn(WTConv2d(1, 1, 5, wt_levels=2)).double()
    x = torch.randn(1, 1, 44, 52, dtype=torch.float64, requires_grad=True)
    layer(x)[0, 0, 21, 26].backward()

    assert torch.equal(x.grad[0, 0] != 0, receptive_field(layer, (44, 52), (21, 26)).touched)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_it_commutes_with_shifts_by_blocks_only(levels):
    """A speck far from the rim is moved: by 2^L the output moves along, exactly; by anything else it changes."""
    layer, block = drawn(WTConv2d(2, 2, 5, wt_levels=levels)).double(), 2**levels
    x = torch.zeros(1, 2, 112, 128, dtype=torch.float64)
    x[..., 50:60, 60:68] = torch.randn(2, 10, 8, dtype=torch.float64)
    out = layer(x)
    power = (out - layer(torch.zeros_like(x))).norm()

    for shift in range(-block, 2 * block + 1):
        for axis in (-2, -1):
            error = ((layer(x.roll(shift, axis)) - out.roll(shift, axis)).norm() / power).item()
            assert error < 1e-12 if shift % block == 0 else error > 0.05, (shift, axis, error)


# ---- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("wavelet", ["db1", "db3"])
def test_autocast_mixes_no_dtypes(wavelet, dtype):
    layer, x = WTConv2d(2, 2, wt_levels=2, wt_type=wavelet), torch.randn(2, 2, 7, 10).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        out = layer(x)
    out.float().sum().backward()

    assert_close(out.float(), layer(x), rtol=0, atol=40 * torch.finfo(dtype).eps)
    assert all(weight.grad.dtype == torch.float32 and weight.grad.any() for weight in (x, *layer.parameters()))


def test_autocast_gives_one_dtype_while_learning_and_after():
    """Whichever way the gradient takes."""
    for kernel_size, bias in product([3, 5], [True, False]):
        layer, x = WTConv2d(2, 2, kernel_size, bias=bias), torch.randn(2, 2, 7, 10)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(x).dtype == layer.requires_grad_(False)(x).dtype == torch.bfloat16


def test_one_picture_without_batch():
    layer, x = drawn(WTConv2d(2, 2, stride=2, wt_levels=2)), torch.randn(2, 7, 10)
    assert_close(layer(x), layer(x[None])[0])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ((3, 4), r"in_channels=3 and out_channels=4 must be equal: .*1 × 1"),
        ((0, 0), "in_channels must be an integer of 1 or more, got 0"),
        ((3, 3, 4), "kernel_size must be odd.*got 4: take 3 or 5"),
        ((3, 3, 0), "kernel_size must be an integer of 1 or more, got 0"),
        ((3, 3, (3, 3)), "kernel_size must be an integer"),
        ((3, 3, 5, 0), "stride must be an integer of 1 or more, got 0"),
        ((3, 3, 5, (2, 2)), "stride must be an integer"),
        ((3, 3, 5, 1, True, 0), "wt_levels must be an integer of 1 or more, got 0"),
        ((3, 3, 5, 1, True, 1.5), "wt_levels must be an integer"),
        ((3, 3, 5, 1, True, 1, "db0"), "wavelet must be the name of a discrete wavelet.*got 'db0'"),
    ],
)
def test_what_cannot_be_built_is_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        WTConv2d(*settings)


def test_what_is_no_picture_is_refused():
    layer = WTConv2d(3, 3)
    for x in ("x", torch.zeros(3, 4), torch.zeros(1, 3, 0, 4)):
        with pytest.raises(ValueError, match="x must|only the batch"):
            layer(x)
    for x in (torch.zeros(1, 4, 6, 8), torch.zeros(1, 3, 6, 8, dtype=torch.int64)):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            layer(x)
        assert len(str(caught.value)) > 20


# ---- the weights of others -----------------------------------------------------------------------


def test_the_ones_that_a_version_of_the_official_layer_stores_for_its_stride_are_left_out():
    ours = WTConv2d(3, 3, stride=2)
    state = ours.state_dict() | {"stride_filter": torch.ones(3, 1, 1, 1)}
    WTConv2d(3, 3, stride=2).load_state_dict(state)
    nn.Sequential(WTConv2d(3, 3, stride=2)).load_state_dict({f"0.{name}": value for name, value in state.items()})


@pytest.mark.parametrize("other", [{"wt_type": "db2"}, {"in_channels": 4, "out_channels": 4}])
def test_the_weights_of_another_wavelet_are_refused_in_words(other):
    """sym2 and db2 have filters of one size: their numbers are compared."""
    settings = {"in_channels": 3, "out_channels": 3}
    with pytest.raises(
        ValueError, match="wt_filter holds filters .* of another wavelet than db1.*: make the layer with"
    ):
        WTConv2d(**settings).load_state_dict(WTConv2d(**(settings | other)).state_dict())
    with pytest.raises(ValueError, match="another wavelet than bior2.2"):
        WTConv2d(3, 3, wt_type="bior2.2").load_state_dict(WTConv2d(3, 3, wt_type="db3").state_dict())


def test_a_layer_without_numbers_takes_those_of_another():
    """Built on "meta", as large networks are; the filters' shape is still asked for."""
    given = WTConv2d(3, 3).state_dict()
    with torch.device("meta"):
        layer, other = WTConv2d(3, 3), WTConv2d(3, 3, wt_type="db2")
    layer.load_state_dict(given, assign=True)

    assert all(torch.equal(value, given[name]) for name, value in layer.state_dict().items())
    with pytest.raises(ValueError, match="another wavelet than db2"):
        other.load_state_dict(given, assign=True)


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("size", [(8, 6), (13, 22)])
def test_the_fast_way_equals_the_one_that_is_read(levels, size):
    fast = WTConv2d(3, 3, 5, wt_levels=levels).double()
    plain = WTConv2d(3, 3, 5, wt_levels=levels, fast=False).double()
    plain.load_state_dict(fast.state_dict())
    x, y = (
        torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).requires_grad_()
        for _ in range(2)
    )
    assert fast.fast and not plain.fast

    out, expected = fast(x), plain(y)
    assert_close(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    assert_close(x.grad, y.grad)
    for (name, one), other in zip(fast.named_parameters(), plain.parameters(), strict=True):
        assert_close(one.grad, other.grad, msg=name)


# ---- in place of depthwise convolutions ----------------------------------------------------------


def narrow(name):
    """A narrow network of torchvision's with random weights, in which every layer matters for what comes out."""
    if name == "mobilenet_v2":
        network = models.mobilenet_v2(width_mult=0.25, num_classes=10)
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None  # it takes the mean and variance of what it sees, or the signal would fade away
        network(torch.randn(4, 3, 65, 96))
        return network
    # Its blocks begin at a millionth of their strength, which would hide what stands in them.
    stages = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, 24, 2), CNBlockConfig(24, None, 1)]
    return models.ConvNeXt(stages, layer_scale=1.0, num_classes=10)


def depthwise_in(network):
    """Each depthwise convolution that does not stand in a WTConv2d, by name."""
    within = tuple(f"{name}." for name, part in network.named_modules() if isinstance(part, WTConv2d))
    return {
        name: part
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d) and part.groups == part.in_channels > 1 and not name.startswith(within)
    }


def layers_in(network):
    return {name: part for name, part in network.named_modules() if isinstance(part, WTConv2d)}


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("name", "before", "levels", "kernel_size", "after"),
    [
        ("mobilenet_v2", 3_504_872, 1, None, 3_797_448),
        ("mobilenet_v2", 3_504_872, 2, None, 4_082_888),
        ("mobilenet_v2", 3_504_872, 3, 3, 4_368_328),
        ("convnext_tiny", 28_589_128, 1, None, 29_920_552),
        ("convnext_tiny", 28_589_128, 2, None, 31_245_352),
        ("convnext_tiny", 28_589_128, 2, 5, 29_814_568),
    ],
)
def test_parameters_of_whole_networks(name, before, levels, kernel_size, after):
    """As stated, and by the sum: each channel gets a scale, and for each level four kernels with a scale."""
    with torch.device("meta"):
        network = models.get_model(name)
        swapped = swap_depthwise(network, levels, kernel_size)
    more = 0
    for old in depthwise_in(network).values():
        was, taps = old.kernel_size[0] ** 2, (kernel_size or old.kernel_size[0]) ** 2
        more += old.in_channels * (taps - was + 1 + levels * 4 * (taps + 1))

    assert count(network) == before and count(swapped) == after == before + more
    assert not depthwise_in(swapped)
    assert layers_in(swapped).keys() == depthwise_in(network).keys()
    assert all(weight.is_meta for weight in swapped.state_dict().values())


@pytest.mark.parametrize("size", [(65, 97), (64, 32), (33, 40)])
@pytest.mark.parametrize(("name", "kernel_size"), [("mobilenet_v2", None), ("mobilenet_v2", 5), ("convnext", 5)])
def test_every_map_keeps_its_shape(name, kernel_size, size):
    """Not only the scores at the end: what comes out of each layer, also with a stride at odd sizes."""
    network = narrow(name).eval()
    swapped = swap_depthwise(network, 2, kernel_size)
    shapes = []
    for one in (network, swapped):
        seen = {}
        for part_name in depthwise_in(network):
            one.get_submodule(part_name).register_forward_hook(
                lambda _, __, out, seen=seen, part_name=part_name: seen.update({part_name: out.shape})
            )
        with torch.no_grad():
            shapes.append((one(torch.randn(2, 3, *size)).shape, seen))

    assert shapes[0] == shapes[1] and shapes[0][0] == (2, 10)


@pytest.mark.parametrize("name", ["mobilenet_v2", "convnext"])
@pytest.mark.parametrize("levels", [1, 3])
def test_without_its_bands_the_network_computes_what_it_computed(name, levels):
    """The old kernels, biases and strides are in the right places; with the bands the output is another."""
    network = narrow(name).double().eval()
    swapped = swap_depthwise(network, levels)
    x = torch.randn(2, 3, 49, 66, dtype=torch.float64)
    with torch.no_grad():
        expected, with_bands = network(x), swapped(x)
        for layer in layers_in(swapped).values():
            for scale in layer.wavelet_scale:
                nn.init.zeros_(scale.weight)
        assert_close(swapped(x), expected, rtol=1e-9, atol=1e-9)

    apart = expected.std(0).norm()
    assert apart > 0.01 * expected.norm() and (with_bands - expected).norm() > 0.01 * apart


@pytest.mark.parametrize(
    ("name", "kernel_size", "kept"), [("convnext", None, True), ("convnext", 5, False), ("convnext", 9, False)]
)
def test_weights_are_kept_where_the_kernel_size_is(name, kernel_size, kept):
    """And all that is no depthwise convolution, whatever the kernel size."""
    network = narrow(name)
    swapped = swap_depthwise(network, 2, kernel_size)
    state = swapped.state_dict()
    depthwise = depthwise_in(network)
    for key, value in network.state_dict().items():
        part, _, last = key.rpartition(".")
        if part not in depthwise:
            assert torch.equal(state[key], value), key
        elif kept:
            assert torch.equal(state[f"{part}.base_conv.{last}"], value), key
    for part, layer in layers_in(swapped).items():
        assert layer.base_conv.kernel_size == (kernel_size or 7,) * 2 and layer.wt_levels == 2
        assert (layer.base_conv.bias is None) == (depthwise[part].bias is None)
        assert layer.stride == depthwise[part].stride[0]


def test_the_given_network_stays_as_it_is():
    """Also when the copy learns: they share no numbers."""
    network = narrow("mobilenet_v2")
    before, parts = copy.deepcopy(network.state_dict()), [type(part) for part in network.modules()]
    swapped = swap_depthwise(network, 1)
    with torch.no_grad():
        for number in (*swapped.parameters(), *swapped.buffers()):
            number += 1

    assert [type(part) for part in network.modules()] == parts
    after = network.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_and_mode_are_those_of_the_network(dtype):
    """Mode by mode: a network may stand still in parts."""
    network = narrow("mobilenet_v2").to(dtype).train()
    network.features[5].eval()
    swapped = swap_depthwise(network, 1)
    modes = {name: part.training for name, part in network.named_modules()}

    assert {value.dtype for value in swapped.state_dict().values() if value.is_floating_point()} == {dtype}
    for name, part in swapped.named_modules():
        owner = next((one for one in layers_in(swapped) if name.startswith(f"{one}.")), name)
        assert part.training == modes[owner], name


def test_a_swapped_network_learns_in_all_its_weights():
    swapped = swap_depthwise(narrow("mobilenet_v2"), 2).train()
    swapped(torch.randn(4, 3, 64, 96)).square().sum().backward()

    for name, layer in layers_in(swapped).items():
        for weight_name, weight in layer.named_parameters():
            assert weight.grad is not None and weight.grad.any(), f"{name}.{weight_name}"


def test_one_convolution_in_two_places_stays_one():
    shared = nn.Conv2d(4, 4, 3, padding=1, groups=4)
    swapped = swap_depthwise(nn.Sequential(shared, nn.ReLU(), nn.Sequential(shared)))

    assert isinstance(swapped[0], WTConv2d) and swapped[0] is swapped[2][0]


def test_a_network_that_is_one_convolution_becomes_one_layer():
    convolution = nn.Conv2d(6, 6, 5, stride=2, padding=2, groups=6, bias=False)
    layer = swap_depthwise(convolution, 3)

    assert type(layer) is WTConv2d and layer.wt_levels == 3
    assert torch.equal(layer.base_conv.weight, convolution.weight)
    assert layer(torch.randn(1, 6, 9, 14)).shape == convolution(torch.randn(1, 6, 9, 14)).shape


def test_what_was_swapped_before_is_left_alone():
    """The small convolutions inside a WTConv2d are depthwise, too."""
    first = swap_depthwise(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU()))
    both = nn.Sequential(first, nn.Conv2d(4, 4, 5, padding="same", groups=4))
    again = swap_depthwise(both, 2)

    assert [layer.wt_levels for layer in layers_in(again).values()] == [1, 2]
    assert again(torch.randn(2, 4, 9, 11)).shape == (2, 4, 9, 11)
    with pytest.raises(ValueError, match="Sequential has no depthwise convolution to swap"):
        swap_depthwise(first)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kernel_size": 3, "padding": 2, "dilation": 2}, "1.0 is Conv2d.*square kernels and strides without dilation"),
        ({"kernel_size": (3, 5), "padding": (1, 2)}, "1.0 is Conv2d.*square kernels"),
        ({"kernel_size": 3, "padding": 1, "stride": (1, 2)}, "1.0 is Conv2d.*square kernels and strides"),
        ({"kernel_size": 4, "padding": 2}, "1.0 is Conv2d.*odd kernel and zeros, half a kernel of them around"),
        ({"kernel_size": 3}, "1.0 is Conv2d.*odd kernel and zeros"),
        ({"kernel_size": 3, "padding": "valid"}, "1.0 is Conv2d.*odd kernel and zeros"),
        ({"kernel_size": 3, "padding": 1, "padding_mode": "reflect"}, "1.0 is Conv2d.*odd kernel and zeros"),
    ],
)
def test_convolutions_that_it_cannot_stand_for_are_named(settings, says):
    convolution = nn.Conv2d(4, 4, groups=4, **settings)
    with pytest.raises(ValueError, match=says):
        swap_depthwise(nn.Sequential(nn.ReLU(), nn.Sequential(convolution)))
    with pytest.raises(ValueError, match="the network is Conv2d"):
        swap_depthwise(convolution)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kernel_size": 4}, "kernel_size must be odd.*got 4: take 3 or 5"),
        ({"kernel_size": 0}, "kernel_size must be an integer of 1 or more, got 0"),
        ({"wt_levels": 0}, "wt_levels must be an integer of 1 or more, got 0"),
        ({"wt_levels": 1.5}, "wt_levels must be an integer"),
    ],
)
def test_layers_that_cannot_be_built_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        swap_depthwise(nn.Conv2d(4, 4, 3, padding=1, groups=4), **settings)


def test_a_network_without_depthwise_convolutions_is_refused():
    """Neither grouped ones nor those of one channel count, nor those that change the number of channels."""
    with torch.device("meta"):
        networks = [models.resnet18(), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(1, 1, 3), nn.Conv2d(4, 8, 3, groups=4)]
    for network in networks:
        with pytest.raises(ValueError, match=f"{type(network).__name__} has no depthwise convolution to swap"):
            swap_depthwise(network)

"""HWD against its source written out, and as the one convolution that it is: at rest, along SGD, and along Adam."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.hwd import EvenSides, HWDownsampling, as_kernel, as_mix
from chapters_code.strided import as_pointwise, space_to_depth

# Sums of some dozen products in another order; in double precision the last bits may differ.
EXACT = {"rtol": 0, "atol": 1e-12}
BOTH = pytest.mark.parametrize("one_convolution", [True, False], ids=["one convolution", "as it reads"])


@pytest.fixture(autouse=True)
def _seed():
    """The same numbers on every run: some laws say "by so much", which chance numbers could miss."""
    torch.manual_seed(1)


def haar(x):
    """The bands of even sides, written out: all a, then all h, v and d."""
    p, q, r, s = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return torch.cat([p + q + r + s, p + q - r - s, p - q + r - s, p - q - r + s], dim=1) / 2


class Source(nn.Module):
    """The source's block in its own steps: four bands of 2 × 2 blocks, concatenated, 1 × 1 with a bias, norm, ReLU."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(4 * in_channels, out_channels, 1)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return functional.relu(self.bn(self.conv(haar(x))))


def moved(layer, steps=3):
    """Let the running means, and scale and shift of the normalisation, be something else than they were at first."""
    torch.nn.init.uniform_(layer.norm.weight, 0.5, 2)
    torch.nn.init.normal_(layer.norm.bias)
    layer.train()
    for _ in range(steps):
        layer(torch.randn(4, layer.mix.in_channels // 4, 9, 6, dtype=layer.mix.weight.dtype) * 2 + 1)
    return layer.eval()


@BOTH
def test_the_sizes_are_those_of_the_source(one_convolution):
    layer = HWDownsampling(3, 64, one_convolution)

    assert layer(torch.randn(1, 3, 64, 64)).shape == (1, 64, 32, 32)
    assert layer(torch.randn(2, 3, 7, 12)).shape == (2, 64, 4, 6)
    assert sum(weight.numel() for weight in layer.parameters()) == 4 * 3 * 64 + 2 * 64


@BOTH
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(8, 6), (4, 10)])
def test_it_is_the_source_given_its_weights(size, training, one_convolution):
    """The source's bias before the normalisation shifts the mean, which is taken away: it has no effect."""
    source, ours = Source(3, 5).double(), HWDownsampling(3, 5, one_convolution).double()
    ours.mix.weight.data.copy_(source.conv.weight.data)
    for layer, norm in ((source, source.bn), (ours, ours.norm)):
        norm.weight.data.copy_(torch.linspace(0.5, 2, 5))
        norm.bias.data.copy_(torch.linspace(-1, 1, 5))
        norm.running_var.copy_(torch.linspace(0.2, 3, 5))
        layer.train(training)
    ours.norm.running_mean.copy_(source.bn.running_mean - source.conv.bias.data)
    x = torch.randn(2, 3, *size, dtype=torch.float64)

    results = []
    for layer, mix in ((source, source.conv.weight), (ours, ours.mix.weight)):
        given = x.clone().requires_grad_()
        out = layer(given)
        results.append((out, *torch.autograd.grad(out.pow(2).sum(), [given, mix])))
    assert_close(*results, rtol=1e-9, atol=1e-9)
    if training:
        (out,) = torch.autograd.grad(source(x).pow(2).sum(), [source.conv.bias])
        assert_close(out, torch.zeros_like(out), rtol=0, atol=1e-9)


# ---- the one convolution that it is -------------------------------------------------------------


def test_the_change_of_basis_is_a_rotation_of_the_weights():
    """There and back is where one was; lengths and angles stay."""
    mix, other = (torch.randn(5, 12, 1, 1, dtype=torch.float64) for _ in range(2))
    kernel = as_kernel(mix)

    assert kernel.shape == (5, 3, 2, 2)
    assert_close(as_mix(kernel), mix, **EXACT)
    assert_close(as_kernel(as_mix(kernel)), kernel, **EXACT)
    assert_close(kernel.flatten(1).norm(dim=1), mix.flatten(1).norm(dim=1), **EXACT)
    assert_close(kernel.flatten(1) @ as_kernel(other).flatten(1).T, mix.flatten(1) @ other.flatten(1).T, **EXACT)
    basis = as_kernel(torch.eye(4, dtype=torch.float64)[..., None, None]).flatten(1)
    assert_close(basis @ basis.T, torch.eye(4, dtype=torch.float64), **EXACT)


def test_the_change_of_basis_by_hand():
    """A weight on one band alone is a kernel of that band's signs, halved; bands come before channels."""
    signs = {0: [[1, 1], [1, 1]], 1: [[1, 1], [-1, -1]], 2: [[1, -1], [1, -1]], 3: [[1, -1], [-1, 1]]}
    for band, expected in signs.items():
        mix = torch.zeros(1, 8, 1, 1)
        mix[0, 2 * band + 1] = 2.0  # the second of two channels
        assert as_kernel(mix).tolist() == [[[[0, 0], [0, 0]], expected]]


@pytest.mark.parametrize("size", [(8, 6), (2, 10)])
def test_haar_and_mixing_is_a_strided_convolution_is_space_to_depth_and_mixing(size):
    """In values, and in the gradients by the picture and by the weights, turned into one basis."""
    weight = torch.randn(5, 12, 1, 1, dtype=torch.float64)
    forms = [
        (lambda x, mix: functional.conv2d(haar(x), mix), weight, as_kernel),
        (lambda x, kernel: functional.conv2d(x, kernel, stride=2), as_kernel(weight), lambda kernel: kernel),
        (
            lambda x, point: functional.conv2d(space_to_depth(x, 2), point),
            as_pointwise(as_kernel(weight)),
            lambda point: point.reshape(5, 3, 2, 2),
        ),
    ]
    x, results = torch.randn(2, 3, *size, dtype=torch.float64), []
    pull = torch.randn(2, 5, size[0] // 2, size[1] // 2, dtype=torch.float64)
    for form, weights, turned in forms:
        given = [x.clone().requires_grad_(), weights.clone().requires_grad_()]
        out = form(*given)
        of_x, of_weights = torch.autograd.grad(out, given, pull)
        results.append((out.detach(), of_x, turned(of_weights)))
    assert_close(results[1], results[0], **EXACT)
    assert_close(results[2], results[0], **EXACT)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(8, 6), (7, 5), (1, 4)])
def test_both_forms_are_one_layer(size, training):
    """Values, gradients by picture and by all weights, running means, and the state dict; at odd sides, too."""
    one, two = HWDownsampling(3, 5).double(), HWDownsampling(3, 5, one_convolution=False).double()
    two.load_state_dict(one.state_dict(), strict=True)
    x, results = torch.randn(2, 3, *size, dtype=torch.float64), []
    for layer in (one.train(training), two.train(training)):
        given = x.clone().requires_grad_()
        layer(given).pow(2).sum().backward()
        results.append((layer(x), given.grad, [weight.grad for weight in layer.parameters()], layer.state_dict()))
    assert_close(*results, rtol=1e-9, atol=1e-9)


def test_gradients_go_through_the_change_of_basis():
    mix = torch.randn(2, 8, 1, 1, dtype=torch.float64, requires_grad=True)
    kernel = as_kernel(mix).detach().requires_grad_()

    assert torch.autograd.gradcheck(as_kernel, mix) and torch.autograd.gradcheck(as_mix, kernel)


@pytest.mark.parametrize("shape", [(5, 6, 1, 1), (5, 8, 2, 1), (5, 8, 1), (8,)])
def test_what_is_no_mixing_is_refused(shape):
    with pytest.raises(ValueError, match=r"\(C', 4C, 1, 1\), got"):
        as_kernel(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(5, 8, 3, 3), (5, 8, 2, 1), (5, 2, 2), (4,)])
def test_what_is_no_two_by_two_kernel_is_refused(shape):
    with pytest.raises(ValueError, match=r"\(C', C, 2, 2\), got"):
        as_mix(torch.zeros(shape))


# ---- along a training run -----------------------------------------------------------------------


class Strided(nn.Module):
    """The control: a 2 × 2 convolution with stride 2, and nothing said of wavelets."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 2, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return functional.relu(self.norm(self.convolution(x)))


def train(optimiser, steps=200):
    """Train an HWD and a strided 2 × 2 convolution from matching weights on the same batches.

    Gives both losses at every step, and the largest difference of weights in one basis at the end.
    """
    torch.manual_seed(3)
    hwd = nn.Sequential(HWDownsampling(2, 6, one_convolution=False), nn.Conv2d(6, 1, 1)).double()
    control = nn.Sequential(Strided(2, 6), copy.deepcopy(hwd[1])).double()
    control[0].convolution.weight.data.copy_(as_kernel(hwd[0].mix.weight.data))
    nets = (hwd, control)
    optimisers = [optimiser(net.parameters()) for net in nets]
    losses = []
    for _ in range(steps):
        x = torch.randn(4, 2, 8, 12, dtype=torch.float64)
        target = functional.max_pool2d(x[:, :1] * x[:, 1:], 2)
        row = []
        for net, one in zip(nets, optimisers, strict=True):
            one.zero_grad()
            loss = functional.mse_loss(net(x), target)
            loss.backward()
            one.step()
            row.append(loss.item())
        losses.append(row)
    apart = (as_kernel(hwd[0].mix.weight) - control[0].convolution.weight).abs().max().item()
    return torch.tensor(losses, dtype=torch.float64), apart


def test_along_sgd_the_whole_run_is_the_same():
    """A rotation commutes with sums and multiples of gradients, and that is all that momentum and weight decay do."""
    losses, apart = train(lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.9, weight_decay=1e-3))

    assert losses[-20:].mean() < 0.8 * losses[:20].mean()  # it learns; else sameness would be easy
    assert (losses[:, 0] - losses[:, 1]).abs().max() <= 1e-12
    assert apart <= 1e-12


@pytest.mark.parametrize("optimiser", [torch.optim.Adam, torch.optim.AdamW])
def test_along_adam_the_runs_part(optimiser):
    """Same function, same weights, same batches: the first loss is equal to the last digit, later ones are not."""
    losses, apart = train(lambda weights: optimiser(weights, lr=0.01))
    gap = (losses[:, 0] - losses[:, 1]).abs()

    assert gap[0] <= 1e-12
    assert gap.max() > 1e-3 and apart > 0.01, (float(gap.max()), apart)


def test_why_adam_parts_and_sgd_does_not():
    """Turn the gradient, and SGD's step turns with it; Adam divides each coordinate by its own size, and its does not.

    By hand: the first step of Adam is lr · sign(gradient).  The gradient (1, 0, 0, 0) in one basis is (½, ½, ½, ½) in
    the other: steps of length lr and of length 2 · lr.
    """
    bands = torch.zeros(1, 4, 1, 1, dtype=torch.float64)
    gradient = torch.zeros_like(bands)
    gradient[0, 0] = 1.0

    def step(optimiser, weights, gradient):
        weights = weights.clone().requires_grad_()
        weights.grad = gradient
        optimiser([weights]).step()
        return weights.detach()

    for optimiser, lengths in (
        (lambda weights: torch.optim.SGD(weights, lr=0.1), (0.1, 0.1)),
        (lambda weights: torch.optim.Adam(weights, lr=0.1, eps=1e-12), (0.1, 0.2)),
    ):
        in_bands, in_pixels = step(optimiser, bands, gradient), step(optimiser, as_kernel(bands), as_kernel(gradient))
        assert (in_bands.norm().item(), in_pixels.norm().item()) == pytest.approx(lengths)
        assert torch.allclose(as_kernel(in_bands), in_pixels) == (lengths[0] == lengths[1])


# ---- fuse ---------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("size", [(8, 6), (7, 5), (1, 1)])
def test_fused_it_is_the_same_in_evaluation(size, one_convolution):
    """After training has moved the running means; at odd sides, too."""
    layer = moved(HWDownsampling(3, 5, one_convolution).double())
    x = torch.randn(2, 3, *size, dtype=torch.float64)

    fused = layer.fuse()
    assert_close(fused(x), layer(x), **EXACT)
    assert layer(x).any() and not fused.training
    single = [one for one in fused.modules() if isinstance(one, nn.Conv2d)]
    assert len(single) == 1 and single[0].kernel_size == single[0].stride == (2, 2)
    assert not any(isinstance(one, nn.BatchNorm2d) for one in fused.modules())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_it_keeps_its_dtype(dtype):
    layer = moved(HWDownsampling(3, 5)).to(dtype)
    x = torch.randn(2, 3, 6, 8, dtype=dtype)

    assert layer.fuse()(x).dtype == dtype
    assert_close(layer.fuse()(x), layer(x), rtol=0, atol=40 * torch.finfo(dtype).eps)


def test_what_is_fused_is_a_copy():
    """It takes nothing with it, and leaves the random numbers of a training run alone."""
    layer = moved(HWDownsampling(3, 5).double())
    before, seed = copy.deepcopy(layer.state_dict()), torch.random.get_rng_state()
    fused = layer.fuse()
    assert torch.equal(torch.random.get_rng_state(), seed)
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    expected = fused(x)
    for weight in (*layer.parameters(), *layer.buffers()):
        weight.data.zero_()
    assert_close(fused(x), expected, rtol=0, atol=0)

    layer.load_state_dict(before)
    for weight in fused.parameters():
        weight.data.zero_()
    assert_close(layer.state_dict(), before, rtol=0, atol=0)
    assert layer.train().fuse().training and not layer.eval().fuse().training


# ---- errors, and the rest -----------------------------------------------------------------------


def test_even_sides():
    x = torch.arange(6.0).reshape(1, 1, 2, 3)

    assert EvenSides()(x).tolist() == [[[[0, 1, 2, 2], [3, 4, 5, 5]]]]
    assert torch.equal(EvenSides()(x[..., :2]), x[..., :2])


@pytest.mark.parametrize("channels", [(0, 4), (3, 0), (-1, 4), (2.0, 4), (3, "4"), (None, 4)])
def test_impossible_channels_are_refused(channels):
    with pytest.raises(ValueError, match=r"(in|out)_channels must be an integer of 1 or more, got"):
        HWDownsampling(*channels)


@BOTH
def test_what_is_no_batch_of_pictures_is_refused(one_convolution):
    layer = HWDownsampling(3, 4, one_convolution).eval()
    for x in ([[1.0]], torch.zeros(3), torch.zeros(1, 3, 0, 4), torch.zeros(1, 1, 3, 4, 4)):
        with pytest.raises(ValueError, match="x must|only the batch"):
            layer(x)
    for x in (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 2, 4, 6)):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            layer(x)
        assert len(str(caught.value)) > 20


def test_inputs_are_left_as_they_were():
    layer, x = HWDownsampling(3, 4), torch.randn(2, 3, 6, 8)
    kept = x.clone()
    layer(x)
    layer.eval().fuse()(x)
    assert torch.equal(x, kept)

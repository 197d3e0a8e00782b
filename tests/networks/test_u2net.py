"""U²-Net against the paper's table written straight down: numbers, names, sizes; fused, trained and exported."""

import copy
import dataclasses
import io
import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.data import SyntheticSaliency
from chapters_code.outputs import logits
from chapters_code.receptive_field import receptive_field
from chapters_code.train import fit
from chapters_code.train.evaluate import evaluate
from chapters_code.train.losses import binary_cross_entropy, deep_supervision
from chapters_code.train.recipes import build_network, datasets, recipe
from chapters_code.u2net import RSU, Stage, U2Net, load_official, u2net, u2netp
from every_layer import MapThatCounts, settled
from grids import every

BOTH = pytest.mark.parametrize("make", [u2net, u2netp])


# ---- the paper's network, straight down ----------------------------------------------------------
# With the names that the authors' checkpoints use.  Nothing is counted or looped over, so that no slip is shared.


class Rebnconv(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return functional.relu(self.bn_s1(self.conv_s1(x)))


def pool(x):
    """Halve, and round up."""
    return functional.max_pool2d(functional.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2), value=-math.inf), 2)


def beside(x, other):
    """Enlarge x to the size of the other map, and lay them on each other."""
    large = functional.interpolate(x, size=other.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat([large, other], 1)


class RSU7(nn.Module):
    def __init__(self, into: int, mid: int, out: int) -> None:
        super().__init__()
        self.rebnconvin = Rebnconv(into, out)
        self.rebnconv1 = Rebnconv(out, mid)
        self.rebnconv2 = Rebnconv(mid, mid)
        self.rebnconv3 = Rebnconv(mid, mid)
        self.rebnconv4 = Rebnconv(mid, mid)
        self.rebnconv5 = Rebnconv(mid, mid)
        self.rebnconv6 = Rebnconv(mid, mid)
        self.rebnconv7 = Rebnconv(mid, mid, 2)
        self.rebnconv6d = Rebnconv(mid * 2, mid)
        self.rebnconv5d = Rebnconv(mid * 2, mid)
        self.rebnconv4d = Rebnconv(mid * 2, mid)
        self.rebnconv3d = Rebnconv(mid * 2, mid)
        self.rebnconv2d = Rebnconv(mid * 2, mid)
        self.rebnconv1d = Rebnconv(mid * 2, out)

    def forward(self, x):
        x0 = self.rebnconvin(x)
        x1 = self.rebnconv1(x0)
        x2 = self.rebnconv2(pool(x1))
        x3 = self.rebnconv3(pool(x2))
        x4 = self.rebnconv4(pool(x3))
        x5 = self.rebnconv5(pool(x4))
        x6 = self.rebnconv6(pool(x5))
        x7 = self.rebnconv7(x6)
        y6 = self.rebnconv6d(torch.cat([x7, x6], 1))
        y5 = self.rebnconv5d(beside(y6, x5))
        y4 = self.rebnconv4d(beside(y5, x4))
        y3 = self.rebnconv3d(beside(y4, x3))
        y2 = self.rebnconv2d(beside(y3, x2))
        y1 = self.rebnconv1d(beside(y2, x1))
        return y1 + x0


class RSU6(nn.Module):
    def __init__(self, into: int, mid: int, out: int) -> None:
        super().__init__()
        self.rebnconvin = Rebnconv(into, out)
        self.rebnconv1 = Rebnconv(out, mid)
        self.rebnconv2 = Rebnconv(mid, mid)
        self.rebnconv3 = Rebnconv(mid, mid)
        self.rebnconv4 = Rebnconv(mid, mid)
        self.rebnconv5 = Rebnconv(mid, mid)
        self.rebnconv6 = Rebnconv(mid, mid, 2)
        self.rebnconv5d = Rebnconv(mid * 2, mid)
        self.rebnconv4d = Rebnconv(mid * 2, mid)
        self.rebnconv3d = Rebnconv(mid * 2, mid)
        self.rebnconv2d = Rebnconv(mid * 2, mid)
        self.rebnconv1d = Rebnconv(mid * 2, out)

    def forward(self, x):
        x0 = self.rebnconvin(x)
        x1 = self.rebnconv1(x0)
        x2 = self.rebnconv2(pool(x1))
        x3 = self.rebnconv3(pool(x2))
        x4 = self.rebnconv4(pool(x3))
        x5 = self.rebnconv5(pool(x4))
        x6 = self.rebnconv6(x5)
        y5 = self.rebnconv5d(torch.cat([x6, x5], 1))
        y4 = self.rebnconv4d(beside(y5, x4))
        y3 = self.rebnconv3d(beside(y4, x3))
        y2 = self.rebnconv2d(beside(y3, x2))
        y1 = self.rebnconv1d(beside(y2, x1))
        return y1 + x0


class RSU5(nn.Module):
    def __init__(self, into: int, mid: int, out: int) -> None:
        super().__init__()
        self.rebnconvin = Rebnconv(into, out)
        self.rebnconv1 = Rebnconv(out, mid)
        self.rebnconv2 = Rebnconv(mid, mid)
        self.rebnconv3 = Rebnconv(mid, mid)
        self.rebnconv4 = Rebnconv(mid, mid)
        self.rebnconv5 = Rebnconv(mid, mid, 2)
        self.rebnconv4d = Rebnconv(mid * 2, mid)
        self.rebnconv3d = Rebnconv(mid * 2, mid)
        self.rebnconv2d = Rebnconv(mid * 2, mid)
        self.rebnconv1d = Rebnconv(mid * 2, out)

    def forward(self, x):
        x0 = self.rebnconvin(x)
        x1 = self.rebnconv1(x0)
        x2 = self.rebnconv2(pool(x1))
        x3 = self.rebnconv3(pool(x2))
        x4 = self.rebnconv4(pool(x3))
        x5 = self.rebnconv5(x4)
        y4 = self.rebnconv4d(torch.cat([x5, x4], 1))
        y3 = self.rebnconv3d(beside(y4, x3))
        y2 = self.rebnconv2d(beside(y3, x2))
        y1 = self.rebnconv1d(beside(y2, x1))
        return y1 + x0


class RSU4(nn.Module):
    def __init__(self, into: int, mid: int, out: int) -> None:
        super().__init__()
        self.rebnconvin = Rebnconv(into, out)
        self.rebnconv1 = Rebnconv(out, mid)
        self.rebnconv2 = Rebnconv(mid, mid)
        self.rebnconv3 = Rebnconv(mid, mid)
        self.rebnconv4 = Rebnconv(mid, mid, 2)
        self.rebnconv3d = Rebnconv(mid * 2, mid)
        self.rebnconv2d = Rebnconv(mid * 2, mid)
        self.rebnconv1d = Rebnconv(mid * 2, out)

    def forward(self, x):
        x0 = self.rebnconvin(x)
        x1 = self.rebnconv1(x0)
        x2 = self.rebnconv2(pool(x1))
        x3 = self.rebnconv3(pool(x2))
        x4 = self.rebnconv4(x3)
        y3 = self.rebnconv3d(torch.cat([x4, x3], 1))
        y2 = self.rebnconv2d(beside(y3, x2))
        y1 = self.rebnconv1d(beside(y2, x1))
        return y1 + x0


class RSU4F(nn.Module):
    def __init__(self, into: int, mid: int, out: int) -> None:
        super().__init__()
        self.rebnconvin = Rebnconv(into, out)
        self.rebnconv1 = Rebnconv(out, mid)
        self.rebnconv2 = Rebnconv(mid, mid, 2)
        self.rebnconv3 = Rebnconv(mid, mid, 4)
        self.rebnconv4 = Rebnconv(mid, mid, 8)
        self.rebnconv3d = Rebnconv(mid * 2, mid, 4)
        self.rebnconv2d = Rebnconv(mid * 2, mid, 2)
        self.rebnconv1d = Rebnconv(mid * 2, out)

    def forward(self, x):
        x0 = self.rebnconvin(x)
        x1 = self.rebnconv1(x0)
        x2 = self.rebnconv2(x1)
        x3 = self.rebnconv3(x2)
        x4 = self.rebnconv4(x3)
        y3 = self.rebnconv3d(torch.cat([x4, x3], 1))
        y2 = self.rebnconv2d(torch.cat([y3, x2], 1))
        y1 = self.rebnconv1d(torch.cat([y2, x1], 1))
        return y1 + x0


# The two columns of the paper's table: (in, mid, out) of En_1 to En_6 and De_5 to De_1, and the widths under side 1..6.
TABLE = {
    u2net: (
        [(3, 32, 64), (64, 32, 128), (128, 64, 256), (256, 128, 512), (512, 256, 512), (512, 256, 512)],
        [(1024, 256, 512), (1024, 128, 256), (512, 64, 128), (256, 32, 64), (128, 16, 64)],
        (64, 64, 128, 256, 512, 512),
    ),
    u2netp: ([(3, 16, 64), *[(64, 16, 64)] * 5], [(128, 16, 64)] * 5, (64,) * 6),
}


class Reference(nn.Module):
    """Gives logits, in the authors' order: the fused map, side 1, ..., side 6."""

    def __init__(self, make) -> None:
        super().__init__()
        down, up, sides = TABLE[make]
        self.stage1 = RSU7(*down[0])
        self.stage2 = RSU6(*down[1])
        self.stage3 = RSU5(*down[2])
        self.stage4 = RSU4(*down[3])
        self.stage5 = RSU4F(*down[4])
        self.stage6 = RSU4F(*down[5])
        self.stage5d = RSU4F(*up[0])
        self.stage4d = RSU4(*up[1])
        self.stage3d = RSU5(*up[2])
        self.stage2d = RSU6(*up[3])
        self.stage1d = RSU7(*up[4])
        self.side1 = nn.Conv2d(sides[0], 1, 3, padding=1)
        self.side2 = nn.Conv2d(sides[1], 1, 3, padding=1)
        self.side3 = nn.Conv2d(sides[2], 1, 3, padding=1)
        self.side4 = nn.Conv2d(sides[3], 1, 3, padding=1)
        self.side5 = nn.Conv2d(sides[4], 1, 3, padding=1)
        self.side6 = nn.Conv2d(sides[5], 1, 3, padding=1)
        self.outconv = nn.Conv2d(6, 1, 1)

    def forward(self, x):
        x1 = self.stage1(x)
        x2 = self.stage2(pool(x1))
        x3 = self.stage3(pool(x2))
        x4 = self.stage4(pool(x3))
        x5 = self.stage5(pool(x4))
        x6 = self.stage6(pool(x5))
        y5 = self.stage5d(beside(x6, x5))
        y4 = self.stage4d(beside(y5, x4))
        y3 = self.stage3d(beside(y4, x3))
        y2 = self.stage2d(beside(y3, x2))
        y1 = self.stage1d(beside(y2, x1))
        maps = (
            self.side1(y1),
            self.side2(y2),
            self.side3(y3),
            self.side4(y4),
            self.side5(y5),
            self.side6(x6),
        )
        maps = [functional.interpolate(one, size=x.shape[2:], mode="bilinear", align_corners=False) for one in maps]
        return self.outconv(torch.cat(maps, 1)), *maps


def shaken(network: nn.Module) -> nn.Module:
    """Draw all that a normalisation starts with as 0 or 1, so that an exchange of any two shows."""
    settled(network)  # first the size of the numbers, or they fade away
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean += 0.3 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= 0.5 + torch.rand_like(norm.running_var)
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_(std=0.3)
    return network


@pytest.fixture(scope="module")
def references():
    """Both networks of the paper in float64, as if trained; not to be changed."""
    torch.manual_seed(0)
    return {make: shaken(Reference(make)).double().eval() for make in (u2net, u2netp)}


def picture(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 3) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]


# ---- the same network ----------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "whole", "idle"), [(u2net, 44_009_869, 14_400), (u2netp, 1_131_181, 2_848)])
def test_parameters_are_the_published_ones(make, whole, idle):
    """119 convolutions; but for the seven of the maps, each has a bias that its normalisation takes away again."""
    with torch.device("meta"):
        network, reference = make(), Reference(make)
    convolutions = [one for one in network.modules() if isinstance(one, nn.Conv2d)]

    assert parameters(network) == parameters(reference) == whole
    assert len(convolutions) == 119
    assert sum(one.bias.numel() for one in convolutions) - 7 == idle
    assert len(norms(network)) == 112


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "sizes"),
    [(u2netp, [(33, 47), (70, 101), (1, 1), (1, 40), (31, 3), (64, 96)]), (u2net, [(33, 47)])],
    ids=["u2netp", "u2net"],
)
def test_loaded_with_the_references_weights_all_seven_maps_are_its_own(references, make, sizes):
    reference, ours = references[make], make().double().eval()
    assert load_official(ours, reference.state_dict()) is ours

    for size in sizes:
        x = picture(1, 3, *size, dtype=torch.float64)
        with torch.no_grad():
            given, expected = ours(x), reference(x)
        assert isinstance(given, tuple) and len(given) == 7
        for one, other in zip(given, expected, strict=True):
            assert one.shape == (1, 1, *size)
            assert_close(one, other, rtol=1e-9, atol=1e-9)
        if min(size) > 30:  # no two maps are alike, and none is flat
            flat = torch.stack([one.flatten() for one in given])
            assert torch.pdist(flat).min() > 0.1 and flat.std(1).min() > 1e-3


def test_in_training_it_is_the_reference_too(references):
    """Values, gradients, and the running means and variances that a step leaves behind."""
    reference = copy.deepcopy(references[u2netp]).train()
    ours = load_official(u2netp().double(), reference.state_dict()).train()
    x = picture(2, 3, 41, 34, dtype=torch.float64)

    given, expected = ours(x), reference(x)
    assert_close(given, expected)

    for maps in (given, expected):
        sum(weight * one.square().mean() for weight, one in enumerate(maps, start=1)).backward()
    after = load_official(u2netp().double(), reference.state_dict())
    assert_close(dict(ours.state_dict()), dict(after.state_dict()))
    # Gradients have the names and shapes of the weights, and so are translated like them.
    gradients = {name: weight.grad for name, weight in reference.named_parameters()}
    translated = load_official(u2netp().double(), reference.state_dict() | gradients)
    for (name, weight), expected in zip(ours.named_parameters(), translated.parameters(), strict=True):
        assert_close(weight.grad, expected.data, rtol=1e-6, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


def official_names() -> set[str]:
    """Every key of a published file, by the grammar of its names."""
    heights = {"1": 7, "2": 6, "3": 5, "4": 4, "5": 4, "6": 4} | {"5d": 4, "4d": 4, "3d": 5, "2d": 6, "1d": 7}
    blocks = [
        f"stage{stage}.rebnconv{place}"
        for stage, height in heights.items()
        for place in ["in", *range(1, height + 1), *(f"{depth}d" for depth in range(1, height))]
    ]
    numbers = ["running_mean", "running_var", "num_batches_tracked"]
    names = {f"{block}.conv_s1.{kind}" for block in blocks for kind in ("weight", "bias")}
    names |= {f"{block}.bn_s1.{kind}" for block in blocks for kind in ("weight", "bias", *numbers)}
    heads = ["outconv", *(f"side{number}" for number in range(1, 7))]
    return names | {f"{head}.{kind}" for head in heads for kind in ("weight", "bias")}


@pytest.mark.slow
@BOTH
def test_the_names_are_those_of_the_published_files(references, make):
    names = official_names()
    assert len(names) == 112 * 7 + 7 * 2 == 798
    assert references[make].state_dict().keys() == names
    with torch.device("meta"):
        load_official(make(), dict(Reference(make).state_dict()))


def test_weights_in_a_wrapper_are_loaded(references):
    """Saved on several devices, compiled, inside a checkpoint, or by a PyTorch that did not count batches."""
    state = references[u2netp].state_dict()
    plain = load_official(u2netp(), state)
    prefixed = {f"module.{name}": value for name, value in state.items()}
    compiled = {"epoch": 3, "model": {f"_orig_mod.{name}": value for name, value in prefixed.items()}}
    uncounted = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}

    for one in (prefixed, compiled):
        other = load_official(u2netp(), one)
        assert_close(dict(other.state_dict()), dict(plain.state_dict()), rtol=0, atol=0)
    other = load_official(u2netp(), {"state_dict": uncounted})
    assert_close(dict(other.named_parameters()), dict(plain.named_parameters()), rtol=0, atol=0)
    for (name, ours), counted in zip(other.named_buffers(), plain.buffers(), strict=True):
        assert_close(ours, torch.tensor(0) if name.endswith("num_batches_tracked") else counted, rtol=0, atol=0)
    assert set(prefixed) == {f"module.{name}" for name in official_names()}, "what was given is left alone"


def without(state):
    del state["stage3d.rebnconv2d.bn_s1.running_var"]


def with_more(state):
    state["stage7.rebnconvin.conv_s1.weight"] = torch.zeros(1)


def renamed(state):
    state["module.fc.weight"] = state.pop("side4.weight")


def reshaped(state):
    state["side6.weight"] = state["side6.weight"][:, :-1]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without, r"6 stages .* 1 are missing \(stage3d\.rebnconv2d\.bn_s1\.running_var\), 0 are unknown \(none\)"),
        (with_more, r"0 are missing \(none\), 1 are unknown \(stage7\.rebnconvin\.conv_s1\.weight\)"),
        (renamed, r"1 are missing \(side4\.weight\), 1 are unknown \(module\.fc\.weight\)"),
        (reshaped, r"side6\.weight has shape \(1, 63, 3, 3\), this network wants \(1, 64, 3, 3\): load u2net\.pth"),
        (dict.clear, "686 are missing"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_and_changes_nothing(references, spoil, said):
    state = dict(references[u2netp].state_dict())
    spoil(state)
    network = u2netp()
    before = copy.deepcopy(network.state_dict())

    with pytest.raises(ValueError, match=said):
        load_official(network, state)

    assert_close(dict(network.state_dict()), dict(before), rtol=0, atol=0)


def test_the_other_networks_file_is_refused(references):
    with pytest.raises(ValueError, match=r"has shape \(.*, this network wants \(.*u2netp\.pth into u2netp\(\)"):
        load_official(u2netp(), references[u2net].state_dict())
    with torch.device("meta"), pytest.raises(ValueError, match=r"this network wants"):
        load_official(u2net(), references[u2netp].state_dict())
    with pytest.raises(ValueError, match="798 are unknown"), torch.device("meta"):
        load_official(u2netp(), {f"net.{name}": value for name, value in references[u2netp].state_dict().items()})


# ---- RSU of any height ---------------------------------------------------------------------------


def recorded(block: RSU, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Run it, and note what each of its parts gave; `out` is what it gave itself."""
    seen = {}

    def note(name):
        return lambda module, given, result: seen.update({name: result.clone()})

    parts = [(name, part) for name, part in block.named_modules() if isinstance(part, nn.Sequential)]
    handles = [part.register_forward_hook(note(name)) for name, part in parts]
    with torch.no_grad():
        seen["out"] = block(x)
    for handle in handles:
        handle.remove()
    return seen


@every(dilated=[False, True], height=range(2, 9))
def test_an_rsu_of_any_height_keeps_the_size_and_halves_as_often_as_it_should(height, dilated):
    """A height of L: L convolutions down, L − 1 up, one in front; L − 2 halvings, or none."""
    block = RSU(height, 3, 2, 5, dilated).eval()
    for size in [(33, 47), (70, 101), (1, 1), (1, 9), (16, 8)]:
        seen = recorded(block, picture(2, 3, *size))
        assert len(seen) == 2 * height + 1
        assert seen["out"].shape == seen["first"].shape == (2, 5, *size)
        for depth in range(height):
            halvings = 0 if dilated else min(depth, height - 2)
            small = tuple(math.ceil(side / 2**halvings) for side in size)
            assert seen[f"down.{depth}"].shape == (2, 2, *small)
            if depth < height - 1:
                assert seen[f"up.{depth}"].shape == (2, 2 if depth else 5, *small)


@pytest.mark.parametrize("height", range(2, 9))
def test_the_dilations_of_an_rsu(height):
    """Pooled, only the bottom has 2; dilated, 1, 2, 4 and so on to the bottom, and back."""

    def rates(block):
        walk = [block.first, *block.down, *reversed(block.up)]
        assert all(one[0].padding == one[0].dilation and one[0].kernel_size == (3, 3) for one in walk)
        return [one[0].dilation[0] for one in walk]

    down = [2**depth for depth in range(height)]
    assert rates(RSU(height, 3, 2, 5)) == [1] * height + [2] + [1] * (height - 1)
    assert rates(RSU(height, 3, 2, 5, dilated=True)) == [1, *down, *down[-2::-1]]
    if height == 4:
        assert down + down[-2::-1] == [1, 2, 4, 8, 4, 2, 1]


@pytest.mark.parametrize("dilated", [False, True])
def test_without_its_u_only_the_first_convolution_is_left(dilated):
    """U(F₁(x)) + F₁(x), where the last convolution of U gives 0."""
    block = shaken(RSU(4, 3, 2, 5, dilated)).double().eval()
    x = picture(2, 3, 13, 22, dtype=torch.float64)
    seen = recorded(block, x)
    assert_close(seen["out"], seen["up.0"] + seen["first"], rtol=0, atol=0)
    assert seen["up.0"].any()

    last = block.up[0][1]
    last.weight.data.zero_(), last.bias.data.zero_()

    convolution, norm, _ = block.first
    scaled = norm.weight / (norm.running_var + norm.eps).sqrt()
    first = functional.conv2d(x, convolution.weight, convolution.bias, padding=1) - norm.running_mean[:, None, None]
    expected = (first * scaled[:, None, None] + norm.bias[:, None, None]).clamp_min(0)
    with torch.no_grad():
        assert_close(block(x), expected)


def test_a_dilated_rsu_sees_as_far_as_its_dilations_add_up():
    """Two pixels for each step of each dilation: 1, then 1, 2, 4, 8, 4, 2, 1, so 47 on a side."""
    field = receptive_field(RSU(4, 3, 2, 5, dilated=True), (60, 70))
    assert field.size == (47, 47) == (1 + 2 * (1 + 1 + 2 + 4 + 8 + 4 + 2 + 1),) * 2
    assert field.stride == (1, 1)


@pytest.mark.parametrize("named", ["height", "in_channels", "mid_channels", "out_channels"])
def test_an_rsu_is_made_of_integers(named):
    for wrong in (1 if named == "height" else 0, -3, 2.0, True, None):
        with pytest.raises(ValueError, match=f"{named} must be an integer of {1 + (named == 'height')} or more"):
            RSU(**{"height": 4, "in_channels": 3, "mid_channels": 2, "out_channels": 5} | {named: wrong})


# ---- a U of them ---------------------------------------------------------------------------------

ENCODER, DECODER = (Stage(3, 2, 4), Stage(2, 3, 5), Stage(2, 2, 6, dilated=True)), (Stage(3, 3, 7), Stage(2, 2, 8))


def small(**settings: int) -> U2Net:
    torch.manual_seed(4)
    return shaken(U2Net(ENCODER, DECODER, **settings)).eval()


def test_a_network_of_any_table_is_built():
    """Widths all different: what comes in is what comes from below, and what was kept."""
    torch.manual_seed(4)
    network = U2Net(ENCODER, DECODER, in_channels=2, num_classes=3).eval()
    comes_in = [block.first[0].in_channels for block in (*network.encoder, *network.decoder)]
    assert comes_in == [2, 4, 5, 8 + 4, 6 + 5]
    assert [head.in_channels for head in network.sides] == [7, 8, 6]
    maps = network(picture(2, 2, 9, 14))
    assert [one.shape for one in maps] == [(2, 3, 9, 14)] * 4


def test_the_fused_map_is_one_convolution_of_the_sides():
    network = small(num_classes=2)
    fused, *sides = network(picture(1, 3, 21, 10))
    weight, bias = network.merge.weight[:, :, 0, 0], network.merge.bias
    assert_close(fused, torch.einsum("kc,ncij->nkij", weight, torch.cat(sides, 1)) + bias[:, None, None])


def test_the_sides_go_from_fine_to_coarse():
    """A side map of level d is enlarged 2^d times: between its cells it is a straight line."""
    _, *sides = small()(picture(1, 3, 64, 48))
    for level, side in enumerate(sides):
        bends = side[..., 2:] - 2 * side[..., 1:-1] + side[..., :-2]
        share = (bends.abs() > 1e-5).float().mean().item()
        assert (share > 0.9) if level == 0 else abs(share - 2 ** (1 - level)) < 0.1


@pytest.mark.parametrize(
    ("encoder", "decoder", "said"),
    [
        (ENCODER, DECODER[:1], r"one block fewer than the encoder.*got 3 on the way down and 1 on the way up"),
        (ENCODER, (*DECODER, Stage(2, 2, 2)), "got 3 on the way down and 3 on the way up"),
        (ENCODER[:1], (), "at least one; got 1 on the way down and 0 on the way up"),
        ((), (), "got 0 on the way down"),
        ((Stage(1, 2, 4), *ENCODER[1:]), DECODER, "height must be an integer of 2 or more, got 1"),
        ((*ENCODER[:2], Stage(2, 0, 4)), DECODER, "mid_channels must be an integer"),
    ],
)
def test_a_table_that_cannot_be_built_is_refused(encoder, decoder, said):
    with pytest.raises(ValueError, match=said):
        U2Net(encoder, decoder)


@pytest.mark.parametrize("make", [u2net, u2netp, lambda *settings: U2Net(ENCODER, DECODER, *settings)])
def test_channels_and_classes_are_integers(make):
    with torch.device("meta"):
        for wrong in (0, -1, 1.5):
            with pytest.raises(ValueError, match="in_channels must be an integer of 1 or more"):
                make(wrong)
            with pytest.raises(ValueError, match="num_classes must be an integer of 1 or more"):
                make(3, wrong)


@pytest.mark.parametrize("fused", [False, True])
def test_pictures_of_another_form_are_refused(fused):
    network = small().fuse() if fused else small()
    for wrong, said in [
        (torch.zeros(1, 4, 20, 20), "3 channels"),
        (torch.zeros(20, 20), r"must have shape \(N, C, H, W\)"),
        (torch.zeros(1, 3, 0, 20), "no pixels"),
        ([[0.0]], "must be a torch.Tensor, got list"),
        (torch.zeros(3, 20, 20), "got 3D input|same number of spatial dimensions"),
    ]:
        for module in (network, network.encoder[0]):
            with pytest.raises((ValueError, RuntimeError), match=said):
                module(wrong)


# ---- training ------------------------------------------------------------------------------------


def test_one_small_picture_cannot_be_trained_on():
    """Batch normalisation needs two values: more than 32 pixels on a side, or two pictures."""
    network = u2netp().train()
    with torch.no_grad():
        for size in [(32, 32), (1, 20)]:
            with pytest.raises(ValueError, match="more than 1 value per channel"):
                network(picture(1, 3, *size))
        for shape in [(1, 3, 33, 5), (1, 3, 5, 33), (2, 3, 32, 7), (2, 3, 1, 1)]:
            assert len(network(picture(*shape))) == 7


def test_the_seven_losses_reach_every_weight_but_the_biases_before_a_norm():
    torch.manual_seed(2)
    network = u2netp().double().train()
    target = (picture(2, 40, 52, seed=8) > 0).long()
    maps = network(picture(2, 3, 40, 52, dtype=torch.float64))
    loss = deep_supervision(maps, target, binary_cross_entropy)
    assert len(maps) == 7
    assert_close(loss, sum(binary_cross_entropy(one, target) for one in maps))

    loss.backward()

    idle = {f"{name}.0.bias" for name, part in network.named_modules() if isinstance(part, nn.Sequential)}
    assert len(idle) == 112
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        largest = weight.grad.abs().max()
        assert (largest < 1e-12) if name in idle else (largest > 1e-9), name


def test_without_the_side_losses_the_deepest_map_has_another_gradient():
    """By way of the fused map alone its head learns what is asked of the sum, not of itself."""
    target = (picture(2, 24, 40, seed=8) > 0).long()
    gradients = []
    for outputs in (slice(0, 1), slice(None), slice(3, 4)):
        network = small().train()
        deep_supervision(network(picture(2, 3, 24, 40))[outputs], target, binary_cross_entropy).backward()
        gradients.append(network.sides[2].weight.grad)
    fused, all_four, own = gradients
    assert_close(all_four, fused + own)
    assert own.any() and fused.any()


@pytest.mark.slow
def test_the_smoke_recipe_trains_it(tmp_path):
    plan = dataclasses.replace(recipe("u2net", "smoke"), epochs=1)
    network = build_network(plan)
    record = fit(network, plan, *datasets(plan), tmp_path, progress=False)

    assert record["network"] == {"name": "U2Net", "parameters": 1_131_181}
    (epoch,) = record["epochs"]
    assert 1 < epoch["loss"] < 7 * math.log(2), "seven maps, better on average than blind guesses"
    assert 0 < record["scores"]["global_max_f"] <= 1


class FirstSide(nn.Module):
    def __init__(self, network: U2Net) -> None:
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)[1]


def test_the_fused_map_is_scored():
    scenes = SyntheticSaliency(count=2, size=(33, 46))
    network = small()
    scores = evaluate(network, scenes, "saliency").scores()
    assert scores == evaluate(MapThatCounts(network), scenes, "saliency").scores()
    assert scores != evaluate(FirstSide(network), scenes, "saliency").scores()

    x = picture(1, 3, 20, 20)
    maps = network(x)
    assert logits(maps) is maps[0]


# ---- fused and exported --------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
def test_fused_it_is_the_same_in_evaluation(references, training):
    """In float64: float32 alone moves these logits, some in the hundreds, by up to 2e-3, fused or not."""
    network = load_official(u2netp().double(), references[u2netp].state_dict()).train(training)
    before = copy.deepcopy(network.state_dict())
    x = picture(2, 3, 37, 50, dtype=torch.float64)

    fused = network.fuse()

    assert not norms(fused) and not any(part.training for part in fused.modules())
    assert sum(isinstance(part, nn.Conv2d) for part in fused.modules()) == 119
    assert all(part.training == training for part in network.modules())
    assert len(norms(network)) == 112
    with torch.no_grad():
        assert_close(fused(x), network.eval()(x), rtol=1e-9, atol=1e-9)
        for weight in fused.parameters():
            weight.zero_()
    assert_close(dict(network.state_dict()), dict(before), rtol=0, atol=0)


def test_fused_twice_is_fused_once():
    once, x = small().fuse(), picture(1, 3, 11, 8)
    assert_close(once.fuse()(x), once(x), rtol=0, atol=0)


def test_a_checkpoint_is_not_loaded_into_a_fused_network(references):
    fused = load_official(u2netp(), references[u2netp].state_dict()).fuse()
    with pytest.raises(ValueError, match="0 are missing .* 560 are unknown"):
        load_official(fused, references[u2netp].state_dict())


@pytest.mark.slow
def test_exported_to_onnx_another_engine_gives_the_same_maps():
    """A network of few blocks, as the export takes a while for each; with open sizes any picture goes in.

    Not fused, too: that is the same without the normalisations, and equals it, as a test above says.
    """
    for needed in ("onnx", "onnxscript"):
        pytest.importorskip(needed)
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(4)
    network = shaken(U2Net([Stage(3, 3, 4), Stage(2, 3, 4, dilated=True)], [Stage(2, 3, 4)])).eval()
    side = torch.export.Dim
    shapes = ({0: side("n"), 2: side("h", min=2), 3: side("w", min=2)},)
    # An open batch size is asked for with two pictures: a 1 would be taken for a constant.
    x = picture(2, 3, 64, 96)
    program = torch.onnx.export(network, (x,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())

    for other in (x, picture(1, 3, 33, 47), picture(3, 3, 5, 8)):
        given = [torch.from_numpy(one) for one in session.run(None, {session.get_inputs()[0].name: other.numpy()})]
        with torch.no_grad():
            assert_close(given, list(network(other)), rtol=1e-5, atol=1e-5)

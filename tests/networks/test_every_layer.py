"""Every layer and network of the package keeps the same promises; and each promise can be broken."""

import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from every_layer import CHECKS, LAYERS, REFUSAL, Layer
from grids import every


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@every(check=CHECKS)
def test_every_layer_keeps_its_promises(layer, check):
    torch.manual_seed(1)
    check(layer)


# ---- layers that break one promise each ----------------------------------------------------------


class Faulty(nn.Module):
    """Halves H and W, rounded up, by a convolution; a fault is put in front of it or behind."""

    def __init__(self, before=lambda x: x, after=lambda x: x):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, 2, 1)
        self.before, self.after = before, after

    def forward(self, x):
        return self.after(self.convolution(self.before(x)))


class Forgets(nn.Module):
    """What it starts with is neither a parameter nor a buffer."""

    def __init__(self):
        super().__init__()
        self.convolution, self.scale = nn.Conv2d(3, 3, 3, 2, 1), torch.rand(()).item()

    def forward(self, x):
        return self.scale * self.convolution(x)


class Idles(Faulty):
    """Has a weight that does nothing."""

    def __init__(self):
        super().__init__()
        self.idle = nn.Parameter(torch.ones(3))


class Broadcasts(nn.Module):
    """Takes whatever can be broadcast."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 3, 1, 1))

    def forward(self, x):
        return (x * self.weight)[..., ::2, ::2]


def ignores_strides(x):
    return torch.as_strided(x, x.shape, torch.empty(x.shape).stride())


def takes_the_first_channel(x):
    return x[:, :1].expand(-1, 3, -1, -1) if x.dim() == 4 else x


def cuts_fractions(x):
    return functional.avg_pool2d(x.double(), 2, ceil_mode=True).to(x.dtype)


class Plain(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


FAULTS = [
    ("sizes", "swaps H and W", lambda: Faulty(after=lambda y: y.mT)),
    ("sizes", "drops the rest", lambda: Faulty(before=lambda x: x[..., : x.shape[-2] // 2 * 2, :])),
    ("sizes", "is infinite", lambda: Faulty(after=lambda y: y / 0)),
    ("gradients", "hides its gradient", lambda: Faulty(after=lambda y: y + y.square().detach())),
    ("gradients", "has an idle weight", Idles),
    ("dtypes", "computes in float32", lambda: Faulty(after=lambda y: y.float())),
    ("dtypes", "loses digits", lambda: Faulty(after=lambda y: y + 0.2 * (y.dtype == torch.float32))),
    ("memory_formats", "writes into its input", lambda: Faulty(before=lambda x: x.relu_())),
    ("memory_formats", "reads memory as it lies", lambda: Faulty(before=ignores_strides)),
    ("compiled", "looks at numbers", lambda: Faulty(after=lambda y: y * float(y.sum() > 0))),
    ("saved", "forgets a number", Forgets),
    ("saved", "cannot be pickled", lambda: Faulty(after=lambda y: y)),
    ("modes", "mixes the pictures", lambda: Faulty(before=lambda x: x - x.mean(0))),
    ("modes", "rolls dice", lambda: Faulty(after=functional.dropout)),
    ("modes", "knows the order", lambda: Faulty(after=lambda y: y.cumsum(0))),
    ("wrong_shapes", "takes any rank", Broadcasts),
    ("wrong_shapes", "takes any channels", lambda: Faulty(before=takes_the_first_channel)),
    ("empty_batch", "invents a picture", lambda: Faulty(before=lambda x: x if len(x) else x.new_zeros(1, 3, 14, 9))),
    ("integers", "cuts fractions off", lambda: Plain(cuts_fractions)),
    ("integers", "drops the phase", lambda: Faulty(before=lambda x: x.real if x.is_complex() else x)),
    ("nan", "swallows NaN", lambda: Faulty(before=torch.nan_to_num)),
]


@pytest.mark.parametrize(("check", "fault", "make"), FAULTS, ids=[fault for _, fault, _ in FAULTS])
def test_a_broken_promise_is_noticed(check, fault, make):
    torch.manual_seed(1)
    layer = Layer(fault, make, shrink=2)
    with pytest.raises((AssertionError, pytest.fail.Exception, AttributeError, pickle.PicklingError, *REFUSAL)):
        {one.__name__: one for one in CHECKS}[f"check_{check}"](layer)


@pytest.mark.parametrize("scale", [1, 3])
def test_a_layer_that_grows_by_another_factor_is_noticed(scale):
    layer = Layer("grows", lambda: nn.Upsample(scale_factor=scale), grow=2)
    with pytest.raises(AssertionError):
        {one.__name__: one for one in CHECKS}["check_sizes"](layer)


def test_a_setting_that_is_taken_is_noticed():
    layer = Layer("takes all", Faulty, shrink=2, refuses=(nn.Identity(),))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        {one.__name__: one for one in CHECKS}["check_settings"](layer)


def test_a_layer_without_faults_passes():
    """Else the faults above would prove nothing; it is refused by nothing but pickle, for its lambdas."""
    for check in CHECKS:
        if check.__name__ != "check_saved":
            torch.manual_seed(1)
            check(Layer("sound", Faulty, shrink=2))

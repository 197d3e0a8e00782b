"""What is put on another device computes there, and whoever is handed a network and a picture brings the picture to it.

No GPU is needed; two stand-ins take its place.

*Fake tensors* are PyTorch's: they say "cuda", have a shape and no numbers.  Every layer and network runs on them, and a
constant that stays behind on the CPU is refused as a GPU refuses it.  They need a PyTorch that was built for CUDA.

*Elsewhere* is ours, for all that looks at numbers or takes gradients: tensors that say they lie on another device and
compute in the memory of this one.  What a GPU refuses they refuse: another operand on the CPU, NumPy, and, as Apple's
GPUs do, float64.

Not covered: what the hardware does by itself (its rounding, bfloat16, which operators Apple lacks), several GPUs.
"""

import copy
import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, partial
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from chapters_code import cost, dilated, pooling, receptive_field, strided, train, transposed, wavelets
from chapters_code.aspp import ASPP, linear_form
from chapters_code.exercises.checking import Call, Wrong, compare
from chapters_code.fast import wavelets as fast_wavelets
from chapters_code.fcn import FCN
from chapters_code.hwd import HWDownsampling, as_kernel, as_mix
from chapters_code.metrics import ConfusionMatrix, CrackScores, SaliencyScores, crack_scores, cracks, min_max, saliency
from chapters_code.outputs import logits
from chapters_code.predict import predict_tiled, segment
from chapters_code.train import recipes
from chapters_code.train.checkpoints import Trained
from chapters_code.train.evaluate import evaluate
from chapters_code.train.losses import LOSSES, deep_supervision
from chapters_code.train.run import Run
from chapters_code.unet import UNet
from chapters_code.wavelets import wavedec2, waverec2
from every_layer import LAYERS
from experiments.cracks import WIDTHS, counts
from small_runs import PLAN, Made, one_by_one


@cache
def _built(layer):
    return layer.make().eval()


def build(layer):
    """Make a layer of the shared list; some take long, so what is made once is copied."""
    torch.manual_seed(1)
    return copy.deepcopy(_built(layer))


# ---- PyTorch's own stand-in: shapes on "cuda" ----------------------------------------------------
FAKE_CUDA = pytest.mark.skipif(
    not torch.backends.cuda.is_built(), reason="this PyTorch is built without CUDA, so its fake tensors know no cuda"
)


def on_cuda(module: nn.Module, fake: FakeTensorMode) -> Callable[[Tensor], Any]:
    """Return a module as it is when all its weights and buffers were moved to a GPU."""
    state = dict(module.named_parameters()) | dict(module.named_buffers())
    moved = {name: fake.from_tensor(one).detach().to("cuda") for name, one in state.items()}
    return lambda x: torch.func.functional_call(module, moved, x)


@pytest.mark.slow
@FAKE_CUDA
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_every_layer_computes_on_the_gpu_that_it_was_moved_to(layer):
    module, size = build(layer), (2, layer.in_channels, 14, 9)
    with FakeTensorMode() as fake:
        run = on_cuda(module, fake)
        out = run(torch.randn(size, device="cuda"))
        assert (out.device.type, out.shape) == ("cuda", (2, layer.out_channels, *layer.out_size(14, 9)))
        try:
            out = run(torch.randn(size))
        except RuntimeError as error:
            assert "device" in str(error)
        else:  # a layer that learns nothing may compute where the picture is
            assert out.device.type == "cpu"
            assert not list(module.parameters())


def of_recipes() -> dict[str, Callable[[], nn.Module]]:
    """Collect every network that a recipe of the book trains, each once, with random weights."""
    found = {}
    for name, sizes in recipes.RECIPES.items():
        for tier, plan in sizes.items():
            settings = {key: value for key, value in plan.network_settings.items() if key != "weights"}
            plan = dataclasses.replace(plan, network_settings=settings)
            found.setdefault((plan.network, str(settings)), (f"{name}, {tier}", partial(recipes.build_network, plan)))
    return dict(found.values())


NETWORKS = of_recipes() | {
    "FCN-16s": lambda: FCN(5, stride=16, upsample="fixed"),
    "FCN-8s": lambda: FCN(5, "mobilenet_v2", stride=8, upsample="depthwise"),
}


@pytest.mark.slow
@FAKE_CUDA
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_computes_on_the_gpu_and_refuses_a_picture_that_is_not_there(name):
    network = NETWORKS[name]().eval()
    with FakeTensorMode() as fake:
        run = on_cuda(network, fake)
        out = logits(run(torch.randn(1, 3, 70, 45, device="cuda")))
        assert (out.device.type, out.shape[-2:]) == ("cuda", (70, 45))
        with pytest.raises(RuntimeError, match="device"):
            run(torch.randn(1, 3, 70, 45))


# ---- our own stand-in: numbers on another device -------------------------------------------------
# PyTorch knows the name "lazy", no machine that tests this book has it, and autograd treats it like a CPU.
THERE = torch.device("lazy")
DOUBLE = (torch.float64, torch.complex128)


class Elsewhere(Tensor):
    """A tensor that says it lies on another device; its numbers are `here`."""

    @staticmethod
    def __new__(cls, here):
        if here.dtype in DOUBLE:
            raise TypeError(f"{THERE} has no double precision")
        return Tensor._make_wrapper_subclass(cls, here.shape, here.stride(), dtype=here.dtype, device=THERE)

    def __init__(self, here):
        self.here = here

    def __repr__(self):
        return f"Elsewhere({self.here})"

    def __tensor_flatten__(self):  # with this, and the next, module.to(...) exchanges the numbers in its parameters
        return ["here"], None

    @classmethod
    def __tensor_unflatten__(cls, parts, settings, size, stride):
        return cls(parts["here"])

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        return compute(operator, args, kwargs or {})


def compute(operator, args, kwargs):
    """Do an operation in the memory of this machine, and say of its results that they lie where the device would."""
    if operator.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
        with Machine():  # under inference_mode it comes in one piece; what it is made of has fewer forms
            return operator.decompose(*args, **kwargs)
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    there = [one for one in tensors if isinstance(one, Elsewhere)]
    copies = operator.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_)
    # A single number may come from the CPU, as for every GPU.
    if there and not copies and any(one.dim() for one in tensors if not isinstance(one, Elsewhere)):
        raise RuntimeError(f"{operator}: expected all tensors to be on the same device, found {THERE} and cpu")
    if there and kwargs.get("dtype") in DOUBLE:  # not even on the way home
        raise TypeError(f"{operator}: {THERE} has no double precision")
    target = kwargs.get("device")
    goes = bool(there) if target is None else torch.device(target).type == THERE.type
    if goes and target is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    args_here, kwargs_here = tree_map_only(Elsewhere, lambda one: one.here, (args, kwargs))
    out = operator(*args_here, **kwargs_here)
    if operator._schema.is_mutable and isinstance(out, Tensor):
        return args[0]  # what was written into
    return tree_map_only(Tensor, Elsewhere, out) if goes else out


class Machine(TorchDispatchMode):
    """A machine that has the other device, within."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return compute(operator, args, kwargs or {})


class Lists(TorchFunctionMode):
    """Make torch.tensor([...], device=...) in two steps, within: in one, it asks no mode."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.tensor and kwargs.get("device") == THERE:
            return function(*args, **kwargs | {"device": "cpu"}).to(THERE)
        return function(*args, **kwargs)


@pytest.fixture
def there():
    """A machine that has another device, and the device."""
    with Machine(), Lists():
        yield THERE


def moved(value):
    """Bring tensors to the other device, wherever in tuples, lists and dictionaries they are."""
    return tree_map_only(Tensor, lambda one: one.detach().to(THERE), value)


def home(value):
    """Bring results back, after a look that they were on the other device."""
    assert {one.device for one in tree_leaves(value) if isinstance(one, Tensor)} == {THERE}
    return tree_map_only(Tensor, lambda one: one.detach().cpu(), value)


def test_the_stand_in_refuses_what_a_gpu_refuses(there):
    """Else the tests below would prove nothing."""
    network = one_by_one().to(there)
    x = torch.randn(2, 3, 5, 7)
    with pytest.raises(RuntimeError, match="same device"):
        network(x)
    with pytest.raises(RuntimeError, match="same device"):
        x[0, 0] + x[0, 0].to(there)
    for home_in_one_step in ({}, {"device": "cpu"}):
        with pytest.raises(TypeError, match="double precision"):
            x.to(there).to(dtype=torch.float64, **home_in_one_step)
    with pytest.raises((TypeError, RuntimeError), match="numpy"):
        x.to(there).numpy()
    assert_close(home(network(x.to(there)) * torch.tensor(2.0)), 2 * copy.deepcopy(network).cpu()(x))


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_every_layer_gives_elsewhere_what_it_gives_here(layer, there):
    """Values and gradients; and nothing on the way is of double precision."""
    module, x = build(layer), torch.randn(2, layer.in_channels, 14, 9)
    found = []
    for device in ("cpu", there):
        module = module.to(device)
        picture = x.detach().to(device).requires_grad_()
        out = module(picture)
        out.square().sum().backward()
        found.append([out, picture.grad, *(weight.grad for weight in module.parameters())])
        module.zero_grad()
    assert_close(home(found[1]), found[0])  # not bit for bit: some layers have a quicker way for CPUs


KERNEL, BIAS, TURNED = torch.randn(6, 4, 3, 2), torch.randn(6), torch.randn(4, 6, 3, 2)
OPERATORS = {
    "max_pool2d_loops": lambda x, k, b, t: pooling.max_pool2d_loops(x, 3, 2, 1),
    "avg_pool2d_loops": lambda x, k, b, t: pooling.avg_pool2d_loops(x, 3, 2, 1),
    "max_pool2d": lambda x, k, b, t: pooling.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    "avg_pool2d": lambda x, k, b, t: pooling.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "windows": lambda x, k, b, t: pooling.windows(x, 3, 2, 1),
    "conv2d_loops": lambda x, k, b, t: strided.conv2d_loops(x, k, b, 2, 1),
    "conv2d": lambda x, k, b, t: strided.conv2d(x, k, b, 2, 1),
    "conv2d_matrix": lambda x, k, b, t: strided.conv2d_matrix(k, (9, 7), 2, 1),
    "space_to_depth": lambda x, k, b, t: strided.space_to_depth(x[..., :8, :6], 2),
    "as_pointwise": lambda x, k, b, t: strided.as_pointwise(k[..., :2, :2]),
    "blur": lambda x, k, b, t: strided.blur(x, 5, 2),
    "conv1d_dilated_loops": lambda x, k, b, t: dilated.conv1d_dilated_loops(x[:, :, 0], k[:, :, 0], 2, padding=3),
    "dilate_kernel": lambda x, k, b, t: dilated.dilate_kernel(k, (2, 3)),
    "conv2d_zero_stuffed": lambda x, k, b, t: dilated.conv2d_zero_stuffed(x, k, b, 2, 3),
    "conv2d_polyphase": lambda x, k, b, t: dilated.conv2d_polyphase(x, k, b, 2, 3),
    "conv_transpose2d_loops": lambda x, k, b, t: transposed.conv_transpose2d_loops(x, t, b, 2, 1),
    "conv_transpose2d_matrix": lambda x, k, b, t: transposed.conv_transpose2d_matrix(x, t, b, 2, 1),
    "conv_transpose2d_zero_inserted": lambda x, k, b, t: transposed.conv_transpose2d_zero_inserted(x, t, b, 2, 1),
    "phase_sums": lambda x, k, b, t: transposed.phase_sums(k, 2),
    "haar_dwt2": lambda x, k, b, t: list(wavelets.haar_dwt2(x)),
    "haar_idwt2": lambda x, k, b, t: wavelets.haar_idwt2([x, 2 * x, 3 * x, x - 1], (17, 13)),
    "haar_dwt2, fast": lambda x, k, b, t: list(fast_wavelets.haar_dwt2(x)),
    "haar_idwt2, fast": lambda x, k, b, t: fast_wavelets.haar_idwt2([x, 2 * x, 3 * x, x - 1], (17, 13)),
    "as_mix, as_kernel": lambda x, k, b, t: as_kernel(as_mix(k[..., :2, :2])),
    **{
        f"wavedec2, waverec2, {mode}": lambda x, k, b, t, mode=mode: waverec2(wavedec2(x, "db2", mode), "db2", mode)
        for mode in wavelets.MODES
    },
}


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_computes_where_its_picture_is(name, there):
    tensors = torch.randn(2, 4, 9, 7), KERNEL, BIAS, TURNED
    assert_close(home(OPERATORS[name](*moved(tensors))), OPERATORS[name](*tensors), rtol=0, atol=0)


# ---- losses and metrics: two tensors, which may lie apart ----------------------------------------
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_taken_where_logits_and_target_are_and_else_refused(name, there):
    shape = (2, 3 if name == "cross_entropy" else 1, 5, 7)
    target = torch.randint(0, 2, (2, 5, 7)).masked_fill(torch.rand(2, 5, 7) < 0.2, 255)
    maps, both = torch.randn(shape), []
    for device in ("cpu", there):
        one = maps.detach().to(device).requires_grad_()
        loss = deep_supervision([one, 2 * one], target.to(device), LOSSES[name])
        loss.backward()
        both.append([loss, one.grad])
    assert_close(home(both[1]), both[0])
    for one, other in ((maps.to(there), target), (maps, target.to(there))):
        with pytest.raises(ValueError, match=r"logits are on .* and the target on .*; target.to\(logits.device\)"):
            LOSSES[name](one, other)


PROBABILITIES, TRUTH = torch.rand(2, 9, 12), torch.randint(0, 2, (2, 9, 12))
METRICS = {
    "classes, by logits": (lambda: ConfusionMatrix(3), torch.randn(2, 3, 9, 12), TRUTH),
    "classes, by number": (lambda: ConfusionMatrix(2), 1 - TRUTH, TRUTH.masked_fill(PROBABILITIES < 0.1, 255)),
    "cracks": (CrackScores, PROBABILITIES, TRUTH.masked_fill(PROBABILITIES < 0.1, 255)),
    "saliency": (lambda: SaliencyScores(normalise=True), PROBABILITIES, TRUTH),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_count_on_any_device_and_what_lies_apart_is_counted_or_refused_in_words(name, there):
    make, prediction, target = METRICS[name]
    expected = make()
    expected.update(prediction, target)
    for one, other in ((there, there), (there, "cpu"), ("cpu", there)):
        metric = make()
        try:
            metric.update(prediction.to(one), target.to(other))
        except ValueError as error:
            assert one != other
            assert "move one to the other" in str(error)
            continue
        assert metric.scores() == expected.scores(), (one, other)
    again = make()
    again.load_state(expected.state().float().to(there))
    assert again.scores() == pytest.approx(expected.scores())


FUNCTIONS = {
    "crack_scores": lambda p, t: crack_scores(t.roll(1, 1), t, 1),
    "dilate": lambda p, t: cracks.dilate(p, 1.5),
    "local_width": lambda p, t: cracks.local_width(t),
    "min_max": lambda p, t: min_max(p[0]),
    "mae": lambda p, t: saliency.mae(p[0], t[0]),
    "max_f_measure": lambda p, t: saliency.max_f_measure(p[0], t[0]),
    "s_measure": lambda p, t: saliency.s_measure(p[0], t[0]),
    "e_measure": lambda p, t: saliency.e_measure(p[0], t[0], "adaptive"),
    "weighted_f_measure": lambda p, t: saliency.weighted_f_measure(p[0], t[0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_score_do_so_on_any_device(name, there):
    expected = FUNCTIONS[name](PROBABILITIES, TRUTH)
    found = FUNCTIONS[name](*moved((PROBABILITIES, TRUTH)))
    assert_close(home(found) if isinstance(found, Tensor) else found, expected)


# ---- a network there, pictures here --------------------------------------------------------------
@pytest.mark.parametrize("from_there", [False, True])
def test_tiles_go_to_the_network_and_their_maps_come_back(from_there, there):
    network, photo = UNet(widths=(4, 8)), torch.randn(3, 25, 38)
    settings = {"tile": (16, 20), "overlap": 4, "align": 2, "window": "hann"}
    expected = predict_tiled(network, photo, **settings)
    found = predict_tiled(network.to(there), photo.to(there) if from_there else photo, **settings)
    assert found.device.type == "cpu"
    assert_close(found, expected)


@pytest.mark.parametrize("resize", [None, (64, 96)])
def test_a_photograph_goes_to_the_network_that_is_asked(resize, there):
    plan = dataclasses.replace(recipes.recipe("unet", "smoke"), resize=resize)
    trained = Trained(UNet(widths=(4, 8)), plan, ("background", "crack"), "unet", "0" * 64)
    photo = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8)
    expected = segment(photo, trained)
    trained.network.to(there)
    found = segment(photo, trained)
    assert {found.labels.device.type, found.probability.device.type} == {"cpu"}
    assert_close(found.probability, expected.probability)


@pytest.mark.parametrize("task", ["classes", "cracks", "saliency"])
def test_pictures_go_to_the_network_that_is_scored(task, there):
    torch.manual_seed(0)
    network = nn.Conv2d(3, 2 if task == "classes" else 1, 3, padding=1)
    pictures = Made(2, void=task != "saliency")
    expected = evaluate(network, pictures, task, resize=(16, 20)).scores()
    assert evaluate(network.to(there), pictures, task, resize=(16, 20)).scores() == expected


def test_cracks_of_each_width_are_sought_where_the_network_is(there):
    network, pairs = one_by_one(), Made(2)
    kinds = [torch.bucketize(cracks.local_width(mask, 9), torch.tensor(WIDTHS)).byte() for _, mask in pairs]
    expected = counts(network, pairs, kinds)
    assert counts(network.to(there), pairs, kinds) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: UNet(widths=(4, 8), norm="group"),
        lambda: nn.Sequential(strided.BlurPool2d(), HWDownsampling(3, 4), nn.Conv2d(4, 2, 3)),
    ],
    ids=["U-Net", "fixed filters"],
)
def test_receptive_fields_are_those_of_the_network_wherever_it_is(make, there):
    torch.manual_seed(0)
    network, pictures = make(), torch.randn(2, 3, 40, 26)
    field = receptive_field.receptive_field(network, (40, 26), in_channels=3)
    shares = receptive_field.effective_receptive_field(network, pictures)
    price = cost.cost(network, 1, 3, 40, 26)
    network = network.to(there)
    assert {weight.device for weight in network.parameters()} == {there}

    again = receptive_field.receptive_field(network, (40, 26), in_channels=3)
    assert again[:3] == field[:3] and torch.equal(again.touched, field.touched)
    assert cost.cost(network, 1, 3, 40, 26) == price
    for one in (pictures, pictures.to(there)):
        found = receptive_field.effective_receptive_field(network, one)
        assert found.device == one.device, "as it says"
        assert_close(found.cpu(), shares)
        assert receptive_field.effective_radius(found) == pytest.approx(receptive_field.effective_radius(shares))


def test_a_picture_that_moves_goes_to_the_layer_that_is_measured(there):
    layer, x = one_by_one().requires_grad_(False), torch.randn(1, 3, 6, 9)
    expected = strided.shift_change(layer, x)
    assert strided.shift_change(layer.to(there), x) == expected
    assert strided.shift_change(lambda x: x.abs(), x.to(there)) == strided.shift_change(lambda x: x.abs(), x)


def test_what_is_made_of_a_layer_lies_where_the_layer_is(there):
    torch.manual_seed(0)
    x = torch.randn(1, 3, 6, 8).to(there)
    layer = HWDownsampling(3, 4).to(there).eval()
    assert_close(home(layer.fuse()(x)), home(layer(x)))
    form = linear_form(ASPP(3, 4, rates=(1, 2), norm=None).to(there))
    home(list(form))


def test_an_answer_to_an_exercise_that_lies_elsewhere_is_told_so():
    with pytest.raises(Wrong, match="the numbers lie on meta, they should lie on cpu, where the input is"):
        compare(lambda x: (2 * x).to("meta"), lambda x: 2 * x, [Call.of(torch.ones(2, 3))])


# ---- training: away, and home again --------------------------------------------------------------
ONCE = dataclasses.replace(PLAN, epochs=1)


class Watched(nn.Module):
    """A network that notes where its pictures are; after some of them it raises what it was told to."""

    def __init__(self, error=None):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.error, self.seen = error, []

    def forward(self, x):
        self.seen.append(x.device)
        if self.error and len(self.seen) > 3:
            raise self.error
        return self.layers(x)

    def places(self):
        """The devices of all its numbers."""
        return {one.device.type for one in (*self.parameters(), *self.buffers())}


@pytest.fixture
def trains_there(there, monkeypatch):
    """A machine on which Accelerate finds the other device."""
    monkeypatch.setattr(Accelerator, "device", property(lambda self: there))
    monkeypatch.setattr(Run, "autocast", lambda self: nullcontext())  # it knows the names of real devices only


def test_a_trained_network_comes_home(tmp_path, there, trains_there, monkeypatch):
    network = Watched()
    before = dict(network.named_modules())

    record = train.fit(network, ONCE, Made(), Made(2, seed=1), tmp_path / "there", progress=False)

    assert set(network.seen) == {there}, "or this was no training on another device"
    assert network.places() == {"cpu"}
    assert dict(network.named_modules()) == before, "the very same parts"
    assert network.eval()(torch.randn(1, 3, 8, 10)).device.type == "cpu", "called by hand on a picture that is here"

    monkeypatch.undo()
    stayed = Watched()
    same = train.fit(stayed, ONCE, Made(), Made(2, seed=1), tmp_path / "here", progress=False)
    assert set(stayed.seen) == {torch.device("cpu")}
    assert_close(dict(network.state_dict()), dict(stayed.state_dict()))
    assert record["scores"] == pytest.approx(same["scores"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")], ids=["stopped", "failed"])
def test_a_network_comes_home_from_a_run_that_was_broken_off(tmp_path, trains_there, error):
    network = Watched(error)
    with pytest.raises(type(error)):
        train.fit(network, ONCE, Made(), Made(2, seed=1), tmp_path, progress=False)
    assert network.places() == {"cpu"}
    fresh = Watched().state_dict()
    assert not torch.equal(network.layers[0].weight, fresh["layers.0.weight"]), "with what it has learnt so far"


def test_a_run_that_cannot_begin_leaves_the_network_at_home(tmp_path, trains_there):
    (tmp_path / "checkpoint.pt").touch()
    network = Watched()
    with pytest.raises(FileExistsError):
        train.fit(network, ONCE, Made(), Made(2, seed=1), tmp_path, progress=False)
    assert network.places() == {"cpu"}


def test_a_network_that_lives_on_the_device_stays_there(tmp_path, there, trains_there):
    network = Watched().to(there)
    train.fit(network, ONCE, Made(), Made(2, seed=1), tmp_path, progress=False)
    assert network.places() == {"lazy"}

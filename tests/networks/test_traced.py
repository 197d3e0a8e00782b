"""Layers, networks and operators where no picture is: traced, exported with open sizes, under torch.fx and torch.func.

A trace is made with one size and asked at others, odd ones too.  So whoever asks a size whether it is odd, and keeps
the answer, is found out.
"""

import copy
import io
from functools import partial

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.nn import functional
from torch.testing import assert_close
from torchvision.models.feature_extraction import get_graph_node_names

from chapters_code import dilated, pooling, strided, transposed, wavelets
from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.fast import wavelets as fast_wavelets
from chapters_code.fast.wtconv import depthwise
from chapters_code.hwd import HWDownsampling, as_kernel, as_mix
from chapters_code.pooling import AvgPool2d, MaxPool2d
from chapters_code.strided import BlurPool2d
from chapters_code.transposed import BilinearUpsample2d
from chapters_code.u2net import RSU, u2netp
from chapters_code.unet import UNet
from chapters_code.wtconv import WTConv2d
from every_layer import LAYERS, Layer, build, settled
from grids import every

TRACED = (48, 64)  # even, and larger than the 32 pixels that FCN makes one of: PyTorch takes a side of 1 for a constant
OTHERS = ((33, 47), (64, 50))


class Operator(nn.Module):
    """A function of pictures, and of a kernel if it wants one, as a layer."""

    def __init__(self, function, *kernel):
        super().__init__()
        self.function = function
        self.kernel = nn.Parameter(torch.randn(*kernel)) if kernel else None

    def forward(self, x):
        return self.function(x) if self.kernel is None else self.function(x, self.kernel)


def there_and_back(split, join):
    """Both ways; odd sides come back with their size."""

    def function(x):
        height, width = x.shape[-2:]
        parts = split(x)
        return (*parts, join(parts, size=(height, width)))

    return function


def levels(x):
    a, (h, v, d), (h1, v1, d1) = steps = wavelets.wavedec2(x, "db2", "reflect", level=2)
    return a, h, v, d, h1, v1, d1, wavelets.waverec2(steps, "db2", "reflect", size=x.shape[-2:])


OPERATORS = {
    "max_pool2d": Operator(partial(pooling.max_pool2d, kernel_size=3, stride=2, padding=1, ceil_mode=True)),
    "avg_pool2d": Operator(partial(pooling.avg_pool2d, kernel_size=(2, 3), padding=(0, 1), count_include_pad=False)),
    "avg_pool2d, rounded up": Operator(partial(pooling.avg_pool2d, kernel_size=2, stride=3, ceil_mode=True)),
    "windows": Operator(partial(pooling.windows, kernel_size=2, ceil_mode=True)),
    "conv2d": Operator(partial(strided.conv2d, stride=2, padding=1, dilation=2), 4, 3, 3, 2),
    "space_to_depth": Operator(lambda x: strided.space_to_depth(wavelets.even(x), 2)),
    "blur": Operator(partial(strided.blur, kernel_size=4, stride=2)),
    "conv2d_zero_stuffed": Operator(partial(dilated.conv2d_zero_stuffed, padding=1, stride=3), 4, 3, 3, 2),
    "conv2d_polyphase": Operator(partial(dilated.conv2d_polyphase, dilation=(2, 3), padding=2), 4, 3, 3, 3),
    "conv_transpose2d": Operator(partial(transposed.conv_transpose2d_zero_inserted, stride=2, padding=1), 3, 4, 3, 4),
    "haar": Operator(there_and_back(wavelets.haar_dwt2, wavelets.haar_idwt2)),
    "haar, faster": Operator(there_and_back(fast_wavelets.haar_dwt2, fast_wavelets.haar_idwt2)),
    "haar, by filters": Operator(there_and_back(wavelets.dwt2, wavelets.idwt2)),
    **{
        f"db2, {mode}": Operator(
            there_and_back(
                partial(wavelets.dwt2, wavelet="db2", mode=mode), partial(wavelets.idwt2, wavelet="db2", mode=mode)
            )
        )
        for mode in wavelets.MODES
    },
    "wavedec2": Operator(levels),
    "depthwise": Operator(depthwise, 3, 1, 5, 5),
    "a kernel made of a mix and back": Operator(
        lambda x, mix: functional.conv2d(wavelets.even(x), as_kernel(as_mix(as_kernel(mix))), stride=2), 4, 12, 1, 1
    ),
}
LOOPS = {
    "max_pool2d_loops": (lambda x: pooling.max_pool2d_loops(x, 2), "max_pool2d"),
    "avg_pool2d_loops": (lambda x: pooling.avg_pool2d_loops(x, 2), "avg_pool2d"),
    "conv2d_loops": (lambda x: strided.conv2d_loops(x, torch.ones(1, 3, 2, 2)), "conv2d"),
    "conv_transpose2d_loops": (
        lambda x: transposed.conv_transpose2d_loops(x, torch.ones(3, 1, 2, 2)),
        "conv_transpose2d_zero_inserted",
    ),
    "conv_transpose2d_matrix": (
        lambda x: transposed.conv_transpose2d_matrix(x, torch.ones(3, 1, 2, 2)),
        "conv_transpose2d_zero_inserted",
    ),
    "conv1d_dilated_loops": (
        lambda x: dilated.conv1d_dilated_loops(x[0], torch.ones(1, 6, 2), 2),
        r"torch\.nn\.functional\.conv1d",
    ),
}
ALONE = [layer for layer in LAYERS if not layer.like_another]
# PyTorch's own group norm asks for the number of channels, and warns that a trace keeps the answer.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning"),
]
OWN_WARNING = "ignore:Converting a tensor to a Python boolean:torch.jit.TracerWarning"


def subjects():
    """All layers and operators, by name, in float64."""
    yield from ((layer.name, build(layer)) for layer in ALONE)
    yield from ((name, operator.double().eval()) for name, operator in OPERATORS.items())


def pictures(size, batch=2):
    return torch.randn(batch, 3, *size, dtype=torch.float64)


def traced(module):
    stream = io.BytesIO()
    # Unchecked: PyTorch would trace it once more, and compare at this size; `hold` compares at others.
    torch.jit.save(torch.jit.trace(module, pictures(TRACED), check_trace=False), stream)
    stream.seek(0)
    return torch.jit.load(stream)


def exported(module, strict=False):
    side = torch.export.Dim.DYNAMIC
    open_sizes = {0: side, 2: side, 3: side}
    return torch.export.export(module, (pictures(TRACED),), dynamic_shapes=(open_sizes,), strict=strict).module()


def hold(ways, subjects):
    """Hold that what was made of each is right at other sizes than the one that it was made with."""
    for name, module in subjects:
        try:
            other = ways(module)
            for size in OTHERS:
                x = pictures(size, batch=3)
                assert_close(other(x), module(x))
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.slow
@pytest.mark.filterwarnings(OWN_WARNING)
def test_a_trace_is_right_at_other_sizes_and_can_be_saved():
    hold(traced, subjects())


@pytest.mark.slow
def test_torch_fx_writes_every_layer_down_and_its_graph_can_be_copied():
    def written(module):
        inside = nn.Sequential(module).eval()  # a layer of PyTorch's own is looked into only where it is alone
        assert len(get_graph_node_names(inside)[1]) > 1
        return copy.deepcopy(fx.symbolic_trace(inside.eval()))

    hold(written, subjects())


@pytest.mark.slow
def test_operators_exported_with_open_sizes_are_right_at_other_sizes():
    left_out = [f"db2, {mode}" for mode in ("zero", "constant", "periodic", "antisymmetric")]  # each takes some seconds
    hold(exported, ((name, operator.double()) for name, operator in OPERATORS.items() if name not in left_out))


EXPORTED = [layer for layer in ALONE if "FCN" not in layer.name and "U" not in layer.name]


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1])
def test_layers_exported_with_open_sizes_are_right_at_other_sizes(part):
    hold(exported, ((layer.name, build(layer)) for layer in EXPORTED[part::2]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["U-Net that shrinks by hwd", "U²-Net", "FCN-8s", "FCN, fixed upsampling"])
def test_networks_exported_with_open_sizes_are_right_at_other_sizes(name):
    (layer,) = (layer for layer in LAYERS if layer.name == name)
    network = build(layer)
    # MobileNetV2 has ten blocks that keep the size and are added to their input; one of them stands for all.
    repeated = [name for name, part in network.named_modules() if getattr(part, "use_res_connect", False)]
    for part in repeated[1:]:
        network.set_submodule(part, nn.Identity())
    hold(exported, [(name, network)])


@pytest.mark.slow
def test_exported_strictly_a_layer_is_right_at_other_sizes():
    few = [MaxPool2d(3, 2, 1, ceil_mode=True), HWDownsampling(3, 4, one_convolution=False), WTConv2d(3, 3, 3)]
    hold(partial(exported, strict=True), ((type(one).__name__, one.double().eval()) for one in few))


class Several(nn.Module):
    """Layers side by side: an export takes long, however little is in it."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        return tuple(layer(x) for layer in self.layers)


@pytest.mark.slow
def test_exported_to_onnx_another_engine_is_right_at_odd_sides():
    for needed in ("onnx", "onnxscript"):
        pytest.importorskip(needed)
    onnxruntime = pytest.importorskip("onnxruntime")
    several = Several(
        MaxPool2d(2, ceil_mode=True),
        AvgPool2d(3, 2, 1, ceil_mode=True),
        AvgPool2d(2),
        BlurPool2d(),
        BilinearUpsample2d(2, "replicate"),
        HWDownsampling(3, 4, one_convolution=False),
        WTConv2d(3, 3, 3),
        *(DOWNSAMPLERS[name](3, 4) for name in ("avg", "strided2", "space_to_depth")),
        settled(UNet(widths=(4, 6), down=DOWNSAMPLERS["hwd"])),
    ).eval()
    file = io.BytesIO()
    sizes = ({0: "n", 2: "h", 3: "w"},)
    torch.onnx.export(several, (torch.randn(2, 3, 32, 48),), dynamo=True, dynamic_shapes=sizes, verbose=False).save(
        file
    )
    session = onnxruntime.InferenceSession(file.getvalue())
    for size in ((33, 47), (32, 48), (21, 30)):
        x = torch.randn(3, 3, *size)
        given = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        with torch.no_grad():
            assert_close([torch.from_numpy(one) for one in given], list(several(x)), rtol=1e-5, atol=1e-5)


@every(case=LOOPS.values())
def test_loops_over_pixels_refuse_to_be_traced_and_say_what_to_take(case):
    function, instead = case
    x, side = torch.randn(2, 3, 6, 8), torch.export.Dim.DYNAMIC
    with pytest.raises(ValueError, match=f"trace {instead}"):
        torch.jit.trace(function, x)
    with pytest.raises(ValueError, match=f"trace {instead}"):
        torch.export.export(Operator(function), (x,), dynamic_shapes=({2: side, 3: side},), strict=False)
    assert_close(fx.symbolic_trace(function)(x), function(x))  # one node, which loops when it runs


@pytest.mark.slow
def test_torch_func_differentiates_and_maps_every_layer():
    for name, module in subjects():
        try:
            differentiates_and_maps(module)
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error


def differentiates_and_maps(module):
    def run(x):
        out = module(x)
        return out if isinstance(out, torch.Tensor) else torch.cat([one.flatten(1) for one in out], dim=1)

    x = pictures((8, 6))
    tangent = torch.randn_like(x)
    out, moved = torch.func.jvp(run, (x,), (tangent,))
    same, pull = torch.func.vjp(run, x)
    assert_close(out, run(x))
    assert_close(same, run(x))
    back = torch.randn_like(out)
    assert_close((pull(back)[0] * tangent).sum(), (moved * back).sum())  # the one is the other's transpose
    with torch.autograd.forward_ad.dual_level():
        dual = run(torch.autograd.forward_ad.make_dual(x, tangent))
        assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, moved)

    many = torch.stack([x, x + 1])
    assert_close(torch.func.vmap(run)(many), torch.stack([run(one) for one in many]))
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    if weights:
        each = Operator(lambda x: run(x).square().sum())
        each.module = module

        def loss(weights, x):
            return torch.func.functional_call(each, {f"module.{name}": one for name, one in weights.items()}, (x,))

        gradients = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, many)
        for i, one in enumerate(many):
            for name, gradient in zip(weights, torch.autograd.grad(each(one), module.parameters()), strict=True):
                assert_close(gradients[name][i], gradient)


@pytest.mark.slow
def test_a_new_layer_has_the_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        for layer in ALONE:
            module = layer.make().eval()
            floating = [one for one in (*module.parameters(), *module.buffers()) if one.is_floating_point()]
            assert {one.dtype for one in floating} <= {torch.float64}, layer.name
            assert module(torch.randn(1, 3, 10, 12)).dtype == torch.float64, layer.name
    finally:
        torch.set_default_dtype(torch.float32)


def numpy_integers(layer):
    """Make a layer with the settings that it would have read from an array."""
    three, two, four = np.int64(3), np.int32(2), np.uint8(4)
    return {
        "max": lambda: MaxPool2d(three, two, padding=np.int64(1), ceil_mode=True),
        "avg": lambda: AvgPool2d((three, two), two),
        "blur": lambda: BlurPool2d(three, two),
        "strided": lambda: strided.StridedConv2d(three, four, three, two),
        "bilinear": lambda: BilinearUpsample2d(two),
        "hwd": lambda: HWDownsampling(three, four),
        "wtconv": lambda: WTConv2d(three, three, three, two, wt_levels=two),
        "rsu": lambda: RSU(three, three, four, four),
        "unet": lambda: UNet(three, two, (four, four)),
    }[layer]()


@pytest.mark.slow
@every(layer=["max", "avg", "blur", "strided", "bilinear", "hwd", "wtconv", "rsu", "unet"])
def test_settings_may_be_numpy_integers(layer):
    module, x = numpy_integers(layer).eval(), torch.randn(2, 3, 14, 9)
    assert_close(torch.jit.trace(module, x)(x), module(x))
    assert_close(fx.symbolic_trace(nn.Sequential(module))(x), module(x))
    assert_close(torch.compile(module, backend="eager", fullgraph=True)(x), module(x))


def test_the_small_u2net_has_names_for_its_nodes():
    names = get_graph_node_names(u2netp().eval())[1]
    assert "encoder.0.first.0" in names
    assert len(names) > 400


class Asks(nn.Module):
    """Asks once whether a side is odd: the fault that this file looks for."""

    def forward(self, x):
        return functional.pad(x, (0, 0, 0, 1), mode="replicate") if int(x.shape[-2]) % 2 else x


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_layer_that_asks_once_is_noticed():
    assert Layer("asks", Asks).make()(pictures(TRACED)).shape[-2:] == TRACED
    with pytest.raises(AssertionError, match="asks"):
        hold(traced, [("asks", Asks())])

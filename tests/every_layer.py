"""What every layer and every network of the package must do: a table of them, and one function per promise.

A new layer gets one line in `LAYERS`; `test_every_layer.py` then runs it through all of `CHECKS`.
"""

import copy
import io
import pickle
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from chapters_code.aspp import ASPP
from chapters_code.blocks import DenseBlock, InceptionBlock, PlainBlock, ResidualBlock
from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.fcn import FCN
from chapters_code.hwd import HWDownsampling
from chapters_code.outputs import logits
from chapters_code.pooling import AvgPool2d, MaxPool2d
from chapters_code.receptive_field import Fields
from chapters_code.strided import BlurPool2d, StridedConv2d
from chapters_code.transposed import BilinearUpsample2d, bilinear_conv_transpose
from chapters_code.u2net import RSU, Stage, U2Net
from chapters_code.unet import UNet
from chapters_code.wtconv import WTConv2d

# What PyTorch raises when it refuses an input; anything else (AttributeError, AssertionError) is an accident.
REFUSAL = (ValueError, RuntimeError, TypeError)


class Layer(NamedTuple):
    """A layer or network, and what is to be expected of it."""

    name: str
    make: Callable[[], nn.Module]
    in_channels: int = 3
    out_channels: int = 3
    shrink: int = 1  # H' = H / shrink
    rounded: str = "up"  # what becomes of the rest: "up" or "down"
    smallest: int = 1  # the smallest H and W
    any_channels: bool = False  # it works on each channel by itself, and so takes as many as come
    refuses: tuple[Callable[[Tensor], object], ...] = ()  # settings that cannot be; called with a picture
    grow: int = 1  # H' = H · grow; a layer shrinks or grows
    # Its forward is that of another line with other settings, or puts parts together that have their own lines, as
    # that one does.  Where the compiler and a NaN go through the one, they go through the other: only one is tried.
    like_another: bool = False

    def out_size(self, *size: int) -> tuple[int, ...]:
        rest = self.shrink - 1 if self.rounded == "up" else 0
        return tuple((side + rest) // self.shrink * self.grow for side in size)


def each(layer: Callable[..., nn.Module], *settings: tuple) -> tuple[Callable[[Tensor], object], ...]:
    """Build and run a layer with each of these settings."""
    return tuple(lambda x, setting=setting: layer(*setting)(x) for setting in settings)


def settled(network: nn.Module) -> nn.Module:
    """Take the running means and variances from noise: else, layer by layer, a deep network's numbers fade away."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0  # all of this batch, nothing of before
    network.train()(torch.randn(4, 3, 64, 96))
    for norm in norms:
        norm.momentum = 0.1
    return network


class MapThatCounts(nn.Module):
    """A network of several outputs as one of a single output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return logits(self.network(x))


def small_u2net() -> U2Net:
    """Build a U²-Net of three stages, the deepest dilated, for two classes; a higher RSU has its own line."""
    encoder = Stage(3, 3, 5), Stage(2, 4, 5), Stage(2, 3, 4, dilated=True)
    return U2Net(encoder, [Stage(2, 3, 4), Stage(2, 3, 5)], num_classes=2)


POOLING = [(0,), (-2,), (2, 0), (2, -1), (2, 2, -1), (2, 2, 2), (2.5,), ((2, 2, 2),), (99,)]
LAYERS = [
    Layer(
        "max pooling", lambda: MaxPool2d(2), 3, 3, 2, "down", 2, any_channels=True, refuses=each(MaxPool2d, *POOLING)
    ),
    Layer("max pooling, overlapping", lambda: MaxPool2d(3, 2, 1), 3, 3, 2, any_channels=True),
    Layer("max pooling, rounded up", lambda: MaxPool2d(2, ceil_mode=True), 3, 3, 2, any_channels=True),
    Layer(
        "mean pooling", lambda: AvgPool2d(2), 3, 3, 2, "down", 2, any_channels=True, refuses=each(AvgPool2d, *POOLING)
    ),
    Layer("mean pooling, overlapping", lambda: AvgPool2d(3, 2, 1, count_include_pad=False), 3, 3, 2, any_channels=True),
    Layer(
        "strided convolution, 3 × 3",
        lambda: StridedConv2d(3, 4),
        3,
        4,
        2,
        refuses=each(StridedConv2d, (0, 4), (3, 0), (3, 4, 0), (3, 4, 3, 0), (3, 4, 3, -1), (3, 4, 2.5)),
    ),
    Layer("strided convolution, 2 × 2", lambda: StridedConv2d(3, 4, 2), 3, 4, 2, "down", 2),
    Layer("strided convolution, linear", lambda: StridedConv2d(3, 4, 5, 3, relu=False), 3, 4, 3),
    Layer(
        "blur pooling",
        BlurPool2d,
        3,
        3,
        2,
        any_channels=True,
        refuses=each(BlurPool2d, (0,), (-3,), (3, 0), (3, -1), (2.5,), (3, 2.5)),
    ),
    Layer("blur pooling, 5 × 5", lambda: BlurPool2d(5), 3, 3, 2, any_channels=True),
    Layer(
        "bilinear transposed convolution",
        lambda: bilinear_conv_transpose(3, 2),
        grow=2,
        refuses=each(bilinear_conv_transpose, (0, 2), (2.5, 2), (3, 0), (3, 1.5), (3, 2, 2), (3, 2, 0), (4, 2)),
    ),
    Layer("bilinear transposed convolution, depthwise", lambda: bilinear_conv_transpose(3, 3, groups=3), grow=3),
    # Its matrices' zeros meet every pixel, so a NaN spoils all of its map; the receptive field says the same.
    Layer(
        "bilinear by two matrices",
        lambda: BilinearUpsample2d(2),
        grow=2,
        any_channels=True,
        refuses=each(BilinearUpsample2d, (0,), (-2,), (1.5,), (2, "mirror")),
    ),
    Layer("bilinear, rim repeated", lambda: BilinearUpsample2d(3, "replicate"), grow=3, any_channels=True),
    Layer(
        "ASPP",
        lambda: ASPP(3, 4, rates=(1, 2, 5)),
        3,
        4,
        refuses=each(
            ASPP, (0, 4), (3, 0), (3, 4, ()), (3, 4, (0,)), (3, 4, (2, -1)), (3, 4, (1.5,)), (3, 4, (1,), "x")
        ),
    ),
    Layer("ASPP, batch norm", lambda: ASPP(3, 4, rates=(1, 3), norm="batch"), 3, 4, like_another=True),
    Layer("ASPP, group norm", lambda: ASPP(3, 4, rates=(2,), norm="group"), 3, 4),
    Layer(
        "U-Net",
        lambda: UNet(num_classes=2, widths=(4, 6, 8)),
        3,
        2,
        refuses=each(UNet, (3, 2, (4,)), (-3, 2, (4, 8)), (3, 2, (4, -8)), (3, 2, (4, 8), StridedConv2d, "layer")),
    ),
    Layer("U-Net, group norm", lambda: UNet(num_classes=2, widths=(4, 6, 8), norm="group"), 3, 2, like_another=True),
    Layer("U-Net, no norm", lambda: UNet(num_classes=2, widths=(4, 8), norm=None), 3, 2, like_another=True),
    Layer(
        "U-Net that shrinks by strides",
        lambda: UNet(num_classes=2, widths=(4, 8), down=StridedConv2d),
        3,
        2,
        like_another=True,
    ),
    Layer(
        "FCN-8s",
        lambda: settled(FCN(num_classes=4, stride=8)),
        3,
        4,
        refuses=each(FCN, (0,), (2.5,), (4, "vgg16"), (4, "resnet18", None, "nearest"), (4, "resnet18", __file__)),
    ),
    Layer("FCN, MobileNetV2", lambda: settled(FCN(4, "mobilenet_v2", upsample="depthwise")), 3, 4, like_another=True),
    Layer("FCN, fixed upsampling", lambda: settled(FCN(4, "mobilenet_v2", upsample="fixed")), 3, 4, like_another=True),
    Layer(
        "HWD", lambda: HWDownsampling(3, 4), 3, 4, 2, refuses=each(HWDownsampling, (0, 4), (3, 0), (3, -4), (3, 2.5))
    ),
    Layer("HWD, as it reads", lambda: HWDownsampling(3, 4, one_convolution=False), 3, 4, 2),
    Layer("HWD, fused", lambda: HWDownsampling(3, 4).eval().fuse(), 3, 4, 2),
    *(
        Layer(f"halving: {name}", lambda down=down: down(3, 4), 3, 4, 2, refuses=each(down, (0, 4), (3, 0), (3, 2.5)))
        for name, down in DOWNSAMPLERS.items()
    ),
    *(
        Layer(
            f"U-Net that shrinks by {name}",
            lambda down=down: UNet(num_classes=2, widths=(4, 8), down=down),
            3,
            2,
            like_another=True,
        )
        for name, down in DOWNSAMPLERS.items()
    ),
    Layer(
        "WTConv",
        lambda: WTConv2d(3, 3, 3),
        refuses=each(WTConv2d, (3, 4), (0, 0), (3, 3, 4), (3, 3, 0), (3, 3, 3, 0), (3, 3, 3, 1, True, 0))
        + each(WTConv2d, (3, 3, 3, 1, True, 1, "none"), (3, 3, 2.5), (3, 3, 3, 1, True, 1.5)),
    ),
    Layer("WTConv, two levels, 5 × 5, without bias", lambda: WTConv2d(3, 3, bias=False, wt_levels=2)),
    Layer("WTConv, three levels, without bias", lambda: WTConv2d(3, 3, 3, bias=False, wt_levels=3), like_another=True),
    Layer("WTConv, stride 2", lambda: WTConv2d(3, 3, 5, stride=2, wt_levels=2), shrink=2),
    Layer("WTConv, db2", lambda: WTConv2d(3, 3, 3, wt_levels=2, wt_type="db2")),
    *(
        Layer(
            block.__name__,
            lambda block=block: settled(block(3, 5, 4)),
            3,
            4,
            refuses=each(block, (0, 5, 4), (3, 2.5, 4), (3, 5, -4)),
        )
        for block in (PlainBlock, ResidualBlock, DenseBlock, InceptionBlock)
    ),
    Layer(
        "RSU",
        lambda: settled(RSU(4, 3, 5, 4)),
        3,
        4,
        refuses=each(RSU, (1, 3, 5, 4), (2.5, 3, 5, 4), (4, 0, 5, 4), (4, 3, 0, 4), (4, 3, 5, -4)),
    ),
    Layer("RSU, dilated", lambda: settled(RSU(3, 3, 5, 4, dilated=True)), 3, 4),
    Layer(
        "U²-Net",
        lambda: MapThatCounts(settled(small_u2net())),
        3,
        2,
        refuses=each(
            U2Net,
            ([], []),
            ([Stage(2, 3, 4)], []),
            ([Stage(2, 3, 4)] * 2, [Stage(2, 3, 4)] * 2),
            ([Stage(1, 3, 4)] * 2, [Stage(2, 3, 4)]),
            ([Stage(2, 3, 4)] * 2, [Stage(2, 3, 4)], 0),
            ([Stage(2, 3, 4)] * 2, [Stage(2, 3, 4)], 3, 0),
        ),
    ),
    Layer("U²-Net, fused", lambda: MapThatCounts(settled(small_u2net()).fuse()), 3, 2, like_another=True),
]


def build(layer: Layer, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Make a layer in evaluation mode; float64, so that what should be equal is equal to many digits."""
    return layer.make().to(dtype).eval()


def pictures(layer: Layer, height: int = 14, width: int = 9, batch: int = 2) -> Tensor:
    return torch.randn(batch, layer.in_channels, height, width, dtype=torch.float64)


def answers_rightly(module: nn.Module, x: Tensor, expected: Callable[[], Tensor]) -> None:
    """Hold that a module refuses an input in words, or else gives what is expected."""
    try:
        given = module(x)
    except REFUSAL as error:
        assert len(str(error)) > 20, f"{type(error).__name__} without words: {error}"
        return
    assert_close(given.double(), expected(), equal_nan=True)


# ---- the promises --------------------------------------------------------------------------------


def check_sizes(layer: Layer) -> None:
    """Odd, even, tall and wide pictures; the smallest one, and one row or column less is refused."""
    module, least = build(layer), layer.smallest
    for size in [(14, 9), (9, 14), (13, 13), (8, 21), (least, 12), (11, least), (least, least)]:
        out = module(pictures(layer, *size))
        assert out.shape == (2, layer.out_channels, *layer.out_size(*size)), size
        assert out.isfinite().all()
    for size in [(least - 1, 12), (11, least - 1)]:
        with pytest.raises(REFUSAL):
            module(pictures(layer, *size))


def check_gradients(layer: Layer) -> None:
    """Gradients are those of finite differences, and every weight gets one."""
    module = build(layer)
    x = pictures(layer, 8, 6, batch=1).requires_grad_()
    assert torch.autograd.gradcheck(module, x, fast_mode=True)
    module(x).square().sum().backward()
    for name, weight in module.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.any(), name


def check_dtypes(layer: Layer) -> None:
    """The dtype stays what it is, and the numbers are those of float64 up to the dtype's own rounding.

    A dozen sums of some ten numbers lie between input and output; each may round by the dtype's epsilon.
    """
    reference, x = build(layer), pictures(layer)
    expected = reference(x)
    for dtype in (torch.float32, torch.bfloat16):
        out = copy.deepcopy(reference).to(dtype)(x.to(dtype))
        assert out.dtype == dtype
        assert (out.double() - expected).abs().max() <= 12 * torch.finfo(dtype).eps * expected.abs().max().clamp_min(1)


def check_memory_formats(layer: Layer) -> None:
    """How the numbers lie in memory makes no difference, and the input is left as it was."""
    module, x = build(layer), pictures(layer)
    kept, expected = x.clone(), module(x)
    assert_close(x, kept, rtol=0, atol=0)
    turned = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    every_second = torch.stack([x, x], dim=-1).flatten(-2)[..., ::2]
    for same in (x.contiguous(memory_format=torch.channels_last), turned, every_second):
        assert_close(module(same), expected)
    assert_close(copy.deepcopy(module).to(memory_format=torch.channels_last)(x), expected)
    one = x[:1, :, :, :1].expand(2, -1, -1, 9)
    assert_close(module(one), module(one.contiguous()))


def check_compiled(layer: Layer) -> None:
    """`torch.compile` takes it as one graph, which looks at no number, and forward and backward stay the same.

    The graph is run as it was recorded; to make machine code of it would take minutes.  The operators that do
    something of their own in the compiler have tests of their own, with more of it.
    """
    if layer.like_another:
        return

    def as_recorded(graph: torch.fx.GraphModule, _: list) -> Callable:
        assert not [node for node in graph.graph.nodes if node.target == "item"], "a number of a tensor decides"
        return graph.forward

    module, x = build(layer), pictures(layer)
    torch.compiler.reset()
    compiled = torch.compile(module, backend=as_recorded, fullgraph=True)
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    out, expected = compiled(ours), module(theirs)
    assert_close(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    assert_close(ours.grad, theirs.grad)


def check_saved(layer: Layer) -> None:
    """The state dict holds all that was learnt; copies and pickles are the same layer."""
    module, x = build(layer), pictures(layer)
    module.train()
    for _ in range(2):
        module(x)  # moves the running means, if there are any
    module.eval()
    expected = module(x)

    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    again = build(layer)
    again.load_state_dict(torch.load(stream, weights_only=True), strict=True)

    assert_close(again(x), expected, rtol=0, atol=0)
    assert_close(copy.deepcopy(module)(x), expected, rtol=0, atol=0)
    assert_close(pickle.loads(pickle.dumps(module))(x), expected, rtol=0, atol=0)
    assert repr(again) == repr(module)


def check_modes(layer: Layer) -> None:
    """Training runs and has gradients; evaluation is the same each time, and each picture is by itself."""
    module, x = build(layer), pictures(layer, batch=3)
    expected = module(x)
    assert_close(module(x), expected, rtol=0, atol=0)
    for i in range(3):
        assert_close(module(x[i : i + 1]), expected[i : i + 1])
    assert_close(module(x.flip(0)), expected.flip(0))

    before = copy.deepcopy(module.state_dict())
    module(x)
    assert all(torch.equal(now, then) for now, then in zip(module.state_dict().values(), before.values(), strict=True))
    out = copy.deepcopy(module).train()(x.requires_grad_())
    assert out.shape == expected.shape
    out.sum().backward()
    assert x.grad.any()


def check_wrong_shapes(layer: Layer) -> None:
    """Another rank or number of channels is refused; a picture without N comes back without N, or is refused."""
    module, x = build(layer), pictures(layer)
    for wrong in (x[0, 0], x[0, 0, 0], x[None], x[:, :0], x[..., :0]):
        with pytest.raises(REFUSAL):
            module(wrong)
    answers_rightly(module, x[0], lambda: module(x)[0])
    more = torch.cat([x, x], dim=1)
    for other in (x[:, :1], more):
        if layer.any_channels:
            assert_close(module(other)[:, :1], module(x)[:, :1])
        else:
            with pytest.raises(REFUSAL):
                module(other)


def check_empty_batch(layer: Layer) -> None:
    """No pictures in, no maps out, of the right size; or a refusal."""
    x = pictures(layer, batch=0)
    answers_rightly(build(layer), x, lambda: x.new_zeros(0, layer.out_channels, *layer.out_size(14, 9)))


def check_integers(layer: Layer) -> None:
    """Pictures of integers are refused, or give what the same numbers give in floating point."""
    module, whole = build(layer), torch.randint(0, 100, (2, layer.in_channels, 14, 9))
    for dtype in (torch.uint8, torch.int32, torch.int64, torch.bool):
        answers_rightly(module, whole.to(dtype), lambda dtype=dtype: module(whole.to(dtype).double()))
    with pytest.raises(REFUSAL):
        module(torch.complex(whole.double(), whole.double()))


def check_nan(layer: Layer) -> None:
    """A NaN pixel spoils the output pixels whose receptive field holds it, and no others."""
    if layer.like_another:
        return
    module, x = build(layer), pictures(layer, 21, 30, batch=1)
    clean = module(x)
    x[0, :, 9, 16] = float("nan")
    spoilt = module(x).isnan()
    assert_close(module(x)[~spoilt], clean[~spoilt])
    height, width = clean.shape[-2:]
    fields = Fields(module, (21, 30), in_channels=layer.in_channels)
    for i, j in [(0, 0), (height - 1, width - 1), (9 * height // 21, 16 * width // 30), (height // 2, 1)]:
        field = fields.at(i, j)
        assert bool(spoilt[0, :, i, j].all()) == bool(spoilt[0, :, i, j].any()) == bool(field.touched[9, 16]), (i, j)


def check_settings(layer: Layer) -> None:
    """What cannot be built or run is refused in words."""
    for attempt in layer.refuses:
        with pytest.raises((ValueError, RuntimeError)) as caught:
            attempt(pictures(layer).float())
        assert len(str(caught.value)) > 20, f"{caught.type.__name__} without words: {caught.value}"


CHECKS = [check for name, check in list(globals().items()) if name.startswith("check_")]

"""Receptive fields against gradients, against NaN, against published sizes, and against sums by hand."""

import copy
import functools
import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torchvision import models

from chapters_code import pooling
from chapters_code.cost import cost
from chapters_code.dilated import conv2d_polyphase, conv2d_zero_stuffed
from chapters_code.pooling import max_pool2d_loops
from chapters_code.receptive_field import (
    RULES,
    Fields,
    effective_radius,
    effective_receptive_field,
    receptive_field,
    receptive_field_of_stack,
)
from chapters_code.transposed import BilinearUpsample2d
from chapters_code.unet import UNet
from chapters_code.wtconv import WTConv2d
from every_layer import LAYERS


def gradient_footprints(module: nn.Module, in_channels: int, size: tuple[int, int], pixels: list[tuple[int, int]]):
    """Say which pixels have a gradient, in a copy where nothing can cancel: all weights and pixels are above 0.

    The maximum sends its gradient to one pixel only, so a mean over the same window stands in for it.

    Returns:
        Bool, (H, W), for each of the output's pixels; and the output's height and width.
    """
    network = copy.deepcopy(module).double().eval()
    for name, part in list(network.named_modules()):
        parent, _, leaf = name.rpartition(".")
        mean = None
        if isinstance(part, nn.MaxPool2d) and part.dilation == 1:
            mean = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode)
        elif isinstance(part, pooling.MaxPool2d):
            mean = pooling.AvgPool2d(part.kernel_size, part.stride, part.padding, ceil_mode=part.ceil_mode)
        elif isinstance(part, nn.ReLU | nn.ReLU6):
            mean = nn.Identity()  # behind a group norm, half of the numbers are below 0; and others are above 6
        if mean is not None:
            if not name:
                network = mean
            else:
                setattr(network.get_submodule(parent), leaf, mean)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            # Divided by their number, so that a hundred layers do not overflow.
            scale = weight[0].numel() if weight.dim() > 1 else 1
            weight.copy_((torch.rand(weight.shape, generator=generator) + 0.5) / scale)
    x = torch.rand(1, in_channels, *size, dtype=torch.float64, generator=generator).add(0.5).requires_grad_()
    out = network(x)
    out = out["out"] if isinstance(out, dict) else out
    gradients = [torch.autograd.grad(out[0, :, i, j].sum(), x, retain_graph=True)[0] for i, j in pixels]
    return [gradient[0].ne(0).any(dim=0) for gradient in gradients], out.shape[-2:]


def gradient_footprint(module: nn.Module, in_channels: int, size: tuple[int, int], pixel: tuple[int, int]):
    """Say which pixels have a gradient of one pixel."""
    return gradient_footprints(module, in_channels, size, [pixel])[0][0]


def nan_footprints(module, in_channels: int, size: tuple[int, int], pixels: list[tuple[int, int]]):
    """Spoil one pixel after the other, each in a picture of its own, and see whether the output pixels are spoilt."""
    x = torch.randn(1, in_channels, *size).repeat(math.prod(size), 1, 1, 1)
    places = torch.arange(math.prod(size))
    x[places, :, places // size[1], places % size[1]] = float("nan")
    with torch.no_grad():
        spoilt = module(x).isnan().any(dim=1)
    return [spoilt[:, i, j].reshape(size) for i, j in pixels], spoilt.shape[-2:]


def some_pixels(height: int, width: int) -> list[tuple[int, int]]:
    """Corners, the middle, and what stands beside the middle: another phase where a network doubles."""
    middle = (height // 2, width // 2)
    beside = (max(0, middle[0] - 1), max(0, middle[1] - 1))
    return [*{(0, 0), (height - 1, 0), (height - 1, width - 1), middle, (middle[0], beside[1]), (beside[0], 0)}]


def every_pixel(height: int, width: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(height) for column in range(width)]


def assert_agrees(
    module: nn.Module, in_channels: int, size: tuple[int, int], reference=gradient_footprints, choose=some_pixels
) -> None:
    assert_fields_agree(Fields(module, size, in_channels=in_channels), module, in_channels, reference, choose)


def assert_fields_agree(fields: Fields, module: nn.Module, in_channels: int, reference, choose=some_pixels) -> None:
    size = fields.input_size
    pixels = choose(*fields.output_size)
    footprints, output_size = reference(module, in_channels, size, pixels)
    assert fields.output_size == output_size
    for pixel, expected in zip(pixels, footprints, strict=True):
        field = fields.at(*pixel)
        assert torch.equal(field.touched, expected), f"{pixel}: {(field.touched ^ expected).sum()} pixels differ"
        if expected.any() and 0 not in field.stride:
            # Where no border cuts it, the box must be the one that was announced.
            inside = [expected.any(dim=1), expected.any(dim=0)]
            for i, side in enumerate(inside):
                if not side[0] and not side[-1] and field.size[i] <= size[i] // 2:
                    assert side.nonzero().max() - side.nonzero().min() + 1 <= field.size[i]


# ---- against gradients and NaN ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_every_layer_touches_what_has_a_gradient(layer):
    """Every layer and network of the package, at corners, in the middle, and on odd sizes."""
    torch.manual_seed(1)
    module = layer.make().eval()
    # Two matrices multiply every pixel, by zeros too: no gradient comes of that, but a NaN does.
    matrices = any(isinstance(part, BilinearUpsample2d) for part in module.modules())
    reference = nan_footprints if matrices else gradient_footprints
    record = None
    for size in [(22, 15), (16, 24)]:
        fields = Fields(module, size, in_channels=layer.in_channels)
        # Both are surrounded by the same larger pictures; to run the module on those takes most of the time.
        fields._record = record = record or functools.cache(fields._record)
        assert_fields_agree(fields, module, layer.in_channels, reference)


class Joined(nn.Module):
    """Two ways, joined by a sum, or one behind the other in channels."""

    def __init__(self, one, other, join):
        super().__init__()
        self.one, self.other, self.join = one, other, join

    def forward(self, x):
        return self.join(self.one(x), self.other(x))


def conv(*settings, **more):
    return nn.Conv2d(2, 2, *settings, **more)


def down_and_up(mode, **more):
    return nn.Sequential(conv(3, 2, 1), nn.Upsample(scale_factor=2, mode=mode, **more))


STACKS = {
    "dilated": nn.Sequential(conv(3, padding=2, dilation=2), conv(3, padding=5, dilation=5)),
    "unpadded, uneven": nn.Sequential(conv((3, 2), (2, 1)), conv((1, 4), 1, (0, 3), (1, 2))),
    "with gaps": nn.Sequential(conv(2, 3), conv(1, 2)),
    "groups": nn.Sequential(conv(3, padding=1, groups=2), conv(1), conv(5, padding="same", groups=2)),
    "mean pooling": nn.Sequential(nn.AvgPool2d(3, 2, 1, ceil_mode=True), conv(2)),
    "transposed": nn.Sequential(conv(3, 2, 1), nn.ConvTranspose2d(2, 2, 4, 2, 1)),
    "transposed, with gaps": nn.ConvTranspose2d(2, 2, 2, 3, padding=1, output_padding=1),
    "transposed, dilated": nn.ConvTranspose2d(2, 2, (3, 2), (2, 3), 1, dilation=(2, 1), output_padding=1, groups=2),
    "nearest": down_and_up("nearest"),
    "bilinear": down_and_up("bilinear"),
    "bilinear, corners aligned": down_and_up("bilinear", align_corners=True),
    "bicubic": down_and_up("bicubic"),
    "bilinear to a size": nn.Sequential(nn.Upsample((9, 31), mode="bilinear"), conv(3)),
    "shrunk bilinearly": nn.Upsample(scale_factor=0.4, mode="bilinear"),
    "adaptive mean": nn.Sequential(conv(3, padding=1), nn.AdaptiveAvgPool2d((5, 4)), conv(2)),
    "global mean": nn.Sequential(conv(3, dilation=3), nn.AdaptiveAvgPool2d(1), conv(1)),
    "reflected": nn.Sequential(conv(3, padding=1, padding_mode="reflect"), conv(3, 2)),
    "replicated": conv(3, padding=1, dilation=1, padding_mode="replicate"),
    "pad and crop": nn.Sequential(nn.ZeroPad2d((2, -3, 1, -1)), conv(3)),
    "channels to space and back": nn.Sequential(nn.Conv2d(2, 8, 3), nn.PixelShuffle(2), nn.PixelUnshuffle(2)),
    "channels shuffled": nn.Sequential(conv(3, groups=2), nn.ChannelShuffle(2), conv(3, dilation=2, groups=2)),
    "residual": Joined(nn.Sequential(conv(3, padding=3, dilation=3), nn.ReLU(inplace=True)), nn.Identity(), torch.add),
    "branches": Joined(
        conv(3, padding=2, dilation=2), conv(3, padding=5, dilation=5), lambda a, b: torch.cat([a, b], 1)
    ),
    "gate": Joined(conv(3, padding=1), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Sigmoid()), torch.mul),
    "instance norm": nn.Sequential(conv(3), nn.InstanceNorm2d(2), conv(3)),
    "group norm per channel": nn.Sequential(conv(3, padding=1), nn.GroupNorm(2, 2)),
    "softmax of channels": nn.Sequential(conv(3), nn.Softmax(dim=1), nn.Hardswish(), nn.Dropout2d(), nn.BatchNorm2d(2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STACKS)
def test_compositions_of_pytorch_touch_what_has_a_gradient(name):
    torch.manual_seed(1)
    assert_agrees(STACKS[name].eval(), 2, (18, 23))


@pytest.mark.parametrize("name", ["unpadded, uneven", "bilinear", "residual", "instance norm"])
def test_fields_run_a_module_once_and_equal_the_gradients_of_every_pixel(name):
    """Once on the picture, some times on larger ones for the first pixel, and never again."""
    runs = []

    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.stack = STACKS[name]

        def forward(self, x):
            runs.append(tuple(x.shape[-2:]))
            return self.stack(x)

    size = (9, 14)
    fields = Fields(Counted().eval(), size, in_channels=2)
    assert runs == [size]
    first = fields.at(0, 0)
    assert runs.count(size) == 1
    before = len(runs)
    found = {pixel: fields.at(*pixel) for pixel in every_pixel(*fields.output_size)}
    assert len(runs) == before

    footprints, _ = gradient_footprints(STACKS[name].eval(), 2, size, list(found))
    for (pixel, field), expected in zip(found.items(), footprints, strict=True):
        assert torch.equal(field.touched, expected), pixel
        assert (field.stride, field.start) == (first.stride, first.start), pixel


def test_the_chosen_pixel_of_the_one_call_form_is_the_middle():
    network, size = STACKS["transposed, with gaps"], (6, 9)
    fields = Fields(network, size)
    for pixel, chosen in ((None, [side // 2 for side in fields.output_size]), ((1, 2), (1, 2))):
        field, expected = receptive_field(network, size, pixel), fields.at(*chosen)
        assert field[:3] == expected[:3] and torch.equal(field.touched, expected.touched)


def test_a_weight_that_is_a_rounded_zero_does_not_count():
    """Five times as large, every fifth pixel lies on a pixel and looks at nothing else; 1e-16 is not a look."""
    layer = nn.Upsample(scale_factor=5, mode="bilinear")
    fields = Fields(layer, (39, 41))
    for place in (0, 12, 37):  # at the first one, PyTorch's second weight is 6e-17
        field = fields.at(5 * place + 2, 5 * place + 2)
        assert field.touched.nonzero().tolist() == [[place, place]]


class Halves(nn.Module):
    """Two channels that saw the left half, two that saw the right one; a layer; and only the first channels of all."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        left, right = nn.functional.pad(x[..., :9], (0, 9)), nn.functional.pad(x[..., 9:], (9, 0))
        return self.layer(torch.cat([left, right], dim=1))[:, :2]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Identity(),
        nn.Conv2d(4, 4, 3, padding=9, dilation=9, groups=2),
        nn.ConvTranspose2d(4, 4, (9, 18), padding=(4, 0), groups=2),
        nn.GroupNorm(2, 4),
        nn.AvgPool2d((1, 18)),
    ],
    ids=str,
)
def test_channels_are_kept_apart(layer):
    """A layer that mixes no channels of the two halves leaves the right half untouched."""
    torch.manual_seed(1)
    network = Halves(layer)

    assert_agrees(network, 2, (12, 18))
    assert not receptive_field(network, (12, 18), (6, 0), in_channels=2).touched[:, 9:].any()


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d((2, 3), (3, 2), (1, 1), ceil_mode=True),
        nn.MaxPool2d(2, 1, dilation=(3, 2)),
        nn.AdaptiveMaxPool2d((3, 5)),
        pooling.MaxPool2d((3, 2), 2, 1, ceil_mode=True),
        nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=2, dilation=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 1, 3, groups=1)
        ),
    ],
    ids=str,
)
def test_maxima_touch_what_can_spoil_them(layer):
    """A NaN passes through every maximum, wherever it stands in the window: here no mean needs to stand in."""
    assert_agrees(layer.eval(), 1, (13, 10), nan_footprints)


@pytest.mark.slow
def test_loops_are_followed_too():
    field = receptive_field(lambda x: max_pool2d_loops(x, 9, 8, 4), (15, 22), (1, 2))
    assert field[:3] == ((9, 9), (8, 8), (-4, -4))
    assert torch.equal(field.touched, receptive_field(nn.MaxPool2d(9, 8, 4), (15, 22), (1, 2)).touched)


class Dilated(nn.Module):
    """A dilated convolution in one of the forms of Chapter 03."""

    def __init__(self, form):
        super().__init__()
        self.form, self.weight = form, nn.Parameter(torch.randn(2, 3, 3, 3))

    def forward(self, x):
        return self.form(x, self.weight, dilation=3, padding=2)


@pytest.mark.parametrize("form", [conv2d_zero_stuffed, conv2d_polyphase, functional.conv2d])
def test_all_forms_of_dilation_touch_the_same_nine_pixels(form):
    """The zeros between the taps are computed on the way, and do not count: 9 pixels, not 49."""
    field = receptive_field(Dilated(form), (11, 14), (3, 4), in_channels=3)

    assert field[:3] == ((7, 7), (1, 1), (-2, -2))
    assert field.touched.nonzero().tolist() == [[i, j] for i in (1, 4, 7) for j in (2, 5, 8)]


def test_a_fixed_zero_does_not_count_and_a_learned_one_does():
    class Sobel(nn.Module):
        def __init__(self, kernel):
            super().__init__()
            self.register_buffer("kernel", kernel)

        def forward(self, x):
            return functional.conv2d(x, self.kernel)

    kernel = torch.tensor([[[[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]]])
    learned = nn.Conv2d(1, 1, 3)
    nn.init.zeros_(learned.weight)

    assert receptive_field(Sobel(kernel), (3, 3)).touched.tolist() == [[True, False, True]] * 3
    assert receptive_field(learned, (3, 3)).touched.all()


# ---- against published sizes --------------------------------------------------------------------


@pytest.mark.slow
def test_alexnet_and_vgg_have_their_published_fields():
    """Araujo et al. (2019): AlexNet 195 and VGG16 212, both up to the last pooling."""
    alexnet, vgg = models.alexnet(weights=None).features, models.vgg16(weights=None).features

    assert receptive_field(alexnet, (224, 256)).size == (195, 195)
    assert receptive_field(vgg, (224, 256))[:3] == ((212, 212), (32, 32), (-90, -90))


def trunk(layers: list[int], stride_last: bool = False, norm=None) -> nn.Sequential:
    """Build a ResNet up to its last convolution, narrow inside its blocks, which changes no field.

    Args:
        layers: Blocks of each stage.
        stride_last: Halve the picture in the last block of a stage, as the measured networks of Araujo et al. do, and
            not in the first block of the next one, as torchvision does.
        norm: What makes the norms; None means batch norm.
    """
    network = models.ResNet(models.resnet.Bottleneck, layers, width_per_group=2, norm_layer=norm)
    stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    if stride_last:
        for before, after in zip(stages, stages[1:], strict=False):
            after[0].conv2.stride = after[0].downsample[0].stride = (1, 1)
            before[-1].conv2.stride, before[-1].downsample = (2, 2), nn.MaxPool2d(1, stride=2)
    return nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool, *stages)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "stride_last", "published"),
    [
        ([3, 4, 6, 3], True, 483),
        ([3, 4, 23, 3], True, 1027),
        ([3, 4, 6, 3], False, 427),  # the sum by hand below
        ([3, 4, 23, 3], False, 971),
    ],
)
def test_resnets_have_their_published_fields(layers, stride_last, published):
    """Araujo et al. (2019): ResNet-50 483, ResNet-101 1027; and torchvision's own, which halve earlier, are smaller.

    Without the batch norms, which look at one pixel and take half of the time; the whole ResNet-101 below has them.
    """
    network = trunk(layers, stride_last, norm=nn.Identity)
    assert receptive_field(network, (224, 224)).size == (published, published)


@pytest.mark.parametrize(("blocks", "size"), [(6, 427), (23, 971)])
def test_the_field_of_torchvisions_resnets_by_hand(blocks, size):
    """7 × 7 and pooling, then per stage its 3 × 3 convolutions, of which the first halves (but not in stage one)."""
    stages = [[1, 1, 1], [2, 1, 1, 1], [2] + [1] * (blocks - 1), [2, 1, 1]]
    layers = [(7, 2, 1), (3, 2, 1), *((3, stride, 1) for stage in stages for stride in stage)]
    assert receptive_field_of_stack(layers) == (size, 32)


@pytest.mark.slow
def test_a_whole_resnet_101_has_the_gradient_of_its_field():
    """On a picture that is long enough to hold all of it, and narrow to be quick."""
    network, size = trunk([3, 4, 23, 3], stride_last=True).eval(), (1184, 40)
    field = receptive_field(network, size)

    assert field.touched.any(dim=1).sum() == 1027
    assert torch.equal(field.touched, gradient_footprint(network, 3, size, (37 // 2, 2 // 2)))


@pytest.mark.slow
def test_global_networks_touch_the_whole_picture():
    for network in (
        models.resnet18(weights=None),
        models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None),
    ):
        field = receptive_field(network, (64, 96))
        assert field.touched.all() and field.size == (64, 96) and field.stride == (0, 0)


# ---- sums by hand and laws ----------------------------------------------------------------------


def test_padding_moves_the_start_and_dilation_does_so_with_it():
    """A 3 × 3 kernel of dilation 4: the window reaches 9 pixels, and begins where the padding does."""
    field = receptive_field(nn.Conv2d(1, 1, 3, stride=2, padding=(4, 1), dilation=4), (20, 30))
    assert field[:3] == ((9, 9), (2, 2), (-4, -1))


def test_taps_beyond_a_small_picture_are_part_of_the_field():
    """On 8 × 8 pixels only the middle tap of a kernel with dilation 60 is left, and no rim is touched."""
    field = receptive_field(nn.Conv2d(1, 1, 3, padding=60, dilation=60), (8, 6), (4, 3))

    assert field.touched.nonzero().tolist() == [[4, 3]]
    assert field[:3] == ((121, 121), (1, 1), (-60, -60))


def test_the_start_is_where_the_first_pixel_looks_and_strides_lead_to_the_others():
    network = nn.Sequential(nn.Conv2d(1, 1, 5, 2, 2), nn.MaxPool2d(3, 2, 1), nn.Conv2d(1, 1, 3, 1, 1))
    fields = Fields(network, (64, 48))
    for pixel in [(3, 4), (4, 3)]:
        field = fields.at(*pixel)
        begin = [field.start[i] + pixel[i] * field.stride[i] for i in (0, 1)]
        expected = torch.zeros(64, 48, dtype=torch.bool)
        rows, columns = (slice(max(0, begin[i]), begin[i] + field.size[i]) for i in (0, 1))
        expected[rows, columns] = True
        assert torch.equal(field.touched, expected)


@pytest.mark.parametrize(
    "layers", [[(3, 1, 1)] * 3, [(3, 1, 1), (3, 1, 2), (3, 1, 5)], [(7, 2, 1), (2, 2, 1), (3, 1, 4)]]
)
def test_the_sum_is_what_the_engine_finds(layers):
    stack = nn.Sequential(*(nn.Conv2d(1, 1, size, stride, dilation=rate) for size, stride, rate in layers))
    size, stride = receptive_field_of_stack(layers)

    field = receptive_field(stack, (64, 80))

    assert (field.size, field.stride) == ((size, size), (stride, stride))


def test_gridding_leaves_holes():
    """Rates 2, 2, 2 reach 13 × 13 pixels and touch 7 × 7 of them; rates 1, 2, 5 reach 17 × 17 and touch all."""

    def stack(*rates):
        return nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=rate, dilation=rate) for rate in rates))

    grid, whole = (receptive_field(stack(*rates), (31, 35)) for rates in [(2, 2, 2), (1, 2, 5)])

    assert (grid.size, grid.touched.sum().item()) == ((13, 13), 49)
    assert (whole.size, whole.touched.sum().item()) == ((17, 17), 17 * 17)


def test_the_margin_of_a_u_net_is_enough_to_predict_by_tiles():
    """A pixel beyond the announced field never changes the output, and one at its rim does."""
    torch.manual_seed(1)
    network = UNet(widths=(4, 6, 8), norm=None).double().eval()
    field = receptive_field(network, (96, 80), (48, 40))
    (top, left), (height, width) = field.touched.nonzero().min(dim=0).values.tolist(), field.size

    assert field.touched.sum() == height * width
    footprint = gradient_footprint(network, 3, (96, 80), (48, 40))
    assert footprint[top].any() and not footprint[top - 1].any()
    assert footprint[:, left + width - 1].any() and not footprint[:, left + width].any()


def test_statistics_can_be_taken_as_given():
    network = UNet(widths=(4, 6), norm="group")
    local = receptive_field(network, (64, 48), statistics=False)

    assert receptive_field(network, (64, 48)).touched.all()
    assert local == receptive_field(UNet(widths=(4, 6), norm=None), (64, 48))[:3] + (local.touched,)
    assert not local.touched.all()


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_picture_where_they_need_not():
    expected = receptive_field(UNet(), (128, 96), (0, 0))[:3]
    for size in [(64, 48), (21, 30), (61, 45)]:
        assert receptive_field(UNet(), size, (0, 0))[:3] == expected


def test_a_module_for_one_size_has_the_numbers_of_that_size():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * 6 * 5, 4))
    field = receptive_field(network, (6, 5))

    assert field[:3] == ((6, 5), (0, 0), (0, 0))
    assert field.touched.all()


def test_the_module_is_left_as_it_was():
    network = UNet(widths=(4, 6)).train()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    receptive_field(network, (16, 12))
    effective_receptive_field(network, torch.rand(2, 3, 16, 12))

    assert network.training and next(network.parameters()).grad is None
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(part.training for part in network.modules())
    torch.set_rng_state(state)
    receptive_field(network, (16, 12))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # weight_norm: PyTorch has a newer one, and networks have this
def test_a_module_with_a_computed_weight_is_followed():
    """Its last weight lies on the layer, and PyTorch refuses to copy it."""
    layer = nn.utils.weight_norm(nn.Conv2d(1, 2, 3))
    before = layer.weight

    assert receptive_field(layer, (16, 11)).size == (3, 3)
    assert effective_receptive_field(layer, torch.rand(1, 1, 8, 9), (2, 3))[2:5, 3:6].sum() == pytest.approx(1)
    assert layer.weight is before


def test_a_module_that_asserts_its_size_has_the_numbers_of_that_size():
    class Fixed(nn.Conv2d):
        def forward(self, x):
            assert x.shape[-2:] == (6, 8), "only 6 × 8"
            return super().forward(x)

    assert receptive_field(Fixed(1, 1, 3), (6, 8), (2, 2))[:3] == ((3, 3), (1, 1), (0, 0))
    with pytest.raises(ValueError, match="does not run on a picture.*only 6 × 8"):
        receptive_field(Fixed(1, 1, 3), (8, 6))


def test_the_default_dtype_does_not_matter():
    network = nn.Conv2d(1, 1, 3, padding=1)
    torch.set_default_dtype(torch.float64)
    try:
        assert receptive_field(network, (16, 9)).size == (3, 3)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_first_of_several_outputs_counts():
    class Several(nn.Module):
        def forward(self, x):
            return functional.avg_pool2d(x, 2), x

    class Named(nn.Module):
        def forward(self, x):
            return {"aux": x, "out": functional.avg_pool2d(x, 3)}

    assert receptive_field(Several(), (12, 18)).size == (2, 2)
    assert receptive_field(Named(), (12, 18)).size == (3, 3)


# ---- how much each pixel counts -----------------------------------------------------------------


def test_the_effective_field_of_equal_weights_is_a_bell_of_known_width():
    """Luo et al. (2016): n layers of k equal taps spread like the sum of n dice: variance n (k² - 1) / 12.

    A circle holds 95.45 % of a round bell at 2.486 standard deviations: sqrt(-2 ln(1 - 0.9545)).
    """
    layers = 24
    network = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(layers))).double()
    for layer in network:
        nn.init.constant_(layer.weight, 1 / 9)

    shares = effective_receptive_field(network, torch.rand(2, 1, 81, 65, dtype=torch.float64), (40, 32))

    sigma = math.sqrt(layers * 8 / 12)
    assert_close(shares.sum().item(), 1.0)
    assert shares.argmax() == 40 * 65 + 32
    assert effective_radius(shares) == pytest.approx(sigma * math.sqrt(-2 * math.log(1 - 0.9545)), rel=0.05)
    assert effective_radius(shares) < receptive_field(network, (81, 65)).size[0] / 4


def test_the_effective_field_lies_within_the_field():
    torch.manual_seed(2)
    network, x = UNet(widths=(4, 6)), torch.randn(3, 3, 40, 36)
    shares = effective_receptive_field(network, x, (20, 9))
    touched = receptive_field(network, (40, 36), (20, 9)).touched

    assert (shares >= 0).all() and not shares[~touched].any() and shares[touched].count_nonzero() > 100


def test_training_to_copy_narrows_the_effective_field():
    """A network that learns to give back its input must learn to look at the middle alone."""
    torch.manual_seed(3)
    network = nn.Conv2d(1, 1, 9, padding=4, bias=False)
    x = torch.randn(8, 1, 24, 20)

    def half() -> float:
        return effective_radius(effective_receptive_field(network, x), 0.5)

    before = half()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        functional.mse_loss(network(x), x).backward()
        optimizer.step()

    assert before > 1.5 and half() < 0.5


def test_a_channel_can_be_chosen():
    network = nn.Conv2d(2, 2, 3, padding=1, bias=False)
    with torch.no_grad():
        network.weight.zero_()
        network.weight[0, :, 1, 1] = torch.tensor([1.0, -1.0])  # opposite signs count, and do not cancel
        network.weight[1, 0, 0, 0] = -3.0
    x = torch.rand(1, 2, 5, 7)

    one, other = (effective_receptive_field(network, x, (2, 3), channel=i) for i in (0, 1))

    assert one[2, 3] == 1 and other[1, 2] == 1
    assert_close(effective_receptive_field(network, x, (2, 3))[1, 2].item(), 0.6)


@pytest.mark.parametrize(("share", "radius"), [(0.2, 0.0), (0.9, 1.0), (1.0, 1.0)])
def test_the_radius_by_hand(share, radius):
    cross = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]])
    assert effective_radius(cross, share) == pytest.approx(radius)


# ---- errors -------------------------------------------------------------------------------------


ACTIVATIONS = sorted(
    set(nn.modules.activation.__all__) - {"GLU", "LogSoftmax", "MultiheadAttention", "RReLU", "Softmin", "Softmax"}
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_looks_at_its_own_pixel(name):
    layer = nn.Threshold(0.1, 0) if name == "Threshold" else getattr(nn, name)()
    assert receptive_field(layer, (5, 4), (3, 1)).touched.nonzero().tolist() == [[3, 1]]


class Bends(nn.Module):
    """Calls an operator for which there is no rule."""

    def forward(self, x):
        flow = torch.zeros(1, *x.shape[-2:], 2, device=x.device)
        return functional.grid_sample(x, flow, align_corners=False)


def test_an_unknown_operator_is_named_with_its_module_and_the_cure(monkeypatch):
    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), Bends())
    with pytest.raises(ValueError, match=r"1 \(Bends\) calls aten\.grid_sampler_2d.*RULES\['aten\.grid_sampler_2d'\]"):
        receptive_field(network, (8, 6))

    def everywhere(call, mask):
        yield call["input"], mask.any(dim=-1, keepdim=True).any(dim=-2, keepdim=True)

    monkeypatch.setitem(RULES, "aten.grid_sampler_2d", everywhere)
    assert receptive_field(network, (8, 6)).touched.all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: receptive_field(nn.Conv2d(1, 1, 3), 0), r"input_size must be .* 1 or more, .* got 0"),
        (lambda: receptive_field(nn.Conv2d(1, 1, 3), (8, 6, 3)), r"input_size must be .*got \(8, 6, 3\)"),
        (lambda: receptive_field(nn.Conv2d(1, 1, 3), (8, 6), (6, 0)), r"output, which is 6 × 4 pixels, got \(6, 0\)"),
        (lambda: receptive_field(nn.Conv2d(1, 1, 3), (8, 6), (-1, 0)), r"pixel must be .* of 0 or more, got \(-1, 0\)"),
        (
            lambda: receptive_field(nn.Conv2d(1, 1, 9), (8, 6)),
            r"Conv2d does not run on a picture of shape \(1, 1, 8, 6\)",
        ),
        (lambda: receptive_field(nn.Conv2d(3, 1, 3), 8, in_channels=4), r"in_channels=4.*at Conv2d: .*channel"),
        (lambda: receptive_field(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (3, 3)), r"at 1 \(Linear\)"),
        (lambda: receptive_field("conv", 8), "module must be a torch.nn.Module or a function.*'conv'"),
        (lambda: receptive_field(lambda x: torch.zeros(1, 1, 4, 4), 8), "does not depend on the picture"),
        (lambda: receptive_field(lambda x: x if x.sum() > 0 else -x, 8), "shapes only, no numbers"),
        (lambda: receptive_field(lambda x: {"aux": x}, 8), "must return a tensor"),
        (lambda: receptive_field(nn.CircularPad2d(1), 8), "copy_.*cannot be followed"),
        (lambda: receptive_field(nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 1, 3)), (4, 4)), "only 2-D"),
        (lambda: receptive_field_of_stack([(3, 1)]), r"\(kernel_size, stride, dilation\), got \(3, 1\)"),
        (lambda: receptive_field_of_stack([(3, 0, 1)]), "of 1 or more, got 0"),
        (lambda: effective_receptive_field(nn.Conv2d(1, 1, 3), torch.rand(1, 8, 6)), r"\(N, C, H, W\).*\(1, 8, 6\)"),
        (lambda: effective_receptive_field(nn.Conv2d(1, 1, 3), torch.ones(1, 1, 8, 6).long()), "int64"),
        (lambda: effective_receptive_field(nn.Flatten(), torch.rand(1, 1, 8, 6)), r"must give maps.*\(1, 48\)"),
        (lambda: effective_receptive_field(nn.Conv2d(1, 1, 3), torch.rand(1, 1, 8, 6), (9, 0)), "pixel must lie"),
        (
            lambda: effective_receptive_field(nn.Conv2d(1, 2, 3), torch.rand(1, 1, 8, 6), channel=2),
            "from 0 to 1, got 2",
        ),
        (lambda: effective_radius(torch.zeros(3, 4)), "not all zero"),
        (lambda: effective_radius(torch.tensor([[1.0, float("nan")]])), "without NaN"),
        (lambda: effective_radius(torch.rand(3)), r"must be \(H, W\)"),
        (lambda: effective_radius(torch.rand(3, 4), 0), "above 0 and at most 1"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_what_cannot_be_copied_or_hides_its_calls_is_refused():
    class Holder(nn.Conv2d):
        def __init__(self):
            super().__init__(1, 1, 3)
            self.ways = (value for value in ())  # a generator; Python copies none

    for find in (
        lambda module: Fields(module, 8),
        lambda module: effective_receptive_field(module, torch.rand(1, 1, 8, 6)),
    ):
        with pytest.raises(ValueError, match="Holder cannot be copied.*generator"):
            find(Holder())

    class Script(torch.jit.ScriptModule):
        pass

    with pytest.raises(ValueError, match="hides its calls: take what it was made from"):
        Fields(nn.Sequential(Script()), 8)


def test_a_field_larger_than_any_picture_is_refused():
    """But where the picture is used up, its numbers are those of the picture."""
    wide = nn.Conv2d(1, 1, (1, 3), padding=(0, 3000), dilation=3000)
    fields = Fields(wide, (4, 5))
    for _ in range(2):
        with pytest.raises(ValueError, match="cut even in a picture of 4096 pixels"):
            fields.at(1, 2)
    assert receptive_field(wide, (1, 1))[:3] == ((1, 1), (0, 0), (0, 0))


def test_pixels_of_fields_are_checked():
    fields = Fields(nn.Conv2d(1, 1, 3), (8, 6))
    assert (fields.input_size, fields.output_size) == ((8, 6), (6, 4))
    with pytest.raises(ValueError, match=r"output, which is 6 × 4 pixels, got \(6, 0\)"):
        fields.at(6, 0)
    with pytest.raises(ValueError, match=r"pixel must be .* of 0 or more, got \(0, -1\)"):
        fields.at(0, -1)


def test_a_layer_of_a_stack_is_three_numbers():
    with pytest.raises(ValueError, match=r"a layer is \(kernel_size, stride, dilation\), got 3"):
        receptive_field_of_stack([3, 3])


@pytest.mark.parametrize(("size", "levels"), [((7, 7), 5), ((5, 9), 4), ((3, 40), 3)])
def test_on_a_map_smaller_than_its_blocks_a_layer_still_moves_on(size, levels):
    field = receptive_field(WTConv2d(1, 1, 5, wt_levels=levels), size)
    reach, block = 5 * 2**levels, 2**levels
    assert field.size == (reach, reach)
    assert field.stride == (1, 1)  # from block to block, `block` output pixels and as many of the picture
    assert field.start == (-2 * block, -2 * block)


class DownAndBack(nn.Module):
    """Halved so many times, and enlarged to the size of the picture."""

    def __init__(self, halvings):
        super().__init__()
        self.pools = nn.Sequential(*(nn.MaxPool2d(2, ceil_mode=True) for _ in range(halvings)))

    def forward(self, x):
        return nn.functional.interpolate(self.pools(x), size=x.shape[-2:])


@pytest.mark.parametrize(("size", "halvings"), [((20, 20), 6), ((9, 70), 6), ((33, 20), 7)])
def test_a_way_down_that_is_longer_than_the_picture_still_moves_on(size, halvings):
    """So it is in an RSU of height 8, which halves six times: its stride was 0 on a small map."""
    field = receptive_field(DownAndBack(halvings), size, pixel=(0, 0))
    block = 2**halvings
    assert (field.size, field.stride, field.start) == ((block, block), (1, 1), (0, 0))


def test_scripted_and_unusual_modules_are_measured_or_refused_in_words():
    """`cost` and the effective field copy a module, too."""
    scripted = warned_less(lambda: torch.jit.script(nn.Conv2d(1, 2, 3)))
    for asked in (
        lambda module: receptive_field(module, 9),
        lambda module: cost(module, 1, 1, 9, 9),
        lambda module: effective_receptive_field(module, torch.randn(1, 1, 9, 9)),
    ):
        for module in (scripted, nn.Sequential(scripted)):
            with pytest.raises(ValueError, match="scripted or traced"):
                asked(module)
        asked(warned_less(lambda: nn.utils.weight_norm(nn.Conv2d(1, 2, 3))))


def warned_less(make):
    """Both are deprecated, and used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def test_another_default_dtype_changes_no_field():
    for dtype in (torch.float64, torch.bfloat16):
        torch.set_default_dtype(dtype)
        try:
            block = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.MaxPool2d(2))
            assert receptive_field(block, 16).size == (4, 4)
            assert cost(block, 1, 1, 16, 16).multiply_adds == 18 * 256
        finally:
            torch.set_default_dtype(torch.float32)

"""FCN against the source's network written out, against torchvision's and d2l's; its weights, its reach, its tiles."""

import copy
import hashlib
import math
import warnings

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torchvision import models

from chapters_code.data.loading import Normalise
from chapters_code.exercises.solutions.fcn import step
from chapters_code.fcn import BACKBONES, FCN, STRIDE, resnet_features
from chapters_code.metrics import ConfusionMatrix
from chapters_code.predict import predict_tiled
from chapters_code.receptive_field import receptive_field
from chapters_code.train.losses import cross_entropy
from chapters_code.weights import NoWeights
from every_layer import settled
from grids import every

# How far an output pixel's field reaches up and left; down and right it is less, see the test of the field.
RADIUS = {"resnet18": 264, "mobilenet_v2": 292}


def network(**settings) -> FCN:
    """An FCN in float64 whose running means and variances are those of noise, as after training."""
    torch.manual_seed(0)
    return settled(FCN(**({"num_classes": 5, "upsample": "depthwise"} | settings))).double().eval()


def picture(*shape: int, seed: int = 5) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


# ---- sizes ---------------------------------------------------------------------------------------


@pytest.mark.slow
@every(backbone=BACKBONES, size=[(1, 1), (1, 40), (33, 47), (32, 64), (375, 500), (320, 480)])
def test_logits_have_the_size_of_the_picture(backbone, size):
    model = FCN(7, backbone, upsample="fixed").eval()
    batch = 1 if size[0] > 100 else 3
    with torch.no_grad():
        assert model(torch.randn(batch, 3, *size)).shape == (batch, 7, *size)


@pytest.mark.parametrize(("backbone", "channels"), [("resnet18", 512), ("mobilenet_v2", 1280)])
def test_the_small_map_has_a_cell_for_each_32_pixels_or_part_of_them(backbone, channels):
    """The sizes of the source: 320 × 480 gives 10 × 15."""
    features = FCN(2, backbone).eval().features
    with torch.no_grad():
        for size, cells in [((320, 480), (10, 15)), ((321, 33), (11, 2)), ((1, 32), (1, 1))]:
            assert features(torch.randn(1, 3, *size)).shape == (1, channels, *cells)


@pytest.mark.parametrize(
    ("backbone", "upsample", "features", "enlarging"),
    [
        ("resnet18", "dense", 11_176_512, 21 * 21 * 64 * 64),
        ("resnet18", "depthwise", 11_176_512, 21 * 64 * 64),
        ("resnet18", "fixed", 11_176_512, 0),
        ("mobilenet_v2", "dense", 2_223_872, 21 * 21 * 64 * 64),
    ],
)
def test_parameters_are_those_counted_by_hand(backbone, upsample, features, enlarging):
    """By torchvision's table the whole classifiers have 11,689,512 and 3,504,872, 1000 classes included."""
    model = FCN(21, backbone, upsample=upsample)
    channels = BACKBONES[backbone][1]
    whole = {"resnet18": 11_689_512, "mobilenet_v2": 3_504_872}[backbone]

    assert features + channels * 1000 + 1000 == whole
    assert [count(model.features), count(model.upsample)] == [features, enlarging]
    assert count(model) == features + channels * 21 + 21 + enlarging


@pytest.mark.parametrize("backbone", BACKBONES)
def test_in_training_one_picture_must_be_larger_than_a_cell(backbone):
    model = FCN(3, backbone, upsample="fixed").train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(torch.randn(1, 3, 32, 32))
    assert model(torch.randn(1, 3, 33, 32)).shape == (1, 3, 33, 32)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 3, 32, 32)


# ---- the network of the source, written out ------------------------------------------------------


def source_network(num_classes: int) -> nn.Sequential:
    """FCN-32s on ResNet-18 as "Dive into Deep Learning" builds it, in its words; weights are random."""
    net = nn.Sequential(*list(models.resnet18(weights=None).children())[:-2])
    net.add_module("final_conv", nn.Conv2d(512, num_classes, kernel_size=1))
    net.add_module("transpose_conv", nn.ConvTranspose2d(num_classes, num_classes, 64, padding=16, stride=32))
    nn.init.zeros_(net.transpose_conv.bias)  # ours has none: the 1 × 1 convolution before has one
    return net


def with_the_weights_of(theirs: nn.Module, ours: FCN) -> nn.Module:
    """Give the source's network our weights, part by part in the order of the forward pass."""
    state = {name: value for name, value in theirs.state_dict().items() if name != "transpose_conv.bias"}
    values = ours.state_dict().values()
    assert [value.shape for value in state.values()] == [value.shape for value in values]
    theirs.load_state_dict(dict(zip(state, values, strict=True)), strict=False)
    return theirs


@pytest.mark.slow
@pytest.mark.parametrize(("training", "size"), [(False, (320, 480)), (True, (96, 160))])
def test_equals_the_sources_network_values_and_gradients(training, size):
    """At the source's size, and with its 64 × 64 kernels not bilinear any more, as after some steps.

    In training on a smaller picture: what is another there, the batch norms, does so at every size.
    """
    ours = network(num_classes=6, upsample="dense").train(training)
    ours.upsample.weight.data += 0.01 * torch.randn_like(ours.upsample.weight)
    theirs = with_the_weights_of(source_network(6).double(), ours).train(training)
    x = picture(1, 3, *size)

    out, expected = ours(x), theirs(x)
    assert_close(out, expected)

    weighing = picture(*expected.shape, seed=6)
    (out * weighing).mean().backward()
    (expected * weighing).mean().backward()
    gradients = [weight.grad for name, weight in theirs.named_parameters() if name != "transpose_conv.bias"]
    for (name, weight), gradient in zip(ours.named_parameters(), gradients, strict=True):
        assert gradient.abs().max() > 0, name
        assert_close(weight.grad, gradient)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_features_are_torchvisions(backbone):
    """The whole classifier, run as torchvision runs it, from its own map onwards."""
    classifier = settled(getattr(models, backbone)(weights=None)).double().eval()
    model = FCN(3, backbone).double().eval()
    parts = {name.removeprefix("features."): value for name, value in classifier.state_dict().items()}
    model.features.load_state_dict({name: parts[name] for name in model.features.state_dict()})
    x = picture(2, 3, 65, 96)

    mean = model.features(x).mean((2, 3))
    head = classifier.fc if backbone == "resnet18" else classifier.classifier
    assert_close(head(mean), classifier(x))
    assert mean.std() > 0.01


def test_resnets_parts_keep_their_names():
    names = [name for name, _ in resnet_features().named_children()]
    assert names == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]


# ---- what it starts with -------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_classifier_starts_with_xaviers_numbers(backbone):
    """Uniform between ± √(6 / (C + K)), so of variance 2 / (C + K); the bias is 0."""
    torch.manual_seed(1)
    model, channels = FCN(21, backbone), BACKBONES[backbone][1]
    weight, bound = model.classifier.weight, math.sqrt(6 / (channels + 21))

    assert 0.99 * bound < weight.abs().max() <= bound
    assert_close(weight.var().item(), 2 / (channels + 21), rtol=0.05, atol=0)
    assert weight.mean().abs() < 0.02 * bound
    assert not model.classifier.bias.any()


@pytest.mark.parametrize("upsample", ["dense", "depthwise", "fixed"])
@pytest.mark.parametrize("size", [(100, 170), (320, 96)])
def test_at_the_start_the_map_is_enlarged_bilinearly_from_the_top_left(upsample, size):
    """Half a cell from the rim it is `interpolate`, in which cell (i, j) covers rows 32·i to 32·i + 31.

    What lies beyond the picture at the far sides is cut off; nothing is moved and nothing squeezed.
    """
    model = network(upsample=upsample)
    x = picture(1, 3, *size)
    with torch.no_grad():
        small = model.classifier(model.features(x))
        large = functional.interpolate(small, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        out = model(x)

    bottom, right = (32 * math.ceil(side / 32) - 16 for side in size)
    assert_close(out[..., 16:bottom, 16:right], large[..., 16 : min(size[0], bottom), 16 : min(size[1], right)])
    assert (out - large[..., : size[0], : size[1]]).abs().max() > 0.01  # at the rim zeros lie outside


def test_the_three_ways_to_enlarge_start_alike():
    """The 21 · 21 dense kernels are 21 at the start, and those are two matrices."""
    models_ = {upsample: FCN(21, "mobilenet_v2", upsample=upsample).double() for upsample in ("dense", "depthwise")}
    fixed = FCN(21, "mobilenet_v2", upsample="fixed").double()
    small = picture(2, 21, 3, 4)
    expected = fixed.upsample(small)

    for model in models_.values():
        assert_close(model.upsample(small), expected)
    assert (models_["dense"].upsample.weight.abs().sum((2, 3)) > 0).equal(torch.eye(21, dtype=torch.bool))


def test_only_the_dense_one_can_mix_classes():
    """One step along a gradient; depthwise, each class's map stays with itself."""
    small, target = picture(1, 3, 2, 2), torch.zeros(1, 64, 64, dtype=torch.int64)
    for upsample, mixes in (("dense", True), ("depthwise", False)):
        layer = FCN(3, "mobilenet_v2", upsample=upsample).double().upsample
        functional.cross_entropy(layer(small), target).backward()
        layer.weight.data -= layer.weight.grad
        other = small.clone()
        other[:, 0] += 1
        changed = (layer(other) - layer(small)).abs().amax((0, 2, 3)) > 1e-12
        assert changed.tolist() == [True, mixes, mixes]


# ---- FCN-16s and FCN-8s: finer maps speak, too ---------------------------------------------------


def ladder(model: FCN, x: torch.Tensor) -> torch.Tensor:
    """What the paper's figure says, in PyTorch's own words: maps by their strides, and bilinear stamps."""

    def enlarged(scores, scale, like):
        channels = scores.shape[1]
        tent = 1 - (torch.arange(2 * scale, dtype=scores.dtype) - scale + 0.5).abs() / scale
        kernel = torch.outer(tent, tent).expand(channels, 1, -1, -1)
        larger = functional.conv_transpose2d(scores, kernel, stride=scale, padding=scale // 2, groups=channels)
        return larger[..., : like.shape[-2], : like.shape[-1]]

    maps, stride, last = {}, 1, x
    for part in model.features:
        before, last = last, part(last)
        stride *= 2 if last.shape[-1] < before.shape[-1] else 1
        maps[stride] = last  # the last one of each stride stays
    scores = model.classifier(maps[32])
    for stride, skip in zip((16, 8), model.skips, strict=False):
        scores = enlarged(scores, 2, maps[stride]) + skip(maps[stride])
    return enlarged(scores, 32 // 2 ** len(model.skips), x)


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size", [(64, 128), (75, 97)])
def test_the_ladder_is_the_papers(backbone, stride, size):
    """Odd sides, too: each doubled map is cut to the map beside it."""
    model = network(backbone=backbone, stride=stride)
    for skip in model.skips:  # as after training: at the start they are 0
        nn.init.normal_(skip.weight)
        nn.init.normal_(skip.bias)
    x = picture(1, 3, *size)
    with torch.no_grad():
        out = model(x)
        assert_close(out, ladder(model, x))
    assert len(model.skips) == {32: 0, 16: 1, 8: 2}[stride] and out.shape == (1, 5, *size)


@pytest.mark.parametrize("upsample", ["dense", "depthwise", "fixed"])
def test_at_the_start_the_finer_maps_say_nothing_and_learn_at_the_first_step(upsample):
    model = network(stride=8, upsample=upsample)
    x = picture(1, 3, 64, 96)
    weighing = picture(1, 5, 64, 96, seed=6)
    (model(x) * weighing).sum().backward()
    for skip in model.skips:
        assert not skip.weight.any() and not skip.bias.any()
        assert skip.weight.grad.any() and skip.bias.grad.any()


@pytest.mark.parametrize(
    ("backbone", "stride", "counted"),
    [("resnet18", 16, 256 * 21 + 21), ("resnet18", 8, (256 + 128) * 21 + 42), ("mobilenet_v2", 8, (96 + 32) * 21 + 42)],
)
def test_the_ladder_costs_as_many_weights_as_counted_by_hand(backbone, stride, counted):
    assert (
        count(FCN(21, backbone, upsample="fixed", stride=stride)) - count(FCN(21, backbone, upsample="fixed"))
        == counted
    )


# ---- weights -------------------------------------------------------------------------------------


def save(state, path):
    torch.save(state, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_the_file_of_a_whole_classifier_is_loaded(tmp_path, backbone, kind):
    """As torchvision publishes it: with the layer that names the picture, which is left out."""
    torch.manual_seed(2)
    classifier = settled(getattr(models, backbone)(weights=None))
    path = save(classifier.state_dict(), tmp_path / "classifier.pth")

    model = FCN(3, backbone, kind(path))
    features = model.features.state_dict()
    assert model.started_from == f"classifier.pth, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert FCN(3, backbone).started_from is None

    theirs = {name.removeprefix("features."): value for name, value in classifier.state_dict().items()}
    assert set(theirs) - set(features) == {"fc.weight", "fc.bias"} or backbone == "mobilenet_v2"
    for name, value in features.items():
        assert_close(value, theirs[name], rtol=0, atol=0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_file_of_the_features_alone_is_loaded(tmp_path, backbone):
    torch.manual_seed(2)
    features = FCN(3, backbone).features
    path = save(features.state_dict(), tmp_path / "features.pth")

    torch.manual_seed(3)
    for name, value in FCN(3, backbone, path).features.state_dict().items():
        assert_close(value, features.state_dict()[name], rtol=0, atol=0)


def test_a_file_saved_by_a_program_of_training_is_loaded(tmp_path):
    """On several devices, compiled, with an epoch beside it: the same weights."""
    state = models.resnet18().state_dict()
    wrapped = {"epoch": 2, "state_dict": {f"module._orig_mod.{name}": value for name, value in state.items()}}

    model = FCN(3, weights=save(wrapped, tmp_path / "wrapped.pth"))

    assert_close(model.features.layer4[1].conv2.weight.data, state["layer4.1.conv2.weight"], rtol=0, atol=0)


def test_old_files_without_a_count_of_batches_are_loaded(tmp_path):
    """The first file of ResNet-18 that torchvision published is older than this count."""
    state = {name: value for name, value in models.resnet18().state_dict().items() if "num_batches" not in name}
    model = FCN(3, weights=save(state, tmp_path / "old.pth"))
    assert_close(model.features.conv1.weight.data, state["conv1.weight"], rtol=0, atol=0)


def spoilt(backbone: str, fault: str) -> dict:
    state = getattr(models, backbone)(weights=None).state_dict()
    match fault:
        case "a part is missing":
            state.pop(next(name for name in state if name.endswith("running_var")))
        case "a part too many":
            state["extra.weight"] = torch.zeros(1)
        case "another shape":
            name = next(iter(state))
            state[name] = state[name][:-1]
    return state


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("fault", ["a part is missing", "a part too many", "another shape"])
def test_weights_that_do_not_fit_are_refused(tmp_path, backbone, fault):
    path = save(spoilt(backbone, fault), tmp_path / "spoilt.pth")
    with pytest.raises(ValueError, match=rf"spoilt\.pth does not hold the weights of {backbone}: .{{40}}"):
        FCN(3, backbone, path)


@pytest.mark.parametrize(("backbone", "other"), [("resnet18", "mobilenet_v2"), ("mobilenet_v2", "resnet18")])
def test_the_file_of_the_other_network_is_refused(tmp_path, backbone, other):
    path = save(getattr(models, other)(weights=None).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=rf"other\.pth does not hold the weights of {backbone}"):
        FCN(3, backbone, path)


def test_the_weights_of_a_whole_fcn_are_refused_here(tmp_path):
    """They are for `load_state_dict`; else a trained network would silently lose its head."""
    path = save(FCN(3).state_dict(), tmp_path / "fcn.pth")
    with pytest.raises(ValueError, match="does not hold the weights of resnet18"):
        FCN(3, weights=path)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_imagenet_is_looked_for_where_the_weights_of_this_backbone_are(tmp_path, monkeypatch, backbone):
    torch.manual_seed(2)
    features = FCN(3, backbone).features
    (tmp_path / "weights").mkdir()
    save(features.state_dict(), tmp_path / "weights" / f"{backbone}_features_imagenet.pth")
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))

    found = FCN(3, backbone, "imagenet").features.state_dict()
    for name, value in features.state_dict().items():
        assert_close(found[name], value, rtol=0, atol=0)


def test_weights_that_are_nowhere_are_not_replaced(tmp_path, monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path))
    monkeypatch.setenv("BOOK_OFFLINE", "1")
    with pytest.raises(NoWeights, match="resnet18 are not here"):
        FCN(3, weights="imagenet")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        FCN(3, weights=tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_classes": 0}, "num_classes must be an integer of 1 or more, got 0"),
        ({"num_classes": 2.0}, "num_classes must be an integer"),
        ({"weights": True}, 'weights must be None, "imagenet" or the path of a file, got True'),
        ({"backbone": "vgg16"}, "backbone must be one of resnet18, mobilenet_v2, got 'vgg16'"),
        ({"stride": 4}, "stride must be one of 32, 16, 8, got 4"),
        ({"upsample": "nearest"}, "upsample must be one of dense, depthwise, fixed, got 'nearest'"),
    ],
)
def test_unknown_settings_are_refused_by_name(settings, said):
    with pytest.raises(ValueError, match=said):
        FCN(**settings)


@pytest.mark.real_data
def test_the_real_imagenet_features_of_a_photograph_are_torchvisions(book_data):
    """The same file, loaded by torchvision's class; the features find something in a photograph."""
    path = book_data / "weights" / "mobilenet_v2_features_imagenet.pth"
    theirs = models.mobilenet_v2(weights=None).features
    theirs.load_state_dict(torch.load(path, weights_only=True))
    photograph = Normalise()(torch.from_numpy(np.ascontiguousarray(astronaut()[:160, 100:300])).permute(2, 0, 1)[None])
    model = FCN(21, "mobilenet_v2", "imagenet").eval()

    with torch.no_grad():
        found = model.features(photograph)
        assert_close(found, theirs.eval()(photograph), rtol=0, atol=0)
        untrained = FCN(21, "mobilenet_v2").eval().features(photograph)
    assert found.shape == (1, 1280, 5, 7)
    assert 0.02 < (found > 0.5).float().mean() < 0.5
    assert untrained.max() < 0.5


# ---- what a pixel sees ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "size", "start"), [("resnet18", 467, -249), ("mobilenet_v2", 523, -277)])
def test_the_receptive_field_is_that_of_two_neighbouring_cells(backbone, size, start):
    """A cell of ResNet-18's map sees 435 pixels, one of MobileNetV2's 491; an output pixel is between two cells.

    The first pixel is between cell −1 and cell 0.  From this follows the radius: of all pixels that are between
    cell c − 1 and cell c, the last one, 15 further on, reaches farthest back.
    """
    model = FCN(2, backbone, upsample="depthwise").eval()
    field, cell = receptive_field(model, (64, 96)), receptive_field(model.features, (64, 96))

    assert field.size == (size, size) and field.start == (start, start)
    assert cell.size == (size - 32, size - 32) and cell.stride == (32, 32)
    assert cell.start == (start + 32, start + 32)
    farthest_down = (32 + cell.start[0] + cell.size[0] - 1) - 16  # of those between cells 0 and 1, from the first one
    assert RADIUS[backbone] == 15 - start >= farthest_down


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_picture_moved_by_a_cell_moves_its_logits(backbone):
    """Along a strip, away from its ends: moved by 64 pixels, its logits are moved by 64; moved by 16, they change."""
    model = network(backbone=backbone)
    small = picture(1, 3, 24, 40)
    side = 2 * RADIUS[backbone] + 160

    def logits(column):
        strip = torch.zeros(1, 3, 96, side, dtype=torch.float64)
        strip[..., 30:54, column : column + 40] = small
        with torch.no_grad():
            return model(strip)[..., RADIUS[backbone] : RADIUS[backbone] + 128]

    here = logits(RADIUS[backbone] - 20)
    assert_close(logits(RADIUS[backbone] + 44)[..., 64:], here[..., :-64])
    assert (logits(RADIUS[backbone] - 4)[..., 16:] - here[..., :-16]).abs().max() > 1e-3


# ---- by tiles ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_tiles_equal_the_whole_picture_within_the_theorem(backbone, axis):
    """Tiles on multiples of 32, and the receptive field's radius as margin; the picture's sides are no multiples."""
    model, radius = network(backbone=backbone), RADIUS[backbone]
    size, tile, margin = (781, 43), (640, 64), (radius, 0)
    if axis == "columns":
        size, tile, margin = size[::-1], tile[::-1], margin[::-1]
    x = picture(1, 3, *size)
    with torch.no_grad():
        whole = model(x)

    def by_tiles(margin, align=STRIDE):
        return predict_tiled(model, x, tile, [2 * one for one in margin], margin=margin, align=align)

    assert_close(by_tiles(margin), whole, rtol=0, atol=1e-12)
    for short in (100, 0):
        assert (by_tiles([min(one, short) for one in margin]) - whole).abs().max() > 1e-6
    assert (by_tiles(margin, align=1) - whole).abs().max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (33, 47), (375, 500)])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_picture_of_any_size_is_predicted_by_tiles(backbone, size):
    """What is not larger than the tile is the whole; what is, is close to it where tiles overlap enough."""
    model = FCN(21, backbone, upsample="fixed").eval()
    x = picture(3, *size).float()
    with torch.no_grad():
        whole = model(x[None])[0]

    assert_close(predict_tiled(model, x, 512, 64, align=STRIDE), whole)
    out = predict_tiled(model, x, 160, 64, align=STRIDE, window="hann")
    assert out.shape == (21, *size) and out.isfinite().all()


# ---- training, beside d2l ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def d2l():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from d2l import torch as d2l

        return d2l


def source_loss(inputs, targets):
    """The loss of the source: one number for each picture, the mean over its pixels."""
    return functional.cross_entropy(inputs, targets, reduction="none").mean(1).mean(1)


@pytest.fixture
def batch():
    torch.manual_seed(4)
    return torch.randn(4, 3, 64, 96), torch.randint(0, 6, (4, 64, 96))


def test_loss_and_accuracy_are_d2ls_on_the_same_batch(d2l, batch):
    """Theirs are sums, of losses over pictures and of right pixels."""
    torch.manual_seed(0)
    ours = settled(FCN(6))
    theirs = with_the_weights_of(source_network(6), ours)
    trainer = torch.optim.SGD(theirs.parameters(), lr=0.0)
    images, masks = batch

    loss_sum, right = d2l.train_batch_ch13(theirs, images, masks, source_loss, trainer, [torch.device("cpu")])

    out = ours.train()(images)
    scores = ConfusionMatrix(6)
    scores.update(out.detach(), masks)
    assert_close(cross_entropy(out, masks), loss_sum / len(images))
    assert scores.pixel_accuracy() == right / masks.numel()
    assert 0.05 < scores.pixel_accuracy() < 0.5


@pytest.mark.slow
def test_one_step_is_d2ls_step(d2l, batch):
    """Their gradient is of the sum over pictures, ours of the mean; so our rate is 4 times theirs, for 4 pictures.

    The same holds of the decay: it is not in the loss, so ours is a quarter.  Theirs is the source's optimiser.
    """
    images, masks = (batch[0].double(), batch[1])
    ours = network(num_classes=6, upsample="dense")
    theirs = with_the_weights_of(source_network(6).double(), ours)
    before = copy.deepcopy(ours.state_dict())
    theirs_sgd = torch.optim.SGD(theirs.parameters(), lr=1e-3, weight_decay=1e-3)
    ours_sgd = torch.optim.SGD(ours.parameters(), lr=4e-3, weight_decay=1e-3 / 4)

    d2l.train_batch_ch13(theirs, images, masks, source_loss, theirs_sgd, [torch.device("cpu")])
    cross_entropy(ours.train()(images), masks).backward()
    ours_sgd.step()

    found = [value for name, value in theirs.state_dict().items() if name != "transpose_conv.bias"]
    for (name, value), expected in zip(ours.state_dict().items(), found, strict=True):
        assert_close(value, expected, rtol=1e-9, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}")
        assert not value.equal(before[name]), name


def test_the_step_of_exercise_6_10_is_d2ls_step(d2l):
    """On a small network, with a rate 4 times theirs for 4 pictures; twice, so that no gradient may be left over."""
    torch.manual_seed(6)
    first = nn.Conv2d(3, 4, 3, padding=1, bias=False)  # batch normalisation would take a bias away
    ours = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 1)).double()
    theirs = copy.deepcopy(ours)
    trainer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for seed in (7, 8):
        before = copy.deepcopy(ours.state_dict())
        images, masks = picture(4, 3, 8, 12, seed=seed), torch.randint(0, 6, (4, 8, 12))

        loss_sum, _ = d2l.train_batch_ch13(theirs, images, masks, source_loss, trainer, [torch.device("cpu")])

        assert_close(step(ours, images, masks, 0.4), loss_sum.detach() / 4)
        for name, value in theirs.state_dict().items():
            assert_close(ours.state_dict()[name], value, msg=lambda text, name=name: f"{name}: {text}")
            assert not value.equal(before[name]), name


def test_void_is_background_to_d2l_and_nothing_to_us(batch):
    """The border of the objects: the source counts it as class 0, so its loss and its accuracy are others."""
    images, masks = batch
    model = FCN(6).train()
    out = model(images)
    bordered = masks.clone()
    bordered[:, :, ::3] = 255
    kept = bordered != 255

    assert_close(cross_entropy(out, bordered), functional.cross_entropy(out.movedim(1, -1)[kept], masks[kept]))
    theirs = source_loss(out, bordered.where(kept, 0)).mean()
    assert not torch.isclose(theirs, cross_entropy(out, bordered), rtol=1e-3)

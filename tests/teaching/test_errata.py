"""The errata page: what each entry says is run here or in the test that it names, and nothing on it leads nowhere.

A test of a defect runs the wrong form and the right one, and asserts that they differ as the page says.  Many defects
are shown where their layer is tested; here are the others.
"""

import ast
import importlib.util
import math
import re
import warnings
from functools import cache
from itertools import combinations
from pathlib import Path

import nbformat
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.data.loading import Normalise
from chapters_code.data.synthetic import cracked_road
from chapters_code.fcn import FCN
from chapters_code.hwd import HWDownsampling
from chapters_code.metrics import ConfusionMatrix
from chapters_code.metrics.saliency import min_max
from chapters_code.pooling import avg_pool2d, max_pool2d, max_pool2d_loops
from chapters_code.predict import predict_tiled
from chapters_code.receptive_field import receptive_field
from chapters_code.shapes import conv_size, conv_transpose_size
from chapters_code.strided import StridedConv2d
from chapters_code.transposed import interpolation_matrix
from chapters_code.u2net import Stage, U2Net
from chapters_code.wavelets import haar_idwt2
from chapters_code.wtconv import WTConv2d

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "book" / "errata.md"
TEXT = PAGE.read_text(encoding="utf-8")
# Heading and text of each entry.
ENTRIES = [tuple(part.split("\n", 1)) for part in re.split(r"^### ", re.sub(r"(?m)^## .*$", "", TEXT), flags=re.M)[1:]]
TEST = re.compile(r"`(tests/\w+/test_\w+\.py)::(test_\w+)`")
entries = pytest.mark.parametrize(("title", "text"), ENTRIES, ids=[title for title, _ in ENTRIES])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


# ---- the page -----------------------------------------------------------------------------------


@cache
def names_of_tests(path: Path) -> set[str]:
    """Name the test functions of a file, without importing it."""
    return {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@cache
def headings(path: Path) -> set[str]:
    """Give the headings of a notebook or a page, without their marks of emphasis and code."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return {plain(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def plain(text: str) -> str:
    return re.sub(r"[*`]", "", text).strip()


def test_the_page_has_entries_and_no_title_twice():
    titles = [title for title, _ in ENTRIES]
    assert len(titles) > 30
    assert len(set(titles)) == len(titles)


@entries
def test_every_entry_names_tests_that_there_are(title, text):
    named = TEST.findall(text)
    assert named, "name the test that shows it, as `tests/operators/test_x.py::test_y`"
    assert len(named) == text.count("::"), "a test is not written as the others are"
    for file, name in named:
        assert (ROOT / file).is_file(), file
        assert name in names_of_tests(ROOT / file), f"{file} has no {name}"


@entries
def test_every_entry_says_where_in_the_book(title, text):
    """A link to the page, and the heading of the section there."""
    places = re.findall(r"\[[^]]+\]\((\.\./notebooks/\w+\.ipynb|\w+\.md)\), \*(.+?)\*[.;\n]", text)
    assert places, "link the chapter, with its section: [Chapter 00](../notebooks/00_pictures.ipynb), *Section*."
    for link, section in places:
        path = (PAGE.parent / link).resolve()
        assert path.is_file(), link
        assert plain(section) in headings(path), f"{path.name} has no section {section!r}"


def test_links_lead_to_pages_of_the_book_or_to_threads():
    """And a thread is called by its name: [OWNER/REPO #7](https://github.com/OWNER/REPO/issues/7)."""
    links = re.findall(r"\[([^]]*)\]\(([^)]*)\)", TEXT)
    assert len(links) == TEXT.count("](")
    for words, target in links:
        if target.startswith("http"):
            thread = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)/(?:issues|pull)/(\d+)", target)
            assert thread, target
            assert words == f"{thread[1]} #{thread[2]}"
        else:
            assert (PAGE.parent / target).resolve().is_file(), target
    assert TEXT.count("://") == sum(target.startswith("http") for _, target in links)


def test_every_test_of_a_defect_is_on_the_page():
    """Those after the page's own tests, which are of no use if no reader hears of them."""
    named = {name for file, name in TEST.findall(TEXT) if file == "tests/teaching/test_errata.py"}
    of_the_page = {name for name, one in globals().items() if name.startswith("test_") and uses_the_page(one)}
    assert names_of_tests(Path(__file__)) - of_the_page == named


def uses_the_page(test) -> bool:
    return bool({"TEXT", "ENTRIES", "title"} & {*test.__code__.co_names, *test.__code__.co_varnames})


# ---- pooling and strides ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, 160, 47])
def test_without_padding_the_formula_is_one_pixel_short(size):
    """Kernel 3, stride 2, padding 1: the strided layer of the article, and ResNet's pooling."""
    picture = torch.zeros(1, 1, size, 2 * size)
    pooled = functional.max_pool2d(picture, 3, 2, 1).shape[-2]

    assert (size - 3) // 2 + 1 == pooled - 1
    assert StridedConv2d(1, 1)(picture).shape[-2] == pooled == conv_size(size, 3, stride=2, padding=1)


def test_loops_that_fill_zeros_forget_the_dtype():
    """Zeros are float32 if nothing is said, and what is put into them becomes so, too."""

    def pooled(x):
        out = torch.zeros(*x.shape[:2], x.shape[2] // 2, x.shape[3] // 2)
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[..., i, j] = x[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((2, 3))
        return out

    x = torch.randn(1, 2, 4, 6, dtype=torch.float64)
    assert pooled(x).dtype == torch.float32
    with pytest.raises(AssertionError, match="dtype"):
        assert_close(pooled(x), functional.max_pool2d(x, 2))
    assert (pooled(x) - functional.max_pool2d(x, 2)).any(), "digits are lost, too"
    assert_close(max_pool2d_loops(x, 2), functional.max_pool2d(x, 2), rtol=0, atol=0)


def test_a_quarter_of_the_numbers_is_no_quarter_of_the_picture():
    """Blocks of the mean stand for a slope nearly as well as its pixels do, and for noise a quarter as well."""

    def kept(picture):
        rough = avg_pool2d(picture, 2).repeat_interleave(2, -1).repeat_interleave(2, -2)
        return 1 - ((picture - rough).var() / picture.var()).item()

    slope = torch.arange(64.0).expand(1, 1, 48, 64)
    assert kept(slope) > 0.99
    assert kept(torch.randn(1, 1, 480, 640)) == pytest.approx(0.25, abs=0.01)


def test_what_hwd_mixes_is_gone():
    """16 channels are 64 numbers per block; of 32 that come out, half of all directions are not seen."""
    layer = HWDownsampling(16, 32).double()
    matrix = layer.mix.weight.detach().flatten(1)
    assert torch.linalg.matrix_rank(matrix) == 32
    unseen = torch.linalg.svd(matrix).Vh[32:]
    bands = torch.randn(1, 5, 4, 32, dtype=torch.float64) @ unseen
    one = torch.randn(1, 16, 10, 8, dtype=torch.float64)
    other = one + haar_idwt2(bands.movedim(-1, 1).chunk(4, dim=1))

    assert (other - one).norm() > 0.5 * one.norm()
    assert_close(layer(one), layer(other), rtol=0, atol=1e-10)


LAYERS = {
    "max": lambda channels: nn.MaxPool2d(2),
    "average": lambda channels: nn.AvgPool2d(2),
    "strided": lambda channels: StridedConv2d(channels, channels),
}


def untrained(name: str, number: int, image: torch.Tensor) -> torch.Tensor:
    """Give the map of the article's network, whose three convolutions are drawn from `number`."""
    torch.manual_seed(100 + number)
    network = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), LAYERS[name](16)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), LAYERS[name](32)),
        nn.Conv2d(32, 1, 3, padding=1),
    )
    torch.manual_seed(number)
    for place in (0, 4, 8):
        network[place].reset_parameters()
    with torch.no_grad():
        return network(image)[0, 0]


def test_an_untrained_network_shows_its_draw_and_not_its_layer():
    """Two poolings with one draw are more alike than one pooling with two draws; and every draw has its winner."""
    road = cracked_road(seed=2)
    image, crack = road.image.float()[None] / 255, max_pool2d(road.mask[None].float(), 4)[0] == 1
    maps = {name: [untrained(name, number, image) for number in range(8)] for name in LAYERS}

    def alike(one, other):
        return abs(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].item())

    draws = [alike(*pair) for pair in combinations(maps["max"], 2)]
    layers = [alike(*pair) for pair in zip(maps["max"], maps["average"], strict=True)]
    assert sum(layers) / len(layers) > 0.2 + sum(draws) / len(draws)

    def contrast(out):
        shown = (out / out.max()).clamp(0, 1)
        return (shown[crack].mean() - shown[~crack].mean()).abs().item()

    winners = {max(maps, key=lambda name: contrast(maps[name][number])) for number in range(8)}
    assert len(winners) > 1


def test_dividing_a_negative_map_by_its_maximum_turns_it_upside_down():
    out = torch.tensor([-4.0, -2, -1])

    assert (out / out.max()).tolist() == [4, 2, 1]


def test_of_two_layers_with_one_name_the_second_is_left():
    network = nn.Module()
    network.pool1 = nn.MaxPool2d(2)
    network.pool1 = nn.AvgPool2d(2)

    assert [type(one) for one in network.children()] == [nn.AvgPool2d]


# ---- enlarging, and FCN -------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 2), (4, 3), (3, 1)])
def test_without_dilation_the_size_of_a_transposed_convolution_is_too_small(kernel_size, dilation):
    """The formula as it once was documented; it is right for a dilation of 1 only."""
    stride, padding = 2, 1
    layer = nn.ConvTranspose2d(1, 1, kernel_size, stride, padding, dilation=dilation)
    size = layer(torch.zeros(1, 1, 10, 7)).shape[-2]
    documented = (10 - 1) * stride - 2 * padding + kernel_size

    assert size == conv_transpose_size(10, kernel_size, stride, padding, dilation=dilation)
    assert size - documented == (dilation - 1) * (kernel_size - 1)


def test_fcn_paints_half_a_cell_off():
    """ResNet-18's cell i looks at pixel 32 i, and the bilinear stamp lies round 32 i + 15.5."""
    cell = receptive_field(FCN(2, "resnet18").features, (64, 96))
    looks = cell.start[1] + (cell.size[1] - 1) / 2 + 7 * cell.stride[1]
    stamp = interpolation_matrix(15, 32)[:, 7].double()
    paints = (stamp * torch.arange(480)).sum() / stamp.sum()

    assert looks == 7 * 32
    assert paints.item() == pytest.approx(7 * 32 + 15.5)


def test_the_papers_19_pixels_are_right_for_its_own_network():
    """Padding 100, VGG's layers (one channel each), 7 × 7 without padding; the stamp of 64 begins at −19."""
    layers = []
    for stage, convolutions in enumerate((2, 2, 3, 3, 3)):
        paddings = [100 if stage == i == 0 else 1 for i in range(convolutions)]
        layers += [nn.Conv2d(1, 1, 3, padding=padding) for padding in paddings]
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    cell = receptive_field(nn.Sequential(*layers, nn.Conv2d(1, 1, 7)), (64, 96))

    assert cell.start[0] + (cell.size[0] - 1) / 2 == -19 + (64 - 1) / 2 == 12.5


def test_one_corner_is_not_the_picture():
    """A thing beyond 320 × 480 is on no prediction of the corner, and on that by tiles it is; 375 × 500 pixels."""
    picture = torch.zeros(1, 375, 500)
    picture[:, 330:370, 100:200] = 1
    model = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(model.weight)
    with torch.no_grad():
        corner = model(picture[None, :, :320, :480])[0]
    whole = predict_tiled(model, picture, tile=256, overlap=64)

    assert not corner.any()
    assert torch.equal(whole, picture)
    assert 1 - corner.numel() / whole.numel() == pytest.approx(0.18, abs=0.005)


def test_background_everywhere_has_a_high_pixel_accuracy_and_finds_nothing():
    """A crack of 3 columns in 100: 0.97 of the pixels are right, and so is half of the mean IoU."""
    truth = torch.zeros(1, 20, 100, dtype=torch.int64)
    truth[..., 40:43] = 1
    counts = ConfusionMatrix(2)
    counts.update(torch.zeros_like(truth), truth)

    assert counts.pixel_accuracy() == pytest.approx(0.97)
    assert counts.class_iou().tolist() == pytest.approx([0.97, 0])


def test_this_version_of_d2l_hands_on_numbers_up_to_255():
    """Its class, taken out of its text (to import it takes many seconds)."""
    folder = importlib.util.find_spec("d2l").submodule_search_locations[0]
    text = ast.parse((Path(folder) / "torch.py").read_text(encoding="utf-8"))
    text.body = [part for part in text.body if getattr(part, "name", None) == "VOCSegDataset"]
    image = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    names = {"torch": torch, "torchvision": torchvision, "voc_colormap2label": lambda: None}
    names["read_voc_images"] = lambda folder, is_train: ([image], [image])
    exec(compile(text, "d2l", "exec"), names)
    theirs = names["VOCSegDataset"](True, (1, 40), "")

    assert theirs.features[0].abs().mean() > 100
    assert_close(theirs.normalize_image(image / 255), Normalise()(image[None])[0])


def test_torchvision_warns_of_pretrained():
    with pytest.warns(UserWarning) as seen:
        torchvision.models.resnet18(pretrained=False)
    assert any("'pretrained' is deprecated" in str(one.message) for one in seen)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torchvision.models.resnet18(weights=None)


# ---- WTConv and U²-Net --------------------------------------------------------------------------


def test_a_mean_of_one_pixel_leaves_pixels_out_and_blurs_nothing():
    """So stripes of one pixel become one grey, which a mean over two by two would have named rightly."""
    x = torch.randn(2, 3, 7, 10)
    assert torch.equal(functional.avg_pool2d(x, 1, stride=2), x[..., ::2, ::2])
    stripes = torch.tensor([0.0, 1]).repeat(6).expand(1, 1, 8, 12)
    assert functional.avg_pool2d(stripes, 1, stride=2).unique().tolist() == [0]
    assert functional.avg_pool2d(stripes, 2).unique().tolist() == [0.5]


def test_a_parameter_without_gradient_is_counted_and_a_buffer_is_not():
    """64 channels, 7 × 7, one level: two times 4 · 64 filters of 2 × 2."""
    layer = WTConv2d(64, 64, 7)
    learnt = sum(weight.numel() for weight in layer.parameters())
    for name in ("wt_filter", "iwt_filter"):
        filters = getattr(layer, name)
        delattr(layer, name)
        layer.register_parameter(name, nn.Parameter(filters, requires_grad=False))

    assert learnt == 16_064
    assert sum(weight.numel() for weight in layer.parameters()) == learnt + 2048


def test_align_corners_makes_another_network_of_the_same_weights(monkeypatch):
    network = U2Net([Stage(4, 4, 8), Stage(3, 4, 8), Stage(3, 4, 8, dilated=True)], [Stage(3, 4, 8), Stage(4, 4, 8)])
    network.eval()
    x = torch.randn(1, 3, 27, 38)
    with torch.no_grad():
        as_published = network(x)[0]
        assert torch.equal(network(x)[0], as_published)
        resize = functional.interpolate
        monkeypatch.setattr(functional, "interpolate", lambda *a, **k: resize(*a, **(k | {"align_corners": True})))
        other = network(x)[0]

    assert (other - as_published).abs().max() > 0.05 * as_published.std()


@pytest.mark.parametrize(
    ("dtype", "said", "lost"),
    [(torch.bfloat16, 6.25, 2**-9), (torch.float16, 8.32, 2**-12), (torch.float32, 16.64, 2**-24)],
)
def test_from_where_on_a_sigmoid_is_1(dtype, said, lost):
    """From there on what is missing to 1, about exp(−z), is less than half the last digit, which is `lost`."""
    logits = torch.arange(0, 20, 1 / 1024, dtype=torch.float64).to(dtype).unique()
    ones = logits.sigmoid() == 1
    first = logits[ones].min()

    assert round(first.item(), 2) == said
    assert ones[logits >= first].all()
    assert torch.exp(-first.double()) < lost < 1.05 * torch.exp(-logits[~ones].max().double())


@pytest.mark.parametrize(
    ("dtype", "logit", "gradient"),
    [(torch.float32, 20.0, 0.0), (torch.bfloat16, 8.0, 0.0), (torch.float16, 10.0, math.nan)],
)
def test_sigmoid_first_and_the_loss_learns_nothing_from_its_worst_mistakes(dtype, logit, gradient):
    """The sigmoid rounds to 1, its logarithm is cut off at −100, and the gradient is 0; with logits it is 1.

    In float16 the gradient of the logarithm is too large, and infinity times 0 is NaN.
    """
    target = torch.zeros(1)

    def sigmoid_first(x):
        return functional.binary_cross_entropy(torch.sigmoid(x).float(), target)

    def with_logits(x):
        return functional.binary_cross_entropy_with_logits(x.float(), target)

    found = []
    for loss in (sigmoid_first, with_logits):
        x = torch.tensor([logit], dtype=dtype, requires_grad=True)
        value = loss(x)
        value.backward()
        found.append((value.item(), x.grad.item()))
    assert found[0] == pytest.approx((100, gradient), nan_ok=True)
    assert found[1] == pytest.approx((logit, 1), rel=1e-3)


def test_stretching_an_even_map_is_0_by_0_unless_it_is_asked():
    even = torch.full((4, 6), 0.3)

    assert ((even - even.min()) / (even.max() - even.min())).isnan().all()
    assert torch.equal(min_max(even), even)


# ---- checks -------------------------------------------------------------------------------------


def test_a_check_for_every_element_passes_what_is_wrong_in_all_but_one():
    right = torch.arange(12.0).reshape(3, 4)
    wrong = right + 1
    wrong[1, 2] = right[1, 2]

    assert not (wrong != right).all(), "the check is content"
    with pytest.raises(AssertionError, match=re.escape("Mismatched elements: 11 / 12")):
        assert_close(wrong, right)


def test_a_check_for_exact_floats_refuses_what_is_right():
    """One kernel of ones over three pixels, summed from the left and from the right."""
    x = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    left, right = (x[0] + x[1]) + x[2], x[0] + (x[1] + x[2])

    assert left != right
    assert_close(left, right)

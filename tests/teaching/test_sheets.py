"""The sheets for a class: every number of the solutions comes out of the book's code or PyTorch, and points add up."""

import dataclasses
import math
import re
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import pytest
import torch
from PIL import Image, ImageCms
from torch import nn
from torch.nn import functional
from torchvision.models import resnet18

from chapters_code import predict
from chapters_code.aspp import valid_taps
from chapters_code.cost import cost
from chapters_code.data import SyntheticCracks
from chapters_code.data.pictures import write_picture
from chapters_code.dilated import count_holes, footprint
from chapters_code.fcn import FCN
from chapters_code.hwd import as_kernel
from chapters_code.metrics import ConfusionMatrix, max_f_measure
from chapters_code.pooling import avg_pool2d, max_pool2d
from chapters_code.records import studies
from chapters_code.strided import binomial, conv2d
from chapters_code.train import __main__ as training
from chapters_code.train import checkpoints, fit
from chapters_code.train.evaluate import evaluate
from chapters_code.train.recipes import build_network, recipe
from chapters_code.transposed import conv_transpose2d_loops, phase_sums
from chapters_code.u2net import RSU
from chapters_code.wavelets import haar_dwt2, haar_idwt2
from chapters_code.wtconv import WTConv2d

SHEETS = Path(__file__).parents[2] / "classroom" / "sheets"
EXAMS = ("exam_shrink", "exam_network")
exams = pytest.mark.parametrize("exam", EXAMS)


# ---- how a sheet is read --------------------------------------------------------------------------


def sheet(name: str) -> str:
    return (SHEETS / f"{name}.md").read_text(encoding="utf-8")


def questions(text: str) -> list[tuple[str, str]]:
    """Return the heading and the text of each question."""
    return [tuple(part.split("\n", 1)) for part in re.split(r"^## Question ", text, flags=re.MULTILINE)[1:]]


def asked(exam: str, number: int) -> str:
    return questions(sheet(exam))[number - 1][1]


def block(exam: str, number: int, kind: str) -> str:
    """Return the lines between the fences of a question: kind is "text" or "python"."""
    return re.search(rf"^```{kind}\n(.*?)^```", asked(exam, number), re.MULTILINE | re.DOTALL)[1]


def grid(text: str) -> torch.Tensor:
    """Read rows of numbers as a picture (1, 1, H, W)."""
    return torch.tensor([list(map(float, line.split())) for line in text.strip().splitlines()])[None, None]


def parts(text: str) -> dict[str, str]:
    """Return what the solution of a question says to each of its letters, without the common wrong answers."""
    text = text.partition("\nCommon wrong answers:")[0]
    found = re.split(r"^\*\*\((\w)\)\*\*", text, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def points(text: str) -> int:
    """Add up the points of the steps."""
    return sum(map(int, re.findall(r"\*(\d+) points?\*", text)))


def wrong_equations(text: str) -> list[str]:
    """Return the equations in backticks that do not hold; ≈ holds to the last digit of what stands behind it."""
    signs = {"·": "*", "−": "-", "²": "**2", "³": "**3", "⁴": "**4", "⁵": "**5", "√": "sqrt"}
    signs |= {"⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")"}
    wrong = []
    for span in re.findall(r"`([^`\n]*)`", text):
        for left, sign, right in re.findall(r"^([^a-z=≈]+) (=|≈) ([^a-z=≈]+)$", span):
            last_digit = 10.0 ** -len(right.partition(".")[2])
            for mark, python in signs.items():
                left, right = left.replace(mark, python), right.replace(mark, python)
            known = {"__builtins__": {}, "floor": math.floor, "ceil": math.ceil, "sqrt": math.sqrt}
            off = abs(eval(left, known) - eval(right, known))
            if off > (0.5 * last_digit if sign == "≈" else 1e-9):
                wrong.append(span)
    return wrong


# ---- numbers as the sheets write them -------------------------------------------------------------


def written(values: torch.Tensor) -> str:
    """Write rows of numbers in one line, fractions as such."""
    rows = values.reshape(-1, values.shape[-1]).tolist()
    return " / ".join(" ".join(one_written(value) for value in row) for row in rows)


def one_written(value: float) -> str:
    part = Fraction(value).limit_denominator(100)
    text = str(part) if part.denominator == 3 else f"{value:g}"
    return text.replace("-", "−")


def size_of(x: torch.Tensor) -> str:
    return " × ".join(map(str, x.shape[-2:]))


def fraction(value: float) -> str:
    return str(Fraction(value).limit_denominator(100))


# ---- the first exam: Chapters 00 to 05 ------------------------------------------------------------


def _sizes() -> dict[str, list[str]]:
    x = torch.zeros(1, 1, 61, 90)
    layers = {
        "a": nn.MaxPool2d(3, 2, 1),
        "b": nn.Conv2d(1, 1, 3, dilation=4),
        "c": nn.Conv2d(1, 1, 5, stride=3, padding=1),
    }
    return {letter: [size_of(layer(x))] for letter, layer in layers.items()}


def _photograph() -> dict[str, list[str]]:
    photo = torch.arange(60 * 80 * 3).reshape(60, 80, 3)  # each number is its place, so it tells where it is from
    space = {"photo": photo}
    exec(block("exam_shrink", 2, "python"), space)
    assert space["a"].shape == space["b"].shape
    right = [name for name in "ab" if space[name][0, 5, 7] == photo[5, 7, 0]]
    other = space["b"][0, 5, 7].item()
    row, column, colour = (photo == other).nonzero()[0].tolist()
    return {
        "a": [str(tuple(space["a"].shape))],
        "b": [f"`{name}`" for name in right],
        "c": [f"row {row}, column {column}, colour {colour}"],
    }


def _pooling() -> dict[str, list[str]]:
    road = grid(block("exam_shrink", 3, "text")).requires_grad_()
    pooled = max_pool2d(road, 2)
    gradient = torch.autograd.grad(pooled.sum(), road)[0][..., :2, :2]
    assert (pooled == 1).nonzero().tolist() == [[0, 0, 1, 2]]  # the crack that survives: the block at the bottom right
    shared = torch.autograd.grad(road[..., :2, :2].amax(), road)[0][..., :2, :2]
    return {"a": [written(pooled)], "b": [written(avg_pool2d(road, 2))], "d": [written(gradient), written(shared)]}


def _kernel() -> dict[str, list[str]]:
    here, moved = (torch.tensor(row).repeat(3, 1)[None, None] for row in ([7.0, 7, 1, 7, 7], [7.0, 7, 7, 1, 7]))
    kernel = torch.tensor([1.0, 0, -1]).repeat(3, 1)[None, None]
    assert written(conv2d(moved, kernel)) == "0 18 0"  # named among the wrong answers
    given = {"a": (here, 1), "b": (here, 2), "c": (moved, 2)}
    return {letter: [written(conv2d(x, kernel, stride=stride))] for letter, (x, stride) in given.items()}


def _stripes() -> dict[str, list[str]]:
    wave = torch.cos(2 * torch.pi * 0.4 * torch.arange(200, dtype=torch.float64))
    small = torch.fft.rfft(wave[::2]).abs()
    period = 100 / small.argmax().item()

    def kept(taps: int) -> str:
        """Ask the blur what it makes of a wave of 1/3 cycle per pixel: the number in the middle of one crest."""
        wave = torch.cos(2 * torch.pi / 3 * torch.arange(-9, 10, dtype=torch.float64))[None, None]
        kernel = binomial(taps).double().reshape(1, 1, -1)
        return fraction(functional.conv1d(wave, kernel, padding=taps // 2)[0, 0, 9].item())

    return {"a": [f"{period:g}"], "b": [kept(3), kept(5)]}


def _holes() -> dict[str, list[str]]:
    seen = footprint((2, 2, 2))
    side = seen[-1] - seen[0] + 1
    stacks = [tuple(map(int, one.split(", "))) for one in ("1, 4, 2", "3, 2, 1", "1, 3, 10", "2, 3, 4")]
    assert "; ".join(", ".join(map(str, one)) for one in stacks) in asked("exam_shrink", 6)
    verdicts = ["holes" if count_holes(one) else "no holes" for one in stacks]
    largest = max(rate for rate in range(1, 30) if not count_holes((1, 3, rate)))
    return {
        "a": [f"{side} × {side}", str(len(seen) ** 2), str(count_holes((2, 2, 2)))],
        "b": [", ".join(verdicts)],
        "c": [str(largest)],
    }


def _taps() -> dict[str, list[str]]:
    five, eight, ten = (valid_taps((8, 10), rate).mean for rate in (5, 8, 10))
    middle = functional.conv2d(torch.ones(1, 1, 8, 10), torch.ones(1, 1, 3, 3), padding=5, dilation=5)[0, 0, 4, 4]
    assert middle == 2  # named among the wrong answers
    return {"a": [f"{five:g}"], "b": [f"{eight:g}", f"{ten:g}"]}


def _stamps() -> dict[str, list[str]]:
    x, kernel = (torch.tensor([[[row]]], dtype=torch.float64) for row in ([1, 2, 4], [1, 3, 1]))
    out = conv_transpose2d_loops(x, kernel, stride=(1, 2))
    sums = phase_sums(kernel, (1, 2)).flatten()
    flat = next(m for m in range(1, 9) if len(phase_sums(torch.tensor([[[[1.0, m, 1]]]]), (1, 2)).unique()) == 1)
    down = nn.Conv1d(1, 1, 3, 2, 1)(torch.zeros(1, 1, 34))
    back = [nn.ConvTranspose1d(1, 1, 3, 2, 1, output_padding=more)(down).shape[-1] for more in (0, 1)]
    return {
        "a": [written(out)],
        "b": [f"{one:g}" for one in sums.tolist()],
        "c": [str(flat)],
        "d": [str(back[0]), str(back.index(34))],
    }


def _mystery() -> dict[str, list[str]]:
    space = {"torch": torch}
    exec(block("exam_shrink", 9, "python"), space)
    x = torch.randn(2, 3, 6, 8)
    [(kernel, stride)] = [
        (kernel, stride)
        for kernel in (1, 2, 3, 4)
        for stride in (1, 2, 3)
        if torch.equal(space["mystery"](x), functional.max_pool2d(x, kernel, stride))
    ]
    with pytest.raises(RuntimeError):
        space["mystery"](torch.zeros(1, 1, 6, 7))
    return {
        "a": [f"kernel size {kernel}", f"stride {stride}"],
        "b": [size_of(max_pool2d(torch.zeros(1, 1, 6, 7), 2))],
    }


# ---- the second exam: Chapters 06 to 10 -----------------------------------------------------------


def _confusion() -> dict[str, list[str]]:
    rows = re.findall(r"^\| \*\*\w+\*\* \| (.*) \|$", asked("exam_network", 1), re.MULTILINE)
    table = torch.tensor([list(map(int, row.split(" | "))) for row in rows])
    places = torch.tensor([[t, p] for t in range(3) for p in range(3) for _ in range(table[t, p])])
    truth, answer = places[:, 0].reshape(1, 10, 10), places[:, 1].reshape(1, 10, 10)

    def judged(answer: torch.Tensor) -> tuple[str, list[float], float]:
        counted = ConfusionMatrix(3)
        counted.update(answer, truth)
        scores = counted.scores()
        ious = [((answer == k) & (truth == k)).sum() / ((answer == k) | (truth == k)).sum() for k in range(3)]
        assert math.isclose(scores["global_mean_iou"], fmean(one.item() for one in ious), rel_tol=1e-5)
        return f"{scores['global_pixel_accuracy']:g}", [one.item() for one in ious], scores["global_mean_iou"]

    (accuracy, ious, mean), (nothing, _, mean_of_nothing) = judged(answer), judged(torch.zeros_like(answer))
    return {
        "a": [accuracy],
        "b": [*map(fraction, ious), fraction(mean), f"{mean:.2f}"],
        "c": [nothing, fraction(mean_of_nothing), f"{mean_of_nothing:.2f}"],
    }


def _any_size() -> dict[str, list[str]]:
    with torch.device("meta"):
        rows, columns = nn.Sequential(*list(resnet18().children())[:-2])(torch.zeros(1, 3, 100, 150)).shape[-2:]
        count = sum(one.numel() for one in FCN(21).classifier.parameters())
    return {
        "a": [f"{rows} × {columns}"],
        "b": [str(32 * rows - 100), str(32 * columns - 150)],
        "c": [f"{count:,}"],
    }


def _loss() -> dict[str, list[str]]:
    classes = math.exp(functional.cross_entropy(torch.zeros(1, 21), torch.tensor([3])).item())
    right = torch.tensor([1 / 2, 1 / 4, 1 / 8, 1 / 2])
    logits = torch.stack([right, 1 - right], dim=1).log().requires_grad_()
    loss = functional.cross_entropy(logits, torch.tensor([0, 0, 0, 255]), ignore_index=255)
    gradient = torch.autograd.grad(loss, logits)[0][3].abs().max().item()
    return {"a": [f"log {classes:.0f}"], "b": [f"{loss.item() / math.log(2):.0f} log 2"], "c": [f"{gradient:g}"]}


def _haar() -> dict[str, list[str]]:
    picture = grid(block("exam_network", 4, "text"))
    bands = haar_dwt2(picture)
    energy = picture.square().sum(), sum(band.square().sum() for band in bands)
    assert torch.isclose(*energy)
    without = haar_idwt2(bands._replace(d=torch.zeros_like(bands.d)))
    return {
        "a": [", ".join(f"{name} = {band.item():g}" for name, band in zip("ahvd", bands, strict=True))],
        "b": [f"{energy[0].item():g}"],
        "c": [written(without), f"{(without - picture).square().sum().item():g}"],
    }


def _hwd() -> dict[str, list[str]]:
    space = {}
    exec(block("exam_network", 5, "python"), space)
    mix, x = [1, 0, 1, 0], torch.randn(2, 1, 6, 8)
    kernel = as_kernel(torch.tensor(mix).float().reshape(1, 4, 1, 1))
    torch.testing.assert_close(functional.conv2d(x, kernel, stride=2), space["layer"](x, mix))
    return {"a": [written(kernel), "2"]}


def _wtconv() -> dict[str, list[str]]:
    def count(layer: nn.Module) -> int:
        return sum(one.numel() for one in layer.parameters())

    with torch.device("meta"):
        one, two = (count(WTConv2d(1, 1, kernel_size=7, wt_levels=levels)) for levels in (1, 2))
        dense = {levels: count(nn.Conv2d(1, 1, 2**levels * 7)) for levels in (1, 2)}
    layer = WTConv2d(1, 1, kernel_size=7, wt_levels=2).double()
    nn.init.ones_(layer.wavelet_scale[0].weight)
    speck = torch.zeros(1, 1, 96, 96, dtype=torch.float64)
    speck[..., 48, 48] = 1
    with torch.no_grad():
        out = layer(speck) - layer.base_conv.bias
        follows = [
            shift
            for shift in range(1, 9)
            if torch.allclose(out.roll(shift, -1), layer(speck.roll(shift, -1)) - layer.base_conv.bias)
        ]
    reach = 2**2 * 7
    return {
        "a": [str(two)],
        "b": [f"{reach} × {reach}", str(dense[2])],
        "c": [str(one), str(dense[1])],
        "d": [str(follows[0])],
    }


def _rsu() -> dict[str, list[str]]:
    with torch.device("meta"):
        rsu, sizes = RSU(5, 64, 16, 64).eval(), []
        for part in rsu.down:
            part.register_forward_hook(lambda part, inputs, output: sizes.append(size_of(output)))
        rsu(torch.zeros(1, 64, 40, 60))
        counted = [cost(RSU(height, 64, 16, 64), 1, 64, 64, 96) for height in (4, 5)]
    assert counted[0].multiply_adds == counted[1].multiply_adds
    return {"a": [", ".join(sizes)], "b": [str(counted[1].parameters - counted[0].parameters)]}


def _f_measure() -> dict[str, list[str]]:
    target = torch.zeros(1, 10_000, dtype=torch.int64)
    target[:, :8] = 1
    careful, generous = torch.zeros(2, 1, 10_000)
    careful[:, :4], generous[:, :16] = 1, 1  # of 8 pixels: 4 chosen, all right; 16 chosen, 8 right
    best, evenly = ([max_f_measure(one, target, beta2) for one in (careful, generous)] for beta2 in (0.3, 1))
    assert best[0] > best[1] and math.isclose(*evenly)
    return {"a": [text for one in best for text in (fraction(one), f"{one:.2f}")], "b": [fraction(evenly[0])]}


def _interval() -> dict[str, list[str]]:
    text = asked("exam_network", 9)
    listed = re.search(r"seed by seed, are (.*?)\.\n", text)[1]
    found = studies.interval([float(one.replace("−", "-").replace(" ", "")) for one in listed.split(", ")])
    assert found.half > abs(found.mean)
    return {"a": [f"{found.mean:.2f}"], "b": [f"{found.half:.3f}"]}


COMPUTED = {
    "exam_shrink": (_sizes, _photograph, _pooling, _kernel, _stripes, _holes, _taps, _stamps, _mystery),
    "exam_network": (_confusion, _any_size, _loss, _haar, _hwd, _wtconv, _rsu, _f_measure, _interval),
}
ALL = [(exam, number) for exam in EXAMS for number in range(1, len(COMPUTED[exam]) + 1)]


# ---- what is held ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("exam", "number"), ALL)
def test_every_answer_with_a_number_is_computed(exam, number):
    """What a solution sets in bold is what comes out, letter by letter; and nothing in bold was left out here."""
    said = {
        letter: found
        for letter, text in parts(questions(sheet(f"{exam}_solutions"))[number - 1][1]).items()
        if (found := re.findall(r"\*\*(.+?)\*\*", text))
    }
    assert said == COMPUTED[exam][number - 1]()


@exams
def test_an_exam_has_sixty_points_and_sixty_minutes(exam):
    given = []
    for heading, text in questions(sheet(exam)):
        minutes, most = map(int, re.search(r"\((\d+) minutes, (\d+) points\)$", heading).groups())
        assert minutes == most == sum(map(int, re.findall(r"\((\d+) points?\)$", text, re.MULTILINE))), heading
        given.append(most)
    assert sum(given) == 60
    assert len(given) == len(COMPUTED[exam])


@exams
def test_the_solutions_answer_what_is_asked_and_their_steps_have_its_points(exam):
    for (heading, text), (title, solved) in zip(
        questions(sheet(exam)), questions(sheet(f"{exam}_solutions")), strict=True
    ):
        assert heading.replace(re.search(r"\(\d+ minutes, ", heading)[0], "(") == title
        worth = dict(re.findall(r"^\* \*\*\((\w)\)\*\* .*\((\d+) points?\)$", text, re.MULTILINE))
        assert {letter: points(one) for letter, one in parts(solved).items()} == {k: int(v) for k, v in worth.items()}
        assert "\nCommon wrong answers: " in solved, title


@exams
def test_the_equations_of_the_solutions_hold(exam):
    text = sheet(f"{exam}_solutions")
    assert wrong_equations(text) == []
    assert len(re.findall(r"`[^`\na-z]*[=≈][^`\n]*`", text)) > 30


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`⌊(61 + 2 · 1 − 3) / 2⌋ + 1 = 31`", 0),
        ("`⌊(61 + 2 · 1 − 3) / 2⌋ + 1 = 30`", 1),
        ("`7² = 48` and `√(0.00005) ≈ 0.0072`, `3 / 4 = 3 / 4`", 2),
        ("`√(0.00005) ≈ 0.0071`, `2.78 · 0.0071 ≈ 0.020`, `a = 3`", 0),
        ("`(1 / 2)⁴ = 1 / 8`", 1),
    ],
)
def test_an_equation_that_does_not_hold_is_found(text, wrong):
    assert len(wrong_equations(text)) == wrong


# ---- the project ----------------------------------------------------------------------------------


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", sheet("project"), re.MULTILINE | re.DOTALL)


def test_the_projects_points_add_up_to_a_hundred_and_its_reading_takes_a_quarter_of_an_hour():
    rubric = re.findall(r"^\| [^|*]+ \| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", sheet("project"), re.MULTILINE)
    assert sum(int(worth) for worth, *_ in rubric) == 100
    assert "100 points" in sheet("project") and "| **All** | **100** |" in sheet("project")
    assert all(cell.strip() for row in rubric for cell in row)
    assert sum(map(int, re.findall(r"^\| (\d+) \| [^|]+ \| [^|]+ \|$", teachers(), re.MULTILINE))) == 15


def teachers() -> str:
    return sheet("project").partition("## 11.")[2]


def test_the_projects_commands_are_the_books():
    parsers = {"train": training._parser, "predict": predict._parser}
    commands = [line for text in blocks("bash") for line in text.replace("\\\n", " ").splitlines()]
    seen = [re.fullmatch(r"\.venv/bin/python -m chapters_code\.(\w+) (.*)", line).groups() for line in commands]
    given = [(name, parsers[name]().parse_args(rest.split())) for name, rest in seen]
    assert [name for name, _ in given].count("predict") == 1
    runs = [one for name, one in given if name == "train" and one.tier == "colab"]
    assert [one.seed for one in runs] == [0, 1, 2]
    assert len({(one.recipe, one.epochs, one.batch_size, one.data) for one in runs}) == 1
    assert all(str(one.out) == f"runs/street-{one.seed}" for one in runs)
    for one in runs:  # the recipe is there, and is one for cracks
        assert recipe(one.recipe, one.tier).task == "cracks"


@pytest.fixture
def street(tmp_path, monkeypatch):
    """A street as the sheet lays it out, with drawn roads; and photographs that hold notes."""
    monkeypatch.chdir(tmp_path)
    roads = SyntheticCracks(8, size=(48, 64), seed=0)
    for number in range(8):
        side, name = ("known", f"mill-{number}") if number < 4 else ("unseen", f"harbour-{number}")
        name = name.replace("mill", "market") if number == 3 else name
        for what in ("images", "masks"):
            Path("street", side, what).mkdir(parents=True, exist_ok=True)
        image, mask = roads[number]
        write_picture(Path("street", side, "images", f"{name}.png"), image)
        Image.fromarray((255 * (mask if number < 7 else 0 * mask)).byte().numpy()).save(
            f"street/{side}/masks/{name}.png"
        )
    Path("street/known/train.txt").write_text("mill-0\nmill-1\nmill-2\n")
    Path("street/known/val.txt").write_text("market-3\n")
    Path("originals").mkdir()
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "a telephone"  # lies on its side; which device
    colours = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # this, too, can name the device
    Image.new("RGB", (1600, 1200), "grey").save("originals/mill-9.JPG", "JPEG", exif=exif, icc_profile=colours)
    return tmp_path


def run(place: int, space: dict) -> dict:
    exec(compile(blocks("python")[place], f"block {place}", "exec"), space)
    return space


def test_the_project_takes_the_notes_out_of_a_photograph_and_turns_it_upright(street):
    run(0, {})
    with Image.open("prepared/mill-9.png") as clean:
        assert clean.size == (768, 1024)
        assert not clean.getexif() and clean.info == {}


def test_the_project_finds_a_street_on_two_sides(street, capsys):
    run(1, {})
    assert capsys.readouterr().out == "{'train': 3, 'val': 1, 'test': 4}\n"
    Path("street/known/val.txt").write_text("market-3\nmill-2\n")
    with pytest.raises(AssertionError, match="{'mill'} is in train and in val"):
        run(1, {})


def test_the_project_scores_lines_as_it_says():
    """A line one pixel beside is right within 2 pixels, and nowhere else; one drawn too wide keeps its course."""
    space = run(2, {})
    line = torch.zeros(40, 60, dtype=torch.int64)
    line[20, 5:55] = 1
    wide = functional.max_pool2d(line[None, None].float(), 5, 1, 2)[0, 0].long()

    assert space["scores_of"](line, line) == dict.fromkeys(("IoU", "F1", "F1, 2 px", "clDice"), 1.0)
    assert space["scores_of"](line.roll(1, 0), line) == {"IoU": 0.0, "F1": 0.0, "F1, 2 px": 1.0, "clDice": 0.0}
    assert space["scores_of"](0 * line, line) == dict.fromkeys(("IoU", "F1", "F1, 2 px", "clDice"), 0.0)
    assert space["cl_dice"](wide, line) > 0.95 > space["scores_of"](wide, line)["F1"]
    assert space["cl_dice"](0 * line, 0 * line) == 1.0
    # Half of the line: its course is right as far as it goes, and half of the true one is missed.
    half = line.clone()
    half[:, 30:] = 0
    assert math.isclose(space["cl_dice"](half, line), 2 / 3, rel_tol=1e-6)
    assert space["interval"]([0.80, 0.82, 0.84]) == str(studies.interval([0.80, 0.82, 0.84]))


def test_the_project_makes_its_table(street, capsys):
    """From a checkpoint to four scores with intervals, beside those of nothing."""
    plan = dataclasses.replace(recipe("unet", "smoke"), epochs=1)
    known = SyntheticCracks(8, size=(64, 96), seed=0)
    fit(build_network(plan), plan, known, known.subset([0]), "runs/street-0", progress=False)
    path = Path("runs/street-0/checkpoint.pt")
    state = checkpoints.load(path)
    # After a step it says no crack everywhere, and zeros would show nothing.
    state["model"]["head.weight"].normal_(std=5, generator=torch.Generator().manual_seed(1))
    state["model"]["head.bias"].fill_(2)
    state.pop("format")
    checkpoints.save(path, state)
    space = run(3, run(2, {}))
    out = capsys.readouterr().out

    assert re.search(r"^no crack here, and \d+\.\d\d% called crack$", out, re.MULTILINE)
    rows = re.findall(
        r"^(all background|U-Net) +(IoU|F1|F1, 2 px|clDice) +(\d\.\d{3}) ± (\d\.\d{3})$", out, re.MULTILINE
    )
    assert [row[1] for row in rows] == 2 * ["IoU", "F1", "F1, 2 px", "clDice"]
    assert all(row[2:] == ("0.000", "0.000") for row in rows if row[0] == "all background")
    cracked = space["unseen"].subset([0, 1, 2])
    expected = evaluate(space["trained"].network, cracked, "cracks").scores()
    names = ("per_image_iou", "per_image_f1@0px", "per_image_f1@2px")
    assert [row[2] for row in rows[4:7]] == [f"{expected[name]:.3f}" for name in names]
    assert min(expected[name] for name in names) > 0

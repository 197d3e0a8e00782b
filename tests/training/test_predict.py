"""From a checkpoint to photographs: the network's own answer, any file, any size; and what a user sees who errs."""

import dataclasses
import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photographs
from torch import nn
from torch.testing import assert_close

from chapters_code import predict
from chapters_code.data import SyntheticCracks, SyntheticVOC
from chapters_code.data.loading import Normalise
from chapters_code.data.pictures import VOID, read_mask, read_picture
from chapters_code.predict import main, segment
from chapters_code.tiles import predict_tiled, strips
from chapters_code.train import checkpoints, fit
from chapters_code.train.checkpoints import load_network
from chapters_code.train.evaluate import evaluate
from chapters_code.train.recipes import build_network, recipe


def trained_on(task: str, out, **settings):
    """Train a small network for a step or two, as a reader would, and return its checkpoint."""
    plan = recipe("unet", "smoke")
    classes = 21 if task == "classes" else 1
    plan = dataclasses.replace(
        plan,
        task=task,
        losses=("cross_entropy",) if task == "classes" else plan.losses,
        network_settings={"num_classes": classes, "widths": (4, 8)},
        epochs=1,
        crop=(32, 48),
        **settings,
    )
    some = SyntheticVOC(8, size=(48, 64), seed=0) if task == "classes" else SyntheticCracks(8, size=(48, 64), seed=0)
    fit(build_network(plan), plan, some, some.subset([0]), out, progress=False)
    # After a step it says the same everywhere, and a test could not tell one answer from another.
    state = checkpoints.load(out / "checkpoint.pt")
    state["model"]["head.weight"].normal_(std=5, generator=torch.Generator().manual_seed(1))
    state.pop("format")
    checkpoints.save(out / "checkpoint.pt", state)
    return out / "checkpoint.pt"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return trained_on("classes", tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def cracks(tmp_path_factory):
    return trained_on("cracks", tmp_path_factory.mktemp("cracks"))


def photo(height: int = 70, width: int = 101) -> torch.Tensor:
    return torch.from_numpy(photographs.coffee()[:height, :width]).permute(2, 0, 1)


def logits(trained, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return trained.network(Normalise()(image[None]))[0]


# ---- the answer ----------------------------------------------------------------------------------


def test_the_answer_is_that_of_the_network(checkpoint):
    trained, image = load_network(checkpoint), photo()
    answer = segment(image, checkpoint)
    expected = logits(trained, image)

    assert len(answer.shares) >= 2
    assert torch.equal(answer.labels, expected.argmax(0))
    assert_close(answer.probability, expected.softmax(0).amax(0))
    assert torch.equal(answer.image, image)
    assert answer.classes == SyntheticVOC.classes and answer.labels.dtype == torch.int64
    assert answer.overlay.shape == image.shape


def test_a_yes_or_no_question_is_decided_at_the_threshold(cracks):
    trained, image = load_network(cracks), photo()
    probability = logits(trained, image)[0].sigmoid()
    middle = probability.median().item()

    assert_close(segment(image, trained).probability, probability)
    for asked, threshold in ((None, 0.5), (middle, middle), (0.0, 0.0), (1.0, 1.0)):
        assert torch.equal(segment(image, trained, threshold=asked).labels, (probability >= threshold).long())


def test_a_class_that_is_less_probable_than_the_threshold_stays_background(checkpoint):
    trained, image = load_network(checkpoint), photo()
    free = segment(image, trained)
    middle = free.probability.median().item()
    sure = segment(image, trained, threshold=middle)

    assert torch.equal(sure.labels, free.labels.where(free.probability >= middle, 0))
    assert segment(image, trained, threshold=1.0).labels.unique().tolist() == [0]
    assert torch.equal(segment(image, trained, threshold=0.0).labels, free.labels)


def test_a_larger_photograph_goes_through_in_tiles(checkpoint):
    trained, image = load_network(checkpoint), photo(150, 201)
    answer = segment(image, trained, tile=(64, 96), overlap=32)
    expected = predict_tiled(trained.network, Normalise()(image[None])[0], (64, 96), 32, window="hann", align=32)

    assert torch.equal(answer.labels, expected.argmax(0))
    assert not torch.equal(answer.labels, segment(image, trained).labels)
    by_default = segment(image, trained, tile=64)
    assert torch.equal(by_default.labels, segment(image, trained, tile=64, overlap=16).labels)


def test_no_more_logits_are_held_than_a_row_of_tiles_has():
    """A picture ten times as high needs no more memory for its 21 maps."""
    image = torch.randn(1, 3, 640, 70)
    found = list(strips(nn.Conv2d(3, 21, 1), image, (64, 64), (16, 16), (0, 0), (32, 32), "hann", 1, False))

    assert max(maps.untyped_storage().nbytes() for _, maps in found) <= 21 * (64 + 31 + 16) * 70 * 4
    assert [rows.start for rows, _ in found[1:]] == [rows.stop for rows, _ in found[:-1]]
    assert (found[0][0].start, found[-1][0].stop) == (0, 640)


def test_a_network_for_pictures_of_one_size_sees_the_whole_at_that_size(tmp_path):
    """As `evaluate` scores it: the two agree on every pixel."""
    trained = load_network(trained_on("cracks", tmp_path, resize=(40, 56)))
    roads = SyntheticCracks(1, size=(75, 90), seed=3)
    answer = segment(roads[0].image, trained)
    scores = evaluate(trained.network, roads, "cracks", resize=(40, 56))

    ours = type(scores)()
    ours.update(answer.probability[None], roads[0].mask[None])
    assert ours.scores() == scores.scores()
    with pytest.raises(ValueError, match="whole pictures of 40 × 56 pixels.*leave tile and overlap out"):
        segment(roads[0].image, trained, tile=64)


def test_any_function_may_answer(checkpoint):
    """One map of several, chosen by a lambda; a scripted and an exported program."""
    trained, image = load_network(checkpoint), photo(64, 96)
    expected, x = segment(image, trained).labels, Normalise()(image[None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripts are old, and readers have them
        traced = torch.jit.trace(trained.network, x)
        frozen = torch.jit.freeze(traced)
    others = {
        "lambda": lambda x: (trained.network(x), x)[0],
        "traced": traced,
        "frozen": frozen,
        "exported": torch.export.export(trained.network, (x,)).module(),
    }
    for name, network in others.items():
        assert torch.equal(segment(image, trained._replace(network=network)).labels, expected), name
    with pytest.raises(
        ValueError, match="model must be a network or a function of a batch of pictures, got OrderedDict"
    ):
        segment(image, trained._replace(network=trained.network.state_dict()))


def test_the_shares_are_counted():
    labels = torch.tensor([[0, 0, 2, VOID], [2, 2, 2, 1]])
    answer = predict.Answer(photo(2, 4), labels, labels.float(), ("nothing", "cup", "spoon"))
    assert answer.shares == {"spoon": 4 / 8, "nothing": 2 / 8, "cup": 1 / 8}
    assert list(answer.shares) == ["spoon", "nothing", "cup"]


@pytest.mark.parametrize(
    ("image", "settings", "said"),
    [
        (torch.zeros(3, 8, 9), {}, r"uint8 \(3, H, W\), 0 to 255, got torch.float32 \(3, 8, 9\): .*give the bytes"),
        (torch.zeros(1, 3, 8, 9, dtype=torch.uint8), {}, r"got torch.uint8 \(1, 3, 8, 9\)"),
        (torch.zeros(3, 0, 9, dtype=torch.uint8), {}, r"got torch.uint8 \(3, 0, 9\)"),
        (photo(), {"threshold": 50}, "threshold must be a probability, 0 to 1, got 50"),
        (photo(), {"threshold": float("nan")}, "threshold must be a probability"),
        (photo(), {"threshold": "0.5"}, "threshold must be a probability, 0 to 1, got '0.5'"),
        (photo(), {"tile": 50}, "tile must be a multiple of 32, got 50: take 64"),
        (photo(), {"tile": 64, "overlap": 64}, "overlap must be at least 32 smaller than tile, got overlap 64"),
        (photo(), {"overlap": 2000}, "got overlap 2000 and tile 1024"),
        (np.zeros((8, 9, 3), np.uint8), {}, r"photo must be a file or a tensor, got ndarray: .*permute\(2, 0, 1\)"),
    ],
)
def test_what_cannot_be_is_refused_by_name(checkpoint, image, settings, said):
    with pytest.raises(ValueError, match=said):
        segment(image, checkpoint, **settings)


def test_a_network_of_another_kind_is_refused(checkpoint):
    trained = load_network(checkpoint)
    with pytest.raises(ValueError, match=r"gives 3 maps, but a network for classes, 21 classes, gives 21"):
        segment(photo(), trained._replace(network=nn.Conv2d(3, 3, 1)))
    with pytest.raises(ValueError, match="answers with NaN"):
        segment(photo(), trained._replace(network=lambda x: torch.full((1, 21, *x.shape[2:]), float("nan"))))


# ---- the command line ----------------------------------------------------------------------------


def ten_photographs(folder) -> dict[str, tuple[int, int]]:
    """Save ten photographs as cameras, telephones and scanners would; return their sizes, upright."""
    colour = Image.fromarray(photographs.astronaut()[:96, 100:260])
    lying = Image.Exif()
    lying[0x0112] = 6  # turn it by a quarter to look at it
    deep = Image.fromarray(np.array(colour.convert("L")).astype(np.uint16) * 257)
    ways = {
        "plain.jpg": (colour, {}),
        "PRINT.JPG": (colour.convert("CMYK"), {"format": "JPEG"}),
        "scan.png": (deep, {}),
        "portrait.jpeg": (colour.resize((90, 60)), {"exif": lying}),
        "dot.png": (colour.resize((1, 1)), {}),
        "strip.bmp": (colour.resize((300, 3)), {}),
        "cut out.png": (colour.convert("RGBA"), {}),
        "old.gif": (colour.convert("P"), {}),
        "web.webp": (colour.resize((71, 33)), {}),
        "grey.tif": (colour.convert("L"), {}),
    }
    for name, (image, settings) in ways.items():
        image.save(folder / name, **settings)
    sizes = {name: image.size[::-1] for name, (image, _) in ways.items()}
    return sizes | {"portrait.jpeg": (90, 60)}


def test_ten_photographs_of_all_kinds_are_answered(checkpoint, tmp_path, capsys):
    photos, out = tmp_path / "my photos", tmp_path / "answers"
    photos.mkdir()
    sizes = ten_photographs(photos)
    (photos / "notes.txt").write_text("not a picture, and not taken for one")

    assert main([str(photos), "--checkpoint", str(checkpoint), "--out", str(out)]) == 0

    said = capsys.readouterr().out
    assert "unet-smoke-own-seed0: 10 photographs" in said
    for name, size in sizes.items():
        stem = name.rpartition(".")[0]
        labels, laid_over = read_mask(out / f"{stem}-labels.png"), read_picture(out / f"{stem}-overlay.png")
        answer = segment(photos / name, checkpoint)
        assert labels.shape == size and torch.equal(labels, answer.labels), name
        assert torch.equal(laid_over, answer.overlay), name
        assert f"{name}: {size[0]} × {size[1]} pixels; " in said
    assert len(list(out.iterdir())) == 20


def test_a_bad_file_among_good_ones_stops_nobody(checkpoint, tmp_path, capsys):
    Image.fromarray(photographs.coffee()[:40, :50]).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("<html>404</html>")
    (tmp_path / "c.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:400])
    Image.fromarray(photographs.coffee()[:40, :50]).save(tmp_path / "d.png")
    out = tmp_path / "out"

    assert main([str(tmp_path / "a.jpg"), str(tmp_path), "--checkpoint", str(checkpoint), "--out", str(out)]) == 1

    streams = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == [
        "a-labels.png", "a-overlay.png", "d-labels.png", "d-overlay.png"
    ]  # fmt: skip
    assert "b.jpg: NOT DONE." in streams.err and "HTML page" in streams.err
    assert "2 of 4 not done: " in streams.err.splitlines()[-1]  # a.jpg was named twice, and is asked once
    assert all(name in streams.err.splitlines()[-1] for name in ("b.jpg", "c.jpg"))


def test_photographs_that_differ_in_their_ending_keep_it_and_answers_are_no_photographs(checkpoint, tmp_path, capsys):
    """Also if the answers lie among the photographs: a second run takes the same photographs, and overwrites none."""
    for name in ("a.png", "a.bmp", "b.png"):
        Image.fromarray(photographs.coffee()[:40, :50]).save(tmp_path / name)
    words = [str(tmp_path), "--checkpoint", str(checkpoint), "--out", str(tmp_path)]
    assert main(words) == 0
    written = sorted(path.name for path in tmp_path.iterdir() if "-" in path.name)
    assert written == sorted(f"{name}-{kind}.png" for name in ("a.bmp", "a.png", "b") for kind in ("labels", "overlay"))
    capsys.readouterr()
    assert main(words) == 1
    assert "3 of 3 not done" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    Image.fromarray(photographs.coffee()[:40, :50]).save(tmp_path / "other" / "b.png")
    both = [str(tmp_path / "b.png"), str(tmp_path / "other" / "b.png")]
    assert main([*both, "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]) == 1
    assert "b.png have one name" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["nothing", "text", "cut", "weights"])
def test_a_checkpoint_that_is_none_is_refused_before_anything_is_written(checkpoint, tmp_path, capsys, kind):
    path, out = tmp_path / "checkpoint.pt", tmp_path / "out"
    content = checkpoint.read_bytes()
    if kind == "text":
        path.write_text("<html>404</html>")
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "weights":
        torch.save(nn.Conv2d(3, 4, 3).state_dict(), path)
    Image.fromarray(photographs.coffee()[:40, :50]).save(tmp_path / "a.jpg")

    assert main([str(tmp_path / "a.jpg"), "--checkpoint", str(path), "--out", str(out)]) == 1

    said = capsys.readouterr().err
    assert "checkpoint.pt" in said and len(said.splitlines()) == 1
    assert not out.exists()


def test_what_is_not_there_or_in_the_way_is_said(checkpoint, tmp_path, capsys):
    def run(*words):
        status = main([*map(str, words), "--checkpoint", str(checkpoint)])
        return status, capsys.readouterr().err

    Image.fromarray(photographs.coffee()[:40, :50]).save(tmp_path / "a.jpg")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for words, said in (
        ((tmp_path / "none.jpg", "--out", tmp_path / "out"), "there is no file or folder .*none.jpg"),
        ((tmp_path / "empty", "--out", tmp_path / "out"), "the folder .*empty holds no picture"),
        ((tmp_path / "a.jpg", "--out", tmp_path / "file"), "file is or lies in a file, and the answers need a folder"),
        ((tmp_path / "a.jpg", "--out", tmp_path / "file" / "sub"), "lies in a file, and the answers need a folder"),
        ((tmp_path / "a.jpg", "--out", tmp_path / "out", "--tile", 50), "tile must be a multiple of 32"),
        ((tmp_path / "a.jpg", "--out", tmp_path / "out", "--threshold", 50), "threshold must be a probability"),
    ):
        status, error = run(*words)
        assert status == 1 and re.search(said, error), (words, error)

    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a-overlay.png").write_text("somebody's work")
    status, error = run(tmp_path / "a.jpg", "--out", tmp_path / "out")
    assert status == 1 and "a-overlay.png exists already" in error
    assert (tmp_path / "out" / "a-overlay.png").read_text() == "somebody's work"
    assert not (tmp_path / "out" / "a-labels.png").exists()

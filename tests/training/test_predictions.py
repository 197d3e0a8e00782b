"""Recorded predictions: each names its run and its weights, is small, and shows a free photograph only."""

import pytest
import torch
from torch.testing import assert_close

import predictions as tool
from chapters_code import overlay
from chapters_code.predict import Answer
from chapters_code.records import predictions, runs
from chapters_code.train import checkpoints
from chapters_code.train.recipes import build_network, recipe
from grids import every

NAMES = predictions.names()


@every(name=NAMES)
def test_each_is_small_and_belongs_to_a_run_of_the_book(name):
    record, photograph, *part = split(name)
    path = predictions._HERE / f"{name}.png"
    found = predictions.load(record, photograph, *part)

    assert path.stat().st_size <= 20_000
    assert record in runs.names() and found.record == record and found.photograph == photograph
    assert len(found.weights) == 64 and set(found.weights) <= set("0123456789abcdef")
    size = predictions.photograph(photograph).shape[1:]
    if runs.load(record)["recipe"]["task"] != "saliency":
        assert found.values.shape == size and found.values.max() < len(found.classes)
        assert list(found.answer.shares) == list(overlay.shares(found.values, found.classes))
    else:
        assert found.values.is_floating_point() and max(found.values.shape) == predictions._LONGEST
        assert abs(size[0] / size[1] - found.values.shape[0] / found.values.shape[1]) < 0.01


def test_all_of_one_run_are_of_the_same_weights():
    weights = {}
    for name in NAMES:
        record, photograph, *part = split(name)
        weights.setdefault(record, set()).add(predictions.load(record, photograph, *part).weights)
    assert all(len(some) == 1 for some in weights.values())


def split(name: str) -> list[str]:
    """Name the record, the photograph and the part of a prediction."""
    photograph = next(one for one in predictions.PHOTOGRAPHS if f"-{one}" in name)
    record, _, part = name.rpartition(f"-{photograph}")
    return [record, photograph, *filter(None, [part.removeprefix("-")])]


def test_class_numbers_come_back_as_they_were(tmp_path, monkeypatch):
    labels = torch.randint(0, 21, (30, 41))
    answer = Answer(torch.zeros(3, 30, 41, dtype=torch.uint8), labels, torch.rand(30, 41), tuple(map(str, range(21))))
    predictions.save(answer, "a-run-seed0", "f" * 64, "coffee", folder=tmp_path)

    monkeypatch.setattr(predictions, "_HERE", tmp_path)
    found = predictions.load("a-run-seed0", "coffee")
    assert torch.equal(found.values, labels)
    assert found[1:] == ("a-run-seed0", "f" * 64, "coffee", answer.classes)
    assert found.answer.image.shape == (3, 400, 600) and torch.equal(found.answer.labels, labels)


def test_probabilities_come_back_smaller(tmp_path, monkeypatch):
    """Each number of the small map is the mean of a block; two roundings to bytes lie between."""
    probability = torch.rand(160, 320)
    answer = Answer(torch.zeros(3, 160, 320, dtype=torch.uint8), probability.long(), probability, ("no", "yes"))
    predictions.save(answer, "a-run", "0" * 64, "rocket", "side2", soft=True, folder=tmp_path)

    monkeypatch.setattr(predictions, "_HERE", tmp_path)
    found = predictions.load("a-run", "rocket", "side2").values
    expected = torch.nn.functional.avg_pool2d(probability[None], 2)[0]
    assert_close(found, expected, rtol=0, atol=1.5 / 255)
    with pytest.raises(ValueError, match="a-run on rocket is a map of probabilities"):
        predictions.load("a-run", "rocket", "side2").answer  # noqa: B018


def test_what_is_not_there_is_said(tmp_path):
    answer = Answer(torch.zeros(3, 2, 2, dtype=torch.uint8), torch.zeros(2, 2), torch.zeros(2, 2), ("no", "yes"))
    with pytest.raises(FileNotFoundError, match="no prediction 'no-run-coffee'; the book has: "):
        predictions.load("no-run", "coffee")
    for refused in (lambda: predictions.photograph("lena"), lambda: predictions.save(answer, "a", "b", "lena")):
        with pytest.raises(
            ValueError, match="the photographs are chelsea, astronaut, coffee, rocket, road; got 'lena'"
        ):
            refused()


def test_the_tool_records_each_map_of_a_checkpoint(tmp_path, monkeypatch, capsys):
    """Of a U²-Net all seven, the fused one first; each is that map and no other."""
    plan = recipe("u2netp", "smoke")
    network = build_network(plan)
    for number, side in enumerate(network.sides):  # side 1 says 0.1 everywhere, side 2 says 0.2, ...
        torch.nn.init.zeros_(side.weight)
        torch.nn.init.constant_(side.bias, torch.tensor((number + 1) / 10).logit().item())
    state = {"model": network.state_dict(), "recipe": plan.plain(), "classes": ["no", "yes"], "name": "mine"}
    checkpoints.save(tmp_path / "checkpoint.pt", state)
    words = ["predictions.py", str(tmp_path / "checkpoint.pt"), "--photographs", "coffee", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)

    assert tool.main() == 0

    monkeypatch.setattr(predictions, "_HERE", tmp_path)
    assert predictions.names() == ("mine-coffee", *(f"mine-coffee-side{number}" for number in range(1, 7)))
    for number in range(1, 7):
        values = predictions.load("mine", "coffee", f"side{number}").values
        assert_close(values, torch.full_like(values, number / 10), rtol=0, atol=1 / 255)
    assert "mine-coffee-side6.png" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["predictions.py", str(tmp_path / "none.pt")])
    assert tool.main() == 1 and "none.pt" in capsys.readouterr().err

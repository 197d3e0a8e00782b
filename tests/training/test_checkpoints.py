"""Checkpoints: what is written comes back, a broken file is refused by name, and nothing in a file is run."""

import dataclasses
import json
import os
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from chapters_code.train import checkpoints
from chapters_code.train.recipes import build_network, recipe


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pt"


def test_what_is_saved_comes_back(path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(2, 3, 6, 5)).sum().backward()
    optimizer.step()

    checkpoints.save(path, {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "history": [{"a": 1}]})
    state = checkpoints.load(path)

    assert_close(state["model"], dict(network.state_dict()))
    assert_close(state["optimizer"]["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    assert state["history"] == [{"a": 1}]
    assert_close(checkpoints.weights(path), dict(network.state_dict()))


def test_all_random_numbers_go_on_where_they_stood(path):
    def draw():
        return random.random(), np.random.rand(3).tolist(), np.random.randn(), torch.rand(3).tolist()

    np.random.randn()  # NumPy makes two normal numbers at a time, and keeps one
    checkpoints.save(path, {"random": checkpoints.random_state()})
    expected = draw()

    checkpoints.set_random_state(checkpoints.load(path)["random"])

    assert draw() == expected


@pytest.mark.parametrize("part", [0, 0.3, 0.9, 0.999])
def test_a_file_that_breaks_off_is_refused_by_name(path, part):
    checkpoints.save(path, {"model": nn.Conv2d(3, 64, 3).state_dict()})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])

    with pytest.raises(ValueError, match="checkpoint.pt is not a whole checkpoint"):
        checkpoints.load(path)


def test_a_file_with_damage_in_its_middle_is_refused_by_name(path):
    """As long as before, and a picture of zeros in place of some weights: only a checksum can tell."""
    checkpoints.save(path, {"model": {"weight": torch.randn(10_000)}})
    whole = bytearray(path.read_bytes())
    whole[20_000:22_000] = bytes(2_000)
    path.write_bytes(whole)

    with pytest.raises(ValueError, match="checkpoint.pt is not a whole checkpoint .*data/0 is damaged"):
        checkpoints.load(path)


def test_a_folder_is_not_called_damaged(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder: name the checkpoint in it, .*checkpoint.pt"):
        checkpoints.load(tmp_path)


def test_a_file_of_somebody_else_is_refused_by_name(path):
    torch.save(nn.Conv2d(3, 4, 3).state_dict(), path)
    with pytest.raises(
        ValueError, match="checkpoint.pt was not written by this version of the book's training.*load_state_dict"
    ):
        checkpoints.load(path)


def test_text_is_not_a_checkpoint(path):
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match="checkpoint.pt is not a whole checkpoint"):
        checkpoints.load(path)


class Trap:
    """Whoever unpickles it without care makes the file that it names."""

    def __init__(self, sprung):
        self.sprung = sprung

    def __reduce__(self):
        return (open, (self.sprung, "w"))


def test_code_in_a_file_is_not_run(path, tmp_path):
    torch.save({"format": "keep-the-crack checkpoint 2", "model": Trap(str(tmp_path / "sprung"))}, path)

    with pytest.raises(ValueError, match=r"checkpoint.pt is not a whole checkpoint \(it holds more than numbers"):
        checkpoints.load(path)
    assert not (tmp_path / "sprung").exists()


def test_no_file_is_said_so(path):
    with pytest.raises(FileNotFoundError, match="checkpoint.pt"):
        checkpoints.load(path)


def test_a_save_that_fails_leaves_the_old_checkpoint_and_no_rest(path, monkeypatch):
    checkpoints.save(path, {"model": {"a": torch.ones(2)}})

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(path, {"model": {"a": torch.zeros(2)}})

    assert_close(checkpoints.weights(path), {"a": torch.ones(2)})
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


# ---- from a checkpoint to its network --------------------------------------------------------------


def test_a_network_of_ones_own_is_filled_or_told_whose_weights_they_are(path):
    plan = recipe("unet", "smoke")
    checkpoints.save(path, {"model": build_network(plan).state_dict(), "recipe": plan.plain()})
    network = build_network(plan)

    assert checkpoints.fill(network, path) is network
    assert_close(dict(network.state_dict()), checkpoints.weights(path), rtol=0, atol=0)

    other = build_network(recipe("unet", "colab"))
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"another network \(network unet\.UNet, .*, tier smoke\): .* parts differ; here .*shape"
    ):
        checkpoints.fill(other, path)
    assert_close(dict(other.state_dict()), before, rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"here 0\.weight has shape \(2, 2\), there it is not there"):
        checkpoints.fill(nn.Sequential(nn.Linear(2, 2)), path)


def finished(network: nn.Module, plan, **more) -> dict:
    """What a run leaves behind, as far as `load_network` reads it."""
    classes = ["pavement", "crack"]
    return {"model": network.state_dict(), "recipe": plan.plain(), "classes": classes, "name": "first"} | more


@pytest.mark.parametrize("name", ["unet", "fcn-8s-mobilenet", "u2net"])
def test_the_network_is_built_by_the_recipe_of_its_checkpoint(path, name):
    """Without looking for the weights that it started from: nothing here could download them."""
    plan = recipe(name, "smoke")
    network = build_network(plan, seed=3)
    if name == "fcn-8s-mobilenet":
        plan = dataclasses.replace(plan, network_settings=plan.network_settings | {"weights": "imagenet"})
    checkpoints.save(path, finished(network, plan))

    trained = checkpoints.load_network(path)

    assert (trained.recipe, trained.classes, trained.name) == (plan_as_read(plan), ("pavement", "crack"), "first")
    assert not any(module.training for module in trained.network.modules())
    assert_close(trained.network.state_dict(), network.state_dict(), rtol=0, atol=0)


def plan_as_read(plan):
    """Lists come back where a setting of the network was a tuple."""
    return dataclasses.replace(plan, network_settings=json.loads(json.dumps(plan.network_settings)))


def test_the_digest_is_that_of_the_weights(path):
    """Equal however they lie in memory; another one for another number, name, dtype or shape."""
    plan = recipe("unet", "smoke")
    network = build_network(plan)

    def digest(module: nn.Module) -> str:
        checkpoints.save(path, finished(module, plan))
        return checkpoints.load_network(path).digest

    first = digest(network)
    assert len(first) == 64 and digest(network.to(memory_format=torch.channels_last)) == first
    with torch.no_grad():
        network.head.bias += 1e-6
    assert digest(network) != first
    ones = {"a": torch.ones(2, 3)}
    others = ({"b": torch.ones(2, 3)}, {"a": torch.ones(3, 2)}, {"a": torch.ones(2, 3, dtype=torch.int32)})
    assert len({checkpoints._digest(state) for state in (ones, *others)}) == 4


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda state: state.pop("classes"), "KeyError: 'classes'"),
        (lambda state: state.pop("recipe"), "KeyError: 'recipe'"),
        (lambda state: state["model"].pop("head.bias"), "RuntimeError: .*Missing key.*head.bias"),
        (lambda state: state["recipe"].update(crop=[8, 9, 10]), "crop must be"),
        (lambda state: state["recipe"].update(speed=3), "TypeError: .*'speed'"),
        (lambda state: state["recipe"].update(network="unet.VNet"), "AttributeError: .*VNet"),
        (lambda state: state["recipe"].update(network="vnet.VNet"), "not in this version of the book"),
    ],
)
def test_a_checkpoint_that_does_not_fit_this_book_is_refused_by_name(path, spoil, said):
    plan = recipe("unet", "smoke")
    state = finished(build_network(plan), plan)
    spoil(state)
    checkpoints.save(path, state)
    with pytest.raises(ValueError, match=said):
        checkpoints.load_network(path)

"""Checkpoints: all that a training run needs to go on as if it had never stopped (all chapters with training).

One file holds the network, the optimiser, the schedule, the state of every random number generator and the history of
the finished epochs.  It is written beside its place and then moved there in one step, so a run that is killed leaves
either the new checkpoint or the old one, never half of one.  It is read without running any code that may be in it.

    state  --save-->  checkpoint.pt  --load-->  the same state
    checkpoint.pt  --load_network-->  the trained network, and what is needed to ask it about a photograph
    checkpoint.pt  --fill-->  a network that you have built yourself, with those weights
"""

import dataclasses
import hashlib
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from chapters_code.files import written_whole
from chapters_code.train.recipes import Recipe, build_network

__all__ = ["Trained", "fill", "load", "load_network", "random_state", "save", "set_random_state", "weights"]

_FORMAT = "keep-the-crack checkpoint 2"


class Trained(NamedTuple):
    """A trained network, and all that is needed to ask it about a photograph.

    The network may be exchanged for any function of a batch of pictures, such as one that picks a map of several:
    `trained._replace(network=lambda x: trained.network(x)[3])`.
    """

    network: Callable  # in evaluation mode, on the CPU
    recipe: Recipe  # how it was trained: its task, and whether it sees pictures at one size
    classes: tuple[str, ...]  # the name of each class
    name: str  # that of the run, as in its record
    digest: str  # the SHA-256 of the weights, 64 hexadecimal digits


def save(path: str | Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, all of it or nothing; what stood there before stays until the new one is complete."""
    with written_whole(path) as unfinished:
        torch.save({"format": _FORMAT} | state, unfinished)


def load(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        OSError: There is no such file, or it may not be read.
        ValueError: The file breaks off or is damaged, or something else wrote it.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    if Path(path).is_dir():
        raise IsADirectoryError(f"{path} is a folder: name the checkpoint in it, {Path(path, 'checkpoint.pt')}")
    try:
        with zipfile.ZipFile(path) as parts:
            if damaged := parts.testzip():  # torch itself does not look at the checksums
                raise ValueError(f"{damaged} is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # torch's words would tell how to run what is in it
            reason = "it holds more than numbers, and code is not run"
        raise ValueError(
            f"{path} is not a whole checkpoint ({reason}): it breaks off, or something else wrote it;"
            " take an earlier one, or train anew"
        ) from None
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise ValueError(
            f"{path} was not written by this version of the book's training (it is no {_FORMAT!r}): for weights alone"
            " use load_state_dict; else train anew"
        )
    return state


def load_network(path: str | Path) -> Trained:
    """Build the network that a checkpoint is of, by its own recipe, and give it the weights.

    Raises:
        OSError: There is no such file, or it may not be read.
        ValueError: The file is no whole checkpoint of this book's training, or its network is not in this version.
    """
    state = load(path)
    try:
        recipe = Recipe(**{name: _as_given(value) for name, value in state["recipe"].items()})
        # The weights that it started from are not looked for: it gets those that it ended with.
        start = {"weights": None} if "weights" in recipe.network_settings else {}
        network = build_network(dataclasses.replace(recipe, network_settings=recipe.network_settings | start))
        network.load_state_dict(state["model"])
        classes, name = tuple(state["classes"]), state["name"]
    except (KeyError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path} does not fit this version of the book ({type(error).__name__}: {reason}): train anew"
        ) from None
    return Trained(network.eval(), recipe, classes, name, _digest(state["model"]))


def weights(path: str | Path) -> dict[str, Tensor]:
    """Return the network's weights out of a checkpoint, as `network.state_dict()` gave them; errors as for `load`."""
    return load(path)["model"]


def fill(network: nn.Module, path: str | Path) -> nn.Module:
    """Give a network that you have built yourself the weights out of a checkpoint: all of them, or none.

    Returns:
        `network`.

    Raises:
        OSError: There is no such file, or it may not be read.
        ValueError: The file is no whole checkpoint, or is of another network; the message says of which.
    """
    state = load(path)
    theirs, ours = (
        {name: tuple(value.shape) for name, value in one.items()} for one in (state["model"], network.state_dict())
    )
    if differing := [name for name in ours | theirs if ours.get(name) != theirs.get(name)]:
        first, recipe = differing[0], state.get("recipe", {})
        shapes = [f"has shape {one[first]}" if first in one else "is not there" for one in (ours, theirs)]
        made = ", ".join(f"{key} {recipe.get(key)}" for key in ("network", "network_settings", "name", "tier"))
        raise ValueError(
            f"{path} is of another network ({made}): {len(differing)} parts differ; here {first} {shapes[0]}, there it"
            f" {shapes[1]}: checkpoints.load_network(path) builds the network that fits"
        )
    network.load_state_dict(state["model"])
    return network


def random_state() -> dict[str, Any]:
    """Take down where the random number generators of this process stand (Python, NumPy, PyTorch, each GPU)."""
    kind, keys, *place = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), *place),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put the random number generators where `random_state` found them."""
    random.setstate(state["python"])
    kind, keys, *place = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *place))
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def _as_given(value: Any) -> Any:
    """Turn JSON's lists into the tuples that a recipe has."""
    return tuple(map(_as_given, value)) if isinstance(value, list) else value


def _digest(state: dict[str, Tensor]) -> str:
    """Hash the weights, name by name, whatever file or device they are in."""
    found = hashlib.sha256()
    for name, value in state.items():
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()

"""Checkpoints: all that a training run needs to go on as if it had never stopped (all chapters with training).

One file holds the network, the optimiser, the schedule, the state of every random number generator and the history of
the finished epochs.  It is written beside its place and then moved there in one step, so a run that is killed leaves
either the new checkpoint or the old one, never half of one.  It is read without running any code that may be in it.

    state  --save-->  checkpoint.pt  --load-->  the same state          checkpoint.pt  --weights-->  for load_state_dict
"""

import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chapters_code.files import written_whole

__all__ = ["load", "random_state", "save", "set_random_state", "weights"]

_FORMAT = "keep-the-crack checkpoint 1"


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
    try:
        with zipfile.ZipFile(path) as parts:
            if damaged := parts.testzip():  # torch itself does not look at the checksums
                raise ValueError(f"{damaged} is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} is not a whole checkpoint ({reason}): it breaks off, or something else wrote it;"
            " take an earlier one, or train anew without --resume"
        ) from None
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise ValueError(
            f"{path} was not written by this book's training (it is no {_FORMAT!r}): for weights alone use"
            " load_state_dict, and train anew without --resume"
        )
    return state


def weights(path: str | Path) -> dict[str, Tensor]:
    """Give the network's weights out of a checkpoint, for `network.load_state_dict`; errors as for `load`."""
    return load(path)["model"]


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

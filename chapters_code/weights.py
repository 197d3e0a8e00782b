"""Weights that others have trained on ImageNet, wherever they have to come from (Chapters 06 and 08).

    BOOK_DATA/weights has the file  -->  that
    it was downloaded before        -->  that
    torchvision's server has it     -->  downloaded, checked, and kept for the next time
    none of these                   -->  `NoWeights`, which says what to do

A data set can be replaced by a drawn twin; weights cannot be replaced by anything.  So `imagenet` never gives others
than those that were asked for.  A page that is read without a network asks `imagenet_or_none` first, and goes on from
random weights if the answer is None.

A file that has torchvision's name must have its checksum, too, of which torchvision writes the first digits into the
name.  A file called `NETWORK_features_imagenet.pth` is the reader's own, and taken at its word.  Files are read
without running any code that may be in them.
"""

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pooch
import torch
from torch import Tensor
from torchvision import models

from chapters_code.data.fetching.download import Unreachable, WrongData, fetch
from chapters_code.data.fetching.find import alone, cache_folder, may_download, own_folder
from chapters_code.data.fetching.sources import Archive

__all__ = ["NETWORKS", "NoWeights", "bare_weights", "imagenet", "imagenet_or_none", "read_weights"]

# torchvision's weights, and how large their files are about, in bytes.
_PUBLISHED = {
    "resnet18": (models.ResNet18_Weights.IMAGENET1K_V1, 47_000_000),
    "mobilenet_v2": (models.MobileNet_V2_Weights.IMAGENET1K_V1, 14_300_000),
}
NETWORKS = tuple(_PUBLISHED)


class NoWeights(FileNotFoundError):
    """The weights are not on this machine, and could not be downloaded; the message says what to do."""


def imagenet(network: str, download: bool | None = None) -> Path:
    """Return the file of a network's weights after training on ImageNet.

    Args:
        network: "resnet18" or "mobilenet_v2", as torchvision calls them.
        download: Whether the network may be used.  None: yes, unless BOOK_OFFLINE is set.

    Returns:
        The file, for `read_weights`.

    Raises:
        ValueError: There is no such network; or what was downloaded, or bears the file's name, is not that file
            (`WrongData`).
        NoWeights: They could not be had.
    """
    published, size = _published(network)
    name = published.url.rsplit("/", 1)[-1]  # such as resnet18-f37072fd.pth
    reason = "Nothing may be downloaded now (BOOK_OFFLINE)."
    try:
        own = own_folder()
    except FileNotFoundError as error:
        raise NoWeights(str(error)) from None
    if own:
        if (own / "weights" / name).is_file():
            return _checked(own / "weights" / name)
        if (features := own / "weights" / f"{network}_features_imagenet.pth").is_file():
            return features
        reason = f"There is no {own / 'weights' / name}.\n{reason}"
    folder = cache_folder() / "weights"
    if (folder / name).is_file():
        return _checked(folder / name)
    if may_download(download):
        try:
            with alone(f"weights-{network}"):  # of several processes one downloads
                if (folder / name).is_file():
                    return _checked(folder / name)
                return fetch(Archive(name, (published.url,), size), folder, partial(_verify, name=name))
        except Unreachable as error:
            reason = str(error)
        except OSError as error:
            reason = f"{folder} cannot be used ({error}): name another folder in BOOK_CACHE."
    raise NoWeights(
        f"the ImageNet weights of {network} are not here.\n{reason}\nPut {name} (from {published.url}) into the folder"
        " weights of BOOK_DATA, or give the path of another file of weights, or start from random ones: weights=None"
    )


def imagenet_or_none(network: str) -> str | None:
    """Return "imagenet" if a network's weights can be had and read, else None, with a warning that says why.

    For pages that must run to their end, whatever the network connection delivers.

    Raises:
        ValueError: There is no such network.
    """
    _published(network)  # a network that there is not is no reason to go on
    try:
        read_weights(imagenet(network))
    except (NoWeights, ValueError) as error:
        warnings.warn(f"{error}\nGoing on from random weights.", UserWarning, stacklevel=2)
        return None
    return "imagenet"


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a file of weights, a dictionary of tensors by name, onto the CPU; `bare_weights` takes them out of wrappers.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It breaks off, is damaged, or holds something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file of weights {str(path)!r}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # for damage torch.load has errors of a dozen kinds
        raise ValueError(
            f"{path} cannot be read as weights ({type(error).__name__}): it breaks off, or something else wrote it;"
            " delete it and get it again"
        ) from None
    found = bare_weights(state)
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(
            f"{path} holds no weights, that is a dictionary of tensors, but a {type(state).__name__}: save"
            " network.state_dict()"
        )
    return found


def bare_weights(state: Any) -> Any:
    """Take weights out of what programs of training wrap them in.

    Args:
        state: A dictionary of tensors by name; or a checkpoint that holds one as "state_dict", "model" or
            "model_state_dict".  The names may begin with "module." (`DataParallel`) or "_orig_mod." (`torch.compile`).

    Returns:
        The dictionary of tensors, with the network's own names; what is no dictionary comes back as it is.

    Example:
        >>> bare_weights({"epoch": 3, "model": {"module.bias": torch.zeros(1)}})
        {'bias': tensor([0.])}
    """
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        return state
    for prefix in 2 * ("module.", "_orig_mod."):  # in either order
        if all(str(name).startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return dict(state)


def _published(network: str) -> tuple:
    if network not in _PUBLISHED:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {network!r}")
    return _PUBLISHED[network]


def _checked(path: Path) -> Path:
    """Return a file that has torchvision's name, or say that it is another one."""
    try:
        _verify(path, path.name)
    except WrongData as error:
        raise WrongData(
            f"{path} is not torchvision's file: {error}; delete it, or rename it and give its path as weights"
        ) from None
    return path


def _verify(path: Path, name: str) -> None:
    """Hold a download against the first digits of its SHA-256, which torchvision writes into the name."""
    wanted = name.removesuffix(".pth").rsplit("-", 1)[-1]
    found = pooch.file_hash(str(path), alg="sha256")
    if not found.startswith(wanted):
        raise WrongData(f"its SHA-256 begins with {found[:8]}, and not with {wanted}")

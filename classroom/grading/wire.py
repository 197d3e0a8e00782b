"""What the judge and an answer's process say to each other: messages in bytes, over a socket.

The two sides do not trust each other alike.  What the judge sends, the child unpickles as it is.  What a child sends
may have been made by the student's code, so the judge reads it with PyTorch's restricted unpickler: tensors, plain
values, and objects of classes that it knows; nothing in it runs.
"""

import ast
import io
import math
import pickle
import re
import zipfile
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.serialization import safe_globals

__all__ = ["LARGEST", "Handle", "Leaf", "Named", "Odd", "pack", "receive", "receive_trusted", "send"]

# The largest message, in bytes, and the most that it may be unpacked.
LARGEST = 64 * 2**20
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype)


class Leaf:
    """A tensor for which the judge wants a gradient."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Handle:
    """A function that an answer has returned; it stays in the child, and the judge calls it by its number."""

    def __init__(self, number: int) -> None:
        self.number = number


class Named:
    """A tuple with a type of its own, such as that of Tensor.median, or a number of NumPy."""

    def __init__(self, name: str, value: Any, has: tuple[str, ...] = ()) -> None:
        self.name, self.value, self.has = name, value, has


class Odd:
    """Something that no exercise asks for; the judge hears of its type alone."""

    def __init__(self, name: str) -> None:
        self.name = name


def pack(value: Any, functions: list, known: tuple[type, ...] = ()) -> Any:
    """Return a value as it can be sent from a child.

    Args:
        value: What the answer has returned, or been given.
        functions: Where functions are kept; the judge gets their place.
        known: Further classes whose objects are sent as they are.
    """
    kind = type(value)
    if isinstance(value, nn.Module):
        for layer in value.modules():  # what renames old weights while they are loaded is code, and no check needs it
            layer._load_state_dict_pre_hooks.clear()
    if kind in _PLAIN or kind in known or isinstance(value, nn.Module):
        return value
    if kind in (Tensor, nn.Parameter):
        value = value.detach()
        # A view would bring all of the memory that it looks into.
        strided = value.layout is torch.strided and value.device.type == "cpu"
        whole = not strided or value.untyped_storage().nbytes() <= 2 * value.numel() * value.element_size() + 64
        return value if whole else value.clone()
    if kind in (list, tuple, torch.Size):
        return (list if kind is list else tuple)(pack(one, functions, known) for one in value)
    if kind is dict:
        return {pack(key, functions, known): pack(one, functions, known) for key, one in value.items()}
    if isinstance(value, tuple):
        has = tuple(name for name in ("values", "indices") if hasattr(value, name))
        return Named(kind.__name__, tuple(pack(one, functions, known) for one in value), has)
    if isinstance(value, np.generic) and isinstance(value.item(), bool | int | float):
        return Named(f"numpy.{value.dtype.name}", value.item())
    if callable(value) and not isinstance(value, type | Tensor):
        functions.append(value)
        return Handle(len(functions) - 1)
    return Odd(kind.__name__)


def send(connection: Connection, message: Any) -> None:
    """Send a message: as text if it is made of plain values, which is ten times as fast, and else as PyTorch does."""
    if _is_literal(message):
        connection.send_bytes(b"=" + repr(message).encode("utf-8", "surrogatepass"))
        return
    buffer = io.BytesIO()
    torch.save(message, buffer)
    connection.send_bytes(buffer.getbuffer())


def _is_literal(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind in (list, tuple):
        return all(map(_is_literal, value))
    if kind is dict:
        return all(map(_is_literal, value)) and all(map(_is_literal, value.values()))
    return kind in (type(None), bool, int, str, bytes)


def receive(connection: Connection, known: tuple[type, ...] = ()) -> Any:
    """Return what a child says.

    Raises:
        EOFError: The child is gone.
        ValueError: What came is no message.
    """
    try:
        data = connection.recv_bytes(LARGEST)
    except EOFError:
        raise
    except OSError as error:
        raise EOFError(str(error)) from error
    try:
        if data.startswith(b"="):
            return ast.literal_eval(data[1:].decode("utf-8", "surrogatepass"))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > 2 * LARGEST:
            raise ValueError(f"it would unpack to {unpacked} bytes")
        with safe_globals([Handle, Named, Odd, *_layers(), *known]):
            return torch.load(io.BytesIO(data), weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(f"it holds {refused[1]}" if refused else "it is not made of tensors and numbers") from error
    except Exception as error:  # whatever the student's code has made of the message
        raise ValueError(str(error).split("\n")[0]) from error


def receive_trusted(connection: Connection) -> Any:
    """Return what the judge says."""
    data = connection.recv_bytes()
    if data.startswith(b"="):
        return ast.literal_eval(data[1:].decode("utf-8", "surrogatepass"))
    return torch.load(io.BytesIO(data), weights_only=False)


def _layers() -> list[type]:
    """Return the layers of PyTorch and of the book, as far as they are imported."""
    found, new = [], [nn.Module]
    while new:
        new = [below for one in new for below in one.__subclasses__() if below not in found]
        found += new
    return [nn.Module, *(one for one in found if one.__module__.startswith(("torch.nn.", "chapters_code.")))]

"""What a training run computes on: which device, how many processes, in which precision, with which memory."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import GradientAccumulationPlugin, set_seed
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from chapters_code.outputs import device_of

__all__ = ["accelerator", "borrowed", "in_words", "keep_memory", "precision", "workers"]


def accelerator(seed: int) -> Accelerator:
    """Find the hardware and the other processes, and seed this one."""
    found = Accelerator(
        # Left to itself, Accelerate takes several processes without a GPU for several runs.
        cpu=not torch.accelerator.is_available(),
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        # Said aloud, or the reader's environment decides, and the record would not know.
        mixed_precision="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        dynamo_backend="no",
    )
    set_seed(seed, device_specific=True)
    return found


@contextmanager
def borrowed(model: nn.Module, accelerator: Accelerator) -> Iterator[nn.Module]:
    """Take a network to train it, within; afterwards it is back where it came from, whatever has happened.

    Its weights are laid out as convolutions like them (channels_last), and stay so.  On several GPUs its layers of
    batch normalisation are exchanged for such that see the batches of all; afterwards it has its own again, with what
    the others have learnt.
    """
    home, own = device_of(model, torch.empty(0)), {}
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        own = {name: part for name, part in model.named_modules() if isinstance(part, _BatchNorm)}
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    try:
        yield model.to(memory_format=torch.channels_last)
    finally:
        model.to(home)
        for name, part in own.items():
            shared = model.get_submodule(name)
            part.load_state_dict(shared.state_dict())
            model.set_submodule(name, part.train(shared.training))


def workers(device: torch.device) -> int:
    """Say how many processes read ahead: some where a GPU waits for pictures, none where they would share its cores."""
    return min(4, os.cpu_count() or 1) if device.type == "cuda" else 0


def precision(wanted: str, device: torch.device) -> str:
    """Say in which precision convolutions are computed: bfloat16 if that is wanted and the hardware has it."""
    if device.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bfloat16" if wanted == "bfloat16" and has else "float32"


def in_words(device: torch.device) -> str:
    """Name the hardware, for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores"


def keep_memory() -> None:
    """Tell glibc to keep freed memory for the next batch instead of giving it back: much faster training on CPUs.

    Each large block that is given back must be cleared by the kernel when it is asked for again (measured: 1.7 times
    the time for a U²-Net).  Elsewhere than on Linux with glibc there is nothing to tell.
    """
    trim_threshold, mmap_threshold = -1, -3
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
    except (OSError, AttributeError):
        pass

"""Race the book's wavelet layers against their peers, on the CPU.

    python -m benchmarks.wavelets                       everything, as Markdown tables
    python -m benchmarks.wavelets --rounds 3 --only haar hwd --small

*haar*: one step of the Haar transform, forward, and forward with backward.  Against pytorch_wavelets' `DWTForward` and
ptwt's `wavedec2`; ours is `fast.wavelets`.  Where one of them is not installed, its column is left out, and this is
said.  (pytorch_wavelets 1.3.0 is imported with setuptools below 81 only.)

*hwd*: the module of the source: Haar by pytorch_wavelets, or written out where that is missing, then concatenation, a
1 x 1 convolution with bias, normalisation, ReLU.  Ours trains as one convolution, and infers by `fuse()`.

*wtconv*: the authors' layer from its description: stored filters, grouped convolutions, scales on the maps.  Ours has
the same weights.

Pictures are random numbers.  First all ways must give the same numbers, and then they are timed in one process: each
once per round, in an order of chance, so that a busy minute hits all alike.  A ratio is the median over the rounds of
peer's time / our time: above 1 we are faster.  "nhwc" takes and gives channels_last, as in a network that is kept so.

Large blocks of memory that are freed go back to Linux, and to get them again takes long.  So measure also with
`MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483647` in the environment, as `chapters_code.train` sets
it for itself.
"""

import argparse
import copy
import importlib
import os
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pywt
import torch
from torch import Tensor, nn
from torch.nn import functional

from chapters_code.fast.wavelets import haar_dwt2, haar_split
from chapters_code.hwd import HWDownsampling
from chapters_code.wtconv import Scale, WTConv2d

# The sizes and, behind them, the output channels or the levels that are measured.
HAAR = [(8, 64, 128, 128), (4, 64, 56, 56), (1, 3, 512, 512)]
HWD = [((8, 64, 128, 128), 128), ((4, 64, 56, 56), 128), ((1, 3, 512, 512), 64), ((2, 32, 160, 160), 64)]
WTCONV = [((4, 64, 56, 56), (1, 2, 3, 4)), ((1, 96, 112, 112), (1, 2, 3, 4))]
SMALL = {"haar": [(2, 8, 16, 24)], "hwd": [((2, 8, 16, 24), 12)], "wtconv": [((2, 8, 16, 24), (1, 2))]}


# ---- the peers ----------------------------------------------------------------------------------


def find(name: str):
    """Import a peer, or say that it is left out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pkg_resources is old, and says so
            return importlib.import_module(name)
    except ImportError as error:
        print(f"{name} is left out: {error}")
        return None


class WrittenOut(nn.Module):
    """One Haar step as one grouped convolution; gives what pytorch_wavelets' DWTForward gives."""

    def __init__(self) -> None:
        super().__init__()
        low, high = torch.tensor([1.0, 1.0]) / 2**0.5, torch.tensor([1.0, -1.0]) / 2**0.5
        self.register_buffer(
            "taps", torch.stack([torch.outer(i, j) for j in (low, high) for i in (low, high)])[:, None]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        channels = x.shape[1]
        bands = functional.conv2d(x, self.taps.repeat(channels, 1, 1, 1), stride=2, groups=channels)
        bands = bands.unflatten(1, (channels, 4))
        return bands[:, :, 0], [bands[:, :, 1:]]


class SourceHWD(nn.Module):
    """The module as the source and the authors write it."""

    def __init__(self, in_channels: int, out_channels: int, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform
        self.mix = nn.Conv2d(4 * in_channels, out_channels, 1)
        self.norm, self.relu = nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        low, (details, *_) = self.transform(x)
        return self.relu(self.norm(self.mix(torch.cat([low, *details.unbind(2)], dim=1))))


class OfficialWTConv(nn.Module):
    """The authors' layer for Haar, from its description, with their names; even and odd sides, stride 1."""

    def __init__(self, channels: int, kernel_size: int, wt_levels: int) -> None:
        super().__init__()
        bank = pywt.Wavelet("db1")
        for name, taps in (("wt_filter", (bank.dec_lo, bank.dec_hi)), ("iwt_filter", (bank.rec_lo, bank.rec_hi))):
            low, high = (torch.tensor(one[::-1] if name == "wt_filter" else one) for one in taps)
            four = torch.stack([torch.outer(i, j) for j in (low, high) for i in (low, high)])
            self.register_parameter(name, nn.Parameter(four[:, None].repeat(channels, 1, 1, 1), requires_grad=False))
        depthwise = partial(nn.Conv2d, kernel_size=kernel_size, padding=kernel_size // 2)
        self.base_conv = depthwise(channels, channels, groups=channels)
        self.base_scale = Scale(channels, 1.0)
        many = 4 * channels
        self.wavelet_convs = nn.ModuleList(depthwise(many, many, groups=many, bias=False) for _ in range(wt_levels))
        self.wavelet_scale = nn.ModuleList(Scale(many, 0.1) for _ in range(wt_levels))

    def forward(self, x: Tensor) -> Tensor:
        channels, averages, levels = x.shape[1], x, []
        for convolution, scale in zip(self.wavelet_convs, self.wavelet_scale, strict=True):
            height, width = averages.shape[-2:]
            if height % 2 or width % 2:
                averages = functional.pad(averages, (0, width % 2, 0, height % 2))
            bands = functional.conv2d(averages, self.wt_filter, stride=2, groups=channels).unflatten(1, (channels, 4))
            averages = bands[:, :, 0]
            levels.append((scale(convolution(bands.flatten(1, 2))).unflatten(1, (channels, 4)), height, width))
        below = 0
        for bands, height, width in reversed(levels):
            bands = torch.cat([(bands[:, :, 0] + below)[:, :, None], bands[:, :, 1:]], dim=2).flatten(1, 2)
            below = functional.conv_transpose2d(bands, self.iwt_filter, stride=2, groups=channels)
            below = below[..., :height, :width]
        return self.base_scale(self.base_conv(x)) + below


# ---- timing -------------------------------------------------------------------------------------


def infer(way: Callable, x: Tensor) -> None:
    """Forward alone."""
    with torch.inference_mode():
        way(x)


def train(way: Callable, x: Tensor) -> None:
    """Forward and backward, to the weights and to the input."""
    if isinstance(way, nn.Module):
        way.zero_grad(set_to_none=True)
    out = way(x.detach().requires_grad_())
    outs = [out] if isinstance(out, Tensor) else out
    torch.autograd.backward(outs, [torch.ones_like(one) for one in outs])


def race(task: Callable, ways: dict[str, tuple[Callable, Tensor]], rounds: int) -> dict[str, list[float]]:
    """Time each way once per round, in an order of chance; seconds by name."""
    dice, times = random.Random(0), {name: [] for name in ways}
    for i in range(rounds + 2):
        for name in dice.sample(list(ways), len(ways)):
            way, x = ways[name]
            begin = time.perf_counter()
            task(way, x)
            if i > 1:  # the first two rounds prepare things
                times[name].append(time.perf_counter() - begin)
    return times


def table(title: str, rows: list[tuple[str, dict[str, list[float]]]], peers: list[str]) -> None:
    """Print a line for each row: milliseconds of all ways, and for each peer and each of ours their ratio."""
    names = list(rows[0][1])
    pairs = [(peer, name) for peer in peers for name in names if name not in peers]
    heads = [f"{name}, ms" for name in names] + [f"{peer} / {name}" for peer, name in pairs]
    print(f"\n{title}\n\n| case | {' | '.join(heads)} |\n| --- {'| --: ' * len(heads)}|")
    for case, times in rows:
        cells = [f"{1000 * statistics.median(times[name]):.2f}" for name in names]
        for peer, name in pairs:
            ratios = [slow / fast for slow, fast in zip(times[peer], times[name], strict=True)]
            cells.append(f"{statistics.median(ratios):.2f}")
        print(f"| {case} | {' | '.join(cells)} |", flush=True)


def size(shape: tuple[int, ...]) -> str:
    """Write a shape as in the tables of the notes."""
    return " × ".join(map(str, shape))


# ---- the three races ----------------------------------------------------------------------------


def haar(shapes: list, rounds: int) -> None:
    """One step, forward, and forward with backward."""
    wavelets, ptwt = find("pytorch_wavelets"), find("ptwt")
    ways = {}
    if wavelets:
        transform = wavelets.DWTForward(J=1, wave="haar", mode="zero")

        def by_pytorch_wavelets(x: Tensor) -> list[Tensor]:
            low, (details,) = transform(x)
            return [low, *details.unbind(2)]

        ways["pytorch_wavelets"] = by_pytorch_wavelets
    if ptwt:

        def by_ptwt(x: Tensor) -> list[Tensor]:
            low, details = ptwt.wavedec2(x, "haar", mode="zero", level=1)
            return [low, *details]

        ways["ptwt"] = by_ptwt
    if not ways:
        print("there is no peer to race one step against")
        return
    peers = list(ways)
    ways |= {"ours": haar_dwt2, "ours, one tensor": haar_split}
    for task in (infer, train):
        rows = []
        for shape in shapes:
            x = torch.randn(shape)
            for name, way in ways.items():
                out = way(x)
                out = list(out.unbind(-4) if isinstance(out, Tensor) else out)
                torch.testing.assert_close(out, list(haar_dwt2(x)), msg=lambda text, name=name: f"{name}: {text}")
            rows.append((size(shape), race(task, {name: (way, x) for name, way in ways.items()}, rounds)))
        table(f"One Haar step, {WORDS[task]}; {rounds} rounds; {conditions()}", rows, peers)


def hwd(cases: list, rounds: int) -> None:
    """The source's module against one convolution in training, and against `fuse()` in inference."""
    wavelets = find("pytorch_wavelets")
    train_rows, infer_rows = [], []
    for shape, channels in cases:
        transform = wavelets.DWTForward(J=1, wave="haar", mode="zero") if wavelets else WrittenOut()
        source, ours = SourceHWD(shape[1], channels, transform), HWDownsampling(shape[1], channels)
        nn.init.zeros_(source.mix.bias)  # before the normalisation it has no effect in training
        ours.load_state_dict({name: value for name, value in source.state_dict().items() if name in ours.state_dict()})
        x = torch.randn(shape)
        ways = {"source": (source, x), "ours": (ours, x), "ours, nhwc": (_last(copy.deepcopy(ours)), _last(x))}
        _same(ways)
        case = f"{size(shape)}, to {channels}"
        train_rows.append((case, race(train, ways, rounds)))
        for way, _ in ways.values():
            way.eval()
        ways["ours"], ways["ours, nhwc"] = (ours.fuse(), x), (_last(ours.fuse()), _last(x))
        ways["source"][0].norm.load_state_dict(ours.norm.state_dict())
        _same(ways)
        infer_rows.append((case, race(infer, ways, rounds)))
    name = "pytorch_wavelets" if wavelets else "grouped convolutions"
    for task, rows in ((train, train_rows), (infer, infer_rows)):
        table(f"HWD, Haar there by {name}, {WORDS[task]}; {rounds} rounds; {conditions()}", rows, ["source"])


def wtconv(cases: list, rounds: int) -> None:
    """The authors' form against ours, kernels of 5 × 5."""
    train_rows, infer_rows = [], []
    for shape, levels in cases:
        for level in levels:
            official, ours = OfficialWTConv(shape[1], 5, level), WTConv2d(shape[1], shape[1], 5, wt_levels=level)
            ours.load_state_dict(official.state_dict())
            x = torch.randn(shape)
            ways = {"official": (official, x), "ours": (ours, x), "ours, nhwc": (_last(copy.deepcopy(ours)), _last(x))}
            _same(ways)
            case = f"{size(shape)}, {level} level{'s' * (level > 1)}"
            train_rows.append((case, race(train, ways, rounds)))
            infer_rows.append((case, race(infer, ways, rounds)))
    for task, rows in ((train, train_rows), (infer, infer_rows)):
        table(f"WTConv, 5 × 5, {WORDS[task]}; {rounds} rounds; {conditions()}", rows, ["official"])


WORDS = {infer: "forward", train: "forward and backward"}


def _last(what):
    return what.to(memory_format=torch.channels_last)


def _same(ways: dict[str, tuple[Callable, Tensor]]) -> None:
    """Demand the same numbers of all ways, and the same gradient of the input."""
    outs, gradients = [], []
    for way, x in ways.values():
        x = x.detach().requires_grad_()
        out = way(x)
        outs.append(out.detach())
        gradients.append(torch.autograd.grad(out.square().sum(), x)[0])
    for found in (outs, gradients):
        for one in found[1:]:
            torch.testing.assert_close(one, found[0], rtol=1e-4, atol=1e-4 * found[0].abs().max().item())


def conditions() -> str:
    """Say where this was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    tuned = "kept" if "MALLOC_TRIM_THRESHOLD_" in os.environ else "given back"
    return (
        f"float32 on CPU, {torch.get_num_threads()} thread(s), {os.cpu_count()} cores ({model}),"
        f" PyTorch {torch.__version__}, freed memory {tuned}, load {os.getloadavg()[0]:.1f} when it ended"
    )


def main() -> None:
    """Read the command line, and measure."""
    races = {"haar": (haar, HAAR), "hwd": (hwd, HWD), "wtconv": (wtconv, WTCONV)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2, help="that PyTorch may use")
    parser.add_argument("--only", nargs="+", choices=tuple(races), default=tuple(races))
    parser.add_argument("--small", action="store_true", help="small pictures: does everything run?")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    for name in given.only:
        run, cases = races[name]
        run(SMALL[name] if given.small else cases, given.rounds)


if __name__ == "__main__":
    main()

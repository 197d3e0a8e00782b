"""Measure FCN: pictures of any size, by tiles and whole, and three ways to enlarge its small map.

    python -m benchmarks.fcn                       everything, as two Markdown tables
    python -m benchmarks.fcn --rounds 3 --sizes 33x47 500x375

*Pictures.*  Random numbers of each size (width x height) go through FCN with 21 classes, by `predict_tiled` (tiles of
512, overlap 64, on multiples of 32) and whole.  Every run has a process of its own.  Seconds are the median over the
rounds.  Memory is the highest resident set of the process, above what it was when network and picture were there; the
logits of the whole picture are part of it, and stand beside it, since no way to predict can do without them.  A run
that would take more than the limit is stopped, and said to be over it.

*Enlarging.*  The map of 8 pictures, (8, 21, 10, 15), to (8, 21, 320, 480): the dense transposed convolution of the
source, the depthwise one, two fixed matrices.  Rounds take turns, so that a busy minute hits all alike.

Large blocks of memory that are freed go back to Linux, and to get them again takes longer than to enlarge a map.  So
measure the second part also with `MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483647` in the
environment, as `chapters_code.train` sets it for itself.  Linux only, for memory is read from /proc.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZES = ("1x1", "33x47", "500x375", "4000x3000")
BACKBONES = ("mobilenet_v2", "resnet18")
WAYS = ("tiled", "whole")
TILE, OVERLAP, ALIGN, CLASSES = 512, 64, 32, 21


# ---- one picture, in a process of its own -------------------------------------------------------


def run(way: str, backbone: str, upsample: str, size: tuple[int, int], limit: float) -> None:
    """Predict one picture, and print seconds and MiB as JSON; `limit` is in GiB above the start."""
    import torch

    from chapters_code.fcn import FCN
    from chapters_code.predict import predict_tiled

    torch.manual_seed(0)
    model = FCN(CLASSES, backbone, upsample=upsample).eval()
    image = torch.randn(1, 3, *size)
    with torch.inference_mode():
        model(torch.zeros(1, 3, 64, 64))  # the first call prepares things
        Path("/proc/self/clear_refs").write_text("5")  # the highest resident set is counted from now on
        start = _memory("VmRSS")
        allowed = round((_memory("VmSize") / 1024 + limit) * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
        begin = time.perf_counter()
        try:
            out = predict_tiled(model, image, TILE, OVERLAP, align=ALIGN) if way == "tiled" else model(image)
        except (RuntimeError, MemoryError) as error:
            if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
                raise
            print(json.dumps(None))
            return
        found = {"seconds": time.perf_counter() - begin, "memory": _memory("VmHWM") - start}
    assert out.shape == (1, CLASSES, *size) and out.isfinite().all()
    print(json.dumps(found))


def _memory(name: str) -> float:
    """Read one of this process's numbers, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


# ---- the tables ---------------------------------------------------------------------------------


def pictures(sizes: list[str], upsample: str, rounds: int, limit: float) -> None:
    """Start every run in turn, and print the table."""
    runs: dict[tuple[str, str, str], list] = {}
    for _ in range(rounds):
        for size in sizes:
            for backbone in BACKBONES:
                for way in WAYS:
                    command = [sys.executable, __file__, "--run", way, backbone, upsample, size, str(limit)]
                    answer = subprocess.run(command, capture_output=True, text=True)
                    if answer.returncode:
                        raise SystemExit(f"{' '.join(command)} failed:\n{answer.stderr}")
                    runs.setdefault((size, backbone, way), []).append(json.loads(answer.stdout))

    print(f"\nFCN with the {upsample} head, tiles of {TILE}, overlap {OVERLAP}; {rounds} round(s); {_conditions()}\n")
    print("| picture | backbone | logits, MiB | tiled, s | tiled, MiB | whole, s | whole, MiB |")
    print("| --- | --- | --: | --: | --: | --: | --: |")
    for size in sizes:
        width, height = map(int, size.split("x"))
        for backbone in BACKBONES:
            cells = [f"{width * height * CLASSES * 4 / 2**20:.1f}"]
            for way in WAYS:
                found = runs[size, backbone, way]
                if None in found:
                    cells += ["", f"over {limit:g} GiB"]
                    continue
                cells += [f"{statistics.median(one['seconds'] for one in found):.2f}"]
                cells += [f"{max(one['memory'] for one in found):.0f}"]
            print(f"| {size.replace('x', ' × ')} | {backbone} | {' | '.join(cells)} |", flush=True)


def heads(rounds: int) -> None:
    """Time the three ways to enlarge, forward, and forward with backward, and print the table."""
    import torch

    from chapters_code.transposed import UPSAMPLERS

    small = torch.randn(8, CLASSES, 10, 15)
    layers = {name: make(CLASSES, ALIGN) for name, make in UPSAMPLERS.items()}
    with torch.inference_mode():
        expected = layers["dense"](small)
        for layer in layers.values():  # the same numbers before any is timed
            torch.testing.assert_close(layer(small), expected)

    def forward(layer: torch.nn.Module) -> None:
        with torch.inference_mode():
            layer(small)

    def both(layer: torch.nn.Module) -> None:
        layer(small.clone().requires_grad_()).sum().backward()

    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds + 1):
        for task in (forward, both):
            for name, layer in layers.items():
                layer.zero_grad(set_to_none=True)
                begin = time.perf_counter()
                task(layer)
                times.setdefault((name, task.__name__), []).append(time.perf_counter() - begin)

    print(f"\n(8, {CLASSES}, 10, 15) to (8, {CLASSES}, 320, 480); {rounds} rounds; {_conditions()}\n")
    print("| head | weights | forward, ms | dense / this | with backward, ms | dense / this |")
    print("| --- | --: | --: | --: | --: | --: |")
    for name, layer in layers.items():
        cells = [f"{sum(weight.numel() for weight in layer.parameters()):,}"]
        for task in ("forward", "both"):
            mine, dense = times[name, task][1:], times["dense", task][1:]  # the first round prepares things
            ratios = [slow / fast for slow, fast in zip(dense, mine, strict=True)]
            cells += [f"{1000 * statistics.median(mine):.1f}", f"{statistics.median(ratios):.1f}"]
        print(f"| {name} | {' | '.join(cells)} |")


def _conditions() -> str:
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return (
        f"float32 on CPU, {torch.get_num_threads()} thread(s), {os.cpu_count()} cores ({model}),"
        f" PyTorch {torch.__version__}, load {os.getloadavg()[0]:.1f} when it ended"
    )


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), metavar="WxH", help="of the pictures, in pixels")
    parser.add_argument("--upsample", default="dense", choices=("dense", "depthwise", "fixed"))
    parser.add_argument("--rounds", type=int, default=3, help="of the pictures")
    parser.add_argument("--head-rounds", type=int, default=11, help="of the enlarging; 0 leaves it out")
    parser.add_argument("--limit", type=float, default=12, help="memory that a run may take, in GiB")
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        way, backbone, upsample, size, limit = given.run
        width, height = map(int, size.split("x"))
        run(way, backbone, upsample, (height, width), float(limit))
        return
    if given.rounds:
        pictures(given.sizes, given.upsample, given.rounds, given.limit)
    if given.head_rounds:
        heads(given.head_rounds)


if __name__ == "__main__":
    main()

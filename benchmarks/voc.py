"""Race the book's VOC loaders against that of "Dive into Deep Learning" (d2l), on the same files.

    python -m benchmarks.voc --data DIR            DIR is a folder of data sets, as BOOK_DATA names one

Four ways to the same batches: random crops of 320 x 480, 32 in a batch, pictures smaller than the crop and incomplete
batches left out, images normalised to float32, masks int64.

    d2l        `d2l.load_data_voc` as it is: all pictures read and normalised at the start, 4 workers
    lazy       `VOCSegmentation` through `loader`: files are read when their batch is due, no workers
    workers    the same with 2 workers, which read ahead
    preloaded  `Preloaded` through `loader`: all pictures read at the start and kept as bytes, no workers

Each makes a training and a validation loader.  An epoch is one pass over both, as in `d2l.train_ch13`; nothing is
trained.  Every run has a process of its own; rounds take turns, so that a busy minute hits all alike; the table has
medians over the rounds, and ratios with their lowest and highest round.  Memory is taken in a run that is not timed:
the highest sum, over the process and its workers, of the proportional set size (what processes share is counted once),
less what it was after the imports: up to the end of construction (start), and over all epochs (peak).  Linux only, for
it is read from /proc.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

WAYS = ("d2l", "lazy", "workers", "preloaded")
CROP, BATCH, EPOCHS = (320, 480), 32, 4  # the first epoch, and three more for the steady pace
# What a user of glibc can say to keep freed memory instead of giving it back after each batch.
TUNED = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "2147483647"}


# ---- one run, in a process of its own -----------------------------------------------------------


def run(way: str, folder: Path, epochs: int) -> None:
    """Import, say so, wait for a sign, and print what was measured as JSON."""
    build = _d2l() if way == "d2l" else _ours(way)
    print("ready", flush=True)
    sys.stdin.readline()

    begin = time.perf_counter()
    loaders, finish = build(folder)
    marks, examples = [time.perf_counter()], 0
    if epochs == 0:
        return
    for epoch in range(epochs):
        for loader in loaders:
            if way != "d2l":
                loader.sampler.set_epoch(epoch)
            for batch in loader:
                images, masks = finish(batch)
                examples += len(images)
        marks.append(time.perf_counter())
    laps = [after - before for before, after in itertools.pairwise(marks)]
    print(
        json.dumps(
            {
                "construct": marks[0] - begin,
                "both": marks[1] - begin,
                "first": laps[0],
                "later": statistics.median(laps[1:]),
                "examples": examples // epochs,
                "batch": [str(x) for part in (images, masks) for x in (tuple(part.shape), part.dtype)],
            }
        )
    )


def _d2l():
    """Give a function from a folder to d2l's two loaders; what is imported here is not timed."""
    d2l = _import_d2l()

    def build(folder):
        d2l.download_extract = lambda *_: str(folder)
        return d2l.load_data_voc(BATCH, CROP), tuple

    return build


def _import_d2l():
    from d2l import torch as d2l

    warnings.simplefilter("ignore")  # it takes 4 workers whatever the machine has, and calls functions that are old
    d2l.print = lambda *_: None
    return d2l


def _ours(way):
    """Give a function from a folder to our two loaders, and to what makes of bytes what a network takes."""
    from chapters_code.data.loading import Normalise, Preloaded, loader
    from chapters_code.data.photographs.voc import VOCSegmentation
    from chapters_code.data.transforms import training_transform

    def build(folder):
        normalise, loaders = Normalise(reuse=True), []
        for split in ("train", "val"):
            dataset = VOCSegmentation(split, folder).drop_smaller(CROP)
            dataset = Preloaded(dataset) if way == "preloaded" else dataset
            loaders.append(
                loader(dataset, BATCH, training_transform(CROP, flip=False), workers=2 if way == "workers" else 0)
            )
        return loaders, lambda batch: (normalise(batch.images), normalise.masks(batch.masks))

    return build


# ---- the race -----------------------------------------------------------------------------------


def measure(way: str, folder: Path, tuned: bool, memory: bool = False, epochs: int = EPOCHS) -> dict:
    """Start a run, and give what it printed; with `memory` also its highest memory in MiB, and then no times."""
    with subprocess.Popen(
        [sys.executable, __file__, "--data", folder, "--run", way, "--epochs", str(epochs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | (TUNED if tuned else {}),
    ) as process:
        if not process.stdout.readline():
            raise SystemExit(f"{way} does not start, see above")
        before = peak = _memory(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        while memory and process.poll() is None:
            peak = max(peak, _memory(process.pid))
        result = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{way} failed, see above")
    return {"memory": peak - before} if memory else json.loads(result)


def _memory(pid: int) -> float:
    """Sum up the memory of a process and its workers in MiB: its own pages and shared ones, but no program files."""
    import psutil

    total = 0
    try:
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            lines = Path(f"/proc/{member.pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):  # a worker that is just ending
        pass
    return total / 1024


def compare(folder: Path) -> None:
    """Hold our pairs against d2l's, crop by crop: the same pixels, and the same labels but for void."""
    import torch
    from torch.testing import assert_close
    from torchvision.transforms import RandomCrop

    from chapters_code.data.photographs.voc import VOCSegmentation

    theirs = _import_d2l().VOCSegDataset(True, CROP, str(folder))
    ours = VOCSegmentation("train", folder).drop_smaller(CROP)
    assert len(ours) == len(theirs), (len(ours), len(theirs))
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (theirs.transform.mean, theirs.transform.std))
    void = 0
    for index, (image, mask) in enumerate(ours):
        torch.manual_seed(index)
        top, left, height, width = RandomCrop.get_params(image, CROP)
        torch.manual_seed(index)
        feature, label = theirs[index]
        image, mask = (part[..., top : top + height, left : left + width] for part in (image, mask))
        # d2l takes mean and std, which belong to brightness 0 to 1, from brightness 0 to 255.
        assert_close(feature * std + mean, image.float(), rtol=0, atol=1e-3)
        assert_close(label, mask.where(mask != 255, 0), rtol=0, atol=0)
        void += (mask == 255).sum().item() / mask.numel()
    print(f"{len(ours)} crops compared: the same pixels, and the same labels, but that d2l makes background of the")
    print(
        f"void border, {void / len(ours):.1%} of all pixels.  (And it takes the mean and std of 0 to 1 from 0 to 255.)"
    )


def table(folder: Path, rounds: int, tuned: bool) -> None:
    """Race all ways against each other, and print the table."""
    runs = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            runs[way].append(measure(way, folder, tuned))
    batches = {json.dumps(one["batch"]) for way in WAYS for one in runs[way]}
    counts = {one["examples"] for way in WAYS for one in runs[way]}
    assert len(batches) == len(counts) == 1, (batches, counts)
    memory = {
        (way, epochs): measure(way, folder, tuned, memory=True, epochs=epochs)["memory"]
        for way in WAYS
        for epochs in (0, EPOCHS)
    }

    malloc = "tuned" if tuned else "default"
    print(f"\n{malloc} malloc, {rounds} rounds, {counts.pop()} examples an epoch, batches {batches.pop()}")
    print(f"{'':10}{'construct':>10}{'+ epoch 1':>11}{'ratio':>19}{'epoch 1':>10}{'ratio':>19}", end="")
    print(f"{'later':>10}{'examples/s':>12}{'ratio':>19}{'MiB start':>11}{'ratio':>7}{'MiB peak':>10}{'ratio':>7}")
    for way in WAYS:
        construct, both, first, later = (
            statistics.median(one[key] for one in runs[way]) for key in ("construct", "both", "first", "later")
        )
        pace = runs[way][0]["examples"] / later
        print(f"{way:10}{construct:8.2f} s{both:9.2f} s{_ratio(runs, way, 'both'):>19}", end="")
        print(f"{first:8.2f} s{_ratio(runs, way, 'first'):>19}", end="")
        print(f"{later:8.2f} s{pace:12.0f}{_ratio(runs, way, 'later'):>19}", end="")
        for epochs in (0, EPOCHS):
            share = memory["d2l", epochs] / memory[way, epochs]
            print(f"{memory[way, epochs]:{10 + (epochs == 0)}.0f}{share:7.1f}", end="")
        print(flush=True)


def _ratio(runs: dict, way: str, key: str) -> str:
    ratios = [theirs[key] / ours[key] for theirs, ours in zip(runs["d2l"], runs[way], strict=True)]
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"


def repeated(folder: Path, times: int, copy: Path) -> Path:
    """Lay out, by links, a set that has every pair several times: as long as the real one from a part of it."""
    for place, ending in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        (copy / place).mkdir()
        for file in (folder / place).glob(f"*{ending}"):
            for number in range(times):
                (copy / place / f"{file.stem}_{number}{ending}").symlink_to(file.resolve())
    lists = copy / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split in ("train", "val"):
        ids = (folder / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()
        (lists / f"{split}.txt").write_text("".join(f"{name}_{number}\n" for number in range(times) for name in ids))
    return copy


def main() -> None:
    """Read the command line, compare, race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of data sets; voc2012 is in it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=1, help="take every file so many times, for longer epochs")
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(given.run, given.data, given.epochs)
        return
    folder = given.data / "voc2012"
    compare(folder)
    with tempfile.TemporaryDirectory() as copy:
        folder = folder if given.times == 1 else repeated(folder, given.times, Path(copy))
        for tuned in (False, True):
            table(folder, given.rounds, tuned)


if __name__ == "__main__":
    main()

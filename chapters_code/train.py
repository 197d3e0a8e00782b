"""Training: one loop for every network of the book, on one CPU or on many GPUs (all chapters with training).

The loop is `fit`, and it fits on a screen.  Accelerate (Hugging Face) carries it to whatever hardware there is; the
text stays the same.  From a shell:

    python -m chapters_code.train unet --tier smoke --out runs/first
    python -m chapters_code.train unet --tier colab --data DIR --out runs/cracks --resume
    python -m chapters_code.train unet --tier colab --data MY_PICTURES --out runs/mine --batch-size 4 --epochs 20
    torchrun --nproc_per_node 2 -m chapters_code.train unet --tier full --out runs/two-gpus

Several processes share each batch, and every step has the gradient that one process would have had.  Two exceptions:
batch normalisation on CPUs, where each process normalises its own part (on GPUs the parts are put together), and Dice
on pictures with void, which is weighed by pixels here and by pictures there.
"""

import argparse
import ctypes
import dataclasses
import datetime
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import GradientAccumulationPlugin, broadcast, gather_object, set_seed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from chapters_code import checkpoints, runs
from chapters_code.data.loading import Normalise, loader
from chapters_code.data.pairs import Segmentation, check_pairs
from chapters_code.data.transforms import training_transform
from chapters_code.evaluate import MAIN_SCORES, baselines, evaluate
from chapters_code.files import written_whole
from chapters_code.losses import LOSSES, counted, deep_supervision
from chapters_code.outputs import device_of, logits
from chapters_code.recipes import RECIPES, TIERS, Recipe, adapted, build_network, datasets, ready, recipe

__all__ = ["fit", "main"]

CHECKPOINT, RECORD, NOT_FINITE = "checkpoint.pt", "record.json", "not_finite.json"  # the files of a run

# What the names in a recipe stand for.
_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
# The part of the learning rate that is left, when a part of all steps is done.
_SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "poly": lambda done: (1 - done) ** 0.9,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}


def fit(
    model: nn.Module,
    recipe: Recipe,
    train_set: Segmentation,
    validation_set: Segmentation,
    out: str | Path,
    *,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
) -> runs.Record:
    """Train a network by a recipe, and give the record of the run.

    Args:
        model: Takes normalised pictures (N, 3, H, W), gives logits (N, K, H, W); or
            several such maps, of which each is trained (deep supervision) and the
            first is scored.  It is trained itself, not a copy, on the fastest device
            there is, and comes back to the one it came from, also if the run fails
            or is stopped: then with the weights of its last step.
        recipe: All settings.
        train_set: Pairs without a transform; the recipe's crops and flips are made here.
        validation_set: Pairs without a transform, scored as whole pictures.
        out: The folder that gets the checkpoint, after every epoch, and the record, at
            the end.
        seed: Fixes the order of the pictures, their crops and all other chance, but not
            the model's first weights.
        resume: Go on from the checkpoint in `out`, if there is one.  On a CPU the
            weights come out as those of a run that was never stopped, bit for bit.
        progress: Show a bar.

    Returns:
        The record, which now also lies in `out`; see `runs`.

    Raises:
        FileExistsError: `out` holds a run, and `resume` is False.
        FloatingPointError: The loss or its gradient is no longer finite; the ids of the
            batch are in the message and in `out`.
        ValueError: The pictures do not fill a batch or come with a transform; or the
            checkpoint is of another run.
    """
    _need_plain(train_set, validation_set)
    accelerator = _accelerator(seed)
    train_set = _large_enough(train_set, recipe)
    transform = training_transform(recipe.crop, recipe.flip, resize=recipe.resize)
    workers = _workers(accelerator.device)
    batches = loader(train_set, recipe.batch_size, transform, seed, workers=workers)
    _need_a_batch(batches, train_set, recipe)
    steps = recipe.epochs * len(batches)

    with _borrowed(model, accelerator) as model:
        optimizer = _optimizer(model, recipe)
        model, optimizer, batches = accelerator.prepare(model, optimizer, batches)
        # The schedule stays with us: Accelerate would turn it on once per process.
        shrink = _SCHEDULES[recipe.schedule]
        schedule = LambdaLR(optimizer.optimizer, lambda step: shrink(step / steps))
        normalise = Normalise()

        sets = train_set, validation_set
        run = _Run(Path(out), recipe, *sets, seed, accelerator, progress)
        run.begin(resume, model=model, optimizer=optimizer, schedule=schedule)
        # A resumed run has a history already, and begins behind it.
        for epoch in range(len(run.history), recipe.epochs):
            model.train()
            batches.set_epoch(epoch)
            losses = []
            bar = run.bar(batches, epoch)
            for indices, images, masks in bar:
                # Bytes become what networks and losses take: float32 and int64.
                images, masks = normalise(images), normalise.masks(masks)
                with run.autocast():
                    outputs = model(images)
                loss = _loss(outputs, masks, recipe)
                # Several processes share a batch; a part weighs as much as its pixels.
                overall, share = _by_pixels(loss, masks, accelerator)
                losses.append(overall)
                accelerator.backward(loss * share)
                limit = recipe.clip or math.inf
                length = accelerator.clip_grad_norm_(model.parameters(), limit)
                if not math.isfinite(losses[-1] + length):
                    run.stop(accelerator.gather(indices), losses[-1], length)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                bar.set_postfix(loss=f"{losses[-1]:.3f}", **run.headline)
            run.finish_epoch(losses)
        return run.finish()


class _Run:
    """What a run keeps and leaves behind: its history, its checkpoint after every epoch, its record at the end."""

    def __init__(
        self,
        out: Path,
        recipe: Recipe,
        train_set: Segmentation,
        validation_set: Segmentation,
        seed: int,
        accelerator: Accelerator,
        progress: bool,
    ) -> None:
        self.out, self.recipe, self.seed, self.accelerator = out, recipe, seed, accelerator
        self.train_set, self.validation_set = train_set, validation_set
        self.precision = _precision(recipe, accelerator.device)
        self.speaks = accelerator.is_main_process
        self.progress = progress and self.speaks
        self.history: list[dict[str, Any]] = []
        self.commits: list[str] = []  # more than one, if the code was changed between a stop and going on
        # A checkpoint fits only the run that these describe.
        self.identity = {
            **{f"{name} in the recipe": value for name, value in recipe.plain().items()},
            "list of training pictures": train_set.digest,
            "list of validation pictures": validation_set.digest,
            "seed": seed,
            "number of processes": accelerator.num_processes,
            "precision": self.precision,
        }

    def bar(self, batches: Iterable, epoch: int) -> tqdm:
        """Go through the batches of an epoch, and show how far it is."""
        return tqdm(batches, f"epoch {epoch + 1}/{self.recipe.epochs}", disable=not self.progress)

    def autocast(self) -> torch.autocast:
        """Compute convolutions in 16 bits, if the recipe says so and the hardware can."""
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    @property
    def name(self) -> str:
        """What the run is called; a name that a run of the book's own would have, no other run gets."""
        own = "-own" * (self.recipe not in RECIPES.get(self.recipe.name, {}).values())
        drawn = "-twin" * self.train_set.origin.startswith("synthetic twin")
        return f"{self.recipe.name}-{self.recipe.tier}{own}-seed{self.seed}{drawn}"

    @property
    def headline(self) -> dict[str, str]:
        """The score of the last validation, for the bar."""
        name = MAIN_SCORES[self.recipe.task][0]
        found = [epoch["scores"][name] for epoch in self.history if "scores" in epoch]
        return {name: runs.written(found[-1])} if found else {}

    def begin(self, resume: bool, **parts: Any) -> None:
        """Make the folder; put `parts` (model, optimizer, schedule) where the checkpoint left them."""
        self.parts = parts | {"model": self.accelerator.unwrap_model(parts["model"])}
        path = self.out / CHECKPOINT
        if path.exists() and not resume:
            raise FileExistsError(f"{self.out} holds a run already: resume it (--resume), or name another folder")
        if (self.out / RECORD).exists() and not path.exists():
            raise FileExistsError(f"{self.out} holds the record of a run without its checkpoint: name another folder")
        if self.out.is_file():
            raise FileExistsError(f"{self.out} is a file, and a run needs a folder: name another one")
        self.out.mkdir(parents=True, exist_ok=True)
        self.accelerator.wait_for_everyone()  # nobody may write before all have looked
        if path.exists():
            state = checkpoints.load(path)
            for name, ours in self.identity.items():
                theirs = state["identity"].get(name)
                if theirs != ours:
                    raise ValueError(
                        f"{path} is of a run with another {name} ({theirs}, here {ours}):"
                        " resume with the same settings, or name another folder"
                    )
            for name, part in self.parts.items():
                try:
                    part.load_state_dict(state[name])
                except (KeyError, RuntimeError, ValueError) as error:
                    raise ValueError(f"{path} is of a run with another {name}: {error}") from error
            self.history, self.commits = state["history"], state["commits"]
            checkpoints.set_random_state(state["random"][self.accelerator.process_index])
        self.since, now = time.monotonic(), runs.commit()  # of the code that runs, whatever is edited meanwhile
        self.commits += [now] * (now not in self.commits)

    def stop(self, indices: Tensor, loss: float, length: float) -> None:
        """Write down which pictures made the loss or its gradient infinite or NaN, and end the run."""
        ids = [self.train_set.ids[index] for index in indices.tolist()]
        epoch, length = len(self.history) + 1, float(length)
        place = {"epoch": epoch, "loss": repr(loss), "gradient": repr(length), "ids": ids}
        if self.speaks:
            with written_whole(self.out / NOT_FINITE) as unfinished:
                unfinished.write_text(json.dumps(place, indent=1) + "\n", encoding="utf-8")
        raise FloatingPointError(
            f"in epoch {epoch} the loss is {loss}, and its gradient {length} long, in the batch {', '.join(ids)}"
            f" (also in {self.out / NOT_FINITE}): look at these pictures, or take a smaller learning_rate or a clip"
        )

    def finish_epoch(self, losses: list[float]) -> None:
        """Score if it is time, and write the checkpoint."""
        number = len(self.history) + 1
        entry = {
            "epoch": number,
            "loss": sum(losses) / len(losses),
            "learning_rate": self.parts["schedule"].get_last_lr()[0],
        }
        if number % self.recipe.validate_every == 0 or number == self.recipe.epochs:
            entry["scores"] = self._scores()
        now = time.monotonic()
        self.history.append(entry | {"seconds": round(now - self.since, 2)})
        self.since = now
        random = gather_object([checkpoints.random_state()])
        if self.speaks:
            state = {name: part.state_dict() for name, part in self.parts.items()}
            state |= {"identity": self.identity, "history": self.history, "commits": self.commits, "random": random}
            # For whoever wants the network alone, see `checkpoints.load_network`.
            state |= {"name": self.name, "recipe": self.recipe.plain(), "classes": list(self.train_set.classes)}
            checkpoints.save(self.out / CHECKPOINT, state)

    def _scores(self) -> dict[str, float | None]:
        """Score the network; every process takes its share of the pictures, and the counts are added."""
        every, first = self.accelerator.num_processes, self.accelerator.process_index
        share = range(first, len(self.validation_set), every)
        model, task = self.parts["model"], self.recipe.task
        for buffer in model.buffers() if every > 1 else ():
            broadcast(buffer)  # running means: those of the first process are what is saved, so score with them
        metric = evaluate(model, self.validation_set, task, resize=self.recipe.resize, indices=share)
        if every > 1:
            metric.load_state(self.accelerator.reduce(metric.state().to(self.accelerator.device)).cpu())
        return _finite(metric.scores())

    def finish(self) -> runs.Record:
        """Write the record, if it is not there yet, and give it."""
        if self.speaks and not (self.out / RECORD).exists():
            runs.save(self._record(), self.out / RECORD)
        self.accelerator.wait_for_everyone()
        return runs.load(self.out / RECORD)

    def _record(self) -> runs.Record:
        recipe, accelerator = self.recipe, self.accelerator
        found = baselines(self.validation_set, recipe.task)
        weights = getattr(self.parts["model"], "started_from", None)  # of others, if it began with some
        return {
            "format": 1,
            "name": self.name,
            "recipe": recipe.plain(),
            "recipe_digest": recipe.digest(),
            "network": {
                "name": type(self.parts["model"]).__name__,
                "parameters": sum(weight.numel() for weight in self.parts["model"].parameters()),
                **({"started_from": weights} if weights else {}),
            },
            "data": {
                name: {"origin": pictures.origin, "count": len(pictures), "digest": pictures.digest}
                for name, pictures in (("train", self.train_set), ("validation", self.validation_set))
            },
            "seed": self.seed,
            "epochs": self.history,
            "scores": self.history[-1]["scores"],
            "baselines": {name: _finite(scores) for name, scores in found.items()},
            "ran_on": {
                "device": _in_words(accelerator.device),
                "processes": accelerator.num_processes,
                "threads": torch.get_num_threads(),
                "precision": self.precision,
            },
            "versions": {name: metadata.version(name) for name in ("torch", "torchvision", "numpy", "accelerate")},
            "finished": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": sum(epoch["seconds"] for epoch in self.history),
            "commit": ", ".join(self.commits),
        }


# ---- what the settings of a recipe mean --------------------------------------------------------------


def _accelerator(seed: int) -> Accelerator:
    """Find the hardware and the other processes, and seed this one."""
    accelerator = Accelerator(
        # Left to itself, Accelerate takes several processes without a GPU for several runs.
        cpu=not torch.accelerator.is_available(),
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        # Said aloud, or the reader's environment decides, and the record would not know.
        mixed_precision="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        dynamo_backend="no",
    )
    set_seed(seed, device_specific=True)
    return accelerator


@contextmanager
def _borrowed(model: nn.Module, accelerator: Accelerator) -> Iterator[nn.Module]:
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


def _large_enough(train_set: Segmentation, recipe: Recipe) -> Segmentation:
    """Leave out what is smaller than the crop, if the recipe says so; what stays smaller is padded."""
    return train_set.drop_smaller(recipe.crop) if recipe.smaller == "drop" else train_set


def _need_plain(*sets: Segmentation) -> None:
    for pictures in sets:
        check_pairs(pictures, "what fit trains and validates on")
        if pictures.transform is not None:
            raise ValueError(
                f"fit crops and flips by the recipe and scores whole pictures, but {pictures.origin!r} comes with the"
                f" transform {pictures.transform}: give the set without one"
            )


def _workers(device: torch.device) -> int:
    """Say how many processes read ahead: some where a GPU waits for pictures, none where they would share its cores."""
    return min(4, os.cpu_count() or 1) if device.type == "cuda" else 0


def _loss(outputs: Tensor | Sequence[Tensor] | dict[str, Tensor], masks: Tensor, recipe: Recipe) -> Tensor:
    """Add the recipe's losses up; several maps are each held against the masks (deep supervision)."""

    def loss(maps: Tensor, masks: Tensor) -> Tensor:
        return sum(LOSSES[name](maps, masks) for name in recipe.losses)

    if isinstance(outputs, tuple | list):
        return deep_supervision(outputs, masks, loss)
    return loss(logits(outputs), masks)


def _by_pixels(loss: Tensor, masks: Tensor, accelerator: Accelerator) -> tuple[float, Tensor]:
    """Return the loss of the whole batch, and the number that makes of this part's gradient its share of the whole.

    The parts of a batch may count different numbers of pixels, so each mean weighs as much as its pixels.
    """
    pixels = counted(masks).to(loss)  # a number of the loss's kind, there
    sums = torch.stack([loss.detach() * pixels, pixels])
    total, everywhere = accelerator.reduce(sums, reduction="sum")
    everywhere = everywhere.clamp(min=1)  # void alone has loss 0
    # Accelerate takes the mean of the processes' gradients; times their number, it is the sum.
    return (total / everywhere).item(), pixels / everywhere * accelerator.num_processes


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the recipe's optimizer with its settings."""
    settings = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    settings |= {"momentum": recipe.momentum} if recipe.optimizer == "sgd" else {}
    return _OPTIMIZERS[recipe.optimizer](model.parameters(), **settings)


def _precision(recipe: Recipe, device: torch.device) -> str:
    """Say in which precision convolutions are computed: bfloat16 if the recipe asks and the hardware has it."""
    if device.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bfloat16" if recipe.precision == "bfloat16" and has else "float32"


def _need_a_batch(batches: DataLoader, train_set: Segmentation, recipe: Recipe) -> None:
    if len(batches) == 0:
        raise ValueError(
            f"{len(train_set)} training pictures do not fill one batch of {recipe.batch_size}:"
            " take a smaller batch_size, or more pictures"
        )


def _in_words(device: torch.device) -> str:
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


def _finite(scores: dict[str, float]) -> dict[str, float | None]:
    """Turn NaN (a class that is nowhere has no score) into None, which JSON can hold."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


# ---- the command line --------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Train by a recipe from the shell; `--help` says how.  Gives the exit status."""
    asked = _parser().parse_args(arguments)
    _keep_memory()
    first = os.environ.get("RANK", "0") == "0"  # of several processes, one speaks
    say = print if first else lambda *words: None
    try:
        plan = _changed(recipe(asked.recipe, asked.tier), asked)
        train_set, validation_set = datasets(plan, asked.data, say)
        plan = _filled(adapted(plan, train_set), train_set, say)
        _tell_of_large(plan, validation_set, say)
        model = build_network(plan, asked.seed)
        say(f"{plan.name}, tier {plan.tier}: {len(train_set)} training and {len(validation_set)} validation pictures")
        say(f"from {train_set.origin}")
        if asked.resume and not (asked.out / CHECKPOINT).exists():
            say(f"{asked.out} holds no checkpoint; starting anew")
        record = fit(model, plan, train_set, validation_set, asked.out, seed=asked.seed, resume=asked.resume)
    except (ValueError, OSError, FloatingPointError, ImportError) as error:
        if first:
            print(f"{_parser().prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if first and (asked.out / CHECKPOINT).exists():
            print("\nStopped. The same command with --resume goes on after the last full epoch.", file=sys.stderr)
        return 130
    say(f"{_time(record['seconds'])}; the record is {asked.out / RECORD}")
    count = record["data"]["validation"]["count"]
    say(f"scored on {count} other picture{'s' * (count != 1)} from {validation_set.origin}:")
    for name in MAIN_SCORES[plan.task]:
        score = record["scores"][name]
        others = ", ".join(f"{who} {runs.written(found.get(name))}" for who, found in record["baselines"].items())
        say(f"  {name:24} {runs.written(score)}   ({others})")
    return 0


def _changed(plan: Recipe, asked: argparse.Namespace) -> Recipe:
    """Return the recipe with the settings that were given on the command line."""
    given = {name: getattr(asked, name) for name in ("batch_size", "epochs", "crop", "learning_rate")}
    return dataclasses.replace(plan, **{name: value for name, value in given.items() if value is not None})


def _filled(plan: Recipe, train_set: Segmentation, say: Callable[[str], None]) -> Recipe:
    """Return the recipe with a batch that the pictures fill; each process needs as many of them as every other."""
    count, processes = len(_large_enough(train_set, plan)), int(os.environ.get("WORLD_SIZE", "1"))
    if count >= plan.batch_size or count < processes:
        return plan
    smaller = count - count % processes
    say(f"{count} training pictures do not fill a batch of {plan.batch_size}: batches of {smaller} are taken")
    return dataclasses.replace(plan, batch_size=smaller)


def _tell_of_large(plan: Recipe, validation_set: Segmentation, say: Callable[[str], None]) -> None:
    """Say that pictures of one's own, straight from a camera, may take more memory than there is."""
    if plan.resize is None and plan.data.startswith("own/"):
        largest = max(math.prod(validation_set.size_of(index)) for index in range(len(validation_set)))
        if largest > 4_000_000:
            say(
                f"pictures of {largest / 1e6:.0f} million pixels are scored whole, which takes gigabytes of memory: if"
                " that is too much, make pictures and masks smaller"
            )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def _parser() -> argparse.ArgumentParser:
    recipes = "\n".join(
        f"  {name:8} {sizes['full'].network} on {sizes['full'].data}"
        + ("" if ready(sizes["full"]) else f" (comes with Chapter {sizes['full'].chapter})")
        for name, sizes in RECIPES.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m chapters_code.train",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a network of the book by one of its recipes.",
        epilog=f"""the first one to try:
  python -m chapters_code.train unet --out runs/first

on pictures of your own, with masks of 0 and 255:
  python -m chapters_code.train unet --tier colab --data MY_PICTURES --out runs/mine

recipes:
{recipes}

tiers:
  smoke    seconds on a CPU, on drawn pictures: does everything work?
  colab    real pictures; meant for ten minutes on one small GPU
  full     the settings of the source, where there is one

what it leaves in --out:
  checkpoint.pt   after every epoch: all that --resume needs
  record.json     at the end: settings, data, scores, conditions

several processes, on GPUs or CPUs:
  torchrun --nproc_per_node 2 -m chapters_code.train unet --out runs/two
  (accelerate launch --num_processes 2 does the same on GPUs;
  with --cpu it starts one process only)""",
    )
    parser.add_argument("recipe", metavar="RECIPE", choices=tuple(RECIPES), help="which network, see below")
    parser.add_argument("--tier", choices=TIERS, default="smoke", help="how large a run (default: smoke)")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with the data sets, laid out as the book's page on data says; or a folder of your own pictures:"
        " images/NAME.jpg and masks/NAME.png; without it: BOOK_DATA, an earlier download, a download, and if all that"
        " fails a drawn twin",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for checkpoint and record")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, if there is one")
    parser.add_argument(
        "--seed",
        type=_whole,
        default=0,
        metavar="N",
        help="fixes the first weights, the order and the crops: another number, another run (default: 0)",
    )
    settings = parser.add_argument_group("in place of the recipe's own settings (the record is then called -own)")
    settings.add_argument("--batch-size", type=_whole, metavar="N", help="pictures in one step, over all processes")
    settings.add_argument("--epochs", type=_whole, metavar="N", help="how often every picture is seen")
    settings.add_argument("--crop", type=_size, metavar="SIZE", help="the window: 256, or height x width: 240x320")
    settings.add_argument("--learning-rate", type=float, metavar="RATE", help="such as 1e-3")
    return parser


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"a whole number from 0 to 2^63 - 1 is wanted, got {text!r}")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    sides = [_whole(side) for side in text.lower().replace("×", "x").split("x")]
    if len(sides) not in (1, 2):
        raise argparse.ArgumentTypeError(f"a size is one number, or two as in 240x320 (height x width), got {text!r}")
    return sides[0], sides[-1]


def _keep_memory() -> None:
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


if __name__ == "__main__":
    sys.exit(main())

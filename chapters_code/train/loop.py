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

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from chapters_code.data.loading import Normalise, loader
from chapters_code.data.pairs import Segmentation, check_pairs
from chapters_code.data.transforms import training_transform
from chapters_code.outputs import logits
from chapters_code.records import runs
from chapters_code.train import hardware
from chapters_code.train.losses import LOSSES, counted, deep_supervision
from chapters_code.train.recipes import OPTIMIZERS, SCHEDULES, Recipe
from chapters_code.train.run import Run

__all__ = ["fit", "large_enough"]


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
    accelerator = hardware.accelerator(seed)
    train_set = large_enough(train_set, recipe)
    transform = training_transform(recipe.crop, recipe.flip, resize=recipe.resize)
    workers = hardware.workers(accelerator.device)
    batches = loader(train_set, recipe.batch_size, transform, seed, workers=workers)
    _need_a_batch(batches, train_set, recipe)
    steps = recipe.epochs * len(batches)

    with hardware.borrowed(model, accelerator) as model:
        optimizer = _optimizer(model, recipe)
        model, optimizer, batches = accelerator.prepare(model, optimizer, batches)
        # The schedule stays with us: Accelerate would turn it on once per process.
        shrink = SCHEDULES[recipe.schedule]
        schedule = LambdaLR(optimizer.optimizer, lambda step: shrink(step / steps))
        normalise = Normalise(reuse=True)

        sets = train_set, validation_set
        run = Run(Path(out), recipe, *sets, seed, accelerator, progress)
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


def large_enough(train_set: Segmentation, recipe: Recipe) -> Segmentation:
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


def _need_a_batch(batches: DataLoader, train_set: Segmentation, recipe: Recipe) -> None:
    if len(batches) == 0:
        raise ValueError(
            f"{len(train_set)} training pictures do not fill one batch of {recipe.batch_size}:"
            " take a smaller batch_size, or more pictures"
        )


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
    return OPTIMIZERS[recipe.optimizer](model.parameters(), **settings)

"""What a run keeps and leaves behind: its history, its checkpoint after every epoch, its record at the end.

a folder   checkpoint.pt     after every epoch: all that going on needs, see `checkpoints`
           record.json       at the end: settings, data, scores, conditions, see `records.runs`
           not_finite.json   if the loss went astray: the pictures of that batch
"""

import datetime
import json
import math
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object
from torch import Tensor
from tqdm.auto import tqdm

from chapters_code.data.pairs import Segmentation
from chapters_code.files import written_whole
from chapters_code.records import runs
from chapters_code.records.version import commit
from chapters_code.train import checkpoints
from chapters_code.train.evaluate import MAIN_SCORES, baselines, evaluate
from chapters_code.train.hardware import in_words, precision
from chapters_code.train.recipes import RECIPES, Recipe

__all__ = ["CHECKPOINT", "NOT_FINITE", "RECORD", "Run"]

CHECKPOINT, RECORD, NOT_FINITE = "checkpoint.pt", "record.json", "not_finite.json"  # the files of a run


class Run:
    """One training run, as `fit` begins it, feeds it and ends it."""

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
        self.precision = precision(recipe.precision, accelerator.device)
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
        ours = self.recipe in RECIPES.get(self.recipe.name, {}).values()
        drawn = self.train_set.origin.startswith("synthetic twin")
        recipe = f"{self.recipe.name}-{self.recipe.tier}{'' if ours else '-own'}"
        return f"{recipe}-seed{self.seed}{'-twin' if drawn else ''}"

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
        self.since, now = time.monotonic(), commit()  # of the code that runs, whatever is edited meanwhile
        if now not in self.commits:
            self.commits.append(now)

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
                "device": in_words(accelerator.device),
                "processes": accelerator.num_processes,
                "threads": torch.get_num_threads(),
                "precision": self.precision,
            },
            "versions": {name: metadata.version(name) for name in ("torch", "torchvision", "numpy", "accelerate")},
            "finished": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": sum(epoch["seconds"] for epoch in self.history),
            "commit": ", ".join(self.commits),
        }


def _finite(scores: dict[str, float]) -> dict[str, float | None]:
    """Turn NaN (a class that is nowhere has no score) into None, which JSON can hold."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}

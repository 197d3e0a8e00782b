"""What the studies share: a list of runs, of which several processes take what is not done, and one file at the end.

    planned runs --run_all--> OUT/RUN/record.json, more.json --collect--> chapters_code/records/studies/NAME.json

A study that is not finished is kept in experiments/begun, so that its runs are not lost, and shown nowhere.

A run belongs to the process that holds its lock, and a process that dies loses its locks.  So what was broken off is
taken up again, from the checkpoint of its last whole epoch; and only a run with both files counts as done.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import nn

from chapters_code.data.pairs import Segmentation
from chapters_code.files import written_whole
from chapters_code.records import runs, studies
from chapters_code.train import fit
from chapters_code.train.recipes import Recipe, build_network, datasets

__all__ = ["Planned", "Study", "collect", "left", "put_away", "run_all"]

MORE = "more.json"
BEGUN = Path(__file__).with_name("begun")
# What the runs of a study may differ in, beside what their network is; the rest of a recipe they share.
VARIED = (
    *("name", "network", "network_settings", "data", "losses"),
    *("epochs", "validate_every", "optimizer", "learning_rate", "momentum"),
)


@dataclass(frozen=True)
class Planned:
    """One run that a study asks for.

    Args:
        arm: What is compared: the word for this way of doing it.
        pictures: The set it is trained and scored on, by the name that the study gives it.
        recipe: All settings.  Its `network_settings` may hold words of the study's own, if the study has a `build`.
        seed: Of the run.
        minutes: About how long it takes on one core.
    """

    arm: str
    pictures: str
    recipe: Recipe
    seed: int
    minutes: float

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells this run from the others of its study."""
        return self.pictures, self.arm, self.recipe.optimizer, self.seed

    @property
    def folder(self) -> str:
        return f"{self.recipe.name}-{self.recipe.tier}-seed{self.seed}"


def _by_recipe(planned: Planned) -> nn.Module:
    return build_network(planned.recipe, planned.seed)


def _by_name(planned: Planned, data: Path | None) -> tuple[Segmentation, Segmentation]:
    return datasets(planned.recipe, data)


def _nothing_more(model: nn.Module, planned: Planned, pairs: Segmentation, data: Path | None) -> dict[str, Any]:
    return {}


def _not_tuned(out: Path) -> list[dict[str, Any]]:
    return []


@dataclass(frozen=True)
class Study:
    """A comparison of many runs.

    Args:
        name: Of its record.
        planned: All runs, those of the first seed first: a study that is stopped is a smaller one of all its arms.
        kept: Of all the scores of a run, those that the record keeps; None keeps all.
        build: Makes the network of a run; by its recipe, if the study has none.
        pictures: Opens those to train on and those to score on, by the run and the folder of all data; as its recipe
            says, if the study has none.
        tuned: Called with OUT; returns the runs that chose the learning rates, as the schema of a study has them.
        more: Called with the trained network, its run, the pictures it was scored on, and the folder of all data; what
            it returns goes into the record of the run, beside the scores.
    """

    name: str
    planned: Sequence[Planned]
    kept: Sequence[str] | None = None
    build: Callable[[Planned], nn.Module] = _by_recipe
    pictures: Callable[[Planned, Path | None], tuple[Segmentation, Segmentation]] = _by_name
    more: Callable[[nn.Module, Planned, Segmentation, Path | None], dict[str, Any]] = _nothing_more
    tuned: Callable[[Path], list[dict[str, Any]]] = _not_tuned


def recorded(study: Study) -> dict[str, Any] | None:
    """Return the study's record, finished or begun, if there is one."""
    begun = BEGUN / f"{study.name}.json"
    if begun.exists():
        return studies.load(begun)
    return studies.load(study.name) if study.name in studies.names() else None


def left(study: Study, out: Path | None) -> list[Planned]:
    """Name the runs that are not done: not in a record of the book, of the study or of the run, and not in `out`."""
    record = recorded(study)
    done = {_key(run) for run in record["runs"]} if record else set()
    return [one for one in study.planned if one.key not in done and not _is_there(out, one.folder)]


def run_all(study: Study, data: Path | None, out: Path, say: Callable[[str], None] = print) -> None:
    """Train and score what is not done and no other process is at; start it once per core."""
    torch.set_num_threads(1)  # the sums come out alike, however many cores there are
    for planned in left(study, out):
        folder = out / planned.folder
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / "lock", timeout=0):
                if not _done(folder):
                    run(study, planned, data, folder)
                    say(folder.name)
        except Timeout:
            continue


def run(study: Study, planned: Planned, data: Path | None, folder: Path) -> None:
    """Train one network, go on where it was broken off, and measure what the study asks beside its scores."""
    model = study.build(planned)
    train, validation = study.pictures(planned, data)
    fit(model, planned.recipe, train, validation, folder, seed=planned.seed, resume=True, progress=False)
    more = study.more(model, planned, validation, data)
    with written_whole(folder / MORE) as unfinished:
        unfinished.write_text(json.dumps(more) + "\n", encoding="utf-8")


def collect(study: Study, out: Path, file: Path) -> int:
    """Put all finished runs, and those of the book's record, into one study, and write what they share once.

    Args:
        study: Says which runs belong to it.
        out: Holds the finished ones.
        file: Gets the study.

    Returns:
        How many runs the study holds.

    Raises:
        ValueError: There is no run, or some differ in what one study must share; nothing is written.
    """
    old = recorded(study)
    found = [(one, *_read(out, one.folder)) for one in study.planned if _is_there(out, one.folder)]
    shared = [{k: v for k, v in record["recipe"].items() if k not in VARIED} for _, record, _ in found]
    pictures = [(one.pictures, _of_pictures(record, study.kept)) for one, record, _ in found]
    places, commits, rows, seconds = [], set(), {}, 0.0
    # Most arms train for as long as the first one; a run that does not says so itself.
    epochs = {one.pictures: one.recipe.epochs for one in reversed(study.planned)}
    if old:
        shared.append(old["recipe"])
        pictures += [(name, {k: v for k, v in one.items() if k != "epochs"}) for name, one in old["pictures"].items()]
        places, commits, seconds = list(old["ran_on"]), set(old["commits"]), old["seconds"]
        rows = {_key(run): run for run in old["runs"]}
    for one, record, more in found:
        place = record["ran_on"] | {"versions": record["versions"]}
        if place not in places:
            places.append(place)
        commits.update(record["commit"].split(", "))
        seconds += record["seconds"]
        row = _row(one, record, study.kept, places.index(place)) | more
        rows[one.key] = row if one.recipe.epochs == epochs[one.pictures] else row | {"epochs": one.recipe.epochs}
    names = list(dict.fromkeys(name for name, _ in pictures))
    whole = {
        "format": 1,
        "name": study.name,
        "recipe": _only(shared),
        "pictures": {
            name: {"epochs": epochs[name]} | _only([one for other, one in pictures if other == name]) for name in names
        },
        "tuning": study.tuned(out) or (old["tuning"] if old else []),
        "ran_on": places,
        "commits": sorted(commits),
        "seconds": round(seconds, 1),
        "runs": [rows[one.key] for one in sorted(study.planned, key=_by_arm(study)) if one.key in rows],
    }
    studies.save(whole, file)
    return len(whole["runs"])


def put_away(study: Study, out: Path, shelf: Path) -> Path:
    """Write the record of a study to `shelf`, or, if runs are left, to `BEGUN`; return the file."""
    begun = BEGUN / f"{study.name}.json"
    finished = not left(study, out)
    file = shelf / begun.name if finished else begun
    file.parent.mkdir(exist_ok=True)
    collect(study, out, file)
    if finished:
        begun.unlink(missing_ok=True)
    return file


def kept(scores: dict[str, float | None], names: Iterable[str] | None) -> dict[str, float]:
    """Return some scores, or all there are, rounded to what a record needs."""
    names = [name for name, value in scores.items() if value is not None] if names is None else names
    return {name: round(scores[name], 6) for name in names}


def plan(recipe: Recipe, **changes: Any) -> Recipe:
    """Return a recipe with some settings changed: short for `dataclasses.replace`."""
    return dataclasses.replace(recipe, **changes)


def _done(folder: Path) -> bool:
    return (folder / MORE).is_file()


def _is_there(out: Path | None, folder: str) -> bool:
    """Say whether a run is done: in `out`, or with a record of its own in the book, as some earlier ones have."""
    return folder in runs.names() or (out is not None and _done(out / folder))


def _read(out: Path, folder: str) -> tuple[runs.Record, dict[str, Any]]:
    if not _done(out / folder):
        return runs.load(folder), {}
    return runs.load(out / folder / "record.json"), json.loads((out / folder / MORE).read_text(encoding="utf-8"))


def _key(run: dict[str, Any]) -> tuple[str, str, str, int]:
    return run["pictures"], run["arm"], run["optimizer"], run["seed"]


def _by_arm(study: Study) -> Callable[[Planned], tuple]:
    """Sort a record by pictures, arm and optimiser, each in the study's order, then by seed."""
    orders = [list(dict.fromkeys(one.key[part] for one in study.planned)) for part in range(3)]
    return lambda one: (*(order.index(word) for order, word in zip(orders, one.key[:3], strict=True)), one.seed)


def _of_pictures(record: runs.Record, names: Iterable[str] | None) -> dict[str, Any]:
    return {
        "train": record["data"]["train"],
        "test": record["data"]["validation"],
        "baselines": {one: kept(scores, names) for one, scores in record["baselines"].items()},
    }


def _row(one: Planned, record: runs.Record, names: Iterable[str] | None, place: int) -> dict[str, Any]:
    return {
        "pictures": one.pictures,
        "arm": one.arm,
        "parameters": record["network"]["parameters"],
        "optimizer": record["recipe"]["optimizer"],
        "learning_rate": record["recipe"]["learning_rate"],
        "seed": one.seed,
        "last_loss": record["epochs"][-1]["loss"],
        "scores": kept(record["scores"], names),
        "seconds": round(record["seconds"], 1),
        "ran_on": place,
        "finished": record["finished"],
    }


def _only(found: list[Any]) -> Any:
    """Return what all runs share; runs that do not share it are not one study."""
    texts = {json.dumps(one, sort_keys=True) for one in found}
    if len(texts) != 1:
        raise ValueError(f"these runs differ in what one study must share, or there is none: {sorted(texts)}")
    return found[0]

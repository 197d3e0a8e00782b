"""The training loop: its steps are those worked out by hand, it stops and goes on as it says, and shares its work."""

import ast
import copy
import dataclasses
import filecmp
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn
from torch.testing import assert_close
from torch.utils.data import ConcatDataset, random_split

from chapters_code.data.loading import Normalise, loader
from chapters_code.data.pairs import Pair
from chapters_code.data.synthetic import cracked_road
from chapters_code.records import runs
from chapters_code.train import __main__ as command
from chapters_code.train import checkpoints, fit, hardware
from chapters_code.train.evaluate import MAIN_SCORES, baselines, evaluate
from chapters_code.train.losses import LOSSES
from chapters_code.train.recipes import RECIPES, TIERS, recipe
from chapters_code.unet import UNet
from small_runs import PLAN, Made, one_by_one

ROOT = Path(__file__).parents[2]


def by_hand(plan, network, dataset, seed=0):
    """Train with nothing but PyTorch; give each step's loss.  Crops of the full size: no chance but the order."""
    optimizer = torch.optim.SGD(network.parameters(), lr=plan.learning_rate, momentum=plan.momentum)
    batches = loader(dataset, plan.batch_size, seed=seed)
    losses = []
    for epoch in range(plan.epochs):
        batches.sampler.set_epoch(epoch)
        for _, images, masks in batches:
            loss = sum(LOSSES[name](network(Normalise()(images)), masks.long()) for name in plan.losses)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def test_the_loop_does_what_plain_pytorch_does(tmp_path):
    plan = dataclasses.replace(PLAN, momentum=0.9)
    ours, theirs = one_by_one(), one_by_one()

    record = fit(ours, plan, Made(), Made(seed=1), tmp_path, progress=False)

    expected = by_hand(plan, theirs, Made())
    assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
    means = [sum(expected[first : first + 2]) / 2 for first in (0, 2, 4)]
    assert [epoch["loss"] for epoch in record["epochs"]] == pytest.approx(means, rel=1e-5)


def test_the_reader_s_environment_does_not_change_the_arithmetic(tmp_path, monkeypatch):
    """`accelerate launch` sets such variables from the reader's own configuration."""
    plain, other = one_by_one(), one_by_one()
    fit(plain, PLAN, Made(), Made(seed=1), tmp_path / "plain", progress=False)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    fit(other, PLAN, Made(), Made(seed=1), tmp_path / "other", progress=False)
    assert_close(dict(other.state_dict()), dict(plain.state_dict()), rtol=0, atol=0)


def test_weights_are_laid_out_as_convolutions_like_them(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 1, 1))
    fit(network, dataclasses.replace(PLAN, epochs=1), Made(), Made(seed=1), tmp_path, progress=False)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not network[0].weight.is_contiguous()


def test_several_gpus_share_their_normalisation_and_cpus_cannot():
    """By a stand-in for the machine: there is no GPU where this runs."""
    for processes, kind, shared in ((2, "cuda", True), (1, "cuda", False), (2, "cpu", False)):
        machine = SimpleNamespace(num_processes=processes, device=torch.device(kind))
        with hardware.borrowed(UNet(widths=(4, 8)), machine) as network:
            assert any(isinstance(layer, nn.SyncBatchNorm) for layer in network.modules()) == shared


def test_a_network_gets_its_own_normalisation_back_with_what_was_learnt():
    """By the same stand-in; also when the run is broken off."""
    machine = SimpleNamespace(num_processes=2, device=torch.device("cuda"))
    network = UNet(widths=(4, 8))
    parts, state = dict(network.named_modules()), copy.deepcopy(network.state_dict())

    with pytest.raises(KeyboardInterrupt), hardware.borrowed(network, machine) as same:
        assert same is network
        same._apply(lambda numbers: numbers + 1).eval()  # what same.to(...) calls: the sums have memory of their own
        raise KeyboardInterrupt

    assert dict(network.named_modules()) == parts, "the very same parts"
    assert not any(part.training for part in network.modules())
    for name, value in network.state_dict().items():
        assert_close(value, state[name] + 1)


def test_processes_read_ahead_only_where_a_gpu_waits():
    assert hardware.workers(torch.device("cpu")) == 0
    assert hardware.workers(torch.device("cuda")) >= 1


def test_a_network_that_answers_with_a_dictionary_is_trained(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = one_by_one()

        def forward(self, x):
            return {"aux": x, "out": self.inner(x)}

    named, plain = Named(), one_by_one()
    fit(named, PLAN, Made(), Made(seed=1), tmp_path / "named", progress=False)
    fit(plain, PLAN, Made(), Made(seed=1), tmp_path / "plain", progress=False)
    assert_close(named.inner.weight, plain.weight)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.5, 0.5, 0.5]),
        ("poly", [0.5 * (2 / 3) ** 0.9, 0.5 * (1 / 3) ** 0.9, 0]),
        ("cosine", [0.5 * 0.75, 0.5 * 0.25, 0]),
    ],
)
def test_schedules_reach_their_end_at_the_last_step(tmp_path, schedule, rates):
    record = fit(
        one_by_one(), dataclasses.replace(PLAN, schedule=schedule), Made(), Made(seed=1), tmp_path, progress=False
    )
    assert [epoch["learning_rate"] for epoch in record["epochs"]] == pytest.approx(rates)


def test_a_clipped_step_is_no_longer_than_the_clip(tmp_path):
    plan = dataclasses.replace(PLAN, epochs=1, batch_size=8, learning_rate=1.0, clip=0.01)
    network = one_by_one()
    before = torch.cat([weight.detach().flatten().clone() for weight in network.parameters()])

    fit(network, plan, Made(), Made(seed=1), tmp_path, progress=False)

    step = torch.cat([weight.detach().flatten() for weight in network.parameters()]) - before
    assert step.norm().item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_optimizers_are_pytorch_s(tmp_path, optimizer):
    """Their first step: the rate, in the direction of the gradient's sign; and weight decay, each in its way."""
    plan = dataclasses.replace(
        PLAN, optimizer=optimizer, epochs=1, batch_size=8, learning_rate=0.01, weight_decay=0.5 * (optimizer == "adamw")
    )
    network = one_by_one()
    before = network.weight.detach().clone()

    fit(network, plan, Made(), Made(seed=1), tmp_path, progress=False)

    step = network.weight.detach() - before * (1 - 0.01 * plan.weight_decay)
    assert_close(step.abs(), torch.full_like(step, 0.01), rtol=1e-3, atol=0)


def test_several_maps_are_all_trained_and_the_first_is_scored(tmp_path):
    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.good, self.other = one_by_one(), one_by_one()

        def forward(self, x):
            return self.good(x), self.other(x)

    network = Several()
    plan = dataclasses.replace(PLAN, epochs=6)
    record = fit(network, plan, Made(), Made(seed=1), tmp_path / "several", progress=False)
    single = fit(one_by_one(), plan, Made(), Made(seed=1), tmp_path / "single", progress=False)

    assert_close(network.other.weight, network.good.weight)
    assert record["epochs"][-1]["loss"] == pytest.approx(2 * single["epochs"][-1]["loss"])
    assert record["scores"] == single["scores"]


def test_small_pictures_are_dropped_or_padded_as_the_recipe_says(tmp_path):
    mixed = Made(count=6)
    mixed.pairs += Made(count=3, size=(8, 20)).pairs
    mixed.ids += ("small-0", "small-1", "small-2")
    for smaller, count in (("drop", 6), ("pad", 9)):
        plan = dataclasses.replace(PLAN, smaller=smaller, epochs=1, batch_size=3)
        record = fit(one_by_one(), plan, mixed, Made(seed=1), tmp_path / smaller, progress=False)
        assert record["data"]["train"]["count"] == count


def test_the_record_says_what_was_done(tmp_path):
    train_set, validation_set = Made(), Made(count=3, seed=1)

    record = fit(one_by_one(), PLAN, train_set, validation_set, tmp_path, seed=5, progress=False)

    assert runs.load(tmp_path / "record.json") == record
    assert record["name"] == "unet-smoke-own-seed5", "it is not the book's recipe"
    assert record["recipe"] == json.loads(json.dumps(dataclasses.asdict(PLAN)))
    assert record["data"]["train"] == {"origin": "made", "count": 8, "digest": train_set.digest}
    assert record["data"]["validation"]["digest"] == validation_set.digest
    assert record["network"] == {"name": "Conv2d", "parameters": 4}, "what was trained, whatever the recipe says"
    assert record["ran_on"]["processes"] == 1
    assert record["baselines"] == baselines(validation_set, "cracks")
    assert record["ran_on"]["threads"] == torch.get_num_threads()
    assert record["seconds"] == pytest.approx(sum(epoch["seconds"] for epoch in record["epochs"]))
    assert [("scores" in epoch) for epoch in record["epochs"]] == [True] * 3


def test_scores_are_taken_when_the_recipe_says_and_at_the_end(tmp_path):
    plan = dataclasses.replace(PLAN, epochs=5, validate_every=2)
    record = fit(one_by_one(), plan, Made(), Made(seed=1), tmp_path, progress=False)
    assert [epoch["epoch"] for epoch in record["epochs"] if "scores" in epoch] == [2, 4, 5]


def test_bfloat16_is_used_where_there_is_some_and_never_pretended(tmp_path):
    plan = dataclasses.replace(PLAN, precision="bfloat16", epochs=1)
    seen = []

    class Spy(nn.Conv2d):
        def forward(self, x):
            seen.append(super().forward(x).dtype)
            return super().forward(x)

    record = fit(Spy(3, 1, 1), plan, Made(), Made(seed=1), tmp_path, progress=False)

    assert record["ran_on"]["precision"] == str(seen[0]).removeprefix("torch.")
    plain = fit(Spy(3, 1, 1), PLAN, Made(), Made(seed=1), tmp_path / "plain", progress=False)
    assert plain["ran_on"]["precision"] == "float32"


# ---- what goes wrong ---------------------------------------------------------------------------------
class Breaks(nn.Module):
    """Gives NaN for the one picture that has a very bright pixel."""

    def __init__(self):
        super().__init__()
        self.inner = one_by_one()

    def forward(self, x):
        return torch.where(x.amax((1, 2, 3), keepdim=True) > 2.6, float("nan"), self.inner(x))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_pictures(tmp_path):
    dataset = Made(void=False)
    dataset.pairs[6].image[2, 3, 3] = 255

    with pytest.raises(FloatingPointError, match=r"in epoch 1 the loss is nan, .* in the batch .*made-0-6"):
        fit(Breaks(), PLAN, dataset, Made(seed=1), tmp_path, progress=False)

    noted = json.loads((tmp_path / "not_finite.json").read_text())
    assert len(noted["ids"]) == 4
    assert "made-0-6" in noted["ids"]
    assert not (tmp_path / "record.json").exists(), "a run that has not finished leaves no record"


class Explodes(torch.autograd.Function):
    """Gives a map back as it is, and a gradient that is infinite where a switch is set."""

    switched = False

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient + math.inf if Explodes.switched else gradient


def test_a_gradient_that_is_not_finite_stops_before_the_step_and_the_last_checkpoint_stays_good(tmp_path, monkeypatch):
    """The loss is finite, so only a look at the gradient can tell; a step would have ruined the weights."""

    class Exploding(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = one_by_one(), 0

        def forward(self, x):
            self.seen += self.training
            monkeypatch.setattr(Explodes, "switched", self.seen > 2)  # two steps an epoch
            return Explodes.apply(self.inner(x))

    network = Exploding()
    with pytest.raises(FloatingPointError, match=r"in epoch 2 the loss is 0\.\d+, and its gradient (inf|nan) long"):
        fit(network, dataclasses.replace(PLAN, validate_every=3), Made(), Made(seed=1), tmp_path, progress=False)

    assert all(weight.isfinite().all() for weight in network.parameters())
    state = checkpoints.load(tmp_path / "checkpoint.pt")
    assert len(state["history"]) == 1
    assert all(weight.isfinite().all() for weight in state["model"].values())
    assert len(json.loads((tmp_path / "not_finite.json").read_text())["ids"]) == 4


def test_a_batch_of_void_alone_teaches_nothing_and_breaks_nothing(tmp_path):
    dataset = Made(count=4)
    dataset.pairs = [Pair(image, torch.full_like(mask, 255)) for image, mask in dataset.pairs]
    network = one_by_one()
    record = fit(network, PLAN, dataset, Made(seed=1), tmp_path, progress=False)
    assert [epoch["loss"] for epoch in record["epochs"]] == [0, 0, 0]
    assert_close(network.weight, one_by_one().weight)


def test_fewer_pictures_than_a_batch_are_refused(tmp_path):
    with pytest.raises(ValueError, match="3 training pictures do not fill one batch of 4"):
        fit(one_by_one(), PLAN, Made(count=3), Made(seed=1), tmp_path, progress=False)


def test_a_folder_that_holds_a_run_is_left_alone(tmp_path):
    fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, progress=False)
    before = shutil.copy(tmp_path / "checkpoint.pt", tmp_path / "before.pt")

    with pytest.raises(FileExistsError, match="holds a run already: resume it"):
        fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, progress=False)

    assert filecmp.cmp(tmp_path / "checkpoint.pt", before, shallow=False)


def test_the_record_names_the_weights_that_a_network_began_with(tmp_path):
    plan = dataclasses.replace(PLAN, epochs=1)
    for name, began in (("own", None), ("others", "resnet18.pth, SHA-256 0123")):
        network = one_by_one()
        network.started_from = began
        record = fit(network, plan, Made(), Made(seed=1), tmp_path / name, progress=False)
        assert record["network"].get("started_from") == began


def test_a_record_without_its_checkpoint_is_left_alone(tmp_path):
    fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, progress=False)
    (tmp_path / "checkpoint.pt").unlink()
    for resume in (False, True):
        with pytest.raises(FileExistsError, match="holds the record of a run without its checkpoint"):
            fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, seed=4, resume=resume, progress=False)


@pytest.mark.parametrize("which", [0, 1])
def test_a_set_with_a_transform_of_its_own_is_refused(tmp_path, which):
    sets = [Made(), Made(seed=1)]
    sets[which].transform = lambda image, mask: (image, mask)
    with pytest.raises(ValueError, match="fit crops and flips by the recipe .*'made' comes with the transform"):
        fit(one_by_one(), PLAN, *sets, tmp_path, progress=False)


@pytest.mark.parametrize("which", [0, 1])
def test_sets_of_another_kind_are_refused_with_the_book_s_own_way(tmp_path, which):
    for parts in (random_split(Made(), [4, 4])[0], ConcatDataset([Made(), Made()])):
        sets = [Made(), Made(seed=1)]
        sets[which] = parts
        with pytest.raises(ValueError, match=r"fit trains and validates on must be .*dataset\.subset\(indices\)"):
            fit(one_by_one(), PLAN, *sets, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, progress=False)
    with pytest.raises(ValueError, match="checkpoint.pt is of a run with another model"):
        fit(nn.Conv2d(3, 1, 3, padding=1), PLAN, Made(), Made(seed=1), tmp_path, resume=True, progress=False)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"plan": dataclasses.replace(PLAN, learning_rate=0.1)},
            r"another learning_rate in the recipe \(0.5, here 0.1\)",
        ),
        ({"train_set": Made(seed=7)}, "another list of training pictures"),
        ({"validation_set": Made(seed=7)}, "another list of validation pictures"),
        ({"seed": 1}, r"another seed \(0, here 1\)"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(tmp_path, changes, named):
    given = {"plan": PLAN, "train_set": Made(), "validation_set": Made(seed=1), "seed": 0}

    def run(plan, train_set, validation_set, seed):
        fit(one_by_one(), plan, train_set, validation_set, tmp_path, seed=seed, resume=True, progress=False)

    run(**given)
    with pytest.raises(ValueError, match=f"checkpoint.pt is of a run with {named}"):
        run(**given | changes)


def test_a_checkpoint_that_breaks_off_is_refused_by_name(tmp_path):
    fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, progress=False)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="checkpoint.pt is not a whole checkpoint"):
        fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, resume=True, progress=False)


# ---- stopping and going on ---------------------------------------------------------------------------
class Noisy(nn.Module):
    """A network with chance of its own (dropout) and memory of its own (batch normalisation)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        parts = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.3), nn.Conv2d(8, 1, 1)
        self.layers = nn.Sequential(*parts)
        self.epochs_to_live = math.inf

    def forward(self, x):
        if self.training:
            self.epochs_to_live -= 1
            if self.epochs_to_live < 0:
                raise KeyboardInterrupt
        return self.layers(x)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    """Everything that could differ: order, crops, dropout, momentum, schedule, running means; stopped mid-epoch."""
    plan = dataclasses.replace(
        PLAN, crop=(8, 8), flip=True, optimizer="adamw", learning_rate=0.01, epochs=5, schedule="cosine"
    )
    straight, stopped, again = Noisy(), Noisy(), Noisy()
    whole = fit(straight, plan, Made(), Made(seed=1), tmp_path / "a", seed=3, progress=False)
    stopped.epochs_to_live = 5  # two steps an epoch: in the middle of the third
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, plan, Made(), Made(seed=1), tmp_path / "b", seed=3, progress=False)
    assert not (tmp_path / "b" / "record.json").exists()

    record = fit(again, plan, Made(), Made(seed=1), tmp_path / "b", seed=3, resume=True, progress=False)

    assert_close(dict(again.state_dict()), dict(straight.state_dict()), rtol=0, atol=0)
    assert [epoch["loss"] for epoch in record["epochs"]] == [epoch["loss"] for epoch in whole["epochs"]]
    assert record["scores"] == whole["scores"]


def test_a_finished_run_that_is_resumed_is_not_trained_further(tmp_path):
    first = fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, progress=False)
    network = one_by_one()
    again = fit(network, PLAN, Made(), Made(seed=1), tmp_path, resume=True, progress=False)
    assert again == first, "nor is its record written anew"
    assert_close(dict(network.state_dict()), checkpoints.weights(tmp_path / "checkpoint.pt"))


ALONE = {"env": os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}, "cwd": ROOT}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a matter of POSIX systems")
def test_killed_in_the_middle_and_resumed_the_weights_are_bitwise_the_same(tmp_path):
    """The real program in a process of its own, killed without a chance to tidy up."""
    line = [sys.executable, "-m", "chapters_code.train", "unet", "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **ALONE)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    done = len(checkpoints.load(checkpoint)["history"])
    assert 1 <= done < recipe("unet", "smoke").epochs

    assert command.main(["unet", "--out", str(tmp_path / "killed"), "--resume"]) == 0

    assert command.main(["unet", "--out", str(tmp_path / "whole")]) == 0
    expected = checkpoints.weights(tmp_path / "whole" / "checkpoint.pt")
    assert_close(checkpoints.weights(checkpoint), expected, rtol=0, atol=0)


# ---- many processes ----------------------------------------------------------------------------------
SHARED = dataclasses.replace(PLAN, crop=(8, 8), flip=True, epochs=4, clip=0.5, schedule="cosine")


def shared_run(out, norm="group"):
    """A run that several processes may share.  Five validation pictures: the shares of two are not equal."""
    torch.manual_seed(0)
    return fit(UNet(widths=(4, 8), norm=norm), SHARED, Made(), Made(count=5, seed=1), out, progress=False)


@pytest.mark.slow
def test_two_processes_do_the_steps_of_one(tmp_path):
    """The same batches, shared: losses, weights and scores agree to float32's rounding.

    The two halves of a sum are added in another order: 1e-7 for each of the 8 steps, and training multiplies it a
    little; 1e-5 leaves room for that and for nothing else.  Each half has another share of void: a mean of the
    processes' means would be wrong by some per cent.
    """
    one = shared_run(tmp_path / "one")
    script = tmp_path / "share.py"
    script.write_text(
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), str(ROOT / 'tests')]!r}; import test_train\n"
    )
    runs_of_two = (
        f"test_train.shared_run({str(tmp_path / 'two')!r})\n"
        f"test_train.shared_run({str(tmp_path / 'batch')!r}, norm='batch')\n"
    )
    script.write_text(script.read_text() + runs_of_two)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    answer = subprocess.run(launch, capture_output=True, text=True, timeout=300, **ALONE)
    assert answer.returncode == 0, answer.stderr
    two = runs.load(tmp_path / "two" / "record.json")
    weights, others = (checkpoints.weights(tmp_path / name / "checkpoint.pt") for name in ("one", "two"))

    assert (one["ran_on"]["processes"], two["ran_on"]["processes"]) == (1, 2)
    losses = [epoch["loss"] for epoch in one["epochs"]]
    assert losses[-1] < losses[0]
    assert [epoch["loss"] for epoch in two["epochs"]] == pytest.approx(losses, rel=1e-5)
    assert_close(others, weights, rtol=1e-4, atol=1e-5)
    assert two["scores"] == pytest.approx(one["scores"], abs=2e-3)  # a pixel may cross a threshold
    assert [epoch["learning_rate"] for epoch in two["epochs"]] == [epoch["learning_rate"] for epoch in one["epochs"]]

    # Batch normalisation keeps running means in each process.  What is scored is what is saved.
    network = UNet(widths=(4, 8))
    network.load_state_dict(checkpoints.weights(tmp_path / "batch" / "checkpoint.pt"))
    saved = evaluate(network, Made(count=5, seed=1), "cracks").scores()
    assert runs.load(tmp_path / "batch" / "record.json")["scores"] == pytest.approx(saved, abs=1e-6)
    # And a run of two processes does not go on as one.
    with pytest.raises(ValueError, match=r"another number of processes \(2, here 1\)"):
        fit(UNet(widths=(4, 8), norm="group"), SHARED, Made(), Made(count=5, seed=1), tmp_path / "two", resume=True)


# ---- the command line --------------------------------------------------------------------------------
def test_help_lists_recipes_tiers_and_what_is_left_behind(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    for word in (*RECIPES, *TIERS, "--resume", "checkpoint.pt", "record.json", "torchrun", "--batch-size", "-own"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["segnet", "--out", "x"], "invalid choice: 'segnet'"),
        (["unet"], "required: --out"),
        (["unet", "--out", "x", "--seed", "-1"], "an integer from 0 to 2^63 - 1 is wanted, got '-1'"),
        (["unet", "--out", "x", "--seed", "9" * 30], "an integer from 0"),
        (["unet", "--out", "x", "--tier", "huge"], "invalid choice: 'huge'"),
        (["unet", "--out", "x", "--batch-size", "many"], "--batch-size: an integer from 0"),
        (["unet", "--out", "x", "--epochs", "-3"], "--epochs: an integer from 0"),
        (["unet", "--out", "x", "--crop", "64x"], "--crop: an integer from 0"),
        (["unet", "--out", "x", "--crop", "4x4x4"], "one number, or two as in 240x320 (height x width), got '4x4x4'"),
        (["unet", "--out", "x", "--learning-rate", "fast"], "--learning-rate: invalid float value: 'fast'"),
    ],
)
def test_a_wrong_word_is_answered_in_a_line(capsys, words, said):
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_cannot_be_trained_is_said_without_a_traceback(capsys, tmp_path):
    assert command.main(["unet", "--tier", "full", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("python -m chapters_code.train: ")
    assert "DeepCrack" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--batch-size", "0"], "batch_size must be an integer of 1 or more, got 0"),
        (["--epochs", "0"], "epochs must be an integer of 1 or more, got 0"),
        (["--crop", "0x64"], "crop must be (height, width)"),
        (["--learning-rate", "nan"], "learning_rate must be a number above 0, got nan"),
    ],
)
def test_a_setting_that_means_nothing_is_told_before_anything_is_read(capsys, tmp_path, words, said):
    assert command.main(["unet", "--data", "nowhere", "--out", str(tmp_path / "out"), *words]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], {}),
        (["--epochs", "8"], {}),  # what the recipe says anyway
        (["--epochs", "3"], {"epochs": 3}),
        (["--batch-size", "2"], {"batch_size": 2}),
        (["--crop", "48"], {"crop": (48, 48)}),
        (["--crop", "24x48"], {"crop": (24, 48)}),
        (["--crop", "24×48"], {"crop": (24, 48)}),
        (["--learning-rate", "1e-4"], {"learning_rate": 1e-4}),
    ],
)
def test_settings_from_the_shell_change_these_of_the_recipe_and_no_others(words, changes):
    """And a recipe that is not the book's leaves a record whose name says so."""
    book = recipe("unet", "smoke")
    plan = command._changed(book, command._parser().parse_args(["unet", "--out", "x", *words]))
    assert plan == dataclasses.replace(book, **changes)
    assert (plan in RECIPES["unet"].values()) == (not changes)


@pytest.mark.parametrize(
    ("count", "processes", "batch"), [(9, 1, 4), (4, 1, 4), (3, 1, 3), (1, 1, 1), (3, 2, 2), (1, 2, 4)]
)
def test_a_batch_that_the_pictures_do_not_fill_is_made_smaller_and_this_is_said(monkeypatch, count, processes, batch):
    """Each of several processes takes an equal part; and where there is nothing for one of them, `fit` has the word."""
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    said = []
    plan = command._filled(PLAN, Made(count=count), said.append)
    assert plan == dataclasses.replace(PLAN, batch_size=batch)
    wanted = f"{count} training pictures do not fill a batch of 4: batches of {batch} are taken"
    assert said == [wanted] * (batch < 4)


def test_pictures_that_the_recipe_drops_fill_no_batch():
    mixed = Made(count=3)
    mixed.pairs += Made(count=3, size=(8, 20)).pairs
    mixed.ids += ("small-0", "small-1", "small-2")
    said = []
    for smaller, batch in (("drop", 3), ("pad", 4)):
        assert command._filled(dataclasses.replace(PLAN, smaller=smaller), mixed, said.append).batch_size == batch
    assert len(said) == 1


@pytest.mark.parametrize(
    ("height", "changes", "warned"),
    [(2001, {}, True), (2000, {}, False), (2001, {"resize": (72, 72)}, False), (2001, {"data": "voc2012"}, False)],
)
def test_pictures_straight_from_a_camera_are_told_to_be_large(height, changes, warned):
    """Unless the network sees all at one size."""
    plan = dataclasses.replace(PLAN, **({"data": "own/walls"} | changes))
    dataset, said = Made(count=2), []
    dataset.size_of = [(20, 30), (height, 2000)].__getitem__
    command._tell_of_large(plan, dataset, said.append)
    assert [line.startswith("pictures of 4 million pixels are scored whole") for line in said] == [True] * warned


def own_pictures(root, numbers=None):
    """Six photographs DSC_1.JPG, some of them upright, with masks of 0 and 255; or of these numbers, in stripes."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for place in range(1, 7):
        image, mask = cracked_road(size=(48, 64) if place % 2 else (64, 48), crack_width=3, seed=place)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / "images" / f"DSC_{place}.JPG")
        drawn = (mask * 255).byte() if numbers is None else torch.tensor(numbers).byte()[mask.cumsum(1) % len(numbers)]
        Image.fromarray(drawn.numpy()).save(root / "masks" / f"DSC_{place}.png")
    (root / "images" / "Thumbs.db").touch()
    return root


def test_pictures_of_ones_own_are_trained_on_from_the_shell(capsys, tmp_path):
    folder = own_pictures(tmp_path / "Straße 7, süd")
    settings = ["--epochs", "1", "--crop", "32x48", "--learning-rate", "1e-3"]
    assert command.main(["unet", "--data", str(folder), "--out", str(tmp_path / "out"), *settings]) == 0

    said = capsys.readouterr().out
    for words in (
        'own pictures "Straße 7, süd": 1 of 6 pairs taken by chance for validation',
        "to train with: 5 pairs of 48 x 64 to 64 x 48 pixels; background 9",
        "5 training pictures do not fill a batch of 8: batches of 5 are taken",
        "5 training and 1 validation pictures",
        'scored on 1 other picture from own pictures "Straße 7, süd":',
    ):
        assert words in said
    record = runs.load(tmp_path / "out" / "record.json")
    assert record["name"] == "unet-smoke-own-seed0"
    assert [part["origin"] for part in record["data"].values()] == ['own pictures "Straße 7, süd"'] * 2
    assert [part["count"] for part in record["data"].values()] == [5, 1]
    plan = record["recipe"]
    assert (plan["data"], plan["batch_size"], plan["crop"]) == ("own/Straße 7, süd", 5, [32, 48])
    assert (plan["epochs"], plan["learning_rate"]) == (1, 1e-3)
    assert str(tmp_path) not in (tmp_path / "out" / "record.json").read_text(encoding="utf-8")
    assert "DeepCrack" not in json.dumps(record)

    # The same command goes on where it stopped; here, behind the end.
    again = ["unet", "--data", str(folder), "--out", str(tmp_path / "out"), *settings, "--resume"]
    assert command.main(again) == 0
    assert runs.load(tmp_path / "out" / "record.json") == record


def test_the_page_on_pictures_of_ones_own_works_as_it_stands(capsys, tmp_path, monkeypatch):
    """Its command and its Python, with the small tier in the place of the larger one."""
    page = (ROOT / "book" / "data.md").read_text(encoding="utf-8").replace('"colab"', '"smoke"').replace("=20", "=1")
    section = page.partition("## Pictures of your own")[2].partition("## By hand")[0]
    own_pictures(tmp_path / "walls")
    monkeypatch.chdir(tmp_path)

    words = re.search(r"chapters_code\.train (.*?)\n\.venv", section, re.DOTALL)[1].replace("\\\n", "").split()
    asked = command._parser().parse_args(words)
    assert (asked.data, asked.out, asked.epochs, asked.batch_size) == (Path("walls"), Path("runs/mine"), 20, 4)
    capsys.readouterr()
    exec(re.search(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[1], {})

    record = runs.load(tmp_path / "runs" / "mine" / "record.json")
    assert (record["recipe"]["data"], record["recipe"]["batch_size"]) == ("own/walls", 4)
    *_, scores, shares = capsys.readouterr().out.splitlines()
    assert ast.literal_eval(scores) == pytest.approx(record["scores"], abs=1e-6, nan_ok=True)
    assert sum(ast.literal_eval(shares).values()) == pytest.approx(1)
    assert set(ast.literal_eval(shares)) <= {"wall", "crack"}


def test_classes_of_ones_own_shape_the_network_and_are_kept_with_it(capsys, tmp_path):
    """Void is no class; and the checkpoint alone is enough to build the network and to name what it sees."""
    folder = own_pictures(tmp_path / "walls", numbers=(0, 2, 1, 255))
    (folder / "classes.txt").write_text("wall\ndoor\nwindow\n")
    words = ["--epochs", "1", "--batch-size", "2", "--crop", "32"]
    assert command.main(["fcn-scratch", "--data", str(folder), "--out", str(tmp_path / "out"), *words]) == 0

    assert "not counted" in capsys.readouterr().out
    trained = checkpoints.load_network(tmp_path / "out" / "checkpoint.pt")
    assert trained.classes == ("wall", "door", "window")
    assert trained.network(torch.zeros(1, 3, 32, 64)).shape == (1, 3, 32, 64)
    assert trained.recipe.data == "own/walls"
    assert set(runs.load(tmp_path / "out" / "record.json")["scores"]) >= {"global_mean_iou"}


def test_a_fault_in_pictures_of_ones_own_is_told_before_anything_is_trained(capsys, tmp_path):
    folder = own_pictures(tmp_path / "walls")
    Image.new("L", (64, 48), 1).save(folder / "masks" / "DSC_3.png")
    assert command.main(["unet", "--data", str(folder), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "DSC_3.png: a mask of 0 and 255 was expected" in said and "multiply by 255" in said
    assert "Traceback" not in said and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_from_the_shell_tells_its_scores_beside_the_baselines(capsys, tmp_path):
    assert command.main(["unet", "--tier", "smoke", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "32 training and 8 validation pictures" in said
    assert "synthetic" in said or "drawn" in said
    assert "global_f1@0px" in said and "one threshold on darkness" in said
    assert " seconds; the record is " in said
    record = runs.load(tmp_path / "out" / "record.json")
    assert record["name"] == "unet-smoke-seed0"
    assert record["epochs"][-1]["loss"] < record["epochs"][0]["loss"]
    best = MAIN_SCORES["cracks"][0]
    assert record["scores"][best] > max(found[best] for found in record["baselines"].values())


def test_a_twin_is_named_as_one(tmp_path):
    drawn = Made()
    drawn.origin = "synthetic twin of DeepCrack"
    record = fit(one_by_one(), PLAN, drawn, Made(seed=1), tmp_path, progress=False)
    assert record["name"].endswith("-twin")


def test_resuming_nothing_says_so(capsys, tmp_path, monkeypatch):
    def not_now(*given, **named):
        raise ValueError("not now")

    monkeypatch.setattr(command, "fit", not_now)
    assert command.main(["unet", "--out", str(tmp_path / "out"), "--resume"]) == 1
    assert "holds no checkpoint; starting anew" in capsys.readouterr().out


def test_a_file_is_no_folder(capsys, tmp_path):
    (tmp_path / "out").write_text("")
    assert command.main(["unet", "--out", str(tmp_path / "out")]) == 1
    assert "is a file, and a run needs a folder" in capsys.readouterr().err


def test_ctrl_c_ends_with_the_way_to_go_on(capsys, tmp_path, monkeypatch):
    def interrupted(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "fit", interrupted)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoint.pt").touch()
    assert command.main(["unet", "--out", str(tmp_path / "out")]) == 130
    assert "--resume" in capsys.readouterr().err


# ---- on real photographs -----------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.real_data
def test_an_epoch_on_real_cracks_beats_no_crack_at_all(book_data, tmp_path):
    plan = dataclasses.replace(recipe("unet", "colab"), crop=(128, 128), epochs=2, network_settings={"widths": (8, 16)})
    from chapters_code.train.recipes import build_network, datasets

    photographs, validation = datasets(plan, book_data)
    record = fit(
        build_network(plan), plan, photographs.subset(range(64)), validation.subset(range(6)), tmp_path, progress=False
    )
    assert record["scores"]["global_f1@2px"] > record["baselines"]["all background"]["global_f1@2px"] == 0
    assert record["epochs"][1]["loss"] < record["epochs"][0]["loss"]

"""The training loop: its steps are those worked out by hand, it stops and goes on as it says, and shares its work."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from chapters_code import checkpoints, runs, train
from chapters_code.data.loading import Normalise
from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.losses import LOSSES
from chapters_code.recipes import RECIPES, TIERS, recipe
from chapters_code.train import fit
from chapters_code.unet import UNet

ROOT = Path(__file__).parent.parent
PLAN = dataclasses.replace(
    recipe("unet", "smoke"),
    network_settings={},
    crop=(12, 16),
    flip=False,
    batch_size=4,
    epochs=3,
    optimizer="sgd",
    learning_rate=0.5,
    weight_decay=0.0,
    schedule="constant",
    losses=("binary_cross_entropy",),
    clip=None,
)


class Made(Segmentation):
    """Pictures of one size whose mask is where they are bright, some of it void."""

    classes = ("dark", "bright")
    palette = ((0, 0, 0), (255, 255, 255))

    def __init__(self, count=8, size=(12, 16), seed=0, void=True):
        super().__init__([f"made-{seed}-{number}" for number in range(count)], "made")
        chance = torch.Generator().manual_seed(seed)
        self.pairs = []
        for _ in range(count):
            mask = (torch.rand(size, generator=chance) > 0.6).long()
            image = (mask * 120 + torch.randint(0, 100, (3, *size), generator=chance)).byte()
            if void:  # not the same share everywhere
                mask = mask.masked_fill(torch.rand(size, generator=chance) < torch.rand(1, generator=chance), 255)
            self.pairs.append(Pair(image, mask))

    def read(self, index):
        return self.pairs[index]


def one_by_one():
    """The smallest network: each pixel by itself."""
    torch.manual_seed(0)
    return nn.Conv2d(3, 1, 1)


def by_hand(plan, network, dataset, seed=0):
    """Train with nothing but PyTorch; give each step's loss.  Crops of the full size: no chance but the order."""
    optimizer = torch.optim.SGD(network.parameters(), lr=plan.learning_rate, momentum=plan.momentum)
    batches = train.loader(dataset, plan.batch_size, seed=seed)
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
    assert record["name"] == "unet-smoke-seed5"
    assert record["recipe"] == json.loads(json.dumps(dataclasses.asdict(PLAN)))
    assert record["data"]["train"] == {"origin": "made", "count": 8, "digest": train_set.digest}
    assert record["data"]["validation"]["digest"] == validation_set.digest
    assert record["network"] == {"name": PLAN.network, "parameters": 4}
    assert record["ran_on"]["processes"] == 1
    assert set(record["baselines"]) == {"all background", "one threshold on darkness"}
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

    with pytest.raises(FloatingPointError, match=r"loss is nan at epoch 1, step [12], in the batch .*made-0-6"):
        fit(Breaks(), PLAN, dataset, Made(seed=1), tmp_path, progress=False)

    noted = json.loads((tmp_path / "not_finite.json").read_text())
    assert len(noted["ids"]) == 4
    assert "made-0-6" in noted["ids"]
    assert not (tmp_path / "record.json").exists(), "a run that has not finished leaves no record"


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
    before = (tmp_path / "checkpoint.pt").read_bytes()

    with pytest.raises(FileExistsError, match="holds a run already: resume it"):
        fit(one_by_one(), PLAN, Made(), Made(seed=1), tmp_path, progress=False)

    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"plan": dataclasses.replace(PLAN, learning_rate=0.1)}, "another recipe"),
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
    assert again["epochs"] == first["epochs"]
    assert_close(dict(network.state_dict()), checkpoints.weights(tmp_path / "checkpoint.pt"))


ALONE = {"env": os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}, "cwd": ROOT}


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

    assert train.main(["unet", "--out", str(tmp_path / "killed"), "--resume"]) == 0

    assert train.main(["unet", "--out", str(tmp_path / "whole")]) == 0
    expected = checkpoints.weights(tmp_path / "whole" / "checkpoint.pt")
    assert_close(checkpoints.weights(checkpoint), expected, rtol=0, atol=0)


# ---- many processes ----------------------------------------------------------------------------------
def shared_run(out):
    """A run that several processes may share.  Five validation pictures: the shares of two are not equal."""
    plan = dataclasses.replace(PLAN, crop=(8, 8), flip=True, epochs=4, clip=0.5)
    torch.manual_seed(0)
    return fit(UNet(widths=(4, 8), norm="group"), plan, Made(), Made(count=5, seed=1), out, progress=False)


def test_two_processes_do_the_steps_of_one(tmp_path):
    """The same batches, shared: losses, weights and scores agree to float32's rounding.

    The two halves of a sum are added in another order: 1e-7 for each of the 8 steps, and training multiplies it a
    little; 1e-5 leaves room for that and for nothing else.  Each half has another share of void: a mean of the
    processes' means would be wrong by some per cent.
    """
    one = shared_run(tmp_path / "one")
    script = tmp_path / "share.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import test_train\n")
    script.write_text(script.read_text() + f"test_train.shared_run({str(tmp_path / 'two')!r})\n")
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


# ---- the command line --------------------------------------------------------------------------------
def test_help_lists_recipes_tiers_and_what_is_left_behind(capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    for word in (*RECIPES, *TIERS, "--resume", "checkpoint.pt", "record.json", "torchrun"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["segnet", "--out", "x"], "invalid choice: 'segnet'"),
        (["unet"], "required: --out"),
        (["unet", "--out", "x", "--seed", "-1"], "--seed"),
        (["unet", "--out", "x", "--tier", "huge"], "invalid choice: 'huge'"),
    ],
)
def test_a_wrong_word_is_answered_in_a_line(capsys, words, said):
    with pytest.raises(SystemExit) as ended:
        train.main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_cannot_be_trained_is_said_without_a_traceback(capsys, tmp_path):
    assert train.main(["unet", "--tier", "full", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("python -m chapters_code.train: ")
    assert "DeepCrack" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_run_from_the_shell_tells_its_scores_beside_the_baselines(capsys, tmp_path):
    assert train.main(["unet", "--tier", "smoke", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "32 training and 8 validation pictures" in said
    assert "synthetic" in said or "drawn" in said
    assert "global_f1@0px" in said and "one threshold on darkness" in said
    record = runs.load(tmp_path / "out" / "record.json")
    assert record["epochs"][-1]["loss"] < record["epochs"][0]["loss"]


def test_ctrl_c_ends_with_the_way_to_go_on(capsys, tmp_path, monkeypatch):
    def interrupted(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", interrupted)
    assert train.main(["unet", "--out", str(tmp_path / "out")]) == 130
    assert "--resume" in capsys.readouterr().err


# ---- on real photographs -----------------------------------------------------------------------------
@pytest.mark.real_data
def test_an_epoch_on_real_cracks_beats_no_crack_at_all(book_data, tmp_path):
    plan = dataclasses.replace(recipe("unet", "colab"), crop=(128, 128), epochs=2, network_settings={"widths": (8, 16)})
    from chapters_code.recipes import build_network, datasets

    photographs, validation = datasets(plan, book_data)
    record = fit(
        build_network(plan), plan, photographs.subset(range(64)), validation.subset(range(6)), tmp_path, progress=False
    )
    assert record["scores"]["global_f1@2px"] > record["baselines"]["all background"]["global_f1@2px"] == 0
    assert record["epochs"][1]["loss"] < record["epochs"][0]["loss"]

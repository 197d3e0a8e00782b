"""The fair comparison of Chapter 07: its runs differ in what they say, and nothing is lost on the way to the study."""

import copy
import json
from itertools import product

import pytest
import torch
from scipy import stats
from torch import nn
from torch.testing import assert_close

from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.metrics.cracks import local_width
from chapters_code.records import runs, studies
from chapters_code.train.recipes import build_network
from experiments import bake_off
from experiments.work import claimed
from small_runs import DIGEST, RECORD


@pytest.mark.parametrize("pictures", bake_off.SETS)
@pytest.mark.parametrize("optimizer", bake_off.LEARNING_RATES)
def test_the_arms_of_a_comparison_differ_in_the_layer_alone(pictures, optimizer):
    plans = [vars(bake_off.plan(arm, optimizer, pictures)) for arm in DOWNSAMPLERS]
    assert {plan["network_settings"]["down"] for plan in plans} == set(DOWNSAMPLERS)
    for plan in plans:
        settings = dict(plan["network_settings"])
        del settings["down"]
        assert (settings, plan["network"]) == ({"widths": (8, 16, 32, 64)}, plans[0]["network"])
        differs = {name for name, value in plan.items() if value != plans[0][name]}
        assert differs <= {"name", "network_settings"}


@pytest.mark.parametrize(
    ("arm", "numbers"), {"max": 1, "avg": 1, "strided3": 9, "strided2": 4, "space_to_depth": 4, "hwd": 4}.items()
)
def test_the_numbers_to_learn_differ_by_those_of_the_layer(arm, numbers):
    counts = [
        sum(weights.numel() for weights in build_network(bake_off.plan(one, "sgd", "CFD"), 0).parameters())
        for one in ("max", arm)
    ]
    assert counts[1] - counts[0] == (numbers - 1) * (8 * 8 + 16 * 16 + 32 * 32)


def test_strided2_and_space_to_depth_are_the_same_run_but_for_rounding():
    strided, depth = (build_network(bake_off.plan(arm, "sgd", "CFD"), 3) for arm in ("strided2", "space_to_depth"))
    for one, other in zip(strided.parameters(), depth.parameters(), strict=True):
        assert_close(one.flatten(), other.flatten(), rtol=0, atol=0)
    x = torch.randn(2, 3, 32, 48)
    assert_close(strided(x), depth(x), rtol=1e-4, atol=1e-5)


class Bars(Segmentation):
    """Two pictures of cracks of known width: 2 and 6 pixels."""

    def __init__(self):
        pass

    def __len__(self):
        return 2

    def __getitem__(self, index):
        if index not in (0, 1):
            raise IndexError(index)
        mask = torch.zeros(24, 40, dtype=torch.int64)
        mask[4:6] = 1
        mask[12:18] = 1
        return Pair(torch.zeros(3, 24, 40, dtype=torch.uint8), mask)


class Says(nn.Module):
    """A network that answers the same whatever it sees."""

    def __init__(self, answer):
        super().__init__()
        self.answer = nn.Parameter(answer)

    def forward(self, x):
        return self.answer.expand(len(x), 1, -1, -1)


def test_what_is_found_is_counted_by_width():
    pairs = Bars()
    kinds = [torch.bucketize(local_width(mask, 9), torch.tensor(bake_off.WIDTHS)) for _, mask in pairs]
    thin, wide = 2 * 2 * 40, 2 * 6 * 40
    nothing = torch.full((24, 40), -1.0)
    at_thin = nothing.clone()
    at_thin[2] = 1  # two pixels from the near edge of the thin crack, three from the far one
    at_wide = nothing.clone()
    at_wide[14] = 0  # a probability of 1/2 counts

    def found(answer):
        return bake_off.found_by_width(Says(answer), pairs, kinds)

    assert found(nothing) == {"up_to_pixels": [2, 4, 8, 9], "true": [thin, 0, wide, 0], "found": [0, 0, 0, 0]}
    assert found(at_thin)["found"] == [thin // 2, 0, 0, 0]
    assert found(at_wide)["found"] == [0, 0, wide * 5 // 6, 0]


# ---- from runs to the study -----------------------------------------------------------------------


SCORES = {name: place / 8 for place, name in enumerate(bake_off.KEPT)}


def write_run(out, arm, seed, pictures="CFD", f1=0.5, **changes):
    what = bake_off.plan(arm, "sgd", pictures)
    folder = out / f"{what.name}-seed{seed}"
    folder.mkdir()
    record = copy.deepcopy(RECORD) | {
        "name": folder.name,
        "recipe": json.loads(json.dumps(vars(what), default=list)),
        "seed": seed,
        "scores": SCORES | {"ods_f1@2px": f1, "ois_f1@2px": 1.0},
        "baselines": {"all background": SCORES},
    }
    runs.save(record | changes, folder / "record.json")
    widths = {"up_to_pixels": [2, 4, 8, 9], "true": [1, 2, 3, 4], "found": [1, 1, 1, 1]}
    (folder / "more.json").write_text(json.dumps({"transfer": {"DeepCrack": SCORES}, "by_width": widths}))
    return folder


def test_a_study_holds_what_its_runs_hold(tmp_path, capsys):
    for pictures in bake_off.SETS:
        for seed, f1 in enumerate((0.25, 0.75)):
            for arm in ("hwd", "max"):
                write_run(tmp_path, arm, seed, pictures, f1)
    write_run(tmp_path, "avg", 0).joinpath("more.json").unlink()  # a run that is not done yet
    write_run(tmp_path, "strided2", 0).rename(tmp_path / "tune-strided2-sgd-300e-4")

    bake_off.collect(tmp_path)

    study = studies.load(tmp_path / "bake-off.json")
    assert "8 runs" in capsys.readouterr().out and len(study["runs"]) == 8
    assert studies.scores(study, "ods_f1@2px", pictures="CFD") == {"max": [0.25, 0.75], "hwd": [0.25, 0.75]}
    first = study["runs"][0]
    assert set(first["scores"]) == set(bake_off.KEPT) == set(study["runs"][-1]["transfer"]["DeepCrack"])
    assert (first["pictures"], first["arm"], first["optimizer"], first["seed"]) == ("DeepCrack", "max", "sgd", 0)
    assert first["by_width"]["true"] == [1, 2, 3, 4]
    (tuned,) = study["tuning"]
    assert (tuned["arm"], tuned["epochs"], tuned["pictures"], tuned["commit"]) == ("strided2", 30, 4, "abc")
    assert study["seconds"] == 8 * RECORD["seconds"]
    assert study["pictures"]["DeepCrack"]["epochs"] == bake_off.plan("hwd", "sgd", "DeepCrack").epochs
    assert study["pictures"]["CFD"]["test"]["digest"] == DIGEST
    assert study["recipe"]["crop"] == [160, 160] and "network_settings" not in study["recipe"]


@pytest.mark.parametrize("changes", [{"versions": {"torch": "2.14.0"}}, {"ran_on": RECORD["ran_on"] | {"threads": 1}}])
def test_runs_made_in_different_ways_are_no_study(tmp_path, changes):
    for pictures in bake_off.SETS:
        write_run(tmp_path, "max", 0, pictures)
    write_run(tmp_path, "hwd", 0, **changes)
    with pytest.raises(ValueError, match="differ in what one study must share"):
        bake_off.collect(tmp_path)
    assert not (tmp_path / "bake-off.json").exists()


def test_a_run_is_taken_once(tmp_path):
    assert claimed(tmp_path / "run")
    assert not claimed(tmp_path / "run")


# ---- what the study says, and what it does not ------------------------------------------------------

SETTINGS = list(product(bake_off.SETS, bake_off.LEARNING_RATES))


def of_study(score):
    """Setting -> arm -> one number per seed."""
    study = studies.load("bake-off")
    return {
        (pictures, optimizer): studies.scores(study, score, pictures=pictures, optimizer=optimizer)
        for pictures, optimizer in SETTINGS
    }


def test_two_of_32_intervals_on_one_side_are_what_chance_gives():
    found = of_study(lambda run: run["by_width"]["found"][0] / run["by_width"]["true"][0])
    compared = [
        studies.difference(of_arm, arm, pooled)
        for of_arm in found.values()
        for arm, pooled in product(("strided3", "strided2", "space_to_depth", "hwd"), ("max", "avg"))
    ]
    below, above = (sum(sign * one.mean > one.half for one in compared) for sign in (-1, 1))
    assert (len(compared), below, above) == (32, 2, 0)
    assert 0.025 * 32 == 0.8 and stats.binom.sf(below - 1, 32, 0.025) > 0.15


def test_of_sixteen_questions_one_answer_is_left_by_the_rule_of_holm_and_none_is_of_hwd():
    p_values = {
        (*setting, arm): stats.ttest_rel(of_arm[arm], of_arm["strided2"]).pvalue
        for setting, of_arm in of_study("ods_f1@2px").items()
        for arm in ("max", "avg", "strided3", "hwd")
    }
    ranked = sorted(p_values, key=p_values.get)
    assert [key for key in ranked if p_values[key] < 0.05] == ranked[:3]
    assert p_values[ranked[0]] < 0.05 / 16 and p_values[ranked[1]] > 0.05 / 15
    assert ranked[0] == ("CFD", "adamw", "max") and {key[:1] + key[2:] for key in ranked[1:3]} == {("DeepCrack", "avg")}


def test_few_crack_pixels_of_deepcrack_are_thin_and_few_of_cfd_are_wide():
    for run in studies.load("bake-off")["runs"]:
        true = run["by_width"]["true"]
        thin, wide = true[0] / sum(true), true[-1] / sum(true)
        expected = (0.019, 0.674) if run["pictures"] == "DeepCrack" else (0.238, 0.023)
        assert (thin, wide) == pytest.approx(expected, abs=0.0005)

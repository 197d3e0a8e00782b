"""The fair comparison of Chapter 07: its runs differ in what they say, and nothing is lost on the way to the study."""

import json
from itertools import product

import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.records import runs, studies
from chapters_code.train.recipes import build_network
from experiments import bake_off, cracks
from small_runs import RECORD, Made, one_by_one


@pytest.mark.parametrize("pictures", bake_off.SETS)
@pytest.mark.parametrize("optimizer", bake_off.LEARNING_RATES)
def test_the_arms_of_a_comparison_differ_in_the_layer_alone(pictures, optimizer):
    plans = [vars(bake_off.settings(arm, optimizer, pictures)) for arm in DOWNSAMPLERS]
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
        sum(weights.numel() for weights in build_network(bake_off.settings(one, "sgd", "CFD"), 0).parameters())
        for one in ("max", arm)
    ]
    assert counts[1] - counts[0] == (numbers - 1) * (8 * 8 + 16 * 16 + 32 * 32)


def test_strided2_and_space_to_depth_are_the_same_run_but_for_rounding():
    strided, depth = (build_network(bake_off.settings(arm, "sgd", "CFD"), 3) for arm in ("strided2", "space_to_depth"))
    for one, other in zip(strided.parameters(), depth.parameters(), strict=True):
        assert_close(one.flatten(), other.flatten(), rtol=0, atol=0)
    x = torch.randn(2, 3, 32, 48)
    assert_close(strided(x), depth(x), rtol=1e-4, atol=1e-5)


def test_a_run_is_scored_on_the_other_set_too(monkeypatch):
    here, there = Made(seed=0, void=False), Made(seed=1, void=False)
    monkeypatch.setattr(bake_off, "CrackSegmentation", lambda name, split, root: there)
    monkeypatch.setattr(cracks, "kinds_of", lambda data: [torch.zeros(12, 16)] * len(here))
    planned = next(one for one in bake_off.STUDY.planned if one.pictures == "CFD")
    found = bake_off.more(one_by_one(), planned, here, "data")
    assert set(found) == {"transfer", "photographs", "by_width"} and len(found["photographs"]) == len(here)
    assert set(found["transfer"]) == {"DeepCrack"} and set(found["transfer"]["DeepCrack"]) == set(cracks.KEPT)


def test_learning_rates_are_tried_on_pictures_held_back_from_training(monkeypatch, tmp_path):
    monkeypatch.setattr(bake_off, "CrackSegmentation", lambda name, split, root: Made(count=12))
    train, scored = bake_off.without_held_back(bake_off.TUNING.planned[0], tmp_path)
    assert (len(train), scored.ids) == (9, ("made-0-0", "made-0-5", "made-0-10"))
    assert not set(train.ids) & set(scored.ids)
    assert len({one.key for one in bake_off.TUNING.planned}) == 4 and len(bake_off.TUNING.planned) == 16
    assert len({one.folder for one in bake_off.TUNING.planned}) == 16

    (tmp_path / "tune-max").mkdir()
    settings = vars(bake_off.tried("max", "adamw", 1e-3))
    record = RECORD | {"recipe": json.loads(json.dumps(settings, default=list))}
    record |= {"scores": dict.fromkeys(cracks.KEPT, 0.25)}
    runs.save(record, tmp_path / "tune-max" / "record.json")
    (tuned,) = bake_off.tuned(tmp_path)
    assert (tuned["arm"], tuned["optimizer"], tuned["learning_rate"], tuned["epochs"]) == ("max", "adamw", 1e-3, 24)


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

"""The fair comparison of Chapter 07: its runs differ in what they say, and nothing is lost on the way to the study."""

import json
from itertools import product
from statistics import fmean

import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from chapters_code.downsample import DOWNSAMPLERS
from chapters_code.records import runs, statistics, studies
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


SEE_ALL = ("strided3", "strided2", "space_to_depth", "hwd")  # all four pixels of a block, each with a weight of its own


def thin_found(run):
    return studies.recall_of_width(run, 2)


def asked(of_arms, comparison):
    """Question -> p-value: each arm but the twin against strided2, in every setting."""
    arms = ("max", "avg", "strided3", "hwd")
    return {(*setting, arm): comparison(of_arm, arm) for setting, of_arm in of_arms.items() for arm in arms}


def test_two_of_32_intervals_on_one_side_are_what_chance_gives():
    compared = [
        studies.difference(of_arm, arm, pooling)
        for of_arm in of_study(thin_found).values()
        for arm, pooling in product(SEE_ALL, ("max", "avg"))
    ]
    below, above = (sum(sign * one.mean > one.half for one in compared) for sign in (-1, 1))
    assert (len(compared), below, above) == (32, 2, 0)
    assert 0.025 * 32 == 0.8 and stats.binom.sf(below - 1, 32, 0.025) > 0.15


def test_of_sixteen_questions_one_answer_is_left_by_the_rule_of_holm_and_none_is_of_hwd():
    p_values = asked(
        of_study("ods_f1@2px"), lambda of_arm, arm: stats.ttest_rel(of_arm[arm], of_arm["strided2"]).pvalue
    )
    ranked = sorted(p_values, key=p_values.get)
    assert [key for key in ranked if p_values[key] < 0.05] == ranked[:3]
    assert ranked[0] == ("CFD", "adamw", "max") and {key[:1] + key[2:] for key in ranked[1:3]} == {("DeepCrack", "avg")}
    held = statistics.holm(p_values)
    assert [key for key, p in held.items() if p <= 0.05] == ranked[:1] and held[ranked[0]] == 16 * p_values[ranked[0]]
    assert p_values[ranked[1]] > 0.05 / 15


def test_with_the_scatter_of_all_arms_five_are_clear_and_the_same_one_is_left():
    def of_all(of_arm, arm):
        return statistics.p_value(statistics.pooled_estimate(of_arm, {arm: 1, "strided2": -1}))

    p_values = asked(of_study("ods_f1@2px"), of_all)
    clear = {key for key, p in p_values.items() if p <= 0.05}
    assert clear == {*((*setting, "avg") for setting in SETTINGS), ("CFD", "adamw", "max")}
    assert [key for key, p in statistics.holm(p_values).items() if p <= 0.05] == [("CFD", "adamw", "max")]
    halves = [round(studies.pooled(of_arm, "hwd", "strided2").half, 3) for of_arm in of_study("ods_f1@2px").values()]
    assert halves == [0.009, 0.008, 0.018, 0.016]


def test_the_twin_is_never_called_different():
    for of_arm in of_study("ods_f1@2px").values():
        verdicts = studies.against(of_arm, "strided2", same="space_to_depth")["verdict"]
        assert next(iter(verdicts)) == "space_to_depth (must be 0)"
        assert verdicts["space_to_depth (must be 0)"] != "different"
        assert verdicts["hwd"] != "different"


def test_over_four_settings_hwd_equals_its_twins_within_a_hundredth():
    """In one setting alone it is shown once of four times."""
    weights = {"hwd": 1, "strided2": -1 / 2, "space_to_depth": -1 / 2}
    of_settings = [statistics.contrast(of_arm, weights) for of_arm in of_study("ods_f1@2px").values()]
    found = statistics.equivalent(statistics.averaged(of_settings), 0.01)
    assert (round(found.wide.mean, 3), round(found.wide.half, 3)) == (0.003, 0.008)
    assert abs(found.narrow.mean) + found.narrow.half < 0.0094
    assert str(found) == "equal within 0.01"
    alone = [str(statistics.equivalent(values, 0.01)) for values in of_settings]
    assert alone == ["not decided", "equal within 0.01", "not decided", "not decided"]
    assert str(statistics.equivalent(statistics.averaged(of_settings), 0.009)) == "not decided"


def test_over_four_settings_avg_is_ahead_of_strided2_and_not_clearly_of_both_twins():
    settings = of_study("ods_f1@2px").values()
    found = statistics.averaged([studies.paired(one, "avg", "strided2") for one in settings])
    assert (round(fmean(found), 3), statistics.p_value(found) < 0.05) == (0.016, True)
    both = [studies.paired(one, "avg", ("strided2", "space_to_depth")) for one in settings]
    assert statistics.p_value(statistics.averaged(both)) > 0.05


def test_of_64_questions_by_width_eleven_look_clear_and_holm_leaves_none():
    p_values, above = {}, []
    for width in (2, 4, 8, 9):
        found = of_study(lambda run, width=width: studies.recall_of_width(run, width))
        for (setting, of_arm), arm in product(found.items(), SEE_ALL):
            values = studies.paired(of_arm, arm, ("max", "avg"))
            p_values[(*setting, arm, width)] = statistics.p_value(values)
            if statistics.p_value(values) <= 0.05 and fmean(values) > 0:
                above.append((*setting, arm, width))
    assert len(p_values) == 64 and sum(p <= 0.05 for p in p_values.values()) == 11
    assert min(statistics.holm(p_values).values()) > 0.6
    # More is found in one setting alone, and there of the widest cracks: the opposite of what was expected.
    assert {(*key[:2], key[3]) for key in above} == {("CFD", "adamw", 9)} and len(above) == 4


def test_over_four_settings_arms_that_see_all_pixels_find_no_more_of_thin_cracks():
    weights = dict.fromkeys(SEE_ALL, 1 / 4) | {"max": -1 / 2, "avg": -1 / 2}
    found = studies.interval(
        statistics.averaged([statistics.contrast(one, weights) for one in of_study(thin_found).values()])
    )
    assert (round(found.mean, 3), round(found.half, 3)) == (-0.013, 0.026)


def test_few_crack_pixels_of_deepcrack_are_thin_and_few_of_cfd_are_wide():
    for run in studies.load("bake-off")["runs"]:
        true = run["by_width"]["true"]
        thin, wide = true[0] / sum(true), true[-1] / sum(true)
        expected = (0.019, 0.674) if run["pictures"] == "DeepCrack" else (0.238, 0.023)
        assert (thin, wide) == pytest.approx(expected, abs=0.0005)

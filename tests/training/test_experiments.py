"""The studies: each has its plan in its docstring, and trains every run once, whoever else is at it."""

import importlib
import pkgutil

import pytest

import experiments
from chapters_code.train.recipes import RECIPES
from experiments import fcn8s, nest, work
from small_runs import PLAN, Made, one_by_one

STUDIES = [one.name for one in pkgutil.iter_modules(experiments.__path__) if one.name != "work"]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_says_what_is_expected_and_that_it_was_written_before_the_first_run(name):
    plan = importlib.import_module(f"experiments.{name}").__doc__
    assert f"python -m experiments.{name}" in plan
    assert "The plan, written before the first run" in plan
    assert "Expected, before the first run" in plan or "Hypotheses, before the runs" in plan


@pytest.mark.parametrize("study", [fcn8s, nest])
def test_the_arms_of_a_study_are_recipes_of_the_book_for_the_same_pictures(study):
    for first, other in zip(study.ARMS[::2], study.ARMS[1::2], strict=True):
        one, two = RECIPES[first]["colab"], RECIPES[other]["colab"]
        differs = {name for name, value in vars(one).items() if value != vars(two)[name]}
        assert differs <= {"name", "network", "network_settings"}


def test_every_run_is_trained_once_and_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(work, "recipe", lambda name, tier: PLAN)
    monkeypatch.setattr(work, "build_network", lambda plan, seed: one_by_one())
    monkeypatch.setattr(work, "datasets", lambda plan, data: (Made(), Made(seed=1)))
    monkeypatch.setattr("sys.argv", ["study", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    (tmp_path / "out" / "b-colab-seed1").mkdir(parents=True)  # another process is at it

    for told in (["a-colab-seed0", "b-colab-seed0", "a-colab-seed1"], []):
        work.main("A plan.", ("a", "b"), seeds=range(2))
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == told
    records = sorted(path.parent.name for path in (tmp_path / "out").glob("*/record.json"))
    assert records == ["a-colab-seed0", "a-colab-seed1", "b-colab-seed0"]

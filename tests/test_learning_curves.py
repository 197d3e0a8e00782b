"""The plot of recorded runs: every run and every baseline is on it, with the numbers of the record."""

import copy

import pytest
from matplotlib.figure import Figure

from chapters_code import figures
from chapters_code.figures import learning_curves
from test_runs import RECORD

ALT = "The loss falls over two epochs while the score rises above the baseline."


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were shown."""
    shown = []
    monkeypatch.setattr(figures, "show", lambda figure, alt: shown.append((figure, alt)))
    return shown


def record(name="unet-smoke-seed0", losses=(0.5, 0.25), scores=(None, 0.75)):
    made = copy.deepcopy(RECORD) | {"name": name, "scores": {"f1": scores[-1]}}
    made["epochs"] = [
        {"epoch": number + 1, "loss": loss, "learning_rate": 0.1, "seconds": 1.0}
        | ({} if score is None else {"scores": {"f1": score}})
        for number, (loss, score) in enumerate(zip(losses, scores, strict=True))
    ]
    return made


def test_runs_and_baselines_are_drawn_with_their_numbers(drawn):
    learning_curves([record(), record("second", losses=(1, 0), scores=(0.1, 0.9))], "f1", ALT)

    ((figure, alt),) = drawn
    assert isinstance(figure, Figure)
    assert alt == ALT
    left, right = figure.axes
    assert [line.get_xydata().tolist() for line in left.lines] == [[[1, 0.5], [2, 0.25]], [[1, 1], [2, 0]]]
    lines = {line.get_label(): line.get_xydata().tolist() for line in right.lines}
    assert lines["unet-smoke-seed0"] == [[2, 0.75]]
    assert lines["second"] == [[1, 0.1], [2, 0.9]]
    assert [y for _, y in lines["all background"]] == [0, 0]
    assert right.get_ylabel() == "f1"


def test_a_score_that_is_not_there_is_refused(drawn):
    with pytest.raises(ValueError, match="unet-smoke-seed0 has no score 'ods'; it has: f1"):
        learning_curves([record()], "ods", ALT)


@pytest.mark.parametrize("count", [0, 9])
def test_no_run_and_too_many_are_refused(drawn, count):
    with pytest.raises(ValueError, match=f"one to 8 runs can be shown, got {count}"):
        learning_curves([record()] * count, "f1", ALT)

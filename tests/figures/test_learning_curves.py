"""The plot of recorded runs: every run and every baseline is on it, with the numbers of the record."""

import copy

import pytest
from matplotlib.figure import Figure

from chapters_code.figures import learning_curves
from small_runs import RECORD

ALT = "The loss falls over two epochs while the score rises above the baseline."


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
    above, below = figure.axes
    losses = [line.get_xydata().tolist() for line in above.lines if len(line.get_xdata())]
    assert losses == [[[1, 0.5], [2, 0.25]], [[1, 1], [2, 0]]]
    lines = {line.get_label(): line.get_xydata().tolist() for line in below.lines}
    assert lines["unet-smoke-seed0"] == [[2, 0.75]]
    assert lines["second"] == [[1, 0.1], [2, 0.9]]
    assert [y for _, y in lines["all background"]] == [0, 0]
    assert below.get_ylabel() == "f1"
    colours = [line.get_color() for line in above.lines if len(line.get_xdata())]
    assert colours == [line.get_color() for line in below.lines][:2] and len(set(colours)) == 2


def test_seeds_share_a_colour_and_a_line_of_the_legend(drawn):
    learning_curves([record(f"fcn-seed{seed}", scores=(None, seed / 4)) for seed in (1, 2, 3)], "f1", ALT)

    ((figure, _),) = drawn
    runs = figure.axes[1].lines[:3]
    assert [line.get_ydata().tolist() for line in runs] == [[0.25], [0.5], [0.75]]
    assert len({line.get_color() for line in runs}) == 1
    legend = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert [text for text in legend if text.startswith("fcn")] == ["fcn, 3 seeds"]


def test_a_score_that_is_not_there_is_refused(drawn):
    with pytest.raises(ValueError, match="unet-smoke-seed0 has no score 'ods'; it has: f1"):
        learning_curves([record()], "ods", ALT)


@pytest.mark.parametrize("count", [0, 9])
def test_no_run_and_too_many_are_refused(drawn, count):
    with pytest.raises(ValueError, match=f"one to 8 kinds of runs can be shown, got {count}"):
        learning_curves([record(f"run{number}") for number in range(count)], "f1", ALT)

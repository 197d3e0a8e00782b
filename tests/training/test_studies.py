"""Studies: only whole ones are written and read; scores come by arm and seed; tables and figures show them."""

import copy
import json
import math
from itertools import combinations
from statistics import fmean, variance

import pytest
from matplotlib.figure import Figure
from scipy import stats

from chapters_code import figures
from chapters_code.records import studies

DIGEST = "0" * 64
SET = {"origin": "drawn roads", "count": 4, "digest": DIGEST}


def one_run(arm="max", seed=0, f1=0.5, optimizer="sgd", pictures="roads"):
    return {
        "pictures": pictures,
        "arm": arm,
        "parameters": 100,
        "optimizer": optimizer,
        "learning_rate": 0.1,
        "seed": seed,
        "last_loss": 0.25,
        "scores": {"f1": f1},
        "ran_on": 0,
        "by_width": {"up_to_pixels": [2, 9], "true": [10, 20], "found": [5, 20]},
        "finished": "2026-11-20T10:00:00Z",
    }


STUDY = {
    "format": 1,
    "name": "roads",
    "recipe": {"network": "unet.UNet", "crop": [32, 48], "batch_size": 8},
    "pictures": {"roads": {"epochs": 3, "train": SET, "test": SET, "baselines": {"all background": {"f1": 0.0}}}},
    "tuning": [
        {
            "arm": "max",
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "epochs": 4,
            "pictures": 3,
            "seed": 0,
            "commit": "abc",
            "scores": {"f1": 0.5},
        }
    ],
    "ran_on": [
        {"device": "a CPU, 2 cores", "threads": 1, "precision": "float32", "versions": {"torch": "2.15.0"}},
    ],
    "commits": ["abc"],
    "seconds": 5400.0,
    "runs": [one_run("max", 1, 0.25), one_run("max", 0, 0.5), one_run("hwd", 0, 0.75), one_run("hwd", 1, 0.625)],
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.json"


def changed(**parts):
    return copy.deepcopy(STUDY) | parts


# ---- the file -------------------------------------------------------------------------------------


def test_what_is_saved_comes_back(path):
    studies.save(STUDY, path)
    assert studies.load(path) == STUDY
    assert [file.name for file in path.parent.iterdir()] == ["study.json"]


@pytest.mark.parametrize("missing", STUDY)
def test_a_study_lacks_nothing(path, missing):
    study = changed()
    del study[missing]
    with pytest.raises(ValueError, match=f"'{missing}' is a required property"):
        studies.save(study, path)
    assert not path.exists()


@pytest.mark.parametrize("missing", [name for name in one_run() if name != "by_width"])
def test_a_run_lacks_nothing(path, missing):
    run = one_run()
    del run[missing]
    with pytest.raises(ValueError, match=f"the study is not a study: at runs/0, '{missing}' is a required property"):
        studies.save(changed(runs=[run]), path)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"runs": []}, "at runs"),
        ({"mood": "fine"}, "'mood' was unexpected"),
        ({"pictures": {"roads": {"epochs": 3, "train": SET, "test": SET, "baselines": {}}}}, "at pictures/roads"),
        ({"runs": [one_run(f1="good")]}, "at runs/0/scores/f1, 'good' is not of type"),
        ({"runs": [one_run(f1=None)]}, "at runs/0/scores/f1"),
        ({"runs": [one_run(f1=math.nan)]}, "is not a finite number"),
        ({"seconds": math.inf}, "is not a finite number"),
    ],
)
def test_a_study_holds_what_it_should(path, parts, said):
    with pytest.raises(ValueError, match=said):
        studies.save(changed(**parts), path)
    assert not path.exists()


def test_a_file_that_was_changed_by_hand_is_refused_by_name(path):
    path.write_text(json.dumps(changed(seconds="long")))
    with pytest.raises(ValueError, match=r"study\.json is not a study: at seconds"):
        studies.load(path)
    path.write_text(json.dumps(changed(seconds=math.nan)))
    with pytest.raises(ValueError, match=r"study\.json is not a study: seconds is not a finite number"):
        studies.load(path)
    path.write_text(json.dumps(STUDY)[:-9])
    with pytest.raises(ValueError, match=r"study\.json is not a study: it is not JSON"):
        studies.load(path)


def test_a_study_that_is_not_there_is_said_so():
    with pytest.raises(FileNotFoundError, match="no study 'moon'; the book has: "):
        studies.load("moon")


@pytest.mark.parametrize("name", studies.names())
def test_the_book_s_own_studies_are_whole_and_fair(name):
    study = studies.load(name)
    assert study["name"] == name
    assert all(len(commit) == 40 for commit in study["commits"]), "a study of the book is made from a committed state"
    for pictures in study["pictures"]:
        for optimizer in {run["optimizer"] for run in study["runs"]}:
            of_arm = studies.scores(study, lambda run: run["seed"], pictures=pictures, optimizer=optimizer)
            assert all(len(seeds) >= 5 for seeds in of_arm.values())


# ---- what Chapter 10 says of the bake-off ------------------------------------------------------------

SETTINGS = [(pictures, optimizer) for pictures in ("DeepCrack", "CFD") for optimizer in ("sgd", "adamw")]


def of(score, setting):
    """Arm: one number per seed, of one setting of the bake-off."""
    return studies.scores(studies.load("bake-off"), score, pictures=setting[0], optimizer=setting[1])


def test_the_best_of_six_looks_too_good_by_what_their_seeds_do_not_share():
    """Half the variance of a difference of two arms holds nothing that a seed does to both; the mean over all pairs."""
    best_of_six = stats.norm.expect(lambda x: 6 * x * stats.norm.cdf(x) ** 5)
    assert best_of_six == pytest.approx(1.27, abs=0.005)

    def too_good(of_arm):
        pairs = combinations(of_arm.values(), 2)
        return best_of_six * fmean(variance([a - b for a, b in zip(*pair, strict=True)]) / 2 for pair in pairs) ** 0.5

    f1 = [of("ods_f1@2px", setting) for setting in SETTINGS]
    assert [round(too_good(one), 3) for one in f1] == [0.008, 0.007, 0.017, 0.015]
    as_if_independent = [best_of_six * fmean(map(variance, one.values())) ** 0.5 for one in f1]
    assert [round(one, 3) for one in as_if_independent] == [0.010, 0.012, 0.018, 0.021]


def test_the_lead_that_stays_comes_from_a_training_that_was_not_finished_and_a_rate_that_suits_it():
    """On CFD the loss of AdamW ended far above that of SGD; and of four rates, max got its best one, strided2 not."""
    losses = [fmean(map(fmean, of(lambda run: run["last_loss"], ("CFD", one)).values())) for one in ("sgd", "adamw")]
    assert [round(loss, 2) for loss in losses] == [0.44, 1.22]

    study = studies.load("bake-off")
    (rate,) = {run["learning_rate"] for run in study["runs"] if run["optimizer"] == "adamw"}
    tried = [one for one in study["tuning"] if one["optimizer"] == "adamw"]
    best = {
        arm: max((one for one in tried if one["arm"] == arm), key=lambda one: one["scores"]["ods_f1@2px"])
        for arm in ("max", "strided2")
    }
    assert (best["max"]["learning_rate"], best["strided2"]["learning_rate"]) == (rate, 3e-4)
    assert {one["seed"] for one in tried} == {0} and rate == 1e-3


def test_of_thin_cracks_max_finds_more_than_avg_in_every_setting_and_in_none_clearly():
    for setting in SETTINGS:
        thin = of(lambda run: run["by_width"]["found"][0] / run["by_width"]["true"][0], setting)
        found = studies.difference(thin, "max", "avg")
        assert 0 < found.mean < found.half


@pytest.mark.parametrize(("pictures", "share"), [("DeepCrack", 0.019), ("CFD", 0.238)])
def test_few_crack_pixels_are_thin(pictures, share):
    run = next(run for run in studies.load("bake-off")["runs"] if run["pictures"] == pictures)
    assert run["by_width"]["up_to_pixels"][0] == 2
    assert run["by_width"]["true"][0] / sum(run["by_width"]["true"]) == pytest.approx(share, abs=0.0005)


# ---- the sums -------------------------------------------------------------------------------------


def test_scores_come_by_arm_in_the_order_of_the_seeds():
    assert studies.scores(STUDY, "f1") == {"max": [0.5, 0.25], "hwd": [0.75, 0.625]}
    share = studies.scores(STUDY, lambda run: run["by_width"]["found"][0] / run["by_width"]["true"][0])
    assert share == {"max": [0.5, 0.5], "hwd": [0.5, 0.5]}


def test_settings_choose_runs():
    study = changed(runs=[one_run(optimizer="sgd", f1=0.25), one_run(optimizer="adamw", f1=0.75)])
    assert studies.scores(study, "f1", optimizer="adamw") == {"max": [0.75]}


def test_runs_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="no run with {'optimizer': 'lion'}"):
        studies.scores(STUDY, "f1", optimizer="lion")
    with pytest.raises(ValueError, match="no score 'iou'; it has: f1"):
        studies.scores(STUDY, "iou")
    both = changed(runs=[one_run(optimizer="sgd"), one_run(optimizer="adamw")])
    with pytest.raises(ValueError, match="max has seed 0 twice: say which runs you mean"):
        studies.scores(both, "f1")
    with pytest.raises(ValueError, match="hwd lacks seed 1"):
        studies.scores(changed(runs=STUDY["runs"][:3]), "f1")


def test_a_table_has_a_line_per_arm():
    columns = {"numbers": {"max": "100", "hwd": "400"}, "F1": {"hwd": [0.75, 0.75], "max": [0.5, 0.5]}}
    assert studies.table(columns).replace("\N{NO-BREAK SPACE}", " ").splitlines() == [
        "| arm | numbers | F1 |",
        "| --- | --- | --- |",
        "| max | 100 | 0.500 ± 0.000 |",
        "| hwd | 400 | 0.750 ± 0.000 |",
    ]
    assert "0.500\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.000" in studies.table(columns)  # stays on one line
    with pytest.raises(ValueError, match="one column or more, of the same arms"):
        studies.table({})
    with pytest.raises(ValueError, match="of the same arms"):
        studies.table({"F1": {"max": [1, 2]}, "IoU": {"hwd": [1, 2]}})


def test_recall_of_a_width_is_found_of_true():
    run = one_run()
    assert (studies.recall_of_width(run, 2), studies.recall_of_width(run, 9)) == (0.5, 1.0)
    assert studies.scores(STUDY, lambda run: studies.recall_of_width(run, 2))["hwd"] == [0.5, 0.5]
    with pytest.raises(ValueError, match="counted up to 2, 9 pixels; got 3"):
        studies.recall_of_width(run, 3)
    run["by_width"]["true"][1] = 0
    with pytest.raises(ValueError, match="no crack pixel is of the width up to 9"):
        studies.recall_of_width(run, 9)


def test_the_counts_of_photographs_come_run_by_run():
    runs = [run | {"photographs": [[run["seed"], 2, 3, 4]]} for run in STUDY["runs"]]
    counts = studies.scores(changed(runs=runs), studies.photographs)
    assert counts == {"max": [[[0, 2, 3, 4]], [[1, 2, 3, 4]]], "hwd": [[[0, 2, 3, 4]], [[1, 2, 3, 4]]]}
    with pytest.raises(ValueError, match="the run of max with seed 1 keeps no counts of each photograph"):
        studies.scores(STUDY, studies.photographs)


def test_against_a_control_the_twin_stands_above_all():
    of_arm = {"hwd": [0.75, 0.77, 0.76], "control": [0.70, 0.71, 0.72], "twin": [0.701, 0.709, 0.7205]}
    columns = studies.against(of_arm, "control", same="twin")
    assert list(columns) == ["minus control", "scatter of all arms", "verdict"]
    for column in columns.values():
        assert list(column) == ["twin (must be 0)", "hwd"]
    for title, one in (("minus control", studies.difference), ("scatter of all arms", studies.pooled)):
        found = one(of_arm, "hwd", "control")
        assert columns[title]["hwd"] == f"+{found.mean:.3f} ± {found.half:.3f}"
    assert columns["minus control"]["twin (must be 0)"].startswith("+0.000 ±")
    assert columns["verdict"] == {"twin (must be 0)": "equal within 0.01", "hwd": "different"}
    assert studies.against(of_arm, "control", "twin", margin=0.1)["verdict"]["hwd"] == "equal within 0.1"
    lines = studies.table(columns).splitlines()
    assert len(lines) == 4 and lines[2].startswith("| twin (must be 0) | +0.000")
    with pytest.raises(ValueError, match="control needs a control"):
        studies.against(of_arm, "control", same="control")
    with pytest.raises(ValueError, match="no arm 'other'"):
        studies.against(of_arm, "control", same="other")


def test_conditions_name_data_hardware_and_time():
    said = studies.conditions(STUDY)
    for part in ("4 runs, 2 seeds", "roads, 3 epochs of 4 pictures", "scored on 4 others", "32 × 48", "8 at a time"):
        assert part in said
    for part in ("one thread of a CPU, 2 cores, float32", "torch 2.15.0", "1.5 hours", "2026-11-20"):
        assert part in said


# ---- the figure -----------------------------------------------------------------------------------


def test_every_seed_and_every_mean_is_drawn(drawn):
    values = {"max": [0.5, 0.25], "hwd": [0.75, 0.625]}
    doubled = {arm: [2 * one for one in seeds] for arm, seeds in values.items()}
    figures.intervals({"roads": {"SGD": values, "AdamW": doubled}}, "Four seeds.", x_label="F1")

    ((figure, alt),) = drawn
    assert isinstance(figure, Figure) and alt == "Four seeds."
    (axes,) = figure.axes
    assert axes.get_title() == "roads" and axes.get_xlabel() == "F1"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["max", "hwd"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["SGD", "AdamW"]
    (means, _, (bar,)), (other, _, _) = axes.containers
    assert means.get_xdata().tolist() == [0.375, 0.6875]
    assert other.get_xdata().tolist() == [0.75, 1.375]
    assert means.get_marker() != other.get_marker() and means.get_color() != other.get_color()
    half = studies.interval(values["max"]).half
    assert bar.get_segments()[0][:, 0].tolist() == pytest.approx([0.375 - half, 0.375 + half])
    seeds = [list(line.get_xdata()) for line in axes.lines if line.get_markersize() == 3]
    assert seeds == [values["max"], values["hwd"], doubled["max"], doubled["hwd"]]
    dots = [line for line in axes.lines if line.get_markersize() == 3]
    assert [line.get_color() for line in dots] == [means.get_color()] * 2 + [other.get_color()] * 2
    # Means and seeds keep to their arm: nearer to it than to the next one.
    for line, row in zip(dots, (0, 1, 0, 1), strict=True):
        assert all(abs(height - row) < 0.5 for height in line.get_ydata())
    for line in (means, other):
        assert all(abs(height - row) < 0.5 for height, row in zip(line.get_ydata(), (0, 1), strict=True))


@pytest.mark.parametrize(
    "panels",
    [
        {},
        {"roads": {}},
        {"roads": {"SGD": {}}},
        {"roads": {"SGD": {"max": [1, 2]}}, "walls": {"AdamW": {"max": [1, 2]}}},
        {"roads": {"SGD": {"max": [1, 2]}, "AdamW": {"hwd": [1, 2]}}},
        {"roads": {f"optimizer {i}": {"max": [1, 2]} for i in range(9)}},
    ],
)
def test_panels_that_do_not_match_are_refused(drawn, panels):
    with pytest.raises(ValueError, match="the same"):
        figures.intervals(panels, "alt", x_label="F1")
    assert not drawn


DIFFERENCES = {"max": [0.5, 0.75, 0.625], "twin": [-0.25, 0.25, 0.125]}


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def span(patch):
    return patch.get_x(), patch.get_x() + patch.get_width()


def test_a_forest_plot_shows_means_seeds_the_line_at_0_and_the_band_of_the_twin(drawn):
    other = {name: [one - 1 for one in seeds] for name, seeds in DIFFERENCES.items()}
    figures.differences(
        {"roads": DIFFERENCES, "walls": other}, "Three seeds.", x_label="F1 minus the control", same="twin"
    )

    ((figure, alt),) = drawn
    assert alt == "Three seeds."
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "F1 minus the control"]
    assert not figure.legends
    for axes, title, panel in zip(figure.axes, ("roads", "walls"), (DIFFERENCES, other), strict=True):
        assert axes.get_title() == title
        assert labels(figure.axes[0]) == ["twin", "max"]  # the control first
        assert list(axes.lines[0].get_xdata()) == [0, 0]
        for row, (name, container) in enumerate(zip(("twin", "max"), axes.containers, strict=True)):
            (mean, _, (bar,)), found = container, studies.interval(panel[name])
            assert mean.get_xdata().tolist() == pytest.approx([found.mean]) and mean.get_ydata().tolist() == [row]
            low, high = found.mean - found.half, found.mean + found.half
            assert bar.get_segments()[0][:, 0].tolist() == pytest.approx([low, high])
            # Filled where the interval does not reach 0.
            assert (mean.get_markerfacecolor() == mean.get_color()) == (low > 0 or high < 0)
            if name == "twin":
                (band,) = axes.patches
                assert span(band) == pytest.approx((low, high))
        seeds = [line for line in axes.lines if line.get_markersize() == 7]
        assert [list(line.get_xdata()) for line in seeds] == [panel["twin"], panel["max"]]
        assert all(row < line.get_ydata()[0] < row + 0.5 for row, line in enumerate(seeds))
        # The control is told apart by shape as well as by colour.
        (twin, *_), (arm, *_) = axes.containers
        assert twin.get_marker() != arm.get_marker() and twin.get_color() != arm.get_color()
    filled = [[c[0].get_markerfacecolor() == c[0].get_color() for c in axes.containers] for axes in figure.axes]
    assert filled == [[False, True], [True, True]]


def test_a_forest_plot_shows_both_intervals_the_margin_and_the_better_side(drawn):
    pooled = {"roads": {"max": studies.Interval(0.625, 0.5), "twin": studies.Interval(0.0625, 0.25)}}
    figures.differences(
        {"roads": DIFFERENCES},
        "Three seeds.",
        x_label="F1 minus that of max",
        same="twin",
        control="strided2",
        pooled=pooled,
        margin=0.125,
    )
    ((figure, _),) = drawn
    (axes,) = figure.axes
    assert axes.get_xlabel() == "F1 minus that of max\nbetter than strided2 →"
    (band,) = axes.patches  # the margin alone, and not the twin's interval
    assert span(band) == (-0.125, 0.125)
    thin = [line for line in axes.lines if line.get_markersize() == 4]
    assert [list(line.get_xdata()) for line in thin] == [[-0.1875, 0.3125], [0.125, 1.125]]
    for row, (line, (mean, _, (bar,))) in enumerate(zip(thin, axes.containers, strict=True)):
        assert row < line.get_ydata()[0] < row + 0.3 and line.get_color() == mean.get_color()
        assert bar.get_linewidth()[0] > 2 * line.get_linewidth()
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["95 %, by these two arms", "95 %, by the scatter of all arms", "less than 0.125 apart"]
    assert not legend.get_patches()


def test_a_forest_plot_is_narrow_enough_for_a_telephone(drawn):
    """Letters of 10 points on a screen of 390 pixels: a figure of 5.2 inches leaves them 10 pixels."""
    for columns in (1, 2):
        figures.differences(dict.fromkeys("abcd", DIFFERENCES), "Three seeds.", x_label="F1", columns=columns)
    (narrow, _), (wide, _) = drawn
    assert narrow.get_figwidth() == 5.2 < wide.get_figwidth()
    assert [axes.get_xlabel() for axes in narrow.axes] == ["", "", "", "F1"]
    assert narrow.get_figheight() < 4 * 3


def test_a_forest_plot_of_one_panel_needs_no_twin(drawn):
    figures.differences({"roads": DIFFERENCES}, "Three seeds.", x_label="F1")
    ((figure, _),) = drawn
    (axes,) = figure.axes
    assert axes.get_xlabel() == "F1" and not axes.patches
    assert labels(axes) == ["max", "twin"]


def test_of_three_panels_in_two_columns_the_lowest_have_the_label_and_the_fourth_place_is_empty(drawn):
    figures.differences(dict.fromkeys("abc", DIFFERENCES), "Three seeds.", x_label="F1", columns=2)
    ((figure, _),) = drawn
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "F1", "F1", ""]
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]


@pytest.mark.parametrize(
    "pooled",
    [
        {},
        {"walls": {"max": studies.Interval(0, 1), "twin": studies.Interval(0, 1)}},
        {"roads": {"max": studies.Interval(0, 1)}},
    ],
)
def test_what_is_pooled_belongs_to_the_same_rows(drawn, pooled):
    with pytest.raises(ValueError, match="the same arms and panels"):
        figures.differences({"roads": DIFFERENCES}, "alt", x_label="F1", pooled=pooled)
    for margin in (0, -0.01):
        with pytest.raises(ValueError, match="larger than 0; got"):
            figures.differences({"roads": DIFFERENCES}, "alt", x_label="F1", margin=margin)
    assert not drawn


@pytest.mark.parametrize(
    ("panels", "same"),
    [({}, None), ({"roads": {}}, None), ({"roads": {"max": [1, 2]}, "walls": {"avg": [1, 2]}}, None)]
    + [({"roads": {"max": [1, 2]}}, "twin")],
)
def test_panels_of_differences_that_do_not_match_are_refused(drawn, panels, same):
    with pytest.raises(ValueError, match="the same arms"):
        figures.differences(panels, "alt", x_label="F1", same=same)
    assert not drawn

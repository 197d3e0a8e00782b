"""Records of runs: only whole and finite ones are written and read, and tables compare what can be compared."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chapters_code.records import runs, version
from grids import every
from small_runs import PICTURES, RECORD


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.json"


def changed(**parts):
    return copy.deepcopy(RECORD) | parts


def test_what_is_saved_comes_back(path):
    runs.save(RECORD, path)
    assert runs.load(path) == RECORD
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]


@pytest.mark.parametrize("missing", RECORD)
def test_a_record_lacks_nothing(path, missing):
    record = changed()
    del record[missing]
    with pytest.raises(ValueError, match=f"'{missing}' is a required property"):
        runs.save(record, path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"seed": -1}, "at seed"),
        ({"epochs": []}, "at epochs"),
        ({"scores": {"f1": "good"}}, "at scores/f1, 'good' is not of type"),
        ({"recipe_digest": "abc"}, "at recipe_digest"),
        ({"ran_on": RECORD["ran_on"] | {"precision": "float16"}}, "at ran_on/precision"),
        ({"finished": "yesterday"}, "at finished"),
        ({"mood": "fine"}, "'mood' was unexpected"),
        ({"scores": {"f1": float("nan")}}, "scores/f1 is not a finite number"),
        ({"epochs": [RECORD["epochs"][0] | {"loss": float("inf")}]}, "epochs/0/loss is not a finite number"),
    ],
)
def test_a_record_holds_what_it_should(path, parts, said):
    with pytest.raises(ValueError, match=said):
        runs.save(changed(**parts), path)
    assert not path.exists()


def test_a_file_that_was_changed_by_hand_is_refused_by_name(path):
    path.write_text(json.dumps(changed(seed="seven")))
    with pytest.raises(ValueError, match="record.json is not a record: at seed"):
        runs.load(path)


def test_a_file_that_breaks_off_is_refused_by_name(path):
    path.write_text(json.dumps(RECORD)[:-9])
    with pytest.raises(ValueError, match="record.json is not a record: it is not JSON"):
        runs.load(path)


def test_a_record_that_is_not_there_is_said_so():
    with pytest.raises(FileNotFoundError, match="no record 'unet-moon'; the book has: "):
        runs.load("unet-moon")


def test_a_write_that_fails_leaves_the_old_record(path, monkeypatch):
    runs.save(RECORD, path)

    def refuse(*names):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        runs.save(changed(seed=1), path)
    assert runs.load(path) == RECORD
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]


@every(name=runs.names())
def test_the_book_s_own_records_are_whole_and_named_by_what_they_are(name):
    record = runs.load(name)
    assert record["name"] == name
    assert not record["commit"].startswith("version"), "a record of the book is made in a checkout"
    assert record["scores"] == record["epochs"][-1]["scores"]
    assert [epoch["epoch"] for epoch in record["epochs"]] == list(range(1, record["recipe"]["epochs"] + 1))


def test_a_table_has_the_baselines_first_and_a_line_per_run():
    other = changed(name="unet-smoke-seed1", seed=1, scores={"f1": 0.75, "iou": 0.5})

    assert runs.table([RECORD, other], ["f1", "iou"]).splitlines() == [
        "| run | f1 | iou |",
        "| --- | --- | --- |",
        "| all background | 0.000 | – |",
        "| unet-smoke-seed0 | 0.250 | – |",
        "| unet-smoke-seed1 | 0.750 | 0.500 |",
    ]


def test_a_table_does_not_mix_what_was_scored_on_different_pictures():
    other = changed(data={"train": PICTURES, "validation": PICTURES | {"digest": "1" * 64}})
    with pytest.raises(ValueError, match="different pictures"):
        runs.table([RECORD, other], ["f1"])


def test_a_table_of_a_score_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="unet-smoke-seed0 has no ods; it has: f1, iou"):
        runs.table([RECORD], ["ods"])


def test_a_table_of_nothing_is_refused():
    with pytest.raises(ValueError, match="one record or more"):
        runs.table([], ["f1"])


def test_the_commit_tells_whether_something_was_changed(tmp_path):
    """In a checkout of its own: clean, changed, and not under git."""

    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    def commit():
        code = "import sys; sys.path.insert(0, 'code'); sys.dont_write_bytecode = True\n"
        code += "from records import version; print(version.commit())"
        answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return answer.stdout.strip()

    text = Path(version.__file__).read_text(encoding="utf-8")
    # As in the book: the module lies in a folder of the package, records below it.
    package = tmp_path / "code"
    (package / "records" / "runs").mkdir(parents=True)
    module = package / "records" / "version.py"
    module.write_text(text, encoding="utf-8")
    assert commit().startswith("version 0")
    git("init", "--quiet")
    assert commit().startswith("version 0")
    git("add", "code")
    git("commit", "--quiet", "--message", "first")
    clean = commit()
    assert len(clean) == 40
    (package / "records" / "runs" / "a-record.json").write_text("{}")
    assert commit() == clean, "a record is no change of the code"
    (package / "new.py").write_text("x = 1\n")
    assert commit() == clean + "+", "a new module is"
    (package / "new.py").unlink()
    module.write_text(text + "\n", encoding="utf-8")
    assert commit() == clean + "+"


def test_without_git_and_without_installation_the_version_is_unknown_and_nothing_stops(monkeypatch):
    def missing(name):
        raise version.metadata.PackageNotFoundError(name)

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(version.metadata, "version", missing)
    assert version.commit() == "version unknown"


def test_the_conditions_of_a_run_are_a_sentence_of_the_record_s_own_numbers():
    said = runs.conditions(changed(seconds=90.0))
    for part in (
        "`unet-smoke-seed0`",
        "1 epochs on 4 pictures",
        "drawn roads",
        "1.5 minutes",
        "2 threads on a CPU, 2 cores",
        "seed 0",
    ):
        assert part in said
    assert "1 thread on a CPU" in runs.conditions(changed(ran_on=RECORD["ran_on"] | {"threads": 1}))

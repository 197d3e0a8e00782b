"""What a reader has done is kept, whatever happens, and nobody else can mark it."""

import importlib
import json
import sys
import threading
from datetime import date
from pathlib import Path

import pytest

from chapters_code.exercises import check, grade, hint, numbers, progress
from chapters_code.pooling import max_pool2d

# The package has a function of the same name, which is what an import statement would find.
store = importlib.import_module("chapters_code.exercises.progress")
TODAY = date.today().isoformat()


def min_pool2d(x, kernel_size):
    return -max_pool2d(-x, kernel_size)


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """The file of a reader who has done nothing yet; its folder is not there."""
    path = tmp_path / "a folder" / "progress.json"
    monkeypatch.setenv("BOOK_PROGRESS", str(path))
    monkeypatch.setattr(store, "_said", set())
    return path


def days(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))["exercises"]


# --- what is written down ---


def test_a_check_writes_down_what_was_tried_and_what_was_right(file, capsys):
    check("1.1", max_pool2d)
    check("1.7", 4)
    assert days(file) == {"1.1": {"tried": TODAY}, "1.7": {"tried": TODAY}}

    check("1.1", min_pool2d)
    check("1.7", 0)
    check("1.8", "A dark pixel has a share in the mean.")
    assert days(file) == {number: {"tried": TODAY, "done": TODAY} for number in ("1.1", "1.7", "1.8")}
    check("1.1", max_pool2d)  # what was right once stays done
    assert "done" in days(file)["1.1"]
    assert "progress" not in capsys.readouterr().out


def test_the_first_day_counts(file):
    store.add({"1.1": {"tried": "2020-02-29"}})
    check("1.1", min_pool2d)
    store.add({"1.1": {"tried": "2021-01-01", "done": "2021-01-02"}})

    assert days(file) == {"1.1": {"tried": "2020-02-29", "done": "2021-01-02"}}


def test_what_waits_or_is_asked_for_or_graded_is_not_written_down(file):
    def stub(x, kernel_size):
        raise NotImplementedError("your turn")

    check("1.1", stub)
    check("1.7", ...)
    check("1.8", " \n ")
    hint("1.1")
    assert grade("1.1", min_pool2d) is None and grade("1.7", 0) is None
    with pytest.raises(ValueError, match="without calling it"):
        check("1.1", 3)

    assert not file.exists()


def test_an_answer_cannot_mark_itself(file):
    def marks(x, kernel_size):
        store.note("1.1", True)
        return max_pool2d(x, kernel_size)

    def checks(x, kernel_size):
        check("1.7", 0)
        return max_pool2d(x, kernel_size)

    assert "without the book's note" in grade("1.1", marks)
    assert "without the book's check" in grade("1.1", checks)
    assert not file.exists()


# --- where, and what may go wrong there ---


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {}, "HOME/.local/share/keep-the-crack/progress.json"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/keep-the-crack/progress.json"),
        ("darwin", {}, "HOME/Library/Application Support/keep-the-crack/progress.json"),
        ("win32", {"APPDATA": "/roaming"}, "/roaming/keep-the-crack/progress.json"),
        ("linux", {"BOOK_PROGRESS": "~/mine.json", "XDG_DATA_HOME": "/data"}, "HOME/mine.json"),
    ],
)
def test_each_system_has_its_place(monkeypatch, tmp_path, platform, variables, wanted):
    for name in ("BOOK_PROGRESS", "XDG_DATA_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert store.place() == Path(wanted.replace("HOME", str(tmp_path)))


def test_on_colab_it_is_kept_in_the_drive_or_the_reader_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("BOOK_PROGRESS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    progress()
    assert "Colab empties its disk: mount your Drive" in capsys.readouterr().out

    for module in (store, importlib.import_module("chapters_code.exercises")):
        monkeypatch.setattr(module, "DRIVE", tmp_path / "MyDrive")
    (tmp_path / "MyDrive").mkdir()
    check("1.1", min_pool2d)
    progress()
    assert "Colab" not in capsys.readouterr().out
    # The lock is not there: a Drive need not know locks.
    assert [path.name for path in (tmp_path / "MyDrive").rglob("*")] == ["keep-the-crack", "progress.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"book": "Another"}', "[" * 100_000, "\udcff"])
def test_a_broken_file_is_kept_aside_and_the_check_goes_on(file, capsys, text):
    file.parent.mkdir()
    for _ in range(2):
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
        check("1.1", min_pool2d)
        out = capsys.readouterr().out

        assert "(Your progress begins anew: progress.json is no file of this book's progress" in out
        assert out.endswith("right. Your answer agrees with the trusted one on every input tried.\n")
        assert days(file) == {"1.1": {"tried": TODAY, "done": TODAY}}
    aside = [file.with_name("progress.broken.json"), file.with_name("progress.broken1.json")]
    assert {path.read_text(encoding="utf-8", errors="surrogateescape") for path in aside} == {text}


@pytest.mark.parametrize("broken", ["a file in the way", "a folder in the way", "no home", "a lock that stays"])
def test_where_nothing_can_be_written_the_check_goes_on_and_it_is_said_once(file, monkeypatch, capsys, broken):
    if broken == "a file in the way":
        file.parent.write_text("not a folder")
    elif broken == "a folder in the way":
        file.mkdir(parents=True)
    elif broken == "no home":
        monkeypatch.delenv("BOOK_PROGRESS")
        monkeypatch.setattr(store.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    else:
        file.parent.mkdir()
        other = store.FileLock(file.with_name("progress.json.lock"))
        other.acquire()
        monkeypatch.setattr(store, "PATIENCE", 0.05)
    for _ in range(2):
        check("1.1", min_pool2d)
    out = capsys.readouterr().out

    assert out.count("Exercise 1.1: right.") == 2
    assert out.count("(Your progress is not kept. ") == 1
    if broken == "a lock that stays":
        other.release()


def test_notebooks_that_write_at_the_same_time_lose_nothing(file):
    """Each thread opens the lock anew, as another notebook would."""
    threads = [
        threading.Thread(target=lambda i=i: [store.note(f"{i}.{j}", True) for j in range(1, 9)]) for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(days(file)) == 48


# --- the table, and files to take along ---


def test_the_table_counts_each_chapter_and_names_what_is_open(file, capsys):
    check("1.1", min_pool2d)
    check("1.7", 4)
    store.add({"0.1": {"tried": TODAY, "done": TODAY}, "77.1": {"tried": TODAY, "done": TODAY}})  # of a later edition
    capsys.readouterr()
    progress()
    lines = {" ".join(line.split()[:2]): line.split() for line in capsys.readouterr().out.splitlines() if line}
    chapters = {number.partition(".")[0] for number in numbers()}
    first = [number for number in numbers() if number.startswith("1.")]

    assert lines["01 pooling"][2:] == ["1", "1", str(len(first)), "1.2,", "1.3,", "1.4,", "..."]
    assert lines["00 pictures"][2:4] == ["1", "0"]
    assert next(line for key, line in lines.items() if key.startswith("all")) == ["all", "2", "1", str(len(numbers()))]
    assert len([key for key in lines if key[0].isdigit()]) == len(chapters)


def test_a_finished_chapter_has_nothing_open():
    done = {number: {"tried": TODAY, "done": TODAY} for number in ("1.1", "1.2")}
    lines = store.table(done | {"2.2": {"tried": TODAY}}, {"01 a": ["1.1", "1.2"], "02 b": ["2.1", "2.2"]}).splitlines()

    assert [line.split() for line in lines[1:]] == [
        ["01", "a", "2", "0", "2"],
        ["02", "b", "0", "1", "2", "2.1,", "2.2"],
        ["all", "2", "1", "4"],
    ]


def test_progress_is_taken_along_and_added_elsewhere(file, tmp_path, monkeypatch, capsys):
    check("1.1", min_pool2d)
    progress(save=tmp_path / "along.json")
    monkeypatch.setenv("BOOK_PROGRESS", str(tmp_path / "elsewhere.json"))
    check("1.7", 0)
    capsys.readouterr()
    progress(load=tmp_path / "along.json")

    said = "Added along.json: 1 tried, 1 done, 1 of them not done here before.\n"
    assert capsys.readouterr().out.startswith(said)
    assert days(tmp_path / "elsewhere.json").keys() == {"1.1", "1.7"}
    assert days(file).keys() == {"1.1"}


def told(**changes) -> str:
    return json.dumps({"book": "Keep the Crack", "version": 1, "exercises": {}} | changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is not JSON"),
        ("[]", '"book" should be "Keep the Crack"'),
        (told(book="Moby Dick"), '"book" should be "Keep the Crack"'),
        (told(version=2), '"version" should be 1, and is 2'),
        (told(exercises=["1.1"]), '"exercises" should be numbers of exercises'),
        (told(exercises={"one": {"tried": TODAY}}), "'one' is no number of an exercise, such as 1.1"),
        (told(exercises={"1.1": TODAY}), '1.1 should have "tried"'),
        (told(exercises={"1.1": {"done": TODAY}}), '1.1 should have "tried"'),
        (told(exercises={"1.1": {"tried": "yesterday"}}), "each with a day such as 2026-03-01"),
        (told(exercises={"1.1": {"tried": TODAY, "marks": "6"}}), '1.1 should have "tried"'),
    ],
)
def test_a_file_that_is_none_is_refused_and_nothing_changes(file, tmp_path, text, said):
    check("1.1", min_pool2d)
    before = file.read_text(encoding="utf-8")
    (tmp_path / "other.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"other.json is no file of this book's progress: .*{said}"):
        progress(load=tmp_path / "other.json")

    assert file.read_text(encoding="utf-8") == before

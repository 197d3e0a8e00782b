"""The reader's own data, an earlier download, a download, a twin: in this order, and never one for the other."""

import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from chapters_code.data.fetching import find as finding
from chapters_code.data.fetching.download import WrongData
from chapters_code.data.fetching.find import Found, TwinWarning, cache_folder, find
from chapters_code.data.fetching.sources import SOURCES, Source
from chapters_code.data.fetching.unpack import check
from mirror import Mirror, library, made, photo, says, sends, zipped

PAGE = Path(__file__).parents[2] / "book" / "data.md"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """A cache of the test's own, and none of the variables that whoever runs the test may have set."""
    for name in ("BOOK_DATA", "BOOK_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def mirror(monkeypatch):
    """A mirror that holds small copies of all sets; the table points to it."""
    server = Mirror()
    held = {}
    for name in SOURCES:
        official = made(name)
        held |= {f"{name}/{archive}": content for archive, content in official.archives.items()}
        monkeypatch.setitem(SOURCES, name, pointed(name, server.url, official.pairs))
    server.answers = [library(held)]
    yield server
    server.close()


def pointed(name: str, url: str, pairs: dict[str, int]) -> Source:
    """Give the table's entry with the addresses of the test's server, and as many pairs as that has."""
    source = SOURCES[name]
    archives = [
        replace(archive, urls=(f"{url}/{name}/{archive.name}",), size=1000, checksum=None)
        for archive in source.archives
    ]
    return replace(source, archives=tuple(archives), pairs=pairs)


@pytest.fixture
def twins(monkeypatch):
    """A stand-in for the program that draws twins; says how it was called."""
    calls = []

    def write_twin(name: str, out: Path, count: int = 200, seed: int = 0) -> None:
        if (out / name).exists():
            return
        calls.append((name, count, seed))
        (out / name).mkdir(parents=True)
        (out / name / "drawn.txt").write_text("a twin")

    from chapters_code.data import synthetic

    monkeypatch.setattr(synthetic, "write_twin", write_twin, raising=False)
    return calls


@pytest.fixture
def no_network(monkeypatch):
    def fetch(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(finding, "fetch", fetch)


# ---- the order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_the_readers_own_folder_comes_first(tmp_path, monkeypatch, no_network, cache, name):
    (tmp_path / "mine" / name).mkdir(parents=True)
    (cache / name).mkdir(parents=True)
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "mine"))

    found = find(name)

    assert found.path == tmp_path / "mine" / name
    assert found.origin == f"{SOURCES[name].title}, from the folder that BOOK_DATA names"


def test_a_set_that_the_readers_folder_lacks_is_looked_for_elsewhere(tmp_path, monkeypatch, no_network, cache):
    (tmp_path / "mine" / "voc2012").mkdir(parents=True)
    (cache / "sod/ECSSD").mkdir(parents=True)
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "mine"))

    assert find("sod/ECSSD").path == cache / "sod/ECSSD"


def test_a_folder_that_does_not_exist_is_an_error_and_not_passed_over(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "mistyped"))

    with pytest.raises(FileNotFoundError, match="BOOK_DATA names .*mistyped"):
        find("voc2012")


@pytest.mark.parametrize("name", SOURCES)
def test_a_set_is_downloaded_once_and_found_again(mirror, cache, name, capsys, monkeypatch):
    found = find(name)
    asked = len(mirror.asked)

    assert found == Found(cache / name, f"{SOURCES[name].title}, downloaded; see {SOURCES[name].page}")
    check(SOURCES[name], found.path)
    assert asked == len(SOURCES[name].archives)
    said = capsys.readouterr().out
    assert SOURCES[name].terms in said
    assert SOURCES[name].citation in said
    assert find(name) == find(name, download=False) == found
    assert len(mirror.asked) == asked
    assert capsys.readouterr().out == ""  # the terms are said once
    assert SOURCES[name].terms in (found.path / "SOURCE.txt").read_text(encoding="utf-8")


def test_nothing_is_left_of_a_download_but_the_set(mirror, cache):
    find("crack/CFD")

    assert {path.name for path in cache.iterdir()} == {"crack", "downloads", "locks"}
    assert not [path for path in (cache / "downloads").rglob("*") if path.is_file()]


def test_the_terms_are_said_before_the_first_byte(mirror, monkeypatch, capsys):
    def fetch(*_: object) -> None:
        assert SOURCES["sod/DUTS"].terms in capsys.readouterr().out
        raise KeyboardInterrupt

    monkeypatch.setattr(finding, "fetch", fetch)
    with pytest.raises(KeyboardInterrupt):
        find("sod/DUTS")


def test_an_unknown_name_is_answered_with_the_known_ones(no_network):
    with pytest.raises(ValueError, match="sod/ECSSD.*got 'ECSSD'"):
        find("ECSSD")


# ---- twins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [says(404), says(301, "/again")])
def test_an_unreachable_set_is_replaced_by_a_twin_and_this_is_said(mirror, twins, cache, answer):
    mirror.answers = [answer]

    with pytest.warns(TwinWarning, match="DeepCrack is not here(.|\n)*By hand: get DeepCrack.zip"):
        found = find("crack/DeepCrack")

    assert found == Found(cache / "twins/crack/DeepCrack", "synthetic twin of DeepCrack")
    assert (found.path / "drawn.txt").read_text() == "a twin"
    assert twins == [("crack/DeepCrack", 200, 0)]
    assert not (cache / "crack/DeepCrack").exists()  # else it would pass for a download the next time


def test_a_twin_is_drawn_once_and_the_network_not_asked_again_in_this_run(mirror, twins):
    mirror.answers = [says(404)]

    for _ in range(3):
        with pytest.warns(TwinWarning, match="404"):
            find("sod/ECSSD")

    assert len(twins) == 1
    assert len(mirror.asked) == 1


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("by", ["BOOK_DATA", "BOOK_CACHE"])
def test_a_twin_that_somebody_put_there_is_called_a_twin(tmp_path, monkeypatch, no_network, name, by):
    (tmp_path / "mine" / name).mkdir(parents=True)
    (tmp_path / "mine" / name / "TWIN.txt").write_text("Synthetic twin", encoding="utf-8")
    monkeypatch.setenv(by, str(tmp_path / "mine"))

    with pytest.warns(TwinWarning, match="holds no photographs of"):
        found = find(name)

    assert found.path == tmp_path / "mine" / name
    assert found.origin.startswith(f"synthetic twin of {SOURCES[name].title}, ")


def test_a_later_run_asks_again_and_the_real_set_replaces_the_twin(mirror, twins, monkeypatch):
    held, mirror.answers = mirror.answers, [says(404)]
    with pytest.warns(TwinWarning):
        find("sod/ECSSD")
    mirror.answers = held
    monkeypatch.setattr(finding, "_unreachable", {})  # as in a new run

    assert find("sod/ECSSD").origin.startswith("ECSSD, downloaded")


@pytest.mark.parametrize("by", ["argument", "1", "true", "YES", "on"])
def test_without_leave_the_network_is_not_asked(no_network, twins, monkeypatch, by):
    if by != "argument":
        monkeypatch.setenv("BOOK_OFFLINE", by)

    with pytest.warns(TwinWarning, match="Nothing may be downloaded"):
        found = find("voc2012", **({"download": False} if by == "argument" else {}))

    assert found.origin == "synthetic twin of PASCAL VOC 2012, segmentation"


def test_book_offline_can_be_switched_off_and_is_yes_or_no(monkeypatch):
    for value in ("", "0", "false", "No", "off"):
        monkeypatch.setenv("BOOK_OFFLINE", value)
        assert finding.may_download(None), value
    for value in ("2", "maybe", " "):
        monkeypatch.setenv("BOOK_OFFLINE", value)
        with pytest.raises(ValueError, match=f"BOOK_OFFLINE must be 1 .* or 0, got '{value}'"):
            finding.may_download(None)


# ---- wrong data -----------------------------------------------------------------------------------

ECSSD = made("sod/ECSSD")
BAD = {
    "a page": (sends(b"<html>", kind="text/html"), "web page"),
    "another archive": (sends(zipped({"holiday.jpg": photo(0)})), "holds nothing of ECSSD"),
    "too few pictures": (sends(zipped({"images/0001.jpg": photo(0)})), "3 files were due for images, 1 are there"),
    "an archive that breaks off": (sends(ECSSD.archives["images.zip"][:700]), "images.zip"),
    "an archive that leads outside": (sends(zipped({"../../evil.jpg": photo(0)})), "leads outside"),
}


@pytest.mark.parametrize("bad", BAD)
def test_wrong_data_are_an_error_and_not_a_twin(mirror, twins, cache, bad):
    """Deleted, too: else every later try would find them."""
    held, (answer, words) = mirror.answers, BAD[bad]
    mirror.answers = [answer]

    with pytest.raises(WrongData, match=words):
        find("sod/ECSSD")

    assert not twins
    assert not (cache / "sod/ECSSD").exists()
    assert not list(cache.rglob("*.jpg"))
    mirror.answers = held
    check(SOURCES["sod/ECSSD"], find("sod/ECSSD").path)


def with_two_mirrors(monkeypatch, name: str, first: str) -> None:
    """Put another mirror before the one that is there."""
    source = SOURCES[name]
    archives = [replace(archive, urls=(f"{first}/{archive.name}", *archive.urls)) for archive in source.archives]
    monkeypatch.setitem(SOURCES, name, replace(source, archives=tuple(archives)))


def unfitting(name: str) -> dict[str, bytes]:
    """Archives that are whole, but not right: a name of one mask is another."""
    official = made(name)
    content = official.archives["ground_truth_mask.zip"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    members["ground_truth_mask/9999.png"] = members.pop("ground_truth_mask/0001.png")
    return {**official.archives, "ground_truth_mask.zip": zipped(members)}


@pytest.mark.parametrize("name", ["crack/DeepCrack", "crack/CFD", "sod/ECSSD", "sod/DUTS"])
def test_half_an_archive_is_asked_of_the_next_mirror(mirror, cache, monkeypatch, name):
    """No length was stated and the connection closed: the half looks like a whole, until it is opened."""
    half = Mirror()
    content = next(iter(made(name).archives.values()))
    half.answers = [sends(content[: len(content) // 2], length=None)]
    with_two_mirrors(monkeypatch, name, half.url)

    check(SOURCES[name], find(name).path)

    assert len(half.asked) == len(mirror.asked) == len(SOURCES[name].archives)
    half.close()


def test_archives_that_do_not_fit_together_are_asked_of_the_next_mirror(mirror, cache, monkeypatch):
    first = Mirror()
    first.answers = [library(unfitting("sod/ECSSD"))]
    with_two_mirrors(monkeypatch, "sod/ECSSD", first.url)

    check(SOURCES["sod/ECSSD"], find("sod/ECSSD").path)
    assert len(mirror.asked) == 1  # the images were not at fault
    first.close()


def test_where_no_mirror_has_what_fits_all_is_deleted_and_the_way_by_hand_is_said(mirror, twins, cache):
    held = mirror.answers
    wrong = {f"sod/ECSSD/{archive}": content for archive, content in unfitting("sod/ECSSD").items()}
    mirror.answers = [library(wrong)]

    with pytest.raises(WrongData, match="By hand: get ground_truth_mask.zip"):
        find("sod/ECSSD")

    assert not list(cache.rglob("*.zip"))  # either of them may be the wrong one
    assert not twins
    mirror.answers = held
    check(SOURCES["sod/ECSSD"], find("sod/ECSSD").path)


def test_a_wrong_archive_does_not_cost_the_right_one(mirror, cache):
    held = dict(made("sod/ECSSD").archives)
    mirror.answers = [library({"sod/ECSSD/images.zip": held["images.zip"], "sod/ECSSD/ground_truth_mask.zip": b"PK"})]
    with pytest.raises(WrongData, match="ground_truth_mask.zip"):
        find("sod/ECSSD")

    assert [path.name for path in cache.rglob("*.zip")] == ["images.zip"]


@pytest.mark.parametrize(
    ("change", "error", "said", "asked"),
    [
        ({"checksum": "md5:" + "0" * 32, "size": 0}, WrongData, "hash", 1),
        ({"size": 10**18}, OSError, "make room", 0),
    ],
    ids=["wrong checksum", "full disk"],
)
def test_other_faults_are_errors_too_and_not_twins(mirror, twins, monkeypatch, change, error, said, asked):
    source = SOURCES["sod/DUTS"]
    archives = tuple(replace(archive, **change) for archive in source.archives)
    monkeypatch.setitem(SOURCES, "sod/DUTS", replace(source, archives=archives))

    with pytest.raises(error, match=said):
        find("sod/DUTS")
    assert not twins
    assert len(mirror.asked) == asked


@pytest.mark.parametrize("step", ["unpack", "check"])
def test_a_run_that_is_killed_leaves_nothing_that_looks_finished(mirror, cache, monkeypatch, step):
    """And the next run does not download again what was whole."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finding, step, killed)
        with pytest.raises(KeyboardInterrupt):
            find("crack/DeepCrack")
    assert not (cache / "crack").exists()
    (cache / "downloads/crack/DeepCrack/unpacked/train/images").mkdir(parents=True, exist_ok=True)
    (cache / "downloads/crack/DeepCrack/unpacked/train/images/stray.jpg").write_bytes(photo(5))

    check(SOURCES["crack/DeepCrack"], find("crack/DeepCrack").path)
    assert len(mirror.asked) == 1


def test_an_archive_put_there_by_hand_is_used(mirror, cache):
    (cache / "downloads/crack/DeepCrack").mkdir(parents=True)
    [(name, content)] = made("crack/DeepCrack").archives.items()
    (cache / "downloads/crack/DeepCrack" / name).write_bytes(content)

    check(SOURCES["crack/DeepCrack"], find("crack/DeepCrack").path)
    assert not mirror.asked


def test_two_at_once_get_the_same_set(mirror, capsys):
    """One downloads, the other waits; each archive is asked for once.

    Two threads stand for two processes: the lock is a file, and holds between both alike.
    """
    held = mirror.answers[0]

    def slowly(handler) -> None:
        time.sleep(1.2)
        held(handler)

    mirror.answers = [slowly]
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(find, ["crack/DeepCrack"] * 2)

    assert one == other
    assert len(mirror.asked) == 1
    assert "Another process is getting crack/DeepCrack" in capsys.readouterr().out
    check(SOURCES["crack/DeepCrack"], one.path)


def test_the_cache_is_the_systems_unless_it_is_named(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("BOOK_CACHE")
    assert cache_folder().name == "keep-the-crack"


# ---- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_the_page_says_what_the_table_says(name):
    """Every address, the terms and the citation, word for word, and how many pairs there are."""
    text, source = PAGE.read_text(encoding="utf-8"), SOURCES[name]
    page = " ".join(text.split())
    [row] = [line for line in text.splitlines() if line.startswith(f"| `{name}`")]
    assert all(f"{split} {count:,}".strip() in row for split, count in source.pairs.items())

    assert f"`{name}`" in page
    assert source.terms in page
    assert source.citation in page
    assert source.page in page
    for archive in source.archives:
        assert archive.name in page and archive.name.endswith((".zip", ".tar"))
        assert len(set(archive.urls)) == len(archive.urls) > 0  # two sets have one server alone
        for url in archive.urls:
            assert url in page
        if archive.checksum:
            assert archive.checksum.removeprefix("sha256:") in page


def test_a_wrong_level_of_book_data_is_named(tmp_path, monkeypatch):
    """The classic slip: the folder of one set in place of the folder of all."""
    (tmp_path / "mine" / "crack" / "CFD").mkdir(parents=True)
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "mine" / "crack"))
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(finding, "_twin", lambda name: tmp_path)
    with pytest.warns(TwinWarning, match=r"BOOK_DATA names .*crack, and there is no .*crack.crack.CFD"):
        find("crack/CFD", download=False)


def test_a_folder_that_the_reader_names_is_taken_and_its_path_told_to_nobody(tmp_path, monkeypatch):
    path, origin = finding.locate("crack/CFD", str(tmp_path / "secret"))
    assert path == tmp_path / "secret"
    assert "crack/CFD" in origin and "secret" not in origin
    (tmp_path / "TWIN.txt").write_text("Synthetic twin", encoding="utf-8")
    assert finding.locate("crack/CFD", tmp_path)[1].startswith("synthetic twin of crack/CFD")
    monkeypatch.setattr(finding, "find", lambda name: finding.Found(tmp_path, f"a download of {name}"))
    assert finding.locate("sod/DUTS", None) == (tmp_path, "a download of sod/DUTS")

"""A download ends as the right file or as an error that says why; nothing else ever gets the file's name."""

import errno
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chapters_code.data.fetching.download import Unreachable, WrongData, fetch
from chapters_code.data.fetching.sources import Archive
from mirror import Mirror, says, sends

CONTENT = np.random.default_rng(0).integers(0, 256, 300_001, dtype=np.uint8).tobytes()
OTHER = np.random.default_rng(1).integers(0, 256, 300_001, dtype=np.uint8).tobytes()
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
HALF = 150_000


@pytest.fixture
def mirror(monkeypatch):
    """A mirror on this machine; no proxy stands between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Mirror()
    yield server
    server.close()


@pytest.fixture
def second(mirror):
    server = Mirror()
    server.answers = [sends(CONTENT)]
    yield server
    server.close()


def get(folder: Path, *mirrors: Mirror, checksum: str | None = CHECKSUM, **settings) -> Path:
    archive = Archive("set.zip", tuple(f"{mirror.url}/set.zip" for mirror in mirrors), len(CONTENT), checksum)
    return fetch(archive, folder, **{"timeout": (2, 0.3), "pause": 0, **settings})


def parts(folder: Path) -> list[Path]:
    return list(folder.glob("*.part"))


@pytest.mark.parametrize("checksum", [CHECKSUM, "md5:" + hashlib.md5(CONTENT).hexdigest(), None])
def test_a_file_arrives_and_nothing_else_stays(mirror, tmp_path, checksum):
    mirror.answers = [sends(CONTENT)]

    path = get(tmp_path / "new", mirror, checksum=checksum)

    assert path.read_bytes() == CONTENT
    assert list((tmp_path / "new").iterdir()) == [path]
    assert len(mirror.asked) == 1


def test_a_file_that_is_there_is_not_asked_for_again(mirror, tmp_path):
    (tmp_path / "set.zip").write_bytes(CONTENT)

    assert get(tmp_path, mirror).read_bytes() == CONTENT
    assert not mirror.asked


@pytest.mark.parametrize(
    "answers",
    [
        [says(502), sends(CONTENT)],
        # The server just hangs up: only the table's size tells that more was to come.
        [sends(CONTENT, stop=HALF, length=None), sends(CONTENT)],
        [sends(CONTENT + b"tail", length=len(CONTENT))],
    ],
    ids=["a stumble", "a break without a stated length", "more than was promised"],
)
def test_a_file_arrives_whatever_came_with_it_or_lay_there(mirror, tmp_path, answers):
    (tmp_path / "set.zip").write_bytes(OTHER)
    mirror.answers = list(answers)

    assert get(tmp_path, mirror).read_bytes() == CONTENT


# ---- broken off, and on again ---------------------------------------------------------------------


@pytest.mark.parametrize("version", [{"tag": '"1"'}, {"tag": None, "date": "Fri, 11 May 2012 10:00:00 GMT"}])
def test_only_the_missing_bytes_are_asked_for(mirror, tmp_path, version):
    mirror.answers = [sends(CONTENT, stop=HALF, **version), sends(CONTENT, **version)]

    assert get(tmp_path, mirror).read_bytes() == CONTENT

    first, then = mirror.asked
    start = int(then["Range"].removeprefix("bytes=").removesuffix("-"))
    assert "Range" not in first
    assert HALF - (1 << 15) < start <= HALF
    assert then["If-Range"] == (version["tag"] or version["date"])


def test_a_later_run_goes_on_where_an_earlier_one_broke(mirror, tmp_path):
    mirror.answers = [sends(CONTENT, stop=HALF), says(503)]
    with pytest.raises(Unreachable, match="503"):
        get(tmp_path, mirror, retries=1)
    [part] = parts(tmp_path)
    had = part.stat().st_size
    mirror.answers = [sends(CONTENT)]

    assert get(tmp_path, mirror).read_bytes() == CONTENT
    assert mirror.asked[-1]["Range"] == f"bytes={had}-"
    assert not parts(tmp_path)


@pytest.mark.slow
def test_a_killed_process_leaves_a_part_and_no_file(mirror, tmp_path):
    mirror.answers = [sends(CONTENT, stop=HALF, stall=20)]
    program = (
        "import sys; from pathlib import Path; from chapters_code.data.fetching.download import fetch;"
        "from chapters_code.data.fetching.sources import Archive;"
        f"fetch(Archive('set.zip', ({mirror.url + '/set.zip'!r},), {len(CONTENT)}, {CHECKSUM!r}), Path(sys.argv[1]))"
    )
    running = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not any(part.stat().st_size for part in parts(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.kill()
    running.wait()
    assert not (tmp_path / "set.zip").exists()
    mirror.answers = [sends(CONTENT)]

    assert get(tmp_path, mirror).read_bytes() == CONTENT
    assert "Range" in mirror.asked[-1]


def test_a_part_that_is_whole_needs_no_request(mirror, tmp_path):
    mirror.answers = [sends(CONTENT, stop=HALF), says(503)]
    with pytest.raises(Unreachable):
        get(tmp_path, mirror, retries=1)
    parts(tmp_path)[0].write_bytes(CONTENT)
    asked = len(mirror.asked)

    assert get(tmp_path, mirror).read_bytes() == CONTENT
    assert len(mirror.asked) == asked


@pytest.mark.parametrize("ranges", ["honest", "ignored", "forced", "misplaced"])
@pytest.mark.parametrize(("now", "tag"), [(CONTENT, '"1"'), (OTHER, '"2"')], ids=["same file", "changed file"])
def test_two_versions_are_never_joined(mirror, tmp_path, ranges, now, tag):
    """Whether the server goes on, starts anew, sends a part of the wrong file, or the wrong part."""
    mirror.answers = [sends(CONTENT, stop=HALF), sends(now, tag=tag, ranges=ranges)]

    assert get(tmp_path, mirror, checksum=None).read_bytes() == now


@pytest.mark.parametrize("tag", [None, 'W/"1"'])
def test_without_a_mark_a_download_starts_anew(mirror, tmp_path, tag):
    """A weak ETag may stand for other bytes; without any the file may be another."""
    mirror.answers = [sends(CONTENT, tag=tag, stop=HALF), sends(CONTENT, tag=tag)]

    assert get(tmp_path, mirror).read_bytes() == CONTENT
    assert "Range" not in mirror.asked[1]


def test_a_part_longer_than_the_file_is_thrown_away(mirror, tmp_path):
    mirror.answers = [sends(CONTENT, stop=HALF), says(416), sends(CONTENT)]

    assert get(tmp_path, mirror).read_bytes() == CONTENT
    assert "Range" not in mirror.asked[2]


def test_each_mirror_has_its_own_part(mirror, second, tmp_path):
    """The first half of one mirror's file is not the first half of the other's."""
    mirror.answers = [sends(OTHER, stop=HALF), says(503)]

    assert get(tmp_path, mirror, second, retries=1).read_bytes() == CONTENT
    assert "Range" not in second.asked[0]


def test_a_download_that_gets_on_may_break_often(mirror, tmp_path):
    mirror.answers = [sends(CONTENT, stop=70_000)]

    assert get(tmp_path, mirror, retries=1).read_bytes() == CONTENT
    assert len(mirror.asked) > 4


def test_a_download_that_starts_anew_each_time_ends(mirror, tmp_path):
    mirror.answers = [sends(CONTENT, stop=HALF, ranges="ignored")]

    with pytest.raises(Unreachable, match=r"broke off after \d+ of 300001 bytes|broke off"):
        get(tmp_path, mirror, retries=3)
    assert len(mirror.asked) == 4  # one that got somewhere, three that got no further


# ---- servers that fail ----------------------------------------------------------------------------


def test_a_silent_server_is_left_after_a_while(mirror, second, tmp_path):
    mirror.answers = [sends(CONTENT, stop=0, stall=1)]

    assert get(tmp_path, mirror, second, retries=1).read_bytes() == CONTENT
    assert len(mirror.asked) == 1


@pytest.mark.parametrize(("code", "times"), [(502, 3), (503, 3), (429, 3), (404, 1), (403, 1)])
def test_a_server_that_stumbles_is_asked_again_one_that_says_no_is_not(mirror, second, tmp_path, code, times):
    mirror.answers = [says(code)]

    assert get(tmp_path, mirror, second, retries=3).read_bytes() == CONTENT
    assert len(mirror.asked) == times


def test_the_pause_grows(mirror, tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    mirror.answers = [says(502)]

    with pytest.raises(Unreachable):
        get(tmp_path, mirror, retries=4, pause=3)
    assert slept == [3, 6, 12]


def test_redirects_are_followed(mirror, second, tmp_path):
    mirror.answers = [says(301, f"{second.url}/moved.zip")]

    assert get(tmp_path, mirror).read_bytes() == CONTENT
    assert second.asked[0]["path"] == "/moved.zip"


def test_when_all_fail_the_error_says_what_each_said_and_the_way_by_hand(mirror, second, tmp_path):
    mirror.answers, second.answers = [says(301, "/set.zip")], [says(404)]
    nobody = Mirror()
    nobody.close()

    with pytest.raises(Unreachable) as caught:
        get(tmp_path, mirror, second, nobody)

    message = str(caught.value)
    assert f"{mirror.url}/set.zip redirects without end" in message
    assert f"{second.url}/set.zip answered 404 Not Found" in message
    assert f"{nobody.url}/set.zip cannot be reached" in message
    assert f"put it into {tmp_path}" in message
    assert not (tmp_path / "set.zip").exists()


# ---- servers that lie -----------------------------------------------------------------------------

PAGE = b"\n <!DOCTYPE html><title>Moved</title>"
LIES = {
    "another file": (sends(OTHER), "hash"),
    "a page": (sends(PAGE, kind="text/html"), "web page"),
    "a page called an archive": (sends(PAGE, kind="application/zip", length=None), "web page"),
    "a short file": (sends(CONTENT[:HALF]), "150000 bytes, where 300001 were due"),
    "a long file": (sends(CONTENT + b"x"), "300002 bytes, where 300001 were due"),
    "a long file of no stated length": (sends(CONTENT + b"x", length=None), "more than the 300001 bytes"),
    "nothing": (sends(b"", length=None), "empty"),
    "nothing, politely": (sends(b""), "empty|0 bytes"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_and_an_honest_mirror_asked(mirror, second, tmp_path, lie):
    answer, words = LIES[lie]
    mirror.answers = [answer]
    with pytest.raises(WrongData, match=words):
        get(tmp_path, mirror)
    assert not (tmp_path / "set.zip").exists()

    assert get(tmp_path, mirror, second).read_bytes() == CONTENT


def test_a_lie_counts_more_than_silence(mirror, second, tmp_path):
    """Somebody delivers a wrong file: the reader must hear of it, though another mirror is merely away."""
    mirror.answers, second.answers = [sends(OTHER)], [says(404)]

    with pytest.raises(WrongData, match="404"):
        get(tmp_path, mirror, second)


def refuse(path: Path) -> None:
    """Look into the file, as the caller does where nobody publishes a checksum."""
    if path.read_bytes() != CONTENT:
        raise WrongData("not what was wanted")


def test_what_the_caller_refuses_is_asked_of_the_next_mirror(mirror, second, tmp_path):
    mirror.answers = [sends(OTHER)]

    assert get(tmp_path, mirror, second, checksum=None, verify=refuse).read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [tmp_path / "set.zip"]


def test_when_the_caller_refuses_all_the_way_by_hand_is_said(mirror, second, tmp_path):
    mirror.answers = second.answers = [sends(OTHER)]

    with pytest.raises(WrongData, match="not what was wanted(.|\n)*By hand: get set.zip") as caught:
        get(tmp_path, mirror, second, checksum=None, verify=refuse)
    assert mirror.url in str(caught.value) and second.url in str(caught.value)
    assert not (tmp_path / "set.zip").exists()


def test_what_lay_there_is_looked_into_before_any_mirror_is_asked(mirror, tmp_path):
    (tmp_path / "set.zip").write_bytes(CONTENT)
    assert get(tmp_path, mirror, checksum=None, verify=refuse).read_bytes() == CONTENT
    assert not mirror.asked

    (tmp_path / "set.zip").write_bytes(OTHER)
    mirror.answers = [says(404)]
    with pytest.raises(WrongData, match="set.zip was something else, and is deleted"):
        get(tmp_path, mirror, checksum=None, verify=refuse)
    mirror.answers = [sends(CONTENT)]
    assert get(tmp_path, mirror, checksum=None, verify=refuse).read_bytes() == CONTENT


def test_the_same_bytes_are_not_fetched_twice_to_be_refused_twice(mirror, second, tmp_path):
    """A right checksum says that every mirror has this file."""
    mirror.answers = [sends(CONTENT)]

    def never(_: Path) -> None:
        raise WrongData("the table is wrong")

    with pytest.raises(WrongData, match="the table is wrong"):
        get(tmp_path, mirror, second, verify=never)
    assert not second.asked


def test_a_page_is_refused_without_a_checksum_too(mirror, tmp_path):
    mirror.answers = [sends(PAGE, kind="application/zip")]

    with pytest.raises(WrongData, match="web page"):
        get(tmp_path, mirror, checksum=None)


def test_less_than_promised_is_no_file(mirror, tmp_path):
    mirror.answers = [sends(CONTENT[:HALF], length=len(CONTENT), ranges="ignored")]

    with pytest.raises(Unreachable, match="broke off"):
        get(tmp_path, mirror, checksum=None)
    assert not (tmp_path / "set.zip").exists()


# ---- disks ----------------------------------------------------------------------------------------


def test_a_download_that_would_fill_the_disk_is_not_begun(mirror, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    mirror.answers = [sends(CONTENT)]

    with pytest.raises(OSError, match="BOOK_CACHE") as caught:
        get(tmp_path, mirror)

    assert caught.value.errno == errno.ENOSPC
    assert not isinstance(caught.value, Unreachable)  # a twin would hide it
    assert not any(part.stat().st_size for part in parts(tmp_path))


def test_room_is_asked_for_the_rest_only(mirror, tmp_path, monkeypatch):
    mirror.answers = [sends(CONTENT, stop=HALF), says(503)]
    with pytest.raises(Unreachable):
        get(tmp_path, mirror, retries=1)
    usage = shutil.disk_usage(tmp_path)._replace(free=len(CONTENT) - parts(tmp_path)[0].stat().st_size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    mirror.answers = [sends(CONTENT)]

    assert get(tmp_path, mirror).read_bytes() == CONTENT

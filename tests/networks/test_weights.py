"""ImageNet weights: from the reader's folder, an earlier download, a download; else words, and never other weights."""

import hashlib
import io
import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from chapters_code import weights
from chapters_code.data.fetching.download import WrongData, fetch
from chapters_code.weights import NETWORKS, NoWeights, imagenet, imagenet_or_none, read_weights
from mirror import Mirror, says, sends


def saved(state: object, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


STATE = {"0.weight": torch.arange(60_000).reshape(300, 200) / 7, "0.bias": torch.full((3,), -2.0)}
FILE = saved(STATE)
OTHER = saved({"0.weight": torch.zeros(300, 200)})
NAME = f"resnet18-{hashlib.sha256(FILE).hexdigest()[:8]}.pth"
PAGE = b"<!DOCTYPE html><html><title>Please log in</title></html>"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """A cache of the test's own, and none of the variables that whoever runs the test may have set."""
    for name in ("BOOK_DATA", "BOOK_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "weights"


@pytest.fixture
def mine(monkeypatch, tmp_path):
    """The weights folder of the reader's own data."""
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "mine"))
    folder = tmp_path / "mine" / "weights"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def server(monkeypatch):
    """A server that has the small file above in the place of ResNet-18's, and an impatient reader."""
    mirror = Mirror()
    mirror.answers = [sends(FILE)]
    published = SimpleNamespace(url=f"{mirror.url}/models/{NAME}")
    monkeypatch.setitem(weights._PUBLISHED, "resnet18", (published, len(FILE)))
    monkeypatch.setattr(weights, "fetch", partial(fetch, timeout=(2, 0.3), pause=0))
    yield mirror
    mirror.close()


def kept(folder: Path) -> list[str]:
    """What a later try would take for whole."""
    return [path.name for path in folder.glob("*") if ".part" not in path.name]


# ---- what torchvision publishes ------------------------------------------------------------------


def test_the_table_names_torchvisions_files_and_sizes():
    """The sizes in bytes are those that torchvision's own table says in megabytes of 1024 · 1024."""
    names = []
    for network in NETWORKS:
        published, size = weights._PUBLISHED[network]
        names.append(published.url.rsplit("/", 1)[-1])
        assert published.url.startswith("https://download.pytorch.org/models/")
        assert size == pytest.approx(published.meta["_file_size"] * 2**20, rel=0.02)

    assert names == ["resnet18-f37072fd.pth", "mobilenet_v2-b0353104.pth"]


# ---- the order -----------------------------------------------------------------------------------


def test_the_readers_own_file_comes_first(server, mine, cache):
    cache.mkdir(parents=True)
    for folder in (mine, cache):
        (folder / NAME).write_bytes(FILE)

    assert imagenet("resnet18") == mine / NAME
    assert not server.asked


def test_features_alone_are_taken_from_there_too_but_the_whole_comes_first(server, mine):
    """A file of features has a name of the reader's, and no checksum."""
    (mine / "resnet18_features_imagenet.pth").write_bytes(OTHER)
    assert imagenet("resnet18", download=False) == mine / "resnet18_features_imagenet.pth"

    (mine / NAME).write_bytes(FILE)
    assert imagenet("resnet18", download=False) == mine / NAME


@pytest.mark.parametrize("place", ["mine", "cache"])
def test_a_file_of_the_right_name_with_other_numbers_is_not_taken(server, mine, cache, place):
    folder = {"mine": mine, "cache": cache}[place]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(OTHER)
    with pytest.raises(
        WrongData, match="is not torchvision's file: its SHA-256 begins with .* delete it, or rename it"
    ):
        imagenet("resnet18")
    assert not server.asked and (folder / NAME).read_bytes() == OTHER


def test_a_mistyped_folder_is_said_and_not_passed_over(server, monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "typo"))
    with pytest.raises(NoWeights, match="BOOK_DATA names .*typo, which is no folder: correct it"):
        imagenet("resnet18")
    assert not server.asked


def test_a_cache_that_cannot_be_made_is_said_with_the_cure(server, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(NoWeights, match="cannot be used .*: name another folder in BOOK_CACHE"):
        imagenet("resnet18")


def test_two_processes_at_once_download_once(server, cache):
    """The lock is the system's; two threads that open it apart are as good as two processes."""
    server.answers = [sends(FILE, stop=1000, stall=0.2), sends(FILE)]
    with ThreadPoolExecutor(2) as both:
        paths = list(both.map(imagenet, ["resnet18"] * 2))

    assert paths == [cache / NAME] * 2 and paths[0].read_bytes() == FILE
    assert len(server.asked) == 2  # the one that broke off, and how it went on


def test_the_file_of_another_network_is_not_taken(mine):
    (mine / "resnet18_features_imagenet.pth").write_bytes(FILE)
    with pytest.raises(NoWeights):
        imagenet("mobilenet_v2", download=False)


@pytest.mark.parametrize("folder_is_named", [False, True])
def test_then_an_earlier_download(server, cache, monkeypatch, tmp_path, folder_is_named):
    if folder_is_named:  # and has no weights
        monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(FILE)

    assert imagenet("resnet18") == cache / NAME
    assert not server.asked


def test_then_a_download_which_is_kept(server, cache):
    path = imagenet("resnet18")

    assert path == cache / NAME and path.read_bytes() == FILE
    assert [one["path"] for one in server.asked] == [f"/models/{NAME}"]
    assert list(cache.iterdir()) == [path]
    server.answers = [says(500)]
    assert imagenet("resnet18") == path
    assert len(server.asked) == 1
    for name, value in read_weights(path).items():
        assert_close(value, STATE[name], rtol=0, atol=0)


def test_into_the_readers_folder_nothing_is_written(server, mine, cache):
    assert imagenet("resnet18").parent == cache
    assert not list(mine.iterdir())


@pytest.mark.parametrize(
    ("variable", "download", "asked"),
    [("1", None, 0), ("1", True, 1), ("0", None, 1), ("", None, 1), (None, None, 1), (None, False, 0)],
)
def test_the_network_is_used_only_where_it_may_be(server, monkeypatch, variable, download, asked):
    if variable is not None:
        monkeypatch.setenv("BOOK_OFFLINE", variable)
    if asked:
        imagenet("resnet18", download)
    else:
        with pytest.raises(NoWeights, match="Nothing may be downloaded now"):
            imagenet("resnet18", download)
    assert len(server.asked) == asked


# ---- a server that lies, stalls and breaks off ---------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (sends(OTHER), "SHA-256 begins with [0-9a-f]{8}, and not with " + NAME[9:17]),
        (sends(FILE[:-1]), "SHA-256 begins with"),  # a whole answer, and a file that is one byte short
        (sends(FILE + b"\0"), "SHA-256 begins with"),
        (sends(PAGE, kind="text/html"), "a web page instead of the file"),
        (sends(PAGE), "a web page instead of the file"),
        (sends(b""), "an empty file"),
    ],
    ids=["other weights", "cut short", "one byte more", "page", "page in disguise", "nothing"],
)
def test_wrong_bytes_are_an_error_and_nothing_is_kept(server, cache, answer, said):
    server.answers = [answer]

    with pytest.raises(WrongData, match=said) as caught:
        imagenet("resnet18")
    assert "By hand: get " + NAME in str(caught.value)
    assert not isinstance(caught.value, NoWeights)
    assert kept(cache) == []

    server.answers = [sends(FILE)]
    assert imagenet("resnet18").read_bytes() == FILE


def test_a_download_that_breaks_off_goes_on_where_it_broke(server):
    server.answers = [sends(FILE, stop=100_000), sends(FILE)]

    assert imagenet("resnet18").read_bytes() == FILE
    start = int(server.asked[1]["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 100_000


def test_a_later_run_goes_on_too(server, cache):
    server.answers = [sends(FILE, stop=100_000), says(503)]
    with pytest.raises(NoWeights, match="503"):
        imagenet("resnet18")
    assert kept(cache) == []
    server.answers = [sends(FILE)]

    assert imagenet("resnet18").read_bytes() == FILE
    assert "Range" in server.asked[-1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(404), "404"),
        (says(503), "503"),
        (sends(FILE, stop=0, stall=1), "resnet18"),
        (sends(FILE, stop=1000, ranges="ignored"), "broke off"),
    ],
    ids=["gone", "busy", "silent", "breaks off again and again"],
)
def test_what_cannot_be_had_is_said_with_the_ways_out(server, cache, answer, said):
    server.answers = [answer]

    with pytest.raises(NoWeights, match=said) as caught:
        imagenet("resnet18")
    for way_out in ("resnet18 are not here", NAME, server.url, "weights of BOOK_DATA", "weights=None"):
        assert way_out in str(caught.value)
    assert kept(cache) == []


def test_a_server_that_is_not_there_is_no_weights(server):
    server.close()
    with pytest.raises(NoWeights, match="could not be downloaded"):
        imagenet("resnet18")


def test_offline_the_message_names_the_place_for_the_file(mine):
    with pytest.raises(NoWeights) as caught:
        imagenet("mobilenet_v2", download=False)
    assert str(mine / "mobilenet_v2-b0353104.pth") in str(caught.value)
    assert "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth" in str(caught.value)


@pytest.mark.parametrize("network", ["vgg16", "ResNet18", "", None])
def test_another_network_is_refused_by_name(network):
    with pytest.raises(ValueError, match=f"network must be one of resnet18, mobilenet_v2, got {network!r}"):
        imagenet(network)


# ---- for pages: from random weights, and said aloud ----------------------------------------------


def test_weights_that_are_there_are_named_without_a_word(mine):
    (mine / "resnet18_features_imagenet.pth").write_bytes(FILE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert imagenet_or_none("resnet18") == "imagenet"


def test_without_weights_a_page_goes_on_and_the_reader_is_told(monkeypatch):
    """At the reader's own line."""
    monkeypatch.setenv("BOOK_OFFLINE", "1")
    with pytest.warns(
        UserWarning, match="(?s)resnet18 are not here.*weights=None.*Going on from random weights"
    ) as said:
        assert imagenet_or_none("resnet18") is None
    assert [one.filename for one in said] == [__file__]


def test_a_page_goes_on_after_a_lie_too_and_the_lie_is_said(server):
    server.answers = [sends(OTHER)]
    with pytest.warns(UserWarning, match="(?s)SHA-256.*Going on from random weights"):
        assert imagenet_or_none("resnet18") is None
    with pytest.raises(ValueError, match="network must be one of"):
        imagenet_or_none("vgg16")


def test_a_page_goes_on_after_a_file_that_cannot_be_read(mine):
    (mine / "resnet18_features_imagenet.pth").write_bytes(FILE[:-100])
    with pytest.warns(UserWarning, match="(?s)cannot be read as weights.*Going on from random weights"):
        assert imagenet_or_none("resnet18") is None


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "as before PyTorch 1.6"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_comes_back_as_it_was_saved(tmp_path, legacy, kind):
    path = tmp_path / "weights.pth"
    path.write_bytes(saved(STATE, legacy))
    again = read_weights(kind(path))

    assert list(again) == list(STATE)
    for name, value in again.items():
        assert_close(value, STATE[name], rtol=0, atol=0)
        assert value.device.type == "cpu"


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "as before PyTorch 1.6"])
def test_wherever_a_file_breaks_off_that_is_said(tmp_path, legacy):
    small = saved({"weight": torch.ones(3, 2), "bias": torch.zeros(2)}, legacy)
    path = tmp_path / "weights.pth"
    for length in {*range(0, len(small), max(1, len(small) // 97)), len(small) - 1}:
        path.write_bytes(small[:length])
        with pytest.raises(ValueError, match=r"weights\.pth cannot be read as weights .* delete it and get it again"):
            read_weights(path)


def test_damage_inside_is_said_or_reads_as_numbers(tmp_path):
    """A byte of the old format has no checksum, so some damage cannot be seen; but nothing else may come out."""
    dice, path = np.random.default_rng(3), tmp_path / "weights.pth"
    for legacy in (False, True):
        whole = saved({"weight": torch.ones(3, 2), "bias": torch.zeros(2)}, legacy)
        for _ in range(150):
            damaged = np.frombuffer(whole, np.uint8).copy()
            damaged[dice.integers(len(damaged), size=10)] = dice.integers(256, size=10)
            path.write_bytes(damaged.tobytes())
            try:
                state = read_weights(path)
            except ValueError as error:
                assert str(path) in str(error) and len(str(error)) > 60
            else:
                assert all(isinstance(value, torch.Tensor) for value in state.values())


class Runs:
    """A pickle that runs code when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable, tuple]:
        return self.trace.write_text, ("code was run",)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "as before PyTorch 1.6"])
def test_code_in_a_file_is_never_run(tmp_path, legacy):
    path, trace = tmp_path / "weights.pth", tmp_path / "trace.txt"
    path.write_bytes(saved({"weight": torch.ones(2), "more": Runs(trace)}, legacy))
    with pytest.raises(ValueError, match="cannot be read as weights"):
        read_weights(path)
    path.write_bytes(pickle.dumps(Runs(trace)))
    with pytest.raises(ValueError, match="cannot be read as weights"):
        read_weights(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [PAGE, b"version https://git-lfs.github.com/spec/v1\n", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", pickle.dumps([1, 2])],
    ids=["web page", "pointer to a large file", "zip", "picture", "pickle"],
)
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as weights"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, about the pickle's protocol
        read_weights(path)


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict"])
def test_weights_are_taken_out_of_a_checkpoint(tmp_path, key):
    path = tmp_path / "weights.pth"
    path.write_bytes(saved({key: {f"module.{name}": value for name, value in STATE.items()}, "step": 3}))

    assert_close(read_weights(path), dict(STATE), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.zeros(3), "but a Tensor"),
        ([torch.zeros(3)], "but a list"),
        ({}, "but a dict"),
        ({"model": {"weight": 3}, "step": 3}, r"but a dict: save network.state_dict\(\)"),
        ({"weight": torch.zeros(3), "epoch": 7}, "but a dict"),
    ],
    ids=["one tensor", "list", "empty", "checkpoint", "mixed"],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, said):
    path = tmp_path / "weights.pth"
    path.write_bytes(saved(content))
    with pytest.raises(ValueError, match=f"holds no weights, that is a dictionary of tensors, {said}"):
        read_weights(path)


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        read_weights(tmp_path / "nowhere.pth")
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        read_weights(tmp_path)

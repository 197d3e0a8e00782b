"""What only a process of its own can show, since here all is imported: all in one process, which takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mirror import photo

PROGRAM = """
import json, sys
from chapters_code.data import *
said = {"imported": sorted({"torch", "matplotlib", "scipy", "skimage", "torchvision"} & set(sys.modules))}

from chapters_code.data.fetching.find import find
for _ in range(3):
    CrackSegmentation("CFD")
    find("crack/CFD")

def no_network(event, args):
    if event.startswith("socket."):
        raise AssertionError(event)

from chapters_code.data.synthetic import cracked_road
sys.addaudithook(no_network)
said["crack"] = cracked_road().mask.sum().item()
said["skimage"] = "skimage" in sys.modules
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Run the program where BOOK_DATA names a twin of CFD; what it prints, and its warnings."""
    root = tmp_path_factory.mktemp("fresh")
    folder = root / "mine" / "crack" / "CFD"
    for kind in ("images", "masks"):
        (folder / "train" / kind).mkdir(parents=True)
    (folder / "TWIN.txt").write_text("Synthetic twin", encoding="utf-8")
    (folder / "train" / "images" / "drawn_001.jpg").write_bytes(photo(0))
    (folder / "train" / "masks" / "drawn_001.png").write_bytes(photo(0))
    (root / "program.py").write_text(PROGRAM, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_DATA", str(root / "mine"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.delenv("PYTHONWARNINGS", raising=False)
        done = subprocess.run([sys.executable, root / "program.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.slow
def test_importing_the_sets_imports_nothing_heavy(fresh):
    assert fresh[0]["imported"] == ["torch"]


def test_a_twin_is_said_each_time_and_at_the_readers_line(fresh):
    """Where Python says each warning once for a line."""
    lines = [PROGRAM.splitlines().index(line) + 1 for line in ('    CrackSegmentation("CFD")', '    find("crack/CFD")')]
    assert [fresh[1].count(f"program.py:{line}: TwinWarning") for line in lines] == [3, 3]


@pytest.mark.slow
def test_a_road_needs_neither_the_network_nor_the_import_of_skimage(fresh):
    """Any use of a socket is an error there."""
    assert fresh[0]["crack"] > 90 and not fresh[0]["skimage"]

"""What `make colab`, `make offline` and `make dist` write: all that is needed, nothing that must not be there."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import nbformat
import pytest

import chapters_code
import notebooks
import pack

ROOT = Path(__file__).parents[2]
WHEEL = f"keep_the_crack-{chapters_code.__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The folder that the zip for Colab unpacks into."""
    out = tmp_path_factory.mktemp("colab")
    packed = pack.colab("open", out)
    assert packed == out / "_build" / "colab" / "keep-the-crack-colab.zip" and packed.stat().st_size < 20e6
    zipfile.ZipFile(packed).extractall(out)
    return out / "keep-the-crack"


@pytest.mark.slow
def test_for_colab_there_are_the_code_and_the_notebooks_as_they_are(unpacked):
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    chapters = notebooks.paths()
    assert files == {"README.txt", WHEEL, *(f"notebooks/{path.name}" for path in chapters)}
    for path in chapters:
        assert nbformat.read(unpacked / "notebooks" / path.name, 4) == nbformat.read(path, 4), path.name
    assert (unpacked / "README.txt").read_text().count(WHEEL) == 2


# The set-up cell with the true pip, on a machine that has all but the book's code and says that it is Colab.
ON_COLAB = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "chapters_code" else find(name)
sys.modules["google.colab"] = None
exec(open("cell.py", encoding="utf-8").read())
"""


def python(program, folder, **environment):
    """Run a program in a Python of its own."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_first_cell_installs_the_file_that_lies_beside_the_notebook(unpacked, tmp_path):
    notebook = nbformat.read(unpacked / "notebooks" / "01_pooling.ipynb", 4)
    (unpacked / "cell.py").write_text(notebook.cells[1].source, encoding="utf-8")
    done = python(ON_COLAB, unpacked, PIP_TARGET=str(tmp_path / "installed"))
    (unpacked / "cell.py").unlink()
    assert done.stdout == "Set-up: installed chapters_code; Colab's own packages stay.\n", done.stderr
    program = (
        "from chapters_code.exercises import hint; import chapters_code; hint('1.1'); print(chapters_code.__file__)"
    )
    done = python(program, tmp_path, PYTHONPATH=str(tmp_path / "installed"))
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]).is_relative_to(tmp_path / "installed")


@pytest.mark.slow
def test_a_class_gets_no_solution(tmp_path):
    packed = zipfile.ZipFile(pack.colab("class", tmp_path))
    (wheel,) = (name for name in packed.namelist() if name.endswith(".whl"))
    assert "+class" in wheel
    with packed.open(wheel) as file:
        assert not [name for name in zipfile.ZipFile(file).namelist() if "/solutions/" in name]
    for name in packed.namelist():
        if name.endswith(".ipynb"):
            assert b"shows our answer" not in packed.read(name), name


def test_a_zip_that_has_grown_too_large_is_not_written(tmp_path):
    wheel = tmp_path / WHEEL
    wheel.write_bytes(os.urandom(3000))
    path = tmp_path / "out" / "a.zip"
    with pytest.raises(ValueError, match="the zip has 0.0 MB, and may have 0"):
        pack.write_zip(path, [(wheel, WHEEL)], "{wheel}", limit=1000)
    assert not list(path.parent.iterdir())
    assert pack.write_zip(path, [(wheel, WHEEL)], "{wheel}") == path and list(path.parent.iterdir()) == [path]


def test_offline_there_is_the_site_as_well(unpacked, tmp_path, monkeypatch):
    def build(out, edition):
        (out / "_build" / "html" / "book").mkdir(parents=True)
        (out / "_build" / "html" / "book" / "index.html").write_text("the book")
        return 0

    monkeypatch.setattr(pack.website, "build_all", build)
    monkeypatch.setattr(pack.editions, "build_wheel", lambda *_: unpacked / WHEEL)  # it takes seconds
    packed = zipfile.ZipFile(pack.offline("open", tmp_path))
    names = set(packed.namelist())
    assert packed.read("keep-the-crack/site/book/index.html") == b"the book"
    assert {f"keep-the-crack/{name}" for name in ("README.txt", WHEEL, "notebooks/07_hwd.ipynb")} < names

    monkeypatch.setattr(pack.website, "build_all", lambda *_: 1)
    with pytest.raises(RuntimeError, match="no zip without a site"):
        pack.offline("open", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_an_index_gets_wheel_and_source_with_all_that_the_package_needs(tmp_path):
    """`pack.dist` has asked twine whether an index would take them."""
    archive, wheel = sorted(pack.dist(tmp_path), key=lambda path: path.suffix)
    assert (archive.name, wheel.name) == (f"keep_the_crack-{chapters_code.__version__}.tar.gz", WHEEL)
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "chapters_code").rglob("*") if path.is_file()}
    package = {name for name in package if "__pycache__" not in name}
    assert {name for name in zipfile.ZipFile(wheel).namelist() if "dist-info" not in name} == package
    with tarfile.open(archive) as packed:
        assert package <= {name.partition("/")[2] for name in packed.getnames()}


def test_what_a_program_says_is_shown_when_it_fails():
    with pytest.raises(RuntimeError, match="(?s)pip says:.*no such option"):
        pack.say_no_more("pip", "--no-such-option")

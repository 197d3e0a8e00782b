"""The frame around the book: its commands, its environment, its address, its package, its README."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import chapters_code
import notebooks
import repository

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def run(*command, cwd=ROOT, **environment):
    """Run a command and return what it answered; `NAME=None` takes a variable out of its environment."""
    variables = {key: value for key, value in (os.environ | environment).items() if value is not None}
    return subprocess.run(list(map(str, command)), cwd=cwd, env=variables, capture_output=True, text=True)


def targets() -> set[str]:
    """The targets that `make` lists."""
    return set(re.findall(r"^  (\w+)  +\S", run("make", "--no-print-directory").stdout, re.MULTILINE))


# --- make -----------------------------------------------------------------------------------------
def test_make_alone_lists_every_target_in_one_line():
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert targets() == set(declared.group(1).split()) - {"help", "environment"}
    assert {"book", "test", "notebooks", "serve", "lab", "repository", "clean"} <= targets()


@pytest.mark.parametrize("target", ["book", "serve", "lab", "test", "check", "format", "notebooks"])
def test_every_command_sets_up_the_environment_first_and_calls_its_python(target):
    """Start-up scripts such as .venv/bin/pytest break in a path with a space; `python -m pytest` does not."""
    steps = run("make", "--no-print-directory", "--dry-run", target, "URL=").stdout.splitlines()

    assert steps[0] == "sh tools/environment.sh"
    for step in steps[1:]:
        # typos is a program of its own, not a script.
        assert step.startswith((".venv/bin/python ", "cd notebooks && ../.venv/bin/python ", "echo ")) or (
            step == ".venv/bin/typos"
        )


def test_repository_without_an_address_asks_for_one():
    """`make repository` alone is a slip and must not take the address away; `URL=` is meant."""
    slip = run("make", "--dry-run", "repository", URL=None).stdout
    assert "Say: make repository URL=" in slip
    assert slip.index("exit 2") < slip.index("tools/repository.py")


# --- the environment ------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    """A folder with a space in its path, and a book in it that needs no package."""
    book = tmp_path / "with space" / "book"
    (book / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "environment.sh", book / "tools")
    (book / "requirements.txt").write_text("# nothing\n")
    (book / "pyproject.toml").write_text("[project]\n")
    return book


# Stands in for uv: takes notes, makes a folder that looks like an environment, and can have no network.
UV = r"""
echo "$@" >>uv.log
case $1 in
venv)
    mkdir -p .venv/bin .venv/lib && touch .venv/lib/pip.py
    printf '#!/bin/sh\nPYTHONPATH=.venv/lib exec "%s" "$@"\n' "$5" >.venv/bin/python
    chmod +x .venv/bin/python
    ;;
pip) test ! -e no-network ;;
esac
"""


def commands(folder, **texts):
    """Make a PATH with small shell scripts of these names in front of the system's commands."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.defpath}"


def environment(book, path=os.defpath, python=sys.executable, constraints=None):
    """Run the set-up in `book`, as make does."""
    return run("sh", "tools/environment.sh", cwd=book, PATH=path, PYTHON=python, CONSTRAINTS=constraints)


@pytest.mark.slow
def test_pip_alone_makes_an_environment_and_the_second_run_has_nothing_to_do(folder):
    first, second = environment(folder), environment(folder)

    assert first.returncode == 0, first.stderr
    assert second.returncode == 0
    assert second.stderr == ""
    made = run(folder / ".venv" / "bin" / "python", "-c", "import pip, sys; print(sys.prefix)")
    assert made.stdout.strip() == str(folder / ".venv")


@pytest.mark.slow
def test_the_environment_is_filled_up_after_a_failure_and_made_anew_after_a_move(folder, tmp_path):
    path = commands(tmp_path / "bin", uv=UV)
    stamp, witness = folder / ".venv" / ".ready", folder / ".venv" / "witness"
    assert environment(folder, path).returncode == 0
    witness.touch()

    (folder / "requirements.txt").write_text("# changed\n")
    (folder / "no-network").touch()
    broken = environment(folder, path)
    assert broken.returncode == 1
    assert "Run the same command again" in broken.stderr
    assert not stamp.exists()

    (folder / "no-network").unlink()
    assert environment(folder, path).returncode == 0
    assert stamp.exists()
    assert witness.exists(), "what was installed before is kept"

    moved = folder.rename(folder.with_name("moved"))
    assert environment(moved, path).returncode == 0
    assert not (moved / ".venv" / "witness").exists(), "paths inside an environment do not move with it"

    (moved / ".venv" / "bin" / "python").write_text("#!/no/such/python\n")
    assert environment(moved, path).returncode == 0, "a Python that was removed is noticed"
    assert environment(moved, path).stderr == ""


@pytest.mark.slow
def test_constraints_are_installed_where_they_are_asked_for_and_noticed_when_they_change(folder, tmp_path):
    path = commands(tmp_path / "bin", uv=UV)

    def installed(constraints):
        log = folder / "uv.log"
        log.unlink(missing_ok=True)
        answer = environment(folder, path, constraints=constraints)
        assert answer.returncode == 0, answer.stderr
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.partition("requirements.txt")[2].strip() for line in lines if line.startswith("pip ")]

    (folder / "constraints.txt").write_text("torch==1\n")
    assert installed(None) == [""]
    assert installed("constraints.txt") == ["--constraint constraints.txt"]
    assert installed("constraints.txt") == []
    (folder / "constraints.txt").write_text("torch==2\n")
    assert installed("constraints.txt") == ["--constraint constraints.txt"]
    assert installed(None) == installed("") + [""]

    (folder / "no-network").touch()
    failed = environment(folder, path, constraints="constraints.txt")
    assert failed.returncode == 1
    assert "Without CONSTRAINTS the newest that fit are taken" in failed.stderr


def test_constraints_that_are_not_there_are_named(folder):
    answer = environment(folder, constraints="constraint.txt")

    assert answer.returncode == 1
    assert (
        answer.stderr == "CONSTRAINTS=constraint.txt is no file here; the book's own is CONSTRAINTS=constraints.txt\n"
    )


@pytest.mark.parametrize("works", ["python3", "python3.12"])
def test_a_command_that_cannot_run_is_passed_over_and_uv_is_used_when_there(folder, tmp_path, works):
    """As with pyenv, whose commands exist for every version and fail for most."""
    pythons = dict.fromkeys(["python3", "python3.13", "python3.12"], "echo 'command not found' >&2; exit 127")
    pythons[works] = f'exec "{sys.executable}" "$@"'
    path = commands(tmp_path / "bin", **pythons, uv=UV)

    answer = environment(folder, path, python=None)

    assert answer.returncode == 0, answer.stderr
    assert [line for line in (folder / "uv.log").read_text().splitlines() if line != "--version"] == [
        f"venv --quiet --seed --python {sys._base_executable} .venv",
        "pip install --python .venv/bin/python -r requirements.txt",
    ]


@pytest.mark.parametrize(
    ("script", "advice"),
    [
        ("exit 127", "Install one from python.org"),
        # Old enough to lack everything that is asked of it.
        ('case "$2" in *"(3, "*) exit 1 ;; esac', "Install one from python.org"),
        # Of the right version, but as Debian ships it.
        ('case "$2" in *ensurepip*) exit 1 ;; esac', "sudo apt install python3-venv"),
    ],
)
def test_without_a_usable_python_it_says_what_to_do(folder, tmp_path, script, advice):
    names = ["python3", "python3.13", "python3.12", "python3.11"]
    path = commands(tmp_path / "bin", **dict.fromkeys(names, script), uv="exit 1")

    answer = environment(folder, path, python=None)

    assert answer.returncode == 1
    assert "The book needs Python 3.11 or newer" in answer.stderr
    assert advice in answer.stderr
    assert not (folder / ".venv").exists()


def test_a_python_named_by_hand_is_not_replaced_by_another(folder):
    answer = environment(folder, python="no-such-python")

    assert answer.returncode == 1
    assert "PYTHON=no-such-python does not run" in answer.stderr


# --- the address ----------------------------------------------------------------------------------
def test_site_cells_and_citation_name_the_same_address():
    """`make repository` is the only way to change it; this holds that nobody edited one place by hand."""
    url = repository.current()

    assert repository.checked(url) == url
    assert repository.site_block(url) in (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert CITATION.get("repository-code", "") == (url if url.startswith("https://") else "")
    for path in notebooks.paths():
        cells = nbformat.read(path, as_version=4).cells
        (setup,) = (cell for cell in cells if "setup" in cell.metadata.get("tags", []))
        assert f'REPOSITORY = "{url}"' in setup.source


@pytest.fixture
def copy(tmp_path):
    """What `make repository` and `make notebooks` work on, with one small notebook."""
    for name in ("tools", "notebooks"):
        (tmp_path / name).mkdir()
    for name in ("_config.yml", "CITATION.cff", *(f"tools/{path.name}" for path in ROOT.glob("tools/*.py"))):
        shutil.copy(ROOT / name, tmp_path / name)
    cells = [new_markdown_cell("# Title"), new_code_cell("print(1)\nprint(2)")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "00_small.ipynb")
    return tmp_path


def publish(copy, url):
    """Run `make repository` in the copy; return the files as they are then."""
    answer = run(sys.executable, copy / "tools" / "repository.py", url)
    files = ["_config.yml", "CITATION.cff", "tools/setup_cell.py", "notebooks/00_small.ipynb"]
    return answer, {name: (copy / name).read_text(encoding="utf-8") for name in files}


@pytest.mark.slow
def test_an_address_is_written_everywhere_and_taken_away_again(copy):
    _, before = publish(copy, "")
    _, there = publish(copy, "https://github.com/OWNER/REPO.git")
    again, unchanged = publish(copy, "https://github.com/OWNER/REPO")
    _, after = publish(copy, "")

    config = yaml.safe_load(there["_config.yml"])
    assert config["repository"] == {"url": "https://github.com/OWNER/REPO", "branch": "main"}
    assert config["launch_buttons"]["colab_url"] == "https://colab.research.google.com"
    assert set(config["html"].values()) == {True}
    assert yaml.safe_load(there["CITATION.cff"])["repository-code"] == "https://github.com/OWNER/REPO"
    assert 'REPOSITORY = "https://github.com/OWNER/REPO"' in there["tools/setup_cell.py"]
    notebook = nbformat.reads(there["notebooks/00_small.ipynb"], as_version=4)
    assert notebook.cells[1].source == notebooks.setup_text(notebook, there["tools/setup_cell.py"])
    assert unchanged == there
    assert "Changed: nothing" in again.stdout
    assert after == before


@pytest.mark.parametrize(
    ("url", "buttons", "colab"),
    [
        ("https://gitlab.com/group/sub/repo", True, ""),  # Colab opens nothing but GitHub
        ("file:///books/crack", False, ""),  # for trying the set-up cell
    ],
)
def test_buttons_follow_what_the_address_can_do(url, buttons, colab):
    config = yaml.safe_load(repository.site_block(repository.checked(url)))

    assert config["repository"]["url"] == (url if buttons else "")
    assert config["launch_buttons"]["colab_url"] == colab
    assert set(config["html"].values()) == {buttons}


@pytest.mark.parametrize(
    "url",
    [
        "http://github.com/a/b",
        "git@github.com:a/b.git",
        "https://github.com/a",
        "https://github.com/a/b/tree/main",
        "https://name:secret@github.com/a/b",
        'https://github.com/a/b"; import os',
        "github.com/a/b",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(url):
    with pytest.raises(ValueError, match="https://github.com/OWNER/REPO"):
        repository.checked(url)


@pytest.mark.slow
def test_a_place_that_was_edited_by_hand_stops_the_command_before_it_writes(copy):
    citation = (copy / "CITATION.cff").read_text()
    config = copy / "_config.yml"
    config.write_text(config.read_text().replace("# <<< repository", "# end"))

    answer, files = publish(copy, "https://github.com/OWNER/REPO")

    assert answer.returncode == 1
    assert "_config.yml has lost the place" in answer.stderr
    assert files["CITATION.cff"] == citation


# --- make notebooks -------------------------------------------------------------------------------
def store(copy, *arguments):
    """Run tools/notebooks.py in the copy; return its answer and the small notebook."""
    answer = run(sys.executable, copy / "tools" / "notebooks.py", *arguments)
    return answer, (copy / "notebooks" / "00_small.ipynb").read_text(encoding="utf-8")


def small(copy, *sources):
    """Write these cells into the small notebook, as an editor would that leaves traces."""
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, sources)]
    for cell in cells:
        cell.metadata = {"scrolled": True, "tags": ["raises-exception"] if "1 / 0" in cell.source else []}
    metadata = {"kernelspec": {"name": "mine", "display_name": "Mine"}, "widgets": {}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), copy / "notebooks" / "00_small.ipynb")


@pytest.mark.slow
def test_notebooks_are_run_in_their_folder_and_stored_without_traces(copy):
    # The pause cuts what is printed into two messages.
    prints = "import os, time\nprint(1)\ntime.sleep(0.5)\nprint(os.path.basename(os.getcwd()))"
    small(copy, prints, "import ipywidgets\nipywidgets.IntSlider(3)", "1 / 0")

    answer, text = store(copy)
    checked, _ = store(copy, "--check")
    again, same = store(copy)

    assert answer.returncode == checked.returncode == again.returncode == 0, answer.stderr
    assert same == text
    assert "unchanged" in again.stdout
    notebook = nbformat.reads(text, as_version=4)
    assert notebook.metadata == notebooks.METADATA
    assert [cell.get("execution_count") for cell in notebook.cells] == [None, 1, 2, 3, 4]
    _, setup, printed, slider, error = notebook.cells
    assert setup.metadata.tags == ["setup", "remove-cell"]
    assert [output.text for output in printed.outputs] == ["1\nnotebooks\n"]
    assert slider.outputs == []  # a live widget leaves nothing behind
    assert error.outputs[0].traceback == ["ZeroDivisionError: division by zero"]
    assert error.metadata == {"tags": ["raises-exception"]}
    assert '"scrolled"' not in text
    assert text.endswith("}\n")
    assert os.listdir(copy / "notebooks") == ["00_small.ipynb"]


@pytest.mark.slow
def test_notebooks_are_stored_without_the_pictures_of_a_data_set(copy, monkeypatch, tmp_path):
    """Whoever has photographs and says `make notebooks` must not publish them."""
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    small(copy, "import os\nprint('BOOK_DATA' in os.environ)")

    answer, text = store(copy)

    assert answer.returncode == 0, answer.stderr
    assert nbformat.reads(text, as_version=4).cells[2].outputs[0].text == "False\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\nassert x == 2", "00_small.ipynb, cell 2 (x = 1) failed"),
        ("import os\nos._exit(1)", "00_small.ipynb, cell 2 (import os) failed"),
        ("import os\nos.getcwd()", "00_small.ipynb, cell 2 prints an absolute path"),
    ],
)
def test_a_notebook_that_fails_is_named_and_left_as_it_was(copy, source, said):
    small(copy, source)
    before = (copy / "notebooks" / "00_small.ipynb").read_text(encoding="utf-8")

    answer, after = store(copy, "--only", "00_small")

    assert answer.returncode == 1
    assert said in answer.stderr
    assert after == before
    assert os.listdir(copy / "notebooks") == ["00_small.ipynb"]


@pytest.mark.slow
def test_check_names_what_is_not_in_normal_form_and_changes_nothing(copy):
    small(copy, "1")
    before = (copy / "notebooks" / "00_small.ipynb").read_text(encoding="utf-8")

    answer, after = store(copy, "--check")

    assert answer.returncode == 1
    assert "00_small.ipynb ... not in normal form" in answer.stdout
    assert after == before


@pytest.mark.slow
def test_form_stores_the_normal_form_and_runs_nothing(copy):
    small(copy, "1 / 0  # runs in no book")

    answer, text = store(copy, "--form")
    checked, _ = store(copy, "--check")

    assert answer.returncode == checked.returncode == 0, answer.stderr
    assert '"scrolled"' not in text and "ZeroDivisionError" not in text
    assert "stored" in answer.stdout


@pytest.mark.slow
def test_a_notebook_that_is_not_there_is_an_error(copy):
    answer, _ = store(copy, "--only", "07_hwd")

    assert answer.returncode == 1
    assert "no notebook 07_hwd in notebooks/, which holds 00_small" in answer.stderr


# --- the package ----------------------------------------------------------------------------------
def test_the_package_asks_for_little():
    """Whoever builds a network with these layers installs neither site nor tests."""
    names = {re.match(r"[\w-]+", line).group() for line in PROJECT["project"]["dependencies"]}
    heavy = {"torch", "torchvision", "numpy", "pillow", "pywavelets"}
    assert names == heavy | {"accelerate", "filelock", "jsonschema", "pooch", "requests", "tqdm"}


def test_the_package_holds_every_file_of_the_code():
    """What Colab installs is what pip packs: scripts of figures and records of runs must be in it."""
    package = ROOT / "chapters_code"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["chapters_code"]
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    there = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}

    assert there - packed == set()


def test_the_citation_names_the_version_of_the_package():
    assert CITATION["version"] == chapters_code.__version__
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "chapters_code.__version__"}


# --- the README -----------------------------------------------------------------------------------
def blocks(language, page="README.md"):
    """The code blocks of one language on a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_readme_s_python_runs(tmp_path):
    """The blocks follow one another, as a reader would type them, in a folder that is not the book's."""
    assert blocks("python")
    answer = run(sys.executable, "-W", "error", "-c", "\n".join(blocks("python")), cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_the_page_on_training_runs_from_top_to_bottom(tmp_path):
    """Its first command, then its Python, one block after the other, as a reader would type them."""
    first = next(line for line in blocks("bash", "book/training.md") if "train unet" in line).split()
    assert first[0] == ".venv/bin/python"
    answer = run(sys.executable, *first[1:], cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    shown = next(block for block in blocks("text", "book/training.md"))
    # The numbers differ from machine to machine; the words do not.
    words = [re.sub(r"\d+(\.\d+)?", "0", text).splitlines() for text in (answer.stdout, shown)]
    assert words[0] == words[1]

    code = "\n".join(blocks("python", "book/training.md"))
    answer = run(sys.executable, "-W", "error", "-c", code, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "crack.png").stat().st_size > 1000
    shares, score = answer.stdout.splitlines()
    assert shares.startswith("{'pavement': 0.") and score.startswith("unet-smoke-own-seed0 0.")


def test_the_readme_s_commands_exist():
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(blocks("bash"))))

    assert {"book", "test"} <= named <= targets()


def test_the_map_of_the_house_names_every_topic_and_every_wing():
    chart = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("# How to add a chapter")[0]
    named = set(re.findall(r"`(\w+)(?:/[\w/]*)?`", chart))
    rooms = {path.stem for path in (ROOT / "chapters_code").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert {room for room in rooms if not room.startswith("_")} - named == set()

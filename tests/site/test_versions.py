"""Which Pythons, packages and systems: what is promised in one place is said, tried and kept in all others."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import constraints

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DECLARED = [
    Requirement(line)
    for line in PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["notebooks"]
]
# The Pythons that the package names: the one place from which all others are checked.
PYTHONS = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
OLDEST, NEWEST = PYTHONS[0], PYTHONS[-1]


def read(name: str) -> str:
    """The text of a file of the book."""
    return (ROOT / name).read_text(encoding="utf-8")


# --- Python ---------------------------------------------------------------------------------------
def test_pythons_are_named_in_order_and_without_a_gap():
    minors = [int(version.partition(".")[2]) for version in PYTHONS]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert PROJECT["project"]["requires-python"] == f">={OLDEST}"


def test_the_set_up_takes_the_pythons_that_the_package_names():
    script = read("tools/environment.sh")
    oldest, newest = (version.replace(".", ", ") for version in (OLDEST, NEWEST))

    assert f"tried='({oldest}) <= sys.version_info[:2] <= ({newest})'" in script
    assert f"newer='sys.version_info[:2] > ({newest})'" in script
    names = " ".join(["python3", *(f"python{version}" for version in reversed(PYTHONS))])
    assert f"for name in {names}; do" in script
    assert f"uv python install {NEWEST} " in script
    assert f"needs Python {OLDEST} or newer (tried: {OLDEST} to {NEWEST})" in script


@pytest.mark.parametrize("name", ["Makefile", "README.md", "book/setup.md"])
def test_readers_are_told_the_same_oldest_python(name):
    said = re.findall(r"Python (3\.\d+) or newer", read(name))
    assert said and set(said) == {OLDEST}


def test_the_workflows_and_the_dev_container_take_the_same_pythons():
    jobs = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]
    site = read(".github/workflows/site.yml")
    container = json.loads(read(".devcontainer/devcontainer.json"))

    assert jobs["linux"]["strategy"]["matrix"]["python"] == PYTHONS
    assert re.findall(r'python-version: "(.*)"', site) == [NEWEST]
    assert container["image"].endswith(f"python:{NEWEST}")
    assert PROJECT["tool"]["mypy"]["python_version"] == OLDEST


# --- requirements.txt -----------------------------------------------------------------------------
def required() -> dict[str, tuple[Requirement, str]]:
    """What requirements.txt names: each package, and the reason behind it."""
    lines = [line for line in read("requirements.txt").splitlines() if line and not line.startswith(("#", "--"))]
    found = {}
    for line in lines:
        requirement, _, reason = line.partition("  # ")
        found[Requirement(requirement).name] = Requirement(requirement), reason
    assert len(found) == len(lines), "a package is named twice"
    return found


def test_requirements_name_what_the_package_asks_for_with_the_same_ranges():
    named = required()
    assert "--editable .[notebooks]" in read("requirements.txt")
    assert {str(one) for one in DECLARED} - {str(one) for one, _ in named.values()} == set()


def test_every_requirement_has_a_lower_bound_and_a_reason():
    named = required()
    assert {"jupyter-book", "torch", "torchvision", "matplotlib", "pywavelets", "ipywidgets", "d2l"} <= set(named)
    assert [name for name, (_, reason) in named.items() if len(reason) < 8] == []
    bounded = (">=", "==")
    assert [name for name, (one, _) in named.items() if not str(one.specifier).startswith(bounded)] == ["jupyter-book"]
    assert ">=" in str(named["jupyter-book"][0].specifier)
    assert "://" not in read("requirements.txt")


def test_an_upper_bound_says_what_breaks():
    bounds = {name: reason for name, (one, reason) in required().items() if re.search("<|==|~=", str(one.specifier))}
    assert set(bounds) == {"d2l", "jupyter-book"}
    assert "numpy" in bounds["d2l"] and "another program" in bounds["jupyter-book"]


def test_no_lower_bound_is_above_what_colab_has():
    """There the package is installed without its dependencies; a range that Colab does not meet would be a lie."""
    image = re.search(r"^image=\((.*?)\)", read("tools/colab_trial.sh"), re.MULTILINE | re.DOTALL)[1].split()
    has = {one.name.lower(): str(one.specifier)[2:] for one in map(Requirement, image) if str(one.specifier)}
    has |= {"accelerate": "1.13.0", "pillow": "11.3.0"}  # in the same list of Colab's
    tried = [one for one in DECLARED if one.name in has]
    assert len(tried) >= 9
    assert [str(one) for one in tried if not one.specifier.contains(has[one.name])] == []


# Comes with the package behind it, whose classes it is a part of.
BROUGHT = {"traitlets": "anywidget", "urllib3": "requests"}
# What a package is called in an import, where that is another name.
IMPORTED = {"ipython": "IPython", "pillow": "PIL", "pywavelets": "pywt", "scikit-image": "skimage"}


def test_the_code_imports_what_the_package_asks_for():
    """A package that only another one brings is gone on the day when that one does without it."""
    declared = {IMPORTED.get(one.name, one.name) for one in DECLARED}
    assert set(BROUGHT.values()) <= declared
    imported = {name for path in code() for name in modules_of(path)}

    strangers = imported - declared - set(BROUGHT) - {"chapters_code"}
    assert strangers - sys.stdlib_module_names == set()
    assert declared - imported == set()


# --- constraints.txt ------------------------------------------------------------------------------
def constrained() -> dict[str, Requirement]:
    """What constraints.txt names."""
    lines = [line for line in read("constraints.txt").splitlines() if not line.startswith("#")]
    assert lines == sorted(lines, key=lambda line: line.partition("==")[0])
    return {one.name: one for one in map(Requirement, lines)}


def test_constraints_are_names_and_versions_alone():
    for line in read("constraints.txt").splitlines()[1:]:
        assert re.fullmatch(r'[a-z0-9-]+==\d[\w.]*(; python_version [<>]=? "3\.\d+")?', line), line
    assert {name: str(one.marker) for name, one in constrained().items() if one.marker} == constraints.MARKERS


def test_constraints_hold_every_requirement_in_its_range():
    """Those of the test's own Python too: a marker leaves nothing out there."""
    held = constrained()
    for name, (one, _) in required().items():
        (exact,) = held[name].specifier
        assert one.specifier.contains(exact.version), f"{held[name]} is not {one}"


def test_constraints_are_the_versions_that_the_notebooks_printed():
    held = constrained()
    printed = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        (stored,) = [cell["outputs"] for cell in cells if "versions()" in "".join(cell["source"])]
        text = "".join(line for output in stored for line in output.get("text", []))
        for name, version in re.findall(r"\b(\w+) (\d+\.\d[\w.]*)(?:\+\w+)?", text):
            printed.setdefault(name, set()).add(version)
    assert {"torch", "numpy", "matplotlib"} <= set(printed)
    python = printed.pop("Python").pop()
    assert f"on Python {python.rpartition('.')[0]}:" in read("constraints.txt")
    names = {"PyWavelets": "pywavelets"}
    held = {name: str(one.specifier).removeprefix("==") for name, one in held.items()}
    assert {name: {held[names.get(name, name)]} for name in printed} == printed


def test_constraints_are_written_plain():
    found = [("Torch", "2.14.1+cpu"), ("ruamel.yaml_x", "1"), ("scikit-image", "0.25.2"), ("pip", "26")]
    found += [("triton", "3"), ("nvidia-cublas", "13"), ("keep-the-crack", "0.1.0"), ("cuda-toolkit", "13")]
    assert constraints.lines(found) == [
        "ruamel-yaml-x==1",
        'scikit-image==0.25.2; python_version < "3.14"',
        "torch==2.14.1",
    ]


@pytest.mark.slow
def test_the_command_writes_what_is_installed_and_nothing_twice(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in ("constraints.py", "notebooks.py", "setup_cell.py"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    command = [sys.executable, str(tmp_path / "tools" / "constraints.py")]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    written = (tmp_path / "constraints.txt").read_text(encoding="utf-8")
    subprocess.run(command, capture_output=True, text=True, check=True)

    assert first.stdout == f"constraints.txt: {written.count('==')} packages\n"
    assert (tmp_path / "constraints.txt").read_text(encoding="utf-8") == written
    assert f"\npytest=={pytest.__version__}\n" in written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["constraints.txt", "tools"]


# --- every system ---------------------------------------------------------------------------------
def code() -> list[Path]:
    return sorted((ROOT / "chapters_code").rglob("*.py"))


def modules_of(path: Path) -> set[str]:
    """The packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found


# What Windows does not have.
POSIX_MODULES = {"crypt", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd"}
POSIX_MODULES |= {"syslog", "termios", "tty"}
POSIX_CALLS = re.compile(
    r"os\.(fork|forkpty|getuid|geteuid|getgid|getegid|getpgid|setsid|setuid|setgid|killpg|nice|mkfifo|mknod|uname|wait\w*"
    r"|sched_\w+|posix_\w+|getloadavg|chown|lchown|fchmod|sysconf|ttyname|sync|O_NOFOLLOW|O_DIRECTORY)"
    r"|signal\.(SIGKILL|SIGALRM|SIGUSR1|SIGUSR2|SIGHUP|SIGCHLD|alarm|setitimer|pause|sigwait|pthread_kill)"
    r"|time\.(tzset|clock_gettime)|threading\.pthread\w*"
)
# Places of one system that the code may name, and why that does no harm elsewhere.
PLACES = {
    "/content/drive/MyDrive": "Colab's; asked whether it is there",
    "/proc/cpuinfo": "read on Linux alone; the name of the processor has another source elsewhere",
}


def faults_for_windows(source: str) -> list[str]:
    """Say what in a module does not work on every system, by its line."""
    faults = []
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            faults += [f"line {line}: import {name}" for name in names if name.partition(".")[0] in POSIX_MODULES]
            if isinstance(node, ast.ImportFrom):
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                faults += [f"line {line}: {name}" for name in full if POSIX_CALLS.fullmatch(name)]
        elif isinstance(node, ast.Attribute) and POSIX_CALLS.fullmatch(ast.unparse(node)):
            faults.append(f"line {line}: {ast.unparse(node)}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            at_root = re.fullmatch(r"/(bin|content|dev|etc|home|opt|proc|root|run|sys|tmp|usr|var)(/\S*)?", node.value)
            if at_root and node.value not in PLACES:
                faults.append(f"line {line}: {node.value!r}")
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            method = keywords.get("multiprocessing_context") or (node.args[0] if node.args else None)
            asked = called in ("get_context", "set_start_method") or "multiprocessing_context" in keywords
            if asked and isinstance(method, ast.Constant) and method.value in ("fork", "forkserver"):
                faults.append(f"line {line}: starts processes by {method.value!r}")
            if called in ("read_text", "write_text") and "encoding" not in keywords:
                given = len(node.args) - (called == "write_text")
                if given < 1:
                    faults.append(f"line {line}: {called} without an encoding; Windows has one of its own")
            if isinstance(node.func, ast.Name) and called == "open" and "encoding" not in keywords:
                mode = node.args[1] if len(node.args) > 1 else keywords.get("mode", ast.Constant("r"))
                if "b" not in getattr(mode, "value", ""):
                    faults.append(f"line {line}: open without an encoding; Windows has one of its own")
    return faults


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "from resource import getrusage",
        "import os\nos.fork()",
        "from os import sched_getaffinity",
        "import signal\nsignal.alarm(3)",
        "path = '/tmp/book'",
        "open('/dev/null', 'rb')",
        "torch.multiprocessing.set_start_method('fork')",
        "DataLoader(pairs, multiprocessing_context='fork')",
        "Path('a').read_text()",
        "Path('a').write_text(text)",
        "open('a')",
        "open('a', mode='w')",
    ],
)
def test_what_works_on_one_system_alone_is_noticed(source):
    assert len(faults_for_windows(source)) == 1


def test_the_book_s_code_works_on_every_system():
    """Or it has another way there; what cannot be read off the code is tried by the workflow on Windows and macOS."""
    found = {path.relative_to(ROOT).as_posix(): faults_for_windows(path.read_text("utf-8")) for path in code()}
    assert {name: faults for name, faults in found.items() if faults} == {}
    used = {place for place in PLACES for path in code() if f'"{place}"' in path.read_text("utf-8")}
    assert used == set(PLACES)

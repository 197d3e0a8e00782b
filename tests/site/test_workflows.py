"""What others run for us: workflows, Dependabot, pre-commit, the dev container.  Nobody sees them until they fail.

They cannot be run here.  So it is tested that they can be read, that the commands which they call exist, and that no
right is given away.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.name: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
# The present major version of each action; Dependabot asks for newer ones.
ACTIONS = {
    "actions/checkout": 7,
    "actions/deploy-pages": 5,
    "actions/setup-python": 7,
    "actions/upload-pages-artifact": 5,
}


def read(path: Path):
    """A YAML file; a name that stands twice in a mapping is an error, as it is for those who run it."""

    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{path.name}: a name stands twice, {keys}"
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Strict)


def jobs(name: str) -> dict[str, dict]:
    """The jobs of a workflow."""
    return read(WORKFLOWS[name])["jobs"]


def steps(name: str) -> list[dict]:
    """All steps of a workflow, whichever job they belong to."""
    return [step for job in jobs(name).values() for step in job["steps"]]


def commands(name: str) -> list[str]:
    """What a workflow types, line by line."""
    return [line for step in steps(name) for line in step.get("run", "").splitlines()]


every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


# --- workflows ------------------------------------------------------------------------------------
def test_there_is_one_workflow_for_each_occasion():
    assert set(WORKFLOWS) == {"monthly.yml", "site.yml", "test.yml", "weekly.yml"}
    on = {name: read(path)[True] for name, path in WORKFLOWS.items()}  # YAML reads `on` as true
    assert set(on["test.yml"]) == {"push", "pull_request", "workflow_dispatch"}
    assert [on[name]["schedule"][0]["cron"].split()[2:] for name in ("weekly.yml", "monthly.yml")] == [
        ["*", "*", "1"],
        ["1", "*", "*"],
    ]


@every_workflow
def test_a_workflow_has_least_rights_and_an_end(name):
    workflow = read(WORKFLOWS[name])
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets" not in WORKFLOWS[name].read_text(encoding="utf-8")
    assert "pull_request_target" not in workflow[True]
    for title, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 60, title
        assert set(job.get("permissions", {})) <= ({"pages", "id-token"} if title == "publish" else set())


@every_workflow
def test_actions_are_of_the_present_major_version(name):
    for step in steps(name):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            action, _, version = step["uses"].partition("@")
            assert version == f"v{ACTIONS[action]}", f"{step['uses']} is not the version that is named here"


# --- the commands ---------------------------------------------------------------------------------
def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def faults_of(line: str) -> str:
    """Say what is wrong with a command that others run; nothing if it calls what there is."""
    words = shlex.split(line.replace("\\", "/"))
    if words[0] == "make":
        missing = [word for word in words[1:] if "=" not in word and word not in targets()]
        return f"make has no {missing}" if missing else ""
    if words[0] in ("bash", "sh"):
        return "" if (ROOT / words[1]).is_file() else f"there is no {words[1]}"
    if re.fullmatch(r"(\.venv/(bin|Scripts)/)?python", words[0]):
        if words[1] != "-m":
            return "" if (ROOT / words[1]).is_file() else f"there is no {words[1]}"
        known = {"jupyterlab", "mypy", "pip", "pip_audit", "pytest", "ruff", "venv", "chapters_code.train"}
        if words[2] not in known:
            return f"python -m {words[2]} is not known here"
        gone = [
            word for word in words[3:] if re.match(r"(tests|notebooks|tools)\b", word) and not (ROOT / word).exists()
        ]
        return f"there is no {gone}" if gone else ""
    return "" if words[0] == ".venv/bin/typos" else f"{words[0]} is not known here"


@pytest.mark.parametrize(
    "line",
    ["make walk", "bash .ci/walk", "python tools/no.py", "python -m walk", "python -m pytest tests/no", "curl a"],
)
def test_a_command_that_is_not_there_is_noticed(line):
    assert faults_of(line)


@every_workflow
def test_a_workflow_calls_what_there_is(name):
    lines = commands(name)
    assert lines
    assert {line: faults_of(line) for line in lines if faults_of(line)} == {}


def test_the_check_at_home_is_the_check_on_linux_and_macos():
    own = jobs("test.yml")
    for job in (own["linux"], own["macos"], jobs("monthly.yml")["newest"]):
        assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
        assert next(step for step in job["steps"] if "run" in step)["env"]["PYTHON"] == "python3"


def test_windows_types_the_commands_of_the_set_up_page():
    """Which has no make.  The first line differs in who looks for Python, the last one would open a browser."""
    page = (ROOT / "book" / "setup.md").read_text(encoding="utf-8")
    first, install, lab = re.search(r"^```powershell\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1].splitlines()
    typed = [step["run"] for step in jobs("test.yml")["windows"]["steps"] if "run" in step]

    assert typed[0].replace("python", "py", 1) == first
    assert typed[1] == install
    assert typed[2].replace("--version", "notebooks") == lab
    assert typed[3] in page
    assert jobs("test.yml")["windows"]["defaults"]["run"]["shell"] == "pwsh"


def test_the_newest_versions_are_free_of_constraints_and_colab_is_free_of_a_cache():
    (step,) = (step for step in steps("monthly.yml") if "run" in step)
    assert step["env"]["CONSTRAINTS"] == ""
    for name in ("monthly.yml", "weekly.yml"):
        assert all("cache" not in step.get("with", {}) for step in steps(name))
    for step in steps("test.yml") + steps("site.yml"):
        if step.get("uses", "").startswith("actions/setup-python"):
            assert step["with"]["cache"] == "pip"
            files = step["with"]["cache-dependency-path"].split()
            assert "requirements.txt" in files and all((ROOT / file).is_file() for file in files)


@pytest.mark.parametrize("script", [".ci/run", "tools/colab_trial.sh", "tools/environment.sh", "tools/lowest_trial.sh"])
def test_a_script_can_be_read_by_its_shell(script):
    shell = (ROOT / script).read_text(encoding="utf-8").partition("\n")[0].removeprefix("#!").split()[-1]
    answer = subprocess.run([Path(shell).name, "-n", script], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


# --- .ci/run --------------------------------------------------------------------------------------
# Stands in for make: takes notes, and cannot install the versions of constraints.txt where it finds a file `old`.
MAKE = """\
#!/bin/sh
echo "$* with '$CONSTRAINTS'" >>made
[ "$1" != environment ] || [ ! -e old ]
"""


@pytest.mark.parametrize(
    ("given", "old", "made"),
    [
        (
            {},
            False,
            ["environment with 'constraints.txt'", "book with 'constraints.txt'", "test with 'constraints.txt'"],
        ),
        ({}, True, ["environment with 'constraints.txt'", "book with ''", "test with ''"]),
        ({"CONSTRAINTS": ""}, True, ["book with ''", "test with ''"]),
    ],
    ids=["constrained", "not to be had", "newest"],
)
def test_ci_takes_the_versions_of_the_stored_outputs_and_says_when_it_cannot(tmp_path, given, old, made):
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text((ROOT / ".ci" / "run").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "make").write_text(MAKE)
    (tmp_path / "bin" / "make").chmod(0o755)
    if old:
        (tmp_path / "old").touch()
    variables = {key: value for key, value in os.environ.items() if key != "CONSTRAINTS"}
    variables |= {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}", "BOOK_CHROMIUM": sys.executable, **given}
    answer = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, env=variables, capture_output=True, text=True)

    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "made").read_text().splitlines() == made
    noted = "NOTE: not with the versions of constraints.txt"
    assert answer.stdout.count(noted) == (2 if old and not given else 0)  # before the tests, and after them


def test_ci_that_fails_does_not_end_well(tmp_path):
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text((ROOT / ".ci" / "run").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "make").write_text('#!/bin/sh\n[ "$1" = book ]\n')  # the environment and the tests fail
    (tmp_path / "bin" / "make").chmod(0o755)
    variables = os.environ | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}", "BOOK_CHROMIUM": sys.executable}
    variables.pop("CONSTRAINTS", None)
    answer = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-1].startswith("NOTE: ")


# --- Dependabot, pre-commit, the dev container ----------------------------------------------------
def test_dependabot_asks_once_a_month_and_all_at_once():
    settings = read(ROOT / ".github" / "dependabot.yml")
    assert settings["version"] == 2
    assert {one["package-ecosystem"] for one in settings["updates"]} == {"pip", "github-actions"}
    for one in settings["updates"]:
        assert one["schedule"] == {"interval": "monthly"}
        assert one["directory"] == "/"
        assert [group["patterns"] for group in one["groups"].values()] == [["*"]]


def test_a_commit_is_checked_by_the_programs_of_make_check():
    """None is fetched from elsewhere, and none has a version of its own."""
    (own,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook for hook in own["hooks"]}
    check = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    check = check.replace("$(python)", ".venv/bin/python")

    assert own["repo"] == "local"
    assert {hook["language"] for hook in hooks.values()} == {"system"}
    assert {hook["entry"]: faults_of(hook["entry"]) for hook in hooks.values() if faults_of(hook["entry"])} == {}
    for name in ("ruff", "layout", "typos"):
        assert f"\t{hooks[name]['entry'].removesuffix(' --force-exclude')}\n" in f"{check}\n"
    assert hooks["notebooks"]["entry"].endswith("tools/notebooks.py --form")
    notebooks = re.compile(hooks["notebooks"]["files"])
    assert notebooks.search("notebooks/01_pooling.ipynb") and notebooks.search("tools/setup_cell.py")
    assert not notebooks.search("tools/notebooks.py")


def test_the_dev_container_sets_up_the_book_s_own_python():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert faults_of(container["postCreateCommand"]) == ""
    assert (ROOT / container["containerEnv"]["CONSTRAINTS"]).is_file()
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"] == ".venv/bin/python"

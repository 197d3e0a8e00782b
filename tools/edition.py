"""Make the class edition of the book, which has no solution, and pack either edition: `make wheel EDITION=class`.

    python tools/edition.py tree DIR                 write the class edition of the book's folder
    python tools/edition.py wheel [--edition class]  pack the code into _build/wheel (_build/class/wheel)

A solution that is not there can be shown by no page, no search and no download.  So the class edition is a folder of
its own: the book without `chapters_code/exercises/solutions`, and without the tests, which hold answers, too.  Its site
and its wheel are made from that folder, as those of the open edition are made from this one.  A teacher may also
publish it: it is a whole book, for which `make lab` and `make book` work.

Three things are other than here.  What offers `solution(...)` in the notebooks says who has the solutions.  The address
of the book is taken away, since the solutions are at that place.  And the version ends in "+class".

What stays: hints, checks, and the trusted functions within the checks.  No page shows these, but the wheel holds them,
and whoever reads them learns how we would do it.  A check cannot do without them.  So the class edition keeps honest
readers honest, and is no lock.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FOLDERS = ("book", "chapters_code", "notebooks", "tools")
FILES = (
    *("_config.yml", "_toc.yml", "Makefile", "pyproject.toml", "requirements.txt", "constraints.txt", ".gitignore"),
    *("README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "LICENSE-TEXT", "SECURITY.md"),
)
# What is left out: the solutions; the pages of the reference, which are made anew; what teachers alone read, which has
# answers, too; traces of tools, wherever they are.
LEFT_OUT = ("chapters_code/exercises/solutions", "book/api", "book/teaching", "book/teaching.md")
TRACES = ("__pycache__", ".ipynb_checkpoints", ".ruff_cache", ".DS_Store")
CHAPTER = re.compile(r"\d\d_\w+\.ipynb")  # other notebooks in the folder are somebody's own

# How the open edition offers a solution, and what stands there in the class edition.
OFFERS = (
    (re.compile(r'`solution\("[\d.]+"\)`\s+shows our answer'), "your teacher has the solutions"),
    (re.compile(r', solution\("[\d.]+"\) shows our answer'), ""),
    (re.compile(r"a check, hints and a solution\."), "a check and hints; your teacher has the solutions."),
    (
        re.compile(
            r"come with hints, checks and solutions; the site folds each solution in .*, and the notebooks carry none\."
        ),
        "come with hints and checks; this is the class edition, and the teacher has the solutions.",
    ),
)
STILL_OFFERED = re.compile(r'solution\("|shows our answer|(?:hints|checks),? and (?:a )?solutions?\b')


# What only a teacher needs: a part of the table of contents, and what stands between two such comments.
TEACHERS_PART = re.compile(r"^  - caption: Teach\n(?:    .*\n)+", re.MULTILINE)
FOR_TEACHERS = re.compile(r"<!-- for teachers -->.*?<!-- end -->\n*", re.DOTALL)


def write_tree(target: Path) -> None:
    """Write the class edition of the book's folder; what was there before is replaced when the new one is whole.

    What else lies there, such as `.git`, stays.

    Args:
        target: The folder.  It is made, or holds an older class edition.

    Raises:
        ValueError: A page offers a solution in words that are not known here; or `target` holds something else.
    """
    if target.exists() and any(target.iterdir()) and not (target / "chapters_code" / "exercises").is_dir():
        raise ValueError(f"{target} is no older class edition: name a new folder")
    if target.exists() and (target / "chapters_code" / "exercises" / "solutions").is_dir():
        raise ValueError(f"{target} has solutions in it, so it is no class edition: name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for path in kept():
            copy = unfinished / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            # With the time of change, by which Sphinx sees what a page was made from.
            shutil.copy2(path, copy)
            if (text := in_class(path)) is not None:
                copy.write_text(text, encoding="utf-8", newline="\n")
                shutil.copystat(path, copy)
        unfinished.chmod(0o755)
        # What a teacher has beside it, such as .git, stays.
        for path in target.iterdir() if target.exists() else ():
            if not (unfinished / path.name).exists():
                os.replace(path, unfinished / path.name)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def kept() -> Iterator[Path]:
    """Go through the files of the book that are in the class edition, too."""
    for name in FILES:
        if (ROOT / name).is_file():
            yield ROOT / name
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*")):
        place = path.relative_to(ROOT)
        left_out = any(place.is_relative_to(folder) for folder in LEFT_OUT) or set(TRACES) & set(place.parts)
        someones_own = place.parts[0] == "notebooks" and not CHAPTER.fullmatch(path.name)
        if path.is_file() and not left_out and not someones_own:
            yield path


def in_class(path: Path) -> str | None:
    """Return what a file of the book says in the class edition; None if it says the same.

    Raises:
        ValueError: It offers a solution in words that are not known here.
    """
    from repository import BLOCK, SETUP_LINE, site_block, with_colab

    name = path.relative_to(ROOT).as_posix()
    if path.suffix == ".ipynb":
        return _notebook_in_class(path)
    if path.suffix == ".md":
        text = FOR_TEACHERS.sub("", path.read_text(encoding="utf-8"))
        text = with_colab(text, "")
        return _without_offers(text, name) if name != "CONTRIBUTING.md" else None
    if name == "_toc.yml":
        return TEACHERS_PART.sub("", path.read_text(encoding="utf-8"))
    if name == "_config.yml":
        return BLOCK.sub(lambda _: site_block(""), path.read_text(encoding="utf-8"))
    if name == "tools/setup_cell.py":
        return SETUP_LINE.sub("", path.read_text(encoding="utf-8"))
    if name == "CITATION.cff":
        return re.sub(r"^repository-code:.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if name == "chapters_code/__init__.py":
        text = path.read_text(encoding="utf-8")
        return re.sub(r'^(__version__ = "[^"+]*)(?:\+class)?"', r'\1+class"', text, flags=re.MULTILINE)
    return None


def _notebook_in_class(path: Path) -> str:
    import nbformat

    from notebooks import as_text, put_setup_cell
    from repository import SETUP_LINE

    notebook = nbformat.read(path, as_version=4)
    for place, cell in enumerate(notebook.cells):
        where = f"{path.name}, cell {place}"
        if cell.cell_type == "markdown":
            cell.source = _without_offers(cell.source, where)
        elif "setup" in cell.metadata.get("tags", []):
            put_setup_cell(notebook, SETUP_LINE.sub("", cell.source))
        for output in cell.get("outputs", ()):
            if "text" in output:
                output.text = _without_offers(output.text, where)
    return as_text(notebook)


def _without_offers(text: str, where: str) -> str:
    for offer, instead in OFFERS:
        text = offer.sub(instead, text)
    if found := STILL_OFFERED.search(text):
        line = text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
        raise ValueError(
            f"{where} offers a solution, which the class edition does not have: {line.strip()[:120]!r}. Write it as"
            ' other chapters do (`solution("1.1")` shows our answer), or add to OFFERS in tools/edition.py what'
            " stands there in the class edition"
        )
    return text


def build_wheel(edition: str, out: Path) -> Path:
    """Pack the code of the book; return the wheel, which is whole or not there.

    Args:
        edition: "open" or "class".
        out: The folder that `_build` is in.
    """
    folder = home(out, edition) / "wheel"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        # From a copy, in which no earlier build has left anything.
        source, packed = Path(name, "source"), Path(name, "packed")
        if edition == "class":
            write_tree(source)
        else:
            copy_package(source)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-build-isolation", "--wheel-dir", str(packed), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the wheel was not built; pip says:\n{done.stdout}{done.stderr}")
        (wheel,) = packed.glob("*.whl")
        os.replace(wheel, folder / wheel.name)
    return folder / wheel.name


def copy_package(target: Path) -> None:
    """Copy what a package is made of into a new folder, in which no earlier build has left anything."""
    target.mkdir()
    for file in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy2(ROOT / file, target)
    shutil.copytree(ROOT / "chapters_code", target / "chapters_code", ignore=shutil.ignore_patterns(*TRACES))


def home(out: Path, edition: str) -> Path:
    """Return the folder of all that is built of an edition: both can stand side by side."""
    return out / "_build" / "class" if edition == "class" else out / "_build"


def main() -> int:
    """Do what the command line says; return 0 if all is well."""
    parser = argparse.ArgumentParser(description="Make the class edition of the book, or pack its code.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tree", help="write the class edition of the book's folder").add_argument("folder", type=Path)
    wheel = commands.add_parser("wheel", help="pack the code of the book")
    wheel.add_argument("--edition", choices=("open", "class"), default="open")
    wheel.add_argument("--out", type=Path, default=ROOT, help="folder for _build (default: the repository)")
    arguments = parser.parse_args()
    try:
        if arguments.command == "tree":
            write_tree(arguments.folder.resolve())
            print(f"The class edition: {arguments.folder}")
        else:
            print(f"The wheel: {build_wheel(arguments.edition, arguments.out.resolve())}")
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Pack the book for those who have no folder of it: `make colab`, `make offline`, `make dist`.

    python tools/pack.py colab [--edition class]     code and notebooks in one zip, for Colab
    python tools/pack.py offline [--edition class]   site, notebooks and code in one zip, for a machine without network
    python tools/pack.py dist                        wheel and source, as a package index wants them

They are written into `_build` (`_build/class` for the class edition), whole or not at all.  The notebooks draw their
pictures themselves and carry their stored outputs, so a zip needs no other file for them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import edition as editions
import website
from chapters_code.files import written_whole

ROOT = Path(__file__).resolve().parent.parent
TOP = "keep-the-crack"  # the folder that a zip unpacks into
LIMIT = 20e6  # bytes: what a class can upload in a minute

ON_COLAB = """\
Keep the Crack, for Colab
=========================

{wheel}    the book's code
notebooks/    the chapters

Alone: open https://colab.research.google.com, choose Upload and take a notebook. Then upload the file
{wheel} by the folder sign at the left. Run the first cell; it installs the file.

In a class: put the folder keep-the-crack into your Drive. Open a notebook there, mount the Drive (folder sign at the
left, then the sign of Drive), and run the first cell.

A package d2l is fetched by Chapter 06 alone, which tries the code of another book. All else is in Colab already.
"""

OFFLINE = """\
Keep the Crack, without a network
=================================

site/index.html    open it in a browser: the whole book, with search, formulas and moving figures
notebooks/         the chapters, to run and change
{wheel}    their code

To run the notebooks you need Python 3.11 or newer and some packages. Where they are installed already (PyTorch,
torchvision, Matplotlib, PyWavelets, ipywidgets, anywidget, pooch, accelerate, scikit-image, JupyterLab):

    python -m pip install --no-deps {wheel}
    python -m jupyterlab notebooks

Without --no-deps pip fetches what is missing, which needs a network once. Chapter 06 also tries the package d2l, in a
section of its own; the rest of it runs without.
"""


def colab(edition: str, out: Path) -> Path:
    """Write the zip for Colab; return its path.

    Raises:
        ValueError: It is larger than a class can upload in a minute.
        RuntimeError: The wheel was not built.
    """
    with tempfile.TemporaryDirectory() as name:
        files = list(code_and_notebooks(edition, Path(name)))
        return write_zip(editions.home(out, edition) / "colab" / f"{TOP}-colab.zip", files, ON_COLAB, LIMIT)


def offline(edition: str, out: Path) -> Path:
    """Build the site and write the zip for a machine without network; return its path.

    Raises:
        RuntimeError: The site or the wheel was not built.
    """
    if website.build_all(out, edition):
        raise RuntimeError("there is no zip without a site")
    html = editions.home(out, edition) / "html"
    with tempfile.TemporaryDirectory() as name:
        files = list(code_and_notebooks(edition, Path(name)))
        files += [(path, f"site/{path.relative_to(html).as_posix()}") for path in html.rglob("*") if path.is_file()]
        return write_zip(editions.home(out, edition) / "offline" / f"{TOP}-offline.zip", files, OFFLINE)


def dist(out: Path) -> list[Path]:
    """Build the source archive and, from it, the wheel; return their paths.

    Raises:
        RuntimeError: They were not built, or a package index would not take them.
    """
    folder = out / "_build" / "dist"
    with tempfile.TemporaryDirectory() as name:
        source, built = Path(name, "source"), Path(name, "built")
        editions.copy_package(source)
        say_no_more("build", "--no-isolation", "--outdir", str(built), str(source))
        packed = sorted(built.iterdir())
        say_no_more("twine", "check", "--strict", *map(str, packed))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return [Path(shutil.move(path, folder)) for path in packed]


def say_no_more(*command: str) -> None:
    """Run a Python program, and let it speak only when it fails."""
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} says:\n{done.stdout}{done.stderr}")


def code_and_notebooks(edition: str, folder: Path) -> Iterator[tuple[Path, str]]:
    """Name the wheel and the notebooks of an edition, each with its place in the zip; `folder` is for what is made."""
    wheel = editions.build_wheel(edition, folder)
    yield wheel, wheel.name
    book = ROOT
    if edition == "class":
        book = folder / "book"
        editions.write_tree(book)
    for path in sorted((book / "notebooks").glob("*.ipynb")):
        if editions.CHAPTER.fullmatch(path.name):
            yield path, f"notebooks/{path.name}"


def write_zip(path: Path, files: Iterable[tuple[Path, str]], readme: str, limit: float | None = None) -> Path:
    """Write a zip with a README, whole or not at all.

    Raises:
        ValueError: It has more bytes than `limit`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files = sorted(files, key=lambda one: one[1])
    (wheel,) = (place for _, place in files if place.endswith(".whl"))
    with written_whole(path) as unfinished:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(f"{TOP}/README.txt", readme.format(wheel=wheel))
            for file, place in files:
                packed.write(file, f"{TOP}/{place}")
        size = unfinished.stat().st_size
        if limit and size > limit:
            raise ValueError(f"the zip has {size / 1e6:.1f} MB, and may have {limit / 1e6:.0f}: look what has grown")
    return path


def main() -> int:
    """Do what the command line says; return 0 if all is well."""
    parser = argparse.ArgumentParser(description="Pack the book for those who have no folder of it.")
    parser.add_argument("what", choices=("colab", "offline", "dist"))
    parser.add_argument("--edition", choices=("open", "class"), default="open")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder for _build (default: the repository)")
    asked = parser.parse_args()
    out = asked.out.resolve()
    if asked.what == "dist" and asked.edition == "class":
        parser.error("the class edition is packed by `make wheel EDITION=class`; it goes to a class, not to an index")
    try:
        if asked.what == "dist":
            written = dist(out)
        else:
            written = [(colab if asked.what == "colab" else offline)(asked.edition, out)]
    except (OSError, RuntimeError, ValueError) as error:
        print(f"Nothing was packed: {error}.", file=sys.stderr)
        return 1
    for path in written:
        print(f"{path.stat().st_size / 1e6:.1f} MB: {os.path.relpath(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Build the website with every warning as an error: `python tools/website.py [--out DIR]`.

The site goes to `_build/html` beside this folder, or to `DIR/_build/html`.  Nothing else is written.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(out: Path) -> int:
    """Build the whole site from nothing into `out/_build/html`.

    Args:
        out: A folder; it is made when it is missing.  An older site in it is removed first, since Sphinx
            would leave pages of deleted chapters standing.

    Returns:
        0 if the site was built without a warning; otherwise 1, and everything that Sphinx said is printed.
    """
    start = time.perf_counter()
    html = out / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)
    # This tree's chapters_code, whichever copy is installed; and no __pycache__ left in the sources.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(ROOT)]
    command += ["--path-output", str(out), "--all", "-W", "-n", "--keep-going", "-q"]
    result = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    if result.returncode:
        print(result.stdout, file=sys.stderr)
        print("The site was not built; the warnings above say why.", file=sys.stderr)
        return 1
    print(f"Built in {time.perf_counter() - start:.1f} s.")
    print(f"The site: {html / 'index.html'} (open it, or `make serve`)")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the website of the book.")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder for _build (default: the repository)")
    sys.exit(build(parser.parse_args().out.resolve()))

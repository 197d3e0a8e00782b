#!/usr/bin/env bash
# Try the notebooks as on Colab: its Python and its packages, the book's code fetched by the set-up cell, once from an
# address and once from the zip of `make colab`.
#
#     PYTHON=python3.13 bash tools/colab_trial.sh [FOLDER]
#
# FOLDER keeps the simulated image (6 GB) for the next trial; without it, a temporary one is used.  Needs a
# network and some minutes, so it is not part of `make test`.  The versions are those of Colab's list of
# 2026-08 (googlecolab/backend-info, pip-freeze.gpu.txt), as far as the book meets them.
set -euo pipefail
cd "$(dirname "$0")/.."

image=(torch==2.11.0 torchvision==0.26.0 numpy==2.1.3 pandas==2.2.3 matplotlib==3.10.0 scipy==1.16.3
    scikit-image PyWavelets==1.9.0 ipython==7.34.0 ipykernel==6.17.1 ipywidgets==7.7.1 anywidget==0.9.21
    requests pooch tqdm accelerate filelock jsonschema nbclient)

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
colab=${1:-$trial/colab}

if [[ ! -e $colab/ready ]]; then
    "${PYTHON:-python3.13}" -m venv "$colab"
    "$colab/bin/python" -m pip install --quiet "${image[@]}"
    # Colab's kernels have imported google.colab before the first cell runs; ours do so at start-up.
    packages=$("$colab/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$packages/google/colab"
    touch "$packages/google/colab/__init__.py" "$colab/ready"
    echo 'import google.colab' >"$packages/google_colab.pth"
fi
"$colab/bin/python" -m pip uninstall --quiet --yes keep-the-crack d2l
"$colab/bin/python" -m pip freeze >"$trial/before.txt"

# Publish this folder as it is now, saved or not: a copy is committed, and its bare clone is what pip fetches.
mkdir "$trial/book" "$trial/content"
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar -x -C "$trial/book"
sh tools/environment.sh
.venv/bin/python "$trial/book/tools/repository.py" "file://$trial/published"
git -C "$trial/book" init --quiet --initial-branch=main
git -C "$trial/book" add --all
git -C "$trial/book" -c user.name=trial -c user.email=trial@localhost commit --quiet --message trial
git clone --quiet --bare "$trial/book" "$trial/published"

# Colab opens a notebook without the folder around it, in /content.
cat >"$trial/run.py" <<'END'
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

for path in sorted(Path(sys.argv[1]).glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": sys.argv[2]}}).execute()
    seconds = time.perf_counter() - start
    setup = next(cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", []))
    said = " ".join(output.text.strip() for output in setup.outputs)
    print(f"{path.name}: {len(notebook.cells)} cells in {seconds:.0f} s. {said}", flush=True)
END
export PYDEVD_DISABLE_FILE_VALIDATION=1 # else the old kernel warns about the debugger

# What the set-up cells changed in the image: these two packages and nothing else.
only_two() {
    "$colab/bin/python" -m pip freeze >"$trial/after.txt"
    changes=$(diff "$trial/before.txt" "$trial/after.txt" | grep '^[<>]') || true
    echo "What the set-up cell changed in the image:"
    echo "$changes"
    names=$(sed 's/[=@ ]*[=@].*//' <<<"$changes" | sort | tr '\n' ' ')
    [[ $names == "> d2l > keep-the-crack " && $changes == *"d2l==0.17.0"* ]] ||
        { echo "Expected: d2l and keep-the-crack, nothing else."; exit 1; }
}

echo "From the address, twice:"
for _ in first second; do "$colab/bin/python" "$trial/run.py" "$trial/book/notebooks" "$trial/content"; done
only_two

# No address: the zip of `make colab`, its wheel beside the notebooks.
"$colab/bin/python" -m pip uninstall --quiet --yes keep-the-crack d2l
.venv/bin/python tools/pack.py colab --out "$trial"
.venv/bin/python -m zipfile --extract "$trial/_build/colab/keep-the-crack-colab.zip" "$trial"
cp "$trial"/keep-the-crack/*.whl "$trial/content"
echo "From the zip:"
"$colab/bin/python" "$trial/run.py" "$trial/keep-the-crack/notebooks" "$trial/content"
only_two
echo "As it should be."

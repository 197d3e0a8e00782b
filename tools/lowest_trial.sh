#!/usr/bin/env bash
# Try the oldest version of every package that requirements.txt and pyproject.toml allow.
#
#     PYTHON=python3.11 bash tools/lowest_trial.sh [FOLDER]
#
# FOLDER keeps the environment (6 GB) for the next trial; without it, a temporary one is used.  Needs a network and some
# minutes, so it is not part of `make test`.  uv finds the versions, as pip cannot: the oldest of what the two files
# name, and the newest of what only those need.  A bound that does not hold is raised in both files.
set -euo pipefail
cd "$(dirname "$0")/.."

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
folder=${1:-$trial/lowest}

if [[ ! -e $folder/ready ]]; then
    "${PYTHON:-python3.11}" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet uv
    "$folder/bin/python" -m uv pip install --quiet --python "$folder/bin/python" \
        --resolution lowest-direct --requirement requirements.txt
    touch "$folder/ready"
fi
"$folder/bin/python" -m uv pip list --python "$folder/bin/python" >"$trial/installed.txt"
grep -E "^(torch|torchvision|numpy|matplotlib|ipywidgets) " "$trial/installed.txt"
# Old packages use what newer ones beside them call outdated: that is not the book's.
"$folder/bin/python" -m pytest --quick -W default::DeprecationWarning tests

#!/bin/sh
# Set up .venv, the book's own Python, or leave it alone when nothing has changed (every make target
# begins here).  pip alone is enough; uv is used when it is there, because it is faster.
#
#     sh tools/environment.sh
#     PYTHON=python3.12 sh tools/environment.sh               with a Python of your choice
#     CONSTRAINTS=constraints.txt sh tools/environment.sh     with the versions that the stored outputs were made with
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$@" >&2; }
has_uv() { uv --version >/dev/null 2>&1; }
holds() { "$1" -c "import sys; sys.exit(not ($2))" >/dev/null 2>&1; }
version() { "$1" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null; }

# --- nothing to do? -------------------------------------------------------------------------------
# The stamp holds all that the environment depends on: three files, or four, this folder, the Python inside.
stamp() {
    cksum requirements.txt pyproject.toml tools/environment.sh ${CONSTRAINTS:+"$CONSTRAINTS"} 2>/dev/null &&
        pwd && version .venv/bin/python
}
other_python() { [ -n "${PYTHON:-}" ] && [ "$(version "$PYTHON")" != "$(version .venv/bin/python)" ]; }

if wanted=$(stamp) && [ "$wanted" = "$(cat .venv/.ready 2>/dev/null)" ] && ! other_python; then
    exit 0
fi

if [ -n "${CONSTRAINTS:-}" ] && [ ! -f "$CONSTRAINTS" ]; then
    say "CONSTRAINTS=$CONSTRAINTS is no file here; the book's own is CONSTRAINTS=constraints.txt"
    exit 1
fi

# --- a Python that works --------------------------------------------------------------------------
# A command may exist and still fail (pyenv leaves such shims behind), so each one is run.  Debian keeps
# ensurepip in a package of its own; without it venv makes an environment that lacks pip.  uv needs neither.
tried='(3, 11) <= sys.version_info[:2] <= (3, 13)'
newer='sys.version_info[:2] > (3, 13)'
usable() { holds "$1" "$2" && { has_uv || holds "$1" '__import__("ensurepip")'; }; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" "$tried or $newer" && echo "$PYTHON"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11; do
        usable "$name" "$tried" && echo "$name" && return
    done
    has_uv && uv python install 3.13 >&2 && uv python find 3.13 && return
    usable python3 "$newer" && echo python3
}

if ! python=$(find_python); then
    say "The book needs Python 3.11 or newer (tried: 3.11 to 3.13), with the venv module." \
        "${PYTHON:+PYTHON=$PYTHON does not run, is older, or lacks venv.}"
    if holds "${PYTHON:-python3}" "$tried or $newer"; then
        say "Python is here but venv is not. On Debian or Ubuntu: sudo apt install python3-venv"
    else
        say "Install one from python.org or with your system's packages, then run the same command again." \
            "A Python in an unusual place is named like this: PYTHON=/opt/python3.12/bin/python3 make book"
    fi
    exit 1
fi
# The Python behind it: the one found may live in the very .venv that is replaced below.
python=$("$python" -c 'import sys; print(sys._base_executable)')
holds "$python" "$newer" && say "$(version "$python") is newer than what the book was tried with; going on."

# --- the environment ------------------------------------------------------------------------------
# A half-filled .venv is filled up.  One that cannot run, was moved here, or has another Python is made anew.
moved() { [ -f .venv/.ready ] && ! grep -qxF "$(pwd)" .venv/.ready; }

if ! holds .venv/bin/python '__import__("pip")' || moved || other_python; then
    say "Making .venv with $python"
    rm -rf .venv
    if has_uv; then uv venv --quiet --seed --python "$python" .venv; else "$python" -m venv .venv; fi
fi
# Little is said when only a few lines changed; the first time, a reader wants to see that it goes on.
quiet=
[ -f .venv/.ready ] && quiet=--quiet
rm -f .venv/.ready

say "Installing what requirements.txt lists; the first time takes some minutes."
if has_uv; then
    set -- uv pip install $quiet --python .venv/bin/python -r requirements.txt
else
    # setuptools warns at length that the package lies in the folder it is installed from; here it should.
    export PYTHONWARNINGS=ignore
    set -- .venv/bin/python -m pip install $quiet --disable-pip-version-check -r requirements.txt
fi
# Names and versions: what is installed gets these versions, and nothing more is installed.
[ -n "${CONSTRAINTS:-}" ] && set -- "$@" --constraint "$CONSTRAINTS"
if ! "$@" >&2; then
    say "" "The installation stopped; the reason stands above (often the network, or a full disk)." \
        "Run the same command again: it goes on where it stopped."
    [ -n "${CONSTRAINTS:-}" ] && say "Is a version not to be had here? Without CONSTRAINTS the newest that fit are taken."
    exit 1
fi
stamp >.venv/.ready

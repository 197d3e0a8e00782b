"""Which state of the code a record is of."""

import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["commit"]

_PACKAGE = Path(__file__).parents[1]


def commit() -> str:
    """Name the state of the book's code: its git commit, with a "+" if something was changed since.

    Of what is changed only the code counts, new files with it; records do not.  Installed without git, the version
    number stands in its place.
    """
    git = ["git", "-C", str(_PACKAGE)]
    try:
        known = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True).returncode == 0
        if known:
            number = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
            state = [*git, "status", "--porcelain", "--", ".", ":!records/*.json"]
            changed = subprocess.run(state, capture_output=True, text=True, check=True).stdout
            return number.strip() + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        pass
    try:
        return f"version {metadata.version('keep-the-crack')}"
    except metadata.PackageNotFoundError:  # the bare files
        return "version unknown"

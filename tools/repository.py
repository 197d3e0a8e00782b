"""Write down where the book is published, in every place that needs it: `make repository URL=https://...`.

The website's buttons (repository, issues, edit, Colab), the notebooks' set-up cells, the README's links to Colab and
the citation file all follow this one command; tests/site/test_frame.py holds that they agree.  `URL=` with nothing
behind it takes the address away, and the buttons with it.  A second run changes nothing.
"""

import re
import sys
from pathlib import Path

import nbformat

from notebooks import ROOT, SETUP_CELL, as_text, paths, put_setup_cell, store

CONFIG = ROOT / "_config.yml"
CITATION = ROOT / "CITATION.cff"
README = ROOT / "README.md"
BRANCH = "main"
BLOCK = re.compile(
    r"(?<=^# >>> repository \(written by make repository; do not edit\)\n).*?(?=^# <<< repository$)",
    re.M | re.S,
)
SETUP_LINE = re.compile(r'(?<=^REPOSITORY = ")[^"\n]*(?=")', re.M)
ADDRESS = re.compile(
    r"https://github\.com(/[\w.-]+){2}"  # owner and repository, no page within it
    r"|https://(?!github\.com)[\w.-]+(:\d+)?(/[\w.~-]+){2,}"
    r"|file:///[^\s\"\\]+"
)
MAP_ENTRY = re.compile(r"(\d\d \[[^\]]+\]\((notebooks/\w+\.ipynb)\))(?: · \[Colab\]\([^)]*\))?")
CITATION_LINE = re.compile(r"^repository-code:.*\n|\Z", re.M)


def checked(url: str) -> str:
    """Return the address in its plain form, without `.git` or `/` at its end.

    Args:
        url: https://github.com/OWNER/REPO, or the https address of a repository elsewhere; file:///FOLDER for
            a trial; or nothing.

    Raises:
        ValueError: It is none of these.
    """
    plain = url.strip().rstrip("/")
    if plain.startswith("https://"):
        plain = plain.removesuffix(".git")
    if plain and not ADDRESS.fullmatch(plain):
        raise ValueError(
            f"{url!r} is not the address of a repository; one looks like https://github.com/OWNER/REPO"
            " (or file:///FOLDER for a trial, or nothing, to take the address away)"
        )
    return plain


def site_block(url: str) -> str:
    """Write the part of _config.yml that turns the site's buttons on; without an https address, off."""
    shown = url if url.startswith("https://") else ""
    # Colab opens notebooks from GitHub only.
    colab = "https://colab.research.google.com" if shown.startswith("https://github.com/") else ""
    buttons = "true" if shown else "false"
    return f"""\
repository:
  url: "{shown}"
  branch: {BRANCH}
launch_buttons:
  colab_url: "{colab}"
html:
  use_repository_button: {buttons}
  use_edit_page_button: {buttons}
  use_issues_button: {buttons}
"""


def citation_line(url: str) -> str:
    """Write the citation file's line, or nothing when there is no https address."""
    return f'repository-code: "{url}"\n' if url.startswith("https://") else ""


def with_colab(text: str, url: str) -> str:
    """Return the README's text with a link to Colab for each chapter; without an address on GitHub, with none."""
    home = url.removeprefix("https://github.com/")
    link = f" · [Colab](https://colab.research.google.com/github/{home}/blob/{BRANCH}/\\2)" if home != url else ""
    return MAP_ENTRY.sub(rf"\1{link}", text)


def current() -> str:
    """Return the address that the set-up cell holds; nothing when there is none yet."""
    return SETUP_LINE.search(SETUP_CELL.read_text(encoding="utf-8")).group()


def write(url: str) -> list[str]:
    """Put the address everywhere.

    Returns:
        The names of the files that changed.

    Raises:
        ValueError: The address is not one, or somebody edited a place that this command writes.  No file has
            changed then.
    """
    url = checked(url)
    texts = {
        CONFIG: _replaced(CONFIG, BLOCK, site_block(url)),
        SETUP_CELL: _replaced(SETUP_CELL, SETUP_LINE, url),
        CITATION: _replaced(CITATION, CITATION_LINE, citation_line(url)),
    }
    if README.is_file():
        texts[README] = with_colab(README.read_text(encoding="utf-8"), url)
    for path in paths():
        notebook = nbformat.read(path, as_version=4)
        put_setup_cell(notebook, texts[SETUP_CELL])
        texts[path] = as_text(notebook)
    changed = {path: text for path, text in texts.items() if text != path.read_text(encoding="utf-8")}
    for path, text in changed.items():
        store(path, text)
    return [path.name for path in changed]


def _replaced(path: Path, place: re.Pattern, new: str) -> str:
    text, count = place.subn(lambda _: new, path.read_text(encoding="utf-8"), count=1)
    if not count:
        raise ValueError(f"{path.name} has lost the place for the address; restore it from git")
    return text


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Say: make repository URL=https://github.com/OWNER/REPO")
    try:
        files = write(sys.argv[1])
    except ValueError as error:
        sys.exit(f"Nothing written: {error}.")
    print(f"Published at: {current() or 'nowhere yet (the buttons are off)'}")
    print(f"Changed: {', '.join(files) or 'nothing'}")

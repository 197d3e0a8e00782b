"""Write down which versions are installed in .venv, the book's own Python: `make constraints`.

The stored outputs were made with these versions.  `.ci/run` installs them, and so does whoever says
`CONSTRAINTS=constraints.txt make book`; everybody else gets the newest that requirements.txt allows.  To renew them:
`make distclean`, `make notebooks`, `make test`, and when all is well `make constraints`.

The file holds names and versions alone: no address, no hash, no mark of one kind of processor, such as `+cpu`.
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import distributions

from notebooks import ROOT, store

CONSTRAINTS = ROOT / "constraints.txt"
# The package itself, what installs packages, and the GPU libraries, of which PyTorch says by itself what it needs.
LEFT_OUT = re.compile(r"keep-the-crack|pip|uv|wheel|triton|(nvidia|cuda)-.*")
# Where a version is not to be had.  scikit-image 0.25 has no wheel for Python 3.14, and pysodmetrics, which takes no
# later one, is left out there (requirements.txt).
MARKERS = {"scikit-image": 'python_version < "3.14"'}


def lines(installed: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each package, by name: `numpy==2.3.4`.

    Args:
        installed: Name and version of each, as the package itself writes them.
    """
    plain = {re.sub(r"[-_.]+", "-", name).lower(): version.partition("+")[0] for name, version in installed}
    named = {name: version for name, version in sorted(plain.items()) if not LEFT_OUT.fullmatch(name)}
    return [f"{name}=={version}" + (f"; {MARKERS[name]}" if name in MARKERS else "") for name, version in named.items()]


def text(installed: Iterable[tuple[str, str]]) -> str:
    """Return what constraints.txt holds."""
    python = ".".join(map(str, sys.version_info[:2]))
    head = f"# The versions that the stored outputs were made with, on Python {python}: `make constraints` writes them."
    return "\n".join([head, *lines(installed), ""])


if __name__ == "__main__":
    found = text((one.metadata["Name"], one.version) for one in distributions())
    store(CONSTRAINTS, found)
    print(f"{CONSTRAINTS.name}: {found.count('==')} packages")

"""The command `python -m chapters_code.data.synthetic`: write a drawn data set to disk."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from chapters_code.data.synthetic.twin import TWINS, write_twin

_SHORT = {"voc": "voc2012", "cracks": "crack/DeepCrack", "saliency": "sod/ECSSD"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line; the usage is a --help away."""
        self.exit(2, f"{self.prog}: {message}; --help shows how\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = _Parser(
        prog="python -m chapters_code.data.synthetic",
        description="Draw a data set and write it to DIR, laid out like the real one, so that the same programs\n"
        "read both.  The masks are true to the pixel, and one seed gives one set on every machine.",
        epilog="Then let BOOK_DATA name DIR, and the book's chapters and commands find the set there:\n\n"
        "  python -m chapters_code.data.synthetic voc --out data -n 200 --seed 0\n"
        "  BOOK_DATA=data jupyter lab\n\n"
        "200 scenes of VOC take 12 MB and some ten seconds.  What is there already is never overwritten.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "kind",
        metavar="KIND",
        choices=(*_SHORT, *TWINS),
        help="voc, cracks or saliency (twins of VOC 2012, DeepCrack and ECSSD), or a real set's own name: "
        + ", ".join(TWINS),
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder of data sets")
    parser.add_argument("-n", metavar="COUNT", type=int, default=200, help="how many pairs, 4 or more (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="0 or more; another seed draws other pairs (default: 0)")
    options = parser.parse_args(arguments)
    name = _SHORT.get(options.kind, options.kind)
    try:
        write_twin(name, options.out, options.n, options.seed)
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(f"{options.n} pairs are in {options.out / name}")


if __name__ == "__main__":
    main()

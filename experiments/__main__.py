"""Run the book's studies.

    python -m experiments                                      their names, and what is left to do
    python -m experiments NAME --plan                          what is asked, what is expected, how it will be judged
    python -m experiments NAME --dry-run [--out OUT]           what would run, and about how long
    python -m experiments NAME --data DIR --out OUT            train what is not done; start it once per core
    python -m experiments NAME --out OUT --collect             put all finished runs into the study's record

What is stopped is taken up again by the same line.
"""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

import experiments
from chapters_code.records import studies
from experiments import work


def names() -> list[str]:
    """Name the modules that hold a study."""
    found = (one.name for one in pkgutil.iter_modules(experiments.__path__) if not one.name.startswith("_"))
    return [name for name in found if hasattr(importlib.import_module(f"experiments.{name}"), "STUDY")]


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=names())
    parser.add_argument("--plan", action="store_true", help="print the plan")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and how long")
    parser.add_argument("--collect", action="store_true", help="write the record of all finished runs")
    parser.add_argument("--tune", action="store_true", help="of the study's learning rates, if it tried some")
    parser.add_argument("--data", type=Path, help="folder of data sets, laid out like BOOK_DATA")
    parser.add_argument("--out", type=Path, help="folder for the runs")
    asked = parser.parse_args()
    if asked.name is None:
        for name in names():
            print(summary(importlib.import_module(f"experiments.{name}").STUDY, asked.out, name))
        return 0
    module = importlib.import_module(f"experiments.{asked.name}")
    if asked.tune and not hasattr(module, "TUNING"):
        parser.error(f"{asked.name} takes its learning rates from elsewhere: it has nothing to --tune")
    study = module.TUNING if asked.tune else module.STUDY
    if asked.plan:
        print(module.__doc__)
    elif asked.dry_run:
        for planned in work.left(study, asked.out):
            print(f"{planned.folder}  about {planned.minutes:g} min")
        print(summary(study, asked.out, asked.name))
    elif asked.out is None:
        parser.error("name the folder for the runs: --out OUT")
    elif asked.collect:
        print(work.put_away(study, asked.out, Path(studies.__file__).with_suffix("")))
    else:
        work.run_all(study, asked.data, asked.out, lambda text: print(text, flush=True))
    return 0


def summary(study: work.Study, out: Path | None, name: str) -> str:
    """Say in a line how much of a study is left."""
    rest = work.left(study, out)
    hours = sum(one.minutes for one in rest) / 60
    return f"{name}: {len(rest)} of {len(study.planned)} runs left, about {hours:.1f} hours of one core"


if __name__ == "__main__":
    sys.exit(main())

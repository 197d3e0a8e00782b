"""Measure the bite of the tests: plant faults, one at a time, and count how many turn a test red.

    python tools/mutation.py                         a sample of the faults in all topics; writes tests/mutation.json
    python tools/mutation.py hwd pooling             two topics; the others in the file stay as they are
    python tools/mutation.py --compare before.json   and what became of the faults of an older result

The faults (mutants) are those of cosmic-ray: a `+` becomes a `-`, a `<` a `<=`, a 2 a 3, a loop never runs.  A mutant
is known by its function, its line and what is done to it, not by its file; and whether it is in the sample hangs on
that alone.  So the same ones are drawn after the code was moved.  What was rewritten has new ones, at the same rate.

Every mutant runs in a process of its own, forked from one that has imported all the libraries.  There an import hook
serves the faulty text in place of the module's file, so nothing is ever written into the tree.  The topic's own tests
and the examples of its docstrings run, the quickest first, until one is red.  Slow tests, and those beyond `BUDGET`
seconds, are left out: a fault that only they find counts as a survivor.

A survivor is a gap in the tests, unless no test could find it.  Then write the reason into the result, as its
"equivalent"; it is kept there.
"""

import argparse
import gc
import hashlib
import importlib
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

ROOT = Path(__file__).resolve().parent.parent
# A topic's modules in chapters_code, and its test files without "test_", or with their folder in its place.
TOPICS = {
    "fast": ("fast/*.py", "fast_wavelets fast_wtconv"),
    "losses": ("losses.py train/losses.py", "losses"),
    "metrics": ("metrics/*.py", "metrics_classes metrics_cracks metrics_frame metrics_saliency"),
    "receptive_field": ("receptive_field.py receptive_field/*.py", "receptive_field"),
    "strided": ("strided.py cost.py", "strided cost"),
    "wavelets": ("wavelets.py", "wavelets peers_wavelets"),
}
ALIKE = "aspp blocks checks dilated downsample fcn hwd layers pooling shapes tiles transposed u2net unet wtconv"
TOPICS |= {word: (f"{word}.py", word) for word in ALIKE.split()}
# Of cosmic-ray's operators those whose faults are hard to see; a tensor shifted by bits is found by any test.
OPERATORS = {
    "ReplaceBinaryOperator_": "Add_Sub Sub_Add Mul_Add Div_Mul FloorDiv_Sub Mod_FloorDiv Pow_Mul BitOr_BitAnd",
    "ReplaceComparisonOperator_": "Eq_NotEq Eq_GtE Eq_LtE NotEq_Eq NotEq_Lt Lt_LtE LtE_Lt Gt_GtE GtE_Gt"
    " Is_IsNot IsNot_Is",
    "ReplaceUnaryOperator_Delete_": "USub Invert Not",
    "Replace": "TrueWithFalse FalseWithTrue AndWithOr OrWithAnd BreakWithContinue ContinueWithBreak",
    "": "AddNot ExceptionReplacer NumberReplacer RemoveDecorator ZeroIterationForLoop",
}
# The parts of the syntax tree that hold words; those that hold a type behind a : or ->.
WORDS = {"raise_stmt", "fstring", "import_name", "import_from", "parameters"}
TYPED = {"tfpdef", "funcdef", "annassign"}
SHARE = 0.15  # of all mutants, those that are drawn
SLOW = 2.0  # CPU-seconds; no test that takes longer is run
BUDGET = 8.0  # CPU-seconds of tests that a mutant may cost
NOT_SERVED = 99  # a status that pytest does not have


def mutants(path: Path, share: float) -> Iterator[tuple[dict[str, str], str]]:
    """Draw the mutants of a module: for each what it is, and the module's whole text with it."""
    source = path.read_text(encoding="utf-8")
    lines, nodes = source.splitlines(), list(ast_nodes(get_ast(source)))
    for name in (start + end for start, ends in OPERATORS.items() for end in ends.split()):
        operator, alike = OperatorProvider()[name](), Counter()
        positions = [(node, start) for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (node, (number, _)) in enumerate(positions):
            function, line = _function(node), lines[number - 1].strip()
            alike[function, line] += 1
            digest = hashlib.sha256(f"{function} {name} {line} {alike[function, line]}".encode()).hexdigest()[:8]
            if function is None or line.startswith("__all__") or int(digest, 16) >= share * 16**8:
                continue
            with suppress(SyntaxError, AttributeError):  # such as {//kwargs}; cosmic-ray cannot exchange copy.Error
                text = mutate_code(source, operator, occurrence)
                compile(text, path, "exec")
                now = text.splitlines()[number - 1].strip() if name != "RemoveDecorator" else "(taken away)"
                yield {"id": digest, "where": f"{path.stem}.{function}", "line": line, "became": now}, text


def _function(node) -> str | None:
    """Return the name of the function around a node, or None where a fault would only change words or types."""
    names = []
    while parent := node.parent:
        before = node.get_previous_sibling()
        typed = parent.type in TYPED and before and before.get_code().strip() in (":", "->") and node.type != "suite"
        if typed or (parent.type in WORDS and node.type != "param"):
            return None
        names += [parent.name.value] if parent.type in ("classdef", "funcdef") else []
        node = parent
    return ".".join(reversed(names))


class Served(SourceFileLoader):
    """Import hook: one module's text comes from here, not from its file; and no file of compiled code is written."""

    def __init__(self, path: Path, text: str) -> None:
        name = ".".join(path.relative_to(Path.cwd()).with_suffix("").parts).removesuffix(".__init__")
        super().__init__(name, str(path))
        self.text, self.used = text, False

    def find_spec(self, fullname: str, path=None, target=None):
        if fullname == self.name:
            return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str):
        self.used = True
        return compile(self.text, self.path, "exec", dont_inherit=True)


class Plan:
    """A plugin of pytest: serves modules, runs the quickest tests first, and takes their time."""

    def __init__(self, served: list[Served], seconds: dict[str, float]) -> None:
        self.served, self.seconds, self.spent = served, seconds, {}

    def pytest_sessionstart(self) -> None:
        sys.meta_path[:0] = self.served  # in front of pytest's own hook, which else reads the module from disk

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = [(self.seconds.get(item.nodeid, 0), item) for item in items]
        known = sorted((one for one in known if one[0] < SLOW), key=lambda one: one[0])
        left = BUDGET
        items[:] = [item for seconds, item in known if (left := left - seconds) >= 0]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item):
        if not self.seconds:  # the first run finds out which are slow, and need not wait for their end
            signal.signal(signal.SIGVTALRM, lambda *_: pytest.skip("slow"))
            signal.setitimer(signal.ITIMER_VIRTUAL, SLOW)
        began = sum(os.times()[:4])  # with the programs that it starts
        result = yield
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self.spent[item.nodeid] = round(sum(os.times()[:4]) - began, 4)
        return result


def start(files: list[Path], served: list[Served], seconds: dict[str, float], log: Path | None = None) -> int:
    """Run the tests in a forked process; return its number.  Its status is pytest's."""
    if pid := os.fork():
        return pid
    status = NOT_SERVED
    try:
        output = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        limit = int(10 + 3 * BUDGET) if seconds else 1000
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 2))
        resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))  # a fault in a size does not eat the machine
        signal.alarm(20 * limit)  # for one that waits and does not work
        plan = Plan(served, seconds)
        quiet = f"-q -x -p no:cacheprovider -o addopts= --doctest-modules --tb={'short' if log else 'no'}".split()
        status = int(pytest.main([*quiet, "-m", "not browser and not real_data", *map(str, files)], plugins=[plan]))
        if log:
            libraries = [name for name, one in sys.modules.items() if "-packages" in str(getattr(one, "__file__", ""))]
            log.with_suffix(".json").write_text(json.dumps([plan.spent, libraries]))
        if not all(one.used for one in served):
            status = NOT_SERVED
    finally:
        sys.stdout.flush()
        os._exit(status)


def wait() -> tuple[int, int]:
    """Wait for one that is done; return its number, and 0 if its tests are green."""
    pid, status = os.wait()
    if os.waitstatus_to_exitcode(status) == NOT_SERVED:
        raise RuntimeError("the tests never imported the module: nothing would be measured")
    return pid, status


def unharmed(files: list[Path], modules: list[Path]) -> dict[str, float]:
    """See the tests green without a fault; return each one's CPU-seconds, and import the libraries that they use."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log = Path(folder) / "log"
        for _ in range(2):  # in the order of the files, then as a mutant has them
            start(files, [Served(path, path.read_text(encoding="utf-8")) for path in modules], seconds, log)
            if wait()[1]:
                raise RuntimeError(f"the tests are red without a fault:\n{log.read_text()}")
            spent, libraries = json.loads(log.with_suffix(".json").read_text())
            seconds |= spent
            for name in libraries:
                with suppress(Exception):
                    importlib.import_module(name)
    gc.freeze()  # what is there by now is not looked at again, so that the forked processes share its memory
    return seconds


def measure(topic: str, share: float, jobs: int) -> dict:
    """Plant the faults of a topic and return what became of them."""
    code, words = (patterns.split() for patterns in TOPICS[topic])
    modules = [path for pattern in code for path in sorted(Path.cwd().glob(f"chapters_code/{pattern}"))]
    names = {path: path.stem.removeprefix("test_") for path in sorted(Path.cwd().glob("tests/**/test_*.py"))}
    files = [one for one, name in names.items() if {name, f"{one.parent.name}_{name}"} & set(words)]
    if not modules or not files:
        raise ValueError(f"{topic}: found modules {modules} and tests {files}; say in TOPICS where they are now")
    seconds = unharmed(files + modules, modules)
    drawn = [(path, *one) for path in modules for one in mutants(path, share)]
    waiting, running, survivors = list(drawn), {}, []
    while waiting or running:
        if waiting and len(running) < jobs:
            path, mutant, text = waiting.pop()
            running[start(files + modules, [Served(path, text)], seconds)] = mutant
        else:
            pid, status = wait()
            mutant = running.pop(pid)
            survivors += [mutant] if status == 0 else []
    drawn = " ".join(sorted(mutant["id"] for _, mutant, _ in drawn))
    return {"drawn": drawn, "survivors": sorted(survivors, key=lambda one: (one["where"], one["line"]))}


def counts(topics: list[dict], only: set[str] | None = None) -> str:
    """Put in words how many mutants were killed; of `only` some, if they are given."""
    drawn = [one for topic in topics for one in topic["drawn"].split() if only is None or one in only]
    alive = [one for topic in topics for one in topic["survivors"] if only is None or one["id"] in only]
    harmless = sum("equivalent" in one for one in alive)
    return f"{len(drawn) - len(alive)} of {len(drawn)} killed, {harmless} equivalent, {len(alive) - harmless} open"


def main() -> int:
    """Measure the topics asked for; return the exit status."""
    parser = argparse.ArgumentParser(description="Plant faults and count how many turn a test red.")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"one of {', '.join(TOPICS)}; none means all")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the book's folder to be measured")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the result; tests/mutation.json in that folder")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an older result")
    parser.add_argument("--share", type=float, default=SHARE, help="of all mutants, those that are drawn")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    out = (asked.out or asked.root / "tests" / "mutation.json").absolute()
    result = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {"summary": {}, "topics": {}}
    topics, summary = result["topics"], result["summary"]
    old = json.loads(asked.compare.read_text(encoding="utf-8"))["topics"] if asked.compare else {}
    os.chdir(asked.root)
    sys.path[0] = os.getcwd()
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1", "BOOK_OFFLINE": "1"}

    earlier = [one for topic in [*old.values(), *topics.values()] for one in topic["survivors"]]
    reasons = {one["id"]: {"equivalent": one["equivalent"]} for one in earlier if "equivalent" in one}
    for name in asked.topics or TOPICS:
        found = measure(name, asked.share, asked.jobs)
        found["survivors"] = [one | reasons.get(one["id"], {}) for one in found["survivors"]]
        topics[name] = {"summary": counts([found])} | found
        print(f"{name}: {topics[name]['summary']}", flush=True)
        summary["all"] = counts(topics.values())
        if old:
            then, now = (set(" ".join(one["drawn"] for one in some.values()).split()) for some in (old, topics))
            topics[name]["before"] = counts([old[name]]) if name in old else "not measured"
            summary |= {"before": counts(old.values()), "the same ones before": counts(old.values(), then & now)}
            summary |= {"the same ones now": counts(topics.values(), then & now)}
            summary |= {"new ones, in other lines": counts(topics.values(), now - then)}
        out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(*(f"{one}: {words}" for one, words in summary.items()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

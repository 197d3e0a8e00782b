"""What several test files share."""

import collections
import os
import random
import sys
from pathlib import Path

import pytest

# The tests run side by side, one to a core; more threads than cores only wait for each other.  Set before torch is
# imported, and inherited by the notebooks' kernels.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Workers and kernels keep the memory that they have freed: to give it back and take it anew costs a tenth of the time.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "1073741824")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "2147483647")
# PyTorch's exporter keeps what each operator gave, to look it up.  With open sizes of small layers that costs more time
# than it saves; only for a large network is it the other way round.
os.environ.setdefault("TORCH_FAKE_TENSOR_DISPATCH_CACHE", "0")
# No test and no notebook downloads a data set; those that try downloads have a server of their own, on this machine.
os.environ.setdefault("BOOK_OFFLINE", "1")
# Where photographs are, a chapter would train for half an hour on them.
os.environ.setdefault("BOOK_TIER", "smoke")

# No test is somebody's progress; those that try it name a file of their own.
os.environ.setdefault("BOOK_PROGRESS", "off")

# Where every test starts to draw, whichever ran before it.  Another one: BOOK_SEED=7 pytest tests/test_hwd.py
SEED = int(os.environ.get("BOOK_SEED", "0"))


@pytest.hookimpl(tryfirst=True)  # before the fixtures, of which some draw, too
def pytest_runtest_setup(item):
    random.seed(SEED)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(SEED)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        report.sections.append(("random numbers", f"BOOK_SEED={SEED} draws them again"))
    return report


def pytest_addoption(parser):
    """`--quick`, which `make quick` says."""
    parser.addoption("--quick", action="store_true", help="the first case of every test, but of no slow one")


def pytest_collection_modifyitems(config, items):
    """With --quick, leave out what is slow: marked so, or done in a browser."""
    if not config.getoption("quick"):
        return
    quick = {}
    for item in items:
        if not item.get_closest_marker("slow") and not {"browser", "site"} & set(item.fixturenames):
            quick.setdefault(item.nodeid.partition("[")[0], item)
    config.hook.pytest_deselected(items=list(set(items) - set(quick.values())))
    items[:] = quick.values()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep on one worker the cells of a notebook, which need those above them, and what shares a site or a page."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return file if file.endswith(".ipynb") or "/site/" in file or "/figures/" in file else nodeid

    return Together(config, log)


_FLAGS = [
    "--no-sandbox",  # inside a container there is none to have
    "--disable-gpu",
    "--disable-quic",
    "--process-per-site",  # a new process for each of some hundred pages takes longer than the page
    "--no-first-run",
    # Chromium's own errands; the tests record every request, and these are not the book's.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, driven by Playwright.

    Taken from BOOK_CHROMIUM, else from the PATH, else Playwright's own.  Where there is none the test is
    skipped, and with BOOK_REQUIRE_BROWSER=1 it fails.
    """
    from playwright import sync_api

    from pdf import chromium_path  # here: only a browser needs it

    with sync_api.sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=chromium_path(), args=_FLAGS)
        except sync_api.Error as error:
            reason = f"no Chromium starts ({str(error).splitlines()[0]}): install one, or name it in BOOK_CHROMIUM"
            if os.environ.get("BOOK_REQUIRE_BROWSER") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def book_data():
    """The folder of real photographs that BOOK_DATA names; without one the test is skipped."""
    folder = os.environ.get("BOOK_DATA")
    if not folder:
        pytest.skip("BOOK_DATA names no folder with the real data sets")
    assert Path(folder).is_dir(), f"BOOK_DATA={folder} is not a folder"
    return Path(folder)


@pytest.fixture(scope="session")
def blank(browser):
    """An empty page, for the plain functions of a figure."""
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="session")
def _idle_pages(browser):
    """Pages that no test has at the moment, by the settings of their context."""
    return collections.defaultdict(list)


@pytest.fixture
def lend_page(browser, _idle_pages):
    """Lend pages for a test: `lend_page(viewport=..., has_touch=True)`, the settings of a browser context.

    Each is as good as new, but a new one takes Chromium five times as long as to go on with one that is there.
    What a test listens to, and what it routes, it has to undo.
    """
    lent = []

    def lend(**settings):
        key = repr(sorted(settings.items()))
        page = _idle_pages[key].pop() if _idle_pages[key] else browser.new_context(**settings).new_page()
        lent.append((key, page, page.viewport_size))
        return page

    yield lend
    for key, page, size in lent:
        page.evaluate("() => { try { localStorage.clear(); sessionStorage.clear(); } catch { /* has none */ } }")
        page.context.clear_cookies()
        page.mouse.move(0, 0)
        if page.viewport_size != size:
            page.set_viewport_size(size)
        _idle_pages[key].append(page)


@pytest.fixture
def open_page(lend_page, tmp_path):
    """Open figures on a page from disk; nothing may be asked for, and nothing may go wrong."""
    from browsing import page_of  # here: it imports torch, which the lines at the top must come before

    pages, wrong = [], []

    def refuse(route):
        wrong.append(f"request: {route.request.url}")
        route.abort()

    listeners = {
        "console": lambda message: wrong.append(f"console: {message.text}"),
        "pageerror": lambda error: wrong.append(f"error: {error}"),
    }

    def open_(*figures, style="", **settings):
        path = tmp_path / "page.html"
        path.write_text(page_of(*figures, style=style), encoding="utf-8")
        page = lend_page(**settings)
        pages.append(page)
        page.set_default_timeout(10_000)
        page.route(lambda url: not url.startswith(("data:", path.as_uri())), refuse)
        for event, listener in listeners.items():
            page.on(event, listener)
        page.goto(path.as_uri())
        if settings.get("java_script_enabled", True):
            page.locator(".figure").nth(len(figures) - 1).wait_for(state="attached")
        return page

    yield open_
    for page in pages:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
        page.unroute_all()
    assert not wrong


@pytest.fixture
def drawn(monkeypatch):
    """The figures that the plots of `chapters_code.figures` have shown, each with its alt text."""
    shown = []
    monkeypatch.setattr("chapters_code.figures.show", lambda figure, alt: shown.append((figure, alt)))
    return shown

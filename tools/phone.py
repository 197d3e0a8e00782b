"""Measure how long a telephone waits for the pages of the site: `python tools/phone.py [PAGE ...]`.

A screen of 390 pixels, a processor four times slower than this one, a line of 1.6 Mbit/s with 150 ms to the server, a
server that compresses.  For each page: what was sent until a second and a half after it was loaded, when its largest
part was painted, when all was loaded.  Seconds depend on the machine and on what else it does; tests hold the bytes.
"""

import argparse
import functools
import gzip
import http.server
import os
import shutil
import sys
import threading
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

SITE = Path(__file__).resolve().parent.parent / "_build" / "html"
COMPRESSED = {".html", ".js", ".css", ".svg"}
LINE = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 200_000,
    "uploadThroughput": 90_000,
}  # bytes in a second
WATCH_PAINT = """
  window.painted = 0;
  new PerformanceObserver((list) => { window.painted = list.getEntries().at(-1).startTime; })
    .observe({type: "largest-contentful-paint", buffered: true});
"""
RESULT = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const all = [page, ...performance.getEntriesByType("resource")];
  return [all.reduce((sum, entry) => sum + entry.transferSize, 0), window.painted, page.loadEventEnd];
}"""


class Compressing(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as hosts of pages do."""

    def log_message(self, *_) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with a file, compressed if it is text."""
        path = Path(self.translate_path(self.path))
        if path.suffix not in COMPRESSED or not path.is_file():
            return super().do_GET()
        body = gzip.compress(path.read_bytes(), 6)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def measure(browser: Browser, url: str) -> tuple[float, float, float]:
    """Return the KB sent for a page, the seconds to its largest paint, and those until it was loaded."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", LINE)
    page.add_init_script(WATCH_PAINT)
    page.goto(url, timeout=180_000)
    page.wait_for_timeout(1500)
    sent, painted, loaded = page.evaluate(RESULT)
    context.close()
    return sent / 1024, painted / 1000, loaded / 1000


def main() -> int:
    """Measure the pages that are named, or all with words of the book."""
    parser = argparse.ArgumentParser(description="Measure how long a telephone waits for the pages of the site.")
    parser.add_argument(
        "pages", nargs="*", metavar="PAGE", help="such as book/index; default: all of book and notebooks"
    )
    parser.add_argument("--site", type=Path, default=SITE, help="folder of the built site (default: _build/html)")
    arguments = parser.parse_args()
    site = arguments.site
    found = sorted(path for folder in ("book", "notebooks") for path in (site / folder).glob("*.html"))
    pages = arguments.pages or [path.relative_to(site).with_suffix("").as_posix() for path in found]
    if not pages:
        print(f"There is no site in {site}; say `make book` first.", file=sys.stderr)
        return 1
    chromium = os.environ.get("BOOK_CHROMIUM") or shutil.which("chromium")
    handler = functools.partial(Compressing, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        print(f"{'page':30} {'sent':>8} {'largest paint':>15} {'loaded':>9}")
        for page in pages:
            sent, painted, loaded = measure(browser, f"http://127.0.0.1:{server.server_port}/{page}.html")
            print(f"{page:30} {sent:5.0f} KB {painted:13.1f} s {loaded:7.1f} s", flush=True)
        browser.close()
        server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Measures the pages in headless Chromium: how soon the first paint is, and what comes over the wire.

    target/venv/bin/python benches/page.py [--runs 9] [--binary PATH]

Builds the release binary, starts the daemon on the sample week in a temporary folder, and visits each page --runs
times, each time with a fresh browser context, so that nothing is cached. Prints a Markdown table to standard output,
and what it is doing to standard error.

The first paint is what the browser itself says of it (PerformancePaintTiming), counted from the start of the visit; the
bytes are all that came over the wire, headers included, until the page listens to the stream of events. Medians.

Needs what `make browser-tools` installs.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is to be left beside this file
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/browser"))

from playwright.sync_api import expect, sync_playwright

import daemon
import load
from load import say

OF = "/datasets/shopify_config"
PAGES = {
    "overview": "/",
    "dataset": OF,
    "day, loaded": f"{OF}/days/2019-04-02",
    "day, waiting": f"{OF}/days/2019-04-03",
    "dry run": f"{OF}/dry-run?action=catch_up",
    "daemons": "/daemons",
    "configuration": "/configuration",
    "activity log": "/activity-log",
}
PAINTED = """() => new Promise((painted) => {
    const first = (list) => list.getEntries().forEach((it) => it.name === 'first-paint' && painted(it.startTime));
    new PerformanceObserver(first).observe({ type: 'paint', buffered: true });
})"""


def main():
    arguments = parse_arguments()
    daemon.PROGRAM = load.build_dayfill(arguments.binary)
    work = Path(tempfile.mkdtemp(prefix="dayfill-bench-", dir="/var/tmp"))
    try:
        project = daemon.Project.sample(work / "sample")
        with project.start() as running, sync_playwright() as playwright:
            running.wait_for("2019-04-07: loaded")
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            visit(browser, running.url)  # what the first page costs the browser, once
            print("| page | first paint, ms | KiB |\n| --- | ---: | ---: |")
            for name, path in PAGES.items():
                say(f"== {name}")
                visits = [visit(browser, running.url + path) for _ in range(arguments.runs)]
                paint, size = map(statistics.median, zip(*visits))
                print(f"| {name} | {paint:.0f} | {size / 1024:.1f} |")
            browser.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="visits of each page (default %(default)s)")
    parser.add_argument("--binary", type=Path, help="measure this binary instead of building one")
    return parser.parse_args()


def visit(browser, url):
    """Milliseconds to the first paint, and bytes."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        network, came = context.new_cdp_session(page), []
        network.on("Network.loadingFinished", lambda event: came.append(event["encodedDataLength"]))
        network.send("Network.enable")
        page.goto(url)
        if page.locator("body[data-events]").count():
            expect(page.locator("#live")).to_have_text("live")
        return page.evaluate(PAINTED), sum(came)


if __name__ == "__main__":
    main()

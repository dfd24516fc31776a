"""What the tests share: a browser, and pages that are watched for errors."""

import contextlib
import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from daemon import PATIENCE, Project

AXE = Axe()


class Watched:
    """Opens pages, and collects what goes wrong on them. A test puts what it provokes into `expected`."""

    def __init__(self, browser):
        self.browser = browser
        self.contexts = []
        self.wrong: list[str] = []
        self.expected: list[str] = []

    def open(
        self, url: str = "about:blank", dark: bool = False, width: int = 1280, height: int = 900, scripts: bool = True,
        session: dict | None = None, zone: str = "UTC",
    ) -> Page:
        """A page of its own browser, whose reader's clock is that of `zone`; `session` is what `session_of` gave."""
        context = self.browser.new_context(
            color_scheme="dark" if dark else "light", viewport={"width": width, "height": height},
            locale="en-GB", timezone_id=zone, reduced_motion="reduce", java_script_enabled=scripts,
            storage_state=session,
        )
        context.set_default_timeout(PATIENCE * 1000)
        self.contexts.append(context)
        return self.tab(context, url)

    def tab(self, context, url: str = "about:blank") -> Page:
        """One more page of a browser that is open."""
        page = context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.goto(url)
        return page

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text} ({message.location.get('url')})")

    def _failed(self, request) -> None:
        # Whoever goes to another page leaves the stream, and perhaps an answer, an image or the icon ("other").
        left = ("eventsource", "fetch", "image", "other")
        if not (request.failure == "net::ERR_ABORTED" and request.resource_type in left):
            self.wrong.append(f"request: {request.method} {request.url}: {request.failure}")

    def _answered(self, response) -> None:
        if response.status >= 400:
            self.wrong.append(f"answer: {response.status} {response.url}")

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        unexpected = [what for what in self.wrong if not any(known in what for known in self.expected)]
        assert not unexpected, unexpected


def accessible(page: Page) -> None:
    """No rule of axe is broken."""
    found = AXE.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    told = [{"rule": one["id"], "at": [node["html"][:200] for node in one["nodes"][:3]],
             "why": one["nodes"][0]["failureSummary"]} for one in found]
    assert not told, f"{page.url}: {json.dumps(told, indent=1)}"


def fits(page: Page) -> None:
    """The page itself does not scroll sideways."""
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= seen, f"{page.url} is {wide} wide, {seen} are seen"


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def session_of(browser, url: str, name: str, password: str) -> dict:
    """The cookies of somebody who is logged in."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        log_in(page, name, password)
        expect(page.locator("form.who")).to_contain_text(name)
        return context.storage_state()


@pytest.fixture(scope="session")
def browser():
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        # As root chromium wants no sandbox. It meets only pages of ours.
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def run():
    """Starts daemons that end with the test, after the pages that look at them."""
    with contextlib.ExitStack() as daemons:
        yield lambda project, *arguments, port=0: daemons.enter_context(project.start(*arguments, port=port))


@pytest.fixture
def watched(browser, run):
    watched = Watched(browser)
    yield watched
    watched.close()


@pytest.fixture
def sample(tmp_path):
    return Project.sample(tmp_path / "sample")

"""Every page, in light and dark, on a desk and on a phone: how it looks, what the keyboard reaches, what is there
without scripts, and what it weighs. With DAYFILL_SCREENSHOTS=FOLDER a picture of each is put there."""

import os
import re
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from conftest import accessible, fits, session_of
from daemon import ROOT
from fixtures import PASSWORD, SampleShop

RANGE = "from=2024-06-10&to=2024-06-20"
PAGES = {
    "overview": "/",
    "dataset": "/datasets/orders",
    "ten-years": "/datasets/exchange_rates",
    "day-loaded": "/datasets/orders/days/2024-06-20",
    "day-refused": "/datasets/orders/days/2024-06-18",
    "dry-run": f"/datasets/orders/dry-run?{RANGE}&action=reload",
    "daemons": "/daemons",
    "configuration": "/configuration",
    "activity-log": "/activity-log",
    "login": "/login",
}
WIDTHS = (1280, 390)  # a desk, a phone
KIB = 1024

# What a person can do something with, as far as it is shown. Cells beyond a calendar's first tab stop are reached by
# arrow keys; what a strip's and a chart's cells lead to stands in words beside them.
ACTS = "a[href], button, input:not([type=hidden]), select, summary, [role=region][tabindex='0']"
BY_OTHER_WAYS = ".days a, .chart a"


class Shown:
    """The daemon of a shop, and somebody who is logged in to it."""

    def __init__(self, daemon, session: dict):
        self.daemon, self.session = daemon, session

    def open(self, watched, page: str, **how) -> Page:
        session = None if page == "login" else self.session
        return watched.open(self.daemon.url + PAGES[page], session=session, **how)


@pytest.fixture(scope="module")
def shown(browser):
    # Its path is in the pictures.
    with (
        tempfile.TemporaryDirectory(prefix="shop-") as folder,
        SampleShop(Path(folder) / "srv").project.start("--no-catch-up") as daemon,
    ):
        session = session_of(browser, daemon.url, "ada", PASSWORD)
        ask_for_things(browser, daemon, session)
        yield Shown(daemon, session)


def ask_for_things(browser, daemon, session: dict) -> None:
    """Leaves a log of who did what."""
    with browser.new_context(storage_state=session) as context:
        page = context.new_page()
        page.goto(daemon.url)
        for dataset, action, first, last, reason in [
            ("orders", "reload", "2024-06-03", "2024-06-07", "the export was repaired"),
            ("web_sessions", "skip", "2024-06-29", "2024-06-29", "the tracker was off"),
            ("orders", "retry", "2024-06-18", "2024-06-18", ""),
            ("newsletter_clicks", "pause", "", "", "the provider moves to another format"),
        ]:
            asked = {"action": action, "from": first, "to": last, "reason": reason}
            answer = page.request.post(
                f"{daemon.url}/datasets/{dataset}/actions", form=asked, headers={"Origin": daemon.url}
            )
            assert answer.ok, answer.text()
        daemon.wait_for("orders 2024-06-18: refused")
        daemon.wait_for("newsletter_clicks: paused")


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_accessible_and_fits(name, shown, watched):
    page = shown.open(watched, name)
    expect(page.locator("h1")).to_be_attached()
    live(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            accessible(page)
        fits(page)
    page.evaluate("document.querySelectorAll('details').forEach((box) => (box.open = true))")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        fits(page)


def live(page: Page) -> None:
    """Waits until a page that listens does so."""
    if page.locator("body[data-events]").count():
        expect(page.locator("#live")).to_have_text("live")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_what_acts_and_one_sees_where_it_is(name, width, shown, watched):
    page = shown.open(watched, name, width=width)
    live(page)
    acts = page.evaluate(
        """([acts, others]) => {
            const shown = [...document.querySelectorAll(acts)].filter((it) => it.checkVisibility());
            shown.forEach((it, number) => (it.dataset.number = number));
            return shown.filter((it) => !it.matches(others)).map((it) => it.dataset.number);
        }""",
        [ACTS, BY_OTHER_WAYS],
    )
    reached, seen = set(), set()
    for _ in range(4 * len(acts) + 50):  # a date has several stops
        page.keyboard.press("Tab")
        number, is_seen = page.evaluate(
            """() => {
                const at = document.activeElement;
                const [style, box] = [getComputedStyle(at), at.getBoundingClientRect()];
                const outline = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
                const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
                return [at.dataset.number ?? null, outline && inside];
            }"""
        )
        reached |= {number}
        seen |= {number} if is_seen else set()
        if reached >= set(acts):
            break
    told = "all => all.map((n) => document.querySelector(`[data-number='${n}']`).outerHTML.slice(0, 120))"
    assert reached >= set(acts), page.evaluate(told, sorted(set(acts) - reached))
    assert seen >= set(acts), page.evaluate(told, sorted(set(acts) - seen))


def test_arrow_keys_lead_through_a_calendar_and_choose_days(shown, watched):
    page = shown.open(watched, "dataset")
    live(page)
    newest = page.locator(".cal a[tabindex='0']").last
    newest.focus()
    assert newest.get_attribute("href").endswith("2024-06-30")
    for key in ["ArrowLeft", "ArrowUp", "Shift+ArrowLeft", "Shift+ArrowDown"]:
        page.keyboard.press(key)
    expect(page.locator(":focus")).to_have_attribute("href", re.compile("2024-06-16$"))
    expect(page.locator("#from")).to_have_value("2024-06-16")
    expect(page.locator("#to")).to_have_value("2024-06-22")
    page.keyboard.press("Escape")
    expect(page.locator("#from")).to_have_value("")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("orders 2024-06-16")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_the_same_without_scripts(name, shown, watched):
    said = []
    for scripts in (True, False):
        page = shown.open(watched, name, scripts=scripts)
        if scripts:
            live(page)
        # Times go on.
        said.append(re.sub(r"\d\d:\d\d(:\d\d)?|\d+ (s|min|h)\b", "", page.locator("main").inner_text()))
    assert said[0] == said[1]
    assert len(said[1]) > 20


def test_what_is_read_without_scripts_leads_on(shown, watched):
    page = shown.open(watched, "overview", scripts=False)
    page.get_by_role("link", name="orders", exact=True).click()
    page.get_by_label("Day", exact=True).fill("2024-06-18")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("h1")).to_contain_text("orders 2024-06-18")
    expect(page.get_by_role("region", name="Rejected rows", exact=True)).to_contain_text("1.234,50")
    page.locator(".attempts summary").first.click()
    expect(page.locator(".log").first).to_be_visible()


def test_a_broken_dataset_is_shown_and_its_fix_too(sample, run, watched):
    """The daemon is told of its main file by a relative path, and notices by itself what changes beside it."""
    daemon = run(sample)
    daemon.wait_for("2019-04-07: loaded")
    page = watched.open(f"{daemon.url}/configuration")
    good = (sample.folder / "datasets/shopify_config.toml").read_text()
    sample.write("datasets/shopify_config.toml", good.replace("[limits]", "[limmits]"))
    daemon.wait_for("limmits")
    page.reload()
    broken = page.get_by_role("region", name="Broken datasets")
    expect(broken).to_contain_text("limmits")
    expect(broken).to_contain_text("its older definition stays in force")
    accessible(page)
    page.goto(daemon.url)
    expect(page.locator(".attention")).to_contain_text("limmits")
    accessible(page)
    sample.write("datasets/shopify_config.toml", good.replace('"1%"', '"2%"'))
    daemon.wait_for("limits.max_rejected")
    expect(page.locator(".attention")).to_contain_text("Nothing needs attention.")
    page.goto(f"{daemon.url}/configuration")
    expect(broken).to_have_count(0)


def test_each_page_is_light(sample, run, watched):
    """With everything that it asks for, at the first visit."""
    daemon = run(sample)
    daemon.wait_for("2019-04-07: loaded")
    of = "/datasets/shopify_config"
    for path in ["/", of, f"{of}/days/2019-04-02", f"{of}/days/2019-04-03", f"{of}/dry-run?action=catch_up",
                 "/daemons", "/configuration", "/activity-log", "/login"]:
        page = watched.open()
        network = page.context.new_cdp_session(page)
        came: list[int] = []
        network.on("Network.loadingFinished", lambda event: came.append(event["encodedDataLength"]))
        network.send("Network.enable")
        page.goto(daemon.url + path)
        live(page)
        assert sum(came) > KIB, "nothing was measured"
        assert sum(came) <= 60 * KIB, f"{path}: {sum(came) / KIB:.1f} KiB in {came}"


@pytest.mark.skipif("DAYFILL_SCREENSHOTS" not in os.environ, reason="no pictures are asked for")
@pytest.mark.parametrize("name", PAGES)
def test_a_picture_is_made(name, shown, watched):
    page = shown.open(watched, name, height=760)
    live(page)
    page.mouse.move(0, 0)
    folder = ROOT / os.environ["DAYFILL_SCREENSHOTS"]
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


def test_of_a_source_that_is_too_long_the_end_is_seen(shown, watched):
    page = shown.open(watched, "overview", width=280)
    sources = page.locator(".row code").evaluate_all(
        """(all) => all.map((code) => {
            const box = code.getBoundingClientRect();
            const text = code.firstChild;
            const at = [...text.data].map((_, place) => {
                const range = document.createRange();
                range.setStart(text, place);
                range.setEnd(text, place + 1);
                return range.getBoundingClientRect();
            });
            return {
                text: text.data,
                title: code.title,
                cut: code.scrollWidth > code.clientWidth,
                seen: at.at(-1).left >= box.left && at.at(-1).right <= box.right + 1,
                inOrder: at.every((sign, place) => place === 0 || at[place - 1].left < sign.left),
            };
        })"""
    )
    assert any(source["cut"] for source in sources), sources
    for source in sources:
        assert source["seen"] and source["inOrder"] and source["title"] == source["text"], source

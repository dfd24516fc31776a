"""Text of files, of configurations and of people is text on every page, whatever stands in it."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from conftest import session_of
from daemon import Project

PASSWORD = "correct horse battery"


def wicked(number: int) -> str:
    """Ends a tag, an attribute, a script and a style, and begins an element that is found if it ever comes to be. Told
    apart by its number."""
    ends = """'"></title></script>"""
    return f"w{number}{ends}<x-made onmouseover=alert(1)></x-made><img src=x onerror=alert(1)>"


COLUMN, VALUE, NULL, FILE, REASON, NOTE, PATTERN, KEY, QUERY, EXTRA, FAILED = map(wicked, range(11))
# In the name of a file no slash can stand.
FILE, FAILED = (text.replace("/", "") for text in (FILE, FAILED))


def toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def dataset(url: str, table: str) -> str:
    return f"""
[source]
url = {toml(url)}
[schedule]
cron = "@daily"
start = 2024-03-01
end = 2024-03-03
lag_days = 1
[csv]
null = ["", {toml(NULL)}]
[target]
table = "{table}"
key = ["id"]
[rows]
where = {toml("id <> '" + PATTERN.replace("'", "''") + "'")}
columns = [
  {{ name = "id", type = "text", required = true }},
  {{ name = "amount", type = "numeric", from = {toml(COLUMN)} }},
]
[retry]
max_attempts = 1
"""


def field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def daemon(browser, tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("text") / "project", '[web]\nauth = "users.toml"\n')
    project.write("datasets/orders.toml", dataset(f"{FILE}-{{day}}.csv", "orders"))
    project.write("datasets/broken.toml", dataset(f"{FAILED}-{{day}}.csv.gz", "broken"))
    header = f"id,{field(COLUMN)},{field(EXTRA)}\n"
    project.write(f"{FILE}-2024-03-01.csv", header + f"1,{field(VALUE)},x\n2,3,x\n")
    project.write(f"{FILE}-2024-03-02.csv", header + "1,2,x\n")
    project.write(f"{FAILED}-2024-03-01.csv.gz", "\x1f")  # cut off
    project.write(f"{FAILED}-2024-03-02.csv.gz", f"id,{field(EXTRA)}\n1,2\n")  # lacks a column
    project.add_user("ada", "operator", PASSWORD)
    with project.start() as daemon:
        daemon.project = project
        daemon.wait_for("orders 2024-03-03: waiting")
        daemon.wait_for("broken 2024-03-03: waiting")
        daemon.session = session_of(browser, daemon.url, "ada", PASSWORD)
        yield daemon


def is_text(page: Page, *texts: str) -> None:
    """These stand on the page as text, and nothing was made of them or of any other."""
    made = page.evaluate("document.querySelectorAll('x-made, img[src=x], [onerror], [onmouseover]').length")
    assert made == 0, page.url
    # News may still replace what is shown.
    for last in [False] * 99 + [True]:
        said = page.evaluate("document.documentElement.textContent") + page.evaluate(
            "[...document.querySelectorAll('*')].flatMap((it) => [it.title, it.value]).join('\\n')"
        )
        missing = [text for text in texts if text not in said]
        if not missing:
            return
        if not last:
            page.wait_for_timeout(50)
    raise AssertionError(f"{page.url} does not say {missing}, but: {said}")


def test_what_files_hold_is_text(daemon, watched):
    page = watched.open(daemon.url, session=daemon.session)
    expect(page.locator("#live")).to_have_text("live")
    is_text(page, VALUE, FILE, FAILED)
    page.goto(f"{daemon.url}/datasets/orders")
    is_text(page, VALUE, FILE)
    page.goto(f"{daemon.url}/datasets/orders/days/2024-03-01")
    expect(page.get_by_role("region", name="Rejected rows", exact=True)).to_contain_text(VALUE)
    for log in page.locator(".attempts details").all():
        log.locator("summary").click()
    is_text(page, VALUE, FILE)
    page.goto(f"{daemon.url}/datasets/broken/days/2024-03-01")
    is_text(page, FAILED)
    page.goto(f"{daemon.url}/datasets/broken/days/2024-03-02")
    is_text(page, COLUMN)


def test_what_the_stream_tells_is_text(daemon, watched):
    page = watched.open(f"{daemon.url}/datasets/orders", session=daemon.session)
    expect(page.locator("#live")).to_have_text("live")
    cell = page.locator(".cal a[href$='2024-03-01']")
    cell.evaluate("cell => cell.title = ''")
    other = watched.open(f"{daemon.url}/datasets/orders/days/2024-03-01", session=daemon.session)
    other.get_by_role("button", name="Retry").click()
    expect(cell).to_have_attribute("title", re.compile("w1'"))
    is_text(page, VALUE)


def test_what_people_write_is_text(daemon, watched):
    page = watched.open(f"{daemon.url}/datasets/broken/days/2024-03-01", session=daemon.session)
    page.get_by_text("Skip…").click()
    page.get_by_label("Reason").fill(NOTE)
    page.get_by_role("button", name="Skip 2024-03-01").click()
    expect(page.locator("h1")).to_contain_text("skipped")
    is_text(page, NOTE)
    page.goto(f"{daemon.url}/datasets/broken")
    is_text(page, NOTE)
    page.get_by_text("Pause…").click()
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    is_text(page)
    page.goto(f"{daemon.url}/activity-log")
    is_text(page, NOTE, REASON)


def test_what_a_configuration_says_is_text(daemon, watched):
    page = watched.open(f"{daemon.url}/configuration", session=daemon.session)
    # Values are shown as TOML has them, long ones in part.
    is_text(page, *(text.replace('"', '\\"')[:60] for text in (FILE, FAILED, COLUMN, PATTERN.replace("'", "''"))))
    project = daemon.project
    good = (project.folder / "datasets/orders.toml").read_text()
    try:
        project.write("datasets/orders.toml", good + f"[limits]\n{toml(KEY)} = {toml(VALUE)}\n")
        daemon.wait_for("unknown key")
        for path in ["/configuration", "/", "/daemons"]:
            page.goto(daemon.url + path)
            is_text(page, KEY)
    finally:
        project.write("datasets/orders.toml", good)


def test_what_a_request_says_is_text(daemon, watched):
    watched.expected += ["400", "404", "422"]
    page = watched.open(session=daemon.session)
    for path in ["/", "/datasets/orders/dry-run", "/login", "/datasets/orders", "/activity-log"]:
        for name in ["q", "next", "action", "asked", "from", "page"]:
            page.goto(f"{daemon.url}{path}?{name}={quoted(QUERY)}")
            is_text(page, *([QUERY] if (path, name) == ("/", "q") else []))
    for path in ["/{}", "/datasets/{}", "/datasets/orders/days/{}", "/datasets/{}/dry-run?action=load"]:
        page.goto(daemon.url + path.format(quoted(QUERY)))
        is_text(page)


def quoted(text: str) -> str:
    return quote(text, safe="")

"""Times: those of a schedule in its zone, the others in UTC, each with its zone; the reader's own when pointed at."""

import re

import pytest
from playwright.sync_api import expect

from daemon import Project

# 2024-03-02 is late since 07:30 in Kolkata on the next day.
DEADLINE = ("2024-03-03T02:00:00Z", "2024-03-03 07:30 Asia/Kolkata")

ORDERS = """
[source]
url = "orders-{day}.csv"
[schedule]
cron = "0 2 * * *"
timezone = "Asia/Kolkata"
start = 2024-03-01
end = 2024-03-02
lag_days = 1
[target]
table = "orders"
key = ["id"]
[rows]
columns = [{ name = "id", type = "bigint", required = true }]
[waiting]
deadline = "07:30"
poll = "1s"
give_up_after = "3650d"
"""


@pytest.fixture
def daemon(tmp_path, run):
    project = Project(tmp_path / "project")
    project.write("datasets/orders.toml", ORDERS)
    project.write("orders-2024-03-01.csv", "id\n1\n")
    daemon = run(project)
    daemon.project = project
    daemon.wait_for("2024-03-02: waiting")
    return daemon


def test_a_schedules_times_name_its_zone_also_without_scripts(daemon, watched):
    page = watched.open(daemon.url, scripts=False)
    expect(page.locator(".said")).to_contain_text(re.compile(r"next tick [\d-]+ 02:00 Asia/Kolkata"))
    expect(page.locator(".attention")).to_contain_text(f"late since {DEADLINE[1]}")
    page.goto(f"{daemon.url}/datasets/orders")
    expect(page.locator(".facts")).to_contain_text(re.compile(r"Next tick[\d-]+ 02:00 Asia/Kolkata"))
    row = page.get_by_role("region", name="Days not loaded").locator("tbody tr")
    expect(row).to_contain_text(f"since {DEADLINE[1]}")
    expect(row.locator("td").last).to_have_text(re.compile(r"^[\d-]+ \d\d:\d\d Asia/Kolkata$"))
    page.goto(f"{daemon.url}/datasets/orders/days/2024-03-02")
    since = page.locator(".verdict time").first
    assert (since.get_attribute("datetime"), since.text_content()) == DEADLINE
    # What has happened is told in UTC.
    page.goto(f"{daemon.url}/datasets/orders/days/2024-03-01")
    expect(page.get_by_role("region", name="File")).to_contain_text(re.compile(r"Loaded[\d-]+ [\d:]+ UTC"))


def test_a_time_that_is_pointed_at_is_told_by_the_readers_clock(daemon, watched):
    page = watched.open(f"{daemon.url}/datasets/orders/days/2024-03-02", zone="America/New_York")
    expect(page.locator("#live")).to_have_text("live")
    since = page.locator(".verdict time").first
    since.hover()
    expect(since).to_have_text(DEADLINE[1])
    # Five hours behind UTC, on the day before.
    expect(since).to_have_attribute("title", re.compile(r"Saturday,? 2 March 2024.*21:00:00 (EST|GMT-5)"))

    page.evaluate("window.sameDocument = true")
    daemon.project.write("orders-2024-03-02.csv", "id\n2\n")
    expect(page.locator("h1")).to_contain_text("loaded")
    loaded = page.locator("#file + * time").last
    expect(loaded).to_have_text(re.compile("UTC$"))
    expect(loaded).to_have_attribute("title", re.compile("(EST|EDT|GMT-[45])$"))
    assert page.evaluate("window.sameDocument"), "it was loaded anew"
    untold = page.locator('time[datetime*="T"]:not([title])')
    expect(untold).to_have_count(0)

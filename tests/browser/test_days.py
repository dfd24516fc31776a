"""What an operator does with days, on the page."""

from pathlib import Path

from playwright.sync_api import Route, expect

from daemon import Project

ORDERS = """
[source]
url = "orders-{day}.csv"
[schedule]
cron = "@daily"
start = 2024-03-01
end = 2024-03-05
lag_days = 1
[target]
table = "orders"
key = ["id"]
[rows]
columns = [{ name = "id", type = "bigint", required = true }, { name = "amount", type = "numeric" }]
"""


def cell(page, day: str):
    return page.locator(f".cal a[href$='{day}']")


def test_a_copy_of_the_sample_leaves_the_database_of_whoever_tries_it(tmp_path):
    source = tmp_path / "source"
    (source / "dayfill.db.workers").mkdir(parents=True)
    (source / "2019-04-01.csv").write_text("id\n1\n")
    for gone in ("dayfill.db-journal", "dayfill.db.workers/1"):
        (source / gone).symlink_to("nothing")  # as good as a file that goes while it is copied
    copy = Project.sample(tmp_path / "copy", source)
    assert sorted(path.name for path in copy.folder.iterdir()) == ["2019-04-01.csv", "datasets", "dayfill.toml"]


def test_the_sample_week_catches_up_on_screen(sample, run, watched):
    daemon = run(sample, "--no-catch-up")
    page = watched.open(daemon.url)
    expect(page.locator(".row [data-counts]")).to_contain_text("7 missing")
    page.get_by_role("link", name="shopify_config", exact=True).click()
    expect(cell(page, "2019-04-01")).to_have_class("missing")
    looker = watched.open(page.url)  # somebody else, who only looks
    expect(looker.locator("#live")).to_have_text("live")
    looker.evaluate("window.sameDocument = true")

    page.get_by_role("button", name="Catch up").click()
    expect(page.locator("main")).to_contain_text("Nothing has changed yet")
    expect(page.locator("main")).to_contain_text("7 days")
    page.get_by_role("button", name="Catch up 7 days").click()

    for day in range(1, 8):
        expect(cell(looker, f"2019-04-0{day}")).to_have_class("waiting" if day == 3 else "loaded")
    expect(looker.locator("[data-counts]").first).to_contain_text("6 loaded")
    expect(looker.locator("#not-loaded + *")).to_contain_text("no such file")
    assert looker.evaluate("window.sameDocument"), "it was loaded anew"
    expect(cell(page, "2019-04-07")).to_have_class("loaded")

    # The missing file comes, and is loaded from the day's own page.
    good = (sample.folder / "2019-04-02.csv").read_text()
    sample.write("2019-04-03.csv", good)
    page.goto(f"{daemon.url}/datasets/shopify_config/days/2019-04-03")
    page.get_by_role("button", name="Load").click()
    expect(page.locator("h1")).to_contain_text("loaded")
    expect(cell(looker, "2019-04-03")).to_have_class("loaded")


def test_a_refused_day_is_read_mended_and_loaded(tmp_path, run, watched):
    project = Project(tmp_path / "project")
    project.write("datasets/orders.toml", ORDERS)
    for day in range(1, 6):
        project.write(f"orders-2024-03-0{day}.csv", "id,amount\n1,9.50\n2,12\n")
    project.write("orders-2024-03-02.csv", "id,amount\n1,9.50\n2,twelve\n,3\n")
    daemon = run(project)
    daemon.wait_for(r"2024-03-05: loaded")
    page = watched.open(daemon.url)
    needs = page.locator(".attention")
    expect(needs).to_contain_text("orders 2024-03-02")
    expect(needs).to_contain_text("refused")
    needs.get_by_role("link").click()

    expect(page.locator("h1")).to_contain_text("refused")
    rejects = page.get_by_role("region", name="Rejected rows", exact=True).locator("tbody tr")
    expect(rejects).to_have_count(2)
    expect(rejects.nth(0)).to_contain_text("twelve")
    expect(rejects.nth(0)).to_contain_text("amount")
    expect(rejects.nth(1)).to_contain_text("id")

    project.write("orders-2024-03-02.csv", "id,amount\n1,9.50\n2,12\n3,3\n")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("h1")).to_contain_text("loaded")
    expect(page.locator("main")).to_contain_text("3 rows loaded")
    expect(page.get_by_role("region", name="Rejected rows")).to_have_count(0)
    page.goto(daemon.url)
    expect(page.locator(".attention")).to_contain_text("Nothing needs attention.")


def test_a_range_chosen_with_the_mouse_is_reloaded(sample, run, watched):
    sample.run("catch-up", ok=(0, 1, 2))
    daemon = run(sample, "--no-catch-up")
    page = watched.open(f"{daemon.url}/datasets/shopify_config")
    expect(page.locator("#live")).to_have_text("live")
    cell(page, "2019-04-04").hover()
    page.mouse.down()
    cell(page, "2019-04-05").hover()
    cell(page, "2019-04-06").hover()
    page.mouse.up()
    expect(page.locator("#from")).to_have_value("2019-04-04")
    expect(page.locator("#to")).to_have_value("2019-04-06")
    expect(page.locator("#chosen")).to_have_text("3 days")
    assert page.url.endswith("/datasets/shopify_config"), "dragging is no click"

    short(Path(sample.folder / "2019-04-05.csv"))
    page.locator("#action").select_option("reload")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".tally")).to_contain_text("3 days would be tried")
    page.get_by_label("Reason").fill("the shop sent it again")
    page.get_by_role("button", name="Reload 3 days").click()
    expect(cell(page, "2019-04-05")).to_have_attribute("title", "2019-04-05: loaded, 1 row")

    page.get_by_role("link", name="Activity log").click()
    entry = page.locator("tbody tr").first
    expect(entry).to_contain_text("the shop sent it again")
    expect(entry).to_contain_text("2019-04-04")


def short(path: Path) -> None:
    """Leaves a day two rows, one of which passes the filter."""
    path.write_text("".join(row_of(path)))


def row_of(path: Path) -> list[str]:
    lines = path.read_text().splitlines(keepends=True)
    at = lines[0].split(",").index("application_id")
    kept = next(line for line in lines[1:] if line.split(",")[at])
    return [lines[0], kept]


def test_days_outside_the_schedule_are_counted_apart_and_confirmed(tmp_path, run, watched):
    project = Project(tmp_path / "project")
    project.write("datasets/orders.toml", ORDERS)
    for day in ("2024-02-29", "2024-03-01", "2024-03-02"):
        project.write(f"orders-{day}.csv", "id,amount\n1,9.50\n")
    project.write("orders-2024-03-02.csv", "id,amount\n,\n")
    daemon = run(project, "--no-catch-up")
    page = watched.open(f"{daemon.url}/datasets/orders/dry-run?action=load&from=2024-02-28&to=2024-03-02")
    would = page.get_by_role("region", name="Preview")
    expect(would).to_contain_text("4 days would be tried")
    expect(would).to_contain_text("2 of 4 days before start (2024-03-01).")
    ask = page.get_by_role("button", name="Load 4 days")
    ask.click()
    assert "/dry-run" in page.url, "it was asked for without the confirmation"
    page.get_by_label("Include the 2 days outside the schedule").check()
    ask.click()
    # The banner tells how the order ended, once it has.
    expect(page.locator("p.notice[role=status]")).to_have_text("Load: 4 days: 2 loaded, 1 refused, 1 waiting.")
    expect(cell(page, "2024-02-29")).to_have_class("loaded")


def test_what_happened_before_a_page_listened_is_shown(sample, run, watched):
    daemon = run(sample, "--no-catch-up")
    for path in ["/", "/datasets/shopify_config"]:
        page = watched.open()
        held: list[Route] = []
        page.route("**/api/v1/events", lambda route: held.append(route))
        with page.expect_request("**/api/v1/events"):
            page.goto(daemon.url + path)
        day = page.locator("[href$='2019-04-01']").first
        expect(day).to_have_class("missing")
        actor = watched.open(f"{daemon.url}/datasets/shopify_config/days/2019-04-01")
        actor.get_by_role("button", name="Load").click()
        expect(actor.locator("h1")).to_contain_text("loaded")
        expect(day).to_have_class("missing")
        held.pop().continue_()
        expect(day).to_have_class("loaded")
        actor.get_by_text("Forget…").click()
        actor.get_by_role("button", name="Forget 2019-04-01").click()
        expect(actor.locator("main")).to_contain_text("1 day forgotten.")


def test_a_pause_shows_at_once(sample, run, watched):
    daemon = run(sample, "--no-catch-up")
    page, looker = (watched.open(f"{daemon.url}/datasets/shopify_config") for _ in range(2))
    expect(looker.locator("#live")).to_have_text("live")
    for button, was, becomes in [("Pause", "Catch up…", "Resume"), ("Resume", "Resume", "Catch up…")]:
        if button == "Pause":
            page.get_by_text("Pause…").click()
        with page.expect_navigation() as led:
            page.get_by_role("button", name=button, exact=True).click()
        answer = led.value.text()
        assert (f">{becomes}</button>" in answer, f">{was}</button>" in answer) == (True, False)
        expect(looker.get_by_role("button", name=becomes)).to_be_visible()


def test_a_lost_daemon_is_told_of_and_found_again(sample, run, watched):
    sample.environment["DAYFILL__WAITING__POLL"] = "1s"
    # The connection of a daemon that is killed is reset, if something was just asked for on it.
    watched.expected += ["/api/v1/events", "net::ERR_CONNECTION_REFUSED", "net::ERR_CONNECTION_RESET"]
    daemon = run(sample)
    daemon.wait_for("2019-04-07: loaded")
    page = watched.open(f"{daemon.url}/datasets/shopify_config")
    expect(page.locator("#live")).to_have_text("live")
    page.evaluate("window.sameDocument = true")
    daemon.kill()
    expect(page.locator("#lost")).to_contain_text("Connection to the daemon lost at")
    expect(page.locator("#live")).to_contain_text("daemon lost since")
    sample.write("2019-04-03.csv", (sample.folder / "2019-04-02.csv").read_text())
    again = run(sample, port=daemon.port)
    again.wait_for("2019-04-03: loaded")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#lost")).to_be_empty()
    expect(cell(page, "2019-04-03")).to_have_class("loaded")
    assert page.evaluate("window.sameDocument"), "it was loaded anew"


# A browser without a window hides no tab. With this a tab can be put behind another one, and in front again.
TABS = """
    let state = "visible";
    Object.defineProperty(document, "visibilityState", { get: () => state });
    Object.defineProperty(document, "hidden", { get: () => state === "hidden" });
    window.turn = (to) => {
        state = to;
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    };
"""


def test_tabs_behind_leave_the_connections_to_the_one_in_front(sample, run, watched):
    daemon = run(sample, "--no-catch-up")
    first = watched.open()
    first.context.add_init_script(TABS)
    first.goto(f"{daemon.url}/datasets/shopify_config")
    front = first
    for _ in range(7):  # a browser has six connections to a server
        expect(front.locator("#live")).to_have_text("live")
        front.evaluate("turn('hidden')")
        front = watched.tab(first.context, f"{daemon.url}/datasets/shopify_config/days/2019-04-01")

    front.get_by_role("button", name="Load").click()
    expect(front.locator("h1")).to_contain_text("loaded")
    front.evaluate("turn('hidden')")
    expect(cell(first, "2019-04-01")).to_have_class("missing")
    first.evaluate("turn('visible')")
    expect(cell(first, "2019-04-01")).to_have_class("loaded")
    # It listens again.
    actor = watched.open(f"{daemon.url}/datasets/shopify_config/days/2019-04-02")
    actor.get_by_role("button", name="Load").click()
    expect(cell(first, "2019-04-02")).to_have_class("loaded")


def test_a_tab_that_opens_behind_listens_when_it_comes_to_the_front(sample, run, watched):
    daemon = run(sample, "--no-catch-up")
    page = watched.open()
    page.add_init_script(TABS.replace('= "visible"', '= "hidden"'))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{daemon.url}/datasets/shopify_config")
    assert not any(url.endswith("/api/v1/events") for url in asked), asked
    page.evaluate("turn('visible')")
    expect(page.locator("#live")).to_have_text("live")

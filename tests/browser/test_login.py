"""Who may come in, and what a reader may do."""

import re

import pytest
from playwright.sync_api import expect

from conftest import accessible, log_in

PASSWORD = "correct horse battery"


@pytest.fixture
def guarded(sample, run):
    sample.environment["DAYFILL__WEB__AUTH"] = "users.toml"
    sample.add_user("ada", "operator", PASSWORD)
    sample.add_user("bob", "reader", PASSWORD)
    daemon = run(sample)
    daemon.wait_for("2019-04-07: loaded")
    return daemon


def test_login_wrong_login_and_logout(guarded, watched):
    watched.expected += ["401"]
    page = watched.open(f"{guarded.url}/daemons")
    assert "/login" in page.url
    log_in(page, "ada", "wrong")
    expect(page.get_by_role("alert")).to_have_text("wrong name or password")
    expect(page.get_by_label("Password")).to_have_value("")
    accessible(page)
    log_in(page, "ada", PASSWORD)
    expect(page.locator("h1")).to_have_text("Daemons")
    expect(page.locator("form.who")).to_contain_text("ada (operator)")
    page.goto(f"{guarded.url}/datasets/shopify_config")
    expect(page.get_by_role("button", name="Catch up")).to_be_visible()

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.goto(f"{guarded.url}/datasets/shopify_config")
    assert "/login" in page.url
    assert page.request.get(f"{guarded.url}/api/v1/datasets").status == 401


def test_a_page_whose_session_has_ended_leads_to_the_login(guarded, sample, run, watched):
    # The connection of a daemon that is killed is reset, if something was just asked for on it.
    watched.expected += ["/api/v1/events", "net::ERR_CONNECTION_REFUSED", "net::ERR_CONNECTION_RESET"]
    page = watched.open(f"{guarded.url}/datasets/shopify_config")
    log_in(page, "ada", PASSWORD)
    expect(page.locator("#live")).to_have_text("live")
    guarded.kill()
    sample.add_user("ada", "operator", PASSWORD + " staple")  # that ends her sessions
    run(sample, port=guarded.port)
    expect(page).to_have_url(re.compile(r"/login\?next=%2Fdatasets%2Fshopify%5Fconfig$"))
    log_in(page, "ada", PASSWORD + " staple")
    expect(page.locator("h1")).to_contain_text("shopify_config")


def test_a_reader_may_look_and_not_act(guarded, watched):
    watched.expected += ["403"]
    page = watched.open(guarded.url)
    log_in(page, "bob", PASSWORD)
    expect(page.locator("form.who")).to_contain_text("bob (reader)")
    for path in ["/datasets/shopify_config", "/datasets/shopify_config/days/2019-04-03"]:
        page.goto(guarded.url + path)
        expect(page.locator("main h1")).to_contain_text("shopify_config")
        expect(page.locator("main form[method=post]")).to_have_count(0)
        expect(page.locator("#range")).to_have_count(0)
        expect(page.locator("main").get_by_role("button", name="Load")).to_have_count(0)
    # The rights of the session count, not what the page offers: a request from a page of ours is denied all the same.
    status, code = page.evaluate(
        """async () => {
            const answer = await fetch('/api/v1/datasets/shopify_config/actions', {
                method: 'POST',
                headers: { 'content-type': 'application/json' },
                body: JSON.stringify({ action: 'pause' }),
            });
            return [answer.status, (await answer.json()).code];
        }"""
    )
    assert (status, code) == (403, "role")
    assert page.request.get(f"{guarded.url}/api/v1/activity-log").json()["entries"] == []

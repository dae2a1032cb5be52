"""A member's own tasks in a real browser: begun, seen to their end, listed, downloaded."""

import json
import re
import zipfile
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.people import People, expect_signed_in, mail_to, sign_up
from tests.browser.test_looks import look
from tests.journeys.conftest import link_in
from tests.stack import Stack

PHONE = {"width": 390, "height": 844}


def member(people: People, mailroom: Stack, email: str, **options: Any) -> Page:
    """Return a page on the account of somebody who has just confirmed."""
    page = people.page(**options)
    sign_up(page, email)
    page.goto(link_in(mail_to(mailroom.sink, email)))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, email)
    return page


def test_alice_has_her_data_exported_and_finds_it_in_her_list(mailroom: Stack, people: People) -> None:
    email = "alice-exports@example.org"
    page = member(people, mailroom, email, color_scheme="dark", viewport=PHONE)
    expect(page.get_by_text("Your address is confirmed. Welcome!")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Your address is confirmed. Welcome!")).to_have_count(0)
    look(page)

    page.goto("/account/data")
    page.get_by_role("button", name="Export my data").click()
    expect(page.locator("task-progress")).to_have_attribute("data-state", "done")
    expect(page).to_have_title(re.compile("^Done · Export of your data"))
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("favicon-good"))
    look(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file").click()
    with zipfile.ZipFile(download.value.path()) as packed:
        assert json.loads(packed.read("account.json"))[0]["email"] == email

    page.get_by_role("link", name="Tasks", exact=True).click()
    expect(page.locator(".rows li")).to_have_count(3)
    look(page)
    page.get_by_role("link", name="Failed or cancelled").click()
    expect(page.locator(".rows li")).to_have_count(0)
    look(page)


def test_alice_cancels_a_task_and_begins_it_again_while_her_lists_in_other_tabs_keep_up(
    people: People, mailroom: Stack
) -> None:
    everything = member(people, mailroom, "alice-cancels@example.org")
    mailroom.kill_worker()
    task, under_way = everything.context.new_page(), everything.context.new_page()
    everything.goto("/tasks")
    under_way.goto("/tasks")
    under_way.get_by_role("link", name="In progress").click()
    expect(under_way.get_by_text("Nothing of this kind")).to_be_visible()
    for tab in (everything, under_way):
        tab.evaluate("window.notReloaded = true")

    task.goto("/account/data")
    task.get_by_role("button", name="Export my data").click()
    expect(task.locator("task-progress")).to_have_attribute("data-state", "queued")
    expect(everything.locator(".rows li")).to_have_count(3)
    expect(everything.locator(".rows li").first).to_contain_text("Export of your data")
    expect(under_way.locator(".rows li")).to_have_count(2)

    task.get_by_role("button", name="Cancel").click()
    expect(task.locator("task-progress")).to_have_attribute("data-state", "cancelled")
    expect(task.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(everything.locator(".rows li").first).to_contain_text("Cancelled")
    expect(under_way.locator(".rows li")).to_have_count(1)

    task.get_by_role("button", name="Try again").click()
    expect(task.locator("task-progress")).to_have_attribute("data-state", "queued")
    expect(under_way.locator(".rows li")).to_have_count(2)
    mailroom.start_worker(wait=False)
    for tab in (task, everything):
        expect(tab.locator("task-progress").first).to_have_attribute("data-state", "done")
    expect(under_way.locator(".rows li")).to_have_count(0)
    assert everything.evaluate("window.notReloaded")
    assert under_way.evaluate("window.notReloaded")

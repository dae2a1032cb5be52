"""A member's own tasks in a real browser: begun, seen to their end, listed, downloaded."""

import json
import re
import zipfile

from playwright.sync_api import expect

from tests.browser.people import People, expect_signed_in, mail_to, sign_up
from tests.browser.test_looks import look
from tests.journeys.conftest import link_in
from tests.stack import Stack

PHONE = {"width": 390, "height": 844}


def test_alice_has_her_data_exported_and_finds_it_in_her_list(mailroom: Stack, people: People) -> None:
    email = "alice-exports@example.org"
    page = people.page(color_scheme="dark", viewport=PHONE)
    sign_up(page, email)
    page.goto(link_in(mail_to(mailroom.sink, email)))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, email)
    expect(page.get_by_text("Confirmed. Welcome!")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Confirmed. Welcome!")).to_have_count(0)
    look(page)

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
    expect(page.locator(".rows li")).to_have_count(2)
    look(page)
    page.get_by_role("link", name="Not done").click()
    expect(page.locator(".rows li")).to_have_count(0)
    look(page)

"""A program that checks mails opens every link, runs what is there, and sends every form: nothing comes of it."""

import psycopg
from playwright.sync_api import Page, expect

from tests.browser.people import PASSWORD, People, expect_signed_in, mail_to, sign_up
from tests.browser.test_members_in_trouble import link_of
from tests.journeys.conftest import link_in
from tests.stack import Stack

STATE = """
select
    (select string_agg(concat(email, password_hash, two_step_at), ' ' order by email) from accounts),
    (select count(*) from sign_ups where confirmed_at is null and replaced_at is null),
    (select count(*) from address_changes where confirmed_at is null and ended_at is null),
    (select count(*) from password_mails where used_at is null),
    (select count(*) from held_addresses),
    (select count(*) from sessions where account_id is not null),
    (select count(*) from account_events)
"""


def state(mailroom: Stack) -> object:
    with psycopg.connect(mailroom.environment["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(STATE).fetchone()


def scan(page: Page, link: str, *, sends: bool) -> None:
    page.goto(link)
    page.wait_for_load_state("networkidle")
    if sends:  # past what the browser would ask to be filled in
        with page.expect_navigation():
            page.locator("main form").first.evaluate("form => form.submit()")


def test_what_a_scanner_does_changes_nothing(mailroom: Stack, people: People) -> None:
    people.expected = "status of 4"
    alice, carol, scanner = people.page(), people.page(), people.page()
    sign_up(alice, "scanned@example.org")
    alice.goto(link_in(mail_to(mailroom.sink, "scanned@example.org")))
    alice.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(alice, "scanned@example.org")
    alice.goto("/account/address")
    alice.get_by_label("New mail address").fill("moved@scanned.example.org")
    alice.get_by_label("Current password").fill(PASSWORD)
    alice.get_by_role("button", name="Send the mail").click()
    alice.wait_for_url("**/mails/*")
    alice.goto("/new-password")
    alice.get_by_role("main").get_by_role("button").first.click()
    alice.wait_for_url("**/mails/*")
    sign_up(carol, "waits@example.org")

    links = {
        kind: link_of(mailroom, email, kind)
        for kind, email in (
            ("confirm", "waits@example.org"),
            ("not-mine", "waits@example.org"),
            ("new-address", "moved@scanned.example.org"),
            ("new-password", "scanned@example.org"),
            ("not-me", "scanned@example.org"),
        )
    }
    before = state(mailroom)
    for link in links.values():
        scan(scanner, link, sends=False)
        expect(scanner.get_by_role("heading", level=1)).to_be_visible()
    assert state(mailroom) == before
    for kind in ("confirm", "new-password"):
        scan(scanner, links[kind], sends=True)
    assert state(mailroom) == before

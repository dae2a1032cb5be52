"""Signing in, unconfirmed, from a second browser: both have shown the password, both watch and confirm."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import People, expect_signed_in, expect_state, mail_to, sign_in, sign_up
from tests.journeys.conftest import code_in, link_in
from tests.stack import Stack


def two_browsers(mailroom: Stack, people: People, email: str) -> tuple[Page, Page]:
    """Return the page of the browser that signed up, and that of one that signed in, unconfirmed."""
    first, second = people.page(), people.page()
    sign_up(first, email)
    expect_state(first, "sent")
    mail_to(mailroom.sink, email)
    sign_in(second, email)
    second.get_by_role("main").locator('a[href^="/mails/"]').click()
    second.wait_for_url("**/mails/*")
    return first, second


def expect_untouched(page: Page) -> None:
    """Its page is as it was: for longer than any process takes to notice a change."""
    page.wait_for_timeout(6_000)
    expect_state(page, "sent")
    expect(page.get_by_label("Code from the mail")).to_be_visible()


@pytest.mark.parametrize("who", ["first", "second"])
@pytest.mark.parametrize("how", ["code", "link"])
def test_whichever_browser_confirms_needs_no_password_and_the_other_is_told(
    mailroom: Stack, people: People, who: str, how: str
) -> None:
    people.expected = "status of 422"
    email = f"both-{who}-{how}@example.org"
    first, second = two_browsers(mailroom, people, email)
    expect_untouched(first)
    one, other = (first, second) if who == "first" else (second, first)
    mail = mail_to(mailroom.sink, email)
    if how == "code":
        one.get_by_label("Code from the mail").fill(code_in(mail))
        one.get_by_role("button", name="Confirm").click()
    else:
        one.goto(link_in(mail))
        expect(one.get_by_label("Password", exact=True)).to_have_count(0)
        one.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(one, email)
    expect(other.get_by_role("heading", name="Your address is confirmed")).to_be_visible()

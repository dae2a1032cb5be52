"""Alice leaves and comes back: on a phone, by keyboard, without JavaScript."""

import re

from playwright.sync_api import Page, expect

from tests.browser.people import PASSWORD, People, expect_signed_in, mail_to, sign_in, sign_up
from tests.sink import wait_for
from tests.stack import Stack

ALICE = "leaves@example.org"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
FULL = re.compile(r"http://\S+/(confirm|keep-account)/\S+")


def press(page: Page, name: str) -> None:
    """Come to a button or link with Tab, and press it with Enter."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and focused.inner_text().strip() == name:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab never comes to {name!r}")


def link_in(text: str, kind: str) -> str:
    found = next(match for match in FULL.finditer(text) if match[1] == kind)
    return found[0]


def fits(page: Page) -> None:
    """Nothing hangs over the edge of the phone."""
    width: int = page.locator("html").evaluate("it => it.scrollWidth")
    assert width <= 390, (page.url, width)


def test_a_member_leaves_and_undoes_it_on_a_phone_by_keyboard_without_javascript(
    mailroom: Stack, people: People
) -> None:
    page = people.page(java_script_enabled=False, **PHONE)
    sign_up(page, ALICE)
    page.goto(link_in(mail_to(mailroom.sink, ALICE), "confirm"))
    press(page, "Confirm this address")
    expect_signed_in(page, ALICE)

    page.goto("/account/data")
    press(page, "Delete my account")
    expect(page.get_by_role("heading", name="What stays")).to_be_visible()
    fits(page)
    press(page, "Delete my account")
    expect(page.get_by_role("heading", name="Your account is to be deleted")).to_be_visible()
    page.goto("/tasks")
    expect(page).to_have_url(re.compile("/account/delete$"))
    fits(page)
    press(page, "Keep my account")
    expect(page.get_by_text("Your account stays")).to_be_visible()

    page.goto("/account/delete")
    press(page, "Delete my account")
    expect(page.get_by_role("heading", name="Your account is to be deleted")).to_be_visible()
    press(page, "Sign out")
    expect(page.get_by_role("navigation").get_by_role("link", name="Sign in")).to_be_visible()
    elsewhere = people.page(java_script_enabled=False, **PHONE)
    elsewhere.goto(newest_link(mailroom))
    fits(elsewhere)
    press(elsewhere, "Keep my account")
    expect(elsewhere.get_by_text("Your account stays")).to_be_visible()
    sign_in(page, ALICE, PASSWORD)
    expect_signed_in(page, ALICE)


def newest_link(mailroom: Stack) -> str:
    """Return the link of the second deletion's mail: the first one is used."""

    def found() -> list[str]:
        mails = [mail.part("plain") for mail in mailroom.sink.to(ALICE)]
        return [link_in(text, "keep-account") for text in mails if "/keep-account/" in text]

    wait_for(lambda: len(found()) == 2, 20, "the mail of the second deletion")
    return found()[-1]

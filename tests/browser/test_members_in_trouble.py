"""A typing error, a stolen cookie, a stolen password, a lost phone: each on a phone, without JavaScript.

The journey with a lost password is in `test_the_journey.py`, that of somebody who leaves in `test_leaving.py`.
"""

import re

import pyotp
from playwright.sync_api import Page, expect

from mailroom.kit import clock
from tests.browser.people import PASSWORD, People, expect_signed_in, mail_to, sign_in, sign_up
from tests.browser.test_leaving import PHONE, fits, press
from tests.journeys.conftest import link_in
from tests.sink import wait_for
from tests.stack import Stack

NEW = "crooked umbrella borrows thunder"


def link_of(mailroom: Stack, email: str, kind: str) -> str:
    """Return the link of this kind in the newest mail to an address that has one, once it is there."""

    def found() -> list[str]:
        texts = [mail.part("plain") for mail in mailroom.sink.to(email)]
        return [link[0] for text in texts if (link := re.search(rf"http://\S+/{kind}/\S+", text))]

    wait_for(lambda: bool(found()), 20, f"a link to {kind}")
    return found()[-1]


def member(people: People, mailroom: Stack, email: str) -> Page:
    page = people.page(java_script_enabled=False, **PHONE)
    sign_up(page, email)
    page.goto(link_in(mail_to(mailroom.sink, email)))
    press(page, "Confirm this address")
    expect_signed_in(page, email)
    return page


def sign_out(page: Page) -> None:
    press(page, "Sign out")
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Sign in")).to_be_visible()


def test_a_typing_error_in_a_new_address_is_mended(mailroom: Stack, people: People) -> None:
    people.expected = "status of 4"
    page = member(people, mailroom, "typo@example.org")
    for wrong_or_right in ("tpyo@example.net", "typo@example.net"):
        page.goto("/account/address")
        page.get_by_label("New mail address").fill(wrong_or_right)
        page.get_by_label("Current password").fill(PASSWORD)
        press(page, "Send the mail")
        page.wait_for_url("**/mails/*")
        fits(page)
    stranger = people.page(java_script_enabled=False, **PHONE)
    stranger.goto(link_of(mailroom, "tpyo@example.net", "new-address"))
    expect(stranger.get_by_role("heading", level=1)).to_have_text("This link was used")
    page.goto(link_of(mailroom, "typo@example.net", "new-address"))
    press(page, "Use this address")
    expect(page.get_by_role("heading", name="Your account has its new address")).to_be_visible()
    page.goto("/account")
    expect_signed_in(page, "typo@example.net")


def test_a_stolen_cookie_changes_nothing_and_a_stolen_password_is_taken_back(
    mailroom: Stack, people: People
) -> None:
    people.expected = "status of 4"
    email = "stolen@example.org"
    page = member(people, mailroom, email)
    mailroom.run("update sessions set verified_at = null")
    thief = people.page(java_script_enabled=False, **PHONE)
    thief.context.add_cookies(page.context.cookies())  # type: ignore[arg-type]
    thief.goto("/account")
    expect_signed_in(thief, email)
    thief.goto("/account/password")
    thief.get_by_label("Current password").fill("a guess of the thief's")
    thief.get_by_label("New password").fill(NEW)
    press(thief, "Change the password")
    expect(thief.locator("#current-wrong")).to_be_visible()
    for path, button in (("/account/two-steps/codes", ""), ("/account/delete", "Delete my account")):
        thief.goto(path)
        if button:
            press(thief, button)
        expect(thief.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    page.goto("/account")
    sign_out(page)
    thief.goto("/account")
    expect(thief.get_by_role("heading", name="Sign in")).to_be_visible()

    # Now the thief has the password, and a device that the owner has never used.
    windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
    thief = people.page(java_script_enabled=False, user_agent=windows)
    sign_in(thief, email)
    expect_signed_in(thief, email)
    page.goto(link_of(mailroom, email, "not-me"))
    fits(page)
    press(page, "This was not me")
    page.wait_for_url("**/mails/*")
    thief.goto("/account")
    expect(thief.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(thief, email)
    expect(thief.locator("#password-wrong")).to_be_visible()
    page.goto(link_of(mailroom, email, "new-password"))
    page.get_by_label("New password").fill(NEW)
    page.keyboard.press("Enter")
    expect_signed_in(page, email)


def test_a_member_who_lost_the_phone_gets_in_and_sets_up_another(mailroom: Stack, people: People) -> None:
    people.expected = "status of 4"
    email = "phone@example.org"
    page = member(people, mailroom, email)
    codes = set_up(page)
    page.get_by_label("One of the codes").fill(codes[0])
    press(page, "Turn two steps on")
    expect(page.get_by_role("heading", name="Signing in takes two steps now")).to_be_visible()
    sign_out(page)

    sign_in(page, email)
    page.wait_for_url("**/sign-in/second-step")
    fits(page)
    page.get_by_label("Code", exact=True).fill(codes[1])
    page.keyboard.press("Enter")
    expect_signed_in(page, email)
    set_up(page)
    page.goto("/account/security")
    expect(page.get_by_text("Authenticator app added")).to_have_count(2)


def set_up(page: Page) -> list[str]:
    """Set an app up; return the recovery codes that come next, or none where there are some."""
    page.goto("/account/security")
    press(page, "Set up an app" if page.get_by_role("button", name="Set up an app").count() else "Replace the app")
    fits(page)
    totp = pyotp.TOTP(page.locator("code.secret").inner_text().replace(" ", ""))
    page.get_by_label("Code of the app").fill(totp.at(clock.now()))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/account/(security|two-steps/codes)$"))
    if page.url.endswith("/security"):
        return []
    press(page, "Make ten codes")
    fits(page)
    return page.locator(".codes code").all_inner_texts()

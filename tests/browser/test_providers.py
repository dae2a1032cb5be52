"""Another site, in Chromium: signing up and in without a script, and a passkey in place of the password."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import People, expect_signed_in, mail_to
from tests.browser.test_looks import look
from tests.browser.test_passkeys import authenticator, sign_out
from tests.journeys.conftest import link_in
from tests.oidc_provider import Provider, running_provider
from tests.stack import Stack


@pytest.fixture
def provider(mailroom: Stack, people: People) -> Iterator[Provider]:
    """A provider, and a web that knows it."""
    with running_provider() as provider:
        mailroom.kill_web()
        mailroom.environment["OIDC_PROVIDERS"] = provider.setting("staff", "Our%20staff")
        mailroom.start_web()
        yield provider
        people.go_home()  # open pages would complain of the web that goes
        mailroom.kill_web()
        del mailroom.environment["OIDC_PROVIDERS"]
        mailroom.start_web()


def test_another_site_from_the_sign_up_to_a_password_of_ones_own(
    mailroom: Stack, people: People, provider: Provider
) -> None:
    people.expected = "status of 4|WebSocket connection to"
    provider.person.email = email = "carol@example.org"
    phone = {"width": 390, "height": 844}
    plain = people.page(java_script_enabled=False, viewport=phone)
    plain.goto("/sign-up")
    plain.get_by_role("button", name="Go on with Our staff").click()
    plain.wait_for_url("**/mails/*")
    plain.goto(link_in(mail_to(mailroom.sink, email)))
    plain.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(plain, email)
    plain.get_by_role("navigation", name="Main").get_by_role("button", name="Sign out").click()
    plain.goto("/sign-in?next=/account/security")
    plain.get_by_role("button", name="Sign in with Our staff").click()
    expect(plain.get_by_text(f"Our staff · {email}")).to_be_visible()

    page = people.page(viewport=phone)
    page.goto("/sign-in")
    look(page)
    page.route("**/authorize?**", lambda route: route.fulfill(status=204))
    page.get_by_role("button", name="Sign in with Our staff").click()
    expect(page.get_by_role("heading", name="Go on to Our staff")).to_be_visible()
    look(page)
    page.unroute("**/authorize?**")
    page.get_by_role("link", name="Go on to Our staff").click()
    expect_signed_in(page, email)
    page.goto("/account/security")
    look(page)
    page.get_by_role("button", name="Remove the link with Our staff").click()
    expect(page.get_by_role("heading", name="Nothing else opens your account")).to_be_visible()

    mailroom.run("update sessions set verified_at = null")
    page.goto("/account/address")
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Confirm at Our staff").click()
    expect(page.get_by_role("heading", name="Change the address")).to_be_visible()
    expect(page.get_by_label("Current password")).to_have_count(0)
    page.goto("/account/password")
    look(page)
    page.get_by_label("New password").fill("crooked umbrella borrows thunder")
    page.get_by_role("button", name="Choose this password").click()
    expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
    page.get_by_role("button", name="Remove the link with Our staff").click()
    expect(page.get_by_text(f"Our staff · {email}")).to_have_count(0)
    a_passkey_stands_for_the_password(page, mailroom)


def a_passkey_stands_for_the_password(page: Page, mailroom: Stack) -> None:
    devtools = authenticator(page)
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("button", name="Add a passkey").click()
    page.wait_for_url("**/account/two-steps/codes")
    mailroom.run("update passkeys set created_at = now() - interval '2 days'")  # a new one does not stand for it
    mailroom.run("update sessions set verified_at = null")
    for path, heading in (("password", "Change the password"), ("address", "Change the address")):
        page.goto(f"/account/{path}")
        expect(page.get_by_label("Current password")).to_be_visible()
        look(page)
        page.get_by_role("link", name="Use a passkey instead of the password").click()
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        expect(page.get_by_label("Current password")).to_have_count(0)
        look(page)
        if path == "password":
            page.get_by_label("New password").fill("seven quiet lanterns over water")
            page.get_by_role("button", name="Change the password").click()
            expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
            mailroom.run("update sessions set verified_at = null, passkey_verified_at = null")
        else:
            page.get_by_label("New mail address").fill("carol@new.example.org")
            page.get_by_role("button", name="Send the mail").click()
            page.wait_for_url("**/mails/*")
    devtools.detach()
    sign_out(page)

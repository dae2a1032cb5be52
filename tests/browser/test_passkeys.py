"""A passkey in Chromium, with its virtual authenticator: added, alone, as second step, and to show who it is."""

from playwright.sync_api import CDPSession, Page, expect

from tests.browser.people import People, expect_signed_in, mail_to, sign_in, sign_up
from tests.browser.test_looks import look
from tests.journeys.conftest import link_in
from tests.stack import Stack


def authenticator(page: Page) -> CDPSession:
    """Give this page's browser a device that verifies its user by itself."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools


def sign_out(page: Page) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("button", name="Sign out").click()
    expect(page).to_have_url("/")


def expect_addresses_stay_in_the_site(page: Page) -> None:
    """A page's scripts make of whatever begins with a slash an address of Mailroom's own."""
    elsewhere = ["/https://mallory.example/x", "/javascript:alert(1)", "//mallory.example/x", "/\\mallory.example"]
    script = "paths => import('/static/site.js').then(({ inSite }) => paths.map(inSite))"
    root = page.evaluate("location.origin") + "/"
    assert all(address.startswith(root) for address in page.evaluate(script, elsewhere))
    assert page.evaluate(script, ["/tasks?state=failed"]) == [f"{root}tasks?state=failed"]


def test_a_passkey_from_the_first_day_to_the_second_step(mailroom: Stack, people: People) -> None:
    people.expected = "status of 4"
    page, email = people.page(viewport={"width": 390, "height": 844}), "passkey@example.org"
    sign_up(page, email)
    page.goto(link_in(mail_to(mailroom.sink, email)))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, email)
    devtools = authenticator(page)

    page.get_by_role("link", name="Security").click()
    page.get_by_role("link", name="Add a passkey").click()
    page.wait_for_url("**/account/passkeys")
    look(page)
    page.get_by_label("Name").fill("My phone")
    page.get_by_role("button", name="Add a passkey").click()
    page.wait_for_url("**/account/two-steps/codes")
    sign_out(page)

    page.goto("/sign-in?next=/tasks")
    expect_addresses_stay_in_the_site(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(lambda url: url.endswith("/tasks") and "sign-in" not in url)

    page.goto("/account/two-steps/codes")
    page.get_by_role("button", name="Make ten codes").click()
    expect(page.get_by_label("One of the codes")).to_be_visible()
    look(page)
    code = page.locator(".codes code").first.inner_text()
    page.get_by_label("One of the codes").fill(code)
    page.get_by_role("button", name="Turn two steps on").click()
    expect(page.get_by_role("heading", name="Signing in takes two steps now")).to_be_visible()
    expect(page.get_by_text("My phone")).to_be_visible()
    look(page)
    sign_out(page)

    sign_in(page, email)
    page.wait_for_url("**/sign-in/second-step")
    look(page)
    page.get_by_label("Code").fill("BCDF-GHJK-MNPQ")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#step_code-wrong")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect_signed_in(page, email)

    mailroom.run("update sessions set verified_at = null")
    page.goto("/account/security")
    page.get_by_role("button", name="Remove the passkey My phone").click()
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Thank you, it is you")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("An app on your phone")).to_be_visible()
    expect(page.get_by_text("My phone")).to_have_count(0)
    devtools.detach()

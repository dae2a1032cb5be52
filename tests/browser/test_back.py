"""Back and Reload after a form was refused: the browser never asks to send it again, and always shows a page."""

from playwright.sync_api import Page, expect

from tests.browser.people import PASSWORD, People
from tests.stack import Stack


def send(page: Page, button: str) -> None:
    page.get_by_role("main").get_by_role("button", name=button, exact=True).click()


def test_back_goes_to_the_form_that_was_refused(mailroom: Stack, people: People) -> None:
    page = people.page()
    page.goto("/sign-up")
    page.get_by_label("Mail address").fill("back@example.org")
    page.get_by_label("Password", exact=True).fill("password")
    send(page, "Sign up")
    expect(page.locator(".message[id]")).to_be_visible()
    expect(page.get_by_label("Mail address")).to_have_value("back@example.org")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.reload()
    expect(page.get_by_role("heading", name="Create an account")).to_be_visible()
    page.get_by_label("Mail address").fill("back@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    send(page, "Sign up")
    page.wait_for_url("**/mails/*")
    page.go_back()
    expect(page.get_by_role("heading", name="Create an account")).to_be_visible()


def test_back_goes_to_a_page_that_answered_a_form(mailroom: Stack, people: People) -> None:
    people.expected = "status of 404"
    page = people.page()
    page.goto("/confirm")
    page.get_by_label("Code from the mail").fill("BCDF-2345")
    send(page, "Confirm")
    expect(page.get_by_role("heading", name="No sign-up to confirm")).to_be_visible()
    page.get_by_role("link", name="Sign up again").click()
    page.wait_for_url("**/sign-up")
    page.go_back()
    expect(page.get_by_role("heading", name="No sign-up to confirm")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Type the code")).to_be_visible()


def test_sign_in_goes_back_to_the_page_that_asked(mailroom: Stack, people: People) -> None:
    page = people.page()
    page.goto("/tasks?state=uncertain")
    expect(page.get_by_text("Please sign in to see the page that you asked for.")).to_be_visible()
    page.get_by_label("Mail address").fill("nobody@example.org")
    page.get_by_label("Password", exact=True).fill("not the right one at all")
    send(page, "Sign in")
    expect(page.locator(".message[id]")).to_be_visible()
    expect(page.locator("#sign-in input[name=next]")).to_have_value("/tasks?state=uncertain")


NOTE_BUSY = """document.addEventListener("submit", event => queueMicrotask(() => {
    sessionStorage.busy = event.submitter.getAttribute("aria-busy") + getComputedStyle(event.submitter).cursor;
}))"""


def test_a_pressed_button_shows_it(mailroom: Stack, people: People) -> None:
    page = people.page()
    page.goto("/sign-in")
    page.evaluate(NOTE_BUSY)
    page.get_by_label("Mail address").fill("nobody@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    send(page, "Sign in")
    expect(page.locator(".message[id]")).to_be_visible()
    assert page.evaluate("sessionStorage.busy") == "trueprogress"
    expect(page.locator("[aria-busy]")).to_have_count(0)

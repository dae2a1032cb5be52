"""From sign-up to signed in, in a real browser: with JavaScript, without, by keyboard, and by typed code."""

import itertools
import re
import signal

from playwright.sync_api import Page, expect

from mailroom.mail.states import MOVES, State
from tests.browser.people import (
    PASSWORD,
    People,
    diary,
    expect_signed_in,
    expect_state,
    mail_to,
    sign_in,
    sign_up,
    slow_down,
)
from tests.journeys.conftest import code_in, link_in
from tests.stack import Stack

STEPS = ["queued", "claimed", "connected", "handing over"]


def test_alice_watches_her_mail_go_confirms_and_signs_in(mailroom: Stack, people: People) -> None:
    slow_down(mailroom.sink, 1.5)
    assert mailroom.worker
    mailroom.worker.signal(signal.SIGSTOP)  # so that she is there before it begins
    page, email = people.page(), "alice@example.org"
    sign_up(page, email)
    expect_state(page, "queued")
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    mailroom.worker.signal(signal.SIGCONT)
    expect_state(page, "sent")
    expect(page.get_by_role("heading", name="Accepted: look in your inbox")).to_be_visible()
    expect(page).to_have_title("Accepted · Mailroom")

    told = diary(page)
    states = [State(entry["state"]) for entry in told]
    assert states[0] is State.QUEUED and states[-1] is State.SENT
    for before, after in itertools.pairwise(states):
        assert after == before or after in MOVES[before], (before, after)
    assert [entry["step"] for entry in told if entry["step"]] == STEPS
    steps = page.locator("mail-progress ol.route > li")
    expect(steps).to_have_count(5)
    for number in range(5):
        expect(steps.nth(number)).to_have_attribute("data-status", "done")
        expect(steps.nth(number).locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))

    page.goto(link_in(mail_to(mailroom.sink, email)))
    expect(page.get_by_role("main")).to_contain_text(email)
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, email)
    expect(page.get_by_role("heading", name="Your address is confirmed. Welcome!")).to_be_visible()
    page.get_by_role("navigation").get_by_role("button", name="Sign out").click()
    page.goto("/account")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=/account$"))
    sign_in(page, email)
    expect_signed_in(page, email)


def test_the_same_journey_without_javascript(mailroom: Stack, people: People) -> None:
    slow_down(mailroom.sink, 0.4)
    page, email = people.page(java_script_enabled=False), "no-script@example.org"
    sign_up(page, email)
    expect_state(page, "sent", 30)  # nobody pressed anything: the page refreshes itself
    expect(page.get_by_role("heading", name="Accepted: look in your inbox")).to_be_visible()
    page.goto(link_in(mail_to(mailroom.sink, email)))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, email)
    page.get_by_role("navigation").get_by_role("button", name="Sign out").click()
    sign_in(page, email)
    expect_signed_in(page, email)


def test_a_wrong_code_says_how_many_tries_are_left_and_the_right_one_signs_in(
    mailroom: Stack, people: People
) -> None:
    people.expected = "status of 422"  # Chromium notes the answer to the wrong code
    page, email = people.page(), "code@example.org"
    sign_up(page, email)
    expect_state(page, "sent")
    page.get_by_label("Code from the mail").fill("BBBB-2222")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("you have 4 tries left")).to_be_visible()
    expect(page.get_by_label("Code from the mail")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Code from the mail")).to_be_focused()
    code = code_in(mail_to(mailroom.sink, email))
    page.get_by_label("Code from the mail").fill(code.lower().replace("-", ""))
    page.get_by_role("button", name="Confirm").click()
    expect_signed_in(page, email)


def test_who_forgot_the_password_chooses_a_new_one(mailroom: Stack, people: People) -> None:
    page, email = people.page(), "forgetful@example.org"
    sign_up(page, email)
    page.goto(link_in(mail_to(mailroom.sink, email)))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, email)

    elsewhere = people.page()
    elsewhere.goto("/sign-in")
    elsewhere.get_by_role("link", name="Choose a new one").click()
    elsewhere.get_by_label("Mail address").fill(email)
    elsewhere.get_by_role("button", name="Send me a link").click()
    expect_state(elsewhere, "sent")
    expect(elsewhere.get_by_role("heading", name=f"Password mail to {email}")).to_be_visible()
    elsewhere.goto(link_in(mail_to(mailroom.sink, email)))
    elsewhere.get_by_label("New password").fill("eleven patient herons count rain")
    elsewhere.get_by_role("button", name="Change the password").click()
    expect_signed_in(elsewhere, email)
    expect(elsewhere.get_by_role("heading", name="Your password is changed")).to_be_visible()
    page.goto("/account")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=/account$"))
    sign_in(page, email, "eleven patient herons count rain")
    expect_signed_in(page, email)


def test_by_keyboard_alone_and_for_people_who_listen(mailroom: Stack, people: People) -> None:
    slow_down(mailroom.sink, 1.0)  # a change is announced; what the page came with is read as it stands
    page, email = people.page(), "keyboard@example.org"
    page.goto("/")
    _tab_to(page, "Create an account")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-up")
    expect(page.get_by_label("Mail address")).to_be_focused()
    page.keyboard.type(email)
    _tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    _tab_to(page, "Show")
    page.keyboard.press("Space")
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    _tab_to(page, "Sign up")
    page.keyboard.press("Enter")
    page.wait_for_url("**/mails/*")
    expect_state(page, "sent")
    spoken = page.get_by_role("status")
    expect(spoken).to_contain_text("Accepted: look in your inbox.")
    heard: list[str] = page.evaluate("window.spoken")
    assert heard[-1].startswith("Accepted: look in your inbox.") and len(heard) == len(set(heard))
    _tab_to(page, "Code from the mail")
    page.keyboard.type(code_in(mail_to(mailroom.sink, email)))
    page.keyboard.press("Enter")
    expect_signed_in(page, email)


def test_every_input_has_a_label(mailroom: Stack, people: People) -> None:
    page = people.page()
    for path in ("/sign-up", "/sign-in", "/confirm", "/new-password"):
        page.goto(path)
        inputs = page.locator("input:not([type=hidden])")
        assert inputs.count()
        for number in range(inputs.count()):
            name: str = inputs.nth(number).evaluate("input => [...input.labels].map(l => l.innerText).join(' ')")
            assert name.strip(), (path, inputs.nth(number).get_attribute("name"))


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of this name has the focus, and shows that it has it."""
    for _ in range(15):
        page.keyboard.press("Tab")
        found, outline = page.evaluate(
            """() => {
                const at = document.activeElement;
                const style = getComputedStyle(at);
                const name = at.labels?.length ? at.labels[0].innerText : at.innerText;
                return [name.trim(), style.outlineStyle + " " + style.outlineWidth];
            }"""
        )
        assert outline == "solid 3px", f"the focus on {found!r} cannot be seen"
        if found == name:
            return
    raise AssertionError(f"Tab never comes to {name!r}")

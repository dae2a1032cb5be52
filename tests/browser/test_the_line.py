"""What a page says of its line to the server, and that it claims nothing that nobody knows."""

import json
import re
import signal
from typing import Any

from playwright.sync_api import Page, WebSocketRoute, expect

from mailroom.web.views.view_data import view_data
from tests.browser.people import People, expect_state, sign_up
from tests.browser.test_session_changes import come_back
from tests.stack import Stack

LOST_CONNECTION = "WebSocket connection to|net::ERR_|status of 50"
LINE, COUNTDOWN = "[data-part=connection]", "[data-part=countdown]"


def news(public: dict[str, Any]) -> str:
    """Return what the server sends to a page."""
    return json.dumps({**public, "view": view_data(public, is_mail=True)})


def retrying(mailroom: Stack, people: People, email: str) -> Page:
    """Return a page whose mail counts down to its next try."""
    mailroom.take_mail_server_away()
    page = people.page()
    sign_up(page, email)
    expect_state(page, "retrying")
    expect(page.locator(COUNTDOWN)).to_have_text(re.compile(r"^in \d+ s"))
    return page


def go_offline(page: Page) -> None:
    """Take the network away. On a loaded machine Chromium may not tell the page of it: then once more."""
    for _ in range(3):
        page.context.set_offline(True)
        page.wait_for_timeout(2_000)
        if "offline" in (page.locator(LINE).text_content() or ""):
            return
        page.context.set_offline(False)
    page.context.set_offline(True)


def test_a_page_that_is_offline_says_so_and_counts_no_further_until_it_is_back(
    mailroom: Stack, people: People
) -> None:
    people.expected = LOST_CONNECTION
    page = retrying(mailroom, people, "offline@example.org")
    go_offline(page)
    expect(page.locator(LINE)).to_contain_text("You are offline")
    expect(page.locator(COUNTDOWN)).to_be_hidden()
    page.wait_for_timeout(8_000)  # its line is given up meanwhile
    expect(page.locator(LINE)).to_contain_text("You are offline")
    mailroom.give_mail_server_back()
    expect_state(page, "retrying")
    page.context.set_offline(False)
    expect(page.locator(LINE)).to_be_hidden()
    expect_state(page, "sent", 30)


def test_a_server_that_fell_silent_is_noticed_and_the_last_known_state_kept(
    mailroom: Stack, people: People
) -> None:
    people.expected = LOST_CONNECTION
    page = retrying(mailroom, people, "silent@example.org")
    assert mailroom.web
    mailroom.web.signal(signal.SIGSTOP)
    try:
        come_back(page)
        # News that was on its way proved the line alive; it is tried again after 30 seconds.
        expect(page.locator(LINE)).to_have_text(re.compile("^(Rec|C)onnecting…"), timeout=60_000)
        expect(page.locator(COUNTDOWN)).to_be_hidden()
        expect_state(page, "retrying")
    finally:
        mailroom.web.signal(signal.SIGCONT)
    mailroom.give_mail_server_back()
    expect_state(page, "sent", 60)
    expect(page.locator(LINE)).to_be_hidden()


def test_no_news_is_shown_as_connecting_with_what_was_known_last(mailroom: Stack, people: People) -> None:
    mailroom.kill_worker()
    page, email = people.page(), "no-news@example.org"
    lines: list[WebSocketRoute] = []

    def take(line: WebSocketRoute) -> None:
        lines.append(line)

    page.route_web_socket(re.compile("/live"), take)
    ticket = sign_up(page, email)
    expect_state(page, "queued")
    expect(page.locator(LINE)).to_have_text("Connecting… This is the last known state.")  # no answer yet
    [line] = lines
    sent = {"task": ticket, "state": "sent", "stage": "accepted", "final": True}
    retrying = {"task": ticket, "state": "retrying", "retry_at": "2099-01-01T00:00:00+00:00", "final": False}
    line.send(news(retrying))
    expect_state(page, "retrying")
    expect(page.locator(LINE)).to_be_hidden()
    expect(page.locator(COUNTDOWN)).to_be_visible()
    line.send(json.dumps({"task": ticket, "state": "connecting", "final": False}))
    expect(page.locator(LINE)).to_have_text("Connecting… This is the last known state.")
    expect(page.locator(COUNTDOWN)).to_be_hidden()
    expect(page.get_by_role("heading", name="Waiting to try again")).to_be_visible()
    line.send(news(sent))
    expect_state(page, "sent")
    expect(page.locator(LINE)).to_be_hidden()

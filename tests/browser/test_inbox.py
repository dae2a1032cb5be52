"""The embedded stack's inbox: mails arrive by themselves, look as they should, and can do no harm."""

import re
import socket

import pytest
from playwright.sync_api import expect

from tests.browser.people import People, expect_signed_in, expect_state, sign_up
from tests.browser.test_looks import look
from tests.sink import wait_for
from tests.stack import Stack

OUR_OWN_SCRIPT = "Blocked script execution"
"""The tests' diary is put into every frame; a mail's frame runs nothing."""
TRAP = """\
From: Mallory <mallory@example.net>
To: alice@example.org
Subject: <script>document.title = "taken"</script>
Content-Type: text/html; charset=utf-8

<p>Hello</p><script>top.document.title = "taken"</script><img src="http://127.0.0.1:PORT/seen.png">
<form action="/sign-out" method="post"><button>Press me</button></form>
"""


def deliver(mailroom: Stack, email: str) -> None:
    """Put the newest mail to this address into the inbox, as the embedded stack's server does."""
    wait_for(lambda: mailroom.sink.to(email), 20, f"a mail to {email}")
    mailroom.inbox.put(mailroom.sink.to(email)[-1].raw, "hello@mailroom.example", [email])


def test_a_mail_comes_in_by_itself_and_its_button_confirms(mailroom: Stack, people: People) -> None:
    people.expected = OUR_OWN_SCRIPT
    page, email = people.page(), "inbox@example.org"
    sign_up(page, email)
    expect_state(page, "sent")
    with page.context.expect_page() as opened:
        page.get_by_role("main").get_by_role("link", name="inbox").click()
    inbox = opened.value
    row = inbox.get_by_role("listitem").filter(has_text=email)
    expect(row).to_have_count(0)
    deliver(mailroom, email)
    expect(row).to_be_visible()
    expect(inbox.get_by_role("status")).to_contain_text("New mail")
    row.get_by_role("link").click()
    expect(inbox.get_by_role("definition").filter(has_text=email)).to_be_visible()
    with page.context.expect_page() as opened:
        inbox.frame_locator("iframe").get_by_role("link", name=re.compile("Confirm")).first.click()
    opened.value.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(opened.value, email)
    expect(page.get_by_role("heading", name="Your address is confirmed")).to_be_visible()


def test_the_inbox_fits_a_phone_and_can_be_read(mailroom: Stack, people: People) -> None:
    people.expected = OUR_OWN_SCRIPT
    page = people.page()
    email = f"somebody-with-a-great-deal-to-say@{'long-' * 9}name.example.org"
    sign_up(page, email)
    deliver(mailroom, email)
    page.goto("/inbox")
    look(page)
    page.get_by_role("listitem").filter(has_text=email).get_by_role("link").click()
    for summary in page.locator("summary").all():
        summary.click()
    look(page)


def test_a_mail_that_means_harm_runs_nothing_loads_nothing_and_sends_no_form(
    mailroom: Stack, people: People
) -> None:
    people.expected = "Content Security Policy|sandboxed"  # the browser says what it has kept from happening
    with socket.create_server(("127.0.0.1", 0)) as mallory:
        mallory.setblocking(False)  # its only argument
        trap = TRAP.replace("PORT", str(mallory.getsockname()[1]))
        mailroom.inbox.put(trap.encode(), "mallory@example.net", ["alice@example.org"])
        page = people.page()
        posted: list[str] = []
        page.context.on(
            "request", lambda request: posted.append(request.url) if request.method == "POST" else None
        )
        page.goto("/inbox")
        page.get_by_role("link").filter(has_text="alice@example.org").click()
        frame = page.frame_locator("iframe")
        expect(frame.get_by_text("Hello")).to_be_visible()
        expect(frame.locator("script")).to_have_count(1)  # it is there, and was not run
        frame.get_by_role("button", name="Press me").click()
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("heading", level=1)).to_have_text('<script>document.title = "taken"</script>')
        assert page.title() != "taken"
        assert not posted
        with pytest.raises(BlockingIOError):  # nobody has knocked
            mallory.accept()

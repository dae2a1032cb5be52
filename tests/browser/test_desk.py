"""The desk in a browser: an operator finds what failed and mends it; with the keyboard, without JavaScript."""

import re

from playwright.sync_api import Page, expect

from tests.browser.people import People, expect_signed_in, mail_to, sign_up
from tests.browser.test_looks import look
from tests.journeys.conftest import link_in
from tests.sink import wait_for
from tests.stack import Stack

FAILED = """
insert into mails (id, kind, recipient, params, nonce, on_uncertain, state, code, enhanced, answer, reason,
    attempt, ended_at, expires_at)
select uuidv7(), 'plain', 'desk' || n || '@example.net', '{"subject": "Hello", "text": "Hello from the desk"}',
    '\\x00112233445566778899aabbccddeeff', 'resend', 'failed', 550, '5.7.1', '5.7.1 Message looks like spam',
    'policy refused', 1, now(), now() from generate_series(1, 7) as n
"""
ATTEMPTS = """
insert into attempts (mail_id, attempt, worker, server, outcome, reason, code, enhanced, answer, connected_at,
    ended_at)
select id, 1, 'worker-1', 'mx.example.net', 'failed', 'policy refused', code, enhanced, answer, now(), now()
from mails where recipient like 'desk%%'
"""


def operator(mailroom: Stack, page: Page, email: str) -> None:
    """Sign somebody up, confirmed, and make them an operator."""
    sign_up(page, email)
    page.goto(link_in(mail_to(mailroom.sink, email)))
    page.get_by_role("button", name="Confirm").click()
    expect_signed_in(page, email)
    mailroom.run("update accounts set role = 'operator', is_operator = true where email = %s", [email])


def test_an_operator_finds_what_failed_and_sends_all_of_it_again(mailroom: Stack, people: People) -> None:
    people.expected = "Blocked script execution"  # the diary of these tests is no part of a mail
    page = people.page()
    operator(mailroom, page, "olga-desk@example.org")
    mailroom.run(FAILED)
    mailroom.run(ATTEMPTS)

    page.goto("/account")
    page.get_by_role("link", name="Desk").click()
    page.get_by_role("navigation", name="Desk").get_by_role("link", name="Failures").click()
    group = page.get_by_role("region", name=re.compile("Policy refused"))
    expect(group).to_contain_text("7 mails")
    expect(group).to_contain_text("SPF, DKIM and DMARC")
    look(page)

    page.get_by_role("link", name="Mails", exact=True).focus()
    page.keyboard.press("Enter")
    field = page.get_by_role("combobox", name="Search", exact=True).or_(
        page.get_by_role("searchbox", name="Search")
    )
    field.first.focus()
    page.keyboard.type("state:fa")
    expect(page.locator("datalist#suggestions option")).to_have_count(1)
    page.keyboard.type("iled to:@example.net")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=state%3Afailed"))
    expect(page.locator("ul.mails > li")).to_have_count(7)
    page.get_by_text("Search by form").click()
    look(page)

    page.locator("ul.mails a").first.click()
    expect(page.get_by_role("img", name="Queued → Sending → Failed")).to_be_visible()
    expect(page.frame_locator("iframe").get_by_text("Hello from the desk").first).to_be_visible()
    look(page)
    page.get_by_role("link", name="All that failed like it").click()

    page.get_by_role("link", name="Send again…").click()
    expect(page.get_by_text("7 mails match.")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Send all of them again").click()
    expect(page.locator("[data-part=detail]")).to_have_text("7 mails were changed, 0 were left as they are.")
    wait_for(lambda: all(mailroom.sink.to(f"desk{n}@example.net") for n in range(1, 8)), 60, "seven mails")
    assert all(len(mailroom.sink.to(f"desk{n}@example.net")) == 1 for n in range(1, 8)), "each once"

    page.goto("/desk/tasks")
    expect(page.get_by_role("link", name=re.compile("Send again: all mails"))).to_be_visible()
    look(page)
    page.goto("/desk/people?q=olga")
    page.get_by_role("link", name=re.compile("olga-desk@example.org")).click()
    look(page)


def test_the_desk_works_without_javascript(mailroom: Stack, people: People) -> None:
    page = people.page(java_script_enabled=False)
    operator(mailroom, page, "otto@example.org")
    mailroom.run(FAILED.replace("'desk'", "'plain'"))
    page.goto("/desk/mails")
    page.get_by_text("Search by form").click()
    page.get_by_label("State").select_option("failed")
    page.get_by_label("To: an address").fill("plain3@example.net")
    page.locator("form.parts").get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"q=state%3Afailed\+to%3Aplain3"))
    page.locator("ul.mails a").click()
    page.get_by_role("button", name="Send it again").click()
    wait_for(lambda: mailroom.sink.to("plain3@example.net"), 60, "the mail")
    page.goto("/desk/mails/all?q=state:failed&act=cancel")
    page.get_by_role("button", name="Cancel all of them").click()  # nothing is typed: the browser asks for it
    expect(page).to_have_url(re.compile("/desk/mails/all"))

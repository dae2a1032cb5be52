"""What the page says, by itself, while something is away, and that it comes to the end all the same."""

import re

from playwright.sync_api import expect

from tests.browser.people import PASSWORD, People, diary, expect_signed_in, expect_state, mail_to, sign_up
from tests.browser.proxy import Proxy
from tests.journeys.conftest import link_in
from tests.sink import Fault
from tests.stack import Stack

LOST_CONNECTION = "WebSocket connection to|net::ERR_|status of 502"
"""What Chromium itself notes when a server is gone."""


def test_without_a_worker_the_page_waits_and_one_started_later_finishes_live(
    mailroom: Stack, people: People
) -> None:
    mailroom.kill_worker()
    page = people.page()
    sign_up(page, "waiting@example.org")
    expect_state(page, "queued")
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    expect(page.get_by_text("Your mail is stored")).to_be_visible()
    mailroom.start_worker(wait=False)
    expect_state(page, "sent", 30)
    assert diary(page)[0]["state"] == "queued", "the page was loaded anew"


def test_with_smtp_down_the_page_says_why_and_counts_down_and_goes_on_once_it_is_back(
    mailroom: Stack, people: People
) -> None:
    mailroom.take_mail_server_away()
    page = people.page()
    sign_up(page, "smtp-down@example.org")
    expect_state(page, "retrying")
    expect(page.locator("[data-part=detail]")).to_contain_text("The mail server cannot be reached")
    countdown = page.locator("[data-part=countdown]")
    expect(countdown).to_have_text(re.compile(r"^in \d+ seconds?$"))
    first = countdown.inner_text()
    expect(countdown).not_to_have_text(first)
    expect(page.get_by_text(re.compile(r"The problem began at \d\d:\d\d"))).to_be_visible()
    mailroom.give_mail_server_back()
    expect_state(page, "sent", 20)
    expect(countdown).to_be_hidden()
    assert [entry["state"] for entry in diary(page)][-1] == "sent"


def test_a_mail_refused_for_good_says_why_and_what_to_do_now(mailroom: Stack, people: People) -> None:
    email = "refused@example.org"
    mailroom.sink.faults.append(Fault("rcpt", reply="550 5.1.1 Mallory made this <b>up</b>", recipient=email))
    page = people.page()
    sign_up(page, email)
    expect_state(page, "failed")
    expect(page.locator("[data-part=detail]")).to_contain_text("refused this mail for good")
    expect(page.get_by_text("550 5.1.1")).to_be_visible()
    expect(page.get_by_text("Mallory made this")).to_have_count(0)  # a stranger's words are not for strangers
    expect(page.get_by_role("heading", name="What you can do")).to_be_visible()
    page.get_by_role("link", name="Sign up again").and_(page.locator(".button")).click()
    expect(page).to_have_url(re.compile("/sign-up$"))


def test_confirmed_on_the_phone_the_first_page_says_so_by_itself(mailroom: Stack, people: People) -> None:
    desk, phone, email = people.page(), people.page(viewport={"width": 390, "height": 800}), "two@example.org"
    sign_up(desk, email)
    expect_state(desk, "sent")
    phone.goto(link_in(mail_to(mailroom.sink, email)))
    phone.get_by_label("Password", exact=True).fill(PASSWORD)
    phone.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(phone, email)
    expect(desk.get_by_role("heading", name="Your address is confirmed")).to_be_visible()
    expect(desk.get_by_label("Code from the mail")).to_be_hidden()
    expect(desk.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()
    expect(desk).to_have_title("Confirmed · Mailroom")


def test_while_the_web_process_is_gone_the_page_stays_calm_and_goes_on_when_it_is_back(
    mailroom: Stack, people: People
) -> None:
    people.expected = LOST_CONNECTION
    mailroom.kill_worker()
    page = people.page()
    sign_up(page, "restart@example.org")
    expect_state(page, "queued")
    mailroom.kill_web()
    expect(page.locator("[data-part=connection]")).to_have_text("Reconnecting… The work goes on meanwhile.")
    expect_state(page, "queued")
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    mailroom.start_worker()
    mailroom.start_web()
    expect_state(page, "sent", 30)
    expect(page.locator("[data-part=connection]")).to_be_hidden()
    assert diary(page)[0]["state"] == "queued", "the page was loaded anew"


def test_where_websockets_are_blocked_polling_comes_to_the_end(mailroom: Stack, people: People) -> None:
    people.expected = LOST_CONNECTION
    mailroom.kill_worker()
    with Proxy(websockets=False) as proxy:
        page = people.page(proxy={"server": proxy.url})
        sign_up(page, "proxy@example.org")
        expect_state(page, "queued")
        mailroom.start_worker(wait=False)
        expect_state(page, "sent", 40)
        assert diary(page)[0]["state"] == "queued", "the page was loaded anew"
        assert proxy.refused
        expect(page.locator("[data-part=connection]")).to_be_hidden()
        page.context.close()

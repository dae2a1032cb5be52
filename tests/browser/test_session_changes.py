"""Pages that are open while their browser signs in or out in another tab."""

from playwright.sync_api import Page, expect

from tests.browser.people import PASSWORD, People, expect_signed_in, expect_state, mail_to, sign_in, sign_up
from tests.browser.proxy import Proxy
from tests.journeys.conftest import link_in
from tests.stack import Stack

REFUSED = "WebSocket connection to|status of 40[14]"
"""What Chromium notes when the page tries its new cookie, or none."""
NOTE_STATES = """() => {
    const progress = document.querySelector("mail-progress");
    window.states = [];
    new MutationObserver(() => window.states.push(progress.dataset.state))
        .observe(progress, { attributes: true, attributeFilter: ["data-state"] });
}"""


def member(mailroom: Stack, people: People, email: str) -> Page:
    """Return a page signed in to a new account."""
    page = people.page()
    sign_up(page, email)
    page.goto(link_in(mail_to(mailroom.sink, email)))
    page.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(page, email)
    return page


def sign_out(page: Page) -> None:
    page.get_by_role("navigation").get_by_role("button", name="Sign out").click()
    page.wait_for_url(lambda url: not url.endswith("/account"))


def come_back(page: Page) -> None:
    """What a browser tells a page that somebody looks at again."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_confirming_in_another_tab_keeps_the_first_one_alive(mailroom: Stack, people: People) -> None:
    page, email = people.page(), "same-browser@example.org"
    sign_up(page, email)
    expect_state(page, "sent")
    page.evaluate("window.notReloaded = true")
    tab = page.context.new_page()
    tab.goto(link_in(mail_to(mailroom.sink, email)))
    tab.get_by_role("button", name="Confirm this address").click()
    expect_signed_in(tab, email)
    expect(page.get_by_role("heading", name="Your address is confirmed")).to_be_visible()
    assert page.evaluate("window.notReloaded")
    expect(page.locator("mail-progress")).to_have_attribute("data-afterword", "confirmed")


def test_signing_out_in_another_tab_is_said_on_every_page_and_signing_in_again_brings_them_back(
    mailroom: Stack, people: People
) -> None:
    people.expected = REFUSED
    email = "other-tab@example.org"
    page = member(mailroom, people, email)
    mailroom.kill_worker()
    page.goto("/account/data")
    page.get_by_role("button", name="Export my data").click()
    expect(page.locator("task-progress")).to_have_attribute("data-state", "queued")
    tab, everything = page.context.new_page(), page.context.new_page()
    everything.goto("/tasks")
    expect(everything.locator(".rows li").first).to_contain_text("Queued")
    tab.goto("/account")
    sign_out(tab)
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible(timeout=5_000)
    expect(page.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()
    page.wait_for_timeout(1_500)  # nothing of a connection is tried, or said, any more
    expect(page.locator("[data-part=connection]")).to_be_hidden()
    expect(everything.get_by_role("status").filter(has_text="This browser is signed out")).to_be_visible()
    expect(everything.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()
    expect(everything.locator(".rows li").first).to_contain_text("Queued")  # what was known last
    expect(page.locator("[data-part=detail]")).to_contain_text("Sign in to see this page")
    expect(page).to_have_title("Signed out · Export of your data · Mailroom")
    sign_in(tab, email)
    expect_signed_in(tab, email)
    come_back(page)
    come_back(everything)
    expect(page.locator("task-progress")).to_have_attribute("data-state", "queued")
    mailroom.start_worker(wait=False)
    expect(page.locator("task-progress")).to_have_attribute("data-state", "done")
    expect(everything.locator(".rows li").first).to_contain_text("Done")
    expect(everything.get_by_text("This browser is signed out")).to_be_hidden()
    expect(page.get_by_role("main").get_by_role("link", name="Sign in")).to_be_hidden()


def test_a_page_of_a_mail_keeps_what_it_knew_when_it_is_signed_out(mailroom: Stack, people: People) -> None:
    people.expected = REFUSED
    email = "keeps@example.org"
    member(mailroom, people, email)
    page = people.page()
    page.goto("/new-password")
    page.get_by_label("Mail address").fill(email)
    page.get_by_role("button", name="Send me a link").click()
    expect_state(page, "sent")
    with page.expect_popup() as opened:
        page.evaluate("window.open('/sign-in')")
    sign_in(opened.value, email, PASSWORD)
    expect_signed_in(opened.value, email)
    expect_state(page, "sent")  # the same browser: it watches on
    sign_out(opened.value)
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible(timeout=5_000)
    expect(page.locator("mail-progress ol.route > li[data-status=done]")).to_have_count(5)


def test_a_page_watches_on_though_its_browser_gets_the_new_cookie_late(mailroom: Stack, people: People) -> None:
    people.expected = REFUSED
    email = "late-cookie@example.org"
    member(mailroom, people, email)
    with Proxy(websockets=True, slow="POST /sign-in", seconds=0.5) as proxy:
        page = people.page(proxy={"server": proxy.url})
        page.goto("/new-password")
        page.get_by_label("Mail address").fill(email)
        page.get_by_role("button", name="Send me a link").click()
        expect_state(page, "sent")
        page.evaluate(NOTE_STATES)
        asked: list[int] = []
        page.on("response", lambda answer: asked.append(answer.status) if "/api/v1/tasks/" in answer.url else None)
        with page.expect_popup() as opened:
            page.evaluate("window.open('/sign-in')")
        sign_in(opened.value, email, PASSWORD)
        expect_signed_in(opened.value, email)
        page.wait_for_timeout(2_000)
        assert asked and asked[0] in {401, 404}, "the page asked before its browser had the new cookie"
        assert set(page.evaluate("window.states")) <= {"sent"}, "no word of signing out in between"
        expect_state(page, "sent")
        page.context.close()


def test_signing_out_is_said_where_websockets_are_blocked(mailroom: Stack, people: People) -> None:
    people.expected = f"{REFUSED}|net::ERR_"
    email = "polls-only@example.org"
    with Proxy(websockets=False) as proxy:
        page = people.page(proxy={"server": proxy.url})
        sign_up(page, email)
        page.goto(link_in(mail_to(mailroom.sink, email)))
        page.get_by_role("button", name="Confirm this address").click()
        expect_signed_in(page, email)
        mailroom.kill_worker()
        page.goto("/account/data")
        page.get_by_role("button", name="Export my data").click()
        expect(page.locator("task-progress")).to_have_attribute("data-state", "queued")
        tab = page.context.new_page()
        tab.goto("/account")
        sign_out(tab)
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        page.context.close()


def test_a_page_whose_mail_is_another_browsers_by_now_says_so_and_what_to_do(
    mailroom: Stack, people: People
) -> None:
    first = people.page()
    ticket = sign_up(first, "moved@example.org")
    expect_state(first, "sent")
    mailroom.run("update tasks set session_id = null where id = %s", [ticket])
    expect(first.get_by_role("heading", name="This page cannot show the mail any more")).to_be_visible()
    expect(first.locator("[data-part=detail]")).to_contain_text("Somebody signed up again with this address")
    expect(first.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()
    expect(first).to_have_title("Moved · Mailroom")
    expect(first.locator("mail-progress")).to_have_attribute("data-mood", "unsure")
    expect(first.get_by_label("Code from the mail")).to_be_hidden()
    expect(first.locator("mail-progress ol.route > li[data-status=done]")).to_have_count(5)

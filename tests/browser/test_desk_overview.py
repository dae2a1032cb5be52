"""An operator who only looks at the overview: says what is wrong, since when, how many, and mends it."""

import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.people import People, mail_to, sign_in, sign_up
from tests.sink import Fault, wait_for
from tests.stack import Stack

SERIOUS = {"serious", "critical"}
WAIT = 60_000


@pytest.fixture
def operator(mailroom: Stack, people: People) -> str:
    """Olga's address: confirmed, and an operator."""
    email = "olga-overview@example.org"
    mailroom.run("delete from accounts")
    page = people.page()
    sign_up(page, email)
    link = re.search(r"https?://\S+/confirm/\S+", mail_to(mailroom.sink, email))
    assert link
    page.goto(link[0])
    page.get_by_role("main").get_by_role("button").first.click()
    expect(page).to_have_url(re.compile("/account"))
    mailroom.run("update accounts set role = 'operator', is_operator = true")
    return email


QUEUED = """
insert into mails (id, kind, recipient, params, nonce, on_uncertain, nudge_at, expires_at)
select uuidv7(), 'plain', 'n' || number || case when number %% 2 = 0 then '@full.example' else '@fine.example' end,
    '{"subject": "Hello", "text": "Hello"}', uuid_send(gen_random_uuid()), 'resend', now(),
    now() + interval '2 days'
from generate_series(1, %s) as number
"""


@pytest.mark.timeout(300)
def test_a_server_that_refuses_half_of_the_mails_is_named_within_a_minute_and_mended_in_three_presses(
    mailroom: Stack, people: People, operator: str
) -> None:
    many = 60
    page = people.page()
    sign_in(page, operator)
    expect(page).to_have_url(re.compile("/account"))
    mailroom.run("delete from alerts")
    mailroom.run("delete from statistics")
    page.goto("/desk")  # nothing is touched from here on
    refusal = "550 5.7.1 Message looks like spam"
    mailroom.sink.faults += [
        Fault("rcpt", refusal, recipient=f"n{number}@full.example") for number in range(2, many + 1, 2)
    ]
    mailroom.run(QUEUED, [many])
    began = time.monotonic()
    status = page.get_by_role("status")
    said = re.compile(r"30 of 6\d mails failed in the last ten minutes\. It began at")  # Olga had some, too
    expect(status).to_contain_text(said, timeout=WAIT)
    expect(status).to_contain_text("30 of the newest 30 for this reason: 550 5.7.1", timeout=WAIT)
    expect(status).to_contain_text("refused")
    assert time.monotonic() - began < 60

    mailroom.sink.faults.clear()  # the sender's records are mended, say
    page.get_by_role("link", name="See what they have in common").click()
    page.get_by_role("link", name="Send the group again…").click()
    expect(page.get_by_text("30 mails match.")).to_be_visible()
    page.get_by_role("button", name="Send all of them again").click()
    expect(page.locator("[data-part=detail]")).to_have_text("30 mails were changed, 0 were left as they are.")

    def inboxes() -> list[str]:
        found = (mail.recipient for mail in mailroom.sink.accepted)
        return [to for to in found if to.endswith(("@full.example", "@fine.example"))]

    wait_for(lambda: len(inboxes()) >= many, 60, "all mails")
    assert len(set(inboxes())) == len(inboxes()) == many, "each once"
    page.goto("/desk")
    mailroom.run("update statistics set at = at - interval '11 minutes' where name = 'ended' and label = 'failed'")
    expect(page.get_by_role("status")).to_contain_text("Nothing is wrong", timeout=2 * WAIT)
    mailroom.run("delete from tasks where name is not null")  # other tests look for their own


@pytest.mark.timeout(300)  # it waits for alerts, which take their time to fire and to clear
def test_what_is_wrong_is_said_by_itself_and_mended_by_a_press(
    mailroom: Stack, people: People, operator: str
) -> None:
    page = people.page()
    sign_in(page, operator)
    expect(page).to_have_url(re.compile("/account"))
    page.goto("/desk")
    status = page.get_by_role("status")
    expect(status).to_contain_text("Nothing is wrong. 1 worker runs.", timeout=WAIT)
    expect(page.locator("figure.chart")).to_have_count(4)
    axe = Axe().run(page)
    assert [v for v in axe.response["violations"] if v["impact"] in SERIOUS] == []

    # Pause all sending on the page of workers; the member's page says why; go on from the overview.
    page.goto("/desk/workers")
    page.get_by_role("button", name="Pause all sending").click()
    expect(page.get_by_text("All sending is paused since")).to_be_visible()
    alice = people.page()
    sign_up(alice, "alice@example.org")
    expect(alice.get_by_role("main")).to_contain_text("Sending is paused", timeout=WAIT)
    page.goto("/desk")
    page.get_by_role("button", name="Resume").click()
    expect(alice.locator("mail-progress")).to_have_attribute("data-state", "sent", timeout=WAIT)

    # A drained worker takes on nothing, and goes on when it is asked to.
    page.goto("/desk/workers")
    page.get_by_role("button", name="Drain").click()
    expect(page.get_by_text("drains", exact=True)).to_be_visible()
    mailroom.worker.wait_for("an operator asks this worker to drain")  # type: ignore[union-attr]
    dora = people.page()
    sign_up(dora, "dora@example.org")
    page.get_by_role("button", name="Resume").click()
    mailroom.worker.wait_for("an operator asks this worker to go on")  # type: ignore[union-attr]
    expect(dora.locator("mail-progress")).to_have_attribute("data-state", "sent", timeout=WAIT)

    # Without a script, at any width, the pages say the same and none is wider than its window.
    plain = people.page(java_script_enabled=False, viewport={"width": 390, "height": 900})
    sign_in(plain, operator)
    for path in ("/desk", "/desk?period=week", "/desk/workers", "/desk/alerts"):
        plain.goto(path)
        expect(plain.get_by_role("heading", level=1)).to_be_visible()
        box = plain.get_by_role("main").bounding_box()
        assert box and box["x"] + box["width"] <= 390, path

    # Nobody touches the overview: it says by itself that the worker is gone, and that it is back.
    page.goto("/desk")
    mailroom.kill_worker()
    mailroom.run("update processes set seen_at = seen_at - interval '3 minutes' where role = 'worker'")
    bob = people.page()
    sign_up(bob, "bob@example.org")
    expect(status).to_contain_text(re.compile("No worker runs since .* 1 mail waits"), timeout=WAIT)
    assert page.get_by_role("link", name="Look at the workers").count() == 1
    mailroom.start_worker()
    expect(status).to_contain_text("Nothing is wrong", timeout=WAIT)

    mailroom.take_mail_server_away()
    carol = people.page()
    sign_up(carol, "carol@example.org")
    expect(status).to_contain_text("it cannot be reached since", timeout=WAIT)
    mailroom.give_mail_server_back()
    expect(status).to_contain_text("Nothing is wrong", timeout=WAIT)

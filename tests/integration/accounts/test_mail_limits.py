"""How many mails strangers can cause, which nobody sees and which keeps no owner out."""

import asyncio
import logging
from itertools import pairwise
from uuid import UUID

import pytest

from mailroom.accounts.mail_limits import FormMailQueue
from mailroom.mail.ledger.claims import Ledger
from mailroom.mail.ledger.rescuer import Rescuer
from tests.integration.accounts.conftest import ALICE, ALICES, MALLORYS, Reception

NEW = "eleven patient herons count rain"


async def sent(reception: Reception) -> int:
    """Mails whose content a mail server gets."""
    [(count,)] = await reception.rows("select count(*) from mails where not params ? 'withheld'")
    return int(count)


async def was_sent(reception: Reception, ticket: UUID) -> bool:
    return "withheld" not in ((await reception.mail(ticket)).params or {})


async def attack(reception: Reception, email: str, times: int = 6) -> list[UUID]:
    """Mallory asks for all that forms send to an address, from fresh browsers."""
    tickets = []
    for number in range(times):
        browser = await reception.browser()
        if number % 2:
            tickets.append(await reception.sign_up(browser, email, MALLORYS))
        else:
            tickets.append(await reception.forget(email, browser))
    return tickets


@pytest.mark.parametrize(("status", "most"), [("new", 3), ("known", 5)])
@pytest.mark.parametrize(
    "spellings",
    [
        ["alice@example.org"],
        ["alice@example.org", "ALICE@Example.org", "alice+a@example.org", "alice+b@example.org"],
        ["alice+1@example.org", "alice+2@example.org", "alice+3@example.org", "ali\u034fce@example.org"],
    ],
)
async def test_one_mailbox_gets_so_many_mails_an_hour_from_all_forms_together(
    reception: Reception, status: str, most: int, spellings: list[str]
) -> None:
    if status == "known":
        await reception.member()
    before = await sent(reception)
    tickets = [ticket for email in spellings * 2 for ticket in await attack(reception, email)]
    assert 1 <= await sent(reception) - before <= most
    assert len(set(tickets)) == len(tickets), "each answer is a ticket as any other"


async def test_asking_at_once_is_no_way_past_the_limit(reception: Reception) -> None:
    browsers = [await reception.browser() for _ in range(12)]
    forms = [
        reception.sign_up(browser, f"alice+{number}@example.org", MALLORYS)
        if number % 2
        else reception.forget("alice@example.org", browser)
        for number, browser in enumerate(browsers)
    ]
    await asyncio.gather(*forms)
    assert await sent(reception) <= 3


async def test_an_address_without_an_account_gets_five_mails_a_day(reception: Reception) -> None:
    for _ in range(6):
        await attack(reception, "nobody@example.org")
        await reception.wait(hours=2)
    assert await sent(reception) == 5
    await reception.wait(hours=13)
    await attack(reception, "nobody@example.org")
    assert await sent(reception) > 5


@pytest.mark.parametrize("status", ["new", "pending", "known"])
async def test_nothing_that_a_browser_is_told_depends_on_the_limit(reception: Reception, status: str) -> None:
    if status == "known":
        await reception.member()
    if status == "pending":
        await reception.sign_up(await reception.browser())
    answers = []
    for ticket in await attack(reception, ALICE, 10):
        mail = await reception.mail(ticket)
        [task] = await reception.rows("select * from tasks where id = :id", id=ticket)
        answers.append((mail.state, mail.typed_recipient or mail.recipient, task.afterword, task.owner_id))
    assert set(answers) == {("queued", ALICE, None, None)}
    assert len(reception.nudged) >= 10
    sign_up = await reception.browser()
    ticket = await reception.sign_up(sign_up, password=MALLORYS)
    assert await reception.registration.can_resend_in(ticket, sign_up) == pytest.approx(60, abs=5)
    for _ in range(3):
        await reception.wait(seconds=61)
        assert await reception.registration.can_resend_in(ticket, sign_up) == 0
        ticket = await reception.registration.resend(ticket=ticket, session=sign_up)


@pytest.mark.parametrize("way", ["code", "link here", "link elsewhere"])
async def test_mallory_cannot_keep_alice_from_signing_up(reception: Reception, way: str) -> None:
    tickets = await attack(reception, ALICE)
    alices = await reception.browser()
    own = await reception.sign_up(alices)
    assert not await was_sent(reception, own)
    newest = [ticket for ticket in tickets if await was_sent(reception, ticket)]
    mailed = [ticket for ticket in newest if (await reception.mail(ticket)).kind == "confirm_sign_up"]
    assert mailed, "mails that open nothing leave room for one that does"
    await reception.sent(mailed[-1], hours_ago=3)
    await reception.forget(ALICE)  # whoever asks again: what is withheld makes the newest good once more
    await reception.sign_up(alices)
    if way == "code":
        started = await reception.type_code(await reception.code(mailed[-1]), alices)
    else:
        browser = alices if way == "link here" else None
        started = await reception.confirm(mailed[-1], browser, None if browser else ALICES)
    assert started.session.account
    assert (await reception.sign_in(ALICE, ALICES)).session.account


async def test_mallory_cannot_keep_alice_from_signing_up_by_tags(reception: Reception) -> None:
    for number in range(8):
        await attack(reception, f"alice+{number}@example.org", 2)
    alices = await reception.browser()
    own = await reception.sign_up(alices)
    assert await was_sent(reception, own)
    await reception.confirm(own, alices)


async def test_mallory_cannot_keep_alice_from_a_new_password(reception: Reception) -> None:
    await reception.member()
    tickets = await attack(reception, ALICE, 20)
    mailed = [
        ticket
        for ticket in tickets
        if await was_sent(reception, ticket) and (await reception.mail(ticket)).kind == "new_password"
    ]
    assert mailed
    for ticket in mailed:
        await reception.sent(ticket, hours_ago=0.4)
    own = await reception.forget(ALICE)
    assert not await was_sent(reception, own)
    await reception.choose(await reception.password_token(mailed[-1]), NEW)
    assert (await reception.sign_in(ALICE, NEW)).session.account


async def test_a_pending_link_survives_any_number_of_strangers(reception: Reception) -> None:
    alices = await reception.browser()
    ticket = await reception.sign_up(alices)
    for _ in range(5):
        await attack(reception, ALICE)
    assert await reception.may_watch(ticket, alices)
    assert (await reception.confirm(ticket, alices)).session.account


async def test_over_the_limit_of_all_together_mails_wait_their_turn_and_go_out_one_by_one(
    reception: Reception, caplog: pytest.LogCaptureFixture
) -> None:
    await reception.member()
    await reception.run("delete from sign_up_mails")
    queue = FormMailQueue(reception.database, hourly=4)
    reception.registration._queue = reception.password_reset._queue = queue
    with caplog.at_level(logging.WARNING, "mailroom"):
        tickets = [await reception.sign_up(await reception.browser(), f"m{n}@example.org") for n in range(6)]
        tickets += [await reception.forget("nobody@example.org"), await reception.forget(ALICE)]
    states = [(await reception.mail(ticket)).state for ticket in tickets]
    assert states == ["queued"] * 4 + ["scheduled"] * 4
    due = [(await reception.mail(ticket)).next_attempt_at for ticket in tickets if ticket not in reception.nudged]
    minutes = [(later - earlier).total_seconds() / 60 for earlier, later in pairwise(filter(None, due))]
    assert minutes == pytest.approx([15] * 3, abs=0.1)
    assert [record.getMessage() for record in caplog.records] == [
        "more than 4 mails an hour are asked for by forms: further ones wait"
    ]


async def test_a_mail_that_waited_its_turn_is_swept_and_claimed(reception: Reception) -> None:
    reception.registration._queue = FormMailQueue(reception.database, hourly=1)
    for name in ("one", "two"):
        ticket = await reception.sign_up(await reception.browser(), f"{name}@example.org")
    assert (await reception.mail(ticket)).state == "scheduled"
    ledger, rescuer = Ledger(reception.database, "w:1"), Rescuer(reception.database)
    assert await ledger.claim([ticket]) == [], "not yet"
    await reception.run(
        "update mails set next_attempt_at = now(), nudge_at = now() - interval '1 second' where id = :id",
        id=ticket,
    )
    assert ticket in await rescuer.sweep(queue_empty=True)
    [claim] = await ledger.claim([ticket])
    assert claim.id == ticket

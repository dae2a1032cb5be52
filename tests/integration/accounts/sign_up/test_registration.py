import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from psycopg import AsyncCursor

from mailroom.accounts.errors import (
    AlreadyConfirmed,
    InvalidAddress,
    TooSoon,
    UnknownSignUp,
    WeakPassword,
    WrongPassword,
)
from mailroom.accounts.sign_up.sign_ups import MOST_OPEN
from mailroom.i18n.sentences import error_text
from mailroom.kit.work_lanes import WorkLanes
from tests.integration.accounts.conftest import ALICE, ALICES, MALLORYS, Reception


async def test_a_sign_up_promises_one_mail_that_only_its_browser_may_watch(reception: Reception) -> None:
    alices, mallorys = await reception.browser(), await reception.browser()
    ticket = await reception.sign_up(alices, " Alice@Example.org ")
    mail = await reception.mail(ticket)
    assert (mail.kind, mail.recipient, mail.state) == ("confirm_sign_up", "Alice@example.org", "queued")
    assert reception.nudged == [ticket]
    assert await reception.may_watch(ticket, alices)
    assert not await reception.may_watch(ticket, mallorys)


async def test_a_sign_up_writes_no_secret_anywhere(reception: Reception) -> None:
    ticket = await reception.sign_up(await reception.browser())
    token, code = await reception.token(ticket), await reception.code(ticket)
    for table in ("mails", "tasks", "sign_ups", "sign_up_mails", "sessions"):
        stored = str(await reception.rows(f"select t::text from {table} t"))
        assert ALICES not in stored
        assert token not in stored
        assert code not in stored
        assert code.replace("-", "") not in stored


async def test_a_browser_without_a_session_gets_one_with_its_sign_up_and_none_where_that_fails(
    reception: Reception,
) -> None:
    alices, mallorys = reception.sessions.new("Firefox"), reception.sessions.new("Firefox")
    ticket = await reception.sign_up(alices)
    assert await reception.may_watch(ticket, alices.session)
    found = await reception.sessions.find(alices.secret)
    assert found
    assert (found.id, found.account) == (alices.session.id, None)
    with pytest.raises(WeakPassword):
        await reception.sign_up(mallorys, password="short")
    assert await reception.sessions.find(mallorys.secret) is None


async def test_a_bad_address_or_password_is_refused_with_its_reason_and_nothing_is_written(
    reception: Reception,
) -> None:
    session = await reception.browser()
    with pytest.raises(InvalidAddress) as refused:
        await reception.sign_up(session, "alice.example.org")
    assert "@-sign" in error_text(refused.value)
    with pytest.raises(WeakPassword) as refused:
        await reception.sign_up(session, password="short")
    assert "15 characters or more; this one has 5" in error_text(refused.value)
    with pytest.raises(WeakPassword) as refused:
        await reception.sign_up(session, password="alice@example.org")
    assert "made of your address" in error_text(refused.value)
    assert await reception.rows("select 1 from sign_ups") == []
    assert await reception.rows("select 1 from mails") == []


async def test_a_known_address_gets_another_mail_and_nothing_else_differs(reception: Reception) -> None:
    await reception.member()
    mallorys = await reception.browser()
    known = await reception.sign_up(mallorys, "ALICE@example.ORG", MALLORYS)
    new = await reception.sign_up(mallorys, "bob@example.org", MALLORYS)
    assert (await reception.mail(known)).kind == "already_have_account"
    mail = await reception.mail(known)
    assert mail.recipient == "alice@example.org", "the address that the account has"
    assert mail.typed_recipient == "ALICE@example.org", "as Mallory wrote it: the page shows it"
    assert (await reception.mail(new)).kind == "confirm_sign_up"
    titles = await reception.rows("select distinct title from tasks")
    assert titles == [("title.sign_up_mail",)]
    for ticket in (known, new):
        assert await reception.may_watch(ticket, mallorys)
        assert await reception.registration.can_resend_in(ticket, mallorys) == pytest.approx(60, abs=5)
        with pytest.raises(TooSoon):
            await reception.registration.resend(ticket=ticket, session=mallorys)


@pytest.mark.parametrize("status", ["pending", "known"])
async def test_sign_ups_of_several_browsers_go_on_beside_each_other(reception: Reception, status: str) -> None:
    if status == "known":
        await reception.member()
    mallorys, alices = await reception.browser(), await reception.browser()
    first = await reception.sign_up(mallorys, password=MALLORYS)
    second = await reception.sign_up(alices)
    for ticket, mine, other in ((first, mallorys, alices), (second, alices, mallorys)):
        assert await reception.may_watch(ticket, mine)
        assert not await reception.may_watch(ticket, other)
        assert await reception.registration.can_resend_in(ticket, mine) == pytest.approx(60, abs=5)
        assert await reception.registration.can_resend_in(ticket, other) is None
    assert await reception.rows("select afterword from tasks where afterword is not null") in (
        [],
        [("confirmed",)],
    ), "nobody is told of the other"


async def test_many_sign_ups_of_one_address_at_once_have_one_salt_or_two(reception: Reception) -> None:
    browsers = [await reception.browser() for _ in range(5)]
    tickets = await asyncio.gather(*(reception.sign_up(browser) for browser in browsers))
    waiting = await reception.rows("select mail_id from sign_ups where replaced_at is null")
    assert {mail_id for (mail_id,) in waiting} == set(tickets)
    for ticket, browser in zip(tickets, browsers, strict=True):
        assert await reception.may_watch(ticket, browser)


async def test_a_browser_that_signs_up_again_has_one_sign_up_with_the_newest_password(
    reception: Reception,
) -> None:
    session = await reception.browser()
    first = await reception.sign_up(session, password=MALLORYS)
    second = await reception.sign_up(session, "Alice@example.org", ALICES)
    assert await reception.rows("select count(*) from sign_ups") == [(1,)]
    assert await reception.may_watch(first, session) and await reception.may_watch(second, session)
    with pytest.raises(WrongPassword):
        await reception.confirm(first, None, MALLORYS)
    await reception.confirm(first, None, ALICES)
    assert (await reception.sign_in(ALICE, ALICES)).session.account


async def test_what_waits_for_one_address_has_a_bound_and_mailed_sign_ups_stay(reception: Reception) -> None:
    owner = await reception.browser()
    ticket = await reception.sign_up(owner)
    for _ in range(MOST_OPEN + 5):
        await reception.sign_up(await reception.browser(), password=MALLORYS)
    [(waiting,)] = await reception.rows("select count(*) from sign_ups where replaced_at is null")
    assert waiting <= MOST_OPEN + 3 + 1
    await reception.confirm(ticket, owner)


@pytest.mark.parametrize("status", ["new", "known"])
async def test_a_resend_waits_a_minute_and_gives_a_new_ticket_to_the_same_browser(
    reception: Reception, status: str
) -> None:
    if status == "known":
        await reception.member()
    session = await reception.browser()
    first = await reception.sign_up(session)
    with pytest.raises(TooSoon) as early:
        await reception.registration.resend(ticket=first, session=session)
    assert early.value.seconds == pytest.approx(60, abs=5)
    await reception.wait(seconds=61)
    assert await reception.registration.can_resend_in(first, session) == 0
    second = await reception.registration.resend(ticket=first, session=session)
    assert second != first
    assert await reception.may_watch(first, session)
    assert await reception.may_watch(second, session)
    for ticket in (first, second):  # the old page's button heeds the new mail, too
        with pytest.raises(TooSoon):
            await reception.registration.resend(ticket=ticket, session=session)


async def test_nobody_else_may_ask_for_the_mail_again(reception: Reception) -> None:
    ticket = await reception.sign_up(await reception.browser())
    mallorys = await reception.browser()
    await reception.wait(minutes=5)
    assert await reception.registration.can_resend_in(ticket, mallorys) is None
    with pytest.raises(UnknownSignUp):
        await reception.registration.resend(ticket=ticket, session=mallorys)


async def test_a_confirmed_sign_up_has_nothing_to_send_again(reception: Reception) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    await reception.confirm(ticket, None, ALICES)
    await reception.wait(minutes=5)
    assert await reception.registration.can_resend_in(ticket, session) is None
    with pytest.raises(AlreadyConfirmed):
        await reception.registration.resend(ticket=ticket, session=session)


async def test_a_sign_up_asks_as_much_of_its_servers_for_a_new_a_pending_and_a_known_address(
    reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is round trips to the database and computations of Argon2: as many for each address."""
    session = await reception.browser()
    await reception.member("known@example.org")
    await reception.sign_up(session, "pending@example.org")
    await reception.sign_up(session, "warm@example.org")
    done: list[str] = []
    mine = ContextVar("mine", default=False)
    """True in a sign-up, not in what this process does beside it."""
    execute, run = AsyncCursor.execute, WorkLanes.run

    async def counted(cursor: AsyncCursor[Any], *arguments: Any, **options: Any) -> Any:
        if mine.get():
            done.append("round trip")
        return await execute(cursor, *arguments, **options)

    async def computed(lanes: WorkLanes, lane: str, call: Any, *arguments: Any) -> Any:
        done.append(f"{lane} {call.__name__}")
        return await run(lanes, lane, call, *arguments)

    monkeypatch.setattr(AsyncCursor, "execute", counted)
    monkeypatch.setattr(WorkLanes, "run", computed)
    took = {}
    mine.set(True)
    for status in ("new", "pending", "known"):
        done.clear()
        await reception.sign_up(session, f"{status}@example.org")
        took[status] = list(done)
    assert took["new"] == took["pending"] == took["known"]
    assert sum("hash" in step for step in took["new"]) == 1
    assert took["new"].count("round trip") >= 3


async def test_who_signs_up_again_may_still_watch_the_mail_before_and_is_told_that_it_was_replaced(
    reception: Reception,
) -> None:
    mine = await reception.browser()
    first = await reception.sign_up(mine)
    second = await reception.sign_up(mine)
    assert await reception.may_watch(first, mine) and await reception.may_watch(second, mine)
    told = "select id, afterword from tasks order by created_at"
    assert await reception.rows(told) == [(first, "replaced"), (second, None)]

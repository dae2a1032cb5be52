"""Choosing a new password by the link of a mail, which only the owner of the address can read."""

import asyncio

import pytest

from mailroom.accounts.errors import (
    InvalidAddress,
    OldPasswordLink,
    UsedPasswordLink,
    WeakPassword,
    WrongCredentials,
    WrongPasswordLink,
    WrongToken,
)
from mailroom.accounts.views import NewSession
from mailroom.mail.ledger.claims import Ledger
from tests.integration.accounts.conftest import ALICE, ALICES, MALLORYS, Reception

NEW = "eleven patient herons count rain"
UNCERTAIN = "update mails set state = 'uncertain', stage = 'handing over', attempt = 5, handing_over_at = now()"


async def test_the_link_changes_the_password_and_signs_in_here_alone(reception: Reception) -> None:
    before = await reception.member()
    phone = await reception.sign_in(ALICE, ALICES)
    asking = await reception.browser()
    ticket = await reception.forget(session=asking)
    assert await reception.may_watch(ticket, asking)
    token = await reception.password_token(ticket)
    assert await reception.password_reset.preview(token) == ALICE

    started = await reception.choose(token, NEW, asking)
    assert started.session.account and started.session.account.email == ALICE
    assert started.session.id == asking.id, "it keeps its tickets"
    for other in (before, phone):
        assert await reception.sessions.find(other.secret) is None
    assert await reception.sessions.find(started.secret)
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, ALICES)
    again = await reception.sign_in(ALICE, NEW)
    assert await reception.may_watch(ticket, again.session), "it is the account's own now"


async def test_the_signed_in_browser_that_asked_gets_a_new_session(reception: Reception) -> None:
    before = await reception.member()
    token = await reception.password_token(await reception.forget(session=before.session))
    started = await reception.choose(token, NEW, before.session)
    assert await reception.sessions.find(before.secret) is None
    assert await reception.sessions.find(started.secret)


async def test_a_link_works_once_and_so_do_all_that_were_sent(reception: Reception) -> None:
    await reception.member()
    first, second = [await reception.password_token(await reception.forget()) for _ in range(2)]
    done = await asyncio.gather(
        reception.choose(first, NEW), reception.choose(second, MALLORYS), return_exceptions=True
    )
    assert {type(one) for one in done} == {NewSession, UsedPasswordLink}
    for token in (first, second):
        with pytest.raises(UsedPasswordLink):
            await reception.password_reset.preview(token)
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, ALICES)


async def test_a_link_works_for_ten_minutes_from_the_acceptance_of_its_mail(reception: Reception) -> None:
    await reception.member()
    ticket = await reception.forget()
    token = await reception.password_token(ticket)
    await reception.run("update mails set created_at = now() - interval '2 days' where id = :id", id=ticket)
    assert await reception.password_reset.preview(token) == ALICE, "its mail was long on its way"
    greylisted = "state = 'retrying', attempt = 3, handing_over_at = now() - interval '40 minutes'"
    await reception.run(f"update mails set {greylisted} where id = :id", id=ticket)
    assert await reception.password_reset.preview(token) == ALICE, "the server asked to be tried again"
    await reception.sent(ticket, hours_ago=9 / 60)
    assert await reception.password_reset.preview(token) == ALICE
    await reception.sent(ticket, hours_ago=11 / 60)
    with pytest.raises(OldPasswordLink):
        await reception.choose(token, NEW)
    await reception.run("update mails set params = null, nonce = null where id = :id", id=ticket)
    with pytest.raises(OldPasswordLink):
        await reception.password_reset.preview(token)
    await reception.sign_in(ALICE, ALICES)


async def test_an_address_without_an_account_gets_a_mail_without_a_link(reception: Reception) -> None:
    session = await reception.browser()
    pending = await reception.sign_up(session, "bob@example.org", ALICES)
    for email in ("nobody@example.org", "bob@example.org"):
        ticket = await reception.forget(email, session)
        assert (await reception.mail(ticket)).kind == "no_account"
        with pytest.raises(WrongPasswordLink):
            await reception.choose(await reception.password_token(ticket), NEW, session)
    await reception.member()
    await reception.forget(ALICE, session)
    titles = {
        title for (title,) in await reception.rows("select title from tasks where title not like 'title.sign%'")
    }
    assert titles == {"title.password_mail"}
    assert await reception.confirm(pending, session), "the sign-up that waits is as it was"


async def test_a_link_for_the_one_is_worth_nothing_for_the_other(reception: Reception) -> None:
    session = await reception.browser()
    sign_up = await reception.sign_up(session)
    for token in (await reception.token(sign_up), await reception.password_token(sign_up)):
        with pytest.raises(WrongPasswordLink):
            await reception.choose(token, NEW)
    await reception.confirm(sign_up, session)
    ticket = await reception.forget()
    with pytest.raises(WrongPasswordLink):
        await reception.choose(await reception.token(ticket), NEW)
    with pytest.raises(WrongToken):
        await reception.confirmation.preview(await reception.password_token(ticket), session)


@pytest.mark.parametrize("token", ["", "x", "A" * 48, "ü" * 48])
async def test_what_is_no_link_is_wrong(reception: Reception, token: str) -> None:
    with pytest.raises(WrongPasswordLink):
        await reception.password_reset.preview(token)


async def test_a_weak_password_leaves_the_link_as_good_as_it_was(reception: Reception) -> None:
    started = await reception.member()
    token = await reception.password_token(await reception.forget())
    for weak in ("too short", ALICE * 2):
        with pytest.raises(WeakPassword):
            await reception.choose(token, weak)
    assert await reception.sessions.find(started.secret)
    await reception.choose(token, NEW)


async def test_what_is_no_address_gets_no_mail(reception: Reception) -> None:
    with pytest.raises(InvalidAddress):
        await reception.forget("nobody")
    assert reception.nudged == []


async def test_a_link_whose_mail_nobody_knows_to_be_sent_works_no_longer_for_that(reception: Reception) -> None:
    await reception.member()
    token = await reception.password_token(await reception.forget())
    await reception.run(f"{UNCERTAIN}, on_uncertain = 'hold', nudge_at = null where kind = 'new_password'")
    assert await reception.password_reset.preview(token) == ALICE
    await reception.run("update mails set handing_over_at = handing_over_at - interval '61 minutes'")
    with pytest.raises(OldPasswordLink):
        await reception.choose(token, NEW)


async def test_a_link_that_was_used_has_arrived_and_is_not_sent_again(reception: Reception) -> None:
    await reception.member()
    ticket = await reception.forget()
    token = await reception.password_token(ticket)
    due = "next_attempt_at = now(), nudge_at = now()"
    await reception.run(f"{UNCERTAIN}, {due} where kind = 'new_password'")
    await reception.choose(token, NEW)
    assert await Ledger(reception.database, "w:1").claim([ticket]) == []
    mail = await reception.mail(ticket)
    assert (mail.state, mail.nudge_at, mail.next_attempt_at) == ("sent", None, None)

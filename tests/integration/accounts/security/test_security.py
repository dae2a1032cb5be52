"""What protects an account: its history, notices by mail, changing the password, and "this was not me"."""

from uuid import UUID

import pytest

from mailroom.accounts.errors import (
    OldNoticeLink,
    UsedNoticeLink,
    UsedPasswordLink,
    WeakPassword,
    WrongCredentials,
    WrongCurrentPassword,
    WrongNoticeLink,
    WrongPasswordLink,
    WrongToken,
)
from mailroom.accounts.security.security_log import NOTICE
from mailroom.accounts.tokens import NEW_PASSWORD, NOT_ME
from mailroom.accounts.views import NewSession, Origin
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception

NEW = "eleven patient herons count rain"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36"
)
HOME = Origin(FIREFOX, "192.0.2.7")


async def change(reception: Reception, started: NewSession, current: str = ALICES, **more: object) -> None:
    wanted = {"password": NEW, "end_others": True, "origin": HOME, **more}
    await reception.password_change.change(started.session, current=current, **wanted)  # type: ignore[arg-type]


async def notices(reception: Reception) -> list[tuple[UUID, str]]:
    rows = await reception.rows(
        "select id, params ->> 'event' from mails where kind = :kind order by id", kind=NOTICE
    )
    return [(mail_id, event) for mail_id, event in rows]


async def not_me_token(reception: Reception, ticket: UUID) -> str:
    mail = await reception.mail(ticket)
    assert mail.nonce
    return reception.tokens.token(mail.id, mail.nonce, NOT_ME)


async def kinds_of(reception: Reception, started: NewSession) -> list[str]:
    assert started.session.account
    return [one.kind for one in await reception.log.of_account(started.session.account.id)]


async def test_the_password_changes_with_the_present_one_and_the_owner_is_told(reception: Reception) -> None:
    laptop = await reception.member()
    phone = await reception.sign_in(ALICE, ALICES)
    await change(reception, laptop, end_others=False)
    for session in (laptop, phone):
        assert await reception.sessions.find(session.secret), "nobody is signed out unasked"
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, ALICES)
    assert (await reception.sign_in(ALICE, NEW)).session.account
    [(ticket, event)] = await notices(reception)
    assert event == "password_changed"
    assert (await reception.mail(ticket)).recipient == ALICE
    assert (await kinds_of(reception, laptop))[1] == "password_changed"


async def test_other_sessions_end_where_that_is_wished_and_links_sent_before_end_in_any_case(
    reception: Reception,
) -> None:
    laptop = await reception.member()
    phone = await reception.sign_in(ALICE, ALICES)
    link = await reception.password_token(await reception.forget())
    ended: list[UUID] = []
    reception.sessions.on_change.append(ended.extend)
    await change(reception, laptop)
    assert await reception.sessions.find(laptop.secret)
    assert await reception.sessions.find(phone.secret) is None
    assert ended == [phone.session.id], "open sockets are told"
    with pytest.raises(UsedPasswordLink):
        await reception.choose(link, MALLORYS)


@pytest.mark.parametrize(
    ("current", "password", "error"),
    [(MALLORYS, NEW, WrongCurrentPassword), ("", NEW, WrongCurrentPassword), (ALICES, "short", WeakPassword)],
)
async def test_what_is_refused_changes_nothing_and_tells_nobody(
    reception: Reception, current: str, password: str, error: type[Exception]
) -> None:
    laptop = await reception.member()
    with pytest.raises(error):
        await change(reception, laptop, current, password=password)
    assert await reception.sign_in(ALICE, ALICES)
    assert await notices(reception) == []


async def test_of_two_changes_at_once_one_is_made(reception: Reception) -> None:
    laptop = await reception.member()
    original = reception.passwords.hash

    async def change_in_between(*args: object, **more: object) -> str:
        reception.password_change._passwords.hash = original  # type: ignore[method-assign]
        await change(reception, laptop, password=MALLORYS)
        return await original(*args, **more)  # type: ignore[arg-type]

    reception.password_change._passwords.hash = change_in_between  # type: ignore[method-assign,assignment]
    with pytest.raises(WrongCurrentPassword):
        await change(reception, laptop)
    assert await reception.sign_in(ALICE, MALLORYS)


async def test_this_was_not_me_shuts_everybody_out_and_lets_the_mailbox_back_in(reception: Reception) -> None:
    laptop = await reception.member()
    thief = await reception.sign_in(ALICE, ALICES)
    await change(reception, thief)
    [(notice, _)] = await notices(reception)
    token = await not_me_token(reception, notice)
    assert await reception.takeover.preview(token) == ALICE
    assert await reception.sessions.find(thief.secret), "looking changes nothing"

    browser = await reception.browser()
    ticket = await reception.takeover.disown(token, session=browser, origin=HOME)
    for session in (laptop, thief):
        assert await reception.sessions.find(session.secret) is None
    for password in (ALICES, NEW):
        with pytest.raises(WrongCredentials):
            await reception.sign_in(ALICE, password)
    assert await reception.may_watch(ticket, browser)
    started = await reception.choose(await reception.password_token(ticket), MALLORYS, browser)
    assert started.session.account
    assert (await kinds_of(reception, started))[:2] == ["password_reset", "secured"]
    with pytest.raises(UsedNoticeLink):
        await reception.takeover.disown(token, session=browser, origin=HOME)


async def test_a_notice_s_link_is_good_for_a_week_and_for_nothing_else(reception: Reception) -> None:
    laptop = await reception.member()
    await change(reception, laptop)
    [(notice, _)] = await notices(reception)
    token = await not_me_token(reception, notice)
    await reception.sent(notice, hours_ago=6.9 * 24)
    assert await reception.takeover.preview(token) == ALICE
    await reception.sent(notice, hours_ago=7.1 * 24)
    with pytest.raises(OldNoticeLink):
        await reception.takeover.preview(token)
    mail = await reception.mail(notice)
    assert mail.nonce
    other_purposes = [
        reception.tokens.token(mail.id, mail.nonce),
        reception.tokens.token(mail.id, mail.nonce, NEW_PASSWORD),
    ]
    for wrong in ("", "x", "A" * 48, token[:-1] + ("A" if token[-1] != "A" else "B"), *other_purposes):
        with pytest.raises(WrongNoticeLink):
            await reception.takeover.preview(wrong)
    with pytest.raises(WrongPasswordLink):
        await reception.password_reset.preview(token)
    with pytest.raises(WrongToken):
        await reception.confirmation.preview(token, laptop.session)


async def test_the_owner_is_told_of_a_device_that_was_never_used_and_of_no_other(reception: Reception) -> None:
    await reception.member()
    await reception.sign_in(ALICE, ALICES)
    assert await notices(reception) == []
    for _ in range(2):
        await reception.authentication.sign_in(
            ALICE, ALICES, session=None, user_agent=CHROME, address="198.51.100.9"
        )
    assert [event for _, event in await notices(reception)] == ["new_device"]
    with pytest.raises(WrongCredentials):
        await reception.authentication.sign_in(ALICE, MALLORYS, session=None, user_agent="Opera")
    assert len(await notices(reception)) == 1


async def test_accounts_from_before_the_history_are_not_told_of_their_own_browser(reception: Reception) -> None:
    await reception.member()
    await reception.run("delete from account_events")
    await reception.authentication.sign_in(ALICE, ALICES, session=None, user_agent=CHROME)
    assert await notices(reception) == []


async def test_the_history_is_the_account_s_own_newest_first_and_ends_after_a_year(reception: Reception) -> None:
    alice, bob = await reception.member(), await reception.member("bob@example.org", MALLORYS)
    await reception.authentication.sign_in(ALICE, ALICES, session=None, user_agent=CHROME, address="198.51.100.9")
    assert alice.session.account
    newest = (await reception.log.of_account(alice.session.account.id))[-2:]
    assert await kinds_of(reception, alice) == ["new_device", "signed_in", "signed_up"]
    assert newest[0].address == "198.51.100.9" and "Chrome" in newest[0].device
    assert await kinds_of(reception, bob) == ["signed_up"]
    await reception.run("update account_events set created_at = created_at - interval '366 days'")
    await reception.log.clean_up()
    assert await kinds_of(reception, alice) == []


async def test_a_session_shows_its_owner_the_address_it_was_used_from_last(reception: Reception) -> None:
    laptop = await reception.member()
    assert await reception.sessions.find(laptop.secret, "192.0.2.7")
    moved = await reception.sessions.find(laptop.secret, "198.51.100.9")
    assert moved and moved.address == "198.51.100.9"
    same = await reception.sessions.find(laptop.secret)
    assert same and same.address == "198.51.100.9" and same.extended_to is None
    assert laptop.session.account
    [listed] = await reception.sessions.of_account(laptop.session.account.id)
    assert listed.address == "198.51.100.9"

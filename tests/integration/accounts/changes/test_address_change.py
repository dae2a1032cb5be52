"""Changing the address of an account: the new side confirms, the old side can take it back."""

from uuid import UUID

import pytest

from mailroom.accounts.changes.address_change import CONFIRM_NEW, IN_USE
from mailroom.accounts.errors import (
    InvalidAddress,
    NotThisAccount,
    OldAddressLink,
    SameAddress,
    UsedAddressLink,
    WrongAddressLink,
    WrongCredentials,
    WrongCurrentPassword,
    WrongNoticeLink,
    WrongPasswordLink,
)
from mailroom.accounts.tokens import NEW_ADDRESS, NOT_ME
from mailroom.accounts.views import NewSession, Origin
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception

HOME = Origin(FIREFOX, "192.0.2.7")
MOVED = "alice@new.example"
BOB = "bob@example.org"
THIEF = "thief@example.net"


async def ask(reception: Reception, who: NewSession, email: str = MOVED, password: str = ALICES) -> UUID:
    return await reception.address_changes.ask(who.session, email=email, password=password, origin=HOME)


async def token_of(reception: Reception, ticket: UUID, purpose: str = NEW_ADDRESS) -> str:
    mail = await reception.mail(ticket)
    assert mail.nonce
    return reception.tokens.token(mail.id, mail.nonce, purpose)


async def move(reception: Reception, who: NewSession, email: str = MOVED) -> None:
    token = await token_of(reception, await ask(reception, who, email))
    await reception.address_changes.confirm(token, session=who.session, origin=HOME)


async def notice(reception: Reception, event: str) -> tuple[UUID, str]:
    rows = await reception.rows(
        "select id, recipient from mails where params ->> 'event' = :event order by id desc limit 1", event=event
    )
    [(mail_id, recipient)] = rows
    return mail_id, recipient


async def test_the_address_changes_once_the_new_side_confirms_and_both_sides_are_told(
    reception: Reception,
) -> None:
    alice = await reception.member()
    ticket = await ask(reception, alice)
    mail = await reception.mail(ticket)
    assert (mail.kind, mail.recipient) == (CONFIRM_NEW, MOVED)
    assert await reception.may_watch(ticket, alice.session)
    assert (await notice(reception, "address_asked"))[1] == ALICE
    assert await reception.sign_in(ALICE, ALICES), "nothing has changed yet"
    token = await token_of(reception, ticket)
    assert await reception.address_changes.preview(token, alice.session) == MOVED
    await reception.address_changes.confirm(token, session=alice.session, origin=HOME)
    assert (await notice(reception, "address_changed"))[1] == ALICE
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, ALICES)
    assert await reception.sign_in(MOVED, ALICES)
    assert await reception.sessions.find(alice.secret)
    with pytest.raises(UsedAddressLink):
        await reception.address_changes.confirm(token, session=alice.session, origin=HOME)


async def test_a_typing_error_never_gives_the_account_away(reception: Reception) -> None:
    alice = await reception.member()
    mallory = await reception.member("mallory@example.net", MALLORYS)
    token = await token_of(reception, await ask(reception, alice, "alcie@example.net"))
    for session in (None, await reception.browser(), mallory.session):
        with pytest.raises(NotThisAccount):
            await reception.address_changes.preview(token, session)
        with pytest.raises(NotThisAccount):
            await reception.address_changes.confirm(token, session=session, origin=HOME)
    right = await token_of(reception, await ask(reception, alice, "alice@example.net"))
    with pytest.raises(UsedAddressLink):
        await reception.address_changes.confirm(token, session=alice.session, origin=HOME)
    await reception.address_changes.confirm(right, session=alice.session, origin=HOME)
    assert await reception.sign_in("alice@example.net", ALICES)


async def test_another_account_s_address_looks_the_same_from_outside_and_cannot_be_had(
    reception: Reception,
) -> None:
    alice = await reception.member()
    await reception.member(BOB, MALLORYS)
    taken, free = await ask(reception, alice, "BOB@example.org"), await ask(reception, alice)
    assert [(await reception.mail(ticket)).kind for ticket in (taken, free)] == [IN_USE, CONFIRM_NEW]
    assert (await reception.mail(taken)).recipient == BOB
    titles = await reception.rows("select distinct title from tasks where id in (:one, :two)", one=taken, two=free)
    assert len(titles) == 1
    for ticket in (taken, free):
        assert await reception.may_watch(ticket, alice.session)
    token = await token_of(reception, taken)
    with pytest.raises(WrongAddressLink):
        await reception.address_changes.confirm(token, session=alice.session, origin=HOME)


async def test_an_address_that_somebody_confirmed_meanwhile_is_theirs(reception: Reception) -> None:
    alice = await reception.member()
    token = await token_of(reception, await ask(reception, alice, BOB))
    await reception.member(BOB, MALLORYS)
    with pytest.raises(WrongAddressLink):
        await reception.address_changes.confirm(token, session=alice.session, origin=HOME)
    assert await reception.sign_in(BOB, MALLORYS)


@pytest.mark.parametrize(
    ("email", "password", "error"),
    [
        (MOVED, MALLORYS, WrongCurrentPassword),
        (ALICE, ALICES, SameAddress),
        ("no address", ALICES, InvalidAddress),
    ],
)
async def test_what_is_refused_sends_nothing(
    reception: Reception, email: str, password: str, error: type[Exception]
) -> None:
    alice = await reception.member()
    before = await reception.rows("select count(*) from mails")
    with pytest.raises(error):
        await ask(reception, alice, email, password)
    assert await reception.rows("select count(*) from mails") == before


async def test_another_spelling_of_the_address_is_a_change_like_any_other(reception: Reception) -> None:
    alice = await reception.member()
    await move(reception, alice, "ALICE@Example.org")
    assert await reception.rows("select email from accounts") == [("ALICE@example.org",)]


async def test_a_link_is_good_for_a_day_and_links_to_a_new_password_end_with_the_change(
    reception: Reception,
) -> None:
    alice = await reception.member()
    link = await reception.password_token(await reception.forget())
    ticket = await ask(reception, alice)
    token = await token_of(reception, ticket)
    await reception.sent(ticket, hours_ago=25)
    with pytest.raises(OldAddressLink):
        await reception.address_changes.preview(token, alice.session)
    for wrong in ("", "A" * 48, await token_of(reception, ticket, NOT_ME)):
        with pytest.raises(WrongAddressLink):
            await reception.address_changes.preview(wrong, alice.session)
    await move(reception, alice)
    with pytest.raises(WrongPasswordLink):
        await reception.choose(link, MALLORYS)
    assert await reception.sign_in(MOVED, ALICES)


@pytest.mark.parametrize("told_by", ["address_asked", "address_changed"])
async def test_the_old_side_takes_a_thief_s_change_back(reception: Reception, told_by: str) -> None:
    await reception.member()
    thief = await reception.sign_in(ALICE, ALICES)
    await move(reception, thief, THIEF)
    told, recipient = await notice(reception, told_by)
    assert recipient == ALICE
    token = await token_of(reception, told, NOT_ME)
    assert await reception.takeover.preview(token) == ALICE
    browser = await reception.browser()
    ticket = await reception.takeover.disown(token, session=browser, origin=HOME)
    assert (await reception.mail(ticket)).recipient == ALICE
    assert await reception.sessions.find(thief.secret) is None
    started = await reception.choose(await reception.password_token(ticket), MALLORYS, browser)
    assert started.session.account and started.session.account.email == ALICE
    with pytest.raises(WrongCredentials):
        await reception.sign_in(THIEF, ALICES)


async def test_a_thief_s_own_notice_is_worth_nothing_after_the_owner_came_back(reception: Reception) -> None:
    await reception.member()
    thief = await reception.sign_in(ALICE, ALICES)
    await move(reception, thief, THIEF)
    change = {"current": ALICES, "password": MALLORYS, "end_others": True, "origin": HOME}
    await reception.password_change.change(thief.session, **change)  # type: ignore[arg-type]
    thiefs, recipient = await notice(reception, "password_changed")
    assert recipient == THIEF
    owners, _ = await notice(reception, "address_changed")
    browser = await reception.browser()
    ticket = await reception.takeover.disown(
        await token_of(reception, owners, NOT_ME), session=browser, origin=HOME
    )
    started = await reception.choose(await reception.password_token(ticket), ALICES, browser)
    token = await token_of(reception, thiefs, NOT_ME)
    with pytest.raises(WrongNoticeLink):
        await reception.takeover.disown(token, session=await reception.browser(), origin=HOME)
    assert await reception.sessions.find(started.secret), "nothing has changed"


async def test_after_a_week_the_old_side_has_no_word_any_more(reception: Reception) -> None:
    alice = await reception.member()
    await move(reception, alice)
    told, _ = await notice(reception, "address_changed")
    await reception.run("update address_changes set confirmed_at = confirmed_at - interval '8 days'")
    token = await token_of(reception, told, NOT_ME)
    with pytest.raises(WrongNoticeLink):
        await reception.takeover.disown(token, session=await reception.browser(), origin=HOME)
    assert await reception.sign_in(MOVED, ALICES), "nothing has changed"


async def test_a_waiting_change_ends_when_the_owner_says_it_was_not_me(reception: Reception) -> None:
    await reception.member()
    thief = await reception.sign_in(ALICE, ALICES)
    token = await token_of(reception, await ask(reception, thief, THIEF))
    told, _ = await notice(reception, "address_asked")
    not_me = await token_of(reception, told, NOT_ME)
    await reception.takeover.disown(not_me, session=await reception.browser(), origin=HOME)
    with pytest.raises(UsedAddressLink):
        await reception.address_changes.confirm(token, session=thief.session, origin=HOME)
    assert await reception.rows("select email from accounts") == [(ALICE,)]


async def test_the_mailbox_of_a_new_address_has_the_limits_of_every_form(reception: Reception) -> None:
    alice = await reception.member()
    tickets = [await ask(reception, alice, f"victim+{number}@example.net") for number in range(6)]
    withheld = [ticket for ticket in tickets if "withheld" in ((await reception.mail(ticket)).params or {})]
    assert len(withheld) >= 4

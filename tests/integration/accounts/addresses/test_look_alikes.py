"""Addresses that look alike are different people's; the spellings of one address are one person's."""

import pytest

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import NotConfirmed, WrongCredentials, WrongPasswordLink
from tests.integration.accounts.conftest import ALICES, MALLORYS, Reception

LOOK_ALIKES = [
    ("steve@example.test", "\u017fteve@example.test"),
    ("strasse@example.test", "stra\u00dfe@example.test"),
    ("stra\u00dfe@example.test", "strasse@example.test"),
    ("\u03bf\u03b4\u03bf\u03c3@example.test", "\u03bf\u03b4\u03bf\u03c2@example.test"),
    ("fire@example.test", "\ufb01re@example.test"),
    ("steve@example.test", "\uff53teve@example.test"),
    ("ivy@strasse.test", "ivy@stra\u00dfe.test"),
]


@pytest.mark.parametrize(("owner", "other"), LOOK_ALIKES)
async def test_a_look_alike_is_mailed_as_nobody_and_has_an_account_of_its_own(
    reception: Reception, owner: str, other: str
) -> None:
    await reception.member(owner)
    asked = await reception.mail(await reception.forget(other))
    assert (asked.kind, asked.recipient) == ("no_account", other)
    with pytest.raises(WrongPasswordLink):
        await reception.choose(await reception.password_token(asked.id), MALLORYS)

    browser = await reception.browser()
    ticket = await reception.sign_up(browser, other, MALLORYS)
    mail = await reception.mail(ticket)
    assert (mail.kind, mail.recipient) == ("confirm_sign_up", other)
    with pytest.raises(NotConfirmed):
        await reception.sign_in(other, MALLORYS)
    await reception.confirm(ticket, browser)
    with pytest.raises(WrongCredentials):
        await reception.sign_in(owner, MALLORYS)
    first, second = (await reception.sign_in(owner, ALICES)), (await reception.sign_in(other, MALLORYS))
    assert first.session.account and second.session.account
    assert (first.session.account.email, second.session.account.email) == (owner, other)


SPELLINGS = [
    ("Steve@example.test", "sTEVE@Example.TEST"),
    ("kate@example.test", "\u212aATE@example.test"),
    ("ren\u00e9@example.test", "RENE\u0301@example.test"),
    ("ivy@stra\u00dfe.test", "Ivy@xn--strae-oqa.test"),
]


@pytest.mark.parametrize(("owner", "typed"), SPELLINGS)
async def test_mail_to_an_account_goes_to_its_address_and_the_page_shows_what_was_typed(
    reception: Reception, owner: str, typed: str
) -> None:
    await reception.member(owner)
    shown = Address.parse(typed).email
    browser = await reception.browser()
    tickets = [await reception.forget(typed), await reception.sign_up(browser, typed, MALLORYS)]
    await reception.wait(minutes=2)
    tickets.append(await reception.registration.resend(ticket=tickets[-1], session=browser))
    for ticket, kind in zip(tickets, ["new_password", *["already_have_account"] * 2], strict=True):
        mail = await reception.mail(ticket)
        assert (mail.kind, mail.recipient) == (kind, owner)
        assert (mail.typed_recipient or mail.recipient) == shown
    assert await reception.password_reset.preview(await reception.password_token(tickets[0])) == owner


async def test_a_link_that_went_to_a_look_alike_before_opens_nothing(reception: Reception) -> None:
    """As earlier versions sent them, and send them during a deploy."""
    await reception.member("steve@example.test")
    ticket = await reception.forget("steve@example.test")
    token = await reception.password_token(ticket)
    assert await reception.password_reset.preview(token) == "steve@example.test"
    await reception.run("update mails set recipient = :to where id = :id", to="\u017fteve@example.test", id=ticket)
    with pytest.raises(WrongPasswordLink):
        await reception.password_reset.preview(token)
    with pytest.raises(WrongPasswordLink):
        await reception.choose(token, MALLORYS)
    assert await reception.sign_in("steve@example.test", ALICES)


async def test_a_sign_up_that_was_written_with_the_old_key_becomes_nobody_elses_account(
    reception: Reception,
) -> None:
    browser = await reception.browser()
    ticket = await reception.sign_up(browser, "\u017fteve@example.test")
    for table in ("sign_ups", "sign_up_mails"):
        await reception.run(f"update {table} set email_key = 'steve@example.test'")
    await reception.confirm(ticket, browser)
    assert await reception.rows("select email_key from accounts") == [("\u017fteve@example.test",)]

"""The link "this was not me" of a sign-up."""

from uuid import UUID

import pytest

from mailroom.accounts.errors import ReplacedToken, UsedToken, WrongNoticeLink, WrongToken
from mailroom.accounts.sign_up.withdrawal import Withdrawal, WithdrawalPreview
from mailroom.accounts.tokens import NOT_ME, NOT_MINE
from tests.integration.accounts.conftest import ALICE, MALLORYS, Reception


async def link_of(reception: Reception, ticket: UUID, purpose: str = NOT_MINE) -> str:
    mail = await reception.mail(ticket)
    assert mail.nonce
    return reception.tokens.token(mail.id, mail.nonce, purpose)


async def is_withheld(reception: Reception, ticket: UUID) -> bool:
    return bool((await reception.mail(ticket)).params.get("withheld"))


async def test_the_sign_ups_end_and_no_more_mails_go_there_until_the_owner_says_so(reception: Reception) -> None:
    withdrawal = Withdrawal(reception.database, reception.tokens)
    mallory = await reception.browser()
    ticket = await reception.sign_up(mallory, ALICE, MALLORYS)
    link = await link_of(reception, ticket)
    assert not (await withdrawal.preview(link)).is_held
    assert not await is_withheld(reception, ticket)
    for _ in range(2):  # a second press says the same
        await withdrawal.withdraw(link)
        assert await withdrawal.preview(link) == WithdrawalPreview(ALICE, True)
    with pytest.raises(ReplacedToken):
        await reception.confirm(ticket, mallory)
    await reception.wait(hours=25)
    for again in (
        await reception.sign_up(await reception.browser(), ALICE, MALLORYS),
        await reception.sign_up(await reception.browser(), "ALICE+shop@example.org", MALLORYS),
        await reception.forget(),
    ):
        assert await is_withheld(reception, again)
    await reception.wait(hours=25)
    await withdrawal.allow(link)
    browser = await reception.browser()
    hers = await reception.sign_up(browser)
    assert not await is_withheld(reception, hers)
    assert (await reception.confirm(hers, browser)).session.account
    with pytest.raises(UsedToken):
        await withdrawal.withdraw(link)


async def test_who_has_an_account_gets_mails_whatever_was_held_before(reception: Reception) -> None:
    await reception.member()
    await reception.run("insert into held_addresses values (:key, gen_random_uuid(), now() + '1 day')", key=ALICE)
    assert not await is_withheld(reception, await reception.forget())


async def test_a_link_is_for_this_and_for_nothing_else(reception: Reception) -> None:
    withdrawal = Withdrawal(reception.database, reception.tokens)
    ticket = await reception.sign_up(await reception.browser())
    right = await link_of(reception, ticket)
    others = [await reception.token(ticket), await link_of(reception, ticket, NOT_ME)]
    for wrong in ("", "x", "A" * 48, right[:-1] + ("A" if right[-1] != "A" else "B"), *others):
        with pytest.raises(WrongNoticeLink):
            await withdrawal.withdraw(wrong)
    with pytest.raises(WrongToken):
        await reception.confirmation.preview(right, None)


async def test_what_is_over_is_deleted(reception: Reception) -> None:
    withdrawal = Withdrawal(reception.database, reception.tokens)
    ticket = await reception.sign_up(await reception.browser())
    await withdrawal.withdraw(await link_of(reception, ticket))
    await withdrawal.clean_up()
    assert len(await reception.rows("select 1 from held_addresses")) == 1
    await reception.run("update held_addresses set until = now() - interval '1 second'")
    await withdrawal.clean_up()
    assert await reception.rows("select 1 from held_addresses") == []

import asyncio

import pytest

from mailroom.accounts.errors import (
    ExpiredCode,
    ExpiredToken,
    NotConfirmed,
    TooManyTries,
    UnknownSignUp,
    UsedToken,
    WrongCode,
    WrongCredentials,
    WrongPassword,
    WrongToken,
)
from mailroom.accounts.views import ConfirmationPreview, NewSession
from mailroom.mail.ledger.claims import Ledger
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception

WRONG = "2222-2222"


async def accounts_of(reception: Reception) -> list[str]:
    return [email for (email,) in await reception.rows("select email from accounts")]


async def test_the_browser_that_signed_up_confirms_by_link_without_a_password(reception: Reception) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    seen = await reception.confirmation.preview(await reception.token(ticket), session)
    assert seen == ConfirmationPreview(ALICE, needs_password=False)
    assert await accounts_of(reception) == [], "looking changes nothing"

    started = await reception.confirm(ticket, session)
    assert started.session.account
    assert started.session.account.email == ALICE
    assert not started.session.account.is_operator
    assert await accounts_of(reception) == [ALICE]
    told = await reception.rows("select type, subject_id, data->>'address' from events")
    assert told == [("account.confirmed", started.session.account.id, ALICE)], "webhooks tell it"
    found = await reception.sessions.find(started.secret)
    assert found
    assert found.account == started.session.account


async def test_the_session_keeps_its_tickets_and_loses_its_old_secret(reception: Reception) -> None:
    before = await reception.sessions.start(FIREFOX)
    ticket = await reception.sign_up(before.session)
    after = await reception.confirm(ticket, before.session)
    assert after.session.id == before.session.id
    assert after.secret != before.secret
    assert await reception.sessions.find(before.secret) is None, "whoever planted or read it has nothing"
    assert await reception.may_watch(ticket, after.session)


async def test_another_browser_needs_the_password_of_the_sign_up_and_without_it_nothing_changes(
    reception: Reception,
) -> None:
    ticket = await reception.sign_up(await reception.browser())
    phone = await reception.browser()
    token = await reception.token(ticket)
    for session in (phone, None):
        assert (await reception.confirmation.preview(token, session)).needs_password
        for password in (None, "", MALLORYS):
            with pytest.raises(WrongPassword):
                await reception.confirm(ticket, session, password)
    assert await accounts_of(reception) == []

    started = await reception.confirm(ticket, phone, ALICES)
    assert started.session.id == phone.id
    assert await accounts_of(reception) == [ALICE]


async def test_confirming_elsewhere_tells_the_page_that_still_watches(reception: Reception) -> None:
    laptop = await reception.browser()
    ticket = await reception.sign_up(laptop)
    started = await reception.confirm(ticket, None, ALICES)
    assert await reception.may_watch(ticket, laptop)
    assert started.session.account
    [(afterword, owner_id)] = await reception.rows("select afterword, owner_id from tasks")
    assert (afterword, owner_id) == ("confirmed", started.session.account.id)


async def test_mallory_who_signed_up_first_does_not_get_in_after_alice_confirms(reception: Reception) -> None:
    mallorys, alices = await reception.browser(), await reception.browser()
    trap = await reception.sign_up(mallorys, password=MALLORYS)
    # Alice reads Mallory's mail: her click alone makes no account with Mallory's password.
    for session in (alices, None):
        with pytest.raises(WrongPassword):
            await reception.confirm(trap, session, ALICES)
    own = await reception.sign_up(alices)
    await reception.confirm(own, alices)
    with pytest.raises(NotConfirmed):  # as for any address that Mallory signs up with
        await reception.sign_in(ALICE, MALLORYS)
    with pytest.raises(UsedToken):
        await reception.confirm(trap, mallorys)
    with pytest.raises(WrongCode):
        await reception.type_code(WRONG, mallorys, trap)
    assert await reception.may_watch(trap, mallorys), "nothing tells her of Alice"
    assert not await reception.may_watch(own, mallorys)
    assert await reception.rows("select afterword from tasks where id = :id", id=trap) == [(None,)]
    assert (await reception.sign_in(ALICE, ALICES)).session.account


@pytest.mark.parametrize("way", ["link here", "link elsewhere", "code"])
async def test_a_mail_that_mallory_caused_confirms_alices_own_sign_up_with_her_password(
    reception: Reception, way: str
) -> None:
    """Mallory's sign-ups may use up the mails of an hour: so they must be good for Alice, and for her alone."""
    mallorys, alices = await reception.browser(), await reception.browser()
    trap = await reception.sign_up(mallorys, password=MALLORYS)
    own = await reception.sign_up(alices)
    if way == "code":
        started = await reception.type_code(await reception.code(trap), alices, own)
    elif way == "link here":
        assert not (await reception.confirmation.preview(await reception.token(trap), alices)).needs_password
        started = await reception.confirm(trap, alices)
    else:
        started = await reception.confirm(trap, None, ALICES)
    assert started.session.account
    assert (await reception.sign_in(ALICE, ALICES)).session.account
    with pytest.raises(NotConfirmed):
        await reception.sign_in(ALICE, MALLORYS)
    assert await reception.may_watch(own, started.session)
    found = await reception.sessions.find(started.secret)
    assert found and not await reception.may_watch(trap, found), "the ticket of Mallory's browser stays its own"


async def test_a_code_of_another_address_is_wrong_also_of_the_same_mailbox(reception: Reception) -> None:
    """`alice+x@` may be somebody else's mailbox."""
    mallorys = await reception.browser()
    hers = await reception.sign_up(mallorys, "alice+x@example.org", MALLORYS)
    trap = await reception.sign_up(mallorys, password=MALLORYS)
    with pytest.raises(WrongCode):
        await reception.type_code(await reception.code(hers), mallorys, trap)
    await reception.confirm(hers, mallorys)
    assert await accounts_of(reception) == ["alice+x@example.org"]


async def test_a_second_click_on_the_link_says_already_confirmed_and_whose_account_it_is(
    reception: Reception,
) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    started = await reception.confirm(ticket, session)
    assert started.session.account
    for attempt in (
        reception.confirmation.preview(await reception.token(ticket), started.session),
        reception.confirm(ticket, started.session),
        reception.confirm(ticket, None, ALICES),
        reception.type_code(await reception.code(ticket), started.session, ticket),
    ):
        with pytest.raises(UsedToken) as used:
            await attempt
        assert used.value.account_id == started.session.account.id


async def test_two_confirmations_at_once_make_one_account(reception: Reception) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    outcomes = await asyncio.gather(
        *(reception.confirm(ticket, session) for _ in range(2)),
        *(reception.confirm(ticket, None, ALICES) for _ in range(2)),
        reception.type_code(await reception.code(ticket), session, ticket),
        return_exceptions=True,
    )
    assert sorted(type(outcome) for outcome in outcomes if isinstance(outcome, NewSession)) == [NewSession]
    assert sum(isinstance(outcome, UsedToken) for outcome in outcomes) == len(outcomes) - 1
    assert await accounts_of(reception) == [ALICE]


async def test_confirming_while_somebody_else_signs_up_is_confirming(reception: Reception) -> None:
    for number in range(6):
        email = f"alice{number}@example.org"
        alices, mallorys = await reception.browser(), await reception.browser()
        ticket = await reception.sign_up(alices, email)
        confirmed, newer = await asyncio.gather(
            reception.confirm(ticket, alices), reception.sign_up(mallorys, email, MALLORYS)
        )
        assert isinstance(confirmed, NewSession)
        assert (await reception.mail(newer)).kind in {"already_have_account", "confirm_sign_up"}
        with pytest.raises((WrongToken, WrongPassword, UsedToken)):
            await reception.confirm(newer, None, ALICES)


async def test_wrong_links_are_wrong_whatever_is_wrong_with_them(reception: Reception) -> None:
    session = await reception.browser()
    token = await reception.token(await reception.sign_up(session))
    bad = [
        "",
        "x",
        token[:-1],
        token + "A",
        "A" + token,
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        "ä" * 48,
        "=" * 48,
    ]
    for text in bad:
        with pytest.raises(WrongToken):
            await reception.confirmation.preview(text, session)
        with pytest.raises(WrongToken):
            await reception.confirmation.confirm(text, session=session, password=ALICES, user_agent=FIREFOX)


async def test_a_token_is_good_for_its_own_mail_only(reception: Reception) -> None:
    session = await reception.browser()
    alices = await reception.sign_up(session)
    bobs = await reception.sign_up(session, "bob@example.org")
    mail = await reception.mail(bobs)
    assert mail.nonce
    forged = reception.tokens.token(alices, mail.nonce)
    with pytest.raises(WrongToken):
        await reception.confirmation.preview(forged, session)


async def test_the_clock_of_a_link_starts_when_its_mail_was_sent(reception: Reception) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    token = await reception.token(ticket)
    await reception.run("update mails set created_at = now() - interval '60 hours'")
    assert await reception.confirmation.preview(token, session), "a click may beat the record of sending"
    greylisted = "state = 'retrying', attempt = 3, handing_over_at = now() - interval '50 hours'"
    await reception.run(f"update mails set {greylisted} where id = :id", id=ticket)
    assert await reception.confirmation.preview(token, session), "the server asked to be tried again"
    await reception.sent(ticket, hours_ago=47.9)
    assert await reception.confirmation.preview(token, session)
    await reception.sent(ticket, hours_ago=48.1)
    with pytest.raises(ExpiredToken):
        await reception.confirmation.preview(token, session)
    with pytest.raises(ExpiredToken):
        await reception.confirm(ticket, session)
    assert await accounts_of(reception) == []


async def test_a_code_works_for_an_hour_from_the_acceptance_of_its_mail_and_its_link_for_longer(
    reception: Reception,
) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    code = await reception.code(ticket)
    await reception.sent(ticket, hours_ago=1.1)
    with pytest.raises(ExpiredCode) as old:
        await reception.type_code(code, session, ticket)
    assert old.value.tries_left == 5, "a right code that is old is no wrong one"
    for late in ("state = 'retrying', ended_at = null", "state = 'sending', handing_over_at = now()"):
        await reception.run(f"update mails set {late}")
        assert (await reception.confirmation.preview(await reception.token(ticket), session)).email == ALICE
    await reception.sent(ticket, hours_ago=0.9)
    await reception.type_code(code, session, ticket)


@pytest.mark.parametrize("which", [0, 1])
async def test_after_a_resend_both_mails_confirm_by_link_and_by_code(reception: Reception, which: int) -> None:
    for way in ("link", "code"):
        session = await reception.browser()
        first = await reception.sign_up(session, f"{way}@example.org")
        await reception.wait(minutes=2)
        tickets = (first, await reception.registration.resend(ticket=first, session=session))
        if way == "link":
            await reception.confirm(tickets[which], session)
        else:
            await reception.type_code(await reception.code(tickets[which]), session, tickets[1])
    assert len(await accounts_of(reception)) == 2
    assert await reception.rows("select 1 from tasks where owner_id is null") == []


async def test_a_typed_code_confirms_in_any_case_and_with_or_without_its_dash(reception: Reception) -> None:
    ways = (str, str.lower, lambda code: code.replace("-", ""), lambda code: f"  {code[:4]} {code[5:]}\n")
    for number, way in enumerate(ways):
        session = await reception.browser()
        ticket = await reception.sign_up(session, f"alice{number}@example.org")
        started = await reception.type_code(way(await reception.code(ticket)), session)
        assert started.session.account
        assert started.session.account.email == f"alice{number}@example.org"


async def test_a_typed_code_works_only_in_the_browser_that_signed_up(reception: Reception) -> None:
    ticket = await reception.sign_up(await reception.browser())
    code = await reception.code(ticket)
    for session in (await reception.browser(), None):
        for named in (ticket, None):
            with pytest.raises(UnknownSignUp):
                await reception.type_code(code, session, named)
    assert await accounts_of(reception) == []


@pytest.mark.parametrize("status", ["new", "known"])
async def test_five_wrong_codes_are_too_many_until_the_mail_is_sent_again(
    reception: Reception, status: str
) -> None:
    if status == "known":
        await reception.member()
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    for left in (4, 3, 2, 1):
        with pytest.raises(WrongCode) as wrong:
            await reception.type_code(WRONG, session, ticket)
        assert wrong.value.tries_left == left
    with pytest.raises(TooManyTries):
        await reception.type_code(WRONG, session, ticket)
    with pytest.raises(TooManyTries):
        await reception.type_code(await reception.code(ticket), session, ticket)
    await reception.wait(minutes=2)
    ticket = await reception.registration.resend(ticket=ticket, session=session)
    with pytest.raises(WrongCode) as wrong:
        await reception.type_code(WRONG, session, ticket)
    assert wrong.value.tries_left == 4


async def test_codes_tried_at_once_are_all_counted(reception: Reception) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    outcomes = await asyncio.gather(
        *(reception.type_code(WRONG, session, ticket) for _ in range(8)), return_exceptions=True
    )
    left = sorted(outcome.tries_left for outcome in outcomes if isinstance(outcome, WrongCode))
    assert left == [1, 2, 3, 4]
    assert sum(isinstance(outcome, TooManyTries) for outcome in outcomes) == 4


async def test_half_a_code_is_no_try(reception: Reception) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    for typed in ("", "ABC", "AAAA-AAAA", "2222-22222"):
        with pytest.raises(WrongCode) as wrong:
            await reception.type_code(typed, session, ticket)
        assert wrong.value.tries_left == 5


async def test_a_decoy_can_be_confirmed_by_nothing(reception: Reception) -> None:
    await reception.member()
    mallorys = await reception.browser()
    decoy = await reception.sign_up(mallorys, password=MALLORYS)
    with pytest.raises(WrongToken):
        await reception.confirm(decoy, mallorys, MALLORYS)
    with pytest.raises(WrongCode):
        await reception.type_code(await reception.code(decoy), mallorys, decoy)
    assert await accounts_of(reception) == [ALICE]
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, "something else entirely here")
    assert (await reception.sign_in(ALICE, ALICES)).session.account


async def test_confirming_while_signed_in_as_somebody_else_ends_that_session(reception: Reception) -> None:
    bob = await reception.member("bob@example.org", MALLORYS)
    ticket = await reception.sign_up(bob.session)
    alice = await reception.confirm(ticket, bob.session)
    assert alice.session.id != bob.session.id
    assert await reception.sessions.find(bob.secret) is None
    found = await reception.sessions.find(alice.secret)
    assert found
    assert found.account
    assert found.account.email == ALICE
    assert await reception.may_watch(ticket, found)


async def test_a_link_whose_sign_up_was_cleaned_away_is_too_old_not_wrong(reception: Reception) -> None:
    session = await reception.browser()
    ticket = await reception.sign_up(session)
    await reception.wait(days=8)
    await reception.retention.clean_up()
    assert await reception.rows("select 1 from sign_ups") == []
    with pytest.raises(ExpiredToken):
        await reception.confirmation.preview(await reception.token(ticket), session)
    token = await reception.token(ticket)
    await reception.run("update mails set nonce = null")
    with pytest.raises(ExpiredToken):
        await reception.confirmation.preview(token, session)


@pytest.mark.parametrize("by", ["link", "code"])
async def test_a_mail_that_was_read_has_arrived_and_is_not_sent_again(reception: Reception, by: str) -> None:
    browser = await reception.browser()
    ticket = await reception.sign_up(browser)
    await reception.run(
        "update mails set state = 'uncertain', stage = 'handing over', attempt = 1, handing_over_at = now(),"
        " next_attempt_at = now(), nudge_at = now()"
    )
    if by == "link":
        await reception.confirm(ticket, browser)
    else:
        await reception.type_code(await reception.code(ticket), browser)
    assert await Ledger(reception.database, "w:1").claim([ticket]) == []
    assert (await reception.mail(ticket)).state == "sent"

import pytest

from mailroom.accounts.errors import NotConfirmed, UnknownAccount, WrongCredentials
from mailroom.accounts.passwords import Passwords
from mailroom.settings import Settings
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception


class Counting(Passwords):
    """The real thing, which also counts what it was asked to compute."""

    def __init__(self) -> None:
        super().__init__()
        self.computed = 0

    async def _run(self, call, *arguments):
        self.computed += getattr(call, "__name__", "") == "_computed"
        return await super()._run(call, *arguments)


async def test_alice_signs_in_whatever_the_case_of_her_address(reception: Reception) -> None:
    await reception.member()
    started = await reception.sign_in(" ALICE@Example.ORG ", ALICES)
    assert started.session.account
    assert started.session.account.email == ALICE


async def test_signing_in_rotates_the_secret_and_keeps_the_anonymous_tickets(reception: Reception) -> None:
    await reception.member()
    before = await reception.sessions.start(FIREFOX)
    ticket = await reception.sign_up(before.session, "bob@example.org")
    after = await reception.sign_in(ALICE, ALICES, before.session)
    assert await reception.sessions.find(before.secret) is None
    assert await reception.sessions.find(after.secret)
    assert await reception.may_watch(ticket, after.session)


async def test_signing_in_again_ends_the_session_before(reception: Reception) -> None:
    first = await reception.member()
    second = await reception.sign_in(ALICE, ALICES, first.session)
    assert await reception.sessions.find(first.secret) is None
    assert await reception.sessions.find(second.secret)


async def test_signing_out_ends_the_session(reception: Reception) -> None:
    alice = await reception.member()
    await reception.accounts.sign_out(alice.session)
    assert await reception.sessions.find(alice.secret) is None


@pytest.mark.parametrize("email", [ALICE, "nobody@example.org", "no address", "", "a" * 300 + "@example.org"])
async def test_wrong_credentials_are_wrong_whichever_half_is(reception: Reception, email: str) -> None:
    await reception.member()
    with pytest.raises(WrongCredentials):
        await reception.sign_in(email, MALLORYS)


async def test_signing_in_computes_argon2_once_whatever_there_is_to_compare_with(
    reception: Reception, settings: Settings
) -> None:
    counting = Counting()
    accounts = reception.with_passwords(settings, counting)
    await reception.member("known@example.org")
    await reception.member("decoy@example.org")
    for pending in ("pending@example.org", "decoy@example.org"):
        await reception.sign_up(await reception.browser(), pending)
    for email in (
        "known@example.org",
        "decoy@example.org",
        "pending@example.org",
        "nobody@example.org",
        "no address",
    ):
        counting.computed = 0
        with pytest.raises(WrongCredentials):
            await accounts.sign_in(email, MALLORYS, session=None, user_agent=FIREFOX)
        assert counting.computed == 1, email
    counting.close()


@pytest.mark.parametrize("status", ["new", "known"])
async def test_the_password_of_a_waiting_sign_up_says_not_confirmed_and_lets_this_browser_watch(
    reception: Reception, status: str
) -> None:
    """Also for a decoy: else whoever signs up with an address could learn by signing in whether it is known."""
    if status == "known":
        await reception.member()
    laptop, phone = await reception.browser(), await reception.browser()
    ticket = await reception.sign_up(laptop, password=MALLORYS)
    with pytest.raises(NotConfirmed) as waiting:
        await reception.sign_in(ALICE, MALLORYS, phone)
    assert waiting.value.ticket == ticket
    assert await reception.may_watch(ticket, phone)
    await reception.wait(minutes=2)
    again = await reception.accounts.resend(ticket=ticket, session=phone)
    assert await reception.may_watch(again, phone)
    with pytest.raises(NotConfirmed) as waiting:
        await reception.sign_in(ALICE, MALLORYS, None)
    assert waiting.value.ticket is None


async def test_the_owner_signs_in_while_a_decoy_waits(reception: Reception) -> None:
    await reception.member()
    await reception.sign_up(await reception.browser(), password=MALLORYS)
    assert (await reception.sign_in(ALICE, ALICES)).session.account


async def test_the_same_password_signed_up_again_still_signs_the_owner_in(reception: Reception) -> None:
    await reception.member()
    await reception.sign_up(await reception.browser())
    assert (await reception.sign_in(ALICE, ALICES)).session.account


async def test_mallorys_password_is_worth_nothing_once_alice_signed_up(reception: Reception) -> None:
    mallorys, alices = await reception.browser(), await reception.browser()
    await reception.sign_up(mallorys, password=MALLORYS)
    await reception.sign_up(alices)
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, MALLORYS, mallorys)


async def test_a_hash_of_older_parameters_is_renewed_at_sign_in(reception: Reception, settings: Settings) -> None:
    weaker = Passwords(memory_kib=8192, passes=1)
    old = await weaker.hash(ALICES)
    weaker.close()
    await reception.member()
    await reception.run("update accounts set password_hash = :old", old=old)
    await reception.sign_in(ALICE, ALICES)
    [(new,)] = await reception.rows("select password_hash from accounts")
    assert "m=19456,t=2,p=1" in new
    assert (await reception.sign_in(ALICE, ALICES)).session.account


async def test_olga_becomes_an_operator_and_stops_being_one(reception: Reception) -> None:
    olga = await reception.member("olga@example.org")
    assert (await reception.accounts.grant_operator("OLGA@example.org")).is_operator
    found = await reception.sessions.find(olga.secret)
    assert found
    assert found.account
    assert found.account.is_operator, "from her next request on"
    assert not (await reception.accounts.grant_operator("olga@example.org", granted=False)).is_operator
    with pytest.raises(UnknownAccount):
        await reception.accounts.grant_operator("bob@example.org")

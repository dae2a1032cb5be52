import asyncio
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from mailroom.accounts.errors import NotConfirmed, UnknownAccount, WrongCredentials
from mailroom.accounts.passwords.hashing import Passwords
from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception

NEW = "eleven patient herons count rain"
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


class Counting(Passwords):
    """The real thing, which also counts what it was asked to compute."""

    def __init__(self) -> None:
        super().__init__()
        self.computed = 0

    async def _run(self, lane, call, *arguments):
        self.computed += getattr(call, "__name__", "") == "_computed"
        return await super()._run(lane, call, *arguments)


class Interrupted(Passwords):
    """The real thing; after comparing, or after hashing, something else happens first, once."""

    def __init__(self) -> None:
        super().__init__()
        self.after_match: Callable[[], Awaitable[object]] | None = None
        self.after_hash: Callable[[], Awaitable[object]] | None = None

    async def match(self, password: str, hashes: Sequence[str | None]) -> list[bool]:
        found = await super().match(password, hashes)
        await self._interrupt("after_match")
        return found

    async def hash(self, *arguments, **options) -> str:
        made = await super().hash(*arguments, **options)
        await self._interrupt("after_hash")
        return made

    async def _interrupt(self, name: str) -> None:
        interruption = getattr(self, name)
        setattr(self, name, None)
        if interruption:
            await interruption()


@pytest.fixture
async def counting() -> AsyncIterator[Counting]:
    counting = Counting()
    yield counting
    counting.close()


@pytest.fixture
async def interrupted() -> AsyncIterator[Interrupted]:
    interrupted = Interrupted()
    yield interrupted
    interrupted.close()


async def older_hash(password: str) -> str:
    """A hash of the time before the parameters were raised."""
    weaker = Passwords(memory_kib=8192, passes=1)
    made = await weaker.hash(password)
    weaker.close()
    return made


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
    await reception.sessions.end(alice.session.id)
    assert await reception.sessions.find(alice.secret) is None


async def test_a_password_typed_in_nfc_and_in_nfd_signs_in(reception: Reception) -> None:
    chosen = "sieben grüne Züge fahren über Ångström \uff2e\uff21\uff23\uff28 \ufb01ve"
    await reception.member(password=unicodedata.normalize("NFC", chosen))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert (await reception.sign_in(ALICE, unicodedata.normalize(form, chosen))).session.account  # type: ignore[arg-type]


@pytest.mark.parametrize("email", [ALICE, "nobody@example.org", "no address", "", "a" * 300 + "@example.org"])
async def test_wrong_credentials_are_wrong_whichever_half_is(reception: Reception, email: str) -> None:
    await reception.member()
    with pytest.raises(WrongCredentials):
        await reception.sign_in(email, MALLORYS)


async def test_signing_in_computes_argon2_once_whatever_there_is_to_compare_with(
    reception: Reception, counting: Counting
) -> None:
    authentication = reception.authentication_with(counting)
    for member in ("known@example.org", "decoy@example.org", "reset@example.org", "renewed@example.org"):
        await reception.member(member)
    await reception.run(
        "update accounts set password_hash = :old where email = 'renewed@example.org'",
        old=await older_hash(ALICES),
    )
    for pending in ("pending@example.org", "decoy@example.org", "reset@example.org", "renewed@example.org"):
        await reception.sign_up(await reception.browser(), pending, MALLORYS)
    await reception.choose(await reception.password_token(await reception.forget("reset@example.org")), NEW)
    await reception.sign_in("renewed@example.org", ALICES)
    for email in (
        "known@example.org",
        "decoy@example.org",
        "reset@example.org",
        "renewed@example.org",
        "pending@example.org",
        "nobody@example.org",
        "no address",
    ):
        counting.computed = 0
        with pytest.raises(WrongCredentials):
            await authentication.sign_in(email, "nobody chose this one", session=None, user_agent=FIREFOX)
        assert counting.computed == 1, email


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
    own = waiting.value.ticket
    assert own and own != ticket
    assert await reception.may_watch(own, phone)
    with pytest.raises(NotConfirmed) as waiting:
        await reception.sign_in(ALICE, MALLORYS, phone)
    assert waiting.value.ticket == own, "a second time sends nothing"
    for mine, browser in ((ticket, laptop), (own, phone)):
        assert await reception.may_watch(mine, browser), "both browsers have shown the password"
    await reception.wait(minutes=2)
    for mine, browser in ((ticket, laptop), (own, phone)):
        again = await reception.registration.resend(ticket=mine, session=browser)
        assert await reception.may_watch(again, browser)
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


@pytest.mark.parametrize("browser", ["laptop", "phone"])
@pytest.mark.parametrize("way", ["code", "link"])
async def test_both_browsers_that_showed_the_password_confirm(
    reception: Reception, browser: str, way: str
) -> None:
    laptop, phone = await reception.browser(), await reception.browser()
    first = await reception.sign_up(laptop)
    with pytest.raises(NotConfirmed) as waiting:
        await reception.sign_in(ALICE, ALICES, phone)
    session, ticket = (laptop, first) if browser == "laptop" else (phone, waiting.value.ticket)
    if way == "code":
        started = await reception.type_code(await reception.code(first), session, ticket)
    else:
        started = await reception.confirm(first, session)
    assert started.session.account
    told = await reception.rows("select distinct afterword, owner_id from tasks")
    assert told == [("confirmed", started.session.account.id)], "both pages are told"
    for mine, watcher in ((first, laptop), (waiting.value.ticket, phone)):
        assert mine and await reception.may_watch(mine, watcher)


async def test_a_hash_of_older_parameters_is_renewed_at_sign_in(reception: Reception) -> None:
    await reception.member()
    await reception.run("update accounts set password_hash = :old", old=await older_hash(ALICES))
    await reception.sign_in(ALICE, ALICES)
    [(new,)] = await reception.rows("select password_hash from accounts")
    assert "m=19456,t=2,p=1" in new
    assert (await reception.sign_in(ALICE, ALICES)).session.account


@pytest.mark.parametrize(("is_outdated", "moment"), [(False, "match"), (True, "match"), (True, "hash")])
async def test_the_old_password_does_not_outlive_a_reset_that_comes_in_between(
    reception: Reception, interrupted: Interrupted, *, is_outdated: bool, moment: str
) -> None:
    await reception.member()
    if is_outdated:
        await reception.run("update accounts set password_hash = :old", old=await older_hash(ALICES))
    token = await reception.password_token(await reception.forget())
    setattr(interrupted, f"after_{moment}", lambda: reception.choose(token, NEW))
    authentication = reception.authentication_with(interrupted)
    with pytest.raises(WrongCredentials):
        await authentication.sign_in(ALICE, ALICES, session=None, user_agent=FIREFOX)
    assert await reception.rows("select count(*) from sessions where account_id is not null") == [(1,)]
    with pytest.raises(WrongCredentials):
        await reception.sign_in(ALICE, ALICES)
    assert (await reception.sign_in(ALICE, NEW)).session.account


async def test_the_old_password_waits_for_a_reset_under_way_and_is_wrong_then(reception: Reception) -> None:
    await reception.member()
    new = await reception.passwords.hash(NEW)
    async with reception.database.begin() as reset:
        await reset.write("update accounts set password_hash = %(new)s", {"new": new})
        old = asyncio.create_task(reception.sign_in(ALICE, ALICES))
        async with asyncio.timeout(10):
            while await reception.rows(WAITING) == [(0,)]:
                assert not old.done(), "it did not wait"
                await asyncio.sleep(0.01)
    with pytest.raises(WrongCredentials):
        await old


async def test_a_renewal_that_comes_in_between_keeps_nobody_out(
    reception: Reception, interrupted: Interrupted
) -> None:
    await reception.member()
    await reception.run("update accounts set password_hash = :old", old=await older_hash(ALICES))
    interrupted.after_match = lambda: reception.sign_in(ALICE, ALICES)
    authentication = reception.authentication_with(interrupted)
    assert (await authentication.sign_in(ALICE, ALICES, session=None, user_agent=FIREFOX)).session.account


@pytest.mark.parametrize(
    "change", ["delete from accounts", "update accounts set email = 'x@example.org', email_key = 'x@example.org'"]
)
async def test_an_account_that_went_or_moved_in_between_lets_nobody_in(
    reception: Reception, interrupted: Interrupted, change: str
) -> None:
    await reception.member()
    interrupted.after_match = lambda: reception.run(change)
    authentication = reception.authentication_with(interrupted)
    with pytest.raises(WrongCredentials):
        await authentication.sign_in(ALICE, ALICES, session=None, user_agent=FIREFOX)


async def test_olga_becomes_an_operator_and_stops_being_one(reception: Reception) -> None:
    olga = await reception.member("olga@example.org")
    async with reception.database.begin() as work:
        assert (await reception.operators.grant(work, "OLGA@example.org")).role == "operator"
    found = await reception.sessions.find(olga.secret)
    assert found
    assert found.account
    assert found.account.is_operator, "from her next request on"
    async with reception.database.begin() as work:
        assert (await reception.operators.grant(work, "olga@example.org", "viewer")).role == "viewer"
    found = await reception.sessions.find(olga.secret)
    assert found
    assert found.account
    assert (found.account.role, found.account.is_operator) == ("viewer", False)
    async with reception.database.begin() as work:
        assert (await reception.operators.revoke(work, "olga@example.org")).role is None
        with pytest.raises(UnknownAccount):
            await reception.operators.grant(work, "bob@example.org")


async def test_the_last_release_grants_and_revokes_with_the_old_column_alone(reception: Reception) -> None:
    olga = await reception.member("olga@example.org")
    for statement, role in (
        ("update accounts set is_operator = true", "operator"),
        ("update accounts set is_operator = false, role = 'operator'", None),
        ("update accounts set role = 'viewer'", "viewer"),
    ):
        await reception.run(statement)
        found = await reception.sessions.find(olga.secret)
        assert found and found.account
        assert found.account.role == role

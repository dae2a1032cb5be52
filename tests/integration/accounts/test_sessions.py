import pytest

from tests.integration.accounts.conftest import ALICE, ALICES, FIREFOX, MALLORYS, Reception


async def test_a_cookie_finds_its_session_and_only_its_hash_is_stored(reception: Reception) -> None:
    started = await reception.sessions.start("Firefox\x00\r\nX: y" + "z" * 1000)
    assert len(started.secret) >= 43, "256 bits"
    assert await reception.sessions.find(started.secret) == started.session
    assert started.session.account is None
    assert len(started.session.user_agent) <= 300
    [(row,)] = await reception.rows("select s::text from sessions s")
    assert started.secret not in row
    assert started.secret not in repr(started)


@pytest.mark.parametrize("secret", ["", "x", "ä" * 43, "a" * 5000])
async def test_an_unknown_cookie_finds_nothing(reception: Reception, secret: str) -> None:
    assert await reception.sessions.find(secret) is None


async def test_a_session_is_noted_as_seen_once_a_minute_and_lives_on(reception: Reception) -> None:
    started = await reception.sessions.start(FIREFOX)
    found = await reception.sessions.find(started.secret)
    assert found
    assert found.extended_to is None
    assert found.seen_at == started.session.seen_at
    await reception.wait(days=29)
    found = await reception.sessions.find(started.secret)
    assert found
    assert found.extended_to
    assert (found.extended_to - found.seen_at).days == 30
    again = await reception.sessions.find(started.secret)
    assert again
    assert again.extended_to is None
    assert again.seen_at == found.seen_at


async def test_a_session_not_seen_for_thirty_days_is_over_and_cleaned_away(reception: Reception) -> None:
    old = await reception.sessions.start(FIREFOX)
    await reception.wait(days=30, seconds=1)
    fresh = await reception.sessions.start(FIREFOX)
    assert await reception.sessions.find(old.secret) is None
    await reception.retention.clean_up()
    assert await reception.rows("select id from sessions") == [(fresh.session.id,)]


@pytest.mark.parametrize("kind", ["anonymous", "signed in"])
async def test_a_session_used_each_day_ends_after_ninety_days(reception: Reception, kind: str) -> None:
    started = await reception.sessions.start(FIREFOX) if kind == "anonymous" else await reception.member()
    await reception.run("update sessions set created_at = now()")
    for _ in range(4):
        await reception.wait(days=22)
        found = await reception.sessions.find(started.secret)
        assert found and found.extended_to
        assert (found.extended_to - found.created_at).days <= 90
    assert found.id in await reception.sessions.standing([found.id])
    await reception.wait(days=2, seconds=10)
    assert await reception.sessions.find(started.secret) is None
    assert await reception.sessions.standing([found.id]) == {}, "nor has an open socket its rights"
    await reception.retention.clean_up()
    assert await reception.rows("select 1 from sessions") == []


async def test_alice_sees_her_sessions_and_ends_one_and_bob_cannot(reception: Reception) -> None:
    laptop = await reception.member()
    phone = await reception.sign_in(ALICE, ALICES)
    bob = await reception.member("bob@example.org", MALLORYS)
    assert laptop.session.account
    assert bob.session.account
    alice_id, bob_id = laptop.session.account.id, bob.session.account.id
    listed = await reception.sessions.of_account(alice_id)
    assert {session.id for session in listed} == {laptop.session.id, phone.session.id}
    await reception.sessions.revoke(bob_id, phone.session.id)
    assert await reception.sessions.find(phone.secret)
    await reception.sessions.revoke(alice_id, phone.session.id)
    assert await reception.sessions.find(phone.secret) is None
    assert await reception.sessions.find(laptop.secret)


async def test_a_clean_up_leaves_what_waits_and_what_was_confirmed(reception: Reception) -> None:
    await reception.member()
    await reception.wait(days=8)
    session = await reception.browser()
    await reception.sign_up(session, "bob@example.org")
    await reception.retention.clean_up()
    kept = await reception.rows("select email from sign_ups order by email")
    assert kept == [(ALICE,), ("bob@example.org",)]

"""Failed sign-ins in a row: the delay grows, by address and client, and nobody else's success ends it."""

import asyncio
from datetime import timedelta

import pytest

from mailroom.accounts.errors import SignInDelayed
from mailroom.accounts.security.sign_in_delays import FREE, MOST, SignInDelays
from mailroom.settings import Settings
from tests.integration.accounts.conftest import ALICE, Reception

HOME, AWAY = "192.0.2.7", "2001:db8:1:2::/64"


@pytest.fixture
def delays(reception: Reception, settings: Settings) -> SignInDelays:
    return SignInDelays(reception.database, settings.secret_keys)


async def wait_of(delays: SignInDelays, email: str = ALICE, client: str = HOME) -> float:
    """Return the seconds that the next try has to wait; a try that does not is counted."""
    try:
        await delays.take(email, client)
    except SignInDelayed as error:
        return error.seconds
    return 0


async def later(reception: Reception, by: timedelta) -> None:
    await reception.run("update sign_in_failures set next_at = next_at - :by, failed_at = failed_at - :by", by=by)


async def test_the_first_failures_are_free_and_then_each_doubles_the_wait(
    reception: Reception, delays: SignInDelays
) -> None:
    for _ in range(FREE):
        assert await wait_of(delays) == 0
    waits = []
    for _ in range(12):
        await later(reception, timedelta(minutes=15))
        assert await wait_of(delays) == 0, "the wait is over"
        waits.append(round(await wait_of(delays)))
    assert waits == [pytest.approx(min(2**power, 900), abs=1) for power in range(1, 13)]


async def test_after_a_hundred_in_a_row_it_is_a_day_and_then_all_is_forgotten(
    reception: Reception, delays: SignInDelays
) -> None:
    await wait_of(delays)
    await reception.run("update sign_in_failures set failures = :most - 1", most=MOST)
    assert await wait_of(delays) == 0
    assert await wait_of(delays) > 23 * 3600
    await later(reception, timedelta(hours=24, seconds=1))
    assert [await wait_of(delays) for _ in range(FREE)] == [0] * FREE
    await delays.clean_up()
    assert await reception.rows("select * from sign_in_failures")
    await later(reception, timedelta(hours=25))
    await delays.clean_up()
    assert await reception.rows("select * from sign_in_failures") == []


async def test_one_client_makes_no_other_wait_and_ends_no_other_s_delay(
    reception: Reception, delays: SignInDelays
) -> None:
    for _ in range(FREE + 1):
        await wait_of(delays)
    assert await wait_of(delays) > 0
    assert await wait_of(delays, client=AWAY) == 0, "the owner, elsewhere"
    assert await wait_of(delays, "bob@example.org") == 0
    await delays.clear(ALICE, AWAY)
    assert await wait_of(delays) > 0
    assert await wait_of(delays, " Alice@EXAMPLE.org ") > 0, "the same address"
    await delays.clear(ALICE, HOME)
    assert await wait_of(delays) == 0
    assert "alice" not in str(await reception.rows("select * from sign_in_failures"))


async def test_of_many_tries_at_once_each_counts(reception: Reception, delays: SignInDelays) -> None:
    waits = await asyncio.gather(*(wait_of(delays) for _ in range(20)))
    assert sorted(waits)[: FREE + 1] == [0] * (FREE + 1)
    assert all(wait > 0 for wait in sorted(waits)[FREE + 1 :])
    assert await reception.rows("select failures from sign_in_failures") == [(FREE + 1,)]

"""Rate limits over a real Valkey: shared by all processes, exact, and never in anyone's way."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

from mailroom.ops.embedded.valkey import running_valkey
from mailroom.web.limit_store import LimitStore, Rate

TEN_A_MINUTE = [Rate("sign-in:192.0.2.1", 10, 60.0), Rate("sign-in:hour:192.0.2.1", 1000, 3600.0)]


@pytest.fixture
async def two(redis_url: str) -> AsyncIterator[tuple[LimitStore, LimitStore]]:
    """The stores of two web processes, patient: how busy the test's machine is, is not the point."""
    stores = LimitStore(redis_url, connections=5, patience=5), LimitStore(redis_url, connections=5, patience=5)
    yield stores
    for store in stores:
        await store.close()


async def test_two_processes_count_together(two: tuple[LimitStore, LimitStore]) -> None:
    verdicts = [await two[number % 2].take(TEN_A_MINUTE) for number in range(12)]
    assert [verdict.wait > 0 for verdict in verdicts] == [False] * 10 + [True] * 2
    assert 4 < verdicts[-1].wait <= 6
    assert verdicts[9].used == pytest.approx((60.0, 36.0), abs=1)


async def test_requests_that_arrive_together_do_not_slip_through(
    two: tuple[LimitStore, LimitStore],
) -> None:
    verdicts = await asyncio.gather(*(two[number % 2].take(TEN_A_MINUTE) for number in range(10)))
    verdicts += await asyncio.gather(*(two[number % 2].take(TEN_A_MINUTE) for number in range(10)))
    assert sum(verdict.wait == 0 for verdict in verdicts) == 10


async def test_nothing_is_kept_for_longer_than_it_counts(
    two: tuple[LimitStore, LimitStore], redis_url: str
) -> None:
    await two[0].take(TEN_A_MINUTE)
    with redis.Redis.from_url(redis_url) as client:
        keys = sorted(client.keys("mailroom:limit:*"))
        assert len(keys) == 2
        assert all(0 < client.pttl(key) <= 8000 for key in keys)


async def test_a_frozen_valkey_costs_one_short_wait_and_is_found_again(
    tmp_path: Path,
) -> None:
    plenty = [Rate("key", 100_000, 60.0)]
    with running_valkey(tmp_path / "valkey") as valkey:
        with redis.Redis.from_url(valkey.url) as client:
            pid = int(client.info("server")["process_id"])
        store = LimitStore(valkey.url, connections=3, away=0.3)
        await store.take(plenty)
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            await store.take(plenty)
            first = time.monotonic() - began
            began = time.monotonic()
            for _ in range(500):
                await store.take(plenty)
            rest = time.monotonic() - began
        finally:
            os.kill(pid, signal.SIGCONT)
        assert 0.04 < first < 0.5
        assert rest < 0.3
        await asyncio.sleep(0.35)
        used = (await store.take(plenty)).used[0]
        assert used < 0.3  # Valkey's count (two requests or three), not this process's 500
        await store.close()

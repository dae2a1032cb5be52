"""Leases are renewed while their attempt is under way, and no longer."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from mailroom.kit.lease_renewal import LeaseRenewal

MAIL = UUID(int=1)
Lease = tuple[UUID, int]


async def test_the_end_of_an_old_attempt_leaves_the_lease_of_a_newer_one() -> None:
    renewed: asyncio.Queue[Sequence[Lease]] = asyncio.Queue()
    leases = LeaseRenewal(renewed.put, rows="mails", every=0.01)
    leases.hold((MAIL, 1))
    leases.hold((MAIL, 2))
    leases.drop((MAIL, 1))
    async with asyncio.timeout(5):
        assert [await renewed.get() for _ in range(3)] == [[(MAIL, 2)]] * 3
    leases.close()


async def test_nothing_is_renewed_once_nothing_is_held_and_again_when_something_is() -> None:
    renewed: asyncio.Queue[Sequence[Lease]] = asyncio.Queue()
    leases = LeaseRenewal(renewed.put, rows="mails", every=0.01)
    leases.hold((MAIL, 1))
    leases.drop((MAIL, 1))
    await asyncio.sleep(0.05)
    assert renewed.empty()
    leases.hold((MAIL, 2))
    async with asyncio.timeout(5):
        assert await renewed.get() == [(MAIL, 2)]
    leases.close()


async def test_a_renewal_that_fails_is_tried_again_soon(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    calls: asyncio.Queue[float] = asyncio.Queue()

    async def renew(_leases: Sequence[Lease]) -> None:
        await calls.put(loop.time())
        if calls.qsize() == 1:
            raise OSError("away")

    leases = LeaseRenewal(renew, rows="mails", every=0.3, again_after=0.01)
    leases.hold((MAIL, 1))
    async with asyncio.timeout(5):
        while calls.qsize() < 3:
            await asyncio.sleep(0.01)
    first, second, third = (calls.get_nowait() for _ in range(3))
    assert second - first < 0.2 < third - second
    assert "leases of 1 mails not renewed: away" in caplog.text
    leases.close()

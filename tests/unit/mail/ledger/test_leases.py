"""Leases are renewed while their attempt is under way, and no longer."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from mailroom.mail.ledger.leases import Leases


async def test_the_end_of_an_old_attempt_leaves_the_lease_of_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailroom.mail.ledger.leases.RENEW_EVERY", 0.01)
    renewed: asyncio.Queue[Sequence[tuple[UUID, int]]] = asyncio.Queue()
    leases, mail_id = Leases(renewed.put), UUID(int=1)
    leases.hold(mail_id, 1)
    leases.hold(mail_id, 2)
    leases.drop(mail_id, 1)
    async with asyncio.timeout(5):
        assert [await renewed.get() for _ in range(3)] == [[(mail_id, 2)]] * 3
    leases.close()

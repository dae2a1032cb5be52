"""Idempotency-Key: the answer is committed with the rows, so a repeat can never make them twice."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailroom.api_keys.errors import ConcurrentRequest, IdempotencyConflict
from mailroom.kit.database import PlainWork

KEPT = timedelta(hours=24)
LONGEST = 256

# Two requests with one key meet at the advisory lock, which is held to the end of the transaction; the second one
# is turned away at once instead of waiting in a connection.
LOCK = "select pg_try_advisory_xact_lock(hashtextextended(%(key_id)s::text || '/' || %(key)s, 7))"
FIND = """
select fingerprint, message_ids from idempotent_requests
where key_id = %(key_id)s and idempotency_key = %(key)s and created_at > now() - %(kept)s
"""
KEEP = """
insert into idempotent_requests (key_id, idempotency_key, fingerprint, message_ids)
values (%(key_id)s, %(key)s, %(fingerprint)s, %(message_ids)s)
on conflict (key_id, idempotency_key) do update
set fingerprint = excluded.fingerprint, message_ids = excluded.message_ids, created_at = now()
"""
FORGET = "delete from idempotent_requests where created_at < now() - %(kept)s"


def fingerprint_of(route: str, payload: bytes | bytearray) -> bytes:
    """Return what tells two payloads apart: SHA-256 of route and body."""
    both = hashlib.sha256(route.encode() + b"\0")
    both.update(payload)
    return both.digest()


async def answered_before(work: PlainWork, key_id: UUID, key: str, fingerprint: bytes) -> list[UUID] | None:
    """Return the messages that this request made before; None if it is new, and then the caller holds the lock.

    Raises `IdempotencyConflict` if the payload differs, `ConcurrentRequest` if such a request is under way.
    """
    arguments = {"key_id": key_id, "key": key, "kept": KEPT}
    locked: list[Any] = await work.fetch(LOCK, arguments)
    if not locked[0][0]:
        raise ConcurrentRequest
    found: list[Any] = await work.fetch(FIND, arguments)
    if not found:
        return None
    if bytes(found[0][0]) != fingerprint:
        raise IdempotencyConflict
    return list(found[0][1])


async def keep_answer(
    work: PlainWork, key_id: UUID, key: str, fingerprint: bytes, message_ids: Sequence[UUID]
) -> None:
    """Write down, in the transaction of the rows, which messages this request made."""
    await work.write(
        KEEP, {"key_id": key_id, "key": key, "fingerprint": fingerprint, "message_ids": list(message_ids)}
    )

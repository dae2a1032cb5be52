"""Challenges for passkeys: 256 random bits, for one browser and one purpose, good once and for five minutes.

A challenge for signing in is invalid as a second step, and in another browser (WebAuthn level 3 §13.4.3).
"""

import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from mailroom.kit.database import PlainWork

BYTES = 32
LAST = timedelta(minutes=5)

PUT = """
insert into webauthn_challenges (session_id, purpose, challenge, expires_at)
values (%(session_id)s, %(purpose)s, %(challenge)s, now() + %(lasts)s)
on conflict (session_id, purpose) do update set challenge = excluded.challenge, expires_at = excluded.expires_at
"""
TAKE = """
delete from webauthn_challenges where session_id = %(session_id)s and purpose = %(purpose)s
returning challenge, expires_at > now()
"""
CLEAN_UP = """
delete from webauthn_challenges where (session_id, purpose) in (
    select session_id, purpose from webauthn_challenges where expires_at < now() limit 1000
)
"""


class Purpose(StrEnum):
    """What a passkey is asked for."""

    ENROL = "enrol"
    SIGN_IN = "sign_in"
    SECOND_STEP = "second_step"
    RECENT = "recent"


async def put(work: PlainWork, session_id: UUID, purpose: Purpose) -> bytes:
    """Return a new challenge; an earlier one of this browser for the same purpose becomes invalid."""
    challenge = secrets.token_bytes(BYTES)
    wanted = {"session_id": session_id, "purpose": str(purpose), "challenge": challenge, "lasts": LAST}
    await work.write(PUT, wanted)
    return challenge


async def take(work: PlainWork, session_id: UUID, purpose: Purpose) -> bytes | None:
    """Use up the challenge of this browser for this purpose, and return it; None if it is missing or too old."""
    rows: list[Any] = await work.fetch(TAKE, {"session_id": session_id, "purpose": str(purpose)})
    return bytes(rows[0][0]) if rows and rows[0][1] else None

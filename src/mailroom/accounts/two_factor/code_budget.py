"""How often codes of authenticator apps may be typed for one account, whoever types them.

A code has six digits, so guessing must be slow: ten tries, and one more every three minutes. That is GCRA, as in
`web/rate_limits/limits.py`, but in PostgreSQL: it holds while Redis is away. Only somebody who has passed the
first step gets here, and passkeys and recovery codes are not limited: nobody locks the owner out, and nobody
learns anything.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from mailroom.kit.database import PlainWork

EACH = timedelta(minutes=3)
BURST = 10

TAKE = """
update accounts set codes_due_at = greatest(codes_due_at, now()) + %(each)s
where id = %(id)s and coalesce(codes_due_at, now()) <= now() + %(ahead)s returning 0
"""
WAIT = "select extract(epoch from codes_due_at - now() - %(ahead)s)::float from accounts where id = %(id)s"
GIVE_BACK = "update accounts set codes_due_at = codes_due_at - %(each)s where id = %(id)s"


async def take(work: PlainWork, account_id: UUID) -> float:
    """Take one try of an account; return 0, or the seconds to wait if none is left."""
    wanted = {"id": account_id, "each": EACH, "ahead": EACH * (BURST - 1)}
    if await work.fetch(TAKE, wanted):
        return 0
    rows: list[Any] = await work.fetch(WAIT, wanted)
    return max(1.0, rows[0][0] or 0) if rows else EACH.total_seconds()


async def give_back(work: PlainWork, account_id: UUID) -> None:
    """Give back the try of a right code."""
    await work.write(GIVE_BACK, {"id": account_id, "each": EACH})

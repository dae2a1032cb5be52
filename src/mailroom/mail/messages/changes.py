"""What programs change of a message that waits: they send it at another time, or cancel it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from mailroom.kit import clock
from mailroom.kit.database import PlainWork
from mailroom.kit.errors import MailroomError
from mailroom.mail.messages.draft import InvalidMessage
from mailroom.mail.messages.rows import EXPIRES_AFTER
from mailroom.mail.messages.store import LATEST
from mailroom.mail.states import State
from mailroom.statistics import names
from mailroom.statistics.counters import Counters

RESCHEDULE = """
with moved as (
    update mails set next_attempt_at = %(due)s, nudge_at = %(due)s, nudges = 0,
        expires_at = %(due)s + %(expires_in)s, step = step + 1, changed_at = clock_timestamp()
    where message_id = %(id)s and state = 'scheduled' returning id
), noted as (
    insert into mail_events (mail_id, type) select id, 'scheduled' from moved
)
update messages set scheduled_at = %(due)s where id = %(id)s and exists (select from moved) returning id
"""
CANCEL = """
update mails set state = 'cancelled', stage = null, reason = 'cancelled', nudge_at = null, next_attempt_at = null,
    step = step + 1, ended_at = clock_timestamp(), changed_at = clock_timestamp()
where message_id = %(id)s and state in ('scheduled', 'queued', 'retrying') returning id
"""


class NothingWaits(MailroomError):
    """No mail of this message waits any more: each has been sent, is on its way, or has ended."""


async def reschedule(work: PlainWork, message_id: UUID, due: datetime) -> None:
    """Send this message's waiting mails at `due`. Raises `NothingWaits`, `InvalidMessage`."""
    if due > clock.now() + LATEST:
        raise InvalidMessage("scheduled_at", f"A message is scheduled at most {LATEST.days} days ahead.")
    arguments: dict[str, Any] = {"id": message_id, "due": due, "expires_in": EXPIRES_AFTER}
    if not await work.fetch(RESCHEDULE, arguments):
        raise NothingWaits


async def cancel(work: PlainWork, message_id: UUID, counters: Counters) -> int:
    """Cancel this message's waiting mails; return how many. Raises `NothingWaits`."""
    cancelled: list[Any] = await work.fetch(CANCEL, {"id": message_id})
    if not cancelled:
        raise NothingWaits
    number = len(cancelled)
    work.after_commit(lambda: counters.add(names.ENDED, State.CANCELLED, number))
    return number

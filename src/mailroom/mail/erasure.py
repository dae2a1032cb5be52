"""Mails of a deleted account: those that wait are cancelled; later the personal data in all of them are erased."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from mailroom.kit.database import PlainWork
from mailroom.mail.states import State
from mailroom.statistics import names
from mailroom.statistics.counters import Counters

CANCEL = """
with waiting as materialized (
    select mails.id from mails join tasks on tasks.id = mails.id
    where tasks.owner_id = %(owner_id)s and mails.kind <> all(%(but)s)
        and mails.state in ('scheduled', 'queued', 'retrying', 'uncertain')
    order by mails.id for update of mails
)
update mails set state = 'cancelled', stage = null, step = step + 1, reason = 'cancelled', nudge_at = null,
    next_attempt_at = null, ended_at = now(), changed_at = now()
from waiting where mails.id = waiting.id returning mails.id
"""

BEING_SENT = """
select exists (
    select from mails join tasks on tasks.id = mails.id
    where tasks.owner_id = %(owner_id)s and mails.state = 'sending'
)
"""

# The server's reply may hold an address, too: "550 <alice@example.org>: no such user".
ERASE = """
update mails set recipient = null, typed_recipient = null, params = null, nonce = null, answer = null
where id = any(%(ids)s)
"""
ERASE_ATTEMPTS = "update attempts set answer = null where mail_id = any(%(ids)s) and answer is not null"
ERASE_EVENTS = "update mail_events set diagnostic = null where mail_id = any(%(ids)s) and diagnostic is not null"
CLOSE_TICKETS = "update tasks set owner_id = null, session_id = null where id = any(%(ids)s)"


async def cancel_waiting(
    work: PlainWork, owner_id: UUID, counters: Counters, *, but: Collection[str] = ()
) -> None:
    """Cancel the mails of an account that wait, except those of the kinds in `but`. Claimed ones go on."""
    rows: list[Any] = await work.fetch(CANCEL, {"owner_id": owner_id, "but": list(but)})
    if number := len(rows):
        work.after_commit(lambda: counters.add(names.ENDED, State.CANCELLED, number))


async def are_being_sent(work: PlainWork, owner_id: UUID) -> bool:
    """Tell whether a worker has one of this account's mails."""
    rows: list[tuple[bool]] = await work.fetch(BEING_SENT, {"owner_id": owner_id})
    return rows[0][0]


async def erase(work: PlainWork, mail_ids: Collection[UUID]) -> None:
    """Take the address, the content and the mail server's words out of these mails; nobody may watch them then.

    States, times and codes stay: they say how the mail server did, and nothing about a person.
    """
    for statement in (ERASE, ERASE_ATTEMPTS, ERASE_EVENTS, CLOSE_TICKETS):
        await work.write(statement, {"ids": list(mail_ids)})

"""The outbox: a mail is a row in the transaction of its cause; workers are notified after the commit."""

import os
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import select

from mailroom.i18n import languages
from mailroom.kit import tracing
from mailroom.kit.database import PlainWork, UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import RESERVED, TIME_ZONE, WITHHELD, Kinds, Notify, Reader
from mailroom.mail.models import Mail
from mailroom.mail.states import State
from mailroom.statistics import names
from mailroom.statistics.counters import Counters
from mailroom.tasks.tickets import Tickets

FIRST_NUDGE = 10
"""Seconds after which the sweep publishes a queued mail again: its message may be lost."""

PUT = """
insert into mails (id, kind, recipient, typed_recipient, params, nonce, on_uncertain, nudge_at, expires_at,
    state, next_attempt_at, language, traceparent)
values (%(id)s, %(kind)s, %(recipient)s, %(typed)s, %(params)s, %(nonce)s, %(on_uncertain)s, now() + %(nudge_in)s,
    now() + %(expires_in)s, %(state)s, now() + %(delay)s,
    %(language)s, %(traceparent)s)
"""


class Outbox:
    """Accepts mails. A mail that was put and committed is sent, or shown as failed, expired or uncertain."""

    def __init__(self, kinds: Kinds, tickets: Tickets, notify: Notify, counters: Counters | None = None) -> None:
        self.kinds = kinds
        """Every kind of mail."""
        self._tickets = tickets
        self._notify = notify
        self._counters = counters or Counters()

    async def put(
        self,
        work: PlainWork,
        kind: str,
        to: str,
        params: dict[str, Any] | None = None,
        *,
        session_id: UUID | None = None,
        owner_id: UUID | None = None,
        typed: str | None = None,
        withheld: bool = False,
        delay: timedelta = timedelta(0),
        reader: Reader | None = None,
    ) -> UUID:
        """Write a mail and its ticket in `work`; return its id, which is also its ticket and its Celery task id.

        `params` are what the templates need; they are stored, so they hold nothing secret. The browser session and
        the owner given may watch the mail; they see `typed` in place of `to` if it is given. Raises
        `UnknownKind`; ValueError if `params` have a name that is `RESERVED`.

        A mail that is `withheld` goes through every stage, but the mail server gets no content: for limits that
        nobody may see. With a `delay` it is scheduled for later. `reader` says who reads it; without one it is in
        the current language.
        """
        mail_id, mail_kind = new_id(), self.kinds[kind]
        reader = reader or Reader()
        params = dict(params or {})
        if taken := sorted(RESERVED & params.keys()):
            raise ValueError(f"Mailroom keeps these names of parameters for itself: {', '.join(taken)}")
        if withheld:
            params[WITHHELD] = True
        if reader.time_zone:
            params[TIME_ZONE] = reader.time_zone
        mail = {
            "id": mail_id,
            "kind": kind,
            "recipient": to,
            "typed": typed if typed != to else None,
            "params": Jsonb(params),
            "nonce": os.urandom(16),
            "on_uncertain": mail_kind.on_uncertain,
            "nudge_in": delay or timedelta(seconds=FIRST_NUDGE),
            "expires_in": mail_kind.expires_after,
            "state": str(State.SCHEDULED if delay else State.QUEUED),
            "delay": delay or None,
            "language": reader.language or languages.current(),
            "traceparent": tracing.traceparent(),
        }
        await work.write(PUT, mail)
        await self._tickets.open(work, mail_id, mail_kind.title, session_id=session_id, owner_id=owner_id)
        work.after_commit(lambda: self._counters.add(names.CREATED, "transactional"))
        if not delay:
            work.after_commit(lambda: self._notify([mail_id]))
        return mail_id

    async def find(self, work: UnitOfWork, mail_id: UUID) -> Mail | None:
        """Return the mail of this id, or None."""
        return (await work.session.execute(select(Mail).where(Mail.id == mail_id))).scalar_one_or_none()

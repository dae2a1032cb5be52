"""Refused sign-ins, shared by all workers: the wait grows with each refusal, and one log line tells of it.

A mail server that counts refused passwords (fail2ban, or the provider itself) bans addresses that go on trying. So
a row in PostgreSQL holds what is known of these settings: whether they were accepted last; if not, when the next
try is due, and whether a process is making it now. The row's key is an HMAC of the settings: other settings have
another row, and are tried at once.
"""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg.rows import class_row

from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.smtp.opening import ServerTrouble
from mailroom.mail.states import Reason
from mailroom.settings import SMTPServer

logger = logging.getLogger(__name__)

WAITS = (60.0, 300.0, 600.0, 1200.0, 1800.0)
"""Seconds until the next try after the first, second, ... refusal. fail2ban bans after five within ten minutes."""
LEASE = 120.0
"""Seconds after which another process may try in place of one that has begun to."""
LOOK_EVERY = 0.2
"""Seconds between two looks at how another process' try ended."""

BEGIN = """
with mine as (
    insert into smtp_sign_ins as known (key, trying_until)
    values (%(key)s, clock_timestamp() + %(lease)s)
    on conflict (key) do update set trying_until = excluded.trying_until, changed_at = clock_timestamp()
    where known.accepted_at is null and coalesce(known.next_try_at <= clock_timestamp(), true)
        and coalesce(known.trying_until <= clock_timestamp(), true)
    returning key
)
select exists (select from mine) or accepted_at is not null as allowed, code, enhanced, answer,
    case when next_try_at > clock_timestamp() then next_try_at end as next_try_at, clock_timestamp() as now
from (select) as always left join smtp_sign_ins on key = %(key)s
"""
ACCEPTED = """
update smtp_sign_ins set accepted_at = clock_timestamp(), refusals = 0, next_try_at = null, trying_until = null,
    code = null, enhanced = null, answer = null, changed_at = clock_timestamp()
where key = %(key)s and accepted_at is null
"""
# Refusals of tries that began together, while the sign-in was thought to be good, count once.
REFUSED = """
update smtp_sign_ins set accepted_at = null, refusals = refusals + 1, trying_until = null,
    next_try_at = clock_timestamp()
        + make_interval(secs => (%(waits)s::float[])[least(refusals + 1, cardinality(%(waits)s::float[]))]),
    code = %(code)s, enhanced = %(enhanced)s, answer = %(answer)s, changed_at = clock_timestamp()
where key = %(key)s and (accepted_at is not null or trying_until is not null)
returning refusals, extract(epoch from next_try_at - clock_timestamp())::float
"""
NO_VERDICT = """
update smtp_sign_ins set trying_until = null, changed_at = clock_timestamp()
where key = %(key)s and accepted_at is null
"""


def key_of(server: SMTPServer, secret: str) -> str:
    """Return the key of these settings. Without the `secret` nobody can find the password from it."""
    told = repr((server.host, server.port, server.tls, server.starttls, server.username, server.password))
    return hmac.new(secret.encode(), b"smtp sign-in " + told.encode(), hashlib.sha256).hexdigest()[:40]


class Known(NamedTuple):
    """What the row says before a try."""

    allowed: bool
    code: int | None
    enhanced: str | None
    answer: str | None
    next_try_at: datetime | None
    now: datetime


class SignIns:
    """The sign-in at the mail server: whether workers with the same settings were accepted or refused."""

    def __init__(self, database: Database, server: SMTPServer, secret: str) -> None:
        self._database = database
        self._server = server
        self._key = key_of(server, secret)
        self._refused: DeliveryResult | None = None
        self._refused_until = 0.0

    @asynccontextmanager
    async def trying(self) -> AsyncIterator[None]:
        """Open a connection in this block. Raises `ServerTrouble` if it is too early for another try.

        While another process makes the first try, or one after a refusal, this one waits for its end.
        """
        if not self._server.username:
            yield
            return
        await self._begin()
        try:
            yield
        except ServerTrouble as trouble:
            await self._end(trouble.result)
            raise
        except BaseException:
            await self._end(None)
            raise
        await self.accepted()

    async def _begin(self) -> None:
        until = time.monotonic() + LEASE
        while True:
            try:
                rows = await self._database.fetch(
                    BEGIN, {"key": self._key, "lease": timedelta(seconds=LEASE)}, class_row(Known)
                )
            except Unavailable:
                if self._refused and time.monotonic() < self._refused_until:
                    raise ServerTrouble(self._refused) from None
                return
            known = rows[0]
            if known.allowed or time.monotonic() > until:
                return
            if known.next_try_at:
                self._remember(known.code, known.enhanced, known.answer, known.next_try_at - known.now)
                raise ServerTrouble(self._refused or DeliveryResult(Reason.SIGN_IN))
            await asyncio.sleep(LOOK_EVERY)

    async def accepted(self) -> None:
        """Note that the server accepted user and password: processes that wait may try at once."""
        self._refused = None
        await self._write(ACCEPTED)

    async def _end(self, result: DeliveryResult | None) -> None:
        if result is None or result.reason is not Reason.SIGN_IN:
            await self._write(NO_VERDICT)
            return
        self._remember(result.code, result.enhanced, result.text, timedelta(seconds=WAITS[0]))
        facts = {"code": result.code, "enhanced": result.enhanced, "answer": result.text, "waits": list(WAITS)}
        for refusals, seconds in await self._write(REFUSED, **facts):
            self._refused_until = time.monotonic() + seconds
            logger.log(
                logging.ERROR if refusals == 1 else logging.INFO,
                "mail server %s does not accept the sign-in (%s). All workers wait %d s before the next try, and "
                "longer after each refusal. A changed SMTP_URL is tried at once. `mailroom doctor` tries at once, "
                "too, and ends the waiting where it gets in.",
                self._server,
                " ".join(str(part) for part in (result.code, result.enhanced) if part) or result.text,
                round(seconds),
            )

    def _remember(self, code: int | None, enhanced: str | None, answer: str | None, wait: timedelta) -> None:
        self._refused = DeliveryResult(Reason.SIGN_IN, code, enhanced, answer)
        self._refused_until = time.monotonic() + wait.total_seconds()

    async def _write(self, statement: str, **facts: object) -> list[tuple[int, float]]:
        try:
            return await self._database.fetch(statement, {"key": self._key, **facts})
        except Unavailable:
            return []  # this process remembers it; the others find out on their own

"""Sends deliveries: signed, in order for each subject, retried after longer and longer waits, at last given up."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from psycopg.rows import class_row

from mailroom.accounts.models import Account
from mailroom.accounts.views import reader_of
from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.kit.secret_box import CannotOpen, SecretBox
from mailroom.mail.outbox import Outbox
from mailroom.webhooks import signing
from mailroom.webhooks.fan_out import FanOut
from mailroom.webhooks.mails import DISABLED
from mailroom.webhooks.targets import ForbiddenTarget

if TYPE_CHECKING:
    from mailroom.webhooks.poster import Poster

logger = logging.getLogger(__name__)

SECONDS = 10.0
"""Seconds for one attempt, from its connection to the answer."""
WAITS = (5, 300, 1800, 7200, 18_000, 36_000, 36_000)
"""Seconds after the first, second … failed attempt; after the last one the delivery has failed."""
DISABLE_AFTER = timedelta(days=5)
"""How long an endpoint may fail without one success."""
LEASE = timedelta(seconds=30)
AT_ONCE, AT_ONCE_EACH, AT_ONCE_FAILING = 60, 10, 2
"""Deliveries under way in a process; those of one endpoint; those of one that fails."""
REST, IDLE = 0.2, 1.0
"""Seconds between two rounds: after one with deliveries, and after one without."""
GONE = 410

# A delivery waits while an earlier one of its subject waits. Each endpoint is looked at by itself and gets only as
# many as it has room for. So a dead one does not hold up the others, however many of its deliveries wait.
CLAIM = """
with due as (
    select due.id, due.place + coalesce(busy.count, 0) as place from webhook_endpoints w
    left join unnest(%(busy)s::uuid[], %(counts)s::int[]) as busy (id, count) on busy.id = w.id
    cross join lateral (
        select id, row_number() over (order by next_at rows unbounded preceding) as place from webhook_deliveries d
        where d.endpoint_id = w.id and next_at <= now() and not exists (
            select from webhook_deliveries e
            where e.endpoint_id = d.endpoint_id and e.subject_id = d.subject_id and e.number < d.number
                and e.next_at is not null
        )
        order by next_at limit greatest(0, case
            when w.failing_since is null then %(each)s else %(failing)s
        end - coalesce(busy.count, 0))
    ) as due
    where w.disabled_at is null
), mine as materialized (
    select id from webhook_deliveries
    where id in (select id from due order by place limit %(most)s) and next_at <= now()
    for update skip locked
)
update webhook_deliveries d set next_at = now() + %(lease)s, attempts = attempts + 1
from mine, webhook_endpoints w where d.id = mine.id and w.id = d.endpoint_id
returning d.id, d.endpoint_id, d.payload, d.attempts, w.url, w.secret
"""
# What waits behind a delivery goes at once when that one has arrived.
DELIVERED = """
with ended as (
    update webhook_deliveries set state = 'delivered', next_at = null, status = %(status)s, error = null,
        ended_at = now()
    where id = %(id)s and attempts = %(attempts)s returning endpoint_id, subject_id, number
), next_ones as (
    update webhook_deliveries d set next_at = now() from ended
    where d.endpoint_id = ended.endpoint_id and d.subject_id = ended.subject_id and d.number > ended.number
        and d.next_at > now() + %(lease)s
)
update webhook_endpoints set failing_since = null
where id in (select endpoint_id from ended) and failing_since is not null
"""
# What waits behind a delivery is put off with it, so that a claim does not look at it again and again.
FAILED = """
with noted as (
    update webhook_deliveries set status = %(status)s, error = %(error)s,
        state = case when %(wait)s::interval is null then 'failed' else 'waiting' end,
        next_at = now() + %(wait)s::interval,
        ended_at = case when %(wait)s::interval is null then now() end
    where id = %(id)s and attempts = %(attempts)s and next_at is not null
    returning endpoint_id, subject_id, number, next_at
), next_ones as (
    update webhook_deliveries d set next_at = greatest(d.next_at, noted.next_at) from noted
    where d.endpoint_id = noted.endpoint_id and d.subject_id = noted.subject_id and d.number > noted.number
        and d.next_at is not null and noted.next_at is not null
)
update webhook_endpoints set failing_since = coalesce(failing_since, now()),
    disabled_at = case
        when %(gone)s or coalesce(failing_since, now()) < now() - %(patience)s then coalesce(disabled_at, now())
        else disabled_at
    end,
    disabled_reason = case
        when %(gone)s then 'gone'
        when coalesce(failing_since, now()) < now() - %(patience)s then coalesce(disabled_reason, 'failing')
        else disabled_reason
    end
where id in (select endpoint_id from noted)
returning id, url, owner_id, disabled_reason, disabled_at >= now() as just_disabled
"""
DROP_WAITING = """
update webhook_deliveries set state = 'failed', error = 'disabled', next_at = null, ended_at = now()
where endpoint_id = %(id)s and next_at is not null
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process sends now."""

    id: UUID
    endpoint_id: UUID
    payload: dict[str, Any]
    attempts: int
    url: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered: an HTTP status, or why there is none."""

    status: int | None = None
    error: str | None = None

    @property
    def good(self) -> bool:
        """True for 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


class WebhookSender:
    """Reads events and sends deliveries while its process runs."""

    def __init__(self, database: Database, box: SecretBox, outbox: Outbox, *, private: bool) -> None:
        self._database = database
        self._fan_out = FanOut(database)
        self._box = box
        self._outbox = outbox
        self._private = private
        self._sending: dict[asyncio.Task[None], UUID] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """Begin no more; what is under way is given up, and sent again by another process."""
        for task in filter(None, (self._task, *self._sending)):
            task.cancel()
        await asyncio.gather(*filter(None, (self._task, *self._sending)), return_exceptions=True)
        if "_poster" in vars(self):
            await self._poster.close()

    @cached_property
    def _poster(self) -> "Poster":
        # Imported for the first delivery: with the certificates of all authorities it takes 6 MB of a worker.
        from mailroom.webhooks.poster import Poster

        return Poster(private=self._private, connections=AT_ONCE)

    async def _run(self) -> None:
        while True:
            busy = False
            try:
                busy = bool(await self._fan_out.run()) | await self.send_due()
            except Unavailable:
                pass  # the next round looks again
            except Exception:
                logger.exception("a round of webhooks failed; the next one tries again")
            await asyncio.sleep(REST if busy else IDLE)

    async def send_due(self) -> bool:
        """Begin to send what is due, as far as there is room; False if nothing was."""
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            return True
        busy = Counter(self._sending.values())
        arguments = {
            "busy": list(busy),
            "counts": list(busy.values()),
            "each": AT_ONCE_EACH,
            "failing": AT_ONCE_FAILING,
            "most": room,
            "lease": LEASE,
        }
        claimed = await self._database.fetch(CLAIM, arguments, class_row(Claimed))
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery, self._poster))
            self._sending[task] = delivery.endpoint_id
            task.add_done_callback(self._sending.pop)
        return bool(claimed)

    def under_way(self, endpoint_id: UUID) -> int:
        """Return how many deliveries of an endpoint this process sends now."""
        return Counter(self._sending.values())[endpoint_id]

    async def drain(self) -> None:
        """Wait until what is under way has ended."""
        await asyncio.gather(*self._sending)

    async def _deliver(self, delivery: Claimed, poster: "Poster") -> None:
        answer = await self._post(delivery, poster)
        try:
            await self._record(delivery, answer)
        except Unavailable:
            pass  # its lease runs out, and it is sent again under the same id
        except Exception:
            logger.exception("a webhook's answer could not be recorded")

    async def _post(self, delivery: Claimed, poster: "Poster") -> Answer:
        try:
            secret = self._box.open(delivery.secret)
        except CannotOpen:
            return Answer(error="secret lost")
        body = json.dumps(delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            **signing.headers(str(delivery.id), int(time.time()), body, secret),
            "content-type": "application/json",
            "user-agent": "Mailroom-Webhooks/1",
        }
        try:
            async with asyncio.timeout(SECONDS):
                return Answer(await poster.post(delivery.url, headers, body))
        except TimeoutError:
            return Answer(error="timeout")
        except ForbiddenTarget:
            return Answer(error="forbidden target")
        except (OSError, ValueError):
            return Answer(error="unreachable")

    async def _record(self, delivery: Claimed, answer: Answer) -> None:
        facts = {"id": delivery.id, "attempts": delivery.attempts, "status": answer.status}
        if answer.good:
            await self._database.fetch(DELIVERED, {**facts, "lease": LEASE})
            return
        gone = answer.status == GONE
        wait = None if gone or delivery.attempts > len(WAITS) else timedelta(seconds=WAITS[delivery.attempts - 1])
        rows: Sequence[Any] = await self._database.fetch(
            FAILED,
            {
                **facts,
                "error": answer.error or "refused",
                "wait": wait,
                "gone": gone,
                "patience": DISABLE_AFTER,
            },
        )
        for endpoint_id, url, owner_id, reason, just_disabled in rows:
            if just_disabled:
                logger.warning("the webhook %s is disabled: %s", endpoint_id, reason)
                await self._database.fetch(DROP_WAITING, {"id": endpoint_id})
                if owner_id:
                    await self._tell_owner(owner_id, url, reason)

    async def _tell_owner(self, owner_id: UUID, url: str, reason: str) -> None:
        async with self._database.begin() as work:
            owner = await work.session.get(Account, owner_id)
            if owner:
                params = {"host": urlsplit(url).hostname or "", "reason": reason}
                await self._outbox.put(
                    work, DISABLED, owner.email, params, owner_id=owner_id, reader=reader_of(owner)
                )

"""Which mails a worker process sends, and how it stops.

A single mail:       `deliver` → `Ledger.claim` → `AttemptRunner.run` → `SmtpConnection.deliver`.
The bulk stream:     `begin_bulk` → `Ledger.claim_bulk` → `BulkQueue` → as for mails in bulk.
Mails in bulk:       `deliver_many` → `Ledger.claim` → `BulkQueue` → `BulkSender.run` → `SmtpConnection.deliver`.
Both ways record through `AttemptRecorder` → `Ledger.record_and_hand_over`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.errors import Unavailable
from mailroom.mail.delivery.attempt import EndedAttempts, ProgressSink
from mailroom.mail.delivery.attempt_recorder import AttemptRecorder
from mailroom.mail.delivery.attempt_runner import AttemptRunner
from mailroom.mail.delivery.bulk_queue import BulkMessage, BulkQueue
from mailroom.mail.delivery.bulk_sender import BulkSender
from mailroom.mail.delivery.deferral import Deferral
from mailroom.mail.delivery.envelopes import Envelopes
from mailroom.mail.delivery.tally import Tally
from mailroom.mail.ledger.claims import Claim, Ledger
from mailroom.mail.smtp.pool import Pool
from mailroom.mail.states import Stage
from mailroom.progress.snapshot import Snapshot
from mailroom.settings.stop_times import StopTimes
from mailroom.statistics.counters import Counters

logger = logging.getLogger(__name__)

AHEAD = 4
"""Claimed mails that may wait for each bulk sender before the next message's mails are claimed."""
CLAIM_WAITING = 100
"""Mails that an idle process claims at a time: enough to be cheap, few enough to end together."""


class PoisonCandidate:
    """Returned for a mail that may have ended its workers: it is sent only while no other candidate is sent here.

    When a worker ends, every mail that it was sending counts one more crash; so candidates are sent one at a time.
    """


class Deliverer:
    """Sends mails for one worker process. `progress` shows watchers where they are."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        pool: Pool,
        envelopes: Envelopes,
        progress: ProgressSink,
        counters: Counters | None = None,
        stop_times: StopTimes | None = None,
        spans: EndedAttempts | None = None,
    ) -> None:
        self._ledger = ledger
        self._stop_times = stop_times or StopTimes.of()
        self._pool = pool
        self._envelopes = envelopes
        tally = Tally(counters or Counters())
        self._recorder = AttemptRecorder(ledger, str(pool.server), progress, tally, spans)
        self._runner = AttemptRunner(self._recorder, pool=pool, envelopes=envelopes)
        self._deferral = Deferral(ledger, pool, progress)
        self._claims: Coalescer[UUID, Claim | PoisonCandidate | None] = Coalescer(self._claim_all)
        self._one_candidate = asyncio.Lock()
        self._bulk_queue = BulkQueue(most_waiting=AHEAD * pool.limit)
        self._bulk_senders: list[asyncio.Task[None]] = []
        self._next_message = asyncio.Lock()
        self._claims_waiting = False
        self._bulk: asyncio.Task[None] | None = None
        self._bulk_woken = False
        self.draining = False
        """True if an operator wants this process to claim nothing by itself. It still handles messages."""
        pool.on_stall = self._replace_stalled_senders

    def warm(self) -> None:
        """Begin to connect to the mail server, before there is a mail for it."""
        self._pool.warm()

    @property
    def stopping(self) -> bool:
        """True once the stop was asked for: nothing is claimed any more."""
        return self._recorder.stopping

    async def release_deferred(self) -> None:
        """Make due every mail that waits for the mail server; the pool calls this when the server is back."""
        await self._deferral.release()

    @property
    def in_hand(self) -> int:
        """How many mails this process has claimed and not ended."""
        return len(self._recorder.running) + len(self._bulk_queue)

    # -- a single mail

    async def deliver(self, mail_id: UUID) -> Snapshot | None:
        """Send the mail; return its state after that.

        Returns None if there was nothing to do: another process has the mail, it is not due, it has ended, or
        this worker is stopping. Raises `Unavailable` while PostgreSQL is away; the sweep publishes the mail again.
        """
        if self.stopping:
            return None
        if self._pool.outage:
            return await self._deferral.defer(mail_id)
        claim = await self._claims.run(mail_id)
        if isinstance(claim, PoisonCandidate):
            return await self._deliver_candidate(mail_id)
        return await self._runner.run(claim) if claim else None

    async def _deliver_candidate(self, mail_id: UUID) -> Snapshot | None:
        async with self._one_candidate:
            for claim in await self._envelopes.load(await self._ledger.claim([mail_id], poison_candidates=True)):
                return await self._runner.run(claim)
        return None

    async def _claim_all(self, ids: Sequence[UUID]) -> list[Claim | PoisonCandidate | None]:
        claimed = await self._envelopes.load(await self._ledger.claim(ids))
        claims: dict[UUID, Claim | PoisonCandidate] = {claim.id: claim for claim in claimed}
        if unclaimed := [mail_id for mail_id in ids if mail_id not in claims]:
            claims |= {mail_id: PoisonCandidate() for mail_id in await self._ledger.poison_candidates(unclaimed)}
            await self._deferral.defer_paused([mail_id for mail_id in unclaimed if mail_id not in claims])
        return [claims.pop(mail_id, None) for mail_id in ids]  # pop: an id that came twice is claimed once

    # -- mails in bulk

    async def deliver_many(self, mail_ids: Sequence[UUID]) -> None:
        """Send these mails: claimed in one statement, and as many at a time as there are connections.

        Returns when each of them has ended its attempt or is left to the sweep.
        """
        async with self._next_message:  # mails that wait here are not claimed: another worker may have them
            await self._bulk_queue.room()
            if self._pool.outage or self.stopping:
                ours, alone = [], list(mail_ids)
            else:
                try:
                    claims = await self._claim_all(mail_ids)
                except Unavailable as error:
                    logger.warning("%d mails wait for the sweep: %s", len(mail_ids), error)
                    return
                ours = [claim for claim in claims if isinstance(claim, Claim)]
                asked = zip(mail_ids, claims, strict=True)
                alone = [mail_id for mail_id, claim in asked if isinstance(claim, PoisonCandidate)]
            message = self._queue_in_bulk(ours)
        await message.done
        ended = await asyncio.gather(*map(self.deliver, alone), return_exceptions=True)
        for raised in {type(one): one for one in ended if isinstance(one, BaseException)}.values():
            logger.warning("some of %d mails wait for the sweep: %s", len(alone), raised)
        await self._deliver_waiting()

    async def _deliver_waiting(self) -> None:
        """While this process is idle, claim and send mails that wait: another process may hold their messages."""
        if self._claims_waiting or self._bulk_queue:
            return
        self._claims_waiting = True
        try:
            await self._deliver_claims(self._ledger.claim_waiting)
        finally:
            self._claims_waiting = False

    async def _deliver_claims(self, claim: Callable[[int], Awaitable[list[Claim]]]) -> None:
        """Claim mails, as many at a time as there is room for, until none is left; return once all have ended."""
        messages = []
        try:
            while not (self._pool.outage or self.stopping or self.draining):
                claims = await self._envelopes.load(await claim(CLAIM_WAITING))
                if not claims:
                    break
                messages.append(self._queue_in_bulk(claims))
                await self._bulk_queue.room()
        except Unavailable as error:
            logger.warning("mails that wait are left to the sweep: %s", error)
        await asyncio.gather(*(message.done for message in messages))

    # -- the bulk stream

    async def begin_bulk(self) -> None:
        """Begin to claim and send mails of the bulk stream, unless that has begun already; return at once."""
        self._bulk_woken = True
        if self._bulk is None or self._bulk.done():
            self._bulk = asyncio.create_task(self._deliver_bulk(), name="bulk stream")

    async def _deliver_bulk(self) -> None:
        while self._bulk_woken and not self.stopping:
            self._bulk_woken = False
            await self._deliver_claims(self._ledger.claim_bulk)

    def _queue_in_bulk(self, claims: Sequence[Claim]) -> BulkMessage:
        for claim in claims:
            self._recorder.hold(claim)
        while claims and len(self._bulk_senders) < self._pool.limit:
            self._start_bulk_sender()
        return self._bulk_queue.put(claims)

    def _replace_stalled_senders(self) -> None:
        """Start senders in place of those that wait long for a reply, while mails wait."""
        while self._bulk_queue and len(self._bulk_senders) < self._pool.limit + self._pool.stalled:
            self._start_bulk_sender()

    def _start_bulk_sender(self) -> None:
        sender = BulkSender(self._bulk_queue, self._recorder, pool=self._pool, envelopes=self._envelopes)
        self._bulk_senders.append(asyncio.create_task(sender.run(), name="bulk sender"))

    # -- the end

    async def stop(self) -> None:
        """Claim no more; in time give back what is not being handed over; then leave the rest uncertain."""
        self._recorder.stopping = True
        self._start_bulk_sender()  # gives back at once what waits in the queue, even if all others are busy
        began, times = time.monotonic(), self._stop_times
        # The last round is for endings that cannot be recorded: PostgreSQL is away, and the leases run out.
        rounds = (
            (times.give_back, {Stage.CLAIMED}),
            (times.give_up, set(Stage)),
            (times.recorded, set[Stage]()),
        )
        for deadline, stages in rounds:
            while self._busy and time.monotonic() < began + deadline:  # noqa: ASYNC110  # no event when all have ended
                await asyncio.sleep(0.05)
            self._recorder.interrupt(stages)
        self._recorder.forget()

    @property
    def _busy(self) -> bool:
        return bool(self._recorder.running or self._bulk_queue)

    async def close(self) -> None:
        """End at once: senders, renewals and idle connections."""
        running = {*self._bulk_senders, *([self._bulk] if self._bulk else [])}
        while running:
            for sender in running:
                sender.cancel()  # a cancellation that ends an attempt does not end its sender
            _, running = await asyncio.wait(running, timeout=1)
        self._claims.close()
        self._deferral.close()
        self._recorder.close()
        await self._pool.close()

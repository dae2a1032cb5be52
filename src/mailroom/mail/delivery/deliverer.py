"""Which mails a worker process carries: those it can claim, one by one or in crowds; and how it ends."""

import asyncio
import logging
import time
from collections.abc import Sequence
from uuid import UUID

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.errors import Unavailable
from mailroom.mail.delivery.attempt import ProgressSink
from mailroom.mail.delivery.attempt_runner import AttemptRunner
from mailroom.mail.delivery.bulk_queue import BulkQueue
from mailroom.mail.delivery.bulk_sender import BulkSender
from mailroom.mail.delivery.deferral import Deferral
from mailroom.mail.ledger.claims import Claim, Ledger
from mailroom.mail.rendering.renderer import Renderer
from mailroom.mail.smtp.pool import Pool
from mailroom.mail.states import Stage
from mailroom.progress.snapshot import Snapshot

logger = logging.getLogger(__name__)

GIVE_BACK_AFTER = 20.0
"""Seconds after the stop was asked for until mails not yet handing over are given back."""
GIVE_UP_AFTER = 25.0
"""Seconds until those handing over are left as uncertain; hosts kill at about 30."""
HELP = 100
"""Mails taken at a time from what waits for others: enough to be cheap, few enough to end together."""


class PoisonCandidate:
    """A mail that may be what ended its workers: claimed only once no other of its like is under way here.

    Whatever is under way when a worker ends counts as a crash; so its company would end as failed along with it.
    """


class Deliverer:
    """Delivers mails for one worker process. `show` is told where they are."""

    def __init__(self, *, ledger: Ledger, pool: Pool, renderer: Renderer, show: ProgressSink) -> None:
        self._ledger = ledger
        self._pool = pool
        self._renderer = renderer
        self._carrier = AttemptRunner(ledger=ledger, pool=pool, renderer=renderer, show=show)
        self._deferring = Deferral(ledger, pool, show)
        self.on_recovery = self._deferring.release
        self._claim: Coalescer[UUID, Claim | PoisonCandidate | None] = Coalescer(self._claim_all)
        self._one_suspect = asyncio.Lock()
        self._crowd: BulkQueue[Claim] = BulkQueue(self._ride, runners=pool.limit)
        self._next_message = asyncio.Lock()
        self._helping = False

    def warm(self) -> None:
        """Begin to connect to the mail server, before there is a mail for it."""
        self._pool.warm()

    @property
    def stopping(self) -> bool:
        """True once the stop was asked for: nothing is claimed any more."""
        return self._carrier.stopping

    async def deliver(self, mail_id: UUID) -> Snapshot | None:
        """Carry the mail as far as it goes now; return where it is then.

        None where there was nothing to do: another process has it, it is not due, it has ended, or this
        worker is stopping. Raises `Unavailable` while PostgreSQL is away; the sweep asks again.
        """
        if self.stopping:
            return None
        if self._pool.outage:
            return await self._deferring(mail_id)
        claim = await self._claim(mail_id)
        if isinstance(claim, PoisonCandidate):
            return await self._deliver_alone(mail_id)
        return await self._carrier.carry(claim) if claim else None

    async def _deliver_alone(self, mail_id: UUID) -> Snapshot | None:
        async with self._one_suspect:
            for claim in await self._ledger.claim([mail_id], poison_candidates=True):
                return await self._carrier.carry(claim)
        return None

    async def deliver_many(self, mail_ids: Sequence[UUID]) -> None:
        """Carry these mails: claimed in one statement, and as many at a time as there are connections."""
        async with self._next_message:  # what waits is not claimed: another worker may have it
            await self._crowd.room()
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
            carried = self._carry_all(ours)
        await carried
        done = await asyncio.gather(*map(self.deliver, alone), return_exceptions=True)
        for raised in {type(result): result for result in done if isinstance(result, BaseException)}.values():
            logger.warning("some of %d mails wait for the sweep: %s", len(alone), raised)
        await self._help()

    async def _help(self) -> None:
        """Take what still waits, once nothing else is left to do here: another process may hold many messages."""
        if self._helping or self._crowd.waits:
            return
        self._helping, carried = True, []
        try:
            while not (self._pool.outage or self.stopping):
                claims = await self._ledger.claim_waiting(HELP)
                if not claims:
                    break
                carried.append(self._carry_all(claims))
                await self._crowd.room()
        except Unavailable as error:
            logger.warning("what waits is left to the sweep: %s", error)
        finally:
            self._helping = False
        await asyncio.gather(*carried)

    def _carry_all(self, claims: Sequence[Claim]) -> "asyncio.Future[None]":
        for claim in claims:
            self._carrier.hold(claim)
        return asyncio.ensure_future(self._crowd(claims))

    async def _ride(self, crowd: BulkQueue[Claim]) -> None:
        carrier = self._carrier
        await BulkSender(
            crowd, carrier.carry_in_crowd, pool=self._pool, renderer=self._renderer, tell=carrier.tell
        ).run()

    async def _claim_all(self, ids: Sequence[UUID]) -> list[Claim | PoisonCandidate | None]:
        claims: dict[UUID, Claim | PoisonCandidate] = {claim.id: claim for claim in await self._ledger.claim(ids)}
        if unclaimed := [mail_id for mail_id in ids if mail_id not in claims]:
            claims |= {mail_id: PoisonCandidate() for mail_id in await self._ledger.poison_candidates(unclaimed)}
        return [claims.pop(mail_id, None) for mail_id in ids]  # pop: asked twice, claimed once

    async def stop(self) -> None:
        """Claim no more; after 20 s give back what is not handing over; leave the rest uncertain."""
        self._carrier.stopping = True
        self._crowd.run()  # gives back at once what waits in there
        began = time.monotonic()
        # The last round is for endings that cannot be recorded: PostgreSQL is away, and the lease will tell.
        rounds = (
            (GIVE_BACK_AFTER, {Stage.CLAIMED}),
            (GIVE_UP_AFTER, set(Stage)),
            (GIVE_UP_AFTER + 2, set[Stage]()),
        )
        for deadline, stages in rounds:
            while self._carrier.journeys and time.monotonic() - began < deadline:
                await asyncio.sleep(0.05)
                if self._crowd.waits:  # claimed, or put back, meanwhile
                    self._crowd.run()
            self._carrier.interrupt(stages)
        self._carrier.forget()

    async def close(self) -> None:
        """End at once: renewals and resting connections."""
        self._claim.close()
        self._deferring.close()
        self._carrier.close()
        await self._pool.close()

"""One mail's way through a worker: claim, render, connect, hand over, record; and nothing of it twice unseen."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from mailroom.kit.batching import Batch
from mailroom.kit.errors import Unavailable
from mailroom.mail.decide import Answer, Decision, decide, wait
from mailroom.mail.leases import Leases
from mailroom.mail.ledger import Claim, Ended, Ending, HandingOver, Ledger
from mailroom.mail.pool import CircuitOpen, Pool
from mailroom.mail.rendering import BrokenMail, Renderer
from mailroom.mail.smtp import Undelivered
from mailroom.mail.snapshots import SERVER_TROUBLE, snapshot
from mailroom.mail.states import Reason, Stage, State
from mailroom.progress.events import Snapshot
from mailroom.progress.snapshots import iso

logger = logging.getLogger(__name__)

GIVE_BACK_AFTER = 20.0
"""Seconds after the stop was asked for until mails not yet handing over are given back."""
GIVE_UP_AFTER = 25.0
"""Seconds until those handing over are left as uncertain; hosts kill at about 30."""


@dataclass(slots=True)
class Journey:
    """A mail this process is carrying: its claim, and how far it came."""

    claim: Claim
    task: asyncio.Task[object] | None
    stage: Stage = Stage.CLAIMED
    server: str = ""
    connected_at: datetime | None = None
    handing_over_at: datetime | None = None
    began: float = field(default_factory=time.monotonic)
    moments: list[Mapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.note(State.QUEUED, self.claim.created_at, 0)

    @property
    def now(self) -> datetime:
        """The time by PostgreSQL's clock, as far as the claim tells."""
        return self.claim.claimed_at + timedelta(seconds=time.monotonic() - self.began)

    def note(self, stage: str, at: datetime | None, attempt: int) -> None:
        """Note what happened when; each moment is put into words once, however often it is shown."""
        self.moments.append({"stage": str(stage), "at": iso(at), "attempt": attempt})


class Suspect:
    """A mail that may be what ended its workers: claimed only once no other of its like is under way here.

    Whatever is under way when a worker ends counts as a crash; so its company would end as failed along with it.
    """


class Delivery:
    """Carries mails for one worker process. `show` is told every stage; it must not block."""

    def __init__(
        self, *, ledger: Ledger, pool: Pool, renderer: Renderer, show: Callable[[Snapshot], None]
    ) -> None:
        self._ledger = ledger
        self._pool = pool
        self._renderer = renderer
        self._show = show
        self._leases = Leases(ledger.renew)
        self._journeys: dict[tuple[UUID, int], Journey] = {}
        self.stopping = False
        self._server = str(pool.server)
        self._claim: Batch[UUID, Claim | Suspect | None] = Batch(self._claim_all)
        self._one_suspect = asyncio.Lock()
        self._hand_over: Batch[HandingOver, datetime | None] = Batch(ledger.hand_over)
        self._record: Batch[Ending, Ended | None] = Batch(ledger.record)
        self._defer: Batch[UUID, Ended | None] = Batch(self._defer_all)

    def warm(self) -> None:
        """Begin to connect to the mail server, before there is a mail for it."""
        self._pool.warm()

    async def deliver(self, mail_id: UUID) -> Snapshot | None:
        """Carry the mail as far as it goes now; return where it is then.

        None where there was nothing to do: another process has it, it is not due, it has ended, or this
        worker is stopping. Raises `Unavailable` while PostgreSQL is away; the sweep asks again.
        """
        if self.stopping:
            return None
        if self._pool.outage:
            return await self._let_wait(mail_id)
        claim = await self._claim(mail_id)
        if isinstance(claim, Suspect):
            return await self._carry_alone(mail_id)
        if claim is None:
            return None
        self._leases.hold(claim.id, claim.attempt)
        return await self._carry(claim)

    async def _carry_alone(self, mail_id: UUID) -> Snapshot | None:
        async with self._one_suspect:
            for claim in await self._ledger.claim([mail_id], suspects=True):
                self._leases.hold(claim.id, claim.attempt)
                return await self._carry(claim)
        return None

    async def deliver_many(self, mail_ids: Sequence[UUID]) -> None:
        """Carry these mails: claimed in one statement, and as many at a time as the pool keeps busy."""
        if self._pool.outage or self.stopping:
            await self._one_by_one(mail_ids)
            return
        try:
            claims = await self._claim_all(mail_ids)
        except Unavailable as error:
            logger.warning("%d mails wait for the sweep: %s", len(mail_ids), error)
            return
        ours = [claim for claim in claims if isinstance(claim, Claim)]
        for claim in ours:
            self._leases.hold(claim.id, claim.attempt)
        # Twice as many as there are connections: while one's ending is recorded another one is sent.
        waiting = iter(ours)
        await asyncio.gather(*(self._carry_all(waiting) for _ in range(min(len(ours), 2 * self._pool.limit))))
        await self._one_by_one(
            [mail_id for mail_id, claim in zip(mail_ids, claims, strict=True) if isinstance(claim, Suspect)]
        )

    async def _carry_all(self, waiting: Iterator[Claim]) -> None:
        for claim in waiting:
            try:
                await self._carry(claim)
            except Exception:
                logger.exception("mail %s stopped on its way; its lease brings it back", claim.id)

    async def _one_by_one(self, mail_ids: Sequence[UUID]) -> None:
        done = await asyncio.gather(*map(self.deliver, mail_ids), return_exceptions=True)
        for error in {type(result): result for result in done if isinstance(result, BaseException)}.values():
            logger.warning("some of %d mails wait for the sweep: %s", len(mail_ids), error)

    async def _carry(self, claim: Claim) -> Snapshot | None:
        """Carry a mail that is ours, and its lease held, as far as it goes now."""
        journey = Journey(claim, asyncio.current_task(), server=self._server)
        self._journeys[claim.id, claim.attempt] = journey
        try:
            if self.stopping:  # asked to stop while the claim was under way: straight back
                return await self._end(journey, Answer(Reason.WORKER_LOST), None)
            return await self._go(journey)
        finally:
            self._leases.drop(claim.id, claim.attempt)
            self._journeys.pop((claim.id, claim.attempt), None)

    # -- the stages

    async def _go(self, journey: Journey) -> Snapshot | None:
        since: datetime | None = None
        self._tell(journey, Stage.CLAIMED, journey.claim.claimed_at, step=1)
        try:
            answer = await self._send(journey)
        except BrokenMail as error:
            answer = Answer(Reason.BROKEN, text=str(error))
        except CircuitOpen as circuit:
            answer, since = circuit.outage.answer, circuit.outage.since
        except Undelivered as undelivered:
            answer = undelivered.answer
            if not undelivered.handed_over:
                journey.stage = Stage.CLAIMED  # nothing of it reached the server: safe to repeat
        except asyncio.CancelledError:
            if not self.stopping:
                raise
            answer = Answer(Reason.NO_ANSWER if journey.stage is Stage.HANDING_OVER else Reason.WORKER_LOST)
        return await self._end(journey, answer, since)

    async def _send(self, journey: Journey) -> Answer:
        envelope = self._renderer.render(journey.claim.row)
        async with self._pool.connection() as connection:
            journey.connected_at = journey.now
            self._tell(journey, Stage.CONNECTED, journey.connected_at, step=2)
            return await connection.deliver(envelope, lambda: self._may_hand_over(journey))

    async def _may_hand_over(self, journey: Journey) -> bool:
        """Commit the line between safe and uncertain; False where the mail is no longer ours."""
        assert journey.connected_at is not None
        journey.stage = Stage.HANDING_OVER
        wish = HandingOver(journey.claim.id, journey.claim.attempt, journey.connected_at, journey.server)
        try:
            journey.handing_over_at = await self._hand_over(wish)
        except Unavailable:
            return False
        if journey.handing_over_at is None:
            return False
        self._tell(journey, Stage.HANDING_OVER, journey.handing_over_at, step=3)
        return True

    async def _end(self, journey: Journey, answer: Answer, since: datetime | None) -> Snapshot | None:
        claim = journey.claim
        decision = decide(
            journey.stage,
            answer,
            age=journey.now - claim.created_at,
            expires_in=claim.expires_at - journey.now,
            crashes=claim.crashes,
        )
        ending = Ending(
            claim.id, claim.attempt, decision, answer, journey.connected_at, journey.server, since or journey.now
        )
        ended = await self._recorded(ending)
        if ended is None or (
            ended.state != State.SENT and (ended.attempt, ended.state) != (claim.attempt, decision.state)
        ):
            return None  # another attempt has the word
        if decision.state is not State.SENT and ended.state == State.SENT:  # another one's acceptance came late
            decision, answer = Decision(State.SENT), Answer()
        shown = self._shown(journey, ended, decision, answer)
        self._show(shown)
        return shown

    async def _recorded(self, ending: Ending) -> Ended | None:
        """Record an ending, waiting for PostgreSQL as long as this process lives: it must not be forgotten."""
        pause = 0.1
        while True:
            try:
                return await self._record(ending)
            except Unavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    # -- what watchers see

    def _tell(self, journey: Journey, stage: Stage, at: datetime | None, step: int) -> None:
        attempt = journey.claim.attempt
        journey.note(stage, at, attempt)
        told = Snapshot(
            str(journey.claim.id),
            str(State.SENDING),
            str(stage),
            attempt=attempt,
            step=step,
            timeline=tuple(journey.moments),
        )
        self._show(told)

    def _shown(self, journey: Journey, ended: Ended, decision: Decision, answer: Answer) -> Snapshot:
        outcome = Stage.ACCEPTED if decision.state is State.SENT else decision.state
        return snapshot(
            ended.id,
            ended.state,
            stage=Stage.ACCEPTED if decision.state is State.SENT else None,
            attempt=ended.attempt,
            step=ended.step,
            reason=decision.reason,
            code=answer.code,
            enhanced=answer.enhanced,
            answer=answer.text,
            since=ended.reason_since,
            retry_at=ended.next_attempt_at,
            on_uncertain=journey.claim.on_uncertain,
            told=journey.moments,
            timeline=((outcome, ended.changed_at, ended.attempt),),
        )

    # -- a mail server that is away

    async def _let_wait(self, mail_id: UUID) -> Snapshot | None:
        outage = self._pool.outage
        ended = await self._defer(mail_id)
        if ended is None or outage is None:
            return None
        answer = outage.answer
        shown = snapshot(
            ended.id,
            ended.state,
            attempt=ended.attempt,
            step=ended.step,
            reason=answer.reason,
            code=answer.code,
            enhanced=answer.enhanced,
            answer=answer.text,
            since=ended.reason_since,
            retry_at=ended.next_attempt_at,
        )
        self._show(shown)
        return shown

    async def _defer_all(self, ids: Sequence[UUID]) -> list[Ended | None]:
        outage = self._pool.outage
        if outage is None:  # back in this very moment: the sweep comes for these
            return [None] * len(ids)
        pause = wait(outage.answer.reason or Reason.UNREACHABLE, timedelta(minutes=1))
        ended = {end.id: end for end in await self._ledger.defer(ids, outage.answer, outage.since, pause)}
        return [ended.get(mail_id) for mail_id in ids]

    async def on_recovery(self) -> None:
        """The mail server is back: let all that waited for it go."""
        try:
            await self._ledger.release(sorted(SERVER_TROUBLE))
        except Unavailable:
            logger.warning("mails that waited for the mail server go at their own time: no database")

    async def _claim_all(self, ids: Sequence[UUID]) -> list[Claim | Suspect | None]:
        claims: dict[UUID, Claim | Suspect] = {claim.id: claim for claim in await self._ledger.claim(ids)}
        if unclaimed := [mail_id for mail_id in ids if mail_id not in claims]:
            claims |= {mail_id: Suspect() for mail_id in await self._ledger.suspects(unclaimed)}
        return [claims.pop(mail_id, None) for mail_id in ids]  # pop: asked twice, claimed once

    # -- the end

    async def stop(self) -> None:
        """Claim no more; after 20 s give back what is not handing over; leave the rest uncertain."""
        self.stopping = True
        began = time.monotonic()
        # The last round is for endings that cannot be recorded: PostgreSQL is away, and the lease will tell.
        rounds = ((GIVE_BACK_AFTER, {Stage.CLAIMED}), (GIVE_UP_AFTER, set(Stage)), (GIVE_UP_AFTER + 2, set(Stage)))
        for deadline, stages in rounds:
            while self._journeys and time.monotonic() - began < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            for journey in list(self._journeys.values()):
                if journey.stage in stages and journey.task:
                    journey.task.cancel()

    async def close(self) -> None:
        """End at once: renewals and resting connections."""
        self._leases.close()
        await self._pool.close()

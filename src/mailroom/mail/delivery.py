"""One mail's way through a worker: claim, render, connect, hand over, record; and nothing of it twice unseen."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from mailroom.kit.batching import Batch
from mailroom.kit.errors import Unavailable
from mailroom.mail.crowd import Crowd, Waiting
from mailroom.mail.decide import SENT, Answer, decide, wait
from mailroom.mail.journey import Journey, Show
from mailroom.mail.leases import Leases
from mailroom.mail.ledger import Claim, Ended, Ending, HandingOver, Ledger
from mailroom.mail.notes import Notes
from mailroom.mail.pool import CircuitOpen, Pool
from mailroom.mail.rendering import BrokenMail, Renderer
from mailroom.mail.ride import Ride, Send
from mailroom.mail.smtp import NotItsTurn, Undelivered
from mailroom.mail.snapshots import SERVER_TROUBLE, snapshot
from mailroom.mail.states import Reason, Stage, State
from mailroom.progress.events import Snapshot

logger = logging.getLogger(__name__)

GIVE_BACK_AFTER = 20.0
"""Seconds after the stop was asked for until mails not yet handing over are given back."""
GIVE_UP_AFTER = 25.0
"""Seconds until those handing over are left as uncertain; hosts kill at about 30."""
HELP = 100
"""Mails taken at a time from what waits for others: enough to be cheap, few enough to end together."""
MOST_UNRECORDED = 64
"""Endings not yet recorded before a crowd waits for them: a worker's death leaves as many uncertain, and those on
its connections."""


class Suspect:
    """A mail that may be what ended its workers: claimed only once no other of its like is under way here.

    Whatever is under way when a worker ends counts as a crash; so its company would end as failed along with it.
    """


class Delivery:
    """Carries mails for one worker process. `show` is told where they are."""

    def __init__(self, *, ledger: Ledger, pool: Pool, renderer: Renderer, show: Show) -> None:
        self._ledger = ledger
        self._pool = pool
        self._renderer = renderer
        self._show = show
        self._leases = Leases(ledger.renew)
        self._journeys: set[Journey] = set()
        self.stopping = False
        self._server = str(pool.server)
        self._claim: Batch[UUID, Claim | Suspect | None] = Batch(self._claim_all)
        self._one_suspect = asyncio.Lock()
        self._notes = Notes(ledger)
        self._unrecorded = 0
        self._defer: Batch[UUID, Ended | None] = Batch(self._defer_all)
        self._crowd: Crowd[Claim] = Crowd(self._ride, runners=pool.limit)
        self._next_message = asyncio.Lock()
        self._helping = False

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
        return await self._carry(claim)

    async def _carry_alone(self, mail_id: UUID) -> Snapshot | None:
        async with self._one_suspect:
            for claim in await self._ledger.claim([mail_id], suspects=True):
                return await self._carry(claim)
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
                alone = [mail_id for mail_id, claim in asked if isinstance(claim, Suspect)]
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
            self._leases.hold(claim.id, claim.attempt)
        return asyncio.ensure_future(self._crowd(claims))

    async def _carry(self, claim: Claim) -> Snapshot | None:
        """Carry a mail that is ours as far as it goes now."""
        journey = self._begin(claim)
        try:
            ending = await self._go(journey, self._send_alone)
            journey.recording = self._notes.record(ending)
            return self._ended(journey, ending, await journey.recording)
        finally:
            self._drop(journey)

    async def _ride(self, crowd: Crowd[Claim]) -> None:
        await Ride(crowd, self._carry_in_crowd, pool=self._pool, renderer=self._renderer, tell=self._tell).run()

    async def _carry_in_crowd(self, waiting: Waiting[Claim], send: Send) -> None:
        """Carry a mail that is ours until nothing is left but to record its ending: the next one need not wait."""
        claim, end = waiting
        journey = self._begin(claim)
        try:
            ending = await self._go(journey, send)
        except BaseException as error:
            self._drop(journey)
            end()
            if not isinstance(error, Exception):
                raise
            logger.exception("mail %s stopped on its way; its lease brings it back", claim.id)
            return
        self._unrecorded += 1
        journey.recording = recording = self._notes.record(ending)
        recording.add_done_callback(partial(self._recorded_in_crowd, journey, ending, end))
        if self._unrecorded >= MOST_UNRECORDED:
            await asyncio.wait([recording])

    def _recorded_in_crowd(
        self, journey: Journey, ending: Ending, end: Callable[[], None], recording: "asyncio.Future[Ended | None]"
    ) -> None:
        self._unrecorded -= 1
        self._drop(journey)
        end()
        if recording.cancelled():
            return
        if error := recording.exception():
            logger.error("mail %s: its end is not recorded; its lease will tell", ending.id, exc_info=error)
            return
        self._ended(journey, ending, recording.result())

    def _begin(self, claim: Claim) -> Journey:
        self._leases.hold(claim.id, claim.attempt)
        journey = Journey(claim, self._server, asyncio.current_task())
        self._journeys.add(journey)
        return journey

    def _drop(self, journey: Journey) -> None:
        self._leases.drop(journey.claim.id, journey.claim.attempt)
        self._journeys.discard(journey)

    # -- the stages

    async def _go(self, journey: Journey, send: Send) -> Ending:
        """Carry a mail as far as it goes now; return how its attempt ended."""
        since: datetime | None = None
        try:
            if self.stopping:  # asked to stop while the claim was under way: straight back
                answer = Answer(Reason.WORKER_LOST)
            else:
                self._tell(journey)
                answer = await send(journey, partial(self._may_hand_over, journey))
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
        claim, now = journey.claim, journey.now
        decision = decide(
            journey.stage,
            answer,
            age=now - claim.created_at,
            expires_in=claim.expires_at - now,
            crashes=claim.crashes,
            uncertain=claim.uncertain,
            on_uncertain=claim.on_uncertain,
        )
        if decision.state is State.SENT:  # the rest is recorded since the handing over
            return Ending(claim.id, claim.attempt, decision, answer)
        return Ending(
            claim.id, claim.attempt, decision, answer, journey.connected_at, journey.server, since or now
        )

    async def _send_alone(self, journey: Journey, may_hand_over: Callable[[], Awaitable[bool]]) -> Answer:
        envelope = self._renderer.render(journey.claim.row)
        while True:
            connection = await self._pool.borrow()
            try:
                journey.connected_at = journey.now
                self._tell(journey)
                return await connection.deliver(envelope, may_hand_over)
            except NotItsTurn:
                continue
            finally:
                self._pool.give_back(connection)

    async def _may_hand_over(self, journey: Journey) -> bool:
        """Commit the line between safe and uncertain; False where the mail is no longer ours."""
        assert journey.connected_at is not None
        wish = HandingOver(journey.claim.id, journey.claim.attempt, journey.connected_at, journey.server)
        journey.handing_over_at = await self._notes.hand_over(wish)
        if journey.handing_over_at is None:
            return False
        journey.stage = Stage.HANDING_OVER
        self._tell(journey)
        return True

    # -- what watchers see

    def _tell(self, journey: Journey) -> None:
        if not journey.unread:
            journey.unread = True
            self._show(journey.name, State.SENDING, final=False, read=journey.read)

    def _ended(self, journey: Journey, ending: Ending, ended: Ended | None) -> Snapshot | None:
        """Show and return where a mail is after its ending was recorded; None: another attempt has the word."""
        decision, answer = ending.decision, ending.answer
        if ended is None or (
            ended.state != State.SENT and (ended.attempt, ended.state) != (ending.attempt, decision.state)
        ):
            return None
        if decision.state is not State.SENT and ended.state == State.SENT:  # another one's acceptance came late
            decision, answer = SENT, Answer()
        return self._shown(journey.ended(ended, decision, answer))

    def _shown(self, shown: Snapshot) -> Snapshot:
        self._show(shown.task, shown.state, final=shown.final, read=lambda: shown)
        return shown

    # -- a mail server that is away

    async def _let_wait(self, mail_id: UUID) -> Snapshot | None:
        outage = self._pool.outage
        ended = await self._defer(mail_id)
        if ended is None or outage is None:
            return None
        answer = outage.answer
        return self._shown(
            snapshot(
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
        )

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
        self._crowd.run()  # gives back at once what waits in there
        began = time.monotonic()
        # The last round is for endings that cannot be recorded: PostgreSQL is away, and the lease will tell.
        rounds = (
            (GIVE_BACK_AFTER, {Stage.CLAIMED}),
            (GIVE_UP_AFTER, set(Stage)),
            (GIVE_UP_AFTER + 2, set[Stage]()),
        )
        for deadline, stages in rounds:
            while self._journeys and time.monotonic() - began < deadline:
                await asyncio.sleep(0.05)
                if self._crowd.waits:  # claimed, or put back, meanwhile
                    self._crowd.run()
            for journey in list(self._journeys):
                if journey.recording is None and journey.stage in stages and journey.task:
                    journey.task.cancel()
        for journey in list(self._journeys):
            if journey.recording:
                journey.recording.cancel()

    async def close(self) -> None:
        """End at once: renewals and resting connections."""
        for batch in (self._claim, self._notes, self._defer):
            batch.close()
        self._leases.close()
        await self._pool.close()

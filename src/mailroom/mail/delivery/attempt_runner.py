"""One mail's way once it is ours: render, connect, hand over, record."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from mailroom.kit.lease_renewal import LeaseRenewal
from mailroom.mail.delivery.attempt import ProgressSink, RunningAttempt, announce
from mailroom.mail.delivery.attempt_recorder import AttemptRecorder
from mailroom.mail.delivery.bulk_queue import Waiting
from mailroom.mail.delivery.bulk_sender import Send
from mailroom.mail.ledger.claims import AttemptEnding, Claim, HandingOver, Ledger, RecordedState
from mailroom.mail.rendering.renderer import BrokenMail, Renderer
from mailroom.mail.retry_policy import SENT, DeliveryResult, decide
from mailroom.mail.smtp.connection import NotStarted, Undelivered
from mailroom.mail.smtp.pool import CircuitOpen, Pool
from mailroom.mail.states import Reason, Stage, State
from mailroom.progress.snapshot import Snapshot

logger = logging.getLogger(__name__)

MOST_UNRECORDED = 64
"""Endings not yet recorded before a crowd waits for them: a worker's death leaves as many uncertain, and those on
its connections."""


class AttemptRunner:
    """Carries claimed mails as far as they go, and holds their leases meanwhile. `show` is told where they are."""

    def __init__(self, *, ledger: Ledger, pool: Pool, renderer: Renderer, show: ProgressSink) -> None:
        self._pool = pool
        self._renderer = renderer
        self._show = show
        self._notes = AttemptRecorder(ledger)
        self._leases = LeaseRenewal(ledger.renew, rows="mails")
        self._server = str(pool.server)
        self.journeys: set[RunningAttempt] = set()
        """The mails under way here."""
        self._unrecorded = 0
        self.stopping = False
        """True once nothing more is to be sent: what is still claimed goes straight back."""

    def hold(self, claim: Claim) -> None:
        """Keep a mail leased that is carried later."""
        self._leases.hold((claim.id, claim.attempt))

    async def carry(self, claim: Claim) -> Snapshot | None:
        """Carry a mail as far as it goes now; return where it is then, None where another attempt has the word."""
        journey = self._begin(claim)
        try:
            ending = await self._go(journey, self._send_alone)
            journey.recording = self._notes.record(ending)
            return self._ended(journey, ending, await journey.recording)
        finally:
            self._drop(journey)

    async def carry_in_crowd(self, waiting: Waiting[Claim], send: Send) -> None:
        """Carry a mail until nothing is left but to record its ending: the next one need not wait."""
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
        self,
        journey: RunningAttempt,
        ending: AttemptEnding,
        end: Callable[[], None],
        recording: "asyncio.Future[RecordedState | None]",
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

    def _begin(self, claim: Claim) -> RunningAttempt:
        self._leases.hold((claim.id, claim.attempt))
        journey = RunningAttempt(claim, self._server, asyncio.current_task())
        self.journeys.add(journey)
        return journey

    def _drop(self, journey: RunningAttempt) -> None:
        self._leases.drop((journey.claim.id, journey.claim.attempt))
        self.journeys.discard(journey)

    # -- the stages

    async def _go(self, journey: RunningAttempt, send: Send) -> AttemptEnding:
        """Carry a mail as far as it goes now; return how its attempt ended."""
        since: datetime | None = None
        try:
            if self.stopping:  # asked to stop while the claim was under way: straight back
                result = DeliveryResult(Reason.WORKER_LOST)
            else:
                self.tell(journey)
                result = await send(journey, partial(self._may_hand_over, journey))
        except BrokenMail as error:
            result = DeliveryResult(Reason.BROKEN, text=str(error))
        except CircuitOpen as circuit:
            result, since = circuit.outage.result, circuit.outage.since
        except Undelivered as undelivered:
            result = undelivered.result
            if not undelivered.handed_over:
                journey.stage = Stage.CLAIMED  # nothing of it reached the server: safe to repeat
        except asyncio.CancelledError:
            if not self.stopping:
                raise
            result = DeliveryResult(
                Reason.NO_ANSWER if journey.stage is Stage.HANDING_OVER else Reason.WORKER_LOST
            )
        claim, now = journey.claim, journey.now
        decision = decide(
            journey.stage,
            result,
            age=now - claim.created_at,
            expires_in=claim.expires_at - now,
            crashes=claim.crashes,
            uncertain=claim.uncertain,
            on_uncertain=claim.on_uncertain,
        )
        if decision.state is State.SENT:  # the rest is recorded since the handing over
            return AttemptEnding(claim.id, claim.attempt, decision, result)
        return AttemptEnding(
            claim.id, claim.attempt, decision, result, journey.connected_at, journey.server, since or now
        )

    async def _send_alone(
        self, journey: RunningAttempt, may_hand_over: Callable[[], Awaitable[bool]]
    ) -> DeliveryResult:
        envelope = self._renderer.render(journey.claim.row)
        while True:
            connection = await self._pool.borrow()
            try:
                journey.connected_at = journey.now
                self.tell(journey)
                return await connection.deliver(envelope, may_hand_over)
            except NotStarted:
                continue
            finally:
                self._pool.give_back(connection)

    async def _may_hand_over(self, journey: RunningAttempt) -> bool:
        """Commit the line between safe and uncertain; False where the mail is no longer ours."""
        assert journey.connected_at is not None
        wish = HandingOver(journey.claim.id, journey.claim.attempt, journey.connected_at, journey.server)
        journey.handing_over_at = await self._notes.hand_over(wish)
        if journey.handing_over_at is None:
            return False
        journey.stage = Stage.HANDING_OVER
        self.tell(journey)
        return True

    # -- what watchers see

    def tell(self, journey: RunningAttempt) -> None:
        """Show how far a mail under way came, unless what was shown last has not been looked at yet."""
        if not journey.unread:
            journey.unread = True
            self._show(journey.claim.id, State.SENDING, final=False, read=journey.read)

    def _ended(
        self, journey: RunningAttempt, ending: AttemptEnding, ended: RecordedState | None
    ) -> Snapshot | None:
        """Show and return where a mail is after its ending was recorded; None: another attempt has the word."""
        decision, result = ending.decision, ending.result
        if ended is None or (
            ended.state != State.SENT and (ended.attempt, ended.state) != (ending.attempt, decision.state)
        ):
            return None
        if decision.state is not State.SENT and ended.state == State.SENT:  # another one's acceptance came late
            decision, result = SENT, DeliveryResult()
        return announce(self._show, journey.ended(ended, decision, result))

    # -- the end

    def interrupt(self, stages: set[Stage]) -> None:
        """End what is in one of these stages and not yet being recorded: as given back, or as uncertain."""
        for journey in list(self.journeys):
            if journey.recording is None and journey.stage in stages and journey.task:
                journey.task.cancel()

    def forget(self) -> None:
        """Give up recording: PostgreSQL is away, and the lease will tell."""
        for journey in list(self.journeys):
            if journey.recording:
                journey.recording.cancel()

    def close(self) -> None:
        """End at once: renewals, and what is not recorded yet."""
        self._notes.close()
        self._leases.close()

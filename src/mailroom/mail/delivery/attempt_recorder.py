"""The attempts under way in this process: their leases, what watchers see of them, and what is written of them.

`AttemptRunner` and `BulkSender` do the sending. For each attempt they call, in this order: `begin`, `connected`,
`may_hand_over`, `record`, `show_end`, `end`. Attempts share their statements: the handing over of some mails and
the endings of others are one transaction.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.errors import Unavailable
from mailroom.kit.lease_renewal import LeaseRenewal
from mailroom.mail.delivery.attempt import EndedAttempts, ProgressSink, RunningAttempt
from mailroom.mail.delivery.tally import Tally
from mailroom.mail.ending_log import log_ending
from mailroom.mail.kinds import UnknownKind
from mailroom.mail.ledger.claims import AttemptEnding, Claim, HandingOver, Ledger, RecordedState
from mailroom.mail.rendering.renderer import BrokenMail
from mailroom.mail.retry_policy import SENT, DeliveryResult, decide
from mailroom.mail.smtp.connection import Undelivered
from mailroom.mail.smtp.pool import CircuitOpen
from mailroom.mail.states import Reason, Stage, State
from mailroom.progress.snapshot import Snapshot

logger = logging.getLogger(__name__)

GATHER = 0.003
"""Seconds that a statement waits for further attempts, if the last one had several."""
ENDS_AN_ATTEMPT = (BrokenMail, UnknownKind, CircuitOpen, Undelivered, asyncio.CancelledError)
"""The errors that `AttemptRecorder.result_of` turns into a result."""

Write = HandingOver | AttemptEnding
Written = datetime | RecordedState | None


class AttemptRecorder:
    """Keeps the leases of a process' mails, shows their progress, and records their handing over and ending."""

    def __init__(
        self,
        ledger: Ledger,
        server: str,
        progress: ProgressSink,
        tally: Tally,
        spans: EndedAttempts | None = None,
    ) -> None:
        self._ledger = ledger
        self._server = server
        self._progress = progress
        self._tally = tally
        self._spans = spans
        self._leases = LeaseRenewal(ledger.renew, rows="mails")
        self._unknown: set[str] = set()
        self._writes: Coalescer[Write, Written] = Coalescer(self._write, gather=GATHER)
        self.running: set[RunningAttempt] = set()
        """The attempts that have begun and not ended."""
        self.stopping = False
        """True once nothing more is to be sent: claimed mails go straight back."""

    # -- the way of an attempt, in order

    def hold(self, claim: Claim) -> None:
        """Keep the lease of a mail whose attempt begins later."""
        self._leases.hold((claim.id, claim.attempt))

    def begin(self, claim: Claim) -> RunningAttempt:
        """Begin an attempt in the current task, and keep the mail's lease until `end`."""
        self.hold(claim)
        attempt = RunningAttempt(claim, self._server, asyncio.current_task())
        self.running.add(attempt)
        if not self.stopping:
            self._show(attempt)
        return attempt

    def connected(self, attempt: RunningAttempt) -> None:
        """Note that the attempt has a connection. It is written together with the handing over."""
        attempt.connected_at = attempt.now
        self._show(attempt)

    async def may_hand_over(self, attempt: RunningAttempt) -> bool:
        """Commit that the mail is about to be handed over: the line between safe and uncertain.

        Returns False if the mail is no longer ours, or PostgreSQL cannot say. Then nothing may be sent.
        """
        assert attempt.connected_at is not None
        claim = attempt.claim
        wish = HandingOver(claim.id, claim.attempt, attempt.connected_at, attempt.server)
        attempt.handing_over_at = cast("datetime | None", await self._writes.run(wish))
        if attempt.handing_over_at is None:
            return False
        attempt.stage = Stage.HANDING_OVER
        self._show(attempt)
        return True

    def result_of(self, attempt: RunningAttempt, error: BaseException) -> DeliveryResult:
        """Return the result of an attempt that ended with one of `ENDS_AN_ATTEMPT`.

        Raises `error` if it is a cancellation and this process is not stopping.
        """
        match error:
            case BrokenMail():
                return DeliveryResult(Reason.BROKEN, text=str(error))
            case UnknownKind():
                self._tell_unknown(str(error))
                return DeliveryResult(Reason.UNKNOWN_KIND)
            case CircuitOpen():
                attempt.outage_since = error.outage.since
                return error.outage.result
            case Undelivered():
                if not error.handed_over:
                    attempt.stage = Stage.CLAIMED  # nothing of it reached the server: safe to repeat
                return error.result
            case asyncio.CancelledError() if self.stopping:
                handed_over = attempt.stage is Stage.HANDING_OVER
                return DeliveryResult(Reason.NO_ANSWER if handed_over else Reason.WORKER_LOST)
        raise error

    def _tell_unknown(self, kind: str) -> None:
        """Log that this worker lacks a kind, once: thousands of its mails may wait."""
        if kind not in self._unknown:
            self._unknown.add(kind)
            logger.warning(
                "this worker knows no kind of mail %r: its mails wait for a worker that has their app",
                kind,
            )

    def record(self, attempt: RunningAttempt, result: DeliveryResult) -> "asyncio.Future[RecordedState | None]":
        """Decide what follows the attempt and begin to record it.

        Returns a future of the state that is recorded; None if the row belonged to another attempt. The future
        waits for PostgreSQL as long as this process runs: an ending must not be forgotten.
        """
        claim, now = attempt.claim, attempt.now
        decision = decide(
            attempt.stage,
            result,
            age=now - claim.created_at,
            expires_in=claim.expires_at - now,
            crashes=claim.crashes,
            uncertain=claim.uncertain,
            on_uncertain=claim.on_uncertain,
        )
        if decision.state is State.SENT:  # the handing over has written the rest to the row
            attempt.ending = AttemptEnding(claim.id, claim.attempt, decision, result)
        else:
            since = attempt.outage_since or now
            attempt.ending = AttemptEnding(
                claim.id, claim.attempt, decision, result, attempt.connected_at, attempt.server, since
            )
        recording = cast("asyncio.Future[RecordedState | None]", self._writes.begin(attempt.ending))
        attempt.recording = recording
        return recording

    def show_end(self, attempt: RunningAttempt, recorded: RecordedState | None) -> Snapshot | None:
        """Show and return the mail's state after the recording; None if another attempt decides it."""
        if recorded is None:
            return None
        self._tally.attempt_ended(attempt, recorded)
        shown = self._show_recorded(attempt, recorded)
        self._trace(attempt, recorded)
        return shown

    def _show_recorded(self, attempt: RunningAttempt, recorded: RecordedState) -> Snapshot | None:
        assert attempt.ending is not None
        decision, result = attempt.ending.decision, attempt.ending.result
        ours = (recorded.attempt, recorded.state) == (attempt.ending.attempt, decision.state)
        if recorded.state != State.SENT and not ours:
            return None
        if recorded.state == State.SENT and decision.state is not State.SENT:
            decision, result = SENT, DeliveryResult()  # the acceptance of another attempt came late
        log_ending(attempt.claim.id, attempt.claim.kind, decision, result, server=attempt.server)
        shown = attempt.snapshot_after(recorded, decision, result)
        self._progress.show(shown)
        return shown

    def _trace(self, attempt: RunningAttempt, recorded: RecordedState) -> None:
        """Have the spans of an attempt made. An error there does not affect the mail; it is logged."""
        if self._spans is None:
            return
        try:
            self._spans.attempt_ended(attempt, recorded)
        except Exception:
            logger.exception("an attempt of mail %s is missing in the traces", attempt.claim.id)

    def end(self, attempt: RunningAttempt) -> None:
        """Let go of the mail and its lease."""
        self._leases.drop((attempt.claim.id, attempt.claim.attempt))
        self.running.discard(attempt)

    # -- what is shown and written

    def _show(self, attempt: RunningAttempt) -> None:
        if not attempt.unread:
            attempt.unread = True
            self._progress.show_attempt(attempt)

    async def _write(self, writes: Sequence[Write]) -> list[Written]:
        """Write these in one transaction if possible. Endings wait for PostgreSQL; hand-overs alone do not."""
        endings = [write for write in writes if isinstance(write, AttemptEnding)]
        wishes = [write for write in writes if isinstance(write, HandingOver)]
        pause = 0.1
        while True:
            try:
                recorded, handed = await self._ledger.record_and_hand_over(endings, wishes)
                break
            except Unavailable:
                if not endings:
                    return [None] * len(wishes)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
        written = {AttemptEnding: iter(recorded), HandingOver: iter(handed)}
        return [next(written[type(write)]) for write in writes]

    # -- the end of the process

    def interrupt(self, stages: set[Stage]) -> None:
        """Cancel attempts that are in one of these stages and are not being recorded yet."""
        for attempt in list(self.running):
            if attempt.recording is None and attempt.stage in stages and attempt.task:
                attempt.task.cancel()

    def forget(self) -> None:
        """Stop waiting for recordings: PostgreSQL is away, and the leases run out."""
        for attempt in list(self.running):
            if attempt.recording:
                attempt.recording.cancel()

    def close(self) -> None:
        """Stop renewing leases, and drop what is not recorded yet."""
        self._writes.close()
        self._leases.close()

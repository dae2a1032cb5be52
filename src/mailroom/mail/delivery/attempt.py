"""An attempt under way in this process: how far it has come, and what watchers see of it."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from mailroom.mail.ledger.claims import AttemptEnding, Claim, RecordedState
from mailroom.mail.retry_policy import Decision, DeliveryResult
from mailroom.mail.states import Stage, State
from mailroom.mail.views import Moment, snapshot
from mailroom.progress.snapshot import Snapshot


class ProgressSink(Protocol):
    """Shows watchers where mails are. Its methods must not block."""

    def show_attempt(self, attempt: "RunningAttempt") -> None:
        """Show an attempt under way. `attempt.read()` returns its newest snapshot, later and in any thread."""

    def show(self, snapshot: Snapshot) -> None:
        """Show a mail that has ended or waits for its next attempt."""


class EndedAttempts(Protocol):
    """Told of attempts whose ending is recorded. Its method must not block; if it raises, that is logged."""

    def attempt_ended(self, attempt: "RunningAttempt", recorded: RecordedState) -> None:
        """Take notice of it."""


@dataclass(slots=True, eq=False)
class RunningAttempt:
    """A claimed mail that this process is sending. Times are PostgreSQL's."""

    claim: Claim
    server: str
    """The mail server, as ``host:port``."""
    task: asyncio.Task[object] | None
    """The task that sends the mail."""
    stage: Stage = Stage.CLAIMED
    connected_at: datetime | None = None
    handing_over_at: datetime | None = None
    outage_since: datetime | None = None
    """Since when the mail server cannot be used, if that ended the attempt."""
    ending: AttemptEnding | None = None
    recording: "asyncio.Future[RecordedState | None] | None" = None
    """Set together with `ending`: the mail's state once the ending is recorded; None if the fence refused it."""
    unread: bool = False
    """True while nobody has read what was shown last: then it need not be shown again."""
    began: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> datetime:
        """The time by PostgreSQL's clock: the time of the claim plus the seconds since then."""
        return self.claim.claimed_at + timedelta(seconds=time.monotonic() - self.began)

    def moments(self) -> Iterator[Moment]:
        """Yield each stage that was reached, with its time."""
        claim = self.claim
        yield State.QUEUED, claim.created_at, 0
        yield Stage.CLAIMED, claim.claimed_at, claim.attempt
        yield Stage.CONNECTED, self.connected_at, claim.attempt
        yield Stage.HANDING_OVER, self.handing_over_at, claim.attempt

    def read(self) -> Snapshot:
        """Return the snapshot of the attempt as it is now."""
        self.unread = False
        stage, step = Stage.CLAIMED, 1
        if self.handing_over_at:
            stage, step = Stage.HANDING_OVER, 3
        elif self.connected_at:
            stage, step = Stage.CONNECTED, 2
        return snapshot(
            self.claim.id,
            State.SENDING,
            stage=stage,
            attempt=self.claim.attempt,
            step=step,
            timeline=self.moments(),
        )

    def snapshot_after(self, recorded: RecordedState, decision: Decision, result: DeliveryResult) -> Snapshot:
        """Return the snapshot of the mail after the ending of this attempt was recorded."""
        accepted = decision.state is State.SENT
        outcome = Stage.ACCEPTED if accepted else decision.state
        return snapshot(
            self.claim.id,
            recorded.state,
            stage=Stage.ACCEPTED if accepted else None,
            attempt=recorded.attempt,
            step=recorded.step,
            reason=decision.reason,
            code=result.code,
            enhanced=result.enhanced,
            answer=result.text,
            since=recorded.reason_since,
            retry_at=recorded.next_attempt_at,
            held=decision.state is State.UNCERTAIN and decision.retry_in is None,
            timeline=(*self.moments(), (outcome, recorded.changed_at, recorded.attempt)),
        )

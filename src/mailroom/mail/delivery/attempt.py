"""A mail under way in this process: how far it came, and what of that is shown."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from mailroom.mail.ledger.claims import Claim, RecordedState
from mailroom.mail.retry_policy import Decision, DeliveryResult
from mailroom.mail.states import Stage, State
from mailroom.mail.views import Moment, snapshot
from mailroom.progress.snapshot import Snapshot


class ProgressSink(Protocol):
    """Shows where a mail is; must not block. `read` may be called later, in any thread, and tells what is then."""

    def __call__(self, mail_id: UUID, state: str, *, final: bool, read: Callable[[], Snapshot]) -> None:
        """Show that this mail is in `state`."""


def announce(show: ProgressSink, snapshot: Snapshot) -> Snapshot:
    """Show a snapshot that is final, or stays for a while; return it."""
    show(snapshot.task, snapshot.state, final=snapshot.final, read=lambda: snapshot)
    return snapshot


@dataclass(slots=True, eq=False)
class RunningAttempt:
    """A mail this process is carrying: its claim, and how far it came."""

    claim: Claim
    server: str
    task: asyncio.Task[object] | None
    stage: Stage = Stage.CLAIMED
    connected_at: datetime | None = None
    handing_over_at: datetime | None = None
    recording: "asyncio.Future[RecordedState | None] | None" = None
    """What will hold where it is then; from here on it is ended, and only to be written down."""
    unread: bool = False
    """True while what was shown last has not been looked at: then it need not be shown again."""
    began: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> datetime:
        """The time by PostgreSQL's clock, as far as the claim tells."""
        return self.claim.claimed_at + timedelta(seconds=time.monotonic() - self.began)

    def moments(self) -> Iterator[Moment]:
        """Yield what happened when."""
        claim = self.claim
        yield State.QUEUED, claim.created_at, 0
        yield Stage.CLAIMED, claim.claimed_at, claim.attempt
        yield Stage.CONNECTED, self.connected_at, claim.attempt
        yield Stage.HANDING_OVER, self.handing_over_at, claim.attempt

    def read(self) -> Snapshot:
        """Return where it is by now."""
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

    def ended(self, ended: RecordedState, decision: Decision, result: DeliveryResult) -> Snapshot:
        """Return where it is after its ending was recorded."""
        outcome = Stage.ACCEPTED if decision.state is State.SENT else decision.state
        return snapshot(
            self.claim.id,
            ended.state,
            stage=Stage.ACCEPTED if decision.state is State.SENT else None,
            attempt=ended.attempt,
            step=ended.step,
            reason=decision.reason,
            code=result.code,
            enhanced=result.enhanced,
            answer=result.text,
            since=ended.reason_since,
            retry_at=ended.next_attempt_at,
            held=decision.state is State.UNCERTAIN and decision.retry_in is None,
            timeline=(*self.moments(), (outcome, ended.changed_at, ended.attempt)),
        )

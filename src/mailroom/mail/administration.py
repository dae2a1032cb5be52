"""What people do with mails by hand: list, show, retry, cancel; and a mail that its recipient has read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, or_, select, update

from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.mail.kinds import Kinds, Notify
from mailroom.mail.models import Attempt, Mail
from mailroom.mail.states import Stage, State
from mailroom.statistics import names
from mailroom.statistics.counters import Counters

RETRYABLE = (
    State.FAILED,
    State.EXPIRED,
    State.CANCELLED,
    State.SUPPRESSED,
    State.UNCERTAIN,
    State.RETRYING,
    State.SCHEDULED,
)
USUAL_LIFETIME = timedelta(hours=48)
"""For mails of a kind that this version does not know."""
CANCELLABLE = (State.SCHEDULED, State.QUEUED, State.RETRYING, State.UNCERTAIN)


class UnknownMail(MailroomError):
    """There is no mail with this id."""

    message_code = "mail.error.unknown"


class NotPossible(MailroomError):
    """What was asked for cannot be done with a mail in its state."""

    def __init__(self, message_code: str, **params: str) -> None:
        """`message_code` and `params` are those of the catalogue (`i18n/sentences.py`)."""
        super().__init__()
        self.message_code = message_code
        self.params = params


@dataclass(frozen=True, slots=True)
class Shown:
    """One mail and its attempts, the oldest first; the last one may be under way."""

    mail: Mail
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class MailFilter:
    """Which mails are meant; a field that is None does not narrow it."""

    state: str | None = None
    to: str | None = None
    """An address, or ``@domain`` for all of that domain; case does not matter."""
    since: datetime | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions for a query of `Mail`."""
        found: list[ColumnElement[bool]] = []
        if self.state:
            found.append(Mail.state == self.state)
        if self.to:
            columns = (func.lower(Mail.recipient), func.lower(Mail.typed_recipient))
            to = self.to.lower()
            found.append(
                or_(*(c.endswith(to, autoescape=True) if to.startswith("@") else c == to for c in columns))
            )
        if self.since:
            found.append(Mail.created_at >= self.since)
        return found


class MailAdministration:
    """What operators do with the outbox. Each method works in the caller's transaction."""

    def __init__(self, kinds: Kinds, notify: Notify, counters: Counters | None = None) -> None:
        self._kinds = kinds
        self._notify = notify
        self._counters = counters or Counters()

    async def list(self, work: UnitOfWork, wanted: MailFilter, *, limit: int = 50) -> Sequence[Mail]:
        """Return the newest mails that are wanted, at most `limit`."""
        query = select(Mail).where(*wanted.conditions).order_by(Mail.created_at.desc()).limit(limit)
        return (await work.session.scalars(query)).all()

    async def count(self, work: UnitOfWork, wanted: MailFilter) -> int:
        """Return how many mails are wanted."""
        query = select(func.count()).select_from(Mail).where(*wanted.conditions)
        return await work.session.scalar(query) or 0

    async def counts(self, work: UnitOfWork) -> dict[str, int]:
        """Return how many mails are in each state."""
        rows = await work.session.execute(select(Mail.state, func.count()).group_by(Mail.state))
        return {state: count for state, count in rows}  # noqa: C416  # rows are tuples with names

    async def show(self, work: UnitOfWork, mail_id: UUID) -> Shown:
        """Return a mail with its attempts. Raises `UnknownMail`."""
        mail = await work.session.get(Mail, mail_id)
        if mail is None:
            raise UnknownMail
        attempts = select(Attempt).where(Attempt.mail_id == mail_id).order_by(Attempt.attempt)
        return Shown(mail, [*(await work.session.scalars(attempts)), *mail.under_way])

    async def retry(self, work: UnitOfWork, mail_id: UUID) -> None:
        """Queue again a mail that ended unsent or waits; notify the workers after the commit.

        Raises `UnknownMail`; `NotPossible` if the mail is queued, being sent or sent, or its contents have been
        dropped.
        """
        mail = await self._locked(work, mail_id)
        if mail.state not in RETRYABLE:
            raise NotPossible("mail.error.cannot_retry", state=mail.state)
        if mail.nonce is None:
            raise NotPossible("mail.error.contents_dropped")
        lifetime = self._kinds[mail.kind].expires_after
        await work.session.execute(
            update(Mail)
            .where(Mail.id == mail_id)
            .values(
                state=State.QUEUED, stage=None, step=Mail.step + 1, crashes=0, nudges=0, reason=None,
                reason_since=None, next_attempt_at=None, ended_at=None, nudge_at=func.now(),
                expires_at=func.greatest(Mail.expires_at, func.now() + lifetime), changed_at=func.now(),
            )
        )  # fmt: skip
        work.after_commit(lambda: self._notify([mail_id]))

    async def cancel(self, work: UnitOfWork, mail_id: UUID) -> None:
        """Cancel a mail that is not being sent. Raises `UnknownMail`, `NotPossible`."""
        mail = await self._locked(work, mail_id)
        if mail.state not in CANCELLABLE:
            raise NotPossible("mail.error.cannot_cancel", state=mail.state)
        await work.session.execute(
            update(Mail)
            .where(Mail.id == mail_id)
            .values(
                state=State.CANCELLED, stage=None, step=Mail.step + 1, reason="cancelled", nudge_at=None,
                next_attempt_at=None, ended_at=func.now(), changed_at=func.now(),
            )
        )  # fmt: skip
        work.after_commit(lambda: self._counters.add(names.ENDED, State.CANCELLED))

    async def retry_many(self, work: UnitOfWork, mail_ids: Sequence[UUID]) -> int:
        """Queue again those mails that `retry` would take; return how many. The caller holds their locks."""
        lifetimes = {kind.name: kind.expires_after for kind in self._kinds}
        lifetime = case(lifetimes, value=Mail.kind, else_=USUAL_LIFETIME)
        changed = (
            update(Mail)
            .where(Mail.id.in_(mail_ids), Mail.state.in_(RETRYABLE), Mail.nonce.is_not(None))
            .values(
                state=State.QUEUED, stage=None, step=Mail.step + 1, crashes=0, nudges=0, reason=None,
                reason_since=None, next_attempt_at=None, ended_at=None, nudge_at=func.now(),
                expires_at=func.greatest(Mail.expires_at, func.now() + lifetime), changed_at=func.now(),
            )
            .returning(Mail.id, Mail.stream)
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        rows = (await work.session.execute(changed)).all()
        at_once = [mail_id for mail_id, stream in rows if stream != "bulk"]  # the sweep wakes workers for the rest
        if at_once:
            work.after_commit(lambda: self._notify(at_once))
        return len(rows)

    async def cancel_many(self, work: UnitOfWork, mail_ids: Sequence[UUID]) -> int:
        """Cancel those mails that `cancel` would take; return how many. The caller holds their locks."""
        changed = (
            update(Mail)
            .where(Mail.id.in_(mail_ids), Mail.state.in_(CANCELLABLE))
            .values(
                state=State.CANCELLED, stage=None, step=Mail.step + 1, reason="cancelled", nudge_at=None,
                next_attempt_at=None, ended_at=func.now(), changed_at=func.now(),
            )
            .returning(Mail.id)
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        number = len((await work.session.execute(changed)).all())
        work.after_commit(lambda: self._counters.add(names.ENDED, State.CANCELLED, number))
        return number

    async def _locked(self, work: UnitOfWork, mail_id: UUID) -> Mail:
        mail = (await work.session.scalars(select(Mail).where(Mail.id == mail_id).with_for_update())).one_or_none()
        if mail is None:
            raise UnknownMail
        return mail


async def mark_received(work: UnitOfWork, mail_id: UUID) -> None:
    """Mark a mail as sent because its recipient used its link or code; it is not sent again.

    A mail that is being sent at this moment is left to its worker.
    """
    unsent = Mail.state.in_([State.QUEUED, State.RETRYING, State.UNCERTAIN])
    await work.session.execute(
        update(Mail)
        .where(Mail.id == mail_id, unsent)
        .values(
            state=State.SENT, stage=Stage.ACCEPTED, step=Mail.step + 1, reason=None, reason_since=None, code=None,
            enhanced=None, answer=None, nudge_at=None, next_attempt_at=None, ended_at=func.now(),
            changed_at=func.now(),
        )
    )  # fmt: skip

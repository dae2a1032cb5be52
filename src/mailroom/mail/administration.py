"""The outbox as an operator (or a mail's owner) sees it: list, show, retry, cancel."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update

from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.mail.kinds import Kinds, Notify
from mailroom.mail.models import Attempt, Mail
from mailroom.mail.states import State

RETRYABLE = (
    State.FAILED,
    State.EXPIRED,
    State.CANCELLED,
    State.SUPPRESSED,
    State.UNCERTAIN,
    State.RETRYING,
    State.SCHEDULED,
)
CANCELLABLE = (State.SCHEDULED, State.QUEUED, State.RETRYING, State.UNCERTAIN)


class UnknownMail(MailroomError):
    """There is no mail with this id. `mailroom mails` lists those there are."""


class NotPossible(MailroomError):
    """It cannot be done with a mail in its state."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One mail and its attempts, oldest first."""

    mail: Mail
    attempts: Sequence[Attempt]


class MailAdministration:
    """What people do with mails by hand."""

    def __init__(self, kinds: Kinds, notify: Notify) -> None:
        self._kinds = kinds
        self._notify = notify

    async def list(self, work: UnitOfWork, *, state: str | None = None, limit: int = 50) -> Sequence[Mail]:
        """Return the newest mails, of one state if given."""
        query = select(Mail).order_by(Mail.created_at.desc()).limit(limit)
        return (await work.session.scalars(query.where(Mail.state == state) if state else query)).all()

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
        """Queue a mail anew that has ended without being sent, or try one now that waits.

        Raises `UnknownMail`, or `NotPossible` where it is queued, on its way, sent, or its contents are gone.
        """
        mail = await self._locked(work, mail_id)
        if mail.state not in RETRYABLE:
            raise NotPossible(f"This mail is {mail.state}; only one that failed, expired, waits or is uncertain "
                              "can be sent again.")  # fmt: skip
        if mail.nonce is None:
            raise NotPossible("The contents of this mail have been dropped; it cannot be sent again.")
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
        """Give up a mail that is not on its way. Raises `UnknownMail`, `NotPossible`."""
        mail = await self._locked(work, mail_id)
        if mail.state not in CANCELLABLE:
            raise NotPossible(
                f"This mail is {mail.state}; only one that is queued, waits or is uncertain can be cancelled."
            )
        await work.session.execute(
            update(Mail)
            .where(Mail.id == mail_id)
            .values(
                state=State.CANCELLED, stage=None, step=Mail.step + 1, reason="cancelled", nudge_at=None,
                next_attempt_at=None, ended_at=func.now(), changed_at=func.now(),
            )
        )  # fmt: skip

    async def _locked(self, work: UnitOfWork, mail_id: UUID) -> Mail:
        mail = (await work.session.scalars(select(Mail).where(Mail.id == mail_id).with_for_update())).one_or_none()
        if mail is None:
            raise UnknownMail
        return mail

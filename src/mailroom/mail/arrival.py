"""A mail that somebody has read: whatever became of the mail server's answer, it has arrived."""

from uuid import UUID

from sqlalchemy import func, update

from mailroom.kit.database import UnitOfWork
from mailroom.mail.models import Mail
from mailroom.mail.states import Stage, State


async def arrived(work: UnitOfWork, mail_id: UUID) -> None:
    """Take it that this mail is there: what only it tells was said. It is not sent again.

    One that is being sent at this moment is left to its worker.
    """
    again = Mail.state.in_([State.QUEUED, State.RETRYING, State.UNCERTAIN])
    await work.session.execute(
        update(Mail)
        .where(Mail.id == mail_id, again)
        .values(
            state=State.SENT, stage=Stage.ACCEPTED, step=Mail.step + 1, reason=None, reason_since=None, code=None,
            enhanced=None, answer=None, nudge_at=None, next_attempt_at=None, ended_at=func.now(),
            changed_at=func.now(),
        )
    )  # fmt: skip

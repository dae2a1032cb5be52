"""From rows (or what a worker knows of one) to the snapshot a watcher is shown."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.models import Attempt, Mail
from mailroom.mail.states import FINAL, Reason, Stage, State, message_code
from mailroom.progress.snapshot import Snapshot
from mailroom.progress.sources import Known
from mailroom.tasks.models import Task
from mailroom.tasks.views import iso, of_task

SERVER_TROUBLE = frozenset({Reason.UNREACHABLE, Reason.TLS, Reason.SIGN_IN})
Moment = tuple[str, datetime | None, int]
"""A stage or state, when it was reached, and in which attempt."""


def snapshot(
    mail_id: UUID,
    state: str,
    *,
    stage: str | None = None,
    attempt: int = 0,
    step: int = 0,
    reason: str | None = None,
    code: int | None = None,
    enhanced: str | None = None,
    answer: str | None = None,
    since: datetime | None = None,
    retry_at: datetime | None = None,
    held: bool = False,
    timeline: Iterable[Moment] = (),
) -> Snapshot:
    """Return what a watcher is shown of a mail. Times are aware; they leave here as ISO 8601 in UTC.

    `held` is true for an uncertain mail that waits for a person.
    """
    error: dict[str, Any] | None = None
    if reason:
        facts = {
            "reason": str(reason),
            "code": code,
            "enhanced": enhanced,
            "message_code": message_code(reason, held=held),
            "since": iso(since) if reason in SERVER_TROUBLE else None,
            # What could not be rendered says so itself: that is no answer of a server.
            "detail" if reason == Reason.BROKEN else "answer": answer,
        }
        error = {key: value for key, value in facts.items() if value is not None}
    return Snapshot(
        task=mail_id,
        state=str(state),
        stage=str(stage) if stage else None,
        attempt=attempt,
        step=step,
        retry_at=iso(retry_at) if state in {State.RETRYING, State.UNCERTAIN} else None,
        error=error,
        timeline=tuple(
            {"stage": str(what), "at": iso(at), "attempt": number} for what, at, number in timeline if at
        ),
        final=state in FINAL or held,
    )


AT_ONCE = 100
"""Rows made into snapshots in one go: more would keep the loop from everything else too long."""

BETTER = """
select known.id, mails.id is not null
from unnest(%(ids)s::uuid[], %(attempts)s::int[], %(steps)s::int[], %(afterwords)s::text[])
    as known (id, attempt, step, afterword)
left join mails on mails.id = known.id left join tasks on tasks.id = known.id
where (mails.id is not null or tasks.name is not null)
    and (known.step < 0
    or (coalesce(mails.attempt, tasks.attempt), coalesce(mails.step, tasks.step)) > (known.attempt, known.step)
    or tasks.afterword is distinct from known.afterword)
"""


class MailRows:
    """Tells the poller of those rows, of mails and other tasks, that know better than what was shown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, known: Sequence[Known]) -> dict[UUID, Snapshot]:
        """Return the snapshots of the mails and tasks that moved past what is `known`, by ticket."""
        arguments = {
            "ids": [told.task for told in known],
            "attempts": [told.attempt for told in known],
            "steps": [told.step for told in known],
            "afterwords": [told.follow_up for told in known],
        }
        async with self._database.connection() as connection:
            rows: list[Any] = await (await connection.execute(BETTER, arguments)).fetchall()
        better: dict[UUID, Snapshot] = {}
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            async with self._database.begin() as work:
                better |= await of_tasks(work, [row[0] for row in some if not row[1]])
                better |= await of_rows(work, [row[0] for row in some if row[1]])
        return better


async def of_tasks(work: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Return what the rows say of these tasks that are no mails, by ticket."""
    if not ids:
        return {}
    rows = await work.session.scalars(select(Task).where(Task.id.in_(ids), Task.name.is_not(None)))
    return {task.id: of_task(task) for task in rows}


async def of_rows(work: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Return what the rows say of these mails, by ticket; ids that are no mail's are left out."""
    if not ids:
        return {}
    query = select(Mail, Task.follow_up).outerjoin(Task, Task.id == Mail.id).where(Mail.id.in_(ids))
    mails = (await work.session.execute(query)).all()
    found = await work.session.scalars(select(Attempt).where(Attempt.mail_id.in_(ids)).order_by(Attempt.attempt))
    attempts: dict[UUID, list[Attempt]] = {}
    for attempt in found:
        attempts.setdefault(attempt.mail_id, []).append(attempt)
    return {
        mail.id: replace(of_row(mail, [*attempts.get(mail.id, []), *mail.under_way]), follow_up=follow_up)
        for mail, follow_up in mails
    }


def of_row(mail: Mail, attempts: Sequence[Attempt]) -> Snapshot:
    """Return what one row and its attempts say."""
    return snapshot(
        mail.id,
        mail.state,
        stage=mail.stage,
        attempt=mail.attempt,
        step=mail.step,
        reason=mail.reason,
        code=mail.code,
        enhanced=mail.enhanced,
        answer=mail.answer,
        since=mail.reason_since,
        retry_at=mail.next_attempt_at,
        held=mail.held,
        timeline=_timeline(mail, attempts),
    )


def _timeline(mail: Mail, attempts: Sequence[Attempt]) -> Iterable[Moment]:
    yield State.QUEUED, mail.created_at, 0
    for tried in attempts:
        yield Stage.CLAIMED, tried.claimed_at, tried.attempt
        yield Stage.CONNECTED, tried.connected_at, tried.attempt
        yield Stage.HANDING_OVER, tried.handing_over_at, tried.attempt
        if tried.outcome != State.UNCERTAIN:  # it was, until its acceptance came late
            yield State.UNCERTAIN, tried.uncertain_at, tried.attempt
        outcome = Stage.ACCEPTED if tried.outcome == State.SENT else tried.outcome
        if outcome:
            yield outcome, tried.ended_at, tried.attempt
    if mail.state in {State.EXPIRED, State.CANCELLED} and mail.ended_at:
        yield mail.state, mail.ended_at, mail.attempt

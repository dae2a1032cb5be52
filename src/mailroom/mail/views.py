"""Snapshots of mails: made of their rows, or of what the worker that sends a mail knows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.ledger.pauses import pauses
from mailroom.mail.models import Attempt, Mail
from mailroom.mail.states import FINAL, Reason, Stage, State, message_code
from mailroom.progress.snapshot import Snapshot
from mailroom.progress.sources import KnownSnapshot
from mailroom.tasks.models import Task
from mailroom.tasks.views import iso, of_task

SERVER_TROUBLE = frozenset({Reason.UNREACHABLE, Reason.TLS, Reason.SIGN_IN})
Moment = tuple[str, datetime | None, int]
"""A stage or state, the time it was reached (None: not yet), and the attempt."""


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
    """Return the snapshot of a mail. Times are aware; the snapshot has them as ISO 8601 in UTC.

    `held` is true for an uncertain mail that waits for a person; then the snapshot is final.
    """
    error: dict[str, Any] | None = None
    if reason:
        facts = {
            "reason": str(reason),
            "code": code,
            "enhanced": enhanced,
            "message_code": message_code(reason, held=held),
            "since": iso(since) if reason in SERVER_TROUBLE else None,
            # If the mail could not be rendered, this text is our own, not a server's answer.
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
"""Rows that become snapshots without a break; more would block the event loop for too long."""

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
    """Reads rows for the poller: those of mails and tasks that are newer than what was shown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newer_than(self, known: Sequence[KnownSnapshot]) -> dict[UUID, Snapshot]:
        """Return the snapshots of those mails and tasks that are newer than the `known` ones, by ticket."""
        arguments = {
            "ids": [one.task for one in known],
            "attempts": [one.attempt for one in known],
            "steps": [one.step for one in known],
            "afterwords": [one.follow_up for one in known],
        }
        async with self._database.connection() as connection:
            rows: list[Any] = await (await connection.execute(BETTER, arguments)).fetchall()
        better: dict[UUID, Snapshot] = {}
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            async with self._database.begin() as work:
                better |= await task_snapshots(work, [row[0] for row in some if not row[1]])
                better |= await mail_snapshots(work, [row[0] for row in some if row[1]])
        return better


async def task_snapshots(work: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Return the snapshots of these tasks, by ticket. Ids of mails and unknown ids are left out."""
    if not ids:
        return {}
    rows = await work.session.scalars(select(Task).where(Task.id.in_(ids), Task.name.is_not(None)))
    return {task.id: of_task(task) for task in rows}


async def mail_snapshots(work: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Return the snapshots of these mails, by ticket. Other ids are left out."""
    if not ids:
        return {}
    query = select(Mail, Task.follow_up).outerjoin(Task, Task.id == Mail.id).where(Mail.id.in_(ids))
    mails = (await work.session.execute(query)).all()
    held_back = await pauses(work) if any(mail.state == State.QUEUED for mail, _ in mails) else ()
    found = await work.session.scalars(select(Attempt).where(Attempt.mail_id.in_(ids)).order_by(Attempt.attempt))
    attempts: dict[UUID, list[Attempt]] = {}
    for attempt in found:
        attempts.setdefault(attempt.mail_id, []).append(attempt)
    return {
        mail.id: replace(
            snapshot_of_row(
                mail,
                [*attempts.get(mail.id, []), *mail.under_way],
                paused=any(pause.holds_back(mail.stream, mail.kind) for pause in held_back),
            ),
            follow_up=follow_up,
        )
        for mail, follow_up in mails
    }


def snapshot_of_row(mail: Mail, attempts: Sequence[Attempt], *, paused: bool = False) -> Snapshot:
    """Return the snapshot of a row and its attempts, the oldest first; `paused`: an operator holds it back."""
    return snapshot(
        mail.id,
        mail.state,
        stage=mail.stage,
        attempt=mail.attempt,
        step=mail.step,
        reason=Reason.PAUSED if paused and mail.state == State.QUEUED else mail.reason,
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
        if tried.outcome != State.UNCERTAIN:  # an acceptance that came late has changed the outcome
            yield State.UNCERTAIN, tried.uncertain_at, tried.attempt
        outcome = Stage.ACCEPTED if tried.outcome == State.SENT else tried.outcome
        if outcome:
            yield outcome, tried.ended_at, tried.attempt
    if mail.state in {State.EXPIRED, State.CANCELLED} and mail.ended_at:
        yield mail.state, mail.ended_at, mail.attempt

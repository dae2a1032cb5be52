"""The table of tasks: who may watch each task, and the states of tasks that are no mails."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Double, ForeignKey, Index, Integer, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mailroom.kit.database import Base

GROUP, CHAIN = "group", "chain"
"""Names of tasks that consist of others: all at once, or one after the other."""


class Task(Base):
    """One task that may be watched; its id is the ticket, the Celery task id and, for a mail, the mail's id.

    The state of a mail is in its row in `mails`, and the columns from `name` on stay empty here. The state of any
    other task is in this row; `tasks/states.py` has the words.
    """

    __tablename__ = "tasks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    """Its name for people; the same whatever its outcome, so that a watcher learns nothing from it."""
    title_params: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """If not null, `title` is a code of the catalogue (`progress/sentence.py`), and these fill its sentence."""
    session_id: Mapped[UUID | None] = mapped_column()
    """The browser session that may watch it; null once a newer sign-up took its place."""
    owner_id: Mapped[UUID | None] = mapped_column()
    """The account it belongs to, once its watcher has proved to own that account."""
    follow_up: Mapped[str | None] = mapped_column("afterword", Text)
    """What happened after its end, for those who still watch: ``confirmed``, ``replaced``."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    name: Mapped[str | None] = mapped_column(Text)
    """Celery's name of the task, or ``group`` or ``chain``; null for a mail."""
    arguments: Mapped[list[Any] | None] = mapped_column(JSONB, deferred=True)
    """Its positional arguments, to start it again; nothing secret."""
    part_of: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    """The group or chain that it is a part of; `place` is its position there."""
    place: Mapped[int | None] = mapped_column(Integer)

    state: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer, server_default="0")
    """Rises with each run: the fence against a worker that was taken for lost and comes back."""
    step: Mapped[int] = mapped_column(Integer, server_default="0")
    """Rises with each change within an attempt: (attempt, step) orders what reports and rows say."""
    cancellable: Mapped[bool] = mapped_column(server_default=text("false"))
    """True if it may be stopped while it runs; its worker says so when it begins."""
    cancel_asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    nudge_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the sweep takes its message for lost and publishes it again; null while nobody waits for a message."""
    nudges: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    retry_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    stage: Mapped[str | None] = mapped_column(Text)
    message: Mapped[str | None] = mapped_column(Text)
    message_params: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    current: Mapped[float | None] = mapped_column(Double)
    total: Mapped[float | None] = mapped_column(Double)
    """Its last report, to be read after its Celery result has expired; `message_params` as `title_params`."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it failed, as a code of `tasks/states.py`: ``worker lost``, ``never begun`` or ``broken``."""
    error: Mapped[str | None] = mapped_column(Text)
    """The text of the exception, or a code; `error_params` as `title_params`."""
    error_params: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    traceback: Mapped[str | None] = mapped_column(Text, deferred=True)
    """For operators only."""
    began_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index(None, "session_id"),
        Index(None, "owner_id", "id"),
        Index("ix_tasks_part_of", "part_of", "place", postgresql_where=text("part_of IS NOT NULL")),
        Index("ix_tasks_nudge_at", "nudge_at", postgresql_where=text("nudge_at IS NOT NULL")),
        # Indexes for the desk. A mail's ticket is in none of them.
        Index("ix_tasks_background", "id", postgresql_where=text("name IS NOT NULL")),
        Index("ix_tasks_name", "name", "id", postgresql_where=text("name IS NOT NULL")),
        Index("ix_tasks_whole", "id", postgresql_where=text("name IS NOT NULL AND part_of IS NULL")),
        Index("ix_tasks_state", "state", "id", postgresql_where=text("name IS NOT NULL")),
        Index("ix_tasks_lease_until", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
    )

"""How a task that is no mail looks in the shell: its row, its parts if it is made of others, its traceback."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select
from sqlalchemy.orm import undefer

from mailroom.cli.ids import UnknownId
from mailroom.cli.mail_views import ended_after
from mailroom.cli.state_colours import state_colour
from mailroom.cli.tables import Column, print_facts, print_table
from mailroom.i18n.formats import until
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.i18n.sentences import text_of
from mailroom.kit.database import UnitOfWork
from mailroom.kit.text import age, clean, full
from mailroom.tasks.models import Task
from mailroom.tasks.states import TaskState
from mailroom.tasks.views import iso

COLUMNS = (
    Column(gettext_noop("id"), whole=True),
    Column(gettext_noop("name"), needed=False),
    Column(gettext_noop("title")),
    Column(gettext_noop("state"), whole=True, colour=state_colour),
    Column(gettext_noop("done"), whole=True),
    Column(gettext_noop("attempt"), needed=False),
    Column(gettext_noop("error")),
    Column(gettext_noop("age"), whole=True),
)
WORDS = (
    "title",
    "name",
    "state",
    "attempt",
    "current",
    "total",
    "message",
    "stage",
    "reason",
    "error",
    "cancellable",
)


@dataclass(frozen=True, slots=True)
class ShownTask:
    """A task and, of a group or chain, its parts in their order."""

    task: Task
    parts: Sequence[Task]


async def find_task(work: UnitOfWork, task_id: UUID) -> ShownTask:
    """Return a task that is no mail. Raises `UnknownId`."""
    rows = (
        select(Task)
        .where((Task.id == task_id) | (Task.part_of == task_id), Task.name.is_not(None))
        .order_by(Task.place.nulls_first())
        .options(undefer(Task.traceback))
    )
    found = {task.id: task for task in await work.session.scalars(rows)}
    if task_id not in found:
        raise UnknownId
    return ShownTask(found.pop(task_id), list(found.values()))


def task_json(shown: ShownTask) -> dict[str, Any]:
    """Return a task and its parts for machines; times are ISO 8601."""
    words = (*WORDS, "traceback")
    return {**_of(shown.task, words), "parts": [_of(part, words) for part in shown.parts]}


def _of(task: Task, words: Sequence[str]) -> dict[str, Any]:
    times = ("created_at", "began_at", "ended_at", "retry_at", "cancel_asked_at")
    said = {name: getattr(task, name) for name in words} | {name: iso(getattr(task, name)) for name in times}
    said |= {name: text_in(task, name) for name in ("title", "message", "error")}
    return {"id": str(task.id), **said}


def listed_json(task: Task) -> dict[str, Any]:
    """Return a task of a list for machines: without its traceback."""
    return _of(task, WORDS)


def print_tasks(tasks: Sequence[Task], now: datetime) -> None:
    """Print a list of tasks."""
    print_table(COLUMNS, [_row(task, now) for task in tasks])


def _row(task: Task, now: datetime) -> tuple[str, ...]:
    return (
        str(task.id),
        clean(task.name or ""),
        clean(text_in(task, "title") or ""),
        task.state or TaskState.QUEUED,
        _counted(task),
        str(task.attempt),
        clean(text_in(task, "error") or ""),
        age(task.created_at, now),
    )


def _counted(task: Task) -> str:
    if task.current is None:
        return ""
    current, total = f"{task.current:g}", f"{task.total or 0:g}"
    return gettext("%(current)s of %(total)s", current=current, total=total) if task.total else current


def print_task(shown: ShownTask, now: datetime) -> None:
    """Print a task, its parts, and its traceback."""
    task = shown.task
    click.echo(click.style(gettext("Task %(id)s", id=task.id), bold=True))
    print_facts(_facts(task, now))
    if shown.parts:
        click.echo(click.style("\n" + gettext("Parts"), bold=True))
    for part in shown.parts:
        error = clean(text_in(part, "error") or "")
        click.echo(f"  {part.id}  {_state(part)}  {clean(part.name or '')}  {error}".rstrip())
    if task.traceback:
        click.echo()
        for line in task.traceback.splitlines():
            click.echo(clean(line))


def text_in(task: Task, name: str) -> str | None:
    """Return a column of text in words; the column of parameters beside it says whether it is a code."""
    text: str | None = getattr(task, name)
    return None if text is None else text_of(text, getattr(task, f"{name}_params"))


def _facts(task: Task, now: datetime) -> Iterator[tuple[str, str]]:
    yield gettext("Title"), clean(text_in(task, "title") or "")
    yield gettext("Name"), clean(task.name or "")
    yield gettext("State"), _state(task)
    if counted := _counted(task):
        yield gettext("Counted"), counted
    for label, words in (
        (gettext("Stage"), task.stage),
        (gettext("Message"), text_in(task, "message")),
        (gettext("Error"), text_in(task, "error")),
    ):
        if words:
            yield label, clean(words)
    yield gettext("Attempt"), str(task.attempt)
    yield (
        gettext("Created"),
        gettext("%(moment)s, %(time)s ago", moment=full(task.created_at), time=age(task.created_at, now)),
    )
    if task.began_at:
        yield gettext("Begun"), full(task.began_at)
    if task.retry_at and task.state == TaskState.RETRYING:
        yield gettext("Next try"), f"{full(task.retry_at)}, {until(task.retry_at, now)}"
    if task.ended_at:
        yield gettext("Ended"), ended_after(task.ended_at, task.created_at)


def _state(task: Task) -> str:
    state = TaskState(task.state or TaskState.QUEUED)
    stopping = state == TaskState.RUNNING and task.cancel_asked_at is not None
    shown = click.style(state.value, fg=state_colour(state) or None)
    return gettext("%(state)s (asked to stop)", state=shown) if stopping else shown

"""`mailroom tasks`: background tasks that are no mails."""

import json
from collections.abc import Sequence
from datetime import datetime

import click
from sqlalchemy import ColumnElement, String, cast, func, select

from mailroom.cli.mail_commands import SINCE, newest_of
from mailroom.cli.moments import Moment
from mailroom.cli.task_views import listed_json, print_tasks
from mailroom.cli.with_services import with_services
from mailroom.i18n.messages import gettext
from mailroom.kit import clock
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services
from mailroom.tasks.models import Task
from mailroom.tasks.states import TaskState


@click.command()
@click.option("--state", type=click.Choice([state.value for state in TaskState]), help="Only those in this state.")
@click.option("--name", help="Only those of this name: mailroom.change_mails, say.")
@click.option("--words", help="Only those with this in their arguments.")
@click.option("--since", type=Moment(), help=SINCE)
@click.option("--parts", is_flag=True, help="Also the parts of groups and chains.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def tasks(
    entrypoints: Entrypoints,
    *,
    state: str | None,
    name: str | None,
    words: str | None,
    since: datetime | None,
    parts: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List background tasks (not mails), newest first. `mailroom show ID` has one with its parts."""
    wanted: list[ColumnElement[bool]] = [Task.name.is_not(None)]
    if state:
        wanted.append(Task.state == state)
    if name:
        wanted.append(Task.name == name)
    if words:
        wanted.append(cast(Task.arguments, String).icontains(words, autoescape=True))
    if since:
        wanted.append(Task.created_at >= since)
    if not parts and not name:
        wanted.append(Task.part_of.is_(None))

    async def read(services: Services) -> tuple[Sequence[Task], int]:
        async with services.database.begin() as work:
            query = select(Task).where(*wanted).order_by(Task.id.desc()).limit(limit)
            found = (await work.session.scalars(query)).all()
            total = await work.session.scalar(select(func.count()).select_from(Task).where(*wanted))
            return found, total or 0

    found, total = with_services(entrypoints, read)
    if as_json:
        click.echo(json.dumps([listed_json(task) for task in found], indent=2))
        return
    print_tasks(found, clock.now())
    if len(found) < total:
        click.echo(newest_of(len(found), total), err=True)
    if not found:
        click.echo(
            gettext("No task matches.") if state or since or name or words else gettext("There are no tasks yet."),
            err=True,
        )

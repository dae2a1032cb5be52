"""`mailroom mails`, `show`, `retry`, `cancel`: the outbox, and other tasks, in an operator's hands."""

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import click
from sqlalchemy import select

from mailroom.cli import mail_views
from mailroom.cli.task_views import find_task, print_task, task_json
from mailroom.cli.with_services import with_services
from mailroom.i18n.sentences import error_text
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.kit.ids import parse_id
from mailroom.kit.text import counted
from mailroom.mail.administration import CANCELLABLE, RETRYABLE, MailAdministration, UnknownMail
from mailroom.mail.models import Mail
from mailroom.mail.states import State
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services
from mailroom.tasks.service import TaskService
from mailroom.tasks.states import TaskState

BATCH = 100
"""Mails in one transaction where a whole state is meant."""


@dataclass(frozen=True, slots=True)
class BulkAction:
    """What can be done with mails and tasks, and the words to ask and to tell of it."""

    verb: str
    to_mail: Callable[[MailAdministration, UnitOfWork, UUID], Awaitable[None]]
    to_task: Callable[[TaskService, UnitOfWork, UUID], Awaitable[object]]
    done: str


class Ticket(click.ParamType[UUID]):
    """The id of a mail, as `mailroom mails` shows it, or of another task, as its page's address does."""

    name = "id"

    def convert(self, value: str | UUID, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Return the id; fails with a sentence where it is none."""
        found = value if isinstance(value, UUID) else parse_id(value)
        if found is None:
            self.fail(
                f"{value!r} is no id of a mail or task; `mailroom mails` shows those of mails in front.",
                param,
                ctx,
            )
        return found


@click.command()
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def mails(doors: Entrypoints, state: str | None, limit: int, as_json: bool) -> None:
    """List mails, newest first."""

    async def read(services: Services) -> tuple[Sequence[Mail], dict[str, int]]:
        async with services.database.begin() as work:
            found = await services.mail_administration.list(work, state=state, limit=limit)
            return found, await services.mail_administration.counts(work)

    found, counts = with_services(doors, read)
    if as_json:
        click.echo(json.dumps([mail_views.mail_json(mail) for mail in found], indent=2))
        return
    mail_views.print_mails(found, clock.now())
    total = counts.get(state, 0) if state else sum(counts.values())
    if len(found) < total:
        click.echo(f"The newest {len(found)} of {total}; --limit shows more.", err=True)
    if not found:
        click.echo(f"No mail is {state}." if state else "There are no mails yet.", err=True)


@click.command()
@click.argument("ticket", metavar="ID", type=Ticket())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(doors: Entrypoints, ticket: UUID, as_json: bool) -> None:
    """Show one mail with every attempt at it and the mail server's own words, or another task with its parts."""

    async def read(services: Services) -> None:
        async with services.database.begin() as work:
            try:
                mail = await services.mail_administration.show(work, ticket)
            except UnknownMail:
                task = await find_task(work, ticket)
                told, tell = task_json(task), partial(print_task, task)
            else:
                told, tell = mail_views.shown_json(mail), partial(mail_views.print_shown, mail)
        if as_json:
            click.echo(json.dumps(told, indent=2))
        else:
            tell(clock.now())

    with_services(doors, read)


@click.command()
@click.argument("ids", metavar="ID...", type=Ticket(), nargs=-1)
@click.option("--state", type=click.Choice([state.value for state in RETRYABLE]), help="All mails in this state.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def retry(doors: Entrypoints, ids: tuple[UUID, ...], state: str | None, yes: bool) -> None:
    """Send mails again that have ended unsent, or now those that wait; begin tasks again that were not done."""
    _do(
        doors,
        ids,
        state,
        BulkAction("Send", MailAdministration.retry, TaskService.retry, "queued again"),
        yes=yes,
    )


@click.command()
@click.argument("ids", metavar="ID...", type=Ticket(), nargs=-1)
@click.option(
    "--state", type=click.Choice([state.value for state in CANCELLABLE]), help="All mails in this state."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def cancel(doors: Entrypoints, ids: tuple[UUID, ...], state: str | None, yes: bool) -> None:
    """Give up mails and tasks that are queued or wait; ask running tasks to stop that can be stopped."""
    _do(
        doors,
        ids,
        state,
        BulkAction("Cancel", MailAdministration.cancel, TaskService.cancel, "cancelled"),
        yes=yes,
    )


def _do(doors: Entrypoints, ids: Sequence[UUID], state: str | None, deed: BulkAction, *, yes: bool) -> None:
    """Do it to each and say so; exit code 1 where it was not possible with one of them."""
    if bool(ids) == bool(state):
        raise click.UsageError("Name the ids of mails or tasks, or a state with --state; not both.")

    async def work(services: Services) -> int:
        chosen = ids or await _in_state(services, str(state))
        if state and not (chosen and _agreed(f"{deed.verb} {counted(len(chosen), f'{state} mail')}?", yes=yes)):
            click.echo("Nothing was done." if chosen else f"No mail is {state}.", err=True)
            return 0
        return await _each(services, chosen, deed)

    if with_services(doors, work):
        sys.exit(1)


async def _in_state(services: Services, state: str) -> Sequence[UUID]:
    async with services.database.begin() as work:
        return (await work.session.scalars(select(Mail.id).where(Mail.state == state).order_by(Mail.id))).all()


def _agreed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is nobody to ask; say --yes.")
    return click.confirm(question)


async def _each(services: Services, ids: Sequence[UUID], deed: BulkAction) -> int:
    """Return with how many it was not possible. What was possible is done."""
    impossible = 0
    for start in range(0, len(ids), BATCH):
        said: list[tuple[str, bool]] = []
        async with services.database.begin() as work:
            for ticket in ids[start : start + BATCH]:
                try:
                    said.append((f"{ticket} {await _one(services, work, ticket, deed)}", False))
                except MailroomError as error:
                    said.append((f"{ticket}: {error_text(error)}", True))
                    impossible += 1
        for line, wrong in said:  # only now is it so
            click.echo(line, err=wrong)
    return impossible


async def _one(services: Services, work: UnitOfWork, ticket: UUID, deed: BulkAction) -> str:
    """Do it to a mail or task; return what was done. Raises what they raise."""
    try:
        await deed.to_mail(services.mail_administration, work, ticket)
    except UnknownMail:
        task = (await find_task(work, ticket)).task
        await deed.to_task(services.task_service, work, ticket)
        await work.session.refresh(task)
        return "asked to stop" if task.state == TaskState.RUNNING else deed.done
    return deed.done

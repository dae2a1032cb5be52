"""`mailroom retry`, `cancel` and `again`: for mails and tasks by id, or for all mails of a state or of a search.

All mails of a search are changed by a background task, as from the desk.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import click
from sqlalchemy import select

from mailroom.cli.actor import shell_actor
from mailroom.cli.ids import Id, IdPrefix, find_id
from mailroom.cli.task_views import find_task
from mailroom.cli.with_services import with_services
from mailroom.desk.bulk_actions import Action
from mailroom.desk.search import MailSearch
from mailroom.i18n.messages import gettext, gettext_noop, ngettext
from mailroom.i18n.sentences import error_text
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.mail.administration import CANCELLABLE, RETRYABLE, MailAdministration, UnknownMail
from mailroom.mail.models import Mail
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services
from mailroom.tasks.service import TaskService
from mailroom.tasks.states import TaskState

SEARCH = gettext_noop('All mails of a search, as on the desk: "state:failed to:@example.org code:550 since:2h".')
BATCH = 100
"""Mails or tasks that are changed in one transaction."""


@dataclass(frozen=True, slots=True)
class BulkAction:
    """What can be done with mails and tasks, and its texts: the questions before, and the answer after."""

    question: Callable[[int, str], str]
    """The question that is asked before it is done to so many mails of a state."""
    to_mail: Callable[[MailAdministration, UnitOfWork, UUID], Awaitable[None]]
    to_task: Callable[[TaskService, UnitOfWork, UUID], Awaitable[object]]
    done: str
    """What is printed for each mail or task, marked for translation."""
    of_search: Callable[[int], str]
    """The question that is asked before it is done to so many mails of a search."""
    action: Action
    code: str
    """Its name in the audit log: ``retried``."""


RETRY = BulkAction(
    lambda number, state: ngettext(
        "Send %(num)s mail in the state “%(state)s” again?",
        "Send %(num)s mails in the state “%(state)s” again?",
        number,
        state=state,
    ),
    MailAdministration.retry,
    TaskService.retry,
    gettext_noop("queued again"),
    lambda number: ngettext("Send %(num)s mail again?", "Send %(num)s mails again?", number),
    "retry",
    "retried",
)
CANCEL = BulkAction(
    lambda number, state: ngettext(
        "Cancel %(num)s mail in the state “%(state)s”?",
        "Cancel %(num)s mails in the state “%(state)s”?",
        number,
        state=state,
    ),
    MailAdministration.cancel,
    TaskService.cancel,
    gettext_noop("cancelled"),
    lambda number: ngettext("Cancel %(num)s mail?", "Cancel %(num)s mails?", number),
    "cancel",
    "cancelled",
)


@click.command()
@click.argument("prefixes", metavar="ID...", type=Id(), nargs=-1)
@click.option("--state", type=click.Choice([state.value for state in RETRYABLE]), help="All mails in this state.")
@click.option("--search", help=SEARCH)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def retry(
    entrypoints: Entrypoints, prefixes: tuple[IdPrefix, ...], state: str | None, search: str | None, yes: bool
) -> None:
    """Send mails again that ended unsent, and at once those that wait; begin tasks again that were not done.

    The first characters of an ID are enough where no other id begins with them. All mails of a search are queued
    again by a background task; its ID is printed, and `mailroom watch ID` follows it.
    """
    _do(entrypoints, prefixes, state, search, RETRY, yes=yes)


@click.command()
@click.argument("prefixes", metavar="ID...", type=Id(), nargs=-1)
@click.option(
    "--state", type=click.Choice([state.value for state in CANCELLABLE]), help="All mails in this state."
)
@click.option("--search", help=SEARCH)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def cancel(
    entrypoints: Entrypoints, prefixes: tuple[IdPrefix, ...], state: str | None, search: str | None, yes: bool
) -> None:
    """Give up mails and tasks that are queued or wait; ask running tasks to stop.

    The first characters of an ID are enough where no other id begins with them. All mails of a search are
    cancelled by a background task; its ID is printed, and `mailroom watch ID` follows it.
    """
    _do(entrypoints, prefixes, state, search, CANCEL, yes=yes)


@click.command()
@click.argument("prefix", metavar="ID", type=Id())
@click.pass_obj
def again(entrypoints: Entrypoints, prefix: IdPrefix) -> None:
    """Send a copy of a mail that was sent for another program. The id of the copy is printed."""

    async def work(services: Services) -> UUID | None:
        async with services.database.begin() as unit:
            mail_id = await find_id(unit, prefix)
        return await services.acts.act_on(shell_actor(), "mail.sent_again", services.mail_desk.send_again, mail_id)

    click.echo(str(with_services(entrypoints, work)))


def _do(
    entrypoints: Entrypoints,
    prefixes: Sequence[IdPrefix],
    state: str | None,
    search: str | None,
    action: BulkAction,
    *,
    yes: bool,
) -> None:
    """Apply the action to each, and print the results; exit with code 1 if it was impossible for one of them."""
    if [bool(prefixes), bool(state), search is not None].count(True) != 1:
        raise click.UsageError(
            gettext(
                "Name the ids of mails or tasks, or a state with --state, or a search with --search: one of them."
            )
        )
    if search is not None:
        _of_search(entrypoints, search, action, yes=yes)
        return

    async def work(services: Services) -> int:
        chosen = await _in_state(services, state) if state else prefixes
        if state and not chosen:
            click.echo(gettext("No mail is in the state “%(state)s”.", state=state), err=True)
            return 0
        if state and not _agreed(action.question(len(chosen), state), yes=yes):
            click.echo(gettext("Nothing was done."), err=True)
            return 0
        return await _each(services, chosen, action)

    if with_services(entrypoints, work):
        sys.exit(1)


def _of_search(entrypoints: Entrypoints, text: str, action: BulkAction, *, yes: bool) -> None:
    """Count the mails of a search, ask, and hand them to a background task. Raises `InvalidSearch`."""

    async def work(services: Services) -> None:
        now = clock.now()
        wanted = MailSearch.parse(text, now)
        count = await services.bulk_actions.count(wanted, now)
        if count == 0:
            click.echo(
                gettext("No mail matches. A search looks 7 days back. `since:all` looks at everything."), err=True
            )
            return
        question = (
            action.of_search(count) if count else gettext("These are too many to count. Do it to all of them?")
        )
        if not _agreed(question, yes=yes):
            click.echo(gettext("Nothing was done."), err=True)
            return
        async with services.database.begin() as unit:
            ticket = await services.bulk_actions.start(unit, action.action, wanted, until=now, actor=shell_actor())
        click.echo(str(ticket))
        click.echo(gettext("A worker does it. `mailroom watch %(ticket)s` follows it.", ticket=ticket), err=True)

    with_services(entrypoints, work)


async def _in_state(services: Services, state: str) -> Sequence[IdPrefix]:
    async with services.database.begin() as work:
        ids = await work.session.scalars(select(Mail.id).where(Mail.state == state).order_by(Mail.id))
        return [IdPrefix(mail_id, mail_id) for mail_id in ids]


def _agreed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError(gettext("%(question)s Nobody can be asked here. Add --yes.", question=question))
    return click.confirm(question)


async def _each(services: Services, prefixes: Sequence[IdPrefix], action: BulkAction) -> int:
    """Apply the action to each; return for how many it was impossible. It is done for the others."""
    impossible = 0
    for start in range(0, len(prefixes), BATCH):
        said: list[tuple[str, bool]] = []
        async with services.database.begin() as work:
            for prefix in prefixes[start : start + BATCH]:
                try:
                    ticket = await find_id(work, prefix)
                    said.append((f"{ticket} {await _one(services, work, ticket, action)}", False))
                except MailroomError as error:
                    said.append((f"{prefix}: {error_text(error)}", True))
                    impossible += 1
        for line, wrong in said:  # only now is it committed
            click.echo(line, err=wrong)
    return impossible


async def _one(services: Services, work: UnitOfWork, ticket: UUID, action: BulkAction) -> str:
    """Apply the action to a mail or task, and note it in the audit log; return the words for what was done."""
    try:
        await action.to_mail(services.mail_administration, work, ticket)
        await services.acts.note(work, shell_actor(), f"mail.{action.code}", ticket)
    except UnknownMail:
        task = (await find_task(work, ticket)).task
        await action.to_task(services.task_service, work, ticket)
        await services.acts.note(work, shell_actor(), f"task.{action.code}", ticket)
        await work.session.refresh(task)
        return gettext("asked to stop") if task.state == TaskState.RUNNING else gettext(action.done)
    return gettext(action.done)

"""`mailroom watch` and `mailroom send`: a mail or task followed in the terminal, to its end."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from uuid import UUID

import click

from mailroom.accounts.addresses import Address
from mailroom.cli.live_view import GOOD, LiveView
from mailroom.cli.mail_commands import Ticket
from mailroom.cli.task_views import UnknownTicket
from mailroom.cli.with_services import with_services
from mailroom.i18n.sentences import text_of
from mailroom.ops.entrypoints import Entrypoints
from mailroom.ops.mails import PLAIN
from mailroom.progress.snapshot import Snapshot
from mailroom.services import Services
from mailroom.tasks.models import Task

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the signal's number."""
LONGEST_TEXT = 1_000_000
LONGEST_SUBJECT = 500
"""Characters."""


@click.command()
@click.argument("ticket", metavar="ID", type=Ticket())
@click.pass_obj
def watch(doors: Entrypoints, ticket: UUID) -> None:
    """Follow one mail or task, live, to its end.

    Exit code 0 where it was sent or done, 1 where it was not, 130 after Ctrl-C (it goes on all the same).
    """
    _finish(doors, lambda services: _follow(doors, services, ticket))


@click.command()
@click.option("--to", "address", required=True, help="The address.")
@click.option("--subject", required=True, help="The subject.")
@click.option("--text", help="The text; without it, standard input is read.")
@click.option("--no-wait", is_flag=True, help="Print the id and do not follow it.")
@click.pass_obj
def send(doors: Entrypoints, address: str, subject: str, text: str | None, no_wait: bool) -> None:
    """Send a plain mail and follow it, live, to its end.

    It is written down before it is sent, as all mails are: it goes out even if this command is interrupted.
    Exit codes as those of `watch`.
    """
    if text is None:
        text = sys.stdin.read(LONGEST_TEXT + 1)
    if not text.strip():
        raise click.UsageError("There is no text: give --text, or something on standard input.")
    if len(text) > LONGEST_TEXT or len(subject) > LONGEST_SUBJECT:
        raise click.UsageError("That is too long for a mail.")
    to, words = Address.parse(address).email, {"subject": subject, "text": text.replace("\0", "").rstrip()}

    async def work(services: Services) -> int:
        async with services.database.begin() as unit:
            mail_id = await services.outbox.put(unit, PLAIN, to, words)
        click.echo(str(mail_id), err=not no_wait)
        return 0 if no_wait else await _follow(doors, services, mail_id)

    _finish(doors, work)


def _finish(doors: Entrypoints, work: Callable[[Services], Awaitable[int]]) -> None:
    sys.exit(with_services(doors, work))


async def _follow(doors: Entrypoints, services: Services, ticket: UUID) -> int:
    async with services.database.begin() as work:
        task = await work.session.get(Task, ticket)
    if task is None:
        raise UnknownTicket
    async with doors.tracker(services) as tracker:
        subscription = tracker.subscribe()
        # Ctrl-C ends the stream, and with it all that was opened here, in order.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, subscription.close)
        await subscription.watch([ticket])
        with LiveView(text_of(task.title, task.title_params)) as view:
            async for shown in subscription:
                assert isinstance(shown, Snapshot)  # only the web pushes notices
                view.show(shown)
                if shown.final:
                    return 0 if shown.state in GOOD else 1
    click.echo("No longer followed; it goes on all the same.", err=True)
    return INTERRUPTED

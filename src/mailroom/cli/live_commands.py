"""`mailroom watch` and `mailroom send`: a mail or task followed in the terminal, to its end."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import click

from mailroom.accounts.addresses.address import Address
from mailroom.cli.ids import Id, IdPrefix, find_id
from mailroom.cli.mail_views import answer_of
from mailroom.cli.state_colours import is_good
from mailroom.cli.with_services import with_services
from mailroom.i18n.messages import gettext
from mailroom.i18n.sentences import text_of
from mailroom.kit.text import clean
from mailroom.mail.administration import UnknownMail
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
@click.argument("prefix", metavar="ID", type=Id())
@click.pass_obj
def watch(entrypoints: Entrypoints, prefix: IdPrefix) -> None:
    """Follow one mail or task, live, to its end. The first characters of ID are enough.

    Exit code 0 where it was sent or done, 1 where it was not, 130 after Ctrl-C (the mail or task goes on).
    """

    async def work(services: Services) -> int:
        async with services.database.begin() as unit:
            ticket = await find_id(unit, prefix)
        return await _follow(entrypoints, services, ticket)

    _finish(entrypoints, work)


@click.command()
@click.option("--to", "address", required=True, help="The address.")
@click.option("--subject", required=True, help="The subject.")
@click.option("--text", help="The text; without it, standard input is read.")
@click.option("--no-wait", is_flag=True, help="Print the id and do not follow it.")
@click.pass_obj
def send(entrypoints: Entrypoints, address: str, subject: str, text: str | None, no_wait: bool) -> None:
    """Send a plain mail and follow it, live, to its end.

    It is stored before it is sent, so it goes out even if this command is interrupted. The exit codes are those
    of `watch`.
    """
    if text is None:
        text = sys.stdin.read(LONGEST_TEXT + 1)
    if not text.strip():
        raise click.UsageError(gettext("There is no text. Give --text, or a text on standard input."))
    if len(text) > LONGEST_TEXT or len(subject) > LONGEST_SUBJECT:
        raise click.UsageError(gettext("This is too long for a mail."))
    to, words = Address.parse(address).email, {"subject": subject, "text": text.replace("\0", "").rstrip()}

    async def work(services: Services) -> int:
        async with services.database.begin() as unit:
            mail_id = await services.outbox.put(unit, PLAIN, to, words)
        click.echo(str(mail_id), err=not no_wait)
        return 0 if no_wait else await _follow(entrypoints, services, mail_id)

    _finish(entrypoints, work)


def _finish(entrypoints: Entrypoints, work: Callable[[Services], Awaitable[int]]) -> None:
    sys.exit(with_services(entrypoints, work))


async def _follow(entrypoints: Entrypoints, services: Services, ticket: UUID) -> int:
    async with services.database.begin() as work:
        task = await work.session.get(Task, ticket)
    title = (
        text_of(task.title, task.title_params) if task else gettext("Mail")
    )  # mails of other programs have no title
    last = await _watched(entrypoints, services, ticket, title)
    if last is None:
        click.echo(gettext("It is no longer shown here, and goes on."), err=True)
        return INTERRUPTED
    if is_good(last.state):
        return 0
    await _say_why(services, ticket)
    return 1


async def _watched(entrypoints: Entrypoints, services: Services, ticket: UUID, title: str) -> Snapshot | None:
    """Show each change until the last one and return it; None after Ctrl-C."""
    from mailroom.cli.live_view import LiveView  # with rich: see `tables.py`

    async with entrypoints.tracker(services) as tracker:
        subscription = tracker.subscribe()
        # Ctrl-C ends the stream, and with it all that was opened here, in order.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, subscription.close)
        await subscription.watch([ticket])
        with LiveView(title) as view:
            async for shown in subscription:
                assert isinstance(shown, Snapshot)  # only the web pushes notices
                view.show(shown)
                if shown.final:
                    return shown
    return None


async def _say_why(services: Services, ticket: UUID) -> None:
    """Print the mail server's own words, which pages do not show to members."""
    async with services.database.begin() as work:
        with suppress(UnknownMail):
            found = await services.mail_administration.show(work, ticket)
            attempts = [attempt for attempt in found.attempts if attempt.answer or attempt.code]
            if attempts:
                server = clean(attempts[-1].server or gettext("The cause"))
                click.echo(f"{server}: {answer_of(attempts[-1])}", err=True)
            elif found.mail.answer:
                click.echo(gettext("The cause: %(answer)s", answer=answer_of(found.mail)), err=True)
    click.echo(gettext("`mailroom show %(id)s` shows all that happened.", id=ticket), err=True)

"""`mailroom mails` and `show`: the outbox, and one mail or task with all that happened to it."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import click

from mailroom.cli import mail_views
from mailroom.cli.ids import Id, IdPrefix, find_id
from mailroom.cli.moments import Moment
from mailroom.cli.task_views import find_task, print_task, task_json
from mailroom.cli.with_services import with_services
from mailroom.desk.search import MailSearch
from mailroom.desk.slices import Page
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit import clock
from mailroom.mail.administration import MailFilter, UnknownMail
from mailroom.mail.models import Mail
from mailroom.mail.states import State
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services

SINCE = gettext_noop("Only those since then: 30min, 2h or 7d ago, or a date such as 2026-11-27.")


@click.command()
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
@click.option("--to", help="Only those to this address; @example.org means the whole domain.")
@click.option("--since", type=Moment(), help=SINCE)
@click.option("--search", help='A search as on the desk: "state:failed to:@example.org code:550 since:2h words".')
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def mails(
    entrypoints: Entrypoints,
    *,
    state: str | None,
    to: str | None,
    since: datetime | None,
    search: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List mails, newest first."""
    wanted = MailFilter(state, to, since)
    if search is not None:
        if wanted != MailFilter():
            raise click.UsageError(gettext("Write state:, to: and since: in the text of --search."))
        _search(entrypoints, search, limit, as_json=as_json)
        return

    async def read(services: Services) -> tuple[Sequence[Mail], int]:
        async with services.database.begin() as work:
            found = await services.mail_administration.list(work, wanted, limit=limit)
            return found, await services.mail_administration.count(work, wanted)

    found, total = with_services(entrypoints, read)
    if as_json:
        click.echo(json.dumps([mail_views.mail_json(mail) for mail in found], indent=2))
        return
    mail_views.print_mails(found, clock.now())
    if len(found) < total:
        click.echo(newest_of(len(found), total), err=True)
    if not found:
        click.echo(_nothing(wanted), err=True)


def newest_of(shown: int, total: int) -> str:
    """Return the line below a list that was cut short."""
    return gettext("The newest %(shown)s of %(total)s. --limit shows more.", shown=shown, total=total)


def _search(entrypoints: Entrypoints, text: str, limit: int, *, as_json: bool) -> None:
    """Print the newest mails of a search, and which part of its time was not searched."""

    async def read(services: Services) -> tuple[list[Mail], Page[Mail]]:
        now, mails = clock.now(), list[Mail]()
        wanted, before = MailSearch.parse(text, now), None
        while True:
            page = await services.mail_searches.page(wanted, now, before=before, limit=limit - len(mails))
            mails += page.rows
            if page.next is None or page.next == before or len(mails) >= limit:
                return mails, page
            before = page.next

    found, last = with_services(entrypoints, read)
    if as_json:
        click.echo(json.dumps([mail_views.mail_json(mail) for mail in found], indent=2))
        return
    mail_views.print_mails(found, clock.now())
    if not found:
        words = gettext("No mail matches. A search looks 7 days back. `since:all` looks at everything.")
        click.echo(words, err=True)
    elif last.next is not None:
        click.echo(gettext("The newest %(shown)s. --limit shows more.", shown=len(found)), err=True)


def _nothing(wanted: MailFilter) -> str:
    if wanted == MailFilter():
        return gettext("There are no mails yet.")
    if wanted == MailFilter(wanted.state):
        return gettext("No mail is in the state “%(state)s”.", state=wanted.state)
    return gettext("No mail matches.")


@click.command()
@click.argument("prefix", metavar="ID", type=Id())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(entrypoints: Entrypoints, prefix: IdPrefix, as_json: bool) -> None:
    """Show one mail with each attempt and the mail server's words; or a task with its parts and its traceback.

    The first characters of ID are enough where no other id begins with them.
    """

    async def read(services: Services) -> None:
        async with services.database.begin() as work:
            ticket = await find_id(work, prefix)
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

    with_services(entrypoints, read)

"""`mailroom accounts new-password`, `sign-ups` and `resend`: mails that people wait for."""

import json
from collections.abc import Sequence
from uuid import UUID

import click

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.models import SignUp
from mailroom.cli.actor import shell_actor
from mailroom.cli.tables import Column, print_table
from mailroom.cli.with_services import with_services
from mailroom.desk.as_json import sign_up_json
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit import clock
from mailroom.kit.errors import MailroomError
from mailroom.kit.text import age, clean
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services

COLUMNS = (
    Column(gettext_noop("address"), whole=True),
    Column(gettext_noop("age"), whole=True),
    Column(gettext_noop("mailed"), whole=True),
    Column(gettext_noop("mail"), needed=False),
)


class NoSignUp(MailroomError):
    """No sign-up of this address waits for its confirmation."""


@click.command("new-password")
@click.argument("email")
@click.pass_obj
def new_password(entrypoints: Entrypoints, email: str) -> None:
    """Send the owner of EMAIL a link to a new password. The id of the mail is printed."""

    async def work(services: Services) -> UUID:
        async with services.database.begin() as unit:
            account = await services.account_administration.by_email(unit, email)
        return await services.people.send_new_password(account.id, shell_actor())

    click.echo(str(with_services(entrypoints, work)))


@click.command("sign-ups")
@click.argument("address", default="")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def sign_ups(entrypoints: Entrypoints, address: str, limit: int, as_json: bool) -> None:
    """List sign-ups that wait for their confirmation; those of ADDRESS, its beginning, or @example.org."""
    found = with_services(entrypoints, lambda services: _sign_ups(services, address, limit))
    if as_json:
        click.echo(json.dumps([sign_up_json(one) for one in found], indent=2))
        return
    now = clock.now()
    rows = [
        (clean(one.email), age(one.created_at, now), age(one.mailed_at, now), str(one.mail_id)) for one in found
    ]
    print_table(COLUMNS, rows)
    if not found:
        click.echo(gettext("No sign-up waits."), err=True)


async def _sign_ups(services: Services, address: str, limit: int) -> Sequence[SignUp]:
    async with services.database.begin() as work:
        return await services.account_administration.sign_ups(work, address, limit=limit)


@click.command()
@click.argument("address")
@click.pass_obj
def resend(entrypoints: Entrypoints, address: str) -> None:
    """Send the mail of the newest open sign-up of ADDRESS again. The id of the mail is printed.

    The limits hold that hold for its owner, too.
    """

    async def work(services: Services) -> UUID:
        found = await _sign_ups(services, Address.parse(address).email, 1)
        if not found:
            raise NoSignUp(gettext("No sign-up waits."))
        return await services.people.resend(found[0].id, shell_actor())

    click.echo(str(with_services(entrypoints, work)))

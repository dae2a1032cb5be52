"""`mailroom invitations`: who is invited to sign up."""

from collections.abc import Sequence

import click

from mailroom.accounts.sign_up.errors import UnknownInvitation
from mailroom.accounts.sign_up.invitations import InvitationView
from mailroom.cli.actor import shell_actor
from mailroom.cli.tables import Column, print_table
from mailroom.cli.with_services import with_services
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit.text import clean, full
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services

COLUMNS = (
    Column(gettext_noop("id"), whole=True),
    Column(gettext_noop("to")),
    Column(gettext_noop("state"), whole=True),
    Column(gettext_noop("mail"), whole=True),
    Column(gettext_noop("expires"), needed=False),
    Column(gettext_noop("notes")),
)


@click.group()
def invitations() -> None:
    """Invite people to sign up, list invitations and take them back."""


@invitations.command()
@click.argument("address")
@click.option("--anyone", is_flag=True, help="Everybody who has the link may sign up, with any address.")
@click.pass_obj
def create(entrypoints: Entrypoints, address: str, *, anyone: bool) -> None:
    """Invite ADDRESS by mail. The last line of standard output is the mail's id, for `mailroom watch`."""
    made = with_services(entrypoints, lambda services: _create(services, address, bound=not anyone))
    click.echo(gettext("Invited until %(moment)s. The id of the mail:", moment=full(made.expires_at)), err=True)
    click.echo(str(made.mail_id))


async def _create(services: Services, address: str, *, bound: bool) -> InvitationView:
    return await services.acts.invite(shell_actor(), address, bound=bound)


@invitations.command("list")
@click.pass_obj
def list_invitations(entrypoints: Entrypoints) -> None:
    """List the newest invitations, each with the state of its mail."""
    found = with_services(entrypoints, _list)
    if found:
        print_table(COLUMNS, [_row(one) for one in found])
    else:
        click.echo(gettext("Nobody is invited. Invite somebody: mailroom invitations create ADDRESS"), err=True)


async def _list(services: Services) -> Sequence[InvitationView]:
    async with services.database.begin() as work:
        return await services.invitations.list(work)


def _row(one: InvitationView) -> list[str]:
    notes = "" if one.bound else gettext("any address")
    return [str(one.id), clean(one.email), one.state, one.mail_state, full(one.expires_at), notes]


@invitations.command()
@click.argument("invitation")
@click.pass_obj
def revoke(entrypoints: Entrypoints, invitation: str) -> None:
    """Take INVITATION back: its id, or the first characters of it. Its link stops working."""
    email = with_services(entrypoints, lambda services: _revoke(services, invitation))
    click.echo(gettext("The invitation of %(address)s is revoked.", address=clean(email)))


async def _revoke(services: Services, text: str) -> str:
    async with services.database.begin() as work:
        listed = await services.invitations.list(work, limit=10_000)
        found = [one for one in listed if text and str(one.id).startswith(text.lower())]
    if len(found) != 1:
        raise UnknownInvitation
    return await services.acts.revoke_invitation(shell_actor(), found[0].id)

"""`mailroom operator`: who may see every mail, and who the states, in the browser."""

from collections.abc import Sequence

import click

from mailroom.accounts.operators import ROLES, GrantedRole
from mailroom.accounts.views import AccountView
from mailroom.cli.actor import shell_actor
from mailroom.cli.with_services import with_services
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit.text import clean
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services

NOW = {
    "operator": gettext_noop("%(email)s is an operator now."),
    "viewer": gettext_noop("%(email)s is a viewer now."),
}


@click.group()
def operator() -> None:
    """Give accounts the role of an operator or a viewer, or take it away."""


@operator.command()
@click.argument("email")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="operator",
    show_default=True,
    help="A viewer sees keys and the audit log, but no contents and no full addresses, and changes nothing.",
)
@click.pass_obj
def grant(entrypoints: Entrypoints, email: str, role: GrantedRole) -> None:
    """Give the account of EMAIL a role. The address must be confirmed."""
    account = with_services(entrypoints, lambda services: _grant(services, email, role))
    click.echo(gettext(NOW[role], email=clean(account.email)))


async def _grant(services: Services, email: str, role: GrantedRole) -> AccountView:
    async with services.database.begin() as work:
        account = await services.operators.grant(work, email, role)
        details = {"email": account.email, "role": role}
        await services.audit_log.write(
            work, shell_actor(), "role.granted", target="account", target_id=account.id, details=details
        )
    return account


@operator.command()
@click.argument("email")
@click.pass_obj
def revoke(entrypoints: Entrypoints, email: str) -> None:
    """Take the role away from the account of EMAIL."""
    account = with_services(entrypoints, lambda services: _revoke(services, email))
    click.echo(gettext("%(email)s has no role any more.", email=clean(account.email)))


async def _revoke(services: Services, email: str) -> AccountView:
    async with services.database.begin() as work:
        account = await services.operators.revoke(work, email)
        details = {"email": account.email}
        await services.audit_log.write(
            work, shell_actor(), "role.revoked", target="account", target_id=account.id, details=details
        )
    return account


@operator.command("list")
@click.pass_obj
def list_operators(entrypoints: Entrypoints) -> None:
    """List the operators, one address a line; a viewer's line says so."""
    found = with_services(entrypoints, _list)
    for account in found:
        click.echo(clean(account.email) + ("" if account.is_operator else f"  {account.role}"))
    if not found:
        click.echo(gettext("There is no operator yet. Make one: mailroom operator grant EMAIL"), err=True)


async def _list(services: Services) -> Sequence[AccountView]:
    async with services.database.begin() as work:
        return await services.operators.list(work)

"""`mailroom operator`: who may see every mail, and who the states, in the browser."""

from collections.abc import Sequence

import click

from mailroom.accounts.operators import ROLES, GrantedRole
from mailroom.accounts.views import AccountView
from mailroom.cli.actor import shell_actor
from mailroom.cli.with_services import with_services
from mailroom.kit.text import clean
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services

ARTICLES = {"operator": "an operator", "viewer": "a viewer"}


@click.group()
def operator() -> None:
    """Make accounts operators or viewers, or no longer."""


@operator.command()
@click.argument("email")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="operator",
    show_default=True,
    help="A viewer sees keys and the audit log, no contents and no full addresses, and may do nothing.",
)
@click.pass_obj
def grant(entrypoints: Entrypoints, email: str, role: GrantedRole) -> None:
    """Make the account of EMAIL an operator's. The address must be confirmed."""
    account = with_services(entrypoints, lambda services: _grant(services, email, role))
    click.echo(f"{clean(account.email)} is {ARTICLES[role]} now.")


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
    """Make the account of EMAIL an ordinary one again."""
    account = with_services(entrypoints, lambda services: _revoke(services, email))
    click.echo(f"{clean(account.email)} is no operator.")


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
        click.echo("There is no operator yet: mailroom operator grant EMAIL", err=True)


async def _list(services: Services) -> Sequence[AccountView]:
    async with services.database.begin() as work:
        return await services.operators.list(work)

"""`mailroom operator`: who may see every mail and the servers' raw words in the browser."""

from collections.abc import Sequence

import click
from sqlalchemy import select

from mailroom.accounts.models import Account
from mailroom.cli.with_services import with_services
from mailroom.kit.text import clean
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services


@click.group()
def operator() -> None:
    """Make accounts operators, or no longer."""


@operator.command()
@click.argument("email")
@click.pass_obj
def grant(entrypoints: Entrypoints, email: str) -> None:
    """Make the account of EMAIL an operator's. The address must be confirmed."""
    account = with_services(entrypoints, lambda services: services.operators.grant(email))
    click.echo(f"{clean(account.email)} is an operator now.")


@operator.command()
@click.argument("email")
@click.pass_obj
def revoke(entrypoints: Entrypoints, email: str) -> None:
    """Make the account of EMAIL an ordinary one again."""
    account = with_services(entrypoints, lambda services: services.operators.revoke(email))
    click.echo(f"{clean(account.email)} is no operator.")


@operator.command("list")
@click.pass_obj
def list_operators(entrypoints: Entrypoints) -> None:
    """List the operators, one address a line."""
    emails = with_services(entrypoints, _operators)
    for email in emails:
        click.echo(clean(email))
    if not emails:
        click.echo("There is no operator yet: mailroom operator grant EMAIL", err=True)


async def _operators(services: Services) -> Sequence[str]:
    async with services.database.begin() as work:
        mine = select(Account.email).where(Account.is_operator).order_by(Account.email_key)
        return (await work.session.scalars(mine)).all()

"""`mailroom accounts`: what operators do for members who cannot help themselves."""

import click

from mailroom.accounts.views import AccountView, Origin
from mailroom.cli.actor import shell_actor
from mailroom.cli.with_services import with_services
from mailroom.kit.text import clean
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services


@click.group()
def accounts() -> None:
    """Help members who cannot help themselves."""


@accounts.command("two-step-off")
@click.argument("address")
@click.pass_obj
def two_step_off(entrypoints: Entrypoints, address: str) -> None:
    """Forget every second factor of the account of ADDRESS, and sign it out everywhere.

    For members who have lost phone, passkeys and recovery codes. Make sure that it is they who ask. The owner gets
    a mail that tells of it.
    """
    account = with_services(entrypoints, lambda services: _off(services, address))
    click.echo(f"{clean(account.email)} signs in with one step now. Its owner is told by mail.")


async def _off(services: Services, address: str) -> AccountView:
    async with services.database.begin() as work:
        account = await services.factors.turn_off_by_operator(work, address, Origin("mailroom"))
        details = {"email": account.email}
        await services.audit_log.write(
            work, shell_actor(), "two_step.off", target="account", target_id=account.id, details=details
        )
    return account

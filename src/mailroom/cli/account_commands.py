"""`mailroom accounts`: what operators do with the accounts of members."""

from datetime import datetime

import click

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import UnknownAccount
from mailroom.accounts.views import AccountView, Origin
from mailroom.cli.account_mails import new_password, resend, sign_ups
from mailroom.cli.account_views import list_accounts, lock, show, unlock
from mailroom.cli.actor import shell_actor
from mailroom.cli.with_services import with_services
from mailroom.i18n.messages import gettext
from mailroom.kit.text import clean, full
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services


class Deleted(UnknownAccount):
    """An account of this address was deleted; the address itself is known nowhere any more."""

    message_code = ""


@click.group()
def accounts() -> None:
    """List and show accounts; lock and delete them; help members who have lost their second factors."""


for command in (list_accounts, show, lock, unlock, new_password, sign_ups, resend):
    accounts.add_command(command)


@accounts.command()
@click.argument("address")
@click.pass_obj
def delete(entrypoints: Entrypoints, address: str) -> None:
    """Delete the account of ADDRESS in seven days. A mail tells its owner, who may keep it until then."""
    due = with_services(entrypoints, lambda services: _delete(services, address))
    words = gettext(
        "The account is deleted on %(moment)s. Until then: mailroom accounts undo %(address)s",
        moment=full(due),
        address=clean(address),
    )
    click.echo(words)


async def _delete(services: Services, address: str) -> datetime:
    try:
        return await services.deletion.delete(await services.deletion.find(address), shell_actor())
    except UnknownAccount:
        async with services.database.begin() as work:
            deleted_at = await services.erasure.deleted_at(work, Address.parse(address).key)
        if deleted_at is None:
            raise
        words = gettext("An account of this address was deleted on %(moment)s.", moment=full(deleted_at))
        raise Deleted(words) from None


@accounts.command()
@click.argument("address")
@click.pass_obj
def undo(entrypoints: Entrypoints, address: str) -> None:
    """Keep the account of ADDRESS that is to be deleted."""
    with_services(entrypoints, lambda services: _undo(services, address))
    click.echo(gettext("The account of %(address)s stays.", address=clean(address)))


async def _undo(services: Services, address: str) -> None:
    await services.deletion.undo(await services.deletion.find(address), shell_actor())


@accounts.command("two-step-off")
@click.argument("address")
@click.pass_obj
def two_step_off(entrypoints: Entrypoints, address: str) -> None:
    """Forget every second factor of the account of ADDRESS, and sign it out everywhere.

    For members who have lost their phone, passkeys and recovery codes. Make sure that the owner asks, and nobody
    else. A mail tells the owner.
    """
    account = with_services(entrypoints, lambda services: _two_step_off(services, address))
    words = gettext(
        "%(address)s signs in with one step now. A mail tells its owner.", address=clean(account.email)
    )
    click.echo(words)


async def _two_step_off(services: Services, address: str) -> AccountView:
    async with services.database.begin() as work:
        account = await services.factors.turn_off_by_operator(work, address, Origin("mailroom"))
        details = {"email": account.email}
        await services.audit_log.write(
            work, shell_actor(), "two_step.off", target="account", target_id=account.id, details=details
        )
    return account

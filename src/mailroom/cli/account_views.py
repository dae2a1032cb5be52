"""`mailroom accounts list`, `show`, `lock` and `unlock`."""

import json
from collections.abc import Sequence
from typing import Any

import click

from mailroom.accounts.administration import FoundAccount
from mailroom.accounts.views import Session
from mailroom.cli.actor import shell_actor
from mailroom.cli.tables import Column, print_table
from mailroom.cli.with_services import with_services
from mailroom.desk.as_json import account_json
from mailroom.i18n.code_words import ROLES, word_of
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit import clock
from mailroom.kit.text import age, clean, full
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services

COLUMNS = (
    Column(gettext_noop("address"), whole=True),
    Column(gettext_noop("role")),
    Column(gettext_noop("age"), whole=True),
    Column(gettext_noop("locked")),
)


@click.command("list")
@click.argument("address", default="")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_accounts(entrypoints: Entrypoints, address: str, limit: int, as_json: bool) -> None:
    """List accounts, the newest first; or those of ADDRESS, its beginning, or @example.org for a domain."""

    async def read(services: Services) -> Sequence[FoundAccount]:
        async with services.database.begin() as work:
            return await services.account_administration.find(work, address, limit=limit)

    found = with_services(entrypoints, read)
    if as_json:
        click.echo(json.dumps([account_json(account) for account in found], indent=2))
        return
    now = clock.now()
    print_table(
        COLUMNS,
        [
            (
                clean(one.email),
                one.role or "",
                age(one.created_at, now),
                gettext("locked") if one.locked_at else "",
            )
            for one in found
        ],
    )
    if not found:
        click.echo(gettext("No account matches.") if address else gettext("There are no accounts yet."), err=True)


@click.command()
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(entrypoints: Entrypoints, email: str, as_json: bool) -> None:
    """Show the account of EMAIL and where it is signed in."""

    async def read(services: Services) -> tuple[FoundAccount, Sequence[Session]]:
        async with services.database.begin() as work:
            row = await services.account_administration.by_email(work, email)
        return FoundAccount.of(row), await services.sessions.of_account(row.id)

    account, sessions = with_services(entrypoints, read)
    if as_json:
        told = {**account_json(account), "sessions": [_session_json(session) for session in sessions]}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(f"{clean(account.email)}  {account.id}")
    role, since = word_of(account.role or "", ROLES), full(account.created_at)
    click.echo("  " + gettext("%(role)s, since %(moment)s", role=role, moment=since))
    if account.locked_at:
        click.echo("  " + gettext("locked since %(moment)s", moment=full(account.locked_at)))
    for session in sessions:
        where = f"{clean(session.user_agent)} {session.address or ''}"
        click.echo(
            "  " + gettext("signed in: %(where)s, seen %(moment)s", where=where, moment=full(session.seen_at))
        )


def _session_json(session: Session) -> dict[str, Any]:
    return {
        "browser": session.user_agent,
        "address": session.address,
        "created_at": session.created_at.isoformat(),
        "seen_at": session.seen_at.isoformat(),
    }


@click.command()
@click.argument("email")
@click.pass_obj
def lock(entrypoints: Entrypoints, email: str) -> None:
    """Lock the account of EMAIL: its sessions end, and nobody signs in to it."""
    changed = with_services(entrypoints, lambda services: _set(services, email, lock_it=True))
    if changed:
        click.echo(gettext("The account is locked. Its sessions have ended."))
    else:
        click.echo(gettext("The account was locked already."))


@click.command()
@click.argument("email")
@click.pass_obj
def unlock(entrypoints: Entrypoints, email: str) -> None:
    """Unlock the account of EMAIL."""
    changed = with_services(entrypoints, lambda services: _set(services, email, lock_it=False))
    click.echo(gettext("The account is unlocked.") if changed else gettext("The account was not locked."))


async def _set(services: Services, email: str, *, lock_it: bool) -> bool:
    async with services.database.begin() as work:
        account = await services.account_administration.by_email(work, email)
    act = services.people.lock if lock_it else services.people.unlock
    return await act(account.id, shell_actor())

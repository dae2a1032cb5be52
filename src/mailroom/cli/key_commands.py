"""`mailroom keys`: API keys of other programs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select

from mailroom.api_keys.errors import UnknownKey
from mailroom.api_keys.keys import SCOPES, KeyRequest
from mailroom.api_keys.models import ApiKey
from mailroom.cli.actor import shell_actor
from mailroom.cli.tables import Column, print_table
from mailroom.cli.with_services import with_services
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit import clock
from mailroom.kit.domain_names import to_ascii
from mailroom.kit.text import age, clean
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services

COLUMNS = (
    Column(gettext_noop("id"), whole=True),
    Column(gettext_noop("begins"), whole=True),
    Column(gettext_noop("scope"), whole=True),
    Column(gettext_noop("used"), whole=True),
    Column(gettext_noop("name")),
    Column(gettext_noop("notes")),
)


@click.group()
def keys() -> None:
    """Make, list and revoke the API keys of other programs."""


@keys.command()
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), default="full", show_default=True)
@click.option(
    "--domain", "domains", multiple=True, help="It may send From this domain. Default: that of MAIL_FROM."
)
@click.option("--origin", "origins", multiple=True, help="Pages of this origin may show where its mails are.")
@click.option("--test", is_flag=True, help="Its mails go the whole way, but not to the mail server.")
@click.option("--per-minute", type=click.IntRange(1), help="Mails it may send in a minute. More mails wait.")
@click.option("--per-hour", type=click.IntRange(1), help="Mails it may send in an hour.")
@click.option("--per-day", type=click.IntRange(1), help="Mails it may send in a day.")
@click.option("--days", type=click.IntRange(1, 36500), help="It expires after this many days.")
@click.pass_obj
def create(
    entrypoints: Entrypoints, /, name: str, domains: Sequence[str], days: int | None, **options: Any
) -> None:
    """Make a key. It is shown only once, alone on the last line of standard output."""
    try:
        ascii_domains = [to_ascii(domain.strip()) for domain in domains]
    except ValueError:
        raise click.BadParameter(gettext("A domain looks like example.org."), param_hint="--domain") from None
    expires_at = clock.now() + timedelta(days=days) if days else None
    request = KeyRequest(name, domains=ascii_domains, expires_at=expires_at, **options)
    secret = with_services(entrypoints, lambda services: _create(services, request))
    click.echo(gettext("Keep this key. It is shown only this once."), err=True)
    click.echo(secret)


async def _create(services: Services, request: KeyRequest) -> str:
    async with services.database.begin() as work:
        row, secret = await services.api_keys.create(work, request)
        await services.audit_log.write(
            work, shell_actor(), "key.created", target="key", target_id=row.id, details={"scope": row.scope}
        )
    return secret


@keys.command("list")
@click.option("--all", "revoked", is_flag=True, help="Also list revoked keys.")
@click.pass_obj
def list_keys(entrypoints: Entrypoints, *, revoked: bool) -> None:
    """List the keys, the newest first."""
    found = with_services(entrypoints, lambda services: _list(services, revoked=revoked))
    if found:
        print_table(COLUMNS, [_row(row) for row in found])
    else:
        click.echo(gettext("There is no key yet. Make one: mailroom keys create NAME"), err=True)


async def _list(services: Services, *, revoked: bool) -> Sequence[ApiKey]:
    async with services.database.begin() as work:
        return await services.api_keys.list(work, revoked=revoked)


def _row(row: ApiKey) -> list[str]:
    used = gettext("never")
    if row.last_used_at:
        used = gettext("%(time)s ago", time=age(row.last_used_at, clock.now()))
    notes = [
        *([gettext("revoked")] if row.revoked_at else []),
        *([gettext("test")] if row.test else []),
        *row.domains,
        *row.origins,
    ]
    return [str(row.id), f"{row.start}...", row.scope, used, clean(row.name), clean(", ".join(notes))]


@keys.command()
@click.argument("key")
@click.pass_obj
def revoke(entrypoints: Entrypoints, key: str) -> None:
    """Revoke KEY: an id, its first characters, or the first characters of the key itself."""
    row = with_services(entrypoints, lambda services: _revoke(services, key))
    click.echo(gettext("The key %(name)s is revoked. It stops working within seconds.", name=clean(row.name)))


async def _revoke(services: Services, key: str) -> ApiKey:
    async with services.database.begin() as work:
        rows = (await work.session.scalars(select(ApiKey).where(ApiKey.revoked_at.is_(None)))).all()
        found = [row for row in rows if key and (_is_id(row.id, key) or row.start == key[: len(row.start)])]
        if len(found) > 1:
            raise UnknownKey(gettext("Several keys begin like this. Give more of the id."))
        if not found:
            raise UnknownKey(gettext("There is no such key. `mailroom keys list` shows all keys."))
        row = await services.api_keys.revoke(work, found[0].id)
        await services.audit_log.write(work, shell_actor(), "key.revoked", target="key", target_id=row.id)
    return row


def _is_id(row_id: UUID, text: str) -> bool:
    return str(row_id).startswith(text.lower())

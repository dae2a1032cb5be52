"""`mailroom webhooks`: addresses that are told of events."""

from collections.abc import Sequence

import click

from mailroom.cli.actor import shell_actor
from mailroom.cli.with_services import with_services
from mailroom.i18n.messages import gettext
from mailroom.kit.errors import MailroomError
from mailroom.kit.text import clean
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services
from mailroom.webhooks.endpoints import UnknownWebhook
from mailroom.webhooks.models import WebhookEndpoint
from mailroom.webhooks.payloads import TYPES


@click.group()
def webhooks() -> None:
    """Add, list and remove webhooks: addresses that are told of events."""


@webhooks.command()
@click.argument("url")
@click.option("--event", "events", multiple=True, type=click.Choice(sorted(TYPES)), help="Default: all of them.")
@click.pass_obj
def add(doors: Entrypoints, /, url: str, events: Sequence[str]) -> None:
    """Tell URL of events. The signing secret stands alone on the last line of standard output."""
    secret = with_services(doors, lambda services: _add(services, url, events or sorted(TYPES)))
    click.echo(secret)


async def _add(services: Services, url: str, events: Sequence[str]) -> str:
    async with services.database.begin() as work:
        endpoint, secret = await services.webhooks.create(work, url, events, key=None)
        await services.audit_log.write(
            work, shell_actor(), "webhook.created", target="webhook", target_id=endpoint.id
        )
    return secret


@webhooks.command("list")
@click.pass_obj
def list_webhooks(doors: Entrypoints) -> None:
    """List the addresses, the newest first."""
    found = with_services(doors, _list)
    for endpoint in found:
        state = endpoint.disabled_reason or (gettext("failing") if endpoint.failing_since else gettext("enabled"))
        click.echo("  ".join([str(endpoint.id), f"{state:8}", clean(endpoint.url), ",".join(endpoint.events)]))
    if not found:
        click.echo(gettext("There is no webhook yet. Add one: mailroom webhooks add URL"), err=True)


async def _list(services: Services) -> Sequence[WebhookEndpoint]:
    async with services.database.begin() as work:
        return await services.webhooks.list(work, None)


@webhooks.command()
@click.argument("webhook")
@click.pass_obj
def remove(doors: Entrypoints, /, webhook: str) -> None:
    """Remove WEBHOOK (its id, or the first characters of it) and its deliveries."""
    url = with_services(doors, lambda services: _remove(services, webhook))
    click.echo(gettext("The webhook is removed: %(url)s", url=clean(url)))


async def _remove(services: Services, text: str) -> str:
    async with services.database.begin() as work:
        found = [
            one
            for one in await services.webhooks.list(work, None)
            if text and str(one.id).startswith(text.lower())
        ]
        if len(found) > 1:
            raise MailroomError(gettext("Several webhooks begin like this. Give more of the id."))
        if not found:
            raise UnknownWebhook
        await services.webhooks.remove(work, found[0])
        await services.audit_log.write(
            work, shell_actor(), "webhook.removed", target="webhook", target_id=found[0].id
        )
    return found[0].url

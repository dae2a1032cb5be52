"""`mailroom webhooks`: addresses that are told of events, and what was delivered to each."""

import json
from collections.abc import Sequence
from uuid import UUID

import click

from mailroom.cli.actor import shell_actor
from mailroom.cli.tables import Column, print_table
from mailroom.cli.with_services import with_services
from mailroom.desk.as_json import delivery_json
from mailroom.i18n.code_words import DELIVERY_ERRORS, DELIVERY_STATES, WEBHOOK_DISABLED, word_of
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit import clock
from mailroom.kit.errors import MailroomError
from mailroom.kit.text import age, clean
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services
from mailroom.webhooks.endpoints import UnknownWebhook
from mailroom.webhooks.models import WebhookDelivery, WebhookEndpoint
from mailroom.webhooks.payloads import TYPES

COLUMNS = (
    Column(gettext_noop("id"), whole=True),
    Column(gettext_noop("age"), whole=True),
    Column(gettext_noop("event"), whole=True),
    Column(gettext_noop("state"), whole=True),
    Column(gettext_noop("attempts"), needed=False),
    Column(gettext_noop("answer")),
)


@click.group()
def webhooks() -> None:
    """Add, list, switch and remove webhooks, addresses that are told of events; see and repeat deliveries.

    For WEBHOOK, its id or the first characters of it are enough.
    """


@webhooks.command()
@click.argument("url")
@click.option("--event", "events", multiple=True, type=click.Choice(sorted(TYPES)), help="Default: all of them.")
@click.pass_obj
def add(doors: Entrypoints, /, url: str, events: Sequence[str]) -> None:
    """Tell URL of events. The signing secret stands alone on the last line of standard output."""
    chosen = events or sorted(TYPES)
    _, secret = with_services(doors, lambda services: services.webhook_acts.create(shell_actor(), url, chosen))
    click.echo(secret)


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
def enable(doors: Entrypoints, /, webhook: str) -> None:
    """Tell WEBHOOK of events again, from now on."""
    url = with_services(doors, lambda services: _switch(services, webhook, enabled=True))
    click.echo(gettext("The webhook is enabled: %(url)s", url=clean(url)))


@webhooks.command()
@click.argument("webhook")
@click.pass_obj
def disable(doors: Entrypoints, /, webhook: str) -> None:
    """Tell WEBHOOK of nothing more. Deliveries that wait are given up."""
    url = with_services(doors, lambda services: _switch(services, webhook, enabled=False))
    click.echo(gettext("The webhook is disabled: %(url)s", url=clean(url)))


async def _switch(services: Services, text: str, *, enabled: bool) -> str:
    endpoint = await _find(services, text)
    await services.webhook_acts.change(shell_actor(), endpoint.id, enabled=enabled)
    return endpoint.url


@webhooks.command()
@click.argument("webhook")
@click.pass_obj
def remove(doors: Entrypoints, /, webhook: str) -> None:
    """Remove WEBHOOK and its deliveries."""
    url = with_services(doors, lambda services: _remove(services, webhook))
    click.echo(gettext("The webhook is removed: %(url)s", url=clean(url)))


async def _remove(services: Services, text: str) -> str:
    endpoint = await _find(services, text)
    await services.webhook_acts.remove(shell_actor(), endpoint.id)
    return endpoint.url


@webhooks.command()
@click.argument("webhook")
@click.option("--before", type=click.IntRange(1), help="Only those before this number, as --json shows it.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with what was delivered.")
@click.pass_obj
def deliveries(doors: Entrypoints, /, webhook: str, before: int | None, limit: int, as_json: bool) -> None:
    """List what was delivered to WEBHOOK, the newest first."""

    async def read(services: Services) -> tuple[WebhookEndpoint, Sequence[WebhookDelivery]]:
        endpoint = await _find(services, webhook)
        async with services.database.begin() as work:
            return endpoint, await services.webhooks.deliveries(work, endpoint, before=before, limit=limit)

    endpoint, found = with_services(doors, read)
    if as_json:
        click.echo(json.dumps([delivery_json(one) for one in found], indent=2))
        return
    print_table(COLUMNS, [_cells(one) for one in found])
    if not found:
        click.echo(gettext("Nothing was delivered yet."), err=True)
    if endpoint.disabled_at:
        words = word_of(endpoint.disabled_reason or "", WEBHOOK_DISABLED)
        click.echo(gettext("This webhook is disabled. %(why)s", why=words), err=True)


def _cells(delivery: WebhookDelivery) -> list[str]:
    words = word_of(delivery.error or "", DELIVERY_ERRORS)
    return [
        str(delivery.id),
        age(delivery.created_at, clock.now()),
        delivery.type,
        word_of(delivery.state, DELIVERY_STATES),
        str(delivery.attempts),
        " ".join(filter(None, (str(delivery.status or ""), words))),
    ]


@webhooks.command()
@click.argument("webhook")
@click.argument("delivery", type=click.UUID)
@click.pass_obj
def replay(doors: Entrypoints, /, webhook: str, delivery: UUID) -> None:
    """Send DELIVERY of WEBHOOK again, under its id. Receivers know the repeat by it."""
    with_services(doors, lambda services: _replay(services, webhook, delivery))
    click.echo(gettext("The delivery is sent again."))


async def _replay(services: Services, text: str, delivery: UUID) -> None:
    endpoint = await _find(services, text)
    await services.webhook_acts.replay(shell_actor(), endpoint.id, delivery)


async def _find(services: Services, text: str) -> WebhookEndpoint:
    """Return the one webhook whose id begins so. Raises `UnknownWebhook`, `MailroomError`."""
    found = [one for one in await _list(services) if text and str(one.id).startswith(text.lower())]
    if len(found) > 1:
        raise MailroomError(gettext("Several webhooks begin like this. Give more of the id."))
    if not found:
        raise UnknownWebhook
    return found[0]

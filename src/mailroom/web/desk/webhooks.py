"""Webhooks: endpoints, and the deliveries of each, live. Operators send one again, and switch an endpoint."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

from quart import Blueprint, Response, abort, request

from mailroom.i18n.messages import gettext_noop, translated
from mailroom.kit.ids import parse_id
from mailroom.kit.unit_of_work import UnitOfWork
from mailroom.web import limits
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, operator, staff
from mailroom.web.desk.frame import desk_page
from mailroom.web.page import redirect
from mailroom.webhooks.endpoints import UnknownDelivery, UnknownWebhook
from mailroom.webhooks.models import WebhookDelivery, WebhookEndpoint
from mailroom.webhooks.payloads import RESERVED

blueprint = Blueprint("desk_webhooks", __name__, url_prefix="/desk/webhooks")

COMMAND = "mailroom webhooks add"
SHOWN = 50
"""Deliveries on a page."""
STATES = {
    "waiting": ("unsure", gettext_noop("waits")),
    "delivered": ("good", gettext_noop("delivered")),
    "failed": ("bad", gettext_noop("failed")),
}
"""State of a delivery → its colour and its word."""
ERRORS = {
    "timeout": gettext_noop("no answer within 10 seconds"),
    "unreachable": gettext_noop("nobody answers at this address"),
    "forbidden target": gettext_noop("the address leads into a private network"),
    "secret lost": gettext_noop("its signing secret cannot be read: SECRET_KEY was changed"),
    "refused": gettext_noop("the endpoint refused it"),
    "disabled": gettext_noop("the endpoint was disabled"),
}
DISABLED = {
    "gone": gettext_noop("The endpoint says that it is gone (410)."),
    "failing": gettext_noop("It has failed for five days."),
    "by hand": gettext_noop("Somebody disabled it."),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as its reader may see it: an address may hold a secret, so a viewer sees its host alone."""

    row: WebhookEndpoint
    address: str
    disabled: str
    reserved: list[str]

    @classmethod
    def of(cls, row: WebhookEndpoint, *, acts: bool) -> Self:
        """Return what is shown."""
        words = translated(DISABLED.get(row.disabled_reason or "", "")) if row.disabled_at else ""
        address = row.url if acts else urlsplit(row.url).hostname or ""
        return cls(row, address, words, sorted(RESERVED & set(row.events)))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it is shown; nothing of its payload."""

    row: WebhookDelivery
    mood: str
    word: str
    error: str

    @classmethod
    def of(cls, row: WebhookDelivery) -> Self:
        """Return what is shown."""
        mood, word = STATES[row.state]
        return cls(row, mood, translated(word), translated(ERRORS.get(row.error or "", row.error or "")))


@blueprint.get("")
async def webhooks() -> Response:
    """List the endpoints, the newest first."""
    acts = (await staff()).is_operator
    async with services().database.begin() as work:
        rows = await services().webhooks.list(work, None)
    shown = [Endpoint.of(row, acts=acts) for row in rows]
    return await desk_page("desk/webhooks.html", endpoints=shown, command=COMMAND)


@blueprint.get("/<webhook_id>")
async def one_webhook(webhook_id: str) -> Response:
    """Show an endpoint and its deliveries, the newest first."""
    acts, before = (await staff()).is_operator, request.args.get("before", "")
    number = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None  # noqa: PLR2004  # bigint
    async with services().database.begin() as work:
        endpoint = await _get(work, webhook_id)
        rows = await services().webhooks.deliveries(work, endpoint, before=number, limit=SHOWN + 1)
    return await desk_page(
        "desk/webhook.html",
        endpoint=Endpoint.of(endpoint, acts=acts),
        deliveries=[Delivery.of(row) for row in rows[:SHOWN]],
        paged=number is not None,
        older=rows[SHOWN - 1].number if len(rows) > SHOWN else None,
    )


@blueprint.post("/<webhook_id>/deliveries/<delivery_id>/replay")
@limits.limited(limits.CHANGE)
async def replay(webhook_id: str, delivery_id: str) -> Response:
    """Send a delivery again, under its id. One that waits already is left as it is."""
    account, found = await operator(), parse_id(delivery_id)
    if found is None:
        abort(404)
    async with services().database.begin() as work:
        endpoint = await _get(work, webhook_id)
        try:
            await services().webhooks.replay(work, endpoint, found)
        except UnknownDelivery:
            return redirect(_path(endpoint.id))
        await services().audit_log.write(
            work, actor_of(account), "webhook.replayed", target="webhook", target_id=endpoint.id
        )
    return redirect(_path(endpoint.id))


@blueprint.post("/<webhook_id>/switch")
@limits.limited(limits.CHANGE)
async def switch(webhook_id: str) -> Response:
    """Enable an endpoint that is disabled, and disable one that is enabled."""
    account = await operator()
    async with services().database.begin() as work:
        endpoint = await _get(work, webhook_id)
        await services().webhooks.change(work, endpoint, enabled=endpoint.disabled_at is not None)
        await services().audit_log.write(
            work, actor_of(account), "webhook.changed", target="webhook", target_id=endpoint.id
        )
    return redirect(_path(endpoint.id))


async def _get(work: UnitOfWork, webhook_id: str) -> WebhookEndpoint:
    """Return the endpoint; 404 where there is none."""
    found = parse_id(webhook_id)
    if found is None:
        abort(404)
    try:
        return await services().webhooks.get(work, found, None)
    except UnknownWebhook:
        abort(404)


def _path(webhook_id: UUID) -> str:
    return f"/desk/webhooks/{webhook_id}"

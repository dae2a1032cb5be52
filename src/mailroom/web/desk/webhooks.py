"""Webhooks: endpoints, and the deliveries of each, live.

Operators can add, enable, disable and remove an endpoint, and send a delivery again.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

from quart import Blueprint, Response, abort, request

from mailroom.i18n.code_words import DELIVERY_ERRORS, DELIVERY_STATES, WEBHOOK_DISABLED, word_of
from mailroom.i18n.messages import gettext
from mailroom.kit.ids import parse_id
from mailroom.kit.unit_of_work import UnitOfWork
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, operator, staff
from mailroom.web.desk.frame import desk_page
from mailroom.web.forms.fields import Invalid, sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, refuse, take, typed
from mailroom.webhooks.endpoints import MOST, InvalidWebhook, UnknownDelivery, UnknownWebhook
from mailroom.webhooks.models import WebhookDelivery, WebhookEndpoint
from mailroom.webhooks.payloads import RESERVED, TYPES
from mailroom.webhooks.targets import ForbiddenTarget, InvalidUrl

blueprint = Blueprint("desk_webhooks", __name__, url_prefix="/desk/webhooks")

OFFERED = sorted(TYPES - RESERVED)
"""The events that the form offers. Reserved ones exist only for SDKs that ask for all events."""
SHOWN = 50
"""Deliveries on a page."""
MOODS = {"waiting": "unsure", "delivered": "good", "failed": "bad"}
"""State of a delivery → its colour."""


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
        words = word_of(row.disabled_reason or "", WEBHOOK_DISABLED) if row.disabled_at else ""
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
        error = word_of(row.error or "", DELIVERY_ERRORS)
        return cls(row, MOODS[row.state], word_of(row.state, DELIVERY_STATES), error)


@blueprint.get("")
async def webhooks() -> Response:
    """List the endpoints, the newest first; operators get the form that adds one, too."""
    return await _page(take())


async def _page(refused: Refused) -> Response:
    acts = (await staff()).is_operator
    async with services().database.begin() as work:
        rows = await services().webhooks.list(work, None)
    return await desk_page(
        "desk/webhooks.html",
        refused.status,
        endpoints=[Endpoint.of(row, acts=acts) for row in rows],
        offered=OFFERED,
        values=refused.values,
        messages=refused.messages,
    )


@blueprint.post("")
@limits.limited(limits.CHANGE)
async def create() -> Response:
    """Add an endpoint and show its signing secret, this once."""
    account, values = await operator(), await sent_values()
    url, events = str(values.get("endpoint", "")).strip(), [event for event in OFFERED if values.get(event)]
    kept = typed(values, "endpoint", *OFFERED)
    if messages := _messages(url, events):
        return await refuse(Invalid(messages), _page, kept)
    try:
        row, secret = await services().webhook_acts.create(actor_of(account), url, events)
    except InvalidWebhook:  # the rest is checked above, so there are too many
        full = gettext("There are %(count)s webhooks already. Please remove one first.", count=MOST)
        return await refuse(Invalid({"endpoint": full}), _page, kept)
    made = await desk_page("desk/made_webhook.html", 201, endpoint=row, secret=secret)
    made.headers["Cache-Control"] = "no-store"
    return made


def _messages(url: str, events: list[str]) -> dict[str, str]:
    """Return what is wrong with an endpoint, by field of the form."""
    messages: dict[str, str] = {}
    try:
        services().webhooks.check(url)
    except InvalidUrl:
        messages["endpoint"] = gettext(
            "Please type an address that begins with https://, without a user name and without #."
        )
    except ForbiddenTarget:
        messages["endpoint"] = gettext(
            "This address leads into a private network. WEBHOOK_PRIVATE_NETWORKS=yes allows that."
        )
    if not events:
        messages["events"] = gettext("Please choose at least one event.")
    return messages


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
    account, delivery = await operator(), parse_id(delivery_id) or abort(404)
    endpoint = await _endpoint(webhook_id)
    with suppress(UnknownDelivery):
        await services().webhook_acts.replay(actor_of(account), endpoint.id, delivery)
    return redirect(_path(endpoint.id))


@blueprint.post("/<webhook_id>/switch")
@limits.limited(limits.CHANGE)
async def switch(webhook_id: str) -> Response:
    """Enable an endpoint that is disabled, and disable one that is enabled."""
    account, endpoint = await operator(), await _endpoint(webhook_id)
    enabled = endpoint.disabled_at is not None
    await services().webhook_acts.change(actor_of(account), endpoint.id, enabled=enabled)
    return redirect(_path(endpoint.id))


@blueprint.post("/<webhook_id>/remove")
@limits.limited(limits.CHANGE)
async def remove(webhook_id: str) -> Response:
    """Remove an endpoint with its deliveries, if the box that confirms it is checked."""
    account, values = await operator(), await sent_values()
    endpoint = await _endpoint(webhook_id)
    if not values.get("sure"):
        return redirect(_path(endpoint.id))
    await services().webhook_acts.remove(actor_of(account), endpoint.id)
    return redirect("/desk/webhooks")


async def _endpoint(webhook_id: str) -> WebhookEndpoint:
    async with services().database.begin() as work:
        return await _get(work, webhook_id)


async def _get(work: UnitOfWork, webhook_id: str) -> WebhookEndpoint:
    """Return the endpoint; 404 if there is none."""
    found = parse_id(webhook_id)
    if found is None:
        abort(404)
    try:
        return await services().webhooks.get(work, found, None)
    except UnknownWebhook:
        abort(404)


def _path(webhook_id: UUID) -> str:
    return f"/desk/webhooks/{webhook_id}"

"""`/api/v1/webhooks`, in Resend's form, and their deliveries. For keys of scope `full`."""

from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from quart import Blueprint, Response, request
from quart_schema import document_querystring, document_request, document_response, operation_id, tag

from mailroom.desk.as_json import delivery_json
from mailroom.kit.database import LARGEST_BIGINT, UnitOfWork
from mailroom.kit.ids import parse_id
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ADMINISTERS, actor_of, current_key, needs_key
from mailroom.web.api.queries import Cut, Query, query_of
from mailroom.web.api.validation import in_words
from mailroom.web.browser import services
from mailroom.web.program_answers import answer
from mailroom.web.rate_limits.limits import API, limited_reads
from mailroom.webhooks.endpoints import InvalidWebhook, UnknownDelivery, UnknownWebhook
from mailroom.webhooks.models import WebhookEndpoint
from mailroom.webhooks.payloads import RESERVED, TYPES

blueprint = Blueprint("webhooks", __name__, url_prefix="/api/v1/webhooks")

Body = TypeVar("Body", bound=BaseModel)
ENABLED, DISABLED = "enabled", "disabled"
MOST_LISTED = 50
Event = Annotated[str, Field(json_schema_extra={"enum": sorted(TYPES)})]
"""A type of `webhooks/payloads.py`; the document names all of them."""


class WebhookBody(BaseModel):
    """An endpoint to be told of events."""

    model_config = ConfigDict(hide_input_in_errors=True)

    endpoint: str = Field(description="https://…")
    events: list[Event]


class ChangeBody(BaseModel):
    """What to change of an endpoint."""

    model_config = ConfigDict(hide_input_in_errors=True)

    endpoint: str | None = None
    events: list[Event] | None = None
    status: str | None = Field(None, description="enabled or disabled")


class WebhookShown(BaseModel):
    """An endpoint."""

    object: str = "webhook"
    id: str
    created_at: str
    status: str
    endpoint: str
    events: list[str]
    reserved_events: list[str] = Field(
        description="those of `events` that nothing makes yet: Mailroom reads no bounces"
    )
    signing_secret: str | None = None
    disabled_reason: str | None = None


class WebhookList(BaseModel):
    """The endpoints that this key may see."""

    object: str = "list"
    has_more: bool
    data: list[WebhookShown]


class WebhookChanged(BaseModel):
    """The endpoint that was changed."""

    object: str = "webhook"
    id: str
    deleted: bool | None = None


class Delivery(BaseModel):
    """One event for one endpoint."""

    id: str = Field(description="the webhook-id of each attempt")
    number: int
    type: str
    state: str = Field(description="waiting, delivered or failed")
    attempts: int
    status: int | None = Field(description="the HTTP status of the last attempt")
    error: str | None = Field(description="why the last attempt failed")
    payload: dict[str, Any]
    created_at: str
    next_at: str | None
    ended_at: str | None


class DeliveryList(BaseModel):
    """Deliveries, the newest first."""

    object: str = "list"
    has_more: bool
    data: list[Delivery]


class DeliveryQuery(Query):
    """Which deliveries to list."""

    before: int | None = Field(None, ge=0, le=LARGEST_BIGINT, description="only those before this number")


@blueprint.post("")
@limited_reads(API)
@operation_id("createWebhook")
@tag(["webhooks"])
@document_request(WebhookBody)
@document_response(WebhookShown, 201)
@refusals
@needs_key(ADMINISTERS)
async def create() -> Response:
    """Have an address told of events. Deliveries are signed with the secret (Standard Webhooks)."""
    key, body = await current_key(), await _body(WebhookBody)
    endpoint, secret = await services().webhook_acts.create(actor_of(key), body.endpoint, body.events, key=key)
    return answer({**_shown(endpoint), "signing_secret": secret}, 201)


@blueprint.get("")
@limited_reads(API)
@operation_id("listWebhooks")
@tag(["webhooks"])
@document_querystring(Cut)
@document_response(WebhookList, 200)
@refusals
@needs_key(ADMINISTERS)
async def list_all() -> Response:
    """List the endpoints, the newest first."""
    key = await current_key()
    async with services().database.begin() as work:
        found, more = query_of(Cut).of(await services().webhooks.list(work, key))
    return answer({"object": "list", "has_more": more, "data": [_shown(endpoint) for endpoint in found]})


@blueprint.get("/<webhook_id>")
@limited_reads(API)
@operation_id("getWebhook")
@tag(["webhooks"])
@document_response(WebhookShown, 200)
@refusals
@needs_key(ADMINISTERS)
async def look_up(webhook_id: str) -> Response:
    """Return an endpoint, with its signing secret."""
    async with services().database.begin() as work:
        endpoint = await _get(work, webhook_id)
    return answer({**_shown(endpoint), "signing_secret": services().webhooks.secret_of(endpoint)})


@blueprint.patch("/<webhook_id>")
@limited_reads(API)
@operation_id("updateWebhook")
@tag(["webhooks"])
@document_request(ChangeBody)
@document_response(WebhookChanged, 200)
@refusals
@needs_key(ADMINISTERS)
async def change(webhook_id: str) -> Response:
    """Change an endpoint's address or events; enable or disable it."""
    key, body, found = await current_key(), await _body(ChangeBody), _id(webhook_id)
    if body.status not in {None, ENABLED, DISABLED}:
        raise InvalidWebhook("status", f"Give {ENABLED} or {DISABLED}.")
    enabled = None if body.status is None else body.status == ENABLED
    await services().webhook_acts.change(
        actor_of(key), found, key=key, url=body.endpoint, events=body.events, enabled=enabled
    )
    return answer({"object": "webhook", "id": str(found)})


@blueprint.delete("/<webhook_id>")
@limited_reads(API)
@operation_id("removeWebhook")
@tag(["webhooks"])
@document_response(WebhookChanged, 200)
@refusals
@needs_key(ADMINISTERS)
async def remove(webhook_id: str) -> Response:
    """Remove an endpoint and its deliveries."""
    key, found = await current_key(), _id(webhook_id)
    await services().webhook_acts.remove(actor_of(key), found, key=key)
    return answer({"object": "webhook", "id": str(found), "deleted": True})


@blueprint.get("/<webhook_id>/deliveries")
@limited_reads(API)
@operation_id("listWebhookDeliveries")
@tag(["webhooks"])
@document_querystring(DeliveryQuery)
@document_response(DeliveryList, 200)
@refusals
@needs_key(ADMINISTERS)
async def list_deliveries(webhook_id: str) -> Response:
    """List an endpoint's deliveries, the newest first; `before` is the `number` of the last one seen."""
    before = query_of(DeliveryQuery).before
    async with services().database.begin() as work:
        endpoint = await _get(work, webhook_id)
        found = await services().webhooks.deliveries(work, endpoint, before=before, limit=MOST_LISTED + 1)
    data = [delivery_json(delivery) for delivery in found[:MOST_LISTED]]
    return answer({"object": "list", "has_more": len(found) > MOST_LISTED, "data": data})


@blueprint.post("/<webhook_id>/deliveries/<delivery_id>/replay")
@limited_reads(API)
@operation_id("replayWebhookDelivery")
@tag(["webhooks"])
@document_response(WebhookChanged, 200)
@refusals
@needs_key(ADMINISTERS)
async def replay(webhook_id: str, delivery_id: str) -> Response:
    """Send a delivery again, under its id."""
    key, found, delivery = await current_key(), _id(webhook_id), parse_id(delivery_id)
    if delivery is None:
        raise UnknownDelivery
    await services().webhook_acts.replay(actor_of(key), found, delivery, key=key)
    return answer({"object": "webhook", "id": str(found)})


async def _get(work: UnitOfWork, webhook_id: str) -> WebhookEndpoint:
    return await services().webhooks.get(work, _id(webhook_id), await current_key())


def _id(webhook_id: str) -> UUID:
    found = parse_id(webhook_id)
    if found is None:
        raise UnknownWebhook
    return found


async def _body(kind: type[Body]) -> Body:
    value = await request.get_json()
    if not isinstance(value, dict):
        raise InvalidWebhook("body", "Send a JSON object.")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        wrong = in_words(error)
        raise InvalidWebhook(wrong.field, str(wrong)) from None


def _shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "object": "webhook",
        "id": str(endpoint.id),
        "created_at": endpoint.created_at.isoformat(),
        "status": DISABLED if endpoint.disabled_at else ENABLED,
        "endpoint": endpoint.url,
        "events": endpoint.events,
        "reserved_events": sorted(RESERVED & set(endpoint.events)),
        "disabled_reason": endpoint.disabled_reason,
    }

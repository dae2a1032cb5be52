"""`/api/v1/emails`: send, send a batch, list, look up, reschedule, cancel."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from quart import Blueprint, Response, request
from quart_schema import (
    document_headers,
    document_querystring,
    document_request,
    document_response,
    operation_id,
    tag,
)

from mailroom.api_keys.errors import ForbiddenSender
from mailroom.api_keys.idempotency import answered_before, keep_answer
from mailroom.api_keys.keys import Key
from mailroom.kit import clock
from mailroom.kit.database import PlainWork
from mailroom.kit.ids import parse_id
from mailroom.mail.messages.changes import cancel, reschedule
from mailroom.mail.messages.draft import Draft, InvalidMessage
from mailroom.mail.messages.views import LAST_EVENT, Filter, FoundMessage, find_message, list_messages
from mailroom.web.api.emails import documents, found_documents
from mailroom.web.api.emails.bodies import ChangeBody, EmailBody, read_body
from mailroom.web.api.emails.payload import Payload, payload_of
from mailroom.web.api.emails.views import listed, shown
from mailroom.web.api.keys import READS, SENDS, actor_of, current_key, needs_key
from mailroom.web.api.queries import id_in, query_of
from mailroom.web.api.validation import in_words
from mailroom.web.browser import services
from mailroom.web.program_answers import ApiError, answer
from mailroom.web.rate_limits.limits import API, limited_reads
from mailroom.web.requests import takes_body

blueprint = Blueprint("emails", __name__, url_prefix="/api/v1/emails")

LARGEST, SECONDS = 40 * 1024 * 1024, 120.0
MOST_IN_BATCH = 100
STRICT, PERMISSIVE = "strict", "permissive"


@blueprint.post("")
@limited_reads(API)
@takes_body(LARGEST, SECONDS)
@operation_id("sendEmail")
@tag(["emails"])
@document_headers(documents.IdempotencyHeader)
@document_request(documents.EmailDocument)
@document_response(documents.SentDocument, 200)
@documents.refusals
@needs_key(SENDS)
async def send() -> Response:
    """Send one message to at most 50 recipients."""
    key = await current_key()
    check = services().acceptance.check

    async with payload_of("/emails") as payload:

        def read() -> list[Draft]:
            draft = read_body(EmailBody, payload.take()).draft(clock.now())
            check(key, draft)
            return [draft]

        ids = await _put(key, payload, await payload.make(read))
    return answer(_sent(ids[0], key))


@blueprint.post("/batch")
@limited_reads(API)
@takes_body(LARGEST, SECONDS)
@operation_id("sendBatch")
@tag(["emails"])
@document_headers(documents.BatchHeaders)
@document_request(documents.BatchDocument)
@document_response(documents.SentBatchDocument, 200)
@documents.refusals
@needs_key(SENDS)
async def send_batch() -> Response:
    """Send 1 to 100 messages. With `x-batch-validation: permissive`, valid ones are sent and errors are listed."""
    key = await current_key()
    mode = request.headers.get("x-batch-validation", STRICT).lower()
    if mode not in {STRICT, PERMISSIVE}:
        raise InvalidMessage("x-batch-validation", f"Give {STRICT} or {PERMISSIVE}.")
    permissive = mode == PERMISSIVE
    errors: list[dict[str, Any]] = []
    check = services().acceptance.check

    async with payload_of("/emails/batch") as payload:

        def read() -> list[Draft]:
            value, drafts = payload.take(), list[Draft]()
            if not isinstance(value, list) or not 1 <= len(value) <= MOST_IN_BATCH:
                raise InvalidMessage("body", f"Send a JSON array of 1 to {MOST_IN_BATCH} messages.")
            for index, one in enumerate(value):
                try:
                    draft = read_body(EmailBody, one).draft(clock.now())
                    check(key, draft)
                    drafts.append(draft)
                except InvalidMessage as error:
                    if not permissive:
                        raise InvalidMessage(f"{index}.{error.field}", str(error)) from None
                    errors.append({"index": index, "message": f"`{error.field}`: {error}"})
                except ForbiddenSender as error:
                    if not permissive:
                        raise
                    errors.append({"index": index, "message": f"`from`: {error}"})
            return drafts

        drafts = await payload.make(read)
        ids = await _put(key, payload, drafts) if drafts else []
        del drafts
    sent: dict[str, Any] = {"data": [_sent(message_id, key) for message_id in ids]}
    return answer(sent | {"errors": errors} if permissive else sent)


@blueprint.get("")
@limited_reads(API)
@operation_id("listEmails")
@tag(["emails"])
@document_querystring(documents.ListQuery)
@document_response(found_documents.ListDocument, 200)
@documents.refusals
@needs_key(READS)
async def list_all() -> Response:
    """List messages, the newest first."""
    key = await current_key()
    asked = query_of(documents.ListQuery)
    wanted = _filter(asked, key)
    async with services().database.begin() as work:
        found, more = await list_messages(work, wanted, limit=asked.limit)
    return answer({"object": "list", "has_more": more, "data": [listed(one) for one in found]})


@blueprint.get("/<email_id>")
@limited_reads(API)
@operation_id("getEmail")
@tag(["emails"])
@document_response(found_documents.FoundDocument, 200)
@documents.refusals
@needs_key(READS)
async def look_up(email_id: str) -> Response:
    """Return a message: its recipients, each with state, attempts and events."""
    key = await current_key()
    found = await _find(email_id, key)
    body = await asyncio.to_thread(shown, found, services().watch_tokens, key)
    return answer(body)


@blueprint.patch("/<email_id>")
@limited_reads(API)
@operation_id("rescheduleEmail")
@tag(["emails"])
@document_request(documents.ChangeDocument)
@document_response(documents.ChangedDocument, 200)
@documents.refusals
@needs_key(SENDS)
async def put_off(email_id: str) -> Response:
    """Send a scheduled message at another time."""
    key = await current_key()
    found = await _find(email_id, key, content=False)
    async with payload_of("") as payload:
        value = payload.take()
    due = _change(value).due(clock.now())
    async with services().database.begin_plain() as work:
        await reschedule(work, found.message.id, due)
        await _note(work, key, "message.rescheduled", found)
    return answer({"object": "email", "id": str(found.message.id)})


@blueprint.post("/<email_id>/cancel")
@limited_reads(API)
@operation_id("cancelEmail")
@tag(["emails"])
@document_response(documents.ChangedDocument, 200)
@documents.refusals
@needs_key(SENDS)
async def cancel_one(email_id: str) -> Response:
    """Cancel those mails of a message that still wait."""
    key = await current_key()
    found = await _find(email_id, key, content=False)
    async with services().database.begin_plain() as work:
        await cancel(work, found.message.id, services().counters)
        await _note(work, key, "message.cancelled", found)
    return answer({"object": "email", "id": str(found.message.id)})


async def _put(key: Key, payload: Payload, drafts: list[Draft]) -> list[UUID]:
    """Write the messages and, in the same transaction, the answer under their Idempotency-Key, if there is one.

    The list of drafts is emptied.
    """
    have = services()
    if payload.idempotency_key is None:
        return await have.acceptance.accept_at_once(key, drafts)
    async with have.database.begin_plain() as work:
        before = await answered_before(work, key.id, payload.idempotency_key, payload.fingerprint)
        if before is not None:
            return before
        ids = await have.acceptance.accept(work, key, drafts)
        await keep_answer(work, key.id, payload.idempotency_key, payload.fingerprint, ids)
    return ids


async def _find(email_id: str, key: Key, *, content: bool = True) -> FoundMessage:
    """Return the message. Another key's message is answered like an unknown one."""
    message_id = parse_id(email_id)
    found = None
    if message_id is not None:
        own = key.id if key.sees_only_its_own else None
        async with services().database.begin() as work:
            found = await find_message(work, message_id, key_id=own, content=content)
    if found is None:
        raise ApiError(404, "not_found", "There is no such email.")
    return found


async def _note(work: PlainWork, key: Key, action: str, found: FoundMessage) -> None:
    await services().audit_log.write(work, actor_of(key), action, target="message", target_id=found.message.id)


def _sent(message_id: UUID, key: Key) -> dict[str, str]:
    have = services()
    token = have.watch_tokens.make("message", message_id, key.id)
    return {
        "id": str(message_id),
        "watch_token": token,
        "watch_url": f"{have.settings.public_url}/embed/{token}",
    }


def _change(value: Any) -> ChangeBody:
    try:
        return ChangeBody.model_validate(value)
    except ValidationError as error:
        raise in_words(error) from None


def _filter(asked: documents.ListQuery, key: Key) -> Filter:
    """Return the filter that the query asks for. Raises `InvalidMessage` with the parameter's name."""
    if asked.state is not None and asked.state not in LAST_EVENT:
        raise InvalidMessage("state", f"Give one of {', '.join(LAST_EVENT)}.")
    name, colon, value = (asked.tag or "").partition(":")
    if asked.tag is not None and not (name and colon):
        raise InvalidMessage("tag", "Give name:value.")
    return Filter(
        key_id=key.id if key.sees_only_its_own else None,
        to=asked.to,
        state=asked.state,
        tag=(name, value) if colon else None,
        since=_since(asked.since),
        after=id_in("after", asked.after),
        before=id_in("before", asked.before),
    )


def _since(text: str | None) -> datetime | None:
    """Return the moment. A time without an offset is UTC."""
    try:
        since = datetime.fromisoformat(text.strip()) if text is not None else None
    except ValueError:
        raise InvalidMessage("since", "Give a time in ISO 8601: 2026-12-24T18:00:00Z.") from None
    return since.replace(tzinfo=UTC) if since and since.tzinfo is None else since

"""`/api/v1/mails/actions`: send again or cancel all mails of a search. For keys of scope `full`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from quart import Blueprint, Response
from quart_schema import document_headers, document_request, document_response, operation_id, tag

from mailroom.api_keys.errors import RestrictedKey
from mailroom.api_keys.idempotency import answered_before, keep_answer
from mailroom.api_keys.keys import Key
from mailroom.desk.models import BulkActionRow
from mailroom.desk.search import InvalidSearch, MailSearch
from mailroom.i18n.sentences import error_text
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import parse_id
from mailroom.tasks.models import Task
from mailroom.tasks.service import CannotCancel
from mailroom.web.api.emails.documents import IdempotencyHeader, refusals
from mailroom.web.api.emails.payload import Payload, payload_of
from mailroom.web.api.keys import ADMINISTERS, actor_of, current_key, needs_key
from mailroom.web.api.validation import in_words
from mailroom.web.browser import services
from mailroom.web.program_answers import VALIDATION, ApiError, answer
from mailroom.web.rate_limits.limits import ACTS, API, limited_reads
from mailroom.web.requests import check_json, takes_body

blueprint = Blueprint("mail_actions", __name__, url_prefix="/api/v1/mails/actions")

LARGEST, SECONDS = 16 * 1024, 30.0


class ActionBody(BaseModel):
    """What to do, and with which mails."""

    model_config = ConfigDict(hide_input_in_errors=True)

    action: Literal["retry", "cancel"]
    search: str = Field(description="as on the desk: `state:failed to:@example.org since:2h`")
    expected: int | None = Field(
        None, description="how many mails that are; where it is another number, nothing is done. To cancel, needed"
    )


class ActionShown(BaseModel):
    """An act on many mails, and how far it has come."""

    object: str = "mail_action"
    id: str
    action: str
    search: str
    state: str = Field(description="queued, running, retrying, done, failed or cancelled")
    total: int | None = Field(None, description="the mails that match; null until they are counted")
    changed: int = Field(description="so far")
    left_alone: int = Field(description="mails whose state did not allow it")
    created_at: str
    ended_at: str | None = None


@blueprint.post("")
@limited_reads(ACTS)
@takes_body(LARGEST, SECONDS)
@operation_id("actOnMails")
@tag(["mails"])
@document_headers(IdempotencyHeader)
@document_request(ActionBody)
@document_response(ActionShown, 202)
@refusals
@needs_key(ADMINISTERS)
async def start() -> Response:
    """Send all mails of a search again, or cancel them, in the background.

    It takes a key that is bound to no domain and is no test key. Mails that come later are left out. The counts
    of what is done are always exact.
    """
    key, now, have = await _key(), clock.now(), services()
    async with payload_of("/mails/actions") as payload:
        body = _body(payload.take())
        search = _search(body.search, now)
        async with have.database.begin() as work:
            if repeated := await _begun_before(work, key, payload):  # a repeat counts no mails
                return answer(repeated, 202)
        counts = body.action == "cancel" or body.expected is not None
        count = await have.bulk_actions.count(search, now) if counts else None
        async with have.database.begin() as work:
            if repeated := await _begun_before(work, key, payload):  # it began while the mails were counted
                return answer(repeated, 202)
            if counts:
                _check_expected(count, body.expected)
            ticket = await have.bulk_actions.start(work, body.action, search, until=now, actor=actor_of(key))
            if payload.idempotency_key:
                await keep_answer(work, key.id, payload.idempotency_key, payload.fingerprint, [ticket])
            shown = await _shown(work, ticket)
    return answer(shown, 202)


@blueprint.get("/<action_id>")
@limited_reads(API)
@operation_id("mailAction")
@tag(["mails"])
@document_response(ActionShown, 200)
@refusals
@needs_key(ADMINISTERS)
async def one(action_id: str) -> Response:
    """Tell how far an act on many mails has come."""
    await _key()
    async with services().database.begin() as work:
        return answer(await _shown(work, _id(action_id)))


@blueprint.post("/<action_id>/cancel")
@limited_reads(API)
@operation_id("cancelMailAction")
@tag(["mails"])
@document_response(ActionShown, 200)
@refusals
@needs_key(ADMINISTERS)
async def cancel(action_id: str) -> Response:
    """Stop an act on many mails. What is done by then stays; the counts say how much that is."""
    key, found = await _key(), _id(action_id)
    async with services().database.begin() as work:
        await _shown(work, found)
        try:
            await services().task_service.cancel(work, found)
        except CannotCancel:
            raise ApiError(422, VALIDATION, "It has ended.") from None
        await services().audit_log.write(work, actor_of(key), "task.cancelled", target="task", target_id=found)
        work.session.expire_all()
        return answer(await _shown(work, found))


async def _begun_before(work: UnitOfWork, key: Key, payload: Payload) -> dict[str, Any] | None:
    """Return the act that this request began before; None if it is new. Raises what `answered_before` does."""
    if not payload.idempotency_key:
        return None
    before = await answered_before(work, key.id, payload.idempotency_key, payload.fingerprint)
    return None if before is None else await _shown(work, before[0])


async def _key() -> Key:
    key = await current_key()
    if key.sees_only_its_own:
        raise RestrictedKey("This API key sees its own mails only. It may act on those of /emails.")
    return key


def _id(text: str) -> UUID:
    found = parse_id(text)
    if found is None:
        raise ApiError(404, "not_found", "There is no such act.")
    return found


def _body(value: Any) -> ActionBody:
    check_json(value)
    try:
        return ActionBody.model_validate(value)
    except ValidationError as error:
        raise in_words(error) from None


def _search(text: str, now: datetime) -> MailSearch:
    try:
        return MailSearch.parse(text, now)
    except InvalidSearch as error:
        raise ApiError(422, VALIDATION, error_text(error), field="search") from None


def _check_expected(count: int | None, expected: int | None) -> None:
    """Raise `ApiError` where the number of mails differs from what the program expects."""
    if count is None:
        raise ApiError(
            422, VALIDATION, "Too many mails match to be counted in time. Narrow the search.", field="expected"
        )
    if count != expected:
        raise ApiError(
            422,
            VALIDATION,
            f"The search matches {count} mails now. Send that number as `expected`.",
            field="expected",
        )


async def _shown(work: UnitOfWork, found: UUID) -> dict[str, Any]:
    """Return an act. Raises `ApiError` 404."""
    row, task = await work.session.get(BulkActionRow, found), await work.session.get(Task, found)
    if row is None or task is None:
        raise ApiError(404, "not_found", "There is no such act.")
    return {
        "object": "mail_action",
        "id": str(found),
        "action": row.action,
        "search": row.query,
        "state": task.state,
        "total": row.total,
        "changed": row.changed,
        "left_alone": row.left_alone,
        "created_at": task.created_at.isoformat(),
        "ended_at": task.ended_at.isoformat() if task.ended_at else None,
    }

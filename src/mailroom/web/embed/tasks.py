"""`POST /api/v1/watch`: a watch token for any Celery task of any app on the same result backend."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from quart import Blueprint, Response, request
from quart_schema import document_request, document_response, operation_id, tag

from mailroom.api_keys.external_tasks import KnownTask, register
from mailroom.mail.messages.draft import InvalidMessage
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ADMINISTERS, actor_of, current_key, needs_key
from mailroom.web.api.validation import in_words
from mailroom.web.browser import services
from mailroom.web.program_answers import VALIDATION, ApiError, answer
from mailroom.web.rate_limits.limits import API, limited_reads

blueprint = Blueprint("external_tasks", __name__, url_prefix="/api/v1/watch")


class TaskBody(BaseModel):
    """A Celery task of another app."""

    model_config = ConfigDict(hide_input_in_errors=True)

    task_id: str = Field(description="Celery's id, a UUID as Celery makes them")
    title: str = Field("", max_length=200)


class WatchBody(BaseModel):
    """The token, and the address of a page, that show where the task is."""

    watch_token: str
    watch_url: str


@blueprint.post("")
@limited_reads(API)
@operation_id("watchTask")
@tag(["watch"])
@document_request(TaskBody)
@document_response(WatchBody, 200)
@refusals
@needs_key(ADMINISTERS)
async def watch_task() -> Response:
    """Return a token for a Celery task of another app: its states, and what it says by `update_state`."""
    key, have = await current_key(), services()
    try:
        body = TaskBody.model_validate(await request.get_json())
    except ValidationError as error:
        raise in_words(error) from None
    try:
        async with have.database.begin_plain() as work:
            external_id = await register(work, key.id, body.task_id, body.title)
    except ValueError:
        raise InvalidMessage("task_id", "Give the id of a Celery task, which is a UUID.") from None
    except KnownTask:
        raise ApiError(409, VALIDATION, "`task_id`: This is a mail or task of Mailroom's own.") from None
    async with have.database.begin() as work:
        await have.audit_log.write(work, actor_of(key), "task.watched", target="task", target_id=body.task_id)
    token = have.watch_tokens.make("task", external_id, key.id)
    return answer({"watch_token": token, "watch_url": f"{have.settings.public_url}/embed/{token}"})

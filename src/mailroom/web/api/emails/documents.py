"""What the OpenAPI document says of `/emails`: bodies, answers, and every refusal."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel
from quart_schema import document_response

from mailroom.web.api.queries import MOST_LISTED, Query

View = TypeVar("View", bound=Callable[..., Any])


class IdempotencyHeader(BaseModel):
    """Headers that a program may send."""

    idempotency_key: str | None = Field(
        None, min_length=1, max_length=256, description="for 24 hours a repeat gets the first answer again"
    )


class BatchHeaders(IdempotencyHeader):
    """What a program may send along with a batch."""

    x_batch_validation: str | None = Field(
        None,
        description="strict (the default): all or none are stored; permissive: those that are right",
    )


class Tag(BaseModel):
    """A name and a value to find a message by."""

    name: str = Field(pattern="^[A-Za-z0-9_-]{1,256}$")
    value: str = Field(pattern="^[A-Za-z0-9_-]{1,256}$")


class Attachment(BaseModel):
    """A file."""

    filename: str = Field(min_length=1, max_length=255)
    content: str = Field(description="base64")
    content_type: str | None = None
    content_id: str | None = Field(None, description="the HTML shows it as cid:…")


class EmailDocument(BaseModel):
    """A message to at most 50 recipients."""

    model_config = ConfigDict(populate_by_name=True)

    from_: str = Field(alias="from", description="Name <address>, at a domain that the key may use")
    to: list[str] | str
    subject: str = Field(max_length=2000)
    html: str | None = None
    text: str | None = Field(None, description="made from `html` where it lacks")
    cc: list[str] | str | None = None
    bcc: list[str] | str | None = None
    reply_to: list[str] | str | None = None
    headers: dict[str, str] | None = None
    attachments: list[Attachment] | None = None
    tags: list[Tag] | None = None
    scheduled_at: str | None = Field(None, description="ISO 8601, at most 30 days ahead")
    stream: str | None = Field(None, description="transactional (the default) or bulk")


class BatchDocument(RootModel[list[EmailDocument]]):
    """An array of 1 to 100 messages."""

    root: list[EmailDocument] = Field(min_length=1, max_length=100)


class SentDocument(BaseModel):
    """A message that is stored. Either it is sent, or its failure is shown."""

    id: str
    watch_token: str = Field(description="opens where this message is, for an hour")
    watch_url: str


class BatchError(BaseModel):
    """A message of a batch that is not stored."""

    index: int = Field(description="its place in the batch, from 0")
    message: str


class SentBatchDocument(BaseModel):
    """The messages that are stored, in order."""

    data: list[SentDocument]
    errors: list[BatchError] | None = Field(None, description="with x-batch-validation: permissive")


class ChangeDocument(BaseModel):
    """Another time for a scheduled message."""

    scheduled_at: str


class ChangedDocument(BaseModel):
    """The message that was changed."""

    object: str = "email"
    id: str


class ListQuery(Query):
    """Which messages to list."""

    limit: int = Field(20, ge=1, le=MOST_LISTED, description="at most so many")
    after: str | None = Field(None, description="only those older than this id")
    before: str | None = Field(None, description="only those newer than this id")
    to: str | None = Field(None, description="only those to this address")
    state: str | None = Field(None, description="only those with a recipient in this state")
    tag: str | None = Field(None, description="name:value")
    since: str | None = Field(None, description="ISO 8601; without an offset it is UTC")


class RefusalDocument(BaseModel):
    """Why a request was not carried out."""

    model_config = ConfigDict(populate_by_name=True)

    status_code: int = Field(alias="statusCode")
    name: str
    message: str


REFUSED_WITH = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)


def refusals(view: View) -> View:
    """Document every refusal of a route."""
    for status in REFUSED_WITH:
        view = document_response(RefusalDocument, status)(view)
    return view

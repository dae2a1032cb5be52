"""What the OpenAPI document says of messages that are listed and looked up."""

from pydantic import BaseModel, ConfigDict, Field

from mailroom.web.api.emails.documents import Tag


class ListedDocument(BaseModel):
    """A message in a list."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    message_id: str
    to: list[str]
    from_: str = Field(alias="from")
    created_at: str
    subject: str
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    last_event: str = Field(description="the worst recipient's")
    scheduled_at: str | None
    tags: list[Tag]


class MailError(BaseModel):
    """Why a mail was not accepted, or not yet."""

    reason: str = Field(description="a code, such as deferred or refused")
    message: str = Field(description="the same as a sentence")
    code: int | None = Field(description="the reply code of SMTP")
    enhanced: str | None = Field(description="the enhanced status code (RFC 3463)")
    answer: str | None = Field(description="what the mail server said")


class AttemptDocument(BaseModel):
    """One attempt to hand a mail over."""

    attempt: int
    server: str | None
    claimed_at: str | None
    connected_at: str | None
    handing_over_at: str | None
    uncertain_at: str | None
    ended_at: str | None
    outcome: str | None
    error: MailError | None


class EventDocument(BaseModel):
    """What happened to a mail."""

    type: str = Field(description="as webhooks tell it: email.sent")
    at: str
    code: int | None
    enhanced: str | None


class RecipientDocument(BaseModel):
    """One recipient, and where its mail is."""

    address: str
    state: str = Field(
        description="scheduled, queued, sending, retrying, uncertain, sent, failed, expired, cancelled, suppressed"
    )
    stage: str | None = Field(description="queued, claimed, connected, handing over or accepted")
    error: MailError | None
    retry_at: str | None
    watch_token: str = Field(description="opens where this mail is, for an hour")
    attempts: list[AttemptDocument]
    events: list[EventDocument]


class FoundDocument(ListedDocument):
    """A message with all that is known of it."""

    object: str = "email"
    html: str | None = Field(description="null once the content is dropped")
    text: str | None
    stream: str
    recipients: list[RecipientDocument]


class ListDocument(BaseModel):
    """A page of messages."""

    object: str = "list"
    has_more: bool
    data: list[ListedDocument]

"""What programs send to `/emails`, checked, and made into drafts."""

import binascii
import mimetypes
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from mailroom.mail.messages.addresses import NotAnAddress, read_mailbox
from mailroom.mail.messages.draft import Attachment, Draft, InvalidMessage, Mailbox
from mailroom.web.api.validation import in_words

Addresses = Annotated[list[str], Field(min_length=1, max_length=50)]


class Model(BaseModel):
    """What all bodies share: unknown fields are ignored, and an error never quotes a value."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="ignore", populate_by_name=True)


class TagBody(Model):
    """A name and a value to find a mail by."""

    name: str = Field(description="1 to 256 ASCII letters, digits, _ or -")
    value: str = Field(description="1 to 256 ASCII letters, digits, _ or -")


class AttachmentBody(Model):
    """A file. `path` is refused: Mailroom fetches nothing for others."""

    filename: str | None = None
    content: str | list[int] | None = Field(None, description="base64, or a list of octets")
    content_type: str | None = Field(None, validation_alias=AliasChoices("content_type", "contentType"))
    content_id: str | None = Field(
        None,
        description="the HTML shows it as cid:…",
        validation_alias=AliasChoices("content_id", "contentId", "inline_content_id"),
    )
    path: str | None = Field(None, description="refused")


class EmailBody(Model):
    """One message to its recipients."""

    from_: str = Field(validation_alias=AliasChoices("from", "from_"), serialization_alias="from")
    to: Addresses
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: list[str] = Field([], validation_alias=AliasChoices("reply_to", "replyTo"))
    subject: str = Field(max_length=2000)
    html: str | None = None
    text: str | None = None
    headers: dict[str, str] = {}
    attachments: list[AttachmentBody] = []
    tags: list[TagBody] = []
    scheduled_at: str | None = Field(
        None, description="ISO 8601", validation_alias=AliasChoices("scheduled_at", "scheduledAt")
    )
    stream: Literal["transactional", "bulk"] = Field(
        "transactional", description="bulk mail goes behind all other"
    )

    @field_validator("to", "cc", "bcc", "reply_to", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else [] if value is None else value

    @field_validator("headers", "attachments", "tags", mode="before")
    @classmethod
    def _none_given(cls, value: Any, info: Any) -> Any:
        return ({} if info.field_name == "headers" else []) if value is None else value

    def draft(self, now: datetime) -> Draft:
        """Return the draft. Raises `InvalidMessage`."""
        return Draft(
            sender=_mailbox("from", self.from_, localhost=True),
            to=_mailboxes("to", self.to),
            cc=_mailboxes("cc", self.cc),
            bcc=_mailboxes("bcc", self.bcc),
            reply_to=_mailboxes("reply_to", self.reply_to),
            subject=self.subject,
            text=self.text,
            html=self.html,
            headers=self.headers,
            attachments=[_attachment(file) for file in self.attachments],
            tags={tag.name: tag.value for tag in self.tags},
            scheduled_at=_due(self.scheduled_at, now) if self.scheduled_at else None,
            stream=self.stream,
        )


class ChangeBody(Model):
    """When to send a scheduled mail instead."""

    scheduled_at: str = Field(description="ISO 8601", validation_alias=AliasChoices("scheduled_at", "scheduledAt"))

    def due(self, now: datetime) -> datetime:
        """Return the moment. Raises `InvalidMessage`."""
        return _due(self.scheduled_at, now) or now


def read_body(kind: type[EmailBody], value: Any) -> EmailBody:
    """Return a checked body. Raises `InvalidMessage`, which names the first field that is wrong."""
    if not isinstance(value, dict):
        raise InvalidMessage("body", "Send a JSON object.")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise in_words(error) from None


def _mailbox(field: str, text: str, *, localhost: bool = False) -> Mailbox:
    try:
        return read_mailbox(text, localhost=localhost)
    except NotAnAddress as error:
        raise InvalidMessage(field, str(error)) from None


def _mailboxes(field: str, texts: list[str]) -> list[Mailbox]:
    return [_mailbox(field, text) for text in texts]


def _due(text: str, now: datetime) -> datetime | None:
    """Return the moment, None if it is past. A time without an offset is UTC."""
    try:
        due = datetime.fromisoformat(text.strip())
        due = due.replace(tzinfo=UTC) if due.tzinfo is None else due.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidMessage("scheduled_at", "Give a time in ISO 8601: 2026-12-24T18:00:00Z.") from None
    return due if due > now else None


def _attachment(file: AttachmentBody) -> Attachment:
    if file.path is not None:
        raise InvalidMessage("attachments", "`path` is not fetched. Send the file itself as base64 in `content`.")
    if file.content is None or file.filename is None:
        raise InvalidMessage("attachments", "An attachment needs `filename` and `content`.")
    try:
        if isinstance(file.content, str):
            # What base64.b64decode does, without a copy of the text.
            content = binascii.a2b_base64("".join(file.content.split()), strict_mode=True)
        else:
            content = bytes(file.content)
    except (binascii.Error, ValueError):
        raise InvalidMessage("attachments", f"The content of {file.filename!r} is not base64.") from None
    return Attachment(
        file.filename, content, file.content_type or _guess(file.filename), content_id=file.content_id
    )


def _guess(filename: str) -> str:
    found = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return "application/octet-stream" if found.startswith(("multipart/", "message/")) else found

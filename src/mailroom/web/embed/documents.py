"""What the OpenAPI document says of watch tokens."""

from typing import Any

from pydantic import BaseModel, Field

from mailroom.web.api.queries import Query


class WatchedDocument(BaseModel):
    """Where a message, mail or task is; only the keys that apply are present."""

    object: str = Field(description="message, mail or task")
    state: str
    stage: str | None = None
    last_event: str | None = Field(None, description="of a message: the worst recipient's")
    counts: dict[str, int] | None = Field(None, description="of a message: its mails by state")
    total: float | None = Field(None, description="of a message: its mails; of a task: of how much")
    current: float | None = Field(None, description="of a task: how far it is")
    message: str | None = None
    error: dict[str, Any] | None = Field(None, description="reason, code, enhanced, message; never an address")
    final: bool = Field(description="no more changes to come")


class WatchQuery(Query):
    """How long to wait for news."""

    wait: float = Field(0, ge=0, description="seconds to wait for news, at most 30, while If-None-Match holds")
    lang: str = Field("", description="the language of what it says: de, zh-Hans")

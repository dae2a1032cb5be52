"""What a request to the desk's routes asks for, checked; and how much its key may see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError
from quart import request

from mailroom.api_keys.keys import Key
from mailroom.desk.audit_log import Actor
from mailroom.kit.ids import parse_id
from mailroom.web.api.keys import actor_of, current_key
from mailroom.web.api.validation import in_words
from mailroom.web.desk.access import masked
from mailroom.web.program_answers import VALIDATION, ApiError

Asked = TypeVar("Asked", bound=BaseModel)


class Body(BaseModel):
    """What all bodies share: an error never quotes a value."""

    model_config = ConfigDict(hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks. A key of scope `read` sees what a viewer sees on the desk."""

    key: Key

    @property
    def whole(self) -> bool:
        """True if the key sees contents and full addresses."""
        return self.key.scope == "full"

    @property
    def seen(self) -> Callable[[str], str]:
        """Return a function that gives a text as the key may see it: with mail addresses masked unless `whole`."""
        return str if self.whole else masked


async def reader() -> Reader:
    """Return who looks."""
    return Reader(await current_key())


async def actor() -> Actor:
    """Return who acts, for the audit log."""
    return actor_of(await current_key())


def wrong(field: str, words: str) -> Any:
    """Raise `ApiError` 422 about a field."""
    raise ApiError(422, VALIDATION, words, field=field)


def id_of(text: str, words: str) -> UUID:
    """Return an id of the path. Raises `ApiError` 404, with `words`."""
    found = parse_id(text)
    if found is None:
        raise ApiError(404, "not_found", words)
    return found


async def body_of(kind: type[Asked]) -> Asked:
    """Return the body, checked. Raises `InvalidMessage`, `Unreadable`."""
    try:
        return kind.model_validate(await request.get_json())
    except ValidationError as error:
        raise in_words(error) from None

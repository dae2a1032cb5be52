"""The query string of a program's request, checked by the model that documents it.

Unknown names are refused. Otherwise a filter with a typing error would list everything.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from quart import current_app, request
from quart_schema.validation import QUART_SCHEMA_QUERYSTRING_ATTRIBUTE

from mailroom.kit.ids import parse_id
from mailroom.mail.messages.draft import InvalidMessage
from mailroom.web.api.validation import in_words
from mailroom.web.forms.fields import LONGEST_NAME


class HasId(Protocol):
    """A row of a list."""

    @property
    def id(self) -> UUID:
        """The row's id; newer rows have larger ids."""
        ...


Asked = TypeVar("Asked", bound="Query")
Row = TypeVar("Row", bound=HasId)
MOST_LISTED = 100


class Query(BaseModel):
    """What all queries share: an error never quotes a value."""

    model_config = ConfigDict(hide_input_in_errors=True)


class Page(Query):
    """Which page of a list."""

    limit: int = Field(50, ge=1, le=MOST_LISTED, description="at most so many")
    before: str | None = Field(None, description="`next` of the page before")

    @property
    def before_id(self) -> UUID | None:
        """The page has only ids below this one. Raises `InvalidMessage` where it is no id."""
        return id_in("before", self.before)


class Cut(Query):
    """Which part of a short list, in Resend's words."""

    limit: int | None = Field(None, ge=1, le=MOST_LISTED, description="at most so many; all, if not given")
    after: str | None = Field(None, description="only those older than this id")
    before: str | None = Field(None, description="only those newer than this id")

    def of(self, rows: Sequence[Row]) -> tuple[Sequence[Row], bool]:
        """Return the wanted part of `rows`, which are newest first, and whether there are more.

        Raises `InvalidMessage`.
        """
        if after := id_in("after", self.after):
            rows = [row for row in rows if row.id < after]
        if before := id_in("before", self.before):
            rows = [row for row in rows if row.id > before]
        if self.limit is None or len(rows) <= self.limit:
            return rows, False
        return (rows[-self.limit :] if before else rows[: self.limit]), True


def id_in(name: str, text: str | None) -> UUID | None:
    """Return the id that a parameter holds, None if it is not given. Raises `InvalidMessage`."""
    found = parse_id(text) if text is not None else None
    if text is not None and found is None:
        raise InvalidMessage(name, "Give an id of this list.")
    return found


def query_of(kind: type[Asked]) -> Asked:
    """Return the query of this request, checked. Raises `InvalidMessage`."""
    try:
        return kind.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise in_words(error) from None


def check_parameters() -> None:
    """Raise `InvalidMessage` where this request's query has a name that is not documented for its route.

    A name that comes twice is refused, too: one of the two filters would be lost.
    """
    if not request.args:
        return
    view = current_app.view_functions[request.endpoint or ""]
    kind: type[BaseModel] | None = getattr(view, QUART_SCHEMA_QUERYSTRING_ATTRIBUTE, None)
    known = list(kind.model_fields) if kind else []
    for name, values in request.args.lists():
        if name and name not in known:  # "?=" has an empty name, which nobody reads
            takes = f"It takes {', '.join(known)}." if known else "It takes none."
            raise InvalidMessage("query", f"There is no parameter {name[:LONGEST_NAME]!r} here. {takes}")
        if name and len(values) > 1:
            raise InvalidMessage(name, "Give this parameter once.")

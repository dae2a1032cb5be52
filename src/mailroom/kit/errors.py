"""The root of Mailroom's errors. An error's docstring is its message; `web/errors.py` maps each to a page."""

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class MailroomError(Exception):
    """Something went wrong."""

    message_code: str | None = None
    """A code of the catalogue (`i18n/sentences.py`) for the sentence, filled with `params`, where it has one."""
    params: Mapping[str, Any] = MappingProxyType({})

    def __str__(self) -> str:
        """Return the given words, or the docstring: the sentence a person may read."""
        return super().__str__() or inspect.getdoc(type(self)) or type(self).__name__


class Unavailable(MailroomError):
    """Mailroom cannot reach its database right now. Nothing was saved; please try again in a minute."""


class Overloaded(MailroomError):
    """Mailroom has more to do right now than it can do at once. Nothing was saved; please send it again."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds
        """After which there is room again, as far as can be told."""

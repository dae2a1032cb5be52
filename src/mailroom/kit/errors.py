"""The root of Mailroom's errors. `web/errors.py` maps each to a page."""

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class MailroomError(Exception):
    """Something went wrong."""

    message_code: str | None = None
    """The code of its sentence in the catalogue (`i18n/sentences.py`), filled with `params`; None: it has none."""
    params: Mapping[str, Any] = MappingProxyType({})

    def __str__(self) -> str:
        """Return the given words, or the docstring: what logs and programs read. People read `message_code`."""
        return super().__str__() or inspect.getdoc(type(self)) or type(self).__name__


class Unavailable(MailroomError):
    """The database cannot be reached. Nothing was saved. Please try again in a minute."""

    message_code = "kit.error.unavailable"


class Overloaded(MailroomError):
    """There is more to do than can be done at once. Nothing was saved. Please try again in a moment."""

    message_code = "kit.error.overloaded"

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds
        """An estimate of the time after which there is room again."""

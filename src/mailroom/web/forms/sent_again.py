"""Shows a form that cannot be accepted just now as it was sent, so that one press sends it again.

Passwords and codes are not written into a page: their fields come back empty.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from quart import request

from mailroom.i18n.messages import gettext_noop, translated

PASSING = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Refusals after which the same form may be taken a moment later."""
LARGEST = 16 * 1024
"""Bytes of a form that is worth writing into a page."""
MOST_FIELDS = 20
SECRET = re.compile("password|current|secret|token|code")
"""Names of fields whose values are not written into a page; a test holds every form to it."""
LABELS = {
    "password": gettext_noop("Password"),
    "current": gettext_noop("Present password"),
    "code": gettext_noop("Code"),
    "step_code": gettext_noop("Code"),
}


@dataclass(frozen=True, slots=True)
class SentForm:
    """A form as it was sent: `fields` by name, and the names and labels of those to fill in again."""

    action: str
    fields: dict[str, str]
    secrets: list[tuple[str, str]]


async def sent_form(status: int) -> SentForm | None:
    """Return the form of this request if it was refused for a passing reason, else None."""
    is_form = request.mimetype in {"application/x-www-form-urlencoded", "multipart/form-data"}
    if status not in PASSING or request.method != "POST" or not is_form:
        return None
    if (request.content_length or 0) > LARGEST:
        return None
    with suppress(Exception):  # what cannot be read is not sent again
        fields = (await request.form).to_dict()
        if len(fields) <= MOST_FIELDS:
            kept = {name: value for name, value in fields.items() if not SECRET.search(name)}
            secrets = [(name, translated(LABELS.get(name, name))) for name in fields if name not in kept]
            return SentForm(request.full_path.rstrip("?"), kept, secrets)
    return None

"""What keeps simple robots from signing up: a field that people leave empty, and the time that a form takes.

Neither needs JavaScript. Nobody is locked out: whoever is stopped is told why, and the next try passes.
The time does not stop programs that never had the form, but the limits of mails apply to them as to everyone.
"""

from collections.abc import Mapping
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer
from quart import request

from mailroom.i18n.messages import gettext
from mailroom.kit import clock
from mailroom.web.browser import services

BAIT, BEGUN = "website", "begun"
"""The fields: one that must stay empty, and when the form was shown."""


def stamp() -> str:
    """Return a signed time that says that the form is shown now."""
    return str(_serializer().dumps(round(clock.now().timestamp() * 1000)))


def messages_for(values: Mapping[str, Any]) -> dict[str, str]:
    """Return messages by field for a form that looks like a robot's; empty for all others."""
    if str(values.get(BAIT, "")).strip():
        return {BAIT: gettext("Please leave this field empty. It is there for robots.")}
    if _was_too_fast(str(values.get(BEGUN, ""))):
        return {BEGUN: gettext("That was very fast, as only programs are. Please press the button once more.")}
    return {}


def _was_too_fast(begun: str) -> bool:
    least = services().settings.sign_up_seconds
    if not least or (not begun and request.headers.get("Sec-Fetch-Mode") != "navigate"):
        return False  # no browser: it never had the form
    try:
        shown = int(_serializer().loads(begun))
    except (BadSignature, TypeError, ValueError):
        return True
    return clock.now().timestamp() - shown / 1000 < least


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(list(reversed(services().settings.secret_keys)), salt="mailroom/sign-up form")

"""A form that was refused, shown again with what was typed.

A browser is sent on to the form's page (POST, redirect, GET), so that Back and Reload never ask whether to send
the form again. What the page needs travels in a signed cookie that lasts for that one look. A program gets the
page, or the problem document, in the answer to its POST.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer
from quart import Response, g, request

from mailroom.web.browser import services
from mailroom.web.page import redirect

SECONDS = 120
"""How long the cookie lasts where the browser does not follow the redirect."""
LONGEST = 3_500
"""Characters of the cookie; browsers keep 4,096 bytes with its name and attributes."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was typed (never a password), what is wrong by field, and the status for a program."""

    values: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    status: int = 200
    wait: int | None = None
    """Seconds after which to try again."""


Show = Callable[[Refused], Awaitable[Response]]


async def show_again(refused: Refused, show: Show, *, at: str | None = None) -> Response:
    """Answer a refused POST with `show(refused)`: at once, or after a redirect to the page `at` (this address)."""
    if request.headers.get("Sec-Fetch-Mode") == "navigate":
        place = at or request.path
        text = _serializer(place).dumps(asdict(refused))
        text = text if isinstance(text, str) else text.decode()
        if len(text) <= LONGEST:
            response = redirect(place)
            secure = services().settings.https
            response.set_cookie(
                _name(), text, max_age=SECONDS, path="/", secure=secure, httponly=True, samesite="Lax"
            )
            return response
    response = await show(refused)
    if refused.wait is not None:
        response.headers["Retry-After"] = str(refused.wait)
    return response


def take() -> Refused:
    """Return what this page's form was refused for, or a form that nobody has filled in yet."""
    text = request.cookies.get(_name())
    if not text:
        return Refused()
    try:
        found: dict[str, Any] = _serializer(request.path).loads(text, max_age=SECONDS)
        refused = Refused(**found)
    except (BadSignature, TypeError):
        return Refused()  # another page's, or nothing of ours
    g.mailroom_refused = True
    return Refused(refused.values, refused.messages, 200, refused.wait)


async def drop_cookie(response: Response) -> Response:
    """Take the cookie away once its page was shown."""
    if g.get("mailroom_refused"):
        response.delete_cookie(_name(), path="/", secure=services().settings.https, httponly=True, samesite="Lax")
    return response


def _name() -> str:
    return "__Host-mailroom-form" if services().settings.https else "mailroom-form"


def _serializer(path: str) -> URLSafeTimedSerializer:
    # Bound to the page: what one form was refused for is not shown by another.
    return URLSafeTimedSerializer(list(reversed(services().settings.secret_keys)), salt=f"mailroom/form {path}")

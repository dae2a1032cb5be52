"""A form that was refused, shown again with what was typed.

A browser is sent on to the form's page (POST, redirect, GET), so that Back and Reload never ask whether to send
the form again. A signed cookie holds what the page needs, until it is shown once. A program gets the
page, or the problem document, in the answer to its POST.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer
from quart import Response, g, request

from mailroom.accounts import errors
from mailroom.accounts.sign_up import errors as joining
from mailroom.i18n.sentences import error_text
from mailroom.kit.errors import MailroomError
from mailroom.web import cookies
from mailroom.web.browser import services
from mailroom.web.errors import respond, wants_json
from mailroom.web.forms.fields import Invalid
from mailroom.web.page import redirect

FORM = "form"
"""The cookie's name."""
SECONDS = 120
"""Seconds that the cookie lasts if the browser does not follow the redirect."""
LONGEST = 3_500
"""Characters of the cookie; browsers keep 4,096 bytes with its name and attributes."""
LONGEST_VALUE = 400
"""Characters of one field that are shown again."""

FIELD_OF: dict[type[MailroomError], str] = {
    errors.InvalidAddress: "email",
    errors.SameAddress: "email",
    joining.WrongDomain: "email",
    joining.NotTheInvited: "email",
    errors.WeakPassword: "password",
    errors.WrongCredentials: "password",
    errors.WrongCurrentPassword: "current",
    errors.WrongCode: "code",
    errors.TooManyTries: "code",
    errors.WrongStepCode: "step_code",
    errors.UnknownLanguage: "language",
    errors.UnknownTimeZone: "time_zone",
}
"""Error, with its subclasses → the field of a form that it is shown beside."""
FORM_ERRORS: tuple[type[Exception], ...] = (Invalid, *FIELD_OF)
"""Errors after which a form is shown again: `except FORM_ERRORS as error: return await refuse(error, show)`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was typed (never a password), what is wrong by field, and the status for a program."""

    values: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    status: int = 200
    wait: int | None = None
    """Seconds after which to try again."""


Show = Callable[[Refused], Awaitable[Response]]


def messages_of(error: Exception) -> dict[str, str]:
    """Return the messages by field of one of `FORM_ERRORS`."""
    if isinstance(error, Invalid):
        return error.messages
    if not isinstance(error, MailroomError):
        raise TypeError(type(error))
    beside = next(FIELD_OF[kind] for kind in type(error).__mro__ if kind in FIELD_OF)
    return {beside: error_text(error)}


def typed(values: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Return what was typed into these fields, to be shown again. Never name a password."""
    return {name: str(values[name])[:LONGEST_VALUE] for name in names if name in values}


async def refuse(
    error: Exception, show: Show, values: dict[str, str] | None = None, *, at: str | None = None
) -> Response:
    """Answer a form refused by one of `FORM_ERRORS`: with the form again, or for a program with a problem.

    `at` is the address of the form's page, if it is not this one.
    """
    messages = messages_of(error)
    if wants_json():
        return await respond(Invalid(messages))
    return await show_again(Refused(values or {}, messages, 422), show, at=at)


async def show_again(refused: Refused, show: Show, *, at: str | None = None) -> Response:
    """Answer a refused POST with `show(refused)`: at once, or after a redirect to `at` (default: this address)."""
    if request.headers.get("Sec-Fetch-Mode") == "navigate":
        place = at or request.path
        text = _serializer(place).dumps(asdict(refused))
        text = text if isinstance(text, str) else text.decode()
        if len(text) <= LONGEST:
            response = redirect(place)
            cookies.put(response, services().settings, text, what=FORM, max_age=SECONDS)
            return response
    response = await show(refused)
    if refused.wait is not None:
        response.headers["Retry-After"] = str(refused.wait)
    return response


def take() -> Refused:
    """Return why this page's form was refused, or an empty `Refused` if it was not."""
    text = request.cookies.get(cookies.name_of(services().settings, FORM))
    if not text:
        return Refused()
    try:
        found: dict[str, Any] = _serializer(request.path).loads(text, max_age=SECONDS)
        refused = Refused(**found)
    except (BadSignature, TypeError):
        return Refused()  # of another page, or not ours
    g.mailroom_refused = True
    return Refused(refused.values, refused.messages, 200, refused.wait)


async def drop_cookie(response: Response) -> Response:
    """Take the cookie away once its page was shown."""
    if g.get("mailroom_refused"):
        cookies.take_away(response, services().settings, what=FORM)
    return response


def _serializer(path: str) -> URLSafeTimedSerializer:
    # Bound to the page, so that no other form shows it.
    return URLSafeTimedSerializer(list(reversed(services().settings.secret_keys)), salt=f"mailroom/form {path}")

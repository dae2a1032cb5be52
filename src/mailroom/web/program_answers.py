"""Answers to programs, in Resend's form: JSON always, errors as `{"statusCode", "name", "message"}`.

SDKs for Resend accept no other form. Problem documents (RFC 9457) go only to clients whose Accept asks for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quart import Response, g, json, request
from werkzeug.exceptions import HTTPException

from mailroom.api_keys import errors as keys
from mailroom.api_keys.refusals import Refused
from mailroom.kit.errors import Unavailable
from mailroom.mail.messages.changes import NothingWaits
from mailroom.mail.messages.draft import InvalidMessage
from mailroom.web.browser import services
from mailroom.web.rate_limits.limits import TooFast
from mailroom.webhooks import endpoints as webhooks
from mailroom.webhooks.targets import ForbiddenTarget, InvalidUrl

FOR_PROGRAMS, FOR_PAGES = "/api/v1", "/api/v1/tasks"
"""Paths where the API answers in this form, unknown ones included; `/api/v1/tasks` keeps problem documents."""
VALIDATION = "validation_error"


class ApiError(Exception):
    """An error raised together with its answer: status, Resend's name for it, and a message."""

    def __init__(self, status: int, name: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.name, self.message, self.field = status, name, message, field


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to an error."""

    status: int
    name: str
    message: str = ""
    """If empty, the error's own sentence is used."""


REFUSALS: Mapping[type[Exception] | int, Refusal] = {
    keys.MissingKey: Refusal(401, "missing_api_key"),
    keys.InvalidKey: Refusal(403, "invalid_api_key"),
    keys.RestrictedKey: Refusal(401, "restricted_api_key"),
    keys.ForbiddenSender: Refusal(403, VALIDATION),
    keys.UnknownKey: Refusal(404, "not_found"),
    keys.InvalidKeyRequest: Refusal(422, VALIDATION),
    keys.IdempotencyConflict: Refusal(409, "invalid_idempotent_request"),
    keys.ConcurrentRequest: Refusal(409, "concurrent_idempotent_requests"),
    InvalidMessage: Refusal(422, VALIDATION),
    NothingWaits: Refusal(422, VALIDATION),
    webhooks.UnknownWebhook: Refusal(404, "not_found"),
    webhooks.UnknownDelivery: Refusal(404, "not_found"),
    webhooks.InvalidWebhook: Refusal(422, VALIDATION),
    InvalidUrl: Refusal(422, VALIDATION),
    ForbiddenTarget: Refusal(422, VALIDATION),
    Unavailable: Refusal(503, "service_unavailable"),
    TooFast: Refusal(429, "rate_limit_exceeded", "Too many requests. Try again after the seconds in retry-after."),
    400: Refusal(400, "invalid_request"),
    404: Refusal(404, "not_found", "There is nothing at this address."),
    405: Refusal(405, "method_not_allowed", "This address does not take that method."),
    413: Refusal(413, "payload_too_large"),
    415: Refusal(415, "unsupported_media_type", "Send JSON, with Content-Type: application/json."),
    500: Refusal(500, "application_error", "Something broke on our side. It was noted; please try again."),
    503: Refusal(503, "service_unavailable", "The server is busy. Please try again in a moment."),
}
MEANINGS: Mapping[str, tuple[int, str]] = {
    "missing_api_key": (401, "No API key was given."),
    "restricted_api_key": (401, "The scope of the API key does not allow it."),
    "invalid_api_key": (403, "The API key is unknown, revoked or expired."),
    VALIDATION: (422, "A value is wrong; the message begins with its name. 403: the key may not send From there."),
    "invalid_request": (400, "The body is not JSON that can be read."),
    "invalid_idempotency_key": (400, "An Idempotency-Key has 1 to 256 characters."),
    "invalid_idempotent_request": (409, "The Idempotency-Key was used with another payload."),
    "concurrent_idempotent_requests": (409, "A request with this Idempotency-Key is under way."),
    "forbidden_origin": (403, "The key of this watch token does not allow the page's origin."),
    "not_found": (404, "There is none, or it is another key's."),
    "method_not_allowed": (405, "This address takes other methods."),
    "payload_too_large": (413, "The body is too large; the message tells the limit."),
    "unsupported_media_type": (415, "Send JSON, with Content-Type: application/json."),
    "rate_limit_exceeded": (429, "Too many requests; retry-after tells the seconds to wait."),
    "application_error": (500, "Something broke on our side. It was noted."),
    "service_unavailable": (503, "Busy, or the database is away; retry-after tells the seconds to wait."),
}
"""Each `name` of an error, with its usual status and what it means; for the page that shows the API."""


def is_program_path(path: str) -> bool:
    """Tell whether the API answers at this path in Resend's form."""
    return f"{path}/".startswith(f"{FOR_PROGRAMS}/") and not f"{path}/".startswith(f"{FOR_PAGES}/")


def answer(body: Mapping[str, Any] | list[Any], status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(json.dumps(body), status, content_type="application/json")


async def refuse(error: Exception) -> Response:
    """Return the answer for an error. Refusals to a key are recorded for its owner."""
    refusal = _refusal(error)
    field = getattr(error, "field", None)
    await _note(error, refusal, field)
    message = refusal.message or _words(error)
    if field and refusal.name == VALIDATION:
        message = f"`{field}`: {message}"
    if _wants_problem():
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": refusal.name,
            "status": refusal.status,
            "detail": message,
        }
        response = Response(json.dumps(body), refusal.status, content_type="application/problem+json")
    else:
        response = answer({"statusCode": refusal.status, "name": refusal.name, "message": message}, refusal.status)
    if refusal.status == 401:  # noqa: PLR2004
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _wants_problem() -> bool:
    """Tell whether Accept names problem details and does not prefer plain JSON (RFC 9110 §12.5.1)."""
    accepts = request.accept_mimetypes
    named = "application/problem+json" in accepts.values()
    return named and accepts["application/problem+json"] >= accepts["application/json"]


async def _note(error: Exception, refusal: Refusal, field: str | None) -> None:
    key = g.get("mailroom_key")
    key_id = key.id if key else getattr(error, "key_id", None)
    if key_id and refusal.status < 500:  # noqa: PLR2004
        route = f"{request.method} {request.url_rule.rule if request.url_rule else FOR_PROGRAMS}"
        refused = Refused("http", route, refusal.status, refusal.name, field)
        await services().key_refusals.note(key_id, refused)


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, ApiError):
        return Refusal(error.status, error.name, error.message)
    for kind in type(error).__mro__:
        if kind in REFUSALS:
            return REFUSALS[kind]
    status = error.code if isinstance(error, HTTPException) and error.code else 500
    if status in REFUSALS:
        return REFUSALS[status]
    return Refusal(status, "invalid_request" if status < 500 else "application_error")  # noqa: PLR2004


def _words(error: Exception) -> str:
    return str(error.description or "") if isinstance(error, HTTPException) else str(error)

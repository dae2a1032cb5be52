"""Answers to programs, in Resend's form: JSON always, errors as `{"statusCode", "name", "message"}`.

SDKs that speak to Resend take no other form; RFC 9457 goes only to those whose Accept asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quart import Response, json, request
from werkzeug.exceptions import HTTPException

from mailroom.api_keys import errors as keys
from mailroom.kit.errors import Unavailable
from mailroom.mail.messages.changes import NothingWaits
from mailroom.mail.messages.draft import InvalidMessage
from mailroom.web.limits import TooFast
from mailroom.webhooks import endpoints as webhooks
from mailroom.webhooks.targets import ForbiddenTarget, InvalidUrl

PATHS = ("/api/v1/emails", "/api/v1/mails", "/api/v1/api-keys", "/api/v1/webhooks", "/api/v1/watch")
"""Where the API answers in this form; `/api/v1/tasks` keeps problem details."""
VALIDATION = "validation_error"


class ApiError(Exception):
    """An error whose answer is known where it is found: status, Resend's name for it, and what to do."""

    def __init__(self, status: int, name: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.name, self.message, self.field = status, name, message, field


@dataclass(frozen=True, slots=True)
class Refusal:
    """How an error is told."""

    status: int
    name: str
    message: str = ""
    """None given: the error's own sentence."""


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


def is_program_path(path: str) -> bool:
    """Tell whether the API answers at this path in Resend's form."""
    return any(path == known or path.startswith(f"{known}/") for known in PATHS)


def answer(body: Mapping[str, Any] | list[Any], status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(json.dumps(body), status, content_type="application/json")


def refuse(error: Exception) -> Response:
    """Return the answer for an error."""
    refusal = _refusal(error)
    field = getattr(error, "field", None)
    message = refusal.message or _words(error)
    if field and refusal.name == VALIDATION:
        message = f"`{field}`: {message}"
    accepts = request.accept_mimetypes
    if "application/problem+json" in accepts.values():
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

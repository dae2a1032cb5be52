"""What went wrong, in words: the one table from errors to pages and to problem+json (RFC 9457)."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from quart import Quart, Response, current_app, g, has_request_context, json, make_response, request
from werkzeug.exceptions import HTTPException

from mailroom.accounts import errors as accounts
from mailroom.kit.errors import MailroomError, Unavailable
from mailroom.tasks.service import CannotCancel, CannotRepeat
from mailroom.web.browser import current_session
from mailroom.web.forms import Invalid, InvalidQuery
from mailroom.web.limits import TooFast, TooManySignIns
from mailroom.web.page import page_without_lookup
from mailroom.web.requests import BodyTooLarge, Unreadable
from mailroom.web.security import CrossSite, UnknownHost

logger = logging.getLogger(__name__)

SOON = 10
"""Seconds after which to try again when a server of ours is away."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One error as a person meets it: what, what to do (the error's own sentence where empty), the way on."""

    status: int
    title: str
    advice: str = ""
    way: tuple[str, str] = ("Back to the start", "/")


SIGN_IN, SIGN_UP, CODE = ("Sign in", "/sign-in"), ("Sign up again", "/sign-up"), ("Type the code", "/confirm")
NEW_PASSWORD = ("Choose a new password", "/new-password")
NEW_LINK = ("Ask for another link", "/new-password")

TABLE: dict[type[Exception] | int, Answer] = {
    # -- tokens and codes
    accounts.WrongToken: Answer(
        404,
        "This link is not right",
        "Perhaps it was cut short on its way. Copy the whole link out of the mail, or type the code from it.",
        CODE,
    ),
    accounts.UsedToken: Answer(
        410,
        "Already confirmed",
        "This address is confirmed, and the link has done its work. Just sign in.",
        SIGN_IN,
    ),
    accounts.ExpiredToken: Answer(
        410, "This link is too old", "Sign up again with the same address and a new mail comes at once.", SIGN_UP
    ),
    accounts.ReplacedToken: Answer(
        410,
        "There is a newer mail",
        "You signed up again after this mail was sent. Please use the link in the newest one, or type its code.",
        CODE,
    ),
    accounts.WrongPasswordLink: Answer(404, "This link is not right", way=NEW_LINK),
    accounts.UsedPasswordLink: Answer(410, "This link was used", way=NEW_LINK),
    accounts.OldPasswordLink: Answer(410, "This link is too old", way=NEW_LINK),
    accounts.WrongPassword: Answer(422, "That is not the password", way=("Try again", "")),
    accounts.WrongCode: Answer(422, "That is not the code", way=CODE),
    accounts.MalformedCode: Answer(422, "That is no code", way=CODE),
    accounts.ExpiredCode: Answer(422, "This code is too old", way=CODE),
    accounts.TooManyTries: Answer(
        429,
        "Too many tries",
        "This code was typed wrongly too often and no longer counts. Ask for a new mail, or use its link.",
        SIGN_UP,
    ),
    # -- signing up and in
    accounts.WrongCredentials: Answer(422, "That did not match", way=SIGN_IN),
    accounts.NotConfirmed: Answer(422, "Not confirmed yet", way=SIGN_IN),
    TooManySignIns: Answer(429, "Too many tries with this address", way=NEW_PASSWORD),
    accounts.UnknownSignUp: Answer(
        404,
        "No sign-up to go on with",
        "This browser has no open sign-up: the page may be old, or you signed up in another browser. Use the "
        "link in the mail, or sign up again.",
        SIGN_UP,
    ),
    accounts.ExportGone: Answer(410, "This file is gone", way=("To your account", "/account")),
    # -- tasks
    CannotCancel: Answer(409, "It cannot be cancelled", way=("Back", "")),
    CannotRepeat: Answer(409, "It cannot be begun again", way=("Back", "")),
    accounts.AlreadyConfirmed: Answer(409, "Already confirmed", way=SIGN_IN),
    accounts.TooSoon: Answer(429, "A moment, please", way=("Back", "")),
    # -- servers of ours
    Unavailable: Answer(503, "One moment, please", way=("Try again", "")),
    MailroomError: Answer(400, "That did not work"),
    # -- the guard
    UnknownHost: Answer(400, "Unknown address"),
    CrossSite: Answer(
        403,
        "This form came from somewhere else",
        "To be safe, nothing was done. Open the page here and send the form again.",
    ),
    Invalid: Answer(422, "Please check the form"),
    InvalidQuery: Answer(422, "Please check the query"),
    # -- HTTP
    400: Answer(400, "That could not be read", "The browser sent something unexpected. Go back and try again."),
    401: Answer(401, "Please sign in", "This page is for someone who is signed in.", SIGN_IN),
    403: Answer(403, "Not for you", "This page belongs to someone else."),
    404: Answer(
        404,
        "Nothing here",
        "No page lives at this address, or it is not for this browser. Check the address, or begin at the start.",
    ),
    405: Answer(405, "Not this way", "This address does not take that kind of request. Begin at the start."),
    413: Answer(413, "Too large", "Send less in one request."),
    415: Answer(415, "That could not be read", "Send a form, or JSON."),
    422: Answer(422, "Please check the form"),
    429: Answer(429, "A little too fast", way=("Back", "")),
    500: Answer(
        500,
        "Something broke on our side",
        "It was noted, and no mail is lost by it. Try again; if it happens once more, tell whoever runs this "
        "Mailroom.",
    ),
    503: Answer(503, "One moment, please", "Mailroom is busy. Please try again in a minute.", ("Try again", "")),
}


def answer_for(error: Exception) -> Answer:
    """Return the table's entry for `error`: of its class or the nearest above it, else of its status."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    status = error.code if isinstance(error, HTTPException) and error.code else 500
    return TABLE.get(status, TABLE[400] if status < 500 else TABLE[500])  # noqa: PLR2004


def in_words(seconds: float) -> str:
    """Return a wait as people say it: "40 seconds", "3 minutes"."""
    number, unit = (round(seconds), "second") if seconds < 90 else (round(seconds / 60), "minute")  # noqa: PLR2004
    number = max(number, 1)
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def wait_of(error: Exception) -> float | None:
    """Return the seconds after which to try again, where the error tells."""
    if isinstance(error, TooFast):
        return error.seconds
    if isinstance(error, accounts.TooSoon):
        return error.seconds
    return SOON if isinstance(error, Unavailable) else None


def advice_for(error: Exception) -> str:
    """Return what to do about `error`, in one or two sentences."""
    if isinstance(error, TooManySignIns):
        return (
            "There were many attempts to sign in with this address, by you or somebody else. "
            f"Please try again in {in_words(error.seconds)}, or choose a new password by mail."
        )
    if isinstance(error, TooFast):
        return f"That was a lot at once. Please try again in {in_words(error.seconds)}."
    if isinstance(error, (UnknownHost, Unreadable, BodyTooLarge)):
        return str(error.description)
    return answer_for(error).advice or (str(error) if isinstance(error, (MailroomError, Invalid)) else "")


def wants_json() -> bool:
    """Tell whether this request is a program's: by path, by what it sends, by what it accepts."""
    if "/api/" in f"{request.path}/" or request.mimetype == "application/json":
        return True
    accepts = request.accept_mimetypes
    return max(accepts["application/json"], accepts["application/problem+json"]) > accepts["text/html"]


async def respond(error: Exception) -> Response:
    """Return the page or the problem for `error`."""
    entry, advice, wait = answer_for(error), advice_for(error), wait_of(error)
    status = error.code if isinstance(error, HTTPException) and error.code else entry.status
    if not has_request_context():  # a websocket's handshake: its client reads the status and no more
        return Response("", status)
    if wants_json():
        response = await problem(status, entry.title, advice, fields=getattr(error, "messages", None))
    else:
        await _look_up(status)
        label, href = _way_on(error, entry)
        response = await page_without_lookup(
            "error.html",
            status,
            title=entry.title,
            advice=advice,
            label=label,
            href=href or page_above(request.path),
        )
    if isinstance(error, HTTPException):
        for name, value in error.get_headers():
            if name in {"Allow", "Retry-After"}:
                response.headers[name] = value
    if wait is not None:
        response.headers["Retry-After"] = str(max(1, round(wait)))
    return response


async def _look_up(status: int) -> None:
    """Have the page know who looks at it, unless that may be what is broken, or comes too often to ask for it."""
    if status < 500 and status != 429:  # noqa: PLR2004
        with suppress(Exception):
            await current_session()


def _way_on(error: Exception, entry: Answer) -> tuple[str, str]:
    viewer = g.get("mailroom_session")
    if isinstance(error, accounts.UsedToken) and viewer and viewer.account:
        return ("To your account", "/account") if viewer.account.id == error.account_id else entry.way
    return entry.way


def page_above(path: str) -> str:
    """Return `path` if it is a page one can open, else the nearest page above it."""
    adapter = current_app.url_map.bind("")
    while path.strip("/"):
        if adapter.test(path, method="GET"):
            return path
        path = path.rstrip("/").rpartition("/")[0]
    return "/"


async def problem(status: int, title: str, detail: str, *, fields: dict[str, str] | None = None) -> Response:
    """Return a problem document (RFC 9457 §3); `fields` are messages by field of a form."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if fields:
        body["errors"] = [{"field": name, "detail": text} for name, text in fields.items()]
    made = await make_response(json.dumps(body), status)
    assert isinstance(made, Response)
    made.headers["Content-Type"] = "application/problem+json"
    return made


def handle(app: Quart) -> None:
    """Have every error of `app` answered by the table."""

    async def known(error: Exception) -> Response:
        return await respond(error)

    async def unknown(error: Exception) -> Response:
        logger.error("a request failed", exc_info=error)
        return await respond(error)

    for kind in (MailroomError, Invalid, HTTPException):
        app.register_error_handler(kind, known)
    app.register_error_handler(Exception, unknown)

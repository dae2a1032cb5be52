"""What went wrong, in words: a page for people, a problem document for programs (RFC 9457)."""

import logging
from contextlib import suppress
from math import ceil
from typing import Any

from quart import Quart, Response, current_app, g, has_request_context, json, make_response, request
from werkzeug.exceptions import HTTPException

from mailroom.accounts import errors as accounts
from mailroom.i18n.formats import duration
from mailroom.i18n.messages import gettext, translated
from mailroom.i18n.sentences import error_text
from mailroom.kit.errors import MailroomError, Overloaded, Unavailable
from mailroom.web.browser import current_session
from mailroom.web.error_table import ACCOUNT, OFFERED, SIGN_IN, TABLE, Answer, NotShown
from mailroom.web.forms.fields import Invalid
from mailroom.web.forms.return_to import SignInFirst, ask_to_sign_in, sign_in_address
from mailroom.web.forms.sent_again import sent_form
from mailroom.web.page import page_without_lookup, redirect
from mailroom.web.program_answers import ApiError, is_program_path, refuse
from mailroom.web.rate_limits.limits import TooFast, TooManySignIns
from mailroom.web.requests import BodyTooLarge, Unreadable
from mailroom.web.security import SAFE_METHODS, UnknownHost

logger = logging.getLogger(__name__)

SOON = 10
"""Seconds after which to try again when a server of ours is away."""


def answer_for(error: Exception) -> Answer:
    """Return the table's entry for `error`: that of its class or nearest base class, else that of its status."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    status = error.code if isinstance(error, HTTPException) and error.code else 500
    return TABLE.get(status, TABLE[400] if status < 500 else TABLE[500])  # noqa: PLR2004


def wait_of(error: Exception) -> float | None:
    """Return the seconds after which to try again, if the error tells."""
    if isinstance(error, TooFast):
        return error.seconds
    if isinstance(error, (Overloaded, accounts.TooSoon, accounts.SignInDelayed, accounts.TooManyStepCodes)):
        return error.seconds
    return SOON if isinstance(error, Unavailable) else None


def advice_for(error: Exception) -> str:
    """Return what to do about `error`, in one or two sentences."""
    if isinstance(error, TooManySignIns):
        return gettext(
            "There were many attempts to sign in with this address, by you or by somebody else. "
            "Please try again in %(wait)s, or choose a new password by mail.",
            wait=duration(error.seconds),
        )
    if isinstance(error, TooFast):
        return gettext("You sent many requests. Please try again in %(wait)s.", wait=duration(error.seconds))
    if isinstance(error, (UnknownHost, BodyTooLarge, Unreadable)):
        return str(error.description)
    if advice := translated(answer_for(error).advice):
        return advice
    if isinstance(error, MailroomError):
        return error_text(error)
    return str(error) if isinstance(error, Invalid) else ""


def wants_json() -> bool:
    """Tell whether this request comes from a program, by its path, its body's type and its Accept header."""
    if "/api/" in f"{request.path}/" or request.mimetype == "application/json":
        return True
    accepts = request.accept_mimetypes
    return max(accepts["application/json"], accepts["application/problem+json"]) > accepts["text/html"]


async def respond(error: Exception) -> Response:
    """Return the page or the problem for `error`."""
    entry, wait = answer_for(error), wait_of(error)
    status = error.code if isinstance(error, HTTPException) and error.code else entry.status
    if not has_request_context():  # a websocket's handshake: its client reads the status and no more
        return Response("", status)
    if is_program_path(request.path):
        response = await refuse(error)
    elif wants_json():
        fields = getattr(error, "messages", None)
        response = await problem(status, translated(entry.title), advice_for(error), fields=fields)
    else:
        await _look_up(status)  # before the texts: a member may have chosen a language
        advice = advice_for(error)
        if isinstance(error, NotShown) and not _is_member():
            entry, advice = OFFERED, translated(OFFERED.advice)
        label, href = _way_on(error, entry)
        response = await page_without_lookup(
            "error.html",
            status,
            title=translated(entry.title),
            advice=advice,
            label=translated(label),
            href=href or page_above(request.path),
            again=await sent_form(status),
            wait=ceil(wait or 0),
        )
    if request.method not in SAFE_METHODS:  # Back shows the answer to a form only if the browser may keep it
        response.headers["Cache-Control"] = "private, no-cache"
    if isinstance(error, HTTPException):
        for name, value in error.get_headers():
            if name in {"Allow", "Retry-After"}:
                response.headers[name] = value
    if wait is not None:
        response.headers["Retry-After"] = str(max(1, round(wait)))
    return response


async def _look_up(status: int) -> None:
    """Look the session up for the head of the page, unless the database may be broken or be asked too often."""
    if status < 500 and status != 429:  # noqa: PLR2004
        with suppress(Exception):
            await current_session()


def _is_member() -> bool:
    viewer = g.get("mailroom_session")
    return viewer is not None and viewer.account is not None


def _way_on(error: Exception, entry: Answer) -> tuple[str, str]:
    if entry is OFFERED:
        return SIGN_IN[0], sign_in_address(request.path)
    if isinstance(error, accounts.UsedToken) and _is_member():
        return ACCOUNT if g.mailroom_session.account.id == error.account_id else entry.way
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

    async def sign_in_first(_: Exception) -> Response:
        return ask_to_sign_in()

    async def unknown(error: Exception) -> Response:
        logger.error("a request failed", exc_info=error)
        return await respond(error)

    async def leaving(error: Exception) -> Response:
        return await respond(error) if wants_json() else redirect("/account/delete")

    app.register_error_handler(accounts.Leaving, leaving)
    for kind in (MailroomError, Invalid, HTTPException, ApiError):
        app.register_error_handler(kind, known)
    app.register_error_handler(SignInFirst, sign_in_first)
    app.register_error_handler(Exception, unknown)

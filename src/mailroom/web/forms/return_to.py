"""Signing in and coming back to the page that asked for it."""

import re
from urllib.parse import quote

from quart import Response, request

from mailroom.accounts.views import AccountView, Session
from mailroom.web.browser import current_session
from mailroom.web.page import redirect

LONGEST = 500
DEFAULT = "/account"
OUT = re.compile(r"//|^/[^/]*:|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
"""What in a path may lead out of our site: another host, an address with a scheme, a folder further up."""


class SignInFirst(Exception):
    """Nobody is signed in, and the page is for members. The answer is `ask_to_sign_in`."""


async def member() -> tuple[Session, AccountView]:
    """Return the session of this request and its account. Raises `SignInFirst` where nobody is signed in."""
    session = await current_session()
    if session is None or session.account is None:
        raise SignInFirst
    return session, session.account


def ask_to_sign_in(path: str | None = None) -> Response:
    """Send the browser to the sign-in, and then back to `path` (default: this page, for a POST `/account`)."""
    return redirect(
        sign_in_address(path or (request.full_path.rstrip("?") if request.method == "GET" else DEFAULT))
    )


def sign_in_address(path: str) -> str:
    """Return the address of the sign-in that goes on to `path`."""
    return f"/sign-in?next={quote(path, safe='/')}"


def second_step_address(path: str) -> str:
    """Return the address of a sign-in's second step, which then goes on to `path` if that is not empty."""
    return f"/sign-in/second-step?next={quote(path, safe='/')}" if path else "/sign-in/second-step"


def safe_path(asked: object) -> str:
    """Return where to go after signing in: `asked` if that is a page of ours, else an empty text.

    A browser reads a backslash as a slash, drops tabs and line ends, takes two slashes for another host, and
    ``%2e%2e`` for the folder above, which belongs to another site if we are served under a path (WHATWG URL). A
    scheme after the first slash is refused, too: code that resolves only the rest would go there.
    """
    text = str(asked or "")
    if not text.startswith("/") or len(text) > LONGEST or not text.isprintable() or "\\" in text:
        return ""
    path = re.split("[?#]", text, maxsplit=1)[0]
    return "" if OUT.search(path) else text

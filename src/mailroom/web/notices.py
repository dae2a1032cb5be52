"""What the next page says once: "Your password is changed". A reload, or Back, does not say it again."""

from quart import Response, after_this_request, request
from werkzeug.wrappers import Response as WerkzeugResponse

from mailroom.web.browser import services
from mailroom.web.page import redirect

SECONDS = 60
"""How long a notice waits for its page."""


def redirect_with_notice(address: str, notice: str) -> Response:
    """Send the browser on to `address` (303), whose page says `notice`: a word that its template knows."""
    response = redirect(address)
    settings = services().settings
    response.set_cookie(
        _cookie(), notice, max_age=SECONDS, secure=settings.https, httponly=True, samesite="Lax", path="/"
    )
    return response


def take_notice() -> str:
    """Return the word of the notice that waits for this browser, or "", and have the answer take it away."""
    notice = request.cookies.get(_cookie(), "")
    if notice:
        after_this_request(_forget)
    return notice


async def _forget(response: Response | WerkzeugResponse) -> Response | WerkzeugResponse:
    response.delete_cookie(_cookie(), secure=services().settings.https, httponly=True, samesite="Lax", path="/")
    return response


def _cookie() -> str:
    return "__Host-mailroom-notice" if services().settings.https else "mailroom-notice"

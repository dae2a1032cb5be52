"""Notices that the next page shows once: "Your password is changed". Reload and Back do not show it again."""

from quart import Response, after_this_request, request
from werkzeug.wrappers import Response as WerkzeugResponse

from mailroom.web import cookies
from mailroom.web.browser import services
from mailroom.web.page import redirect

NOTICE = "notice"
"""The cookie's name."""
SECONDS = 60
"""How long a notice waits for its page."""


def redirect_with_notice(address: str, notice: str) -> Response:
    """Send the browser on to `address` (303), whose page says `notice`: a word that its template knows."""
    response = redirect(address)
    cookies.put(response, services().settings, notice, what=NOTICE, max_age=SECONDS)
    return response


def take_notice() -> str:
    """Return the word of the notice that waits for this browser, or "", and delete its cookie with the answer."""
    notice = request.cookies.get(cookies.name_of(services().settings, NOTICE), "")
    if notice:
        after_this_request(_forget)
    return notice


async def _forget(response: Response | WerkzeugResponse) -> Response | WerkzeugResponse:
    cookies.take_away(response, services().settings, what=NOTICE)
    return response

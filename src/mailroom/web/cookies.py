"""Our cookies: their names, and which paths of the host they are sent to."""

from quart import Response
from werkzeug.wrappers import Response as WerkzeugResponse

from mailroom.settings import Settings

Answer = Response | WerkzeugResponse


def name_of(settings: Settings, what: str = "") -> str:
    """Return a cookie's name: the session's, or that of `what`.

    Browsers enforce what its prefix promises (RFC 6265bis §4.1.3): `__Host-` is for the whole host,
    `__Secure-` may be for a path. Both need https; other clients than browsers refuse them on http.
    """
    prefix = "" if not settings.https else "__Secure-" if settings.site_path else "__Host-"
    return f"{prefix}mailroom-{what}" if what else f"{prefix}mailroom"


def put(response: Answer, settings: Settings, value: str, *, what: str = "", max_age: int | None) -> None:
    """Give a cookie that no script may read. Without `max_age` (seconds) it goes when the browser is closed."""
    response.set_cookie(
        name_of(settings, what),
        value,
        max_age=max_age,
        secure=settings.https,
        httponly=True,
        samesite="Lax",
        path=settings.site_path or "/",
    )


def take_away(response: Answer, settings: Settings, *, what: str = "") -> None:
    """Delete a cookie."""
    response.delete_cookie(
        name_of(settings, what),
        secure=settings.https,
        httponly=True,
        samesite="Lax",
        path=settings.site_path or "/",
    )

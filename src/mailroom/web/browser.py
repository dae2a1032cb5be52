"""The browser's session: a secret in a cookie, looked up once a request and only when it is asked for."""

from collections.abc import Mapping

from quart import Response, g, request

from mailroom.accounts.errors import Leaving
from mailroom.accounts.sessions import LONGEST_SECRET
from mailroom.accounts.views import AccountView, NewSession, Origin, Session
from mailroom.i18n import formats, languages
from mailroom.kit import clock
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.client import Client, RequestLike, client_of
from mailroom.web.cookies import name_of, put, take_away
from mailroom.web.parts import current

OF_WHO_LEAVES = ("/account/delete", "/keep-account/", "/not-me/", "/sign-out")
"""The only pages that an account that is to be deleted may use."""
CLEARED = '"cache", "storage"'
"""What a browser forgets with its session. Not all cookies: other programs at the same host name may have some."""


def session_secret(cookies: Mapping[str, str], settings: Settings) -> str | None:
    """Return the session's secret out of a request's or websocket's cookies, or None."""
    secret = cookies.get(name_of(settings))
    return secret if secret and len(secret) <= LONGEST_SECRET else None


def services() -> Services:
    """Return the application's services; for functions that Quart calls."""
    return current(Services)


def user_agent() -> str:
    """Return what the browser calls itself, at most 300 characters of it."""
    return request.headers.get("User-Agent", "")[:300]


def client(asked: RequestLike = request) -> Client:
    """Return who sent this request, or the websocket `asked`, behind the trusted proxies."""
    return client_of(asked, services().settings.trusted_proxies)


def client_address() -> str:
    """Return the client's IP address, behind the trusted proxies."""
    return client().address


def origin() -> Origin:
    """Return where this request came from."""
    return Origin(user_agent(), client_address())


async def current_session() -> Session | None:
    """Return the session of this request; the first call looks it up.

    Raises `Leaving` where its account is to be deleted, except on the pages that such an account may use.
    """
    if "mailroom_session" not in g:
        secret = session_secret(request.cookies, services().settings)
        session = await services().sessions.find(secret, client_address()) if secret else None
        g.mailroom_session = session
        if session and session.account:
            speak_for(session.account)
            if session.account.deletes_at and not request.path.startswith(OF_WHO_LEAVES):
                raise Leaving
    found: Session | None = g.mailroom_session
    return found


def speak_for(account: AccountView) -> None:
    """Speak the language, and use the time zone, that a member has chosen."""
    if account.language in languages.shipped():
        languages.speak(account.language)
    formats.use_time_zone(account.time_zone)


async def current_or_new_session() -> Session:
    """Return the session of this request. A browser without one gets an anonymous session and its cookie."""
    session = await current_session()
    if session is None:
        started = await services().sessions.start(user_agent())
        g.mailroom_started = started
        session = g.mailroom_session = started.session
    return session


async def current_session_or_new() -> Session | NewSession:
    """Return the session of this request, or a new one that is not stored yet: store it, then `begin` it."""
    return await current_session() or services().sessions.new(user_agent())


def begin(started: NewSession) -> None:
    """Have this request's answer carry the cookie of a session that has just begun."""
    g.mailroom_started, g.mailroom_session = started, started.session


def forget() -> None:
    """Have this request's answer take the cookie away."""
    g.mailroom_forgotten, g.mailroom_session = True, None


async def write_cookie(response: Response) -> Response:
    """Write the cookie that `begin` or `forget` asked for, or the new expiry of a session that was extended."""
    settings = services().settings
    if g.get("mailroom_forgotten"):
        take_away(response, settings)
        if not settings.site_path:  # else the other sites of this host would lose what they keep
            response.headers["Clear-Site-Data"] = CLEARED
        return response
    started: NewSession | None = g.get("mailroom_started")
    session: Session | None = g.get("mailroom_session")
    if started:
        secret, ends, session = started.secret, started.expires_at, started.session
    elif session and session.extended_to:
        secret, ends = session_secret(request.cookies, settings) or "", session.extended_to
    else:
        return response
    seconds = max(0, int((ends - clock.now()).total_seconds()))
    put(response, settings, secret, max_age=seconds if session.kept else None)
    return response

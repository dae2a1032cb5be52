"""Which requests are let in, and the headers of every answer."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from quart import Quart, Response, g, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, Forbidden

from mailroom.i18n.messages import gettext
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.browser import client
from mailroom.web.parts import current

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ANY_HOST = frozenset({"/healthz", "/up", "/readyz", "/metrics"})
"""Paths that platforms and scrapers ask for by address, not by name."""
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

PAGE_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cache-Control": "no-store",  # every page is personal; static files set their own
}
HSTS = "max-age=31536000"


class UnknownHost(BadRequest):
    """A request by a name that is not ours: its links and cookies would be for someone else."""

    def __init__(self, public_url: str) -> None:
        said = gettext(
            "This server answers to %(address)s only. Its operator sets that with PUBLIC_URL.", address=public_url
        )
        super().__init__(said)


class CrossSite(Forbidden):
    """A form that was sent from somewhere else."""

    description = "This form was sent from another site, so nothing was done."


def is_known_host(host: str, settings: Settings) -> bool:
    """Tell whether `host` (with its port) is PUBLIC_URL's, or a loopback name of the embedded stack."""
    public = urlsplit(settings.public_url)
    asked = _split_host(host, public.scheme)
    if asked is None:
        return False
    if asked == (public.hostname, public.port or _PORTS[public.scheme]):
        return True
    return settings.mailroom_embedded and asked[0] in _LOOPBACK and asked[1] == settings.port


def is_same_origin(headers: Headers | Mapping[str, str], scheme: str, host: str, settings: Settings) -> bool:
    """Tell whether a request or websocket handshake comes from a page of our own.

    `scheme` and `host` are those of `client_of`. Host must be ours (`is_known_host`), and `Origin` must be
    that scheme and host. PUBLIC_URL itself counts as well, for a proxy that ends the TLS without telling us. What
    the browser says in `Sec-Fetch-Site` (W3C Fetch Metadata) must agree.

    `Origin: null` is what browsers send from a page under `Referrer-Policy: no-referrer` (Fetch §3.2.6), as
    our confirmation page is, but also from a sandboxed frame. It counts only if `Sec-Fetch-Site`, which no page
    can forge, says same-origin.

    A request with neither header does not come from a browser (current ones send one of them with each POST and
    each handshake), so nobody's cookies could be misused; SameSite=Lax covers older browsers. It counts as ours,
    unless a `Referer` says that it comes from a page elsewhere.
    """
    if not is_known_host(host, settings):
        return False
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    ours = {_origin(f"{scheme}://{host}"), _public_origin(host, settings)}
    if origin is None:
        referer = headers.get("Referer")
        return site is not None or referer is None or _origin(referer) in ours
    if origin == "null":
        return site == "same-origin"
    return _origin(origin) in ours


def _origin(text: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(text.lower())
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", None, None


def _public_origin(host: str, settings: Settings) -> tuple[str, str | None, int | None] | None:
    public = _origin(settings.public_url)
    return public if _split_host(host, public[0]) == public[1:] else None


def _split_host(host: str, scheme: str) -> tuple[str | None, int] | None:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname, parts.port or _PORTS[scheme]
    except ValueError:
        return None


async def guard() -> None:
    """Turn away unknown hosts (400) and state-changing requests from other sites (403)."""
    settings = current(Services).settings
    asked = client()
    if request.path in ANY_HOST:
        return
    if not is_known_host(asked.host, settings):
        raise UnknownHost(settings.public_url)
    if request.method not in SAFE_METHODS and not is_same_origin(
        request.headers, asked.scheme, asked.host, settings
    ):
        raise CrossSite


def page_policy(settings: Settings) -> dict[str, str]:
    """Return the content policy of our pages (W3C CSP level 3).

    If we are served under a path of a host, `'self'` would include the host's other sites, and what strangers put
    there. So PUBLIC_URL's path, with all below it, takes its place. CSP has no IPv6 addresses, and the embedded
    stack answers to several names: there it stays `'self'`.
    """
    public = urlsplit(settings.public_url)
    if not settings.site_path or settings.mailroom_embedded or ":" in (public.hostname or ""):
        return PAGE_POLICY
    ours = f"{public.scheme}://{public.netloc}{settings.site_path}/"
    policy = {name: value.replace("'self'", ours) for name, value in PAGE_POLICY.items()}
    return {**policy, "connect-src": f"{ours} {ours.replace('http', 'ws', 1)}"}


def _in_words(policy: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in policy.items())


def protect(app: Quart, settings: Settings) -> None:
    """Put the guard before every request and the headers on every answer of `app`."""
    app.before_request(guard)
    policy = page_policy(settings)
    headers = {"Content-Security-Policy": _in_words(policy), **HEADERS}

    async def add_headers(response: Response) -> Response:
        ancestors = g.get("mailroom_frame_ancestors")
        if ancestors:  # a page for frames: CSP can name the pages around it, X-Frame-Options cannot
            framed = {**policy, "frame-ancestors": ancestors}
            response.headers["Content-Security-Policy"] = _in_words(framed)
        for name, value in headers.items():
            if not (ancestors and name == "X-Frame-Options"):
                response.headers.setdefault(name, value)
        if settings.https:
            response.headers.setdefault("Strict-Transport-Security", HSTS)
        return response

    app.after_request(add_headers)


def hide_address(response: Response, *, secure: bool) -> Response:
    """Keep a page's own address, which holds a token, from being sent anywhere as a referrer.

    If `secure` (https, or http on loopback), the policy is no-referrer: the browser's Sec-Fetch-Site tells our
    form from a stranger's. Plain http has no Sec-Fetch-Site, and with no-referrer nothing would be left to check
    the form by. So there the policy is same-origin, which hides the address from other origins, too.
    """
    response.headers["Referrer-Policy"] = "no-referrer" if secure else "same-origin"
    return response


def is_trustworthy(scheme: str, host: str) -> bool:
    """Tell whether browsers take this for a secure context (W3C Secure Contexts §3.1): https or loopback."""
    parts = _split_host(host, "http")
    return scheme == "https" or (parts is not None and parts[0] in _LOOPBACK)

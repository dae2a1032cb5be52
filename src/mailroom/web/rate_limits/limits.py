"""Rate limits: how often one client may do what. Every state-changing route has one (a house test sees to it).

Signing in has a second limit: how often all clients together may try one address.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any, TypeVar

from quart import Quart, Response, current_app, g, request
from werkzeug.exceptions import TooManyRequests

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import InvalidAddress
from mailroom.settings import Settings
from mailroom.web.browser import client, current_session, services
from mailroom.web.forms.fields import sent_values
from mailroom.web.parts import current, provide
from mailroom.web.rate_limits.memory import ROUNDING, Rate
from mailroom.web.rate_limits.store import LimitStore
from mailroom.web.security import SAFE_METHODS

View = TypeVar("View", bound=Callable[..., Any])

_LIMITS = "mailroom_limits"
"""The attribute of a view that holds the limits of its route."""
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

SIGN_UP = ((10, _MINUTE), (60, _HOUR))
CONFIRM = ((20, _MINUTE),)
SIGN_IN = ((10, _MINUTE), (100, _HOUR))
SIGN_IN_OF_ADDRESS = (10, timedelta(minutes=5))
"""For all clients together. An attacker may use it up, but that locks nobody out: half a minute later one more
try passes, and choosing a new password by mail does not count against it."""
RESEND = ((6, _MINUTE), (30, _HOUR))
EXPORT = ((3, _MINUTE), (20, _HOUR))
CHANGE = ((60, _MINUTE),)
"""Changes that cost little: signing out, ending a session, most acts of operators."""
API = ((60_000, _MINUTE),)
"""Programs with a key. The key limits what they may send; this only stops a runaway loop."""
ACTS = ((10, _MINUTE),)
"""Requests of programs that may take seconds or send a mail: acts on many mails, failures, test alerts."""
READ = ((600, _MINUTE),)
"""The API: generous, as one office may share one address. (For websockets see `web/live/registry.py`.)"""


Also = Callable[[], Awaitable[list[Rate]]]
"""Rates that a request counts against besides those of its client."""


def limited(limits: Sequence[tuple[int, timedelta]], *, also: Also | None = None) -> Callable[[View], View]:
    """Mark a route with its limits; a route for GET and POST counts the state-changing requests only.

    What `also` returns is counted in the same step, so that a refusal tells the longest wait at once.
    """
    return _marked(limits, safe_methods_count=False, also=also)


def limited_reads(limits: Sequence[tuple[int, timedelta]]) -> Callable[[View], View]:
    """Mark a route whose every request counts."""
    return _marked(limits, safe_methods_count=True)


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """The limits of one route."""

    limits: tuple[tuple[int, timedelta], ...]
    safe_methods_count: bool
    also: Also | None = None

    def rates(self, endpoint: str, client: str) -> list[Rate]:
        """Return the rates that a request of this client counts against."""
        return [
            Rate(f"{endpoint}:{count}/{period.total_seconds():.0f}s:{client}", count, period.total_seconds())
            for count, period in self.limits
        ]


def _marked(
    limits: Sequence[tuple[int, timedelta]], *, safe_methods_count: bool, also: Also | None = None
) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _LIMITS, RouteLimits(tuple(limits), safe_methods_count, also))
        return view

    return mark


def limits_of(view: Callable[..., Any]) -> RouteLimits | None:
    """Return the limits that a route is marked with."""
    return getattr(view, _LIMITS, None)


class TooFast(TooManyRequests):
    """More requests than the limit allows; `seconds` until the next one passes."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class TooManySignIns(TooFast):
    """More tries to sign in with one address than the limit allows, from all clients together."""


async def count_request() -> None:
    """Count this request against the limits of its route, all in one step.

    Raises `TooFast`, or `TooManySignIns` after too many tries to sign in with one address.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    found = limits_of(view) if view else None
    if not found or (request.method in SAFE_METHODS and not found.safe_methods_count):
        return
    rates = found.rates(request.endpoint or "", client().limited_as)
    more = await found.also() if found.also else []
    verdict = await current(LimitStore).take([*rates, *more])
    own = max(used - rate.period + rate.each for rate, used in zip(rates, verdict.used, strict=False))
    if more and verdict.wait > max(own, 0) + ROUNDING:
        raise TooManySignIns(ceil(verdict.wait))  # no headers: the client's own limit is not what makes it wait
    g.mailroom_limit = (rates[0], verdict.used[0])
    if verdict.wait > 0:
        raise TooFast(ceil(verdict.wait))


async def tell_limit(response: Response) -> Response:
    """Put the first limit of the route, and what is left of it, on the answer.

    The names are those of draft-ietf-httpapi-ratelimit-headers-03.
    """
    rate, used = g.get("mailroom_limit", (None, 0.0))
    if rate is not None:
        left = int((rate.period - used) / rate.each + 0.001)  # Redis tells microseconds
        response.headers["RateLimit-Limit"] = str(rate.count)
        response.headers["RateLimit-Remaining"] = str(max(left, 0))
        response.headers["RateLimit-Reset"] = str(ceil(used))
    return response


def limit(app: Quart, store: LimitStore) -> None:
    """Count the requests of `app` in `store`, which is closed with it."""
    provide(app, LimitStore, store)
    app.before_request(count_request)
    app.after_request(tell_limit)
    app.after_serving(store.close)


async def by_address() -> list[Rate]:
    """Return the rate of sign-ins with the address of this request, as typed.

    It is the same for known and unknown addresses. Redis sees only an HMAC of the address.
    """
    email = (await sent_values()).get("email")
    if not isinstance(email, str) or not email.strip():
        return []
    count, period = SIGN_IN_OF_ADDRESS
    return [Rate(f"sign-in of address:{_hidden(email, services().settings)}", count, period.total_seconds())]


async def by_member() -> list[Rate]:
    """Return the rate of passwords typed for the account that is signed in; its sign-ins count against it, too."""
    session = await current_session()
    if session is None or session.account is None:
        return []
    count, period = SIGN_IN_OF_ADDRESS
    hidden = _hidden(session.account.email, services().settings)
    return [Rate(f"sign-in of address:{hidden}", count, period.total_seconds())]


def _hidden(email: str, settings: Settings) -> str:
    try:
        key = Address.parse(email).key
    except InvalidAddress:
        key = f" {email.strip()}"  # no account's key, since those have no space
    said = b"mailroom/limits/" + key.encode(errors="surrogatepass")
    return hmac.new(settings.secret_keys[0].encode(), said, hashlib.sha256).hexdigest()

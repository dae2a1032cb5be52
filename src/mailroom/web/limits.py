"""Rate limits: how often one client may do what. Every state-changing route has one (a house test sees to it).

Signing in has another: how often anyone may try it with one address.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

from quart import Quart, Response, current_app, g, request
from quart_rate_limiter import RateLimit, RateLimiter, RateLimitExceeded, rate_limit

from mailroom.accounts.addresses import Address
from mailroom.accounts.errors import InvalidAddress
from mailroom.settings import Settings
from mailroom.web.client import client_of
from mailroom.web.limit_store import LimitStore, Rate
from mailroom.web.parts import current, provide

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

SIGN_UP = ((10, _MINUTE), (60, _HOUR))
CONFIRM = ((20, _MINUTE),)
SIGN_IN = ((10, _MINUTE), (100, _HOUR))
SIGN_IN_OF_ADDRESS = (10, timedelta(minutes=5))
"""For all clients together. Mallory may use it up in Alice's place, so it is no lock: half a minute later one more
try passes, and a new password, by mail, goes past it."""
RESEND = ((6, _MINUTE), (30, _HOUR))
EXPORT = ((3, _MINUTE), (20, _HOUR))
CHANGE = ((60, _MINUTE),)
"""Signing out, ending a session: cheap, and only one's own."""
API = ((60_000, _MINUTE),)
"""Programs with a key: what they may send is limited by their key, this only stops a loop gone wild."""
READ = ((600, _MINUTE),)
"""The API: generous, as one office may share one address. (For websockets see `web/live/registry.py`.)"""


def limited(limits: Sequence[tuple[int, timedelta]]) -> Callable[[Any], Any]:
    """Mark a route with its limits; a route for GET and POST counts the state-changing requests only."""
    return rate_limit(limits=[RateLimit(count, period, skip_function=_is_page_view) for count, period in limits])


def limited_reads(limits: Sequence[tuple[int, timedelta]]) -> Callable[[Any], Any]:
    """Mark a route whose every request counts."""
    return rate_limit(limits=[RateLimit(count, period) for count, period in limits])


async def _is_page_view() -> bool:
    return request.method in {"GET", "HEAD", "OPTIONS"}


class TooFast(RateLimitExceeded):
    """More requests than the limit allows; `seconds` until the next one passes."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class TooManySignIns(TooFast):
    """More tries to sign in with one address than the limit allows, whoever made them."""


class Limiter(RateLimiter):
    """quart-rate-limiter, with all limits of a request taken in one step.

    Its own way of reading first and writing later lets through any number of requests that arrive together,
    and answers 500 when Redis is away.
    """

    def __init__(self, store: LimitStore, settings: Settings) -> None:
        super().__init__()
        self.limit_store = store
        self._hops = settings.trusted_proxies

    async def _before_serving(self) -> None:
        """Nothing to open: the store connects when first used."""

    async def _after_serving(self) -> None:
        await self.limit_store.close()

    async def _before_request(self) -> None:
        view = current_app.view_functions.get(request.endpoint or "")
        if view is None or not current_app.config["QUART_RATE_LIMITER_ENABLED"]:
            return
        blueprint = current_app.blueprints.get(request.blueprint or "")
        limits = [
            limit
            for limit in self._get_limits_for_view_function(view, blueprint)
            if not await self._should_skip(limit)
        ]
        client = client_of(request, self._hops).limited_as
        verdict = await self.limit_store.take(
            [
                Rate(f"{request.endpoint}:{limit.key}:{client}", limit.count, limit.period.total_seconds())
                for limit in limits
            ]
        )
        if limits:
            g.mailroom_limit = (limits[0], verdict.used[0])
        if verdict.wait > 0:
            raise TooFast(ceil(verdict.wait))

    async def _after_request(self, response: Response) -> Response:
        limit, used = g.get("mailroom_limit", (None, 0.0))
        if limit is not None:
            left = int((limit.period.total_seconds() - used) / limit.inverse)
            response.headers["RateLimit-Limit"] = str(limit.count)
            response.headers["RateLimit-Remaining"] = str(max(left, 0))
            response.headers["RateLimit-Reset"] = str(ceil(used))
        return response


def limit(app: Quart, store: LimitStore, settings: Settings) -> None:
    """Count the requests of `app` in `store`."""
    provide(app, LimitStore, store)
    Limiter(store, settings).init_app(app)


async def count_sign_in(email: str, settings: Settings) -> None:
    """Count a try to sign in with this address, as typed. Raises `TooManySignIns` where there were too many.

    The same for every address, known or not. Redis gets to see an HMAC of it.
    """
    if not current_app.config["QUART_RATE_LIMITER_ENABLED"]:
        return
    store = current(LimitStore)
    count, period = SIGN_IN_OF_ADDRESS
    rate = Rate(f"sign-in of address:{_hidden(email, settings)}", count, period.total_seconds())
    verdict = await store.take([rate])
    if verdict.wait > 0:
        g.pop("mailroom_limit", None)  # the headers would tell of the client's own limit, which is not used up
        raise TooManySignIns(ceil(verdict.wait))


def _hidden(email: str, settings: Settings) -> str:
    try:
        key = Address.parse(email).key
    except InvalidAddress:
        key = f" {email.strip()}"  # nobody's: no key has a space in it
    said = b"mailroom/limits/" + key.encode(errors="surrogatepass")
    return hmac.new(settings.secret_keys[0].encode(), said, hashlib.sha256).hexdigest()

"""Where rate limits are counted: in Redis for all processes together, in this process when Redis is away."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mailroom.kit.outages import is_away

logger = logging.getLogger(__name__)

PATIENCE = 0.05
"""Seconds a request may wait for Redis."""
AWAY = 5.0
"""Seconds this process counts by itself after Redis failed, before one request tries it again."""
PREFIX = "mailroom:limit:"
MOST_KEYS = 20_000
"""Keys the in-process store holds at most; the ones longest unused go first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One limit on one key: `count` in any `period` seconds."""

    key: str
    count: int
    period: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait` is 0 where the request may pass, else the seconds until it may.

    `used` are the seconds of each rate's period that are taken, in the order given.
    """

    wait: float
    used: tuple[float, ...]


# GCRA: each key holds the theoretical arrival time of the next request. In one script, by Redis's clock:
# requests that arrive together cannot all read the old value before one of them writes the new.
_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local wait, taken = 0, {}
for i, key in ipairs(KEYS) do
  local count, period = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local at = math.max(tonumber(redis.call('GET', key) or now), now)
  taken[i] = at - now
  wait = math.max(wait, taken[i] - (period - period / count))
end
local used = {}
for i, key in ipairs(KEYS) do
  local count, period = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if wait <= 0 then
    taken[i] = taken[i] + period / count
    redis.call('SET', key, string.format('%.6f', now + taken[i]), 'PX', math.ceil(taken[i] * 1000) + 1000)
  end
  used[i] = string.format('%.6f', taken[i])
end
return {string.format('%.6f', math.max(wait, 0)), unpack(used)}
"""


class MemoryStore:
    """Rates counted in this process, in bounded memory."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._arrivals: OrderedDict[str, float] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        """Return the number of keys held."""
        return len(self._arrivals)

    def take(self, rates: Sequence[Rate]) -> Verdict:
        """Count one request against all `rates`, or against none where one of them is used up."""
        now = time.monotonic()
        taken = [max(self._arrivals.get(rate.key, now) - now, 0.0) for rate in rates]
        wait = max(
            (used - rate.period * (1 - 1 / rate.count) for used, rate in zip(taken, rates, strict=True)),
            default=0.0,
        )
        if wait > 0:
            return Verdict(wait, tuple(taken))
        taken = [used + rate.period / rate.count for used, rate in zip(taken, rates, strict=True)]
        for used, rate in zip(taken, rates, strict=True):
            self._arrivals[rate.key] = now + used
            self._arrivals.move_to_end(rate.key)
        while len(self._arrivals) > self._most:
            self._arrivals.popitem(last=False)
        return Verdict(0.0, tuple(taken))


class LimitStore:
    """Rates counted in Redis. While it is away or frozen, a request in `AWAY` seconds waits for it: `PATIENCE`."""

    def __init__(self, url: str, *, connections: int, patience: float = PATIENCE, away: float = AWAY) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=patience,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=self._pool)
        self._script = self._redis.register_script(_SCRIPT)
        self._memory = MemoryStore()
        self._patience, self._away = patience, away
        self._try_again_at = 0.0

    async def take(self, rates: Sequence[Rate]) -> Verdict:
        """Count one request against all `rates`, or against none where one of them is used up."""
        if not rates:
            return Verdict(0.0, ())
        if time.monotonic() < self._try_again_at:
            return self._memory.take(rates)
        before = self._try_again_at
        if before:  # it failed before: this request alone finds out whether it is back
            self._try_again_at = time.monotonic() + self._away
        try:
            async with asyncio.timeout(self._patience):
                wait, *used = await self._script(
                    keys=[PREFIX + rate.key for rate in rates],
                    args=[number for rate in rates for number in (rate.count, rate.period)],
                )
        except Exception as error:
            if not is_away(error):
                raise
            if not before:
                logger.warning("rate limits are counted in this process for now: %s", type(error).__name__)
            self._try_again_at = time.monotonic() + self._away
            return self._memory.take(rates)
        self._try_again_at = 0.0
        return Verdict(float(wait), tuple(float(seconds) for seconds in used))

    async def ping(self, seconds: float) -> bool:
        """Tell whether Redis answers within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return bool(await self._redis.ping())
        except Exception as error:
            if is_away(error):
                return False
            raise

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()
        await self._pool.disconnect()

"""Where rate limits are counted: in Redis for all processes together, in this process while Redis is away.

While Redis answers, it decides. This process remembers what Redis told it, counts on from that while Redis is slow
or away, and tells Redis afterwards. So an outage gives nobody a fresh budget, even if Redis comes back empty.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeout

from mailroom.kit.coalescer import Coalescer
from mailroom.kit.outages import is_away
from mailroom.web.rate_limits import loose as loose_limits
from mailroom.web.rate_limits.loose import LooseLimits
from mailroom.web.rate_limits.memory import MemoryLimits, Rate, Verdict

logger = logging.getLogger(__name__)

PATIENCE = 0.25
"""Seconds a request may wait for Redis."""
GIVEN_UP = 2.0
"""Seconds until a query to Redis is given up. No request waits that long, but a late answer is still used."""
AWAY = 5.0
"""Seconds this process counts by itself after Redis failed, until one request tries Redis again."""
SILENCE = 60.0
"""Seconds between two log lines about an outage."""
PREFIX = "mailroom:limit:"

# Each key holds the theoretical arrival time of its next request (GCRA). All requests that wait are counted one
# after the other, in one script, by Redis's clock: two that arrive together cannot both read the old value.
# ARGV: how many requests; for each how many keys; for each key its count, its period, and what is known of it.
_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local answers, key, arg = {}, 0, 2
local function seconds(number) return string.format('%.6f', number) end
for _ = 1, tonumber(ARGV[1]) do
  local keys = tonumber(ARGV[arg])
  local wait, used, each = 0, {}, {}
  arg = arg + 1
  for i = 1, keys do
    local count, period, known = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
    arg = arg + 3
    each[i] = period / count
    used[i] = math.max(tonumber(redis.call('GET', KEYS[key + i]) or now) - now, known)
    wait = math.max(wait, used[i] - (period - each[i]))
  end
  answers[#answers + 1] = seconds(wait)
  for i = 1, keys do
    if wait <= 0 then
      used[i] = used[i] + each[i]
      redis.call('SET', KEYS[key + i], seconds(now + used[i]), 'PX', math.ceil(used[i] * 1000) + 1000)
    end
    answers[#answers + 1] = seconds(used[i])
  end
  key = key + keys
end
return answers
"""


class LimitStore:
    """Rates counted in Redis, as long as it answers within `patience` seconds."""

    def __init__(self, url: str, *, patience: float = PATIENCE, away: float = AWAY) -> None:
        self._redis = Redis.from_url(
            url,
            max_connections=4,  # one for counting, and some for readiness checks
            socket_timeout=max(GIVEN_UP, patience),
            socket_connect_timeout=max(GIVEN_UP, patience),
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._redis.register_script(_SCRIPT)
        self._memory = MemoryLimits()
        self._together = Coalescer(self._ask, gather=0)
        self._loose = LooseLimits(self._memory, self._add)
        self._loose_script = self._redis.register_script(loose_limits.SCRIPT)
        self._patience, self._away = patience, away
        self._try_again_at = 0.0
        self._told_at = -SILENCE
        self._failed_at = 0.0

    async def take(self, rates: Sequence[Rate]) -> Verdict:
        """Count one request against all `rates`, or against none if one of them is used up."""
        if not rates:
            return Verdict(0.0, ())
        if loose_limits.is_loose(rates):
            return self._loose.take(rates)
        now = time.monotonic()
        if now < self._try_again_at:
            return self._memory.take(rates)
        if self._try_again_at:  # it failed before: this request alone finds out whether it is back
            self._try_again_at = now + self._away
        asked = self._together.begin(rates)
        asked.add_done_callback(_retrieve)
        if not await self._answered(asked):
            self._count_here("no answer in time")
            return self._memory.take(rates)
        if error := asked.exception():
            if not is_away(error):
                raise error
            self._count_here(type(error).__name__)
            return self._memory.take(rates)
        return asked.result()

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
        """Close every connection, also those that have ended already."""
        await self._together.aclose()
        await self._loose.aclose()
        try:
            await self._redis.aclose()
        except Exception as error:
            if not is_away(error):
                raise

    async def _add(self, keys: Sequence[str], seconds: Sequence[float]) -> Sequence[bytes]:
        added: Sequence[bytes] = await self._loose_script(keys=[PREFIX + key for key in keys], args=list(seconds))
        return added

    async def _answered(self, asked: "asyncio.Future[Verdict]") -> bool:
        """Wait for the answer, and once more if this process itself was too busy to see it in time."""
        for _ in range(2):
            began = time.monotonic()
            await asyncio.wait([asked], timeout=self._patience)
            was_busy = time.monotonic() - began > self._patience * 1.5
            if asked.done() or not was_busy:
                break
        return asked.done()

    async def _ask(self, requests: Sequence[Sequence[Rate]]) -> list[Verdict]:
        rates = [rate for request in requests for rate in request]
        keys = [PREFIX + rate.key for rate in rates]
        arguments: list[float] = [len(requests)]
        for request in requests:
            arguments.append(len(request))
            for rate in request:
                arguments += [rate.count, rate.period, self._memory.untold(rate.key, self._failed_at)]
        try:
            answers = await self._script(keys=keys, args=arguments)
        except Exception as error:
            if not is_away(error) or isinstance(error, (TimeoutError, RedisTimeout)):
                raise
            if isinstance(error, ReadOnlyError):  # a replica now: a new connection may lead to the primary
                await self._redis.connection_pool.disconnect()
            answers = await self._script(keys=keys, args=arguments)  # an idle connection may have been cut
        self._try_again_at = 0.0
        return self._read(requests, [float(seconds) for seconds in answers])

    def _read(self, requests: Sequence[Sequence[Rate]], answers: list[float]) -> list[Verdict]:
        verdicts = []
        for request in requests:
            (wait, *used), answers = answers[: len(request) + 1], answers[len(request) + 1 :]
            for rate, seconds in zip(request, used, strict=True):
                self._memory.learn(rate.key, seconds)
            verdicts.append(Verdict(wait, tuple(used)))
        return verdicts

    def _count_here(self, reason: str) -> None:
        now = time.monotonic()
        self._try_again_at, self._failed_at = now + self._away, now
        if now - self._told_at >= SILENCE:
            self._told_at = now
            logger.warning("rate limits are counted in this process for now: %s", reason)


def _retrieve(asked: "asyncio.Future[Verdict]") -> None:
    """Retrieve the error of an answer that came too late, so that asyncio does not log it as unretrieved."""
    if not asked.cancelled():
        asked.exception()

"""Limits so high that they only stop a runaway loop: counted in this process, and added to Redis a little later.

Asking Redis for each request would cost as much as storing a mail. So processes learn of each other's requests a
tenth of a second late, and meanwhile a client may exceed its limit a little.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from mailroom.kit.outages import is_away
from mailroom.web.rate_limits.memory import MemoryLimits, Rate, Verdict

LOOSE = 500.0
"""From so many requests a second on, a limit is counted loosely."""
TELL_EVERY = 0.1
"""Seconds between two reports to Redis."""

# Adds what one process has counted for each key, by Redis's clock. ARGV: for each key the seconds of its period
# that were taken.
SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local answers = {}
local function seconds(number) return string.format('%.6f', number) end
for i = 1, #KEYS do
  local used = math.max(tonumber(redis.call('GET', KEYS[i]) or now) - now, 0) + tonumber(ARGV[i])
  redis.call('SET', KEYS[i], seconds(now + used), 'PX', math.ceil(used * 1000) + 1000)
  answers[i] = seconds(used)
end
return answers
"""
Add = Callable[[Sequence[str], Sequence[float]], Awaitable[Sequence[bytes]]]
"""Runs the script with keys and seconds."""


def is_loose(rates: Sequence[Rate]) -> bool:
    """Tell whether all of these rates are high enough to be counted loosely."""
    return all(rate.count >= LOOSE * rate.period for rate in rates)


class LooseLimits:
    """Counts in `memory`, and adds to Redis by `add` later."""

    def __init__(self, memory: MemoryLimits, add: Add) -> None:
        self._memory = memory
        self._add = add
        self._untold: Counter[Rate] = Counter()
        self._telling: asyncio.Task[None] | None = None

    def take(self, rates: Sequence[Rate]) -> Verdict:
        """Count one request against all `rates`, or against none if one of them is used up."""
        verdict = self._memory.take(rates)
        if verdict.wait <= 0:
            self._untold.update(rates)
            if self._telling is None:
                self._telling = asyncio.create_task(self._tell())
        return verdict

    async def _tell(self) -> None:
        await asyncio.sleep(TELL_EVERY)
        told, self._untold = self._untold, Counter()
        try:
            rates = list(told)
            answers = await self._add([rate.key for rate in rates], [told[rate] * rate.each for rate in rates])
            for rate, used in zip(rates, answers, strict=True):
                self._memory.learn(rate.key, float(used) + self._untold[rate] * rate.each)
        except Exception as error:
            if not is_away(error):
                raise
            self._untold.update(told)  # the next request reports it again
        finally:
            self._telling = None

    async def aclose(self) -> None:
        """Drop what was not reported to Redis."""
        if task := self._telling:
            task.cancel()
            await asyncio.wait([task])

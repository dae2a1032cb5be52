"""Rates counted in this process, in bounded memory: what it knows of each key in case Redis cannot be asked."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

MOST_KEYS = 20_000
"""Keys held at most; those unused for longest are dropped first."""
NEVER = float("-inf")
ROUNDING = 0.001
"""Seconds by which two clocks may differ about the same moment."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One limit on one key: `count` in any `period` seconds."""

    key: str
    count: int
    period: float

    @property
    def each(self) -> float:
        """Seconds of the period that one request takes."""
        return self.period / self.count


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait` is 0 if the request may pass, else the seconds until it may.

    `used` are the seconds of each rate's period that are taken, in the order given.
    """

    wait: float
    used: tuple[float, ...]


class MemoryLimits:
    """GCRA, the generic cell rate algorithm: each key holds the theoretical arrival time of its next request."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._arrivals: OrderedDict[str, tuple[float, float]] = OrderedDict()  # and when Redis last told it
        self._most = most

    def __len__(self) -> int:
        """Return the number of keys held."""
        return len(self._arrivals)

    def take(self, rates: Sequence[Rate]) -> Verdict:
        """Count one request against all `rates`, or against none if one of them is used up."""
        used = [self.used(rate.key) for rate in rates]
        wait = max((have - rate.period + rate.each for have, rate in zip(used, rates, strict=True)), default=0.0)
        if wait > 0:
            return Verdict(wait, tuple(used))
        used = [have + rate.each for have, rate in zip(used, rates, strict=True)]
        for have, rate in zip(used, rates, strict=True):
            self._put(rate.key, have, NEVER)
        return Verdict(0.0, tuple(used))

    def used(self, key: str) -> float:
        """Return the seconds of the key's period that are taken, as far as this process knows."""
        now = time.monotonic()
        return max(self._arrivals.get(key, (now, NEVER))[0] - now, 0.0)

    def untold(self, key: str, since: float) -> float:
        """Return `used` if Redis may not know it: counted here, or not told by Redis after `since`. Else 0."""
        return self.used(key) if self._arrivals.get(key, (0.0, since + 1))[1] <= since else 0.0

    def learn(self, key: str, used: float) -> None:
        """Store what Redis says is taken, but not a late answer that lacks what was counted here since."""
        told_at = self._arrivals.get(key, (0.0, 0.0))[1]
        if told_at != NEVER or used + ROUNDING >= self.used(key):
            self._put(key, used, time.monotonic())

    def _put(self, key: str, used: float, told_at: float) -> None:
        self._arrivals[key] = time.monotonic() + used, told_at
        self._arrivals.move_to_end(key)
        while len(self._arrivals) > self._most:
            self._arrivals.popitem(last=False)

"""Rates counted in this process, in bounded memory: what it knows of each key, for when Redis cannot be asked."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

MOST_KEYS = 20_000
"""Keys held at most; the ones longest unused go first."""


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
    """`wait` is 0 where the request may pass, else the seconds until it may.

    `used` are the seconds of each rate's period that are taken, in the order given.
    """

    wait: float
    used: tuple[float, ...]


class MemoryLimits:
    """GCRA, the generic cell rate algorithm: each key holds the theoretical arrival time of its next request."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._arrivals: OrderedDict[str, float] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        """Return the number of keys held."""
        return len(self._arrivals)

    def take(self, rates: Sequence[Rate]) -> Verdict:
        """Count one request against all `rates`, or against none where one of them is used up."""
        used = [self.used(rate.key) for rate in rates]
        wait = max((have - rate.period + rate.each for have, rate in zip(used, rates, strict=True)), default=0.0)
        if wait > 0:
            return Verdict(wait, tuple(used))
        used = [have + rate.each for have, rate in zip(used, rates, strict=True)]
        for have, rate in zip(used, rates, strict=True):
            self.learn(rate.key, have)
        return Verdict(0.0, tuple(used))

    def used(self, key: str) -> float:
        """Return the seconds of its period that are taken, as far as this process knows."""
        now = time.monotonic()
        return max(self._arrivals.get(key, now) - now, 0.0)

    def learn(self, key: str, used: float) -> None:
        """Note that so many seconds are taken, unless more are known to be."""
        self._arrivals[key] = time.monotonic() + max(used, self.used(key))
        self._arrivals.move_to_end(key)
        while len(self._arrivals) > self._most:
            self._arrivals.popitem(last=False)

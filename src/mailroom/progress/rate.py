"""How fast a task counts, and how long the rest will take. The task itself need not know."""

HALF_LIFE = 10.0
"""Seconds after which a sample counts half: steady enough to read, quick enough to follow changes."""
WARM_UP = 2.0
"""Seconds of counting before there is a rate: the first few are no sample of the rest."""
SAMPLE = 0.1
"""Seconds that one sample covers at least; counts that come closer together are one sample."""
LONGEST = 30 * 86_400.0
"""Seconds beyond which there is no forecast."""


class ProgressRate:
    """Rate and time left of one count.

    Counts and the time they took both lose half their weight every `HALF_LIFE` seconds, and the rate is their
    quotient. So samples may come at any times, and the first ones weigh no more than others. Between two samples
    nothing changes: a task that falls silent keeps its rate, and a long pause counts once it is over.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._at = 0.0
        self._sampled = 0.0
        self._count = 0.0
        self._time = 0.0
        self._current = 0.0
        self._total: float | None = None

    def add(self, at: float, current: float, total: float | None = None) -> None:
        """Add a sample: `current` of `total` at the time `at`, in seconds of a clock that never goes back."""
        self._total = total
        if self._began is None or current < self._current:  # it counts something else now
            self._began = self._at = at
            self._sampled = self._current = current
            self._count = self._time = 0.0
            return
        self._current = current
        passed = at - self._at
        if passed < SAMPLE:
            return
        kept = 0.5 ** (passed / HALF_LIFE)
        self._count = self._count * kept + (current - self._sampled)
        self._time = self._time * kept + passed
        self._at, self._sampled = at, current

    @property
    def rate(self) -> float | None:
        """The count for a second, to three digits; None while it is not known."""
        if self._began is None or self._at - self._began < WARM_UP or self._count <= 0:
            return None
        return float(f"{self._count / self._time:.3g}")

    @property
    def eta(self) -> float | None:
        """Whole seconds left; None without a total or a rate, at the end, and if it would be a guess."""
        rate = self.rate
        if not rate or self._total is None or self._total <= self._current:
            return None
        left = (self._total - self._current) / rate
        return float(max(1, round(left))) if left <= LONGEST else None

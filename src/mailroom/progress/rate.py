"""How fast a task counts, and how long the rest will take: worked out here, never by the task."""

HALF_LIFE = 10.0
"""Seconds after which what happened counts half: steady enough to read, quick enough to believe."""
WARM_UP = 2.0
"""Seconds of counting before anything is said: the first few are no sample of the rest."""
SAMPLE = 0.1
"""Seconds that one sample covers at least; what comes closer together is taken as one."""
LONGEST = 30 * 86_400.0
"""Seconds beyond which a forecast is none."""


class ProgressRate:
    """Rate and time left of one count, from the moments it is heard of.

    Counts and the time they took are both forgotten by half every `HALF_LIFE` seconds, and the rate is their
    quotient: samples may come as they like, and the first ones weigh no more than others. Between two samples
    nothing changes: a task that falls quiet keeps the pace it had, and a long pause counts once it is over.
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
        """Take `current` of `total` for what it is at `at`, in seconds of a clock that never goes back."""
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
        """How much a second, to three digits; None while nobody can tell."""
        if self._began is None or self._at - self._began < WARM_UP or self._count <= 0:
            return None
        return float(f"{self._count / self._time:.3g}")

    @property
    def eta(self) -> float | None:
        """Whole seconds left; None without a total or a rate, at the end, and where it would be a guess."""
        rate = self.rate
        if not rate or self._total is None or self._total <= self._current:
            return None
        left = (self._total - self._current) / rate
        return float(max(1, round(left))) if left <= LONGEST else None

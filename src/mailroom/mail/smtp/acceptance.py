"""How long the mail server takes to accept a mail. A withheld mail takes as long, to look the same."""

import random
from collections import deque

REMEMBERED = 32
"""Acceptances a process remembers."""
AT_FIRST = 0.05
"""Seconds that are assumed before the first acceptance."""


class AcceptanceTimes:
    """The seconds that the latest acceptances took."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)

    def note(self, seconds: float) -> None:
        """Remember how long an acceptance took."""
        self._seconds.append(seconds)

    def draw(self) -> float:
        """Return one of them at random."""
        return random.choice(self._seconds) if self._seconds else AT_FIRST  # noqa: S311  # a delay, no secret

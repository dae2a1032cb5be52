"""STOP_SECONDS, divided: what a process that is told to stop does, and when."""

from dataclasses import dataclass
from typing import Self

DEFAULT: float = 25
"""Seconds; hosts give 30 as a rule."""


@dataclass(frozen=True, slots=True)
class StopTimes:
    """Moments of a stop, in seconds from the signal."""

    sockets: float
    """Websockets that were told to go have gone."""
    requests: float
    """Requests under way are answered."""
    messages: float
    """Messages that programs were sending by SMTP are stored."""
    give_back: float
    """Mails that are not being handed over are given back."""
    cut: float
    """Requests whose connections were cut have ended."""
    give_up: float
    """Mails that are being handed over are left as uncertain."""
    recorded: float
    """All endings are recorded that can be; the web has closed what it used."""
    closed: float
    """Connections are closed."""
    end: float
    """The process has ended, whatever it waits for."""

    @classmethod
    def of(cls, seconds: float = DEFAULT) -> Self:
        """Return the moments of a stop that may take so many seconds."""
        shares = (0.08, 0.6, 0.6, 0.6, 0.7, 0.8, 0.88, 0.94, 0.96)
        return cls(*(share * seconds for share in shares))

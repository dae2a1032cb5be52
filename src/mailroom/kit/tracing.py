"""Where traces begin. While nothing is installed this costs a comparison: no tracing library is loaded.

`ops/observability/otel.py` installs OpenTelemetry. The rooms ask here for the trace that a row is written in.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

_NOTHING = nullcontext()


class Tracing(Protocol):
    """What makes spans in this process."""

    def traceparent(self) -> str | None:
        """Return the current span as W3C Trace Context has it; None without one that is recorded."""

    def span(self, name: str) -> AbstractContextManager[None]:
        """Make a span of the block."""

    def close(self) -> None:
        """Send what is left, and stop. It blocks for some seconds at most."""


_installed: Tracing | None = None


def install(tracing: Tracing | None) -> None:
    """Make this process trace with `tracing`; with None, stop tracing."""
    global _installed  # noqa: PLW0603  # one for a process, as its libraries have it
    _installed = tracing


def installed() -> Tracing | None:
    """Return what traces in this process."""
    return _installed


def traceparent() -> str | None:
    """Return the value for a row that is written now (`mails.traceparent`); None if nothing is traced."""
    return _installed.traceparent() if _installed else None


def span(name: str) -> AbstractContextManager[None]:
    """Make a span of the block, if this process traces."""
    return _installed.span(name) if _installed else _NOTHING

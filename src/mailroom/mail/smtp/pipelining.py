"""Whether a mail server may be sent commands in groups: not for an hour after its replies came out of step."""

import logging
import time

logger = logging.getLogger(__name__)

SUSPEND_FOR = 3600.0
"""Seconds for which commands go one at a time to a server that offers PIPELINING but cannot do it."""


class Pipelining:
    """What this process knows of one mail server."""

    def __init__(self, server: object) -> None:
        self._server = server
        self._suspended_until = 0.0

    @property
    def allowed(self) -> bool:
        """True unless replies came out of step within the last hour."""
        return time.monotonic() >= self._suspended_until

    def suspend(self) -> None:
        """Note that replies came out of step."""
        if self.allowed:
            logger.warning(
                "mail server %s answers pipelined commands out of step; for an hour it is sent one at a time",
                self._server,
            )
        self._suspended_until = time.monotonic() + SUSPEND_FOR

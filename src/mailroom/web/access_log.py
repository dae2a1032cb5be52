"""One line a request, without what must not be in a log: tokens in paths, and query strings."""

import logging
from typing import Any

from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.typing import ResponseSummary, WWWScope

from mailroom.ops.logs import redact

access = logging.getLogger("mailroom.access")


class AccessLog(Logger):
    """Hypercorn's logger with a line of our own."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._quiet = {"/healthz", "/readyz", "/metrics"}

    async def access(self, request: WWWScope, response: ResponseSummary | None, request_time: float) -> None:
        """Log one answered request; those of platforms that only look whether we live are left out."""
        path = request["path"]
        if path in self._quiet or path.startswith("/static/"):
            return
        status: Any = response["status"] if response else "-"
        method = request.get("method", "WS")
        client = (request.get("client") or ("-",))[0]
        access.info("%s %s %s %s %.0f ms", client, method, redact(path), status, request_time * 1000)

"""One line a request, without what must not be in a log: tokens in paths, and query strings."""

import logging
from typing import Any

from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.typing import ResponseSummary, WWWScope
from werkzeug.datastructures import Headers

from mailroom.kit.text import clean
from mailroom.ops.observability.logs import redact
from mailroom.statistics.counters import Counters
from mailroom.statistics.names import HTTP
from mailroom.web.client import address_of
from mailroom.web.site_path import inside

access = logging.getLogger("mailroom.access")


class AccessLog(Logger):
    """Hypercorn's logger with our own line. It names the client by the address that rate limits use, too."""

    def __init__(
        self, config: Config, hops: int = 0, counters: Counters | None = None, site_path: str = ""
    ) -> None:
        super().__init__(config)
        self._site_path = site_path
        self._counters = counters or Counters()
        self._quiet = {"/healthz", "/up", "/readyz", "/metrics"}
        self._hops = hops

    async def access(self, request: WWWScope, response: ResponseSummary | None, request_time: float) -> None:
        """Log and count an answered request, except for health checks, metrics and static files."""
        path = inside(request["path"], self._site_path)
        if path in self._quiet or path.startswith("/static/"):
            return
        status: Any = response["status"] if response else "-"
        if "method" in request and response:
            self._counters.observe(HTTP, request_time, f"{status // 100}xx")
        method = request.get("method", "WS")
        client = self._client(request)
        access.info("%s %s %s %s %.0f ms", client, method, redact(path), status, request_time * 1000)

    def _client(self, request: WWWScope) -> str:
        peer: str = (request.get("client") or ("-",))[0]
        if not self._hops:
            return peer
        headers = Headers(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request["headers"]]
        )
        return clean(address_of(headers, peer, self._hops))

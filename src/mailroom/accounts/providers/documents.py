"""Asks a provider over HTTP: JSON only, bounded in size and time, without redirects."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx

SECONDS = 5.0
"""The time limit of each step of a request."""
ALTOGETHER = 10.0
"""Seconds: the time limit of a whole request."""
LARGEST = 512 * 1024
"""Bytes of an answer."""
OK = 200

Document = Mapping[str, Any]


class NoDocument(Exception):
    """No JSON object could be read. The message says why, without anything that was sent or received."""

    def __init__(self, why: str, *, code: str = "") -> None:
        super().__init__(why)
        self.code = code
        """The error code of OAuth (RFC 6749 §5.2), if the provider refused with one."""


class Documents:
    """One HTTP client, for one provider. It obeys HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, *, bearer: str = "") -> Document:
        """Return the JSON object at `url`. Raises `NoDocument`."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return await self._ask("GET", url, headers=headers)

    async def post(self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None) -> Document:
        """Send a form, and return the JSON object of the answer. Raises `NoDocument`."""
        return await self._ask("POST", url, data=dict(form), auth=basic)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _ask(self, method: str, url: str, **more: Any) -> Document:
        if self._client is None:  # made when first needed: it reads the certificates of the machine
            limits = httpx.Limits(max_connections=20, max_keepalive_connections=4)
            self._client = httpx.AsyncClient(timeout=SECONDS, limits=limits, follow_redirects=False)
        headers = {"Accept": "application/json", **more.pop("headers", {})}
        try:
            async with (
                asyncio.timeout(ALTOGETHER),
                self._client.stream(method, url, headers=headers, **more) as answer,
            ):
                status, body = answer.status_code, await _body(answer)
        except TimeoutError:
            raise NoDocument("it did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoDocument(type(error).__name__) from None
        found = _object(body)
        if status != OK:
            code = str(found.get("error", ""))[:60] if found else ""
            raise NoDocument(f"it answered with status {status}", code=code if code.isprintable() else "")
        if found is None:
            raise NoDocument("its answer is no JSON object")
        return found


async def _body(answer: httpx.Response) -> bytes:
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > LARGEST:
            raise NoDocument("its answer is too large")
    return body


def _object(body: bytes) -> Document | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

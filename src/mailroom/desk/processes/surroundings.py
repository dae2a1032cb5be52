"""What each process sees around it: its memory, the disk, Redis, certificates. Alerts read it in the register."""

import asyncio
import shutil
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mailroom.settings import Settings

PATIENCE = 2.0
"""Seconds within which Redis must answer."""
CERTIFICATES_EVERY = 3600.0
"""Seconds between two looks at certificates."""
EXPIRED = 10
"""OpenSSL's number for a certificate whose time is over."""


class Surroundings:
    """Collects these facts for one process."""

    def __init__(self, settings: Settings, *, public: bool = False) -> None:
        """`public`: also look at the certificate under which people reach Mailroom."""
        self._settings = settings
        self._public = public
        self._folder = settings.mailroom_home if settings.mailroom_embedded else Path.cwd()
        self._redis: Redis | None = None
        self._certificates: dict[str, str] = {}
        self._certificates_at = time.monotonic() + 30  # not while the process starts

    async def look(self) -> dict[str, Any]:
        """Return the facts, fit for JSON. Takes twice `PATIENCE` at most, and never raises."""
        return {
            "memory": memory(),
            "disk": self._disk(),
            **await self._ask_redis(),
            "certificates": await self._look_at_certificates(),
        }

    async def close(self) -> None:
        """Close the connection to Redis."""
        if self._redis:
            await self._redis.connection_pool.disconnect(
                inuse_connections=True
            )  # also one whose command was interrupted
            await self._redis.aclose()

    def _disk(self) -> float | None:
        """Return the share of this machine's disk that is used."""
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError:
            return None
        return round(1 - usage.free / usage.total, 3) if usage.total else None

    async def _ask_redis(self) -> dict[str, Any]:
        if self._redis is None:
            self._redis = Redis.from_url(
                self._settings.limits,
                socket_connect_timeout=PATIENCE,
                socket_timeout=PATIENCE,
                retry=Retry(NoBackoff(), 0),
            )
        try:
            async with asyncio.timeout(PATIENCE):
                info: Mapping[str, Any] = await self._redis.info("memory")
            await self._redis.connection_pool.disconnect()  # small hosted plans allow 20 connections in all
        except (RedisError, OSError, TimeoutError):
            return {"redis": False, "redis_memory": None}
        used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
        return {"redis": True, "redis_memory": round(used / limit, 3) if limit else None}

    async def _look_at_certificates(self) -> Mapping[str, str]:
        if time.monotonic() < self._certificates_at:
            return self._certificates
        self._certificates_at = time.monotonic() + CERTIFICATES_EVERY
        found: dict[str, datetime | None] = {}
        if file := self._settings.submission_certificate:
            found["submission"] = await asyncio.to_thread(end_of_file, file)
        if self._public and self._settings.https:
            parts = urlsplit(self._settings.public_url)
            found[parts.hostname or ""] = await end_of_host(parts.hostname or "", parts.port or 443)
        self._certificates = {name: until.isoformat() for name, until in found.items() if until}
        return self._certificates


def memory() -> int | None:
    """Return the bytes of memory that this process uses (Linux); None if nobody can say."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def end_of_file(path: Path) -> datetime | None:
    """Return when the first certificate of a PEM file ends; None if it cannot be read."""
    from cryptography import x509  # only if a certificate is set

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None


async def end_of_host(host: str, port: int) -> datetime | None:
    """Return when the certificate of a host ends; None if it cannot be reached."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
    except ssl.SSLCertVerificationError as error:
        return datetime.now(UTC) if error.verify_code == EXPIRED else None
    except (OSError, TimeoutError):
        return None
    certificate = writer.get_extra_info("peercert")
    writer.close()
    return end_of(certificate)


def end_of(certificate: Mapping[str, Any] | None) -> datetime | None:
    """Return when a certificate ends, as `ssl` describes it."""
    if not certificate or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)

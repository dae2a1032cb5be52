"""Redis or Valkey, in each of its parts: broker, results, rate limits."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterCrossSlotError,
    ClusterDownError,
    ClusterError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from mailroom.ops.doctor.findings import Finding, broken, budget, good, quoted, unknown, warning
from mailroom.ops.doctor.tls import OWN_ISSUER, begins_with_tls, certificate_problem
from mailroom.settings import Settings
from mailroom.settings.urls import redis_place

PATIENCE = 3.0
NEARLY_FULL = 0.9
TWO_SLOTS = ("mailroom-doctor:1", "mailroom-doctor:2")
"""Two keys that a cluster keeps in different slots, and so refuses to read at once. The first is written to see
whether the server takes writes; it is gone after a millisecond."""
UNREACHABLE = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
CLUSTER = (ClusterError, ClusterDownError, ClusterCrossSlotError, MovedError, AskError)
REFUSES_WRITES: Mapping[type[RedisError] | str, str] = {
    ReadOnlyError: "it is a replica, which takes no writes",
    OutOfMemoryError: "its memory is full, so it refuses writes",
    "MISCONF": "it cannot save its data to disk, and refuses writes until it can",
    "NOREPLICAS": "it has too few replicas, and refuses writes until it has more",
}


async def check(settings: Settings) -> list[Finding]:
    """Check every server that REDIS_URL, BROKER_URL and RESULT_BACKEND_URL name."""
    found = await asyncio.gather(
        *(_server(url, ", ".join(parts), settings) for url, parts in _parts(settings).items())
    )
    return [finding for findings in found for finding in findings]


def _parts(settings: Settings) -> dict[str, list[str]]:
    """Return each address with what it is used for."""
    parts: dict[str, list[str]] = {}
    brokers = settings.broker.split(";")
    for number, url in enumerate(brokers, 1):
        parts.setdefault(url, []).append("broker" if len(brokers) == 1 else f"broker {number}")
    parts.setdefault(settings.results, []).append("results")
    parts.setdefault(settings.limits, []).append("limits")
    return parts


async def _server(url: str, used_for: str, settings: Settings) -> list[Finding]:
    check = f"redis ({used_for})"
    place = redis_place(url)
    client = Redis.from_url(
        url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
    )
    try:
        await client.ping()
        await client.mget(*TWO_SLOTS)
        await client.set(TWO_SLOTS[0], "", px=1)
        info: Mapping[str, Any] = await client.info()
    except (RedisError, OSError) as error:
        if url.startswith("redis:") and isinstance(error, UNREACHABLE):
            parts = urlsplit(url)
            if await begins_with_tls(parts.hostname or "", parts.port or 6379):
                return [broken(check, f"{place} speaks TLS, and its address does not say so", "Write rediss://.")]
        return [_trouble(error, check, place, settings)]
    finally:
        await client.aclose()
    return _judge(info, check, place, settings)


def _trouble(error: Exception, check: str, place: str, settings: Settings) -> Finding:
    told = quoted(error, settings)
    if isinstance(error, NoPermissionError):
        return unknown(check, f"{place} answers, but does not let us ask about it: {told}")
    if isinstance(error, CLUSTER):
        words = f"{place} is a cluster, which Celery cannot use"
        return broken(check, words, "Name a server with cluster-enabled no.")
    for kind, words in REFUSES_WRITES.items():
        if kind in told if isinstance(kind, str) else isinstance(error, kind):
            return broken(check, f"{place}: {words}", "Mend that server, or name another one.")
    if isinstance(error, AuthenticationError | AuthorizationError) or "NOAUTH" in told or "WRONGPASS" in told:
        return broken(check, f"{place} does not accept the password", "Correct it in the address.")
    if problem := certificate_problem(error):
        advice = f"Name the host that it is for. {OWN_ISSUER} Where a host signs its own: REDIS_TLS_VERIFY=no."
        return broken(check, f"{place} has a certificate that is not good: {problem}", advice)
    if "SSL" in told:
        return broken(check, f"{place} offers no TLS: {told}", "Write redis://, or correct the address.")
    if isinstance(error, ResponseError):
        return broken(check, f"{place} answers: {told}", "Correct the address, or mend the server.")
    return broken(check, f"{place} cannot be reached: {told}", "Start it, or correct the address.")


def _judge(info: Mapping[str, Any], check: str, place: str, settings: Settings) -> list[Finding]:
    valkey = info.get("valkey_version")
    name, version = ("Valkey", valkey) if valkey else ("Redis", info.get("redis_version", "(no version)"))
    title = f"{name} {version} at {place}"
    if info.get("role") in {"slave", "replica"}:
        return [broken(check, f"{title} is a replica, which takes no writes", "Name the primary.")]
    if int(info.get("cluster_enabled", 0)):
        return [
            broken(check, f"{title} is a cluster, which Celery cannot use", "Name one with cluster-enabled no.")
        ]
    findings = [good(check, f"{title}, {_persistence(info)}"), *_memory(info, check)]
    if limit := int(info.get("maxclients", 0)):
        findings.append(budget(f"{check} connections", settings, "REDIS_CONNECTIONS", available=limit))
    return findings


def _persistence(info: Mapping[str, Any]) -> str:
    if int(info.get("aof_enabled", 0)):
        return "append-only file on"
    return "no append-only file (after a crash the sweep publishes waiting mails anew)"


def _memory(info: Mapping[str, Any], check: str) -> list[Finding]:
    findings = []
    policy = info.get("maxmemory_policy")
    if policy not in {None, "noeviction"}:
        words = f"its eviction policy is {policy}: full, it throws waiting messages and results away"
        advice = "Set maxmemory-policy noeviction. Mails are not lost by it (the sweep makes up), only delayed."
        findings.append(warning(f"{check} eviction", words, advice))
    elif policy:
        findings.append(good(f"{check} eviction", "noeviction: nothing that waits is thrown away"))
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if limit and used > NEARLY_FULL * limit:
        words = f"{used / limit:.0%} of its memory is used; full, it takes no more messages"
        findings.append(warning(f"{check} memory", words, "Raise maxmemory, or lower RESULTS_EXPIRE."))
    return findings

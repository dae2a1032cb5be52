"""Redis or Valkey, in each of its parts: broker, results, rate limits."""

import asyncio
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError, ResponseError

from mailroom.ops.doctor.findings import Finding, broken, budget, good, quoted, unknown, warning
from mailroom.settings import Settings
from mailroom.settings.urls import redis_place

PATIENCE = 4.0
NEARLY_FULL = 0.9


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
        info: Mapping[str, Any] = await client.info()
    except (RedisError, OSError) as error:
        return [_trouble(error, check, place, settings)]
    finally:
        await client.aclose()
    return _judge(info, check, place, settings)


def _trouble(error: Exception, check: str, place: str, settings: Settings) -> Finding:
    told = quoted(error, settings)
    if isinstance(error, NoPermissionError):
        return unknown(check, f"{place} answers, but does not let us ask about it (INFO is forbidden)")
    if isinstance(error, AuthenticationError | AuthorizationError) or "NOAUTH" in told or "WRONGPASS" in told:
        return broken(check, f"{place} does not accept the password", "Correct it in the address.")
    if "CERTIFICATE" in told.upper():
        advice = "Correct the certificate; where the host signs its own, set REDIS_TLS_VERIFY=no."
        return broken(check, f"{place}: its certificate is not good: {told}", advice)
    if isinstance(error, ResponseError):
        return broken(check, f"{place} answers: {told}", "Correct the address, or mend the server.")
    return broken(check, f"{place} cannot be reached: {told}", "Start it, or correct the address.")


def _judge(info: Mapping[str, Any], check: str, place: str, settings: Settings) -> list[Finding]:
    valkey = info.get("valkey_version")
    name, version = ("Valkey", valkey) if valkey else ("Redis", info.get("redis_version", "(no version)"))
    title = f"{name} {version} at {place}"
    if info.get("role") in {"slave", "replica"}:
        return [broken(check, f"{title} is a replica, which takes no writes", "Name the primary.")]
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

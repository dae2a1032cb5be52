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

from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.ops.doctor.findings import Finding, broken, budget, good, quoted, unknown, warning
from mailroom.ops.doctor.tls import begins_with_tls, certificate_problem, own_issuer
from mailroom.settings import Settings
from mailroom.settings.urls import redis_place

PATIENCE = 3.0
NEARLY_FULL = 0.9
TWO_SLOTS = ("mailroom-doctor:1", "mailroom-doctor:2")
"""Two keys that a cluster keeps in different slots, so that it refuses to read both at once. The first one is
written to see whether the server takes writes; it expires after a millisecond."""
UNREACHABLE = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
CLUSTER = (ClusterError, ClusterDownError, ClusterCrossSlotError, MovedError, AskError)
REFUSES_WRITES: Mapping[type[RedisError] | str, str] = {
    ReadOnlyError: gettext_noop("%(place)s is a replica, which takes no writes"),
    OutOfMemoryError: gettext_noop("the memory of %(place)s is full, so it refuses writes"),
    "MISCONF": gettext_noop("%(place)s cannot save its data to disk, and refuses writes until it can"),
    "NOREPLICAS": gettext_noop("%(place)s has too few replicas, and refuses writes until it has more"),
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
                words = gettext("%(place)s speaks TLS, and its address does not say so", place=place)
                return [broken(check, words, gettext("Write rediss://."))]
        return [_trouble(error, check, place, settings)]
    finally:
        await client.aclose()
    return _judge(info, check, place, settings)


def _trouble(error: Exception, check: str, place: str, settings: Settings) -> Finding:
    told = quoted(error, settings)
    if isinstance(error, NoPermissionError):
        words = gettext("%(place)s answers, but does not let us ask about it: %(told)s", place=place, told=told)
        return unknown(check, words)
    if isinstance(error, CLUSTER):
        words = gettext("%(place)s is a cluster, which Celery cannot use", place=place)
        return broken(check, words, gettext("Name a server with cluster-enabled no."))
    for kind, words in REFUSES_WRITES.items():
        if kind in told if isinstance(kind, str) else isinstance(error, kind):
            return broken(check, gettext(words, place=place), gettext("Mend that server, or name another one."))
    if isinstance(error, AuthenticationError | AuthorizationError) or "NOAUTH" in told or "WRONGPASS" in told:
        words = gettext("%(place)s does not accept the password", place=place)
        return broken(check, words, gettext("Correct it in the address."))
    if problem := certificate_problem(error):
        words = gettext("%(place)s has a certificate that is not good: %(problem)s", place=place, problem=problem)
        advice = gettext(
            "Name the host that it is for. %(issuer)s Where a host signs its own: REDIS_TLS_VERIFY=no.",
            issuer=own_issuer(),
        )
        return broken(check, words, advice)
    if "SSL" in told:
        words = gettext("%(place)s offers no TLS: %(told)s", place=place, told=told)
        return broken(check, words, gettext("Write redis://, or correct the address."))
    if isinstance(error, ResponseError):
        words = gettext("%(place)s answers: %(told)s", place=place, told=told)
        return broken(check, words, gettext("Correct the address, or mend the server."))
    words = gettext("%(place)s cannot be reached: %(told)s", place=place, told=told)
    return broken(check, words, gettext("Start it, or correct the address."))


def _judge(info: Mapping[str, Any], check: str, place: str, settings: Settings) -> list[Finding]:
    valkey = info.get("valkey_version")
    name, version = ("Valkey", valkey) if valkey else ("Redis", info.get("redis_version", gettext("(no version)")))
    title = gettext("%(name)s %(version)s at %(place)s", name=name, version=version, place=place)
    if info.get("role") in {"slave", "replica"}:
        words = gettext("%(place)s is a replica, which takes no writes", place=title)
        return [broken(check, words, gettext("Name the primary."))]
    if int(info.get("cluster_enabled", 0)):
        words = gettext("%(place)s is a cluster, which Celery cannot use", place=title)
        return [broken(check, words, gettext("Name a server with cluster-enabled no."))]
    findings = [good(check, f"{title}, {_persistence(info)}"), *_memory(info, check)]
    if limit := int(info.get("maxclients", 0)):
        findings.append(
            budget(gettext("%(server)s connections", server=check), settings, "REDIS_CONNECTIONS", available=limit)
        )
    return findings


def _persistence(info: Mapping[str, Any]) -> str:
    if int(info.get("aof_enabled", 0)):
        return gettext("append-only file on")
    return gettext("no append-only file (after a crash the sweep publishes waiting mails again)")


def _memory(info: Mapping[str, Any], check: str) -> list[Finding]:
    findings = []
    eviction = gettext("%(server)s eviction", server=check)
    policy = info.get("maxmemory_policy")
    if policy not in {None, "noeviction"}:
        words = gettext(
            "its eviction policy is %(policy)s: when it is full, it throws waiting messages and results away",
            policy=policy,
        )
        advice = gettext("Set maxmemory-policy noeviction. No mail is lost by this, but mails are delayed.")
        findings.append(warning(eviction, words, advice))
    elif policy:
        findings.append(good(eviction, gettext("noeviction: nothing that waits is thrown away")))
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if limit and used > NEARLY_FULL * limit:
        share = round(used / limit * 100)
        words = gettext(
            "%(share)s%% of its memory is used; when it is full, it takes no more messages", share=share
        )
        memory = gettext("%(server)s memory", server=check)
        findings.append(warning(memory, words, gettext("Raise maxmemory, or lower RESULTS_EXPIRE.")))
    return findings

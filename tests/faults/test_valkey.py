"""Valkey that dies, freezes, forgets, repeats itself and is full."""

import base64
import contextlib
import json
import os
import resource
import time
from collections.abc import Iterator

import pytest
import redis

from mailroom.kit.ids import new_id
from tests.faults.conftest import Recovers
from tests.faults.invariants import twice
from tests.faults.silent_proxy import BOTH, Direction, SilentProxy
from tests.faults.stack import IN_FLIGHT, Stack, frozen, kill, restart, send_on, under_way
from tests.sink import wait_for

pytestmark = pytest.mark.faults

AWAY = float(os.environ.get("REDIS_AWAY_SECONDS", "30"))
"""Seconds; RELIABILITY.md has a figure for 270."""
SWALLOWED_WITHIN = 30.0
"""Seconds from the moment on which connections go silent to the first mail; RELIABILITY.md says so."""


def test_sigkill_with_tasks_in_flight_and_a_restart_after_five_seconds(stack: Stack, recovers: Recovers) -> None:
    send_on(stack, delay=0.2)
    kill(stack.valkey)
    time.sleep(5)
    restart(stack.valkey)
    recovers()
    assert twice(stack) == 0


def test_away_for_long(stack: Stack, recovers: Recovers) -> None:
    """However long it was away, workers are back soon after it: Celery's own pauses grow up to 30 seconds."""
    stack.worker()
    kill(stack.valkey)
    stack.put(20)
    time.sleep(AWAY)
    assert not stack.sink.accepted, "the sweep publishes into a queue, and there is none"
    restart(stack.valkey)
    recovers()
    assert twice(stack) == 0


def test_frozen_for_fifteen_seconds(stack: Stack, recovers: Recovers) -> None:
    send_on(stack, delay=0.2)
    with frozen(stack.valkey.process):
        time.sleep(15)
    recovers()
    assert twice(stack) == 0


def test_every_connection_cut(stack: Stack, recovers: Recovers) -> None:
    send_on(stack, delay=0.1)
    with stack.redis() as client:
        for kind in ("normal", "pubsub"):
            client.client_kill_filter(_type=kind)
    recovers()
    assert twice(stack) == 0


@pytest.mark.parametrize("directions", [(Direction.TO_CLIENT,), (Direction.TO_SERVER,), BOTH], ids=str)
def test_connections_that_the_network_swallows(
    stack: Stack, recovers: Recovers, directions: tuple[Direction, ...]
) -> None:
    """A firewall forgets the connections: no byte arrives any more, and none of the two sides is told."""
    with SilentProxy("127.0.0.1", stack.valkey.port) as proxy:
        through = stack.valkey.url.replace(f":{stack.valkey.port}/", f":{proxy.port}/")
        assert str(proxy.port) in through
        stack.worker(REDIS_URL=through)
        stack.put(20)
        wait_for(lambda: stack.count("state = 'sent'") == 20, 30)
        assert proxy.silence(*directions) > 1
        since = time.time()
        stack.put()
        took = recovers(since, first=SWALLOWED_WITHIN, within=SWALLOWED_WITHIN + 60)
        assert took.first is not None
        assert twice(stack) == 0


def test_flushall(stack: Stack, recovers: Recovers) -> None:
    send_on(stack, delay=0.1)
    with stack.redis() as client:
        client.flushall()
    recovers()
    assert twice(stack) == 0


def test_messages_deleted_from_the_queue(stack: Stack, recovers: Recovers) -> None:
    stack.put()
    with stack.redis() as client:
        for _ in range(IN_FLIGHT // 2):
            client.rpop("transactional")
    stack.worker()
    recovers()
    assert twice(stack) == 0


def test_every_message_delivered_three_times(stack: Stack, recovers: Recovers) -> None:
    stack.sink.delay = 0.05  # so that the copies meet
    stack.put()
    with stack.redis() as client:
        messages = client.lrange("transactional", 0, -1)
        mixed = [message for message in messages for _ in range(2)]  # type: ignore[union-attr]
        client.rpush("transactional", *mixed)
    stack.worker()
    stack.worker()
    recovers()
    assert twice(stack) == 0
    assert stack.count("attempt = 1") == IN_FLIGHT


def test_the_visibility_timeout_elapses_during_the_sending(stack: Stack, recovers: Recovers) -> None:
    stack.sink.delay = 3
    stack.worker(VISIBILITY_TIMEOUT="1", SMTP_CONNECTIONS="40", WORKER_THREADS="40")
    stack.worker(VISIBILITY_TIMEOUT="1", SMTP_CONNECTIONS="40", WORKER_THREADS="40")
    stack.put()
    recovers()
    assert twice(stack) == 0


@contextlib.contextmanager
def _full(stack: Stack, client: "redis.Redis[bytes]", how: str) -> Iterator[None]:
    """Valkey can write no more for the length of the block, however that ends."""
    if how == "memory":
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)
        return
    pid, unlimited = stack.valkey.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, unlimited))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))


@pytest.mark.parametrize("how", ["memory", "disk"])
def test_full(stack: Stack, recovers: Recovers, how: str) -> None:
    """Writes fail for ten seconds: no message can be published, no result stored; mails that were taken go out."""
    stack.sink.delay = 0.2
    stack.worker()
    stack.put(IN_FLIGHT // 2)
    under_way(stack)
    with stack.redis() as client, _full(stack, client, how):
        with contextlib.suppress(redis.ResponseError):
            client.set("anything", "new")  # the write that finds out; its reply may be a yes
        with pytest.raises(redis.ResponseError):
            client.set("anything", "new")
        stack.put(IN_FLIGHT // 2, to="full")
        time.sleep(10)
    recovers()
    assert twice(stack) == 0


def test_ten_thousand_mails_queued_with_no_worker_for_a_while(stack: Stack, recovers: Recovers) -> None:
    """Workers that come later, and are slow, do not sweep the full queue fuller."""
    many = 10_000
    stack.put(1, to="template")
    with stack.redis() as client:
        (template,) = client.lrange("transactional", 0, -1)  # type: ignore[misc]
        client.delete("transactional")
        ids = [str(new_id()) for _ in range(many)]
        stack.sql(
            "insert into mails (id, kind, recipient, params, nonce, on_uncertain, nudge_at, expires_at) "
            "select made::uuid, kind, made || '@example.org', params, nonce, on_uncertain, "
            "now() - interval '1 minute', expires_at from mails, unnest(%s::text[]) as made",
            ids,
        )
        stack.sql("delete from mails where recipient like 'template%%'")
        client.rpush("transactional", *(_for(template, mail_id) for mail_id in ids))
        stack.sink.delay = 2
        longest = 0
        for _ in range(2):
            stack.worker()
        until = time.time() + 25
        while time.time() < until:
            longest = max(longest, client.llen("transactional"))  # type: ignore[type-var]
            time.sleep(0.2)
    assert longest <= many + many / 100, f"the queue grew to {longest} messages"
    assert stack.count("nudges > 0") > many / 2, "it was swept"
    stack.sink.delay = 0
    recovers(within=100)
    assert twice(stack) == 0


def _for(template: bytes, mail_id: str) -> bytes:
    """Return a message like the template, for another mail."""
    old = json.loads(template)["headers"]["id"]
    message = json.loads(template.replace(old.encode(), mail_id.encode()))
    message["properties"]["delivery_tag"] = str(new_id())  # by these a worker counts what it has in hand
    arguments = json.loads(base64.b64decode(message["body"]))
    arguments[0] = [mail_id]
    message["body"] = base64.b64encode(json.dumps(arguments).encode()).decode()
    return json.dumps(message).encode()


def test_nothing_secret_passes_through_valkey(stack: Stack, recovers: Recovers) -> None:
    """Every command of it is watched."""
    import threading

    from tests.faults.leaks import Secrets, in_redis

    seen: list[str] = []
    with stack.redis() as client, client.monitor() as monitor:
        client.connection_pool.connection_kwargs["socket_timeout"] = 1
        monitor.connection._sock.settimeout(1)

        def watch() -> None:
            with contextlib.suppress(redis.TimeoutError):  # nothing more for a second
                seen.extend(str(command["command"]) for command in monitor.listen())

        watching = threading.Thread(target=watch)
        watching.start()
        mail_ids = stack.put()
        secrets = Secrets(stack)
        for text in in_redis(stack):  # with the queue full
            assert not secrets.in_text(text), text[:200]
        stack.worker()
        recovers(first=None)
        stack.end_all()  # a worker that lives says something within each second
        watching.join(10)
    everything = "\n".join(seen)
    assert all(str(mail_id) in everything for mail_id in mail_ids), "every mail passed through it"
    for command in seen:
        assert not secrets.in_text(command), command[:200]

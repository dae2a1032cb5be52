"""Each internal of a library that we rely on is there, and has the arguments we give it.

The versions of these libraries are capped in pyproject.toml. Raise a cap together with what this finds: each entry
names the file of ours whose docstring says what it relies on, what that buys and what to check.
"""

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import aiosmtplib
import psycopg
import pytest
from celery import Celery, Task, signals
from celery.backends.redis import RedisBackend
from celery.concurrency.base import BasePool
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.worker import WorkController
from celery.worker.consumer import Consumer
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection
from hypercorn.protocol.ws_stream import Handshake, WebsocketBuffer, WSStream
from kombu import Connection, serialization
from kombu.transport import redis, virtual
from packaging.requirements import Requirement
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection

from tests.conftest import ROOT


class Internal(NamedTuple):
    """Something of a library's own that a file of ours uses: `name` of `owner`, called with `arguments`."""

    file: str
    library: str
    owner: Any
    name: str
    arguments: tuple[str, ...] = ()


BROKER = "jobs/broker/channel.py"
ACK = "jobs/broker/batch_ack.py"
ENCODING = "jobs/broker/encoding.py"
STRATEGY = "jobs/mail_strategy.py"
POSTGRES = "kit/postgres_connection.py"
CONNECTIONS = "web/server/connection.py"
WEBSOCKETS = "web/server/websocket_stream.py"

INTERNALS = [
    # -- kombu
    Internal(BROKER, "kombu", redis.Transport, "Channel"),
    Internal(BROKER, "kombu", redis.Channel, "QoS"),
    Internal(BROKER, "kombu", virtual.Channel, "basic_consume", ("queue", "no_ack")),
    Internal(BROKER, "kombu", redis.Channel, "_get_message_priority", ("message", "reverse")),
    Internal(BROKER, "kombu", redis.Channel, "_q_for_pri", ("queue", "pri")),
    Internal(BROKER, "kombu", redis.Channel, "conn_or_acquire", ("client",)),
    Internal(BROKER, "kombu", redis.Channel, "_create_client"),
    Internal(BROKER, "kombu", redis.QoS, "append", ("message", "delivery_tag")),
    Internal(BROKER, "kombu", redis.QoS, "ack", ("delivery_tag",)),
    Internal(BROKER, "kombu", redis.QoS, "unacked_key"),
    Internal(BROKER, "kombu", redis.QoS, "unacked_index_key"),
    Internal(BROKER, "kombu", virtual.QoS, "append", ("message", "delivery_tag")),
    Internal(BROKER, "kombu", virtual.QoS, "can_consume_max_estimate"),
    Internal(ACK, "kombu", redis.QoS, "pipe_or_acquire"),
    Internal(ACK, "kombu", virtual.QoS, "ack", ("delivery_tag",)),
    Internal(ENCODING, "kombu", virtual.Channel, "encode_body", ("body", "encoding")),
    Internal(ENCODING, "kombu", virtual.Channel, "body_encoding"),
    Internal(
        ENCODING,
        "kombu",
        virtual.Channel,
        "prepare_message",
        ("body", "priority", "content_type", "content_encoding", "headers", "properties"),
    ),
    Internal(ENCODING, "kombu", serialization, "dumps", ("data", "serializer")),
    Internal(
        "jobs/consumer.py",
        "kombu",
        Connection,
        "_ensure_connection",
        ("errback", "max_retries", "interval_start", "interval_step", "interval_max", "callback"),
    ),
    Internal("jobs/consumer.py", "celery", Consumer, "ensure_connected", ("conn",)),
    Internal("jobs/consumer.py", "celery", Consumer, "stop"),
    # -- Celery
    Internal(STRATEGY, "celery", Task, "start_strategy", ("app", "consumer")),
    Internal(STRATEGY, "celery", Consumer, "call_soon", ("p",)),
    Internal("jobs/worker.py", "celery", ThreadPool, "on_stop"),
    Internal("jobs/worker.py", "celery", BasePool, "terminate_job", ("pid", "signal")),
    Internal("jobs/worker.py", "celery", Celery, "Worker"),
    Internal("jobs/worker.py", "celery", WorkController, "setup_defaults", ("concurrency", "loglevel")),
    Internal("jobs/worker.py", "celery", signals, "worker_ready"),
    Internal("jobs/worker.py", "celery", signals, "worker_shutting_down"),
    Internal("jobs/worker.py", "celery", signals, "worker_process_init"),
    Internal("jobs/results.py", "celery", RedisBackend, "get_key_for_task", ("task_id",)),
    Internal("jobs/results.py", "celery", RedisBackend, "encode", ("data",)),
    Internal("jobs/results.py", "celery", RedisBackend, "decode_result", ("payload",)),
    Internal("jobs/results.py", "celery", RedisBackend, "client"),
    # -- redis
    Internal("jobs/invalidations.py", "redis", BlockingConnectionPool, "make_connection"),
    Internal("jobs/invalidations.py", "redis", AbstractConnection, "on_connect"),
    Internal("jobs/invalidations.py", "redis", AbstractConnection, "send_command"),
    Internal("jobs/invalidations.py", "redis", AbstractConnection, "read_response", ("timeout",)),
    Internal("jobs/invalidations.py", "redis", AbstractConnection, "__init__", ("redis_connect_func",)),
    # -- psycopg
    Internal(POSTGRES, "psycopg", psycopg.AsyncConnection, "wait", ("gen", "interval", "timeout")),
    Internal(POSTGRES, "psycopg", psycopg.errors, "_WaitTimeout"),
    # -- Hypercorn
    Internal(CONNECTIONS, "hypercorn", TCPServer, "run"),
    Internal(CONNECTIONS, "hypercorn", TCPServer, "_close"),
    Internal(CONNECTIONS, "hypercorn", TCPServer, "_read_data"),
    Internal(CONNECTIONS, "hypercorn", TCPServer, "_idle_timeout"),
    Internal(CONNECTIONS, "hypercorn", TCPServer, "protocol_send"),
    Internal(
        CONNECTIONS,
        "hypercorn",
        TCPServer,
        "__init__",
        ("app", "loop", "config", "context", "state", "reader", "writer"),
    ),
    Internal("web/server/http1.py", "hypercorn", H11Protocol, "_check_protocol", ("event",)),
    Internal("web/server/http1.py", "hypercorn", H11Protocol, "_create_stream", ("request",)),
    Internal("web/server/http1.py", "hypercorn", H11Protocol, "_send_error_response", ("status_code",)),
    Internal("web/server/http1.py", "hypercorn", H11WSConnection, "__init__", ("h11_connection",)),
    Internal(WEBSOCKETS, "hypercorn", WSStream, "handle", ("event",)),
    Internal(WEBSOCKETS, "hypercorn", WSStream, "app_send", ("message",)),
    Internal(WEBSOCKETS, "hypercorn", WSStream, "_send_wsproto_event", ("event",)),
    Internal(WEBSOCKETS, "hypercorn", WSStream, "_handle_events"),
    Internal(WEBSOCKETS, "hypercorn", WSStream, "_send_error_response", ("status_code",)),
    Internal(WEBSOCKETS, "hypercorn", Handshake, "__init__", ("headers", "http_version")),
    Internal(WEBSOCKETS, "hypercorn", WebsocketBuffer, "to_message"),
    # -- aiosmtplib
    Internal("mail/smtp/protocol.py", "aiosmtplib", aiosmtplib.SMTP, "get_transport_info", ("key",)),
]

INSTANCE = {
    # What a constructor sets, by the line that sets it.
    (CONNECTIONS, TCPServer): ("self.idle_task =", "self.protocol:", "self.writer =", "self.state ="),
    (WEBSOCKETS, WSStream): (
        "self.handshake:",
        "self.buffer =",
        "self.app_put:",
        "self.state =",
        "self.connection:",
    ),
    (BROKER, virtual.QoS): ("self._delivered =", "self.channel ="),
    (BROKER, virtual.Channel): ("self.connection =",),
    (BROKER, virtual.Transport): ("self._callbacks =",),
    (ACK, Consumer): ("self.initial_prefetch_count =", "self.connection_errors =", "self.hub =", "self.pool ="),
    ("mail/smtp/protocol.py", aiosmtplib.SMTP): ("self.transport:",),
}


def advice(file: str, library: str) -> str:
    return (
        f"{library} {version(library)} changed. src/mailroom/{file} relies on it: its docstring says on what, "
        "and what to check. Mend it, or keep the older version."
    )


@pytest.mark.parametrize("internal", INTERNALS, ids=lambda one: f"{one.file}:{one.owner.__name__}.{one.name}")
def test_an_internal_that_we_rely_on_is_there_with_its_arguments(internal: Internal) -> None:
    found = getattr(internal.owner, internal.name, None)
    sentence = f"{internal.owner.__name__}.{internal.name}: {advice(internal.file, internal.library)}"
    assert found is not None or internal.name in getattr(internal.owner, "__annotations__", {}), sentence
    if internal.arguments:
        assert takes(found, internal.arguments), f"{sentence} It takes {inspect.signature(found)}."


def takes(call: Callable[..., Any], arguments: tuple[str, ...]) -> bool:
    return set(arguments) <= inspect.signature(call).parameters.keys()


@pytest.mark.parametrize(("file", "owner"), list(INSTANCE), ids=lambda one: getattr(one, "__name__", one))
def test_an_attribute_that_we_rely_on_is_set_by_its_constructor(file: str, owner: type) -> None:
    source = "".join(inspect.getsource(kind) for kind in owner.__mro__ if kind is not object)
    library = owner.__module__.partition(".")[0]
    for line in INSTANCE[file, owner]:
        name = line.rstrip(" :=")
        assert line in source or f"{name}:" in source or f"{name} =" in source, (
            f"{owner.__name__}.{name}: {advice(file, library)}"
        )


CAPPED = {
    "celery": "<5.7", "kombu": "<5.8", "hypercorn": "<0.19", "aiosmtplib": "<5.2", "redis": "<8.2",
    "psycopg": "<3.4",
}  # fmt: skip


def test_the_versions_of_these_libraries_are_capped() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = {one.name: str(one.specifier) for one in map(Requirement, listed)}
    for name, cap in CAPPED.items():
        assert cap in found[name], f"cap {name} to what was tested; raise the cap after the checks of this module"


@pytest.mark.parametrize("file", sorted({one.file for one in INTERNALS} | {file for file, _ in INSTANCE}))
def test_a_file_that_relies_on_internals_says_what_to_check(file: str) -> None:
    text = (ROOT / "src/mailroom" / file).read_text()
    said = text.partition('"""')[2].partition('"""')[0]
    assert "Check at an upgrade" in said, f"src/mailroom/{file} overrides or uses internals: say what to check"


def test_the_strategy_of_a_task_is_called_as_ours_is() -> None:
    from celery.worker.strategy import default

    source = inspect.getsource(default)
    assert "def task_message_handler(message, body, ack, reject, callbacks," in source, advice(STRATEGY, "celery")

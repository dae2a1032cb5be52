"""Messages are taken from a real Valkey several at a time, and lie there until they are acknowledged."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from kombu import Connection, Message

from mailroom.bootstrap.worker import create_worker
from mailroom.jobs.app import QUEUE, create_celery
from mailroom.jobs.broker.batch_ack import BatchAcknowledger
from mailroom.settings import Settings

logger = logging.getLogger(__name__)

Seen = Callable[[Message], object]


@pytest.fixture
def server(settings: Settings) -> Iterator[redis.Redis]:
    """What is in Redis: a dozen messages, numbered in the order they came."""
    client = create_celery(settings, worker=False)
    for number in range(12):
        client.send_task("some.task", [number])
    client.close()
    with redis.Redis.from_url(settings.redis_url) as server:
        yield server


@contextmanager
def consumer(settings: Settings, seen: Seen, in_hand: int = 100, **options: Any) -> Iterator[Connection]:
    """A worker's connection that consumes, and may have so many in hand."""
    app = create_worker(settings)
    with app.connection_for_read(transport_options=options) as connection:
        with app.amqp.TaskConsumer(connection.default_channel, on_message=seen) as consuming:
            consuming.qos(prefetch_count=in_hand)
            consuming.consume()
            yield connection
        connection.default_channel.close()
    app.close()


def number_of(message: Message) -> int:
    return int(message.payload[0][0])


def in_redis(server: redis.Redis) -> tuple[int, int, int]:
    """Return how many wait, and how many are noted as unacknowledged, in the one place and in the other."""
    return server.llen(QUEUE), server.hlen("unacked"), server.zcard("unacked_index")


def test_with_one_message_a_fourth_of_those_behind_it_is_taken_in_order_and_the_rest_left_to_others(
    server: redis.Redis, settings: Settings
) -> None:
    taken: list[Message] = []
    with consumer(settings, taken.append) as connection:
        transactions = server.info("commandstats").get("cmdstat_exec")
        connection.drain_events(timeout=5)
        assert [number_of(message) for message in taken] == [0, 1, 2]
        assert in_redis(server) == (9, 3, 3)
        assert server.info("commandstats").get("cmdstat_exec") == transactions, "none is noted by itself as well"
        connection.drain_events(timeout=5)
        assert [number_of(message) for message in taken] == [0, 1, 2, 3, 4, 5]
        for message in taken:
            message.ack()
        assert in_redis(server) == (6, 0, 0)


def test_no_more_are_taken_than_may_be_in_hand(server: redis.Redis, settings: Settings) -> None:
    taken: list[Message] = []
    with consumer(settings, taken.append, in_hand=2) as connection:
        connection.drain_events(timeout=5)
        assert in_redis(server) == (10, 2, 2)
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=1)
        taken[1].ack()
        connection.drain_events(timeout=5)
        assert [number_of(message) for message in taken] == [0, 1, 2]
        assert in_redis(server) == (9, 2, 2)


def test_what_a_consumer_took_and_never_acknowledged_comes_to_another_one(
    server: redis.Redis, settings: Settings
) -> None:
    lost: list[Message] = []
    found: list[Message] = []
    with consumer(settings, lost.append) as connection:
        connection.drain_events(timeout=5)
        lost[0].ack()
        with consumer(settings, found.append, visibility_timeout=0) as another:
            another.default_channel.qos.restore_visible(interval=1)
            assert in_redis(server) == (11, 0, 0)
            another.drain_events(timeout=5)
            again = {message.body for message in found if message.headers.get("redelivered")}
            assert again == {message.body for message in lost[1:]}


def test_where_one_makes_trouble_those_taken_with_it_go_back_to_the_queue(
    server: redis.Redis, settings: Settings
) -> None:
    def refuse(message: Message) -> None:
        if number_of(message) == 1:
            raise ConnectionError

    with pytest.raises(ConnectionError), consumer(settings, refuse) as connection:
        connection.drain_events(timeout=5)
    assert in_redis(server) == (12, 0, 0)


def test_what_cannot_be_read_is_left_with_all_behind_it(server: redis.Redis, settings: Settings) -> None:
    taken: list[Message] = []
    server.linsert(QUEUE, "BEFORE", server.lindex(QUEUE, -2), "no message")  # as the third
    with consumer(settings, taken.append) as connection:
        connection.drain_events(timeout=5)
        assert [number_of(message) for message in taken] == [0, 1]
        assert in_redis(server) == (11, 2, 2)


@contextmanager
def full(server: redis.Redis) -> Iterator[None]:
    """A server that keeps the connections that wait for messages, has ended the others, and takes no new ones."""
    usual = server.config_get("maxclients")["maxclients"]
    server.config_set("maxclients", 1)
    try:
        for client in server.client_list():
            if client["cmd"] != "brpop" and int(client["id"]) != server.client_id():
                server.client_kill_filter(client["id"])
        yield
    finally:
        server.config_set("maxclients", usual)


@contextmanager
def read_only(server: redis.Redis) -> Iterator[None]:
    """A server that others follow no longer, as a failover leaves it: it is there, and takes nothing."""
    server.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        server.execute_command("REPLICAOF", "NO", "ONE")


def together(connection: Connection) -> Seen:
    """Acknowledge as single mails are."""
    return BatchAcknowledger(
        SimpleNamespace(
            initial_prefetch_count=2,
            call_soon=lambda call, *args: call(*args),
            connection_errors=connection.connection_errors,
        )
    ).acknowledge


def one_by_one(connection: Connection) -> Seen:
    """Acknowledge as Celery does for tasks: what Redis answers goes past it, into Celery's log."""

    def acknowledge(message: Message) -> None:
        with suppress(redis.ResponseError):
            message.ack_log_error(logger, connection.connection_errors)

    return acknowledge


@pytest.mark.parametrize("trouble", [full, read_only])
@pytest.mark.parametrize("way", [together, one_by_one])
def test_messages_that_could_not_be_acknowledged_take_no_room_from_others_and_come_once_more(
    server: redis.Redis,
    settings: Settings,
    way: Callable[[Connection], Seen],
    trouble: Callable[[redis.Redis], AbstractContextManager[None]],
) -> None:
    taken: list[Message] = []
    with consumer(settings, taken.append, in_hand=2) as connection:
        acknowledge = way(connection)
        connection.drain_events(timeout=5)
        with trouble(server):
            for message in taken:
                acknowledge(message)
        assert in_redis(server) == (10, 2, 2)
        connection.drain_events(timeout=5)
        assert [number_of(message) for message in taken] == [0, 1, 2, 3]
        with consumer(settings, taken.append, visibility_timeout=0) as another:
            another.default_channel.qos.restore_visible(interval=1)
        assert server.llen(QUEUE) == 12

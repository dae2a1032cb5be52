"""Publishing on a real Valkey: what is in the queue is what Celery would have put there."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import redis

from mailroom.jobs.app import BULK, QUEUE, TRANSACTIONAL, create_celery
from mailroom.jobs.broker.queue_depth import queue_depth
from mailroom.jobs.publisher import AT_ONCE, DELIVER, HAS_ROW, KEPT_WHILE_AWAY, MANY, SEND_MANY, Publisher
from mailroom.kit.ids import new_id
from mailroom.settings import Settings
from tests.sink import wait_for


@pytest.fixture
def queue(settings: Settings) -> Iterator[Publisher]:
    queue = Publisher(settings)
    yield queue
    queue.close()


@pytest.fixture
def server(settings: Settings) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(settings.broker) as client:
        yield client


def messages(server: "redis.Redis", count: int, queue: str = TRANSACTIONAL) -> list[dict[str, Any]]:
    """Return what is in the queue, oldest first, once there are so many."""
    wait_for(lambda: server.llen(queue) >= count)
    return [json.loads(text) for text in reversed(server.lrange(queue, 0, -1))]


@pytest.mark.parametrize("kind", ["one mail", "many mails", "a task"])
def test_a_message_is_what_celery_would_have_written(
    kind: str, settings: Settings, queue: Publisher, server: "redis.Redis"
) -> None:
    ids = [new_id(), new_id()]
    texts = [str(one) for one in ids]
    publish, name, arguments, options = {
        "one mail": (lambda: queue.publish_mails(ids[:1]), DELIVER, texts[:1], {}),
        "many mails": (lambda: queue.publish_mails(ids), SEND_MANY, [texts], {"ignore_result": True}),
        "a task": (lambda: queue.publish_task("a.task", ids[0], [1]), "a.task", [1], {"headers": {HAS_ROW: True}}),
    }[kind]
    publish()
    where = QUEUE if kind == "a task" else TRANSACTIONAL
    (ours,) = messages(server, 1, where)
    client = create_celery(settings, worker=False)
    client.send_task(name, arguments, task_id=ours["headers"]["id"], retry=False, **options)
    client.close()
    _, celerys = messages(server, 2, where)
    if kind != "many mails":
        assert ours["headers"]["id"] == texts[0], "known before: whoever has it can ask Celery for the result"
    tags = [UUID(message["properties"].pop("delivery_tag")) for message in (ours, celerys)]
    assert tags[0] != tags[1]
    assert celerys["properties"].pop("reply_to"), "where a result would go that nobody wants"
    assert ours["properties"].pop("reply_to") == ""
    assert ours == celerys


def test_what_comes_together_goes_out_in_order_and_each_message_has_a_tag_of_its_own(
    queue: Publisher, server: "redis.Redis"
) -> None:
    ids = [new_id() for _ in range(50)]
    for one in ids:
        queue.publish_mails([one])
    found = messages(server, 50)
    assert [message["headers"]["id"] for message in found] == [str(one) for one in ids]
    assert len({message["properties"]["delivery_tag"] for message in found}) == 50
    assert queue_depth(queue.app) == 50


def test_thousands_that_come_at_once_are_all_published_in_their_order(
    queue: Publisher, server: "redis.Redis"
) -> None:
    ids = [new_id() for _ in range(3 * AT_ONCE + 7)]
    for number, task_id in enumerate(ids):
        queue.publish_task("a.task", task_id, [number])
    found = messages(server, len(ids), QUEUE)
    assert [message["headers"]["id"] for message in found] == [str(task_id) for task_id in ids]
    assert len(queue) == 0


def test_its_connection_is_kept_and_replaced_where_the_server_has_ended_it(
    queue: Publisher, server: "redis.Redis"
) -> None:
    others = {client["id"] for client in server.client_list()}
    assert queue_depth(queue.app) == 0

    def opened() -> int:
        return int(server.info("stats")["total_connections_received"])

    before = opened()
    for count in range(1, 6):
        queue.publish_mails([new_id()])
        assert len(messages(server, count)) == queue_depth(queue.app) == count
    assert opened() <= before + 1, "whoever publishes meanwhile may have one of its own"
    for ours in {client["id"] for client in server.client_list()} - others:
        server.client_kill_filter(ours)
    wait_for(lambda: queue_depth(queue.app) == 5)


def test_while_redis_is_away_nobody_waits_and_no_more_is_kept_than_makes_sense(settings: Settings) -> None:
    queue = Publisher(settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0", "broker_url": ""}))
    start = time.perf_counter()
    for _ in range(KEPT_WHILE_AWAY + 50):
        queue.publish_mails([new_id()])
    queue.publish_mails([new_id()] * MANY * (KEPT_WHILE_AWAY + 50))
    assert time.perf_counter() - start < 20, "one that waited for Redis would take a second each"
    wait_for(lambda: len(queue) <= 2 * KEPT_WHILE_AWAY)  # as many again may be under way
    assert queue_depth(queue.app) is None
    queue.close()


def test_the_bulk_stream_is_woken_by_a_message_that_names_no_mail(queue: Publisher, server: "redis.Redis") -> None:
    queue.wake_bulk()
    (woken,) = messages(server, 1, BULK)
    assert woken["headers"]["task"] == "mailroom.send_bulk" and woken["properties"]["delivery_info"] == {
        "exchange": "",
        "routing_key": BULK,
    }

"""What a Celery user expects, tested with real workers and a real Valkey."""

import asyncio
import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.exceptions import TimeoutError as ResultTimeout
from kombu.exceptions import OperationalError

from mailroom.jobs.app import create_celery
from mailroom.jobs.publisher import Publisher
from mailroom.jobs.results import ResultReader
from mailroom.kit.database import Database
from mailroom.mail.views import MailRows
from mailroom.progress.tracker import Tracker
from mailroom.settings import Settings
from mailroom.tasks.service import TaskService
from tests.conftest import ROOT
from tests.processes import celery_worker
from tests.sink import wait_for

TASKS = "tests.integration.worker_tasks"
POOLS = {
    "solo": ("--pool=solo",),
    "threads": ("--pool=threads", "--concurrency=4"),
    "prefork": ("--pool=prefork", "--concurrency=2"),
    "gevent": ("--pool=gevent", "--concurrency=8"),
    "eventlet": ("--pool=eventlet", "--concurrency=8"),
}


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


@pytest.fixture
def client(settings: Settings) -> Iterator[Celery]:
    """A Celery client as another program would have one."""
    app = create_celery(settings, worker=True)
    yield app
    app.backend.remove_pending_result = lambda result: result  # by a result that is collected later: it reconnects
    app.backend.result_consumer.stop()
    app.backend.client.connection_pool.disconnect()  # Celery leaves these open
    app.close()


def send(client: Celery, name: str, *arguments: Any) -> Any:
    return client.send_task(f"{TASKS}.{name}", arguments)


@pytest.mark.parametrize("pool", POOLS)
def test_tasks_and_results_work_under_every_pool(
    pool: str, client: Celery, environment: dict[str, str], tmp_path: Path
) -> None:
    if pool in {"gevent", "eventlet"} and find_spec(pool) is None:  # imported here, eventlet would warn for ever
        pytest.skip(f"{pool} is not installed")
    with celery_worker(environment, tmp_path, *POOLS[pool], app=TASKS) as worker:
        assert send(client, "add", 2, 3).get(timeout=20) == 5

        failed = send(client, "broken")
        with pytest.raises(ValueError, match="this one always fails"):
            failed.get(timeout=20)
        assert isinstance(failed.get(propagate=False), ValueError)
        assert failed.state == "FAILURE" and failed.ready() and failed.failed()
        assert "worker_tasks.py" in failed.traceback

        waiting = send(client, "slow", 1.5)
        assert not waiting.ready()
        with pytest.raises(ResultTimeout):
            waiting.get(timeout=0.3)
        assert waiting.get(timeout=20) == "done"

        assert send(client, "mails_in_database").get(timeout=20) == {}
        collected, spared = send(client, "collected_and_spared").get(timeout=20)
        assert collected < spared / 10, "what a start leaves is passed over"
        assert worker.stop() < 20


def test_a_task_reports_its_progress_as_its_own_result(
    client: Celery, environment: dict[str, str], tmp_path: Path
) -> None:
    with celery_worker(environment, tmp_path, app=TASKS):
        result = send(client, "counting", 20)
        seen: list[int] = []
        while not result.ready():
            info = result.info
            if result.state == "running" and isinstance(info, dict) and info["current"] not in seen:
                seen.append(info["current"])
            time.sleep(0.02)
        assert result.get(timeout=5) == 20
        assert len(seen) >= 3 and seen == sorted(seen)


@pytest.mark.parametrize(("name", "arguments", "end"), [("counting", [10], "done"), ("broken", [], "failed")])
async def test_a_background_task_is_watched_from_its_beginning_to_its_end(
    name: str, arguments: list[int], end: str, settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    queue, results = Publisher(settings), ResultReader(settings)
    database = Database(settings.database_url, connections=4, name="test")
    tracker = Tracker(results, MailRows(database).newer_than)
    tracker.start()
    async with database.begin() as work:
        begin = TaskService(queue.publish_task)
        ticket = await begin.start(work, f"{TASKS}.{name}", *arguments, title="A count")
    subscription = tracker.subscribe()
    await subscription.watch([ticket])
    with celery_worker(environment, tmp_path, app=TASKS):
        seen = []
        async with asyncio.timeout(20):
            async for shown in subscription:
                seen.append(shown)
                if shown.final:
                    break
    assert seen[0].state == "queued"
    assert seen[-1].state == end
    if end == "failed":
        assert (seen[-1].error or {})["message_code"] == "task.broken"
    else:
        counts = [shown.current for shown in seen if shown.state == "running" and shown.current]
        assert counts
        assert counts == sorted(counts)
    subscription.close()
    await tracker.stop()
    await results.close()
    await database.close()
    queue.close()


def test_results_expire(settings: Settings, client: Celery, environment: dict[str, str], tmp_path: Path) -> None:
    with celery_worker({**environment, "RESULTS_EXPIRE": "60"}, tmp_path, app=TASKS):
        result = send(client, "add", 1, 1)
        result.get(timeout=20)
        with redis.Redis.from_url(settings.results) as server:
            assert 0 < server.ttl(client.backend.get_key_for_task(result.id)) <= 60


def test_the_visibility_timeout_reaches_broker_and_backend(settings: Settings) -> None:
    app = create_celery(settings.model_copy(update={"visibility_timeout": 77}), worker=True)
    with app.connection_for_read() as connection:
        assert connection.default_channel.visibility_timeout == 77
    assert app.conf.result_backend_transport_options["visibility_timeout"] == 77


def test_a_publisher_subscribes_to_nothing(settings: Settings, redis_url: str) -> None:
    app = create_celery(settings, worker=False)
    with redis.Redis.from_url(redis_url) as server:
        app.send_task("mailroom.deliver", ["x"], task_id="x", retry=False)
        assert server.pubsub_numpat() == 0
        assert server.pubsub_channels() == []
        assert server.llen("transactional") == 1
    app.close()


def test_a_worker_that_loses_redis_goes_on_when_it_is_back(environment: dict[str, str], tmp_path: Path) -> None:
    from mailroom.ops.embedded.valkey import running_valkey
    from tests.conftest import settings_of

    with running_valkey(tmp_path / "own-valkey") as server:
        environment = {**environment, "REDIS_URL": server.url}
        publisher = create_celery(settings_of(environment), worker=False)
        with celery_worker(environment, tmp_path, app=TASKS) as worker:
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(5)
            worker.wait_for("Connection to broker lost", 30)
            server.start().wait_ready()
            wait_for(lambda: _answers(publisher, server.url), 30, "the worker takes tasks again")
        publisher.close()


def _answers(publisher: Celery, url: str) -> bool:
    """Publish a task and look for its stored result, with nothing that reconnects by itself."""
    try:
        task = publisher.send_task(f"{TASKS}.add", [2, 2], retry=False)
        with redis.Redis.from_url(url) as server:
            until = time.monotonic() + 3
            while time.monotonic() < until:
                if server.exists(f"celery-task-meta-{task.id}"):
                    return True
                time.sleep(0.05)
    except (redis.RedisError, OperationalError):
        pass
    return False

"""What a task reported last before it ended without a result is what stands, and gets there."""

import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Ignore

from mailroom.jobs.worker import create
from mailroom.progress.reporter import Report, Reporter
from mailroom.progress.reporting import report
from mailroom.settings import Settings
from tests.sink import wait_for


class SlowStore:
    """Takes its time over the first write, so that what is reported meanwhile waits in its slot."""

    def __init__(self) -> None:
        self.stored: list[Any] = []
        self.writing = threading.Event()

    def __call__(self, reports: Sequence[Report]) -> None:
        self.writing.set()
        time.sleep(0.3)
        self.stored += [told.result["current"] for told in reports]


async def _nothing() -> None:
    """What a runtime without a mail room does to start, stop and close."""


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def app(settings: Settings, store: SlowStore) -> Iterator[Celery]:
    reporter = Reporter(store)
    runtime: Any = SimpleNamespace(reporter=reporter, start=_nothing, stop=_nothing, close=_nothing)
    app = create(settings, lambda _app: runtime)
    yield app
    reporter.close()
    app.Task.loop.close()
    app.close()


def test_what_a_task_said_last_before_it_ended_without_a_result_is_stored(app: Celery, store: SlowStore) -> None:
    @app.task
    def retrying() -> None:
        report(current=1)
        store.writing.wait(5)
        report(current=2)
        raise Ignore

    retrying.apply()
    wait_for(lambda: store.stored == [1, 2], 3, "the last report is stored")


def test_what_a_task_said_last_never_comes_after_its_result(app: Celery, store: SlowStore) -> None:
    @app.task
    def counting() -> int:
        report(current=1)
        store.writing.wait(5)
        report(current=2)
        return 2

    assert counting.apply().get() == 2
    time.sleep(0.6)
    assert store.stored == [1]

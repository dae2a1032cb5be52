"""Reports are stored in a real Valkey as Celery's results, many at once."""

from collections.abc import Iterator

import pytest
from celery import Celery

from mailroom.jobs.app import create_celery
from mailroom.jobs.results import ResultWriter
from mailroom.progress.reporter import Report
from mailroom.settings import Settings


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    app = create_celery(settings, worker=True)
    yield app
    app.backend.client.connection_pool.disconnect()
    app.close()


def test_a_report_that_no_json_can_hold_is_dropped_and_those_along_with_it_are_stored(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    write = ResultWriter(app)
    write([Report("a", "running", 1), Report("bad", "SUCCESS", object()), Report("c", "SUCCESS", 3)])
    assert [app.backend.get_task_meta(task)["status"] for task in ("a", "bad", "c")] == [
        "running",
        "PENDING",
        "SUCCESS",
    ]
    (record,) = caplog.records
    assert record.getMessage().startswith("a result of bad was dropped: ")


def test_where_nothing_can_be_stored_nothing_is_asked_of_redis(app: Celery) -> None:
    ResultWriter(app)([Report("bad", "running", object())])
    assert app.backend.get_task_meta("bad")["status"] == "PENDING"

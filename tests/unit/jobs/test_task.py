"""What a task reported last before it ended without a result is what stands; else its result does."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Ignore

from mailroom.jobs.task import outcome_of
from mailroom.jobs.worker import create
from mailroom.kit.errors import MailroomError, Unavailable
from mailroom.progress.reporter import Report, Reporter
from mailroom.progress.reports import CurrentTask, report
from mailroom.progress.sentence import Sentence
from mailroom.tasks.states import TASK_BROKEN
from tests.conftest import settings_of_nowhere


class SlowStore:
    """Takes until it is told so for the first write: what is reported meanwhile waits in its slot."""

    def __init__(self) -> None:
        self.stored: list[Any] = []
        self.writing = threading.Event()
        self.gate = threading.Event()

    def __call__(self, reports: Sequence[Report]) -> None:
        self.writing.set()
        self.gate.wait(5)
        self.stored += [told.result["current"] for told in reports]


async def _nothing() -> None:
    """What a runtime without a mail room does to start, stop and close."""


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def reporter(store: SlowStore) -> Iterator[Reporter]:
    reporter = Reporter(store)
    yield reporter
    store.gate.set()
    reporter.close()


@pytest.fixture
def app(reporter: Reporter) -> Iterator[Celery]:
    settings = settings_of_nowhere()
    runtime: Any = SimpleNamespace(reporter=reporter, start=_nothing, stop=_nothing, close=_nothing, services=None)
    app = create(settings, lambda _app: runtime)
    yield app
    app.Task.loop.close()
    app.close()


def test_what_a_task_said_last_before_it_ended_without_a_result_is_stored(
    app: Celery, store: SlowStore, reporter: Reporter
) -> None:
    @app.task
    def retrying() -> None:
        report(current=1)
        store.writing.wait(5)
        report(current=2)
        store.gate.set()
        raise Ignore

    retrying.apply()
    assert reporter.flush()
    assert store.stored == [1, 2]


def test_what_a_task_said_last_never_comes_after_its_result(
    app: Celery, store: SlowStore, reporter: Reporter
) -> None:
    @app.task
    def counting() -> int:
        report(current=1)
        store.writing.wait(5)
        report(current=2)
        store.gate.set()
        return 2

    assert counting.apply().get() == 2
    before_its_result = list(store.stored)
    assert reporter.flush(), "nothing waits any more"
    assert store.stored == before_its_result
    assert before_its_result[0] == 1


@pytest.mark.parametrize("error", [KeyError("name"), ValueError("invalid literal"), ZeroDivisionError()])
def test_members_read_one_sentence_for_an_error_that_speaks_to_developers(error: Exception) -> None:
    ending = outcome_of(error, CurrentTask("t", lambda _report: None))
    assert (ending.state, ending.reason, ending.error) == ("failed", "broken", TASK_BROKEN)
    assert ending.traceback and type(error).__name__ in ending.traceback


def test_members_read_the_text_of_an_error_that_was_written_for_them() -> None:
    ending = outcome_of(MailroomError("The file has no header."), CurrentTask("t", lambda _report: None))
    assert (ending.reason, ending.error) == (None, "The file has no header.")


def test_the_sentence_of_an_error_is_kept_as_its_code_so_that_each_reads_it_in_their_language() -> None:
    ending = outcome_of(Unavailable(), CurrentTask("t", lambda _report: None))
    assert ending.error == Sentence("kit.error.unavailable")
    assert asdict(ending)["error"] == {"code": "kit.error.unavailable", "params": {}}

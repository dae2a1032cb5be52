"""Reports: latest wins, nothing blocks, the last one always goes out."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mailroom.progress.reporting import Report, Reporter, report, running


class Store:
    """Keeps what was stored; may be slow or away."""

    def __init__(self) -> None:
        self.stored: list[Report] = []
        self.away = False
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, reports: Sequence[Report]) -> None:
        self.gate.wait(5)
        if self.away:
            raise ConnectionError
        self.stored += reports


@contextmanager
def reporter_of(store: Store) -> Iterator[Reporter]:
    reporter = Reporter(store)
    yield reporter
    store.gate.set()
    store.away = False
    reporter.close()


def test_the_last_report_always_goes_out_and_at_most_ten_a_second() -> None:
    store = Store()
    with reporter_of(store) as reporter:
        for n in range(1000):
            reporter.put(Report("t", "running", n))
        assert reporter.flush()
        assert store.stored[-1].result == 999
        assert len(store.stored) <= 3


def test_a_frozen_store_holds_up_nobody() -> None:
    store = Store()
    store.gate.clear()
    with reporter_of(store) as reporter:
        began = time.perf_counter()
        for n in range(10_000):
            reporter.put(Report(f"t{n % 7}", "running", n))
        assert time.perf_counter() - began < 1


def test_what_a_store_could_not_take_is_stored_when_it_is_back() -> None:
    store = Store()
    store.away = True
    with reporter_of(store) as reporter:
        reporter.put(Report("t", "running", "early", urgent=True))
        time.sleep(0.15)
        reporter.put(Report("t", "running", "late", urgent=True))
        store.away = False
        assert reporter.flush(5)
        assert store.stored[-1].result == "late"


def test_after_forget_nothing_of_a_task_is_stored() -> None:
    store = Store()
    with reporter_of(store) as reporter:
        reporter.put(Report("t", "running", 1))
        reporter.flush()
        reporter.put(Report("t", "running", 2))
        reporter.forget("t")
        time.sleep(0.2)
        assert [said.result for said in store.stored] == [1]


def test_report_speaks_for_the_running_task_and_remembers_what_was_said() -> None:
    said: list[Report] = []
    with running("t", said.append):
        report(current=1, total=3, message="one")
        report(current=2)
    report(current=3)
    assert [one.result for one in said] == [
        {"current": 1, "total": 3, "message": "one", "step": 1},
        {"current": 2, "total": 3, "message": "one", "step": 2},
    ]

"""Workers that are killed, stopped and frozen with mails in flight."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.faults.conftest import Recovers
from tests.faults.invariants import twice
from tests.faults.stack import IN_FLIGHT, PREFORK, TEST_KINDS, THREADS, Stack, frozen, under_way
from tests.sink import Fault, wait_for

pytestmark = pytest.mark.faults


def test_sigkill_before_the_claim(stack: Stack, recovers: Recovers) -> None:
    """It has taken messages out of the queue, and its claims wait for the table."""
    stack.put()
    with stack.table_locked():
        worker = stack.worker()
        wait_for(lambda: stack.queue_length() < IN_FLIGHT - 16, 20, "messages are taken")
        worker.kill()
    assert stack.count("state = 'queued'") == IN_FLIGHT
    stack.worker()
    recovers()
    assert twice(stack) == 0


def test_sigkill_while_rendering(stack: Stack, recovers: Recovers, tmp_path: Path) -> None:
    mend = tmp_path / "mended"
    worker = stack.worker(TEST_KINDS, FAULTS_MEND=str(mend))
    stack.put(10, kind="slow", to="slow")
    stack.put(IN_FLIGHT - 10)
    wait_for(lambda: stack.count("state = 'sending'"), 20)
    worker.kill()
    mend.touch()
    stack.worker(TEST_KINDS, FAULTS_MEND=str(mend))
    recovers()
    assert twice(stack) == 0


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_sigkill_before_the_dot(stack: Stack, recovers: Recovers, stage: str) -> None:
    stack.sink.delay = 0.1
    stack.sink.faults.append(Fault(stage, hang=True, times=4))
    stack.put()
    worker = stack.worker(SMTP_COMMAND_TIMEOUT="60", SMTP_DATA_TIMEOUT="60")
    under_way(stack)
    worker.kill()
    stack.sink.faults.clear()
    stack.worker()
    recovers()
    marked = stack.sql("select count(distinct mail_id) from attempts where uncertain_at is not null")
    assert marked[0][0] < IN_FLIGHT / 2


def test_sigkill_after_the_dot(stack: Stack, recovers: Recovers) -> None:
    stack.sink.faults.append(Fault("dot", hang=True, keep=True, times=6))
    worker = stack.worker(SMTP_ACCEPT_TIMEOUT="60")
    stack.put()
    wait_for(lambda: len(stack.sink.accepted) == IN_FLIGHT, 40)
    time.sleep(0.3)
    worker.kill()
    stack.worker()
    recovers()
    assert twice(stack) == 6
    ((marked,),) = stack.sql(
        "select count(*) from attempts where uncertain_at is not null and reason = 'worker lost'"
    )
    assert marked >= 6


def test_sigkill_of_one_pool_child(stack: Stack, recovers: Recovers) -> None:
    stack.sink.delay = 0.05
    stack.put()
    worker = stack.worker(PREFORK)
    under_way(stack)
    child = psutil.Process(worker.process.pid).children()[0]
    child.kill()
    recovers()


@pytest.mark.parametrize(
    ("pool", "number"),
    [
        (THREADS, signal.SIGTERM),
        (PREFORK, signal.SIGTERM),
        (THREADS, signal.SIGQUIT),
    ],
    ids=["threads-SIGTERM", "prefork-SIGTERM", "threads-SIGQUIT"],
)
def test_soft_shutdown(stack: Stack, recovers: Recovers, pool: tuple[str, ...], number: int) -> None:
    """Nothing lost, nothing twice; what stands still before the dot is given back without a crash."""
    stack.sink.delay = 0.2
    stack.sink.faults.append(Fault("rcpt", hang=True, recipient="p3@example.org", times=1))
    stack.put()
    worker = stack.worker(pool, SMTP_COMMAND_TIMEOUT="60")
    wait_for(lambda: len(stack.sink.accepted) >= 10 and stack.sink.faults[0].times == 0, 30)
    worker.signal(number)
    worker.process.wait(40)
    assert stack.count("state = 'sending'") == 0
    assert stack.count("crashes > 0") == 0
    assert stack.count("state = 'queued'") > 0
    stack.sink.delay = 0
    stack.worker()
    recovers()
    assert twice(stack) == 0


def test_a_worker_frozen_before_the_dot_hands_nothing_over_when_it_comes_back(
    stack: Stack, recovers: Recovers
) -> None:
    slow = [Fault("rcpt", delay=3, recipient=f"p{number}@example.org", times=1) for number in range(4)]
    stack.sink.faults += slow
    stack.put()
    worker = stack.worker(SMTP_COMMAND_TIMEOUT="60")
    wait_for(lambda: not any(fault.times for fault in slow), 20, "four mails are before the dot")
    with frozen(worker.process):
        since = time.time()
        stack.sql("update mails set lease_until = now(), nudge_at = now() where state = 'sending'")
        stack.worker()
        wait_for(lambda: stack.count("state = 'sent'") == IN_FLIGHT, 60)
        time.sleep(max(0.0, since + 3 - time.time()))  # their answers lie there when it comes back
    worker.signal(signal.SIGTERM)
    worker.process.wait(40)
    recovers(first=None)


def test_a_mail_that_takes_longer_than_a_lease_is_sent_once(stack: Stack, recovers: Recovers) -> None:
    """Its worker lives and says so: nobody takes the mail away."""
    stack.sink.faults.append(Fault("dot", delay=36, keep=True, recipient="p0@example.org"))
    stack.worker(SMTP_ACCEPT_TIMEOUT="60")
    stack.put()
    recovers(first=None)
    assert twice(stack) == 0
    assert stack.sql("select count(*) from attempts where uncertain_at is not null") == [(0,)]


def test_a_poison_mail_ends_as_failed_and_its_company_is_sent(
    stack: Stack, recovers: Recovers, tmp_path: Path
) -> None:
    stack.put(1, kind="poison", to="poison")
    stack.put(IN_FLIGHT - 1)
    since, deaths = time.time(), 0
    command = (*TEST_KINDS,)
    while stack.count("kind = 'poison' and state <> 'failed'"):
        worker = stack.begin_worker(command, FAULTS_MEND=str(tmp_path / "never"))
        while worker.process.poll() is None and stack.count("kind = 'poison' and state <> 'failed'"):
            time.sleep(0.1)
        deaths += worker.process.poll() is not None
        assert deaths <= 5 and time.time() < since + 110
    assert stack.sql("select state, reason, attempt from mails where kind = 'poison'") == [
        ("failed", "crashed", 5)
    ]
    recovers(first=None)
    assert stack.count("state = 'sent'") == IN_FLIGHT - 1


@pytest.mark.parametrize("skew", ["300", "-300"])
def test_the_clock_of_one_worker_is_five_minutes_off(stack: Stack, recovers: Recovers, skew: str) -> None:
    stack.sink.delay = 0.02
    stack.sink.faults.append(Fault("rcpt", reply="450 4.2.0 busy", times=10))
    here = stack.environment["PYTHONPATH"]
    stack.worker(PYTHONPATH=f"{ROOT / 'tests/faults/skewed'}:{here}", CLOCK_SKEW=skew)
    stack.worker()
    stack.put()
    recovers(first=None)
    assert twice(stack) == 0
    workers = stack.sql("select count(distinct worker) from attempts")
    assert workers == [(2,)]

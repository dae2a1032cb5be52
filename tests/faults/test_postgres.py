"""PostgreSQL that restarts, is killed, frozen and gone, while mails go out."""

import contextlib
import signal
import time
from collections.abc import Sequence

import psutil
import pytest

from tests.faults.conftest import Recovers
from tests.faults.invariants import twice
from tests.faults.silent_proxy import BOTH, Direction, SilentProxy
from tests.faults.stack import IN_FLIGHT, Stack, frozen, kill, restart, send_on, under_way
from tests.sink import wait_for

pytestmark = pytest.mark.faults


def marked(stack: Stack) -> int:
    ((found,),) = stack.sql("select count(*) from attempts where uncertain_at is not null")
    return int(found)


@pytest.mark.parametrize(("how", "gone"), [("restart", 0), ("SIGKILL", 0), ("gone", 10)])
def test_postgresql_ends_and_comes_back(stack: Stack, recovers: Recovers, how: str, gone: float) -> None:
    """Workers live: what they have sent is recorded once they can, and nothing is taken from them."""
    stack.sink.delay = 0.2
    stack.put()
    stack.begin_worker()
    stack.worker()
    under_way(stack)
    if how == "SIGKILL":
        kill(stack.postgres)
    else:
        stack.postgres.process.send_signal(signal.SIGINT)
        stack.postgres.process.wait(10)
    time.sleep(gone)
    restart(stack.postgres)
    recovers()
    assert twice(stack) == 0
    assert marked(stack) == 0


def test_gone_for_longer_than_a_lease_with_answers_outstanding(stack: Stack, recovers: Recovers) -> None:
    """Every lease has run out when it returns; the living keep what is theirs."""
    stack.sink.delay = 4
    stack.put()
    stack.worker(SMTP_CONNECTIONS="100", WORKER_THREADS="100")
    under_way(stack, 50)
    stack.postgres.process.send_signal(signal.SIGINT)
    stack.postgres.process.wait(10)
    time.sleep(32)
    restart(stack.postgres)
    stack.sink.delay = 0
    stack.worker()
    recovers()
    assert twice(stack) == 0
    assert marked(stack) == 0


def _tell(processes: Sequence[psutil.Process], number: int) -> None:
    """Signal each; one that has ended by itself (PostgreSQL's helpers come and go) is not told."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def test_frozen_for_ten_seconds(stack: Stack, recovers: Recovers) -> None:
    send_on(stack, delay=0.2)
    server = psutil.Process(stack.postgres.process.pid)
    backends = [server, *server.children()]
    _tell(backends, signal.SIGSTOP)
    with frozen(stack.postgres.process):
        time.sleep(10)
    _tell(backends, signal.SIGCONT)
    recovers()
    assert twice(stack) == 0
    assert marked(stack) == 0
    assert stack.count("state = 'sent'") == IN_FLIGHT


FIRST_MAIL_WITHIN = 30.0
"""Seconds from the moment on which connections go silent while new ones can be made; RELIABILITY.md says so."""


@pytest.mark.parametrize("directions", [(Direction.TO_CLIENT,), (Direction.TO_SERVER,), BOTH], ids=str)
def test_connections_that_the_network_swallows(
    stack: Stack, recovers: Recovers, directions: tuple[Direction, ...]
) -> None:
    """A firewall forgets the connections: no byte arrives any more, and none of the two sides is told."""
    with SilentProxy("127.0.0.1", stack.postgres.port) as proxy:
        through = stack.postgres.url.replace(f":{stack.postgres.port}/", f":{proxy.port}/")
        stack.sink.delay = 0.2
        stack.put()
        stack.worker(DATABASE_URL=through)
        under_way(stack)
        assert proxy.silence(*directions) > 1
        sent, began = len(stack.sink.accepted), time.monotonic()
        time.sleep(1)  # what was on its way to the mail server by then arrives
        before = len(stack.sink.accepted)
        wait_for(lambda: len(stack.sink.accepted) > before, FIRST_MAIL_WITHIN)
        assert time.monotonic() - began < FIRST_MAIL_WITHIN, sent
        recovers()
        assert twice(stack) == 0

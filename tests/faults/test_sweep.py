"""The worker that sweeps is killed, or frozen, in the midst of it: another one takes over."""

import time

import pytest

from tests.faults.conftest import Recovers
from tests.faults.invariants import twice
from tests.faults.stack import Stack
from tests.sink import wait_for

pytestmark = pytest.mark.faults

SWEEPING = (
    "select count(*) from pg_locks where locktype = 'advisory' and objid = x'6d61696c'::int::oid and granted "
    "and database = (select oid from pg_database where datname = current_database())"
)


@pytest.mark.parametrize("end", ["SIGKILL", "SIGSTOP"])
def test_the_sweeper_ends_in_mid_sweep(stack: Stack, recovers: Recovers, end: str) -> None:
    import signal

    sweeper = stack.worker()
    with stack.table_locked():  # a sweep begins, and waits for the table with its lock in hand
        wait_for(lambda: stack.sql(SWEEPING) == [(1,)], 20, "a sweep is under way")
        sweeper.signal(getattr(signal, end))
        if end == "SIGKILL":
            sweeper.process.wait(5)
    stack.put()
    with stack.redis() as client:  # nothing but a sweep can find them now
        client.delete("transactional")
    since = time.time()
    stack.worker()
    recovers(since, first=20)
    assert twice(stack) == 0
    if end == "SIGSTOP":
        assert stack.sql(SWEEPING) == [(0,)] or stack.count("true") > 0
        sweeper.signal(signal.SIGCONT)
        time.sleep(3)
        assert "Traceback" not in sweeper.text
        assert "stood still in mid-sweep" in sweeper.text or "database is away" in sweeper.text

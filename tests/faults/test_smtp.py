"""A mail server that refuses, lingers, hangs up and is away: each in the ways servers know."""

import time

import pytest

from tests.faults.conftest import Recovers
from tests.faults.invariants import twice
from tests.faults.stack import IN_FLIGHT, TEST_KINDS, Stack
from tests.faults.test_postgres import marked
from tests.sink import Fault, wait_for

pytestmark = pytest.mark.faults

BEFORE = {
    "4xx": [
        Fault("mail", reply="451 4.3.0 try again"),
        Fault("rcpt", reply="450 4.2.1 mailbox busy"),
        Fault("data", reply="451 4.7.1 greylisted"),
        Fault("dot", reply="452 4.3.1 no room"),
    ],
    "421": [
        Fault(stage, reply="421 4.3.2 going down") for stage in ("connect", "ehlo", "mail", "rcpt", "data", "dot")
    ],
    "hang": [Fault(stage, hang=True) for stage in ("connect", "ehlo", "mail", "rcpt", "data")],
    "hang up": [Fault(stage, close=True) for stage in ("connect", "ehlo", "mail", "rcpt", "data")],
    "out of step": [
        Fault("mail", reply="354 what"),
        Fault("rcpt", reply="garbage"),
        Fault("data", reply="250 2.0.0 ok"),
    ],
}


@pytest.mark.parametrize("what", BEFORE)
def test_trouble_before_the_content_is_taken(stack: Stack, recovers: Recovers, what: str) -> None:
    """Nothing was taken, so all is repeated, and nothing is uncertain."""
    for fault in BEFORE[what]:
        stack.sink.faults.append(Fault(**{**vars(fault), "times": 3}))
    stack.worker()
    stack.put()
    recovers(first=None)  # the server is well only once its connections and greetings are
    assert stack.count("state = 'sent'") == IN_FLIGHT
    assert {fault.stage for fault in stack.sink.faults if fault.times == 3} == set(), "each has happened"
    assert twice(stack) == 0
    assert marked(stack) == 0


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_refused_for_good(stack: Stack, recovers: Recovers, stage: str) -> None:
    """Ten mails end, with the reason; the rest is none the worse for it."""
    stack.sink.faults.append(Fault(stage, reply="550 5.1.1 no such mailbox", times=10))
    stack.worker()
    stack.put()
    recovers()
    assert stack.count("state = 'failed' and reason = 'refused' and code = 550 and enhanced = '5.1.1'") == 10
    assert stack.count("state = 'sent'") == IN_FLIGHT - 10


@pytest.mark.parametrize("kept", [True, False], ids=["taken", "not-taken"])
@pytest.mark.parametrize("how", ["hang up", "hang"])
def test_no_answer_after_the_dot(stack: Stack, recovers: Recovers, how: str, kept: bool) -> None:
    """Nobody can know (RFC 1047): marked, and sent again under the same Message-ID; or held, as its kind says."""
    fault = Fault("dot", close=how == "hang up", hang=how == "hang", keep=kept, times=6)
    stack.sink.faults.append(fault)
    stack.worker(TEST_KINDS, FAULTS_MEND="no")
    stack.put(20, kind="held", to="held")
    wait_for(lambda: stack.count("state in ('queued', 'sending')") == 0, 40)
    assert fault.times == 0
    fault.times = 6
    stack.put(IN_FLIGHT - 20)
    recovers()
    held = stack.count("state = 'uncertain' and kind = 'held'")
    assert held == 6
    assert stack.count("state = 'sent'") == IN_FLIGHT - held
    assert twice(stack) == (6 if kept else 0)
    assert marked(stack) == 12


def test_an_answer_that_takes_its_time_is_waited_for(stack: Stack, recovers: Recovers) -> None:
    stack.sink.faults.append(Fault("dot", delay=6, keep=True, times=5))
    stack.worker()
    stack.put()
    recovers()
    assert twice(stack) == 0
    assert marked(stack) == 0


def test_a_day_without_a_mail_server(stack: Stack, recovers: Recovers) -> None:
    """Nothing fails for it; all goes out when it is back."""
    stack.sink.stop()
    stack.worker()
    stack.put()
    wait_for(lambda: stack.count("state = 'retrying' and reason = 'unreachable'") == IN_FLIGHT, 30)
    stack.sql(
        "update mails set created_at = created_at - interval '1 day', expires_at = expires_at - interval '1 day'"
    )
    time.sleep(5)
    assert stack.count("state = 'retrying'") == IN_FLIGHT
    assert stack.sql("select max(attempt) < 5 from mails") == [(True,)], "nobody hammers a server that is away"
    stack.sink.start()
    recovers()
    assert stack.count("state = 'sent'") == IN_FLIGHT
    assert twice(stack) == 0

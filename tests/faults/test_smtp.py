"""A mail server that refuses, lingers, hangs up and is away: each in the ways servers know."""

import time

import pytest

from tests.faults.conftest import Recovers
from tests.faults.invariants import twice
from tests.faults.silent_proxy import Direction, SilentProxy
from tests.faults.stack import FLEET, IN_FLIGHT, TEST_KINDS, Stack, under_way
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
    reason = "sender refused" if stage == "mail" else "refused"  # no recipient has been named yet
    assert stack.count(f"state = 'failed' and reason = '{reason}' and code = 550 and enhanced = '5.1.1'") == 10
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


SWALLOWED = {"MAIL": b"MAIL FROM", "DATA": b"DATA\r\n", "content": b"\r\n.\r\n"}
AS_IN_PRODUCTION = {
    "SMTP_CONNECT_TIMEOUT": "30",
    "SMTP_COMMAND_TIMEOUT": "300",
    "SMTP_DATA_TIMEOUT": "120",
    "SMTP_ACCEPT_TIMEOUT": "600",
}
"""RFC 5321 §4.5.3.2: longer than anybody wants to wait for the next mail."""


@pytest.mark.parametrize("direction", list(Direction))
def test_the_network_swallows_old_connections_and_the_next_mails_go_over_new_ones(
    stack: Stack, direction: Direction
) -> None:
    with SilentProxy("127.0.0.1", stack.sink.port) as proxy:
        url = f"smtp://127.0.0.1:{proxy.port}?starttls=never"
        stack.sink.delay = 0.05
        stack.put()
        stack.worker(SMTP_URL=url, **AS_IN_PRODUCTION)
        under_way(stack)
        silent, had, since = proxy.silence(direction), len(stack.sink.accepted), time.time()
        wait_for(lambda: len(stack.sink.accepted) > had + 2 * silent, 30, "mails go on within 30 s")
        wait_for(lambda: stack.count("state = 'sent'") >= IN_FLIGHT - 2 * silent, 60, "all but those it had")
        assert time.time() - since < 60
        new = stack.put(20, to="new")
        query = "select count(*) from mails where state = 'sent' and id = any(%s::uuid[])"
        wait_for(lambda: stack.sql(query.replace("%s", f"'{{{','.join(map(str, new))}}}'")) == [(20,)], 30, "new")


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("stage", SWALLOWED)
def test_the_network_swallows_at_one_stage(
    stack: Stack, recovers: Recovers, stage: str, direction: Direction
) -> None:
    with SilentProxy("127.0.0.1", stack.sink.port) as proxy:
        trigger = proxy.silence_after(SWALLOWED[stage], direction, times=5)
        stack.worker(SMTP_URL=f"smtp://127.0.0.1:{proxy.port}?starttls=never")
        stack.put()
        recovers(first=None)
        assert trigger.times == 0
    assert stack.count("state = 'sent'") == IN_FLIGHT
    handed_over = stage == "content"
    assert marked(stack) >= (5 if handed_over else 0)
    assert (twice(stack) > 0) is (handed_over and direction is Direction.TO_CLIENT)


def test_a_wrong_password_is_tried_once_by_all_workers(stack: Stack, recovers: Recovers) -> None:
    stack.sink.auth = "PLAIN"
    stack.sink.faults.append(Fault("auth", reply="535 5.7.8 bad credentials"))
    wrong = stack.worker(FLEET, SMTP_URL=stack.sink.url_with("wrong"))
    stack.put()
    time.sleep(20)
    assert stack.sink.sign_ins == 1
    alerts = [line for line in wrong.text.splitlines() if "does not accept the sign-in" in line]
    assert len(alerts) == 1
    assert "cannot be used" not in wrong.text.replace(alerts[0], "") or "WARNING" not in wrong.text
    stack.sink.faults.clear()
    wrong.stop()
    stack.worker(FLEET, SMTP_URL=stack.sink.url_with("right"))  # a changed setting is tried at once
    recovers()
    assert stack.count("state = 'sent'") == IN_FLIGHT

"""The web and what is behind it die while people sign up."""

import json
import signal
import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.faults.conftest import Recovers
from tests.faults.invariants import twice
from tests.faults.sign_ups import each_has_a_mail, sign_up_all
from tests.faults.stack import IN_FLIGHT, Stack, frozen, kill, restart
from tests.journeys.people import Person
from tests.sink import wait_for

pytestmark = pytest.mark.faults


def test_postgresql_gone_for_ten_seconds_during_sign_up(stack: Stack, recovers: Recovers) -> None:
    """503 with a page that says what to do, and nothing half done."""

    def gone() -> None:
        stack.postgres.process.send_signal(signal.SIGINT)
        stack.postgres.process.wait(10)
        time.sleep(10)
        restart(stack.postgres)

    stack.web()
    stack.worker()
    tried = sign_up_all(stack, gone)
    since = time.time()
    refused = [one for one in tried if one.status != 303]
    assert refused and {one.status for one in refused} == {503}
    assert all("<h1" in one.page and "again" in one.page for one in refused)
    recovers(since, first=None)
    each_has_a_mail(stack, tried)
    assert twice(stack) == 0


def test_the_web_is_killed_between_commit_and_publish(stack: Stack, recovers: Recovers) -> None:
    """Valkey stands still, so that no message gets out; then the web is killed with all it had to publish."""
    web = stack.web()
    with frozen(stack.valkey.process):
        tried = sign_up_all(stack)
        web.kill()
    assert {one.status for one in tried} == {303}
    assert stack.count("state = 'queued'") == IN_FLIGHT
    assert stack.queue_length() < IN_FLIGHT / 2, "most messages are lost"
    stack.worker()
    recovers()
    each_has_a_mail(stack, tried)
    assert twice(stack) == 0


def test_the_web_is_killed_while_people_sign_up(stack: Stack, recovers: Recovers) -> None:
    web = stack.web()
    stack.worker()
    tried = sign_up_all(stack, web.kill)
    assert {one.status for one in tried} == {303, None}
    recovers(first=None)
    each_has_a_mail(stack, tried)


def test_valkey_is_killed_while_people_sign_up(stack: Stack, recovers: Recovers) -> None:
    def gone() -> None:
        kill(stack.valkey)
        time.sleep(5)
        restart(stack.valkey)

    stack.web()
    stack.worker()
    tried = sign_up_all(stack, gone)
    assert {one.status for one in tried} == {303}
    recovers()
    each_has_a_mail(stack, tried)
    assert twice(stack) == 0


def test_sigterm_with_open_websockets(stack: Stack, recovers: Recovers) -> None:
    """They are closed with "come back"; whoever comes back sees the end."""
    web = stack.web()
    stack.put(IN_FLIGHT)
    with Person("alice@example.org", f"http://localhost:{stack.port}") as alice, ExitStack() as pages:
        tickets = [alice.sign_up(f"alice{number}@example.org") for number in range(5)]
        sockets = [pages.enter_context(alice.live()) for _ in range(20)]
        for socket in sockets:
            socket.send(json.dumps({"watch": tickets}))
            assert json.loads(socket.recv(timeout=10))["state"] == "queued"
        assert web.stop() < 10
        for socket in sockets:
            assert _close_code(socket) == 1012
        stack.web()
        stack.worker()
        assert alice.watch(tickets[0])[-1]["state"] == "sent"
    recovers(first=None)
    assert twice(stack) == 0


def _close_code(socket: ClientConnection) -> int | None:
    try:
        while True:
            socket.recv(timeout=5)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_what_is_uncertain_is_shown(stack: Stack, recovers: Recovers) -> None:
    """On the page and in the API, also after the mail was sent again."""
    from tests.sink import Fault

    stack.web()
    stack.worker()
    stack.sink.faults.append(Fault("dot", close=True, keep=True, recipient="alice@example.org", times=1))
    with Person("alice@example.org", f"http://localhost:{stack.port}") as alice:
        ticket = alice.sign_up()
        wait_for(lambda: alice.task(ticket)["final"], 20)
        told = alice.task(ticket)
        assert told["state"] == "sent"
        assert "uncertain" in {moment["stage"] for moment in told["timeline"]}
    recovers(first=None)
    assert twice(stack) == 1

"""A host that kills after 10 seconds: web, worker and submission have ended by then, in the midst of work."""

import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from mailroom.ops.embedded.ports import free_port
from tests import processes
from tests.journeys.conftest import key_for
from tests.journeys.people import Person
from tests.sink import Fault, Sink, wait_for

HOST_KILLS_AFTER = 10
STATES = "select recipient, state from mails"


@pytest.fixture
def told(environment: dict[str, str]) -> dict[str, str]:
    ports = {"SUBMISSION_PORT": str(free_port()), "WORKER_PROCESSES": "2", "WEB_CONCURRENCY": "2"}
    return {**environment, **ports, "STOP_SECONDS": "8"}


@pytest.fixture
def started(told: dict[str, str], tmp_path: Path) -> Iterator[list[processes.Running]]:
    with ExitStack() as stack:
        names = ("web", "worker", "submission")
        running = [
            stack.enter_context(processes.running(name, ["mailroom", name], told, tmp_path)) for name in names
        ]
        processes.wait_until_healthy(running[0], int(told["PORT"]))
        wait_for(lambda: running[1].text.count(" ready.") == 2, 60, "both workers")
        running[2].wait_for("SMTP submission listens")
        yield running


def states(told: dict[str, str]) -> dict[str, str]:
    with psycopg.connect(told["DATABASE_URL"]) as connection:
        return dict(connection.execute(STATES).fetchall())


def traffic(told: dict[str, str], key: str, over: threading.Event) -> None:
    """Send mails until the web has gone."""
    with httpx.Client(base_url=told["PUBLIC_URL"], headers={"Authorization": f"Bearer {key}"}) as shop:
        for number in range(10_000):
            mail = {"from": "hello@mailroom.example", "to": [f"{number}@example.org"], "subject": "x", "text": "x"}
            with suppress(httpx.HTTPError):
                shop.post("/api/v1/emails", json=mail)
            if over.wait(0.02):
                return


def test_all_end_before_a_host_kills_them_and_no_mail_is_lost_or_sent_twice(
    told: dict[str, str], started: list[processes.Running], sink: Sink, tmp_path: Path
) -> None:
    key, over = key_for(told), threading.Event()
    sink.faults += [
        Fault("rcpt", hang=True, recipient="slow@example.org"),
        Fault("dot", hang=True, keep=True, recipient="late@example.org"),
    ]
    with Person("alice@example.org", told["PUBLIC_URL"]) as alice, ExitStack() as stack:
        alice.sign_up()
        wait_for(lambda: states(told) == {"alice@example.org": "sent"})
        stack.enter_context(alice.live())
        for to in ("slow@example.org", "late@example.org"):
            sent = alice.post(
                "/api/v1/emails",
                json={"from": "hello@mailroom.example", "to": [to], "subject": "x", "text": "x"},
                headers={"Authorization": f"Bearer {key}"},
            )
            assert sent.status_code == 200, sent.text
        wait_for(lambda: list(states(told).values()).count("sending") == 2, 30, "both are being sent")
        sending = threading.Thread(target=traffic, args=(told, key, over))
        sending.start()
        wait_for(lambda: len(sink.accepted) > 20)
        program = smtplib.SMTP("127.0.0.1", int(told["SUBMISSION_PORT"]))
        program.login("shop", key)
        program.mail("hello@mailroom.example")
        program.rcpt("bob@example.org")
        program.docmd("data")
        program.send(b"Subject: half a message\r\n")
        half = socket.create_connection(("127.0.0.1", int(told["PORT"])))
        half.sendall(b"POST /sign-up HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        began = time.monotonic()
        for process in started:
            process.signal(15)
        seconds = {}
        for process in started:
            process.process.wait(HOST_KILLS_AFTER)
            seconds[process.name] = time.monotonic() - began
        over.set()
        sending.join()
        half.close()
        with suppress(OSError, smtplib.SMTPException):
            program.close()
    assert max(seconds.values()) < 8, seconds
    assert [process.process.returncode for process in started] == [0, 0, 0]
    left = states(told)
    assert (left["slow@example.org"], left["late@example.org"]) == ("queued", "uncertain")
    assert set(left.values()) <= {"queued", "sent", "uncertain"}
    sink.faults.clear()
    with processes.running("worker", ["mailroom", "worker"], told, tmp_path) as worker:
        worker.wait_for(" ready.")
        wait_for(lambda: set(states(told).values()) == {"sent"}, 60, "all are sent")
    recipients = [mail.recipient for mail in sink.accepted]
    assert {name for name in recipients if recipients.count(name) > 1} <= {"late@example.org"}

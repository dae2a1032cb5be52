"""Two brokers: the first one dies, the second takes over, the first comes back, and no mail is stranded."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import redis

from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.valkey import Valkey, running_valkey
from tests import processes
from tests.journeys.people import Person
from tests.sink import Sink, wait_for

SOON = 60.0
"""Seconds within which a mail must be out, whatever happened to the brokers."""


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[tuple[Valkey, Valkey]]:
    with running_valkey(tmp_path / "first") as first, running_valkey(tmp_path / "second") as second:
        yield first, second


@pytest.fixture
def environment(environment: dict[str, str], brokers: tuple[Valkey, Valkey]) -> dict[str, str]:
    """Results and limits are kept elsewhere."""
    return {
        **environment,
        "BROKER_URL": ";".join(broker.url for broker in brokers),
        "RESULT_BACKEND_URL": environment["REDIS_URL"],
    }


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[processes.Running]:
    with processes.running("worker", ["mailroom", "worker"], environment, tmp_path) as process:
        process.wait_for(" ready.")
        yield process


def kill(broker: Valkey) -> None:
    broker.process.kill()
    broker.process.wait(5)


def waiting_in(broker: Valkey) -> int:
    with redis.Redis.from_url(broker.url) as client:
        depth = client.llen("transactional")
    assert isinstance(depth, int)
    return depth


def test_the_second_broker_takes_over_and_nothing_is_stranded_when_the_first_returns(
    environment: dict[str, str],
    brokers: tuple[Valkey, Valkey],
    worker: processes.Running,
    alice: Person,
    sink: Sink,
    tmp_path: Path,
) -> None:
    first, second = brokers
    arrives(sink, alice, "before@example.org")

    kill(first)
    took = [arrives(sink, alice, f"without-the-first-{number}@example.org") for number in range(2)]
    assert took[-1] < 10, "once it has noticed, the second broker is as good as the first"

    first.start().wait_ready()
    wait_for(lambda: "goes back to it" in worker.text, 30, "the worker is back at the first")
    took = [arrives(sink, alice, f"back-at-the-first-{number}@example.org") for number in range(2)]
    assert took[-1] < 3, "publishers are back at the first, too"
    wait_for(
        lambda: (waiting_in(first), waiting_in(second)) == (0, 0), 15, "nothing piles up where nobody listens"
    )
    with newcomer(environment, tmp_path) as bob:  # a process that begins with the first broker again
        for number in range(2):
            alice.sign_up(f"old-web-{number}@example.org")
            bob.sign_up(f"new-web-{number}@example.org")
        for email in (f"{which}-web-{number}@example.org" for which in ("old", "new") for number in range(2)):
            wait_for(partial(sink.to, email), SOON, email)

    kill(second)  # and the other way round
    arrives(sink, alice, "without-the-second@example.org")
    assert len({mail.message_id for mail in sink.accepted}) == len(sink.accepted), "a mail was sent twice"


def test_messages_left_in_a_broker_that_nobody_listens_to_are_sent_all_the_same(
    environment: dict[str, str],
    brokers: tuple[Valkey, Valkey],
    alice: Person,
    sink: Sink,
    tmp_path: Path,
) -> None:
    """The web process published to the first; it dies before a worker came, and its messages with it."""
    first, second = brokers
    emails = [f"left-behind-{number}@example.org" for number in range(3)]
    for email in emails:
        alice.sign_up(email)
    wait_for(lambda: waiting_in(first) == len(emails))
    kill(first)
    with processes.running("worker", ["mailroom", "worker"], environment, tmp_path) as late:
        late.wait_for(" ready.")
        for email in emails:
            wait_for(partial(sink.to, email), SOON, email)
        first.start().wait_ready()
        assert waiting_in(second) == 0
        arrives(sink, alice, "at-last@example.org")
    assert all(len(sink.to(email)) == 1 for email in emails), "a mail was sent twice"


def arrives(sink: Sink, person: Person, email: str) -> float:
    """Sign up, and wait for the mail; return the seconds it took."""
    began = time.monotonic()
    person.sign_up(email)
    wait_for(lambda: sink.to(email), SOON, f"the mail to {email}")
    return time.monotonic() - began


@contextmanager
def newcomer(environment: Mapping[str, str], folder: Path) -> Iterator[Person]:
    """Run a second web process; yield Bob, who uses it."""
    port = free_port()
    with (
        processes.web(environment, folder, port),
        Person("bob@example.org", f"http://localhost:{port}") as bob,
    ):
        yield bob

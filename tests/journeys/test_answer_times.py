"""Signing up answers as fast whatever ails the servers behind it; each time is held against one beside it."""

import signal
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from mailroom.ops.embedded.valkey import Valkey, running_valkey
from tests import processes
from tests.journeys.people import Person, text_of
from tests.sink import Sink, wait_for

ROUNDS = 8
AT_MOST, AND = 1.5, 0.1
"""A median counts as equal up to 1.5 times the other one plus a tenth of a second: the machine is shared."""

pytestmark = pytest.mark.xdist_group("times")


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey of the test's own, to be killed and frozen."""
    with running_valkey(tmp_path / "redis") as server:
        yield server


def seconds_of(sign_up: Callable[[str], object], email: str) -> float:
    began = time.perf_counter()
    sign_up(email)
    return time.perf_counter() - began


def as_fast(usual: list[float], troubled: list[float]) -> None:
    usual_median, troubled_median = statistics.median(usual), statistics.median(troubled)
    assert troubled_median <= AT_MOST * usual_median + AND, (usual, troubled)
    assert max(troubled) <= AT_MOST * max(usual) + 1, (usual, troubled)  # nobody meets a timeout either


def forget_limits(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter("mailroom:limit:*"):
            client.delete(key)


def test_with_a_mail_server_that_takes_ten_seconds(
    environment: dict[str, str], alice: Person, sink: Sink, tmp_path: Path
) -> None:
    """The same web, the same worker: mails to a slow server and to a fast one, in turn."""
    fast: list[float] = []
    slow: list[float] = []
    with processes.celery_worker(environment, tmp_path):
        seconds_of(alice.sign_up, "warm-up@example.org")
        for number in range(ROUNDS):
            forget_limits(environment["REDIS_URL"])
            sink.delay = 0
            fast.append(seconds_of(alice.sign_up, f"fast-{number}@example.org"))
            wait_for(partial(sink.to, f"fast-{number}@example.org"), 20)
            sink.delay = 10
            slow.append(seconds_of(alice.sign_up, f"slow-{number}@example.org"))
            wait_for(partial(sink.to, f"slow-{number}@example.org"), 20)  # its answer is what takes ten seconds
        as_fast(fast, slow)
        sink.delay = 0


def moments(told: dict[str, Any]) -> dict[str, datetime]:
    return {one["stage"]: datetime.fromisoformat(one["at"]) for one in told["timeline"]}


@pytest.mark.parametrize("form", ["sign-up", "new password"])
def test_over_the_limit_of_a_mailbox_nothing_is_told_and_nothing_is_faster(
    environment: dict[str, str], web: processes.Running, sink: Sink, tmp_path: Path, form: str
) -> None:
    """An address that had enough mails, and one that had none, in turn, each from a browser of its own."""
    sink.delay = 0.2
    answers: dict[str, list[float]] = {"fresh": [], "spent": []}
    accepted: dict[str, list[float]] = {"fresh": [], "spent": []}
    shapes = set()

    def ask(person: Person, email: str) -> str:
        if form == "sign-up":
            return person.sign_up(email)
        answer = person.post("/new-password", data={"email": email})
        assert answer.status_code == 303
        return str(answer.headers["Location"].rpartition("/")[2])

    with processes.celery_worker(environment, tmp_path):
        for number in range(-3, ROUNDS):
            for kind, email in (("fresh", f"fresh{number}@example.org"), ("spent", "spent@example.org")):
                forget_limits(environment["REDIS_URL"])
                with Person(email, environment["PUBLIC_URL"]) as person:
                    person.get("/sign-up")
                    began = time.perf_counter()
                    ticket = ask(person, email)
                    took = time.perf_counter() - began
                    told = person.watch(ticket)
                    page = (
                        text_of(person.get(f"/mails/{ticket}")).replace(email, "ADDRESS").replace(ticket, "TICKET")
                    )
                if number < 0:
                    continue  # these use up the limit
                answers[kind].append(took)
                at = moments(told[-1])
                accepted[kind].append((at["accepted"] - at["handing over"]).total_seconds())
                headlines = tuple(line for line in page.splitlines() if "<h1" in line or "<title" in line)
                keys = tuple(sorted(key for key in told[-1]))
                shapes.add((told[-1]["state"], tuple(at), keys, headlines))
    assert len(shapes) == 1
    assert len(sink.to("spent@example.org")) <= 3
    as_fast(answers["fresh"], answers["spent"])
    as_fast(answers["spent"], answers["fresh"])
    fresh, spent = statistics.median(accepted["fresh"]), statistics.median(accepted["spent"])
    assert abs(fresh - spent) < 0.1, accepted


def with_redis(
    environment: dict[str, str],
    broken: Valkey,
    folder: Path,
    trouble: Callable[[], None],
    mend: Callable[[], None],
) -> None:
    """Compare sign-ups before and during `trouble`; after `mend` every mail must go out."""
    environment["REDIS_URL"] = broken.url
    usual: list[float] = []
    with (
        Sink() as sink,
        processes.web(environment, folder, int(environment["PORT"])),
        Person("alice@example.org", environment["PUBLIC_URL"]) as alice,
    ):
        environment["SMTP_URL"] = sink.url
        seconds_of(alice.sign_up, "warm-up@example.org")
        for number in range(ROUNDS):
            forget_limits(broken.url)
            usual.append(seconds_of(alice.sign_up, f"usual-{number}@example.org"))
        forget_limits(broken.url)
        trouble()
        emails = [f"troubled-{number}@example.org" for number in range(ROUNDS)]
        troubled = [seconds_of(alice.sign_up, email) for email in emails]
        page = seconds_of(lambda _: alice.get(f"/mails/{alice.sign_up('page@example.org')}"), "")
        assert page < 3, "the page of the mail waits for Redis"
        mend()
        with processes.celery_worker(environment, folder):
            for email in (*emails, "page@example.org"):
                wait_for(partial(sink.to, email), 45, email)
    as_fast(usual, troubled)


def test_with_redis_stopped(environment: dict[str, str], broken: Valkey, tmp_path: Path) -> None:
    def kill() -> None:
        broken.process.kill()
        broken.process.wait(5)

    with_redis(environment, broken, tmp_path, kill, lambda: broken.start().wait_ready())


def test_with_redis_frozen(environment: dict[str, str], broken: Valkey, tmp_path: Path) -> None:
    def freeze() -> None:
        broken.process.send_signal(signal.SIGSTOP)

    def thaw() -> None:
        broken.process.send_signal(signal.SIGCONT)

    try:
        with_redis(environment, broken, tmp_path, freeze, thaw)
    finally:
        thaw()


def test_a_worker_that_was_there_all_along_sends_once_redis_is_back(
    environment: dict[str, str], broken: Valkey, sink: Sink, tmp_path: Path
) -> None:
    environment["REDIS_URL"] = broken.url
    with (
        processes.web(environment, tmp_path, int(environment["PORT"])),
        processes.celery_worker(environment, tmp_path),
        Person("alice@example.org", environment["PUBLIC_URL"]) as alice,
    ):
        alice.sign_up("before@example.org")
        wait_for(partial(sink.to, "before@example.org"), 20)
        broken.process.kill()
        broken.process.wait(5)
        alice.sign_up("killed@example.org")
        time.sleep(3)
        broken.start().wait_ready()
        wait_for(partial(sink.to, "killed@example.org"), 45)
        broken.process.send_signal(signal.SIGSTOP)
        try:
            alice.sign_up("frozen@example.org")
            time.sleep(3)
        finally:
            broken.process.send_signal(signal.SIGCONT)
        wait_for(partial(sink.to, "frozen@example.org"), 45)
        for email in ("before@example.org", "killed@example.org", "frozen@example.org"):
            assert len(sink.to(email)) == 1

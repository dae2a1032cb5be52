"""Real faults with mails in flight: what was promised is sent, and never twice unseen."""

import os
import signal
import time
from pathlib import Path

import psycopg
import redis

from tests import processes
from tests.journeys.people import Person
from tests.sink import Fault, Sink, wait_for

SIGN_UPS = 8


def sign_up_many(environment: dict[str, str]) -> list[str]:
    """Sign up several people, each in a browser of their own; return their addresses."""
    people = [f"person{number}@example.org" for number in range(SIGN_UPS)]
    for address in people:
        with Person(address, environment["PUBLIC_URL"]) as person:
            person.sign_up()
    return people


def rows(environment: dict[str, str], columns: str = "state") -> list[tuple[object, ...]]:
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        return connection.execute(f"select {columns} from mails").fetchall()


def all_sent(environment: dict[str, str]) -> bool:
    return {state for (state,) in rows(environment)} == {"sent"}


def lease_over(environment: dict[str, str]) -> None:
    """Let 30 seconds pass for the leases, without the wait."""
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        connection.execute("update mails set lease_until = now(), nudge_at = now() where state = 'sending'")


def test_a_queue_that_was_emptied_loses_no_mail(
    web: processes.Running, sink: Sink, environment: dict[str, str], tmp_path: Path
) -> None:
    people = sign_up_many(environment)
    with redis.Redis.from_url(environment["REDIS_URL"]) as server:
        wait_for(lambda: server.llen("transactional") == SIGN_UPS, 5)
        server.flushall()
    with processes.celery_worker(environment, tmp_path):
        wait_for(lambda: all_sent(environment), 20)
    assert sorted(mail.recipient for mail in sink.accepted) == sorted(people)


def test_a_worker_killed_before_the_handing_over_costs_no_mail_and_no_second_one(
    web: processes.Running, sink: Sink, environment: dict[str, str], tmp_path: Path
) -> None:
    sink.faults.append(Fault("rcpt", hang=True, times=4))
    with processes.celery_worker(environment, tmp_path) as doomed:
        people = sign_up_many(environment)
        wait_for(lambda: rows(environment).count(("sent",)) == SIGN_UPS - 4, 20)
        doomed.kill()
    lease_over(environment)
    with processes.celery_worker(environment, tmp_path):
        wait_for(lambda: all_sent(environment), 30)
    assert sorted(mail.recipient for mail in sink.accepted) == sorted(people)
    assert {crashes for (crashes,) in rows(environment, "crashes")} == {0, 1}


def test_a_worker_killed_after_the_dot_leaves_uncertain_mails_that_are_sent_again_and_marked(
    web: processes.Running, sink: Sink, environment: dict[str, str], tmp_path: Path
) -> None:
    sink.faults.append(Fault("dot", hang=True, keep=True, times=3))
    with processes.celery_worker(environment, tmp_path) as doomed:
        sign_up_many(environment)
        wait_for(lambda: len(sink.accepted) == SIGN_UPS, 20)
        time.sleep(0.5)
        doomed.kill()
    lease_over(environment)
    with processes.celery_worker(environment, tmp_path):
        wait_for(lambda: all_sent(environment), 30)
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        query = "select mail_id::text from attempts where outcome = 'uncertain'"
        uncertain = {mail_id for (mail_id,) in connection.execute(query)}
    ids = [mail.message_id for mail in sink.accepted]
    twice = {message_id for message_id in ids if ids.count(message_id) > 1}
    assert len(twice) == 3
    assert {message_id[1:].partition("@")[0] for message_id in twice} == uncertain


def test_a_terminated_worker_ends_its_mails_first(
    web: processes.Running, sink: Sink, environment: dict[str, str], tmp_path: Path
) -> None:
    sink.delay = 1.0
    with processes.celery_worker(environment, tmp_path) as worker:
        sign_up_many(environment)
        wait_for(lambda: sink.accepted, 20)
        assert worker.stop() < 25
    states = {state for (state,) in rows(environment)}
    assert states <= {"sent", "queued"}
    assert len(sink.accepted) == [state for (state,) in rows(environment)].count("sent")


def test_messages_are_not_answered_by_a_frozen_worker_for_ever(
    web: processes.Running, sink: Sink, environment: dict[str, str], tmp_path: Path
) -> None:
    with processes.celery_worker(environment, tmp_path) as frozen:
        os.kill(frozen.process.pid, signal.SIGSTOP)
        sign_up_many(environment)
        with processes.celery_worker(environment, tmp_path):
            wait_for(lambda: all_sent(environment), 30)
        os.kill(frozen.process.pid, signal.SIGCONT)
    assert len({mail.message_id for mail in sink.accepted}) == SIGN_UPS == len(sink.accepted)

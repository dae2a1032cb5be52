"""The whole journey through PgBouncer, in each of its modes that can work; for others, words that say why."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from mailroom.ops.doctor import database
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.terminal import Mark
from tests import processes
from tests.conftest import settings_of
from tests.journeys.conftest import key_for, link_in
from tests.journeys.people import PASSWORD, Person, text_of
from tests.servers.pgbouncer import pgbouncer
from tests.sink import Fault, Sink, wait_for

pytestmark = pytest.mark.servers

PEOPLE = [f"person-{number}@example.org" for number in range(4)]
LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 1 and granted"
NOT_PREPARED = "prepared statement"


def mailroom(told: dict[str, str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailroom", *words], env=told, cwd=folder, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def number(url: str, query: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


@contextmanager
def all_of_it(told: dict[str, str], folder: Path) -> Iterator[tuple[processes.Running, processes.Running]]:
    with (
        processes.running("web", ["mailroom", "web"], told, folder) as web,
        processes.running("worker", ["mailroom", "worker"], told, folder) as worker,
    ):
        processes.wait_until_healthy(web, int(told["PORT"]))
        worker.wait_for(" ready.")
        yield web, worker


def sign_up(person: Person) -> str:
    """Return the ticket; all come at once, and hashing passwords takes processors, so some have to come again."""
    form = {"email": person.email, "password": PASSWORD}
    while (answer := person.post("/sign-up", data=form)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        time.sleep(1)
    assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
    return answer.headers["Location"].rpartition("/")[2]


def journey(email: str, url: str, sink: Sink) -> None:
    """Sign up, watch the mail go, confirm."""
    with Person(email, url) as person:
        told = person.watch(sign_up(person))
        assert told[-1]["state"] == "sent"
        (mail,) = sink.to(email)
        assert person.post(link_in(mail.part("plain"))).status_code == 303
        assert email in text_of(person.get("/account"))
    with Person(email, url) as again:
        form = {"email": email, "password": PASSWORD}
        while (answer := again.post("/sign-in", data=form)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
            time.sleep(1)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/account"), answer.text


@pytest.mark.parametrize(("mode", "size"), [("session", 40), ("transaction", 3)])
def test_people_sign_up_and_confirm_at_once_and_a_killed_worker_is_noticed(
    environment: dict[str, str], database_url: str, tmp_path: Path, mode: str, size: int
) -> None:
    port = free_port()
    with Sink() as sink, pgbouncer(database_url, tmp_path, mode=mode, size=size, round_robin=True) as pooled:
        told = {
            **environment,
            "DATABASE_URL": pooled,
            "DATABASE_DIRECT_URL": database_url if mode == "transaction" else "",
            "SMTP_URL": sink.url,
            "PORT": str(port),
            "PUBLIC_URL": f"http://localhost:{port}",
        }
        assert mailroom(told, tmp_path, "migrate").returncode == 0
        assert number(database_url, LOCKS) == 0, "no lock of a migration stays with the pooler"
        with all_of_it(told, tmp_path) as (web, worker):
            with ThreadPoolExecutor(len(PEOPLE)) as threads:
                list(threads.map(lambda email: journey(email, told["PUBLIC_URL"], sink), PEOPLE))
            with Person("shop@example.org", told["PUBLIC_URL"]) as shop:
                shop.headers["Authorization"] = f"Bearer {key_for(told)}"
                mails = [
                    {"from": "hello@mailroom.example", "to": [to], "subject": "An offer", "text": "x"}
                    for to in PEOPLE
                ]
                answer = shop.post("/api/v1/emails/batch", json=mails)
                assert answer.status_code == 200, answer.text
            wait_for(lambda: all(len(sink.to(email)) == 2 for email in PEOPLE))
            assert number(database_url, LOCKS) == 1, "the one that shows the worker alive"
            sink.faults.append(Fault("mail", hang=True))
            with Person("carol@example.org", told["PUBLIC_URL"]) as carol:
                sign_up(carol)
            wait_for(lambda: not sink.faults or sink.commands[-1].startswith("MAIL"))
            worker.kill()
            wait_for(lambda: number(database_url, LOCKS) == 0, what="the killed worker's lock is gone")
            for process in (web, worker):
                assert "Traceback" not in process.text and NOT_PREPARED not in process.text, process.text[-3000:]


def test_nothing_starts_behind_a_pooler_that_breaks_sessions_and_each_command_says_what_to_set(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    with pgbouncer(database_url, tmp_path, mode="transaction") as pooled:
        ports = {"PORT": str(free_port()), "SUBMISSION_PORT": str(free_port())}
        told = {**environment, **ports, "DATABASE_URL": pooled}
        for command in ("migrate", "web", "worker", "submission"):
            done = mailroom(told, tmp_path, command)
            assert done.returncode == 2, done
            assert "Set DATABASE_DIRECT_URL to the address of PostgreSQL itself" in done.stderr
        wrong = mailroom({**told, "DATABASE_DIRECT_URL": pooled}, tmp_path, "web")
        assert (wrong.returncode, "Name PostgreSQL itself there" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("direct", "said", "mark"),
    [
        ("{database}", "what needs a session goes to 127.0.0.1", Mark.GOOD),
        ("{pooled}", "leads to a pooler that gives each transaction another connection", Mark.BROKEN),
        ("{server}/postgres", "is another database than DATABASE_URL's", Mark.BROKEN),
        ("postgresql://a@127.0.0.1:9/x", "DATABASE_DIRECT_URL: 127.0.0.1:9/x cannot be reached", Mark.BROKEN),
    ],
)
async def test_the_doctor_looks_where_the_direct_address_leads(
    environment: dict[str, str], database_url: str, tmp_path: Path, direct: str, said: str, mark: Mark
) -> None:
    with pgbouncer(database_url, tmp_path, mode="transaction") as pooled:
        url = direct.format(database=database_url, pooled=pooled, server=database_url.rpartition("/")[0])
        settings = settings_of(environment, database_url=pooled, database_direct_url=url)
        found = await database.check(settings)
    (pooler,) = [finding for finding in found if finding.check == "database pooler"]
    assert (pooler.mark, said in pooler.words) == (mark, True), pooler
    assert [finding for finding in found if finding.mark is not Mark.GOOD and finding is not pooler] == []

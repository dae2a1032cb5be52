"""A rolling upgrade: the last release's web and worker go on while the new tables, and then the new ones, come."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom.bootstrap.services import create_services
from mailroom.jobs.publisher import Publisher
from mailroom.kit.ids import new_id
from mailroom.ops.embedded.postgres import Postgres
from tests import processes
from tests.conftest import ROOT, database_on, migrate, settings_of
from tests.journeys.conftest import link_in
from tests.journeys.people import PASSWORD, Person
from tests.sink import Sink, wait_for

LAST_RELEASE = "c6f1e5b"
"""The commit of version 0.1.0."""


@pytest.fixture(scope="module")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the last release; the tests are skipped where the history is not there."""
    folder = tmp_path_factory.mktemp("last-release")
    archive = folder / "code.tar"
    made = subprocess.run(
        ["git", "archive", f"--output={archive}", LAST_RELEASE, "src", "alembic", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"the history does not hold {LAST_RELEASE}, the last release")
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return folder


@pytest.fixture
def environment(
    environment: dict[str, str], postgres: Postgres, last_release: Path, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """A database with the tables of the last release."""
    with database_on(postgres, f"upgrade_{new_id().hex[:12]}", template="template1") as url:
        told = {**environment, "DATABASE_URL": url}
        subprocess.run(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            env={**told, "PYTHONPATH": str(last_release / "src")},
            cwd=last_release,
            check=True,
            capture_output=True,
        )
        yield told


def put(environment: dict[str, str], count: int, name: str) -> list[str]:
    """Promise mails with the new code, as a new web process does."""

    async def run() -> list[str]:
        settings = settings_of(environment)
        publisher = Publisher(settings)
        services = create_services(settings, publisher.publish_mails, publisher.publish_task, name="test")
        addresses = [f"{name}-{number}@example.org" for number in range(count)]
        for address in addresses:
            async with services.database.begin() as work:
                await services.outbox.put(
                    work, "confirm_sign_up", address, {"sign_up": str(new_id()), "browser": "x"}
                )
        await asyncio.sleep(0.5)
        publisher.close()
        await services.database.close()
        return addresses

    return asyncio.run(run())


OLD_SIGN_UPS = """
import asyncio
from mailroom.bootstrap import services
from mailroom.jobs.queue import Queue
from mailroom.kit.errors import Unavailable
from mailroom.settings import load

async def main():
    settings = load()
    queue = Queue(settings)
    have = services(settings, queue, queue.begin, name="mailroom web")
    for number in range(10_000):
        email, session = f"visitor-{number}@example.org", have.sessions.new("a browser")
        password = "seven quiet herons by the lake"
        for _ in range(3):
            try:
                await have.accounts.sign_up(email=email, password=password, session=session)
                print(email, flush=True)
                break
            except Unavailable:  # a page says so, and keeps what was typed; nothing was saved: they send it again
                await asyncio.sleep(0.5)
        else:
            print("nobody came through", flush=True)
        await asyncio.sleep(0.1)

asyncio.run(main())
"""
"""What the last release's web does with a sign-up. Its pages need a package that is not installed any more."""


def test_people_sign_up_throughout_and_nobody_meets_an_error_or_misses_a_mail(
    environment: dict[str, str], last_release: Path, sink: Sink, tmp_path: Path
) -> None:
    old, port = {**environment, "PYTHONPATH": str(last_release / "src")}, int(environment["PORT"])
    (last_release / "src" / "old_sign_ups.py").write_text(OLD_SIGN_UPS)
    with (
        processes.running("old-web", ["old_sign_ups"], old, tmp_path) as old_web,
        processes.running("old-worker", ["mailroom", "worker", "--one"], old, tmp_path) as old_worker,
    ):

        def have_come(more: int) -> None:
            """Wait for so many more that have signed up with the last release."""
            assert old_web.process.poll() is None, old_web.text[-3000:]
            wanted = old_web.text.count("\n") + more
            wait_for(
                lambda: old_web.text.count("\n") >= wanted or old_web.process.poll() is not None, 60, "people"
            )
            assert old_web.process.poll() is None, old_web.text[-3000:]

        old_worker.wait_for(" ready.")
        have_come(4)
        migrate(environment["DATABASE_URL"])
        have_come(8)
        with (
            processes.running("web", ["mailroom", "web"], environment, tmp_path) as web,
            processes.running("worker", ["mailroom", "worker", "--one"], environment, tmp_path) as worker,
        ):
            processes.wait_until_healthy(web, port)
            worker.wait_for(" ready.")
            have_come(4)  # beside the new ones
            with Person("alice@example.org", environment["PUBLIC_URL"]) as alice:
                assert alice.watch(alice.sign_up())[-1]["state"] == "sent"
            old_web.kill()
            old_worker.stop()
            signed_up = {line for line in old_web.text.splitlines() if line.startswith("visitor-")}
            promised = {"alice@example.org", *signed_up}
            wait_for(lambda: {mail.recipient for mail in sink.accepted} >= promised, 60, "each has a mail")
            email = min(signed_up)
            with Person(email, environment["PUBLIC_URL"]) as visitor:  # a link of the old worker, in the new web
                answer = visitor.post(link_in(sink.to(email)[0].part("plain")), data={"password": PASSWORD})
                assert answer.status_code == 303, answer.text
    assert len(sink.accepted) == len({mail.recipient for mail in sink.accepted}), "a mail was sent twice"
    assert "nobody came through" not in old_web.text, "who meets a migration in the middle of a table sends again"
    for process in (old_web, old_worker, web, worker):
        assert "Traceback" not in process.text, process.text[-3000:]


def test_the_last_releases_worker_sends_over_the_new_tables_and_its_sweeps_go_on(
    environment: dict[str, str], last_release: Path, sink: Sink, tmp_path: Path
) -> None:
    old = {**environment, "PYTHONPATH": str(last_release / "src")}
    with processes.running("old-worker", ["mailroom", "worker", "--one"], old, tmp_path) as worker:
        worker.wait_for(" ready.")
        migrate(environment["DATABASE_URL"])
        began = time.monotonic()
        by_old = put(environment, 20, "by-the-old-one")
        wait_for(lambda: {mail.recipient for mail in sink.accepted} >= set(by_old), 40, "the old worker sends")
        while time.monotonic() - began < 6:  # some sweeps more
            time.sleep(0.2)
        assert "failed" not in worker.text and "Traceback" not in worker.text, worker.text[-3000:]
        with processes.running("new-worker", ["mailroom", "worker", "--one"], environment, tmp_path) as new:
            new.wait_for(" ready.")
            by_both = put(environment, 60, "by-both")
            worker.stop()
            after = put(environment, 20, "by-the-new-one")
            wanted = {*by_old, *by_both, *after}
            wait_for(lambda: {mail.recipient for mail in sink.accepted} >= wanted, 40, "all are sent")
            assert "Traceback" not in new.text
    assert len(sink.accepted) == len(wanted), "a mail was sent twice"

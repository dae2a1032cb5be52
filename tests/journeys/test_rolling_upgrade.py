"""A rolling upgrade: the last release's worker goes on while the new tables, and then the new worker, come."""

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

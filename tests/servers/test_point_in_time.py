"""Point-in-time recovery with Debian's PostgreSQL: a base backup, archived WAL, and workers that ask first."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from mailroom.ops.doctor import restore as restore_check
from mailroom.ops.terminal import Mark
from tests.conftest import migrate, settings_of
from tests.processes import Running, running
from tests.servers.postgresql import DebianPostgres, debian_postgres
from tests.sink import Sink, wait_for

pytestmark = pytest.mark.servers

REFUSED = "The database was restored from a backup."
MAILS = 20
PUT = """
insert into mails (id, kind, recipient, params, nonce, on_uncertain, nudge_at, expires_at)
select gen_random_uuid(), 'confirm_sign_up', number || '@example.org',
    '{"sign_up": "0", "browser": "Firefox on Linux"}', uuid_send(gen_random_uuid()), 'resend', now(),
    now() + interval '2 days'
from generate_series(1, 20) as number
"""
# As if the workers' last heartbeat had been some minutes ago, which this test does not wait for.
AGO = """
update database_identity set written_by = pg_current_xact_id()::text::bigint,
    heartbeat_at = heartbeat_at - interval '3 min'
"""


@pytest.fixture
def server() -> Iterator[DebianPostgres]:
    """A PostgreSQL that archives its WAL."""
    with debian_postgres() as server:
        archive = server.folder / "archive"
        archive.mkdir()
        shutil.chown(archive, server.user)
        server.make("wal_level = replica", "archive_mode = on", f"archive_command = 'cp %p {archive}/%f'")
        yield server


@contextmanager
def worker(environment: dict[str, str], folder: Path) -> Iterator[Running]:
    with running("worker", ["mailroom", "worker", "--processes", "1"], environment, folder) as process:
        process.wait_for(" ready.")
        yield process
        process.stop(60)


def number(url: str, query: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


def restored_from(moment: str, environment: dict[str, str], folder: Path) -> str:
    """Run `mailroom restored` as an operator does; return what it says."""
    command = [sys.executable, "-m", "mailroom", "restored", "--from", moment]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def go_back(server: DebianPostgres, to: str) -> None:
    """Put the base backup in the place of the data, and let it read the archive up to a moment."""
    shutil.rmtree(server.data)
    (server.folder / "base").rename(server.data)
    settings = (server.data / "postgresql.conf").read_text()
    recovery = f"restore_command = 'cp {server.folder}/archive/%f %p'\nrecovery_target_time = '{to}'\n"
    server.write(server.data / "postgresql.conf", f"{settings}{recovery}recovery_target_action = promote\n")
    server.write(server.data / "recovery.signal", "")


async def test_workers_wait_for_somebody_to_say_since_when(
    server: DebianPostgres, environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    with Sink() as sink:
        told = {**environment, "DATABASE_URL": server.url, "SMTP_URL": sink.url}
        with server.start():
            migrate(server.url)
            with worker(told, tmp_path):
                wait_for(lambda: number(server.url, "select count(*) from database_identity"))
            with psycopg.connect(server.url) as connection, redis.Redis.from_url(redis_url) as client:
                connection.execute(AGO)
                client.flushdb()
            place = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "mailroom"]
            server.run("pg_basebackup", "--checkpoint=fast", *place, "-D", server.folder / "base")
            with psycopg.connect(server.url) as connection:
                connection.execute(PUT)
                connection.commit()
                ((moment,),) = connection.execute("select clock_timestamp()::text").fetchall()
            with worker(told, tmp_path):
                wait_for(lambda: len(sink.accepted) == MAILS)
        go_back(server, moment)
        with server.start():
            wait_for(lambda: not number(server.url, "select pg_is_in_recovery()::int"), what="recovery has ended")
            assert number(server.url, "select count(*) from mails where state = 'queued'") == MAILS
            refused = Running("worker", ["mailroom", "worker", "--one"], told, tmp_path)
            assert (refused.process.wait(60), REFUSED in refused.text) == (2, True), refused.text
            (finding,) = await restore_check.check(settings_of(told))
            assert finding.mark is Mark.BROKEN
            assert len(sink.accepted) == MAILS, "nothing went out again"

            said = restored_from(moment, told, tmp_path)
            assert f"confirm_sign_up {MAILS}" in said
            with worker(told, tmp_path):
                wait_for(lambda: number(server.url, "select count(*) from mails where state = 'sent'") == MAILS)
            marked = "select count(*) from attempts where uncertain_at is not null and reason = 'restored'"
            assert number(server.url, marked) == MAILS
            assert len(sink.accepted) == 2 * MAILS

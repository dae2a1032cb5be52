"""A restored database: recognized, marked in one transaction, and nothing else taken for one."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from mailroom.kit.database import Database
from mailroom.mail.ledger.identity import DatabaseRestored, RestoreGuard
from mailroom.mail.ledger.restoration import WORKERS, WorkersRunning, adopt, mark_restored
from mailroom.ops.database_witness import RedisWitness
from mailroom.ops.doctor import restore as restore_check
from mailroom.ops.restored import refusal
from mailroom.ops.terminal import Mark
from mailroom.settings import Settings
from mailroom.settings.urls import database_url as sqlalchemy_url
from mailroom.settings.urls import libpq_url
from tests.conftest import Postgres, database_on
from tests.dumps import dump, restore
from tests.integration.mail.delivery.test_deliverer import Post, make, post, sink, templates
from tests.sink import Sink

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names

pytestmark = pytest.mark.spoils_its_database


def guard(database: Database, settings: Settings | None = None) -> RestoreGuard:
    """Return the guard of another worker process."""
    return RestoreGuard(database, RedisWitness(settings) if settings else None, end_worker=lambda: None)


async def restored(database: Database, settings: Settings | None = None) -> bool:
    try:
        await guard(database, settings).check()
    except DatabaseRestored:
        return True
    return False


@pytest.fixture
async def backup(post: Post, settings: Settings, tmp_path: Path) -> Path:
    """A dump with mails in flight, which have been sent since: some wait, one is under way, one put off."""
    assert not await restored(post.database, settings)
    ids = [await post.promise(f"{name}@example.org") for name in ("queued", "sending", "retrying", "later")]
    held = await post.promise("held@example.org", kind="held")
    await post.sql(
        "update mails set state = 'sending', stage = 'handing over', attempt = 1, worker = 'gone',"
        "claimed_at = now(), handing_over_at = now(), lease_until = now() + interval '1 h',"
        "nudge_at = now() + interval '1 h' where id = :id",
        id=ids[1],
    )
    await post.sql(
        "update mails set state = 'retrying', attempt = 1, reason = 'deferred' where id = :id", id=ids[2]
    )
    await post.sql(
        "insert into attempts (mail_id, attempt, worker, outcome, reason, ended_at)"
        "values (:id, 1, 'w', 'retrying', 'deferred', now())",
        id=ids[2],
    )
    file = tmp_path / "mailroom.dump"
    dump(settings.database_url.replace("+psycopg", ""), file)
    await post.sql("update mails set state = 'queued', stage = null, attempt = 0 where id = :id", id=ids[1])
    for mail_id in (*ids, held):
        await post.delivery.deliver(mail_id)
    return file


async def put_back(post: Post, settings: Settings, file: Path) -> None:
    await post.database.close()
    restore(settings.database_url.replace("+psycopg", ""), file)


async def test_what_went_out_since_the_backup_is_marked_by_its_kind_and_sent_again_marked(
    post: Post, settings: Settings, backup: Path, sink: Sink
) -> None:
    began = datetime.now(UTC)
    await put_back(post, settings, backup)
    assert await restored(post.database, settings)
    assert refusal(settings.database_url, RedisWitness(settings))
    (finding,) = await restore_check.check(settings)
    assert finding.mark is Mark.BROKEN and "mailroom restored --from" in finding.advice
    marked = await mark_restored(post.database, began)
    assert await restore_check.check(settings) == []
    assert (dict(marked.resent), dict(marked.held)) == ({"note": 4}, {"held": 1})
    assert not await restored(post.database, settings)
    assert refusal(settings.database_url, RedisWitness(settings)) is None

    async with post.database.begin() as work:
        rows = (await work.session.execute(text("select id, recipient, state, reason, attempt from mails"))).all()
    for row in rows:
        assert (row.state, row.reason) == ("uncertain", "restored")
        shown = [attempt.outcome for attempt in await post.attempts(row.id)]
        assert len(shown) == row.attempt and shown[-1] == "uncertain"
        await post.delivery.deliver(row.id)
    again = {(await post.row(row.id)).state for row in rows if not row.recipient.startswith("held")}
    assert again == {"sent"}
    copies = {row.recipient: len(sink.to(row.recipient)) for row in rows}
    assert copies == {row.recipient: 1 if row.recipient.startswith("held") else 2 for row in rows}


async def test_mails_put_after_the_restore_are_none_of_it(post: Post, settings: Settings, backup: Path) -> None:
    until = datetime.now(UTC) - timedelta(seconds=30)
    await put_back(post, settings, backup)
    mail_id = await post.promise("new@example.org")
    await post.sql("update database_identity set heartbeat_at = now() - interval '1 min'")
    await post.sql("update mails set created_at = now() - interval '2 min' where id <> :id", id=mail_id)
    await mark_restored(post.database, until)
    assert (await post.row(mail_id)).state == "queued"


async def test_a_time_earlier_than_the_backup_marks_its_newest_mails_all_the_same(
    post: Post, settings: Settings, backup: Path
) -> None:
    """The last heartbeat in it tells how new it is."""
    await put_back(post, settings, backup)
    await post.sql("update mails set created_at = (select heartbeat_at from database_identity)")
    marked = await mark_restored(post.database, datetime.now(UTC) - timedelta(days=1))
    assert marked.resent.total() + marked.held.total() == 5


async def test_run_twice_it_marks_once(post: Post, settings: Settings, backup: Path) -> None:
    await put_back(post, settings, backup)
    await mark_restored(post.database, datetime.now(UTC))
    marked = await mark_restored(post.database, datetime.now(UTC))
    assert marked.resent.total() + marked.held.total() == 0


async def test_no_claim_and_no_sweep_before_it_ran(post: Post, settings: Settings, backup: Path) -> None:
    await put_back(post, settings, backup)
    mails = [row for row in await all_mails(post) if row[1] == "queued"]
    ended: list[bool] = []
    watching = RestoreGuard(post.database, end_worker=lambda: ended.append(True))
    post.delivery._ledger._guard = post.overdue._guard = watching
    for ask in (
        lambda: post.delivery.deliver(mails[0][0]),
        lambda: post.delivery._ledger.claim_waiting(10),
        lambda: post.delivery._ledger.claim_bulk(10),
        lambda: post.overdue.sweep(queue_empty=True),
    ):
        with pytest.raises(DatabaseRestored):
            await ask()
    assert ended == [True], "the worker is told to end once"


async def all_mails(post: Post) -> list[tuple[object, ...]]:
    async with post.database.begin() as work:
        return [tuple(row) for row in await work.session.execute(text("select id, state from mails order by id"))]


async def until_no_worker(post: Post) -> None:
    while True:
        async with post.database.begin() as work:
            if not await work.session.scalar(text(WORKERS)):
                return
        await asyncio.sleep(0.01)


async def test_it_waits_for_workers_to_be_stopped(post: Post, settings: Settings, backup: Path) -> None:
    await put_back(post, settings, backup)
    worker = Database(settings.database_url, connections=2, name="mailroom worker")
    async with worker.connection() as connection:
        await connection.execute("select 1")
        for run in (mark_restored(post.database, datetime.now(UTC)), adopt(post.database)):
            with pytest.raises(WorkersRunning):
                await run
    await worker.close()
    await until_no_worker(post)  # PostgreSQL forgets a closed connection a moment later
    await adopt(post.database)
    assert not await restored(post.database)
    assert {state for _, state in await all_mails(post)} == {"queued", "sending", "retrying"}


# -- what is no restore


@pytest.mark.parametrize("what", ["vacuum full database_identity", "vacuum (freeze) database_identity",
                                  "vacuum full", "reindex table mails", "analyze"])  # fmt: skip
async def test_upkeep_is_no_restore(post: Post, settings: Settings, what: str) -> None:
    assert not await restored(post.database, settings)
    await post.promise()
    async with post.database.connection() as connection:
        await connection.commit()
        await connection.set_autocommit(True)
        await connection.execute(what.encode())
        await connection.set_autocommit(False)
    assert not await restored(post.database, settings)


async def test_a_restore_without_mails_in_flight_is_nothing_to_be_told_of(
    post: Post, settings: Settings, tmp_path: Path
) -> None:
    assert not await restored(post.database, settings)
    await post.delivery.deliver(await post.promise())
    dump(settings.database_url.replace("+psycopg", ""), tmp_path / "a.dump")
    await put_back(post, settings, tmp_path / "a.dump")
    assert not await restored(post.database, settings)
    await post.promise()
    assert not await restored(post.database, settings)


async def test_a_copy_of_the_database_for_trying_things_out_sends_nothing(
    post: Post, settings: Settings, postgres: Postgres
) -> None:
    assert not await restored(post.database)
    await post.promise()
    await post.database.close()
    name = settings.database_url.rpartition("/")[2].partition("?")[0]
    with database_on(postgres, "staging", template=name) as url:
        copy = Database(sqlalchemy_url(url), connections=2, name="test")
        assert await restored(copy)
        await copy.close()
    assert not await restored(post.database)


@pytest.mark.parametrize(("behind", "is_restored"), [("10 s", False), ("90 s", False), ("5 min", True)])
async def test_a_database_behind_the_heartbeat_is_older_and_one_that_took_over_is_not(
    post: Post, settings: Settings, behind: str, is_restored: bool
) -> None:
    """As after point-in-time recovery, and as after a failover to a standby with some lag."""
    assert not await restored(post.database, settings)
    await post.promise()
    await post.sql(
        "update database_identity set written_by = pg_current_xact_id()::text::bigint,"
        f"heartbeat_at = heartbeat_at - interval '{behind}'"
    )
    assert bool(await restore_check.check(settings)) is is_restored
    assert await restored(post.database, settings) is is_restored
    assert not await restored(post.database), "without Redis nobody can know"


async def test_workers_that_start_together_after_a_night_without_any_take_each_other_for_no_sign(
    post: Post, settings: Settings
) -> None:
    """Another one's heartbeat comes between the look at the database and the one at Redis."""

    class Between(RedisWitness):
        def read(self, name: str) -> datetime | None:
            with psycopg.connect(libpq_url(settings.database_url)) as connection:
                connection.execute(
                    "update database_identity set written_by = pg_current_xact_id()::text::bigint,"
                    "heartbeat_at = clock_timestamp()"
                )
            self.write(name, datetime.now(UTC))
            return super().read(name)

    for look in ("guard", "start"):
        assert not await restored(post.database, settings)
        await post.promise()
        await post.sql(
            "update database_identity set written_by = pg_current_xact_id()::text::bigint,"
            "heartbeat_at = now() - interval '8 h'"
        )
        if look == "guard":
            await RestoreGuard(post.database, Between(settings), end_worker=pytest.fail).check()
        else:
            assert refusal(settings.database_url, Between(settings)) is None


async def test_the_first_worker_after_an_upgrade_takes_the_database_as_it_is(
    post: Post, settings: Settings
) -> None:
    await post.promise()
    await post.sql("delete from database_identity")
    assert refusal(settings.database_url, RedisWitness(settings)) is None
    assert not await restored(post.database, settings)

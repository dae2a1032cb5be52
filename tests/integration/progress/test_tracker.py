"""The poller, with results in a real Valkey and rows in a real PostgreSQL."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
import redis
from celery import Celery
from sqlalchemy import text

from mailroom.jobs.app import create_celery
from mailroom.jobs.mail_tasks import MailReports
from mailroom.jobs.results import ResultReader, ResultWriter
from mailroom.kit.database import Database
from mailroom.kit.errors import Unavailable
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import Kinds, MailKind
from mailroom.mail.ledger.claims import AttemptEnding, Ledger
from mailroom.mail.outbox import Outbox
from mailroom.mail.retry_policy import Decision, DeliveryResult
from mailroom.mail.states import Reason, State
from mailroom.mail.views import MailRows, snapshot
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import running_valkey
from mailroom.progress import poller
from mailroom.progress.poller import AT_ONCE
from mailroom.progress.reporter import Report
from mailroom.progress.snapshot import NO_NEWS, Snapshot
from mailroom.progress.sources import KnownSnapshot
from mailroom.progress.subscription import Subscription
from mailroom.progress.tracker import Tracker
from mailroom.settings import Settings
from mailroom.tasks.tickets import Tickets
from tests.conftest import END_CLIENTS


class Office:
    """A web process's poller, and a worker's pen."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings.database_url, connections=4, name="test")
        self.results = ResultReader(settings)
        self.asked = 0
        rows = MailRows(self.database).newer_than

        async def counted(known: list[KnownSnapshot]) -> dict[str, Snapshot]:
            self.asked += 1
            return await rows(known)

        self.tracker = Tracker(self.results, counted)  # type: ignore[arg-type]
        self.app: Celery = create_celery(settings, worker=True)
        self.writer = ResultWriter(self.app)
        self.outbox = Outbox(Kinds([MailKind("note", "A note")]), Tickets(), lambda _ids: None)
        self.tracker.start()

    async def promise(self) -> UUID:
        async with self.database.begin() as work:
            return await self.outbox.put(work, "note", "alice@example.org")

    def say(self, shown: Snapshot) -> None:
        """Store what a worker would have stored."""
        said: list[Report] = []
        MailReports(said.append).show(shown)
        self.writer(
            [replace(report, result=report.result()) if callable(report.result) else report for report in said]
        )

    async def sql(self, statement: str, **values: object) -> None:
        async with self.database.begin() as work:
            await work.session.execute(text(statement), values)

    async def close(self) -> None:
        await self.tracker.stop()
        await self.results.close()
        await self.database.close()
        self.app.backend.client.connection_pool.disconnect()  # Celery leaves these open
        self.app.close()


@pytest.fixture
async def office(settings: Settings) -> AsyncIterator[Office]:
    office = Office(settings)
    yield office
    await office.close()


class Watcher:
    """Collects what a subscription is told."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.told: list[Snapshot] = []
        self.task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        async for shown in self.subscription:
            self.told.append(shown)

    async def until(self, state: str, stage: str | None = None, seconds: float = 6) -> Snapshot:
        async with asyncio.timeout(seconds):
            while not (self.told and self.told[-1].state == state and self.told[-1].stage == stage):
                await asyncio.sleep(0.02)
        return self.told[-1]

    async def close(self) -> None:
        self.subscription.close()
        await self.task


async def watch(office: Office, *ids: UUID) -> Watcher:
    watcher = Watcher(office.tracker.subscribe())
    await watcher.subscription.watch(ids)
    return watcher


SENT = "update mails set state = 'sent', stage = 'accepted', attempt = 1, step = 4, ended_at = now()"


async def test_a_watcher_gets_a_snapshot_then_changes_then_the_end(office: Office) -> None:
    mail_id = await office.promise()
    watcher = await watch(office, mail_id)
    await watcher.until("queued")
    office.say(snapshot(mail_id, "sending", stage="claimed", attempt=1, step=1))
    await watcher.until("sending", "claimed")
    office.say(snapshot(mail_id, "sending", stage="connected", attempt=1, step=2))
    await watcher.until("sending", "connected")
    await office.sql(SENT)
    office.say(snapshot(mail_id, "sent", stage="accepted", attempt=1, step=4))
    end = await watcher.until("sent", "accepted", seconds=1)
    assert end.final
    await watcher.close()


async def test_the_end_is_shown_only_when_the_row_knows_it(office: Office) -> None:
    mail_id = await office.promise()
    watcher = await watch(office, mail_id)
    office.say(snapshot(mail_id, "sent", stage="accepted", attempt=1, step=4))
    await asyncio.sleep(0.5)
    assert watcher.told[-1].state == "queued"
    await watcher.close()


@contextmanager
def rows_away(server: Postgres, database_url: str) -> Iterator[None]:
    """PostgreSQL ends every connection to the test's database and takes no new one."""
    name = database_url.rpartition("/")[2]
    with psycopg.connect(server.url, dbname="postgres", autocommit=True) as connection:
        try:
            connection.execute(f"alter database {name} allow_connections false")
            connection.execute(END_CLIENTS, [name])
            yield
        finally:
            connection.execute(f"alter database {name} allow_connections true")


async def test_while_the_rows_are_away_the_end_is_what_celery_says_until_they_can_be_read_again(
    office: Office, postgres: Postgres, database_url: str
) -> None:
    sent, ended, again = [await office.promise() for _ in range(3)]
    watchers = [await watch(office, mail_id) for mail_id in (sent, ended, again)]
    await office.sql(SENT + " where id = :id", id=sent)
    await office.sql("update mails set state = 'expired', attempt = 1, step = 4 where id = :id", id=ended)
    await office.sql("update mails set state = 'queued', attempt = 1, step = 5 where id = :id", id=again)
    with rows_away(postgres, database_url):
        office.say(snapshot(sent, "sent", stage="accepted", attempt=1, step=4))
        office.say(snapshot(ended, "expired", attempt=1, step=4, reason="expired"))
        assert (await watchers[0].until("sent", "accepted")).final
        assert (await watchers[1].until("failed")).final
        office.say(snapshot(again, "failed", attempt=1, step=4, reason="refused"))  # now that it is known
        assert (await watchers[2].until("failed", seconds=1)).final
    assert (await watchers[1].until("expired")).final
    assert not (await watchers[2].until("queued")).final
    assert watchers[0].told[-1].state == "sent"
    for watcher in watchers:
        await watcher.close()


async def test_a_watcher_who_comes_while_nothing_can_be_read_is_told_no_news_then_where_it_is(
    settings: Settings, postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    with running_valkey(tmp_path / "own", port=port) as server:
        office = Office(settings.model_copy(update={"redis_url": server.url}))
        sent, told_of = await office.promise(), await office.promise()
        await office.sql(SENT + " where id = :id", id=sent)
    with rows_away(postgres, database_url):
        watcher, other = await watch(office, sent), await watch(office, told_of)
        await watcher.until(NO_NEWS)
        await other.until(NO_NEWS)
        with pytest.raises(Unavailable):
            await office.tracker.snapshot(sent)
        with running_valkey(tmp_path / "own", port=port):
            office.say(snapshot(told_of, "sending", stage="claimed", attempt=1, step=1))
            await other.until("sending", "claimed")
            with pytest.raises(Unavailable):
                await office.tracker.snapshot(sent)
    await watcher.until("sent", "accepted")
    assert [shown.state for shown in watcher.told] == [NO_NEWS, "sent"]
    await watcher.close()
    await other.close()
    await office.close()


async def test_a_task_without_a_row_waits_where_the_rows_can_be_read(office: Office) -> None:
    ticket = new_id()
    assert await office.tracker.snapshot(ticket) is None
    watcher = await watch(office, ticket)
    await watcher.until("queued")
    await watcher.close()


async def test_a_stale_report_never_goes_back_behind_the_row(office: Office) -> None:
    mail_id = await office.promise()
    await office.sql("update mails set state = 'retrying', attempt = 2, step = 4, next_attempt_at = now()")
    watcher = await watch(office, mail_id)
    await watcher.until("retrying")
    office.say(snapshot(mail_id, "sending", stage="handing over", attempt=1, step=3))
    await asyncio.sleep(0.5)
    assert {shown.state for shown in watcher.told} == {"retrying"}
    office.say(snapshot(mail_id, "sending", stage="claimed", attempt=3, step=1))
    await watcher.until("sending", "claimed")
    await watcher.close()


async def test_a_flushed_redis_is_made_up_for_by_the_row(office: Office) -> None:
    mail_id = await office.promise()
    office.say(snapshot(mail_id, "sending", stage="claimed", attempt=1, step=1))
    watcher = await watch(office, mail_id)
    await watcher.until("sending", "claimed")
    office.app.backend.client.flushall()
    await office.sql(SENT)
    await watcher.until("sent", "accepted", seconds=5)
    await watcher.close()


async def test_an_end_before_the_handing_over_is_shown_to_those_who_saw_it_connected(office: Office) -> None:
    mail_id = await office.promise()
    watcher = await watch(office, mail_id)
    ledger = Ledger(office.database, "test:1")
    await ledger.claim([mail_id])
    office.say(snapshot(mail_id, "sending", stage="connected", attempt=1, step=2))
    await watcher.until("sending", "connected")
    refused = AttemptEnding(
        mail_id, 1, Decision(State.FAILED, Reason.REFUSED), DeliveryResult(Reason.REFUSED, 550)
    )
    await ledger.record([refused])
    assert (await watcher.until("failed", seconds=5)).final
    await watcher.close()


async def readings(office: Office, seconds: float = 1.0) -> int:
    """How often Redis is asked for results in so many seconds."""

    def so_far() -> int:
        calls: int = office.app.backend.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
        return calls

    before = so_far()
    await asyncio.sleep(seconds)
    return so_far() - before


async def test_many_watchers_of_one_task_cost_no_more_than_one_and_that_is_next_to_nothing(office: Office) -> None:
    mail_id = await office.promise()
    watchers = [await watch(office, mail_id) for _ in range(50)]
    await asyncio.sleep(0.5)  # it listens by now
    assert await readings(office, 2.0) <= 2
    assert office.tracker.watched == 1
    for watcher in watchers:
        await watcher.close()
    assert office.tracker.watched == 0


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # Celery's
async def test_what_celery_itself_stores_is_told_at_once_without_reading_everything(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "SWEEP_EVERY", 60)
    tasks = [new_id() for _ in range(20)]
    watcher = await watch(office, *tasks)
    await asyncio.sleep(0.5)
    for current in (1, 2, 3):  # each is told of again once it was read
        for task in tasks:
            office.app.backend.store_result(str(task), {"current": current, "step": current}, "PROGRESS")
        async with asyncio.timeout(2):
            while [told.current for told in watcher.told[-len(tasks) :]] != [current] * len(tasks):
                await asyncio.sleep(0.02)
    assert await readings(office) == 0
    await watcher.close()


async def test_a_redis_that_may_not_tell_what_changed_is_asked_more_often(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    url = urlsplit(settings.redis_url)
    with redis.Redis.from_url(settings.redis_url) as server:
        server.execute_command(*["ACL", "SETUSER", "poor", "on", ">poor", "~*", "&*", "+@all", "-client|tracking"])
        poor = url._replace(netloc=f"poor:poor@{url.hostname}:{url.port}").geturl()
        office = Office(settings.model_copy(update={"redis_url": poor}))
        mail_id = await office.promise()
        watcher = await watch(office, mail_id)
        office.say(snapshot(mail_id, "sending", stage="claimed", attempt=1, step=1))
        await watcher.until("sending", "claimed", seconds=1.5)
        assert "does not tell what changed" in caplog.text
        await watcher.close()
        await office.close()
        server.acl_deluser("poor")


async def test_a_line_that_is_cut_is_made_anew_and_what_was_missed_is_read(office: Office) -> None:
    mail_id = await office.promise()
    watcher = await watch(office, mail_id)
    await asyncio.sleep(0.5)
    assert office.app.backend.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
    office.say(snapshot(mail_id, "sending", stage="claimed", attempt=1, step=1))
    await watcher.until("sending", "claimed")
    office.app.backend.client.flushall()  # and with it what the server knew of readings
    office.say(snapshot(mail_id, "sending", stage="connected", attempt=1, step=2))
    await watcher.until("sending", "connected")
    async with asyncio.timeout(10):
        while await readings(office) > 1:
            pass
    await watcher.close()


async def test_a_slow_watcher_gets_the_newest_state_only(office: Office) -> None:
    mail_id = await office.promise()
    subscription = office.tracker.subscribe()
    await subscription.watch([mail_id])
    for step, stage in enumerate(("claimed", "connected", "handing over"), 1):
        office.say(snapshot(mail_id, "sending", stage=stage, attempt=1, step=step))
        await asyncio.sleep(0.25)
    watcher = Watcher(subscription)
    await watcher.until("sending", "handing over")
    assert len(watcher.told) == 1
    await watcher.close()


async def test_those_who_still_watch_hear_what_came_of_it(office: Office) -> None:
    mail_id = await office.promise()
    await office.sql(SENT)
    watcher = await watch(office, mail_id)
    await watcher.until("sent", "accepted")
    await office.sql("update tasks set afterword = 'confirmed'")
    async with asyncio.timeout(5):
        while watcher.told[-1].follow_up != "confirmed":
            await asyncio.sleep(0.05)
    await watcher.close()


async def test_nothing_is_asked_while_nobody_watches(office: Office) -> None:
    await asyncio.sleep(0.3)
    assert office.asked == 0


@pytest.mark.parametrize("how", ["frozen", "dead"])
async def test_a_redis_that_is_away_is_made_up_for_by_the_rows(
    how: str, settings: Settings, tmp_path: Path
) -> None:
    with running_valkey(tmp_path / "own") as server:
        office = Office(settings.model_copy(update={"redis_url": server.url}))
        mail_id = await office.promise()
        watcher = await watch(office, mail_id)
        await watcher.until("queued")
        os.kill(server.process.pid, signal.SIGSTOP if how == "frozen" else signal.SIGKILL)
        try:
            await office.sql(SENT)
            await watcher.until("sent", "accepted", seconds=6)
        finally:
            with suppress(ProcessLookupError):
                os.kill(server.process.pid, signal.SIGCONT)
        await watcher.close()
        await office.close()


async def test_a_redis_that_comes_back_is_read_again(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    with running_valkey(tmp_path / "own", port=port) as server:
        office = Office(settings.model_copy(update={"redis_url": server.url}))
        mail_id = await office.promise()
        watcher = await watch(office, mail_id)
        await watcher.until("queued")
    with running_valkey(tmp_path / "own", port=port):
        office.say(snapshot(mail_id, "sending", stage="claimed", attempt=1, step=1))
        await watcher.until("sending", "claimed")
        await watcher.close()
        await office.close()


async def test_what_fell_between_two_polls_is_filled_in_from_the_rows(office: Office) -> None:
    mail_id = await office.promise()
    watcher = await watch(office, mail_id)
    ledger = Ledger(office.database, "test:1")
    office.say(snapshot(mail_id, "sending", stage="claimed", attempt=1, step=1))
    await watcher.until("sending", "claimed")
    await ledger.claim([mail_id])
    await ledger.record(
        [
            AttemptEnding(
                mail_id, 1, Decision(State.RETRYING, Reason.DEFERRED, 0.0), DeliveryResult(Reason.DEFERRED, 451)
            )
        ]
    )
    await office.sql("update mails set next_attempt_at = now()")
    await ledger.claim([mail_id])
    office.say(snapshot(mail_id, "sending", stage="connected", attempt=2, step=2))  # nobody reported the rest
    async with asyncio.timeout(5):
        while not any(moment["stage"] == "retrying" for moment in watcher.told[-1].timeline):
            await asyncio.sleep(0.02)
    shown = watcher.told[-1]
    assert (shown.state, shown.stage, shown.attempt) == ("sending", "connected", 2)
    await watcher.close()


async def test_the_loop_gets_its_turns_while_very_many_are_told(office: Office) -> None:
    happened: list[str] = []

    class Noted(Subscription):
        def push(self, snapshot: Snapshot) -> None:
            happened.append(str(snapshot.stage))

    mail_id = await office.promise()
    subscriptions = [Noted(office.tracker) for _ in range(1_000)]
    for subscription in subscriptions:
        await subscription.watch([mail_id])
    happened.clear()

    async def take_turns() -> None:
        while True:
            happened.append("turn")
            await asyncio.sleep(0)

    turns = asyncio.create_task(take_turns())
    office.say(snapshot(mail_id, "sending", stage="claimed", attempt=1, step=1))
    async with asyncio.timeout(10):
        while happened.count("claimed") < 1_000:
            await asyncio.sleep(0.01)
    turns.cancel()
    groups = "".join("." if what == "turn" else "x" for what in happened).strip(".").split(".")
    assert max(map(len, groups)) <= AT_ONCE
    for subscription in subscriptions:
        subscription.close()


async def test_the_loop_gets_its_turns_while_very_many_results_are_decoded(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    decode = office.results.decode

    def noted(raw: bytes) -> Mapping[str, object]:
        happened.append("decoded")
        return decode(raw)

    async def take_turns() -> None:
        while True:
            happened.append("turn")
            await asyncio.sleep(0)

    monkeypatch.setattr(office.results, "decode", noted)
    tasks = [new_id() for _ in range(500)]
    subscription = office.tracker.subscribe()
    await subscription.watch(tasks)
    turns = asyncio.create_task(take_turns())
    office.writer([Report(str(task), "running", {"step": 1, "attempt": 1}) for task in tasks])
    async with asyncio.timeout(10):
        while happened.count("decoded") < len(tasks):
            await asyncio.sleep(0.01)
    turns.cancel()
    groups = "".join("." if what == "turn" else "x" for what in happened).strip(".").split(".")
    assert max(map(len, groups)) <= AT_ONCE
    subscription.close()


async def test_many_that_begin_to_watch_together_share_the_questions(office: Office) -> None:
    ids = [await office.promise() for _ in range(40)]
    watchers = await asyncio.gather(*(watch(office, mail_id) for mail_id in ids))
    assert office.asked <= 4
    for watcher in watchers:
        await watcher.until("queued")
        await watcher.close()

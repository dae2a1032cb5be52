"""Background tasks and their rows, with a real PostgreSQL, a real Valkey and, where it matters, a real worker."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from mailroom.i18n.sentences import message_of
from mailroom.jobs.app import create_celery
from mailroom.jobs.publisher import Publisher
from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.kit.ids import new_id
from mailroom.mail.ledger.pauses import pause, resume
from mailroom.mail.views import task_snapshots
from mailroom.progress.snapshot import Snapshot
from mailroom.settings import Settings
from mailroom.statistics.counters import Counters
from mailroom.tasks.pauses import release_tasks
from mailroom.tasks.queries import BEGIN_ALONE
from mailroom.tasks.runs import LEASE, Run, TaskRuns
from mailroom.tasks.service import CannotCancel, CannotRetry, TaskService, UnknownTask
from mailroom.tasks.states import LOST, Outcome, TaskState
from tests.conftest import ROOT
from tests.processes import celery_worker

TASKS = "tests.integration.worker_tasks"


class Desk:
    """Where tasks are begun, and their rows read."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings.database_url, connections=4, name="test")
        self.counters = Counters()
        self.runs = TaskRuns(self.database, self.counters)
        self.published: list[tuple[str, UUID, list[Any]]] = []
        self.task_service = TaskService(self._note, self.counters)

    def _note(self, name: str, task_id: UUID, arguments: Sequence[Any]) -> None:
        self.published.append((name, task_id, list(arguments)))

    async def start(self, name: str = "count", *arguments: Any) -> UUID:
        async with self.database.begin() as work:
            return await self.task_service.start(work, name, *arguments, title="A count")

    async def whole(self, kind: str, *parts: tuple[str, Sequence[Any]]) -> UUID:
        async with self.database.begin() as work:
            begin = getattr(self.task_service, f"start_{kind}")
            return await begin(work, parts, title="Several")

    async def begin(self, task: UUID, *, cancellable: bool = False, again: bool = False) -> Run:
        begun = await self.runs.begin(task, cancellable=cancellable, again=again)
        assert isinstance(begun, Run), begun
        return begun

    async def cancel(self, task: UUID) -> None:
        async with self.database.begin() as work:
            await self.task_service.cancel(work, task)

    async def retry(self, task: UUID) -> None:
        async with self.database.begin() as work:
            await self.task_service.retry(work, task)

    async def resume(self) -> None:
        async with self.database.begin() as work:
            assert await resume(work, "tasks", "")
        await release_tasks(self.database, batch=2)

    async def shown(self, task: UUID) -> Snapshot:
        async with self.database.begin() as work:
            return (await task_snapshots(work, [task]))[task]

    async def until(self, task: UUID, state: str, seconds: float = 20) -> Snapshot:
        async with asyncio.timeout(seconds):
            while (shown := await self.shown(task)).state != state:
                await asyncio.sleep(0.05)
        return shown

    async def sql(self, statement: str, **values: object) -> list[Any]:
        async with self.database.begin() as work:
            result = await work.session.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []  # type: ignore[attr-defined]


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    desk = Desk(settings)
    yield desk
    await desk.database.close()


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


# -- rows


async def test_a_task_begun_in_a_transaction_that_fails_leaves_nothing(desk: Desk) -> None:
    with suppress(RuntimeError):
        async with desk.database.begin() as work:
            await desk.task_service.start(work, "count", title="A count")
            raise RuntimeError
    assert desk.published == []
    assert await desk.sql("select 1 from tasks") == []


async def test_paused_tasks_wait_say_why_and_go_on_and_what_ended_is_counted(desk: Desk) -> None:
    waits, runs, other = await desk.start(), await desk.start(), await desk.start()
    run = await desk.begin(runs)
    async with desk.database.begin() as work:
        assert await pause(work, "tasks", "", "Olga")
    assert await desk.runs.begin(waits, cancellable=False, again=False) == TaskState.QUEUED
    assert (await desk.shown(waits)).message_code == "task.paused"
    await desk.runs.end(run, Outcome(TaskState.DONE))  # what is under way ends
    await desk.sql("update tasks set nudge_at = now() - interval '3 days', nudges = 600 where id = :id", id=waits)
    await desk.sql("update tasks set nudge_at = now() - interval '3 days' where id = :id", id=other)
    assert not (await desk.runs.sweep(queue_empty=True)).due, "nothing is published"
    assert (await desk.shown(waits)).state == "queued", "and nothing given up, however long it lasts"
    await desk.resume()
    due = (await desk.runs.sweep(queue_empty=False)).due
    assert {one.id for one in due} == {waits, other}, "however full the queue is"
    shown = await desk.shown(waits)
    assert (shown.state, shown.message_code) == ("queued", None)
    await desk.runs.end(await desk.begin(waits), Outcome(TaskState.FAILED, error="no"))
    await desk.runs.end(run, Outcome(TaskState.DONE))  # told twice, it counts once
    parts = await desk.whole("group", ("count", []), ("count", []), ("count", []))
    [first, *_] = await desk.sql("select id from tasks where part_of = :id order by place", id=parts)
    await desk.runs.end(await desk.begin(first[0]), Outcome(TaskState.DONE))
    await desk.cancel(parts)
    await desk.cancel(other)
    await desk.counters.write(desk.database, "test")
    rows = await desk.sql("select label, count from statistics where name = 'tasks' order by label")
    assert [tuple(row) for row in rows] == [("cancelled", 3), ("done", 2), ("failed", 1)]


async def test_a_pause_ends_in_batches_that_wait_for_no_worker(desk: Desk) -> None:
    waiting = [await desk.start() for _ in range(5)]
    again = await desk.begin(await desk.start())
    await desk.runs.end(again, Outcome(TaskState.RETRYING, retry_at=clock.now()))
    async with desk.database.begin() as work:
        assert await pause(work, "tasks", "", "Olga")
    async with desk.database.connection() as worker:
        await worker.execute("select from tasks where id = %s for update", [waiting[1]])
        async with asyncio.timeout(5):
            await desk.resume()
            due = (await desk.runs.sweep(queue_empty=False)).due
    assert {one.id for one in due} == {*waiting, again.id} - {waiting[1]}
    await desk.sql("update tasks set nudge_at = nudge_at - interval '1 min' where id = :id", id=waiting[1])
    assert [one.id for one in (await desk.runs.sweep(queue_empty=False)).due] == [waiting[1]]


@pytest.mark.parametrize("told", [True, False])
async def test_a_lost_task_whose_message_comes_back_during_a_pause_runs_after_it(
    desk: Desk, *, told: bool
) -> None:
    alone = await desk.start()
    whole = await desk.whole("group", ("count", []))
    [[part]] = await desk.sql("select id from tasks where part_of = :id", id=whole)
    late = [await desk.begin(task) for task in (alone, part)]
    await desk.sql("update tasks set lease_until = now() - interval '1 s' where lease_until is not null")
    if told:
        await desk.runs.sweep(queue_empty=True)
        assert {(await desk.shown(task)).state for task in (alone, part, whole)} == {"failed"}
    async with desk.database.begin() as work:
        assert await pause(work, "tasks", "", "Olga")
    for task in (alone, part):
        assert await desk.runs.begin(task, cancellable=False, again=True) == TaskState.QUEUED
        shown = await desk.shown(task)
        assert (shown.state, shown.message_code, shown.error, shown.final) == (
            "queued",
            "task.paused",
            None,
            False,
        )
    assert not (await desk.shown(whole)).final
    for run in late:
        await desk.runs.end(run, Outcome(TaskState.DONE))  # it has gone on to the next run
    await desk.resume()
    due = (await desk.runs.sweep(queue_empty=False)).due
    assert {one.id for one in due} == {alone, part}
    for task in (alone, part):
        await desk.runs.end(await desk.begin(task), Outcome(TaskState.DONE))
    assert {(await desk.shown(task)).state for task in (alone, part, whole)} == {"done"}


async def test_a_message_delivered_twice_runs_once(desk: Desk) -> None:
    task = await desk.start("count", 3)
    assert desk.published == [("count", task, [3])]
    begun = await desk.begin(task)
    assert await desk.runs.begin(task, cancellable=False, again=True) == TaskState.RUNNING
    await desk.runs.end(begun, Outcome(TaskState.DONE, step=9, current=3, total=3, message="3 of 3"))
    assert await desk.runs.begin(task, cancellable=False, again=True) == TaskState.DONE
    assert await desk.runs.begin(new_id(), cancellable=False, again=True) is None
    shown = await desk.shown(task)
    assert (shown.state, shown.attempt, shown.step, shown.final) == ("done", 1, 10, True)
    assert (shown.current, shown.total, shown.message) == (3, 3, "3 of 3")
    assert [moment["stage"] for moment in shown.timeline] == ["queued", "running", "done"]


async def test_a_lost_message_is_published_again(desk: Desk) -> None:
    task = await desk.start("count", 3)
    assert (await desk.runs.sweep(queue_empty=True)).due == []
    await desk.sql("update tasks set nudge_at = now() - interval '1 s'")
    assert [(due.name, due.id, due.arguments) for due in (await desk.runs.sweep(queue_empty=True)).due] == [
        ("count", task, [3])
    ]
    assert (await desk.runs.sweep(queue_empty=True)).due == []


async def test_a_task_lost_with_its_worker_fails_with_a_sentence_and_can_be_begun_again(desk: Desk) -> None:
    task = await desk.start()
    begun = await desk.begin(task)
    await desk.sql("update tasks set lease_until = now() - interval '1 s'")
    await desk.runs.sweep(queue_empty=True)
    lost = await desk.shown(task)
    assert lost.state == "failed"
    assert lost.error
    assert lost.error == {"reason": LOST, "message_code": "task.worker_lost", "params": {}}
    await desk.retry(task)
    assert (await desk.shown(task)).state == "queued"
    assert desk.published == [("count", task, []), ("count", task, [])]
    assert (await desk.begin(task)).attempt == 2
    await desk.runs.end(begun, Outcome(TaskState.DONE))  # back from the dead, and too late
    assert (await desk.shown(task)).state == "running"


async def test_a_worker_that_was_only_frozen_still_gets_its_end_recorded(desk: Desk) -> None:
    task = await desk.start()
    begun = await desk.begin(task)
    await desk.sql("update tasks set lease_until = now() - interval '1 s'")
    await desk.runs.sweep(queue_empty=True)
    await desk.runs.end(begun, Outcome(TaskState.DONE, step=5))
    shown = await desk.shown(task)
    assert shown.state == "done"
    assert shown.error is None


async def test_a_lease_that_is_renewed_is_not_lost(desk: Desk) -> None:
    begun = await desk.begin(await desk.start())
    await desk.sql("update tasks set lease_until = now() + interval '1 s'")
    await desk.runs.renew([begun])
    assert (await desk.sql("select lease_until > now() + interval '30 s' from tasks"))[0][0]


async def test_a_task_no_worker_knows_is_not_pending_for_ever(desk: Desk) -> None:
    task = await desk.start("no.such.task")
    await desk.sql("update tasks set nudge_at = now() - interval '1 s', nudges = 580")
    await desk.runs.sweep(queue_empty=True)
    assert (await desk.shown(task)).state == "failed"


async def test_what_waits_is_cancelled_at_once_and_then_never_begun(desk: Desk) -> None:
    task = await desk.start()
    await desk.cancel(task)
    assert (await desk.shown(task)).state == "cancelled"
    assert await desk.runs.begin(task, cancellable=False, again=False) == TaskState.CANCELLED
    with pytest.raises(CannotCancel):
        await desk.cancel(task)
    await desk.retry(task)
    await desk.begin(task)


async def test_what_runs_is_cancel_requested_only_where_it_allows_it(desk: Desk) -> None:
    stubborn, willing = await desk.start(), await desk.start()
    runs = [await desk.begin(stubborn), await desk.begin(willing, cancellable=True)]
    with pytest.raises(CannotCancel):
        await desk.cancel(stubborn)
    await desk.cancel(willing)
    assert await desk.runs.cancel_requested(runs) == {willing}


async def test_only_what_failed_or_was_cancelled_is_begun_again(desk: Desk) -> None:
    task = await desk.start()
    with pytest.raises(CannotRetry):
        await desk.retry(task)
    with pytest.raises(UnknownTask):
        await desk.retry(new_id())
    await desk.runs.end(await desk.begin(task), Outcome(TaskState.DONE))
    with pytest.raises(CannotRetry):
        await desk.retry(task)


def sentence_of(shown: Snapshot) -> str | None:
    return message_of(shown.error or {})


async def parts_of(desk: Desk, whole: UUID) -> list[UUID]:
    return [row[0] for row in await desk.sql("select id from tasks where part_of = :id order by place", id=whole)]


async def test_a_group_counts_the_ends_of_its_parts_and_only_those_that_failed_are_begun_again(desk: Desk) -> None:
    group = await desk.whole("group", ("count", [1]), ("count", [2]), ("count", [3]))
    parts = await parts_of(desk, group)
    assert [task for _, task, _ in desk.published] == parts
    runs = [await desk.begin(part) for part in parts]
    assert (await desk.shown(group)).state == "running"
    told = (await desk.runs.end(runs[0], Outcome(TaskState.DONE))).reports[0]
    assert (told.task, told.progress.current, told.progress.total) == (group, 1, 3)
    await desk.runs.end(runs[1], Outcome(TaskState.FAILED, error="too dark"))
    await desk.runs.end(runs[2], Outcome(TaskState.DONE))
    shown = await desk.shown(group)
    assert (shown.state, shown.current, shown.total, shown.final) == ("failed", 3, 3, True)
    assert sentence_of(shown) == "1 of 3 failed: too dark"
    desk.published.clear()
    await desk.retry(group)
    assert desk.published == [("count", parts[1], [2])]
    assert ((await desk.shown(group)).state, (await desk.shown(group)).current) == ("queued", 2)
    await desk.runs.end(await desk.begin(parts[1]), Outcome(TaskState.DONE))
    assert (await desk.shown(group)).state == "done"


async def test_a_chain_begins_each_part_when_the_one_before_is_done_and_ends_with_one_that_fails(
    desk: Desk,
) -> None:
    chain = await desk.whole("chain", ("one", []), ("two", []), ("three", []))
    parts = await parts_of(desk, chain)
    assert [name for name, _, _ in desk.published] == ["one"]
    after = await desk.runs.end(await desk.begin(parts[0]), Outcome(TaskState.DONE))
    assert [due.name for due in after.due] == ["two"]
    assert (await desk.runs.end(await desk.begin(parts[1]), Outcome(TaskState.FAILED, error="no"))).due == []
    assert (await desk.shown(parts[2])).state == "cancelled"
    shown = await desk.shown(chain)
    assert (shown.state, shown.current, sentence_of(shown)) == ("failed", 1, "Step 2 of 3 failed: no")
    desk.published.clear()
    await desk.retry(chain)
    assert [name for name, _, _ in desk.published] == ["two"]
    assert (await desk.shown(parts[2])).state == "queued"


async def test_cancelling_a_group_drops_what_waits_and_asks_what_runs(desk: Desk) -> None:
    group = await desk.whole("group", ("count", [1]), ("count", [2]))
    parts = await parts_of(desk, group)
    begun = await desk.begin(parts[0], cancellable=True)
    await desk.cancel(group)
    assert (await desk.shown(parts[1])).state == "cancelled"
    assert await desk.runs.cancel_requested([begun]) == {parts[0]}
    await desk.runs.end(begun, Outcome(TaskState.CANCELLED))
    assert (await desk.shown(group)).state == "cancelled"


async def test_ends_that_come_together_are_recorded_together_and_a_bad_one_holds_up_no_other(desk: Desk) -> None:
    group = await desk.whole("group", *(("count", [n]) for n in range(12)))
    alone = await desk.start()
    runs = [await desk.begin(part) for part in [*await parts_of(desk, group), alone]]
    outcomes = [Outcome(TaskState.DONE, message="\0" if n == 5 else None) for n in range(len(runs))]
    ended = await asyncio.gather(*map(desk.runs.end, runs, outcomes), return_exceptions=True)
    assert [n for n, one in enumerate(ended) if isinstance(one, Exception)] == [5]
    shown = await desk.shown(group)
    assert (shown.state, shown.current) == ("running", 11)
    assert (await desk.shown(alone)).state == "done"
    await desk.runs.end(runs[5], Outcome(TaskState.DONE))
    assert (await desk.shown(group)).state == "done"


async def test_a_part_of_a_large_group_begins_without_a_look_at_the_others(desk: Desk) -> None:
    """With statistics from the middle of a group, PostgreSQL once read all parts that had ended, for each."""
    group = await desk.whole("group", *[("count", [])] * 2_000)
    parts = [task for _, task, _ in desk.published]
    read = "select idx_tup_fetch + seq_tup_read from pg_stat_xact_user_tables where relname = 'tasks'"
    async with desk.database.begin() as work:
        half = "update tasks set state = case when id = :id then 'running' else 'done' end where id <= :last"
        await work.session.execute(text(half), {"id": group, "last": parts[1_000]})
        await work.session.execute(text("analyze tasks"))
    async with desk.database.connection() as connection:
        await connection.execute("set local plan_cache_mode = force_generic_plan")
        before: Any = await (await connection.execute(read)).fetchone()
        values = {"id": parts[-1], "lease": LEASE, "cancellable": False, "again": False}
        assert (await connection.execute(BEGIN_ALONE, values, prepare=True)).rowcount == 1
        after: Any = await (await connection.execute(read)).fetchone()
    assert after[0] - before[0] < 20


async def test_a_part_that_is_cancelled_by_itself_counts_for_its_group_and_ends_its_chain(desk: Desk) -> None:
    group = await desk.whole("group", ("count", [1]), ("count", [2]))
    parts = await parts_of(desk, group)
    run = await desk.begin(parts[0])
    await desk.cancel(parts[1])
    assert ((await desk.shown(group)).state, (await desk.shown(group)).current) == ("running", 1)
    await desk.runs.end(run, Outcome(TaskState.DONE))
    assert (await desk.shown(group)).state == "cancelled"
    chain = await desk.whole("chain", ("one", []), ("two", []), ("three", []))
    first, second, third = await parts_of(desk, chain)
    run = await desk.begin(first)
    await desk.cancel(second)
    assert (await desk.shown(third)).state == "cancelled"
    await desk.runs.end(run, Outcome(TaskState.DONE))
    assert (await desk.shown(chain)).state == "cancelled"


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_to_its_parts_a_group_counts_them_right(seed: int, desk: Desk) -> None:
    """Most ends only add one to the count; it has to agree with a count of all parts."""
    draw = random.Random(seed)
    group = await desk.whole("group", *(("count", [n]) for n in range(5)))
    parts, runs = await parts_of(desk, group), {}
    for _ in range(60):
        part = draw.choice(parts)
        match draw.choice(["begin", "begin", "end", "end", "end", "lose", "cancel", "cancel all", "retry"]):
            case "begin":
                begun = await desk.runs.begin(part, cancellable=True, again=draw.random() < 0.5)
                if isinstance(begun, Run):
                    runs[part] = begun
            case "end" if part in runs:
                states = [
                    TaskState.DONE,
                    TaskState.DONE,
                    TaskState.FAILED,
                    TaskState.CANCELLED,
                    TaskState.RETRYING,
                ]
                await desk.runs.end(runs[part], Outcome(draw.choice(states)))
            case "lose":
                await desk.sql(
                    "update tasks set lease_until = now() - interval '1 s' where lease_until is not null"
                )
                await desk.runs.sweep(queue_empty=True)
            case "cancel":
                with suppress(CannotCancel):
                    await desk.cancel(part)
            case "cancel all" if draw.random() < 0.3:
                with suppress(CannotCancel):
                    await desk.cancel(group)
            case "retry":
                with suppress(CannotRetry):
                    await desk.retry(group)
            case _:
                continue
        counts = dict(
            await desk.sql("select state, count(*) from tasks where part_of = :id group by state", id=group)
        )
        shown = await desk.shown(group)
        ended = sum(counts.get(state, 0) for state in ("done", "failed", "cancelled"))
        if ended == len(parts):
            expected = "failed" if "failed" in counts else "cancelled" if "cancelled" in counts else "done"
            assert shown.state == expected, counts
        else:
            assert not shown.final, counts
            assert shown.current == ended, counts


# -- a worker


async def test_a_worker_begins_holds_ends_repeats_and_cancels(
    settings: Settings, environment: dict[str, str], tmp_path: Path, desk: Desk
) -> None:
    queue = Publisher(settings)
    desk.task_service = TaskService(queue.publish_task)
    client = create_celery(settings, worker=True)
    with celery_worker(environment, tmp_path, app=TASKS) as worker:
        counted, broken, lucky, stoppable, canvas = [
            await desk.start(f"{TASKS}.{name}", *arguments)
            for name, arguments in (
                ("shared", [10]), ("broken", []), ("second_time_lucky", []), ("stoppable", []), ("canvas", [4])
            )
        ]  # fmt: skip
        group = await desk.whole("group", *((f"{TASKS}.part", [0.1 * n, n == 1]) for n in range(3)))
        chain = await desk.whole("chain", *((f"{TASKS}.part", [0.1]) for _ in range(3)))

        done = await desk.until(counted, "done")
        assert (done.current, done.total, done.message) == (10, 10, "10 shared")

        failed = await desk.until(broken, "failed")
        assert failed.error == {"reason": "broken", "message_code": "task.broken", "params": {}}
        assert "worker_tasks.py" in (await desk.sql("select traceback from tasks where id = :id", id=broken))[0][0]
        await desk.retry(broken)
        async with asyncio.timeout(20):
            while (again := await desk.shown(broken)).state != "failed" or again.attempt != 2:
                await asyncio.sleep(0.05)

        assert (await desk.until(lucky, "done")).attempt == 2

        await desk.until(stoppable, "running")
        await desk.cancel(stoppable)
        cancelled = await desk.until(stoppable, "cancelled", seconds=5)
        assert cancelled.current is not None
        assert cancelled.current < 599
        async with asyncio.timeout(5):
            while client.AsyncResult(str(stoppable)).state != "REVOKED":
                await asyncio.sleep(0.05)

        assert sentence_of(await desk.until(group, "failed")) == "1 of 3 failed: too dark"
        assert ((await desk.until(chain, "done")).current, client.AsyncResult(str(chain)).state) == (3, "SUCCESS")

        done = await desk.until(canvas, "done")
        assert (done.current, done.total) == (4, 4)

        last = await desk.start(f"{TASKS}.stoppable")
        await desk.until(last, "running")
        worker.kill()
        await desk.sql("update tasks set lease_until = now() where id = :id", id=last)
        await desk.runs.sweep(queue_empty=True)
        assert (await desk.until(last, "failed")).error["reason"] == LOST  # type: ignore[index]
    client.backend.client.connection_pool.disconnect()
    client.close()
    queue.close()

"""The way of one mail through a worker, against a real PostgreSQL and a real SMTP conversation."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import select, text

from mailroom.kit.database import Database
from mailroom.mail.delivery.attempt import EndedAttempts, RunningAttempt
from mailroom.mail.delivery.deliverer import Deliverer
from mailroom.mail.delivery.envelopes import Envelopes
from mailroom.mail.kinds import Kinds, MailKind
from mailroom.mail.ledger.claims import Ledger
from mailroom.mail.ledger.rescuer import Rescuer
from mailroom.mail.messages.contents import Contents
from mailroom.mail.models import Attempt, Mail
from mailroom.mail.outbox import Outbox
from mailroom.mail.ports import NoSuppressions, Suppressions
from mailroom.mail.rendering.renderer import Renderer
from mailroom.mail.smtp.connection import Timeouts
from mailroom.mail.smtp.pool import Pool
from mailroom.mail.states import MOVES, State
from mailroom.progress.snapshot import Snapshot
from mailroom.settings import Settings, SMTPServer
from mailroom.statistics.counters import Counters
from mailroom.statistics.readings import ever
from mailroom.tasks.tickets import Tickets
from tests.sink import Fault, Sink

ALICE = "alice@example.org"
LEASE_OVER = "update mails set created_at = created_at - interval '30 s', lease_until = now(), nudge_at = now()"


@dataclass
class Post:
    """A worker's mail room without Celery around it."""

    database: Database
    outbox: Outbox
    delivery: Deliverer
    overdue: Rescuer
    pool: Pool
    shown: list[Snapshot]
    counters: Counters

    async def promise(self, to: str = ALICE, kind: str = "note") -> UUID:
        async with self.database.begin() as work:
            return await self.outbox.put(work, kind, to, {"name": "Alice"})

    async def row(self, mail_id: UUID) -> Mail:
        async with self.database.begin() as work:
            return (await work.session.scalars(select(Mail).where(Mail.id == mail_id))).one()

    async def reaches(self, mail_id: UUID, stage: str) -> None:
        """Wait until the mail's attempt has come to this stage."""
        async with asyncio.timeout(10):
            while (await self.row(mail_id)).stage != stage:
                await asyncio.sleep(0.01)

    async def lapse(self) -> list[UUID]:
        """Have every lease run out, and sweep; return what is to be published."""
        await self.sql("update mails set lease_until = now(), nudge_at = now()")
        return await self.overdue.sweep(queue_empty=True)

    async def fails_once_before_the_content(self, sink: Sink, fault: Fault) -> None:
        """Send a mail that meets this fault the first time, which is safe to repeat; nothing else goes wrong."""
        sink.faults.append(fault)
        mail_id = await self.promise()
        shown = await self.delivery.deliver(mail_id)
        assert shown is not None and shown.state == "retrying"
        assert (await self.row(mail_id)).reason == "disconnected"
        await self.sql("update mails set next_attempt_at = now()")
        again = await self.delivery.deliver(mail_id)
        assert again is not None and again.state == "sent"
        assert len(sink.accepted) == 1

    async def attempts(self, mail_id: UUID) -> list[Attempt]:
        async with self.database.begin() as work:
            query = select(Attempt).where(Attempt.mail_id == mail_id).order_by(Attempt.attempt)
            return list((await work.session.scalars(query)).all())

    async def sql(self, statement: str, **values: object) -> None:
        async with self.database.begin() as work:
            await work.session.execute(text(statement), values)

    def states(self, mail_id: UUID) -> list[str]:
        return [f"{s.state}/{s.stage}" if s.stage else s.state for s in self.shown if s.task == mail_id]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    for kind in ("note", "held"):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "subject.txt").write_text("Hello {{ name }}")
        (folder / "body.txt").write_text("Dear {{ name }},\n.a line with a dot\n{{ secret }}\n")
        (folder / "body.html").write_text("<p>Dear {{ name }} {{ secret }}</p>\n")
    return tmp_path


Make = Callable[..., Post]


class KeepsAll:
    """Keeps every snapshot that is shown."""

    def __init__(self, shown: list[Snapshot]) -> None:
        self.shown = shown

    def show_attempt(self, attempt: RunningAttempt) -> None:
        self.shown.append(attempt.read())

    def show(self, snapshot: Snapshot) -> None:
        self.shown.append(snapshot)


@pytest.fixture
async def make(settings: Settings, sink: Sink, templates: Path) -> AsyncIterator[Make]:
    made: list[Post] = []

    def make(url: str = "", **pool_options: object) -> Post:
        variables = lambda row: {"secret": f"s-{row.id}"}  # noqa: E731
        every = [
            MailKind("note", "A note", variables=variables),
            MailKind("held", "A note", on_uncertain="hold", variables=variables),
        ]
        lacks = pool_options.pop("lacks", None)
        kinds = Kinds([kind for kind in every if kind.name != lacks])
        database = Database(settings.database_url, connections=8, name="test")
        shown: list[Snapshot] = []
        suppressions = cast("Suppressions", pool_options.pop("suppressions", NoSuppressions()))
        spans = cast("EndedAttempts | None", pool_options.pop("spans", None))
        options = {"limit": 4, "timeouts": Timeouts(1, 0.7, 0.7, 0.7), **pool_options}
        pool = Pool(SMTPServer.parse(url or sink.url), hostname="test.example", **options)  # type: ignore[arg-type]
        renderer = Renderer(kinds, mail_from="M <m@example.org>", product={}, templates=templates)
        counters = Counters()
        delivery = Deliverer(
            ledger=Ledger(database, "test:1"),
            pool=pool,
            envelopes=Envelopes(renderer, Contents(database), suppressions),
            progress=KeepsAll(shown),
            counters=counters,
            spans=spans,
        )
        pool.on_recovery = delivery.release_deferred
        outbox = Outbox(kinds, Tickets(), lambda _ids: None)
        overdue = Rescuer(database, grace=timedelta(), counters=counters)
        made.append(Post(database, outbox, delivery, overdue, pool, shown, counters))
        return made[-1]

    yield make
    for post in made:
        await post.delivery.close()
        await post.database.close()


@pytest.fixture
def post(make: Make) -> Post:
    return make()


async def test_a_mail_goes_from_promise_to_inbox_and_every_stage_is_shown(post: Post, sink: Sink) -> None:
    mail_id = await post.promise()
    shown = await post.delivery.deliver(mail_id)

    assert shown is not None and shown.state == "sent" and shown.final
    assert post.states(mail_id) == [
        "sending/claimed",
        "sending/connected",
        "sending/handing over",
        "sent/accepted",
    ]
    (mail,) = sink.accepted
    assert mail.recipient == ALICE
    assert mail.message_id == f"<{mail_id}@example.org>"
    assert mail.message["Subject"] == "Hello Alice"
    assert "\n.a line with a dot" in mail.part("plain")
    assert f"s-{mail_id}" in mail.part("html")
    row = await post.row(mail_id)
    assert (row.state, row.code, row.enhanced, row.attempt, row.nudge_at) == ("sent", 250, "2.0.0", 1, None)
    (attempt,) = await post.attempts(mail_id)
    assert attempt.claimed_at <= attempt.connected_at <= attempt.handing_over_at <= attempt.ended_at  # type: ignore[operator]
    assert [moment["stage"] for moment in shown.timeline] == [
        "queued", "claimed", "connected", "handing over", "accepted",
    ]  # fmt: skip


async def test_a_task_delivered_twice_at_once_sends_once(post: Post, make: Make, sink: Sink) -> None:
    other = make()
    mail_id = await post.promise()
    done = await asyncio.gather(*(p.delivery.deliver(mail_id) for p in (post, other, post, other)))
    assert [shown.state for shown in done if shown] == ["sent"]
    assert len(sink.accepted) == 1


@pytest.mark.parametrize("together", [False, True])
async def test_a_mail_of_an_app_that_a_worker_lacks_waits_for_a_worker_that_has_it(
    make: Make, post: Post, sink: Sink, caplog: pytest.LogCaptureFixture, *, together: bool
) -> None:
    old = make(limit=1, lacks="held")
    known, unknown = [], []
    for _ in range(3):
        known.append(await post.promise())
        unknown.append(await post.promise(kind="held"))
    mails = [*known, *unknown]
    if together:
        await old.delivery.deliver_many(mails)
    else:
        for mail_id in mails:
            await old.delivery.deliver(mail_id)
    assert {(await post.row(mail_id)).state for mail_id in known} == {"sent"}
    rows = [await post.row(mail_id) for mail_id in unknown]
    assert {(row.state, row.reason, row.crashes) for row in rows} == {("retrying", "unknown kind", 0)}
    assert [record.message for record in caplog.records if "no kind of mail 'held'" in record.message]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1, "not for each mail"
    await post.sql("update mails set next_attempt_at = now(), nudge_at = now() - interval '1 s'")
    await post.delivery.deliver_many(await post.overdue.sweep(queue_empty=True))
    assert {(await post.row(mail_id)).state for mail_id in mails} == {"sent"}
    assert len(sink.accepted) == 6


async def test_each_attempt_and_each_mail_that_ends_is_counted_once(post: Post, sink: Sink) -> None:
    sink.faults.append(Fault("rcpt", reply="550 5.1.1 nobody", times=1))
    sink.faults.append(Fault("rcpt", reply="451 4.7.1 greylisted", times=1))
    mails = [await post.promise() for _ in range(4)]
    for mail_id in mails[:3]:
        await post.delivery.deliver(mail_id)
    async with post.database.begin() as work:  # its worker is lost before the content, then it is sent
        values = "state = 'sending', stage = 'claimed', attempt = 1, worker = 'gone', claimed_at = now()"
        await work.session.execute(text(f"update mails set {values} where id = :id"), {"id": mails[3]})
    await post.lapse()
    await post.delivery.deliver(mails[3])
    await post.sql(
        "update mails set state = 'retrying', expires_at = now(), nudge_at = now() where state = 'retrying'"
    )
    await post.overdue.sweep(queue_empty=True)
    await post.counters.write(post.database, "test:1")
    async with post.database.begin_plain() as work:
        found = {key: cell.count for key, cell in (await ever(work)).items() if key[0] != "stage"}
    assert found == {
        ("attempts", "sent"): 2,
        ("attempts", "failed"): 1,
        ("attempts", "retrying"): 1,
        ("attempts", "queued"): 1,
        ("ended", "sent"): 2,
        ("ended", "failed"): 1,
        ("ended", "expired"): 1,
        ("replies", "2xx"): 2,
        ("replies", "4xx"): 1,
        ("replies", "5xx"): 1,
        ("queue_wait", "transactional"): 4,
        ("to_250", "transactional"): 2,
    }


async def test_a_sent_mail_is_never_claimed_again(post: Post, sink: Sink) -> None:
    mail_id = await post.promise()
    await post.delivery.deliver(mail_id)
    assert await post.delivery.deliver(mail_id) is None
    assert len(sink.accepted) == 1


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
async def test_a_temporary_refusal_at_any_command_is_tried_later(post: Post, sink: Sink, stage: str) -> None:
    sink.faults.append(Fault(stage, reply="451 4.7.1 greylisted", times=1))
    mail_id = await post.promise()
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.state == "retrying" and not shown.final and shown.retry_at
    row = await post.row(mail_id)
    assert (row.state, row.reason, row.code, row.enhanced) == ("retrying", "deferred", 451, "4.7.1")

    assert await post.delivery.deliver(mail_id) is None  # not due yet
    await post.sql("update mails set next_attempt_at = now()")
    again = await post.delivery.deliver(mail_id)
    assert again is not None and again.state == "sent" and again.attempt == 2
    assert [(a.outcome, a.code) for a in await post.attempts(mail_id)] == [("retrying", 451), ("sent", 250)]
    assert sink.connections == 1  # a refusal costs no connection


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
async def test_a_permanent_refusal_at_any_command_ends_the_mail(post: Post, sink: Sink, stage: str) -> None:
    sink.faults.append(Fault(stage, reply="550 5.1.1 no such mailbox"))
    mail_id = await post.promise()
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.state == "failed" and shown.final
    assert shown.error is not None
    assert (shown.error["code"], shown.error["enhanced"]) == (550, "5.1.1")
    assert "answer" not in (shown.public()["error"])
    assert shown.public(owner=True)["error"]["answer"] == "5.1.1 no such mailbox"


@pytest.mark.parametrize("fault", [Fault("mail", close=True), Fault("rcpt", hang=True), Fault("data", close=True),
                                   Fault("rcpt", reply="421 4.3.2 going down")])  # fmt: skip
async def test_trouble_before_the_content_is_safe_to_repeat(post: Post, sink: Sink, fault: Fault) -> None:
    fault.times = 1
    await post.fails_once_before_the_content(sink, fault)


async def test_a_lease_over_before_the_handing_over_queues_the_mail_again(post: Post, sink: Sink) -> None:
    mail_id = await post.promise()
    claims = await Ledger(post.database, "dead:1").claim([mail_id])
    assert len(claims) == 1
    assert await post.overdue.sweep(queue_empty=True) == []  # the lease holds
    await post.sql(LEASE_OVER)
    assert await post.overdue.sweep(queue_empty=True) == [mail_id]
    row = await post.row(mail_id)
    assert (row.state, row.reason, row.crashes) == ("queued", "worker lost", 1)
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and (shown.state, shown.attempt) == ("sent", 2)


async def test_a_mail_that_crashes_its_worker_again_and_again_ends_as_failed(post: Post) -> None:
    mail_id = await post.promise()
    for _ in range(5):
        await Ledger(post.database, "dead:1").claim([mail_id], poison_candidates=True)
        await post.sql("update mails set lease_until = now(), nudge_at = now() where state = 'sending'")
        await post.overdue.sweep(queue_empty=True)
    row = await post.row(mail_id)
    assert (row.state, row.reason, row.attempt) == ("failed", "crashed", 5)


async def test_a_worker_whose_lease_was_taken_hands_nothing_over(post: Post, sink: Sink) -> None:
    mail_id = await post.promise()
    sink.faults.append(Fault("rcpt", delay=0.5, times=1))
    sending = asyncio.create_task(post.delivery.deliver(mail_id))
    await post.reaches(mail_id, "claimed")
    await post.sql(LEASE_OVER)
    assert await post.overdue.sweep(queue_empty=True) == [mail_id]
    assert await sending is None
    assert sink.accepted == []
    assert (await post.row(mail_id)).state == "queued"


async def test_a_mail_too_old_for_its_kind_expires(post: Post) -> None:
    mail_id = await post.promise()
    await post.sql("update mails set expires_at = now()")
    assert await post.delivery.deliver(mail_id) is None
    await post.sql("update mails set nudge_at = now()")
    assert await post.overdue.sweep(queue_empty=True) == []
    assert (await post.row(mail_id)).state == "expired"


async def test_the_row_moves_only_along_the_state_machine(post: Post, sink: Sink) -> None:
    sink.faults.append(Fault("dot", reply="450 4.2.0 busy", times=3))
    mail_id = await post.promise()
    seen = [State.QUEUED]
    for _ in range(4):
        await post.delivery.deliver(mail_id)
        await post.sql("update mails set next_attempt_at = now()")
    for shown in post.shown:
        state = State(shown.state)
        if state != seen[-1]:
            assert state in MOVES[seen[-1]], f"{seen[-1]} → {state}"
            seen.append(state)
    assert seen[-1] == State.SENT


async def test_waiting_grows_with_age_and_never_beyond_an_hour() -> None:
    from mailroom.mail.retry_policy import wait
    from mailroom.mail.states import Reason

    assert 9 <= wait(Reason.DEFERRED, timedelta(0)) <= 11
    assert 500 <= wait(Reason.DEFERRED, timedelta(minutes=20)) <= 700
    assert wait(Reason.DEFERRED, timedelta(days=2)) <= 3960

"""Mails whose worker is gone, or seems to be: taken over soon, but never from one that lives."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from mailroom.kit import clock
from mailroom.mail.ledger.claims import AttemptEnding, HandingOver, Ledger, record
from mailroom.mail.ledger.liveness import Liveness, new_name
from mailroom.mail.ledger.rescuer import Rescuer
from mailroom.mail.retry_policy import Decision, DeliveryResult
from mailroom.mail.states import Reason, State
from mailroom.ops.doctor.database import plain
from mailroom.settings import Settings
from tests.integration.mail.delivery.test_deliverer import Make, Post, make, post, sink, templates
from tests.sink import Fault, Sink

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailroom.mail.ledger.rescuer.ABSENT_FOR", timedelta(seconds=0.2))
    monkeypatch.setattr("mailroom.mail.ledger.liveness.LOOK_EVERY", 0.05)


async def swept(post: Post, seconds: float = 0.5) -> None:
    """Sweep for a while."""
    for _ in range(int(seconds / 0.05)):
        await post.overdue.sweep(queue_empty=False)
        await asyncio.sleep(0.05)


async def test_mails_of_a_worker_whose_connection_ended_do_not_wait_for_their_lease(post: Post) -> None:
    name = new_name()
    presence, mail_id = Liveness(post.database, name), await post.promise()
    await presence.start()
    await Ledger(post.database, name).claim([mail_id])
    await swept(post)
    assert (await post.row(mail_id)).state == "sending", "it lives"
    await presence.close()
    await post.database.engine.dispose()  # as the end of its process does
    await swept(post)
    row = await post.row(mail_id)
    assert (row.state, row.reason, row.crashes) == ("queued", "worker lost", 1)


async def test_a_worker_whose_connection_was_cut_is_back_before_its_mails_are_taken(
    post: Post, settings: Settings
) -> None:
    name = new_name()
    presence, mail_id = Liveness(post.database, name), await post.promise()
    await presence.start()
    await Ledger(post.database, name).claim([mail_id])
    await post.overdue.sweep(queue_empty=False)
    for _ in range(3):
        await _end_its_connection(post)
        await swept(post, 0.3)
    assert (await post.row(mail_id)).state == "sending"
    await presence.close()


async def _end_its_connection(post: Post) -> None:
    await post.sql(
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid() "
        "and database = (select oid from pg_database where datname = current_database())"
    )


async def test_after_an_outage_of_postgresql_the_living_renew_their_leases_before_the_sweep_takes_them(
    post: Post,
) -> None:
    """All leases ran out while nobody could renew them, or sweep."""
    overdue = Rescuer(post.database, grace=timedelta(seconds=1))
    mail_ids = [await post.promise(f"{number}@example.org") for number in range(2)]
    ledger = Ledger(post.database, "test:1")
    await ledger.claim(mail_ids)
    await post.sql("update mails set lease_until = now(), nudge_at = now()")
    await overdue.sweep(queue_empty=False)
    await ledger.renew([(mail_ids[0], 1)])
    await asyncio.sleep(0.6)
    await overdue.sweep(queue_empty=False)
    assert {(await post.row(mail_id)).state for mail_id in mail_ids} == {"sending"}
    await asyncio.sleep(0.6)
    await overdue.sweep(queue_empty=False)
    assert [(await post.row(mail_id)).state for mail_id in mail_ids] == ["sending", "queued"]


async def test_a_pause_in_the_sweeping_begins_the_grace_anew(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailroom.mail.ledger.rescuer.BROKEN_AFTER", timedelta(seconds=0.3))
    overdue, mail_id = Rescuer(post.database, grace=timedelta(seconds=0.2)), await post.promise()
    for _ in range(4):
        await overdue.sweep(queue_empty=False)
        await asyncio.sleep(0.1)
    await Ledger(post.database, "test:1").claim([mail_id])
    await post.sql("update mails set lease_until = now(), nudge_at = now()")
    await asyncio.sleep(0.4)
    await overdue.sweep(queue_empty=False)
    assert (await post.row(mail_id)).state == "sending"
    async with asyncio.timeout(10):
        while (await post.row(mail_id)).state != "queued":
            await asyncio.sleep(0.05)
            await overdue.sweep(queue_empty=False)


@pytest.mark.parametrize("first", ["acceptance", "ending"])
async def test_two_attempts_that_end_at_the_same_moment_in_two_processes_see_each_other(
    post: Post, settings: Settings, first: str
) -> None:
    """The first transaction is open when the second begins; each on a real connection of its own."""
    mail_id, ledger = await post.promise(), Ledger(post.database, "test:2")
    await ledger.claim([mail_id])
    await ledger.hand_over([HandingOver(mail_id, 1, clock.now(), "server")])
    await post.lapse()
    await ledger.claim([mail_id])
    await ledger.hand_over([HandingOver(mail_id, 2, clock.now(), "server")])
    acceptance = AttemptEnding(mail_id, 1, Decision(State.SENT), DeliveryResult(code=250))
    refusal = AttemptEnding(
        mail_id, 2, Decision(State.FAILED, Reason.REFUSED), DeliveryResult(Reason.REFUSED, 550)
    )
    order = [acceptance, refusal] if first == "acceptance" else [refusal, acceptance]

    url = plain(settings.database_url)
    async with (
        await psycopg.AsyncConnection.connect(url) as one,
        await psycopg.AsyncConnection.connect(url) as two,
    ):
        await record(one, order[:1])
        second = asyncio.create_task(record(two, order[1:]))
        await asyncio.sleep(0.3)
        assert not second.done(), "it has to wait for the first one's row"
        await one.commit()
        await second
        await two.commit()
    row = await post.row(mail_id)
    assert (row.state, row.nudge_at, row.reason) == ("sent", None, None)


async def test_an_attempt_that_was_uncertain_stays_marked_though_its_acceptance_comes_late(
    post: Post, sink: Sink
) -> None:
    """Meanwhile the mail has been sent again: it is there twice, and that can be seen."""
    sink.faults.append(Fault("dot", delay=0.6, keep=True, times=1))
    mail_id = await post.promise()
    first = asyncio.create_task(post.delivery.deliver(mail_id))
    await post.reaches(mail_id, "handing over")
    await post.lapse()
    second = await post.delivery.deliver(mail_id)
    assert second is not None and second.state == "sent"
    await first
    one, two = await post.attempts(mail_id)
    assert (one.outcome, two.outcome) == ("sent", "sent")
    assert one.uncertain_at is not None and two.uncertain_at is None
    assert len(sink.accepted) == 2


async def test_a_late_acceptance_is_kept_though_its_attempt_was_ended_while_it_waited_for_a_lock(
    post: Post, settings: Settings
) -> None:
    """Its statement began before there was a row of that attempt."""
    late, later = Ledger(post.database, "test:1"), Ledger(post.database, "test:2")
    first, second = sorted([await post.promise(), await post.promise()])
    await late.claim([first, second])
    await late.hand_over([HandingOver(mail_id, 1, clock.now(), "server") for mail_id in (first, second)])
    accepted = [
        AttemptEnding(mail_id, 1, Decision(State.SENT), DeliveryResult(code=250)) for mail_id in (first, second)
    ]
    async with await psycopg.AsyncConnection.connect(plain(settings.database_url)) as someone:
        await someone.execute("select id from mails where id = %s for update", (first,))
        recording = asyncio.create_task(late.record(accepted))
        await asyncio.sleep(0.3)
        await post.sql("update mails set lease_until = now(), nudge_at = now() where id = :id", id=second)
        await post.overdue.sweep(queue_empty=True)
        assert len(await later.claim([second])) == 1
        await later.hand_over([HandingOver(second, 2, clock.now(), "server")])
    await recording
    await later.record(
        [AttemptEnding(second, 2, Decision(State.FAILED, Reason.REFUSED), DeliveryResult(Reason.REFUSED, 550))]
    )
    assert [(await post.row(mail_id)).state for mail_id in (first, second)] == ["sent", "sent"]
    outcomes = [(each.outcome, each.uncertain_at is not None) for each in await post.attempts(second)]
    assert outcomes == [("sent", True), ("failed", False)]
    assert (await post.attempts(second))[1].worker == "test:2"


async def test_a_late_acceptance_is_shown_though_the_mail_is_in_a_later_attempt(post: Post, sink: Sink) -> None:
    sink.faults += [
        Fault("dot", delay=0.6, keep=True, times=1),
        Fault("rcpt", delay=1.0, reply="450 4.2.0 busy", times=1),
    ]
    sink.faults[1].times = 0  # only the second attempt meets it
    mail_id = await post.promise()
    first = asyncio.create_task(post.delivery.deliver(mail_id))
    await post.reaches(mail_id, "handing over")
    await post.lapse()
    sink.faults[1].times = 1
    second = asyncio.create_task(post.delivery.deliver(mail_id))
    shown = await first
    assert shown is not None and (shown.state, shown.attempt, shown.final) == ("sent", 2, True)
    assert await second is None, "it has nothing to say any more"
    assert (await post.row(mail_id)).state == "sent"
    assert post.shown[-1].state == "sent"


async def test_the_company_of_a_poison_mail_does_not_end_with_it(post: Post, make: Make, sink: Sink) -> None:
    """What was under way in a process that died is suspected; suspects are then claimed one at a time."""
    ids = [await post.promise(f"{number}@example.org") for number in range(4)]
    for _ in range(2):
        await Ledger(post.database, "dead:1").claim(ids)
        await post.lapse()
    assert {(await post.row(mail_id)).crashes for mail_id in ids} == {2}
    assert await Ledger(post.database, "test:1").claim(ids) == []

    sink.delay = 0.2
    sending = asyncio.create_task(post.delivery.deliver_many(ids))
    at_once = []
    while not sending.done():
        async with post.database.connection() as connection:
            row = await (await connection.execute("select count(*) from mails where state = 'sending'")).fetchone()
        at_once.append(row[0] if row else 0)
        await asyncio.sleep(0.02)
    await sending
    assert max(at_once) == 1  # type: ignore[type-var]
    assert {(await post.row(mail_id)).state for mail_id in ids} == {"sent"}

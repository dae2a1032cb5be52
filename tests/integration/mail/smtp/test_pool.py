"""Connections to a mail server: few for many mails, and what is done where it is down or full."""

import asyncio
from uuid import UUID

import pytest

from mailroom.mail.smtp.connection import Timeouts
from tests.integration.mail.delivery.test_deliverer import Make, Post, make, post, sink, templates
from tests.sink import Fault, Sink

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names


async def test_a_server_that_is_down_opens_the_circuit_and_its_return_lets_all_mails_go(
    post: Post, sink: Sink
) -> None:
    sink.stop()
    ids = [await post.promise(f"{n}@example.org") for n in range(20)]
    await post.delivery.deliver_many(ids)
    rows = [await post.row(mail_id) for mail_id in ids]
    assert {(row.state, row.reason) for row in rows} == {("retrying", "unreachable")}
    assert all(row.next_attempt_at and row.reason_since for row in rows)
    assert post.pool.outage is not None

    tried = [row.attempt for row in rows]
    await post.sql("update mails set next_attempt_at = now()")
    await post.delivery.deliver_many(ids)  # the circuit is open: they wait without an attempt
    assert [(await post.row(mail_id)).attempt for mail_id in ids] == tried

    sink.start()
    async with asyncio.timeout(10):
        while post.pool.outage:
            await asyncio.sleep(0.05)
    due: list[UUID] = []
    async with asyncio.timeout(5):
        while len(due) < 20:
            due += await post.overdue.sweep(queue_empty=True)
    await post.delivery.deliver_many(due)
    assert len(sink.accepted) == 20
    assert {(await post.row(mail_id)).state for mail_id in ids} == {"sent"}


async def test_many_mails_share_few_connections(make: Make, sink: Sink) -> None:
    post = make(limit=3)
    await post.delivery.deliver_many([await post.promise(f"{n}@example.org") for n in range(60)])
    assert len(sink.accepted) == 60
    assert sink.connections <= 3


async def test_a_process_that_is_done_takes_what_waits_with_another(make: Make, sink: Sink) -> None:
    """Messages are handed out before anyone knows how long each takes."""
    sink.delay = 0.02
    busy, done = make(limit=1), make(limit=4)
    mine = [await busy.promise(f"{n}@example.org") for n in range(150)]
    sending = asyncio.gather(*(busy.delivery.deliver_many(mine[start : start + 50]) for start in (0, 50, 100)))
    while not sink.accepted:
        await asyncio.sleep(0.01)
    await done.delivery.deliver_many([await done.promise()])
    assert len({shown.task for shown in done.shown if shown.state == "sent"}) > 50
    await sending
    assert sorted(len(sink.to(f"{n}@example.org")) for n in range(150)) == [1] * 150
    assert {(await busy.row(mail_id)).attempt for mail_id in mine} == {1}


async def test_a_connection_is_made_anew_after_its_share_of_mails(make: Make, sink: Sink) -> None:
    post = make(limit=1, mails_each=5)
    await post.delivery.deliver_many([await post.promise(f"{n}@example.org") for n in range(20)])
    assert sink.connections == 4


async def test_a_server_that_takes_only_two_connections_is_served_over_two(make: Make, sink: Sink) -> None:
    sink.delay = 0.02
    post = make(limit=6)
    first = await post.promise()
    await post.delivery.deliver(first)
    sink.faults.append(Fault("connect", reply="421 4.7.0 too many connections"))
    await post.delivery.deliver_many([await post.promise(f"{n}@example.org") for n in range(20)])
    assert len(sink.accepted) == 21
    assert post.pool.outage is None


async def test_those_who_wait_for_a_crowded_server_do_not_wait_for_a_slow_mail(
    make: Make, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.smtp.pool.CROWDED_FOR", 0.5)
    post = make(limit=4, timeouts=Timeouts(1, 30, 30, 30))
    sink.faults.append(Fault("dot", hang=True, keep=True, recipient="slow@example.org"))
    slow = asyncio.create_task(post.delivery.deliver(await post.promise("slow@example.org")))
    async with asyncio.timeout(5):
        while "DATA" not in sink.commands:
            await asyncio.sleep(0.01)
    sink.faults.append(Fault("connect", reply="421 4.7.0 too many connections", times=3))
    ids = [await post.promise(f"{number}@example.org") for number in range(3)]
    async with asyncio.timeout(5):
        await post.delivery.deliver_many(ids)
    assert {(await post.row(mail_id)).state for mail_id in ids} == {"sent"}
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_the_circuit_closes_though_a_probe_met_something_unheard_of(
    post: Post, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.smtp.pool.PROBE_EVERY", 0.1)
    sink.stop()
    await post.delivery.deliver(await post.promise())
    assert post.pool.outage is not None
    connect, failures = post.pool._connect, iter([RuntimeError("unheard of")])

    async def first_fails() -> object:
        for error in failures:
            raise error
        return await connect()

    monkeypatch.setattr(post.pool, "_connect", first_fails)
    sink.start()
    async with asyncio.timeout(5):
        while post.pool.outage:
            await asyncio.sleep(0.05)

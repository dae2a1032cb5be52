"""A worker that is told to stop: what it has in hand is ended, given back, or shown as uncertain."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from mailroom.mail.ledger.claims import Claim
from mailroom.settings.stop_times import StopTimes
from tests.integration.mail.delivery.test_deliverer import Post, make, post, sink, templates
from tests.sink import Fault, Sink

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names


def stops_within(post: Post, *, give_back: float, give_up: float) -> None:
    times = replace(StopTimes.of(), give_back=give_back, give_up=give_up, recorded=give_up + 2)
    post.delivery._stop_times = times


async def test_a_stopping_worker_gives_back_what_it_has_not_handed_over(post: Post, sink: Sink) -> None:
    stops_within(post, give_back=0.2, give_up=0.5)
    sink.faults += [
        Fault("rcpt", hang=True, recipient="slow@example.org"),
        Fault("dot", hang=True, keep=True, recipient="late@example.org"),
    ]
    slow, late = await post.promise("slow@example.org"), await post.promise("late@example.org")
    sending = asyncio.gather(post.delivery.deliver(slow), post.delivery.deliver(late))
    await post.reaches(slow, "claimed")
    await post.reaches(late, "handing over")
    await post.delivery.stop()
    await sending
    slow_row, late_row = await post.row(slow), await post.row(late)
    assert (slow_row.state, slow_row.crashes) == ("queued", 0)
    assert late_row.state == "uncertain"
    assert await post.delivery.deliver(slow) is None  # no new claims


async def test_a_stopping_worker_lets_an_ending_be_recorded_that_takes_its_time(post: Post, sink: Sink) -> None:
    stops_within(post, give_back=0.1, give_up=0.2)
    sink.faults.append(Fault("rcpt", reply="550 5.1.1 no such mailbox", delay=0.5))
    one, many = await post.promise(), await post.promise()
    sending = asyncio.gather(post.delivery.deliver(one), post.delivery.deliver_many([many]))
    while {(await post.row(mail_id)).state for mail_id in (one, many)} != {"sending"}:
        await asyncio.sleep(0.02)
    async with post.database.connection() as held_up:
        await held_up.execute("select id from mails for update")
        while any(attempt.recording is None for attempt in post.delivery._recorder.running):
            await asyncio.sleep(0.02)
        stopping = asyncio.create_task(post.delivery.stop())
        await asyncio.sleep(0.6)
    await stopping
    shown, _ = await sending
    assert shown is not None and shown.state == "failed"
    assert {(await post.row(mail_id)).state for mail_id in (one, many)} == {"failed"}


async def test_a_stopping_worker_gives_back_at_once_what_waits_in_the_bulk_queue(post: Post, sink: Sink) -> None:
    sink.delay = 0.3
    ids = [await post.promise(f"{n}@example.org") for n in range(12)]
    sending = asyncio.create_task(post.delivery.deliver_many(ids))
    while not sink.commands:
        await asyncio.sleep(0.01)
    await post.delivery.stop()
    await sending
    states = [(await post.row(mail_id)).state for mail_id in ids]
    assert sorted(set(states)) == ["queued", "sent"]
    assert states.count("sent") == len(sink.accepted) <= post.pool.limit


async def test_a_mail_claimed_while_its_worker_is_told_to_stop_goes_straight_back(
    post: Post, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, asked = post.delivery._ledger.claim, asyncio.Event()

    async def slow(ids: Sequence[UUID]) -> list[Claim]:
        asked.set()
        while not post.delivery.stopping:
            await asyncio.sleep(0.01)
        return await claim(ids)

    monkeypatch.setattr(post.delivery._ledger, "claim", slow)
    mail_id = await post.promise()
    sending = asyncio.create_task(post.delivery.deliver(mail_id))
    async with asyncio.timeout(5):
        await asked.wait()
        await post.delivery.stop()
        await sending
    row = await post.row(mail_id)
    assert (row.state, row.crashes) == ("queued", 0)
    assert sink.accepted == []

"""Commands in groups (PIPELINING, RFC 2920): a mail is introduced behind the content of the one before it."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from mailroom.mail.smtp.connection import Timeouts
from tests.integration.mail.delivery.test_deliverer import Make, Post, make, post, sink, templates
from tests.sink import Fault, Sink

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names

PATIENT = Timeouts(1, 5, 5, 5)


async def promise(post: Post, *names: str) -> list[UUID]:
    return [await post.promise(f"{name}@example.org") for name in names]


async def begun(post: Post, sink: Sink, ids: list[UUID]) -> asyncio.Task[None]:
    """Begin to send these; return once one of them is introduced behind another."""
    sending = asyncio.create_task(post.delivery.deliver_many(ids))
    while not sink.behind:
        await asyncio.sleep(0.01)
    return sending


async def until(condition: str, post: Post, count: int) -> None:
    """Wait until so many rows fulfil this."""
    async with asyncio.timeout(5):
        while True:
            async with post.database.connection() as connection:
                cursor = await connection.execute(f"select count(*) from mails where {condition}".encode())
                if await cursor.fetchone() == (count,):
                    return
            await asyncio.sleep(0.02)


async def test_all_of_a_crowd_arrive_once_most_of_them_introduced_behind_another(make: Make, sink: Sink) -> None:
    post = make(limit=3)
    await post.delivery.deliver_many(await promise(post, *map(str, range(60))))
    assert sorted(int(mail.recipient.partition("@")[0]) for mail in sink.accepted) == list(range(60))
    assert sink.connections <= 3
    assert sink.behind >= 40
    assert [command for command in sink.commands if command == "RSET"] == []


async def test_a_server_that_does_not_offer_it_is_sent_one_command_at_a_time(make: Make, sink: Sink) -> None:
    sink.groups = False
    post = make(limit=2)
    await post.delivery.deliver_many(await promise(post, *map(str, range(20))))
    assert (len(sink.accepted), sink.behind) == (20, 0)


async def test_the_next_mail_is_not_being_handed_over_while_it_is_only_introduced(make: Make, sink: Sink) -> None:
    """A worker that is lost then leaves one mail uncertain and not two."""
    sink.faults.append(Fault("dot", delay=1.0, keep=True, times=1))
    post = make(limit=1, timeouts=PATIENT)
    sending = await begun(post, sink, await promise(post, "one", "two"))
    await until("stage = 'handing over'", post, 1)
    await until("stage = 'claimed'", post, 1)
    await sending
    assert [mail.recipient for mail in sink.accepted] == ["one@example.org", "two@example.org"]


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
async def test_a_mail_refused_at_its_introduction_ends_alone(make: Make, sink: Sink, stage: str) -> None:
    sink.faults += [Fault("dot", delay=0.3, keep=True, times=1)]
    post = make(limit=1)
    ids = await promise(post, "one", "two", "three")
    sending = await begun(post, sink, ids)
    sink.faults.append(Fault(stage, reply="550 5.7.1 not you", times=1))
    await sending
    assert [(await post.row(mail_id)).state for mail_id in ids] == ["sent", "failed", "sent"]
    assert sink.connections == 1


@pytest.mark.parametrize(
    ("stage", "what"),
    [("mail", {"reply": "421 4.7.0 enough"}), ("rcpt", {"reply": "421 4.7.0 enough"}), ("rcpt", {"close": True})],
)
async def test_a_mail_whose_connection_ends_before_its_turn_goes_over_another_at_once(
    make: Make, sink: Sink, stage: str, what: dict[str, Any]
) -> None:
    sink.faults += [Fault("dot", delay=0.3, keep=True, times=1)]
    post = make(limit=1)
    ids = await promise(post, "one", "two", "three")
    sending = await begun(post, sink, ids)
    sink.faults.append(Fault(stage, times=1, **what))  # made here: it counts
    await sending
    rows = [await post.row(mail_id) for mail_id in ids]
    assert [(row.state, row.attempt) for row in rows] == [("sent", 1)] * 3
    assert sink.connections == 2


async def test_an_answer_lost_at_the_dot_says_nothing_of_the_mail_behind_it(make: Make, sink: Sink) -> None:
    sink.faults += [Fault("dot", close=True, times=1)]
    post = make(limit=1)
    ids = await promise(post, "one", "two")
    await post.delivery.deliver_many(ids)
    assert [(await post.row(mail_id)).state for mail_id in ids] == ["uncertain", "sent"]


async def test_a_mail_behind_a_slow_one_is_let_go_and_its_connection_starts_over_or_is_closed(
    make: Make, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.delivery.bulk_sender.PATIENCE", 0.1)
    sink.faults += [
        Fault("dot", delay=1.0, keep=True, recipient="slow@example.org"),
        Fault("dot", delay=0.2, keep=True, recipient="first@example.org", times=1),
    ]
    post = make(limit=2, timeouts=PATIENT)
    ids = await promise(post, "slow", "first", "second", "third")
    sending = asyncio.create_task(post.delivery.deliver_many(ids))
    await until("state = 'sent'", post, 3)
    assert (await post.row(ids[0])).state == "sending"
    await sending
    last = await promise(post, "fourth", "fifth")
    await post.delivery.deliver_many(last)
    assert {(await post.row(mail_id)).state for mail_id in (*ids, *last)} == {"sent"}
    assert len(sink.accepted) == 6
    # Where the acceptance came before the replies to the mail that was let go, it is closed instead.
    assert ("RSET" in sink.commands, sink.connections) in {(True, 2), (False, 3)}


async def test_a_server_that_is_slow_with_all_is_told_of_each_mail_once(
    make: Make, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is free for a mail that is let go: it goes on where it was introduced."""
    monkeypatch.setattr("mailroom.mail.delivery.bulk_sender.PATIENCE", 0.02)
    sink.delay = 0.1
    post = make(limit=3)
    await post.delivery.deliver_many(await promise(post, *map(str, range(12))))
    verbs = [command.partition(" ")[0] for command in sink.commands]
    assert (verbs.count("MAIL"), verbs.count("DATA"), verbs.count("RSET")) == (12, 12, 0)


@pytest.mark.parametrize("behind", [False, True])
async def test_a_refusal_is_heard_though_the_server_hangs_up_after_it(
    make: Make, sink: Sink, behind: bool
) -> None:
    post = make(limit=1)
    ids = await promise(post, "one", "two")
    refusal = Fault("mail", reply="550 5.7.1 blocked", close=True, times=1)
    if behind:
        sink.faults.append(Fault("dot", delay=0.3, keep=True, times=1))
    else:
        sink.faults.append(refusal)
    sending = asyncio.create_task(post.delivery.deliver_many(ids))
    while behind and not sink.behind:
        await asyncio.sleep(0.01)
    if behind:
        sink.faults.append(refusal)
    await sending
    rows = [await post.row(mail_id) for mail_id in ids]
    assert sorted((row.state, row.code) for row in rows) == [("failed", 550), ("sent", 250)]
    assert rows[int(behind)].answer == "5.7.1 blocked"


async def test_a_mail_to_what_is_no_address_is_broken_and_costs_no_other_one_anything(
    make: Make, sink: Sink
) -> None:
    post = make(limit=1)
    ids = [await post.promise(to) for to in ("a@example.org", "b\tc@example.org", "d@example.org")]
    await post.delivery.deliver_many(ids)
    assert [(await post.row(mail_id)).state for mail_id in ids] == ["sent", "failed", "sent"]


async def test_goodbye_does_not_wait_for_what_the_server_owes_to_another_mail(
    make: Make, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.delivery.bulk_sender.PATIENCE", 0.05)
    sink.faults += [Fault("dot", delay=0.3, keep=True, recipient="one@example.org")]
    post = make(limit=2, timeouts=PATIENT)
    await post.delivery.deliver_many(await promise(post, "warm", "up"))
    one = asyncio.create_task(post.delivery.deliver_many(await promise(post, "one", "two", "three")))
    while not sink.to("three@example.org"):
        await asyncio.sleep(0.01)
    sink.faults.append(Fault("rcpt", hang=True, times=1))  # to what introduced it first, behind "one"
    async with asyncio.timeout(3):
        await one
    assert len(sink.accepted) == 5


async def test_who_comes_alone_does_not_wait_for_a_crowd(make: Make, sink: Sink) -> None:
    sink.delay = 0.03
    post = make(limit=1)
    crowd = asyncio.create_task(post.delivery.deliver_many(await promise(post, *map(str, range(30)))))
    while not sink.accepted:
        await asyncio.sleep(0.01)
    shown = await post.delivery.deliver(await post.promise("alone@example.org"))
    assert shown is not None and shown.state == "sent"
    assert not crowd.done()
    await crowd
    assert len(sink.accepted) == 31

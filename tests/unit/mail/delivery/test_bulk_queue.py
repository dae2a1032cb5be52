"""Mails of large messages wait for a sender."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from mailroom.mail.delivery.bulk_queue import BulkQueue, QueuedMail
from mailroom.mail.ledger.claims import Claim

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def claims(*numbers: int) -> list[Claim]:
    return [Claim(UUID(int=n), "note", "a@example.org", {}, b"", NOW, NOW, NOW, 1, 0, "resend") for n in numbers]


def number(mail: QueuedMail | None) -> int | None:
    return mail.claim.id.int if mail else None


async def test_mails_are_taken_in_the_order_they_came() -> None:
    queue = BulkQueue(most_waiting=100)
    queue.put(claims(1, 2))
    queue.put(claims(3))
    assert [number(queue.next()) for _ in range(4)] == [1, 2, 3, None]
    assert not queue


async def test_senders_that_wait_get_each_mail_once() -> None:
    queue, got = BulkQueue(most_waiting=100), list[int]()

    async def take_all() -> None:
        while True:
            got.append((await queue.get()).claim.id.int)
            await asyncio.sleep(0)

    senders = [asyncio.create_task(take_all()) for _ in range(4)]
    await asyncio.sleep(0.01)
    queue.put(claims(*range(10)))
    queue.put(claims(*range(10, 20)))
    await asyncio.sleep(0.01)
    queue.put(claims(20))
    async with asyncio.timeout(5):
        while len(got) < 21:
            await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert sorted(got) == list(range(21))
    for sender in senders:
        sender.cancel()


async def test_a_message_is_done_when_the_last_of_its_mails_has_ended() -> None:
    queue = BulkQueue(most_waiting=100)
    message, other = queue.put(claims(1, 2)), queue.put(claims(3))
    first, second, third = queue.next(), queue.next(), queue.next()
    assert first and second and third and not queue
    third.message.end_one()
    first.message.end_one()
    assert other.done.done() and not message.done.done()
    second.message.end_one()
    await message.done


async def test_a_message_without_mails_is_done_at_once() -> None:
    await BulkQueue(most_waiting=1).put([]).done


async def test_there_is_room_for_the_next_message_only_once_few_wait() -> None:
    queue = BulkQueue(most_waiting=4)
    await queue.room()
    queue.put(claims(*range(10)))
    room = asyncio.create_task(queue.room())
    for _ in range(5):
        queue.next()
        await asyncio.sleep(0)
    assert not room.done()
    queue.next()
    await room


async def test_a_mail_that_is_put_back_comes_before_all_others() -> None:
    queue = BulkQueue(most_waiting=100)
    queue.put(claims(1, 2, 3))
    first = queue.next()
    assert first
    queue.put_back(first)
    assert number(queue.next_new()) == 2, "who chooses the mail that follows takes a new one"
    assert [number(queue.next()) for _ in range(3)] == [1, 3, None]


async def test_a_mail_that_is_put_back_wakes_a_sender_that_waits() -> None:
    queue = BulkQueue(most_waiting=100)
    queue.put(claims(1))
    first = queue.next()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0.01)
    assert first and not waiting.done()
    queue.put_back(first)
    async with asyncio.timeout(5):
        assert await waiting is first


async def test_a_mail_that_was_put_back_is_taken_back_only_while_nobody_has_it() -> None:
    queue = BulkQueue(most_waiting=100)
    queue.put(claims(1))
    first = queue.next()
    assert first
    queue.put_back(first)
    assert queue.take_back(first)
    assert queue.next() is None
    queue.put_back(first)
    queue.next()
    assert not queue.take_back(first)

"""Mails of large messages, carried by a few runners."""

import asyncio
from collections.abc import Callable

from mailroom.mail.delivery.bulk_queue import BulkQueue, Waiting


async def test_no_more_are_carried_at_a_time_than_there_are_runners_and_in_their_order() -> None:
    at_once, most, order = 0, 0, []

    async def run(crowd: BulkQueue[int]) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        while this := crowd.next():
            order.append(this.mail)
            await asyncio.sleep(0.001)
            this.end()
        at_once -= 1

    crowd: BulkQueue[int] = BulkQueue(run, runners=3)
    await asyncio.gather(crowd(range(10)), crowd(range(10, 20)))
    assert order == list(range(20))
    assert most == 3


async def test_a_slow_mail_holds_up_its_own_message_and_no_other() -> None:
    slow = asyncio.Event()

    async def run(crowd: BulkQueue[str]) -> None:
        while this := crowd.next():
            if this.mail == "slow":
                await slow.wait()
            this.end()

    crowd: BulkQueue[str] = BulkQueue(run, runners=2)
    first = asyncio.create_task(crowd(["slow", "fast"]))
    await crowd(["fast"] * 50)
    assert not first.done()
    slow.set()
    await first


async def test_a_message_has_ended_when_its_mails_have_though_its_runners_went_on_before() -> None:
    ends: list[Callable[[], None]] = []

    async def run(crowd: BulkQueue[int]) -> None:
        while this := crowd.next():
            ends.append(this.end)  # recorded later, behind the runner

    carried = asyncio.create_task(BulkQueue(run, runners=1)(range(3)))
    while len(ends) < 3:
        await asyncio.sleep(0)
    assert not carried.done()
    for end in ends:
        end()
    await carried


async def test_there_is_room_for_the_next_message_only_once_few_wait() -> None:
    go = asyncio.Semaphore(0)

    async def run(crowd: BulkQueue[int]) -> None:
        while this := crowd.next():
            await go.acquire()
            this.end()

    crowd: BulkQueue[int] = BulkQueue(run, runners=1)
    carried = asyncio.create_task(crowd(range(10)))
    await asyncio.sleep(0)
    room = asyncio.create_task(crowd.room())
    await asyncio.sleep(0.01)
    assert not room.done()
    for _ in range(10):
        go.release()
    await asyncio.gather(carried, room)


async def test_a_mail_that_is_put_back_comes_first_and_finds_a_runner_where_all_have_gone() -> None:
    order, kept = [], list[Waiting[str]]()

    async def run(crowd: BulkQueue[str]) -> None:
        while this := crowd.next():
            if this.mail == "slow" and not kept:
                kept.append(this)
                continue
            order.append(this.mail)
            this.end()

    crowd: BulkQueue[str] = BulkQueue(run, runners=1)
    carried = asyncio.create_task(crowd(["slow", "fast"]))
    while order != ["fast"]:
        await asyncio.sleep(0)
    crowd.put_back(kept[0])
    await carried
    assert order == ["fast", "slow"]

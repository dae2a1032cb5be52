"""Mails of large messages, carried by a few runners."""

import asyncio
from collections.abc import Callable

from mailroom.mail.crowd import Crowd


async def test_no_more_are_carried_at_a_time_than_there_are_runners_and_in_their_order() -> None:
    at_once, most, order = 0, 0, []

    async def carry(mail: int, end: Callable[[], None]) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        order.append(mail)
        await asyncio.sleep(0.001)
        at_once -= 1
        end()

    crowd: Crowd[int] = Crowd(carry, runners=3)
    await asyncio.gather(crowd(range(10)), crowd(range(10, 20)))
    assert order == list(range(20))
    assert most == 3


async def test_a_slow_mail_holds_up_its_own_message_and_no_other() -> None:
    slow = asyncio.Event()

    async def carry(mail: str, end: Callable[[], None]) -> None:
        if mail == "slow":
            await slow.wait()
        end()

    crowd: Crowd[str] = Crowd(carry, runners=2)
    first = asyncio.create_task(crowd(["slow", "fast"]))
    await crowd(["fast"] * 50)
    assert not first.done()
    slow.set()
    await first


async def test_a_message_has_ended_when_its_mails_have_though_its_runners_went_on_before() -> None:
    ends: list[Callable[[], None]] = []

    async def carry(_mail: int, end: Callable[[], None]) -> None:
        ends.append(end)  # recorded later, behind the runner

    carried = asyncio.create_task(Crowd(carry, runners=1)(range(3)))
    while len(ends) < 3:
        await asyncio.sleep(0)
    assert not carried.done()
    for end in ends:
        end()
    await carried


async def test_there_is_room_for_the_next_message_only_once_few_wait() -> None:
    go = asyncio.Semaphore(0)

    async def carry(_mail: int, end: Callable[[], None]) -> None:
        await go.acquire()
        end()

    crowd: Crowd[int] = Crowd(carry, runners=1)
    carried = asyncio.create_task(crowd(range(10)))
    await asyncio.sleep(0)
    room = asyncio.create_task(crowd.room())
    await asyncio.sleep(0.01)
    assert not room.done()
    for _ in range(10):
        go.release()
    await asyncio.gather(carried, room)

"""The bulk stream: its rows are claimed while connections are free, and other mails go before them."""

import asyncio

import pytest

from mailroom.mail.messages.draft import Draft, Mailbox
from mailroom.mail.messages.store import MessageStore
from tests.integration.mail.delivery.test_deliverer import Post, make, post, sink, templates  # noqa: F401  # fixtures
from tests.sink import Sink

SHOP = Mailbox("", "shop@mailroom.example")


async def put_bulk(post: Post, count: int) -> list[int]:  # noqa: F811
    woken: list[int] = []
    store = MessageStore(
        post.database,
        lambda _ids: pytest.fail("bulk mails are not published"),
        domain="mailroom.example",
        wake_bulk=lambda: woken.append(1),
    )
    draft = Draft(SHOP, [Mailbox("", "alice@example.org")], "News", text="News", stream="bulk")
    async with post.database.begin_plain() as work:
        await store.put_many(work, [draft] * count, key_id=None)
    return woken


async def test_all_of_the_stream_is_sent_after_one_wake_up(post: Post, sink: Sink) -> None:  # noqa: F811
    assert await put_bulk(post, 250) == [1]
    await post.delivery.begin_bulk()
    async with asyncio.timeout(30):
        while len(sink.accepted) < 250:
            await asyncio.sleep(0.05)
    assert len({mail.message_id for mail in sink.accepted}) == 250


async def test_a_mail_that_somebody_waits_for_overtakes_the_stream(post: Post, sink: Sink) -> None:  # noqa: F811
    sink.delay = 0.05
    await put_bulk(post, 400)
    await post.delivery.begin_bulk()
    await asyncio.sleep(0.2)
    mail_id = await post.promise("bob@example.org")
    shown = await asyncio.wait_for(post.delivery.deliver(mail_id), 2)
    assert shown is not None and shown.state == "sent"
    assert len(sink.accepted) < 400, "the stream goes on"


async def test_a_sweep_leaves_the_rows_alone_and_says_that_they_are_due(post: Post) -> None:  # noqa: F811
    assert not await post.overdue.bulk_is_due()
    await put_bulk(post, 3)
    assert await post.overdue.sweep(queue_empty=True) == []
    assert await post.overdue.bulk_is_due()

"""A network that swallows bytes of old connections while new ones work: mails go on, no copy is unmarked."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest

from mailroom.mail.smtp.connection import Timeouts
from tests.faults.silent_proxy import Direction, SilentProxy
from tests.integration.mail.delivery.test_deliverer import Make, Post, make, sink, templates
from tests.sink import Sink, wait_for

__all__ = ["make", "sink", "templates"]  # fixtures, used by their names

LIKE_PRODUCTION = Timeouts(30, 300, 120, 600)
QUICK = Timeouts(0.5, 0.7, 0.7, 0.7)
STAGES = {"greeting": b"", "EHLO": b"EHLO", "MAIL": b"MAIL FROM", "DATA": b"DATA\r\n", "content": b"\r\n.\r\n"}


@pytest.fixture
def proxy(sink: Sink) -> Iterator[SilentProxy]:
    with SilentProxy("127.0.0.1", sink.port) as proxy:
        yield proxy


@pytest.fixture
def url(proxy: SilentProxy) -> str:
    return f"smtp://127.0.0.1:{proxy.port}?starttls=never"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pool take a connection for stalled after 0.3 seconds instead of 10."""
    monkeypatch.setattr("mailroom.mail.smtp.pool.STALLED_AFTER", 0.3)
    monkeypatch.setattr("mailroom.mail.smtp.pool.WATCH_EVERY", 0.05)


async def promise(post: Post, count: int, to: str = "a") -> list[UUID]:
    return [await post.promise(f"{to}{number}@example.org") for number in range(count)]


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("stage", STAGES)
async def test_silence_at_each_stage_ends_within_its_time_and_the_mail_goes_over_another_connection(
    make: Make, sink: Sink, proxy: SilentProxy, url: str, stage: str, direction: Direction
) -> None:
    post = make(url, limit=1, timeouts=QUICK)
    if stage == "greeting":
        proxy.silence_new = {Direction.TO_CLIENT, direction}
    else:
        proxy.silence_after(STAGES[stage], direction, times=1)
    (mail_id,) = await promise(post, 1)
    async with asyncio.timeout(5):
        await post.delivery.deliver(mail_id)
    proxy.mend()
    row = await post.row(mail_id)
    handed_over = stage == "content"
    assert row.state == ("uncertain" if handed_over else "retrying")
    await post.sql("update mails set next_attempt_at = now()")
    async with asyncio.timeout(5):
        while (await post.row(mail_id)).state != "sent":
            await post.delivery.deliver(mail_id)
            await asyncio.sleep(0.05)
    assert len(sink.accepted) == (2 if handed_over and direction is Direction.TO_CLIENT else 1)


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.usefixtures("impatient")
async def test_mails_go_on_over_new_connections_long_before_the_old_ones_time_is_over(
    make: Make, sink: Sink, proxy: SilentProxy, url: str, direction: Direction
) -> None:
    post = make(url, limit=3, timeouts=LIKE_PRODUCTION)
    await post.delivery.deliver_many(await promise(post, 6))
    assert proxy.silence(direction) > 0
    old = proxy.connections
    stuck = [asyncio.create_task(post.delivery.deliver(mail_id)) for mail_id in await promise(post, old, "stuck")]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        for mail_id in await promise(post, 5, "alone"):
            shown = await post.delivery.deliver(mail_id)
            assert shown is not None and shown.state == "sent"
        await post.delivery.deliver_many(await promise(post, 20, "many"))
    assert len(sink.accepted) >= 6 + 5 + 20
    for task in stuck:
        task.cancel()


@pytest.mark.usefixtures("impatient")
async def test_mails_in_bulk_whose_connections_all_go_silent_leave_the_rest_to_new_ones(
    make: Make, sink: Sink, proxy: SilentProxy, url: str
) -> None:
    post = make(url, limit=3, timeouts=LIKE_PRODUCTION)
    sink.delay = 0.05
    sending = asyncio.create_task(post.delivery.deliver_many(await promise(post, 60)))
    while len(sink.accepted) < 12:
        await asyncio.sleep(0.01)
    silent = proxy.silence(Direction.TO_CLIENT)
    async with asyncio.timeout(8):
        while len({mail.recipient for mail in sink.accepted}) < 60 - 2 * silent:
            await asyncio.sleep(0.05)
    assert proxy.connections > silent
    sending.cancel()


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_is_only_slow_gets_at_most_as_many_connections_again_and_keeps_its_mails(
    make: Make, sink: Sink
) -> None:
    sink.delay = 1.0
    post = make(limit=2, timeouts=LIKE_PRODUCTION)
    async with asyncio.timeout(15):
        await asyncio.gather(*(post.delivery.deliver(mail_id) for mail_id in await promise(post, 12)))
    assert len(sink.accepted) == 12
    assert sink.connections <= 12
    assert post.pool._lent == 0
    await asyncio.sleep(0.3)
    wait_for(lambda: sink.open_now <= 2, 3, "those beyond the limit are closed")

"""Mails of forms while a mailing of 100,000 goes out in the bulk stream."""

import asyncio
import time

from benchmarks.mail_server import sink_of
from benchmarks.stage import Row, Stage, centile, end
from mailroom.bootstrap.services import create_services
from mailroom.jobs.publisher import Publisher
from mailroom.mail.messages.draft import Draft, Mailbox

MAILS, AT_ONCE = 100_000, 5000
FORM_MAILS, EVERY = 60, 0.25
"""How many mails of forms, and the seconds between two of them."""
WAITED = """
select extract(epoch from ended_at - created_at)::float8 from mails
where kind = 'confirm_sign_up' and state = 'sent' order by created_at
"""


def measure(stage: Stage) -> list[Row]:
    """Return how long mails of forms took from their commit to their end, with and without the mailing."""
    with sink_of(stage.folder, 0) as (port, _):
        worker = stage.process("-m", "mailroom", "worker", environment=stage.environment(port))
        asyncio.run(form_mails(stage, port, 2))  # the worker is there then
        stage.forget()
        alone = asyncio.run(form_mails(stage, port))
        stage.forget()
        asyncio.run(mailing(stage, port))
        beside = asyncio.run(form_mails(stage, port))
        left = stage.count("select count(*) from mails where stream = 'bulk' and state <> 'sent'")
        end(worker)
    assert left, "the mailing was over before the mails of forms were"
    return [
        Row(
            f"a mail of a form while {MAILS:,} of a mailing go out ({left:,} still waited at the end)",
            f"p50 {centile(beside, 50) * 1000:.0f} ms, at most {max(beside) * 1000:.0f} ms",
            f"without it p50 {centile(alone, 50) * 1000:.0f} ms, at most {max(alone) * 1000:.0f} ms",
            f"{max(beside) - max(alone):.2f} s later",
            "at most 2 s later",
        )
    ]


async def mailing(stage: Stage, port: int) -> None:
    """Put the mailing into the outbox, and wake a worker."""
    publisher = Publisher(stage.settings(port))
    have = create_services(
        stage.settings(port),
        publisher.publish_mails,
        publisher.publish_task,
        name="bench",
        wake_bulk=publisher.wake_bulk,
    )
    draft = Draft(
        Mailbox("", "news@example.org"), [Mailbox("", "a@example.org")], "News", text="News", stream="bulk"
    )
    store = have.acceptance._store  # noqa: SLF001
    for _ in range(0, MAILS, AT_ONCE):
        async with have.database.begin_plain() as work:
            await store.put_many(work, [draft] * AT_ONCE, key_id=None)
    await asyncio.to_thread(publisher.close)
    await have.database.close()


async def form_mails(stage: Stage, port: int, count: int = FORM_MAILS) -> list[float]:
    """Put mails of forms, one every now and then; return the seconds that each took."""
    publisher = Publisher(stage.settings(port))
    have = create_services(stage.settings(port), publisher.publish_mails, publisher.publish_task, name="bench")
    params = {"sign_up": "0", "browser": "Firefox on Linux"}
    for number in range(count):
        async with have.database.begin() as work:
            await have.outbox.put(work, "confirm_sign_up", f"{number}@example.org", params)
        await asyncio.sleep(EVERY)
    until = time.monotonic() + 60
    query = "select count(*) from mails where kind = 'confirm_sign_up' and state <> 'sent'"
    while stage.count(query):
        assert time.monotonic() < until, "mails of forms are not sent"
        await asyncio.sleep(0.1)
    rows = await have.database.fetch(WAITED, {})
    await asyncio.to_thread(publisher.close)
    await have.database.close()
    return [float(row[0]) for row in rows]

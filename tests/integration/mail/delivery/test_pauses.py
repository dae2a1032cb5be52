"""Mails that an operator holds back: claims leave them, watchers read why, and they go when it is over."""

from uuid import UUID

from mailroom.mail.ledger.pauses import pause, resume
from mailroom.mail.views import mail_snapshots
from tests.integration.mail.delivery.test_deliverer import Post, make, post, sink, templates
from tests.sink import Sink

__all__ = ["make", "post", "sink", "templates"]


async def hold_back(post: Post, what: str, name: str = "") -> None:
    async with post.database.begin_plain() as work:
        assert await pause(work, what, name, "olga@example.org")  # type: ignore[arg-type]
        assert not await pause(work, what, name, "olga@example.org")  # type: ignore[arg-type]


async def let_go(post: Post, what: str, name: str = "") -> None:
    async with post.database.begin_plain() as work:
        assert await resume(work, what, name)  # type: ignore[arg-type]


async def reason_of(post: Post, mail_id: UUID) -> str | None:
    async with post.database.begin() as work:
        error = (await mail_snapshots(work, [mail_id]))[mail_id].error
    return str(error["message_code"]) if error else None


async def test_a_paused_mail_waits_says_why_and_goes_when_sending_goes_on(post: Post, sink: Sink) -> None:
    mail_id = await post.promise()
    await hold_back(post, "all")
    assert await reason_of(post, mail_id) == "mail.paused", "also before a worker has seen it"
    assert await post.delivery.deliver(mail_id) is None
    row = await post.row(mail_id)
    assert (row.state, row.reason, row.attempt) == ("retrying", "paused", 0)
    assert [(shown.state, (shown.error or {}).get("reason")) for shown in post.shown] == [("retrying", "paused")]
    assert await reason_of(post, mail_id) == "mail.paused"
    await let_go(post, "all")
    assert await post.overdue.sweep(queue_empty=True) == [mail_id]
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.state == "sent"
    assert len(sink.accepted) == 1


async def test_a_kind_is_held_back_and_others_go(post: Post, sink: Sink) -> None:
    await hold_back(post, "kind", "held")
    held, note = await post.promise(kind="held"), await post.promise(kind="note")
    await post.delivery.deliver_many([held, note])
    assert [(await post.row(mail_id)).state for mail_id in (held, note)] == ["retrying", "sent"]
    assert (await post.row(held)).reason == "paused"
    assert len(sink.accepted) == 1


async def test_the_bulk_stream_is_held_back_without_a_look_at_its_rows(post: Post, sink: Sink) -> None:
    mails = [await post.promise() for _ in range(3)]
    await post.sql("update mails set stream = 'bulk', kind = 'message', nudge_at = now()")
    for what, name in (("stream", "bulk"), ("kind", "message"), ("all", "")):
        await hold_back(post, what, name)
        assert not await post.overdue.bulk_is_due()
        assert await post.delivery._ledger.claim_bulk(10) == []
        assert [(await post.row(mail_id)).state for mail_id in mails] == ["queued"] * 3
        assert await reason_of(post, mails[0]) == "mail.paused"
        await let_go(post, what, name)
    assert await post.overdue.bulk_is_due()
    assert len(await post.delivery._ledger.claim_bulk(10)) == 3
    assert sink.accepted == []

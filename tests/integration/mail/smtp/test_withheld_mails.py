"""A withheld mail goes every stage, and the mail server gets no content."""

import time
from uuid import UUID

import pytest
from sqlalchemy import select

from mailroom.mail.models import Mail
from tests.integration.mail.delivery.test_deliverer import Make, Post, make, post, sink, templates
from tests.sink import Fault, Sink

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names


async def withhold(post: Post, to: str) -> UUID:
    async with post.database.begin() as work:
        return await post.outbox.put(work, "note", to, {"name": "Alice"}, withheld=True)


async def test_it_is_shown_as_one_that_is_sent_and_is_not(post: Post, sink: Sink) -> None:
    real, withheld = await post.promise("real@example.org"), await withhold(post, "enough@example.org")
    for mail_id in (real, withheld):
        await post.delivery.deliver(mail_id)
    told = {
        mail_id: [
            (one.state, one.stage, one.error, one.final, [moment["stage"] for moment in one.timeline])
            for one in post.shown
            if str(one.task) == str(mail_id)
        ]
        for mail_id in (real, withheld)
    }
    assert told[real] == told[withheld]
    assert told[withheld][-1][0] == "sent"
    assert [mail.recipient for mail in sink.accepted] == ["real@example.org"]
    assert (await post.row(withheld)).state == "sent"


@pytest.mark.parametrize("groups", [True, False])
async def test_mails_beside_it_on_its_connection_are_sent(make: Make, sink: Sink, *, groups: bool) -> None:
    sink.groups = groups
    post = make(limit=2)
    ids, real = [], set()
    for number in range(30):
        to = f"{number}@example.org"
        if number % 3:
            real.add(to)
            ids.append(await post.promise(to))
        else:
            ids.append(await withhold(post, to))
    await post.delivery.deliver_many(ids)
    assert {mail.recipient for mail in sink.accepted} == real
    assert len(sink.accepted) == len(real)
    assert {(await post.row(mail_id)).state for mail_id in ids} == {"sent"}
    assert sink.connections <= 2


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        (Fault("rcpt", reply="550 5.1.1 no such user"), "failed", "refused"),
        (Fault("rcpt", reply="451 4.7.1 greylisted"), "retrying", "deferred"),
        (Fault("mail", reply="452 4.3.1 later"), "retrying", "deferred"),
        (Fault("mail", close=True), "retrying", "disconnected"),
    ],
)
async def test_what_the_server_says_of_the_recipient_is_told_as_of_any_mail(
    post: Post, sink: Sink, fault: Fault, state: str, reason: str
) -> None:
    sink.faults.append(fault)
    for mail_id in (await post.promise("real@example.org"), await withhold(post, "enough@example.org")):
        await post.delivery.deliver(mail_id)
        row = await post.row(mail_id)
        assert (row.state, row.reason) == (state, reason)


async def test_a_server_that_is_down_is_told_as_of_any_mail(post: Post, sink: Sink) -> None:
    sink.stop()
    mail_id = await withhold(post, "enough@example.org")
    await post.delivery.deliver(mail_id)
    row = await post.row(mail_id)
    assert (row.state, row.reason) == ("retrying", "unreachable")


async def test_it_takes_as_long_as_an_acceptance_took(post: Post, sink: Sink) -> None:
    sink.delay = 0.4
    await post.delivery.deliver(await post.promise("real@example.org"))
    began = time.monotonic()
    await post.delivery.deliver(await withhold(post, "enough@example.org"))
    assert 0.4 <= time.monotonic() - began < 1.4


@pytest.mark.parametrize("taken", [{"withheld": True}, {"time_zone": "Asia/Shanghai"}])
async def test_no_caller_gives_the_parameters_that_change_how_a_mail_is_sent(
    post: Post, taken: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=f"for itself: {next(iter(taken))}$"):
        async with post.database.begin() as work:
            await post.outbox.put(work, "note", "real@example.org", {"name": "Alice", **taken})
    async with post.database.begin() as work:
        assert not list(await work.session.scalars(select(Mail.id)))

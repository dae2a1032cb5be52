"""Mails of which nobody knows whether they arrived: shown as that, sent again or held, and settled late."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from mailroom.kit import clock
from mailroom.mail.administration import MailAdministration
from mailroom.mail.kinds import Kinds
from mailroom.mail.ledger.claims import AttemptEnding, HandingOver, Ledger
from mailroom.mail.retry_policy import UNCERTAIN_WAITS, Decision, DeliveryResult
from mailroom.mail.states import Reason, State
from tests.integration.mail.delivery.test_deliverer import Post, make, post, sink, templates
from tests.sink import Fault, Sink

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names


@pytest.mark.parametrize("fault", [Fault("dot", close=True, keep=True), Fault("dot", hang=True, keep=True)])
async def test_an_answer_lost_after_the_dot_is_uncertain_and_sent_again_under_the_same_id(
    post: Post, sink: Sink, fault: Fault
) -> None:
    fault.times = 1
    sink.faults.append(fault)
    mail_id = await post.promise()
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.state == "uncertain" and not shown.final
    assert await post.overdue.sweep(queue_empty=False) == [mail_id]
    again = await post.delivery.deliver(mail_id)
    assert again is not None and again.state == "sent"
    assert len({mail.message_id for mail in sink.accepted}) == 1
    assert len(sink.accepted) == 2
    assert [a.outcome for a in await post.attempts(mail_id)] == ["uncertain", "sent"]


async def test_a_server_that_never_says_that_it_took_a_mail_fills_no_inbox(post: Post, sink: Sink) -> None:
    sink.faults.append(Fault("dot", close=True, keep=True))
    mail_id, copies = await post.promise(), len(UNCERTAIN_WAITS) + 1
    for copy in range(1, copies + 1):
        shown = await post.delivery.deliver(mail_id)
        assert shown is not None and (shown.state, shown.attempt) == ("uncertain", copy)
        assert shown.final == (copy == copies)
        assert (shown.retry_at is None) == (copy == copies)
        if copy > 1:  # only the first time is it sent again at once
            assert await post.overdue.sweep(queue_empty=True) == []
            assert await post.delivery.deliver(mail_id) is None
        await post.sql("update mails set next_attempt_at = now(), nudge_at = now() where nudge_at is not null")
        assert await post.overdue.sweep(queue_empty=False) == ([mail_id] if copy < copies else [])
    assert await post.delivery.deliver(mail_id) is None
    assert len(sink.accepted) == copies
    assert {mail.message_id for mail in sink.accepted} == {f"<{mail_id}@example.org>"}
    row = await post.row(mail_id)
    assert (row.state, row.on_uncertain, row.nudge_at) == ("uncertain", "hold", None)
    assert row.ended_at, "it has ended, as far as keeping it goes"
    assert shown.error and shown.error["message_code"] == "mail.held"


async def test_a_worker_lost_after_the_handing_over_counts_as_an_answer_lost(post: Post) -> None:
    mail_id, ledger = await post.promise(), Ledger(post.database, "dead:1")
    for attempt in (1, 2):
        (claim,) = await ledger.claim([mail_id])
        assert claim.uncertain == attempt - 1
        await ledger.hand_over([HandingOver(mail_id, attempt, claim.claimed_at, "server")])
        await post.lapse()
        row = await post.row(mail_id)
        assert row.state == "uncertain" and row.next_attempt_at and row.nudge_at
    assert min(row.next_attempt_at, row.nudge_at) - row.changed_at > timedelta(seconds=5)
    assert await ledger.claim([mail_id]) == []


async def test_a_mail_left_uncertain_by_the_version_before_is_sent_again(post: Post, sink: Sink) -> None:
    """It wrote no next attempt."""
    mail_id = await post.promise()
    await post.sql("update mails set state = 'uncertain', attempt = 1, stage = 'handing over'")
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and (shown.state, shown.attempt) == ("sent", 2)


async def test_a_kind_that_holds_waits_for_a_person_where_it_is_uncertain(post: Post, sink: Sink) -> None:
    sink.faults.append(Fault("dot", close=True, keep=True))
    mail_id = await post.promise(kind="held")
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.state == "uncertain" and shown.final
    assert await post.overdue.sweep(queue_empty=True) == []
    assert await post.delivery.deliver(mail_id) is None


@pytest.mark.parametrize("reply", ["garbage", "354 go on"])
async def test_an_answer_to_the_content_that_is_neither_yes_nor_no_is_uncertain(
    post: Post, sink: Sink, reply: str
) -> None:
    sink.faults.append(Fault("dot", reply=reply, keep=True, times=1))
    mail_id = await post.promise(kind="held")
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.state == "uncertain" and shown.final
    assert (await post.row(mail_id)).reason == "no answer"


async def test_an_uncertain_mail_too_old_to_be_sent_again_ends(post: Post, sink: Sink) -> None:
    sink.faults.append(Fault("dot", close=True, keep=True))
    mail_id = await post.promise()
    await post.delivery.deliver(mail_id)
    await post.sql("update mails set expires_at = now()")
    assert await post.overdue.sweep(queue_empty=False) == []
    row = await post.row(mail_id)
    assert (row.state, row.reason, row.nudge_at) == ("expired", "no answer", None)


async def test_a_late_acceptance_is_recorded(post: Post, sink: Sink) -> None:
    sink.faults.append(Fault("dot", delay=0.6, keep=True, times=1))
    mail_id = await post.promise(kind="held")
    sending = asyncio.create_task(post.delivery.deliver(mail_id))
    await post.reaches(mail_id, "handing over")
    await post.lapse()
    assert (await post.row(mail_id)).state == "uncertain"
    shown = await sending
    assert shown is not None and shown.state == "sent"
    assert (await post.row(mail_id)).state == "sent"


async def _accepted_while_sent_again(post: Post, *, handing_over: bool) -> tuple[UUID, list[AttemptEnding]]:
    """A first attempt's acceptance comes when a second one is under way, which then is put off."""
    mail_id, ledger = await post.promise(), Ledger(post.database, "test:2")
    await ledger.claim([mail_id])
    await ledger.hand_over([HandingOver(mail_id, 1, clock.now(), "server")])
    await post.lapse()
    await ledger.claim([mail_id])
    if handing_over:
        await ledger.hand_over([HandingOver(mail_id, 2, clock.now(), "server")])
    put_off = Decision(State.RETRYING, Reason.DEFERRED, 10.0)
    return mail_id, [
        AttemptEnding(mail_id, 1, Decision(State.SENT), DeliveryResult(code=250)),
        AttemptEnding(mail_id, 2, put_off, DeliveryResult(Reason.DEFERRED, 450)),
    ]


@pytest.mark.parametrize("handing_over", [False, True])
@pytest.mark.parametrize("how", ["one by one", "together", "together, turned round"])
async def test_what_was_accepted_stays_accepted_whatever_a_later_attempt_meets(
    post: Post, how: str, handing_over: bool
) -> None:
    mail_id, endings = await _accepted_while_sent_again(post, handing_over=handing_over)
    ledger = Ledger(post.database, "test:2")
    if how == "one by one":
        for ending in endings:
            await ledger.record([ending])
    else:
        await ledger.record(endings if how == "together" else endings[::-1])
    row = await post.row(mail_id)
    assert (row.state, row.nudge_at, row.reason) == ("sent", None, None)
    assert [attempt.outcome for attempt in await post.attempts(mail_id)] == ["sent", "retrying"]


async def test_a_mail_that_would_be_sent_again_can_be_cancelled(post: Post, sink: Sink) -> None:
    sink.faults.append(Fault("dot", close=True, keep=True))
    mail_id = await post.promise()
    await post.delivery.deliver(mail_id)
    async with post.database.begin() as work:
        await MailAdministration(Kinds([]), lambda _ids: None).cancel(work, mail_id)
    assert await post.delivery.deliver(mail_id) is None
    row = await post.row(mail_id)
    assert (row.state, row.nudge_at, len(sink.accepted)) == ("cancelled", None, 1)

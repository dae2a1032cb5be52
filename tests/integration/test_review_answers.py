"""What a mail server may say that it should not: nothing of it loses a mail, or sends one twice unseen."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from mailroom.kit import clock
from mailroom.mail.decide import Answer, Decision
from mailroom.mail.leases import Leases
from mailroom.mail.ledger import Claim, Ending, HandingOver, Ledger
from mailroom.mail.smtp import Timeouts, classify
from mailroom.mail.states import Reason, State
from tests.integration.test_delivery import Make, Post, make, post, sink, templates
from tests.sink import Fault, Sink, _Session

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names


@pytest.mark.parametrize("words", ["5.1.1 Empf\xe4nger unbekannt", "5.1.1 no\0body"])
async def test_words_that_are_no_utf8_are_recorded_all_the_same(
    post: Post, sink: Sink, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    def say(session: _Session, line: str) -> None:
        session.writer.write(line.encode("latin-1") + b"\r\n")

    monkeypatch.setattr(_Session, "say", say)
    sink.faults.append(Fault("rcpt", reply=f"550 {words}"))
    mail_id = await post.promise()
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.state == "failed"
    answer = (await post.row(mail_id)).answer
    assert answer is not None and answer.startswith("5.1.1 ") and "\ufffd" in answer


@pytest.mark.parametrize("fault", [Fault("data", reply="250 2.1.5 of another command", times=1),
                                   Fault("mail", reply="354 of another command", times=1),
                                   Fault("rcpt", reply="garbage", times=1)])  # fmt: skip
async def test_an_answer_out_of_step_never_counts_as_sent(post: Post, sink: Sink, fault: Fault) -> None:
    sink.faults.append(fault)
    mail_id = await post.promise()
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.state == "retrying"
    assert (await post.row(mail_id)).reason == "disconnected"
    await post.sql("update mails set next_attempt_at = now()")
    again = await post.delivery.deliver(mail_id)
    assert again is not None and again.state == "sent"
    assert len(sink.accepted) == 1
    assert sink.connections == 2  # the first one was not to be trusted any more


async def test_a_recipient_taken_with_another_positive_code_gets_the_mail(post: Post, sink: Sink) -> None:
    usual = sink.fault_at

    def taken(stage: str, recipient: str | None) -> Fault | None:
        return Fault("rcpt", reply="252 2.1.5 will try") if stage == "rcpt" else usual(stage, recipient)

    sink.fault_at = taken  # type: ignore[method-assign]
    shown = await post.delivery.deliver(await post.promise())
    assert shown is not None and shown.state == "sent"
    assert len(sink.accepted) == 1


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


async def test_those_who_wait_for_a_crowded_server_do_not_wait_for_a_slow_mail(
    make: Make, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.pool.CROWDED_FOR", 0.5)
    post = make(limit=4, timeouts=Timeouts(1, 30, 30, 30))
    sink.faults.append(Fault("dot", hang=True, keep=True, recipient="slow@example.org"))
    slow = asyncio.create_task(post.delivery.deliver(await post.promise("slow@example.org")))
    await asyncio.sleep(0.3)
    sink.faults.append(Fault("connect", reply="421 4.7.0 too many connections", times=3))
    ids = [await post.promise(f"{number}@example.org") for number in range(3)]
    async with asyncio.timeout(5):
        await post.delivery.deliver_many(ids)
    assert {(await post.row(mail_id)).state for mail_id in ids} == {"sent"}
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_the_circuit_closes_though_a_probe_met_something_unheard_of(
    post: Post, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.pool.PROBE_EVERY", 0.1)
    sink.stop()
    await post.delivery.deliver(await post.promise())
    assert post.pool.outage is not None
    connect, failures = post.pool._connect, iter([RuntimeError("unheard of")])

    async def first_fails() -> object:
        for error in failures:
            raise error
        return await connect()

    monkeypatch.setattr(post.pool, "_connect", first_fails)
    sink.start()
    async with asyncio.timeout(5):
        while post.pool.outage:
            await asyncio.sleep(0.05)


async def test_the_end_of_an_old_attempt_leaves_the_lease_of_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailroom.mail.leases.RENEW_EVERY", 0.05)
    renewed: list[tuple[UUID, int]] = []

    async def renew(held: object) -> None:
        renewed.extend(held)  # type: ignore[call-overload]

    leases, mail_id = Leases(renew), UUID(int=1)
    leases.hold(mail_id, 1)
    leases.hold(mail_id, 2)
    leases.drop(mail_id, 1)
    await asyncio.sleep(0.2)
    assert set(renewed) == {(mail_id, 2)}
    leases.close()


def test_the_code_of_an_answer_without_one_is_none() -> None:
    assert classify(-1, "garbage").code is None


async def _accepted_while_sent_again(post: Post, *, handing_over: bool) -> tuple[UUID, list[Ending]]:
    """A first attempt's acceptance comes when a second one is under way, which then is put off."""
    mail_id, ledger = await post.promise(), Ledger(post.database, "test:2")
    await ledger.claim([mail_id])
    await ledger.hand_over([HandingOver(mail_id, 1, clock.now(), "server")])
    await post.sql("update mails set lease_until = now(), nudge_at = now()")
    await post.overdue.sweep(queue_empty=True)
    await ledger.claim([mail_id])
    if handing_over:
        await ledger.hand_over([HandingOver(mail_id, 2, clock.now(), "server")])
    put_off = Decision(State.RETRYING, Reason.DEFERRED, 10.0)
    return mail_id, [
        Ending(mail_id, 1, Decision(State.SENT), Answer(code=250)),
        Ending(mail_id, 2, put_off, Answer(Reason.DEFERRED, 450)),
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


async def test_a_mail_claimed_while_its_worker_is_told_to_stop_goes_straight_back(
    post: Post, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = post.delivery._ledger.claim

    async def slow(ids: Sequence[UUID]) -> list[Claim]:
        await asyncio.sleep(0.3)
        return await claim(ids)

    monkeypatch.setattr(post.delivery._ledger, "claim", slow)
    mail_id = await post.promise()
    sending = asyncio.create_task(post.delivery.deliver(mail_id))
    await asyncio.sleep(0.1)
    await post.delivery.stop()
    await sending
    row = await post.row(mail_id)
    assert (row.state, row.crashes) == ("queued", 0)
    assert sink.accepted == []

"""What a mail server may say that it should not: nothing of it loses a mail, or sends one twice unseen."""

from dataclasses import replace

import pytest

from tests.integration.mail.delivery.test_deliverer import Post, make, post, sink, templates
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


@pytest.mark.parametrize("groups", [True, False])
@pytest.mark.parametrize("fault", [Fault("data", reply="250 2.1.5 of another command", times=1),
                                   Fault("mail", reply="354 of another command", times=1),
                                   Fault("rcpt", reply="garbage", times=1)])  # fmt: skip
async def test_an_answer_out_of_step_never_counts_as_sent(
    post: Post, sink: Sink, fault: Fault, groups: bool
) -> None:
    sink.groups = groups
    if groups and fault.stage == "mail":  # sent again at once, without groups
        sink.faults.append(replace(fault))
        mail_id = await post.promise()
        shown = await post.delivery.deliver(mail_id)
        assert shown is not None and (shown.state, shown.attempt) == ("sent", 1)
    else:
        await post.fails_once_before_the_content(sink, replace(fault))
    assert sink.connections == 2  # the first one was not to be trusted any more
    assert len(sink.accepted) == 1


async def test_a_recipient_taken_with_another_positive_code_gets_the_mail(post: Post, sink: Sink) -> None:
    usual = sink.fault_at

    def taken(stage: str, recipient: str | None) -> Fault | None:
        return Fault("rcpt", reply="252 2.1.5 will try") if stage == "rcpt" else usual(stage, recipient)

    sink.fault_at = taken  # type: ignore[method-assign]
    shown = await post.delivery.deliver(await post.promise())
    assert shown is not None and shown.state == "sent"
    assert len(sink.accepted) == 1

"""A server whose replies come out of step where commands come in groups: no mail fails, none is sent twice."""

import asyncio
import logging
from pathlib import Path

import pytest

from mailroom.mail.smtp.connection import Timeouts
from tests.integration.mail.delivery.test_deliverer import Make, Post, make, sink, templates
from tests.sink import Fault, Sink
from tests.smtp_sink import smtp_sink

__all__ = ["make", "sink", "templates"]  # fixtures, used by their names

PATIENT = Timeouts(2, 5, 5, 5)


async def states(post: Post, count: int) -> list[tuple[str, int]]:
    ids = [await post.promise(f"{number}@example.org") for number in range(count)]
    await post.delivery.deliver_many(ids)
    rows = [await post.row(mail_id) for mail_id in ids]
    return [(row.state, row.attempt) for row in rows]


@pytest.mark.parametrize("delayed", ["MAIL", "RCPT"])
async def test_a_server_that_answers_the_quicker_command_first_gets_its_mails_one_command_at_a_time(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, delayed: str
) -> None:
    with smtp_sink(tmp_path / "taken", "-W", f"{delayed}:1") as url:
        post = make(url, limit=4, timeouts=PATIENT)
        assert await states(post, 8) == [("sent", 1)] * 8
    told = [record for record in caplog.records if "out of step" in record.getMessage()]
    assert len(told) == (1 if delayed == "MAIL" else 0)


async def test_the_next_mail_of_the_process_is_not_sent_in_groups(make: Make, sink: Sink) -> None:
    post = make(limit=1)
    sink.faults.append(Fault("mail", reply="503 5.5.1 need EHLO", times=1))
    assert await states(post, 10) == [("sent", 1)] * 10
    assert (sink.connections, sink.behind, len(sink.accepted)) == (2, 0, 10)


async def test_an_hour_later_groups_are_tried_again(
    make: Make, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.mail.smtp.pipelining.SUSPEND_FOR", 0.2)
    post = make(limit=1)
    sink.faults.append(Fault("mail", reply="503 5.5.1 need EHLO", times=1))
    assert await states(post, 3) == [("sent", 1)] * 3
    await asyncio.sleep(0.3)
    assert await states(post, 10) == [("sent", 1)] * 10
    assert sink.behind > 0


async def test_the_refusal_of_what_came_behind_a_content_is_not_taken_for_the_contents(
    make: Make, sink: Sink
) -> None:
    """The server may have the mail: it is uncertain, and not failed."""
    post = make(limit=1)
    sink.faults.append(Fault("dot", reply="503 5.5.1 nested MAIL command", keep=True, times=1))
    (first, *rest) = await states(post, 4)
    assert first == ("uncertain", 1)
    assert rest == [("sent", 1)] * 3


async def test_a_server_that_was_sent_no_groups_and_knows_no_order_ends_the_mail(
    make: Make, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sink.groups = False
    post = make(limit=1)
    sink.faults.append(Fault("mail", reply="503 5.5.1 no", times=1))
    assert await states(post, 1) == [("failed", 1)]
    assert "out of step" not in caplog.text

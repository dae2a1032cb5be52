"""Each mail that ends without being sent, or waits for a person, is one line in the worker's log."""

import logging
from pathlib import Path

import pytest

from tests.integration.mail.delivery.test_deliverer import Post, make, post, sink, templates
from tests.sink import Fault, Sink

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names

LOGGER = "mailroom.mail.ending_log"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, LOGGER)
    return caplog


def lines(told: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in told.records if record.name == LOGGER]


async def test_a_refused_mail_is_one_line_without_the_servers_words(
    post: Post, sink: Sink, told: pytest.LogCaptureFixture
) -> None:
    sink.faults.append(Fault("rcpt", reply="550 5.1.1 <alice@example.org> unknown", times=1))
    mail_id = await post.promise()
    await post.delivery.deliver(mail_id)
    await post.delivery.deliver(await post.promise())  # this one is sent
    (line,) = lines(told)
    assert line == (
        f"mail {mail_id} (note) failed: refused (550 5.1.1) at {post.pool.server}. "
        f"`mailroom show {mail_id}` says more."
    )


async def test_a_mail_of_many_that_is_refused_is_one_line(
    post: Post, sink: Sink, told: pytest.LogCaptureFixture
) -> None:
    sink.faults.append(Fault("dot", reply="554 5.7.1 spam", times=1))
    await post.delivery.deliver_many([await post.promise() for _ in range(5)])
    (line,) = lines(told)
    assert "failed: policy refused (554 5.7.1)" in line


async def test_a_mail_that_waits_for_a_person_is_one_line(
    post: Post, sink: Sink, told: pytest.LogCaptureFixture
) -> None:
    sink.faults.append(Fault("dot", close=True, times=1))
    await post.delivery.deliver(await post.promise(kind="held"))
    sink.faults.append(Fault("dot", close=True, times=1))
    await post.delivery.deliver(await post.promise())  # sent again by itself: no line
    (line,) = lines(told)
    assert "(held) is held, a person must decide: no answer" in line


async def test_a_mail_that_cannot_be_rendered_is_one_line_and_its_place_is_for_operators_only(
    post: Post, templates: Path, told: pytest.LogCaptureFixture
) -> None:
    (templates / "note" / "body.txt").write_text("Dear {{ name }},\n{{ nmae }} {{ secret }}\n")
    shown = await post.delivery.deliver(await post.promise())
    (line,) = lines(told)
    place = "template note/body.txt, line 2, variable nmae: UndefinedError"
    assert f"failed: broken ({place})" in line
    assert [record.levelname for record in told.records if record.name == LOGGER] == ["ERROR"]
    assert shown is not None
    assert shown.public(operator=True)["error"]["detail"] == place
    for public in (shown.public(), shown.public(owner=True)):
        assert place not in str(public)
        assert public["error"]["message_code"] == "mail.broken"


async def test_what_the_sweep_ends_is_one_line_each(post: Post, told: pytest.LogCaptureFixture) -> None:
    old, poison = await post.promise(), await post.promise()
    await post.sql("update mails set expires_at = now() where id = :id", id=old)
    await post.sql(
        "update mails set state = 'sending', stage = 'claimed', attempt = 1, crashes = 4, worker = 'w',"
        "claimed_at = now(), lease_until = now() where id = :id",
        id=poison,
    )
    for _ in range(2):
        await post.overdue.sweep(queue_empty=True)
    assert sorted(lines(told)) == sorted(
        [
            f"mail {old} (note) expired: expired. `mailroom show {old}` says more.",
            f"mail {poison} failed: crashed. `mailroom show {poison}` says more.",
        ]
    )

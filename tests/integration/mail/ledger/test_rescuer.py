"""What a sweep takes up, and what it leaves for later."""

from datetime import timedelta

import pytest

from mailroom.kit import clock
from tests.integration.mail.delivery.test_deliverer import Post, make, post, sink, templates

__all__ = ["make", "post", "sink", "templates"]  # fixtures, used by their names

EARLIER = "update mails set created_at = created_at - interval '4 s', nudge_at = nudge_at - interval '4 s'"
TO_BE_TRIED_AGAIN = """
update mails set state = 'retrying', reason = :reason, next_attempt_at = now(), nudge_at = now() where id = :id
"""


async def test_where_the_queue_is_empty_a_mail_is_published_again_after_three_seconds(post: Post) -> None:
    lost = await post.promise()
    await post.sql(EARLIER)
    await post.promise()  # its message may be on its way
    assert await post.overdue.sweep(queue_empty=False) == []
    assert await post.overdue.sweep(queue_empty=True) == [lost]
    assert await post.overdue.sweep(queue_empty=True) == []


@pytest.mark.parametrize("reason", ["unreachable", "deferred"])
async def test_while_the_mail_server_is_away_what_is_to_be_tried_again_is_put_off_whatever_its_reason(
    post: Post, reason: str
) -> None:
    mail_id = await post.promise()
    await post.sql(TO_BE_TRIED_AGAIN, id=mail_id, reason=reason)
    assert await post.overdue.sweep(queue_empty=True, put_off=15) == []
    row = await post.row(mail_id)
    assert row.next_attempt_at is not None and row.nudge_at is not None
    assert abs(row.next_attempt_at - row.nudge_at) < timedelta(milliseconds=1)
    assert timedelta(seconds=10) < row.next_attempt_at - clock.now() <= timedelta(seconds=15)
    assert await post.overdue.sweep(queue_empty=True) == []

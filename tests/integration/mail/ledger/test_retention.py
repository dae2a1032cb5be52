"""What has ended is forgotten in time: first what it was about, then that there was one. What waits is kept."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mailroom.kit import ids
from mailroom.mail.ledger.retention import Retention
from tests.integration.mail.delivery.test_deliverer import Make, Post, make, post, sink, templates
from tests.sink import Fault, Sink

__all__ = ["Make", "make", "post", "sink", "templates"]  # fixtures, used by their names

BODIES, ROWS = timedelta(days=30), timedelta(days=365)


@pytest.fixture
def retention(post: Post) -> Retention:
    return Retention(post.database, bodies=BODIES, rows=ROWS)


def made(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next ids be as old as this."""
    now = ids.time.time_ns()
    monkeypatch.setattr(ids.time, "time_ns", lambda: now - days * 86_400 * 10**9)
    monkeypatch.setattr(ids, "_last", 0)


async def test_a_mail_held_as_uncertain_loses_its_contents_after_a_time(
    post: Post, sink: Sink, retention: Retention
) -> None:
    sink.faults.append(Fault("dot", close=True, keep=True))
    held, waiting = await post.promise(kind="held"), await post.promise()
    await post.delivery.deliver_many([held, waiting])
    await retention.clean_up()
    assert (await post.row(held)).nonce is not None
    await post.sql("update mails set ended_at = ended_at - interval '31 days'")
    await retention.clean_up()
    row = await post.row(held)
    assert (row.state, row.nonce, row.params) == ("uncertain", None, None)
    assert (await post.row(waiting)).nonce is not None, "it is about to be sent again"


async def test_rows_of_a_mail_go_a_year_after_its_end(
    post: Post, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as long_ago:
        made(370, long_ago)
        sent, late = await post.promise(), await post.promise()
    new = await post.promise()
    await post.delivery.deliver_many([sent, late, new])
    with monkeypatch.context() as long_ago:
        made(370, long_ago)
        waiting = await post.promise()
    await post.sql("update mails set ended_at = now() - interval '366 days' where id = :id", id=sent)
    await retention.clean_up()
    kept = {late, waiting, new}
    assert await _of(post, "select id from mails") == kept, "one ended lately, one waits, one is new"
    assert await _of(post, "select id from tasks") == kept
    assert await _of(post, "select mail_id from attempts") == {late, new}


async def test_rows_of_a_task_and_of_its_parts_go_a_year_after_its_end(post: Post, retention: Retention) -> None:
    old = ids.first_id(datetime.now(UTC) - timedelta(days=370))
    part, new = UUID(int=old.int + 1), ids.new_id()
    insert = "insert into tasks (id, title, name, state, ended_at, part_of) values (:id, 'A', 'a', 'done', "
    await post.sql(f"{insert} now() - interval '366 days', null)", id=old)
    await post.sql(f"{insert} now() - interval '366 days', :whole)", id=part, whole=old)
    await post.sql(f"{insert} now(), null)", id=new)
    await retention.clean_up()
    assert await _of(post, "select id from tasks") == {new}


async def _of(post: Post, query: str) -> set[UUID]:
    rows: list[tuple[UUID]] = await post.database.fetch(query, {})
    return {row[0] for row in rows}

"""A sweep reads what it needs, however many mails wait."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from mailroom.kit import clock
from mailroom.mail.overdue import ABANDONED, EXPIRE, MOST, PUBLISH, WAIT_ON
from mailroom.ops.doctor.database import plain
from mailroom.settings import Settings

WAITING = 100_000
"""So many that PostgreSQL would rather not go through them."""
WORDS = {"most": MOST, "reasons": ["unreachable"], "wait": timedelta(seconds=15), "gone": []}
STATEMENTS = {
    "abandoned": (ABANDONED, False),
    "expire": (EXPIRE, False),
    "publish": (PUBLISH, False),
    "publish, queue empty": (PUBLISH, True),
    "wait on": (WAIT_ON, False),
}
PUT = """
insert into mails (
    id, kind, recipient, params, nonce, on_uncertain, state, nudges, nudge_at, next_attempt_at, reason, expires_at
)
select gen_random_uuid(), 'note', number || '@example.org', '{}', '', 'resend',
    case when number %% 2 = 0 then 'queued' else 'retrying' end, 6, now() + %(due_in)s,
    case when number %% 2 = 1 then now() + %(due_in)s end,
    case when number %% 2 = 1 then 'unreachable' end, now() + interval '2 days'
from generate_series(1, %(count)s) as number
"""


@pytest.mark.parametrize("due_in", [timedelta(minutes=4), timedelta(minutes=-1)], ids=["not-due", "all-due"])
def test_no_statement_of_the_sweep_goes_through_all_that_wait(settings: Settings, due_in: timedelta) -> None:
    read: dict[str, int] = {}
    with psycopg.connect(plain(settings.database_url)) as connection:
        connection.execute(PUT, {"due_in": due_in, "count": WAITING})
        connection.execute("analyze mails")
        for name, (statement, queue_empty) in STATEMENTS.items():
            words = {**WORDS, "queue_empty": queue_empty, "began": clock.now()}
            with connection.transaction(force_rollback=True):
                plan: Any = connection.execute(f"explain (analyze, format json) {statement}", words).fetchone()
            read[name] = sum(_read(node) for node in _nodes(plan[0][0]["Plan"]))
        connection.rollback()
    assert max(read.values()) <= 4 * MOST, read  # of 100,000


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _read(node: dict[str, Any]) -> int:
    """Return how many rows of the outbox a node of a plan read."""
    if node.get("Relation Name") != "mails" or node["Node Type"] == "ModifyTable":
        return 0
    found = (
        node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    )
    return int(found * node["Actual Loops"])

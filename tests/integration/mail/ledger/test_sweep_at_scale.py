"""A sweep reads what it needs, however many mails wait."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from mailroom.kit import clock
from mailroom.mail.ledger.rescuer import ABANDONED, EXPIRE, MOST, PUBLISH, WAIT_ON
from mailroom.ops.doctor.database import plain
from mailroom.settings import Settings

WAITING = 100_000
"""So many that PostgreSQL would rather not go through them."""
READ_AT_MOST = 6 * MOST
WORDS = {"most": MOST, "wait": timedelta(seconds=15), "gone": []}
STATEMENTS = {
    "abandoned": (ABANDONED, False),
    "expire": (EXPIRE, False),
    "publish": (PUBLISH, False),
    "publish, queue empty": (PUBLISH, True),
    "wait on": (WAIT_ON, False),
}
PUT = """
insert into mails (
    id, kind, recipient, params, nonce, on_uncertain, created_at, state, nudges, nudge_at, next_attempt_at, reason,
    expires_at
)
select gen_random_uuid(), 'note', number || '@example.org', '{}', '', 'resend', now() - %(age)s,
    %(state)s, %(nudges)s, due, case when %(state)s = 'retrying' then due end, %(reason)s,
    now() + interval '2 days'
from generate_series(1, %(count)s) as number,
    lateral (select now() + %(due_in)s + number * interval '1 us') as moment (due)
"""


@dataclass(frozen=True)
class Waiting:
    """So many mails that wait alike; `due_in` and `age` are seconds."""

    count: int
    due_in: float
    state: str = "queued"
    reason: str | None = None
    nudges: int = 6
    age: float = 3600


HALF = WAITING // 2
NUDGED = 3 * MOST
"""What sweeps have nudged within the three seconds before they look at it again."""


@pytest.mark.parametrize(
    "waiting",
    [
        pytest.param([Waiting(HALF, 240), Waiting(HALF, 240, "retrying", "unreachable")], id="not due"),
        pytest.param([Waiting(HALF, -60), Waiting(HALF, -60, "retrying", "unreachable")], id="all due"),
        pytest.param([Waiting(WAITING, 10, nudges=0, age=0)], id="just promised"),
        pytest.param([Waiting(NUDGED, 300, age=7200), Waiting(WAITING, 240)], id="the oldest just nudged"),
        pytest.param([Waiting(WAITING, -60, "retrying", "deferred")], id="all deferred, and due"),
        pytest.param([Waiting(WAITING, -60, "uncertain", "no answer")], id="all uncertain, and due"),
    ],
)
def test_no_statement_of_the_sweep_goes_through_all_that_wait(settings: Settings, waiting: list[Waiting]) -> None:
    read: dict[str, int] = {}
    with psycopg.connect(plain(settings.database_url)) as connection:
        for some in waiting:
            seconds = {"due_in": timedelta(seconds=some.due_in), "age": timedelta(seconds=some.age)}
            connection.execute(PUT, {**asdict(some), **seconds})
        connection.execute("analyze mails")
        for name, (statement, queue_empty) in STATEMENTS.items():
            words = {**WORDS, "queue_empty": queue_empty, "began": clock.now()}
            with connection.transaction(force_rollback=True):
                plan: Any = connection.execute(f"explain (analyze, format json) {statement}", words).fetchone()
            read[name] = sum(_read(node) for node in _nodes(plan[0][0]["Plan"]))
        connection.rollback()
    assert max(read.values()) <= READ_AT_MOST, read  # of 100,000


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

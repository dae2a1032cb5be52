"""A sweep reads what it needs, however many mails wait."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from mailroom.kit import clock
from mailroom.kit.statement_pool import PLANNED_ONCE
from mailroom.mail.ledger.queries import CLAIM_BULK, CLAIM_WAITING
from mailroom.mail.ledger.rescuer import ABANDONED, EXPIRE, IN_THE_ORDER_OF_AN_INDEX, MOST, PUBLISH, WAIT_ON
from mailroom.ops.doctor.database import plain
from mailroom.settings import Settings

WAITING = 100_000
"""So many that PostgreSQL would rather not go through them."""
READ_AT_MOST = 6 * MOST
WORDS = {"most": MOST, "wait": timedelta(seconds=15), "gone": []}
CLAIM = {"worker": "w", "lease": timedelta(seconds=30), "poison_from": 3}
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
    expires_at, stream
)
select gen_random_uuid(), 'note', number || '@example.org', '{}', '', 'resend', now() - %(age)s,
    %(state)s, %(nudges)s, due, case when %(state)s = 'retrying' then due end, %(reason)s,
    now() + interval '2 days', %(stream)s
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
    stream: str = "transactional"


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
        pytest.param([Waiting(WAITING, -1, nudges=0, age=5, stream="bulk"), Waiting(20, 5)], id="a mailing"),
        pytest.param([Waiting(WAITING, -60, "retrying", "deferred", stream="bulk")], id="a mailing, deferred"),
    ],
)
def test_no_statement_of_the_sweep_goes_through_all_that_wait(settings: Settings, waiting: list[Waiting]) -> None:
    read: dict[str, int] = {}
    with psycopg.connect(plain(settings.database_url)) as connection:
        for some in waiting:
            seconds = {"due_in": timedelta(seconds=some.due_in), "age": timedelta(seconds=some.age)}
            connection.execute(PUT, {**asdict(some), **seconds})
        connection.execute("analyze mails")
        connection.execute(IN_THE_ORDER_OF_AN_INDEX)
        for name, (statement, queue_empty) in STATEMENTS.items():
            words = {**WORDS, "queue_empty": queue_empty, "began": clock.now()}
            read[name] = _read_by(connection, statement, words)
        connection.rollback()
    assert max(read.values()) <= READ_AT_MOST, read  # of 100,000


@pytest.mark.spoils_its_database  # plans follow what PostgreSQL knows of a table: of this one, nothing yet
def test_a_mailing_of_100_000_does_not_hold_up_the_claims_of_either_stream(settings: Settings) -> None:
    """Neither before PostgreSQL has counted the rows nor after."""
    mailing, others = Waiting(WAITING, -1, nudges=0, age=5, stream="bulk"), Waiting(20, 5, nudges=0, age=5)
    read: dict[str, int] = {}
    with psycopg.connect(plain(settings.database_url)) as connection:
        for some in (mailing, others):
            seconds = {"due_in": timedelta(seconds=some.due_in), "age": timedelta(seconds=some.age)}
            connection.execute(PUT, {**asdict(some), **seconds})
        connection.execute(PLANNED_ONCE.replace("set ", "set local "))
        for when in ("before", "after"):
            for name, statement, words in (
                ("claim waiting", CLAIM_WAITING, {**CLAIM, "most": 50}),
                ("claim bulk", CLAIM_BULK, {**CLAIM, "most": 50}),
                ("publish", PUBLISH, {**WORDS, "queue_empty": True}),
                ("expire", EXPIRE, WORDS),
            ):
                read[f"{name}, {when}"] = _read_by(connection, statement, words)
            connection.execute("analyze mails")
        connection.rollback()
    assert max(read.values()) <= READ_AT_MOST, read


def _read_by(connection: "psycopg.Connection[Any]", statement: str, words: dict[str, Any]) -> int:
    """Return how many rows of the outbox a statement reads; what it does is undone."""
    with connection.transaction(force_rollback=True):
        plan: Any = connection.execute(f"explain (analyze, format json) {statement}", words).fetchone()
    return sum(_read(node) for node in _nodes(plan[0][0]["Plan"]))


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

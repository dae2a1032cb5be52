"""The rules of the alerts: what is wrong, from what was read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.desk.alerts.rules import RULES, View, conditions, parsedate
from mailroom.desk.backlog import Backlog
from mailroom.desk.processes.readings import ProcessRow
from mailroom.i18n.alert_words import ADVICE, TITLES, alert_words

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
GOOD: dict[str, Any] = {"redis": True, "disk": 0.4, "redis_memory": 0.1, "server": "mx:25", "circuit": None}


def process(
    role: str = "worker", *, locked: bool = True, seen: float = 1, ended: bool = False, **facts: Any
) -> ProcessRow:
    seen_at = NOW - timedelta(seconds=seen)
    return ProcessRow(
        name=f"host:{role}",
        role=role,
        host="host",
        pid=1,
        version="1",
        started_at=NOW - timedelta(hours=2),
        seen_at=seen_at,
        ended_at=seen_at if ended else None,
        wish=None,
        facts={**GOOD, **facts},
        now=NOW,
        locked=locked,
        last_minute=0,
    )


def view(*processes: ProcessRow, queued: int = 0, held: int = 0, oldest: float | None = None, **more: Any) -> View:
    waits = Backlog(queued, 0, 0, 0, held, NOW - timedelta(seconds=oldest) if oldest is not None else None)
    options = {"last_worker": NOW - timedelta(minutes=18), "ended": 0, "failed": 0, **more}
    return View(NOW, processes or (process(),), backlog=waits, **options)


def codes(seen: View, *before: str) -> list[str]:
    return [condition.rule for condition in conditions(seen, {(rule, "") for rule in before})]


def test_nothing_is_wrong_where_a_worker_lives_and_nothing_waits() -> None:
    assert codes(view(process(), process("web", locked=False))) == []


@pytest.mark.parametrize(
    ("worker", "wrong"),
    [
        (process(locked=True, seen=3600), False),  # frozen for its reports, but its lock is held
        (process(locked=False, seen=30), False),  # unknown is not down
        (process(locked=False, seen=600), True),
        (process(locked=False, seen=3, ended=True), True),
    ],
)
def test_a_worker_lives_by_its_lock_and_unknown_is_not_down(worker: ProcessRow, wrong: bool) -> None:
    assert ("no_worker" in codes(view(process("web", locked=False), worker))) is wrong


def test_no_worker_says_since_when_and_how_many_wait() -> None:
    (found,) = conditions(view(process("web", locked=False), queued=311, oldest=540), {("waiting", "")})[:1]
    words = alert_words(found.rule, found.facts, found.since or NOW, NOW)
    assert words.sentence == "No worker runs since 09:12 UTC. 311 mails wait, the oldest since 9 minutes."


@pytest.mark.parametrize(
    ("failed", "ended", "before", "wrong"),
    [
        (20, 20, False, False),
        (21, 500, False, False),
        (26, 500, False, True),
        (21, 500, True, True),
        (15, 100, True, False),
    ],
)
def test_failures_need_a_share_and_a_number_and_less_of_both_to_stay(
    failed: int, ended: int, before: bool, wrong: bool
) -> None:
    seen = view(failed=failed, ended=ended)
    assert ("failures" in codes(seen, *(["failures"] if before else []))) is wrong


@pytest.mark.parametrize(
    ("oldest", "before", "wrong"), [(45, False, False), (61, False, True), (45, True, True), (20, True, False)]
)
def test_waiting_ends_later_than_it_begins(oldest: float, before: bool, wrong: bool) -> None:
    assert ("waiting" in codes(view(oldest=oldest), *(["waiting"] if before else []))) is wrong


def test_mails_that_are_held_back_do_not_wait_too_long() -> None:
    assert codes(view(oldest=600, paused=True)) == []


def test_the_circuit_counts_where_no_worker_reaches_the_server() -> None:
    shut = {"since": (NOW - timedelta(minutes=6)).isoformat(), "reason": "unreachable"}
    assert codes(view(process(circuit=shut), process())) == []
    (found,) = conditions(view(process(circuit=shut), process("web", locked=False)), set())
    assert (found.rule, found.subject, found.since) == ("circuit", "mx:25", NOW - timedelta(minutes=6))
    words = alert_words(found.rule, found.facts, found.since or NOW, NOW)
    assert words.sentence == "The mail server mx:25: it cannot be reached since 09:24 UTC. No mail waits."


def test_servers_that_are_away_or_full_and_certificates_that_end() -> None:
    until = (NOW + timedelta(days=13)).isoformat()
    facts = {"redis": False, "redis_memory": 0.95, "disk": 0.93, "certificates": {"mail.example": until}}
    assert codes(view(process(**facts))) == ["redis_away", "redis_full", "disk_full", "certificate"]
    assert codes(view(process(disk=0.88, redis_memory=0.88, server_certificate="Dec 12 09:30:00 2026 GMT"))) == []
    assert codes(view(process(server_certificate="Dec  9 09:30:00 2026 GMT"))) == ["certificate"]
    assert parsedate("Dec  9 09:30:00 2026 GMT") == datetime(2026, 12, 9, 9, 30, tzinfo=UTC)


def test_each_rule_has_its_words() -> None:
    assert set(RULES) | {"test"} == set(TITLES) == set(ADVICE)
    facts = {
        "waiting": 20_000, "oldest": NOW.isoformat(), "failed": 1, "ended": 2, "held": 3, "server": "mx",
        "host": "h", "reason": "sign-in", "processes": 1, "of": 2, "percent": 91, "name": "n",
        "until": NOW.isoformat(),
    }  # fmt: skip
    for rule in TITLES:
        words = alert_words(rule, facts, NOW, NOW)
        assert words.sentence.endswith("."), words
        assert "%" not in words.sentence.replace("91 %", ""), words
    assert alert_words("of_tomorrow", {}, NOW, NOW).sentence == "of_tomorrow"

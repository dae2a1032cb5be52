"""What must hold after every fault, whatever it was."""

import json
import time
from collections import Counter
from dataclasses import dataclass

from mailroom.mail.states import FINAL
from tests.faults import leaks
from tests.faults.stack import Stack

WITHIN = 60.0
"""Seconds from the mending of a fault until every mail has ended."""
FIRST_WITHIN = 10.0
"""Seconds until the first mail goes out."""
_FINAL = ", ".join(f"'{state}'" for state in sorted(FINAL))
ENDED = f"(state in ({_FINAL}) or (state = 'uncertain' and on_uncertain = 'hold'))"


@dataclass(frozen=True)
class Recovery:
    """Seconds from the service being back to the first mail, and to the end of all."""

    first: float | None
    last: float


def settle(stack: Stack, *, since: float, within: float = WITHIN) -> Recovery:
    """Wait until every row has ended; then check every invariant. `since` (Unix time) is when all was mended."""
    while (waiting := stack.count(f"not {ENDED}")) and time.time() < since + within:
        time.sleep(0.2)
    last = time.time() - since
    assert not waiting, f"{waiting} mails have not ended after {last:.0f} s: {_rest(stack)}\n{_logs(stack)}"
    check(stack)
    after = [mail.at for mail in stack.sink.accepted if mail.at >= since]
    return Recovery(min(after) - since if after else None, last)


def check(stack: Stack) -> None:
    """Compare the sink's journal with the rows, the rows with their attempts, the results with the rows."""
    columns = "id::text, state, attempt, lease_until, nudge_at, stage, reason"
    mails = {row[0]: row for row in stack.sql(f"select {columns} from mails")}
    uncertain = Counter(
        row[0] for row in stack.sql("select mail_id::text from attempts where uncertain_at is not null")
    )
    journal = Counter(mail.message_id[1:].partition("@")[0] for mail in stack.sink.accepted)

    unknown = journal.keys() - mails.keys()
    assert not unknown, f"the sink has {len(unknown)} mails that no row knows of"
    for mail_id, state, attempt, lease, nudge_at, _stage, reason in mails.values():
        copies = journal[mail_id]
        assert state != "sent" or copies, f"{mail_id} is sent, and the sink has not got it"
        assert copies <= 1 + uncertain[mail_id], (
            f"{mail_id} is there {copies} times, unmarked ({state}, {attempt})"
        )
        assert state in {"sent", "uncertain"} or copies <= uncertain[mail_id], f"{mail_id} is {state} and arrived"
        assert lease is None and nudge_at is None, f"{mail_id} has ended, and yet is to be looked at"
        assert state == "sent" or reason, f"{mail_id} is {state} for no reason that is shown"
    _attempts(stack)
    _results(stack, {mail_id: row[1] for mail_id, row in mails.items()})
    lost = stack.sql("select count(*) from sign_ups where not exists (select from mails where id = mail_id)")
    assert lost == [(0,)], "somebody signed up and has no mail"
    leaks.check(stack)


def _attempts(stack: Stack) -> None:
    wrong = stack.sql(
        "select mails.id from mails left join attempts on mail_id = mails.id group by mails.id "
        "having count(attempts) <> mails.attempt or coalesce(max(attempts.attempt), 0) <> mails.attempt "
        "or count(*) filter (where attempts.id is not null and outcome is null) > 0"
    )
    assert not wrong, f"attempts are missing or have no end: {wrong[:3]}"
    unmarked = stack.sql("select mail_id from attempts where outcome = 'uncertain' and uncertain_at is null")
    assert not unmarked


def _results(stack: Stack, states: dict[str, str]) -> None:
    """What Celery's results say of mails that have ended agrees with the rows (or they say nothing)."""
    with stack.redis() as client:
        for key in client.scan_iter("celery-task-meta-*", count=1000):
            raw = client.get(key)
            meta = json.loads(raw) if raw else {}
            state = states.get(meta.get("task_id", ""))
            if state is None:
                continue
            assert meta["status"] != "SUCCESS" or state == "sent", f"{meta['task_id']}: SUCCESS, but {state}"
            assert meta["status"] != "FAILURE" or state != "sent", f"FAILURE, but sent: {meta}"


def twice(stack: Stack) -> int:
    """Return how many mails the sink has more than once (all of them marked: `check` has seen to it)."""
    return sum(count > 1 for count in Counter(mail.message_id for mail in stack.sink.accepted).values())


def _rest(stack: Stack) -> str:
    query = (
        "select state, stage, reason, crashes, nudge_at - now(), lease_until - now(), count(*) "
        f"from mails where not {ENDED} group by 1, 2, 3, 4, 5, 6 limit 5"
    )
    return "; ".join(str([str(value) for value in row]) for row in stack.sql(query))


def _logs(stack: Stack) -> str:
    return "\n".join(
        f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in stack.folder.glob("*.log")
    )

"""The desk's data as JSON, the same in the shell's `--json` and the API: codes, and times in ISO 8601.

`seen` returns a text that may hold mail addresses as the reader may see it: whole, or with addresses masked.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from mailroom.accounts.administration import FoundAccount
from mailroom.accounts.models import SignUp
from mailroom.accounts.sign_up.invitations import InvitationView
from mailroom.desk.alerts.book import AlertView, SilenceView
from mailroom.desk.failures import FailureGroup, Failures
from mailroom.desk.models import AuditEntry
from mailroom.desk.processes.readings import ProcessRow
from mailroom.desk.queues import Queue
from mailroom.desk.task_desk import NameStatistics
from mailroom.kit.clock import iso
from mailroom.mail.ledger.pauses import Pause
from mailroom.webhooks.models import WebhookDelivery

Seen = Callable[[str], str]
Json = dict[str, Any]


def process_json(row: ProcessRow) -> Json:
    """Return a process of the register."""
    return {
        "name": row.name,
        "role": row.role,
        "state": row.state,
        "wish": row.wish,
        "host": row.host,
        "pid": row.pid,
        "version": row.version,
        "started_at": iso(row.started_at),
        "seen_at": iso(row.seen_at),
        "last_minute": row.last_minute,
        "facts": row.facts,
    }


def pause_json(one: Pause, seen: Seen = str) -> Json:
    """Return what is held back, since when and by whom."""
    return {"what": one.what, "name": one.name, "since": iso(one.since), "by": seen(one.by_name)}


def queue_json(queue: Queue, pauses: Sequence[Pause]) -> Json:
    """Return a stream of mails: what waits, and what came and went in the last ten minutes."""
    return {
        "stream": queue.stream,
        "queued": queue.queued,
        "retrying": queue.retrying,
        "scheduled": queue.scheduled,
        "oldest": iso(queue.oldest),
        "came": queue.came,
        "went": queue.went,
        "paused": any(one.what == "all" or (one.what, one.name) == ("stream", queue.stream) for one in pauses),
    }


def failures_json(found: Failures, seen: Seen = str) -> Json:
    """Return what failed, in groups."""
    return {
        "since": iso(found.since),
        "complete": found.complete,
        "mails": [_group_json(group, found.since, seen) for group in found.groups],
        "tasks": [
            {
                "name": one.name,
                "error": one.error,
                "place": one.place,
                "count": one.count,
                "example": str(one.example) if one.example else None,
            }
            for one in found.tasks
        ],
    }


def _group_json(group: FailureGroup, since: datetime, seen: Seen) -> Json:
    return {
        "reason": group.cause.reason,
        "code": group.cause.code,
        "enhanced": group.cause.enhanced or None,
        "domain": group.cause.domain,
        "states": dict(group.states),
        "first": iso(group.first),
        "last": iso(group.last),
        "recovered": group.recovered,
        "example": str(group.example) if group.example else None,
        "answer": seen(group.answer),
        "search": group.cause.search(since.isoformat(timespec="seconds")),
    }


def alert_json(alert: AlertView, words: Mapping[str, str]) -> Json:
    """Return an alert; `words` are its title, sentence and advice."""
    return {
        "id": str(alert.id),
        "rule": alert.rule,
        "subject": alert.subject,
        "firing": alert.firing,
        "since": iso(alert.began_at),
        "fired_at": iso(alert.fired_at),
        "ended_at": iso(alert.ended_at),
        "silenced_until": iso(alert.silenced_until),
        "facts": alert.facts,
        **words,
    }


def silence_json(silence: SilenceView, seen: Seen = str) -> Json:
    """Return a rule of which nothing is told; ``*`` for all."""
    return {"rule": silence.rule, "until": iso(silence.until), "by": seen(silence.by_name)}


def account_json(account: FoundAccount, seen: Seen = str) -> Json:
    """Return an account of a list."""
    return {
        "id": str(account.id),
        "email": seen(account.email),
        "role": account.role,
        "created_at": iso(account.created_at),
        "locked_at": iso(account.locked_at),
        "deletes_at": iso(account.deletes_at),
    }


def sign_up_json(one: SignUp, seen: Seen = str) -> Json:
    """Return a sign-up that waits for its confirmation."""
    return {
        "id": str(one.id),
        "email": seen(one.email),
        "created_at": iso(one.created_at),
        "mailed_at": iso(one.mailed_at),
        "mail_id": str(one.mail_id),
    }


def invitation_json(one: InvitationView, seen: Seen = str) -> Json:
    """Return an invitation with the state of its mail."""
    return {
        "id": str(one.id),
        "email": seen(one.email),
        "bound": one.bound,
        "state": one.state,
        "mail_id": str(one.mail_id),
        "mail_state": one.mail_state,
        "created_at": iso(one.created_at),
        "expires_at": iso(one.expires_at),
    }


def entry_json(entry: AuditEntry, seen: Seen = str, *, client: bool = True) -> Json:
    """Return an entry of the audit log; `client`: with the network address that it came from."""
    return {
        "number": entry.id,
        "at": iso(entry.at),
        "actor": entry.actor,
        "actor_id": str(entry.actor_id) if entry.actor_id else None,
        "actor_name": seen(entry.actor_name),
        "action": entry.action,
        "target": entry.target,
        "target_id": seen(entry.target_id) if entry.target_id else None,
        "client": entry.client if client else None,
        "details": _seen_in(entry.details, seen),
    }


def _seen_in(value: Any, seen: Seen) -> Any:
    if isinstance(value, str):
        return seen(value)
    if isinstance(value, Mapping):
        return {name: _seen_in(one, seen) for name, one in value.items()}
    return [_seen_in(one, seen) for one in value] if isinstance(value, list) else value


def usual_json(one: NameStatistics) -> Json:
    """Return what is usual for the tasks of a name; times are seconds."""
    return {
        "name": one.name,
        "count": one.count,
        "failed": one.failed,
        "open": one.open,
        "p50": None if one.p50 is None else float(one.p50),
        "p99": None if one.p99 is None else float(one.p99),
    }


def delivery_json(delivery: WebhookDelivery) -> Json:
    """Return a delivery of a webhook."""
    return {
        "id": str(delivery.id),
        "number": delivery.number,
        "type": delivery.type,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "error": delivery.error,
        "payload": delivery.payload,
        "created_at": iso(delivery.created_at),
        "next_at": iso(delivery.next_at),
        "ended_at": iso(delivery.ended_at),
    }

"""How mails look in the shell: in lists, one by one, and as JSON."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import click

from mailroom.cli.state_colours import state_colour
from mailroom.cli.tables import Column, print_table
from mailroom.i18n.sentences import sentence
from mailroom.kit.text import age, clean, clock, full, short_span, span, until
from mailroom.mail.administration import Shown
from mailroom.mail.kinds import WITHHELD
from mailroom.mail.models import Attempt, Mail
from mailroom.mail.states import Reason, message_code

COLUMNS = (
    Column("id", whole=True),
    Column("kind", needed=False),
    Column("to"),
    Column("state", whole=True, colour=state_colour),
    Column("stage", needed=False),
    Column("attempt", needed=False),
    Column("reason"),
    Column("age", whole=True),
    Column("next try", whole=True),
)


def mail_json(mail: Mail) -> dict[str, Any]:
    """Return a mail for machines; times are ISO 8601, nothing secret."""
    return {
        "id": str(mail.id),
        "kind": mail.kind,
        "to": mail.recipient,
        "state": mail.state,
        "stage": mail.stage,
        "attempt": mail.attempt,
        "reason": mail.reason,
        "code": mail.code,
        "enhanced": mail.enhanced,
        "answer": mail.answer,
        "created_at": _iso(mail.created_at),
        "next_attempt_at": _iso(mail.next_attempt_at),
        "expires_at": _iso(mail.expires_at),
        "ended_at": _iso(mail.ended_at),
    }


def shown_json(shown: Shown) -> dict[str, Any]:
    """Return a mail and its attempts for machines."""
    times = ("claimed_at", "connected_at", "handing_over_at", "ended_at")
    words = ("attempt", "worker", "server", "outcome", "reason", "code", "enhanced", "answer")
    attempts = [
        {name: getattr(attempt, name) for name in words} | {name: _iso(getattr(attempt, name)) for name in times}
        for attempt in shown.attempts
    ]
    return {**mail_json(shown.mail), "attempts": attempts}


def print_mails(mails: Sequence[Mail], now: datetime) -> None:
    """Print a list of mails."""
    print_table(COLUMNS, [_row(mail, now) for mail in mails])


def _row(mail: Mail, now: datetime) -> tuple[str, ...]:
    reason = " ".join(filter(None, (mail.reason, str(mail.code or ""), mail.enhanced)))
    return (
        str(mail.id),
        mail.kind,
        clean(mail.recipient or "(deleted)"),
        mail.state,
        mail.stage or "",
        str(mail.attempt),
        reason,
        age(mail.created_at, now),
        until(mail.next_attempt_at, now),
    )


def print_shown(shown: Shown, now: datetime) -> None:
    """Print a mail, then each attempt as a timeline."""
    mail = shown.mail
    click.echo(click.style(f"Mail {mail.id}", bold=True))
    for label, value in _facts(mail, now):
        click.echo(f"  {label:<9} {value}")
    for attempt in shown.attempts:
        click.echo()
        server = f" through {clean(attempt.server)}" if attempt.server else ""
        click.echo(click.style(f"Attempt {attempt.attempt}", bold=True) + f" by {clean(attempt.worker)}{server}")
        for line in _timeline(attempt):
            click.echo(f"  {line}")
    if not shown.attempts:
        click.echo("\nNo worker has picked it up yet.")


def _facts(mail: Mail, now: datetime) -> Iterator[tuple[str, str]]:
    state = click.style(mail.state, fg=state_colour(mail.state) or None)
    yield "To", clean(mail.recipient or "(deleted)")
    yield "Kind", mail.kind
    yield "State", f"{state} ({mail.stage})" if mail.stage else state
    if (mail.params or {}).get(WITHHELD):
        yield "Withheld", "its mailbox had enough mails from forms: the mail server got no content"
    if mail.reason:
        yield "Reason", f"{mail.reason}: {sentence(message_code(mail.reason, held=mail.held))}"
    if mail.answer:
        yield "Cause" if mail.reason == Reason.BROKEN else "Answer", answer_of(mail)
    yield "Queued", f"{full(mail.created_at)}, {age(mail.created_at, now)} ago"
    if mail.ended_at:
        yield "Ended", f"{full(mail.ended_at)}, after {span((mail.ended_at - mail.created_at).total_seconds())}"
        return
    if mail.next_attempt_at:
        yield "Next try", f"{full(mail.next_attempt_at)}, {until(mail.next_attempt_at, now)}"
    yield "Expires", f"{full(mail.expires_at)}, {until(mail.expires_at, now)}"


def _timeline(attempt: Attempt) -> Iterator[str]:
    yield f"{full(attempt.claimed_at)[:10]} {clock(attempt.claimed_at)}  claimed"
    before = attempt.claimed_at
    outcome = " ".join(filter(None, (attempt.outcome, f"({attempt.reason})" if attempt.reason else "")))
    reached = (
        (attempt.connected_at, "connected"),
        (attempt.handing_over_at, "handing over"),
        (attempt.ended_at, outcome or "ended"),
    )
    for moment, stage in reached:
        if moment is not None:
            passed = short_span((moment - before).total_seconds())
            yield f"{'':<10} {clock(moment)}  {stage:<14} +{passed}"
            before = moment
    if attempt.answer or attempt.code:
        yield f"{'':<25}{answer_of(attempt)}"


def answer_of(told: Mail | Attempt) -> str:
    """Return code and words; the words already begin with the enhanced code where there is one."""
    enhanced = "" if told.enhanced and (told.answer or "").startswith(told.enhanced) else told.enhanced
    return clean(" ".join(filter(None, (str(told.code or ""), enhanced, told.answer))))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

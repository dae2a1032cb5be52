"""How mails look in the shell: a table on a terminal, plain lines in a pipe, JSON where asked for."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailroom.i18n.sentences import sentence
from mailroom.kit.text import age, clean, clock, full, span, until
from mailroom.mail.administration import Shown
from mailroom.mail.models import Attempt, Mail
from mailroom.mail.states import Reason, State, message_code

COLUMNS = ("id", "kind", "to", "state", "stage", "attempt", "reason", "age", "next try")
STATE, WHOLE = COLUMNS.index("state"), {"id", "state", "age", "next try"}
NARROW, ROOMY = 110, {"kind", "stage", "attempt"}
"""Columns of terminal below which the table does without these; `mailroom show` has them."""
COLOURS = {
    State.SENT: "green", State.FAILED: "red", State.EXPIRED: "red", State.RETRYING: "yellow",
    State.UNCERTAIN: "yellow", State.SENDING: "cyan",
}  # fmt: skip


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
    """Print a table where people look on, else a heading and one line a mail, fields parted by tabs."""
    rows = [_row(mail, now) for mail in mails]
    if not sys.stdout.isatty():
        for row in (COLUMNS, *rows):
            click.echo("\t".join(row))
        return
    if not rows:
        return
    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    left_out = ROOMY if console.width < NARROW else set()
    shown = [i for i, name in enumerate(COLUMNS) if name not in left_out and any(row[i] for row in rows)]
    for i in shown:
        widest = max(len(row[i]) for row in (COLUMNS, *rows))
        table.add_column(COLUMNS[i], no_wrap=True, min_width=widest if COLUMNS[i] in WHOLE else None)
    for row in rows:
        table.add_row(*(Text(row[i], style=COLOURS.get(State(row[i]), "") if i == STATE else "") for i in shown))
    console.print(table)


def _row(mail: Mail, now: datetime) -> tuple[str, ...]:
    reason = " ".join(filter(None, (mail.reason, str(mail.code or ""), mail.enhanced)))
    return (
        str(mail.id),
        mail.kind,
        clean(mail.recipient),
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
    state = click.style(mail.state, fg=COLOURS.get(State(mail.state)))
    yield "To", clean(mail.recipient)
    yield "Kind", mail.kind
    yield "State", f"{state} ({mail.stage})" if mail.stage else state
    if mail.reason:
        yield "Reason", f"{mail.reason}: {sentence(message_code(mail.reason, held=mail.held))}"
    if mail.answer:
        yield "Cause" if mail.reason == Reason.BROKEN else "Answer", _answer(mail)
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
            took = (moment - before).total_seconds()
            passed = f"{took * 1000:.0f} ms" if took < 1 else span(took)
            yield f"{'':<10} {clock(moment)}  {stage:<14} +{passed}"
            before = moment
    if attempt.answer or attempt.code:
        yield f"{'':<25}{_answer(attempt)}"


def _answer(told: Mail | Attempt) -> str:
    """Return code and words; the words already begin with the enhanced code where there is one."""
    enhanced = "" if told.enhanced and (told.answer or "").startswith(told.enhanced) else told.enhanced
    return clean(" ".join(filter(None, (str(told.code or ""), enhanced, told.answer))))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

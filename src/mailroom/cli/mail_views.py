"""How mails look in the shell: in lists, one by one, and as JSON."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import click

from mailroom.cli.state_colours import state_colour
from mailroom.cli.tables import Column, print_facts, print_table
from mailroom.i18n.columns import padded
from mailroom.i18n.formats import until
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.i18n.sentences import sentence
from mailroom.kit.clock import iso
from mailroom.kit.text import age, clean, clock, full, short_span, span
from mailroom.mail.administration import Shown
from mailroom.mail.kinds import WITHHELD
from mailroom.mail.models import Attempt, Mail
from mailroom.mail.states import Reason, message_code

COLUMNS = (
    Column(gettext_noop("id"), whole=True),
    Column(gettext_noop("kind"), needed=False),
    Column(gettext_noop("to")),
    Column(gettext_noop("state"), whole=True, colour=state_colour),
    Column(gettext_noop("stage"), needed=False),
    Column(gettext_noop("attempt"), needed=False),
    Column(gettext_noop("reason")),
    Column(gettext_noop("age"), whole=True),
    Column(gettext_noop("next try"), whole=True),
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
        "created_at": iso(mail.created_at),
        "next_attempt_at": iso(mail.next_attempt_at),
        "expires_at": iso(mail.expires_at),
        "ended_at": iso(mail.ended_at),
    }


def shown_json(shown: Shown) -> dict[str, Any]:
    """Return a mail and its attempts for machines."""
    times = ("claimed_at", "connected_at", "handing_over_at", "ended_at")
    words = ("attempt", "worker", "server", "outcome", "reason", "code", "enhanced", "answer")
    attempts = [
        {name: getattr(attempt, name) for name in words} | {name: iso(getattr(attempt, name)) for name in times}
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
        clean(mail.recipient or gettext("(deleted)")),
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
    click.echo(click.style(gettext("Mail %(id)s", id=mail.id), bold=True))
    print_facts(_facts(mail, now))
    for attempt in shown.attempts:
        click.echo()
        title = gettext("Attempt %(number)s", number=attempt.attempt)
        click.echo(f"{click.style(title, bold=True)} {_by(attempt)}")
        for line in _timeline(attempt):
            click.echo(f"  {line}")
    if not shown.attempts:
        click.echo("\n" + gettext("No worker has taken it yet."))


def _by(attempt: Attempt) -> str:
    if not attempt.server:
        return gettext("by %(worker)s", worker=clean(attempt.worker))
    return gettext("by %(worker)s through %(server)s", worker=clean(attempt.worker), server=clean(attempt.server))


def ended_after(ended: datetime, began: datetime) -> str:
    """Return when something ended, and how long after it began."""
    return gettext("%(moment)s, after %(time)s", moment=full(ended), time=span((ended - began).total_seconds()))


def _facts(mail: Mail, now: datetime) -> Iterator[tuple[str, str]]:
    state = click.style(mail.state, fg=state_colour(mail.state) or None)
    yield gettext("To"), clean(mail.recipient or gettext("(deleted)"))
    yield gettext("Kind"), mail.kind
    yield gettext("State"), f"{state} ({mail.stage})" if mail.stage else state
    if (mail.params or {}).get(WITHHELD):
        yield (
            gettext("Withheld"),
            gettext("This mailbox got enough mails from forms. The mail server got no content."),
        )
    if mail.reason:
        yield gettext("Reason"), f"{mail.reason}: {sentence(message_code(mail.reason, held=mail.held))}"
    if mail.answer:
        yield gettext("Cause") if mail.reason == Reason.BROKEN else gettext("Answer"), answer_of(mail)
    yield (
        gettext("Created"),
        gettext("%(moment)s, %(time)s ago", moment=full(mail.created_at), time=age(mail.created_at, now)),
    )
    if mail.ended_at:
        yield gettext("Ended"), ended_after(mail.ended_at, mail.created_at)
        return
    if mail.next_attempt_at:
        yield gettext("Next try"), f"{full(mail.next_attempt_at)}, {until(mail.next_attempt_at, now)}"
    yield gettext("Expires"), f"{full(mail.expires_at)}, {until(mail.expires_at, now)}"


def _timeline(attempt: Attempt) -> Iterator[str]:
    claimed = gettext("claimed")
    yield f"{full(attempt.claimed_at)[:10]} {clock(attempt.claimed_at)}  {claimed}"
    before = attempt.claimed_at
    outcome = " ".join(filter(None, (attempt.outcome, f"({attempt.reason})" if attempt.reason else "")))
    reached = (
        (attempt.connected_at, gettext("connected")),
        (attempt.handing_over_at, gettext("handing over")),
        (attempt.ended_at, outcome or gettext("ended")),
    )
    for moment, stage in reached:
        if moment is not None:
            passed = short_span((moment - before).total_seconds())
            yield f"{'':<10} {clock(moment)}  {padded(stage, 14)} +{passed}"
            before = moment
    if attempt.answer or attempt.code:
        yield f"{'':<25}{answer_of(attempt)}"


def answer_of(told: Mail | Attempt) -> str:
    """Return code and words; the words already begin with the enhanced code if there is one."""
    enhanced = "" if told.enhanced and (told.answer or "").startswith(told.enhanced) else told.enhanced
    return clean(" ".join(filter(None, (str(told.code or ""), enhanced, told.answer))))

"""The retry policy: one pure function decides where a mail goes after an attempt."""

import random
from datetime import timedelta
from typing import NamedTuple

from mailroom.mail.states import REFUSED_FOR_GOOD, Reason, Stage, State

MOST_CRASHES = 5
"""After so many attempts that ended with their worker, the mail counts as the cause: a poison mail."""

POISON_FROM = 2
"""After so many crashes a mail is sent alone, so that a further crash can only be its own."""

SHORTEST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
SOON_OVER = frozenset(
    {
        Reason.UNREACHABLE,
        Reason.TLS,
        Reason.SIGN_IN,
        Reason.DISCONNECTED,
        Reason.NO_ANSWER,
        Reason.UNKNOWN_KIND,  # a rolling upgrade: workers that have the app come up
    }
)
"""Trouble that the mail did not cause: it is tried again at least each minute."""
UNCERTAIN_WAITS = (0, 10, 60, 600, 3600)
"""Seconds until a mail is sent again after its reply got lost for the first, second, … time. After the last one it
waits for a person: a server that takes every mail and never replies would otherwise fill somebody's inbox."""


class DeliveryResult(NamedTuple):
    """The mail server's reply to a delivery, or the reason why there is none.

    `code` is the reply code (RFC 5321 §4.2), `enhanced` the enhanced status code (RFC 3463), `text` the server's
    own text. `reason` is what they mean for the mail; it is None if the server accepted the mail.
    """

    reason: Reason | None = None
    code: int | None = None
    enhanced: str | None = None
    text: str | None = None


class Decision(NamedTuple):
    """The state a mail goes to, the reason, and for `retrying` and `uncertain` the seconds until the next attempt.

    An uncertain mail without a next attempt waits for a person.
    """

    state: State
    reason: Reason | None = None
    retry_in: float | None = None


SENT = Decision(State.SENT)
LOST_ANSWERS = frozenset({Reason.NO_ANSWER, Reason.WORKER_LOST, Reason.RESTORED})
"""Reasons that leave it open whether the server has a mail that was being handed over."""


def decide(
    stage: Stage,
    result: DeliveryResult,
    *,
    age: timedelta,
    expires_in: timedelta,
    crashes: int = 0,
    uncertain: int = 0,
    on_uncertain: str = "resend",
) -> Decision:
    """Return where a mail goes whose attempt reached `stage` and ended with `result`.

    `age` is the time since the mail was queued, `expires_in` the time until it is too old for its kind. `crashes`
    counts the attempts that ended with their worker, this one included; `uncertain` counts earlier attempts whose
    reply got lost. The wait grows with the age, from 10 seconds to an hour: a short outage costs little time, and
    a long one does not bring the server a flood of attempts.
    """
    if result.reason is None:
        return SENT
    if result.reason is Reason.SUPPRESSED:
        return Decision(State.SUPPRESSED, result.reason)
    if result.reason is Reason.BROKEN or result.reason in REFUSED_FOR_GOOD:
        return Decision(State.FAILED, result.reason)
    if crashes >= MOST_CRASHES:
        return Decision(State.FAILED, Reason.CRASHED)
    if stage is Stage.HANDING_OVER and result.reason in LOST_ANSWERS:
        resend = on_uncertain == "resend" and uncertain < len(UNCERTAIN_WAITS)
        return Decision(State.UNCERTAIN, result.reason, _spread(UNCERTAIN_WAITS[uncertain]) if resend else None)
    if result.reason is Reason.WORKER_LOST:
        return Decision(State.QUEUED, result.reason)
    if expires_in <= timedelta():
        return Decision(State.EXPIRED, result.reason)
    return Decision(State.RETRYING, result.reason, wait(result.reason, age))


def wait(reason: Reason, age: timedelta) -> float:
    """Return the seconds until the next attempt. While a server is away, the pool's probe finds its return."""
    if reason in SOON_OVER:
        longest = timedelta(minutes=1) if reason is not Reason.UNREACHABLE else timedelta(seconds=15)
    else:
        longest = LONGEST_WAIT
    return _spread(min(max(age / 2, SHORTEST_WAIT), longest).total_seconds())


def _spread(seconds: float) -> float:
    """Return the seconds with 10 % jitter, so that mails that failed together do not come back together."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311  # nothing secret

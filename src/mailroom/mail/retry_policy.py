"""What becomes of a mail after an attempt: one pure function."""

import random
from datetime import timedelta
from typing import NamedTuple

from mailroom.mail.states import Reason, Stage, State

MOST_CRASHES = 5
"""A mail whose attempts ended with their worker this often is taken for the cause (a poison mail)."""

SUSPECT_FROM = 2
"""Crashes after which a mail is sent alone: what ends its worker then is it, not what it happened to be with."""

SHORTEST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
UNCERTAIN_WAITS = (0, 10, 60, 600, 3600)
"""Seconds until a mail is sent again whose answer got lost for the first, second, ... time. After the last it
waits for a person: a server that takes every mail and never says so would else fill somebody's inbox."""


class Answer(NamedTuple):
    """What the mail server said, or what kept it from saying anything.

    `code` is the reply code (RFC 5321 §4.2), `enhanced` the enhanced status code (RFC 3463), `text` the
    server's own words. `reason` says what they mean to us; none: the server took the mail.
    """

    reason: Reason | None = None
    code: int | None = None
    enhanced: str | None = None
    text: str | None = None


class Decision(NamedTuple):
    """The state a mail goes to, why, and for `retrying` and `uncertain` the seconds until its next attempt.

    An uncertain mail without a next attempt waits for a person.
    """

    state: State
    reason: Reason | None = None
    retry_in: float | None = None


SENT = Decision(State.SENT)


def decide(
    stage: Stage,
    answer: Answer,
    *,
    age: timedelta,
    expires_in: timedelta,
    crashes: int = 0,
    uncertain: int = 0,
    on_uncertain: str = "resend",
) -> Decision:
    """Return what becomes of a mail whose attempt reached `stage` and ended with `answer`.

    `age` is counted from its queueing, `expires_in` until it is too old for its kind; `crashes` counts the
    attempts that ended with their worker, this one included, and `uncertain` the earlier ones whose answer got
    lost. Waiting grows with age, from 10 seconds to an hour, so that a short trouble costs little and a long one
    does not hammer the server.
    """
    if answer.reason is None:
        return SENT
    if answer.reason in {Reason.REFUSED, Reason.BROKEN}:
        return Decision(State.FAILED, answer.reason)
    if crashes >= MOST_CRASHES:
        return Decision(State.FAILED, Reason.CRASHED)
    if stage is Stage.HANDING_OVER and answer.reason in {Reason.NO_ANSWER, Reason.WORKER_LOST}:
        resend = on_uncertain == "resend" and uncertain < len(UNCERTAIN_WAITS)
        return Decision(State.UNCERTAIN, answer.reason, _spread(UNCERTAIN_WAITS[uncertain]) if resend else None)
    if answer.reason is Reason.WORKER_LOST:
        return Decision(State.QUEUED, answer.reason)
    if expires_in <= timedelta():
        return Decision(State.EXPIRED, answer.reason)
    return Decision(State.RETRYING, answer.reason, wait(answer.reason, age))


def wait(reason: Reason, age: timedelta) -> float:
    """Return the seconds until the next attempt; a server that is away is probed by its circuit instead."""
    if reason in {Reason.UNREACHABLE, Reason.TLS, Reason.SIGN_IN, Reason.DISCONNECTED, Reason.NO_ANSWER}:
        longest = timedelta(minutes=1) if reason is not Reason.UNREACHABLE else timedelta(seconds=15)
    else:
        longest = LONGEST_WAIT
    return _spread(min(max(age / 2, SHORTEST_WAIT), longest).total_seconds())


def _spread(seconds: float) -> float:
    """Return about so many seconds, so that mails that failed together do not come back together."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311  # nothing secret

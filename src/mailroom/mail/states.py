"""The states, stages and reasons of a mail, under the names that the database, results, API, pages and tests use.

scheduled → sending  (its time has come, or a sending limit lets it go) → sent
queued → sending → sent
sending → retrying   (trouble that may pass) → sending (when it is due)
sending → queued     (lease over before the handing over)
sending → uncertain  (lease or answer lost after it) → sending (policy resend) | sent (late acceptance)
sending → failed     (refused for good, or crashed too often)
scheduled | queued | retrying | uncertain → expired (too old for its kind)
scheduled | queued | retrying | uncertain → cancelled (by a person)
scheduled | queued | sending → suppressed (its recipient wants no mail)
scheduled | retrying | uncertain | failed | expired | cancelled → queued (by a person)
"""

from enum import StrEnum


class State(StrEnum):
    """Where a mail is."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    RETRYING = "retrying"
    UNCERTAIN = "uncertain"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"


class Stage(StrEnum):
    """How far an attempt has come. From the handing over on, a lost reply makes the mail uncertain."""

    CLAIMED = "claimed"
    CONNECTED = "connected"
    HANDING_OVER = "handing over"
    ACCEPTED = "accepted"


class Reason(StrEnum):
    """Why a mail waits or has ended."""

    UNREACHABLE = "unreachable"  # no connection, no greeting, or a server that is closing (421)
    TLS = "tls"  # STARTTLS is required and not offered, or the certificate is not good
    SIGN_IN = "sign-in"  # the server does not take our user and password
    DEFERRED = "deferred"  # a 4yz answer: later
    REFUSED = "refused"  # a 5yz answer that blames the recipient's address, or nobody
    MAILBOX_REFUSED = "mailbox refused"  # a 5yz answer that blames the recipient's mailbox or mail system
    SENDER_REFUSED = "sender refused"  # a 5yz answer that blames our address, its domain, rights or limits
    POLICY_REFUSED = "policy refused"  # spam, or another rule of the server
    CONTENT_REFUSED = "content refused"  # too large, or of a form that the server cannot take
    PROTOCOL_REFUSED = "protocol refused"  # the server does not know our commands
    DISCONNECTED = "disconnected"  # the connection ended before the handing over
    NO_ANSWER = "no answer"  # the connection ended, or time ran out, after it
    RESTORED = "restored"  # it may have gone out after the backup that the database was restored from
    WORKER_LOST = "worker lost"  # the lease ran out
    CRASHED = "crashed"  # it ended its worker too often
    SUPPRESSED = "suppressed"  # its recipient bounced, complained or unsubscribed
    LIMITED = "limited"  # a sending limit lets it go later
    PAUSED = "paused"  # an operator holds mails of its kind or stream back
    UNKNOWN_KIND = "unknown kind"  # the worker lacks the app that the mail belongs to; another may have it
    BROKEN = "broken"  # it cannot be rendered or addressed
    EXPIRED = "expired"
    CANCELLED = "cancelled"


REFUSED_FOR_GOOD = frozenset(
    {
        Reason.REFUSED,
        Reason.MAILBOX_REFUSED,
        Reason.SENDER_REFUSED,
        Reason.POLICY_REFUSED,
        Reason.CONTENT_REFUSED,
        Reason.PROTOCOL_REFUSED,
    }
)
"""The reasons of a permanent refusal (5yz)."""


def message_code(reason: str, *, held: bool = False) -> str:
    """Return the code of the sentence for a reason (`i18n/sentences.py`); `held`: it waits for a person."""
    if held:
        return "mail.held_restored" if reason == Reason.RESTORED else "mail.held"
    return "mail." + reason.replace(" ", "_").replace("-", "_")


FINAL = frozenset({State.SENT, State.FAILED, State.EXPIRED, State.CANCELLED, State.SUPPRESSED})
"""States that end a mail. An `uncertain` mail that waits for a person has ended, too."""

MOVES: dict[State, frozenset[State]] = {
    State.SCHEDULED: frozenset(
        {
            State.SENDING,
            State.SCHEDULED,
            State.RETRYING,
            State.QUEUED,
            State.CANCELLED,
            State.EXPIRED,
            State.SUPPRESSED,
        }
    ),
    State.QUEUED: frozenset({State.SENDING, State.RETRYING, State.CANCELLED, State.EXPIRED, State.SUPPRESSED}),
    State.RETRYING: frozenset({State.SENDING, State.RETRYING, State.CANCELLED, State.EXPIRED, State.QUEUED}),
    State.SENDING: frozenset(
        {
            State.SENT,
            State.RETRYING,
            State.QUEUED,
            State.UNCERTAIN,
            State.FAILED,
            State.EXPIRED,
            State.SUPPRESSED,
        }
    ),
    State.UNCERTAIN: frozenset(
        {State.SENDING, State.SENT, State.QUEUED, State.FAILED, State.EXPIRED, State.CANCELLED}
    ),
    State.FAILED: frozenset({State.QUEUED}),
    State.EXPIRED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
    State.SUPPRESSED: frozenset({State.QUEUED}),
    State.SENT: frozenset(),
}
"""The state machine: the states that may follow each state. The tests check rows and live states against it.

Two moves are left out. A late acceptance makes a mail `sent` from any state, since the server has it then. A
recipient who uses its link or code makes it `sent` if it would be sent again otherwise (`mark_received`).
"""

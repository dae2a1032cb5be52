"""Our own sentences for why a mail waits or has ended; fit for anyone who may watch it."""

from mailroom.mail.states import Reason

SENTENCES: dict[str, str] = {
    Reason.UNREACHABLE: "The mail server cannot be reached. The mail is kept and goes out once it is back.",
    Reason.TLS: "The mail server offers no safe connection. The mail is kept; the operator has to look into it.",
    Reason.SIGN_IN: "The mail server does not accept Mailroom's sign-in. The mail is kept; the operator has to "
    "look into it.",
    Reason.DEFERRED: "The mail server asked to try again later.",
    Reason.REFUSED: "The mail server refused this mail for good. Check the address for a slip of the pen and "
    "start again with the right one.",
    Reason.DISCONNECTED: "The connection to the mail server ended before the mail was handed over. "
    "It will be sent again.",
    Reason.NO_ANSWER: "The mail was handed over, but the mail server's answer got lost.",
    Reason.WORKER_LOST: "The worker that had this mail has stopped. Another one takes over.",
    Reason.CRASHED: "This mail stopped its worker several times. The operator has to look into it.",
    Reason.BROKEN: "This mail could not be written as it should be. The operator has to look into it.",
    Reason.EXPIRED: "The mail grew too old before the mail server took it.",
    Reason.CANCELLED: "The mail was cancelled.",
}


HELD = (
    "The mail was handed over, but the mail server's answer got lost, so it may well be in the inbox already. "
    "It is not sent again by itself."
)
"""For a mail that is uncertain and left to a person."""


def sentence(reason: str | None) -> str | None:
    """Return the sentence for a reason of `mail/states.py`; None for none."""
    return SENTENCES.get(reason) if reason else None

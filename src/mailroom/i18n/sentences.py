"""The catalogue of sentences: what a person reads for each code.

Rows, stored results and snapshots carry a code and its parameters. Only the edges (`web`, `cli`) use this module.
A code begins with the room that uses it. Parameters stand in a sentence as `%(name)s`, as gettext expects it.
"""

from collections.abc import Mapping
from typing import Any

from mailroom.progress.snapshot import Snapshot

SENTENCES: dict[str, str] = {
    "mail.unreachable": "The mail server cannot be reached. The mail is kept and goes out once it is back.",
    "mail.tls": "The mail server offers no safe connection. The mail is kept; the operator has to look into it.",
    "mail.sign_in": "The mail server does not accept Mailroom's sign-in. The mail is kept; the operator has to "
    "look into it.",
    "mail.deferred": "The mail server asked to try again later.",
    "mail.refused": "The mail server refused this mail for good. Check the address for a slip of the pen and "
    "start again with the right one.",
    "mail.disconnected": "The connection to the mail server ended before the mail was handed over. "
    "It will be sent again.",
    "mail.no_answer": "The mail was handed over, but the mail server's answer got lost.",
    "mail.held": "The mail was handed over, but the mail server's answer got lost, so it may well be in the inbox "
    "already. It is not sent again by itself.",
    "mail.worker_lost": "The worker that had this mail has stopped. Another one takes over.",
    "mail.crashed": "This mail stopped its worker several times. The operator has to look into it.",
    "mail.broken": "This mail could not be written as it should be. The operator has to look into it.",
    "mail.expired": "The mail grew too old before the mail server took it.",
    "mail.cancelled": "The mail was cancelled.",
}
"""Each code and its sentence in English."""


def sentence(code: str, params: Mapping[str, Any] | None = None) -> str:
    """Return the sentence of a code, filled with its parameters.

    A newer worker may send a code that this process does not know yet, or other parameters: then the code itself
    is returned.
    """
    try:
        return SENTENCES[code] % (params or {})
    except (KeyError, TypeError, ValueError):
        return code


def message_of(facts: Mapping[str, Any]) -> str | None:
    """Return the sentence for `message_code` and `params`, or else the text in `message`, if there is one.

    A task's own report and an exception bring their text along; everything that Mailroom says has a code.
    """
    code, message = facts.get("message_code"), facts.get("message")
    if code:
        return sentence(code, facts.get("params"))
    return None if message is None else str(message)


def described(snapshot: Snapshot, *, owner: bool = False) -> dict[str, Any]:
    """Return the public form of a snapshot (`Snapshot.public`) with `message` and `error.message` in words."""
    public = snapshot.public(owner=owner)
    if snapshot.message_code:
        public["message"] = message_of(public)
    error = public.get("error")
    if error and "message_code" in error:
        error["message"] = message_of(error)
    return public

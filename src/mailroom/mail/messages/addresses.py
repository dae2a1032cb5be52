"""Addresses as programs write them: ``Alice <alice@example.org>`` or ``alice@example.org`` (RFC 5322 §3.4)."""

import re
from email.utils import parseaddr

from email_validator import EmailNotValidError, validate_email

from mailroom.kit.domain_names import to_ascii
from mailroom.mail.messages.draft import CONTROL, Mailbox

LONGEST = 254
"""Characters of an address (RFC 5321 §4.5.3.1.3)."""
LONGEST_NAME = 320
LOCAL = r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
USUAL = re.compile(
    rf"(?:(?P<name>[A-Za-z0-9][A-Za-z0-9 ]*) )?(?P<open><)?(?P<address>{LOCAL}@{LABEL}(?:\.{LABEL})+)(?(open)>)"
)
"""Matches most addresses, at a fiftieth of what the library costs."""
LONGEST_LOCAL = 64
LOCALHOST = re.compile(r"(?P<before>.+)@localhost(?P<after>>?)", re.IGNORECASE)


class NotAnAddress(ValueError):
    """A text is no address; the message says what is wrong."""


def read_mailbox(text: str, *, localhost: bool = False) -> Mailbox:
    """Return the mailbox in this text, without asking the network. Raises `NotAnAddress` with its reason.

    `localhost`: the domain may be `localhost`, as in the MAIL_FROM of `mailroom up`; for senders only.
    """
    text = text.strip()
    if localhost and (here := LOCALHOST.fullmatch(text)):
        dotted = read_mailbox(f"{here['before']}@localhost.example{here['after']}")
        return Mailbox(dotted.name, f"{dotted.address.rpartition('@')[0]}@localhost")
    usual = USUAL.fullmatch(text)
    if usual and (usual["open"] or not usual["name"]):
        name, address = (usual["name"] or "").strip(), usual["address"]
        if len(address) <= LONGEST and address.index("@") <= LONGEST_LOCAL:
            local, _, domain = address.rpartition("@")
            return Mailbox(name, f"{local}@{domain.lower()}")
    if CONTROL.search(text) or len(text) > LONGEST + LONGEST_NAME + 3:
        raise NotAnAddress("An address is one line: name@example.org, or Name <name@example.org>.")
    named = re.fullmatch(r"(?P<name>.*?)\s*<(?P<address>[^<>]+)>", text)
    name, address = (named["name"], named["address"]) if named else ("", text)
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = parseaddr(f"{name} <a@b>")[0]
    try:
        found = validate_email(address.strip(), check_deliverability=False, test_environment=True, strict=True)
        to_ascii(found.domain)
    except (EmailNotValidError, ValueError) as error:
        words = str(error).rstrip(".")
        raise NotAnAddress(f"{words}." if words else "This is no mail address.") from None
    return Mailbox(name, found.normalized)

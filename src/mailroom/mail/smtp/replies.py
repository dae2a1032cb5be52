"""The meaning of a mail server's reply: by the command that it answers and by its enhanced status code.

The reply code says whether to try again (RFC 5321 §4.2.1). The enhanced code and the stage of the conversation say
who is to blame, and so what a person can do: 454 is a refused sign-in after AUTH (RFC 4954 §6), no TLS after
STARTTLS (RFC 3207 §4), and "too fast" after DATA (Amazon SES).

Sources of the table: RFC 3463 and the registry of RFC 5248 (IANA, "SMTP Enhanced Status Codes"), with RFC 4954,
RFC 6152, RFC 6531, RFC 7293, RFC 7372, RFC 7505; "Gmail SMTP errors and codes" (Google Workspace Admin Help);
"Email non-delivery reports and SMTP errors in Exchange Online" (Microsoft Learn); "SMTP response codes returned by
Amazon SES" (Amazon SES Developer Guide); Postfix's smtpd(8) and its access and restriction replies.
"""

import re
from enum import StrEnum

from mailroom.mail.retry_policy import DeliveryResult
from mailroom.mail.states import Reason

COMPLETED = range(200, 300)
"""The positive completion replies."""
PERMANENT = range(500, 600)
CLOSING = 421
BAD_SEQUENCE = 503
SIGN_IN_CODES = frozenset({530, 534, 535, 538})
"""After any command: a sign-in is required, or was not good enough (RFC 4954 §6)."""
ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:[\s:;,]|$)")
LONGEST = 500
"""Characters of a server's text that are kept."""


class Command(StrEnum):
    """What a reply answers: the stage of the conversation."""

    CONNECT = "connect"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"


BY_DETAIL: dict[str, Reason] = {
    # Addressing. X.1.7, X.1.8: bad sender's mailbox and system (RFC 3463 §3.2).
    "1.7": Reason.SENDER_REFUSED,
    "1.8": Reason.SENDER_REFUSED,  # Exchange Online: "Access denied, bad outbound sender"
    "1.20": Reason.CONTENT_REFUSED,  # Exchange Online: several addresses in From
    "1.90": Reason.SENDER_REFUSED,  # Exchange Online: the sender's daily limit of recipients
    # Mailbox. X.2.3: the message is longer than the limit (RFC 3463 §3.3).
    "2.3": Reason.CONTENT_REFUSED,
    # Mail system. X.3.4: the message is too big for the system; X.3.3: a feature is missing (RFC 3463 §3.4).
    "3.3": Reason.CONTENT_REFUSED,
    "3.4": Reason.CONTENT_REFUSED,
    # Routing. X.4.4: no route to the domain (RFC 3463 §3.5).
    "4.1": Reason.REFUSED,  # Exchange Online: "Recipient address rejected: Access denied"
    "4.4": Reason.REFUSED,
    "4.5": Reason.SENDER_REFUSED,  # Gmail: "Daily user sending limit exceeded"
    "4.310": Reason.REFUSED,  # Exchange Online: the domain does not exist
    # Protocol. X.5.3: too many recipients; Mailroom names one (RFC 3463 §3.6).
    "5.3": Reason.SENDER_REFUSED,
    # Content. X.6.7: addresses outside ASCII are not possible (RFC 6531 §4.4).
    "6.7": Reason.REFUSED,
    # Security and policy (RFC 3463 §3.8).
    "7.8": Reason.SIGN_IN,  # credentials invalid (RFC 4954 §6)
    "7.9": Reason.SIGN_IN,  # mechanism too weak; Gmail: an application-specific password is required
    "7.10": Reason.TLS,  # encryption needed (RFC 5248 §2.4)
    "7.11": Reason.TLS,  # encryption required for this mechanism (RFC 4954 §6)
    "7.14": Reason.SIGN_IN,  # trust relationship required (RFC 4954); Gmail: log in with the browser first
    "7.17": Reason.REFUSED,  # the mailbox has another owner (RFC 7293 §8)
    "7.18": Reason.REFUSED,
    "7.57": Reason.SIGN_IN,  # Exchange Online: "Client was not authenticated to send anonymous mail"
    "7.60": Reason.SENDER_REFUSED,  # Exchange: "Client does not have permissions to send as this sender"
    "7.64": Reason.SENDER_REFUSED,  # Exchange Online: "TenantAttribution; Relay access denied"
    **{
        # DKIM, SPF, reverse DNS, DMARC (RFC 7372 §3), the sender's null MX (RFC 7505 §4); Gmail: 27 to 30, 40.
        f"7.{detail}": Reason.SENDER_REFUSED
        for detail in (*range(20, 31), 40)
    },
}
"""Subject and detail of an enhanced code that say more than their subject does."""

BY_SUBJECT: dict[str, Reason] = {
    "1": Reason.REFUSED,
    "2": Reason.MAILBOX_REFUSED,
    "3": Reason.MAILBOX_REFUSED,
    "4": Reason.MAILBOX_REFUSED,
    "5": Reason.PROTOCOL_REFUSED,
    "6": Reason.CONTENT_REFUSED,
    "7": Reason.POLICY_REFUSED,
}
"""Subjects of enhanced codes (RFC 3463 §3.1). Subject 0 says nothing: the command decides."""

EXCHANGE_TENANT = re.compile(r"7\.(5\d\d|7\d\d)")
"""Exchange Online's 5.7.501 to 5.7.512 and 5.7.7xx: the sending tenant or address is blocked or over a limit."""

BY_COMMAND: dict[Command, Reason] = {
    Command.MAIL: Reason.SENDER_REFUSED,
    Command.RCPT: Reason.REFUSED,
    Command.DATA: Reason.POLICY_REFUSED,
    Command.CONTENT: Reason.POLICY_REFUSED,  # Amazon SES: "554 Message rejected: Email address is not verified"
}
"""The most common meaning of a refusal without an enhanced code: it is about what the command just named."""

SYNTAX = frozenset({500, 501, 502, BAD_SEQUENCE, 504, 555})
"""The server rejects the command itself (RFC 5321 §4.2.2)."""


def classify(command: Command, code: int, text: str, *, tls: bool = True) -> DeliveryResult:
    """Return the meaning of the reply to a command; `tls`: the connection is encrypted.

    A reply to `CONNECT`, `EHLO`, `STARTTLS` or `AUTH` is about the server and Mailroom's settings, never a mail.
    """
    words = readable(text)
    match = ENHANCED.match(words)
    enhanced = match.group(1) if match else None
    if code in COMPLETED:
        reason = None
    elif command in _OPENING:
        reason = _of_opening(command, code, enhanced, tls=tls)
    elif code == CLOSING:
        reason = Reason.DISCONNECTED
    elif code in SIGN_IN_CODES:
        reason = Reason.TLS if not tls and ("STARTTLS" in words.upper() or code == 538) else Reason.SIGN_IN  # noqa: PLR2004  # RFC 3207 §4, RFC 4954 §6
    elif code in PERMANENT:
        reason = _of_refusal(command, code, enhanced)
    else:
        reason = Reason.DEFERRED
    return DeliveryResult(reason, code if code > 0 else None, enhanced, words[:LONGEST])


_OPENING = frozenset({Command.CONNECT, Command.EHLO, Command.STARTTLS, Command.AUTH})


def _of_opening(command: Command, code: int, enhanced: str | None, *, tls: bool) -> Reason:
    if code == CLOSING or command in {Command.CONNECT, Command.EHLO}:
        return Reason.UNREACHABLE
    if command is Command.STARTTLS:
        return Reason.TLS
    needs_tls = code == 538 or (enhanced or "")[2:] in {"7.10", "7.11"} or (code == 530 and not tls)  # noqa: PLR2004
    return Reason.TLS if needs_tls and not tls else Reason.SIGN_IN


def _of_refusal(command: Command, code: int, enhanced: str | None) -> Reason:
    """Return whom a permanent refusal blames."""
    detail = (enhanced or "5.0.0")[2:]
    subject = detail.partition(".")[0]
    if subject == "1" and command is Command.MAIL:  # no recipient has been named yet
        return Reason.SENDER_REFUSED
    if detail == "7.1" and command is Command.MAIL:  # Postfix: "Sender address rejected: not owned by user"
        return Reason.SENDER_REFUSED
    if detail in BY_DETAIL:
        return BY_DETAIL[detail]
    if EXCHANGE_TENANT.fullmatch(detail):
        return Reason.SENDER_REFUSED
    if subject in BY_SUBJECT:
        return BY_SUBJECT[subject]
    if code in SYNTAX and not (code == 501 and command is Command.RCPT):  # noqa: PLR2004  # "bad address syntax"
        return Reason.PROTOCOL_REFUSED
    if code == 552:  # noqa: PLR2004  # storage exceeded: of the mailbox, or by the content (RFC 5321 §4.2.2)
        return Reason.MAILBOX_REFUSED if command is Command.RCPT else Reason.CONTENT_REFUSED
    return BY_COMMAND[command]


def readable(text: object) -> str:
    """Return a server's text as one line that can be stored. Servers send Latin-1, NUL and worse."""
    words = " ".join(str(text).split())
    if words.isprintable():
        return words
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in words)

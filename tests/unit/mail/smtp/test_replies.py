"""The table of replies: whom each blames, by the stage it comes at and its enhanced code."""

from itertools import product

import pytest

from mailroom.i18n.sentences import SENTENCES, sentence
from mailroom.mail.retry_policy import decide
from mailroom.mail.smtp.replies import Command, classify
from mailroom.mail.states import REFUSED_FOR_GOOD, Reason, Stage, State, message_code
from tests.unit.mail.test_retry_policy import YOUNG

C, R = Command, Reason

BEFORE_A_MAIL = [
    (C.CONNECT, "554 5.3.2 no SMTP service here", R.UNREACHABLE),
    (C.CONNECT, "421 4.7.0 too many connections", R.UNREACHABLE),
    (C.EHLO, "550 5.7.1 helo rejected", R.UNREACHABLE),
    (C.EHLO, "501 5.5.4 invalid domain name", R.UNREACHABLE),
    (C.STARTTLS, "454 4.7.0 TLS not available due to local problem", R.TLS),  # RFC 3207 §4, Postfix
    (C.STARTTLS, "530 5.7.0 not here", R.TLS),
    (C.STARTTLS, "502 5.5.1 command not implemented", R.TLS),
    (C.STARTTLS, "501 syntax error", R.TLS),
    (C.AUTH, "535 5.7.8 username and password not accepted", R.SIGN_IN),  # RFC 4954 §6, Gmail
    (C.AUTH, "535 5.7.3 authentication unsuccessful", R.SIGN_IN),  # Exchange Online
    (C.AUTH, "454 4.7.0 temporary authentication failure", R.SIGN_IN),  # RFC 4954 §6
    (C.AUTH, "534 5.7.9 application-specific password required", R.SIGN_IN),  # Gmail
    (C.AUTH, "550 5.7.1 this account may not send", R.SIGN_IN),
    (C.AUTH, "421 4.3.2 going down", R.UNREACHABLE),
]
ABOUT_A_MAIL = [
    # Any command
    (C.MAIL, "421 4.7.0 try again later, closing connection", R.DISCONNECTED),
    (C.DATA, "454 Throttling failure: Maximum sending rate exceeded.", R.DEFERRED),  # Amazon SES
    (C.CONTENT, "454 4.7.0 too fast", R.DEFERRED),
    (C.MAIL, "454 4.7.0 later", R.DEFERRED),
    (C.RCPT, "450 4.2.1 receiving mail too quickly", R.DEFERRED),  # Gmail
    (C.RCPT, "451 4.7.1 greylisted", R.DEFERRED),
    (C.MAIL, "530 5.7.0 authentication required", R.SIGN_IN),  # RFC 4954 §6
    (C.MAIL, "530 5.7.57 client was not authenticated to send anonymous mail", R.SIGN_IN),  # Exchange Online
    (C.MAIL, "550 5.7.57 client was not authenticated", R.SIGN_IN),
    (C.RCPT, "535 5.7.8 sign in first", R.SIGN_IN),
    # The recipient's address
    (C.RCPT, "550 5.1.1 no such user", R.REFUSED),
    (C.CONTENT, "550 5.1.1 no such user", R.REFUSED),
    (C.RCPT, "550 5.1.2 host not found", R.REFUSED),
    (C.RCPT, "550 5.1.10 recipient not found", R.REFUSED),  # RFC 7505 §4, Exchange Online
    (C.RCPT, "553 5.1.3 bad address syntax", R.REFUSED),
    (C.RCPT, "550 5.4.1 recipient address rejected: access denied", R.REFUSED),  # Exchange Online
    (C.RCPT, "550 5.4.4 unable to route", R.REFUSED),
    (C.RCPT, "550 no such mailbox", R.REFUSED),
    (C.RCPT, "550 5.0.0 no", R.REFUSED),
    (C.RCPT, "501 bad address", R.REFUSED),
    (C.RCPT, "551 user not local", R.REFUSED),
    (C.RCPT, "550 5.7.17 mailbox owner has changed", R.REFUSED),  # RFC 7293 §8
    (C.RCPT, "553 5.6.7 addresses outside ASCII", R.REFUSED),  # RFC 6531 §4.4
    # Its mailbox
    (C.RCPT, "552 5.2.2 mailbox full", R.MAILBOX_REFUSED),
    (C.RCPT, "550 5.2.1 mailbox disabled", R.MAILBOX_REFUSED),
    (C.RCPT, "550 5.3.2 system does not accept mail", R.MAILBOX_REFUSED),
    (C.RCPT, "552 quota exceeded", R.MAILBOX_REFUSED),
    (C.CONTENT, "554 5.4.14 hop count exceeded", R.MAILBOX_REFUSED),  # Exchange Online
    # The sender
    (C.MAIL, "550 5.1.7 invalid address", R.SENDER_REFUSED),  # RFC 3463 §3.2, Exchange
    (C.RCPT, "550 5.1.8 access denied, bad outbound sender", R.SENDER_REFUSED),  # Exchange Online
    (C.MAIL, "550 5.1.0 sender rejected", R.SENDER_REFUSED),
    (C.MAIL, "553 5.7.1 sender address rejected: not owned by user", R.SENDER_REFUSED),  # Postfix
    (C.MAIL, "550 no", R.SENDER_REFUSED),
    (
        C.CONTENT,
        "550 5.7.60 no permissions to send as this sender",
        R.SENDER_REFUSED,
    ),  # Exchange
    (C.MAIL, "550 5.4.5 daily user sending limit exceeded", R.SENDER_REFUSED),  # Gmail
    (C.CONTENT, "550 5.1.90 your message can't be sent", R.SENDER_REFUSED),  # Exchange Online
    (C.CONTENT, "550 5.7.26 unauthenticated mail is prohibited", R.SENDER_REFUSED),  # RFC 7372 §3, Gmail
    (C.RCPT, "550 5.7.23 SPF validation failed", R.SENDER_REFUSED),  # RFC 7372 §3
    (C.RCPT, "550 5.7.25 no PTR record", R.SENDER_REFUSED),  # RFC 7372 §3, Gmail
    (C.RCPT, "550 5.7.708 service unavailable", R.SENDER_REFUSED),  # Exchange Online
    (C.CONTENT, "550 5.7.509 access denied, DMARC", R.SENDER_REFUSED),  # Exchange Online
    # A rule of the server
    (C.CONTENT, "554 5.7.1 spam message rejected", R.POLICY_REFUSED),
    (C.RCPT, "554 5.7.1 relay access denied", R.POLICY_REFUSED),  # Postfix
    (C.RCPT, "550 5.7.1 blocked, see the list", R.POLICY_REFUSED),
    (C.CONTENT, "554 Message rejected: Email address is not verified.", R.POLICY_REFUSED),  # Amazon SES
    (C.CONTENT, "550 5.7.0 local policy", R.POLICY_REFUSED),
    (C.DATA, "554 no valid recipients", R.POLICY_REFUSED),
    # The content
    (C.MAIL, "552 5.3.4 message size exceeds fixed limit", R.CONTENT_REFUSED),  # RFC 1870 §6.1
    (C.CONTENT, "552 5.2.3 message too large", R.CONTENT_REFUSED),  # Gmail
    (C.CONTENT, "552 too much mail data", R.CONTENT_REFUSED),
    (C.CONTENT, "554 5.6.0 malformed", R.CONTENT_REFUSED),
    # Our commands
    (C.MAIL, "501 5.5.4 unsupported option", R.PROTOCOL_REFUSED),
    (C.MAIL, "555 parameters not recognized", R.PROTOCOL_REFUSED),
    (C.DATA, "503 5.5.1 need RCPT command", R.PROTOCOL_REFUSED),
    (C.RCPT, "500 what", R.PROTOCOL_REFUSED),
]


def meaning(command: Command, line: str, **how: bool) -> Reason | None:
    code, _, text = line.partition(" ")
    return classify(command, int(code), text, **how).reason


@pytest.mark.parametrize(("command", "line", "reason"), BEFORE_A_MAIL + ABOUT_A_MAIL)
def test_a_reply_is_classed_by_its_stage_and_its_enhanced_code(
    command: Command, line: str, reason: Reason
) -> None:
    assert meaning(command, line) is reason


@pytest.mark.parametrize("command", [C.AUTH, C.MAIL])
@pytest.mark.parametrize("line", ["530 5.7.0 Must issue a STARTTLS command first", "538 5.7.11 TLS required"])
def test_a_server_that_asks_for_tls_on_a_plain_connection_refuses_no_sign_in(command: Command, line: str) -> None:
    assert meaning(command, line, tls=False) is R.TLS


@pytest.mark.parametrize("command", list(Command))
def test_each_negative_reply_has_a_reason_with_a_sentence_and_an_end(command: Command) -> None:
    """A permanent one about a mail ends it, any other lets it wait."""
    for code, enhanced in product(range(400, 560), ("", "5.0.0 ", "5.1.1 ", "5.9.9 ", "5.7.999 ")):
        result = classify(command, code, f"{enhanced}no")
        assert result.reason is not None
        code_of_sentence = message_code(result.reason)
        assert sentence(code_of_sentence) == SENTENCES[code_of_sentence]
        state = decide(Stage.CLAIMED, result, **YOUNG).state
        assert state is (State.FAILED if result.reason in REFUSED_FOR_GOOD else State.RETRYING)
        if command in {C.CONNECT, C.EHLO, C.STARTTLS, C.AUTH} or code < 500:
            assert state is State.RETRYING, "no mail ends for what its server or our settings are to blame for"


@pytest.mark.parametrize("reason", sorted(REFUSED_FOR_GOOD))
def test_only_a_refused_address_is_to_be_checked_for_errors(reason: Reason) -> None:
    assert ("check the address" in sentence(message_code(reason)).lower()) is (reason is R.REFUSED)


@pytest.mark.parametrize("end", ["", " no", ": no", "; no"])
def test_the_enhanced_code_is_found_whatever_follows_it(end: str) -> None:
    assert classify(C.RCPT, 550, f"5.1.1{end}").enhanced == "5.1.1"


def test_the_code_of_an_answer_without_one_is_none() -> None:
    assert classify(C.MAIL, -1, "garbage").code is None

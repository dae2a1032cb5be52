"""What of aiosmtpd is overridden is still there; and which enhanced code a reply gets."""

import asyncio
import inspect

import pytest
from aiosmtpd.smtp import SMTP

from mailroom.kit.byte_budget import Budget
from mailroom.submission import protocol
from mailroom.submission.enhanced_codes import CODES, with_code
from mailroom.submission.protocol import SubmissionProtocol

CHANGED = "aiosmtpd changed: compare it with the docstring of submission/protocol.py, then mend that file"


@pytest.mark.parametrize("name", ["push", "smtp_EHLO", "smtp_HELO", "smtp_DATA", "connection_made", "_getaddr"])
def test_what_is_overridden_is_still_called_like_that(name: str) -> None:
    theirs, ours = getattr(SMTP, name), getattr(SubmissionProtocol, name)
    assert list(inspect.signature(theirs).parameters) == list(inspect.signature(ours).parameters), CHANGED
    assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(ours), CHANGED
    assert f"`{name}`" in (protocol.__doc__ or ""), "the docstring names each override"


def test_the_inner_parts_that_are_used_are_still_there() -> None:
    for name in ("_set_rset_state", "_call_handler_hook", "_reset_timeout", "check_auth_needed", "challenge_auth"):
        assert hasattr(SMTP, name), CHANGED
    loop = asyncio.new_event_loop()
    assert isinstance(asyncio.StreamReader(loop=loop)._buffer, bytearray), CHANGED
    loop.close()
    assert "_auth_require_tls" in inspect.getsource(SMTP.smtp_AUTH), CHANGED


def test_a_reply_gets_the_enhanced_code_of_its_class_unless_it_has_one() -> None:
    assert with_code(b"250 OK") == b"250 2.0.0 OK"
    assert with_code(b"250 2.1.5 OK") == b"250 2.1.5 OK"
    assert with_code(b"354 End data") == b"354 End data"
    assert with_code(b"220 mx.example ESMTP") == b"220 mx.example ESMTP"
    assert all(code[:1] == enhanced[:1] for code, enhanced in CODES.items())


@pytest.mark.parametrize(
    "argument",
    [
        "<alice@example.org>",
        "<a.b-c+d_e@mail.example.org> SIZE=100 BODY=8BITMIME",
        "<@relay.example:alice@example.org>",
        '<"a b"@example.org> SIZE=1',
        "alice@example.org",
        "<alice@example.org>SIZE=1",
        "<jürgen@müller.example> SMTPUTF8",
        "<a..b@example.org>",
        "<>",
        "<alice",
        f"<{'a' * 65}@example.org>",
        "",
    ],
)
async def test_a_path_is_read_as_aiosmtpd_reads_it(argument: str) -> None:
    ours = SubmissionProtocol(
        object(), budget=Budget(1), large=asyncio.Lock(), limit=1, hostname="mx.example", tls=None
    )
    address, rest = ours._getaddr(argument)
    theirs, their_rest = SMTP._getaddr(ours, argument)
    assert (address, (rest or "").split()) == (theirs, (their_rest or "").split())

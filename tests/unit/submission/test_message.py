"""Messages as they come over SMTP: which are refused for their lines, and how long that takes."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.mail.messages.draft import LONGEST_LINE, InvalidMessage
from mailroom.submission.message import read_message

HEADER = b"From: shop@example.org\r\nSubject: Hi\r\n\r\n"


def read(raw: bytes) -> bytes:
    now = datetime.now(UTC)
    return read_message(raw, ["alice@example.org"], received="by here", message_id="<1@here>", now=now)[1]


@pytest.mark.parametrize("lone", [b"a\nb", b"a\rb", b"a\r", b"\na", b"a\n\r\nb", b"a\r\r\nb", b"a\n\rb"])
def test_a_lone_cr_or_lf_is_refused_wherever_it_stands(lone: bytes) -> None:
    for raw in (HEADER + lone + b"\r\n", HEADER + b"x\r\n" + lone):
        with pytest.raises(InvalidMessage, match="CRLF"):
            read(raw)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a"]), max_size=12))
def test_what_is_refused_is_exactly_what_has_a_lone_one(parts: list[bytes]) -> None:
    body = b"".join(parts)
    is_lone = any(one in body.replace(b"\r\n", b"") for one in (b"\r", b"\n"))
    if is_lone:
        with pytest.raises(InvalidMessage, match="CRLF"):
            read(HEADER + body)
    else:
        assert read(HEADER + body).endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("before", [b"", b"x\r\n", b"\r\n"], ids=["first", "second", "after a blank one"])
@pytest.mark.parametrize("after", [b"", b"\r\n", b"\r\nx\r\n"], ids=["last", "ended", "in between"])
def test_a_line_has_at_most_998_octets(before: bytes, after: bytes) -> None:
    assert read(HEADER + before + b"x" * LONGEST_LINE + after)
    with pytest.raises(InvalidMessage, match="998 octets"):
        read(HEADER + before + b"x" * (LONGEST_LINE + 1) + after)


def test_the_first_line_of_a_message_is_no_exception() -> None:
    with pytest.raises(InvalidMessage, match="998 octets"):
        read(b"X: " + b"x" * LONGEST_LINE + b"\r\n" + HEADER)
    with pytest.raises(InvalidMessage, match="998 octets"):
        read(b"x" * (LONGEST_LINE + 1))


HEADERS_WITHOUT_AN_END = {
    "one line": b"From: " + b"x" * 900,
    "no colon": b"x" * 900,
    "folded": b"From: x" + b"\r\n x" * 50_000,
}


@pytest.mark.parametrize("header", HEADERS_WITHOUT_AN_END.values(), ids=HEADERS_WITHOUT_AN_END)
def test_a_header_that_does_not_end_is_refused_at_once(header: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidMessage, match="field"):
        read(header)
    assert time.monotonic() - began < 3


def test_a_large_message_of_the_longest_lines_holds_up_nobody() -> None:
    raw = HEADER + (b"x" * LONGEST_LINE + b"\r\n") * 20_000
    began = time.monotonic()
    read(raw)
    assert time.monotonic() - began < 3, "20 MB, each octet looked at a bounded number of times"

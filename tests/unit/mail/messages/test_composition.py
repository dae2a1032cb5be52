"""The short way to a message's bytes says what the standard library says, for whatever programs send."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.mail.messages.composition import compose, compose_the_long_way, text_of
from mailroom.mail.messages.draft import Attachment, Draft, InvalidMessage, Mailbox

ID, DATE = "<0192@shop.example>", datetime(2026, 11, 27, 12, tzinfo=UTC)
SHOP = Mailbox("Shop", "shop@shop.example")
ALICE, BOB = Mailbox("", "alice@example.org"), Mailbox("Bob", "bob@example.org")

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
lines = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=120)


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    return message


def said(raw: bytes) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return headers and texts of a message, as a reader gets them."""
    message = parsed(raw)
    headers = sorted(
        (name.lower(), str(value)) for name, value in message.items() if not name.lower().startswith("content-")
    )
    parts = [part for part in message.walk() if not part.is_multipart()]
    return headers, [(part.get_content_type(), part.get_content()) for part in parts]


@given(subject=lines, text=words, html=st.none() | words, name=lines)
def test_the_short_way_says_what_the_long_way_says(subject: str, text: str, html: str | None, name: str) -> None:
    draft = Draft(Mailbox(name.strip(), "shop@shop.example"), [ALICE], subject.strip(), text=text, html=html)
    short = compose(draft, message_id=ID, date=DATE)
    headers, texts = said(short)
    long_headers, long_texts = said(compose_the_long_way(draft, message_id=ID, date=DATE))
    assert headers == long_headers
    ended = [(kind, text.rstrip("\r\n")) for kind, text in texts]
    assert ended == [(kind, text.rstrip("\r\n")) for kind, text in long_texts]
    assert all(len(line) <= 998 for line in short.split(b"\r\n"))
    assert b"\n" not in short.replace(b"\r\n", b"") and b"\r" not in short.replace(b"\r\n", b"")


def test_bcc_is_in_no_content() -> None:
    draft = Draft(SHOP, [ALICE], "Hello", text="Hi", cc=[BOB], bcc=[Mailbox("", "carol@example.org")])
    raw = compose(draft, message_id=ID, date=DATE)
    assert b"carol" not in raw and b"Cc: Bob <bob@example.org>\r\n" in raw
    assert draft.recipients == ["alice@example.org", "bob@example.org", "carol@example.org"]


def test_a_file_and_a_picture_that_the_html_shows_come_along() -> None:
    files = [
        Attachment("größe.pdf", b"%PDF" * 40_000, "application/pdf"),
        Attachment("logo.png", b"\x89PNG", "image/png", content_id="logo"),
    ]
    draft = Draft(SHOP, [ALICE], "Files", html='<img src="cid:logo">', attachments=files)
    message = parsed(compose(draft, message_id=ID, date=DATE))
    found = {part.get_filename(): part for part in message.walk() if part.get_filename()}
    assert found["größe.pdf"].get_content() == files[0].content
    assert found["logo.png"]["Content-ID"] == "<logo>"
    assert found["größe.pdf"].get_content_disposition() == "attachment"
    assert found["logo.png"].get_content_disposition() == "inline"


def test_html_without_text_gets_a_text() -> None:
    raw = compose(Draft(SHOP, [ALICE], "Hi", html="<h1>Big news</h1><p>It works.</p>"), message_id=ID, date=DATE)
    kinds = [part.get_content_type() for part in parsed(raw).walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    assert "Big news" in text_of("<h1>Big news</h1>")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": []}, "to"),
        ({"to": [Mailbox("", f"a{n}@example.org") for n in range(51)]}, "to"),
        ({"text": None}, "html"),
        ({"subject": "a\r\nBcc: all@example.org"}, "subject"),
        ({"headers": {"X-A": "b\nBcc: c"}}, "headers"),
        ({"headers": {"X A": "b"}}, "headers"),
        ({"headers": {"X-A\r\nBcc": "b"}}, "headers"),
        ({"headers": {"From": "mallory@example.org"}}, "headers"),
        ({"headers": {"DKIM-Signature": "x"}}, "headers"),
        ({"headers": {"received": "x"}}, "headers"),
        ({"tags": {"a b": "c"}}, "tags"),
        ({"tags": {"a": "ü"}}, "tags"),
        ({"attachments": [Attachment("a\r\nb", b"")]}, "attachments"),
        ({"attachments": [Attachment("a", b"", "message/rfc822")]}, "attachments"),
        ({"attachments": [Attachment("a", b"", "image/png", content_id="a>\r\nX: y")]}, "attachments"),
    ],
)
def test_what_no_message_may_hold_is_named(change: dict[str, object], field: str) -> None:
    sound: dict[str, object] = {"sender": SHOP, "to": [ALICE], "subject": "Hello", "text": "Hi"}
    with pytest.raises(InvalidMessage) as caught:
        Draft(**(sound | change)).check()  # type: ignore[arg-type]
    assert caught.value.field == field and str(caught.value).endswith(".")

"""The inbox's folder."""

from pathlib import Path

import pytest

from mailroom.ops.embedded.inbox_store import InboxStore

PLAIN = b"From: Olga <olga@example.org>\r\nTo: alice@example.org\r\nSubject: Hello\r\n\r\nHello\r\n"


def test_an_inbox_without_a_folder_is_empty(tmp_path: Path) -> None:
    store = InboxStore(tmp_path / "none")
    assert store.messages() == []
    assert store.get("00000000000000000001-00000000") is None


def test_only_the_newest_are_kept_newest_first(tmp_path: Path) -> None:
    store = InboxStore(tmp_path, kept=3)
    ids = [store.put(PLAIN, "olga@example.org", [f"bob{number}@example.org"]) for number in range(5)]
    assert [message.id for message in store.messages()] == ids[:1:-1]
    assert store.get(ids[0]) is None
    assert len(list(tmp_path.iterdir())) == 3


def test_another_reader_sees_what_came_and_what_went(tmp_path: Path) -> None:
    writer, reader = InboxStore(tmp_path, kept=1), InboxStore(tmp_path, kept=1)
    first = writer.put(PLAIN, "", ["alice@example.org"])
    assert [message.id for message in reader.messages()] == [first]
    second = writer.put(PLAIN, "", ["alice@example.org"])
    assert [message.id for message in reader.messages()] == [second]
    assert reader.get(first) is None


def test_the_address_asked_for_is_compared_with_the_envelope_in_any_case(tmp_path: Path) -> None:
    store = InboxStore(tmp_path)
    store.put(PLAIN, "olga@example.org", ["Alice@example.org", "bob@example.org"])
    assert len(store.messages(to=" ALICE@example.org")) == 1
    assert len(store.messages(to="bob@example.org")) == 1
    assert store.messages(to="ob@example.org") == []


@pytest.mark.parametrize(
    "name", ["../secret", "", "x", "00000000000000000001-0000000/", "00000000000000000001-00000000\n"]
)
def test_an_id_from_a_url_never_names_another_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.mail").write_bytes(b"{}\nsecret")
    assert InboxStore(tmp_path / "inbox").raw(name) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no headers at all",
        b"\xff\xfe\x00 binary \x80",
        b"Subject: =?x-none?q?=FF?=\r\nFrom: \xe9\r\nContent-Type: text/plain; charset=x-none\r\n\r\n\xe9t\xe9",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"From: <<<>>>,;\r\nTo: @@\r\nSubject: a\r\n\tb\r\nDate: never\r\nMessage-ID: <\r\n\r\nx",
    ],
)
def test_whatever_was_sent_can_be_shown(tmp_path: Path, raw: bytes) -> None:
    store = InboxStore(tmp_path)
    kept = store.put(raw, "", ["alice@example.org"])
    message = store.get(kept)
    assert message
    assert store.raw(kept) == raw
    shown = [message.sender, message.subject, message.text, message.html, *map(str, message.headers)]
    "".join(shown).encode()  # nothing an answer could not carry

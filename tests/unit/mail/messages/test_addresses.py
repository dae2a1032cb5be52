"""Addresses as programs write them."""

import pytest

from mailroom.mail.messages.addresses import NotAnAddress, read_mailbox
from mailroom.mail.messages.draft import Mailbox


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("mailroom@localhost", Mailbox("", "mailroom@localhost")),
        ("Mailroom <mailroom@LOCALHOST>", Mailbox("Mailroom", "mailroom@localhost")),
        ('"A, B" <a@localhost>', Mailbox("A, B", "a@localhost")),
        ("Ann <ann@Example.org>", Mailbox("Ann", "ann@example.org")),
    ],
)
def test_the_sender_of_mailroom_up_is_an_address(text: str, mailbox: Mailbox) -> None:
    assert read_mailbox(text, localhost=True) == mailbox


@pytest.mark.parametrize("text", ["mailroom@localhost", "Mailroom <mailroom@localhost>"])
def test_a_recipient_needs_a_domain_that_others_know(text: str) -> None:
    with pytest.raises(NotAnAddress, match="period"):
        read_mailbox(text)


@pytest.mark.parametrize("text", ["@localhost", "a b@localhost", "<a@localhost", "a@localhost>", "a\nb@localhost"])
def test_what_is_wrong_before_localhost_is_wrong_for_a_sender_too(text: str) -> None:
    with pytest.raises(NotAnAddress):
        read_mailbox(text, localhost=True)

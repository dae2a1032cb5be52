"""Which addresses lead to one mailbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.accounts.addresses.address import Address, key_of
from mailroom.accounts.addresses.mailboxes import is_variant, mailbox_of
from mailroom.accounts.mail_limits import DAILY, HOURLY, OWNERS_HOURLY, Sent, is_over

VARIANTS = [
    "ivy+news@example.org",
    "ivy+a+b@example.org",
    "iv\ufe0fy@example.org",
    "i\u034fvy@example.org",
    "iv\u200dy@example.org",
    "\u00adivy@example.org",
    "iv\u2060y+x@example.org",
    "iv\U000e0101y@example.org",
]


@pytest.mark.parametrize("email", VARIANTS)
def test_tags_and_invisible_characters_make_no_other_mailbox(email: str) -> None:
    assert mailbox_of(key_of(email)) == "ivy@example.org"
    assert is_variant(key_of(email))


@pytest.mark.parametrize("email", ["i.v.y@gmail.com", "ivy@googlemail.com", "I.vy+shop@GoogleMail.com"])
def test_dots_count_only_where_the_provider_minds_them(email: str) -> None:
    assert mailbox_of(Address.parse(email).key) == "ivy@gmail.com"
    assert mailbox_of("i.vy@example.org") == "i.vy@example.org"


@pytest.mark.parametrize("email", ["\uff49vy@example.org", "stra\u00dfe@example.org", "\u017fteve@example.org"])
def test_a_look_alike_is_another_mailbox(email: str) -> None:
    assert not is_variant(key_of(email))


def test_a_plain_address_is_its_own_mailbox() -> None:
    for email in ("ivy@example.org", "Ivy@Example.org", "ren\u00e9@example.org", "+@example.org"):
        assert not is_variant(Address.parse(email).key)


@given(st.text(min_size=1, max_size=40), st.text(max_size=20))
def test_every_address_has_one_mailbox_with_or_without_a_tag(local: str, tag: str) -> None:
    key = key_of(f"{local}@example.org")
    assert mailbox_of(key) == mailbox_of(mailbox_of(key))
    if mailbox_of(key_of(f"{local.partition('+')[0]}@example.org")) != "@example.org":
        assert mailbox_of(key_of(f"{local.partition('+')[0]}+{tag}@example.org")) == mailbox_of(key)


def test_no_mail_that_opens_nothing_takes_the_last_place_of_one_that_does() -> None:
    for has_account, hourly in ((True, OWNERS_HOURLY), (False, HOURLY)):
        full = Sent(hourly - 1, hourly - 1)
        assert not is_over(full, has_account=has_account, is_variant=False, is_notice=False)
        assert is_over(full, has_account=has_account, is_variant=False, is_notice=True)
    assert is_over(Sent(HOURLY - 1, HOURLY - 1), has_account=False, is_variant=True, is_notice=False)
    assert not is_over(Sent(0, DAILY - 1), has_account=False, is_variant=False, is_notice=False)
    assert is_over(Sent(0, DAILY), has_account=False, is_variant=False, is_notice=False)
    assert not is_over(Sent(0, 20), has_account=True, is_variant=False, is_notice=False)

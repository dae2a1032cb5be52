import pytest

from mailroom.accounts.addresses import Address
from mailroom.accounts.errors import InvalidAddress


@pytest.mark.parametrize(
    ("typed", "email", "key"),
    [
        ("alice@example.org", "alice@example.org", "alice@example.org"),
        ("  Alice.B+list@Example.ORG\n", "Alice.B+list@example.org", "alice.b+list@example.org"),
        ("anna@bücher.example", "anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@XN--BCHER-KVA.example", "anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("STRAßE@example.org", "STRAßE@example.org", "strasse@example.org"),
        ("A\u030a@example.org", "Å@example.org", "å@example.org"),
        ("alice@mail.test", "alice@mail.test", "alice@mail.test"),
    ],
)
def test_an_address_is_kept_as_written_and_found_whatever_its_case(typed: str, email: str, key: str) -> None:
    assert Address.parse(typed) == Address(email, key)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "missing"),
        ("   ", "missing"),
        ("alice", "@-sign"),
        ("alice@", "after the @-sign"),
        ("@example.org", "before the @-sign"),
        ("alice@localhost", "period"),
        ("alice@server.local", "special-use"),
        ("alice@example..org", "period"),
        ("Alice <alice@example.org>", "display name"),
        ("alice@example.org\r\nBcc: bob@example.org", "invalid characters"),
        ("alice@example.org, bob@example.org", "@-sign"),
        ("alice@[127.0.0.1]", "bracketed IP"),
        ("a" * 65 + "@example.org", "too long"),
        ("alice@" + "a" * 64 + ".org", "so many characters"),
        ("a" * 300 + "@example.org", "at most 254"),
        ("a\x00b@example.org", "invalid characters"),
    ],
)
def test_a_wrong_address_is_refused_with_what_is_wrong_and_what_to_do(typed: str, reason: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        Address.parse(typed)
    assert reason in str(refused.value)
    assert str(refused.value).endswith("Please check the address; it looks like name@example.org.")

"""One conversion of domains, and no domain becomes another by it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from mailroom.kit.domain_names import address_literal, ip_of, to_ascii, to_unicode


@pytest.mark.parametrize(
    ("written", "travels", "read"),
    [
        ("Example.ORG", "example.org", "example.org"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example", "b\u00fccher.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example", "b\u00fccher.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example", "b\u00fccher.example"),
        ("stra\u00dfe.test", "xn--strae-oqa.test", "stra\u00dfe.test"),
        ("strasse.test", "strasse.test", "strasse.test"),
        ("\u03b1\u03c2.test", "xn--mxa8a.test", "\u03b1\u03c2.test"),
        ("\u03b1\u03c3.test", "xn--mxa0b.test", "\u03b1\u03c3.test"),
        ("\u0391\u03a3.test", "xn--mxa0b.test", "\u03b1\u03c3.test"),
        ("\u212aelvin.test", "kelvin.test", "kelvin.test"),
        ("xn--.example", "xn--.example", "xn--.example"),
        ("my_host", "my_host", "my_host"),
    ],
)
def test_a_domain_travels_in_ascii_and_is_read_as_it_was_meant(written: str, travels: str, read: str) -> None:
    assert to_ascii(written) == travels
    assert to_unicode(travels) == read


@pytest.mark.parametrize(
    "other", ["\u017fteve", "\ufb01re", "\uff45xample", "\u2460", "a\u3002b", "\u00ad\u00fc", "\u2764"]
)
def test_what_only_looks_like_a_domain_is_none(other: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_ascii(f"{other}.test")


@settings(max_examples=500, deadline=None)
@given(some.text(some.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_what_is_read_leads_to_the_same_domain(label: str) -> None:
    try:
        travels = to_ascii(f"{label}.test")
    except ValueError:
        return
    assert travels.isascii()
    assert to_ascii(to_unicode(travels)) == travels


@pytest.mark.parametrize(
    ("host", "literal"),
    [("192.0.2.5", "[192.0.2.5]"), ("2001:DB8::1", "[IPv6:2001:db8::1]"), ("::1", "[IPv6:::1]")],
)
def test_an_ip_address_is_greeted_with_as_a_literal(host: str, literal: str) -> None:
    address = ip_of(host)
    assert address and address_literal(address) == literal


@pytest.mark.parametrize("host", ["example.org", "127.1", "fe80::1%eth0", ""])
def test_what_is_no_ip_address_is_taken_for_none(host: str) -> None:
    assert ip_of(host) is None

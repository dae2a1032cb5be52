import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as some

from mailroom.accounts.addresses.address import Address, key_of
from mailroom.accounts.errors import InvalidAddress
from mailroom.i18n.sentences import error_text
from mailroom.kit.domain_names import to_ascii

SIGNS = [chr(number) for number in range(sys.maxunicode + 1) if not 0xD800 <= number < 0xE000]
FORMS: list[Callable[[str], str]] = [
    str,
    str.lower,
    str.upper,
    str.title,
    str.casefold,
    *(lambda text, form=form: unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")),
]
"""What makes one text look like another; half of them make another address of it."""


@pytest.mark.parametrize(
    ("typed", "email", "key"),
    [
        ("alice@example.org", "alice@example.org", "alice@example.org"),
        ("  Alice.B+list@Example.ORG\n", "Alice.B+list@example.org", "alice.b+list@example.org"),
        ("anna@bücher.example", "anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@XN--BCHER-KVA.example", "anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("STRAßE@example.org", "STRAßE@example.org", "straße@example.org"),
        ("ivy@STRAẞE.test", "ivy@straße.test", "ivy@xn--strae-oqa.test"),
        ("ivy@strasse.test", "ivy@strasse.test", "ivy@strasse.test"),
        ("leo@ΟΔΟΣ.test", "leo@οδοσ.test", "leo@xn--pxavbq.test"),
        ("\u212aate@example.org", "Kate@example.org", "kate@example.org"),
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
        ("alice@\u017ftrasse.test", "no domain has"),
        ("alice@\ufb01re.test", "no domain has"),
        ("alice@\uff45xample.test", "no domain has"),
        ("alice@example\u3002test", "no domain has"),
    ],
)
def test_a_wrong_address_is_refused_with_what_is_wrong_and_what_to_do(typed: str, reason: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        Address.parse(typed)
    assert reason in error_text(refused.value)
    assert error_text(refused.value).endswith("Please check the address; it looks like name@example.org.")


def are_one(one: str, other: str) -> bool:
    """Tell, sign by sign, whether two texts differ in case or canonical equivalence only."""
    one, other = (unicodedata.normalize("NFD", text) for text in (one, other))
    return len(one) == len(other) and all(
        a == b or a.lower() == b.lower() or {a, b} <= {"\u03a3", "\u03c3", "\u03c2"}
        for a, b in zip(one, other, strict=True)
    )


def look_alikes() -> some.SearchStrategy[tuple[str, str]]:
    """Two texts, the second made of the first by writing each of its signs in another form."""
    sign = some.tuples(some.characters(exclude_categories=("Cs",)), *[some.sampled_from(FORMS)] * 2)
    word = some.lists(sign, min_size=1, max_size=8)
    return word.map(lambda signs: (_written(signs), _written(signs, again=True)))


def _written(signs: list[tuple[str, Callable[[str], str], Callable[[str], str]]], *, again: bool = False) -> str:
    return "".join(second(first(sign)) if again else sign for sign, first, second in signs)


@settings(max_examples=2000, deadline=None)
@given(look_alikes())
@example(("steve", "\u017fteve"))
@example(("strasse", "stra\u00dfe"))
@example(("\u03bf\u03b4\u03bf\u03c3", "\u03bf\u03b4\u03bf\u03c2"))
@example(("fire", "\ufb01re"))
@example(("steve", "\uff53teve"))
def test_two_addresses_with_one_key_differ_in_case_or_canonical_equivalence_only(pair: tuple[str, str]) -> None:
    one, other = pair
    if key_of(f"{one}@example.org") == key_of(f"{other}@example.org"):
        assert are_one(one, other)
    found = []
    for text in pair:
        try:
            found.append(to_ascii(f"{text}.example"))
        except ValueError:
            return
    if found[0] == found[1] and "xn--" not in one + other:
        assert are_one(one, other)


def test_no_two_small_letters_of_unicode_share_a_key() -> None:
    """The whole of it: whoever shares a key with a small letter is its capital, or the same letter."""
    groups = defaultdict(set)
    for sign in SIGNS:
        groups[key_of(f"a{sign}@example.org")].add(unicodedata.normalize("NFC", sign))
    for signs in groups.values():
        assert len({sign for sign in signs if sign == sign.lower()}) <= 1, signs


@settings(max_examples=500, deadline=None)
@given(some.text(some.characters(exclude_categories=("Cs", "Cc", "Cn", "Z")), min_size=1, max_size=12))
@example("≮")  # decomposed it begins with <, which no address has
def test_what_is_stored_is_read_as_the_same_address(local: str) -> None:
    try:
        address = Address.parse(f"{local}@example.org")
    except InvalidAddress:
        assume(False)
    assert Address.parse(address.email) == address
    assert key_of(address.email) == address.key
    assert Address.parse(unicodedata.normalize("NFD", address.email)) == address


@pytest.mark.parametrize("steve", ["STEVE", "sTeVe"])
def test_case_makes_no_other_address(steve: str) -> None:
    assert Address.parse(f"{steve}@Example.TEST").key == Address.parse("steve@example.test").key

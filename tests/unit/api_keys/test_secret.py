"""A key says by itself whether it was typed right, and its database does not know it."""

from hypothesis import given
from hypothesis import strategies as st

from mailroom.api_keys.keys import is_origin
from mailroom.api_keys.secret import ALPHABET, SHOWN, hash_of, looks_right, new_secret, start_of


def test_a_new_key_looks_right_and_no_two_are_alike() -> None:
    keys = {new_secret() for _ in range(1000)}
    assert len(keys) == 1000 and all(map(looks_right, keys))


@given(place=st.integers(3, 41), letter=st.sampled_from(ALPHABET))
def test_one_wrong_letter_is_found_without_the_database(place: int, letter: str) -> None:
    key = new_secret()
    wrong = key[:place] + letter + key[place + 1 :]
    assert looks_right(wrong) == (wrong == key)


@given(st.text(max_size=60))
def test_any_text_is_looked_at_without_an_error(text: str) -> None:
    assert not looks_right(text)


def test_what_is_kept_does_not_hold_the_key() -> None:
    key = new_secret()
    assert len(hash_of(key)) == 32 and start_of(key) == key[:SHOWN] and len(start_of(key)) == 9


def test_only_origins_as_browsers_send_them_are_origins() -> None:
    for good in ("https://shop.example", "http://localhost:3000", "https://[2001:db8::1]:8443"):
        assert is_origin(good), good
    for bad in ("*", "null", "https://shop.example/", "ftp://a.example", "https://u@shop.example", "shop.example",
                "https://shop.example:x", "https://", "https://a.example?x", "https://A.example"):  # fmt: skip
        assert not is_origin(bad), bad

import gzip
import re
import string
import sys
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.accounts.addresses.address import Address
from mailroom.accounts.errors import TooLong, WeakPassword
from mailroom.accounts.passwords import guesses as password_guesses
from mailroom.accounts.passwords import rules as password_rules
from mailroom.i18n.sentences import error_text

CONTEXT = [*Address.parse("alice.liddell@wonderland.example").words, "mail", "wonderland", "example"]
ADVICE = "Four or five words that have nothing to do with each other make a good one."


def refused(password: str) -> str:
    with pytest.raises(WeakPassword) as error:
        password_rules.check(password, CONTEXT)
    return error_text(error.value)


@pytest.mark.parametrize(
    "password",
    [
        "seven quiet lanterns over water",
        "correct mule battery zipper",  # no capital, digit or sign: none is asked for
        "7f3a9c0e5b1d8426",
        "kjhsdfjk2348sdf",
        "x9$Kw!27pLq&zR4v",
        "Привет тихий фонарь над водой",
        "静かな提灯が水の上に七つ浮かんでいる夜",
        "🐙 octopus juggles 🎷 at dawn",
        "four words and then aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",  # the better end counts
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa crooked umbrella borrows thunder",
        "seven quiet lanterns over water " * 8,
    ],
)
def test_a_long_password_of_whatever_kind_is_taken(password: str) -> None:
    password_rules.check(password, CONTEXT)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "needs 15 characters or more; this one has 0"),
        ("x9$Kw!27pLq&zR", "needs 15 characters or more; this one has 14"),
        ("a" * 15, "similar to a commonly used password"),
        ("passwordpassword", "similar to a commonly used password"),
        ("qwertyuiop12345", "similar to a commonly used password"),
        ("abcdefghijklmnopqrst", "Sequences"),
        ("aliceliddell1865", "made of your address"),
        ("alice.liddell@wonderland.example", "made of your address"),
        ("Wonderland-Wonderland-Wonderland!", "made of your address"),
        ("mailroommailroommailroom", "made of your address, the name of this site"),
        (" " * 20, "too soon"),
        ("🐙" * 20, "too soon"),
        ("1234567890123456", "similar to a commonly used password"),
        ("123456789101112", "similar to a commonly used password"),
        ("q1w2e3r4t5y6u7i8o9p0", "similar to a commonly used password"),
        ("correcthorsebatterystaple", "similar to a commonly used password"),
        ("Correct-Horse-Battery-Staple", "similar to a commonly used password"),
        ("Summer2026Summer2026", "similar to a commonly used password"),
        ("welcometomailroom1", "made of your address, the name of this site"),
        ("\ufdfa", "needs 15 characters or more; this one has 1"),
        ("\ufdfa" * 14, "needs 15 characters or more; this one has 14"),
        ("\u200b\u200c\u2060\ufe0f\u034f" * 4, "needs 15 characters or more; this one has 0"),
    ],
)
def test_a_password_that_would_be_guessed_is_refused_with_the_reason_and_advice(
    password: str, reason: str
) -> None:
    words = refused(password)
    assert reason in words
    assert words.endswith(ADVICE)


def test_a_password_too_long_says_so_and_costs_nothing() -> None:
    start = time.thread_time()
    with pytest.raises(TooLong) as error:
        password_rules.check("4@8({[36911!|105$7+%2" * 50_000, CONTEXT)
    assert error_text(error.value) == "A password has at most 256 characters. Please choose a shorter one."
    assert time.thread_time() - start < 0.05
    password_rules.check("seven quiet lanterns over water "[:32] * 8, CONTEXT)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_a_character_counts_as_one_however_it_is_composed_and_whatever_it_stands_for(text: str) -> None:
    composed, taken_apart = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    assert password_rules.length(composed) == password_rules.length(taken_apart) <= len(composed)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_the_same_password_typed_in_nfc_and_nfd_is_one_password(text: str) -> None:
    composed, taken_apart = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    assert password_rules.normalized(composed) == password_rules.normalized(taken_apart)


def test_the_longest_password_may_be_typed_in_nfd() -> None:
    longest = "siebenundzwanzig grüne Laternen" + "ǖḗ ṩ" * 56 + "."
    typed = unicodedata.normalize("NFD", longest)
    password_rules.check(typed, CONTEXT)
    assert password_rules.normalized(typed) == longest
    with pytest.raises(TooLong):
        password_rules.check(typed + "a", CONTEXT)


# -- kinds of passwords that are guessed soon


def most_used() -> list[str]:
    packed = resources.files("mailroom.accounts.passwords").joinpath(password_guesses.COMMON).read_bytes()
    return gzip.decompress(packed).decode().split()


def test_none_of_the_most_used_passwords_is_taken_in_any_case_or_spacing() -> None:
    assert len(password_guesses._ranks()) >= 150_000
    long = [word for word in most_used() if password_rules.SHORTEST <= len(word) <= 128]
    assert len(long) > 300
    for word in long:
        sign = next(sign for sign in "-~ " if sign not in word)
        for written in (word, word.upper(), word.title(), sign.join(word)):
            refused(written)


WORDS = st.sampled_from(["Summer", "welcome", "dragon", "Liverpool", "alice", "qwerty", "P@ssw0rd", "wonderland"])
YEARS = st.integers(1950, 2030).map(str)
SIGNS = st.sampled_from(["", "!", "-", ".", " ", "_", "#"])


@settings(max_examples=100, deadline=None)
@given(WORDS, YEARS, SIGNS, st.integers(2, 8), st.integers(0, 6))
def test_a_word_and_a_year_are_not_taken_for_being_repeated(
    word: str, year: str, sign: str, times: int, more: int
) -> None:
    once = f"{word}{year}{sign}"
    refused((once * times + once[:more]).ljust(15, "1"))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2100), st.integers(1, 25), SIGNS.filter(lambda sign: sign != "#"), st.booleans())
def test_numbers_that_count_are_not_taken(start: int, step: int, sign: str, is_down: bool) -> None:
    numbers = [start + step * place for place in range(12)]
    refused(sign.join(map(str, reversed(numbers) if is_down else numbers)))


ROWS = ["qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", string.ascii_lowercase, "password", "dragon"]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ROWS), st.sampled_from(ROWS[:5]), st.sampled_from([1, -1]))
def test_rows_of_the_keyboard_are_not_taken_for_taking_turns(first: str, second: str, order: int) -> None:
    both = "".join(a + b for a, b in zip(first, second[::order], strict=False))
    if len(both) >= password_rules.SHORTEST and first.isalpha() != second.isalpha():
        refused(both)
    refused((first + second)[:26].ljust(15, "1"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(CONTEXT), min_size=1, max_size=3), YEARS, SIGNS)
def test_words_of_the_address_and_the_site_are_not_taken(words: list[str], year: str, sign: str) -> None:
    refused((sign.join(words) + year).ljust(15, "!"))


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_five_words_drawn_by_chance_are_taken(random: object) -> None:
    chosen = random.sample(LIST, 5)  # type: ignore[attr-defined]
    password_rules.check(" ".join(chosen), CONTEXT)


LIST = list(
    filter(
        None,
        re.split(
            r"\s+",
            """
abacus bicycle cradle daffodil eggplant ferret goblet hammock igloo jigsaw kettle lantern magnet nectar otter
pebble quartz ribbon saddle thimble umbrella velvet walnut yogurt zipper acorn bonnet cobweb drizzle easel
""",
        ),
    )
)


def test_a_password_full_of_look_alikes_is_judged_in_bounded_time() -> None:
    """Unbounded, zxcvbn takes seconds for 72 such characters."""
    password_rules.check("seven quiet lanterns over water", CONTEXT)  # its word lists are loaded once
    start = time.thread_time()
    password_rules.check("4@8({[36911!|105$7+%2<" * 11, CONTEXT)
    assert time.thread_time() - start < 0.5


def test_nobodys_password_is_judged_by_the_address_of_somebody_else() -> None:
    """zxcvbn keeps what is to be known of the person in a global."""
    password = "fjordskviktor-xq7"
    own = ["fjordskviktor", "viktor@example.org"]

    def is_taken(context: list[str]) -> bool:
        return password_guesses.estimate(password, context, enough=1e8).guesses >= 1e8

    assert (is_taken(own), is_taken(["bob"])) == (False, True)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that threads meet in the middle
    try:
        with ThreadPoolExecutor(2) as threads:
            verdicts = list(threads.map(is_taken, [own, ["bob"]] * 50))
    finally:
        sys.setswitchinterval(usual)
    assert verdicts == [False, True] * 50


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_taken_or_refused_never_an_accident(password: str) -> None:
    with suppress(WeakPassword):
        password_rules.check(password, CONTEXT)

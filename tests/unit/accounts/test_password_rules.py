import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zxcvbn import zxcvbn

from mailroom.accounts import password_rules
from mailroom.accounts.addresses import Address
from mailroom.accounts.errors import TooLong, WeakPassword

CONTEXT = [*Address.parse("alice.liddell@wonderland.example").words, "mail", "wonderland", "example"]
ADVICE = "Four or five words that have nothing to do with each other make a good one."


def refused(password: str) -> str:
    with pytest.raises(WeakPassword) as error:
        password_rules.check(password, CONTEXT)
    return str(error.value)


@pytest.mark.parametrize(
    "password",
    [
        "seven quiet lanterns over water",
        "correct horse battery staple",  # no capital, digit or sign: none is asked for
        "x9$Kw!27pLq&zR4v",
        "Привет тихий фонарь над водой",
        "静かな提灯が水の上に七つ浮かんでいる夜",
        "🐙 octopus juggles 🎷 at dawn",
        "four words and then aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",  # the better end counts
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa crooked umbrella thunder",
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
        ("a" * 15, 'Repeats like "aaa"'),
        ("passwordpassword", "made of your address, the name of this site"),
        ("qwertyuiop12345", "similar to a commonly used password"),
        ("abcdefghijklmnopqrst", "Sequences"),
        ("aliceliddell1865", "made of your address"),
        ("alice.liddell@wonderland.example", "made of your address"),
        ("Wonderland-Wonderland-Wonderland!", "made of your address"),
        ("mailroommailroommailroom", "made of your address, the name of this site"),
        (" " * 20, "made of"),
        ("🐙" * 20, "Repeats"),
    ],
)
def test_a_password_that_would_be_guessed_is_refused_with_the_reason_and_advice(
    password: str, reason: str
) -> None:
    words = refused(password)
    assert reason in words
    assert words.endswith(ADVICE)


def test_a_password_too_long_says_so_and_costs_nothing() -> None:
    start = time.perf_counter()
    with pytest.raises(TooLong, match=r"at most 256 characters. Please choose a shorter one.$"):
        password_rules.check("4@8({[36911!|105$7+%2" * 50_000, CONTEXT)
    assert time.perf_counter() - start < 0.05
    password_rules.check("seven quiet lanterns over water "[:32] * 8, CONTEXT)


def test_letters_are_counted_after_unicode_made_them_one() -> None:
    assert "this one has 14" in refused("e\u0301" * 14)


def test_a_password_full_of_look_alikes_is_judged_in_bounded_time() -> None:
    """Unbounded, zxcvbn takes seconds for 72 such characters."""
    password_rules.check("seven quiet lanterns over water", CONTEXT)  # its word lists are loaded once
    start = time.perf_counter()
    password_rules.check("4@8({[36911!|105$7+%2<" * 11, CONTEXT)
    assert time.perf_counter() - start < 0.5


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"aeT7@1$ -", "Password", "qwerty", "lantern", "1999", "alice"]), min_size=1, max_size=6
    )
)
def test_one_list_of_all_words_counts_the_guesses_that_zxcvbn_counts(parts: list[str]) -> None:
    part = "".join(parts)[: password_rules.GLANCE]
    lists = {"all": password_rules._ranks(), "user_inputs": {"alice": 1}}
    assert password_rules._judged(part, lists)["guesses"] == zxcvbn(part, user_inputs=["alice"])["guesses"]


def test_nobodys_password_is_judged_by_the_address_of_somebody_else() -> None:
    """zxcvbn keeps what is to be known of the person in a global."""
    password = "fjordskviktor-xq7"
    own = ["fjordskviktor", "viktor@example.org"]

    def is_taken(context: list[str]) -> bool:
        return password_rules._guessable(password, context) is None

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

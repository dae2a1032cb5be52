"""How the shell writes times and others' words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.kit import text as words

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (0.4, "0 s"),
        (60, "1 min"),
        (89, "89 s"),
        (90, "2 min"),
        (3599, "60 min"),
        (5400, "2 h"),
        (3600, "1 h"),
        (86300, "24 h"),
        (86400, "1 d"),
        (172800, "2 d"),
        (10**6, "12 d"),
    ],
)
def test_a_span_is_told_in_the_unit_that_people_would_choose(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


def test_ages_and_moments() -> None:
    assert words.age(NOON - timedelta(minutes=5), NOON) == "5 min"
    assert words.age(NOON + timedelta(seconds=3), NOON) == "0 s"  # clocks differ
    assert words.full(NOON) == "2026-11-24 12:00:00 UTC"
    assert words.clock(NOON + timedelta(milliseconds=7)) == "12:00:00.007"


def test_one_and_many() -> None:
    assert (words.counted(1, "mail"), words.counted(2, "mail")) == ("1 mail", "2 mails")


@given(st.text())
def test_no_text_from_outside_can_command_the_terminal(text: str) -> None:
    assert words.clean(text).isprintable()


def test_addresses_outside_ascii_stay_as_they_are() -> None:
    assert words.clean("zoë@bücher.example") == "zoë@bücher.example"

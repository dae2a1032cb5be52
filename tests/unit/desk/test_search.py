"""The grammar of searches: what is understood, what is written again, and what is said of mistakes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from mailroom.desk.mail_search import window_of
from mailroom.desk.search import InvalidSearch, MailSearch
from mailroom.desk.slices import slices
from mailroom.i18n.sentences import error_text
from mailroom.kit.ids import first_id

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
WHOLE = (
    'state:failed,expired to:@example.org kind:confirm_sign_up key:"my shop" code:550 enhanced:5.1.1 '
    "reason:mailbox-refused since:2h before:2026-11-27T11:00 id:01a2 tag:kind=welcome stream:bulk free words"
)


def parse(text: str) -> MailSearch:
    return MailSearch.parse(text, NOW)


def test_every_fact_of_a_search_is_read_and_written_again() -> None:
    search = parse(WHOLE)
    assert search.states == ("failed", "expired")
    assert (search.to, search.kind, search.key) == ("@example.org", "confirm_sign_up", "my shop")
    assert (search.code, search.enhanced, search.reason) == (550, "5.1.1", "mailbox refused")
    assert (search.since, search.before) == (NOW - timedelta(hours=2), datetime(2026, 11, 27, 11, tzinfo=UTC))
    assert search.id == (
        UUID("01a20000-0000-0000-0000-000000000000"),
        UUID("01a2ffff-ffff-ffff-ffff-ffffffffffff"),
    )
    assert (search.tag, search.stream, search.words) == (("kind", "welcome"), "bulk", ("free", "words"))
    assert search.text == WHOLE
    assert parse(search.text) == search


def test_case_order_and_quotes_do_not_matter() -> None:
    search = parse('"no such user" TO:Alice@Example.org State:FAILED')
    assert search.text == "state:FAILED to:Alice@Example.org no such user"
    assert (search.states, search.to) == (("failed",), "alice@example.org")
    assert parse('"a:b"').words == ("a:b",)


def test_a_search_looks_a_week_back_unless_told_otherwise() -> None:
    assert parse("state:failed").starts(NOW) == NOW - timedelta(days=7)
    assert parse("since:1d").starts(NOW) == NOW - timedelta(days=1)
    assert parse("since:all").starts(NOW) is None
    assert parse("id:01a2").starts(NOW) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour:red", "knows no “colour:”. Use one of state, to,"),
        ("state:", "Nothing stands after “state:”"),
        ("state:lost", "There is no state “lost”. Use one of cancelled,"),
        ("to:alice", "Write to:alice@example.org, or to:@example.org"),
        ("code:5", "Write three digits, such as code:550"),
        ("enhanced:511", "such as enhanced:5.1.1"),
        ("reason:bad", "There is no reason “bad”. Use one of unreachable,"),
        ("since:yesterday", "Write 30min, 2h, 7d or 4w, a date"),
        ("since:999999w", "Write 30min, 2h, 7d or 4w, a date"),
        ("before:2026-13-01", "is no moment"),
        ("id:xyz", "Write the beginning of one"),
        ("stream:slow", "Use one of transactional, bulk"),
        ("kind:a kind:b", "stands there twice"),
        ("x" * 501, "at most 500 characters"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(InvalidSearch) as raised:
        parse(text)
    assert said in error_text(raised.value)


def test_a_form_changes_one_fact_and_takes_one_away() -> None:
    search = parse("state:failed code:550 spam").with_values(NOW, state="retrying", code="")
    assert search.text == "state:retrying spam"


@pytest.mark.parametrize(
    "text", ["", "since:3min", "since:all", "before:2026-11-01", "since:90d before:2026-11-01"]
)
def test_slices_cover_the_time_of_a_search_without_gaps_the_newest_first(text: str) -> None:
    window = window_of(parse(text), NOW)
    found = list(slices(window, NOW, whole_at_once=False))
    assert found[0].high == window.high and found[-1].low == window.low
    assert all(newer.low == older.high > older.low for newer, older in pairwise(found))
    assert len(found) <= 12


def test_a_page_goes_on_where_the_one_before_it_ended() -> None:
    end = first_id(NOW - timedelta(days=3))
    found = list(slices(window_of(parse(""), NOW, before=end), NOW, whole_at_once=False))
    assert found[0].high == end
    assert found[0].low == first_id(NOW - timedelta(days=3, minutes=5)), "slices begin small again"
